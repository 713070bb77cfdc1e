import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from harken.configs import load_preset, presets_of, to_yaml
from harken.envs import TaskEnv, vector_env
from harken.errors import ActionError, ConfigurationError, EpisodeError, SoundError, StateError, UnknownNameError
from harken.registration import TASKS
from harken.sound import Clip, ClipLibrary
from harken.sound.clips import ClipEntry
from harken.tasks.separation_rules import PlacedSound, SeparationEpisode, SeparationSettings

SMALL = {"acoustics": {"rays": 100, "duration": 0.2}, "body": {"camera": {"width": 16, "height": 16}}}
SEPARATION_ENVIRONMENTS = [TASKS[name].id for name in ("active-separation", "active-dynamic-separation")]
HEARING = ("spectrogram", "mask", "target")


def silence(observation):
    """Estimate that there is nothing: a separator that can be pickled."""
    return np.zeros((*observation["spectrogram"].shape[:2], 1), np.float32)


def oracle(observation):
    return observation["mask"] * np.expm1(observation["spectrogram"])


def made(**arguments):
    config = {**SMALL, **arguments.pop("config", {})}
    return TaskEnv("active-separation", **{"split": "val", "sensors": HEARING, "config": config, **arguments})


def action(env, move=1):
    return {"move": np.int64(move), "estimate": np.ones(env.settings.estimate_shape, np.float32)}


def contents(said):
    """Return the bytes of what an environment says; pickles of equal arrays may differ in how they name their type."""
    if isinstance(said, dict):
        return {name: contents(value) for name, value in said.items()}
    if isinstance(said, tuple):
        return tuple(contents(value) for value in said)
    return (said.dtype.str, said.shape, said.tobytes()) if isinstance(said, np.ndarray | np.generic) else said


def rollout(env, seed, steps=4):
    rng = np.random.default_rng(seed)
    said = [contents(env.reset(seed=seed))]
    for _ in range(steps):
        move = int(rng.integers(3))
        said.append(contents(env.step(move if env.task.separator else action(env, move))))
    return said


@pytest.mark.parametrize("separator", [None, silence])
@pytest.mark.parametrize("name", SEPARATION_ENVIRONMENTS)
def test_both_ids_pass_gymnasiums_checker_without_a_warning(name, separator):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        env = gym.make(name, split="val", config={**SMALL, "clip_seconds": 2.0}, separator=separator).unwrapped
        check_env(env, skip_render_check=True)


@pytest.mark.parametrize("name", SEPARATION_ENVIRONMENTS)
def test_both_ids_pass_stable_baselines_checker_with_a_separator(name):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    env = gym.make(name, split="val", config=SMALL, separator=silence).unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        # Depth in metres and spectrograms are float images, which the checker advises against.
        warnings.filterwarnings("ignore", r"It seems that your observation|The minimal resolution for an image")
        checker.check_env(env)


def test_the_default_sensors_are_those_of_the_published_systems():
    env = gym.make("harken/ActiveSeparation-v2", split="val", config={"acoustics": SMALL["acoustics"]})
    observation, info = env.reset(seed=0)
    assert env.unwrapped.settings.max_steps == 20
    assert {name: np.shape(value) for name, value in observation.items()} == {
        "spectrogram": (512, 32, 2),
        "rgb": (128, 128, 3),
        "depth": (128, 128, 1),
        "pose": (4,),
        "target": (),
    }
    assert info["target_mono"].shape == (512, 32, 1) and info["target_binaural"].shape == (512, 32, 2)
    assert info["target_mono_waveform"].shape == (1, 16_000)
    assert info["target_binaural_waveform"].shape == (2, 16_000)
    assert (
        not {"rain", "traffic"} & set(env.unwrapped.task.sounds.targets)
        and len(env.unwrapped.task.sounds.targets) == 24
    )


def test_two_runs_of_a_seed_are_equal_byte_for_byte_and_a_pickled_copy_goes_on_alike():
    one, other = made(separator=silence), made(separator=silence)
    said = rollout(one, 5)
    assert said == rollout(other, 5) and said != rollout(other, 6)
    assert said == rollout(one, 5), "and again in an environment that was used"
    copy = pickle.loads(pickle.dumps(one))
    for move in (0, 1, 0):
        assert contents(one.step(move)) == contents(copy.step(move))


