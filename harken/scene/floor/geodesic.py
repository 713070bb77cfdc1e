"""Geodesic distance: the shortest way over a walkable floor, round corners and up stairs.

Any-angle propagation. Nodes are settled in the order of their distance, as by Dijkstra. Each inherits its neighbour's
*root*, the last corner of the way to the goal, and its distance is the straight line to the root plus the root's own
distance. Where the root is out of sight, the node looks for another root among its settled neighbours, or a new one is
set at the corner (lazy Theta*; Nash, Koenig and Tovey, AAAI 2010). Corners are moved onto the edge of the floor, so
that distances are those of taut strings and not of lattice paths.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harken.errors import NavigationError
from harken.raytracing import borrowed, kernel
from harken.scene.floor.grid import (
    COLUMN,
    CORNER,
    TOLERANCE,
    FloorGrid,
    corners_of,
    line_of_sight,
    locate,
    look,
    margin_at,
    margin_slope,
    pull_to_edge,
    surface_height,
    walk_to_quad,
)
from harken.scene.floor.islands import neighbour
from harken.scene.floor.lengths import lengths_to_goals, surface_length

__all__ = ["DistanceField", "Path", "coordinates", "figure_text", "point_text", "propagate"]

Point = np.ndarray | Sequence[float]

_CORNER_MARGIN = 2e-3
_STRIDES, _FINEST = 48, 0.25
_BENDS = 8
_WORTH_A_STRING = 1e-3
# Where the neighbours of a node are, in the order of `neighbour`.
_EAST_OF = (1.0, 0.0, -1.0, 0.0, 1.0, -1.0, -1.0, 1.0)
_SOUTH_OF = (0.0, 1.0, 0.0, -1.0, 1.0, 1.0, -1.0, -1.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Path:
    """A way over the floor."""

    points: np.ndarray
    """``(n, 3)`` float64 way points from start to goal [m], both included."""
    length: float
    """Its length [m], as `DistanceField.distance` measures it."""


@kernel
def _push(keys, items, count, key, item):
    """Add to a binary heap with room to spare."""
    k = count
    while k > 0:
        parent = (k - 1) >> 1
        if keys[parent] <= key:
            break
        keys[k], items[k] = keys[parent], items[parent]
        k = parent
    keys[k], items[k] = key, item
    return count + 1


@kernel
def _pop(keys, items, count):
    """Remove the least of a binary heap; it is then at position `count` - 1."""
    top_key, top_item = keys[0], items[0]
    count -= 1
    key, item = keys[count], items[count]
    k = 0
    while True:
        child = 2 * k + 1
        if child >= count:
            break
        if child + 1 < count and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[k], items[k] = keys[child], items[child]
        k = child
    keys[k], items[k] = key, item
    keys[count], items[count] = top_key, top_item
    return count


@kernel
def _grow(array):
    larger = np.empty((2 * len(array), *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


@kernel
def _node_place(grid, n):
    """Lattice coordinates and height [m] of a node."""
    column = grid.node[n, COLUMN]
    return float(column % grid.nx), float(column // grid.nx), grid.y0 + np.float64(grid.value[n, 1])


@kernel
def _to_root(grid, root, u, v, height):
    """Distance by way of a root [m]: the straight line to it, height included, and on from there."""
    du, dv, dy = (root[0] - u) * grid.cell, (root[1] - v) * grid.cell, root[2] - height
    return root[3] + np.sqrt(du * du + dv * dv + dy * dy)


@kernel
def _sees(grid, quad, u, v, root):
    return line_of_sight(grid, quad, u, v, root[0], root[1], root[2])


@kernel
def _along_edge(grid, quad, u, v, to_u, to_v, stride):
    """Go along the edge of the floor, to the side on which (to_u, to_v) lies; quad -1 where the edge ends."""
    slope_u, slope_v = margin_slope(grid, quad, u, v)
    length = np.sqrt(slope_u**2 + slope_v**2)
    if length == 0.0:
        return -1, u, v
    along_u, along_v = -slope_v / length, slope_u / length
    towards = along_u * (to_u - u) + along_v * (to_v - v)
    signed = stride if towards > 0.0 else -stride
    u, v = u + signed * along_u, v + signed * along_v
    quad = walk_to_quad(grid, quad, u, v)
    return pull_to_edge(grid, quad, u, v, _CORNER_MARGIN) if quad >= 0 else (-1, u, v)


@kernel
def _retreat(grid, quad, u, v, root):
    """Follow the edge of the floor towards a root to a point that the root sees; quad -1 where none is."""
    for _ in range(_STRIDES):
        if quad < 0 or _sees(grid, quad, u, v, root):
            return quad, u, v
        quad, u, v = _along_edge(grid, quad, u, v, root[0], root[1], 1.0)
    return -1, u, v


@kernel
def _advance(grid, quad, u, v, root, end):
    """Follow the edge towards a place to the last point that the root sees, or the first that the place sees."""
    end_u, end_v, end_height = end
    stride = 1.0
    for _ in range(_STRIDES):
        if line_of_sight(grid, quad, u, v, end_u, end_v, end_height):
            break
        to_quad, to_u, to_v = _along_edge(grid, quad, u, v, end_u, end_v, stride)
        if to_quad >= 0 and _sees(grid, to_quad, to_u, to_v, root):
            too_far = line_of_sight(grid, to_quad, to_u, to_v, end_u, end_v, end_height)
            if not too_far or stride <= _FINEST:
                quad, u, v = to_quad, to_u, to_v
                continue
        if stride <= _FINEST:
            break
        stride *= 0.5
    return quad, u, v


@kernel
def _set_root(grid, corners, k, quad, u, v, before):
    """Fill row k of `corners` with a root at (u, v) whose way leads on to the root `before`."""
    height = surface_height(grid, quad, u, v)
    corners[k, 0], corners[k, 1], corners[k, 2] = u, v, height
    corners[k, 3] = _to_root(grid, before, u, v, height)


@kernel
def _pull_string(grid, quad, end, root, corners):
    """Lay a taut string round the edge of the floor from a root to a place that does not see it.

    The search starts on the edge where the view from the place ends. Round a curved edge several corners follow each
    other.

    Args:
        grid: The floor.
        quad: Quad of the place, or the node that it is.
        end: The place: lattice coordinates and height [m].
        root: ``(4,)`` the root.
        corners: ``(_BENDS, 4)`` filled with new roots, each the way of the next.

    Returns:
        The number of corners, 0 where no way was found.
    """
    u, v, _ = end
    share, quad_at = look(grid, quad, u, v, root[0], root[1])
    at_u, at_v = u + share * (root[0] - u), v + share * (root[1] - v)
    if grid.node[quad_at, CORNER] < 0:
        return 0
    quad_at, at_u, at_v = pull_to_edge(grid, quad_at, at_u, at_v, _CORNER_MARGIN)
    quad_at, at_u, at_v = _retreat(grid, quad_at, at_u, at_v, root)
    before = root
    for k in range(_BENDS):
        if quad_at < 0:
            return 0
        quad_at, at_u, at_v = _advance(grid, quad_at, at_u, at_v, before, end)
        if k > 0 and at_u == before[0] and at_v == before[1]:
            return 0
        _set_root(grid, corners, k, quad_at, at_u, at_v, before)
        before = corners[k]
        if _sees(grid, quad, u, v, before):
            return k + 1
    return 0


@kernel
def _place_corners(grid, s, n, ancestor, roots, parent, count):
    """Add the corners on the way from node `n` to the root `ancestor`, which its neighbour `s` sees and it does not.

    If no taut string is found, the corner is `s` itself.

    Returns:
        The number of roots; `count` where no way was found.
    """
    end = _node_place(grid, n)
    bends = _pull_string(grid, n, end, roots[ancestor], roots[count : count + _BENDS])
    if bends == 0:
        at_u, at_v, _ = _node_place(grid, s)
        _set_root(grid, roots, count, s, at_u, at_v, roots[ancestor])
        if _sees(grid, n, end[0], end[1], roots[count]):
            bends = 1
    for k in range(count, count + bends):
        parent[k] = ancestor if k == count else k - 1
    return count + bends


@kernel
def _inherit(grid, n, settled, root, roots, failed):
    """Best root among those of the settled neighbours of a node that the node sees: ``(distance, root)``."""
    u, v, height = _node_place(grid, n)
    best, best_root = np.inf, -1
    for k in range(8):
        s = neighbour(grid, n, k)
        if s < 0 or not settled[s] or root[s] == failed or root[s] == best_root:
            continue
        offered = _to_root(grid, roots[root[s]], u, v, height)
        if offered < best and _sees(grid, n, u, v, roots[root[s]]):
            best, best_root = offered, root[s]
    return best, best_root


@kernel
def _nearest_settled(grid, n, settled, distance):
    """Settled neighbour over which the lattice way from a node is shortest: ``(distance, neighbour)``."""
    u, v, height = _node_place(grid, n)
    best, through = np.inf, -1
    for k in range(8):
        s = neighbour(grid, n, k)
        if s >= 0 and settled[s]:
            at_u, at_v, at_height = _node_place(grid, s)
            step = np.sqrt(((at_u - u) ** 2 + (at_v - v) ** 2) * grid.cell**2 + (at_height - height) ** 2)
            if distance[s] + step < best:
                best, through = distance[s] + step, s
    return best, through


@kernel
def _seed(grid, goals, roots, parent, distance, root, keys, items):
    """Make each goal a root and offer it to the walkable corners of its quad."""
    count = waiting = 0
    for g in range(len(goals)):
        quad, u, v = locate(grid, goals[g, 0], goals[g, 1], goals[g, 2])
        roots[g, 0], roots[g, 1], roots[g, 2], roots[g, 3] = u, v, surface_height(grid, quad, u, v), 0.0
        parent[g] = -1
        count += 1
        for corner in corners_of(grid, quad):
            at_u, at_v, height = _node_place(grid, corner)
            offered = _to_root(grid, roots[g], at_u, at_v, height)
            if grid.value[corner, 0] >= 0.0 and offered < distance[corner]:
                distance[corner], root[corner] = offered, g
                waiting = _push(keys, items, waiting, offered, corner)
    return count, waiting


@kernel
def _offer_on(grid, n, settled, failed, distance, root, state, roots, keys, items, waiting):
    """Offer a settled node's root to its neighbours; returns how many nodes wait."""
    u, v, _ = _node_place(grid, n)
    for k in range(8):
        m = neighbour(grid, n, k)
        if m < 0 or settled[m] or failed[m] == root[n]:
            continue
        at_height = grid.y0 + np.float64(grid.value[m, 1])
        offered = _to_root(grid, roots[root[n]], u + _EAST_OF[k], v + _SOUTH_OF[k], at_height)
        if offered < distance[m]:
            distance[m], root[m], state[m] = offered, root[n], 0
            waiting = _push(keys, items, waiting, offered, m)
    return waiting


