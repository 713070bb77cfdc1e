"""The way to a goal that costs least when noise costs too, and where on it to creep."""

import heapq
import itertools
import math
from collections.abc import Callable
from enum import IntEnum

import numpy as np

from harken.checks import wrapped_angle
from harken.scene.ground import Ground, forward_vector
from harken.tasks.oracle import Oracle

__all__ = ["QuietMove", "QuietOracle"]

AHEAD = 1.0
"""How far along its way the oracle looks for a place to walk to straight [m]."""

SAME = 1e-3
"""Distance within which two places are the same [m]."""

_NEIGHBOURS = tuple(step for step in itertools.product((-1, 0, 1), repeat=2) if any(step))
_AROUND = tuple(itertools.product((-1, 0, 1), repeat=2))

_Node = tuple[int, int, int]


class QuietMove(IntEnum):
    """What the robot can do in a step."""

    STOP = 0
    MOVE_FORWARD = 1
    TURN_LEFT = 2
    TURN_RIGHT = 3
    CREEP = 4


class QuietOracle:
    """Plans over the cells of a square grid, walking or creeping from each to its eight neighbours (Dijkstra 1959).

    The grid grows from the goal, as far as it has to. The cost of an edge is that of its steps, each at the price of a
    step that ends in the cell nearer to the goal. Turns cost nothing in the plan. From where the robot stands the plan
    is followed by straight lines of up to `AHEAD` to its cells; where no cell can be reached straight, the shortest
    path is taken.

    Args:
        ground: Where the robot walks; it moves freely.
        price: Returns what a step that ends at a place ``(3,)`` costs by that move, above 0.
        step: Length of a step ahead [m], and the edge of a cell.
        creep: Length of a creeping step [m].
        turn: Angle of a turn [rad].
        stop_distance: Distance to the goal below which it stops [m].
        shortest: The oracle of the shortest path, with the same goal.
    """

    def __init__(
        self,
        ground: Ground,
        price: Callable[[np.ndarray, QuietMove], float],
        *,
        step: float,
        creep: float,
        turn: float,
        stop_distance: float,
        shortest: Oracle,
    ):
        self.ground, self.turn, self.stop_distance, self.shortest = ground, turn, stop_distance, shortest
        self._price, self._spacing = price, step
        self._lengths = {QuietMove.MOVE_FORWARD: step, QuietMove.CREEP: creep}
        self.set_goal(np.zeros(3))

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to [m]."""
        self._goal = np.array(goal, np.float64)
        self._places: dict[_Node, np.ndarray] = {}
        self._costs: dict[_Node, float] = {}
        self._rates: dict[_Node, float] = {}
        self._onward: dict[_Node, _Node] = {}
        self._front: list[tuple[float, _Node]] = []

    def action(self, position: np.ndarray, heading: float) -> QuietMove:
        """Return the next action from a pose ``(3,)`` [m] and [rad]."""
        if self.ground.distance(position, self._goal) < self.stop_distance:
            return QuietMove.STOP
        target = self._target(position)
        if target is None:
            move = QuietMove(self.shortest.action(position, heading))
            return self._pace(position, heading) if move == QuietMove.MOVE_FORWARD else move
        way = target - position
        turns = round(wrapped_angle(math.atan2(-way[0], -way[2]) - heading) / self.turn)
        if turns == 0:
            return self._pace(position, heading)
        return QuietMove.TURN_LEFT if turns > 0 else QuietMove.TURN_RIGHT

    def _pace(self, position: np.ndarray, heading: float) -> QuietMove:
        """Return the cheaper of walking and creeping ahead from a pose, per metre."""

        def rate(move: QuietMove) -> float:
            end = self.ground.move(position, heading, self._lengths[move])[0]
            return self._price(end, move) / self._lengths[move]

        return min(self._lengths, key=rate)

    def _rate(self, place: np.ndarray) -> float:
        """Return the cost of a metre that ends at a place, by the cheaper move."""
        return min(self._price(place, move) / length for move, length in self._lengths.items())

    def _node(self, place: np.ndarray) -> _Node:
        """Return the cell of a place: its numbers along x and z from the goal, and its storey in metres."""
        x, y, z = (place - self._goal).tolist()
        return round(x / self._spacing), round(y), round(z / self._spacing)

    def _straight(self, start: np.ndarray, end: np.ndarray) -> bool:
        """Whether one can walk straight from a place to another."""
        way = end - start
        reached, blocked = self.ground.move(start, math.atan2(-way[0], -way[2]), math.hypot(way[0], way[2]))
        return not blocked and math.dist(reached.tolist(), end.tolist()) < 10 * SAME

    def _target(self, position: np.ndarray) -> np.ndarray | None:
        """Return the place of the way to which to walk straight from a position, None where there is none."""
        entry = self._entry(position)
        if entry is None:
            return None
        target = node = entry
        while node in self._onward and math.dist(self._places[node].tolist(), position.tolist()) < AHEAD:
            node = self._onward[node]
            if not self._straight(position, self._places[node]):
                break
            target = node
        place = self._places[target]
        return None if math.dist(place.tolist(), position.tolist()) < SAME else place

    def _entry(self, position: np.ndarray) -> _Node | None:
        """Return the cell near a position from which the way on costs least, None where none can be reached."""
        i, storey, k = self._node(position)
        near = {(i + a, storey + b, k + c) for a, c in _AROUND for b in (-1, 0, 1)}
        best: tuple[float, _Node] | None = None
        if not self._costs:
            self._reach(self._node(self._goal), self._goal, 0.0, None)
        for node in near & self._rates.keys():
            best = self._better(best, node, position)
        while self._front and (best is None or self._front[0][0] < best[0]):
            node = self._settle()
            if node in near:
                best = self._better(best, node, position)
        return None if best is None else best[1]

    def _better(
        self, best: tuple[float, _Node] | None, node: _Node, position: np.ndarray
    ) -> tuple[float, _Node] | None:
        """Return the cheaper way on from a position: the best so far, or that by a cell that is settled."""
        place = self._places[node]
        way = math.dist(place.tolist(), position.tolist())
        found = self._costs[node] + way * self._rates[node], node
        if best is not None and best <= found:
            return best
        return found if way < SAME or self._straight(position, place) else best

    def _reach(self, node: _Node, place: np.ndarray, cost: float, onward: _Node | None) -> None:
        if node in self._rates or cost >= self._costs.get(node, math.inf):
            return
        self._places[node], self._costs[node] = place, cost
        if onward is not None:
            self._onward[node] = onward
        heapq.heappush(self._front, (cost, node))

    def _settle(self) -> _Node | None:
        """Take the cheapest cell of the front and reach its neighbours; returns the cell."""
        cost, node = heapq.heappop(self._front)
        if node in self._rates:
            return None
        place = self._places[node]
        rate = self._rates[node] = self._rate(place)
        for a, c in _NEIGHBOURS:
            length = self._spacing * math.hypot(a, c)
            heading = math.atan2(-a, -c)
            end, blocked = self.ground.move(place, heading, length)
            straight = place + length * forward_vector(heading) - end
            if not blocked and math.hypot(straight[0], straight[2]) < SAME:
                self._reach(self._node(end), end, cost + length * rate, node)
        return node
