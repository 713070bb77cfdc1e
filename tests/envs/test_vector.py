import os
import pickle
import signal
import threading
import traceback
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from harken.envs import StableBaselinesObservation, TaskEnv, ThreadVectorEnv, vector_env
from harken.errors import ActionError, ConfigurationError, HarkenError, StateError, UnknownNameError
from harken.registration import TASKS
from harken.sim.worlds import load_world

FAST = {"acoustics": {"rays": 200, "duration": 0.3}, "max_steps": 6}
SENSORS = ("depth", "spectrogram", "pose", "oracle")


def environment(**arguments):
    return TaskEnv(**{"split": "val", "config": FAST, "sensors": SENSORS, **arguments})


def said(result):
    """Return the bytes of what a vector environment says, dictionaries in a fixed order."""
    if isinstance(result, dict):
        return [(key, said(result[key])) for key in sorted(result)]
    if isinstance(result, (tuple, list)):
        return [said(value) for value in result]
    if isinstance(result, np.ndarray) and result.dtype != object:
        return (str(result.dtype), result.shape, result.tobytes())
    return [said(value) for value in result] if isinstance(result, np.ndarray) else result


def rollout(envs, steps=9, seed=3, stops=False):
    rng = np.random.default_rng(seed)
    heard = [said(envs.reset(seed=seed))]
    for _ in range(steps):
        # A few stop at once: their episodes end at different steps, and not only by the clock.
        actions = rng.integers(0 if stops else 1, 4, envs.num_envs)
        heard.append(said(envs.step(actions)))
    return heard


@pytest.fixture(scope="module")
def one_after_the_other():
    return rollout(SyncVectorEnv([environment] * 4), stops=True)


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_what_it_says_is_what_a_sync_vector_says_byte_for_byte(threads, one_after_the_other):
    envs = ThreadVectorEnv([environment] * 4, threads=threads)
    assert rollout(envs, stops=True) == one_after_the_other
    assert rollout(envs, stops=True) == one_after_the_other, "and again in environments that were used"
    envs.close()


def test_same_step_autoreset_is_that_of_a_sync_vector():
    vectors = [made([environment] * 3, autoreset_mode="SameStep") for made in (SyncVectorEnv, ThreadVectorEnv)]
    one, other = (rollout(envs, stops=True) for envs in vectors)
    assert one == other
    assert vectors[1].metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


def test_wrapped_environments_and_plain_boxes_work_too():
    def wrapped():
        return StableBaselinesObservation(environment(sensors=("depth", "spectrogram")))

    def flat():
        return gym.wrappers.FlattenObservation(environment(sensors=("pose", "collision")))

    for make in (wrapped, flat):
        assert rollout(ThreadVectorEnv([make] * 2), 3) == rollout(SyncVectorEnv([make] * 2), 3)


@pytest.mark.parametrize("name", [TASKS[name].id for name in ("audiogoal", "audiopointgoal", "pointgoal")])
def test_every_id_makes_a_vector_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        envs = gym.make_vec(
            name, num_envs=3, vectorization_mode="vector_entry_point", threads=2, split="val", config=FAST
        )
    assert isinstance(envs, ThreadVectorEnv) and envs.num_envs == 3 and envs.threads == 2
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    observations, _ = envs.reset(seed=0)
    assert observations in envs.observation_space
    observations, rewards, terminated, truncated, _ = envs.step(envs.action_space.sample())
    assert observations in envs.observation_space
    assert rewards.dtype == np.float64 and terminated.dtype == truncated.dtype == bool
    envs.close()


def test_environment_i_has_the_seed_plus_i():
    envs = ThreadVectorEnv([environment] * 3)
    observations, infos = envs.reset(seed=20)
    for number in range(3):
        alone, info = environment().reset(seed=20 + number)
        assert alone["depth"].tobytes() == observations["depth"][number].tobytes()
        assert info["distance_to_goal"] == infos["distance_to_goal"][number]
    again, _ = envs.reset(seed=[22, 20, 21])
    np.testing.assert_array_equal(again["depth"], observations["depth"][[2, 0, 1]])


