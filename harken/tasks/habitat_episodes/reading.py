"""Reader of the episode files of Habitat and SoundSpaces, without either of them.

Layouts are those of habitat-lab 0.3 (``datasets/pointnav``, ``datasets/object_nav``) and SoundSpaces
(``audionav_dataset.py``, ``semantic_audionav_dataset.py``).
"""

import contextlib
import gc
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harken.checks import checked_path
from harken.errors import EpisodeError, did_you_mean
from harken.files import decompressed, read_bytes
from harken.tasks.habitat_episodes.columns import Rows, numbers, optional_numbers, rotations, texts
from harken.tasks.habitat_episodes.records import HabitatEpisode, HabitatEpisodes, HabitatGoal, HabitatTask, ViewPoint

__all__ = ["CONTENT_PATH", "is_habitat_file", "read_habitat_episodes"]

LARGEST_FILE = 2**30
"""Largest size of an unpacked episode file [bytes]."""

CONTENT_PATH = "{data_path}/content/{scene}.json.gz"
"""Where a split keeps the episodes of each scene in a file of their own, unless its file says otherwise."""

_TASK_TABLE = "category_to_task_category_id"
_SCENE_TABLES = ("category_to_scene_annotation_category_id", "category_to_mp3d_category_id")
_TOP = {"episodes", "goals_by_category", "content_scenes_path", _TASK_TABLE, *_SCENE_TABLES}
_EPISODE = {
    *("episode_id", "scene_id", "scene_dataset_config", "start_position", "start_rotation", "goals", "info"),
    *("object_category", "sound_id", "offset", "duration", "distractor_sound_id", "distractor_position_index"),
}
_INFO = {"geodesic_distance", "num_action", "sound"}
_GOAL = {"position", "radius", "object_id", "object_category", "view_points"}
_UNREACHABLE = "The goal cannot be reached from the start: leave the episode out."


def is_habitat_file(path: str | Path) -> bool:
    """Whether a name is one of Habitat's episode files, ``.json`` or ``.json.gz``, and not of Harken's ``.jsonl``."""
    return str(path).lower().endswith((".json", ".json.gz"))


def read_habitat_episodes(path: str | Path) -> HabitatEpisodes:
    """Read the episodes of PointNav, ObjectNav, AudioNav or semantic AudioNav.

    A file without episodes stands for a split whose scenes have files of their own, beside it in ``content/`` or where
    its ``content_scenes_path`` says: they are all read, by name. Goals may stand in each episode or, by scene and
    category, at the top of the file (``goals_by_category``).

    Args:
        path: A ``.json.gz`` or ``.json`` file, such as ``val/val.json.gz``.

    Raises:
        EpisodeError: The file is missing, cut off or not JSON, unpacks to more than 1 GB, has another layout or no
            episodes, or an episode has a missing or impossible value: a name that occurs twice in its scene, a pose
            that is not finite or not upright, an unknown category, no goal, or one that cannot be reached. The message
            names file and episode.
    """
    path = checked_path("The episode file", path, error=EpisodeError)
    if not is_habitat_file(path):
        raise EpisodeError(f"{str(path)!r} is no episode file of Habitat; expected a name that ends in .json.gz.")
    found: list[HabitatEpisode] = []
    task: HabitatTask | None = None
    with _without_garbage_collection():
        top = _content(path)
        tables = _tables(path, top)
        for file in [path] if top["episodes"] else _scene_files(path, top):
            content = top if file == path else _content(file)
            if not content["episodes"]:
                continue
            ours = _task(content["episodes"][0])
            if task not in (None, ours):
                raise EpisodeError(f"{str(file)!r} holds episodes of {ours}, the files before it of {task}.")
            task, own = ours, _tables(file, content)
            tables = own[0] or tables[0], own[1] or tables[1]
            found += _episodes(content, str(file), task, tables[0])
        _refuse_twins(path, found)
    if task is None:
        raise EpisodeError(f"{str(path)!r} has no episodes, nor has a file of a scene beside it.")
    more = {key: value for key, value in top.items() if key not in _TOP}
    return HabitatEpisodes(
        task=task, episodes=tuple(found), task_categories=tables[0], scene_categories=tables[1], more=more
    )


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keep the cyclic collector from walking the millions of values of a file again and again as they are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _content(path: Path) -> dict[str, Any]:
    """Return the object that a file holds, with a list of episodes."""
    where = repr(str(path))
    if not path.exists():
        folder = path.parent
        near = did_you_mean(path.name, (file.name for file in folder.iterdir())) if folder.is_dir() else ""
        raise EpisodeError(f"There is no episode file {where}.{near}")
    data = read_bytes(path, largest=LARGEST_FILE, error=EpisodeError)
    if path.suffix.lower() == ".gz":
        data = decompressed(data, largest=LARGEST_FILE, where=where, error=EpisodeError)
    try:
        # Not `parse_json`: NaN is found with the episode that it belongs to, and hooks would take seconds.
        content = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as problem:
        why = "it is nested too deep" if isinstance(problem, RecursionError) else str(problem)
        raise EpisodeError(
            f"{where} is not JSON that can be used: {why}. Fetch or write the file again; the name of one of Harken's "
            "own, JSON lines, ends in .jsonl or .jsonl.gz."
        ) from problem
    if not isinstance(content, dict) or not isinstance(content.get("episodes"), list):
        held = f"keys {sorted(content)[:6]}" if isinstance(content, dict) else type(content).__name__
        raise EpisodeError(
            f"{where} is no episode file of PointNav, ObjectNav, AudioNav or semantic AudioNav: it holds {held}; "
            "expected an object with a list 'episodes'."
        )
    return content


