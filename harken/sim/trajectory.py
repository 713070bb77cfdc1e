"""Trajectories of moving sources."""

from dataclasses import dataclass

import numpy as np

from harken.errors import ConfigurationError

__all__ = ["Trajectory"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trajectory:
    """A polyline in time: straight from one place to the next, at rest before the first and after the last.

    Raises:
        ConfigurationError: Times and positions do not fit together, do not rise, or are not finite.
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
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "positions", positions)

    @staticmethod
    def along(points: np.ndarray, speed: float, *, repeats: bool = False) -> "Trajectory":
        """Walk along points at a steady speed.

        Args:
            points: ``(n, 3)`` places [m]; equal neighbours count once.
            speed: Speed [m/s].
            repeats: Whether the way starts anew after the last place.

        Raises:
            ConfigurationError: The speed is not positive, or the points are not ``(n, 3)``.
        """
        if not (np.isfinite(speed) and speed > 0):
            raise ConfigurationError(f"Trajectory: speed is {speed!r}; expected metres per second above 0.")
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

    def heading(self, time: float) -> float:
        """Return the heading of the motion at a time [rad]; at rest, the last or the first one; 0 if it never moves."""
        if len(self.times) < 2:
            return 0.0
        leg = int(np.clip(np.searchsorted(self.times, self._local(time), side="right") - 1, 0, len(self.times) - 2))
        way = self.positions[leg + 1] - self.positions[leg]
        return float(np.arctan2(-way[0], -way[2])) if np.hypot(way[0], way[2]) > 1e-9 else 0.0
