"""The fast tier against the reference tier in generated homes: what an agent hears, and what unbiased tracing hears.

In every home, sources and listeners are drawn on the floor. Both tiers give each pair's energies over time in octave
bands, from which ISO 3382-1's measures follow; the difference is counted in just-noticeable differences: decay times
5 %, clarity and level 1 dB, direct-to-reverberant ratio 2 dB. "Mid" is the mean of the octaves 500 and 1000 Hz, as
ISO 3382-1 asks for a single number. The reference is traced twice, with other rays: its own difference is the floor.

The first arrival's direction is compared with that of the earliest exact path of the reference within 20 dB of its
strongest, the interaural coherence of the tail (80 ms after the first arrival and later) with what the reference's
directional moments give through the head's measured filters.

    python benchmarks/homes.py [--quick] [--homes 20] [--rays 24000] [--threads 2]
"""

import argparse
import time
from dataclasses import dataclass, field, replace

import numpy as np

from harken.acoustics import FastPropagation, Listener, ReferencePropagation, ReferenceSettings, SoundPaths, Source
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.measures import clarity, decay_time, direct_to_reverberant_ratio
from harken.errors import SoundError
from harken.scene import OCTAVE_BANDS, generate_home
from harken.sim import World, WorldSettings

JND = {"T20": 0.05, "EDT": 0.05, "C50": 1.0, "DRR": 2.0, "level": 1.0}
"""Just-noticeable differences: shares of decay times, decibels of the rest."""

MIDDLE = [OCTAVE_BANDS.index(band) for band in (500.0, 1000.0)]
SIX = [OCTAVE_BANDS.index(band) for band in (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)]

MANY_RAYS = 24_000
"""Rays of the fast tier where time does not matter."""

TAIL = 0.08
"""Time after the first arrival at which the tail begins [s]."""

COHERENCE_BANDS = (250.0, 500.0, 1000.0, 2000.0)
"""Octaves whose interaural coherence is compared [Hz]."""


def measure(energy: np.ndarray, width: float, start: float) -> dict[str, np.ndarray]:
    """Return the measures per band ``(bands,)`` of energies ``(bands, n)``; NaN where there is nothing to measure."""
    measures = {}
    for name, ask in (
        ("T20", lambda e: decay_time(e, 1 / width, levels=(-5.0, -25.0), start=start)),
        ("EDT", lambda e: decay_time(e, 1 / width, levels=(0.0, -10.0), start=start)),
        ("C50", lambda e: clarity(e, 1 / width, start=start)),
        ("DRR", lambda e: direct_to_reverberant_ratio(e, 1 / width, start=start)),
    ):
        values = np.full(len(energy), np.nan)
        for band, row in enumerate(energy):
            try:
                values[band] = float(ask(row))
            except SoundError:
                continue
        measures[name] = values
    with np.errstate(divide="ignore"):
        measures["level"] = 10 * np.log10(energy.sum(1))
    return measures


def single_number(values: np.ndarray, energy: np.ndarray, name: str) -> float:
    """Return the mean of 500 and 1000 Hz, or the level of all bands together."""
    return float(10 * np.log10(energy.sum())) if name == "level" else float(values[MIDDLE].mean())


def in_jnd(name: str, ours: np.ndarray | float, theirs: np.ndarray | float) -> np.ndarray:
    """Return differences in just-noticeable differences."""
    difference = np.asarray(ours) / theirs - 1.0 if name in ("T20", "EDT") else np.subtract(ours, theirs)
    return np.abs(difference) / JND[name]


def first_direction(paths) -> tuple[float, np.ndarray] | None:
    """Return length and direction of the earliest path within 20 dB of the strongest, None without paths."""
    strongest = max((path.energy.sum() for path in paths), default=0.0)
    early = [path for path in paths if strongest > 0 and path.energy.sum() >= 0.01 * strongest]
    if not early:
        return None
    first = min(early, key=lambda path: path.length)
    return first.length, first.direction