def _scene_files(path: Path, content: dict[str, Any]) -> list[Path]:
    """Return the files of the scenes of a split, by name."""
    pattern = content.get("content_scenes_path", CONTENT_PATH)
    if not isinstance(pattern, str) or pattern.count("{scene}") != 1 or ".." in Path(pattern).parts:
        raise EpisodeError(
            f"{str(path)!r}: content_scenes_path is {pattern!r:.80}; expected one like {CONTENT_PATH!r}."
        )
    place = Path(pattern.replace("{data_path}", str(path.parent)))
    files = sorted(place.parent.glob(place.name.replace("{scene}", "*"))) if "{scene}" in place.name else []
    if not files:
        raise EpisodeError(
            f"{str(path)!r} has no episodes, and there are no files of its scenes in {str(place.parent)!r}. Unpack the "
            "whole archive of the data set."
        )
    return files


def _tables(path: Path, content: dict[str, Any]) -> tuple[dict[str, int], dict[str, int]]:
    tables = (content.get(_TASK_TABLE), next((content[key] for key in _SCENE_TABLES if key in content), None))
    for table in tables:
        if table is not None and not (
            isinstance(table, dict) and all(type(number) is int for number in table.values())
        ):
            raise EpisodeError(f"{str(path)!r}: a table of categories is {table!r:.80}; expected numbers by name.")
    return tables[0] or {}, tables[1] or {}


def _task(row: Any) -> HabitatTask:
    """Tell the task of a file from its first episode."""
    if not isinstance(row, dict):
        return "pointnav"
    if "sound_id" in row:
        return "semantic_audionav"
    info = row.get("info")
    if isinstance(info, dict) and "sound" in info:
        return "audionav"
    goals = row.get("goals")
    named = isinstance(goals, list) and goals and isinstance(goals[0], dict) and "object_category" in goals[0]
    return "objectnav" if "object_category" in row or named else "pointnav"


