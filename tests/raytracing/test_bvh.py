import numpy as np
import pytest
import trimesh

from harken.raytracing import Triangles, bvh, embree
from harken.raytracing.triangles import _cast_closest, _cast_occluded

pytestmark = pytest.mark.skipif(not embree.AVAILABLE, reason="The tree is held to Embree, which is not here.")


def soup(seed: int, faces: int) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of all sizes and shapes, some of them slivers, some without area."""
    rng = np.random.default_rng(seed)
    size = rng.choice([0.02, 0.3, 3.0], (faces, 1, 1))
    corners = rng.uniform(-5, 5, (faces, 1, 3)) + rng.normal(size=(faces, 3, 3)) * size
    corners[::7, 2] = 0.5 * (corners[::7, 0] + corners[::7, 1]) + 1e-3
    corners[::50, 1] = corners[::50, 0]
    return np.float32(corners.reshape(-1, 3)), np.arange(3 * faces).reshape(-1, 3)


def cast(rays, origins, directions, far=np.inf):
    distance, triangle = np.empty(len(origins), np.float32), np.empty(len(origins), np.int32)
    weights = np.empty((len(origins), 2), np.float32)
    _cast_closest(rays, np.float32(origins), np.float32(directions), np.float32(far), distance, triangle, weights)
    return distance, triangle, weights


def plane_distance(corners: np.ndarray, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Distance along rays to the planes of triangles ``(N, 3, 3)``, for the rays as single precision holds them."""
    corners, origins, directions = corners.astype(float), np.float32(origins).astype(float), np.float32(directions)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    along = (normals * directions.astype(float)).sum(1)
    return ((corners[:, 0] - origins) * normals).sum(1) / np.where(along == 0, np.nan, along)


