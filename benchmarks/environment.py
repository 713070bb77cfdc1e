"""Steps a second of the AudioGoal environment, beside SoundSpaces 2.0's acoustic engine in the same run, on one core.

The environment's step is what an agent trains on: 128×128 depth, 0.25 s of binaural sound at 16 kHz through a 1 s
response, and its spectrogram, with a static source. What an untrained agent gets is printed as well: uniformly random
actions end an episode after four steps, and every reset brings a new source, every fifth a new home. What two threads
of one process reach together needs two cores that do nothing else.

The peer does less: a binaural response a step, in the setting that SoundSpaces 2.0 trains with (500 rays, temporal
coherence), no picture, no convolution, no spectrogram. It is not a dependency:
``pip install rlr-audio-propagation==0.0.1`` (CC-BY-NC-4.0, Linux x86-64, needs a C++ compiler).

    python benchmarks/environment.py [--quick]
"""

import argparse
import importlib.util
import itertools
import multiprocessing
import os
import queue
import resource
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.envs import TaskEnv
from harken.envs.drawing import EPISODES_PER_HOME
from harken.scene import HomeConfig, Scene, generate_home
from harken.sim import Simulator, SoundSource, Trajectory, World, make_simulator
from harken.sound import spectrogram
from harken.tasks import NavigationSettings


def home_of(triangles: int) -> Scene:
    """Return a generated home with about so many triangles: finer furniture."""
    detail = 1.0
    for _ in range(6):
        home = generate_home(3, split="val", config=HomeConfig(rooms=(6, 8), detail=detail))
        if abs(len(home.faces) / triangles - 1) < 0.15:
            break
        detail *= (triangles / len(home.faces)) ** 0.6
    return home


def walk(env: TaskEnv, steps: int, rng: np.random.Generator) -> float:
    """Return steps a second of a random walk, resets not counted."""
    env.reset(seed=0)
    spent = 0.0
    for _ in range(steps):
        action = np.int64(rng.choice([1, 1, 1, 2, 3]))
        start = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(action)
        spent += time.perf_counter() - start
        if terminated or truncated:
            env.reset()
    return steps / spent


@dataclass(frozen=True)
class RandomActions:
    """What uniformly random actions get, stop included, with their resets."""

    rate: float
    """Steps a second, resets counted."""
    episodes: int
    """Episodes that were ended."""
    length: float
    """Steps an episode."""
    old: float
    """Median time of a reset in a home that was there [ms]."""
    new: float
    """Median time of a reset in another home [ms]."""


def random_actions(*, seconds: float = np.inf, episodes: int | None = None) -> RandomActions:
    """Return what untrained agents get in homes as they come, always the same ones, for a time or so many episodes."""
    env = TaskEnv("audiogoal", split="train", sensors=("depth", "waveform", "spectrogram"))
    rng = np.random.default_rng(2)
    env.reset(seed=0)
    steps, resets, start = 0, [], time.perf_counter()
    while time.perf_counter() - start < seconds and len(resets) != episodes:
        _, _, terminated, truncated, _ = env.step(np.int64(rng.integers(4)))
        steps += 1
        if terminated or truncated:
            begun = time.perf_counter()
            env.reset()
            resets.append(1e3 * (time.perf_counter() - begun))
    rate = steps / (time.perf_counter() - start)
    env.close()
    new = resets[EPISODES_PER_HOME - 1 :: EPISODES_PER_HOME]
    old = [reset for i, reset in enumerate(resets, 1) if i % EPISODES_PER_HOME]
    return RandomActions(
        rate=rate,
        episodes=len(resets),
        length=steps / max(len(resets), 1),
        old=float(np.median(old or [np.nan])),
        new=float(np.median(new or [np.nan])),
    )


def print_random_actions(warm_up: float, seconds: float) -> None:
    """Print what random actions get where everything is new, and where an earlier run has kept it on disk."""
    random_actions(seconds=warm_up)
    print("\nUniformly random actions, stop included, with resets, new sources and new homes")
    result = random_actions(seconds=seconds)
    print_result("everything for the first time", result)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARKEN_PREPARED"] = folder
        for _ in ("made", "read"):
            result = random_actions(episodes=result.episodes)
        del os.environ["HARKEN_PREPARED"]
        print_result("the same episodes, kept on disk by an earlier run", result)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        print(f"    size of the folder                   {size / 1e6:8.0f} MB")


