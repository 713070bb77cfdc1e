"""How well a sound was separated from a mixture: distances of spectrograms, SI-SDR, and SDR, SIR and SAR.

Targets and estimates are waveforms ``(..., n)`` or magnitude spectrograms ``(frequencies, frames[, channels])`` in
linear magnitude, as `harken.sound.spectrogram` gives them before its ``log(1 + x)``.

A silent target leaves nothing to find and raises `SoundError` everywhere. A silent estimate has a distance, which is
finite and true, but no ratio. A ratio beyond ±130 dB, more than single-precision samples can resolve, counts as
infinite: it raises `SoundError`, or becomes ±`limit` where the caller has set one. No function returns NaN or infinity.

Sources: Majumder, Al-Halah and Grauman (ICCV 2021), "Move2Hear: active audio-visual source separation"; Majumder and
Grauman (ECCV 2022), "Active audio-visual separation of dynamic sound sources"; both with their released code.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft

from harken.errors import ConfigurationError, HarkenWarning, SoundError
from harken.sound.level import as_pressure
from harken.sound.stft import stft

__all__ = [
    "TARGET_RMS",
    "SeparationOverTime",
    "SourceRatios",
    "bss_eval",
    "improvement",
    "over_time",
    "scale_invariant_sdr",
    "separation_quality",
    "spectrogram_distance",
    "stft_distance",
]

Measure = Callable[[np.ndarray, np.ndarray], np.ndarray | float]
"""A function of an estimate and its target."""

TARGET_RMS: float = 1.2
"""RMS over frequencies and frames to which Move2Hear scales the magnitudes of its mono targets, so that the distances
of all clips weigh alike; published STFT distances are of such targets."""

_INFINITE = 1e-13
"""Ratio of energies that counts as none: −130 dB, near the rounding of float32 samples."""

_SETTLED = 1e-18
"""Energy of a step, relative to the estimate's, that ends a projection: 1e-4 of the amplitude of a part at −100 dB."""
_UNSETTLED = 1e-10
"""The same of a last step that is large enough to measure."""
_MOST_STEPS = 20


def spectrogram_distance(estimate: np.ndarray, target: np.ndarray, *, power: Literal[1, 2] = 2) -> float:
    """Return the STFT distance of magnitudes, as the active-separation systems train and score it.

    With power 2 this is the published "STFT distance": the mean over real and imaginary parts, frequencies and frames
    of the squared error, both with the *target's* phase, summed over the channels. The phase cancels:
    Σ_channels mean((M̂ − M)²) / 2. With power 1 it is the loss of the passive separators: mean(|M̂ − M|) over
    everything, channels included.

    Published targets are scaled to an RMS of `TARGET_RMS`.

    Args:
        estimate: ``(frequencies, frames)`` or ``(frequencies, frames, channels)`` magnitudes, linear, not their
            logarithm.
        target: The true magnitudes, of the same shape.
        power: 2 or 1.

    Returns:
        The distance, 0 or more; a silent estimate has that of silence.

    Raises:
        SoundError: The shapes differ, a value is complex, NaN or infinite, or the target is silent or negative.
        ConfigurationError: The power is not 1 or 2.
    """
    estimate, target = _magnitudes(estimate, target)
    if power == 1:
        return float(np.abs(estimate - target).mean())
    if power != 2:
        raise ConfigurationError(f"Power of the STFT distance is {power!r}; expected 1 or 2.")
    channels = 1 if target.ndim == 2 else target.shape[2]
    return float(0.5 * channels * np.square(estimate - target).mean())


def separation_quality(estimate: np.ndarray, target: np.ndarray) -> float:
    """Return Move2Hear's quality of an estimate, −mean((M̂ − M)²) / mean(M²): 0 if exact, −1 for silence.

    Move2Hear rewards a step with the rise of this value. With targets of RMS `TARGET_RMS` the denominator is the
    constant 1.44, which the system for dynamic sources divides by.

    Arguments and errors are those of `spectrogram_distance`.
    """
    estimate, target = _magnitudes(estimate, target)
    return float(-np.square(estimate - target).mean() / np.square(target).mean())


