"""The edges of a scene that sound bends around: free borders of sheets, and corners that stick out.

Meshes cut an edge into pieces, and furniture and walls touch without sharing vertices. All pieces that lie on one line
are therefore gathered, and along that line, wherever the set of faces changes, the widest sector of air between two
neighbouring faces is looked for. Where it is wider than half a turn, and rays show that nothing else fills it, there is
a wedge.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from harken.errors import ConfigurationError
from harken.raytracing import closest_hit, is_occluded, kernel, ray_buffer
from harken.scene import Scene

__all__ = ["Edges"]

WELD = 5e-4
"""Vertices closer than this are one [m]."""

SAME_LINE = 2e-3
"""Distance [m], and angle [rad], up to which two pieces lie on one line."""

LEAST_BEND = np.radians(30.0)
"""Facets that meet at less than this make a curved or flat surface, not an edge [rad]."""

CLEARANCE = 0.05
"""An edge with another surface nearer than this in its air is flush with it [m]."""

LIFT = 4e-3
"""How far off an edge the probes start, outwards [m]."""

PROBES = 9
"""Directions in which the air around an edge is probed."""

FLAT = 0.02
"""Angle below which two triangles belong to one facet [rad]."""

THINNEST = 0.03
"""What is narrower than this on both sides, such as a rod, is too thin to shade anything [m]."""

STRUCTURE = ("wall", "door", "ceiling", "floor", "stairs", "railing", "column", "beam", "partition")
"""Categories whose edges are kept before those of others of the same length."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Edges:
    """Straight edges that diffract, longest and most structural first.

    Around an edge, angles are measured from its first face (0) through the air to the second (`angle`).
    """

    start: np.ndarray
    """``(n, 3)`` float64 one end [m]."""
    end: np.ndarray
    """``(n, 3)`` float64 other end [m]."""
    along: np.ndarray
    """``(n, 3)`` float64 unit vector of the first face, away from the edge and square to it."""
    normal: np.ndarray
    """``(n, 3)`` float64 unit normal of the first face, into the air."""
    second_normal: np.ndarray
    """``(n, 3)`` float64 unit normal of the second face, into the air."""
    angle: np.ndarray
    """``(n,)`` float64 exterior angle [rad]: above π, and 2π for the border of a sheet."""

    def __len__(self) -> int:
        """Return the number of edges."""
        return len(self.angle)

    @property
    def length(self) -> np.ndarray:
        """``(n,)`` lengths [m]."""
        return np.linalg.norm(self.end - self.start, axis=1)

    @property
    def axis(self) -> np.ndarray:
        """``(n, 3)`` unit vectors from start to end."""
        return (self.end - self.start) / self.length[:, None]

    @property
    def outward(self) -> np.ndarray:
        """``(n, 3)`` unit vectors from the edge into the middle of its air."""
        half = self.angle[:, None] / 2
        return self.along * np.cos(half) + self.normal * np.sin(half)

    @staticmethod
    def build(scene: Scene, *, shortest: float = 0.25, maximum: int = 400) -> "Edges":
        """Find the edges of a scene.

        Args:
            scene: The scene; faces wound outwards tell solids from thin sheets.
            shortest: Least length [m].
            maximum: Most edges that are kept: long ones first, those of walls, doors and the like counting
                double, and those of the outer hull a tenth.

        Returns:
            The edges; always the same for the same scene.

        Raises:
            ConfigurationError: A length or number is not positive.
        """
        if not (np.isfinite(shortest) and shortest > 0) or maximum < 1:
            raise ConfigurationError(
                f"Edges of at least {shortest!r} m, at most {maximum!r} of them; expected both above 0."
            )
        pieces = _pieces(scene)
        lines = _lines(pieces, shortest)
        found = [row for line in lines for row in _wedges(pieces, line, shortest)]
        return _keep_open(scene, found, shortest, maximum)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pieces:
    """Borders of single triangles that may be edges: one row per triangle and border."""

    ends: np.ndarray
    """``(m, 2, 3)`` end points, sorted along `direction` [m]."""
    direction: np.ndarray
    """``(m, 3)`` unit vectors, of a sign that does not depend on the triangle."""
    foot: np.ndarray
    """``(m, 3)`` point of the line next to the scene's centre [m]."""
    inward: np.ndarray
    """``(m, 3)`` unit vectors into the triangle, square to the border."""
    normal: np.ndarray
    """``(m, 3)`` the triangle's unit normal."""
    width: np.ndarray
    """``(m,)`` about how wide the facet is that the triangle belongs to [m]."""
    weight: np.ndarray
    """``(m,)`` how much the triangle's category counts."""


