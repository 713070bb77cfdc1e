"""Environments in worker processes: the same as in one, and clear errors where a worker fails."""

import functools
import os
import signal

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="needs harken[train]")

from harken.agents.training.resuming import Resumable
from harken.agents.training.workers import ProcessVecEnv
from harken.envs import TaskEnv
from harken.errors import ConfigurationError, StateError

CONFIG = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 16, "height": 16}}}


def an_env():
    """Return a function that makes an environment, as workers can import it."""
    return functools.partial(TaskEnv, "audiogoal", config=CONFIG)


def test_workers_step_environments_as_one_process_does():
    from stable_baselines3.common.vec_env import DummyVecEnv

    kinds = ProcessVecEnv([an_env()] * 3, processes=2), DummyVecEnv([an_env()] * 3)
    assert kinds[0].observation_space == kinds[1].observation_space and kinds[0].num_envs == 3
    seen = []
    for envs in kinds:
        envs.seed(7)
        steps = [envs.reset()]
        rng = np.random.default_rng(0)
        for _ in range(10):
            observation, rewards, dones, infos = envs.step(rng.integers(4, size=3))
            truncated = np.array([info["TimeLimit.truncated"] for info in infos])
            steps += [observation, {"rewards": rewards, "dones": dones, "truncated": truncated}]
            ended = [info.get("terminal_observation") is not None for info in infos]
            assert ended == dones.tolist()
        places = envs.get_attr("place"), envs.get_attr("place", indices=[2, 0])
        assert places[1] == [places[0][2], places[0][0]]
        seen.append((steps, places))
        envs.close()
    for one, other in zip(seen[0][0], seen[1][0], strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one)
    assert seen[0][1] == seen[1][1]


def test_environments_of_workers_are_asked_by_their_numbers():
    envs = ProcessVecEnv([lambda: Resumable(TaskEnv("audiogoal", config=CONFIG))] * 3, processes=2)
    envs.seed(1)
    envs.reset()
    envs.step(np.array([1, 2, 3]))
    assert [snapshot["actions"] for snapshot in envs.env_method("snapshot")] == [[1], [2], [3]]
    assert envs.env_method("snapshot", indices=1)[0]["actions"] == [2]
    assert envs.env_is_wrapped(Resumable) == [True] * 3
    envs.close()


def test_an_environment_that_fails_is_named_with_its_traceback():
    def broken():
        env = TaskEnv("audiogoal", config=CONFIG)
        env.step = lambda action: 1 / 0
        return env

    envs = ProcessVecEnv([an_env(), an_env(), broken], processes=2)
    envs.reset()
    with pytest.raises(StateError, match=r"(?s)Worker 2 of 2 with the environments 2 to 2 failed.*ZeroDivisionError"):
        envs.step(np.ones(3, np.int64))
    envs.close()


def test_a_worker_that_is_killed_is_named():
    envs = ProcessVecEnv([an_env()] * 2, processes=2)
    envs.reset()
    os.kill(envs._workers[0].pid, signal.SIGKILL)
    envs._workers[0].join(10)
    with pytest.raises(StateError, match=r"Worker 1 of 2 .* was killed \(SIGKILL\)"):
        envs.step(np.ones(2, np.int64))
    envs.close()


def test_an_environment_that_cannot_be_made_says_why():
    with pytest.raises(StateError, match=r"(?s)Worker 1 of 1.*Did you mean 'audiogoal'"):
        ProcessVecEnv([functools.partial(TaskEnv, "audiogaol")])
    with pytest.raises(ConfigurationError, match="at least one"):
        ProcessVecEnv([])
