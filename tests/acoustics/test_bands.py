import numpy as np
import pytest

from harken.acoustics.bands import (
    amplitude_weights,
    band_edges,
    band_filters,
    band_gains,
    energy_weights,
)
from harken.errors import ConfigurationError
from harken.scene import OCTAVE_BANDS


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
        (lambda: band_filters(16000, 64), "odd"),
        (lambda: band_filters(16000, 0), "odd"),
    ],
)
def test_bad_input_is_explained(call, message):
    with pytest.raises(ConfigurationError, match=message):
        call()


def test_gains_of_an_impulse_are_its_square_in_every_band():
    # 1/r² at 1, 2 and 10 m in the free field.
    impulses = np.zeros((3, 4000), np.float32)
    impulses[:, 100] = 1.0, 0.5, 0.1
    gains = band_gains(impulses, 16000)
    assert gains.shape == (3, len(OCTAVE_BANDS))
    np.testing.assert_allclose(gains, np.array([[1.0], [0.25], [0.01]]).repeat(7, 1), rtol=1e-5)


@pytest.mark.parametrize("samples", [10, 4000])
def test_gains_are_the_power_that_noise_keeps_and_add_up_to_that_of_white_noise(samples):
    rng = np.random.default_rng(0)
    response = rng.standard_normal(samples) * np.exp(-np.arange(samples) / 800)
    gains, fine = band_gains(response, 16000), np.fft.rfftfreq(2**16, 1 / 16000)
    shares = amplitude_weights(fine).mean(1)
    assert shares.sum() == pytest.approx(1.0)
    # Parseval: white noise comes out with the power of the sum of squares.
    assert gains @ shares == pytest.approx((response**2).sum(), rel=0.01)


def test_gains_are_refused_where_there_are_no_bands():
    for arguments in ((16000, (1000.0, 500.0)), (8000, OCTAVE_BANDS), (0, OCTAVE_BANDS)):
        with pytest.raises(ConfigurationError):
            band_gains(np.ones(100), *arguments)
