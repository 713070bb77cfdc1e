import numpy as np
import pytest
import trimesh

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.fields.cells import build_cells, cell_at
from harken.acoustics.fields.field import read_field, trace_field
from harken.acoustics.tracing import TimeBins
from harken.scene import AcousticMaterial, Scene

SIZE = np.array([8.0, 3.0, 6.0])
SILENT_AIR = np.zeros(7)


def box_scene(absorption, *, scattering=1.0, size=SIZE, inward=False):
    box = trimesh.creation.box(extents=size)
    box.apply_translation(size / 2)
    if inward:
        box.invert()
    wall = AcousticMaterial(name="wall", absorption=(absorption,), scattering=(scattering,))
    return Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(12, int))


def ears_in_box(size=SIZE, spacing=0.25):
    x, z = np.arange(spacing, size[0], spacing), np.arange(spacing, size[2], spacing)
    return np.stack(np.meshgrid(x, [1.5], z), -1).reshape(-1, 3)


def decay_time(energy, edges, low=-5.0, high=-25.0):
    level = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-30)
    at = (level <= low) & (level >= high)
    return -60.0 / np.polyfit(edges[:-1][at], level[at], 1)[0]


def kuttruff_time(absorption, size=SIZE, c=343.0):
    """Kuttruff (Room Acoustics, eq. 5.23): Eyring corrected by the variance of path lengths, 0.4 for such boxes."""
    volume, surface = size.prod(), 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    a = -np.log(1 - absorption)
    return 24 * np.log(10) / c * volume / (surface * a * (1 - 0.4 * a / 2))


@pytest.mark.parametrize("absorption", [0.1, 0.2, 0.4])
def test_boxes_with_diffuse_walls_decay_within_five_percent_of_theory(absorption):
    scene = box_scene(absorption)
    bins = TimeBins.build(2.5 * kuttruff_time(absorption))
    grid = build_cells(scene.triangles, ears_in_box())
    field = trace_field(scene, np.array([2, 1.5, 3]), grid, bins, rays=3000, seed=0, air=SILENT_AIR, speed=343.0)
    time = decay_time(field.energy[:, :, 3, 0].mean(0), bins.edges)
    assert time == pytest.approx(kuttruff_time(absorption), rel=0.05)


@pytest.mark.parametrize("absorption", [0.1, 0.3, 0.6])
def test_the_reverberant_level_is_that_of_the_diffuse_field(absorption):
    scene = box_scene(absorption)
    bins = TimeBins.build(4.0 * kuttruff_time(absorption))
    grid = build_cells(scene.triangles, ears_in_box())
    field = trace_field(scene, np.array([2, 1.5, 3]), grid, bins, rays=3000, seed=0, air=SILENT_AIR, speed=343.0)
    surface = 2 * (8 * 3 + 3 * 6 + 8 * 6)
    # A source of power 4π in a room of absorption area A: 4·4π·(1 − α)/A, relative to 1 at 1 m in the free field.
    expected = 16 * np.pi * (1 - absorption) / (surface * absorption)
    assert field.energy[:, :, 3, 0].sum(1).mean() == pytest.approx(expected, rel=0.05)


def test_energy_is_conserved_however_the_faces_are_wound():
    bins, source = TimeBins.build(0.5), np.array([2, 1.5, 3])
    fields = []
    for inward in (False, True):
        scene = box_scene(0.2, inward=inward)
        grid = build_cells(scene.triangles, ears_in_box())
        fields.append(trace_field(scene, source, grid, bins, rays=500, seed=0, air=SILENT_AIR, speed=343.0))
        assert fields[-1].escaped == 0.0
    np.testing.assert_allclose(fields[0].energy, fields[1].energy, rtol=1e-3, atol=1e-6)


def test_a_field_points_to_where_the_energy_comes_from():
    size = np.array([20.0, 3.0, 3.0])
    scene = box_scene(0.5, size=size)
    grid = build_cells(scene.triangles, ears_in_box(size))
    bins = TimeBins.build(0.3)
    field = trace_field(scene, np.array([1, 1.5, 1.5]), grid, bins, rays=20_000, seed=0, air=SILENT_AIR, speed=343.0)
    far = read_field(scene, field, np.array([15.0, 1.5, 1.5]))
    energy, x = far[:, 3, 0].sum(), far[:, 3, 1].sum()
    assert x < -0.3 * energy, "down a long corridor the energy arrives from the source's end, −x"


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    scene, bins = box_scene(0.3), TimeBins.build(0.3)
    grid = build_cells(scene.triangles, ears_in_box())
    one, same, other = (
        trace_field(scene, np.array([2, 1.5, 3]), grid, bins, rays=300, seed=seed, air=SILENT_AIR, speed=343.0)
        for seed in (7, 7, 8)
    )
    assert one.energy.tobytes() == same.energy.tobytes()
    assert one.energy.tobytes() != other.energy.tobytes()


