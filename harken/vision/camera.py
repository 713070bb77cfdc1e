"""Cameras: image size, field of view and projection."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from harken.checks import angle
from harken.errors import ConfigurationError, UnknownNameError

__all__ = ["Camera"]

_PROJECTIONS = ("pinhole", "equirectangular")
_LARGEST = 16384


@dataclass(frozen=True, kw_only=True)
class Camera:
    """How a view is taken; where from is said when it is taken."""

    width: int = 128
    """Columns of the image."""
    height: int = 128
    """Rows of the image."""
    field_of_view: float = angle(math.pi / 2)
    """Horizontal angle of view of a pinhole camera [rad], between 0 and π; a panorama sees everything."""
    projection: Literal["pinhole", "equirectangular"] = "pinhole"
    """``"pinhole"`` has square pixels; ``"equirectangular"`` spans 2π × π, its centre column along the heading."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("width", "height"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= _LARGEST:
                raise ConfigurationError(
                    f"Camera: {name} is {value!r}; expected a whole number of pixels from 1 to {_LARGEST}."
                )
        if self.projection not in _PROJECTIONS:
            raise UnknownNameError("projection", self.projection, _PROJECTIONS)
        view = self.field_of_view
        if isinstance(view, bool) or not isinstance(view, int | float | np.number) or not 0.0 < view < math.pi:
            raise ConfigurationError(
                f"Camera: field_of_view is {view!r}; expected the horizontal angle in radians, between 0 and π "
                "(math.radians(90) for 90 degrees)."
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
