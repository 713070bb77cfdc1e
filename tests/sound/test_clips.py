import pickle

import numpy as np
import pytest

from harken.errors import ConfigurationError, SoundError, UnknownNameError
from harken.sound import Clip, ClipLibrary
from harken.sound.clips import ClipEntry
from harken.sound.level import active_rms

RAMP = np.linspace(0.1, 1.0, 10, dtype=np.float32)


def test_a_clip_knows_its_length_and_is_read_only():
    clip = Clip(samples=np.ones(8000), rate=16000)
    assert clip.duration == 0.5
    assert clip.samples.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        clip.samples[0] = 0.0


def test_a_clip_does_not_change_with_the_array_it_was_made_from():
    samples = RAMP.copy()
    clip = Clip(samples=samples, rate=16000)
    samples[:] = 0.0
    np.testing.assert_array_equal(clip.samples, RAMP)


@pytest.mark.parametrize(
    ("start", "count"), [(0, 10), (0, 35), (7, 3), (7, 4), (25, 40), (-3, 5), (1234567, 11), (4, 0)]
)
def test_a_loop_repeats_the_clip_without_end(start, count):
    found = Clip(samples=RAMP, rate=16000).looped(start, count)
    np.testing.assert_array_equal(found, RAMP[np.arange(start, start + count) % 10])
    found[:] = -1.0  # a fresh array


def test_normalising_sets_the_active_level_and_keeps_the_rest():
    noise = np.random.default_rng(0).standard_normal(16000) * 0.01
    clip = Clip(samples=np.concatenate([noise, np.zeros(16000)]), rate=16000, name="hiss", category="air", split="val")
    louder = clip.normalised(0.2)
    assert active_rms(louder.samples, 16000) == pytest.approx(0.2, rel=1e-5)
    assert (louder.rate, louder.name, louder.category, louder.split) == (16000, "hiss", "air", "val")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"samples": np.zeros(0)}, SoundError, "n > 0"),
        ({"samples": np.ones((2, 100))}, SoundError, r"shape \(2, 100\)"),
        ({"samples": np.array([0.1, np.nan, np.inf])}, SoundError, "2 of 3 samples are NaN"),
        ({"samples": np.array([0.1, 1e300])}, SoundError, r"peak of 1e\+300; expected at most 1000"),
        ({"samples": np.zeros(100)}, SoundError, "silent"),
        ({"samples": np.full(100, 5e-5)}, SoundError, "silent: its peak is 5.0e-05"),
        ({"rate": 0}, ConfigurationError, "rate is 0"),
        ({"rate": 16000.0}, ConfigurationError, "whole number"),
        ({"rate": True}, ConfigurationError, "rate is True"),
        ({"rate": 10**7}, ConfigurationError, "10000000"),
        ({"split": "trian"}, UnknownNameError, "Did you mean 'train'"),
    ],
    ids=str,
)
def test_bad_clips_are_refused(change, error, message):
    with pytest.raises(error, match=message):
        Clip(**({"samples": RAMP, "rate": 16000} | change))


@pytest.fixture(scope="module")
def library():
    return ClipLibrary.builtin(8000)


def test_a_library_lists_its_clips_in_order(library):
    assert list(library) == sorted(library) == list(library.names())
    assert len(library) == len(library.names())
    assert "telephone" in library
    assert "trombone" not in library
    assert library.splits == ("train", "val", "test", "all")
    assert list(library.categories) == sorted(set(library.categories))


def test_splits_share_no_clip_and_make_up_the_library(library):
    splits = [set(library.names(split=split)) for split in library.splits]
    assert sum(map(len, splits)) == len(library)
    assert set.union(*splits) == set(library)


def test_clips_of_split_all_are_added_on_request(library):
    assert library.names(split="all") == ("telephone",)
    assert "telephone" not in library.names(split="test")
    assert set(library.names(split="test", shared=True)) == {"telephone", *library.names(split="test")}


def test_names_can_be_chosen_by_category_and_split(library):
    assert library.names(category="chair") == ("chair_1", "chair_2", "chair_3")
    assert library.names(split="val", category="chair") == ("chair_2",)


def test_a_clip_says_what_the_library_says(library):
    for name in ("telephone", "sofa_3"):
        clip, entry = library.clip(name), library.entry(name)
        assert (clip.name, clip.category, clip.split, clip.rate) == (name, entry.category, entry.split, 8000)


def test_a_clip_is_made_once(library):
    assert library.clip("bed_1") is library.clip("bed_1")


def test_a_library_can_be_sent_to_another_process(library):
    library.clip("clock_1")
    copy = pickle.loads(pickle.dumps(library))
    assert list(copy) == list(library)
    assert copy.clip("clock_1").samples.tobytes() == library.clip("clock_1").samples.tobytes()
    assert len(pickle.dumps(library)) < 50_000


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda library: library.clip("telefone"), "clip 'telefone'. Did you mean 'telephone'"),
        (lambda library: library.entry("chair"), "clip 'chair'"),
        (lambda library: library.names(split="valid"), "split 'valid'. Did you mean 'val'"),
        (lambda library: library.names(category="chairs"), "category 'chairs'. Did you mean 'chair'"),
        (
            lambda library: library.names(split="all", category="chair"),
            "split of category 'chair' 'all'.* Known: test, tr",
        ),
    ],
)
def test_unknown_names_are_refused_with_a_suggestion(library, call, message):
    with pytest.raises(UnknownNameError, match=message):
        call(library)


def test_a_library_needs_clips_with_different_names():
    entry = ClipEntry(name="hum", category="hum", split="all", make=lambda: Clip(samples=RAMP, rate=16000))
    with pytest.raises(SoundError, match="more than one is called hum"):
        ClipLibrary([entry, entry], 16000)
    with pytest.raises(SoundError, match="at least one clip"):
        ClipLibrary([], 16000)
    with pytest.raises(ConfigurationError, match="sample rate is -1"):
        ClipLibrary([entry], -1)
