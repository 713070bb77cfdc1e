"""The contract of `Ground`, once for every implementation: add a third to `GROUNDS` and it is held to all of it."""

import numpy as np
import pytest
import trimesh

from harken.errors import NavigationError
from harken.scene import AcousticMaterial, FloorGround, GridGround, Ground, NavigationGraph, Scene, WalkableFloor
from harken.scene.ground import forward_vector

STEP = 1.0
FAR = (1e9, 1e15, 1e19, 1e30, 1e300, -1e19, -1e300)


def build_floor() -> WalkableFloor:
    """Two rooms of 4 × 4 m with a door between them."""
    boxes = [
        (-0.1, -0.1, -0.1, 8.1, 0, 4.1), (-0.1, 2.5, -0.1, 8.1, 2.6, 4.1), (-0.1, 0, -0.1, 0, 2.5, 4.1),
        (8, 0, -0.1, 8.1, 2.5, 4.1), (0, 0, -0.1, 8, 2.5, 0), (0, 0, 4, 8, 2.5, 4.1),
        (3.95, 0, 0, 4.05, 2.5, 1.05), (3.95, 0, 1.95, 4.05, 2.5, 4),
    ]  # fmt: skip
    mesh = trimesh.util.concatenate([trimesh.creation.box(bounds=np.reshape(box, (2, 3))) for box in boxes])
    plain = AcousticMaterial(name="plain", absorption=(0.1,))
    material = np.zeros(len(mesh.faces), np.int32)
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(plain,), material=material)
    return WalkableFloor.build(scene)


GROUNDS = {
    "floor": FloorGround,
    "grid": lambda floor: GridGround(NavigationGraph.build(floor, spacing=STEP)),
}


@pytest.fixture(scope="module")
def floor() -> WalkableFloor:
    return build_floor()


@pytest.fixture(scope="module", params=GROUNDS)
def ground(request, floor) -> Ground:
    return GROUNDS[request.param](floor)


@pytest.fixture(scope="module")
def places(ground) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.array([ground.random_point(rng) for _ in range(40)])


def test_random_points_are_free_and_the_same_for_the_same_seed(ground, places):
    rng = np.random.default_rng(1)
    for place in places:
        assert place.shape == (3,)
        assert place.dtype == np.float64
        assert ground.is_free(place)
        assert np.array_equal(place, ground.random_point(rng))
    assert places[:, 0].min() < 3.0
    assert places[:, 0].max() > 5.0


def test_snap_leaves_free_places_where_they_are_and_brings_others_to_one(ground, places):
    for place in places:
        assert ground.snap(place) == pytest.approx(place, abs=1e-12)
    snapped = ground.snap((4.0, 0.1, 3.9))  # inside the wall
    assert snapped.dtype == np.float64
    assert ground.is_free(snapped)
    assert not ground.is_free((4.0, 0.0, 3.9))


def test_the_distance_to_several_goals_is_that_to_the_nearest(ground, places):
    goals, starts = places[:4], places[4:20]
    each = np.array([ground.distances(starts, goal) for goal in goals])
    assert ground.distances(starts, goals) == pytest.approx(each.min(0), abs=1e-9)
    for start, distance in zip(starts, each.min(0), strict=True):
        assert ground.distance(start, goals) == pytest.approx(distance, abs=1e-9)
    assert ground.distance(starts[0], goals[:1]) == pytest.approx(each[0, 0]), "and not what was asked for before"
    for goals in (np.zeros((0, 3)), np.zeros((2, 2))):
        with pytest.raises(NavigationError, match=r"expected \(3,\) or \(n, 3\)"):
            ground.distance(starts[0], goals)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("far", FAR)
def test_places_far_away_are_refused_and_nothing_crashes(ground, places, far, axis):
    place = places[0].copy()
    place[axis] = far
    assert not ground.is_free(place)
    assert np.isnan(ground.distances(place[None], places[1])).all()
    for call in (
        lambda: ground.snap(place),
        lambda: ground.move(place, 0.0, STEP),
        lambda: ground.distance(place, places[0]),
        lambda: ground.distance(places[0], place),
        lambda: ground.shortest_path(place, places[0]),
    ):
        with pytest.raises(NavigationError):
            call()


