"""Ambisonics to order 3: a sound field around a point as spherical harmonics.

Channels follow AmbiX (Nachbar, Zotter, Deleflie and Sontacchi 2011, "ambiX – a suggested ambisonics format"): order
ACN, normalisation SN3D unless N3D is asked for, no Condon–Shortley phase. AmbiX has its x axis ahead, y to the left and
z up; Harken has x to the right, y up and −z ahead. Functions take directions in Harken's frame and turn them:
X = −z, Y = −x, Z = y. A source ahead has X > 0, one on the left Y > 0, one above Z > 0, and the first channels are
W, Y, Z, X.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from harken.acoustics.directivity import sphere_directions, unit_directions
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.errors import ConfigurationError, SoundError
from harken.raytracing import kernel

__all__ = [
    "HIGHEST_ORDER",
    "Ambisonics",
    "BinauralDecoder",
    "Normalization",
    "channel_orders",
    "convert_normalization",
    "encode",
    "encode_direction",
    "energy_map",
    "order_of",
    "rotate",
    "rotation_matrix",
    "write_ambix",
]

HIGHEST_ORDER = 3
"""Highest supported order."""

Normalization = Literal["sn3d", "n3d"]
"""SN3D: no channel is louder than W for a single plane wave. N3D: all channels have equal energy in a diffuse field."""


@dataclass(frozen=True, kw_only=True)
class Ambisonics:
    """A listener's format: a sound field as spherical harmonics in the listener's frame, channels in the order ACN.

    Raises:
        ConfigurationError: The order or the normalisation does not exist.
    """

    order: int = 1
    """Order, 0 to 3: (order + 1)² channels."""
    normalization: Normalization = "sn3d"
    """Normalisation: "sn3d", as AmbiX files have it, or "n3d"."""

    def __post_init__(self) -> None:
        """Check the order and the normalisation."""
        channel_orders(self.order)
        _scale(self.order, self.normalization)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return (self.order + 1) ** 2


_SAMPLES = 64
_HEAD_SAMPLES = 600


@kernel
def encode_direction(dx, dy, dz, out):
    """Write the SN3D harmonics of a direction, from compiled code or from Python.

    Args:
        dx: Direction to the source in Harken's frame, to the right; the vector may have any length but zero.
        dy: The same upwards.
        dz: The same backwards.
        out: ``(channels,)`` with 1, 4, 9 or 16 channels, filled.
    """
    norm = np.sqrt(dx * dx + dy * dy + dz * dz)
    x, y, z = -dz / norm, -dx / norm, dy / norm
    out[0] = 1.0
    if len(out) >= 4:
        out[1], out[2], out[3] = y, z, x
    if len(out) >= 9:
        root = np.sqrt(3.0)
        out[4], out[5] = root * x * y, root * y * z
        out[6] = 0.5 * (3.0 * z * z - 1.0)
        out[7], out[8] = root * x * z, 0.5 * root * (x * x - y * y)
    if len(out) >= 16:
        outer, inner, middle = np.sqrt(5.0 / 8.0), np.sqrt(3.0 / 8.0), np.sqrt(15.0)
        out[9], out[15] = outer * y * (3.0 * x * x - y * y), outer * x * (x * x - 3.0 * y * y)
        out[10], out[14] = middle * x * y * z, 0.5 * middle * z * (x * x - y * y)
        out[11], out[13] = inner * y * (5.0 * z * z - 1.0), inner * x * (5.0 * z * z - 1.0)
        out[12] = 0.5 * z * (5.0 * z * z - 3.0)


@kernel
def _encode_all(directions, out):
    for i in range(len(directions)):
        encode_direction(directions[i, 0], directions[i, 1], directions[i, 2], out[i])


def channel_orders(order: int) -> np.ndarray:
    """Return the order n of each of the ``(order + 1)²`` channels: 0, 1, 1, 1, 2 and so on.

    Raises:
        ConfigurationError: The order is not 0, 1, 2 or 3.
    """
    if order not in range(HIGHEST_ORDER + 1):
        raise ConfigurationError(f"Ambisonic order is {order!r}; expected 0 to {HIGHEST_ORDER}.")
    return np.repeat(np.arange(order + 1), 2 * np.arange(order + 1) + 1)


def order_of(channels: int) -> int:
    """Return the order that has this number of channels.

    Raises:
        ConfigurationError: The number is not 1, 4, 9 or 16.
    """
    counts = [(order + 1) ** 2 for order in range(HIGHEST_ORDER + 1)]
    if channels not in counts:
        raise ConfigurationError(f"{channels} channels are no ambisonic signal; expected {counts} for orders 0 to 3.")
    return counts.index(channels)


def encode(directions: np.ndarray, order: int, normalization: Normalization = "sn3d") -> np.ndarray:
    """Return what a plane wave of amplitude one contributes to each channel.

    Args:
        directions: ``(..., 3)`` to the source, in the listener's frame (right, up, back); any length.
        order: 0 to 3.
        normalization: "sn3d" or "n3d".

    Returns:
        ``(..., (order + 1)²)`` float64. Multiply by a signal to encode it.

    Raises:
        ConfigurationError: The order is not 0 to 3, the normalisation is unknown, or a direction is zero or not finite.
    """
    scale = _scale(order, normalization)
    vectors = unit_directions(directions)
    out = np.empty((vectors.size // 3, len(scale)))
    _encode_all(vectors.reshape(-1, 3), out)
    return (out * scale).reshape(*vectors.shape[:-1], len(scale))


def convert_normalization(
    signal: np.ndarray, current: Normalization, target: Normalization, *, axis: int = 0
) -> np.ndarray:
    """Convert a signal between SN3D and N3D, whose channels of order n differ by √(2n + 1).

    Args:
        signal: Array with 1, 4, 9 or 16 channels along `axis`.
        current: The signal's normalisation.
        target: The result's.
        axis: Axis of the channels.

    Returns:
        A new array of the same shape and type.

    Raises:
        ConfigurationError: The number of channels is not 1, 4, 9 or 16, or a normalisation is unknown.
    """
    signal = np.asarray(signal)
    order = order_of(signal.shape[axis])
    factor = _scale(order, target) / _scale(order, current)
    shape = [1] * signal.ndim
    shape[axis] = -1
    return (signal * factor.reshape(shape)).astype(np.result_type(signal.dtype, np.float32))


def rotation_matrix(rotation: np.ndarray, order: int) -> np.ndarray:
    """Return the matrix that turns an ambisonic signal, for SN3D and N3D alike.

    Rotations map the harmonics of an order onto each other, so each order's block follows exactly from the harmonics in
    a few directions before and after the rotation; accurate to about 1e-15.

    Args:
        rotation: ``(3, 3)`` rotation in Harken's frame: sound from d comes from ``rotation @ d`` afterwards. For a
            listener that turns its head this is `harken.acoustics.directivity.body_frame`, applied to the field in the
            world's frame.
        order: 0 to 3.

    Returns:
        ``(channels, channels)`` float64, orthogonal.

    Raises:
        ConfigurationError: The order is not 0 to 3, or the matrix is not a rotation.
    """
    r = np.asarray(rotation, np.float64)
    if r.shape != (3, 3) or not np.allclose(r @ r.T, np.eye(3), atol=1e-6) or np.linalg.det(r) < 0:
        raise ConfigurationError(f"Rotation is {rotation!r}; expected a (3, 3) orthogonal matrix without reflection.")
    # Rounded input, such as float32, would otherwise leave the blocks slightly skew.
    u, _, vt = np.linalg.svd(r)
    directions = sphere_directions(_SAMPLES)
    before, after = encode(directions, order), encode(directions @ (u @ vt).T, order)
    result = np.zeros((before.shape[1],) * 2)
    for n in range(order + 1):
        block = slice(n * n, (n + 1) ** 2)
        result[block, block] = np.linalg.lstsq(before[:, block], after[:, block], rcond=None)[0].T
    return result


def rotate(signal: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Rotate an ambisonic signal: sound from d comes from ``rotation @ d`` afterwards.

    Args:
        signal: ``(channels, samples)`` with 1, 4, 9 or 16 channels.
        rotation: ``(3, 3)``, as for `rotation_matrix`.

    Returns:
        ``(channels, samples)`` float32.

    Raises:
        ConfigurationError: The number of channels is not 1, 4, 9 or 16, or the matrix is not a rotation.
    """
    signal = _signal(signal)
    return (rotation_matrix(rotation, order_of(len(signal))) @ signal).astype(np.float32)


