"""Building blocks of synthesised clips: a circular canvas, events to put on it, and draws that keep variants apart.

Everything is made at 48 kHz on a canvas whose end joins its beginning: events that reach over the end go on at the
start, noise comes from a spectrum and is periodic by nature. A clip made so repeats without a seam.
"""

import zlib
from collections.abc import Callable, Sequence

import numpy as np
import scipy.fft

from harken.errors import SoundError
from harken.sound.level import CLIP_RMS, active_rms

__all__ = [
    "BELL",
    "CERAMIC",
    "GLASS",
    "METAL",
    "RATE",
    "VOWELS",
    "WOOD",
    "Draw",
    "Gains",
    "Loop",
    "Material",
    "Values",
    "band",
    "burst",
    "clatter",
    "fade",
    "filtered",
    "fm",
    "glide",
    "levelled",
    "modes",
    "partials",
    "path",
    "pluck",
    "pulses",
    "resampled",
    "resonances",
    "struck",
    "voice",
]

RATE: int = 48000
"""Sample rate of the canvas [Hz]."""

Gains = Callable[[np.ndarray], np.ndarray]
"""A filter: frequencies [Hz] in, gains out."""

Values = Sequence[float] | np.ndarray
"""Some numbers."""

_PEAK = 0.98

Material = tuple[tuple[float, ...], float]
"""A struck body: the ratios of its modes, and how much faster the high ones decay (exponent of the ratio)."""

WOOD: Material = ((1.0, 1.58, 2.24, 2.92, 3.6, 4.9, 6.3), 0.9)
"""Partials of a struck piece of wood."""
METAL: Material = ((1.0, 1.47, 2.09, 2.56, 3.39, 4.08, 5.63, 7.11), 0.35)
"""Partials of a struck piece of metal."""
GLASS: Material = ((1.0, 2.32, 4.25, 6.63, 9.38), 0.5)
"""Partials of a struck piece of glass."""
CERAMIC: Material = ((1.0, 1.83, 2.71, 3.94, 5.2), 0.7)
"""Partials of a struck piece of ceramic."""
BELL: Material = ((0.5, 1.0, 1.2, 1.5, 2.0, 2.51, 2.66, 3.01), 0.6)
"""Partials of a struck piece of bell metal."""

VOWELS: dict[str, tuple[float, float, float]] = {
    "a": (730.0, 1090.0, 2440.0),
    "e": (530.0, 1840.0, 2480.0),
    "i": (270.0, 2290.0, 3010.0),
    "o": (570.0, 840.0, 2410.0),
    "u": (300.0, 870.0, 2240.0),
}
"""Formants of vowels [Hz] (Peterson and Barney, J. Acoust. Soc. Am. 24, 1952, table II, men)."""


class Draw:
    """The random choices of one of three variants of a category, repeatable and apart from those of the other two."""

    def __init__(self, category: str, variant: int):
        """Make the draws of a variant.

        Args:
            category: Name that seeds the draws.
            variant: 0, 1 or 2.
        """
        seed = zlib.crc32(category.encode())
        self._orders = np.random.default_rng([seed, 0])
        self.rng: np.random.Generator = np.random.default_rng([seed, variant + 1])
        self.variant: int = variant

    def between(self, low: float, high: float) -> float:
        """Draw a value from one third of a range on a logarithmic scale: each variant has a third of its own."""
        third = self._orders.permutation(3)[self.variant]
        return float(low * (high / low) ** ((third + self.rng.uniform(0.2, 0.8)) / 3))

    def whole(self, low: int, high: int) -> int:
        """Draw a whole number, as `between`."""
        return round(self.between(low, high))


