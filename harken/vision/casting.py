"""Primary rays: from a camera's pose to the distance, the triangle and the place on it for every pixel."""

import math

import numpy as np

from harken.checks import checked_number
from harken.raytracing import borrowed, closest_hit, kernel, ray_buffer
from harken.raytracing.packets import (
    DIRECTION_X,
    DIRECTION_Y,
    DIRECTION_Z,
    DISTANCE,
    ORIGIN_X,
    ORIGIN_Z,
    TRIANGLE,
    U,
    V,
    begin_packets,
    cast_packet,
    packet_buffer,
    packet_width,
    word,
)

__all__ = ["cast_depth", "cast_down", "cast_hits", "pose_frame"]

SLIPPED = np.float32(0.02)
"""A pixel that lies behind all of its neighbours by more than this may be a ray that slipped through an edge [m]."""

# Nearer surfaces are not seen, since the camera may touch them.
_NEAR = np.float32(1e-3)


def pose_frame(heading: float, pitch: float) -> np.ndarray:
    """Return the camera's axes.

    Args:
        heading: Angle about +y [rad]; 0 looks along −z, positive is counter-clockwise seen from above.
        pitch: Angle above the horizon [rad].

    Returns:
        ``(3, 3)`` float32 with the directions right, up and forward as rows.

    Raises:
        ConfigurationError: An angle is not a finite number.
    """
    heading = checked_number("heading", heading, unit="radians")
    pitch = checked_number("pitch", pitch, unit="radians")
    sh, ch, sp, cp = math.sin(heading), math.cos(heading), math.sin(pitch), math.cos(pitch)
    return np.array([[ch, 0.0, -sh], [sh * sp, cp, ch * sp], [-sh * cp, sp, -ch * cp]], np.float32)


