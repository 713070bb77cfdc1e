"""Writer of the episode files of Habitat and SoundSpaces."""

import gzip
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harken.checks import checked_path
from harken.errors import EpisodeError
from harken.files import write_bytes
from harken.tasks.habitat_episodes.reading import CONTENT_PATH, is_habitat_file
from harken.tasks.habitat_episodes.records import HabitatEpisode, HabitatEpisodes, HabitatGoal, HabitatTask, ViewPoint

__all__ = ["write_habitat_episodes"]


def write_habitat_episodes(path: str | Path, episodes: HabitatEpisodes, *, by_scene: bool = False) -> None:
    """Write episodes in the layout that Habitat or SoundSpaces reads for their task.

    Reading the file returns equal episodes. ObjectNav's goals are kept once for each scene and category.

    Args:
        path: A ``.json.gz`` or ``.json`` file.
        episodes: What to write.
        by_scene: Whether each scene gets a file of its own, ``content/<scene>.json.gz`` beside `path`, which then has
            no episodes.

    Raises:
        EpisodeError: A file cannot be written, a number is not finite, two scenes would share a file, or episodes of
            ObjectNav with the same scene and category differ in their goals, which the layout cannot express.
    """
    path = checked_path("The episode file", path, error=EpisodeError)
    if not is_habitat_file(path):
        raise EpisodeError(f"Episode file {str(path)!r}: expected a name that ends in .json.gz or .json.")
    if not by_scene:
        _write(path, _content(episodes, episodes.episodes))
        return
    scenes: dict[str, list[HabitatEpisode]] = {}
    for episode in episodes.episodes:
        scenes.setdefault(episode.scene_id, []).append(episode)
    files = {scene: _scene_name(scene) for scene in scenes}
    if len(set(files.values())) < len(files):
        raise EpisodeError(f"Scenes {sorted(files)[:4]} would share a file; write them into one with by_scene=False.")
    for scene, members in scenes.items():
        _write(path.parent / "content" / f"{files[scene]}.json.gz", _content(episodes, members))
    _write(path, {**_content(episodes, ()), "content_scenes_path": CONTENT_PATH})


def _scene_name(scene: str) -> str:
    """Return the name of a scene: its file's up to the first point, or its folder's where all files have one name."""
    parts = [part for part in scene.split("/") if part]
    if len(parts) > 2 and parts[-2] == "habitat":  # Replica: apartment_0/habitat/mesh_semantic.ply
        return parts[-3]
    return parts[-1].partition(".")[0]


def _write(path: Path, content: Mapping[str, Any]) -> None:
    try:
        data = json.dumps(content, allow_nan=False).encode()
    except (ValueError, TypeError) as problem:
        raise EpisodeError(
            f"{str(path)!r} cannot be written: {problem}. Episodes hold finite numbers only."
        ) from problem
    write_bytes(path, gzip.compress(data, 6, mtime=0) if path.suffix.lower() == ".gz" else data, error=EpisodeError)


def _content(source: HabitatEpisodes, members: Iterable[HabitatEpisode]) -> dict[str, Any]:
    task = source.task
    content: dict[str, Any] = {**source.more, "episodes": [_episode(episode, task) for episode in members]}
    if task == "objectnav":
        content["goals_by_category"] = _shared_goals(members)
        content["category_to_task_category_id"] = dict(source.task_categories)
        content["category_to_scene_annotation_category_id"] = dict(source.scene_categories)
    elif source.task_categories:
        content["category_to_task_category_id"] = dict(source.task_categories)
        content["category_to_scene_annotation_category_id"] = dict(source.scene_categories)
    return content


def _shared_goals(members: Iterable[HabitatEpisode]) -> dict[str, list[dict[str, Any]]]:
    goals: dict[str, tuple[HabitatGoal, ...]] = {}
    for episode in members:
        known = goals.setdefault(episode.goals_key, episode.goals)
        if known is not episode.goals and known != episode.goals:
            raise EpisodeError(
                f"Episode {episode.episode_id!r} has other goals than the episodes before it with the same scene and "
                f"category, {episode.goals_key!r}; ObjectNav keeps one list for all of them. Give them the same goals."
            )
    return {key: [_goal(goal, "objectnav") for goal in group] for key, group in goals.items()}


def _episode(episode: HabitatEpisode, task: HabitatTask) -> dict[str, Any]:
    info = dict(episode.info)
    for key, value in (("geodesic_distance", episode.geodesic_distance), ("num_action", episode.num_action)):
        if value is not None:
            info[key] = value
    if task == "audionav":
        info["sound"] = episode.sound
    row: dict[str, Any] = {"episode_id": episode.episode_id, "scene_id": episode.scene_id}
    if episode.scene_dataset_config:
        row["scene_dataset_config"] = episode.scene_dataset_config
    row |= {"start_position": episode.start_position, "start_rotation": episode.start_rotation, "info": info}
    row["goals"] = [] if task == "objectnav" else [_goal(goal, task) for goal in episode.goals]
    if task in ("objectnav", "semantic_audionav"):
        row["object_category"] = episode.object_category
    if task == "semantic_audionav":
        row |= {"sound_id": episode.sound, "offset": episode.offset, "duration": episode.duration}
        if episode.distractor_sound:
            row["distractor_sound_id"] = episode.distractor_sound
        if episode.distractor_position_index is not None:
            row["distractor_position_index"] = episode.distractor_position_index
    return {**row, **episode.more}


def _goal(goal: HabitatGoal, task: HabitatTask) -> dict[str, Any]:
    row: dict[str, Any] = {"position": goal.position, "radius": goal.radius}
    if goal.object_id is not None:
        row["object_id"] = goal.object_id
    if goal.object_category:
        row["object_category"] = goal.object_category
    if task in ("objectnav", "semantic_audionav"):
        row["view_points"] = [_view(view) for view in goal.view_points]
    return {**row, **goal.more}


def _view(view: ViewPoint) -> Any:
    if view.rotation is None and view.iou is None:
        return view.position  # as SoundSpaces writes them
    return {"agent_state": {"position": view.position, "rotation": view.rotation}, "iou": view.iou}
