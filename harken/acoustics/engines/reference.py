"""The reference tier: slow and unbiased, with an estimate of its own error.

Paths are followed from the source to point listeners as `harken.acoustics.engines.reference_tracing` describes. The
straight path, the paths around edges and, up to an order, mirror reflections are exact; everything else is an average
over rays, with the standard error that the spread of independent batches gives it. A warning is given where what one
measures from the result has not converged (`harken.acoustics.engines.convergence`). Batches are summed in a fixed
order, so the result is bit-identical for any number of threads.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from harken.acoustics.directivity import body_frame
from harken.acoustics.engines.convergence import Convergence, tell
from harken.acoustics.engines.reference_detection import MOMENTS, Medium, Surfaces, usual_detector_radius
from harken.acoustics.engines.reference_tracing import STEP, trace_batch
from harken.acoustics.fields.decay import CutDecay
from harken.acoustics.hearing.receivers import Synthesizer, synthesizer
from harken.acoustics.paths.exact import ExactPaths, source_gains
from harken.acoustics.paths.image_sources import MAXIMUM_ORDER
from harken.acoustics.places import paths_from_engine, place_for_engine
from harken.acoustics.protocol import (
    ImpulseResponse,
    Listener,
    SoundPath,
    SoundPaths,
    Source,
    SourceLike,
    checked_listener,
    checked_source,
)
from harken.acoustics.settings import EngineSettings
from harken.acoustics.tracing import Pattern, TimeBins, visible_ball
from harken.errors import ConfigurationError, SoundError
from harken.once import made_once
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["EnergyResponse", "ReferencePropagation", "ReferenceSettings"]

BATCHES = 16
"""Independent batches in a round: enough to estimate the standard error to within a fifth."""

PILOTS = 64, 1024
"""Least and greatest number of rays that are traced first, to know the mean energy of rays over time."""

WINDOW = 0.01
"""Width of the time windows over which `EnergyResponse.error` is taken [s]."""

AUDIBLE_DECAY = 1e-3
"""Windows count until this share of the energy remains: the first 30 dB of the decay."""

IMAGE_RAYS = 200_000
"""Rays that look for image sources; many, because a missed image is a bias."""


MOST_VALUES = 2**28
"""Largest number of values in the histograms of one tracing."""


@dataclass(frozen=True, kw_only=True)
class ReferenceSettings(EngineSettings):
    """How the reference tier propagates sound."""

    rate: int = 48_000
    """Sampling rate of impulse responses [Hz]."""
    duration: float = 2.0
    """How long sound is followed [s]."""
    bin: float = 0.001
    """Width of the time bins [s]."""
    bands: tuple[float, ...] = OCTAVE_BANDS
    """Octave bands that are traced [Hz], some or all of `OCTAVE_BANDS`; impulse responses need all."""
    rays: int = 32_000
    """Rays of a round; without `error` one round is traced."""
    error: float | None = None
    """Relative standard error at which tracing stops (see `EnergyResponse.error`); None traces one round."""
    max_rays: int = 10_000_000
    """Rays after which tracing stops even if the error is greater."""
    image_order: int = 2
    """Mirror reflections in a row from the source that are exact paths, 0–4; only with on–off scattering."""
    scattering: Literal["on-off", "vector"] = "on-off"
    """"on-off": the share s of the reflected energy is scattered after Lambert's law and the rest reflected like by a
    mirror, as ISO 17497-1 defines s. "vector": all of it leaves along (1 − s)·mirrored + s·Lambert direction
    (Christensen and Rindel 2005, "A new scattering method that combines roughness and diffraction effects")."""
    diffraction: bool = True
    """Whether edges beside the line of sight affect the direct sound and sound bends around edges where the source is
    out of view, as at rigid wedges (`harken.acoustics.paths.diffraction.bent`). Reflections are not diffracted."""
    detector_radius: float | None = None
    """Radius of the ball around a listener in which mirrored sound and, with vector scattering, all reflected sound is
    averaged [m]; None for one that grows with the rooms (`usual_detector_radius`)."""
    threads: int = 1
    """Threads that trace; the result does not depend on it."""

    def __post_init__(self) -> None:
        """Check the types and ranges."""
        self.check(
            duration=(0.01, 60.0),
            bin=(1e-4, 0.1),
            rays=(BATCHES, 1_000_000_000),
            max_rays=(1, 1_000_000_000_000),
            image_order=(0, MAXIMUM_ORDER),
            detector_radius=(0.01, 2.0),
            threads=(1, 1024),
        )
        if self.max_rays < self.rays:
            raise ConfigurationError(
                f"Setting max_rays is {self.max_rays}; expected at least rays, which is {self.rays}."
            )
        if self.error is not None and not 0.0 < self.error < 1.0:
            raise ConfigurationError(
                f"Setting error is {self.error!r}; expected a share between 0 and 1, such as 0.02, or None."
            )
        if self.scattering == "vector" and self.image_order > 0:
            raise ConfigurationError(
                "With vector scattering no reflection is exactly mirror-like, so there are no image sources: "
                "set image_order to 0."
            )
        unknown = [band for band in self.bands if band not in OCTAVE_BANDS]
        if unknown or len(self.bands) == 0 or list(self.bands) != sorted(set(self.bands)):
            raise ConfigurationError(
                f"Setting bands is {self.bands!r}; expected some of {OCTAVE_BANDS}, rising, each once."
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyResponse:
    """Energy that a point receives from an impulse at a source, over time, per octave band and by direction.

    Energies are time-integrated squared pressures relative to 1 at 1 m in the free field.
    """

    bands: tuple[float, ...]
    """Centre frequencies [Hz]."""
    bin: float
    """Width of a time bin [s]; the first begins at the emission."""
    traced: np.ndarray
    """``(bins, bands, 9)`` float64: what was traced. Energy e, e·(x, y, z) and e·(xx, yy, xy, xz, yz), where (x, y, z)
    is the unit vector to where it comes from in the world's frame; the missing zz is 1 − xx − yy."""
    standard_error: np.ndarray
    """``(bins, bands)`` float64 standard error of the traced energy."""
    total_error: np.ndarray
    """``(bands,)`` standard error of the sum of the traced energy over time."""
    error: float
    """Relative standard error of the traced energy in windows of 10 ms, root mean square over the first 30 dB of the
    decay, of the band where it is greatest; 0 where nothing was traced."""
    parts: np.ndarray
    """``(16, bins, bands)`` float64: the traced energy by sixteen equal parts of the rays; `traced` has their mean."""
    paths: tuple[SoundPath, ...]
    """The exact paths, not part of `traced`: the straight one first, then those around edges and mirror
    reflections, shortest first."""
    delays: np.ndarray
    """``(paths,)`` delays of the exact paths [s]."""
    path_energy: np.ndarray
    """``(paths, bands)`` energies of the exact paths in `bands`."""
    rays: int
    """Rays traced."""
    absorbed: np.ndarray
    """``(bands,)`` share of the source's energy absorbed by surfaces."""
    lost_in_air: np.ndarray
    """``(bands,)`` share absorbed by the air."""
    escaped: np.ndarray
    """``(bands,)`` share that left the scene through openings."""
    remaining: np.ndarray
    """``(bands,)`` share still travelling at the end."""
    by_chance: np.ndarray
    """``(bands,)`` share that rays lost by chance, where they ended or did not pass through a wall, less what others
    gained instead: 0 on average. With the four before it adds up to 1."""

    @cached_property
    def moments(self) -> np.ndarray:
        """``(bins, bands, 9)`` everything that arrives, the exact paths included, in the form of `traced`."""
        total = self.traced.copy()
        for path, delay, energy in zip(self.paths, self.delays, self.path_energy, strict=True):
            at = int(delay / self.bin)
            if at < len(total):
                x, y, z = path.direction
                total[at] += energy[:, None] * np.array([1, x, y, z, x * x, y * y, x * y, x * z, y * z])
        return total

    @property
    def energy(self) -> np.ndarray:
        """``(bands, bins)`` everything that arrives: what `harken.acoustics.measures` takes, at the rate 1/bin."""
        return self.moments[:, :, 0].T

    @property
    def arrival(self) -> float:
        """When the straight path arrives, or would [s]: the start of the measures of ISO 3382-1."""
        return float(self.delays[0])

    @cached_property
    def convergence(self) -> Convergence:
        """The standard errors of decay times, clarity and other measures, which say whether more rays are needed."""
        return Convergence.of(
            self.moments[:, :, 0] - self.traced[:, :, 0],
            self.parts,
            rate=1.0 / self.bin,
            start=self.arrival,
            bands=self.bands,
            rays=self.rays,
        )

    def received(self, axis: np.ndarray) -> np.ndarray:
        """Return what a figure-of-eight microphone receives.

        Args:
            axis: ``(3,)`` its axis, of any length: sound along it counts fully, sound from the side not at all.

        Returns:
            ``(bands, bins)`` energy, for lateral fractions.
        """
        x, y, z = np.asarray(axis, np.float64) / np.linalg.norm(axis)
        e, xx, yy, xy, xz, yz = (self.moments[:, :, i].T for i in (0, 4, 5, 6, 7, 8))
        return x * x * xx + y * y * yy + z * z * (e - xx - yy) + 2 * (x * y * xy + x * z * xz + y * z * yz)


