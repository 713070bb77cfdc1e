"""Which parts of a floor are rooms, and which lie inside solids or under the open sky.

As a rule the surfaces of a mesh show their fronts to the air, and then a room is where both the floor and what is
overhead do. Some exports break that rule entirely (a room as a box of faces that point outwards) or in parts (mirrored
furniture). If the fronts are ambiguous, closed surfaces decide, regardless of their winding.
"""

import numpy as np

from harken.scene.enclosure import ClosedSurfaces
from harken.scene.floor import surface
from harken.scene.floor.grid import COLUMN, FloorGrid
from harken.scene.floor.islands import Parts
from harken.scene.scene import Scene

__all__ = ["BY_FRONTS", "find_rooms"]

BY_FRONTS = "rooms are where floor and ceiling show their fronts"
"""Description used when the facing of surfaces distinguished rooms from solids."""

_LEAST, _MOST_ISLANDS, _SAMPLES = 0.25, 64, 5
_CLEARLY = 4.0


def find_rooms(
    scene: Scene, grid: FloorGrid, parts: Parts, facing: np.ndarray, areas: np.ndarray, height: float
) -> tuple[np.ndarray, str]:
    """Return which nodes of a floor are in rooms.

    Args:
        scene: The scene.
        grid: Its floor.
        parts: Its connected parts.
        facing: ``(N,)`` from `build_grid`: which ways the floor and what is overhead face.
        areas: ``(N,)`` from `quad_areas` [m²].
        height: Height of the body [m].

    Returns:
        ``(N,)`` bool, true in rooms, and a description of how it was decided.
    """
    lid = facing >> surface.LID
    front = ((facing & surface.UP) > 0) & ((lid & surface.DOWN) > 0)
    if not parts.count:
        return front, BY_FRONTS
    area, roofed, fronts = parts.total(areas), parts.total(areas * (lid > 0)), parts.total(areas * front)
    # In most homes the rooms are one part and everything else under a roof is small: then the fronts are reliable.
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
    """Return which islands ``(count,)`` are inside solids, and a description of how that was decided."""
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
