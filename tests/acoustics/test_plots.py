import subprocess
import sys
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import trimesh

from harken.acoustics.measures import decay_curve, room_measures
from harken.acoustics.plots import plot_energy, plot_measures, plot_paths, plot_plan, plot_response
from harken.acoustics.protocol import ImpulseResponse, SoundPath
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

RATE = 16_000


def decaying(time: float = 0.4, channels: int = 2) -> ImpulseResponse:
    """Noise that decays by 60 dB in some time."""
    rng, n = np.random.default_rng(0), round(1.2 * time * RATE)
    envelope = 10.0 ** (-3.0 * np.arange(n) / (time * RATE))
    return ImpulseResponse(samples=(rng.standard_normal((channels, n)) * envelope).astype(np.float32), rate=RATE)


def some_paths() -> list[SoundPath]:
    source, listener, wall = np.array([1.0, 1.5, 1.0]), np.array([4.0, 1.5, 1.0]), np.array([2.5, 1.5, 0.0])
    bent = [source, np.array([2.5, 1.0, 2.0]), listener]
    ways = [("direct", [source, listener]), ("specular", [source, wall, listener]), ("diffracted", bent)]
    paths = []
    for kind, points in ways:
        length = float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum())
        energy = np.linspace(1.0, 0.5, len(OCTAVE_BANDS)) / length**2
        paths.append(SoundPath(kind=kind, points=np.array(points), length=length, energy=energy))
    return paths


def room() -> Scene:
    mesh = trimesh.creation.box(bounds=[(0, 0, 0), (5, 3, 4)])
    wall = AcousticMaterial(name="wall", absorption=(0.2,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(12, int))


def drawn(figure) -> bytes:
    """The picture; fails on anything that cannot be drawn."""
    out = BytesIO()
    figure.savefig(out, format="png", dpi=60)
    return out.getvalue()


def test_a_response_is_drawn_with_the_decay_of_its_energy():
    response = decaying()
    figure = plot_response(response)
    pressure, decay = figure.axes
    assert [line.get_label() for line in pressure.lines] == ["left", "right"]
    np.testing.assert_array_equal(pressure.lines[1].get_ydata(), response.samples[1])
    assert [line.get_label() for line in decay.lines] == [f"{b:g} Hz" for b in OCTAVE_BANDS[:6]] + ["all"]
    whole = decay.lines[-1]
    np.testing.assert_allclose(whole.get_ydata(), decay_curve(np.square(response.samples, dtype=float).sum(0), RATE))
    # 60 dB in 0.4 s.
    assert np.interp(0.2, whole.get_xdata(), whole.get_ydata()) == pytest.approx(-30.0, abs=1.0)
    assert drawn(figure).startswith(b"\x89PNG")
    assert len(plot_response(decaying(channels=1), bands=(500.0,)).axes[1].lines) == 2


def test_paths_are_drawn_at_their_delays_and_levels():
    paths = some_paths()
    figure = plot_paths(paths, speed=343.2, band=1000.0)
    (axes,) = figure.axes
    heads = {line.get_label().split()[0]: line.get_xydata() for line in axes.lines}
    assert set(heads) == {"direct", "specular", "diffracted"}
    for path in paths:
        ((delay, level),) = heads[path.kind]
        assert delay == pytest.approx(1e3 * path.length / 343.2)
        assert level == pytest.approx(10 * np.log10(path.energy[3]))
    assert drawn(figure)
    # A path without energy has no level, and is left out.
    silent = replace(paths[1], energy=np.zeros(len(OCTAVE_BANDS)))
    assert len(plot_paths([paths[0], silent]).axes[0].lines) == 1


def test_a_plan_shows_the_walls_and_every_path():
    figure = plot_plan(room(), some_paths())
    (axes,) = figure.axes
    corners = np.concatenate(axes.collections[0].get_segments())
    np.testing.assert_allclose([corners.min(0), corners.max(0)], [(0, 0), (5, 4)], atol=1e-6)
    lines = {line.get_label(): line.get_xydata() for line in axes.lines}
    assert set(lines) == {"direct", "specular", "diffracted", "source", "listener"}
    np.testing.assert_allclose(lines["specular"], [(1, 1), (2.5, 0), (4, 1)])
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "-z is up"
    assert drawn(figure)


def test_energies_are_drawn_in_decibels_with_gaps_where_there_is_none():
    energy = np.tile(10.0 ** (-np.arange(50) / 10), (len(OCTAVE_BANDS), 1))
    energy[0, :3] = 0.0
    figure = plot_energy(energy, 100.0, error=0.1 * energy)
    (axes,) = figure.axes
    assert len(axes.lines) == len(axes.collections) == len(OCTAVE_BANDS)
    times, levels = axes.lines[0].get_data()
    assert times[0] == pytest.approx(0.005)
    assert np.isnan(levels[:3]).all()
    np.testing.assert_allclose(levels[3:], -np.arange(3, 50))
    assert drawn(figure)


def test_measures_are_drawn_per_band_with_noticeable_differences():
    one, other = (room_measures(decaying(time, 1).samples[0], RATE) for time in (0.4, 0.6))
    figure = plot_measures({"near": one, "far": other})
    assert len(figure.axes) == 8
    decay = next(axes for axes in figure.axes if axes.get_title() == "T30 [s]")
    line, _, (bars,) = decay.containers[0]
    np.testing.assert_allclose(line.get_ydata(), one.t30)
    low, high = np.array(bars.get_segments())[:, :, 1].T
    np.testing.assert_allclose(high - low, 0.05 * one.t30)
    assert drawn(figure)
    assert len(plot_measures(one).axes[0].containers) == 1


def test_matplotlib_is_loaded_when_something_is_drawn_and_no_window_opens():
    code = (
        "import sys, harken.acoustics.plots as plots, numpy as np\n"
        "assert 'matplotlib' not in sys.modules\n"
        "plots.plot_energy(np.ones((7, 5)), 100.0)\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: plot_paths([]), SoundError, "no path"),
        (lambda: plot_paths(some_paths(), band=300.0), SoundError, "300"),
        (lambda: plot_plan(room(), []), SoundError, "no path"),
        (lambda: plot_energy(np.ones((3, 10)), 100.0), SoundError, "one row per octave band"),
        (lambda: plot_energy(np.ones(10), 100.0), SoundError, "one row per octave band"),
        (lambda: plot_energy(np.zeros((7, 10)), 100.0), SoundError, "zero everywhere"),
        (lambda: plot_energy(np.full((7, 10), np.nan), 100.0), SoundError, "NaN"),
        (lambda: plot_energy(np.ones((7, 10)), 100.0, error=np.ones((7, 9))), SoundError, "error"),
        (lambda: plot_measures({}), SoundError, "empty"),
        (lambda: plot_response(replace(decaying(), samples=np.zeros((1, 99)))), SoundError, "silent"),
        (lambda: plot_response(decaying(), bands=(8_000.0,)), ConfigurationError, "sampling rate"),
    ],
)
def test_what_cannot_be_drawn_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
