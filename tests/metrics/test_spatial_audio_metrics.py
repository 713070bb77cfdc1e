import numpy as np
import pytest

from harken.acoustics.hearing.ambisonics import encode
from harken.errors import ConfigurationError, SoundError
from harken.metrics.spatial_audio import (
    balance,
    balance_error,
    binaural_errors,
    energy_map_correlation,
    energy_map_distance,
    energy_panning,
    flipped,
    mono_mono,
    morgado_distance,
)

RATE = 16000


def noise(*shape, seed=0, level=0.1):
    return level * np.random.default_rng(seed).standard_normal(shape)


def plane_wave(azimuth, samples=1600, *, order=1, seed=0):
    """A sound from `azimuth` [rad], positive to the left of ahead."""
    direction = np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)])
    return encode(direction, order)[:, None] * noise(samples, seed=seed)


class TestBinauralErrors:
    def test_equals_the_definition_step_by_step(self):
        torch = pytest.importorskip("torch", reason="torch.stft stands for librosa's")
        signal = pytest.importorskip("scipy.signal")
        found, true = noise(2, 10001), noise(2, 10001, seed=1)
        errors = binaural_errors(found, true, normalization="none")

        def transform(samples):
            return torch.stft(
                torch.from_numpy(samples), 512, 160, 400, torch.hann_window(400, dtype=torch.float64),
                return_complex=True,
            ).numpy()  # fmt: skip

        expected = magnitude = envelope = 0.0
        for ear in range(2):
            error = transform(found[ear]) - transform(true[ear])
            expected += np.mean(np.stack([error.real, error.imag]) ** 2)
            magnitude += np.mean(np.abs(error) ** 2)
            both = [np.abs(signal.hilbert(x[ear])) for x in (found, true)]
            envelope += np.sqrt(np.mean((both[0] - both[1]) ** 2))
        angle = np.abs(np.angle(transform(found[0] - found[1])) - np.angle(transform(true[0] - true[1])))
        assert errors.stft == pytest.approx(expected)
        assert errors.magnitude == pytest.approx(magnitude)
        assert errors.envelope == pytest.approx(envelope)
        assert errors.phase == pytest.approx(np.minimum(angle, 2 * np.pi - angle).mean())
        ratio = (np.mean(true**2) + 1e-4) / (np.mean((found - true) ** 2) + 1e-4)
        assert errors.snr == pytest.approx(10 * np.log10(ratio))

    def test_the_truth_itself(self):
        true = noise(2, 4000)
        errors = binaural_errors(true, true)
        assert (errors.stft, errors.envelope, errors.magnitude, errors.phase) == (0, 0, 0, 0)
        assert errors.snr > 20

    def test_a_scaled_truth_in_closed_form(self):
        true = noise(2, 4000)
        whole = binaural_errors(2 * true, true, normalization="none")
        half = binaural_errors(1.5 * true, true, normalization="none")
        assert whole.stft == pytest.approx(4 * half.stft)
        assert whole.envelope == pytest.approx(2 * half.envelope)
        assert whole.phase == pytest.approx(0, abs=1e-12)
        assert whole.magnitude == pytest.approx(2 * whole.stft)

    def test_the_envelope_of_tones_is_their_amplitude(self):
        turns = 2 * np.pi * np.arange(1600) / 16
        true = np.stack([0.5 * np.sin(turns), 0.25 * np.sin(turns)])
        found = np.stack([0.4 * np.cos(turns), 0.3 * np.cos(turns)])
        assert binaural_errors(found, true, normalization="none").envelope == pytest.approx(0.1 + 0.05)

    def test_opposite_differences_are_half_a_turn_apart(self):
        true = noise(2, 4000)
        assert binaural_errors(flipped(true), true).phase == pytest.approx(np.pi, abs=1e-3)

    def test_mono_mono_has_the_published_phase_of_half_pi(self):
        true = noise(2, 10 * RATE)
        # Published: 1.571. Uniform angles in 257 × 1,001 cells, of which about a third are independent.
        assert binaural_errors(mono_mono(true), true).phase == pytest.approx(np.pi / 2, abs=4 * 0.907 / np.sqrt(85000))


