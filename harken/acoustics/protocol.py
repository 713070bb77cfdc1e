"""The seam between those who ask for sound and those who propagate it."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np

from harken.errors import ConfigurationError

__all__ = ["ImpulseResponse", "Listener", "PathKind", "Propagation", "SoundPath", "Source"]

PathKind = Literal["direct", "transmitted", "diffracted", "specular"]
"""How an exact path gets from the source to the listener."""


def _position(value: np.ndarray, what: str) -> np.ndarray:
    position = np.array(value, np.float64)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise ConfigurationError(f"{what} position is {value!r}; expected three finite numbers x, y, z in metres.")
    position.flags.writeable = False
    return position


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A point that radiates sound equally in all directions."""

    position: np.ndarray
    """``(3,)`` position [m]."""

    def __post_init__(self) -> None:
        """Check the position."""
        object.__setattr__(self, "position", _position(self.position, "Source"))


@dataclass(frozen=True, kw_only=True, eq=False)
class Listener:
    """A point that hears, and the way it faces."""

    position: np.ndarray
    """``(3,)`` position of the centre of the head [m]."""
    heading: float = 0.0
    """Heading [rad]: 0 looks along −z, positive counter-clockwise seen from above."""
    format: Literal["binaural", "mono"] = "binaural"
    """What it hears with: two ears of a head (channel 0 is left), or one omnidirectional microphone."""

    def __post_init__(self) -> None:
        """Check the pose."""
        object.__setattr__(self, "position", _position(self.position, "Listener"))
        if not np.isfinite(self.heading):
            raise ConfigurationError(f"Listener heading is {self.heading!r}; expected a finite angle in radians.")
        if self.format not in ("binaural", "mono"):
            raise ConfigurationError(f"Listener format is {self.format!r}; expected 'binaural' or 'mono'.")


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundPath:
    """A way that sound takes from a source to a listener, kept exact: its delay, level and direction."""

    kind: PathKind
    """"direct" in view, "transmitted" straight through, "diffracted" around corners, "specular" as by mirrors."""
    points: np.ndarray
    """``(n, 3)`` points from the source to the listener [m]."""
    length: float
    """Length of the way [m]."""
    energy: np.ndarray
    """``(bands,)`` squared pressure per octave band, relative to 1 at 1 m in the free field."""

    @property
    def direction(self) -> np.ndarray:
        """``(3,)`` unit vector from the listener to where the sound comes from."""
        way = self.points[-2] - self.points[-1]
        return way / max(float(np.linalg.norm(way)), 1e-9)


@dataclass(frozen=True, kw_only=True, eq=False)
class ImpulseResponse:
    """What a listener hears of an impulse at a source."""

    samples: np.ndarray
    """``(channels, n)`` float32 pressure relative to 1 at 1 m in the free field, from the moment of emission on."""
    rate: int
    """Sampling rate [Hz]."""
    paths: tuple[SoundPath, ...] = field(default=())
    """The paths that were kept exact, shortest first; empty for engines that do not tell."""

    @property
    def duration(self) -> float:
        """Length [s]."""
        return self.samples.shape[-1] / self.rate


@runtime_checkable
class Propagation(Protocol):
    """Anything that carries sound from a source to a listener. A task never knows which one it hears."""

    rate: int
    """Sampling rate of the responses [Hz]."""

    def impulse_response(self, source: Source, listener: Listener) -> ImpulseResponse:
        """Return what `listener` hears of an impulse at `source`."""
        ...
