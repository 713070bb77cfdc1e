"""The fast tier against the reference tier in generated homes: what an agent hears, and what unbiased tracing hears.

In every home, sources and listeners are drawn on the floor. Both tiers give each pair's energies over time in octave
bands, from which ISO 3382-1's measures follow; the difference is counted in just-noticeable differences: decay times
5 %, clarity and level 1 dB, direct-to-reverberant ratio 2 dB. "Mid" is the mean of the octaves 500 and 1000 Hz, as
ISO 3382-1 asks for a single number. The reference is traced until the median standard error of every measure is small
(`--error`), and kept in a folder (`--reference`), where a later run finds it; `--trace-only` fills the folder,
`--traced-only` takes only what is there. Half an hour of one core traces a home.

The first arrival's direction is compared with that of the earliest exact path of the reference within 20 dB of its
strongest, the interaural coherence of the tail (80 ms after the first arrival and later) with what the reference's
directional moments give through the head's measured filters.

    python benchmarks/homes.py [--quick] [--homes 20] [--reference FOLDER] [--threads 2]
"""

import argparse
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from _reference_homes import (
    BIN,
    JND,
    SIX,
    TAIL,
    Home,
    Rounds,
    Traced,
    first_direction,
    generated,
    in_jnd,
    is_traced,
    measure,
    single_number,
    standard_errors,
    traced_home,
)

from harken.acoustics import FastPropagation, Listener, SoundPaths, Source
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.scene import OCTAVE_BANDS
from harken.sim import World, WorldSettings

MANY_RAYS = 24_000
"""Rays of the fast tier where time does not matter."""

COHERENCE_BANDS = (250.0, 500.0, 1000.0, 2000.0)
"""Octaves whose interaural coherence is compared [Hz]."""


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

    def add(self, ours: np.ndarray, theirs: np.ndarray, start: float) -> None:
        """Add a pair's energies ``(bands, n)``, measured from `start` on [s]."""
        a, b = measure(ours, start), measure(theirs, start)
        for name in JND:
            own, reference = single_number(a[name], ours, name), single_number(b[name], theirs, name)
            self.single[name].append(float(in_jnd(name, own, reference)))
            self.signed[name].append(np.sign(own - reference) * float(in_jnd(name, own, reference)))
            self.bands[name] += [float(d) for d in in_jnd(name, a[name][SIX], b[name][SIX])]

    def add_errors(self, traced: Traced) -> None:
        """Add the standard errors of the reference instead."""
        for mine, errors in zip((self.single, self.bands), standard_errors(traced), strict=True):
            for name in JND:
                mine[name] += list(errors[name])

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
            bias = f"{np.nanmedian(self.signed[name]):+8.2f}" if self.signed[name] else 8 * " "
            print(f"  {name:8s} {middle:10.2f} {ninety:7.2f} {bias}    |{wide:32.2f} {wider:7.2f}{note}")


@dataclass
class Comparison:
    """What is compared over all homes."""

    fast: Differences = field(default_factory=Differences)
    """The fast tier against the reference."""
    finer: Differences = field(default_factory=Differences)
    """The same with `MANY_RAYS`."""
    errors: Differences = field(default_factory=Differences)
    """The standard errors of the reference."""
    angles: list[float] = field(default_factory=list)
    """Angles between first arrivals [°]."""
    coherences: list[np.ndarray] = field(default_factory=list)
    """Differences of the coherence of tails in `COHERENCE_BANDS`."""


def compare_home(home: Home, traced: list[Traced], comparison: Comparison) -> None:
    """Compare the pairs of one home."""
    world = home.world
    engine = world.propagation
    finer = World(
        scene=world.scene, settings=WorldSettings(acoustics=replace(world.settings.acoustics, rays=MANY_RAYS))
    ).propagation
    assert isinstance(engine, FastPropagation) and isinstance(finer, FastPropagation)
    head = Coherence(HeadResponse.kemar(16_000))
    for reference in traced:
        comparison.errors.add_errors(reference)
        source, energy = Source(position=reference.source), reference.energy
        for i, place in enumerate(reference.listeners):
            listener, start = Listener(position=place), float(reference.starts[i])
            fast = engine.energy(source, listener)
            comparison.fast.add(fast.over_time(BIN), energy[i], start)
            comparison.finer.add(finer.energy(source, listener).over_time(BIN), energy[i], start)
            ours = first_direction(fast.paths)
            if ours is not None and np.isfinite(reference.directions[i, 0]):
                cosine = np.clip(np.dot(reference.directions[i], ours[1]), -1.0, 1.0)
                comparison.angles.append(float(np.degrees(np.arccos(cosine))))
            tails = [
                engine._synthesizer.respond(
                    listener, SoundPaths.of([]), fast.energy, fast.edges, source=701 * k
                ).samples[:, int((start + TAIL) * engine.rate) :]
                for k in range(12)
            ]
            if reference.tails[i][3, 0] > 0 and np.abs(tails[0]).max() > 0:
                comparison.coherences.append(head.heard(np.array(tails)) - head.expected(reference.tails[i]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one home, few rays: shows only that it works")
    parser.add_argument("--homes", type=int, default=20)
    parser.add_argument("--sources", type=int, default=2, help="per home")
    parser.add_argument("--listeners", type=int, default=10, help="per source")
    parser.add_argument("--rays", type=int, default=24_000, help="of a round of the reference, per source")
    parser.add_argument(
        "--error", type=float, default=0.3, help="median standard error at which a source is done [JND]"
    )
    parser.add_argument("--most", type=int, default=144_000, help="rays of the reference per source, at most")
    parser.add_argument("--reference", type=Path, help="folder in which what the reference hears is kept, by home")
    parser.add_argument("--trace-only", action="store_true", help="fill that folder and compare nothing")
    parser.add_argument("--traced-only", action="store_true", help="compare the homes in that folder, trace nothing")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if options.quick:
        options.homes, options.sources, options.listeners, options.rays, options.most = 1, 1, 3, 320, 320
    rounds = Rounds(rays=options.rays, error=options.error, most=options.most, threads=options.threads)
    if options.traced_only:
        rounds = replace(rounds, most=0)
    comparison = Comparison()
    homes, pairs, start = 0, 0, time.perf_counter()
    try:
        for number in range(options.homes):
            home = generated(number, options.sources, options.listeners)
            if options.traced_only and not is_traced(home, options.reference):
                continue
            traced = traced_home(home, rounds, options.reference)
            if not options.trace_only:
                compare_home(home, traced, comparison)
            homes, pairs = homes + 1, pairs + sum(len(t.listeners) for t in traced)
            print(f"home {number}: {pairs} pairs, {time.perf_counter() - start:.0f} s", flush=True)
    except KeyboardInterrupt:
        print("interrupted: what follows is what was compared so far")
    if options.trace_only or homes == 0:
        return
    comparison.fast.report(f"Fast tier against the reference, {pairs} pairs in {homes} homes")
    comparison.finer.report(f"The same with {MANY_RAYS:,} rays a source")
    comparison.errors.report("Standard error of the reference")
    angle, coherence = np.array(comparison.angles), np.array(comparison.coherences)
    print(f"\nDirection of the first arrival: within 10° in {100 * np.mean(angle <= 10):.1f} % of {len(angle)} pairs")
    print("Interaural coherence of the tail, fast less reference: mean over pairs, root mean square")
    for i, band in enumerate(COHERENCE_BANDS):
        print(f"  {band:6.0f} Hz {coherence[:, i].mean():+7.3f} {np.sqrt((coherence[:, i] ** 2).mean()):7.3f}")


if __name__ == "__main__":
    main()
