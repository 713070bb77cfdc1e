"""How fast energy decays, and whether a response ends long before it has."""

import math
import warnings

import numpy as np

from harken.errors import HarkenWarning
from harken.scene import OCTAVE_BANDS

__all__ = ["CutDecay", "estimated_decay_time"]

FAR_BELOW = 0.5
"""Share of the decay time below which the cut is audible: less than 30 of 60 dB have decayed at the end."""

SPEECH_BANDS = slice(OCTAVE_BANDS.index(500.0), OCTAVE_BANDS.index(2000.0) + 1)
"""Octave bands from which the decay is estimated: those that carry speech."""

_TOLD: set[tuple[str, float]] = set()

FEWEST_BINS = 8
"""Least number of time bins with energy from which a decay is estimated."""


def estimated_decay_time(energy: np.ndarray, edges: np.ndarray) -> float | None:
    """Return the time in which energy falls by 60 dB, from a line through the levels of its time bins.

    Less accurate than `harken.acoustics.measures.decay_time`, but it works where the response ends early.

    Args:
        energy: ``(bins, bands, 4)`` energy field at a listener, over all of `OCTAVE_BANDS`.
        edges: ``(bins + 1,)`` edges of the time bins [s].

    Returns:
        The time at 500–2000 Hz [s], None where too little arrives or nothing decays.
    """
    density = energy[:, SPEECH_BANDS, 0].sum(1, dtype=np.float64) / np.diff(edges)
    bins = np.flatnonzero(density > 1e-6 * density.max())
    bins = bins[bins >= density.argmax()]
    if len(bins) < FEWEST_BINS:
        return None
    centres = 0.5 * (edges[1:] + edges[:-1])
    slope = float(np.polyfit(centres[bins], 10.0 * np.log10(density[bins]), 1)[0])
    return -60.0 / slope if slope < 0.0 else None


class CutDecay:
    """Warns once where responses end long before the sound of a scene has died away.

    Args:
        duration: Length of the responses [s].
        longest: Greatest length that can be set [s].
        setting: Class of the settings that the warning names.
    """

    def __init__(self, duration: float, *, longest: float = 20.0, setting: str = "AcousticSettings"):
        self.duration, self.longest, self.setting = duration, longest, setting
        self._silent = (setting, duration) in _TOLD

    def tell(self, energy: np.ndarray, edges: np.ndarray) -> None:
        """Warn once if the decay time is more than twice the duration.

        Args:
            energy: As `estimated_decay_time` takes.
            edges: As `estimated_decay_time` takes.
        """
        if self._silent:
            return
        time = estimated_decay_time(energy, edges)
        if time is None:
            return
        self._silent = True
        if self.duration >= FAR_BELOW * time or self.duration >= self.longest:
            return
        _TOLD.add((self.setting, self.duration))
        suggestion = min(self.longest, math.ceil(10.0 * time) / 10.0)
        warnings.warn(
            f"Responses are cut at {self.duration:g} s, but sound takes about {time:.1f} s to decay by 60 dB here: the "
            f"end of it is missing. Set {self.setting}(duration={suggestion:g}) to hear all.",
            HarkenWarning,
            stacklevel=2,
        )
