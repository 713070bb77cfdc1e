"""The interface between a body and the ground it walks on: the floor of a mesh, or the nodes of a grid."""

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from harken.checks import checked_number, checked_point
from harken.errors import NavigationError
from harken.scene.floor.geodesic import Point, coordinates
from harken.scene.floor.graph import NavigationGraph
from harken.scene.floor.walkable import WalkableFloor

__all__ = ["FloorGround", "GridGround", "Ground", "forward_vector"]

_QUARTER = np.pi / 2
_REACH = 1.0
_SAME = 1e-3


def forward_vector(heading: float) -> np.ndarray:
    """Return the unit vector ``(3,)`` of a heading [rad]: 0 is −z, positive is counter-clockwise seen from above."""
    return np.array([-np.sin(heading), 0.0, -np.cos(heading)])


class Ground(Protocol):
    """Where a body can stand and walk. Places are ``(3,)`` float64 at the height of the feet [m].

    A place that is given to `move`, `distance`, `distances` or `shortest_path` is one where the body can stand, as
    `snap`, `random_point` and `move` return it.
    """

    def snap(self, position: Point) -> np.ndarray:
        """Return the place ``(3,)`` nearest to a position ``(3,)`` where the body can stand.

        Raises:
            NavigationError: There is none within reach, or the position is not three finite numbers.
        """
        ...

    def turned(self, heading: float) -> float:
        """Return the heading next to the given one that a body may have [rad]; not wrapped.

        Raises:
            NavigationError: The heading is not a finite number.
        """
        ...

    def move(self, position: Point, heading: float, distance: float) -> tuple[np.ndarray, bool]:
        """Walk ahead.

        Args:
            position: ``(3,)`` where the body stands [m].
            heading: Where it looks [rad].
            distance: How far it goes [m], 0 or more. On a grid it goes to the next node, whatever the distance.

        Returns:
            The place ``(3,)`` where the walk ends, and whether something was in the way.

        Raises:
            NavigationError: The body cannot stand at the position, or an argument is not finite.
        """
        ...

    def moves(self, position: Point, headings: Sequence[float], distance: float) -> np.ndarray:
        """Return the ends ``(n, 3)`` of walks from one position along several headings; see `move`."""
        ...

    def distance(self, start: Point, goal: Point) -> float:
        """Return the length of the shortest way from a place ``(3,)`` to a goal [m], inf where there is none.

        Args:
            start: ``(3,)`` [m].
            goal: ``(3,)``, or ``(n, 3)`` for the nearest of several [m].

        Raises:
            NavigationError: The body cannot stand at one of them.
        """
        ...

    def distances(self, starts: np.ndarray, goal: Point) -> np.ndarray:
        """Return the lengths of the shortest ways ``(n,)`` float64 from places ``(n, 3)`` to a goal [m].

        They are inf where there is no way, NaN where the body cannot stand.

        Args:
            starts: ``(n, 3)`` [m].
            goal: ``(3,)``, or ``(m, 3)`` for the nearest of several [m].

        Raises:
            NavigationError: The body cannot stand at a goal.
        """
        ...

    def length(self, start: Point, end: Point) -> float:
        """Return the length of a step that `move` made from one place ``(3,)`` to another [m].

        Steps along a shortest way add up to its `distance`, up stairs and ramps too: the straight distance would not.

        Raises:
            NavigationError: The body cannot stand at the start.
        """
        ...

    def shortest_path(self, start: Point, goal: Point) -> np.ndarray:
        """Return the way points ``(n, 3)`` of a shortest way between two places, both included.

        Raises:
            NavigationError: The body cannot stand at one of them, or there is no way.
        """
        ...

    def random_point(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a place ``(3,)`` uniformly from the main connected part."""
        ...

    def is_free(self, position: Point) -> bool:
        """Tell whether the body can stand at a position ``(3,)``, to within a millimetre; NaN is nowhere."""
        ...

    @property
    def area(self) -> float:
        """Area on which `random_point` draws [m²]; on a grid the nodes times the square of their spacing."""
        ...

    @property
    def level(self) -> float:
        """Height of the floor at most places [m], the median."""
        ...


class FloorGround:
    """A body that goes anywhere on a floor.

    Args:
        floor: The floor.
    """

    def __init__(self, floor: WalkableFloor):
        self.floor = floor

    def __repr__(self) -> str:
        """Name the floor."""
        return f"FloorGround({self.floor!r})"

    def snap(self, position: Point) -> np.ndarray:
        """Return the point ``(3,)`` of the floor nearest to a position, at most a metre away [m]."""
        return self.floor.snap(position)

    def turned(self, heading: float) -> float:
        """Return the heading itself: all are allowed [rad]."""
        return checked_number("The heading", heading, unit="rad", error=NavigationError)

    def move(self, position: Point, heading: float, distance: float) -> tuple[np.ndarray, bool]:
        """Walk ahead, sliding along what is in the way."""
        distance = checked_number("The distance", distance, 0.0, unit="m", error=NavigationError)
        return self.floor.move(position, distance * forward_vector(self.turned(heading)))

    def moves(self, position: Point, headings: Sequence[float], distance: float) -> np.ndarray:
        """Return where walks along several headings end ``(n, 3)``."""
        distance = checked_number("The distance", distance, 0.0, unit="m", error=NavigationError)
        turned = np.array([self.turned(heading) for heading in headings])
        ways = np.stack([-np.sin(turned), np.zeros(len(turned)), -np.cos(turned)], 1)
        return self.floor.moves(position, distance * ways)

    def distance(self, start: Point, goal: Point) -> float:
        """Return the length of the shortest way over the floor to a goal or the nearest of several [m]."""
        return self.floor.distance_field(goal).distance(start)

    def distances(self, starts: np.ndarray, goal: Point) -> np.ndarray:
        """Return the lengths ``(n,)`` of shortest ways to one or several goals: inf for none, NaN off the floor [m]."""
        return self.floor.distance_field(goal).distances(starts)

    def length(self, start: Point, end: Point) -> float:
        """Return the length of a step [m]: straight where the floor is level, else along the surface."""
        return self.floor.length(start, end)

    def shortest_path(self, start: Point, goal: Point) -> np.ndarray:
        """Return the way points ``(n, 3)`` of the shortest way over the floor [m]."""
        return self.floor.shortest_path(start, goal).points

    def random_point(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a point ``(3,)`` of the floor's first island, uniformly over its area [m]."""
        return self.floor.random_point(rng)

    def is_free(self, position: Point) -> bool:
        """Tell whether a position ``(3,)`` is on the floor."""
        return self.floor.is_walkable(position)

    @property
    def area(self) -> float:
        """Area of the floor's first island [m²]."""
        return self.floor.area

    @property
    def level(self) -> float:
        """Median height of the floor's first island [m]."""
        return float(np.median(self.floor.cells[:, 1]))


class GridGround:
    """A body that goes from node to node of a grid and looks along its lines.

    Args:
        graph: The grid.
    """

    def __init__(self, graph: NavigationGraph):
        self.graph = graph
        self._last: tuple[bytes, np.ndarray] = b"", np.empty(0)

    def __repr__(self) -> str:
        """Name the grid."""
        return f"GridGround({self.graph!r})"

    def node(self, position: Point) -> int:
        """Return the node nearest to a position ``(3,)`` [m].

        Raises:
            NavigationError: It is more than a metre and the grid's spacing away, or the position is not finite.
        """
        place = checked_point("The position", position, error=NavigationError)
        reach = _REACH + self.graph.spacing
        node = self.graph.nearest(place)
        away = math.dist(self.graph.nodes[node], place)
        if away > reach:
            raise NavigationError(
                f"No node of the grid is within {reach:g} m of the position {tuple(place.tolist())}: the nearest is "
                f"{away:.3g} m away. Choose a place between {self.graph.nodes.min(0).round(2).tolist()} and "
                f"{self.graph.nodes.max(0).round(2).tolist()}."
            )
        return node

    def quarter(self, heading: float) -> int:
        """Return a heading [rad] in quarter turns to the left, 0–3."""
        return round(self.turned(heading) / _QUARTER) % 4

    def snap(self, position: Point) -> np.ndarray:
        """Return the node ``(3,)`` nearest to a position [m]."""
        return self._place(self.node(position))

    def _place(self, node: int) -> np.ndarray:
        return np.array(self.graph.nodes[node], np.float64)

    def turned(self, heading: float) -> float:
        """Return the nearest of the headings along the grid's lines, a multiple of π/2 [rad]."""
        return round(checked_number("The heading", heading, unit="rad", error=NavigationError) / _QUARTER) * _QUARTER

    def move(self, position: Point, heading: float, distance: float) -> tuple[np.ndarray, bool]:
        """Go to the next node ahead, whatever the distance; stay where there is none."""
        checked_number("The distance", distance, 0.0, unit="m", error=NavigationError)
        node = self.node(position)
        onward = int(self.graph.neighbours[node, self.quarter(heading)])
        return self._place(node if onward < 0 else onward), onward < 0

    def moves(self, position: Point, headings: Sequence[float], distance: float) -> np.ndarray:
        """Return the next nodes ``(n, 3)`` along several headings."""
        return np.array([self.move(position, heading, distance)[0] for heading in headings]).reshape(-1, 3)

    def distance(self, start: Point, goal: Point) -> float:
        """Return the steps of the shortest way to a node, or the nearest of several, times the grid's spacing [m]."""
        return float(self._to_goal(goal)[self.node(start)])

    def distances(self, starts: np.ndarray, goal: Point) -> np.ndarray:
        """Return the distances ``(n,)`` from places ``(n, 3)`` to one or several nodes [m]: NaN off the grid."""
        to_goal = self._to_goal(goal)
        return np.array([self._distance_from(start, to_goal) for start in starts], np.float64)

    def _to_goal(self, goal: Point) -> np.ndarray:
        """Return the distance from every node to a goal ``(3,)``, or to the nearest of ``(n, 3)``."""
        if np.ndim(goal) < 2:
            return self.graph.distance_field(self.node(goal))
        goals = np.asarray(goal, np.float64)
        if goals.shape[1:] != (3,) or len(goals) == 0:
            raise NavigationError(f"The goal has shape {goals.shape}; expected (3,) or (n, 3).")
        key, field = self._last
        if key != goals.tobytes():  # an agent asks at each step of an episode for the way to the same goals
            nodes = sorted({self.node(place) for place in goals})
            field = np.min([self.graph.distance_field(node) for node in nodes], axis=0)
            self._last = goals.tobytes(), field
        return field

    def _distance_from(self, start: Point, to_goal: np.ndarray) -> float:
        try:
            return float(to_goal[self.node(start)])
        except NavigationError:
            return float("nan")

    def length(self, start: Point, end: Point) -> float:
        """Return the length of a step [m]: straight where it is level, else the spacing for each node that it goes."""
        a, b = coordinates(start), coordinates(end)
        if a[1] == b[1]:
            return math.dist(a, b)
        return round((abs(b[0] - a[0]) + abs(b[2] - a[2])) / self.graph.spacing) * self.graph.spacing

    def shortest_path(self, start: Point, goal: Point) -> np.ndarray:
        """Return the nodes ``(n, 3)`` of a shortest way [m]."""
        return self.graph.nodes[self.graph.shortest_path(self.node(start), self.node(goal))]

    def random_point(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a node ``(3,)`` [m]."""
        return self._place(int(rng.integers(len(self.graph.nodes))))

    def is_free(self, position: Point) -> bool:
        """Tell whether a position ``(3,)`` is a node."""
        try:
            return bool(np.linalg.norm(self.snap(position) - np.asarray(position, np.float64)) <= _SAME)
        except NavigationError:
            return False

    @property
    def area(self) -> float:
        """Nodes times the square of their spacing [m²]."""
        return len(self.graph.nodes) * self.graph.spacing**2

    @property
    def level(self) -> float:
        """Median height of the nodes [m]."""
        return float(np.median(self.graph.nodes[:, 1]))
