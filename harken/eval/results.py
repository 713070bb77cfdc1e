"""Write an evaluation to a folder: metrics, table, configuration, report."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.configs import to_mapping, to_yaml
from harken.errors import ConfigurationError
from harken.eval.records import EpisodeRecord, write_table
from harken.eval.report.page import write_report
from harken.eval.statistics import Interval, summarise

__all__ = ["check_folder", "write_results"]


def write_results(
    folder: Path,
    results: Mapping[str, Sequence[EpisodeRecord]],
    *,
    title: str,
    settings: Any,
    arguments: Mapping[str, Any],
    command: str,
) -> dict[str, dict[str, Interval]]:
    """Write ``metrics.json``, ``episodes.csv``, ``config.yaml`` and ``report.html``.

    Args:
        folder: Where to; it is created.
        results: Results by agent.
        title: Heading of the report.
        settings: The resolved rules.
        arguments: The other arguments of the environment.
        command: The command that makes the same evaluation again.

    Returns:
        Mean and interval of every measure, by agent. With one agent ``metrics.json`` has the measures at its top.

    Raises:
        ConfigurationError: The folder cannot be written.
    """
    check_folder(folder)
    summary = {agent: summarise(rows) for agent, rows in results.items()}
    everything = [row for rows in results.values() for row in rows]
    write_table(everything, folder / "episodes.csv")
    (folder / "config.yaml").write_text(to_yaml(settings))
    measures = {agent: {name: value.to_mapping() for name, value in rows.items()} for agent, rows in summary.items()}
    agents = list(results)
    metrics: dict[str, Any] = {"command": command, "arguments": {k: _plain(v) for k, v in arguments.items()}}
    if len(agents) == 1:
        metrics |= {"agent": agents[0], "episodes": len(everything), **measures[agents[0]]}
    else:
        metrics["agents"] = measures
    (folder / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    write_report(
        folder / "report.html",
        title=title,
        records=everything,
        summary=summary,
        settings={**to_mapping(settings), **{k: _plain(v) for k, v in arguments.items()}},
        command=command,
    )
    return summary


def check_folder(folder: Path) -> None:
    """Make a folder for results, before hours of work go into them.

    Raises:
        ConfigurationError: It cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"The folder {str(folder)!r} cannot be written ({error.strerror}). Choose another with --out."
        ) from error


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
