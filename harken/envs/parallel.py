"""AdversarialAudioGoal as a game of two players, in PettingZoo's parallel interface (``pip install harken[multi]``)."""

from typing import Any

import gymnasium as gym
import numpy as np

from harken.envs.attacking import AttackerSide
from harken.errors import ActionError, MissingDependencyError, StateError

try:
    from pettingzoo import ParallelEnv
except ImportError as error:
    raise MissingDependencyError("Games of two players need PettingZoo: pip install 'harken[multi]'.") from error

__all__ = ["AdversarialParallelEnv"]

AGENT, ATTACKER = "agent", "attacker"


class AdversarialParallelEnv(ParallelEnv[str, dict[str, Any], Any]):
    """AdversarialAudioGoal for both players, "agent" and "attacker", who act at once; their rewards sum to zero.

    Spaces and rules are those of `harken.tasks.adversarial.AdversarialTask`. Both see the same ``info``.

    Args:
        attacker_sensors: Names of the attacker's sensors; all that are neither privileged nor of hearing by default.
        arguments: Those of `harken.envs.TaskEnv`, but for task and attacker; ``sensors`` are the agent's.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A setting has an impossible value.
    """

    metadata = {"name": "harken_adversarial_audiogoal_v0", "render_modes": ["rgb_array"]}  # noqa: RUF012 - PettingZoo reads a plain dict

    def __init__(self, *, attacker_sensors: tuple[str, ...] | None = None, **arguments: Any):
        self._side = AttackerSide(attacker_sensors, arguments)
        env = self._side.env
        self.possible_agents = [AGENT, ATTACKER]
        self.agents: list[str] = []
        self.observation_spaces = {AGENT: env.observation_space, ATTACKER: self._side.observation_space}
        self.action_spaces = {AGENT: env.action_space, ATTACKER: self._side.action_space}
        self.state_space = gym.spaces.Box(-np.inf, np.inf, (11,), np.float32)
        self.metadata = {**self.metadata, "render_fps": env.metadata["render_fps"]}
        self.render_mode = env.render_mode

    def observation_space(self, agent: str) -> gym.Space:
        """Return what a player is shown."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> gym.Space:
        """Return what a player can do."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
        """Start an episode.

        Args:
            seed: Starts a new sequence of episodes.
            options: ``{"episode": number}`` or ``{"sequence": place}``, as for `harken.envs.TaskEnv.reset`; others,
                which PettingZoo's tests and wrappers may add, are ignored.
        """
        known = {name: value for name, value in (options or {}).items() if name in ("episode", "sequence")}
        observation, info = self._side.env.reset(seed=seed, options=known)
        self.agents = list(self.possible_agents)
        return {AGENT: observation, ATTACKER: self._side.observe()}, {AGENT: info, ATTACKER: dict(info)}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[
        dict[str, dict[str, Any]], dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Take the actions of both players.

        Raises:
            ActionError: An action is missing or does not exist.
            StateError: The episode is over or has not begun.
        """
        if not self.agents:
            raise StateError("The episode is over or has not begun: call reset() before step().")
        missing = [name for name in self.agents if name not in actions]
        if missing:
            raise ActionError(f"No action of {', '.join(missing)} was given; expected one of each player.")
        observation, reward, terminated, truncated, info = self._side.step(actions[AGENT], actions[ATTACKER])
        players = list(self.agents)
        if terminated or truncated:
            self.agents = []
        return (
            {AGENT: observation, ATTACKER: self._side.observe()},
            {AGENT: reward, ATTACKER: -reward},
            dict.fromkeys(players, terminated),
            dict.fromkeys(players, truncated),
            {AGENT: info, ATTACKER: dict(info)},
        )

    def state(self) -> np.ndarray:
        """Return the state of the game for a critic that knows all, ``(11,)`` float32.

        Returns:
            Place and heading of the agent, places of the attacker and of the goal [m], [rad], and the time [s].
        """
        task, body = self._side.task, self._side.task.attacker
        if body is None:
            raise StateError("There is no episode yet: call reset() first.")
        simulator, time = task.simulator, task.steps * task.step_time
        return np.array([*simulator.position, simulator.heading, *body.place, *task.goal, time], np.float32)

    def render(self) -> np.ndarray | None:  # type: ignore[bad-override]
        """Return a picture of the agent's view beside the plan; see `harken.envs.TaskEnv.render`."""
        return self._side.env.render()

    def close(self) -> None:
        """Close the environment; it cannot be used after."""
        self._side.env.close()
