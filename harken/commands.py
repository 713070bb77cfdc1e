"""What the commands of the command line do."""

import functools
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import platform
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harken.agents import list_models
from harken.arguments import (
    Bench,
    Demo,
    Doctor,
    Episodes,
    Eval,
    Models,
    RenderCommand,
    RenderVerify,
    SceneCommand,
    Train,
)
from harken.checks import checked_count
from harken.configs import load_preset
from harken.envs import TaskEnv
from harken.envs.drawing import EPISODES_PER_HOME
from harken.envs.env import find_task
from harken.envs.threads import checked_threads
from harken.errors import ConfigurationError, HarkenError, MissingDependencyError, SceneError, UnknownNameError
from harken.eval import (
    EpisodeRecord,
    Evaluation,
    Interval,
    PartialResults,
    check_list,
    compare,
    evaluate,
    evaluation_key,
    format_table,
    intervened,
    judge_policy,
    list_checksum,
    open_evaluation,
    row_folder,
    run_suite,
    suite_columns,
    suite_table,
    write_results,
    write_suite_report,
)
from harken.files import checked_output_file, checked_output_folder, write_text, write_whole
from harken.registration import TASKS, tasks_of
from harken.tasks import NavigationSettings, write_episode_list
from harken.tasks.habitat_episodes import is_habitat_file

__all__ = ["run"]

SHOWN = ("success", "spl", "soft_spl", "sna", "distance_to_goal", "steps")
"""Measures of the table on the terminal, where they exist; all are in the files."""

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Endings of the files that a plan can be written to, and their formats."""

COLUMNS = 8
"""Most measures of the table where those do not exist."""


def run(command: Any, line: str) -> None:
    """Run a parsed command.

    Args:
        command: One of the dataclasses of `harken.cli`.
        line: The command line as it was given, for the reports.
    """
    runs: dict[type, Callable[[Any, str], None]] = {
        Demo: demo,
        Train: training,
        Eval: evaluation,
        Episodes: episodes,
        Models: models,
        RenderCommand: rendering,
        SceneCommand: scene,
        Bench: bench,
        Doctor: doctor,
    }
    runs[type(command)](command, line)


def demo(command: Demo, line: str) -> None:
    """Run a handful of episodes of the main task and say where to look."""
    checked_output_folder(command.out)
    settings = load_preset(NavigationSettings, "soundspaces2")
    arguments = {"preset": "soundspaces2", "split": "test", "sound": "telephone"}
    records = evaluate(
        Evaluation(
            agent=command.agent,
            environment="audiogoal",
            arguments=arguments,
            episodes=command.episodes,
            every=EPISODES_PER_HOME,  # each in another home
            recorded=command.episodes,
            workers=min(command.episodes, os.cpu_count() or 1),
            videos=command.out,
        )
    )
    summary = write_results(
        command.out,
        {command.agent: records},
        title="A hearing agent finds a ringing telephone",
        settings=settings,
        arguments={"task": "audiogoal", **arguments},
        command=line,
    )
    print(format_table(summary, SHOWN))
    print(f"\nReport   {(command.out / 'report.html').resolve()}")
    for record in records:
        outcome = "found it" if record.measures["success"] else "did not find it"
        print(f"Video    {(command.out / str(record.video)).resolve()}  ({record.scene}: {outcome})")


def evaluation(command: Eval, line: str) -> None:
    """Run agents over a split and write the results."""
    checked_output_folder(command.out)
    if command.suite is not None:
        _suite(command, line)
        return
    arguments = _environment_arguments(command)
    records: dict[str, list[EpisodeRecord]] = {}
    partials: list[PartialResults] = []
    changes: dict[str, dict[str, Interval]] = {}
    settings: Any = None
    runs = _evaluations(command, arguments)
    if command.checksum is not None:
        check_list(runs[0], command.checksum)
    for run in runs:
        whole = _kept(command, run)
        records[run.shown_name] = whole[0]
        partials.append(whole[1])
        settings = settings or whole[2]
        changed = {}
        for name in dict.fromkeys(command.intervene):
            other = intervened(run, name)
            records[other.shown_name], partial, _ = _kept(command, other)
            partials.append(partial)
            changed[other.shown_name] = records[other.shown_name]
        changes |= compare(records[run.shown_name], changed)
    title = f"{command.task}, split {command.split}: {', '.join(records)}"
    summary = write_results(
        command.out,
        records,
        title=title,
        settings=settings,
        arguments={"task": command.task, **arguments},
        command=line,
        interventions=changes,
    )
    for partial in partials:
        partial.remove()
    print(format_table(summary, _columns(summary)))
    if any(changes.values()):
        print("\nWith one cause changed, the same episodes; the difference, with paired intervals:")
        print(format_table(changes))
    print(f"\nEpisodes {list_checksum(next(iter(records.values())))} (checksum; --checksum verifies it)")
    print(f"Report   {(command.out / 'report.html').resolve()}")
    print(f"Metrics  {(command.out / 'metrics.json').resolve()}")


def _evaluations(command: Eval, arguments: dict[str, Any]) -> list[Evaluation]:
    """Return the evaluations of the agents, without interventions."""
    runs = {}
    for agent in command.agent or ("oracle",):
        run = _evaluation(command, command.task, agent, arguments)
        if run.shown_name in runs:
            raise ConfigurationError(
                f"--agent: two agents are called {run.shown_name!r}; rename one of the files or folders."
            )
        for name in command.intervene:  # so that what cannot be changed is said before anything has run
            open_evaluation(intervened(run, name))[0].close()
        runs[run.shown_name] = run
    return list(runs.values())


def _evaluation(command: Eval, task: str, agent: str, arguments: dict[str, Any]) -> Evaluation:
    """Return the evaluation of an agent in a task."""
    count = command.episodes
    if isinstance(count, Path):
        env = TaskEnv(task, **arguments)
        count = len(env.episodes or ())
        env.close()
    return Evaluation(
        agent=agent,
        environment=task,
        arguments=arguments,
        wrappers=command.wrapper,
        episodes=count,
        recorded=min(command.recorded, count),
        workers=command.workers,
        videos=command.out if command.videos else None,
        models=command.models,
        trust=command.trust,
    )


def _kept(command: Eval, run: Evaluation) -> tuple[list[EpisodeRecord], PartialResults, Any]:
    """Run an evaluation of which finished episodes are kept while it runs; return also where, and the task's rules."""
    env, _ = open_evaluation(run)
    settings = env.unwrapped.settings  # type: ignore[attr-defined]
    env.close()
    partial = PartialResults(command.out, run.shown_name, evaluation_key(run, settings))
    return evaluate(run, partial=partial), partial, settings


