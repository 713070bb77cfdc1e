"""Delay lines that move: sound along paths whose delays, levels and filters change while it passes.

What arrives at the time t along a path of the delay D(t) left the source at t − D(t), so a delay that shrinks raises
the pitch: the Doppler effect needs no formula of its own. The sound is filtered first and delayed afterwards, so that
the filter never meets a bend in its own input, and what is heard at t depends on the paths at t alone.
"""

import functools
from typing import NamedTuple

import numpy as np

from harken.raytracing import kernel
from harken.sound.stream import Stream, cut_clip

__all__ = ["PHASES", "SINC_TAPS", "DelayLines", "add_gliding", "fractional_delays"]

PHASES = 32
"""Fractions of a sample at which fractional delays are tabulated; between them they are interpolated, to -60 dB."""

SINC_TAPS = 32
"""Length of the fractional-delay filter [samples]."""

PIECE = 64
"""Samples for which a filter that changes stays the same: four milliseconds at 16 kHz. Its level changes steadily."""

LANES = 32
"""Samples that are interpolated at once where a delay moves slowly."""

DRIFT = 0.1
"""Most that a delay may move while the taps of its fraction of a sample are taken to change steadily [samples]: 32
samples at 1 m/s and 16 kHz. The error is below -60 dB up to half of the highest frequency."""

UNROLLED = 8
"""Taps that are summed at once."""

FAST = {"contract", "reassoc", "arcp", "nsz"}
"""What the compiler may do with sums, so that it uses vector registers; NaN stays NaN."""


class DelayLines(NamedTuple):
    """Paths at one moment, `n` paths to some channels: filters, levels and delays.

    A path has a filter of its own, and another one to each channel.
    """

    own: np.ndarray
    """``(n, taps)`` float32 filters of the paths, of energy one."""
    own_heard: np.ndarray
    """``(n, 2)`` int64 the first of these taps that is heard, and the first after the last one."""
    taps: np.ndarray
    """``(n, channels, taps)`` float32 filters to the channels, of energy one, always as many taps; if one, it is 1."""
    heard: np.ndarray
    """``(n, channels, 2)`` int64 the first of these taps that is heard, and the first after the last one."""
    gain: np.ndarray
    """``(n, channels)`` float64 amplitudes, signed; 0 where a path is not heard."""
    delay: np.ndarray
    """``(n, channels)`` float64 delay before the first taps of both filters [samples]."""


MARGIN = SINC_TAPS + 2 * PIECE + 2 * UNROLLED
"""Samples before and after what paths read of a stream that kernels may touch."""

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
    stream: Stream,
    start: int,
    before: DelayLines,
    after: DelayLines,
    pairs: np.ndarray,
    out: np.ndarray,
    *,
    first: int = 0,
    block: int | None = None,
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
        out: ``(channels, n)`` float32.
        first: Sample of `out` with which the block begins.
        block: Samples of the block, all of `out` by default.
    """
    block = out.shape[1] - first if block is None else block
    sound = stream.clip, stream.offset, *stream.bounds
    _glide(sound, start, _table(), before, after, pairs, out, first, block)


@kernel
def _at_ends(before, after, a, b, c):
    """Return the gains of a pair of paths in a channel and its delays, at the beginning and at the end.

    Nothing is known of where a path is while it is not heard: it stays where it is when it is heard.
    """
    first = before.gain[a, c] if a >= 0 else 0.0
    last = after.gain[b, c] if b >= 0 else 0.0
    begin = before.delay[a, c] if first != 0.0 else after.delay[b, c] if last != 0.0 else 0.0
    end = after.delay[b, c] if last != 0.0 else begin
    return first, last, begin, end


@kernel
def _both(one, other, before, after):
    """Return the taps that are heard of two filters, of those that are heard at all: the first, and after the last."""
    if not before:
        return other[0], other[1]
    if not after:
        return one[0], one[1]
    return min(one[0], other[0]), max(one[1], other[1])


@kernel
def _span(before, after, pairs, block):
    """Return which samples of the stream are needed, relative to the block's first; 0, 0 where nothing is heard."""
    low, high = 1 << 62, -(1 << 62)
    longest = before.own.shape[1] + before.taps.shape[2]
    for p in range(len(pairs)):
        for c in range(before.gain.shape[1]):
            first, last, begin, end = _at_ends(before, after, pairs[p, 0], pairs[p, 1], c)
            if first != 0.0 or last != 0.0:
                low = min(low, int(np.floor(min(-begin, block - end))) - longest)
                high = max(high, int(np.ceil(max(-begin, block - end))))
    return (low - MARGIN, high + MARGIN) if high > low else (0, 0)


