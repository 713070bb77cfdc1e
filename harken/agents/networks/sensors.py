"""What a sensor's values become before a network sees them; every network takes them from here."""

import math
from typing import Literal

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from harken.envs.waypoints import ACTION_MASK, DETOURS
from harken.errors import ConfigurationError
from harken.sound.interaural import LAGS

__all__ = ["PRIVILEGED", "UNSEEN", "SensorKind", "sensor_input", "sensor_kind", "sensor_size"]

SensorKind = Literal["image", "spectrogram", "cues", "vector"]
"""How a network takes a sensor: through convolutions over space, over frequency and time, through layers that connect
all with all, or as the numbers that they are."""

PRIVILEGED = frozenset({"oracle", "quiet_oracle", "goal_category", "goal_location", "way_location", DETOURS})
"""Sensors for teachers and labels of what is predicted, which no policy knows."""

UNSEEN = PRIVILEGED | {ACTION_MASK}
"""What no network sees; policies obey the mask of actions."""

QUIETEST = 1e-6
"""Intensity below which places of the acoustic map are alike: 60 dB below a clip of RMS 1 at a metre."""

DECADES = 5.0
"""Decades of intensity above `QUIETEST` that become one."""

FARTHEST = 10.0
"""Distance that becomes one [m]: about as far as one sees in a home."""

FAINTEST = 0.03
"""Magnitude of a spectrogram below which little is told apart: about the mean of what an agent hears."""

NEPERS = 2.0
"""Level that becomes one, above that of `FAINTEST` [Np]: 17 dB."""

DECIBELS = 10.0
"""Difference of levels that becomes one [dB]."""

FAINTEST_LEVEL = -80.0
"""Level in a band that becomes zero [dB re 1], and what lies below it; one that is 40 dB higher becomes one."""

LOUD = 50.0
"""Level of noise that becomes one [dB(A)]."""

LONGEST = 100.0
"""Time after which an episode's clock has fallen to 1/e [s]."""


def sensor_kind(name: str, space: gym.Space) -> SensorKind:
    """Return how a network takes a sensor.

    Raises:
        ConfigurationError: The space is neither an array nor a choice.
    """
    if not isinstance(space, gym.spaces.Box | gym.spaces.Discrete):
        raise ConfigurationError(f"Sensor {name!r} is {space}; a network takes a Box or a Discrete.")
    if name == "spectrogram":
        return "spectrogram"
    if name == "interaural":
        return "cues"
    return "image" if isinstance(space, gym.spaces.Box) and len(space.shape) == 3 else "vector"


def sensor_size(name: str, space: gym.Space) -> tuple[int, ...]:
    """Return the shape of one observation after `sensor_input`: ``(channels, height, width)`` or ``(numbers,)``.

    Raises:
        ConfigurationError: The space is neither an array nor a choice.
    """
    if sensor_kind(name, space) in ("vector", "cues"):
        return (_numbers(name, space),)
    height, width, channels = _channels_last(space)
    return (channels, height, width)


def sensor_input(name: str, space: gym.Space, values: Tensor) -> Tensor:
    """Return a sensor's values as a network takes them, of the order of one.

    Images of bytes are divided by 255, depth by its range, what the world knows in metres by ten, and levels of noise
    by fifty. Headings become cosine and sine, time an exponential that falls, choices one number each. Spectrograms,
    intensities and the levels of "interaural" become levels of another scale.

    Args:
        name: Name of the sensor.
        space: Its space, with channels first or last.
        values: ``(n, …)`` its values, a choice as a number or as one number for each already.

    Returns:
        ``(n, *sensor_size(name, space))`` float32.
    """
    if isinstance(space, gym.spaces.Discrete):
        if values.ndim > 1 and values.shape[-1] == space.n and space.n > 1:
            return values.float().flatten(1)
        return torch.nn.functional.one_hot(values.long().flatten() - int(space.start), int(space.n)).float()
    assert isinstance(space, gym.spaces.Box)
    values = values.float()
    if sensor_kind(name, space) in ("image", "spectrogram"):
        if not _is_channels_first(space):
            values = values.movedim(-1, 1)
        if name == "spectrogram":
            return _levels(values)
        if name == "acoustic_map":
            return torch.log1p(values / QUIETEST) / (DECADES * math.log(10.0))
        return values / float(np.max(space.high))
    values = values.flatten(1)
    if name == "pose":
        ahead_and_left, heading, time = values[:, :2] / FARTHEST, values[:, 2:3], values[:, 3:4]
        return torch.cat([ahead_and_left, heading.cos(), heading.sin(), torch.exp(-time / LONGEST)], dim=1)
    if name == "pointgoal":
        return values / FARTHEST
    if name == "interaural":
        cues = values.unflatten(1, (-1, LAGS + 2))
        correlation, difference, level = cues[..., :LAGS], cues[..., LAGS:-1] / DECIBELS, cues[..., -1:]
        level = torch.clamp((level - FAINTEST_LEVEL) / (4.0 * DECIBELS), 0.0)
        return torch.cat([correlation, difference, level], dim=2).flatten(1)
    if name == "people":  # of each whether there is one, then metres
        return values / values.new_tensor([1.0, FARTHEST, FARTHEST]).repeat(values.shape[1] // 3)
    if name == "noise":
        return values / LOUD
    return values


def _levels(spectrogram: Tensor) -> Tensor:
    """Return the levels of a spectrogram ``(n, channels, frequencies, frames)``; of two ears their mean and difference.

    The sensor shows log(1 + x) of magnitudes x that mostly lie below 0.1, where that is x itself: a quiet telephone and
    a near one differ by a factor of a hundred, and the ears by a tenth of what is left. In levels both are of the
    order of one, whatever the loudness.
    """
    levels = (torch.log(torch.expm1(spectrogram) + FAINTEST) - math.log(FAINTEST)) / NEPERS
    if levels.shape[1] != 2:
        return levels
    left, right = levels[:, :1], levels[:, 1:]
    return torch.cat([0.5 * (left + right), 2.0 * (left - right)], dim=1)


def _numbers(name: str, space: gym.Space) -> int:
    if isinstance(space, gym.spaces.Discrete):
        return int(space.n)
    return 5 if name == "pose" else int(np.prod(space.shape or ()))


def _is_channels_first(space: gym.Space) -> bool:
    """Whether Stable-Baselines3 has moved the channels of a picture to the front."""
    return space.dtype == np.uint8 and space.shape is not None and space.shape[0] in (1, 2, 3) and space.shape[2] > 3


def _channels_last(space: gym.Space) -> tuple[int, int, int]:
    assert space.shape is not None
    one, two, three = space.shape
    return (two, three, one) if _is_channels_first(space) else (one, two, three)
