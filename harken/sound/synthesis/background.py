"""Backgrounds: weather, water, traffic, crowds and machines, different in each clip."""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from harken.sound.synthesis.dsp import (
    CERAMIC,
    GLASS,
    METAL,
    RATE,
    Gains,
    Loop,
    band,
    burst,
    clatter,
    fade,
    filtered,
    glide,
    path,
    resonances,
    struck,
)
from harken.sound.synthesis.voices import some_talker, speech

__all__ = ["BACKGROUNDS"]


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _several(rng: np.random.Generator, low: float, high: float, count: int) -> list[float]:
    """Draw some numbers whose logarithms are uniform."""
    return np.exp(rng.uniform(np.log(low), np.log(high), count)).tolist()


def _impulses(loop: Loop, rng: np.random.Generator, rate: float, spread: float, gains: Gains) -> np.ndarray:
    """Return ``(n,)`` impulses at random, `rate` a second, of log-normal levels [dB of deviation], filtered; RMS 1."""
    count = max(1, rng.poisson(rate * loop.seconds))
    samples = np.zeros(len(loop.samples), np.float32)
    levels = 10.0 ** (rng.normal(0.0, spread, count) / 20.0) * rng.choice([-1.0, 1.0], count)
    np.add.at(samples, rng.integers(len(samples), size=count), levels.astype(np.float32))
    samples = filtered(samples, gains)
    return samples / np.sqrt(np.mean(np.square(samples)))


def _gust(loop: Loop, rng: np.random.Generator, rate: float) -> np.ndarray:
    """Return ``(n,)`` slow random course from 0 to 1."""
    swell = np.log(loop.swell(rng, rate, 6.0))
    return ((swell - swell.min()) / (np.ptp(swell) + 1e-9)).astype(np.float32)


def _hum(loop: Loop, rng: np.random.Generator, frequency: float, partials: int, slope: float) -> np.ndarray:
    """Return ``(n,)`` steady harmonics with random phases; each falls by `slope` in amplitude per octave. RMS 1."""
    total = np.zeros(len(loop.samples), np.float32)
    base = loop.snap(frequency)
    for k in range(1, partials + 1):
        total += np.float32(k**-slope * rng.uniform(0.4, 1.0)) * loop.cycle(k * base, rng.uniform())
    return total / np.sqrt(np.mean(np.square(total)))


def _applause(rng: np.random.Generator, seconds: float) -> Loop:
    """Hands clap: a few people or a hall."""
    loop, people = Loop(seconds), int(_log_uniform(rng, 6, 45))
    for _ in range(people):
        pitch, rate = _log_uniform(rng, 700, 2300), rng.uniform(2.6, 4.6)
        clap = burst(rng, resonances([pitch, 2.4 * pitch], 0.7, 0.06), 0.0006, rng.uniform(0.004, 0.011))
        times = np.arange(rng.uniform(), rate * seconds) / rate
        times += rng.normal(0.0, 0.02, len(times))
        clatter(loop, rng, np.float32(_log_uniform(rng, 0.3, 1.0)) * clap, times, 2.0)
    loop.samples += 0.05 * people**0.5 * loop.noise(rng, band(600, 5000, 1)) * loop.swell(rng, 2.0, 1.0)
    return loop


def _babble(rng: np.random.Generator, seconds: float) -> Loop:
    """A crowd talks: six people, three of them the other three again, shifted in time and in another room."""
    loop = Loop(seconds)
    far = band(rng.uniform(80, 200), rng.uniform(2500, 6000), 1)
    for _ in range(2):
        talk = speech(rng, some_talker(rng), seconds).samples
        loop.add(talk, 0.0, rng.uniform(0.5, 1.0))
        for _ in range(2):
            loop.add(filtered(talk, far), rng.uniform(0.2, 0.8) * seconds, rng.uniform(0.4, 0.9))
    loop.samples += 0.08 * loop.noise(rng, band(150, 1500, 1)) * loop.swell(rng, 3.0, 2.0)
    return loop


