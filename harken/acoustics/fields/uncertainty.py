"""How uncertain a field is where it is read: what would be read without each part of its rays.

A field is smoothed over many cells, and several are blended where it is read, all with rays in common: errors of single
cells do not tell the error of what is read. The rays are therefore divided into parts, and everything that follows the
tracing is done again without each of them in turn. `harken.acoustics.engines.convergence` makes standard errors of the
results, by the jackknife.
"""

import numpy as np

from harken.acoustics.fields.field import LATE, EnergyField, cells_read
from harken.acoustics.fields.smoothing import smoothed_without
from harken.scene import Scene

__all__ = ["read_without"]

LEAST = 0.01
"""Weight up to which a cell is left out: it hardly changes the error, but takes as long as the others."""


def read_without(scene: Scene, field: EnergyField, points: np.ndarray) -> np.ndarray:
    """Read a field as `read_field` does, but without each part of its rays in turn.

    Args:
        scene: The scene, which decides what sees what.
        field: The field, traced with `in_parts`.
        points: ``(k, 3)`` positions [m] that see a cell each.

    Returns:
        ``(k, PARTS, bins, bands)`` float32 energy that the rays of all parts but one give, scaled to all rays.
    """
    read = [cells_read(scene, field.grid, point) for point in points]
    cells = np.unique(np.concatenate([numbers[weights > LEAST] for numbers, weights in read]))
    rest = smoothed_without(field.parts, cells, field.grid, field.bins, LATE, field.rays)
    result = np.zeros((len(read), len(rest), *rest.shape[2:]), np.float32)
    for blended, (numbers, weights) in zip(result, read, strict=True):
        kept = weights > LEAST
        shares = (weights[kept] / weights[kept].sum()).astype(np.float32)
        for cell, share in zip(np.searchsorted(cells, numbers[kept]), shares, strict=True):
            blended += share * rest[:, cell]
    return result
