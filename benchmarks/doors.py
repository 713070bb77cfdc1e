"""What it costs to move a door, beside preparing the home anew: time until a step with sound and depth is there.

    python benchmarks/doors.py [--homes 4] [--quick]

One core. "Anew" prepares the same geometry as a scene of its own; "moved" makes it from what is known of the home;
"again" is a state that was there before. The field of the source is traced in each case but the last.
"""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harken.scene import DoorState, Scene, generate_home
from harken.sim import Simulator, SoundSource

PARTS = ("everything but the field", "with the field", "again")


def first_step(simulator: Simulator) -> None:
    simulator.see(("depth",))
    simulator.hear(4000)


def prepared(simulator: Simulator) -> None:
    world = simulator.world
    _ = world.floor, world.ground, world.propagation, world.propagation.exact  # type: ignore[attr-defined]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return 1e3 * (time.perf_counter() - start)


def put(simulator: Simulator, seed: int) -> None:
    """Put the body and a source at places of the home."""
    rng = np.random.default_rng(seed)
    simulator.place(simulator.ground.random_point(rng), 0.0)
    noise = rng.standard_normal(16_000).astype(np.float32)
    place = simulator.ground.random_point(rng) + [0.0, 1.5, 0.0]
    simulator.set_sources([SoundSource(position=place, samples=noise)])


def alone(scene: Scene) -> Scene:
    """Return the same geometry as a scene without doors, which is prepared from nothing."""
    return replace(scene, bare=None, doors=(), door_states=())


def move(simulator: Simulator, states: dict[str, DoorState]) -> None:
    simulator.set_doors(states, anyway=True)
    simulator.place(simulator.position, 0.0)


def measured(home: Scene, seed: int) -> tuple[Simulator, list[float], list[float]]:
    """Return a simulator in the home, and the times of `PARTS` anew and moved [ms]."""
    simulator = Simulator(home)
    put(simulator, seed)
    prepared(simulator)
    first_step(simulator)
    states: dict[str, DoorState] = {door.name: ("closed", "ajar")[i % 2] for i, door in enumerate(home.doors)}
    other = Simulator(alone(home.with_door_states(states)))
    put(other, seed)
    anew = [timed(lambda: prepared(other)), timed(lambda: first_step(other))]
    moved = [timed(lambda: (move(simulator, states), prepared(simulator))), timed(lambda: first_step(simulator))]
    move(simulator, dict.fromkeys(states, "open"))
    again = timed(lambda: (move(simulator, states), first_step(simulator)))
    return simulator, [anew[0], sum(anew), np.nan], [moved[0], sum(moved), again]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=4)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    measured(generate_home(0, split="val"), 0)  # compiles
    rows: dict[str, list[list[float]]] = {"anew": [], "moved": []}
    for seed in range(1, 2 if arguments.quick else arguments.homes + 1):
        simulator, anew, moved = measured(generate_home(seed, split="val"), seed)
        rows["anew"].append(anew)
        rows["moved"].append(moved)
    print(f"{'[ms]':8s}" + "".join(f"{part:>28s}" for part in PARTS))
    for name, values in rows.items():
        print(f"{name:8s}" + "".join(f"{value:28.0f}" for value in np.median(values, axis=0)))
    names, changes = list(simulator.doors), 20 if arguments.quick else 1000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(changes):
        move(simulator, {names[number % len(names)]: ("closed", "open", "ajar")[number % 3]})
        if number % 100 == 0:
            first_step(simulator)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"Memory after {changes:,} more changes: {grown:+.0f} MB")


if __name__ == "__main__":
    main()
