"""Responses with both ends new every time: their error beside their speed, and SoundSpaces 2.0's engine on the same.

Nothing that belongs to a source or a listener is reused; what belongs to the scene (the tree of triangles, facets,
edges and regions; the peer's mesh) is made before. Both engines give mono responses, measured alike through octave
filters, and the error is the mean difference from the reference tier over T20, EDT, C50 and level, octaves 250-4000 Hz,
in just-noticeable differences (5 %, 5 %, 1 dB, 1 dB). The peer hears with its own ideas of diffraction and scattering,
so its error does not go to zero; "spread" is what random numbers change, two runs beside each other (the peer's
are the same in every run).

    pip install rlr-audio-propagation==0.0.1   # the peer: CC-BY-NC-4.0, Linux x86-64, needs a C++ compiler
    python benchmarks/responses.py [--quick] [--plot FILE.png]
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from environment import home_of

from harken.acoustics import (
    AcousticSettings,
    FastPropagation,
    Listener,
    ReferencePropagation,
    ReferenceSettings,
    Source,
)
from harken.acoustics.measures import band_energies, clarity, decay_time
from harken.errors import HarkenWarning, SoundError
from harken.scene import Scene
from harken.sim import World

BANDS = (250.0, 500.0, 1000.0, 2000.0, 4000.0)
JND = np.array([0.05, 0.05, 1.0, 1.0])
PEER = "SoundSpaces 2.0's engine"
RATE, DURATION, IMAGE_RAYS = 16_000, 1.0, 2_000


@dataclass(frozen=True, kw_only=True)
class Point:
    """An engine's setting on the front of error over speed."""

    name: str
    rays: int
    rate: float
    error: float
    spread: float | None
    """None where the random numbers cannot be changed."""


def measure(response: np.ndarray, start: float) -> np.ndarray:
    """Return T20, EDT, C50 and level per band ``(4, bands)`` of a mono response; NaN where there is nothing."""
    energy = band_energies(response, RATE, BANDS)
    measures = np.full((4, len(BANDS)), np.nan)
    for b, row in enumerate(energy):
        try:
            measures[0, b] = decay_time(row, RATE, levels=(-5.0, -25.0), start=start)
            measures[1, b] = decay_time(row, RATE, levels=(0.0, -10.0), start=start)
            measures[2, b] = clarity(row, RATE, start=start)
            measures[3, b] = 10 * np.log10(row.sum())
        except SoundError:
            continue
    return measures


