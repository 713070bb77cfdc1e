"""A body that sees through Habitat's cameras and walks on its navigation mesh, and hears what Harken propagates."""

import atexit
import functools
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from harken.acoustics import Source
from harken.acoustics.protocol import ListenerFormat
from harken.errors import ConfigurationError, SceneError, UnknownNameError
from harken.integrations.habitat.audio import HabitatPropagation, check_audio
from harken.integrations.habitat.context import shared_context
from harken.integrations.habitat.grid import navmesh_graph
from harken.integrations.habitat.ground import NavmeshGround
from harken.integrations.habitat.loading import import_habitat_sim
from harken.integrations.habitat.stage import write_stage, write_stage_config
from harken.scene import DoorState, Scene
from harken.scene.ground import GridGround, Ground, forward_vector
from harken.sim import Mount, Simulator, World, WorldSettings
from harken.sim.worlds import UpAxis, load_world
from harken.vision import CHANNELS, Camera

__all__ = ["Audio", "HabitatSimulator", "make_habitat_simulator"]

Audio = Literal["harken", "habitat"]
"""What propagates sound: Harken's engine, or Habitat's own audio sensor where habitat-sim was built with it."""

APART = 0.1
"""Most by which the boxes of a scene in Harken and in Habitat may differ [m]."""

TEST_DISTANCE = 1.5
"""How far away the source of the audio self-test is, where the room allows it [m]."""


