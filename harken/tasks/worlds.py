"""Where episodes take place: generated homes by split and number, or a scene file."""

import functools
import threading
from pathlib import Path
from typing import Literal, cast, get_args

from harken.errors import EpisodeError, UnknownNameError
from harken.scene import Scene, generate_home
from harken.sim import World
from harken.tasks.navigation import NavigationSettings

__all__ = ["SPLITS", "Split", "load_world", "scene_name"]

Split = Literal["train", "val", "test"]
"""Name of a split."""

SPLITS: tuple[Split, ...] = get_args(Split)
"""The splits of homes and sounds."""

WORLDS_KEPT = 8
"""Worlds that a process keeps, the least recently used dropped first."""

_lock = threading.Lock()


def scene_name(split: str, number: int) -> str:
    """Return the name of a generated home, "home:<split>:<number>"."""
    if split not in SPLITS:
        raise UnknownNameError("split", split, SPLITS)
    return f"home:{split}:{number}"


def load_world(
    scene: str, settings: NavigationSettings, *, up: Literal["auto", "y", "z"] = "auto", scale: float = 1.0
) -> World:
    """Make the world of a scene, or return it if this process still has it: environments share scenes and sound fields.

    Args:
        scene: "home:<split>:<number>", or the path of a scene file.
        settings: The rules, which say how large the body is and how sound is propagated.
        up: Axis that points up in the file.
        scale: Metres per unit of the file.

    Raises:
        EpisodeError: The name of a home is malformed.
        SceneError: The file cannot be read.
    """
    with _lock:  # or environments in several threads would each make the world, and share nothing
        return _load_world(scene, settings, up, scale)


@functools.lru_cache(maxsize=WORLDS_KEPT)
def _load_world(scene: str, settings: NavigationSettings, up: Literal["auto", "y", "z"], scale: float) -> World:
    return World(
        scene=_load_scene(scene, up, scale),
        body=settings.body,
        ear_height=settings.ear_height,
        acoustics=settings.acoustics,
        motion=settings.motion,
        grid_spacing=settings.forward_step,
    )


def _load_scene(scene: str, up: Literal["auto", "y", "z"], scale: float) -> Scene:
    if not scene.startswith("home:"):
        return Scene.load(Path(scene), up=up, scale=scale)
    _, _, rest = scene.partition(":")
    split, _, number = rest.partition(":")
    if split not in SPLITS or not number.isdigit():
        raise EpisodeError(
            f"Scene {scene!r} names no home; expected 'home:<split>:<number>' with split {', '.join(SPLITS)}, "
            "for example 'home:test:12'."
        )
    return generate_home(int(number), split=cast(Split, split))