def stft_distance(
    estimate: np.ndarray,
    target: np.ndarray,
    *,
    n_fft: int = 1023,
    hop: int = 512,
    window: int = 1023,
    padding: Literal["reflect", "zeros"] = "reflect",
) -> float:
    """Return the distance of `spectrogram_distance` with each waveform's own phase: errors of phase count as well.

    It is the sum over the channels of the mean over real and imaginary parts, frequencies and frames of |Ŝ − S|².

    Args:
        estimate: ``(n,)`` or ``(channels, n)`` samples.
        target: The true waveform, of the same shape.
        n_fft: Length of the Fourier transform [samples]; the defaults are Move2Hear's, for 16 kHz.
        hop: Distance between frames [samples].
        window: Length of the Hann window [samples].
        padding: As for `harken.sound.stft.stft`.

    Returns:
        The distance, 0 or more.

    Raises:
        SoundError: The shapes differ or are not supported, a sample is NaN or infinite, or the target is silent.
        ConfigurationError: A setting of the transform is out of range.
    """
    estimate, target = _pair(estimate, target, dimensions=(1, 2), shape="(n,) or (channels, n)")
    error = stft(estimate - target, n_fft=n_fft, hop=hop, window=window, padding=padding)
    return float(0.5 * np.mean(error.real**2 + error.imag**2, axis=(-2, -1)).sum())


def scale_invariant_sdr(
    estimate: np.ndarray, target: np.ndarray, *, zero_mean: bool = True, limit: float | None = None
) -> np.ndarray:
    """Return SI-SDR over the last axis: 10·log₁₀(‖αs‖² / ‖αs − ŝ‖²) with α = ⟨ŝ, s⟩ / ‖s‖².

    Source:
        Le Roux, Wisdom, Erdogan and Hershey (ICASSP 2019), "SDR – half-baked or well done?", equations 3–5. Removing
        the means first is what Move2Hear and most of the field do; torchmetrics does so only on request.

    Args:
        estimate: ``(..., n)`` samples; any scale.
        target: ``(..., n)`` the true waveform.
        zero_mean: Remove the means over the last axis first.
        limit: Report a ratio beyond ±limit [dB] as ±limit. None raises an error where it is infinite.

    Returns:
        ``(...)`` float64 [dB].

    Raises:
        SoundError: The shapes differ, a sample is NaN or infinite, a target or an estimate is silent (constant, if
            the mean is removed), or a ratio is infinite and no limit is set.
    """
    estimate, target = _pair(estimate, target, silent_estimate="has no SI-SDR", each=True)
    if zero_mean:
        estimate, target = (_without_mean(x, name) for x, name in ((estimate, "estimate"), (target, "target")))
    alpha = (estimate * target).sum(-1, keepdims=True) / np.square(target).sum(-1, keepdims=True)
    projection = alpha * target
    return _decibels(np.square(projection).sum(-1), np.square(estimate - projection).sum(-1), "SI-SDR", limit)


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceRatios:
    """The energies into which BSS Eval splits each estimate, and their ratios."""

    target: np.ndarray
    """``(sources,)`` energy of what filters of up to `taps` samples can make of the true source."""
    interference: np.ndarray
    """``(sources,)`` energy of what they can make of the other sources besides."""
    artefacts: np.ndarray
    """``(sources,)`` energy of the rest."""
    order: tuple[int, ...]
    """Which estimate belongs to each target."""

    def sdr(self, *, limit: float | None = None) -> np.ndarray:
        """Return the signal-to-distortion ratio ``(sources,)`` [dB]: target over interference and artefacts.

        Args:
            limit: Report a ratio beyond ±limit [dB] as ±limit. None raises an error where it is infinite.

        Raises:
            SoundError: A ratio is infinite and no limit is set.
        """
        return _decibels(self.target, self.interference + self.artefacts, "SDR", limit)

    def sir(self, *, limit: float | None = None) -> np.ndarray:
        """Return the signal-to-interference ratio ``(sources,)`` [dB]; argument and error are those of `sdr`.

        It is infinite where there is only one source.
        """
        return _decibels(self.target, self.interference, "SIR", limit)

    def sar(self, *, limit: float | None = None) -> np.ndarray:
        """Return the signal-to-artefacts ratio ``(sources,)`` [dB]; argument and error are those of `sdr`.

        It is infinite for the unprocessed mixture, which has no artefacts.
        """
        return _decibels(self.target + self.interference, self.artefacts, "SAR", limit)


