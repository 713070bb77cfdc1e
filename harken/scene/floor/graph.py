"""A grid graph on a walkable floor, for agents that go from node to node."""

import functools
from collections.abc import Callable

import numpy as np

from harken.checks import checked_number, checked_point
from harken.errors import NavigationError
from harken.raytracing import kernel
from harken.scene.floor.geodesic import Point
from harken.scene.floor.grid import CORNER, corners_of, line_of_sight, margin_at, surface_height
from harken.scene.floor.walkable import WalkableFloor

__all__ = ["Lattice", "NavigationGraph"]

Lattice = tuple[np.ndarray, np.ndarray]
"""Nodes ``(n, 3)`` and neighbours ``(n, 4)`` int32 of a lattice, as `NavigationGraph` has them."""

_PHASES = 10
_FAR = 1e6

# Heading 0, π/2, π and 3π/2 look along −z, −x, +z and +x.
_HEADINGS = np.array([[0, -1], [-1, 0], [0, 1], [1, 0]], np.int64)


@kernel
def _lattice_points(grid, island, phase_x, phase_z, spacing, places, quads, positions):
    """Points of one lattice on the first island; with empty `places` they are only counted.

    Args:
        grid: The floor.
        island: ``(N,)`` island of each of its nodes.
        phase_x: Where the lattice lies: x is this plus a multiple of `spacing` [m].
        phase_z: The same for z.
        spacing: Spacing of the lattice [m].
        places: ``(n, 2)`` int64 multiples along x and z.
        quads: ``(n,)`` int64 quads that the points lie in.
        positions: ``(n, 3)`` float64 points [m].
    """
    count = 0
    first_x, first_z = int(np.ceil((grid.x0 - phase_x) / spacing)), int(np.ceil((grid.z0 - phase_z) / spacing))
    last_x = int(np.floor((grid.x0 + (grid.nx - 2) * grid.cell - phase_x) / spacing))
    last_z = int(np.floor((grid.z0 + (grid.nz - 2) * grid.cell - phase_z) / spacing))
    for b in range(first_z, last_z + 1):
        for a in range(first_x, last_x + 1):
            x, z = phase_x + a * spacing, phase_z + b * spacing
            u, v = (x - grid.x0) / grid.cell, (z - grid.z0) / grid.cell
            column = int(v) * grid.nx + int(u)
            for quad in range(grid.columns[column], grid.columns[column + 1]):
                if grid.node[quad, CORNER] < 0 or margin_at(grid, quad, u, v) < 0.0:
                    continue
                nw, ne, sw, se = corners_of(grid, quad)
                if max(island[nw], island[ne], island[sw], island[se]) != 0:
                    continue
                if len(places) > 0:
                    places[count, 0], places[count, 1], quads[count] = a, b, quad
                    positions[count, 0], positions[count, 2] = x, z
                    positions[count, 1] = surface_height(grid, quad, u, v)
                count += 1
    return count


@kernel
def _neighbours(grid, places, quads, positions):
    """Node that a straight walk of one spacing ends at, for each node and heading: ``(n, 4)`` int32, -1 for none."""
    neighbours = np.full((len(places), 4), -1, np.int32)
    least, most = np.full(2, 2**62), np.full(2, -(2**62))
    for k in range(len(places)):
        for axis in range(2):
            least[axis], most[axis] = min(least[axis], places[k, axis]), max(most[axis], places[k, axis])
    wide, deep = most[0] - least[0] + 1, most[1] - least[1] + 1
    start = np.zeros(wide * deep + 1, np.int64)
    for k in range(len(places)):
        start[(places[k, 1] - least[1]) * wide + places[k, 0] - least[0] + 1] += 1
    start = np.cumsum(start)
    for k in range(len(places)):
        u, v = (positions[k, 0] - grid.x0) / grid.cell, (positions[k, 2] - grid.z0) / grid.cell
        for heading in range(4):
            a = places[k, 0] + _HEADINGS[heading, 0] - least[0]
            b = places[k, 1] + _HEADINGS[heading, 1] - least[1]
            if not (0 <= a < wide and 0 <= b < deep):
                continue
            for m in range(start[b * wide + a], start[b * wide + a + 1]):
                to_u = (positions[m, 0] - grid.x0) / grid.cell
                to_v = (positions[m, 2] - grid.z0) / grid.cell
                if line_of_sight(grid, quads[k], u, v, to_u, to_v, positions[m, 1]):
                    neighbours[k, heading] = m
    return neighbours


@kernel
def _hops(neighbours, seed, hops):
    """Fill the steps to `seed` into `hops`, which holds -1 where it was not reached; return how many nodes were."""
    queue = np.empty(len(neighbours), np.int32)
    queue[0], hops[seed] = seed, 0
    head, tail = 0, 1
    while head < tail:
        n = queue[head]
        head += 1
        for k in range(4):
            m = neighbours[n, k]
            if m >= 0 and hops[m] < 0:
                hops[m] = hops[n] + 1
                queue[tail] = m
                tail += 1
    return tail


@kernel
def _largest_part(neighbours):
    """A node of the largest connected part, and the number of nodes in it."""
    hops = np.full(len(neighbours), -1, np.int32)
    best, seed = 0, -1
    for k in range(len(neighbours)):
        if hops[k] < 0:
            size = _hops(neighbours, k, hops)
            if size > best:
                best, seed = size, k
    return seed, best


