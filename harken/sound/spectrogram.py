"""Magnitude spectrograms as agents of this field hear them: SoundSpaces' spectrogram sensor and its relatives."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import scipy.fft

from harken.checks import check_settings
from harken.errors import ConfigurationError, SoundError
from harken.raytracing import kernel
from harken.sound.level import as_pressure

__all__ = ["Spectrogram", "echo_spectrogram", "echo_spectrogram_settings", "spectrogram", "spectrogram_shape"]


@dataclass(frozen=True, kw_only=True)
class Spectrogram:
    """How a spectrogram is computed; the defaults are SoundSpaces' sensor.

    ``|STFT|`` with a periodic Hann window in the middle of each frame and frames centred on multiples of the hop, then
    the mean over blocks of `downsample` × `downsample` (zeros fill the last blocks up), then ``log(1 + x)``.
    """

    n_fft: int = 512
    """Length of the Fourier transform [samples]."""
    hop: int = 160
    """Distance between frames [samples]."""
    window: int = 400
    """Length of the Hann window [samples], at most `n_fft`."""
    downsample: int = 4
    """Width and height of the blocks that are averaged; 1 keeps every bin and frame."""
    padding: Literal["zeros", "reflect"] = "zeros"
    """What lies before the first and after the last sample: silence, or the signal mirrored. librosa's default is the
    former since 0.10 and was the latter before, so that older networks have seen "reflect"."""

    logarithm: bool = True
    """Whether values are log(1 + x) of magnitudes, as agents hear them, or the magnitudes, as masks need them."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(self, n_fft=(1, 2**20), hop=(1, 2**20), window=(1, 2**20), downsample=(1, 2**20))
        if self.window > self.n_fft:
            raise ConfigurationError(
                f"Spectrogram window {self.window} is longer than n_fft {self.n_fft}; shorten it or raise n_fft."
            )


SOUNDSPACES = Spectrogram()

RUN = 64
"""Samples that are tested for silence together."""


