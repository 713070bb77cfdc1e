"""Sound sources of a world: a clip at a place or on a trajectory."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.acoustics import Source
from harken.acoustics.directivity import Directivity
from harken.checks import checked_count, checked_number, checked_point
from harken.errors import SoundError
from harken.sim.trajectory import Trajectory
from harken.sound.level import as_pressure

__all__ = ["SoundSource"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundSource:
    """A sound source: a clip at a place or on a trajectory, repeated from an offset on."""

    position: np.ndarray
    """``(3,)`` position [m]."""
    samples: np.ndarray
    """``(n,)`` float32 pressure at 1 m in the free field, at the simulator's rate; repeated without end. Integer PCM is
    divided by its full scale (`harken.sound.level.as_pressure`)."""
    offset: int = 0
    """First sample that sounds."""
    onset: float = 0.0
    """When it starts to sound [s]."""
    duration: float = float("inf")
    """How long it sounds [s]."""
    directivity: Directivity | None = None
    """How it radiates by direction; equally in all directions if None."""
    heading: float = 0.0
    """Where it faces [rad]; a moving source faces its direction of motion."""
    pitch: float = 0.0
    """Angle above the horizon at which it faces [rad]."""
    trajectory: Trajectory | None = None
    """Its trajectory, from the moment at which the sources are set; `position` is its start."""
    live: bool = False
    """Whether its owner writes `samples` while time passes, as `harken.sound.live.LiveSound` does: they are then read
    no further than `harken.sound.live.AHEAD` beyond the time that passes, and its trajectory may be a `Course`."""

    @staticmethod
    def moving(trajectory: Trajectory, samples: np.ndarray, **settings: Any) -> "SoundSource":
        """Return a moving source; `settings` are the other fields."""
        return SoundSource(position=trajectory.position(0.0), samples=samples, trajectory=trajectory, **settings)

    def at(self, time: float) -> Source:
        """Return the source for propagation at a time [s]."""
        if self.trajectory is None:
            return Source(position=self.position, directivity=self.directivity, heading=self.heading, pitch=self.pitch)
        return Source(
            position=self.trajectory.position(time),
            directivity=self.directivity,
            heading=self.trajectory.heading(time),
            pitch=self.pitch,
            moving=True,
        )

    def __post_init__(self) -> None:
        """Check all fields, so that no invalid value reaches a kernel.

        Raises:
            SoundError: The samples are not mono sound, or the place, the times or the angles are invalid.
        """
        samples = np.ascontiguousarray(as_pressure(self.samples, "The sound of a source"), np.float32)
        if samples.ndim != 1 or len(samples) == 0:
            raise SoundError(f"The sound of a source has shape {samples.shape}; expected (n,), one channel, n > 0.")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "position", checked_point("The position of a source", self.position, error=SoundError))
        for name, low in (("onset", 0.0), ("heading", -np.inf), ("pitch", -np.inf)):
            value = checked_number(f"The {name} of a source", getattr(self, name), low, error=SoundError)
            object.__setattr__(self, name, value)
        if self.duration != float("inf"):
            duration = checked_number("The duration of a source", self.duration, 0.0, unit="s", error=SoundError)
            object.__setattr__(self, "duration", duration)
        offset = checked_count("The offset of a source", self.offset, -(2**62), 2**62, unit="samples", error=SoundError)
        object.__setattr__(self, "offset", offset)
        for name, kind in (("directivity", Directivity), ("trajectory", Trajectory)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise SoundError(f"The {name} of a source is {value!r}; expected a {kind.__name__} or None.")
