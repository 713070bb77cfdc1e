import pickle

import numpy as np
import pytest
import trimesh

from harken.errors import ConfigurationError, NavigationError
from harken.scene import AcousticMaterial, Scene
from harken.scene.floor.walkable import Body, WalkableFloor
from harken.scene.homes import generate_home

PLAIN = AcousticMaterial(name="plain", absorption=(0.1,))
RADIUS = 0.2


def box(x0, y0, z0, x1, y1, z1):
    return trimesh.creation.box(bounds=[(x0, y0, z0), (x1, y1, z1)])


def sheet(*corners):
    """A single surface from the corners of a quadrilateral."""
    return trimesh.Trimesh(vertices=np.array(corners, float), faces=[(0, 1, 2), (0, 2, 3)], process=False)


def room(width=6.0, depth=4.0, height=2.6, ceiling=True):
    """Slabs and walls around the free box from the origin to (width, height, depth)."""
    t = 0.2
    parts = [box(-t, -t, -t, width + t, 0, depth + t)]
    parts += [box(-t, 0, -t, 0, height, depth + t), box(width, 0, -t, width + t, height, depth + t)]
    parts += [box(0, 0, -t, width, height, 0), box(0, 0, depth, width, height, depth + t)]
    return parts + ([box(-t, height, -t, width + t, height + t, depth + t)] if ceiling else [])


def make_scene(parts, angle=0.0):
    mesh = trimesh.util.concatenate(parts)
    vertices = np.array(mesh.vertices)
    c, s = np.cos(angle), np.sin(angle)
    vertices[:, [0, 2]] = vertices[:, [0, 2]] @ np.array([[c, s], [-s, c]])
    return Scene(vertices=vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(len(mesh.faces), np.int32))


def build(parts, angle=0.0, **options):
    return WalkableFloor.build(make_scene(parts, angle), **options)


def stairs(risers, rise, run=0.28, width=1.2):
    """A lower floor, solid steps along +x from x = 3, and an upper floor behind them."""
    top, end = risers * rise, 3 + (risers - 1) * run
    parts = [box(0, -0.2, 0, end, 0, width)]
    parts += [box(3 + k * run, 0, 0, end, (k + 1) * rise, width) for k in range(risers - 1)]
    parts += [box(end, 0, 0, end + 3, top, width), box(0, 0, -0.1, end + 3, top + 2.5, 0)]
    return [*parts, box(0, 0, width, end + 3, top + 2.5, width + 0.1)]


@pytest.fixture(scope="module")
def empty_room():
    return build(room())


@pytest.fixture(scope="module")
def cluttered_room():
    parts = [box(1, 0, 1, 1.6, 1, 1.6), box(3, 0, 0, 3.1, 2.6, 2.4), box(4, 0, 2.8, 5, 0.5, 3.4)]
    return build(room() + parts, angle=0.4)


@pytest.mark.parametrize("angle", [0.0, 0.3, np.pi / 4])
@pytest.mark.parametrize("radius", [0.1, 0.2, 0.4])
def test_area_of_a_room_is_that_inside_the_walls_less_the_radius(angle, radius):
    floor = build(room(), angle, body=Body(radius=radius))
    # 2 mm along the whole edge of 19 m.
    assert floor.area == pytest.approx((6 - 2 * radius) * (4 - 2 * radius), abs=0.04)
    assert floor.islands[0].lower == floor.islands[0].upper == 0.0


def test_a_pillar_takes_its_own_area_and_a_rim_of_the_radius():
    floor = build([*room(), box(2, 0, 1.5, 2.6, 2.6, 2.3)], 0.5)
    taken = 0.6 * 0.8 + 2 * (0.6 + 0.8) * RADIUS + np.pi * RADIUS**2
    assert floor.area == pytest.approx(5.6 * 3.6 - taken, abs=0.05)


def test_winding_doubled_triangles_and_thin_sheets_make_no_difference():
    parts = [sheet((0, 0, 0), (6, 0, 0), (6, 0, 4), (0, 0, 4))]
    parts += [sheet((0, 0, z), (6, 0, z), (6, 2.6, z), (0, 2.6, z)) for z in (0, 4)]
    parts += [sheet((x, 0, 0), (x, 0, 4), (x, 2.6, 4), (x, 2.6, 0)) for x in (0, 6)]
    once = build(parts)
    turned = [part.copy() for part in parts]
    for part in turned:
        part.invert()
    raised = [part.copy().apply_translation((0, 1e-5, 0)) for part in parts]
    for other in (build(turned), build(parts + turned), build(parts + raised)):
        assert other.area == pytest.approx(once.area, rel=1e-4)
    assert once.area == pytest.approx(5.6 * 3.6, abs=0.04)