class Coherence:
    """Interaural coherence of a directional energy, from the head's own filters."""

    def __init__(self, head: HeadResponse):
        self.head = head
        size = 512
        frequencies = np.fft.rfftfreq(size, 1 / head.rate)
        spectra = np.fft.rfft(head.filters, size) * np.exp(-2j * np.pi * frequencies * head.delays[..., None])
        left, right = spectra[:, 0], spectra[:, 1]
        # Second-order fits over directions of what a plane wave contributes to the powers and the cross spectrum.
        x, y, z = head.directions.T
        functions = np.stack([np.ones_like(x), x, y, z, x * x, y * y, x * y, x * z, y * z], 1)
        weights = functions * head.solid_angles[:, None]
        solve = np.linalg.solve(weights.T @ functions, weights.T)
        self.left, self.right = solve @ (np.abs(left) ** 2), solve @ (np.abs(right) ** 2)
        self.cross = solve @ (left * right.conj())
        self.frequencies = frequencies

    def expected(self, moments: np.ndarray) -> np.ndarray:
        """Return the coherence in `COHERENCE_BANDS` of a field with moments ``(bands, 9)`` in the head's frame."""
        result = []
        for band in COHERENCE_BANDS:
            inside = (self.frequencies >= band / np.sqrt(2)) & (self.frequencies < band * np.sqrt(2))
            m = moments[OCTAVE_BANDS.index(band)]
            left, right, cross = ((m @ part)[inside].sum() for part in (self.left, self.right, self.cross))
            result.append(np.real(cross) / np.sqrt(max(left.real * right.real, 1e-30)))
        return np.array(result)

    def heard(self, tail: np.ndarray) -> np.ndarray:
        """Return the coherence at lag 0 in the same bands of responses ``(n, 2, samples)``, averaged over them."""
        spectra = np.fft.rfft(tail)
        frequencies = np.fft.rfftfreq(tail.shape[-1], 1 / self.head.rate)
        result = []
        for band in COHERENCE_BANDS:
            inside = (frequencies >= band / np.sqrt(2)) & (frequencies < band * np.sqrt(2))
            part = spectra[..., inside]
            power = (np.abs(part) ** 2).sum((0, 2))
            result.append(np.real((part[:, 0] * part[:, 1].conj()).sum()) / np.sqrt(power[0] * power[1]))
        return np.array(result)


@dataclass
class Differences:
    """Differences, one entry per pair."""

    single: dict[str, list] = field(default_factory=lambda: {name: [] for name in JND})
    bands: dict[str, list] = field(default_factory=lambda: {name: [] for name in JND})
    signed: dict[str, list] = field(default_factory=lambda: {name: [] for name in JND})

    def add(self, ours: np.ndarray, theirs: np.ndarray, width: float, start: float) -> None:
        """Add a pair's energies ``(bands, n)``, in bins of `width`, measured from `start` on [s]."""
        a, b = measure(ours, width, start), measure(theirs, width, start)
        for name in JND:
            own, reference = single_number(a[name], ours, name), single_number(b[name], theirs, name)
            self.single[name].append(float(in_jnd(name, own, reference)))
            self.signed[name].append(np.sign(own - reference) * float(in_jnd(name, own, reference)))
            self.bands[name] += [float(d) for d in in_jnd(name, a[name][SIX], b[name][SIX])]

    def report(self, title: str) -> None:
        """Print medians and 90th percentiles."""
        print(f"\n{title}")
        print("  measure      median   90 %    bias    | each octave 125-4000 Hz: median   90 %   (in JND)")
        for name in JND:
            single, bands = np.array(self.single[name]), np.array(self.bands[name])
            lost = int(np.isnan(single).sum())
            middle, ninety = np.nanpercentile(single, (50, 90))
            wide, wider = np.nanpercentile(bands, (50, 90))
            note = f"  ({lost} pairs without)" if lost else ""
            bias = np.nanmedian(self.signed[name])
            print(f"  {name:8s} {middle:10.2f} {ninety:7.2f} {bias:+8.2f}    |{wide:32.2f} {wider:7.2f}{note}")


