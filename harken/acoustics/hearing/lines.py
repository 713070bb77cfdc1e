"""Exact paths as delay lines that can move, with the filters that `harken.acoustics.hearing.synthesis` gives them.

A path's own filter is that of its octave bands, whose middle is at the same tap for all paths, so that the filters of
two moments can be blended. The filter to an ear is that of the head in the path's direction.
"""

import numpy as np

from harken.acoustics.hearing.hrtf import HeadTables, interpolate_head
from harken.acoustics.hearing.synthesis import ALIKE, PathFilters
from harken.acoustics.tracing import FAST
from harken.raytracing import kernel
from harken.sound.delay_lines import SINC_TAPS, DelayLines

__all__ = ["head_lines", "plain_lines"]

UNHEARD = 3e-3
"""Amplitude of what is left out, the ends of filters and faint paths, relative to that of all paths (-50 dB)."""


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
    return lines


def plain_lines(
    filters: PathFilters, delays: np.ndarray, gains: np.ndarray, energies: np.ndarray, exact: np.ndarray
) -> DelayLines:
    """Return the lines of paths to channels that have gains instead of filters.

    Args:
        filters: What `path_filters` returned.
        delays: ``(n, channels)`` [samples].
        gains: ``(n, channels, 1)`` or ``(n, channels, bands)`` amplitudes of the channels, signed.
        energies: ``(n, bands)`` energies of the paths.
        exact: ``(n,)`` whether the long filters shape a path, not the short ones.
    """
    amplitudes = np.sqrt(energies)
    count, channels = delays.shape
    if gains.shape[2] == 1:
        lines = _empty(count, channels, filters, 1)
        _fill_point_lines(filters, delays, np.ascontiguousarray(gains[:, :, 0]), amplitudes, exact, lines)
    else:
        lines = _empty(count, channels, filters, filters.long.shape[2] - SINC_TAPS + 1)
        _fill_banded_lines(filters, delays, gains * amplitudes[:, None], exact, lines)
    return lines


def _empty(count: int, channels: int, filters: PathFilters, taps: int) -> DelayLines:
    return DelayLines(
        own=np.zeros((count, filters.long.shape[2] - SINC_TAPS + 1), np.float32),
        own_heard=np.zeros((count, 2), np.int64),
        taps=np.zeros((count, channels, taps), np.float32),
        heard=np.zeros((count, channels, 2), np.int64),
        gain=np.zeros((count, channels)),
        delay=np.zeros((count, channels)),
    )


@kernel(fastmath=FAST)
def _fill_head_lines(filters, head, directions, frame, delays, rate, energies, exact, lines):
    """Set what belongs to paths through a head."""
    taps, lag = np.zeros((2, head.filters.shape[2]), np.float32), np.zeros(2, np.float32)
    amplitudes, d = np.sqrt(energies), np.empty(3)
    for i in range(len(delays)):
        for axis in range(3):
            d[axis] = 0.0
            for k in range(3):
                d[axis] += frame[axis, k] * directions[i, k]
        interpolate_head(head, d[0], d[1], d[2], taps, lag)
        level = _shape(filters, exact[i], amplitudes[i], lines.own[i])
        for ear in range(2):
            lines.taps[i, ear] = taps[ear]
            lines.gain[i, ear] = level * _normalize(lines.taps[i, ear])
            lines.delay[i, ear] = delays[i] + lag[ear] * rate - lines.own.shape[1] // 2
    _prune(lines)


@kernel(fastmath=FAST)
def _fill_point_lines(filters, delays, gains, amplitudes, exact, lines):
    """Set what belongs to paths to channels that differ by gain and delay only."""
    for i in range(len(delays)):
        level = _shape(filters, exact[i], amplitudes[i], lines.own[i])
        for c in range(delays.shape[1]):
            lines.taps[i, c, 0] = np.float32(1.0)
            lines.gain[i, c] = level * gains[i, c]
            lines.delay[i, c] = delays[i, c] - lines.own.shape[1] // 2
    _prune(lines)


@kernel(fastmath=FAST)
def _fill_banded_lines(filters, delays, amplitudes, exact, lines):
    """Set what belongs to paths to channels that differ by octave band."""
    half = lines.own.shape[1] // 2
    for i in range(len(delays)):
        lines.own[i, half] = np.float32(1.0)
        for c in range(delays.shape[1]):
            lines.gain[i, c] = _shape(filters, exact[i], amplitudes[i, c], lines.taps[i, c])
            lines.delay[i, c] = delays[i, c] - 2 * half
            if lines.taps[i, c, half] < 0.0:  # a gain passes zero steadily where a channel's pattern changes sign
                for k in range(lines.taps.shape[2]):
                    lines.taps[i, c, k] = -lines.taps[i, c, k]
                lines.gain[i, c] = -lines.gain[i, c]
    _prune(lines)


@kernel(fastmath=FAST)
def _shape(filters, exact, amplitude, out):
    """Set the filter of a path's bands, as `add_shaped` does, to energy one; returns its amplitude."""
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
    return _normalize(target)


@kernel(fastmath=FAST)
def _normalize(taps):
    """Bring the energy of a filter to one; returns the amplitude that it had."""
    energy = 0.0
    for k in range(len(taps)):
        energy += taps[k] * taps[k]
    if energy > 0.0:
        scale = np.float32(1.0 / np.sqrt(energy))
        for k in range(len(taps)):
            taps[k] *= scale
    return np.sqrt(energy)


@kernel
def _prune(lines):
    """Leave out what is too faint to be heard beside the rest, of every path and of its filters to the same extent."""
    paths, channels = lines.gain.shape
    energy = 0.0
    for i in range(paths):
        for c in range(channels):
            energy += lines.gain[i, c] ** 2
    faintest = UNHEARD * np.sqrt(energy / max(2 * paths * channels, 1))
    for i in range(paths):
        loudest = 0.0
        for c in range(channels):
            gain = abs(lines.gain[i, c])
            loudest = max(loudest, gain)
            if gain <= faintest:
                lines.gain[i, c] = 0.0
            else:
                _heard_taps(lines.taps[i, c], faintest / gain, lines.heard[i, c])
        if loudest > faintest:
            _heard_taps(lines.own[i], faintest / loudest, lines.own_heard[i])


@kernel
def _heard_taps(taps, share, heard):
    """Set the first tap of a filter that is heard, and the first after the last; `share` of its amplitude is not."""
    first, last, left, right, spare = 0, len(taps), 0.0, 0.0, 0.5 * share**2
    while last - first > 1 and left + taps[first] ** 2 <= spare:
        left += taps[first] ** 2
        first += 1
    while last - first > 1 and right + taps[last - 1] ** 2 <= spare:
        right += taps[last - 1] ** 2
        last -= 1
    heard[0], heard[1] = first, last