class Loop:
    """A canvas whose end joins its beginning."""

    def __init__(self, seconds: float):
        """Make a silent canvas of a length that is rounded to whole samples [s]."""
        self.samples: np.ndarray = np.zeros(round(seconds * RATE), np.float32)

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return len(self.samples) / RATE

    @property
    def time(self) -> np.ndarray:
        """``(n,)`` time of each sample [s]."""
        return np.arange(len(self.samples), dtype=np.float32) / np.float32(RATE)

    def add(self, event: np.ndarray, at: float = 0.0, gain: float = 1.0) -> None:
        """Add an event; what reaches over the end goes on at the beginning.

        Args:
            event: ``(m,)`` samples, of any length.
            at: Where the event begins [s].
            gain: Factor.
        """
        start, done = round(at * RATE) % len(self.samples), 0
        while done < len(event):
            size = min(len(self.samples) - start, len(event) - done)
            self.samples[start : start + size] += np.float32(gain) * event[done : done + size]
            start, done = 0, done + size

    def snap(self, frequency: float) -> float:
        """Return the nearest frequency [Hz] that has whole periods in the canvas."""
        return max(1, round(frequency * self.seconds)) / self.seconds

    def cycle(self, frequency: float, phase: float = 0.0) -> np.ndarray:
        """Return ``(n,)`` sine of about `frequency` [Hz] that closes on itself; `phase` in periods."""
        return np.sin(2 * np.pi * (self.snap(frequency) * self.time + phase), dtype=np.float32)

    def noise(self, rng: np.random.Generator, gains: Gains) -> np.ndarray:
        """Return ``(n,)`` periodic Gaussian noise of RMS 1 with the spectrum `gains`."""
        white = rng.standard_normal(len(self.samples), dtype=np.float32)
        noise = filtered(white, gains)
        return noise / np.sqrt(np.mean(np.square(noise)))

    def swell(self, rng: np.random.Generator, rate: float, depth: float) -> np.ndarray:
        """Return ``(n,)`` random level that changes about `rate` times a second, with `depth` dB of deviation."""
        knots = max(4, round(rate * self.seconds))
        levels = rng.standard_normal(knots) * depth
        spectrum = np.zeros(len(self.samples) // 2 + 1, np.complex64)
        spectrum[: knots // 2 + 1] = scipy.fft.rfft(levels) * (len(self.samples) / knots)
        return np.power(np.float32(10.0), scipy.fft.irfft(spectrum, len(self.samples)) / np.float32(20.0))

    def filter(self, gains: Gains) -> None:
        """Filter the canvas."""
        self.samples = filtered(self.samples, gains)


def filtered(samples: np.ndarray, gains: Gains) -> np.ndarray:
    """Filter samples circularly by multiplying their spectrum."""
    spectrum = scipy.fft.rfft(samples)
    frequencies = np.arange(len(spectrum), dtype=np.float32) * np.float32(RATE / len(samples))
    return scipy.fft.irfft(spectrum * gains(frequencies).astype(np.float32), len(samples))


def band(low: float, high: float, order: int = 2) -> Gains:
    """Return Butterworth gains between two corner frequencies [Hz]."""

    def gains(frequencies: np.ndarray) -> np.ndarray:
        f = np.maximum(frequencies, 1.0)
        return 1.0 / np.sqrt((1.0 + (low / f) ** (2 * order)) * (1.0 + (f / high) ** (2 * order)))

    return gains


def resonances(centres: Sequence[float], width: float, floor: float = 0.02) -> Gains:
    """Return gains with a peak at each centre [Hz], `width` times as wide as high in frequency, above a `floor`."""

    def gains(frequencies: np.ndarray) -> np.ndarray:
        total = np.full_like(frequencies, floor)
        for k, centre in enumerate(centres):
            total += 1.0 / (1.0 + k) / (1.0 + ((frequencies - centre) / (0.5 * width * centre)) ** 2)
        return total

    return gains


def path(seconds: float, *values: float) -> np.ndarray:
    """Return a smooth course through equally spaced values (at least two) over `seconds`."""
    knots = np.linspace(0.0, 1.0, len(values))
    position = np.linspace(0.0, 1.0, round(seconds * RATE), dtype=np.float32)
    scaled = np.interp(position, knots, np.arange(len(values)))
    index = np.minimum(scaled.astype(np.int64), len(values) - 2)
    part = scaled - index
    blend = part * part * (3.0 - 2.0 * part)
    levels = np.asarray(values, np.float64)
    return (levels[index] * (1.0 - blend) + levels[index + 1] * blend).astype(np.float32)


def fade(event: np.ndarray, rise: float, fall: float) -> np.ndarray:
    """Return an event with a raised-cosine beginning and end [s]."""
    event = np.array(event, np.float32)
    for seconds, part in ((rise, event), (fall, event[::-1])):
        size = min(len(event), max(2, round(seconds * RATE)))
        part[:size] *= 0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, size, dtype=np.float32))
    return event


def _phase(frequencies: np.ndarray) -> np.ndarray:
    return np.cumsum(frequencies, dtype=np.float64) * (2 * np.pi / RATE)


def glide(frequencies: np.ndarray, partials: Sequence[float] = (1.0,)) -> np.ndarray:
    """Return a tone on a course of frequency.

    Args:
        frequencies: ``(m,)`` fundamental at each sample [Hz].
        partials: Gain of each harmonic, the fundamental first.
    """
    phase = _phase(frequencies)
    tone = np.zeros(len(frequencies), np.float32)
    for k, gain in enumerate(partials, start=1):
        if gain:
            tone += np.float32(gain) * np.sin(np.float32((k * phase) % (2 * np.pi)))
    return tone


