"""A body on its way to a place: its actions, the way it has walked and the way that remains."""

import math
from collections.abc import Iterable
from enum import IntEnum
from typing import Any

import numpy as np

from harken.errors import ActionError, EpisodeError, StateError
from harken.scene import DoorState
from harken.scene.ground import Ground
from harken.sim import BodySettings, SimulatorProtocol

__all__ = ["WALKING", "Action", "Walk", "ahead_and_left", "checked_action", "draw_doors", "relative_pose", "set_doors"]


class Action(IntEnum):
    """What a body can do in a step."""

    STOP = 0
    MOVE_FORWARD = 1
    TURN_LEFT = 2
    TURN_RIGHT = 3
    USE_DOOR = 4


WALKING: tuple[Action, ...] = (Action.STOP, Action.MOVE_FORWARD, Action.TURN_LEFT, Action.TURN_RIGHT)
"""What a body does that opens no doors."""


def checked_action(action: Any, choices: type[IntEnum] | tuple[IntEnum, ...], what: str = "Action") -> IntEnum:
    """Return an action as one of several.

    Args:
        action: A whole number, of Python or NumPy, or an array that holds one.
        choices: What exists.
        what: What to call it in the message.

    Raises:
        ActionError: There is no such action.
    """
    if isinstance(action, np.ndarray) and action.size == 1:
        action = action.reshape(-1)[0]
    if isinstance(action, int | np.integer) and not isinstance(action, bool):
        for choice in choices:
            if choice.value == action:
                return choice
    names = ", ".join(f"{choice.value} {choice.name.lower().replace('_', ' ')}" for choice in choices)
    raise ActionError(f"{what} {repr(action)[:80]} does not exist; expected an integer: {names}.")


AROUND = 0.25
"""How much longer than the straight line a way is that counts as straight, at most [m]."""


class Walk:
    """Moves a body and keeps count.

    Args:
        simulator: The world.
        body: What the body is like.
        ground: Where distances are measured, such as the floor with all doors open for a body that opens them; the
            simulator's own by default.
    """

    def __init__(self, simulator: SimulatorProtocol, body: BodySettings, ground: Ground | None = None):
        self.simulator, self._body, self._ground = simulator, body, ground
        self.goal = np.zeros(3)
        self.start_position, self.start_heading = np.zeros(3), 0.0
        self.start_distance = self.distance = self.path_length = 0.0
        self.steps = self.collisions = 0
        self.collided = False
        self.last_action: Action | None = None

    def begin(self, position: Any, heading: float, goal: np.ndarray, *, episode: str) -> None:
        """Put the body at a start.

        Args:
            position: ``(3,)`` [m].
            heading: [rad].
            goal: ``(3,)`` where the way leads, or ``(n, 3)`` where to the nearest of several [m].
            episode: Name of the episode, for messages.

        Raises:
            EpisodeError: No way leads to the goal.
        """
        self.simulator.place(np.array(position), heading)
        self.start_position, self.start_heading = np.array(position, np.float64), float(heading)
        self.goal = np.array(goal, np.float64)
        distance = self.ground.distance(self.simulator.position, self.goal)
        if not math.isfinite(distance):
            raise EpisodeError(
                f"Episode {episode!r}: there is no way from start {tuple(self.start_position.tolist())} to "
                f"{self._goal_text}: they are on different islands of the floor. Move one of them."
            )
        self.start_distance = self.distance = distance
        self.path_length, self.steps, self.collisions, self.collided = 0.0, 0, 0, False
        self.last_action = None

    @property
    def _goal_text(self) -> str:
        places = np.atleast_2d(self.goal)
        which = "goal" if len(places) == 1 else f"any of {len(places)} goals, such as"
        return f"{which} {tuple(places[0].round(6).tolist())}"

    @property
    def ground(self) -> Ground:
        """Where distances are measured."""
        return self.simulator.ground if self._ground is None else self._ground

    def act(self, action: Action | None, *, step: float | None = None) -> None:
        """Do an action, or nothing, and count it.

        Args:
            action: What the body does.
            step: Length of a step ahead [m]; the body's own by default.
        """
        simulator, body = self.simulator, self._body
        before, self.collided, self.last_action = simulator.position.copy(), False, action
        if action == Action.MOVE_FORWARD:
            self.collided = bool(simulator.move_forward(body.forward_step if step is None else step))
        elif action == Action.TURN_LEFT:
            simulator.turn(body.turn_angle)
        elif action == Action.TURN_RIGHT:
            simulator.turn(-body.turn_angle)
        elif action == Action.USE_DOOR:
            self.collided = not self._use_door()
        self.steps += 1
        self.collisions += self.collided
        if simulator.position.tolist() != before.tolist():
            self.path_length += simulator.ground.length(before, simulator.position)
            self._measure_distance()

    def _use_door(self) -> bool:
        """Open the door ahead, or close it if it stands open; returns whether that was possible."""
        name = self.simulator.door_ahead()
        if name is None:
            return False
        try:
            self.simulator.set_doors({name: "closed" if self.simulator.doors[name] == "open" else "open"})
        except StateError:
            return False
        return True

    def move_goal(self, goal: np.ndarray) -> None:
        """Follow a goal that has moved to another place ``(3,)`` [m]."""
        if not np.array_equal(goal, self.goal):
            self.goal = goal
            self._measure_distance()

    def _measure_distance(self) -> None:
        simulator = self.simulator
        distance = self.ground.distance(simulator.position, self.goal)
        if not math.isfinite(distance):  # the reward would be infinite now and NaN at the next step
            raise EpisodeError(
                f"From {simulator.position.round(3).tolist()} in {simulator.name} no way leads to {self._goal_text}: "
                "one of them left its island of the floor. Please report the scene."
            )
        self.distance = distance

    def first_corner(self) -> np.ndarray:
        """Return the place ``(3,)`` at which the shortest way to the goal first turns; the goal if it never does [m].

        Up to there the way is at most a quarter of a metre longer than the straight line: the way around a door's frame
        is no corner for one who stands beside it.
        """
        here, goals = self.simulator.position, np.atleast_2d(self.goal)
        goal = (
            goals[int(np.argmin([self.ground.distance(here, goal) for goal in goals]))] if len(goals) > 1 else goals[0]
        )
        path = self.ground.shortest_path(here, goal)
        walked = np.concatenate([[0.0], np.linalg.norm(np.diff(path, axis=0), axis=1).cumsum()])
        straight = np.flatnonzero(walked - np.linalg.norm(path - path[0], axis=1) <= AROUND)
        turns = np.flatnonzero(np.diff(straight) > 1)  # a way that comes back is not straight
        return path[straight[turns[0]] if len(turns) else straight[-1]]

    def ahead_and_left(self, point: np.ndarray) -> np.ndarray:
        """Return where a point ``(3,)`` is as the body sees it: metres ahead and to the left, ``(2,)`` float32."""
        return ahead_and_left(point - self.simulator.position, self.simulator.heading)

    def pose(self, last: float) -> np.ndarray:
        """Return the pose relative to the start, ``(4,)`` float32: metres ahead and to the left, angle turned [rad].

        Args:
            last: The fourth number, such as the time that has passed [s].
        """
        return relative_pose(self.simulator, self.start_position, self.start_heading, last)


