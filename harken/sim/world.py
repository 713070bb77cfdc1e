"""A world: a scene with the data derived from it, which is computed once and shared by all simulators."""

import functools
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harken.acoustics import FastPropagation, Propagation, Source
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings
from harken.acoustics.recent import RecentlyUsed
from harken.errors import NavigationError
from harken.once import made_once
from harken.prepared import prepared_folder
from harken.scene import Body, DoorState, NavigationGraph, Scene, WalkableFloor
from harken.scene.doors import checked_states
from harken.scene.floor.grid import FloorGrid
from harken.scene.floor.islands import Island
from harken.scene.floor.leaves import floor_with_leaves
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
    bare: "World | None" = None
    """The world of the scene without leaves of doors, from which this one's data are made; made when it is missing."""

    def with_door_states(self, states: Mapping[str, DoorState]) -> "World":
        """Return the world with its doors as they shall stand.

        Much of what was prepared is used again, and worlds are shared as long as somebody uses them. The result
        depends on the bare scene and the states only, not on what was before.

        Args:
            states: How doors stand, by name; open where it does not say.

        Raises:
            UnknownNameError: There is no such door, or no such state.
        """
        bare = self if self.scene.bare is None else self._bare
        chosen = checked_states(bare.scene.doors, states)
        if chosen == self.scene.door_states:
            return self
        with bare._others_lock:
            other = bare._others.get(chosen)
            if other is None:
                scene = bare.scene.with_door_states(dict(zip((d.name for d in bare.scene.doors), chosen, strict=True)))
                other = bare if scene is bare.scene else World(scene=scene, settings=self.settings, bare=bare)
                if other is not bare:
                    bare._others[chosen] = other
        return other

    @made_once
    def _bare(self) -> "World":
        assert self.scene.bare is not None
        return self.bare or World(scene=self.scene.bare, settings=self.settings)

    @made_once
    def _others(self) -> "weakref.WeakValueDictionary[tuple[DoorState, ...], World]":
        return weakref.WeakValueDictionary()

    @made_once
    def _others_lock(self) -> threading.RLock:
        return threading.RLock()

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
        if self.scene.bare is not None:
            return floor_with_leaves(self._bare.floor, self.scene.leaves)
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
        # Closed doors leave rooms that no way leads to; they are heard in all the same.
        ears = (self.floor if self.scene.bare is None else self._bare.floor).cells
        ears = ears + [0.0, self.settings.ear_height, 0.0]
        for leaf in self.scene.leaves:
            ears = ears[~leaf.contains(ears, wider=0.05)]
        # Not a method of this world, which would then be kept until the garbage collector looks for cycles.
        route = functools.partial(_walkers_way, self.floor, self.settings.ear_height)
        bare = None if self.scene.bare is None else self._bare.propagation
        assert bare is None or isinstance(bare, FastPropagation)
        return FastPropagation(self.scene, self.settings.acoustics, ears=ears, route=route, bare=bare)

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
