"""Harken's fast engine: exact paths at every step, and statistical reverberation that is traced once and reused."""

import functools
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

import numpy as np

from harken.acoustics.directivity import Directivity
from harken.acoustics.engines.convergence import tell_excess, trace_enough
from harken.acoustics.engines.histogram import EnergyHistogram
from harken.acoustics.fields.cells import CellGrid, build_cells, cell_at
from harken.acoustics.fields.decay import CutDecay
from harken.acoustics.fields.field import EnergyField, read_field, trace_field
from harken.acoustics.fields.pair import trace_pair, trace_pair_in_parts
from harken.acoustics.fields.regions import Regions, build_regions
from harken.acoustics.fields.uncertainty import read_without
from harken.acoustics.fields.waypoints import blend_waypoints
from harken.acoustics.hearing.receivers import SynthesizedParts, synthesizer
from harken.acoustics.paths.exact import ExactPaths, ExactSource
from harken.acoustics.paths.straight import Route
from harken.acoustics.places import paths_from_engine, place_for_engine
from harken.acoustics.protocol import (
    FARTHEST,
    ImpulseResponse,
    Listener,
    SoundPaths,
    Source,
    SourceLike,
    checked_listener,
    checked_source,
)
from harken.acoustics.recent import RecentlyUsed
from harken.acoustics.settings import AcousticSettings
from harken.acoustics.tracing import Pattern, TimeBins
from harken.errors import ConfigurationError, SoundError
from harken.once import made_once
from harken.prepared import PreparedFolder, prepared_folder
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["FastPropagation"]

T = TypeVar("T")

HISTOGRAMS_KEPT = 64
"""Pairs of source and listener whose energies are kept."""

MOST_PLACES = 2**26
"""Largest number of cubes in the box around all ears; each needs an entry that says whether it holds a cell."""

FIELD_DEPENDS = (
    "duration", "image_order", "transmission", "temperature_celsius", "humidity_percent", "pressure_kilopascal", "seed",
)  # fmt: skip
"""Settings that a field depends on, besides its rays and cells."""

FIRST_RAYS, FIRST_PAIR_RAYS = 1_024, 128
"""Rays that are traced first where an error decides on their number: for a field, and from each end of a pair."""

JUDGED, SHARE = 12, 0.9
"""Cells at which a field's error is estimated, and the share of them where it has to be small enough."""

SOURCES_KEPT = 256
"""Sources whose images and paths around edges are kept; they take little memory."""


