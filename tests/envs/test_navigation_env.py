import dataclasses
import importlib.util
import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import harken
from harken.envs import StableBaselinesObservation, TaskEnv
from harken.errors import (
    ActionError,
    ConfigurationError,
    EpisodeError,
    HarkenError,
    HarkenWarning,
    SceneError,
    StateError,
    UnknownNameError,
)
from harken.registration import TASKS
from harken.tasks import Episode, write_episodes

FAST = {"acoustics": {"rays": 300, "duration": 0.5}}
ENVIRONMENTS = [TASKS[name].id for name in ("audiogoal", "audiopointgoal", "pointgoal")]
ALL_SENSORS = (
    "rgb",
    "depth",
    "semantic",
    "waveform",
    "spectrogram",
    "interaural",
    "pose",
    "collision",
    "last_action",
    "oracle",
    "geometric_map",
    "acoustic_map",
)


def rollout(env, seed, steps=40):
    """Return the bytes of everything an environment says in some steps."""
    said = []
    rng = np.random.default_rng(seed)
    observation, info = env.reset(seed=seed)
    for _ in range(steps):
        said.append(pickle.dumps((observation, info)))
        observation, reward, terminated, truncated, info = env.step(np.int64(rng.integers(1, 4)))
        said.append(pickle.dumps((reward, terminated, truncated)))
        if terminated or truncated:
            observation, info = env.reset()
    return said


@pytest.fixture
def env():
    made = TaskEnv(split="val", config=FAST)
    yield made
    made.close()


