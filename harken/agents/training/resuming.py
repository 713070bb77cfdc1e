"""Environments that go on where they were: determinism makes it enough to know the episode and the actions."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import gymnasium as gym

from harken.errors import ConfigurationError

__all__ = ["Resumable"]


class Resumable(gym.Wrapper[Any, Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Remembers the actions of an episode, and can bring another process to the same moment by taking them again.

    Put it around everything else that counts, such as Stable-Baselines3's ``Monitor``.

    Args:
        env: An environment of Harken, or wrappers around one.

    Attributes:
        most_distance: Greatest distance from start to goal of the episodes that begin from now on [m]; None for any.
    """

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self._actions: list[Any] = []
        self.most_distance: float | None = None
        self._began_with: float | None = None
        self._usual = getattr(self.get_wrapper_attr("settings"), "most_distance", None)

    def limit_distance(self, most: float | None) -> None:
        """Set `most_distance`, as a curriculum does.

        Raises:
            ConfigurationError: The task has no such setting.
        """
        settings = self.get_wrapper_attr("settings")
        if most is not None and not hasattr(settings, "most_distance"):
            raise ConfigurationError(
                f"A curriculum by distance was given; {type(settings).__name__} has no most_distance. Train without."
            )
        self.most_distance = most

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode."""
        self._actions = []
        self._began_with = self.most_distance
        task: Any = self.get_wrapper_attr("task")
        most = self._usual if self.most_distance is None else self.most_distance
        if most != getattr(task.settings, "most_distance", None):
            task.settings = replace(task.settings, most_distance=most)
        return self.env.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        """Take an action."""
        self._actions.append(int(action))
        return self.env.step(action)

    def snapshot(self) -> dict[str, Any]:
        """Return where the environment is, as JSON can hold it: the episode of its sequence, and the actions in it."""
        stream, begun = self.get_wrapper_attr("place")
        return {
            "sequence": [stream, begun - 1], "actions": list(self._actions), "most_distance": self._began_with,
        }  # fmt: skip

    def restore(self, snapshot: Mapping[str, Any]) -> Any:
        """Go to where an environment was, and return what is observed there.

        Args:
            snapshot: What `snapshot` returned, of an environment that was made with the same arguments.

        Raises:
            EpisodeError: The snapshot names no place of a sequence.
        """
        self.limit_distance(snapshot["most_distance"])
        observation, _ = self.reset(options={"sequence": snapshot["sequence"]})
        for action in snapshot["actions"]:
            observation, *_ = self.step(action)
        return observation
