"""Sound through a response that changes, in continuous time and at the cost of its new samples only."""

import numpy as np
import scipy.fft

from harken.errors import ConfigurationError

__all__ = ["StreamingConvolver"]


class StreamingConvolver:
    """Convolve a looping clip with a response that may change at every block (uniformly partitioned overlap-save).

    The spectra of past input are kept in a ring, so a block costs one transform of its input, the partitions of the new
    response, and one inverse transform per channel. Where the response changed, the block is computed with the old and
    the new one and the outputs are crossfaded (Wefers 2015, §6.3): no clicks, and no second history.

    Args:
        clip: ``(n,)`` float32 samples, repeated without end.
        block: Samples per block.
        offset: First sample of the clip that sounds.
        fade: Samples of the crossfade, at most `block`.
        sounding: Interval of the stream in which the source sounds [samples]; the clip is silent outside.
    """

    def __init__(
        self,
        clip: np.ndarray,
        block: int,
        *,
        offset: int = 0,
        fade: int = 800,
        sounding: tuple[int, float] = (0, np.inf),
    ):
        if block < 1 or len(clip) == 0:
            raise ConfigurationError(f"Block of {block} samples and clip of {len(clip)}: both must be positive.")
        self._clip = np.ascontiguousarray(clip, np.float32)
        self._block, self._offset, self._sounding = block, offset, sounding
        self._size = scipy.fft.next_fast_len(2 * block, real=True)
        self._fade = np.linspace(0.0, 1.0, min(fade, block) + 2, dtype=np.float32)[1:-1]
        self._position = 0
        self._last = np.zeros(block, np.float32)
        self._ring: list[np.ndarray] = []
        self._longest = 1
        self._response: np.ndarray | None = None
        self._partitions: np.ndarray | None = None

    @property
    def position(self) -> int:
        """Samples that have been produced."""
        return self._position

    def _next_input(self) -> np.ndarray:
        n = np.arange(self._position, self._position + self._block)
        samples = self._clip[(n + self._offset) % len(self._clip)]
        start, end = self._sounding
        if self._position < start or self._position + self._block > end:
            samples = np.where((n >= start) & (n < end), samples, np.float32(0))
        return samples

    def _transform(self, response: np.ndarray) -> np.ndarray:
        """Return the spectra ``(partitions, channels, bins)`` of a response cut into blocks."""
        channels, length = response.shape
        partitions = max(1, -(-length // self._block))
        padded = np.zeros((channels, partitions * self._block), np.float32)
        padded[:, :length] = response
        parts = padded.reshape(channels, partitions, self._block).transpose(1, 0, 2)
        return scipy.fft.rfft(parts, self._size, axis=-1)

    def _filter(self, partitions: np.ndarray) -> np.ndarray:
        used = min(len(self._ring), len(partitions))
        total = self._ring[0] * partitions[0]
        for p in range(1, used):
            total += self._ring[p] * partitions[p]
        return scipy.fft.irfft(total, self._size, axis=-1)[:, self._block : 2 * self._block]

    def advance(self, response: np.ndarray) -> np.ndarray:
        """Produce the next block.

        Args:
            response: ``(channels, n)`` float32 impulse response from now on.

        Returns:
            ``(channels, block)`` float32.
        """
        samples = self._next_input()
        spectrum = scipy.fft.rfft(np.concatenate([self._last, samples]), self._size)
        if response is self._response and self._partitions is not None:
            partitions = self._partitions
        else:
            partitions = self._transform(response)
        self._ring.insert(0, spectrum)
        self._longest = max(self._longest, len(partitions))
        del self._ring[self._longest :]
        out = np.ascontiguousarray(self._filter(partitions), np.float32)
        old = self._partitions
        if old is not None and old is not partitions and old.shape[1] == partitions.shape[1]:
            n = len(self._fade)
            out[:, :n] = out[:, :n] * self._fade + self._filter(old)[:, :n] * self._fade[::-1]
        self._last, self._response, self._partitions = samples, response, partitions
        self._position += self._block
        return out
