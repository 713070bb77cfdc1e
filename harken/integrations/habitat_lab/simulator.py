"""The simulator that habitat-lab runs when its configuration says ``habitat.simulator.type=Harken-v0``."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
import quaternion
from gym import spaces
from habitat.config.default import get_agent_config
from habitat.core.simulator import AgentState, Observations, SensorSuite, Simulator

from harken.errors import ActionError, ConfigurationError, NavigationError
from harken.integrations.habitat_lab.pathfinder import Follower, PathFinder, StraightGround
from harken.integrations.habitat_lab.sensors import make_sensor
from harken.scene import Body, FloorGround, Scene
from harken.sim import Simulator as HarkenBody
from harken.sim import WorldSettings
from harken.sim.worlds import load_world

__all__ = ["HarkenSimulator", "heading_of", "rotation_of"]

ACTIONS: tuple[str, ...] = ("stop", "move_forward", "turn_left", "turn_right")
"""Names of the actions, in the order of habitat-lab's numbers."""


def heading_of(rotation: Any) -> float:
    """Return where a body faces [rad]: 0 is −z, positive counter-clockwise seen from above.

    Args:
        rotation: ``(4,)`` coefficients x, y, z, w as in habitat-lab's files, or a ``quaternion.quaternion``.
    """
    if isinstance(rotation, quaternion.quaternion):
        w, x, y, z = rotation.w, rotation.x, rotation.y, rotation.z
    else:
        x, y, z, w = (float(part) for part in rotation)
    # What the rotation makes of (0, 0, -1), which is where an unrotated body faces.
    return math.atan2(2.0 * (x * z + w * y), 1.0 - 2.0 * (x * x + y * y))


def rotation_of(heading: float) -> quaternion.quaternion:
    """Return the rotation of a body that faces a heading [rad]."""
    return quaternion.quaternion(math.cos(heading / 2), 0.0, math.sin(heading / 2), 0.0)


