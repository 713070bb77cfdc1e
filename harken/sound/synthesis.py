"""The clips that come with Harken: their names, and how they are made."""

from types import MappingProxyType

import numpy as np
import scipy.fft

from harken.errors import SoundError, UnknownNameError
from harken.sound.clips import Clip, Split
from harken.sound.level import CLIP_RMS, active_rms
from harken.sound.synthesis_dsp import RATE, Draw
from harken.sound.synthesis_furniture import FURNITURE
from harken.sound.synthesis_household import HOUSEHOLD, telephone

__all__ = ["CLIPS", "clip_split", "synthesise"]

_SPLITS: tuple[Split, ...] = ("train", "val", "test")
_RECIPES = {**FURNITURE, **HOUSEHOLD}
_PEAK = 0.98

CLIPS: MappingProxyType[str, str] = MappingProxyType(
    {f"{category}_{k}": category for category in sorted(_RECIPES) for k in (1, 2, 3)} | {"telephone": "telephone"}
)
"""Names of the built-in clips, and the category of each."""


def clip_split(name: str) -> Split:
    """Return the split of a built-in clip: by its number, and "all" for the telephone of the same-sound task.

    Raises:
        UnknownNameError: There is no such clip.
    """
    if name not in CLIPS:
        raise UnknownNameError("clip", name, CLIPS)
    return "all" if name == "telephone" else _SPLITS[int(name[-1]) - 1]


def synthesise(name: str, rate: int = 16000) -> Clip:
    """Make a built-in clip. The same name and rate give the same samples.

    Args:
        name: One of `CLIPS`.
        rate: Sample rate [Hz]. All rates hold the same sound, up to 24 kHz or half the rate, whichever is less.

    Returns:
        A clip of 1–4 s whose end joins its beginning, of RMS 0.1 over its active part and a peak of at most 1.

    Raises:
        UnknownNameError: There is no such clip.
    """
    split = clip_split(name)
    category = CLIPS[name]
    loop = telephone() if name == "telephone" else _RECIPES[category](Draw(category, int(name[-1]) - 1))
    samples = _levelled(_resampled(loop.samples, rate), rate, name)
    return Clip(samples=samples, rate=rate, name=name, category=category, split=split)


def _resampled(loop: np.ndarray, rate: int) -> np.ndarray:
    """Bring a periodic signal to another rate, exactly, by its spectrum; also takes out what lies below hearing."""
    count = round(len(loop) * rate / RATE)
    spectrum = scipy.fft.rfft(loop.astype(np.float64))[: count // 2 + 1]
    frequencies = np.arange(len(spectrum)) * (RATE / len(loop))
    # The spectrum fades out over its highest twentieth, so that clicks do not ring at half the sample rate.
    limit = 0.5 * min(rate, RATE)
    spectrum *= np.clip((limit - frequencies) / (0.05 * limit), 0.0, 1.0) * np.clip(
        (frequencies - 15.0) / 15.0, 0.0, 1.0
    )
    return scipy.fft.irfft(spectrum, count) * (count / len(loop))


def _levelled(samples: np.ndarray, rate: int, name: str) -> np.ndarray:
    """Scale to the common level; rounds off the peaks of what is too impulsive to have that level otherwise."""
    for _ in range(20):
        samples = samples - samples.mean()
        samples *= CLIP_RMS / active_rms(samples, rate)
        if np.abs(samples).max() <= _PEAK:
            return samples.astype(np.float32)
        samples = 0.85 * np.tanh(samples / 0.85)
    raise SoundError(f"Clip {name!r} cannot have RMS {CLIP_RMS:g} at a peak below 1: its recipe is too impulsive.")