def _birds(rng: np.random.Generator, seconds: float) -> Loop:
    """Two to four birds, each with motifs of its own, over faint leaves."""
    loop = Loop(seconds)
    for _ in range(int(rng.integers(2, 5))):
        pitch, level = _log_uniform(rng, 1800, 5500), rng.uniform(0.3, 1.0)
        motifs = [
            [(rng.uniform(0.03, 0.16), pitch * rng.uniform(0.75, 1.35, rng.integers(2, 5))) for _ in range(int(n))]
            for n in rng.integers(1, 7, 2)
        ]
        at = rng.uniform(0.0, 0.5)
        while at < seconds - 0.1:
            for length, course in motifs[int(rng.integers(2))]:
                chirp = glide(path(length, *course), (1.0, rng.uniform(0.02, 0.2)))
                loop.add(fade(chirp, 0.012, 0.02), at, level)
                at += length + rng.uniform(0.01, 0.06)
            at += rng.uniform(0.15, 0.9)
    loop.samples += 0.03 * loop.noise(rng, band(800, 6000, 1)) * loop.swell(rng, 1.5, 4.0)
    return loop


def _fire(rng: np.random.Generator, seconds: float) -> Loop:
    """Flames rumble, wood crackles and now and then cracks."""
    loop = Loop(seconds)
    loop.samples += loop.noise(rng, band(30, rng.uniform(150, 500), 1)) * loop.swell(rng, 6.0, 3.0)
    loop.samples += rng.uniform(0.1, 0.3) * loop.noise(rng, band(900, 6000, 1)) * loop.swell(rng, 9.0, 3.0)
    crackle = resonances(_several(rng, 900, 7000, 4), 0.5, 0.05)
    loop.samples += rng.uniform(0.5, 1.2) * _impulses(loop, rng, _log_uniform(rng, 8, 60), 8.0, crackle)
    crack = burst(rng, resonances(_several(rng, 500, 3000, 3), 0.4, 0.1), 0.0005, 0.012)
    clatter(loop, rng, crack, rng.uniform(0, seconds, rng.poisson(1.2 * seconds)), 4.0)
    return loop


def _insects(rng: np.random.Generator, seconds: float) -> Loop:
    """Crickets and cicadas: high tones in pulses."""
    loop = Loop(seconds)
    for _ in range(int(rng.integers(2, 5))):
        pitch, pulse, group = _log_uniform(rng, 2800, 8500), _log_uniform(rng, 18, 90), _log_uniform(rng, 0.4, 3.0)
        gate = np.clip(6.0 * loop.cycle(group, rng.uniform()) + rng.uniform(0.0, 6.0), 0.0, 1.0)
        chirp = np.square(np.maximum(loop.cycle(pulse, rng.uniform()), 0.0)) * gate
        tone = loop.cycle(pitch) + rng.uniform(0.0, 0.6) * loop.noise(rng, resonances([pitch], 0.08, 0.0))
        loop.samples += np.float32(rng.uniform(0.3, 1.0)) * tone * chirp
    loop.samples += 0.02 * loop.noise(rng, band(200, 3000, 1))
    return loop


def _kitchen(rng: np.random.Generator, seconds: float) -> Loop:
    """Dishes: plates, glasses and cutlery meet, some water runs."""
    loop, count = Loop(seconds), int(seconds * rng.uniform(2.5, 7.0))
    bodies = [
        struck(rng, material, _log_uniform(rng, low, high), rng.uniform(0.02, 0.1), rng.uniform(0.4, 0.9))
        for material, low, high in (
            (CERAMIC, 700, 2600),
            (CERAMIC, 500, 1800),
            (GLASS, 1600, 4500),
            (METAL, 1500, 5000),
            (METAL, 900, 3500),
        )
    ]
    for _ in range(count):
        at, body = rng.uniform(0.0, seconds), bodies[int(rng.integers(len(bodies)))]
        for k in range(int(rng.integers(1, 4))):
            loop.add(body, at + 0.07 * k, rng.uniform(0.3, 1.0) * 0.6**k)
    water = rng.uniform(0.0, 0.12)
    loop.samples += water * loop.noise(rng, band(400, 7000, 1)) * loop.swell(rng, 8.0, 2.0)
    loop.samples += 0.02 * loop.noise(rng, band(60, 800, 1))
    return loop


def _rain(rng: np.random.Generator, seconds: float) -> Loop:
    """From single drops on a sill to a downpour on leaves or a roof."""
    loop, heavy = Loop(seconds), rng.uniform()
    roof = resonances(_several(rng, 300, 6000, 4), 0.5, 0.06)
    far = band(_log_uniform(rng, 200, 1500), _log_uniform(rng, 4000, 12000), 1)
    loop.samples += np.float32(0.25 + heavy) * loop.noise(rng, far) * loop.swell(rng, 3.0, 0.7)
    loop.samples += _impulses(loop, rng, _log_uniform(rng, 40, 600), 5.0, roof)
    if heavy < 0.6:
        drop = burst(rng, resonances(_several(rng, 400, 2500, 2), 0.2, 0.02), 0.0005, 0.015)
        clatter(loop, rng, drop, rng.uniform(0, seconds, rng.poisson(4.0 * seconds)), 5.0)
    return loop


