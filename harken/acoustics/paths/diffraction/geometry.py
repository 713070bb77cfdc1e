"""Where sound bends: points on edges, angles around them, and whether legs between them are free.

Edges are packed into one table for compiled code; `pack_edges` says how.
"""

import numpy as np

from harken.acoustics.paths.diffraction.edges import LIFT, Edges
from harken.raytracing import Triangles, aligned_buffer, borrowed, closest_hit, is_occluded, kernel

__all__ = ["bends", "lifted", "link_edges", "pack_edges", "pair_angles", "place", "sees", "sees_edge", "settle_points"]

START, AXIS, ALONG, NORMAL, OUTWARD, LENGTH, ANGLE, LOW_END, HIGH_END = 0, 3, 6, 9, 12, 15, 16, 17, 18
"""Columns of the table of edges; the last two are 1 where an end is free, 0 where it meets a surface."""

SAMPLES = (0.5, 0.73, 0.12, 0.88, 0.3)
"""Places along an edge at which its visibility is tested, as shares of its length."""

TANGENT = 1e-3
"""Angle by which a tangent may miss [rad]."""


def pack_edges(triangles: Triangles, edges: Edges) -> np.ndarray:
    """Return edges as ``(n, 19)`` float64: start, axis, along, normal, outward (three each), length, angle, free ends.

    An end that meets a surface, such as the foot of a door post or its top under the lintel, does not shorten the edge:
    the surface mirrors it or continues the shadow.
    """
    free = np.ones((len(edges), 2), bool)
    for i, (end, sign) in enumerate(((edges.start, -1.0), (edges.end, 1.0))):
        for share in (0.1, 0.5, 0.9):
            turn = share * edges.angle[:, None]
            beside = end + 0.03 * (edges.along * np.cos(turn) + edges.normal * np.sin(turn))
            free[:, i] &= ~triangles.occluded(beside - sign * 0.02 * edges.axis, beside + sign * 0.08 * edges.axis)
    columns = [edges.start, edges.axis, edges.along, edges.normal, edges.outward, edges.length[:, None]]
    return np.ascontiguousarray(np.concatenate([*columns, edges.angle[:, None], free], 1))


@kernel
def place(edge, p):
    """Return where a point lies around an edge: distance, angle (clamped to the air), and height along the edge."""
    dx, dy, dz = p[0] - edge[0], p[1] - edge[1], p[2] - edge[2]
    z = dx * edge[3] + dy * edge[4] + dz * edge[5]
    x = dx * edge[6] + dy * edge[7] + dz * edge[8]
    y = dx * edge[9] + dy * edge[10] + dz * edge[11]
    theta = np.arctan2(y, x)
    if theta < 0:
        theta += 2 * np.pi
    wedge = edge[ANGLE]
    if theta > wedge:
        theta = wedge if theta < 0.5 * wedge + np.pi else 0.0
    return np.sqrt(x * x + y * y), theta, z


@kernel(inline="always")
def bends(wedge, theta):
    """Whether a leg at this angle can belong to a path that is bent around the edge."""
    return theta <= wedge - np.pi + TANGENT or theta >= np.pi - TANGENT


@kernel
def pair_angles(wedge, a, b):
    """Return two angles around an edge; a leg in a sheet gets the angle on the side away from the other leg."""
    if wedge > 2 * np.pi - 1e-3:
        if a < TANGENT or a > wedge - TANGENT:
            a = 0.0 if b > np.pi else wedge
        elif b < TANGENT or b > wedge - TANGENT:
            b = 0.0 if a > np.pi else wedge
    return a, b


@kernel
def sees(rays, buffer, a, b):
    """Whether nothing lies between two points."""
    return not is_occluded(
        rays, buffer, a[0], a[1], a[2], b[0] - a[0], b[1] - a[1], b[2] - a[2], np.float32(1e-4), np.float32(0.9999)
    )


@kernel
def lifted(edge, t, out):
    """Set `out` to a point just outside the edge, at `t` along it but not at its very ends."""
    margin = min(0.005, 0.25 * edge[LENGTH])
    t = min(max(t, margin), edge[LENGTH] - margin)
    for axis in range(3):
        out[axis] = edge[axis] + t * edge[AXIS + axis] + LIFT * edge[OUTWARD + axis]


@kernel
def sees_edge(rays, buffer, edge, p, scratch):
    """Whether a point sees an edge: at the place next to it, or at one of five along the edge."""
    _, _, z = place(edge, p)
    lifted(edge, z, scratch)
    if sees(rays, buffer, p, scratch):
        return True
    for share in SAMPLES:
        lifted(edge, share * edge[LENGTH], scratch)
        if sees(rays, buffer, p, scratch):
            return True
    return False


