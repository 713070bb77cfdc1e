"""Plot the validation of docs/validation.md: closed forms, the wedge, convergence, and with --full the measured rooms.

python docs/plots/validation.py docs/images [--full] [--threads 2]

Writes validation_*.png into the folder and nothing else, within three minutes on one core. --full adds the measured
rooms, with 160,000 rays a source in the studio (some fifteen minutes a core), where HARKEN_DATA names the folder that
holds ptb_round_robin_3 and bras.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import trimesh
from scipy.optimize import brentq

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from _bras import JND, ROOMS, engines, eyring, measured, predicted, scene_of_room
from _closed_forms import WINDOW, coherence, convergence, shoebox_responses, sphere, steady_tail
from _engines import BANDS, reference_in
from _round_robin import MEASURES, STATES, Studio, data_folder
from _studio import interaural, mean_errors, participants_errors, studio_settings
from _wedge import SPEED, biot_tolstoy, wedge_errors

from harken.acoustics import AcousticSettings
from harken.acoustics.engines.reference import ReferenceSettings
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.acoustics.paths.diffraction.bent import DiffractionPaths
from harken.acoustics.paths.diffraction.wedge import wedge_pressure
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

FREQUENCIES = np.array(OCTAVE_BANDS)
TRACED = ReferenceSettings(image_order=0)


def exact_decay_time(absorption: float, radius: float = 5.0, speed: float = 343.0) -> float:
    """Decay time of a sphere with Lambert walls (Carroll and Miles 1978)."""

    def excess(x: float) -> float:
        return 2 * (1 - absorption) * ((x - 1) * np.exp(x) + 1) / x**2 - 1

    x = brentq(excess, 1e-3, 60.0)
    return 6 * np.log(10) / (x * speed / (2 * radius))


def plot_sphere() -> plt.Figure:
    """Decay times of the sphere: exact, classical formulas, and traced."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 7), sharex=True, layout="constrained")
    absorption = np.linspace(0.03, 0.93, 91)
    exact = np.array([exact_decay_time(a) for a in absorption])
    volume_over_surface, constant = 5.0 / 3.0, 24 * np.log(10) / 343.0
    eyring = -np.log1p(-absorption)
    formulas = {"Sabine": absorption, "Eyring": eyring, "Kuttruff": eyring * (1 - eyring / 16)}
    above.semilogy(absorption, exact, "k", lw=1, label="exact")
    for name, area in formulas.items():
        times = constant * volume_over_surface / area
        above.semilogy(absorption, times, "--", lw=1, label=name)
        below.plot(absorption, 100 * (times / exact - 1), "--", lw=1, label=name)
    checks = [check for check in sphere(TRACED, 0.3) if check.case == "A5"]
    places = [float(check.what.split("α = ")[1].split(",")[0]) for check in checks]
    above.semilogy(places, [check.value for check in checks], "o", color="C3", label="Harken, reference tier")
    below.plot(
        places, [100 * (c.value / c.expected - 1) for c in checks], "o", color="C3", label="Harken, reference tier"
    )
    above.set(ylabel="T60 [s]", title="sphere of 5 m radius, Lambert walls")
    below.set(xlabel="absorption coefficient", ylabel="off the exact time [%]", ylim=(-11, 11))
    below.axhspan(-1, 1, color="C3", alpha=0.12, lw=0)
    above.legend()
    return finished(figure)