def print_result(title: str, result: RandomActions) -> None:
    """Print one part of the table."""
    print(f"  {title}")
    print(f"    {result.episodes:4d} episodes of {result.length:.1f} steps           {result.rate:8.0f} steps/s")
    print(f"    reset in the same home               {result.old:8.0f} ms")
    print(f"    reset in another home                {result.new:8.0f} ms")


def environment_in(world: World, sensors: tuple[str, ...] = ("depth", "waveform", "spectrogram")) -> TaskEnv:
    """Return an AudioGoal environment whose every episode takes place in one world, which others may share."""
    return TaskEnv(
        "audiogoal",
        split="val",
        sensors=sensors,
        simulator=lambda scene, settings, **options: make_simulator(world, settings, **options),
    )


def peer_rate(scene: Scene, seconds: float, rng: np.random.Generator) -> float | None:
    """Return responses a second of the peer in its navigation setting, None where it is not installed."""
    if importlib.util.find_spec("rlr_audio_propagation") is None:
        return None
    from rlr_audio_propagation import ChannelLayout, ChannelLayoutType, Config, Context

    config = Config()
    config.indirect_ray_count, config.temporal_coherence, config.sample_rate, config.thread_count = 500, True, 16_000, 1
    context = Context(config)
    context.add_object()
    context.add_mesh_vertices(scene.vertices.flatten().tolist())
    context.add_mesh_indices(scene.faces.flatten().tolist(), 3, "default")
    context.finalize_object_mesh(0)
    context.add_listener(ChannelLayout(ChannelLayoutType.Binaural, 2))
    context.add_source()
    floor = World(scene=scene).floor
    source, position = (np.float64(floor.random_point(rng)) for _ in range(2))
    context.set_source_position(0, (source + [0, 1.5, 0]).tolist())
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds or count < 3:
        position, _ = floor.move(position, rng.normal(size=3) * [0.2, 0.0, 0.2])
        context.set_listener_position(0, (np.float64(position) + [0, 1.5, 0]).tolist())
        context.simulate()
        context.get_listener_audio(0)
        count += 1
    return count / (time.perf_counter() - start)


