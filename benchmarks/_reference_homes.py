"""Generated homes and what the reference tier hears in them, traced until it has converged and kept in files.

In every home, sources and listeners are drawn on the floor. A source is traced in rounds with other rays, until the
standard errors of what is measured are small enough; after each round the home's file is written, and a later run goes
on from it. Standard errors are found with the jackknife, as in `harken.acoustics.engines.convergence`.
"""

import os
import time
import warnings
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from harken.acoustics import Listener, ReferencePropagation, ReferenceSettings, SoundPath, Source
from harken.acoustics.measures import clarity, decay_time, direct_to_reverberant_ratio
from harken.errors import HarkenWarning, SoundError
from harken.scene import OCTAVE_BANDS, generate_home
from harken.sim import World

__all__ = [
    "BIN", "JND", "SIX", "TAIL", "Home", "Rounds", "Traced", "first_direction", "generated", "in_jnd", "is_traced",
    "measure",    "single_number", "standard_errors", "traced_home",
]  # fmt: skip

JND = {"T20": 0.05, "EDT": 0.05, "C50": 1.0, "DRR": 2.0, "level": 1.0, "late": 1.0}
"""Just-noticeable differences: shares of decay times, decibels of the rest."""

MIDDLE = [OCTAVE_BANDS.index(band) for band in (500.0, 1000.0)]
"""The octaves whose mean is a single number (ISO 3382-1)."""

SIX = [OCTAVE_BANDS.index(band) for band in (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)]
"""The octaves that are compared one by one."""

TAIL = 0.08
"""Time after the first arrival at which late sound begins [s]."""

INAUDIBLE = 1e-3
"""Share of all energy below which late sound is not measured: 30 dB down."""

BIN = 0.001
"""Width of the time bins [s]."""


def measure(energy: np.ndarray, start: float) -> dict[str, np.ndarray]:
    """Return the measures per band ``(bands,)`` of energies ``(bands, n)``; NaN where there is nothing to measure."""
    measures = {}
    for name, ask in (
        ("T20", lambda e: decay_time(e, 1 / BIN, levels=(-5.0, -25.0), start=start)),
        ("EDT", lambda e: decay_time(e, 1 / BIN, levels=(0.0, -10.0), start=start)),
        ("C50", lambda e: clarity(e, 1 / BIN, start=start)),
        ("DRR", lambda e: direct_to_reverberant_ratio(e, 1 / BIN, start=start)),
    ):
        values = np.full(len(energy), np.nan)
        for band, row in enumerate(energy):
            try:
                values[band] = float(ask(row))
            except SoundError:
                continue
        measures[name] = values
    late, total = energy[:, round((start + TAIL) / BIN) :].sum(1), energy.sum(1)
    with np.errstate(divide="ignore"):
        measures["level"] = 10 * np.log10(total)
        measures["late"] = np.where(late > INAUDIBLE * total, 10 * np.log10(late), np.nan)
    return measures


def single_number(values: np.ndarray, energy: np.ndarray, name: str) -> float:
    """Return the mean of 500 and 1000 Hz, or the level of all bands together."""
    return float(10 * np.log10(energy.sum())) if name == "level" else float(values[MIDDLE].mean())


def in_jnd(name: str, ours: np.ndarray | float, theirs: np.ndarray | float) -> np.ndarray:
    """Return differences in just-noticeable differences."""
    difference = np.asarray(ours) / theirs - 1.0 if name in ("T20", "EDT") else np.subtract(ours, theirs)
    return np.abs(difference) / JND[name]


def first_direction(paths: tuple[SoundPath, ...]) -> tuple[float, np.ndarray] | None:
    """Return length and direction of the earliest path within 20 dB of the strongest, None without paths."""
    strongest = max((path.energy.sum() for path in paths), default=0.0)
    early = [path for path in paths if strongest > 0 and path.energy.sum() >= 0.01 * strongest]
    if not early:
        return None
    first = min(early, key=lambda path: path.length)
    return first.length, first.direction