SUITE_AGENTS = ("oracle", "goal-follower", "follower", "random")
"""Agents of a suite unless others are asked for, besides the models that were trained for a task."""


def suite_agents(task: str, models: str | None = None) -> tuple[str, ...]:
    """Return the agents of a task in a suite: `SUITE_AGENTS`, and the models that were trained for it.

    Args:
        task: Name of the task.
        models: Where models are besides those that come with Harken, whose names they may take; see
            `harken.agents.list_models`.
    """
    known = {model.name: model for source in dict.fromkeys((None, models)) for model in list_models(source)}
    return (*SUITE_AGENTS, *(name for name, model in known.items() if model.card.task == task))


def _suite(command: Eval, line: str) -> None:
    """Run all tasks of a family, and write one table."""
    given = {
        "--preset": command.preset, "--config": command.config, "--intervene": command.intervene,
        "--checksum": command.checksum, "--scene": command.scene,
    }  # fmt: skip
    for option, value in given.items():
        if value:
            raise ConfigurationError(f"{option} was given with --suite; its tasks differ in that. Run them one by one.")
    if isinstance(command.episodes, Path):
        raise ConfigurationError("--episodes: a file holds episodes of one task; give a suite their number.")
    assert command.suite is not None
    evaluations = []
    for task in tasks_of(command.suite):
        arguments = _environment_arguments(replace(command, task=task))
        if "sound" not in inspect.signature(find_task(task)).parameters or "sound" in TASKS[task].options:
            arguments.pop("sound", None)
        for agent in dict.fromkeys(command.agent) or suite_agents(task, command.models):
            evaluations.append(_evaluation(command, task, agent, arguments))
    rows = run_suite(evaluations, command.out, command=line)
    table, played = suite_table(rows), [row for row in rows if row.summary]
    write_text(command.out / "suite.md", table + "\n")
    write_suite_report(
        command.out / "report.html",
        title=f"The {command.suite} suite, split {command.split}",
        cells=suite_columns(rows),
        links=[f"{row.task}/{row_folder(row.agent)}/report.html" for row in played],
        refused=[f"{row.task}, {row.agent}: {row.refusal}" for row in rows if not row.summary],
        settings={"split": command.split, "episodes": command.episodes, "sound": command.sound,
                  "difficulty": command.difficulty, "checksums": {row.task: row.checksum for row in played}},
        command=line,
    )  # fmt: skip
    print(table)
    print(f"\nReport   {(command.out / 'report.html').resolve()}")
    print(f"Table    {(command.out / 'suite.md').resolve()}")


