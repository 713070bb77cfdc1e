"""Between episodes of Habitat and SoundSpaces and those that Harken plays; scenes are found on this machine."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from harken.errors import EpisodeError, SceneError
from harken.scene.datasets import find_scene
from harken.tasks.episodes import Episode
from harken.tasks.habitat_episodes.records import HabitatEpisode, HabitatEpisodes, HabitatGoal

__all__ = ["from_episodes", "scene_folders", "to_episodes"]

_PLAYED = ("pointnav", "audionav")
_DEPTH = 8
_HOME = "home:"
_RADIUS = 1e-5  # of the goals in SoundSpaces' files
_OWN = "harken"
_OWN_KEYS = ("sound_offset", "onset", "duration")


def to_episodes(
    source: HabitatEpisodes, *, scenes: str | Path | None = None, file: str | Path | None = None
) -> tuple[Episode, ...]:
    """Return episodes of PointNav or AudioNav as Harken's own.

    Nothing is lost but the names of the scenes, which become paths on this machine, the goals' radii, for which tasks
    have settings, and `HabitatEpisode.num_action`, which tasks count. Names that occur in several scenes are preceded
    by the scene's. Generated homes keep their names, and what `from_episodes` put into "info" is used.

    Args:
        source: The episodes.
        scenes: Folder of the scenes, such as ``data/scene_datasets``. By default it is looked for as ``scene_datasets``
            in the folders above `file`, as in the layout of Habitat and SoundSpaces, and in ``data`` here.
        file: The file that they were read from, for that search and for messages.

    Raises:
        EpisodeError: They belong to another task, an episode has several goals, a scene is not found, or what "info"
            says of the sound is impossible.
    """
    where = "The episodes" if file is None else repr(str(file))
    if source.task not in _PLAYED:
        raise EpisodeError(
            f"{where}: episodes of {source.task} search objects by category, which harken.tasks.Episode cannot hold. "
            "Use those of AudioNav or PointNav, or `read_habitat_episodes` for their values."
        )
    folders = list(scene_folders(file)) if scenes is None else [Path(scenes).expanduser()]
    paths: dict[tuple[str, str], str] = {}
    counts = Counter(episode.episode_id for episode in source.episodes)
    episodes = []
    for episode in source.episodes:
        key = (episode.scene_id, episode.scene_dataset_config)
        if key not in paths:
            paths[key] = _scene_path(episode, folders, where)
        if len(episode.goals) != 1:
            raise EpisodeError(
                f"{where}, episode {episode.episode_id!r} has {len(episode.goals)} goals; expected one. Leave it out."
            )
        twin = counts[episode.episode_id] > 1
        episodes.append(
            Episode(
                episode_id=f"{episode.scene_id}/{episode.episode_id}" if twin else episode.episode_id,
                scene=paths[key],
                start_position=episode.start_position,
                start_heading=episode.start_heading,
                goal_position=episode.goals[0].position,
                sound=episode.sound,
                geodesic_distance=episode.geodesic_distance or 0.0,
                **_own_values(episode, where),
            )
        )
    return tuple(episodes)


def _own_values(episode: HabitatEpisode, where: str) -> dict[str, Any]:
    """Return what `from_episodes` has put into an episode's "info"."""
    if _OWN not in episode.info:
        return {}
    values = episode.info[_OWN]
    if not isinstance(values, dict) or not values.keys() <= set(_OWN_KEYS):
        raise EpisodeError(
            f"{where}, episode {episode.episode_id!r}: info[{_OWN!r}] is {values!r:.80}; expected values of "
            f"{', '.join(_OWN_KEYS)}."
        )
    return values


def from_episodes(episodes: Iterable[Episode], task: Literal["pointnav", "audionav"] = "audionav") -> HabitatEpisodes:
    """Return Harken's episodes as those of AudioNav or PointNav, for `write_habitat_episodes`.

    Scenes keep their names, also those of generated homes ("home:val:0"). Where a sound starts in its clip, when it
    starts to sound and how long it lasts, which these tasks do not know, stand under "harken" in each episode's "info",
    which their readers pass over. `HabitatEpisode.num_action` is left open: SoundSpaces' measure SNA needs it.

    Args:
        episodes: The episodes.
        task: What they become.

    Raises:
        EpisodeError: An episode has a goal that moves or doors that are not open, or, in AudioNav, no sound.
    """
    rows = []
    for episode in episodes:
        if episode.trajectory or episode.doors:
            what = "a goal that moves" if episode.trajectory else "doors that are not open"
            raise EpisodeError(f"Episode {episode.episode_id!r} has {what}, which episodes of {task} cannot have.")
        if task == "audionav" and not episode.sound:
            raise EpisodeError(f"Episode {episode.episode_id!r} has no sound; write it with task='pointnav'.")
        times = {key: getattr(episode, key) for key in _OWN_KEYS}
        times = {key: value for key, value in times.items() if value or (key == "duration" and value is not None)}
        half = 0.5 * episode.start_heading
        row = HabitatEpisode(
            episode_id=episode.episode_id,
            scene_id=episode.scene,
            start_position=episode.start_position,
            start_rotation=(0.0, math.sin(half), 0.0, math.cos(half)),
            goals=(HabitatGoal(position=episode.goal_position),),
            geodesic_distance=episode.geodesic_distance,
            more={"start_room": None, "shortest_paths": None},
        )
        if task == "audionav":
            goal = replace(row.goals[0], radius=_RADIUS)
            row = replace(row, goals=(goal,), sound=episode.sound, info={_OWN: times} if times else {})
        rows.append(row)
    if not rows:
        raise EpisodeError("No episodes were given; expected at least one.")
    return HabitatEpisodes(task=task, episodes=tuple(rows))


def scene_folders(file: str | Path | None) -> Iterator[Path]:
    """Yield the folders of scenes above an episode file, nearest first, and the one here."""
    if file is not None:
        parents = Path(file).expanduser().resolve().parents
        for folder in list(parents)[:_DEPTH]:
            if (folder / "scene_datasets").is_dir():
                yield folder / "scene_datasets"
    here = Path("data/scene_datasets")
    if here.is_dir():
        yield here


def _scene_path(episode: HabitatEpisode, folders: list[Path], where: str) -> str:
    if episode.scene_id.startswith(_HOME):
        return episode.scene_id
    problem: SceneError | None = None
    for folder in folders:
        try:
            return str(find_scene(episode.scene_id, folder, episode.scene_dataset_config or None).mesh)
        except SceneError as error:
            problem = error
    why = (
        "no folder 'scene_datasets' lies above the file, nor 'data/scene_datasets' here" if problem is None else problem
    )
    raise EpisodeError(
        f"{where}, episode {episode.episode_id!r}: scene {episode.scene_id!r:.120} was not found: "
        f"{str(why).rstrip('.')}. Give the folder of the scenes, scenes='…/scene_datasets'."
    ) from problem
