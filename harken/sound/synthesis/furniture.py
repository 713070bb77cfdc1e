"""Recipes of the 21 sounding categories of semantic AudioGoal: what each thing in a home sounds like."""

from collections.abc import Callable

import numpy as np

from harken.sound.synthesis.dsp import (
    CERAMIC,
    GLASS,
    METAL,
    WOOD,
    Draw,
    Loop,
    band,
    burst,
    clatter,
    fade,
    filtered,
    fm,
    glide,
    modes,
    path,
    pluck,
    pulses,
    resonances,
    struck,
    voice,
)

__all__ = ["FURNITURE"]


def _chair(draw: Draw) -> Loop:
    """Legs scrape over the floor: stick-slip pulses through wood."""
    loop, rng = Loop(2.0), draw.rng
    pitch, body = draw.between(70, 190), draw.between(350, 900)
    for at, seconds in ((0.05, 0.55), (0.95, 0.7)):
        course = path(seconds, *(pitch * rng.uniform(0.8, 1.3, 8)))
        scrape = pulses(course, 200.0) + 0.25 * rng.standard_normal(len(course), dtype=np.float32)
        scrape = filtered(scrape, resonances([body, 2.3 * body, 4.1 * body, 6.7 * body], 0.35, 0.03))
        loop.add(fade(scrape, 0.08, 0.12), at)
    loop.add(struck(rng, WOOD, 0.4 * body, 0.05, 0.3), 1.72, 0.25)
    return loop


def _table(draw: Draw) -> Loop:
    """Knuckles on a table top."""
    loop, rng = Loop(2.0), draw.rng
    frequency, decay, count = draw.between(110, 260), draw.between(0.05, 0.11), draw.whole(3, 6)
    knock = struck(rng, WOOD, frequency, decay, 0.35)
    for k in range(count):
        loop.add(knock, 0.05 + 0.17 * k, rng.uniform(0.8, 1.2))
        loop.add(knock, 1.05 + 0.17 * k, rng.uniform(0.6, 1.0))
    return loop


def _picture(draw: Draw) -> Loop:
    """A frame swings on its nail, taps the wall ever faster, and its glass rings."""
    loop, rng = Loop(2.0), draw.rng
    wood, glass, ratio = draw.between(600, 1300), draw.between(2600, 4200), draw.between(0.76, 0.87)
    tap, ring = struck(rng, WOOD, wood, 0.02, 0.6), struck(rng, GLASS, glass, 0.09, 0.5)
    at, gap, gain = 0.05, 0.36, 1.0
    while gap > 0.03 and at < 1.7:
        loop.add(tap, at, gain)
        loop.add(ring, at + 0.004, 0.5 * gain)
        at, gap, gain = at + gap, gap * ratio, gain * 0.9
    return loop


def _cabinet(draw: Draw) -> Loop:
    """A door creaks open and shuts."""
    loop, rng = Loop(2.5), draw.rng
    low, rise, body = draw.between(90, 220), draw.between(1.6, 3.0), draw.between(700, 1500)
    course = path(1.3, *(low * np.geomspace(1.0, rise, 9) * rng.uniform(0.9, 1.1, 9)))
    creak = filtered(pulses(course, 60.0), resonances([body, 1.9 * body, 3.2 * body], 0.12, 0.01))
    creak *= path(1.3, *rng.uniform(0.3, 1.0, 12))
    loop.add(fade(creak / np.abs(creak).max(), 0.1, 0.1), 0.05)
    loop.add(struck(rng, WOOD, draw.between(80, 150), 0.09, 0.4), 1.75, 0.9)
    loop.add(struck(rng, METAL, 2400.0, 0.03, 0.8), 1.80, 0.2)
    return loop


def _cushion(draw: Draw) -> Loop:
    """Hands fluff a cushion: soft thuds of air and cloth."""
    loop, rng = Loop(2.0), draw.rng
    low, high, count = draw.between(90, 220), draw.between(400, 1600), draw.whole(4, 8)
    for at in np.linspace(0.05, 1.75, count):
        loop.add(burst(rng, band(low, high, 1), 0.02, 0.06), at, rng.uniform(0.7, 1.2))
        loop.add(modes([low * 0.8], [0.035], [1.2]), at + 0.01)
    return loop


