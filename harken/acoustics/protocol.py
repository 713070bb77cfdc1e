"""The interface between users of sound and the engines that propagate it."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args, overload, runtime_checkable

import numpy as np

from harken.acoustics.directivity import Directivity, body_frame
from harken.acoustics.hearing.ambisonics import Ambisonics
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.checks import checked_number, checked_path, checked_point
from harken.errors import ConfigurationError, SoundError
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS
from harken.sound.delay_lines import DelayLines

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from harken.acoustics.measures import RoomMeasures

__all__ = [
    "FARTHEST",
    "PATH_KINDS",
    "ImpulseResponse",
    "Listener",
    "ListenerFormat",
    "MovingPropagation",
    "PathKind",
    "Propagation",
    "ResponseParts",
    "SoundPath",
    "SoundPaths",
    "Source",
    "SourceLike",
    "channels_of",
    "check_plain",
    "checked_listener",
    "checked_source",
]

PathKind = Literal["direct", "transmitted", "diffracted", "specular"]
"""How sound travels along an exact path from the source to the listener."""

PATH_KINDS: tuple[PathKind, ...] = get_args(PathKind)
"""The kinds of paths, in the order of `SoundPaths.kind`."""

ListenerFormat = Literal["binaural", "mono"] | HeadResponse | Ambisonics | MicrophoneArray
"""What a listener hears with: the built-in head, one omnidirectional microphone, another head, ambisonics, an array."""


def channels_of(kind: ListenerFormat) -> int:
    """Return the number of channels that a format has."""
    if isinstance(kind, Ambisonics):
        return kind.channels
    if isinstance(kind, MicrophoneArray):
        return len(kind)
    return 1 if kind == "mono" else 2


FARTHEST: float = 1e7
"""Greatest coordinate of a source or a listener [m]: beyond it, float32 rays no longer tell metres apart."""


def _set_pose(thing: "Source | Listener") -> None:
    """Check position, heading and pitch of a source or listener and convert them to their types."""
    what = type(thing).__name__
    position = checked_point(f"{what} position", thing.position)
    x, y, z = position.tolist()
    if max(abs(x), abs(y), abs(z)) > FARTHEST:
        raise ConfigurationError(
            f"{what} position is {position.tolist()}; expected coordinates within {FARTHEST:g} m of the origin."
        )
    position.flags.writeable = False
    object.__setattr__(thing, "position", position)
    for name in ("heading", "pitch"):
        object.__setattr__(thing, name, checked_number(f"{what} {name}", getattr(thing, name), unit="radians"))


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
    """Whether the source moves. Its exact paths are computed for its place; its reverberation is blended from fields at
    nearby places that are traced once each, so it is not traced anew at every step."""

    def __post_init__(self) -> None:
        """Check the pose."""
        _set_pose(self)
        if not isinstance(self.moving, bool | np.bool_):
            raise ConfigurationError(f"Source moving is {self.moving!r}; expected true or false.")
        if self.directivity is not None and not isinstance(self.directivity, Directivity):
            raise ConfigurationError(
                f"Source directivity is {self.directivity!r}; expected None or a directivity, such as "
                "harken.acoustics.directivity.talker()."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Listener:
    """A receiving point, and the way it faces."""

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
        _set_pose(self)
        plain = isinstance(self.format, str) and self.format in ("binaural", "mono")
        if not plain and not isinstance(self.format, HeadResponse | Ambisonics | MicrophoneArray):
            raise ConfigurationError(
                f"Listener format is {self.format!r}; expected 'binaural', 'mono', a HeadResponse, Ambisonics(order=…) "
                "or a MicrophoneArray."
            )

    @cached_property
    def frame(self) -> np.ndarray:
        """``(3, 3)`` rotation from the world into the listener's frame: rows right, up and back."""
        return body_frame(self.heading, self.pitch)

    @property
    def channels(self) -> int:
        """Number of channels that the format has."""
        return channels_of(self.format)


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundPath:
    """An exact path of sound from a source to a listener: its delay, level and direction."""

    kind: PathKind
    """"direct" in view, "transmitted" straight through, "diffracted" around corners, "specular" as by mirrors."""
    points: np.ndarray
    """``(n, 3)`` points from the source to the listener [m]."""
    length: float
    """Length of the way [m]."""
    energy: np.ndarray
    """``(bands,)`` squared pressure per octave band, relative to 1 at 1 m in the free field."""
    identity: int = 0
    """Number of the surfaces or edges that it belongs to; see `SoundPaths.identity`."""

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
    identity: np.ndarray
    """``(n,)`` int64 number of the surfaces or edges that a path belongs to, in their order: paths with the same number
    at two moments are one path, which has moved. 0 where it is not known."""

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
            identity=np.array([path.identity for path in paths], np.int64),
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
            identity=int(self.identity[index]),
        )

    @property
    def order(self) -> np.ndarray:
        """``(n,)`` number of reflections, or of edges."""
        return self.point_count - 2

    @cached_property
    def direction(self) -> np.ndarray:
        """``(n, 3)`` unit vectors from the listener to where the sound comes from."""
        return _directions(self.points, self.point_count - 2, self.point_count - 1)

    @cached_property
    def departure(self) -> np.ndarray:
        """``(n, 3)`` unit vectors from the source to where the sound goes."""
        return _directions(self.points, np.ones(len(self), np.int64), np.zeros(len(self), np.int64))