@kernel(fastmath=FAST)
def _glide(sound, now, table, before, after, pairs, out, start, block):
    """Add the pairs of paths to a block of `out` from sample `start` on, which is sample `now` of the stream."""
    channels = len(out)
    origin, end = _span(before, after, pairs, block)
    if end <= origin:
        return
    segment = np.empty(end - origin, np.float32)
    cut_clip(sound[0], now + origin, sound[1], sound[2], sound[3], segment)
    taps = np.zeros(max(before.own.shape[1], before.taps.shape[2]) + UNROLLED, np.float32)
    shaped, filtered = np.empty(len(segment), np.float32), np.empty(len(segment), np.float32)
    arrived = np.empty(block + LANES, np.float32)
    for p in range(len(pairs)):
        a, b = pairs[p, 0], pairs[p, 1]
        low, high, louder, softer, begin, end = _reach(before, after, a, b, block)
        if louder == 0.0 and softer == 0.0:
            continue
        # The filters to the channels need what came before.
        low -= before.taps.shape[2] + UNROLLED
        i, j = (a if louder != 0.0 else b), (b if softer != 0.0 else a)
        one = before.own[i] if louder != 0.0 else after.own[i]
        other = after.own[j] if softer != 0.0 else before.own[j]
        first, last = _both(before.own_heard[a], after.own_heard[b], louder != 0.0, softer != 0.0)
        course = begin, block - (end - begin)
        _filter(segment, origin, one, other, first, last, course, taps, low, high, shaped)
        known = False
        for c in range(channels):
            gain, later, begin, end = _at_ends(before, after, a, b, c)
            if gain == 0.0 and later == 0.0:
                continue
            one = before.taps[a, c] if gain != 0.0 else after.taps[b, c]
            other = after.taps[b, c] if later != 0.0 else one
            first, last = _both(before.heard[a, c], after.heard[b, c], gain != 0.0, later != 0.0)
            if before.taps.shape[2] == 1:
                # Channels at one point, as of ambisonics, receive the same at different levels.
                if not (known and begin == course[0] and block - (end - begin) == course[1]):
                    _read(shaped, low, table, begin, end, block, arrived)
                    known, course = True, (begin, block - (end - begin))
            else:
                nearest, course = low + before.taps.shape[2] + UNROLLED, (begin, block - (end - begin))
                _filter(shaped, low, one, other, first, last, course, taps, nearest, high, filtered)
                _read(filtered, nearest, table, begin, end, block, arrived)
            target, level, rise = out[c, start : start + block], np.float32(gain), np.float32((later - gain) / block)
            for t in range(block):
                target[t] += (level + rise * np.float32(t)) * arrived[t]


