"""Rooms side by side in the fast tier: closed ones with a wall between them, and coupled ones with an open doorway.

Each figure is the mean over seeds, ± its standard error, with that of the reference tier as the expected value; the
worst seed is printed too. Diffuse-field theory gives another, for means over whole rooms.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import trimesh
from _checks import Check, block, scene_of

from harken.acoustics import (
    AcousticSettings,
    FastPropagation,
    Listener,
    ReferencePropagation,
    ReferenceSettings,
    Source,
)
from harken.acoustics.engines.reference import EnergyResponse
from harken.acoustics.measures import decay_time
from harken.scene import Scene

__all__ = ["closed_rooms", "coupled_rooms", "large_hall"]

WIDTH = 0.005
"""Width of the time bins in which energies are compared [s]."""

BAND = 3
"""The octave that is compared: 1 kHz."""

HEIGHT, EAR = 3.0, 1.5
"""Height of the rooms and of ears [m]."""

SOURCE = (1.2, EAR, 1.3)
"""In the first room."""

PLACES = {
    "with the source": (3.4, EAR, 3.9),
    "0.5 m before the doorway": (4.5, EAR, 2.45),
    "in the doorway": (5.05, EAR, 2.45),
    "0.5 m behind it": (5.6, EAR, 2.45),
    "beside it": (5.7, EAR, 3.8),
    "in the other room": (7.9, EAR, 1.2),
    "corner across from the source": (0.4, EAR, 4.6),
    "corner beside the doorway, near": (4.6, EAR, 0.4),
    "corner beside the doorway, far": (4.6, EAR, 4.6),
}
"""Listeners in coupled rooms [m]."""


def inverted(lower: Sequence[float], upper: Sequence[float]) -> trimesh.Trimesh:
    """Return a room between two corners, whose faces look inwards."""
    room = block(lower, upper)
    room.invert()
    return room


def with_a_wall(transmission: float) -> Scene:
    """Return rooms of 5 × 3 × 5 m and 4 × 3 × 5 m, with a wall of 10 cm."""
    shell = inverted((0, 0, 0), (9.1, HEIGHT, 5))
    wall = block((5, -0.05, -0.05), (5.1, HEIGHT + 0.05, 5.05))
    return scene_of((shell, (0.1, 0.5, 0.0)), (wall, (0.1, 0.5, transmission)))


def with_a_doorway(first: float, second: float) -> Scene:
    """Return the same rooms, of two absorption coefficients, with a doorway of 0.9 × 2 m."""
    parts, t = [], 0.2
    for x, end, absorption in ((0, 5.05, first), (5.05, 9.1, second)):
        slabs = [
            block((x, -t, -t), (end, 0, 5 + t)),
            block((x, HEIGHT, -t), (end, HEIGHT + t, 5 + t)),
            block((x, 0, -t), (end, HEIGHT, 0)),
            block((x, 0, 5), (end, HEIGHT, 5 + t)),
        ]
        side, outside = ((5.0, 5.05), (-t, 0)) if x == 0 else ((5.05, 5.1), (9.1, 9.1 + t))
        slabs += [
            block((outside[0], -t, -t), (outside[1], HEIGHT + t, 5 + t)),
            block((side[0], 0, 0), (side[1], HEIGHT, 2)),
            block((side[0], 0, 2.9), (side[1], HEIGHT, 5)),
            block((side[0], 2, 2), (side[1], HEIGHT, 2.9)),
        ]
        parts += [(slab, (absorption, 0.5, 0.0)) for slab in slabs]
    return scene_of(*parts)


def ears(first: float, last: float) -> np.ndarray:
    """Return places of ears in both rooms and the doorway, between two x [m]."""
    x, z = np.arange(first, last, 0.25), np.arange(0.25, 5, 0.25)
    places = np.stack(np.meshgrid(x, [EAR], z), -1).reshape(-1, 3)
    in_wall = (np.abs(places[:, 0] - 5.05) < 0.15) & (np.abs(places[:, 2] - 2.45) > 0.35)
    return places[~in_wall]


def decibels(energy: np.ndarray) -> float:
    """Return the level of energies."""
    return float(10 * np.log10(energy.sum()))


def seeds_against_reference(what: str, heard: Sequence[float], expected: float, unit: str) -> Iterator[Check]:
    """Yield the mean over seeds and the worst of them, of figures in decibels or as ratios to the reference."""
    error = float(np.std(heard, ddof=1) / np.sqrt(len(heard)))
    yield Check(case="R", what=what, value=float(np.mean(heard)), expected=expected, error=error, unit=unit)
    worst = max(heard, key=lambda value: abs(value - expected))
    yield Check(case="R", what=f"{what}, worst seed", value=worst, expected=expected, unit=unit)


def closed_rooms(scale: float, threads: int) -> Iterator[Check]:
    """Yield level differences through walls of 20 to 50 dB, with a floor behind the wall and without."""
    near, behind, source = (3.6, 1.4, 3.7), (7.3, 1.4, 1.6), Source(position=(1.0, EAR, 2.5))
    listeners = [Listener(position=near), Listener(position=behind)]
    settings = ReferenceSettings(rays=round(160_000 * scale), duration=1.0, bin=WIDTH, threads=threads)
    # Less transmission changes the difference by its own amount only.
    slow = ReferencePropagation(with_a_wall(1e-3), settings).energies(source, listeners)
    besides = decibels(slow[0].energy) - decibels(slow[1].energy) - 30.0
    theory = 10 * np.log10(0.1 * 2 * (12 + 20 + 15) / 15)
    yield Check(
        case="R", what="reference less the wall's loss, diffuse theory", value=besides, expected=theory, unit="dB"
    )
    for loss in (20, 30, 40, 50):
        scene = with_a_wall(10 ** (-loss / 10))
        for name, end in (("floor behind it", 9.1), ("none behind it", 5.0)):
            differences = []
            for seed in range(8):
                engine = FastPropagation(scene, AcousticSettings(duration=1.0, seed=seed), ears=ears(0.25, end))
                levels = [decibels(engine.energy(source, place).over_time(WIDTH)) for place in listeners]
                differences.append(levels[0] - levels[1])
            what = f"wall of {loss} dB, {name}"
            yield from seeds_against_reference(what, differences, loss + besides, "dB")


def coupled_rooms(scale: float, threads: int) -> Iterator[Check]:
    """Yield levels and decay times in coupled rooms, from fields and from pairs."""
    listeners = [Listener(position=place) for place in PLACES.values()]
    settings = ReferenceSettings(rays=round(120_000 * scale), duration=1.6, bin=WIDTH, threads=threads)
    for first, second in ((0.5, 0.05), (0.05, 0.5), (0.3, 0.1), (0.1, 0.3)):
        scene = with_a_doorway(first, second)
        source = Source(position=SOURCE)
        slow = [r.energy[BAND] for r in ReferencePropagation(scene, settings).energies(source, listeners)]
        for kind in ("field", "pair"):
            heard = []
            for seed in range(6):
                choice = AcousticSettings(duration=1.6, seed=seed)
                engine = FastPropagation(scene, choice, ears=ears(0.25, 9.1) if kind == "field" else None)
                heard.append([engine.energy(source, place).over_time(WIDTH)[BAND] for place in listeners])
            for i, name in enumerate(PLACES):
                what = f"α {first:g} | {second:g}, {kind}, {name}"
                yield from compared(what, [energies[i] for energies in heard], slow[i])


def compared(what: str, heard: Sequence[np.ndarray], slow: np.ndarray) -> Iterator[Check]:
    """Yield level, level from 100 ms on, T20 and EDT at one place, by seed, against the reference."""
    for name, measure, unit in (
        ("level", decibels, "dB"),
        ("level after 100 ms", lambda energy: decibels(energy[round(0.1 / WIDTH) :]), "dB"),
        ("T20", lambda energy: float(decay_time(energy, 1 / WIDTH, levels=(-5.0, -25.0), start=0.0)), "s"),
        ("EDT", lambda energy: float(decay_time(energy, 1 / WIDTH, levels=(0.0, -10.0), start=0.0)), "s"),
    ):
        values = [measure(energy) for energy in heard]
        error = float(np.std(values, ddof=1) / np.sqrt(len(values)))
        yield Check(
            case="R",
            what=f"{what}: {name}",
            value=float(np.mean(values)),
            expected=measure(slow),
            error=error,
            unit=unit,
        )


WINDOW = 0.01
"""Width of the time windows in which a hall is compared [s]."""


def large_hall(scale: float, threads: int) -> Iterator[Check]:
    """Yield errors in windows of 10 ms, over the first 30 dB of the decay in a hall of 15,000 m³, of both tiers."""
    scene = scene_of((inverted((0, 0, 0), (40, 15, 25)), (0.2, 0.3, 0.0)))
    source, listener = Source(position=(8, 1.5, 11)), Listener(position=(29, 1.2, 15))
    rays, duration = round(20_000 * scale), 2.0
    settings = ReferenceSettings(rays=rays, duration=duration, bin=WINDOW, threads=threads)

    def slow(count: int, seed: int) -> EnergyResponse:
        engine = ReferencePropagation(scene, replace(settings, rays=count, seed=seed))
        return engine.energy(source, listener)

    long = slow(64 * rays, 99)
    converged = long.energy[BAND]
    to_come = np.cumsum(converged[::-1])[::-1]
    counted = (converged > 0) & (to_come > 1e-3 * to_come[0])

    def error(energy: np.ndarray) -> float:
        return float(100 * np.sqrt(np.mean((energy[counted] / converged[counted] - 1) ** 2)))

    fast = FastPropagation(scene, AcousticSettings(duration=duration, pair_rays=rays))
    found = {
        "reference": slow(rays, 0).energy[BAND],
        "pair of the fast tier": fast.energy(source, listener).over_time(WINDOW)[BAND],
    }
    what = f"hall of 15,000 m³, what is compared with, {long.rays} rays, its standard error, worst band"
    yield Check(case="R", what=what, value=100 * long.error, expected=None, unit="%")
    for name, energy in found.items():
        what = f"hall of 15,000 m³, {name}, {rays} rays, error in windows of 10 ms"
        yield Check(case="R", what=what, value=error(energy[: len(converged)]), expected=0.0, unit="%")
