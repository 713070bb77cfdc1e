"""From paths and energies to pressure: the impulse response.

Exact paths become delayed, filtered impulses. The energy field becomes noise whose envelope follows the
field per octave band and ear. What flows along the field's mean direction, as through a door, has the head's level
and time differences of that direction; the rest has the interaural coherence of a diffuse field (Pulkki 2007).
Energies are right on average in every time bin (Schröder 2011, §5.4; unit-variance noise over Δ samples has the
spectrum |N(f)|² = Δ, hence the division by Δ below).
"""

import numpy as np

from harken.acoustics.bands import band_filters, energy_weights
from harken.acoustics.hrtf import HeadResponse, interpolate_head
from harken.acoustics.protocol import SoundPath
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS

__all__ = ["Synthesizer"]

SINC_TAPS = 32
"""Length of the fractional-delay filter [samples]."""

BAND_TAPS = 255
"""Length of the filters that shape a path whose bands differ [samples]."""

FADE_OUT = 0.02
"""Share of the response over which its end fades, so that a cut tail does not click."""


@kernel(inline="always")
def _sinc(x):
    return 1.0 if abs(x) < 1e-9 else np.sin(np.pi * x) / (np.pi * x)


@kernel(fastmath=True)
def _add_delayed(out, taps, delay):
    """Add `taps` to `out`, delayed by a fractional number of samples (Lanczos' window of the sinc)."""
    whole = int(np.floor(delay))
    fraction = delay - whole
    for i in range(SINC_TAPS):
        x = i - (SINC_TAPS // 2 - 1) - fraction
        weight = np.float32(_sinc(x) * _sinc(x / (SINC_TAPS // 2)))
        start = whole + i - (SINC_TAPS // 2 - 1)
        low, high = max(0, -start), min(len(taps), len(out) - start)
        for j in range(low, high):
            out[start + j] += weight * taps[j]


@kernel(fastmath=True)
def _add_path(tables, band_filters, out, direction, delay, rate, amplitude, shaped):
    """Add one path: for two channels through the head, for one channel as a plain impulse."""
    channels = out.shape[0]
    half = band_filters.shape[1] // 2
    filters, delays = np.zeros((2, tables[5].shape[2]), np.float32), np.zeros(2, np.float32)
    if channels == 2:
        interpolate_head(tables, direction[0], direction[1], direction[2], filters, delays)
    else:
        filters[0, 0] = 1.0
    mean = np.float32(0.0)
    for b in range(len(amplitude)):
        mean += np.float32(amplitude[b] / len(amplitude))
    for c in range(channels):
        at = delay + delays[c] * rate
        taps = filters[c]
        if not shaped:
            _add_delayed(out[c], taps * mean, at)
            continue
        shape = np.zeros(band_filters.shape[1], np.float32)
        for b in range(len(amplitude)):
            a = np.float32(amplitude[b])
            for i in range(len(shape)):
                shape[i] += a * band_filters[b, i]
        both = np.zeros(len(shape) + len(taps) - 1, np.float32)
        for j in range(len(taps)):
            if taps[j] != 0.0:
                for i in range(len(shape)):
                    both[i + j] += taps[j] * shape[i]
        _add_delayed(out[c], both, at - half)


@kernel(fastmath=True)
def _add_noise(out, envelope, centres, carrier, first):
    """Add noise whose amplitude runs linearly between the bins' `centres`; `envelope` has one more at each end."""
    length, bins = len(out), len(centres)
    start = 0
    for t in range(bins + 1):
        end = min(int(centres[t]), length) if t < bins else length
        if end <= start:
            continue
        a = envelope[t]
        slope = (envelope[t + 1] - a) / np.float32(end - start)
        for n in range(max(start, first), end):
            out[n] += (a + slope * np.float32(n - start)) * carrier[n]
        start = end


@kernel(fastmath=True)
def _add_tail(out, field, harmonics, beam, gains, delays, turn, centres, widths, noise, beam_noise, offset, first):
    """Add the field as noise from sample `first` on.

    The part of the energy that flows along `beam`, the field's mean direction, reaches the ears as from there: with the
    head's `gains` and `delays` [samples] and one carrier for both. The rest is diffuse: its carriers have the
    coherence of a diffuse field. `turn` is (cos, sin) of the heading.
    """
    bins, bands = field.shape[0], field.shape[1]
    length = out.shape[1]
    diffuse, directed = np.zeros(bins + 2, np.float32), np.zeros(bins + 2, np.float32)
    for c in range(out.shape[0]):
        shift = offset + delays[c]
        for b in range(bands):
            c0, cx, cy, cz = harmonics[b, c, 0], harmonics[b, c, 1], harmonics[b, c, 2], harmonics[b, c, 3]
            for t in range(bins):
                e, x, y, z = field[t, b, 0], field[t, b, 1], field[t, b, 2], field[t, b, 3]
                along = max(np.float32(0.0), x * beam[0] + y * beam[1] + z * beam[2])
                e, x, y, z = e - along, x - along * beam[0], y - along * beam[1], z - along * beam[2]
                heard = c0 * e + cx * (turn[0] * x - turn[1] * z) + cy * y + cz * (turn[1] * x + turn[0] * z)
                diffuse[t + 1] = np.sqrt(max(heard, np.float32(0.02) * c0 * e, np.float32(0.0)) / widths[t])
                directed[t + 1] = np.sqrt(along * gains[b, c] / widths[t])
            diffuse[0], diffuse[bins + 1] = diffuse[1], diffuse[bins]
            directed[0], directed[bins + 1] = directed[1], directed[bins]
            _add_noise(out[c], diffuse, centres, noise[b, c, offset : offset + length], first)
            _add_noise(out[c], directed, centres, beam_noise[b, 0, shift : shift + length], first)


class Synthesizer:
    """Make impulse responses of one rate and length.

    Args:
        rate: Sampling rate [Hz].
        samples: Length of the responses.
        seed: Chooses the noise that carries the tail.
    """

    def __init__(self, rate: int, samples: int, seed: int):
        self.rate, self.samples = rate, samples
        self.head = HeadResponse.kemar(rate)
        rng = np.random.default_rng(seed)
        # Each band has a noise of its own: neighbours overlap, and only independent noises add up in energy there.
        two = np.stack([self.head.diffuse_noise(2 * samples, rng) for _ in OCTAVE_BANDS])
        one = rng.standard_normal((len(OCTAVE_BANDS), 1, 2 * samples))
        self._noise = {2: _in_bands(two, rate), 1: _in_bands(one, rate)}
        self._harmonics = {
            2: self.head.energy_harmonics().astype(np.float32),
            1: np.tile(np.array([1, 0, 0, 0], np.float32), (len(OCTAVE_BANDS), 1, 1)),
        }
        # The head's colour is in the harmonics; what the diffuse noise has of it, per band, is taken out.
        level, plain = (np.mean(self._noise[channels] ** 2, axis=(1, 2), keepdims=True) for channels in (2, 1))
        self._noise[2] *= np.float32(np.sqrt(plain / np.maximum(level, 1e-20)))
        self._direction_gains = _direction_gains(self.head)
        self._band_filters = np.ascontiguousarray(band_filters(rate, BAND_TAPS), np.float32)

    def add_path(self, out: np.ndarray, path: SoundPath, heading: float, speed: float) -> None:
        """Add an exact path to a response ``(channels, samples)`` in place; `heading` in rad, `speed` in m/s."""
        amplitude = np.sqrt(path.energy)
        loudest = float(amplitude.max())
        if loudest <= 0.0:
            return
        c, s = np.cos(heading), np.sin(heading)
        x, y, z = path.direction
        # World to head: right = (cos h, 0, −sin h), back = (sin h, 0, cos h).
        direction = np.array([c * x - s * z, y, s * x + c * z])
        shaped = bool(amplitude.min() < 0.97 * loudest)
        delay = path.length / speed * self.rate
        _add_path(self.head.tables, self._band_filters, out, direction, delay, self.rate, amplitude, shaped)

    def add_tail(
        self, out: np.ndarray, field: np.ndarray, edges: np.ndarray, heading: float, first: int, offset: int
    ) -> None:
        """Add an energy field as noise in place.

        Args:
            out: ``(channels, samples)`` float32.
            field: ``(bins, bands, 4)`` energy and vector to where it comes from, in the world's frame.
            edges: ``(bins + 1,)`` edges of the time bins [s].
            heading: Heading [rad].
            first: First sample at which anything can arrive.
            offset: Where in the noise to start: sources with different offsets get independent tails.
        """
        channels = out.shape[0]
        cosine, sine = np.cos(heading), np.sin(heading)
        flow = field[..., 1:].sum((0, 1), dtype=np.float64)
        # One microphone has no direction, and both parts would be carried by the same noise.
        beam = flow / max(float(np.linalg.norm(flow)), 1e-30) if channels == 2 else np.zeros(3)
        gains, delays = np.ones((len(OCTAVE_BANDS), channels), np.float32), np.zeros(channels, np.int64)
        if channels == 2:
            head = np.array([cosine * beam[0] - sine * beam[2], beam[1], sine * beam[0] + cosine * beam[2]])
            nearest = int(np.argmax(self.head.directions @ head))
            gains = self._direction_gains[nearest]
            # A later carrier is read further on; the carriers of both ears start within a millisecond.
            lag = self.head.lookup(head)[1]
            delays = np.round((lag.max() - lag) * self.rate).astype(np.int64)
        _add_tail(
            out,
            field,
            self._harmonics[channels],
            beam.astype(np.float32),
            gains,
            delays,
            np.array([cosine, sine], np.float32),
            0.5 * (edges[1:] + edges[:-1]) * self.rate,
            (np.diff(edges) * self.rate).astype(np.float32),
            self._noise[channels],
            self._noise[1],
            offset % (self.samples - self.samples // 8),
            max(first, 0),
        )

    def fade_end(self, out: np.ndarray) -> None:
        """Fade the end of a response in place, so that a cut tail does not click."""
        n = max(1, int(FADE_OUT * out.shape[1]))
        out[:, -n:] *= np.linspace(1.0, 0.0, n, dtype=np.float32)


def _in_bands(noise: np.ndarray, rate: int) -> np.ndarray:
    """Keep of each noise ``(bands, channels, n)`` its own band only."""
    n = noise.shape[-1]
    frequencies = np.fft.rfftfreq(n, 1 / rate)
    # Below 30 Hz the positive pressures of many reflections would only add up to an offset.
    highpass = 1.0 / np.sqrt(1.0 + (30.0 / np.maximum(frequencies, 1e-3)) ** 4)
    return np.fft.irfft(np.fft.rfft(noise) * (energy_weights(frequencies) * highpass)[:, None], n).astype(np.float32)


def _direction_gains(head: HeadResponse) -> np.ndarray:
    """Return the band energies ``(directions, bands, 2)`` float32 of the head's filters."""
    size = 1024
    frequencies = np.fft.rfftfreq(size, 1 / head.rate)
    weights = energy_weights(frequencies) ** 2
    spectra = np.abs(np.fft.rfft(head.filters, size)) ** 2
    return (np.einsum("def,bf->dbe", spectra, weights) / weights.sum(1)[None, :, None]).astype(np.float32)
