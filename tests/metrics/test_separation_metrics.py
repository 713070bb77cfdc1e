import warnings

import numpy as np
import pytest
import scipy.linalg
import scipy.signal

from harken.errors import ConfigurationError, HarkenWarning, SoundError
from harken.metrics.separation import (
    TARGET_RMS,
    bss_eval,
    improvement,
    over_time,
    scale_invariant_sdr,
    separation_quality,
    spectrogram_distance,
    stft_distance,
)
from harken.sound import Spectrogram, spectrogram
from harken.sound.stft import stft


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The threads of linear algebra wait for each other, endlessly where other tests hold the cores."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
    else:
        with threadpool_limits(1):
            yield


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def band_limited(sources, samples, share):
    """Noise below a share of the Nyquist frequency, with the rounding of float32 samples."""
    spectra = np.fft.rfft(noise(sources, samples))
    spectra[:, int(share * spectra.shape[1]) :] = 0
    return np.fft.irfft(spectra, samples).astype(np.float32).astype(np.float64)


def separated(targets, seed=1):
    """Estimates with crosstalk, an echo and noise of their own."""
    crosstalk = np.eye(len(targets)) + 0.2 * np.random.default_rng(seed).random((len(targets),) * 2)
    estimates = crosstalk @ targets + 0.1 * np.roll(targets, 17, axis=1)
    return estimates + 0.03 * noise(*targets.shape, seed=seed)


class TestSpectrogramDistance:
    def test_hand_computed(self):
        target = np.array([[1.0, 2.0], [0.0, 1.0]])
        estimate = np.array([[1.0, 0.0], [1.0, 1.0]])
        assert spectrogram_distance(estimate, target) == pytest.approx(0.5 * (4 + 1) / 4)
        assert spectrogram_distance(estimate, target, power=1) == pytest.approx((2 + 1) / 4)
        assert separation_quality(estimate, target) == pytest.approx(-(4 + 1) / (1 + 4 + 1))

    def test_sums_over_the_ears_with_power_2_and_averages_with_power_1(self):
        target = np.abs(noise(8, 5, 2))
        estimate = np.abs(noise(8, 5, 2, seed=1))
        for power, whole in ((2, sum), (1, np.mean)):
            ears = [spectrogram_distance(estimate[..., ear], target[..., ear], power=power) for ear in range(2)]
            assert spectrogram_distance(estimate, target, power=power) == pytest.approx(whole(ears))

    def test_is_that_of_real_and_imaginary_parts_with_the_phase_of_the_target(self):
        waveform = noise(16000)
        true = stft(waveform, n_fft=1023, hop=512, window=1023)
        magnitude = np.abs(true) * np.random.default_rng(2).random(true.shape)
        error = magnitude * np.exp(1j * np.angle(true)) - true
        expected = np.mean(np.stack([error.real, error.imag]) ** 2)
        assert spectrogram_distance(magnitude, np.abs(true)) == pytest.approx(expected)

    def test_fits_the_spectrogram_that_an_agent_observes(self):
        waveform = np.float32(noise(1, 16000))
        settings = Spectrogram(n_fft=1023, hop=512, window=1023, downsample=1, padding="reflect")
        observed = np.expm1(spectrogram(waveform, settings))[..., 0]
        assert observed.shape == (512, 32)
        true = np.abs(stft(waveform[0], n_fft=1023, hop=512, window=1023))
        assert spectrogram_distance(observed, true) < 1e-8 * np.square(true).mean()

    def test_silence_has_the_energy_of_the_target_and_quality_minus_one(self):
        target = np.abs(noise(16, 4))
        target *= TARGET_RMS / np.sqrt(np.square(target).mean())
        assert spectrogram_distance(0 * target, target) == pytest.approx(0.72)
        assert separation_quality(0 * target, target) == pytest.approx(-1.0)

    def test_distance_of_waveforms_counts_the_phase(self):
        target = noise(2, 4000)
        assert stft_distance(target, target) == 0.0
        assert stft_distance(-target, target) == pytest.approx(4 * stft_distance(0 * target, target))
        assert stft_distance(target, target[::-1]) == pytest.approx(2 * stft_distance(target[0], target[1]))


