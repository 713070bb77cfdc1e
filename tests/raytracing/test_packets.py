from pathlib import Path

import numpy as np
import pytest

from harken.raytracing import Triangles, bvh, embree, kernel
from harken.raytracing.packets import (
    DIRECTION_X,
    DIRECTION_Y,
    DIRECTION_Z,
    DISTANCE,
    TRIANGLE,
    WIDTHS,
    U,
    V,
    aim_lane,
    begin_packets,
    cast_packet,
    embree_packets,
    idle_lane,
    lane_hit,
    packet_buffer,
    packet_width,
    scattered_packet,
    word,
)

needs_embree = pytest.mark.skipif(not embree.AVAILABLE, reason="Embree is not here.")


@kernel
def cast_sixteens(rays, origin, directions, near, far, distance, triangle, weights):
    packet, width = packet_buffer(), packet_width(rays)
    words = packet.view(np.int32)
    begin_packets(packet, width, origin[0], origin[1], origin[2], near)
    for i in range(0, len(directions), 16):
        for j in range(16):
            packet[word(width, DIRECTION_X, j)] = directions[i + j, 0]
            packet[word(width, DIRECTION_Y, j)] = directions[i + j, 1]
            packet[word(width, DIRECTION_Z, j)] = directions[i + j, 2]
        cast_packet(rays, packet, far)
        for j in range(16):
            distance[i + j], triangle[i + j] = packet[word(width, DISTANCE, j)], words[word(width, TRIANGLE, j)]
            weights[i + j, 0], weights[i + j, 1] = packet[word(width, U, j)], packet[word(width, V, j)]


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


@pytest.fixture(params=["tree", *WIDTHS])
def rays(request, triangles):
    if request.param == "tree":
        return bvh.build(triangles.vertices, triangles.faces)
    if not embree.AVAILABLE:
        pytest.skip("Embree is not here.")
    return embree_packets(triangles.kernel_data, request.param)


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


@needs_embree
def test_widths_agree_but_for_ties_within_rounding(triangles):
    rng = np.random.default_rng(4)
    directions = np.float32([0.3, 0.2, -1.0] + 0.01 * rng.normal(size=(16 * 500, 3)))
    found = [cast(embree_packets(triangles.kernel_data, width), [0.2, 0.1, 0.4], directions) for width in WIDTHS]
    for distance, triangle, weights in found[1:]:
        same = triangle == found[0][1]
        assert (~same).mean() <= 1e-3
        np.testing.assert_allclose(distance, found[0][0], rtol=1e-6)
        assert weights[same].tobytes() == found[0][2][same].tobytes()


def platform_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2] for line in lines if line.startswith("flags")), "")


@kernel
def cast_one_by_one(rays, packet, origins, directions, every, distance, triangle):
    width, words = packet_width(rays), packet.view(np.int32)
    for i in range(0, len(directions), 16):
        for j in range(16):
            if (i + j) % every == 0:
                aim_lane(packet, words, width, j, origins[i + j], directions[i + j])
            else:
                idle_lane(words, j)
        cast_packet(rays, packet, np.float32(np.inf))
        for j in range(16):
            if (i + j) % every == 0:
                distance[i + j], triangle[i + j] = lane_hit(packet, words, width, j)


@pytest.mark.parametrize("every", [1, 3])
def test_rays_that_go_their_own_ways_meet_what_single_rays_meet(rays, triangles, every):
    rng = np.random.default_rng(6)
    origins, directions = rng.uniform(-4, 4, (16 * 60, 3)), rng.normal(size=(16 * 60, 3))
    distance, triangle = np.full(len(origins), np.nan, np.float32), np.full(len(origins), -2, np.int32)
    cast_one_by_one(rays, scattered_packet(), origins, directions, every, distance, triangle)
    expected = triangles.closest(origins, directions)
    cast = np.arange(len(origins)) % every == 0
    assert (triangle[~cast] == -2).all()
    np.testing.assert_array_equal(triangle[cast], expected[1][cast])
    met = cast & (triangle >= 0)
    assert met.sum() > 0.3 * cast.sum()
    # Single precision, for rays that start metres from the origin and may hit after millimetres.
    np.testing.assert_allclose(distance[met], expected[0][met], rtol=1e-5, atol=1e-5)


@needs_embree
def test_packets_are_as_wide_as_the_processors_own():
    # Linux names what the processor has, and Embree what it makes of it.
    flags = set(platform_flags().split())
    if not flags:
        pytest.skip("This system does not list the processor's flags.")
    expected = 16 if {"avx512f", "avx512dq", "avx512vl"} <= flags else 8 if "avx" in flags else 4
    assert embree.native_width() == expected


@needs_embree
@pytest.mark.parametrize(("isa", "width"), [("sse4.2", 4), ("avx2", 8)])
def test_a_processor_without_wide_instructions_gets_narrow_packets(monkeypatch, isa, width):
    if embree.native_width() < width:
        pytest.skip("This processor's own packets are narrower.")
    monkeypatch.setattr(embree, "_CONFIGURATION", f"threads=1,isa={isa}".encode())
    embree.native_width.cache_clear()
    try:
        assert embree.native_width() == width
        rng = np.random.default_rng(5)
        corners = rng.uniform(-5, 5, (500, 1, 3)) + rng.normal(size=(500, 3, 3))
        there = Triangles(np.float32(corners.reshape(-1, 3)), np.arange(1500).reshape(-1, 3))
        rays, directions = there.packet_data, rng.normal(size=(16 * 100, 3))
        distance, triangle, _ = cast(rays, [0.2, 0.1, 0.4], directions)
    finally:
        embree.native_width.cache_clear()
    expected = there.closest([0.2, 0.1, 0.4], directions)
    assert (triangle != expected[1]).mean() <= 1e-3
    np.testing.assert_allclose(distance, expected[0], rtol=1e-5)


@pytest.mark.parametrize("of", [cast_packet, packet_width])
def test_from_python_it_says_what_to_use_instead(of):
    with pytest.raises(NotImplementedError, match=r"Triangles\.closest"):
        of(*[0, np.zeros(416, np.float32), np.float32(1.0)][: of.__code__.co_argcount])