def pulses(frequencies: np.ndarray, sharpness: float) -> np.ndarray:
    """Return a train of pulses on a course of frequency ``(m,)`` [Hz]; about √sharpness harmonics are strong."""
    train = np.exp(np.float32(sharpness) * (np.cos(np.float32(_phase(frequencies) % (2 * np.pi))) - 1.0))
    return train - train.mean()


def fm(carrier: float, ratio: float, index: float, seconds: float, decay: float) -> np.ndarray:
    """Return a frequency-modulated tone whose level and index decay together (Chowning, J. Audio Eng. Soc. 21, 1973).

    Args:
        carrier: Frequency [Hz].
        ratio: Modulating frequency over the carrier.
        index: Index of modulation at the start.
        seconds: Length [s].
        decay: Time constant [s].
    """
    time = np.arange(round(seconds * RATE), dtype=np.float32) / np.float32(RATE)
    envelope = np.exp(-time / np.float32(decay))
    turn = np.float32(2 * np.pi * carrier)
    tone = np.sin(turn * time + np.float32(index) * envelope * np.sin(turn * np.float32(ratio) * time))
    return fade(tone * envelope, 0.002, 0.01)


def modes(frequencies: Values, decays: Values, gains: Values) -> np.ndarray:
    """Return a sum of decaying sines: frequencies [Hz], time constants [s], gains. It ends 60 dB down."""
    length = round(6.9 * max(decays) * RATE)
    event = np.zeros(length, np.float32)
    for frequency, decay, gain in zip(frequencies, decays, gains, strict=True):
        if frequency < 0.45 * RATE:
            time = np.arange(min(length, round(6.9 * decay * RATE)), dtype=np.float32) / np.float32(RATE)
            wave = np.sin(np.float32(2 * np.pi * frequency) * time)
            event[: len(time)] += np.float32(gain) * wave * np.exp(time / np.float32(-decay))
    return event