def random_rays(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(count, 3))
    # A tenth run along an axis, where slabs are divided by zero.
    directions[: count // 10] = np.eye(3)[rng.integers(0, 3, count // 10)] * rng.choice([-1, 1], (count // 10, 1))
    return rng.uniform(-6, 6, (count, 3)), directions


@pytest.mark.parametrize(("seed", "faces"), [(0, 1), (1, 2), (2, 9), (3, 300), (4, 20_000)])
def test_closest_hits_are_those_of_embree(seed, faces):
    vertices, indices = soup(seed, faces)
    origins, directions = random_rays(seed, 20_000)
    expected = Triangles(vertices, indices).closest(origins, directions)
    distance, triangle, weights = cast(bvh.build(vertices, indices), origins, directions)
    # Both round in their own way, so a ray within rounding of an edge may differ: one in ten thousand at most.
    same = triangle == expected[1]
    assert (~same).mean() <= 1e-4
    np.testing.assert_array_equal(np.isinf(distance[same]), np.isinf(expected[0][same]))
    hit = same & (triangle >= 0)
    # Where the ray meets the triangle's plane, in double precision: exact but for the rounding of the result.
    np.testing.assert_allclose(
        distance[hit], plane_distance(vertices[indices[triangle]], origins, directions)[hit], 2e-7
    )
    # Embree's single precision is good for some 10 µm here, which weigh more the smaller a triangle is.
    plump = hit & (triangle % 7 != 0)
    np.testing.assert_allclose(distance[plump], expected[0][plump], rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(weights[plump], expected[2][plump], atol=5e-3)
    assert faces < 300 or plump.sum() > 1000


def test_weights_belong_to_the_second_and_third_corner():
    vertices, indices = soup(5, 400)
    origins, directions = random_rays(5, 5000)
    distance, triangle, weights = cast(bvh.build(vertices, indices), origins, directions)
    hit = (triangle >= 0) & (triangle % 7 != 0)
    a, b, c = np.moveaxis(vertices[indices[triangle[hit]]].astype(float), 1, 0)
    u, v = weights[hit, :1], weights[hit, 1:]
    # Single precision at 10 m: about a micrometre, and as much again along slanting surfaces.
    np.testing.assert_allclose(
        a + u * (b - a) + v * (c - a), origins[hit] + distance[hit, None] * directions[hit], atol=2e-4
    )


def test_occlusion_agrees_with_embree():
    vertices, indices = soup(6, 150)
    rng = np.random.default_rng(6)
    origins, targets = np.float32(rng.uniform(-6, 6, (2, 20_000, 3)))
    blocked = np.empty(len(origins), np.bool_)
    _cast_occluded(bvh.build(vertices, indices), origins, targets, np.float32(1e-3), blocked)
    expected = Triangles(vertices, indices).occluded(origins, targets)
    assert 0.05 < expected.mean() < 0.95
    assert (blocked != expected).mean() <= 1e-4


@pytest.mark.parametrize("mesh", [trimesh.creation.box(extents=(4, 2.5, 3)), trimesh.creation.icosphere(3, 2.0)])
def test_closed_meshes_do_not_leak(mesh):
    tree = bvh.build(mesh.vertices, mesh.faces)
    rng = np.random.default_rng(7)
    origin = np.float32(rng.uniform(-0.5, 0.5, (1, 3)))
    vertices = np.float32(mesh.vertices)
    # Aimed at the corners, at points of the edges, along the axes from the very middle, and anywhere.
    edges = vertices[mesh.edges_unique]
    share = np.float32(rng.uniform(size=(len(edges), 1)))
    targets = np.concatenate([vertices, edges[:, 0] + share * (edges[:, 1] - edges[:, 0])])
    directions = np.concatenate([targets - origin, rng.normal(size=(50_000, 3))])
    origins = np.concatenate([np.repeat(origin, len(directions), 0), np.zeros((6, 3))])
    directions = np.concatenate([directions, np.eye(3), -np.eye(3)])
    assert (cast(tree, origins, directions)[1] >= 0).all()


def test_only_what_lies_before_far_counts():
    vertices = np.float32([[-1, -1, -3], [1, -1, -3], [0, 1, -3]])
    tree = bvh.build(vertices, np.array([[0, 1, 2]]))
    origins, directions = np.zeros((1, 3)), np.array([[0.0, 0.0, -1.0]])
    assert cast(tree, origins, directions, far=3.01)[0][0] == pytest.approx(3.0)
    assert cast(tree, origins, directions, far=2.99)[1][0] == -1
    # Distances are in multiples of the direction's length.
    assert cast(tree, origins, 2 * directions)[0][0] == pytest.approx(1.5)


@pytest.mark.parametrize("direction", [[0, 0, 0], [np.nan, 0, 1], [np.nan] * 3])
def test_rays_without_direction_hit_nothing(direction):
    vertices, indices = soup(8, 100)
    assert cast(bvh.build(vertices, indices), np.zeros((1, 3)), np.array([direction]))[1][0] == -1


def test_many_equal_triangles_build_and_are_hit():
    vertices = np.float32([[-1, -1, -3], [1, -1, -3], [0, 1, -3]])
    tree = bvh.build(vertices, np.tile([[0, 1, 2]], (5000, 1)))
    assert cast(tree, np.zeros((1, 3)), np.array([[0.0, 0.0, -1.0]]))[0][0] == pytest.approx(3.0)


def test_ever_smaller_triangles_do_not_overflow_the_stack():
    # Each triangle is half the one before, so that every split takes one off: the deepest tree there can be.
    sizes = np.float32(0.5 ** np.arange(120))[:, None, None]
    corners = sizes * np.float32([[1, 0, 1], [1, 1, 0], [1, -1, -1]])
    tree = bvh.build(corners.reshape(-1, 3), np.arange(360).reshape(-1, 3))
    distance, triangle, _ = cast(tree, np.array([[2.0, 0.0, 0.0]]), np.array([[-1.0, 0.0, 0.0]]))
    assert triangle[0] == 0
    assert distance[0] == pytest.approx(1.0)


def test_the_same_triangles_give_the_same_bytes():
    vertices, indices = soup(9, 3000)
    first, second = bvh.build(vertices, indices), bvh.build(vertices.copy(), indices.copy())
    assert all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))