def plot_shoebox() -> plt.Figure:
    """Responses of a shoebox to order 3, ours and pyroomacoustics'."""
    ours, theirs = shoebox_responses()
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, layout="constrained")
    times = 1e3 * np.arange(len(ours)) / 48_000
    # Beyond, both run into the Nyquist frequency, with other filters.
    audible = np.fft.rfftfreq(len(ours), 1 / 48_000) < 20_000
    difference = np.fft.irfft(audible * np.fft.rfft(ours - theirs), len(ours))
    above.plot(times, theirs, "C1", lw=1.8, label="pyroomacoustics")
    above.plot(times, ours, "C0", lw=0.8, label="Harken")
    above.set(title="shoebox, 63 images, 48 kHz", ylabel="pressure", xlim=(9, 33))
    below.plot(times, difference, "k", lw=0.7)
    below.set(xlabel="time [ms]", ylabel="difference below 20 kHz")
    above.legend()
    return finished(figure)


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
        points = [np.abs(biot_tolstoy(np.array([f]), wedge, (r, a), (r, b), 0.0))[0] * 2 * r for b in dark]
        axes.plot(np.degrees(dark), 20 * np.log10(points), color + "o", ms=4, mfc="none")
    axes.axvline(np.degrees(np.pi + a), color="grey", ls=":")
    axes.axvline(np.degrees(np.pi - a), color="grey", ls="--", lw=0.8)
    axes.set(title=f"wedge of {np.degrees(wedge):.0f}°, circles: exact", xlabel="angle of the listener [°]")
    axes.set(ylabel="level re free field [dB]", ylim=(-45, 12))
    axes.legend(fontsize=8)


def plot_walk(axes: plt.Axes) -> None:
    """The level of direct or bent sound on a walk past a door."""
    walls = ([-6, 0, -0.12], [0, 2.6, 0]), ([0.9, 0, -0.12], [6, 2.6, 0]), ([0, 2.05, -0.12], [0.9, 2.6, 0])
    boxes = [*walls, ([-6, -0.2, -6], [6, 0, 6]), ([-6, 2.6, -6], [6, 2.8, 6])]
    mesh = trimesh.util.concatenate([trimesh.creation.box(bounds=box) for box in boxes])
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


def plot_wedge() -> plt.Figure:
    """Diffraction: around two wedges, its error, and a walk past a door."""
    figure, axes = plt.subplots(2, 2, figsize=(12, 9), layout="constrained")
    plot_turn(axes[0, 0], 1.5 * np.pi)
    plot_turn(axes[0, 1], 2 * np.pi)
    for degrees in (360, 315, 270, 225):
        errors = np.nanquantile(np.abs(wedge_errors(np.radians(degrees), 40)), 0.95, axis=0)
        axes[1, 0].semilogx(FREQUENCIES, errors, "o-", label=f"{degrees}°")
    axes[1, 0].set(
        title="95 of 100 errors against the exact integral are below", xlabel="frequency [Hz]", ylabel="[dB]"
    )
    axes[1, 0].set_ylim(0, None)
    axes[1, 0].set_xticks(FREQUENCIES, [f"{f:g}" for f in FREQUENCIES])
    axes[1, 0].minorticks_off()
    axes[1, 0].legend(fontsize=8)
    plot_walk(axes[1, 1])
    return finished(figure)


def plot_convergence() -> plt.Figure:
    """The tracer's error over the number of rays: what it says itself, and how far off it is."""
    counts = np.array([500, 1_000, 2_000, 4_000, 8_000])
    claimed, actual = convergence(TRACED, tuple(counts), truth=64_000)
    figure, axes = plt.subplots(figsize=(7, 5), layout="constrained")
    axes.loglog(counts, claimed, "o-", label="error that the response states")
    axes.loglog(counts, actual, "s-", label="difference from 64,000 rays, root mean square")
    axes.loglog(counts, actual[0] * (counts / counts[0]) ** -0.5, "k--", lw=1, label="N$^{-1/2}$")
    axes.set(xlabel="rays", ylabel="relative error in windows of 10 ms", title="room with a cupboard, first 30 dB")
    axes.set_xticks(counts, [f"{n:,}" for n in counts])
    shares = (0.05, 0.1, 0.2, 0.4)
    axes.set_yticks(shares, [f"{100 * share:g} %" for share in shares])
    axes.minorticks_off()
    axes.legend()
    return finished(figure)


