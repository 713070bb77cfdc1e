"""Where light is sampled on triangles: a triangular grid on each, as fine as the triangle is large.

A triangle with `n` intervals per edge has (n + 1)(n + 2)/2 grid points; the point (i, j) has the barycentric weights
i/n and j/n for the second and the third corner. Points that coincide and face the same way, on neighbouring triangles,
are one sample.
"""

from dataclasses import dataclass

import numpy as np

from harken.raytracing import kernel
from harken.scene.scene import Scene

__all__ = ["LightGrid", "interpolate_light", "light_grid"]

_FINEST = 0.16
_MOST_INTERVALS = 96
_SMOOTH = 0.8  # cosine: facets that meet at less than about 37° are shaded as one curved surface


@dataclass(frozen=True, kw_only=True, eq=False)
class LightGrid:
    """The samples of a scene and how triangles refer to them."""

    intervals: np.ndarray
    """``(F,)`` int32: intervals per edge of each triangle."""
    start: np.ndarray
    """``(F,)`` int32: where a triangle's grid points begin in `sample`."""
    sample: np.ndarray
    """``(K,)`` int32: the sample that each grid point uses."""
    positions: np.ndarray
    """``(S, 3)`` float32: places of the samples, drawn in a little from the triangles' edges [m]."""
    normals: np.ndarray
    """``(S, 3)`` float32: unit normals of the samples."""


def light_grid(scene: Scene, most: int = 150_000) -> LightGrid:
    """Spread samples over a scene.

    Args:
        scene: The scene.
        most: Largest number of grid points on triangles with more than their three corners; the grid is made coarser to
            keep to it.

    Returns:
        The grid; the same scene gives the same bytes.
    """
    corners = scene.vertices[scene.faces]
    edges = np.linalg.norm(corners - np.roll(corners, 1, 1), axis=2).max(1)
    width = 2.0 * scene.areas / np.maximum(edges, 1e-9)
    spacing = _FINEST
    while True:
        # The mean of a triangle's two dimensions, since a sliver does not need as many rows as columns.
        size = np.sqrt(edges * np.minimum(np.maximum(width, spacing), edges))
        intervals = np.clip(np.ceil(size / spacing), 1, _MOST_INTERVALS).astype(np.int32)
        points = (intervals + 1) * (intervals + 2) // 2
        if points[intervals > 1].sum() <= most:
            break
        spacing *= 1.25
    start = np.cumsum(points, dtype=np.int64) - points
    places, positions = np.empty((points.sum(), 3), np.float32), np.empty((points.sum(), 3), np.float32)
    normals = np.empty((points.sum(), 3), np.float32)
    _place(corners, _corner_normals(scene, corners), scene.normals, intervals, start, places, positions, normals)
    first, sample = _coinciding(places, normals)
    return LightGrid(
        intervals=intervals,
        start=start.astype(np.int32),
        sample=sample,
        positions=positions[first],
        normals=normals[first],
    )


def _coinciding(places: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find points on the same millimetre that face the same way: the first of each kind, and the kind of each point."""
    rounded = np.concatenate([np.round(places * 1000), np.round(normals * 8)], 1).astype(np.int64).view(np.uint64)
    key = np.zeros(len(places), np.uint64)
    for column in rounded.T:
        key = (key ^ column) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(29)
    _, first, kind = np.unique(key, return_index=True, return_inverse=True)
    # Numbering in order of occurrence keeps neighbours together in memory, which is better for the cache.
    order = np.argsort(first)
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(len(order))
    return first[order], number[kind]


def _corner_normals(scene: Scene, corners: np.ndarray) -> np.ndarray:
    """``(F, 3, 3)`` normals at corners: of the facets around, weighted by area, where they bend only little."""
    _, vertex = _coinciding(corners.reshape(-1, 3), np.zeros((3 * len(corners), 3), np.float32))
    weighted = np.repeat(scene.normals * scene.areas[:, None], 3, axis=0)
    total = np.stack([np.bincount(vertex, weighted[:, k]) for k in range(3)], 1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    mean = (total / np.where(length > 0, length, 1.0)).astype(np.float32)[vertex].reshape(-1, 3, 3)
    own = scene.normals[:, None]
    return np.where((mean * own).sum(2, keepdims=True) > _SMOOTH, mean, own)


@kernel
def _place(corners, corner_normals, facet_normals, intervals, start, places, positions, normals):
    for f in range(len(corners)):
        n, k = intervals[f], start[f]
        centre = (corners[f, 0] + corners[f, 1] + corners[f, 2]) / np.float32(3.0)
        for i in range(n + 1):
            for j in range(n + 1 - i):
                b, c = np.float32(i / n), np.float32(j / n)
                a = np.float32(1.0) - b - c
                places[k] = a * corners[f, 0] + b * corners[f, 1] + c * corners[f, 2]
                inward = centre - places[k]
                length = np.sqrt(inward[0] ** 2 + inward[1] ** 2 + inward[2] ** 2)
                # A sample exactly where floor and wall meet would see into the next room.
                share = min(np.float32(0.1), np.float32(0.02) / max(length, np.float32(1e-6)))
                positions[k] = places[k] + inward * share
                if n == 1:
                    normals[k] = corner_normals[f, 1 if i == 1 else (2 if j == 1 else 0)]
                else:
                    normals[k] = facet_normals[f]
                k += 1


@kernel(inline="always")
def _entry(n, i, j):
    return i * (n + 1) - i * (i - 1) // 2 + j


@kernel(inline="always")
def interpolate_light(intervals, start, sample, values, triangle, side, u, v):
    """Return the light ``(red, green, blue)`` on one side of a triangle, linear between the grid's points."""
    n = intervals[triangle]
    x, y = max(u, np.float32(0.0)) * n, max(v, np.float32(0.0)) * n
    limit = n - np.float32(1e-4)
    if x + y > limit:
        x, y = x * (limit / (x + y)), y * (limit / (x + y))
    i, j = int(x), int(y)
    fx, fy = x - np.float32(i), y - np.float32(j)
    base = start[triangle]
    right, below = sample[base + _entry(n, i + 1, j)], sample[base + _entry(n, i, j + 1)]
    if fx + fy <= 1.0:
        apex, a, b, c = sample[base + _entry(n, i, j)], np.float32(1.0) - fx - fy, fx, fy
    else:
        apex = sample[base + _entry(n, i + 1, j + 1)]
        a, b, c = fx + fy - np.float32(1.0), np.float32(1.0) - fy, np.float32(1.0) - fx
    red = a * values[apex, side, 0] + b * values[right, side, 0] + c * values[below, side, 0]
    green = a * values[apex, side, 1] + b * values[right, side, 1] + c * values[below, side, 1]
    blue = a * values[apex, side, 2] + b * values[right, side, 2] + c * values[below, side, 2]
    return red, green, blue
