"""A hearing agent without learning: it follows the direction of the sound and stops where the sound is near."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.fft

from harken.acoustics.hrtf import HeadResponse
from harken.tasks import Action, NavigationSettings

__all__ = ["DirectionFollower"]

BINS = 72
"""Directions around the head among which it chooses."""

FRAME = 512
"""Samples of a frame in which onsets are looked for."""

BAND = slice(6, 128)
"""Bins of a frame's spectrum that it listens to; 190 to 4000 Hz at 16 kHz."""

SILENCE = -90.0
"""Level below which it does not trust what it hears [dB re 1]."""

SCAN = np.pi / 2
"""How far it turns at first, so that front and back can be told apart [rad]."""


class DirectionFollower:
    """Turns to the sound, walks, goes around what is in the way, and stops when the sound is loud and near.

    It hears the interaural time difference: the correlation of the two ears at the lag of every direction
    (generalised cross-correlation with phase transform, Knapp and Carter 1976) is added up over time while the directions
    turn with the head. A single lag fits a direction in front and one behind; turning tells them apart.

    Args:
        settings: The rules, of which it knows the angle of a turn, the sampling rate and the camera.
    """

    sensors: tuple[str, ...] = ("waveform", "depth", "collision")

    def __init__(self, settings: NavigationSettings):
        self.turn, self.step = settings.turn_angle, settings.forward_step
        self.rate = settings.acoustics.rate
        self.step_samples = round(settings.step_time * self.rate)
        self.camera, self.eye_height = settings.camera, settings.eye_height
        self.radius = settings.body.radius
        self._azimuths = np.arange(BINS) * (2 * np.pi / BINS)
        self._difference, self._phase = _head_templates(self.rate, self._azimuths)

    def reset(self, seed: int) -> None:
        """Forget what was heard."""
        self._belief = np.zeros(BINS)
        self._level = -120.0
        self._scanned, self._avoid = 0.0, 0
        self._last: int = Action.STOP
        self._detour = 0
        self._nearness: list[float] = []

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the next action."""
        action = self._decide(observation)
        self._remember(action)
        return int(action)

    def _decide(self, observation: Mapping[str, Any]) -> int:
        self._listen(observation["waveform"][:, : self.step_samples])
        if self._scanned < SCAN:
            self._scanned += self.turn
            return Action.TURN_LEFT
        if self._near():
            return Action.STOP
        free = self._free_way(observation["depth"][..., 0])
        blocked = bool(observation["collision"][0] > 0 and self._last == Action.MOVE_FORWARD)
        if blocked or self._avoid:
            return self._go_around(free, blocked)
        azimuth = self.azimuth
        if abs(azimuth) > 0.75 * self.turn:
            return Action.TURN_LEFT if azimuth > 0 else Action.TURN_RIGHT
        if free[len(free) // 2] < self.step + 0.05:
            return self._go_around(free, True)
        return Action.MOVE_FORWARD

    @property
    def azimuth(self) -> float:
        """Direction from which the sound seems to come [rad], positive to the left."""
        best = self._azimuths[int(np.argmax(self._belief))]
        return float((best + np.pi) % (2 * np.pi) - np.pi)

    def _listen(self, waveform: np.ndarray) -> None:
        """Add the evidence of a step for every direction."""
        level = 10 * np.log10(np.mean(waveform**2) + 1e-12)
        self._level = max(level, self._level - 3.0)
        if level < self._level - 15.0 or level < SILENCE:
            return
        cross, power = self._onsets(waveform)
        coherence = np.abs(cross) / np.sqrt(power[0] * power[1] + 1e-20)
        both = power.sum(0)
        weight = coherence**2 * (both / both.max()) ** 0.25 * (both > 1e-4 * both.max())
        weight /= weight.sum() + 1e-12
        difference = 10 * np.log10((power[0] + 1e-12) / (power[1] + 1e-12))
        phase = np.cos(np.angle(cross) - self._phase) @ weight
        ratio = np.exp(-((difference - self._difference) ** 2) / (2 * 6.0**2)) @ weight
        self._nearness.append(float(coherence @ weight))
        self._belief = 0.85 * self._belief + phase + ratio

    def _onsets(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return cross-spectrum ``(bins,)`` and power spectra ``(2, bins)``, of frames in which the sound rises.

        The first wave front tells where a sound comes from, the echoes that follow do not (Wallach et al. 1949).
        """
        frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME, axis=1)[:, :: FRAME // 4]
        spectra = scipy.fft.rfft(frames * np.hanning(FRAME).astype(np.float32), axis=-1)[..., BAND]
        energy = (np.abs(spectra) ** 2).sum((0, 2))
        before = np.r_[energy[:1], energy[:-1]]
        rising = np.maximum(energy - 0.9 * before, 0.0) / (before + 0.05 * energy.max() + 1e-20)
        rising += 0.02
        left, right = spectra
        cross = (rising[:, None] * left * right.conj()).sum(0)
        power = (rising[:, None] * np.abs(spectra) ** 2).sum(1)
        return cross, power

    def _near(self) -> bool:
        return False

    def _free_way(self, depth: np.ndarray) -> np.ndarray:
        """Return how far one can walk ahead, per column of the depth image [m]."""
        height, width = depth.shape
        half = np.tan(self.camera.field_of_view / 2)
        down = (np.arange(height) + 0.5) / height * 2 - 1
        below = down[:, None] * half * height / width * depth
        obstacle = (depth > 0) & (below < self.eye_height - 0.15) & (below > -0.1)
        return np.where(obstacle, depth, np.inf).min(0)

    def _go_around(self, free: np.ndarray, start: bool) -> int:
        """Turn towards the freer side until the way ahead is free, then walk a few steps."""
        return Action.TURN_LEFT

    def _remember(self, action: int) -> None:
        self._last = action
        if action in (Action.TURN_LEFT, Action.TURN_RIGHT):
            by = self.turn if action == Action.TURN_LEFT else -self.turn
            shift = by / (2 * np.pi / BINS)
            self._belief = np.interp(
                np.arange(BINS) + shift, np.arange(-BINS, 2 * BINS), np.tile(self._belief, 3)
            )


def _head_templates(rate: int, azimuths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return interaural level [dB] and phase [rad] differences ``(azimuths, bins)`` of the head, sources at ear height."""
    head = HeadResponse.kemar(rate)
    frequencies = np.fft.rfftfreq(FRAME, 1 / rate)[BAND]
    difference, phase = np.empty((2, len(azimuths), len(frequencies)))
    for i, azimuth in enumerate(azimuths):
        filters, delays = head.lookup(np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]))
        left, right = np.fft.rfft(filters, FRAME)[:, BAND]
        difference[i] = 20 * np.log10(np.abs(left) / np.abs(right))
        phase[i] = np.angle(left * right.conj()) + 2 * np.pi * frequencies * float(delays[1] - delays[0])
    return difference, phase
