"""From sampled surfaces to a finished floor: building the grid, its islands, areas and storeys."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harken.raytracing import borrowed, kernel
from harken.scene.floor import surface
from harken.scene.floor.grid import COLUMN, CORNER, EAST, NORTH, SOUTH, WEST, FloorGrid

__all__ = ["Island", "Parts", "Storey", "build_grid", "find_islands", "find_parts", "find_storeys", "quad_areas"]

_SLOPE = np.cos(np.deg2rad(45.0)) - 1e-4
_RINGS = 3
_FLAT_BIN = 0.1


@dataclass(frozen=True, kw_only=True)
class Island:
    """A connected part of the floor."""

    area: float
    """Area on which the middle of the body can be [m²]."""
    lower: float
    """Least height [m]."""
    upper: float
    """Greatest height [m]."""
    covered: float
    """Share of the area that is in rooms: about 1 for a room, 0 for a roof or the inside of a solid."""


@dataclass(frozen=True, kw_only=True)
class Storey:
    """A level of the floor."""

    height: float
    """Height of most of its area [m]."""
    area: float
    """Walkable area [m²]."""


def build_grid(
    triangles: np.ndarray, *, cell: float, radius: float, room: float, step: float
) -> tuple[FloorGrid, np.ndarray]:
    """Sample where a body can stand.

    Args:
        triangles: ``(F, 3, 3)`` float64 corners [m].
        cell: Spacing of the lattice [m].
        radius: Radius of the body [m].
        room: Height of the body [m].
        step: Greatest step that it takes [m].

    Returns:
        The grid, and per node which ways the floor and what is overhead face (see `surface.stand_points`). Without
        floor the grid has no nodes.
    """
    lower, upper = triangles.min((0, 1)), triangles.max((0, 1))
    # Lines in the middle of the cells of a lattice through 0: walls tend to lie on round coordinates.
    x0, z0 = (float((np.floor(lower[k] / cell) - 1.5) * cell) for k in (0, 2))
    nx, nz = (int(np.ceil((upper[k] - first) / cell)) + 3 for k, first in ((0, x0), (2, z0)))
    lattice = (x0, z0, cell, nx, nz)
    none_float, none_kind = np.empty(0, np.float32), np.empty(0, np.uint8)

    start = np.zeros(nx * nz + 1, np.int32)
    surface.crossings(triangles, *lattice, 0.2 * cell, _SLOPE, start, none_float, none_kind)
    np.cumsum(start, out=start)
    heights, kinds = np.empty(start[-1], np.float32), np.empty(start[-1], np.uint8)
    if start[-1]:
        # The offsets end one column further; moved back by one they are the offsets again.
        cursor = start.copy()
        surface.crossings(triangles, *lattice, 0.2 * cell, _SLOPE, cursor, heights, kinds)

    columns = np.zeros(nx * nz + 1, np.int32)
    none_column = np.empty(0, np.int32)
    surface.stand_points(start, heights, kinds, step, room, columns, none_float, none_column, none_kind)
    np.cumsum(columns, out=columns)
    count = int(columns[-1])
    height, column, facing = np.empty(count, np.float32), np.empty(count, np.int32), np.empty(count, np.uint8)
    if count:
        surface.stand_points(start, heights, kinds, step, room, columns.copy(), height, column, facing)

    links = np.empty((count, 4), np.int32)
    surface.link(columns, column, height, nx, max(step, cell), links)
    vectors = np.full((count, 2), np.inf, np.float32)
    polygons = np.empty((2, 8, 3))
    surface.obstacle_vectors(triangles, *lattice, _SLOPE, step, room, 1.5 * cell, columns, height, polygons, vectors)
    margin = surface.clearance(links, cell, vectors) - np.float32(radius)

    keep = _near_walkable(links, margin)
    links, columns = _renumber(keep, links, column[keep], nx * nz)
    node = np.empty((int(keep.sum()), 6), np.int32)
    node[:, :4], node[:, COLUMN] = links, column[keep]
    node[:, CORNER] = _corners(links)
    value = np.stack([margin[keep], height[keep]], 1)
    return FloorGrid(node, value, columns, x0, z0, 0.0, cell, nx, nz), facing[keep]


def _near_walkable(links: np.ndarray, margin: np.ndarray) -> np.ndarray:
    """Mark walkable nodes and a few around them: what the quads within a step's reach of the edge need."""
    keep = margin >= 0.0
    for _ in range(2 * _RINGS):
        near = links[keep].ravel()
        keep[near[near >= 0]] = True
    return keep


