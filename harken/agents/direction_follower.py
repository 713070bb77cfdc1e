"""A hearing agent without learning: it follows the direction of the sound and stops where the sound is near."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.fft

from harken.tasks import Action, NavigationSettings

__all__ = ["DirectionFollower"]

HEAD_RADIUS = 0.0875
"""Radius of the head that the time difference is converted with [m] (Woodworth 1938)."""

BINS = 72
"""Directions around the head among which it chooses."""

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
        lateral = np.arcsin(np.clip(np.sin(self._azimuths), -1, 1))
        self._lags = HEAD_RADIUS / 343.0 * (lateral + np.sin(lateral))

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
        if level < self._level - 15.0:
            return
        n = scipy.fft.next_fast_len(2 * waveform.shape[1], real=True)
        left, right = scipy.fft.rfft(waveform, n)
        frequencies = np.fft.rfftfreq(n, 1 / self.rate)
        cross = left * right.conj()
        cross *= ((frequencies > 200) & (frequencies < 4000)) / (np.abs(cross) + 1e-12)
        # A source at the left reaches the left ear first: the cross-spectrum's phase is +2πf·lag.
        steer = np.exp(-2j * np.pi * frequencies[:, None] * self._unique_lags[None])
        correlation = (cross[:, None] * steer).real.sum(0) / max((np.abs(cross) > 0).sum(), 1)
        evidence = correlation[self._lag_of_bin]
        self._nearness.append(float(correlation.max()))
        self._belief = 0.9 * self._belief + evidence

    @property
    def _unique_lags(self) -> np.ndarray:
        return np.unique(np.round(self._lags, 9))

    @property
    def _lag_of_bin(self) -> np.ndarray:
        return np.searchsorted(self._unique_lags, np.round(self._lags, 9))

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