def episodes(command: Episodes, line: str) -> None:
    """Write the first episodes of a split to a file."""
    from tqdm import tqdm

    family = tasks_of("navigation")
    if command.task not in family:
        raise UnknownNameError("task of navigation", command.task, family)
    count = checked_count("--count", command.count, 1)
    asked = command.difficulty or "any"
    named = f"{command.task}-{command.split}{'' if asked == 'any' else f'-{asked}'}.json.gz"
    out = checked_output_file(command.out or Path(named))
    if not is_habitat_file(out):
        raise ConfigurationError(f"--out {str(out)!r}: expected a name that ends in .json.gz or .json.")
    if command.config is not None and command.preset is not None:
        raise ConfigurationError("--preset and --config were given; expected one of them.")
    preset = command.preset if command.config is None else str(command.config)
    given = {"preset": preset, "sound": command.sound, "difficulty": command.difficulty}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    env = TaskEnv(command.task, split=command.split, **chosen)
    drawn = [env.episode(number) for number in tqdm(range(count), unit="episode", desc=command.task)]
    about = {"task": command.task, "split": command.split, "difficulty": getattr(env.settings, "difficulty", "any")}
    total = write_episode_list(out, drawn, {**about, **chosen})
    print(f"Episodes {count} of split {command.split}, checksum {total}")
    print(f"File     {out.resolve()}")
    print(f"Play     harken eval {command.task} --split {command.split} --episodes {shlex.quote(str(out))}")


def training(command: Train, line: str) -> None:
    """Train an agent, or go on with a training."""
    settings = command.settings()
    out = checked_output_folder(command.out)
    extra = "rllib" if command.engine == "rllib" else "train"
    judge = functools.partial(judge_policy, videos=out / "videos" if command.videos else None)
    try:
        if command.engine == "rllib":
            from harken.agents.training.cluster import train_on_cluster as chosen

            train: Any = functools.partial(chosen, workers=checked_threads(settings.workers), address=command.ray)
        else:
            from harken.agents.training import train
    except ImportError as error:
        raise MissingDependencyError(f"Packages are missing ({error}): pip install 'harken[{extra}]'.") from error
    best = train(settings, out, judge=judge)
    print(f"Weights  {best.resolve()}")
    for title, path in (("Card    ", out / "card.yaml"), ("Log     ", out / "log")):
        if path.exists():
            print(f"{title} {path.resolve()}")
    rules = "" if settings.preset is None else f" --preset {shlex.quote(settings.preset)}"
    print(f"Evaluate harken eval {settings.task}{rules} --agent {shlex.quote(str(out))}")


