"""Masks that separate one sound from a mixture in its spectrogram, as they would be with the sounds known."""

import numpy as np

from harken.errors import SoundError

__all__ = ["ideal_binary_masks", "ideal_ratio_masks", "magnitude_mask"]


def ideal_ratio_masks(magnitudes: np.ndarray) -> np.ndarray:
    """Return each source's share of the magnitudes, M_k = |S_k| / Σ_j |S_j|; the masks sum to one.

    Source:
        Wang and Chen (2018), "Supervised speech separation based on deep learning: an overview", IEEE/ACM Trans. Audio
        Speech Lang. Process. 26, 1702, section III.B, with magnitudes in place of the root of energies.

    Args:
        magnitudes: ``(sources, ...)`` magnitude spectrograms, linear.

    Returns:
        ``(sources, ...)`` float32, 0–1; equal shares where nothing sounds.

    Raises:
        SoundError: There is no source, or a value is negative, NaN or infinite.
    """
    values = _magnitudes(magnitudes)
    total = values.sum(0)
    masks = np.full(values.shape, 1.0 / len(values), np.float32)
    np.divide(values, total, out=masks, where=total > 0)
    return masks


def ideal_binary_masks(magnitudes: np.ndarray) -> np.ndarray:
    """Return which source is the loudest in each bin; the first of equally loud ones, none where nothing sounds.

    Source:
        Wang (2005), "On ideal binary mask as the computational goal of auditory scene analysis", with a criterion of
        0 dB; for more than two sources the loudest of all.

    Args:
        magnitudes: ``(sources, ...)`` magnitude spectrograms, linear.

    Returns:
        ``(sources, ...)`` bool.

    Raises:
        SoundError: There is no source, or a value is negative, NaN or infinite.
    """
    values = _magnitudes(magnitudes)
    loudest = values.argmax(0)
    numbers = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    return (numbers == loudest) & (values.max(0) > 0)


def magnitude_mask(target: np.ndarray, mixture: np.ndarray) -> np.ndarray:
    """Return the mask in 0–1 that brings the mixture's magnitudes nearest to the target's, M = min(|S| / |X|, 1).

    In every bin no other such mask has a smaller error, so that none has a smaller STFT distance.

    Source:
        Wang, Narayanan and Wang (2014), "On training targets for supervised speech separation", IEEE/ACM Trans. Audio
        Speech Lang. Process. 22, 1849, equation 4 (spectral magnitude mask), limited to one.

    Args:
        target: Magnitudes of the target, linear, of any shape.
        mixture: Magnitudes of the mixture, of the same shape.

    Returns:
        Float32 of that shape; 0 where the mixture is silent.

    Raises:
        SoundError: The shapes differ, or a value is negative, NaN or infinite.
    """
    if np.shape(target) != np.shape(mixture):
        raise SoundError(
            f"The target has shape {np.shape(target)}, the mixture {np.shape(mixture)}; expected the same."
        )
    target, mixture = _magnitudes(np.stack([target, mixture]))
    mask = np.zeros(target.shape, np.float32)
    np.divide(np.minimum(target, mixture), mixture, out=mask, where=mixture > 0)
    return mask


def _magnitudes(magnitudes: np.ndarray) -> np.ndarray:
    values = np.asarray(magnitudes, np.float32)
    if values.ndim == 0 or values.size == 0:
        raise SoundError(f"Magnitudes have shape {values.shape}; expected (sources, ...), not empty.")
    if not np.isfinite(values).all() or (values < 0).any():
        raise SoundError("Magnitudes hold negative, NaN or infinite values; expected |STFT|, not a waveform.")
    return values
