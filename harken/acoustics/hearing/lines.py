"""Exact paths as delay lines that can move, with the filters that `harken.acoustics.hearing.synthesis` gives them.

A line's filter is the path's octave bands and the channel's filter in the path's direction, at a common delay, so that
the filters of two moments can be blended.
"""

import numpy as np

from harken.acoustics.hearing.hrtf import HeadTables, interpolate_head
from harken.acoustics.hearing.synthesis import ALIKE, PathFilters
from harken.acoustics.tracing import FAST
from harken.raytracing import kernel
from harken.sound.delay_lines import SINC_TAPS, DelayLines

__all__ = ["head_lines", "plain_lines"]

UNHEARD = 1e-3
"""Amplitude below which paths, and the ends of their filters, are left out; relative to the loudest path (-60 dB)."""


def head_lines(
    filters: PathFilters, head: HeadTables, directions: np.ndarray, frame: np.ndarray, delays: np.ndarray, rate: int,
    energies: np.ndarray, exact: np.ndarray,
) -> DelayLines:  # fmt: skip
    """Return the lines of paths through a head.

    Args:
        filters: What `path_filters` returned.
        head: The head.
        directions: ``(n, 3)`` to where the paths come from, in the world.
        frame: ``(3, 3)`` rotation from the world into the listener's frame.
        delays: ``(n,)`` at the head's centre [samples].
        rate: Sampling rate [Hz].
        energies: ``(n, bands)`` energies of the paths.
        exact: ``(n,)`` whether the long filters shape a path, not the short ones.
    """
    lines = _empty(len(delays), 2, filters, head.filters.shape[2])
    _fill_head_lines(filters, head, directions, frame, delays, rate, energies, exact, lines)
    _prune(lines)
    return lines


def plain_lines(filters: PathFilters, delays: np.ndarray, amplitudes: np.ndarray, exact: np.ndarray) -> DelayLines:
    """Return the lines of paths to channels without filters of their own.

    Args:
        filters: What `path_filters` returned.
        delays: ``(n, channels)`` [samples].
        amplitudes: ``(n, channels, bands)``, signed.
        exact: ``(n,)`` whether the long filters shape a path, not the short ones.
    """
    lines = _empty(*delays.shape, filters, 1)
    _fill_plain_lines(filters, delays, amplitudes, exact, lines)
    _prune(lines)
    return lines


def _empty(count: int, channels: int, filters: PathFilters, taps: int) -> DelayLines:
    length = filters.long.shape[2] - SINC_TAPS + taps
    return DelayLines(
        taps=np.zeros((count, channels, length), np.float32),
        first=np.zeros((count, channels), np.int64),
        last=np.full((count, channels), length, np.int64),
        gain=np.zeros((count, channels)),
        delay=np.zeros((count, channels)),
    )


@kernel(fastmath=FAST)
def _fill_head_lines(filters, head, directions, frame, delays, rate, energies, exact, lines):
    """Set taps of energy one, gains and delays of paths through a head."""
    taps, lag = np.zeros((2, head.filters.shape[2]), np.float32), np.zeros(2, np.float32)
    amplitude, shape = np.empty(energies.shape[1]), np.empty(filters.long.shape[2] - SINC_TAPS + 1, np.float32)
    for i in range(len(delays)):
        d = frame @ directions[i]
        interpolate_head(head, d[0], d[1], d[2], taps, lag)
        for b in range(len(amplitude)):
            amplitude[b] = np.sqrt(energies[i, b])
        first, last = _shape(filters, exact[i], amplitude, shape)
        for ear in range(2):
            out = lines.taps[i, ear]
            for k in range(first, last):
                target = out[k : k + taps.shape[1]]
                for j in range(taps.shape[1]):
                    target[j] += shape[k] * taps[ear, j]
            lines.delay[i, ear] = delays[i] + lag[ear] * rate - len(shape) // 2
            _normalize(lines, i, ear)


@kernel(fastmath=FAST)
def _fill_plain_lines(filters, delays, amplitudes, exact, lines):
    """Set taps of energy one, gains and delays of paths without further filters."""
    half = lines.taps.shape[2] // 2
    for i in range(len(delays)):
        for c in range(delays.shape[1]):
            _shape(filters, exact[i], amplitudes[i, c], lines.taps[i, c])
            lines.delay[i, c] = delays[i, c] - half
            _normalize(lines, i, c)
            if lines.taps[i, c, half] < 0.0:  # a gain passes zero steadily where the channel's pattern changes sign
                for k in range(lines.taps.shape[2]):
                    lines.taps[i, c, k] = -lines.taps[i, c, k]
                lines.gain[i, c] = -lines.gain[i, c]


@kernel(fastmath=FAST)
def _shape(filters, exact, amplitude, out):
    """Set the filter of a path's bands, as `add_shaped` does; returns its first tap and the one after its last."""
    out[:] = 0.0
    low, high = np.inf, 0.0
    for b in range(len(amplitude)):
        low, high = min(low, abs(amplitude[b])), max(high, abs(amplitude[b]))
    table = filters.plain if low >= ALIKE * high else (filters.long if exact else filters.short)
    # The first row of a table delays by half of the sinc, which is an impulse there.
    count, lead = table.shape[2] - SINC_TAPS + 1, SINC_TAPS // 2 - 1
    first = len(out) // 2 - count // 2
    target = out[first : first + count]
    for b in range(len(amplitude)):
        gain, row = np.float32(amplitude[b]), table[0, b, lead : lead + count]
        for k in range(count):
            target[k] += gain * row[k]
    return first, first + count


@kernel(fastmath=FAST)
def _normalize(lines, i, c):
    """Bring the energy of a line's taps to one."""
    taps = lines.taps[i, c]
    energy = 0.0
    for k in range(len(taps)):
        energy += taps[k] * taps[k]
    lines.gain[i, c] = np.sqrt(energy)
    if energy > 0.0:
        scale = np.float32(1.0 / np.sqrt(energy))
        for k in range(len(taps)):
            taps[k] *= scale


@kernel
def _prune(lines):
    """Leave out what is too faint to be heard beside the loudest path."""
    faintest = 0.0
    for i in range(lines.gain.shape[0]):
        for c in range(lines.gain.shape[1]):
            faintest = max(faintest, UNHEARD * abs(lines.gain[i, c]))
    for i in range(lines.gain.shape[0]):
        for c in range(lines.gain.shape[1]):
            gain, taps = abs(lines.gain[i, c]), lines.taps[i, c]
            if gain <= faintest:
                lines.gain[i, c], lines.last[i, c] = 0.0, 0
                continue
            spare = 0.5 * (faintest / gain) ** 2
            first, last, left, right = 0, len(taps), 0.0, 0.0
            while left + taps[first] ** 2 <= spare:
                left += taps[first] ** 2
                first += 1
            while right + taps[last - 1] ** 2 <= spare:
                right += taps[last - 1] ** 2
                last -= 1
            lines.first[i, c], lines.last[i, c] = first, last
