"""Run agents over episodes, in parallel, and keep what a report needs."""

import itertools
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.agents import Agent, make_agent
from harken.envs import NavigationEnv, write_video
from harken.errors import ConfigurationError
from harken.eval.records import EpisodeRecord
from harken.tasks import Action
from harken.vision import draw_plan

__all__ = ["Evaluation", "evaluate", "run_episode"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is run: an agent in an environment over the first episodes of a split."""

    agent: str
    """Name of the agent, one of `harken.agents.AGENTS`."""
    environment: dict[str, Any]
    """Arguments of `harken.envs.NavigationEnv`, its sensors left out."""
    episodes: int = 100
    """Number of episodes."""
    every: int = 1
    """Takes every so-manieth episode of the split: those of one home follow each other."""
    recorded: int = 3
    """How many of them, from the first, are kept with pictures and sound."""
    workers: int = 1
    """Processes."""
    videos: Path | None = None
    """Folder for videos of the recorded episodes, None for none."""

    def __post_init__(self) -> None:
        """Check the counts."""
        for name, least in (("episodes", 1), ("every", 1), ("recorded", 0), ("workers", 1)):
            if getattr(self, name) < least:
                raise ConfigurationError(f"{name} is {getattr(self, name)}; expected at least {least}.")


def evaluate(evaluation: Evaluation, *, progress: bool = True) -> list[EpisodeRecord]:
    """Run an evaluation.

    Every episode and every agent's draws depend on the episode's number only, so the result is the same with any
    number of workers.

    Args:
        evaluation: What to run.
        progress: Whether to show a progress bar.

    Returns:
        One record per episode, in order; the recorded ones with pictures and sound.
    """
    from tqdm import tqdm

    from harken.envs.drawing import EPISODES_PER_HOME

    # Made here first, so that a wrong name or file is reported once, before any process starts.
    make_agent(evaluation.agent, NavigationEnv(**evaluation.environment).settings)
    numbers = [index * evaluation.every for index in range(evaluation.episodes)]
    chunks = [list(home) for _, home in itertools.groupby(numbers, lambda number: number // EPISODES_PER_HOME)]
    results: list[EpisodeRecord] = []
    with tqdm(total=len(numbers), unit="episode", desc=evaluation.agent, disable=not progress) as bar:
        for done in _run_chunks(evaluation, chunks):
            results.extend(done)
            bar.update(len(done))
    return sorted(results, key=lambda result: result.index)


def _run_chunks(evaluation: Evaluation, chunks: list[list[int]]) -> Iterator[list[EpisodeRecord]]:
    if evaluation.workers == 1 or len(chunks) == 1:
        _start_worker(evaluation)
        yield from map(_run_chunk, chunks)
        return
    context = multiprocessing.get_context("spawn")
    workers = min(evaluation.workers, len(chunks))
    with context.Pool(workers, initializer=_start_worker, initargs=(evaluation,)) as pool:
        yield from pool.imap_unordered(_run_chunk, chunks)


_worker: tuple[Evaluation, NavigationEnv, Agent] | None = None


def _start_worker(evaluation: Evaluation) -> None:
    """Make the environment and the agent of this process."""
    global _worker
    probe = NavigationEnv(**evaluation.environment)
    agent = make_agent(evaluation.agent, probe.settings)
    _worker = evaluation, NavigationEnv(**evaluation.environment, sensors=agent.sensors), agent


def _run_chunk(numbers: list[int]) -> list[EpisodeRecord]:
    assert _worker is not None
    evaluation, env, agent = _worker
    return [
        run_episode(
            env,
            agent,
            number,
            name=evaluation.agent,
            record=number < evaluation.recorded * evaluation.every,
            videos=evaluation.videos,
        )
        for number in numbers
    ]


def run_episode(
    env: NavigationEnv, agent: Agent, number: int, *, name: str, record: bool = False, videos: Path | None = None
) -> EpisodeRecord:
    """Run one episode of an environment's split.

    Args:
        env: The environment, with the sensors that the agent needs.
        agent: The agent.
        number: Number of the episode.
        name: Name of the agent in the result.
        record: Whether to keep pictures and sound.
        videos: Folder for a video, None for none.

    Returns:
        The record, with pictures and sound where `record` is set.
    """
    observation, _ = env.reset(seed=number, options={"episode": number})
    agent.reset(number)
    recorder = _Recorder(env, media=record, video=record and videos is not None)
    total, done = 0.0, False
    while not done:
        action = int(agent.act(observation))
        observation, reward, terminated, truncated, _ = env.step(np.int64(action))
        total, done = total + reward, terminated or truncated
        recorder.keep(action, reward)
    task = env.task
    assert task.episode is not None
    row: dict[str, Any] = {
        "episode": task.episode.episode_id,
        "index": number,
        "agent": name,
        "scene": env.simulator.world.scene.name,
        "sound": task.episode.sound,
        "measures": {**task.measures(), "reward": total},
    }
    video = None
    if record and videos is not None:
        video = f"{name}-{number}.mp4"
        write_video(videos / video, recorder.views, 1.0 / env.settings.step_time, recorder.audio, recorder.rate)
    return EpisodeRecord(**row, **recorder.series(), video=video)


class _Recorder:
    """Keeps the steps of an episode, and what it looked and sounded like."""

    def __init__(self, env: NavigationEnv, *, media: bool, video: bool):
        self.env, self.media, self.video = env, media, video
        self.rate = env.settings.acoustics.rate
        self.views: list[np.ndarray] = []
        self._sound: list[np.ndarray] = []
        self._actions: list[int] = []
        self._rewards: list[float] = []
        self._frames: list[dict[str, np.ndarray]] = []
        self._states: list[tuple[np.ndarray, float, np.ndarray, float]] = []
        self._sense()

    def keep(self, action: int, reward: float) -> None:
        """Keep a step."""
        self._actions.append(action)
        self._rewards.append(reward)
        self._sense()

    def _sense(self) -> None:
        env = self.env
        simulator = env.simulator
        self._states.append((simulator.position.copy(), simulator.heading, env.loudness, env.task.distance))
        if not self.media:
            return
        self._frames.append(simulator.see(("rgb", "depth")))
        if env.waveform is not None:
            self._sound.append(env.waveform)
        if self.video:
            frame = env.render()
            assert frame is not None
            self.views.append(frame)

    @property
    def audio(self) -> np.ndarray | None:
        """``(2, n)`` what was heard."""
        return np.concatenate(self._sound, axis=1) if self._sound else None

    def series(self) -> dict[str, Any]:
        """Return the fields of an `EpisodeRecord` that belong to its steps."""
        env, task = self.env, self.env.task
        positions = np.array([state[0] for state in self._states])
        return {
            "positions": positions,
            "headings": np.array([state[1] for state in self._states]),
            "actions": np.array(self._actions, np.int64),
            "rewards": np.array(self._rewards),
            "loudness": np.array([state[2] for state in self._states]),
            "distances": np.array([state[3] for state in self._states]),
            "goal": task.goal,
            "start_distance": task.start_distance,
            "action_names": tuple(action.name.lower().replace("_", " ") for action in Action),
            "step_time": env.settings.step_time,
            **(self._media(positions) if self.media else {}),
        }

    def _media(self, positions: np.ndarray) -> dict[str, Any]:
        env, task = self.env, self.env.task
        assert task.episode is not None
        world = env.simulator.world
        plan = draw_plan(world.scene, width=720, floor=float(positions[0, 1]))
        way = world.floor.shortest_path(np.array(task.episode.start_position), task.goal).points
        return {
            "plan_image": plan.image,
            "plan_path": plan.to_pixels(positions),
            "plan_goal": plan.to_pixels(task.goal[None])[0],
            "plan_oracle": plan.to_pixels(way),
            "frames": [frame["rgb"] for frame in self._frames],
            "depth": [frame["depth"] for frame in self._frames],
            "audio": self.audio,
            "audio_rate": self.rate,
        }
