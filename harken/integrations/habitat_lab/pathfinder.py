"""The floor as habitat-lab asks for it: what it calls a path finder, and the follower of shortest paths."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from harken.errors import NavigationError
from harken.scene import WalkableFloor
from harken.scene.floor.geodesic import Point
from harken.scene.ground import FloorGround
from harken.sim import World
from harken.tasks.oracle import PathOracle
from harken.tasks.walk import Action

__all__ = ["Follower", "PathFinder", "StraightGround"]

LEVEL_REACH = 0.5
"""Greatest difference in height of what a map shows as one level [m], as habitat-sim's."""

BISECTIONS = 10
"""Halvings of a step to find where it first meets an obstacle; of 0.25 m the last is 0.25 mm long."""


class PathFinder:
    """Harken's floor under the names of habitat-sim's ``PathFinder``, as far as habitat-lab's navigation uses them.

    Where habitat-sim would move a point to its navigation mesh, this moves it to the floor, at most a metre.

    Args:
        world: The world.
        rng: What random points are drawn with.
    """

    is_loaded = True

    def __init__(self, world: World, rng: np.random.Generator):
        self.floor: WalkableFloor = world.floor
        self._ground, self._bounds, self._rng = FloorGround(world.floor), world.scene.bounds, rng
        self._goals: dict[bytes, np.ndarray] = {}
        self._maps: dict[tuple[float, float], np.ndarray] = {}

    def get_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the greatest corner ``(3,)`` of the scene [m]."""
        low, high = self._bounds
        return low.astype(np.float32), high.astype(np.float32)

    def get_random_navigable_point(self) -> np.ndarray:
        """Draw a point ``(3,)`` uniformly from the main part of the floor [m]."""
        return self._ground.random_point(self._rng).astype(np.float32)

    def is_navigable(self, point: Sequence[float]) -> bool:
        """Tell whether the body can stand at a point ``(3,)`` [m]."""
        return self._ground.is_free(np.asarray(point, np.float64))

    def snap_point(self, point: Sequence[float]) -> np.ndarray:
        """Return the nearest place ``(3,)`` on the floor [m], NaN where none is within a metre."""
        try:
            return self.floor.snap(np.asarray(point, np.float64))
        except NavigationError:
            return np.full(3, np.nan)

    def try_step(self, start: Sequence[float], end: Sequence[float]) -> np.ndarray:
        """Return where a straight walk ends ``(3,)`` that slides along obstacles [m]."""
        return self._walk(FloorGround(self.floor), start, end)

    def try_step_no_sliding(self, start: Sequence[float], end: Sequence[float]) -> np.ndarray:
        """Return where a straight walk ends ``(3,)`` that stops at the first obstacle [m]."""
        return self._walk(StraightGround(self.floor), start, end)

    def _walk(self, ground: FloorGround, start: Sequence[float], end: Sequence[float]) -> np.ndarray:
        x, _, z = np.subtract(end, start).tolist()
        begin = self.floor.snap(np.asarray(start, np.float64))
        return ground.move(begin, float(np.arctan2(-x, -z)), float(np.hypot(x, z)))[0]

    def distance_to_closest_obstacle(self, position: Sequence[float], max_search_radius: float = 2.0) -> float:
        """Return how far the body's middle may go before it is stopped in the nearest direction [m]."""
        place = self.floor.snap(np.asarray(position, np.float64))
        return min(max(self.floor.clearance(place) - self.floor.body.radius, 0.0), max_search_radius)

    def distance(self, start: Sequence[float], goals: Sequence[Any] | np.ndarray) -> float:
        """Return the length of the shortest way from a place ``(3,)`` to the nearest of several [m].

        Args:
            start: ``(3,)`` [m].
            goals: ``(3,)`` or ``(n, 3)`` [m].

        Returns:
            Metres; inf where there is no way, or no floor within a metre of the start or of any goal.
        """
        places = self._on_floor(np.array(goals, np.float64).reshape(-1, 3))
        begin = self.snap_point(start)
        if not len(places) or np.isnan(begin).any():
            return float("inf")
        return self.floor.distance_field(places).distance(begin)

    def _on_floor(self, goals: np.ndarray) -> np.ndarray:
        """Move goals ``(n, 3)`` to the floor; those that are too far from it are left out."""
        key = goals.tobytes()
        if key not in self._goals:
            snapped = np.array([self.snap_point(goal) for goal in goals]).reshape(-1, 3)
            self._goals = {key: snapped[np.isfinite(snapped).all(1)]}  # the measures of an episode ask for one set
        return self._goals[key]

    def path(self, start: Sequence[float], goal: Sequence[float]) -> list[np.ndarray]:
        """Return the way points ``(3,)`` of the shortest way [m]; none where there is no way."""
        try:
            begin, end = (self.floor.snap(np.asarray(place, np.float64)) for place in (start, goal))
            return list(self.floor.shortest_path(begin, end).points.astype(np.float32))
        except NavigationError:
            return []

    def get_topdown_view(self, meters_per_pixel: float, height: float, eps: float = LEVEL_REACH) -> np.ndarray:
        """Return where the body can stand near a height [m], as ``(rows, columns)`` bool over z and x of the bounds.

        Only the main part of the floor is shown, and not the tops of tables.
        """
        key = meters_per_pixel, round(height, 2)
        if key not in self._maps:
            low, high = self.get_bounds()
            cells = self.floor.cells[np.abs(self.floor.cells[:, 1] - height) < eps][:, [2, 0]].astype(np.float64)
            # Cells are looked up by the pixel's middle, so that a map finer than the floor's samples has no holes.
            size = np.maximum(((high - low)[[2, 0]] / meters_per_pixel).astype(int), 1)
            corner, cell = self.floor.cells[:, [2, 0]].min(0).astype(np.float64), self.floor.cell
            count = np.rint((self.floor.cells[:, [2, 0]].max(0) - corner) / cell).astype(int) + 1
            free = np.zeros(count, bool)
            free[tuple(np.rint((cells - corner) / cell).astype(int).T)] = True
            places = (low[[2, 0]][axis] + (np.arange(size[axis]) + 0.5) * meters_per_pixel for axis in (0, 1))
            rows, columns = (np.rint((place - corner[axis]) / cell).astype(int) for axis, place in enumerate(places))
            inside = ((rows >= 0) & (rows < count[0]))[:, None] & ((columns >= 0) & (columns < count[1]))
            shown = free[np.ix_(rows.clip(0, count[0] - 1), columns.clip(0, count[1] - 1))] & inside
            self._maps = {key: shown}
        return self._maps[key].copy()


