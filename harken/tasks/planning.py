"""Ways over a map that a body has drawn: what is unknown counts as free.

A planner surveys the map from where the body stands, says where a way leads, and names the next action of the way to a
place. Bodies that move freely go straight where nothing known is in the way, and else along shortest paths on the grid
(Dijkstra 1959), pulled taut; bodies on a grid go from node to node with the fewest actions.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harken.checks import wrapped_angle
from harken.raytracing import kernel
from harken.sim import BodySettings
from harken.tasks.mapping import OCCUPIED, GeometricMap, Numeric, cells_clear
from harken.tasks.walk import Action

__all__ = ["FreePlanner", "GridPlanner", "Planner", "make_planner"]

WINDOW = 6.0
"""How far around the body ways may lead, unless more is asked for [m]."""

SLACK = 0.05
"""How much nearer than its radius a body may be to the centre of an occupied cell [m], half a cell of the usual size;
and how much farther it keeps where there is room."""

FARTHEST = 10
"""Steps ahead, back, left and right within which ways on a grid are looked for."""


class Planner(Protocol):
    """Finds ways on a map. Places are metres ahead and to the left of the start; a pose has the angle turned, too."""

    def survey(self, shown: GeometricMap, pose: Numeric) -> None:
        """Find the ways from a pose to all places around."""
        ...

    def is_reachable(self, places: np.ndarray) -> np.ndarray:
        """Return ``(n,)`` whether a way leads from the surveyed pose to places ``(n, 2)``."""
        ...

    def lengths(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the ways from the surveyed pose to places ``(n, 2)`` [m], inf for none."""
        ...

    def action(self, shown: GeometricMap, pose: Numeric, place: Numeric) -> Action | None:
        """Return the next action to a place; None where the body has reached it or no way leads there."""
        ...


def make_planner(body: BodySettings, window: float = WINDOW) -> Planner:
    """Return the planner of a body.

    Args:
        body: How it moves.
        window: How far around it ways may lead [m].
    """
    return GridPlanner(body) if body.motion == "grid" else FreePlanner(body, window)


@dataclass(frozen=True, eq=False)
class _Survey:
    """The ways from one cell to all cells of a window."""

    lengths: np.ndarray
    """``(n, n)`` float32 length of the way on the grid [cells], inf where there is none."""
    before: np.ndarray
    """``(n, n)`` int32 the cell before on the way, as an index into the flat window; -1 for none."""
    corner: tuple[int, int]
    """The window's first cell, counted from the start."""