def bss_eval(estimates: np.ndarray, targets: np.ndarray, *, taps: int = 512, permutation: bool = False) -> SourceRatios:
    """Split estimates into target, interference and artefacts as BSS Eval 3 does (``bss_eval_sources``).

    An estimate is projected onto all delays of 0 to taps − 1 samples of its own target and then of all targets. The
    normal equations are Toeplitz, block by block, and their entries correlations. Where targets leave part of the band
    empty, as speech and most recordings do, the equations are singular to rounding: their solution is refined on the
    waveforms, so that the ratios are those of an orthogonal projection. mir_eval solves the equations alone, and its
    SIR and SAR are then wrong by up to tens of decibels; its SDR is not.

    Source:
        Vincent, Gribonval and Févotte (2006), "Performance measurement in blind audio source separation", IEEE Trans.
        Audio Speech Lang. Process. 14, 1462, section III.B; ratios of version 3 as mir_eval computes them.

    Args:
        estimates: ``(sources, n)`` samples.
        targets: ``(sources, n)`` the true waveforms, all that the mixture holds: what is left out counts as artefact.
        taps: Length of the distortion filters [samples].
        permutation: Find the order of the estimates with the greatest mean SIR; otherwise the first estimate belongs
            to the first target and so on.

    Returns:
        The energies, by target.

    Raises:
        SoundError: The shapes differ or are not supported, a sample is NaN or infinite, a target or an estimate is
            silent, or the waveforms are no longer than the filters of all sources together.
        ConfigurationError: There is no tap.

    Warns:
        HarkenWarning: The targets are filtered so steeply that the refinement does not settle.
    """
    estimates, targets = _pair(
        estimates, targets, dimensions=(2,), shape="(sources, n)", silent_estimate="has no SDR", each=True
    )
    if taps < 1:
        raise ConfigurationError(f"Distortion filters have {taps!r} taps; expected 1 or more.")
    sources, samples = targets.shape
    if samples <= sources * taps:
        raise SoundError(
            f"Waveforms of {samples} samples are too short: filters of {taps} taps on {sources} sources could make "
            f"anything of them. Expected more than {sources * taps} samples, or fewer taps."
        )
    size = next_fast_len(samples + taps - 1, real=True)
    # The level of an estimate or a target changes no ratio; at level one, faint sources keep their digits.
    spectra = rfft(targets / _norm(targets), size)
    signals = rfft(estimates / _norm(estimates), size)
    of_all = _projections(spectra, signals, taps, size)
    energies = np.empty((2, sources, sources))
    for j in range(sources):
        of_one = _projections(spectra[j : j + 1], signals if permutation else signals[j : j + 1], taps, size)
        which = slice(None) if permutation else slice(j, j + 1)
        energies[0, which, j] = _energy(of_one, size)
        energies[1, which, j] = _energy(of_all[which] - of_one, size)
    order = _best_order(*energies) if permutation else np.arange(sources)
    target, interference = energies[:, order, np.arange(sources)]
    artefacts = _energy(signals - of_all, size)[order]
    scale = np.square(estimates).sum(-1)[order]
    return SourceRatios(
        target=target * scale,
        interference=interference * scale,
        artefacts=artefacts * scale,
        order=tuple(int(index) for index in order),
    )


