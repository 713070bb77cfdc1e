"""Delay lines that move: sound along paths whose delays, levels and filters change while it passes.

What arrives at the time t along a path of the delay D(t) left the source at t − D(t), so a delay that shrinks raises
the pitch: the Doppler effect needs no formula of its own. The sound is filtered first and delayed afterwards, so that
the filter never meets a bend in its own input, and what is heard at t depends on the paths at t alone.
"""

import functools
from typing import NamedTuple

import numpy as np

from harken.raytracing import kernel
from harken.sound.stream import Stream

__all__ = ["PHASES", "SINC_TAPS", "DelayLines", "add_gliding", "fractional_delays"]

PHASES = 32
"""Fractions of a sample at which fractional delays are tabulated; between them they are interpolated, to -60 dB."""

SINC_TAPS = 32
"""Length of the fractional-delay filter [samples]."""

PIECE = 32
"""Samples for which a filter that changes stays the same: two milliseconds at 16 kHz. Its level changes steadily."""

LANES = 16
"""Samples that are interpolated at once, for which a processor's vector registers suffice."""

DRIFT = 0.08
"""Most that a delay may move while its fraction of a sample is taken to change steadily [samples]: -55 dB at 4 kHz."""

UNROLLED = 8
"""Taps that are summed at once."""

FAST = {"contract", "reassoc", "arcp", "nsz"}


class DelayLines(NamedTuple):
    """Paths as filters, levels and delays at one moment; `n` paths to some channels."""

    taps: np.ndarray
    """``(n, channels, taps)`` float32 filters of energy one."""
    first: np.ndarray
    """``(n, channels)`` int64 first tap that is heard."""
    last: np.ndarray
    """``(n, channels)`` int64 first tap after the last one that is heard."""
    gain: np.ndarray
    """``(n, channels)`` float64 amplitudes, signed; 0 where a path is not heard."""
    delay: np.ndarray
    """``(n, channels)`` float64 delay of the filters' tap 0 [samples]."""


BEYOND = 4
"""Phases that are tabulated below 0 and above a sample, for a delay that passes a whole number: more than `DRIFT`."""


def fractional_delays(beyond: int = 0) -> np.ndarray:
    """Return filters ``(PHASES + 1 + 2·beyond, SINC_TAPS)`` float64 that delay by fractions of a sample.

    Row `beyond` + p delays by p/`PHASES` of a sample beyond `SINC_TAPS` // 2 − 1: a sinc in Lanczos' window.
    """
    half = SINC_TAPS // 2
    phases = np.arange(-beyond, PHASES + beyond + 1) / PHASES
    x = np.arange(SINC_TAPS) - (half - 1) - phases[:, None]
    return np.sinc(x) * np.sinc(x / half) * (np.abs(x) < half)


@functools.cache
def _table() -> np.ndarray:
    return fractional_delays(BEYOND).astype(np.float32)


def add_gliding(
    stream: Stream, start: int, before: DelayLines, after: DelayLines, pairs: np.ndarray, out: np.ndarray
) -> None:
    """Add what paths carry while they move, in place.

    Args:
        stream: What the source sounds like.
        start: Sample of the stream at which the block begins.
        before: The paths when the block begins.
        after: The paths when it has ended.
        pairs: ``(m, 2)`` int64 numbers of each path before and after; -1 where it is not there, so that it fades. Of
            one path, delay, level and filter go steadily from the one to the other. A delay must change by less than
            the length of the block.
        out: ``(channels, block)`` float32.
    """
    first, last = _span(before, after, pairs, out.shape[1])
    if last > first:
        _glide(stream.cut(start + first, last - first), first, _table(), before, after, pairs, out)


@kernel
def _ends(before, after, a, b, c):
    """Return gains and delays of a pair of paths in a channel, at the beginning and at the end."""
    if a < 0:
        return 0.0, after.gain[b, c], after.delay[b, c], after.delay[b, c]
    if b < 0:
        return before.gain[a, c], 0.0, before.delay[a, c], before.delay[a, c]
    if before.gain[a, c] == 0.0:  # nothing is known of a path that is not heard
        return 0.0, after.gain[b, c], after.delay[b, c], after.delay[b, c]
    if after.gain[b, c] == 0.0:
        return before.gain[a, c], 0.0, before.delay[a, c], before.delay[a, c]
    return before.gain[a, c], after.gain[b, c], before.delay[a, c], after.delay[b, c]


@kernel
def _range(before, after, a, b, c):
    """Return the taps of a pair of paths that are heard, first and after the last."""
    first, last = 1 << 30, 0
    if a >= 0 and before.gain[a, c] != 0.0:
        first, last = before.first[a, c], before.last[a, c]
    if b >= 0 and after.gain[b, c] != 0.0:
        first, last = min(first, after.first[b, c]), max(last, after.last[b, c])
    return first, last


@kernel
def _span(before, after, pairs, block):
    """Return which samples of the stream are needed, relative to the block's first; 0, 0 where nothing is heard."""
    low, high = 1 << 62, -(1 << 62)
    for p in range(len(pairs)):
        a, b = pairs[p, 0], pairs[p, 1]
        for c in range(before.gain.shape[1]):
            first, last = _range(before, after, a, b, c)
            if last > first:
                _, _, begin, end = _ends(before, after, a, b, c)
                low = min(low, int(np.floor(min(-begin, block - end))) - last - SINC_TAPS - UNROLLED)
                high = max(high, int(np.ceil(max(-begin, block - end))) - first + SINC_TAPS + PIECE)
    return (low, high) if high > low else (0, 0)


