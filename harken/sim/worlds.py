"""Worlds and simulators for generated homes, by split and number, and for scene files."""

import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Literal

from harken.acoustics.protocol import ListenerFormat
from harken.errors import EpisodeError
from harken.prepared import prepared_folder
from harken.scene import AcousticMaterial, Appearance, Door, Room, Scene, SceneObject, generate_home
from harken.sim.mount import Mount
from harken.sim.protocol import SimulatorProtocol
from harken.sim.settings import WorldSettings
from harken.sim.simulator import Simulator
from harken.sim.world import World
from harken.splits import SPLITS, checked_split
from harken.vision import Camera

__all__ = ["UpAxis", "load_world", "make_simulator", "scene_name"]

UpAxis = Literal["auto", "y", "z"]
"""Axis that points up in a scene file."""

WORLDS_KEPT = 3
"""Number of worlds that a process keeps beside those in use; the least recently used is dropped first."""

_Key = tuple[str, WorldSettings, UpAxis, float]

_lock = threading.Lock()
_in_use: weakref.WeakValueDictionary[_Key, World] = weakref.WeakValueDictionary()
_recent: OrderedDict[_Key, World] = OrderedDict()


def scene_name(split: str, number: int) -> str:
    """Return the name of a generated home, "home:<split>:<number>"."""
    return f"home:{checked_split(split)}:{number}"


def make_simulator(
    scene: str | Path | Scene | World,
    settings: WorldSettings | None = None,
    *,
    camera: Camera | None = None,
    mount: Mount | None = None,
    hearing: ListenerFormat = "binaural",
    up: UpAxis = "auto",
    scale: float = 1.0,
) -> SimulatorProtocol:
    """Make a simulator: a body in a world, which is shared within the process where the scene has a name.

    Args:
        scene: "home:<split>:<number>", the path of a scene file, a scene, or a world.
        settings: Settings of the world; not together with a world.
        camera: The body's camera.
        mount: Where on the body the camera sits.
        hearing: The body's listener format.
        up: Axis that points up in a file.
        scale: Metres per unit of a file.

    Raises:
        EpisodeError: The name of a home is malformed.
        SceneError: The file cannot be read.
    """
    settings = settings or WorldSettings()
    if isinstance(scene, Scene):
        world = World(scene=scene, settings=settings)
    else:
        world = scene if isinstance(scene, World) else load_world(str(scene), settings, up=up, scale=scale)
    return Simulator(world, camera=camera, mount=mount, hearing=hearing)


def load_world(scene: str, settings: WorldSettings, *, up: UpAxis = "auto", scale: float = 1.0) -> World:
    """Make the world of a scene, or return it if this process still has it: environments share scenes and sound fields.

    Args:
        scene: "home:<split>:<number>", or the path of a scene file.
        settings: Settings of the world.
        up: Axis that points up in the file.
        scale: Metres per unit of the file.

    Raises:
        EpisodeError: The name of a home is malformed.
        SceneError: The file cannot be read.
    """
    with _lock:  # otherwise environments in several threads would each make their own world
        key = (scene, settings, up, scale)
        world = _in_use.get(key)
        if world is None:
            world = World(scene=_load_scene(scene, up, scale), settings=settings)
        _in_use[key] = _recent[key] = world
        _recent.move_to_end(key)
        if len(_recent) > WORLDS_KEPT:
            _recent.popitem(last=False)
        return world


def _load_scene(scene: str, up: UpAxis, scale: float) -> Scene:
    if not scene.startswith("home:"):
        return Scene.load(Path(scene), up=up, scale=scale)
    _, _, rest = scene.partition(":")
    split, _, number = rest.partition(":")
    if split not in SPLITS or not (number.isascii() and number.isdigit() and len(number) < 19):
        raise EpisodeError(
            f"Scene {scene[:80]!r} names no home; expected 'home:<split>:<number>' with split {', '.join(SPLITS)}, "
            "for example 'home:test:12'."
        )
    split = checked_split(split)
    classes = Scene, AcousticMaterial, Appearance, Room, SceneObject, Door
    return prepared_folder().get(
        "home", (split, int(number)), lambda: generate_home(int(number), split=split), classes=classes
    )
