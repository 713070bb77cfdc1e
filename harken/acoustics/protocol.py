"""The seam between those who ask for sound and those who propagate it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, get_args, overload, runtime_checkable

import numpy as np

from harken.acoustics.directivity import Directivity, body_frame
from harken.acoustics.hearing.ambisonics import Ambisonics
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.errors import ConfigurationError
from harken.scene import OCTAVE_BANDS

__all__ = [
    "PATH_KINDS",
    "ImpulseResponse",
    "Listener",
    "ListenerFormat",
    "PathKind",
    "Propagation",
    "SoundPath",
    "SoundPaths",
    "Source",
    "check_plain",
]

PathKind = Literal["direct", "transmitted", "diffracted", "specular"]
"""How an exact path gets from the source to the listener."""

PATH_KINDS: tuple[PathKind, ...] = get_args(PathKind)
"""The kinds of paths, in the order of `SoundPaths.kind`."""

ListenerFormat = Literal["binaural", "mono"] | HeadResponse | Ambisonics | MicrophoneArray
"""What a listener hears with: the built-in head, one omnidirectional microphone, another head, ambisonics, an array."""


def _position(value: np.ndarray, what: str) -> np.ndarray:
    position = np.array(value, np.float64)
    if position.shape != (3,) or not np.isfinite(position).all():
        raise ConfigurationError(f"{what} position is {value!r}; expected three finite numbers x, y, z in metres.")
    position.flags.writeable = False
    return position


def _check_angles(heading: float, pitch: float, what: str) -> None:
    for name, angle in (("heading", heading), ("pitch", pitch)):
        if not np.isfinite(angle):
            raise ConfigurationError(f"{what} {name} is {angle!r}; expected a finite angle in radians.")


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A point that radiates sound."""

    position: np.ndarray
    """``(3,)`` position [m]."""
    directivity: Directivity | None = None
    """How it radiates by direction; equally in all directions if None. See `harken.acoustics.directivity`."""
    heading: float = 0.0
    """Where a directional source faces [rad]: 0 looks along −z, positive counter-clockwise seen from above."""
    pitch: float = 0.0
    """Angle above the horizon at which a directional source faces [rad]."""
    moving: bool = False
    """Whether the source is on its way. Its exact paths are those of its place; its reverberation is blended from
    fields of places nearby that are traced once each, so that it need not be traced anew at every step."""

    def __post_init__(self) -> None:
        """Check the pose."""
        object.__setattr__(self, "position", _position(self.position, "Source"))
        _check_angles(self.heading, self.pitch, "Source")
        if self.directivity is not None and not isinstance(self.directivity, Directivity):
            raise ConfigurationError(
                f"Source directivity is {self.directivity!r}; expected None or a directivity, such as "
                "harken.acoustics.directivity.talker()."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Listener:
    """A point that hears, and the way it faces."""

    position: np.ndarray
    """``(3,)`` position of the centre of the head, or of the array [m]."""
    heading: float = 0.0
    """Heading [rad]: 0 looks along −z, positive counter-clockwise seen from above."""
    pitch: float = 0.0
    """Angle above the horizon [rad]."""
    format: ListenerFormat = "binaural"
    """What it hears with: "binaural", two ears of the built-in head (channel 0 is left); "mono", one omnidirectional
    microphone; a `HeadResponse`; `Ambisonics`; a `MicrophoneArray`."""

    def __post_init__(self) -> None:
        """Check the pose and the format."""
        object.__setattr__(self, "position", _position(self.position, "Listener"))
        _check_angles(self.heading, self.pitch, "Listener")
        if self.format not in ("binaural", "mono") and not isinstance(
            self.format, HeadResponse | Ambisonics | MicrophoneArray
        ):
            raise ConfigurationError(
                f"Listener format is {self.format!r}; expected 'binaural', 'mono', a HeadResponse, Ambisonics(order=…) "
                "or a MicrophoneArray."
            )

    @property
    def frame(self) -> np.ndarray:
        """``(3, 3)`` rotation from the world into the listener's frame: rows right, up and back."""
        return body_frame(self.heading, self.pitch)

    @property
    def channels(self) -> int:
        """Number of channels that the format has."""
        if isinstance(self.format, Ambisonics):
            return self.format.channels
        if isinstance(self.format, MicrophoneArray):
            return len(self.format)
        return 1 if self.format == "mono" else 2


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
    def order(self) -> int:
        """Number of reflections, or of edges."""
        return len(self.points) - 2

    @property
    def direction(self) -> np.ndarray:
        """``(3,)`` unit vector from the listener to where the sound comes from."""
        way = self.points[-2] - self.points[-1]
        return way / max(float(np.linalg.norm(way)), 1e-9)

    @property
    def departure(self) -> np.ndarray:
        """``(3,)`` unit vector from the source to where the sound goes."""
        way = self.points[1] - self.points[0]
        return way / max(float(np.linalg.norm(way)), 1e-9)


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundPaths(Sequence[SoundPath]):
    """The exact paths from a source to a listener, shortest first: a sequence of `SoundPath`, kept as arrays."""

    kind: np.ndarray
    """``(n,)`` int8 index into `PATH_KINDS`."""
    length: np.ndarray
    """``(n,)`` float64 length of the way [m]."""
    energy: np.ndarray
    """``(n, bands)`` float64 squared pressure per octave band, relative to 1 at 1 m in the free field."""
    points: np.ndarray
    """``(n, most, 3)`` float64 points from the source to the listener [m]; NaN after the listener."""
    point_count: np.ndarray
    """``(n,)`` int64 number of points of each path."""

    @staticmethod
    def of(paths: Sequence[SoundPath]) -> "SoundPaths":
        """Collect paths, shortest first."""
        paths = sorted(paths, key=lambda path: path.length)
        counts = np.array([len(path.points) for path in paths], np.int64)
        points = np.full((len(paths), int(counts.max(initial=2)), 3), np.nan)
        for row, path in zip(points, paths, strict=True):
            row[: len(path.points)] = path.points
        return SoundPaths(
            kind=np.array([PATH_KINDS.index(path.kind) for path in paths], np.int8),
            length=np.array([path.length for path in paths], np.float64),
            energy=np.array([path.energy for path in paths], np.float64).reshape(len(paths), len(OCTAVE_BANDS)),
            points=points,
            point_count=counts,
        )

    def __len__(self) -> int:
        """Number of paths."""
        return len(self.length)

    @overload
    def __getitem__(self, index: int) -> SoundPath: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[SoundPath, ...]: ...
    def __getitem__(self, index: int | slice) -> SoundPath | tuple[SoundPath, ...]:
        """Return a path by its number."""
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"There is no path {index}: there are {len(self)}, counted from 0.")
        return SoundPath(
            kind=PATH_KINDS[self.kind[index]],
            points=self.points[index, : self.point_count[index]],
            length=float(self.length[index]),
            energy=self.energy[index],
        )

    @property
    def order(self) -> np.ndarray:
        """``(n,)`` number of reflections, or of edges."""
        return self.point_count - 2

    @cached_property
    def direction(self) -> np.ndarray:
        """``(n, 3)`` unit vectors from the listener to where the sound comes from."""
        rows = np.arange(len(self))
        return _unit(self.points[rows, self.point_count - 2] - self.points[rows, self.point_count - 1])

    @cached_property
    def departure(self) -> np.ndarray:
        """``(n, 3)`` unit vectors from the source to where the sound goes."""
        return _unit(self.points[:, 1] - self.points[:, 0])


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), 1e-9)[:, None]


@dataclass(frozen=True, kw_only=True, eq=False)
class ImpulseResponse:
    """What a listener hears of an impulse at a source."""

    samples: np.ndarray
    """``(channels, n)`` float32 pressure relative to 1 at 1 m in the free field, from the moment of emission on."""
    rate: int
    """Sampling rate [Hz]."""
    paths: Sequence[SoundPath] = field(default=())
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


def check_plain(source: Source, listener: Listener, formats: Sequence[str], engine: str) -> None:
    """Refuse what an engine other than Harken's cannot render.

    Args:
        source: The source.
        listener: The listener.
        formats: The formats that the engine has.
        engine: Its name, for the message.

    Raises:
        ConfigurationError: The format is another one, the listener looks up or down, or the source is directional.
    """
    if listener.format not in formats:
        raise ConfigurationError(
            f"Listener format is {listener.format!r}; {engine} has {' and '.join(map(repr, formats))} only."
        )
    if listener.pitch != 0.0 or source.directivity is not None:
        raise ConfigurationError(
            f"{engine} knows level listeners and sources without directivity only; the listener's pitch is "
            f"{listener.pitch:g} rad and the source's directivity {source.directivity!r}. Use Harken's own engine."
        )
