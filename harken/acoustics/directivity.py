"""Directivity: how a source radiates and a microphone receives, by direction and octave band.

Body frame: x right, y up, −z forward, and directions point away from the body: for a source to where the sound goes,
for a microphone to where it comes from. Gains are of the amplitude and normalised to 1 straight ahead, so that a
source's level is the one measured on its axis. Its total radiated energy is `Directivity.mean_energy` times that of an
omnidirectional source with the same level on the axis.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

import numpy as np
from scipy.spatial import ConvexHull, QhullError
from scipy.special import eval_legendre, j1, spherical_jn, spherical_yn

from harken.checks import check_settings, checked_count, checked_number
from harken.errors import ConfigurationError, UnknownNameError
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS

__all__ = [
    "PATTERNS",
    "Axisymmetric",
    "Directivity",
    "FirstOrder",
    "MeasuredDirectivity",
    "baffled_piston",
    "body_frame",
    "directivity",
    "directivity_index",
    "gain_table",
    "loudspeaker",
    "number_array",
    "piston_on_sphere",
    "read_gains",
    "sphere_directions",
    "talker",
    "unit_directions",
]

SPEED_OF_SOUND = 343.2
"""At 20 °C [m/s]; a directivity is stored per body, independently of the air in a scene."""

PATTERNS = {
    "omni": 1.0,
    "subcardioid": 0.7,
    "cardioid": 0.5,
    "supercardioid": (np.sqrt(3.0) - 1.0) / 2.0,
    "hypercardioid": 0.25,
    "figure-eight": 0.0,
}
"""First-order patterns by name: the omnidirectional share α of α + (1 − α)·cos θ.

