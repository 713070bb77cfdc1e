"""Channels of each listener format from paths and energy fields: mono, heads, ambisonics and microphone arrays.

All receive the same input: exact paths with their directions, and a field with its energy and mean direction. A
receiver defines how its channels weigh and delay a direction, and which coherence they have in a diffuse field.
"""

import functools
from collections.abc import Callable
from typing import Protocol

import numpy as np

from harken.acoustics.directivity import body_frame, sphere_directions
from harken.acoustics.hearing.ambisonics import Ambisonics, encode
from harken.acoustics.hearing.hrtf import HeadResponse, hear_head_waves, interpolate_head
from harken.acoustics.hearing.lines import head_lines, plain_lines
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.acoustics.hearing.synthesis import PathFilters, add_shaped, fade_end, path_filters
from harken.acoustics.hearing.waves import (
    PADDING,
    STREAMS,
    add_waves,
    draw_waves,
    grain_count,
    mean_direction,
    wave_noise,
)  # fmt: skip
from harken.acoustics.protocol import PATH_KINDS, ImpulseResponse, Listener, ListenerFormat, SoundPaths, channels_of
from harken.acoustics.tracing import FAST
from harken.errors import ConfigurationError
from harken.once import kept
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS
from harken.sound.delay_lines import DelayLines

__all__ = ["Receiver", "SynthesizedParts", "Synthesizer", "synthesizer"]

SPECULAR = PATH_KINDS.index("specular")

FORMATS_KEPT = 8
"""Number of formats, besides binaural and mono, that a synthesizer keeps; the oldest is dropped first."""


MOST_SAMPLES = 2**26
"""Largest number of samples of a response, all channels together: 256 MB."""


