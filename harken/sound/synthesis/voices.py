"""Talkers: speech-like sound from a source and a filter, without words.

A glottal source on a course of pitch and two noises, one at the glottis and one at a constriction of the tract, go
through formants that move from sound to sound. Frames of 10 ms, half overlapping, are filtered by their spectra, so
that the whole utterance is one array operation.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.fft

from harken.sound.synthesis.dsp import RATE, Loop

__all__ = ["TALKERS", "Talker", "some_talker", "speech"]

_HOP = 240
_FFT = 9 * _HOP
# So many frames at once stay in the processor's cache.
_CHUNK = 64
_FRAME_RATE = RATE / _HOP
_SPEED_OF_SOUND = 350.0
# Length of the vocal tract to which the formants of the tables below belong [m].
_TRACT = 0.17


@dataclass(frozen=True, kw_only=True)
class Talker:
    """What stays the same in all that a talker says."""

    pitch: float
    """Mean fundamental [Hz]."""
    lilt: float
    """Deviation of the pitch from syllable to syllable [semitones]."""
    tract: float
    """Length of the vocal tract [m]: formants are inversely proportional."""
    rate: float
    """Syllables a second, pauses not counted."""
    breath: float
    """Level of the noise at the glottis beside the voice."""
    tilt: float
    """Corner of the low-pass on the glottal source [Hz]: low for a soft voice, high for a pressed one."""
    open_share: float
    """Share of each period in which the glottis is open."""


TALKERS: MappingProxyType[str, Talker] = MappingProxyType(
    {
        name: Talker(pitch=pitch, lilt=lilt, tract=tract, rate=rate, breath=breath, tilt=tilt, open_share=share)
        for name, pitch, lilt, tract, rate, breath, tilt, share in (
            ("child_1", 262.0, 3.2, 0.122, 3.9, 0.06, 3800.0, 0.62),
            ("child_2", 318.0, 2.4, 0.108, 4.6, 0.09, 3000.0, 0.68),
            ("man_1", 86.0, 1.2, 0.186, 4.0, 0.02, 2600.0, 0.48),
            ("man_2", 104.0, 2.4, 0.174, 5.4, 0.03, 3600.0, 0.52),
            ("man_3", 118.0, 1.7, 0.180, 4.6, 0.08, 1500.0, 0.62),
            ("man_4", 132.0, 3.1, 0.166, 6.0, 0.02, 4800.0, 0.42),
            ("man_5", 151.0, 2.0, 0.170, 5.0, 0.05, 2200.0, 0.56),
            ("woman_1", 172.0, 1.8, 0.153, 4.4, 0.06, 2000.0, 0.60),
            ("woman_2", 194.0, 3.0, 0.146, 5.8, 0.04, 3400.0, 0.54),
            ("woman_3", 212.0, 2.2, 0.149, 5.0, 0.11, 1600.0, 0.68),
            ("woman_4", 228.0, 3.4, 0.140, 6.2, 0.03, 4400.0, 0.50),
            ("woman_5", 247.0, 1.6, 0.144, 4.8, 0.07, 2600.0, 0.58),
        )
    }
)
"""The talkers of the built-in library. Ranges of pitch and tract follow Peterson and Barney (1952) and Fitch and Giedd
(J. Acoust. Soc. Am. 106, 1999)."""


def some_talker(rng: np.random.Generator) -> Talker:
    """Return a talker who is not one of `TALKERS`: one of a crowd."""
    pitch = float(np.exp(rng.uniform(np.log(85.0), np.log(290.0))))
    return Talker(
        pitch=pitch,
        lilt=rng.uniform(1.2, 3.2),
        tract=0.178 * (pitch / 110.0) ** -0.28 * rng.uniform(0.96, 1.04),
        rate=rng.uniform(4.0, 6.2),
        breath=rng.uniform(0.02, 0.1),
        tilt=rng.uniform(1500.0, 4500.0),
        open_share=rng.uniform(0.45, 0.65),
    )


class _Sound(NamedTuple):
    """A stretch of speech: what the tract does in it."""

    seconds: float
    formants: tuple[float, float, float] | None
    """First three formants for a tract of 0.17 m [Hz]; None leaves them on their way."""
    voiced: float = 0.0
    aspirated: float = 0.0
    hiss: float = 0.0
    centre: float = 4000.0
    """Middle of the hiss [Hz]."""
    width: float = 2000.0
    """Half width of the hiss [Hz]."""


# Peterson and Barney (J. Acoust. Soc. Am. 24, 1952), table II, men.
_VOWELS: tuple[tuple[float, float, float], ...] = (
    (270.0, 2290.0, 3010.0),
    (390.0, 1990.0, 2550.0),
    (530.0, 1840.0, 2480.0),
    (660.0, 1720.0, 2410.0),
    (730.0, 1090.0, 2440.0),
    (570.0, 840.0, 2410.0),
    (440.0, 1020.0, 2240.0),
    (300.0, 870.0, 2240.0),
    (640.0, 1190.0, 2390.0),
    (490.0, 1350.0, 1690.0),
)

# Loci and bursts after Klatt (J. Acoust. Soc. Am. 67, 1980), table III, rounded.
_LIPS, _RIDGE, _PALATE = (250.0, 900.0, 2150.0), (250.0, 1700.0, 2650.0), (250.0, 1950.0, 2250.0)
_STOPS: tuple[tuple[tuple[float, float, float], float, float], ...] = (
    (_LIPS, 1100.0, 900.0),
    (_RIDGE, 4600.0, 1900.0),
    (_PALATE, 2000.0, 700.0),
)
_HISSES: tuple[_Sound, ...] = (
    _Sound(0.10, (320.0, 1500.0, 2540.0), hiss=0.55, centre=7200.0, width=1900.0),
    _Sound(0.10, (300.0, 1840.0, 2750.0), hiss=0.55, centre=3400.0, width=1100.0),
    _Sound(0.09, (340.0, 1100.0, 2080.0), hiss=0.14, centre=7500.0, width=5000.0),
    _Sound(0.07, (300.0, 1500.0, 2540.0), voiced=0.35, hiss=0.25, centre=6800.0, width=1900.0),
    _Sound(0.06, (300.0, 1130.0, 2100.0), voiced=0.45, hiss=0.06, centre=6000.0, width=4000.0),
    _Sound(0.07, None, aspirated=1.0),
)
_SONORANTS: tuple[_Sound, ...] = (
    _Sound(0.07, (280.0, 1000.0, 2130.0), voiced=0.45),
    _Sound(0.06, (280.0, 1500.0, 2470.0), voiced=0.45),
    _Sound(0.06, (330.0, 1050.0, 2750.0), voiced=0.75),
    _Sound(0.06, (330.0, 1150.0, 1500.0), voiced=0.75),
    _Sound(0.05, (290.0, 610.0, 2150.0), voiced=0.75),
    _Sound(0.05, (260.0, 2150.0, 3020.0), voiced=0.75),
)


def speech(rng: np.random.Generator, talker: Talker, seconds: float) -> Loop:
    """Return what a talker says: phrases of syllables, some with a breath before them.

    Args:
        rng: Chooses the syllables, their pitch and the pauses, and makes the noises.
        talker: Who speaks.
        seconds: Length [s], at least 1; rounded to 5 ms. Pauses are shorter than half a second.
    """
    loop = Loop(round(seconds * _FRAME_RATE) / _FRAME_RATE)
    sounds, pitches = _plan(rng, talker, loop.seconds)
    frames = len(loop.samples) // _HOP
    scale = loop.seconds / sum(sound.seconds for sound in sounds)
    ends = np.cumsum([scale * sound.seconds for sound in sounds])
    times = np.arange(frames) / _FRAME_RATE
    pitch = _pitch(rng, talker, [(scale * at, semitones) for at, semitones in pitches], times)
    formants = _formants(sounds, ends, times) * (_TRACT / talker.tract)
    step = np.searchsorted(ends, times, side="right").clip(max=len(sounds) - 1)
    levels = {
        kind: _smooth(np.array([getattr(sound, kind) for sound in sounds])[step], 3)
        for kind in ("voiced", "aspirated", "hiss")
    }
    source = _glottis(pitch, talker, len(loop.samples))
    noise = rng.standard_normal(len(loop.samples), dtype=np.float32)
    # The noise at the glottis comes when it is open: it is stronger where the flow changes fast.
    glottis = (
        _upsampled(levels["voiced"], len(source)) * source * (1.0 + np.float32(talker.breath) * noise)
        + _upsampled(0.35 * levels["aspirated"] + 0.6 * talker.breath * levels["voiced"], len(source)) * noise
    )
    hisses = [np.array([getattr(sound, kind) for sound in sounds])[step] for kind in ("centre", "width")]
    hiss = noise * _upsampled(levels["hiss"], len(noise))
    voice = _filtered_frames(glottis, lambda rows: _tract(formants[rows], talker))
    voice /= np.sqrt(np.mean(np.square(voice[_upsampled(levels["voiced"], len(voice)) > 0.5])))
    # Cavities before the constriction shorten less than the whole tract with its length.
    centres, widths = hisses[0] * (_TRACT / talker.tract) ** 0.4, hisses[1]
    hissed = _filtered_frames(hiss, lambda rows: _hiss(centres[rows], widths[rows]))
    loop.samples += voice + hissed
    return loop


def _plan(rng: np.random.Generator, talker: Talker, seconds: float) -> tuple[list[_Sound], list[tuple[float, float]]]:
    """Return the sounds of an utterance of about `seconds`, and the pitch [semitones] at some times of it [s]."""
    sounds, pitches, at = [_Sound(0.03, None)], [(0.0, 0.0)], 0.03
    while True:
        syllables = int(rng.integers(3, 10))
        end = rng.choice([-3.5, -2.0, 4.0], p=[0.6, 0.25, 0.15])
        for k in range(syllables):
            last = k == syllables - 1
            part = k / max(1, syllables - 1)
            syllable = _syllable(rng, talker, 1.35 if last else 1.0)
            length = sum(sound.seconds for sound in syllable)
            semitones = 2.0 - 3.5 * part + rng.normal(0.0, talker.lilt) + (end if last else 0.0)
            pitches.append((at + 0.6 * length, semitones))
            sounds += syllable
            at += length
            if at > seconds - 0.2:
                sounds.append(_Sound(max(0.04, min(0.2, seconds - at)), None))
                return sounds, pitches
        pause = rng.uniform(0.12, 0.42)
        breath = pause > 0.25 and rng.random() < 0.7
        sounds += [
            _Sound(0.06, None),
            _Sound(pause - 0.1, None, hiss=0.05 if breath else 0.0, centre=1700.0, width=900.0),
            _Sound(0.04, None),
        ]
        at += pause


def _syllable(rng: np.random.Generator, talker: Talker, stretch: float) -> list[_Sound]:
    vowel = _VOWELS[rng.integers(len(_VOWELS))]
    onset = _consonant(rng) if rng.random() < 0.88 else []
    coda = _consonant(rng) if rng.random() < 0.35 else []
    if len(onset) == 2 and rng.random() < 0.2:
        onset = [*onset, _SONORANTS[rng.integers(2, 4)]]
    nucleus = [_Sound(0.5, _moved(rng, vowel), 1.0), _Sound(0.5, _moved(rng, vowel), 0.9)]
    if rng.random() < 0.25:
        nucleus[1] = nucleus[1]._replace(formants=_moved(rng, _VOWELS[rng.integers(len(_VOWELS))]))
    # Half a syllable is vowel; consonants give way less than vowels in fast speech.
    share = rng.uniform(0.42, 0.7) / talker.rate * stretch
    brisk = (4.8 / talker.rate) ** 0.5 * rng.uniform(0.85, 1.15)
    accent = rng.uniform(0.65, 1.0)
    return [
        *(sound._replace(seconds=sound.seconds * brisk) for sound in onset),
        *(sound._replace(seconds=sound.seconds * share, voiced=sound.voiced * accent) for sound in nucleus),
        *(sound._replace(seconds=sound.seconds * brisk, voiced=0.7 * sound.voiced) for sound in coda),
    ]


def _consonant(rng: np.random.Generator) -> list[_Sound]:
    kind = rng.random()
    if kind < 0.4:
        locus, centre, width = _STOPS[rng.integers(len(_STOPS))]
        if rng.random() < 0.5:
            return [
                _Sound(0.045, locus, voiced=0.18),
                _Sound(0.008, locus, voiced=0.2, hiss=0.3, centre=centre, width=width),
            ]
        return [
            _Sound(0.055, locus),
            _Sound(0.010, locus, hiss=0.8, centre=centre, width=width),
            _Sound(0.035, None, aspirated=0.8),
        ]
    sounds = _HISSES if kind < 0.65 else _SONORANTS
    return [sounds[rng.integers(len(sounds))]]


def _moved(rng: np.random.Generator, formants: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return formants of the same vowel as it comes out another time."""
    first, second, third = (f * float(np.exp(rng.normal(0.0, 0.035))) for f in formants)
    return first, second, third