class HarkenSimulator(Simulator):
    """One body in one of Harken's worlds, under the names of habitat-lab 0.3.

    Scenes are files that Harken reads, or generated homes: a scene whose last part is ``home:<split>:<number>`` is that
    home, whatever folder habitat-lab puts before it. What the body hears is no part of habitat-lab: sensors of your own
    find Harken's simulator as `body`, with its `set_sources`, `hear` and `impulse_response`.

    Args:
        config: habitat-lab's ``SimulatorConfig``.

    Raises:
        ConfigurationError: There are several bodies, or a setting has a value that Harken does not have.
        SceneError: The scene cannot be read.
    """

    def __init__(self, config: Any):
        super().__init__()
        if len(config.agents) != 1:
            raise ConfigurationError(
                f"habitat.simulator.agents has {len(config.agents)} agents; expected one: Harken simulates no more."
            )
        self.habitat_config = config
        self._rng = np.random.default_rng(int(config.seed))
        self._suite = SensorSuite([make_sensor(c) for c in get_agent_config(config).sim_sensors.values()])
        self._pitch = dict.fromkeys(self._suite.sensors, 0.0)
        self._prev_sim_obs: dict[str, Any] = {}
        self._scene: str | None = None
        self._enter()

    body: HarkenBody
    """Harken's simulator: the body in the current scene."""
    pathfinder: PathFinder
    """The floor, under the names of habitat-sim's path finder."""
    ground: FloorGround
    """How the body moves: with ``habitat_sim_v0.allow_sliding`` or without."""

    def _enter(self) -> None:
        """Let the body continue in the scene of the configuration."""
        config = self.habitat_config
        if config.scene != self._scene:
            agent = get_agent_config(config)
            settings = WorldSettings(
                size=Body(radius=agent.radius, height=agent.height, step=agent.max_climb),
                ear_height=float(agent.height),
            )
            name = PurePath(config.scene).name
            world = load_world(name if name.startswith("home:") else config.scene, settings)
            self.body, self.pathfinder = HarkenBody(world), PathFinder(world, self._rng)
            self.body.place(self.body.ground.random_point(np.random.default_rng(0)), 0.0)
            self._scene = config.scene
        sliding = config.habitat_sim_v0.allow_sliding
        self.ground = (FloorGround if sliding else StraightGround)(self.pathfinder.floor)

    @property
    def forward_step(self) -> float:
        """Length of a step [m]."""
        return float(self.habitat_config.forward_step_size)

    @property
    def turn_angle(self) -> float:
        """Angle of a turn [rad]."""
        return math.radians(self.habitat_config.turn_angle)

    @property
    def sensor_suite(self) -> SensorSuite:
        """The cameras."""
        return self._suite

    @property
    def action_space(self) -> spaces.Discrete:
        """The actions: stop, forward, left, right."""
        return spaces.Discrete(len(ACTIONS))

    def seed(self, seed: int) -> None:
        """Restart the random numbers that `sample_navigable_point` uses."""
        self._rng = np.random.default_rng(seed)
        self.pathfinder = PathFinder(self.body.world, self._rng)

    def reconfigure(self, config: Any, episode: Any = None) -> None:
        """Take over settings, and with them another scene and start.

        Raises:
            SceneError: The scene cannot be read.
            NavigationError: There is no floor within a metre of the start.
        """
        self.habitat_config = config
        self._enter()
        self._start()

    def _start(self) -> None:
        agent = get_agent_config(self.habitat_config)
        if agent.is_set_start_state:
            self.body.place(np.array(agent.start_position, np.float64), heading_of(agent.start_rotation))

    def reset(self) -> Observations:
        """Return to the start, with the cameras as configured, and look."""
        self._pitch = dict.fromkeys(self._pitch, 0.0)
        self._start()
        return self._look(collided=False)

    def step(self, action: str | int | np.ndarray | None, *args: Any, **kwargs: Any) -> Observations:
        """Take an action, and look; None only looks.

        Raises:
            ActionError: There is no such action.
        """
        if action is None:
            # What moved the body without this simulator has left here whether it collided.
            return self._look(collided=self._prev_sim_obs.get("collided", False))
        if not isinstance(action, str):
            action = dict(enumerate(ACTIONS)).get(int(action), repr(action))
        collided = False
        if action == "move_forward":
            self.body.position, collided = self.ground.move(self.body.position, self.body.heading, self.forward_step)
        elif action in ("turn_left", "turn_right"):
            self.body.turn(self.turn_angle if action == "turn_left" else -self.turn_angle)
        elif action != "stop":
            raise ActionError(f"Action {action} does not exist; expected one of {', '.join(ACTIONS)}, or its number.")
        return self._look(collided=collided)

    def step_physics(self, dt: float) -> None:
        """Nothing moves by itself."""

    def _look(self, *, collided: bool) -> Observations:
        self._prev_sim_obs = {**self._views(), "collided": collided}
        return self._suite.get_observations(self._prev_sim_obs)

    def _views(self) -> dict[str, np.ndarray]:
        """Return the images by the names of the sensors; cameras at one place share their rays."""
        shared: dict[Any, list[str]] = {}
        for name, sensor in self._suite.sensors.items():
            mount = sensor.mount
            if self._pitch[name]:
                mount = type(mount)(**{**vars(mount), "pitch": mount.pitch + self._pitch[name]})
            shared.setdefault((sensor.camera, mount), []).append(name)
        views = {}
        for (camera, mount), names in shared.items():
            channels = {name: self._suite.sensors[name].channel for name in names}
            images = self.body.see(tuple(dict.fromkeys(channels.values())), camera=camera, mount=mount)
            views.update({name: images[channel] for name, channel in channels.items()})
        return {name: views[name] for name in self._suite.sensors}

    @property
    def previous_step_collided(
        self,
    ) -> bool:  # a method in habitat-lab's base class, and read as a property by its tasks
        """Whether something was in the way of the last step."""
        return bool(self._prev_sim_obs.get("collided", False))

    def get_agent_state(self, agent_id: int = 0) -> AgentState:
        """Return where the body stands ``(3,)`` float32 [m] and how it is turned, as a ``quaternion.quaternion``."""
        self._check_agent(agent_id)
        return AgentState(self.body.position.astype(np.float32), rotation_of(self.body.heading))

    def set_agent_state(
        self, position: Sequence[float], rotation: Any, agent_id: int = 0, reset_sensors: bool = True
    ) -> bool:
        """Put the body on the floor near a place.

        Args:
            position: ``(3,)`` [m].
            rotation: Coefficients x, y, z, w, or a ``quaternion.quaternion``.
            agent_id: 0.
            reset_sensors: Whether cameras look again as configured.

        Returns:
            Whether there is floor within a metre; otherwise the body stays where it is.
        """
        self._check_agent(agent_id)
        try:
            self.body.place(np.array(position, np.float64), heading_of(rotation))
        except NavigationError:
            return False
        if reset_sensors:
            self._pitch = dict.fromkeys(self._pitch, 0.0)
        return True

    def get_observations_at(
        self,
        position: Sequence[float] | None = None,
        rotation: Any = None,
        keep_agent_at_new_pose: bool = False,
    ) -> "Observations | None":
        """Return what the body sees from another pose, None where there is no floor within a metre of it.

        Args:
            position: ``(3,)`` [m]; the body's own by default.
            rotation: Coefficients x, y, z, w, or a ``quaternion.quaternion``; the body's own by default.
            keep_agent_at_new_pose: Whether the body stays there.
        """
        before = self.body.position, self.body.heading
        moves = position is not None and rotation is not None
        if moves and not self.set_agent_state(position, rotation, reset_sensors=False):
            return None
        seen = self._look(collided=False)
        if not keep_agent_at_new_pose:
            self.body.position, self.body.heading = before
        return seen

    def geodesic_distance(
        self, position_a: Sequence[float], position_b: Sequence[Any] | np.ndarray, episode: Any = None
    ) -> float:
        """Return the length of the shortest way to a place ``(3,)``, or the nearest of several ``(n, 3)`` [m]."""
        return self.pathfinder.distance(position_a, position_b)

    def get_straight_shortest_path_points(
        self, position_a: Sequence[float], position_b: Sequence[float]
    ) -> list[np.ndarray]:
        """Return the way points ``(3,)`` of the shortest way between two places [m]; none where there is no way."""
        return self.pathfinder.path(position_a, position_b)

    def make_greedy_follower(
        self,
        agent_id: int = 0,
        goal_radius: float | None = None,
        *,
        stop_key: Any = 0,
        forward_key: Any = 1,
        left_key: Any = 2,
        right_key: Any = 3,
        **options: Any,
    ) -> Follower:
        """Return a follower of shortest paths, as habitat-lab's ``ShortestPathFollower`` asks for it."""
        self._check_agent(agent_id)
        radius = 0.75 * self.forward_step if goal_radius is None else float(goal_radius)
        return Follower(self, radius, (stop_key, forward_key, left_key, right_key))

    def sample_navigable_point(self) -> list[float]:
        """Draw a place on the main part of the floor [m]."""
        return self.pathfinder.get_random_navigable_point().tolist()

    def is_navigable(self, point: Sequence[float]) -> bool:
        """Tell whether the body can stand at a point ``(3,)`` [m]."""
        return self.pathfinder.is_navigable(point)

    def distance_to_closest_obstacle(self, position: Sequence[float], max_search_radius: float = 2.0) -> float:
        """Return how far the body may go before it is stopped in the nearest direction [m]."""
        return self.pathfinder.distance_to_closest_obstacle(position, max_search_radius)

    @property
    def agents(self) -> list["_Agent"]:
        """The body, as habitat-sim names it."""
        return [_Agent(self)]

    def get_agent(self, agent_id: int = 0) -> "_Agent":
        """Return the body, as habitat-sim names it."""
        self._check_agent(agent_id)
        return _Agent(self)

    def semantic_annotations(self) -> "SemanticScene":
        """Return the objects whose numbers semantic images hold."""
        return SemanticScene.of(self.body.world.scene)

    @property
    def up_vector(self) -> np.ndarray:
        """``(3,)`` direction up."""
        return np.array([0.0, 1.0, 0.0])

    @property
    def forward_vector(self) -> np.ndarray:
        """``(3,)`` direction that an unrotated body faces."""
        return np.array([0.0, 0.0, -1.0])

    def render(self, mode: str = "rgb") -> np.ndarray:
        """Return the image of the sensor of that name.

        Raises:
            ConfigurationError: There is no such sensor.
        """
        if mode not in self._suite.sensors:
            raise ConfigurationError(f"There is no sensor {mode!r}; expected one of {', '.join(self._suite.sensors)}.")
        return self._suite.get_observations(self._views())[mode]

    def close(self, destroy: bool = True) -> None:
        """Nothing to free."""

    def _check_agent(self, agent_id: int) -> None:
        if agent_id != 0:
            raise ConfigurationError(f"Agent {agent_id} does not exist; Harken simulates one, number 0.")

    def tilt(self, sensor: str, angle: float) -> None:
        """Let a camera look up by an angle [rad], in addition to what it did."""
        self._pitch[sensor] += angle


