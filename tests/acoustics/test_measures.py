import numpy as np
import pytest

from harken.acoustics import measures as m
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS

RATE = 16000
T = 0.6
DECAY = 6.0 * np.log(10.0) / T  # energy falls by 60 dB in T


def exponential(seconds: float = 1.5, delay: float = 0.02, rate: int = RATE) -> np.ndarray:
    """Energy that decays exponentially from `delay` on, each value holding the energy up to the next."""
    edges = np.arange(round(seconds * rate) + 1) / rate - delay
    left = np.exp(-DECAY * np.maximum(edges, 0.0))
    return (left[:-1] - left[1:]) / DECAY


def decaying_noise(seed: int, seconds: float = 1.5, rate: int = 44100) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return np.random.default_rng(seed).standard_normal(len(time)) * np.exp(-0.5 * DECAY * time)


@pytest.mark.parametrize("levels", [(0.0, -10.0), (-5.0, -25.0), (-5.0, -35.0)])
def test_decay_times_of_exponential_decay_are_exact(levels):
    # The energy ends after 148 dB, so that only the rounding of the sums is left.
    assert m.decay_time(exponential(), RATE, levels=levels) == pytest.approx(T, rel=1e-6)


def test_decay_time_of_a_response_that_is_just_long_enough_is_short_by_less_than_one_per_cent():
    # 46 dB of decay. What is cut off lies 11 dB below the end of the part that the line uses and bends it down.
    assert 0.99 * T < m.decay_time(exponential(0.02 + 0.46), RATE) < T
    assert m.decay_time(exponential(0.02 + 0.60), RATE) == pytest.approx(T, rel=0.001)


def test_decay_times_tell_a_double_slope():
    first, second = exponential(), np.exp(-6.0 * np.log(10.0) / 2.0 * np.arange(24000) / RATE)
    second *= 0.1 * first.sum() / second.sum()
    second[: round(0.02 * RATE)] = 0.0
    both = np.stack([first, first + second])
    early, late = m.decay_time(both, RATE, levels=(0.0, -10.0)), m.decay_time(both, RATE, levels=(-5.0, -25.0))
    assert early[0] == pytest.approx(late[0], rel=1e-5)
    assert late[1] > 1.3 * early[1]


def test_clarity_definition_and_centre_time_of_exponential_decay_are_analytic():
    energy = exponential()
    for limit in (0.05, 0.08, 0.0333333):
        expected = 10.0 * np.log10(np.exp(DECAY * limit) - 1.0)
        assert m.clarity(energy, RATE, limit=limit) == pytest.approx(expected, abs=0.01)
    assert m.definition(energy, RATE) == pytest.approx(1.0 - np.exp(-DECAY * 0.05), abs=1e-6)
    assert m.centre_time(energy, RATE) == pytest.approx(1.0 / DECAY, rel=1e-4)


def test_a_histogram_of_10_ms_bins_gives_what_the_response_gives():
    fine = exponential(delay=0.02)
    coarse = fine.reshape(-1, 160).sum(-1)
    for measure in (m.decay_time, m.clarity, m.definition):
        assert measure(coarse, 100) == pytest.approx(measure(fine, RATE), rel=1e-4)
    # A bin's energy counts at its middle: less than half a millisecond too late at 14 ms per neper.
    assert m.centre_time(coarse, 100) == pytest.approx(m.centre_time(fine, RATE), abs=0.0005)


def test_measures_keep_leading_axes_and_ignore_level_and_delay():
    energy = np.stack([[exponential(delay=0.02), 7.0 * exponential(delay=0.1)], [exponential(delay=0.3)] * 2])
    for measure in (m.decay_time, m.clarity, m.definition, m.centre_time, m.direct_to_reverberant_ratio):
        values = measure(energy, RATE)
        assert values.shape == (2, 2)
        assert np.allclose(values, values[0, 0], rtol=1e-6)
    assert np.allclose(m.arrival_time(energy, RATE), [[0.02, 0.1], [0.3, 0.3]])