def partials(frequencies: Values, decays: Values, gains: Values, seconds: float) -> np.ndarray:
    """Return a sum of many decaying sines, cut after `seconds`: as `modes`, at a tenth of its cost.

    With z = exp((−1/τ + iω)/RATE), sample 256·a + b of a partial is z^(256·a)·z^b: an outer product, so that a sum of
    partials is a product of two small matrices. Partials above 0.45 of the rate are left out.

    Args:
        frequencies: Frequency of each partial [Hz].
        decays: Time constant of each [s].
        gains: Amplitude of each at its start.
        seconds: Length [s].

    Returns:
        ``(n,)`` float32; begins with zero, and breaks off at its end.
    """
    heard = np.asarray(frequencies) < 0.45 * RATE
    exponent = (-1.0 / np.asarray(decays)[heard] + 2j * np.pi * np.asarray(frequencies)[heard]) / RATE
    count = max(1, round(seconds * RATE))
    fine = np.exp(exponent[:, None] * np.arange(256))
    coarse = np.exp(exponent[:, None] * (256 * np.arange(-(-count // 256)))) * np.asarray(gains)[heard][:, None]
    left = np.concatenate([coarse.imag, coarse.real]).astype(np.float32)
    right = np.concatenate([fine.real, fine.imag]).astype(np.float32)
    # Not a BLAS product: its order of summation, and so the last bit, may depend on the number of threads.
    return np.einsum("ka,kb->ab", left, right).ravel()[:count]


def burst(rng: np.random.Generator, gains: Gains, attack: float, decay: float) -> np.ndarray:
    """Return noise that rises linearly for `attack` and then decays with time constant `decay` [s]."""
    size = round((attack + 5.0 * decay) * RATE)
    time = np.arange(size, dtype=np.float32) / np.float32(RATE)
    noise = filtered(rng.standard_normal(size, dtype=np.float32), gains)
    noise /= np.sqrt(np.mean(np.square(noise))) + np.float32(1e-12)
    return noise * np.minimum(time / np.float32(attack), np.exp((np.float32(attack) - time) / np.float32(decay)))


def struck(
    rng: np.random.Generator, material: Material, frequency: float, decay: float, hardness: float = 0.5
) -> np.ndarray:
    """Return the sound of a body that is struck.

    Args:
        rng: Spreads modes a little, so that no two bodies are alike.
        material: Ratios and damping of the modes.
        frequency: Lowest mode [Hz].
        decay: Time constant of the lowest mode [s].
        hardness: 0 for a soft mallet, 1 for a hard one: how strong the high modes and the click of the contact are.
    """
    ratios = np.array(material[0]) * rng.uniform(0.98, 1.02, len(material[0]))
    decays = decay * ratios ** -material[1]
    gains = ratios ** -(1.6 - 1.4 * hardness) * rng.uniform(0.7, 1.0, len(ratios))
    event = modes(frequency * ratios, decays, gains)
    click = burst(rng, band(2.0 * frequency, 4000.0 + 10000.0 * hardness), 0.0005, 0.0025)
    size = min(len(event), len(click))
    event[:size] += np.float32(0.2 + 0.6 * hardness) * click[:size]
    return event


def clatter(loop: Loop, rng: np.random.Generator, event: np.ndarray, times: np.ndarray, spread: float = 6.0) -> None:
    """Add an event at each of `times` [s] with levels that differ by `spread` dB of deviation."""
    for at in times:
        loop.add(event, float(at), 10.0 ** (rng.normal(0.0, spread) / 20.0))


def pluck(rng: np.random.Generator, frequency: float, seconds: float, damping: float = 0.5) -> np.ndarray:
    """Return a plucked string (Karplus and Strong, Computer Music J. 7, 1983).

    Args:
        rng: Makes the noise that excites the string.
        frequency: Pitch [Hz].
        seconds: Length [s].
        damping: Share of the neighbouring sample in each round trip, 0–0.5: how fast high partials decay.
    """
    period = round(RATE / frequency)
    wave = rng.standard_normal(period).astype(np.float32)
    wave -= wave.mean()
    rounds = -(-round(seconds * RATE) // period)
    string = np.empty((rounds, period), np.float32)
    for row in string:
        row[:] = wave
        wave = np.float32(0.997) * ((1.0 - damping) * wave + damping * np.roll(wave, 1))
    return fade(string.ravel(), 0.001, 0.05)


def voice(
    rng: np.random.Generator, frequencies: np.ndarray, vowels: str, *, size: float = 1.0, breath: float = 0.05
) -> np.ndarray:
    """Return a voice that goes from one vowel to another.

    Args:
        rng: Makes the breath.
        frequencies: ``(m,)`` pitch at each sample [Hz].
        vowels: Two keys of `VOWELS`.
        size: Factor of the formants: 1 for a man, about 1.2 for a woman, more for what is smaller.
        breath: Level of the breath beside the voice.
    """
    source = pulses(frequencies, 40.0)
    source += np.float32(breath) * rng.standard_normal(len(source), dtype=np.float32)
    ends = [filtered(source, resonances([size * f for f in VOWELS[vowel]], 0.16, 0.004)) for vowel in vowels]
    part = np.linspace(0.0, 1.0, len(source), dtype=np.float32)
    return ends[0] * (1.0 - part) + ends[1] * part


def resampled(loop: np.ndarray, rate: int) -> np.ndarray:
    """Bring a periodic signal to another rate, exactly, by its spectrum; also takes out what lies below hearing.

    Args:
        loop: ``(n,)`` one period at `RATE`.
        rate: Sample rate to which it is brought [Hz].

    Returns:
        ``(m,)`` float64, one period at `rate`.
    """
    count = round(len(loop) * rate / RATE)
    spectrum = scipy.fft.rfft(loop.astype(np.float64))[: count // 2 + 1]
    frequencies = np.arange(len(spectrum)) * (RATE / len(loop))
    # The spectrum fades out over its highest twentieth, so that clicks do not ring at half the sample rate.
    limit = 0.5 * min(rate, RATE)
    spectrum *= np.clip((limit - frequencies) / (0.05 * limit), 0.0, 1.0) * np.clip(
        (frequencies - 15.0) / 15.0, 0.0, 1.0
    )
    return scipy.fft.irfft(spectrum, count) * (count / len(loop))


def levelled(samples: np.ndarray, rate: int, name: str) -> np.ndarray:
    """Scale to the common level; rounds off the peaks of what is too impulsive to have that level otherwise.

    Args:
        samples: ``(n,)`` samples.
        rate: Sample rate [Hz].
        name: Name of the clip, for the error.

    Returns:
        ``(n,)`` float32 without a mean, of RMS `harken.sound.level.CLIP_RMS` over its active part and a peak below 1.

    Raises:
        SoundError: The sound is too impulsive for that.
    """
    for _ in range(20):
        samples = samples - samples.mean()
        samples *= CLIP_RMS / active_rms(samples, rate)
        if np.abs(samples).max() <= _PEAK:
            return samples.astype(np.float32)
        samples = 0.85 * np.tanh(samples / 0.85)
    raise SoundError(f"Clip {name!r} cannot have RMS {CLIP_RMS:g} at a peak below 1: its recipe is too impulsive.")
