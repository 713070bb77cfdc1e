"""Late energy, smoothed over nearby cells in sight, and kept at the level that each cell has itself.

Few rays carry late energy, and within a room it is similar from cell to cell, so it is averaged. Through an open door
a cell also sees cells of the next room, which may be louder or quieter by many decibels, and before a door late energy
falls off within a metre: a plain mean over all cells in sight carries energy from one room to the other. What cells
have in common is how sound decays. In windows of time, cell i therefore becomes

    Σⱼ wᵢⱼ (Lᵢ/Lⱼ)^λ Eⱼ / Σⱼ wᵢⱼ,        wᵢⱼ = exp(−ln²(Lᵢ/Lⱼ) / 2h²),

the mean of energies Eⱼ that are scaled to its level, with less weight for those whose levels differ much, as in
bilateral filters (Tomasi & Manduchi 1998). Levels are noisy too: where they differ no more than noise makes them, λ is
0 and the result a mean over the neighbourhood. With V, the mean of ln²(Lᵢ/Lⱼ), and the variance σ² of noise

    λ = (V / (V + σ²))²

(a shrinkage estimator, after James & Stein 1961).

Levels matter most: with exact ones, late sound in a dead room beside a live one would scatter half as much. They are
made in three steps.

1. A level is the mean of the energy in cells nearby. Around a cell at a wall these lie on one side of it, which may be
   the side of the door through which late sound comes.
2. It is therefore moved from the centre of these cells to the cell itself, along the slope of the levels around. This
   slope is that of a plane fitted to them, as local linear regression is not biased at borders (Fan & Gijbels 1996).
3. Late sound of one slope keeps its shape in space while it decays (Götz, Schlecht & Pulkki 2023), and different rays
   bring it to a cell in different windows. How much a level lies above the mean of the neighbourhood is therefore
   averaged over windows near in time, with less weight for those in which it differs.

A cell is smoothed when it is first read: an episode visits few of them.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.fields.cells import CellGrid
from harken.acoustics.tracing import BANDS, FAST, TimeBins
from harken.raytracing import borrowed, kernel

__all__ = ["MANY", "SmoothingArrays", "late_share", "smooth_all", "smooth_cell", "smoothed_without", "smoothing"]

SPREAD = 1.5
"""h: natural logarithm of the ratio of levels at which a cell has the weight exp(−1/2); 6.5 dB."""

NOISE, NOISIEST = 0.12, 0.3
"""σ: natural logarithm of the ratio of levels that noise alone makes, 0.5 dB with `MANY` rays. It falls with the root
of the number, and is at most the second."""

MANY = 6_000
"""Number of rays for which `NOISE` holds."""

NEAR = 0.55
"""Distance within which cells are averaged for their levels, which makes these less noisy [m]."""

SLOPING = 0.6
"""Standard deviation of the weights with which cells tell the slope of levels, over their distance [m]."""

SLOPE_REACH = 1.5
"""Distance from which on cells do not tell it [m]."""

SLOPE_SPREAD = 1.0
"""The same as `SPREAD`, for the slope."""

STIFFNESS = 0.003
"""What is added to the weighted variance of places in the fit of a slope, so that few places give a small one [m²]."""

OFF_CENTRE = 0.02
"""Distance to the centre of the cells nearby from which on a level is moved [m]."""

POOLED, POOLED_SPREAD = 2.0, 0.35
"""Standard deviations of the weights with which windows are averaged: over their distance in time, in windows, and over
the natural logarithm of the ratio of levels."""

WINDOWS = (0.03, 2.0)
"""End of the first window of time [s], and the ratio of the ends of one and the one before."""


def late_share(bins: TimeBins, between: tuple[float, float]) -> np.ndarray:
    """Return the share ``(bins,)`` of late sound in each time bin, that rises from 0 to 1 between two times [s]."""
    return np.clip((bins.centres - between[0]) / (between[1] - between[0]), 0.0, 1.0)


def windows_of(bins: TimeBins) -> np.ndarray:
    """Return the number ``(bins,)`` int64 of the window of time that each bin belongs to."""
    first, ratio = WINDOWS
    return np.maximum(np.ceil(np.log(bins.centres / first) / np.log(ratio)), 0.0).astype(np.int64)


LEAST = np.finfo(np.float32).tiny
"""Energy that stands for none, so that it has a logarithm."""

SILENT = np.float32(np.log(LEAST)) + np.float32(1.0)
"""Logarithm of energy up to which there is none."""


class SmoothingArrays(NamedTuple):
    """Energies of cells that are smoothed when they are first read, as kernels take them."""

    traced: np.ndarray
    """``(cells, bins, bands · 4)`` float32 energies as traced."""
    smooth: np.ndarray
    """The same, smoothed, where `done` says so."""
    done: np.ndarray
    """``(cells,)`` bool."""
    share: np.ndarray
    """``(bins,)`` float32 share of the neighbourhood in each time bin."""
    windows: np.ndarray
    """``(bins,)`` int64 window of each time bin."""
    levels: np.ndarray
    """``(cells, windows)`` float32 natural logarithms of the cells' levels."""
    noise: np.float32
    """Variance of these that noise alone makes."""
    borders: np.ndarray
    """``(cells + 1,)`` and"""
    numbers: np.ndarray
    """``(n,)`` `CellGrid.neighbours`."""
    weights: np.ndarray
    """``(most neighbours,)`` float32 scratch."""