def test_an_episode_that_ended_starts_anew_with_the_next_action():
    envs = ThreadVectorEnv([environment] * 2)
    envs.reset(seed=0)
    _, _, terminated, _, infos = envs.step(np.array([0, 1]))
    assert terminated.tolist() == [True, False] and infos["is_success"].tolist() == [False, False]
    _, rewards, terminated, _, infos = envs.step(np.array([0, 1]))
    assert rewards[0] == 0.0 and not terminated.any(), "the action after the end is ignored"
    assert infos["steps"].tolist() == [0.0, 2.0]


def test_disabled_autoreset_leaves_it_to_the_caller():
    envs = ThreadVectorEnv([environment] * 2, autoreset_mode=AutoresetMode.DISABLED)
    before, _ = envs.reset(seed=0)
    observations, _, terminated, truncated, _ = envs.step(np.array([0, 2]))
    with pytest.raises(StateError, match=r"environments \[0\] are over"):
        envs.step(np.array([1, 1]))
    options = {"reset_mask": terminated | truncated}
    after, infos = envs.reset(options=options)
    assert infos["_steps"].tolist() == [True, False] and list(options) == ["reset_mask"]
    assert after["depth"][1].tobytes() == observations["depth"][1].tobytes()
    assert after["depth"][0].tobytes() != before["depth"][0].tobytes()
    envs.step(np.array([1, 1]))


def test_observations_are_fresh_arrays():
    envs = ThreadVectorEnv([environment] * 2)
    first, _ = envs.reset(seed=0)
    kept = first["depth"].copy()
    second, *_ = envs.step(np.array([2, 2]))
    assert second["depth"] is not first["depth"]
    np.testing.assert_array_equal(first["depth"], kept)


def test_environments_in_one_scene_share_it_and_its_sounds():
    episodes = [environment().episode(number) for number in range(3)]
    assert len({episode.scene for episode in episodes}) == 1
    envs = vector_env(3, threads=3, split="val", config=FAST, episodes=episodes)
    envs.reset(seed=0)
    worlds = {id(env.simulator.world) for env in envs.envs}
    assert len(worlds) == 1 and len({id(env.task.sounds) for env in envs.envs}) == 1


def test_threads_that_ask_for_one_world_get_the_same():
    settings = environment(config={**FAST, "body": {"eye_height": 1.234, "ear_height": 1.234}}).settings.world
    found, start = [], threading.Barrier(4)

    def ask():
        start.wait()
        found.append(load_world("home:val:2", settings))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(world is found[0] for world in found)


def test_floors_that_threads_share_keep_their_distances(monkeypatch):
    monkeypatch.setattr(
        "harken.scene.floor.walkable._MOST_FIELDS", 2
    )  # so that every thread drops what others look for
    floor = load_world("home:val:0", environment().settings.world).floor
    rng = np.random.default_rng(0)
    goals, start = [floor.random_point(rng) for _ in range(8)], floor.random_point(rng)
    expected = [floor.distance_field(goal).distance(start) for goal in goals]
    found: dict[int, list[float]] = {}

    def ask(number):
        found[number] = [floor.distance_field(goal).distance(start) for goal in goals]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found[number] == expected for number in range(4))


def test_a_vector_survives_pickling_with_its_episodes():
    envs = ThreadVectorEnv([environment] * 2)
    envs.reset(seed=4)
    envs.step(np.array([1, 2]))
    copy = pickle.loads(pickle.dumps(envs))
    for actions in ([1, 1], [2, 1], [0, 3], [1, 1]):
        assert said(envs.step(np.array(actions))) == said(copy.step(np.array(actions)))


