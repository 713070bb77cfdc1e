"""The sound of PseudoBinaural: mono sources placed in an image, heard through virtual loudspeakers.

Source: Xu, Zhou, Liu, Dai, Wang and Lin, "Visually Informed Binaural Audio Generation without Binaural Audios", CVPR
2021, §3.2. A source at a pixel is encoded as first-order ambisonics (ACN, SN3D), decoded to a ring of eight virtual
loudspeakers, and every loudspeaker is heard through head-related impulse responses (HRIRs). Paper and released code
differ, and the code departs from physics in three places. Each is an option here:

- Decoder. The paper solves for loudspeaker signals that make the encoded field, by least squares (`"least-squares"`);
  the code projects the field on the loudspeakers' harmonics (`"projection"`). For a source on the horizon and order 1
  the gains of L loudspeakers are (1 + 2 cos γ)/L and (1 + cos γ)/L, γ being the angle between loudspeaker and source.
  The field's velocity at the centre of the head, which the interaural delay follows at low frequencies (Gerzon 1992,
  "General metatheory of auditory localisation"), is that of the source in the first case and half of it in the second:
  projection halves the delay. Its side lobes are never negative ("in-phase" decoding).
- Rate of the HRIRs. The code convolves sound of 16 kHz with responses measured at 44.1 kHz (`unconverted_head`). Every
  delay is then 44.1/16 = 2.76 times too long, up to 2 ms, and the spectrum 2.76 times too low: a head of half a metre.
- Ears behind. The code reads the interaural-polar angles of the CIPIC data base as azimuth and elevation, so that the
  responses of the rear half are stored on the wrong side: loudspeakers behind the head feed the opposite ears
  (`swap_rear`).

The physical choice is the default of each. Directions are in the head's frame (right, up, back); azimuth is positive to
the left, as a heading.
"""

from dataclasses import dataclass
from functools import cached_property
from math import factorial
from typing import Literal

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from harken.acoustics.directivity import unit_directions
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.errors import ConfigurationError, UnknownNameError

__all__ = [
    "DECODERS",
    "Decoder",
    "VirtualLoudspeakers",
    "angles_of",
    "decoding_matrix",
    "direct_filters",
    "direction_of",
    "harmonics",
    "lead_of",
    "loudspeaker_ring",
    "pixel_angles",
    "render_pair",
    "stereo_gains",
    "unconverted_head",
]

Decoder = Literal["least-squares", "projection"]
"""How an ambisonic signal comes to loudspeakers; see `decoding_matrix`."""

DECODERS: tuple[Decoder, ...] = ("least-squares", "projection")
"""The decoders; the first is the paper's, the second the released code's."""

_HIGHEST_ORDER = 30
_LEAD = 0.005
_BLOCK = 4096


def pixel_angles(
    x: np.ndarray | float, y: np.ndarray | float, width: int, height: int, field_of_view: float = 2 * np.pi / 3
) -> tuple[np.ndarray, np.ndarray]:
    """Return the angles under which the published pipeline hears a pixel.

    The azimuth is (1/2 − x/width)·field_of_view and the elevation (1/2 − y/height)·π/2, linear in the pixel, as no
    camera took the image. The paper found 2π/3 best of π/3 to π; the code calls the field of view π·fov.

    Args:
        x: ``(...)`` from the image's left edge [pixel]; the centre of the first column is at 0.5.
        y: ``(...)`` from its upper edge [pixel].
        width: Columns of the image.
        height: Rows of the image.
        field_of_view: Angle that the image's width stands for [rad].

    Returns:
        Azimuth, positive to the left, and elevation, positive upwards, each ``(...)`` float64 [rad].
    """
    azimuth = (0.5 - np.asarray(x, np.float64) / width) * field_of_view
    return azimuth, (0.5 - np.asarray(y, np.float64) / height) * (np.pi / 2)


def direction_of(azimuth: np.ndarray | float, elevation: np.ndarray | float = 0.0) -> np.ndarray:
    """Return unit vectors ``(..., 3)`` float64 (right, up, back) of an azimuth and an elevation [rad]."""
    azimuth, elevation = np.broadcast_arrays(np.asarray(azimuth, np.float64), np.asarray(elevation, np.float64))
    level = np.cos(elevation)
    return np.stack([-np.sin(azimuth) * level, np.sin(elevation), -np.cos(azimuth) * level], -1)


def angles_of(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return azimuth and elevation [rad], each ``(...)``, of directions ``(..., 3)``: the inverse of `direction_of`."""
    d = unit_directions(directions)
    return np.arctan2(-d[..., 0], -d[..., 2]), np.arcsin(np.clip(d[..., 1], -1.0, 1.0))


def loudspeaker_ring(count: int = 8) -> np.ndarray:
    """Return the directions ``(count, 3)`` of loudspeakers on the horizon at the azimuths (2i/count − 1)·π.

    Raises:
        ConfigurationError: There are fewer than three.
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer)) or count < 3:
        raise ConfigurationError(f"{count!r} virtual loudspeakers were asked for; expected 3 or more, 8 as published.")
    return direction_of((2.0 * np.arange(count) / count - 1.0) * np.pi)


