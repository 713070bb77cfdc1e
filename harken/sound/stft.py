"""The complex short-time Fourier transform and its inverse in double precision, for measures that compare waveforms."""

from typing import Literal

import numpy as np
from scipy.fft import irfft, rfft

from harken.errors import ConfigurationError, SoundError
from harken.sound.level import as_pressure

__all__ = ["istft", "stft"]


def stft(
    waveform: np.ndarray,
    *,
    n_fft: int = 512,
    hop: int = 160,
    window: int = 400,
    padding: Literal["reflect", "zeros"] = "reflect",
) -> np.ndarray:
    """Return the short-time Fourier transform over the last axis, as librosa's with ``center=True`` defines it.

    A periodic Hann window of `window` samples stands in the middle of each frame of `n_fft`, and frames are centred on
    multiples of the hop. `harken.sound.spectrogram` has the magnitudes in single precision, for observations.

    Args:
        waveform: ``(..., n)`` samples.
        n_fft: Length of the Fourier transform [samples].
        hop: Distance between frames [samples].
        window: Length of the window [samples], at most `n_fft`.
        padding: What lies before the first and after the last sample: the signal mirrored (librosa's default before
            0.10, under which the published systems were evaluated) or silence.

    Returns:
        ``(..., n_fft // 2 + 1, frames)`` complex128; the frames are those that end within the padded waveform:
        ``n // hop + 1``, or ``(n - 1) // hop + 1`` for an odd `n_fft`.

    Raises:
        SoundError: The waveform is empty, holds NaN or infinite samples, or is too short to be mirrored.
        ConfigurationError: A setting is out of range.
    """
    samples = as_pressure(waveform, "The waveform", loudest=np.inf)
    if not (1 <= window <= n_fft and hop >= 1) or padding not in ("reflect", "zeros"):
        raise ConfigurationError(
            f"STFT of n_fft {n_fft!r}, hop {hop!r}, window {window!r}, padding {padding!r}; expected a hop of at least "
            '1, a window from 1 to n_fft, and "reflect" or "zeros".'
        )
    if samples.ndim == 0 or 0 in samples.shape:
        raise SoundError(f"A waveform of shape {samples.shape}; expected (..., n) samples, not empty.")
    if padding == "reflect" and samples.shape[-1] <= n_fft // 2:
        raise SoundError(
            f'Padding "reflect" needs more than {n_fft // 2} samples, got {samples.shape[-1]}; '
            'use "zeros" or a longer waveform.'
        )
    ends = [(0, 0)] * (samples.ndim - 1) + [(n_fft // 2, n_fft // 2)]
    padded = np.pad(samples.astype(np.float64), ends, mode="reflect" if padding == "reflect" else "constant")
    before = (n_fft - window) // 2
    hann = np.pad(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window), (before, n_fft - window - before))
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft, axis=-1)[..., ::hop, :]
    return np.swapaxes(rfft(frames * hann), -1, -2)


def istft(spectrum: np.ndarray, samples: int, *, n_fft: int = 512, hop: int = 160, window: int = 400) -> np.ndarray:
    """Return the waveform whose short-time Fourier transform is nearest to a spectrum: the inverse of `stft`.

    Frames are windowed again, overlapped and added, and divided by the sum of the squared windows.

    Source:
        Griffin and Lim (1984), "Signal estimation from modified short-time Fourier transform", IEEE Trans. Acoust.
        Speech Signal Process. 32, 236, equation 6.

    Args:
        spectrum: ``(..., n_fft // 2 + 1, frames)`` complex.
        samples: Length of the waveform [samples].
        n_fft: As for `stft`.
        hop: As for `stft`; at most half of the window, or samples between frames would be lost.
        window: As for `stft`.

    Returns:
        ``(..., samples)`` float64. Samples that no window reaches, the last few where they are not a multiple of the
        hop, are 0.

    Raises:
        SoundError: The spectrum has another shape or holds NaN or infinite values.
        ConfigurationError: A setting is out of range.
    """
    values = np.asarray(spectrum, np.complex128)
    if not (1 <= window <= n_fft and 1 <= hop <= max(window // 2 + 1, 1)) or samples < 1:
        raise ConfigurationError(
            f"Inverse STFT to {samples!r} samples of n_fft {n_fft!r}, hop {hop!r}, window {window!r}; expected a "
            "window from 1 to n_fft, and a hop of at most half of it."
        )
    if values.ndim < 2 or values.shape[-2] != n_fft // 2 + 1 or values.shape[-1] < 1 or not np.isfinite(values).all():
        raise SoundError(f"A spectrum of shape {values.shape}; expected (..., {n_fft // 2 + 1}, frames), all finite.")
    before = (n_fft - window) // 2
    hann = np.pad(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window), (before, n_fft - window - before))
    frames = irfft(np.swapaxes(values, -1, -2), n_fft) * hann
    count = frames.shape[-2]
    length = max(samples + 2 * (n_fft // 2), (count - 1) * hop + n_fft)
    total, weight = np.zeros((*frames.shape[:-2], length)), np.zeros(length)
    for k in range(count):
        total[..., k * hop : k * hop + n_fft] += frames[..., k, :]
        weight[k * hop : k * hop + n_fft] += hann**2
    inside = slice(n_fft // 2, n_fft // 2 + samples)
    result = np.zeros((*frames.shape[:-2], samples))
    np.divide(total[..., inside], weight[inside], out=result, where=weight[inside] > 1e-8)
    return result
