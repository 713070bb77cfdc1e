"""A world: a scene with the data derived from it, which is computed once and shared by all simulators."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harken.acoustics import FastPropagation, Propagation, Source
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings
from harken.acoustics.recent import RecentlyUsed
from harken.errors import NavigationError
from harken.once import made_once
from harken.prepared import prepared_folder
from harken.scene import Body, NavigationGraph, Scene, WalkableFloor
from harken.scene.floor.grid import FloorGrid
from harken.scene.floor.islands import Island
from harken.scene.ground import FloorGround, GridGround, Ground
from harken.sim.settings import WorldSettings
from harken.vision import Camera, Renderer

__all__ = ["World"]

ECHO_ENGINES_KEPT = 4
"""Number of echo settings whose engines a world keeps."""


@dataclass(frozen=True, kw_only=True, eq=False)
class World:
    """A scene prepared for navigation, rendering and sound. It has no state, so any number of simulators may share it.

    Floor, renderer and sound fields are made on first use, once for all threads, and kept. `prepare` makes them ahead.
    """

    scene: Scene
    """The scene."""
    settings: WorldSettings = field(default_factory=WorldSettings)
    """The settings it is prepared for."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out derived data: it is computed again when needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields of a frozen dataclass."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @made_once
    def floor(self) -> WalkableFloor:
        """Where bodies can walk."""
        key = self.scene.fingerprint, self.scene.origin, self.scene.name, self.settings.size
        classes = WalkableFloor, FloorGrid, Island, Body
        build = functools.partial(WalkableFloor.build, self.scene, self.settings.size)
        return prepared_folder().get("floor", key, build, classes=classes)

    @made_once
    def ground(self) -> Ground:
        """The floor, or the grid of nodes on it, as bodies of these settings walk on it."""
        if self.settings.motion == "continuous":
            return FloorGround(self.floor)
        return GridGround(NavigationGraph.build(self.floor, spacing=self.settings.grid_spacing))

    @made_once
    def renderer(self) -> Renderer:
        """The renderer of the scene."""
        return Renderer(self.scene)

    @made_once
    def propagation(self) -> Propagation:
        """The engine that propagates sound."""
        return self.new_propagation() if self.settings.propagation != "harken" else self._fast_propagation()

    def _fast_propagation(self) -> FastPropagation:
        ears = self.floor.cells + [0.0, self.settings.ear_height, 0.0]
        # Not a method of this world, which would then be kept until the garbage collector looks for cycles.
        route = functools.partial(_walkers_way, self.floor, self.settings.ear_height)
        return FastPropagation(self.scene, self.settings.acoustics, ears=ears, route=route)

    def new_propagation(self) -> Propagation:
        """Return the sound engine for one body: Harken's engine is shared by all bodies, others keep a history."""
        if self.settings.propagation == "harken":
            return self.propagation
        from harken.acoustics.engines import SoundSpaces2Propagation, SoundSpaces2Settings

        acoustics = self.settings.acoustics
        navigation = SoundSpaces2Settings.navigation(
            rate=acoustics.rate, duration=acoustics.duration, transmission=acoustics.transmission
        )
        return SoundSpaces2Propagation(self.scene, navigation)

    def prepare(
        self, sources: Sequence[Source] = (), *, goal: np.ndarray | None = None, channels: Sequence[str] = ()
    ) -> None:
        """Compute what an episode will need, such as on another thread during the previous episode.

        Requests for the same data wait for it, so nothing is computed twice. Results are the same bytes with and
        without this call, in any order and on any thread.

        Args:
            sources: The sound sources of the episode.
            goal: ``(3,)`` place on the floor that distances will be asked to [m].
            channels: Images that will be asked for, see `Renderer.observe`.

        Raises:
            SceneError: The scene has no floor.
            NavigationError: The goal is not on the floor.
            SoundError: A source lies inside a wall or a piece of furniture.
        """
        ground = self.ground
        if channels:
            eye = self.floor.cells[0] + [0.0, self.settings.ear_height, 0.0]
            self.renderer.observe(Camera(), eye, 0.0, channels=tuple(channels))
        if goal is not None:
            ground.distance(goal, goal)
        propagation = self.propagation
        if isinstance(propagation, FastPropagation):
            for source in sources:
                propagation.prepare(source)

    def echoes(self, settings: EchoSettings) -> EchoPropagation:
        """Return the echo engine of this world."""
        scene = self.scene  # not the world itself, which would create a reference cycle
        return self._echo_engines.get(settings, lambda: EchoPropagation(scene=scene, settings=settings))

    @made_once
    def _echo_engines(self) -> RecentlyUsed[EchoPropagation]:
        return RecentlyUsed(ECHO_ENGINES_KEPT)


def _walkers_way(
    floor: WalkableFloor, ear_height: float, source: np.ndarray, listener: np.ndarray
) -> np.ndarray | None:
    """Propose the shortest walkable path as a path for sound, at the height of ears."""
    lift = np.array([0.0, ear_height, 0.0])
    try:
        start = floor.snap(listener - lift)
        goal = floor.snap(source - lift, island=floor.island(start))
        way = floor.distance_field(goal).path(start).points
    except NavigationError:
        return None
    return way[::-1] + lift