class Receiver(Protocol):
    """Renders paths and fields to the channels of one listener format."""

    channels: int
    """Number of channels."""

    def add_paths(self, out: np.ndarray, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> None:
        """Add exact paths to ``(channels, samples)`` in place.

        Args:
            out: The response.
            paths: The paths.
            frame: ``(3, 3)`` rotation from the world into the listener's frame.
            delays: ``(paths,)`` when they arrive at the listener's centre [samples].
        """
        ...

    def lines(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> DelayLines:
        """Return exact paths as delay lines, which sound like those of `add_paths` where nothing moves.

        Args:
            paths: The paths.
            frame: ``(3, 3)`` rotation from the world into the listener's frame.
            delays: ``(paths,)`` when they arrive at the listener's centre [samples].
        """
        ...

    def hear_waves(self, directions: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return how the channels hear plane waves.

        Args:
            directions: ``(waves, grains, 3)`` unit vectors to where they come from, in the world's frame.
            frame: ``(3, 3)`` rotation from the world into the listener's frame.

        Returns:
            Amplitudes, signed, and how much later than the listener's centre the channels hear them [samples]: both
            ``(channels, bands, waves, grains)`` float32.
        """
        ...


@functools.lru_cache(maxsize=4)
def synthesizer(rate: int, samples: int, seed: int, speed: float) -> "Synthesizer":
    """Return the `Synthesizer` of these arguments, which all engines share: it does not depend on the scene."""
    return Synthesizer(rate, samples, seed, speed)


class Synthesizer:
    """Makes impulse responses of one rate and length, for listeners of any format.

    Args:
        rate: Sampling rate [Hz].
        samples: Length of the responses.
        seed: Chooses the noise that carries the tail.
        speed: Speed of sound [m/s].
    """

    def __init__(self, rate: int, samples: int, seed: int, speed: float):
        self.rate, self.samples, self.seed, self.speed = rate, samples, seed, speed
        self._receivers: dict[ListenerFormat, Receiver] = {}

    @kept
    def _filters(self) -> PathFilters:
        return path_filters(self.rate)

    @kept
    def _noise(self) -> np.ndarray:
        return wave_noise(self.rate, self.samples, self.seed)

    def receiver(self, kind: ListenerFormat) -> Receiver:
        """Return the receiver of a format.

        Raises:
            ConfigurationError: A head has another sampling rate, or the response would have more than `MOST_SAMPLES`.
        """
        if kind not in self._receivers:
            if self.samples * channels_of(kind) > MOST_SAMPLES:
                raise ConfigurationError(
                    f"{channels_of(kind)} channels of {self.samples / self.rate:g} s at {self.rate} Hz have "
                    f"{self.samples * channels_of(kind)} samples; expected at most {MOST_SAMPLES}. Choose a shorter "
                    "duration, a lower rate or fewer channels."
                )
            own = sum(not isinstance(format, str) for format in self._receivers)
            if own >= FORMATS_KEPT:
                self._receivers.pop(next(format for format in self._receivers if not isinstance(format, str)))
            self._receivers[kind] = self._build(kind)
        return self._receivers[kind]

    def _build(self, kind: ListenerFormat) -> Receiver:
        if kind == "binaural":
            return _Head(HeadResponse.kemar(self.rate), self._filters)
        if isinstance(kind, HeadResponse):
            if kind.rate != self.rate:
                raise ConfigurationError(
                    f"Head {kind.name!r} has a sampling rate of {kind.rate} Hz, the responses {self.rate} Hz: read it "
                    f"with read_head(path, rate={self.rate})."
                )
            return _Head(kind, self._filters)
        if isinstance(kind, Ambisonics):
            return _AmbisonicPoint(kind, self._filters)
        if isinstance(kind, MicrophoneArray):
            return _Array(kind, self.speed, self.rate, self._filters)
        return _AmbisonicPoint(Ambisonics(order=0), self._filters)

    def add_tail(
        self, out: np.ndarray, field: np.ndarray, edges: np.ndarray, listener: Listener, *, before: int = 0,
        first: int = 0, source: int = 0,
    ) -> None:  # fmt: skip
        """Add an energy field as noise in place.

        Args:
            out: ``(channels, samples)`` float32.
            field: ``(bins, bands, 4)`` float32 energy and vector to where it comes from, in the world's frame.
            edges: ``(bins + 1,)`` edges of the time bins [s].
            listener: The listener.
            before: Number of bins that were left out before the first.
            first: First sample at which anything can arrive.
            source: Number of the source: others get independent tails.
        """
        noise = self._noise
        directions, starts = draw_waves(self.seed, source, grain_count(len(field) + before), noise.shape[1] - PADDING)
        directions = directions.copy()
        directions[STREAMS] = mean_direction(field)
        channels = self.receiver(listener.format).hear_waves(directions, listener.frame)
        position = np.asarray(listener.position, np.float64) / self.speed
        add_waves(out, field, (directions, starts), channels, position, self.rate, edges, noise, before, first)

    def respond(
        self,
        listener: Listener,
        paths: SoundPaths,
        field: np.ndarray | None = None,
        edges: np.ndarray | None = None,
        *,
        first: float = 0.0,
        source: int = 0,
    ) -> ImpulseResponse:
        """Return the response that a listener hears.

        Args:
            listener: The listener.
            paths: The exact paths.
            field: ``(bins, bands, 4)`` float32 energy and vector to where it comes from, in the world's frame, or None.
            edges: ``(bins + 1,)`` edges of the time bins of `field` [s].
            first: When the earliest part of the field can arrive [s].
            source: Number of the source: others get independent tails.
        """
        if field is not None and edges is not None:
            out = self.tail(listener, field, edges, first=first, source=source)
        else:
            out = self.silence(listener)
        self.add_paths(out, listener, paths)
        return ImpulseResponse(samples=out, rate=self.rate, paths=paths)

    def silence(self, listener: Listener) -> np.ndarray:
        """Return a response ``(channels, samples)`` float32 of zeros."""
        return np.zeros((listener.channels, self.samples), np.float32)

    def tail(
        self, listener: Listener, field: np.ndarray, edges: np.ndarray, *, first: float = 0.0, source: int = 0
    ) -> np.ndarray:
        """Return the part of a response that is not exact paths, ``(channels, samples)`` float32; see `respond`."""
        out = self.silence(listener)
        start = max(int(np.ceil(first * self.rate)), 0)
        self.add_tail(out, field, edges, listener, first=start, source=source)
        fade_end(out)
        return out

    def add_paths(self, out: np.ndarray, listener: Listener, paths: SoundPaths) -> None:
        """Add exact paths to a response ``(channels, samples)`` in place."""
        if len(paths):
            delays = paths.length * (self.rate / self.speed)
            self.receiver(listener.format).add_paths(out, paths, listener.frame, delays)

    def lines(self, kind: ListenerFormat, paths: SoundPaths, frame: np.ndarray, lengths: np.ndarray) -> DelayLines:
        """Return exact paths as delay lines; a path that is longer than a response is not heard.

        Args:
            kind: The listener's format.
            paths: The exact paths.
            frame: ``(3, 3)`` rotation from the world into the listener's frame.
            lengths: ``(paths,)`` lengths that decide the delays [m].
        """
        delays = lengths * (self.rate / self.speed)
        lines = self.receiver(kind).lines(paths, frame, delays)
        late = delays >= self.samples
        if late.any():
            lines.gain[late] = 0.0
        return lines


class SynthesizedParts:
    """The parts of a response that a synthesizer makes; see `harken.acoustics.protocol.ResponseParts`.

    Args:
        synthesizer: Makes them.
        listener: The listener.
        paths: The exact paths.
        tail: Returns the rest.
    """

    def __init__(self, synthesizer: Synthesizer, listener: Listener, paths: SoundPaths, tail: Callable[[], np.ndarray]):
        self.paths = paths
        self._synthesizer, self._listener, self._make_tail = synthesizer, listener, tail

    @kept
    def tail(self) -> np.ndarray:
        """``(channels, n)`` float32 response without the exact paths."""
        return self._make_tail()

    @kept
    def samples(self) -> np.ndarray:
        """``(channels, n)`` float32 response with them."""
        out = self.tail.copy()
        self._synthesizer.add_paths(out, self._listener, self.paths)
        return out

    def lines(self, lengths: np.ndarray | None = None, *, heading: float | None = None) -> DelayLines:
        """Return the exact paths as delay lines; see `harken.acoustics.protocol.ResponseParts`."""
        listener = self._listener
        frame = listener.frame if heading is None else body_frame(heading, listener.pitch)
        lengths = self.paths.length if lengths is None else lengths
        return self._synthesizer.lines(listener.format, self.paths, frame, lengths)


@kernel(fastmath=FAST)
def _add_head_paths(head, filters, out, directions, frame, delays, rate, energies, exact):
    """Add paths through a head, each with its filters and delays in the path's own direction."""
    taps, lag = np.zeros((2, head.filters.shape[2]), np.float32), np.zeros(2, np.float32)
    amplitude = np.empty(energies.shape[1])
    for i in range(len(delays)):
        d = frame @ directions[i]
        interpolate_head(head, d[0], d[1], d[2], taps, lag)
        for b in range(len(amplitude)):
            amplitude[b] = np.sqrt(energies[i, b])
        for ear in range(2):
            add_shaped(filters, exact[i], amplitude, delays[i] + lag[ear] * rate, taps[ear], out[ear])


@kernel(fastmath=FAST)
def _add_plain_paths(filters, out, delays, amplitudes, exact):
    """Add paths with amplitudes ``(paths, channels, bands)`` and delays ``(paths, channels)`` [samples]."""
    unit = np.ones(1, np.float32)
    for i in range(len(delays)):
        for c in range(out.shape[0]):
            add_shaped(filters, exact[i], amplitudes[i, c], delays[i, c], unit, out[c])


class _Head:
    """Two ears."""

    channels = 2

    def __init__(self, head: HeadResponse, filters: PathFilters):
        self.head, self._filters = head, filters
        self._waves = head.wave_tables

    def add_paths(self, out: np.ndarray, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> None:
        """Add exact paths in place; see `Receiver`."""
        exact = paths.kind != SPECULAR
        tables = self.head.tables
        _add_head_paths(tables, self._filters, out, paths.direction, frame, delays, self.head.rate, paths.energy, exact)

    def lines(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> DelayLines:
        """Return exact paths as delay lines; see `Receiver`."""
        exact, tables = paths.kind != SPECULAR, self.head.tables
        return head_lines(self._filters, tables, paths.direction, frame, delays, self.head.rate, paths.energy, exact)

    def hear_waves(self, directions: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return amplitudes and delays of plane waves; see `Receiver`."""
        shape = 2, len(OCTAVE_BANDS), *directions.shape[:2]
        gains, delays = np.empty(shape, np.float32), np.empty(shape, np.float32)
        hear_head_waves(self._waves, directions, frame, gains, delays)
        return gains, delays


class _AmbisonicPoint:
    """Spherical harmonics at a point; of order 0 an omnidirectional microphone."""

    def __init__(self, kind: Ambisonics, filters: PathFilters):
        self.kind, self.channels, self._filters = kind, kind.channels, filters

    def add_paths(self, out: np.ndarray, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> None:
        """Add exact paths in place; see `Receiver`."""
        each, gains = self._heard(paths, frame, delays)
        amplitudes = gains * np.sqrt(paths.energy)[:, None, :]
        _add_plain_paths(self._filters, out, each, amplitudes, paths.kind != SPECULAR)

    def lines(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> DelayLines:
        """Return exact paths as delay lines; see `Receiver`."""
        return plain_lines(self._filters, *self._heard(paths, frame, delays), paths.energy, paths.kind != SPECULAR)

    def _heard(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return delays ``(paths, channels)`` and gains ``(paths, channels, 1)``."""
        gains = encode(_directions(paths, frame), self.kind.order, self.kind.normalization)
        return np.repeat(delays[:, None], self.channels, 1), gains[:, :, None]

    def hear_waves(self, directions: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return amplitudes and delays of plane waves; see `Receiver`."""
        gains = np.moveaxis(encode(directions @ frame.T, self.kind.order, self.kind.normalization), -1, 0)
        gains = np.repeat(gains[:, None].astype(np.float32), len(OCTAVE_BANDS), 1)
        return gains, np.zeros_like(gains)


class _Array:
    """Microphones."""

    def __init__(self, array: MicrophoneArray, speed: float, rate: int, filters: PathFilters):
        self.array, self.speed, self.rate, self.channels, self._filters = array, speed, rate, len(array), filters
        powers = array.gains(sphere_directions(512))
        self._alike = bool((powers == powers[..., :1]).all())

    def add_paths(self, out: np.ndarray, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> None:
        """Add exact paths in place; see `Receiver`."""
        each, gains = self._heard(paths, frame, delays)
        amplitudes = gains * np.sqrt(paths.energy)[:, None, :]
        _add_plain_paths(self._filters, out, each, amplitudes, paths.kind != SPECULAR)

    def lines(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> DelayLines:
        """Return exact paths as delay lines; see `Receiver`."""
        return plain_lines(self._filters, *self._heard(paths, frame, delays), paths.energy, paths.kind != SPECULAR)

    def _heard(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return delays ``(paths, channels)`` and gains ``(paths, channels, bands)``, one band where all are alike."""
        directions = _directions(paths, frame)
        each = delays[:, None] + self.array.delays(directions, self.speed) * self.rate
        gains = self.array.gains(directions)
        return each, gains[:, :, :1] if self._alike else gains

    def hear_waves(self, directions: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return amplitudes and delays of plane waves; see `Receiver`."""
        turned = directions @ frame.T
        gains = np.transpose(self.array.gains(turned), (2, 3, 0, 1)).astype(np.float32)
        delays = np.moveaxis(self.array.delays(turned, self.speed) * self.rate, -1, 0).astype(np.float32)
        return np.ascontiguousarray(gains), np.repeat(delays[:, None], gains.shape[1], 1)


def _directions(paths: SoundPaths, frame: np.ndarray) -> np.ndarray:
    """Return the directions of paths ``(n, 3)`` in the listener's frame; straight ahead for a source at its place."""
    directions = paths.direction @ frame.T
    return np.where((directions == 0.0).all(1, keepdims=True), [0.0, 0.0, -1.0], directions)