def test_a_cell_cut_by_a_wall_counts_only_the_air_on_its_anchors_side():
    size = np.array([4.0, 3.0, 4.0])
    shell = trimesh.creation.box(extents=size)
    shell.apply_translation(size / 2)
    wall = trimesh.creation.box(extents=[0.1, 3.0, 4.0])
    wall.apply_translation([2.2, 1.5, 2.0])
    mesh = trimesh.util.concatenate([shell, wall])
    hard = AcousticMaterial(name="hard", absorption=(0.1,))
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(hard,), material=np.zeros(len(mesh.faces), int))
    grid = build_cells(scene.triangles, np.array([[2.05, 1.5, 1.3], [2.6, 1.5, 1.3]]))
    bins = TimeBins.build(0.4)
    field = trace_field(scene, np.array([0.5, 1.5, 1.0]), grid, bins, rays=2000, seed=0, air=SILENT_AIR, speed=343.0)
    near, behind = cell_at(grid, [2.05, 1.5, 1.3]), cell_at(grid, [2.6, 1.5, 1.3])
    assert grid.volume[near] < 0.6 * 0.125, "the wall stands in this cell"
    assert field.energy[near, :, 3, 0].sum() > 0.1
    assert field.energy[behind].max() == 0.0, "a wall that transmits nothing lets nothing through"


def test_sound_passes_through_a_wall_only_where_transmission_is_on():
    size = np.array([6.0, 3.0, 4.0])
    shell = trimesh.creation.box(extents=size).apply_translation(size / 2)
    wall = trimesh.creation.box(extents=[0.1, 3.0, 4.0]).apply_translation([3.0, 1.5, 2.0])
    mesh = trimesh.util.concatenate([shell, wall])
    thin = AcousticMaterial(name="thin", absorption=(0.2,), transmission=(0.05,))
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(thin,), material=np.zeros(len(mesh.faces), int))
    levels = []
    for transmission in (True, False):
        settings = AcousticSettings(rays=1000, duration=0.5, transmission=transmission)
        engine = FastPropagation(scene, settings)
        heard = engine.impulse_response(Source(position=[1, 1.5, 1]), Listener(position=[5, 1.5, 3])).samples
        levels.append(float(np.sum(heard**2)))
    assert levels[0] > 0.0
    assert levels[1] == 0.0


def test_air_shortens_the_decay_at_high_frequencies():
    scene = box_scene(0.05)
    engine = FastPropagation(scene, AcousticSettings(duration=1.5, rays=500), ears=ears_in_box())
    field = engine.field(Source(position=[2, 1.5, 3]))
    edges = field.bins.edges
    low, high = (decay_time(field.energy[:, :, band, 0].mean(0), edges) for band in (1, 6))
    assert high < 0.7 * low


def test_responses_do_not_depend_on_what_was_asked_before():
    scene, settings = box_scene(0.3), AcousticSettings(duration=0.3, rays=300, cached_megabytes=5.0)
    sources = [Source(position=[x, 1.5, 3]) for x in (1, 2, 3, 4)]
    listener = Listener(position=[6, 1.5, 2], heading=0.4)
    fresh = [
        FastPropagation(scene, settings, ears=ears_in_box()).impulse_response(s, listener).samples for s in sources
    ]
    used = FastPropagation(scene, settings, ears=ears_in_box())
    for order in ([3, 1, 0, 2], [0, 1, 2, 3], [2, 2, 0, 1]):
        for i in order:
            assert used.impulse_response(sources[i], listener).samples.tobytes() == fresh[i].tobytes()


def test_a_listener_just_beyond_the_outermost_cell_reads_the_field():
    scene, source = box_scene(0.3), Source(position=(2, 1.5, 3))
    settings = AcousticSettings(rays=500, pair_rays=50)
    engine = FastPropagation(scene, settings, ears=ears_in_box((3.99, 3.0, 6.0)))
    inside, beyond, far = (engine.energy(source, Listener(position=(x, 1.5, 2.0))) for x in (3.99, 4.06, 4.6))
    assert (inside.rays, beyond.rays, far.rays) == (500, 500, 50)
    assert 10 * np.log10(beyond.energy.sum() / inside.energy.sum()) == pytest.approx(0.0, abs=0.3)