def test_all_sensors_lie_in_their_spaces():
    env = made(sensors=tuple(made().task.sensors), separator=silence, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    np.testing.assert_array_equal(observation["waveform"], env.task.heard.mixture)
    assert env.render().shape[2] == 3


def test_the_oracle_mask_comes_as_near_to_the_target_as_a_mask_can():
    env = made(config={"estimate": "binaural", "reward": "quality", "final_weight": 0.0, "most_distance": 9.0})
    observation, _ = env.reset(seed=2)
    for _ in range(3):
        truth, mixture = env.task.heard.binaural, np.expm1(observation["spectrogram"])
        missing = np.maximum(truth - mixture, 0.0)
        optimum = -float(np.mean(missing**2) / np.mean(truth**2))
        observation, reward, _, _, info = env.step({"move": np.int64(0), "estimate": oracle(observation)})
        assert reward == pytest.approx(optimum, abs=1e-4) and info["quality"] == pytest.approx(reward)
        assert info["quality_improvement"] > 0 and info["stft_distance_improvement"] > 0


def test_rewards_of_the_static_task_add_up_to_the_improvement_and_ten_times_the_last_quality():
    env = made(config={"max_steps": 3})
    env.reset(seed=0)
    rewards, mixtures, rng = [], [], np.random.default_rng(0)
    for _ in range(3):
        estimate = rng.uniform(0, 2, env.settings.estimate_shape).astype(np.float32)
        _, reward, terminated, truncated, info = env.step({"move": np.int64(1), "estimate": estimate})
        rewards.append(reward)
        mixtures.append(info["mixture_quality"])
    assert (terminated, truncated) == (False, True)
    assert sum(rewards) == pytest.approx(11.0 * info["quality"] - mixtures[0])


def test_an_estimate_by_a_function_is_of_the_step_just_heard():
    seen = []

    def separator(observation):
        seen.append(env.task.heard)
        return env.task.heard.mono

    env = made(separator=separator, preset="dynamic", config={"clip_seconds": 3.0})
    env.reset(seed=0)
    for _ in range(3):
        _, reward, _, _, info = env.step(np.int64(1))
        assert reward == info["quality"] == 0.0 and seen[-1] is env.task.heard
        np.testing.assert_array_equal(info["target_mono"], env.task.heard.mono)
    assert len(seen) == 3


def test_far_from_the_target_coming_nearer_is_rewarded_first_and_estimates_later():
    env = made(preset="far-target", config={"search_steps": 3, "max_steps": 5, "most_distance": 100.0})
    _, info = env.reset(seed=0)
    assert info["searching"] and info["distance_to_target"] >= 2.0
    for step in range(5):
        before = info["distance_to_target"]
        _, reward, _, truncated, info = env.step(action(env, 0))
        assert ("quality" in info) == (step >= 3) and info["searching"] == (step < 2)
        if step < 3:
            assert reward == pytest.approx(before - info["distance_to_target"])
    assert truncated


def test_the_presets_are_the_published_ones_and_survive_their_file(tmp_path):
    near, far, dynamic = (load_preset(SeparationSettings, name) for name in presets_of(SeparationSettings))
    assert near == SeparationSettings()
    assert (near.max_steps, near.search_steps, near.most_distance) == (20, 0, 0.0)
    assert (far.max_steps, far.search_steps) == (100, 80)
    assert (dynamic.max_steps, dynamic.clip_seconds, dynamic.reward) == (20, 20.0, "quality")
    for settings in (near, far, dynamic):
        assert (settings.body.motion, settings.body.forward_step, settings.step_time) == ("grid", 1.0, 1.0)
        assert settings.body.turn_angle == pytest.approx(np.pi / 2) and settings.estimate_shape == (512, 32, 1)
        (tmp_path / "copy.yaml").write_text(to_yaml(settings))
        assert load_preset(SeparationSettings, tmp_path / "copy.yaml") == settings


def test_heard_and_unheard_sounds_are_apart():
    heard, unheard = made(split="test"), made(split="test", sounds="unheard")
    names = [{name for clips in env.task.sounds.names.values() for name in clips} for env in (heard, unheard)]
    assert names[0] and names[1] and not names[0] & names[1]
    targets = [env.task.sounds.targets for env in (heard, unheard)]
    assert targets[0] == targets[1], "classes are the same: what is unheard is the clip"


def test_environments_in_threads_return_what_they_return_one_after_the_other():
    arguments = {"split": "val", "sensors": HEARING, "config": SMALL, "separator": silence}
    rows = []
    for threads in (1, 2):
        envs = vector_env(2, task="active-separation", threads=threads, **arguments)
        first, _ = envs.reset(seed=0)
        second, rewards, *_ = envs.step(np.array([0, 1]))
        rows.append(contents((first, second, rewards)))
        envs.close()
    assert rows[0] == rows[1]


def test_a_folder_of_recordings_can_sound(tmp_path):
    import soundfile

    rng = np.random.default_rng(0)
    for name in ("dog", "cat", "bell"):
        (tmp_path / "train" / name).mkdir(parents=True)
        soundfile.write(tmp_path / "train" / name / "a.wav", 0.1 * rng.standard_normal(8_000), 8_000)
    env = made(library=tmp_path, targets=("dog",), config={"sources": 3})
    observation, _ = env.reset(seed=0)
    assert env.task.sounds.targets == ("dog",) and observation["target"] == 0
    assert {source.category for source in env.task.episode.sources} == {"dog", "cat", "bell"}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"preset": "near-targt"}, UnknownNameError, "Did you mean 'near-target'"),
        ({"split": "tset"}, UnknownNameError, "Did you mean 'test'"),
        ({"sounds": "herd"}, UnknownNameError, "Did you mean 'heard'"),
        ({"sensors": ("spectogram",)}, UnknownNameError, "Did you mean 'spectrogram'"),
        ({"sensors": ()}, ConfigurationError, "at least one"),
        ({"targets": ("womann_1",)}, UnknownNameError, "Did you mean 'woman_1'"),
        ({"targets": ()}, ConfigurationError, "at least one class"),
        ({"separator": "oracle"}, ConfigurationError, "a function of an observation"),
        ({"library": 3}, ConfigurationError, "a ClipLibrary"),
        ({"library": "no/such/folder"}, SoundError, "not there"),
        ({"library": ClipLibrary.builtin(44_100)}, SoundError, "44100 Hz and the simulator 16000 Hz"),
        ({"episodes": []}, EpisodeError, "at least one"),
        ({"render_mode": "human"}, UnknownNameError, "rgb_array"),
        ({"config": {"sources": 1}}, ConfigurationError, "sources is 1; expected a whole number from 2"),
        ({"config": {"estimates": "mono"}}, UnknownNameError, "Did you mean 'estimate'"),
    ],
)
def test_bad_arguments_are_refused_with_what_was_expected(arguments, error, message):
    with pytest.raises(error, match=message):
        TaskEnv("active-separation", **arguments)