@dataclass(kw_only=True)
class Traced:
    """What the listeners of one source hear, by the reference tier."""

    source: np.ndarray
    """``(3,)`` where it is [m]."""
    listeners: np.ndarray
    """``(listeners, 3)`` where they are [m]."""
    starts: np.ndarray
    """``(listeners,)`` the first arrival, or that of the straight line where there is no path [s]."""
    directions: np.ndarray
    """``(listeners, 3)`` where the first arrival comes from; NaN where there is no path."""
    exact: np.ndarray
    """``(listeners, bands, bins)`` energy of the exact paths."""
    parts: np.ndarray
    """``(16, listeners, bands, bins)`` sums over rounds of independent estimates of the rest."""
    tails: np.ndarray
    """``(listeners, bands, 9)`` sum over rounds of the directional moments of late sound."""
    rounds: int = 0
    """Rounds traced."""
    rays: int = 0
    """Rays traced in all of them."""

    @property
    def energy(self) -> np.ndarray:
        """``(listeners, bands, bins)`` energy."""
        return self.exact + self.parts.mean(0) / self.rounds

    def without_part(self) -> np.ndarray:
        """Return ``(16, listeners, bands, bins)``: the energy, with one part left out each time."""
        return self.exact + (self.parts.sum(0) - self.parts) / (len(self.parts) - 1) / self.rounds


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How long a source is traced."""

    rays: int
    """Rays of a round."""
    error: float
    """Tracing stops when the median of the standard errors of every single number is less [just-noticeable
    differences]."""
    most: int
    """Rays after which it stops in any case."""
    threads: int


@dataclass(frozen=True, kw_only=True)
class Home:
    """A generated home and the pairs in it."""

    number: int
    world: World
    sources: list[np.ndarray]
    """Each ``(3,)`` [m]."""
    listeners: list[np.ndarray]
    """Those of each source, ``(n, 3)`` [m]."""


def generated(number: int, sources: int, listeners: int) -> Home:
    """Return a home of the test split; its places are drawn from its number alone."""
    world, rng = World(scene=generate_home(number, split="test")), np.random.default_rng([0, number])
    places = [_clear_place(world, rng) for _ in range(sources)]
    around = []
    for place in places:
        found: list[np.ndarray] = []
        while len(found) < listeners:
            there = _clear_place(world, rng)
            if np.linalg.norm(there - place) > 0.5:
                found.append(there)
        around.append(np.array(found))
    return Home(number=number, world=world, sources=places, listeners=around)


def _clear_place(world: World, rng: np.random.Generator) -> np.ndarray:
    """Return a random place of a head on the floor, in the open."""
    while True:
        place = np.array(world.floor.random_point(rng)) + [0.0, world.settings.ear_height, 0.0]
        if not world.scene.is_inside_solid(place):
            return place


def _file(home: Home, folder: Path) -> Path:
    return folder / f"home-{home.number:03d}-{len(home.sources)}x{len(home.listeners[0])}.npz"


def is_traced(home: Home, folder: Path) -> bool:
    """Whether all sources of a home are in its file."""
    return _file(home, folder).exists() and len(_read(_file(home, folder))) == len(home.sources)


def traced_home(home: Home, rounds: Rounds, folder: Path | None) -> list[Traced]:
    """Return what is heard from each source of a home, read from its file and traced on where that is needed."""
    file = None if folder is None else _file(home, folder)
    results = _read(file) if file is not None and file.exists() else []
    for i, (source, listeners) in enumerate(zip(home.sources, home.listeners, strict=True)):
        if i == len(results):
            results.append(_round(home, source, listeners, rounds, None))
            _write(file, results)
        while not _is_done(results[i], rounds):
            results[i] = _round(home, source, listeners, rounds, results[i])
            _write(file, results)
    return results


def _is_done(traced: Traced, rounds: Rounds) -> bool:
    if traced.rays + rounds.rays > rounds.most:
        return True
    single, _ = standard_errors(traced)
    return max(float(np.nanmedian(errors)) for errors in single.values()) < rounds.error


def _round(home: Home, source: np.ndarray, listeners: np.ndarray, rounds: Rounds, before: Traced | None) -> Traced:
    """Trace a source once more; `before` is what was traced until now."""
    begun, number = time.process_time(), 0 if before is None else before.rounds
    duration = home.world.settings.acoustics.duration
    settings = ReferenceSettings(
        rate=16_000, duration=duration, bin=BIN, rays=rounds.rays, threads=rounds.threads, seed=number
    )
    engine = ReferencePropagation(home.world.scene, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)  # errors are printed
        heard = engine.energies(Source(position=source), [Listener(position=place) for place in listeners])
    if before is None:
        before = _nothing_yet(source, listeners, heard, engine.speed)
    for i, response in enumerate(heard):
        before.parts[:, i] += response.parts.transpose(0, 2, 1)
        before.tails[i] += response.moments[int((before.starts[i] + TAIL) / BIN) :].sum(0)
    before.rounds, before.rays = before.rounds + 1, before.rays + heard[0].rays
    single, _ = standard_errors(before)
    errors = ", ".join(f"{name} {np.nanmedian(e):.2f}" for name, e in single.items())
    print(
        f"  home {home.number}: {before.rays} rays, median standard errors [JND]: {errors}; "
        f"this round {time.process_time() - begun:.0f} s of processor time",
        flush=True,
    )
    return before


def _nothing_yet(source: np.ndarray, listeners: np.ndarray, heard: tuple, speed: float) -> Traced:
    """Return the exact part of what was heard, with no rounds."""
    first = [first_direction(response.paths) for response in heard]
    straight = np.linalg.norm(listeners - source, axis=1)
    lengths = [way if found is None else found[0] for found, way in zip(first, straight, strict=True)]
    nowhere = np.full(3, np.nan)
    shape = len(listeners), *heard[0].energy.shape
    return Traced(
        source=source,
        listeners=listeners,
        starts=np.array(lengths) / speed,
        directions=np.array([nowhere if found is None else found[1] for found in first]),
        exact=np.array([response.energy - response.traced[:, :, 0].T for response in heard]),
        parts=np.zeros((len(heard[0].parts), *shape)),
        tails=np.zeros((shape[0], shape[1], 9)),
    )


def standard_errors(traced: Traced) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the standard errors of single numbers, and of each of `SIX` octaves, by measure, over pairs [JND]."""
    without = traced.without_part()
    n, pairs = without.shape[:2]
    single: dict[str, list] = {name: [] for name in JND}
    bands: dict[str, list] = {name: [] for name in JND}
    for i in range(pairs):
        measured = [measure(energy, traced.starts[i]) for energy in without[:, i]]
        for name in JND:
            numbers = [single_number(m[name], e, name) for m, e in zip(measured, without[:, i], strict=True)]
            for values, errors in (
                (np.array(numbers)[:, None], single),
                (np.array([m[name][SIX] for m in measured]), bands),
            ):
                scale = JND[name] * (values.mean(0) if name in ("T20", "EDT") else 1.0)
                errors[name] += list(np.sqrt((n - 1) * values.var(0)) / scale)
    return {k: np.array(v) for k, v in single.items()}, {k: np.array(v) for k, v in bands.items()}


def _write(file: Path | None, results: list[Traced]) -> None:
    """Write what was traced, whole or not at all."""
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        f"{field.name}_{i}": np.float32(value) if field.name in ("parts", "exact") else value
        for i, result in enumerate(results)
        for field in fields(Traced)
        for value in [getattr(result, field.name)]
    }
    unfinished = file.with_suffix(".part")
    with open(unfinished, "wb") as out:
        np.savez_compressed(out, **arrays)
    os.replace(unfinished, file)


def _read(file: Path) -> list[Traced]:
    results = []
    with np.load(file) as arrays:
        while f"source_{len(results)}" in arrays:
            values = {field.name: arrays[f"{field.name}_{len(results)}"] for field in fields(Traced)}
            for name in ("parts", "exact"):
                values[name] = values[name].astype(np.float64)
            values["rounds"], values["rays"] = int(values["rounds"]), int(values["rays"])
            results.append(Traced(**values))
    return results
