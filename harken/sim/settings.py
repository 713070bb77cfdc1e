"""Settings of bodies and worlds, as tasks contain them."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from harken.acoustics import AcousticSettings
from harken.checks import angle, check_settings
from harken.errors import ConfigurationError
from harken.scene import Body
from harken.vision import Camera

__all__ = ["BodySettings", "Engine", "Motion", "WorldSettings"]

Motion = Literal["continuous", "grid"]
"""Whether bodies move freely or from node to node of a grid."""

Engine = Literal["harken", "soundspaces2"]
"""The engine that propagates sound: Harken's, or that of SoundSpaces 2.0 with its settings for navigation (``pip
install harken[soundspaces]``, Linux on x86-64, CC-BY-NC-4.0)."""


@dataclass(frozen=True, kw_only=True)
class WorldSettings:
    """Settings of a world. Requests for the same scene with equal settings share one world."""

    size: Body = Body()
    """Size of the bodies that walk in it."""
    ear_height: float = 1.5
    """Height of ears and sound sources above the floor [m], 0.1–3."""
    motion: Motion = "continuous"
    """Whether bodies move freely or from node to node of a grid."""
    grid_spacing: float = 1.0
    """Distance between the nodes of the grid [m], 0.1–10."""
    propagation: Engine = "harken"
    """Engine that propagates sound."""
    acoustics: AcousticSettings = field(default_factory=AcousticSettings)
    """How sound is propagated."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(self, ear_height=(0.1, 3.0), grid_spacing=(0.1, 10.0))


@dataclass(frozen=True, kw_only=True)
class BodySettings:
    """Settings of a body: how it moves, and where its camera and ears are."""

    motion: Motion = "continuous"
    """Whether it moves freely or from node to node of a grid."""
    forward_step: float = 0.25
    """Length of a step ahead, and the spacing of the grid's nodes [m], up to 10."""
    turn_angle: float = angle(np.pi / 18)
    """Angle of a turn [rad]; a quarter turn on a grid."""
    eye_height: float = 1.5
    """Height of the camera above the floor [m], 0.1–3."""
    ear_height: float = 1.5
    """Height of the ears above the floor [m], 0.1–3."""
    size: Body = Body()
    """Its size."""
    camera: Camera = Camera()
    """Its camera."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            forward_step=(1e-3, 10.0),
            turn_angle=(1e-3, 2 * np.pi),
            eye_height=(0.1, 3.0),
            ear_height=(0.1, 3.0),
        )
        if self.motion == "grid" and abs(self.turn_angle - np.pi / 2) > 1e-9:
            raise ConfigurationError(
                f"Setting turn_angle is {self.turn_angle:g} rad and motion 'grid'; expected a quarter turn, "
                "turn_angle_degrees: 90 in a file, because a grid has four headings."
            )

    @property
    def turns(self) -> int:
        """Number of turns in a full circle."""
        return round(2 * np.pi / self.turn_angle)

    def world(self, acoustics: AcousticSettings | None = None, propagation: Engine = "harken") -> WorldSettings:
        """Return the settings of the world in which such a body lives.

        Args:
            acoustics: How sound is propagated.
            propagation: Engine that propagates it.
        """
        return WorldSettings(
            size=self.size,
            ear_height=self.ear_height,
            motion=self.motion,
            # Bodies that move freely share a world regardless of their step length.
            grid_spacing=self.forward_step if self.motion == "grid" else 1.0,
            propagation=propagation,
            acoustics=AcousticSettings() if acoustics is None else acoustics,
        )
