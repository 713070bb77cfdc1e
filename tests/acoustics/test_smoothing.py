"""Late energy smoothed over cells, and read between them."""

import numpy as np
import pytest
import trimesh

from harken.acoustics.fields.cells import build_cells, cell_at
from harken.acoustics.fields.field import EnergyField, read_field
from harken.acoustics.fields.smoothing import windows_of
from harken.acoustics.tracing import TimeBins
from harken.scene import AcousticMaterial, Scene

BINS = TimeBins.build(0.6)
LATE = (0.03, 0.1)
NEVER = (1.0, 2.0)


@pytest.fixture(scope="module")
def scene():
    """Two rooms of 4 × 4 m with an open door of 1 m between them, at z from 1.5 to 2.5."""
    shell = trimesh.creation.box(bounds=[[0, 0, 0], [8, 3, 4]])
    walls = [trimesh.creation.box(bounds=[[3.95, 0, a], [4.05, 3, b]]) for a, b in ((0, 1.5), (2.5, 4))]
    mesh = trimesh.util.concatenate([shell, *walls])
    wall = AcousticMaterial(name="wall", absorption=(0.1,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(len(mesh.faces), int))


@pytest.fixture(scope="module")
def grid(scene):
    x, z = np.arange(0.25, 8, 0.5), np.arange(0.25, 4, 0.5)
    return build_cells(scene.triangles, np.stack(np.meshgrid(x, [1.5], z), -1).reshape(-1, 3))


def decay(grid, level, time):
    """Energies that fall by 60 dB in a time [s] from a level [dB], each ``(cells,)``."""
    energy = np.zeros((len(grid.anchors), len(BINS.widths), 7, 4), np.float32)
    curve = 10 ** (np.asarray(level)[:, None] / 10 - 6 * BINS.centres / np.asarray(time)[:, None]) * BINS.widths
    energy[..., 0] = curve[:, :, None]
    return energy


def smoothed(energy, grid):
    return EnergyField(grid=grid, bins=BINS, traced=energy, escaped=0.0, late=LATE).energy


def decibels(energy):
    return 10 * np.log10(energy[:, BINS.centres > 0.1, 3, 0].sum(1))


def test_each_room_keeps_its_level_and_decay_beside_an_open_door(grid):
    left = grid.anchors[:, 0] < 4
    energy = decay(grid, np.where(left, 0.0, -10.0), np.where(left, 1.0, 0.3))
    smooth = smoothed(energy, grid)
    # A mean over cells in sight would be 5 dB too loud beside the door. Levels are means over 0.55 m: the cells that
    # touch the plane of the door have something of both rooms.
    inside = np.abs(grid.anchors[:, 0] - 4) > 0.5
    np.testing.assert_allclose(decibels(smooth)[inside], decibels(energy)[inside], atol=0.5)


def test_a_slope_of_level_within_a_room_remains(grid):
    slope = -3.0 * grid.anchors[:, 0]
    energy = decay(grid, slope, np.full(len(slope), 0.5))
    smooth = decibels(smoothed(energy, grid))
    inside = (grid.anchors[:, 0] > 1) & (np.abs(grid.anchors[:, 0] - 4) > 1) & (grid.anchors[:, 0] < 7)
    np.testing.assert_allclose(smooth[inside], decibels(energy)[inside], atol=0.5)


def test_a_slope_of_level_goes_on_up_to_the_walls(grid):
    x, _, z = grid.anchors.T
    energy = decay(grid, -4.0 * x - 2.0 * z, np.full(len(x), 0.5))
    smooth = decibels(smoothed(energy, grid))
    corners = ((x < 0.5) | (x > 7.5)) & ((z < 0.5) | (z > 3.5))
    # The cells around a corner lie on one side of it: with their mean for a level, it would be up to 1 dB off.
    assert corners.sum() == 4
    np.testing.assert_allclose(smooth[corners], decibels(energy)[corners], atol=0.35)


def test_levels_that_keep_their_shape_are_told_by_all_windows(grid):
    rng = np.random.default_rng(3)
    x = grid.anchors[:, 0]
    energy = decay(grid, np.where(x < 4, 0.0, -6.0) - 2.0 * np.abs(x - 4), np.full(len(x), 0.6))
    factors = rng.gamma(6.0, 1.0 / 6.0, (len(x), windows_of(BINS)[-1] + 1)).astype(np.float32)
    noisy = energy * factors[:, windows_of(BINS)][:, :, None, None]
    expected, inside = energy[:, :, 3, 0], np.abs(x - 4) > 0.5
    spread = []
    for end in (0.12, 0.24, 0.48):
        some = (BINS.centres > max(end / 2, LATE[1])) & (BINS.centres < end)
        heard = smoothed(noisy, grid)[:, :, 3, 0]
        error = 10 * np.log10(heard[:, some].sum(1) / expected[:, some].sum(1))
        spread.append(error[inside].std())
    # 0.77 dB if every window told its own levels.
    assert max(spread) < 0.6


def test_noise_is_averaged_where_levels_do_not_differ(grid):
    rng = np.random.default_rng(0)
    even = decay(grid, np.zeros(len(grid.anchors)), np.full(len(grid.anchors), 0.8))
    noisy = even * rng.gamma(10.0, 0.1, even.shape[:2])[:, :, None, None].astype(np.float32)
    smooth = smoothed(noisy, grid)
    late = BINS.centres > 0.1
    before, after = (np.std(e[:, late, 3, 0] / even[:, late, 3, 0]) for e in (noisy, smooth))
    assert before == pytest.approx(10**-0.5, rel=0.05)
    assert after < 0.3 * before


def test_early_energy_is_left_alone(grid):
    energy = decay(grid, np.random.default_rng(1).normal(0, 3, len(grid.anchors)), np.full(len(grid.anchors), 0.5))
    smooth = smoothed(energy, grid)
    early = BINS.centres < LATE[0]
    np.testing.assert_array_equal(smooth[:, early], energy[:, early])


def test_windows_double_and_cover_all_bins():
    windows = windows_of(BINS)
    assert windows[0] == 0 and (np.diff(windows) >= 0).all() and (np.diff(windows) <= 1).all()
    for time, window in ((0.02, 0), (0.05, 1), (0.1, 2), (0.2, 3), (0.4, 4)):
        assert windows[np.searchsorted(BINS.edges, time) - 1] == window


def test_reading_between_cells_is_linear(scene, grid):
    energy = decay(grid, np.zeros(len(grid.anchors)), np.full(len(grid.anchors), 0.5))
    ramp = (1.0 + grid.anchors[:, 0]).astype(np.float32)
    field = EnergyField(grid=grid, bins=BINS, traced=energy * ramp[:, None, None, None], escaped=0.0, late=NEVER)
    for x in (1.25, 1.4, 1.5, 1.65):
        heard = read_field(scene, field, np.array([x, 1.5, 2.1]))
        np.testing.assert_allclose(heard[:, 3, 0] / energy[0, :, 3, 0], 1.0 + x, rtol=2e-3)


def test_a_listener_in_a_corner_reads_the_cell_that_it_sees(scene, grid):
    energy = decay(grid, np.zeros(len(grid.anchors)), np.full(len(grid.anchors), 0.5))
    field = EnergyField(grid=grid, bins=BINS, traced=energy, escaped=0.0, late=NEVER)
    heard = read_field(scene, field, np.array([0.02, 1.72, 0.02]))
    corner = cell_at(grid, [0.25, 1.5, 0.25])
    np.testing.assert_allclose(heard[:, 3, 0], energy[corner, :, 3, 0], rtol=1e-3)


def test_cells_are_smoothed_alike_whenever_they_are_read(scene, grid):
    rng = np.random.default_rng(2)
    energy = decay(grid, rng.normal(0, 2, len(grid.anchors)), np.full(len(grid.anchors), 0.5))
    fields = [EnergyField(grid=grid, bins=BINS, traced=energy, escaped=0.0) for _ in range(2)]
    places = rng.uniform([0.5, 1.5, 0.5], [7.5, 1.5, 3.5], (20, 3))
    heard = [read_field(scene, fields[0], place) for place in places]
    assert fields[1].energy.shape == energy.shape  # smooths all cells
    for place, other in zip(places[::-1], heard[::-1], strict=True):
        np.testing.assert_array_equal(read_field(scene, fields[1], place), other)