@kernel
def _in_tiles(columns, rows, width):
    """Return what columns and rows give to the pixels of tiles of 4 × 4: ``(tiles, 2, packets, width)`` float32 each.

    Beyond the edge of the image the last pixel is repeated.
    """
    across = np.empty((-(-len(columns) // 4), 2, 16 // width, width), np.float32)
    down = np.empty((-(-len(rows) // 4), 2, 16 // width, width), np.float32)
    for k in range(16):
        packet, ray = k // width, k % width
        for tile in range(len(across)):
            across[tile, :, packet, ray] = columns[min(4 * tile + k % 4, len(columns) - 1)]
        for tile in range(len(down)):
            down[tile, :, packet, ray] = rows[min(4 * tile + k // 4, len(rows) - 1)]
    return across, down


@kernel(inline="always")
def _aim(packet, width, frame, across, down):
    """Write the directions of a tile of 4 × 4 pixels, from its columns and rows (`_in_tiles`)."""
    # The shape says again how wide packets are: a loop whose length is a constant is unrolled, and not vectorised.
    rays = across.shape[2]
    for part in range(across.shape[1]):
        s, c, a, b = across[0, part], across[1, part], down[0, part], down[1, part]
        for axis in range(3):
            at = word(width, DIRECTION_X + axis, part * width)
            target, right, up, ahead = packet[at : at + rays], frame[0, axis], frame[1, axis], frame[2, axis]
            for k in range(rays):
                target[k] = a[k] * s[k] * right + b[k] * up + a[k] * c[k] * ahead


@kernel(inline="always")
def _beyond(depth, far, y, x):
    """Whether a pixel lies behind depth `far`, or outside the image, by more than `SLIPPED`."""
    if y < 0 or x < 0 or y >= depth.shape[0] or x >= depth.shape[1]:
        return True
    return depth[y, x] + SLIPPED < far


@kernel
def _suspicious(depth, y):
    """Whether any pixel of a row may lie behind all of its neighbours; quicker than asking each."""
    height, width = depth.shape
    above, below = depth[max(y - 1, 0)], depth[min(y + 1, height - 1)]
    row = depth[y]
    if y == 0:
        above = below
    if y == height - 1:
        below = above
    if height == 1 or width < 3:
        return True
    suspects = 0
    for x in range(1, width - 1):
        nearest = max(max(row[x - 1], row[x + 1]), max(above[x], below[x]))
        suspects += nearest + SLIPPED < row[x]
    first = max(row[1], max(above[0], below[0])) + SLIPPED < row[0]
    last = max(row[width - 2], max(above[width - 1], below[width - 1])) + SLIPPED < row[width - 1]
    return suspects > 0 or first or last


@kernel
def _mend(rays, position, frame, columns, rows, depth):
    """Cast pixels that lie behind all of their neighbours again, with rays that cannot slip between triangles."""
    buffer, infinity = ray_buffer(), np.float32(np.inf)
    height, width = depth.shape
    for y in range(height):
        if not _suspicious(depth, y):
            continue
        for x in range(width):
            far = depth[y, x]
            if not (_beyond(depth, far, y, x - 1) and _beyond(depth, far, y, x + 1)):
                continue
            if not (_beyond(depth, far, y - 1, x) and _beyond(depth, far, y + 1, x)):
                continue
            a, b = rows[y, 0], rows[y, 1]
            s, c = a * columns[x, 0], a * columns[x, 1]
            dx = s * frame[0, 0] + b * frame[1, 0] + c * frame[2, 0]
            dy = s * frame[0, 1] + b * frame[1, 1] + c * frame[2, 1]
            dz = s * frame[0, 2] + b * frame[1, 2] + c * frame[2, 2]
            distance, triangle, _, _ = closest_hit(
                rays, buffer, position[0], position[1], position[2], dx, dy, dz, _NEAR, infinity
            )
            depth[y, x] = distance if triangle >= 0 else infinity


@kernel
def _cast_tiles(rays, packet, frame, across, down, depth):
    """Fill `depth`, inf where nothing is hit, tile by tile; `packet` holds where the rays begin."""
    packet, across, down, infinity = borrowed(packet), borrowed(across), borrowed(down), np.float32(np.inf)
    depth, lanes = borrowed(depth), packet_width(rays)
    height, width = depth.shape
    for top in range(0, height, 4):
        for left in range(0, width, 4):
            _aim(packet, lanes, frame, across[left // 4], down[top // 4])
            cast_packet(rays, packet, infinity)
            for i in range(min(4, height - top)):
                for j in range(min(4, width - left)):
                    depth[top + i, left + j] = packet[word(lanes, DISTANCE, 4 * i + j)]


@kernel
def cast_depth(rays, position, frame, columns, rows, depth):
    """Fill `depth` ``(height, width)`` [m], 0 where nothing is hit; `rays` are `image_data` and `kernel_data`."""
    quick, sure = rays
    packet, infinity = packet_buffer(), np.float32(np.inf)
    lanes = packet_width(quick)
    begin_packets(packet, lanes, position[0], position[1], position[2], _NEAR)
    across, down = _in_tiles(columns, rows, lanes)
    _cast_tiles(quick, packet, frame, across, down, depth)
    _mend(sure, position, frame, columns, rows, depth)
    for y in range(depth.shape[0]):
        for x in range(depth.shape[1]):
            depth[y, x] = depth[y, x] if depth[y, x] < infinity else np.float32(0.0)


@kernel
def _cast_tiles_fully(rays, packet, frame, across, down, hits):
    """Fill distances, triangles and weights tile by tile; `packet` holds where the rays begin."""
    packet, across, down, infinity = borrowed(packet), borrowed(across), borrowed(down), np.float32(np.inf)
    depth, triangle, barycentric = borrowed(hits)
    words, lanes = packet.view(np.int32), packet_width(rays)
    height, width = depth.shape
    for top in range(0, height, 4):
        for left in range(0, width, 4):
            _aim(packet, lanes, frame, across[left // 4], down[top // 4])
            cast_packet(rays, packet, infinity)
            for i in range(min(4, height - top)):
                for j in range(min(4, width - left)):
                    k, y, x = 4 * i + j, top + i, left + j
                    distance = packet[word(lanes, DISTANCE, k)]
                    depth[y, x] = distance if distance < infinity else np.float32(0.0)
                    triangle[y, x] = words[word(lanes, TRIANGLE, k)]
                    barycentric[y, x, 0] = packet[word(lanes, U, k)]
                    barycentric[y, x, 1] = packet[word(lanes, V, k)]


@kernel
def cast_hits(rays, position, frame, columns, rows, depth, triangle, barycentric):
    """Fill also the triangle ``(height, width)``, -1 for none, and the weights of its second and third corner."""
    packet, lanes = packet_buffer(), packet_width(rays)
    begin_packets(packet, lanes, position[0], position[1], position[2], _NEAR)
    across, down = _in_tiles(columns, rows, lanes)
    _cast_tiles_fully(rays, packet, frame, across, down, (depth, triangle, barycentric))


@kernel
def cast_down(rays, height, across, along, depth, triangle, barycentric):
    """Look straight down from a height: a ray at x of each column and z of each row, filled as `cast_hits` fills."""
    packet, infinity = packet_buffer(), np.float32(np.inf)
    words, lanes = packet.view(np.int32), packet_width(rays)
    begin_packets(packet, lanes, np.float32(0.0), height, np.float32(0.0), np.float32(0.0))
    for k in range(16):
        packet[word(lanes, DIRECTION_X, k)], packet[word(lanes, DIRECTION_Z, k)] = 0.0, 0.0
        packet[word(lanes, DIRECTION_Y, k)] = -1.0
    rows, columns = depth.shape
    for top in range(0, rows, 4):
        for left in range(0, columns, 4):
            for k in range(16):
                packet[word(lanes, ORIGIN_X, k)] = across[min(left + k % 4, columns - 1)]
                packet[word(lanes, ORIGIN_Z, k)] = along[min(top + k // 4, rows - 1)]
            cast_packet(rays, packet, infinity)
            for i in range(min(4, rows - top)):
                for j in range(min(4, columns - left)):
                    k, y, x = 4 * i + j, top + i, left + j
                    depth[y, x], triangle[y, x] = packet[word(lanes, DISTANCE, k)], words[word(lanes, TRIANGLE, k)]
                    barycentric[y, x, 0] = packet[word(lanes, U, k)]
                    barycentric[y, x, 1] = packet[word(lanes, V, k)]