@pytest.mark.parametrize("preset", ["soundspaces2", "soundspaces1"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_passes_gymnasiums_checker_without_a_warning(name, preset):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(gym.make(name, preset=preset, split="val", config=FAST).unwrapped, skip_render_check=True)


# What Stable-Baselines3 says of any image that is not uint8: metres of depth and spectrograms are not, by design.
FLOAT_IMAGE = r"It seems that your observation|The minimal resolution for an image is 36x36"


@pytest.mark.parametrize("preset", ["soundspaces2", "soundspaces1"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_environment_passes_stable_baselines_checker(name, preset):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        warnings.filterwarnings("ignore", FLOAT_IMAGE)
        checker.check_env(gym.make(name, preset=preset, split="val", config=FAST).unwrapped)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        checker.check_env(StableBaselinesObservation(gym.make(name, preset=preset, split="val", config=FAST)))


def test_all_sensors_pass_the_checkers_together():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    made = gym.make("harken/AudioGoal-v2", sensors=ALL_SENSORS, split="val", config=FAST, render_mode="rgb_array")
    env = made.unwrapped
    check_env(env, skip_render_check=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        warnings.filterwarnings("ignore", FLOAT_IMAGE + "|Your observation waveform has an unconventional shape")
        checker.check_env(env)


@pytest.mark.parametrize("preset", ["soundspaces2", "soundspaces1"])
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_two_runs_of_a_seed_are_equal_byte_for_byte(name, preset):
    one, other = (gym.make(name, preset=preset, split="val", config=FAST) for _ in range(2))
    assert rollout(one, 5) == rollout(other, 5)
    assert rollout(one, 5) == rollout(other, 5), "and again in environments that were used"
    assert rollout(one, 5) != rollout(other, 6)


def test_an_environment_survives_pickling_with_its_episode():
    env = TaskEnv(split="val", config=FAST)
    env.reset(seed=3)
    env.step(np.int64(1))
    copy = pickle.loads(pickle.dumps(env))
    for action in (1, 2, 1, 3, 1):
        one, other = env.step(np.int64(action)), copy.step(np.int64(action))
        assert pickle.dumps(one) == pickle.dumps(other)


def test_the_id_works_after_importing_harken_as_the_readme_says():
    env = gym.make("harken/AudioGoal-v2", preset="soundspaces2", split="test", sensors=("depth", "spectrogram"))
    observation, _ = env.reset(seed=0)
    assert observation["depth"].shape == (128, 128, 1) and observation["spectrogram"].shape == (65, 26, 2)
    assert harken.__version__


def test_sounds_at_44100_hertz_have_soundspaces_replica_shape():
    env = TaskEnv(sensors=("spectrogram",), split="val", config={"acoustics": {"rate": 44_100, "rays": 100}})
    observation, _ = env.reset(seed=0)
    assert observation["spectrogram"].shape == (65, 69, 2)


def test_a_numbered_episode_is_the_same_for_everybody(env):
    env.reset(seed=11, options={"episode": 7})
    first = env.task.episode
    other = TaskEnv(split="val", config=FAST)
    other.reset(seed=99)
    other.reset(options={"episode": 7})
    assert other.task.episode == first


@pytest.mark.skipif(
    importlib.util.find_spec("rlr_audio_propagation") is None, reason="SoundSpaces 2.0's engine is not installed"
)
def test_an_environment_can_hear_through_soundspaces_engine():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)  # of the engine's licence
        env = gym.make(
            "harken/AudioGoal-v2", split="val", propagation="soundspaces2", config=FAST, sensors=("waveform",)
        )
        observation, _ = env.reset(seed=0)
        after, *_ = env.step(np.int64(1))
    for heard in (observation, after):
        assert np.abs(heard["waveform"][:, :4000]).max() > 1e-4


def test_splits_have_different_homes_and_episodes():
    episodes = []
    for split in ("train", "val", "test"):
        env = TaskEnv(split=split, config=FAST)
        env.reset(options={"episode": 0})
        episodes.append((env.simulator.world.scene.fingerprint, env.task.episode.start_position))
    assert len(set(episodes)) == 3


def test_the_reward_is_the_metres_gained_less_a_cent_a_step(env):
    env.reset(seed=0)
    for action in (1, 2, 1, 1):
        before = env.task.distance
        _, reward, _, _, info = env.step(np.int64(action))
        assert reward == pytest.approx(-0.01 + before - info["distance_to_goal"])


def test_a_stop_at_the_goal_is_rewarded_and_ends_the_episode_with_success():
    env = TaskEnv(split="val", sensors=("oracle",), config=FAST)
    observation, _ = env.reset(seed=1)
    for _ in range(500):
        observation, reward, terminated, truncated, info = env.step(observation["oracle"])
        if terminated:
            break
    assert terminated and not truncated and info["is_success"] is True
    assert reward == pytest.approx(10.0 - 0.01) and info["spl"] > 0.9 and info["sna"] == 1.0


def test_a_stop_far_from_the_goal_fails(env):
    env.reset(seed=1)
    _, reward, terminated, _, info = env.step(np.int64(0))
    assert terminated and info["is_success"] is False and reward == pytest.approx(-0.01)


def test_time_runs_out():
    env = TaskEnv(split="val", sensors=("collision",), config={**FAST, "max_steps": 5})
    env.reset(seed=0)
    flags = [env.step(np.int64(2))[2:4] for _ in range(5)]
    assert flags == [(False, False)] * 4 + [(False, True)]


def test_depth_is_metres_and_the_waveform_is_the_step_and_then_silence():
    env = TaskEnv(split="val", sensors=("depth", "waveform"), config=FAST)
    observation, _ = env.reset(seed=0)
    assert 0 < observation["depth"].max() <= 10.0
    assert np.abs(observation["waveform"][:, :4000]).max() > 0
    assert not observation["waveform"][:, 4000:].any()


def test_the_picture_is_rendered_and_the_frame_rate_is_that_of_the_steps():
    env = TaskEnv(split="val", config=FAST, render_mode="rgb_array")
    env.reset(seed=0)
    frame = env.render()
    assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.std() > 10
    assert env.metadata["render_fps"] == 4.0


def test_episodes_can_be_written_read_and_replayed(tmp_path, env):
    episodes = [env.episode(i) for i in range(3)]
    write_episodes(tmp_path / "three.jsonl.gz", episodes)
    replay = TaskEnv(split="val", episodes=tmp_path / "three.jsonl.gz", config=FAST)
    replay.reset(options={"episode": 2})
    assert replay.task.episode == episodes[2]
    with pytest.raises(EpisodeError, match="3 were given"):
        replay.reset(options={"episode": 3})


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"preset": "soundspaces3"}, UnknownNameError, "Did you mean 'soundspaces"),
        ({"preset": "near-target"}, UnknownNameError, "preset of NavigationSettings"),
        ({"preset": "missing.yaml"}, ConfigurationError, "no configuration file"),
        ({"split": "tset"}, UnknownNameError, "Did you mean 'test'"),
        ({"sensors": ("dept",)}, UnknownNameError, "Did you mean 'depth'"),
        ({"sensors": ()}, ConfigurationError, "at least one"),
        ({"sensors": ("pointgoal",)}, UnknownNameError, "Unknown sensor 'pointgoal'"),
        ({"task": "pointgoal", "sound": "telephone"}, UnknownNameError, "Unknown argument of pointgoal 'sound'"),
        ({"task": "echo-depth", "propagation": "soundspaces2"}, UnknownNameError, "argument of the environment"),
        ({"split": "val", "sond": "telephone"}, UnknownNameError, "Did you mean 'sound'"),
        ({"task": "audiogaol"}, UnknownNameError, "Did you mean 'audiogoal'"),
        ({"config": {"body": {"forward_stepp": 1.0}}}, UnknownNameError, "Did you mean 'body.forward_step'"),
        ({"config": {"acoustics": {"ray": 5}}}, UnknownNameError, "Did you mean 'acoustics.rays'"),
        ({"config": {"body": {"turn_angle": 10}}}, UnknownNameError, "turn_angle_degrees"),
        ({"config": {"body": {"forward_step": -1}}}, ConfigurationError, "forward_step is -1"),
        ({"config": {"body": {"forward_step": "far"}}}, ConfigurationError, "forward_step is 'far'"),
        ({"config": {"max_steps": True}}, ConfigurationError, "max_steps is True; expected a whole number"),
        ({"config": {"body": {"motion": "flying"}}}, UnknownNameError, "continuous"),
        ({"config": {"observation_time": 0.1}}, ConfigurationError, "sound would be lost"),
        ({"config": 3}, ConfigurationError, "mapping"),
        ({"propagation": "soundspaces3"}, UnknownNameError, "Did you mean 'soundspaces2'"),
        ({"sound": "telefone"}, UnknownNameError, "Did you mean 'telephone'"),
        ({"scene": "no/such.glb"}, SceneError, r"no such file|There is no"),
        ({"episodes": "no.jsonl"}, EpisodeError, "There is no episode file"),
        ({"episodes": []}, EpisodeError, "at least one"),
        ({"render_mode": "human"}, UnknownNameError, "rgb_array"),
    ],
)
def test_bad_arguments_are_refused_with_what_was_expected(arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        TaskEnv(**arguments)
    assert isinstance(caught.value, HarkenError)


@pytest.mark.parametrize("action", [4, -1, 1.0, "left", None, np.array([1, 2])])
def test_an_action_that_does_not_exist_is_refused(env, action):
    env.reset(seed=0)
    with pytest.raises(ActionError, match="0 stop, 1 move forward, 2 turn left, 3 turn right"):
        env.step(action)


def test_calls_at_the_wrong_time_are_refused(env):
    with pytest.raises(StateError, match="reset"):
        env.step(np.int64(1))
    with pytest.raises(StateError, match="reset"):
        _ = env.simulator
    env.reset(seed=0)
    env.step(np.int64(0))
    with pytest.raises(StateError, match="over"):
        env.step(np.int64(1))
    env.close()
    for call in (lambda: env.reset(), lambda: env.step(np.int64(1)), lambda: env.render()):
        with pytest.raises(StateError, match="closed"):
            call()


def test_an_unknown_reset_option_is_refused(env):
    with pytest.raises(UnknownNameError, match="Did you mean 'episode'"):
        env.reset(options={"epsiode": 1})


def test_start_and_goal_on_different_islands_are_refused(env):
    env.reset(seed=0)
    start = env.task.episode.start_position
    island = Episode(
        episode_id="apart",
        scene=env.task.episode.scene,
        start_position=start,
        start_heading=0.0,
        goal_position=(500.0, 0.0, 500.0),
        sound="telephone",
    )
    apart = TaskEnv(split="val", episodes=[island], config=FAST)
    with pytest.raises(HarkenError, match=r"island|floor|walkable"):
        apart.reset()


def test_an_episode_that_a_wrapper_cuts_off_says_whether_it_succeeded():
    made = gym.make("harken/AudioGoal-v2", split="val", sensors=("collision",), config=FAST, max_episode_steps=3)
    made.reset(seed=0)
    told = [made.step(np.int64(2)) for _ in range(3)]
    assert [step[3] for step in told] == [False, False, True]
    assert all(step[4]["is_success"] is False for step in told)


@pytest.mark.parametrize("far", [1e30, -1e19, 1e9])
def test_an_episode_that_starts_nowhere_is_refused(env, far):
    start = env.episode(0)
    for field in ("start_position", "goal_position"):
        nowhere = dataclasses.replace(start, **{field: (far, 0.0, 0.0)})
        with pytest.raises(HarkenError):
            TaskEnv(split="val", episodes=[nowhere], config=FAST).reset()


def test_episodes_that_are_none_are_refused():
    for episodes in ([{"scene": "home:val:0"}], ["home:val:0"], [3]):
        with pytest.raises(EpisodeError, match="Episode 0 is"):
            TaskEnv(split="val", episodes=episodes, config=FAST)
    number = Episode(
        episode_id="x", scene="home:val:²", start_position=(0, 0, 0), start_heading=0, goal_position=(1, 0, 0)
    )
    squared = TaskEnv(split="val", episodes=[number], config=FAST)
    with pytest.raises(HarkenError, match="home:<split>:<number>"):
        squared.reset()