class TestScaleInvariantSdr:
    @pytest.mark.parametrize("zero_mean", [True, False])
    def test_equals_torchmetrics(self, zero_mean):
        torch = pytest.importorskip("torch", reason="torchmetrics needs it")
        audio = pytest.importorskip("torchmetrics.functional.audio", reason="torchmetrics is the reference")
        target = noise(6, 16000) + 0.2
        estimate = 0.3 * target + np.geomspace(1e-4, 10, 6)[:, None] * (noise(6, 16000, seed=1) + 0.1)
        expected = audio.scale_invariant_signal_distortion_ratio(
            torch.from_numpy(estimate), torch.from_numpy(target), zero_mean=zero_mean
        ).numpy()
        np.testing.assert_allclose(scale_invariant_sdr(estimate, target, zero_mean=zero_mean), expected, atol=1e-4)

    def test_closed_form_for_orthogonal_noise(self):
        target, error = np.array([1.0, -1.0, 1.0, -1.0]), np.array([1.0, 1.0, -1.0, -1.0])
        assert scale_invariant_sdr(5 * target + 0.5 * error, 2 * target) == pytest.approx(20.0)

    @pytest.mark.parametrize("scale", [1e-6, -3.0, 1e6])
    def test_does_not_depend_on_the_scale_of_either(self, scale):
        target, estimate = noise(1000), noise(1000) + 0.4 * noise(1000, seed=1)
        expected = scale_invariant_sdr(estimate, target)
        assert scale_invariant_sdr(scale * estimate, target) == pytest.approx(expected)
        assert scale_invariant_sdr(estimate, scale * target) == pytest.approx(expected)

    def test_the_infinite_is_an_error_or_the_limit(self):
        target = noise(2, 1000)
        orthogonal = np.sin(2 * np.pi * np.arange(1000) / 10)
        tone = np.cos(2 * np.pi * np.arange(1000) / 10)
        with pytest.raises(SoundError, match="nothing but the target"):
            scale_invariant_sdr(0.3 * target, target)
        with pytest.raises(SoundError, match="nothing of the target"):
            scale_invariant_sdr(orthogonal, tone)
        np.testing.assert_array_equal(scale_invariant_sdr(0.3 * target, target, limit=100.0), [100.0, 100.0])
        assert scale_invariant_sdr(orthogonal, tone, limit=100.0) == -100.0

    def test_a_limit_changes_nothing_within(self):
        target, estimate = noise(1000), noise(1000) + noise(1000, seed=1)
        assert scale_invariant_sdr(estimate, target, limit=60.0) == scale_invariant_sdr(estimate, target)