@kernel
def _reach(before, after, a, b, block):
    """Return which samples of the stream are read of a pair of paths, its greatest gains and its mean delays."""
    low, high, louder, softer, begin, end, count = 1 << 62, -(1 << 62), 0.0, 0.0, 0.0, 0.0, 0
    for c in range(before.gain.shape[1]):
        first, last, start, stop = _at_ends(before, after, a, b, c)
        if first == 0.0 and last == 0.0:
            continue
        louder, softer = max(louder, abs(first)), max(softer, abs(last))
        begin, end, count = begin + start, end + stop, count + 1
        # One more sample than the delay's filter reaches, for rounding.
        low = min(low, int(np.floor(min(-start, block - stop))) - SINC_TAPS // 2)
        high = max(high, int(np.ceil(max(-start, block - stop))) + SINC_TAPS // 2 + LANES)
    count = max(count, 1)
    return low, high, louder, softer, begin / count, end / count


@kernel(fastmath=FAST)
def _filter(x, origin, one, other, first, last, course, taps, low, high, out):
    """Filter a signal that begins at sample `origin` of the stream from sample `low` to `high`, and some more.

    The filter goes from `one` to `other`: with `begin, span = course`, what is at sample n of the stream is heard the
    share (n + begin) / span into the block.
    """
    begin, span = course
    here, there, count, steady = one[first:last], other[first:last], last - first, True
    for k in range(count):
        steady = steady and here[k] == there[k]
        taps[k] = here[k]
    taps[count : count + UNROLLED] = 0.0
    for at in range(0, high - low, PIECE):
        if not steady:
            share = np.float32(min(max((low + at + 0.5 * PIECE + begin) / span, 0.0), 1.0))
            for k in range(count):
                taps[k] = here[k] + share * (there[k] - here[k])
        sums = out[at : at + PIECE]
        sums[:] = np.float32(0.0)
        for k in range(0, count, UNROLLED):
            newest = low + at - origin - first - k
            s, h = x[newest - UNROLLED + 1 : newest + PIECE], taps[k : k + UNROLLED]
            for i in range(PIECE):
                sums[i] += (
                    (h[0] * s[i + 7] + h[1] * s[i + 6])
                    + (h[2] * s[i + 5] + h[3] * s[i + 4])
                    + (h[4] * s[i + 3] + h[5] * s[i + 2])
                    + (h[6] * s[i + 1] + h[7] * s[i])
                )


@kernel(fastmath=FAST)
def _read(x, low, rows, begin, end, block, out):
    """Set `out` to a signal, whose first sample is sample `low` of the stream, with a delay that moves steadily.

    `out` has room for `LANES` samples more than a block. For a few samples the taps of the fractional delay go straight
    from their first values to their last.
    """
    slower = (end - begin) / block
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
        later = phase - slower * piece * PHASES if piece > 1 else phase
        _delay_taps(rows, phase, later, np.float32(1.0 / piece), taps, slopes)
        s = x[whole - (SINC_TAPS // 2 - 1) : whole + SINC_TAPS // 2 + LANES]
        sums[:] = np.float32(0.0)
        for h in range(SINC_TAPS // UNROLLED):
            k = h * UNROLLED
            for i in range(LANES):
                w, j = ramp[i], i + k
                sums[i] += (
                    ((taps[k] + w * slopes[k]) * s[j] + (taps[k + 1] + w * slopes[k + 1]) * s[j + 1])
                    + ((taps[k + 2] + w * slopes[k + 2]) * s[j + 2] + (taps[k + 3] + w * slopes[k + 3]) * s[j + 3])
                    + ((taps[k + 4] + w * slopes[k + 4]) * s[j + 4] + (taps[k + 5] + w * slopes[k + 5]) * s[j + 5])
                    + ((taps[k + 6] + w * slopes[k + 6]) * s[j + 6] + (taps[k + 7] + w * slopes[k + 7]) * s[j + 7])
                )
        out[t : t + LANES] = sums


@kernel(fastmath=FAST)
def _delay_taps(rows, phase, later, share, taps, slopes):
    """Set the taps of a fractional delay, and by how much each changes in the `share` of the way to a later phase."""
    row, late = int(phase), int(later)
    fraction, rest = np.float32(phase - row), np.float32(later - late)
    near, far, near_late, far_late = rows[row], rows[row + 1], rows[late], rows[late + 1]
    for k in range(SINC_TAPS):
        taps[k] = near[k] + fraction * (far[k] - near[k])
        slopes[k] = (near_late[k] + rest * (far_late[k] - near_late[k]) - taps[k]) * share
