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
"""

import numpy as np

from harken.acoustics.fields.cells import CellGrid
from harken.acoustics.tracing import BANDS, FAST, TimeBins
from harken.raytracing import kernel

__all__ = ["late_share", "smoothed"]

SPREAD = 1.5
"""h: natural logarithm of the ratio of levels at which a cell has the weight exp(−1/2); 6.5 dB."""

NOISE, MANY, NOISIEST = 0.15, 6_000, 0.3
"""σ: natural logarithm of the ratio of levels that noise alone makes, with this number of rays; 0.65 dB. It falls with
the root of the number, and is at most the last."""

NEAR = 0.55
"""Distance within which cells are averaged for their levels, which makes these less noisy [m]."""

WINDOWS = (0.03, 2.0)
"""End of the first window of time [s], and the ratio of the ends of one and the one before."""


def late_share(bins: TimeBins, between: tuple[float, float]) -> np.ndarray:
    """Return the share ``(bins,)`` of late sound in each time bin, that rises from 0 to 1 between two times [s]."""
    return np.clip((bins.centres - between[0]) / (between[1] - between[0]), 0.0, 1.0)


def windows_of(bins: TimeBins) -> np.ndarray:
    """Return the number ``(bins,)`` int64 of the window of time that each bin belongs to."""
    first, ratio = WINDOWS
    return np.maximum(np.ceil(np.log(bins.centres / first) / np.log(ratio)), 0.0).astype(np.int64)


def smoothed(
    energy: np.ndarray, grid: CellGrid, bins: TimeBins, between: tuple[float, float], rays: int = MANY
) -> np.ndarray:
    """Return energies in which late ones are gradually replaced by means over the neighbourhood of each cell.

    Args:
        energy: ``(cells, bins, bands, 4)`` float32 energy and vector to where it comes from.
        grid: The cells.
        bins: The time bins.
        between: Times between which the share of the means rises from 0 to 1 [s].
        rays: Number of rays that left the energies.
    """
    share, windows = late_share(bins, between).astype(np.float32), windows_of(bins)
    borders, numbers = grid.neighbours
    levels = np.zeros((len(energy), windows[-1] + 1), np.float32)
    _find_levels(energy, windows, grid.anchors, borders, numbers, levels)
    result = np.empty_like(energy)
    levels = np.log(np.maximum(levels, np.finfo(np.float32).tiny))
    noise = np.float32(min(NOISE * (MANY / rays) ** 0.5, NOISIEST) ** 2)
    _smooth(energy, share, windows, levels, noise, borders, numbers, result)
    return result


@kernel(fastmath=FAST)
def _find_levels(energy, windows, anchors, borders, numbers, levels):
    """Write the mean energy ``(cells, windows)`` around each cell, in all bands together."""
    own = np.zeros(levels.shape, np.float32)
    for c in range(len(energy)):
        for t in range(len(windows)):
            for b in range(BANDS):
                own[c, windows[t]] += energy[c, t, b, 0]
    for c in range(len(energy)):
        count, a = np.float32(0.0), anchors[c]
        for k in range(borders[c], borders[c + 1]):
            n = anchors[numbers[k]]
            if (n[0] - a[0]) ** 2 + (n[1] - a[1]) ** 2 + (n[2] - a[2]) ** 2 <= NEAR * NEAR:
                count += np.float32(1.0)
                levels[c] += own[numbers[k]]
        levels[c] /= count


@kernel(fastmath=FAST)
def _smooth(energy, share, windows, levels, noise, borders, numbers, out):
    """Mix the energies of each cell with the weighed mean over its neighbourhood, of which `share` ``(bins,)`` counts.

    `levels` ``(cells, windows)`` are natural logarithms, and `noise` the variance of theirs.
    """
    most = 0
    for c in range(len(energy)):
        most = max(most, borders[c + 1] - borders[c])
    weights = np.empty(most, np.float32)
    for c in range(len(energy)):
        first, last, window = borders[c], borders[c + 1], -1
        for t in range(energy.shape[1]):
            target, own = out[c, t], np.float32(1.0) - share[t]
            for b in range(BANDS):
                for i in range(4):
                    target[b, i] = own * energy[c, t, b, i]
            if share[t] <= 0.0:
                continue
            if windows[t] != window:
                window = windows[t]
                _weigh(levels, noise, window, c, numbers[first:last], weights)
            for k in range(first, last):
                weight = share[t] * weights[k - first]
                if weight > 0.0:
                    part = energy[numbers[k], t]
                    for b in range(BANDS):
                        for i in range(4):
                            target[b, i] += weight * part[b, i]


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
