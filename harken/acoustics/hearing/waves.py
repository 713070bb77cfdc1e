"""Reverberation as plane waves: one field of noise that every place and every orientation hears its own part of.

At each moment `STREAMS` plane waves from directions all around carry the energy of the field, each with noise of its
own. A wave lasts for `GRAIN` time bins and is then replaced by one from another direction with other noise, a few at a
time. A listener elsewhere hears the same waves earlier or later, so tails at two places a distance d apart have the
coherence of a diffuse field, sin(kd)/(kd), on average over directions (Cook et al. 1955, "Measurement of correlation
coefficients in reverberant sound fields", J. Acoust. Soc. Am. 27, 1072); and ears that turn change places.

Energy along the field's mean direction, such as sound through a door, is one more wave from that direction (after
Pulkki 2007, "Spatial sound reproduction with directional audio coding"). Energies are right on average in every time
bin (Schröder 2011, §5.4; unit-variance noise over Δ samples has the spectrum |N(f)|² = Δ, hence the division by Δ).

All is drawn by a hash from a seed and the number of the source: nothing is stored for places.
"""

import functools

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from harken.acoustics.bands import energy_weights
from harken.acoustics.tracing import FAST, TURN, uniform
from harken.raytracing import borrowed, kernel
from harken.scene import OCTAVE_BANDS

__all__ = [
    "GRAIN",
    "PADDING",
    "STREAMS",
    "WAVES",
    "add_waves",
    "draw_waves",
    "grain_count",
    "mean_direction",
    "wave_noise",
]

STREAMS = 8
"""Plane waves at each moment, besides the one from the mean direction."""

WAVES = STREAMS + 1
"""All plane waves at each moment; the last is the one from the mean direction."""

GRAIN = 4
"""Time bins for which a wave lasts: it rises over one and falls over another."""

SHORTEST_NOISE = 65_536
"""Least length of the noise, from which waves take parts [samples]."""

PADDING = 8_192
"""Samples of the noise's beginning that follow its end."""

FAINTEST = 1e-5
"""Share of the greatest amplitude below which a band is silent: -100 dB."""

HIGHPASS = 30.0
"""Below this the positive pressures of many reflections would only add up to an offset [Hz]."""

# Of the streams, two in GRAIN rise and two fall linearly in each bin, with a third of a wave's energy each.
_LEVEL = np.float32(np.sqrt((GRAIN - 1) / (GRAIN - 2 + 2 / 3)))

# Steps of two sequences that fill a circle evenly: from stream to stream, and from grain to grain.
_GOLDEN, _PLASTIC = 0.6180339887498949, 0.7548776662466927


def grain_count(bins: int) -> int:
    """Return how many waves a stream needs for a number of time bins."""
    return (bins + GRAIN) // GRAIN + 1


@functools.lru_cache(maxsize=4)
def wave_noise(rate: int, samples: int, seed: int) -> np.ndarray:
    """Return noise for each octave band ``(bands, n + PADDING)`` float32; it goes round, and its padding is its start.

    Args:
        rate: Sampling rate [Hz].
        samples: Length of responses; the noise is at least as long.
        seed: Chooses the noise.
    """
    size = next_fast_len(max(samples, SHORTEST_NOISE), real=True)
    frequencies = np.fft.rfftfreq(size, 1 / rate)
    highpass = 1.0 / np.sqrt(1.0 + (HIGHPASS / np.maximum(frequencies, 1e-3)) ** 4)
    noise = np.random.default_rng(seed).standard_normal((len(OCTAVE_BANDS), size))
    noise = irfft(rfft(noise) * energy_weights(frequencies) * highpass, size).astype(np.float32)
    return np.concatenate([noise, noise[:, :PADDING]], 1)


@kernel
def _draw(seed, source, size, directions, starts):
    grains = directions.shape[1]
    for j in range(grains):
        for n in range(STREAMS):
            draw = 4 * (j * STREAMS + n)
            z = 1.0 - 2.0 * ((n + 3 * j) % STREAMS + uniform(seed, source, draw)) / STREAMS
            turn = n * _GOLDEN + j * _PLASTIC + (uniform(seed, source, draw + 1) - 0.5) / STREAMS
            across = np.sqrt(max(0.0, 1.0 - z * z))
            angle = TURN * (turn + uniform(seed, source, 1_000_003))
            d = directions[n, j]
            d[0], d[1], d[2] = across * np.cos(angle), z, across * np.sin(angle)
            starts[n, j] = int(uniform(seed, source, draw + 2) * size)
        starts[STREAMS, j] = int(uniform(seed, source, 1_000_004) * size)  # the same in all, so that it is one wave


