"""Instruments: how each of twelve makes a note, and the tunes and rhythms that they play."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import scipy.fft

from harken.sound.synthesis.dsp import (
    RATE,
    Gains,
    Loop,
    band,
    burst,
    fade,
    filtered,
    partials,
    path,
    resonances,
)

__all__ = ["INSTRUMENTS"]

_SCALES: tuple[tuple[int, ...], ...] = (
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 7, 9),
    (0, 3, 5, 7, 10),
)
# Rhythms of a bar of four, in quarters.
_RHYTHMS: tuple[tuple[float, ...], ...] = (
    (1.0, 1.0, 1.0, 1.0),
    (1.0, 0.5, 0.5, 1.0, 1.0),
    (1.5, 0.5, 1.0, 1.0),
    (0.5, 0.5, 0.5, 0.5, 1.0, 1.0),
    (2.0, 1.0, 1.0),
    (1.5, 0.5, 2.0),
    (0.5, 1.0, 0.5, 1.0, 0.5, 0.5),
    (0.75, 0.25, 1.0, 0.75, 0.25, 1.0),
    (0.5, 0.5, 1.0, 0.5, 0.5, 1.0),
)
_TABLE = 2048


class _Note(NamedTuple):
    """A note of a tune."""

    at: float
    """Start [s]."""
    seconds: float
    """Length until the next note or rest [s]."""
    pitch: float
    """Fundamental [Hz]."""
    level: float
    """Loudness, about 1."""


class _Tune(NamedTuple):
    """What an instrument plays, and the beat in which it does."""

    notes: list[_Note]
    beat: float
    """A quarter [s]; the whole tune has whole quarters."""


def _tune(
    rng: np.random.Generator, seconds: float, low: float, high: float, *, tempo: tuple[float, float] = (75.0, 150.0)
) -> _Tune:
    """Compose a tune: bars of a rhythm that returns, steps and some leaps over a scale, kept within a range.

    Args:
        rng: Draws key, scale, tempo, rhythms and steps.
        seconds: Length [s].
        low: Lowest pitch [Hz].
        high: Highest pitch [Hz].
        tempo: Slowest and fastest tempo [quarters a minute].
    """
    beats = max(1, round(seconds * rng.uniform(*tempo) / 60.0))
    beat = seconds / beats
    scale, root = _SCALES[rng.integers(len(_SCALES))], low * 2.0 ** (rng.integers(12) / 12.0 - 1.0)
    degrees = np.arange(-8, 60)
    pitches = root * 2.0 ** ((np.array(scale)[degrees % len(scale)] + 12 * (degrees // len(scale))) / 12.0)
    pitches = pitches[(pitches >= low) & (pitches <= high)]
    rhythms = [_RHYTHMS[k] for k in rng.integers(len(_RHYTHMS), size=2)]
    motif = rng.choice([-3, -2, -1, -1, 1, 1, 2, 3, 0], size=8)
    place = int(rng.integers(len(pitches) // 4, 1 + 3 * len(pitches) // 4))
    notes, at, bar = [], 0.0, 0
    while at < beats - 1e-6:
        if bar % 2 == 0 and rng.random() < 0.5:
            motif = rng.choice([-4, -2, -1, -1, 1, 1, 2, 4, 0], size=8)
        for k, length in enumerate(rhythms[bar // 2 % 2]):
            length = min(length, beats - at)
            if length <= 0.0:
                break
            # Near the ends of the range the tune turns back.
            step, middle = int(motif[k]), 0.5 * (len(pitches) - 1)
            step = -step if step * (place - middle) > 0 and abs(place - middle) > 0.3 * len(pitches) else step
            place = max(0, min(len(pitches) - 1, place + step))
            # Rests are short and apart, so that no second of a clip is silent.
            rests = length * beat < 0.35 and len(notes) > 0 and at * beat - notes[-1].at - notes[-1].seconds < 0.01
            if k == 0 or not rests or rng.random() > 0.12:
                accent = 1.0 if k == 0 else 0.8
                notes.append(_Note(at * beat, length * beat, float(pitches[place]), accent * rng.uniform(0.75, 1.0)))
            at += length
        bar += 1
    return _Tune(notes, beat)


# What rings on after it is struck or plucked.


def _acoustic_guitar(rng: np.random.Generator, seconds: float) -> Loop:
    """Nylon or steel strings: a tune, or broken chords under it."""
    loop, tune = Loop(seconds), _tune(rng, seconds, 110.0, 520.0)
    pluck, steel = rng.uniform(0.09, 0.3), rng.uniform(0.6, 1.6)
    for note in tune.notes:
        chord = (1.0,) if rng.random() < 0.6 else (0.5, 1.0, 1.4983)
        for k, ratio in enumerate(chord):
            loop.add(_string(note.pitch * ratio, 1.8, pluck, steel, 0.00004), note.at + 0.012 * k, note.level * 0.7**k)
    _body(loop, rng, (105.0, 205.0, 390.0, 640.0, 1100.0), 0.35)
    return loop


def _bass(rng: np.random.Generator, seconds: float) -> Loop:
    """A plucked bass guitar: low notes, damped before the next."""
    loop, tune = Loop(seconds), _tune(rng, seconds, 41.0, 130.0)
    pluck, bright = rng.uniform(0.08, 0.25), rng.uniform(0.3, 0.9)
    for note in tune.notes:
        tone = _string(note.pitch, min(2.0, note.seconds), pluck, bright, 0.00006)
        loop.add(fade(tone, 0.002, 0.05), note.at, note.level)
    loop.filter(band(35.0, rng.uniform(1400.0, 4000.0), 1))
    return loop


def _string(frequency: float, seconds: float, pluck: float, bright: float, stiffness: float) -> np.ndarray:
    """Return a plucked string: partials by where it is plucked (Fletcher and Rossing, 1998, ch. 2)."""
    n = np.arange(1, min(40, int(9000.0 * bright / frequency) + 6))
    ratios = n * np.sqrt(1.0 + stiffness * n * n)
    decays = bright * 1.1 * (110.0 / frequency) ** 0.4 / (1.0 + 0.02 * n * n / bright)
    gains = np.sin(np.pi * n * pluck) / n**1.3
    return fade(partials(frequency * ratios, decays, gains, seconds), 0.001, 0.08)


def _piano(rng: np.random.Generator, seconds: float) -> Loop:
    """A tune in the right hand over chords in the left: stiff strings that decay twice, and a hammer."""
    loop, tune = Loop(seconds), _tune(rng, seconds, 220.0, 1050.0)
    hardness, stiffness = rng.uniform(0.5, 1.1), rng.uniform(0.0002, 0.0006)
    notes = [(note.at, note.pitch, note.level, max(0.6, 1.3 * note.seconds)) for note in tune.notes]
    for note in tune.notes[::3]:
        root = note.pitch / 4.0 if note.pitch > 440.0 else note.pitch / 2.0
        notes += [(note.at, root * ratio, 0.55, 1.6) for ratio in (1.0, 1.4983, 2.0)]
    knock = burst(rng, band(120.0, 1200.0), 0.001, 0.012)
    for at, pitch, level, length in notes:
        n = np.arange(1, min(28, int(7000.0 / pitch) + 4))
        ratios = n * np.sqrt(1.0 + stiffness * (pitch / 220.0) * n * n)
        gains = n ** -(1.9 - 0.7 * hardness * level) * np.abs(np.sin(np.pi * n / 8.2) + 0.15)
        decays = 0.35 * (220.0 / pitch) ** 0.5 / (1.0 + 0.06 * n)
        # Two polarisations of the string: one gives its energy to the board fast, the other slowly (Weinreich, 1977).
        both = partials(
            pitch * np.concatenate([ratios, 1.0006 * ratios]),
            np.concatenate([decays, 5.0 * decays]),
            np.concatenate([gains, 0.25 * gains]),
            length,
        )
        tone = fade(both, 0.002, 0.12)
        tone[: len(knock)] += np.float32(0.08) * knock[: len(tone)]
        loop.add(tone, at, level)
    return loop


def _marimba(rng: np.random.Generator, seconds: float) -> Loop:
    """Wooden bars, their second mode tuned to two octaves, struck with a mallet (Fletcher and Rossing, ch. 19)."""
    loop, tune = Loop(seconds), _tune(rng, seconds, 175.0, 1050.0, tempo=(100.0, 180.0))
    mallet, third = rng.uniform(0.1, 0.6), rng.uniform(9.2, 10.8)
    knock = burst(rng, band(300.0, 1500.0 + 5000.0 * mallet), 0.0008, 0.006)
    for note in tune.notes:
        ring = 0.32 * (300.0 / note.pitch) ** 0.7
        bar = partials(
            note.pitch * np.array([1.0, 3.98, third, 18.0]),
            [ring, 0.3 * ring, 0.12 * ring, 0.05 * ring],
            [1.0, 0.5 * mallet + 0.1, 0.5 * mallet, 0.3 * mallet],
            6.9 * ring,
        )
        bar[: len(knock)] += np.float32(0.25 * mallet + 0.05) * knock[: len(bar)]
        strokes = int(rng.integers(3, 6)) if note.seconds > 0.7 and rng.random() < 0.5 else 1
        for k in range(strokes):
            loop.add(fade(bar, 0.0005, 0.01), note.at + k * note.seconds / strokes, note.level * (1.0 - 0.08 * k))
    return loop


def _drums(rng: np.random.Generator, seconds: float) -> Loop:
    """A kit: bass drum, snare, hi-hat, toms and a cymbal, in sixteenths."""
    loop = Loop(seconds)
    steps = 4 * max(2, round(seconds * rng.uniform(75.0, 135.0) / 60.0))
    grid = loop.seconds / steps
    low, tone = rng.uniform(48.0, 68.0), rng.uniform(165.0, 240.0)
    sweep = path(0.3, 3.2 * low, 1.15 * low, low, low)
    kick = np.sin(2 * np.pi * np.cumsum(sweep) / RATE).astype(np.float32) * np.exp(-np.arange(len(sweep)) / 4800.0)
    wires = burst(rng, band(rng.uniform(900.0, 2500.0), 9000.0, 1), 0.0008, rng.uniform(0.04, 0.09))
    shell = partials([tone, 1.59 * tone, 2.3 * tone], [0.05, 0.035, 0.03], [1.0, 0.6, 0.3], 0.25)
    metal = rng.uniform(0.9, 1.15) * np.array([3150.0, 4170.0, 5430.0, 6790.0, 8210.0, 9660.0, 11300.0, 13100.0])
    closed = 0.4 * burst(rng, band(6500.0, 15000.0), 0.0005, 0.018)
    opened = 0.35 * burst(rng, resonances(list(metal), 0.05, 0.15), 0.001, 0.11)
    toms = [
        partials([f, 1.6 * f, 2.2 * f], [0.16, 0.08, 0.05], [1.0, 0.4, 0.2], 0.7) for f in (tone * 0.75, tone * 0.5)
    ]
    kicks, snares = rng.random(16) < 0.12, rng.random(16) < 0.05
    kicks[[0, int(rng.choice([8, 10]))]], snares[[4, 12]] = True, True
    every = int(rng.choice([1, 2, 2, 4]))
    for k in range(steps):
        at, place = k * grid, k % 16
        if place >= 12 and k >= steps - 16 and rng.random() < 0.6:
            loop.add(fade(toms[int(rng.integers(2))], 0.001, 0.05), at, rng.uniform(0.5, 0.9))
            continue
        if kicks[place]:
            loop.add(fade(kick, 0.001, 0.05), at, 1.1)
        if snares[place]:
            loop.add(0.5 * wires, at, rng.uniform(0.7, 1.0))
            loop.add(fade(shell, 0.001, 0.02), at, 0.5)
        if k % every == 0:
            loop.add(opened if place == 14 else closed, at, 0.5 if place % 4 else 0.8)
    return loop


# What sounds as long as it is bowed or blown: tables of one period, read at a course of pitch.


@dataclass(frozen=True, kw_only=True)
class _Sustained:
    """How an instrument that is bowed or blown makes its notes."""

    soft: Callable[[np.ndarray], np.ndarray]
    """Gains of the harmonics 1, 2, … of a soft tone."""
    loud: Callable[[np.ndarray], np.ndarray]
    """Gains of the harmonics of a loud tone."""
    attack: float
    """Time in which a note rises [s]."""
    vibrato: float
    """Depth of the vibrato [semitones]."""
    beating: float
    """Depth of the swaying of loudness with the vibrato, as a share."""
    noise: float
    """Level of the noise of bow or breath."""
    noise_band: tuple[float, float]
    """Its corners [Hz]."""
    legato: float
    """Share of its time for which a note sounds."""


def _even(seconds: float) -> int:
    """Return about as many samples as `seconds` have, of a number whose spectrum is fast to compute."""
    return 480 * max(1, round(seconds * RATE / 480))


def _table(gains: np.ndarray) -> np.ndarray:
    """Return one period of harmonics, repeated by one sample; phases as the square of the order keep its peak low."""
    spectrum = np.zeros(_TABLE // 2 + 1, np.complex128)
    n = np.arange(1, len(gains) + 1)
    spectrum[1 : len(gains) + 1] = gains * np.exp(1j * np.pi * n * n / len(n))
    wave = scipy.fft.irfft(spectrum, _TABLE)
    wave /= np.sqrt(np.mean(np.square(wave)))
    return np.append(wave, wave[0]).astype(np.float32)


def _sustained(loop: Loop, rng: np.random.Generator, notes: list[_Note], how: _Sustained) -> None:
    """Play notes on an instrument that is bowed or blown."""
    rate = rng.uniform(4.6, 6.2)
    for note in notes:
        count = _even(max(0.08, how.legato * note.seconds))
        time = np.arange(count, dtype=np.float32) / np.float32(RATE)
        # Players begin the vibrato after the note has settled.
        sway = np.sin(np.float32(2 * np.pi * rate) * time + rng.uniform(0, 6)) * np.clip(4.0 * time - 0.6, 0.0, 1.0)
        settle = -0.4 * rng.uniform(0.2, 1.0) * np.exp(time / np.float32(-0.025))
        course = note.pitch * 2.0 ** ((how.vibrato * sway + settle) / 12.0)
        phase = np.cumsum(course, dtype=np.float64) * (_TABLE / RATE) % _TABLE
        index = phase.astype(np.int32)
        part = (phase - index).astype(np.float32)
        n = np.arange(1, max(2, min(70, int(18000.0 / note.pitch))))
        level = note.level * path(count / RATE, *rng.uniform(0.75, 1.0, 4)) * (1.0 + how.beating * sway)
        soft, loud = _table(how.soft(n)), _table(how.loud(n))
        bright = np.minimum(level, 1.0) ** 2 * np.minimum(time / np.float32(2.5 * how.attack), 1.0)
        low, high = (table[index] + (table[index + 1] - table[index]) * part for table in (soft, loud))
        tone = low + bright * (high - low)
        if how.noise:
            air = filtered(rng.standard_normal(count, dtype=np.float32), band(*how.noise_band, 1))
            air /= np.sqrt(np.mean(np.square(air)))
            tone += np.float32(how.noise) * air * (1.0 + 2.0 * np.exp(time / np.float32(-how.attack)))
        release = min(0.08, 0.3 * count / RATE)
        loop.add(fade(tone * level, min(how.attack, 0.4 * count / RATE), release), note.at)


def _body(loop: Loop, rng: np.random.Generator, centres: tuple[float, ...], width: float, floor: float = 0.25) -> None:
    """Filter with the resonances of a body, which differ a little from one instrument to the next."""
    spread = rng.uniform(0.93, 1.07, len(centres))
    loop.filter(resonances([float(f) for f in np.array(centres) * spread], width, floor))


def _after(loop: Loop, gains: Gains) -> Loop:
    loop.filter(gains)
    return loop


def _bowed(low: float, high: float, centres: tuple[float, ...], vibrato: float) -> Callable[..., Loop]:
    """Return the recipe of a bowed string: a sawtooth (Helmholtz) through the resonances of a body."""

    def play(rng: np.random.Generator, seconds: float) -> Loop:
        loop, dull = Loop(seconds), rng.uniform(0.15, 0.5)
        how = _Sustained(
            soft=lambda n: n ** -(1.2 + dull),
            loud=lambda n: 1.0 / n,
            attack=rng.uniform(0.04, 0.1),
            vibrato=vibrato * rng.uniform(0.5, 1.2),
            beating=0.12,
            noise=rng.uniform(0.03, 0.08),
            noise_band=(6.0 * low, 30.0 * low),
            legato=rng.uniform(0.85, 1.08),
        )
        _sustained(loop, rng, _tune(rng, seconds, low, high, tempo=(80.0, 140.0)).notes, how)
        _body(loop, rng, centres, 0.14, 0.16)
        return _after(loop, band(0.8 * low, 7000.0, 1))

    return play


def _flute(rng: np.random.Generator, seconds: float) -> Loop:
    """Few harmonics, much air, a vibrato of loudness."""
    loop, breath = Loop(seconds), rng.uniform(0.04, 0.16)
    how = _Sustained(
        soft=lambda n: np.select([n == 1, n == 2, n == 3], [1.0, 0.25, 0.08], 0.02 * 0.5**n),
        loud=lambda n: np.select([n == 1, n == 2, n == 3], [1.0, 0.75, 0.35], 0.5 * 0.55**n),
        attack=rng.uniform(0.05, 0.09),
        vibrato=0.12,
        beating=rng.uniform(0.15, 0.35),
        noise=breath,
        noise_band=(700.0, 5500.0),
        legato=rng.uniform(0.8, 1.0),
    )
    _sustained(loop, rng, _tune(rng, seconds, 262.0, 1400.0).notes, how)
    return loop


def _clarinet(rng: np.random.Generator, seconds: float) -> Loop:
    """A closed pipe: odd harmonics, the even ones far weaker up to the tenth or so."""
    loop, even = Loop(seconds), rng.uniform(0.02, 0.1)
    how = _Sustained(
        soft=lambda n: np.where(n % 2 == 1, 1.0, even * np.minimum(1.0, n / 8.0)) / n**1.6,
        loud=lambda n: np.where(n % 2 == 1, 1.0, even + np.minimum(0.8, n / 16.0)) / n**0.95,
        attack=rng.uniform(0.03, 0.06),
        vibrato=0.03,
        beating=0.03,
        noise=rng.uniform(0.01, 0.04),
        noise_band=(1500.0, 6000.0),
        legato=rng.uniform(0.85, 1.02),
    )
    _sustained(loop, rng, _tune(rng, seconds, 147.0, 780.0).notes, how)
    return _after(loop, band(60.0, 5000.0, 1))


def _saxophone(rng: np.random.Generator, seconds: float) -> Loop:
    """A conical pipe with a reed: all harmonics, resonances, a growl of breath and a deep vibrato."""
    loop = Loop(seconds)
    how = _Sustained(
        soft=lambda n: np.minimum(1.0, 0.6 + 0.2 * n) / n**1.5,
        loud=lambda n: np.minimum(1.0, 0.35 + 0.2 * n) / n**0.8,
        attack=rng.uniform(0.03, 0.07),
        vibrato=rng.uniform(0.15, 0.4),
        beating=0.2,
        noise=rng.uniform(0.05, 0.14),
        noise_band=(900.0, 4500.0),
        legato=rng.uniform(0.75, 1.02),
    )
    _sustained(loop, rng, _tune(rng, seconds, 139.0, 620.0).notes, how)
    _body(loop, rng, (520.0, 1150.0, 1950.0, 3100.0), 0.4, 0.25)
    return _after(loop, band(90.0, 8000.0, 1))


def _trumpet(rng: np.random.Generator, seconds: float) -> Loop:
    """Brass: harmonics grow with loudness (Risset and Mathews, Physics Today 22, 1969), a formant at 1.2–1.5 kHz."""
    loop, mute = Loop(seconds), rng.random() < 0.2
    how = _Sustained(
        soft=lambda n: np.minimum(1.0, 0.7 + 0.1 * n) * np.exp(-0.45 * n),
        loud=lambda n: np.minimum(1.0, 0.4 + 0.2 * n) * np.exp(-0.1 * n),
        attack=rng.uniform(0.02, 0.04),
        vibrato=rng.uniform(0.05, 0.2),
        beating=0.08,
        noise=0.015,
        noise_band=(1500.0, 7000.0),
        legato=rng.uniform(0.65, 0.98),
    )
    _sustained(loop, rng, _tune(rng, seconds, 175.0, 930.0, tempo=(85.0, 150.0)).notes, how)
    _body(loop, rng, (1700.0, 2900.0) if mute else (1250.0, 2200.0), 0.5, 0.08 if mute else 0.3)
    return loop


def _accordion(rng: np.random.Generator, seconds: float) -> Loop:
    """Free reeds in two ranks that beat, a tune over chords, swelling with the bellows."""
    loop, tune = Loop(seconds), _tune(rng, seconds, 262.0, 1050.0)
    detune, bite = 2.0 ** (rng.uniform(4.0, 16.0) / 1200.0), rng.uniform(0.7, 1.0)
    how = _Sustained(
        soft=lambda n: 1.0 / n**bite * (1.0 + 0.4 * (-1.0) ** n),
        loud=lambda n: 1.0 / n ** (0.8 * bite) * (1.0 + 0.4 * (-1.0) ** n),
        attack=0.03,
        vibrato=0.0,
        beating=0.0,
        noise=0.01,
        noise_band=(800.0, 4000.0),
        legato=rng.uniform(0.8, 1.0),
    )
    ranks = [note._replace(pitch=note.pitch * ratio) for note in tune.notes for ratio in (1.0, detune)]
    for note in tune.notes[::4]:
        ranks += [
            _Note(note.at + k * tune.beat, 0.6 * tune.beat, note.pitch * ratio / 2.0, 0.4)
            for k in (0, 1)
            for ratio in ((1.0,) if k == 0 else (1.26, 1.4983))
        ]
    _sustained(loop, rng, ranks, how)
    return _after(loop, band(120.0, 6000.0, 1))


INSTRUMENTS: MappingProxyType[str, Callable[[np.random.Generator, float], Loop]] = MappingProxyType(
    {
        "accordion": _accordion,
        "acoustic_guitar": _acoustic_guitar,
        "bass": _bass,
        "cello": _bowed(65.0, 330.0, (98.0, 176.0, 260.0, 400.0, 590.0, 1050.0, 1900.0), 0.25),
        "clarinet": _clarinet,
        "drums": _drums,
        "flute": _flute,
        "marimba": _marimba,
        "piano": _piano,
        "saxophone": _saxophone,
        "trumpet": _trumpet,
        "violin": _bowed(196.0, 1050.0, (275.0, 460.0, 545.0, 700.0, 1100.0, 2400.0, 3100.0), 0.35),
    }
)
"""Recipe of each instrument: draws a tune and an instrument and plays a number of seconds of it, the end joined to the
beginning."""
