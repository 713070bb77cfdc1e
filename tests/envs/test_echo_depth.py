import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import harken
from harken.acoustics.engines.echo import sweep
from harken.agents import Agent, agents_for, make_agent
from harken.agents.echo_depth import FirstEcho, MeanDepth, first_echo
from harken.envs import StableBaselinesAction, StableBaselinesObservation, TaskEnv
from harken.errors import (
    ActionError,
    ConfigurationError,
    EpisodeError,
    SceneError,
    StateError,
    UnknownNameError,
)
from harken.eval import Evaluation, evaluate
from harken.eval.statistics import format_table, summarise
from harken.tasks.echo_depth import EchoDepthTask
from harken.tasks.protocol import enter_scene
from harken.vision.low_light import LowLight

SENSORS = ("waveform", "spectrogram", "rgb", "low_light", "pose", "depth")
FAST = {
    "echo": {"rate": 16_000, "rays": 20, "image_order": 1},
    "body": {"camera": {"width": 16, "height": 12}},
    "max_steps": 4,
}


def made(**arguments):
    return TaskEnv("echo-depth", split="val", **{"config": FAST, **arguments})


def flat(env, depth, move=0):
    answer = {"depth": np.full(env.action_space["depth"].shape, depth, np.float32)}
    return {**answer, "move": np.int64(move)} if env.settings.variant == "active" else answer


def run(agent, episodes, config):
    arguments = {"split": "val", "config": config}
    what = Evaluation(agent=agent, environment="echo-depth", arguments=arguments, episodes=episodes, recorded=0)
    return evaluate(what, progress=False)


def rollout(env, seed, steps=9):
    """Return the bytes of everything an environment says in some steps."""
    said, rng = [], np.random.default_rng(seed)
    said.append(pickle.dumps(env.reset(seed=seed)))
    for _ in range(steps):
        answer = env.step(flat(env, rng.uniform(1, 5), rng.integers(4)))
        said.append(pickle.dumps(answer))
        if answer[2]:
            said.append(pickle.dumps(env.reset()))
    return said


@pytest.mark.parametrize("variant", ["active", "passive"])
def test_the_environment_passes_gymnasiums_checker_without_a_warning(variant):
    assert harken.__version__
    env = gym.make("harken/EchoDepth-v2", variant=variant, split="val", config=FAST, sensors=SENSORS)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(env.unwrapped, skip_render_check=True)


@pytest.mark.parametrize("variant", ["active", "passive"])
def test_the_environment_passes_stable_baselines_checker_in_its_wrappers(variant):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gym.make("harken/EchoDepth-v2", variant=variant, split="val", config=FAST).unwrapped
    wrapped = StableBaselinesObservation(StableBaselinesAction(env))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        checker.check_env(wrapped)


def test_a_vector_of_actions_means_bounds_and_choices():
    env = StableBaselinesAction(made())
    vector = np.full(env.action_space.shape, -1.0, np.float32)
    vector[:3] = 1.0, 0.0, 7.0
    vector[-2] = 0.5
    action = env.action(vector)
    deepest = env.unwrapped.settings.max_depth
    assert action["depth"].ravel()[:4].tolist() == [deepest, deepest / 2, deepest, 0.0] and action["move"] == 2
    with pytest.raises(ActionError, match="expected finite numbers of shape"):
        env.action(vector[:-1])
    with pytest.raises(ConfigurationError, match="expected a Dict of Box and Discrete"):
        StableBaselinesAction(gym.make("CartPole-v1"))


def test_two_runs_of_a_seed_are_equal_byte_for_byte():
    sensors = ("waveform", "spectrogram", "low_light", "pose")
    one, other = made(sensors=sensors), made(sensors=sensors)
    assert rollout(one, 5) == rollout(other, 5)
    assert rollout(one, 5) == rollout(other, 5), "and again in environments that were used"
    assert rollout(one, 5) != rollout(other, 6)


def test_an_environment_survives_pickling_with_its_episode():
    env = made()
    env.reset(seed=3)
    env.step(flat(env, 2.0, 2))
    copy = pickle.loads(pickle.dumps(env))
    for move in (1, 2, 0):
        assert pickle.dumps(env.step(flat(env, 3.0, move))) == pickle.dumps(copy.step(flat(copy, 3.0, move)))


def test_the_published_shapes():
    for rate, samples, frames in ((44_100, 2646, 166), (16_000, 960, 121)):
        spaces = TaskEnv("echo-depth", config={"echo": {"rate": rate}}).observation_space
        assert spaces["waveform"].shape == (2, samples) and spaces["spectrogram"].shape == (257, frames, 2)


@pytest.mark.parametrize("variant", ["active", "passive"])
@pytest.mark.parametrize("beyond", ["clip", "ignore"])
def test_the_oracle_reaches_the_optimum(variant, beyond):
    config = {**FAST, "variant": variant, "beyond": beyond, "max_depth": 3.0}
    results = run("oracle", 3, config)
    env = made(config=config)
    for number, result in enumerate(results):
        env.reset(seed=0, options={"episode": number})
        assert result.measures["rmse"] == 0.0 and result.measures["delta1"] == 1.0
        # No estimate is better than one without error, so no return is above the error of the flat map.
        assert result.measures["reward"] == pytest.approx(env.task.start_error)