class ReferencePropagation:
    """The reference tier, for checking other engines and for responses that may take minutes.

    Args:
        scene: The scene.
        settings: How sound is propagated.
    """

    def __init__(self, scene: Scene, settings: ReferenceSettings | None = None):
        self._world_scene, self.scene, self.settings = scene, scene.local, settings or ReferenceSettings()
        self.rate = self.settings.rate
        self.air = self.settings.air
        self.speed = float(self.air.speed_of_sound)
        self._attenuation = np.asarray(self.air.attenuation(OCTAVE_BANDS), np.float64)
        self._decay = CutDecay(self.settings.duration, longest=60.0, setting="ReferenceSettings")
        self._band_indices = np.array([OCTAVE_BANDS.index(band) for band in self.settings.bands])

    @cached_property
    def _exact(self) -> ExactPaths:
        settings = self.settings
        return ExactPaths(
            self.scene,
            air=self._attenuation,
            speed=self.speed,
            transmission=settings.transmission,
            diffraction=settings.diffraction,
            image_order=settings.image_order,
            image_rays=IMAGE_RAYS,
        )

    @cached_property
    def _surfaces(self) -> Surfaces:
        """What the tracing kernel takes as surfaces."""
        coefficients = np.ascontiguousarray(self.scene.coefficients[:, :, self._band_indices])
        if not self.settings.transmission:
            coefficients[2] = 0.0
        facets = self._exact.facets
        covered = np.zeros(len(self.scene.faces), bool) if facets is None else facets.covered
        transmits = bool((coefficients[2] > 0).any())
        return Surfaces(self.scene.normals, self.scene.material, coefficients, transmits, covered)

    @cached_property
    def _synthesizer(self) -> Synthesizer:
        samples = round(self.settings.duration * self.rate)
        return synthesizer(self.rate, samples, self.settings.seed, self.speed)

    def paths(self, source: SourceLike, listener: Listener) -> tuple[SoundPath, ...]:
        """Return the exact paths.

        The direct path, through any obstacles, comes first, then paths around edges if source and listener do not see
        each other, and mirror reflections, shortest first.
        """
        source = place_for_engine(self._world_scene, checked_source(source))
        listener = place_for_engine(self._world_scene, checked_listener(listener))
        return tuple(paths_from_engine(self._world_scene, path) for path in self._exact_paths(source, [listener])[0])

    def energy(self, source: SourceLike, listener: Listener) -> EnergyResponse:
        """Return the energy that a listener receives over time.

        Args:
            source: The source.
            listener: The listener; only its position matters.

        Returns:
            The response, with its standard error.

        Raises:
            SoundError: The source or the listener lies inside a wall or a piece of furniture, or both coincide.

        Warns:
            HarkenWarning: T20, EDT, C50 or the level of late sound has a standard error of more than one
                just-noticeable difference; given once for each scene, number of rays and kind of scattering.
        """
        return self.energies(source, [listener])[0]

    def energies(self, source: SourceLike, listeners: Sequence[Listener]) -> tuple[EnergyResponse, ...]:
        """Return what several listeners receive from one source, traced together; see `energy`.

        With `ReferenceSettings.error` the tracing stops when every listener's error is small enough.
        """
        source, listeners = checked_source(source), [checked_listener(listener) for listener in listeners]
        self._check_memory(len(listeners))
        for place in (source, *listeners):
            self._check_place(place)
        source = place_for_engine(self._world_scene, source)
        listeners = [place_for_engine(self._world_scene, listener) for listener in listeners]
        if any(np.linalg.norm(source.position - listener.position) < 1e-3 for listener in listeners):
            raise SoundError("Source and listener are at the same place, where the direct sound has no finite level.")
        exact = self._exact_paths(source, listeners)
        tally = _Tally(len(listeners), self._bins, len(self._band_indices), max(1, round(WINDOW / self.settings.bin)))
        mean = self._mean_energy(source)
        while True:
            self._trace_round(source, listeners, mean, tally)
            traced = tally.batches * self._rays_per_batch
            aim = self.settings.error
            if aim is None or tally.error().max() <= aim or traced + self.settings.rays > self.settings.max_rays:
                break
        exact = [tuple(paths_from_engine(self._world_scene, path) for path in paths) for paths in exact]
        responses = tuple(self._response(tally, i, exact[i], traced) for i in range(len(listeners)))
        situation = (self._world_scene.fingerprint, traced, self.settings.scattering)
        tell([r.convergence for r in responses], self.scene.name, situation, self.settings.max_rays)
        return responses

    def impulse_response(self, source: SourceLike, listener: Listener) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: The source.
            listener: The listener; `Listener.format` says what it hears with.

        Returns:
            The response, ``duration × rate`` samples long.

        Raises:
            SoundError: As `energy`.
            ConfigurationError: Not all octave bands are traced.
        """
        if tuple(self.settings.bands) != OCTAVE_BANDS:
            raise ConfigurationError(
                f"Impulse responses need all octave bands, {OCTAVE_BANDS}; the setting bands is {self.settings.bands}."
            )
        energy = self.energy(source, listener)
        bins = TimeBins.build(self.settings.duration)
        field = np.ascontiguousarray(_rebinned(energy.traced[:, :, :4], self.settings.bin, bins.edges), np.float32)
        self._decay.tell(field, bins.edges)
        paths = SoundPaths.of(energy.paths)
        return self._synthesizer.respond(listener, paths, field, bins.edges, first=energy.arrival)

    def _check_memory(self, listeners: int) -> None:
        settings = self.settings
        values = listeners * self._bins * len(settings.bands) * (MOMENTS * (2 + settings.threads) + BATCHES)
        if not listeners > 0 or values > MOST_VALUES:
            raise ConfigurationError(
                f"{listeners} listeners over {settings.duration:g} s in bins of {settings.bin:g} s need {values:.3g} "
                f"numbers; expected one listener or more and at most {MOST_VALUES:.3g} numbers (2 GB). Ask for fewer "
                "at a time, or take wider bins, a shorter duration or fewer threads."
            )

    @property
    def _bins(self) -> int:
        return int(np.ceil(self.settings.duration / self.settings.bin - 1e-9))

    @property
    def _rays_per_batch(self) -> int:
        return -(-self.settings.rays // BATCHES)

    def _exact_paths(self, source: Source, listeners: Sequence[Listener]) -> list[tuple[SoundPath, ...]]:
        prepared = self._exact.prepare(source)
        results: list[tuple[SoundPath, ...]] = []
        for listener in listeners:
            paths = tuple(self._exact.find(prepared, listener.position))
            straight = [path for path in paths if path.kind in ("direct", "transmitted")]
            if not straight:
                points = np.array([source.position, listener.position])
                length = float(np.linalg.norm(points[1] - points[0]))
                straight = [
                    SoundPath(kind="transmitted", points=points, length=length, energy=np.zeros(len(OCTAVE_BANDS)))
                ]
            results.append((*straight, *(path for path in paths if path.kind not in ("direct", "transmitted"))))
        return results

    @made_once
    def _detector_radius(self) -> float:
        given = self.settings.detector_radius
        return usual_detector_radius(self.scene) if given is None else given

    def _trace_round(
        self, source: Source, listeners: Sequence[Listener], mean: np.ndarray, tally: "_Tally"
    ) -> None:  # fmt: skip
        positions = np.array([listener.position for listener in listeners])
        radius, triangles = self._detector_radius, self.scene.triangles.kernel_data
        balls = np.array([(radius, visible_ball(triangles, p, radius, 8192)) for p in positions])
        seeds = np.random.SeedSequence([self.settings.seed, tally.batches]).generate_state(BATCHES, np.uint64)
        with ThreadPoolExecutor(self.settings.threads) as pool:
            for histogram, balance, _ in pool.map(
                lambda seed: self._trace(source, positions, balls, self._rays_per_batch, seed, mean), seeds
            ):
                tally.add(histogram, balance)

    def _mean_energy(self, source: Source) -> np.ndarray:
        """Return the mean energy ``(steps, bands)`` of a ray of a batch over time, from a few rays."""
        rays = int(np.clip(self.settings.rays // 32, *PILOTS))
        seed = np.random.SeedSequence([self.settings.seed, 0, 1]).generate_state(1, np.uint64)[0]
        steps = int(np.ceil(self.settings.duration / STEP)) + 1
        unknown = np.zeros((steps, len(self._band_indices)))
        _, _, present = self._trace(source, np.empty((0, 3)), np.empty((0, 2)), rays, seed, unknown)
        return present / (self.speed * STEP * self._rays_per_batch)

    def _trace(
        self, source: Source, positions: np.ndarray, balls: np.ndarray, rays: int, seed: np.uint64, mean: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Trace a batch; returns what reaches the positions, the balance and the energy present (`trace_batch`)."""
        gains, bands = np.ascontiguousarray(source_gains(source)[:, :, self._band_indices]), len(self._band_indices)
        histogram = np.zeros((len(positions), self._bins, bands, MOMENTS))
        balance, present = np.zeros((5, bands)), np.zeros_like(mean)
        trace_batch(
            self.scene.triangles.kernel_data,
            self._surfaces,
            self.settings.scattering == "vector",
            self.settings.image_order,
            source.position.copy(),
            Pattern(gains, body_frame(source.heading, source.pitch)),
            rays,
            seed,
            mean,
            Medium(self._attenuation[self._band_indices], self.speed, float(self.settings.bin)),
            positions,
            balls,
            histogram,
            balance,
            present,
        )
        return histogram, balance, present

    def _response(self, tally: "_Tally", i: int, paths: tuple[SoundPath, ...], rays: int) -> EnergyResponse:
        absorbed, air, escaped, remaining, by_chance = tally.balance / (tally.batches * 4 * np.pi)
        return EnergyResponse(
            bands=tuple(self.settings.bands),
            bin=self.settings.bin,
            traced=tally.total[i] / tally.batches,
            standard_error=tally.standard_error(tally.total[i, :, :, 0], tally.squares[i]),
            total_error=tally.standard_error(tally.total[i, :, :, 0].sum(0), tally.total_squares[i]),
            error=float(tally.error()[i]),
            parts=tally.parts[:, i] * (BATCHES / tally.batches),
            paths=paths,
            delays=np.array([path.length for path in paths]) / self.speed,
            path_energy=np.array([path.energy for path in paths])[:, self._band_indices],
            rays=rays,
            absorbed=absorbed,
            lost_in_air=air,
            escaped=escaped,
            remaining=remaining,
            by_chance=by_chance,
        )

    def _check_place(self, place: Source | Listener) -> None:
        if self.scene.is_inside_solid(place_for_engine(self._world_scene, place).position):
            raise SoundError(
                f"The {type(place).__name__.lower()} at {place.position.round(3).tolist()} lies inside a wall or a "
                f"piece of furniture of {self.scene.name}, where there is no sound. Move it into the open."
            )