class FastPropagation:
    """The fast tier: exact paths, and a reverberation read from an energy field.

    A source is traced once; its field is then read wherever the listener goes. Results depend on the scene, the
    settings, the source and the listener only, not on earlier calls. Threads may share an engine.

    Args:
        scene: The scene.
        settings: How sound is propagated.
        ears: ``(N, 3)`` places where listeners will be [m], such as the walkable floor raised by the height of the
            head. For a listener elsewhere, and for every listener without `ears`, the pair is traced separately.
        route: Proposes paths for sound around obstacles where the search over edges finds none.
        prepared: Folder in which edges, images and fields are kept; by default the one that ``HARKEN_PREPARED`` in the
            environment names, if any.
        bare: The engine of ``scene.bare``, from which that of a scene with leaves of doors is made; made here
            otherwise.
    """

    def __init__(
        self,
        scene: Scene,
        settings: AcousticSettings | None = None,
        *,
        ears: np.ndarray | None = None,
        route: Route | None = None,
        prepared: PreparedFolder | None = None,
        bare: "FastPropagation | None" = None,
    ):
        self._bare = bare
        self._folder = prepared_folder() if prepared is None else prepared
        self._world_scene, self.scene, self.settings = scene, scene.local, settings or AcousticSettings()
        self.route = (
            route if route is None or not scene.is_far else functools.partial(_moved_route, route, scene.origin)
        )
        self.rate, self.air = self.settings.rate, self.settings.air
        self.speed = float(self.air.speed_of_sound)
        self._attenuation = np.asarray(self.air.attenuation(np.array(OCTAVE_BANDS)), np.float64)
        self._bins = TimeBins.build(self.settings.duration)
        samples = round(self.settings.duration * self.rate)
        self._synthesizer = synthesizer(self.rate, samples, self.settings.seed, self.speed)
        self._ears = None if ears is None else _checked_ears(ears) - scene.origin
        self._grid = None if self._ears is None else self._build_grid(self._ears, self.settings.cell)
        self._fields = RecentlyUsed[EnergyField](self.settings.cached_megabytes * 1e6, lambda f: f.size)
        self._sources = RecentlyUsed[ExactSource](SOURCES_KEPT)
        self._waypoints = RecentlyUsed[ExactSource | None](SOURCES_KEPT)
        self._blends = RecentlyUsed[list[tuple[ExactSource, float]]](HISTOGRAMS_KEPT)
        # A head that turns in place needs the same energies again.
        self._histograms = RecentlyUsed[EnergyHistogram](HISTOGRAMS_KEPT)
        self._found = RecentlyUsed[SoundPaths](HISTOGRAMS_KEPT)
        self._decay = CutDecay(self.settings.duration)
        self._in_parts = self.settings.errors or self.settings.max_error_jnd is not None

    def _build_grid(self, ears: np.ndarray, size: float) -> CellGrid:
        triangles, settings = self.scene.triangles, self.settings
        key = self.scene.fingerprint, ears, size, len(self._bins.widths), settings.field_megabytes

        def build() -> dict[str, Any]:
            fitting = self._fitting_size(ears, size)
            grid = build_cells(triangles, ears, size=fitting)
            return {name: value for name, value in vars(grid).items() if name != "triangles"}

        return CellGrid(**self._folder.get("cells", key, build), triangles=triangles)

    def _fitting_size(self, ears: np.ndarray, size: float) -> float:
        """Return the edge of cells, larger than `size` where a field would take too much memory."""
        while True:
            cells = len(np.unique(np.floor(ears / size), axis=0))
            places = np.prod(np.floor(np.ptp(ears, axis=0) / size) + 2.0)
            bytes_each = len(self._bins.widths) * len(OCTAVE_BANDS) * 16
            if cells * bytes_each <= self.settings.field_megabytes * 1e6 and places <= MOST_PLACES:
                return size
            size *= 1.25

    @made_once
    def _coarse_grid(self) -> CellGrid:
        """The cells of places around moving sources: larger, since several fields with fewer rays are blended."""
        assert self._ears is not None
        return self._build_grid(self._ears, 2.0 * self.settings.cell)

    @made_once
    def regions(self) -> Regions:
        """Pieces of air in which late sound is joined; made on first use, in 0.2 s."""
        return build_regions(self.scene)

    @made_once
    def exact(self) -> ExactPaths:
        """The search for exact paths in this scene; made on first use, in a second or less."""
        settings, bare = self.settings, self._bare
        if bare is None and self.scene.bare is not None:
            bare = FastPropagation(self.scene.bare, settings, prepared=self._folder)
        return ExactPaths(
            self.scene,
            air=self._attenuation,
            speed=self.speed,
            transmission=settings.transmission,
            diffraction=settings.diffraction,
            image_order=settings.image_order if settings.reverberation else 0,
            image_rays=settings.image_rays,
            route=self.route if settings.diffraction else None,
            prepared=self._folder,
            bare=None if bare is None else bare.exact,
        )

    def _prepared(self, source: Source) -> ExactSource:
        return self._sources.get(_source_key(source), lambda: self._prepare(source))

    def _prepare(self, source: Source) -> ExactSource:
        if self.exact.facets is None:  # otherwise the source's images check it
            self._check_place(source.position, "source")
        near = self._waypoints_near(source) if source.moving else []
        return self.exact.prepare(source, near=near[0][0] if near else None)

    def _check_place(self, position: np.ndarray, what: str) -> None:
        if self.scene.is_inside_solid(position):
            raise SoundError(
                f"The {what} at {(position + self._world_scene.origin).round(3).tolist()} lies inside a wall or a "
                f"piece of furniture of {self.scene.name}, where there is no sound. Move it into the open."
            )

    def prepare(self, source: SourceLike) -> None:
        """Prepare a source ahead of its first response, on any thread: its images, paths over edges and field.

        Responses are the same with and without this call.

        Args:
            source: The source, exactly as it will be used later.

        Raises:
            SoundError: The source lies inside a wall or a piece of furniture.
        """
        source = place_for_engine(self._world_scene, checked_source(source))
        exact = self._prepared(source)
        if self.settings.reverberation and self._grid is not None and not source.moving:
            self._field(source, exact, self._grid, self.settings.rays)

    def field(self, source: SourceLike) -> EnergyField:
        """Return the energy field of a source, traced on first use.

        Args:
            source: The source.

        Raises:
            ConfigurationError: The engine was made without `ears` and so has no cells to keep a field in.
            SoundError: The source lies inside a wall or a piece of furniture.
        """
        if self._grid is None:
            raise ConfigurationError(
                "This propagation was made without `ears`, so it keeps no fields: pass FastPropagation(scene, ears=…), "
                "or ask for energy(source, listener)."
            )
        source = place_for_engine(self._world_scene, checked_source(source))
        return self._field(source, self._prepared(source), self._grid, self.settings.rays)

    def _field(self, source: Source, exact: ExactSource, grid: CellGrid, rays: int) -> EnergyField:
        make = functools.partial(self._trace, exact, grid)
        if self.settings.max_error_jnd is not None:
            error = functools.partial(self._field_error, source, exact)
            return self._fields.get((rays, *_source_key(source)), lambda: self._enough(make, error, FIRST_RAYS))
        return self._fields.get((rays, *_source_key(source)), lambda: make(rays))

    def _trace(self, exact: ExactSource, grid: CellGrid, rays: int) -> EnergyField:
        def trace() -> tuple[np.ndarray, float, np.ndarray]:
            arguments: dict[str, Any] = {"rays": rays, "in_parts": self._in_parts, **self._tracing(exact)}
            field = trace_field(self.scene, exact.position, grid, self._bins, **arguments)
            return field.traced, field.escaped, field.parts

        settings = [*(getattr(self.settings, name) for name in FIELD_DEPENDS), self._in_parts]
        frame = exact.frame if exact.gains.size else None
        key = self.scene.fingerprint, settings, rays, exact.position, exact.gains, frame, grid.anchors, grid.size
        energy, escaped, parts = self._folder.get("field", key, trace)
        return EnergyField(grid=grid, bins=self._bins, traced=energy, escaped=escaped, rays=rays, parts=parts)

    def _enough(self, trace: Callable[[int], T], error: Callable[[T], float], first: int) -> T:
        """Trace as many rays as `max_error_jnd` takes."""
        bound, most = self.settings.max_error_jnd, self.settings.max_rays
        assert bound is not None
        traced, found = trace_enough(trace, error, first=first, most=most, bound=bound)
        if found > bound:
            tell_excess(found, bound, most, self.scene.name)
        return traced

    def _field_error(self, source: Source, exact: ExactSource, field: EnergyField) -> float:
        """Return the error that a field keeps to at most places [just-noticeable differences]."""
        anchors = field.grid.anchors
        places = anchors[np.unique(np.linspace(0, len(anchors) - 1, JUDGED).astype(int))]
        errors = []
        for place, without in zip(places, read_without(self.scene, field, places), strict=True):
            paths = self.exact.find(exact, place)
            nothing = np.zeros((*without.shape[1:], 4), np.float32)
            energy = _Reflected(nothing, field.rays, functools.partial(np.asarray, without))
            errors.append(_error_of(self._heard(source, place, paths, energy)))
        return float(np.quantile(errors, SHARE, method="higher"))

    def _tracing(self, exact: ExactSource) -> dict[str, Any]:
        """Return the arguments that `trace_field` and `trace_pair` share."""
        return {
            "seed": self.settings.seed,
            "air": self._attenuation,
            "speed": self.speed,
            "transmission": self.settings.transmission,
            "pattern": Pattern(exact.gains, exact.frame),
            "facets": self.exact.facets,
            "image_order": self.exact.image_order,
        }

    def _waypoints_near(self, source: Source) -> list[tuple[ExactSource, float]]:
        """Return the prepared places around a moving source that are blended for it, and their weights."""
        blend = functools.partial(
            blend_waypoints, self.scene, source.position, functools.partial(self._waypoint, source)
        )
        return self._blends.get(_source_key(source), blend)

    def _waypoint(self, source: Source, place: np.ndarray) -> ExactSource | None:
        there = _standing(source, place)
        inside = self.scene.is_inside_solid
        return self._waypoints.get(_source_key(there), lambda: None if inside(place) else self.exact.prepare(there))

    def paths(self, source: SourceLike, listener: Listener) -> SoundPaths:
        """Return the exact paths from source to listener, shortest first."""
        source, listener = self._placed(source, listener)
        return paths_from_engine(self._world_scene, self._paths(source, listener.position))

    def _paths(self, source: Source, position: np.ndarray) -> SoundPaths:
        key = _source_key(source), position.tobytes()
        return self._found.get(key, lambda: self.exact.find(self._prepared(source), position))

    def energy(self, source: SourceLike, listener: Listener) -> EnergyHistogram:
        """Return the energy that a listener receives over time.

        Args:
            source: The source.
            listener: The listener; only its position matters.

        Raises:
            SoundError: The source lies inside a wall or a piece of furniture.
        """
        source, listener = self._placed(source, listener)
        histogram = self._energy(source, listener)
        return (
            replace(histogram, paths=paths_from_engine(self._world_scene, histogram.paths))
            if self._world_scene.is_far
            else histogram
        )

    def _placed(self, source: SourceLike, listener: Listener) -> tuple[Source, Listener]:
        """Check a source and a listener and return them in the coordinates of the engine."""
        source, listener = checked_source(source), checked_listener(listener)
        leaf = self._world_scene.leaf_at(listener.position)
        if leaf is not None:
            raise SoundError(
                f"The listener at {listener.position.round(3).tolist()} is inside the leaf of {leaf.door.name!r}. "
                "Move it into the open."
            )
        return place_for_engine(self._world_scene, source), place_for_engine(self._world_scene, listener)

    def _energy(self, source: Source, listener: Listener) -> EnergyHistogram:
        key = _source_key(source), listener.position.tobytes()
        return self._histograms.get(key, lambda: self._histogram(source, listener.position))

    def _histogram(self, source: Source, position: np.ndarray) -> EnergyHistogram:
        paths, exact = self._paths(source, position), self._prepared(source)
        if not self.settings.reverberation:
            nothing = np.zeros((len(self._bins.widths), len(OCTAVE_BANDS), 4), np.float32)
            return self._heard(source, position, paths, _Reflected(nothing, 0, None))
        histogram = self._heard(source, position, paths, self._energy_at(source, exact, position, paths))
        self._decay.tell(histogram.energy, self._bins.edges)
        return histogram

    def _heard(
        self, source: Source, position: np.ndarray, paths: SoundPaths, reflected: "_Reflected"
    ) -> EnergyHistogram:
        return EnergyHistogram(
            paths=paths,
            energy=reflected.energy,
            edges=self._bins.edges,
            delays=paths.length / self.speed,
            arrival=float(np.linalg.norm(source.position - position)) / self.speed,
            rays=reflected.rays,
            without=reflected.without,
        )

    def impulse_response(self, source: SourceLike, listener: Listener) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: The source, or its position.
            listener: The listener; `Listener.format` says what it hears with.

        Returns:
            The response, ``duration × rate`` samples long.

        Raises:
            SoundError: The source or the listener lies inside a wall or a piece of furniture.
            ConfigurationError: An argument is not a source or a listener, or the head has another sampling rate.
            HarkenWarning: The response ends long before the sound has died away; given once for each duration.
        """
        parts = self.parts(source, listener)
        return ImpulseResponse(samples=parts.samples, rate=self.rate, paths=parts.paths)

    def parts(self, source: SourceLike, listener: Listener) -> SynthesizedParts:
        """Return what a listener hears of an impulse at a source, in parts that can move, each made when asked for.

        Arguments and errors are those of `impulse_response`, whose samples those of all parts are.
        """
        source, listener = self._placed(source, listener)
        paths = self._paths(source, listener.position)
        if self.settings.reverberation:
            tail = functools.partial(self._tail, source, listener)
        else:
            tail = functools.partial(self._synthesizer.silence, listener)
        return SynthesizedParts(self._synthesizer, listener, paths_from_engine(self._world_scene, paths), tail)

    def _tail(self, source: Source, listener: Listener) -> np.ndarray:
        histogram = self._energy(source, listener)
        nearest = math.dist(source.position.tolist(), listener.position.tolist()) / self.speed
        # A moving source keeps its waves, so that its tail does not jump.
        number = 0 if source.moving else _number_of(source.position.tobytes())
        return self._synthesizer.tail(listener, histogram.energy, histogram.edges, first=nearest, source=number)

    def impulse_responses(
        self, sources: Sequence[SourceLike], listeners: Sequence[Listener]
    ) -> tuple[tuple[ImpulseResponse, ...], ...]:
        """Return the responses of all sources at all listeners: one row per source, one column per listener."""
        return tuple(tuple(self.impulse_response(s, listener) for listener in listeners) for s in sources)

    def _energy_at(self, source: Source, exact: ExactSource, position: np.ndarray, paths: SoundPaths) -> "_Reflected":
        """Return the reflected energy at a listener: from fields, or traced for the pair."""
        if self._grid is not None and cell_at(self._grid, position) >= 0:
            read = self._read(source, exact, position)
            if read is not None:
                return read
        self._check_place(position, "listener")
        if self.settings.max_error_jnd is None:
            return self._pair(source, exact, position, self.settings.pair_rays)

        def error(pair: _Reflected) -> float:
            return _error_of(self._heard(source, position, paths, pair))

        return self._enough(functools.partial(self._pair, source, exact, position), error, FIRST_PAIR_RAYS)

    def _pair(self, source: Source, exact: ExactSource, position: np.ndarray, rays: int) -> "_Reflected":
        arguments: dict[str, Any] = {"rays": rays, "regions": self.regions, **self._tracing(exact)}
        if not self._in_parts:
            energy = trace_pair(self.scene, source.position, position, self._bins, **arguments)
            return _Reflected(energy, rays, None)
        energy, without = trace_pair_in_parts(self.scene, source.position, position, self._bins, **arguments)
        return _Reflected(energy, rays, functools.partial(np.asarray, without))

    def _read(self, source: Source, exact: ExactSource, position: np.ndarray) -> "_Reflected | None":
        """Return the reflected energy at a listener from fields, None where it sees no cell."""
        total, energy, rays = 0.0, None, 0
        for field, weight in self._fields_around(source, exact):
            part = read_field(self.scene, field, position)
            if part is not None:
                total, rays = total + weight, rays + field.rays
                energy = part * np.float32(weight) if energy is None else energy + part * np.float32(weight)
        if energy is None:
            return None
        without = functools.partial(self._read_without, source, exact, position) if self._in_parts else None
        return _Reflected(energy / np.float32(total), rays, without)

    def _read_without(self, source: Source, exact: ExactSource, position: np.ndarray) -> np.ndarray:
        """Return the energy ``(n, bins, bands)`` that would be read without each part of the rays."""
        total, energy = 0.0, np.zeros((), np.float32)
        for field, weight in self._fields_around(source, exact):
            if read_field(self.scene, field, position) is not None:
                total += weight
                energy = energy + np.float32(weight) * read_without(self.scene, field, position[None])[0]
        return energy / np.float32(total)

    def _fields_around(self, source: Source, exact: ExactSource) -> Iterator[tuple[EnergyField, float]]:
        """Yield the fields that are blended for a source, and their weights."""
        assert self._grid is not None
        if not source.moving:
            yield self._field(source, exact, self._grid, self.settings.rays), 1.0
            return
        for place, weight in self._waypoints_near(source):
            there = _standing(source, place.position)
            yield self._field(there, place, self._coarse_grid, self.settings.waypoint_rays), weight


class _Reflected(NamedTuple):
    """Reflected energy at a listener."""

    energy: np.ndarray
    """``(bins, bands, 4)`` energy and vector to where it comes from."""
    rays: int
    """Rays that were traced."""
    without: Callable[[], np.ndarray] | None
    """As `EnergyHistogram.without`."""


def _error_of(histogram: EnergyHistogram) -> float:
    """Return the error of the least certain of T20, EDT, C50 and the late level [just-noticeable differences]."""
    convergence = histogram.convergence
    return convergence.mean(convergence.worst)


def _moved_route(route: Route, origin: np.ndarray, source: np.ndarray, listener: np.ndarray) -> np.ndarray | None:
    """Ask for a route in the scene's coordinates and return it in the engine's."""
    way = route(source + origin, listener + origin)
    return None if way is None else way - origin


def _checked_ears(ears: np.ndarray) -> np.ndarray:
    try:
        places = np.asarray(ears, np.float64)
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"The ears are no array of places ({error}); expected (N, 3) numbers [m].") from error
    if places.ndim != 2 or places.shape[1:] != (3,) or len(places) == 0 or not (np.abs(places) <= FARTHEST).all():
        raise ConfigurationError(
            f"The ears have shape {places.shape}; expected (N, 3) finite places within {FARTHEST:g} m of the origin."
        )
    return places


def _standing(source: Source, place: np.ndarray) -> Source:
    """Return a copy of a moving source that stands at a place and faces one of eight directions."""
    eighth = 0.25 * np.pi
    return _source_at(place.tobytes(), source.directivity, round(source.heading / eighth) * eighth)


@functools.lru_cache(maxsize=4096)
def _source_at(place: bytes, directivity: Directivity | None, heading: float) -> Source:
    return Source(position=np.frombuffer(place), directivity=directivity, heading=heading)


def _source_key(source: Source) -> tuple:
    """Return a key that identifies a source: place, orientation, directivity, and whether it moves."""
    if source.directivity is None:
        return source.position.tobytes(), source.moving
    return source.position.tobytes(), source.moving, source.heading, source.pitch, source.directivity


@functools.lru_cache(maxsize=1024)
def _number_of(position: bytes) -> int:
    """Return a number that is different for each place."""
    rounded = np.round(np.frombuffer(position, np.float64), 4) + 0.0
    return int.from_bytes(hashlib.sha256(rounded.tobytes()).digest()[:4], "little")