@pytest.mark.parametrize("bad", [(np.nan, 0.0, 0.0), (np.inf, 0.0, 0.0), (1.0, 2.0), "abc", ("a", "b", "c"), None])
def test_what_is_no_place_is_refused(ground, bad):
    for call in (lambda: ground.snap(bad), lambda: ground.move(bad, 0.0, STEP)):
        with pytest.raises(NavigationError):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, "north", None])
def test_what_is_no_heading_or_distance_is_refused(ground, places, bad):
    for call in (
        lambda: ground.turned(bad),
        lambda: ground.move(places[0], bad, STEP),
        lambda: ground.move(places[0], 0.0, bad),
    ):
        with pytest.raises(NavigationError):
            call()


def test_headings_stay_allowed_once_turned(ground):
    for heading in np.linspace(-7.0, 7.0, 29):
        turned = ground.turned(heading)
        assert abs(turned - heading) <= np.pi / 4 + 1e-12
        assert ground.turned(turned) == turned


def test_a_walk_ends_at_a_free_place_ahead(ground, places):
    moved = 0
    for place in places:
        for heading in np.arange(4) * np.pi / 2:
            end, collided = ground.move(place, heading, STEP)
            assert ground.is_free(end)
            if not collided:
                moved += 1
                assert end == pytest.approx(place + STEP * forward_vector(heading), abs=2e-3)
    assert moved > 40


def test_a_walk_of_any_length_ends(ground, places):
    for distance in (1e3, 1e9, 1e300):
        end, _ = ground.move(places[0], 0.3, distance)
        assert ground.is_free(end)


def test_distance_is_a_metric_and_no_shorter_than_the_straight_line(ground, places):
    for a, b, c in zip(places[::3], places[1::3], places[2::3], strict=False):
        there, back = ground.distance(a, b), ground.distance(b, a)
        assert there == pytest.approx(back, abs=0.02)
        assert there >= np.linalg.norm(a - b) - 1e-6
        assert ground.distance(a, c) <= there + ground.distance(b, c) + 0.02
        assert ground.distance(a, a) == 0.0


def test_a_way_that_is_walked_is_as_long_as_it_is_said_to_be(ground, places):
    walked = 0
    for place in places:
        for heading in np.arange(4) * np.pi / 2:
            end, collided = ground.move(place, heading, STEP)
            if not collided:
                walked += 1
                assert ground.length(place, end) == pytest.approx(ground.distance(place, end), abs=1e-6)
    assert walked > 40


def test_distances_are_those_of_each_place(ground, places):
    lengths = ground.distances(places, places[0])
    assert lengths.shape == (len(places),)
    assert lengths.dtype == np.float64
    assert lengths.tolist() == [ground.distance(place, places[0]) for place in places]


def test_the_shortest_path_has_the_length_of_the_distance_and_is_free(ground, places):
    for start, goal in zip(places[::2], places[1::2], strict=True):
        way = ground.shortest_path(start, goal)
        assert way[0] == pytest.approx(start, abs=1e-6)
        assert way[-1] == pytest.approx(goal, abs=1e-6)
        assert np.linalg.norm(np.diff(way, axis=0), axis=1).sum() == pytest.approx(ground.distance(start, goal))
        assert all(ground.is_free(point) for point in way)


def test_area_and_level_are_those_of_the_two_rooms(ground):
    # 25.92 m² for the middle of a body of 0.2 m, and the door.
    assert ground.area == pytest.approx(26.5, rel=0.25)
    assert ground.level == pytest.approx(0.0, abs=1e-6)


def test_asking_again_for_the_same_goal_costs_no_new_field(floor):
    ground = FloorGround(floor)
    goal = ground.snap((1.0, 0.0, 1.0))
    ground.distance(ground.snap((6.0, 0.0, 1.0)), goal)
    assert floor.distance_field(goal) is floor.distance_field(goal.copy())
