"""Octave bands: smooth filters that together neither lose nor add energy.

Neighbouring bands overlap by half a raised cosine over the logarithm of frequency (after Antoni 2010, "Orthogonal-like
fractional-octave-band filters", J. Acoust. Soc. Am. 127, 884). The transition is centred on the edge between two bands
and reaches from one centre to the next. The lowest band goes on down to 0 Hz and the highest up to the Nyquist
frequency.
Two kinds of weights follow from it:

- `amplitude_weights` sum to one. Signals split with them add up to the original: for one waveform whose bands get
  different gains, such as a reflection.
- `energy_weights` have squares that sum to one. Energies of signals split with them add up to the original's: for noise
  whose bands get different energies, such as a tail.
"""

import functools
from collections.abc import Sequence

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from harken.errors import ConfigurationError
from harken.scene import OCTAVE_BANDS

__all__ = ["amplitude_weights", "band_edges", "band_filters", "band_gains", "energy_weights"]


def band_edges(bands: Sequence[float] = OCTAVE_BANDS) -> np.ndarray:
    """Return the frequencies [Hz] at which one band ends and the next begins, between 0 and infinity.

    Args:
        bands: Centre frequencies [Hz], rising.

    Returns:
        ``(bands + 1,)`` float64: 0, the geometric means of neighbouring centres, infinity.

    Raises:
        ConfigurationError: The centres are not positive and rising.
    """
    centres = np.asarray(bands, np.float64)
    if centres.ndim != 1 or len(centres) == 0 or not np.isfinite(centres).all() or centres[0] <= 0:
        raise ConfigurationError(f"Bands are {bands!r}; expected one or more centre frequencies above 0 Hz.")
    if (np.diff(centres) <= 0).any():
        raise ConfigurationError(f"Bands are {bands!r}; expected centre frequencies that rise from one to the next.")
    return np.concatenate([[0.0], np.sqrt(centres[1:] * centres[:-1]), [np.inf]])


def _turns(frequencies: np.ndarray, bands: Sequence[float]) -> np.ndarray:
    """Angle from 0 (all in the lower band) to π/2 (all in the upper one) at each edge between bands, (bands - 1, n)."""
    band_edges(bands)
    f = np.asarray(frequencies, np.float64)
    if not np.isfinite(f).all() or (f < 0).any():
        raise ConfigurationError(f"Frequencies are {frequencies!r}; expected hertz, 0 or more.")
    centres = np.log(np.asarray(bands, np.float64))
    octave = np.log(np.maximum(f, 1e-9))
    low, high = centres[:-1, None], centres[1:, None]
    share = np.clip((octave.ravel() - low) / (high - low), 0.0, 1.0)
    # The sine keeps the slope continuous at both ends of the transition.
    smooth = 0.5 + 0.5 * np.sin(np.pi * (share - 0.5))
    return (0.5 * np.pi * smooth).reshape(-1, *f.shape)


def energy_weights(frequencies: np.ndarray, bands: Sequence[float] = OCTAVE_BANDS) -> np.ndarray:
    """Return amplitude gains of filters whose energies sum to one: Σ_b w_b(f)² = 1.

    Args:
        frequencies: Frequencies [Hz] of any shape, 0 or more.
        bands: Centre frequencies [Hz], rising.

    Returns:
        ``(bands, *frequencies.shape)`` float64, 0–1; 1 at the band's own centre.

    Raises:
        ConfigurationError: The bands do not rise, or a frequency is negative or not finite.
    """
    turns = _turns(frequencies, bands)
    whole = np.ones((1, *np.shape(frequencies)))
    return np.concatenate([whole, np.sin(turns)]) * np.concatenate([np.cos(turns), whole])


def amplitude_weights(frequencies: np.ndarray, bands: Sequence[float] = OCTAVE_BANDS) -> np.ndarray:
    """Return amplitude gains of filters that sum to one: Σ_b w_b(f) = 1, so that zero-phase filters reconstruct.

    Arguments, result and errors are those of `energy_weights`, of which this is the square.
    """
    return energy_weights(frequencies, bands) ** 2


def band_filters(rate: float, taps: int, bands: Sequence[float] = OCTAVE_BANDS) -> np.ndarray:
    """Return short linear-phase filters, one per band, that sum to a unit impulse in their middle.

    Applying a gain per band then takes a single weighted sum of the filters. With few taps the low bands run into each
    other: a band is resolved where its width is above about 2·rate/taps. The sum is exact for any length.

    Args:
        rate: Sampling rate [Hz].
        taps: Length, odd, so that there is a middle: the filters delay by (taps - 1)/2 samples.
        bands: Centre frequencies [Hz], rising.

    Returns:
        ``(bands, taps)`` float32.

    Raises:
        ConfigurationError: `taps` is not odd and positive, the bands do not rise, or the rate is not positive.
    """
    _check_rate(rate)
    if taps < 1 or taps % 2 == 0:
        raise ConfigurationError(
            f"Band filters of {taps} taps have no middle; expected an odd number, such as {taps + 1}."
        )
    size = next_fast_len(max(4 * taps, int(16 * rate / bands[0])), real=True)
    responses = irfft(amplitude_weights(np.fft.rfftfreq(size, 1.0 / rate), bands), size)
    middle = np.roll(responses, taps // 2, axis=-1)[:, :taps]
    return (middle * np.hanning(taps + 2)[1:-1]).astype(np.float32)


def band_gains(response: np.ndarray, rate: float, bands: Sequence[float] = OCTAVE_BANDS) -> np.ndarray:
    """Return by how much a response raises the power of steady noise, per band.

    It is the mean of its squared spectrum over the band: 1 for a unit impulse, 1/r² in the free field at r metres. Of
    a band that reaches beyond the Nyquist frequency the part below counts.

    Args:
        response: ``(..., n)`` impulse response.
        rate: Sampling rate [Hz].
        bands: Centre frequencies [Hz], rising, below the Nyquist frequency.

    Returns:
        ``(..., bands)`` float64, 0 or more.

    Raises:
        ConfigurationError: The bands do not rise, one lies above the Nyquist frequency, or the rate is not positive.
    """
    _check_rate(rate)
    band_edges(bands)
    # Long enough that the lowest band has several values.
    size = next_fast_len(max(response.shape[-1], int(8.0 * rate / bands[0])), real=True)
    spectrum = rfft(response, size)
    power = spectrum.real**2 + spectrum.imag**2
    return power @ _mean_weights(size, float(rate), tuple(bands))


@functools.lru_cache(maxsize=8)
def _mean_weights(size: int, rate: float, bands: tuple[float, ...]) -> np.ndarray:
    """Return the weights ``(size // 2 + 1, bands)`` with which squared spectra are averaged over bands."""
    if bands and bands[-1] > 0.5 * rate:
        raise ConfigurationError(
            f"The band at {bands[-1]:g} Hz lies above half the sampling rate of {rate:g} Hz. Leave it out, or raise "
            "the rate."
        )
    frequencies = np.fft.rfftfreq(size, 1.0 / rate)
    weights = amplitude_weights(frequencies, bands).T
    return weights / weights.sum(0)


def _check_rate(rate: float) -> None:
    if not (np.isfinite(rate) and rate > 0):
        raise ConfigurationError(f"The sampling rate is {rate!r}; expected hertz above 0, such as 16000.")
