"""Names and formats of measures in reports."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from harken.eval.report.charts import interval_bar
from harken.eval.statistics import Interval, decimals_for

__all__ = ["measure_label", "measure_text", "summary_table"]


@dataclass(frozen=True)
class _Measure:
    label: str
    note: str
    share: bool = False


_KNOWN = {
    "success": _Measure("Success", "share of episodes that end at the goal", True),
    "spl": _Measure("SPL", "success weighted by path length", True),
    "soft_spl": _Measure("Soft SPL", "progress weighted by path length", True),
    "sna": _Measure("SNA", "success weighted by number of actions", True),
    "sws": _Measure("SWS", "success after the sound has ended", True),
    "dsr": _Measure("DSR", "share of episodes that end at the distractor", True),
    "dspl": _Measure("DSPL", "SPL to where a walking goal can be met first", True),
    "dsna": _Measure("DSNA", "SNA to where a walking goal can be met first", True),
    "progress": _Measure("Progress", "share of the goals that were found", True),
    "ppl": _Measure("PPL", "share of the goals, weighted by path length", True),
    "coverage": _Measure("Coverage", "share of the floor", True),
    "area": _Measure("Area", "floor that was covered, m²"),
    "gain": _Measure("Gain", "share of the floor since the start", True),
    "quiet_success": _Measure("Quiet success", "success without a step above the threshold at an ear", True),
    "noise_mean": _Measure("Mean noise", "at the loudest ear, dB(A)"),
    "noise_max": _Measure("Greatest noise", "at the loudest ear, dB(A)"),
    "noise_above": _Measure("Steps above the threshold", "share of the steps too loud for somebody", True),
    "distance_to_goal": _Measure("Distance to goal", "at the end, m"),
    "normalized_distance_to_goal": _Measure("Normalised distance", "at the end, divided by that at the start"),
    "path_length": _Measure("Path length", "metres walked"),
    "steps": _Measure("Steps", "actions taken"),
    "collisions": _Measure("Collisions", "moves that touched something"),
    "success_change": _Measure("Change of success", "with the intervention minus without"),
    "spl_change": _Measure("Change of SPL", "with the intervention minus without"),
    "reward": _Measure("Reward", "sum over the episode"),
}


def measure_label(name: str) -> str:
    """Return a measure's readable name; for an unknown one its own name with spaces."""
    return _KNOWN[name].label if name in _KNOWN else name.replace("_", " ").capitalize()


def measure_text(name: str, value: float) -> str:
    """Return a measure's value in one episode: yes or no for success, else a number."""
    if name in ("success", "quiet_success") and value in (0.0, 1.0):
        return "yes" if value else "no"
    if value == int(value) and abs(value) < 1e6 and not (name in _KNOWN and _KNOWN[name].share):
        return _minus(str(int(value)))
    return _minus(f"{value:.2f}")


def summary_table(summary: Mapping[str, Mapping[str, Interval]]) -> str:
    """Return the table of measures (rows) by agents (columns), each cell a mean, its interval and a bar.

    Args:
        summary: Interval by measure, by agent. A measure that an agent lacks is a dash.

    Returns:
        A ``<table>`` in a ``<div>`` that scrolls where the page is narrow.
    """
    measures = dict.fromkeys(name for intervals in summary.values() for name in intervals)
    head = "".join(f'<th scope="col">{escape(agent)}{_count(summary[agent].values())}</th>' for agent in summary)
    rows = []
    for name in measures:
        present = [intervals[name] for intervals in summary.values() if name in intervals]
        low, high = _scale(name, present)
        decimals = decimals_for(present)
        cells = (_cell(intervals.get(name), decimals, low, high) for intervals in summary.values())
        note = f"<small>{escape(_KNOWN[name].note)}</small>" if name in _KNOWN else ""
        rows.append(f'<tr><th scope="row">{escape(measure_label(name))}{note}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="summary" style="min-width:{9 + 8 * len(summary)}rem"><thead><tr>'
        f'<td class="name"></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
    )


def _count(intervals: Iterable[Interval]) -> str:
    count = max((interval.count for interval in intervals), default=0)
    return f"<small>{count} episode{'' if count == 1 else 's'}</small>"


def _cell(interval: Interval | None, decimals: int, low: float, high: float) -> str:
    if interval is None:
        return "<td>–</td>"
    ends = "one episode, no interval"
    if interval.low == interval.low:
        ends = f"{interval.low:.{decimals}f} – {interval.high:.{decimals}f}"
    mean = f"{interval.mean:.{decimals}f}"
    return f"<td><b>{_minus(mean)}</b><small>{_minus(ends)}</small>{interval_bar(interval, low, high)}</td>"


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _scale(name: str, intervals: list[Interval]) -> tuple[float, float]:
    """Return the ends of the scale on which the bars of a measure are drawn."""
    if name in _KNOWN and _KNOWN[name].share:
        return 0.0, 1.0
    values = [value for i in intervals for value in (i.mean, i.low, i.high) if value == value]
    return min(0.0, *values), max(0.0, *values) * 1.05