def improvement(
    measure: Measure,
    estimate: np.ndarray,
    mixture: np.ndarray,
    target: np.ndarray,
    *,
    lower_is_better: bool = False,
) -> np.ndarray | float:
    """Return by how much an estimate is better than the mixture taken as the estimate.

    Args:
        measure: A function of estimate and target, for instance `scale_invariant_sdr` or
            ``lambda estimates, targets: bss_eval(estimates, targets).sdr()``.
        estimate: What was separated.
        mixture: What it was separated from, of the estimate's shape or one that is repeated to it: ``(n,)`` for
            estimates of ``(sources, n)``.
        target: The truth.
        lower_is_better: The measure is a distance: its fall is the improvement.

    Returns:
        What `measure` returns; positive is better.

    Raises:
        SoundError: The mixture's shape does not fit, or what `measure` raises.
    """
    shape = np.shape(target)
    try:
        unprocessed = np.broadcast_to(np.asarray(mixture), shape)
    except ValueError:
        raise SoundError(
            f"The mixture has shape {np.shape(mixture)}, the target {shape}; expected the same, or a mono mixture (n,) "
            "for several sources. Of a binaural mixture, Move2Hear takes the mean of both ears."
        ) from None
    gain = measure(estimate, target) - measure(unprocessed, target)
    return -gain if lower_is_better else gain


@dataclass(frozen=True, kw_only=True, eq=False)
class SeparationOverTime:
    """A measure at the steps of an episode."""

    values: np.ndarray
    """``(measured,)`` what the measure gave, in the order of time."""
    steps: np.ndarray
    """``(measured,)`` which step each value belongs to, from 0."""
    silent: int
    """Number of steps that were left out because the target was silent."""

    @property
    def mean(self) -> float:
        """Mean over the steps: the score of the published dynamic task."""
        return float(self.values.mean())

    @property
    def first(self) -> float:
        """The first value."""
        return float(self.values[0])

    @property
    def last(self) -> float:
        """The last value: the score of the published static task."""
        return float(self.values[-1])

    @property
    def gained(self) -> float:
        """Last value less the first: what moving has brought."""
        return self.last - self.first


def over_time(
    measure: Measure, estimates: np.ndarray, targets: np.ndarray, *, skip_silent: bool = False
) -> SeparationOverTime:
    """Measure every step of an episode.

    Args:
        measure: A function of one step's estimate and target that returns one number.
        estimates: ``(steps, ...)``.
        targets: ``(steps, ...)``; of a static task, whose target stays the same, ``np.broadcast_to`` repeats it.
        skip_silent: Leave out the steps at which the target is silent, as in the pauses of a talker, and count them;
            otherwise they raise an error.

    Returns:
        The values with their steps.

    Raises:
        SoundError: The numbers of steps differ or are 0, the target is silent at a step (or, if these are left out, at
            all steps), or what `measure` raises, with the step.
    """
    estimates, targets = np.asarray(estimates), np.asarray(targets)
    if estimates.ndim == 0 or targets.ndim == 0 or len(estimates) != len(targets) or len(targets) == 0:
        raise SoundError(
            f"Estimates of shape {estimates.shape} and targets of {targets.shape}; expected (steps, ...) alike."
        )
    steps = [step for step in range(len(targets)) if not skip_silent or targets[step].any()]
    if not steps:
        raise SoundError(f"The target is silent at all {len(targets)} steps: nothing to separate.")
    values = np.empty(len(steps))
    for index, step in enumerate(steps):
        try:
            values[index] = measure(estimates[step], targets[step])
        except SoundError as error:
            raise SoundError(f"Step {step}: {error}") from error
    return SeparationOverTime(values=values, steps=np.array(steps), silent=len(targets) - len(steps))