def _sofa(draw: Draw) -> Loop:
    """Someone sits down: a thump, air leaves the cushions, leather creaks."""
    loop, rng = Loop(3.0), draw.rng
    thump, air, leather = draw.between(50, 95), draw.between(250, 1600), draw.between(150, 550)
    loop.add(modes([thump, 1.7 * thump, 2.9 * thump], [0.12, 0.07, 0.04], [1.5, 0.8, 0.4]), 0.15)
    loop.add(burst(rng, band(0.3 * air, air, 1), 0.12, 0.28), 0.18, 0.8)
    for at in (1.25, 1.75, 2.3):
        seconds = rng.uniform(0.35, 0.5)
        course = path(seconds, *(0.25 * leather * rng.uniform(0.6, 1.6, 5)))
        creak = filtered(pulses(course, 300.0), resonances([leather, 2.6 * leather, 5.5 * leather], 0.3, 0.02))
        loop.add(fade(creak, 0.1, 0.1), at, 1.2)
    return loop


def _bed(draw: Draw) -> Loop:
    """Springs squeak up and down over a dull frame."""
    loop, rng = Loop(2.4), draw.rng
    pitch, bend, count = draw.between(550, 1500), draw.between(1.15, 1.6), draw.whole(2, 4)
    for k in range(2 * count):
        at = loop.seconds * k / (2 * count)
        ends = (pitch, pitch * bend) if k % 2 == 0 else (pitch * bend * 0.9, pitch * 0.85)
        seconds = rng.uniform(0.55, 0.75) * loop.seconds / (2 * count)
        squeak = glide(path(seconds, *ends) * rng.uniform(0.97, 1.03), (1.0, 0.1, 0.5, 0.0, 0.25))
        loop.add(fade(squeak, 0.03, 0.12), at, 0.6)
        loop.add(modes([75.0, 140.0], [0.06, 0.03], [1.0, 0.5]), at, 0.7 if k % 2 == 0 else 0.35)
    return loop


def _chest_of_drawers(draw: Draw) -> Loop:
    """A drawer rumbles open, stops, and rumbles shut."""
    loop, rng = Loop(3.0), draw.rng
    low, high, knock = draw.between(90, 360), draw.between(450, 1900), draw.between(70, 240)
    rollers = draw.between(0.5, 2.0)
    for at, seconds in ((0.05, 0.9), (1.6, 0.65)):
        rumble = rng.standard_normal(round(seconds * 48000), dtype=np.float32)
        rumble = filtered(rumble, resonances([low, 2.1 * low, high], 0.5, 0.03))
        rumble *= 0.6 + 0.4 * np.sin(2 * np.pi * np.cumsum(path(seconds, 18.0, 34.0, 22.0) * rollers) / 48000)
        loop.add(fade(rumble / np.abs(rumble).max(), 0.15, 0.05), at, 0.8)
        loop.add(struck(rng, WOOD, knock, 0.07, 0.5), at + seconds - 0.02, 0.9)
        clatter(loop, rng, struck(rng, METAL, 3100.0, 0.02, 0.7) * 0.12, at + seconds + np.array([0.03, 0.09, 0.13]))
    return loop


def _plant(draw: Draw) -> Loop:
    """Leaves rustle in gusts."""
    loop, rng = Loop(3.0), draw.rng
    low, gusts, grains = draw.between(1300, 5500), draw.between(0.7, 2.2), draw.whole(90, 300)
    loop.samples += draw.between(0.1, 0.4) * loop.noise(rng, band(low, 9000, 1))
    leaf = [burst(rng, band(low * rng.uniform(0.7, 1.4), 11000), 0.002, rng.uniform(0.004, 0.015)) for _ in range(6)]
    for k, at in enumerate(rng.uniform(0.0, loop.seconds, grains)):
        loop.add(leaf[k % 6], at, rng.uniform(0.2, 1.0))
    loop.samples *= loop.swell(rng, 2.0 * gusts, 6.0)
    return loop


