"""Interaural cues tell the direction of a sound, whatever sounds."""

import numpy as np
import pytest

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.errors import SoundError
from harken.sound.interaural import BANDS, LAGS, LONGEST_LAG, QUIETEST, interaural_cues

RATE = 16_000


def heard_from(azimuth, sound):
    """Return what KEMAR hears of a sound far away, `azimuth` to the left of ahead [rad]."""
    filters, delays = HeadResponse.kemar(RATE).lookup(np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]))
    frequencies = np.fft.rfftfreq(2 * len(sound), 1 / RATE)
    spectra = np.fft.rfft(sound, 2 * len(sound)) * np.fft.rfft(filters, 2 * len(sound))
    spectra *= np.exp(-2j * np.pi * frequencies * (np.asarray(delays)[:, None] + 1e-3))
    return np.fft.irfft(spectra)[:, : len(sound)].astype(np.float32)


@pytest.mark.parametrize("kind", ["noise", "pulses"])
@pytest.mark.parametrize("degrees", [-90, -45, 0, 30, 60])
def test_the_ear_at_which_a_sound_arrives_first_and_loudest_is_found_in_every_band(degrees, kind):
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal(4000)
    if kind == "pulses":
        sound[np.arange(4000) % 800 > 40] = 0.0
    cues = interaural_cues(heard_from(np.radians(degrees), sound), RATE)
    lags = np.linspace(-LONGEST_LAG, LONGEST_LAG, LAGS)[cues[:, :LAGS].argmax(1)]
    _, delays = HeadResponse.kemar(RATE).lookup(
        np.array([-np.sin(np.radians(degrees)), 0, -np.cos(np.radians(degrees))])
    )
    np.testing.assert_allclose(lags[:2], delays[1] - delays[0], atol=1.6e-4)
    assert np.all(np.sign(lags) == np.sign(degrees))
    assert np.all(np.sign(np.round(cues[:, LAGS], 3)) == np.sign(degrees))
    assert np.all(np.abs(cues[:, :LAGS]) <= 1.0 + 1e-6)


def test_a_louder_sound_differs_in_its_level_alone():
    sound = heard_from(0.5, 0.1 * np.random.default_rng(1).standard_normal(4000))
    one, other = interaural_cues(sound, RATE), interaural_cues(10 * sound, RATE)
    np.testing.assert_allclose(other[:, :-1], one[:, :-1], atol=1e-4)
    np.testing.assert_allclose(other[:, -1] - one[:, -1], 20.0, atol=1e-3)


def test_levels_of_bands_add_up_to_the_level_of_a_tone():
    tone = 0.1 * np.sqrt(2) * np.sin(2 * np.pi * 1000 * np.arange(4000) / RATE)
    cues = interaural_cues(np.stack([tone, tone]).astype(np.float32), RATE)
    assert cues[1, -1] == pytest.approx(-20.0, abs=0.1)
    assert np.all(cues[[0, 2, 3, 4], -1] < -45.0)


def test_silence_has_no_direction():
    cues = interaural_cues(np.zeros((2, 4000), np.float32), RATE)
    assert cues.shape == (len(BANDS), LAGS + 2) and cues.dtype == np.float32
    assert np.all(cues[:, :-1] == 0.0) and np.all(cues[:, -1] == QUIETEST)


@pytest.mark.parametrize("shape", [(4000,), (1, 4000), (2, 511)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(SoundError, match=r"expected \(2, samples\)"):
        interaural_cues(np.zeros(shape, np.float32), RATE)
