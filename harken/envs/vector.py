"""Many environments stepped at once by the threads of one process, which share scenes and sound fields."""

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space, create_empty_array, iterate

from harken.checks import checked_count
from harken.envs.env import TaskEnv
from harken.envs.threads import EnvThreads, checked_threads
from harken.errors import ActionError, ConfigurationError, StateError, UnknownNameError

__all__ = ["ThreadVectorEnv", "vector_env"]


class ThreadVectorEnv(VectorEnv[Any, Any, np.ndarray]):
    """Step environments of one process at the same time, each in one of a few threads.

    Rays, transforms and sound fields are computed without Python's lock, so threads run side by side where processes
    would each need a scene, fields and kernels of their own and copy every observation. What it returns is what
    `gymnasium.vector.SyncVectorEnv` returns for the same environments, byte for byte, whatever the number of threads.

    Seed ``s`` seeds environment ``i`` with ``s + i``. Observations are fresh arrays at every step. An error of one
    environment is raised with a note that gives its number, after the others have finished their step; the next call
    must then be `reset`.

    Args:
        env_fns: Make the environments; all need the same spaces, of arrays (`Box`, `Discrete`…), or `Dict` or `Tuple`
            of such.
        threads: How many threads step them, the calling one among them; the number of cores by default.
        autoreset_mode: When an environment whose episode ended is reset: "NextStep" (the next action is ignored),
            "SameStep" (``infos["final_obs"]`` and ``infos["final_info"]`` hold how it ended) or "Disabled".

    Raises:
        ConfigurationError: There is no environment, the number of threads is not positive, or spaces differ.
        UnknownNameError: There is no such mode.
    """

    def __init__(
        self,
        env_fns: Sequence[Callable[[], gym.Env]],
        *,
        threads: int | None = None,
        autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    ):
        # First, for older versions of Gymnasium close what is collected, even before it is wholly made.
        self.envs: list[gym.Env] = []
        if len(env_fns) == 0:
            raise ConfigurationError("No environments were given; expected at least one.")
        self._threads = EnvThreads(len(env_fns), threads)
        self.threads = self._threads.count
        self.autoreset_mode = _mode(autoreset_mode)
        self.envs = [make() for make in env_fns]
        self.num_envs = len(self.envs)
        first = self.envs[0]
        self.metadata = {**first.metadata, "autoreset_mode": self.autoreset_mode}
        self.render_mode = first.render_mode
        self.single_observation_space, self.single_action_space = first.observation_space, first.action_space
        for number, env in enumerate(self.envs):
            for name in ("observation_space", "action_space"):
                if getattr(env, name) != getattr(first, name):
                    raise ConfigurationError(
                        f"The {name} of environment {number} is {getattr(env, name)}, that of environment 0 "
                        f"{getattr(first, name)}; expected the same for all."
                    )
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._observations: list[Any] = [None] * self.num_envs
        self._ended = np.zeros(self.num_envs, bool)
        self._begun = False

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: Environment ``i`` gets ``seed + i``; or a seed for each.
            options: Given to every environment. ``"reset_mask"``, ``(num_envs,)`` bool, is taken out and chooses the
                environments that start a new episode.

        Raises:
            ConfigurationError: There are more or fewer seeds than environments, or the mask is not valid.
        """
        self._check_open()
        seeds = self._seeds(seed)
        own_options = dict(options) if options is not None else None
        mask = np.ones(self.num_envs, bool)
        if own_options is not None and "reset_mask" in own_options:
            mask = self._check_mask(own_options.pop("reset_mask"))
        batch = self._empty_batch()

        def start(number: int) -> dict[str, Any] | None:
            info = None
            if mask[number]:
                observation, info = self.envs[number].reset(seed=seeds[number], options=own_options)
                self._observations[number] = observation
            _store(batch, number, self._observations[number])
            return info

        self._begun = False
        infos: dict[str, Any] = {}
        for number, info in enumerate(self._threads.run(start)):
            if info is not None:
                infos = self._add_info(infos, info, number)
        self._ended[mask] = False
        self._begun = True
        return batch, infos

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take an action in every environment.

        Args:
            actions: One for each environment, as `action_space` says.

        Returns:
            Observations, rewards ``(num_envs,)`` float64, terminated and truncated ``(num_envs,)`` bool, and infos.

        Raises:
            ActionError: There are more or fewer actions than environments; nothing has moved.
            StateError: `reset` must come first.
        """
        self._check_open()
        if not self._begun:
            raise StateError(
                "No episode has begun, or an environment failed in the last call: call reset() before step()."
            )
        if self.autoreset_mode is AutoresetMode.DISABLED and self._ended.any():
            over = np.flatnonzero(self._ended).tolist()
            raise StateError(
                f"The episodes of environments {over} are over and autoreset is disabled: call "
                'reset(options={"reset_mask": terminated | truncated}) before step().'
            )
        each = self._each(actions)
        batch = self._empty_batch()
        rewards = np.zeros(self.num_envs, np.float64)
        terminated, truncated = np.zeros(self.num_envs, bool), np.zeros(self.num_envs, bool)

        def go_on(number: int) -> list[dict[str, Any]]:
            env, ended = self.envs[number], []
            if self.autoreset_mode is AutoresetMode.NEXT_STEP and self._ended[number]:
                observation, info = env.reset()
            else:
                observation, reward, terminated[number], truncated[number], info = env.step(each[number])
                rewards[number] = reward
                if self.autoreset_mode is AutoresetMode.SAME_STEP and (terminated[number] or truncated[number]):
                    ended.append({"final_obs": observation, "final_info": info})
                    observation, info = env.reset()
            self._observations[number] = observation
            _store(batch, number, observation)
            return [*ended, info]

        self._begun = False
        infos: dict[str, Any] = {}
        for number, infos_of_env in enumerate(self._threads.run(go_on)):
            for info in infos_of_env:
                infos = self._add_info(infos, info, number)
        self._ended = terminated | truncated
        self._begun = True
        return batch, rewards, terminated, truncated, infos

    def render(self) -> tuple[Any, ...]:
        """Return what each environment renders."""
        self._check_open()
        return tuple(self._threads.run(lambda number: self.envs[number].render()))

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Call a method of every environment, or get an attribute; one environment after the other."""
        self._check_open()
        attributes = [env.get_wrapper_attr(name) for env in self.envs]
        return tuple(value(*args, **kwargs) if callable(value) else value for value in attributes)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of every environment."""
        return self.call(name)

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute of every environment, to one value for all or, from a list or tuple, to one for each.

        Raises:
            ConfigurationError: There are more or fewer values than environments.
        """
        self._check_open()
        each = list(values) if isinstance(values, (list, tuple)) else [values] * self.num_envs
        if len(each) != self.num_envs:
            raise ConfigurationError(f"{len(each)} values of {name} were given for {self.num_envs} environments.")
        for env, value in zip(self.envs, each, strict=True):
            env.set_wrapper_attr(name, value)

    def close_extras(self, **kwargs: Any) -> None:
        """Close every environment and end the threads; called by `close`."""
        self._threads.close()
        for env in self.envs:
            env.close()

    def _empty_batch(self) -> Any:
        return create_empty_array(self.single_observation_space, n=self.num_envs, fn=np.zeros)

    def _each(self, actions: Any) -> list[Any]:
        try:
            each = list(iterate(self.action_space, actions))
        except TypeError as error:
            raise ActionError(f"Actions are {actions!r}; expected one for each of {self.num_envs}.") from error
        if len(each) != self.num_envs:
            raise ActionError(f"{len(each)} actions were given; expected one for each of {self.num_envs}.")
        return each

    def _seeds(self, seed: int | Sequence[int | None] | None) -> list[int | None]:
        if seed is None:
            return [None] * self.num_envs
        if isinstance(seed, (int, np.integer)):
            return [int(seed) + number for number in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ConfigurationError(
                f"{len(seed)} seeds were given; expected one whole number or {self.num_envs}, one for each environment."
            )
        return list(seed)

    def _check_mask(self, mask: Any) -> np.ndarray:
        if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.shape != (self.num_envs,) or not mask.any():
            raise ConfigurationError(
                f"reset_mask is {mask!r}; expected a bool array of shape ({self.num_envs},) with at least one True."
            )
        if not self._begun and not mask.all():
            raise StateError(
                "No episode has begun, or an environment failed in the last call: call reset() without a mask."
            )
        return mask

    def _check_open(self) -> None:
        if self.closed:
            raise StateError("The environments are closed: make new ones with gym.make_vec().")


def vector_env(
    num_envs: int = 1,
    *,
    threads: int | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    **arguments: Any,
) -> ThreadVectorEnv:
    """Return environments of one task that the threads of this process step; `gymnasium.make_vec` calls this.

    Environments in the same scene share it, with its floor, pictures and sound fields, and all share their recordings.
    A function that was given as an argument, such as a separator, is called from several threads.

    Args:
        num_envs: How many.
        threads: As for `ThreadVectorEnv`.
        autoreset_mode: As for `ThreadVectorEnv`.
        arguments: Those of `TaskEnv`, the same for all.

    Raises:
        ConfigurationError: A number is not positive, or an argument of the environments is impossible.
    """
    count = checked_count("num_envs", num_envs)
    checked_threads(threads)
    first = TaskEnv(**arguments)
    envs = [first, *(first.another() for _ in range(count - 1))]
    return ThreadVectorEnv([lambda env=env: env for env in envs], threads=threads, autoreset_mode=autoreset_mode)


def _store(batch: Any, number: int, observation: Any) -> None:
    """Copy one environment's observation into its place in the batch."""
    if isinstance(batch, dict):
        for key, part in batch.items():
            _store(part, number, observation[key])
    elif isinstance(batch, tuple):
        for part, value in zip(batch, observation, strict=True):
            _store(part, number, value)
    else:
        batch[number] = observation


def _mode(mode: str | AutoresetMode) -> AutoresetMode:
    if isinstance(mode, AutoresetMode):
        return mode
    names = [mode.value for mode in AutoresetMode]
    if mode not in names:
        raise UnknownNameError("autoreset mode", mode, names)
    return AutoresetMode(mode)
