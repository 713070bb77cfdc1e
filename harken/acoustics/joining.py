"""Late sound joined halfway: rays from both ends meet in every region that both have crossed.

All sound that arrives at time t was somewhere at every time τ before. With n(x, Ω, τ) the energy on its way at the
place x in the direction Ω, and ψ(x, Ω, t − τ) what reaches the listener at t of one unit of it,

    E(t) = ∫∫ n(x, Ω, τ) ψ(x, Ω, t − τ) dΩ dx        for any τ between 0 and t

(a bilinear form of transport theory: Spanier & Gelbard 1969, ch. 3; bidirectional path tracing, Veach 1997, ch. 10,
samples it too). ψ is what the listener would send out, by reciprocity. Where sound is diffuse within a region, both
factors are their means over it, so only sums over rays are needed: with F_r(τ) the energy times path length that rays
of one end leave in region r per time, both ends radiating 4π,

    E(t) = Σ_r F_r(τ) G_r(t − τ) / (4π c V_r).

Every ray of one end counts with every ray of the other, N² pairs of N rays, and no ray has to be followed for longer
than t / 2. Early sound is not diffuse, and is not joined.

What mirror images render already must not be joined. Rays that have met nothing but mirrors yet, no more than images
follow, are therefore kept in classes by their number of reflections, and pairs of classes that together make such a
path are left out.
"""

import numpy as np

from harken.acoustics.regions import Regions, region_at
from harken.raytracing import kernel

__all__ = ["DIFFUSE", "STEP", "crossings", "deposit_crossing", "join"]

DIFFUSE = (0.05, 0.12)
"""Time between which sound goes over from that of rays that meet the other end to that which is joined [s]."""

STEP = 0.008
"""Width of the time steps in which crossings are kept [s]."""

SPREAD = 3
"""Steps by which the two halves of a way may differ."""

MARGIN = 0.15
"""Ends of a leg in which no crossing is counted [m]: regions are bounded by small cubes, not by walls."""

SPACING = 1.5
"""Way per counted place along a leg [m], about the size of a region."""

_FAST = {"contract", "reassoc", "arcp", "nsz"}


def crossings(regions: Regions, duration: float, bands: int, order: int) -> np.ndarray:
    """Return room for what rays of one end leave behind.

    Args:
        regions: Where.
        duration: Time covered by the ways of two ends together [s].
        bands: Number of octave bands.
        order: Mirror reflections that images render.

    Returns:
        ``(regions, steps, bands, 5 + order)`` float32 zeros: energy × path length, the same times the direction in
        which its ray left, and of the first that of rays that have met 0 to `order` mirrors and nothing else.
    """
    steps = int(np.ceil(0.5 * (duration / STEP + SPREAD))) + 1
    return np.zeros((len(regions.volume), steps, bands, 5 + order), np.float32)


@kernel(fastmath=_FAST)
def deposit_crossing(regions, left, air, speed, start, length, energy, o, d, departed, mirrors, shift):
    """Leave one leg of a ray in the regions that it crosses, at one place per `SPACING`.

    `left` is what `crossings` returned, `start` the way before the leg [m], `departed` the ray's first direction,
    `mirrors` the number of mirror reflections if it has met nothing else, or -1, and `shift` a number in [0, 1).
    """
    count = int(length / SPACING) + 1
    margin, weight = min(MARGIN, 0.25 * length), length / count
    for i in range(count):
        share = (i + shift) / count
        step = int((start + share * length) / (speed * STEP))
        if step >= left.shape[1]:
            return
        at = margin + share * (length - 2.0 * margin)
        region = region_at(regions, o[0] + d[0] * at, o[1] + d[1] * at, o[2] + d[2] * at)
        if region < 0:
            continue
        for b in range(left.shape[2]):
            loss = air[b] * at  # at most some tenths, so two terms of the exponential are enough
            e = np.float32(weight * energy[b] * (1.0 - loss * (1.0 - 0.5 * loss)))
            target = left[region, step, b]
            target[0] += e
            target[1] += e * np.float32(departed[0])
            target[2] += e * np.float32(departed[1])
            target[3] += e * np.float32(departed[2])
            if mirrors >= 0:
                target[4 + mirrors] += e


@kernel(fastmath=_FAST)
def _join(one, other, volume, centres, scale, out):
    regions, steps, bands, classes = one.shape[0], one.shape[1], one.shape[2], one.shape[3] - 4
    for i in range(len(centres)):
        if scale[i] <= 0.0:
            continue
        both = int(centres[i] / STEP + 0.5) - 1
        first, last = max(0, (both - SPREAD + 1) // 2), min(both, (both + SPREAD) // 2)
        for p in range(first, last + 1):
            q = both - p
            if p >= steps or q >= steps:
                continue
            for r in range(regions):
                a, b = one[r, p], other[r, q]
                if volume[r] <= 0.0 or a[bands - 1, 0] + a[0, 0] <= 0.0 or b[bands - 1, 0] + b[0, 0] <= 0.0:
                    continue
                weight = np.float32(scale[i] / ((last - first + 1) * volume[r]))
                for band in range(bands):
                    whole = a[band, 0] * b[band, 0]
                    if whole <= 0.0:
                        continue
                    rendered = np.float32(0.0)
                    for j in range(classes):
                        for k in range(classes - j):
                            rendered += a[band, 4 + j] * b[band, 4 + k]
                    e = weight * max(whole - rendered, np.float32(0.0))
                    turn = e / b[band, 0]
                    out[i, band, 0] += e
                    out[i, band, 1] += turn * b[band, 1]
                    out[i, band, 2] += turn * b[band, 2]
                    out[i, band, 3] += turn * b[band, 3]


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
    """Add the energy that rays of both ends carry together.

    Args:
        source: What rays of the source left, see `crossings`.
        listener: What rays of the listener left, likewise.
        regions: Where.
        centres: ``(bins,)`` centres of time bins [s].
        widths: ``(bins,)`` their widths [s], or less where only a share is to be added; 0 leaves a bin out.
        speed: Speed of sound [m/s].
        out: ``(bins, bands, 4)`` float32 energy and vector to where it comes from, added to.
    """
    scale = widths / (4.0 * np.pi * speed * STEP**2)
    _join(source, listener, regions.volume, np.asarray(centres, np.float64), scale, out)
