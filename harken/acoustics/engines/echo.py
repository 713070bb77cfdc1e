"""Echoes that return to the place where a sound was emitted, for agents that sense their surroundings by ear.

Source and listener are at one place, and with a signal of a few milliseconds the surfaces answer one after the other.
Mirror reflections are exact paths (image sources): a flat wall at the distance d answers after 2d/c with the amplitude
√((1 − α)(1 − s)) / (2d). What surfaces scatter is traced with next-event estimation in bins of a fraction of a
millisecond, and sounds as noise of that envelope and from those directions.

The direct sound from the mouth to the ears is left out: it carries no information about the room, and its level is
undefined at distance zero.

Published data: VisualEchoes (Gao, Chen, Al-Halah, Schissler and Grauman, ECCV 2020) plays a sweep of 3 ms from 20 Hz to
20 kHz at 44.1 kHz; Parida, Srivastava and Sharma (CVPR 2021) hear its first 60 ms, at 44.1 and 16 kHz.
"""

import functools
import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from harken.acoustics.directivity import Directivity, body_frame
from harken.acoustics.engines.histogram import EnergyHistogram
from harken.acoustics.fields.pair import trace_pair
from harken.acoustics.hearing.receivers import Synthesizer, synthesizer
from harken.acoustics.paths.exact import ExactPaths, ExactSource, source_gains
from harken.acoustics.paths.image_sources import ImageSources
from harken.acoustics.places import paths_from_engine, place_for_engine
from harken.acoustics.protocol import PATH_KINDS, ImpulseResponse, Listener, SoundPaths, Source, checked_listener
from harken.acoustics.recent import RecentlyUsed
from harken.acoustics.settings import EngineSettings
from harken.acoustics.tracing import Pattern, TimeBins
from harken.checks import checked_number
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS, Scene
from harken.sound.level import as_pressure

__all__ = ["EchoPropagation", "EchoSettings", "sweep"]

SPECULAR = PATH_KINDS.index("specular")

CARRIERS = 1.0
"""Least length of the noises that carry scattered sound [s]: long, so that different places hear different noise."""

ONE_DIRECTION = 5e-3
"""Time over which scattered sound has one mean direction, before the next surface answers [s]."""

PLACES_KEPT = 64
"""Places whose echoes are kept, so that turning around only needs the ears' part to be computed again."""

OVERSAMPLED = 8
"""Samples per period of a sweep's highest frequency from which one that passes the Nyquist frequency is made."""


def sweep(rate: int, *, duration: float = 3e-3, start: float = 20.0, end: float = 20_000.0) -> np.ndarray:
    """Return a linear sweep of amplitude 1, as VisualEchoes plays it.

    Where it passes the Nyquist frequency, it is the sweep at a multiple of the rate through a low-pass: at 16 kHz the
    first 1.2 of 3 ms are audible, and the rest is nearly silent.

    Args:
        rate: Sampling rate [Hz].
        duration: Length [s].
        start: First frequency [Hz].
        end: Last frequency [Hz], above or below the first.

    Returns:
        ``(n,)`` float32, n = duration × rate rounded.

    Raises:
        ConfigurationError: A value is not positive or too great (192 kHz, 60 s, 1 MHz), or the sweep is shorter than
            two samples.
    """
    for name, value, high in (
        ("rate", rate, 192_000), ("duration", duration, 60.0), ("start", start, 1e6), ("end", end, 1e6),
    ):  # fmt: skip
        checked_number(f"Sweep {name}", value, 0.0, high, above=True)
    count = round(duration * rate)
    if count < 2:
        raise ConfigurationError(f"A sweep of {duration:g} s at {rate} Hz has {count} samples; expected at least 2.")
    return _sweep(rate, count, duration, start, end).copy()


