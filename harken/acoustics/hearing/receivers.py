"""Channels of each listener format from paths and energy fields: mono, heads, ambisonics and microphone arrays.

All receive the same input: exact paths with their directions, and a field with its energy and mean direction. A
receiver defines how its channels weigh and delay a direction, and which coherence they have in a diffuse field.
"""

import functools
from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np

from harken.acoustics.bands import energy_weights
from harken.acoustics.directivity import body_frame, sphere_directions
from harken.acoustics.hearing.ambisonics import Ambisonics, encode, noise_gains
from harken.acoustics.hearing.hrtf import HeadResponse, interpolate_head
from harken.acoustics.hearing.lines import head_lines, plain_lines
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.acoustics.hearing.synthesis import (
    PathFilters,
    add_noise,
    add_shaped,
    band_carriers,
    fade_end,
    path_filters,
)
from harken.acoustics.protocol import PATH_KINDS, ImpulseResponse, Listener, ListenerFormat, SoundPaths, channels_of
from harken.acoustics.tracing import FAST
from harken.errors import ConfigurationError
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS
from harken.sound.delay_lines import DelayLines

__all__ = ["Receiver", "SynthesizedParts", "Synthesizer", "synthesizer"]

SPECULAR = PATH_KINDS.index("specular")

FORMATS_KEPT = 8
"""Number of formats, besides binaural and mono, whose noises a synthesizer keeps; the oldest is dropped first."""

MOST_NOISE = 2**28
"""Largest number of noise samples that one format's channels may need: 1 GB."""

