"""From paths to pressure: exact paths become delayed, filtered impulses.

The energy field becomes noise, see `harken.acoustics.hearing.waves`. The response of each channel to a direction is
defined in `harken.acoustics.hearing.receivers`.
"""

import functools
from typing import NamedTuple

import numpy as np
from scipy.fft import irfft, rfft

from harken.acoustics.bands import band_filters
from harken.acoustics.tracing import FAST
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS
from harken.sound.delay_lines import PHASES, SINC_TAPS, fractional_delays

__all__ = ["PathFilters", "add_shaped", "fade_end", "path_filters"]

LONG, SHORT = 16e-3, 4e-3
"""Lengths of the filters of paths whose bands differ [s]: for straight and diffracted paths, and for mirror
reflections, whose bands differ less."""

ALIKE = 0.97
"""A path whose bands' amplitudes differ by less than this becomes a plain impulse."""

FADE_OUT = 0.02
"""Share of the response over which its end fades, so that a cut tail does not click."""


class PathFilters(NamedTuple):
    """Tables ``(PHASES + 1, bands, taps)`` float32 of filters, delayed by fractions of a sample."""

    plain: np.ndarray
    """For bands of equal amplitude."""
    short: np.ndarray
    """For mirror reflections."""
    long: np.ndarray
    """For straight and diffracted paths."""


def path_filters(rate: int) -> PathFilters:
    """Return the filters of exact paths at a sampling rate.

    Row p of a table delays by p/`PHASES` of a sample beyond half of its taps (Lanczos' window of the sinc). A path is
    the sum of the bands' filters, each times the band's amplitude; with amplitudes of one that is a plain impulse.
    """
    sinc = fractional_delays()
    plain = np.zeros((PHASES + 1, len(OCTAVE_BANDS), SINC_TAPS))
    plain[:] = sinc[:, None] / len(OCTAVE_BANDS)
    tables = [plain.astype(np.float32)]
    for seconds in (SHORT, LONG):
        bands = band_filters(rate, 2 * int(0.5 * seconds * rate) + 1)
        taps = bands.shape[1] + SINC_TAPS - 1
        both = irfft(rfft(bands, taps)[None] * rfft(sinc, taps)[:, None], taps)
        tables.append(np.ascontiguousarray(both, np.float32))
    return PathFilters(tables[0], tables[1], tables[2])


@kernel(fastmath=FAST)
def add_shaped(filters, exact, amplitude, delay, taps, out):
    """Add one impulse to a channel in place, from inside a kernel.

    Args:
        filters: What `path_filters` returned.
        exact: Whether the long filters shape it, not the short ones.
        amplitude: ``(bands,)`` amplitudes.
        delay: When it arrives [samples].
        taps: ``(n,)`` float32 filter of the channel in its direction.
        out: ``(samples,)`` float32 the channel.
    """
    low, high = np.inf, 0.0
    for b in range(len(amplitude)):
        low, high = min(low, abs(amplitude[b])), max(high, abs(amplitude[b]))
    if high <= 0.0:
        return
    table = filters.plain if low >= ALIKE * high else (filters.long if exact else filters.short)
    size = table.shape[2]
    begin = delay - (size // 2 - 1)
    whole = int(np.floor(begin))
    phase = (begin - whole) * PHASES
    row = min(int(phase), PHASES - 1)
    share = np.float32(phase - row)
    shape = np.zeros(size, np.float32)
    for b in range(len(amplitude)):
        near = np.float32(amplitude[b]) * (np.float32(1.0) - share)
        far = np.float32(amplitude[b]) * share
        first, second = table[row, b], table[row + 1, b]
        for i in range(size):
            shape[i] += near * first[i] + far * second[i]
    for j in range(len(taps)):
        gain, start = taps[j], whole + j
        if gain == 0.0:
            continue
        for i in range(max(0, -start), min(size, len(out) - start)):
            out[start + i] += gain * shape[i]


def fade_end(out: np.ndarray) -> None:
    """Fade the end of a response ``(channels, samples)`` in place, so that a cut tail does not click."""
    n = max(1, int(FADE_OUT * out.shape[1]))
    out[:, -n:] *= _fade(n)


@functools.lru_cache(maxsize=16)
def _fade(n: int) -> np.ndarray:
    return np.linspace(1.0, 0.0, n, dtype=np.float32)
