"""Policies that were trained with Stable-Baselines3, as agents."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from harken.envs import StableBaselinesAction, StableBaselinesObservation
from harken.errors import ConfigurationError, MissingDependencyError

__all__ = ["PolicyAgent"]

_TRACES = {
    "RecurrentPPO": ("RecurrentPPO", "sb3_contrib"),
    "MaskablePPO": ("MaskablePPO", "sb3_contrib"),
    "PPO": ("PPO", "stable_baselines3"),
    "A2C": ("A2C", "stable_baselines3"),
    "DQN": ("DQN", "stable_baselines3"),
    "SAC": ("SAC", "stable_baselines3"),
    "TD3": ("TD3", "stable_baselines3"),
}
"""Algorithms whose files are read, and the packages that they come from."""


class PolicyAgent:
    """Acts as a trained model does.

    Args:
        model: An algorithm of Stable-Baselines3 or sb3-contrib, or anything with ``observation_space``,
            ``action_space`` and ``predict(observation, state, episode_start, deterministic)``.
        deterministic: Whether it takes the most likely action; else it draws.
    """

    def __init__(self, model: Any, *, deterministic: bool = True):
        space = model.observation_space
        if not isinstance(space, gym.spaces.Dict):
            raise ConfigurationError(f"The policy observes {space}; expected a Dict of Harken's sensors.")
        self.model, self.deterministic = model, deterministic
        self.sensors: tuple[str, ...] = tuple(space.spaces)
        self._state: Any = None
        self._starts = True

    @staticmethod
    def load(path: str | Path, *, deterministic: bool = True) -> "PolicyAgent":
        """Read a model that ``model.save(path)`` of Stable-Baselines3 wrote.

        Such a file holds pickles, and reading it can run whatever its author put there: read your own, and those of
        people whom you trust.

        Args:
            path: The zip.
            deterministic: Whether the agent takes the most likely action.

        Raises:
            ConfigurationError: The file is missing or is not such a model.
            MissingDependencyError: Stable-Baselines3, or sb3-contrib where the model needs it, is not installed.
        """
        kind = _algorithm(Path(path))
        name, package = _TRACES[kind]
        try:
            algorithm = getattr(__import__(package), name)
        except ImportError as error:
            raise MissingDependencyError(
                f"{path} was trained with {name}; it needs {package}: pip install 'harken[train]'."
            ) from error
        try:
            model = algorithm.load(str(path), device="cpu")
        except Exception as error:  # whatever a damaged pickle raises
            raise ConfigurationError(f"{path} cannot be read as a model of {name}: {error}.") from error
        return PolicyAgent(model, deterministic=deterministic)

    def fitted(self, env: gym.Env) -> gym.Env:
        """Return an environment in the form in which the policy was trained.

        Where the spaces differ, `StableBaselinesObservation` and `StableBaselinesAction` are tried; environments that
        were trained in with other wrappers have to be given with them.

        Raises:
            ConfigurationError: The spaces differ all the same; the message says how.
        """
        wrapped = env
        if not _alike(wrapped.observation_space, self.model.observation_space):
            wrapped = StableBaselinesObservation(wrapped)
        if wrapped.action_space != self.model.action_space and isinstance(wrapped.action_space, gym.spaces.Dict):
            wrapped = StableBaselinesAction(wrapped)
        if not _alike(wrapped.observation_space, self.model.observation_space):
            raise ConfigurationError(
                f"The policy was trained on {self.model.observation_space}; the environment shows "
                f"{env.observation_space}. Give the wrappers and settings that it was trained with."
            )
        if wrapped.action_space != self.model.action_space:
            raise ConfigurationError(
                f"The policy acts in {self.model.action_space}; the environment takes {env.action_space}. Give the "
                "wrappers and settings that it was trained with."
            )
        return wrapped

    def reset(self, seed: int) -> None:
        """Forget the last episode; where the policy draws its actions, the draws come from `seed`."""
        self._state, self._starts = None, True
        if not self.deterministic:
            import torch

            torch.manual_seed(seed)

    def act(self, observation: Mapping[str, Any]) -> Any:
        """Return the policy's action."""
        start = np.array([self._starts])
        action, self._state = self.model.predict(
            dict(observation), state=self._state, episode_start=start, deterministic=self.deterministic
        )
        self._starts = False
        return action


def _alike(environment: gym.Space, policy: gym.Space) -> bool:
    """Whether a policy takes what an environment shows; Stable-Baselines3 keeps images with their channels first."""
    if not isinstance(environment, gym.spaces.Dict) or not isinstance(policy, gym.spaces.Dict):
        return environment == policy
    if set(environment.spaces) != set(policy.spaces):
        return False
    for name, space in environment.spaces.items():
        target = policy.spaces[name]
        if isinstance(space, gym.spaces.Box) and space.dtype == np.uint8 and len(space.shape) == 3 and space != target:
            space = gym.spaces.Box(0, 255, (space.shape[2], *space.shape[:2]), np.uint8)
        if space != target:
            return False
    return True


def _algorithm(path: Path) -> str:
    """Return which algorithm wrote a model, from the plain text in its file; nothing in it is executed."""
    if not path.is_file():
        raise ConfigurationError(f"There is no model {str(path)!r}. Give the zip that model.save(...) wrote.")
    try:
        with zipfile.ZipFile(path) as file:
            if file.getinfo("data").file_size > 2**28:
                raise ConfigurationError(f"{path}: its data are larger than a model's; it is not read.")
            data = json.loads(file.read("data"))
        policy = str(data["policy_class"].get("__module__", ""))
    except (OSError, KeyError, ValueError, AttributeError, TypeError, RecursionError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"{path} is not a model of Stable-Baselines3 ({type(error).__name__}: {error}); expected the zip that "
            "model.save(...) wrote."
        ) from error
    if "recurrent" in policy:
        return "RecurrentPPO"
    if "maskable" in policy:
        return "MaskablePPO"
    for key, name in (
        ("clip_range", "PPO"),
        ("exploration_fraction", "DQN"),
        ("target_entropy", "SAC"),
        ("policy_delay", "TD3"),
        ("gae_lambda", "A2C"),
    ):
        if key in data:
            return name
    raise ConfigurationError(f"{path} holds an algorithm that is not known; expected {', '.join(_TRACES)}.")