def moving_rate(scene: Scene, steps: int, rng: np.random.Generator) -> float:
    """Return steps a second where the source walks through the home at 1 m/s, every field that it needs included."""
    world = World(scene=scene)
    simulator = Simulator(world, camera=NavigationSettings().body.camera)
    stops = [world.floor.random_point(rng) for _ in range(6)]
    legs = [world.floor.distance_field(b).path(a).points for a, b in itertools.pairwise([*stops, stops[0]])]
    way = Trajectory.along(np.concatenate(legs) + [0.0, world.settings.ear_height, 0.0], 1.0, repeats=True)
    clip = rng.standard_normal(simulator.rate).astype(np.float32)
    simulator.place(world.floor.random_point(rng), 0.0)
    simulator.set_sources([SoundSource.moving(way, clip)])
    padded, start = np.zeros((2, simulator.rate), np.float32), 0.0
    for i in range(steps + 1):
        if i == 1:  # the first step prepares the scene
            start = time.perf_counter()
        if rng.random() < 0.6:
            simulator.move_forward(0.25)
        else:
            simulator.turn(np.radians(10))
        padded[:, : simulator.rate // 4] = simulator.hear(simulator.rate // 4)
        simulator.see(("depth",))
        spectrogram(padded)
    return steps / (time.perf_counter() - start)


def phases(env: TaskEnv, count: int) -> dict[str, float]:
    """Return milliseconds of the parts of a step."""
    simulator = env.simulator
    padded = np.zeros((2, 16_000), np.float32)
    times = dict.fromkeys(("response", "convolution", "depth", "spectrogram"), 0.0)
    for i in range(count):
        simulator.turn(0.1 + 0.001 * i)
        marks = [time.perf_counter()]
        simulator.impulse_response(listener=simulator.ears)
        marks.append(time.perf_counter())
        padded[:, :4000] = simulator.hear(4000)
        marks.append(time.perf_counter())
        simulator.see(("depth",))
        marks.append(time.perf_counter())
        spectrogram(padded)
        marks.append(time.perf_counter())
        for name, spent in zip(times, np.diff(marks), strict=True):
            times[name] += 1e3 * spent / count
    return times


def together(envs: list[TaskEnv], steps: int, *, processes: bool = False) -> float:
    """Return steps a second of environments that walk at once, all of them together, each on a thread or process."""
    context = multiprocessing.get_context("fork") if processes else None
    begin = threading.Barrier(len(envs)) if context is None else context.Barrier(len(envs))
    rates: queue.Queue[float] = queue.Queue()
    done: Any = rates if context is None else context.Queue()

    def work(env: TaskEnv, seed: int) -> None:
        begin.wait()
        done.put(walk(env, steps, np.random.default_rng(seed)))

    kind: Any = threading.Thread if context is None else context.Process
    workers = [kind(target=work, args=(env, seed)) for seed, env in enumerate(envs)]
    for worker in workers:
        worker.start()
    total = sum(done.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total


def print_threads(scene: Scene, steps: int, rounds: int) -> None:
    """Print what two threads reach together, beside two processes: other work on the cores slows both."""
    world = World(scene=scene)
    envs = [environment_in(world), environment_in(world)]
    for env in envs:
        walk(env, 20, np.random.default_rng(0))
    rates = [(together(envs[:1], steps), together(envs, steps), _of_processes(envs, steps)) for _ in range(rounds)]
    one, threads, processes = np.median(rates, axis=0)
    print(f"  two threads of one process, over one  {threads / one:9.2f}")
    print(f"  two processes, over one               {processes / one:9.2f}")


def _of_processes(envs: list[TaskEnv], steps: int) -> float:
    if "fork" not in multiprocessing.get_all_start_methods():
        return np.nan
    return together(envs, steps, processes=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    quick = parser.parse_args().quick
    steps, rounds, seconds = (60, 1, 0.3) if quick else (600, 3, 4.0)
    sizes = (40_000,) if quick else (40_000, 300_000)
    settings = NavigationSettings()
    print(f"AudioGoal step, {settings.step_time} s of binaural sound at {settings.acoustics.rate} Hz, one core")
    for size in sizes:
        scene, rng = home_of(size), np.random.default_rng(0)
        env = environment_in(World(scene=scene))
        walk(env, 20, rng)
        ours, peers = [], []
        for _ in range(rounds):
            ours.append(walk(env, steps, rng))
            peers.append(peer_rate(scene, seconds, rng))
        print(f"\n{len(scene.faces):,} triangles")
        print(f"  Harken, whole step                     {np.median(ours):8.0f} steps/s")
        for name, spent in phases(env, 50).items():
            print(f"    {name:12s}                         {spent:8.2f} ms")
        start = time.perf_counter()
        env.reset()
        print(f"    first step of an episode (new source) {1e3 * (time.perf_counter() - start):7.0f} ms")
        rate = moving_rate(scene, steps // 2, rng)
        print(f"  the same with a source that walks      {rate:8.0f} steps/s")
        if size == sizes[0]:
            print_threads(scene, steps, rounds)
        if peers[0] is None:
            print("  SoundSpaces 2.0's engine: not installed (pip install rlr-audio-propagation==0.0.1)")
        else:
            print(f"  SoundSpaces 2.0's engine, response only {np.median(peers):7.1f} responses/s")
            print(f"  ratio                                  {np.median(np.divide(ours, peers)):8.1f}")
    warm_up, seconds = (1.0, 2.0) if quick else (10.0, 30.0)
    print_random_actions(warm_up, seconds)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)
    print(f"\nPeak memory of this process, all of the above: {used:.0f} MB")


if __name__ == "__main__":
    main()
