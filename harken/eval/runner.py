"""Run any agent over episodes of any environment, in parallel, and keep what a report needs."""

import importlib
import itertools
import multiprocessing
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import gymnasium as gym

from harken.agents import Agent, PolicyAgent, make_agent, make_attacker
from harken.checks import checked_count
from harken.envs import TaskEnv, write_video
from harken.envs.drawing import EPISODES_PER_HOME
from harken.errors import ConfigurationError, EpisodeError, StateError, UnknownNameError
from harken.eval.partial import PartialResults
from harken.eval.recording import Recorder
from harken.eval.records import EpisodeRecord
from harken.processes import ending
from harken.registration import TASKS
from harken.tasks.episode_lists import checksum, episode_digest

__all__ = ["Evaluation", "Wrapper", "check_list", "evaluate", "evaluation_key", "open_evaluation", "run_episode"]

Wrapper = str | Callable[[gym.Env], gym.Env]
"""Puts something around an environment: a class of wrappers, or ``module:Class``."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is run: an agent in an environment over the first episodes of a split."""

    agent: str | Path | Agent
    """What acts: a name, ``module:Class``, the path of a policy, or an agent; see `harken.agents.make_agent`."""
    environment: str | Callable[..., gym.Env] = "audiogoal"
    """Name of a task, id of an environment, or a function that makes one (with several workers: one that can be
    pickled)."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the environment. Its sensors are those that the agent needs, unless they are given; "attacker" may
    also be what `harken.agents.make_attacker` takes."""
    wrappers: Sequence[Wrapper] = ()
    """What is put around it, the first one innermost."""
    name: str = ""
    """Name of the agent in the results; that of `agent` by default."""
    models: str | Path | None = None
    """Where trained models are looked for by name besides: a folder, or ``hf:owner/name``."""
    trust: bool = False
    """Whether the zip of a policy is read, which holds pickles; see `harken.agents.PolicyAgent.load`."""
    episodes: int = 100
    """Number of episodes."""
    every: int = 1
    """Takes every n-th episode of the split; the episodes of one home follow each other."""
    recorded: int = 3
    """How many of them, from the first, are kept with pictures and sound."""
    workers: int = 1
    """Processes."""
    videos: Path | None = None
    """Folder for videos of the recorded episodes, None for none."""

    def __post_init__(self) -> None:
        """Check the counts."""
        for name, least in (("episodes", 1), ("every", 1), ("recorded", 0), ("workers", 1)):
            object.__setattr__(self, name, checked_count(name, getattr(self, name), least))

    @property
    def shown_name(self) -> str:
        """Name of the agent in the results."""
        if self.name:
            return self.name
        if isinstance(self.agent, str | Path):
            path = Path(self.agent)
            return path.stem if path.suffix in (".zip", ".safetensors") else path.name or str(path)
        return type(self.agent).__name__


