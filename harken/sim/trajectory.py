"""Trajectories of moving sources."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harken.checks import checked_number
from harken.errors import ConfigurationError

__all__ = ["FASTEST", "Course", "Trajectory"]

FASTEST = 100.0
"""Greatest speed of a source [m/s]. Near the speed of sound there are shock waves, which are not computed."""

REMEMBERED = 10.0
"""How much of its past a `Course` keeps [s]: sound that is heard now left no earlier in any building."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """A polyline in time: straight from one place to the next, at rest before the first and after the last.

    Raises:
        ConfigurationError: Times and positions do not fit together, do not rise, or are not finite; or a leg is faster
            than `FASTEST`.
    """

    times: np.ndarray
    """``(n,)`` when each place is reached [s], rising."""
    positions: np.ndarray
    """``(n, 3)`` places [m]."""
    repeats: bool = False
    """Whether the way starts anew after the last place."""

    def __post_init__(self) -> None:
        """Check the arrays."""
        times, positions = np.array(self.times, np.float64), np.array(self.positions, np.float64)
        if times.ndim != 1 or len(times) == 0 or positions.shape != (len(times), 3):
            raise ConfigurationError(
                f"Trajectory: times {times.shape} and positions {positions.shape}; expected (n,) and (n, 3), n > 0."
            )
        if not (np.isfinite(times).all() and np.isfinite(positions).all() and (np.diff(times) > 0).all()):
            raise ConfigurationError("Trajectory: times must rise, and all values must be finite.")
        speeds = np.linalg.norm(np.diff(positions, axis=0), axis=1) / np.diff(times)
        if (speeds > FASTEST * (1.0 + 1e-9)).any():
            leg = int(speeds.argmax())
            raise ConfigurationError(
                f"Trajectory: {speeds[leg]:.4g} m/s from place {leg} to place {leg + 1}; expected at most {FASTEST:g} "
                "m/s. Are the times seconds and the places metres?"
            )
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "positions", positions)

    @staticmethod
    def along(points: np.ndarray, speed: float, *, repeats: bool = False) -> "Trajectory":
        """Walk along points at a steady speed.

        Args:
            points: ``(n, 3)`` places [m]; equal neighbours count once.
            speed: Speed [m/s], up to `FASTEST`.
            repeats: Whether the way starts anew after the last place.

        Raises:
            ConfigurationError: The speed is not positive or too high, or the points are not ``(n, 3)``.
        """
        speed = checked_number("Trajectory: speed", speed, 0.0, FASTEST, above=True, unit="m/s")
        points = np.array(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) == 0:
            raise ConfigurationError(f"Trajectory: points have shape {points.shape}; expected (n, 3), n > 0.")
        legs = np.linalg.norm(np.diff(points, axis=0), axis=1)
        distinct = np.r_[True, legs > 1e-9]
        times = np.r_[0.0, np.cumsum(legs[legs > 1e-9])] / speed
        return Trajectory(times=times, positions=points[distinct], repeats=repeats)

    def _local(self, time: float) -> float:
        span = self.times[-1] - self.times[0]
        if self.repeats and span > 0 and time > self.times[-1]:
            return float(self.times[0] + (time - self.times[0]) % span)
        return time

    def position(self, time: float) -> np.ndarray:
        """Return the place ``(3,)`` at a time [s]."""
        at = self._local(time)
        return np.array([np.interp(at, self.times, self.positions[:, axis]) for axis in range(3)])

    def velocity(self, time: float) -> np.ndarray:
        """Return the velocity ``(3,)`` at a time [m/s]; 0 at rest."""
        at = self._local(time)
        if not self.times[0] <= at < self.times[-1]:
            return np.zeros(3)
        leg = int(np.searchsorted(self.times, at, side="right")) - 1
        return (self.positions[leg + 1] - self.positions[leg]) / (self.times[leg + 1] - self.times[leg])

    def distance(self, time: float) -> float:
        """Return how far the way has led until a time [m], from round to round where it repeats."""
        span, rounds = self.times[-1] - self.times[0], 0.0
        if self.repeats and span > 0 and time > self.times[-1]:
            rounds = (time - self.times[0]) // span
        return float(rounds * self._distances[-1] + np.interp(self._local(time), self.times, self._distances))

    @cached_property
    def _distances(self) -> np.ndarray:
        """``(n,)`` how far each place is along the way [m]."""
        return np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(self.positions, axis=0), axis=1))]

    def heading(self, time: float) -> float:
        """Return the heading of the motion at a time [rad]; at rest, the last or the first one; 0 if it never moves."""
        if len(self.times) < 2:
            return 0.0
        leg = int(np.clip(np.searchsorted(self.times, self._local(time), side="right") - 1, 0, len(self.times) - 2))
        way = self.positions[leg + 1] - self.positions[leg]
        return float(np.arctan2(-way[0], -way[2])) if np.hypot(way[0], way[2]) > 1e-9 else 0.0


class Course(Trajectory):
    """A trajectory that is decided while time passes; at its end it waits.

    Args:
        place: ``(3,)`` where it begins, at the time 0 [m].
    """

    def __init__(self, place: np.ndarray):
        super().__init__(times=np.zeros(1), positions=np.array(place, np.float64)[None])

    def go(self, place: np.ndarray, until: float) -> None:
        """Go straight on to a place.

        Args:
            place: ``(3,)`` [m].
            until: When it is reached [s], later than all that was decided before.

        Raises:
            ConfigurationError: The time is not later, a number is not finite, or that is faster than `FASTEST`.
        """
        kept = self.times >= self.times[-1] - REMEMBERED
        onward = Trajectory(
            times=np.append(self.times[kept], until), positions=np.vstack([self.positions[kept], place])
        )
        # The lengths that were derived from the old places go as well.
        self.__dict__.clear()
        self.__dict__.update(vars(onward))
