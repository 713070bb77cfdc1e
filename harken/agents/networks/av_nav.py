"""The network of AV-Nav (Chen et al. 2020), the first agent that found its way by sound and sight."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gymnasium as gym
import torch
from torch import Tensor, nn

from harken.agents.networks.sensors import UNSEEN, sensor_input, sensor_kind, sensor_size
from harken.checks import check_settings
from harken.errors import ConfigurationError

__all__ = ["PUBLISHED_SOUND", "AvNavEncoder", "AvNavSize", "Convolution", "connected", "convolutions"]


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """One layer of convolutions."""

    filters: int
    """Number of filters."""
    kernel: int
    """Width and height of a filter."""
    stride: int
    """Step between its places."""


PUBLISHED = tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((32, 8, 4), (64, 4, 2), (64, 3, 2)))
"""Layers over images in the published code, with a stride of two in the last."""

PUBLISHED_SOUND = tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((32, 5, 2), (64, 3, 2), (64, 3, 1)))
"""Layers over spectrograms of 16 kHz in the published code."""


@dataclass(frozen=True, kw_only=True)
class AvNavSize:
    """Sizes of the network. The defaults are the published ones."""

    image: tuple[Convolution, ...] = PUBLISHED
    """Layers over images."""
    spectrogram: tuple[Convolution, ...] = PUBLISHED_SOUND
    """Layers over spectrograms."""
    features: int = 512
    """Numbers that each of the two becomes, and interaural cues."""
    memory: int = 512
    """Units of the recurrent layer."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(self, features=(1, 65_536), memory=(1, 65_536))

    @staticmethod
    def small() -> "AvNavSize":
        """Return sizes for training on a few CPU cores, at images of 64 × 64."""
        image = tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((16, 8, 4), (32, 4, 2), (32, 3, 1)))
        sound = tuple(Convolution(filters=f, kernel=k, stride=s) for f, k, s in ((16, 5, 2), (32, 3, 2), (32, 3, 2)))
        return AvNavSize(image=image, spectrogram=sound, features=128, memory=256)

    def encoder(self, space: gym.spaces.Dict) -> nn.Module:
        """Return the encoder of these sizes for some observations."""
        return AvNavEncoder(space, self)


class AvNavEncoder(nn.Module):
    """Turns what is sensed at one moment into features; images and spectrograms go through convolutions of their own.

    All images (colour, depth) are stacked as channels of one, as in the published code. Interaural cues go through two
    layers. Numbers such as the way to the goal are appended as they are. Privileged sensors are left out.

    Args:
        space: The observations.
        size: Sizes of the layers.

    Attributes:
        width: Number of features.

    Raises:
        ConfigurationError: Nothing can be sensed, images differ in size, or are too small for the layers.
    """

    def __init__(self, space: gym.spaces.Dict, size: AvNavSize | None = None):
        super().__init__()
        size = size or AvNavSize()
        self._spaces = {name: part for name, part in space.spaces.items() if name not in UNSEEN}
        if not self._spaces:
            raise ConfigurationError(f"The observations are {space}; a network needs at least one sensor to see.")
        kinds = {name: sensor_kind(name, part) for name, part in self._spaces.items()}
        self.images = [name for name, kind in kinds.items() if kind == "image"]
        self.spectrograms = [name for name, kind in kinds.items() if kind == "spectrogram"]
        self.vectors = [name for name, kind in kinds.items() if kind == "vector"]
        self.cues = [name for name, kind in kinds.items() if kind == "cues"]
        self.width = sum(sensor_size(name, self._spaces[name])[0] for name in self.vectors)
        self.image = self.spectrogram = self.interaural = None
        if self.images:
            self.image = convolutions(self._stacked(self.images), size.image, size.features)
            self.width += size.features
        if self.spectrograms:
            self.spectrogram = convolutions(
                self._stacked(self.spectrograms), size.spectrogram, size.features, shortened=True
            )
            self.width += size.features

        if self.cues:
            count = sum(sensor_size(name, self._spaces[name])[0] for name in self.cues)
            self.interaural = connected(count, size.features, size.features)
            self.width += size.features

    def _stacked(self, names: Sequence[str]) -> tuple[int, int, int]:
        """Return the shape of several images as the channels of one."""
        shapes = {name: sensor_size(name, self._spaces[name]) for name in names}
        if len({shape[1:] for shape in shapes.values()}) != 1:
            raise ConfigurationError(f"Images have the shapes {shapes}; expected the same height and width.")
        _, height, width = next(iter(shapes.values()))
        return sum(shape[0] for shape in shapes.values()), height, width

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Return ``(n, width)`` features of ``(n, …)`` observations."""
        parts = [sensor_input(name, self._spaces[name], observations[name]) for name in self.vectors]
        for layers, names in (
            (self.spectrogram, self.spectrograms), (self.image, self.images), (self.interaural, self.cues)
        ):  # fmt: skip
            if layers is not None:
                inputs = [sensor_input(name, self._spaces[name], observations[name]) for name in names]
                parts.append(layers(torch.cat(inputs, dim=1)))
        return torch.cat(parts, dim=1)


def convolutions(
    shape: tuple[int, int, int], layers: Sequence[Convolution], features: int, *, shortened: bool = False
) -> nn.Sequential:
    """Return convolutions with rectifiers, except after the last as published, and a layer that connects all.

    It takes images ``(n, *shape)`` and returns ``(n, features)``.

    Filters may be shortened to what is left of a side: what is heard in one step may be only a few frames long.
    """
    channels, height, width = shape
    modules: list[nn.Module] = []
    for layer in layers:
        kernel = (layer.kernel, layer.kernel)
        if shortened:
            kernel = (min(layer.kernel, height), min(layer.kernel, width))
        modules += [nn.Conv2d(channels, layer.filters, kernel, layer.stride), nn.ReLU()]
        channels = layer.filters
        height, width = (
            (side - length) // layer.stride + 1 for side, length in zip((height, width), kernel, strict=True)
        )
        if height < 1 or width < 1:
            raise ConfigurationError(
                f"An image of {shape[1]} x {shape[2]} is too small for the layers {tuple(layers)}; use a larger image "
                "or the small sizes."
            )
    modules[-1:] = [nn.Flatten(), nn.Linear(channels * height * width, features), nn.ReLU()]
    return _rectified(*modules)


def connected(*counts: int) -> nn.Sequential:
    """Return layers with rectifiers that connect all with all: ``(n, first)`` becomes ``(n, last)`` numbers."""
    modules: list[nn.Module] = []
    for count, onward in itertools.pairwise(counts):
        modules += [nn.Linear(count, onward), nn.ReLU()]
    return _rectified(*modules)


def _rectified(*modules: nn.Module) -> nn.Sequential:
    """Return layers between rectifiers, with weights as He et al. (2015) draw them."""
    network = nn.Sequential(*modules)
    for module in network:
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return network
