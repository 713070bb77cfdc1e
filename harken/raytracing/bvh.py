"""The built-in tree, for platforms without Embree (placeholder to be completed)."""

from harken.raytracing.jit import kernel

__all__ = ["build", "bvh_closest", "bvh_occluded"]


def build(vertices, faces):
    raise NotImplementedError


@kernel
def bvh_closest(rays, ox, oy, oz, dx, dy, dz, near, far):
    return far, -1, 0.0, 0.0


@kernel
def bvh_occluded(rays, ox, oy, oz, dx, dy, dz, near, far):
    return False
