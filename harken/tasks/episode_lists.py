"""Lists of episodes that are the same for everybody: files in Habitat's format that lose nothing, and their checksum.

A file has the layout of AudioNav, or of PointNav where nothing sounds. What these cannot hold stands under the key
``harken``, which their readers pass over:

- at the top of the file: ``format``, the ``task``, the ``checksum``, and how the episodes were drawn;
- in the ``info`` of each episode: the fields of the task's own episodes, such as ``start_heading`` (to the last bit,
  where ``start_rotation`` rounds), ``trajectory`` of a goal that walks, ``more_goals``, or an object's ``viewpoints``.

The scene of an episode is the name of its home, "home:<split>:<number>". Where a task has no goal, the file has the
start in its place.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from harken.errors import EpisodeError
from harken.tasks.habitat_episodes.reading import read_habitat_episodes
from harken.tasks.habitat_episodes.records import HabitatEpisode, HabitatEpisodes, HabitatGoal
from harken.tasks.habitat_episodes.writing import write_habitat_episodes

__all__ = [
    "checksum",
    "combined_checksum",
    "episode_digest",
    "is_episode_list",
    "listed_task",
    "read_episode_list",
    "read_episode_list_file",
    "write_episode_list",
]

FORMAT = 1
"""Number of the format; raised when a file of before could be read wrongly."""

DIGITS = 16
"""Length of a checksum, in hexadecimal digits."""

_KEY = "harken"
_DECIMALS = 3
_RADIUS = 1e-5  # of the goals in SoundSpaces' files
_TURN = 1e-6
# Fields that Habitat's layout holds.
_HELD = ("episode_id", "scene", "start_position", "position", "goal_position", "sound", "geodesic_distance")

E = TypeVar("E")


def episode_digest(episode: Any) -> str:
    """Return a digest of an episode: 16 hexadecimal digits of the SHA-256 of what it is, without its name.

    Numbers count to the thousandth, so that the last bits, in which processors differ, do not matter. Fields at their
    defaults do not count, and of a scene's path its last part alone.
    """
    if not dataclasses.is_dataclass(episode):
        values = {"scene": str(getattr(episode, "scene", "")), "name": str(getattr(episode, "episode_id", ""))}
    else:
        values = {name: _rounded(value) for name, value in _values(episode).items() if name != "episode_id"}
    values["scene"] = str(values["scene"]).rpartition("/")[2]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:DIGITS]


def combined_checksum(digests: Iterable[str]) -> str:
    """Return the checksum of a list from the digests of its episodes, in their order."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:DIGITS]


def checksum(episodes: Iterable[Any]) -> str:
    """Return the checksum of a list of episodes, 16 hexadecimal digits; see `episode_digest`."""
    return combined_checksum(map(episode_digest, episodes))


def _rounded(value: Any) -> Any:
    """Return a value of an episode of any task in types that JSON holds."""
    if dataclasses.is_dataclass(value):
        return {name: _rounded(part) for name, part in _values(value).items()}
    if isinstance(value, np.ndarray | np.generic):
        return _rounded(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): _rounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(part) for part in value]
    if isinstance(value, float):
        return round(value, _DECIMALS) + 0.0
    return value if value is None or isinstance(value, str | int) else type(value).__name__


def _values(episode: Any) -> dict[str, Any]:
    """Return the fields that are not at their defaults."""
    values = {field.name: (getattr(episode, field.name), field.default) for field in dataclasses.fields(episode)}
    return {name: value for name, (value, default) in values.items() if _differs(value, default)}


def _differs(value: Any, default: Any) -> bool:
    return isinstance(value, np.ndarray) or value != default


def write_episode_list(path: str | Path, episodes: Iterable[Any], about: Mapping[str, Any]) -> str:
    """Write a list of episodes of any task of navigation.

    The same episodes give the same bytes.

    Args:
        path: A ``.json.gz`` or ``.json`` file.
        episodes: At least one, all of one dataclass: `harken.tasks.Episode`, a task's own on top of it, or
            `harken.tasks.echo_depth.EchoEpisode`.
        about: How they were drawn, in types of JSON, such as ``task`` and ``split``.

    Returns:
        The checksum.

    Raises:
        EpisodeError: There are no episodes, they are of different kinds, or the file cannot be written.
    """
    listed = list(episodes)
    kinds = {type(episode) for episode in listed}
    if len(kinds) != 1 or not dataclasses.is_dataclass(kinds.copy().pop()):
        raise EpisodeError(
            f"{len(listed)} episodes of the kinds {sorted(kind.__name__ for kind in kinds)} were given; expected at "
            "least one, all of one dataclass."
        )
    sounds = all(getattr(episode, "sound", "") for episode in listed)
    total = checksum(listed)
    source = HabitatEpisodes(
        task="audionav" if sounds else "pointnav",
        episodes=tuple(_record(episode, sounds) for episode in listed),
        more={_KEY: {"format": FORMAT, **about, "count": len(listed), "checksum": total}},
    )
    write_habitat_episodes(path, source)
    return total