def evaluate(
    evaluation: Evaluation, *, progress: bool = True, partial: PartialResults | None = None
) -> list[EpisodeRecord]:
    """Run an evaluation.

    Every episode and every agent's draws depend on the episode's number only, so the result is the same with any
    number of workers, and one that was interrupted and continued.

    Args:
        evaluation: What to run.
        progress: Whether to show a progress bar.
        partial: Where finished episodes are kept while the others run, and taken from if they are there.

    Returns:
        One record per episode, in order; the recorded ones with pictures and sound.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: Agent and environment do not fit each other.
        StateError: A worker process was killed; what was finished is kept where `partial` is given.
    """
    from tqdm import tqdm

    open_evaluation(evaluation)[0].close()  # so that a wrong name or file is reported once, before any process starts
    numbers = [index * evaluation.every for index in range(evaluation.episodes)]
    # What is shown in the report is run again: pictures and sound are not kept.
    shown = set(numbers[: evaluation.recorded])
    results = [] if partial is None else [r for r in partial.read() if r.index in set(numbers) - shown]
    indices = {result.index for result in results}
    chunks = [list(home) for _, home in itertools.groupby(numbers, lambda number: number // EPISODES_PER_HOME)]
    waiting = [[number for number in chunk if number not in indices] for chunk in chunks]
    with tqdm(
        total=len(numbers), initial=len(results), unit="episode", desc=evaluation.shown_name, disable=not progress
    ) as bar:
        for finished in _run_chunks(evaluation, [chunk for chunk in waiting if chunk]):
            results.extend(finished)
            if partial is not None:
                partial.append(finished)
            bar.update(len(finished))
    return sorted(results, key=lambda result: result.index)


def _run_chunks(evaluation: Evaluation, chunks: list[list[int]]) -> Iterator[list[EpisodeRecord]]:
    if evaluation.workers == 1 or len(chunks) <= 1:
        if chunks:
            _start_worker(evaluation)
            yield from map(_run_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(evaluation.workers, len(chunks))
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(evaluation,))
    others = set(multiprocessing.active_children())
    children: set[BaseProcess] = set()
    try:
        futures: list[Future[list[EpisodeRecord]]] = [pool.submit(_run_chunk, chunk) for chunk in chunks]
        children = set(multiprocessing.active_children()) - others
        for future in as_completed(futures):
            yield future.result()
    except BrokenProcessPool as error:
        pool.shutdown(wait=True, cancel_futures=True)  # until then another thread may be asking for the same codes
        raise StateError(
            f"{_endings(children)} before its work was done. Run the same command again, with fewer workers if memory "
            "ran out (SIGKILL): finished episodes are kept."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _endings(children: Iterable[BaseProcess]) -> str:
    """Say how the worker ended that ended first; the pool then terminates the others."""
    codes = {child.exitcode for child in children} - {None, 0, -signal.SIGTERM}
    return f"A worker process {ending(min(codes, key=str))}" if codes else "A worker process ended"


_worker: tuple[Evaluation, gym.Env, Agent] | None = None


def _start_worker(evaluation: Evaluation) -> None:
    """Make the environment and the agent of this process."""
    global _worker
    _worker = (evaluation, *open_evaluation(evaluation))


def open_evaluation(evaluation: Evaluation) -> tuple[gym.Env, Agent]:
    """Make the environment, with its wrappers, and the agent that acts in it.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: Agent and environment do not fit each other.
    """
    arguments = dict(evaluation.arguments)
    if evaluation.videos is not None:
        arguments["render_mode"] = "rgb_array"
    attacker = arguments.pop("attacker", None)
    env = _make(evaluation.environment, arguments)
    base = _base(env)
    agent = make_agent(evaluation.agent, base.task, models=evaluation.models, trust=evaluation.trust)
    fitting: dict[str, Any] = {}
    if attacker is not None:
        fitting["attacker"] = make_attacker(attacker, base.task, trust=evaluation.trust)
    if "sensors" not in arguments:
        fitting["sensors"] = _checked_sensors(agent.sensors, base)
    if isinstance(agent, PolicyAgent) and agent.config and "config" not in arguments:
        fitting["config"] = agent.config
    if fitting and (attacker is not None or isinstance(evaluation.environment, str)):
        env.close()
        env = _make(evaluation.environment, {**arguments, **fitting})
    for wrapper in evaluation.wrappers:
        env = _wrapper(wrapper)(env)
    if isinstance(agent, PolicyAgent):
        return agent.fitted(env), agent
    space = env.observation_space
    missing = [s for s in agent.sensors if not isinstance(space, gym.spaces.Dict) or s not in space.spaces]
    if missing:
        raise ConfigurationError(
            f"Agent {evaluation.shown_name!r} needs the sensors {', '.join(missing)}, which the environment does not "
            f"show; it shows {space}. Make the environment with sensors={agent.sensors!r}."
        )
    return env, agent


def evaluation_key(evaluation: Evaluation, settings: Any) -> dict[str, Any]:
    """Return all that the results of an evaluation depend on, beside its agent's name and the episodes' numbers.

    Args:
        evaluation: The evaluation.
        settings: The rules of its task, resolved.
    """
    key: dict[str, Any] = {"task": evaluation.environment, "settings": repr(settings), "wrappers": evaluation.wrappers}
    arguments = evaluation.arguments
    files = {
        "weights": evaluation.agent,
        "list": arguments.get("episodes"),
        "attacker_weights": arguments.get("attacker"),
    }
    for name, path in files.items():
        file = Path(str(path)) / "best.safetensors" if Path(str(path)).is_dir() else Path(str(path))
        if file.is_file():  # a training may have gone on since, or a list have been written again
            key[name] = file.stat().st_mtime_ns
    return {**key, **arguments}


def check_list(evaluation: Evaluation, expected: str) -> None:
    """Draw or read all episodes of an evaluation, and check that they are the ones that are expected.

    Args:
        evaluation: The evaluation.
        expected: Their checksum, see `harken.tasks.checksum`.

    Raises:
        EpisodeError: They have another checksum.
    """
    env = _base(open_evaluation(evaluation)[0])
    found = checksum(env.episode(index * evaluation.every) for index in range(evaluation.episodes))
    env.close()
    if found != expected.lower():
        raise EpisodeError(
            f"The {evaluation.episodes} episodes have the checksum {found}; expected {expected!r:.40}. Are task, "
            "split, number, settings, sounds and the version of Harken those of the other evaluation?"
        )


def _make(environment: str | Callable[..., gym.Env], arguments: Mapping[str, Any]) -> gym.Env:
    if not isinstance(environment, str):
        return environment(**arguments)
    if environment in TASKS:
        return TaskEnv(environment, **arguments)
    if environment in gym.registry:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return gym.make(environment, disable_env_checker=True, **arguments)
    raise UnknownNameError("task or environment", environment, (*TASKS, *(entry.id for entry in TASKS.values())))


def _checked_sensors(sensors: Sequence[str], env: TaskEnv) -> tuple[str, ...]:
    """Return sensors once the environment's task has them all."""
    available = env.task.sensors
    for sensor in sensors:
        if sensor not in available:
            raise UnknownNameError("sensor that the agent needs", sensor, available)
    return tuple(sensors)


def _wrapper(wrapper: Wrapper) -> Callable[[gym.Env], gym.Env]:
    if not isinstance(wrapper, str):
        return wrapper
    module, _, kind = wrapper.partition(":")
    try:
        return getattr(importlib.import_module(module), kind)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(
            f"There is no wrapper {wrapper!r} ({error}); expected module:Class, such as "
            "harken.envs:StableBaselinesObservation."
        ) from error


def _base(env: gym.Env) -> TaskEnv:
    if not isinstance(env.unwrapped, TaskEnv):
        raise ConfigurationError(
            f"{env} is not an environment of Harken. Write your task as a harken.tasks.Task and play it in a TaskEnv."
        )
    return env.unwrapped


def _run_chunk(numbers: list[int]) -> list[EpisodeRecord]:
    assert _worker is not None
    evaluation, env, agent = _worker
    return [
        run_episode(
            env,
            agent,
            number,
            name=evaluation.shown_name,
            record=number < evaluation.recorded * evaluation.every,
            videos=evaluation.videos,
        )
        for number in numbers
    ]


def run_episode(
    env: gym.Env, agent: Agent, number: int, *, name: str, record: bool = False, videos: Path | None = None
) -> EpisodeRecord:
    """Run one episode of an environment's split.

    Args:
        env: A `TaskEnv`, with the sensors that the agent needs, or wrappers around one.
        agent: The agent.
        number: Number of the episode.
        name: Name of the agent in the result.
        record: Whether to keep pictures and sound.
        videos: Folder for a video, None for none.

    Returns:
        The record, with pictures and sound where `record` is set. Its measures are the task's, and the sum of rewards.
    """
    base = _base(env)
    observation, _ = env.reset(seed=number, options={"episode": number})
    agent.reset(number)
    recorder = Recorder(base, media=record, video=record and videos is not None)
    total, done = 0.0, False
    while not done:
        observation, reward, terminated, truncated, _ = env.step(agent.act(observation))
        total, done = total + float(reward), bool(terminated or truncated)
        recorder.keep(float(reward))
    task = base.task
    episode = task.episode
    assert episode is not None
    video = None
    if record and videos is not None:
        video = f"{name}-{number}.mp4"
        write_video(videos / video, recorder.views, 1.0 / task.step_time, recorder.audio, base.sound_rate)
    return EpisodeRecord(
        episode=episode.episode_id,
        index=number,
        agent=name,
        scene=base.simulator.name,
        sound=getattr(episode, "sound", ""),
        measures={**task.measures(), "reward": total},
        **recorder.series(),
        video=video,
        digest=episode_digest(episode),
    )
