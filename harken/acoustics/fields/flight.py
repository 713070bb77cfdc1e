"""Sixteen rays on their way at once: Embree casts packets of rays in half of the time of single ones.

Each of the sixteen lanes follows one ray from surface to surface. Where a ray ends, its lane takes up a passage that
waits, or else the next ray of the source.

The tree in which packets are fastest lets one ray in millions slip between two triangles. Sound must not leak out of a
closed room, so a ray that has met nothing, or the back of a surface although it is in no solid, is cast again.
"""

from typing import NamedTuple

import numpy as np

from harken.acoustics.fields.passages import count_ray, next_passage
from harken.acoustics.fields.walks import INSIDE, RAY, is_leaving, ray_of, start
from harken.acoustics.tracing import FAST
from harken.raytracing import aligned_buffer, closest_hit, kernel
from harken.raytracing.packets import aim_lane, cast_packet, idle_lane, lane_hit, packet_width, scattered_packet

__all__ = ["LANES", "Flight", "cast_flight", "new_flight", "surface_met"]

LANES = 16
"""Rays that are on their way at once."""

FARTHEST = np.float32(1e30)
"""Distance within which surfaces are searched [m]."""


class Flight(NamedTuple):
    """The rays that are on their way."""

    rows: np.ndarray
    """``(LANES, RAY)`` as `Ray.row`."""
    flying: np.ndarray
    """``(LANES,)`` bool: whether a lane has a ray."""
    sent: np.ndarray
    """``(1,)`` int64 number of rays that the source has sent."""
    packet: np.ndarray
    """What `cast_packet` takes."""
    words: np.ndarray
    """The same memory as int32."""
    buffer: np.ndarray
    """What `closest_hit` takes."""


def new_flight() -> Flight:
    """Return a flight before its first ray, for kernels to borrow."""
    rows, flying, sent = np.zeros((LANES, RAY)), np.zeros(LANES, np.bool_), np.zeros(1, np.int64)
    packet = scattered_packet()
    return Flight(rows, flying, sent, packet, packet.view(np.int32), aligned_buffer())


@kernel(fastmath=FAST)
def _launch(flight, lane, seed, count, order, place, pattern, thinning, passages):
    """Give a lane the next ray; returns False where none is left."""
    ray, k = ray_of(flight.rows[lane]), flight.sent[0]
    if next_passage(ray, passages):
        return True
    if k >= count:
        return False
    flight.sent[0] = k + 1
    start(seed, k, count, order, place, pattern, thinning, ray)
    count_ray(k, count, passages)
    return True


@kernel(fastmath=FAST)
def cast_flight(rays, flight, seed, count, order, place, pattern, thinning, passages):
    """Fill the lanes that are free and cast all rays; returns whether any is left. Arguments as `start`.

    `rays` are `Triangles.image_data` and `Triangles.kernel_data`.
    """
    quick, packet, words, width, active = rays[0], flight.packet, flight.words, packet_width(rays[0]), False
    for lane in range(LANES):
        if not flight.flying[lane]:
            flight.flying[lane] = _launch(flight, lane, seed, count, order, place, pattern, thinning, passages)
        if flight.flying[lane]:
            ray, active = ray_of(flight.rows[lane]), True
            aim_lane(packet, words, width, lane, ray.o, ray.d)
        else:
            idle_lane(words, lane)
    if active:
        cast_packet(quick, packet, FARTHEST)
    return active


@kernel(fastmath=FAST)
def surface_met(rays, world, flight, lane):
    """Return the distance to the surface that the ray of a lane has met and its triangle, -1 for none."""
    length, triangle = lane_hit(flight.packet, flight.words, packet_width(rays[0]), lane)
    ray = ray_of(flight.rows[lane])
    slipped = triangle < 0 or (ray.walk[INSIDE] <= 0 and is_leaving(world.surfaces.normals, triangle, ray.d))
    if slipped:
        o, d = ray.o, ray.d
        length, triangle, _, _ = closest_hit(rays[1], flight.buffer, o[0], o[1], o[2], d[0], d[1], d[2], 0.0, FARTHEST)
    return np.float64(length), triangle
