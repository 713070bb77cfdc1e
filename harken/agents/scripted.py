"""Agents that do not listen: the lower and the upper baseline."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harken.tasks import Action, Choice, Numbers, Task

__all__ = ["ForwardAgent", "OracleAgent", "RandomAgent"]


class RandomAgent:
    """Takes every action with the same probability, stop included, and any number within its bounds.

    Args:
        task: The task that it acts in.
    """

    def __init__(self, task: Task[Any]):
        self._actions = task.actions
        # It uses no sensor, but an environment needs at least one.
        self.sensors: tuple[str, ...] = ("collision",) if "collision" in task.sensors else task.shown[:1]

    def reset(self, seed: int) -> None:
        """Start the episode's own sequence of draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any]) -> Any:
        """Return a random action."""
        if isinstance(self._actions, Mapping):
            return {name: self._draw(space) for name, space in self._actions.items()}
        return self._draw(self._actions)

    def _draw(self, space: Choice | Numbers) -> Any:
        if isinstance(space, Choice):
            return np.int64(self._rng.integers(len(space.names)))
        return self._rng.uniform(space.low, space.high, space.shape).astype(space.dtype)


class ForwardAgent:
    """Walks ahead, turns right where it runs into something, and stops at a random moment (1 % a step)."""

    sensors: tuple[str, ...] = ("collision",)

    def reset(self, seed: int) -> None:
        """Start the episode's own sequence of draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the next action."""
        if self._rng.random() < 0.01:
            return Action.STOP
        return Action.TURN_RIGHT if observation["collision"][0] > 0 else Action.MOVE_FORWARD


class OracleAgent:
    """Takes the best way, read from a privileged sensor.

    Args:
        sensor: The sensor: "oracle" leads along the shortest path in most tasks.
    """

    def __init__(self, sensor: str = "oracle"):
        self.sensors: tuple[str, ...] = (sensor,)

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the action that the sensor shows."""
        return int(observation[self.sensors[0]])
