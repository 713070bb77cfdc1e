"""The sound of a step of active separation with its ground truth, and the quality of an estimate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from harken.errors import SoundError
from harken.metrics.separation import TARGET_RMS, scale_invariant_sdr, separation_quality
from harken.sound import Spectrogram, spectrogram
from harken.sound.masks import magnitude_mask
from harken.sound.stft import istft, stft

__all__ = ["MAGNITUDES", "Heard", "Verdict", "estimate_measures", "judge", "scaled_to_target", "separated_waveform"]

MAGNITUDES = Spectrogram(n_fft=1023, hop=512, window=1023, downsample=1, padding="reflect", logarithm=False)
"""The published systems' magnitudes: ``(512, 32, channels)`` for one second at 16 kHz."""

LIMIT = 60.0
"""SI-SDR reported for an exact estimate [dB]: more than float32 magnitudes can reach."""

_TRANSFORM = {"n_fft": MAGNITUDES.n_fft, "hop": MAGNITUDES.hop, "window": MAGNITUDES.window}


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """The sound of one step with its ground truth. What is computed is kept; treat arrays as read-only."""

    stems: np.ndarray
    """``(sources, 2, n)`` float32 what each source sounds like at the ears."""
    dry: np.ndarray
    """``(n,)`` float32 the part of the target's clip that it emitted."""
    mono: np.ndarray
    """``(frequencies, frames, 1)`` float32 magnitudes of `dry`, scaled to an RMS of `TARGET_RMS`; zeros if silent."""
    target: int
    """Which of the sources is the target."""

    @cached_property
    def mixture(self) -> np.ndarray:
        """``(2, n)`` float32 what is heard: the sum of the stems."""
        return self.stems.sum(0)

    @property
    def mixture_spectrogram(self) -> np.ndarray:
        """``(frequencies, frames, 2)`` float32 log(1 + |STFT|) of the mixture, a fresh array."""
        return np.log1p(self.mixture_magnitudes)

    @cached_property
    def mixture_magnitudes(self) -> np.ndarray:
        """``(frequencies, frames, 2)`` float32 |STFT| of the mixture."""
        return spectrogram(self.mixture, MAGNITUDES)

    @cached_property
    def binaural(self) -> np.ndarray:
        """``(frequencies, frames, 2)`` float32 |STFT| of the target at the ears."""
        return spectrogram(self.stems[self.target], MAGNITUDES)

    @property
    def is_silent(self) -> bool:
        """Whether the target is silent, in its clip or at the ears, so that there is nothing to find."""
        return not (self.mono.any() and self.stems[self.target].any())

    @property
    def mask(self) -> np.ndarray:
        """``(frequencies, frames, 2)`` float32 the best mask in 0–1 for the target at the ears: `magnitude_mask`."""
        return magnitude_mask(self.binaural, self.mixture_magnitudes)

    def truth(self, kind: Literal["mono", "binaural"]) -> np.ndarray:
        """Return the magnitudes that an estimate should have."""
        return self.mono if kind == "mono" else self.binaural

    def unprocessed(self, kind: Literal["mono", "binaural"]) -> np.ndarray:
        """Return the mixture taken as an estimate; for mono the mean of the ears, scaled as the target is."""
        if kind == "binaural":
            return self.mixture_magnitudes
        return scaled_to_target(self.mixture_magnitudes.mean(-1, keepdims=True))


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How good an estimate is."""

    quality: float
    """−mean((M̂ − M)²)/mean(M²): 0 if exact, −1 for silence."""
    distance: float
    """STFT distance with the target's phase, `harken.metrics.separation.spectrogram_distance`."""
    mixture_quality: float
    """Quality of the unprocessed mixture."""
    mixture_distance: float
    """STFT distance of the unprocessed mixture."""

    def to_mapping(self) -> dict[str, float]:
        """Return the measures by name: with the fall of the distance and the rise of the quality over the mixture."""
        return {
            "quality": self.quality,
            "stft_distance": self.distance,
            "mixture_quality": self.mixture_quality,
            "mixture_stft_distance": self.mixture_distance,
            "quality_improvement": self.quality - self.mixture_quality,
            "stft_distance_improvement": self.mixture_distance - self.distance,
        }


