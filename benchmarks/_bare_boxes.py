"""Shoeboxes without scattering in the fast tier: T30 against the lattice of images, from fields and from pairs.

Sound stays on its axis between bare walls, so the decay bends where the axes absorb unlike, and no formula for diffuse
fields gives it. The lattice of images (Allen & Berkley 1979) does. All late sound is carried by the few rays near the
axis that absorbs least: seeds differ much, and only the mean over many of them tells a bias.
"""

from collections.abc import Iterator

import numpy as np
import trimesh
from _checks import Check

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.measures import decay_time
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

__all__ = ["bare_boxes"]

WIDTH = 0.001
"""Width of the time bins [s]."""

BAND = 3
"""The octave that is compared: 1 kHz."""

BOXES = (
    ((6.0, 3.0, 5.0), (0.2, 0.2, 0.2), (1.5, 1.6, 1.2), (4.3, 1.25, 3.35)),
    ((8.0, 3.0, 4.0), (0.1, 0.5, 0.3), (1.5, 1.4, 1.2), (4.3, 1.25, 3.35)),
    ((9.0, 2.7, 5.0), (0.08, 0.4, 0.2), (2.0, 1.5, 1.4), (6.4, 1.3, 3.2)),
)
"""Size [m], absorption by axis, place of the source and of the listener [m]."""


def bare_box(size: tuple[float, float, float], absorption: tuple[float, float, float]) -> Scene:
    """Return an empty room, whose walls scatter nothing."""
    mesh = trimesh.creation.box(bounds=[(0.0, 0.0, 0.0), size])
    axis = np.abs(mesh.face_normals).argmax(1)
    mesh.invert()
    walls = tuple(AcousticMaterial(name=f"{a:g}", absorption=(a,), scattering=(0.0,)) for a in absorption)
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=walls, material=axis)


def lattice(
    box: tuple[tuple[float, float, float], ...], duration: float, speed: float, attenuation: float
) -> np.ndarray:
    """Return the energy of all images in time bins.

    Args:
        box: One of `BOXES`.
        duration: Time covered [s].
        speed: Speed of sound [m/s].
        attenuation: Energy attenuation of air [1/m].
    """
    lengths, kept = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    for axis, (size, absorption, source, listener) in enumerate(zip(*box, strict=True)):
        most = int(duration * speed / size) + 2
        n = np.arange(-most, most + 1)
        at = np.where(n % 2 == 0, n * size + source, (n + 1) * size - source)
        shape = np.roll([len(n), 1, 1], axis)
        lengths = lengths + ((at - listener) ** 2).reshape(shape)
        kept = kept * ((1.0 - absorption) ** np.abs(n)).reshape(shape)
    lengths = np.sqrt(lengths)
    edges = np.arange(0.0, duration + 0.5 * WIDTH, WIDTH)
    return np.histogram(lengths / speed, edges, weights=kept / lengths**2 * np.exp(-attenuation * lengths))[0]


def bare_boxes(scale: float, seeds: int = 64) -> Iterator[Check]:
    """Yield T30 of every box, mean over seeds, of which a few are far off; `scale` multiplies their number."""
    duration, seeds = 2.5, max(round(scale * seeds), 2)
    for box in BOXES:
        size, absorption, source, listener = box
        scene, ends = bare_box(size, absorption), (Source(position=source), Listener(position=listener))
        x, z = (np.arange(0.25, length, 0.25) for length in (size[0], size[2]))
        floor = np.stack(np.meshgrid(x, [listener[1]], z), -1).reshape(-1, 3)
        for kind in ("pair", "field"):
            heard, expected = [], 0.0
            for seed in range(seeds):
                settings = AcousticSettings(duration=duration, seed=seed)
                engine = FastPropagation(scene, settings, ears=floor if kind == "field" else None)
                energy = engine.energy(*ends).over_time(WIDTH)[BAND]
                heard.append(float(decay_time(energy, 1 / WIDTH, levels=(-5.0, -35.0))))
                if seed == 0:
                    air = float(engine.air.attenuation([OCTAVE_BANDS[BAND]])[0])
                    exact = lattice(box, duration, engine.speed, air)
                    expected = float(decay_time(exact, 1 / WIDTH, levels=(-5.0, -35.0)))
            what = f"bare box {size[0]:g} × {size[1]:g} × {size[2]:g} m, α {absorption}, {kind}: T30"
            error = float(np.std(heard, ddof=1) / np.sqrt(seeds))
            yield Check(case="R", what=what, value=float(np.mean(heard)), expected=expected, error=error, unit="s")
