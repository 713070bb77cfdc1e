"""What the number of rays costs in generated homes, and how far off the fast tier is with it.

The error is the difference from the reference tier's measures per octave, 125-4000 Hz, in just-noticeable differences,
median and 90th percentile over pairs, octaves and seeds; it contains what the fast tier's averages are off with any
number of rays. Pairs are traced with a twelfth of the rays from each end, the ratio of the default settings. "first
step" is a response of a source that was never heard before: its images, paths over edges, field and sound. Times are
the least of several turns, each number of rays after the other.

The reference is kept in a folder, as that of `homes.py`, and each home is traced once; an interrupted run goes on.

    python benchmarks/rays.py [--quick] [--homes 2] [--seeds 3] [--references FOLDER]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from _reference_homes import BIN, JND, SIX, Rounds, Traced, generated, in_jnd, measure, traced_home

from harken.acoustics import FastPropagation, Listener, Source
from harken.sim import World

__all__ = ["COUNTS", "PAIR_SHARE", "Cost", "costs", "report"]

COUNTS = (1_000, 2_000, 6_000, 20_000)
"""Rays of a field that are compared."""

PAIR_SHARE = 12
"""Rays of a field for one from each end of a pair."""

SOURCES, LISTENERS = 2, 10
"""Drawn per home, as `homes.py` does."""

ROUNDS = Rounds(rays=24_000, error=0.5, most=72_000, threads=1)
"""How long references are traced."""

QUICK = Rounds(rays=320, error=10.0, most=320, threads=1)
"""How long they are where it only counts that everything works."""

TURNS = 5
"""Times that each duration is measured."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a number of rays costs, and what it gives."""

    rays: int
    """Rays of a field."""
    milliseconds: dict[str, float]
    """Least duration of "field", "pair" and "first step" [ms]."""
    errors: dict[str, dict[str, np.ndarray]]
    """For "field" and "pair", by measure: all differences from the reference [just-noticeable differences]."""


def engines(world: World, rays: int, seed: int) -> Iterator[tuple[str, FastPropagation]]:
    """Yield an engine that reads fields and one that traces pairs."""
    engine = world.propagation
    assert isinstance(engine, FastPropagation)
    settings = replace(engine.settings, rays=rays, pair_rays=max(1, rays // PAIR_SHARE), seed=seed)
    ears = world.floor.cells + [0.0, world.settings.ear_height, 0.0]
    for name, places in (("field", ears), ("pair", None)):
        yield name, FastPropagation(world.scene, settings, ears=places, route=engine.route)


def differences(engine: FastPropagation, heard: Traced) -> dict[str, list[float]]:
    """Return the differences of an engine's measures from the reference's [just-noticeable differences]."""
    found: dict[str, list[float]] = {name: [] for name in JND}
    for place, start, energy in zip(heard.listeners, heard.starts, heard.energy, strict=True):
        own = engine.energy(Source(position=heard.source), Listener(position=place)).over_time(BIN)
        ours, theirs = (measure(e, float(start)) for e in (own, energy))
        for name in JND:
            found[name] += [float(d) for d in in_jnd(name, ours[name][SIX], theirs[name][SIX])]
    return found


def durations(world: World, heard: Traced, counts: tuple[int, ...]) -> dict[int, dict[str, float]]:
    """Return the least durations by number of rays [ms]."""
    times: dict[int, dict[str, float]] = {
        rays: dict.fromkeys(("field", "pair", "first step"), np.inf) for rays in counts
    }
    listener = Listener(position=heard.listeners[0])
    pairs = {rays: dict(engines(world, rays, 0)) for rays in counts}
    for turn in range(TURNS + 1):
        for rays, both in pairs.items():
            # Moved a little, so that nothing of the source is known; in the first turn, nothing of the scene is.
            moved = [Source(position=heard.source + [1e-5 * (2 * turn + i), 0.0, 0.0]) for i in range(2)]
            taken = {
                "first step": _taken(both["field"].impulse_response, moved[0], listener),
                "pair": _taken(both["pair"].energy, moved[0], listener),
            }
            both["field"].paths(moved[1], listener)  # its images are known, its field is not
            taken["field"] = _taken(both["field"].field, moved[1])
            if turn > 0:
                times[rays] = {name: min(times[rays][name], value) for name, value in taken.items()}
    return times


def _taken(do: Callable[..., object], *arguments: object) -> float:
    start = time.perf_counter()
    do(*arguments)
    return 1e3 * (time.perf_counter() - start)


def costs(
    folder: Path, *, homes: int, seeds: int, rounds: Rounds = ROUNDS, counts: tuple[int, ...] = COUNTS
) -> list[Cost]:
    """Measure errors and durations by number of rays.

    Args:
        folder: Where references are kept.
        homes: Number of generated homes, from the first of the test split on.
        seeds: Choices of rays per pair.
        rounds: How long references are traced that are not there yet.
        counts: Rays of a field.
    """
    errors = {n: {kind: {name: [] for name in JND} for kind in ("field", "pair")} for n in counts}
    times = {}
    for number in range(homes):
        home = generated(number, SOURCES, LISTENERS)
        world, heard = home.world, traced_home(home, rounds, folder)
        for rays in counts:
            for seed in range(seeds):
                for kind, engine in engines(world, rays, 1_000 * seed):
                    for source in heard:
                        for name, values in differences(engine, source).items():
                            errors[rays][kind][name] += values
        if number == 0:
            times = durations(world, heard[0], counts)
        print(f"home {number} done", flush=True)
    known = {n: {k: {m: np.array(v) for m, v in e.items()} for k, e in both.items()} for n, both in errors.items()}
    return [Cost(rays=rays, milliseconds=times[rays], errors=known[rays]) for rays in counts]


def report(found: list[Cost]) -> None:
    """Print the table: median and 90th percentile of the errors."""
    for kind in ("field", "pair"):
        print(f"\n{kind:>6} rays " + "".join(f"{name:>13}" for name in JND) + f"{kind + ' ms':>12}" + "  first step ms")
        for cost in found:
            rays = cost.rays if kind == "field" else cost.rays // PAIR_SHARE
            off = "".join("{:7.2f}{:6.2f}".format(*np.nanpercentile(cost.errors[kind][n], (50, 90))) for n in JND)
            step = f"{cost.milliseconds['first step']:15.1f}" if kind == "field" else ""
            print(f"{rays:>11,} {off}{cost.milliseconds[kind]:12.1f}{step}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one home, few rays: shows only that it works")
    parser.add_argument("--homes", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--references", type=Path, help="folder in which references are kept")
    options = parser.parse_args()
    if options.quick:
        options.homes, options.seeds = 1, 1
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.references or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        rounds, counts = (QUICK, COUNTS[:2]) if options.quick else (ROUNDS, COUNTS)
        report(costs(folder, homes=options.homes, seeds=options.seeds, rounds=rounds, counts=counts))


if __name__ == "__main__":
    main()
