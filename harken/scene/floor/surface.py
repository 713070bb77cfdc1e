"""Where a body can stand in a mesh: kernels that turn triangles into a sampled surface with clearance.

The scene is cut by vertical lines on a square lattice. Where a line crosses a triangle of walkable slope with enough
room above lies a *node*. Neighbouring nodes are linked where their heights differ by no more than a step. The distance
from a node to the nearest obstacle is measured to the triangles themselves, cut to the heights that the body takes up,
and carried on over the links (vector distance transform; Danielsson, Euclidean Distance Mapping, 1980); walls at any
angle therefore keep their place to a small fraction of a cell.
"""

import numpy as np

from harken.raytracing import borrowed, kernel

__all__ = ["clearance", "crossings", "link", "obstacle_vectors", "stand_points"]

STEPS = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]], np.int64)
"""Lattice directions of the links: east (+x), south (+z), west (−x), north (−z)."""

WALKABLE, FACES_UP = 1, 2
"""Bits that `crossings` sets for a surface."""

UP, DOWN, LID = 1, 2, 2
"""Bits that `stand_points` sets for the floor, and the shift for the surface overhead."""

_NEARLY_VERTICAL = 0.05
_SLACK = 1e-3
_SAME = 0.02


@kernel
def _row_interval(corner, low, high):
    """Least and greatest x of a triangle within the strip ``low ≤ z ≤ high``; (inf, -inf) where it is outside."""
    least, greatest = np.inf, -np.inf
    for k in range(3):
        ax, az = corner[k, 0], corner[k, 2]
        bx, bz = corner[(k + 1) % 3, 0], corner[(k + 1) % 3, 2]
        if low <= az <= high:
            least, greatest = min(least, ax), max(greatest, ax)
        for line in (low, high):
            if (az < line) != (bz < line):
                x = ax + (line - az) / (bz - az) * (bx - ax)
                least, greatest = min(least, x), max(greatest, x)
    return least, greatest


@kernel
def _columns_between(least, greatest, origin, cell, count):
    """First and last lattice index whose line lies in an interval."""
    first = max(int(np.ceil((least - origin) / cell)), 0)
    last = min(int(np.floor((greatest - origin) / cell)), count - 1)
    return first, last


@kernel
def crossings(triangles, x0, z0, cell, nx, nz, reach, slope, start, heights, kinds):
    """Collect where the lattice's vertical lines cross triangles.

    Called twice: with empty `heights` it counts into ``start[1:]``; once `start` holds offsets it fills (and leaves
    each offset at the end of its column, which is the start of the next).

    Args:
        triangles: ``(F, 3, 3)`` corners [m].
        x0: x of the lattice's first line [m].
        z0: z of the lattice's first line [m].
        cell: Spacing of the lattice [m].
        nx: Lines along x.
        nz: Lines along z.
        reach: Distance by which triangles are widened, so that cracks between them do not matter [m].
        slope: Least vertical component of the normal of a walkable triangle, whichever way it points.
        start: ``(nx·nz + 1,)`` int32 counts or offsets.
        heights: ``(crossings,)`` float32 heights [m].
        kinds: ``(crossings,)`` uint8: `WALKABLE` for a slope that can be walked on, `FACES_UP` for a front on top.
    """
    filling = len(heights) > 0
    for f in range(len(triangles)):
        t = triangles[f]
        e1x, e1y, e1z = t[1, 0] - t[0, 0], t[1, 1] - t[0, 1], t[1, 2] - t[0, 2]
        e2x, e2y, e2z = t[2, 0] - t[0, 0], t[2, 1] - t[0, 1], t[2, 2] - t[0, 2]
        normal_x, normal_y, normal_z = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
        length = np.sqrt(normal_x**2 + normal_y**2 + normal_z**2)
        if length == 0.0 or abs(normal_y) < _NEARLY_VERTICAL * length:
            continue
        low, high = min(t[0, 1], t[1, 1], t[2, 1]), max(t[0, 1], t[1, 1], t[2, 1])
        south, north = max(t[0, 2], t[1, 2], t[2, 2]), min(t[0, 2], t[1, 2], t[2, 2])
        first_row, last_row = _columns_between(north - reach, south + reach, z0, cell, nz)
        for j in range(first_row, last_row + 1):
            z = z0 + j * cell
            west, east = _row_interval(t, z - reach, z + reach)
            if west > east:
                continue
            first, last = _columns_between(west - reach, east + reach, x0, cell, nx)
            for i in range(first, last + 1):
                column = j * nx + i
                if not filling:
                    start[column + 1] += 1
                    continue
                x = x0 + i * cell
                height = t[0, 1] - (normal_x * (x - t[0, 0]) + normal_z * (z - t[0, 2])) / normal_y
                heights[start[column]] = min(max(height, low), high)
                kinds[start[column]] = (WALKABLE if abs(normal_y) >= slope * length else 0) + (
                    FACES_UP if normal_y > 0.0 else 0
                )
                start[column] += 1