def draw_doors(simulator: SimulatorProtocol, rng: np.random.Generator) -> tuple[tuple[str, DoorState], ...]:
    """Draw how doors stand, half of them open; returns name and state of the others."""
    drawn = ((name, int(rng.integers(4))) for name in simulator.doors)
    return tuple((name, "ajar" if number == 2 else "closed") for name, number in drawn if number >= 2)


def set_doors(simulator: SimulatorProtocol, states: Iterable[tuple[str, DoorState]]) -> None:
    """Open all doors of a world except some, before the body is placed."""
    if simulator.doors:
        simulator.set_doors({**dict.fromkeys(simulator.doors, "open"), **dict(states)}, anyway=True)


def relative_pose(simulator: SimulatorProtocol, position: np.ndarray, heading: float, last: float) -> np.ndarray:
    """Return where a body is relative to a pose, ``(4,)`` float32.

    Args:
        simulator: The body's world.
        position: Place to start from ``(3,)`` [m].
        heading: Heading to start from [rad].
        last: The fourth number, such as the time that has passed [s].

    Returns:
        Metres ahead and to the left, the angle turned [rad] in [−π, π), and `last`.
    """
    moved = ahead_and_left(simulator.position - position, heading)
    # Half a turn is −π here, and π in `harken.checks.wrapped_angle`: observations must not change.
    angle = (simulator.heading - heading + np.pi) % (2 * np.pi) - np.pi
    return np.array([*moved, angle, last], np.float32)


def ahead_and_left(displacement: np.ndarray, heading: float) -> np.ndarray:
    """Return a displacement ``(3,)`` [m] in the frame of a heading [rad], ``(2,)`` float32: ahead and to the left."""
    c, s = np.cos(heading), np.sin(heading)
    x, _, z = displacement
    return np.array([-s * x - c * z, -c * x + s * z], np.float32)
