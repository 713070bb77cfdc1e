"""AdversarialAudioGoal from the attacker's side: it acts against an agent."""

from typing import Any, Protocol

import gymnasium as gym
import numpy as np

from harken.envs.env import TaskEnv, space_of
from harken.errors import ConfigurationError, UnknownNameError
from harken.tasks.adversarial import AdversarialTask
from harken.tasks.attackers import GivenAttacks

__all__ = ["AttackerEnv", "AttackerSide", "Player"]


class Player(Protocol):
    """What chooses the agent's actions; an `harken.agents.Agent` is one."""

    sensors: tuple[str, ...]
    """Names of the sensors that it needs."""

    def reset(self, seed: int) -> None:
        """Forget the last episode."""
        ...

    def act(self, observation: dict[str, Any]) -> Any:
        """Return the next action."""
        ...


class AttackerSide:
    """A `TaskEnv` of AdversarialAudioGoal whose attacker is told what to do, and what the attacker is shown in it.

    Args:
        sensors: Names of the attacker's sensors; see `harken.tasks.adversarial.AdversarialTask`.
        arguments: Those of `TaskEnv`, but for the task and the attacker.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: No sensor is shown, or an attacker was given.

    Attributes:
        env: The environment of the agent.
        task: Its task.
        observation_space: What the attacker is shown.
        action_space: What it can do: a move, a volume and a category.
    """

    def __init__(self, sensors: tuple[str, ...] | None, arguments: dict[str, Any]):
        if "attacker" in arguments:
            raise ConfigurationError("An attacker was given; here its actions come from outside. Leave it out.")
        self._given = GivenAttacks(())
        self.env = TaskEnv("adversarial-audiogoal", attacker=self._given, **arguments)
        assert isinstance(self.env.task, AdversarialTask)
        self.task: AdversarialTask = self.env.task
        offered = self.task.attacker_sensors
        self._given.sensors = self.task.attacker_shown if sensors is None else tuple(sensors)
        for name in self._given.sensors:
            if name not in offered:
                raise UnknownNameError("sensor of an attacker", name, offered)
        if not self._given.sensors:
            raise ConfigurationError("The attacker is shown nothing; expected at least one sensor.")
        self.observation_space = gym.spaces.Dict({name: space_of(offered[name].space) for name in self._given.sensors})
        self.action_space = gym.spaces.MultiDiscrete(list(self.task.attack_sizes))

    def observe(self) -> dict[str, Any]:
        """Return what the attacker is shown now."""
        return self.task.attacker_observation(self._given.sensors)

    def step(self, action: Any, attack: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action of the agent and one of the attacker; returns what `TaskEnv.step` does."""
        self._given.action = attack
        return self.env.step(action)


class AttackerEnv(gym.Env[dict[str, Any], np.ndarray]):
    """AdversarialAudioGoal, in which the attacker acts against an agent that is given.

    Actions are ``MultiDiscrete([5, volumes, categories])``, observations those of the attacker's sensors, and rewards
    the negative of the agent's; see `harken.tasks.adversarial.AdversarialTask`. ``info`` holds the agent's measures:
    the attacker does well where ``success`` is 0.

    Args:
        agent: What the attacker acts against, such as an `harken.agents.Agent`; of this environment alone.
        sensors: Names of the attacker's sensors; all that are neither privileged nor of hearing by default.
        arguments: Those of `TaskEnv`, but for task, sensors and attacker.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A setting has an impossible value.
    """

    metadata = TaskEnv.metadata

    def __init__(self, agent: Player, *, sensors: tuple[str, ...] | None = None, **arguments: Any):
        self.agent = agent
        self._side = AttackerSide(sensors, {**arguments, "sensors": agent.sensors})
        self.observation_space, self.action_space = self._side.observation_space, self._side.action_space
        self.render_mode, self.metadata = self._side.env.render_mode, self._side.env.metadata
        self._seen: dict[str, Any] = {}

    @property
    def task(self) -> AdversarialTask:
        """The rules and the state of the episode."""
        return self._side.task

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode; see `TaskEnv.reset`."""
        super().reset(seed=seed)
        self._seen, info = self._side.env.reset(seed=seed, options=options)
        episode = self.task.episode
        assert episode is not None
        self.agent.reset(getattr(episode, "seed", 0))
        return self._side.observe(), info

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action of the attacker, to which the agent's is chosen at once.

        Raises:
            ActionError: There is no such action.
            StateError: The episode is over, has not begun, or the environment is closed.
        """
        self._seen, reward, terminated, truncated, info = self._side.step(self.agent.act(self._seen), action)
        return self._side.observe(), -reward, terminated, truncated, info

    def render(self) -> np.ndarray | None:  # type: ignore[bad-override]
        """Return a picture of the agent's view beside the plan; see `TaskEnv.render`."""
        return self._side.env.render()

    def close(self) -> None:
        """Close the environment; it cannot be used after."""
        self._side.env.close()