class HabitatSimulator(Simulator):
    """Harken's simulator with two things replaced: the images "rgb" and "depth" and the ground are Habitat's.

    Sound, "semantic" and "instance" images, plans and the insides of solids come from Harken, which reads the same
    file. Doors do not move, because Habitat's stages have none.

    Args:
        world: The scene as Harken has it, and the settings of the world.
        stage: What Habitat loads: a mesh or a ``*.stage_config.json``.
        camera: The body's camera.
        mount: Where on the body the camera sits; ahead at the height of the ears by default.
        hearing: What the body hears with; two ears by default.
        audio: What propagates sound.
        dataset: Habitat's scene data set file, "default" for none.
        gpu: Number of the CUDA device that renders, -1 for none.
        sliding: Whether the body slides along obstacles.

    Raises:
        MissingDependencyError: habitat-sim is missing, or was built without audio and its audio is asked for.
        SceneError: Habitat cannot load the scene, finds no navigation mesh in it, or has it lying on its side.
        SoundError: Habitat's audio fails its self-test.
        NavigationError: Bodies walk on a grid, and the mesh has no room for one.
        StateError: Habitat's first simulator was made in another thread.
    """

    def __init__(
        self,
        world: World,
        stage: str | Path,
        *,
        camera: Camera | None = None,
        mount: Mount | None = None,
        hearing: ListenerFormat = "binaural",
        audio: Audio = "harken",
        dataset: str = "default",
        gpu: int = -1,
        sliding: bool = True,
    ):
        if audio not in get_args(Audio):
            raise UnknownNameError("audio", audio, get_args(Audio))
        super().__init__(world, camera=camera, mount=mount, hearing=hearing)
        self._habitat_sim, self._magnum = import_habitat_sim()
        self._cameras: dict[tuple[Camera, Mount, str], str] = {}
        self._habitat = self._load(str(stage), dataset, gpu, sliding)
        self._navmesh = NavmeshGround(
            self._pathfinder(), self._magnum, self._habitat_sim.ShortestPath, world.scene, sliding=sliding
        )
        self._grid: GridGround | None = None
        if world.settings.motion == "grid":
            self._grid = GridGround(navmesh_graph(self._navmesh, world.settings.grid_spacing))
        if audio == "habitat":
            self._propagation = self._audio()
            self._has_own_propagation = True

    def _load(self, stage: str, dataset: str, gpu: int, sliding: bool) -> Any:
        habitat_sim = self._habitat_sim
        backend = habitat_sim.SimulatorConfiguration()
        backend.scene_id, backend.scene_dataset_config_file = stage, dataset
        # The default, device 0, ends the process on machines without CUDA.
        backend.gpu_device_id, backend.allow_sliding, backend.enable_physics = gpu, sliding, False
        agent = habitat_sim.agent.AgentConfiguration()
        # Cameras can be added later only of the kinds that were there when the scene was loaded.
        agent.sensor_specifications = [self._specification(self.camera, self.mount, name) for name in ("rgb", "depth")]
        self._context = shared_context(habitat_sim, gpu)
        try:
            simulator = habitat_sim.Simulator(habitat_sim.Configuration(backend, [agent]))
        except Exception as error:  # of several types, without a common base
            raise SceneError(f"Habitat cannot load {stage!r}: {error}") from error
        self._context.enter(simulator)
        box = simulator.get_active_scene_graph().get_root_node().cumulative_bb
        theirs, ours = np.array([list(box.min), list(box.max)]), np.array(self.world.scene.bounds)
        if np.abs(theirs - ours).max() > APART:
            raise SceneError(
                f"{stage!r} reaches from {theirs[0].round(2).tolist()} to {theirs[1].round(2).tolist()} m in Habitat, "
                f"and from {ours[0].round(2).tolist()} to {ours[1].round(2).tolist()} m in Harken: the axis that "
                "points up differs. Say up='y' or up='z', or write a *.stage_config.json that has up and front."
            )
        return simulator

    def _pathfinder(self) -> Any:
        """Return the path finder, with the mesh that came with the scene, or one made for the body's size."""
        pathfinder, size = self._habitat.pathfinder, self.world.settings.size
        if not pathfinder.is_loaded:
            settings = self._habitat_sim.nav.NavMeshSettings()
            settings.set_defaults()
            settings.agent_radius, settings.agent_height, settings.agent_max_climb = size.radius, size.height, size.step
            self._habitat.recompute_navmesh(pathfinder, settings)
        if not pathfinder.is_loaded or pathfinder.num_islands == 0:
            raise SceneError(
                f"{self.name}: Habitat has no navigation mesh of the scene, and finds no floor to make one for a body "
                f"{size.height:g} m high with a radius of {size.radius:g} m. Put its .navmesh file beside the scene, "
                "or check that its unit is the metre and that y points up."
            )
        return pathfinder

    def _audio(self) -> HabitatPropagation:
        acoustics = self.world.settings.acoustics
        propagation = HabitatPropagation(
            self._habitat, self._magnum, self._habitat_sim, rate=acoustics.rate, duration=acoustics.duration,
            name=self.name,
        )  # fmt: skip
        rng = np.random.default_rng(0)
        best: tuple[float, np.ndarray, float] = (0.0, np.zeros(3), 0.0)
        for _ in range(32):  # a place with room to the left of it
            ears = self._navmesh.random_point(rng) + [0.0, self.ear_height, 0.0]
            heading = float(rng.uniform(-np.pi, np.pi))
            left = forward_vector(heading + np.pi / 2).astype(np.float32)
            free = float(self.world.scene.triangles.closest(ears.astype(np.float32)[None], left[None])[0][0])
            if not self.is_inside_solid(ears) and min(free, 100.0) > best[0]:
                best = (min(free, 100.0), ears, heading)
        check_audio(propagation, best[1], best[2], min(TEST_DISTANCE, 0.8 * best[0]))
        return propagation

    def __repr__(self) -> str:
        """Return a short description of the body's place."""
        return f"Habitat{super().__repr__()}"

    @property
    def ground(self) -> Ground:
        """Where the body can stand and walk: Habitat's navigation mesh, or a grid on it."""
        return self._grid or self._navmesh

    @property
    def habitat(self) -> Any:
        """Habitat's own simulator."""
        return self._habitat

    def set_doors(self, states: Any, *, anyway: bool = False) -> None:
        """Refuse to move doors: Habitat's stages have none.

        Raises:
            UnknownNameError: A door is named.
        """
        for name in states:
            raise UnknownNameError("door", name, ())

    @property
    def doors(self) -> dict[str, DoorState]:
        """No doors."""
        return {}

    def door_ahead(self, heading: float | None = None) -> None:
        """Return None: there are no doors."""

    def prepare(self, sources: Sequence[Source], channels: Sequence[str] = ()) -> None:
        """Compute ahead what the first step of an episode will need of sound."""
        if not self._has_own_propagation:
            super().prepare(sources)

    def see(
        self, channels: Sequence[str], *, camera: Camera | None = None, mount: Mount | None = None
    ) -> dict[str, np.ndarray]:
        """Return images by name: "rgb" and "depth" are Habitat's, "semantic", "instance" and "material" Harken's.

        Args:
            channels: Names of the images.
            camera: Another camera than the body's.
            mount: Another place for it than that of the body's.
        """
        self._check_placed()
        for name in channels:
            if name not in CHANNELS:
                raise UnknownNameError("channel", name, CHANNELS)
        camera, mount = camera or self.camera, mount or self.mount
        rest = tuple(name for name in channels if name not in ("rgb", "depth"))
        images = super().see(rest, camera=camera, mount=mount) if rest else {}
        rendered = [name for name in channels if name not in rest]
        if rendered:
            self._context.check_thread()
            self._move_agent()
        for name in rendered:
            sensor = self._habitat._sensors[self._sensor(camera, mount, name)]
            sensor.draw_observation()
            image = np.array(sensor.get_observation())  # a copy: the sensor draws into one buffer
            images[name] = image[:, :, :3].astype(np.uint8) if name == "rgb" else _depth(image, camera)
        return {name: images[name] for name in channels}

    def _move_agent(self) -> None:
        agent = self._habitat.get_agent(0)
        state = agent.get_state()
        half = 0.5 * self.heading
        state.position = self.position.astype(np.float32)
        state.rotation = np.array([0.0, math.sin(half), 0.0, math.cos(half)])  # coefficients x, y, z, w
        state.sensor_states = {}
        agent.set_state(state)

    def _sensor(self, camera: Camera, mount: Mount, channel: str) -> str:
        """Return the name of the sensor of a camera; it is added when it is first asked for."""
        key = camera, mount, channel
        if key not in self._cameras:
            self._habitat.add_sensor(self._specification(camera, mount, channel))
        return self._cameras[key]

    def _specification(self, camera: Camera, mount: Mount, channel: str) -> Any:
        habitat_sim, vector = self._habitat_sim, self._magnum.Vector3
        name = self._cameras.setdefault((camera, mount, channel), f"{channel} {len(self._cameras)}")
        if camera.projection == "pinhole":
            spec = habitat_sim.CameraSensorSpec()
            spec.sensor_subtype, spec.hfov = habitat_sim.SensorSubType.PINHOLE, math.degrees(camera.field_of_view)
        else:
            spec = habitat_sim.EquirectangularSensorSpec()
        spec.uuid, spec.resolution = name, [camera.height, camera.width]
        spec.sensor_type = habitat_sim.SensorType.COLOR if channel == "rgb" else habitat_sim.SensorType.DEPTH
        spec.position = vector(-mount.left, mount.height, -mount.ahead)
        spec.orientation = vector(mount.pitch, mount.yaw, 0.0)
        return spec

    def close(self) -> None:
        """Free Habitat's simulator; the body cannot see after."""
        self._habitat.close()


