"""Energy that edges let through: along a diffracted path, and of direct sound that passes near them.

Several edges in a row follow Pierce (1974, J. Acoust. Soc. Am. 55, 941): one edge counts with the
whole way on either side of it, the edges on each side then with the way up to it, and so on. Of the possible orders,
the one with the least energy is used in each band, which keeps the result continuous. A leg that runs along a face
common to both its edges carries a wave and its own reflection, of which each edge's factor counts both: half of the
pressure.
"""

import numpy as np

from harken.acoustics.paths.diffraction.geometry import ANGLE as WEDGE
from harken.acoustics.paths.diffraction.geometry import (
    AXIS,
    HIGH_END,
    LENGTH,
    LOW_END,
    OUTWARD,
    lifted,
    pair_angles,
    place,
    sees,
    slide_point,
)
from harken.acoustics.paths.diffraction.search import share_left
from harken.acoustics.paths.diffraction.wedge import fill_wedge, transition
from harken.raytracing import kernel

__all__ = ["chain_energy", "chain_estimate", "pass_leg", "pass_sight"]

GRAZING = 0.02
"""Angle to a face below which a leg runs along it [rad]."""

WIDEST_ZONE = 0.15
"""Detour over an edge above which direct sound in view of it passes unchanged [m]."""

LEG_ZONE = 0.05
"""The same for the legs of bent paths [m]: there, smoothness matters more than detail."""

ON_EDGE = 2e-3
"""A leg that ends closer than this to an edge counts as ending at it [m]."""

LEVEL = 1e-6
"""Angle within which a leg touches an edge [rad]: a line of sight then passes it, any other leg bends around it."""

CUT = 1e-3
"""Detour below which rays cannot tell whether an edge cuts a leg [m]."""

MOST_PASSED = 4
"""Edges whose effect on one leg in view is counted, the nearest to it."""

WIDEST_FACE = 0.6
"""Edges of one face nearer than this count as one obstacle where sound passes in view [m]."""


@kernel
def _beyond(k, r_s, z_s, r_r, z_r, length, end, inside, free):
    """Return the approximate share of an edge's pressure that is lost at one of its ends.

    Half is lost where sound bends exactly at a free end. Nothing is lost at an end that meets a surface; the pressure
    only falls beyond it, where there is no edge.
    """
    if inside and not free:
        return 0.0
    detour = np.sqrt(r_s * r_s + (z_s - end) ** 2) + np.sqrt(r_r * r_r + (z_r - end) ** 2) - length
    part = abs(transition(k * max(detour, 0.0)))
    # The square omits the ripple caused by the edge's end on its illuminated side; in the shadow it decays as for any
    # edge.
    if inside:
        return 0.5 * part * part
    return 1.0 - (0.5 if free else 1.0) * part


@kernel
def _finite(k, edge, r_s, z_s, r_r, z_r):
    """Return a finite edge's approximate share of an infinite edge's pressure, a smooth form of Fresnel's integral."""
    length = np.sqrt((r_s + r_r) ** 2 + (z_s - z_r) ** 2)
    at = (z_s * r_r + z_r * r_s) / (r_s + r_r + 1e-12)
    low = _beyond(k, r_s, z_s, r_r, z_r, length, 0.0, at >= 0.0, edge[LOW_END] > 0.0)
    high = _beyond(k, r_s, z_s, r_r, z_r, length, edge[LENGTH], at <= edge[LENGTH], edge[HIGH_END] > 0.0)
    return max(1.0 - low - high, 0.0)


@kernel
def _apparent_place(edge, t, far, towards, total, out):
    """Set `out` to (r, θ, z) of a point at `total` along the leg from the edge at `t` towards a neighbour."""
    dx, dy, dz = far[0] - towards[0], far[1] - towards[1], far[2] - towards[2]
    d = max(np.sqrt(dx * dx + dy * dy + dz * dz), 1e-9)
    _, theta, _ = place(edge, far)
    along = (dx * edge[AXIS] + dy * edge[AXIS + 1] + dz * edge[AXIS + 2]) / d
    out[0], out[1], out[2] = total * np.sqrt(max(1.0 - along * along, 1e-6)), theta, t + total * along


