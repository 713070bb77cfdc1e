"""Polygons into triangles. Walls with a notch for a door are concave, and a fan of triangles would close the door."""

import numpy as np

__all__ = ["triangulate"]


def triangulate(points: np.ndarray, polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut polygons of the same number of corners into triangles: a fan where they are convex, ears where not.

    Source of ear clipping: G. H. Meisters, "Polygons have ears", Amer. Math. Monthly 82 (1975).

    Args:
        points: ``(V, 3)`` positions.
        polygons: ``(P, n)`` indices into `points`, in order around each polygon.

    Returns:
        Corners ``(P × (n − 2), 3)`` as positions 0…n−1 within the polygon, and the polygon ``(P × (n − 2),)`` of each.
    """
    count, n = polygons.shape
    fan = np.stack([np.zeros(n - 2, np.int64), np.arange(1, n - 1), np.arange(2, n)], axis=1)
    corners = np.broadcast_to(fan, (count, n - 2, 3)).copy()
    if n > 3:
        flat = _project(points[polygons].astype(np.float64))
        for i in np.flatnonzero(~_is_convex(flat)):
            corners[i] = _clip_ears(flat[i])
    return corners.reshape(-1, 3), np.repeat(np.arange(count), n - 2)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _project(corners: np.ndarray) -> np.ndarray:
    """Drop the axis that each polygon faces most, so that ``(P, n, 2)`` runs counter-clockwise."""
    following = np.roll(corners, -1, axis=1)
    normal = np.cross(corners - corners[:, :1], following - corners[:, :1]).sum(axis=1)
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


def _clip_ears(flat: np.ndarray) -> list[tuple[int, int, int]]:
    """Cut ears off one polygon ``(n, 2)``; what is left of a tangled one is cut as a fan."""
    left = list(range(len(flat)))
    triangles: list[tuple[int, int, int]] = []
    while len(left) > 3:
        ears = [k for k in range(len(left)) if _is_ear(flat, left, k)]
        # The widest ear first avoids needles.
        best = max(ears, key=lambda k: _ear_area(flat, left, k)) if ears else 1
        triangles.append((left[best - 1], left[best], left[(best + 1) % len(left)]))
        del left[best]
    return [*triangles, (left[0], left[1], left[2])]


def _ear_area(flat: np.ndarray, left: list[int], k: int) -> float:
    a, b, c = flat[left[k - 1]], flat[left[k]], flat[left[(k + 1) % len(left)]]
    return float(_cross(b - a, c - a))


def _is_ear(flat: np.ndarray, left: list[int], k: int) -> bool:
    corners = left[k - 1], left[k], left[(k + 1) % len(left)]
    a, b, c = flat[list(corners)]
    if _cross(b - a, c - a) < 0:
        return False
    others = flat[[i for i in left if i not in corners]]
    # A corner that only touches the ear (bridges to holes repeat points) does not lie in it.
    others = others[(others != a).any(1) & (others != b).any(1) & (others != c).any(1)]
    sides = [_cross(q - p, others - p) for p, q in ((a, b), (b, c), (c, a))]
    return not bool(np.all(np.stack(sides) >= 0, axis=0).any())
