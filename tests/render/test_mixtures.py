import math
import pickle

import numpy as np
import pytest

from harken.acoustics import AcousticSettings
from harken.configs import from_mapping, to_mapping
from harken.errors import ConfigurationError, DataSetError, SoundError, UnknownNameError
from harken.render import make_recipe
from harken.render.encoding import decode_sample, encode_sample
from harken.render.recipe import Recipe
from harken.render.recipes.mixtures import MixturesRecipe, MixturesSettings
from harken.sound import spectrogram
from harken.tasks.heard import MAGNITUDES

FAST = {"acoustics": AcousticSettings(rays=100, duration=0.2), "places": 2, "width": 64, "height": 64, "duration": 1.0}


def recipe(split="train", seed=0, **changes):
    return MixturesRecipe(settings=MixturesSettings(**{**FAST, **changes}), split=split, seed=seed)


@pytest.fixture(scope="module")
def parts():
    return recipe().sample(3)


def test_it_is_one_of_the_recipes():
    made = make_recipe("mixtures")
    assert isinstance(made, Recipe) and made.split == "train"
    assert from_mapping(MixturesSettings, to_mapping(made.settings)) == made.settings


def test_the_stems_sum_to_the_mixture_and_so_does_their_energy(parts):
    stems = np.stack([parts[f"stem_{k}.flac"].samples for k in range(2)])
    mixture = parts["mixture.flac"].samples
    assert mixture.shape == (2, 16_000) and mixture.dtype == np.float32
    summed = stems.astype(np.float64).sum(0)
    np.testing.assert_allclose(summed, mixture, atol=1e-7 * float(np.abs(stems).max()))
    # ‖a + b‖² = ‖a‖² + ‖b‖² + 2⟨a, b⟩
    energy = np.square(stems, dtype=np.float64).sum((0, 2)) + 2 * np.sum(stems[0].astype(np.float64) * stems[1], 1)
    np.testing.assert_allclose(energy, np.square(mixture, dtype=np.float64).sum(1), rtol=1e-5)
    for stem, source in zip(stems, parts["json"]["sources"], strict=True):
        np.testing.assert_allclose(source["energy"], np.square(stem, dtype=np.float64).sum(1), rtol=1e-9)
        assert min(source["energy"]) > 0


def test_what_is_stored_still_sums_to_the_mixture(parts):
    stored = decode_sample(encode_sample(parts, number=3, split="train"))
    summed = stored["stem_0.flac"].astype(np.float64) + stored["stem_1.flac"]
    # Half a step of 24 bits for each of the three, at the scale at which it is stored, and the sum's own rounding.
    scales = [stored["json"]["parts"][name]["scale"] for name in ("stem_0.flac", "stem_1.flac", "mixture.flac")]
    assert np.abs(summed - stored["mixture.flac"]).max() <= (0.5 * sum(scales) + 0.25 * max(scales)) * 2.0**-23
    assert stored["jpg"].shape == (64, 64, 3) and stored["dry.flac"].shape == (2, 16_000)


def test_ratio_masks_are_shares_that_separate(parts):
    masks = parts["masks.npy"] / np.float32(255)
    assert masks.shape == (2, 512, 32, 2) and parts["masks.npy"].dtype == np.uint8
    np.testing.assert_allclose(masks.sum(0), 1.0, atol=1.01 / 255)
    mixture = spectrogram(parts["mixture.flac"].samples, MAGNITUDES)
    for k in range(2):
        stem = spectrogram(parts[f"stem_{k}.flac"].samples, MAGNITUDES)
        assert np.square(masks[k] * mixture - stem).sum() < np.square(mixture - stem).sum()


def test_floats_keep_every_bit(parts):
    floats = decode_sample(encode_sample(recipe(audio="wav").sample(3), number=3, split="train"))
    assert floats["stem_1.wav"].tobytes() == parts["stem_1.flac"].samples.tobytes()


