"""Shortest ways and walked ways have one measure, so that the shortest way walked is as long as it is said to be."""

import numpy as np
import pytest
import trimesh

from harken.errors import NavigationError
from harken.scene import AcousticMaterial, FloorGround, GridGround, NavigationGraph, Scene, WalkableFloor

PLAIN = AcousticMaterial(name="plain", absorption=(0.1,))
BEGIN = 3.0
"""Where slopes and stairs begin along x [m]."""


def box(x0, y0, z0, x1, y1, z1):
    return trimesh.creation.box(bounds=[(x0, y0, z0), (x1, y1, z1)])


def build(parts):
    mesh = trimesh.util.concatenate(parts)
    faces = len(mesh.faces)
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(faces, np.int32))
    return WalkableFloor.build(scene)


def corridor(end, top, width=1.2):
    """A lower floor, an upper floor behind `end`, and the walls along both."""
    walls = [box(0, 0, z, end + 3, top + 2.5, z + 0.1) for z in (-0.1, width)]
    return [box(0, -0.2, 0, BEGIN, 0, width), box(end, 0, 0, end + 3, top, width), *walls]


def stairs(risers, rise, run, width=1.2):
    end, top = BEGIN + (risers - 1) * run, risers * rise
    steps = [box(BEGIN + k * run, 0, 0, end, (k + 1) * rise, width) for k in range(risers - 1)]
    return build([*corridor(end, top), *steps]), end, top


def ramp(length, top, width=1.2):
    end = BEGIN + length
    corners = [(BEGIN, 0, 0), (end, top, 0), (end, top, width), (BEGIN, 0, width)]
    slope = trimesh.Trimesh(np.array(corners, float), [(0, 2, 1), (0, 3, 2)], process=False)
    return build([*corridor(end, top), slope]), end, top


def walk(ground, start, goal, step=0.25):
    """Walk along +x to the goal's x; return the sum of the lengths of the steps."""
    place, total = start, 0.0
    while place[0] < goal[0] - 1e-6:
        end, collided = ground.move(place, -np.pi / 2, min(step, goal[0] - place[0]))
        assert not collided
        total += ground.length(place, end)
        place = end
    assert place == pytest.approx(goal, abs=1e-3)
    return total


@pytest.mark.parametrize(("risers", "rise", "run"), [(12, 0.17, 0.29), (16, 0.18, 0.27), (10, 0.15, 0.32)])
def test_stairs_are_as_long_as_the_slope_over_their_edges(risers, rise, run):
    floor, end, top = stairs(risers, rise, run)
    ground = FloorGround(floor)
    start, goal = floor.snap((1.0, 0, 0.6)), floor.snap((end + 2.0, top, 0.6))
    # From the middle of a tread before the first riser to that behind the last; the rest is level.
    slope, level = risers * run, goal[0] - start[0] - risers * run
    expected = level + np.hypot(slope, top)
    shortest = ground.distance(start, goal)
    # The averaging rounds the bends at both ends of the slope, by about a centimetre each.
    assert shortest == pytest.approx(expected, abs=0.03)
    assert ground.distance(goal, start) == pytest.approx(shortest, abs=1e-3)
    for step in (0.1, 0.25, 0.7):
        assert walk(ground, start, goal, step) == pytest.approx(shortest, rel=1e-4)
    assert floor.shortest_path(start, goal).length == shortest


def test_the_stairs_of_the_report_have_the_right_length():
    floor, _, top = stairs(12, 0.17, 0.29)
    start, goal = floor.snap((1.0, 0, 0.6)), floor.snap((8.48, top, 0.6))
    assert floor.distance_field(goal).distance(start) == pytest.approx(8.034, abs=0.02)
    assert walk(FloorGround(floor), start, goal) == pytest.approx(8.034, abs=0.02)


@pytest.mark.parametrize(("length", "top"), [(5.0, 1.0), (3.0, 2.5)])
def test_ramps_are_as_long_as_their_slope(length, top):
    floor, end, top = ramp(length, top)
    start, goal = floor.snap((1.0, 0, 0.6)), floor.snap((end + 2.0, top, 0.6))
    shortest = floor.distance_field(goal).distance(start)
    # The averaging rounds the bends at both ends: the more, the steeper.
    assert shortest == pytest.approx(4.0 + np.hypot(length, top), rel=0.006)
    assert shortest <= 4.0 + np.hypot(length, top)
    assert walk(FloorGround(floor), start, goal) == pytest.approx(shortest, rel=1e-4)
    # Off the middle the way bends in the plan, and its pieces still add up.
    there = floor.snap((end + 1.5, top, 0.9))
    way = floor.shortest_path(floor.snap((1.5, 0, 0.3)), there)
    pieces = [floor.length(a, b) for a, b in zip(way.points, way.points[1:], strict=False)]
    assert sum(pieces) == pytest.approx(way.length, rel=1e-3)


def test_distances_of_many_points_are_those_of_each_on_stairs():
    floor, end, top = stairs(12, 0.17, 0.29)
    field = floor.distance_field((end + 1.0, top, 0.6))
    rng = np.random.default_rng(2)
    points = np.array([floor.random_point(rng) for _ in range(30)])
    assert field.distances(points).tolist() == [field.distance(point) for point in points]
    # A step towards the goal brings it as much nearer as it is long.
    for point in points[points[:, 0] < end]:
        after, collided = floor.move(point, (0.2, 0, 0))
        if not collided and abs(point[2] - 0.6) < 0.05:
            assert field.distance(point) - field.distance(after) == pytest.approx(floor.length(point, after), rel=0.01)


def test_level_floors_measure_the_straight_distance():
    floor = build([box(0, -0.2, 0, 6, 0, 4), box(2, 0, 1, 3, 0.15, 2)])
    a, b = floor.snap((1.0, 0, 1.5)), floor.snap((2.5, 0.15, 1.5))
    assert floor.length(a, b) == np.linalg.norm(b - a)
    assert floor.distance_field(b).distance(a) == pytest.approx(np.linalg.norm(b - a), abs=1e-9)


def test_a_grid_on_a_ramp_counts_its_spacing():
    floor, _, _ = ramp(6.0, 1.2)
    ground = GridGround(NavigationGraph.build(floor, spacing=0.5))
    start = ground.snap((1.0, 0, 0.6))
    end, collided = ground.move(ground.snap((5.0, 0.4, 0.6)), -np.pi / 2, 0.5)
    assert not collided
    assert ground.length(ground.snap((5.0, 0.4, 0.6)), end) == 0.5
    assert ground.length(start, start) == 0.0


def test_a_length_from_off_the_floor_is_refused():
    floor, _, _ = stairs(12, 0.17, 0.29)
    with pytest.raises(NavigationError):
        floor.length((1e30, 0, 0), (1, 0, 0.6))
    with pytest.raises(NavigationError):
        floor.length("abc", (1, 0, 0.6))
