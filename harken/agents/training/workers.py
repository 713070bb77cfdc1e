"""Environments in a few processes, several in each: threads of one process wait for each other's Python."""

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env.base_vec_env import (
    CloudpickleWrapper,
    VecEnv,
    VecEnvIndices,
    VecEnvObs,
    VecEnvStepReturn,
)

from harken.agents.training.environments import ThreadVecEnv
from harken.envs.threads import checked_threads
from harken.errors import ConfigurationError, StateError
from harken.processes import ending

__all__ = ["ProcessVecEnv"]

PATIENCE = 5.0
"""How long a worker may take to end [s]."""


class ProcessVecEnv(VecEnv):
    """Step environments in a few worker processes, each of which holds a share and its own homes and sound fields.

    It returns what `stable_baselines3.common.vec_env.DummyVecEnv` returns, byte for byte, whatever the number of
    workers. Stable-Baselines3's ``SubprocVecEnv`` has a process, with homes and sound fields of its own, for each
    environment. Workers are started afresh, so a script needs ``if __name__ == "__main__":``.

    Args:
        env_fns: Make the environments.
        processes: How many workers; the number of cores by default, and never more than environments.

    Attributes:
        workers: How many processes there are.
        seconds: How long stepping has taken altogether [s].

    Raises:
        ConfigurationError: There is no environment, or the number of processes is not positive.
        StateError: A worker ended, or an environment failed; the message has the worker's traceback.
    """

    def __init__(self, env_fns: Sequence[Callable[[], gym.Env]], *, processes: int | None = None):
        if not env_fns:
            raise ConfigurationError("No environments were given; expected at least one.")
        count = min(checked_threads(processes), len(env_fns))
        self._shares = [share.tolist() for share in np.array_split(np.arange(len(env_fns)), count)]
        self._closed, self.workers, self.seconds, self._begun = False, count, 0.0, 0.0
        self._asked: set[int] = set(range(count))  # workers that owe an answer
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Connection] = []
        self._workers: list[Any] = []
        for share in self._shares:
            ours, theirs = context.Pipe()
            functions = CloudpickleWrapper([env_fns[number] for number in share])
            worker = context.Process(target=_work, args=(theirs, functions), daemon=True)
            worker.start()
            theirs.close()
            self._pipes.append(ours)
            self._workers.append(worker)
        spaces = [self._receive(number) for number in range(count)]
        super().__init__(len(env_fns), *spaces[0])

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""
        for number, share in enumerate(self._shares):
            seeds, options = [self._seeds[i] for i in share], [self._options[i] for i in share]
            self._send(number, "_reset", seeds, options)
        found = [self._receive(number) for number in range(len(self._shares))]
        self.reset_infos = [info for _, infos in found for info in infos]
        self._reset_seeds()
        self._reset_options()
        return _joined([observation for observation, _ in found])

    def step_async(self, actions: np.ndarray) -> None:
        """Begin a step in every environment."""
        self._begun = time.perf_counter()
        for number, share in enumerate(self._shares):
            self._send(number, "_step", np.asarray(actions)[share])

    def step_wait(self) -> VecEnvStepReturn:
        """Return what followed."""
        found = [self._receive(number) for number in range(len(self._shares))]
        self.seconds += time.perf_counter() - self._begun
        self.reset_infos = [info for *_, infos in found for info in infos]
        observations, rewards, dones, infos, _ = zip(*found, strict=True)
        return (
            _joined(observations),
            np.concatenate(rewards),
            np.concatenate(dones),
            [i for part in infos for i in part],
        )

    def close(self) -> None:
        """End the workers."""
        if self._closed:
            return
        self._closed = True
        for number, worker in enumerate(self._workers):
            try:
                if number in self._asked:
                    self._pipes[number].recv()
                self._pipes[number].send(None)
            except (EOFError, OSError):
                pass  # it has ended already
            worker.join(PATIENCE)
            if worker.is_alive():
                worker.kill()
            self._pipes[number].close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute of environments."""
        return self._ask("get_attr", indices, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of environments."""
        self._ask("set_attr", indices, attr_name, value)

    def env_method(self, method_name: str, *arguments: Any, indices: VecEnvIndices = None, **named: Any) -> list[Any]:
        """Call a method of environments."""
        return self._ask("env_method", indices, method_name, *arguments, **named)

    def env_is_wrapped(self, wrapper_class: type[gym.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return whether environments are wrapped in a class."""
        return self._ask("env_is_wrapped", indices, wrapper_class)

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Return the pictures of all environments."""
        return self._ask("env_method", None, "render")

    def _ask(self, method: str, indices: VecEnvIndices, *arguments: Any, **named: Any) -> list[Any]:
        """Call a method of the workers' own vector environments for some environments, in the order of these."""
        wanted = list(self._get_indices(indices))
        local = [[share.index(i) for i in wanted if i in share] for share in self._shares]
        asked = [number for number, own in enumerate(local) if own]
        for number in asked:
            self._send(number, method, *arguments, indices=local[number], **named)
        answers: dict[int, Any] = {}
        for number in asked:
            found = self._receive(number)
            if found is not None:
                answers.update(zip((self._shares[number][i] for i in local[number]), found, strict=True))
        return [answers.get(i) for i in wanted]

    def _send(self, number: int, method: str, *arguments: Any, **named: Any) -> None:
        try:
            self._pipes[number].send((method, arguments, named))
        except OSError:
            raise self._ended(number) from None
        self._asked.add(number)

    def _receive(self, number: int) -> Any:
        self._asked.discard(number)
        try:
            succeeded, answer = self._pipes[number].recv()
        except (EOFError, OSError):
            raise self._ended(number) from None
        if not succeeded:
            raise StateError(f"{self._named(number)} failed:\n{answer}")
        return answer

    def _ended(self, number: int) -> StateError:
        worker = self._workers[number]
        worker.join(PATIENCE)
        return StateError(
            f"{self._named(number)} {ending(worker.exitcode)}. If memory ran out (SIGKILL), use fewer environments or "
            'workers; a script needs `if __name__ == "__main__":` around what starts workers.'
        )

    def _named(self, number: int) -> str:
        share = self._shares[number]
        return f"Worker {number + 1} of {len(self._shares)} with the environments {share[0]} to {share[-1]}"


def _joined(observations: Sequence[Any]) -> Any:
    """Return the observations of all shares one after the other."""
    first = observations[0]
    if isinstance(first, dict):
        return {name: np.concatenate([part[name] for part in observations]) for name in first}
    return np.concatenate(observations)


class _Share(ThreadVecEnv):
    """The environments of one worker."""

    def _reset(self, seeds: list[Any], options: list[Any]) -> tuple[Any, list[dict[str, Any]]]:
        self._seeds, self._options = seeds, options
        return self.reset(), self.reset_infos

    def _step(self, actions: np.ndarray) -> tuple[Any, ...]:
        return *self.step(actions), self.reset_infos


def _work(pipe: Connection, functions: CloudpickleWrapper) -> None:
    """Answer what is asked until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process is interrupted, and closes the pipe
    try:
        envs = _Share(functions.var, threads=1)
        pipe.send((True, (envs.observation_space, envs.action_space)))
        while (question := pipe.recv()) is not None:
            method, arguments, named = question
            pipe.send((True, getattr(envs, method)(*arguments, **named)))
        envs.close()
    except (EOFError, BrokenPipeError):
        return
    except Exception:
        pipe.send((False, traceback.format_exc()))