def _episodes(
    content: dict[str, Any], file: str, task: HabitatTask, categories: dict[str, int]
) -> list[HabitatEpisode]:
    """Check and return the episodes of one file, column by column."""
    listed = content["episodes"]

    def name(number: int) -> str:
        row = listed[number]
        known = row.get("episode_id") if isinstance(row, dict) else None
        return f"episode {known!r:.60}" if known is not None else f"episode number {number}"

    rows = Rows(listed, repr(file), name)
    ids = texts(rows, "episode_id", rows.required("episode_id", "its name"))
    scenes = texts(rows, "scene_id", rows.required("scene_id", "the path of its scene"))
    configs = texts(rows, "scene_dataset_config", rows.optional("scene_dataset_config"), empty=True)
    starts = numbers(rows, "start_position", rows.required("start_position", "x, y, z of the start"), 3)
    turns = rotations(rows, "start_rotation", rows.required("start_rotation", "a quaternion x, y, z, w"))
    infos = Rows([{} if info is None else info for info in rows.optional("info")], rows.where, name)
    for number, info in enumerate(infos.rows):
        if type(info) is not dict:
            raise rows.fault(number, f"info is {info!r:.60}; expected an object of keys and values.")
    distances = optional_numbers(rows, "geodesic_distance", infos.optional("geodesic_distance"), remedy=_UNREACHABLE)
    actions = optional_numbers(rows, "num_action", infos.optional("num_action"), whole=True)
    goals, wanted = _goals(content, rows, task, scenes)
    _check_categories(rows, task, wanted, categories)
    sounds, offsets, durations, distractors, places = _sounds(rows, infos, task)
    columns = zip(
        *(ids, scenes, configs, map(tuple, starts.tolist()), map(tuple, turns.tolist()), goals, distances, actions),
        *(wanted, sounds, offsets, durations, distractors, places, infos.rows, listed),
        strict=True,
    )
    return [
        HabitatEpisode(
            episode_id=number, scene_id=scene, scene_dataset_config=config, start_position=start,  # type: ignore
            start_rotation=turn, goals=goal, geodesic_distance=distance, num_action=action,  # type: ignore
            object_category=category, sound=sound, offset=offset, duration=duration, distractor_sound=distractor,
            distractor_position_index=place, info=_others(info, _INFO), more=_others(row, _EPISODE),
        )
        for number, scene, config, start, turn, goal, distance, action, category, sound, offset, duration, distractor,
            place, info, row in columns
    ]  # fmt: skip


def _others(row: dict[str, Any], known: set[str]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in known}


def _sounds(rows: Rows, infos: Rows, task: HabitatTask) -> tuple[list[str], list[Any], list[Any], list[str], list[Any]]:
    """Return the sounds, their offsets and durations, and what distracts."""
    none: list[Any] = [None] * len(rows.rows)
    if task == "audionav":
        sounds = texts(rows, "info.sound", infos.required("sound", "the name of the goal's sound in 'info'"))
        return sounds, none, none, [""] * len(sounds), none
    if task != "semantic_audionav":
        return [""] * len(none), none, none, [""] * len(none), none
    return (
        texts(rows, "sound_id", rows.required("sound_id", "the file of the goal's sound")),
        optional_numbers(rows, "offset", _whole(rows.required("offset", "when the sound begins [s]")), whole=True),
        optional_numbers(rows, "duration", _whole(rows.required("duration", "how long it lasts [s]")), whole=True),
        texts(rows, "distractor_sound_id", rows.optional("distractor_sound_id"), empty=True),
        optional_numbers(
            rows, "distractor_position_index", _whole(rows.optional("distractor_position_index")), whole=True
        ),
    )


def _whole(values: list[Any]) -> list[Any]:
    """Return the values with texts of digits as numbers, which SoundSpaces converts as well."""
    return [int(value) if type(value) is str and value.isascii() and value.isdigit() else value for value in values]


def _goals(
    content: dict[str, Any], rows: Rows, task: HabitatTask, scenes: list[str]
) -> tuple[list[tuple[HabitatGoal, ...]], list[str]]:
    """Return the goals and the category of each episode."""
    if task in ("pointnav", "audionav"):
        return _read_goals(rows, rows.required("goals", "a list of goals")), [""] * len(scenes)
    wanted = texts(rows, "object_category", rows.optional("object_category"), empty=True)
    table = content.get("goals_by_category")
    if table is None:
        goals = _read_goals(rows, rows.required("goals", "a list of goals"))
        return goals, [category or group[0].object_category for category, group in zip(wanted, goals, strict=True)]
    if not isinstance(table, dict):
        raise EpisodeError(f"{rows.where}: goals_by_category is {table!r:.60}; expected lists of goals by key.")
    keys = list(table)
    shared = Rows([{} for _ in keys], rows.where, lambda number: f"goals of {keys[number]!r:.80}")
    known = dict(zip(keys, _read_goals(shared, list(table.values())), strict=True))
    ours = [f"{scene.rpartition('/')[2]}_{category}" for scene, category in zip(scenes, wanted, strict=True)]
    for number, key in enumerate(ours):
        if key not in known:
            raise rows.fault(
                number, f"goals_by_category has no goals {key!r:.80}.{did_you_mean(key, known)} Leave the episode out."
            )
    return [known[key] for key in ours], wanted


