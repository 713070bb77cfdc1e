import gc
import pickle
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from harken.raytracing import Triangles, closest_hit, is_occluded


@pytest.fixture(scope="module")
def box() -> Triangles:
    mesh = trimesh.creation.box(extents=(4, 2, 6))
    return Triangles(mesh.vertices, mesh.faces)


def test_distances_in_a_box_are_those_to_its_walls(box):
    directions = np.array([[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1], [3, 0, 4]])
    distance, triangle, _ = box.closest([0.5, 0.25, -1.0], directions)
    # 3-4-5: 1.5 m to the wall on the right are half of the last direction.
    np.testing.assert_allclose(distance, [1.5, 2.5, 0.75, 1.25, 4.0, 2.0, 0.5], rtol=1e-6)
    assert (triangle >= 0).all()


def test_beyond_far_nothing_is_hit(box):
    distance, triangle, _ = box.closest([0.0, 0.0, 0.0], [1.0, 0.0, 0.0], far=1.9)
    assert distance[0] == np.inf
    assert triangle[0] == -1


def test_occlusion_ignores_what_is_within_the_margin_of_either_end(box):
    inside, wall, outside = [0.0, 0.0, 0.0], [2.0, 0.0, 0.0], [3.0, 0.0, 0.0]
    blocked = box.occluded([inside, inside, wall, inside], [outside, wall, outside, inside], margin=1e-3)
    assert blocked.tolist() == [True, False, False, False]


def test_one_origin_serves_many_directions(box):
    distance, _, weights = box.closest(np.zeros(3), np.random.default_rng(0).normal(size=(7, 3)))
    assert distance.shape == (7,)
    assert weights.shape == (7, 2)


def test_a_pickled_copy_casts_the_same(box):
    directions = np.random.default_rng(1).normal(size=(100, 3))
    copy = pickle.loads(pickle.dumps(box))
    assert all(
        a.tobytes() == b.tobytes()
        for a, b in zip(box.closest(np.zeros(3), directions), copy.closest(np.zeros(3), directions), strict=True)
    )


def test_trees_are_released_with_their_triangles():
    mesh = trimesh.creation.icosphere(4)
    for _ in range(20):
        assert Triangles(mesh.vertices, mesh.faces).closest(np.zeros(3), np.ones((1, 3)))[1][0] >= 0
    gc.collect()


@pytest.mark.parametrize("function", [closest_hit, is_occluded])
def test_kernel_functions_called_from_python_say_what_to_use(function):
    with pytest.raises(NotImplementedError, match=r"from Python use Triangles\."):
        function(0, np.zeros(32, np.float32), 0, 0, 0, 0, 0, 1, 0, 1)


def test_trees_leave_no_thread_that_takes_processor_time():
    code = (
        "import time; import numpy as np; from harken.raytracing import Triangles\n"
        "triangles = Triangles(np.random.default_rng(0).normal(size=(60000, 3)), np.arange(60000).reshape(-1, 3))\n"
        "triangles.kernel_data, triangles.image_data\n"
        "before = time.process_time(); time.sleep(1.0); print(time.process_time() - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout.split()[-1]) < 0.2
