"""The walkable floor as compiled code sees it: a lattice of nodes, and moving, looking and looking up on it.

Between four neighbouring nodes lies a *quad*, named by its north-western node. In it the margin (clearance less the
body's radius) and the height are bilinear, and a point belongs to the floor where the margin is not negative. Because
the margin is a distance to real triangles, its zero line follows walls at any angle.
"""

from typing import NamedTuple

import numpy as np

from harken.raytracing import borrowed, kernel

__all__ = [
    "FloorGrid",
    "corners_of",
    "line_of_sight",
    "locate",
    "look",
    "margin_at",
    "margin_slope",
    "move_on_floor",
    "moves_on_floor",
    "owner_of",
    "pull_to_edge",
    "slide",
    "surface_height",
    "walk_to_quad",
]

EAST, SOUTH, WEST, NORTH, CORNER, COLUMN = 0, 1, 2, 3, 4, 5
"""Columns of `FloorGrid.node`."""

TOLERANCE = 1e-3
"""Depth beyond the edge at which a point still counts as walkable [m]."""

VERTICAL_REACH = 0.5
"""Height above or below the floor at which a point still counts as on it [m]."""

_KEPT = 1e-4
_PUSHES = 6
_WALKS = 4


class FloorGrid(NamedTuple):
    """The arrays of a walkable floor, as kernels take them."""

    node: np.ndarray
    """``(N, 6)`` int32: neighbours to the east (+x), south (+z), west and north, the node to the south-east where all
    four corners of that quad exist (-1 for none, each), and the column ``j·nx + i`` on the lattice."""
    value: np.ndarray
    """``(N, 2)`` float32: margin (clearance less radius) and height above `y0` [m]."""
    columns: np.ndarray
    """``(nx·nz + 1,)`` int32: nodes ``columns[c]`` to ``columns[c + 1]`` stand above each other in column c."""
    x0: float
    """x of the lattice's first line [m]."""
    z0: float
    """z of the lattice's first line [m]."""
    y0: float
    """What heights are relative to [m]: 0 unless the scene is far from the origin."""
    cell: float
    """Spacing of the lattice [m]."""
    nx: int
    """Lines along x."""
    nz: int
    """Lines along z."""


@kernel
def _bilinear(grid, quad, s, t, which):
    node, value = grid.node, grid.value
    a, b = value[quad, which], value[node[quad, EAST], which]
    c, d = value[node[quad, SOUTH], which], value[node[quad, CORNER], which]
    return (a * (1.0 - s) + b * s) * (1.0 - t) + (c * (1.0 - s) + d * s) * t


@kernel
def _within(grid, quad, u, v):
    """Lattice coordinates relative to the quad's north-western node."""
    column = grid.node[quad, COLUMN]
    return u - column % grid.nx, v - column // grid.nx


@kernel
def corners_of(grid, quad):
    """The nodes at the corners of a quad: north-west, north-east, south-west, south-east."""
    node = grid.node
    return (
        np.int64(quad),
        np.int64(node[quad, EAST]),
        np.int64(node[quad, SOUTH]),
        np.int64(node[quad, CORNER]),
    )


@kernel
def margin_at(grid, quad, u, v):
    """Clearance less radius [m] at lattice coordinates (u, v) in a quad."""
    s, t = _within(grid, quad, u, v)
    return _bilinear(grid, quad, s, t, 0)


@kernel
def surface_height(grid, quad, u, v):
    """Height of the floor [m] at lattice coordinates (u, v) in a quad."""
    s, t = _within(grid, quad, u, v)
    return grid.y0 + _bilinear(grid, quad, s, t, 1)


@kernel
def locate(grid, x, y, z):
    """Find the quad under (or just over) a point.

    Returns:
        ``(quad, u, v)``: quad is -1 where there is none; u and v are lattice coordinates.
    """
    u, v = (x - grid.x0) / grid.cell, (z - grid.z0) / grid.cell
    # This form is false for NaN too.
    if not (0.0 <= u < grid.nx - 1.0 and 0.0 <= v < grid.nz - 1.0 and np.isfinite(y)):
        return -1, u, v
    column = int(v) * grid.nx + int(u)
    best, quad = VERTICAL_REACH, -1
    for n in range(grid.columns[column], grid.columns[column + 1]):
        if grid.node[n, CORNER] >= 0:
            difference = abs(surface_height(grid, n, u, v) - y)
            if difference <= best:
                best, quad = difference, n
    return quad, u, v


