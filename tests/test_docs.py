"""The Python blocks of the documentation run as they are written."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = ("docs/rendering.md", "docs/acoustics.md", "docs/soundspaces.md", "docs/learning.md")
"""Pages whose Python blocks are run: in their order, each in a process of its own, in one empty folder for the page."""

STORIES = (
    "README.md",
    "docs/quickstart.md",
    "docs/environments.md",
    "docs/navigation.md",
    "docs/evaluation.md",
    "docs/navigation.md",
    "docs/your_own.md",
    "docs/echo_depth.md",
    "docs/separation.md",
    "docs/navigation.md",
)
"""Pages whose Python blocks go on from each other: they are run as one script."""

OPTIONAL = {
    "torch",
    "stable_baselines3",
    "sb3_contrib",
    "ray",
    "sofar",
    "webdataset",
    "datasets",
    "pettingzoo",
    "rlr_audio_propagation",
}
"""Packages without which a block is left out."""

SECONDS = 300

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def python_blocks(text: str) -> list[str]:
    """Return the Python blocks of a page of Markdown."""
    return _BLOCK.findall(text)


def missing_packages(block: str) -> set[str]:
    """Return the optional packages that a block imports and that are not installed."""
    names = set()
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(str(node.module).partition(".")[0])
    return {name for name in names & OPTIONAL if importlib.util.find_spec(name) is None}


def run_block(block: str, folder: Path, number: int) -> None:
    """Run a block as a script in a folder."""
    script = folder / f"block_{number}.py"
    script.write_text(block, encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "MPLBACKEND": "Agg",
        "HF_HOME": str(folder / "hugging-face"),
        "HF_HUB_OFFLINE": "1",
    }
    done = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS
    )
    assert done.returncode == 0, f"block {number}:\n{block}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_python_blocks_run_as_they_are_written(repository, tmp_path, page):
    blocks = python_blocks((repository / page).read_text(encoding="utf-8"))
    assert blocks, f"{page} has no Python blocks"
    left_out: set[str] = set()
    for number, block in enumerate(blocks, 1):
        missing = missing_packages(block)
        left_out |= missing
        if not missing:
            run_block(block, tmp_path, number)
    if left_out:
        pytest.skip(f"All blocks ran but those that need {', '.join(sorted(left_out))}, which are not installed.")


@pytest.mark.parametrize("page", STORIES)
def test_python_blocks_that_go_on_from_each_other_run_as_they_are_written(repository, tmp_path, page):
    blocks = python_blocks((repository / page).read_text(encoding="utf-8"))
    assert blocks, f"{page} has no Python blocks"
    run_block("\n".join(blocks), tmp_path, 1)


def test_blocks_of_a_page_are_found():
    text = "# A page\n\n```python\nx = 1\n```\n\n```bash\nls\n```\n\nand\n\n```python\nimport torch\n\ny = 2\n```\n"
    assert python_blocks(text) == ["x = 1\n", "import torch\n\ny = 2\n"]
    assert missing_packages("import harken\nfrom os import path\n") == set()
