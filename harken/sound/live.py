"""A sound that is decided while time passes: one of several clips at a time, at a level that may change."""

import numpy as np

from harken.errors import SoundError

__all__ = ["AHEAD", "LiveSound"]

AHEAD = 64
"""How far a live sound is written beyond the time that passes [samples]: an interpolated delay looks so far ahead."""


class LiveSound:
    """Plays clips one after the other into a ring, and fades from one to the next.

    Every clip runs on in time while it is not heard, so that one that is taken up again goes on where it would be.
    What is played is written `AHEAD` samples late, and a change of clip or level is spread evenly over `fade` samples.

    Args:
        length: Samples of the ring; at least what is heard at once of the past, a call of `play` and `AHEAD`.
        fade: Samples of a crossfade.

    Attributes:
        ring: ``(length,)`` float32, sample i of the sound at place i modulo the length; never replaced, only written.
    """

    def __init__(self, length: int, *, fade: int):
        self.ring = np.zeros(length, np.float32)
        self._fade = np.arange(1, max(1, fade) + 1, dtype=np.float32) / np.float32(max(1, fade))
        self._written = AHEAD
        self._playing = np.zeros(1, np.float32), 0, 0.0

    def play(self, clip: np.ndarray, samples: int, *, gain: float = 1.0, offset: int = 0) -> None:
        """Write the next samples; what was played before fades into them.

        Args:
            clip: ``(n,)`` float32, repeated without end.
            samples: How many, no fewer than those of a crossfade.
            gain: Factor of the clip; 0 for silence.
            offset: Sample of the clip that sounds at the beginning of all time.

        Raises:
            SoundError: The crossfade is longer, or the ring shorter, than the samples.
        """
        if not len(self._fade) <= samples <= len(self.ring) - AHEAD:
            raise SoundError(
                f"{samples} samples are played into a ring of {len(self.ring)} with a crossfade of {len(self._fade)}; "
                f"expected at least the crossfade, and at most the ring without {AHEAD}."
            )
        playing = clip, offset, gain
        out = self._cut(playing, samples)
        if not _same(self._playing, playing):
            fade = self._fade
            out[: len(fade)] = fade * out[: len(fade)] + (1.0 - fade) * self._cut(self._playing, len(fade))
        self.ring[np.arange(self._written, self._written + samples) % len(self.ring)] = out
        self._written, self._playing = self._written + samples, playing

    def _cut(self, playing: tuple[np.ndarray, int, float], samples: int) -> np.ndarray:
        """Return the next samples of a clip at its level ``(samples,)``."""
        clip, offset, gain = playing
        if gain == 0.0:
            return np.zeros(samples, np.float32)
        return clip[np.arange(self._written + offset, self._written + offset + samples) % len(clip)] * np.float32(gain)


def _same(one: tuple[np.ndarray, int, float], other: tuple[np.ndarray, int, float]) -> bool:
    """Whether nothing changes between two states of play; what is silent is the same, whatever the clip."""
    if one[2] == other[2] == 0.0:
        return True
    if one[1:] != other[1:]:
        return False
    return one[0] is other[0] or np.array_equal(one[0], other[0])  # a pickle has copies of clips