def test_binary_masks_choose_one_source():
    masks = recipe(masks="binary").sample(3)["masks.npy"]
    assert masks.dtype == bool and (masks.sum(0) <= 1).all() and masks.sum(0).mean() > 0.9


def test_boxes_hold_the_objects_and_the_pictures_columns_agree_with_their_directions():
    one = recipe(width=128, height=128)
    for number in range(6):
        told = one.sample(number)["json"]
        for source in told["sources"]:
            left, top, right, bottom = source["box"]
            assert 0 <= left < right <= 128 and 0 <= top < bottom <= 128
            assert 0 < source["pixels"] <= (right - left) * (bottom - top)
            assert source["object_category"] == source["category"]
            away = np.subtract(source["position"], told["position"])
            assert source["distance"] == pytest.approx(np.linalg.norm(away))
            # Only what is wholly in the picture has its middle where the box has it.
            if left > 2 and right < 126 and abs(source["azimuth"]) < 0.6:
                middle = 64 - 64 * np.tan(source["azimuth"])
                assert left - 16 <= middle <= right + 16


def test_what_is_left_is_louder_on_the_left():
    one, signs = recipe(), []
    for number in range(12):
        parts = one.sample(number)
        for k, source in enumerate(parts["json"]["sources"]):
            if abs(source["azimuth"]) > 0.4 and source["distance"] < 3.0:
                left, right = np.square(parts[f"stem_{k}.flac"].samples, dtype=np.float64).sum(1)
                signs.append(np.sign(left - right) == np.sign(source["azimuth"]))
    assert not signs or np.mean(signs) == 1.0


def test_samples_depend_on_settings_split_seed_and_number_only(parts):
    def said(made, number):
        return encode_sample(made.sample(number), number=number, split=made.split)

    first = encode_sample(parts, number=3, split="train")
    other = recipe()
    other.sample(9)
    assert said(other, 3) == first and said(pickle.loads(pickle.dumps(other)), 3) == first
    assert said(recipe(seed=1), 3) != first and said(recipe("val"), 3)["mixture.flac"] != first["mixture.flac"]


def test_talkers_and_instruments_sound_from_any_object():
    told = recipe(sounds="speech and music", objects="any", sources=3).sample(0)["json"]
    assert len({source["category"] for source in told["sources"]}) == 3
    assert len({source["object"] for source in told["sources"]}) == 3


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"sources": 1}, ConfigurationError, "a whole number from 2 to 6"),
        ({"duration": 0.0}, ConfigurationError, r"from 0\.1 to 120"),
        ({"objects": "some"}, UnknownNameError, "matching, any"),
        ({"masks": "soft"}, UnknownNameError, "ratio, binary"),
        ({"audio": "mp3"}, UnknownNameError, "flac, wav"),
        ({"places": 0}, ConfigurationError, "places is 0; .* from 1 to"),
        ({"width": 8}, ConfigurationError, "from 32 to 4096"),
        ({"rate": "16000"}, ConfigurationError, "rate is '16000'; expected a whole number"),
        ({"field_of_view": math.nan}, ConfigurationError, "field_of_view is nan"),
        ({"level_range": 99.0}, ConfigurationError, "from 0 to 60"),
    ],
)
def test_impossible_settings_are_refused(changes, error, message):
    with pytest.raises(error, match=message):
        recipe(**changes)


def test_sounds_that_no_object_makes_and_too_few_categories_are_refused(tmp_path):
    import soundfile

    for name in ("trombone", "dog", "cat"):
        (tmp_path / "train" / name).mkdir(parents=True)
        soundfile.write(
            tmp_path / "train" / name / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000
        )
    with pytest.raises(DataSetError, match='set objects="any"'):
        recipe(sounds=str(tmp_path)).sample(0)
    with pytest.raises(SoundError, match="expected 4 or more"):
        recipe(sounds=str(tmp_path), sources=4).sample(0)
    with pytest.raises(SoundError, match="not there"):
        recipe(sounds=str(tmp_path / "none")).sample(0)
