"""Charts as inline SVG that stretches with the page, its numbers set as text beside it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from harken.eval.statistics import Interval

__all__ = ["Line", "dot_chart", "histogram", "interval_bar", "line_chart", "ticks"]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a chart."""

    label: str
    """What the line shows."""
    style: str
    """CSS class that gives its colour."""
    values: np.ndarray
    """``(n,)`` heights; -inf lies on the chart's floor, inf leaves a gap."""


def line_chart(title: str, unit: str, x: np.ndarray, lines: Sequence[Line], *, from_zero: bool = False) -> str:
    """Draw lines over time, with a cursor that a script may move.

    Args:
        title: What is shown.
        unit: Unit of the heights.
        x: ``(n,)`` ascending times [s].
        lines: The lines, each with one height per time; at least one height is finite.
        from_zero: Whether the vertical axis begins at zero.

    Returns:
        A ``<figure>``.
    """
    finite = np.concatenate([line.values[np.isfinite(line.values)] for line in lines])
    marks = ticks(0.0 if from_zero else float(finite.min()), float(finite.max()), 3)
    bottom, top = marks[0], marks[-1]
    span = max(float(x[-1] - x[0]), 1e-9)
    paths = []
    for line in lines:
        heights = np.where(np.isneginf(line.values), bottom, line.values)
        points = np.stack([1000 * (x - x[0]) / span, 100 * (top - heights) / (top - bottom)], 1)
        paths.append(f'<path class="line {line.style}" d="{_path(points)}"/>')
    keys = "".join(f'<span class="key {line.style}">{escape(line.label)}</span>' for line in lines if line.label)
    summary = f"{title} in {unit} over {span:.3g} s; from {_first(lines)} to {_last(lines)}"
    return (
        f'<figure class="chart"><figcaption>{escape(title)} <span class="unit">{escape(unit)}</span>{keys}</figcaption>'
        f'<div class="plot">{_y_labels(marks)}<div class="area">'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{escape(summary)}">'
        f'{_grid(marks)}{"".join(paths)}</svg><i class="cursor"></i></div>{_x_labels(x[0], x[-1], " s")}</div></figure>'
    )


def dot_chart(title: str, x_label: str, y_label: str, points: np.ndarray, filled: Sequence[bool], limit: float) -> str:
    """Draw a dot per episode below the diagonal of a square, both axes from 0 to at least `limit`.

    Args:
        title: What is shown, for readers who cannot see it.
        x_label: Name and unit of the horizontal axis.
        y_label: Name and unit of the vertical axis.
        points: ``(n, 2)`` finite positions.
        filled: Whether each dot is solid.
        limit: Largest value that must fit.

    Returns:
        A ``<figure>``.
    """
    marks = ticks(0.0, limit, 4)
    top = marks[-1]
    dots = []
    # Solid dots last: they are the smaller ones and must not hide under rings.
    for solid, (x, y) in sorted(zip(filled, points.tolist(), strict=True)):
        spot = f"M{100 * x / top:.2f} {100 - 100 * y / top:.2f}h0"
        dots.append(
            f'<path class="dot" d="{spot}"/>'
            if solid
            else f'<path class="ring" d="{spot}"/><path class="hole" d="{spot}"/>'
        )
    return (
        f'<figure class="chart square"><figcaption>{escape(y_label)}</figcaption><div class="plot">{_y_labels(marks)}'
        '<div class="area"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(title)}">{_grid(marks, 100)}<path class="diagonal" d="M0 100L100 0"/>'
        f"{''.join(dots)}</svg></div>"
        f'{_x_labels(0.0, top, "")}</div><p class="axis">{escape(x_label)}</p></figure>'
    )


