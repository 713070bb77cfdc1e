"""Diffraction around a rigid wedge, against the exact integral."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from _checks import Check, scene_of, sheet

from harken.acoustics.engines.reference import ReferencePropagation, ReferenceSettings
from harken.acoustics.paths.diffraction.wedge import diffracted_pressure, wedge_energy, wedge_pressure
from harken.acoustics.protocol import Listener, Source
from harken.scene import OCTAVE_BANDS

__all__ = ["biot_tolstoy", "wedge", "wedge_errors"]

SPEED = 343.2


def biot_tolstoy(frequencies: np.ndarray, wedge: float, source: tuple, listener: tuple, z: float) -> np.ndarray:
    """Sum Biot and Tolstoy's integral over real time, with ever finer steps towards the onset (Svensson et al. 1999).

    Arguments and result are those of `harken.acoustics.paths.diffraction.wedge.diffracted_pressure`, at 343.2 m/s.
    """
    (r_s, a), (r_r, b), nu = source, listener, np.pi / wedge
    length = np.hypot(r_s + r_r, z)
    q = np.linspace(0, 1, 200_001)
    s = np.sqrt(150.0) * q
    x = length + s**2
    w = s**2 * (x + length) / (2 * r_s * r_r)
    eta = np.log1p(w + np.sqrt(w * (w + 2)))
    angles = (np.pi + a + b, np.pi + a - b, np.pi - a + b, np.pi - a - b)
    beta = sum(np.sin(nu * p) / (np.cosh(nu * eta) - np.cos(nu * p)) for p in angles)
    sheer = np.sqrt((x + length) / (2 * r_s * r_r) * (w + 2))
    # The far half is faded out smoothly: a cut would ring.
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip(2 * q - 1, 0, 1))
    h = -nu / np.pi * beta / (r_s * r_r * sheer) * fade
    weight = np.full(len(q), 2.0)
    weight[1::2], weight[0], weight[-1] = 4.0, 1.0, 1.0
    k = 2 * np.pi * np.asarray(frequencies) / SPEED
    return np.array([np.sum(h * weight * np.exp(-1j * n * x)) for n in k]) * (s[1] / 3)


def wedge_errors(wedge: float, count: int) -> np.ndarray:
    """Return the errors ``(count, bands)`` [dB] at random places; NaN where the wave is 40 dB below the free field."""
    rng, frequencies = np.random.default_rng(0), np.array(OCTAVE_BANDS)
    errors = np.full((count, len(frequencies)), np.nan)
    for i in range(count):
        r_s, r_r = np.exp(rng.uniform(np.log(0.12), np.log(6.0), 2))
        a, b = rng.uniform(0.02, wedge - 0.02, 2)
        place = wedge, (r_s, a), (r_r, b), rng.choice([0.0, 0.7, 3.0])
        exact, approximation = biot_tolstoy(frequencies, *place), diffracted_pressure(frequencies, *place, speed=SPEED)
        loud = np.abs(exact) * np.hypot(r_s + r_r, place[3]) > 0.01
        errors[i, loud] = 20 * np.log10(np.abs(approximation / exact))[loud]
    return errors


def wedge(settings: ReferenceSettings, scale: float) -> Iterator[Check]:
    count = max(round(40 * scale), 4)
    for degrees in (360, 315, 270, 225):
        errors = np.abs(wedge_errors(np.radians(degrees), count))
        what = f"wedge of {degrees}°, {count} places, 125 Hz–8 kHz, 99 of 100 errors below"
        yield Check(case="A9", what=what, value=np.nanquantile(errors, 0.99), expected=0.0, unit="dB")
    for degrees in (360, 270):
        angle, a = np.radians(degrees), np.radians(45)
        near = [
            20
            * np.log10(np.abs(wedge_pressure(np.array([8_000.0]), angle, (4, a), (4, np.pi + a + side * 1e-7))) * 8)[0]
            for side in (-1, 1)
        ]
        expected = 20 * np.log10(0.5)
        what = f"wedge of {degrees}°, boundary of the shadow, 8 kHz (limit: -6.02)"
        yield Check(case="A9", what=what, value=near[1], expected=expected, unit="dB")
        yield Check(case="A9", what="its jump from light to shadow", value=near[1] - near[0], expected=0.0, unit="dB")
    yield from over_a_screen(settings)


def over_a_screen(settings: ReferenceSettings) -> Iterator[Check]:
    """Hear a source over a screen, 1 m high in the open, with the reference tier."""
    screen = scene_of((sheet((-60, -60, 0), (60, -60, 0), (60, 1, 0), (-60, 1, 0)), (1.0, 0.5, 0.0)))
    propagation = ReferencePropagation(screen, replace(settings, rays=160, duration=0.1))
    worst = 0.0
    for height in (-2.0, -1.0, 0.2, 1.5, 2.4):
        source, listener = Source(position=(0, 0, 2)), Listener(position=(0, height, -3))
        bent = propagation.paths(source, listener)[1]
        r_s, r_r = np.hypot(2, 1), np.hypot(3, height - 1)
        angles = np.arctan2(2, 1), 2 * np.pi - np.arctan2(3, 1 - height)
        share = wedge_energy(2 * np.pi, (r_s, angles[0]), (r_r, angles[1]), speed=propagation.speed)
        air = np.exp(-propagation.air.attenuation(OCTAVE_BANDS) * (r_s + r_r))
        worst = max(worst, float(np.abs(10 * np.log10(bent.energy * (r_s + r_r) ** 2 / (share * air))).max()))
    what = "reference tier over a screen, five places, worst band"
    yield Check(case="A9", what=what, value=worst, expected=0.0, unit="dB")