@kernel
def _angles(table, sequence, i, points):
    """Return the angles of the legs before and after a path's edge number `i`, around it."""
    edge = table[sequence[i]]
    _, a, _ = place(edge, points[i])
    _, b, _ = place(edge, points[i + 2])
    return pair_angles(edge[WEDGE], a, b)


@kernel
def chain_estimate(table, sequence, count, points):
    """Return a rough estimate of the energy share of a path over `count` edges (500 Hz), 0 where it is not bent."""
    reach = np.zeros(count + 2)
    for i in range(count + 1):
        reach[i + 1] = reach[i] + np.sqrt(((points[i + 1] - points[i]) ** 2).sum())
    share = 1.0
    for i in range(count):
        a, b = _angles(table, sequence, i, points)
        bend = abs(a - b) - np.pi
        if bend <= -LEVEL:
            return 0.0
        share *= share_left(reach[i + 1], reach[count + 1] - reach[i + 1], max(bend, 0.0))
    return share


@kernel
def chain_energy(rule, table, sequence, count, points, t, energy):
    """Set `energy` ``(frequencies,)`` to the share that a path over `count` edges lets through.

    `points` ``(count + 2, 3)`` and `t` come from `settle_points`. Returns False where the path is not bent at some
    edge.
    """
    wavenumbers, nodes, weights = rule
    frequencies = len(wavenumbers)
    energy[:] = 1.0
    reach, before, after = np.zeros(count + 2), np.empty(3), np.empty(3)
    angles = np.empty((count, 2))
    for i in range(count + 1):
        reach[i + 1] = reach[i] + np.sqrt(((points[i + 1] - points[i]) ** 2).sum())
    for i in range(count):
        angles[i, 0], angles[i, 1] = _angles(table, sequence, i, points)
        if abs(angles[i, 0] - angles[i, 1]) <= np.pi - LEVEL:
            return False
    part, out = np.ones((count + 2, count + 2, frequencies)), np.empty((2, frequencies), np.complex128)
    for width in range(2, count + 2):
        for low in range(count + 2 - width):
            high = low + width
            part[low, high] = 1e30
            for middle in range(low + 1, high):
                edge, at = table[sequence[middle - 1]], t[middle - 1]
                _apparent_place(edge, at, points[middle - 1], points[middle], reach[middle] - reach[low], before)
                _apparent_place(edge, at, points[middle + 1], points[middle], reach[high] - reach[middle], after)
                a, b = angles[middle - 1, 0], angles[middle - 1, 1]
                z = after[2] - before[2]
                fill_wedge(wavenumbers, nodes, weights, edge[WEDGE], before[0], a, after[0], b, z, out)
                for i in range(frequencies):
                    share = abs(out[0, i] + out[1, i]) ** 2 * part[low, middle, i] * part[middle, high, i]
                    part[low, high, i] = min(part[low, high, i], share)
    energy[:] = part[0, count + 1]
    for middle in range(1, count + 1):
        edge, at = table[sequence[middle - 1]], t[middle - 1]
        _apparent_place(edge, at, points[middle - 1], points[middle], reach[middle], before)
        _apparent_place(edge, at, points[middle + 1], points[middle], reach[count + 1] - reach[middle], after)
        common = (
            middle < count
            and _along_face(edge[WEDGE], angles[middle - 1, 1])
            and (_along_face(table[sequence[middle], WEDGE], angles[middle, 0]))
        )
        for i in range(frequencies):
            energy[i] *= _finite(wavenumbers[i], edge, before[0], before[2], after[0], after[2]) ** 2
            energy[i] *= 0.25 if common else 1.0
    return True


@kernel(inline="always")
def _along_face(wedge, theta):
    return theta < GRAZING or theta > wedge - GRAZING


