"""Ray casting from inside compiled code.

A kernel takes ``rays = triangles.kernel_data`` and a buffer from `ray_buffer`, and asks `closest_hit` or `is_occluded`.
Which implementation runs is decided by the type of `rays` when the kernel is compiled: Embree's address (an integer) or
the arrays of the built-in tree (a tuple).
"""

import numpy as np
from numba import types
from numba.extending import overload

from harken.raytracing.bvh import bvh_closest, bvh_occluded
from harken.raytracing.embree import embree_closest, embree_occluded
from harken.raytracing.jit import kernel

__all__ = ["closest_hit", "is_occluded", "ray_buffer"]


@kernel(inline="always")
def ray_buffer(words=32):
    """Return float32 scratch of `words` values on a 64-byte boundary: 32 for one ray, 16 × 24 for a packet."""
    scratch = np.empty(words + 16, np.float32)
    offset = (64 - (scratch.ctypes.data % 64)) // 4 % 16
    return scratch[offset : offset + words]


def closest_hit(rays, buffer, ox, oy, oz, dx, dy, dz, near, far):
    """Cast one ray from inside a kernel.

    Args:
        rays: `Triangles.kernel_data`.
        buffer: From `ray_buffer()`, one per thread.
        ox: Origin, x [m].
        oy: Origin, y [m].
        oz: Origin, z [m].
        dx: Direction, x; distances are in multiples of its length.
        dy: Direction, y.
        dz: Direction, z.
        near: Least distance searched.
        far: Greatest distance searched.

    Returns:
        ``(distance, triangle, u, v)``: triangle is -1 where nothing is hit; u, v are the barycentric weights of the
        triangle's second and third corner.
    """
    raise NotImplementedError("closest_hit is for compiled code; from Python use Triangles.closest")


def is_occluded(rays, buffer, ox, oy, oz, dx, dy, dz, near, far):
    """Tell from inside a kernel whether anything lies on a ray between `near` and `far`; arguments as `closest_hit`."""
    raise NotImplementedError("is_occluded is for compiled code; from Python use Triangles.occluded")


@overload(closest_hit)
def _closest_hit(rays, buffer, ox, oy, oz, dx, dy, dz, near, far):
    if isinstance(rays, types.Integer):
        # Embree reads single precision: rounded here, one compiled variant serves all callers.
        return lambda rays, buffer, ox, oy, oz, dx, dy, dz, near, far: embree_closest(
            *(rays, buffer, np.float32(ox), np.float32(oy), np.float32(oz)),
            *(np.float32(dx), np.float32(dy), np.float32(dz), np.float32(near), np.float32(far)),
        )
    return lambda rays, buffer, ox, oy, oz, dx, dy, dz, near, far: bvh_closest(rays, ox, oy, oz, dx, dy, dz, near, far)


@overload(is_occluded)
def _is_occluded(rays, buffer, ox, oy, oz, dx, dy, dz, near, far):
    if isinstance(rays, types.Integer):
        return lambda rays, buffer, ox, oy, oz, dx, dy, dz, near, far: embree_occluded(
            *(rays, buffer, np.float32(ox), np.float32(oy), np.float32(oz)),
            *(np.float32(dx), np.float32(dy), np.float32(dz), np.float32(near), np.float32(far)),
        )
    return lambda rays, buffer, ox, oy, oz, dx, dy, dz, near, far: bvh_occluded(rays, ox, oy, oz, dx, dy, dz, near, far)
