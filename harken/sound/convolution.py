"""Sound through a response that changes, in continuous time and at the cost of its new samples only."""

import numpy as np
import scipy.fft

from harken.errors import ConfigurationError
from harken.raytracing import kernel
from harken.sound.stream import Stream, cut_clip

__all__ = ["AHEAD", "StreamingConvolver", "audible_length"]

SILENT = 1e-5
"""Share of a response's peak below which its end is silence: -100 dB."""

TOGETHER = 4
"""Transforms of float32 that run in the time of little more than one, because they share the processor's vector
registers: six rows take longer than eight."""

AHEAD = TOGETHER
"""Blocks of input that are transformed in one call: the clip is known in advance."""


class StreamingConvolver:
    """Convolve a looping clip with a response that may change at every block (uniformly partitioned overlap-save).

    The spectra of the input are kept in a ring, so a block costs its share of one transform of input, the partitions of
    the new response, and one inverse transform per channel. Where the response changed, the block is computed with the
    old and the new one and the outputs are crossfaded (Wefers 2015, §6.3): no clicks, and no second history.

    Args:
        clip: ``(n,)`` float32 samples, repeated without end.
        block: Samples per block.
        offset: First sample of the clip that sounds.
        fade: Samples of the crossfade, at most `block`.
        sounding: Interval of the stream in which the source sounds [samples]; the clip is silent outside.
        start: Sample of the stream with which the first block begins.
        ahead: Blocks of input that are transformed in one call; 1 where the clip is written while time passes.
    """

    def __init__(
        self,
        clip: np.ndarray,
        block: int,
        *,
        offset: int = 0,
        fade: int = 800,
        sounding: tuple[int, float] = (0, np.inf),
        start: int = 0,
        ahead: int = AHEAD,
    ):
        if block < 1 or len(clip) == 0:
            raise ConfigurationError(f"Block of {block} samples and clip of {len(clip)}: both must be positive.")
        self.stream = Stream(clip=np.ascontiguousarray(clip, np.float32), offset=offset, sounding=sounding)
        self._block = block
        self._size = scipy.fft.next_fast_len(2 * block, real=True)
        self._fade = np.linspace(0.0, 1.0, min(fade, block) + 2, dtype=np.float32)[1:-1]
        self._position, self._ahead = start, ahead
        # Block i of the input has its spectrum in row i modulo the length; those before `_transformed` are there.
        self._ring = np.zeros((0, self._size // 2 + 1), np.complex64)
        self._transformed = 0
        self._whole = np.linspace(0.0, 1.0, block + 1, dtype=np.float32)[:-1]
        self._response: np.ndarray | None = None
        self._partitions: np.ndarray | None = None

    @property
    def position(self) -> int:
        """Sample of the stream with which the next block begins."""
        return self._position

    def _prepare_input(self, partitions: int) -> None:
        """Have the spectra of this block and of as many before it as there are partitions."""
        now = self._position // self._block
        ahead = self._ahead
        rows = -(-(partitions + ahead - 1) // ahead) * ahead
        if rows > len(self._ring):
            self._ring = np.zeros((rows, self._ring.shape[1]), np.complex64)
            self._transformed = max(0, now + 1 - partitions) // ahead * ahead
        while self._transformed <= now:
            # Always the same ones together: their bytes then do not depend on when they are asked for.
            first, row = self._transformed, self._transformed % len(self._ring)
            spans = np.empty((ahead, self._size), np.float32)
            stream = self.stream
            _cut_spans(stream.clip, first * self._block, self._block, stream.offset, *stream.bounds, spans)
            self._ring[row : row + ahead] = scipy.fft.rfft(spans, overwrite_x=True)
            self._transformed += ahead

    def _partitions_of(self, response: np.ndarray) -> np.ndarray:
        if self._partitions is not None and response is self._response:
            return self._partitions
        return self._transform(response)

    def _transform(self, response: np.ndarray) -> np.ndarray:
        """Return the spectra ``(partitions, channels, bins)`` of a response in blocks, as far as it is audible."""
        response = np.ascontiguousarray(response, np.float32)
        channels, partitions = len(response), max(1, -(-audible_length(response) // self._block))
        rows = partitions * channels
        parts = np.empty((-(-rows // TOGETHER) * TOGETHER, self._size), np.float32)
        _cut_response(response, self._block, parts)
        return scipy.fft.rfft(parts, overwrite_x=True)[:rows].reshape(partitions, channels, -1)

    def advance(self, response: np.ndarray, *, before: np.ndarray | None = None, gradually: bool = False) -> np.ndarray:
        """Produce the next block.

        Args:
            response: ``(channels, n)`` float32 impulse response from now on.
            before: What the response is faded over from; by default the one of the last call. With the response itself,
                nothing fades.
            gradually: Whether it fades during the whole block, at a level that goes steadily from the old response's to
                the new one's, however alike the two are (see `_steady`).

        Returns:
            ``(channels, block)`` float32.
        """
        last = self._response if before is None else before
        old = None if last is None else self._partitions_of(last)
        partitions = old if old is not None and response is last else self._partitions_of(response)
        fading = old is not None and old is not partitions and old.shape[1] == partitions.shape[1]
        fade = self._whole if gradually else self._fade
        level = _NO_LEVEL
        if fading and gradually and last is not None:
            level = np.empty(self._block, np.float32)
            _steady(last, response, fade, level)
        self._prepare_input(max(len(partitions), len(old) if old is not None else 0))
        channels, now = partitions.shape[1], self._position // self._block
        # The old response's output is transformed along with the new one's: four transforms cost little more than two.
        spectra = np.empty((channels * (1 + fading), self._ring.shape[1]), np.complex64)
        _filter(self._ring, now, partitions, partitions if old is None else old, spectra)
        filtered = scipy.fft.irfft(spectra, self._size, overwrite_x=True)
        out = np.empty((channels, self._block), np.float32)
        _fade_over(filtered, self._block, fade, level, out)
        self._response, self._partitions = response, partitions
        self._position += self._block
        return out


_NO_LEVEL = np.zeros(0, np.float32)


@kernel
def _cut_spans(clip, first, block, offset, start, end, spans):
    """Cut the looping clip into `spans`, each a block and the one before it, then zeros; silent outside `start`…`end`.

    The first span ends with the block that begins at sample `first` of the stream.
    """
    for s in range(len(spans)):
        cut_clip(clip, first + (s - 1) * block, offset, start, end, spans[s, : 2 * block])
        spans[s, 2 * block :] = 0.0


@kernel
def audible_length(response):
    """Return how many samples of a response ``(channels, n)`` are heard: up to the last within −100 dB of the loudest.

    NaN counts as sound. `StreamingConvolver` leaves out the rest.
    """
    limit, last = np.float32(SILENT) * _peak(response), 0
    for c in range(response.shape[0]):
        for i in range(response.shape[1] - 1, last - 1, -1):
            if not abs(response[c, i]) <= limit:
                last = i + 1
                break
    return last


@kernel
def _peak(response):
    """Return the greatest magnitude of a response, NaN left out.

    Floats without their sign are in the order of their bits read as whole numbers, of which several are compared at
    once; NaN comes last.
    """
    most, found = np.int64(0), np.empty(1, np.int32)
    for c in range(response.shape[0]):
        bits = response[c].view(np.int32)
        for i in range(len(bits)):
            most = max(most, bits[i] & 0x7FFFFFFF)
    if most <= 0x7F800000:
        found[0] = most
        return found.view(np.float32)[0]
    peak = np.float32(0.0)
    for c in range(response.shape[0]):
        for i in range(response.shape[1]):
            peak = max(peak, abs(response[c, i]))
    return peak


@kernel
def _cut_response(response, block, parts):
    """Cut a response ``(channels, n)`` into `parts` ``(rows, size)``: blocks of all channels in turn, then zeros."""
    channels, length = response.shape
    for row in range(len(parts)):
        start, c = row // channels * block, row % channels
        used = max(0, min(block, length - start))
        parts[row, :used] = response[c, start : start + used]
        parts[row, used:] = 0.0


@kernel(fastmath={"contract", "reassoc", "nsz"})
def _filter(ring, now, partitions, old, spectra):
    """Sum the input's last blocks, each times its partition; `spectra` has rows for the channels, or twice as many.

    The second half is for the old response.
    """
    channels, bins = partitions.shape[1], partitions.shape[2]
    for r in range(len(spectra)):
        row, parts = spectra[r], partitions if r < channels else old
        row[:] = 0.0
        for p in range(min(len(parts), now + 1)):
            x, h = ring[(now - p) % len(ring)], parts[p, r % channels]
            for k in range(bins):
                row[k] += x[k] * h[k]


@kernel(fastmath={"contract", "reassoc", "nsz"})
def _steady(old, new, fade, level):
    """Set the factor that keeps a fade between two responses at a steady level.

    Of noises with the amplitudes a and b and the correlation ρ, the share w of the second and 1 − w of the first have
    the power ((1 − w)a)² + (wb)² + 2ρw(1 − w)ab; the factor brings it to that of the amplitude (1 − w)a + wb. It is 1
    where they are the same but for their level, and that of a fade of equal power where they are independent.
    """
    one, other, both = np.float32(0.0), np.float32(0.0), np.float32(0.0)
    for c in range(old.shape[0]):
        first, second = old[c], new[c]
        for i in range(min(len(first), len(second))):
            one += first[i] * first[i]
            other += second[i] * second[i]
            both += first[i] * second[i]
    a, b, common = np.sqrt(one), np.sqrt(other), max(both, np.float32(0.0))
    for i in range(len(fade)):
        u, v = (np.float32(1.0) - fade[i]) * a, fade[i] * b
        power = u * u + v * v + np.float32(2.0) * fade[i] * (np.float32(1.0) - fade[i]) * common
        level[i] = (u + v) / np.sqrt(power) if power > 0.0 else np.float32(1.0)


@kernel
def _fade_over(filtered, block, fade, level, out):
    """Write the new response's output into `out`; in its first samples the old one's, further down, fades away.

    While it does, the sum is multiplied by `level` unless that is empty.
    """
    channels = out.shape[0]
    for c in range(channels):
        out[c] = filtered[c, block : 2 * block]
        if len(filtered) > channels:
            row, before = out[c], filtered[channels + c, block : 2 * block]
            for i in range(len(fade)):
                row[i] = fade[i] * row[i] + (np.float32(1.0) - fade[i]) * before[i]
            for i in range(len(level)):
                row[i] *= level[i]
