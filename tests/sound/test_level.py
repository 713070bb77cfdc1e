import numpy as np
import pytest
import soundfile

from harken.errors import SoundError
from harken.sound import Clip, load_clip
from harken.sound.level import (
    a_weighting,
    active_part,
    active_rms,
    active_runs,
    amplitude,
    as_pressure,
    decibels,
    rms,
    sound_pressure_level,
)


def test_rms_of_a_sine_is_its_amplitude_over_root_two():
    sine = np.sin(2 * np.pi * 100 * np.arange(16000) / 16000)
    np.testing.assert_allclose(rms(np.float32([sine, 2 * sine])), [0.5**0.5, 2**0.5], rtol=1e-6)


def test_decibels_and_amplitude_are_inverse():
    levels = np.array([-60.0, -6.0, 0.0, 20.0])
    np.testing.assert_allclose(decibels(amplitude(levels)), levels, atol=1e-12)
    assert decibels(0.0) == -np.inf


def test_one_pascal_is_94_decibels():
    # 20 log10(1 / 20e-6) = 93.979 dB; the built-in clips lie 20 dB below.
    assert sound_pressure_level(np.ones((2, 100), np.float32)) == pytest.approx([93.979, 93.979], abs=1e-3)
    assert sound_pressure_level(np.full(100, 0.1, np.float32)) == pytest.approx(73.979, abs=1e-3)
    assert sound_pressure_level(np.full(100, 0.1, np.float32), pascals=10.0) == pytest.approx(93.979, abs=1e-3)


def test_pauses_do_not_count_in_the_active_rms():
    rate = 16000
    sine = 0.5 * np.sin(2 * np.pi * 250 * np.arange(rate) / rate)
    paused = np.concatenate([sine, np.zeros(3 * rate)])
    assert active_rms(paused, rate) == pytest.approx(0.5 / 2**0.5, rel=1e-3)
    assert active_part(paused, rate).sum() == rate


def test_what_lies_less_than_40_decibels_below_the_loudest_is_active():
    rate = 8000
    steps = np.repeat([1.0, 0.0105, 0.0095], rate)
    active = active_part(steps, rate).reshape(3, rate)
    assert active.all(axis=1).tolist() == [True, True, False]
    assert active.any(axis=1).tolist() == [True, True, False]


def test_runs_are_where_the_active_part_begins_and_ends():
    rate = 8000
    steps = np.repeat([1.0, 0.0, 0.5, 0.2, 0.0], rate)
    np.testing.assert_array_equal(active_runs(steps, rate), [[0, rate], [2 * rate, 4 * rate]])
    np.testing.assert_array_equal(active_runs(steps[rate:], rate), [[rate, 3 * rate]])
    np.testing.assert_array_equal(active_runs(np.ones(333), rate), [[0, 333]])
    assert active_runs(np.zeros(rate), rate).shape == (0, 2)


def test_a_last_frame_that_is_not_full_counts():
    assert active_rms(np.ones(333), 16000) == pytest.approx(1.0)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1000)], ids=["none", "zeros"])
def test_silence_has_no_active_rms(samples):
    with pytest.raises(SoundError, match="silent"):
        active_rms(samples, 16000)


@pytest.mark.parametrize(
    ("kind", "quiet", "loud"), [("uint8", 128, 255), ("int16", 0, 2**15 - 1), ("int32", 0, 2**31 - 1)]
)
def test_integer_samples_are_divided_by_their_full_scale(kind, quiet, loud):
    pressure = as_pressure(np.array([quiet, loud], kind))
    assert pressure.dtype.kind == "f"
    assert pressure == pytest.approx([0.0, 1.0], abs=1e-2)
    assert as_pressure(np.array([np.iinfo(kind).min], kind)) == [-1.0]


def test_clips_and_files_of_integers_agree(tmp_path):
    tone = np.sin(np.arange(8000) / 9.0)
    numbers = np.round(tone * 2**14).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", numbers, 8000)
    expected = load_clip(tmp_path / "a.wav", 8000, level=None).samples
    assert Clip(samples=numbers, rate=8000).samples.tobytes() == expected.tobytes()
    assert np.abs(expected).max() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_floating_point_samples_stay_what_they_are(kind):
    samples = np.array([0.25, -1.5], kind)
    assert as_pressure(samples) is samples


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array(["a", "b"]), "samples of type <U1"),
        ("sound", "samples of type <U5"),
        (b"\0\1", "samples of type"),
        ([None], "samples of type object"),
        ([[0.0], [0.0, 1.0]], "not an array of samples"),
        (np.ones(3, np.int64), "samples of type int64"),
        (np.ones(3, bool), "samples of type bool"),
        (np.ones(3, np.complex64), "samples of type complex64"),
        (np.array([0.0, np.nan, -np.inf]), "2 of 3 samples are NaN or infinite"),
        (np.array([0.0, 1e38], np.float32), "peak of 1e\\+38; expected at most 1000"),
        (np.array([0.0, -32768.0]), "such as 32768 for 16 bits"),
    ],
)
def test_what_is_no_sound_is_refused(samples, message):
    with pytest.raises(SoundError, match=message):
        as_pressure(samples)
    with pytest.raises(SoundError):
        Clip(samples=samples, rate=8000)


def test_a_weighting_is_that_of_the_standard_s_table():
    # IEC 61672-1:2013, table 3, at exact base-10 frequencies; the table is rounded to 0.1 dB.
    table = {10: -70.4, 16: -56.7, 31.5: -39.4, 63: -26.2, 125: -16.1, 250: -8.6, 500: -3.2, 1000: 0.0, 2000: 1.2,
             4000: 1.0, 8000: -1.1, 16000: -6.6}  # fmt: skip
    exact = 1000.0 * 10 ** (np.round(10 * np.log10(np.array(list(table)) / 1000.0)) / 10)
    np.testing.assert_allclose(a_weighting(exact), list(table.values()), atol=0.051)
    assert a_weighting(np.array(1000.0)) == 0.0 and a_weighting(np.full((2, 3), 500.0)).shape == (2, 3)
