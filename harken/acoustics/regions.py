"""The air of a scene in pieces of a metre or two that no wall divides: where late sound is alike.

Space is cut into cubes, and each cube into small ones. Small cubes of the same large one whose middles see each other
belong together, so a cube that a wall cuts becomes two regions, one on each side.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from harken.raytracing import kernel
from harken.scene import Scene

__all__ = ["Regions", "build_regions", "region_at"]

FINEST = 0.3
"""Least edge of the small cubes [m]; thin walls pass between their middles."""

DIVISION = 5
"""Small cubes along an edge of a large one."""

SAMPLES = 2
"""Places drawn in every small cube that tell how much of it is air."""

MOST_CUBES = 60_000
"""Small cubes of a scene; they grow with scenes that have more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Pieces of air."""

    origin: np.ndarray
    """``(3,)`` least corner of the scene [m]."""
    size: float
    """Edge of a small cube [m]."""
    number: np.ndarray
    """``(nx, ny, nz)`` int32: the region of each small cube."""
    volume: np.ndarray
    """``(regions,)`` air in each [m³]; 0 where all of it is solid."""

    @property
    def kernel_data(self) -> tuple:
        """What compiled code takes."""
        return self.number, self.origin, self.size


def build_regions(scene: Scene) -> Regions:
    """Divide the air of a scene, in some 0.1 s.

    Args:
        scene: The scene.
    """
    lower, upper = (ends.astype(np.float64) for ends in (scene.vertices.min(0), scene.vertices.max(0)))
    size = max(FINEST, float(np.prod(np.maximum(upper - lower, FINEST)) / MOST_CUBES) ** (1 / 3))
    shape = np.maximum(1, np.ceil((upper - lower) / size)).astype(int)
    cell = np.indices(tuple(shape)).reshape(3, -1).T
    middles = lower + (cell + 0.5) * size
    large = np.ravel_multi_index(tuple((cell // DIVISION).T), tuple(shape // DIVISION + 1))
    solid = scene.are_inside_solid(middles)
    number, pairs = np.arange(len(cell)).reshape(shape), []
    for axis in range(3):
        a = np.take(number, np.arange(shape[axis] - 1), axis).ravel()
        b = np.take(number, np.arange(1, shape[axis]), axis).ravel()
        near = (large[a] == large[b]) & ~solid[a] & ~solid[b]
        a, b = a[near], b[near]
        pairs.append(np.stack([a, b], 1)[~scene.triangles.occluded(middles[a], middles[b])])
    linked = np.concatenate(pairs)
    graph = coo_matrix((np.ones(len(linked), bool), (linked[:, 0], linked[:, 1])), shape=(len(cell), len(cell)))
    _, label = connected_components(graph, directed=False)
    if not solid.all():
        # What is solid goes to the nearest air: a cube with its middle in a table has air in its corners.
        nearest = ndimage.distance_transform_edt(solid.reshape(shape), return_distances=False, return_indices=True)
        label = label.reshape(shape)[tuple(nearest)].ravel()
    kept, label = np.unique(label, return_inverse=True)
    # Middles of cubes that are in line with the walls would all be in or out: places in them are drawn instead.
    drawn = np.random.default_rng(0).random((SAMPLES, *cell.shape)) + cell
    places = (lower + cells * size for cells in drawn)
    air = sum((p < upper).all(1) & ~scene.are_inside_solid(p) for p in places) / SAMPLES
    volume = np.bincount(label, weights=air, minlength=len(kept)) * size**3
    return Regions(origin=lower, size=size, number=label.reshape(shape).astype(np.int32), volume=volume)


@kernel
def region_at(regions, x, y, z):
    """Return the region at a point, -1 outside the scene; `regions` is `Regions.kernel_data`."""
    number, origin, size = regions
    i, j, k = int((x - origin[0]) / size), int((y - origin[1]) / size), int((z - origin[2]) / size)
    inside = 0 <= i < number.shape[0] and 0 <= j < number.shape[1] and 0 <= k < number.shape[2]
    return number[i, j, k] if inside else -1
