"""Rectilinear outlines: from cells of the lattice to polygons, and from polygons to rectangles."""

from itertools import pairwise

import numpy as np

__all__ = ["clear_area", "inset", "rectangles", "trace"]


def trace(cells: np.ndarray) -> np.ndarray | None:
    """Walk around a connected set of cells.

    Args:
        cells: ``(nx, nz)`` bool: which unit squares of the lattice belong to it.

    Returns:
        ``(n, 2)`` int64 corners in x and z with the inside on the left of each edge (counter-clockwise in the x–z
        plane); None if the set has a hole, falls apart, or touches itself at a corner.
    """
    padded = np.pad(cells, 1)
    following: dict[tuple[int, int], tuple[int, int]] = {}
    for (i, k), (j, m) in _directed_edges(padded):
        if (i, k) in following:
            return None
        following[i, k] = (j, m)
    start = min(following)
    loop, at = [start], following[start]
    while at != start:
        loop.append(at)
        at = following[at]
    if len(loop) != len(following):
        return None
    points = np.array(loop)
    before, after = points - np.roll(points, 1, 0), np.roll(points, -1, 0) - points
    return points[(before != after).any(1)]


def _directed_edges(padded: np.ndarray) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Unit edges around the cells of a padded mask, the inside on the left."""
    edges = []
    for i, k in np.argwhere(padded[1:-1, 1:-1]).tolist():
        if not padded[i + 1, k]:
            edges.append(((i, k), (i + 1, k)))
        if not padded[i + 2, k + 1]:
            edges.append(((i + 1, k), (i + 1, k + 1)))
        if not padded[i + 1, k + 2]:
            edges.append(((i + 1, k + 1), (i, k + 1)))
        if not padded[i, k + 1]:
            edges.append(((i, k + 1), (i, k)))
    return edges


def inset(polygon: np.ndarray, distance: float) -> np.ndarray:
    """Move every edge of a rectilinear polygon inwards (outwards for a negative distance).

    Args:
        polygon: ``(n, 2)`` corners, the inside on the left.
        distance: How far [m].

    Returns:
        ``(n, 2)`` float64 corners.
    """
    points = np.asarray(polygon, np.float64)
    along = np.sign(np.roll(points, -1, 0) - points)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    return points + distance * (normal + np.roll(normal, 1, 0))


def clear_area(polygon: np.ndarray) -> float:
    """Area [m²] of a polygon by the shoelace formula."""
    x, z = np.asarray(polygon, np.float64).T
    return 0.5 * abs(float(np.dot(x, np.roll(z, -1)) - np.dot(z, np.roll(x, -1))))


def rectangles(polygon: np.ndarray, *, outside: bool = False) -> np.ndarray:
    """Cut a rectilinear polygon into rectangles.

    Args:
        polygon: ``(n, 2)`` corners in x and z.
        outside: Return what the polygon leaves of its bounding box instead.

    Returns:
        ``(m, 4)`` float64 rows (least x, least z, greatest x, greatest z), joined along z where possible.
    """
    points = np.asarray(polygon, np.float64)
    xs, zs = np.unique(points[:, 0]), np.unique(points[:, 1])
    boxes = []
    for x0, x1 in pairwise(xs.tolist()):
        crossings = _crossings(points, 0.5 * (x0 + x1))
        spans = list(zip(crossings[::2], crossings[1::2], strict=True))
        if outside:
            bounds = [zs[0], *crossings, zs[-1]]
            spans = [(a, b) for a, b in zip(bounds[::2], bounds[1::2], strict=True) if b > a]
        boxes += [(x0, z0, x1, z1) for z0, z1 in spans]
    return np.array(boxes).reshape(-1, 4)


def _crossings(points: np.ndarray, x: float) -> list[float]:
    """Where a line of constant x crosses the edges along x, in ascending z."""
    following = np.roll(points, -1, 0)
    crossed = (points[:, 0] < x) != (following[:, 0] < x)
    return sorted(points[crossed, 1].tolist())