def histogram(title: str, x_label: str, values: np.ndarray, *, bins: int = 10) -> str:
    """Draw how many of `values` in 0–1 fall into each of `bins` equal bins.

    Args:
        title: Heading.
        x_label: Name of the horizontal axis.
        values: ``(n,)`` shares; those outside 0–1 count at the ends.
        bins: Number of bins.

    Returns:
        A ``<figure>``.
    """
    counts = np.histogram(np.clip(values, 0.0, 1.0), bins, (0.0, 1.0))[0]
    marks = ticks(0.0, float(max(1, counts.max())), 2)
    bars = "".join(
        f'<rect class="bar" x="{100 * i / bins + 0.6:.2f}" width="{100 / bins - 1.2:.2f}" '
        f'y="{100 - 100 * count / marks[-1]:.2f}" height="{100 * count / marks[-1]:.2f}"/>'
        for i, count in enumerate(counts)
    )
    words = f"{title}: " + ", ".join(f"{c} in {i / bins:.1f}–{(i + 1) / bins:.1f}" for i, c in enumerate(counts) if c)
    return (
        f'<figure class="chart low"><figcaption>{escape(title)}</figcaption><div class="plot">{_y_labels(marks)}'
        '<div class="area"><svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(words)}">{_grid(marks, 100)}{bars}</svg></div>'
        f'{_x_labels(0.0, 1.0, "")}</div><p class="axis">{escape(x_label)}</p></figure>'
    )


def interval_bar(interval: Interval, low: float, high: float) -> str:
    """Draw a mean as a dot on its confidence interval, on a scale from `low` to `high`.

    Args:
        interval: What to draw.
        low: Left end of the scale.
        high: Right end of the scale.

    Returns:
        An ``<svg>``, hidden from screen readers since the numbers stand beside it.
    """

    def place(value: float) -> float:
        return 100 * min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 50.0

    band = ""
    if math.isfinite(interval.low) and math.isfinite(interval.high):
        band = f'<path class="band" d="M{place(interval.low):.2f} 5H{place(interval.high):.2f}"/>'
    return (
        '<svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="track" d="M0 5H100"/>{band}<path class="dot" d="M{place(interval.mean):.2f} 5h0"/></svg>'
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return at least two round numbers, about `count` steps apart, that enclose `low` to `high`.

    Args:
        low: Least value, finite.
        high: Greatest value, finite, at least `low`.
        count: Wanted number of steps.

    Returns:
        Ascending multiples of 1, 2 or 5 times a power of ten.
    """
    raw = max(high - low, 1e-6 * max(1.0, abs(high))) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw * 0.999)
    first, last = math.floor(low / step + 1e-6), math.ceil(high / step - 1e-6)
    return [k * step for k in range(first, max(last, first + 1) + 1)]


def _path(points: np.ndarray) -> str:
    """Return SVG path data through the finite points, lifted over the others."""
    parts, pen = [], "M"
    for x, y in points.tolist():
        if math.isfinite(y):
            parts.append(f"{pen}{x:.1f} {y:.2f}")
            pen = "L"
        else:
            pen = "M"
    return "".join(parts)


def _grid(marks: Sequence[float], width: int = 1000) -> str:
    heights = (100 * (marks[-1] - mark) / (marks[-1] - marks[0]) for mark in marks)
    return f'<path class="grid" d="{"".join(f"M0 {y:.2f}H{width}" for y in heights)}"/>'


def _y_labels(marks: Sequence[float]) -> str:
    spans = (
        f'<span style="top:{100 * (marks[-1] - mark) / (marks[-1] - marks[0]):.2f}%">{_number(mark)}</span>'
        for mark in marks
    )
    return f'<div class="y" aria-hidden="true">{"".join(spans)}</div>'


def _x_labels(low: float, high: float, unit: str) -> str:
    marks = [mark for mark in ticks(low, max(high, low + 1e-6), 5) if low <= mark <= high * (1 + 1e-9)]
    spans = (
        f'<span style="left:{100 * (mark - low) / max(high - low, 1e-9):.2f}%">{_number(mark)}{unit}</span>'
        for mark in marks
    )
    return f'<div class="x" aria-hidden="true">{"".join(spans)}</div>'


def _number(value: float) -> str:
    return f"{value:.10g}".replace("-", "−") if abs(value) > 1e-12 else "0"


def _first(lines: Sequence[Line]) -> str:
    return " and ".join(f"{line.label} {line.values[0]:.1f}".strip() for line in lines)


def _last(lines: Sequence[Line]) -> str:
    return " and ".join(f"{line.label} {line.values[-1]:.1f}".strip() for line in lines)