Of all first-order patterns the supercardioid has the greatest ratio of energy from the front half to that from the rear
half, and the hypercardioid receives the least energy of a diffuse field (Elko 2000, "Superdirectional microphone
arrays")."""

_ANGLES = np.radians(np.arange(181.0))
_FREQUENCIES_PER_BAND = 24


@runtime_checkable
class Directivity(Protocol):
    """The direction-dependent gain of a source or a microphone."""

    def gains(self, directions: np.ndarray) -> np.ndarray:
        """Return the amplitude gains ``(..., bands)`` in `directions` ``(..., 3)``, in the body's frame, any length."""
        ...

    def mean_energy(self) -> np.ndarray:
        """Return the mean of the squared gains over the sphere, ``(bands,)``."""
        ...


def directivity_index(directivity: Directivity) -> np.ndarray:
    """Return the directivity index ``(bands,)`` [dB]: the level on the axis above that of an omnidirectional source.

    Both radiate the same energy (Kinsler et al., Fundamentals of Acoustics, 4th ed., §7.6).
    """
    return -10.0 * np.log10(directivity.mean_energy())


def body_frame(heading: float, pitch: float = 0.0) -> np.ndarray:
    """Return the rotation from the world into the frame of a body that faces `heading` and looks up by `pitch`.

    Args:
        heading: Heading [rad]: 0 looks along −z, positive counter-clockwise seen from above.
        pitch: Angle above the horizon [rad], positive upwards.

    Returns:
        ``(3, 3)`` with the rows right, up and back: ``body_frame(h) @ world`` is in the body's frame.

    Raises:
        ConfigurationError: An angle is not finite.
    """
    heading, pitch = checked_number("Heading", heading, unit="radians"), checked_number("Pitch", pitch, unit="radians")
    ch, sh, cp, sp = math.cos(heading), math.sin(heading), math.cos(pitch), math.sin(pitch)
    return np.array([[ch, 0.0, -sh], [sh * sp, cp, ch * sp], [sh * cp, -sp, ch * cp]])


def sphere_directions(count: int) -> np.ndarray:
    """Return directions that are spread evenly over the sphere (Fibonacci lattice).

    Args:
        count: How many, 1 or more.

    Returns:
        ``(count, 3)`` unit vectors, each standing for the same solid angle.

    Raises:
        ConfigurationError: The count is below 1.
    """
    count = checked_count("Number of directions", count, 1, 10_000_000)
    y = 1.0 - (2.0 * np.arange(count) + 1.0) / count
    turn = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    radius = np.sqrt(1.0 - y * y)
    return np.stack([radius * np.sin(turn), y, -radius * np.cos(turn)], -1)


def number_array(what: str, values: Any) -> np.ndarray:
    """Return a new float64 array of real numbers.

    Raises:
        ConfigurationError: The values hold text, complex numbers or other objects, or rows of different lengths.
    """
    try:
        array = np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigurationError(f"{what}: {error}; expected an array of numbers.") from error
    if array.dtype.kind not in "iuf":
        raise ConfigurationError(f"{what} is an array of {array.dtype}; expected real numbers.")
    return array.astype(np.float64)


def unit_directions(directions: np.ndarray) -> np.ndarray:
    """Return directions at unit length.

    Args:
        directions: ``(..., 3)`` of any length but zero.

    Returns:
        ``(..., 3)`` float64, a new array.

    Raises:
        ConfigurationError: The shape is another, or a direction is zero or not finite.
    """
    vectors = number_array("Directions", directions)
    if vectors.shape[-1:] != (3,) or not np.isfinite(vectors).all() or not vectors.any(axis=-1).all():
        raise ConfigurationError(
            f"Directions of shape {vectors.shape}; expected (..., 3): right, up, back, finite and not all zero."
        )
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class FirstOrder:
    """A pattern of the cardioid family, α + (1 − α)·cos θ, alike in all bands; signed: its rear may be negative.

    Raises:
        ConfigurationError: The share lies outside 0–1.
    """

    alpha: float = 1.0
    """Omnidirectional share α: 1 omnidirectional, 0.5 cardioid, 0 figure-eight; `PATTERNS` has the names."""
    bands: int = len(OCTAVE_BANDS)
    """Number of octave bands."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(self, alpha=(0.0, 1.0), bands=(1, 64))

    def gains(self, directions: np.ndarray) -> np.ndarray:
        """Return the gains ``(..., bands)``."""
        gain = self.alpha - (1.0 - self.alpha) * unit_directions(directions)[..., 2]
        return np.broadcast_to(gain[..., None], (*gain.shape, self.bands)).copy()

    def mean_energy(self) -> np.ndarray:
        """Return α² + (1 − α)²/3 for every band."""
        return np.full(self.bands, self.alpha**2 + (1.0 - self.alpha) ** 2 / 3.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Axisymmetric:
    """A directivity that depends on the angle from straight ahead only, interpolated between tabulated angles.

    Raises:
        ConfigurationError: The table does not fit its angles, or does not cover 0–π.
    """

    angles: np.ndarray
    """``(n,)`` angles from straight ahead [rad], rising from 0 to π."""
    table: np.ndarray
    """``(n, bands)`` gains; normalised by the first row, which becomes 1."""
    name: str = "axisymmetric"
    """Human-readable name."""

    def __post_init__(self) -> None:
        """Check and normalise the table."""
        angles = number_array(f"Directivity {self.name!r}: angles", self.angles)
        table = number_array(f"Directivity {self.name!r}: table", self.table)
        covers = angles.ndim == 1 and len(angles) > 1 and abs(angles[0]) < 1e-9 and abs(angles[-1] - np.pi) < 1e-9
        if not covers or not (np.diff(angles) > 0).all():
            raise ConfigurationError(f"Directivity {self.name!r}: its angles must rise from 0 to π [rad].")
        if table.ndim != 2 or len(table) != len(angles) or not np.isfinite(table).all() or not (table[0] != 0).all():
            raise ConfigurationError(
                f"Directivity {self.name!r}: its table has shape {table.shape}; expected ({len(angles)}, bands), "
                "finite, and not zero straight ahead."
            )
        for name, values in (("angles", angles), ("table", table / table[0])):
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def gains(self, directions: np.ndarray) -> np.ndarray:
        """Return the gains ``(..., bands)``."""
        units = unit_directions(directions)
        # The arc tangent is accurate for small angles, where the arc cosine loses precision to rounding.
        return self._at(np.arctan2(np.hypot(units[..., 0], units[..., 1]), -units[..., 2]))

    def mean_energy(self) -> np.ndarray:
        """Return the mean of the squared gains, ``(bands,)``."""
        steps = 3600
        angles = (np.arange(steps) + 0.5) * np.pi / steps
        weights = np.sin(angles)
        return weights @ self._at(angles) ** 2 / weights.sum()

    def _at(self, angles: np.ndarray) -> np.ndarray:
        upper = np.clip(np.searchsorted(self.angles, angles), 1, len(self.angles) - 1)
        low, high = self.angles[upper - 1], self.angles[upper]
        share = np.clip((angles - low) / (high - low), 0.0, 1.0)[..., None]
        return (1.0 - share) * self.table[upper - 1] + share * self.table[upper]


@dataclass(frozen=True, kw_only=True, eq=False)
class MeasuredDirectivity:
    """A directivity measured in many directions, interpolated on the spherical triangle around the requested one.

    Raises:
        ConfigurationError: The arrays do not fit together, the directions do not surround the body, or nothing is
            radiated straight ahead.
    """

    directions: np.ndarray
    """``(n, 3)`` unit vectors away from the body, in its frame."""
    values: np.ndarray
    """``(n, bands)`` gains; normalised by the gain straight ahead, which becomes 1."""
    name: str = "measured"
    """Human-readable description of what was measured."""

    def __post_init__(self) -> None:
        """Check and normalise the values."""
        directions = unit_directions(self.directions)
        values = number_array(f"Directivity {self.name!r}: values", self.values)
        if directions.ndim != 2 or values.ndim != 2 or len(values) != len(directions) or not np.isfinite(values).all():
            raise ConfigurationError(
                f"Directivity {self.name!r}: directions {directions.shape} and values {values.shape} do not fit "
                "together; expected (n, 3) and (n, bands), all finite."
            )
        object.__setattr__(self, "directions", directions)
        object.__setattr__(self, "values", values)
        ahead = self._interpolate(np.array([[0.0, 0.0, -1.0]]))[0]
        if not (ahead != 0).all():
            raise ConfigurationError(f"Directivity {self.name!r} radiates nothing straight ahead; is it turned?")
        object.__setattr__(self, "values", values / ahead)

    def gains(self, directions: np.ndarray) -> np.ndarray:
        """Return the gains ``(..., bands)``."""
        units = unit_directions(directions)
        return self._interpolate(units.reshape(-1, 3)).reshape(*units.shape[:-1], -1)

    def mean_energy(self) -> np.ndarray:
        """Return the mean of the squared gains, ``(bands,)``."""
        return (self.gains(sphere_directions(4096)) ** 2).mean(0)

    @cached_property
    def _triangulation(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners of the triangles ``(T, 3)`` and the inverses of their directions ``(T, 3, 3)``."""
        try:
            hull = ConvexHull(self.directions)
        except (QhullError, ValueError) as error:
            raise ConfigurationError(
                f"Directivity {self.name!r}: its {len(self.directions)} directions do not surround the body; expected "
                "four or more that do not lie in one plane."
            ) from error
        if hull.equations[:, 3].max() > -1e-6:
            raise ConfigurationError(f"Directivity {self.name!r}: its directions leave half of the sphere empty.")
        return hull.simplices, np.linalg.inv(np.swapaxes(self.directions[hull.simplices], 1, 2))

    def _interpolate(self, units: np.ndarray) -> np.ndarray:
        triangles, inverses = self._triangulation
        result = np.empty((len(units), self.values.shape[1]))
        for start in range(0, len(units), 256):
            shares = np.einsum("tij,kj->kti", inverses, units[start : start + 256])
            # A direction lies in the triangle whose least coordinate is the greatest.
            holder = shares.min(-1).argmax(-1)
            share = np.maximum(shares[np.arange(len(holder)), holder], 0.0)
            share /= share.sum(-1, keepdims=True)
            result[start : start + 256] = np.einsum("ki,kib->kb", share, self.values[triangles[holder]])
        return result


def piston_on_sphere(
    sphere_radius: float, piston_radius: float | Sequence[float], *, bands: Sequence[float] = OCTAVE_BANDS
) -> Axisymmetric:
    """Return the directivity of a round piston set into a rigid sphere: radiates all around, also to the rear.

    Morse and Ingard, Theoretical Acoustics (1968), §7.2: p(θ) ∝ Σ_n U_n·(−i)ⁿ·P_n(cos θ)/h_n′(ka) with
    U_n = ½·(P_{n−1}(cos β) − P_{n+1}(cos β)) for a cap of half angle β = arcsin(piston radius / sphere radius) that
    moves radially. Squared gains are averaged over each band, with equal weight to each fraction of an octave. Exactly
    to the rear the model focuses sound to a bright spot, as a perfect sphere does and a head or a box does not;
    `talker` and `loudspeaker` leave it out.

    Args:
        sphere_radius: Radius of the sphere [m].
        piston_radius: Radius of the piston [m], at most the sphere's; or one for every band.
        bands: Centre frequencies [Hz].

    Returns:
        The directivity.

    Raises:
        ConfigurationError: A radius is not positive, or a piston is larger than the sphere.
    """
    sphere_radius = checked_number("Radius of the sphere", sphere_radius, 0.0, 1e3, above=True, unit="m")
    radii = number_array("Radius of the piston", piston_radius)
    if radii.shape not in ((), (len(bands),)):
        raise ConfigurationError(f"{radii.shape} radii of a piston for {len(bands)} bands; expected one, or one each.")
    radii = np.broadcast_to(radii, (len(bands),))
    if not (0.0 < sphere_radius < np.inf and (radii > 0.0).all() and (radii <= sphere_radius).all()):
        raise ConfigurationError(
            f"Piston of radius {piston_radius!r} on a sphere of {sphere_radius!r}; expected metres above 0, the piston "
            "no larger than the sphere."
        )
    table = np.empty((len(_ANGLES), len(bands)))
    for band, (centre, radius) in enumerate(zip(bands, radii, strict=True)):
        energies = [_cap_energies(k * sphere_radius, np.arcsin(radius / sphere_radius)) for k in _wavenumbers(centre)]
        table[:, band] = np.sqrt(np.mean(energies, axis=0))
    return Axisymmetric(angles=_ANGLES, table=table, name="piston on a sphere")


def baffled_piston(piston_radius: float, *, bands: Sequence[float] = OCTAVE_BANDS) -> Axisymmetric:
    """Return the directivity of a round piston in an infinite wall: it radiates nothing to the rear.

    Kinsler et al., Fundamentals of Acoustics, 4th ed., §7.4: |2·J₁(ka·sin θ)/(ka·sin θ)| in front, squared gains
    averaged over each band, with equal weight to each fraction of an octave.

    Args:
        piston_radius: Radius of the piston [m].
        bands: Centre frequencies [Hz].

    Returns:
        The directivity, for a loudspeaker built into a wall; the wall has to be just behind it.

    Raises:
        ConfigurationError: The radius is not positive.
    """
    if not 0.0 < piston_radius < np.inf:
        raise ConfigurationError(f"Piston of radius {piston_radius!r}; expected metres above 0.")
    # 1.0° is too coarse for the step from front to rear: the table has two angles there.
    angles = np.sort(np.append(_ANGLES, 0.5 * np.pi + 1e-6))
    table = np.zeros((len(angles), len(bands)))
    front = angles <= 0.5 * np.pi
    for band, centre in enumerate(bands):
        x = np.maximum(np.outer(_wavenumbers(centre) * piston_radius, np.sin(angles[front])), 1e-9)
        table[front, band] = np.sqrt(((2.0 * j1(x) / x) ** 2).mean(0))
    return Axisymmetric(angles=angles, table=table, name="piston in a baffle")


def talker(bands: Sequence[float] = OCTAVE_BANDS) -> Axisymmetric:
    """Return a talker's directivity: a mouth of 1.5 cm radius on a head of 9 cm radius, without torso.

    Flanagan 1960, "Analog measurements of sound radiation from the mouth", J. Acoust. Soc. Am. 32, 1613, compares
    the radiation of a life-sized mannequin to that of a piston in a sphere of 9 cm radius. The mouth's radius stands
    for a half-open mouth; it matters from 4 kHz on only. Real talkers speak slightly downwards, their torso shades and
    reflects, and mouths open and close: for those read a measurement with
    `harken.acoustics.hearing.sofa.read_directivity`.

    Args:
        bands: Centre frequencies [Hz].
    """
    return _without_bright_spot(piston_on_sphere(0.09, 0.015, bands=bands), "talker")


def loudspeaker(bands: Sequence[float] = OCTAVE_BANDS) -> Axisymmetric:
    """Return the directivity of a small two-way monitor: a cone of 6.5 cm radius, from 2.8 kHz on a dome of 1.3 cm.

    Both sit on a sphere of 11 cm radius, the volume of a box of 5.6 l: radiation from a box is comparable with that
    from a sphere (Aarts and Janssen 2011, "Comparing sound radiation from a loudspeaker with that from a flexible
    spherical cap on a rigid sphere", J. Audio Eng. Soc. 59, 201). The sizes are a typical monitor's, not one product's.

    Args:
        bands: Centre frequencies [Hz].
    """
    radii = [0.065 if centre < 2800.0 else 0.013 for centre in bands]
    return _without_bright_spot(piston_on_sphere(0.11, radii, bands=bands), "loudspeaker")


def directivity(name: str, bands: Sequence[float] = OCTAVE_BANDS) -> Directivity:
    """Return a directivity by name: one of `PATTERNS`, "talker" or "loudspeaker".

    Args:
        name: The name.
        bands: Centre frequencies [Hz].

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name in PATTERNS:
        return FirstOrder(alpha=float(PATTERNS[name]), bands=len(bands))
    models = {"talker": talker, "loudspeaker": loudspeaker}
    if name not in models:
        raise UnknownNameError("directivity", name, [*PATTERNS, *models])
    return models[name](bands)


def gain_table(directivity: Directivity, rows: int = 91, columns: int = 180) -> np.ndarray:
    """Return gains on a grid of directions for `read_gains`.

    Args:
        directivity: What to tabulate.
        rows: Number of elevations, from straight below to straight above.
        columns: Number of azimuths, from behind over the left, the front and the right.

    Returns:
        ``(rows, columns, bands)`` float32.

    Raises:
        ConfigurationError: There are fewer than 2 rows or 3 columns.
    """
    if rows < 2 or columns < 3:
        raise ConfigurationError(f"A gain table of {rows} × {columns}; expected at least 2 elevations × 3 azimuths.")
    elevation = np.linspace(-0.5 * np.pi, 0.5 * np.pi, rows)[:, None]
    azimuth = np.arange(columns) / columns * 2.0 * np.pi - np.pi
    x, z = np.cos(elevation) * np.sin(azimuth), -np.cos(elevation) * np.cos(azimuth)
    y = np.broadcast_to(np.sin(elevation), x.shape)
    return directivity.gains(np.stack([x, y, z], -1)).astype(np.float32)


@kernel
def read_gains(table, dx, dy, dz, out):
    """Interpolate a table of gains, from compiled code or from Python.

    Args:
        table: ``(rows, columns, bands)`` of `gain_table`.
        dx: Direction in the body's frame, to the right; the vector may have any length but zero.
        dy: The same upwards.
        dz: The same backwards.
        out: ``(bands,)``, filled.
    """
    rows, columns = table.shape[0], table.shape[1]
    v = (np.arctan2(dy, np.sqrt(dx * dx + dz * dz)) / np.pi + 0.5) * (rows - 1)
    u = (np.arctan2(dx, -dz) / (2.0 * np.pi) + 0.5) * columns
    row = min(int(v), rows - 2)
    column = int(u)
    s, t = v - row, u - column
    left, right = column % columns, (column + 1) % columns
    for b in range(table.shape[2]):
        low = (1.0 - t) * table[row, left, b] + t * table[row, right, b]
        high = (1.0 - t) * table[row + 1, left, b] + t * table[row + 1, right, b]
        out[b] = (1.0 - s) * low + s * high


def _without_bright_spot(model: Axisymmetric, name: str) -> Axisymmetric:
    """Keep the gains from rising again behind 90°, where only a perfect sphere lets sound from all around meet."""
    table, behind = model.table.copy(), model.angles >= 0.5 * np.pi
    table[behind] = np.minimum.accumulate(table[behind], axis=0)
    return Axisymmetric(angles=model.angles, table=table, name=name)


def _wavenumbers(centre: float) -> np.ndarray:
    """Return wave numbers [1/m] spread over an octave band, evenly in the logarithm."""
    shares = (np.arange(_FREQUENCIES_PER_BAND) + 0.5) / _FREQUENCIES_PER_BAND - 0.5
    return 2.0 * np.pi * centre * 2.0**shares / SPEED_OF_SOUND


def _cap_energies(ka: float, half_angle: float) -> np.ndarray:
    """Return squared gains at `_ANGLES` of a cap on a rigid sphere at one frequency, 1 straight ahead."""
    orders = np.arange(int(1.5 * ka) + 16)
    legendre = eval_legendre(np.arange(len(orders) + 1), np.cos(half_angle))
    velocity = 0.5 * (np.append(1.0, legendre[:-2]) - legendre[1:])
    hankel = spherical_jn(orders, ka, derivative=True) + 1j * spherical_yn(orders, ka, derivative=True)
    terms = velocity * (-1j) ** orders / hankel
    pressure = terms @ eval_legendre(orders[:, None], np.cos(_ANGLES))
    return np.abs(pressure / pressure[0]) ** 2
