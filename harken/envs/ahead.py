"""The next episode prepared by a thread while the current one runs: its home, its sound field, what will be seen."""

import copy
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from harken.errors import HarkenError
from harken.sim import SimulatorProtocol
from harken.tasks.protocol import Task

__all__ = ["EpisodeAhead"]


class EpisodeAhead:
    """Draws and prepares one episode on a thread of its own.

    The result is the same as without preparing ahead, byte for byte: a draw depends on the generator that it is
    given and nothing else. An episode that fails is drawn again when it is needed, and fails there.

    Args:
        enter: Lets a task continue in a scene.
        channels: Images that will be seen.
    """

    def __init__(self, enter: Callable[[Task[Any], str], None], channels: Sequence[str]):
        self._enter, self._channels = enter, tuple(channels)
        self._threads: ThreadPoolExecutor | None = None
        self._owner = 0
        self._coming: tuple[str, str, Future[tuple[Any, SimulatorProtocol]]] | None = None

    def start(self, task: Task[Any], rng: np.random.Generator, scene: str, name: str) -> None:
        """Begin with an episode.

        Args:
            task: The task; a copy of it draws.
            rng: Generator of every random draw.
            scene: Name of the scene.
            name: Name of the episode.
        """
        if self._threads is None or self._owner != os.getpid():  # threads stay behind when a process forks
            self._threads, self._owner = ThreadPoolExecutor(1, thread_name_prefix="harken-ahead"), os.getpid()
        self._coming = scene, name, self._threads.submit(self._prepare, copy.copy(task), rng, scene, name)

    def _prepare(
        self, task: Task[Any], rng: np.random.Generator, scene: str, name: str
    ) -> tuple[Any, SimulatorProtocol]:
        self._enter(task, scene)
        episode = task.sample(rng, episode_id=name, scene=scene)
        task.simulator.prepare(task.sources(episode), self._channels)
        return episode, task.simulator

    def take(self, scene: str, name: str) -> tuple[Any, SimulatorProtocol] | None:
        """Return an episode and the simulator in its scene if they were begun with, waiting for them; else None."""
        coming, self._coming = self._coming, None
        if coming is None:
            return None
        if coming[:2] != (scene, name) or self._owner != os.getpid():
            coming[2].cancel()
            return None
        try:
            return coming[2].result()
        except HarkenError:
            return None

    def close(self) -> None:
        """End the thread once its current work is finished."""
        if self._threads is not None and self._owner == os.getpid():
            self._threads.shutdown(wait=True, cancel_futures=True)
        self._threads = self._coming = None

    def __getstate__(self) -> dict[str, Any]:
        """Drop the thread when pickled."""
        return {**self.__dict__, "_threads": None, "_coming": None}
