"""A family of tasks, evaluated task by task and agent by agent, in one table.

Each row, an agent in a task, has a folder of its own with everything that an evaluation writes. A row whose folder
holds the results of the same evaluation is not run again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harken import __version__
from harken.errors import ConfigurationError, HarkenError
from harken.eval.partial import PartialResults
from harken.eval.report.measures import measure_label
from harken.eval.results import write_results
from harken.eval.runner import Evaluation, evaluate, evaluation_key, open_evaluation
from harken.eval.statistics import Interval
from harken.files import checked_output_folder, read_json

__all__ = ["COMMON", "SuiteRow", "row_folder", "run_suite", "suite_columns", "suite_table"]

COMMON = ("success", "spl", "soft_spl", "sna")
"""Measures that have a column of their own in the table of a suite."""

_NOT_SHOWN = frozenset(
    {
        *COMMON, "distance_to_goal", "normalized_distance_to_goal", "steps", "path_length", "collisions", "reward",
        "area", "gain",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SuiteRow:
    """An agent in a task of a suite."""

    task: str
    """Name of the task."""
    agent: str
    """Name of the agent."""
    summary: Mapping[str, Interval]
    """Interval by measure; empty where the agent cannot act in the task."""
    checksum: str = ""
    """Checksum of the episodes."""
    refusal: str = ""
    """Why the agent cannot act in the task."""

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return max((interval.count for interval in self.summary.values()), default=0)

    @property
    def own(self) -> dict[str, Interval]:
        """The measures that the task has besides those of all tasks of navigation."""
        return {name: interval for name, interval in self.summary.items() if name not in _NOT_SHOWN}


def run_suite(
    evaluations: Iterable[Evaluation], folder: Path, *, command: str = "", progress: bool = True
) -> list[SuiteRow]:
    """Run evaluations one after the other, each into a folder of its own, and leave out those that are done.

    Args:
        evaluations: What to run: agents, and tasks by name.
        folder: Folder of the suite; the results of a row are in ``TASK/AGENT`` in it.
        command: The command line, for the reports.
        progress: Whether to show progress bars.

    Returns:
        The rows, in the order of the evaluations.

    Raises:
        ConfigurationError: No agent can act in any task; the message has the reason of the first.
        HarkenError: An evaluation fails, or a file cannot be written.
    """
    checked_output_folder(folder)
    rows: list[SuiteRow] = []
    for evaluation in evaluations:
        try:
            env, _ = open_evaluation(evaluation)
        except HarkenError as error:
            rows.append(
                SuiteRow(task=str(evaluation.environment), agent=evaluation.shown_name, summary={}, refusal=str(error))
            )
            continue
        settings = env.unwrapped.settings  # type: ignore[attr-defined]
        env.close()
        rows.append(_row(evaluation, settings, folder, command, progress))
    if not any(row.summary for row in rows):
        reason = rows[0].refusal if rows else "there are none"
        raise ConfigurationError(f"No agent of the suite can act in any of its tasks. The first: {reason}")
    return rows


def row_folder(agent: str) -> str:
    """Return the name of an agent's folder in the folder of a task."""
    return "".join(c if c.isalnum() or c in "-+._" else "_" for c in agent)


def _row(evaluation: Evaluation, settings: Any, folder: Path, command: str, progress: bool) -> SuiteRow:
    """Run an evaluation, or read its results where it was run before."""
    task, agent = str(evaluation.environment), evaluation.shown_name
    own = checked_output_folder(folder / task / row_folder(agent))
    counts = {"episodes": evaluation.episodes, "every": evaluation.every, "version": __version__}
    partial = PartialResults(own, agent, {**evaluation_key(evaluation, settings), **counts})
    metrics = _done(own / "metrics.json", partial.digest)
    if metrics is None:
        evaluation = evaluation if evaluation.videos is None else replace(evaluation, videos=own)
        write_results(
            own,
            {agent: evaluate(evaluation, progress=progress, partial=partial)},
            title=f"{task}: {agent}",
            settings=settings,
            arguments={"task": task, **evaluation.arguments},
            command=command,
            key=partial.digest,
        )
        partial.remove()
        metrics = read_json(own / "metrics.json")
    intervals = {name: value for name, value in metrics.items() if isinstance(value, dict) and "confidence" in value}
    summary = {name: Interval.from_mapping(value) for name, value in intervals.items()}
    return SuiteRow(task=task, agent=agent, summary=summary, checksum=metrics.get("checksum", ""))


def _done(path: Path, key: str) -> dict[str, Any] | None:
    """Return the metrics of a row that was run before; None where there are none, or those of another evaluation."""
    if not path.is_file():
        return None
    try:
        metrics = read_json(path)
    except HarkenError:
        return None  # damaged: it is run again
    return metrics if isinstance(metrics, dict) and metrics.get("key") == key else None


def suite_columns(rows: Sequence[SuiteRow]) -> list[list[str]]:
    """Return the cells of a suite's table as text, the head first: task, agent, measures with intervals, episodes."""
    cells = [["Task", "Agent", *map(measure_label, COMMON), "Measures of the task", "Episodes"]]
    for row in rows:
        if not row.summary:
            continue
        common = [_text(row.summary[name]) if name in row.summary else "–" for name in COMMON]
        own = "; ".join(f"{measure_label(name)} {_text(interval)}" for name, interval in row.own.items())
        cells.append([row.task, row.agent, *common, own or "–", str(row.episodes)])
    return cells


def _text(interval: Interval) -> str:
    """Return ``mean [low, high]`` with two decimals, all that a few hundred episodes tell."""
    ends = (f"{end:.2f}" if end == end else "?" for end in (interval.low, interval.high))
    return f"{interval.mean:.2f} [{', '.join(ends)}]"


def suite_table(rows: Sequence[SuiteRow]) -> str:
    """Return the table of a suite in Markdown, with what was not run below it."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in suite_columns(rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    refused = [f"- {row.task}, {row.agent}: {row.refusal}" for row in rows if not row.summary]
    lists = dict.fromkeys((row.task, row.checksum, row.episodes) for row in rows if row.checksum)
    if lists:
        lines += ["", "Checksums of the episodes:", ""]
        lines += [f"- {task}, {count} episodes: `{total}`" for task, total, count in lists]
    return "\n".join([*lines, *(["", "Not run:", "", *refused] if refused else [])])