def _pieces(scene: Scene) -> _Pieces:
    """Return the borders of triangles, without those inside flat surfaces and in inner corners."""
    centre = 0.5 * (scene.bounds[0] + scene.bounds[1]).astype(np.float64)
    vertices = scene.vertices.astype(np.float64) - centre
    cells = np.round(vertices / WELD).astype(np.int64)
    _, first, welded = np.unique(cells, axis=0, return_index=True, return_inverse=True)
    faces = welded.reshape(-1)[scene.faces]
    real = (np.sort(faces, 1)[:, :-1] != np.sort(faces, 1)[:, 1:]).all(1) & (scene.areas > 1e-9)
    kept = np.flatnonzero(real)
    faces, normals = faces[kept], scene.normals[kept].astype(np.float64)
    points = vertices[first]
    corners = np.stack([faces, np.roll(faces, -1, 1)], -1).reshape(-1, 2)
    owner = np.repeat(np.arange(len(faces)), 3)
    opposite = np.roll(faces, -2, 1).reshape(-1)
    low, high = corners.min(1), corners.max(1)
    key = low * len(points) + high
    order = np.argsort(key, kind="stable")
    key, owner, opposite, low, high = key[order], owner[order], opposite[order], low[order], high[order]
    start = np.flatnonzero(np.r_[True, np.diff(key) > 0])
    count = np.diff(np.r_[start, len(key)])
    keep = np.ones(len(key), bool)
    two = start[count == 2]
    bend = _bend(points, normals, low[two], owner[two], owner[two + 1], opposite[two], opposite[two + 1])
    keep[two[bend < LEAST_BEND]] = keep[two[bend < LEAST_BEND] + 1] = False
    flat = np.abs(bend) < FLAT
    width = _facet_widths(points[faces], scene.areas[kept], owner[two][flat], owner[two + 1][flat])[owner[keep]]
    weight = np.array([2.0 if name in STRUCTURE else 1.0 for name in scene.categories])[scene.category[kept]]
    ends = points[low[keep]], points[high[keep]]
    return _oriented(*ends, points[opposite[keep]], normals[owner[keep]], width, weight[owner[keep]], centre)