def test_the_rewards_sum_to_the_fall_of_the_error():
    env = made()
    _, info = env.reset(seed=2)
    begun, total = info["rmse"], 0.0
    for depth, move in ((1.0, 2), (4.0, 1), (2.0, 3), (3.0, 0)):
        truth = env.task.truth.astype(np.float64)
        _, reward, over, truncated, info = env.step(flat(env, depth, move))
        assert info["rmse"] == pytest.approx(np.sqrt(np.mean((truth[truth > 0] - depth) ** 2)))
        total += reward
    assert over and not truncated and total == pytest.approx(begun - info["rmse"])


def test_the_estimate_of_a_step_is_measured_against_the_view_before_the_move():
    env = made(sensors=("depth",))
    seen, _ = env.reset(seed=2)
    for move in (2, 1, 3, 1):
        seen, _, _, _, info = env.step({"depth": seen["depth"], "move": np.int64(move)})
        assert info["rmse"] == 0.0


def test_with_the_start_as_target_the_truth_stays_while_the_body_moves():
    env = made(config={**FAST, "target": "start"}, sensors=("depth", "pose"))
    first, _ = env.reset(seed=2)
    later, *_ = env.step(flat(env, 2.0, 2))
    np.testing.assert_array_equal(later["depth"], first["depth"])
    assert later["pose"][2] == pytest.approx(env.settings.body.turn_angle)


def test_depth_beyond_the_maximum_is_clipped_or_left_out():
    configs = [{**FAST, "max_depth": 2.6, "beyond": beyond} for beyond in ("clip", "ignore")]
    clip = made(config=configs[0], sensors=("depth",))
    found = False
    for number in range(6):
        clip.reset(seed=0, options={"episode": number})
        ignore = made(config=configs[1], sensors=("depth",), episodes=[clip.task.episode])
        ignore.reset()
        task = ignore.task
        far = task.simulator.see(("depth",))["depth"] > 2.6
        found = found or far.any()
        assert (clip.task.truth[far] == np.float32(2.6)).all() and not task.truth[far].any()
        np.testing.assert_array_equal(clip.task.truth[~far], task.truth[~far])
    assert found


def test_a_numbered_episode_is_the_same_for_everybody():
    one, other = made(), made()
    one.reset(seed=11, options={"episode": 7})
    other.reset(seed=99)
    other.reset(options={"episode": 7})
    assert one.task.episode == other.task.episode


def test_low_light_is_dark_and_noisy_as_it_says():
    image, low = np.full((200, 200, 3), 255, np.uint8), LowLight(least=0.02, most=0.02, photons=1_000.0, read_noise=2.0)
    rng = np.random.default_rng(0)
    assert low.draw(rng) == pytest.approx(0.02)
    encoded = low.darken(image, 0.02, rng) / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    # 20 photons: variance 20 of Poisson and 4 of the read-out; 8 bits add little.
    assert linear.mean() == pytest.approx(0.02, rel=0.01)
    assert linear.std() == pytest.approx(np.sqrt(24.0) / 1_000, rel=0.03)