class _Agent:
    """A body under the names that habitat-lab reads of habitat-sim's."""

    def __init__(self, simulator: HarkenSimulator):
        self._simulator = simulator

    @property
    def state(self) -> AgentState:
        return self._simulator.get_agent_state()

    def get_state(self) -> AgentState:
        return self.state

    @property
    def sensors(self) -> dict[str, "_CameraHandle"]:
        return {name: _CameraHandle(self._simulator, name) for name in self._simulator.sensor_suite.sensors}


class _CameraHandle:
    """A camera that habitat-lab's LookUpAction tilts by ``node.rotation = node.rotation * rotation``."""

    def __init__(self, simulator: HarkenSimulator, sensor: str):
        self._simulator, self._sensor = simulator, sensor

    @property
    def node(self) -> "_CameraHandle":
        return self

    @property
    def rotation(self) -> "_Tilt":
        return _Tilt(0.0)

    @rotation.setter
    def rotation(self, tilt: "_Tilt") -> None:
        self._simulator.tilt(self._sensor, tilt.angle)


@dataclass(frozen=True)
class _Tilt:
    angle: float

    def __mul__(self, rotation: Any) -> "_Tilt":
        return _Tilt(self.angle + 2.0 * math.atan2(float(rotation.vector[0]), float(rotation.scalar)))