@kernel
def _corners_to_settle(grid, until, wanted):
    """Mark the walkable corners of a quad, -1 for none, in ``wanted (N,)``, and return how many they are."""
    left = 0
    if until >= 0:
        for corner in corners_of(grid, until):
            if grid.value[corner, 0] >= 0.0:
                wanted[corner] = True
                left += 1
    return left


@kernel
def propagate(grid, goals, until):
    """Settle every node that can be reached, or those that are nearer than a place.

    Args:
        grid: The floor.
        goals: ``(n, 3)`` points on it [m].
        until: The quad of a place from which the way is asked for, and no other: once its corners are settled, nothing
            that the way depends on changes. -1 to settle all nodes.

    Returns:
        ``distance (N,)`` float64 (inf where unreachable; not final where not settled), ``root (N,)`` int32 (-1 there),
        the roots ``(R, 4)`` (lattice coordinates, height, distance) and each one's parent ``(R,)`` int32 (-1 for a
        goal).
    """
    grid = borrowed(grid)
    nodes = len(grid.node)
    distance, root = np.full(nodes, np.inf), np.full(nodes, -1, np.int32)
    failed, state = np.full(nodes, -1, np.int32), np.zeros(nodes, np.uint8)
    settled = np.zeros(nodes, np.bool_)
    roots, parent = np.empty((len(goals) + 256, 4)), np.empty(len(goals) + 256, np.int32)
    keys, items = np.empty(4 * len(goals) + 1024), np.empty(4 * len(goals) + 1024, np.int32)
    count, waiting = _seed(grid, goals, roots, parent, distance, root, keys, items)
    wanted = np.zeros(nodes, np.bool_)
    left = _corners_to_settle(grid, until, wanted)
    while waiting > 0:
        waiting = _pop(keys, items, waiting)
        n = items[waiting]
        if settled[n] or keys[waiting] > distance[n]:
            continue
        u, v, height = _node_place(grid, n)
        if state[n] == 0 and not _sees(grid, n, u, v, roots[root[n]]):
            failed[n] = root[n]
            best, best_root = _inherit(grid, n, settled, root, roots, failed[n])
            bound, through = _nearest_settled(grid, n, settled, distance)
            if bound < best:
                if count + _BENDS > len(roots):
                    roots, parent = _grow(roots), _grow(parent)
                after = _place_corners(grid, through, n, root[through], roots, parent, count)
                if after > count:
                    count = after
                    offered = _to_root(grid, roots[count - 1], u, v, height)
                    if offered < best:
                        best, best_root = offered, count - 1
            distance[n], root[n], state[n] = best, best_root, 1
            if best_root >= 0:
                if waiting + 1 >= len(keys):
                    keys, items = _grow(keys), _grow(items)
                waiting = _push(keys, items, waiting, best, n)
            continue
        settled[n] = True
        if wanted[n]:
            left -= 1
            if left == 0:
                break
        if waiting + 9 >= len(keys):
            keys, items = _grow(keys), _grow(items)
        waiting = _offer_on(grid, n, settled, failed, distance, root, state, roots, keys, items, waiting)
    return distance, root, roots[:count].copy(), parent[:count].copy()


