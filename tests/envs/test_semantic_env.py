"""Semantic AudioGoal as an environment: checkers, determinism, pickles, episodes."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from harken.configs import load_preset, to_yaml
from harken.envs import StableBaselinesObservation, TaskEnv
from harken.errors import EpisodeError, HarkenError
from harken.tasks import write_episodes
from harken.tasks.semantic import SemanticSettings

FAST = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 36, "height": 36}}}
ID = "harken/SemanticAudioGoal-v0"
PRESETS = ("savi", "savn-ce-distractor")
EVERYTHING = (
    *("rgb", "depth", "semantic", "waveform", "spectrogram", "interaural", "pose", "collision", "last_action"),
    *("oracle", "geometric_map", "acoustic_map"),
    *("category", "goal_category", "goal_location", "way_location"),
)

# What Stable-Baselines3 says of any image that is not uint8: metres of depth and spectrograms are not, by design.
FLOAT_IMAGE = r"It seems that your observation|The minimal resolution for an image is 36x36"


def rollout(env, seed, steps=12):
    """Return the bytes of everything an environment says in some steps."""
    rng, said = np.random.default_rng(seed), [pickle.dumps(env.reset(seed=seed))]
    for _ in range(steps):
        step = env.step(np.int64(rng.integers(0, 4)))
        said.append(pickle.dumps(step))
        if step[2] or step[3]:
            said.append(pickle.dumps(env.reset()))
    return said


@pytest.mark.parametrize("preset", PRESETS)
def test_the_environment_passes_the_checkers(preset):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gym.make(ID, preset=preset, split="val", config=FAST).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(env, skip_render_check=True)
        checker.check_env(StableBaselinesObservation(env))
        warnings.filterwarnings("ignore", FLOAT_IMAGE)
        checker.check_env(env)


def test_all_sensors_pass_the_checker_together():
    env = TaskEnv("semantic-audiogoal", split="val", sensors=EVERYTHING, config=FAST)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(env, skip_render_check=True)
    assert set(env.task.sensors) == set(EVERYTHING)


def test_what_is_shown_is_what_was_published():
    plain, distracted = (TaskEnv("semantic-audiogoal", preset=preset, split="val", config=FAST) for preset in PRESETS)
    assert set(plain.observation_space) == {"rgb", "depth", "spectrogram", "pose"}
    assert distracted.observation_space["category"] == gym.spaces.Discrete(21)
    _, info = distracted.reset(seed=0)
    assert {"success", "spl", "soft_spl", "sna", "distance_to_goal", "sws", "dsr"} <= set(info)
    assert info["is_success"] is False


@pytest.mark.parametrize("preset", PRESETS)
def test_two_runs_of_a_seed_are_equal_byte_for_byte(preset):
    one, other = (TaskEnv("semantic-audiogoal", preset=preset, split="val", config=FAST) for _ in range(2))
    first = rollout(one, 5)
    assert first == rollout(other, 5) == rollout(one, 5)
    assert first != rollout(other, 6)


def test_episodes_prepared_ahead_are_the_same_byte_for_byte():
    arguments = {"preset": "savn-ce-distractor", "split": "val", "config": FAST}
    plain = TaskEnv("semantic-audiogoal", **arguments)
    ahead = TaskEnv("semantic-audiogoal", prepare_ahead=True, **arguments)
    assert rollout(plain, 2) == rollout(ahead, 2)
    ahead.close()


def test_an_environment_survives_pickling_with_its_episode():
    env = TaskEnv("semantic-audiogoal", preset="savn-ce-distractor", split="val", config=FAST)
    env.reset(seed=3)
    env.step(np.int64(1))
    copy = pickle.loads(pickle.dumps(env))
    for action in (1, 2, 1, 3, 0):
        assert pickle.dumps(env.step(np.int64(action))) == pickle.dumps(copy.step(np.int64(action)))


def test_the_oracle_reaches_the_objects_of_a_home_whatever_its_doors(tmp_path):
    config = {**FAST, "doors": "random", "opens_doors": True}
    env = TaskEnv("semantic-audiogoal", preset="savn-ce", split="val", sensors=("oracle",), config=config)
    for number in range(3):
        observation, info = env.reset(options={"episode": number})
        for _ in range(500):
            observation, _, terminated, _, info = env.step(observation["oracle"])
            if terminated:
                break
        assert info["is_success"] and info["spl"] > 0.95


def test_episodes_can_be_written_read_and_replayed_in_their_own_homes_only(tmp_path):
    env = TaskEnv("semantic-audiogoal", split="val", config=FAST)
    episodes = [env.episode(number) for number in range(2)]
    write_episodes(tmp_path / "two.jsonl", episodes)
    replay = TaskEnv("semantic-audiogoal", split="val", episodes=tmp_path / "two.jsonl", config=FAST)
    replay.reset(options={"episode": 1})
    assert replay.task.episode == episodes[1]
    audiogoal = TaskEnv("audiogoal", split="val", config=FAST).episode(0)
    with pytest.raises(EpisodeError, match="expected a SemanticEpisode"):
        TaskEnv("semantic-audiogoal", split="val", episodes=[audiogoal], config=FAST).reset()
    moved = tmp_path / "moved.jsonl"
    moved.write_text((tmp_path / "two.jsonl").read_text().replace('"object_id": ', '"object_id": 9'))
    with pytest.raises(HarkenError, match=r"is not there|is a"):
        TaskEnv("semantic-audiogoal", split="val", episodes=moved, config=FAST).reset()


@pytest.mark.parametrize("name", ["savi", "savi-distractor", "savn-ce", "savn-ce-distractor"])
def test_the_presets_say_what_the_papers_say(name, tmp_path):
    settings = load_preset(SemanticSettings, name)
    (tmp_path / "copy.yaml").write_text(to_yaml(settings), encoding="utf-8")
    assert load_preset(SemanticSettings, tmp_path / "copy.yaml") == settings
    free = name.startswith("savn-ce")
    assert settings.body.motion == ("continuous" if free else "grid")
    step = (settings.body.forward_step, np.degrees(settings.body.turn_angle), settings.step_time)
    assert step == pytest.approx((0.25, 15.0, 0.25) if free else (1.0, 90.0, 1.0))
    assert settings.latest_onset == (5.0 if free else 0.0)
    assert (settings.mean_duration, settings.duration_deviation) == (15.0, 9.0)
    assert (settings.least_duration, settings.most_duration) == (5.0, 500.0)
    assert settings.distractor == name.endswith("distractor")
    assert (settings.success_distance, settings.max_steps, settings.acoustics.rate) == (1.0, 500, 16_000)
    assert (settings.success_reward, settings.step_reward, settings.distance_reward) == (10.0, -0.01, 1.0)