def smoothing(
    energy: np.ndarray, grid: CellGrid, bins: TimeBins, between: tuple[float, float], rays: int = MANY
) -> SmoothingArrays:
    """Prepare the smoothing of energies in which late ones are gradually replaced by means over neighbourhoods.

    Args:
        energy: ``(cells, bins, bands, 4)`` float32 energy and vector to where it comes from.
        grid: The cells.
        bins: The time bins.
        between: Times between which the share of the means rises from 0 to 1 [s].
        rays: Number of rays that left the energies.
    """
    share, windows = late_share(bins, between).astype(np.float32), windows_of(bins)
    borders, numbers = grid.neighbours
    own = np.zeros((len(energy), windows[-1] + 1), np.float32)
    _sum_windows(energy, windows, own)
    traced = energy.reshape(*energy.shape[:2], -1)
    return SmoothingArrays(
        traced,
        np.empty_like(traced),
        np.zeros(len(energy), np.bool_),
        share,
        windows,
        _log_levels(own, grid),
        noise_of(rays),
        borders,
        numbers,
        np.empty(int(np.diff(borders).max(initial=0)), np.float32),
    )


def smoothed_without(
    parts: np.ndarray, cells: np.ndarray, grid: CellGrid, bins: TimeBins, between: tuple[float, float], rays: int = MANY
) -> np.ndarray:
    """Return what `smoothing` would make of some cells if each part of the rays in turn were missing.

    Args:
        parts: ``(n, cells, bins, bands)`` float32 energy of each part, which add up to that of all.
        cells: ``(k,)`` numbers of the cells.
        grid: All cells.
        bins: The time bins.
        between: As `smoothing` takes.
        rays: Number of rays that left the energies.

    Returns:
        ``(n, k, bins, bands)`` float32 energy, scaled to that of all parts.
    """
    share, windows = late_share(bins, between).astype(np.float32), windows_of(bins)
    own = np.add.reduceat(parts.sum(-1), np.searchsorted(windows, np.arange(windows[-1] + 1)), axis=2)
    levels = np.stack([_log_levels(rest, grid) for rest in own.sum(0) - own])
    result = np.empty((len(parts), len(cells), *parts.shape[2:]), np.float32)
    _smooth_without(parts, parts.sum(0), cells, share, windows, levels, noise_of(rays), *grid.neighbours, result)
    # Differences of sums of floats may fall below 0 by their rounding.
    return np.maximum(result, 0.0) * np.float32(len(parts) / (len(parts) - 1))


def noise_of(rays: int) -> np.float32:
    """Return σ², the variance of the levels' logarithms that noise alone makes with a number of rays."""
    return np.float32(min(NOISE * (MANY / rays) ** 0.5, NOISIEST) ** 2)


