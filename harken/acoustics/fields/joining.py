"""Late sound joined halfway: energy of rays from both ends is combined in every region that both cross.

All sound that arrives at time t was somewhere at every time τ before. With n(x, Ω, τ) the energy on its way at the
place x in the direction Ω, and ψ(x, Ω, t − τ) what reaches the listener at t of one unit of it,

    E(t) = ∫∫ n(x, Ω, τ) ψ(x, Ω, t − τ) dΩ dx        for any τ between 0 and t

(a bilinear form of transport theory: Spanier & Gelbard 1969, ch. 3; bidirectional path tracing, Veach 1997, ch. 10,
samples it too). ψ is what the listener would send out, by reciprocity. Where sound is diffuse within a region, both
factors are their means over it, so only sums over rays are needed. Sound between bare parallel walls stays on its axis
for long, so directions are kept apart by the axis that they are nearest to, a third of the sphere each: with F_ra(τ)
the energy times path length that rays of one end leave in region r along axis a per time, both ends radiating 4π,

    E(t) = Σ_r Σ_a 3 F_ra(τ) G_ra(t − τ) / (4π c V_r).

Every ray of one end counts with every ray of the other, N² pairs of N rays, and no ray has to be followed for longer
than t / 2. Early sound is not diffuse, and is not joined.

Paths that image sources already render must not be joined. The energy of rays that so far have only been mirrored, at
most as often as image sources follow, is therefore also kept in classes by their number of reflections, and the share
of pairs of classes that together make such a path is left out.
"""

import numpy as np

from harken.acoustics.fields.regions import Regions, region_at
from harken.acoustics.tracing import BANDS, FAST
from harken.raytracing import kernel

__all__ = ["STEP", "crossings", "deposit_crossing", "diffuse_between", "join", "join_without"]

DIFFUSE = (0.05, 0.1)
"""Times between which the energy of rays that meet the other end is gradually replaced by joined energy [s]; later in
halls, see `FREE_PATHS`."""

FREE_PATHS = 8.0
"""Number of mean free paths after which sound counts as diffuse, if that is later."""

STEP = 0.012
"""Width of the time steps in which crossings are kept [s]."""

SPACING = 2.4
"""Distance between counted places along a leg [m], about the size of a region."""


def diffuse_between(regions: Regions, speed: float) -> tuple[float, float]:
    """Return the times between which joined energy is faded in [s].

    Args:
        regions: The scene's regions.
        speed: Speed of sound [m/s].
    """
    later = max(1.0, FREE_PATHS * regions.free_path / (speed * DIFFUSE[0]))
    return later * DIFFUSE[0], later * DIFFUSE[1]


def crossings(regions: Regions, duration: float, order: int) -> np.ndarray:
    """Return an empty array for the energy that rays of one end deposit.

    Args:
        regions: The scene's regions.
        duration: Time covered by the paths of both ends together [s].
        order: Mirror reflections that images render.

    Returns:
        ``(regions, steps, 3, bands + 4 + order)`` float32 zeros, apart for rays nearest to the x, y and z axis. A row
        has the energy × path length of every band; the sum over bands of the same times the direction in which its ray
        left, 3; and that sum for rays that have met 0 to `order` mirrors and nothing else.
    """
    steps = int(np.ceil(0.5 * duration / STEP)) + 1
    return np.zeros((len(regions.volume), steps, 3, BANDS + 4 + order), np.float32)


@kernel(fastmath=FAST)
def deposit_crossing(rays, buffer, regions, left, air, speed, start, length, energy, o, d, departure, mirrors, shift):
    """Deposit the energy of one leg of a ray in the regions that it crosses, at one place per `SPACING`.

    `left` is what `crossings` returned, `start` the way before the leg [m], `departure` the ray's first direction,
    `mirrors` the number of mirror reflections if it has met nothing else, or -1, and `shift` a number in [0, 1).
    """
    count = int(length / SPACING) + 1
    weight = length / count
    x, y, z = abs(d[0]), abs(d[1]), abs(d[2])
    along = 0 if x >= y and x >= z else (1 if y >= z else 2)
    for i in range(count):
        at = (i + shift) / count * length
        step = int((start + at) / (speed * STEP))
        if step >= left.shape[1]:
            return
        region = region_at(rays, buffer, regions, o[0] + d[0] * at, o[1] + d[1] * at, o[2] + d[2] * at)
        if region < 0:
            continue
        row, total = left[region, step, along], 0.0
        for b in range(BANDS):
            loss = air[b] * at  # at most some tenths, so two terms of the exponential are enough
            e = weight * energy[b] * (1.0 - loss * (1.0 - 0.5 * loss))
            row[b] += np.float32(e)
            total += e
        for axis in range(3):
            row[BANDS + axis] += np.float32(total * departure[axis])
        if mirrors >= 0:
            row[BANDS + 3 + mirrors] += np.float32(total)


@kernel(fastmath=FAST)
def _sum_of(row):
    total = np.float32(0.0)
    for b in range(BANDS):
        total += row[b]
    return total


