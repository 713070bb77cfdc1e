"""The shortest sequence of actions to a goal: the yardstick of SNA and the action of the oracle."""

from typing import Protocol

import numpy as np

from harken.errors import NavigationError
from harken.sim import World, forward_vector

__all__ = ["GridOracle", "Oracle", "PathOracle"]

STOP, MOVE_FORWARD, TURN_LEFT, TURN_RIGHT = range(4)

LONGEST = 2_000
"""Actions after which counting gives up."""


class Oracle(Protocol):
    """Knows the way."""

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to [m]."""
        ...

    def action(self, position: np.ndarray, heading: float) -> int:
        """Return the next action from a pose: 0 stop, 1 ahead, 2 left, 3 right."""
        ...

    def count_actions(self, position: np.ndarray, heading: float) -> int:
        """Return how many actions, stop included, lead from a pose to the goal."""
        ...


class PathOracle:
    """Follows the geodesic in continuous space: of all headings it turns to the one whose step gets nearest.

    Args:
        world: The world.
        step: Length of a step [m].
        turn: Angle of a turn [rad].
        success_distance: Distance at which it stops [m].
    """

    def __init__(self, world: World, step: float, turn: float, success_distance: float):
        self.world, self.step, self.turn, self.success_distance = world, step, turn, success_distance

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to [m]."""
        self._field = self.world.floor.distance_field(goal)

    def action(self, position: np.ndarray, heading: float) -> int:
        """Return the next action from a pose."""
        turns = self._turns(position, heading)
        if turns is None:
            return STOP
        return MOVE_FORWARD if turns == 0 else (TURN_LEFT if turns > 0 else TURN_RIGHT)

    def _turns(self, position: np.ndarray, heading: float) -> int | None:
        """Return how many turns to the left lead to the best heading, None at the goal."""
        if self._field.distance(position) < 0.95 * self.success_distance:
            return None
        half = round(np.pi / self.turn)
        turns = range(-half, half + 1)
        steps = (self.step * forward_vector(heading + k * self.turn) for k in turns)
        ends = np.array([self.world.floor.move(position, step)[0] for step in steps])
        # A turn costs little against a metre of way, but enough not to dither between headings that are alike.
        return turns[int(np.argmin(self._field.distances(ends) + 1e-3 * np.abs(turns)))]

    def count_actions(self, position: np.ndarray, heading: float) -> int:
        """Return how many actions, stop included, lead from a pose to the goal."""
        position, count = np.array(position, np.float64), 1
        while count < LONGEST:
            turns = self._turns(position, heading)
            if turns is None:
                return count
            # While it turns, the heading that is best remains so: it comes nearer, and no other faster.
            heading += turns * self.turn
            position = np.array(self.world.floor.move(position, self.step * forward_vector(heading))[0])
            count += abs(turns) + 1
        raise NavigationError(f"No way of {LONGEST} actions leads to the goal from {position}.")


class GridOracle:
    """The fewest actions over the nodes of a grid and the four headings.

    Args:
        world: The world.
        step: Spacing of the nodes [m].
        turn: A quarter turn [rad].
        success_distance: Unused: success on a grid is the goal's node itself.
    """

    def __init__(self, world: World, step: float, turn: float, success_distance: float):
        self.world = world

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to [m]; count actions from every node and heading by breadth-first search."""
        graph = self.world.graph
        neighbours = np.asarray(graph.neighbours)
        actions = np.full((len(neighbours), 4), -1, np.int64)
        actions[graph.nearest(goal)] = 1
        front = [(graph.nearest(goal), quarter) for quarter in range(4)]
        while front:
            onward = []
            for node, quarter in front:
                # Poses from which one action leads here: the node behind, and a turn to either side.
                behind = int(neighbours[node, (quarter + 2) % 4])
                for pose in ((behind, quarter), (node, (quarter + 1) % 4), (node, (quarter - 1) % 4)):
                    if pose[0] >= 0 and actions[pose] < 0:
                        actions[pose] = actions[node, quarter] + 1
                        onward.append(pose)
            front = onward
        self._actions = actions

    def _pose(self, position: np.ndarray, heading: float) -> tuple[int, int]:
        return self.world.graph.nearest(position), round(heading / (np.pi / 2)) % 4

    def action(self, position: np.ndarray, heading: float) -> int:
        """Return the next action from a pose."""
        node, quarter = self._pose(position, heading)
        left = self._actions[node, quarter]
        if left == 1:
            return STOP
        ahead = int(self.world.graph.neighbours[node, quarter])
        if ahead >= 0 and self._actions[ahead, quarter] == left - 1:
            return MOVE_FORWARD
        return TURN_LEFT if self._actions[node, (quarter + 1) % 4] == left - 1 else TURN_RIGHT

    def count_actions(self, position: np.ndarray, heading: float) -> int:
        """Return how many actions, stop included, lead from a pose to the goal."""
        return int(self._actions[self._pose(position, heading)])