def _facet_widths(corners: np.ndarray, areas: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return per triangle how wide the flat facet is that it belongs to [m]: area over diagonal.

    `corners` ``(F, 3, 3)`` and `areas` ``(F,)`` are the triangles'; `first` and `second` name pairs of one facet.
    """
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(areas), len(areas)))
    count, facet = connected_components(graph, directed=False)
    low, high = np.full((count, 3), np.inf), np.full((count, 3), -np.inf)
    np.minimum.at(low, facet, corners.min(1))
    np.maximum.at(high, facet, corners.max(1))
    width = np.bincount(facet, areas, count) / np.maximum(np.linalg.norm(high - low, axis=1), 1e-9)
    return width[facet]


def _bend(
    points: np.ndarray,
    normals: np.ndarray,
    at: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    across: np.ndarray,
    beyond: np.ndarray,
) -> np.ndarray:
    """Return by how much two faces with a common border bend [rad]: negative in inner corners of solids."""
    n, m = normals[first], normals[second]
    below_first = np.einsum("ij,ij->i", n, points[beyond] - points[at])
    below_second = np.einsum("ij,ij->i", m, points[across] - points[at])
    cosine = np.clip(np.einsum("ij,ij->i", n, m), -1.0, 1.0)
    # Where the windings disagree, either side may be the outer one: the bend is that of the sheet.
    agree = np.sign(below_first) == np.sign(below_second)
    angle = np.where(agree, np.arccos(cosine), np.arccos(-cosine))
    return np.where(agree & (below_first > 0), -angle, angle)


def _oriented(
    a: np.ndarray,
    b: np.ndarray,
    opposite: np.ndarray,
    normal: np.ndarray,
    width: np.ndarray,
    weight: np.ndarray,
    centre: np.ndarray,
) -> _Pieces:
    """Sort the ends of borders, and measure where they lie."""
    direction = b - a
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    largest = np.argmax(np.abs(direction) + np.array([2e-3, 1e-3, 0.0]), axis=1)
    turn = direction[np.arange(len(direction)), largest] < 0
    direction = np.where(turn[:, None], -direction, direction)
    ends = np.where(turn[:, None, None], np.stack([b, a], 1), np.stack([a, b], 1))
    foot = a - direction * np.einsum("ij,ij->i", a, direction)[:, None]
    inward = opposite - a
    inward -= direction * np.einsum("ij,ij->i", inward, direction)[:, None]
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-12)
    arrays = {"ends": ends + centre, "direction": direction, "foot": foot, "inward": inward, "normal": normal}
    return _Pieces(**arrays, width=width, weight=weight)


def _lines(pieces: _Pieces, shortest: float) -> list[np.ndarray]:
    """Return the pieces that lie on one line, for each line on which they reach far enough."""
    place = np.concatenate([pieces.direction, pieces.foot], 1)
    pairs = KDTree(place).query_pairs(SAME_LINE, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(len(place), len(place)))
    count, line = connected_components(graph, directed=False)
    reach = np.einsum("mij,mj->mi", pieces.ends, pieces.direction)
    low, high, widest = np.full(count, np.inf), np.full(count, -np.inf), np.zeros(count)
    np.maximum.at(widest, line, pieces.width)
    np.minimum.at(low, line, reach[:, 0])
    np.maximum.at(high, line, reach[:, 1])
    order = np.argsort(line, kind="stable")
    borders = np.searchsorted(line[order], np.arange(count + 1))
    long = np.flatnonzero((high - low >= shortest) & (widest >= THINNEST))
    return [order[borders[i] : borders[i + 1]] for i in long]


Row = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float, float]
"""Start, end, first face's direction and normal, exterior angle, and how much the category counts."""


def _wedges(pieces: _Pieces, line: np.ndarray, shortest: float) -> list[Row]:
    """Return the wedges along one line of pieces."""
    axis = pieces.direction[line[np.argmax(np.linalg.norm(np.diff(pieces.ends[line], axis=1)[:, 0], axis=1))]]
    origin = pieces.ends[line[0], 0]
    reach = (pieces.ends[line] - origin) @ axis
    marks = np.unique(np.round(reach.ravel(), 3))
    marks = marks[np.r_[True, np.diff(marks) > SAME_LINE]]
    u = pieces.inward[line[0]] - axis * (pieces.inward[line[0]] @ axis)
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    heading = np.arctan2(pieces.inward[line] @ v, pieces.inward[line] @ u) % (2 * np.pi)
    # Whether the air lies ahead of the face, turning from u to v.
    ahead = (-np.sin(heading) * (pieces.normal[line] @ u) + np.cos(heading) * (pieces.normal[line] @ v)) > 0
    rows: list[Row] = []
    for a, b in pairwise(marks):
        middle = 0.5 * (a + b)
        here = np.flatnonzero((reach[:, 0] <= middle) & (reach[:, 1] >= middle))
        sector = _widest(heading[here], ahead[here]) if len(here) else None
        if sector is None:
            continue
        first, angle = sector
        along, normal = np.cos(first) * u + np.sin(first) * v, -np.sin(first) * u + np.cos(first) * v
        weight = float((pieces.weight[line[here]] * np.minimum(pieces.width[line[here]] / 0.2, 1.0)).max())
        start, end = origin + axis * a, origin + axis * b
        if (
            rows
            and np.linalg.norm(rows[-1][1] - start) < 2 * SAME_LINE
            and abs(rows[-1][4] - angle) < 0.03
            and (rows[-1][2] @ along > 0.999)
        ):
            rows[-1] = (rows[-1][0], end, *rows[-1][2:])
        else:
            rows.append((start, end, along, normal, angle, weight))
    return [row for row in rows if np.linalg.norm(row[1] - row[0]) >= shortest]


def _widest(heading: np.ndarray, ahead: np.ndarray) -> tuple[float, float] | None:
    """Return where the widest sector of air between faces begins and how wide it is [rad], if it is an edge's."""
    order = np.argsort(heading)
    heading, ahead = heading[order], ahead[order]
    gaps = np.diff(np.r_[heading, heading[0] + 2 * np.pi])
    widest = int(np.argmax(gaps))
    angle = float(gaps[widest])
    if angle > 2 * np.pi - 0.02:
        return float(heading[widest]), 2 * np.pi
    after = (widest + 1) % len(heading)
    # Both faces turn their backs: the sector is the inside of a solid.
    inside = not ahead[widest] and ahead[after]
    return None if angle < np.pi + LEAST_BEND or inside else (float(heading[widest]), angle)


@kernel
def _probe(rays, normals, points, along, normal, angle, reach, is_open):
    """Tell for points on edges whether the air around them is free, and they do not lie inside a solid."""
    buffer = ray_buffer()
    for i in range(len(points)):
        half = 0.5 * angle[i]
        o = points[i] + LIFT * (along[i] * np.cos(half) + normal[i] * np.sin(half))
        is_open[i] = True
        backs = 0
        for p in range(PROBES):
            # A sheet's own face lies at both ends of the turn.
            theta = angle[i] * (p + 0.02) / (PROBES - 0.96)
            d = along[i] * np.cos(theta) + normal[i] * np.sin(theta)
            if is_occluded(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(CLEARANCE)):
                is_open[i] = False
                break
            _, hit, _, _ = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(reach))
            if hit >= 0 and normals[hit, 0] * d[0] + normals[hit, 1] * d[1] + normals[hit, 2] * d[2] > 0:
                backs += 1
        if 2 * backs > PROBES:
            is_open[i] = False