@kernel
def _in_shade(edge, boundary, points, leads):
    """Set for points ``(n, 3)`` whether a leg to them can belong to a path around an edge; returns whether any can.

    As `bends` says, without the angle itself: `boundary` ``(2,)`` is the direction in which it has its lower limit.
    """
    some = False
    for i in range(len(points)):
        dx, dy, dz = points[i, 0] - edge[0], points[i, 1] - edge[1], points[i, 2] - edge[2]
        x = dx * edge[ALONG] + dy * edge[ALONG + 1] + dz * edge[ALONG + 2]
        y = dx * edge[NORMAL] + dy * edge[NORMAL + 1] + dz * edge[NORMAL + 2]
        beyond = y < 0.0 or y <= -TANGENT * x or boundary[0] * y <= boundary[1] * x
        leads[i] = beyond and x * x + y * y >= LIFT * LIFT
        some = some or leads[i]
    return some


@kernel(inline="always")
def _crosses(vertices, faces, triangle, a, b):
    """Whether the way from `a` to `b` crosses a triangle (Möller and Trumbore 1997), away from its ends and edges."""
    i, j, k = faces[triangle, 0], faces[triangle, 1], faces[triangle, 2]
    dx, dy, dz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    ox, oy, oz = a[0] - vertices[i, 0], a[1] - vertices[i, 1], a[2] - vertices[i, 2]
    ux, uy, uz = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
    vx, vy, vz = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
    px, py, pz = dy * vz - dz * vy, dz * vx - dx * vz, dx * vy - dy * vx
    determinant = ux * px + uy * py + uz * pz
    if abs(determinant) < 1e-9:
        return False
    qx, qy, qz = oy * uz - oz * uy, oz * ux - ox * uz, ox * uy - oy * ux
    s = (ox * px + oy * py + oz * pz) / determinant
    t = (dx * qx + dy * qy + dz * qz) / determinant
    at = (vx * qx + vy * qy + vz * qz) / determinant
    return s > 1e-5 and t > 1e-5 and s + t < 1.0 - 1e-5 and 1e-3 < at < 0.999


@kernel
def _beside(boxes, a, b):
    """Whether two boxes lie on one side of every other, so that no line between them meets it."""
    for box in boxes:
        apart = False
        for axis in range(3):
            apart = apart or max(a[1, axis], b[1, axis]) < box[0, axis] or min(a[0, axis], b[0, axis]) > box[1, axis]
        if not apart:
            return False
    return True


@kernel
def _meets(boxes, a, b):
    """Whether the line between two points passes through a box."""
    for box in boxes:
        enters, leaves = 0.0, 1.0
        for axis in range(3):
            way = b[axis] - a[axis]
            if abs(way) < 1e-12:
                if a[axis] < box[0, axis] or a[axis] > box[1, axis]:
                    leaves = -1.0
                continue
            first, second = (box[0, axis] - a[axis]) / way, (box[1, axis] - a[axis]) / way
            enters, leaves = max(enters, min(first, second)), min(leaves, max(first, second))
        if enters <= leaves:
            return True
    return False


@kernel
def _any_view(rays, buffer, surfaces, boxes, a, b, here, there, blockers):
    """Whether any of the points `a` sees any of `b`, of those that count, and through a box unless there are none.

    `blockers` ``(2,)`` are the triangles that were in the way last: the same wall is in the way of most pairs.
    """
    vertices, faces = surfaces
    for k in range(len(a)):
        for m in range(len(b)):
            if not (here[k] and there[m]) or (len(boxes) and not _meets(boxes, a[k], b[m])):
                continue
            if _crosses(vertices, faces, blockers[0], a[k], b[m]):
                continue
            if _crosses(vertices, faces, blockers[1], a[k], b[m]):
                blockers[0], blockers[1] = blockers[1], blockers[0]
                continue
            dx, dy, dz = b[m, 0] - a[k, 0], b[m, 1] - a[k, 1], b[m, 2] - a[k, 2]
            _, triangle, _, _ = closest_hit(
                rays, buffer, a[k, 0], a[k, 1], a[k, 2], dx, dy, dz, np.float32(1e-4), np.float32(0.9999)
            )
            if triangle < 0:
                return True
            blockers[0], blockers[1] = triangle, blockers[0]
    return False


@kernel
def _link_edges(rays, surfaces, table, known, boxes, linked, scratch):
    table, known, boxes, linked = borrowed(table), borrowed(known), borrowed(boxes), borrowed(linked)
    surfaces = borrowed(surfaces)
    buffer, points, spans, limits, here, there, blockers = borrowed(scratch)
    for i in range(len(table)):
        for k in range(len(SAMPLES)):
            lifted(table[i], SAMPLES[k] * table[i, LENGTH], points[i, k])
        for axis in range(3):
            spans[i, 0, axis], spans[i, 1, axis] = points[i, :, axis].min(), points[i, :, axis].max()
        for j in range(i):
            if not known[i, j] and _beside(boxes, spans[i], spans[j]):
                continue
            if not _in_shade(table[i], limits[i], points[j], there):
                continue
            if not _in_shade(table[j], limits[j], points[i], here):
                continue
            freed = boxes[:0] if known[i, j] else boxes
            linked[i, j] = _any_view(rays, buffer, surfaces, freed, points[i], points[j], here, there, blockers)
            linked[j, i] = linked[i, j]


