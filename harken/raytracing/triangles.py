"""Triangles for casting rays."""

import warnings
from typing import Any

import numpy as np

from harken.errors import HarkenWarning
from harken.once import made_once
from harken.raytracing import bvh, embree
from harken.raytracing.jit import kernel
from harken.raytracing.kernels import closest_hit, is_occluded, ray_buffer
from harken.raytracing.packets import embree_packets

__all__ = ["ShiftedTriangles", "Triangles"]


@kernel
def _cast_closest(rays, origins, directions, far, distance, triangle, barycentric):
    buffer = ray_buffer()
    for i in range(len(origins)):
        o, d = origins[i], directions[i]
        t, tri, u, v = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, far)
        distance[i], triangle[i] = (t, tri) if tri >= 0 else (np.inf, -1)
        barycentric[i, 0], barycentric[i, 1] = u, v


@kernel
def _cast_occluded(rays, origins, targets, margin, blocked):
    buffer = ray_buffer()
    for i in range(len(origins)):
        o = origins[i]
        d = targets[i] - o
        length = np.sqrt(d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
        if length <= 2 * margin:
            blocked[i] = False
            continue
        near = margin / length
        blocked[i] = is_occluded(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], near, 1.0 - near)


class Triangles:
    """A static set of triangles with a tree for casting rays.

    Args:
        vertices: ``(V, 3)`` positions [m].
        faces: ``(F, 3)`` indices into `vertices`.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray):
        self.vertices = np.ascontiguousarray(vertices, np.float32)
        self.faces = np.ascontiguousarray(faces, np.int32)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the tree: it is an address in this process, and is built again when needed."""
        return {"vertices": self.vertices, "faces": self.faces}

    @made_once
    def kernel_data(self) -> Any:
        """What kernels take as `rays`: Embree's address, or the arrays of the built-in tree."""
        if embree.AVAILABLE:
            return embree.build(self, self.vertices, self.faces)
        warnings.warn(
            "Embree was not found (package embreex), so rays are cast by the built-in tree, about three times slower. "
            "Install it with `pip install embreex` where a wheel exists for this platform.",
            HarkenWarning,
            stacklevel=2,
        )
        return bvh.build(self.vertices, self.faces)

    @made_once
    def packet_data(self) -> Any:
        """What kernels that cast packets take as `rays`: `kernel_data` in packets as wide as the processor's own."""
        if embree.AVAILABLE:
            return embree_packets(self.kernel_data, embree.native_width())
        return self.kernel_data

    @made_once
    def image_data(self) -> Any:
        """What kernels that cast many packets take: faster than `packet_data`, but a ray in millions slips through.

        Who uses it casts again, with `kernel_data`, what may have slipped: pixels of images, sound in a closed room.
        """
        if embree.AVAILABLE:
            scene = embree.build(self, self.vertices, self.faces, robust=False)
            return embree_packets(scene, embree.native_width())
        return self.kernel_data

    def closest(
        self, origins: np.ndarray, directions: np.ndarray, far: float = np.inf
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cast rays and return what each hits first.

        Args:
            origins: ``(N, 3)`` [m].
            directions: ``(N, 3)``; distances are in multiples of each direction's length.
            far: Largest distance searched.

        Returns:
            Distance ``(N,)`` float32 (inf where nothing is hit), triangle ``(N,)`` int32 (-1 where nothing is hit), and
            the barycentric weights ``(N, 2)`` of the triangle's second and third corner.
        """
        origins, directions = _rows(origins), _rows(directions)
        origins, directions = np.broadcast_arrays(origins, directions)
        distance, triangle = np.empty(len(origins), np.float32), np.empty(len(origins), np.int32)
        barycentric = np.empty((len(origins), 2), np.float32)
        arrays = np.ascontiguousarray(origins), np.ascontiguousarray(directions)
        _cast_closest(self.kernel_data, *arrays, np.float32(far), distance, triangle, barycentric)
        return distance, triangle, barycentric

    def occluded(self, origins: np.ndarray, targets: np.ndarray, margin: float = 1e-3) -> np.ndarray:
        """Tell for each pair of points whether a triangle lies between them.

        Args:
            origins: ``(N, 3)`` [m].
            targets: ``(N, 3)`` [m].
            margin: Distance from either end within which triangles do not count [m].

        Returns:
            ``(N,)`` bool.
        """
        origins, targets = np.broadcast_arrays(_rows(origins), _rows(targets))
        blocked = np.empty(len(origins), np.bool_)
        arrays = np.ascontiguousarray(origins), np.ascontiguousarray(targets)
        _cast_occluded(self.kernel_data, *arrays, np.float32(margin), blocked)
        return blocked


class ShiftedTriangles(Triangles):
    """Triangles for rays in other coordinates: what kernels take stays in those of the triangles themselves.

    Args:
        base: The triangles.
        origin: ``(3,)`` float64 where their origin lies in the coordinates of the rays [m].
    """

    def __init__(self, base: Triangles, origin: np.ndarray):
        self.base, self.origin = base, origin
        self.vertices, self.faces = base.vertices, base.faces

    def __getstate__(self) -> dict[str, Any]:
        """Keep both."""
        return {**super().__getstate__(), "base": self.base, "origin": self.origin}

    @property
    def kernel_data(self) -> Any:
        """What kernels take as `rays`, in the triangles' own coordinates."""
        return self.base.kernel_data

    @property
    def image_data(self) -> Any:
        """What kernels that cast images take as `rays`, in the triangles' own coordinates."""
        return self.base.image_data

    def closest(
        self, origins: np.ndarray, directions: np.ndarray, far: float = np.inf
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Cast rays and return what each hits first."""
        return self.base.closest(np.asarray(origins, np.float64) - self.origin, directions, far)

    def occluded(self, origins: np.ndarray, targets: np.ndarray, margin: float = 1e-3) -> np.ndarray:
        """Tell for each pair of points whether a triangle lies between them."""
        origins, targets = (np.asarray(points, np.float64) - self.origin for points in (origins, targets))
        return self.base.occluded(origins, targets, margin)


def _rows(points: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.asarray(points, np.float32))