def _keep_open(scene: Scene, found: list[Row], shortest: float, maximum: int) -> Edges:
    """Cut from the edges what is flush with other surfaces, and keep the most important."""
    samples = [max(3, int(np.ceil(np.linalg.norm(row[1] - row[0]) / 0.15))) for row in found]
    rows = np.repeat(np.arange(len(found)), samples)
    share = np.concatenate([(np.arange(n) + 0.5) / n for n in samples]) if found else np.zeros(0)
    start, end, along, normal = (np.array([row[i] for row in found]).reshape(-1, 3) for i in range(4))
    angle, weight = (np.array([row[i] for row in found], np.float64) for i in (4, 5))
    points = start[rows] + share[:, None] * (end - start)[rows]
    is_open = np.zeros(len(points), np.bool_)
    arrays = points, along[rows], normal[rows], angle[rows]
    _probe(scene.triangles.kernel_data, scene.normals, *arrays, 0.6, is_open)
    kept, spans = [], []
    first = np.r_[0, np.cumsum(samples)].astype(int)
    for row in range(len(found)):
        length = np.linalg.norm(end[row] - start[row])
        flags = np.r_[False, is_open[first[row] : first[row + 1]], False]
        turns = np.flatnonzero(flags[1:] != flags[:-1])
        for low, high in zip(turns[::2] / samples[row], turns[1::2] / samples[row], strict=True):
            if (high - low) * length >= shortest - 1e-9:
                kept.append(row)
                spans.append((low, high))
    span = np.array(spans, np.float64).reshape(-1, 2)
    way = (end - start)[kept]
    a, b = start[kept] + span[:, :1] * way, start[kept] + span[:, 1:] * way
    importance = np.linalg.norm(b - a, axis=1) * weight[kept]
    # What lies on the box around everything is the outside of a building, unless the scene is a screen in the open.
    low, high = scene.bounds
    on_hull = [(np.abs(a - side) < 1e-3) & (np.abs(b - side) < 1e-3) for side in (low, high)]
    importance = np.where((on_hull[0] | on_hull[1]).any(1), 0.1, 1.0) * importance
    # Ties are broken by place, so that the order does not depend on that of the triangles.
    order = np.lexsort((*np.round(np.concatenate([a, b], 1), 4).T, -np.round(importance, 4)))[:maximum]
    pick = np.array(kept, np.int64)[order]
    turned = angle[pick][:, None]
    second = along[pick] * np.sin(turned) - normal[pick] * np.cos(turned)
    arrays = {"start": a[order], "end": b[order], "along": along[pick], "normal": normal[pick], "second_normal": second}
    return Edges(**{name: np.ascontiguousarray(value) for name, value in arrays.items()}, angle=angle[pick])
