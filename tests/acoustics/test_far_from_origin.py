"""A scene sounds, looks and is walked the same wherever it lies."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.acoustics import FastPropagation, Listener, Source
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings
from harken.acoustics.engines.reference import ReferencePropagation, ReferenceSettings
from harken.errors import HarkenError, SceneError
from harken.scene import AcousticMaterial, NavigationGraph, Scene, WalkableFloor, inspect_scene
from harken.vision import Camera, Renderer, draw_plan

WALL = AcousticMaterial(name="plain", absorption=(0.1,), scattering=(0.3,))
AT, THERE = np.array([1.0, 1.5, 1.0]), np.array([5.0, 1.5, 4.0])
KILOHERTZ, LATE = 4, 0.08
PLACES = [(500.0, 0.0, 0.0), (2000.0, 0.0, 2000.0), (3000.0, 50.0, 3000.0), (4e5, -3e5, -5e6)]


def furnished(at=(0.0, 0.0, 0.0)):
    """A room of 6 × 3 × 5 m with a block of 2 m."""
    room = trimesh.creation.box(bounds=[(0, 0, 0), (6, 3, 5)])
    room.invert()
    mesh = trimesh.util.concatenate([room, trimesh.creation.box(bounds=[(2, 0, 1), (4, 2, 3)])])
    faces = mesh.faces
    return Scene(vertices=mesh.vertices + at, faces=faces, materials=(WALL,), material=np.zeros(len(faces), np.int32))


def late(energy, width, band):
    return energy[round(LATE / width) :, band].sum()


def heard_fast(scene, at, *, ears):
    where = WalkableFloor.build(scene).cells + [0, 1.5, 0] if ears else None
    heard = FastPropagation(scene, ears=where).energy(Source(position=AT + at), Listener(position=THERE + at))
    return late(heard.over_time(0.01).T, 0.01, KILOHERTZ), heard.paths


def heard_by_reference(scene, at):
    engine = ReferencePropagation(scene, ReferenceSettings(rays=5_000, bands=(1000.0,)))
    heard = engine.energy(Source(position=AT + at), Listener(position=THERE + at))
    return late(heard.traced[:, :, 0], heard.bin, 0), heard.paths


ENGINES = {
    "fast, fields": lambda scene, at: heard_fast(scene, at, ears=True),
    "fast, pairs": lambda scene, at: heard_fast(scene, at, ears=False),
    "reference": heard_by_reference,
}


@pytest.fixture(scope="module")
def near():
    return {name: heard(furnished(), np.zeros(3)) for name, heard in ENGINES.items()}


@pytest.mark.parametrize("at", PLACES)
@pytest.mark.parametrize("name", ENGINES)
def test_late_energy_and_paths_do_not_depend_on_where_the_scene_lies(near, name, at):
    energy, paths = ENGINES[name](furnished(at), np.array(at))
    expected, as_near = near[name]
    # The rays are the same; what is left is rounding, which may put an ear into the next cell.
    assert energy == pytest.approx(expected, rel=0.02 if "fields" in name else 1e-3)
    assert len(paths) == len(as_near)
    for path, other in zip(paths, as_near, strict=True):
        assert path.points - at == pytest.approx(other.points, abs=1e-4)


@pytest.mark.parametrize("at", PLACES)
def test_an_echo_does_not_depend_on_where_the_scene_lies(at):
    def ask(at):
        engine = EchoPropagation(scene=furnished(at), settings=EchoSettings(rays=64))
        return engine.energy(AT + at).paths

    for path, other in zip(ask(at), ask(np.zeros(3)), strict=True):
        assert path.points - at == pytest.approx(other.points, abs=1e-4)
        assert path.energy == pytest.approx(other.energy, rel=1e-4)


@pytest.mark.parametrize("at", PLACES)
def test_pictures_plans_and_floors_do_not_depend_on_where_the_scene_lies(at):
    here, there = furnished(), furnished(at)
    view = {"camera": Camera(width=32, height=32), "heading": -2.5, "channels": ("depth", "rgb")}
    seen, same = (Renderer(s).observe(position=AT + o, **view) for s, o in ((there, at), (here, np.zeros(3))))
    assert seen["depth"] == pytest.approx(same["depth"], abs=1e-4)
    plan, other = draw_plan(there, width=64, floor=at[1]), draw_plan(here, width=64)
    assert np.array_equal(plan.image, other.image)
    assert plan.to_pixels((AT + at)[None]) == pytest.approx(other.to_pixels(AT[None]), abs=1e-6)
    floor, flat = WalkableFloor.build(there), WalkableFloor.build(here)
    assert floor.area == pytest.approx(flat.area, abs=1e-4)
    point = floor.random_point(np.random.default_rng(3))
    assert point - at == pytest.approx(flat.random_point(np.random.default_rng(3)), abs=1e-6)
    start, goal = (floor.snap(np.array(p) + at) for p in ((1, 0, 2), (5, 0, 2)))
    assert floor.distance_field(goal).distance(start) == pytest.approx(
        flat.distance_field((5, 0, 2)).distance((1, 0, 2)), abs=1e-5
    )
    assert floor.move(start, (0.25, 0, 0.1))[0] - start == pytest.approx([0.25, 0, 0.1], abs=1e-6)
    assert floor.cells - at == pytest.approx(flat.cells, abs=1e-3)
    assert floor.storeys[0].height == pytest.approx(at[1], abs=1e-3)
    assert NavigationGraph.build(floor).nodes[0] - at == pytest.approx(NavigationGraph.build(flat).nodes[0], abs=1e-6)
    assert there.is_inside_solid(np.array([3.9, 1, 2]) + at) == here.is_inside_solid(np.array([3.9, 1, 2]))
    assert inspect_scene(there).volume == pytest.approx(inspect_scene(here).volume)


def test_scenes_near_the_origin_for_their_size_keep_their_vertices():
    for at in ((0, 0, 0), (-30, 0, 50)):
        scene = furnished(at)
        assert not scene.is_far
        assert scene.local is scene
        assert np.array_equal(scene.vertices, (furnished().vertices + at).astype(np.float32))
    large = replace(furnished(), vertices=furnished().vertices * 100.0)
    assert not large.is_far


def test_a_scene_far_away_keeps_its_size_and_survives_copies():
    at = np.array([4e5, 0, -5e6])
    scene = furnished(at + 0.4)
    assert scene.origin.tolist() == [400003.0, 2.0, -4999997.0]
    assert scene.bounds[0] == pytest.approx(at + 0.4, abs=1e-6)
    for copy in (pickle.loads(pickle.dumps(scene)), scene.with_materials((WALL,), scene.material)):
        assert np.array_equal(copy.vertices, scene.vertices)
        assert np.array_equal(copy.origin, scene.origin)
    assert scene.local.fingerprint == scene.fingerprint
    moved = replace(scene, vertices=scene.vertices.astype(np.float64) + 1e4)
    assert moved.bounds[0] == pytest.approx(at + 0.4 + 1e4, abs=1e-3)


@pytest.mark.parametrize("far", [1e9, 1e15, 1e19, 1e300, -1e19, -1e300])
@pytest.mark.parametrize("axis", range(3))
def test_sources_and_listeners_far_from_the_scene_are_refused(far, axis):
    scene, place = furnished(), AT.copy()
    place[axis] = far
    fast = FastPropagation(scene, ears=AT[None])
    reference = ReferencePropagation(scene, ReferenceSettings(rays=64))
    echo = EchoPropagation(scene=scene, settings=EchoSettings(rays=64))
    for call in (
        lambda: fast.impulse_response(Source(position=place), Listener(position=AT)),
        lambda: fast.impulse_response(Source(position=AT), Listener(position=place)),
        lambda: fast.field(Source(position=place)),
        lambda: fast.paths(Source(position=AT), Listener(position=place)),
        lambda: reference.energy(Source(position=place), Listener(position=AT)),
        lambda: reference.energy(Source(position=AT), Listener(position=place)),
        lambda: reference.paths(Source(position=AT), Listener(position=place)),
        lambda: echo.energy(place),
    ):
        with pytest.raises(HarkenError, match=r"is not near|within 1e\+07 m"):
            call()


@pytest.mark.parametrize(
    "bad",
    [
        {"vertices": "abc"},
        {"vertices": [["0", "0", "0"]] * 3},
        {"vertices": None},
        {"vertices": np.full((3, 3), 1e300)},
        {"faces": [[0, 1, "2"]]},
        {"faces": [[0.0, 1.0, 2.0]]},
        {"faces": None},
        {"origin": "here"},
        {"origin": (np.nan, 0, 0)},
    ],
)
def test_what_makes_no_scene_is_refused(bad):
    given = {"vertices": np.eye(3), "faces": [[0, 1, 2]], "materials": (WALL,), "material": np.zeros(1, np.int32)}
    with pytest.raises(SceneError):
        Scene(**{**given, **bad})


def test_a_scene_prints_as_one_short_line():
    scene = furnished()
    assert repr(scene) == (
        "<Scene 'scene': 24 triangles, 6.00 × 3.00 × 5.00 m (x × y × z), 1 materials, 0 objects, 0 rooms>"
    )
    assert str(scene) == repr(scene)
