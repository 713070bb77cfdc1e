"""The network of Dav-Nav (Younes et al. 2023, "Catch me if you hear me"): sound and map meet early, in space."""

from collections.abc import Mapping
from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn
from torch.nn import functional

from harken.agents.networks.av_nav import AvNavEncoder, convolutions
from harken.agents.networks.av_wan import AvWanSize
from harken.agents.networks.sensors import UNSEEN, sensor_input, sensor_size
from harken.errors import ConfigurationError

__all__ = ["DavNavEncoder", "DavNavSize"]

MAP = "geometric_map"
"""The sensor with which the sound is fused."""

SOUNDS = "spectrogram", "interaural"
"""Sensors that hear."""

SPREAD = (32, 16, 2)
"""Filters of the layers that spread the sound over the map, each of which doubles height and width; the last ones are
the published two channels."""


@dataclass(frozen=True, kw_only=True)
class DavNavSize(AvWanSize):
    """Sizes of the network. The defaults are the published ones; there is no acoustic map."""

    @staticmethod
    def small() -> "DavNavSize":
        """Return sizes for training on a few CPU cores, at geometric maps of 64 × 64."""
        few = AvWanSize.small()
        return DavNavSize(
            image=few.image, spectrogram=few.spectrogram, features=few.features, memory=few.memory,
            geometric=few.geometric,
        )  # fmt: skip

    def encoder(self, space: gym.spaces.Dict) -> nn.Module:
        """Return the encoder of these sizes for some observations."""
        return DavNavEncoder(space, self)


class DavNavEncoder(nn.Module):
    """Turns what is sensed at one moment into features. The sound is spread over the map as two more channels of it.

    Args:
        space: The observations: "geometric_map", and "spectrogram" or "interaural" at least. All else is encoded as in
            `AvNavEncoder`.
        size: Sizes of the layers.

    Attributes:
        width: Number of features.

    Raises:
        ConfigurationError: A sensor is missing, or is too small for the layers.
    """

    def __init__(self, space: gym.spaces.Dict, size: DavNavSize | None = None):
        super().__init__()
        size = size or DavNavSize()
        heard = {name: space.spaces[name] for name in SOUNDS if name in space.spaces}
        missing = [] if MAP in space.spaces else [MAP]
        missing += [] if heard else [" or ".join(SOUNDS)]
        if missing:
            raise ConfigurationError(
                f"The observations are {', '.join(space.spaces)}; Dav-Nav needs {' and '.join(missing)} besides."
            )
        self._map = space.spaces[MAP]
        self._heard = tuple(heard)
        self.sound = AvNavEncoder(gym.spaces.Dict(heard), size)
        channels, height, width = sensor_size(MAP, self._map)
        self._side = (height, width)
        begin = tuple(max(1, side // 2 ** len(SPREAD)) for side in self._side)
        modules: list[nn.Module] = [
            nn.Linear(self.sound.width, SPREAD[0] * begin[0] * begin[1]), nn.ReLU(),
            nn.Unflatten(1, (SPREAD[0], *begin)),
        ]  # fmt: skip
        for filters, onward in zip((SPREAD[0], *SPREAD), SPREAD, strict=False):
            modules += [nn.ConvTranspose2d(filters, onward, 4, stride=2, padding=1), nn.ReLU()]
        self.spread = nn.Sequential(*modules[:-1])
        self.fused = convolutions((channels + SPREAD[-1], height, width), size.geometric, size.features)
        rest = {name: part for name, part in space.spaces.items() if name not in {MAP, *heard} | UNSEEN}
        self.rest = AvNavEncoder(gym.spaces.Dict(rest), size) if rest else None
        self.width = self.sound.width + size.features + (0 if self.rest is None else self.rest.width)

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return ``(n, width)`` features of ``(n, …)`` observations."""
        sound = self.sound({name: observations[name] for name in self._heard})
        spread = functional.interpolate(self.spread(sound), size=self._side)
        shown = sensor_input(MAP, self._map, observations[MAP])
        fused = self.fused(torch.cat([shown, spread], dim=1))
        rest = [] if self.rest is None else [self.rest(observations)]
        return torch.cat([*rest, sound, fused], dim=1)
