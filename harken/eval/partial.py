"""Finished episodes of an evaluation on disk, so that one that was ended continues."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import ConfigurationError, EpisodeError
from harken.eval.records import EpisodeRecord

__all__ = ["PartialResults"]

FORMAT = 2
"""Number of the format; raised whenever records change."""

_TEXTS = ("episode", "agent", "scene", "sound", "digest")
_SERIES = ("positions", "headings", "actions", "rewards", "loudness", "distances")


class PartialResults:
    """A file of finished episodes, one in a line, without pictures and sound.

    Args:
        folder: Where the results go.
        agent: Name of the agent.
        key: All that the results depend on; a file that was written for something else is started again.
    """

    def __init__(self, folder: Path, agent: str, key: Mapping[str, Any]):
        text = json.dumps([FORMAT, agent, dict(key)], sort_keys=True, default=str)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        safe = "".join(c if c.isalnum() or c in "-+" else "_" for c in agent)[:60]
        self.path = folder / f".{safe}-{self.digest[:12]}.partial.jsonl"

    def read(self) -> list[EpisodeRecord]:
        """Return the finished episodes; a line that was cut short ends them."""
        if not self.path.is_file():
            return []
        records: dict[int, EpisodeRecord] = {}
        for line in self.path.read_bytes().splitlines():
            try:
                row = json.loads(line)
                record = _restored(row)
            except (ValueError, KeyError, TypeError, EpisodeError):
                break  # the end of a file whose writer was killed
            records[record.index] = record
        return list(records.values())

    def append(self, records: Sequence[EpisodeRecord]) -> None:
        """Add finished episodes.

        Raises:
            ConfigurationError: The file cannot be written.
        """
        lines = "".join(json.dumps(_plain(record)) + "\n" for record in records)
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(lines)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path} cannot be written ({error.strerror}). Free some space, or choose another folder."
            ) from error

    def remove(self) -> None:
        """Delete the file of finished episodes once the results are written."""
        self.path.unlink(missing_ok=True)


def _plain(record: EpisodeRecord) -> dict[str, Any]:
    arrays = {name: np.asarray(getattr(record, name), np.float64) for name in _SERIES}
    if record.goal is not None:
        arrays["goal"] = np.asarray(record.goal, np.float64)
    return {
        **{name: getattr(record, name) for name in _TEXTS},
        "index": record.index,
        "measures": {name: value.hex() for name, value in record.measures.items()},
        "start_distance": float(record.start_distance).hex(),
        "step_time": float(record.step_time).hex(),
        "action_names": list(record.action_names),
        "arrays": {name: [list(a.shape), base64.b64encode(a.tobytes()).decode()] for name, a in arrays.items()},
    }


def _restored(row: Mapping[str, Any]) -> EpisodeRecord:
    arrays: dict[str, Any] = {
        name: np.frombuffer(base64.b64decode(data, validate=True), np.float64).reshape(shape)
        for name, (shape, data) in row["arrays"].items()
    }
    return EpisodeRecord(
        **{name: row[name] for name in _TEXTS},
        index=row["index"],
        measures={name: float.fromhex(value) for name, value in row["measures"].items()},
        start_distance=float.fromhex(row["start_distance"]),
        step_time=float.fromhex(row["step_time"]),
        action_names=tuple(row["action_names"]),
        actions=arrays.pop("actions").astype(np.int64),
        goal=arrays.pop("goal", None),
        **arrays,
    )