def energy_map(
    signal: np.ndarray, directions: np.ndarray, *, beam: Literal["max-re", "plane-wave"] = "max-re"
) -> np.ndarray:
    """Return the energy that an ambisonic signal has from each direction.

    A beam is steered to every direction; for one plane wave the map's maximum is the wave's energy.

    Args:
        signal: ``(channels, samples)``, SN3D.
        directions: ``(..., 3)`` to look at, in the listener's frame: `harken.acoustics.directivity.sphere_directions`,
            or the rays of a panorama.
        beam: "max-re" has weak side lobes (Daniel 2001: order n weighted by P_n(cos(137.9°/(N + 1.51)))), "plane-wave"
            the narrowest main lobe.

    Returns:
        ``(...,)`` float64, 0 or more: the sum over the samples of the squared beam.

    Raises:
        ConfigurationError: The number of channels or the beam does not exist, or a direction is zero or not finite.
    """
    signal = _signal(signal).astype(np.float64)
    order = order_of(len(signal))
    if beam not in ("max-re", "plane-wave"):
        raise ConfigurationError(f"Beam is {beam!r}; expected 'max-re' or 'plane-wave'.")
    orders = channel_orders(order)
    cosine = np.cos(np.radians(137.9) / (order + 1.51))
    legendre = np.array([1.0, cosine, 0.5 * (3 * cosine**2 - 1), 0.5 * (5 * cosine**3 - 3 * cosine)])
    weights = legendre[orders] if beam == "max-re" else np.ones(len(orders))
    # Σ over the channels of one order of SN3D² is 1, so that the beam's gain on its axis is one.
    gains = weights * (2 * orders + 1)
    steering = encode(directions, order) * gains / weights.sum()
    return np.einsum("...i,ij,...j->...", steering, signal @ signal.T, steering, optimize=True)


