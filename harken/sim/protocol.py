"""The interface between a simulated world and the agents and tasks in it."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from harken.acoustics import ImpulseResponse, Listener, Source
from harken.acoustics.engines.echo import EchoSettings
from harken.scene.doors import DoorState
from harken.scene.ground import Ground
from harken.scene.scene import SceneObject
from harken.sim.mount import Mount
from harken.sim.sources import SoundSource
from harken.vision import Camera, Plan

__all__ = ["SimulatorProtocol"]


@runtime_checkable
class SimulatorProtocol(Protocol):
    """One world, one body with camera and ears, the sound sources around it, and time.

    Tasks, environments and evaluation use only this interface.
    """

    position: np.ndarray
    """``(3,)`` where the body stands [m]."""
    heading: float
    """Where it faces [rad], in (−π, π]."""

    @property
    def name(self) -> str:
        """Name of the scene."""
        ...

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories that semantic images count."""
        ...

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        """The things in the world, each with its number, category and box; empty where none are known."""
        ...

    @property
    def ground(self) -> Ground:
        """Where the body can stand and walk."""
        ...

    @property
    def ear_height(self) -> float:
        """Height of the body's ears above the floor [m]."""
        ...

    @property
    def rate(self) -> int:
        """Sampling rate of the sound [Hz]."""
        ...

    @property
    def time(self) -> float:
        """Time since the sources were set [s]."""
        ...

    @property
    def sources(self) -> tuple[SoundSource, ...]:
        """The sound sources."""
        ...

    @property
    def doors(self) -> Mapping[str, DoorState]:
        """How the doors stand, by name; empty where there are none."""
        ...

    def set_doors(self, states: Mapping[str, DoorState], *, anyway: bool = False) -> None:
        """Open or close doors, by name; those that are not named stay as they are.

        A body that stands in the way is an error, or with `anyway` has to be placed again.
        """
        ...

    def door_ahead(self, heading: float | None = None) -> str | None:
        """Return the name of the door that the body can reach, if any, facing as it does or to a heading [rad]."""
        ...

    def place(self, position: np.ndarray, heading: float) -> None:
        """Put the body somewhere."""
        ...

    def move_forward(self, distance: float) -> bool:
        """Walk ahead [m]; returns whether something was in the way."""
        ...

    def turn(self, angle: float) -> None:
        """Turn by an angle [rad], positive to the left."""
        ...

    def set_sources(self, sources: Sequence[SoundSource]) -> None:
        """Replace the sound sources, and reset time."""
        ...

    def prepare(self, sources: Sequence[Source], channels: Sequence[str] = ()) -> None:
        """Compute ahead what the first step of an episode needs, including images; observations do not change."""
        ...

    def hear(self, samples: int) -> np.ndarray:
        """Let time pass and return ``(channels, samples)`` float32, what the ears heard."""
        ...

    def hear_each(self, samples: int) -> np.ndarray:
        """Let time pass and return ``(sources, channels, samples)`` float32, what the ears heard of each source."""
        ...

    def echo(self, settings: EchoSettings) -> np.ndarray:
        """Return ``(2, n)`` float32, what comes back to the ears of a sweep that sounds where they are."""
        ...

    def see(
        self, channels: Sequence[str], *, camera: Camera | None = None, mount: Mount | None = None
    ) -> dict[str, np.ndarray]:
        """Return images by name: "rgb", "depth", "semantic", "instance"."""
        ...

    def plan(self, *, width: int, level: float | None = None) -> Plan:
        """Return the scene seen from above, cut at a height above a floor [m] (that of the ground by default)."""
        ...

    def is_inside_solid(self, point: np.ndarray) -> bool:
        """Whether a point ``(3,)`` lies inside something solid, so that nothing sounds or hears there."""
        ...

    def floor_material(self, place: np.ndarray | None = None) -> str | None:
        """Return the name of the material under a place ``(3,)`` on the floor, the body's by default; None for none."""
        ...

    def shows(self, thing: SceneObject, eyes: np.ndarray) -> np.ndarray:
        """Return ``(n,)`` bool, from which of some points ``(n, 3)`` [m] some of an object is seen."""
        ...

    def impulse_response(self, source: Source | None = None, listener: Listener | None = None) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source; by default the body and the first source."""
        ...