def _log_levels(own: np.ndarray, grid: CellGrid) -> np.ndarray:
    """Return natural logarithms of the cells' levels, of energies ``(cells, windows)`` in all bands."""
    levels, centres = np.zeros_like(own), np.empty((len(own), 2))
    _average_nearby(own, grid.anchors, *grid.neighbours, levels, centres)
    levels = np.log(np.maximum(levels, LEAST))
    moved = levels.copy()
    _move_to_anchors(levels, grid.anchors, centres, *grid.neighbours, moved)
    _pool_windows(own, *grid.neighbours, moved)
    return moved


@kernel(fastmath=FAST)
def _sum_windows(energy, windows, own):
    """Write the energy ``(cells, windows)`` of each cell, in all bands together."""
    for c in range(len(energy)):
        for t in range(len(windows)):
            for b in range(BANDS):
                own[c, windows[t]] += energy[c, t, b, 0]


@kernel(fastmath=FAST)
def _average_nearby(own, anchors, borders, numbers, levels, centres):
    """Write the mean of what each cell and those near it have themselves, and the centre (x, z) of these cells."""
    for c in range(len(own)):
        count, a, x, z = 0, anchors[c], 0.0, 0.0
        for k in range(borders[c], borders[c + 1]):
            n = anchors[numbers[k]]
            if (n[0] - a[0]) ** 2 + (n[1] - a[1]) ** 2 + (n[2] - a[2]) ** 2 <= NEAR * NEAR:
                count, x, z = count + 1, x + n[0], z + n[2]
                levels[c] += own[numbers[k]]
        levels[c] /= np.float32(count)
        centres[c, 0], centres[c, 1] = x / count, z / count


@kernel(fastmath=FAST)
def _move_to_anchors(levels, anchors, centres, borders, numbers, moved):
    """Add to `moved` what logarithms of levels, which hold at `centres`, differ by at the anchors."""
    for c in range(len(levels)):
        x, z = anchors[c, 0] - centres[c, 0], anchors[c, 2] - centres[c, 1]
        if x * x + z * z > OFF_CENTRE * OFF_CENTRE:
            for w in range(levels.shape[1]):
                slope = _slope(levels[:, w], c, anchors, centres, numbers[borders[c] : borders[c + 1]])
                moved[c, w] += np.float32(slope[0] * x + slope[1] * z)


