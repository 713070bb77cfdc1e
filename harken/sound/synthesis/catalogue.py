"""The clips that come with Harken: their names, and how they are made."""

from types import MappingProxyType

from harken.errors import UnknownNameError
from harken.sound.clip import Clip, Split
from harken.sound.synthesis.dsp import Draw, levelled, resampled
from harken.sound.synthesis.furniture import FURNITURE
from harken.sound.synthesis.household import HOUSEHOLD, telephone
from harken.splits import SPLITS

__all__ = ["CLIPS", "clip_split", "synthesise"]

_RECIPES = {**FURNITURE, **HOUSEHOLD}

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
    return "all" if name == "telephone" else SPLITS[int(name[-1]) - 1]


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
    samples = levelled(resampled(loop.samples, rate), rate, name)
    return Clip(samples=samples, rate=rate, name=name, category=category, split=split)
