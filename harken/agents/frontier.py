"""A hearing agent that explores: it goes to the edge of what it knows, on the side from which the sound comes."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harken.agents.direction_follower import DirectionFollower
from harken.checks import wrapped_angle
from harken.tasks import Action, NavigationSettings
from harken.tasks.mapping import EXPLORED, OCCUPIED, GeometricMap
from harken.tasks.planning import FreePlanner, make_planner

__all__ = ["FrontierAgent"]

LONGEST = 10
"""Steps after which it listens again and chooses another frontier, as in AV-WaN."""

SECTORS = (np.pi / 4, np.pi / 2, np.pi)
"""Angles from the heard direction within which a frontier is looked for, the next where there is none [rad]."""

NEAREST = 0.5
"""Frontiers nearer than this are where it stands [m]."""

UNKNOWN = 8
"""Cells of the 25 around a frontier that are unknown at least: single cells that no ray has met do not count."""

CLOSE_LEVEL = -16.0
"""Level from which it goes to the sound itself: about that of a clip of RMS 0.1 two metres away [dB re 1]."""

WINDOW = 15.0
"""How far around it frontiers are looked for [m]."""


class FrontierAgent(DirectionFollower):
    """Goes to the nearest frontier towards the sound; where it is loud, does what `DirectionFollower` does.

    It is the baseline Frontier Waypoints of AV-WaN (Chen et al. 2021). A frontier is a cell of the map that was seen
    to be free, beside some that were not seen (Yamauchi 1997). The map comes from depth and pose, the direction of the
    sound and the decision to stop from `DirectionFollower`.

    Args:
        settings: The rules, of which it knows the body, the sampling rate and the settings of the map.
    """

    sensors = (*DirectionFollower.sensors, "pose")

    def __init__(self, settings: NavigationSettings):
        super().__init__(settings)
        self._settings = settings
        self._finder = FreePlanner(settings.body, WINDOW)
        self._planner = make_planner(settings.body, WINDOW)
        rows = settings.body.camera.rows
        slope = -float(rows[-1, 1]) / max(float(rows[-1, 0]), 1e-6)
        # Nearer than this the floor around the start is below the camera's view.
        self._blind = settings.body.eye_height / slope + 0.5 if slope > 0.1 else 0.0

    def reset(self, seed: int) -> None:
        """Forget what was heard and seen."""
        super().reset(seed)
        self._map = GeometricMap(self._settings.map, self._settings.body, self._settings.max_depth)
        self._pose: np.ndarray | None = None
        self._target: tuple[float, float] | None = None
        self._left = 0

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the next action."""
        before, self._pose = self._pose, np.array(observation["pose"])
        self._map.see(observation["depth"][..., 0], self._pose)
        if before is not None and observation["collision"][0] > 0 and self._last == Action.MOVE_FORWARD:
            self._map.bump(before, self._pose)
        return super().act(observation)

    def _decide(self, collided: bool) -> int:
        if self.is_near:
            return Action.STOP
        if self._is_close:
            self._target = None
            return super()._decide(collided)
        if self._steering.plan and self._target is None:  # it looks around at first, and ends a detour
            return super()._decide(collided)
        assert self._pose is not None
        for _ in range(2):
            if self._target is None or self._left <= 0:
                self._target, self._left = self._frontier(), LONGEST
            if self._target is None:
                break
            action = self._planner.action(self._map, self._pose, self._target)
            if action is not None:
                self._left -= 1
                return action
            self._target = None  # it is there, or there is no way
        return super()._decide(collided)

    @property
    def _is_close(self) -> bool:
        """Whether the sound was so loud in the last second that it is in the same room."""
        return max(self._levels[-max(2, round(self.rate / self.step_samples)) :]) > CLOSE_LEVEL

    def _frontier(self) -> tuple[float, float] | None:
        """Return the nearest frontier towards the sound, metres ahead and to the left of the start; None for none."""
        assert self._pose is not None
        self._finder.survey(self._map, self._pose)
        lengths, (corner_i, corner_j) = self._finder.surveyed
        cell, size, half = self._map.cell, len(lengths), self._map.half
        flags = np.zeros((size + 4, size + 4), np.uint8)  # two cells more on every side
        first = np.array([corner_i, corner_j]) + half - 2
        low, high = np.maximum(first, 0), np.minimum(first + size + 4, len(self._map.flags))
        inner = tuple(slice(a - f, b - f) for a, b, f in zip(low, high, first, strict=True))
        flags[inner] = self._map.flags[low[0] : high[0], low[1] : high[1]]
        middles = [(np.arange(-2, size + 2) + corner + 0.5) * cell for corner in (corner_i, corner_j)]
        start = np.hypot(middles[0][:, None], middles[1][None, :]) < self._blind
        known = (flags & EXPLORED > 0) | start
        unknown = np.lib.stride_tricks.sliding_window_view(~known, (5, 5)).sum((2, 3))
        inside = slice(2, -2)
        free = known[inside, inside] & (flags[inside, inside] & OCCUPIED == 0)
        chosen = np.argwhere(free & (unknown >= UNKNOWN) & (lengths > NEAREST) & np.isfinite(lengths))
        if len(chosen) == 0:
            return None
        x, y = middles[0][inside][chosen[:, 0]], middles[1][inside][chosen[:, 1]]
        direction = float(self._pose[2]) + self.azimuth
        bearing = np.arctan2(y - float(self._pose[1]), x - float(self._pose[0]))
        aside = np.abs(np.array([wrapped_angle(angle - direction) for angle in bearing]))
        far = lengths[chosen[:, 0], chosen[:, 1]]
        for sector in SECTORS:
            if (aside <= sector).any():
                best = int(np.argmin(np.where(aside <= sector, far, np.inf)))
                return float(x[best]), float(y[best])
        return None