@kernel
def _best_visible(grid, root, roots, parent, quad, place):
    """Best root that a place sees among those of its quad's corners and their parents: ``(distance, root)``."""
    u, v, height = place
    best, best_root = np.inf, -1
    for corner in corners_of(grid, quad):
        r = root[corner]
        if r < 0:
            continue
        for candidate in (parent[r], r):
            if candidate >= 0 and candidate != best_root:
                offered = _to_root(grid, roots[candidate], u, v, height)
                if offered < best and _sees(grid, quad, u, v, roots[candidate]):
                    best, best_root = offered, candidate
    return best, best_root


@kernel
def _over_a_corner(grid, distance, root, quad, place):
    """Best way over one of the quad's corners: ``(distance, root, corner)``."""
    best, best_root, best_corner = np.inf, -1, -1
    for corner in corners_of(grid, quad):
        if root[corner] >= 0:
            u, v, height = _node_place(grid, corner)
            du, dv, dy = (u - place[0]) * grid.cell, (v - place[1]) * grid.cell, height - place[2]
            offered = distance[corner] + np.sqrt(du * du + dv * dv + dy * dy)
            if offered < best:
                best, best_root, best_corner = offered, root[corner], corner
    return best, best_root, best_corner


@kernel
def _look_up(grid, distance, root, roots, parent, x, y, z):
    """Best way from a point.

    A point next to the edge of the floor may see none of the roots of its quad's corners, or a better one may be just
    out of sight: then a taut string is laid, and if that fails, the way leads over a corner of the quad.

    Returns:
        ``(quad, u, v, distance, root, corners)``: the rows of `corners` come between the root and the point. The quad
        is -1 off the floor, the distance inf where no way leads to a goal.
    """
    quad, u, v = locate(grid, x, y, z)
    corners = np.empty((0, 4))
    if quad < 0 or not margin_at(grid, quad, u, v) >= -TOLERANCE:
        return -1, u, v, np.nan, -1, corners
    place = (u, v, surface_height(grid, quad, u, v))
    best, best_root = _best_visible(grid, root, roots, parent, quad, place)
    previous = -1
    for corner in corners_of(grid, quad):
        r = root[corner]
        if r < 0 or r == previous or _to_root(grid, roots[r], u, v, place[2]) > best - _WORTH_A_STRING:
            continue
        previous, string = r, np.empty((_BENDS, 4))
        bends = _pull_string(grid, quad, place, roots[r], string)
        if bends > 0 and _to_root(grid, string[bends - 1], u, v, place[2]) < best:
            best, best_root = _to_root(grid, string[bends - 1], u, v, place[2]), r
            corners = string[:bends]
    if best_root < 0:
        best, best_root, corner = _over_a_corner(grid, distance, root, quad, place)
        if corner >= 0:
            corners = np.empty((1, 4))
            corners[0, 0], corners[0, 1], corners[0, 2] = _node_place(grid, corner)
            corners[0, 3] = distance[corner]
    return quad, u, v, best, best_root, corners


