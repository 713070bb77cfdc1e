"""The edges of a scene that diffract sound: free borders of sheets, and convex corners.

Meshes cut an edge into pieces, and furniture and walls touch without sharing vertices. All pieces that lie on one line
are therefore gathered, and along that line, wherever the set of faces changes, the widest sector of air between two
neighbouring faces is looked for. If it is wider than half a turn, and rays confirm that it is free, it is a wedge.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

from harken.errors import ConfigurationError
from harken.raytracing import borrowed, closest_hit, kernel, ray_buffer
from harken.scene import Scene
from harken.scene.doors import leaf_mesh, vacated

__all__ = ["Edges"]

WELD = 5e-4
"""Vertices closer than this count as one [m]."""

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
"""Objects narrower than this on both sides, such as rods, are too thin to cast a shadow [m]."""

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
        stretches = _wedges(pieces, _lines(pieces, shortest), shortest)
        return _keep_open(scene, stretches, shortest, maximum)

    def with_leaves(self, scene: Scene, *, shortest: float = 0.25) -> tuple["Edges", np.ndarray]:
        """Return the edges of a scene into which leaves of doors were put, from those of the bare scene.

        Edges of leaves that rest there no more go, those next to leaves are looked at again, and the leaves' own are
        added.

        Args:
            scene: The scene; these are the edges of ``scene.bare``.
            shortest: Least length [m].

        Returns:
            The edges, and ``(n,)`` int64 which of the bare scene's each of them is, -1 where it is another.
        """
        middle = 0.5 * (self.start + self.end)
        stays = np.ones(len(self), bool)
        for low, high in vacated(scene):
            stays &= ~((middle >= low) & (middle <= high)).all(1)
        points = np.stack([self.start + share * (self.end - self.start) for share in np.linspace(0.0, 1.0, 9)])
        near = np.zeros(len(self), bool)
        for leaf in scene.leaves:
            near |= leaf.contains(points.reshape(-1, 3), wider=2 * CLEARANCE).reshape(9, -1).any(0)
        kept, again = np.flatnonzero(stays & ~near), np.flatnonzero(stays & near)
        own = Edges.build(_alone(scene), shortest=shortest) if scene.leaves else self.pick(again[:0])
        parts = [self.pick(again), own]
        every = _Rows(
            start=np.concatenate([part.start for part in parts]),
            end=np.concatenate([part.end for part in parts]),
            along=np.concatenate([part.along for part in parts]),
            normal=np.concatenate([part.normal for part in parts]),
            angle=np.concatenate([part.angle for part in parts]),
            weight=np.ones(sum(map(len, parts))),
            line=np.arange(sum(map(len, parts))),
        )
        other = _keep_open(scene, every, shortest, len(every.line) * 8 + 1)
        both = {name: np.concatenate([getattr(self.pick(kept), name), getattr(other, name)]) for name in vars(self)}
        return Edges(**both), np.concatenate([kept, np.full(len(other), -1)])

    def pick(self, rows: np.ndarray) -> "Edges":
        """Return some of the edges."""
        return Edges(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def _alone(scene: Scene) -> Scene:
    """Return a scene's leaves without anything around them."""
    meshes = [leaf_mesh(leaf) for leaf in scene.leaves]
    faces = np.concatenate([faces + 8 * number for number, (_, faces) in enumerate(meshes)])
    return Scene(
        vertices=np.concatenate([vertices for vertices, _ in meshes]) - scene.origin,
        faces=faces,
        materials=(scene.leaves[0].door.material,),
        material=np.zeros(len(faces), np.int32),
        categories=("unknown", "door"),
        category=np.ones(len(faces), np.int32),
    )


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
    """``(m,)`` approximate width of the facet that the triangle belongs to [m]."""
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
    pick = np.flatnonzero(real)
    faces, normals = faces[pick], scene.normals[pick].astype(np.float64)
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
    width = _facet_widths(points[faces], scene.areas[pick], owner[two][flat], owner[two + 1][flat])[owner[keep]]
    weight = np.array([2.0 if name in STRUCTURE else 1.0 for name in scene.categories])[scene.category[pick]]
    ends = points[low[keep]], points[high[keep]]
    return _oriented(*ends, points[opposite[keep]], normals[owner[keep]], width, weight[owner[keep]], centre)


