"""Plot the fast tier beside closed forms: a tone that moves, and energy decay in coupled rooms.

python docs/plots/fast_tier.py docs/images

Writes motion.png and coupled_rooms.png into the folder, within two minutes on one core, and prints the largest
differences of the first.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import trimesh
from scipy.linalg import expm

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _checks import scene_of
from _rooms import BAND, HEIGHT, PLACES, SOURCE, WIDTH, ears, with_a_doorway

from harken.acoustics import (
    AcousticSettings,
    FastPropagation,
    Listener,
    ReferencePropagation,
    ReferenceSettings,
    Source,
)
from harken.acoustics.measures import decay_curve
from harken.scene import OCTAVE_BANDS
from harken.sim import SoundSource, Trajectory
from harken.sim.streams import stream_of

RATE, STEP, TONE = 16_000, 4000, 1000.0
"""Sampling rate [Hz], samples of a step, and frequency of the tone [Hz]."""

SECONDS, WINDOW = 6.0, 4096
"""How long is listened [s], and samples of a frame of the spectrogram."""

Way = Callable[[np.ndarray], np.ndarray]
"""Where somebody is at times [s]: ``(n, 3)``."""


def straight(times: np.ndarray, speed: float, z: float) -> np.ndarray:
    """Return places on a way along x that is at x = 0 in the middle of the time."""
    times = np.asarray(times, float)
    return np.stack([speed * (times - SECONDS / 2), np.zeros_like(times), np.full_like(times, z)], -1)


def free_field() -> FastPropagation:
    """Return an engine in a box whose walls are far and absorb everything."""
    box = trimesh.creation.box(extents=[900.0] * 3)
    box.invert()
    settings = AcousticSettings(rate=RATE, reverberation=False, diffraction=False)
    return FastPropagation(scene_of((box, (1.0, 0.0, 0.0))), settings)


def heard_on_the_way(source: Way, listener: Way) -> np.ndarray:
    """Return a tone as heard ``(samples,)`` while source and listener go straight on, a place a step."""
    engine, samples = free_field(), np.sin(2 * np.pi * TONE / RATE * np.arange(round((SECONDS + 1) * RATE)))
    times = np.array([0.0, SECONDS + 1.0])
    way = Trajectory(times=times, positions=source(times))
    stream = stream_of(engine, SoundSource.moving(way, samples.astype(np.float32)))
    # A step ends at the place where the body is then.
    places = listener((1 + np.arange(round(SECONDS * RATE / STEP))) * STEP / RATE)
    parts = [stream.advance(engine, Listener(position=p, format="mono"), STEP, jumped=False) for p in places]
    return np.concatenate(parts, 1)[0]


def emitted(source: Way, listener: Way, times: np.ndarray, speed: float) -> np.ndarray:
    """Return when what arrives at times was emitted [s]."""
    ages = np.zeros(len(times))
    for _ in range(60):
        ages = np.linalg.norm(source(times - ages) - listener(times), axis=1) / speed
    return times - ages


def amplitude_about(heard: np.ndarray, begun: np.ndarray, width: int = 513) -> np.ndarray:
    """Return the complex amplitude ``(samples,)`` of a tone relative to what was emitted at given times [s]."""
    window = np.hanning(width) / np.hanning(width).sum()
    return 2j * np.convolve(heard * np.exp(-2j * np.pi * TONE * begun), window, "same")


def plot_motion() -> plt.Figure:
    """Spectrogram and level of a tone, once with a source that walks, once with a listener that does."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 6.5), sharex=True, sharey="row", layout="constrained")
    speed = free_field().speed
    cases = {
        "source passes at 3 m/s, 2 m away": (lambda t: straight(t, 3.0, -2.0), lambda t: straight(t, 0.0, 0.0)),
        "listener walks past at 1 m/s, 2 m away": (lambda t: straight(t, 0.0, -2.0), lambda t: straight(t, 1.0, 0.0)),
    }
    for column, (title, (source, listener)) in enumerate(cases.items()):
        heard = heard_on_the_way(source, listener)
        above, below = axes[:, column]
        frames = np.lib.stride_tricks.sliding_window_view(heard, WINDOW)[::200] * np.blackman(WINDOW)
        spectra = np.abs(np.fft.rfft(frames, 4 * WINDOW))
        frequencies = np.fft.rfftfreq(4 * WINDOW, 1 / RATE)
        near = np.abs(frequencies - TONE) <= 30.0
        moments = (np.arange(len(frames)) * 200 + WINDOW / 2) / RATE
        levels = 20 * np.log10(np.maximum(spectra[:, near].T / spectra.max(), 1e-6))
        image = above.pcolormesh(moments, frequencies[near], levels, vmin=-50, vmax=0, cmap="magma", rasterized=True)
        times = np.arange(len(heard)) / RATE
        begun = emitted(source, listener, times, speed)
        amplitude = amplitude_about(heard, begun)
        inside = slice(RATE // 2, -RATE // 2, RATE // 160)
        pitch = TONE * np.gradient(begun, times)[inside]
        off = np.gradient(np.unwrap(np.angle(amplitude)), times)[inside] / (2 * np.pi)
        ours, theirs = 20 * np.log10(np.abs(amplitude[inside])), -20 * np.log10(speed * (times - begun)[inside])
        above.plot(times[inside], pitch, "w--", lw=1.2, label="exact")
        below.plot(times[inside], ours, "C3", lw=2.5, label="heard")
        below.plot(times[inside], theirs, "k--", lw=1.2, label="exact, 1/r")
        above.set(title=title)
        below.set(xlabel="time [s]", xlim=(times[inside][0], times[inside][-1]))
        print(f"{title}: frequency within {np.abs(off).max():.2f} Hz, level {np.abs(ours - theirs).max():.2f} dB")
    axes[0, 0].set(ylabel="frequency [Hz]")
    axes[1, 0].set(ylabel="level re 1 m [dB]")
    axes[0, 0].legend(loc="lower left", facecolor="0.2", labelcolor="w")
    axes[1, 0].legend()
    figure.colorbar(image, ax=axes[0], label="[dB]")
    for below in axes[1]:
        below.grid(alpha=0.3)
    return figure


def two_rooms(first: float, second: float, speed: float, air: float, times: np.ndarray) -> np.ndarray:
    """Return what is to come of diffuse sound after times [s] in both rooms ``(2, n)``, source in the first.

    Energy W of rooms of the volume V that is exchanged through an opening (Cremer and Müller 1978, "Principles and
    applications of room acoustics", §II.3), with Eyring's absorption: dW/dt = −M W.
    """
    opening, volumes = 0.9 * 2.0, np.array([5.0 * HEIGHT * 5.0, 4.0 * HEIGHT * 5.0])
    surfaces = np.array([2 * (15.0 + 25.0 + 15.0), 2 * (12.0 + 20.0 + 15.0)]) - opening
    taken = -np.log1p(-np.array([first, second])) * surfaces
    losses = np.diag(taken + opening) - opening * (1 - np.eye(2))
    matrix = speed / 4 * losses / volumes[None, :] + speed * air * np.eye(2)
    begun = np.array([4 * np.pi, 0.0])
    to_come = [np.linalg.solve(matrix, expm(-matrix * t) @ begun) for t in times]
    return speed * np.array(to_come).T / volumes[:, None]


def plot_coupled_rooms() -> plt.Figure:
    """Energy decay at 1 kHz in both of two rooms that a doorway joins, by both tiers and diffuse-field theory."""
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    places = {name: PLACES[name] for name in ("with the source", "in the other room")}
    listeners = [Listener(position=place) for place in places.values()]
    source = Source(position=SOURCE)
    for panel, (first, second) in zip(axes, ((0.5, 0.05), (0.1, 0.3)), strict=True):
        scene = with_a_doorway(first, second)
        settings = AcousticSettings(duration=1.6)
        slow = ReferencePropagation(scene, ReferenceSettings(rays=120_000, duration=1.6, bin=WIDTH))
        curves = {"reference tier": [r.energy[BAND] for r in slow.energies(source, listeners)]}
        for kind, floor in (("field", ears(0.25, 9.1)), ("pair", None)):
            engine = FastPropagation(scene, settings, ears=floor)
            heard = [engine.energy(source, place).over_time(WIDTH)[BAND] for place in listeners]
            curves[f"fast tier, {kind}"] = heard
        styles = {"reference tier": ("k", 2.6), "fast tier, field": ("C0", 1.2), "fast tier, pair": ("C1", 1.2)}
        times = np.arange(round(1.6 / WIDTH)) * WIDTH
        theory = two_rooms(first, second, slow.speed, float(slow.air.attenuation(OCTAVE_BANDS)[BAND]), times)
        for i in range(len(places)):
            for label, energies in curves.items():
                color, width = styles[label]
                level = 10 * np.log10(energies[i].sum()) + decay_curve(energies[i], 1 / WIDTH)
                panel.plot(
                    WIDTH * np.arange(len(level)),
                    level,
                    color,
                    lw=width,
                    ls="-" if i == 0 else "--",
                    label=f"{label}" if i == 0 else None,
                )
            panel.plot(times, 10 * np.log10(theory[i]), "C2:", lw=1.6, label="diffuse-field theory" if i == 0 else None)
        panel.plot([], [], "0.4", ls="--", label="the same in the other room")
        panel.set(xlabel="time [s]", xlim=(0, 1.0), ylim=(-55, 10))
        panel.set_title(f"α = {first:g} in the source's room, {second:g} in the other")
        panel.grid(alpha=0.3)
    axes[0].set_ylabel("energy to come at 1 kHz re 1 m [dB]")
    axes[0].legend(fontsize=8)
    return figure


def main(folder: str) -> None:
    plot_motion().savefig(Path(folder) / "motion.png", dpi=110)
    plot_coupled_rooms().savefig(Path(folder) / "coupled_rooms.png", dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
