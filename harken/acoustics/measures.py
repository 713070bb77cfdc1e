"""Room-acoustic measures (ISO 3382-1), speech transmission and interaural differences.

Most functions take an *energy over time*, ``(..., n)``: the square of an impulse response, a band of it
(`band_energies`) or an energy histogram, with the number of values per second as the rate. A value stands for the
energy between its own instant and the next. Leading axes (bands, channels) are kept.

Time counts from the arrival of the direct sound, found by `arrival_time` unless `start` is given. Energy before it
counts as early: in a simulated response it is only the short pre-ringing of the band filters. Remove the noise before
the arrival from measured responses first.

Every function raises `SoundError` where there is nothing to measure, and none returns NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from harken.acoustics.bands import band_edges, energy_weights
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS

__all__ = [
    "JUST_NOTICEABLE_DIFFERENCES",
    "MODULATION_FREQUENCIES",
    "RoomMeasures",
    "arrival_time",
    "band_energies",
    "centre_time",
    "clarity",
    "decay_curve",
    "decay_time",
    "definition",
    "direct_to_reverberant_ratio",
    "interaural_coherence",
    "interaural_level_difference",
    "interaural_time_difference",
    "lateral_fraction",
    "modulation_transfer",
    "room_measures",
    "speech_transmission_index",
    "strength",
]

JUST_NOTICEABLE_DIFFERENCES: Mapping[str, float] = MappingProxyType(
    {
        "edt": 0.05,
        "t20": 0.05,
        "t30": 0.05,
        "c50": 1.1,
        "c80": 1.0,
        "d50": 0.05,
        "centre_time": 0.010,
        "strength": 1.0,
        "lateral_fraction": 0.05,
        "interaural_coherence": 0.075,
        "speech_transmission_index": 0.03,
    }
)
"""Smallest difference that a listener notices. Decay times: share of the value; levels [dB]; centre time [s].

Sources: ISO 3382-1:2009, Table A.1; C50 and STI: Bradley, Reich and Norcross (1999), "A just noticeable difference in
C50 for speech", Applied Acoustics 58, 99."""

MODULATION_FREQUENCIES: tuple[float, ...] = (
    0.63, 0.8, 1.0, 1.25, 1.6, 2.0, 2.5, 3.15, 4.0, 5.0, 6.3, 8.0, 10.0, 12.5,
)  # fmt: skip
"""Frequencies [Hz] at which speech is modulated and the speech transmission index is sampled (IEC 60268-16)."""

