"""Closed surfaces of a mesh and the points inside them, regardless of the winding of their triangles."""

from functools import cached_property

import numpy as np

from harken.raytracing import Triangles, kernel

__all__ = ["WELD", "ClosedSurfaces", "welded"]

WELD = 1e-3
"""Grid on which vertices count as one place when edges are compared [m]."""

# Oblique, so that no ray runs along walls and floors; an odd number, so that the majority decides if one ray errs.
_DIRECTIONS = np.array([[0.359, 0.851, 0.383], [-0.617, 0.467, 0.634], [0.271, -0.543, -0.795]])
_VIEWS, _PLACES, _AWAY = 16, 48, 0.02
_UNDER_THE_SKY, _ROOMY = 0.2, 4.0


@kernel
def _crosses(t, p, d):
    """Tell whether a ray from `p` along `d` meets a triangle (Möller and Trumbore, 1997)."""
    ax, ay, az = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
    bx, by, bz = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
    px, py, pz = d[1] * bz - d[2] * by, d[2] * bx - d[0] * bz, d[0] * by - d[1] * bx
    determinant = ax * px + ay * py + az * pz
    if determinant == 0.0:
        return False
    sx, sy, sz = p[0] - t[0, 0], p[1] - t[0, 1], p[2] - t[0, 2]
    u = (sx * px + sy * py + sz * pz) / determinant
    qx, qy, qz = sy * az - sz * ay, sz * ax - sx * az, sx * ay - sy * ax
    v = (d[0] * qx + d[1] * qy + d[2] * qz) / determinant
    return u >= 0.0 and v >= 0.0 and u + v <= 1.0 and (bx * qx + by * qy + bz * qz) / determinant > 0.0


@kernel
def _find_inside(triangles, start, lower, upper, points, directions, inside):
    """Count how often rays from each point cross each closed surface: an odd number means inside."""
    for k in range(len(points)):
        p = points[k]
        for c in range(len(lower)):
            if not (
                lower[c, 0] <= p[0] <= upper[c, 0]
                and lower[c, 1] <= p[1] <= upper[c, 1]
                and lower[c, 2] <= p[2] <= upper[c, 2]
            ):
                continue
            votes = 0
            for direction in directions:
                crossings = 0
                for f in range(start[c], start[c + 1]):
                    if _crosses(triangles[f], p, direction):
                        crossings += 1
                votes += crossings & 1
            inside[k, c] = 2 * votes > len(directions)