def test_decay_curve_is_the_energy_still_to_come():
    curve = m.decay_curve(np.array([0.0, 5.0, 4.0, 1.0, 0.0]), 10)
    assert curve[:4] == pytest.approx(10.0 * np.log10([1.0, 1.0, 0.5, 0.1]))
    assert curve[4] == -np.inf


def test_direct_to_reverberant_ratio_of_two_impulses_is_that_of_their_energies():
    energy = np.zeros(RATE)
    energy[100], energy[100 + round(0.004 * RATE)] = 1.0, 0.25
    assert m.direct_to_reverberant_ratio(energy, RATE) == pytest.approx(10.0 * np.log10(4.0))
    early = np.zeros(RATE)
    early[100], early[100 + round(0.001 * RATE)], early[5000] = 1.0, 1.0, 0.5
    assert m.direct_to_reverberant_ratio(early, RATE) == pytest.approx(10.0 * np.log10(4.0))


def test_strength_is_20_db_at_1_m_and_0_db_at_10_m_in_the_free_field():
    for distance in (1.0, 2.0, 10.0):
        energy = np.zeros(1000)
        energy[500] = distance**-2.0
        assert m.strength(energy) == pytest.approx(20.0 - 20.0 * np.log10(distance))


def test_strength_per_band_is_that_of_the_whole_for_an_impulse():
    response = 0.1 * decaying_noise(0)
    response[0] = 5.0
    response /= np.sqrt((response**2).sum())
    impulse = np.zeros(1 << 16)
    impulse[1 << 15] = 0.1
    shares = [e.sum() for e in m.band_energies(impulse * 10.0, 44100)]
    assert np.allclose([m.strength(e / s) for e, s in zip(m.band_energies(impulse, 44100), shares, strict=True)], 0.0)
    measured = m.room_measures(response, 44100).strength
    # White with energy one: 20 dB in every band, give or take the statistics of the noise in 125 Hz (60 values).
    assert np.allclose(measured, 20.0, atol=3.0)


def test_band_energies_leave_the_arrival_in_place_and_lose_nothing_in_between():
    impulse = np.zeros((2, 40000))
    impulse[:, 20000] = 1.0
    energies = m.band_energies(impulse, 44100)
    assert energies.shape == (7, 2, 40000)
    assert (energies.argmax(-1) == 20000).all()
    # From 125 Hz to 8 kHz the weights' squares sum to one; beyond they fade within an octave on either side.
    assert 7875.0 / 22050.0 < energies[:, 0].sum() < (16000.0 - 62.5) / 22050.0


def test_room_measures_of_decaying_noise_are_those_of_its_decay():
    response = np.stack([decaying_noise(seed) for seed in range(8)])
    result = m.room_measures(response, 44100)
    assert result.bands == OCTAVE_BANDS
    for values in (result.edt, result.t20, result.t30, result.c50, result.c80, result.d50, result.centre_time):
        assert values.shape == (7, 8)
    # Davy 1979: a decay time's relative variance is about 10/(bandwidth·T); here its mean over 8 noises, four sigma.
    bandwidth = np.array(OCTAVE_BANDS) / np.sqrt(2.0)
    four_sigma = 4.0 * np.sqrt(10.0 / (bandwidth * T) / 8.0)
    assert (np.abs(result.t30.mean(-1) / T - 1.0) < four_sigma).all()
    assert (np.abs(result.t20.mean(-1) / T - 1.0) < four_sigma).all()
    assert result.c80[-1].mean() == pytest.approx(10.0 * np.log10(np.exp(DECAY * 0.08) - 1.0), abs=0.2)
    assert result.d50[-1].mean() == pytest.approx(1.0 - np.exp(-DECAY * 0.05), abs=0.02)
    assert result.centre_time[-1].mean() == pytest.approx(1.0 / DECAY, rel=0.03)


