"""From episodes of Habitat and SoundSpaces to episodes that Harken plays, with their scenes found on this machine."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from harken.errors import EpisodeError, SceneError
from harken.scene.datasets import find_scene
from harken.tasks.episodes import Episode
from harken.tasks.habitat_episodes.records import HabitatEpisode, HabitatEpisodes

__all__ = ["scene_folders", "to_episodes"]

_PLAYED = ("pointnav", "audionav")
_DEPTH = 8


def to_episodes(
    source: HabitatEpisodes, *, scenes: str | Path | None = None, file: str | Path | None = None
) -> tuple[Episode, ...]:
    """Return episodes of PointNav or AudioNav as Harken's own.

    Nothing is lost but the names of the scenes, which become paths on this machine, the goals' radii, for which tasks
    have settings, and `HabitatEpisode.num_action`, which tasks count. Names that occur in several scenes are preceded
    by the scene's.

    Args:
        source: The episodes.
        scenes: Folder of the scenes, such as ``data/scene_datasets``. By default it is looked for as ``scene_datasets``
            in the folders above `file`, as in the layout of Habitat and SoundSpaces, and in ``data`` here.
        file: The file that they were read from, for that search and for messages.

    Raises:
        EpisodeError: They belong to another task, an episode has several goals, or a scene is not found.
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
            )
        )
    return tuple(episodes)


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
