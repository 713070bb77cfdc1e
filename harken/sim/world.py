"""A world: a scene with all that is derived from it once and shared by everybody who is in it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harken.acoustics import AcousticSettings, FastPropagation, Source
from harken.errors import ConfigurationError, NavigationError
from harken.once import made_once
from harken.scene import Body, NavigationGraph, Scene, WalkableFloor
from harken.vision import Camera, Renderer

__all__ = ["World"]


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A scene prepared for bodies, eyes and ears. It has no state: any number of simulators may share one.

    Floor, pictures and sound fields are made on first use, once whatever the number of threads, and kept. `prepare`
    makes them ahead.
    """

    scene: Scene
    """The scene."""
    body: Body = Body()
    """Size of the bodies that walk in it."""
    ear_height: float = 1.5
    """Height of ears and sound sources above the floor [m]."""
    acoustics: AcousticSettings = AcousticSettings()
    """How sound is propagated."""
    motion: Literal["continuous", "grid"] = "continuous"
    """Whether bodies move freely or from node to node of a grid."""
    grid_spacing: float = 1.0
    """Distance between the nodes of the grid [m]."""

    def __post_init__(self) -> None:
        """Check the settings."""
        if self.motion not in ("continuous", "grid"):
            raise ConfigurationError(f"Motion is {self.motion!r}; expected 'continuous' or 'grid'.")
        if not 0.1 <= self.ear_height <= 3.0:
            raise ConfigurationError(f"Ear height is {self.ear_height!r} m; expected 0.1 to 3 m.")

    def __getstate__(self) -> dict[str, Any]:
        """Leave derived things behind: they are made again where they are needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields of a frozen dataclass."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @made_once
    def floor(self) -> WalkableFloor:
        """Where bodies can walk."""
        return WalkableFloor.build(self.scene, self.body)

    @made_once
    def graph(self) -> NavigationGraph:
        """The grid of nodes, for motion from node to node."""
        return NavigationGraph.build(self.floor, spacing=self.grid_spacing)

    @made_once
    def renderer(self) -> Renderer:
        """What cameras see."""
        return Renderer(self.scene)

    def prepare(
        self,
        *,
        source: np.ndarray | None = None,
        goal: np.ndarray | None = None,
        channels: Sequence[str] = (),
    ) -> None:
        """Make what an episode will ask for, such as on another thread while the episode before it runs.

        Whatever is asked for meanwhile waits for it and is not made twice. Nothing is changed that could be observed:
        results are the same bytes with and without, in any order and on any thread.

        Args:
            source: ``(3,)`` position of a source at rest that radiates equally [m]: what carries sound, its images,
                ways around edges and field.
            goal: ``(3,)`` place on the floor that distances will be asked to [m].
            channels: Images that will be asked for, see `Renderer.observe`.

        Raises:
            SceneError: The scene has no floor.
            NavigationError: The goal is not on the floor.
            SoundError: The source lies inside a wall or a piece of furniture.
        """
        floor = self.floor
        if self.motion == "grid":
            _ = self.graph
        if channels:
            eye = floor.cells[0] + [0.0, self.ear_height, 0.0]
            self.renderer.observe(Camera(), eye, 0.0, channels=tuple(channels))
        if goal is not None and self.motion == "continuous":
            floor.distance_field(np.asarray(goal, np.float64))
        if source is not None:
            self.propagation.prepare(Source(position=np.asarray(source, np.float64)))

    @made_once
    def propagation(self) -> FastPropagation:
        """What carries sound."""
        ears = self.floor.cells + [0.0, self.ear_height, 0.0]
        # Not a method of this world, which would then be kept until the garbage collector looks for cycles.
        route = functools.partial(_walkers_way, self.floor, self.ear_height)
        return FastPropagation(self.scene, self.acoustics, ears=ears, route=route)


def _walkers_way(
    floor: WalkableFloor, ear_height: float, source: np.ndarray, listener: np.ndarray
) -> np.ndarray | None:
    """Propose the walker's shortest way as a way for sound, at the height of ears."""
    lift = np.array([0.0, ear_height, 0.0])
    try:
        start = floor.snap(listener - lift)
        goal = floor.snap(source - lift, island=floor.island(start))
        way = floor.distance_field(goal).path(start).points
    except NavigationError:
        return None
    return way[::-1] + lift