@functools.lru_cache(maxsize=64)
def draw_waves(seed: int, source: int, grains: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw directions and noises of a source's waves.

    Args:
        seed: Chooses them.
        source: Number of the source: others get waves of their own.
        grains: Waves in each stream, see `grain_count`.
        size: Length of the noise [samples].

    Returns:
        Directions to where the waves come from ``(WAVES, grains, 3)`` float64 in the world's frame, those of the last
        stream unset; and where in the noise they begin ``(WAVES, grains)`` int64.
    """
    directions, starts = np.zeros((WAVES, grains, 3)), np.zeros((WAVES, grains), np.int64)
    _draw(np.uint64(seed), np.uint64(source), size, directions, starts)
    return directions, starts


def mean_direction(field: np.ndarray) -> np.ndarray:
    """Return the unit vector ``(3,)`` to where the energy of a field ``(bins, bands, 4)`` comes from on the whole."""
    direction = np.empty(3)
    _mean_direction(field, direction)
    return direction


@kernel(fastmath=FAST)
def _mean_direction(field, direction):
    x = y = z = 0.0
    for t in range(field.shape[0]):
        for b in range(field.shape[1]):
            x, y, z = x + field[t, b, 1], y + field[t, b, 2], z + field[t, b, 3]
    length = np.sqrt(x * x + y * y + z * z)
    if not length > 1e-30:
        x, y, z, length = 0.0, 0.0, -1.0, 1.0
    direction[0], direction[1], direction[2] = x / length, y / length, z / length


@kernel(fastmath=FAST)
def _share(field, directions, stage, widths, amplitudes, loudest):
    """Divide the energy of a field among the waves: amplitudes ``(bins, bands, WAVES)`` at the middles of bins.

    At the bin where a wave is replaced it carries nothing; the others carry what is in the bin, those more that come
    from where its energy comes from. `loudest` ``(bins, bands)`` is set to the greatest amplitude of each.
    """
    zero, level = np.float32(0.0), _LEVEL * _LEVEL
    beam, waves = directions[STREAMS, 0].astype(np.float32), np.empty((4, STREAMS), np.float32)
    shares, heard = np.empty(STREAMS, np.float32), np.empty(STREAMS, np.float32)
    for t in range(field.shape[0]):
        inverse = np.float32(1.0 / widths[t])
        for n in range(STREAMS):
            age = t + 1 + stage[n]
            waves[0, n], waves[1, n], waves[2, n] = directions[n, age // GRAIN]
            heard[n] = np.float32(1.0) if age % GRAIN else zero
        for b in range(field.shape[1]):
            e, x, y, z = max(field[t, b, 0], zero), field[t, b, 1], field[t, b, 2], field[t, b, 3]
            along = min(max(x * beam[0] + y * beam[1] + z * beam[2], zero), e)
            e, x, y, z = e - along, x - along * beam[0], y - along * beam[1], z - along * beam[2]
            total, three = zero, np.float32(3.0)
            for n in range(STREAMS):
                flow = x * waves[0, n] + y * waves[1, n] + z * waves[2, n]
                shares[n] = max(e + three * flow, zero) * heard[n]
                total += shares[n]
            scale = level * e * inverse / total if total > zero else zero
            target, most = amplitudes[t, b], np.sqrt(along * inverse)
            target[STREAMS] = most
            for n in range(STREAMS):
                target[n] = np.sqrt(shares[n] * scale)
                most = max(most, target[n])
            loudest[t, b] = most


@kernel(fastmath=FAST)
def _begin_waves(waves, channels, position, rate, size, levels, begins):
    """Set how loudly each channel hears each wave, and where in the noise it is at the response's beginning.

    Both are ``(channels, bands, grains, WAVES)``, the waves of a moment side by side.
    """
    directions, starts = waves
    gains, delays = channels
    grains = directions.shape[1]
    whole, rest = np.empty(grains, np.int32), np.empty(grains, np.float32)
    for n in range(WAVES):
        for j in range(grains):
            d = directions[n, j]
            shift = rate * (d[0] * position[0] + d[1] * position[1] + d[2] * position[2])
            passed = np.floor(shift)
            whole[j], rest[j] = (starts[n, j] + int(passed)) % size, shift - passed
        for c in range(gains.shape[0]):
            for b in range(gains.shape[1]):
                gain, later = gains[c, b, n], delays[c, b, n]
                for j in range(grains):
                    at = whole[j] + np.int32(np.rint(rest[j] - later[j]))
                    begins[c, b, j, n] = at - size if at >= size else (at + size if at < 0 else at)
                    levels[c, b, j, n] = gain[j]


@kernel(inline="always")
def _set_waves(levels, begins, bin, level, at):
    """Set how loud the waves of a time bin are and where in the noise they begin; the streams change in turn."""
    early, late = bin // GRAIN, min(bin // GRAIN + 1, len(levels) - 1)
    for n in range(STREAMS):
        changed = bin % GRAIN + n % GRAIN >= GRAIN
        level[n] = levels[late, n] if changed else levels[early, n]
        at[n] = begins[late, n] if changed else begins[early, n]
    level[STREAMS], at[STREAMS] = levels[0, STREAMS], begins[0, STREAMS]


@kernel(inline="always")
def _add(target, noise, at, level, climb, ramp):
    """Add waves with amplitudes that run linearly; four at a time, so that the target is read less often."""
    count = len(target)
    for n in range(0, STREAMS, 4):
        a, b, c, d = level[n], level[n + 1], level[n + 2], level[n + 3]
        e, f, g, h = climb[n], climb[n + 1], climb[n + 2], climb[n + 3]
        one, two = noise[at[n] : at[n] + count], noise[at[n + 1] : at[n + 1] + count]
        three, four = noise[at[n + 2] : at[n + 2] + count], noise[at[n + 3] : at[n + 3] + count]
        for i in range(count):
            x = ramp[i]
            target[i] += (a + e * x) * one[i] + (b + f * x) * two[i] + (c + g * x) * three[i] + (d + h * x) * four[i]
    a, e, last = level[STREAMS], climb[STREAMS], noise[at[STREAMS] : at[STREAMS] + count]
    for i in range(count):
        target[i] += (a + e * ramp[i]) * last[i]


@kernel(fastmath=FAST)
def _add_bins(out, noise, edges, rate, parts, least, before, first):
    """Add the waves of all time bins; `parts` are what `_share` and `_begin_waves` have set."""
    # Slices of arrays without a reference count cost nothing, and there are thousands.
    out, noise = borrowed(out), borrowed(noise)
    amplitudes, loudest, levels, begins = borrowed(parts)
    bins, bands, length, size = amplitudes.shape[0], amplitudes.shape[1], out.shape[1], noise.shape[1] - PADDING
    at, level, climb = np.empty(WAVES, np.int32), np.empty(WAVES, np.float32), np.empty(WAVES, np.float32)
    ramp = np.arange(PADDING).astype(np.float32)
    start = 0
    for t in range(bins + 1):
        end = min(int(0.5 * (edges[t] + edges[t + 1]) * rate), length) if t < bins else length
        begin, last, now = max(start, first), max(t - 1, 0), min(t, bins - 1)
        while begin < end:
            # The noise goes on for its padding only before it begins anew.
            stop = min(end, begin + PADDING)
            inverse, skipped = np.float32(1.0 / (end - start)), np.float32(begin - start)
            for b in range(bands):
                if max(loudest[last, b], loudest[now, b]) <= least:
                    continue
                low, high = amplitudes[last, b], amplitudes[now, b]
                for c in range(out.shape[0]):
                    _set_waves(levels[c, b], begins[c, b], t + before, level, at)
                    for n in range(WAVES):
                        rise = (high[n] - low[n]) * inverse
                        level[n], climb[n] = level[n] * (low[n] + rise * skipped), level[n] * rise
                        at[n] += begin - size if at[n] + begin >= size else begin
                    _add(out[c, begin:stop], noise[b], at, level, climb, ramp)
            begin = stop
        start = max(start, end)


@kernel(fastmath=FAST)
def add_waves(out, field, waves, channels, position, rate, edges, noise, before, first):
    """Add a field to a response in place, from compiled code or from Python.

    Args:
        out: ``(channels, samples)`` float32.
        field: ``(bins, bands, 4)`` float32 energy and vector (x, y, z) to where it comes from, in the world's frame.
        waves: What `draw_waves` returned, with the last stream's direction set.
        channels: Amplitudes with which channels hear the waves, signed, and how much later than the listener's position
            they do [samples]: two arrays ``(channels, bands, WAVES, grains)`` float32.
        position: ``(3,)`` of the listener, divided by the speed of sound [s].
        rate: Sampling rate [Hz].
        edges: ``(bins + 1,)`` edges of the time bins [s].
        noise: ``(bands, n + PADDING)`` float32, from `wave_noise`.
        before: Number of bins that were left out before the first, so that a part of a field gets the waves that it has
            in the whole.
        first: Sample before which nothing is added.
    """
    bins, bands = field.shape[0], field.shape[1]
    size, grains = noise.shape[1] - PADDING, waves[0].shape[1]
    stage = np.arange(STREAMS) % GRAIN + before
    amplitudes, loudest = np.empty((bins, bands, WAVES), np.float32), np.empty((bins, bands), np.float32)
    _share(field, waves[0], stage, (edges[1:] - edges[:-1]) * rate, amplitudes, loudest)
    levels = np.empty((len(out), bands, grains, WAVES), np.float32)
    begins = np.empty((len(out), bands, grains, WAVES), np.int32)
    _begin_waves(waves, channels, position, rate, size, levels, begins)
    parts = amplitudes, loudest, levels, begins
    _add_bins(out, noise, edges, rate, parts, np.float32(FAINTEST) * loudest.max(), before, first)