def _record(episode: Any, sounds: bool) -> HabitatEpisode:
    start = getattr(episode, "start_position", None) or episode.position
    heading = episode.start_heading if hasattr(episode, "start_heading") else episode.heading
    return HabitatEpisode(
        episode_id=episode.episode_id,
        scene_id=episode.scene,
        start_position=start,
        start_rotation=(0.0, math.sin(0.5 * heading), 0.0, math.cos(0.5 * heading)),
        goals=(HabitatGoal(position=getattr(episode, "goal_position", start), radius=_RADIUS if sounds else None),),
        geodesic_distance=getattr(episode, "geodesic_distance", 0.0),
        sound=episode.sound if sounds else "",
        info={_KEY: {name: value for name, value in _values(episode).items() if name not in _HELD}},
        more={"start_room": None, "shortest_paths": None},
    )


def is_episode_list(source: HabitatEpisodes) -> bool:
    """Whether a file of Habitat's format is one that `write_episode_list` wrote."""
    return _KEY in source.more


def listed_task(source: HabitatEpisodes) -> str | None:
    """Return the task for which a list was made; None where the file does not say, or is no list."""
    about = source.more.get(_KEY)
    return str(about["task"]) if isinstance(about, dict) and "task" in about else None


def read_episode_list_file(path: str | Path, kind: type[E]) -> tuple[E, ...]:
    """Read a file that `write_episode_list` wrote; see `read_episode_list`.

    Raises:
        EpisodeError: The file cannot be read, or is another one of Habitat's.
    """
    source = read_habitat_episodes(path)
    if not is_episode_list(source):
        raise EpisodeError(
            f"{str(path)!r} holds episodes of {source.task}, which are no {kind.__name__}. Give a file that "
            "`harken episodes` wrote, or one of JSON lines (.jsonl or .jsonl.gz)."
        )
    return read_episode_list(source, kind, where=repr(str(path)))


def read_episode_list(source: HabitatEpisodes, kind: type[E], *, where: str) -> tuple[E, ...]:
    """Return the episodes of a file that `write_episode_list` wrote.

    Args:
        source: What was read.
        kind: Their dataclass.
        where: The file, to begin a message with.

    Raises:
        EpisodeError: The file has another format, it was made for another task, or its episodes were changed since it
            was written: the checksum is another.
    """
    about = source.more[_KEY]
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise EpisodeError(
            f"{where}: the key 'harken' is {about!r:.80}; expected format {FORMAT}. Write the file again with "
            "`harken episodes`."
        )
    episodes = tuple(_episode(record, kind, where, about) for record in source.episodes)
    found, expected = checksum(episodes), about.get("checksum")
    if found != expected:
        raise EpisodeError(
            f"{where}: its {len(episodes)} episodes have the checksum {found}, but the file says {expected!r:.40}: "
            "they were changed or are not all there. Write the file again with `harken episodes`."
        )
    return episodes


def _episode(record: HabitatEpisode, kind: Any, where: str, about: Mapping[str, Any]) -> Any:
    where = f"{where}, episode {record.episode_id!r:.60}"
    names = {field.name for field in dataclasses.fields(kind)}
    own = record.info.get(_KEY)
    if not isinstance(own, dict):
        raise EpisodeError(f"{where}: info['harken'] is {own!r:.80}; expected an object of keys and values.")
    unknown: Sequence[str] = sorted(own.keys() - names | (own.keys() & set(_HELD)))
    if unknown:
        raise EpisodeError(
            f"{where}: {kind.__name__} has no {unknown[0]!r} beside what Habitat's keys hold. The file was made for "
            f"{about.get('task', 'another task')!s:.40}: play it there."
        )
    held = {
        "episode_id": record.episode_id,
        "scene": record.scene_id,
        "start_position": record.start_position,
        "position": record.start_position,
        "goal_position": record.goals[0].position,
        "sound": record.sound,
        "geodesic_distance": record.geodesic_distance or 0.0,
    }
    try:
        episode = kind(**{name: value for name, value in held.items() if name in names}, **_as_tuples(own))
    except TypeError as error:  # a key is missing
        task = about.get("task", "another task")
        raise EpisodeError(f"{where} is no {kind.__name__}: {error}. The file was made for {task!s:.40}.") from error
    heading = episode.start_heading if hasattr(episode, "start_heading") else episode.heading
    if abs(math.remainder(heading - record.start_heading, math.tau)) > _TURN:
        raise EpisodeError(
            f"{where}: start_rotation and the heading in info['harken'], {heading:.6g} rad, differ; change both."
        )
    return episode


def _as_tuples(value: Any) -> Any:
    """Return JSON's lists as tuples, as episodes have them, so that equal episodes are equal."""
    if isinstance(value, dict):
        return {key: _as_tuples(part) for key, part in value.items()}
    return tuple(map(_as_tuples, value)) if isinstance(value, list) else value
