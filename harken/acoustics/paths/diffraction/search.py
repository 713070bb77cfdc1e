"""Ways around edges: from a source over all edges once, and from there to a listener at every step.

A way over several edges is stored at its last edge by the quantities that its continuation depends on: the source
unfolded about that edge (a distance and a height), the angle at which sound arrives, and an estimate of the energy that
the earlier edges let through.
"""

import numpy as np

from harken.acoustics.paths.diffraction.geometry import ANGLE as WEDGE
from harken.acoustics.paths.diffraction.geometry import (
    AXIS,
    LENGTH,
    TANGENT,
    bends,
    lifted,
    pair_angles,
    place,
    sees,
    sees_edge,
)
from harken.raytracing import borrowed, kernel

__all__ = ["best_ways", "reach_edges", "share_left", "unroll"]

DISTANCE, HEIGHT, ARRIVAL, SHARE, SCORE = 0, 1, 2, 3, 4
"""Columns of a way: unfolded distance and height of the source [m], angle of arrival [rad], share of energy, rank."""

SLACK = 0.1
"""Angle by which an approximate way may miss the shadow; the exact test comes later [rad]."""

ESTIMATE_AT = 9.2
"""Wave number at which ways are ranked [1/m]: 500 Hz, where speech is strong and sound still bends."""


@kernel(inline="always")
def share_left(r_s, r_r, bend):
    """Estimate the share of energy that bends by `bend` beyond the shadow's boundary."""
    sine = np.sin(0.5 * bend)
    return 0.25 / (1.0 + np.pi * ESTIMATE_AT * 2.0 * r_s * r_r / (r_s + r_r + 1e-9) * sine * sine)


@kernel
def _point_at(edge, t, out):
    for axis in range(3):
        out[axis] = edge[axis] + t * edge[AXIS + axis]


@kernel
def _way_length(way, edge, r, z):
    """Return the length of a way over its last edge to a point at distance `r` and height `z`, and where it bends."""
    t = (way[HEIGHT] * r + z * way[DISTANCE]) / (way[DISTANCE] + r + 1e-9)
    t = min(max(t, 0.0), edge[LENGTH])
    to = np.sqrt(way[DISTANCE] ** 2 + (t - way[HEIGHT]) ** 2)
    return to + np.sqrt(r * r + (z - t) ** 2), t


@kernel
def _extend(rays, buffer, way, edge, onward, source, is_first, p, q, out):
    """Set `out` to the way that goes on over edge `onward`; returns whether sound bends around both on it.

    The leg between the two has to be free at one of three places, and where `is_first`, the leg from the source too.
    """
    for share in (0.5, 0.12, 0.88):
        _point_at(onward, share * onward[LENGTH], q)
        r, theta, z = place(edge, q)
        arrival, theta = pair_angles(edge[WEDGE], way[ARRIVAL], theta)
        bend = abs(theta - arrival) - np.pi
        if bend < -SLACK:
            continue
        whole, t = _way_length(way, edge, r, z)
        _point_at(edge, t, p)
        _, arriving, _ = place(onward, p)
        if not bends(onward[WEDGE], arriving):
            continue
        lifted(edge, t, p)
        lifted(onward, share * onward[LENGTH], q)
        if not sees(rays, buffer, p, q) or (is_first and not sees(rays, buffer, source, p)):
            continue
        length = onward[LENGTH]
        _point_at(onward, 0.0, q)
        r0, _, z0 = place(edge, q)
        low, _ = _way_length(way, edge, r0, z0)
        _point_at(onward, length, q)
        r1, _, z1 = place(edge, q)
        high, _ = _way_length(way, edge, r1, z1)
        # The distances to both ends determine where the source would lie if the way were straight.
        out[HEIGHT] = (low * low - high * high + length * length) / (2.0 * length)
        out[DISTANCE] = np.sqrt(max(low * low - out[HEIGHT] ** 2, 0.0025))
        out[ARRIVAL] = arriving
        out[SHARE] = way[SHARE] * share_left(way[DISTANCE], r, max(bend, 0.0))
        out[SCORE] = out[SHARE] / (whole * whole)
        return True
    return False


