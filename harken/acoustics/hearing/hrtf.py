"""Head-related impulse responses: the effect of the head on sound at the two ears.

Head frame: x right, y up, −z forward, and directions point from the head to the source. Channel 0 is the left ear.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
from scipy.fft import next_fast_len, rfft
from scipy.spatial import ConvexHull, KDTree, QhullError, SphericalVoronoi

from harken.acoustics.bands import energy_weights
from harken.acoustics.directivity import number_array
from harken.acoustics.tracing import FAST
from harken.checks import checked_count
from harken.errors import ConfigurationError
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS

__all__ = ["HeadResponse", "HeadTables", "WaveTables", "checked_head_rate", "hear_head_waves", "interpolate_head"]

_ROWS, _COLUMNS, _FINE_ROWS = 48, 96, 90
_LOWEST_RATE, _HIGHEST_RATE = 4000, 192000


class HeadTables(NamedTuple):
    """A head, as kernels take it."""

    start: np.ndarray
    """``(48, 96)`` int32 a triangle near each patch of elevation and azimuth, to start the search from."""
    inverses: np.ndarray
    """``(T, 3, 3)`` float64 the inverse of each triangle's corners."""
    neighbours: np.ndarray
    """``(T, 3)`` int32 its neighbours, opposite to each corner."""
    triangles: np.ndarray
    """``(T, 3)`` int32 its corners, indices into `HeadResponse.directions`."""
    delays: np.ndarray
    """`HeadResponse.delays`."""
    filters: np.ndarray
    """`HeadResponse.filters`."""


