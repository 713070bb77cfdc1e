"""Length of a way over a floor, measured in the same way for shortest paths and for walked paths.

On a level floor it is the straight distance from way point to way point. On one that climbs it is measured along the
surface below the straight way in the plan, so that the pieces of a way add up to its length. Stairs count as the slope
over their edges and not as treads and risers: heights are averaged over about the depth of a tread first.
"""

import numpy as np

from harken.raytracing import kernel
from harken.scene.floor.grid import COLUMN, CORNER, EAST, NORTH, SOUTH, WEST, FloorGrid, locate

__all__ = ["LEVEL", "averaged_heights", "lengths_to_goals", "surface_length"]

LEVEL = 0.5
"""Difference between the least and the greatest height up to which an island counts as level [m]."""

_TREAD, _PASSES = 0.15, 2


def averaged_heights(grid: FloorGrid) -> np.ndarray:
    """Return the height ``(N,)`` float64 of every node [m], averaged over 0.3 m along x and along z, twice."""
    return _average(grid, max(round(_TREAD / grid.cell), 1))


@kernel
def _average(grid, reach):
    node = grid.node
    heights = grid.y0 + grid.value[:, 1].astype(np.float64)
    for _pass in range(_PASSES):
        for ahead, back in ((EAST, WEST), (SOUTH, NORTH)):
            averaged = heights.copy()
            for n in range(len(node)):
                a, b, total, count = n, n, heights[n], 1
                # In pairs, so that a slope keeps its gradient up to its edges.
                for _step in range(reach):
                    a, b = node[a, ahead], node[b, back]
                    if a < 0 or b < 0:
                        break
                    total += heights[a] + heights[b]
                    count += 2
                averaged[n] = total / count
            heights = averaged
    return heights


@kernel
def _height_at(grid, heights, quad, u, v):
    node = grid.node
    if node[quad, CORNER] < 0:
        return heights[quad]
    column = node[quad, COLUMN]
    s, t = u - column % grid.nx, v - column // grid.nx
    a, b = heights[quad], heights[node[quad, EAST]]
    c, d = heights[node[quad, SOUTH]], heights[node[quad, CORNER]]
    return (a * (1.0 - s) + b * s) * (1.0 - t) + (c * (1.0 - s) + d * s) * t


@kernel
def _across(grid, quad, i, j, u, v, at, is_along_u, du, dv):
    """Cross the border of a quad: the nodes at its ends, where it is crossed between them, and the quad beyond."""
    node = grid.node
    if is_along_u:
        share = min(max(v + at * dv - j, 0.0), 1.0)
        if du > 0.0:
            return node[quad, EAST], node[quad, CORNER], share, node[quad, EAST]
        return np.int32(quad), node[quad, SOUTH], share, node[quad, WEST]
    share = min(max(u + at * du - i, 0.0), 1.0)
    if dv > 0.0:
        return node[quad, SOUTH], node[quad, CORNER], share, node[quad, SOUTH]
    return np.int32(quad), node[quad, EAST], share, node[quad, NORTH]


@kernel
def surface_length(grid, heights, quad, u, v, to_u, to_v):
    """Length along the surface below a straight way in the plan [m].

    Args:
        grid: The floor.
        heights: ``(N,)`` from `averaged_heights`.
        quad: Quad in which the way starts.
        u: Start in lattice coordinates.
        v: The other coordinate of the start.
        to_u: End in lattice coordinates.
        to_v: The other coordinate of the end.

    Returns:
        The length; where the way leaves the floor the rest counts as level.
    """
    column = grid.node[quad, COLUMN]
    i, j = column % grid.nx, column // grid.nx
    du, dv = to_u - u, to_v - v
    plan = grid.cell * np.sqrt(du * du + dv * dv)
    every_u = np.inf if du == 0.0 else 1.0 / abs(du)
    every_v = np.inf if dv == 0.0 else 1.0 / abs(dv)
    next_u = np.inf if du == 0.0 else ((i + 1 if du > 0.0 else i) - u) / du
    next_v = np.inf if dv == 0.0 else ((j + 1 if dv > 0.0 else j) - v) / dv
    height, length, before = _height_at(grid, heights, quad, u, v), 0.0, 0.0
    while True:
        at = min(next_u, next_v)
        if at >= 1.0 or grid.node[quad, CORNER] < 0:
            break
        a, b, share, after = _across(grid, quad, i, j, u, v, at, next_u < next_v, du, dv)
        if a < 0 or b < 0:
            break
        crossed = heights[a] * (1.0 - share) + heights[b] * share
        length += np.hypot((at - before) * plan, crossed - height)
        height, before = crossed, at
        if next_u < next_v:
            i += 1 if du > 0.0 else -1
            next_u += every_u
        else:
            j += 1 if dv > 0.0 else -1
            next_v += every_v
        if after < 0:
            return length + (1.0 - before) * plan
        quad = after
    end = _height_at(grid, heights, quad, to_u, to_v) if at >= 1.0 else height
    return length + np.hypot((1.0 - before) * plan, end - height)


@kernel
def lengths_to_goals(grid, heights, roots, parent):
    """Length along the surface from every root of a distance field to its goal ``(R,)`` [m].

    Args:
        grid: The floor.
        heights: ``(N,)`` from `averaged_heights`.
        roots: ``(R, 4)`` lattice coordinates, height and distance; parents come before their children.
        parent: ``(R,)`` each one's parent, -1 for a goal.
    """
    lengths = np.zeros(len(roots))
    for r in range(len(roots)):
        if parent[r] >= 0:
            before, root = roots[parent[r]], roots[r]
            quad, u, v = locate(grid, grid.x0 + root[0] * grid.cell, root[2], grid.z0 + root[1] * grid.cell)
            piece = grid.cell * np.hypot(before[0] - root[0], before[1] - root[1])
            if quad >= 0:
                piece = surface_length(grid, heights, quad, u, v, before[0], before[1])
            lengths[r] = lengths[parent[r]] + piece
    return lengths
