"""Engines that predict measured rooms: both of Harken's tiers and SoundSpaces 2.0's engine.

Each function returns one that takes a scene and returns what hears in it: a function of a source and listeners that
returns for each listener its measures by name, ``(bands,)`` each. Lateral fractions take the listener's own axis.
"""

import warnings
from collections.abc import Callable

import numpy as np

from harken.acoustics import AcousticSettings, FastPropagation, measures
from harken.acoustics.engines.reference import EnergyResponse, ReferencePropagation, ReferenceSettings
from harken.acoustics.protocol import Listener, Source
from harken.errors import HarkenWarning
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["BANDS", "Hearing", "Measured", "fast_in", "peer_in", "reference_in"]

BANDS = OCTAVE_BANDS[:6]
"""Octaves that are measured in rooms [Hz]."""

WIDTH = 0.001
"""Width of the bins in which the fast tier's energy is measured [s]."""

AROUND, STEP = 2.5, 0.25
"""Distance to which a field is kept around a listener, and between the places of ears there [m]."""

Measured = dict[str, np.ndarray]
"""Values ``(bands,)`` by measure."""

Hearing = Callable[[Source, list[Listener]], list[Measured]]
"""Hears a source at several places."""


def reference_in(settings: ReferenceSettings) -> Callable[[Scene], Hearing]:
    """Return the reference tier; it measures its own bands but for 8 kHz."""

    def enter(scene: Scene) -> Hearing:
        propagation = ReferencePropagation(scene, settings)

        def hear(source: Source, listeners: list[Listener]) -> list[Measured]:
            responses = propagation.energies(source, listeners)
            return [measure_response(r, listener) for r, listener in zip(responses, listeners, strict=True)]

        return hear

    return enter


def fast_in(settings: AcousticSettings, field: bool, bands: tuple[float, ...] = BANDS) -> Callable[[Scene], Hearing]:
    """Return the fast tier, which reads a field around the listeners or traces every pair alone."""
    rows = [OCTAVE_BANDS.index(band) for band in bands]

    def enter(scene: Scene) -> Hearing:
        pairs = FastPropagation(scene, settings)

        def hear(source: Source, listeners: list[Listener]) -> list[Measured]:
            engine = FastPropagation(scene, settings, ears=ears_around(scene, listeners)) if field else pairs
            measured = []
            for listener in listeners:
                heard = engine.energy(source, listener)
                start = float(np.linalg.norm(source.position - listener.position)) / engine.speed
                measured.append(measure_energy(heard.over_time(WIDTH)[rows], 1.0 / WIDTH, start))
            return measured

        return hear

    return enter


def ears_around(scene: Scene, listeners: list[Listener]) -> np.ndarray:
    """Return places ``(n, 3)`` around listeners, at their height, that they see [m]."""
    steps = np.arange(-AROUND, AROUND + STEP / 2, STEP)
    offsets = np.stack(np.meshgrid(steps, [0.0], steps), -1).reshape(-1, 3)
    offsets = offsets[np.linalg.norm(offsets, axis=1) <= AROUND]
    places = [listener.position + offsets for listener in listeners]
    seen = [
        around[~scene.triangles.occluded(np.broadcast_to(listener.position, around.shape), around)]
        for around, listener in zip(places, listeners, strict=True)
    ]
    return np.concatenate(seen)


def peer_in(rays: int) -> Callable[[Scene], Hearing]:
    """Return SoundSpaces 2.0's engine with its own eight bands, measured through octave filters."""

    def enter(scene: Scene) -> Hearing:
        from harken.acoustics.engines.soundspaces2 import SoundSpaces2Propagation, SoundSpaces2Settings

        settings = SoundSpaces2Settings(rate=44_100, duration=2.0, rays=rays, bands=8)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HarkenWarning)
            propagation = SoundSpaces2Propagation(scene, settings)

            def hear(source: Source, listeners: list[Listener]) -> list[Measured]:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", HarkenWarning)
                    heard = [propagation.impulse_response(source, listener) for listener in listeners]
                return [measure_samples(r.samples[0], r.rate) for r in heard]

        return hear

    return enter


def measure_energy(energy: np.ndarray, rate: float, start: float) -> Measured:
    """Measure energies ``(bands, n)`` over time from the arrival of the direct sound on [s]."""
    return {
        "T20/s": measures.decay_time(energy, rate, levels=(-5.0, -25.0), start=start),
        "T30/s": measures.decay_time(energy, rate, levels=(-5.0, -35.0), start=start),
        "EDT/s": measures.decay_time(energy, rate, levels=(0.0, -10.0), start=start),
        "D/%": 100.0 * measures.definition(energy, rate, start=start),
        "C/dB": measures.clarity(energy, rate, limit=0.08, start=start),
        "TS/ms": 1000.0 * measures.centre_time(energy, rate, start=start),
        "G/dB": measures.strength(energy),
    }


def measure_response(response: EnergyResponse, listener: Listener) -> Measured:
    """Measure an energy response; the lateral axis is the listener's, who faces the source."""
    start, rate, energy = response.arrival, 1.0 / response.bin, response.energy[: len(BANDS)]
    lateral = response.received([np.cos(listener.heading), 0.0, -np.sin(listener.heading)])[: len(BANDS)]
    begin = int(start * rate)
    early, upto = begin + round(0.005 * rate), begin + round(0.080 * rate)
    fraction = 100.0 * lateral[:, early:upto].sum(1) / energy[:, begin:upto].sum(1)
    return measure_energy(energy, rate, start) | {"LF/%": fraction}


def measure_samples(samples: np.ndarray, rate: int) -> Measured:
    """Measure an impulse response ``(samples,)`` through octave filters."""
    room = measures.room_measures(samples, rate, BANDS)
    return {
        "T20/s": room.t20,
        "T30/s": room.t30,
        "EDT/s": room.edt,
        "D/%": 100.0 * room.d50,
        "C/dB": room.c80,
        "TS/ms": 1000.0 * room.centre_time,
        "G/dB": room.strength,
    }
