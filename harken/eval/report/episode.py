"""The part of a report that shows one episode: the path taken, what was seen and what was heard."""

import json
import math
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

import numpy as np

from harken.eval.records import EpisodeRecord
from harken.eval.report.charts import Line, line_chart
from harken.eval.report.measures import measure_label, measure_text
from harken.eval.report.media import FrameSheet, audio_uri, color_depth, color_ramp, frame_sheet, image_uri

__all__ = ["EpisodeSection", "episode_section", "outcome_badge", "trajectory_colors"]

_STRIP = 12
_PLAN_HEIGHT = 600


@dataclass(frozen=True, kw_only=True)
class EpisodeSection:
    """An episode's part of the page."""

    style: str
    """CSS rules that hold its images."""
    html: str
    """Its ``<article>``."""


def episode_section(record: EpisodeRecord, anchor: str) -> EpisodeSection:
    """Render the section of an episode that was recorded.

    Args:
        record: The episode.
        anchor: Identifier of the section in the page, letters, digits and hyphens.

    Returns:
        The section and the style that it needs.
    """
    views: list[tuple[str, str, FrameSheet]] = []
    if len(record.frames):
        views.append(("rgb", "Colour", frame_sheet(record.frames)))
    if len(record.depth):
        colored, far = color_depth(record.depth)
        views.append(("depth", f"Depth, 0–{far:.1f} m", frame_sheet(colored)))
    plan = _plan(record) if record.plan_image is not None else ""
    stage = (
        f'<div class="stage">{plan}<div class="side">{_views(views, anchor)}{_readout()}{_player(record)}</div></div>'
    )
    html = (
        f'<article class="episode" id="{anchor}" aria-labelledby="{anchor}-title">{_heading(record, anchor)}{stage}'
        f'<div class="charts">{_charts(record)}</div>{_strip(record, views, anchor)}{_measures(record)}'
        f'<script type="application/json">{_data(record, views)}</script></article>'
    )
    return EpisodeSection(style="".join(_sheet_style(sheet, f"{anchor}-{kind}") for kind, _, sheet in views), html=html)


def outcome_badge(record: EpisodeRecord) -> str:
    """Return a badge that says whether the goal was reached; empty where success was not measured."""
    if "success" not in record.measures:
        return ""
    reached = record.measures["success"] >= 0.5
    return f'<span class="badge {"reached" if reached else "missed"}">{"reached" if reached else "missed"}</span>'


def trajectory_colors(count: int) -> np.ndarray:
    """Return the `count` colours ``(count, 3)`` uint8 from the start of a path to its end."""
    return color_ramp("plasma", count, low=0.05, high=0.83)


def _heading(record: EpisodeRecord, anchor: str) -> str:
    to_go = f"{record.start_distance:.1f} m to the goal" if math.isfinite(record.start_distance) else ""
    facts = (record.agent, record.scene, record.sound, to_go)
    return (
        f'<header><h3 id="{anchor}-title">{escape(record.episode)} {outcome_badge(record)}</h3>'
        f'<p class="facts">{" · ".join(escape(fact) for fact in facts if fact)}</p></header>'
    )


def _plan(record: EpisodeRecord) -> str:
    assert record.plan_image is not None
    height, width = record.plan_image.shape[:2]
    unit = max(height, width) / 480
    path, goal = record.plan_path, record.plan_goal
    oracle = " ".join(f"{x:.1f},{y:.1f}" for x, y in record.plan_oracle.tolist())
    shapes = [
        "".join(f'<polyline class="{layer}" points="{oracle}"/>' for layer in ("under", "oracle") if oracle),
        _trajectory(path),
    ]
    shapes.append(f'<circle class="start" cx="{path[0, 0]:.1f}" cy="{path[0, 1]:.1f}" r="{5 * unit:.2f}"/>')
    rings = "".join(f'<circle r="{r * unit:.2f}" style="opacity:{o}"/>' for r, o in ((6, 1), (11, 0.6), (16, 0.3)))
    if record.goal is not None:
        shapes.append(
            f'<g class="goal" transform="translate({goal[0]:.1f} {goal[1]:.1f})">{rings}'
            f'<circle class="core" r="{2.6 * unit:.2f}"/></g>'
        )
    arrow = f'<path d="M0 -11L7.5 8.5L0 4.5L-7.5 8.5Z" transform="scale({unit:.4f})"/>'
    shapes.append(f'<g class="agent" transform="{_pose(record, len(path) - 1)}">{arrow}</g>')
    style = f"--u:{unit:.4f};max-width:{_PLAN_HEIGHT * width / height:.0f}px"
    words = f"Plan of {record.scene} from above, with the path of {record.agent}: {len(record.actions)} actions" + (
        f", from {record.start_distance:.1f} m to {_metres(record.distances[-1])} from the goal."
        if math.isfinite(record.start_distance)
        else "."
    )
    legend = (
        '<figcaption class="legend"><span class="ramp">start → end</span><span class="mark start">start</span>'
        + ('<span class="mark goal">goal</span>' if record.goal is not None else "")
        + ('<span class="mark oracle">shortest path</span>' if oracle else "")
        + "</figcaption>"
    )
    return (
        f'<figure class="plan"><svg viewBox="0 0 {width} {height}" style="{style}" role="img" '
        f'aria-label="{escape(words)}"><image href="{image_uri(record.plan_image)}" width="{width}" height="{height}"/>'
        f"{''.join(shapes)}</svg>{legend}</figure>"
    )