def link_edges(
    triangles: Triangles, table: np.ndarray, *, asked: np.ndarray | None = None, freed: np.ndarray | None = None
) -> np.ndarray:
    """Return ``(n, n)`` bool: which edges see each other along legs of paths that bend around both.

    Args:
        triangles: What may lie between them.
        table: The edges, see `pack_edges`.
        asked: ``(n, n)`` bool, symmetric: pairs that may see each other; all by default.
        freed: ``(k, 2, 3)`` least and greatest corners of boxes [m]: other pairs may see each other through these only.
    """
    count, samples = len(table), len(SAMPLES)
    known = np.ones((count, count), bool) if asked is None else np.ascontiguousarray(asked)
    boxes = np.zeros((0, 2, 3)) if freed is None else np.ascontiguousarray(freed, np.float64)
    linked = np.zeros((count, count), np.bool_)
    shade = np.empty(samples, np.bool_), np.empty(samples, np.bool_)
    surfaces = np.asarray(triangles.vertices, np.float64), triangles.faces
    limit = np.minimum(table[:, ANGLE] - np.pi + TANGENT, np.pi)
    limits = np.stack([np.cos(limit), np.sin(limit)], 1)
    room = np.empty((count, samples, 3)), np.empty((count, 2, 3))
    scratch = aligned_buffer(), *room, limits, *shade, np.zeros(2, np.int64)
    _link_edges(triangles.kernel_data, surfaces, table, known, boxes, linked, scratch)
    return linked


@kernel
def _edge_point(edge, t, out):
    for axis in range(3):
        out[axis] = edge[axis] + t * edge[AXIS + axis]


@kernel
def _slide(edge, before, after):
    """Return where along an edge the way from one point to another is shortest, on the edge."""
    r, _, z = place(edge, before)
    s, _, y = place(edge, after)
    return min(max((z * s + y * r) / max(r + s, 1e-9), 0.0), edge[LENGTH])


@kernel
def slide_point(edge, before, after, out):
    """Set `out` to the point of an edge over which the way between two points is shortest."""
    _edge_point(edge, _slide(edge, before, after), out)


@kernel
def settle_points(table, sequence, count, points, t, work):
    """Find the shortest way over `count` edges: points ``(count + 2, 3)`` between given ends, `t` along each edge.

    The length is a convex function of `t`. Newton's method on it has a tridiagonal matrix; what leaves its edge stays
    at its end. `work` is scratch ``(4, count)``. Returns the length.
    """
    for i in range(count):
        share = (i + 1.0) / (count + 1.0)
        edge = table[sequence[i]]
        t[i] = 0.0
        for axis in range(3):
            middle = (1.0 - share) * points[0, axis] + share * points[count + 1, axis]
            t[i] += (middle - edge[axis]) * edge[AXIS + axis]
        t[i] = min(max(t[i], 0.0), edge[LENGTH])
        _edge_point(edge, t[i], points[i + 1])
    for i in range(count):
        t[i] = _slide(table[sequence[i]], points[i], points[i + 2])
        _edge_point(table[sequence[i]], t[i], points[i + 1])
    if count > 1:
        for _ in range(4):
            _newton(table, sequence, count, points, t, work)
    length = 0.0
    for i in range(count + 1):
        length += _distance(points[i], points[i + 1])
    return length


@kernel(inline="always")
def _distance(a, b):
    return np.sqrt((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2)


@kernel(inline="always")
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@kernel
def _newton(table, sequence, count, points, t, work):
    """One step of Newton's method for `settle_points`, each point kept on its edge."""
    slope, diagonal, beside, step = work[0], work[1], work[2], work[3]
    slope[:], diagonal[:], beside[:] = 0.0, 0.0, 0.0
    for leg in range(count + 1):
        way = points[leg + 1] - points[leg]
        d = max(np.sqrt(_dot(way, way)), 1e-6)
        way /= d
        before = after = 0.0
        if leg > 0:
            axis = table[sequence[leg - 1], AXIS : AXIS + 3]
            before = _dot(way, axis)
            slope[leg - 1] -= before
            diagonal[leg - 1] += (1.0 - before * before) / d
        if leg < count:
            axis = table[sequence[leg], AXIS : AXIS + 3]
            after = _dot(way, axis)
            slope[leg] += after
            diagonal[leg] += (1.0 - after * after) / d
            if leg > 0:
                cross = _dot(table[sequence[leg - 1], AXIS : AXIS + 3], axis)
                beside[leg - 1] = (before * after - cross) / d
    for i in range(count):
        length = table[sequence[i], LENGTH]
        diagonal[i] += 1e-9
        if (t[i] <= 0.0 and slope[i] > 0) or (t[i] >= length and slope[i] < 0):
            diagonal[i], slope[i] = 1e12, 0.0
    for i in range(1, count):  # Thomas' elimination
        share = beside[i - 1] / diagonal[i - 1]
        diagonal[i] -= share * beside[i - 1]
        slope[i] -= share * slope[i - 1]
    for i in range(count - 1, -1, -1):
        step[i] = (slope[i] - (beside[i] * step[i + 1] if i < count - 1 else 0.0)) / diagonal[i]
        edge = table[sequence[i]]
        t[i] = min(max(t[i] - step[i], 0.0), edge[LENGTH])
        _edge_point(edge, t[i], points[i + 1])
