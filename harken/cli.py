"""The command line: ``harken demo · eval · render · scene · bench · doctor``."""

import dataclasses
import functools
import operator
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from harken.errors import HarkenError, HarkenWarning, UnknownNameError
from harken.render.recipe import RECIPES

__all__ = ["main"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Demo:
    """Let a hearing agent find a ringing telephone in homes it has never been in; writes a report and videos."""

    out: Path = Path("demo")
    """Folder for the report and the videos."""
    episodes: int = 4
    """Number of episodes."""
    agent: str = "follower"
    """Agent: random, forward, oracle or follower."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Eval:
    """Run an agent over the episodes of a split and report measures with their intervals."""

    task: Annotated[Literal["audiogoal", "audiopointgoal", "pointgoal"], tyro.conf.Positional] = "audiogoal"
    """Task."""
    agent: tuple[str, ...] = ("oracle",)
    """Agents: random, forward, oracle, follower; several make one report."""
    split: str = "test"
    """Split of homes and sounds: train, val or test."""
    episodes: int = 100
    """Number of episodes."""
    out: Path = Path("results")
    """Folder for metrics.json, episodes.csv, config.yaml, report.html and videos."""
    preset: str = "soundspaces2"
    """Preset: soundspaces2 (continuous) or soundspaces1 (grid)."""
    config: Path | None = None
    """YAML file of settings, in place of a preset."""
    scene: Path | None = None
    """Mesh to use in place of generated homes: glb, gltf, obj or ply."""
    up: Literal["auto", "y", "z"] = "auto"
    """Axis that points up in that mesh."""
    scale: float = 1.0
    """Factor to metres, such as 0.01 for a mesh in centimetres."""
    sound: str = "telephone"
    """Clip or category, "heard", "unheard", or the path of a recording or a folder."""
    recorded: int = 3
    """How many episodes are shown in the report with pictures and sound."""
    videos: bool = False
    """Whether the recorded episodes are also written as mp4."""
    workers: int = os.cpu_count() or 1
    """Processes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Render:
    """Render a data set: WebDataset shards, an index, checksums and a data card. A run that was ended continues."""

    recipe: tyro.conf.Suppress[str]
    """What a sample is."""
    out: Path
    """Folder of the data set."""
    samples: int
    """Number of samples; more than the folder holds adds to it."""
    split: Literal["train", "val", "test"] = "train"
    """Split of homes and sounds."""
    seed: int = 0
    """Seed of every random draw."""
    samples_per_shard: int = 100
    """Number of samples in a file; workers share out files."""
    workers: int = 1
    """Processes on this machine."""
    ray: str | None = None
    """Address of a Ray cluster that renders in place of this machine: auto, host:6379, or local to start one here."""
    config: Path | None = None
    """YAML file of the recipe's settings; settings that are not in it keep their defaults."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderVerify:
    """Check a data set: every checksum, every part of every sample, the index."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of the data set."""


def _render_commands() -> Any:
    """Return the type of what can follow ``harken render``: a command for each recipe, and one that checks."""
    kinds: list[Any] = [Annotated[RenderVerify, tyro.conf.subcommand(name="verify")]]
    for name, entry in RECIPES.items():
        default = Render(recipe=name, out=tyro.MISSING, samples=tyro.MISSING)
        kinds.append(Annotated[Render, tyro.conf.subcommand(name=name, description=entry.description, default=default)])
    return functools.reduce(operator.or_, kinds)


_RenderCommands: Any = _render_commands()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderCommand:
    """Render a data set, or check one: shards, an index, checksums and a data card. A run that was ended continues."""

    what: Annotated[_RenderCommands, tyro.conf.arg(name="")]
    """A recipe, or verify."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SceneCommand:
    """Report on a mesh: size, triangles, leaks, storeys, walkable area, reverberation time; draws its plan."""

    file: Annotated[Path, tyro.conf.Positional]
    """Mesh: glb, gltf, obj or ply."""
    out: Path | None = None
    """PNG of the plan; beside the mesh's name in the current folder by default."""
    up: Literal["auto", "y", "z"] = "auto"
    """Axis that points up in the file."""
    scale: float = 1.0
    """Factor to metres, such as 0.01 for a mesh in centimetres."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """Measure speed on this machine, with peers in the same run (needs a checkout with its benchmarks folder)."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Benchmarks; all by default."""
    quick: bool = False
    """A short run that only shows that they work."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Doctor:
    """Print what works on this machine."""


COMMANDS: dict[str, Callable[..., Any]] = {
    "demo": Demo,
    "eval": Eval,
    "render": RenderCommand,
    "scene": SceneCommand,
    "bench": Bench,
    "doctor": Doctor,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line.

    Args:
        arguments: Words after ``harken``; those of the process by default.
    """
    warnings.showwarning = _show_warning
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _check_recipe(words)
        command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="harken", description=__doc__, args=words)
        from harken import commands

        commands.run(command, shlex.join(["harken", *words]))
    except HarkenError as error:
        print(f"harken: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("harken: interrupted.", file=sys.stderr)
        raise SystemExit(130) from None


def _check_recipe(words: list[str]) -> None:
    """Say which recipe was probably meant; the parser lists all options of all recipes instead."""
    recipes = (*RECIPES, "verify")
    if words[:1] == ["render"] and words[1:] and not words[1].startswith("-") and words[1] not in recipes:
        raise UnknownNameError("recipe", words[1], recipes)


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """Print what Harken warns of as a line for people, and nothing of what libraries say to programmers."""
    if issubclass(category, HarkenWarning):
        print(f"harken: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