@kernel(fastmath=FAST)
def _slope(levels, c, anchors, centres, cells):
    """Return the slope along x and z [1/m] of a plane through the levels ``(cells,)`` around cell `c`."""
    total, mx, mz, my = 0.0, 0.0, 0.0, 0.0
    xx, xz, zz, xy, zy = 0.0, 0.0, 0.0, 0.0, 0.0
    a = anchors[c]
    for n in cells:
        b = anchors[n]
        square = (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2 + (b[2] - a[2]) ** 2
        if square > SLOPE_REACH * SLOPE_REACH:
            continue
        x, z, y = centres[n, 0] - a[0], centres[n, 1] - a[2], levels[n] - levels[c]
        weight = np.exp(-0.5 / SLOPING**2 * square - 0.5 / SLOPE_SPREAD**2 * y * y)
        total, mx, mz, my = total + weight, mx + weight * x, mz + weight * z, my + weight * y
        xx, xz, zz = xx + weight * x * x, xz + weight * x * z, zz + weight * z * z
        xy, zy = xy + weight * x * y, zy + weight * z * y
    xx, zz = xx - mx * mx / total + STIFFNESS, zz - mz * mz / total + STIFFNESS
    xz, xy, zy = xz - mx * mz / total, xy - mx * my / total, zy - mz * my / total
    scale = 1.0 / (xx * zz - xz * xz)
    return scale * (zz * xy - xz * zy), scale * (xx * zy - xz * xy)


@kernel(fastmath=FAST)
def _pool_windows(own, borders, numbers, levels):
    """Average over windows how much each logarithm of a level lies above that of the mean of the neighbourhood."""
    count = own.shape[1]
    means, above = np.empty(count, np.float32), np.empty(count, np.float32)
    for c in range(len(own)):
        means[:] = 0.0
        for k in range(borders[c], borders[c + 1]):
            means += own[numbers[k]]
        for w in range(count):
            means[w] = np.log(max(means[w] / np.float32(borders[c + 1] - borders[c]), LEAST))
            above[w] = levels[c, w] - means[w]
        for w in range(count):
            if means[w] > SILENT:
                levels[c, w] = means[w] + _pooled(above, means, w)


@kernel(fastmath=FAST)
def _pooled(above, means, w):
    """Return the mean of what levels lie above their means in windows around `w`, less those without sound."""
    total, result = np.float32(0.0), np.float32(0.0)
    for v in range(len(above)):
        if means[v] > SILENT:
            distance, ratio = np.float32(v - w) / np.float32(POOLED), (above[v] - above[w]) / np.float32(POOLED_SPREAD)
            weight = np.exp(np.float32(-0.5) * (distance * distance + ratio * ratio))
            total, result = total + weight, result + weight * above[v]
    return result / total


@kernel(fastmath=FAST)
def smooth_cell(arrays, c):
    """Smooth the energies of cell `c`, unless they are."""
    if arrays.done[c]:
        return
    first, last, window = arrays.borders[c], arrays.borders[c + 1], -1
    weights, numbers = arrays.weights, arrays.numbers
    for t in range(len(arrays.share)):
        late, target = arrays.share[t], arrays.smooth[c, t]
        _copy(target, np.float32(1.0) - late, arrays.traced[c, t])
        if late <= 0.0:
            continue
        if arrays.windows[t] != window:
            window = arrays.windows[t]
            _weigh(arrays.levels, arrays.noise, window, c, numbers[first:last], weights)
        for k in range(first, last):
            _add(target, late * weights[k - first], arrays.traced[numbers[k], t])
    arrays.done[c] = True


@kernel(fastmath=FAST)
def _copy(target, weight, energy):
    for i in range(4 * BANDS):
        target[i] = weight * energy[i]


@kernel(fastmath=FAST)
def _add(target, weight, energy):
    for i in range(4 * BANDS):
        target[i] += weight * energy[i]


@kernel(fastmath=FAST)
def smooth_all(arrays):
    """Smooth the energies of all cells that are not smoothed yet."""
    arrays = borrowed(arrays)
    for c in range(len(arrays.done)):
        smooth_cell(arrays, c)


@kernel(fastmath=FAST)
def _smooth_without(parts, total, cells, share, windows, levels, noise, borders, numbers, out):
    """Smooth `total` less each of `parts` at some cells, as `smooth_cell` does; `levels` ``(n, cells, windows)``."""
    count = len(parts)
    for i in range(len(cells)):
        c = cells[i]
        first, last, window = borders[c], borders[c + 1], -1
        weights = np.zeros((count, last - first), np.float32)
        for t in range(total.shape[1]):
            own = np.float32(1.0) - share[t]
            for j in range(count):
                for b in range(BANDS):
                    out[j, i, t, b] = own * (total[c, t, b] - parts[j, c, t, b])
            if share[t] <= 0.0:
                continue
            if windows[t] != window:
                window = windows[t]
                for j in range(count):
                    _weigh(levels[j], noise, window, c, numbers[first:last], weights[j])
            for j in range(count):
                target = out[j, i, t]
                for k in range(first, last):
                    weight, n = share[t] * weights[j, k - first], numbers[k]
                    if weight > 0.0:
                        for b in range(BANDS):
                            target[b] += weight * (total[n, t, b] - parts[j, n, t, b])


@kernel(fastmath=FAST)
def _weigh(levels, noise, window, c, cells, weights):
    """Write what the energies of some cells are multiplied by for cell `c` in a window."""
    total, variance = np.float32(0.0), np.float32(0.0)
    for k in range(len(cells)):
        ratio = levels[cells[k], window] - levels[c, window]
        weights[k] = np.exp(np.float32(-0.5 / SPREAD**2) * ratio * ratio)
        total += weights[k]
        variance += weights[k] * ratio * ratio
    power = (variance / (variance + noise * total)) ** 2
    for k in range(len(cells)):
        ratio = levels[cells[k], window] - levels[c, window]
        weights[k] *= np.exp(-power * ratio) / total