LEAST_HEARD = 0.02
"""Least share of a diffuse field's energy that an ear hears where the fit to its directions turns negative."""


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

    def add_tail(
        self, out: np.ndarray, field: np.ndarray, edges: np.ndarray, frame: np.ndarray, first: int, offset: int
    ) -> None:
        """Add an energy field as noise in place.

        Args:
            out: ``(channels, samples)`` float32.
            field: ``(bins, bands, 4)`` float32 energy and vector to where it comes from, in the world's frame.
            edges: ``(bins + 1,)`` edges of the time bins [s].
            frame: ``(3, 3)`` rotation from the world into the listener's frame.
            first: First sample at which anything can arrive.
            offset: Where in the noise to begin: sources with different offsets get independent tails.
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

    @cached_property
    def _filters(self) -> PathFilters:
        return path_filters(self.rate)

    @cached_property
    def _beam(self) -> np.ndarray:
        """``(bands, n)`` the carriers of the directional part."""
        rng = np.random.default_rng([self.seed, 1])
        return band_carriers(rng.standard_normal((len(OCTAVE_BANDS), 2 * self.samples)), self.rate)

    def receiver(self, kind: ListenerFormat) -> Receiver:
        """Return the receiver of a format.

        Raises:
            ConfigurationError: A head has another sampling rate, or so many channels need more than `MOST_NOISE`
                samples of noise at this rate and length.
        """
        if kind not in self._receivers:
            noise = 2 * self.samples * len(OCTAVE_BANDS) * channels_of(kind)
            if noise > MOST_NOISE:
                raise ConfigurationError(
                    f"{channels_of(kind)} channels of {self.samples / self.rate:g} s at {self.rate} Hz need {noise} "
                    f"samples of noise; expected at most {MOST_NOISE}. Choose a shorter duration, a lower rate or "
                    "fewer channels."
                )
            own = sum(not isinstance(format, str) for format in self._receivers)
            if own >= FORMATS_KEPT:
                self._receivers.pop(next(format for format in self._receivers if not isinstance(format, str)))
            self._receivers[kind] = self._build(kind)
        return self._receivers[kind]

    def _build(self, kind: ListenerFormat) -> Receiver:
        carriers = self.rate, self.samples, self.seed, self._filters, self._beam
        if kind == "binaural":
            return _Head(HeadResponse.kemar(self.rate), *carriers)
        if isinstance(kind, HeadResponse):
            if kind.rate != self.rate:
                raise ConfigurationError(
                    f"Head {kind.name!r} has a sampling rate of {kind.rate} Hz, the responses {self.rate} Hz: read it "
                    f"with read_head(path, rate={self.rate})."
                )
            return _Head(kind, *carriers)
        if isinstance(kind, Ambisonics):
            return _AmbisonicPoint(kind, *carriers)
        if isinstance(kind, MicrophoneArray):
            return _Array(kind, self.speed, *carriers)
        return _AmbisonicPoint(Ambisonics(order=0), *carriers)

    def respond(
        self,
        listener: Listener,
        paths: SoundPaths,
        field: np.ndarray | None = None,
        edges: np.ndarray | None = None,
        *,
        first: float = 0.0,
        offset: int = 0,
    ) -> ImpulseResponse:
        """Return the response that a listener hears.

        Args:
            listener: The listener.
            paths: The exact paths.
            field: ``(bins, bands, 4)`` float32 energy and vector to where it comes from, in the world's frame, or None.
            edges: ``(bins + 1,)`` edges of the time bins of `field` [s].
            first: When the earliest part of the field can arrive [s].
            offset: Where in the noise to begin: sources with different offsets get independent tails.
        """
        if field is not None and edges is not None:
            out = self.tail(listener, field, edges, first=first, offset=offset)
        else:
            out = self.silence(listener)
        self.add_paths(out, listener, paths)
        return ImpulseResponse(samples=out, rate=self.rate, paths=paths)

    def silence(self, listener: Listener) -> np.ndarray:
        """Return a response ``(channels, samples)`` float32 of zeros."""
        return np.zeros((listener.channels, self.samples), np.float32)

    def tail(
        self, listener: Listener, field: np.ndarray, edges: np.ndarray, *, first: float = 0.0, offset: int = 0
    ) -> np.ndarray:
        """Return the part of a response that is not exact paths, ``(channels, samples)`` float32; see `respond`."""
        out = self.silence(listener)
        start = max(int(np.ceil(first * self.rate)), 0)
        noise = offset % (self.samples - self.samples // 8)
        self.receiver(listener.format).add_tail(out, field, edges, listener.frame, start, noise)
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

    @cached_property
    def tail(self) -> np.ndarray:
        """``(channels, n)`` float32 response without the exact paths."""
        return self._make_tail()

    @cached_property
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


@kernel(fastmath=FAST)
def _add_head_tail(out, field, frame, head, harmonics, directions, gains, edges, rate, carriers, beam, offset, first):
    """Add a field as two ears hear it."""
    bins, bands = field.shape[0], field.shape[1]
    flow = np.zeros(3)
    for t in range(bins):
        for b in range(bands):
            for axis in range(3):
                flow[axis] += field[t, b, 1 + axis]
    flow /= max(np.sqrt((flow * flow).sum()), 1e-30)
    towards = frame @ flow
    nearest, best = 0, -2.0
    for i in range(len(directions)):
        along = directions[i, 0] * towards[0] + directions[i, 1] * towards[1] + directions[i, 2] * towards[2]
        if along > best:
            nearest, best = i, along
    taps, lag = np.zeros((2, head.filters.shape[2]), np.float32), np.zeros(2, np.float32)
    interpolate_head(head, towards[0], towards[1], towards[2], taps, lag)
    shifts, centres, widths = np.empty(2, np.int64), np.empty(bins, np.int64), np.empty(bins, np.float32)
    for ear in range(2):  # a later carrier is read further on; those of both ears start within a millisecond
        shifts[ear] = int(np.round((max(lag[0], lag[1]) - lag[ear]) * rate))
    for t in range(bins):
        centres[t], widths[t] = int(0.5 * (edges[t] + edges[t + 1]) * rate), (edges[t + 1] - edges[t]) * rate
    diffuse, directed = np.empty((2, bands, bins + 2), np.float32), np.empty((2, bands, bins + 2), np.float32)
    u, v, w = np.float32(flow[0]), np.float32(flow[1]), np.float32(flow[2])
    turned = np.empty(3, np.float32)
    for ear in range(2):
        for b in range(bands):
            c0, gain = harmonics[b, ear, 0], gains[nearest, b, ear]
            for axis in range(3):
                turned[axis] = 0.0
                for j in range(3):
                    turned[axis] += np.float32(frame[j, axis]) * harmonics[b, ear, 1 + j]
            for t in range(bins):
                e, x, y, z = field[t, b, 0], field[t, b, 1], field[t, b, 2], field[t, b, 3]
                along = max(np.float32(0.0), x * u + y * v + z * w)
                e, x, y, z = e - along, x - along * u, y - along * v, z - along * w
                level = c0 * e + turned[0] * x + turned[1] * y + turned[2] * z
                level = max(level, np.float32(LEAST_HEARD) * c0 * e, np.float32(0.0))
                diffuse[ear, b, t + 1] = np.sqrt(level / widths[t])
                directed[ear, b, t + 1] = np.sqrt(along * gain / widths[t])
            diffuse[ear, b, 0], diffuse[ear, b, bins + 1] = diffuse[ear, b, 1], diffuse[ear, b, bins]
            directed[ear, b, 0], directed[ear, b, bins + 1] = directed[ear, b, 1], directed[ear, b, bins]
    add_noise(out, diffuse, directed, shifts, centres, carriers, beam, offset, first)


class _Head:
    """Two ears."""

    channels = 2

    def __init__(
        self, head: HeadResponse, rate: int, samples: int, seed: int, filters: PathFilters, beam: np.ndarray
    ) -> None:
        self.head, self.rate, self._filters, self._beam = head, rate, filters, beam
        rng = np.random.default_rng(seed)
        # Each band has its own noise: neighbouring bands overlap, and only independent noises add up in energy there.
        noise = np.stack([head.diffuse_noise(2 * samples, rng) for _ in OCTAVE_BANDS])
        carriers = band_carriers(noise, rate)
        # The harmonics contain the head's colouration, so that of the diffuse noise is removed per band.
        level = np.mean(carriers**2, axis=(1, 2), keepdims=True)
        plain = np.mean(beam**2, axis=1)[:, None, None]
        self._carriers = carriers * np.float32(np.sqrt(plain / np.maximum(level, 1e-20)))
        self._harmonics = np.array(head.energy_harmonics())
        self._gains = _direction_gains(head)

    def add_paths(self, out: np.ndarray, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> None:
        """Add exact paths in place; see `Receiver`."""
        exact = paths.kind != SPECULAR
        tables = self.head.tables
        _add_head_paths(tables, self._filters, out, paths.direction, frame, delays, self.rate, paths.energy, exact)

    def lines(self, paths: SoundPaths, frame: np.ndarray, delays: np.ndarray) -> DelayLines:
        """Return exact paths as delay lines; see `Receiver`."""
        exact, tables = paths.kind != SPECULAR, self.head.tables
        return head_lines(self._filters, tables, paths.direction, frame, delays, self.rate, paths.energy, exact)

    def add_tail(
        self, out: np.ndarray, field: np.ndarray, edges: np.ndarray, frame: np.ndarray, first: int, offset: int
    ) -> None:
        """Add an energy field as noise in place; see `Receiver`."""
        head = self.head.tables, self._harmonics, self.head.directions, self._gains
        _add_head_tail(out, field, frame, *head, edges, self.rate, self._carriers, self._beam, offset, first)


class _AmbisonicPoint:
    """Spherical harmonics at a point; of order 0 an omnidirectional microphone."""

    def __init__(
        self, kind: Ambisonics, rate: int, samples: int, seed: int, filters: PathFilters, beam: np.ndarray
    ) -> None:
        self.kind, self.rate, self.channels, self._filters, self._beam = kind, rate, kind.channels, filters, beam
        noise = np.random.default_rng([seed, 2]).standard_normal((len(OCTAVE_BANDS), kind.channels, 2 * samples))
        self._carriers = band_carriers(noise, rate)

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

    def add_tail(
        self, out: np.ndarray, field: np.ndarray, edges: np.ndarray, frame: np.ndarray, first: int, offset: int
    ) -> None:
        """Add an energy field as noise in place; see `Receiver`."""
        turned = np.concatenate([np.maximum(field[..., :1], 0.0), field[..., 1:] @ frame.T], -1)
        if self.kind.order == 0:
            turned[..., 1:] = 0.0  # a single microphone has no direction, so its one carrier holds everything
        diffuse, directed = noise_gains(turned, self.kind.order, self.kind.normalization)
        _add_envelopes(
            out, diffuse, directed, np.zeros(self.channels, np.int64), edges, self.rate, self._carriers, self._beam,
            offset, first,
        )  # fmt: skip


class _Array:
    """Microphones."""

    def __init__(
        self, array: MicrophoneArray, speed: float, rate: int, samples: int, seed: int, filters: PathFilters,
        beam: np.ndarray,
    ) -> None:  # fmt: skip
        self.array, self.speed, self.rate, self.channels = array, speed, rate, len(array)
        self._filters, self._beam = filters, beam
        rng = np.random.default_rng([seed, 3])
        noise = np.stack([array.diffuse_noise(2 * samples, rate, rng, speed) for _ in OCTAVE_BANDS])
        self._carriers = band_carriers(noise, rate)
        directions = sphere_directions(512)
        powers = array.gains(directions) ** 2
        # Energy that a microphone receives of a field: c0·W + c1·J, fitted over the sphere as for heads.
        functions = np.concatenate([np.ones((len(directions), 1)), directions], 1)
        self._harmonics = np.linalg.lstsq(functions, powers.reshape(len(directions), -1), rcond=None)[0]
        self._harmonics = self._harmonics.reshape(4, self.channels, len(OCTAVE_BANDS))
        self._alike = bool((powers == powers[..., :1]).all())
        # The carriers already have the microphones' diffuse level.
        self._mean = np.maximum(powers.mean(0), 1e-12)

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

    def add_tail(
        self, out: np.ndarray, field: np.ndarray, edges: np.ndarray, frame: np.ndarray, first: int, offset: int
    ) -> None:
        """Add an energy field as noise in place; see `Receiver`."""
        energy, vector = np.maximum(field[..., 0], 0.0), field[..., 1:] @ frame.T
        flow = vector.sum((0, 1))
        beam = flow / max(float(np.linalg.norm(flow)), 1e-30) if np.linalg.norm(flow) > 1e-30 else np.array([0, 0, -1])
        along = np.clip(vector @ beam, 0.0, energy)
        energy, vector = energy - along, vector - along[..., None] * beam
        levels = energy[..., None, :] * self._harmonics[0] + np.einsum("tbi,icb->tcb", vector, self._harmonics[1:])
        share = np.maximum(levels, LEAST_HEARD * energy[:, None] * self._harmonics[0]) / self._mean
        diffuse = np.sqrt(np.maximum(share, 0.0)).swapaxes(1, 2)
        directed = np.sqrt(along)[..., None] * self.array.gains(beam).T
        lag = self.array.delays(beam, self.speed) * self.rate
        shifts = np.round(lag.max() - lag).astype(np.int64)
        _add_envelopes(
            out, diffuse, directed, shifts, edges, self.rate, self._carriers, self._beam, offset, first
        )  # fmt: skip


def _directions(paths: SoundPaths, frame: np.ndarray) -> np.ndarray:
    """Return the directions of paths ``(n, 3)`` in the listener's frame; straight ahead for a source at its place."""
    directions = paths.direction @ frame.T
    return np.where((directions == 0.0).all(1, keepdims=True), [0.0, 0.0, -1.0], directions)