@kernel
def _distance_at(grid, distance, root, roots, parent, slopes, x, y, z):
    """Distance from one point: NaN off the floor.

    `slopes` holds averaged heights and the lengths from every root along them, both empty on a level floor.
    """
    quad, u, v, best, best_root, corners = _look_up(grid, distance, root, roots, parent, x, y, z)
    heights, lengths = slopes
    if len(heights) == 0 or quad < 0 or best_root < 0:
        return best
    length = lengths[best_root]
    for k in range(len(corners) - 1, -1, -1):
        at_u, at_v, height = corners[k, 0], corners[k, 1], corners[k, 2]
        length += surface_length(grid, heights, quad, u, v, at_u, at_v)
        onward, _, _ = locate(grid, grid.x0 + at_u * grid.cell, height, grid.z0 + at_v * grid.cell)
        quad, u, v = onward if onward >= 0 else quad, at_u, at_v
    return length + surface_length(grid, heights, quad, u, v, roots[best_root, 0], roots[best_root, 1])


@kernel
def _way_from(grid, distance, root, roots, parent, x, y, z):
    """Points ``(n, 3)`` of the way from a point of the floor, and its length in straight lines."""
    quad, u, v, _, first, corners = _look_up(grid, distance, root, roots, parent, x, y, z)
    count, r = 1 + len(corners), first
    while r >= 0:
        count, r = count + 1, parent[r]
    points = np.empty((count, 3))
    points[0, 0], points[0, 1], points[0, 2] = u, surface_height(grid, quad, u, v), v
    for k in range(len(corners)):
        corner = corners[len(corners) - 1 - k]
        points[k + 1, 0], points[k + 1, 1], points[k + 1, 2] = corner[0], corner[2], corner[1]
    k, r = 1 + len(corners), first
    while r >= 0:
        points[k, 0], points[k, 1], points[k, 2] = roots[r, 0], roots[r, 2], roots[r, 1]
        k, r = k + 1, parent[r]
    length = 0.0
    for k in range(count):
        points[k, 0], points[k, 2] = grid.x0 + points[k, 0] * grid.cell, grid.z0 + points[k, 2] * grid.cell
        if k > 0:
            x, y, z = points[k, 0] - points[k - 1, 0], points[k, 1] - points[k - 1, 1], points[k, 2] - points[k - 1, 2]
            length += np.sqrt(x * x + y * y + z * z)
    return points, length


