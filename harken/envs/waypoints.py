"""Actions that are places to go to: the body finds the way there on the map that it draws."""

from typing import Any, Literal, cast

import gymnasium as gym
import numpy as np

from harken.checks import checked_count, checked_number
from harken.envs.env import TaskEnv
from harken.errors import ActionError, ConfigurationError, UnknownNameError
from harken.scene.ground import forward_vector
from harken.sim import BodySettings
from harken.tasks.mapping import MappedTask
from harken.tasks.planning import Planner, make_planner
from harken.tasks.protocol import Choice
from harken.tasks.walk import Action

__all__ = ["ACTION_MASK", "DETOURS", "LONGEST_WAY", "WaypointActions", "usual_cell"]

ACTION_MASK = "action_mask"
"""Name of the mask in observations and ``info``."""

DETOURS = "waypoint_detours"
"""Name of the label that says of every way point how much longer the way over it is."""

LONGEST_DETOUR = 10.0
"""Detour of a way point that is masked, and the longest of others [m]."""

ONWARD = 0.1
"""What a metre that a way point leaves to be walked counts besides, so that of those on the way far ones are better."""

LONGEST_WAY = 10
"""Most steps of the environment to a way point, as in AV-WaN."""

TEACHER = "oracle"
"""Sensor that names the teacher's action."""

ASIDE = 0.15
"""How much longer than the shortest way the way over a cell may be for the oracle to choose it [m]."""