def models(command: Models, line: str) -> None:
    """List trained models."""
    found = list_models(command.source)
    if not found:
        where = "No trained models come with this version of Harken" if command.source is None else "There are none"
        print(f"{where}. Train one: harken train audiogoal --agent av-nav --out DIR")
    for model in found:
        card = model.card
        print(f"{model.name}: {card.summary}")
        print(f"  trained for   {card.task}, {card.steps:,} steps in {card.seconds / 3600:.1f} h, seed {card.seed}")
        print(f"  trained with  {card.data}")
        results = ", ".join(f"{name} {value:.3f}" for name, value in card.results.items())
        print(f"  reaches       {results or 'not measured'}")
        print(f"  command       {card.command or 'not known'}")


def _environment_arguments(command: Eval) -> dict[str, Any]:
    """Return the arguments of the environment that were given; what was not given is left to the task."""
    if command.config is not None and command.preset is not None:
        raise ConfigurationError("--preset and --config were given; expected one of them.")
    is_path = command.sound is not None and ("/" in command.sound or "." in command.sound)
    if is_path and not Path(str(command.sound)).expanduser().exists():
        raise ConfigurationError(f"--sound: there is no file or folder {command.sound!r}.")
    arguments = {
        "preset": None if command.config is None else str(command.config),
        "split": command.split,
        "scene": None if command.scene is None else str(command.scene),
        "propagation": command.propagation,
        "difficulty": command.difficulty,
        "episodes": str(command.episodes) if isinstance(command.episodes, Path) else None,
        "attacker": command.attacker,
        "sounds" if command.task.endswith("separation") else "sound": command.sound,
    }
    if command.preset is not None:
        arguments["preset"] = command.preset
    file = {} if command.scene is None else {"up": command.up, "scale": command.scale}
    return {**{name: value for name, value in arguments.items() if value is not None}, **file}


def _columns(summary: dict[str, dict[str, Interval]]) -> tuple[str, ...]:
    """Return the measures that the table on the terminal shows."""
    names = list(next(iter(summary.values())))
    return SHOWN if set(SHOWN) <= set(names) else tuple(names[:COLUMNS])


def rendering(command: RenderCommand, line: str) -> None:
    """Render a data set or check one; ends with status 1 where the check finds damage."""
    from harken.render import make_recipe, render, verify

    what = command.what
    if isinstance(what, RenderVerify):
        report = verify(what.folder, progress=True)
        print(report)
        if not report.passed:
            raise SystemExit(1)
        return
    manifest = render(
        make_recipe(what.recipe, settings=what.config, split=what.split, seed=what.seed),
        what.out,
        samples=what.samples,
        samples_per_shard=what.samples_per_shard,
        workers=what.workers,
        ray=what.ray,
    )
    size = sum(shard.bytes for shard in manifest.shards)
    print(f"Samples  {manifest.samples:,} in {len(manifest.shards):,} shards, {size / 1e6:,.1f} MB")
    print(f"Card     {(what.out / 'README.md').resolve()}")
    print(f"Listen   {(what.out / f'{manifest.split}-sheet.html').resolve()}")


def scene(command: SceneCommand, line: str) -> None:
    """Report on a mesh and draw its plan."""
    from PIL import Image

    from harken.errors import NavigationError
    from harken.scene import Scene, WalkableFloor
    from harken.scene.inspection import inspect_scene
    from harken.vision import draw_plan

    out = checked_output_file(command.out or Path(f"{command.file.stem}-plan.png"))
    if out.suffix.lower() not in PICTURES:
        raise ConfigurationError(f"--out {str(out)!r}: expected a picture, ending in {', '.join(PICTURES)}.")
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        loaded = Scene.load(command.file, up=command.up, scale=command.scale)
    report = inspect_scene(loaded)
    for remark in remarks:
        if not any(problem in str(remark.message) for problem in report.problems):  # else the report tells it
            warnings.warn_explicit(remark.message, remark.category, remark.filename, remark.lineno)
    print(report)
    height = float(loaded.bounds[0][1])
    try:
        floor = WalkableFloor.build(loaded)
    except NavigationError as error:
        print(f"Walkable floor  none: {error}")
    else:
        height = float(np.median(floor.cells[:, 1]))
        print("Walkable floor  " + floor.describe().replace("\n", "\n                "))
    with write_whole(out) as file:
        kind = PICTURES[out.suffix.lower()]
        Image.fromarray(draw_plan(loaded, width=1024, floor=height).image).save(file, format=kind)
    print(f"Plan            {out.resolve()}")


