"""The air of a scene in undivided regions of a metre or two, within which late sound is uniform.

Space is cut into blocks, and each block into small ones. Small blocks of the same large one whose middles see each
other belong together, so a block that a wall cuts becomes two regions, one on each side. Places in a small block that a
wall cuts, or beside one, belong to the middle that they see.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from harken.acoustics.fields.walks import SCATTERING_BAND
from harken.raytracing import is_occluded, kernel, ray_buffer
from harken.scene import Scene

__all__ = ["RegionArrays", "Regions", "build_regions", "region_at"]

FINEST = 0.3
"""Edge of the small blocks [m], about, and at least."""

DIVISION = 8
"""Small blocks along an edge of a large one."""

SAMPLES = 2
"""Places drawn in every small block that tell how much air belongs to a region."""

MOST_BLOCKS = 60_000
"""Small blocks of a scene; they grow with scenes that have more."""


class RegionArrays(NamedTuple):
    """Regions, as kernels take them; the fields are those of `Regions`."""

    number: np.ndarray
    divided: np.ndarray
    origin: np.ndarray
    size: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Pieces of air."""

    origin: np.ndarray
    """``(3,)`` least corner of the scene [m]."""
    size: np.ndarray
    """``(3,)`` edges of a small block [m]."""
    number: np.ndarray
    """``(nx, ny, nz)`` int32: the region of each small block's middle, -1 where that is solid."""
    divided: np.ndarray
    """``(nx, ny, nz)`` bool: whether something may divide the block."""
    volume: np.ndarray
    """``(regions,)`` air in each [m³], less by the share of all air that belongs to none."""
    free_path: float
    """Mean free path 4V/S of all air [m] (Kosten 1960)."""
    scattering: float
    """Mean scattering coefficient of what surfaces reflect, at 1 kHz."""

    @property
    def kernel_data(self) -> RegionArrays:
        """What compiled code takes."""
        return RegionArrays(self.number, self.divided, self.origin, self.size)


def build_regions(scene: Scene) -> Regions:
    """Divide the air of a scene; takes about 0.2 s.

    Args:
        scene: The scene.
    """
    lower, upper = (ends.astype(np.float64) for ends in (scene.vertices.min(0), scene.vertices.max(0)))
    extent = np.maximum(upper - lower, 1e-3)
    finest = max(FINEST, float(np.prod(np.maximum(extent, FINEST)) / MOST_BLOCKS) ** (1 / 3))
    shape = np.ceil(extent / finest - 1e-6).astype(int).clip(1)
    size = extent / shape
    block = np.indices(tuple(shape)).reshape(3, -1).T
    middles = lower + (block + 0.5) * size
    large = np.ravel_multi_index(tuple((block // DIVISION).T), tuple(shape // DIVISION + 1))
    solid = scene.are_inside_solid(middles)
    number, divided, pairs = np.arange(len(block)).reshape(shape), solid.copy(), []
    for axis in range(3):
        a = np.take(number, np.arange(shape[axis] - 1), axis).ravel()
        b = np.take(number, np.arange(1, shape[axis]), axis).ravel()
        apart = solid[a] | solid[b] | scene.triangles.occluded(middles[a], middles[b])
        divided[a[apart]] = divided[b[apart]] = True
        together = ~apart & (large[a] == large[b])
        pairs.append(np.stack([a[together], b[together]], 1))
    linked = np.concatenate(pairs)
    graph = coo_matrix((np.ones(len(linked), bool), (linked[:, 0], linked[:, 1])), shape=(len(block), len(block)))
    _, label = connected_components(graph, directed=False)
    label[~solid] = np.unique(label[~solid], return_inverse=True)[1]
    label[solid] = -1
    blocks = RegionArrays(label.reshape(shape).astype(np.int32), divided.reshape(shape), lower, size)
    # The middles of blocks aligned with walls would all be inside or all outside, so random places are used instead.
    volume, air = np.zeros(label.max() + 1), 0
    for offsets in np.random.default_rng(0).random((SAMPLES, *block.shape)):
        places = lower + (block + offsets) * size
        places = places[~scene.are_inside_solid(places)]
        _measure(scene.triangles.kernel_data, blocks, places, volume)
        air += len(places)
    # The air of the regions also stands for corners that see no middle.
    volume *= np.prod(size) / SAMPLES * (volume.sum() / max(air, 1))
    a, b, c = np.moveaxis(scene.vertices[scene.faces].astype(np.float64), 1, 0)
    areas = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    absorption, scattering = scene.coefficients[:2, scene.material, SCATTERING_BAND].astype(np.float64)
    reflected = areas * (1.0 - absorption)
    return Regions(
        origin=lower,
        size=size,
        number=blocks.number,
        divided=blocks.divided,
        volume=volume,
        free_path=4.0 * air / SAMPLES * float(np.prod(size)) / max(float(areas.sum()), 1e-9),
        scattering=float((reflected * scattering).sum() / max(reflected.sum(), 1e-9)),
    )


@kernel
def _measure(rays, regions, places, volume):
    """Count the places in every region."""
    buffer = ray_buffer()
    for p in places:
        region = region_at(rays, buffer, regions, p[0], p[1], p[2])
        if region >= 0:
            volume[region] += 1.0


@kernel
def _belongs(rays, buffer, regions, x, y, z, i, j, k):
    """Return the region of a block's middle if a place sees it, or -1."""
    number, origin, size = regions.number, regions.origin, regions.size
    if i < 0 or j < 0 or k < 0 or i >= number.shape[0] or j >= number.shape[1] or k >= number.shape[2]:
        return -1
    region = number[i, j, k]
    if region < 0:
        return -1
    dx, dy, dz = (
        origin[0] + (i + 0.5) * size[0] - x,
        origin[1] + (j + 0.5) * size[1] - y,
        origin[2] + (k + 0.5) * size[2] - z,
    )
    return -1 if is_occluded(rays, buffer, x, y, z, dx, dy, dz, np.float32(0.0), np.float32(1.0)) else region


@kernel
def region_at(rays, buffer, regions, x, y, z):
    """Return the region at a point, -1 outside the scene or where it sees no middle of a block around.

    `rays` is `Triangles.kernel_data`, `buffer` a `ray_buffer`, `regions` is `Regions.kernel_data`.
    """
    number, origin, size = regions.number, regions.origin, regions.size
    u, v, w = (x - origin[0]) / size[0], (y - origin[1]) / size[1], (z - origin[2]) / size[2]
    # Compared before the conversion to an index, which is undefined for floats beyond the range of integers.
    if not (0.0 <= u < number.shape[0] and 0.0 <= v < number.shape[1] and 0.0 <= w < number.shape[2]):
        return -1
    i, j, k = int(u), int(v), int(w)
    if not regions.divided[i, j, k]:
        return number[i, j, k]
    # Its own block's middle first, then those on the side where it lies, then the rest of the neighbours.
    region = _belongs(rays, buffer, regions, x, y, z, i, j, k)
    a, b, c = 1 if u - i > 0.5 else -1, 1 if v - j > 0.5 else -1, 1 if w - k > 0.5 else -1
    for _side in range(2):
        if region < 0:
            region = _belongs(rays, buffer, regions, x, y, z, i + a, j, k)
        if region < 0:
            region = _belongs(rays, buffer, regions, x, y, z, i, j, k + c)
        if region < 0:
            region = _belongs(rays, buffer, regions, x, y, z, i, j + b, k)
        a, b, c = -a, -b, -c
    return region
