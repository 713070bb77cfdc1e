"""Every environment of the family of audio-visual navigation behaves as Gymnasium and its users expect."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from harken.envs import StableBaselinesObservation, TaskEnv, ThreadVectorEnv

QUICK = {"acoustics": {"rays": 200, "duration": 0.3}}
FAMILY = [
    ("dynamic-audiogoal", "harken/DynamicAudioGoal-v0", "dav-nav", QUICK),
    ("dynamic-audiogoal", "harken/DynamicAudioGoal-v0", "dav-nav-continuous", QUICK),
    ("echo-explore", "harken/EchoExplore-v0", "echo-explore", {"echo": {"rays": 20}}),
    ("adversarial-audiogoal", "harken/AdversarialAudioGoal-v0", "saavn", QUICK),
    ("adversarial-audiogoal", "harken/AdversarialAudioGoal-v0", "saavn-continuous", QUICK),
    ("multi-goal", "harken/MultiGoalAudioNav-v0", "multi-goal", QUICK),
    ("quietnav", "harken/QuietNav-v0", "quietnav", QUICK),
]
FLOAT_IMAGE = r"It seems that your observation|The minimal resolution for an image is 36x36"


def walk(env, seed, steps=20):
    """Return the bytes of everything an environment says in some steps."""
    said, rng = [], np.random.default_rng(seed)
    said.append(pickle.dumps(env.reset(seed=seed)))
    for _ in range(steps):
        *outcome, info = env.step(np.int64(rng.integers(1, int(env.action_space.n))))
        said.append(pickle.dumps((outcome, info)))
        if outcome[2] or outcome[3]:
            said.append(pickle.dumps(env.reset()))
    return said


@pytest.mark.parametrize(("task", "name", "preset", "quick"), FAMILY)
def test_every_environment_passes_both_checkers_without_a_warning(task, name, preset, quick):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(gym.make(name, preset=preset, split="val", config=quick).unwrapped, skip_render_check=True)
        checker.check_env(StableBaselinesObservation(gym.make(name, preset=preset, split="val", config=quick)))
        warnings.filterwarnings("ignore", FLOAT_IMAGE)
        checker.check_env(gym.make(name, preset=preset, split="val", config=quick).unwrapped)


@pytest.mark.parametrize(("task", "name", "preset", "quick"), FAMILY)
def test_two_runs_of_a_seed_are_equal_byte_for_byte(task, name, preset, quick):
    one, other = (TaskEnv(task, preset=preset, split="val", config=quick) for _ in range(2))
    assert walk(one, 5) == walk(other, 5)
    assert walk(one, 5) == walk(other, 5), "and again in environments that were used"
    assert walk(one, 5) != walk(other, 6)


@pytest.mark.parametrize(("task", "name", "preset", "quick"), FAMILY)
def test_an_environment_survives_pickling_with_its_episode(task, name, preset, quick):
    env = TaskEnv(task, preset=preset, split="val", config=quick)
    env.reset(seed=3)
    env.step(np.int64(1))
    copy = pickle.loads(pickle.dumps(env))
    for action in (1, 2, 1, 2, 1):
        one, other = env.step(np.int64(action)), copy.step(np.int64(action))
        assert pickle.dumps(one) == pickle.dumps(other)


@pytest.mark.parametrize(("task", "name", "preset", "quick"), FAMILY)
def test_environments_in_threads_are_those_of_one_thread(task, name, preset, quick):
    arguments = {"preset": preset, "split": "val", "config": quick}
    said = []
    for threads in (1, 2):
        envs = ThreadVectorEnv([lambda: TaskEnv(task, **arguments)] * 2, threads=threads)
        observation, _ = envs.reset(seed=1)
        said.append([{key: value.tobytes() for key, value in observation.items()}])
        for action in (1, 2, 1, 1):
            observation, rewards, *_ = envs.step(np.full(2, action))
            shown = {key: value.tobytes() for key, value in observation.items()}
            said[-1].append(shown | {"rewards": rewards.tobytes()})
        envs.close()
    assert said[0] == said[1]


@pytest.mark.parametrize(("task", "name", "preset", "quick"), FAMILY)
def test_the_oracle_succeeds_in_every_environment(task, name, preset, quick):
    env = TaskEnv(task, preset=preset, split="test", sensors=("oracle",), config=quick)
    for episode in range(3):
        observation, _ = env.reset(options={"episode": episode})
        ended = False
        while not ended:
            observation, _, terminated, truncated, info = env.step(observation["oracle"])
            ended = terminated or truncated
        assert info["success"] == 1.0 and info["is_success"]
