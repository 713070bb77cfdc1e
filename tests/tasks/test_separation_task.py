import numpy as np
import pytest

from harken.errors import ActionError, ConfigurationError, EpisodeError, SoundError, UnknownNameError
from harken.metrics.separation import TARGET_RMS, separation_quality, spectrogram_distance
from harken.sound import Clip, ClipLibrary
from harken.sound.clips import ClipEntry
from harken.sound.masks import ideal_binary_masks, ideal_ratio_masks, magnitude_mask
from harken.sound.stft import istft, stft
from harken.tasks.heard import judge
from harken.tasks.protocol import enter_scene
from harken.tasks.separation import SeparationTask
from harken.tasks.separation_rules import Move, PlacedSound, SeparationEpisode, SeparationSettings
from harken.tasks.walk import Action

SMALL = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 16, "height": 16}}}


def settings(**changes):
    from harken.configs import from_mapping

    return from_mapping(SeparationSettings, {**SMALL, **changes})


def few(seconds=1.0):
    """Return a library of three clips."""
    whole = ClipLibrary.speech_and_music(seconds=seconds)
    return ClipLibrary([whole.entry(name) for name in ("woman_1/01", "violin/01", "rain/01")], 16_000)


@pytest.fixture(scope="module")
def library():
    return few()