@kernel
def _distances_at(grid, distance, root, roots, parent, slopes, points, result):
    """Distances from many points into `result`."""
    grid, distance, root = borrowed(grid), borrowed(distance), borrowed(root)
    roots, parent, slopes = borrowed(roots), borrowed(parent), borrowed(slopes)
    for k in range(len(points)):
        p = points[k]
        result[k] = _distance_at(grid, distance, root, roots, parent, slopes, p[0], p[1], p[2])


def coordinates(point: Point) -> tuple[float, float, float]:
    """Return the coordinates of a place ``(3,)`` [m], which need not be finite.

    Raises:
        NavigationError: The place is not three numbers.
    """
    try:
        array = np.asarray(point)
    except (TypeError, ValueError, OverflowError):
        array = np.empty(0)
    if array.shape != (3,) or array.dtype.kind not in "iuf":
        raise NavigationError(f"The point {point!r:.80} is not a place: expected three coordinates [m].")
    x, y, z = array.tolist()
    return float(x), float(y), float(z)


def figure_text(value: float) -> str:
    """Return a length as text: centimetres, or three digits where it is very large."""
    return f"{value:.2f}" if abs(value) < 1e6 else f"{value:.3g}"


def point_text(point: Point) -> str:
    """Return a place as text."""
    return f"({', '.join(figure_text(float(value)) for value in point)})"