def judge(estimate: np.ndarray, heard: Heard, kind: Literal["mono", "binaural"]) -> Verdict | None:
    """Compare an estimate with the truth; None where the target is silent, so that there is none.

    Args:
        estimate: Magnitudes, as `harken.tasks.separation.SeparationTask.check_estimate` returns them.
        heard: The sound that it is an estimate of.
        kind: Whether it is of the emitted sound or of the sound at the ears.
    """
    if heard.is_silent:
        return None
    truth, mixture = heard.truth(kind), heard.unprocessed(kind)
    quality, unprocessed = separation_quality(estimate, truth), separation_quality(mixture, truth)
    # Both measures are the same squared error, over different things.
    scale = 0.5 * truth.shape[2] * _power(truth)
    return Verdict(
        quality=quality,
        distance=-quality * scale,
        mixture_quality=unprocessed,
        mixture_distance=-unprocessed * scale,
    )


def scaled_to_target(magnitudes: np.ndarray) -> np.ndarray:
    """Return magnitudes scaled to an RMS of `TARGET_RMS` over everything; silence stays silent."""
    size = math.sqrt(_power(magnitudes))
    return magnitudes * np.float32(TARGET_RMS / size) if size > 0 else magnitudes


def _power(magnitudes: np.ndarray) -> float:
    return float(np.mean(np.square(magnitudes, dtype=np.float64)))


def separated_waveform(magnitudes: np.ndarray, heard: Heard) -> np.ndarray:
    """Return the waveform of an estimate.

    A mono estimate takes the phase of the dry target, as Move2Hear's STFT distance does: the mixture has no matching
    phase, because the room lies between. A binaural estimate takes the mixture's.

    Args:
        magnitudes: ``(frequencies, frames, 1 or 2)`` linear.
        heard: The sound that it is an estimate of.

    Returns:
        ``(1 or 2, n)`` float64.
    """
    phases = heard.dry[None] if magnitudes.shape[2] == 1 else heard.mixture
    spectrum = stft(phases, **_TRANSFORM)
    unit = spectrum / np.maximum(np.abs(spectrum), np.finfo(np.float64).tiny)
    return istft(np.moveaxis(magnitudes, -1, 0) * unit, phases.shape[1], **_TRANSFORM)


def _si_sdr(magnitudes: np.ndarray, heard: Heard) -> float:
    """Return SI-SDR [dB], the mean of the channels; silence counts as −LIMIT."""
    truth = heard.dry[None] if magnitudes.shape[2] == 1 else heard.stems[heard.target]
    waveform = separated_waveform(magnitudes, heard)
    try:
        return float(scale_invariant_sdr(waveform, truth, limit=LIMIT).mean())
    except SoundError:
        if magnitudes.any():
            raise
        return -LIMIT


def estimate_measures(
    judged: Sequence[tuple[np.ndarray, Heard, Verdict]], kind: Literal["mono", "binaural"]
) -> dict[str, float]:
    """Return how good the estimates of an episode were, over the steps in which they count and the target sounds.

    Args:
        judged: Estimates with the sounds that they are of and their verdicts; at least one.
        kind: Whether they are of the emitted sound or of the sound at the ears.

    Returns:
        ``si_sdr`` [dB] and ``stft_distance`` of the last estimate (Move2Hear's score), ``mean_si_sdr`` and
        ``mean_stft_distance`` over the steps (its sequel's), ``si_sdr_improvement`` and ``stft_improvement``, their
        means over the mixture at the same step, ``si_sdr_gained``, last less first: what moving brought.
    """
    ratios = np.array([_si_sdr(estimate, heard) for estimate, heard, _ in judged])
    mixture_ratios = np.array([_si_sdr(heard.unprocessed(kind), heard) for _, heard, _ in judged])
    distance = np.array([verdict.distance for _, _, verdict in judged])
    mixed_distance = np.array([verdict.mixture_distance for _, _, verdict in judged])
    return {
        "si_sdr": float(ratios[-1]),
        "stft_distance": float(distance[-1]),
        "mean_si_sdr": float(ratios.mean()),
        "mean_stft_distance": float(distance.mean()),
        "si_sdr_improvement": float((ratios - mixture_ratios).mean()),
        "stft_improvement": float((mixed_distance - distance).mean()),
        "si_sdr_gained": float(ratios[-1] - ratios[0]),
    }
