"""Episodes that a thread prepares are those that would have come without it."""

import pickle

import numpy as np
import pytest

from harken.envs import TaskEnv
from harken.errors import EpisodeError

FAST = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 32, "height": 32}}}


def told(env, seed):
    """Return the bytes of two dozen steps over seven episodes in two homes."""
    rng, bytes_told = np.random.default_rng(seed), [pickle.dumps(env.reset(seed=seed))]
    for _ in range(7):
        for _ in range(3):
            bytes_told.append(pickle.dumps(env.step(np.int64(rng.integers(1, 4)))))
        bytes_told.append(pickle.dumps(env.reset()))
    return bytes_told


def test_what_is_prepared_ahead_is_the_same_byte_for_byte():
    plain = TaskEnv("audiogoal", split="val", config=FAST)
    ahead = TaskEnv("audiogoal", split="val", config=FAST, prepare_ahead=True)
    assert told(plain, 5) == told(ahead, 5)
    for env in (plain, ahead):
        env.reset(options={"episode": 3})  # one that nobody prepared, and then on in the sequence
    assert pickle.dumps(plain.reset()) == pickle.dumps(ahead.reset())
    copy = pickle.loads(pickle.dumps(ahead))
    assert pickle.dumps(copy.reset()) == pickle.dumps(plain.reset()) == pickle.dumps(ahead.reset())
    ahead.close()
    copy.close()


def test_an_episode_that_cannot_be_prepared_fails_where_it_is_asked_for():
    env = TaskEnv("pointgoal", split="val", config={**FAST, "least_distance": 8.0}, prepare_ahead=True)
    failures = 0
    for _ in range(12):
        try:
            env.reset()
        except EpisodeError:
            failures += 1
    env.close()
    assert failures < 12
    too_far = TaskEnv("pointgoal", split="val", config={**FAST, "least_distance": 900.0}, prepare_ahead=True)
    for _ in range(2):
        with pytest.raises(EpisodeError, match="lower least_distance"):
            too_far.reset()
    too_far.close()
