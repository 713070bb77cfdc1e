"""Microphone arrays: positions of the capsules, their response to a plane wave, and their coherence in a diffuse field.

Array frame: x right, y up, −z forward, positions relative to the array's centre. Scattering by the array itself is not
modelled: every capsule is treated as free in the air, even where the original sits on a rigid body.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import spherical_jn

from harken.acoustics.bands import band_edges
from harken.acoustics.directivity import (
    Directivity,
    FirstOrder,
    body_frame,
    number_array,
    sphere_directions,
    unit_directions,
)
from harken.checks import checked_count, checked_number
from harken.errors import ConfigurationError, UnknownNameError
from harken.scene import OCTAVE_BANDS

__all__ = ["ARRAYS", "MicrophoneArray", "microphone_array"]

_SPEED = 343.2


@dataclass(frozen=True, kw_only=True, eq=False)
class MicrophoneArray:
    """A set of microphones that move together.

    Raises:
        ConfigurationError: The arrays do not fit together, or contain values that are not finite.
    """

    positions: np.ndarray
    """``(n, 3)`` positions relative to the array's centre [m], in its frame."""
    orientations: np.ndarray | None = None
    """``(n, 2)`` heading and pitch of each microphone [rad], relative to the array; all look ahead if not given."""
    directivities: tuple[Directivity, ...] = ()
    """One directivity for every microphone, or one for all; omnidirectional if empty."""
    name: str = "array"
    """Human-readable name."""
    _frames: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the arrays and complete them."""
        positions = number_array(f"Array {self.name!r}: positions", self.positions)
        count = len(positions) if positions.ndim else 0
        angles = np.zeros((count, 2)) if self.orientations is None else self.orientations
        orientations = number_array(f"Array {self.name!r}: orientations", angles)
        if not isinstance(self.directivities, tuple | list) or not all(
            isinstance(directivity, Directivity) for directivity in self.directivities
        ):
            raise ConfigurationError(
                f"Array {self.name!r}: directivities are {self.directivities!r}; expected a tuple of directivities."
            )
        patterns = tuple(self.directivities) or (FirstOrder(),)
        patterns = patterns * count if len(patterns) == 1 else patterns
        if count == 0 or positions.shape != (count, 3) or orientations.shape != (count, 2) or len(patterns) != count:
            raise ConfigurationError(
                f"Array {self.name!r}: positions {positions.shape}, orientations {orientations.shape} and "
                f"{len(patterns)} directivities do not fit together; expected (n, 3), (n, 2), and n or one."
            )
        if not (np.isfinite(positions).all() and np.isfinite(orientations).all()):
            raise ConfigurationError(f"Array {self.name!r}: positions and orientations must be finite.")
        if len({len(pattern.mean_energy()) for pattern in patterns}) > 1:
            raise ConfigurationError(f"Array {self.name!r}: its directivities have different numbers of octave bands.")
        frames = np.stack([body_frame(heading, pitch) for heading, pitch in orientations])
        for name, values in (("positions", positions), ("orientations", orientations), ("_frames", frames)):
            values.flags.writeable = False
            object.__setattr__(self, name, values)
        object.__setattr__(self, "directivities", patterns)

    def __len__(self) -> int:
        """Return the number of microphones."""
        return len(self.positions)

    def delays(self, directions: np.ndarray, speed: float = _SPEED) -> np.ndarray:
        """Return when a plane wave reaches each microphone, relative to the array's centre.

        Args:
            directions: ``(..., 3)`` to the source, in the array's frame; any length.
            speed: Speed of sound [m/s].

        Returns:
            ``(..., n)`` [s]; negative for microphones on the source's side.

        Raises:
            ConfigurationError: A direction is zero or not finite.
        """
        return -unit_directions(directions) @ self.positions.T / speed

    def gains(self, directions: np.ndarray) -> np.ndarray:
        """Return the gains of the directivities for a plane wave.

        Args:
            directions: ``(..., 3)`` to the source, in the array's frame; any length.

        Returns:
            ``(..., n, bands)`` gains of the amplitude, signed.

        Raises:
            ConfigurationError: A direction is zero or not finite.
        """
        units = unit_directions(directions)
        return np.stack(
            [d.gains(units @ frame.T) for d, frame in zip(self.directivities, self._frames, strict=True)], -2
        )

    def steering_vectors(
        self, directions: np.ndarray, frequencies: np.ndarray, speed: float = _SPEED, bands: Sequence[float] = ()
    ) -> np.ndarray:
        """Return the complex response to a plane wave, ``(..., frequencies, n)``, relative to the array's centre.

        Args:
            directions: ``(..., 3)`` to the source, in the array's frame.
            frequencies: ``(F,)`` [Hz].
            speed: Speed of sound [m/s].
            bands: Centre frequencies of the directivities' bands [Hz]; the octave bands if not given.

        Raises:
            ConfigurationError: A direction or frequency is not valid, or the bands are not the directivities'.
        """
        frequencies = _frequencies(frequencies)
        band = self._band_of(frequencies, bands)
        turn = -2j * np.pi * frequencies[:, None] * self.delays(directions, speed)[..., None, :]
        return np.swapaxes(self.gains(directions)[..., band], -1, -2) * np.exp(turn)

    def diffuse_covariance(
        self, frequencies: np.ndarray, speed: float = _SPEED, bands: Sequence[float] = ()
    ) -> np.ndarray:
        """Return the cross-spectral matrix in a diffuse field, in which an omnidirectional microphone receives 1.

        For first-order patterns in closed form (Kuster 2008, "Spatial correlation and coherence in reverberant acoustic
        fields: Extension to microphones with arbitrary first-order directivity", J. Acoust. Soc. Am. 123, 154); for
        omnidirectional ones that is sin(kd)/(kd). Others are integrated over the sphere numerically.

        Args:
            frequencies: ``(F,)`` [Hz].
            speed: Speed of sound [m/s].
            bands: Centre frequencies of the directivities' bands [Hz]; the octave bands if not given.

        Returns:
            ``(F, n, n)`` complex128, Hermitian: microphone i times the conjugate of microphone j.

        Raises:
            ConfigurationError: A frequency is negative or not finite, or the bands are not the directivities'.
        """
        frequencies = _frequencies(frequencies)
        if all(isinstance(pattern, FirstOrder) for pattern in self.directivities):
            return self._first_order_covariance(frequencies, speed)
        result = np.zeros((len(frequencies), len(self), len(self)), np.complex128)
        reach = 2.0 * np.linalg.norm(self.positions, axis=-1).max()
        for k, frequency in enumerate(frequencies):
            # The lattice integrates exactly enough once it samples the phase between the farthest microphones.
            count = 2000 + int(20.0 * (2.0 * np.pi * frequency / speed * reach) ** 2)
            steering = self.steering_vectors(sphere_directions(count), frequencies[k : k + 1], speed, bands)[:, 0]
            result[k] = steering.T @ steering.conj() / count
        return result

    def diffuse_coherence(
        self, frequencies: np.ndarray, speed: float = _SPEED, bands: Sequence[float] = ()
    ) -> np.ndarray:
        """Return the complex coherence in a diffuse field, ``(F, n, n)`` with ones on the diagonal.

        Arguments and errors are those of `diffuse_covariance`, of which this is the normalised form.
        """
        covariance = self.diffuse_covariance(frequencies, speed, bands)
        root = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2).real)
        return covariance / (root[:, :, None] * root[:, None, :])

    def _first_order_covariance(self, frequencies: np.ndarray, speed: float) -> np.ndarray:
        """Covariance of patterns α + β·cos: means of exp(ix·cos), and of it times one and two direction cosines."""
        alpha = np.array([pattern.alpha for pattern in self.directivities if isinstance(pattern, FirstOrder)])
        # Each microphone looks along −z of its own frame.
        axes = -(1.0 - alpha)[:, None] * self._frames[:, 2]
        between = self.positions[:, None] - self.positions[None]
        distance = np.linalg.norm(between, axis=-1)
        units = between / np.maximum(distance, 1e-12)[..., None]
        x = 2.0 * np.pi * frequencies[:, None, None] / speed * distance
        along_first, along_second = np.einsum("ik,ijk->ij", axes, units), np.einsum("jk,ijk->ij", axes, units)
        first = spherical_jn(1, x)
        # j1(x)/x goes to 1/3 where x goes to 0.
        ratio = np.where(x > 1e-6, first / np.maximum(x, 1e-6), 1.0 / 3.0)
        result = alpha[:, None] * alpha * spherical_jn(0, x) + 0j
        result += 1j * first * (alpha[:, None] * along_second + alpha * along_first)
        return result + axes @ axes.T * ratio - along_first * along_second * spherical_jn(2, x)

    def _band_of(self, frequencies: np.ndarray, bands: Sequence[float]) -> np.ndarray:
        edges = band_edges(bands or OCTAVE_BANDS)
        count = len(self.directivities[0].mean_energy())
        if len(edges) - 1 != count:
            raise ConfigurationError(
                f"Array {self.name!r}: its directivities have {count} bands, {len(edges) - 1} centre frequencies were "
                "given; expected one for each."
            )
        return np.searchsorted(edges, frequencies, side="right").clip(1, count) - 1


def _ear_pair() -> MicrophoneArray:
    return MicrophoneArray(positions=np.array([[-0.09, 0.0, 0.0], [0.09, 0.0, 0.0]]), name="two ears without a head")


def _tetrahedral() -> MicrophoneArray:
    corners = np.array([[-1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, -1.0, 1.0], [1.0, 1.0, 1.0]]) / np.sqrt(3.0)
    return _radial(0.0147 * corners, FirstOrder(alpha=0.5), "tetrahedral A-format")


def _respeaker() -> MicrophoneArray:
    turns = np.arange(4) * 0.5 * np.pi
    positions = 0.032 * np.stack([-np.sin(turns), np.zeros(4), -np.cos(turns)], -1)
    return MicrophoneArray(positions=positions, name="four microphones on a disc")


_EM32_DEGREES = (
    *((69, 0), (90, 32), (111, 0), (90, 328), (32, 0), (55, 45), (90, 69), (125, 45)),
    *((148, 0), (125, 315), (90, 291), (55, 315), (21, 91), (58, 90), (121, 90), (159, 89)),
    *((69, 180), (90, 212), (111, 180), (90, 148), (32, 180), (55, 225), (90, 249), (125, 225)),
    *((148, 180), (125, 135), (90, 111), (55, 135), (21, 269), (58, 270), (122, 270), (159, 271)),
)


def _em32() -> MicrophoneArray:
    zenith, azimuth = np.radians(np.array(_EM32_DEGREES, np.float64)).T
    positions = np.stack([-np.sin(zenith) * np.sin(azimuth), np.cos(zenith), -np.sin(zenith) * np.cos(azimuth)], -1)
    return _radial(0.042 * positions, FirstOrder(), "em32 geometry without its sphere")


ARRAYS = {"ear-pair": _ear_pair, "tetrahedral": _tetrahedral, "respeaker-4": _respeaker, "em32": _em32}
"""Arrays by name.

ear-pair: two omnidirectional microphones 18 cm apart, left first, without a head. tetrahedral: four cardioids that look
outwards from the corners of a tetrahedron of 1.47 cm radius; left front up, right front down, left back down, right
back up. respeaker-4: four omnidirectional microphones on a horizontal circle of 3.2 cm radius: front, left, back,
right. em32: the 32 positions of mh acoustics' Eigenmike em32 (release notes v17.0, appendix), 4.2 cm from the centre,
but omnidirectional and in free air: its rigid sphere, which shades and amplifies from about 1 kHz on, is left out."""


def microphone_array(
    shape: str, *, count: int = 4, size: float = 0.1, directivity: Directivity | None = None
) -> MicrophoneArray:
    """Return an array by name.

    Args:
        shape: A name of `ARRAYS`; or "circular": `count` microphones on a horizontal circle of radius `size` that look
            outwards, the first ahead, the others counter-clockwise seen from above; or "linear": `count` microphones
            from left to right, `size` apart, that look ahead.
        count: Number of microphones of a circular or linear array.
        size: Radius or spacing [m] of a circular or linear array.
        directivity: What all microphones of a circular or linear array have; omnidirectional if not given.

    Returns:
        The array.

    Raises:
        UnknownNameError: There is no array of that name.
        ConfigurationError: The count is below 1, or the size not positive.
    """
    if shape in ARRAYS:
        return ARRAYS[shape]()
    if shape not in ("circular", "linear"):
        raise UnknownNameError("microphone array", shape, [*ARRAYS, "circular", "linear"])
    count = checked_count(f"Number of microphones of a {shape} array", count, 1, 1024)
    size = checked_number(f"Size of a {shape} array", size, 0.0, 1e3, above=True, unit="m")
    pattern = directivity or FirstOrder()
    if shape == "linear":
        x = (np.arange(count) - 0.5 * (count - 1)) * size
        positions = np.stack([x, np.zeros(count), np.zeros(count)], -1)
        return MicrophoneArray(positions=positions, directivities=(pattern,), name=f"{count} in a line")
    turns = np.arange(count) * 2.0 * np.pi / count
    positions = size * np.stack([-np.sin(turns), np.zeros(count), -np.cos(turns)], -1)
    return _radial(positions, pattern, f"{count} on a circle")


def _radial(positions: np.ndarray, pattern: Directivity, name: str) -> MicrophoneArray:
    """Return an array whose microphones look away from its centre."""
    x, y, z = positions.T
    orientations = np.stack([np.arctan2(-x, -z), np.arctan2(y, np.hypot(x, z))], -1)
    return MicrophoneArray(positions=positions, orientations=orientations, directivities=(pattern,), name=name)


def _frequencies(frequencies: np.ndarray) -> np.ndarray:
    f = np.asarray(frequencies, np.float64)
    if f.ndim != 1 or not np.isfinite(f).all() or (f < 0).any():
        raise ConfigurationError(f"Frequencies are {frequencies!r}; expected a list of hertz, 0 or more.")
    return f
