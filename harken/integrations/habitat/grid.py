"""A grid of nodes on a navigation mesh of Habitat's, for bodies that go from node to node."""

import functools
import math

import numpy as np

from harken.integrations.habitat.ground import NavmeshGround
from harken.scene.floor.graph import Lattice, NavigationGraph

__all__ = ["navmesh_graph"]

EDGE = 1e-6
"""By how much, in shares of a triangle, a node may lie outside it: nodes on the edge of two belong to one at least."""


def navmesh_graph(ground: NavmeshGround, spacing: float) -> NavigationGraph:
    """Lay a square lattice on the main part of a mesh, as `NavigationGraph.build` does on Harken's own floors.

    Nodes are joined where Habitat walks the straight way between them without running into anything.

    Args:
        ground: The mesh.
        spacing: Distance between neighbouring nodes [m], 0.1–10.

    Raises:
        NavigationError: There are fewer than two connected nodes.
        ConfigurationError: `spacing` is out of range.
    """
    return NavigationGraph.from_lattices(
        functools.partial(_lattice, ground, spacing), spacing=spacing, name=repr(ground), area=ground.area
    )


def _lattice(ground: NavmeshGround, spacing: float, phase: tuple[float, float]) -> Lattice:
    places, nodes = _nodes(ground.triangles, spacing, phase)
    numbers: dict[tuple[int, int], list[int]] = {}
    for number, (a, b) in enumerate(places.tolist()):
        numbers.setdefault((a, b), []).append(number)
    neighbours = np.full((len(nodes), 4), -1, np.int32)
    for number, (a, b) in enumerate(places.tolist()):
        # Ways lead both ways: from each node those to +x and to −z are looked at.
        for heading, ahead in ((3, (a + 1, b)), (0, (a, b - 1))):
            found = [other for other in numbers.get(ahead, ()) if ground.is_straight(nodes[number], nodes[other])]
            if found:
                neighbours[number, heading] = found[0]
                neighbours[found[0], (heading + 2) % 4] = number
    return nodes, neighbours


def _nodes(corners: np.ndarray, spacing: float, phase: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return multiples along x and z ``(n, 2)`` of the points of a lattice on triangles, and the points ``(n, 3)``."""
    low, high = corners.reshape(-1, 3).min(0), corners.reshape(-1, 3).max(0)
    along = [
        np.arange(math.ceil((low[axis] - at) / spacing), math.floor((high[axis] - at) / spacing) + 1)
        for axis, at in zip((0, 2), phase, strict=True)
    ]
    multiples = np.stack(np.meshgrid(*along, indexing="ij"), -1).reshape(-1, 2)
    x, z = (multiples * spacing + phase).T[..., None]
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = corners.transpose(1, 2, 0)
    area = (bx - ax) * (cz - az) - (cx - ax) * (bz - az)
    with np.errstate(divide="ignore", invalid="ignore"):  # upright triangles have none
        v = ((x - ax) * (cz - az) - (cx - ax) * (z - az)) / area
        w = ((bx - ax) * (z - az) - (x - ax) * (bz - az)) / area
    inside = (v >= -EDGE) & (w >= -EDGE) & (v + w <= 1.0 + EDGE)
    point, triangle = np.nonzero(inside)
    heights = (ay + v * (by - ay) + w * (cy - ay))[point, triangle]
    # A point on an edge lies on two triangles, at one height.
    _, first = np.unique(np.column_stack([point, np.round(heights, 2)]), axis=0, return_index=True)
    point, heights = point[first], heights[first]
    return multiples[point], np.column_stack([x[point, 0], heights, z[point, 0]])
