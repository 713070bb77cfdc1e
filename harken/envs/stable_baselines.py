"""Observations in the form that Stable-Baselines3's default policies understand."""

from typing import Any

import gymnasium as gym
import numpy as np

__all__ = ["StableBaselinesObservation"]


class StableBaselinesObservation(gym.ObservationWrapper, gym.utils.RecordConstructorArgs):
    """Turn float images into uint8 images and other float arrays into vectors.

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
        self._given = env.observation_space
        self.observation_space = gym.spaces.Dict(
            {name: _flat_space(space) for name, space in self._given.spaces.items()}
        )

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return the observation in its new form."""
        return {name: _flat(self._given[name], value) for name, value in observation.items()}


def _is_image(space: gym.Space) -> bool:
    return isinstance(space, gym.spaces.Box) and len(space.shape) == 3 and space.shape[2] in (1, 3)


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