class TestNormalization:
    def test_by_default_a_common_gain_changes_nothing(self):
        found, true = noise(2, 4000), noise(2, 4000, seed=1)
        expected = binaural_errors(found, true).to_mapping()
        assert binaural_errors(0.01 * found, 0.01 * true).to_mapping() == pytest.approx(expected)

    def test_by_default_an_error_of_level_counts_and_independently_it_does_not(self):
        true = noise(2, 4000)
        assert binaural_errors(3 * true, true).stft > 1
        assert binaural_errors(3 * true, true, normalization="independent").stft == pytest.approx(0, abs=1e-20)

    def test_independently_one_wrong_sample_is_wrong_everywhere(self):
        true = noise(2, 4000)
        click = true.copy()
        click[0, 2000] = 4 * np.abs(true).max()
        gentle = binaural_errors(click, true)
        harsh = binaural_errors(click, true, normalization="independent")
        # The ear without the click is exact, and yet at a quarter of its level.
        assert harsh.snr < 3.0
        assert binaural_errors(click[[1, 1]], true[[1, 1]]).stft == 0
        assert gentle.snr > harsh.snr

    def test_each_setting_is_a_division(self):
        found, true = noise(2, 4000), noise(2, 4000, seed=1, level=0.3)
        peaks = np.abs(found).max(), np.abs(true).max()
        bare = binaural_errors(found / peaks[0], true / peaks[1], normalization="none")
        assert binaural_errors(found, true, normalization="independent").to_mapping() == pytest.approx(
            bare.to_mapping()
        )
        bare = binaural_errors(found / peaks[1], true / peaks[1], normalization="none")
        assert binaural_errors(found, true).to_mapping() == pytest.approx(bare.to_mapping())

    def test_an_unknown_setting(self):
        with pytest.raises(ConfigurationError, match="Normalization"):
            binaural_errors(noise(2, 4000), noise(2, 4000), normalization="rms")


