"""The shortest sequence of actions to a goal: the reference of SNA and the action of the oracle."""

from typing import Protocol

import numpy as np

from harken.errors import NavigationError
from harken.scene.ground import GridGround, Ground
from harken.sim import BodySettings
from harken.tasks.walk import Action

__all__ = ["GridOracle", "Oracle", "PathOracle", "make_oracle"]

LONGEST = 2_000
"""Number of actions after which counting stops."""


class Oracle(Protocol):
    """Knows the way."""

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to, or several ``(n, 3)``, the nearest of which will do [m]."""
        ...

    def action(self, position: np.ndarray, heading: float) -> int:
        """Return the next action from a pose, one of `harken.tasks.walk.Action`."""
        ...

    def onward(self, position: np.ndarray, heading: float) -> float:
        """Return the heading in which the shortest path goes on [rad]; the given one at the goal."""
        ...

    def count_actions(self, position: np.ndarray, heading: float) -> int:
        """Return how many actions, stop included, lead from a pose to the goal."""
        ...

    def follow(self, position: np.ndarray, heading: float) -> tuple[np.ndarray, float, int]:
        """Return where the oracle stops from a pose ``(3,)`` [m] and [rad], and its actions until then."""
        ...


def make_oracle(ground: Ground, body: BodySettings, stop_distance: float) -> Oracle:
    """Return the oracle of a ground.

    Args:
        ground: Where the body walks.
        body: How it moves.
        stop_distance: Distance to the goal below which it stops [m]; on a grid it stops at the goal's own node.
    """
    if isinstance(ground, GridGround):
        return GridOracle(ground)
    return PathOracle(ground, body.forward_step, body.turn_angle, stop_distance)


class PathOracle:
    """Follows the geodesic in continuous space: of all headings it turns to the one whose step gets nearest.

    Args:
        ground: Where the body walks.
        step: Length of a step [m].
        turn: Angle of a turn [rad].
        stop_distance: Distance below which it stops [m].
    """

    def __init__(self, ground: Ground, step: float, turn: float, stop_distance: float):
        self.ground, self.step, self.turn, self.stop_distance = ground, step, turn, stop_distance
        self._goal = np.zeros(3)

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to, or several ``(n, 3)`` [m]."""
        self._goal = np.array(goal, np.float64)

    def action(self, position: np.ndarray, heading: float) -> int:
        """Return the next action from a pose."""
        turns = self._turns(position, heading)
        if turns is None:
            return Action.STOP
        return Action.MOVE_FORWARD if turns == 0 else (Action.TURN_LEFT if turns > 0 else Action.TURN_RIGHT)

    def onward(self, position: np.ndarray, heading: float) -> float:
        """Return the heading in which the shortest path goes on [rad]; the given one at the goal."""
        return heading + self.turn * (self._turns(position, heading) or 0)

    def _turns(self, position: np.ndarray, heading: float) -> int | None:
        """Return how many turns to the left lead to the best heading, None at the goal."""
        if self.ground.distance(position, self._goal) < self.stop_distance:
            return None
        half = round(np.pi / self.turn)
        turns = range(-half, half + 1)
        ends = self.ground.moves(position, [heading + k * self.turn for k in turns], self.step)
        # A turn costs little compared with a metre, but enough to avoid dithering between equal headings.
        return turns[int(np.argmin(self.ground.distances(ends, self._goal) + 1e-3 * np.abs(turns)))]

    def count_actions(self, position: np.ndarray, heading: float) -> int:
        """Return how many actions, stop included, lead from a pose to the goal."""
        return self.follow(position, heading)[2]

    def follow(self, position: np.ndarray, heading: float) -> tuple[np.ndarray, float, int]:
        """Return where the oracle stops from a pose ``(3,)`` [m] and [rad], and its actions until then."""
        position, count = np.array(position, np.float64), 1
        while count < LONGEST:
            turns = self._turns(position, heading)
            if turns is None:
                return position, heading, count
            # While it turns, the heading that is best remains so: it comes nearer, and no other faster.
            heading += turns * self.turn
            position = self.ground.move(position, heading, self.step)[0]
            count += abs(turns) + 1
        raise NavigationError(f"No way of {LONGEST} actions leads to the goal from {position}.")


class GridOracle:
    """The fewest actions over the nodes of a grid and the four headings.

    Args:
        ground: The grid.
    """

    def __init__(self, ground: GridGround):
        self.graph = ground.graph

    def set_goal(self, goal: np.ndarray) -> None:
        """Set the place ``(3,)`` to go to, or several ``(n, 3)`` [m].

        Actions are counted from every node and heading by breadth-first search.
        """
        neighbours = np.asarray(self.graph.neighbours)
        actions = np.full((len(neighbours), 4), -1, np.int64)
        goals = list(dict.fromkeys(self.graph.nearest(place) for place in np.atleast_2d(goal)))
        actions[goals] = 1
        front = [(node, quarter) for node in goals for quarter in range(4)]
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
        return self.graph.nearest(position), round(heading / (np.pi / 2)) % 4

    def action(self, position: np.ndarray, heading: float) -> int:
        """Return the next action from a pose."""
        node, quarter = self._pose(position, heading)
        left = self._actions[node, quarter]
        if left == 1:
            return Action.STOP
        ahead = int(self.graph.neighbours[node, quarter])
        if ahead >= 0 and self._actions[ahead, quarter] == left - 1:
            return Action.MOVE_FORWARD
        return Action.TURN_LEFT if self._actions[node, (quarter + 1) % 4] == left - 1 else Action.TURN_RIGHT

    def count_actions(self, position: np.ndarray, heading: float) -> int:
        """Return how many actions, stop included, lead from a pose to the goal."""
        return int(self._actions[self._pose(position, heading)])

    def follow(self, position: np.ndarray, heading: float) -> tuple[np.ndarray, float, int]:
        """Return where the oracle stops from a pose ``(3,)`` [m] and [rad], and its actions until then."""
        node, quarter = self._pose(position, heading)
        count = int(self._actions[node, quarter])
        for left in range(count - 1, 0, -1):
            ahead = int(self.graph.neighbours[node, quarter])
            if ahead >= 0 and self._actions[ahead, quarter] == left:
                node = ahead
            else:
                quarter = (quarter + (1 if self._actions[node, (quarter + 1) % 4] == left else -1)) % 4
        return np.array(self.graph.nodes[node], np.float64), quarter * np.pi / 2, count

    def onward(self, position: np.ndarray, heading: float) -> float:
        """Return the heading in which the shortest path goes on [rad]; the given one at the goal."""
        turned = 0
        while (action := self.action(position, heading + turned * np.pi / 2)) in (Action.TURN_LEFT, Action.TURN_RIGHT):
            turned += 1 if action == Action.TURN_LEFT else -1
        return heading + turned * np.pi / 2