@kernel
def _directions(points, to, origin):
    """Return the unit vectors ``(n, 3)`` to points of paths from others, which are given by their numbers."""
    directions = np.empty((len(points), 3))
    for i in range(len(points)):
        dx = points[i, to[i], 0] - points[i, origin[i], 0]
        dy = points[i, to[i], 1] - points[i, origin[i], 1]
        dz = points[i, to[i], 2] - points[i, origin[i], 2]
        length = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-9)
        directions[i, 0], directions[i, 1], directions[i, 2] = dx / length, dy / length, dz / length
    return directions


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ImpulseResponse:
    """What a listener hears of an impulse at a source."""

    samples: np.ndarray
    """``(channels, n)`` float32 pressure relative to 1 at 1 m in the free field, from the moment of emission on."""
    rate: int
    """Sampling rate [Hz]."""
    paths: Sequence[SoundPath] = field(default=())
    """The exact paths, shortest first; empty for engines that do not report them."""

    @property
    def duration(self) -> float:
        """Length [s]."""
        return self.samples.shape[-1] / self.rate

    def __repr__(self) -> str:
        """Describe length and content, without the samples."""
        channels = self.samples.shape[0]
        return (
            f"ImpulseResponse({channels} channel{'' if channels == 1 else 's'}, {self.duration:g} s at {self.rate} Hz, "
            f"{len(self.paths)} exact path{'' if len(self.paths) == 1 else 's'})"
        )

    def save(self, path: str | Path) -> Path:
        """Write the samples as a WAV file of 32-bit floats, which keeps their level.

        Args:
            path: The file, ending in .wav; replaced if it exists. For SOFA files see
                `harken.acoustics.hearing.sofa.write_responses`.

        Returns:
            The path.

        Raises:
            ConfigurationError: The name does not end in .wav.
            SoundError: The file cannot be written.
        """
        import soundfile

        file = checked_path("The path of a response", path)
        if file.suffix.lower() != ".wav":
            raise ConfigurationError(f"File name {file.name!r}; expected one that ends in .wav.")
        name = None
        try:
            handle, name = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
            with os.fdopen(handle, "wb") as opened:
                soundfile.write(opened, self.samples.T, self.rate, format="WAV", subtype="FLOAT")
            os.replace(name, file)
        except (OSError, soundfile.SoundFileError) as error:
            if name is not None:
                Path(name).unlink(missing_ok=True)
            raise SoundError(
                f"The response cannot be written to {str(file)!r} ({getattr(error, 'strerror', None) or error}). "
                "Choose a folder that exists and has room."
            ) from error
        return file

    def plot(self, bands: Sequence[float] | None = None) -> "Figure":
        """Return a figure of the pressure and of the decay per octave band.

        It is `harken.acoustics.plots.plot_response`; save it with ``figure.savefig("response.png")``.
        """
        from harken.acoustics.plots import plot_response

        return plot_response(self, bands)

    def measures(self, bands: Sequence[float] | None = None) -> "RoomMeasures":
        """Return the measures of ISO 3382-1, ``(bands, channels)`` each: decay times, clarity, strength and others.

        It is `harken.acoustics.measures.room_measures`, which also lists the errors.
        """
        from harken.acoustics.measures import room_measures

        return room_measures(self.samples, self.rate, bands)