_MALE_WEIGHTS = np.array([0.085, 0.127, 0.230, 0.233, 0.309, 0.224, 0.173])
_MALE_REDUNDANCIES = np.array([0.085, 0.078, 0.065, 0.011, 0.047, 0.095])
_EARLY_DECAY, _T20, _T30 = (0.0, -10.0), (-5.0, -25.0), (-5.0, -35.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class RoomMeasures:
    """The measures of ISO 3382-1 for one impulse response. Every array is ``(bands, *leading axes)``."""

    bands: tuple[float, ...]
    """Centre frequencies of the octave bands [Hz]."""
    edt: np.ndarray
    """Early decay time [s], from the first 10 dB; that of a band filter itself is 4 divided by its bandwidth."""
    t20: np.ndarray
    """Reverberation time [s], from −5 to −25 dB."""
    t30: np.ndarray
    """Reverberation time [s], from −5 to −35 dB."""
    c50: np.ndarray
    """Clarity of speech [dB]."""
    c80: np.ndarray
    """Clarity of music [dB]."""
    d50: np.ndarray
    """Definition, 0–1."""
    centre_time: np.ndarray
    """Centre time [s]."""
    strength: np.ndarray
    """Strength G [dB]."""


def room_measures(response: np.ndarray, rate: float, bands: Sequence[float] | None = None) -> RoomMeasures:
    """Measure an impulse response per octave band.

    Args:
        response: ``(..., n)`` pressure relative to 1 at 1 m in the free field.
        rate: Sampling rate [Hz].
        bands: Centre frequencies [Hz]; None takes those of `OCTAVE_BANDS` that lie wholly below the Nyquist frequency.

    Returns:
        The measures, ``(bands, ...)`` each.

    Raises:
        SoundError: The response is silent in a band, too short for a decay of 45 dB, or dryer than the band filters.
        ConfigurationError: A band reaches beyond the Nyquist frequency.
    """
    if bands is None:
        bands = [band for band in OCTAVE_BANDS if band * np.sqrt(2.0) <= 0.5 * rate]
    energy = band_energies(response, rate, bands)
    start = arrival_time(np.square(response, dtype=np.float64), rate)
    # The share of an impulse's energy that a band holds.
    impulse = (_band_weights(8192, rate, bands) ** 2).mean(-1)
    edt, t20, t30 = (decay_time(energy, rate, levels=levels, start=start) for levels in (_EARLY_DECAY, _T20, _T30))
    for b, band in enumerate(bands):
        # The bare filters ring with 4.2 (bandwidth times decay time); at 6 their own decay adds a tenth.
        if min(t20[b].min(), t30[b].min()) * band / np.sqrt(2.0) < 6.0:
            raise SoundError(
                f"The decay at {band:g} Hz, {t30[b].min() * 1e3:.0f} ms, is no longer than the band filter's own. "
                "The response has no reverberation that could be measured in this band; leave the band out."
            )
    return RoomMeasures(
        bands=tuple(bands),
        edt=edt,
        t20=t20,
        t30=t30,
        c50=clarity(energy, rate, limit=0.05, start=start),
        c80=clarity(energy, rate, limit=0.08, start=start),
        d50=definition(energy, rate, start=start),
        centre_time=centre_time(energy, rate, start=start),
        strength=strength((energy.T / impulse).T),
    )


def band_energies(response: np.ndarray, rate: float, bands: Sequence[float] = OCTAVE_BANDS) -> np.ndarray:
    """Split a response into octave bands and square it.

    The filters are those of `energy_weights` with an additional band on either side, so that the first and the last
    band are shaped like the others. They have zero phase and leave the arrival where it is.

    Args:
        response: ``(..., n)``.
        rate: Sampling rate [Hz].
        bands: Centre frequencies [Hz], rising.

    Returns:
        ``(bands, ..., n)`` float64.

    Raises:
        SoundError: The response is empty or not finite.
        ConfigurationError: A band reaches beyond the Nyquist frequency.
    """
    response = _checked(response, rate, "response")
    band_edges(bands)
    if bands[-1] * np.sqrt(2.0) > 0.5 * rate * 1.001:
        raise ConfigurationError(
            f"The band at {bands[-1]:g} Hz reaches up to {bands[-1] * np.sqrt(2.0):.0f} Hz, above half the sampling "
            f"rate of {rate:g} Hz. Leave it out, or use a rate of {2.0 * np.sqrt(2.0) * bands[-1]:.0f} Hz or more."
        )
    size = next_fast_len(response.shape[-1] + int(8.0 * rate / bands[0]), real=True)
    weights = _band_weights(size, rate, bands).reshape(len(bands), *[1] * (response.ndim - 1), -1)
    return irfft(rfft(response, size) * weights, size)[..., : response.shape[-1]] ** 2


def _band_weights(size: int, rate: float, bands: Sequence[float]) -> np.ndarray:
    widened = (bands[0] / 2.0, *bands, bands[-1] * 2.0)
    return energy_weights(np.fft.rfftfreq(size, 1.0 / rate), widened)[1:-1]


def arrival_time(energy: np.ndarray, rate: float, *, threshold: float = -20.0) -> np.ndarray:
    """Return when the direct sound arrives ``(...)`` [s], the first value near the greatest (ISO 3382-1, 5.3.2).

    Arguments and errors are those of `decay_curve`; `threshold` is the level relative to the greatest value [dB].
    """
    energy = _checked(energy, rate, "energy")
    return (energy >= 10.0 ** (threshold / 10.0) * energy.max(-1, keepdims=True)).argmax(-1) / rate


def decay_curve(energy: np.ndarray, rate: float) -> np.ndarray:
    """Return the energy decay curve by backward integration (Schroeder 1965).

    Args:
        energy: ``(..., n)`` energy over time.
        rate: Values per second [Hz].

    Returns:
        ``(..., n)`` [dB] relative to all energy: 0 at first, −∞ where nothing is left.

    Raises:
        SoundError: There is no energy, or a value is negative or not finite.
    """
    energy = _checked(energy, rate, "energy")
    left = np.cumsum(energy[..., ::-1], -1)[..., ::-1]
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(left / left[..., :1])


def decay_time(
    energy: np.ndarray,
    rate: float,
    *,
    levels: tuple[float, float] = _T30,
    start: np.ndarray | float | None = None,
) -> np.ndarray:
    """Return the time in which sound decays by 60 dB, from a line through part of the decay curve (ISO 3382-1, 5.3.3).

    Args:
        energy: ``(..., n)`` energy over time.
        rate: Values per second [Hz].
        levels: Part of the decay curve [dB] that is used: (−5, −35) gives T30, (−5, −25) T20 and (0, −10) EDT.
        start: Arrival of the direct sound [s]; None finds it.

    Returns:
        ``(...)`` [s].

    Raises:
        SoundError: The response ends before the decay has fallen 10 dB further than the lower of the levels, or decays
            within so few values that no line can be drawn.
        ConfigurationError: The levels do not fall.
    """
    upper, lower = levels
    if not lower < upper <= 0.0:
        raise ConfigurationError(f"Levels of the decay are {levels!r} dB; expected two that fall, such as (-5, -35).")
    energy, start = _with_start(energy, rate, start)
    curves = decay_curve(energy, rate)
    begin = np.round(start * rate).astype(int)
    slope = _slope_between(curves, rate, upper, lower, begin)
    # A cut response bends the decay curve down; with 10 dB more below the evaluated part, the error is below 1 %.
    fallen = -slope * (curves.shape[-1] - begin) / rate
    short = ~(slope < 0.0) | (fallen < 10.0 - lower)
    if short.any():
        raise SoundError(
            f"The response is too short for a decay time from {upper:g} to {lower:g} dB: it ends after "
            f"{fallen[short].min():.0f} dB of decay; expected {10.0 - lower:.0f} dB. Render a longer response, or use "
            "levels nearer to 0."
        )
    return -60.0 / slope


def _slope_between(curves: np.ndarray, rate: float, upper: float, lower: float, begin: np.ndarray) -> np.ndarray:
    """Return the slope [dB/s] of the least-squares line through the part of each curve between two levels."""
    at = np.arange(curves.shape[-1])
    inside = (at >= begin[..., None]) & (curves <= upper) & (curves >= lower)
    count = inside.sum(-1)
    if (count < 4).any():
        raise SoundError(
            f"Only {count.min()} values of the decay lie between {upper:g} and {lower:g} dB, too few for a decay time."
            " A response without reverberation has none; a histogram needs finer bins."
        )
    levels = np.where(inside, curves, 0.0)
    offset = np.where(inside, at - (inside @ at / count)[..., None], 0.0)
    return (offset * levels).sum(-1) / (offset**2).sum(-1) * rate


def clarity(
    energy: np.ndarray, rate: float, *, limit: float = 0.05, start: np.ndarray | float | None = None
) -> np.ndarray:
    """Return clarity: early over late energy (ISO 3382-1, equation A.10).

    Args:
        energy: ``(..., n)`` energy over time.
        rate: Values per second [Hz].
        limit: Where late begins [s] after the arrival: 0.05 gives C50, 0.08 C80.
        start: Arrival of the direct sound [s]; None finds it.

    Returns:
        ``(...)`` [dB].

    Raises:
        SoundError: There is no energy, or none after the limit (clarity would be infinite).
    """
    energy, start = _with_start(energy, rate, start)
    early, late = _split(energy, rate, start + limit)
    if not (late > 0).all():
        raise SoundError(f"No energy arrives later than {limit * 1e3:g} ms after the direct sound: infinite clarity.")
    return 10.0 * np.log10(early / late)


def direct_to_reverberant_ratio(
    energy: np.ndarray, rate: float, *, limit: float = 0.0025, start: np.ndarray | float | None = None
) -> np.ndarray:
    """Return the energy up to 2.5 ms after the direct sound's arrival over what follows [dB]: `clarity` of that limit.

    After Zahorik (2002), "Direct-to-reverberant energy ratio sensitivity", J. Acoust. Soc. Am. 112, 2110.
    """
    return clarity(energy, rate, limit=limit, start=start)


def definition(
    energy: np.ndarray, rate: float, *, limit: float = 0.05, start: np.ndarray | float | None = None
) -> np.ndarray:
    """Return definition D50, ``(...)`` 0–1: the share of the energy that arrives early (ISO 3382-1, equation A.11).

    Arguments and errors are those of `clarity`, but without late energy the definition is 1.
    """
    energy, start = _with_start(energy, rate, start)
    early, late = _split(energy, rate, start + limit)
    return early / (early + late)


def centre_time(energy: np.ndarray, rate: float, *, start: np.ndarray | float | None = None) -> np.ndarray:
    """Return the centre time ``(...)`` [s]: when energy arrives on average (ISO 3382-1, equation A.13).

    Arguments and errors are those of `definition`.
    """
    energy, start = _with_start(energy, rate, start)
    times = (np.arange(energy.shape[-1]) + 0.5) / rate
    return (energy @ times) / energy.sum(-1) - start


def strength(energy: np.ndarray) -> np.ndarray:
    """Return strength G: the level relative to the same source at 10 m in the free field (ISO 3382-1, equation A.1).

    Args:
        energy: ``(..., n)`` squared pressure relative to 1 at 1 m. An impulse counts 1; of a band, divide by the share
            of an impulse's energy that the band holds.

    Returns:
        ``(...)`` [dB]: 20 at 1 m in the free field.

    Raises:
        SoundError: As `decay_curve`.
    """
    return 10.0 * np.log10(_checked(energy, 1.0, "energy").sum(-1)) + 20.0


def lateral_fraction(
    omnidirectional: np.ndarray, sideways: np.ndarray, rate: float, *, start: np.ndarray | float | None = None
) -> np.ndarray:
    """Return the lateral energy fraction: what arrives from the sides within 5–80 ms (ISO 3382-1, equation A.14).

    Args:
        omnidirectional: ``(..., n)`` squared response of an omnidirectional microphone.
        sideways: ``(..., n)`` squared response of a figure-of-eight microphone whose null points to the source and
            whose greatest sensitivity equals the other's.
        rate: Values per second [Hz].
        start: Arrival of the direct sound [s]; None finds it.

    Returns:
        ``(...)``.

    Raises:
        SoundError: There is no energy, a value is negative or not finite, or the shapes differ.
    """
    energy, start = _with_start(omnidirectional, rate, start)
    lateral = np.asarray(sideways, np.float64)
    if lateral.shape != energy.shape or not np.isfinite(lateral).all() or (lateral < 0).any():
        raise SoundError(
            f"The figure-of-eight energy has shape {lateral.shape}; expected that of the omnidirectional one, "
            f"{energy.shape}, with finite values, 0 or more."
        )
    until_80 = _split(lateral, rate, start + 0.08)[0]
    return (until_80 - _split(lateral, rate, start + 0.005)[0]) / _split(energy, rate, start + 0.08)[0]


def modulation_transfer(energy: np.ndarray, rate: float, frequencies: Sequence[float]) -> np.ndarray:
    """Return the modulation transfer function of the energy (Schroeder 1981): |Σ E exp(−j2πFt)| / Σ E.

    Exponential decay with reverberation time T gives [1 + (2πFT/13.8)²]^(−1/2). Arguments and errors are those of
    `decay_curve`, and the modulation frequencies F [Hz]; the result is ``(..., frequencies)``, 0–1.
    """
    energy = _checked(energy, rate, "energy")
    times = np.arange(energy.shape[-1]) / rate
    waves = np.exp(-2j * np.pi * times[:, None] * np.asarray(frequencies, np.float64))
    return np.abs(energy @ waves) / energy.sum(-1, keepdims=True)


def speech_transmission_index(energy: np.ndarray, rate: float) -> np.ndarray:
    """Return the speech transmission index of a room without noise (IEC 60268-16:2011, indirect method, male speech).

    Background noise, the threshold of hearing and masking between bands are left out.

    Args:
        energy: ``(7, ..., n)`` energy over time in the octave bands from 125 to 8000 Hz.
        rate: Values per second [Hz]; 100 or more, so that the fastest modulation is resolved.

    Returns:
        ``(...)`` 0–1.

    Raises:
        SoundError: There are not seven bands, a band is silent, or the rate is below 100 Hz.
    """
    energy = _checked(energy, rate, "energy")
    if energy.ndim < 2 or len(energy) != len(_MALE_WEIGHTS) or rate < 100.0:
        raise SoundError(
            f"Energy has shape {energy.shape} at {rate:g} values per second; expected (7, ..., n), one row per octave "
            "band from 125 to 8000 Hz, at 100 or more."
        )
    transfer = np.clip(modulation_transfer(energy, rate, MODULATION_FREQUENCIES), 1e-9, 1.0 - 1e-9)
    apparent = np.clip(10.0 * np.log10(transfer / (1.0 - transfer)), -15.0, 15.0)
    indices = np.moveaxis(((apparent + 15.0) / 30.0).mean(-1), 0, -1)
    index = indices @ _MALE_WEIGHTS - np.sqrt(indices[..., :-1] * indices[..., 1:]) @ _MALE_REDUNDANCIES
    return np.clip(index, 0.0, 1.0)


def interaural_level_difference(response: np.ndarray) -> float:
    """Return by how much the left ear's level exceeds the right ear's [dB], from a response ``(2, n)``, left first.

    Raises:
        SoundError: The shape is another, a value is not finite, or an ear receives nothing.
    """
    left, right = (_ears(response) ** 2).sum(-1)
    return float(10.0 * np.log10(left / right))


def interaural_time_difference(
    response: np.ndarray, rate: float, *, band: tuple[float, float] = (100.0, 1500.0), limit: float = 0.001
) -> float:
    """Return by how much sound reaches the left ear before the right ear [s]; positive for a source on the left.

    It is the lag of the greatest cross-correlation, resolved to a sixteenth of a sample. Above 1500 Hz the ears' phases
    are ambiguous. Arguments and errors are those of `interaural_coherence`.
    """
    lags, correlation = _cross_correlation(_ears(response), rate, band, limit)
    return float(lags[correlation.argmax()])


def interaural_coherence(
    response: np.ndarray, rate: float, *, band: tuple[float, float] = (0.0, np.inf), limit: float = 0.001
) -> float:
    """Return IACC, the greatest normalised interaural cross-correlation (ISO 3382-1, equations B.1 and B.2).

    Args:
        response: ``(2, n)`` what the ears receive, left first; cut to its first 80 ms it gives the early IACC.
        rate: Sampling rate [Hz].
        band: Frequencies that count [Hz].
        limit: Greatest lag [s].

    Returns:
        0–1; 1 where both ears receive the same.

    Raises:
        SoundError: The shape is another, a value is not finite, or an ear receives nothing in the band.
    """
    _, correlation = _cross_correlation(_ears(response), rate, band, limit)
    return float(np.abs(correlation).max())


def _cross_correlation(ears: np.ndarray, rate: float, band: tuple[float, float], limit: float) -> tuple:
    """Lags [s] (positive: left first) and the normalised correlation at them, at 16 times the sampling rate."""
    finer, size = 16, next_fast_len(2 * ears.shape[-1], real=True)
    frequencies = np.fft.rfftfreq(size, 1.0 / rate)
    spectra = rfft(ears, size) * ((frequencies >= band[0]) & (frequencies <= band[1]))
    power = irfft(np.abs(spectra) ** 2, size)[:, 0]
    if not (power > 0).all():
        raise SoundError(f"An ear receives nothing between {band[0]:g} and {band[1]:g} Hz at a rate of {rate:g} Hz.")
    cross = spectra[1] * spectra[0].conj()
    # At the finer rate the Nyquist bin of an even size is an ordinary bin, which would be counted twice.
    cross[-1] *= 0.5 if size % 2 == 0 else 1.0
    correlation = finer * irfft(cross, finer * size) / np.sqrt(power[0] * power[1])
    steps = np.arange(-int(limit * rate * finer), int(limit * rate * finer) + 1)
    return steps / (rate * finer), correlation[steps]


def _checked(values: np.ndarray, rate: float, what: str) -> np.ndarray:
    """Check that values are finite, not all zero along time and, for energies, not negative; return them as float64."""
    values = np.asarray(values, np.float64)
    if not (np.isfinite(rate) and rate > 0):
        raise ConfigurationError(f"The rate is {rate!r}; expected values per second above 0.")
    if values.ndim == 0 or values.shape[-1] == 0:
        raise SoundError(f"The {what} has shape {values.shape}; expected (..., n) with at least one value.")
    if not np.isfinite(values).all():
        raise SoundError(f"The {what} holds NaN or infinite values.")
    if what == "energy" and (values < 0).any():
        raise SoundError("The energy holds negative values. Square a response (pressure) before measuring it.")
    if not np.any(values != 0.0, axis=-1).all():
        raise SoundError(
            f"The {what} is silent (all zero) in at least one of its bands or channels: nothing to measure."
        )
    return values


def _with_start(energy: np.ndarray, rate: float, start: np.ndarray | float | None) -> tuple[np.ndarray, np.ndarray]:
    energy = _checked(energy, rate, "energy")
    if start is None:
        return energy, arrival_time(energy, rate)
    begin = np.broadcast_to(np.asarray(start, np.float64), energy.shape[:-1])
    if not ((begin >= 0.0) & (begin * rate < energy.shape[-1])).all():
        raise SoundError(f"The start {start!r} s lies outside the energy's {energy.shape[-1] / rate:g} s.")
    return energy, begin


def _split(energy: np.ndarray, rate: float, instant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energy before and after an instant [s], which may lie within a value's interval."""
    values = np.arange(energy.shape[-1])
    # Rounded, because an instant computed from an index must give exactly that index.
    before = np.clip(np.round(instant * rate, 6)[..., None] - values, 0.0, 1.0)
    return (energy * before).sum(-1), (energy * (1.0 - before)).sum(-1)


def _ears(response: np.ndarray) -> np.ndarray:
    ears = np.asarray(response)
    if ears.ndim != 2 or ears.shape[0] != 2:
        raise SoundError(f"The response has shape {ears.shape}; expected (2, n): the left ear, then the right.")
    return _checked(ears, 1.0, "response")