@kernel
def _passes(ways, came, level, last, slot, edge):
    """Whether a way has already bent around an edge."""
    for back in range(level, -1, -1):
        if last == edge:
            return True
        if back == 0:
            break
        last, slot = came[back, last, slot, 0], came[back, last, slot, 1]
    return False


@kernel
def reach_edges(rays, table, neighbours, borders, source, ways, came, scratch):
    """Fill the ways from a source to all edges.

    `neighbours[borders[e] : borders[e + 1]]` are the edges that edge e sees. `ways` ``(orders, edges, slots, 5)`` gets
    per number of edges and last edge the best ways (score 0: none), `came` ``(orders, edges, slots, 2)`` the edge and
    slot that each came from. `scratch` is a buffer from `ray_buffer` and three arrays: ``(3,)``, ``(3,)`` and ``(5,)``.
    """
    table, ways, came, source = borrowed(table), borrowed(ways), borrowed(came), borrowed(source)
    buffer, p, q, new = borrowed(scratch)
    orders, count, slots = ways.shape[0], ways.shape[1], ways.shape[2]
    ways[:, :, :, SCORE] = 0.0
    for e in range(count):
        r, theta, z = place(table[e], source)
        if bends(table[e, WEDGE], theta) and sees_edge(rays, buffer, table[e], source, p):
            way = ways[0, e, 0]
            way[DISTANCE], way[HEIGHT], way[ARRIVAL], way[SHARE], way[SCORE] = r, z, theta, 1.0, 1.0
    for level in range(1, orders):
        for e in range(count):
            for s in range(slots):
                if ways[level - 1, e, s, SCORE] == 0.0:
                    break
                for i in range(borders[e], borders[e + 1]):
                    onward = neighbours[i]
                    if _passes(ways, came, level - 1, e, s, onward):
                        continue
                    way = ways[level - 1, e, s]
                    if not _extend(rays, buffer, way, table[e], table[onward], source, level == 1, p, q, new):
                        continue
                    at = slots
                    while at > 0 and ways[level, onward, at - 1, SCORE] < new[SCORE]:
                        at -= 1
                    if at == slots:
                        continue
                    for move in range(slots - 1, at, -1):
                        ways[level, onward, move] = ways[level, onward, move - 1]
                        came[level, onward, move] = came[level, onward, move - 1]
                    ways[level, onward, at] = new
                    came[level, onward, at, 0], came[level, onward, at, 1] = e, s


@kernel
def best_ways(table, reached, ways, listener, best, scores):
    """Find the most promising ways to a listener, best first; returns how many.

    `reached` are the edges that have any ways. `best` ``(most, 3)`` int64 gets the level (one less than the number of
    edges), last edge and slot of each, and `scores` ``(most,)`` an estimate of its energy.
    """
    levels, slots, most = ways.shape[0], ways.shape[2], len(scores)
    count = 0
    for e in reached:
        edge = table[e]
        r, theta, z = place(edge, listener)
        if not bends(edge[WEDGE], theta):
            continue
        for level in range(levels):
            for s in range(slots):
                way = ways[level, e, s]
                if way[SCORE] == 0.0:
                    break
                arrival, leaving = pair_angles(edge[WEDGE], way[ARRIVAL], theta)
                bend = abs(leaving - arrival) - np.pi
                if bend < (-SLACK if level > 0 else -TANGENT):
                    continue
                length, _ = _way_length(way, edge, r, z)
                score = way[SHARE] * share_left(way[DISTANCE], r, max(bend, 0.0)) / (length * length)
                if count == most and score <= scores[most - 1]:
                    continue
                at = min(count, most - 1)
                while at > 0 and scores[at - 1] < score:
                    scores[at] = scores[at - 1]
                    best[at, 0], best[at, 1], best[at, 2] = best[at - 1, 0], best[at - 1, 1], best[at - 1, 2]
                    at -= 1
                scores[at] = score
                best[at, 0], best[at, 1], best[at, 2] = level, e, s
                count = min(count + 1, most)
    return count


@kernel
def unroll(came, level, last, slot, sequence):
    """Set `sequence` to the edges of a way from the source on; returns how many."""
    for back in range(level, -1, -1):
        sequence[back] = last
        if back > 0:
            last, slot = came[back, last, slot, 0], came[back, last, slot, 1]
    return level + 1
