"""Rays against triangles: Embree called from compiled code."""

from harken.raytracing.borrowing import aligned_buffer, borrowed
from harken.raytracing.jit import cache_folder, kernel
from harken.raytracing.kernels import closest_hit, is_occluded, ray_buffer
from harken.raytracing.triangles import Triangles

__all__ = [
    "Triangles",
    "aligned_buffer",
    "borrowed",
    "cache_folder",
    "closest_hit",
    "is_occluded",
    "kernel",
    "ray_buffer",
]