def begun(library, seed=0, **changes):
    task = SeparationTask(settings(**changes), "val", library=library, targets=("woman_1", "violin"))
    enter_scene(task, "home:val:0")
    task.begin(task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0"))
    return task


def act(task, move, estimate=None):
    """Move, with an estimate of silence unless another is given."""
    zeros = np.zeros(task.settings.estimate_shape, np.float32)
    return task.step({"move": move, "estimate": zeros if estimate is None else estimate})


def test_near_the_target_the_body_starts_at_it_and_the_others_are_away(library):
    task = begun(library)
    target, other = task.episode.sources
    assert task.episode.start_position == target.position and task.episode.target == target.category
    assert np.linalg.norm(np.subtract(target.position, other.position)) >= 2.0
    assert target.category != other.category


def test_far_from_the_target_the_start_keeps_its_distance(library):
    for seed in range(5):
        task = begun(library, seed, least_distance=2.0, most_distance=6.0)
        assert 2.0 <= task.walk.start_distance <= 6.0


def test_the_stems_of_the_convolvers_sum_to_what_the_simulator_hears(library):
    one, other = begun(library, sources=3), begun(library, sources=3)
    for action in (Move.LEFT, Move.FORWARD, Move.RIGHT):
        act(one, action)
        # The second body does the same, and hears everything at once.
        walks = {Move.LEFT: Action.TURN_LEFT, Move.FORWARD: Action.MOVE_FORWARD, Move.RIGHT: Action.TURN_RIGHT}
        other.walk.act(walks[action])
        heard = other.simulator.hear(16_000)
        scale = float(np.abs(heard).max())
        assert len(one.heard.stems) == 3 and scale > 1e-4
        np.testing.assert_allclose(one.heard.stems.astype(np.float64).sum(0), heard, atol=3e-7 * scale)
        assert one.heard.mixture.tobytes() == heard.tobytes()


def test_a_static_target_is_the_same_at_every_step(library):
    task = begun(library)
    first = task.heard
    act(task, Move.LEFT)
    act(task, Move.RIGHT)
    assert first.mono.tobytes() == task.heard.mono.tobytes() and first.dry.tobytes() == task.heard.dry.tobytes()
    act(task, Move.LEFT)
    act(task, Move.RIGHT)
    # Back at the pose, and at rest.
    rest = task.simulator.hear_each(task.settings.step_samples).sum(0)
    np.testing.assert_allclose(first.mixture, rest, atol=1e-5 * np.abs(rest).max())


def test_the_mono_target_is_the_clip_at_the_published_level(library):
    task = begun(library)
    mono, dry = task.heard.mono, task.heard.dry
    assert mono.shape == (512, 32, 1) and np.sqrt(np.mean(mono**2)) == pytest.approx(TARGET_RMS, rel=1e-5)
    reference = np.abs(stft(dry, n_fft=1023, hop=512, window=1023))
    shape = reference / np.sqrt(np.mean(reference**2)) * TARGET_RMS
    np.testing.assert_allclose(mono[..., 0], shape, atol=1e-4 * shape.max())


def test_a_dynamic_target_goes_on_with_the_clip():
    library = few(seconds=3.0)
    task = begun(library)
    clip = library.clip(task.episode.sources[0].sound).samples
    for step in range(5):
        np.testing.assert_array_equal(task.heard.dry, np.resize(np.roll(clip, -16_000 * step), 16_000))
        act(task, Move.LEFT)


def test_no_mask_in_zero_to_one_beats_the_oracle(library):
    heard = begun(library, least_distance=2.0, most_distance=9.0).heard
    best = separation_quality(heard.mask * heard.mixture_magnitudes, heard.binaural)
    rng = np.random.default_rng(0)
    for _ in range(20):
        nearby = np.clip(heard.mask + rng.normal(0, 0.02, heard.mask.shape), 0, 1)
        assert separation_quality(nearby * heard.mixture_magnitudes, heard.binaural) <= best
    # Where the sources cancel the mixture is too small: those bins are the whole error.
    missing = np.maximum(heard.binaural - heard.mixture_magnitudes, 0.0).astype(np.float64)
    assert best == pytest.approx(-np.mean(missing**2) / np.mean(heard.binaural.astype(np.float64) ** 2), rel=1e-4)


def test_rises_add_up_to_the_improvement_over_the_mixture_and_the_last_counts_ten_times(library):
    task = begun(library, final_weight=10.0, max_steps=3)
    baseline, rewards = task.heard, []
    rng = np.random.default_rng(1)
    for _ in range(3):
        estimate = rng.uniform(0, 2, task.settings.estimate_shape).astype(np.float32)
        rewards.append(act(task, Move.LEFT, estimate).reward)
    mixture = separation_quality(baseline.unprocessed("mono"), baseline.mono)
    quality = task.info()["quality"]
    assert sum(rewards) == pytest.approx(quality - mixture + 10.0 * quality)


@pytest.mark.parametrize("kind", ["mono", "binaural"])
def test_the_truth_is_the_optimum_and_silence_is_minus_one(library, kind):
    task = begun(library, estimate=kind)
    shape = task.settings.estimate_shape
    assert judge(task.heard.truth(kind), task.heard, kind).quality == 0.0
    assert judge(np.zeros(shape, np.float32), task.heard, kind).quality == pytest.approx(-1.0)
    verdict = judge(task.heard.unprocessed(kind), task.heard, kind)
    assert verdict.to_mapping()["stft_distance_improvement"] == 0.0
    distance = spectrogram_distance(task.heard.unprocessed(kind), task.heard.truth(kind))
    assert verdict.distance == pytest.approx(distance, rel=1e-9)


@pytest.mark.parametrize(
    ("estimate", "message"),
    [
        (np.zeros((512, 32), np.float32), "expected real magnitudes of shape"),
        (np.zeros((512, 32, 2), np.float32), "mono target"),
        (np.zeros((512, 32, 1), np.complex64), "real magnitudes"),
        (np.full((512, 32, 1), np.nan, np.float32), "16384 NaN"),
        (np.full((512, 32, 1), np.inf), "NaN or infinite"),
        (np.full((512, 32, 1), -0.1), "0 or more, linear"),
        (np.full((512, 32, 1), 1e300), "NaN or infinite"),
        ("mixture", "expected real magnitudes"),
        ([[1.0], [1.0, 2.0]], "not an array"),
        (None, "expected real magnitudes"),
    ],
)
def test_an_estimate_that_is_none_is_refused(library, estimate, message):
    with pytest.raises(ActionError, match=message):
        begun(library).check_estimate(estimate)


@pytest.mark.parametrize("action", [3, -1, 1.0, "left", None])
def test_a_move_that_does_not_exist_is_refused(library, action):
    with pytest.raises(ActionError, match="0 forward, 1 left, 2 right"):
        act(begun(library), action)


def test_standing_still_is_an_action_where_it_is_allowed(library):
    task = begun(library, may_stand=True, max_steps=2)
    before = task.simulator.position.copy(), task.simulator.heading
    assert not act(task, Move.STAND).truncated and act(task, Move.STAND).truncated
    assert (task.simulator.position == before[0]).all() and task.simulator.heading == before[1]


def test_a_step_with_a_silent_target_earns_nothing(library):
    pause = np.zeros(32_000, np.float32)
    pause[20_000:22_000] = 0.1
    paused = Clip(samples=pause, rate=16_000, name="woman_1/01", category="woman_1")
    entry = ClipEntry(name=paused.name, category="woman_1", split="all", make=lambda: paused)
    mixed = ClipLibrary([entry, library.entry("rain/01")], 16_000)
    task = SeparationTask(settings(final_weight=0.0), "val", library=mixed, targets=("woman_1",))
    enter_scene(task, "home:val:0")
    task.begin(task.sample(np.random.default_rng(0), episode_id="e", scene="home:val:0"))
    assert task.heard.is_silent and not task.heard.mono.any()
    assert act(task, Move.LEFT, np.ones(task.settings.estimate_shape, np.float32)).reward == 0.0
    assert "quality" not in task.info() and set(task.measures()) == {"distance_to_target"}
    outcome = act(task, Move.LEFT, task.heard.mono)
    assert task.info()["quality"] == 0.0 and np.isfinite(outcome.reward)
    assert task.measures()["stft_distance"] == 0.0


def test_a_clip_of_another_rate_is_refused(library):
    other = ClipLibrary.speech_and_music(44_100, seconds=1.0)
    with pytest.raises(SoundError, match="44100 Hz and the simulator 16000 Hz"):
        SeparationTask(settings(), "val", library=other)


def episode(**changes):
    sources = tuple(PlacedSound(position=(0.0, 0.0, k), sound=k, category=k) for k in ())
    given = {
        "episode_id": "x",
        "scene": "home:val:0",
        "start_position": (0.0, 0.0, 0.0),
        "start_heading": 0.0,
        "target": "violin",
        "sources": sources,
    }
    return SeparationEpisode(**{**given, **changes})


def placed(*categories, x=0.0):
    return tuple(PlacedSound(position=(x, 0.0, 0.0), sound=f"{name}/01", category=name) for name in categories)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": placed("rain", "woman_1")}, "absent from the mixture"),
        ({"sources": placed("violin", "violin")}, "class of several sources"),
        ({"sources": placed("violin")}, "two or more"),
        ({"sources": placed("violin", "rain"), "start_position": (0.0, 0.0)}, "three finite numbers"),
    ],
)
def test_an_episode_that_cannot_be_is_refused(changes, message):
    with pytest.raises(EpisodeError, match=message):
        episode(**changes)


