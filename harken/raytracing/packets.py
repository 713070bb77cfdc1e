"""Sixteen like rays at once, for cameras.

A kernel takes a buffer from `packet_buffer`, says once with `begin_packets` where the rays start, writes the sixteen
directions at `DIRECTION_X`, `DIRECTION_Y` and `DIRECTION_Z`, casts, and reads the hits at `DISTANCE`, `U` and `V` and,
in the buffer seen as int32, at `TRIANGLE`. The layout is Embree's RTCRayHit16: sixteen values of each kind in a row.
"""

import numpy as np
from numba import types
from numba.extending import overload

from harken.raytracing.bvh import bvh_closest
from harken.raytracing.embree import embree_closest_packet
from harken.raytracing.jit import kernel
from harken.raytracing.kernels import ray_buffer

__all__ = [
    "DIRECTION_X",
    "DIRECTION_Y",
    "DIRECTION_Z",
    "DISTANCE",
    "TRIANGLE",
    "U",
    "V",
    "begin_packets",
    "cast_packet",
    "packet_buffer",
]

_ORIGIN, _NEAR, _TIME, _MASK, _ID, _FLAGS, _GEOMETRY = 0, 48, 112, 144, 160, 176, 288
DIRECTION_X = 64
"""Word at which the 16 rays' directions along x begin."""
DIRECTION_Y = 80
"""Word at which the directions along y begin."""
DIRECTION_Z = 96
"""Word at which the directions along z begin."""
DISTANCE = 128
"""Word at which the distances begin: before the call the farthest searched, after it the hits'."""
TRIANGLE = 272
"""Word at which the triangles that were hit begin, -1 for none."""
U = 240
"""Word at which the weights of the hits' second corners begin."""
V = 256
"""Word at which the weights of the hits' third corners begin."""
# Behind the rays (24 rows leave room for the instance numbers) come the mask of active rays and the call's arguments.
_VALID, _ARGUMENTS, _WORDS = 384, 400, 416
_COHERENT = np.int32(1 << 16)


@kernel(inline="always")
def packet_buffer():
    """Return scratch for packets of sixteen rays, all active: float32, on a 64-byte boundary, one per thread."""
    packet = ray_buffer(_WORDS)
    words = packet.view(np.int32)
    words[:] = 0
    words[_VALID : _VALID + 16] = -1
    # RTCIntersectArguments: the flag that says that the rays are alike, then the feature mask «everything».
    words[_ARGUMENTS], words[_ARGUMENTS + 1] = _COHERENT, -1
    return packet


@kernel(inline="always")
def begin_packets(packet, ox, oy, oz, near):
    """Set what all rays of all following packets share: the origin [m] and the distance from which hits count."""
    words = packet.view(np.int32)
    packet[0:16], packet[16:32], packet[32:48] = ox, oy, oz
    packet[_NEAR : _NEAR + 16] = near
    words[_MASK : _MASK + 16] = -1


def cast_packet(rays, packet, far):
    """Cast the sixteen rays of a packet from inside a kernel.

    Afterwards the packet holds the distance in multiples of each direction's length (`far` where nothing is hit), the
    triangle (-1 where nothing is hit) and the barycentric weights `U` and `V` of its second and third corner.

    Args:
        rays: `Triangles.kernel_data`.
        packet: From `packet_buffer()`.
        far: Largest distance searched, float32.
    """
    raise NotImplementedError("cast_packet is for compiled code; from Python use Triangles.closest")


@kernel
def _cast_embree(rays, packet, far):
    words = packet.view(np.int32)
    packet[DISTANCE : DISTANCE + 16] = far
    words[TRIANGLE : _GEOMETRY + 16] = -1
    embree_closest_packet(rays, packet, packet[_VALID:], packet[_ARGUMENTS:])


@kernel
def _cast_bvh(rays, packet, far):
    words = packet.view(np.int32)
    near, ox, oy, oz = packet[_NEAR], packet[0], packet[16], packet[32]
    for i in range(16):
        dx, dy, dz = packet[DIRECTION_X + i], packet[DIRECTION_Y + i], packet[DIRECTION_Z + i]
        distance, triangle, u, v = bvh_closest(rays, ox, oy, oz, dx, dy, dz, near, far)
        packet[DISTANCE + i], words[TRIANGLE + i] = distance, triangle
        packet[U + i], packet[V + i] = u, v


@overload(cast_packet)
def _cast_packet(rays, packet, far):
    if isinstance(rays, types.Integer):
        return lambda rays, packet, far: _cast_embree(rays, packet, far)
    return lambda rays, packet, far: _cast_bvh(rays, packet, far)
