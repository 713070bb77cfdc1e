"""Cameras: image size, field of view and projection."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from harken.checks import angle, check_settings
from harken.errors import ConfigurationError

__all__ = ["Camera"]

_LARGEST = 16384
# A colour image of so many pixels takes about 1.5 GB while it is made.
_MOST_PIXELS = 2**26


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Projection and image size of a view, without the pose."""

    width: int = 128
    """Columns of the image, 1–16384; the image has at most 67 million pixels."""
    height: int = 128
    """Rows of the image, 1–16384."""
    field_of_view: float = angle(math.pi / 2)
    """Horizontal angle of view of a pinhole camera [rad], between 0 and π; a panorama sees everything."""
    projection: Literal["pinhole", "equirectangular"] = "pinhole"
    """``"pinhole"`` has square pixels; ``"equirectangular"`` spans 2π × π, its centre column along the heading."""

    def __post_init__(self) -> None:
        """Check every field."""
        check_settings(self, width=(1, _LARGEST), height=(1, _LARGEST))
        if self.width * self.height > _MOST_PIXELS:
            raise ConfigurationError(
                f"Camera: width {self.width} by height {self.height} are {self.width * self.height:,} pixels; expected "
                f"at most {_MOST_PIXELS:,}. Take several views of a narrower field."
            )
        if not 0.0 < self.field_of_view < math.pi:
            raise ConfigurationError(
                f"Camera: field_of_view is {self.field_of_view!r}; expected the horizontal angle in radians, between 0 "
                "and π (math.radians(90) for 90 degrees)."
            )

    @cached_property
    def columns(self) -> np.ndarray:
        """``(width, 2)`` float32: shares of the directions right and forward in the rays of each column."""
        across = (np.arange(self.width) + 0.5) / self.width * 2.0 - 1.0
        if self.projection == "pinhole":
            x = across * math.tan(self.field_of_view / 2)
            return np.stack([x, np.ones_like(x)], 1).astype(np.float32)
        return np.stack([np.sin(across * math.pi), np.cos(across * math.pi)], 1).astype(np.float32)

    @cached_property
    def rows(self) -> np.ndarray:
        """``(height, 2)`` float32: weight of the column's direction and share of up in the rays of each row."""
        down = (np.arange(self.height) + 0.5) / self.height * 2.0 - 1.0
        if self.projection == "pinhole":
            y = -down * math.tan(self.field_of_view / 2) * self.height / self.width
            return np.stack([np.ones_like(y), y], 1).astype(np.float32)
        return np.stack([np.cos(down * math.pi / 2), -np.sin(down * math.pi / 2)], 1).astype(np.float32)

    @property
    def pixel_angle(self) -> float:
        """Angle between neighbouring pixels at the centre of the image [rad]."""
        if self.projection == "pinhole":
            return 2.0 * math.tan(self.field_of_view / 2) / self.width
        return 2.0 * math.pi / self.width