@kernel
def look(grid, quad, u, v, to_u, to_v):
    """Follow the straight way from a point in `quad` to another as far as it stays on the floor.

    The margin is checked wherever the line crosses from one quad into the next.

    Args:
        grid: The floor.
        quad: Quad in which the way starts, or of which it starts at a corner.
        u: Start in lattice coordinates.
        v: The other coordinate of the start.
        to_u: End in lattice coordinates.
        to_v: The other coordinate of the end.

    Returns:
        ``(share, quad)``: the share of the way that is free, 1 for all of it, and the last quad on it.
    """
    node, value = grid.node, grid.value
    column = node[quad, COLUMN]
    i, j = column % grid.nx, column // grid.nx
    du, dv = to_u - u, to_v - v
    every_u = np.inf if du == 0.0 else 1.0 / abs(du)
    every_v = np.inf if dv == 0.0 else 1.0 / abs(dv)
    next_u = np.inf if du == 0.0 else ((i + 1 if du > 0.0 else i) - u) / du
    next_v = np.inf if dv == 0.0 else ((j + 1 if dv > 0.0 else j) - v) / dv
    while True:
        at = min(next_u, next_v)
        if at >= 1.0:
            return 1.0, quad
        if node[quad, CORNER] < 0:
            return at, quad
        if next_u < next_v:
            share = min(max(v + next_u * dv - j, 0.0), 1.0)
            if du > 0.0:
                a, b, after = node[quad, EAST], node[quad, CORNER], node[quad, EAST]
                i += 1
            else:
                a, b, after = quad, node[quad, SOUTH], node[quad, WEST]
                i -= 1
            next_u += every_u
        else:
            share = min(max(u + next_v * du - i, 0.0), 1.0)
            if dv > 0.0:
                a, b, after = node[quad, SOUTH], node[quad, CORNER], node[quad, SOUTH]
                j += 1
            else:
                a, b, after = quad, node[quad, EAST], node[quad, NORTH]
                j -= 1
            next_v += every_v
        if after < 0 or value[a, 0] * (1.0 - share) + value[b, 0] * share < 0.0:
            return at, quad
        quad = after


@kernel
def line_of_sight(grid, quad, u, v, to_u, to_v, to_height):
    """Tell whether the straight way to a point (as `look`) is free and ends at its height, on its storey."""
    share, quad = look(grid, quad, u, v, to_u, to_v)
    if share < 1.0 or grid.node[quad, CORNER] < 0:
        return False
    return abs(surface_height(grid, quad, to_u, to_v) - to_height) < VERTICAL_REACH


@kernel
def walk_to_quad(grid, quad, u, v):
    """The quad that holds (u, v), reached over links from a quad at most a few cells away; -1 where none is."""
    column = grid.node[quad, COLUMN]
    i, j = column % grid.nx, column // grid.nx
    to_i, to_j = int(np.floor(u)), int(np.floor(v))
    while quad >= 0 and (i != to_i or j != to_j):
        if i != to_i:
            quad = grid.node[quad, EAST if to_i > i else WEST]
            i += 1 if to_i > i else -1
        else:
            quad = grid.node[quad, SOUTH if to_j > j else NORTH]
            j += 1 if to_j > j else -1
    return quad if quad >= 0 and grid.node[quad, CORNER] >= 0 else -1


@kernel
def margin_slope(grid, quad, u, v):
    """Gradient of the margin [m per cell] at lattice coordinates (u, v) in a quad."""
    node, value = grid.node, grid.value
    s, t = _within(grid, quad, u, v)
    a, b = value[quad, 0], value[node[quad, EAST], 0]
    c, d = value[node[quad, SOUTH], 0], value[node[quad, CORNER], 0]
    return (b - a) * (1.0 - t) + (d - c) * t, (c - a) * (1.0 - s) + (d - b) * s


@kernel
def _step_to_margin(grid, quad, u, v, margin):
    """Return the difference to a margin and one Newton step towards it, at most a cell (none without a slope)."""
    missing = margin - margin_at(grid, quad, u, v)
    slope_u, slope_v = margin_slope(grid, quad, u, v)
    squared = slope_u**2 + slope_v**2
    if squared == 0.0:
        return missing, 0.0, 0.0
    limit = 1.0 / np.sqrt(squared)
    share = min(max(missing / squared, -limit), limit)
    return missing, share * slope_u, share * slope_v