class TestBssEval:
    @pytest.mark.parametrize("permutation", [False, True])
    def test_equals_mir_eval(self, permutation):
        reference = pytest.importorskip("mir_eval.separation", reason="mir_eval is the reference")
        targets = noise(2, 4000)
        estimates = np.roll(separated(targets), 1 if permutation else 0, axis=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = reference.bss_eval_sources(targets, estimates, compute_permutation=permutation)
        found = bss_eval(estimates, targets, permutation=permutation)
        for ratio, theirs in zip((found.sdr(), found.sir(), found.sar()), expected, strict=False):
            np.testing.assert_allclose(ratio, theirs, atol=1e-3)
        assert found.order == tuple(expected[3])

    @pytest.mark.parametrize("share", [0.1, 0.5])
    def test_equals_an_orthogonal_projection_where_sources_are_band_limited(self, share):
        # The normal equations of such sources are singular to rounding; the delays themselves are not.
        taps, targets = 32, band_limited(3, 2000, share)
        estimates = separated(targets)
        expected = np.array([by_orthogonal_projection(estimates, targets, j, taps) for j in range(3)]).T
        found = bss_eval(estimates, targets, taps=taps)
        np.testing.assert_allclose([found.sdr(), found.sir(), found.sar()], expected, atol=1e-3)

    def test_warns_where_double_precision_does_not_suffice(self):
        lowpass = scipy.signal.butter(6, 0.05, output="sos")
        targets = scipy.signal.sosfilt(lowpass, noise(2, 3000))
        with pytest.warns(HarkenWarning, match="float32"):
            bss_eval(separated(targets), targets, taps=64)
        rounded = targets.astype(np.float32).astype(np.float64)
        expected = np.array([by_orthogonal_projection(separated(targets), rounded, j, 64) for j in range(2)]).T
        found = bss_eval(separated(targets), rounded, taps=64)
        np.testing.assert_allclose([found.sdr(), found.sir(), found.sar()], expected, atol=1e-3)

    def test_one_tap_is_the_closed_form_of_instantaneous_mixing(self):
        targets = scipy.linalg.hadamard(8)[1:3].astype(float)
        artefact = scipy.linalg.hadamard(8)[5]
        estimates = np.stack([4 * targets[0] + 2 * targets[1] + artefact, targets[1] + 0.5 * targets[0] + artefact])
        found = bss_eval(estimates, targets, taps=1)
        np.testing.assert_allclose(found.target, [8 * 16, 8])
        np.testing.assert_allclose(found.sdr(), 10 * np.log10([16 / 5, 1 / 1.25]))
        np.testing.assert_allclose(found.sir(), 10 * np.log10([16 / 4, 1 / 0.25]))
        np.testing.assert_allclose(found.sar(), 10 * np.log10([20 / 1, 1.25 / 1]))

    def test_levels_do_not_matter(self):
        targets = noise(2, 3000)
        estimates = separated(targets)
        found = bss_eval(np.array([[1e-7], [1e4]]) * estimates, np.array([[1e5], [1e-6]]) * targets)
        expected = bss_eval(estimates, targets)
        for name in ("sdr", "sir", "sar"):
            np.testing.assert_allclose(getattr(found, name)(), getattr(expected, name)(), atol=1e-9)

    def test_a_filtered_target_is_undistorted_and_a_mixture_has_no_artefacts(self):
        targets = noise(2, 4000)
        targets[:, -100:] = 0
        echo = targets + 0.5 * np.roll(targets, 60, axis=1)
        with pytest.raises(SoundError, match="SDR is infinite"):
            bss_eval(echo, targets).sdr()
        mixture = bss_eval(np.broadcast_to(targets.sum(0), targets.shape), targets)
        with pytest.raises(SoundError, match="SAR is infinite"):
            mixture.sar()
        np.testing.assert_array_equal(mixture.sar(limit=80.0), [80.0, 80.0])
        np.testing.assert_allclose(mixture.sir(), mixture.sdr())


def by_orthogonal_projection(estimates, targets, j, taps):
    """SDR, SIR and SAR from explicit delays and a QR decomposition: no normal equations."""
    delays = [scipy.linalg.convolution_matrix(target, taps) for target in targets]
    wanted = np.pad(estimates[j], (0, taps - 1))

    def project(columns):
        basis = scipy.linalg.qr(columns, mode="economic")[0]
        return basis @ (basis.T @ wanted)

    of_one, of_all = project(delays[j]), project(np.hstack(delays))
    energies = [np.square(x).sum() for x in (of_one, of_all - of_one, wanted - of_all)]
    return 10 * np.log10(
        [
            energies[0] / (energies[1] + energies[2]),
            energies[0] / energies[1],
            (energies[0] + energies[1]) / energies[2],
        ]
    )


class TestImprovement:
    def test_of_a_perfect_mask_is_the_mixtures_deficit(self):
        target, other = noise(2, 4000)
        estimate = target + 0.1 * other
        gain = improvement(scale_invariant_sdr, estimate, target + other, target)
        assert gain == pytest.approx(20.0, abs=0.5)
        assert gain == scale_invariant_sdr(estimate, target) - scale_invariant_sdr(target + other, target)

    def test_a_mono_mixture_serves_all_sources(self):
        targets = noise(2, 3000)
        estimates = separated(targets)

        def sdr(estimates, targets):
            return bss_eval(estimates, targets, taps=64).sdr()

        found = improvement(sdr, estimates, targets.sum(0), targets)
        assert found.shape == (2,)
        assert (found > 3).all()

    def test_a_fallen_distance_is_positive(self):
        target = np.abs(noise(8, 8))
        better, worse = target + 0.1, target + 1.0
        assert improvement(spectrogram_distance, better, worse, target, lower_is_better=True) > 0

    def test_a_mixture_that_does_not_fit(self):
        with pytest.raises(SoundError, match="mean of both ears"):
            improvement(scale_invariant_sdr, noise(100), noise(2, 100), noise(100))


class TestOverTime:
    def test_summarises_the_steps(self):
        targets = noise(3, 500)
        estimates = targets + np.array([[1.0], [0.5], [0.1]]) * noise(3, 500, seed=1)
        found = over_time(scale_invariant_sdr, estimates, targets)
        np.testing.assert_allclose(found.values, scale_invariant_sdr(estimates, targets))
        np.testing.assert_array_equal(found.steps, [0, 1, 2])
        assert found.mean == pytest.approx(found.values.mean())
        assert (found.first, found.last) == (found.values[0], found.values[2])
        assert found.gained == pytest.approx(20.0, abs=1.5)
        assert found.silent == 0

    def test_silent_steps_are_an_error_or_counted(self):
        targets = noise(4, 500)
        targets[[0, 2]] = 0
        estimates = targets + noise(4, 500, seed=1)
        with pytest.raises(SoundError, match=r"Step 0: .*silent"):
            over_time(scale_invariant_sdr, estimates, targets)
        found = over_time(scale_invariant_sdr, estimates, targets, skip_silent=True)
        np.testing.assert_array_equal(found.steps, [1, 3])
        assert found.silent == 2
        with pytest.raises(SoundError, match="silent at all 4 steps"):
            over_time(scale_invariant_sdr, estimates, 0 * targets, skip_silent=True)

    def test_numbers_of_steps_that_differ(self):
        with pytest.raises(SoundError, match="steps"):
            over_time(scale_invariant_sdr, noise(3, 500), noise(2, 500))


SOUND = noise(2, 4000)
BAD = np.where(np.arange(4000) == 7, np.nan, SOUND)


@pytest.mark.parametrize(
    ("measure", "estimate", "target", "message"),
    [
        (scale_invariant_sdr, SOUND, SOUND[0], "shape"),
        (scale_invariant_sdr, SOUND[:, :0], SOUND[:, :0], "not empty"),
        (scale_invariant_sdr, BAD, SOUND, "The estimate: .* are NaN or infinite"),
        (scale_invariant_sdr, SOUND, BAD, "The target: .* are NaN or infinite"),
        (scale_invariant_sdr, SOUND * 1j, SOUND, "complex"),
        (scale_invariant_sdr, SOUND, SOUND * [[1], [0]], "target of shape .* is silent"),
        (scale_invariant_sdr, SOUND * [[1], [0]], SOUND, "estimate of shape .* is silent"),
        (scale_invariant_sdr, 0 * SOUND + 0.1, SOUND, "estimate is constant"),
        (scale_invariant_sdr, SOUND, 0 * SOUND + 0.1, "target is constant"),
        (bss_eval, SOUND[0], SOUND[0], r"expected \(sources, n\)"),
        (bss_eval, SOUND, BAD, "The target: .* are NaN or infinite"),
        (bss_eval, SOUND, SOUND * [[1], [0]], "target of shape .* is silent"),
        (bss_eval, SOUND * [[1], [0]], SOUND, "estimate of shape .* is silent"),
        (bss_eval, SOUND[:, :1024], SOUND[:, :1024], "more than 1024 samples"),
        (stft_distance, SOUND[None], SOUND[None], r"\(n,\) or \(channels, n\)"),
        (stft_distance, SOUND, 0 * SOUND, "silent"),
        (stft_distance, SOUND[:, :100], SOUND[:, :100], "more than 511 samples"),
        (spectrogram_distance, SOUND[0], SOUND[0], "frequencies, frames"),
        (spectrogram_distance, np.abs(SOUND), SOUND, "negative"),
        (spectrogram_distance, np.abs(SOUND), 0 * SOUND, "silent"),
        (spectrogram_distance, np.abs(BAD), np.abs(SOUND), "NaN"),
        (separation_quality, np.abs(SOUND), 0 * SOUND, "silent"),
    ],
)
def test_bad_input(measure, estimate, target, message):
    with pytest.raises(SoundError, match=message):
        measure(estimate, target)


def test_settings_out_of_range():
    with pytest.raises(ConfigurationError, match="Power"):
        spectrogram_distance(np.ones((2, 2)), np.ones((2, 2)), power=3)
    with pytest.raises(ConfigurationError, match="taps"):
        bss_eval(SOUND, SOUND, taps=0)
    with pytest.raises(ConfigurationError, match="Limit"):
        scale_invariant_sdr(SOUND, SOUND, limit=-3.0)
