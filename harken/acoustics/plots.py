"""Plots of results: responses, paths, energies over time and room measures.

Each function takes the data and returns a `matplotlib.figure.Figure` without a window or global state: save it with
``figure.savefig("plot.png")``, or let a notebook show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np

from harken.acoustics.measures import JUST_NOTICEABLE_DIFFERENCES, RoomMeasures, band_energies, decay_curve
from harken.acoustics.protocol import PATH_KINDS, ImpulseResponse, SoundPath
from harken.errors import SoundError
from harken.scene import OCTAVE_BANDS, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_energy", "plot_measures", "plot_paths", "plot_plan", "plot_response"]

FLOOR = -80.0
"""Level below the greatest one down to which decays and energies are drawn [dB]."""

KIND_COLORS = dict(zip(PATH_KINDS, ("#c1272d", "#7f7f7f", "#e08a00", "#1f5fa8"), strict=True))
"""Colour of each kind of path."""

LABELS = {
    "edt": "EDT [s]",
    "t20": "T20 [s]",
    "t30": "T30 [s]",
    "c50": "C50 [dB]",
    "c80": "C80 [dB]",
    "d50": "D50",
    "centre_time": "centre time [s]",
    "strength": "strength G [dB]",
}
"""Names of the measures on axes."""

RELATIVE = ("edt", "t20", "t30")
"""Measures whose just-noticeable difference is a share of the value."""


def plot_response(response: ImpulseResponse, bands: Sequence[float] | None = None) -> "Figure":
    """Plot an impulse response and its energy decay curves.

    Args:
        response: The response.
        bands: Octave bands of the decay curves [Hz]; None takes those that lie wholly below the Nyquist frequency.

    Returns:
        Two panels over time: the pressure of every channel, and per band the energy still to come (Schroeder 1965),
        summed over the channels, in decibels below all of it.

    Raises:
        SoundError: The response is silent.
        ConfigurationError: A band reaches beyond the Nyquist frequency.
    """
    samples, rate = np.asarray(response.samples, np.float64), response.rate
    if bands is None:
        bands = [band for band in OCTAVE_BANDS if band * np.sqrt(2.0) <= 0.5 * rate]
    whole = decay_curve(np.square(samples).sum(0), rate)
    curves = decay_curve(band_energies(samples, rate, bands).sum(-2), rate)
    figure, (above, below) = _figure(2, 1, size=(8.0, 6.0))
    times = np.arange(samples.shape[-1]) / rate
    names = ("left", "right") if len(samples) == 2 else [f"channel {c}" for c in range(len(samples))]
    for name, channel in zip(names, samples, strict=True):
        above.plot(times, channel, lw=0.6, alpha=0.8, label=name if len(samples) > 1 else None)
    above.set(ylabel="pressure re free field at 1 m", xlim=(0.0, response.duration))
    for color, band, curve in zip(_band_colors(bands), bands, curves, strict=True):
        below.plot(times, curve, color=color, lw=1.0, label=f"{band:g} Hz")
    below.plot(times, whole, "k", lw=1.4, label="all")
    below.set(xlabel="time [s]", ylabel="energy to come [dB]", xlim=(0.0, response.duration), ylim=(FLOOR, 3.0))
    if len(samples) > 1:
        above.legend(fontsize=8, loc="upper right", ncols=1 + len(samples) // 8)
    below.legend(fontsize=8, loc="upper right", ncols=2)
    return figure


def plot_paths(paths: Sequence[SoundPath], speed: float = 343.2, band: float | None = None) -> "Figure":
    """Plot the exact paths from a source to a listener: when they arrive, how loud, and of which kind.

    Args:
        paths: The paths, such as `ImpulseResponse.paths`.
        speed: Speed of sound [m/s].
        band: Octave band whose level is drawn [Hz]; None takes the mean energy of all bands.

    Returns:
        One panel: delay against level, relative to the direct sound at 1 m.

    Raises:
        SoundError: There are no paths, none carries energy, or they have no such band.
    """
    columns = _band_columns(paths, band)
    energies = np.array([np.mean(path.energy[columns]) for path in paths])
    if not energies.max(initial=0.0) > 0.0:
        raise SoundError("There is no path that carries energy, so there is nothing to plot.")
    levels = 10.0 * np.log10(np.maximum(energies, 1e-30))
    bottom = max(levels.max() + FLOOR, levels[energies > 0].min()) - 5.0
    figure, (axes,) = _figure(1, 1, size=(8.0, 4.0))
    for kind in PATH_KINDS:
        mine = [i for i, path in enumerate(paths) if path.kind == kind and levels[i] >= bottom]
        delays = [1e3 * paths[i].length / speed for i in mine]
        if mine:
            axes.vlines(delays, bottom, levels[mine], color=KIND_COLORS[kind], lw=1.2, alpha=0.7)
            axes.plot(delays, levels[mine], "o", color=KIND_COLORS[kind], ms=5, label=f"{kind} ({len(mine)})")
    name = "mean of the bands" if band is None else f"{band:g} Hz"
    axes.set(xlabel="delay [ms]", ylabel=f"level re 1 m, {name} [dB]", xlim=(0.0, None), ylim=(bottom, None))
    axes.legend(fontsize=8)
    return figure


def plot_plan(scene: Scene, paths: Sequence[SoundPath], height: float | None = None) -> "Figure":
    """Plot paths on a plan: the scene cut at a height, seen from above.

    Args:
        scene: The scene.
        paths: The paths, such as `ImpulseResponse.paths`; the louder, the broader the line.
        height: Where the scene is cut, y [m]; None takes that of the listener's ears.

    Returns:
        One panel: x to the right, −z upwards.

    Raises:
        SoundError: There are no paths, or none carries energy.
    """
    from matplotlib.collections import LineCollection

    energies = np.array([np.mean(path.energy) for path in paths])
    if not energies.max(initial=0.0) > 0.0:
        raise SoundError("There is no path that carries energy, so there is nothing to plot.")
    figure, (axes,) = _figure(1, 1, size=(7.0, 7.0))
    listener = paths[0].points[-1]
    cuts = _cut(scene, float(listener[1]) if height is None else height)
    axes.add_collection(LineCollection(list(cuts), colors="0.25", linewidths=1.2, zorder=1))
    levels = 10.0 * np.log10(np.maximum(energies, 1e-30) / energies.max())
    named: set[str] = set()
    for i in np.argsort(levels):
        path = paths[i]
        if levels[i] > FLOOR:
            label = None if path.kind in named else path.kind
            named.add(path.kind)
            width = 0.6 + 2.4 * max(0.0, 1.0 + levels[i] / 40.0)
            axes.plot(*path.points[:, [0, 2]].T, color=KIND_COLORS[path.kind], lw=width, alpha=0.7, label=label)
    source = paths[0].points[0]
    for place, marker, name in ((source, "*", "source"), (listener, "o", "listener")):
        axes.plot(place[0], place[2], marker, color="k", ms=11 if marker == "*" else 7, ls="", label=name, zorder=4)
    axes.autoscale_view()
    axes.set(xlabel="x [m]", ylabel="z [m]", aspect="equal")
    axes.invert_yaxis()
    axes.legend(fontsize=8, loc="best")
    return figure


def plot_energy(
    energy: np.ndarray, rate: float, bands: Sequence[float] = OCTAVE_BANDS, error: np.ndarray | None = None
) -> "Figure":
    """Plot a histogram of energy over time, one line per octave band.

    Args:
        energy: ``(bands, n)`` energy per bin, such as `EnergyResponse.energy` or `EnergyHistogram.over_time`.
        rate: Bins per second [Hz].
        bands: Centre frequencies [Hz].
        error: ``(bands, n)`` standard errors, drawn as shades, or None.

    Returns:
        One panel: time against energy per bin in decibels; bins without energy are gaps.

    Raises:
        SoundError: The shapes do not fit, a value is negative or not finite, or there is no energy.
    """
    energy = np.asarray(energy, np.float64)
    spread = np.zeros_like(energy) if error is None else np.asarray(error, np.float64)
    if energy.ndim != 2 or len(energy) != len(bands) or spread.shape != energy.shape:
        raise SoundError(
            f"Energy has shape {energy.shape} and its error {spread.shape}; expected ({len(bands)}, n), one row per "
            "octave band."
        )
    if not (np.isfinite(energy).all() and np.isfinite(spread).all() and (energy >= 0).all() and energy.max() > 0):
        raise SoundError("Energy to plot has negative or infinite values, NaN, or is zero everywhere.")
    figure, (axes,) = _figure(1, 1, size=(8.0, 4.5))
    times = (np.arange(energy.shape[1]) + 0.5) / rate
    top = 10.0 * np.log10(energy.max())
    for color, band, values, around in zip(_band_colors(bands), bands, energy, spread, strict=True):
        level = _level(values)
        axes.step(times, level, where="mid", color=color, lw=0.9, label=f"{band:g} Hz")
        if error is not None:
            low, high = (np.nan_to_num(_level(np.maximum(values + s * around, 0.0)), nan=-300.0) for s in (-1, 1))
            axes.fill_between(times, low, high, step="mid", color=color, alpha=0.25, lw=0)
    axes.set(xlabel="time [s]", ylabel=f"energy per {1e3 / rate:g} ms [dB]", xlim=(0.0, times[-1]))
    axes.set_ylim(top + FLOOR, top + 3.0)
    axes.legend(fontsize=8, ncols=2)
    return figure


def plot_measures(measures: RoomMeasures | Mapping[str, RoomMeasures]) -> "Figure":
    """Plot the measures of ISO 3382-1 per octave band, with bars as long as the just-noticeable difference.

    Args:
        measures: What was measured, or several by name, to compare. Of several channels the mean is drawn.

    Returns:
        One panel per measure: half a just-noticeable difference on either side of each value.

    Raises:
        SoundError: There is nothing to plot.
    """
    rooms = measures if isinstance(measures, Mapping) else {"": measures}
    if not rooms:
        raise SoundError("There are no measures to plot: the mapping is empty.")
    names = [field.name for field in fields(RoomMeasures) if field.name != "bands"]
    figure, panels = _figure(2, (len(names) + 1) // 2, size=(11.0, 5.5))
    for axes, name in zip(panels, names, strict=False):
        for label, room in rooms.items():
            values = np.asarray(getattr(room, name), np.float64)
            values = values.reshape(len(room.bands), -1).mean(1)
            noticeable = JUST_NOTICEABLE_DIFFERENCES[name] * (values if name in RELATIVE else 1.0)
            axes.errorbar(room.bands, values, yerr=0.5 * noticeable, fmt="o-", ms=3.5, lw=1, capsize=2, label=label)
        axes.set_xscale("log")
        axes.set_xticks(next(iter(rooms.values())).bands, [f"{b:g}" for b in next(iter(rooms.values())).bands])
        axes.tick_params(axis="x", labelsize=7, which="major")
        axes.minorticks_off()
        axes.set_title(LABELS[name], fontsize=10)
        if name in RELATIVE:
            axes.set_ylim(bottom=0.0)
    if "" not in rooms:
        panels[0].legend(fontsize=8)
    figure.supxlabel("octave band [Hz]", fontsize=9)
    return figure


def _figure(rows: int, columns: int, size: tuple[float, float]) -> "tuple[Figure, list[Axes]]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels:
        axes.grid(alpha=0.3)
    return figure, panels


def _band_colors(bands: Sequence[float]) -> np.ndarray:
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0.0, 0.92, len(bands)))


def _level(energy: np.ndarray) -> np.ndarray:
    """Decibels of energies, NaN for none."""
    return 10.0 * np.log10(np.where(energy > 0, energy, np.nan))


def _band_columns(paths: Sequence[SoundPath], band: float | None) -> slice | int:
    """Index of a band in the energies of paths."""
    if band is None:
        return slice(None)
    if band not in OCTAVE_BANDS or any(len(path.energy) != len(OCTAVE_BANDS) for path in paths):
        raise SoundError(f"The paths have no octave band of {band!r} Hz; expected one of {OCTAVE_BANDS}.")
    return OCTAVE_BANDS.index(band)


def _cut(scene: Scene, height: float) -> np.ndarray:
    """Return the lines ``(n, 2, 2)`` (x, z) in which a horizontal plane cuts a scene's triangles."""
    corners = scene.vertices[scene.faces] + scene.origin
    above = corners[:, :, 1] > height
    crossed = corners[above.any(1) & ~above.all(1)]
    lines = np.empty((len(crossed), 2, 2))
    for line, triangle in zip(lines, crossed, strict=True):
        ends = [
            a + (b - a) * (height - a[1]) / (b[1] - a[1])
            for a, b in zip(triangle, np.roll(triangle, -1, 0), strict=True)
            if (a[1] > height) != (b[1] > height)
        ]
        line[:] = np.array(ends)[:, [0, 2]]
    return lines