@kernel
def _sort(heights, kinds, begin, end):
    """Sort one column by height (insertion: a column holds few crossings)."""
    for a in range(begin + 1, end):
        height, kind = heights[a], kinds[a]
        b = a - 1
        while b >= begin and heights[b] > height:
            heights[b + 1], kinds[b + 1] = heights[b], kinds[b]
            b -= 1
        heights[b + 1], kinds[b + 1] = height, kind


@kernel
def _faces(heights, kinds, begin, end, height):
    """Which ways surfaces at (almost) a height face: `UP` and `DOWN`."""
    faces = 0
    for k in range(begin, end):
        if abs(heights[k] - height) <= _SAME:
            faces |= UP if kinds[k] & FACES_UP else DOWN
    return faces


@kernel
def stand_points(start, heights, kinds, step, room, columns, node_height, node_column, facing):
    """Pick the heights at which a body can stand on each vertical line.

    Called twice like `crossings`: with empty `node_height` it counts into ``columns[1:]``, then it fills. A surface is
    not stood on where a walkable one lies within a step above it (a rug on a floor, the upper of two equal triangles).

    Args:
        start: Offsets from `crossings`.
        heights: Heights from `crossings`; each column is sorted in place.
        kinds: Kinds from `crossings`, sorted with the heights.
        step: Height of a step [m].
        room: Height of the body [m].
        columns: ``(nx·nz + 1,)`` int32 counts or offsets of the nodes.
        node_height: ``(nodes,)`` float32 heights [m].
        node_column: ``(nodes,)`` int32 columns.
        facing: ``(nodes,)`` uint8: `UP` and `DOWN` for the ways that the floor faces, and shifted by `LID` bits those
            that the next surface above the body faces.
    """
    filling = len(node_height) > 0
    for column in range(len(start) - 1):
        begin, end = start[column], start[column + 1]
        _sort(heights, kinds, begin, end)
        for a in range(begin, end):
            if not kinds[a] & WALKABLE:
                continue
            stands, above = True, -1
            for b in range(a + 1, end):
                gap = heights[b] - heights[a]
                if gap >= room:
                    above = b
                    break
                if gap > step + _SLACK or kinds[b] & WALKABLE:
                    stands = False
                    break
            if stands and filling:
                k = columns[column]
                node_height[k], node_column[k] = heights[a], column
                facing[k] = _faces(heights, kinds, begin, end, heights[a])
                if above >= 0:
                    facing[k] |= _faces(heights, kinds, begin, end, heights[above]) << LID
                columns[column] += 1
            elif stands:
                columns[column + 1] += 1