def bench(command: Bench, line: str) -> None:
    """Run the scripts of the benchmarks folder one after the other."""
    folder = Path(__file__).resolve().parent.parent / "benchmarks"
    scripts = {path.stem: path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")}
    if not scripts:
        raise SceneError(f"There are no benchmarks in {str(folder)!r}: they come with a checkout of the repository.")
    for name in command.names or tuple(scripts):
        if name not in scripts:
            raise UnknownNameError("benchmark", name, scripts)
        print(f"\n== {name}", flush=True)
        words = [sys.executable, str(scripts[name]), *(["--quick"] if command.quick else [])]
        subprocess.run(words, check=True)


def doctor(command: Doctor, line: str) -> None:
    """Print what works on this machine; ends with status 1 where something needed does not."""
    from harken import __version__

    print(f"Harken {__version__}, Python {platform.python_version()}, {platform.platform()}, {os.cpu_count()} cores")
    if command.compile:
        from harken.compiling import compile_all

        print(f"  ok    {'kernels':21s} {compile_all()}")
    healthy = True
    for name, check in CHECKS.items():
        try:
            print(f"  ok    {name:21s} {check()}")
        except (HarkenError, ImportError, OSError) as error:
            print(f"  FAIL  {name:21s} {error}")
            healthy = False
    for package, (extra, purpose) in OPTIONAL.items():
        try:
            print(f"  ok    {package:21s} {importlib.metadata.version(package)}: {purpose}")
        except importlib.metadata.PackageNotFoundError:
            print(f"  none  {package:21s} {purpose}; not needed otherwise (pip install 'harken[{extra}]')")
    print(f"  {_habitat_sim()}")
    if not healthy:
        raise SystemExit(1)


def _habitat_sim() -> str:
    """Return a line about habitat-sim, which has no package of its name on PyPI."""
    name = f"{'habitat-sim':21s}"
    if importlib.util.find_spec("habitat_sim") is None:
        return f"none  {name} scenes in Habitat's simulator; not needed otherwise (docs/habitat.md)"
    try:
        version = importlib.import_module("harken.integrations.habitat.loading").check_habitat_sim()
        return f"ok    {name} {version}: scenes in Habitat's simulator"
    except HarkenError as error:
        return f"none  {name} {error}"


def _check_embree() -> str:
    from harken.raytracing import embree

    return "found" if embree.AVAILABLE else "not found: rays are cast by the built-in tree, slower"


def _check_cache() -> str:
    from harken.raytracing import cache_folder

    return str(cache_folder())


def _check_step() -> str:
    import time

    env = TaskEnv("audiogoal", split="val")
    env.reset(seed=0, options={"episode": 0})
    start = time.perf_counter()
    for i in range(60):
        env.step(np.int64(1 + i % 3))
    return f"{60 / (time.perf_counter() - start):.0f} steps/s (depth and spectrogram, one core)"


def _check_video() -> str:
    import av

    return f"PyAV {av.__version__}"


CHECKS: dict[str, Callable[[], str]] = {
    "embree": _check_embree,
    "cache folder": _check_cache,
    "environment": _check_step,
    "video": _check_video,
}
"""What `harken doctor` tries, by name."""

OPTIONAL = {
    "torch": ("train", "training agents"),
    "stable-baselines3": ("train", "training agents"),
    "sb3-contrib": ("train", "training agents that remember"),
    "huggingface-hub": ("hub", "trained models from repositories of Hugging Face"),
    "pettingzoo": ("multi", "the game of agent and attacker"),
    "pyarrow": ("render", "rendering data sets"),
    "ray": ("scale", "rendering data sets on several machines"),
    "sofar": ("sofa", "heads and measurements in SOFA files"),
    "rlr-audio-propagation": ("soundspaces", "SoundSpaces 2.0's acoustic engine, to compare with"),
}
"""Packages that are not required, the extra that brings each, and what they are for."""
