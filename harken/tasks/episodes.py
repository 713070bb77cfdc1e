"""Episodes: where a body starts, what it looks or listens for, and files of them."""

import gzip
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from harken.checks import checked_number, checked_path, checked_point
from harken.errors import EpisodeError
from harken.files import decompressed, parse_json, read_bytes, write_bytes
from harken.scene import DOOR_STATES, DoorState
from harken.sim import Trajectory

__all__ = ["Episode", "read_episodes", "write_episodes"]

LARGEST_FILE = 2**30
"""Largest size of an unpacked episode file [bytes]."""

LONGEST_NAME = 1_000
"""Greatest length of a name in an episode [characters]."""


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One search: a start, a goal that may sound and move, and what is known of the path.

    Raises:
        EpisodeError: A name is not text, a pose or a time is not finite, or the goal's trajectory is not valid.
    """

    episode_id: str
    """Unique name within its split."""
    scene: str
    """"home:<split>:<seed>" for a generated home, or the path of a scene file."""
    start_position: tuple[float, float, float]
    """Where the body starts, on the floor [m]."""
    start_heading: float
    """Where it faces [rad]."""
    goal_position: tuple[float, float, float]
    """Where the goal is, or starts to move, on the floor [m]."""
    sound: str = ""
    """Name of the clip that the goal plays; empty where nothing sounds."""
    sound_offset: float = 0.0
    """Where in the clip it starts [s]."""
    onset: float = 0.0
    """When it starts to sound [s]."""
    duration: float | None = None
    """How long it sounds [s]; None for as long as the episode lasts. It stays the goal when it is silent."""
    trajectory: tuple[tuple[float, float, float, float], ...] = ()
    """The goal's path: time [s] and x, y, z [m] of places on the floor, in rising time; empty for a goal at rest."""
    doors: tuple[tuple[str, DoorState], ...] = ()
    """Name and state of doors that are not open when it begins."""
    geodesic_distance: float = 0.0
    """Length of the shortest path from start to goal [m]."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("episode_id", "scene", "sound"):
            value = getattr(self, name)
            if not isinstance(value, str) or len(value) > LONGEST_NAME:
                raise EpisodeError(
                    f"An episode's {name} is {str(value)[:80]!r}; expected at most a thousand characters."
                )
        where = f"Episode {self.episode_id!r}:"
        for name in ("start_position", "goal_position"):
            point = checked_point(f"{where} {name}", getattr(self, name), error=EpisodeError)
            object.__setattr__(self, name, tuple(point.tolist()))
        for name, low in (("start_heading", -1e6), ("sound_offset", 0.0), ("onset", 0.0), ("geodesic_distance", 0.0)):
            value = checked_number(f"{where} {name}", getattr(self, name), low, 1e6, error=EpisodeError)
            object.__setattr__(self, name, value)
        if self.duration is not None:
            duration = checked_number(f"{where} duration", self.duration, 0.0, 1e6, unit="s", error=EpisodeError)
            object.__setattr__(self, "duration", duration)
        object.__setattr__(self, "trajectory", _checked_way(where, self.trajectory))
        object.__setattr__(self, "doors", _checked_doors(where, self.doors))

    def goal_way(self, lift: float = 0.0) -> Trajectory | None:
        """Return the goal's path over time, raised above the floor [m]; None for a goal at rest."""
        if not self.trajectory:
            return None
        way = np.array(self.trajectory)
        return Trajectory(times=way[:, 0], positions=way[:, 1:] + [0.0, lift, 0.0])


E = TypeVar("E")


def _checked_doors(where: str, doors: Any) -> tuple[tuple[str, DoorState], ...]:
    listed = doors if isinstance(doors, list | tuple) else (doors,)
    rows = tuple(tuple(row) if isinstance(row, list | tuple) else () for row in listed)
    for row in rows:
        if len(row) != 2 or not isinstance(row[0], str) or row[1] not in DOOR_STATES:
            raise EpisodeError(
                f"{where} doors are {doors!r:.80}; expected pairs of a name and a state, {', '.join(DOOR_STATES)}."
            )
    return rows  # type: ignore[return-value]


def _checked_way(where: str, way: Any) -> tuple[tuple[float, float, float, float], ...]:
    try:
        array = np.asarray(way, np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise EpisodeError(f"{where} trajectory is not a list of [time, x, y, z]: {error}.") from error
    if array.size == 0:
        return ()
    if array.ndim != 2 or array.shape[1] != 4 or not np.isfinite(array).all() or (np.diff(array[:, 0]) <= 0).any():
        raise EpisodeError(f"{where} trajectory has shape {array.shape}; expected rows of time, x, y, z, times rising.")
    return tuple((row[0], row[1], row[2], row[3]) for row in array.tolist())


def write_episodes(path: str | Path, episodes: Iterable[Episode]) -> None:
    """Write episodes as JSON lines, compressed where the name ends in ``.gz``."""
    path = checked_path("The episode file", path, error=EpisodeError)
    data = "".join(json.dumps(asdict(episode)) + "\n" for episode in episodes).encode()
    write_bytes(path, gzip.compress(data, mtime=0) if path.suffix == ".gz" else data, error=EpisodeError)


def read_episodes(path: str | Path, kind: type[E] = Episode) -> tuple[E, ...]:  # type: ignore[assignment]
    """Read episodes that `write_episodes` or ``harken episodes`` (`harken.tasks.episode_lists`) wrote.

    Args:
        path: The file.
        kind: What the episodes are: `Episode`, or a task's own dataclass on top of it.

    Raises:
        EpisodeError: The file is missing, is neither JSON lines nor a list with the right checksum, unpacks to more
            than 1 GB, or an episode has unknown, missing or impossible values; the message names the line.
    """
    path = checked_path("The episode file", path, error=EpisodeError)
    if path.name.lower().endswith((".json", ".json.gz")):
        from harken.tasks.episode_lists import read_episode_list_file  # which is made of this module

        return read_episode_list_file(path, kind)
    if not path.is_file():
        raise EpisodeError(f"There is no episode file {str(path)!r}. Give a file of JSON lines (.jsonl or .jsonl.gz).")
    data = read_bytes(path, largest=LARGEST_FILE, error=EpisodeError)
    if path.suffix == ".gz":
        data = decompressed(data, largest=LARGEST_FILE, where=str(path), error=EpisodeError)
    try:
        lines = data.decode("utf-8").splitlines()
    except UnicodeError as error:
        raise EpisodeError(f"Episode file {str(path)!r} cannot be read as UTF-8 text: {error}.") from error
    return tuple(_parsed(line, f"{path}, line {number}", kind) for number, line in enumerate(lines, 1))


def _parsed(line: str, where: str, kind: type[E]) -> E:
    names = {f.name for f in fields(kind)}  # type: ignore[bad-argument-type]
    row = parse_json(line, where=where, error=EpisodeError)
    if not isinstance(row, dict):
        raise EpisodeError(f"{where} is not an episode: {type(row).__name__} instead of keys and values.")
    unknown = sorted(set(row) - names)
    if unknown:
        raise EpisodeError(f"{where}: unknown keys {unknown}; an episode has {sorted(names)}.")
    try:
        return kind(**row)
    except TypeError as error:  # a key is missing
        raise EpisodeError(f"{where} is not an episode: {error}.") from error
    except EpisodeError as error:
        raise EpisodeError(f"{where}: {error}") from error