def _trajectory(path: np.ndarray) -> str:
    """Return the path as short lines, coloured by time; steps on the spot draw nothing."""
    colors = trajectory_colors(max(1, len(path) - 1))
    lines = [
        f'<path d="M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" stroke="#{bytes(color).hex()}"/>'
        for a, b, color in zip(path[:-1].tolist(), path[1:].tolist(), colors, strict=False)
        if a != b
    ]
    halo = " ".join(f"{x:.1f},{y:.1f}" for x, y in path.tolist())
    return f'<polyline class="halo" points="{halo}"/><g class="trajectory">{"".join(lines)}</g>'


def _pose(record: EpisodeRecord, step: int) -> str:
    x, y = record.plan_path[step]
    return f"translate({x:.1f} {y:.1f}) rotate({-math.degrees(record.headings[step]):.1f})"


def _views(views: list[tuple[str, str, FrameSheet]], anchor: str) -> str:
    figures = (
        f'<figure class="view"><div class="frame {anchor}-{kind}" data-view="{kind}" role="img" '
        f'aria-label="{escape(caption)}, as the agent sees it at the selected step" '
        f'style="aspect-ratio:{sheet.aspect:.4f};background-position:0% 0%"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for kind, caption, sheet in views
    )
    return f'<div class="views">{"".join(figures)}</div>' if views else ""


def _readout() -> str:
    cells = (
        ("step", "Step"),
        ("time", "Time"),
        ("action", "Action"),
        ("goal", "Distance to goal"),
        ("left", "Left ear"),
        ("right", "Right ear"),
    )
    return (
        '<dl class="readout">'
        + "".join(f'<div><dt>{n}</dt><dd data-show="{k}">–</dd></div>' for k, n in cells)
        + "</dl>"
    )


def _player(record: EpisodeRecord) -> str:
    scrub = (
        f'<label>Step<input type="range" min="0" max="{len(record.actions)}" value="0" step="1" '
        f'aria-label="Step of episode {escape(record.episode)}"></label>'
    )
    button = '<button type="button" class="play" aria-pressed="false">Play</button>'
    note, sound = "", ""
    if record.audio is not None:
        uri, gain = audio_uri(record.audio, record.audio_rate)
        name = f"What the agent hears in episode {record.episode}, binaural"
        sound = f'<audio controls preload="auto" src="{uri}" aria-label="{escape(name)}"></audio>'
        change = (
            f" Played {abs(gain):.0f} dB {'louder' if gain > 0 else 'quieter'} than recorded."
            if abs(gain) >= 0.5
            else ""
        )
        note, button = f"<p>Binaural: wear headphones.{change}</p>", ""
    link = f'<p><a href="{escape(quote(record.video))}">Video of the episode</a></p>' if record.video else ""
    return f'<div class="player">{sound}<div class="scrub">{button}{scrub}</div>{note}{link}</div>'


def _charts(record: EpisodeRecord) -> str:
    times = record.step_time * np.arange(len(record.distances))
    charts = []
    if np.isfinite(record.loudness).any():
        ears = [Line(label=n, style=n, values=record.loudness[:, c]) for c, n in enumerate(("left", "right"))]
        charts.append(line_chart("Loudness at the ears", "dB", times, ears))
    if np.isfinite(record.distances).any():
        distance = Line(label="", style="distance", values=record.distances)
        charts.append(line_chart("Distance to the goal, along the floor", "m", times, [distance], from_zero=True))
    return "".join(charts)


def _strip(record: EpisodeRecord, views: list[tuple[str, str, FrameSheet]], anchor: str) -> str:
    if not views:
        return ""
    steps = np.unique(np.linspace(0, len(record.actions), _STRIP).round().astype(int))
    items = []
    for step in steps.tolist():
        tiles = "".join(
            f'<span class="{anchor}-{kind}" style="aspect-ratio:{sheet.aspect:.4f};'
            f'background-position:{sheet.position(sheet.tile(step))}"></span>'
            for kind, _, sheet in views
        )
        label = f"{step * record.step_time:.4g} s"
        items.append(
            f'<button type="button" data-step="{step}" aria-label="Go to step {step}, {label}">'
            f"{tiles}<b>{label}</b></button>"
        )
    return f'<div class="strip" role="group" aria-label="Frames of the episode">{"".join(items)}</div>'


def _measures(record: EpisodeRecord) -> str:
    cells = (
        f"<div><dt>{escape(measure_label(name))}</dt><dd>{measure_text(name, value)}</dd></div>"
        for name, value in record.measures.items()
    )
    return f'<dl class="measures">{"".join(cells)}</dl>'


def _sheet_style(sheet: FrameSheet, name: str) -> str:
    return f".{name}{{background-image:url({sheet.uri});background-size:{100 * sheet.columns}% {100 * sheet.rows}%}}"


def _data(record: EpisodeRecord, views: list[tuple[str, str, FrameSheet]]) -> str:
    """Return what the script needs as JSON that cannot end the element that it stands in."""
    data = {
        "stepTime": record.step_time,
        "actions": [record.action_names[action] for action in record.actions],
        "distance": _plain(record.distances),
        "loudness": [_plain(row) for row in record.loudness],
        "poses": [] if record.plan_image is None else [_pose(record, step) for step in range(len(record.plan_path))],
        "sheets": {
            k: {"columns": s.columns, "rows": s.rows, "stride": s.stride, "count": s.count} for k, _, s in views
        },
    }
    return json.dumps(data, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _plain(values: np.ndarray) -> list[float | None]:
    return [round(float(value), 3) if math.isfinite(value) else None for value in values]


def _metres(value: float) -> str:
    return f"{value:.1f} m" if math.isfinite(value) else "no path"