@kernel(fastmath=True)
def _detour_beside(table, e, a, b, total, zone):
    """Return how much longer than a leg the way over edge `e` is, and whether it is shortest between the edge's ends.

    Edges that are certainly farther away than `zone` return a large length early, since this is called for every edge.
    """
    ax, ay, az = a[0] - table[e, 0], a[1] - table[e, 1], a[2] - table[e, 2]
    bx, by, bz = b[0] - table[e, 0], b[1] - table[e, 1], b[2] - table[e, 2]
    ux, uy, uz, length = table[e, AXIS], table[e, AXIS + 1], table[e, AXIS + 2], table[e, LENGTH]
    z, y = ax * ux + ay * uy + az * uz, bx * ux + by * uy + bz * uz
    # Over the infinite line the way would be shortest by unfolding.
    r2, s2 = ax * ax + ay * ay + az * az - z * z, bx * bx + by * by + bz * bz - y * y
    most = total + zone
    if r2 > most * most or s2 > most * most:
        return 1e9, False
    r, s = np.sqrt(max(r2, 0.0)), np.sqrt(max(s2, 0.0))
    if min(r, s) < ON_EDGE or (r + s) ** 2 + (z - y) ** 2 > most * most:
        return 1e9, False
    t = (z * s + y * r) / (r + s)
    at = min(max(t, 0.0), length)
    return np.sqrt(r2 + (z - at) ** 2) + np.sqrt(s2 + (y - at) ** 2) - total, t == at


@kernel
def _near_detour(table, e, a, b, total, zone, allowance):
    """Return how much longer than a leg the way over an edge beside it is, or a large length where it is far.

    Returns -1 for a leg that would cut the edge by more than the angle `allowance`, but by less than rays can tell.
    """
    detour, inside = _detour_beside(table, e, a, b, total, zone)
    if detour >= zone:
        return 1e9
    _, theta, _ = place(table[e], a)
    _, phi, _ = place(table[e], b)
    if abs(theta - phi) > np.pi + allowance:
        return -1.0 if inside and detour < CUT else 1e9
    return max(detour, 0.0)


@kernel
def _one_obstacle(first, second):
    """Whether two edges border one narrow face."""
    gap = 0.0
    turn = np.empty(3)
    for axis in range(3):
        turn[axis] = (
            second[axis]
            + 0.5 * second[LENGTH] * second[AXIS + axis]
            - first[axis]
            - 0.5 * first[LENGTH] * first[AXIS + axis]
        )
    along = turn[0] * first[AXIS] + turn[1] * first[AXIS + 1] + turn[2] * first[AXIS + 2]
    for axis in range(3):
        gap += (turn[axis] - along * first[AXIS + axis]) ** 2
    if gap > WIDEST_FACE * WIDEST_FACE:
        return False
    outward = first[OUTWARD : OUTWARD + 3]
    # The second edge lies on one of the first one's faces, or the two are nearly the same.
    half = 0.5 * first[WEDGE]
    x = turn[0] * outward[0] + turn[1] * outward[1] + turn[2] * outward[2]
    return gap < 1e-4 or abs(x - np.sqrt(gap) * np.cos(half)) < 0.05 * np.sqrt(gap) + 1e-3


@kernel
def _passing(rule, edge, a, b, total, with_reflection, fade, product):
    """Multiply `product` ``(frequencies,)`` by the effect of an edge on sound that passes in view of it."""
    wavenumbers, nodes, weights = rule
    out = np.empty((2, len(wavenumbers)), np.complex128)
    r, theta, z = place(edge, a)
    s, phi, y = place(edge, b)
    if abs(theta - phi) > np.pi - LEVEL:
        phi = theta + (np.pi - LEVEL if phi > theta else LEVEL - np.pi)
    length = fill_wedge(wavenumbers, nodes, weights, edge[WEDGE], r, theta, s, phi, y - z, out)
    detour = length - total
    turn = theta + phi if theta + phi < np.pi else 2.0 * edge[WEDGE] - theta - phi
    in_sight = turn < np.pi
    image = np.sqrt(max(r * r + s * s - 2.0 * r * s * np.cos(turn) + (z - y) ** 2, 1e-6))
    for i in range(len(wavenumbers)):
        k = wavenumbers[i]
        over = complex(np.cos(k * detour), -np.sin(k * detour)) * (total / length)
        change = over * out[0, i]
        if with_reflection:
            reflected = over * out[1, i]
            if in_sight:
                late = k * (image - total)
                reflected += complex(np.cos(late), -np.sin(late)) * (total / image)
            change += reflected * np.exp(-k * detour)
        product[i] *= 1.0 + fade * change * _finite(k, edge, r, z, s, y)


