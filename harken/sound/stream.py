"""The sound of a source as an endless stream: a clip that is repeated, from an onset to an end."""

from dataclasses import dataclass

import numpy as np

from harken.raytracing import kernel

__all__ = ["Stream", "cut_clip"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stream:
    """A clip, repeated without end, of which a part sounds."""

    clip: np.ndarray
    """``(n,)`` float32 samples."""
    offset: int = 0
    """First sample of the clip that sounds."""
    sounding: tuple[int, float] = (0, np.inf)
    """Interval of the stream in which the source sounds [samples]; it is silent outside."""

    @property
    def bounds(self) -> tuple[int, int]:
        """First sample that sounds, and the first after the last, as whole numbers."""
        start, end = self.sounding
        return max(0, int(np.ceil(start))), int(min(np.ceil(end), 2**62))


@kernel
def cut_clip(clip, first, offset, start, end, out):
    """Fill `out` with the looping clip from sample `first` of the stream on; silent outside `start`…`end`."""
    place = (first + offset) % len(clip)
    for i in range(len(out)):
        out[i] = clip[place] if start <= first + i < end else np.float32(0.0)
        place += 1
        if place == len(clip):
            place = 0
