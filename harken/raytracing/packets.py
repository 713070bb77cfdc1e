"""Sixteen rays at once, in packets of the processor's native width: alike for cameras, each on its own way for sound.

A kernel asks `packet_width` once, takes a buffer from `packet_buffer`, says once with `begin_packets` where the rays
start, writes the sixteen directions to the rows `DIRECTION_X`, `DIRECTION_Y` and `DIRECTION_Z`, casts, and reads the
hits from `DISTANCE`, `U` and `V` and, in the buffer seen as int32, from `TRIANGLE`. `word` gives the position of a
ray's value in a row.

Rays that go different ways are aimed one by one with `aim_lane` in a buffer from `scattered_packet`, and read with
`lane_hit`. They then take half of the time of single rays, and rays that go alike less still.

The buffer holds one RTCRayHit16 of Embree, two RTCRayHit8 or four RTCRayHit4. Packets that the processor does not cast
natively take about three times as long. Which width it is depends on the type of `rays`, so that it is a constant in
compiled code. Widths agree but for ties, a ray through the edge of two triangles or at two that coincide: the distance
is then the same within rounding, and the triangle may be the other one.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from harken.raytracing.borrowing import aligned_buffer
from harken.raytracing.bvh import bvh_closest
from harken.raytracing.embree import COHERENT, embree_closest_4, embree_closest_8, embree_closest_16
from harken.raytracing.jit import kernel
from harken.raytracing.kernels import ray_buffer

__all__ = [
    "DIRECTION_X",
    "DIRECTION_Y",
    "DIRECTION_Z",
    "DISTANCE",
    "ORIGIN_X",
    "ORIGIN_Z",
    "TRIANGLE",
    "WIDTHS",
    "U",
    "V",
    "aim_lane",
    "begin_packets",
    "cast_packet",
    "embree_packets",
    "idle_lane",
    "lane_hit",
    "packet_buffer",
    "packet_width",
    "scattered_packet",
    "word",
]

_ORIGIN_Y, _NEAR, _MASK = 1, 3, 9
ORIGIN_X = 0
"""Row of the places x at which the rays start [m], for kernels whose rays do not share one."""
ORIGIN_Z = 2
"""Row of the places z at which the rays start [m]."""
DIRECTION_X = 4
"""Row of the rays' directions along x."""
DIRECTION_Y = 5
"""Row of the directions along y."""
DIRECTION_Z = 6
"""Row of the directions along z."""
DISTANCE = 8
"""Row of the distances: before the call the farthest searched, after it the hits'."""
TRIANGLE = 17
"""Row of the triangles that were hit, -1 for none."""
U = 15
"""Row of the weights of the hits' second corners."""
V = 16
"""Row of the weights of the hits' third corners."""
# RTCRayHit has 21 rows; 24 keep every packet on a 64-byte boundary. Behind the packets come the mask of active rays and
# the call's arguments.
_ROWS = 24
_VALID, _ARGUMENTS, _WORDS = _ROWS * 16, _ROWS * 16 + 16, _ROWS * 16 + 32


class _Packets4(NamedTuple):
    scene: int


class _Packets8(NamedTuple):
    scene: int


class _Packets16(NamedTuple):
    scene: int


_KINDS = {4: _Packets4, 8: _Packets8, 16: _Packets16}
WIDTHS = tuple(_KINDS)
"""Rays of the packets that Embree knows."""


def embree_packets(scene: int, width: int) -> Any:
    """Return what kernels that cast packets take as `rays`, for packets of a width.

    Args:
        scene: From `harken.raytracing.embree.build`.
        width: One of `WIDTHS`; `harken.raytracing.embree.native_width` says which is fastest.
    """
    return _KINDS[width](scene)


def packet_width(rays):
    """Return from inside a kernel how many rays one packet of `rays` holds: a constant, 4, 8 or 16.

    Args:
        rays: `Triangles.packet_data` or `Triangles.image_data`.
    """
    raise NotImplementedError("packet_width is for compiled code; from Python use Triangles.closest")


@overload(packet_width)
def _packet_width(rays):
    kind = getattr(rays, "instance_class", _Packets16)
    if kind is _Packets4:
        return lambda rays: 4
    if kind is _Packets8:
        return lambda rays: 8
    return lambda rays: 16


@kernel(inline="always")
def word(width, row, ray):
    """Return the position of a ray's value (ray 0 to 15) in a row of a buffer of packets of a width."""
    return ray // width * (_ROWS * width) + row * width + ray % width


@kernel(inline="always")
def packet_buffer():
    """Return scratch for packets of sixteen rays, all active: float32, on a 64-byte boundary, one per thread."""
    packet = ray_buffer(_WORDS)
    words = packet.view(np.int32)
    words[:] = 0
    words[_VALID : _VALID + 16] = -1
    words[_ARGUMENTS], words[_ARGUMENTS + 1] = COHERENT
    return packet