def plot_coherence() -> plt.Figure:
    """Coherence in a diffuse field: two microphones, and two ears."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    rate = 48_000
    frequencies, head = np.fft.rfftfreq(WINDOW, 1 / rate), HeadResponse.kemar(rate)
    for color, spacing in zip(("C0", "C1"), (0.05, 0.2), strict=True):
        pair = MicrophoneArray(positions=[(0, 0, -spacing / 2), (0, 0, spacing / 2)])
        axes.semilogx(frequencies, coherence(steady_tail(pair, 30.0, rate), rate), color, lw=0.6, alpha=0.6)
        expected = np.sinc(2 * frequencies * spacing / 343.2)
        axes.semilogx(
            frequencies, expected, color, lw=1.6, label=f"microphones {100 * spacing:g} cm apart: sin(kd)/(kd)"
        )
    left, right, cross = head.diffuse_spectra(WINDOW)
    axes.semilogx(frequencies, coherence(steady_tail(head, 30.0, rate), rate), "C2", lw=0.6, alpha=0.6)
    axes.semilogx(
        frequencies, cross.real / np.sqrt(left.real * right.real), "C2", lw=1.6, label="ears: integral over the head"
    )
    axes.set(
        xlabel="frequency [Hz]",
        ylabel="coherence, real part",
        xlim=(100, 10_000),
        title="thin: measured in a steady tail",
    )
    axes.legend()
    return finished(figure)


def plot_coherence_over_distance() -> plt.Figure:
    """Coherence of tails at two places, by octave, beside that of a diffuse field."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    rate, rng = 16_000, np.random.default_rng(0)
    distances, fine = np.array([0.02, 0.05, 0.1, 0.15, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0]), np.linspace(0.0, 2.0, 401)
    frequencies = np.fft.rfftfreq(4 * rate, 1 / rate)
    for color, octave in zip(("C0", "C1", "C2", "C3"), (250.0, 500.0, 1000.0, 4000.0), strict=True):
        chosen = (frequencies >= octave / 2**0.5) & (frequencies < octave * 2**0.5)
        here = np.fft.rfft(steady_tail("mono", 4.0, rate)[0])[chosen]
        measured = []
        for distance in distances:
            towards = rng.normal(size=(12, 3))
            towards *= distance / np.linalg.norm(towards, axis=1, keepdims=True)
            others = [np.fft.rfft(steady_tail("mono", 4.0, rate, position=place)[0])[chosen] for place in towards]
            norms = np.linalg.norm(here) * np.linalg.norm(others, axis=1)
            measured.append(np.mean((here * np.conj(others)).real.sum(1) / norms))
        expected = np.sinc(2 * fine[:, None] * frequencies[chosen] / 343.2).mean(1)
        axes.plot(fine, expected, color, lw=1.2, label=f"{octave:g} Hz")
        axes.plot(distances, measured, color + "o", ms=4)
    title = "dots: tails; lines: sin(kd)/(kd) over the octave"
    axes.set(xlabel="distance [m]", ylabel="coherence, real part", title=title)
    axes.legend()
    return finished(figure)