class TestBalance:
    def test_hand_computed(self):
        assert balance(np.array([[2.0, 0.0], [0.0, 1.0]])) == pytest.approx(3 / 5)
        assert balance(np.array([[1.0], [0.0]])) == 1
        assert balance(np.array([[0.0], [1.0]])) == -1

    def test_error_weighs_frames_with_the_energy_of_the_truth(self):
        true = np.array([[2.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
        found = np.array([[1.0, 0.0, 0.0, 5.0], [1.0, 0.0, 3.0, 0.0]])
        # Frames of one sample: energies 4, 0, 1, 0 and errors 1, -, 2, -.
        assert balance_error(found, true, frame=1) == pytest.approx((4 * 1 + 1 * 2) / 5)
        assert balance_error(found, true, frame=None) == pytest.approx(1 - (26 - 10) / 36)

    def test_level_does_not_matter_and_the_wrong_side_counts_twice(self):
        true = noise(2, 4000) * [[1.0], [0.0]]
        assert balance_error(7 * true, true) == 0
        assert balance_error(flipped(true), true) == pytest.approx(2)
        assert balance_error(mono_mono(true), true) == pytest.approx(1)

    def test_a_moving_source_is_balanced_only_as_a_whole(self):
        true = energy_panning(noise(RATE), np.array([np.pi / 2, -np.pi / 2]))
        still = energy_panning(noise(RATE), 0.0)
        assert balance_error(still, true) > 0.4
        assert balance_error(still, true, frame=None) < 0.05

    def test_a_silent_frame_of_the_prediction(self):
        true = noise(2, 4000)
        found = true.copy()
        found[:, 1600:3200] = 0
        with pytest.raises(SoundError, match="sample 1600"):
            balance_error(found, true)
        with pytest.raises(ConfigurationError, match="Frame"):
            balance_error(true, true, frame=0)


class TestBaselines:
    def test_mono_mono_is_the_mean_of_both_ears(self):
        found = mono_mono(np.array([[1.0, 0.0], [0.0, -1.0]]))
        np.testing.assert_array_equal(found, [[0.5, -0.5], [0.5, -0.5]])
        assert found.dtype == np.float32

    def test_flipped_twice_is_the_same(self):
        sound = np.float32(noise(2, 100))
        np.testing.assert_array_equal(flipped(sound), sound[::-1])
        np.testing.assert_array_equal(flipped(flipped(sound)), sound)

    @pytest.mark.parametrize("azimuth", [-np.pi / 2, -0.4, 0.0, 0.7, np.pi / 2, 3.0])
    def test_panning_has_the_balance_of_the_azimuth_and_keeps_the_sum(self, azimuth):
        mono = noise(2000)
        found = energy_panning(mono, azimuth)
        assert balance(found) == pytest.approx(np.sin(azimuth), abs=1e-5)
        np.testing.assert_allclose(found.mean(0), mono, atol=1e-7)
        assert found.dtype == np.float32

    def test_panning_follows_a_source_around(self):
        found = energy_panning(np.ones(5), np.array([np.pi / 2, 0.0, -np.pi / 2]))
        np.testing.assert_allclose(found[:, [0, 2, 4]], [[2, 1, 0], [0, 1, 2]], atol=1e-6)
        sides = (found[0] ** 2 - found[1] ** 2) / (found**2).sum(0)
        np.testing.assert_allclose(sides, [1, 0.5, 0, -0.5, -1], atol=1e-6)

    def test_panning_to_the_true_side_beats_mono_and_flipped(self):
        mono = noise(RATE)
        true = energy_panning(mono, 0.9) + noise(2, RATE, seed=1, level=0.005)
        scores = [binaural_errors(x, true).stft for x in (energy_panning(mono, 0.9), mono_mono(true), flipped(true))]
        assert scores == sorted(scores)

    def test_azimuths_that_cannot_be(self):
        for azimuth in (np.nan, np.zeros((2, 2)), np.zeros(0)):
            with pytest.raises(ConfigurationError, match="Azimuth"):
                energy_panning(noise(100), azimuth)


class TestEnergyMaps:
    @pytest.mark.parametrize("order", [1, 2])
    def test_the_same_sound_at_any_level_is_no_distance_away(self, order):
        sound = plane_wave(0.3, order=order)
        assert energy_map_distance(5 * sound, sound, rate=RATE) == pytest.approx(0, abs=1e-12)
        assert energy_map_correlation(5 * sound, sound, rate=RATE) == pytest.approx(1)

    def test_distance_grows_and_correlation_falls_with_the_angle(self):
        true = plane_wave(0.0)
        angles = (0.0, 0.5, 1.0, 2.0, np.pi)
        distances = [energy_map_distance(plane_wave(angle), true, rate=RATE) for angle in angles]
        assert distances == sorted(distances)
        assert distances[1] > 0.2
        correlations = [energy_map_correlation(plane_wave(angle), true, rate=RATE) for angle in angles[:4]]
        assert correlations == sorted(correlations, reverse=True)

    def test_equals_pyemd_on_the_same_maps(self):
        pyemd = pytest.importorskip("pyemd", reason="pyemd is the reference")
        from harken.acoustics.directivity import sphere_directions
        from harken.acoustics.hearing.ambisonics import energy_map

        found, true = plane_wave(1.2) + plane_wave(-2.0, seed=3), plane_wave(0.1, seed=1)
        places = sphere_directions(96)
        maps = [energy_map(sound, places) for sound in (found, true)]
        angles = np.arccos(np.clip(places @ places.T, -1, 1))
        expected = pyemd.emd(maps[0] / maps[0].sum(), maps[1] / maps[1].sum(), angles)
        assert energy_map_distance(found, true, rate=RATE) == pytest.approx(expected)

    def test_frames_weigh_by_the_energy_of_the_truth(self):
        true = np.concatenate([plane_wave(0.0), np.zeros((4, 1600)), 3 * plane_wave(0.0)], axis=1)
        found = np.concatenate([plane_wave(1.0), plane_wave(2.0), plane_wave(0.0)], axis=1)
        alone = energy_map_distance(plane_wave(1.0), plane_wave(0.0), rate=RATE)
        assert energy_map_distance(found, true, rate=RATE) == pytest.approx(alone / 10)

    def test_a_mono_prediction_has_a_distance_but_no_correlation(self):
        true = plane_wave(0.0)
        mono = true * np.array([[1.0], [0], [0], [0]])
        assert energy_map_distance(mono, true, rate=RATE) > 0.3
        with pytest.raises(SoundError, match="prediction is flat"):
            energy_map_correlation(mono, true, rate=RATE)

    def test_a_silent_frame_of_the_prediction(self):
        true = np.concatenate([plane_wave(0.0), plane_wave(0.0)], axis=1)
        found = true.copy()
        found[:, 1600:] = 0
        with pytest.raises(SoundError, match=r"silent from 0\.10 s"):
            energy_map_distance(found, true, rate=RATE)


class TestMorgado:
    def test_equals_the_released_definition_with_pyemd(self):
        pyemd = pytest.importorskip("pyemd", reason="pyemd is the reference")
        found, true = plane_wave(1.2, 4000), 0.7 * plane_wave(0.2, 4000, seed=1)
        nodes = [(np.radians(a), np.radians(e)) for e in range(-90, 91, 30) for a in range(150, -181, -30)]
        # AmbiX's axes: x ahead, y to the left, z up; the channels are W, Y, Z, X.
        axes = np.array([[np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)] for a, e in nodes])
        harmonics = np.stack([np.ones(84), axes[:, 1], axes[:, 2], axes[:, 0]], 1)
        angles = np.arccos(np.clip(axes @ axes.T, -1, 1))
        expected = []
        for frame in range(2):
            part = slice(1600 * frame, 1600 * (frame + 1))
            maps = [np.sqrt(np.mean((harmonics @ sound[:, part]) ** 2, 1)) for sound in (found, true)]
            expected.append(pyemd.emd(maps[0] / 84, maps[1] / 84, angles))
        assert morgado_distance(found, true, rate=RATE) == pytest.approx(np.mean(expected))

    def test_of_omnidirectional_sounds_only_the_levels_differ(self):
        sound = np.array([[1.0], [0], [0], [0]]) * np.ones(1600)
        assert morgado_distance(3 * sound, sound, rate=RATE) == pytest.approx(2 * np.pi)

    def test_needs_first_order_and_a_frame(self):
        with pytest.raises(SoundError, match=r"expected \(4, n\)"):
            morgado_distance(plane_wave(0.0, order=2), plane_wave(0.0, order=2), rate=RATE)
        with pytest.raises(SoundError, match=r"0\.1 s"):
            morgado_distance(plane_wave(0.0, 1599), plane_wave(0.0, 1599), rate=RATE)


EARS = noise(2, 2000)
FIELD = plane_wave(0.0, 2000)


@pytest.mark.parametrize("measure", [binaural_errors, balance_error])
@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (EARS, EARS[:, :1999], "shape"),
        (EARS[0], EARS[0], r"\(2, n\)"),
        (EARS[:1], EARS[:1], r"\(2, n\)"),
        (EARS.T, EARS.T, r"\(2, n\)"),
        (EARS[:, :0], EARS[:, :0], r"\(2, n\)"),
        (EARS * np.nan, EARS, "The prediction: .* are NaN or infinite"),
        (EARS, EARS * np.inf, "The truth: .* are NaN or infinite"),
        (EARS * 1j, EARS, "complex"),
        (0 * EARS, EARS, "prediction of shape .* is silent"),
        (EARS, 0 * EARS, "truth of shape .* is silent"),
    ],
)
def test_bad_binaural_input(measure, prediction, reference, message):
    with pytest.raises(SoundError, match=message):
        measure(prediction, reference)