class WaveTables(NamedTuple):
    """How a head hears plane waves in octave bands, as kernels take it."""

    nearest: np.ndarray
    """``(90, 180)`` int32 the nearest of the head's directions to each patch of elevation and azimuth."""
    gains: np.ndarray
    """``(n, 2, bands)`` float32 amplitudes at the ears."""
    delays: np.ndarray
    """``(n, 2, bands)`` float32 delays against the centre of the head [samples]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class HeadResponse:
    """Head-related impulse responses: two short filters and two delays for every direction.

    Between the directions given, filters and delays are interpolated separately on the spherical triangle around the
    requested direction. The filters are aligned, so averaging neighbours causes no comb filtering.

    The built-in head is equalised to the diffuse field: averaged over all directions, either ear receives the energy
    that an omnidirectional microphone in the place of the head's centre would, in every octave band. Binaural and mono
    level therefore agree on average, and loudspeaker, microphone and ear canal of the measurement are not heard.

    Raises:
        ConfigurationError: The arrays do not fit together, or the directions do not surround the head.
    """

    rate: int
    """Sampling rate of the filters [Hz]."""
    directions: np.ndarray
    """``(n, 3)`` float64 unit vectors from the head to the source, in the head frame."""
    delays: np.ndarray
    """``(n, 2)`` float32 [s]: the first tap's instant relative to the sound's arrival at the centre of the head.

    Negative, down to about −0.8 ms, because the nearer ear is reached before the centre and the filters have a few
    quiet taps ahead of the onset."""
    filters: np.ndarray
    """``(n, 2, taps)`` float32: impulse responses of the left and the right ear, without the delays."""
    name: str = "head"
    """Human-readable description of what was measured."""

    def __post_init__(self) -> None:
        """Check the arrays and convert them to their types."""
        where = f"Head {self.name!r}:"
        directions = number_array(f"{where} directions", self.directions)
        delays = number_array(f"{where} delays", self.delays).astype(np.float32)
        filters = number_array(f"{where} filters", self.filters).astype(np.float32)
        count = len(directions)
        if (
            directions.shape != (count, 3)
            or delays.shape != (count, 2)
            or filters.shape[:2] != (count, 2)
            or filters.ndim != 3
        ):
            raise ConfigurationError(
                f"Head {self.name!r}: directions {directions.shape}, delays {delays.shape} and filters {filters.shape} "
                "do not fit together; expected (n, 3), (n, 2) and (n, 2, taps), left ear first."
            )
        lengths = np.linalg.norm(directions, axis=-1)
        finite = all(np.isfinite(values).all() for values in (directions, delays, filters))
        if not finite or not (lengths > 0).all():
            raise ConfigurationError(f"Head {self.name!r}: directions must not be zero, and all values must be finite.")
        directions /= lengths[:, None]
        object.__setattr__(self, "rate", checked_head_rate(self.rate))
        for field, values in (("directions", directions), ("delays", delays), ("filters", filters)):
            values.flags.writeable = False
            object.__setattr__(self, field, values)
        _ = self._triangulation

    def __getstate__(self) -> dict[str, Any]:
        """Leave out derived tables: they are computed again when needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the arrays as read-only ones, for which the same compiled code runs and gives the same bytes."""
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(self, name, value)

    @staticmethod
    def kemar(rate: int = 16000) -> "HeadResponse":
        """Return the built-in head: the MIT's KEMAR mannequin with its normal pinna (711 directions, 2.9 ms).

        Source: Gardner and Martin, "HRTF measurements of a KEMAR", J. Acoust. Soc. Am. 97, 3907 (1995). Diffuse-field
        equalised, continued below 160 Hz and aligned by `docs/data/convert_kemar.py`, which describes every step. The
        head is symmetric. Directions below −40° are interpolated towards a made-up one straight below.

        Args:
            rate: Sampling rate [Hz], 4000 to 192000. Results are kept per rate.

        Returns:
            The head at that rate, shared: its arrays are read-only.

        Raises:
            ConfigurationError: The rate is not a whole number in that range.
        """
        return _kemar(checked_head_rate(rate))

    @property
    def taps(self) -> int:
        """Length of the filters [samples]."""
        return self.filters.shape[2]

    @cached_property
    def solid_angles(self) -> np.ndarray:
        """``(n,)`` float64: share of the sphere that lies nearest to each direction; they sum to one."""
        areas = SphericalVoronoi(self.directions).calculate_areas()
        return areas / areas.sum()

    @cached_property
    def tables(self) -> HeadTables:
        """Arrays that `interpolate_head` takes."""
        triangles, neighbours = self._triangulation
        inverses = np.linalg.inv(np.swapaxes(self.directions[triangles], 1, 2))
        centres = _cell_centres(_ROWS, _COLUMNS)
        at_direction = np.zeros(len(self.directions), np.int32)
        at_direction[triangles] = np.arange(len(triangles), dtype=np.int32)[:, None]
        start = at_direction[(centres @ self.directions.T).argmax(-1)]
        return HeadTables(start, inverses, neighbours, triangles, self.delays, self.filters)

    @cached_property
    def wave_tables(self) -> WaveTables:
        """Arrays that `hear_head_waves` takes."""
        size = next_fast_len(max(8 * self.taps, int(16 * self.rate / OCTAVE_BANDS[0])), real=True)
        frequencies = np.fft.rfftfreq(size, 1.0 / self.rate)
        weights = energy_weights(frequencies) ** 2
        gains, delays = np.empty((2, len(self.directions), 2, len(OCTAVE_BANDS)))
        for ear in range(2):
            spectra = rfft(self.filters[:, ear].astype(np.float64), size)
            power = np.abs(spectra) ** 2
            gains[:, ear] = np.sqrt(power @ weights.T / weights.sum(1))
            # The phase delay, averaged over the band's energy, higher frequencies counting more.
            phase = np.unwrap(np.angle(spectra))
            mean = (power * phase) @ weights.T / np.maximum((power * frequencies) @ weights.T, 1e-30)
            delays[:, ear] = self.delays[:, ear, None] - mean / (2 * np.pi)
        _, nearest = KDTree(self.directions).query(_cell_centres(_FINE_ROWS, 2 * _FINE_ROWS))
        return WaveTables(nearest.astype(np.int32), gains.astype(np.float32), (delays * self.rate).astype(np.float32))

    def lookup(self, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the head's filters and delays for a direction.

        Args:
            direction: ``(3,)`` from the head to the source, in the head frame; any length. Zero means straight ahead.

        Returns:
            The filters ``(2, taps)`` float32 and the delays ``(2,)`` float32 [s], as `filters` and `delays`.

        Raises:
            ConfigurationError: The direction is not three finite numbers.
        """
        d = np.asarray(direction, np.float64)
        if d.shape != (3,) or not np.isfinite(d).all():
            raise ConfigurationError(f"Direction is {direction!r}; expected three finite numbers: right, up, back.")
        filters, delays = np.empty((2, self.taps), np.float32), np.empty(2, np.float32)
        interpolate_head(self.tables, d[0], d[1], d[2], filters, delays)
        return filters, delays

    def diffuse_spectra(self, size: int) -> np.ndarray:
        """Return the power spectra and the cross spectrum of the ears in a diffuse field.

        The field is one of uncorrelated white noises from everywhere, which a microphone would receive with the power
        one at every frequency.

        Args:
            size: Length of the Fourier transform [samples], at least `taps`.

        Returns:
            ``(3, size // 2 + 1)`` complex128: left power, right power, and the cross spectrum of left with right
            (left times the conjugate of right). The coherence is the last over the root of the product of the others.

        Raises:
            ConfigurationError: `size` is below `taps`.
        """
        if size < self.taps:
            raise ConfigurationError(f"Fourier size is {size}; expected at least the {self.taps} taps of the head.")
        frequencies = np.fft.rfftfreq(size, 1.0 / self.rate)
        spectra = np.zeros((3, len(frequencies)), np.complex128)
        for weight, delays, filters in zip(self.solid_angles, self.delays, self.filters, strict=True):
            left, right = rfft(filters.astype(np.float64), size)
            turned = np.exp(-2j * np.pi * frequencies * (float(delays[0]) - float(delays[1])))
            spectra += weight * np.stack([np.abs(left) ** 2, np.abs(right) ** 2, left * right.conj() * turned])
        return spectra

    @cached_property
    def _triangulation(self) -> tuple[np.ndarray, np.ndarray]:
        """Triangles that join the directions into a closed surface, and their neighbours, both ``(T, 3)`` int32."""
        try:
            hull = ConvexHull(self.directions)
        except (QhullError, ValueError) as error:
            raise ConfigurationError(
                f"Head {self.name!r}: its {len(self.directions)} directions do not surround it; expected four or more "
                "that do not lie in one plane."
            ) from error
        if hull.equations[:, 3].max() > -1e-6:
            raise ConfigurationError(
                f"Head {self.name!r}: its directions leave half of the sphere empty; add measured or "
                "extrapolated ones there."
            )
        if len(hull.vertices) < len(self.directions):
            raise ConfigurationError(
                f"Head {self.name!r}: {len(self.directions) - len(hull.vertices)} of its directions occur more than "
                "once; keep one filter for each."
            )
        return hull.simplices.astype(np.int32), hull.neighbors.astype(np.int32)


