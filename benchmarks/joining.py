"""Late sound joined where rays of both ends cross, beside the reference tier, in bare rooms.

A shoebox whose walls absorb a fifth, and scatter a tenth or three tenths; several pairs. Printed is by how much the
energy of the traced pair lies above that of the reference (next-event estimation, which joins nothing) while the decay
goes from one level to the next, mean over pairs and the octaves 250-4000 Hz, with the standard error over pairs.

    python benchmarks/joining.py [--quick]
"""

import argparse
import itertools

import numpy as np
import trimesh

from harken.acoustics import (
    AcousticSettings,
    FastPropagation,
    Listener,
    ReferencePropagation,
    ReferenceSettings,
    Source,
)
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

ROOMS = {"room of 6 × 3 × 5 m": (6.0, 3.0, 5.0), "hall of 32 × 12 × 25 m": (32.0, 12.0, 25.0)}
LEVELS = (0.0, 10.0, 20.0, 35.0, 50.0)
WIDTH = 0.01


def shoebox(size: tuple[float, ...], scattering: float) -> Scene:
    mesh = trimesh.creation.box(bounds=[[0, 0, 0], size])
    mesh.invert()
    wall = AcousticMaterial(name="wall", absorption=(0.2,), scattering=(scattering,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(12, int))


def excess(size: tuple[float, ...], scattering: float, pairs: int, rays: int, reference_rays: int) -> np.ndarray:
    """Return by how much joined energy exceeds the reference's [dB], ``(pairs, levels - 1)``."""
    scene, rng = shoebox(size, scattering), np.random.default_rng(1)
    duration = 0.8 if max(size) < 10 else 3.0
    fast = FastPropagation(scene, AcousticSettings(duration=duration, pair_rays=rays))
    slow = ReferencePropagation(scene, ReferenceSettings(duration=duration, rays=reference_rays, bin=WIDTH, threads=2))
    octaves = slice(OCTAVE_BANDS.index(250), OCTAVE_BANDS.index(4000) + 1)
    decibels = np.full((pairs, len(LEVELS) - 1), np.nan)
    for k in range(pairs):
        source, ears = (rng.uniform(0.15, 0.85, 3) * size for _ in range(2))
        pair = Source(position=source), Listener(position=ears, format="mono")
        bins = round(duration / WIDTH)
        ours, theirs = (e[octaves, :bins] for e in (fast.energy(*pair).over_time(WIDTH), slow.energy(*pair).energy))
        left = np.cumsum(theirs[:, ::-1], 1)[:, ::-1]
        down = -10.0 * np.log10(np.maximum(left / left[:, :1], 1e-12))
        for i, (upper, lower) in enumerate(itertools.pairwise(LEVELS)):
            within = (down >= upper) & (down < lower)
            ratios = [a[w].sum() / b[w].sum() for a, b, w in zip(ours, theirs, within, strict=True) if w.any()]
            decibels[k, i] = np.mean(10.0 * np.log10(ratios))
    return decibels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pair and few rays: shows only that it works")
    options = parser.parse_args()
    pairs, rays, reference_rays = (1, 200, 400) if options.quick else (6, 4000, 60_000)
    steps = [f"{a:g}–{b:g} dB down" for a, b in itertools.pairwise(LEVELS)]
    print(f"joined less reference [dB] {'':14s}" + "".join(f"{step:>18s}" for step in steps))
    for name, size in ROOMS.items():
        for scattering in (0.1, 0.3):
            decibels = excess(size, scattering, pairs, rays, reference_rays)
            cells = [f"{m:+.2f} ± {s:.2f}" for m, s in zip(decibels.mean(0), decibels.std(0) / pairs**0.5, strict=True)]
            print(f"{name:26s} scatters {scattering:g}" + "".join(f"{cell:>18s}" for cell in cells))


if __name__ == "__main__":
    main()