def _stream(rng: np.random.Generator, seconds: float) -> Loop:
    """Water over stones: bubbles that ring and rise in pitch (van den Doel, ACM Trans. Appl. Percept. 2, 2005)."""
    loop, low, high = Loop(seconds), _log_uniform(rng, 250, 700), _log_uniform(rng, 1500, 5000)
    for _ in range(24):
        pitch = _log_uniform(rng, low, high)
        length, rise = 9.0 / pitch**0.72, rng.uniform(1.0, 1.5)
        bubble = glide(path(length, pitch, pitch, pitch * rise))
        bubble *= np.exp(-np.arange(len(bubble), dtype=np.float32) * np.float32(5.5 / len(bubble)))
        times = rng.uniform(0.0, seconds, rng.poisson(rng.uniform(1.0, 6.0) * seconds))
        clatter(loop, rng, fade(bubble, 0.001, 0.003), times, 6.0)
    rush = band(_log_uniform(rng, 250, 900), _log_uniform(rng, 1500, 6000), 1)
    loop.samples *= 1.0 / np.sqrt(np.mean(np.square(loop.samples)))
    loop.samples += np.float32(rng.uniform(0.2, 0.8)) * loop.noise(rng, rush) * loop.swell(rng, 6.0, 1.5)
    return loop


def _traffic(rng: np.random.Generator, seconds: float) -> Loop:
    """A road: far rumble, vehicles that pass with tyres and engine, sometimes a horn."""
    loop = Loop(seconds)
    loop.samples += 0.3 * loop.noise(rng, band(35, rng.uniform(250, 600), 1)) * loop.swell(rng, 1.0, 1.5)
    for _ in range(max(1, rng.poisson(0.6 * seconds))):
        length, peak = min(1.5 * seconds, 0.05 * rng.integers(24, 70)), rng.uniform(0.25, 0.75)
        time = np.linspace(0.0, 1.0, round(RATE * length), dtype=np.float32)
        # Passing at a distance: the level of a point that moves past, cut off softly at both ends.
        near = np.float32(1.0) / (1.0 + np.square((time - peak) / np.float32(rng.uniform(0.06, 0.16))))
        tyres = filtered(rng.standard_normal(len(time), dtype=np.float32), band(_log_uniform(rng, 250, 700), 1800.0, 1))
        engine = _log_uniform(rng, 45, 130)
        course = engine * (1.0 + 0.06 * np.tanh((peak - time) * 8.0))
        motor = glide(course, tuple(rng.uniform(0.2, 1.0, 9) / np.arange(1, 10) ** 0.5))
        tyres /= np.sqrt(np.mean(np.square(tyres)))
        loop.add(fade((tyres + 0.5 * motor) * near, 0.3, 0.3), rng.uniform(0.0, seconds), rng.uniform(0.4, 1.0))
    if rng.random() < 0.35:
        horn = _log_uniform(rng, 300, 480)
        tone = glide(np.full(round(RATE * rng.uniform(0.2, 0.7)), horn, np.float32), tuple(0.85 ** np.arange(12)))
        tone += glide(np.full(len(tone), 1.26 * horn, np.float32), tuple(0.85 ** np.arange(12)))
        loop.add(fade(tone, 0.02, 0.05), rng.uniform(0.0, seconds), 0.25)
    return loop


def _ventilation(rng: np.random.Generator, seconds: float) -> Loop:
    """Air through a duct and a grille, a motor, sometimes a bearing that rattles."""
    loop, air = Loop(seconds), _log_uniform(rng, 200, 1800)
    duct = resonances(_several(rng, 80, 1500, 4), 0.3, 0.25)
    loop.samples += loop.noise(rng, lambda f: band(40, air, 1)(f) * duct(f)) * loop.swell(rng, 1.0, 0.5)
    blades = loop.cycle(_log_uniform(rng, 4, 28))
    loop.samples *= 1.0 + np.float32(rng.uniform(0.0, 0.5)) * blades
    hum = float(rng.choice([50.0, 60.0, _log_uniform(rng, 70, 240)]))
    loop.samples += np.float32(rng.uniform(0.1, 0.6)) * _hum(
        loop, rng, hum, int(rng.integers(3, 14)), rng.uniform(0.4, 1.1)
    )
    if rng.random() < 0.3:
        tick = burst(rng, resonances([_log_uniform(rng, 800, 3000)], 0.3, 0.05), 0.0005, 0.008)
        rate = _log_uniform(rng, 3, 12)
        clatter(loop, rng, tick, np.arange(round(rate * seconds)) * seconds / max(1, round(rate * seconds)), 2.0)
    return loop