@kernel
def _edges_beside(table, a, b, total, first, last, zone, nearest, detours):
    """Find the edges nearest to a leg, nearest first; returns how many, -1 where the leg cuts one.

    A line of sight ends at no edge and has already been found free by rays, so it cuts none.
    """
    count, in_sight = 0, first < 0 and last < 0
    for e in range(len(table)):
        detour, _ = _detour_beside(table, e, a, b, total, zone)
        if detour >= zone or e == first or e == last:  # noqa: SIM109  a tuple is slow in compiled code
            continue
        detour = _near_detour(table, e, a, b, total, zone, LEVEL if in_sight else -LEVEL)
        if detour < 0.0:
            if in_sight:
                continue
            return -1
        if detour >= zone or (count == MOST_PASSED and detour >= detours[count - 1]):
            continue
        at = min(count, MOST_PASSED - 1)
        while at > 0 and detours[at - 1] > detour:
            detours[at], nearest[at] = detours[at - 1], nearest[at - 1]
            at -= 1
        detours[at], nearest[at] = detour, e
        count = min(count + 1, MOST_PASSED)
    return count


@kernel
def _sees_over(rays, buffer, edge, a, b, point):
    """Whether two points both see the place of an edge next to the leg between them; sets `point` to it."""
    r, _, z = place(edge, a)
    s, _, y = place(edge, b)
    lifted(edge, (z * s + y * r) / (r + s + 1e-9), point)
    return sees(rays, buffer, a, point) and sees(rays, buffer, point, b)


@kernel
def pass_leg(rays, buffer, rule, table, a, b, near_a, near_b, first, last, product):
    """Multiply `product` ``(frequencies,)`` complex by the effect of edges beside a free leg from `a` to `b`.

    `first` and `last` are the edges that the leg runs between, -1 where it starts or ends in the open; `near_a` and
    `near_b` are its ends, at an edge just outside it, where rays are free. Returns the nearest edge, -1 where there
    is none, -2 where the leg cuts an edge.
    """
    total = np.sqrt(((b - a) ** 2).sum())
    beside, detours = np.empty(MOST_PASSED, np.int64), np.empty(MOST_PASSED)
    zone = WIDEST_ZONE if first < 0 and last < 0 else LEG_ZONE
    count = _edges_beside(table, a, b, total, first, last, zone, beside, detours)
    if count < 0:
        return -2
    point, passed = np.empty(3), np.empty(MOST_PASSED + 2, np.int64)
    passed[0], passed[1] = first, last
    counted, nearest = 2, -1
    for i in range(count):
        edge = table[beside[i]]
        if not _sees_over(rays, buffer, edge, near_a, near_b, point):
            continue
        alone = True
        for j in range(counted):
            alone = alone and (passed[j] < 0 or not _one_obstacle(edge, table[passed[j]]))
        fade = (1.0 - (detours[i] / zone) ** 2) ** 2
        _passing(rule, edge, a, b, total, alone, fade, product)
        nearest = beside[i] if nearest < 0 else nearest
        passed[counted] = beside[i]
        counted += 1
    return nearest


@kernel
def pass_sight(rays, buffer, rule, table, a, b, product):
    """Set `product` ``(frequencies,)`` complex to the effect of edges beside a line of sight on the direct sound.

    Next to the nearest edge, the others act on the ways to and from it, as they do where it casts its shadow; away from
    it they act on the line itself. Returns whether any edge counts.
    """
    product[:] = 1.0
    nearest = pass_leg(rays, buffer, rule, table, a, b, a, b, -1, -1, product)
    if nearest < 0:
        return False
    edge, point, near = table[nearest], np.empty(3), np.empty(3)
    total = np.sqrt(((b - a) ** 2).sum())
    detour = _near_detour(table, nearest, a, b, total, WIDEST_ZONE, LEVEL)
    fade = (1.0 - (detour / WIDEST_ZONE) ** 2) ** 2
    bent = np.ones(len(product), np.complex128)
    _passing(rule, edge, a, b, total, True, fade, bent)
    slide_point(edge, a, b, point)
    lifted(edge, place(edge, point)[2], near)
    pass_leg(rays, buffer, rule, table, a, point, a, near, -1, nearest, bent)
    pass_leg(rays, buffer, rule, table, point, b, near, b, nearest, -1, bent)
    for i in range(len(product)):
        share = fade * np.exp(-rule[0][i] * detour)
        product[i] += share * (bent[i] - product[i])
    return True