class FreePlanner:
    """Plans for a body that moves freely.

    It keeps a little more than its radius away from what is known, and less where no way would be left else.

    Args:
        body: How it moves.
        window: How far around it ways may lead [m].
        reached: Distance from a place at which it has been reached [m].
    """

    def __init__(self, body: BodySettings, window: float = WINDOW, reached: float | None = None):
        self._body, self._window = body, window
        self._reached = 0.5 * body.forward_step if reached is None else reached
        self._radii = (body.size.radius + SLACK, body.size.radius - SLACK)
        self._surveys: tuple[_Survey, ...] = ()
        self._shown: GeometricMap | None = None
        self._from = np.zeros(2)
        self._route = np.zeros((0, 2))
        self._goal: tuple[float, float] | None = None

    def survey(self, shown: GeometricMap, pose: Numeric) -> None:
        """Find the ways from a pose to all places around."""
        x, y = float(pose[0]), float(pose[1])
        cells = max(2, int(self._window / shown.cell))
        corner = int(np.floor(x / shown.cell)) - cells, int(np.floor(y / shown.cell)) - cells
        flooded = (
            _flood(shown.flags, *corner, 2 * cells + 1, radius / shown.cell, self._radii[1] / shown.cell)
            for radius in self._radii
        )
        self._surveys = tuple(_Survey(lengths, before, corner) for lengths, before in flooded)
        self._shown, self._from, self._goal = shown, np.array([x, y]), None

    def lengths(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the ways from the surveyed pose to places ``(n, 2)`` [m], inf for none."""
        return np.array([self._length(place) for place in places])

    def _length(self, place: np.ndarray) -> float:
        way = self.way(place)
        return float("inf") if way is None else float(np.hypot(*np.diff(way, axis=0).T).sum())

    def is_reachable(self, places: np.ndarray) -> np.ndarray:
        """Return ``(n,)`` whether a way leads from the surveyed pose to places ``(n, 2)``."""
        return np.array([self._reaching(place) is not None for place in places])

    @property
    def surveyed(self) -> tuple[np.ndarray, tuple[int, int]]:
        """Lengths ``(n, n)`` of the ways to all cells of the window [m], inf for none, and its first cell.

        These ways keep away from what is known. Cells are counted from the start.
        """
        assert self._shown is not None
        return self._surveys[0].lengths * self._shown.cell, self._surveys[0].corner

    def _reaching(self, place: Numeric) -> int | None:
        """Return the number of the first survey in which a way leads to a place."""
        for number, survey in enumerate(self._surveys):
            at = self._cell(place, survey)
            if at is not None and np.isfinite(survey.lengths[at]):
                return number
        return None

    def _cell(self, place: Numeric, survey: _Survey) -> tuple[int, int] | None:
        assert self._shown is not None
        i, j = (int(np.floor(float(v) / self._shown.cell)) - c for v, c in zip(place, survey.corner, strict=True))
        return (i, j) if 0 <= i < len(survey.lengths) and 0 <= j < len(survey.lengths) else None

    def way(self, place: Numeric) -> np.ndarray | None:
        """Return the way ``(n, 2)`` from the surveyed pose to a place, pulled taut; None where there is none [m]."""
        number = self._reaching(place)
        if number is None:
            return None
        assert self._shown is not None
        survey, end = self._surveys[number], np.array([float(place[0]), float(place[1])])
        cell = self._cell(place, survey)
        assert cell is not None
        return _taut(
            self._shown.flags, survey.before, cell[0] * len(survey.before) + cell[1], *survey.corner,
            self._from, end, self._radii[number], self._shown.cell,
        )  # fmt: skip

    def action(self, shown: GeometricMap, pose: Numeric, place: Numeric) -> Action | None:
        """Return the next action to a place; None where the body has reached it or no way leads there."""
        here, goal = np.array([float(pose[0]), float(pose[1])]), (float(place[0]), float(place[1]))
        if float(np.hypot(*(here - goal))) <= self._reached:
            return None
        ahead = self._ahead(shown, here, goal)
        if ahead is None:
            self.survey(shown, pose)
            way = self.way(goal)
            if way is None:
                return None
            self._route, self._goal = way[1:], goal
            ahead = way[1]
        angle = wrapped_angle(float(np.arctan2(*(ahead - here)[::-1])) - float(pose[2]))
        turns = round(angle / self._body.turn_angle)
        if turns == 0:
            return Action.MOVE_FORWARD
        return Action.TURN_LEFT if turns > 0 else Action.TURN_RIGHT

    def _ahead(self, shown: GeometricMap, here: np.ndarray, goal: tuple[float, float]) -> np.ndarray | None:
        """Return the farthest point of the way that the body can go straight to; None where a new way is needed."""
        comfortable, least = self._radii
        if shown.is_clear(here, goal, comfortable):
            return np.array(goal)
        if self._goal != goal:
            return None
        for radius in (comfortable, least):
            for point in self._route[::-1]:
                if float(np.hypot(*(point - here))) > 1e-3 and shown.is_clear(here, point, radius):
                    return point
        return None


class GridPlanner:
    """Plans for a body that goes from node to node of a square grid, with the fewest actions.

    An edge is free if nothing known stands near its line; collisions mark the edges that are missing.

    Args:
        body: How it moves.
    """

    def __init__(self, body: BodySettings):
        self._spacing, self._radius = body.forward_step, body.size.radius - SLACK
        self._pose = (0.0, 0.0, 0.0)
        side = 2 * FARTHEST + 1
        self._before, self._moves = np.full((side, side, 4), -1, np.int32), np.full((side, side), -1, np.int32)

    def survey(self, shown: GeometricMap, pose: Numeric) -> None:
        """Find the ways from a pose to all nodes around, in the order of the actions that they take."""
        self._pose = (float(pose[0]), float(pose[1]), float(pose[2]))
        self._before, self._moves = _nodes_around(
            shown.flags, *self._pose, self._spacing, self._radius, shown.cell, FARTHEST
        )

    def _node(self, place: Numeric) -> tuple[int, int]:
        """Return the node nearest to a place, in steps ahead and to the left of the surveyed pose."""
        x, y, heading = self._pose
        dx, dy, c, s = float(place[0]) - x, float(place[1]) - y, np.cos(heading), np.sin(heading)
        return round((dx * c + dy * s) / self._spacing), round((dy * c - dx * s) / self._spacing)

    def lengths(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the ways from the surveyed pose to places ``(n, 2)`` [m], inf for none."""
        return np.array([self._length(*self._node(place)) for place in places])

    def _length(self, i: int, j: int) -> float:
        if max(abs(i), abs(j)) > FARTHEST:
            return float("inf")
        moves = int(self._moves[i + FARTHEST, j + FARTHEST])
        return float("inf") if moves < 0 else moves * self._spacing

    def is_reachable(self, places: np.ndarray) -> np.ndarray:
        """Return ``(n,)`` whether a way leads from the surveyed pose to places ``(n, 2)``."""
        return np.isfinite(self.lengths(places))

    def action(self, shown: GeometricMap, pose: Numeric, place: Numeric) -> Action | None:
        """Return the next action to a place; None where the body has reached it or no way leads there."""
        self.survey(shown, pose)
        goal = self._node(place)
        if goal == (0, 0):
            return None
        if max(map(abs, goal)) > FARTHEST:
            return None
        ends = self._before[goal[0] + FARTHEST, goal[1] + FARTHEST]
        ways = [self._actions(_state(*goal, quarter)) for quarter in range(4) if ends[quarter] >= 0]
        return min(ways, key=len)[0] if ways else None

    def _actions(self, end: int) -> list[Action]:
        """Return the actions of the way to a state, by its number."""
        actions: list[Action] = []
        before, first = self._before.reshape(-1), _state(0, 0, 0)
        while end != first:
            last = int(before[end])
            turned = (end - last) % 4 if end // 4 == last // 4 else 0
            actions.append({0: Action.MOVE_FORWARD, 1: Action.TURN_LEFT, 3: Action.TURN_RIGHT}[turned])
            end = last
        return actions[::-1]


def _state(i: int, j: int, quarter: int) -> int:
    """Return the number of a state: steps ahead and to the left of the body, and quarter turns to the left."""
    return ((i + FARTHEST) * (2 * FARTHEST + 1) + j + FARTHEST) * 4 + quarter


@kernel
def _nodes_around(flags, x, y, heading, spacing, radius, cell, farthest):
    """Ways with the fewest actions from a pose to the nodes around.

    Args:
        flags: The map.
        x: Metres ahead of the start.
        y: Metres to its left.
        heading: Angle turned since then [rad].
        spacing: Distance between nodes [m].
        radius: Distance that edges keep from the centres of occupied cells [m].
        cell: Size of the map's cells [m].
        farthest: Most steps of nodes ahead, back, left and right.

    Returns:
        The state before each state ``(n, n, 4)`` int32, -1 for those that are not reached, and itself for the first;
        and the moves ahead to each node ``(n, n)`` int32 on the way with the fewest actions, -1 for none.
    """
    side = 2 * farthest + 1
    before, moves = np.full(side * side * 4, -1, np.int32), np.full(side * side, -1, np.int32)
    walked = np.zeros(side * side * 4, np.int32)
    queue = np.empty(side * side * 4, np.int32)
    first = (farthest * side + farthest) * 4
    queue[0], before[first], moves[first // 4] = first, first, 0
    head, tail = 0, 1
    c, s = np.cos(heading), np.sin(heading)
    while head < tail:
        state = queue[head]
        head += 1
        node, quarter = state // 4, state % 4
        i, j = node // side - farthest, node % side - farthest
        a = i + (1 if quarter == 0 else -1 if quarter == 2 else 0)
        b = j + (1 if quarter == 1 else -1 if quarter == 3 else 0)
        for choice in range(3):  # ahead, to the left, to the right
            if choice == 0:
                if abs(a) > farthest or abs(b) > farthest:
                    continue
                onward = ((a + farthest) * side + b + farthest) * 4 + quarter
                if before[onward] >= 0:
                    continue
                x0, y0 = x + spacing * (i * c - j * s), y + spacing * (i * s + j * c)
                x1, y1 = x + spacing * (a * c - b * s), y + spacing * (a * s + b * c)
                if not cells_clear(flags, x0, y0, x1, y1, radius, cell):
                    continue
            else:
                onward = node * 4 + (quarter + (1 if choice == 1 else 3)) % 4
                if before[onward] >= 0:
                    continue
            before[onward] = state
            walked[onward] = walked[state] + (1 if choice == 0 else 0)
            if moves[onward // 4] < 0:
                moves[onward // 4] = walked[onward]
            queue[tail] = onward
            tail += 1
    return before.reshape(side, side, 4), moves.reshape(side, side)


@kernel
def _blocked(flags, corner_i, corner_j, size, wide, tight):
    """Which cells of a window are too near to something known; see `_flood`."""
    half, middle = flags.shape[0] // 2, size // 2
    blocked = np.zeros((size, size), np.bool_)
    reach = int(wide) + 1
    for i in range(-reach, size + reach):
        for j in range(-reach, size + reach):
            a, b = i + corner_i + half, j + corner_j + half
            if a < 0 or b < 0 or a >= flags.shape[0] or b >= flags.shape[1] or not flags[a, b] & OCCUPIED:
                continue
            for k in range(max(0, i - reach), min(size, i + reach + 1)):
                for m in range(max(0, j - reach), min(size, j + reach + 1)):
                    near = (k - middle) ** 2 + (m - middle) ** 2 <= 9
                    keep = tight if near else wide
                    if (k - i) ** 2 + (m - j) ** 2 < keep * keep:
                        blocked[k, m] = True
    return blocked


@kernel
def _flood(flags, corner_i, corner_j, size, wide, tight):
    """Lengths of ways and cells before, from the middle of a window to all its cells.

    Args:
        flags: The map.
        corner_i: First row of the window, counted from the start.
        corner_j: Its first column.
        size: Its rows and columns.
        wide: Distance that ways keep from the centres of occupied cells [cells].
        tight: Distance that they keep near the middle, where the body may stand beside something [cells].
    """
    middle = size // 2
    blocked = _blocked(flags, corner_i, corner_j, size, wide, tight)
    lengths = np.full((size, size), np.inf, np.float32)
    before = np.full((size, size), -1, np.int32)
    # Dial's buckets: a straight step costs 5, a diagonal one 7.
    cost = np.full(size * size, 2**30, np.int64)
    heads = np.full(8, -1, np.int64)
    entry, below = np.empty(8 * size * size + 1, np.int64), np.empty(8 * size * size + 1, np.int64)
    first = middle * size + middle
    cost[first], entry[0], below[0], heads[0] = 0, first, -1, 0
    count, waiting, level = 1, 1, 0
    while waiting > 0:
        slot = level % 8
        while heads[slot] >= 0:
            item = heads[slot]
            heads[slot] = below[item]
            waiting -= 1
            cell = entry[item]
            if cost[cell] != level:
                continue
            ci, cj = cell // size, cell % size
            if np.isfinite(lengths[ci, cj]):
                continue
            lengths[ci, cj] = 0.2 * level
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    i, j = ci + di, cj + dj
                    if (di == 0 and dj == 0) or i < 0 or j < 0 or i >= size or j >= size or blocked[i, j]:
                        continue
                    onward = level + (5 if di == 0 or dj == 0 else 7)
                    if onward < cost[i * size + j]:
                        cost[i * size + j], before[i, j] = onward, cell
                        entry[count], below[count] = i * size + j, heads[onward % 8]
                        heads[onward % 8] = count
                        count += 1
                        waiting += 1
        level += 1
    return lengths, before


@kernel
def _taut(flags, before, end, corner_i, corner_j, start, goal, radius, cell):
    """The way ``(n, 2)`` from the middle of a window to one of its cells, with straight pieces where they are free."""
    size = before.shape[0]
    count, at = 1, end
    while before[at // size, at % size] >= 0:
        at = before[at // size, at % size]
        count += 1
    points = np.empty((count + 1, 2))
    at = end
    for k in range(count - 1, -1, -1):
        points[k, 0], points[k, 1] = (at // size + corner_i + 0.5) * cell, (at % size + corner_j + 0.5) * cell
        if k > 0:
            at = before[at // size, at % size]
    points[0], points[count] = start, goal
    kept = np.empty((count + 1, 2))
    kept[0], n, k = points[0], 1, 0
    while k < count:
        onward = count
        while onward > k + 1 and not cells_clear(
            flags, points[k, 0], points[k, 1], points[onward, 0], points[onward, 1], radius, cell
        ):
            onward -= 1
        k = onward
        kept[n] = points[k]
        n += 1
    return kept[:n]