def differences(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the mean difference of measures ``(pairs, 4, bands)`` in just-noticeable differences."""
    relative = ours[:, :2] / theirs[:, :2] - 1.0
    both = np.concatenate([relative, ours[:, 2:] - theirs[:, 2:]], 1) / JND[:, None]
    return float(np.nanmean(np.abs(both)))


def pairs_of(world: World, count: int) -> list[tuple[Source, Listener]]:
    """Draw sources and listeners in the open."""
    rng, pairs = np.random.default_rng(5), []
    while len(pairs) < count:
        a, b = (np.array(world.floor.random_point(rng)) + [0.0, world.settings.ear_height, 0.0] for _ in range(2))
        if not (world.scene.is_inside_solid(a) or world.scene.is_inside_solid(b)) and np.linalg.norm(a - b) > 1.0:
            pairs.append((Source(position=a), Listener(position=b, format="mono")))
    return pairs


def harken_at(scene: Scene, rays: int, seed: int = 0) -> Callable[[Source, Listener], np.ndarray]:
    """Harken without cells of a floor, so that every pair is traced, and every source moved so that none is known."""
    # A source that is heard once repays fewer rays that look for its mirrors.
    settings = AcousticSettings(rate=RATE, duration=DURATION, pair_rays=rays, image_rays=IMAGE_RAYS, seed=seed)
    engine = FastPropagation(scene, settings)
    _ = engine.exact, engine.regions
    asked = iter(range(10**9))

    def hear(source: Source, listener: Listener) -> np.ndarray:
        moved = Source(position=source.position + [1e-6 * next(asked), 0.0, 0.0])
        return engine.impulse_response(moved, listener).samples[0]

    return hear


def peer_engine(scene: Scene, rays: int) -> Callable[[Source, Listener], np.ndarray]:
    """The peer with its mesh loaded once and everything else new, for its speed."""
    from rlr_audio_propagation import ChannelLayout, ChannelLayoutType, Config, Context

    config = Config()
    config.indirect_ray_count, config.temporal_coherence = rays, False
    config.sample_rate, config.thread_count, config.max_ir_length = RATE, 1, DURATION
    context = Context(config)
    context.add_object()
    context.add_mesh_vertices(scene.vertices.flatten().tolist())
    context.add_mesh_indices(scene.faces.flatten().tolist(), 3, "default")
    context.finalize_object_mesh(0)
    context.add_listener(ChannelLayout(ChannelLayoutType.Mono, 1))
    context.add_source()

    def hear(source: Source, listener: Listener) -> np.ndarray:
        context.set_source_position(0, source.position.tolist())
        context.set_listener_position(0, listener.position.tolist())
        context.simulate()
        return np.asarray(context.get_listener_audio(0)[0])

    return hear


def peer_heard(scene: Scene, rays: int, pairs: list) -> list[np.ndarray]:
    """Return the peer's responses with the scene's materials, levels and delays as Harken has them."""
    from harken.acoustics.engines import SoundSpaces2Propagation, SoundSpaces2Settings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)
        settings = SoundSpaces2Settings(rate=RATE, duration=DURATION, rays=rays, temporal_coherence=False)
        engine = SoundSpaces2Propagation(scene, settings)
        return [engine.impulse_response(source, listener).samples[0] for source, listener in pairs]


def speeds(engines: dict, pairs: list, seconds: float) -> dict:
    """Return responses a second of engines that take turns, the median of three rounds."""
    rates: dict = {name: [] for name in engines}
    for hear in engines.values():
        hear(*pairs[0])
    for _ in range(3):
        for name, hear in engines.items():
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < seconds or count < 3:
                hear(*pairs[count % len(pairs)])
                count += 1
            rates[name].append(count / (time.perf_counter() - start))
    return {name: float(np.median(values)) for name, values in rates.items()}


def plot(points: list[Point], file: str) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for name in dict.fromkeys(point.name for point in points):
        own = [point for point in points if point.name == name]
        axes.plot([p.rate for p in own], [p.error for p in own], "o-", label=name)
        for p in own:
            axes.annotate(f"{p.rays} rays", (p.rate, p.error), textcoords="offset points", xytext=(4, 4), fontsize=7)
    axes.set(xscale="log", xlabel="responses per second, both ends new, one core", ylabel="error [JND]")
    axes.set_ylim(bottom=0.0)
    ticks = (1, 2, 5, 10, 20, 50, 100)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(file, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few pairs and rays: shows only that it works")
    parser.add_argument("--plot", help="write the front as a picture")
    parser.add_argument("--pairs", type=int, default=16)
    parser.add_argument("--triangles", type=int, default=40_000)
    options = parser.parse_args()
    counts, peer_counts, seconds, rays = (25, 50, 100, 200, 400, 1000), (500, 5000), 1.5, 16_000
    if options.quick:
        counts, peer_counts, seconds, rays, options.pairs = (60,), (500,), 0.3, 160, 2
    scene = home_of(options.triangles)
    pairs = pairs_of(World(scene=scene), options.pairs)
    starts = [float(np.linalg.norm(s.position - r.position)) / 343.2 for s, r in pairs]
    if importlib.util.find_spec("rlr_audio_propagation") is None:
        print("SoundSpaces 2.0's engine: not installed (pip install rlr-audio-propagation==0.0.1)")
        peer_counts = ()
    engines = {("Harken", count): harken_at(scene, count) for count in counts}
    engines |= {(PEER, count): peer_engine(scene, count) for count in peer_counts}
    rates = speeds(engines, pairs, seconds)
    reference = ReferencePropagation(scene, ReferenceSettings(rate=RATE, duration=DURATION, rays=rays, threads=2))

    def measures(responses: Iterable[np.ndarray]) -> np.ndarray:
        return np.array([measure(r, start) for r, start in zip(responses, starts, strict=True)])

    truth = measures(reference.impulse_response(*pair).samples[0] for pair in pairs)
    print(f"{len(scene.faces):,} triangles, {len(pairs)} pairs; error and spread in JND")
    points = []
    for (name, count), rate in rates.items():
        if name == PEER:
            heard = [measures(peer_heard(scene, count, pairs))]
        else:
            heard = [measures(map(harken_at(scene, count, seed), *zip(*pairs, strict=True))) for seed in (0, 1)]
        error = differences(heard[0], truth)
        spread = differences(*heard) if len(heard) == 2 else None
        points.append(Point(name=name, rays=count, rate=rate, error=error, spread=spread))
    print(f"  {'engine':26s} {'rays':>6s} {'responses/s':>12s} {'error':>7s} {'spread':>7s}")
    for p in points:
        spread = "–" if p.spread is None else f"{p.spread:.2f}"
        print(f"  {p.name:26s} {p.rays:6d} {p.rate:12.1f} {p.error:7.2f} {spread:>7s}")
    for peer in (p for p in points if p.name != "Harken"):
        as_good = [p for p in points if p.name == "Harken" and p.error <= peer.error]
        if as_good:
            best = max(as_good, key=lambda p: p.rate)
            print(f"  at no more error than {peer.rays} rays of the peer: {best.rate / peer.rate:.1f} times as fast")
    if options.plot:
        plot(points, options.plot)


if __name__ == "__main__":
    main()
