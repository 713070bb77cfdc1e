"""Sounds to separate: talkers, instruments and backgrounds, thirty clips of each, of any length.

The clips of `harken.sound.synthesis.catalogue` are short and distinctive, made to be found. These are made to be
heard at once and separated: voices that overlap in pitch and formants, instruments in the same register, noise below
everything.
"""

import zlib
from types import MappingProxyType

import numpy as np

from harken.checks import checked_number
from harken.errors import UnknownNameError
from harken.sound.clip import Clip, Split
from harken.sound.synthesis.background import BACKGROUNDS
from harken.sound.synthesis.dsp import levelled, resampled
from harken.sound.synthesis.instruments import INSTRUMENTS
from harken.sound.synthesis.voices import TALKERS, speech

__all__ = ["CLIPS", "KINDS", "checked_seconds", "clip_split", "synthesise"]

_PER_SPLIT: tuple[tuple[Split, int], ...] = (("train", 20), ("val", 5), ("test", 5))
_SPLITS: tuple[Split, ...] = tuple(split for split, count in _PER_SPLIT for _ in range(count))
_SHORTEST, _LONGEST = 1.0, 120.0

KINDS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {"voice": tuple(TALKERS), "instrument": tuple(INSTRUMENTS), "background": tuple(BACKGROUNDS)}
)
"""Categories of each kind: those of "voice" and "instrument" are targets in active separation, those of "background"
only disturb (as in Majumder et al., ICCV 2021)."""

CLIPS: MappingProxyType[str, str] = MappingProxyType(
    {
        f"{category}/{number:02d}": category
        for category in sorted(name for names in KINDS.values() for name in names)
        for number in range(1, len(_SPLITS) + 1)
    }
)
"""Names of the clips, such as ``violin/07``, and the category of each."""


def clip_split(name: str) -> Split:
    """Return the split of a clip: numbers 1–20 are in train, 21–25 in val, 26–30 in test.

    Raises:
        UnknownNameError: There is no such clip.
    """
    if name not in CLIPS:
        raise UnknownNameError("clip", name, CLIPS)
    return _SPLITS[int(name[-2:]) - 1]


def synthesise(name: str, rate: int = 16000, seconds: float = 5.0) -> Clip:
    """Make a clip. The same name, rate and length give the same samples.

    Args:
        name: One of `CLIPS`.
        rate: Sample rate [Hz]. All rates hold the same sound, up to 24 kHz or half the rate, whichever is less.
        seconds: Length [s], 1–120, rounded to 5 ms. Each length has a sound of its own.

    Returns:
        A clip whose end joins its beginning, of RMS 0.1 over its active part and a peak below 1.

    Raises:
        UnknownNameError: There is no such clip.
        ConfigurationError: The length is out of range.
    """
    split, category, seconds = clip_split(name), CLIPS[name], checked_seconds(seconds)
    rng = np.random.default_rng([zlib.crc32(name.encode()), round(1000 * seconds)])
    if category in TALKERS:
        loop = speech(rng, TALKERS[category], seconds)
    else:
        loop = (INSTRUMENTS.get(category) or BACKGROUNDS[category])(rng, seconds)
    samples = levelled(resampled(loop.samples, rate), rate, name)
    return Clip(samples=samples, rate=rate, name=name, category=category, split=split)


def checked_seconds(seconds: float) -> float:
    """Return a length of clips [s] rounded to 5 ms.

    Raises:
        ConfigurationError: It is not from 1 to 120 s.
    """
    return round(200 * checked_number("The length of clips", seconds, _SHORTEST, _LONGEST, unit="s")) / 200