@kernel
def _push_inside(grid, quad, u, v, least):
    """Move a point along the margin's gradient until the margin is at least `least`; quad -1 where that fails."""
    for _ in range(_PUSHES):
        # Aimed slightly further inside, so that the point ends just inside a curved edge.
        missing, du, dv = _step_to_margin(grid, quad, u, v, 1.1 * least)
        if missing <= 0.1 * least:
            return quad, u, v
        u, v = u + du, v + dv
        quad = walk_to_quad(grid, quad, u, v)
        if quad < 0:
            return -1, u, v
    return (quad, u, v) if margin_at(grid, quad, u, v) >= 0.0 else (-1, u, v)


@kernel
def pull_to_edge(grid, quad, u, v, margin):
    """Move a point along the margin's gradient to where the margin is `margin`; quad -1 where that fails."""
    for _ in range(_PUSHES):
        missing, du, dv = _step_to_margin(grid, quad, u, v, margin)
        if abs(missing) < 0.1 * margin:
            return quad, u, v
        u, v = u + du, v + dv
        quad = walk_to_quad(grid, quad, u, v)
        if quad < 0:
            return -1, u, v
    return -1, u, v


@kernel
def slide(grid, quad, u, v, du, dv):
    """Move a point over the floor in straight steps of half a cell, pushed back inside after each.

    Half a cell is far less than the width of any obstacle, which is at least twice the body's radius here, so no
    obstacle is skipped. The way ends after twice the width and depth of the lattice.

    Returns:
        ``(quad, u, v)`` at the end.
    """
    steps = np.ceil(2.0 * np.sqrt(du * du + dv * dv))
    # Bounded before the conversion to a count, which is undefined for floats beyond the range of integers.
    for _ in range(int(min(steps, _WALKS * (grid.nx + grid.nz)))):
        to_u, to_v = u + du / steps, v + dv / steps
        to_quad = walk_to_quad(grid, quad, to_u, to_v)
        if to_quad >= 0:
            to_quad, to_u, to_v = _push_inside(grid, to_quad, to_u, to_v, _KEPT)
        if to_quad >= 0:
            quad, u, v = to_quad, to_u, to_v
    return quad, u, v


@kernel
def owner_of(grid, island, quad):
    """Return the island of a quad: that of its corners which are walkable, -1 if none is."""
    node = grid.node
    east, south, corner = node[quad, EAST], node[quad, SOUTH], node[quad, CORNER]
    return max(max(island[quad], island[east]), max(island[south], island[corner]))


@kernel
def move_on_floor(grid, island, x, y, z, dx, dz):
    """Move a body from a point on the floor, sliding along what is in the way.

    A gap so narrow that no node of the grid lies in it does not join two islands (`island` ``(N,)`` per node), and a
    body cannot pass through it either: otherwise it could reach places without a path back.

    Returns:
        ``(quad, x, y, z, collided)``: quad is -1 where the start is not on the floor; collided where the body ends
        more than a millimetre from where it was to go.
    """
    quad, u, v = locate(grid, x, y, z)
    if quad < 0 or not (margin_at(grid, quad, u, v) >= -TOLERANCE and np.isfinite(dx + dz)):
        return -1, x, y, z, False
    home = owner_of(grid, island, quad)
    end, to_u, to_v = slide(grid, quad, u, v, dx / grid.cell, dz / grid.cell)
    if owner_of(grid, island, end) == home:
        quad, u, v = end, to_u, to_v
    to_x, to_z = grid.x0 + u * grid.cell, grid.z0 + v * grid.cell
    gap = np.sqrt((to_x - x - dx) ** 2 + (to_z - z - dz) ** 2)
    return quad, to_x, surface_height(grid, quad, u, v), to_z, gap > TOLERANCE


@kernel
def moves_on_floor(grid, island, x, y, z, displacements, ends):
    """Move a body from one point with each of ``(n, 3)`` displacements; returns which of them failed, -1 for none."""
    grid, island = borrowed(grid), borrowed(island)
    for k in range(len(displacements)):
        way = displacements[k]
        quad, ends[k, 0], ends[k, 1], ends[k, 2], _ = move_on_floor(grid, island, x, y, z, way[0], way[2])
        if quad < 0:
            return k
    return -1
