"""Observations and actions in the form that Stable-Baselines3's default policies understand."""

from typing import Any

import gymnasium as gym
import numpy as np

from harken.errors import ActionError, ConfigurationError

__all__ = ["StableBaselinesAction", "StableBaselinesObservation"]


class StableBaselinesObservation(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    """Turn float images of at least 36 × 36 into uint8 images and other float arrays into vectors.

    Stable-Baselines3's ``MultiInputPolicy`` sends only uint8 images to its convolutions and flattens the rest, and its
    checker warns of float images. Depth becomes 0–255 over its range; waveform and spectrogram become vectors, unless a
    features extractor of your own takes them as they are, for which this wrapper is not needed.

    Args:
        env: An environment with a ``Dict`` of observations.
    """

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ObservationWrapper.__init__(self, env)
        assert isinstance(env.observation_space, gym.spaces.Dict)
        self._space = env.observation_space
        self.observation_space = gym.spaces.Dict(
            {name: _flat_space(space) for name, space in self._space.spaces.items()}
        )

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return the observation in its new form."""
        return {name: _flat(self._space[name], value) for name, value in observation.items()}


class StableBaselinesAction(gym.ActionWrapper, gym.utils.RecordConstructorArgs):
    """Turn a ``Dict`` of actions into one vector: Stable-Baselines3 knows no ``Dict`` of actions.

    The vector lies in −1…1. Of a ``Box`` it has every number, from its least to its greatest value, and of a
    ``Discrete`` one number for each choice, of which the largest is taken; parts follow in the order of their names.

    Args:
        env: An environment with a ``Dict`` of ``Box`` and ``Discrete`` actions.

    Raises:
        ConfigurationError: The actions are something else, or a ``Box`` has no bounds.
    """

    def __init__(self, env: gym.Env):
        gym.utils.RecordConstructorArgs.__init__(self)
        gym.ActionWrapper.__init__(self, env)
        space = env.action_space
        kinds = (gym.spaces.Box, gym.spaces.Discrete)
        if not isinstance(space, gym.spaces.Dict) or not all(isinstance(s, kinds) for s in space.spaces.values()):
            raise ConfigurationError(f"Actions are {space}; expected a Dict of Box and Discrete.")
        for name, part in space.spaces.items():
            if isinstance(part, gym.spaces.Box) and not part.is_bounded():
                raise ConfigurationError(f"The action {name!r} is {part}; expected bounds, which −1 and 1 stand for.")
        self._space = space
        self._sizes = {name: _numbers(part) for name, part in space.spaces.items()}
        self.action_space = gym.spaces.Box(-1.0, 1.0, (sum(self._sizes.values()),), np.float32)

    def action(self, action: np.ndarray) -> dict[str, Any]:
        """Return the actions of the environment.

        Raises:
            ActionError: The vector has another shape, or is not finite.
        """
        vector = np.asarray(action, np.float32)
        if vector.shape != self.action_space.shape or not np.isfinite(vector).all():
            raise ActionError(
                f"An action of shape {vector.shape} was given, or one that is not finite; expected finite numbers of "
                f"shape {self.action_space.shape}."
            )
        parts = np.split(vector, np.cumsum(list(self._sizes.values()))[:-1])
        return {
            name: _unflat(space, part) for (name, space), part in zip(self._space.spaces.items(), parts, strict=True)
        }


def _numbers(space: gym.Space) -> int:
    return int(space.n) if isinstance(space, gym.spaces.Discrete) else int(np.prod(space.shape or ()))


def _unflat(space: gym.Space, part: np.ndarray) -> Any:
    if isinstance(space, gym.spaces.Discrete):
        return np.int64(space.start + part.argmax())
    assert isinstance(space, gym.spaces.Box)
    share = 0.5 * (np.clip(part, -1.0, 1.0).reshape(space.shape) + 1.0)
    return (space.low + share * (space.high - space.low)).astype(space.dtype)


SMALLEST_IMAGE = 36
"""Least height and width that Stable-Baselines3's convolutions take."""


def _is_image(space: gym.Space) -> bool:
    if not isinstance(space, gym.spaces.Box) or len(space.shape) != 3:
        return False
    height, width, channels = space.shape
    return channels in (1, 3) and min(height, width) >= SMALLEST_IMAGE


def _flat_space(space: gym.Space) -> gym.Space:
    if not isinstance(space, gym.spaces.Box) or space.dtype == np.uint8:
        return space
    if _is_image(space):
        return gym.spaces.Box(0, 255, space.shape, np.uint8)
    return gym.spaces.Box(space.low.min(), space.high.max(), (int(np.prod(space.shape)),), np.float32)


def _flat(space: gym.Space, value: Any) -> Any:
    if not isinstance(space, gym.spaces.Box) or space.dtype == np.uint8:
        return value
    if not _is_image(space):
        return np.asarray(value, np.float32).reshape(-1)
    if np.issubdtype(space.dtype, np.integer):
        return np.minimum(value, 255).astype(np.uint8)
    return np.round(value * (255.0 / space.high.max())).astype(np.uint8)