def test_a_library_of_one_class_and_a_silent_clip_are_refused():
    entry = ClipEntry(name="a", category="dog", split="all", make=lambda: None)
    with pytest.raises(SoundError, match="one class, 'dog'"):
        TaskEnv("active-separation", library=ClipLibrary([entry], 16_000))
    with pytest.raises(SoundError, match="silent"):
        Clip(samples=np.zeros(16_000), rate=16_000)


@pytest.fixture(scope="module")
def begun():
    env = made()
    env.reset(seed=0)
    return env


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.int64(1), "expected a mapping with 'move' and 'estimate'"),
        ({"move": 1}, "expected a mapping"),
        ({"move": 3, "estimate": np.ones((512, 32, 1))}, "0 forward, 1 left, 2 right"),
        ({"move": 1, "estimate": np.ones((512, 32, 2))}, r"expected real magnitudes of shape \(512, 32, 1\)"),
        ({"move": 1, "estimate": np.full((512, 32, 1), np.nan)}, "NaN"),
        ({"move": 1, "estimate": -np.ones((512, 32, 1))}, "0 or more"),
    ],
)
def test_an_action_that_does_not_exist_is_refused_before_anything_moves(begun, given, message):
    with pytest.raises(ActionError, match=message):
        begun.step(given)
    assert begun.task.steps == 0


def test_an_estimate_of_a_function_is_checked_as_well():
    env = made(separator=lambda observation: np.full((512, 32, 1), np.nan))
    env.reset(seed=0)
    with pytest.raises(ActionError, match="NaN"):
        env.step(np.int64(0))


def test_a_target_that_is_absent_or_no_class_is_refused(begun):
    episode = begun.task.episode
    with pytest.raises(EpisodeError, match="absent from the mixture"):
        SeparationEpisode(**{**vars(episode), "target": "violin" if episode.target != "violin" else "viola"})
    rain = PlacedSound(position=episode.start_position, sound="rain/01", category="rain")
    given = SeparationEpisode(**{**vars(episode), "target": "rain", "sources": (rain, episode.sources[0])})
    with pytest.raises(UnknownNameError, match="target of episode"):
        made(episodes=[given]).reset()


def test_calls_at_the_wrong_time_are_refused():
    env = made(config={"max_steps": 1})
    with pytest.raises(StateError, match="reset"):
        env.step(action(env))
    with pytest.raises(StateError, match="reset"):
        _ = env.simulator
    env.reset(seed=0)
    env.step(action(env))
    with pytest.raises(StateError, match="over"):
        env.step(action(env))
    with pytest.raises(UnknownNameError, match="Did you mean 'episode'"):
        env.reset(options={"epsiode": 1})
    env.close()
    with pytest.raises(StateError, match="closed"):
        env.reset()