def harmonics(directions: np.ndarray, order: int) -> np.ndarray:
    """Return real spherical harmonics (ACN, SN3D, no Condon–Shortley phase) of any order up to 30.

    Up to order 3 they are those of `harken.acoustics.hearing.ambisonics.encode`; higher orders show the limit that the
    pipeline approaches.

    Args:
        directions: ``(..., 3)`` to the sources, in the head's frame; any length.
        order: 0 to 30.

    Returns:
        ``(..., (order + 1)²)`` float64.

    Raises:
        ConfigurationError: The order is not 0 to 30, or a direction is zero or not finite.
    """
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)) or not 0 <= order <= _HIGHEST_ORDER:
        raise ConfigurationError(f"Ambisonic order is {order!r}; expected a whole number from 0 to {_HIGHEST_ORDER}.")
    from scipy.special import lpmv

    azimuth, elevation = angles_of(directions)
    height, out = np.sin(elevation), np.empty((*azimuth.shape, (order + 1) ** 2))
    for n in range(order + 1):
        for m in range(n + 1):
            # The sign takes out the phase that lpmv includes.
            norm = (-1) ** m * np.sqrt((2.0 if m else 1.0) * factorial(n - m) / factorial(n + m))
            legendre = norm * lpmv(m, n, height)
            out[..., n * n + n + m] = legendre * np.cos(m * azimuth)
            if m:
                out[..., n * n + n - m] = legendre * np.sin(m * azimuth)
    return out


def decoding_matrix(loudspeakers: np.ndarray, order: int, decoder: Decoder = "least-squares") -> np.ndarray:
    """Return the gains from ambisonic channels (ACN, SN3D) to loudspeakers.

    "least-squares" is the pseudoinverse of the loudspeakers' harmonics: of all signals that come nearest to the encoded
    field, it gives those of least energy. A ring cannot reproduce the parts above and below the horizon, and they are
    left out. "projection" is the harmonics themselves over the number of loudspeakers; the code leaves that number out,
    which its normalisation of the result undoes. Of order N its gains are Σ P_n(cos γ)/L, n = 0…N, with Legendre
    polynomials P_n (addition theorem): as N grows that sharpens only with 1/ln N.

    Args:
        loudspeakers: ``(L, 3)`` directions to them.
        order: 0 to 30.
        decoder: One of `DECODERS`.

    Returns:
        ``(L, (order + 1)²)`` float64.

    Raises:
        UnknownNameError: There is no such decoder.
        ConfigurationError: The order or a direction is not valid.
    """
    if decoder not in DECODERS:
        raise UnknownNameError("decoder", decoder, DECODERS)
    matrix = harmonics(loudspeakers, order)
    if decoder == "projection":
        return matrix / len(matrix)
    # Channels that are zero on the whole ring come out of trigonometric functions as 1e-17.
    return np.linalg.pinv(matrix.T, rcond=1e-9)


def unconverted_head(head: HeadResponse, rate: int) -> HeadResponse:
    """Return a head whose samples are played at a different rate from that of the measurement.

    Args:
        head: The head at the rate of its measurement: 44100 Hz for CIPIC and for KEMAR.
        rate: Rate at which its samples are played, unchanged [Hz].

    Returns:
        A head of that rate: all delays are longer by ``head.rate / rate``, and the spectra lower.
    """
    return HeadResponse(
        rate=rate,
        directions=head.directions,
        delays=head.delays * (head.rate / rate),
        filters=head.filters,
        name=f"{head.name}, {head.rate} Hz played at {rate} Hz",
    )


