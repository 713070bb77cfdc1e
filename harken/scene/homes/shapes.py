"""The shapes that furniture is put together from.

A furniture's own frame: x to the right, y up from its lowest point, z forward from its back at z = 0. Every closed
shape has its normals outwards. Curved shapes get more triangles with the square root of `detail` in each direction, so
that their number grows with `detail`.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from harken.scene.homes.palette import Finish

__all__ = ["Part", "ball", "box", "cylinder", "facing_quad", "lathe", "panel", "rod", "sheets", "soft_box", "strips"]

Point = tuple[float, float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A piece of surface of one finish."""

    vertices: np.ndarray
    """``(v, 3)`` float64 positions [m]."""
    faces: np.ndarray
    """``(f, 3)`` int32 indices, counter-clockwise seen from outside."""
    finish: Finish
    """What it is made of and looks like."""
    uv: np.ndarray | None = None
    """``(v, 2)`` texture coordinates, 1 for a whole image; None lays the texture on in metres, face by face."""


@lru_cache(maxsize=256)
def _cube(divisions: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Lattice coordinates ``(v, 3)`` and faces of a cube divided along x, y and z."""
    points, faces, count = [], [], 0
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        nu, nv = divisions[u], divisions[v]
        grid = np.stack(np.meshgrid(np.arange(nu + 1), np.arange(nv + 1), indexing="ij"), -1).reshape(-1, 2)
        quads = _grid_faces(nu, nv)
        for end in (0, divisions[axis]):
            side = np.zeros((len(grid), 3), np.int64)
            side[:, u], side[:, v], side[:, axis] = grid[:, 0], grid[:, 1], end
            points.append(side)
            faces.append((quads if end else quads[:, ::-1]) + count)
            count += len(grid)
    return np.concatenate(points), np.concatenate(faces).astype(np.int32)


@lru_cache(maxsize=256)
def _grid_faces(nu: int, nv: int) -> np.ndarray:
    """Faces of a grid of ``(nu + 1) × (nv + 1)`` vertices, counter-clockwise seen against u × v."""
    i, j = (axis.ravel() for axis in np.meshgrid(np.arange(nu), np.arange(nv), indexing="ij"))
    a, b, c, d = i * (nv + 1) + j, (i + 1) * (nv + 1) + j, (i + 1) * (nv + 1) + j + 1, i * (nv + 1) + j + 1
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int32)


def _steps(base: float, detail: float) -> int:
    return max(1, round(base * detail**0.5))


def box(finish: Finish, lower: Point, upper: Point, detail: float = 1.0) -> Part:
    """Return a box between two corners."""
    n = _steps(1, detail)
    lattice, faces = _cube((n, n, n))
    low = np.array(lower)
    return Part(vertices=low + lattice * ((np.array(upper) - low) / n), faces=faces, finish=finish)


def soft_box(finish: Finish, lower: Point, upper: Point, radius: float, detail: float = 1.0, puff: float = 0.0) -> Part:
    """Return a box with rounded edges, swollen in the middle of its faces where `puff` says so.

    Args:
        finish: What it is made of.
        lower: Least corner of the box that bounds it [m].
        upper: Greatest corner of the box that bounds it [m].
        radius: Radius of its edges [m], at most half the shortest side.
        detail: Factor on the number of triangles.
        puff: Share of the half thickness along y by which the rim is thinner than the middle, 0–1 (a pillow).
    """
    arc = _steps(1.2, detail)
    lattice, faces = _cube((2 * arc + 1,) * 3)
    low, high = np.array(lower), np.array(upper)
    half = (high - low) / 2
    # A little less than half the shortest side, so that no face between two rounded edges is without area.
    radius = min(radius, 0.96 * float(half.min()))
    offsets = radius * np.tan(np.pi / 4 * np.arange(arc + 1) / arc)
    core = half - radius
    steps = np.concatenate([-offsets[::-1], offsets])
    cube = steps[lattice] + np.where(lattice > arc, core, -core)
    inner = np.clip(cube, -core, core)
    outward = cube - inner
    length = np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-12)
    points = inner + outward / length * radius
    if puff:
        rim = np.maximum(np.abs(points[:, 0]) / half[0], np.abs(points[:, 2]) / half[2])
        points[:, 1] *= 1 - puff * rim**2
    return Part(vertices=points + (low + high) / 2, faces=faces, finish=finish)


def lathe(
    finish: Finish, base: Point, profile: list[tuple[float, float]], detail: float = 1.0, sides: int = 12
) -> Part:
    """Return a body of revolution about a vertical axis.

    Args:
        finish: What it is made of.
        base: Point of the axis at height 0 of the profile [m].
        profile: (radius, height) from the bottom to the top along the outside, and back down inside a vessel [m].
        detail: Factor on the number of triangles.
        sides: Number of sides at detail 1.
    """
    count = max(5, _steps(sides, detail))
    rows = np.array(profile, np.float64)
    angles = 2 * np.pi * np.arange(count + 1) / count
    ring = np.stack([np.cos(angles), np.zeros(count + 1), -np.sin(angles)], 1)
    ring[-1] = ring[0]
    points = ring[:, None] * rows[None, :, :1] + np.array([0.0, 1.0, 0.0]) * rows[None, :, 1:]
    faces = _grid_faces(count, len(rows) - 1)
    keep = np.ones((count, len(rows) - 1, 2), bool)
    keep[:, rows[:-1, 0] == 0, 0] = False
    keep[:, rows[1:, 0] == 0, 1] = False
    faces = faces[np.concatenate([keep[..., 0].ravel(), keep[..., 1].ravel()])]
    return Part(vertices=points.reshape(-1, 3) + np.array(base), faces=faces, finish=finish)


def cylinder(finish: Finish, base: Point, radius: float, height: float, detail: float = 1.0, sides: int = 10) -> Part:
    """Return an upright closed cylinder."""
    return lathe(finish, base, [(0.0, 0.0), (radius, 0.0), (radius, height), (0.0, height)], detail, sides)


def rod(finish: Finish, start: Point, end: Point, radius: float, detail: float = 1.0, sides: int = 8) -> Part:
    """Return a closed cylinder between any two points."""
    a, b = np.array(start), np.array(end)
    length = float(np.linalg.norm(b - a))
    upright = cylinder(finish, (0, 0, 0), radius, length, detail, sides)
    axis = (b - a) / length
    helper = np.array([1.0, 0.0, 0.0]) if abs(axis[0]) < 0.9 else np.array([0.0, 0.0, 1.0])
    side = np.cross(helper, axis)
    side /= np.linalg.norm(side)
    frame = np.stack([side, axis, np.cross(side, axis)])
    return Part(vertices=upright.vertices @ frame + a, faces=upright.faces, finish=finish)


def ball(finish: Finish, center: Point, radii: Point, detail: float = 1.0, sides: int = 12) -> Part:
    """Return an ellipsoid with its axes along x, y and z."""
    rows = max(3, _steps(sides * 0.6, detail))
    angles = np.pi * np.arange(rows + 1) / rows
    profile = [(float(np.sin(a)) if 0 < i < rows else 0.0, float(-np.cos(a))) for i, a in enumerate(angles)]
    unit = lathe(finish, (0, 0, 0), profile, detail, sides)
    return Part(vertices=unit.vertices * np.array(radii) + np.array(center), faces=unit.faces, finish=finish)


def panel(finish: Finish, lower: tuple[float, float], upper: tuple[float, float], z: float) -> Part:
    """Return an upright rectangle facing +z that shows its texture once (a picture, a screen)."""
    (x0, y0), (x1, y1) = lower, upper
    points = np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)])
    uv = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])
    return Part(vertices=points, faces=np.array([(0, 1, 2), (0, 2, 3)], np.int32), finish=finish, uv=uv)


def strips(finish: Finish, points: np.ndarray) -> Part:
    """Return thin sheets, each a ribbon of quadrilaterals (leaves).

    Args:
        finish: What they are made of.
        points: ``(sheets, rows, 2, 3)`` left and right border of each ribbon [m].
    """
    count, rows = points.shape[:2]
    faces = _grid_faces(rows - 1, 1)
    offsets = np.arange(count, dtype=np.int32)[:, None, None] * (2 * rows)
    return Part(vertices=points.reshape(-1, 3), faces=(faces[None] + offsets).reshape(-1, 3), finish=finish)


def sheets(finish: Finish, points: np.ndarray, thickness: float) -> Part:
    """Return a closed cloth: a grid of points with a back at a distance along −z.

    Args:
        finish: What it is made of.
        points: ``(nu, nv, 3)`` front of the cloth; u to the right, v up [m].
        thickness: Distance of the back [m].
    """
    nu, nv = points.shape[:2]
    front = _grid_faces(nu - 1, nv - 1)
    index = np.arange(nu * nv).reshape(nu, nv)
    rim = np.concatenate([index[:-1, 0], index[-1, :-1], index[:0:-1, -1], index[0, :0:-1]])
    after = np.roll(rim, -1)
    back = nu * nv
    sides = np.concatenate([np.stack([rim + back, after + back, after], 1), np.stack([rim + back, after, rim], 1)])
    vertices = np.concatenate([points.reshape(-1, 3), points.reshape(-1, 3) - np.array([0.0, 0.0, thickness])])
    faces = np.concatenate([front, front[:, ::-1] + back, sides]).astype(np.int32)
    return Part(vertices=vertices, faces=faces, finish=finish)


def facing_quad(finish: Finish, corners: np.ndarray, facing: np.ndarray) -> Part:
    """Return rectangles turned so that their normals point along `facing`.

    Args:
        finish: What they are made of.
        corners: ``(m, 4, 3)`` corners in order around each rectangle [m].
        facing: ``(3,)`` direction.
    """
    corners = np.asarray(corners, np.float64).reshape(-1, 4, 3)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) @ np.asarray(facing, np.float64)
    corners = np.where((normal < 0)[:, None, None], corners[:, ::-1], corners)
    quads = np.array([(0, 1, 2), (0, 2, 3)], np.int32)
    faces = (quads[None] + 4 * np.arange(len(corners), dtype=np.int32)[:, None, None]).reshape(-1, 3)
    return Part(vertices=corners.reshape(-1, 3), faces=faces, finish=finish)
