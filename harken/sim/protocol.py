"""The seam between a world that is simulated and those who act in it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from harken.acoustics import ImpulseResponse, Listener, Source
from harken.acoustics.directivity import Directivity
from harken.errors import SoundError
from harken.sim.trajectory import Trajectory
from harken.sound.level import as_pressure

__all__ = ["SimulatorProtocol", "SoundSource"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundSource:
    """Something that sounds: a clip at a place or on its way, repeated from an offset on."""

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
    """Where it faces [rad]; a source on its way faces where it goes."""
    pitch: float = 0.0
    """Angle above the horizon at which it faces [rad]."""
    trajectory: Trajectory | None = None
    """Its way, from the moment at which the sources are set; `position` is where it starts."""

    @staticmethod
    def moving(trajectory: Trajectory, samples: np.ndarray, **settings: Any) -> "SoundSource":
        """Return a source on its way; `settings` are the other fields."""
        return SoundSource(position=trajectory.position(0.0), samples=samples, trajectory=trajectory, **settings)

    def at(self, time: float) -> Source:
        """Return what propagation needs to know of it at a time [s]."""
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
        """Check the samples."""
        samples = np.ascontiguousarray(as_pressure(self.samples, "The sound of a source"), np.float32)
        if samples.ndim != 1 or len(samples) == 0:
            raise SoundError(f"The sound of a source has shape {samples.shape}; expected (n,), one channel, n > 0.")
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "position", np.array(self.position, np.float64))


@runtime_checkable
class SimulatorProtocol(Protocol):
    """One world, one body, its eyes and ears, and what sounds around it."""

    position: np.ndarray
    """``(3,)`` where the body stands [m]."""
    heading: float
    """Where it faces [rad]."""

    def place(self, position: np.ndarray, heading: float) -> None:
        """Put the body somewhere."""
        ...

    def set_sources(self, sources: Sequence[SoundSource]) -> None:
        """Replace what sounds, and start time anew."""
        ...

    def move_forward(self, distance: float) -> bool:
        """Walk ahead; returns whether something was in the way."""
        ...

    def turn(self, angle: float) -> None:
        """Turn by an angle [rad], positive to the left."""
        ...

    def hear(self, samples: int) -> np.ndarray:
        """Let time pass and return ``(channels, samples)`` float32, what the ears heard."""
        ...

    def see(self, channels: Sequence[str]) -> dict[str, np.ndarray]:
        """Return images by name: "rgb", "depth", "semantic"."""
        ...

    def impulse_response(self, source: Source | None = None, listener: Listener | None = None) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source; by default the body and the first source."""
        ...

    def geodesic_distance(self, start: np.ndarray, goal: np.ndarray) -> float:
        """Return the length of the shortest way [m], inf where there is none."""
        ...

    def random_point(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random place ``(3,)`` where the body can stand [m]."""
        ...