def make_habitat_simulator(
    scene: str | Path | Scene | World,
    settings: WorldSettings | None = None,
    *,
    camera: Camera | None = None,
    mount: Mount | None = None,
    hearing: ListenerFormat = "binaural",
    up: UpAxis = "auto",
    scale: float = 1.0,
    **options: Any,
) -> HabitatSimulator:
    """Make a body in Habitat, as `harken.sim.make_simulator` makes one in Harken.

    Generated homes and scenes in memory are written for Habitat into a folder of this process, with the mean colours of
    their textures.

    Args:
        scene: "home:<split>:<number>", the path of a scene file, a scene, or a world.
        settings: Settings of the world; not together with a world.
        camera: The body's camera.
        mount: Where on the body the camera sits.
        hearing: The body's listener format.
        up: Axis that points up in a file; "auto" leaves it to Harken and to Habitat, and to an error if they differ.
        scale: 1: Habitat takes the unit of a file for the metre.
        options: Further arguments of `HabitatSimulator`.

    Raises:
        ConfigurationError: The scale is not 1.
        HarkenError: See `HabitatSimulator`.
    """
    if scale != 1.0:
        raise ConfigurationError(
            f"scale is {scale!r}; expected 1, since Habitat takes the unit of a file for the metre."
        )
    import_habitat_sim()  # before a scene is read for nothing
    settings = settings or WorldSettings()
    is_file = isinstance(scene, str | Path) and not str(scene).startswith("home:")
    if isinstance(scene, Scene):
        world = World(scene=scene, settings=settings)
    else:
        world = scene if isinstance(scene, World) else load_world(str(scene), settings, up=up)
    if not is_file:
        stage = write_stage(world.scene, _folder())
    elif up in ("y", "z") and not str(scene).endswith(".json"):
        path = Path(str(scene))
        stage = write_stage_config(
            path, _folder() / f"{path.stem}-{abs(hash(path.resolve()))}.stage_config.json", up=up
        )
    else:
        stage = Path(str(scene))
    return HabitatSimulator(world, stage, camera=camera, mount=mount, hearing=hearing, **options)


def _depth(image: np.ndarray, camera: Camera) -> np.ndarray:
    """Return Habitat's depth ``(height, width)`` as Harken has it, ``(height, width, 1)`` float32 [m].

    Habitat makes a panorama of the six sides of a cube, and gives the depth along the axis of the side on which a pixel
    lies; Harken's panoramas measure along the ray.
    """
    depth = image.astype(np.float32)[:, :, None]
    if camera.projection == "equirectangular":
        (right, forward), (level, up) = camera.columns.T, camera.rows.T
        largest = np.maximum(level[:, None] * np.maximum(np.abs(right), np.abs(forward)), np.abs(up)[:, None])
        depth /= largest[:, :, None]
    return depth


@functools.cache
def _folder() -> Path:
    """Return the folder of this process for what Habitat reads; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="harken-habitat-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