def welded(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return faces ``(F, 3)`` that index places instead of vertices; vertices within a millimetre share a place."""
    grid = np.round(vertices.astype(np.float64) / WELD).astype(np.int64)
    _, place = np.unique(grid, axis=0, return_inverse=True)
    return place.ravel()[faces]


class ClosedSurfaces:
    """The closed surfaces of a mesh: pieces joined over edges, of which every edge belongs to an even number of faces.

    Touching objects stay separate if they have separate vertices or instance numbers.

    Args:
        vertices: ``(V, 3)`` positions [m].
        faces: ``(F, 3)`` indices into them.
        instance: ``(F,)`` number of the thing that each face belongs to; all the same by default.
    """

    def __init__(self, vertices: np.ndarray, faces: np.ndarray, instance: np.ndarray | None = None):
        places = welded(vertices, faces)
        together = np.zeros(len(faces), np.int64)
        apart = together if instance is None else np.unique(instance, return_inverse=True)[1].astype(np.int64)
        left = np.flatnonzero(
            (places[:, 0] != places[:, 1]) & (places[:, 1] != places[:, 2]) & (places[:, 2] != places[:, 0])
        )
        self.piece, self.count = np.full(len(faces), -1, np.int64), 0
        for corners, group in ((faces, apart), (places, apart), (places, together)):
            piece = _closed_pieces(corners[left], group[left])
            self.piece[left] = np.where(piece >= 0, piece + self.count, -1)
            self.count = max(self.count, int(self.piece.max(initial=-1)) + 1)
            left = left[piece < 0]
        order = np.argsort(self.piece, kind="stable")
        order = order[self.piece[order] >= 0]
        self._triangles = vertices[faces[order]].astype(np.float64)
        self._start = np.searchsorted(self.piece[order], np.arange(self.count + 1))

    count: int
    """How many closed surfaces there are."""
    piece: np.ndarray
    """``(F,)`` int64 number of the closed surface that each face belongs to, -1 for none."""

    @cached_property
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest corners ``(count, 3)`` of the surfaces' boxes [m]."""
        if not self.count:
            return np.empty((0, 3)), np.empty((0, 3))
        least, greatest = self._triangles.min(1), self._triangles.max(1)
        return np.minimum.reduceat(least, self._start[:-1]), np.maximum.reduceat(greatest, self._start[:-1])

    @cached_property
    def volumes(self) -> np.ndarray:
        """``(count,)`` volumes [m³], negative where most faces look inwards."""
        if not self.count:
            return np.empty(0)
        middle = np.repeat(0.5 * (self.bounds[0] + self.bounds[1]), np.diff(self._start), axis=0)
        a, b, c = (self._triangles[:, k] - middle for k in range(3))
        return np.add.reduceat(np.einsum("ij,ij->i", a, np.cross(b, c)) / 6.0, self._start[:-1])

    def contain(self, points: np.ndarray) -> np.ndarray:
        """Tell which surfaces ``(n, count)`` points ``(n, 3)`` lie inside [m]."""
        inside = np.zeros((len(points), self.count), np.bool_)
        points = np.ascontiguousarray(points, np.float64)
        _find_inside(self._triangles, self._start, *self.bounds, points, _DIRECTIONS, inside)
        return inside

    def outsides(self, surface: int) -> np.ndarray:
        """Return points ``(n, 3)`` close to a surface on its outer side [m], spread over its faces."""
        triangles = self._triangles[self._start[surface] : self._start[surface + 1]]
        normals = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        areas = np.linalg.norm(normals, axis=1)
        shares = (np.arange(_PLACES) + 0.5) / _PLACES * areas.sum()
        triangle = np.searchsorted(np.cumsum(areas), shares).clip(0, len(areas) - 1)
        offset = _AWAY * normals[triangle] / areas[triangle, None]
        middles = triangles[triangle].mean(1)
        both = np.concatenate([middles + offset, middles - offset])
        return both[~self.contain(both)[:, surface]]

    def tell_air(
        self, triangles: Triangles, inside: np.ndarray, weight: np.ndarray, in_the_open: float
    ) -> tuple[np.ndarray, str]:
        """Return which enclosed places are in the air and which are inside solids.

        Going inwards from the open air, each closed surface leads from air into a solid or from a solid into air. The
        first one leads into air (it is a room as a box) where it stands under the open sky and there are places
        between it and what it holds, and it looks inwards, or holds other things, or the open has no more room than it.

        Args:
            triangles: The triangles of the mesh, to cast rays at.
            inside: ``(n, count)`` which surfaces each place lies inside.
            weight: ``(n,)`` area that each place stands for [m²].
            in_the_open: Area under the open sky [m²].

        Returns:
            ``(n,)`` bool, true for air, and a description of how it was decided.
        """
        depth = inside.sum(1)
        sizes = np.prod(self.bounds[1] - self.bounds[0], axis=1)
        outermost = np.array([np.where(row, sizes, -1.0).argmax() if row.any() else -1 for row in inside], np.int64)
        shells = [
            k
            for k in np.unique(outermost[outermost >= 0]).tolist()
            if self._is_room(triangles, k, float(weight[(outermost == k) & (depth == 1)].sum()), in_the_open)
        ]
        if not self.count:
            return (
                depth == 0,
                "neither fronts nor closed surfaces tell which side is air; all under a roof is taken for it",
            )
        words = "the fronts of surfaces do not tell which side is air; closed surfaces do"
        for k in shells:
            size = " × ".join(f"{value:.2f}" for value in self.bounds[1][k] - self.bounds[0][k])
            way = "outwards" if self.volumes[k] > 0 else "inwards"
            words += f"; the one of {size} m, whose faces look {way}, is taken for a room"
        return (depth - np.isin(outermost, shells)) % 2 == 0, words

    def _is_room(self, triangles: Triangles, k: int, within: float, in_the_open: float) -> bool:
        """Whether an outermost closed surface is a room and not a solid object; `within` is its floor area [m²]."""
        outside = self.outsides(k)
        if within <= 0.0 or not len(outside):
            return False
        views = _sphere(_VIEWS)
        starts = np.repeat(outside, len(views), axis=0)
        _, triangle, _ = triangles.closest(starts, np.tile(views, (len(outside), 1)))
        if float((triangle < 0).mean()) < _UNDER_THE_SKY:
            return False
        lower, upper = self.bounds
        remaining = np.arange(self.count) != k
        holds = remaining & (lower >= lower[k]).all(1) & (upper <= upper[k]).all(1) & (upper - lower > 0.1).any(1)
        roof = float(np.prod((upper[k] - lower[k])[[0, 2]]))
        is_furnished = bool(holds.any()) and within >= _ROOMY
        return bool(self.volumes[k] < 0 or is_furnished or within >= in_the_open - roof)


def _sphere(count: int) -> np.ndarray:
    """Unit vectors ``(count, 3)`` float32 all around, on a spiral."""
    k = np.arange(count) + 0.5
    y, turn = 1.0 - 2.0 * k / count, k * np.pi * (3.0 - np.sqrt(5.0))
    radius = np.sqrt(1.0 - y * y)
    return np.stack([radius * np.cos(turn), y, radius * np.sin(turn)], 1).astype(np.float32)


def _closed_pieces(faces: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Number the closed pieces: ``(F,)`` int64, -1 for faces of open ones.

    Faces of one group ``(F,)`` are joined over edges that exactly two of them share; where more meet, things touch.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(faces):
        return np.empty(0, np.int64)
    ends = np.sort(np.concatenate([faces[:, [k, (k + 1) % 3]] for k in range(3)]).astype(np.int64), axis=1)
    owner = np.tile(np.arange(len(faces)), 3)
    key = ends @ np.array([faces.max() + 1, 1], np.int64)
    key = key * (group.max() + 1) + group[owner]
    _, edge, uses = np.unique(key, return_inverse=True, return_counts=True)
    order = np.argsort(edge, kind="stable")
    first = np.cumsum(uses)[uses == 2] - 2
    pairs = owner[order[first]], owner[order[first + 1]]
    graph = coo_array((np.ones(len(first), np.bool_), pairs), shape=(len(faces), len(faces)))
    count, piece = connected_components(graph, directed=False)
    own = piece[owner].astype(np.int64) * (edge.max() + 1) + edge
    _, where, uses = np.unique(own, return_index=True, return_counts=True)
    is_open = np.zeros(count, np.bool_)
    is_open[piece[owner[where[uses % 2 == 1]]]] = True
    number = np.where(is_open, -1, np.cumsum(~is_open) - 1)
    return number[piece]
