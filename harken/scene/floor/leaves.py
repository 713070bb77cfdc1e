"""The floor of a scene into which leaves of doors were put, from that of the scene without them."""

from collections.abc import Sequence

import numpy as np

from harken.scene.doors import Leaf
from harken.scene.floor.grid import COLUMN
from harken.scene.floor.islands import find_islands, find_parts, quad_areas
from harken.scene.floor.walkable import WalkableFloor

__all__ = ["floor_with_leaves"]


def floor_with_leaves(floor: WalkableFloor, leaves: Sequence[Leaf]) -> WalkableFloor:
    """Return a floor on which leaves of doors stand in the way.

    The body keeps its radius from them. Where a leaf rested before, the floor does not grow.

    Args:
        floor: The floor without them.
        leaves: The leaves.
    """
    grid, body = floor.grid, floor.body
    value = grid.value.copy()
    column = grid.node[:, COLUMN]
    x, z = grid.x0 + column % grid.nx * grid.cell, grid.z0 + column // grid.nx * grid.cell
    height = grid.y0 + value[:, 1]
    for leaf in leaves:
        foot = np.array(leaf.door.hinge)
        along, across = leaf.door.axes(leaf.angle)
        u = (x - foot[0]) * along[0] + (z - foot[2]) * along[2]
        v = (x - foot[0]) * across[0] + (z - foot[2]) * across[2]
        beyond = np.maximum(np.maximum(leaf.reach[0] - u, u - leaf.reach[1]), 0.0)
        aside = np.maximum(np.abs(v) - 0.5 * leaf.door.thickness, 0.0)
        margin = np.hypot(beyond, aside) - body.radius
        meets = (foot[1] + leaf.rise[0] < height + body.height) & (foot[1] + leaf.rise[1] > height + body.step)
        value[:, 0] = np.where(meets, np.minimum(value[:, 0], margin), value[:, 0])
    grid = grid._replace(value=value)
    areas, parts = quad_areas(grid), find_parts(grid)
    covered = np.array([island.covered > 0.5 for island in floor.islands] + [False])[floor.node_island]
    islands, node_island = find_islands(grid, parts, covered, areas)
    return WalkableFloor(
        grid=grid, islands=islands, node_island=node_island, areas=areas, body=body, name=floor.name,
        remark=floor.remark,
    )  # fmt: skip