def _lattice(floor: WalkableFloor, spacing: float, phase: tuple[float, float]) -> Lattice:
    """Nodes and neighbours of one lattice."""
    grid, island = floor.grid, floor.node_island
    empty = np.empty((0, 2), np.int64), np.empty(0, np.int64), np.empty((0, 3))
    count = _lattice_points(grid, island, *phase, spacing, *empty)
    places, quads, positions = np.empty((count, 2), np.int64), np.empty(count, np.int64), np.empty((count, 3))
    if count == 0:
        return positions, np.empty((0, 4), np.int32)
    _lattice_points(grid, island, *phase, spacing, places, quads, positions)
    return positions, _neighbours(grid, places, quads, positions)


class NavigationGraph:
    """Nodes on a square lattice, joined where the straight way between them is walkable; made by `build`."""

    def __init__(self, *, nodes: np.ndarray, neighbours: np.ndarray, spacing: float):
        self.nodes, self.neighbours, self.spacing = nodes, neighbours, spacing
        self._around = nodes.min(0) - _FAR, nodes.max(0) + _FAR

    def __repr__(self) -> str:
        """Describe its size."""
        return f"<NavigationGraph of {len(self.nodes)} nodes, {self.spacing:g} m apart>"

    nodes: np.ndarray
    """``(n, 3)`` float64 points on the floor [m]."""
    neighbours: np.ndarray
    """``(n, 4)`` int32 node one step away at headings 0, π/2, π and 3π/2 (−z, −x, +z, +x); -1 for none."""
    spacing: float
    """Distance between neighbours [m]."""

    @staticmethod
    def build(floor: WalkableFloor, *, spacing: float = 1.0) -> "NavigationGraph":
        """Lay the lattice on the floor's first island so that its largest connected part has the most nodes.

        The lattice may lie at any tenth of its spacing. Of equally good ones that through half-integer multiples of
        the spacing is taken, then the one nearest to it. Only the largest connected part is kept.

        Args:
            floor: Where to walk.
            spacing: Distance between neighbouring nodes [m], 0.1–10.

        Raises:
            NavigationError: There are fewer than two connected nodes.
            ConfigurationError: `spacing` is out of range.
        """
        return NavigationGraph.from_lattices(
            functools.partial(_lattice, floor, spacing), spacing=spacing, name=floor.name, area=floor.area
        )

    @staticmethod
    def from_lattices(
        lattice: Callable[[tuple[float, float]], Lattice], *, spacing: float, name: str, area: float
    ) -> "NavigationGraph":
        """Make the graph of the best of several lattices, as `build` chooses it.

        Args:
            lattice: Returns the nodes of the lattice that lies at an offset along x and z [m], and the neighbours of
                each; see `nodes` and `neighbours`.
            spacing: Distance between neighbouring nodes [m], 0.1–10.
            name: Name of the floor, for messages.
            area: Area of the floor, for messages [m²].

        Raises:
            NavigationError: There are fewer than two connected nodes.
            ConfigurationError: `spacing` is out of range.
        """
        spacing = checked_number("spacing", spacing, 0.1, 10.0, unit="m")
        offsets = sorted(range(_PHASES), key=lambda k: (abs(k - _PHASES // 2), k))
        phases = sorted(((a, b) for a in offsets for b in offsets), key=lambda p: sum(abs(k - _PHASES // 2) for k in p))
        best: tuple = (None, None, -1, 0)
        for a, b in phases:
            positions, neighbours = lattice((a * spacing / _PHASES, b * spacing / _PHASES))
            seed, size = _largest_part(neighbours)
            if size > best[3]:
                best = positions, neighbours, seed, size
        positions, neighbours, seed, size = best
        if size < 2:
            raise NavigationError(
                f"{name}: a grid of {spacing:g} m has {size} connected nodes on a floor of {area:.1f} m²; "
                "expected at least 2. Use a smaller spacing."
            )
        hops = np.full(len(positions), -1, np.int32)
        _hops(neighbours, seed, hops)
        component = hops >= 0
        number = np.full(len(positions) + 1, -1, np.int32)
        number[:-1][component] = np.arange(size, dtype=np.int32)
        return NavigationGraph(
            nodes=positions[component], neighbours=number[neighbours[component]], spacing=float(spacing)
        )

    def nearest(self, point: Point) -> int:
        """Return the node nearest to a point ``(3,)``, height included.

        Raises:
            NavigationError: The point is not finite.
        """
        place = checked_point("The point", point, error=NavigationError)
        # Clipped first, since the squares of distant coordinates could overflow.
        near = np.clip(place, *self._around)
        return int(((self.nodes - near) ** 2).sum(1).argmin())

    def _check(self, node: int) -> int:
        if not 0 <= node < len(self.nodes):
            raise NavigationError(f"Node {node} does not exist; the graph has nodes 0…{len(self.nodes) - 1}.")
        return int(node)

    def distance_field(self, node: int) -> np.ndarray:
        """Return the distance ``(n,)`` float64 over the graph from every node to one [m]: steps times spacing.

        It is inf where no way leads to the node.

        Raises:
            NavigationError: There is no such node.
        """
        hops = np.full(len(self.nodes), -1, np.int32)
        _hops(self.neighbours, self._check(node), hops)
        return np.where(hops < 0, np.inf, hops * self.spacing)

    def shortest_path(self, start: int, goal: int) -> list[int]:
        """Return the nodes from start to goal, both included; of equally short ways that with the least headings.

        Raises:
            NavigationError: There is no such node.
        """
        to_goal = self.distance_field(goal)
        path = [self._check(start)]
        while path[-1] != goal:
            around = self.neighbours[path[-1]]
            path.append(int(next(m for m in around if m >= 0 and to_goal[m] < to_goal[path[-1]])))
        return path
