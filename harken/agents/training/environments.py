"""Environments in the form in which Stable-Baselines3 trains."""

import time
from collections.abc import Callable, Sequence
from copy import deepcopy

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from harken.envs.threads import EnvThreads
from harken.errors import ConfigurationError

__all__ = ["ThreadVecEnv"]


class ThreadVecEnv(DummyVecEnv):
    """Step environments of one process in a few threads, which share homes and sound fields.

    It returns what `stable_baselines3.common.vec_env.DummyVecEnv` returns, byte for byte, whatever the number of
    threads. An error of one environment is raised with a note that gives its number.

    Args:
        env_fns: Make the environments.
        threads: How many threads step them, the calling one among them; the number of cores by default.

    Attributes:
        workers: How many processes there are: one.
        seconds: How long stepping has taken altogether [s].

    Raises:
        ConfigurationError: There is no environment, or the number of threads is not positive.
    """

    def __init__(self, env_fns: Sequence[Callable[[], gym.Env]], *, threads: int | None = None):
        if not env_fns:
            raise ConfigurationError("No environments were given; expected at least one.")
        self._threads = EnvThreads(len(env_fns), threads)
        self.workers, self.seconds = 1, 0.0
        super().__init__(list(env_fns))

    def reset(self) -> VecEnvObs:
        """Start an episode in every environment."""

        def start(number: int) -> None:
            options = {"options": self._options[number]} if self._options[number] else {}
            observation, self.reset_infos[number] = self.envs[number].reset(seed=self._seeds[number], **options)
            self._save_obs(number, observation)

        self._threads.run(start)
        self._reset_seeds()
        self._reset_options()
        return self._obs_from_buf()

    def step_wait(self) -> VecEnvStepReturn:
        """Take the actions that were given, and start a new episode where one ended."""

        def go_on(number: int) -> None:
            env = self.envs[number]
            observation, self.buf_rews[number], terminated, truncated, info = env.step(self.actions[number])
            self.buf_dones[number] = terminated or truncated
            info["TimeLimit.truncated"] = truncated and not terminated
            if self.buf_dones[number]:
                info["terminal_observation"] = observation
                observation, self.reset_infos[number] = env.reset()
            self.buf_infos[number] = info
            self._save_obs(number, observation)

        begin = time.perf_counter()
        self._threads.run(go_on)
        self.seconds += time.perf_counter() - begin
        return self._obs_from_buf(), np.copy(self.buf_rews), np.copy(self.buf_dones), deepcopy(self.buf_infos)

    def close(self) -> None:
        """Close every environment and end the threads."""
        self._threads.close()
        super().close()