def _projections(spectra: np.ndarray, signal_spectra: np.ndarray, taps: int, size: int) -> np.ndarray:
    """Project signals onto the delays of sources; all are spectra ``(…, frequencies)`` of `size` real samples.

    Conjugate gradients on the least-squares problem, with the Cholesky factor of the normal equations as the
    preconditioner (Björck 1996, Numerical Methods for Least Squares Problems, algorithm 7.4.1). Where the factor is
    accurate, the first step is the solution and the second confirms it. Band-limited sources, whose delays are nearly
    dependent, take a few more; the normal equations alone are then wrong by up to decibels.
    """
    from scipy.linalg import cho_solve

    sources, signals = len(spectra), len(signal_spectra)
    factor = _factor(_gram(spectra, taps, size))

    def correlate(signal: np.ndarray) -> np.ndarray:
        delays = irfft(spectra.conj()[:, None] * signal, size)[..., :taps]
        return np.moveaxis(delays, 1, -1).reshape(sources * taps, signals)

    residual = signal_spectra.copy()
    gradient = correlate(residual)
    direction = step = np.asarray(cho_solve(factor, gradient, check_finite=False))
    slope = fallen = np.einsum("ie,ie->e", gradient, step)
    for _ in range(_MOST_STEPS):
        filters = rfft(direction.reshape(sources, taps, signals), size, axis=1)
        change = np.einsum("kf,kfe->ef", spectra, filters)
        length = slope / np.maximum(_energy(change, size), np.finfo(np.float64).tiny)
        residual -= length[:, None] * change
        fallen = length * slope
        if (fallen <= _SETTLED).all():
            break
        gradient = correlate(residual)
        step = np.asarray(cho_solve(factor, gradient, check_finite=False))
        former, slope = slope, np.einsum("ie,ie->e", gradient, step)
        direction = step + direction * (slope / np.maximum(former, np.finfo(np.float64).tiny))
    if (fallen > _UNSETTLED).any():
        warnings.warn(
            "Parts of the targets' band hold less than double precision resolves beside the rest, as after a steep "
            "filter: SIR and SAR may be wrong by 0.1 dB. Round the targets to float32, as samples are stored.",
            HarkenWarning,
            stacklevel=3,
        )
    return signal_spectra - residual


def _gram(spectra: np.ndarray, taps: int, size: int) -> np.ndarray:
    """Return the inner products of the delayed sources, ``(sources · taps, sources · taps)``."""
    sources = len(spectra)
    gram = np.empty((sources, taps, sources, taps))
    for i in range(sources):
        for j in range(i + 1):
            correlation = irfft(spectra[i].conj() * spectra[j], size)
            # Entry (a, b) is the correlation at lag a − b: a window that slides backwards over −taps + 1 … taps − 1.
            lags = np.concatenate([correlation[taps - 1 :: -1], correlation[:-taps:-1]])
            block = np.lib.stride_tricks.sliding_window_view(lags, taps)[::-1]
            gram[i, :, j], gram[j, :, i] = block, block.T
    return gram.reshape(sources * taps, sources * taps)


