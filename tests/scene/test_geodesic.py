import numpy as np
import pytest
import trimesh

from harken.errors import NavigationError
from harken.scene import AcousticMaterial, Scene
from harken.scene.floor.walkable import Body, WalkableFloor

RADIUS = 0.2
PLAIN = AcousticMaterial(name="plain", absorption=(0.1,))

# Rectangles x0, z0, x1, z1 [m]: the first is the room, whose inside is free; the others stand in it.
LAYOUTS = {
    "corridor in an L": [(0, 0, 6, 6), (1.2, 1.2, 6, 6)],
    "room with pillars": [(0, 0, 7, 5), (1, 1, 1.6, 1.6), (2.5, 2, 3, 2.5), (4, 0.7, 4.5, 2.2), (5, 3, 5.3, 3.3),
                          (2, 3.4, 3.6, 3.9)],
    "U": [(0, 0, 5, 6), (1.5, 1, 1.7, 6), (1.7, 3, 3.3, 3.2), (3.3, 1, 3.5, 6)],
    "two rooms with a door": [(0, 0, 8, 4), (3.95, 0, 4.05, 1.05), (3.95, 1.95, 4.05, 4)],
    "zigzag": [(0, 0, 9, 4), (1.5, 0, 1.6, 2.8), (3.5, 1.2, 3.6, 4), (5.5, 0, 5.6, 3), (7.5, 1, 7.6, 4)],
}  # fmt: skip
ANGLES = [0.0, 0.3, 0.785]


def turned(points, angle):
    """Turn points (n, 2) in the plan."""
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(points) @ np.array([[c, s], [-s, c]])


def box(lower, upper):
    lower, upper = np.array(lower, float), np.array(upper, float)
    return trimesh.creation.box(bounds=np.stack([lower, upper]))


def layout_scene(rectangles, angle):
    x0, z0, x1, z1 = rectangles[0]
    t, h = 0.15, 2.6
    parts = [box((x0 - t, -0.1, z0 - t), (x1 + t, 0, z1 + t)), box((x0 - t, h, z0 - t), (x1 + t, h + 0.1, z1 + t))]
    walls = [(x0 - t, z0 - t, x0, z1 + t), (x1, z0 - t, x1 + t, z1 + t), (x0, z0 - t, x1, z0), (x0, z1, x1, z1 + t)]
    parts += [box((a, 0, b), (c, h, d)) for a, b, c, d in walls + rectangles[1:]]
    mesh = trimesh.util.concatenate(parts)
    vertices = np.array(mesh.vertices)
    vertices[:, [0, 2]] = turned(vertices[:, [0, 2]], angle)
    return Scene(vertices=vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(len(mesh.faces), np.int32))


class ExactDistance:
    """Shortest ways of a disc among rectangles: a visibility graph over finely divided arcs around the corners."""

    def __init__(self, rectangles, radius, division=np.pi / 60):
        self.radius = radius
        room, inner = rectangles[0], rectangles[1:]
        x0, z0, x1, z1 = room
        rings = [np.array([(a, b), (c, b), (c, d), (a, d)], float) for a, b, c, d in [room, *inner]]
        self.a = np.concatenate(rings)
        self.b = np.concatenate([np.roll(ring, -1, 0) for ring in rings])
        around = np.arange(0, 2 * np.pi, division)
        # A hair outside the circle, so that the chords between neighbours touch it.
        circle = radius / np.cos(division / 2) * np.stack([np.cos(around), np.sin(around)], 1)
        nodes = np.concatenate([corner + circle for ring in rings[1:] for corner in ring])
        inside = (nodes > (x0, z0)).all(1) & (nodes < (x1, z1)).all(1)
        for a, b, c, d in inner:
            inside &= ~((nodes > (a, b)) & (nodes < (c, d))).all(1)
        nodes = nodes[inside]
        self.nodes = nodes[self.free(nodes, nodes)]
        self.graph = self.lengths(self.nodes, self.nodes)

    def free(self, p, q):
        """Whether the discs along the segments p–q (n, 2) stay clear of all edges."""
        least = np.full(len(p), np.inf)
        for a, b in zip(self.a, self.b, strict=True):
            for point, u, v in ((p, a, b), (q, a, b), (a, p, q), (b, p, q)):
                along = v - u
                share = ((point - u) * along).sum(-1) / np.maximum((along * along).sum(-1), 1e-18)
                nearest = u + np.clip(share, 0, 1)[:, None] * along
                least = np.minimum(least, np.linalg.norm(point - nearest, axis=-1))
            crosses = (side(a, b, p) * side(a, b, q) < 0) & (side(p, q, a) * side(p, q, b) < 0)
            least[crosses] = 0
        return least > self.radius - 1e-6

    def lengths(self, p, q):
        """Lengths (len(p), len(q)) of the straight ways, inf where something is in between."""
        i, j = (index.ravel() for index in np.indices((len(p), len(q))))
        length = np.linalg.norm(p[i] - q[j], axis=1)
        length[~self.free(p[i], q[j])] = np.inf
        return length.reshape(len(p), len(q))

    def distances(self, goal, points):
        """Exact distances from points (n, 2) to a goal (2,)."""
        from scipy.sparse.csgraph import dijkstra

        size = len(self.nodes)
        graph = np.full((size + 1, size + 1), np.inf)
        graph[:size, :size] = self.graph
        graph[:size, size] = graph[size, :size] = self.lengths(self.nodes, goal[None])[:, 0]
        at_nodes = dijkstra(np.where(np.isfinite(graph), graph, 0), indices=size)
        to_nodes = self.lengths(points, np.vstack([self.nodes, goal]))
        return (to_nodes + at_nodes).min(1)


