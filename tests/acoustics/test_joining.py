import numpy as np
import pytest
import trimesh

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.directivity import FirstOrder
from harken.acoustics.fields.joining import crossings, deposit_crossing, diffuse_between, join
from harken.acoustics.fields.pair import trace_pair
from harken.acoustics.fields.regions import build_regions, region_at
from harken.acoustics.measures import decay_time
from harken.acoustics.tracing import TimeBins
from harken.raytracing import kernel, ray_buffer
from harken.scene import AcousticMaterial, Scene

AIR = np.full(7, 1e-3)


def rooms(*boxes, absorption=0.2, scattering=0.5):
    """Solid boxes (lower corner, upper corner) in a room of 8 × 3 × 4 m, whose walls face inwards."""
    room = trimesh.creation.box(bounds=[[0, 0, 0], [8, 3, 4]])
    room.invert()
    mesh = trimesh.util.concatenate([room, *(trimesh.creation.box(bounds=np.array(b, float)) for b in boxes)])
    wall = AcousticMaterial(name="wall", absorption=(absorption,), scattering=(scattering,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(len(mesh.faces), int))


# A wall across the room with a door at its end.
WALL = ([3.9, 0, 0], [4.0, 3, 3]), ([3.9, 2.1, 3], [4.0, 3, 4])


def traced(scene, source, listener, regions, *, rays, seed=0, duration=0.5, **changes):
    engine = FastPropagation(scene, AcousticSettings(duration=duration, seed=seed))
    origin = Source(position=source, **changes)
    arguments = engine._tracing(engine._prepared(origin))
    place = np.asarray(listener, float)
    return trace_pair(scene, origin.position, place, engine._bins, rays=rays, regions=regions, **arguments)


@kernel
def _regions_at(rays, regions, places, out):
    for i, p in enumerate(places):
        out[i] = region_at(rays, ray_buffer(), regions, p[0], p[1], p[2])


def region_in(scene, regions, x, y, z):
    out = np.empty(1, np.int32)
    _regions_at(scene.triangles.kernel_data, regions.kernel_data, np.array([[x, y, z]]), out)
    return int(out[0])


@kernel
def _leave(rays, regions, left, air, before, energy, at, along, departed, mirrors):
    buffer = ray_buffer()
    deposit_crossing(rays, buffer, regions, left, air, 343.0, before, 0.5, energy, at, along, departed, mirrors, 0.5)


def leave(scene, regions, left, air, before, energy, at, along, departed, mirrors):
    """Leave a leg of half a metre."""
    data = scene.triangles.kernel_data, regions.kernel_data
    _leave(*data, left, air, before, energy, at, along, departed, mirrors)


def hall_of(size):
    mesh = trimesh.creation.box(bounds=[[0, 0, 0], size])
    mesh.invert()
    wall = AcousticMaterial(name="wall", absorption=(0.2,), scattering=(0.3,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(12, int))


def decibels(energy, other):
    return 10 * np.log10(energy / other)


def test_regions_hold_all_air_and_no_more():
    scene = rooms(*WALL, ([1, 0, 1], [2, 1, 2]))
    # Places are drawn: 12,000 of 96 m³.
    assert build_regions(scene).volume.sum() == pytest.approx(8 * 3 * 4 - 0.1 * (9 + 0.9) - 1.0, rel=0.02)


def test_a_wall_divides_a_region_and_the_open_door_does_not():
    scene = rooms(*WALL)
    regions = build_regions(scene)

    def of(x, z):
        return region_in(scene, regions, x, 1.0, z)

    assert of(3.7, 1.0) != of(4.2, 1.0)
    assert of(3.7, 3.5) == of(4.2, 3.5)
    assert of(-5.0, 1.0) == -1
    # A centimetre off either side of the wall, places still belong to their own room.
    assert of(3.89, 1.0) == of(3.7, 1.0) and of(4.01, 1.0) == of(4.2, 1.0)


def test_the_sum_over_regions_is_that_of_the_derivation():
    scene = rooms()
    regions = build_regions(scene)
    ends = [crossings(regions, 0.4, 2) for _ in range(2)]
    energy, here, along = np.full(7, 3.0), np.array([1.0, 1.5, 2.0]), np.array([1.0, 0.0, 0.0])
    no_air, departed = np.zeros(7), np.array([0.0, 0.6, 0.8])
    for end, before in zip(ends, (17.15, 18.5), strict=True):
        leave(scene, regions, end, no_air, before, energy, here, along, departed, -1)
    out = np.zeros((1, 7, 4), np.float32)
    # Halves of 17.4 and 18.75 m both lie in the step from 48 to 60 ms, so they meet around 108 ms.
    join(*ends, regions, np.array([0.108]), np.array([0.01]), speed=343.0, out=out)
    volume = regions.volume[region_in(scene, regions, 1.25, 1.5, 2.0)]
    expected = 3 * (3.0 * 0.5 / 0.012) ** 2 / (4 * np.pi * 343.0 * volume) * 0.01
    np.testing.assert_allclose(out[0, :, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(out[0, :, 1:], expected * np.tile(departed, (7, 1)), rtol=1e-5)


def test_mirror_images_are_not_joined_again():
    scene = rooms()
    regions = build_regions(scene)
    here, along, energy = np.array([1.0, 1.5, 2.0]), np.array([1.0, 0.0, 0.0]), np.ones(7)
    for mirrors, other, joined in ((0, 2, False), (1, 1, False), (1, 2, True), (-1, 0, True)):
        ends = [crossings(regions, 0.4, 2) for _ in range(2)]
        for end, met in zip(ends, (mirrors, other), strict=True):
            leave(scene, regions, end, AIR, 17.15, energy, here, along, along, met)
        out = np.zeros((1, 7, 4), np.float32)
        join(*ends, regions, np.array([0.1]), np.array([0.01]), speed=343.0, out=out)
        assert (out[0, :, 0] > 1e-7).all() == joined, (mirrors, other)


@pytest.mark.parametrize("scattering", [0.3, 1.0])
def test_joined_sound_is_what_rays_bring_that_meet_the_listener(scattering):
    scene, source, listener = rooms(*WALL, scattering=scattering), [1.0, 1.5, 1.0], [6.5, 1.2, 2.5]
    joined = traced(scene, source, listener, build_regions(scene), rays=4_000)[:, :, 0]
    met = traced(scene, source, listener, None, rays=20_000)[:, :, 0]
    bins = TimeBins.build(0.5)
    for first, last in ((0.0, 0.1), (0.1, 0.2), (0.2, 0.4)):
        some = slice(*np.searchsorted(bins.edges, [first, last]))
        np.testing.assert_allclose(decibels(joined[some].sum((0, 1)), met[some].sum((0, 1))), 0.0, atol=0.4)


def test_joining_scatters_less_than_meeting_the_listener():
    scene, source, listener = rooms(*WALL), [1.0, 1.5, 1.0], [6.5, 1.2, 2.5]
    regions, late = build_regions(scene), slice(np.searchsorted(TimeBins.build(0.5).edges, 0.25), None)

    def scatter(regions, rays):
        heard = [traced(scene, source, listener, regions, rays=rays, seed=s)[late, 3, 0] for s in range(12)]
        return (np.std(heard, axis=0) / np.mean(heard, axis=0)).mean()

    # As many rays in all, those of both ends followed half as long: 2 × 100, and 200 from one.
    assert scatter(regions, 100) < 0.7 * scatter(None, 200)


def test_sound_comes_from_where_it_arrives_and_not_from_where_it_was_sent():
    # Through a door on the listener's left, +z, when it looks along −x from the second room.
    scene = rooms(*WALL, absorption=0.6)
    energy = traced(scene, [1.0, 1.5, 3.5], [5.0, 1.5, 1.5], build_regions(scene), rays=4_000)
    x, _, z = (energy[:, 3, i].sum() / energy[:, 3, 0].sum() for i in (1, 2, 3))
    assert z > 0.1 and abs(x) < 0.5


def test_a_source_that_faces_away_is_traced_alike_from_both_ends():
    scene = rooms(absorption=0.5)
    pattern = {"directivity": FirstOrder(alpha=0.5), "heading": 1.0}
    joined = traced(scene, [1.0, 1.5, 1.0], [6.0, 1.5, 3.0], build_regions(scene), rays=6_000, **pattern)
    met = traced(scene, [1.0, 1.5, 1.0], [6.0, 1.5, 3.0], None, rays=30_000, **pattern)
    np.testing.assert_allclose(decibels(joined[:, :, 0].sum(0), met[:, :, 0].sum(0)), 0.0, atol=0.25)


def test_the_same_seed_gives_the_same_bytes_and_ends_can_be_swapped():
    scene = rooms(*WALL)
    ends = Source(position=[1.0, 1.5, 1.0]), Listener(position=[6.5, 1.2, 2.5])
    settings = AcousticSettings(duration=0.4, pair_rays=4_000)
    there, again = (FastPropagation(scene, settings).energy(*ends).energy for _ in range(2))
    assert there.tobytes() == again.tobytes()
    swapped = Source(position=ends[1].position), Listener(position=ends[0].position)
    back = FastPropagation(scene, settings).energy(*swapped).energy
    np.testing.assert_allclose(back[:, :, 0], there[:, :, 0], rtol=1e-3, atol=1e-6 * there[:, :, 0].max())


def test_a_hall_joins_later_than_a_room():
    room, hall = (build_regions(hall_of(size)) for size in ([6, 3, 4], [40, 12, 20]))
    assert hall.free_path == pytest.approx(4 * 9600 / 3040, rel=0.02)
    assert diffuse_between(room, 343.0)[0] < 0.07 and diffuse_between(hall, 343.0)[0] > 0.25


def images_of(size, absorption, source, listener, reach):
    """Lengths and levels of all images of a shoebox within a reach, without air; absorption by axis."""
    lengths, kept = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
    for axis in range(3):
        n = np.arange(-int(reach / size[axis]) - 2, int(reach / size[axis]) + 3)
        at = np.where(n % 2 == 0, n * size[axis] + source[axis], (n + 1) * size[axis] - source[axis])
        shape = np.roll([len(n), 1, 1], axis)
        lengths = lengths + ((at - listener[axis]) ** 2).reshape(shape)
        kept = kept * ((1.0 - absorption[axis]) ** np.abs(n)).reshape(shape)
    lengths = np.sqrt(lengths)
    return lengths[lengths < reach], (kept / lengths**2)[lengths < reach]


def test_bare_walls_without_scattering_keep_sound_on_its_axis():
    size, absorption, (source, listener) = (8.0, 3.0, 4.0), (0.1, 0.5, 0.3), ([1.5, 1.4, 1.2], [4.3, 1.25, 3.35])
    mesh = trimesh.creation.box(bounds=[[0, 0, 0], size])
    axis = np.abs(mesh.face_normals).argmax(1)
    mesh.invert()
    walls = tuple(AcousticMaterial(name=f"{a}", absorption=(a,), scattering=(0.0,)) for a in absorption)
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=walls, material=axis)
    lengths, levels = images_of(size, absorption, source, listener, 1.2 * 343.2)
    engine = FastPropagation(scene, AcousticSettings(duration=1.2))
    levels = levels * np.exp(-engine.air.attenuation([1000.0])[0] * lengths)
    exact, _ = np.histogram(lengths / engine.speed, np.arange(0.0, 1.2, 0.001), weights=levels)
    heard = []
    for seed in range(8):
        engine = FastPropagation(scene, AcousticSettings(duration=1.2, seed=seed))
        energy = engine.energy(Source(position=source), Listener(position=listener)).over_time(0.001)[3]
        heard.append(decay_time(energy, 1000, levels=(-5.0, -25.0)))
    expected, error = decay_time(exact, 1000, levels=(-5.0, -25.0)), np.std(heard, ddof=1) / np.sqrt(len(heard))
    # Joined in regions, it would be about half as long.
    assert abs(np.mean(heard) - expected) < 0.03 * expected + 2.0 * error
    assert error < 0.05 * expected
