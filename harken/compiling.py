"""Compiling ahead: every part of the engine, run once on something small, in several processes.

Kernels are compiled when they are first called and kept on disk. `compile_all` calls all of them, so that nothing is
left to compile later: two processes take the parts from both ends of one list, and a process that needs what the other
is compiling waits for it. A process that has to compile for long starts such a process as its helper
(`harken.raytracing.jit`).
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.errors import HarkenError, HarkenWarning, UnknownNameError

__all__ = ["PARTS", "Compiled", "compile_all", "compile_parts", "main"]


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What `compile_all` did."""

    kernels: tuple[str, ...]
    """Names of the kernels that were compiled, each once, without those that were already on disk."""
    seconds: float
    """Time that it took."""

    def __str__(self) -> str:
        """Return a readable line."""
        if not self.kernels:
            return f"nothing left to compile ({self.seconds:.0f} s to see)"
        return f"{len(self.kernels)} kernels compiled in {self.seconds:.0f} s"


def compile_all(parts: Sequence[str] | None = None, *, workers: int = 2, progress: bool = True) -> Compiled:
    """Compile every kernel that is not yet on disk.

    Args:
        parts: Which of `PARTS`; all by default.
        workers: Processes; more than two rarely help, since the largest kernels compile one after the other.
        progress: Whether to show a progress bar on a terminal.

    Returns:
        What was compiled.

    Raises:
        CacheError: The cache folder cannot be written.
        UnknownNameError: There is no such part.
        HarkenError: A process ended before it was done; the message holds what it said.
    """
    from tqdm import tqdm

    from harken.raytracing.jit import cache_folder, start_worker

    cache_folder()
    names = tuple(PARTS if parts is None else parts)
    for name in names:
        if name not in PARTS:
            raise UnknownNameError("part", name, PARTS)
    start, lock = time.perf_counter(), threading.Lock()
    compiled: set[str] = set()
    orders = ([names[::-1], names] * workers)[:workers]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [start_worker(*order, **streams) for order in orders]
    messages = [""] * len(running)
    try:
        with tqdm(total=_missing(), unit="kernel", desc="Compiling", disable=None if progress else True) as bar:

            def follow(number: int) -> None:
                for line in running[number].stdout or ():
                    with lock:
                        compiled.add(line.strip())
                        bar.total = max(int(bar.total or 0), len(compiled))
                        bar.update(len(compiled) - bar.n)

            def listen(number: int) -> None:
                messages[number] = "".join(running[number].stderr or ())

            threads = [threading.Thread(target=f, args=(i,)) for i in range(workers) for f in (follow, listen)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            bar.total = len(compiled)
            bar.refresh()
        for process, words in zip(running, messages, strict=True):
            if process.wait() != 0:
                raise HarkenError(f"A process that compiled kernels ended with status {process.returncode}: {words}")
    finally:
        for process in running:
            process.kill()
            process.communicate()
    return Compiled(kernels=tuple(sorted(compiled)), seconds=time.perf_counter() - start)


def _missing() -> int:
    """Return the number of kernels that have nothing on disk, those of the tree that stands in for Embree left out."""
    import harken.envs  # with this, all modules that have kernels are imported
    import harken.tasks.echo_depth
    import harken.tasks.separation  # noqa: F401
    from harken.raytracing.jit import kernels

    return sum(not kernel.is_cached for kernel in kernels() if not kernel.py_func.__module__.endswith(".bvh"))


def compile_parts(names: Sequence[str]) -> None:
    """Compile some of `PARTS` in this process, in the order given."""
    for name in names:
        PARTS[name]()


def _floors() -> None:
    from harken.scene import NavigationGraph, WalkableFloor

    rng = np.random.default_rng(0)
    floor = WalkableFloor.build(_home())
    start, goal = floor.random_point(rng), floor.random_point(rng)
    way = floor.shortest_path(start, goal)
    floor.move(start, way.points[1] - way.points[0])
    field = floor.distance_field(goal)
    field.distances(np.stack([start, goal]))
    floor.snap(start)
    graph = NavigationGraph.build(floor, spacing=1.0)
    graph.shortest_path(0, len(graph.nodes) - 1)
    graph.nearest(start)


def _pictures() -> None:
    from harken.vision import CHANNELS, Camera, Renderer, draw_plan

    scene = _home()
    place = np.mean(scene.bounds, 0)
    for channels in (("depth",), CHANNELS):
        Renderer(scene).observe(Camera(), place, 0.0, channels=channels)
    draw_plan(scene, width=64)


def _sounds() -> None:
    from harken.sound.convolution import StreamingConvolver
    from harken.sound.spectrogram import echo_spectrogram, spectrogram

    noise = np.random.default_rng(0).normal(size=(2, 16_000)).astype(np.float32)
    spectrogram(noise)
    echo_spectrogram(noise, 16_000)
    convolver = StreamingConvolver(noise[0], block=4_000)
    for response in (noise, 0.5 * noise):  # the second fades over from the first
        convolver.advance(response, gradually=True)


def _paths() -> None:
    from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source

    engine = FastPropagation(_two_rooms(), AcousticSettings(**_FEW_RAYS), route=_around)
    source, listener = Source(position=_HERE), Listener(position=np.array([7.0, 1.4, 1.2]))
    engine.paths(source, listener)
    engine.impulse_response(source, listener)


def _fields() -> None:
    from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
    from harken.acoustics.paths.moving import match_paths
    from harken.sound.delay_lines import add_gliding
    from harken.sound.stream import Stream

    ears = np.stack(np.meshgrid([1.0, 2.0, 6.0, 7.0], [1.5], [1.0, 2.0, 3.0]), -1).reshape(-1, 3)
    engine = FastPropagation(_two_rooms(), AcousticSettings(**_FEW_RAYS), ears=ears)
    for moving in (False, True):
        parts = engine.parts(Source(position=_HERE, moving=moving), Listener(position=_THERE))
        lines, pairs = parts.lines(), match_paths(parts.paths, parts.paths, 0.0)
        add_gliding(Stream(clip=parts.samples[0]), 0, lines, lines, pairs, np.zeros((2, 100), np.float32))


def _formats() -> None:
    from harken.acoustics import AcousticSettings, Ambisonics, FastPropagation, Listener, Source, microphone_array
    from harken.acoustics.directivity import talker
    from harken.acoustics.hearing.ambisonics import encode
    from harken.acoustics.hearing.microphones import MicrophoneArray

    engine = FastPropagation(_two_rooms(), AcousticSettings(**_FEW_RAYS))
    source = Source(position=_HERE, directivity=talker())
    banded = MicrophoneArray(positions=np.zeros((1, 3)), directivities=(talker(),))
    for kind in ("mono", Ambisonics(order=1), microphone_array("tetrahedral"), banded):
        parts = engine.parts(source, Listener(position=_THERE, format=kind))
        parts.samples, parts.lines()
    encode(np.eye(3), 1)


def _echoes() -> None:
    from harken.acoustics import Listener
    from harken.acoustics.engines.echo import EchoPropagation, EchoSettings, sweep

    settings = EchoSettings(rays=20, image_rays=50)
    EchoPropagation(scene=_two_rooms(), settings=settings).echo(Listener(position=_THERE), sweep(settings.rate))


def _reference() -> None:
    from harken.acoustics import Listener, ReferencePropagation, ReferenceSettings, Source

    for scattering, order in (("on-off", 2), ("vector", 0)):
        settings: Any = ReferenceSettings(rays=200, duration=0.1, scattering=scattering, image_order=order)
        engine = ReferencePropagation(_two_rooms(), settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HarkenWarning)  # few rays are enough to compile
            engine.impulse_response(Source(position=_HERE), Listener(position=_THERE))


def _navigation() -> None:
    from harken.envs import TaskEnv, WaypointActions

    sensors = ("rgb", "depth", "semantic", "waveform", "spectrogram", "pose", "oracle", "geometric_map", "acoustic_map")
    acoustics = {"rays": 200, "image_rays": 200, "duration": 0.3}
    for preset in ("soundspaces2", "soundspaces1"):
        config: dict[str, Any] = {"acoustics": acoustics} if preset == "soundspaces2" else {}
        env = TaskEnv("audiogoal", preset=preset, split="val", sensors=sensors, config=config, render_mode="rgb_array")
        env.reset(seed=0, options={"episode": 0})
        for i in range(12):
            env.step(np.int64(1 + i % 3))
        env.render()
        WaypointActions(env).reset(options={"episode": 0})
        env.close()


def _other_tasks() -> None:
    from harken.envs import TaskEnv

    for task in ("echo-depth", "active-separation", "active-dynamic-separation"):
        env = TaskEnv(task, split="val")
        env.reset(seed=0)
        for _ in range(3):
            env.step(env.action_space.sample())
        env.close()


PARTS: dict[str, Callable[[], None]] = {
    "floors": _floors,
    "pictures": _pictures,
    "sounds": _sounds,
    "navigation": _navigation,
    "other tasks": _other_tasks,
    "echoes": _echoes,
    "reference": _reference,
    "formats": _formats,
    "fields": _fields,
    "paths": _paths,
}
"""What compiles each part of the engine, from the floor that every environment needs first to the largest kernel."""

_BESIDE = "paths", "fields", "sounds", "pictures"
"""What a helper takes beside a process that plays an episode, which begins with the floor."""

_HERE, _THERE = np.array([1.0, 1.5, 1.0]), np.array([2.0, 1.5, 2.0])

_FEW_RAYS: dict[str, Any] = {"rays": 50, "pair_rays": 20, "waypoint_rays": 20, "image_rays": 100, "duration": 0.2}


def _home() -> Any:
    from harken.scene import HomeConfig, generate_home

    return generate_home(0, split="val", config=HomeConfig(rooms=(3, 3), area=(40.0, 60.0), detail=0.25))


def _two_rooms() -> Any:
    """Return a room of 8 × 3 × 4 m that a wall with a door divides."""
    import trimesh

    from harken.scene import AcousticMaterial, Scene

    room = trimesh.creation.box(bounds=[[0, 0, 0], [8, 3, 4]])
    room.invert()
    walls = [trimesh.creation.box(bounds=b) for b in ([[3.9, 0, 0], [4, 3, 3]], [[3.9, 2.1, 3], [4, 3, 4]])]
    mesh: Any = trimesh.util.concatenate([room, *walls])
    wall = AcousticMaterial(name="wall", absorption=(0.3,), scattering=(0.3,), transmission=(0.01,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(len(mesh.faces), int))


def _around(source: np.ndarray, listener: np.ndarray) -> np.ndarray:
    """Return the way through the door."""
    return np.array([source, [3.8, 1.5, 3.5], [4.1, 1.5, 3.5], listener], float)


@contextlib.contextmanager
def _one_helper() -> Iterator[bool]:
    """Whether this process is the only helper that compiles into the cache folder."""
    from harken.raytracing.kernel_cache import kernel_folder, locked

    folder = kernel_folder()
    if folder is None:
        yield False
        return
    with locked(folder / "helper.lock") as ours:
        yield ours


def main(words: Sequence[str] | None = None) -> None:
    """Compile the parts that the command line names, print each kernel's name, and end when the parent does.

    Without names this is a helper, of which there is one at a time.
    """
    from harken.raytracing.jit import announcer

    names = sys.argv[1:] if words is None else words
    threading.Thread(target=_end_with_parent, daemon=True).start()
    announcer.on_kernel = lambda name: print(name, flush=True)
    if names:
        compile_parts(names)
        return
    with _one_helper() as ours:
        if ours:
            compile_parts(_BESIDE)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