@pytest.mark.parametrize("turned", [False, True])
def test_the_inside_of_a_large_solid_comes_after_the_room(turned):
    parts = [*room(), box(2, 0, 0, 6, 2.4, 4)]
    for part in parts if turned else ():
        part.invert()
    floor = build(parts)
    assert floor.island((1, 0, 2)) == 0
    assert floor.islands[floor.island((4, 0, 2))].area > 2 * floor.area


def test_cracks_between_triangles_are_no_edges():
    parts = [sheet((x, 0, 0), (x + 0.995, 0, 0), (x + 0.995, 0, 4), (x, 0, 4)) for x in range(6)]
    assert build(parts).area == pytest.approx(build([sheet((0, 0, 0), (6, 0, 0), (6, 0, 4), (0, 0, 4))]).area, rel=0.01)


def test_tables_and_roofs_are_islands_of_their_own_after_the_room():
    table = [
        box(2, 0.72, 1, 4, 0.75, 2),
        *(box(x, 0, z, x + 0.05, 0.72, z + 0.05) for x in (2, 3.95) for z in (1, 1.95)),
    ]
    floor = build(room() + table)
    top = [k for k, island in enumerate(floor.islands) if island.lower == pytest.approx(0.75)]
    roof = [k for k, island in enumerate(floor.islands) if island.lower > 2.6]
    assert floor.island((1, 0, 3)) == 0
    assert len(top) == len(roof) == 1
    assert floor.islands[roof[0]].area > floor.area
    assert floor.islands[roof[0]].covered == 0.0
    assert floor.islands[0].covered == 1.0
    assert not floor.is_walkable((3, 0, 1.5))
    rng = np.random.default_rng(0)
    assert all(floor.random_point(rng)[1] == 0.0 for _ in range(100))
    assert [storey.height for storey in floor.storeys] == [0.0]


@pytest.mark.parametrize(("under", "passes"), [(1.6, True), (1.4, False)])
def test_a_body_passes_under_a_beam_that_is_higher_than_itself(under, passes):
    floor = build([*room(), box(2.5, under, 0, 3.5, 2.6, 4)])
    assert (floor.island((1, 0, 2)) == floor.island((5, 0, 2))) is passes


@pytest.mark.parametrize(("width", "passes"), [(0.5, True), (0.36, False)])
def test_a_body_passes_a_door_that_is_wider_than_itself(width, passes):
    walls = [box(2.95, 0, 0, 3.05, 2.6, 2 - width / 2), box(2.95, 0, 2 + width / 2, 3.05, 2.6, 4)]
    floor = build(room() + walls, 0.2)
    points = np.array([[1, 0, 2], [5, 0, 2]]) @ turn_matrix(0.2)
    assert (floor.island(points[0]) == floor.island(points[1])) is passes


