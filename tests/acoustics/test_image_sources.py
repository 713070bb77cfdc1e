import itertools

import numpy as np
import pytest
import trimesh
from scipy.stats import norm

from harken.acoustics.paths import image_sources
from harken.acoustics.paths.facets import Facets
from harken.acoustics.paths.image_sources import ImageSources
from harken.errors import ConfigurationError, SoundError
from harken.scene import AcousticMaterial, Scene, generate_home

SIZE = np.array([6.0, 3.0, 5.0])
SOURCE, LISTENER = np.array([1.31, 1.63, 1.17]), np.array([4.13, 1.22, 3.71])
AIR = np.array([1, 2, 4, 8, 16, 32, 64]) * 1e-4
WALLS = tuple(
    AcousticMaterial(
        name=f"wall {i}",
        absorption=tuple(0.05 + 0.1 * i + 0.02 * np.arange(7)),
        scattering=tuple(0.02 * i + 0.05 * np.arange(7)),
    )
    for i in range(6)
)
"""Six materials that differ in every band: of the walls x = 0, x = X, y = 0, y = Y, z = 0, z = Z."""

L_OUTLINE = np.array([[0.0, 0.0], [6.0, 0.0], [6.0, 2.5], [2.5, 2.5], [2.5, 5.0], [0.0, 5.0]])
"""Corners (x, z) of an L-shaped room 3 m high."""


PLANES = [(0, 0.0), (0, 6.0), (0, 2.5), (2, 0.0), (2, 5.0), (2, 2.5), (1, 0.0), (1, 3.0)]
"""Planes of the L-shaped room: axis and position."""


def scene_of(mesh, materials=WALLS, material=None):
    material = np.zeros(len(mesh.faces), int) if material is None else material
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=materials, material=material)


def box_mesh(lower, upper, subdivisions=0):
    box = trimesh.creation.box(bounds=[lower, upper])
    for _ in range(subdivisions):
        box = box.subdivide()
    return box


def box_room(subdivisions=0, size=SIZE):
    box = box_mesh(np.zeros(3), size, subdivisions)
    axis = np.abs(box.face_normals).argmax(1)
    return scene_of(box, material=2 * axis + (box.face_normals[np.arange(len(axis)), axis] > 0))


def sheet(*corners):
    """A parallelogram of two triangles from three corners, the second one in the middle."""
    a, b, c = np.array(corners, float)
    return trimesh.Trimesh([a, b, c, a + c - b], [[0, 1, 2], [0, 2, 3]], process=False)


def l_room(*others):
    """The L-shaped room, its faces in no particular order of winding, with other things in it."""
    floors = [sheet([x, y, 0], [0, y, 0], [0, y, z]) for y in (0, 3) for x, z in ((6, 2.5), (2.5, 5))]
    walls = [
        sheet([a[0], 3, a[1]], [a[0], 0, a[1]], [b[0], 0, b[1]])
        for a, b in zip(L_OUTLINE, np.roll(L_OUTLINE, -1, 0), strict=True)
    ]
    return scene_of(trimesh.util.concatenate([*floors, *walls, *others]))


def furnished_room():
    table = box_mesh([1.2, 0.7, 3.0], [2.2, 0.75, 4.2])
    screen = sheet([3.5, 2.0, 1.0], [3.5, 0.0, 1.0], [4.5, 0.0, 1.9])
    return l_room(table, screen)


