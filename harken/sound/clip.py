"""A clip: the sound that a source emits, without a room."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from harken.checks import checked_count, checked_number
from harken.errors import SoundError, UnknownNameError
from harken.sound.level import CLIP_RMS, active_rms, as_pressure
from harken.sound.recordings import HIGHEST_RATE, LOWEST_RATE
from harken.splits import Split as HomeSplit

__all__ = ["SPLITS", "Clip", "Split", "checked_rate"]

Split = Literal[HomeSplit, "all"]
"""Name of a split of a library."""

SPLITS: tuple[Split, ...] = get_args(Split)
"""The splits of a library. "all" marks what is kept apart for no split, such as the one sound of the telephone task."""

# 80 dB below full scale: the last bits of a 16-bit recording.
_SILENCE = 1e-4


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """A sound without a room: what a source emits, heard at 1 m in the free field."""

    samples: np.ndarray
    """``(n,)`` float32 pressure, read-only; integer PCM is divided by its full scale (`as_pressure`)."""
    rate: int
    """Sample rate [Hz]."""
    name: str = "clip"
    """Name, unique in its library."""
    category: str = "unknown"
    """What makes the sound, such as "telephone"."""
    split: Split = "all"
    """One of `SPLITS`."""

    def __post_init__(self) -> None:
        """Check the samples."""
        rate = checked_rate(self.rate)
        for field in ("name", "category"):
            if not isinstance(getattr(self, field), str):
                raise SoundError(f"The {field} of a clip is {getattr(self, field)!r}; expected text.")
        samples = np.array(as_pressure(self.samples, f"Clip {self.name!r}"), np.float32)
        if samples.ndim != 1 or len(samples) == 0:
            raise SoundError(f"Clip {self.name!r}: samples have shape {samples.shape}; expected (n,) with n > 0, mono.")
        peak = float(np.abs(samples).max())
        if peak < _SILENCE:
            raise SoundError(
                f"Clip {self.name!r} is silent: its peak is {peak:.1e}, expected at least {_SILENCE:g} of full scale. "
                "Amplify or leave out the recording."
            )
        if self.split not in SPLITS:
            raise UnknownNameError("split", self.split, SPLITS)
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)
        object.__setattr__(self, "rate", rate)

    @property
    def duration(self) -> float:
        """Length [s]."""
        return len(self.samples) / self.rate

    def looped(self, start: int, count: int) -> np.ndarray:
        """Return samples of the clip repeated without end.

        Args:
            start: First sample, counted from the beginning of the first repetition; may be negative.
            count: Number of samples.

        Returns:
            ``(count,)`` float32, a fresh array.
        """
        begin = start % len(self.samples)
        if begin + count <= len(self.samples):
            return self.samples[begin : begin + count].copy()
        return np.resize(np.roll(self.samples, -begin), count)

    def normalised(self, level: float = CLIP_RMS) -> "Clip":
        """Return the clip with another RMS over its active part.

        Args:
            level: The RMS; see `harken.sound.level.active_rms`.

        Raises:
            ConfigurationError: The level is not a number above 0 and up to 1.
        """
        level = checked_number("The level of a clip", level, 0.0, 1.0, above=True)
        return replace(self, samples=self.samples * np.float32(level / active_rms(self.samples, self.rate)))


def checked_rate(rate: int) -> int:
    """Return a sampling rate [Hz] once it is a whole number in the range that recordings may have.

    Raises:
        ConfigurationError: It is not.
    """
    return checked_count("The sample rate", rate, LOWEST_RATE, HIGHEST_RATE, unit="Hz")