def test_low_light_differs_from_episode_to_episode_and_from_step_to_step():
    env = made(sensors=("low_light", "rgb"))
    first, one = env.reset(seed=0, options={"episode": 0})
    assert first["low_light"].mean() < 0.6 * first["rgb"].mean()
    later, *_ = env.step(flat(env, 2.0))
    assert not np.array_equal(first["low_light"], later["low_light"])
    np.testing.assert_array_equal(first["rgb"], later["rgb"])
    _, other = env.reset(options={"episode": 1})
    assert one["light"] != other["light"]


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_first_echo_is_found_before_a_louder_one(rate):
    heard = np.zeros((2, round(0.06 * rate)), np.float32)
    for delay, level in ((rate // 100, 0.5), (rate // 40, 1.0)):
        heard[:, delay : delay + len(sweep(rate))] += level * sweep(rate)
    assert first_echo(heard, rate) == pytest.approx(0.01, abs=1.5 / rate)
    assert first_echo(np.zeros_like(heard), rate) == pytest.approx(0.06, rel=1e-3)
    settings = TaskEnv("echo-depth", config={**FAST, "echo": {"rate": rate}}).settings
    depth = FirstEcho(settings).act({"waveform": heard})["depth"]
    np.testing.assert_allclose(depth, np.full((12, 16, 1), 1.716), atol=0.02)


def test_the_mean_is_the_mean_of_the_training_views():
    from harken.agents.echo_depth import mean_depth

    settings = TaskEnv("echo-depth", config={**FAST, "max_depth": 5.0}).settings
    depth = mean_depth(settings, homes=1, views=6)
    task, rng = EchoDepthTask(settings, "train"), np.random.default_rng([7, 0])
    enter_scene(task, "home:train:0")
    views = []
    for _ in range(6):
        task.begin(task.sample(rng, episode_id="", scene="home:train:0"))
        views.append(np.where(task.truth > 0, task.truth, np.nan))
    np.testing.assert_allclose(depth, np.nanmean(views, axis=0), rtol=1e-5)
    answer = MeanDepth(settings, depth).act({})
    np.testing.assert_array_equal(answer["depth"], depth)


def test_agents_keep_the_seam_and_fill_a_table():
    config = {**FAST, "variant": "passive"}
    rows = {}
    task = TaskEnv("echo-depth", config=config).task
    for name in ("first-echo", "oracle"):
        assert isinstance(make_agent(name, task), Agent)
        rows[name] = summarise(run(name, 4, config))
    assert rows["oracle"]["rmse"].mean < rows["first-echo"]["rmse"].mean
    assert "oracle" in format_table(rows, ("rmse", "delta1", "reward")) and set(rows) < set(agents_for(task))


def test_the_picture_shows_image_truth_and_estimate():
    env = made(render_mode="rgb_array", sensors=("depth",))
    seen, _ = env.reset(seed=0)
    env.step({"depth": seen["depth"], "move": np.int64(0)})
    picture = env.render()
    assert picture.shape == (12, 48, 3) and picture.dtype == np.uint8
    np.testing.assert_array_equal(picture[:, 16:32], picture[:, 32:])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"variant": "pasive"}, UnknownNameError, "Did you mean 'passive'"),
        ({"split": "tset"}, UnknownNameError, "Did you mean 'test'"),
        ({"sensors": ("waveforn",)}, UnknownNameError, "Did you mean 'waveform'"),
        ({"sensors": ()}, ConfigurationError, "at least one"),
        ({"render_mode": "human"}, UnknownNameError, "render mode"),
        ({"scene": "missing.glb"}, SceneError, "missing.glb"),
        ({"config": 3}, ConfigurationError, "a mapping"),
        ({"config": {"max_depht": 3.0}}, UnknownNameError, "Did you mean 'max_depth'"),
        ({"config": {"echo": {"rate": 100}}}, ConfigurationError, "rate is 100"),
        ({"config": {"echo": {"ray": 100}}}, UnknownNameError, "Did you mean 'echo.ray"),
        ({"config": {"max_depth": -1.0}}, ConfigurationError, "max_depth is -1"),
        ({"config": {"max_depth": float("nan")}}, ConfigurationError, "max_depth is nan"),
        ({"config": {"prior_depth": 11.0}}, ConfigurationError, "beyond max_depth"),
        ({"config": {"target": "stat"}}, UnknownNameError, "Did you mean 'start'"),
        ({"config": {"body": {"ear_height": 0.0}}}, ConfigurationError, "ear_height is 0.0"),
        ({"config": {"body": {"motion": "grid", "turn_angle_degrees": 90}}}, ConfigurationError, "continuous motion"),
        ({"episodes": "some.jsonl"}, EpisodeError, "no files of this task"),
        ({"config": {"body": {"camera": {"projection": "equirectangular"}}}}, ConfigurationError, "pinhole"),
        ({"config": {"low_light": {"least": 0.5, "most": 0.1}}}, ConfigurationError, "least ≤ most"),
        ({"config": {"low_light": {"photons": 0.0}}}, ConfigurationError, "photons above 0"),
    ],
)
def test_impossible_arguments_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        TaskEnv("echo-depth", **arguments)


def test_impossible_actions_are_refused():
    env = made()
    with pytest.raises(StateError, match="reset"):
        env.step(flat(env, 1.0))
    env.reset(seed=0)
    good = flat(env, 1.0)
    holed = good["depth"].copy()
    holed[3, 3] = np.nan
    for bad, message in (
        ({**good, "depth": good["depth"][:5]}, r"\(5, 16, 1\); expected float32 \(12, 16, 1\)"),
        ({**good, "depth": holed}, "NaN or infinite at 1 of 192"),
        ({**good, "depth": good["depth"] + 10.0}, "clip the estimate"),
        ({**good, "depth": good["depth"] - 2.0}, "clip the estimate"),
        ({**good, "move": 4}, "Move 4 does not exist"),
        ({**good, "move": 1.5}, "Move 1.5 does not exist"),
        ({"depth": good["depth"]}, "expected a dict with depth, move"),
        (good["depth"], "ndarray; expected a dict"),
    ):
        with pytest.raises(ActionError, match=message):
            env.step(bad)
    assert env.task.steps == 0, "nothing happened"
    with pytest.raises(EpisodeError, match="whole number"):
        env.episode(-1)
    with pytest.raises(UnknownNameError, match="Did you mean 'episode'"):
        env.reset(options={"epsiode": 1})
    env.close()
    with pytest.raises(StateError, match="closed"):
        env.reset()
    passive = made(variant="passive")
    passive.reset(seed=0)
    with pytest.raises(ActionError, match="expected a dict with depth"):
        passive.step(good)
    passive.step(flat(passive, 1.0))
    with pytest.raises(StateError, match="over"):
        passive.step(flat(passive, 1.0))
    with pytest.raises(UnknownNameError, match="Did you mean 'mean'"):
        make_agent("meen", passive.task)
