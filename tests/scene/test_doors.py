"""Doors: where leaves stand, what they block, and openings that are none."""

import numpy as np
import pytest
import trimesh
from doorways import HINGE, OAK, a_door, two_rooms

from harken.acoustics.paths.diffraction.bent import EdgeGraph
from harken.acoustics.paths.diffraction.geometry import link_edges
from harken.errors import SceneError, UnknownNameError
from harken.scene import AcousticMaterial, Body, Door, FloorGround, Scene, WalkableFloor, generate_home
from harken.scene.floor.leaves import floor_with_leaves


def blocked(scene, z, side=0.5):
    """Whether something stands in the opening at z."""
    return bool(scene.triangles.occluded(np.array([[4.05 - side, 1, z]]), np.array([[4.05 + side, 1, z]]))[0])


def test_a_leaf_stands_where_its_state_says():
    scene = two_rooms()
    states = {state: scene.with_doors([a_door()], {"door": state}) for state in ("open", "ajar", "closed")}
    assert [blocked(states["closed"], z) for z in (1.52, 1.95, 2.38)] == [True, True, True]
    assert [blocked(states["open"], z) for z in (1.6, 1.95, 2.38)] == [False, False, False]
    # The leaf of a door that is ajar by 20° ends 0.9·sin 20° = 0.31 m aside of the latch and 0.9·cos 20° along.
    leaf = states["ajar"].leaves[0].corners()
    assert np.abs(leaf[:, 0] - 4.05).max() == pytest.approx(0.9 * np.sin(np.radians(20)), abs=0.03)
    assert leaf[:, 2].max() == pytest.approx(1.5 + 0.9 * np.cos(np.radians(20)), abs=0.03)
    assert blocked(states["ajar"], 2.2) and not blocked(states["ajar"], 2.38, side=0.2)


@pytest.mark.parametrize(("swings", "side"), [("left", 1.0), ("right", -1.0)])
def test_a_leaf_opens_to_its_side(swings, side):
    # Looking from the hinge to the latch, along +z with y up, the left is +x.
    leaf = two_rooms().with_doors([a_door(swings=swings)]).leaves[0]
    assert side * (leaf.corners()[:, 0].mean() - 4.05) == pytest.approx(0.45, abs=0.01)


@pytest.mark.parametrize("swings", ["left", "right"])
def test_faces_of_leaves_look_outwards(swings):
    for state in ("open", "ajar", "closed"):
        scene = two_rooms().with_doors([a_door(swings=swings)], {"door": state})
        assert scene.is_inside_solid(scene.leaves[0].corners().mean(0))
        mesh = trimesh.Trimesh(scene.vertices, scene.faces[-12:], process=True)
        assert mesh.is_watertight and mesh.volume > 0


def test_a_state_does_not_depend_on_those_before():
    one = two_rooms().with_doors([a_door()], {"door": "closed"})
    other = two_rooms().with_doors([a_door()]).with_door_states({"door": "ajar"}).with_door_states({"door": "closed"})
    assert one.fingerprint == other.fingerprint
    assert one.door_states == other.door_states == ("closed",)


def test_homes_have_doors_that_close_their_openings():
    for seed in range(4):
        home = generate_home(seed, split="val")
        assert home.doors and set(home.door_states) == {"open"} and home.bare is None
        closed = home.with_door_states(dict.fromkeys([door.name for door in home.doors], "closed"))
        for door in home.doors:
            across = 0.2 * door.axes()[1]
            ends = (door.center - across)[None], (door.center + across)[None]
            assert not home.triangles.occluded(*ends)[0] and closed.triangles.occluded(*ends)[0]
        # The leaf that rested beside the opening is the one that closes it.
        resting = {door.resting for door in home.doors if door.resting}
        for thing in closed.objects:
            if thing.instance in resting:
                assert any(
                    np.abs(thing.lower + thing.upper - 2 * door.center)[[0, 2]].max() < 0.1 for door in home.doors
                )
        assert home.with_door_states({}) is home and closed.with_door_states({}) is home


def test_a_closed_door_divides_the_floor_and_a_leaf_keeps_bodies_away():
    scene = two_rooms()
    floor = WalkableFloor.build(scene)
    assert len([island for island in floor.islands if island.covered > 0.5]) == 1
    closed = scene.with_doors([a_door()], {"door": "closed"})
    fast, anew = floor_with_leaves(floor, closed.leaves), WalkableFloor.build(closed)
    for one in (fast, anew):
        assert [island.area > 5.0 for island in one.islands[:2]] == [True, True]
    assert fast.area == pytest.approx(anew.area, rel=0.01)
    opened = scene.with_doors([a_door()])
    fast, anew = floor_with_leaves(floor, opened.leaves), WalkableFloor.build(opened)
    assert fast.area == pytest.approx(anew.area, rel=0.01)
    beside = np.array([4.5, 0.0, 1.5 - 0.02 - Body().radius])
    ground = FloorGround(fast)
    assert ground.is_free(beside + [0.0, 0.0, -0.05]) and not ground.is_free(beside + [0.0, 0.0, 0.05])