def _bubble(frequency: float, rise: float, decay: float) -> np.ndarray:
    """Return an air bubble in water: a decaying sine whose pitch rises (van den Doel, ACM TAP 2, 2005, eq. 3)."""
    time = np.arange(round(6.0 * decay * 48000), dtype=np.float32) / np.float32(48000)
    return np.sin(2 * np.pi * frequency * time * (1.0 + rise * time / decay)) * np.exp(time / np.float32(-decay))


def _bubbles(loop: Loop, draw: Draw, low: float, high: float, count: int, gain: float) -> None:
    rng = draw.rng
    frequencies = np.geomspace(low, high, 12) * rng.uniform(0.93, 1.07, 12)
    shapes = [_bubble(f, rng.uniform(0.02, 0.12), 12.0 / f) for f in frequencies]
    for k, at in enumerate(rng.uniform(0.0, loop.seconds, count)):
        loop.add(shapes[k % 12], at, gain * 10.0 ** (rng.normal(0.0, 5.0) / 20.0))


def _sink(draw: Draw) -> Loop:
    """A tap runs into a steel basin."""
    loop, rng = Loop(2.0), draw.rng
    jet, basin = draw.between(1000, 4500), draw.between(200, 750)
    loop.samples += 0.6 * loop.noise(rng, band(0.6 * jet, 1.6 * jet)) * loop.swell(rng, 14.0, 1.2)
    loop.samples += 0.4 * loop.noise(rng, resonances([basin, 2.4 * basin, 3.9 * basin], 0.12, 0.003))
    _bubbles(loop, draw, 600.0, 3200.0, draw.whole(40, 240), 0.8)
    return loop


def _toilet(draw: Draw) -> Loop:
    """A flush roars, gurgles out, and the cistern refills."""
    loop, rng = Loop(4.0), draw.rng
    roar, gurgle, refill = draw.between(250, 1100), draw.between(90, 190), draw.between(1600, 5500)
    rush = loop.noise(rng, band(0.35 * roar, 2.5 * roar)) * loop.swell(rng, 9.0, 2.0)
    loop.samples += rush * np.interp(loop.time, [0, 0.12, 0.9, 1.9, 2.3, 4.0], [0, 1.0, 0.9, 0.25, 0, 0])
    for at in np.linspace(1.3, 2.5, draw.whole(5, 9)):
        loop.add(_bubble(gurgle * rng.uniform(0.8, 1.6), 0.08, 0.055), at, rng.uniform(0.8, 1.5))
    hiss = loop.noise(rng, band(0.8 * refill, 1.25 * refill, 3))
    loop.samples += hiss * np.interp(loop.time, [0, 1.6, 2.2, 3.8, 4.0], [0, 0, 0.22, 0.2, 0])
    return loop


def _stool(draw: Draw) -> Loop:
    """A stool rocks on uneven legs: two hollow knocks in turn."""
    loop, rng = Loop(2.0), draw.rng
    pitch, interval, steps = draw.between(260, 620), draw.between(1.15, 1.45), draw.whole(5, 11)
    knocks = [struck(rng, WOOD, f, 0.028, 0.15) for f in (pitch, pitch * interval)]
    for k in range(2 * steps):
        loop.add(knocks[k % 2], k * loop.seconds / (2 * steps), 1.0 if k % 2 == 0 else 0.75)
    return loop


def _towel(draw: Draw) -> Loop:
    """A wet towel is shaken: a whoosh, then a snap."""
    loop, rng = Loop(2.0), draw.rng
    whoosh, snap, count = draw.between(300, 1900), draw.between(1300, 6000), draw.whole(3, 6)
    for at in np.arange(count) * loop.seconds / count:
        air = burst(rng, band(0.5 * whoosh, 2.0 * whoosh, 1), 0.16, 0.05)
        loop.add(air, at, 0.45)
        loop.add(burst(rng, band(snap, 14000, 1), 0.001, 0.012), at + 0.19, 2.2)
        loop.add(burst(rng, band(150, 700, 1), 0.002, 0.03), at + 0.19, 0.9)
    return loop


