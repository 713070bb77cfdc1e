"""The places at which a source's energy field is kept: cubes of air at ear height above the walkable floor.

A cube that a wall cuts would mix the air on its two sides. Each cube therefore has an anchor, a point where a
listener can be, and counts only the part of its air that the anchor sees (64 sub-cubes, one bit each).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from harken.once import made_once
from harken.raytracing import Triangles, is_occluded, kernel, ray_buffer

__all__ = ["CellGrid", "GridArrays", "build_cells", "cell_at"]

SUBDIVISION = 4
"""Sub-cubes along each edge of a cell."""

BRIM = 0.15
"""How far beyond a cell a listener still reads it, as a share of its edge: floors are sampled every 0.1 m."""

NEIGHBOURHOOD = 2.5
"""Distance within which cells that see each other have late energy in common [m]."""


class GridArrays(NamedTuple):
    """A grid, as kernels take it; the fields are those of `CellGrid`."""

    origin: np.ndarray
    size: float
    index: np.ndarray
    visible: np.ndarray
    volume: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class CellGrid:
    """Cubes of air on a regular grid, of which only some are kept."""

    origin: np.ndarray
    """``(3,)`` float64 least corner of the grid [m]."""
    size: float
    """Edge of a cell [m]."""
    index: np.ndarray
    """``(nx, ny, nz)`` int32: number of the cell, -1 where none is kept."""
    anchors: np.ndarray
    """``(cells, 3)`` float64: where in its cell a listener can be [m]."""
    visible: np.ndarray
    """``(cells,)`` uint64: bit ``i·16 + j·4 + k`` tells whether the anchor sees sub-cube (i, j, k)."""
    volume: np.ndarray
    """``(cells,)`` float64 volume of the part that the anchor sees [m³]."""
    triangles: Triangles
    """The geometry that decides what sees what."""

    @property
    def kernel_data(self) -> GridArrays:
        """What compiled code takes."""
        return GridArrays(self.origin, self.size, self.index, self.visible, self.volume)

    @made_once
    def neighbours(self) -> tuple[np.ndarray, np.ndarray]:
        """Cells whose anchors see each other within `NEIGHBOURHOOD`, itself included.

        ``(cells + 1,)`` int64 borders and ``(n,)`` int32 numbers: those of cell c are ``numbers[borders[c] :
        borders[c + 1]]``.
        """
        pairs = KDTree(self.anchors).query_pairs(NEIGHBOURHOOD, output_type="ndarray")
        a, b = self.anchors[pairs[:, 0]], self.anchors[pairs[:, 1]]
        visible = pairs[~self.triangles.occluded(a, b)] if len(pairs) else pairs
        own = np.arange(len(self.anchors))
        first, second = np.concatenate([visible, visible[:, ::-1], np.stack([own, own], 1)]).T
        order = np.lexsort((second, first))
        return np.searchsorted(first[order], np.arange(len(own) + 1)), second[order].astype(np.int32)


@kernel
def _see(rays, origin, size, cells, anchors, visible, share):
    buffer = ray_buffer()
    part = size / SUBDIVISION
    for c in range(len(anchors)):
        a = anchors[c]
        bits = np.uint64(0)
        count = 0
        for i in range(SUBDIVISION):
            for j in range(SUBDIVISION):
                for k in range(SUBDIVISION):
                    dx = origin[0] + cells[c, 0] * size + (i + 0.5) * part - a[0]
                    dy = origin[1] + cells[c, 1] * size + (j + 0.5) * part - a[1]
                    dz = origin[2] + cells[c, 2] * size + (k + 0.5) * part - a[2]
                    if not is_occluded(rays, buffer, a[0], a[1], a[2], dx, dy, dz, 0.0, 1.0):
                        bits |= np.uint64(1) << np.uint64(i * 16 + j * 4 + k)
                        count += 1
        visible[c] = bits
        share[c] = max(count, 1) / SUBDIVISION**3


def build_cells(
    triangles: Triangles, points: np.ndarray, *, size: float = 0.5, height: float | None = None
) -> CellGrid:
    """Find the cells around points where listeners can be.

    Args:
        triangles: The geometry, which decides what an anchor sees.
        points: ``(N, 3)`` places of ears [m]; one cell is kept for each cube that holds any.
        size: Edge of a cell [m].
        height: Ear height at which cells are centred vertically [m]; the most frequent height of `points` by default.

    Returns:
        The grid, in the order of x, y, z.
    """
    points = np.atleast_2d(np.asarray(points, np.float64))
    if height is None:
        levels, counts = np.unique(np.round(points[:, 1], 2), return_counts=True)
        height = float(levels[np.argmax(counts)])
    origin = np.floor(points.min(0) / size) * size
    origin[1] = height - size * (0.5 + np.ceil((height - points[:, 1].min()) / size - 0.5))
    cell = np.floor((points - origin) / size).astype(np.int64)
    # The grid ends at the outermost cells: rays are followed through it, and most pass above or below.
    shape = cell.max(0) + 1
    flat = np.ravel_multi_index(cell.T, shape)
    offset = np.linalg.norm(points - (origin + (cell + 0.5) * size), axis=1)
    order = np.lexsort((offset, flat))
    first = order[np.r_[True, np.diff(flat[order]) > 0]]
    anchors, cells = np.ascontiguousarray(points[first]), np.ascontiguousarray(cell[first].astype(np.int32))
    index = np.full(shape, -1, np.int32)
    index[tuple(cells.T)] = np.arange(len(cells))
    visible, share = np.zeros(len(cells), np.uint64), np.zeros(len(cells))
    _see(triangles.kernel_data, origin, size, cells, anchors, visible, share)
    return CellGrid(
        origin=origin,
        size=size,
        index=index,
        anchors=anchors,
        visible=visible,
        volume=share * size**3,
        triangles=triangles,
    )


def cell_at(grid: CellGrid, point: np.ndarray) -> int:
    """Return the number of the cell that holds `point`, or of one beside it that reaches within `BRIM` of it.

    A body stands up to half a sample of the floor beyond the outermost samples, where there may be no cell.

    Returns:
        The number, -1 if there is none.
    """
    return int(_cell_at(grid.origin, grid.size, grid.index, np.asarray(point, np.float64)))


@kernel
def _cell_at(origin, size, index, point):
    place, nearest, found = np.empty(3), np.inf, -1
    for axis in range(3):
        place[axis] = (point[axis] - origin[axis]) / size
        # Compared before the conversion to an index, which is undefined for floats beyond the range of integers.
        if not -1.0 <= place[axis] <= index.shape[axis] + 1.0:
            return -1
    x, y, z = int(np.floor(place[0])), int(np.floor(place[1])), int(np.floor(place[2]))
    if not 0 <= y < index.shape[1]:
        return -1
    for i in range(max(x - 1, 0), min(x + 2, index.shape[0])):
        for k in range(max(z - 1, 0), min(z + 2, index.shape[2])):
            beyond_x = max(i - place[0], place[0] - (i + 1.0), 0.0)
            beyond_z = max(k - place[2], place[2] - (k + 1.0), 0.0)
            distance = max(beyond_x, beyond_z)
            if index[i, y, k] >= 0 and distance <= BRIM and distance < nearest:
                nearest, found = distance, index[i, y, k]
    return found
