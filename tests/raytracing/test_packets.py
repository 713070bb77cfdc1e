import numpy as np
import pytest

from harken.raytracing import Triangles, bvh, embree, kernel
from harken.raytracing.packets import (
    DIRECTION_X,
    DIRECTION_Y,
    DIRECTION_Z,
    DISTANCE,
    TRIANGLE,
    U,
    V,
    begin_packets,
    cast_packet,
    packet_buffer,
)


@kernel
def cast_sixteens(rays, origin, directions, near, far, distance, triangle, weights):
    packet = packet_buffer()
    words = packet.view(np.int32)
    begin_packets(packet, origin[0], origin[1], origin[2], near)
    for i in range(0, len(directions), 16):
        for j in range(16):
            packet[DIRECTION_X + j] = directions[i + j, 0]
            packet[DIRECTION_Y + j] = directions[i + j, 1]
            packet[DIRECTION_Z + j] = directions[i + j, 2]
        cast_packet(rays, packet, far)
        distance[i : i + 16] = packet[DISTANCE : DISTANCE + 16]
        triangle[i : i + 16] = words[TRIANGLE : TRIANGLE + 16]
        weights[i : i + 16, 0], weights[i : i + 16, 1] = packet[U : U + 16], packet[V : V + 16]


def cast(rays, origin, directions, near=0.0, far=np.inf):
    count = len(directions)
    found = np.empty(count, np.float32), np.empty(count, np.int32), np.empty((count, 2), np.float32)
    cast_sixteens(rays, np.float32(origin), np.float32(directions), np.float32(near), np.float32(far), *found)
    return found


@pytest.fixture(scope="module")
def triangles() -> Triangles:
    rng = np.random.default_rng(0)
    corners = rng.uniform(-5, 5, (2000, 1, 3)) + rng.normal(size=(2000, 3, 3))
    return Triangles(np.float32(corners.reshape(-1, 3)), np.arange(6000).reshape(-1, 3))


@pytest.fixture(params=["embree", "tree"])
def rays(request, triangles):
    if request.param == "tree":
        return bvh.build(triangles.vertices, triangles.faces)
    if not embree.AVAILABLE:
        pytest.skip("Embree is not here.")
    return triangles.kernel_data


@pytest.mark.parametrize("spread", [0.01, 3.0])
def test_packets_find_what_single_rays_find(rays, triangles, spread):
    rng = np.random.default_rng(1)
    directions = np.float32([0.3, 0.2, -1.0] + spread * rng.normal(size=(16 * 500, 3)))
    origin = np.float32([0.2, 0.1, 0.4])
    distance, triangle, weights = cast(rays, origin, directions)
    expected = triangles.closest(origin, directions)
    same = triangle == expected[1]
    # Rounding differs between packets and single rays; within it of an edge one may hit and the other miss.
    assert (~same).mean() <= 1e-3
    np.testing.assert_allclose(distance[same], expected[0][same], rtol=1e-5)
    hit = same & (triangle >= 0)
    np.testing.assert_allclose(weights[hit], expected[2][hit], atol=1e-3)


def test_a_miss_is_triangle_minus_one_at_far(rays):
    distance, triangle, _ = cast(rays, [100.0, 0.0, 0.0], np.tile([[1.0, 0.0, 0.0]], (16, 1)), far=50.0)
    assert (triangle == -1).all()
    assert (distance == 50.0).all()


def test_hits_before_near_do_not_count(rays, triangles):
    rng = np.random.default_rng(2)
    directions = rng.normal(size=(16 * 50, 3))
    distance, triangle, _ = cast(rays, [0, 0, 0], directions, near=2.0)
    assert (distance[triangle >= 0] >= 2.0).all()
    assert (triangles.closest(np.zeros(3), directions)[0] < 2.0).any()


def test_a_packet_does_not_remember_the_one_before(rays):
    rng = np.random.default_rng(3)
    directions = np.repeat(rng.normal(size=(2, 3)), 16, 0)
    both, second = cast(rays, [0, 0, 0], directions), cast(rays, [0, 0, 0], directions[16:])
    assert all(a[16:].tobytes() == b.tobytes() for a, b in zip(both, second, strict=True))


def test_from_python_it_says_what_to_use_instead():
    with pytest.raises(NotImplementedError, match=r"Triangles\.closest"):
        cast_packet(0, np.zeros(416, np.float32), np.float32(1.0))
