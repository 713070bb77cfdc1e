"""A hearing agent without learning: it follows the direction of the sound and stops where the sound is near."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.agents.steering import Steering
from harken.checks import wrapped_angle
from harken.sound.interaural import onset_spectra
from harken.tasks import Action, NavigationSettings
from harken.tasks.separation_rules import SeparationSettings

__all__ = ["DirectionFollower"]

BINS = 72
"""Directions around the head among which it chooses."""

FRAME = 512
"""Samples of a frame in which onsets are looked for."""

BAND = slice(6, 128)
"""Bins of a frame's spectrum that it listens to; 190 to 4000 Hz at 16 kHz."""

SILENCE = -90.0
"""Level below which it ignores what it hears [dB re 1]."""

AT_HAND_LEVEL = -9.5
"""Level at which it stops at once: a clip of RMS 0.1 about half a metre away in a furnished room [dB re 1]."""

NEAR_LEVEL = -12.0
"""Level from which the source may be at hand: the clip in the same room, within about a metre [dB re 1]."""

TURNING = 14
"""Steps over which it checks whether it is circling the sound."""

SCAN = np.pi / 2
"""How far it turns at first, so that front and back can be told apart [rad]."""


class DirectionFollower:
    """Turns to the sound, walks, goes around what is in the way, and stops when the sound is loud and near.

    It hears the interaural time difference: the correlation of the two ears at the lag of every direction
    (generalised cross-correlation with phase transform, Knapp and Carter 1976) is added up over time while the
    directions turn with the head. A single lag fits a direction in front and one behind; turning tells them apart.

    Args:
        settings: The rules, of which it knows the angle of a turn, the sampling rate and the camera.
    """

    sensors: tuple[str, ...] = ("waveform", "depth", "collision")

    def __init__(self, settings: NavigationSettings | SeparationSettings):
        self.turn = settings.body.turn_angle
        self.rate = settings.acoustics.rate
        self.step_samples = round(settings.step_time * self.rate)
        self._steering = Steering(settings)
        self._azimuths = np.arange(BINS) * (2 * np.pi / BINS)
        self._difference, self._phase = _head_templates(self.rate, self._azimuths)

    def reset(self, seed: int) -> None:
        """Forget what was heard and seen."""
        self._belief = np.zeros(BINS)
        self._levels: list[float] = []
        self._loudest = -120.0
        self._bearings: list[float] = []
        self._actions: list[int] = []
        self._last: int = Action.STOP
        self._steering.reset(seed, [int(Action.TURN_LEFT)] * max(1, round(SCAN / self.turn)))

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the next action."""
        collided = bool(observation["collision"][0] > 0)
        self._steering.see(observation["depth"][..., 0], self._last, collided)
        self._listen(observation["waveform"][:, : self.step_samples])
        self._bearings.append(self.azimuth)
        self._last = int(self._decide(collided))
        self._actions.append(self._last)
        if self._last in (Action.TURN_LEFT, Action.TURN_RIGHT):
            self._turn_belief(self.turn if self._last == Action.TURN_LEFT else -self.turn)
        return self._last

    def _decide(self, collided: bool) -> int:
        return Action.STOP if self.is_near else self._steering.action(self.azimuth, collided)

    @property
    def azimuth(self) -> float:
        """Direction from which the sound seems to come [rad], positive to the left."""
        best = self._azimuths[int(np.argmax(self._belief))]
        return wrapped_angle(best)

    def _listen(self, waveform: np.ndarray) -> None:
        """Add the evidence of a step for every direction."""
        level = 10 * np.log10(np.mean(waveform**2) + 1e-12)
        self._levels.append(level)
        self._loudest = max(level, self._loudest - 3.0)
        if level < self._loudest - 15.0 or level < SILENCE:
            return
        cross, power = onset_spectra(waveform, frame=FRAME, hop=FRAME // 8)
        cross, power = cross[BAND], power[:, BAND]
        coherence = np.abs(cross) / np.sqrt(power[0] * power[1] + 1e-20)
        both = power.sum(0)
        weight = coherence**2 * (both > 1e-4 * both.max())
        weight /= weight.sum() + 1e-12
        difference = 10 * np.log10((power[0] + 1e-12) / (power[1] + 1e-12))
        phase = np.cos(np.angle(cross) - self._phase) @ weight
        ratio = np.exp(-((difference - self._difference) ** 2) / (2 * 6.0**2)) @ weight
        self._belief = 0.85 * self._belief + phase + ratio

    def _turn_belief(self, angle: float) -> None:
        """Turn the evidence with the head."""
        shift = angle / (2 * np.pi / BINS)
        self._belief = np.interp(np.arange(BINS) + shift, np.arange(-BINS, 2 * BINS), np.tile(self._belief, 3))

    @property
    def is_near(self) -> bool:
        """Whether the source is at hand: very loud, or loud and passed or circled.

        A sound that was ahead and is suddenly behind has been walked past; one whose direction changes faster than one
        can follow is close. Levels are those of the last second, for sounds that pause.
        """
        second = max(2, round(self.rate / self.step_samples))
        level = max(self._levels[-second:])
        if level > AT_HAND_LEVEL:
            return True
        if level < NEAR_LEVEL or len(self._bearings) < TURNING:
            return False
        passed = abs(self._bearings[-1]) > 0.6 * np.pi and np.median(np.abs(self._bearings[-8:-2])) < 0.3 * np.pi
        turned = sum(action in (Action.TURN_LEFT, Action.TURN_RIGHT) for action in self._actions[-TURNING:])
        return bool(
            (passed and self._actions[-1] == Action.MOVE_FORWARD)
            or (turned > 0.8 * TURNING and not self._steering.plan)
        )


def _head_templates(rate: int, azimuths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the head's interaural level [dB] and phase [rad] differences ``(azimuths, bins)``, at ear height."""
    head = HeadResponse.kemar(rate)
    frequencies = np.fft.rfftfreq(FRAME, 1 / rate)[BAND]
    difference, phase = np.empty((2, len(azimuths), len(frequencies)))
    for i, azimuth in enumerate(azimuths):
        filters, delays = head.lookup(np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]))
        left, right = np.fft.rfft(filters, FRAME)[:, BAND]
        difference[i] = 20 * np.log10(np.abs(left) / np.abs(right))
        phase[i] = np.angle(left * right.conj()) + 2 * np.pi * frequencies * float(delays[1] - delays[0])
    # The pinna's difference between front and back drowns in a room's echoes: both get the mean of the two.
    behind = (len(azimuths) // 2 - np.arange(len(azimuths))) % len(azimuths)
    return 0.5 * (difference + difference[behind]), np.angle(np.exp(1j * phase) + np.exp(1j * phase[behind]))