def _cell_centres(rows: int, columns: int) -> np.ndarray:
    """Return the directions ``(rows, columns, 3)`` in the middle of cells of elevation and azimuth."""
    elevation = (np.arange(rows) + 0.5) / rows * np.pi - 0.5 * np.pi
    azimuth = (np.arange(columns) + 0.5) / columns * 2.0 * np.pi - np.pi
    e, a = np.meshgrid(elevation, azimuth, indexing="ij")
    return np.stack([np.cos(e) * np.sin(a), np.sin(e), -np.cos(e) * np.cos(a)], -1)


def checked_head_rate(rate: Any) -> int:
    """Check that the sampling rate [Hz] of a head is a whole number from 4000 to 192000, and return it.

    Raises:
        ConfigurationError: The rate is not such a number.
    """
    whole = int(rate) if isinstance(rate, float) and rate.is_integer() else rate
    return checked_count("Sampling rate of the head", whole, _LOWEST_RATE, _HIGHEST_RATE, unit="Hz")


@lru_cache(maxsize=8)
def _kemar(rate: int) -> HeadResponse:
    with files("harken.acoustics").joinpath("data/kemar.npz").open("rb") as file, np.load(file) as data:
        left = data["filters"] * data["scale"].astype(np.float64)[:, None]
        measured, mirror = int(data["rate"]), data["mirror"]
        directions, delays = data["directions"], data["delays"]
    divisor = np.gcd(rate, measured)
    if rate != measured:
        # Imported here because scipy.signal takes a quarter of a second to import.
        from scipy.signal import resample_poly

        # A response is a density over time, so at a lower rate each sample has to weigh more.
        left = resample_poly(left, rate // divisor, measured // divisor, axis=-1) * (measured / rate)
    filters = np.stack([left, left[mirror]], 1)
    return HeadResponse(
        rate=rate,
        directions=directions,
        delays=np.stack([delays, delays[mirror]], 1),
        filters=filters,
        name="MIT KEMAR, normal pinna",
    )


@kernel
def interpolate_head(tables, dx, dy, dz, filters, delays):
    """Interpolate a head's filters and delays, from compiled code or from Python.

    Args:
        tables: `HeadResponse.tables`.
        dx: Direction from the head to the source, to the right; the vector may have any length.
        dy: The same upwards.
        dz: The same backwards. Zero in all three stands for straight ahead.
        filters: ``(2, taps)`` float32, filled; NaN where the direction is not finite.
        delays: ``(2,)`` float32, filled [s]; NaN where the direction is not finite.
    """
    start, all_delays, all_filters = tables.start, tables.delays, tables.filters
    norm = np.sqrt(dx * dx + dy * dy + dz * dz)
    if not np.isfinite(norm):
        filters[:], delays[:] = np.nan, np.nan
        return
    if norm == 0.0:
        dz, norm = -1.0, 1.0
    x, y, z = dx / norm, dy / norm, dz / norm
    rows, columns = start.shape
    row = min(int((np.arcsin(min(max(y, -1.0), 1.0)) / np.pi + 0.5) * rows), rows - 1)
    column = min(int((np.arctan2(x, -z) / (2.0 * np.pi) + 0.5) * columns), columns - 1)
    triangle = start[row, column]
    a = b = c = 0.0
    # Each step crosses the side that the direction lies beyond; from the patch's triangle that takes a few.
    for _ in range(64):
        m = tables.inverses[triangle]
        a = m[0, 0] * x + m[0, 1] * y + m[0, 2] * z
        b = m[1, 0] * x + m[1, 1] * y + m[1, 2] * z
        c = m[2, 0] * x + m[2, 1] * y + m[2, 2] * z
        if a <= b and a <= c:
            worst, least = 0, a
        elif b <= c:
            worst, least = 1, b
        else:
            worst, least = 2, c
        if least >= -1e-9:
            break
        triangle = tables.neighbours[triangle, worst]
    a, b, c = max(a, 0.0), max(b, 0.0), max(c, 0.0)
    total = a + b + c
    u, v, w = np.float32(a / total), np.float32(b / total), np.float32(c / total)
    corners = tables.triangles[triangle]
    i, j, k = corners[0], corners[1], corners[2]
    for ear in range(2):
        delays[ear] = u * all_delays[i, ear] + v * all_delays[j, ear] + w * all_delays[k, ear]
        first, second, third, out = all_filters[i, ear], all_filters[j, ear], all_filters[k, ear], filters[ear]
        for n in range(len(out)):
            out[n] = u * first[n] + v * second[n] + w * third[n]


@kernel(fastmath=FAST)
def hear_head_waves(tables, directions, frame, gains, delays):
    """Set how the ears hear plane waves: the head's values at the nearest direction that it was measured in.

    Args:
        tables: `HeadResponse.wave_tables`.
        directions: ``(waves, grains, 3)`` unit vectors in the world's frame.
        frame: ``(3, 3)`` rotation from the world into the head's frame.
        gains: ``(2, bands, waves, grains)`` float32 amplitudes, filled.
        delays: The same, delays against the centre of the head [samples], filled.
    """
    rows, columns = tables.nearest.shape
    for n in range(directions.shape[0]):
        for j in range(directions.shape[1]):
            d = directions[n, j]
            x = frame[0, 0] * d[0] + frame[0, 1] * d[1] + frame[0, 2] * d[2]
            y = frame[1, 0] * d[0] + frame[1, 1] * d[1] + frame[1, 2] * d[2]
            z = frame[2, 0] * d[0] + frame[2, 1] * d[1] + frame[2, 2] * d[2]
            row = min(int((np.arcsin(min(max(y, -1.0), 1.0)) / np.pi + 0.5) * rows), rows - 1)
            column = min(int((np.arctan2(x, -z) / (2.0 * np.pi) + 0.5) * columns), columns - 1)
            nearest = tables.nearest[row, column]
            for ear in range(2):
                for b in range(gains.shape[1]):
                    gains[ear, b, n, j] = tables.gains[nearest, ear, b]
                    delays[ear, b, n, j] = tables.delays[nearest, ear, b]
