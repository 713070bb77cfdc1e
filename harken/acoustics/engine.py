"""Harken's fast engine: exact at every step what the ear needs exactly, traced once and reused what is statistical."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from harken.acoustics.air import Air
from harken.acoustics.cells import CellGrid, build_cells, cell_at
from harken.acoustics.field import EnergyField, TimeBins, read_field, trace_field
from harken.acoustics.paths import Route, diffracted_path, straight_path
from harken.acoustics.protocol import ImpulseResponse, Listener, SoundPath, Source
from harken.acoustics.synthesis import Synthesizer
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["AcousticSettings", "FastPropagation"]


@dataclass(frozen=True, kw_only=True)
class AcousticSettings:
    """How sound is propagated."""

    rate: int = 16_000
    """Sampling rate [Hz]."""
    duration: float = 1.0
    """Length of every impulse response [s]; what comes later is cut."""
    rays: int = 4_000
    """Rays traced per source."""
    cell: float = 0.5
    """Edge of the cells in which a source's energy is kept [m]; larger where memory would exceed `field_megabytes`."""
    transmission: bool = True
    """Whether sound passes through walls and furniture."""
    diffraction: bool = True
    """Whether sound bends around corners and through doors by the shortest way."""
    reverberation: bool = True
    """Whether reflected sound is heard; without it only the direct, transmitted and diffracted paths are."""
    temperature_celsius: float = 20.0
    """Temperature of the air [°C]."""
    humidity_percent: float = 50.0
    """Relative humidity of the air [%]."""
    seed: int = 0
    """Chooses the rays and the noise of the tail."""
    field_megabytes: float = 64.0
    """Most memory that one source's field may take [MB]."""
    cached_fields: int = 16
    """Number of sources whose fields are kept, the least recently heard dropped first."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low, high in (
            ("rate", 8_000, 192_000),
            ("duration", 0.01, 20.0),
            ("rays", 1, 100_000_000),
            ("cell", 0.1, 10.0),
            ("cached_fields", 1, 1_000_000),
            ("field_megabytes", 0.1, 1e6),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigurationError(f"Acoustic setting {name} is {value!r}; expected {low:g} to {high:g}.")


class FastPropagation:
    """The fast tier: exact direct, transmitted and diffracted sound, and a reverberation read from an energy field.

    A source is traced once; its field is then read wherever the listener goes. Results depend on the scene, the
    settings, the source and the listener only, never on what was asked before.

    Args:
        scene: The scene.
        settings: How sound is propagated.
        ears: ``(N, 3)`` places where listeners will be [m], such as the walkable floor raised by the height of the
            head. A listener elsewhere is heard too, at the cost of a tracing for the place.
        route: Proposes ways for sound around obstacles; without it nothing is diffracted.
    """

    def __init__(
        self,
        scene: Scene,
        settings: AcousticSettings | None = None,
        *,
        ears: np.ndarray | None = None,
        route: Route | None = None,
    ):
        self.scene, self.settings, self.route = scene, settings or AcousticSettings(), route
        self.rate = self.settings.rate
        self.air = Air(
            temperature_celsius=self.settings.temperature_celsius, humidity_percent=self.settings.humidity_percent
        )
        self.speed = float(self.air.speed_of_sound)
        self._attenuation = np.asarray(self.air.attenuation(np.array(OCTAVE_BANDS)), np.float64)
        self._bins = TimeBins.build(self.settings.duration)
        self._synthesizer = Synthesizer(self.rate, round(self.settings.duration * self.rate), self.settings.seed)
        self._grid = None if ears is None else self._build_grid(np.asarray(ears, np.float64))
        self._fields: OrderedDict[tuple, EnergyField] = OrderedDict()
        self._outside: set[bytes] = set()
        # Environments in several threads share an engine; the lock keeps them from tracing the same source twice.
        self._lock = threading.Lock()
        self._places: OrderedDict[tuple, CellGrid] = OrderedDict()

    def _build_grid(self, ears: np.ndarray) -> CellGrid:
        size = self.settings.cell
        while True:
            cells = len(np.unique(np.floor(ears / size), axis=0))
            if cells * len(self._bins.widths) * len(OCTAVE_BANDS) * 16 <= self.settings.field_megabytes * 1e6:
                return build_cells(self.scene.triangles, ears, size=size)
            size *= 1.25

    def field(self, source: Source, listener: np.ndarray | None = None) -> EnergyField:
        """Return the energy field of a source, traced on first use.

        Args:
            source: The source.
            listener: ``(3,)`` where it will be read [m]; where the floor's cells do not reach, a field for this
                place is traced.
        """
        grid, place = self._grid, None
        if grid is None or (listener is not None and cell_at(grid, listener) < 0):
            if listener is None:
                raise ConfigurationError(
                    "This propagation was made without `ears`, so a field needs the listener's position."
                )
            place, grid = self._place(listener)
        key = (source.position.tobytes(), place)
        with self._lock:
            return self._traced(key, source, grid)

    def _traced(self, key: tuple, source: Source, grid: CellGrid) -> EnergyField:
        if key not in self._fields:
            self._fields[key] = trace_field(
                self.scene,
                source.position,
                grid,
                self._bins,
                rays=self.settings.rays,
                seed=self.settings.seed,
                air=self._attenuation,
                speed=self.speed,
                transmission=self.settings.transmission,
            )
            while len(self._fields) > self.settings.cached_fields:
                self._fields.popitem(last=False)
        self._fields.move_to_end(key)
        return self._fields[key]

    def _place(self, listener: np.ndarray) -> tuple[tuple, CellGrid]:
        """Return a grid of the one cell around a listener away from the floor, and what names it."""
        key = tuple(np.asarray(listener, np.float64).tolist())
        if key not in self._places:
            self._places[key] = build_cells(self.scene.triangles, np.array([key]), size=self.settings.cell)
            while len(self._places) > self.settings.cached_fields:
                self._places.popitem(last=False)
        return key, self._places[key]

    def paths(self, source: Source, listener: Listener) -> tuple[SoundPath, ...]:
        """Return the exact paths from source to listener, shortest first."""
        s, r = source.position, listener.position
        straight = straight_path(self.scene, s, r, self._attenuation)
        if straight.kind == "direct":
            return (straight,)
        found = [straight] if self.settings.transmission and straight.energy.max() > 0 else []
        if self.settings.diffraction and self.route is not None:
            around = diffracted_path(self.scene, s, r, self.route, self._attenuation, self.speed)
            if around is not None:
                found.append(around)
        return tuple(found)

    def impulse_response(self, source: Source, listener: Listener) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: The source.
            listener: The listener; ``format="binaural"`` gives two channels, left first.

        Returns:
            The response, ``duration × rate`` samples long.

        Raises:
            SoundError: The source lies inside a wall or a piece of furniture.
        """
        self._check_source(source.position)
        out = np.zeros((2 if listener.format == "binaural" else 1, self._synthesizer.samples), np.float32)
        paths = self.paths(source, listener)
        if self.settings.reverberation:
            energy = self._energy_at(source, listener.position)
            nearest = float(np.linalg.norm(source.position - listener.position))
            first = int(np.ceil(nearest / self.speed * self.rate))
            self._synthesizer.add_tail(
                out, energy, self._bins.edges, listener.heading, first, _noise_offset(source.position)
            )
            self._synthesizer.fade_end(out)
        for path in paths:
            self._synthesizer.add_path(out, path, listener.heading, self.speed)
        return ImpulseResponse(samples=out, rate=self.rate, paths=paths)

    def _energy_at(self, source: Source, position: np.ndarray) -> np.ndarray:
        """Return the field ``(bins, bands, 4)`` at a listener, traced for the place where it sees no cell."""
        energy = read_field(self.scene, self.field(source, position), position)
        if energy is None:
            place, grid = self._place(position)
            with self._lock:
                field = self._traced((source.position.tobytes(), place), source, grid)
            energy = read_field(self.scene, field, position)
        assert energy is not None, "a cell whose anchor is the listener is always seen"
        return energy

    def _check_source(self, position: np.ndarray) -> None:
        key = position.tobytes()
        if key in self._outside:
            return
        if self.scene.is_inside_solid(position):
            raise SoundError(
                f"The source at {position.round(3).tolist()} lies inside a wall or a piece of furniture of "
                f"{self.scene.name}, where nothing can sound. Move it into the open."
            )
        if len(self._outside) > 10_000:
            self._outside.clear()
        self._outside.add(key)


def _noise_offset(position: np.ndarray) -> int:
    """Return a number that differs between sources, from their position alone."""
    return int.from_bytes(hashlib.sha256(np.round(position, 4).tobytes()).digest()[:4], "little")