def plot_studio(room: Studio, threads: int) -> plt.Figure:
    """Errors in the measured studio by quantity, beside the participants', and two measures by band."""
    values = room.run(reference_in(studio_settings(160_000, threads)))
    figure = plt.figure(figsize=(11, 9), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    measures = (*MEASURES, "LF/%", "IACC")
    tables = [room.errors(values, measure) for measure in measures[:-1]] + [interaural(room, 4_000, threads)]
    for part, title in enumerate(("all bands", "500–2000 Hz")):
        axes = figure.add_subplot(grid[0, part])
        for i, (measure, table) in enumerate(zip(measures, tables, strict=True)):
            others = participants_errors(room, measure)[:, part]
            axes.plot(np.full(len(others), i), others, "_", color="0.45", ms=14, mew=1.2)
            axes.plot(i, mean_errors(table)[part], "D", color="C3", ms=7)
        axes.plot([], [], "_", color="0.45", ms=14, label="a participant, blind")
        axes.plot([], [], "D", color="C3", label="Harken, reference tier, not blind")
        axes.set_xticks(range(len(measures)), [measure.split("/")[0] for measure in measures])
        axes.set(title=title, ylabel="mean error [JND]", ylim=(0, 6))
        axes.legend(fontsize=8)
    for column, measure in enumerate(("T30/s", "C/dB")):
        axes = figure.add_subplot(grid[1, column])
        for color, state in zip(("C0", "C1"), STATES, strict=True):
            for source, style in (("measured", "k"), ("Harken", color)):
                mean = [mean_over_positions(room, values, source, state, measure, b) for b in range(len(BANDS))]
                marker = "o" if state == "open" else "s"
                axes.semilogx(BANDS, mean, f"{marker}{'-' if style == 'k' else '--'}", color=style, ms=5,
                              label=f"{source}, curtains {state}")  # fmt: skip
        axes.set_xticks(BANDS, [f"{b:g}" for b in BANDS])
        axes.minorticks_off()
        axes.set(xlabel="octave band [Hz]", title=f"{measure.replace('/', ' [')}], mean of six positions")
        axes.legend(fontsize=8)
    return finished(figure)


def mean_over_positions(room: Studio, values: dict, source: str, state: str, measure: str, band: int) -> float:
    """The mean of a measure over the six positions, measured or ours."""
    if source == "measured":
        return float(np.mean(room.data["measurement_mean"][state][f"{BANDS[band]:g}"][measure]))
    return float(np.mean([values[state, position][measure][band] for position in room.data["positions"]]))


def plot_bras(folder: Path, threads: int) -> plt.Figure:
    """Reverberation and clarity in two rooms of BRAS by band, measured and predicted."""
    figure, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True, sharey="row", layout="constrained")
    shown = {
        "reference tier, vector": ("C3", "D"),
        "reference tier, on–off": ("C1", "s"),
        "fast tier, field": ("C0", "o"),
    }
    for column, room in enumerate(ROOMS):
        scene = scene_of_room(folder, room)
        times, clarity = axes[:, column]
        times.semilogx(BANDS, measured(folder, room, "T20/s"), "k-", lw=2, label="measured, mean of ten pairs")
        clarity.semilogx(BANDS, measured(folder, room, "C/dB"), "k-", lw=2)
        for title, engine in engines(room, 10_000, threads, 0):
            for name, (color, marker) in shown.items():
                if title.startswith(name):
                    found = dict(zip(JND, predicted(scene, room, engine), strict=True))
                    style = {"color": color, "marker": marker, "ms": 5, "ls": "--", "lw": 1.2}
                    times.semilogx(BANDS, found["T20/s"], label=name, **style)
                    clarity.semilogx(BANDS, found["C/dB"], **style)
        times.semilogx(BANDS, eyring(scene, room.settings(AcousticSettings)), "0.5", ls=":", label="Eyring's formula")
        times.set(title=f"{room.name}, {room.title}")
        clarity.set(xlabel="octave band [Hz]")
        clarity.set_xticks(BANDS, [f"{b:g}" for b in BANDS])
        clarity.minorticks_off()
    axes[0, 0].set(ylabel="T20 [s]", ylim=(0, None))
    axes[1, 0].set(ylabel="C80 [dB]")
    axes[0, 0].legend(fontsize=8)
    return finished(figure)


def finished(figure: plt.Figure) -> plt.Figure:
    for axes in figure.axes:
        axes.grid(alpha=0.3)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--full", action="store_true", help="the measured studio too")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    plots = {"sphere": plot_sphere, "wedge": plot_wedge, "convergence": plot_convergence, "coherence": plot_coherence}
    plots["distance"] = plot_coherence_over_distance
    if importlib.util.find_spec("pyroomacoustics") is None:
        print("shoebox: skipped, pyroomacoustics is not installed.")
    else:
        plots["shoebox"] = plot_shoebox
    room = Studio.find() if options.full else None
    if room is not None:
        plots["studio"] = lambda: plot_studio(room, options.threads)
    elif options.full:
        print("studio: skipped, ptb_round_robin_3 was not found. Set HARKEN_DATA to the folder that holds it.")
    rooms = data_folder("bras") if options.full else None
    if rooms is not None:
        plots["bras"] = lambda: plot_bras(rooms, options.threads)
    elif options.full:
        print("bras: skipped, bras was not found. Set HARKEN_DATA to the folder that holds it.")
    for name, plot in plots.items():
        plot().savefig(options.folder / f"validation_{name}.png", dpi=100)


if __name__ == "__main__":
    main()
