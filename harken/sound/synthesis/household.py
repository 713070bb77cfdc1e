"""Recipes of sounds of a household besides its furniture: telephones, appliances, animals, music, people."""

from collections.abc import Callable

import numpy as np

from harken.sound.synthesis.dsp import (
    BELL,
    CERAMIC,
    METAL,
    RATE,
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
    resonances,
    struck,
    voice,
)

__all__ = ["HOUSEHOLD", "telephone"]

# Major scale, natural minor scale and pentatonic scale as ratios of frequency (equal temperament).
_SCALES = tuple(
    2.0 ** (np.array(steps) / 12.0) for steps in ([0, 2, 4, 5, 7, 9, 11], [0, 2, 3, 5, 7, 8, 10], [0, 2, 4, 7, 9])
)


def telephone() -> Loop:
    """A mechanical telephone: a hammer between two gongs, 24 strokes a second, two rings in a second."""
    return _bell_ring(Draw("telephone", 0), 1.0, (1180.0, 1480.0), 24.0, ((0.0, 0.38), (0.5, 0.88)))


def _bell_ring(
    draw: Draw, seconds: float, gongs: tuple[float, float], strokes: float, rings: tuple[tuple[float, float], ...]
) -> Loop:
    loop = Loop(seconds)
    bells = [struck(draw.rng, BELL, f, 0.16, 0.55) for f in gongs]
    for start, end in rings:
        for k, at in enumerate(np.arange(start, end, 0.5 / strokes)):
            loop.add(bells[k % 2], at)
    return loop


def _telephone(draw: Draw) -> Loop:
    """Three telephones: gongs of another size, an electronic warble, a melody."""
    pitch, speed = draw.between(500, 1100), draw.between(9.0, 22.0)
    if draw.variant == 0:
        return _bell_ring(draw, 2.0, (1.9 * pitch, 2.4 * pitch), speed, ((0.0, 1.5),))
    if draw.variant == 1:
        loop = Loop(1.5)
        high = loop.cycle(speed) > 0
        tone = glide(np.where(high, 1.27 * pitch, pitch).astype(np.float32), (1.0, 0.0, 0.35, 0.0, 0.2))
        loop.add(fade(tone[: round(1.15 * RATE)], 0.01, 0.02))
        return loop
    loop = Loop(2.0)
    for k, degree in enumerate((4, 2, 4, 2, 0, 1, 2, 4, 3, 1)):
        loop.add(fm(2.0 * pitch * _SCALES[0][degree], 2.0, 1.5, 0.35, 0.1), 0.17 * k)
    return loop


def _alarm(draw: Draw) -> Loop:
    """Beeps of an alarm clock."""
    loop, pitch, beeps = Loop(1.0), draw.between(1900, 3600), draw.whole(2, 5)
    for k in range(beeps):
        seconds = 0.6 / beeps
        tone = glide(np.full(round(seconds * RATE), pitch, np.float32), (1.0, 0.0, 0.33, 0.0, 0.2))
        loop.add(fade(tone, 0.003, 0.003), 0.8 * k / beeps)
    return loop


def _siren(draw: Draw) -> Loop:
    """A siren that wails, yelps or sounds two tones."""
    seconds = (4.0, 1.0, 2.0)[draw.variant]
    loop, low, ratio = Loop(seconds), draw.between(420, 700), draw.between(1.4, 2.4)
    turn = 0.5 - 0.5 * np.cos(2 * np.pi * loop.time / np.float32(seconds / (1, 3, 1)[draw.variant]))
    if draw.variant == 2:
        turn = np.clip(0.5 + 40.0 * (turn - 0.5), 0.0, 1.0)
    course = low * ratio**turn
    # The phase has to close: a slight change of pitch gives the canvas whole periods.
    course *= loop.snap(float(course.mean())) / course.mean()
    loop.samples += filtered(glide(course, (1.0, 0.6, 0.5, 0.3, 0.25, 0.15)), resonances([1100.0, 2600.0], 0.9, 0.1))
    return loop


