import numpy as np
import pytest
import trimesh

from harken.raytracing import kernel
from harken.scene import AcousticMaterial, Scene
from harken.vision.light import _middle
from harken.vision.lightmap import interpolate_light, light_grid


def scene_of(mesh: trimesh.Trimesh) -> Scene:
    material = AcousticMaterial(name="plaster", absorption=(0.1,))
    return Scene(
        vertices=mesh.vertices,
        faces=mesh.faces,
        materials=(material,),
        material=np.zeros(len(mesh.faces), np.int32),
    )


@kernel
def interpolate_many(intervals, start, sample, values, triangle, weights, out):
    for i in range(len(triangle)):
        u, v = weights[i, 0], weights[i, 1]
        out[i, 0], out[i, 1], out[i, 2] = interpolate_light(intervals, start, sample, values, triangle[i], 0, u, v)


def test_interpolation_is_exact_for_what_is_linear_in_space():
    scene = scene_of(trimesh.creation.box(extents=(3, 2, 5)))
    grid = light_grid(scene)
    assert grid.intervals.min() > 1
    rng = np.random.default_rng(0)
    weights = np.float32(rng.dirichlet(np.ones(3), 5000))
    # Corners and edges too, and what rounding makes of them.
    weights[:3] = np.eye(3)
    weights[3:6] = [[0, 0.5, 0.5], [0.5, 0, 0.5], [-1e-7, 0.4, 0.6 + 1e-7]]
    triangle = rng.integers(0, 12, len(weights)).astype(np.int32)
    corners = scene.vertices[scene.faces[triangle]]
    places = (weights[:, :, None] * corners).sum(1)
    # As if each sample held its own undisplaced place.
    values = np.zeros((len(grid.positions), 2, 3), np.float32)
    for f in range(12):
        n, k = grid.intervals[f], grid.start[f]
        for i in range(n + 1):
            for j in range(n + 1 - i):
                b, c = i / n, j / n
                values[grid.sample[k], 0] = (np.array([1 - b - c, b, c])[:, None] * scene.vertices[scene.faces[f]]).sum(
                    0
                )
                k += 1
    found = np.empty((len(weights), 3), np.float32)
    interpolate_many(grid.intervals, grid.start, grid.sample, values, triangle, weights[:, 1:].copy(), found)
    # The clamp at the long edge is a ten-thousandth of an interval, and merged samples lie within a millimetre.
    np.testing.assert_allclose(found, places, atol=1.5e-3)


def test_samples_lie_just_inside_their_triangles():
    scene = scene_of(trimesh.creation.box(extents=(3, 2, 5)))
    grid = light_grid(scene)
    half = np.array([1.5, 1.0, 2.5])
    outside = np.abs(grid.positions) - half
    # On the box, and off its edges by about a centimetre at least.
    np.testing.assert_allclose(outside.max(1), 0.0, atol=1e-6)
    assert np.sort(outside, 1)[:, 1].max() < -2e-3


def test_neighbours_share_samples_where_they_face_the_same_way():
    sphere, box = light_grid(scene_of(trimesh.creation.icosphere(4, 0.5))), trimesh.creation.box(extents=(0.1,) * 3)
    assert len(sphere.positions) == 2562
    normals = sphere.positions / np.linalg.norm(sphere.positions, axis=1, keepdims=True)
    assert (normals * sphere.normals).sum(1).min() > 0.99
    # Three sides meet at each of the eight corners of a box.
    assert len(light_grid(scene_of(box)).positions) == 24


def test_large_scenes_keep_to_the_limit():
    scene = scene_of(trimesh.creation.box(extents=(60, 20, 50)))
    grid = light_grid(scene, most=5000)
    assert len(grid.sample) <= 5000
    assert len(grid.sample) > 2500


@pytest.mark.parametrize(
    ("polygon", "expected"),
    [
        ([[0, 0], [4, 0], [4, 4], [0, 4]], [2, 2]),
        # An L: the mean of its corners lies near the notch, the roomiest place in its elbow.
        ([[0, 0], [6, 0], [6, 2], [2, 2], [2, 6], [0, 6]], [1.17, 1.17]),
    ],
)
def test_lamps_hang_where_a_room_is_widest(polygon, expected):
    np.testing.assert_allclose(_middle(np.array(polygon, float)), expected, atol=0.26)
