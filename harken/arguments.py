"""The commands of the command line: a dataclass for each, from which its options are made."""

import dataclasses
import functools
import operator
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from harken.agents.training.settings import TrainSettings
from harken.envs.interventions import InterventionName
from harken.errors import ConfigurationError
from harken.render.recipe import RECIPES
from harken.splits import Split
from harken.tasks.difficulty import Difficulty

__all__ = [
    "Bench", "Demo", "Doctor", "Episodes", "Eval", "Models", "Render", "RenderCommand", "RenderVerify",
    "SceneCommand", "Train",
]  # fmt: skip


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
class Episodes:
    """Write the first episodes of a split to a file, the same bytes for everybody, and print their checksum."""

    task: Annotated[str, tyro.conf.Positional] = "audiogoal"
    """Task of navigation: audiogoal, audiopointgoal, pointgoal, dynamic-audiogoal, multi-goal, semantic-audiogoal,
    echo-explore."""
    split: Split = "test"
    """Split of homes and sounds."""
    count: int = 500
    """Number of episodes."""
    out: Path | None = None
    """File, ending in .json.gz or .json; by default named after task, split and difficulty."""
    difficulty: Difficulty | None = None
    """How much longer than the straight line the ways are: easy (less than 1.1 times), medium, hard (at least 1.5
    times) or any; the preset's own by default."""
    sound: str | None = None
    """Clip or category, "heard", "unheard", or the path of a recording or a folder; the task's own by default."""
    preset: str | None = None
    """Preset, such as soundspaces1 (grid); the task's own by default."""
    config: Path | None = None
    """YAML file of settings, in place of a preset."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Eval:
    """Run agents over the episodes of a split and report measures with their intervals.

    A run that was ended continues when it is started again.
    """

    task: Annotated[str, tyro.conf.Positional] = "audiogoal"
    """Task: audiogoal, audiopointgoal, pointgoal, dynamic-audiogoal, adversarial-audiogoal, multi-goal,
    semantic-audiogoal, echo-explore, quietnav, echo-depth, active-separation, active-dynamic-separation."""
    suite: Literal["navigation"] | None = None
    """Run all tasks of a family in place of one, into one table."""
    agent: tuple[str, ...] = ()
    """Agents: a name (an unknown one lists those of the task), module:Class of your own, the folder of a training or
    its .safetensors, or a Stable-Baselines3 zip (with --trust); several make one report. By default the oracle, and in
    a suite oracle, goal-follower, follower, random and the trained models of each task."""
    split: str = "test"
    """Split of homes and sounds: train, val or test."""
    episodes: int | Path = 100
    """Number of episodes, or a file of them, such as harken episodes writes."""
    difficulty: Difficulty | None = None
    """How much longer than the straight line the ways of drawn episodes are: easy, medium, hard or any; the preset's
    own by default."""
    checksum: str | None = None
    """Checksum that the episodes have to have; others are refused before anything is run."""
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
    attacker: str | None = None
    """Who attacks in adversarial-audiogoal: silent, random, still, decoy, module:Class of your own, or the zip of a
    policy (with --trust); that of the preset by default."""
    propagation: Literal["harken", "soundspaces2"] | None = None
    """Engine that propagates sound; the preset's own by default."""
    wrapper: tuple[str, ...] = ()
    """Wrappers that the agent was trained with, module:Class, the innermost first."""
    intervene: tuple[InterventionName, ...] = ()
    """Play the same episodes again with one thing about what is sensed changed, each in turn; the report shows what
    success and SPL lose."""
    models: str | None = None
    """Where agents are looked for by name besides: a folder of models, or hf:owner/name."""
    trust: bool = False
    """Whether Stable-Baselines3 zips are read. They hold pickles, which can run code: your own or a friend's only."""
    recorded: int = 3
    """How many episodes are shown in the report with pictures and sound."""
    videos: bool = False
    """Whether the recorded episodes are also written as mp4."""
    workers: int = os.cpu_count() or 1
    """Processes."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Train(TrainSettings):
    """Train an agent: first by imitation, then by reinforcement. A training that was ended continues."""

    task: Annotated[str, tyro.conf.Positional] = "audiogoal"
    """Task: audiogoal, audiopointgoal, pointgoal, semantic-audiogoal."""
    out: Path = Path("training")
    """Folder for weights, checkpoints, settings, curve and the log for TensorBoard."""
    config: Path | None = None
    """YAML file of settings, such as the config.yaml of another training; options change them."""
    resume: bool = False
    """Go on with the training of the folder, with its settings. The same command again does so too."""
    steps: int | None = None
    """Steps of imitation and reinforcement together; each keeps its share."""
    imitate: Annotated[bool, tyro.conf.arg(name="imitation")] = True
    """Whether the agent learns from the oracle first."""
    reinforce: Annotated[bool, tyro.conf.arg(name="reinforcement")] = True
    """Whether it learns from rewards then."""
    videos: bool = False
    """Whether each evaluation writes a video with sound of its first episode."""
    engine: Literal["stable-baselines3", "rllib"] = "stable-baselines3"
    """Library that learns from rewards: here, or RLlib with workers on this machine or a cluster of Ray."""
    ray: str | None = None
    """Address of the Ray cluster of RLlib: auto or host:6379; this machine by default."""

    def settings(self) -> TrainSettings:
        """Return the settings of the training that was asked for.

        Raises:
            ConfigurationError: Nothing is left to do.
        """
        whole = TrainSettings(**{f.name: getattr(self, f.name) for f in dataclasses.fields(TrainSettings)})
        if not self.imitate and not self.reinforce:
            raise ConfigurationError("--no-imitation and --no-reinforcement were given; expected one of them.")
        if not self.imitate:
            whole = dataclasses.replace(whole, imitation=dataclasses.replace(whole.imitation, steps=0))
        if not self.reinforce:
            whole = dataclasses.replace(whole, reinforcement=dataclasses.replace(whole.reinforcement, steps=0))
        return whole if self.steps is None else whole.with_steps(self.steps)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Models:
    """List trained models, with how they were trained and what they reach."""

    source: Annotated[str | None, tyro.conf.Positional] = None
    """A folder of models, or hf:owner/name; what comes with Harken by default."""


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
