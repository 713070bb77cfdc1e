"""Polygons into triangles. Walls with a notch for a door are concave, and a fan of triangles would close the door."""

import numpy as np

__all__ = ["triangulate"]


def triangulate(points: np.ndarray, polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Cut polygons of the same number of corners into triangles: a fan where they are convex, ears where not.

    Ears are clipped by mapbox_earcut along a space-filling curve, so that thousands of corners take milliseconds.
    Source of ear clipping: G. H. Meisters, "Polygons have ears", Amer. Math. Monthly 82 (1975).

    Args:
        points: ``(V, 3)`` positions.
        polygons: ``(P, n)`` indices into `points`, in order around each polygon.

    Returns:
        Corners ``(T, 3)`` as positions 0…n−1 within the polygon, and the polygon ``(T,)`` of each, polygons in order.
        T is P × (n − 2), or less where corners lie on a straight line or in one place. The last value is the number of
        self-intersecting polygons, whose triangles cover a different area.
    """
    count, n = polygons.shape
    fan = np.stack([np.zeros(n - 2, np.int64), np.arange(1, n - 1), np.arange(2, n)], axis=1)
    if n == 3:
        return np.tile(fan, (count, 1)), np.arange(count), 0
    flat = _project(points[polygons].astype(np.float64))
    convex = _is_convex(flat)
    if convex.all():
        return np.tile(fan, (count, 1)), np.repeat(np.arange(count), n - 2), 0
    from mapbox_earcut import triangulate_float64

    end = np.array([n], np.uint32)
    corners = [
        fan if convex[i] else triangulate_float64(flat[i], end).astype(np.int64).reshape(-1, 3) for i in range(count)
    ]
    tangled = sum(not _covers(flat[i], corners[i]) for i in np.flatnonzero(~convex))
    return np.concatenate(corners), np.repeat(np.arange(count), [len(part) for part in corners]), tangled


def _covers(flat: np.ndarray, corners: np.ndarray) -> bool:
    """Whether triangles have the area of their polygon together."""
    a, b, c = (flat[corners[:, i]] for i in range(3))
    area = 0.5 * _cross(flat, np.roll(flat, -1, axis=0)).sum()
    return bool(abs(0.5 * np.abs(_cross(b - a, c - a)).sum() - area) <= 1e-6 * abs(area) + 1e-9)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _project(corners: np.ndarray) -> np.ndarray:
    """Drop the axis that each polygon faces most, so that ``(P, n, 2)`` runs counter-clockwise."""
    corners = corners - corners[:, :1]
    following = np.roll(corners, -1, axis=1)
    normal = np.cross(corners, following).sum(axis=1)
    axis = np.abs(normal).argmax(axis=1)
    rows = np.arange(len(corners))
    flat = np.stack(
        [corners[rows, :, (axis + 1) % 3], corners[rows, :, (axis + 2) % 3]],
        axis=-1,
    )
    flat[..., 0] *= np.where(normal[rows, axis] < 0, -1.0, 1.0)[:, None]
    return flat


def _is_convex(flat: np.ndarray) -> np.ndarray:
    before, after = flat - np.roll(flat, 1, axis=1), np.roll(flat, -1, axis=1) - flat
    scale = np.ptp(flat, axis=1).max(axis=1)[:, None] ** 2
    return (_cross(before, after) >= -1e-9 * scale).all(axis=1)