def _tv_monitor(draw: Draw) -> Loop:
    """A programme: someone talks over chords, through a small loudspeaker."""
    loop, rng = Loop(4.0), draw.rng
    root, pitch, size = draw.between(180, 330), draw.between(105, 220), draw.between(1.0, 1.2)
    for k, chord in enumerate(((1.0, 1.25, 1.5), (0.75, 1.0, 1.25), (0.8333, 1.0, 1.3333), (1.0, 1.25, 1.5))):
        for ratio in chord:
            loop.add(fade(glide(np.full(48000, loop.snap(root * ratio)), (1.0, 0.5, 0.33, 0.2)), 0.02, 0.3), k, 0.1)
    at = 0.3
    while at < 3.2:
        seconds = rng.uniform(0.14, 0.26)
        course = path(seconds, *(pitch * rng.uniform(0.85, 1.25, 3)))
        syllable = voice(rng, course, "".join(rng.choice(list("aeiou"), 2)), size=size)
        loop.add(fade(syllable / np.abs(syllable).max(), 0.03, 0.06), at, 0.8)
        if rng.random() < 0.4:
            loop.add(burst(rng, band(3500, 9000), 0.02, 0.02), at + seconds, 0.15)
        at += seconds + rng.choice([0.02, 0.05, 0.25])
    loop.filter(band(200, 6500))
    return loop


def _shower(draw: Draw) -> Loop:
    """A spray on tiles or in a tub, more or less steady."""
    loop, rng = Loop(2.0), draw.rng
    low, high, drops = draw.between(700, 3600), draw.between(5000, 14000), draw.whole(40, 300)
    tub, pulse = draw.between(220, 520), draw.between(2.0, 14.0)
    spray = loop.noise(rng, band(low, high)) * loop.swell(rng, pulse, 1.5)
    loop.samples += spray + draw.between(0.1, 0.5) * loop.noise(rng, resonances([tub, 2.7 * tub], 0.2, 0.003))
    drop = [burst(rng, band(0.8 * low, 12000), 0.001, 0.004) for _ in range(5)]
    for k, at in enumerate(rng.uniform(0.0, loop.seconds, drops)):
        loop.add(drop[k % 5], at, rng.uniform(1.0, 4.0))
    return loop


def _bathtub(draw: Draw) -> Loop:
    """Water sloshes to and fro, and large drops fall into it."""
    loop, rng = Loop(3.0), draw.rng
    waves, tone, drops = draw.whole(2, 5), draw.between(180, 420), draw.whole(4, 12)
    wash = loop.noise(rng, band(0.5 * tone, 3.5 * tone, 1)) * loop.swell(rng, 8.0, 2.5)
    loop.samples += 0.35 * wash * np.square(0.5 + 0.5 * loop.cycle(waves / loop.seconds))
    for at in rng.uniform(0.0, loop.seconds, drops):
        frequency = rng.uniform(1.5, 4.0) * tone
        loop.add(_bubble(frequency, 0.1, 0.03), at, rng.uniform(0.5, 1.0))
    _bubbles(loop, draw, tone, 3.0 * tone, 40, 0.2)
    return loop


def _counter(draw: Draw) -> Loop:
    """A knife chops on a board, then a dish is set down."""
    loop, rng = Loop(2.5), draw.rng
    board, rate, dish = draw.between(420, 900), draw.between(4.0, 8.0), draw.between(1300, 2600)
    chop = struck(rng, WOOD, board, 0.018, 0.95)
    clatter(loop, rng, chop, np.arange(0.05, 1.5, 1.0 / rate), 1.5)
    clink = struck(rng, CERAMIC, dish, 0.12, 0.6)
    for at, gain in ((1.75, 0.6), (1.86, 0.35), (2.1, 0.2)):
        loop.add(clink, at, gain)
    return loop