def test_an_error_tells_its_environment_and_asks_for_a_reset():
    envs = ThreadVectorEnv([environment] * 4, threads=2)
    envs.reset(seed=0)
    with pytest.raises(ActionError, match="does not exist") as caught:
        envs.step(np.array([1, 1, 7, 9]))
    assert "environment 2 of 4" in "".join(traceback.format_exception(caught.value))
    assert "[3] failed too" in "".join(traceback.format_exception(caught.value))
    with pytest.raises(StateError, match="failed in the last call"):
        envs.step(np.array([1, 1, 1, 1]))
    with pytest.raises(StateError, match="without a mask"):
        envs.reset(options={"reset_mask": np.array([True, False, False, False])})
    envs.reset(seed=0)
    envs.step(np.array([1, 1, 1, 1]))


def test_pictures_attributes_and_methods_come_as_tuples():
    envs = ThreadVectorEnv([lambda: environment(render_mode="rgb_array")] * 2)
    envs.reset(seed=0)
    frames = envs.render()
    assert isinstance(frames, tuple) and len(frames) == 2 and all(frame.dtype == np.uint8 for frame in frames)
    assert envs.render_mode == "rgb_array"
    assert envs.get_attr("split") == ("val", "val")
    assert [episode.episode_id for episode in envs.call("episode", 3)] == ["val-3", "val-3"]
    envs.set_attr("split", ["val", "test"])
    assert envs.get_attr("split") == ("val", "test")
    with pytest.raises(ConfigurationError, match="3 values"):
        envs.set_attr("split", ["val"] * 3)


def test_a_closed_vector_is_closed():
    before = set(threading.enumerate())
    envs = ThreadVectorEnv([environment] * 3, threads=3)
    envs.reset(seed=0)
    started = set(threading.enumerate()) - before
    assert 1 <= len(started) <= 2
    envs.close()
    envs.close()
    assert not any(thread.is_alive() for thread in started)
    for call in (envs.reset, envs.render, lambda: envs.step(np.array([1, 1, 1])), lambda: envs.get_attr("split")):
        with pytest.raises(StateError, match="closed"):
            call()
    with pytest.raises(StateError, match="closed"):
        envs.envs[0].reset()


def test_calls_with_too_few_or_many_values_are_refused_and_nothing_moves():
    envs = ThreadVectorEnv([environment] * 2)
    with pytest.raises(StateError, match="reset"):
        envs.step(np.array([1, 1]))
    with pytest.raises(ConfigurationError, match="3 seeds"):
        envs.reset(seed=[1, 2, 3])
    envs.reset(seed=0)
    for actions in (np.array([1, 1, 1]), np.array([1]), 1):
        with pytest.raises(ActionError, match="one for each of 2"):
            envs.step(actions)
    assert [env.task.steps for env in envs.envs] == [0, 0]
    for mask in ([True, False], np.array([1, 0]), np.array([False, False]), np.array([True])):
        with pytest.raises(ConfigurationError, match="reset_mask"):
            envs.reset(options={"reset_mask": mask})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_envs": 0}, ConfigurationError, "num_envs is 0"),
        ({"num_envs": 2.0}, ConfigurationError, "whole number"),
        ({"threads": 0}, ConfigurationError, "threads is 0"),
        ({"threads": True}, ConfigurationError, "threads is True"),
        ({"autoreset_mode": "nextstep"}, UnknownNameError, "Did you mean 'NextStep'"),
        ({"split": "tset"}, UnknownNameError, "Did you mean 'test'"),
    ],
)
def test_bad_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        vector_env(**arguments)
    assert isinstance(caught.value, HarkenError)


def test_environments_that_differ_are_refused():
    with pytest.raises(ConfigurationError, match="observation_space of environment 1"):
        ThreadVectorEnv([environment, lambda: environment(sensors=("depth",))])
    with pytest.raises(ConfigurationError, match="at least one"):
        ThreadVectorEnv([])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_steps_on_after_two_threads_have_stepped():
    envs = ThreadVectorEnv([environment] * 2, threads=2)
    envs.reset(seed=1)
    actions = np.full(2, 2)
    envs.step(actions)
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # ends a child that hangs
        said_there = said(envs.step(actions))
        os._exit(0 if said_there else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    envs.step(actions)
    envs.close()