def _facet_widths(corners: np.ndarray, areas: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return per triangle the width of the flat facet that it belongs to [m]: area over diagonal.

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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Wedges, and stretches of lines that may be parts of one: a row each."""

    start: np.ndarray
    """``(n, 3)`` one end [m]."""
    end: np.ndarray
    """``(n, 3)`` other end [m]."""
    along: np.ndarray
    """``(n, 3)`` unit vector of the first face, away from the edge."""
    normal: np.ndarray
    """``(n, 3)`` unit normal of the first face."""
    angle: np.ndarray
    """``(n,)`` exterior angle [rad]."""
    weight: np.ndarray
    """``(n,)`` how much the category counts."""
    line: np.ndarray
    """``(n,)`` number of the line."""

    def pick(self, rows: np.ndarray) -> "_Rows":
        """Return some of the rows."""
        return _Rows(**{name: getattr(self, name)[rows] for name in self.__dataclass_fields__})


def _wedges(pieces: _Pieces, lines: list[np.ndarray], shortest: float) -> _Rows:
    """Return the wedges along lines of pieces, line by line."""
    sizes = np.array([len(line) for line in lines], np.int64)
    parts = [_stretches(pieces, np.zeros((0, 1), np.int64), np.zeros(0, np.int64))]
    for size in np.unique(sizes):
        numbers = np.flatnonzero(sizes == size)
        parts.append(_stretches(pieces, np.stack([lines[i] for i in numbers]), numbers))
    every = _Rows(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in _Rows.__dataclass_fields__})
    every = every.pick(np.argsort(every.line, kind="stable"))
    joined = _joined(every)
    return joined.pick(np.flatnonzero(_norms(joined.end - joined.start) >= shortest))


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return ``(n, k)`` products of vectors ``(n, k, 3)`` with one vector ``(n, 3)`` each."""
    return (a @ b[:, :, None])[:, :, 0]


def _norms(a: np.ndarray) -> np.ndarray:
    """Return the lengths of vectors ``(n, 3)``."""
    return np.sqrt(_dots(a[:, None], a)[:, 0])


def _stretches(pieces: _Pieces, lines: np.ndarray, numbers: np.ndarray) -> _Rows:
    """Return the stretches between the ends of pieces that have a wedge, for lines ``(n, k)`` of as many pieces."""
    ends, inward = pieces.ends[lines], pieces.inward[lines]
    longest = np.argmax(np.linalg.norm(ends[:, :, 1] - ends[:, :, 0], axis=2), axis=1)
    axis = pieces.direction[lines[np.arange(len(lines)), longest]]
    origin = ends[:, 0, 0]
    reach = ((ends - origin[:, None, None]) @ axis[:, None, :, None])[..., 0]
    u = inward[:, 0] - axis * _dots(inward[:, :1], axis)
    u /= _norms(u)[:, None]
    v = np.cross(axis, u)
    heading = np.arctan2(_dots(inward, v), _dots(inward, u)) % (2 * np.pi)
    # Whether the air lies ahead of the face, turning from u to v.
    normal = pieces.normal[lines]
    ahead = (-np.sin(heading) * _dots(normal, u) + np.cos(heading) * _dots(normal, v)) > 0
    counts = pieces.weight[lines] * np.minimum(pieces.width[lines] / 0.2, 1.0)
    row, a, b = _between_marks(reach)
    middle = 0.5 * (a + b)
    here = (reach[row, :, 0] <= middle[:, None]) & (reach[row, :, 1] >= middle[:, None])
    first, angle = _widest(heading[row], ahead[row], here)
    pick = np.flatnonzero(angle > 0)
    row, a, b, first = row[pick], a[pick], b[pick], first[pick]
    sine, cosine = np.sin(first)[:, None], np.cos(first)[:, None]
    return _Rows(
        start=origin[row] + axis[row] * a[:, None],
        end=origin[row] + axis[row] * b[:, None],
        along=cosine * u[row] + sine * v[row],
        normal=-sine * u[row] + cosine * v[row],
        angle=angle[pick],
        weight=np.where(here[pick], counts[row], -np.inf).max(1),
        line=numbers[row],
    )


def _between_marks(reach: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return line, begin and end of all stretches along lines whose pieces ``(n, k, 2)`` begin and end somewhere."""
    marks = np.sort(np.round(reach.reshape(len(reach), 2 * reach.shape[1]), 3), axis=1)
    distinct = np.ones(marks.shape, bool)
    distinct[:, 1:] = np.diff(marks, axis=1) > SAME_LINE
    row, column = np.nonzero(distinct)
    value = marks[row, column]
    onward = np.flatnonzero(row[1:] == row[:-1])
    return row[onward], value[onward], value[onward + 1]


def _joined(rows: _Rows) -> _Rows:
    """Join stretches of a line that follow each other and are of one wedge."""
    firsts: list[int] = []
    last: list[int] = []
    for i in range(len(rows.line)):
        if firsts and rows.line[i] == rows.line[firsts[-1]]:
            before = firsts[-1]
            if (
                math.dist(rows.end[last[-1]], rows.start[i]) < 2 * SAME_LINE
                and abs(rows.angle[before] - rows.angle[i]) < 0.03
                and rows.along[before] @ rows.along[i] > 0.999
            ):
                last[-1] = i
                continue
        firsts.append(i)
        last.append(i)
    return replace(rows.pick(np.array(firsts, np.int64)), end=rows.end[np.array(last, np.int64)])


def _widest(heading: np.ndarray, ahead: np.ndarray, here: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the widest sectors of air between faces begin, and how wide they are [rad]: 0 if no edge's.

    Only the faces ``(n, k)`` marked in `here` count.
    """
    count = here.sum(1)
    rows = np.arange(len(here))
    masked = np.where(here, heading, np.inf)
    order = np.argsort(masked, axis=1, kind="stable")
    ranked = np.take_along_axis(masked, order, 1)
    ties = (ranked[:, 1:] == ranked[:, :-1]) & (ranked[:, 1:] < np.inf)
    for i in np.flatnonzero(ties.any(1)):
        # The order of faces in the same direction can matter, so these rows are sorted separately.
        present = np.flatnonzero(here[i])
        order[i, : len(present)] = present[np.argsort(heading[i, present])]
    heading, ahead = np.take_along_axis(masked, order, 1), np.take_along_axis(ahead, order, 1)
    last = np.maximum(count - 1, 0)
    follow = np.concatenate([heading[:, 1:], np.full((len(rows), 1), np.inf)], 1)
    follow[rows, last] = heading[:, 0] + 2 * np.pi
    with np.errstate(invalid="ignore"):
        gaps = np.where(np.arange(heading.shape[1]) <= last[:, None], follow - heading, -np.inf)
    widest = np.argmax(gaps, axis=1)
    angle, first = gaps[rows, widest], heading[rows, widest]
    after = (widest + 1) % np.maximum(count, 1)
    # Both faces turn their backs: the sector is the inside of a solid.
    inside = ~ahead[rows, widest] & ahead[rows, after]
    sheet = angle > 2 * np.pi - 0.02
    none = ~sheet & ((angle < np.pi + LEAST_BEND) | inside)
    angle = np.where(sheet, 2 * np.pi, angle)
    return first, np.where(none | (count == 0), 0.0, angle)


@kernel
def _probe(rays, normals, points, along, normal, angle, reach, is_open):
    """Set `is_open` for points on edges: whether the air around them is free and they do not lie inside a solid."""
    buffer, o, d = ray_buffer(), np.empty(3), np.empty(3)
    points, along, normal, normals = borrowed(points), borrowed(along), borrowed(normal), borrowed(normals)
    for i in range(len(points)):
        half = 0.5 * angle[i]
        for axis in range(3):
            o[axis] = points[i, axis] + LIFT * (along[i, axis] * np.cos(half) + normal[i, axis] * np.sin(half))
        is_open[i] = True
        backs = 0
        for p in range(PROBES):
            # A sheet's own face lies at both ends of the turn.
            theta = angle[i] * (p + 0.02) / (PROBES - 0.96)
            for axis in range(3):
                d[axis] = along[i, axis] * np.cos(theta) + normal[i, axis] * np.sin(theta)
            near, hit, _, _ = closest_hit(rays, buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, np.float32(reach))
            if hit >= 0 and near <= CLEARANCE:
                is_open[i] = False
                break
            if hit >= 0 and normals[hit, 0] * d[0] + normals[hit, 1] * d[1] + normals[hit, 2] * d[2] > 0:
                backs += 1
        if 2 * backs > PROBES:
            is_open[i] = False


def _keep_open(scene: Scene, stretches: _Rows, shortest: float, maximum: int) -> Edges:
    """Remove the parts of edges that are flush with other surfaces, and keep the most important edges."""
    start, end, along, normal, angle, weight = (
        stretches.start,
        stretches.end,
        stretches.along,
        stretches.normal,
        stretches.angle,
        stretches.weight,
    )
    length = _norms(end - start)
    samples = np.maximum(3, np.ceil(length / 0.15).astype(np.int64))
    first = np.r_[0, np.cumsum(samples)]
    rows = np.repeat(np.arange(len(samples)), samples)
    share = (np.arange(first[-1]) - first[rows] + 0.5) / samples[rows]
    points = start[rows] + share[:, None] * (end - start)[rows]
    is_open = np.zeros(len(points), np.bool_)
    arrays = points, along[rows], normal[rows], angle[rows]
    _probe(scene.triangles.kernel_data, scene.normals, *arrays, 0.6, is_open)
    # A span begins and ends where a run of open samples does, within one row.
    opens = is_open & np.r_[True, ~is_open[:-1] | (rows[1:] != rows[:-1])][: len(rows)]
    closes = is_open & np.r_[~is_open[1:] | (rows[1:] != rows[:-1]), True][: len(rows)]
    begin, stop = np.flatnonzero(opens), np.flatnonzero(closes) + 1
    parents = rows[begin]
    span = np.stack([begin - first[parents], stop - first[parents]], 1) / samples[parents][:, None]
    long = (span[:, 1] - span[:, 0]) * length[parents] >= shortest - 1e-9
    parents, span = parents[long], span[long]
    way = (end - start)[parents]
    a, b = start[parents] + span[:, :1] * way, start[parents] + span[:, 1:] * way
    importance = np.linalg.norm(b - a, axis=1) * weight[parents]
    # What lies on the box around everything is the outside of a building, unless the scene is a screen in the open.
    low, high = scene.bounds
    on_hull = [(np.abs(a - side) < 1e-3) & (np.abs(b - side) < 1e-3) for side in (low, high)]
    importance = np.where((on_hull[0] | on_hull[1]).any(1), 0.1, 1.0) * importance
    # Ties are broken by place, so that the order does not depend on that of the triangles.
    order = np.lexsort((*np.round(np.concatenate([a, b], 1), 4).T, -np.round(importance, 4)))[:maximum]
    pick = parents[order]
    turned = angle[pick][:, None]
    second = along[pick] * np.sin(turned) - normal[pick] * np.cos(turned)
    arrays = {"start": a[order], "end": b[order], "along": along[pick], "normal": normal[pick], "second_normal": second}
    return Edges(**{name: np.ascontiguousarray(value) for name, value in arrays.items()}, angle=angle[pick])