def test_room_measures_take_the_bands_that_the_rate_allows():
    assert m.room_measures(decaying_noise(0, rate=16000), 16000).bands == OCTAVE_BANDS[:6]


def test_modulation_transfer_of_exponential_decay_is_schroeders():
    frequencies = np.array(m.MODULATION_FREQUENCIES)
    expected = (1.0 + (2.0 * np.pi * frequencies / DECAY) ** 2) ** -0.5
    assert m.modulation_transfer(exponential(delay=0.0), RATE, frequencies) == pytest.approx(expected, rel=1e-4)


def test_modulation_transfer_of_two_equal_impulses_is_the_cosine():
    energy = np.zeros(RATE)
    energy[0] = energy[RATE // 20] = 1.0
    frequencies = np.array([1.0, 5.0, 10.0])
    assert m.modulation_transfer(energy, RATE, frequencies) == pytest.approx(np.abs(np.cos(np.pi * frequencies / 20.0)))


def test_speech_transmission_is_perfect_without_reverberation_and_falls_with_it():
    impulse = np.zeros((7, 1000))
    impulse[:, 10] = 1.0
    assert m.speech_transmission_index(impulse, 1000) == pytest.approx(1.0, abs=1e-9)
    time = np.arange(40000) / 4000
    by_time = [
        float(m.speech_transmission_index(np.tile(np.exp(-6.0 * np.log(10.0) * time / t), (7, 1)), 4000))
        for t in (0.3, 0.6, 1.0, 2.0, 4.0)
    ]
    assert (np.diff(by_time) < -0.03).all()
    # The same in every band: the index is the mean transmission index of one band, as the weights sum to one.
    transfer = (1.0 + (2.0 * np.pi * np.array(m.MODULATION_FREQUENCIES) / 13.8155) ** 2) ** -0.5
    expected = np.mean((np.clip(10.0 * np.log10(transfer / (1.0 - transfer)), -15.0, 15.0) + 15.0) / 30.0)
    assert by_time[2] == pytest.approx(expected, abs=1e-3)


def test_speech_transmission_keeps_leading_axes():
    energy = np.broadcast_to(exponential(), (7, 3, 24000))
    assert m.speech_transmission_index(energy, RATE).shape == (3,)


def test_lateral_fraction_counts_5_to_80_ms():
    omni, sideways = np.zeros(RATE), np.zeros(RATE)
    omni[100] = 1.0
    for milliseconds, energy in ((2, 1.0), (40, 0.5), (120, 1.0)):
        omni[100 + 16 * milliseconds] = sideways[100 + 16 * milliseconds] = energy
    assert m.lateral_fraction(omni, sideways, RATE) == pytest.approx(0.5 / 2.5)
    assert m.lateral_fraction(omni, np.zeros(RATE), RATE) == 0.0


@pytest.mark.parametrize("delay", [-0.0006, -0.00001, 0.0, 0.000123, 0.0007])
def test_interaural_time_difference_is_found_between_the_samples(delay):
    noise = np.random.default_rng(0).standard_normal(4096)
    frequencies = np.fft.rfftfreq(4096, 1.0 / RATE)
    response = np.stack([noise, np.fft.irfft(np.fft.rfft(noise) * np.exp(-2j * np.pi * frequencies * delay))])
    step = 1.0 / (16 * RATE)
    assert m.interaural_time_difference(response, RATE) == pytest.approx(delay, abs=1.01 * step)
    assert m.interaural_time_difference(response[::-1], RATE) == pytest.approx(-delay, abs=1.01 * step)


def test_interaural_level_difference_is_left_over_right_in_db():
    response = np.stack([np.full(100, 0.2), np.full(100, 0.1)])
    assert m.interaural_level_difference(response) == pytest.approx(20.0 * np.log10(2.0))


def test_interaural_coherence_is_1_for_the_same_and_near_0_for_independent_noise():
    noise = np.random.default_rng(1).standard_normal((2, 32000))
    assert m.interaural_coherence(noise[[0, 0]], RATE) == pytest.approx(1.0, abs=1e-9)
    # Greatest of some 32 independent lags with a standard deviation of 1/√32000 each: five sigma.
    assert m.interaural_coherence(noise, RATE) < 5.0 / np.sqrt(32000.0)
    mixed = np.stack([noise[0], 0.6 * noise[0] + 0.8 * noise[1]])
    assert m.interaural_coherence(mixed, RATE) == pytest.approx(0.6, abs=0.02)


def test_measuring_changes_nothing_and_repeats_itself():
    response = decaying_noise(4)
    before = response.tobytes()
    first, second = m.room_measures(response, 44100), m.room_measures(response, 44100)
    assert first.t30.tobytes() == second.t30.tobytes()
    assert response.tobytes() == before


def test_differences_that_can_be_noticed_are_positive_and_cannot_be_changed():
    assert all(value > 0 for value in m.JUST_NOTICEABLE_DIFFERENCES.values())
    with pytest.raises(TypeError):
        m.JUST_NOTICEABLE_DIFFERENCES["edt"] = 1.0


IMPULSE = np.eye(1, 1000)[0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: m.decay_time(np.zeros(100), RATE), SoundError, "silent"),
        (lambda: m.decay_time(np.zeros(0), RATE), SoundError, "at least one value"),
        (lambda: m.decay_time(np.full(100, np.nan), RATE), SoundError, "NaN"),
        (lambda: m.decay_time(-exponential(), RATE), SoundError, "negative"),
        (lambda: m.decay_time(exponential(), 0), ConfigurationError, "rate"),
        (lambda: m.decay_time(exponential(), RATE, levels=(-35.0, -5.0)), ConfigurationError, "fall"),
        (lambda: m.decay_time(exponential(0.3), RATE), SoundError, "too short"),
        (lambda: m.decay_time(np.ones(1000), RATE, levels=(0.0, -10.0)), SoundError, "too short"),
        (lambda: m.decay_time(IMPULSE, RATE), SoundError, "too few"),
        (lambda: m.decay_time(np.stack([exponential(), 0 * exponential()]), RATE), SoundError, "silent"),
        (lambda: m.clarity(IMPULSE, RATE), SoundError, "infinite"),
        (lambda: m.clarity(exponential(), RATE, start=9.0), SoundError, "outside"),
        (lambda: m.clarity(exponential(), RATE, start=np.nan), SoundError, "outside"),
        (lambda: m.direct_to_reverberant_ratio(IMPULSE, RATE), SoundError, "infinite"),
        (lambda: m.strength(np.zeros(10)), SoundError, "silent"),
        (lambda: m.lateral_fraction(IMPULSE, IMPULSE[:5], RATE), SoundError, "figure-of-eight"),
        (lambda: m.speech_transmission_index(np.ones((6, 1000)), RATE), SoundError, "octave"),
        (lambda: m.speech_transmission_index(np.ones((7, 1000)), 50), SoundError, "100 or more"),
        (lambda: m.band_energies(IMPULSE, 16000), ConfigurationError, "sampling rate"),
        (lambda: m.room_measures(np.zeros(1000), 44100), SoundError, "silent"),
        (lambda: m.room_measures(np.eye(1, 9000)[0], 44100), SoundError, "filter"),
        (lambda: m.interaural_level_difference(np.ones(10)), SoundError, r"\(2, n\)"),
        (lambda: m.interaural_level_difference(np.stack([np.ones(9), np.zeros(9)])), SoundError, "silent"),
        (lambda: m.interaural_coherence(np.ones((2, 9)), RATE, band=(9e3, 1e4)), SoundError, "nothing between"),
    ],
)
def test_what_cannot_be_measured_is_an_error_and_no_number(call, error, message):
    with pytest.raises(error, match=message):
        call()