class DistanceField:
    """Distances over a floor to the nearest of one or more goals; made by `WalkableFloor.distance_field`.

    On a level floor a distance is the length of the straight lines from way point to way point, height included; on one
    that climbs it is measured along the surface (`harken.scene.floor.lengths`). The way itself is the shortest by the
    straight lines in both.

    Args:
        grid: The floor.
        goals: ``(n, 3)`` points on it [m].
        heights: ``(N,)`` averaged heights of a floor that is not level [m].
        settled: What `propagate` returned for these goals.
    """

    def __init__(
        self,
        grid: FloorGrid,
        goals: np.ndarray,
        heights: np.ndarray | None = None,
        *,
        settled: tuple[np.ndarray, ...],
    ):
        self.grid, self.goals = grid, goals
        self._field = settled
        heights = np.empty(0) if heights is None else heights
        lengths = lengths_to_goals(grid, heights, *self._field[2:]) if len(heights) else np.empty(0)
        self._slopes = heights, lengths

    def __repr__(self) -> str:
        """Say where it leads."""
        goals = ", ".join(point_text(goal) for goal in self.goals[:3])
        more = f" and {len(self.goals) - 3} more" if len(self.goals) > 3 else ""
        return f"<DistanceField to {goals}{more}>"

    goals: np.ndarray
    """``(n, 3)`` float64 points at distance 0 [m]."""

    @property
    def size(self) -> int:
        """Memory that the field takes [bytes]."""
        return sum(array.nbytes for array in self._field)

    def distance(self, point: Point) -> float:
        """Return the distance from a point ``(3,)`` of the floor [m], inf where no way leads to a goal.

        Raises:
            NavigationError: The point is not on the floor.
        """
        x, y, z = coordinates(point)
        length = _distance_at(self.grid, *self._field, self._slopes, x, y, z)
        if math.isnan(length):
            raise NavigationError(
                f"The point {point_text(point)} is not on the floor. Use WalkableFloor.snap to go there."
            )
        return length

    def distances(self, points: np.ndarray) -> np.ndarray:
        """Return the distances ``(n,)`` float64 from points ``(n, 3)`` [m]: inf without a way, NaN off the floor.

        Raises:
            NavigationError: The points have another shape.
        """
        points = np.ascontiguousarray(points, np.float64)
        if points.ndim != 2 or points.shape[1] != 3:
            raise NavigationError(f"The points have shape {points.shape}; expected (n, 3).")
        result = np.empty(len(points))
        _distances_at(self.grid, *self._field, self._slopes, points, result)
        return result

    def path(self, point: Point) -> Path:
        """Return the shortest way from a point ``(3,)`` of the floor to the nearest goal.

        Raises:
            NavigationError: The point is not on the floor, or no way leads to a goal.
        """
        length = self.distance(point)
        if not math.isfinite(length):
            raise NavigationError(
                f"No way leads from {point_text(point)} to a goal: they are on different islands of the floor."
            )
        x, y, z = coordinates(point)
        points, straight = _way_from(self.grid, *self._field, x, y, z)
        return Path(points=points, length=length if len(self._slopes[0]) else straight)
