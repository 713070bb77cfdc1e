"""The network of AV-WaN (Chen et al. 2021, "Learning to set waypoints for audio-visual navigation")."""

from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn

from harken.agents.networks.av_nav import AvNavEncoder, AvNavSize, Convolution, convolutions
from harken.agents.networks.sensors import sensor_input, sensor_size
from harken.errors import ConfigurationError

__all__ = ["MAPS", "AvWanEncoder", "AvWanSize"]

MAPS = "geometric_map", "acoustic_map"
"""Sensors that are maps."""

PUBLISHED_GEOMETRIC = tuple(
    Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((32, 8, 4), (64, 4, 2), (32, 3, 1))
)
"""Layers over the geometric map of 200 × 200 in the published code."""

PUBLISHED_ACOUSTIC = tuple(
    Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((32, 5, 2), (64, 3, 1), (32, 3, 1))
)
"""Layers over the acoustic map of 20 × 20 in the published code."""


@dataclass(frozen=True, kw_only=True)
class AvWanSize(AvNavSize):
    """Sizes of the network. The defaults are the published ones."""

    geometric: tuple[Convolution, ...] = PUBLISHED_GEOMETRIC
    """Layers over the geometric map."""
    acoustic: tuple[Convolution, ...] = PUBLISHED_ACOUSTIC
    """Layers over the acoustic map."""

    @staticmethod
    def small() -> "AvWanSize":
        """Return sizes for training on a few CPU cores, at geometric maps of 64 × 64."""
        few = AvNavSize.small()
        geometric, acoustic = (
            tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in layers)
            for layers in (((16, 8, 4), (32, 4, 2), (32, 3, 1)), ((16, 5, 2), (32, 3, 1), (32, 3, 1)))
        )
        return AvWanSize(
            image=few.image, spectrogram=few.spectrogram, features=few.features, memory=few.memory,
            geometric=geometric, acoustic=acoustic,
        )  # fmt: skip

    def encoder(self, space: gym.spaces.Dict) -> nn.Module:
        """Return the encoder of these sizes for some observations."""
        return AvWanEncoder(space, self)


class AvWanEncoder(nn.Module):
    """Turns what is sensed at one moment into features; maps, sound and images have convolutions of their own.

    What is no map is encoded as in `AvNavEncoder`. Images are optional: the released agent sees depth in its map alone.

    Args:
        space: The observations.
        size: Sizes of the layers.

    Attributes:
        width: Number of features.

    Raises:
        ConfigurationError: There is no map, nothing else is sensed, or something is too small for the layers.
    """

    def __init__(self, space: gym.spaces.Dict, size: AvWanSize | None = None):
        super().__init__()
        size = size or AvWanSize()
        self._maps = {name: space.spaces[name] for name in MAPS if name in space.spaces}
        if not self._maps:
            raise ConfigurationError(f"The observations are {space}; AV-WaN needs a map: {' or '.join(MAPS)}.")
        rest = {name: part for name, part in space.spaces.items() if name not in MAPS}
        self.senses = AvNavEncoder(gym.spaces.Dict(rest), size)
        layers = dict(zip(MAPS, (size.geometric, size.acoustic), strict=True))
        made = {}
        for name, part in self._maps.items():
            channels, height, width = sensor_size(name, part)
            made[name] = convolutions((channels, height, width), layers[name], size.features)
        self.maps = nn.ModuleDict(made)
        self.width = self.senses.width + size.features * len(made)

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return ``(n, width)`` features of ``(n, …)`` observations."""
        maps = [
            self.maps[name](sensor_input(name, part, observations[name])) for name, part in self._maps.items()
        ]  # fmt: skip
        return torch.cat([self.senses(observations), *maps], dim=1)