def compare_home(number: int, options: argparse.Namespace, differences: dict, rng: np.random.Generator) -> int:
    """Compare the pairs of one home; returns how many there were."""
    world = World(scene=generate_home(number, split="test"))
    engine = world.propagation
    assert isinstance(engine, FastPropagation)
    finer = World(
        scene=world.scene, settings=WorldSettings(acoustics=replace(world.settings.acoustics, rays=MANY_RAYS))
    ).propagation
    assert isinstance(finer, FastPropagation)
    settings = ReferenceSettings(
        rate=16_000, duration=world.settings.acoustics.duration, bin=0.001, rays=options.rays, threads=options.threads
    )
    head, pairs = Coherence(HeadResponse.kemar(16_000)), 0
    for _ in range(options.sources):
        source = Source(position=clear_place(world, rng))
        listeners = [Listener(position=clear_place(world, rng)) for _ in range(options.listeners)]
        listeners = [r for r in listeners if np.linalg.norm(r.position - source.position) > 0.5]
        slow = ReferencePropagation(world.scene, settings).energies(source, listeners)
        again = ReferencePropagation(world.scene, ReferenceSettings(**{**vars(settings), "seed": 1}))
        twice = again.energies(source, listeners) if options.floor else slow
        for listener, reference, repetition in zip(listeners, slow, twice, strict=True):
            fast = engine.energy(source, listener)
            arrival = first_direction(reference.paths)
            start = (
                np.linalg.norm(source.position - listener.position) if arrival is None else arrival[0]
            ) / engine.speed
            differences["fast"].add(fast.over_time(0.001), reference.energy, 0.001, start)
            many = finer.energy(source, listener).over_time(0.001)
            differences["finer"].add(many, reference.energy, 0.001, start)
            if options.floor:
                differences["floor"].add(repetition.energy, reference.energy, 0.001, start)
            ours = first_direction(fast.paths)
            if arrival is not None and ours is not None:
                cosine = np.clip(np.dot(arrival[1], ours[1]), -1.0, 1.0)
                differences["angle"].append(np.degrees(np.arccos(cosine)))
            moments = reference.moments[int((start + TAIL) / reference.bin) :].sum(0)
            tails = [
                engine._synthesizer.respond(
                    listener, SoundPaths.of([]), fast.energy, fast.edges, source=701 * k
                ).samples[:, int((start + TAIL) * engine.rate) :]
                for k in range(12)
            ]
            if moments[3, 0] > 0 and np.abs(tails[0]).max() > 0:
                differences["coherence"].append(head.heard(np.array(tails)) - head.expected(moments))
            pairs += 1
    return pairs


def clear_place(world: World, rng: np.random.Generator) -> np.ndarray:
    """Return a random place of a head on the floor, in the open."""
    while True:
        place = np.array(world.floor.random_point(rng)) + [0.0, world.settings.ear_height, 0.0]
        if not world.scene.is_inside_solid(place):
            return place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one home, few rays: shows only that it works")
    parser.add_argument("--homes", type=int, default=20)
    parser.add_argument("--sources", type=int, default=4, help="per home")
    parser.add_argument("--listeners", type=int, default=5, help="per source")
    parser.add_argument("--rays", type=int, default=24_000, help="of the reference, per source")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--no-floor", dest="floor", action="store_false", help="trace the reference once only")
    options = parser.parse_args()
    if options.quick:
        options.homes, options.sources, options.listeners, options.rays = 1, 1, 3, 320
    differences = {"fast": Differences(), "finer": Differences(), "floor": Differences(), "angle": [], "coherence": []}
    rng, pairs, start = np.random.default_rng(0), 0, time.perf_counter()
    homes = 0
    try:
        for number in range(options.homes):
            pairs += compare_home(number, options, differences, rng)
            homes += 1
            print(f"home {number}: {pairs} pairs, {time.perf_counter() - start:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("interrupted: what follows is what was compared so far")
    differences["fast"].report(f"Fast tier against the reference, {pairs} pairs in {homes} homes")
    differences["finer"].report(f"The same with {MANY_RAYS:,} rays a source")
    if options.floor:
        differences["floor"].report("The reference against itself with other rays: what its own noise leaves")
    angle, coherence = np.array(differences["angle"]), np.array(differences["coherence"])
    print(f"\nDirection of the first arrival: within 10° in {100 * np.mean(angle <= 10):.1f} % of {len(angle)} pairs")
    print("Interaural coherence of the tail, fast less reference: mean over pairs, root mean square")
    for i, band in enumerate(COHERENCE_BANDS):
        print(f"  {band:6.0f} Hz {coherence[:, i].mean():+7.3f} {np.sqrt((coherence[:, i] ** 2).mean()):7.3f}")


if __name__ == "__main__":
    main()