def side(a, b, p):
    return (b[..., 0] - a[..., 0]) * (p[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (p[..., 0] - a[..., 0])


@pytest.fixture(scope="module")
def exact():
    return {name: ExactDistance(rectangles, RADIUS) for name, rectangles in LAYOUTS.items()}


def layout_floor(name, angle):
    """The floor of a layout and the island of its way through (a block's hollow inside is another)."""
    floor = WalkableFloor.build(layout_scene(LAYOUTS[name], angle))
    x, z = turned([(0.6, 0.6)], angle)[0]
    return floor, floor.island((x, 0, z))


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("name", LAYOUTS)
def test_distances_agree_with_the_exact_visibility_graph(exact, name, angle):
    floor, island = layout_floor(name, angle)
    rng = np.random.default_rng(3)
    absolute, relative = [], []
    for _ in range(2):
        goal = floor.random_point(rng, island=island)
        points = np.array([floor.random_point(rng, island=island) for _ in range(100)])
        found = floor.distance_field(goal).distances(points)
        true = exact[name].distances(turned(goal[None, [0, 2]], -angle)[0], turned(points[:, [0, 2]], -angle))
        # A point less than the exactness of the edge (2 mm) outside the true one has no exact distance.
        known = np.isfinite(true)
        assert known.mean() > 0.97
        absolute.append(found[known] - true[known])
        relative.append(absolute[-1] / np.maximum(true[known], 0.5))
    absolute, relative = np.concatenate(absolute), np.concatenate(relative)
    # Strings run round corners 2 mm from the edge, which costs a millimetre each. The edge itself is exact to 2 mm.
    assert absolute.min() > -2e-3
    assert relative.mean() < 1e-3
    assert relative.max() < 5e-3


def test_exact_distance_is_right_for_a_single_corner():
    # Two straight lines touching a quarter of a circle, computed by hand.
    reference = ExactDistance([(0, 0, 6, 6), (2, 2, 6, 6)], 0.5)
    goal, start = np.array([4.0, 1.5]), np.array([[1.5, 4.0]])
    assert reference.distances(goal, start)[0] == pytest.approx(2 + 2 + 0.5 * np.pi / 2, rel=1e-4)


@pytest.mark.parametrize("angle", ANGLES)
def test_a_path_is_walkable_throughout_and_as_long_as_the_distance(angle):
    floor, island = layout_floor("zigzag", angle)
    rng = np.random.default_rng(5)
    for _ in range(10):
        start, goal = (floor.random_point(rng, island=island) for _ in range(2))
        path = floor.shortest_path(start, goal)
        assert path.points[0] == pytest.approx(start)
        assert path.points[-1] == pytest.approx(goal)
        assert path.length == pytest.approx(floor.distance_field(goal).distance(start), abs=1e-9)
        for a, b in zip(path.points[:-1], path.points[1:], strict=True):
            for share in np.linspace(0, 1, 2 + int(100 * np.linalg.norm(b - a))):
                assert floor.is_walkable(a + share * (b - a))


@pytest.mark.parametrize("angle", ANGLES)
def test_distance_falls_steadily_on_the_way_to_the_goal(angle):
    floor, island = layout_floor("room with pillars", angle)
    rng = np.random.default_rng(6)
    for _ in range(20):
        start, goal = (floor.random_point(rng, island=island) for _ in range(2))
        field = floor.distance_field(goal)
        points = field.path(start).points
        along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        at = np.arange(0, along[-1], 0.25)
        steps = np.stack([np.interp(at, along, points[:, k]) for k in range(3)], 1)
        # What a step gains is its own length, to within the exactness of the distances.
        assert -np.diff(field.distances(steps)) == pytest.approx(0.25, abs=0.012)


def test_distance_changes_no_faster_than_the_point_moves():
    floor, island = layout_floor("U", 0.3)
    rng = np.random.default_rng(7)
    field = floor.distance_field(floor.random_point(rng, island=island))
    points = np.array([floor.random_point(rng, island=island) for _ in range(2000)])
    moved = np.array([floor.move(point, (0.05, 0, 0.02))[0] for point in points])
    change = np.abs(field.distances(moved) - field.distances(points))
    way = np.linalg.norm(moved - points, axis=1)
    assert (change - way).max() < 0.02
    # Beyond the exactness of the distances only where the known corner changes, which is rare.
    assert np.mean(change > way + 2e-3) < 0.01


def test_distance_to_several_goals_is_that_to_the_nearest():
    floor, island = layout_floor("two rooms with a door", 0.3)
    rng = np.random.default_rng(8)
    goals = np.array([floor.random_point(rng, island=island) for _ in range(3)])
    points = np.array([floor.random_point(rng, island=island) for _ in range(100)])
    each = np.array([floor.distance_field(goal).distances(points) for goal in goals])
    together = floor.distance_field(goals)
    assert together.distances(points) == pytest.approx(each.min(0), abs=0.02)
    assert together.distance(goals[1]) == 0.0


def two_storeys(rises=16, rise=0.18, run=0.28):
    """Stairs along +x between two walls, and above their lower floor a gallery that leads back."""
    top, end, wide = rises * rise, 3 + (rises - 1) * run, 1.2
    parts = [box((0, -0.2, 0), (end + 2, 0, wide)), box((-0.1, -0.2, -0.1), (end + 2, 6, 0))]
    parts += [box((3 + k * run, 0, 0), (end, (k + 1) * rise, wide)) for k in range(rises - 1)]
    parts += [box((end, top - 0.2, 0), (end + 2, top, 2 * wide)), box((0, top - 0.2, wide), (end, top, 2 * wide))]
    parts += [box((0, 0, wide), (end, top + 1, wide + 0.1)), box((end, 0, 0), (end + 0.1, top - 0.2, wide))]
    mesh = trimesh.util.concatenate(parts)
    return Scene(
        vertices=mesh.vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(len(mesh.faces), np.int32)
    ), top


def test_a_way_leads_over_the_stairs_to_the_storey_above():
    scene, top = two_storeys()
    floor = WalkableFloor.build(scene)
    below, above = (1, 0, 0.6), (1, top, 1.8)
    path = floor.shortest_path(below, above)
    # Along the floor to the stairs, up the slope, round the end of the wall and back along the gallery.
    slope = np.hypot(15 * 0.28, top)
    assert 2 + slope < path.length < 2 + slope + 2 + 0.8 + 6.4
    assert path.points[0][1] == 0.0
    assert path.points[-1][1] == pytest.approx(top)
    assert path.points[:, 0].max() > 3 + 15 * 0.28
    back = floor.distance_field(below).distance(above)
    assert back == pytest.approx(path.length, rel=5e-3)


def test_distance_without_a_way_is_infinite_and_a_path_is_an_error():
    parts = [box((0, -0.1, 0), (3, 0, 3)), box((5, -0.1, 0), (8, 0, 3))]
    mesh = trimesh.util.concatenate(parts)
    faces = len(mesh.faces)
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(faces, np.int32))
    floor = WalkableFloor.build(scene)
    field = floor.distance_field((1, 0, 1))
    assert field.distance((6, 0, 1)) == np.inf
    assert np.isnan(field.distances(np.array([[4.0, 0, 1]]))[0])
    with pytest.raises(NavigationError, match="different islands"):
        field.path((6, 0, 1))
    with pytest.raises(NavigationError, match=r"islands 1 \(6\.\d m²\) and 0 \(6\.\d m²\)|islands 0 .* and 1 "):
        floor.shortest_path((6, 0, 1), (1, 0, 1))
    for point in ((4, 0, 1), (np.nan, 0, 1)):
        with pytest.raises(NavigationError, match="not on the floor"):
            field.distance(point)


@pytest.mark.parametrize("goal", [np.zeros((0, 3)), np.zeros((2, 2)), 1.0])
def test_goals_of_the_wrong_shape_are_refused(goal):
    floor, _ = layout_floor("U", 0.0)
    with pytest.raises(NavigationError, match="shape"):
        floor.distance_field(goal)


def test_a_field_is_kept_for_the_next_time_and_not_for_ever():
    floor, island = layout_floor("U", 0.0)
    rng = np.random.default_rng(9)
    goals = [floor.random_point(rng, island=island) for _ in range(70)]
    first = floor.distance_field(goals[0])
    assert floor.distance_field(goals[0]) is first
    for goal in goals[1:]:
        floor.distance_field(goal)
    again = floor.distance_field(goals[0])
    assert again is not first
    points = np.array([floor.random_point(rng, island=island) for _ in range(50)])
    assert again.distances(points).tobytes() == first.distances(points).tobytes()


def test_narrow_bodies_and_coarse_cells_stay_within_two_percent(exact):
    name, angle = "two rooms with a door", 0.3
    floor = WalkableFloor.build(layout_scene(LAYOUTS[name], angle), Body(radius=RADIUS), cell=0.1)
    rng = np.random.default_rng(10)
    goal, points = floor.random_point(rng), np.array([floor.random_point(rng) for _ in range(100)])
    true = exact[name].distances(turned(goal[None, [0, 2]], -angle)[0], turned(points[:, [0, 2]], -angle))
    known = np.isfinite(true)
    assert floor.distance_field(goal).distances(points)[known] == pytest.approx(true[known], rel=0.02, abs=0.01)
