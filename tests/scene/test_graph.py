from itertools import pairwise

import numpy as np
import pytest
import trimesh
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from harken.errors import ConfigurationError, NavigationError
from harken.scene import AcousticMaterial, Scene
from harken.scene.floor.graph import NavigationGraph
from harken.scene.floor.walkable import WalkableFloor

PLAIN = AcousticMaterial(name="plain", absorption=(0.1,))


def build_floor(*boxes):
    """Floor of boxes, each given as x0, y0, z0, x1, y1, z1."""
    mesh = trimesh.util.concatenate([trimesh.creation.box(bounds=np.reshape(b, (2, 3))) for b in boxes])
    faces = len(mesh.faces)
    scene = Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(PLAIN,), material=np.zeros(faces, np.int32))
    return WalkableFloor.build(scene)


def rooms():
    """Two rooms with a door of 0.9 m whose middle lies on a half-integer coordinate, and a pillar."""
    shell = [(-0.1, -0.1, -0.1, 8.1, 0, 4.1), (-0.1, 2.5, -0.1, 8.1, 2.6, 4.1)]
    shell += [
        (-0.1, 0, -0.1, 0, 2.5, 4.1),
        (8, 0, -0.1, 8.1, 2.5, 4.1),
        (0, 0, -0.1, 8, 2.5, 0),
        (0, 0, 4, 8, 2.5, 4.1),
    ]
    wall = [(3.95, 0, 0, 4.05, 2.5, 1.05), (3.95, 0, 1.95, 4.05, 2.5, 4)]
    return [*shell, *wall, (6.3, 0, 2.3, 6.7, 2.5, 2.7)]


@pytest.fixture(scope="module")
def floor():
    return build_floor(*rooms())


@pytest.fixture(scope="module")
def graph(floor):
    return NavigationGraph.build(floor)


def test_nodes_lie_on_half_integers_where_that_serves_as_well_as_any(graph):
    # Four by four points in each room, less the one in the pillar.
    assert graph.nodes[:, [0, 2]] % 1 == pytest.approx(0.5, abs=1e-9)
    assert len(graph.nodes) == 31
    assert graph.neighbours.dtype == np.int32


def test_rooms_are_joined_through_the_door(graph):
    left, right = graph.nearest((3.5, 0, 1.5)), graph.nearest((4.5, 0, 1.5))
    assert graph.neighbours[left, 3] == right
    for z in (0.5, 2.5, 3.5):
        assert graph.neighbours[graph.nearest((3.5, 0, z)), 3] == -1


def test_neighbours_lie_one_step_ahead_and_one_step_back(floor, graph):
    for k, heading in enumerate((0, np.pi / 2, np.pi, 3 * np.pi / 2)):
        ahead = np.array([-np.sin(heading), 0, -np.cos(heading)])
        for n in np.flatnonzero(graph.neighbours[:, k] >= 0):
            m = graph.neighbours[n, k]
            assert graph.nodes[m] == pytest.approx(graph.nodes[n] + ahead)
            assert graph.neighbours[m, (k + 2) % 4] == n
            end, collided = floor.move(graph.nodes[n], ahead)
            assert end == pytest.approx(graph.nodes[m])
            assert not collided


def test_every_node_is_walkable_and_can_be_reached(floor, graph):
    assert all(floor.is_walkable(node) for node in graph.nodes)
    assert (graph.distance_field(0) >= 0).all()


def test_the_lattice_moves_to_where_most_nodes_fit():
    # Walkable from 1.05 to 1.25 across: of 1.1 and 1.2 the one nearer to a half-integer; from 1.05 to 9.65 along.
    shifted = build_floor((0.85, -0.1, 0.85, 9.85, 0, 1.45))
    graph = NavigationGraph.build(shifted)
    assert graph.nodes[:, 2] == pytest.approx(1.2)
    assert len(graph.nodes) == 9
    assert graph.nodes[:, 0] == pytest.approx(np.arange(1.5, 10))


@pytest.mark.parametrize("spacing", [0.5, 1.0])
def test_distances_are_those_of_dijkstra(floor, spacing):
    graph = NavigationGraph.build(floor, spacing=spacing)
    rows, headings = np.nonzero(graph.neighbours >= 0)
    columns = graph.neighbours[rows, headings]
    matrix = csr_array((np.full(len(rows), spacing), (rows, columns)), shape=(len(graph.nodes),) * 2)
    for node in (0, len(graph.nodes) // 2):
        assert graph.distance_field(node) == pytest.approx(dijkstra(matrix, indices=node))


def test_a_shortest_path_goes_from_neighbour_to_neighbour(graph):
    to_goal = graph.distance_field(len(graph.nodes) - 1)
    path = graph.shortest_path(0, len(graph.nodes) - 1)
    assert (path[0], path[-1]) == (0, len(graph.nodes) - 1)
    assert (len(path) - 1) * graph.spacing == to_goal[0]
    assert all(b in graph.neighbours[a] for a, b in pairwise(path))
    assert graph.shortest_path(3, 3) == [3]


def test_the_graph_keeps_to_the_first_island():
    table = (5, 0.7, 1, 7.9, 0.75, 3.9)
    graph = NavigationGraph.build(build_floor(*rooms()[:-1], table), spacing=0.5)
    assert (graph.nodes[:, 1] == 0).all()


def test_the_same_floor_gives_the_same_graph(floor, graph):
    again = NavigationGraph.build(floor)
    assert again.nodes.tobytes() == graph.nodes.tobytes()
    assert again.neighbours.tobytes() == graph.neighbours.tobytes()


def test_a_floor_without_two_nodes_is_refused():
    with pytest.raises(NavigationError, match=r"grid of 5 m has 1 connected nodes on a floor of"):
        NavigationGraph.build(build_floor((0, -0.1, 0, 3, 0, 3)), spacing=5.0)


@pytest.mark.parametrize("spacing", [0.0, -1.0, 20.0, float("nan")])
def test_silly_spacings_are_refused(floor, spacing):
    with pytest.raises(ConfigurationError, match="spacing is"):
        NavigationGraph.build(floor, spacing=spacing)


@pytest.mark.parametrize("node", [-1, 31, 1000])
def test_unknown_nodes_are_refused(graph, node):
    for call in (graph.distance_field, lambda n: graph.shortest_path(0, n), lambda n: graph.shortest_path(n, 0)):
        with pytest.raises(NavigationError, match=f"Node {node} does not exist"):
            call(node)


@pytest.mark.parametrize("point", [(np.nan, 0, 0), (1, 2), (np.inf, 0, 0)])
def test_things_that_are_no_points_are_refused(graph, point):
    with pytest.raises(NavigationError, match="three finite numbers"):
        graph.nearest(point)
