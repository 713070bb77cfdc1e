import numpy as np
import pytest

from harken.acoustics.bands import (
    amplitude_weights,
    apply_band_gains,
    band_edges,
    band_filters,
    band_noise,
    energy_weights,
)
from harken.errors import ConfigurationError
from harken.scene import OCTAVE_BANDS

RATE = 44100


def test_amplitudes_sum_to_one_and_so_do_the_squares_of_energy_weights():
    f = np.concatenate([[0.0], np.geomspace(1.0, 96000.0, 500)])
    assert np.allclose(amplitude_weights(f).sum(0), 1.0, atol=1e-12)
    assert np.allclose((energy_weights(f) ** 2).sum(0), 1.0, atol=1e-12)


def test_each_band_is_whole_at_its_centre_and_halved_at_its_edges():
    assert np.allclose(energy_weights(np.array(OCTAVE_BANDS)), np.eye(len(OCTAVE_BANDS)), atol=1e-7)
    weights = energy_weights(band_edges()[1:-1]) ** 2
    for b in range(len(OCTAVE_BANDS) - 1):
        assert weights[b, b] == pytest.approx(0.5, abs=1e-9)
        assert weights[b + 1, b] == pytest.approx(0.5, abs=1e-9)


def test_the_lowest_band_reaches_0_hz_and_the_highest_the_nyquist_frequency():
    assert energy_weights(np.array([0.0, 20.0]))[0].tolist() == [1.0, 1.0]
    assert energy_weights(np.array([24000.0]))[-1].tolist() == [1.0]


def test_equal_gains_leave_a_signal_as_it_was():
    signal = np.random.default_rng(0).standard_normal((2, 1000)).astype(np.float32)
    out = apply_band_gains(signal, np.ones(7), RATE)
    assert out.dtype == np.float32
    assert np.allclose(out, signal, atol=1e-6)  # float32


def test_a_tone_at_a_centre_gets_that_bands_gain():
    time = np.arange(8192) / RATE
    gains = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])
    for band, gain in zip(OCTAVE_BANDS, gains, strict=True):
        tone = np.sin(2.0 * np.pi * band * time)
        middle = slice(3000, 5000)
        # The rest is the far tail of the filters, which the beginning and the end of the tone excite.
        assert np.allclose(apply_band_gains(tone, gains, RATE)[middle], gain * tone[middle], atol=2e-3)


def test_gains_apply_per_channel_and_do_not_move_the_signal():
    impulse = np.zeros((2, 2001))
    impulse[:, 1000] = 1.0
    gains = np.ones((2, 7))
    gains[1] = [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]
    out = apply_band_gains(impulse, gains, RATE)
    assert np.allclose(out[0], impulse[0], atol=1e-6)
    assert out[1].argmax() == 1000
    assert np.allclose(out[1], out[1, ::-1], atol=1e-6)


def test_noise_split_into_bands_keeps_its_energy_and_each_band_its_share():
    noise = np.random.default_rng(1).standard_normal((2, 44100))
    bands = band_noise(noise, RATE)
    assert bands.shape == (7, 2, 44100)
    assert bands.dtype == np.float32
    # Parseval: the split is exact for each channel, float32 aside.
    assert np.allclose((bands**2).sum((0, 2), dtype=np.float64), (noise**2).sum(-1), rtol=1e-5)
    frequencies = np.fft.rfftfreq(44100, 1.0 / RATE)
    shares = (energy_weights(frequencies) ** 2).mean(-1)
    measured = (bands.astype(np.float64) ** 2).mean(-1)
    # A band of share s has about s·44100 independent values: variance of its energy 2/(s·44100), five sigma.
    assert (np.abs(measured / shares[:, None] - 1.0) < 5.0 * np.sqrt(2.0 / (shares[:, None] * 44100))).all()


def test_bands_above_the_nyquist_frequency_are_silent():
    noise = np.random.default_rng(2).standard_normal(4000)
    assert np.abs(band_noise(noise, 8000)[-1]).max() == 0.0


@pytest.mark.parametrize("taps", [1, 63, 513])
def test_short_filters_sum_to_an_impulse_in_their_middle(taps):
    filters = band_filters(16000, taps)
    impulse = np.zeros(taps)
    impulse[taps // 2] = 1.0
    assert filters.shape == (7, taps)
    assert np.allclose(filters.sum(0), impulse, atol=1e-6)
    assert np.allclose(filters, filters[:, ::-1], atol=1e-7)


def test_long_enough_filters_have_the_weights_as_their_response():
    filters = band_filters(16000, 2047)
    response = np.abs(np.fft.rfft(filters, 8192))
    # The window of 2047 taps blurs by about 16 Hz, an eighth of the lowest band.
    assert np.abs(response - amplitude_weights(np.fft.rfftfreq(8192, 1 / 16000))).max() < 0.03


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: band_edges(()), "one or more"),
        (lambda: band_edges((250.0, 125.0)), "rise"),
        (lambda: band_edges((0.0, 125.0)), "above 0"),
        (lambda: energy_weights(np.array([-1.0])), "hertz"),
        (lambda: energy_weights(np.array([np.nan])), "hertz"),
        (lambda: apply_band_gains(np.zeros(10), np.ones(6), 16000), "one per octave band"),
        (lambda: apply_band_gains(np.zeros(10), np.float64(1.0), 16000), "one per octave band"),
        (lambda: apply_band_gains(np.zeros(10), np.ones(7), 0), "sampling rate"),
        (lambda: band_noise(np.zeros(10), -16000), "sampling rate"),
        (lambda: band_filters(16000, 64), "odd"),
        (lambda: band_filters(16000, 0), "odd"),
    ],
)
def test_bad_input_is_explained(call, message):
    with pytest.raises(ConfigurationError, match=message):
        call()