def turn_matrix(angle):
    """What `make_scene` does to positions: rows times this."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])


@pytest.mark.parametrize(("degrees", "walkable"), [(30, True), (44, True), (50, False)])
def test_slopes_are_floor_up_to_45_degrees(degrees, walkable):
    rise = 2 * np.tan(np.deg2rad(degrees))
    parts = [box(0, -0.1, 0, 3, 0, 2), sheet((3, 0, 0), (5, rise, 0), (5, rise, 2), (3, 0, 2))]
    floor = build([*parts, box(5, rise - 0.1, 0, 8, rise, 2)])
    assert (floor.island((1, 0, 1)) == floor.island((7, rise, 1))) is walkable


def test_stairs_join_two_storeys_and_are_walked_up_and_down():
    floor = build(stairs(16, 0.18))
    assert floor.islands[0].lower == 0.0
    assert floor.islands[0].upper == pytest.approx(16 * 0.18)
    assert [storey.height for storey in floor.storeys][:: len(floor.storeys) - 1] == pytest.approx([0, 16 * 0.18])
    point, heights = np.array([1.0, 0, 0.6]), [0.0]
    for _ in range(33):
        point, collided = floor.move(point, (0.25, 0, 0))
        assert not collided
        heights.append(point[1])
    assert point == pytest.approx([9.25, 16 * 0.18, 0.6])
    assert np.diff(heights).max() < 0.25
    assert np.diff(heights).min() >= 0.0
    for _ in range(33):
        point, _ = floor.move(point, (-0.25, 0, 0))
    assert point == pytest.approx([1, 0, 0.6])


def test_steps_higher_than_the_body_takes_separate_storeys():
    floor = build(stairs(10, 0.3))
    assert floor.island((1, 0, 0.6)) != floor.island((7, 3.0, 0.6))
    low = build(stairs(10, 0.3), body=Body(step=0.32))
    assert low.island((1, 0, 0.6)) == low.island((7, 3.0, 0.6))


def test_a_move_in_the_open_arrives_exactly(empty_room):
    end, collided = empty_room.move((1, 0, 1), (1.5, 0, 0.5))
    assert end == pytest.approx([2.5, 0, 1.5], abs=1e-12)
    assert not collided


def test_the_height_of_a_displacement_does_not_matter(empty_room):
    assert empty_room.move((1, 0, 1), (0.5, 9, 0))[0] == pytest.approx([1.5, 0, 1])


@pytest.mark.parametrize("distance", [1.0, 50.0])
def test_a_wall_stops_the_body_at_its_radius(distance):
    for angle in (0.0, 0.3, 0.785):
        floor = build(room(), angle)
        start = np.array([5, 0, 2.0]) @ turn_matrix(angle)
        end, collided = floor.move(start, np.array([distance, 0, 0]) @ turn_matrix(angle))
        x, _, z = end @ turn_matrix(angle).T
        # The edge is exact to 2 mm; its unevenness lets the body creep sideways under 50 m of pushing.
        assert x == pytest.approx(6 - RADIUS, abs=2e-3)
        assert z == pytest.approx(2, abs=0.01)
        assert collided


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.785])
def test_a_body_slides_along_a_wall(angle):
    floor, turn = build(room(), angle), turn_matrix(angle)
    start = np.array([2, 0, 4 - RADIUS - 0.01]) @ turn
    end, collided = floor.move(start, np.array([1.0, 0, 0.8]) @ turn)
    assert collided
    # The component along the wall is kept: exactly in the plane, within 2 % on the interpolated edge.
    assert end @ turn.T == pytest.approx([3, 0, 4 - RADIUS], abs=0.02)


def test_moves_never_leave_the_floor_and_never_pass_a_wall(cluttered_room):
    rng, floor = np.random.default_rng(1), cluttered_room
    for _ in range(20):
        point = floor.random_point(rng)
        for _ in range(200):
            before = point
            point, collided = floor.move(point, rng.normal(0, 0.6, 3))
            assert floor.is_walkable(point)
            assert floor.clearance(point) >= RADIUS
            assert floor.island(point) == 0
            assert collided or np.linalg.norm(point - before) > 0


def test_a_sheet_without_thickness_is_a_wall():
    floor = build([*room(), sheet((3, 0, 0), (3, 0, 4), (3, 2.6, 4), (3, 2.6, 0))])
    rng, point = np.random.default_rng(2), np.array([1.0, 0, 2])
    for _ in range(500):
        point, _ = floor.move(point, rng.normal(0.5, 1.0, 3))
        assert point[0] < 3 - RADIUS + 2e-3


def test_clearance_is_the_distance_to_the_nearest_wall(empty_room):
    for x, z, expected in ((3, 2, 2), (1, 2, 1), (0.5, 3.6, 0.4), (5.5, 1.1, 0.5)):
        # Halfway between two walls the ridge runs between nodes, half a cell lower.
        assert empty_room.clearance((x, 0, z)) == pytest.approx(expected, abs=0.026)


def test_snap_goes_to_the_nearest_point_of_the_floor(empty_room):
    assert empty_room.snap((2, 0.7, 1)) == pytest.approx([2, 0, 1])
    assert empty_room.snap((5.95, 0.1, 2)) == pytest.approx([5.8, 0, 2], abs=3e-3)
    assert empty_room.snap((-0.3, 0, -0.3)) == pytest.approx([0.2, 0, 0.2], abs=0.05 / 3)
    assert empty_room.is_walkable(empty_room.snap((-0.3, 0, -0.3)))


def test_snap_can_be_kept_off_the_table():
    floor = build([*room(), box(2, 0.72, 1, 4, 0.75, 2.5)])
    on_table, beside = floor.snap((2.5, 0.9, 1.5)), floor.snap((2.5, 0.9, 1.5), reach=2, island=0)
    assert on_table == pytest.approx([2.5, 0.75, 1.5])
    assert beside[1] == 0.0
    assert floor.island(beside) == 0


def test_snap_says_how_far_the_floor_is(empty_room):
    with pytest.raises(NavigationError, match=r"2\.2\d m away"):
        empty_room.snap((8, 0, 2), reach=1.0)


def test_random_points_are_uniform_over_the_area(cluttered_room):
    rng = np.random.default_rng(3)
    points = np.array([cluttered_room.random_point(rng) for _ in range(4000)])
    assert all(cluttered_room.is_walkable(point) for point in points[:200])
    cells = cluttered_room.cells
    for axis in (0, 2):
        for quantile in (0.25, 0.5, 0.75):
            # Cells stand for the area to within their width; 4000 draws scatter by 0.8 % (1 σ).
            share = (points[:, axis] < np.quantile(cells[:, axis], quantile)).mean()
            assert share == pytest.approx(quantile, abs=0.035)


def test_cells_cover_the_first_island(empty_room):
    assert len(empty_room.cells) * empty_room.cell**2 == pytest.approx(empty_room.area, rel=0.02)
    assert empty_room.cells.dtype == np.float32


def test_the_same_scene_gives_the_same_bytes(cluttered_room):
    parts = [box(1, 0, 1, 1.6, 1, 1.6), box(3, 0, 0, 3.1, 2.6, 2.4), box(4, 0, 2.8, 5, 0.5, 3.4)]
    again = build(room() + parts, angle=0.4)
    for one, other in zip(cluttered_room.grid[:3], again.grid[:3], strict=True):
        assert one.tobytes() == other.tobytes()
    draws = [floor.random_point(np.random.default_rng(7)).tobytes() for floor in (cluttered_room, again)]
    assert draws[0] == draws[1]


def test_a_floor_survives_pickling(cluttered_room):
    cluttered_room.distance_field(cluttered_room.cells[0])
    copy = pickle.loads(pickle.dumps(cluttered_room))
    assert copy.islands == cluttered_room.islands
    goal, start = cluttered_room.cells[0], cluttered_room.cells[-1]
    assert copy.distance_field(goal).distance(start) == cluttered_room.distance_field(goal).distance(start)


def test_large_scenes_are_sampled_more_coarsely_and_say_so(caplog):
    floor = build([sheet((0, 0, 0), (100, 0, 0), (100, 0, 100), (0, 0, 100))])
    assert 0.05 < floor.cell <= 0.1
    assert "100 × 100 m" in caplog.text
    assert floor.area == pytest.approx(99.6**2, rel=2e-3)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([box(0, 0, 0, 0.1, 3, 5)], "no floor"),
        ([box(0, 0, 0, 1.0, 0.1, 1.0)], r"only 0\.3\d m² of floor"),
        ([sheet((0, 0, 0), (3, 5, 0), (3, 5, 4), (0, 0, 4))], "no floor"),
        ([sheet((0, 0, 0), (0, 5, 0), (5, 5, 0), (5, 0, 0))], "no floor.*y points up"),
        ([box(0, 0, 0, 9000, 2600, 7000)], "unit is the metre"),
    ],
)
def test_scenes_without_floor_are_refused(parts, message):
    with pytest.raises(NavigationError, match=message):
        build(parts)


@pytest.mark.parametrize(
    "measures",
    [{"radius": 0.0}, {"radius": 0.6}, {"radius": float("nan")}, {"height": 0.1}, {"height": 5}, {"step": 0},
     {"step": 0.45, "height": 0.8}],
)  # fmt: skip
def test_silly_bodies_are_refused(measures):
    with pytest.raises(ConfigurationError, match=r"Body\.(radius|height|step) is"):
        Body(**measures)


@pytest.mark.parametrize("cell", [0.0, -1.0, 0.2, float("nan")])
def test_silly_cells_are_refused(cell):
    with pytest.raises(ConfigurationError, match="cell is"):
        build(room(), cell=cell)


BAD_POINTS = [(7, 0, 2), (3, 1.5, 2), (0.1, 0, 0.1), (np.nan, 0, 1), (1, np.nan, 1), (np.inf, 0, 0), (1e30, 0, 1)]


@pytest.mark.parametrize("point", BAD_POINTS)
def test_points_off_the_floor_are_refused(empty_room, point):
    assert not empty_room.is_walkable(point)
    calls = [empty_room.island, empty_room.clearance, empty_room.distance_field]
    calls += [lambda p: empty_room.move(p, (1, 0, 0)), lambda p: empty_room.shortest_path(p, (1, 0, 1))]
    calls += [lambda p: empty_room.shortest_path((1, 0, 1), p)]
    for call in calls:
        with pytest.raises(NavigationError, match=r"is not on the floor|is not a place"):
            call(point)


@pytest.mark.parametrize("displacement", [(np.nan, 0, 0), (0, 0, np.inf)])
def test_displacements_that_are_not_finite_are_refused(empty_room, displacement):
    with pytest.raises(NavigationError, match="not finite"):
        empty_room.move((1, 0, 1), displacement)


@pytest.mark.parametrize("point", [(1, 2), 3.0, "here", None, (1, 2, 3, 4)])
def test_things_that_are_no_points_are_refused(empty_room, point):
    with pytest.raises(NavigationError, match="three coordinates"):
        empty_room.is_walkable(point)


def test_unknown_islands_are_refused(empty_room):
    with pytest.raises(NavigationError, match="Island 99 does not exist"):
        empty_room.random_point(np.random.default_rng(0), island=99)
    with pytest.raises(NavigationError, match="Island -1 does not exist"):
        empty_room.snap((1, 0, 1), island=-1)


@pytest.mark.parametrize("seed", [19, 20, 21, 22])
def test_a_body_never_walks_to_where_no_way_leads_back(seed):
    floor = WalkableFloor.build(generate_home(seed, split="test"))
    rng = np.random.default_rng(seed)
    goal = floor.random_point(rng)
    field = floor.distance_field(goal)
    position, heading = floor.random_point(rng), 0.0
    for _ in range(4000):
        end, collided = floor.move(position, 0.25 * np.array([-np.sin(heading), 0.0, -np.cos(heading)]))
        if collided:
            heading += rng.uniform(0.1, 3.0)
        position = end
        assert floor.island(position) == 0
        assert np.isfinite(field.distance(position))


def test_islands_are_told_apart_and_tops_and_roofs_are_not_counted():
    table = box(2, 0.0, 1, 4, 0.75, 2)
    floor = build([*room(), table])
    kinds = dict(zip(floor.kinds, floor.islands, strict=True))
    assert floor.kinds[0] == "floor"
    assert sorted(floor.kinds) == ["floor", "outside", "top"]
    assert kinds["top"].lower == pytest.approx(0.75)
    assert kinds["outside"].lower == pytest.approx(2.8)
    told = floor.describe()
    assert f"{floor.area:.1f} m² in 1 pieces:" in told
    assert "not counted: 1 tops of furniture and gaps beside it" in told
    assert "not counted: 1 roofs" in told


def test_two_storeys_apart_are_both_floor():
    floor = build([*stairs(10, 0.3), box(0, 5.6, -0.1, 8.6, 5.7, 1.3)])
    assert floor.kinds.count("floor") == 2


def test_a_floor_prints_as_one_short_line(empty_room):
    assert repr(empty_room) == (
        "<WalkableFloor of 'scene': 20.2 m² for a body 1.5 m high with a radius of 0.2 m, 2 islands, sampled every "
        "0.05 m>"
    )
    assert len(repr(empty_room.distance_field((1, 0, 1)))) < 80


@pytest.mark.parametrize("far", [1e9, 1e15, 1e19, 1e30, 1e300, -1e9, -1e30, -1e300])
@pytest.mark.parametrize("axis", range(3))
def test_points_far_from_the_scene_are_refused_and_crash_nothing(empty_room, far, axis):
    point = np.array([1.0, 0.0, 1.0])
    point[axis] = far
    assert not empty_room.is_walkable(point)
    for call in (
        lambda: empty_room.snap(point),
        lambda: empty_room.island(point),
        lambda: empty_room.move(point, (1, 0, 0)),
        lambda: empty_room.distance_field(point),
        lambda: empty_room.distance_field((1, 0, 1)).distance(point),
        lambda: empty_room.clearance(point),
    ):
        with pytest.raises(NavigationError):
            call()
    assert np.isnan(empty_room.distance_field((1, 0, 1)).distances(point[None])).all()
    assert empty_room.is_walkable(empty_room.snap(point, reach=np.inf))


@pytest.mark.parametrize("distance", [1e3, 1e9, 1e15, 1e300])
def test_a_move_of_any_length_ends_at_the_wall(empty_room, distance):
    end, collided = empty_room.move((1, 0, 1), (distance, 0, 0))
    assert end == pytest.approx([5.8, 0, 1], abs=5e-3)
    assert collided


@pytest.mark.parametrize("point", ["abc", "123", ("1", "0", "1"), None, (None, 0, 1), [[1, 0, 1]], (1, 0), {}])
def test_what_is_no_point_is_refused_by_every_method(empty_room, point):
    for call in (
        lambda: empty_room.is_walkable(point),
        lambda: empty_room.snap(point),
        lambda: empty_room.move(point, (1, 0, 0)),
        lambda: empty_room.move((1, 0, 1), point),
        lambda: empty_room.distance_field((1, 0, 1)).distance(point),
        lambda: empty_room.length(point, (1, 0, 1)),
    ):
        with pytest.raises(NavigationError):
            call()