def _add_envelopes(
    out: np.ndarray, diffuse: np.ndarray, directed: np.ndarray, shifts: np.ndarray, edges: np.ndarray, rate: int,
    carriers: np.ndarray, beam: np.ndarray, offset: int, first: int,
) -> None:  # fmt: skip
    """Add noise with amplitudes ``(bins, bands, channels)`` per square root of energy in place."""
    widths = np.diff(edges)[:, None, None] * rate
    envelopes = [
        np.pad(np.moveaxis(e / np.sqrt(widths), 0, -1).swapaxes(0, 1), ((0, 0), (0, 0), (1, 1)), mode="edge")
        for e in (diffuse, directed)
    ]
    smooth, common = (np.ascontiguousarray(e, np.float32) for e in envelopes)
    centres = (0.5 * (edges[1:] + edges[:-1]) * rate).astype(np.int64)
    add_noise(out, smooth, common, shifts, centres, carriers, beam, offset, first)


def _direction_gains(head: HeadResponse) -> np.ndarray:
    """Return the band energies ``(directions, bands, 2)`` float32 of the head's filters."""
    size = 1024
    frequencies = np.fft.rfftfreq(size, 1 / head.rate)
    weights = energy_weights(frequencies) ** 2
    spectra = np.abs(np.fft.rfft(head.filters, size)) ** 2
    return (np.einsum("def,bf->dbe", spectra, weights) / weights.sum(1)[None, :, None]).astype(np.float32)