def spectrogram_shape(samples: int, *, channels: int = 2, settings: Spectrogram = SOUNDSPACES) -> tuple[int, int, int]:
    """Return the shape ``(frequencies, frames, channels)`` of the spectrogram of a waveform.

    Args:
        samples: Length of the waveform [samples].
        channels: Number of channels.
        settings: How the spectrogram is computed.
    """
    bins, frames = settings.n_fft // 2 + 1, samples // settings.hop + 1
    return -(-bins // settings.downsample), -(-frames // settings.downsample), channels


def spectrogram(waveform: np.ndarray, settings: Spectrogram = SOUNDSPACES) -> np.ndarray:
    """Compute the spectrogram of each channel of a waveform.

    With the default settings this is the spectrogram sensor of SoundSpaces (Chen et al., ECCV 2020): ``(65, 26, 2)``
    for one second of binaural sound at 16 kHz, ``(65, 69, 2)`` at 44.1 kHz.

    Args:
        waveform: ``(channels, n)`` samples.
        settings: How the spectrogram is computed.

    Returns:
        ``(frequencies, frames, channels)`` float32, not negative; the shape is `spectrogram_shape`.

    Raises:
        SoundError: The waveform has another shape, is empty or holds NaN or infinite samples.
    """
    if getattr(waveform, "dtype", None) != np.float32:  # float32 is checked below, where it is transformed anyway
        waveform = as_pressure(waveform, "The waveform", loudest=np.inf)
    samples = np.ascontiguousarray(waveform, np.float32)
    if samples.ndim != 2 or 0 in samples.shape:
        raise SoundError(
            f"A waveform of shape {np.shape(waveform)} has no spectrogram; expected (channels, samples), neither 0."
        )
    channels, count = samples.shape
    if settings.padding == "reflect" and count <= settings.n_fft // 2:
        raise SoundError(
            f'Padding "reflect" needs more than {settings.n_fft // 2} samples, got {count}; '
            'use "zeros" or a longer waveform.'
        )
    result = np.zeros(spectrogram_shape(count, channels=channels, settings=settings), np.float32)
    block, reflect = settings.downsample, settings.padding == "reflect"
    frames, first = _sounding_frames(samples, _window(settings), settings.hop, block, reflect)
    finite = True
    if frames.size:
        finite = _reduce(scipy.fft.rfft(frames, overwrite_x=True), first // block, block, settings.logarithm, result)
    if not finite:
        bad = int((~np.isfinite(samples)).sum())
        raise SoundError(
            f"{bad} of {samples.size} samples are NaN or infinite (or too large for float32); "
            "look for the step of the simulation that made them."
        )
    return result


def echo_spectrogram_settings(rate: int) -> Spectrogram:
    """Return how `echo_spectrogram` cuts and transforms an echo of some sample rate [Hz]."""
    window = 64 if rate > 30000 else 32
    return Spectrogram(n_fft=512, hop=window // 4, window=window, downsample=1)


def echo_spectrogram(echo: np.ndarray, rate: int, *, duration: float | None = 0.06) -> np.ndarray:
    """Return the magnitude spectrogram that the published depth networks hear.

    Parida, Srivastava and Sharma (CVPR 2021): the first 60 ms, 512 points, Hann window of 64 samples at 44.1 kHz and of
    32 at 16 kHz, a quarter of it from frame to frame: ``(257, 166, 2)`` and ``(257, 121, 2)``.

    Args:
        echo: ``(2, n)`` samples.
        rate: Sample rate [Hz].
        duration: How much of the echo [s], None for all.

    Returns:
        ``(257, frames, 2)`` float32.

    Raises:
        ConfigurationError: The echo is shorter than `duration`, or that is not positive.
        SoundError: The echo is not ``(channels, samples)``, or not finite.
    """
    samples = np.asarray(as_pressure(echo, "The echo"), np.float32)
    if duration is not None:
        count = round(duration * rate)
        if not 1 <= count <= samples.shape[-1]:
            raise ConfigurationError(
                f"{duration:g} s of an echo of {samples.shape[-1] / rate:.4g} s were asked for; expected more than 0 "
                "and at most its length (None for all)."
            )
        samples = samples[..., :count]
    return np.expm1(spectrogram(samples, echo_spectrogram_settings(rate)))


@lru_cache(maxsize=16)
def _window(settings: Spectrogram) -> np.ndarray:
    """Return the window, ``(n_fft,)`` float32 with zeros on both sides of the Hann window."""
    before = (settings.n_fft - settings.window) // 2
    # Not scipy.signal.get_window: that import alone takes longer than all of this package.
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(settings.window) / settings.window)
    return np.pad(hann, (before, settings.n_fft - settings.window - before)).astype(np.float32)


@kernel
def _sounding_samples(samples):
    """First and last sample at which a channel is not zero; NaN counts as sound, to be reported later."""
    channels, count = samples.shape
    first, last = count, -1
    for c in range(channels):
        row = samples[c]
        bits = row.view(np.int32)
        for i in range(first):
            if row[i] != 0.0:
                first = i
                break
        # From the end in runs without a branch, which vectorise: most of a step's waveform is zeros.
        end = count
        while end - RUN > last:
            run, any_bit = bits[end - RUN : end], np.int32(0)
            for i in range(RUN):
                any_bit |= run[i]
            if any_bit & 0x7FFFFFFF:
                break
            end -= RUN
        for i in range(end - 1, last, -1):
            if row[i] != 0.0:
                last = i
                break
    return first, last


@kernel
def _sounding_frames(samples, window, hop, block, reflect):
    """Cut windowed frames ``(channels, n, n_fft)`` centred on multiples of `hop`, and tell the number of the first.

    Only those that can hold sound are cut, for most waveforms of a quarter-second step end in zeros; the first is a
    multiple of `block`, so that averages can be taken block by block.
    """
    channels, count = samples.shape
    n_fft = len(window)
    reach, first, last = n_fft // 2, 0, count // hop + 1
    begin, end = _sounding_samples(samples)
    if begin > end:
        last = 0
    elif not (reflect and (begin < reach or end >= count - reach)):
        first, last = max(0, (begin - reach) // hop), min(last, (end + reach) // hop + 1)
    first -= first % block
    frames = np.empty((channels, max(0, last - first), n_fft), np.float32)
    for c in range(channels):
        for t in range(frames.shape[1]):
            start = (first + t) * hop - reach
            frame, row = frames[c, t], samples[c]
            if start >= 0 and start + n_fft <= count:
                piece = row[start : start + n_fft]
                for i in range(n_fft):
                    frame[i] = piece[i] * window[i]
                continue
            for i in range(n_fft):
                at = start + i
                if reflect:
                    at = abs(at)
                    if at >= count:
                        at = 2 * (count - 1) - at
                frame[i] = row[at] * window[i] if 0 <= at < count else np.float32(0.0)
    return frames, first


@kernel(fastmath={"contract", "reassoc", "nsz"})
def _reduce(spectrum, first_block, block, logarithm, result):
    """Write the mean magnitude over blocks, or its ``log1p``, into `result` from its column `first_block` on.

    Returns whether all of it is finite.
    """
    channels, frames, bins = spectrum.shape
    share = np.float32(1.0 / (block * block))
    sums = np.empty(bins, np.float32)
    finite = True
    for c in range(channels):
        for column in range(-(-frames // block)):
            sums[:] = 0.0
            for t in range(column * block, min(frames, (column + 1) * block)):
                row = spectrum[c, t]
                for k in range(bins):
                    sums[k] += np.sqrt(row[k].real * row[k].real + row[k].imag * row[k].imag)
            for band in range(-(-bins // block)):
                total = np.float32(0.0)
                for k in range(band * block, min(bins, (band + 1) * block)):
                    total += sums[k]
                finite = finite and np.isfinite(total)
                mean = total * share
                result[band, first_block + column, c] = np.log1p(mean) if logarithm else mean
    return finite
