import numpy as np
import pytest

from harken.errors import SoundError
from harken.sound.level import (
    active_part,
    active_rms,
    active_runs,
    amplitude,
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
