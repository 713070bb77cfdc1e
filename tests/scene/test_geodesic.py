import numpy as np
import pytest
import trimesh

from harken.errors import NavigationError
from harken.scene import AcousticMaterial, Scene
from harken.scene.floor import Body, WalkableFloor

RADIUS = 0.2
PLAIN = AcousticMaterial(name="plain", absorption=(0.1,))

# Rectangles x0, z0, x1, z1 [m]: the first is the room, whose inside is free; the others stand in it.
LAYOUTS = {
    "corridor in an L": [(0, 0, 6, 6), (1.2, 1.2, 6, 6)],
    "room with pillars": [(0, 0, 7, 5), (1, 1, 1.6, 1.6), (2.5, 2, 3, 2.5), (4, 0.7, 4.5, 2.2), (5, 3, 5.3, 3.3), (2, 3.4, 3.6, 3.9)],
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

    def __init__(self, rectangles, radius, division=np.deg2rad(3)):
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