@runtime_checkable
class Propagation(Protocol):
    """An engine that propagates sound from a source to a listener. Tasks work with any of them."""

    rate: int
    """Sampling rate of the responses [Hz]."""

    def impulse_response(self, source: Source, listener: Listener) -> ImpulseResponse:
        """Return what `listener` hears of an impulse at `source`."""
        ...


class ResponseParts(Protocol):
    """A response in parts: exact paths, which can move, and the rest. Each part is computed when it is asked for."""

    @property
    def paths(self) -> SoundPaths:
        """The exact paths, shortest first."""
        ...

    @property
    def tail(self) -> np.ndarray:
        """``(channels, n)`` float32 response without the exact paths."""
        ...

    @property
    def samples(self) -> np.ndarray:
        """``(channels, n)`` float32 response with them, as `ImpulseResponse.samples`."""
        ...

    def lines(self, lengths: np.ndarray | None = None, *, heading: float | None = None) -> DelayLines:
        """Return the exact paths as delay lines.

        Args:
            lengths: ``(paths,)`` lengths that decide the delays [m]; those of the paths by default.
            heading: Where the listener faces [rad]; as in the response by default.
        """
        ...


@runtime_checkable
class MovingPropagation(Propagation, Protocol):
    """An engine that tells exact paths from the rest of a response, so that what moves is heard to move.

    With an engine that only returns responses, sound fades from one response to the next.
    """

    speed: float
    """Speed of sound [m/s]."""

    def parts(self, source: Source, listener: Listener) -> ResponseParts:
        """Return what `listener` hears of an impulse at `source`, in parts."""
        ...


SourceLike = Source | np.ndarray | Sequence[float]
"""A source, or the position ``(3,)`` of one that radiates equally in all directions [m]."""


def checked_source(source: Any) -> Source:
    """Return a source, made from a position if necessary.

    Raises:
        ConfigurationError: The argument is neither a `Source` nor three finite numbers.
    """
    if isinstance(source, Source):
        return source
    if isinstance(source, np.ndarray | list | tuple):
        return Source(position=source)  # type: ignore[arg-type]
    raise ConfigurationError(
        f"The source is {_excerpt(source)}; expected a Source or its position, such as "
        "Source(position=[1.0, 1.5, 2.0])."
    )


def checked_listener(listener: Any) -> Listener:
    """Check that the argument is a listener, and return it. A position alone would leave the heading open.

    Raises:
        ConfigurationError: The argument is not a `Listener`.
    """
    if isinstance(listener, Listener):
        return listener
    raise ConfigurationError(
        f"The listener is {_excerpt(listener)}; expected a Listener, such as Listener(position=[1.0, 1.5, 2.0], "
        "heading=0.0)."
    )


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def check_plain(source: SourceLike, listener: Listener, formats: Sequence[str], engine: str) -> tuple[Source, Listener]:
    """Check that an engine other than Harken's can render a source and a listener, and return both.

    Args:
        source: The source, or its position.
        listener: The listener.
        formats: The formats that the engine has.
        engine: Its name, for the message.

    Raises:
        ConfigurationError: The format is another one, the listener looks up or down, or the source is directional.
    """
    source, listener = checked_source(source), checked_listener(listener)
    if listener.format not in formats:
        raise ConfigurationError(
            f"Listener format is {listener.format!r}; {engine} has {' and '.join(map(repr, formats))} only."
        )
    if listener.pitch != 0.0 or source.directivity is not None:
        raise ConfigurationError(
            f"{engine} knows level listeners and sources without directivity only; the listener's pitch is "
            f"{listener.pitch:g} rad and the source's directivity {source.directivity!r}. Use Harken's own engine."
        )
    return source, listener