def places(count, seed=0):
    """Random places inside the L-shaped room, clear of walls."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        p = rng.uniform([0.2, 0.9, 0.2], [5.8, 2.8, 4.8])
        if p[0] < 2.3 or p[2] < 2.3:
            found.append(p)
    return np.array(found)


def lattice(size, source, order):
    """Images of a source in a box, and how often each of its six walls reflects (Allen and Berkley 1979, eq. 6)."""
    steps = range(-order, order + 1)
    for cell in itertools.product(steps, repeat=3):
        for flip in itertools.product((0, 1), repeat=3):
            hits = [count for n, u in zip(cell, flip, strict=True) for count in (abs(n - u), abs(n))]
            if 1 <= sum(hits) <= order:
                n, u = np.array(cell), np.array(flip)
                yield (1 - 2 * u) * source + 2 * n * size, np.array(hits)


def closed_form(source, listener, order, size=SIZE):
    """Image, length and energy of every reflection in `box_room`, shortest first."""
    rows = []
    for image, hits in lattice(size, source, order):
        length = np.linalg.norm(image - listener)
        kept = np.prod(
            [
                ((1 - np.array(w.absorption)) * (1 - np.array(w.scattering))) ** h
                for w, h in zip(WALLS, hits, strict=True)
            ],
            0,
        )
        rows.append((length, hits.sum(), image, kept * np.exp(-AIR * length) / length**2))
    return sorted(rows, key=lambda row: row[0])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_a_box_has_the_images_of_the_closed_form(order):
    scene = box_room(subdivisions=1)
    sources = ImageSources(scene, Facets.build(scene), SOURCE, order=order, air=AIR)
    paths = sources.paths(LISTENER)
    expected = closed_form(SOURCE, LISTENER, order)
    assert len(paths) == len(expected) == sum(4 * k**2 + 2 for k in range(1, order + 1))
    length, orders, images, energy = (np.array(column) for column in zip(*expected, strict=True))
    # Double precision throughout; the planes come from single-precision corners that these sizes do not round.
    np.testing.assert_allclose(paths.length, length, rtol=1e-12)
    np.testing.assert_array_equal(paths.order, orders)
    np.testing.assert_allclose(LISTENER + paths.direction * paths.length[:, None], images, atol=1e-10)
    # Coefficients are single precision.
    np.testing.assert_allclose(paths.energy, energy, rtol=2e-6)


@pytest.mark.parametrize("order", [2, 3])
def test_places_of_symmetry_count_no_image_twice_and_lose_none(order):
    # From the middle to a place on the diagonal every path of second order runs into an edge, where two orders of the
    # same two walls lead over one point.
    size, source, listener = np.full(3, 4.0), np.full(3, 2.0), np.full(3, 3.0)
    scene = box_room(size=size)
    paths = ImageSources(scene, Facets.build(scene), source, order=order, air=AIR).paths(listener)
    expected = {tuple(row[2].tolist()): row[3] for row in closed_form(source, listener, order, size)}
    images = np.round(listener + paths.direction * paths.length[:, None], 6) + 0.0
    assert len(paths) == len(expected) and {tuple(image) for image in images.tolist()} == expected.keys()
    for image, energy in zip(images.tolist(), paths.energy, strict=True):
        np.testing.assert_allclose(energy, expected[tuple(image)], rtol=2e-6)


def test_a_box_agrees_with_pyroomacoustics_to_a_hundredth_of_a_sample():
    pra = pytest.importorskip("pyroomacoustics", minversion="0.10.1")
    # Its z is up: our (x, y, z) is its (x, z, y), and its south is y = 0.
    names = dict(zip(("west", "east", "floor", "ceiling", "south", "north"), WALLS, strict=True))
    materials = {name: pra.Material(w.absorption[3], 0.0) for name, w in names.items()}
    turn = [0, 2, 1]
    room = pra.ShoeBox(
        SIZE[turn], fs=48_000, materials=materials, max_order=3, air_absorption=False, use_rand_ism=False
    )
    room.add_source(SOURCE[turn])
    room.add_microphone(LISTENER[turn])
    room.image_source_model()
    theirs = room.sources[0]
    kept = theirs.orders > 0
    length = np.linalg.norm(theirs.images[:, kept].T - LISTENER[turn], axis=1)
    order = np.argsort(length)
    scene = box_room().with_materials(
        tuple(AcousticMaterial(name=w.name, absorption=w.absorption, scattering=(0.0,)) for w in WALLS),
        box_room().material,
    )
    paths = ImageSources(scene, Facets.build(scene), SOURCE, order=3).paths(LISTENER)
    # 10 µm is 0.0014 samples at 48 kHz; its images are single precision.
    np.testing.assert_allclose(paths.length, length[order], atol=1e-5)
    amplitude = theirs.damping[0, kept][order] / length[order]
    np.testing.assert_allclose(np.sqrt(paths.energy[:, 3]), amplitude, rtol=1e-5)


def brute_force(source, listener, order):
    """Points of all mirror paths in the empty L-shaped room, without rays: polygons and samples along the legs."""

    def inside(p):
        return (
            (p[:, 1] > -1e-9)
            & (p[:, 1] < 3 + 1e-9)
            & (p[:, 0] > -1e-9)
            & (p[:, 2] > -1e-9)
            & (((p[:, 0] < 6 + 1e-9) & (p[:, 2] < 2.5 + 1e-9)) | ((p[:, 0] < 2.5 + 1e-9) & (p[:, 2] < 5 + 1e-9)))
        )

    def on_surface(p, plane):
        axis, at = plane
        if axis == 1:
            return bool(inside(p[None])[0])
        for a, b in zip(L_OUTLINE, np.roll(L_OUTLINE, -1, 0), strict=True):
            flat = [0, 2].index(axis)
            if a[flat] == b[flat] == at and min(a[1 - flat], b[1 - flat]) <= p[2 - axis] <= max(
                a[1 - flat], b[1 - flat]
            ):
                return 0 <= p[1] <= 3
        return False

    for k in range(1, order + 1):
        for sequence in itertools.product(PLANES, repeat=k):
            images = [source]
            for axis, at in sequence:
                image = images[-1].copy()
                image[axis] = 2 * at - image[axis]
                images.append(image)
            points, here = [listener], listener
            for (axis, at), image in zip(sequence[::-1], images[:0:-1], strict=True):
                if (here[axis] - at) * (image[axis] - at) >= 0:
                    break
                here = here + (image - here) * (at - here[axis]) / (image[axis] - here[axis])
                if not on_surface(here, (axis, at)):
                    break
                points.append(here)
            else:
                points.append(source)
                steps = np.linspace(0, 1, 2001)[:, None]
                if all(inside(a + (b - a) * steps).all() for a, b in itertools.pairwise(points)):
                    yield np.array(points[::-1])


@pytest.mark.parametrize("few", [0, 4096], ids=["found by rays", "all sequences"])
def test_an_l_shaped_room_has_exactly_the_paths_of_a_search_without_rays(few, monkeypatch):
    monkeypatch.setattr(image_sources, "FEW_SEQUENCES", few)
    scene = l_room()
    facets = Facets.build(scene)
    assert len(facets) == 8, "the two halves of floor and ceiling are one facet each"
    counts = set()
    for source, listener in zip(places(12), places(12, seed=1), strict=True):
        expected = list(brute_force(source, listener, 2))
        expected.sort(key=lambda p: np.linalg.norm(np.diff(p, axis=0), axis=1).sum())
        paths = ImageSources(scene, facets, source, order=2).paths(listener)
        assert len(paths) == len(expected)
        for i, points in enumerate(expected):
            np.testing.assert_allclose(paths.points[i, : len(points)], points, atol=1e-9)
        counts.add(len(paths))
    assert len(counts) > 3, "the corner hides different paths from different places"


@pytest.mark.parametrize("order", [2, 3])
def test_rays_find_what_all_sequences_find(order, monkeypatch):
    scene = furnished_room()
    facets = Facets.build(scene)
    listeners = places(40, seed=2)
    found = missed = 0
    for source in places(5, seed=3):
        monkeypatch.setattr(image_sources, "FEW_SEQUENCES", 10_000)
        everything = ImageSources(scene, facets, source, order=order)
        monkeypatch.setattr(image_sources, "FEW_SEQUENCES", 0)
        by_rays = ImageSources(scene, facets, source, order=order)
        assert len(by_rays.sequences) < len(everything.sequences)
        for listener in listeners:
            a, b = everything.paths(listener), by_rays.paths(listener)
            known, seen = set(map(tuple, a.facets.tolist())), set(map(tuple, b.facets.tolist()))
            assert seen <= known
            found, missed = found + len(known), missed + len(known - seen)
    assert found > 1500
    # A sequence is missed where it reflects less than some thousandths of a steradian.
    assert missed / found < {2: 0.002, 3: 0.01}[order]


def test_in_a_furnished_home_hardly_a_ray_goes_a_way_that_is_not_known():
    home = generate_home(3, split="val")
    facets = Facets.build(home)
    room = max(home.rooms, key=lambda room: np.ptp(room.polygon, 0).prod())
    source = np.array([room.polygon[:, 0].mean(), 1.5, room.polygon[:, 1].mean()])
    sources = ImageSources(home, facets, source, order=2)
    met = image_sources._facets_met(home, facets, source, image_sources._directions(100_000, 1), 2)
    known = set(map(tuple, sources.sequences.tolist()))
    first = [tuple(row) for row in np.stack([met[:, 0], np.full(len(met), -1)], 1).tolist() if row[0] >= 0]
    second = [tuple(row) for row in met.tolist() if row[1] >= 0]
    assert sum(row not in known for row in first) < 0.002 * len(first)
    assert sum(row not in known for row in second) < 0.02 * len(second)


def test_paths_obey_the_law_of_reflection_on_the_facets_that_they_name():
    scene = furnished_room()
    facets = Facets.build(scene)
    source = np.array([1.0, 1.5, 4.0])
    paths = ImageSources(scene, facets, source, order=3).paths([2.0, 1.3, 1.0])
    assert len(paths) > 20 and (np.diff(paths.length) >= 0).all()
    for i in range(len(paths)):
        k = paths.order[i]
        points, sequence = paths.points[i, : k + 2], paths.facets[i, :k]
        assert np.isnan(paths.points[i, k + 2 :]).all() and (paths.facets[i, k:] == -1).all()
        legs = np.diff(points, axis=0)
        assert np.linalg.norm(legs, axis=1).sum() == pytest.approx(paths.length[i], rel=1e-9)
        ways = legs / np.linalg.norm(legs, axis=1, keepdims=True)
        np.testing.assert_allclose(paths.departure[i], ways[0], atol=1e-9)
        np.testing.assert_allclose(paths.direction[i], -ways[-1], atol=1e-9)
        for j, f in enumerate(sequence):
            normal = facets.normal[f]
            assert normal @ points[j + 1] == pytest.approx(facets.offset[f], abs=1e-9)
            np.testing.assert_allclose(ways[j + 1], ways[j] - 2 * (ways[j] @ normal) * normal, atol=1e-9)


def test_sound_paths_carry_the_same_numbers():
    scene = box_room()
    paths = ImageSources(scene, Facets.build(scene), SOURCE, air=AIR).paths(LISTENER)
    for i, path in enumerate(paths.sound_paths()):
        assert path.kind == "specular" and path.length == paths.length[i] and len(path.points) == paths.order[i] + 2
        np.testing.assert_allclose(path.direction, paths.direction[i], atol=1e-9)
        np.testing.assert_array_equal(path.energy, paths.energy[i])


def test_a_panel_hides_a_reflection_from_those_behind_it():
    floor = sheet([0, 0, -5], [0, 0, 5], [10, 0, 5])
    panel = sheet([4.9, 0.3, -1], [4.9, 0.3, 1], [4.9, 0.9, 1])
    source, listener = np.array([1.0, 1.0, 0.0]), np.array([7.0, 1.0, 0.0])
    for mesh, count in ((floor, 1), (trimesh.util.concatenate([floor, panel]), 0)):
        scene = scene_of(mesh)
        paths = ImageSources(scene, Facets.build(scene), source, order=1).paths(listener)
        onto_floor = [k for k in range(len(paths)) if paths.points[k, 1, 1] < 0.01]
        assert len(onto_floor) == count
    # Past the panel's side the floor is heard again.
    paths = ImageSources(scene, Facets.build(scene), source, order=1).paths(listener + [0, 0, 4])
    assert len(paths) == 1 and paths.order[0] == 1


@pytest.mark.parametrize("reverse", [False, True])
def test_a_sheet_reflects_on_both_sides_and_hides_what_is_behind(reverse):
    glass = sheet([-5, -5, 0], [-5, 5, 0], [5, 5, 0])
    if reverse:
        glass.invert()
    scene = scene_of(glass)
    facets = Facets.build(scene)
    energies = []
    for side in (-1.0, 1.0):
        sources = ImageSources(scene, facets, [0.5, 0.2, 2 * side], order=4)
        paths = sources.paths([-0.3, 0.1, 1 * side])
        assert paths.order.tolist() == [1] and paths.direction[0, 2] * side < 0
        energies.append(paths.energy[0])
        assert len(sources.paths([-0.3, 0.1, -1 * side])) == 0
    np.testing.assert_allclose(energies[0], energies[1], rtol=1e-12)


def test_each_triangle_of_a_wall_reflects_with_its_own_material():
    soft = AcousticMaterial(name="soft", absorption=(0.9,))
    hard = AcousticMaterial(name="hard", absorption=(0.1,))
    mesh = trimesh.util.concatenate([sheet([x, -5, 0], [x, 5, 0], [x + 5, 5, 0]) for x in (-5, 0)])
    scene = scene_of(mesh, (soft, hard), [0, 0, 1, 1])
    facets = Facets.build(scene)
    assert len(facets) == 1
    for x, kept in ((-1.0, 0.1), (1.0, 0.9)):
        paths = ImageSources(scene, facets, [x, 0, 1], order=1).paths([x, 0, 1])
        np.testing.assert_allclose(paths.energy, kept * 0.9 / 4, rtol=1e-6)


def test_source_and_listener_can_change_places():
    scene = furnished_room()
    facets = Facets.build(scene)
    for a, b in zip(places(8, seed=4), places(8, seed=5), strict=True):
        there = ImageSources(scene, facets, a, order=3, air=AIR).paths(b)
        back = ImageSources(scene, facets, b, order=3, air=AIR).paths(a)
        assert len(there) == len(back)
        ways = [
            {tuple(p.facets[i, : p.order[i]])[::step]: i for i in range(len(p))} for p, step in ((there, 1), (back, -1))
        ]
        assert ways[0].keys() == ways[1].keys()
        for way, i in ways[0].items():
            j, k = ways[1][way], there.order[i]
            assert there.length[i] == pytest.approx(back.length[j], abs=1e-6)
            np.testing.assert_allclose(there.points[i, : k + 2], back.points[j, : k + 2][::-1], atol=1e-6)
            np.testing.assert_allclose(there.energy[i], back.energy[j], rtol=1e-6)


def test_the_level_of_a_walk_is_smooth_but_where_a_path_comes_or_goes():
    scene = l_room()
    sources = ImageSources(scene, Facets.build(scene), [1.0, 1.5, 4.2], order=2)
    walk = np.array([1.2137, 1.4071, 1.0113]) + np.linspace(0, 1, 301)[:, None] * [3.0, 0.0, 0.3]
    changes, before = [], None
    for last, place in zip(walk - np.array([0.01, 0, 0.001]), walk, strict=True):
        paths = sources.paths(place)
        levels = dict(zip(map(tuple, paths.facets.tolist()), 10 * np.log10(paths.energy[:, 3]), strict=True))
        if before is not None:
            shared = levels.keys() & before.keys()
            # A path of 2 m or more gets 1 cm longer or shorter at most: 20·log10(2.01/2).
            assert max(abs(levels[k] - before[k]) for k in shared) < 0.044
            if levels.keys() != before.keys():
                changes += [(last, len(before)), (place, len(levels))]
        before = levels
    assert 3 < len(changes) / 2 < 40, "paths come and go at the corner, and stay in between"
    for place, count in changes:
        assert count == len(list(brute_force(sources.source, place, 2)))


def test_no_path_comes_or_goes_in_an_empty_box():
    scene = box_room()
    sources = ImageSources(scene, Facets.build(scene), SOURCE, order=3)
    walk = np.array([0.5, 0.5, 0.4]) + np.linspace(0, 1, 400)[:, None] * [5.0, 2.0, 4.2]
    assert {len(sources.paths(place)) for place in walk} == {62}


def test_the_same_arguments_give_the_same_bytes():
    home = generate_home(1)
    facets, again = Facets.build(home), Facets.build(home)
    for name in ("normal", "offset", "area", "lower", "upper", "facet", "largest", "aims"):
        assert getattr(facets, name).tobytes() == getattr(again, name).tobytes()
    room = home.rooms[0]
    source = np.array([room.polygon[:, 0].mean(), 1.5, room.polygon[:, 1].mean()])
    one, same, other = (ImageSources(home, facets, source, rays=1000, seed=seed) for seed in (5, 5, 6))
    assert one.sequences.tobytes() == same.sequences.tobytes() != other.sequences.tobytes()
    listener = source + [0.4, -0.2, 0.3]
    sources = one.moved(source + 0.05).moved(source)
    for first, second in ((one, same), (one, sources)):
        a, b = first.paths(listener), second.paths(listener)
        assert len(a) > 0 and all(getattr(a, n).tobytes() == getattr(b, n).tobytes() for n in vars(a))


def test_a_moved_source_has_the_paths_of_its_new_place():
    scene = furnished_room()
    facets = Facets.build(scene)
    old, new = np.array([1.0, 1.5, 4.0]), np.array([0.7, 1.2, 1.0])
    moved, fresh = ImageSources(scene, facets, old).moved(new), ImageSources(scene, facets, new)
    for listener in places(5):
        assert moved.paths(listener).energy.tobytes() == fresh.paths(listener).energy.tobytes()


# Energy is counted once: what the rule of `Facets.covered` takes out of a field is what image sources put in.

REGION = np.array([[3.2, 1.0, 1.4], [5.4, 2.0, 3.6]])


def scene_with_everything():
    """A room with walls that scatter, a screen that sound passes through, and a block too small for image sources."""
    room = box_mesh(np.zeros(3), SIZE)
    screen = sheet([2.6, 2.2, 1.0], [2.6, 0.0, 1.0], [3.0, 0.0, 2.6])
    block = box_mesh([1.8, 0.0, 3.4], [2.05, 0.3, 3.65])
    cloth = AcousticMaterial(name="cloth", absorption=(0.6,), scattering=(0.3,), transmission=(0.4,))
    mesh = trimesh.util.concatenate([room, screen, block])
    material = np.r_[np.tile(np.arange(6), 2), 6, 6, np.zeros(12, int)]
    return scene_of(mesh, (*WALLS, cloth), material)


def chords(origin, direction, length):
    """Lengths of the parts of rays that lie in `REGION`."""
    with np.errstate(divide="ignore"):
        edges = (REGION[:, None] - origin) / direction
    near, far = edges.min(0).max(1), edges.max(0).min(1)
    return np.maximum(np.minimum(far, length) - np.maximum(near, 0.0), 0.0)


def energy_left_out(scene, facets, source, order, rays, rng):
    """Trace rays as a field does and return the mean energy in `REGION` ``(order, bands)`` that the rule leaves out."""
    out, covered = np.zeros((order, 7)), facets.covered
    alpha, scattering, transmission = scene.coefficients.astype(float)
    d = rng.normal(size=(rays, 3))
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    o, energy = np.tile(source, (rays, 1)), np.full((rays, 7), 4 * np.pi / rays)
    for reflections in range(order + 1):
        distance, triangle, _ = scene.triangles.closest(o, d)
        distance = distance.astype(float)
        if reflections > 0:
            inside = chords(o, d, distance)[:, None]
            out[reflections - 1] += (energy * np.exp(-AIR * distance[:, None] / 2) * inside).sum(0)
        m = scene.material[triangle]
        passing = (transmission / (1 - alpha + transmission)).max(1)[m]
        scatters = scattering.mean(1)[m]
        energy *= np.exp(-AIR * distance[:, None]) * (1 - alpha[m]) / (1 - passing)[:, None]
        energy *= (1 - scattering[m]) / (1 - scatters)[:, None]
        normal = scene.normals[triangle].astype(float)
        across = np.einsum("ij,ij->i", d, normal)[:, None]
        o = o + d * distance[:, None] - 1e-4 * np.sign(across) * normal
        d = d - 2 * across * normal
        stay = (rng.random(len(d)) >= passing) & (rng.random(len(d)) >= scatters) & covered[triangle]
        o, d, energy = o[stay], d[stay], energy[stay]
    return out / np.prod(REGION[1] - REGION[0])


def test_image_sources_hold_the_energy_that_the_rule_takes_out_of_a_field():
    scene, order = scene_with_everything(), 3
    facets = Facets.build(scene)
    assert 0 < (~facets.covered).sum() < len(scene.faces), "the small block is not covered"
    rng = np.random.default_rng(0)
    batches = np.array([energy_left_out(scene, facets, SOURCE, order, 10_000, rng) for _ in range(30)])
    sources = ImageSources(scene, facets, SOURCE, order=order, air=AIR)
    heard = np.zeros((3_000, order, 7))
    for i, place in enumerate(rng.uniform(*REGION, (len(heard), 3))):
        paths = sources.paths(place)
        np.add.at(heard[i], paths.order - 1, paths.energy)
    error = np.sqrt(batches.var(0, ddof=1) / len(batches) + heard.var(0, ddof=1) / len(heard))
    difference = heard.mean(0) - batches.mean(0)
    assert (error < 0.02 * heard.mean(0)).all(), "a test that could not fail would prove nothing"
    # One test in a hundred fails by chance: Šidák's correction for all orders and bands.
    limit = norm.isf((1 - 0.99 ** (1 / difference.size)) / 2)
    assert (np.abs(difference / error) < limit).all(), f"{np.round(difference / error, 1)}"


def test_a_flat_surface_is_one_facet_however_it_is_divided_wound_or_turned():
    box = box_mesh(np.zeros(3), SIZE, subdivisions=3)
    box.faces[::3] = box.faces[::3, ::-1]
    turn = trimesh.transformations.random_rotation_matrix(np.random.default_rng(0).random(3))
    for mesh in (box, box.copy().apply_transform(turn)):
        facets = Facets.build(scene_of(mesh))
        np.testing.assert_allclose(facets.area, [30, 30, 18, 18, 15, 15], rtol=1e-5)
        assert (np.bincount(facets.facet) == 128).all() and len(facets) == 6
        members = np.array([facets.triangles(f) for f in range(len(facets))])
        heights = np.einsum("fi,fti->ft", facets.normal, mesh.triangles_center[members])
        np.testing.assert_allclose(heights, np.tile(facets.offset[:, None], 128), atol=1e-6)


def test_planes_apart_stay_apart_and_planes_in_line_are_one():
    shelves = [sheet([x, y, 0], [x + 1, y, 0], [x + 1, y, 1]) for x, y in ((0, 0), (5, 0), (0, 0.005), (9, 0.0005))]
    facets = Facets.build(scene_of(trimesh.util.concatenate(shelves)))
    np.testing.assert_allclose(facets.area, [3, 1])
    assert facets.facet.tolist() == [0, 0, 0, 0, 1, 1, 0, 0]


def test_small_and_curved_surfaces_make_no_facets():
    ball = trimesh.creation.icosphere(4, 0.5)
    plate = sheet([0, 2, 0], [1, 2, 0], [1, 2, 0.05])
    point = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [2, 0, 0]], [[0, 1, 2]], process=False)
    scene = scene_of(trimesh.util.concatenate([ball, plate, point]))
    assert len(Facets.build(scene)) == 0
    assert len(ImageSources(scene, Facets.build(scene), [0, 1, 0]).paths([0, 1, 1])) == 0
    small = Facets.build(scene, least_area=0.05)
    assert len(small) == 1 and small.covered.sum() == 2


def test_a_surface_of_noise_has_no_facets():
    rng = np.random.default_rng(0)
    x, z = np.meshgrid(np.arange(100) * 0.05, np.arange(100) * 0.05)
    points = np.stack([x, rng.normal(0, 0.005, x.shape), z], -1).reshape(-1, 3)
    i = (np.arange(99)[:, None] * 100 + np.arange(99)).ravel()
    mesh = trimesh.Trimesh(
        points, np.concatenate([np.stack([i, i + 1, i + 100], 1), np.stack([i + 1, i + 101, i + 100], 1)])
    )
    assert len(Facets.build(scene_of(mesh))) == 0


SOLID = box_mesh([0, 0, 0], [0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda s, f: ImageSources(s, f, SOURCE, order=0), ConfigurationError, "order is 0"),
        (lambda s, f: ImageSources(s, f, SOURCE, order=5), ConfigurationError, "whole number 1–4"),
        (lambda s, f: ImageSources(s, f, SOURCE, order=1.5), ConfigurationError, "order is 1.5"),
        (lambda s, f: ImageSources(s, f, SOURCE, rays=0), ConfigurationError, "rays is 0"),
        (lambda s, f: ImageSources(s, f, [0, np.nan, 0]), ConfigurationError, "three finite numbers"),
        (lambda s, f: ImageSources(s, f, [0, 1]), ConfigurationError, "three finite numbers"),
        (lambda s, f: ImageSources(s, f, SOURCE, air=np.zeros(3)), ConfigurationError, "air"),
        (lambda s, f: ImageSources(s, f, SOURCE).moved([np.inf, 0, 0]), ConfigurationError, "three finite numbers"),
        (lambda s, f: ImageSources(s, f, SOURCE).paths([0, np.nan, 0]), ConfigurationError, "listener is at"),
        (lambda s, f: ImageSources(scene_of(SOLID), f, SOURCE), ConfigurationError, "Facets.build"),
        (lambda s, f: ImageSources(s, f, [2.0, 0.2, 2.0]), SoundError, "inside a wall"),
        (lambda s, f: Facets.build(s, least_area=-1), ConfigurationError, "least_area"),
        (lambda s, f: Facets.build(s, least_area=np.nan), ConfigurationError, "least_area"),
    ],
)
def test_impossible_values_are_refused_with_what_was_expected(make, error, message):
    block = box_mesh([1.8, 0.0, 1.8], [2.2, 0.4, 2.2])
    scene = scene_of(trimesh.util.concatenate([box_mesh(np.zeros(3), SIZE), block]))
    with pytest.raises(error, match=message):
        make(scene, Facets.build(scene))


def test_from_outside_a_closed_room_nothing_is_heard_of_it():
    scene = box_room()
    sources = ImageSources(scene, Facets.build(scene), [-2.0, 1.5, 2.0], order=3)
    assert len(sources.paths(LISTENER)) == 0
    # Its walls reflect on the outside too.
    assert sources.paths([-3.0, 1.0, 2.5]).order.tolist() == [1]


def test_the_corners_of_a_box_are_its_twelve_edges_in_both_orders():
    pairs = Facets.build(box_room()).corners()
    assert len(pairs) == 24 and len({tuple(sorted(pair)) for pair in pairs.tolist()}) == 12


def test_sequences_that_are_given_are_taken():
    home = generate_home(0, split="train")
    facets, middle = Facets.build(home), home.rooms[0].polygon.mean(0)
    place = np.array([middle[0], 1.5, middle[1]])
    wanted = np.array([[5, 7], [7, 5]], np.int32)
    sequences = ImageSources(home, facets, place, 3, 1, also=wanted).sequences.tolist()
    assert [5, 7, -1] in sequences and [7, 5, -1] in sequences


@pytest.mark.parametrize("step", [0.0, 0.3e-3, 0.9e-3])
@pytest.mark.parametrize("ears", [0.1, 0.2, 1.5])
def test_a_floor_whose_halves_are_merged_reflects_as_one_at_every_height_of_ears(step, ears):
    halves = [sheet([0, 0, 0], [3, 0, 0], [3, 0, 6]), sheet([3, step, 0], [6, step, 0], [6, step, 6])]
    wall = sheet([0, -1, 6], [0, 2, 6], [6, 2, 6])
    scene = scene_of(trimesh.util.concatenate([*halves, wall]))
    facets = Facets.build(scene)
    assert len(facets) == 2
    assert facets.unevenness == pytest.approx([step / 2, 0.0], abs=1e-6)
    sources = ImageSources(scene, facets, [0.6, ears, 1.0], 2)
    # Below the step, across it, above it; and grazing: 12 mm of height per metre of way.
    for listener in ([2.5, ears, 1.4], [5.5, ears, 1.2], [4.5, ears, 5.0], [5.5, 0.05, 1.7]):
        paths = sources.paths(listener)
        floor = int(np.flatnonzero(np.abs(facets.normal[:, 1]) > 0.9)[0])
        # The floor, the wall, and both in either order, of which one is possible.
        assert sorted(tuple(row[row >= 0].tolist()) for row in paths.facets).count((floor,)) == 1
        assert len(paths) == 3
        # The mean of the two heights is half the step off at most, on a way that is at least as long as the direct.
        flat = np.hypot(listener[0] - 0.6, listener[2] - 1.0)
        mirrored = float(paths.length[[len(row[row >= 0]) == 1 and row[0] == floor for row in paths.facets]][0])
        assert mirrored == pytest.approx(np.hypot(flat, ears + listener[1]), abs=2e-3)


def test_what_stands_on_an_uneven_floor_still_hides_its_reflection():
    halves = [sheet([0, 0, 0], [3, 0, 0], [3, 0, 6]), sheet([3, 3e-4, 0], [6, 3e-4, 0], [6, 3e-4, 6])]
    panel = sheet([2.4, -0.01, 0.5], [2.4, -0.01, 2.5], [2.4, 0.09, 2.5])
    source, listener = [0.6, 0.2, 1.0], [5.4, 0.2, 1.2]
    for parts, expected in ((halves, 1), ([*halves, panel], 0)):
        scene = scene_of(trimesh.util.concatenate(parts))
        facets = Facets.build(scene, least_area=1.0)
        assert len(ImageSources(scene, facets, source, 1).paths(listener)) == expected
