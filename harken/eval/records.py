"""What happened in an episode: a row of the results table, and the record that a report is drawn from."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harken.errors import EpisodeError
from harken.files import write_text
from harken.tasks.episode_lists import combined_checksum

__all__ = ["EpisodeRecord", "EpisodeResult", "list_checksum", "read_table", "table_row", "write_table"]

_IDENTITY = ("episode", "index", "agent", "scene", "sound")


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeResult:
    """The outcome of one episode: one row of the results table."""

    episode: str
    """Name of the episode, unique in its set."""
    index: int
    """Position of the episode in the evaluation, from 0."""
    agent: str
    """Name of the agent that acted."""
    scene: str
    """Name of the scene."""
    sound: str
    """Name of the clip that the goal plays."""
    measures: Mapping[str, float]
    """Measure by name: success, spl, soft_spl, sna, distance_to_goal [m], steps, collisions, reward…"""

    def __post_init__(self) -> None:
        """Turn measures into plain floats, so that they can be written anywhere."""
        try:
            measures = {str(name): float(value) for name, value in self.measures.items()}
        except (TypeError, ValueError) as error:
            raise EpisodeError(
                f"Episode {self.episode!r}: measures must be numbers; given {self.measures!r}."
            ) from error
        clash = sorted(set(measures) & set(_IDENTITY))
        if clash:
            raise EpisodeError(
                f"Episode {self.episode!r}: no measure can be called {clash[0]!r}; the table has a column of that name."
            )
        object.__setattr__(self, "measures", measures)


@dataclass(frozen=True, kw_only=True, eq=False)
class EpisodeRecord(EpisodeResult):
    """An episode of T actions, step by step, with what was seen and heard where that was kept."""

    positions: np.ndarray
    """``(T+1, 3)`` where the agent stood [m]; the first row is the start."""
    headings: np.ndarray
    """``(T+1,)`` where it looked [rad], 0 along −z, counter-clockwise seen from above."""
    actions: np.ndarray
    """``(T,)`` int: the action taken at each step, an index into `action_names`."""
    rewards: np.ndarray
    """``(T,)`` reward for each action."""
    loudness: np.ndarray
    """``(T+1, 2)`` level at the left and right ear [dB]; -inf is silence."""
    distances: np.ndarray
    """``(T+1,)`` geodesic distance to the goal [m]; inf where no path leads there, or there is no goal."""
    goal: np.ndarray | None
    """``(3,)`` the place that the episode is about, at its end [m]; None where there is none."""
    start_distance: float
    """Geodesic distance from start to goal [m]; inf as in `distances`."""
    action_names: tuple[str, ...]
    """Name of each action."""
    step_time: float
    """How long a step lasts [s]."""

    digest: str = ""
    """Digest of what the episode is, see `harken.tasks.episode_lists.episode_digest`; empty where it is not known."""
    plan_image: np.ndarray | None = None
    """``(h, w, 3)`` uint8 view of the home from above, −z up and +x to the right; None where no plan was drawn."""
    plan_path: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """``(T+1, 2)`` `positions` as column and row in `plan_image`."""
    plan_goal: np.ndarray = field(default_factory=lambda: np.zeros(0))
    """``(2,)`` `goal` as column and row in `plan_image`."""
    plan_oracle: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    """``(n, 2)`` shortest path from start to goal as columns and rows; empty where it is not known."""
    frames: Sequence[np.ndarray] | np.ndarray = ()
    """T+1 colour images ``(h, w, 3)`` uint8, or none."""
    depth: Sequence[np.ndarray] | np.ndarray = ()
    """T+1 depth images ``(h, w, 1)`` float32 [m], 0 where nothing was hit; or none."""
    audio: np.ndarray | None = None
    """``(2, n)`` float32 sound at the ears, left first; what is heard at step k begins at ``k * step_time``."""
    audio_rate: int = 0
    """Sampling rate of `audio` [Hz]."""
    video: str | None = None
    """Path of the video, relative to the report."""

    def __post_init__(self) -> None:
        """Check that the series belong together."""
        super().__post_init__()
        actions = np.asarray(self.actions)
        if actions.ndim != 1 or (len(actions) and not np.issubdtype(actions.dtype, np.integer)):
            raise self._error(f"actions are {actions.dtype} {actions.shape}; expected integers (T,)")
        if len(actions) and not 0 <= actions.min() <= actions.max() < len(self.action_names):
            raise self._error(
                f"actions lie in {actions.min()}…{actions.max()}, but {len(self.action_names)} actions are named"
            )
        object.__setattr__(self, "actions", actions.astype(np.int64))
        t = len(actions)
        self._check_series(positions=(t + 1, 3), headings=(t + 1,), rewards=(t,), loudness=(t + 1, 2))
        self._check_series(distances=(t + 1,), **({} if self.goal is None else {"goal": (3,)}))
        if not (np.isfinite(self.step_time) and self.step_time > 0):
            raise self._error(f"step_time is {self.step_time!r}; expected seconds greater than 0")
        self._check_plan()
        self._check_images("frames", channels=3, dtype=np.uint8)
        self._check_images("depth", channels=1, dtype=np.float32)
        self._check_audio()

    @property
    def has_media(self) -> bool:
        """Whether anything was kept that can be looked at or listened to."""
        return self.plan_image is not None or self.audio is not None or len(self.frames) > 0 or len(self.depth) > 0

    def _error(self, problem: str) -> EpisodeError:
        return EpisodeError(f"Episode {self.episode!r} of agent {self.agent!r}: {problem}.")

    def _check_series(self, **shapes: tuple[int, ...]) -> None:
        for name, shape in shapes.items():
            values = np.asarray(getattr(self, name), np.float64)
            if values.shape != shape:
                raise self._error(
                    f"{name} has shape {values.shape}; expected {shape}, the episode having {len(self.actions)} actions"
                )
            if np.isnan(values).any():
                raise self._error(f"{name} holds NaN")
            object.__setattr__(self, name, values)

    def _check_plan(self) -> None:
        if self.plan_image is None:
            return
        image = np.asarray(self.plan_image)
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape or image.dtype != np.uint8:
            raise self._error(f"plan_image is {image.dtype} {image.shape}; expected uint8 (height, width, 3)")
        marks = {} if self.goal is None else {"plan_goal": (2,)}
        self._check_series(plan_path=(len(self.actions) + 1, 2), plan_oracle=(len(self.plan_oracle), 2), **marks)

    def _check_images(self, name: str, *, channels: int, dtype: type) -> None:
        images = getattr(self, name)
        if len(images) not in (0, len(self.actions) + 1):
            raise self._error(
                f"{len(images)} {name} images were kept; expected none or {len(self.actions) + 1}, actions and one"
            )
        kinds = {(np.asarray(image).dtype.name, *np.shape(image)) for image in images}
        valid = len(kinds) <= 1 and all(
            len(kind) == 4 and 0 not in kind and kind[0] == np.dtype(dtype).name and kind[3] == channels
            for kind in kinds
        )
        if not valid:
            raise self._error(
                f"{name} images are {sorted(kinds, key=str)}; "
                f"expected all {np.dtype(dtype).name} of one shape (height, width, {channels})"
            )

    def _check_audio(self) -> None:
        if self.audio is None:
            return
        shape = np.shape(self.audio)
        if len(shape) != 2 or shape[0] != 2 or shape[1] == 0 or self.audio_rate <= 0:
            raise self._error(f"audio has shape {shape} at {self.audio_rate} Hz; expected (2, samples) and a rate")
        if not np.isfinite(self.audio).all():
            raise self._error("audio holds NaN or infinite samples")


def list_checksum(records: Sequence[EpisodeRecord]) -> str:
    """Return the checksum of the episodes that were run, the same as `harken.tasks.checksum` of their list.

    Args:
        records: The episodes in order; of several agents those of the first count.

    Returns:
        16 hexadecimal digits; nothing where an episode is not known or there is none.
    """
    digests = [record.digest for record in records if record.agent == records[0].agent]
    return combined_checksum(digests) if digests and all(digests) else ""


def table_row(result: EpisodeResult) -> dict[str, str | int | float | None]:
    """Return one row of the results table in plain types that JSON can hold.

    Args:
        result: The episode.

    Returns:
        Episode, index, agent, scene and sound, then every measure; a measure that is NaN or infinite is None.
    """
    row: dict[str, str | int | float | None] = {name: getattr(result, name) for name in _IDENTITY}
    row.update((name, value if math.isfinite(value) else None) for name, value in result.measures.items())
    return row


def write_table(records: Sequence[EpisodeResult], path: str | Path) -> None:
    """Write results as CSV, one row per episode, in a form that `read_table` reads back without loss.

    The file appears whole or not at all. A measure that an episode lacks is an empty cell.

    Args:
        records: The episodes, in the order of the rows.
        path: File to write; its folder is made.
    """
    path = Path(path)
    measures = list(dict.fromkeys(name for record in records for name in record.measures))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_IDENTITY, *measures])
    for record in records:
        values = (repr(record.measures[name]) if name in record.measures else "" for name in measures)
        writer.writerow([*(getattr(record, name) for name in _IDENTITY), *values])
    write_text(path, text.getvalue())


def read_table(path: str | Path) -> list[EpisodeResult]:
    """Read results that `write_table` wrote.

    Args:
        path: The CSV file.

    Returns:
        One result per row, with exactly the measures that were written.

    Raises:
        EpisodeError: The file does not exist or is not such a table; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise EpisodeError(f"There is no results table {str(path)!r}. `write_table` makes one.")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    if not rows or tuple(rows[0][: len(_IDENTITY)]) != _IDENTITY:
        raise EpisodeError(f"{path} is not a results table: its header must begin with {', '.join(_IDENTITY)}.")
    return [_parse_row(path, number, rows[0], row) for number, row in enumerate(rows[1:], start=2)]


def _parse_row(path: Path, number: int, header: list[str], row: list[str]) -> EpisodeResult:
    if len(row) != len(header):
        raise EpisodeError(f"{path}, row {number}: {len(row)} cells; expected {len(header)}, as in the header.")
    episode, index, agent, scene, sound = row[: len(_IDENTITY)]
    cells = zip(header[len(_IDENTITY) :], row[len(_IDENTITY) :], strict=True)
    try:
        measures = {name: float(cell) for name, cell in cells if cell}
        return EpisodeResult(
            episode=episode, index=int(index), agent=agent, scene=scene, sound=sound, measures=measures
        )
    except ValueError as error:
        raise EpisodeError(f"{path}, row {number}: {error}.") from error
