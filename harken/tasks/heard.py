"""What is heard in a step of active separation with all that is true of it, and how good an estimate of it is."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from harken.metrics.separation import TARGET_RMS, separation_quality
from harken.sound import Spectrogram, spectrogram
from harken.sound.masks import magnitude_mask

__all__ = ["MAGNITUDES", "Heard", "Verdict", "judge", "scaled_to_target"]

MAGNITUDES = Spectrogram(n_fft=1023, hop=512, window=1023, downsample=1, padding="reflect", logarithm=False)
"""The published systems' magnitudes: ``(512, 32, channels)`` for one second at 16 kHz."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Heard:
    """The sound of one step with all that is true of it. What is computed is kept; treat arrays as read-only."""

    stems: np.ndarray
    """``(sources, 2, n)`` float32 what each source sounds like at the ears."""
    dry: np.ndarray
    """``(n,)`` float32 the part of the target's clip that it emitted."""
    mono: np.ndarray
    """``(frequencies, frames, 1)`` float32 magnitudes of `dry`, scaled to an RMS of `TARGET_RMS`; zeros if silent."""
    target: int
    """Which of the sources is wanted."""

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
