"""One cause changed in otherwise the same episode: does an agent need what it senses?"""

from collections.abc import Mapping
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np

from harken.errors import ConfigurationError, UnknownNameError
from harken.sound.interaural import BANDS, ears_exchanged, silent_cues

__all__ = ["INTERVENTIONS", "Intervention", "InterventionName"]

InterventionName = Literal["mute", "swap-ears", "constant-sound", "shuffle-time", "dark"]
"""What is changed: no sound; left and right exchanged; the first moment's sound all the time; the sound of an earlier
moment, drawn at random; no images."""

INTERVENTIONS: dict[str, str] = {
    "mute": "nothing is heard",
    "swap-ears": "left and right ear exchanged",
    "constant-sound": "what was heard first is heard all the time",
    "shuffle-time": "what is heard comes from a random earlier step",
    "dark": "nothing is seen",
}
"""The interventions in words."""

EARS = ("waveform", "spectrogram", "interaural")
"""Sensors that hear with both ears."""

SOUNDS = (*EARS, "acoustic_map")
"""Sensors that hear."""

IMAGES = ("rgb", "depth", "semantic", "geometric_map")
"""Sensors that see."""


class Intervention(gym.ObservationWrapper[Any, Any, Any], gym.utils.RecordConstructorArgs):
    """Changes one thing about what is sensed; the world, the episode and all else stay as they are.

    Since a simulator that is deterministic plays the same episode again, the difference between an evaluation with
    and one without an intervention has that one cause.

    Args:
        env: An environment with a ``Dict`` of observations.
        name: What is changed.

    Raises:
        UnknownNameError: There is no such intervention.
        ConfigurationError: Nothing of what it changes is sensed.
    """

    def __init__(self, env: gym.Env, name: InterventionName):
        gym.utils.RecordConstructorArgs.__init__(self, name=name)
        gym.ObservationWrapper.__init__(self, env)
        if name not in get_args(InterventionName):
            raise UnknownNameError("intervention", name, get_args(InterventionName))
        assert isinstance(env.observation_space, gym.spaces.Dict)
        concerned = {"dark": IMAGES, "swap-ears": EARS}.get(name, SOUNDS)
        self.name = name
        self._changed = [sensor for sensor in concerned if sensor in env.observation_space.spaces]
        if not self._changed:
            raise ConfigurationError(
                f"The intervention {name!r} changes {', '.join(concerned)}; the environment shows only "
                f"{', '.join(env.observation_space.spaces)}."
            )
        self._random = np.random.default_rng(0)
        self._heard: list[dict[str, np.ndarray]] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Start an episode; the draws of "shuffle-time" come from `seed`."""
        self._random = np.random.default_rng(seed)
        self._heard = []
        return super().reset(seed=seed, options=options)

    def observation(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return the observation with its change."""
        now = {sensor: observation[sensor] for sensor in self._changed}
        if self.name in ("mute", "dark"):
            changed = {sensor: _nothing(sensor, value) for sensor, value in now.items()}
        elif self.name == "swap-ears":
            changed = {sensor: _swapped(sensor, value) for sensor, value in now.items()}
        else:
            if self.name == "shuffle-time" or not self._heard:
                self._heard.append(now)
            which = int(self._random.integers(len(self._heard))) if self.name == "shuffle-time" else 0
            changed = {sensor: value.copy() for sensor, value in self._heard[which].items()}
        return {**observation, **changed}


def _nothing(sensor: str, value: np.ndarray) -> np.ndarray:
    """Return what a sensor shows in silence or in the dark."""
    return silent_cues().ravel() if sensor == "interaural" else np.zeros_like(value)


def _swapped(sensor: str, value: np.ndarray) -> np.ndarray:
    """Return what a sensor shows with left and right exchanged."""
    if sensor == "interaural":
        return ears_exchanged(value.reshape(len(BANDS), -1)).ravel()
    return np.flip(value, 0 if sensor == "waveform" else -1).copy()