@pytest.mark.parametrize("measure", [energy_map_distance, energy_map_correlation, morgado_distance])
@pytest.mark.parametrize(
    ("prediction", "reference", "message"),
    [
        (FIELD, FIELD[:, :1999], "shape"),
        (FIELD[0], FIELD[0], "channels, n"),
        (FIELD * np.nan, FIELD, "The prediction: .* are NaN or infinite"),
        (0 * FIELD, FIELD, "prediction of shape .* is silent"),
        (FIELD, 0 * FIELD, "truth of shape .* is silent"),
    ],
)
def test_bad_ambisonic_input(measure, prediction, reference, message):
    with pytest.raises(SoundError, match=message):
        measure(prediction, reference, rate=RATE)


@pytest.mark.parametrize(
    ("channels", "settings"), [(1, {}), (3, {}), (4, {"frame": 0.0}), (4, {"rate": np.nan}), (4, {"directions": 3})]
)
def test_settings_of_energy_maps_that_cannot_be(channels, settings):
    with pytest.raises(ConfigurationError):
        energy_map_distance(FIELD[:channels], FIELD[:channels], **{"rate": RATE, **settings})


@pytest.mark.parametrize("baseline", [mono_mono, flipped, balance])
def test_bad_input_of_baselines(baseline):
    for sound in (EARS[0], 0 * EARS, EARS * np.nan):
        with pytest.raises(SoundError):
            baseline(sound)


def test_bad_input_of_panning():
    for sound in (EARS, np.zeros(100), EARS[0] * np.nan, np.zeros(0)):
        with pytest.raises(SoundError):
            energy_panning(sound, 0.0)