def _read_goals(rows: Rows, listed: list[Any]) -> list[tuple[HabitatGoal, ...]]:
    """Check and return the goals of each row, all of them at once."""
    for number, group in enumerate(listed):
        if type(group) is not list or not group:
            raise rows.fault(number, f"goals are {group!r:.60}; expected a list of at least one goal.")
    owner = [number for number, group in enumerate(listed) for _ in group]
    flat = Rows(list(itertools.chain.from_iterable(listed)), rows.where, lambda number: rows.name(owner[number]))
    positions = numbers(flat, "a goal's position", flat.required("position", "x, y, z of a goal"), 3)
    radii = optional_numbers(flat, "a goal's radius", flat.optional("radius"))
    categories = texts(flat, "a goal's object_category", flat.optional("object_category"), empty=True)
    identities = flat.optional("object_id")
    views = _read_views(flat, flat.optional("view_points"))
    goals = [
        HabitatGoal(
            position=position, radius=radius, object_id=identity, object_category=category, view_points=seen,
            more=_others(row, _GOAL),
        )
        for position, radius, identity, category, seen, row in zip(
            map(tuple, positions.tolist()), radii, identities, categories, views, flat.rows, strict=True
        )
    ]  # fmt: skip
    ends = np.cumsum([len(group) for group in listed]).tolist()
    return [tuple(goals[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _read_views(rows: Rows, listed: list[Any]) -> list[tuple[ViewPoint, ...]]:
    """Return the view points of each goal: SoundSpaces writes positions alone, Habitat states and overlaps."""
    if set(map(type, listed)) == {type(None)}:
        return [()] * len(listed)
    for number, group in enumerate(listed):
        if group is not None and type(group) is not list:
            raise rows.fault(number, f"view_points are {group!r:.60}; expected a list.")
    owner = [number for number, group in enumerate(listed) for _ in group or ()]
    states, ious = [], []
    for number, view in zip(owner, itertools.chain.from_iterable(group or () for group in listed), strict=True):
        state = view.get("agent_state") if isinstance(view, dict) else {"position": view}
        if not isinstance(state, dict):
            raise rows.fault(number, f"a view point is {view!r:.60}; expected an agent_state with a position.")
        states.append(state)
        ious.append(view.get("iou") if isinstance(view, dict) else None)
    flat = Rows(states, rows.where, lambda number: rows.name(owner[number]))
    positions = numbers(flat, "a view point's position", flat.required("position", "x, y, z of a view point"), 3)
    turns = flat.optional("rotation")
    turned = [number for number, turn in enumerate(turns) if turn is not None]
    given = Rows(states, rows.where, lambda number: flat.name(turned[number]))
    checked = numbers(given, "a view point's rotation", [turns[number] for number in turned], 4).tolist()
    for number, turn in zip(turned, checked, strict=True):
        turns[number] = tuple(turn)
    ious = optional_numbers(flat, "iou", ious)
    views = list(map(ViewPoint, map(tuple, positions.tolist()), turns, ious))  # type: ignore[arg-type]
    ends = np.cumsum([len(group or ()) for group in listed]).tolist()
    return [tuple(views[start:end]) for start, end in zip([0, *ends], ends, strict=False)]


def _check_categories(rows: Rows, task: HabitatTask, wanted: list[str], categories: dict[str, int]) -> None:
    if task in ("pointnav", "audionav"):
        return
    known = HabitatEpisodes(task=task, episodes=(), task_categories=categories).categories
    for category in set(wanted):
        if not category or (known and category not in known):
            expected = f"one of {', '.join(known)}" if known else "a name"
            raise rows.fault(
                wanted.index(category),
                f"object_category is {category!r:.60}.{did_you_mean(category, known)} Expected {expected}.",
            )


def _refuse_twins(path: Path, episodes: list[HabitatEpisode]) -> None:
    keys = [(episode.scene_id, episode.episode_id) for episode in episodes]
    if len(set(keys)) == len(keys):
        return
    scene, name = next(key for key, count in Counter(keys).items() if count > 1)
    raise EpisodeError(
        f"{str(path)!r}: two episodes of scene {scene!r:.80} are called {name!r:.60}; expected different episode_id. "
        "Number them anew."
    )
