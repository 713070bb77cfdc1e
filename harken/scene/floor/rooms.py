"""Which parts of a floor are rooms, and which lie inside solids or under the open sky.

As a rule the surfaces of a mesh show their fronts to the air, and then a room is where both the floor and what is
overhead do. Exports break that rule as a whole (a room as a box of faces that look outwards) or in parts (mirrored
furniture). Where the fronts leave a doubt, closed surfaces decide, whichever way they wind.
"""

import numpy as np

from harken.scene.enclosure import ClosedSurfaces
from harken.scene.floor import surface
from harken.scene.floor.grid import COLUMN, FloorGrid
from harken.scene.floor.islands import Parts
from harken.scene.scene import Scene

__all__ = ["BY_FRONTS", "find_rooms"]

BY_FRONTS = "rooms are where floor and ceiling show their fronts"
"""What is said where the way that surfaces face told rooms from solids."""

_LEAST, _MOST_ISLANDS, _SAMPLES = 0.25, 64, 5
_CLEARLY = 4.0


def find_rooms(
    scene: Scene, grid: FloorGrid, parts: Parts, facing: np.ndarray, areas: np.ndarray, height: float
) -> tuple[np.ndarray, str]:
    """Tell which nodes of a floor are in rooms.

    Args:
        scene: The scene.
        grid: Its floor.
        parts: Its connected parts.
        facing: ``(N,)`` from `build_grid`: which ways the floor and what is overhead face.
        areas: ``(N,)`` from `quad_areas` [m²].
        height: Height of the body [m].

    Returns:
        ``(N,)`` bool, and how it was decided, in words.
    """
    lid = facing >> surface.LID
    front = ((facing & surface.UP) > 0) & ((lid & surface.DOWN) > 0)
    if not parts.count:
        return front, BY_FRONTS
    area, roofed, fronts = parts.total(areas), parts.total(areas * (lid > 0)), parts.total(areas * front)
    # Of most homes the rooms are one part, beside which all else under a roof is small: the fronts are beyond doubt.
    best = int(np.where(2.0 * fronts > area, fronts, 0.0).argmax())
    if 2.0 * fronts[best] > area[best] and fronts[best] >= _CLEARLY * np.delete(roofed, best).max(initial=0.0):
        return front, BY_FRONTS
    inside = _inside_solids(scene, grid, parts.label, area, roofed, height)
    if inside is None:
        return front, BY_FRONTS
    solid, words = inside
    return (lid > 0) & ~np.append(solid, False)[parts.owner], words


def _inside_solids(
    scene: Scene, grid: FloorGrid, label: np.ndarray, area: np.ndarray, roofed: np.ndarray, height: float
) -> tuple[np.ndarray, str] | None:
    """Tell which islands ``(count,)`` are inside solids, and how that was decided."""
    surfaces = ClosedSurfaces(scene.vertices, scene.faces, scene.instance)
    candidates = np.flatnonzero((area >= _LEAST) & (2.0 * roofed > area))
    candidates = candidates[np.argsort(-area[candidates], kind="stable")][:_MOST_ISLANDS]
    if not len(candidates):
        return None
    nodes = [np.flatnonzero(label == island) for island in candidates]
    nodes = [members[np.linspace(0, len(members) - 1, _SAMPLES).astype(np.int64)] for members in nodes]
    column = grid.node[np.concatenate(nodes), COLUMN]
    points = np.stack(
        [
            grid.x0 + column % grid.nx * grid.cell,
            grid.value[np.concatenate(nodes), 1] + 0.5 * height,
            grid.z0 + column // grid.nx * grid.cell,
        ],
        1,
    )
    inside = 2 * surfaces.contain(points).reshape(len(candidates), _SAMPLES, -1).sum(1) > _SAMPLES
    in_the_open = float(area.sum() - area[candidates].sum())
    is_air, words = surfaces.tell_air(scene.triangles, inside, area[candidates], in_the_open)
    solid = np.zeros(len(area), np.bool_)
    solid[candidates[~is_air]] = True
    if solid.any():
        words += f"; {int(solid.sum())} islands are inside solids"
    return solid, words