def _washing(rng: np.random.Generator, seconds: float) -> Loop:
    """A washing machine fills, turns its drum and spins."""
    loop, phase = Loop(seconds), int(rng.integers(3))
    turns = max(1, round(rng.uniform(0.6, 1.6) * seconds))
    churn = np.square(0.5 + 0.5 * loop.cycle(turns / seconds, rng.uniform()))
    water = band(_log_uniform(rng, 120, 500), _log_uniform(rng, 900, 4000), 1)
    motor = (_log_uniform(rng, 70, 140), _log_uniform(rng, 90, 180), _log_uniform(rng, 180, 520))[phase]
    loop.samples += np.float32((1.0, 0.6, 0.25)[phase]) * loop.noise(rng, water) * (0.3 + churn)
    whine = _hum(loop, rng, motor, int(rng.integers(4, 12)), rng.uniform(0.4, 1.0))
    loop.samples += np.float32((0.15, 0.5, 1.0)[phase]) * whine * (1.0 + 0.2 * churn)
    thump = burst(rng, band(40, _log_uniform(rng, 120, 400), 1), 0.01, 0.05)
    if phase < 2:
        clatter(loop, rng, thump, (np.arange(turns) + rng.uniform()) * seconds / turns, 2.0)
    if rng.random() < 0.5:
        button = struck(rng, METAL, _log_uniform(rng, 1500, 4000), 0.02, 0.7)
        clatter(loop, rng, 0.2 * button, rng.uniform(0, seconds, rng.poisson(2.0 * seconds)), 4.0)
    return loop


def _waves(rng: np.random.Generator, seconds: float) -> Loop:
    """Surf: each wave breaks, foams and runs out."""
    loop = Loop(seconds)
    count = max(1, round(seconds / rng.uniform(2.5, 5.0)))
    for k in range(count):
        length = 0.05 * round(28.0 * seconds / count)
        foam = filtered(
            rng.standard_normal(round(RATE * length), dtype=np.float32), band(_log_uniform(rng, 250, 900), 6000.0, 1)
        )
        rise = path(length, 0.0, rng.uniform(0.2, 0.5), 1.0, 0.6, 0.3, 0.1, 0.0)
        foam *= rise / np.sqrt(np.mean(np.square(foam)))
        loop.add(foam, (k + rng.uniform(0.0, 0.4)) * seconds / count, rng.uniform(0.6, 1.0))
    loop.samples += 0.3 * loop.noise(rng, band(40, rng.uniform(200, 500), 1)) * loop.swell(rng, 0.8, 3.0)
    return loop


def _wind(rng: np.random.Generator, seconds: float) -> Loop:
    """Gusts that roar and, through a gap, whistle."""
    loop = Loop(seconds)
    gust = _gust(loop, rng, rng.uniform(0.6, 2.0))
    for low, high, follow in ((30.0, 180.0, 0.5), (120.0, 700.0, 1.0), (500.0, 2500.0, 2.0)):
        shift = _log_uniform(rng, 0.7, 1.5)
        noise = loop.noise(rng, band(shift * low, shift * high, 2))
        loop.samples += np.float32((low / 30.0) ** -0.35) * noise * (0.05 + gust) ** np.float32(follow)
        gust = np.float32(0.7) * gust + np.float32(0.3) * _gust(loop, rng, 3.0)
    if rng.random() < 0.5:
        pitch = _log_uniform(rng, 350, 1300)
        tone = loop.noise(rng, resonances([pitch, 1.04 * pitch], 0.03, 0.0))
        loop.samples += np.float32(rng.uniform(0.05, 0.3)) * tone * np.square(gust)
    return loop


BACKGROUNDS: MappingProxyType[str, Callable[[np.random.Generator, float], Loop]] = MappingProxyType(
    {
        "applause": _applause,
        "babble": _babble,
        "birds": _birds,
        "fire": _fire,
        "insects": _insects,
        "kitchen": _kitchen,
        "rain": _rain,
        "stream": _stream,
        "traffic": _traffic,
        "ventilation": _ventilation,
        "washing": _washing,
        "waves": _waves,
        "wind": _wind,
    }
)
"""Recipe of each background: draws one of its kind and makes a number of seconds of it, the end joined to the
beginning."""