def direct_filters(head: HeadResponse, directions: np.ndarray) -> np.ndarray:
    """Return the direct responses of both ears to sources, with the delays included in the filters.

    Args:
        head: The head.
        directions: ``(n, 3)`` to the sources, in the head's frame.

    Returns:
        ``(n, 2, taps)`` float64, left ear first. The arrival at the centre of the head is at `lead_of` samples; the
        highest twentieth of the spectrum fades out.

    Raises:
        ConfigurationError: A direction is zero or not finite.
    """
    lead, taps = lead_of(head), head.taps + 2 * lead_of(head)
    size = next_fast_len(4 * taps, real=True)
    turns = np.arange(size // 2 + 1) / size
    # A shift by part of a sample rings at half the rate, beyond the filters' ends: the highest twentieth fades out.
    fade = np.cos(0.5 * np.pi * np.clip((turns - 0.475) / 0.025, 0.0, 1.0)) ** 2
    out = np.empty((len(directions), 2, taps))
    for k, direction in enumerate(unit_directions(directions)):
        filters, delays = head.lookup(direction)
        samples = lead + delays.astype(np.float64)[:, None] * head.rate
        spectra = rfft(filters.astype(np.float64), size) * np.exp(-2j * np.pi * turns * samples)
        out[k] = irfft(spectra * fade, size)[:, :taps]
    return out


def lead_of(head: HeadResponse) -> int:
    """Return the latency of this module's filters relative to the arrival at the centre of the head [samples].

    The nearer ear is reached before the centre, and a shift by part of a sample rings ahead: 5 ms, more for a head
    whose delays are stretched.
    """
    return int(np.ceil(max(_LEAD, 6.0 * float(np.abs(head.delays).max(initial=0.0))) * head.rate))


def stereo_gains(directions: np.ndarray) -> np.ndarray:
    """Return the gains of the two channels without any head: left (W + Y)/2 and right (W − Y)/2.

    This is the third option of the released code, two cardioids back to back: levels differ, arrival times do not.

    Args:
        directions: ``(n, 3)`` to the sources, in the head's frame.

    Returns:
        ``(n, 2)`` float64.
    """
    w, y = harmonics(directions, 1)[:, :2].T
    return np.stack([w + y, w - y], -1) / 2


@dataclass(frozen=True, kw_only=True, eq=False)
class VirtualLoudspeakers:
    """A ring of loudspeakers around a head, fed from an ambisonic signal."""

    head: HeadResponse
    """The head in the middle; its rate is that of the filters."""
    order: int = 1
    """Ambisonic order, 0 to 30; 1 as published."""
    count: int = 8
    """Loudspeakers on the horizon; 8 as published. From 2·order + 1 on the field on the horizon is complete."""
    decoder: Decoder = "least-squares"
    """One of `DECODERS`."""
    swap_rear: bool = False
    """Whether the loudspeakers behind the head feed the opposite ears, as in the released code."""

    def __post_init__(self) -> None:
        """Check the settings."""
        decoding_matrix(loudspeaker_ring(self.count), self.order, self.decoder)

    @cached_property
    def channel_filters(self) -> np.ndarray:
        """``(2, (order + 1)², taps)`` float64: what each ear receives of each ambisonic channel."""
        ring = loudspeaker_ring(self.count)
        ears = direct_filters(self.head, ring)
        if self.swap_rear:
            behind = ring[:, 2] > 1e-9
            ears[behind] = ears[behind, ::-1]
        return np.einsum("sc,set->ect", decoding_matrix(ring, self.order, self.decoder), ears)

    def filters(self, directions: np.ndarray) -> np.ndarray:
        """Return the responses of both ears to sources: encoded, decoded and heard.

        Args:
            directions: ``(n, 3)`` to the sources, in the head's frame.

        Returns:
            ``(n, 2, taps)`` float64, left ear first, as `direct_filters`.

        Raises:
            ConfigurationError: A direction is zero or not finite.
        """
        return np.einsum("nc,ect->net", harmonics(directions, self.order), self.channel_filters)


def render_pair(signals: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Return what two ears receive of several sources, where the filters overlap the signals wholly.

    Overlap-save over blocks of 4096 samples: one transform per block and source, and one per block and ear.

    Args:
        signals: ``(n, samples)`` of the sources.
        filters: ``(n, 2, taps)`` of the sources and ears.

    Returns:
        ``(2, samples − taps + 1)`` float32; the first sample is the filters' response to the first `taps` samples.

    Raises:
        ConfigurationError: The shapes do not fit, or the signals are shorter than the filters.
    """
    signals, filters = np.asarray(signals, np.float32), np.asarray(filters, np.float32)
    if signals.ndim != 2 or filters.ndim != 3 or filters.shape[:2] != (len(signals), 2):
        raise ConfigurationError(
            f"Signals of shape {signals.shape} and filters of shape {filters.shape}; expected (n, samples) and "
            "(n, 2, taps)."
        )
    taps = filters.shape[2]
    count = signals.shape[1] - taps + 1
    if count < 1:
        raise ConfigurationError(f"{signals.shape[1]} samples are fewer than the filters' {taps} taps.")
    size = max(_BLOCK, next_fast_len(4 * taps, real=True))
    hop = size - taps + 1
    blocks = -(-count // hop)
    padded = np.zeros((len(signals), (blocks - 1) * hop + size), np.float32)
    padded[:, : signals.shape[1]] = signals
    # (n, blocks, size), a view without copies.
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, ::hop]
    spectra = rfft(windows, axis=-1)
    ears = np.einsum("nbf,nef->ebf", spectra, rfft(filters, size, axis=-1))
    return irfft(ears, size, axis=-1)[..., taps - 1 :].reshape(2, -1)[:, :count]