def _upright(width=0.9, height=2.0):
    x, _, z = HINGE
    return [[x, 0, z], [x, 0, z + width], [x, height, z + width], [x, height, z]]


def test_a_door_can_be_given_by_its_corners():
    door = Door.between("door", _upright(), material=OAK)
    assert door == a_door()


SKEWED = [[4.05, 0, 1.5], [4.05, 0, 2.4], [4.05, 2.2, 2.4], [4.05, 2.0, 1.5]]
LEANING = [[4.05, 0, 1.5], [4.05, 0, 2.4], [4.35, 2.0, 2.4], [4.35, 2.0, 1.5]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Door.between("d", SKEWED), "not rectangular"),
        (lambda: Door.between("d", LEANING), "not rectangular"),
        (lambda: Door.between("d", [[0, 0, 0]] * 3), "expected \\(4, 3\\) finite numbers"),
        (lambda: Door.between("d", [[np.nan] * 3] * 4), "expected \\(4, 3\\) finite numbers"),
        (lambda: a_door(latch=(4.05, 0.3, 2.4)), "not rectangular"),
        (lambda: a_door(latch=(4.05, np.nan, 2.4)), "latch"),
        (lambda: a_door(latch=(4.05, 0.0, 1.6)), "0.1 m wide; expected 0.4 to 3"),
        (lambda: a_door(height=0.2), "height"),
        (lambda: a_door(swings="up"), "'left' or 'right'"),
        (lambda: two_rooms().with_doors([a_door(), a_door(name="other")]), "overlap"),
        (lambda: two_rooms().with_doors([a_door(), a_door()]), "two doors are called"),
        (lambda: two_rooms().with_doors([a_door(hinge=(4.05, 0, 2.6), latch=(4.05, 0, 3.4))]), "is not free"),
        (lambda: two_rooms().with_doors([a_door(hinge=(2, 0, 1.5), latch=(2, 0, 2.4))]), "larger than its wall"),
        (lambda: two_rooms().with_doors([a_door(height=1.6)]), "no frame within 0.06 m of its top"),
        (lambda: two_rooms().with_doors([a_door()]).with_doors([a_door()]), "has doors already"),
    ],
)
def test_what_is_no_door_is_an_error(make, message):
    with pytest.raises(SceneError, match=message):
        make()


def test_a_door_that_leads_outside_is_an_error():
    wall = [[[0, 0, 0], [0.1, 2.6, 1.5]], [[0, 0, 2.4], [0.1, 2.6, 4]], [[0, 2, 1.5], [0.1, 2.6, 2.4]]]
    slab = [[[0, -0.1, 0], [4, 0, 4]], [[0, 2.6, 0], [4, 2.7, 4]]]
    mesh = trimesh.util.concatenate([trimesh.creation.box(bounds=part) for part in wall + slab])
    plaster = AcousticMaterial(name="plaster", absorption=(0.2,))
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(plaster,), material=np.zeros(len(mesh.faces)))
    with pytest.raises(SceneError, match="leads outside"):
        scene.with_doors([a_door(hinge=(0.05, 0, 1.5), latch=(0.05, 0, 2.4))])


def test_unknown_doors_and_states_are_errors():
    scene = two_rooms().with_doors([a_door()])
    with pytest.raises(UnknownNameError, match="door"):
        scene.with_door_states({"doors": "open"})
    with pytest.raises(UnknownNameError, match="ajar"):
        scene.with_door_states({"door": "half"})


def test_doors_of_scenes_far_from_the_origin_are_where_they_should_be():
    near = two_rooms()
    away = np.array([5e5, 0.0, -3e5])
    far = Scene(vertices=near.vertices + away, faces=near.faces, materials=near.materials, material=near.material)
    moved = a_door().moved(away)
    for state in ("open", "closed"):
        scene = far.with_doors([moved], {"door": state})
        middle = moved.center[None]
        assert scene.triangles.occluded(middle - [0.3, 0, 0], middle + [0.3, 0, 0])[0] == (state == "closed")
        assert scene.local.leaves[0].contains(middle - scene.origin)[0] == (state == "closed")


def test_edges_see_each_other_where_a_leaf_has_rested():
    home = generate_home(110, split="train")
    closed = home.with_door_states({"door 1": "closed"})
    graph = EdgeGraph.build(home).with_leaves(closed)
    linked = np.zeros((len(graph.edges), len(graph.edges)), bool)
    linked[np.repeat(np.arange(len(graph.edges)), np.diff(graph.borders)), graph.neighbours] = True
    assert np.array_equal(linked, link_edges(closed.triangles, graph.table))


def test_materials_are_not_exchanged_under_leaves():
    closed = two_rooms().with_doors([a_door()], {"door": "closed"})
    with pytest.raises(SceneError, match="leaves of doors stand"):
        closed.with_materials(closed.materials, closed.material)