def _smooth(track: np.ndarray, frames: int) -> np.ndarray:
    """Return the circular moving average of ``(n, …)`` over 2·frames + 1 values with a raised cosine."""
    window = np.hanning(2 * frames + 3)[1:-1]
    window /= window.sum()
    return np.sum([w * np.roll(track, k - frames, axis=0) for k, w in enumerate(window)], axis=0)


def _formants(sounds: list[_Sound], ends: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return ``(frames, 3)`` formants that rest in the middle of each sound that has some and move between."""
    starts = np.concatenate([[0.0], ends[:-1]])
    knots, values = [], []
    for sound, start, end in zip(sounds, starts, ends, strict=True):
        if sound.formants is not None:
            knots += [start + 0.3 * (end - start), end - 0.3 * (end - start)]
            values += [sound.formants, sound.formants]
    tracks = np.stack([np.interp(times, knots, track, period=ends[-1]) for track in np.array(values).T], axis=-1)
    return _smooth(tracks, 4)


def _pitch(rng: np.random.Generator, talker: Talker, knots: list[tuple[float, float]], times: np.ndarray) -> np.ndarray:
    """Return ``(frames,)`` fundamental [Hz]; it wavers by a few tenths of a semitone beside what is planned."""
    at, semitones = np.array(knots).T
    course = _smooth(np.interp(times, at, semitones, period=len(times) / _FRAME_RATE), 12)
    waver = _smooth(rng.standard_normal(len(times)), 4) * 0.5
    return talker.pitch * 2.0 ** ((course + waver) / 12.0)


def _upsampled(track: np.ndarray, count: int) -> np.ndarray:
    """Return a track of frames at each of `count` samples, linear between frames."""
    following = np.roll(track, -1)
    ramp = np.arange(_HOP, dtype=np.float32) / np.float32(_HOP)
    return (track[:, None] + (following - track)[:, None] * ramp).astype(np.float32).ravel()[:count]


def _glottis(pitch: np.ndarray, talker: Talker, count: int) -> np.ndarray:
    """Return ``(count,)`` derivative of the glottal flow, of about RMS 1 (Klatt and Klatt, JASA 87, 1990, eq. 1).

    The jump at the closure is rounded over two samples (Välimäki and Huovilainen, Computer Music J. 30, 2006), which
    keeps its images at half the sample rate down.
    """
    step = _upsampled(pitch / RATE, count)
    phase = (np.cumsum(step, dtype=np.float64) % 1.0).astype(np.float32)
    opened = np.maximum(phase - np.float32(1.0 - talker.open_share), 0.0) / np.float32(talker.open_share)
    flow = opened * (2.0 - 3.0 * opened)
    early = np.flatnonzero(phase < step)
    part = phase[early] / step[early]
    flow[early] += 0.5 * (2.0 * part - part * part - 1.0)
    late = np.flatnonzero(phase > 1.0 - step)
    part = (phase[late] - 1.0) / step[late]
    flow[late] += 0.5 * (part * part + 2.0 * part + 1.0)
    return np.float32(2.5) * flow


def _filtered_frames(samples: np.ndarray, response: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Return samples, half-overlapping frame by frame, through a filter that changes; circular.

    Args:
        samples: ``(frames · hop,)`` samples.
        response: Returns ``(rows, bins)`` response of the frames with some numbers ``(rows,)``.
    """
    blocks = samples.reshape(-1, _HOP)
    window = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * _HOP) / _HOP)).astype(np.float32)
    # Most frames have no hiss, and pauses have nothing.
    busy = np.flatnonzero(blocks.any(axis=1) | np.roll(blocks.any(axis=1), -1))
    total = np.zeros_like(blocks)
    for start in range(0, len(busy), _CHUNK):
        places = busy[start : start + _CHUNK]
        frames = np.concatenate([blocks[places], blocks[(places + 1) % len(blocks)]], axis=1) * window
        pieces = scipy.fft.irfft(scipy.fft.rfft(frames, _FFT, axis=1) * response(places), _FFT, axis=1)
        for k in range(_FFT // _HOP):
            total[(places + k) % len(blocks)] += pieces[:, k * _HOP : (k + 1) * _HOP]
    return total.ravel()


def _frequencies() -> np.ndarray:
    return (np.arange(_FFT // 2 + 1) * (RATE / _FFT)).astype(np.float32)


def _tract(formants: np.ndarray, talker: Talker) -> np.ndarray:
    """Return ``(frames, bins)`` response of the vocal tract: a cascade of resonances.

    The first three move; above them lie those of a tube of the tract's length, closed at one end.
    """
    scale = np.float32(_TRACT / talker.tract)
    f = _frequencies()
    poles = np.ones((len(formants), len(f)), np.complex64)
    for centre, width in zip(formants.T.astype(np.float32), (80.0, 100.0, 140.0), strict=True):
        # With F the centre and B the width: 1 − (f/F)² + j f B/F².
        pole = np.multiply.outer(np.square(centre) ** -1, (1j * f * np.float32(width) * scale - f * f))
        pole += 1.0
        poles *= pole
    return np.divide(_upper_tract(talker), poles, out=poles)


@functools.lru_cache(maxsize=64)
def _upper_tract(talker: Talker) -> np.ndarray:
    """Return ``(bins,)`` response of what does not move: the fourth and higher resonances, and the source's tilt."""
    f = _frequencies().astype(np.float64)
    spacing = _SPEED_OF_SOUND / (4.0 * talker.tract)
    fixed = 1.0 / np.sqrt(1.0 + np.square(f / talker.tilt)) + 0j
    for k, centre in enumerate(np.arange(7, 47, 2) * spacing):
        if centre < 21000.0:
            fixed *= centre**2 / (centre**2 - f * f + 1j * f * (170.0 + 90.0 * k) * _TRACT / talker.tract)
    return fixed.astype(np.complex64)


def _hiss(centres: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Return ``(frames, bins)`` gains of the noise of a constriction, of power 1 for white noise of power 1."""
    distance = (_frequencies() - centres[:, None].astype(np.float32)) / widths[:, None].astype(np.float32)
    gains = 1.0 / (1.0 + np.square(distance))
    return gains / np.sqrt(np.mean(np.square(gains), axis=1, keepdims=True))