def _factor(gram: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the Cholesky factor of a matrix, loaded on its diagonal as little as rounding demands."""
    from scipy.linalg import LinAlgError, cho_factor

    load = np.finfo(np.float64).eps * np.trace(gram) / len(gram)
    loaded = gram
    while True:
        try:
            factor, lower = cho_factor(loaded, lower=True, check_finite=False)
            return np.asarray(factor), bool(lower)
        except LinAlgError:
            loaded = gram.copy()
            loaded.flat[:: len(gram) + 1] += load
            load *= 16.0


def _energy(spectra: np.ndarray, size: int) -> np.ndarray:
    """Return the energy of real signals of `size` samples from their spectra (Parseval)."""
    weights = np.full(spectra.shape[-1], 2.0 / size)
    weights[0] = 1.0 / size
    if size % 2 == 0:
        weights[-1] = 1.0 / size
    return (spectra.real**2 + spectra.imag**2) @ weights


def _best_order(target: np.ndarray, interference: np.ndarray) -> np.ndarray:
    """Return which estimate belongs to each target, from energies ``(estimates, targets)``."""
    from scipy.optimize import linear_sum_assignment

    ratios = _decibels(target, interference, "SIR", -10.0 * np.log10(_INFINITE))
    return linear_sum_assignment(ratios.T, maximize=True)[1]


def _decibels(signal: np.ndarray, noise: np.ndarray, name: str, limit: float | None) -> np.ndarray:
    """Return 10·log₁₀ of a ratio of energies; beyond the resolution of rounding it is an error or the limit."""
    if limit is not None and not 0.0 < limit <= -10.0 * np.log10(_INFINITE):
        raise ConfigurationError(f"Limit is {limit!r} dB; expected above 0 and at most {-10 * np.log10(_INFINITE):g}.")
    clean, lost = noise <= _INFINITE * signal, signal <= _INFINITE * noise
    if limit is None and (clean | lost).any():
        what = "the estimate holds nothing but" if clean.any() else "the estimate holds nothing of"
        raise SoundError(
            f"{name} is infinite: {what} the target (to rounding). Set limit=, such as 100 dB, to count it as that."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10.0 * np.log10(np.asarray(signal / noise))
    if limit is None:
        return ratio
    return np.clip(np.where(clean, limit, np.where(lost, -limit, ratio)), -limit, limit)


def _pair(
    estimate: np.ndarray,
    target: np.ndarray,
    *,
    dimensions: tuple[int, ...] = (),
    shape: str = "(..., n)",
    silent_estimate: str = "",
    each: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Return estimate and target as float64, once their shapes agree and they hold sound.

    Args:
        estimate: Any array.
        target: Any array.
        dimensions: How many axes they may have; empty for one or more.
        shape: How to call that.
        silent_estimate: What is wrong with a silent estimate; empty where nothing is.
        each: Every waveform along the last axis has to hold sound, not only one of them.
    """
    estimate = as_pressure(estimate, "The estimate", loudest=np.inf)
    target = as_pressure(target, "The target", loudest=np.inf)
    fits = estimate.ndim in dimensions if dimensions else estimate.ndim > 0
    if estimate.shape != target.shape or estimate.size == 0 or not fits:
        raise SoundError(
            f"The estimate has shape {estimate.shape}, the target {target.shape}; expected {shape} for both, not empty."
        )
    sounds = (lambda x: x.any(-1).all()) if each else np.any
    if not sounds(target):
        raise SoundError(f"The target of shape {target.shape} is silent: nothing to separate. Leave such clips out.")
    if silent_estimate and not sounds(estimate):
        raise SoundError(
            f"The estimate of shape {estimate.shape} is silent and {silent_estimate}; expected some sound."
        )
    return estimate.astype(np.float64), target.astype(np.float64)


def _magnitudes(estimate: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    estimate, target = _pair(
        estimate, target, dimensions=(2, 3), shape="(frequencies, frames) or (frequencies, frames, channels)"
    )
    if (target < 0).any():
        raise SoundError("The target holds negative values; expected magnitudes, not a waveform or decibels.")
    return estimate, target


def _without_mean(values: np.ndarray, name: str) -> np.ndarray:
    centred = values - values.mean(-1, keepdims=True)
    # A constant leaves rounding behind.
    if (np.square(centred).sum(-1) <= _INFINITE**2 * np.square(values).sum(-1)).any():
        raise SoundError(f"The {name} is constant, silent once its mean is removed; expected sound.")
    return centred


def _norm(waveforms: np.ndarray) -> np.ndarray:
    return np.linalg.norm(waveforms, axis=-1, keepdims=True)