def _fireplace(draw: Draw) -> Loop:
    """Wood crackles over the rumble of flames."""
    loop, rng = Loop(4.0), draw.rng
    rumble, pops, hiss = draw.between(60, 400), draw.whole(40, 160), draw.between(1500, 6000)
    snap, flames = draw.between(500, 4500), draw.between(0.04, 0.16)
    loop.samples += flames * loop.noise(rng, band(30, rumble, 1)) * loop.swell(rng, 5.0, 3.0)
    loop.samples += 0.02 * loop.noise(rng, band(hiss, 9000, 1)) * loop.swell(rng, 3.0, 4.0)
    shapes = [
        burst(rng, band(rng.uniform(0.7, 1.5) * snap, 13000, 1), 0.0004, rng.uniform(0.001, 0.006)) for _ in range(10)
    ]
    # Crackle comes in clusters: pops gather around a few moments.
    centres = rng.uniform(0.0, loop.seconds, 7)
    times = np.where(rng.random(pops) < 0.6, rng.choice(centres, pops) + rng.exponential(0.08, pops), 0.0)
    times = np.where(times > 0.0, times, rng.uniform(0.0, loop.seconds, pops))
    for k, at in enumerate(times):
        loop.add(shapes[k % 10], at, 0.35 * 10.0 ** (rng.normal(0.0, 7.0) / 20.0))
    return loop


def _gym_equipment(draw: Draw) -> Loop:
    """A cable machine: the chain whirrs up, weight plates clank down."""
    loop, rng = Loop(3.0), draw.rng
    plate, motor, reps = draw.between(380, 900), draw.between(45, 120), draw.whole(2, 4)
    clank = struck(rng, METAL, plate, 0.22, 0.75)
    for k in range(reps):
        at, seconds = k * loop.seconds / reps, 0.55 * loop.seconds / reps
        whirr = pulses(path(seconds, motor, 2.2 * motor, 1.8 * motor), 120.0)
        whirr = filtered(whirr, resonances([900.0, 2100.0, 3900.0], 0.3, 0.05))
        loop.add(fade(whirr / np.abs(whirr).max(), 0.1, 0.1), at, 0.25)
        loop.add(clank, at + seconds + 0.04, 0.8)
        loop.add(clank, at + seconds + 0.13, 0.3)
    return loop


def _seating(draw: Draw) -> Loop:
    """A folding seat springs up and claps against its back."""
    loop, rng = Loop(2.0), draw.rng
    spring, clap, index = draw.between(95, 210), draw.between(700, 1500), draw.between(3.0, 9.0)
    for at in (0.05, 1.05):
        loop.add(fm(spring, 1.41, index, 0.75, 0.16), at, 0.7)
        loop.add(struck(rng, WOOD, clap, 0.03, 0.9), at + 0.28, 0.9)
        loop.add(struck(rng, WOOD, 0.9 * clap, 0.03, 0.9), at + 0.36, 0.4)
    return loop


def _clothes(draw: Draw) -> Loop:
    """Cloth rustles, hangers click, a zip runs."""
    loop, rng = Loop(2.5), draw.rng
    centre, first, last = draw.between(1200, 2600), draw.between(50, 90), draw.between(120, 260)
    for at in (0.0, 0.35, 0.75):
        loop.add(burst(rng, band(0.5 * centre, 3.0 * centre, 1), 0.1, 0.07), at, rng.uniform(0.25, 0.5))
    course = path(0.8, first, last)
    teeth = filtered(pulses(course, 900.0), resonances([2.0 * centre, 3.3 * centre], 0.4, 0.05))
    loop.add(fade(teeth / np.abs(teeth).max(), 0.05, 0.05), 1.3, 0.7)
    loop.add(pluck(rng, 1900.0, 0.15) * 0.1, 2.2)
    return loop


FURNITURE: dict[str, Callable[[Draw], Loop]] = {
    "bathtub": _bathtub,
    "bed": _bed,
    "cabinet": _cabinet,
    "chair": _chair,
    "chest_of_drawers": _chest_of_drawers,
    "clothes": _clothes,
    "counter": _counter,
    "cushion": _cushion,
    "fireplace": _fireplace,
    "gym_equipment": _gym_equipment,
    "picture": _picture,
    "plant": _plant,
    "seating": _seating,
    "shower": _shower,
    "sink": _sink,
    "sofa": _sofa,
    "stool": _stool,
    "table": _table,
    "toilet": _toilet,
    "towel": _towel,
    "tv_monitor": _tv_monitor,
}
"""Recipe of each category of semantic AudioGoal (Chen et al., CVPR 2021)."""
