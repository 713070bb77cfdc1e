"""Steps a second of eight AudioGoal environments in the threads of one process, beside one environment in one thread.

The step is that of ``benchmarks/environment.py``: 128×128 depth, 0.25 s of binaural sound at 16 kHz through a response
of 1 s, and its spectrogram. All environments are in one scene of about 40,000 triangles, each with a source of its own.
One and eight take turns in the same run; the ratio is the median over the rounds. A call in which a source is traced
(the first of an episode) is counted apart, for it takes as long as a hundred others.

Two threads can only be twice as fast as one where two cores are free. The table therefore says how much of the machine
others used meanwhile (Linux), and gives the ratio also over the quiet rounds alone.

    python benchmarks/vector.py [--quick] [--threads 2]
"""

import argparse
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from environment import environment_in, home_of

from harken.envs import TaskEnv, ThreadVectorEnv
from harken.scene import Scene
from harken.sim import World

ENVIRONMENTS = 8
TRACED = 20.0
"""A call that takes so many times the median traced a source."""
QUIET = 0.05
"""Share of the machine that others may use in a quiet round."""


def timed(step: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return milliseconds of a call that traces nothing, and the share of time that went to those that do."""
    spent: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(spent) < 3:
        start = time.perf_counter()
        step()
        spent.append(time.perf_counter() - start)
    times = np.array(spent)
    traced = times > TRACED * np.median(times)
    return 1e3 * float(times[~traced].mean()), float(times[traced].sum() / times.sum())


def processor_time() -> np.ndarray:
    """Return seconds: by the clock, of all cores at work, and of this process; NaN where that is unknown."""
    stat, busy = Path("/proc/stat"), np.nan
    if stat.exists():
        user, nice, system, _, _, irq, soft, steal = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
        busy = (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")
    return np.array([time.perf_counter(), busy, sum(os.times()[:2])])


def share_of_others(before: np.ndarray) -> float:
    """Return the share of the machine's cores that other processes have used since `processor_time` was asked."""
    wall, all_cores, own = processor_time() - before
    return float(np.maximum(all_cores - own, 0.0) / wall / (os.cpu_count() or 1))


def one_step(env: TaskEnv, rng: np.random.Generator) -> Callable[[], object]:
    """Return a function that steps one environment at random."""

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(np.int64(rng.choice([1, 1, 1, 2, 3])))
        if terminated or truncated:
            env.reset()

    return step


def vector_step(envs: ThreadVectorEnv, rng: np.random.Generator) -> Callable[[], object]:
    """Return a function that steps several environments."""
    return lambda: envs.step(rng.choice([1, 1, 1, 2, 3], envs.num_envs))


def compare(scene: Scene, threads: int, rounds: int, seconds: float) -> None:
    """Print the table of one scene."""
    world, rng = World(scene=scene), np.random.default_rng(0)
    alone = environment_in(world, ("depth", "spectrogram"))
    vectors = {
        f"8 environments in {count} thread{'s' * (count > 1)}": ThreadVectorEnv(
            [lambda: environment_in(world, ("depth", "spectrogram"))] * ENVIRONMENTS, threads=count
        )
        for count in (1, threads)
    }
    alone.reset(seed=100)
    contestants = {"1 environment in 1 thread": (1, one_step(alone, rng))}
    for name, envs in vectors.items():
        envs.reset(seed=0)
        contestants[name] = (ENVIRONMENTS, vector_step(envs, rng))
    for _, step in contestants.values():
        timed(step, 0.2)
    rates, others, traced = ({name: [] for name in contestants} for _ in range(3))
    for _ in range(rounds):
        for name, (count, step) in contestants.items():
            before = processor_time()
            milliseconds, share = timed(step, seconds)
            rates[name].append(1e3 * count / milliseconds)
            others[name].append(share_of_others(before))
            traced[name].append(share)
    single = np.array(rates["1 environment in 1 thread"])
    print(f"\n{len(scene.faces):,} triangles, {rounds} rounds")
    print(f"{'':32s}   steps/s   ratio  quiet rounds  others  tracing")
    for name in contestants:
        ratios = np.array(rates[name]) / single
        busy = np.maximum(others[name], others["1 environment in 1 thread"])
        quiet = ratios[busy <= QUIET]
        alone_in = f"{np.median(quiet):.2f} ({len(quiet)})" if len(quiet) else "none"
        print(
            f"  {name:30s}   {np.median(rates[name]):8.0f}  {np.median(ratios):6.2f}  {alone_in:>12s}"
            f"  {np.mean(others[name]):6.0%}  {np.mean(traced[name]):7.0%}"
        )
    for envs in vectors.values():
        envs.close()


def main() -> None:
    """Print the table and the memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    rounds, seconds = (2, 0.3) if arguments.quick else (30, 0.5)
    compare(home_of(40_000), arguments.threads, rounds, seconds)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(f"\nPeak memory of this process with {1 + 2 * ENVIRONMENTS} environments in one scene: {used:.0f} MB")


if __name__ == "__main__":
    main()
