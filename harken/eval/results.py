"""Write an evaluation to a folder: metrics, table, configuration, report."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harken.configs import to_mapping, to_yaml
from harken.eval.records import EpisodeRecord, list_checksum, write_table
from harken.eval.report.page import write_report
from harken.eval.statistics import Interval, summarise
from harken.files import checked_output_folder, write_text

__all__ = ["write_results"]


def write_results(
    folder: Path,
    results: Mapping[str, Sequence[EpisodeRecord]],
    *,
    title: str,
    settings: Any,
    arguments: Mapping[str, Any],
    command: str,
    interventions: Mapping[str, Mapping[str, Interval]] | None = None,
    key: str = "",
) -> dict[str, dict[str, Interval]]:
    """Write ``metrics.json``, ``episodes.csv``, ``config.yaml`` and ``report.html``.

    Args:
        folder: Where to; it is created.
        results: Results by agent.
        title: Heading of the report.
        settings: The resolved rules.
        arguments: The other arguments of the environment.
        command: The command that makes the same evaluation again.
        interventions: What each intervention changes, by its name; see `harken.eval.compare`.
        key: What tells whether another evaluation is the same, for ``metrics.json``.

    Returns:
        Mean and interval of every measure, by agent. With one agent ``metrics.json`` has the measures at its top.

    Raises:
        FileError: The folder or a file cannot be written.
    """
    checked_output_folder(folder)
    summary = {agent: summarise(rows) for agent, rows in results.items()}
    everything = [row for rows in results.values() for row in rows]
    write_table(everything, folder / "episodes.csv")
    write_text(folder / "config.yaml", to_yaml(settings))
    measures = {agent: {name: value.to_mapping() for name, value in rows.items()} for agent, rows in summary.items()}
    agents = list(results)
    metrics: dict[str, Any] = {"command": command, "arguments": {k: _plain(v) for k, v in arguments.items()}}
    metrics |= {name: text for name, text in (("checksum", list_checksum(everything)), ("key", key)) if text}
    if len(agents) == 1:
        metrics |= {"agent": agents[0], "episodes": len(everything), **measures[agents[0]]}
    else:
        metrics["agents"] = measures
    if interventions:
        metrics["interventions"] = {
            name: {measure: value.to_mapping() for measure, value in changes.items()}
            for name, changes in interventions.items()
        }
    write_text(folder / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    write_report(
        folder / "report.html",
        title=title,
        records=everything,
        summary=summary,
        settings={**to_mapping(settings), **{k: _plain(v) for k, v in arguments.items()}},
        command=command,
        interventions=interventions,
    )
    return summary


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)