class WaypointActions(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Lets an agent choose way points in place of steps, after AV-WaN (Chen et al. 2021).

    An action is one of 9 × 9 cells around the body, counted row by row: row 0 is ahead, column 0 to the left. The
    body goes to the middle of the cell along the shortest path on the map that it has drawn, on which the unknown is
    free, and finds another way where it runs into something. The step ends once it is there, where no way leads on,
    after ten of the environment's own steps, or with the episode. The cell in the middle, where it stands, is the
    stop; in tasks without a stop it is a turn to the left.

    Rewards are summed. ``info`` is that of the last of the environment's steps, so an episode's measures count those,
    and besides it has ``primitive_steps``, how many the step took, and ``action_mask``.

    A cell is masked where something known stands, and where what is known leaves no way. The mask is in ``info``, and
    `action_masks` returns it as MaskablePPO of sb3-contrib asks for it. Choosing a masked cell costs one step, in
    which the body turns to the left: an agent that chooses nothing else ends at the episode's limit of steps.

    Where the environment shows the sensor "oracle", it becomes the way point of the shortest path: of the cells on it
    that are not masked the one farthest ahead, and the stop at the goal.

    Args:
        env: An environment of a task in which a body walks, sees depth and draws a map, or wrappers around one.
        cells: Rows and columns of cells, an odd number.
        cell: Size of a cell [m]; half a metre, or the spacing of the nodes on a grid, by default.
        longest: Most steps of the environment in one step.
        masked: What happens where a masked cell is chosen: "turn" costs a step, "error" is an error.
        shows_mask: Whether the mask is also in the observation, as "action_mask" ``(cells²,)`` int8, 1 for allowed.
        shows_detours: Whether the observation has "waypoint_detours" besides, ``(cells²,)`` float32, 0 to 10 m, for
            teachers: how much longer than the shortest way to the goal the way over each way point is, with a tenth of
            what it leaves to be walked; 0 for the best. Where the oracle stops, only the stop has 0. The environment
            has to show "oracle".

    Raises:
        ConfigurationError: The task draws no map, has no actions for walking, or a number is impossible.
        UnknownNameError: There is no such choice for `masked`.
    """

    def __init__(
        self,
        env: gym.Env,
        *,
        cells: int = 9,
        cell: float | None = None,
        longest: int = LONGEST_WAY,
        masked: Literal["turn", "error"] = "turn",
        shows_mask: bool = False,
        shows_detours: bool = False,
    ):
        gym.utils.RecordConstructorArgs.__init__(
            self, cells=cells, cell=cell, longest=longest, masked=masked, shows_mask=shows_mask,
            shows_detours=shows_detours,
        )  # fmt: skip
        gym.Wrapper.__init__(self, env)
        self._actions = _walking_actions(env)
        body = self._task.body
        self.cells = checked_count("cells", cells, 3, 101)
        if cells % 2 == 0:
            raise ConfigurationError(
                f"cells is {cells}; expected an odd number, because the body stands in the middle."
            )
        self.cell = usual_cell(body) if cell is None else checked_number("cell", cell, 0.05, 100.0, unit="m")
        self.longest = checked_count("longest", longest, 1, 100_000)
        if masked not in ("turn", "error"):
            raise UnknownNameError("choice for masked", masked, ("turn", "error"))
        self._masked, self._shows_mask, self._shows_detours = masked, shows_mask, shows_detours
        assert isinstance(env.observation_space, gym.spaces.Dict)
        spaces = dict(env.observation_space.spaces)
        if TEACHER in spaces:
            spaces[TEACHER] = gym.spaces.Discrete(cells**2)
        elif shows_detours:
            raise ConfigurationError(
                f"The environment shows {', '.join(spaces)}; detours need the sensor {TEACHER!r}, which knows the goal."
            )
        if shows_mask:
            spaces[ACTION_MASK] = gym.spaces.Box(0, 1, (cells**2,), np.int8)
        if shows_detours:
            spaces[DETOURS] = gym.spaces.Box(0.0, LONGEST_DETOUR, (cells**2,), np.float32)
        self.observation_space = gym.spaces.Dict(spaces)
        self.action_space = gym.spaces.Discrete(cells**2)
        offsets = (cells // 2 - np.arange(cells)) * self.cell
        self._offsets = np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
        reach = float(np.hypot(*self._offsets[0]))
        self._planner: Planner = make_planner(body, 2.0 * reach)
        self._mask = np.zeros(cells**2, bool)

    @property
    def _task(self) -> MappedTask:
        return cast(MappedTask, cast(TaskEnv, self.env.unwrapped).task)

    @property
    def center(self) -> int:
        """The action of the cell where the body stands: the stop."""
        return self.cells**2 // 2

    def action_masks(self) -> np.ndarray:
        """Return which cells can be chosen now, ``(cells²,)`` bool."""
        return self._mask.copy()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._look()
        return self._shown(observation, info, taken=0)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Go to a cell.

        Raises:
            ActionError: There is no such cell, or it is masked and ``masked="error"``.
            StateError: The episode is over or has not begun.
        """
        chosen = self._checked(action)
        if chosen == self.center and "stop" in self._actions:
            return self._shown(*self._act("stop"), taken=1)
        place = self._places()[chosen] if chosen != self.center and self._mask[chosen] else None
        # A step takes time, whatever was chosen.
        outcome, taken = self._act(self._onward(place) or "turn left"), 1
        while taken < self.longest and not (outcome[2] or outcome[3]) and (onward := self._onward(place)) is not None:
            observation, reward, *more = self._act(onward)
            outcome, taken = (observation, outcome[1] + reward, *more), taken + 1
        return self._shown(*outcome, taken=taken)

    def _act(self, name: str) -> tuple[Any, ...]:
        """Take one of the environment's actions and enter what is seen then."""
        observation, reward, *more = self.env.step(self._actions[name])
        self._look()
        return observation, float(reward), *more

    def _onward(self, place: np.ndarray | None) -> str | None:
        """Return the name of the next action to a place on the map; None where the body is, or no way leads."""
        if place is None:
            return None
        move = self._planner.action(self._task.maps.geometric, self._task.walk.pose(0.0), place)
        return None if move is None else move.name.lower().replace("_", " ")

    def _checked(self, action: Any) -> int:
        if isinstance(action, np.ndarray) and action.size == 1:
            action = action.reshape(-1)[0]
        count = self.cells**2
        if not isinstance(action, int | np.integer) or isinstance(action, bool) or not 0 <= action < count:
            raise ActionError(
                f"Way point {repr(action)[:80]} does not exist; expected an integer from 0 to {count - 1}."
            )
        if self._masked == "error" and not self._mask[action]:
            raise ActionError(f"Way point {action} is masked: no way leads there. Ask action_masks() first.")
        return int(action)

    def _places(self) -> np.ndarray:
        """Return the middles of the cells ``(n, 2)`` on the map: metres ahead and to the left of the start."""
        x, y, heading = (float(value) for value in self._task.walk.pose(0.0)[:3])
        c, s = np.cos(heading), np.sin(heading)
        return self._offsets @ np.array([[c, s], [-s, c]]) + [x, y]

    def _look(self) -> None:
        """Enter what is seen in the map, where no sensor has done so."""
        task = self._task
        if not task.maps.is_current(task.walk):
            task.maps.look(task.walk, task.simulator.see(("depth",))["depth"][..., 0])

    def _shown(self, observation: Any, *more: Any, taken: int) -> Any:
        """Return what a step or a reset returns, with the mask of the cells around the body now."""
        *outcome, info = more
        task = self._task
        self._planner.survey(task.maps.geometric, task.walk.pose(0.0))
        self._mask = self._planner.is_reachable(self._places())
        self._mask[self.center] = True
        shown = dict(observation)
        if TEACHER in shown:
            waypoint, detours = self._waypoint(int(shown[TEACHER]))
            shown[TEACHER] = np.int64(waypoint)
            if self._shows_detours:
                shown[DETOURS] = detours
        if self._shows_mask:
            shown[ACTION_MASK] = self._mask.astype(np.int8)
        return shown, *outcome, {**info, "primitive_steps": taken, ACTION_MASK: self._mask.astype(np.int8)}

    def _waypoint(self, advice: int) -> tuple[int, np.ndarray]:
        """Return the cell to which the shortest path leads, and the detours over all cells ``(cells²,)`` [m].

        Args:
            advice: What the environment's own oracle does.
        """
        detours = np.full(self.cells**2, LONGEST_DETOUR, np.float32)
        if advice == self._actions.get("stop"):
            detours[self.center] = 0.0
            return self.center, detours
        task = self._task
        here, heading = task.simulator.position, task.simulator.heading
        axes = np.stack([forward_vector(heading), forward_vector(heading + np.pi / 2)])
        left = task.ways_left(np.vstack([here + self._offsets @ axes, here]))
        left, whole = np.where(np.isnan(left[:-1]), np.inf, left[:-1]), left[-1]
        candidates = np.flatnonzero(self._mask & np.isfinite(left))
        candidates = candidates[candidates != self.center]
        if len(candidates) == 0:
            chosen = int(np.flatnonzero(self._mask)[0])
            detours[chosen] = 0.0
            return chosen, detours
        # What is unknown counts as free, so a way on the map may be too short; that over a wall ends at it.
        excess = self._planner.lengths(self._places()[candidates]) + left[candidates] - whole
        costs = np.abs(excess) + ONWARD * left[candidates]
        detours[candidates] = np.minimum(costs - costs.min(), LONGEST_DETOUR)
        nearer = left[candidates] < whole - 1e-6
        on_way = nearer & (np.abs(excess) <= ASIDE)
        if on_way.any():
            return int(candidates[np.argmin(np.where(on_way, left[candidates], np.inf))]), detours
        if nearer.any():
            return int(candidates[np.argmin(np.where(nearer, np.abs(excess), np.inf))]), detours
        return int(candidates[np.argmin(left[candidates])]), detours


def usual_cell(body: BodySettings) -> float:
    """Return the size of the cells from which a body chooses way points [m], unless another is asked for."""
    return body.forward_step if body.motion == "grid" else 0.5


def _walking_actions(env: gym.Env) -> dict[str, int]:
    """Return the numbers of an environment's actions by name.

    Raises:
        ConfigurationError: A body does not walk in it, or draws no map.
    """
    task = env.unwrapped.task if isinstance(env.unwrapped, TaskEnv) else None
    actions = None if task is None else task.actions
    needed = {action.name.lower().replace("_", " ") for action in (Action.MOVE_FORWARD, Action.TURN_LEFT)}
    if task is None or not isinstance(actions, Choice) or not needed <= set(actions.names):
        raise ConfigurationError(f"{env} has no actions for walking; way points need move forward and turn left.")
    if "geometric_map" not in task.sensors or not hasattr(task, "ways_left"):
        raise ConfigurationError(
            f"{type(task).__name__} draws no map; way points need the sensor geometric_map, as in AudioGoal."
        )
    return {name: number for number, name in enumerate(actions.names)}
