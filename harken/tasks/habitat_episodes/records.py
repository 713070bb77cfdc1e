"""Episodes as Habitat and SoundSpaces keep them, one record each, with the names of their files."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from harken.scene.vocabulary import SOUNDING_CATEGORIES

__all__ = ["HabitatEpisode", "HabitatEpisodes", "HabitatGoal", "HabitatTask", "ViewPoint", "heading_of"]

HabitatTask = Literal["pointnav", "objectnav", "audionav", "semantic_audionav"]
"""The tasks whose episode files are read and written."""

Position = tuple[float, float, float]
"""x, y and z [m]."""

Rotation = tuple[float, float, float, float]
"""A unit quaternion x, y, z, w, as Habitat's files have it."""


class ViewPoint(NamedTuple):
    """A place from which an object is seen, and where a search for it may end."""

    position: Position
    """Where a body stands [m]."""
    rotation: Rotation | None = None
    """How it is turned there, None where the file does not say."""
    iou: float | None = None
    """Overlap of the object with a frame in the middle of the view, None where the file does not say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HabitatGoal:
    """A place or an object to find."""

    position: Position
    """Where it is [m]."""
    radius: float | None = None
    """Distance at which it counts as reached [m], None for the task's own."""
    object_id: int | str | None = None
    """Number or name of the object in the scene's annotations, None for a place."""
    object_category: str = ""
    """Category of the object; empty where the file does not say."""
    view_points: tuple[ViewPoint, ...] = ()
    """Places from which the object is seen."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the file, such as "object_name" and "room_id"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HabitatEpisode:
    """One episode of a file. `harken.tasks.habitat_episodes.read_habitat_episodes` checks its values."""

    episode_id: str
    """Its name, unique within its scene."""
    scene_id: str
    """Its scene: a path below the folder of scenes, or a name that `scene_dataset_config` knows."""
    scene_dataset_config: str = ""
    """Path of the scene data set's configuration, empty for none."""
    start_position: Position
    """Where the body starts, on the floor [m]."""
    start_rotation: Rotation
    """How it is turned there, about the vertical axis."""
    goals: tuple[HabitatGoal, ...]
    """What to find: any one of them. Episodes that search the same objects share the tuple."""
    geodesic_distance: float | None = None
    """Length of the shortest path to the nearest goal [m], None where the file does not say."""
    num_action: int | None = None
    """Actions on that path, stop included, None where the file does not say."""
    object_category: str = ""
    """Category to find, in ObjectNav and semantic AudioNav."""
    sound: str = ""
    """Name of the sound that the goal makes: "telephone", or a file's name, "train/chair.wav"."""
    offset: int | None = None
    """Semantic AudioNav: when the sound begins [s]."""
    duration: int | None = None
    """Semantic AudioNav: how long it lasts [s]."""
    distractor_sound: str = ""
    """Semantic AudioNav: file of the sound that distracts, empty for none."""
    distractor_position_index: int | None = None
    """Semantic AudioNav: node of the scene's graph where it sounds."""
    info: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the episode's "info"."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the episode, such as "start_room" and "shortest_paths"."""

    @property
    def start_heading(self) -> float:
        """Where the body faces at the start [rad], in (−π, π]; 0 along −z, positive to the left."""
        return heading_of(self.start_rotation)

    @property
    def goals_key(self) -> str:
        """The key of its goals among those that a file keeps by category."""
        return f"{self.scene_id.rpartition('/')[2]}_{self.object_category}"


@dataclass(frozen=True, kw_only=True)
class HabitatEpisodes:
    """The episodes of a file, or of the files that a split is divided into."""

    task: HabitatTask
    """What is to be done in them."""
    episodes: tuple[HabitatEpisode, ...]
    """At least one."""
    task_categories: Mapping[str, int] = field(default_factory=dict)
    """ObjectNav: number of each category that is searched for."""
    scene_categories: Mapping[str, int] = field(default_factory=dict)
    """ObjectNav: number of each of these categories in the scenes' annotations."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further keys at the top of the file."""

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that may be searched for; empty where the task has none or the file does not say."""
        if self.task == "semantic_audionav":
            return tuple(self.task_categories) or SOUNDING_CATEGORIES
        return tuple(self.task_categories)


def heading_of(rotation: Rotation) -> float:
    """Return the heading [rad] in (−π, π] of a rotation about the vertical axis, a quaternion x, y, z, w."""
    _, y, _, w = rotation
    angle = 2.0 * math.atan2(y, w)
    if angle > math.pi:
        return angle - 2.0 * math.pi
    return angle + 2.0 * math.pi if angle <= -math.pi else angle