def _melody(draw: Draw, count: int) -> np.ndarray:
    """Return ratios of frequency of a melody that walks over a scale."""
    scale = _SCALES[draw.variant]
    steps = np.abs(np.cumsum(draw.rng.integers(-2, 3, count)))
    return scale[steps % len(scale)] * 2.0 ** (steps // len(scale) % 2)


def _music_box(draw: Draw) -> Loop:
    """The comb of a music box."""
    loop, root, count = Loop(4.0), draw.between(620, 1250), draw.whole(8, 20)
    for k, ratio in enumerate(_melody(draw, count)):
        tine = modes([root * ratio, 5.9 * root * ratio, 3.0 * root * ratio], [0.35, 0.06, 0.12], [1.0, 0.25, 0.15])
        loop.add(tine, k * loop.seconds / count)
    return loop


def _piano(draw: Draw) -> Loop:
    """Chords of stretched partials."""
    loop, rng, root = Loop(3.0), draw.rng, draw.between(130, 300)
    for k, chord in enumerate(_melody(draw, 4)):
        for third in (1.0, 1.26, 1.4983, 2.0):
            f = root * chord * third
            ratios = np.arange(1, 8) * np.sqrt(1.0 + 0.0006 * np.arange(1, 8) ** 2)
            loop.add(modes(f * ratios, 0.45 / ratios**0.7, ratios**-1.3), 0.75 * k + rng.uniform(0, 0.02), 0.3)
    return loop


def _guitar(draw: Draw) -> Loop:
    """Broken chords on plucked strings."""
    loop, root, count = Loop(3.0), draw.between(95, 190), draw.whole(9, 16)
    chord = (
        np.array([1.0, 1.5, 2.0, 2.52, 3.0, 4.0]) if draw.variant != 1 else np.array([1.0, 1.5, 2.0, 2.38, 3.0, 4.0])
    )
    for k in range(count):
        note = root * chord[(k * (draw.variant + 2)) % 6] * (1.0 if k < count // 2 else 1.1225)
        loop.add(pluck(draw.rng, note, 0.9, 0.35), k * loop.seconds / count, 0.5)
    return loop


def _flute(draw: Draw) -> Loop:
    """A slow melody with vibrato and breath."""
    loop, rng, root, count = Loop(4.0), draw.rng, draw.between(420, 800), draw.whole(5, 10)
    length = loop.seconds / count
    for k, ratio in enumerate(_melody(draw, count)):
        time = np.arange(round(0.95 * length * RATE), dtype=np.float32) / np.float32(RATE)
        course = root * ratio * (1.0 + 0.012 * np.sin(2 * np.pi * 5.5 * time) * np.minimum(time / 0.3, 1.0))
        tone = glide(course, (1.0, 0.45, 0.2, 0.08))
        air = filtered(rng.standard_normal(len(tone), dtype=np.float32), resonances([root * ratio, 4000.0], 0.6, 0.02))
        loop.add(fade(tone + 0.3 * air, 0.06, 0.1), k * length)
    return loop


def _speech(draw: Draw) -> Loop:
    """One person babbles: vowels, hisses and stops in the rhythm of speech."""
    loop, rng = Loop(3.0), draw.rng
    pitch, rate = draw.between(95, 250), draw.between(3.8, 6.5)
    size = 1.0 + 0.2 * np.log2(pitch / 95.0)
    at = 0.05
    while at < 2.75:
        seconds = rng.uniform(0.6, 1.0) / rate
        # Pitch falls over a sentence (declination) and moves a little in each syllable.
        course = path(seconds, *(pitch * (1.15 - 0.1 * at) * rng.uniform(0.9, 1.15, 3)))
        syllable = voice(rng, course, "".join(rng.choice(list("aeiou"), 2)), size=size)
        loop.add(fade(syllable / np.abs(syllable).max(), 0.02, 0.05), at, rng.uniform(0.6, 1.0))
        kind = rng.random()
        if kind < 0.35:
            loop.add(burst(rng, band(3500, 10000), 0.03, 0.025), at - 0.05, 0.25)
        elif kind < 0.6:
            loop.add(burst(rng, band(900, 4500), 0.001, 0.008), at - 0.01, 0.5)
        at += seconds + (0.3 if rng.random() < 0.12 else rng.uniform(0.02, 0.07))
    return loop


def _baby(draw: Draw) -> Loop:
    """A baby cries: long wails that rise and fall."""
    loop, rng, pitch, wails = Loop(4.0), draw.rng, draw.between(330, 620), draw.whole(3, 8)
    for k in range(wails):
        seconds = 0.75 * loop.seconds / wails
        course = path(seconds, 0.8 * pitch, pitch * rng.uniform(1.05, 1.25), pitch, 0.75 * pitch)
        course *= 1.0 + 0.03 * np.sin(2 * np.pi * 7.0 * np.arange(len(course), dtype=np.float32) / RATE)
        wail = voice(rng, course, ("ae", "oa", "ea")[draw.variant], size=1.6, breath=0.1)
        loop.add(fade(wail / np.abs(wail).max(), 0.08, 0.15), k * loop.seconds / wails)
    return loop


def _laughter(draw: Draw) -> Loop:
    """Someone laughs: short aspirated syllables that fall in pitch."""
    loop, rng, pitch, rate = Loop(3.0), draw.rng, draw.between(160, 380), draw.between(4.0, 6.5)
    for k, at in enumerate(np.arange(0.05, 2.75, 1.0 / rate)):
        course = path(0.11, 1.1, 0.9) * pitch * (1.25 - 0.14 * at) * rng.uniform(0.95, 1.05)
        ha = voice(rng, course, ("ae", "ia", "eo")[draw.variant], size=1.0 + 0.1 * draw.variant, breath=0.2)
        loop.add(fade(ha / np.abs(ha).max(), 0.02, 0.04), at, 0.96**k)
        loop.add(burst(rng, band(700, 4000, 1), 0.02, 0.02), at + 0.11, 0.2)
    return loop


def _dog(draw: Draw) -> Loop:
    """Barks."""
    loop, rng, pitch, barks = Loop(2.0), draw.rng, draw.between(230, 720), draw.whole(3, 7)
    size = draw.between(0.85, 1.5)
    for at in np.arange(barks) * loop.seconds / barks:
        course = path(0.19, 0.8 * pitch, 1.25 * pitch, 0.65 * pitch)
        bark = voice(rng, course * rng.uniform(0.95, 1.05), "ao", size=size, breath=0.35)
        loop.add(fade(bark / np.abs(bark).max(), 0.012, 0.07), at, rng.uniform(0.8, 1.0))
    return loop


def _cat(draw: Draw) -> Loop:
    """Miaows."""
    loop, rng, pitch, seconds = Loop(2.5), draw.rng, draw.between(420, 800), draw.between(0.55, 1.1)
    for at in (0.05, 1.3):
        course = path(1.2 * seconds, 0.85 * pitch, 1.2 * pitch, 1.1 * pitch, 0.7 * pitch) * rng.uniform(0.95, 1.05)
        miaow = voice(rng, course, "ia" if at < 1 else "iu", size=1.5, breath=0.05)
        loop.add(fade(miaow / np.abs(miaow).max(), 0.1, 0.2), at)
    return loop


def _bird(draw: Draw) -> Loop:
    """A bird's phrase: whistled chirps and trills."""
    loop, rng, pitch, notes = Loop(2.5), draw.rng, draw.between(2500, 5000), draw.whole(6, 15)
    motifs = [pitch * rng.uniform(0.75, 1.35, rng.integers(2, 5)) for _ in range(3)]
    for k in range(notes):
        seconds = rng.uniform(0.35, 0.8) * 2.3 / notes
        loop.add(fade(glide(path(seconds, *motifs[k % 3]), (1.0, 0.1)), 0.01, 0.02), 0.05 + 2.3 * k / notes)
    return loop


def _cricket(draw: Draw) -> Loop:
    """Crickets: a high tone in short pulses, in groups."""
    loop, pitch, rate, groups = Loop(2.0), draw.between(3600, 5600), draw.between(22, 48), draw.whole(2, 5)
    chirp = np.maximum(loop.cycle(rate), 0.0) * np.clip(8.0 * loop.cycle(groups / loop.seconds) + 3.0, 0.0, 1.0)
    loop.samples += loop.cycle(pitch) * chirp
    return loop


def _doorbell(draw: Draw) -> Loop:
    """Ding-dong, or more notes."""
    loop, rng, pitch, decay = Loop(2.5), draw.rng, draw.between(480, 900), draw.between(0.2, 0.4)
    notes = ((1.26, 1.0), (1.0, 1.26, 1.5), (1.5, 1.19, 1.33, 1.0))[draw.variant]
    for k, ratio in enumerate(notes):
        bar = modes(
            [pitch * ratio, 2.76 * pitch * ratio, 5.4 * pitch * ratio], [decay, 0.3 * decay, 0.1], [1.0, 0.3, 0.12]
        )
        loop.add(bar, 0.03 + k * 1.5 / len(notes), rng.uniform(0.9, 1.0))
    return loop


def _clock(draw: Draw) -> Loop:
    """Tick, tock."""
    loop, rng, pitch, rate = Loop(2.0), draw.rng, draw.between(1100, 3200), draw.whole(2, 6)
    tick, tock = struck(rng, METAL, pitch, 0.02, 0.9), struck(rng, WOOD, 0.72 * pitch, 0.022, 0.8)
    for k in range(2 * rate):
        loop.add((tick, tock)[k % 2], k * loop.seconds / (2 * rate))
    return loop


def _kettle(draw: Draw) -> Loop:
    """Water boils under a whistle."""
    loop, rng, pitch, boil = Loop(3.0), draw.rng, draw.between(1700, 3200), draw.between(250, 700)
    wobble = 1.0 + 0.004 * loop.cycle(6.0)
    course = pitch * wobble * loop.snap(pitch) / pitch
    loop.samples += glide(course, (1.0, 0.35, 0.1)) * loop.swell(rng, 3.0, 1.0)
    loop.samples += 0.35 * loop.noise(rng, resonances([pitch, 2.0 * pitch], 0.25, 0.05))
    loop.samples += 0.3 * loop.noise(rng, band(0.4 * boil, 2.0 * boil)) * loop.swell(rng, 15.0, 3.0)
    return loop


def _motor(loop: Loop, frequency: float, partials: int, slope: float) -> np.ndarray:
    """Return the steady harmonics of a motor; each falls by `slope` in amplitude per octave."""
    total = np.zeros(len(loop.samples), np.float32)
    for k in range(1, partials + 1):
        # Phases that differ as the square of the order keep the peaks low (Schroeder, IEEE Trans. IT 16, 1970).
        total += np.float32(k**-slope) * loop.cycle(k * loop.snap(frequency), 0.5 * k * k / partials)
    return total


def _vacuum(draw: Draw) -> Loop:
    """A vacuum cleaner: a whining motor in a rush of air."""
    loop, rng, motor, air = Loop(2.0), draw.rng, draw.between(150, 520), draw.between(500, 3200)
    loop.samples += 0.6 * _motor(loop, motor, 8, 0.6)
    loop.samples += loop.noise(rng, band(0.5 * air, 2.0 * air)) * loop.swell(rng, 4.0, 0.5)
    return loop


def _fan(draw: Draw) -> Loop:
    """A fan: low air noise that pulses with the blades."""
    loop, rng, blades, air = Loop(2.0), draw.rng, draw.between(6.0, 24.0), draw.between(200, 1600)
    hum = draw.between(90, 260)
    loop.samples += loop.noise(rng, band(60, air, 1)) * (1.0 + 0.6 * loop.cycle(blades))
    loop.samples += 0.5 * _motor(loop, hum, 4, 1.0)
    return loop


def _washing_machine(draw: Draw) -> Loop:
    """A drum turns: a slow churn, a hum and thumps of laundry."""
    loop, rng, hum, turns = Loop(3.0), draw.rng, draw.between(90, 160), draw.whole(2, 7)
    water, whine = draw.between(400, 2500), draw.between(0.25, 1.0)
    churn = np.square(0.5 + 0.5 * loop.cycle(turns / loop.seconds))
    loop.samples += 0.5 * loop.noise(rng, band(0.2 * water, water)) * (0.2 + churn)
    loop.samples += whine * _motor(loop, hum, 5, 0.9)
    for k in range(turns):
        loop.add(modes([62.0, 105.0], [0.09, 0.05], [1.5, 0.8]), (k + rng.uniform(0.2, 0.4)) * loop.seconds / turns)
    return loop


def _blender(draw: Draw) -> Loop:
    """A blender: a loud buzz that strains as pieces meet the blades."""
    loop, rng, motor, rattle = Loop(2.0), draw.rng, draw.between(110, 260), draw.whole(12, 40)
    loop.samples += _motor(loop, motor, 14, 0.25) * loop.swell(rng, 10.0, 1.5)
    loop.samples += 0.8 * loop.noise(rng, band(1500, 7000, 1)) * loop.swell(rng, 20.0, 3.0)
    clatter(loop, rng, struck(rng, CERAMIC, 1500.0, 0.01, 0.7), rng.uniform(0.0, 2.0, rattle))
    return loop


def _microwave(draw: Draw) -> Loop:
    """A microwave oven hums, then beeps."""
    loop, hum, pitch, beeps = Loop(3.0), draw.between(90, 125), draw.between(950, 2300), draw.whole(2, 5)
    loop.samples += 0.25 * _motor(loop, hum, 8, 0.8) + 0.1 * loop.noise(draw.rng, band(200, 1500, 1))
    for k in range(beeps):
        tone = glide(np.full(round(1.0 / beeps * RATE), pitch, np.float32), (1.0, 0.2, 0.1))
        loop.add(fade(tone, 0.01, 0.01), 1.2 + 1.7 * k / beeps, 0.8)
    return loop


def _footsteps(draw: Draw) -> Loop:
    """Steps of heel and sole."""
    loop, rng, heel, steps = Loop(2.0), draw.rng, draw.between(160, 420), draw.whole(3, 6)
    hardness, sole, shuffle = draw.between(0.2, 0.9), draw.between(900, 5000), draw.between(0.2, 0.6)
    for k in range(steps):
        at = k * loop.seconds / steps
        loop.add(struck(rng, WOOD, heel * rng.uniform(0.95, 1.05), 0.03, hardness), at)
        loop.add(burst(rng, band(0.2 * sole, sole, 1), 0.015, 0.03), at + 0.09, shuffle)
    return loop


def _keyboard(draw: Draw) -> Loop:
    """Someone types."""
    loop, rng, key, strokes = Loop(2.5), draw.rng, draw.between(1300, 3400), draw.whole(12, 28)
    down, up = struck(rng, CERAMIC, key, 0.006, 0.9), struck(rng, CERAMIC, 1.5 * key, 0.003, 0.7)
    at = 0.0
    for _ in range(strokes):
        gain = rng.uniform(0.6, 1.1)
        loop.add(down, at, gain)
        loop.add(up, at + rng.uniform(0.05, 0.08), 0.35 * gain)
        at += loop.seconds / strokes * rng.uniform(0.5, 1.5)
    return loop


def _hammer(draw: Draw) -> Loop:
    """Nails are driven: each blow rings a little higher."""
    loop, rng, nail, blows = Loop(2.0), draw.rng, draw.between(1500, 3200), draw.whole(3, 7)
    for k in range(blows):
        at = k * loop.seconds / blows
        loop.add(struck(rng, METAL, nail * 1.04**k, 0.05, 0.9), at, 0.5)
        loop.add(struck(rng, WOOD, 170.0, 0.05, 0.4), at, 1.0)
    return loop


def _drill(draw: Draw) -> Loop:
    """A drill starts, bites and runs out."""
    loop, rng, speed, bite = Loop(2.0), draw.rng, draw.between(240, 560), draw.between(1500, 3500)
    course = speed * path(1.75, 0.35, 1.0, 1.05, 0.8, 0.78, 0.8, 0.3)
    whine = glide(course, (0.6, 1.0, 0.5, 0.8, 0.3, 0.4, 0.2, 0.2))
    dust = filtered(rng.standard_normal(len(course), dtype=np.float32), band(0.5 * bite, 3.0 * bite, 1))
    loop.add(fade(whine + 1.2 * dust * path(1.75, 0.0, 0.2, 1.0, 1.0, 0.2, 0.0), 0.1, 0.2))
    return loop


HOUSEHOLD: dict[str, Callable[[Draw], Loop]] = {
    "alarm": _alarm,
    "baby": _baby,
    "bird": _bird,
    "blender": _blender,
    "cat": _cat,
    "clock": _clock,
    "cricket": _cricket,
    "dog": _dog,
    "doorbell": _doorbell,
    "drill": _drill,
    "fan": _fan,
    "flute": _flute,
    "footsteps": _footsteps,
    "guitar": _guitar,
    "hammer": _hammer,
    "kettle": _kettle,
    "keyboard": _keyboard,
    "laughter": _laughter,
    "microwave": _microwave,
    "music_box": _music_box,
    "piano": _piano,
    "siren": _siren,
    "speech": _speech,
    "telephone": _telephone,
    "vacuum": _vacuum,
    "washing_machine": _washing_machine,
}
"""Recipe of each category that is not furniture."""
