"""The report of an evaluation: one self-contained HTML file."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from harken import __version__
from harken.errors import EpisodeError
from harken.eval.records import EpisodeRecord, list_checksum
from harken.eval.report.charts import dot_chart, histogram
from harken.eval.report.episode import episode_section, outcome_badge, trajectory_colors
from harken.eval.report.measures import measure_label, measure_text, summary_table
from harken.eval.statistics import Interval
from harken.files import write_text

__all__ = ["fill_page", "settings_text", "write_report"]

_ROWS_AT_MOST = 2000
_NARROW = "\N{NARROW NO-BREAK SPACE}"


def write_report(
    path: str | Path,
    *,
    title: str,
    records: Sequence[EpisodeRecord],
    summary: Mapping[str, Mapping[str, Interval]],
    settings: Mapping[str, Any],
    command: str | None = None,
    interventions: Mapping[str, Mapping[str, Interval]] | None = None,
) -> None:
    """Write an evaluation as one HTML file without outside parts: images, sounds, style and script are within.

    Everyone who opens the file sees the measures with their intervals, how each episode ended, and for every episode
    with media the path on the plan, what was seen, and what was heard. The file appears whole or not at all; the same
    input gives the same bytes.

    Args:
        path: File to write; its folder is made. Videos are linked relative to it.
        title: Heading of the page.
        records: All episodes; those with media get a section of their own.
        summary: Interval by measure, by agent, as `harken.eval.statistics.summarise` returns them.
        settings: The resolved configuration, in plain types, arrays, paths or dataclasses.
        command: The command that makes the same evaluation again.
        interventions: What each intervention changes, by its name, as `harken.eval.compare` returns it.

    Raises:
        EpisodeError: There is nothing to report: neither episodes nor a summary.
    """
    if not records and not summary:
        raise EpisodeError("There is nothing to report: give the episodes' records and their summary.")
    shown = [(f"episode-{number}", record) for number, record in enumerate(records, start=1) if record.has_media]
    sections = [episode_section(record, anchor) for anchor, record in shown]
    page = fill_page(
        title=escape(title),
        styles="".join(section.style for section in sections),
        facts=_facts(records, summary),
        lede=_lede(summary),
        summary=_summary(summary) + _interventions(interventions or {}),
        outcomes=_outcomes(records),
        episodes=_episodes(shown, [section.html for section in sections]),
        table=_table(records, {id(record): anchor for anchor, record in shown}),
        settings=escape(settings_text(settings)),
        command="" if command is None else f"<h2>Run it again</h2><pre><code>{escape(command)}</code></pre>",
    )
    write_text(path, page)


def fill_page(**parts: str) -> str:
    """Return the page of a report with its parts put in; those that are not given are left empty."""
    template = resources.files("harken.eval.report").joinpath("report.html").read_text(encoding="utf-8")
    parts["ramp"] = ",".join(f"#{bytes(color).hex()}" for color in trajectory_colors(8))
    parts["version"] = escape(__version__)
    # One pass, so that braces in somebody's scene name are never taken for a placeholder.
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts.get(match[1], ""), template)


def _facts(records: Sequence[EpisodeRecord], summary: Mapping[str, Mapping[str, Interval]]) -> str:
    agents = list(dict.fromkeys([*summary, *(record.agent for record in records)]))
    facts = [_counted(len(agents), "agent"), _counted(len(records), "episode")]
    facts.append(_counted(len({record.scene for record in records}), "scene"))
    facts.append(_counted(len({record.sound for record in records} - {""}), "sound"))
    steps = {record.step_time for record in records}
    if len(steps) == 1:
        facts.append(f"{steps.pop():g}{_NARROW}s a step")
    checksum = list_checksum(records)
    if checksum:
        facts.append(f"checksum of the episodes {checksum}")
    return " · ".join(f"<span>{escape(fact)}</span>" for fact in facts if not fact.startswith("0 "))


def _counted(count: int, noun: str) -> str:
    return f"{count:,}".replace(",", _NARROW) + f" {noun}{'' if count == 1 else 's'}"


def _lede(summary: Mapping[str, Mapping[str, Interval]]) -> str:
    """Say in words how often each agent reached its goal."""
    sentences = []
    for agent, intervals in summary.items():
        if "success" in intervals:
            i = intervals["success"]
            sentences.append(
                f"<b>{escape(agent)}</b> reached the goal in {100 * i.mean:.0f}{_NARROW}% of "
                f"{_counted(i.count, 'episode')} "
                f"({100 * i.confidence:g}{_NARROW}% interval {100 * i.low:.0f}–{100 * i.high:.0f}{_NARROW}%)"
            )
    return f'<p class="lede">{"; ".join(sentences)}.</p>' if sentences else ""


def _summary(summary: Mapping[str, Mapping[str, Interval]]) -> str:
    if not summary:
        return ""
    levels = {f"{100 * i.confidence:g}{_NARROW}%" for intervals in summary.values() for i in intervals.values()}
    return (
        f"<section><h2>Measures</h2>{summary_table(summary)}"
        f'<p class="note">Means with {" or ".join(sorted(levels))} confidence intervals over episodes: Wilson score '
        "if every outcome is 0 or 1, otherwise bias-corrected and accelerated bootstrap.</p></section>"
    )


def _interventions(changes: Mapping[str, Mapping[str, Interval]]) -> str:
    if not changes:
        return ""
    return (
        f"<section><h2>What it needs to sense</h2>{summary_table(changes)}"
        '<p class="note">The same episodes with one cause changed: mean differences to the agent without intervention, '
        "episode by episode, with bias-corrected and accelerated bootstrap intervals. An interval without 0 shows that "
        "the agent uses what was changed.</p></section>"
    )


def _outcomes(records: Sequence[EpisodeRecord]) -> str:
    """Draw for each agent where its episodes ended, and how its path-length scores spread."""
    if not records:
        return ""
    limit = max([1.0, *(v for r in records for v in (r.start_distance, float(r.distances[-1])) if np.isfinite(v))])
    cards = []
    for agent in dict.fromkeys(record.agent for record in records):
        own = [record for record in records if record.agent == agent]
        reachable = [r for r in own if np.isfinite(r.start_distance) and np.isfinite(r.distances[-1])]
        points = np.array([[r.start_distance, r.distances[-1]] for r in reachable]).reshape(-1, 2)
        reached = [r.measures.get("success", 0.0) >= 0.5 for r in reachable]
        words = f"{agent}: distance at the end against distance at the start, {len(reachable)} episodes"
        charts = dot_chart(words, "Distance to the goal at the start, m", "At the end, m", points, reached, limit)
        if len(reachable) < len(own):
            charts += (
                f'<p class="note">{_counted(len(own) - len(reachable), "episode")} without a path to the goal.</p>'
            )
        if all("spl" in record.measures for record in own):
            charts += histogram("Episodes", "SPL", np.array([record.measures["spl"] for record in own]))
        cards.append(f'<div class="card"><h3>{escape(agent)}</h3>{charts}</div>')
    return (
        f'<section><h2>Outcomes</h2><div class="cards">{"".join(cards)}</div>'
        '<p class="note">Each mark is an episode: a dot if the agent reached the goal, a ring if not. '
        "On the dashed line, the agent ended as far away as it started.</p></section>"
    )


def _episodes(shown: Sequence[tuple[str, EpisodeRecord]], articles: Sequence[str]) -> str:
    if not shown:
        return ""
    links = "".join(
        f'<li><a href="#{anchor}">{escape(record.episode)}<span>{escape(record.agent)}</span>'
        f"{outcome_badge(record)}</a></li>"
        for anchor, record in shown
    )
    return (
        f'<section><h2>Recorded episodes</h2><nav aria-label="Recorded episodes"><ul class="chips">{links}</ul></nav>'
        f"{''.join(articles)}</section>"
    )


def _table(records: Sequence[EpisodeRecord], anchors: Mapping[int, str]) -> str:
    if not records:
        return ""
    measures = list(dict.fromkeys(name for record in records for name in record.measures))
    names = ["Episode", "Agent", "Scene", "Sound", *map(measure_label, measures)]
    rows = []
    for record in records[:_ROWS_AT_MOST]:
        name = escape(record.episode)
        if id(record) in anchors:
            name = f'<a href="#{anchors[id(record)]}">{name}</a>'
        texts = (escape(text) for text in (record.agent, record.scene, record.sound))
        values = (measure_text(m, record.measures[m]) if m in record.measures else "–" for m in measures)
        rows.append("".join(f"<td>{cell}</td>" for cell in (name, *texts, *values)))
    more = len(records) - len(rows)
    rest = f'<p class="note">The results file episodes.csv has {more} more.</p>' if more else ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<details><summary>All episodes</summary><div class="scroll"><table class="all"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{rest}</details>"
    )


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as YAML for people."""
    import yaml

    return yaml.safe_dump(_plain(settings), sort_keys=False, allow_unicode=True, default_flow_style=None, width=100)


def _plain(value: Any) -> Any:
    """Turn settings into the types that YAML has; anything unknown becomes its text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in (sorted(value, key=str) if isinstance(value, set | frozenset) else value)]
    if value is None or isinstance(value, bool | int | float | str):
        # Subclasses such as str enumerations are not what YAML's safe writer expects.
        return next((kind(value) for kind in (bool, int, float, str) if isinstance(value, kind)), None)
    return str(value)
