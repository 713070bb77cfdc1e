"""The commands of the command line: a dataclass for each, from which its options are made."""

import dataclasses
import functools
import operator
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from harken.render.recipe import RECIPES
from harken.splits import Split

__all__ = ["Bench", "Demo", "Doctor", "Eval", "Render", "RenderCommand", "RenderVerify", "SceneCommand"]


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
    """Run agents over the episodes of a split and report measures with their intervals.

    A run that was ended continues when it is started again.
    """

    task: Annotated[str, tyro.conf.Positional] = "audiogoal"
    """Task: audiogoal, audiopointgoal, pointgoal, echo-depth, active-separation, active-dynamic-separation."""
    agent: tuple[str, ...] = ("oracle",)
    """Agents: a name (an unknown one lists those of the task), module:Class of your own, or a Stable-Baselines3 zip;
    several make one report."""
    split: str = "test"
    """Split of homes and sounds: train, val or test."""
    episodes: int = 100
    """Number of episodes."""
    out: Path = Path("results")
    """Folder for metrics.json, episodes.csv, config.yaml, report.html and videos."""
    preset: str | None = None
    """Preset, such as soundspaces1 (grid); the task's own by default."""
    config: Path | None = None
    """YAML file of settings, in place of a preset."""
    scene: Path | None = None
    """Mesh to use in place of generated homes: glb, gltf, obj or ply."""
    up: Literal["auto", "y", "z"] = "auto"
    """Axis that points up in that mesh."""
    scale: float = 1.0
    """Factor to metres, such as 0.01 for a mesh in centimetres."""
    sound: str | None = None
    """Clip or category, "heard", "unheard", or the path of a recording or a folder; the telephone by default. In active
    separation "heard" or "unheard"."""
    propagation: Literal["harken", "soundspaces2"] | None = None
    """Engine that propagates sound; the preset's own by default."""
    wrapper: tuple[str, ...] = ()
    """Wrappers that the agent was trained with, module:Class, the innermost first."""
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
    split: Split = "train"
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

    compile: bool = False
    """Whether to compile first all kernels that are not on disk yet, so that no later command has to."""