@kernel(fastmath=FAST)
def _join(forward, backward, volume, first, out):
    """Write the joined energy after whole steps into `out`, from step `first` on, per step squared."""
    regions, steps = forward.shape[0], forward.shape[1]
    for i in range(len(out)):
        both = first + i - 1
        if both < 0:
            continue
        for p in (both // 2, (both + 1) // 2):
            q = both - p
            if p >= steps or q >= steps:
                continue
            for r in range(regions):
                if volume[r] <= 0.0:
                    continue
                for along in range(3):
                    a, b = forward[r, p, along], backward[r, q, along]
                    here, there = _sum_of(a), _sum_of(b)
                    if here > 0.0 and there > 0.0:
                        _meet(a, b, here, there, np.float32(1.5 / volume[r]), out[i])


@kernel(fastmath=FAST)
def _rendered(a, b):
    """Return the part of the product of two rows, over all bands, that image sources render."""
    rendered, classes = np.float32(0.0), len(a) - BANDS - 3
    for j in range(classes):
        for k in range(classes - j):
            rendered += a[BANDS + 3 + j] * b[BANDS + 3 + k]
    return rendered


@kernel(fastmath=FAST)
def _meet(a, b, here, there, weight, target):
    """Add `weight` times the product of two rows to `target`."""
    weight *= max(np.float32(1.0) - _rendered(a, b) / (here * there), np.float32(0.0))
    x, y, z = b[BANDS] / there, b[BANDS + 1] / there, b[BANDS + 2] / there
    for band in range(BANDS):
        e = weight * a[band] * b[band]
        target[band, 0] += e
        target[band, 1] += e * x
        target[band, 2] += e * y
        target[band, 3] += e * z


def join(
    source: np.ndarray,
    listener: np.ndarray,
    regions: Regions,
    centres: np.ndarray,
    widths: np.ndarray,
    *,
    speed: float,
    out: np.ndarray,
) -> None:
    """Add the energy that results from the rays of both ends.

    Args:
        source: Deposits of the source's rays, see `crossings`.
        listener: Deposits of the listener's rays.
        regions: Where.
        centres: ``(bins,)`` centres of time bins [s].
        widths: ``(bins,)`` their widths [s], or less where only a share is to be added; 0 leaves a bin out.
        speed: Speed of sound [m/s].
        out: ``(bins, bands, 4)`` float32 energy and vector to where it comes from, added to.
    """
    some = np.flatnonzero(widths > 0.0)
    if len(some) == 0:
        return
    at = np.asarray(centres, np.float64)[some] / STEP
    first, last = int(at[0]), int(at[-1]) + 1
    joined = np.zeros((last - first + 1, *out.shape[1:]), np.float32)
    _join(source, listener, regions.volume, first, joined)
    low = at.astype(int) - first
    share = (at - at.astype(int)).astype(np.float32)[:, None]
    before, after = joined[low], joined[low + 1]
    energy = _between_steps(before[:, :, 0], after[:, :, 0], share)
    vector = (1.0 - share)[:, :, None] * before + share[:, :, None] * after
    scale = (widths[some] / (4.0 * np.pi * speed * STEP**2)).astype(np.float32)[:, None]
    ratio = energy / np.maximum(vector[:, :, 0], np.finfo(np.float32).tiny)
    out[some] += (scale * ratio)[:, :, None] * vector


def _between_steps(before: np.ndarray, after: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return energies between two whole steps, where they decay exponentially."""
    both = (before > 0.0) & (after > 0.0)
    return np.where(both, before ** (1.0 - share) * after**share, (1.0 - share) * before + share * after)


def join_without(
    source: np.ndarray,
    listener: np.ndarray,
    regions: Regions,
    centres: np.ndarray,
    widths: np.ndarray,
    *,
    speed: float,
    out: np.ndarray,
) -> None:
    """Add the energy that would result if each part of the rays of both ends in turn were missing.

    The rest is taken for all; the share that image sources render stays that of all rays.

    Args:
        source: ``(n, ...)`` deposits of each part of the source's rays, see `crossings`.
        listener: Those of the listener's rays.
        regions: Where.
        centres: As `join` takes.
        widths: As `join` takes.
        speed: Speed of sound [m/s].
        out: ``(n, bins, bands)`` float32 energy, added to.
    """
    some = np.flatnonzero(widths > 0.0)
    if len(some) == 0:
        return
    at = np.asarray(centres, np.float64)[some] / STEP
    first, last = int(at[0]), int(at[-1]) + 1
    joined = np.zeros((len(out), last - first + 1, BANDS), np.float32)
    _join_without(source.sum(0), listener.sum(0), source, listener, regions.volume, first, joined)
    joined *= np.float32((len(out) / (len(out) - 1)) ** 2)
    low = at.astype(int) - first
    share = (at - at.astype(int)).astype(np.float32)[:, None]
    scale = (widths[some] / (4.0 * np.pi * speed * STEP**2)).astype(np.float32)[:, None]
    out[:, some] += scale * _between_steps(joined[:, low], joined[:, low + 1], share)


@kernel(fastmath=FAST)
def _join_without(forward, backward, source, listener, volume, first, out):
    """Write what `_join` would without each part of the rays; `forward` and `backward` are those of all parts.

    The rest is not scaled to all rays.
    """
    regions, steps = forward.shape[0], forward.shape[1]
    for i in range(out.shape[1]):
        both = first + i - 1
        if both < 0:
            continue
        for p in (both // 2, (both + 1) // 2):
            q = both - p
            if p >= steps or q >= steps:
                continue
            for r in range(regions):
                if volume[r] <= 0.0:
                    continue
                for along in range(3):
                    a, b = forward[r, p, along], backward[r, q, along]
                    here, there = _sum_of(a), _sum_of(b)
                    if here > 0.0 and there > 0.0:
                        weight = np.float32(1.5 / volume[r])
                        weight *= max(np.float32(1.0) - _rendered(a, b) / (here * there), np.float32(0.0))
                        for j in range(len(source)):
                            x, y, target = source[j, r, p, along], listener[j, r, q, along], out[j, i]
                            for band in range(BANDS):
                                # Rounding may leave a little less than nothing.
                                left = max(a[band] - x[band], np.float32(0.0))
                                target[band] += weight * left * max(b[band] - y[band], np.float32(0.0))