@kernel(fastmath=FAST)
def _glide(segment, origin, table, before, after, pairs, out):
    """Add the pairs of paths to `out`; `segment` is the stream from sample `origin` on, relative to the block's."""
    block = out.shape[1]
    taps = np.zeros(before.taps.shape[2] + UNROLLED, np.float32)
    filtered = np.zeros(2 * block + 2 * SINC_TAPS + 2 * PIECE, np.float32)
    for p in range(len(pairs)):
        a, b = pairs[p, 0], pairs[p, 1]
        for c in range(out.shape[0]):
            first, last = _range(before, after, a, b, c)
            if last <= first:
                continue
            louder, softer, begin, end = _ends(before, after, a, b, c)
            one = before.taps[a, c] if louder != 0.0 else after.taps[b, c]
            other = after.taps[b, c] if softer != 0.0 else one
            low = int(np.floor(min(-begin, block - end))) - SINC_TAPS // 2 + 1
            high = int(np.floor(max(-begin, block - end))) + SINC_TAPS // 2 + 1
            _filter(segment, origin, one, other, first, last, begin, block - (end - begin), taps, low, high, filtered)
            _read(filtered, low, table, begin, end, louder, softer, out[c])


@kernel(fastmath=FAST)
def _filter(x, origin, one, other, first, last, begin, span, taps, low, high, out):
    """Filter the stream from sample `low` to `high`, from filter `one` to `other`.

    What is at sample n of the stream is heard the share (n + begin) / span into the block.
    """
    steady = True
    for k in range(first, last):
        steady = steady and one[k] == other[k]
        taps[k - first] = one[k]
    count = (last - first + UNROLLED - 1) // UNROLLED * UNROLLED
    taps[last - first : count] = 0.0
    for at in range(0, high - low, PIECE):
        if not steady:
            share = np.float32(min(max((low + at + 0.5 * PIECE + begin) / span, 0.0), 1.0))
            for k in range(last - first):
                taps[k] = one[first + k] + share * (other[first + k] - one[first + k])
        sums = out[at : at + PIECE]
        sums[:] = 0.0
        for k in range(0, count, UNROLLED):
            h0, h1, h2, h3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
            h4, h5, h6, h7 = taps[k + 4], taps[k + 5], taps[k + 6], taps[k + 7]
            at_tap = low + at - origin - first - k
            s = x[at_tap - UNROLLED + 1 : at_tap + PIECE]
            for i in range(PIECE):
                sums[i] += (
                    (h0 * s[i + 7] + h1 * s[i + 6])
                    + (h2 * s[i + 5] + h3 * s[i + 4])
                    + (h4 * s[i + 3] + h5 * s[i + 2])
                    + (h6 * s[i + 1] + h7 * s[i])
                )


@kernel(fastmath=FAST)
def _read(x, low, table, begin, end, louder, softer, out):
    """Add a signal, whose first sample is sample `low` of the stream, with a delay and a gain that move steadily.

    For a few samples the taps of the fractional delay are taken to go straight from their first values to their last.
    """
    block = len(out)
    slower, fading = (end - begin) / block, (softer - louder) / block
    piece = LANES
    while piece > 1 and abs(slower) * piece > DRIFT:
        piece //= 2
    ramp = np.arange(LANES).astype(np.float32)
    taps, slopes = np.empty(SINC_TAPS, np.float32), np.empty(SINC_TAPS, np.float32)
    sums = np.empty(LANES, np.float32)
    for t in range(0, block, piece):
        place = t - (begin + slower * t) - low
        whole = int(place)
        phase = (place - whole) * PHASES + BEYOND
        _delay_taps(table, phase, phase - slower * piece * PHASES, np.float32(1.0 / piece), taps, slopes)
        s = x[whole - (SINC_TAPS // 2 - 1) : whole + SINC_TAPS // 2 + LANES]
        sums[:] = 0.0
        for k in range(0, SINC_TAPS, UNROLLED):
            c0, c1, c2, c3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
            c4, c5, c6, c7 = taps[k + 4], taps[k + 5], taps[k + 6], taps[k + 7]
            d0, d1, d2, d3 = slopes[k], slopes[k + 1], slopes[k + 2], slopes[k + 3]
            d4, d5, d6, d7 = slopes[k + 4], slopes[k + 5], slopes[k + 6], slopes[k + 7]
            for i in range(LANES):
                w, j = ramp[i], i + k
                sums[i] += (
                    ((c0 + w * d0) * s[j] + (c1 + w * d1) * s[j + 1])
                    + ((c2 + w * d2) * s[j + 2] + (c3 + w * d3) * s[j + 3])
                    + ((c4 + w * d4) * s[j + 4] + (c5 + w * d5) * s[j + 5])
                    + ((c6 + w * d6) * s[j + 6] + (c7 + w * d7) * s[j + 7])
                )
        for i in range(min(piece, block - t)):
            out[t + i] += np.float32(louder + fading * (t + i)) * sums[i]


@kernel(fastmath=FAST)
def _delay_taps(table, phase, later, share, taps, slopes):
    """Set the taps of a fractional delay, and by how much each changes in the `share` of the way to a later phase."""
    row, late = int(phase), int(later)
    fraction, rest = np.float32(phase - row), np.float32(later - late)
    near, far, near_late, far_late = table[row], table[row + 1], table[late], table[late + 1]
    for k in range(SINC_TAPS):
        taps[k] = near[k] + fraction * (far[k] - near[k])
        slopes[k] = (near_late[k] + rest * (far_late[k] - near_late[k]) - taps[k]) * share