class StraightGround(FloorGround):
    """A floor on which a body stops where it meets something, in place of sliding along it."""

    def move(self, position: Point, heading: float, distance: float) -> tuple[np.ndarray, bool]:
        """Walk ahead until something is in the way."""
        end, collided = super().move(position, heading, distance)
        if not collided:
            return end, False
        free, stopped, place = 0.0, 1.0, np.array(position, np.float64)
        for _ in range(BISECTIONS):
            share = 0.5 * (free + stopped)
            reached, collided = super().move(position, heading, share * distance)
            if collided:
                stopped = share
            else:
                free, place = share, reached
        return place, True

    def moves(self, position: Point, headings: Sequence[float], distance: float) -> np.ndarray:
        """Return where walks along several headings end ``(n, 3)``."""
        return np.array([self.move(position, heading, distance)[0] for heading in headings]).reshape(-1, 3)


class Follower:
    """Follows shortest paths with the body's own actions, as habitat-sim's ``GreedyGeodesicFollower`` does.

    Args:
        simulator: The simulator, for the pose of the body.
        goal_radius: Distance from the goal at which it stops [m].
        keys: What to return for the actions stop, forward, left and right.
    """

    def __init__(self, simulator: Any, goal_radius: float, keys: Sequence[Any]):
        self._simulator, self._goal_radius, self._keys = simulator, goal_radius, tuple(keys)

    def next_action_along(self, goal_pos: Sequence[float]) -> Any:
        """Return the next action on the shortest way to a goal ``(3,)`` [m].

        Raises:
            NavigationError: There is no way.
        """
        simulator = self._simulator
        body, floor = simulator.body, simulator.pathfinder.floor
        goal = floor.snap(np.asarray(goal_pos, np.float64))
        floor.shortest_path(body.position, goal)  # an error where there is no way
        oracle = PathOracle(simulator.ground, simulator.forward_step, simulator.turn_angle, self._goal_radius / 0.95)
        oracle.set_goal(goal)
        order = Action.STOP, Action.MOVE_FORWARD, Action.TURN_LEFT, Action.TURN_RIGHT
        return self._keys[order.index(Action(oracle.action(body.position, body.heading)))]

    def reset(self) -> None:
        """Nothing to forget."""
