"""The report of a suite: the table of a family of tasks, with links to the reports of its rows."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from harken.eval.report.page import fill_page, settings_text
from harken.files import write_text

__all__ = ["write_suite_report"]


def write_suite_report(
    path: str | Path,
    *,
    title: str,
    cells: Sequence[Sequence[str]],
    links: Sequence[str],
    refused: Sequence[str],
    settings: Mapping[str, Any],
    command: str,
) -> None:
    """Write the table of a suite as one HTML file.

    Args:
        path: File to write; its folder is made.
        title: Heading of the page.
        cells: The table as text, the head first.
        links: Where the report of each row is, relative to the file; without the head.
        refused: What was not run, and why.
        settings: How the episodes were chosen.
        command: The command that makes the same suite again.
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in cells[0])
    rows = []
    for (task, agent, *values), link in zip(cells[1:], links, strict=True):
        first = f'<td>{escape(task)}</td><td><a href="{escape(link)}">{escape(agent)}</a></td>'
        rows.append(f"<tr>{first}{''.join(f'<td>{escape(value)}</td>' for value in values)}</tr>")
    not_run = "".join(f"<li>{escape(reason)}</li>" for reason in refused)
    page = fill_page(
        title=escape(title),
        facts=f"<span>{len({row[0] for row in cells[1:]})} tasks</span> · <span>{len(rows)} rows</span>",
        summary=(
            f'<section><h2>Measures</h2><div class="scroll"><table class="all"><thead><tr>{head}</tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
            '<p class="note">Means with 95 % confidence intervals over episodes: Wilson score if every outcome is 0 or '
            "1, otherwise bias-corrected and accelerated bootstrap.</p></section>"
            + (f"<section><h2>Not run</h2><ul>{not_run}</ul></section>" if refused else "")
        ),
        settings=escape(settings_text(settings)),
        command=f"<h2>Run it again</h2><pre><code>{escape(command)}</code></pre>",
    )
    write_text(path, page)