@functools.lru_cache(maxsize=16)
def _sweep(rate: int, count: int, duration: float, start: float, end: float) -> np.ndarray:
    finer = 1 if max(start, end) < 0.5 * rate else int(np.ceil(OVERSAMPLED * max(start, end) / rate))
    time = np.arange(count * finer) / (rate * finer)
    phase = 2.0 * np.pi * (start * time + 0.5 * (end - start) * time**2 / duration)
    samples = np.sin(phase)
    return (samples if finer == 1 else resample_poly(samples, 1, finer)[:count]).astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class EchoSettings(EngineSettings):
    """How echoes are simulated."""

    rate: int = 44_100
    """Sampling rate [Hz]; published are 44,100 and 16,000."""
    duration: float = 0.06
    """Length of the audible window, from the start of the signal [s]. The published 60 ms reach
    surfaces up to 10.3 m away."""
    image_order: int = 2
    """Mirror reflections in a row that are exact paths, 1 to 4."""
    image_rays: int = 500
    """Rays that look for sequences of mirroring facets, besides those aimed at every facet. All corners are tried for
    any value, and 500 rays miss 0.04 % of the energy at order 2; for orders above 2 take 8,000 or more.
    """
    rays: int = 200
    """Rays traced for what is scattered, and for mirror reflections beyond `image_order`."""
    bin_width: float = 0.25e-3
    """Width of the time bins of what is traced [s]."""

    def __post_init__(self) -> None:
        """Check the types and ranges."""
        self.check(
            duration=(0.005, 5.0),
            image_order=(1, 4),
            image_rays=(1, 100_000_000),
            rays=(1, 100_000_000),
            bin_width=(0.05e-3, 0.01),
        )

    @property
    def samples(self) -> int:
        """Length of the window [samples]."""
        return round(self.duration * self.rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class EchoPropagation:
    """Simulates echoes in one scene.

    Results depend on the scene, the settings, the place and the listener only, not on earlier calls. Threads may share
    it.
    """

    scene: Scene
    """The scene."""
    settings: EchoSettings = EchoSettings()
    """How echoes are simulated."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out derived data: it is computed again when needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields of a frozen dataclass."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @property
    def rate(self) -> int:
        """Sampling rate [Hz]."""
        return self.settings.rate

    @cached_property
    def speed(self) -> float:
        """Speed of sound [m/s]."""
        return float(self.settings.air.speed_of_sound)

    @cached_property
    def _attenuation(self) -> np.ndarray:
        return np.asarray(self.settings.air.attenuation(np.array(OCTAVE_BANDS)), np.float64)

    @cached_property
    def _exact(self) -> ExactPaths:
        return ExactPaths(
            self.scene.local,
            air=self._attenuation,
            speed=self.speed,
            transmission=False,
            diffraction=False,
            image_order=self.settings.image_order,
            image_rays=self.settings.image_rays,
        )

    @cached_property
    def _corners(self) -> np.ndarray:
        assert self._exact.facets is not None
        return self._exact.facets.corners()

    @cached_property
    def _bins(self) -> TimeBins:
        width = self.settings.bin_width
        return TimeBins.build(self.settings.duration, first=width, growth=0.0, widest=width, step=width)

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        samples = max(self.settings.samples, round(CARRIERS * self.rate))
        return synthesizer(self.rate, samples, self.settings.seed, self.speed)

    @cached_property
    def _places(self) -> RecentlyUsed[EnergyHistogram]:
        return RecentlyUsed[EnergyHistogram](PLACES_KEPT)

    def energy(
        self,
        position: np.ndarray,
        *,
        directivity: Directivity | None = None,
        heading: float = 0.0,
        pitch: float = 0.0,
    ) -> EnergyHistogram:
        """Return the returning energy over time: mirror reflections as paths, everything else in time bins.

        Args:
            position: ``(3,)`` place of source and listener [m].
            directivity: How the source radiates by direction; equally in all directions if None.
            heading: Where a directional source faces [rad].
            pitch: Angle above the horizon at which it faces [rad].

        Raises:
            ConfigurationError: The position is not three finite numbers.
            SoundError: The place lies inside a wall or a piece of furniture.
        """
        source = Source(position=position, directivity=directivity, heading=heading, pitch=pitch)
        source = place_for_engine(self.scene, source)
        key: tuple = (source.position.tobytes(),)
        if directivity is not None:
            key += (directivity, heading, pitch)
        histogram = self._places.get(key, lambda: self._find(source))
        return (
            replace(histogram, paths=paths_from_engine(self.scene, histogram.paths)) if self.scene.is_far else histogram
        )

    def _find(self, source: Source) -> EnergyHistogram:
        place = source.position
        if self.scene.local.is_inside_solid(place):
            raise SoundError(
                f"The listener at {(place + self.scene.origin).round(3).tolist()} lies inside a wall or a piece of "
                f"furniture of {self.scene.name}, where there is no echo. Move it into the open."
            )
        prepared = self._prepare(source)
        paths = _reflections(self._exact.find(prepared, place), self.settings.duration * self.speed)
        energy = trace_pair(
            self.scene.local,
            place,
            place,
            self._bins,
            rays=self.settings.rays,
            seed=self._number_of(place) % 2**31,
            air=self._attenuation,
            speed=self.speed,
            transmission=self.settings.transmission,
            pattern=Pattern(prepared.gains, prepared.frame),
            facets=self._exact.facets,
            image_order=self.settings.image_order,
        )
        return EnergyHistogram(paths=paths, energy=energy, edges=self._bins.edges, delays=paths.length / self.speed)

    def _prepare(self, source: Source) -> ExactSource:
        """Find the images of a source: facets that rays meet, and all corners, which reflect sound straight back."""
        exact, order = self._exact, self.settings.image_order
        assert exact.facets is not None
        images = ImageSources(
            self.scene.local,
            exact.facets,
            source.position,
            order,
            self.settings.image_rays,
            air=self._attenuation,
            also=self._corners if order > 1 else None,
        )
        frame = body_frame(source.heading, source.pitch)
        return ExactSource(position=source.position, gains=source_gains(source), frame=frame, images=images, ways=None)

    def _number_of(self, place: np.ndarray) -> int:
        """Return a number that depends on the seed and the place."""
        words = f"{self.settings.seed}/".encode() + (np.round(place, 6) + 0.0).tobytes()
        return int.from_bytes(hashlib.sha256(words).digest()[:8], "little")

    def impulse_response(self, listener: Listener, *, directivity: Directivity | None = None) -> ImpulseResponse:
        """Return what a listener hears of an impulse at its own place, without the direct sound.

        Args:
            listener: The listener, of any format.
            directivity: How the source radiates; it faces where the listener does.

        Returns:
            The response, ``duration × rate`` samples from the moment of emission on. It is silent where nothing
            answers within the window.

        Raises:
            SoundError: The listener lies inside a wall or a piece of furniture.
            ConfigurationError: It is no listener, or its head has another sampling rate.
        """
        listener = checked_listener(listener)
        histogram = self.energy(
            listener.position, directivity=directivity, heading=listener.heading, pitch=listener.pitch
        )
        receiver, frame = self._synthesizer.receiver(listener.format), listener.frame
        out = np.zeros((receiver.channels, self.settings.samples), np.float32)
        self._add_scattered(out, histogram.energy, listener)
        if len(histogram.paths):
            receiver.add_paths(out, histogram.paths, frame, histogram.delays * self.rate)
        return ImpulseResponse(samples=out, rate=self.rate, paths=histogram.paths)

    def _add_scattered(self, out: np.ndarray, field: np.ndarray, listener: Listener) -> None:
        """Add the scattered sound in place, a few milliseconds at a time, each stretch with its own direction."""
        sounding = np.flatnonzero(field[:, :, 0].any(1))
        if len(sounding) == 0:
            return
        edges = self._bins.edges
        begins = int(np.ceil(edges[sounding[0]] * self.rate))
        number = self._number_of(listener.position) % 2**32
        stretch = max(1, round(ONE_DIRECTION / self.settings.bin_width))
        for start in range(sounding[0] - sounding[0] % stretch, sounding[-1] + 1, stretch):
            end = min(start + stretch, len(field))
            # One silent bin on each side: the envelope runs linearly from bin to bin, and neighbours blend.
            low, high = max(start - 1, 0), min(end + 1, len(field))
            part = field[low:high].copy()
            part[: start - low] = 0.0
            part[end - low :] = 0.0
            if not part.any():
                continue
            tail = np.zeros((len(out), min(out.shape[1], int(np.ceil(edges[high] * self.rate)))), np.float32)
            first = max(begins, int(edges[low] * self.rate))
            self._synthesizer.add_tail(
                tail, part, edges[low : high + 1], listener, before=low, first=first, source=number
            )
            out[:, : tail.shape[1]] += tail

    def echo(
        self, listener: Listener, signal: np.ndarray | None = None, *, directivity: Directivity | None = None
    ) -> np.ndarray:
        """Return what a listener hears of a signal played at its own place.

        Args:
            listener: The listener, of any format.
            signal: ``(n,)`` pressure at 1 m at the settings' rate; `sweep(rate)` if None.
            directivity: How the source radiates; it faces where the listener does.

        Returns:
            ``(channels, duration × rate)`` float32, from the start of the signal.

        Raises:
            SoundError: The signal is longer than the window, empty, silent, or not finite, or the listener lies inside
                a wall or a piece of furniture.
            ConfigurationError: The listener's head has another sampling rate.
        """
        samples = sweep(self.rate) if signal is None else self._checked(signal)
        if len(samples) > self.settings.samples:
            raise SoundError(
                f"The signal is {len(samples)} samples long, {1e3 * len(samples) / self.rate:.4g} ms at {self.rate} Hz,"
                f" but only {1e3 * self.settings.duration:.4g} ms are heard. Shorten it or raise EchoSettings.duration."
            )
        response = self.impulse_response(listener, directivity=directivity).samples
        recording = fftconvolve(response, samples[None], axes=1)[:, : self.settings.samples]
        return np.ascontiguousarray(recording, np.float32)

    def _checked(self, signal: np.ndarray) -> np.ndarray:
        samples = np.asarray(as_pressure(signal, "The signal"), np.float32)
        if samples.ndim != 1 or len(samples) == 0:
            raise SoundError(f"The signal has shape {samples.shape}; expected (n,), one channel, n > 0.")
        if not samples.any():
            raise SoundError(f"All {len(samples)} samples of the signal are 0: silence has no echo. Give a sound.")
        return samples


def _reflections(paths: SoundPaths, farthest: float) -> SoundPaths:
    """Keep mirror reflections shorter than `farthest` [m]; the direct path, of length zero here, is left out."""
    near = (paths.kind == SPECULAR) & (paths.length < farthest)
    return SoundPaths(
        kind=paths.kind[near],
        length=paths.length[near],
        energy=paths.energy[near],
        points=paths.points[near],
        point_count=paths.point_count[near],
        identity=paths.identity[near],
    )
