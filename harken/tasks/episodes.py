"""Episodes: where a body starts, what it looks or listens for, and files of them."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from harken.errors import EpisodeError

__all__ = ["Episode", "read_episodes", "write_episodes"]


@dataclass(frozen=True, kw_only=True)
class Episode:
    """One search: a start, a goal that may sound, and what is known of the way."""

    episode_id: str
    """Unique name within its split."""
    scene: str
    """"home:<split>:<seed>" for a generated home, or the path of a scene file."""
    start_position: tuple[float, float, float]
    """Where the body starts, on the floor [m]."""
    start_heading: float
    """Where it faces [rad]."""
    goal_position: tuple[float, float, float]
    """Where the goal is, on the floor [m]."""
    sound: str = ""
    """Name of the clip that the goal plays; empty where nothing sounds."""
    sound_offset: float = 0.0
    """Where in the clip it starts [s]."""
    geodesic_distance: float = 0.0
    """Length of the shortest way from start to goal [m]."""

    def __post_init__(self) -> None:
        """Check that the numbers are finite."""
        numbers = [*self.start_position, *self.goal_position, self.start_heading, self.sound_offset]
        if len(self.start_position) != 3 or len(self.goal_position) != 3 or not np.isfinite(numbers).all():
            raise EpisodeError(f"Episode {self.episode_id!r} has a pose that is not three finite numbers: {self}.")


def write_episodes(path: str | Path, episodes: Iterable[Episode]) -> None:
    """Write episodes as JSON lines, compressed where the name ends in ``.gz``."""
    path = Path(path)
    text = "".join(json.dumps(asdict(episode)) + "\n" for episode in episodes)
    data = text.encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


def read_episodes(path: str | Path) -> Iterator[Episode]:
    """Read episodes that `write_episodes` wrote.

    Raises:
        EpisodeError: The file is missing, is not JSON lines, or an episode has unknown or missing keys.
    """
    path = Path(path)
    if not path.is_file():
        raise EpisodeError(f"There is no episode file {str(path)!r}. Give a file of JSON lines (.jsonl or .jsonl.gz).")
    data = path.read_bytes()
    try:
        lines = (gzip.decompress(data) if path.suffix == ".gz" else data).decode().splitlines()
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise EpisodeError(f"Episode file {str(path)!r} cannot be read: {error}.") from error
    known = {f.name for f in fields(Episode)}
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict):
                raise TypeError(f"{type(row).__name__} instead of keys and values")
            unknown = sorted(set(row) - known)
            if unknown:
                raise EpisodeError(f"{path}, line {number}: unknown keys {unknown}; an episode has {sorted(known)}.")
            row["start_position"], row["goal_position"] = tuple(row["start_position"]), tuple(row["goal_position"])
            yield Episode(**row)
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise EpisodeError(f"{path}, line {number} is not an episode: {error}.") from error
