"""The position of a camera on a body."""

from dataclasses import dataclass

import numpy as np

from harken.checks import angle, check_settings
from harken.scene.ground import forward_vector

__all__ = ["Mount"]


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Where on the body a camera sits and which way it looks, relative to the body's feet and heading."""

    height: float = 1.5
    """Height above the floor [m]."""
    ahead: float = 0.0
    """Distance ahead of the body's axis [m]."""
    left: float = 0.0
    """Distance to the left of the body's axis [m]."""
    yaw: float = angle(0.0)
    """Angle to the left of the heading [rad]."""
    pitch: float = angle(0.0)
    """Angle upwards [rad]."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_settings(self, height=(-100.0, 100.0), ahead=(-100.0, 100.0), left=(-100.0, 100.0))

    def eye(self, position: np.ndarray, heading: float) -> np.ndarray:
        """Return where the camera is ``(3,)`` [m], for a body at a position ``(3,)`` that faces a heading [rad]."""
        ahead, left = forward_vector(heading), forward_vector(heading + np.pi / 2)
        return position + self.ahead * ahead + self.left * left + [0.0, self.height, 0.0]