@kernel
def link(columns, node_column, node_height, nx, reach, links):
    """Link each node to those of the four neighbouring lines whose height differs by `reach` or less, -1 for none."""
    for n in range(len(node_height)):
        for k in range(4):
            column = node_column[n] + STEPS[k, 1] * nx + STEPS[k, 0]
            best, links[n, k] = reach + _SLACK, -1
            for m in range(columns[column], columns[column + 1]):
                difference = abs(node_height[m] - node_height[n])
                if difference <= best:
                    best, links[n, k] = difference, m


@kernel
def _clip(polygon, count, height, sign, clipped):
    """Clip a polygon to the part above (sign 1) or below (sign -1) a height; return the number of corners."""
    size = 0
    for k in range(count):
        a, b = polygon[k], polygon[(k + 1) % count]
        da, db = sign * (a[1] - height), sign * (b[1] - height)
        if da >= 0.0:
            clipped[size] = a
            size += 1
        if (da >= 0.0) != (db >= 0.0):
            share = da / (da - db)
            for c in range(3):
                clipped[size, c] = a[c] + share * (b[c] - a[c])
            size += 1
    return size


@kernel
def _nearest_on_outline(polygon, count, x, z):
    """Vector in the plan from a point to a convex polygon: zero inside it."""
    best, best_x, best_z = np.inf, np.inf, np.inf
    area, inside, turn = 0.0, True, 0.0
    for k in range(count):
        ax, az = polygon[k, 0] - x, polygon[k, 2] - z
        bx, bz = polygon[(k + 1) % count, 0] - x, polygon[(k + 1) % count, 2] - z
        cross = ax * bz - az * bx
        area += cross
        if cross * turn < 0.0:
            inside = False
        if cross != 0.0:
            turn = cross
        ex, ez = bx - ax, bz - az
        squared = ex * ex + ez * ez
        share = 0.0 if squared == 0.0 else min(max(-(ax * ex + az * ez) / squared, 0.0), 1.0)
        px, pz = ax + share * ex, az + share * ez
        if px * px + pz * pz < best:
            best, best_x, best_z = px * px + pz * pz, px, pz
    if inside and abs(area) > 1e-9:
        return 0.0, 0.0
    return best_x, best_z


@kernel
def obstacle_vectors(
    triangles, x0, z0, cell, nx, nz, slope, step, room, reach, columns, node_height, polygons, vectors
):
    """Find the vector from each node to the nearest obstacle within `reach`.

    An obstacle is what a triangle has between a step above the node and the body's height. Triangles of walkable
    slope may rise by another `reach` (45° over that distance), or a ramp would be an obstacle to itself.

    Args:
        triangles: ``(F, 3, 3)`` corners [m].
        x0: x of the lattice's first line [m].
        z0: z of the lattice's first line [m].
        cell: Spacing of the lattice [m].
        nx: Lines along x.
        nz: Lines along z.
        slope: Least vertical component of the normal of a walkable triangle.
        step: Height of a step [m].
        room: Height of the body [m].
        reach: Greatest distance [m].
        columns: ``(nx·nz + 1,)`` int32 offsets of the nodes.
        node_height: ``(nodes,)`` float32 heights [m].
        polygons: ``(2, 8, 3)`` scratch.
        vectors: ``(nodes, 2)`` float32 x and z of the vector, lowered in place from infinity.
    """
    triangles, polygons = borrowed(triangles), borrowed(polygons)
    first_polygon, second_polygon = polygons[0], polygons[1]
    for f in range(len(triangles)):
        t = triangles[f]
        low, high = min(t[0, 1], t[1, 1], t[2, 1]), max(t[0, 1], t[1, 1], t[2, 1])
        south, north = max(t[0, 2], t[1, 2], t[2, 2]), min(t[0, 2], t[1, 2], t[2, 2])
        normal = np.cross(t[1] - t[0], t[2] - t[0])
        flat = abs(normal[1]) >= slope * np.sqrt(normal[0] ** 2 + normal[1] ** 2 + normal[2] ** 2)
        bottom = step + _SLACK + (reach if flat else 0.0)
        first_row, last_row = _columns_between(north - reach, south + reach, z0, cell, nz)
        for j in range(first_row, last_row + 1):
            z = z0 + j * cell
            west, east = _row_interval(t, z - reach, z + reach)
            if west > east:
                continue
            first, last = _columns_between(west - reach, east + reach, x0, cell, nx)
            for i in range(first, last + 1):
                x = x0 + i * cell
                for n in range(columns[j * nx + i], columns[j * nx + i + 1]):
                    y = node_height[n]
                    if high <= y + bottom or low >= y + room:
                        continue
                    count = _clip(t, 3, y + bottom, 1.0, first_polygon)
                    count = _clip(first_polygon, count, y + room, -1.0, second_polygon)
                    dx, dz = _nearest_on_outline(second_polygon, count, x, z)
                    squared = dx * dx + dz * dz
                    if squared <= reach * reach and squared < vectors[n, 0] ** 2 + vectors[n, 1] ** 2:
                        vectors[n, 0], vectors[n, 1] = dx, dz