def test_a_sound_at_no_place_is_refused():
    with pytest.raises(EpisodeError, match="three finite numbers"):
        placed("violin", x=np.nan)


def test_a_world_too_small_for_the_sources_is_refused(library):
    with pytest.raises(EpisodeError, match="Use a larger scene or lower source_distance"):
        begun(library, source_distance=500.0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sources": 1}, ConfigurationError, "sources is 1"),
        ({"observation_time": 2.0}, UnknownNameError, "configuration key"),
        ({"success_reward": 2.0}, UnknownNameError, "configuration key"),
        ({"search_steps": 20}, ConfigurationError, "so that steps to separate remain"),
        ({"least_distance": 3.0}, ConfigurationError, "the least not above the most"),
        ({"estimate": "stereo"}, UnknownNameError, "mono, binaural"),
        ({"reward": "raise"}, UnknownNameError, "Did you mean 'rise'"),
        ({"source_height": 9.0}, ConfigurationError, r"0\.1 to 3"),
        ({"final_weight": float("nan")}, ConfigurationError, "finite"),
        ({"step_time": 0.02}, ConfigurationError, "Raise step_time"),
        ({"step_time": 0.256}, ConfigurationError, "a multiple of the spectrogram's hop"),
    ],
)
def test_impossible_settings_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        settings(**changes)


def test_masks_of_known_magnitudes():
    magnitudes = np.array([[3.0, 0.0, 1.0, 0.0], [1.0, 2.0, 1.0, 0.0]])
    np.testing.assert_allclose(ideal_ratio_masks(magnitudes), [[0.75, 0, 0.5, 0.5], [0.25, 1, 0.5, 0.5]])
    np.testing.assert_array_equal(
        ideal_binary_masks(magnitudes), [[True, False, True, False], [False, True, False, False]]
    )
    np.testing.assert_allclose(magnitude_mask(np.array([1.0, 3.0, 1.0]), np.array([2.0, 2.0, 0.0])), [0.5, 1, 0])


@pytest.mark.parametrize("bad", [[[-1.0]], [[np.nan]], [], 3.0])
def test_masks_of_what_is_no_magnitude_are_refused(bad):
    with pytest.raises(SoundError):
        ideal_ratio_masks(bad)


@pytest.mark.parametrize("transform", [(1023, 512, 1023), (512, 160, 400)])
def test_the_inverse_transform_brings_the_waveform_back(transform):
    n_fft, hop, window = transform
    samples = np.random.default_rng(0).normal(size=(2, 16_000))
    spectrum = stft(samples, n_fft=n_fft, hop=hop, window=window)
    found = istft(spectrum, 16_000, n_fft=n_fft, hop=hop, window=window)
    # The last window reaches half its length beyond its centre.
    reached = (spectrum.shape[-1] - 1) * hop + window // 2 - 1
    np.testing.assert_allclose(found[:, :reached], samples[:, :reached], atol=1e-9)