@kernel(inline="always")
def begin_packets(packet, width, ox, oy, oz, near):
    """Set what all rays of all following packets share: the origin [m] and the distance from which hits count."""
    words = packet.view(np.int32)
    for ray in range(16):
        packet[word(width, ORIGIN_X, ray)], packet[word(width, _ORIGIN_Y, ray)] = ox, oy
        packet[word(width, ORIGIN_Z, ray)] = oz
        packet[word(width, _NEAR, ray)] = near
        words[word(width, _MASK, ray)] = -1


def scattered_packet() -> np.ndarray:
    """Return scratch for packets of rays that go their own ways, none active yet, for a kernel that borrows it."""
    packet = aligned_buffer(_WORDS)
    packet.view(np.int32)[:] = 0
    return packet


@kernel(inline="always")
def aim_lane(packet, words, width, ray, o, d):
    """Aim one ray of a packet, from `o` along `d`, each ``(3,)``; it is cast until `idle_lane` is called.

    `words` is the packet seen as int32: a kernel makes this view once, since it costs as much as aiming a ray.
    """
    packet[word(width, ORIGIN_X, ray)], packet[word(width, _ORIGIN_Y, ray)] = np.float32(o[0]), np.float32(o[1])
    packet[word(width, ORIGIN_Z, ray)] = np.float32(o[2])
    packet[word(width, DIRECTION_X, ray)] = np.float32(d[0])
    packet[word(width, DIRECTION_Y, ray)] = np.float32(d[1])
    packet[word(width, DIRECTION_Z, ray)] = np.float32(d[2])
    words[word(width, _MASK, ray)], words[_VALID + ray] = -1, -1


@kernel(inline="always")
def idle_lane(words, ray):
    """Leave one ray of a packet, seen as int32, out."""
    words[_VALID + ray] = 0


@kernel(inline="always")
def lane_hit(packet, words, width, ray):
    """Return the distance and the triangle, -1 for none, that a ray of a packet has met."""
    return packet[word(width, DISTANCE, ray)], words[word(width, TRIANGLE, ray)]


def cast_packet(rays, packet, far):
    """Cast sixteen rays from inside a kernel.

    Afterwards the buffer holds the distance in multiples of each direction's length (`far` where nothing is hit), the
    triangle (-1 where nothing is hit) and the barycentric weights `U` and `V` of its second and third corner.

    Args:
        rays: `Triangles.packet_data` or `Triangles.image_data`.
        packet: From `packet_buffer()` or `scattered_packet()`.
        far: Largest distance searched, float32.
    """
    raise NotImplementedError("cast_packet is for compiled code; from Python use Triangles.closest")


@kernel(inline="always")
def _ask(packet, width, far):
    """Reset the fields that Embree overwrites with its results."""
    words = packet.view(np.int32)
    for first in range(0, 16, width):
        at = word(width, DISTANCE, first)
        packet[at : at + width] = far
        at = word(width, TRIANGLE, first)
        words[at : at + 2 * width] = -1  # the triangle's row and, behind it, the geometry's


@kernel
def _cast_4(rays, packet, far):
    _ask(packet, 4, far)
    for first in range(0, 16, 4):
        embree_closest_4(rays.scene, packet[word(4, 0, first) :], packet[_VALID + first :], packet[_ARGUMENTS:])


@kernel
def _cast_8(rays, packet, far):
    _ask(packet, 8, far)
    embree_closest_8(rays.scene, packet, packet[_VALID:], packet[_ARGUMENTS:])
    embree_closest_8(rays.scene, packet[word(8, 0, 8) :], packet[_VALID + 8 :], packet[_ARGUMENTS:])


@kernel
def _cast_16(rays, packet, far):
    _ask(packet, 16, far)
    embree_closest_16(rays.scene, packet, packet[_VALID:], packet[_ARGUMENTS:])


@kernel
def _cast_bvh(rays, packet, far):
    words = packet.view(np.int32)
    near = packet[16 * _NEAR]
    for i in range(16):
        if words[_VALID + i] == 0:
            continue
        ox, oy, oz = packet[16 * ORIGIN_X + i], packet[16 * _ORIGIN_Y + i], packet[16 * ORIGIN_Z + i]
        dx, dy, dz = packet[16 * DIRECTION_X + i], packet[16 * DIRECTION_Y + i], packet[16 * DIRECTION_Z + i]
        distance, triangle, u, v = bvh_closest(rays, ox, oy, oz, dx, dy, dz, near, far)
        packet[16 * DISTANCE + i], words[16 * TRIANGLE + i] = distance, triangle
        packet[16 * U + i], packet[16 * V + i] = u, v


@overload(cast_packet)
def _cast_packet(rays, packet, far):
    kind = getattr(rays, "instance_class", None)
    if kind is _Packets4:
        return lambda rays, packet, far: _cast_4(rays, packet, far)
    if kind is _Packets8:
        return lambda rays, packet, far: _cast_8(rays, packet, far)
    if kind is _Packets16:
        return lambda rays, packet, far: _cast_16(rays, packet, far)
    return lambda rays, packet, far: _cast_bvh(rays, packet, far)
