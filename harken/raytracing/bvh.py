"""The built-in tree, for platforms without Embree: a bounding volume hierarchy, built and traversed in compiled code.

Rays are tested against triangles as Woop, Benthin and Wald describe ("Watertight ray/triangle intersection", Journal of
Computer Graphics Techniques 2(1), 2013): two triangles that share an edge compute the same number for it, so that no
ray slips between them. The arithmetic is double precision on single-precision positions, which leaves room to spare.
"""

import numpy as np

from harken.raytracing.jit import kernel

__all__ = ["build", "bvh_closest", "bvh_occluded"]

_BINS = 16
_LEAF = 4
# Deeper than this, nodes are halved by count, so that no arrangement of triangles can overflow the traversal's stack.
_SAH_DEPTH = 40
_STACK = 96
# A visit to a node costs about as much as a test of one triangle.
_NODE_COST = 1.0


def build(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Build the tree over triangles by the binned surface-area heuristic (Wald, Interactive Ray Tracing 2007).

    Args:
        vertices: ``(V, 3)`` positions [m].
        faces: ``(F, 3)`` indices into `vertices`.

    Returns:
        What `bvh_closest` and `bvh_occluded` take as `rays`: bounds of the nodes ``(N, 6)`` float32; first child or
        first triangle of each ``(N,)`` int32; number of triangles of each ``(N,)`` int32, 0 for an inner node, whose
        children are neighbours; the triangles' corners in the order of the leaves ``(F, 9)`` float32; and the number
        that each of those triangles has in `faces` ``(F,)`` int32. The same input gives the same bytes.
    """
    corners = np.ascontiguousarray(np.asarray(vertices, np.float32)[np.asarray(faces, np.int64)]).reshape(-1, 3, 3)
    lower, upper = corners.min(1), corners.max(1)
    order = np.arange(len(corners), dtype=np.int32)
    nodes = max(2 * len(corners) - 1, 1)
    bounds = np.empty((nodes, 6), np.float32)
    first, count = np.zeros(nodes, np.int32), np.zeros(nodes, np.int32)
    size = _grow(lower, upper, lower + upper, order, bounds, first, count)
    # A margin for rounding, so that a ray in the plane of a box's face enters it.
    margin = np.float32(2e-7) * max(float(np.abs(corners).max(initial=0.0)), 1e-3)
    outward = np.array([-1, -1, -1, 1, 1, 1], np.float32) * margin
    return bounds[:size] + outward, first[:size].copy(), count[:size].copy(), corners.reshape(-1, 9)[order], order


@kernel
def _enclose(lower, upper, members, box):
    box[:3], box[3:] = np.inf, -np.inf
    for i in members:
        for k in range(3):
            box[k] = min(box[k], lower[i, k])
            box[3 + k] = max(box[3 + k], upper[i, k])


@kernel
def _half_area(box):
    x, y, z = box[3] - box[0], box[4] - box[1], box[5] - box[2]
    return x * y + y * z + z * x


@kernel(inline="always")
def _bin_of(value, least, scale):
    return min(int((value - least) * scale), _BINS - 1)


@kernel
def _sweep(boxes, counts, cost, backwards):
    """Add to `cost[b]` the cost of the triangles on one side of the plane between bins b and b + 1."""
    box = np.empty(6, np.float32)
    box[:3], box[3:] = np.inf, -np.inf
    total = 0
    for step in range(_BINS - 1):
        b = _BINS - 1 - step if backwards else step
        for k in range(3):
            box[k] = min(box[k], boxes[b, k])
            box[3 + k] = max(box[3 + k], boxes[b, 3 + k])
        total += counts[b]
        cost[b - 1 if backwards else b] += total * _half_area(box) if total > 0 else 0.0


@kernel
def _best_split(lower, upper, centre, members):
    """Return ``(axis, bin, cost times half area)`` of the cheapest plane; axis -1 where all centres coincide."""
    boxes, counts, cost = np.empty((_BINS, 6), np.float32), np.empty(_BINS, np.int64), np.empty(_BINS, np.float64)
    best_axis, best_bin, best_cost = -1, 0, np.inf
    for axis in range(3):
        least, scale = _spread(centre, members, axis)
        if scale == 0.0:
            continue
        boxes[:, :3], boxes[:, 3:] = np.inf, -np.inf
        counts[:], cost[:] = 0, 0.0
        for i in members:
            b = _bin_of(centre[i, axis], least, scale)
            counts[b] += 1
            for k in range(3):
                boxes[b, k] = min(boxes[b, k], lower[i, k])
                boxes[b, 3 + k] = max(boxes[b, 3 + k], upper[i, k])
        _sweep(boxes, counts, cost, False)
        _sweep(boxes, counts, cost, True)
        for b in range(_BINS - 1):
            if cost[b] < best_cost:
                best_axis, best_bin, best_cost = axis, b, cost[b]
    return best_axis, best_bin, best_cost


@kernel
def _spread(centre, members, axis):
    """Least centre and bins per length along an axis; 0 where there is no extent to divide."""
    least, greatest = np.inf, -np.inf
    for i in members:
        least, greatest = min(least, centre[i, axis]), max(greatest, centre[i, axis])
    extent = greatest - least
    return least, _BINS / extent if extent > 1e-30 else 0.0


@kernel
def _partition(centre, members, axis, last_bin):
    """Move the members of bins up to `last_bin` to the front; return their number."""
    least, scale = _spread(centre, members, axis)
    i, j = 0, len(members) - 1
    while i <= j:
        if _bin_of(centre[members[i], axis], least, scale) <= last_bin:
            i += 1
        else:
            members[i], members[j] = members[j], members[i]
            j -= 1
    return i


@kernel
def _grow(lower, upper, centre, order, bounds, first, count):
    """Fill the nodes and sort `order` by the leaves; return the number of nodes."""
    nodes, top = 1, 1
    todo = np.zeros((_STACK, 2), np.int64)
    first[0], count[0] = 0, len(order)
    while top > 0:
        top -= 1
        node, depth = todo[top, 0], todo[top, 1]
        start, size = first[node], count[node]
        members = order[start : start + size]
        _enclose(lower, upper, members, bounds[node])
        if size <= 1:
            continue
        left = 0
        if depth < _SAH_DEPTH:
            axis, last_bin, cost = _best_split(lower, upper, centre, members)
            if size <= _LEAF and cost + _NODE_COST * _half_area(bounds[node]) >= size * _half_area(bounds[node]):
                continue
            if axis >= 0:
                left = _partition(centre, members, axis, last_bin)
        if left == 0 or left == size:
            if size <= 2 * _LEAF:
                continue
            left = size // 2
        first[node], count[node] = nodes, 0
        first[nodes], count[nodes] = start, left
        first[nodes + 1], count[nodes + 1] = start + left, size - left
        for child in (nodes, nodes + 1):
            todo[top, 0], todo[top, 1] = child, depth + 1
            top += 1
        nodes += 2
    return nodes


@kernel(inline="always")
def _reciprocal(value):
    return 1.0 / value if abs(value) > 1e-30 else 1e30


@kernel(inline="always")
def _enter(bounds, node, ox, oy, oz, ix, iy, iz, near, far):
    """Distance at which the ray enters a node's box, inf where it misses it."""
    a, b = (bounds[node, 0] - ox) * ix, (bounds[node, 3] - ox) * ix
    begin, end = max(near, min(a, b)), min(far, max(a, b))
    a, b = (bounds[node, 1] - oy) * iy, (bounds[node, 4] - oy) * iy
    begin, end = max(begin, min(a, b)), min(end, max(a, b))
    a, b = (bounds[node, 2] - oz) * iz, (bounds[node, 5] - oz) * iz
    begin, end = max(begin, min(a, b)), min(end, max(a, b))
    return begin if begin <= end else np.inf


@kernel(inline="always")
def _axes(dx, dy, dz):
    """Axes of the ray's own frame: the last is the one along which it runs most."""
    x, y, z = abs(dx), abs(dy), abs(dz)
    if z >= x and z >= y:
        return 0, 1, 2
    if x >= y:
        return 1, 2, 0
    return 2, 0, 1


@kernel
def _test(corners, slot, origin, kx, ky, kz, sx, sy, sz, near, far):
    """Intersect one triangle: ``(distance, u, v)``, distance -1 for a miss (Woop et al. 2013, section 3)."""
    c = corners[slot]
    az, bz, cz = c[kz] - origin[kz], c[3 + kz] - origin[kz], c[6 + kz] - origin[kz]
    ax, ay = c[kx] - origin[kx] - sx * az, c[ky] - origin[ky] - sy * az
    bx, by = c[3 + kx] - origin[kx] - sx * bz, c[3 + ky] - origin[ky] - sy * bz
    cx, cy = c[6 + kx] - origin[kx] - sx * cz, c[6 + ky] - origin[ky] - sy * cz
    u, v, w = cx * by - cy * bx, ax * cy - ay * cx, bx * ay - by * ax
    if (u < 0.0 or v < 0.0 or w < 0.0) and (u > 0.0 or v > 0.0 or w > 0.0):
        return -1.0, 0.0, 0.0
    determinant = u + v + w
    if determinant == 0.0:
        return -1.0, 0.0, 0.0
    distance = sz * (u * az + v * bz + w * cz) / determinant
    if not near < distance <= far:
        return -1.0, 0.0, 0.0
    return distance, v / determinant, w / determinant


@kernel
def _traverse(rays, ox, oy, oz, dx, dy, dz, near, far, any_hit):
    bounds, first, count, corners, _ = rays
    # Not float(), which does not convert single precision in compiled code.
    origin = np.float64(ox), np.float64(oy), np.float64(oz)
    direction = np.float64(dx), np.float64(dy), np.float64(dz)
    kx, ky, kz = _axes(direction[0], direction[1], direction[2])
    best, slot, u, v = np.float64(far), -1, 0.0, 0.0
    if not abs(direction[kz]) > 0.0:
        return best, slot, u, v
    sx, sy, sz = direction[kx] / direction[kz], direction[ky] / direction[kz], 1.0 / direction[kz]
    ix, iy, iz = _reciprocal(direction[0]), _reciprocal(direction[1]), _reciprocal(direction[2])
    # One scratch array holds nodes and the distances at which they are entered: an allocation costs as much as a node.
    stack = np.empty((_STACK, 2), np.float64)
    stack[0, 0], stack[0, 1], top = 0, near, 1
    while top > 0:
        top -= 1
        if stack[top, 1] > best:
            continue
        node = int(stack[top, 0])
        while count[node] == 0:
            child = first[node]
            a = _enter(bounds, child, origin[0], origin[1], origin[2], ix, iy, iz, near, best)
            b = _enter(bounds, child + 1, origin[0], origin[1], origin[2], ix, iy, iz, near, best)
            if max(a, b) < np.inf:
                stack[top, 0], stack[top, 1] = (child + 1, b) if a <= b else (child, a)
                top += 1
            elif min(a, b) == np.inf:
                break
            node = child if a <= b else child + 1
        for i in range(first[node], first[node] + count[node]):
            t, ti, tj = _test(corners, i, origin, kx, ky, kz, sx, sy, sz, near, best)
            if t >= 0.0:
                best, slot, u, v = t, i, ti, tj
                if any_hit:
                    return best, slot, u, v
    return best, slot, u, v


@kernel
def bvh_closest(rays, ox, oy, oz, dx, dy, dz, near, far):
    """Closest hit of one ray: ``(distance, triangle, u, v)``, triangle -1 and distance `far` where nothing is hit."""
    distance, slot, u, v = _traverse(rays, ox, oy, oz, dx, dy, dz, near, far, False)
    triangle = rays[4][slot] if slot >= 0 else np.int32(-1)
    return np.float32(distance), triangle, np.float32(u), np.float32(v)


@kernel
def bvh_occluded(rays, ox, oy, oz, dx, dy, dz, near, far):
    """Whether anything lies on the ray between `near` and `far`."""
    return _traverse(rays, ox, oy, oz, dx, dy, dz, near, far, True)[1] >= 0