def _renumber(keep: np.ndarray, links: np.ndarray, column: np.ndarray, lines: int) -> tuple[np.ndarray, np.ndarray]:
    """Links and column offsets after removing all nodes outside `keep`."""
    number = np.full(len(keep) + 1, -1, np.int32)
    number[:-1][keep] = np.arange(keep.sum(), dtype=np.int32)
    columns = np.zeros(lines + 1, np.int32)
    np.cumsum(np.bincount(column, minlength=lines), out=columns[1:])
    return number[links[keep]], columns


def _corners(links: np.ndarray) -> np.ndarray:
    """The south-eastern corner of each node's quad, -1 where the two ways to it do not meet."""
    padded = np.vstack([links, np.full((1, 4), -1, np.int32)])
    via_east, via_south = padded[links[:, EAST], SOUTH], padded[links[:, SOUTH], EAST]
    return np.where(via_east == via_south, via_east, np.int32(-1))


@kernel
def _corner_margins(grid, quad):
    """Margins at the four corners of a quad: north-west, north-east, south-west, south-east."""
    node, value = grid.node, grid.value
    return (
        value[quad, 0],
        value[node[quad, EAST], 0],
        value[node[quad, SOUTH], 0],
        value[node[quad, CORNER], 0],
    )


@kernel
def quad_areas(grid):
    """Walkable area of each quad ``(N,)`` float32 [m²]: whole, none, or counted on 8×8 points."""
    areas = np.zeros(len(grid.node), np.float32)
    for quad in range(len(grid.node)):
        if grid.node[quad, CORNER] < 0:
            continue
        a, b, c, d = _corner_margins(grid, quad)
        if min(a, b, c, d) >= 0.0:
            areas[quad] = grid.cell**2
        elif max(a, b, c, d) >= 0.0:
            inside = 0
            for k in range(64):
                s, t = (k % 8 + 0.5) / 8.0, (k // 8 + 0.5) / 8.0
                inside += (a * (1.0 - s) + b * s) * (1.0 - t) + (c * (1.0 - s) + d * s) * t >= 0.0
            areas[quad] = grid.cell**2 * inside / 64.0
    return areas


@kernel
def neighbour(grid, n, k):
    """Walkable neighbour k of a node, -1 for none: 0–3 along the links, 4–7 across the quads that it is a corner of."""
    node, value = grid.node, grid.value
    if k < 4:
        m = node[n, k]
        return m if m >= 0 and value[m, 0] >= 0.0 else -1
    if k == 4:
        quad, m = n, node[n, CORNER]
    elif k == 5:
        quad = node[n, WEST]
        m = node[quad, SOUTH] if quad >= 0 else -1
    elif k == 6:
        side = node[n, WEST]
        quad = node[side, NORTH] if side >= 0 else -1
        m = quad
    else:
        quad = node[n, NORTH]
        m = node[quad, EAST] if quad >= 0 else -1
    if m < 0 or quad < 0 or node[quad, CORNER] < 0 or value[m, 0] < 0.0:
        return -1
    a, b, c, d = _corner_margins(grid, quad)
    if k in (4, 6):
        ends, sides, product_ends, product_sides = a + d, b + c, a * d, b * c
        highest = max(b, c)
    else:
        ends, sides, product_ends, product_sides = b + c, a + d, b * c, a * d
        highest = max(a, d)
    is_open = highest >= 0.0 or (ends - sides > 0.0 and product_ends >= product_sides)
    return m if is_open else -1


@kernel
def _label(grid):
    """Number the connected parts: ``(N,)`` int32, -1 for nodes that are not walkable."""
    grid = borrowed(grid)
    node, value = grid.node, grid.value
    label, stack = np.full(len(node), -1, np.int32), np.empty(len(node), np.int32)
    count = 0
    for seed in range(len(node)):
        if label[seed] >= 0 or value[seed, 0] < 0.0:
            continue
        label[seed], stack[0], top = count, seed, 1
        while top > 0:
            top -= 1
            n = stack[top]
            for k in range(8):
                m = neighbour(grid, n, k)
                if m >= 0 and label[m] < 0:
                    label[m], stack[top] = count, m
                    top += 1
        count += 1
    return label, count


class Parts(NamedTuple):
    """The connected parts of a floor, in no particular order."""

    label: np.ndarray
    """``(N,)`` int32 number of the part that each node belongs to, -1 for nodes that are not walkable."""
    owner: np.ndarray
    """``(N,)`` int32 number of the part that each quad belongs to, -1 where no corner is walkable."""
    count: int
    """Number of parts."""

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the sums ``(count,)`` of the values of quads ``(N,)``, by part."""
        members = self.owner >= 0
        return np.bincount(self.owner[members], values[members], minlength=self.count)


def find_parts(grid: FloorGrid) -> Parts:
    """Separate the connected parts of the floor."""
    label, count = _label(grid)
    padded = np.append(grid.node, np.full((1, 6), -1, np.int32), 0)
    corners = np.stack([np.arange(len(label)), *(padded[:-1, k] for k in (EAST, SOUTH, CORNER))], 1)
    return Parts(label, np.append(label, -1)[corners].max(1), count)


def find_islands(
    grid: FloorGrid, parts: Parts, covered: np.ndarray, areas: np.ndarray
) -> tuple[tuple[Island, ...], np.ndarray]:
    """Put the connected parts of the floor in order.

    Args:
        grid: The floor.
        parts: Its connected parts.
        covered: ``(N,)`` whether a node is in a room.
        areas: ``(N,)`` from `quad_areas`.

    Returns:
        The islands, those with the largest covered area first, so that neither a roof, nor the ground outside, nor the
        inside of a solid comes before the rooms; and the island of each node ``(N,)`` int32, -1 for nodes that are not
        walkable.
    """
    label, count = parts.label, parts.count
    area, roofed = parts.total(areas), parts.total(areas * covered)
    lower, upper = np.full(count, np.inf), np.full(count, -np.inf)
    walkable = label >= 0
    np.minimum.at(lower, label[walkable], grid.value[walkable, 1])
    np.maximum.at(upper, label[walkable], grid.value[walkable, 1])
    order = np.lexsort((-area, -np.round(roofed, 6)))
    islands = tuple(
        Island(area=float(area[k]), lower=float(lower[k]), upper=float(upper[k]),
               covered=float(roofed[k] / area[k]) if area[k] else 0.0)
        for k in order
    )  # fmt: skip
    rank = np.full(count + 1, -1, np.int32)
    rank[order] = np.arange(count)
    return islands, rank[label]


def find_storeys(heights: np.ndarray, areas: np.ndarray, room: float) -> tuple[Storey, ...]:
    """Group floor by height: the fullest level with all within half a body's height of it, then the next.

    Args:
        heights: ``(N,)`` heights [m].
        areas: ``(N,)`` area at each [m²].
        room: Height of the body [m].

    Returns:
        Storeys of at least 1 m² from the lowest to the highest.
    """
    storeys, bins = [], np.round(heights / _FLAT_BIN).astype(np.int64)
    left = areas.astype(np.float64)
    while left.sum() >= 1.0:
        levels = np.bincount(bins - bins.min(), left)
        level = (int(levels.argmax()) + bins.min()) * _FLAT_BIN
        near = np.abs(heights - level) <= 0.5 * room
        area = float(left[near].sum())
        if area >= 1.0:
            fullest = near & (np.abs(heights - level) <= _FLAT_BIN) & (left > 0)
            storeys.append(Storey(height=float(np.average(heights[fullest], weights=left[fullest])), area=area))
        left[near] = 0.0
    return tuple(sorted(storeys, key=lambda storey: storey.height))
