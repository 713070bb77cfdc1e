"""The recipe "clips": the clips that come with Harken, each at a random level. An example for recipes of your own."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from harken.checks import check_settings
from harken.render.encoding import Audio
from harken.render.recipe import check_split_and_seed, sample_generator
from harken.sound import ClipLibrary, sound_pressure_level
from harken.sound.level import CLIP_RMS, active_rms, amplitude

__all__ = ["ClipsRecipe", "ClipsSettings"]


@dataclass(frozen=True, kw_only=True)
class ClipsSettings:
    """Settings of the recipe "clips"."""

    rate: int = 16000
    """Sample rate [Hz]."""
    duration: float = 2.0
    """Length of a sample [s]; shorter clips repeat."""
    level_range: float = 20.0
    """Width of the range of levels [dB], uniform around the clips' own."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(self, rate=(4000, 192_000), duration=(0.05, 3600), level_range=(0, 120))


@dataclass(frozen=True, kw_only=True)
class ClipsRecipe:
    """A clip of the built-in library, from a random start and at a random level."""

    name: ClassVar[str] = "clips"
    version: ClassVar[int] = 1

    settings: ClipsSettings = field(default_factory=ClipsSettings)
    """What is rendered."""
    split: str = "train"
    """Split of the clips."""
    seed: int = 0
    """Seed of clip, start and level."""

    def __post_init__(self) -> None:
        """Check split and seed."""
        check_split_and_seed(self.split, self.seed)

    @property
    def licence(self) -> str:
        """What the samples may be used for."""
        return "The sounds are synthesised by Harken; its licence, MIT, sets no condition on what it renders."

    @cached_property
    def _library(self) -> ClipLibrary:
        return ClipLibrary.builtin(self.settings.rate)

    def sample(self, number: int) -> dict[str, Any]:
        """Make a sample.

        Args:
            number: Number of the sample.

        Returns:
            ``flac``, the sound ``(1, n)``, and ``json``: clip, category, start [samples], gain [dB] re the built-in
            level, and the resulting level over the active part [dB SPL at 1 m].
        """
        random = sample_generator(self, number)
        names = self._library.names(self.split)
        clip = self._library.clip(names[int(random.integers(len(names)))])
        start = int(random.integers(len(clip.samples)))
        gain = float(random.uniform(-0.5, 0.5)) * self.settings.level_range
        count = round(self.settings.duration * clip.rate)
        samples = clip.looped(start, count) * np.float32(amplitude(gain))
        level = float(sound_pressure_level(np.array([CLIP_RMS]))) + gain
        return {
            "flac": Audio(samples=samples[None], rate=clip.rate),
            "json": {
                "clip": clip.name,
                "category": clip.category,
                "start": start,
                "gain_db": round(gain, 6),
                "level_db_spl": round(level, 6),
                "active_rms": float(active_rms(clip.samples, clip.rate) * amplitude(gain)),
            },
        }