@kernel
def _mark_ledges(links, cell, vectors):
    """Take the middle between a node and a missing neighbour as the edge of the floor, unless a wall is the reason."""
    for n in range(len(links)):
        if vectors[n, 0] ** 2 + vectors[n, 1] ** 2 <= cell * cell:
            continue
        for k in range(4):
            squared = vectors[n, 0] ** 2 + vectors[n, 1] ** 2
            if links[n, k] < 0 and 0.25 * cell * cell < squared:
                vectors[n, 0], vectors[n, 1] = 0.5 * cell * STEPS[k, 0], 0.5 * cell * STEPS[k, 1]


@kernel
def _relax(n, m, di, dj, cell, vectors):
    """Offer node `m`, di and dj cells from `n`, the obstacle of `n`; tell whether it is nearer than its own."""
    x, z = vectors[n, 0] - di * cell, vectors[n, 1] - dj * cell
    if x * x + z * z < (vectors[m, 0] ** 2 + vectors[m, 1] ** 2) * (1.0 - 1e-6) - 1e-9:
        vectors[m, 0], vectors[m, 1] = x, z
        return True
    return False


@kernel
def clearance(links, cell, vectors):
    """Carry the obstacle vectors on to every node.

    Args:
        links: ``(nodes, 4)`` from `link`.
        cell: Spacing of the lattice [m].
        vectors: From `obstacle_vectors`, completed in place.

    Returns:
        ``(nodes,)`` float32 distance from each node to the nearest obstacle or edge of the floor [m].
    """
    nodes = len(links)
    _mark_ledges(links, cell, vectors)
    queue, queued = np.empty(nodes, np.int32), np.zeros(nodes, np.bool_)
    head = waiting = 0
    for n in range(nodes):
        if np.isfinite(vectors[n, 0]):
            queue[waiting], queued[n] = n, True
            waiting += 1
    while waiting > 0:
        n = queue[head]
        head, waiting = (head + 1) % nodes, waiting - 1
        queued[n] = False
        for k in range(4):
            side = links[n, k]
            if side < 0:
                continue
            beyond = links[side, (k + 1) % 4]
            for m, turn in ((side, -1), (beyond, (k + 1) % 4)):
                if m < 0:
                    continue
                di, dj = STEPS[k, 0], STEPS[k, 1]
                if turn >= 0:
                    di, dj = di + STEPS[turn, 0], dj + STEPS[turn, 1]
                if _relax(n, m, di, dj, cell, vectors) and not queued[m]:
                    queue[(head + waiting) % nodes], queued[m] = m, True
                    waiting += 1
    distance = np.empty(nodes, np.float32)
    for n in range(nodes):
        distance[n] = np.sqrt(vectors[n, 0] ** 2 + vectors[n, 1] ** 2)
    return distance