@dataclass(frozen=True, kw_only=True, eq=False)
class BinauralDecoder:
    """Filters from an ambisonic signal to the ears of a head."""

    rate: int
    """Sampling rate [Hz]."""
    filters: np.ndarray
    """``(2, channels, taps)`` float32, for SN3D; left ear first."""
    latency: int
    """Delay of the filters [samples]: the nearer ear is reached before the centre of the head."""

    @staticmethod
    def build(head: HeadResponse, order: int) -> "BinauralDecoder":
        """Make the filters for a head.

        Below the frequency N·c/(2π·8.75 cm) up to which order N resolves a head, they fit pressure, above it magnitude
        only, to which the ear is sensitive there (magnitude least squares, MagLS: Schörkhuber, Zaunschirm and Höldrich
        2018, "Binaural rendering of ambisonic signals via magnitude least squares", DAGA). A matrix per frequency then
        gives both ears the levels and the coherence that the head has in a diffuse field (Zaunschirm, Schörkhuber and
        Höldrich 2018, J. Acoust. Soc. Am. 143, 3616).

        Args:
            head: The head; its rate is the decoder's.
            order: 1 to 3.

        Returns:
            The decoder.

        Raises:
            ConfigurationError: The order is not 1 to 3.
        """
        scale = _scale(order, "n3d")
        if order < 1:
            raise ConfigurationError("One channel tells nothing apart for two ears; expected an order of 1 to 3.")
        latency = int(np.ceil(0.003 * head.rate))
        taps = head.taps + 2 * latency
        size = 1 << int(np.ceil(np.log2(4 * taps)))
        frequencies = np.fft.rfftfreq(size, 1.0 / head.rate)
        directions = sphere_directions(_HEAD_SAMPLES)
        ears = np.stack([_ears(head, direction, frequencies, size) for direction in directions])
        spectra = _magnitude_least_squares(ears, encode(directions, order, "n3d"), frequencies, 624.0 * order)
        spectra = _with_diffuse_covariance(spectra, *head.diffuse_spectra(size))
        # The first and the last bin of a real signal's spectrum are real.
        spectra[0], spectra[-1] = spectra[0].real, spectra[-1].real
        filters = np.roll(irfft(np.moveaxis(spectra, 0, -1), size), latency, axis=-1)[..., :taps]
        window = np.ones(taps)
        fade = np.sin(0.5 * np.pi * (np.arange(latency) + 0.5) / latency) ** 2
        window[: latency // 2], window[-latency:] = fade[: 2 * (latency // 2) : 2], fade[::-1]
        filters = (filters * window * scale[:, None]).astype(np.float32)
        filters.flags.writeable = False
        return BinauralDecoder(rate=head.rate, filters=filters, latency=latency)

    def decode(self, signal: np.ndarray) -> np.ndarray:
        """Return what the ears receive, without the filters' latency.

        Args:
            signal: ``(channels, samples)``, SN3D, in the head's frame (see `rotate`), at the decoder's rate.

        Returns:
            ``(2, samples)`` float32, left first. Ringing before the first sample and after the last is cut.

        Raises:
            ConfigurationError: The signal does not have the decoder's number of channels.
        """
        signal = _signal(signal)
        if len(signal) != self.filters.shape[1]:
            raise ConfigurationError(
                f"The signal has {len(signal)} channels, the decoder {self.filters.shape[1]}; build one of that order."
            )
        samples = signal.shape[1]
        size = next_fast_len(samples + self.filters.shape[2], real=True)
        spectrum = (rfft(self.filters.astype(np.float64), size) * rfft(signal.astype(np.float64), size)).sum(1)
        return irfft(spectrum, size)[:, self.latency : self.latency + samples].astype(np.float32)


def write_ambix(
    path: Path | str, samples: np.ndarray, rate: int, *, subtype: Literal["FLOAT", "PCM_24"] = "FLOAT"
) -> None:
    """Write an ambisonic signal as an AmbiX wav file.

    Args:
        path: File to write, ending in .wav.
        samples: ``(channels, samples)``: 4, 9 or 16 channels, ACN, SN3D (see `convert_normalization`).
        rate: Sampling rate [Hz].
        subtype: "FLOAT" for 32-bit floating point, which keeps any level; "PCM_24" for 24-bit integers, −1 to 1.

    Raises:
        ConfigurationError: The channels, the subtype or the file's ending do not fit.
        SoundError: A sample is not finite, or does not fit between −1 and 1 in 24 bit.
    """
    import soundfile

    path, samples = Path(path), _signal(samples)
    if order_of(len(samples)) == 0 or subtype not in ("FLOAT", "PCM_24") or path.suffix.lower() != ".wav":
        raise ConfigurationError(
            f"AmbiX file {path.name!r} with {len(samples)} channels as {subtype!r}; expected a name that ends in .wav, "
            "4, 9 or 16 channels, and 'FLOAT' or 'PCM_24'."
        )
    peak = float(np.abs(samples).max(initial=0.0))
    if not np.isfinite(peak) or (subtype == "PCM_24" and peak > 1.0):
        raise SoundError(
            f"{path.name}: the signal's peak is {peak:g}; 24 bit hold −1 to 1. Scale it down, or write 'FLOAT'."
        )
    soundfile.write(path, samples.T, rate, subtype=subtype, format="WAV")


def _scale(order: int, normalization: Normalization) -> np.ndarray:
    """Return the factors of the channels relative to SN3D."""
    orders = channel_orders(order)
    if normalization not in ("sn3d", "n3d"):
        raise ConfigurationError(f"Normalization is {normalization!r}; expected 'sn3d' or 'n3d'.")
    return np.sqrt(2.0 * orders + 1.0) if normalization == "n3d" else np.ones(len(orders))


def _signal(samples: np.ndarray) -> np.ndarray:
    signal = np.asarray(samples)
    if signal.ndim != 2:
        raise ConfigurationError(f"Ambisonic signal of shape {signal.shape}; expected (channels, samples).")
    order_of(len(signal))
    return signal


def _ears(head: HeadResponse, direction: np.ndarray, frequencies: np.ndarray, size: int) -> np.ndarray:
    """Return the spectra ``(frequencies, 2)`` of both ears, relative to the arrival at the centre of the head."""
    filters, delays = head.lookup(direction)
    turn = np.exp(-2j * np.pi * frequencies * delays[:, None].astype(np.float64))
    return (rfft(filters.astype(np.float64), size) * turn).T


def _magnitude_least_squares(
    ears: np.ndarray, harmonics: np.ndarray, frequencies: np.ndarray, highest: float
) -> np.ndarray:
    """Fit ears ``(directions, frequencies, 2)``, above `highest` [Hz] by magnitude: ``(frequencies, 2, channels)``."""
    inverse = np.linalg.pinv(harmonics)
    result = np.empty((len(frequencies), 2, harmonics.shape[1]), np.complex128)
    for k, frequency in enumerate(frequencies):
        goal = ears[:, k]
        if k > 0 and frequency > highest:
            phase = np.angle(harmonics @ result[k - 1].T)
            goal = np.abs(goal) * np.exp(1j * phase)
        result[k] = (inverse @ goal).T
    return result


def _with_diffuse_covariance(spectra: np.ndarray, left: np.ndarray, right: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """Mix both ears so that a diffuse field has the covariance of the head, changing the filters the least."""
    goal = np.moveaxis(np.array([[left, cross], [cross.conj(), right]]), -1, 0)
    covariance = spectra @ np.swapaxes(spectra.conj(), 1, 2)
    # Towards zero frequency both ears hear the same: the load keeps the factors regular and equal.
    load = 1e-3 * np.trace(goal, axis1=1, axis2=2).real[:, None, None] * np.eye(2)
    target, start = np.linalg.cholesky(goal + load), np.linalg.cholesky(covariance + load)
    u, _, vh = np.linalg.svd(np.swapaxes(target.conj(), 1, 2) @ start)
    return target @ u @ vh @ np.linalg.inv(start) @ spectra
