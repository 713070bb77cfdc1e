"""Plot diffraction: against the exact integral around a wedge, its error, and the level on a walk past a door.

python docs/plots/diffraction.py docs/images/diffraction.png
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import trimesh

from harken.acoustics.diffraction import DiffractionPaths
from harken.acoustics.diffraction_wedge import diffracted_pressure, wedge_pressure
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

SPEED = 343.2
FREQUENCIES = np.array(OCTAVE_BANDS)


def exact(frequencies: np.ndarray, wedge: float, source: tuple, listener: tuple, z: float) -> np.ndarray:
    """Biot and Tolstoy's integral (Svensson et al. 1999), summed over real time."""
    (r_s, a), (r_r, b), nu = source, listener, np.pi / wedge
    length = np.hypot(r_s + r_r, z)
    q = np.linspace(0, 1, 200_001)
    s = np.sqrt(150.0) * q
    x = length + s**2
    w = s**2 * (x + length) / (2 * r_s * r_r)
    eta = np.log1p(w + np.sqrt(w * (w + 2)))
    angles = (np.pi + a + b, np.pi + a - b, np.pi - a + b, np.pi - a - b)
    beta = sum(np.sin(nu * p) / (np.cosh(nu * eta) - np.cos(nu * p)) for p in angles)
    sheer = np.sqrt((x + length) / (2 * r_s * r_r) * (w + 2))
    fade = 0.5 + 0.5 * np.cos(np.pi * np.clip(2 * q - 1, 0, 1))
    h = -nu / np.pi * beta / (r_s * r_r * sheer) * fade
    weight = np.full(len(q), 2.0)
    weight[1::2], weight[0], weight[-1] = 4.0, 1.0, 1.0
    k = 2 * np.pi * np.asarray(frequencies) / SPEED
    return np.array([np.sum(h * weight * np.exp(-1j * n * x)) for n in k]) * (s[1] / 3)


def plot_turn(axes: plt.Axes, wedge: float) -> None:
    """The whole field on a turn around the edge, and the exact diffracted wave in the shadow."""
    a, r = 0.7, 2.0
    angles = np.linspace(0.0, wedge, 721)
    for color, f in zip(("C0", "C1", "C2"), (125.0, 1000.0, 8000.0), strict=True):
        whole = [np.abs(wedge_pressure(np.array([f]), wedge, (r, a), (r, b), speed=SPEED))[0] for b in angles]
        distance = np.maximum(2 * r * np.abs(np.sin((angles - a) / 2)), 0.05)
        free = np.where(np.abs(angles - a) < np.pi, distance, 2 * r)
        axes.plot(np.degrees(angles), 20 * np.log10(whole * free), color, lw=1, label=f"{f:g} Hz")
        dark = np.arange(np.pi + a + 0.1, wedge, 0.2)
        points = [np.abs(exact(np.array([f]), wedge, (r, a), (r, b), 0.0))[0] * 2 * r for b in dark]
        axes.plot(np.degrees(dark), 20 * np.log10(points), color + "o", ms=4, mfc="none")
    axes.axvline(np.degrees(np.pi + a), color="grey", ls=":")
    axes.axvline(np.degrees(np.pi - a), color="grey", ls="--", lw=0.8)
    axes.set(title=f"wedge of {np.degrees(wedge):.0f}°, circles: exact", xlabel="angle of the listener [°]")
    axes.set(ylabel="level re free field [dB]", ylim=(-45, 12))
    axes.legend(fontsize=8)


def errors(wedges: tuple[float, ...], count: int = 40) -> np.ndarray:
    """Greatest deviation [dB] per wedge and band at random places with more than -40 dB."""
    rng = np.random.default_rng(0)
    worst = np.zeros((len(wedges), len(FREQUENCIES)))
    for i, wedge in enumerate(wedges):
        for _ in range(count):
            r_s, r_r = np.exp(rng.uniform(np.log(0.12), np.log(6.0), 2))
            a, b = rng.uniform(0.02, wedge - 0.02, 2)
            place = wedge, (r_s, a), (r_r, b), rng.choice([0.0, 0.7, 3.0])
            true, found = exact(FREQUENCIES, *place), diffracted_pressure(FREQUENCIES, *place, speed=SPEED)
            loud = np.abs(true) * np.hypot(r_s + r_r, place[3]) > 0.01
            worst[i] = np.maximum(worst[i], np.where(loud, np.abs(20 * np.log10(np.abs(found / true))), 0.0))
    return worst


def plot_walk(axes: plt.Axes) -> None:
    """The level of direct or bent sound on a walk past a door."""
    walls = ([-6, 0, -0.12], [0, 2.6, 0]), ([0.9, 0, -0.12], [6, 2.6, 0]), ([0, 2.05, -0.12], [0.9, 2.6, 0])
    boxes = [*walls, ([-6, -0.2, -6], [6, 0, 6]), ([-6, 2.6, -6], [6, 2.8, 6])]
    parts = [
        trimesh.creation.box(extents=np.subtract(high, low)).apply_translation(np.add(low, high) / 2)
        for low, high in boxes
    ]
    mesh = trimesh.util.concatenate(parts)
    wall = AcousticMaterial(name="wall", absorption=(0.1,))
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(len(mesh.faces), int))
    paths = DiffractionPaths(scene, speed=SPEED)
    source = np.array([1.5, 1.5, 2.0])
    ways, xs, levels = paths.prepare(source), np.arange(-3.5, 2.5, 0.02), []
    for x in xs:
        listener = np.array([x, 1.5, -2.0])
        distance = float(np.linalg.norm(listener - source))
        if scene.triangles.occluded(source, listener)[0]:
            energy = sum(path.energy for path in paths.paths(ways, listener))
        else:
            energy = paths.passing(source, listener) / distance**2
        levels.append(10 * np.log10(energy * distance**2))
    for band in (0, 2, 3, 4, 6):
        axes.plot(xs, np.array(levels)[:, band], lw=1.2, label=f"{FREQUENCIES[band]:g} Hz")
    axes.set(title="walk past a door of 0.9 m, 2 m behind the wall", xlabel="x [m]", ylabel="level re free field [dB]")
    axes.legend(fontsize=8)


def main(target: str) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    plot_turn(axes[0, 0], 1.5 * np.pi)
    plot_turn(axes[0, 1], 2 * np.pi)
    wedges = (2 * np.pi, 1.75 * np.pi, 1.5 * np.pi, 1.25 * np.pi)
    for wedge, worst in zip(wedges, errors(wedges), strict=True):
        axes[1, 0].semilogx(FREQUENCIES, worst, "o-", label=f"{np.degrees(wedge):.0f}°")
        print(f"{np.degrees(wedge):4.0f}°: greatest error " + " ".join(f"{e:.3f}" for e in worst) + " dB")
    axes[1, 0].set(title="greatest error against the exact integral", xlabel="frequency [Hz]", ylabel="[dB]")
    axes[1, 0].set_ylim(0, None)
    axes[1, 0].set_xticks(FREQUENCIES, [f"{f:g}" for f in FREQUENCIES])
    axes[1, 0].minorticks_off()
    axes[1, 0].legend(fontsize=8)
    plot_walk(axes[1, 1])
    for one in axes.flat:
        one.grid(alpha=0.3)
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
