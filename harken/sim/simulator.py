"""The embedded simulator."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harken.acoustics import ImpulseResponse, Listener, Propagation, Source
from harken.acoustics.engines.echo import EchoSettings
from harken.acoustics.protocol import ListenerFormat, SourceLike, checked_listener, checked_source
from harken.checks import checked_count, checked_number, checked_point, wrapped_angle
from harken.errors import ConfigurationError, HarkenWarning, NavigationError, SoundError, StateError, UnknownNameError
from harken.scene import DoorState, Scene, SceneObject
from harken.scene.ground import Ground
from harken.sim.mount import Mount
from harken.sim.settings import WorldSettings
from harken.sim.sources import SoundSource
from harken.sim.streams import HeardStream, stream_of
from harken.sim.world import World
from harken.vision import Camera, Plan, draw_plan

__all__ = ["Simulator"]

LONGEST_HEARING = 600.0
"""Most time that may pass in one call of `Simulator.hear` [s]."""

FARTHEST_WALK = 1000.0
"""Longest step ahead [m]."""

NOTICED = 0.1
"""Distance between the requested and the actual position of a body from which on a warning is given [m]."""


ARM = 1.0
"""Distance within which a body reaches a door [m]."""

ASIDE = np.radians(60.0)
"""Angle from where the body faces to the middle of a door that it reaches [rad]."""

DOOR_WORLDS_KEPT = 4
"""How many states of doors a simulator keeps the worlds of."""


class Simulator:
    """One world, one body, its camera and ears, and its sound sources, stepping through time.

    Args:
        world: A scene, or a world that is shared with others.
        camera: The body's camera.
        mount: Where on the body the camera sits; ahead at the height of the ears by default.
        propagation: Engine that carries sound to this body; the world's own by default. An engine whose results depend
            on earlier calls belongs to one simulator.
        hearing: What the body hears with; two ears by default.
        options: Fields of `WorldSettings`, where a scene is given.
    """

    def __init__(
        self,
        world: Scene | World,
        *,
        camera: Camera | None = None,
        mount: Mount | None = None,
        propagation: Propagation | None = None,
        hearing: ListenerFormat = "binaural",
        **options: Any,
    ):
        if not isinstance(world, Scene | World):
            raise ConfigurationError(
                f"Simulator was given {world!r}; expected a Scene, such as Scene.load('flat.glb') or generate_home(0), "
                "or a World."
            )
        if isinstance(world, World) and options:
            raise ConfigurationError(
                f"Settings {sorted(options)} belong to the world; give them to WorldSettings(...) or pass a scene."
            )
        self.world = world if isinstance(world, World) else World(scene=world, settings=_world_settings(options))
        self.camera = camera or Camera()
        self.mount = mount or Mount(height=self.ear_height)
        self._propagation, self._has_own_propagation = propagation, propagation is not None
        self.hearing: ListenerFormat = hearing
        self.position = np.zeros(3)
        self.heading = 0.0
        self._placed = False
        self._jumped = False
        self._sources: list[SoundSource] = []
        self._streams: list[HeardStream] = []
        self._sample_count = 0
        self._worlds: dict[tuple[DoorState, ...], World] = {}

    def __repr__(self) -> str:
        """Return a short description of the body's place."""
        x, y, z = self.position.tolist()
        at = f"at ({x:.2f}, {y:.2f}, {z:.2f})" if self._placed else "not placed"
        return f"Simulator({self.name!r}, {at}, {len(self._sources)} sources)"

    @property
    def name(self) -> str:
        """Name of the scene."""
        return self.world.scene.name

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories that semantic images count."""
        return self.world.scene.categories

    @property
    def objects(self) -> tuple[SceneObject, ...]:
        """The things in the scene, each with its number, category and box; empty where none are known."""
        return self.world.scene.objects

    @property
    def ground(self) -> Ground:
        """Where the body can stand and walk."""
        return self.world.ground

    @property
    def ear_height(self) -> float:
        """Height of the body's ears above the floor [m]."""
        return self.world.settings.ear_height

    @property
    def propagation(self) -> Propagation:
        """The engine that propagates sound."""
        if self._propagation is None:
            if self.world.settings.propagation == "harken":
                return self.world.propagation
            self._propagation = self.world.new_propagation()
        return self._propagation

    @property
    def rate(self) -> int:
        """Sampling rate of the sound [Hz]."""
        return self.propagation.rate

    @property
    def sources(self) -> tuple[SoundSource, ...]:
        """The sound sources."""
        return tuple(self._sources)

    @property
    def doors(self) -> Mapping[str, DoorState]:
        """How the doors stand, by name; empty where there are none."""
        scene = self.world.scene
        return dict(zip((door.name for door in scene.doors), scene.door_states, strict=True))

    def set_doors(self, states: Mapping[str, DoorState], *, anyway: bool = False) -> None:
        """Open or close doors; those that are not named stay as they are.

        What is seen, heard and walked on changes at once; sound fades from one state into the other. Little is computed
        again, and worlds of the last `DOOR_WORLDS_KEPT` states are kept.

        Args:
            states: "open", "ajar" or "closed" by the name of the door.
            anyway: Whether they move even where the body stands in the way; it then has to be placed again.

        Raises:
            UnknownNameError: There is no such door, or no such state.
            StateError: The body or a source is where a leaf would be, or the simulator was given an engine of its
                own, which knows one scene; nothing has changed.
        """
        if not isinstance(states, Mapping):
            raise ConfigurationError(
                f"States of doors are {states!r}; expected a mapping such as {{'door 1': 'ajar'}}."
            )
        changed = self.world.with_door_states({**self.doors, **states})
        if changed is self.world:
            return
        if self._has_own_propagation:
            raise StateError(
                f"{self.name}: the simulator was made with propagation=…, an engine of one scene; doors move in "
                "simulators that use the world's."
            )
        blocked = self._in_the_way(changed) if self._placed else None
        if blocked is not None and not anyway:
            raise StateError(
                f"The body stands at {self.position.round(3).tolist()}, in the way of {blocked!r}: it cannot be moved. "
                "Let the body step aside first."
            )
        buried = None if anyway else self._buried_source(changed)
        if buried is not None:
            raise StateError(
                f"A source sounds at {buried[0].round(3).tolist()}, in the way of {buried[1]!r}: it cannot be moved. "
                "Move the source first."
            )
        self._placed = self._placed and blocked is None
        self._worlds.pop(changed.scene.door_states, None)
        self._worlds[changed.scene.door_states] = changed
        for old in list(self._worlds)[:-DOOR_WORLDS_KEPT]:
            del self._worlds[old]
        self.world, self._propagation = changed, None

    def _in_the_way(self, world: World) -> str | None:
        """Return the name of a door whose leaf would stand in the body."""
        size = self.world.settings.size
        column = self.position + np.linspace(0.05, size.height, 9)[:, None] * [0.0, 1.0, 0.0]
        leaves = (leaf for leaf in world.scene.leaves if leaf.contains(column, wider=size.radius - 0.01).any())
        return next((leaf.door.name for leaf in leaves), None)

    def _buried_source(self, world: World) -> tuple[np.ndarray, str] | None:
        """Return the place of a source at rest that a leaf would enclose, and the name of its door."""
        places = [np.asarray(source.position) for source in self._sources if source.trajectory is None]
        pairs = ((place, leaf) for place in places for leaf in world.scene.leaves)
        return next(((place, leaf.door.name) for place, leaf in pairs if leaf.contains(place[None]).any()), None)

    def door_ahead(self, heading: float | None = None) -> str | None:
        """Return the name of the nearest door within an arm's reach ahead of the body, None where there is none.

        It is reached at most `ARM` from the body and at most `ASIDE` aside of where it faces.

        Args:
            heading: Where it would face [rad]; where it does face by default.
        """
        self._check_placed()
        facing = self.heading if heading is None else heading
        ahead = np.array([-np.sin(facing), -np.cos(facing)])
        nearest, name = ARM, None
        for door in self.world.scene.doors:
            foot = self.position[1] - door.hinge[1]
            if not -0.5 <= foot <= door.height - 0.5:
                continue
            ends = np.array([door.hinge, door.latch])[:, [0, 2]]
            way = ends[1] - ends[0]
            share = np.clip((self.position[[0, 2]] - ends[0]) @ way / (way @ way), 0.0, 1.0)
            towards = ends[0] + share * way - self.position[[0, 2]]
            middle = door.center[[0, 2]] - self.position[[0, 2]]
            distance = float(np.hypot(*towards))
            if distance < nearest and middle @ ahead >= np.cos(ASIDE) * np.hypot(*middle):
                nearest, name = distance, door.name
        return name

    def place(self, position: np.ndarray, heading: float) -> None:
        """Put the body on the floor near a position; warns if it had to be moved from the requested place.

        Args:
            position: ``(3,)`` [m]; the nearest walkable point is taken, or the nearest node on a grid.
            heading: [rad]; the nearest of four on a grid.

        Raises:
            NavigationError: The pose is invalid, or there is no floor within reach.
        """
        target = checked_point("The position of the body", position, error=NavigationError)
        heading = checked_number("The heading of the body", heading, unit="radians", error=NavigationError)
        self.position = self.ground.snap(target)
        self.heading = wrapped_angle(self.ground.turned(heading))
        self._placed = self._jumped = True
        aside = float(np.hypot(*(self.position - target)[[0, 2]]))
        if aside > NOTICED and self.world.settings.motion == "continuous":
            warnings.warn(
                f"The body was put {aside:.2f} m aside of {target.round(3).tolist()}, where it does not fit: it stands "
                f"at {self.position.round(3).tolist()}. Ask ground.is_free(position) first.",
                HarkenWarning,
                stacklevel=2,
            )

    def set_sources(self, sources: Sequence[SoundSource]) -> None:
        """Replace the sound sources, and reset time.

        Raises:
            SoundError: An element is not a `SoundSource`.
        """
        for source in sources:
            if not isinstance(source, SoundSource):
                raise SoundError(f"A source is {source!r}; expected a SoundSource(position=…, samples=…).")
            self._check_within(source.position)
        self._sources = list(sources)
        self._streams = []
        self._sample_count = 0

    def prepare(self, sources: Sequence[Source], channels: Sequence[str] = ()) -> None:
        """Compute ahead what the first step of an episode needs; observations do not change.

        Args:
            sources: The sound sources of the episode.
            channels: Images that will be seen.
        """
        self.world.prepare(sources, channels=channels)

    def _check_within(self, place: np.ndarray) -> None:
        """Warn of a source outside the scene's box, which is hardly audible inside."""
        low, high = self.world.scene.bounds
        if (place < low).any() or (place > high).any():
            warnings.warn(
                f"A source at {np.round(place, 3).tolist()} lies outside the scene, which reaches from "
                f"{np.round(low, 2).tolist()} to {np.round(high, 2).tolist()} m: little or nothing of it is heard "
                "inside. Check the units and the axes of its position.",
                HarkenWarning,
                stacklevel=3,
            )

    def move_forward(self, distance: float) -> bool:
        """Walk ahead, sliding along what is in the way; on a grid go to the next node if there is one.

        Args:
            distance: Up to `FARTHEST_WALK` [m]; the spacing of the nodes on a grid.

        Returns:
            Whether something was in the way.

        Raises:
            NavigationError: The distance is not a number in that range.
        """
        self._check_placed()
        distance = checked_number("The distance to walk", distance, 0.0, FARTHEST_WALK, unit="m", error=NavigationError)
        self.position, collided = self.ground.move(self.position, self.heading, distance)
        return collided

    def turn(self, angle: float) -> None:
        """Turn by an angle [rad], positive to the left.

        Raises:
            NavigationError: The angle is not finite.
        """
        self._check_placed()
        angle = checked_number("The angle to turn by", angle, unit="radians", error=NavigationError)
        self.heading = wrapped_angle(self.heading + angle)

    @property
    def ears(self) -> Listener:
        """The body's ears, as a listener."""
        place = self.position + [0.0, self.ear_height, 0.0]
        return Listener(position=place, heading=self.heading, format=self.hearing)

    def hear(self, samples: int) -> np.ndarray:
        """Let time pass and return what the ears heard.

        Args:
            samples: How many samples of time pass; the same at every call between two `set_sources`.

        Returns:
            ``(channels, samples)`` float32 pressure; for two ears the left is first.
        """
        each = self.hear_each(samples)
        return each[0] if len(each) == 1 else each.sum(0)

    def hear_each(self, samples: int) -> np.ndarray:
        """Let time pass and return what the ears heard of each source; `hear` is the sum over the sources.

        The body goes steadily from where it last heard to where it is now, and sources go on along their trajectories,
        with the Doppler effect of both. A body that was put somewhere (`place`), or would be faster than
        `harken.sim.trajectory.FASTEST`, does not go there: the sound of one place fades into that of the other.

        Args:
            samples: How many samples of time pass; the same at every call between two `set_sources`.

        Returns:
            ``(sources, channels, samples)`` float32 pressure, in the order of `sources`.

        Raises:
            SoundError: The number is not a whole number, or it is more than `LONGEST_HEARING`.
        """
        self._check_placed()
        most = round(LONGEST_HEARING * self.rate)
        samples = checked_count("The number of samples to hear", samples, 1, most, error=SoundError)
        ears = self.ears
        if not self._streams:
            self._streams = [stream_of(self.propagation, source) for source in self._sources]
        each = np.empty((len(self._sources), ears.channels, samples), np.float32)
        for i, stream in enumerate(self._streams):
            each[i] = stream.advance(self.propagation, ears, samples, jumped=self._jumped)
        self._jumped = False
        self._sample_count += samples
        return each

    @property
    def time(self) -> float:
        """Time since the sources were set [s]."""
        return self._sample_count / self.rate

    def see(
        self, channels: Sequence[str], *, camera: Camera | None = None, mount: Mount | None = None
    ) -> dict[str, np.ndarray]:
        """Return images by name, as `harken.vision.Renderer.observe` does: "rgb", "depth", "semantic", "instance".

        Args:
            channels: Names of the images.
            camera: Another camera than the body's.
            mount: Another place for it than that of the body's.
        """
        self._check_placed()
        camera, mount = camera or self.camera, mount or self.mount
        eye = mount.eye(self.position, self.heading)
        return self.world.renderer.observe(camera, eye, self.heading + mount.yaw, mount.pitch, channels=tuple(channels))

    def impulse_response(self, source: SourceLike | None = None, listener: Listener | None = None) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: A source, or just its position; the first of the simulator's sources by default, where it is now.
            listener: The body's ears by default.

        Raises:
            StateError: There is no sound source, or the body has not been placed.
        """
        if source is None:
            if not self._sources:
                raise StateError("There is no source: pass one, or set some with set_sources().")
            source = self._sources[0].at(self.time)
        if listener is None:
            self._check_placed()
            listener = self.ears
        return self.propagation.impulse_response(checked_source(source), checked_listener(listener))

    def echo(self, settings: EchoSettings) -> np.ndarray:
        """Return ``(2, n)`` float32, what comes back to the ears of a sweep that sounds where they are.

        Raises:
            SoundError: The head is inside something solid.
        """
        self._check_placed()
        return self.world.echoes(settings).echo(Listener(position=self.ears.position, heading=self.heading))

    def plan(self, *, width: int, level: float | None = None) -> Plan:
        """Return the scene seen from above, cut open above a floor.

        Args:
            width: Width of the image [pixels].
            level: Height of that floor [m]; the ground's by default.
        """
        return draw_plan(self.world.scene, width=width, floor=self.ground.level if level is None else level)

    def is_inside_solid(self, point: np.ndarray) -> bool:
        """Whether a point ``(3,)`` lies inside something solid, so that nothing sounds or hears there."""
        return bool(self.world.scene.is_inside_solid(point))

    def floor_material(self, place: np.ndarray | None = None) -> str | None:
        """Return the name of the acoustic material on which a body stands, such as "carpet".

        Args:
            place: ``(3,)`` on the floor [m]; where the body stands by default.

        Returns:
            The name, None where nothing lies below the place.

        Raises:
            StateError: No place is given, and the body has not been placed.
        """
        if place is None:
            self._check_placed()
            place = self.position
        # From knee height: navigation meshes have floors up to 0.2 m off, and nothing stands where a body does.
        found = self.world.scene.material_below(np.asarray(place) + [0.0, 0.3, 0.0])
        return None if found is None else found.name

    def shows(self, thing: SceneObject, eyes: np.ndarray) -> np.ndarray:
        """Return ``(n,)`` bool, from which of some points ``(n, 3)`` [m] some of an object is seen."""
        return self.world.scene.shows(thing, eyes)

    def _check_placed(self) -> None:
        if not self._placed:
            raise StateError("The body stands nowhere yet: call place(position, heading) first.")


def _world_settings(options: dict[str, Any]) -> WorldSettings:
    names = list(WorldSettings.__dataclass_fields__)
    for name in options:
        if name not in names:
            raise UnknownNameError("setting of a world", name, names)
    return WorldSettings(**options)