@dataclass(frozen=True)
class _Category:
    number: int
    text: str

    def index(self, mapping: str = "") -> int:
        return self.number

    def name(self, mapping: str = "") -> str:
        return self.text


@dataclass(frozen=True)
class _Box:
    lower: np.ndarray
    upper: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        return self.upper - self.lower

    def center(self) -> np.ndarray:
        return 0.5 * (self.lower + self.upper)


@dataclass(frozen=True)
class _Object:
    id: str
    category: _Category
    aabb: _Box


@dataclass(frozen=True)
class SemanticScene:
    """The objects of a scene, as habitat-sim lists them."""

    objects: tuple[Any, ...]
    """By the numbers in semantic images: each with ``id``, ``category`` (``name()``, ``index()``) and ``aabb``
    (``center()``, ``sizes``). The first stands for what belongs to no object; numbers that no object has are None."""

    @staticmethod
    def of(scene: Scene) -> "SemanticScene":
        """Return the objects of a scene."""
        low, high = (np.asarray(corner, np.float32) for corner in scene.bounds)
        objects: list[Any] = [None] * (1 + max((thing.instance for thing in scene.objects), default=0))
        objects[0] = _Object("background_0", _Category(0, "unknown"), _Box(low, high))
        for thing in scene.objects:
            number = scene.categories.index(thing.category) if thing.category in scene.categories else 0
            box = _Box(np.asarray(thing.lower), np.asarray(thing.upper))
            objects[thing.instance] = _Object(f"{thing.name}_{thing.instance}", _Category(number, thing.category), box)
        return SemanticScene(tuple(objects))