class _Tally:
    """Sums over batches, and the error estimated from their spread."""

    def __init__(self, listeners: int, bins: int, bands: int, window: int):
        self.batches, self.window = 0, window
        self.total = np.zeros((listeners, bins, bands, MOMENTS))
        self.squares, self.total_squares = np.zeros((listeners, bins, bands)), np.zeros((listeners, bands))
        self.windows, self.window_squares = (np.zeros((listeners, -(-bins // window), bands)) for _ in range(2))
        self.balance, self.parts = np.zeros((5, bands)), np.zeros((BATCHES, listeners, bins, bands))

    def add(self, histogram: np.ndarray, balance: np.ndarray) -> None:
        """Add a batch."""
        windows = np.add.reduceat(histogram[..., 0], np.arange(0, histogram.shape[1], self.window), axis=1)
        self.parts[self.batches % BATCHES] += histogram[..., 0]
        self.batches += 1
        self.total += histogram
        self.squares += histogram[..., 0] ** 2
        self.total_squares += histogram[..., 0].sum(1) ** 2
        self.windows += windows
        self.window_squares += windows**2
        self.balance += balance

    def standard_error(self, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Return the standard error of the mean over batches."""
        n = self.batches
        return np.sqrt(np.maximum(squares - total**2 / n, 0.0) / (n * (n - 1)))

    def error(self) -> np.ndarray:
        """Return `EnergyResponse.error` of every listener."""
        mean = self.windows / self.batches
        deviation = self.standard_error(self.windows, self.window_squares)
        to_come = np.cumsum(mean[:, ::-1], 1)[:, ::-1]
        counted = (mean > 0) & (to_come >= AUDIBLE_DECAY * to_come[:, :1])
        relative = np.where(counted, deviation / np.where(mean > 0, mean, 1.0), 0.0)
        return np.sqrt((relative**2).sum(1) / np.maximum(counted.sum(1), 1)).max(1)


def _rebinned(field: np.ndarray, width: float, edges: np.ndarray) -> np.ndarray:
    """Sum a histogram ``(bins, ...)`` of bins of one width into bins with the given edges [s], float32."""
    upto = np.concatenate([np.zeros((1, *field.shape[1:])), np.cumsum(field, 0)])
    at = np.clip(edges / width, 0, len(field))
    low = np.minimum(at.astype(int), len(field) - 1)
    share = (at - low)[:, None, None]
    return np.diff(upto[low] + share * (upto[low + 1] - upto[low]), axis=0).astype(np.float32)
