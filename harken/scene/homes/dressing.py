"""Curtains, lamps and rugs for every room."""

from harken.scene.homes import decor
from harken.scene.homes.pieces import Box, Placement
from harken.scene.homes.shell import Wall
from harken.scene.homes.space import RoomSpace
from harken.scene.homes.workshop import Workshop

__all__ = ["dress_windows", "hang_lamp", "lay_rug", "lay_rugs"]

_CURTAINED = {"bathroom": 0.4, "gym": 0.4, "hall": 0.7, "kitchen": 0.8, "laundry_room": 0.3}
"""Share of rooms with curtains by kind; 0.95 of all others."""

_ON_RUGS = ("bed", "chair", "desk", "gym_equipment", "seating", "sofa", "stool", "table")
"""What may stand on a rug."""


def dress_windows(space: RoomSpace, shop: Workshop) -> None:
    """Hang curtains at the sides of the windows, and radiators below."""
    hung = shop.chance(_CURTAINED.get(space.kind, 0.95))
    long = space.kind not in ("bathroom", "kitchen", "laundry_room") and shop.chance(0.65)
    for wall, start, end in space.windows:
        low, high = next(o for a, _, o in wall.openings if a == start).heights
        if hung:
            for side in (-1, 1):
                _curtain(space, shop, wall, (start, end), side, (low, high), long)
        if low > 0.75 and shop.chance(0.55):
            width = min(end - start, 1.4) - 0.1
            for share in (1.0, 0.75, 0.5) if width > 0.4 else ():
                ribs = decor.radiator(shop, share * width)
                if space.put(wall.placement((start + end) / 2), [ribs], zones=False) is not None:
                    break


def _curtain(
    space: RoomSpace,
    shop: Workshop,
    wall: Wall,
    span: tuple[float, float],
    side: int,
    heights: tuple[float, float],
    long: bool,
) -> None:
    """Hang the curtain of one side of a window, drawn back, as wide as fits; from the ceiling where it is long."""
    rail = space.height - 0.1
    for bottom, top in ((0.03, rail), (heights[0] - 0.12, heights[1] + 0.12))[0 if long else 1 :]:
        for width in (0.7, 0.55, 0.4, 0.3):
            over = min(0.25 * (span[1] - span[0]), 0.45 * width)
            at = (span[0] + over - width / 2) if side < 0 else (span[1] - over + width / 2)
            if not width / 2 < at < wall.length - width / 2:
                continue
            bottom = max(bottom, 0.03)
            cloth = decor.curtain(shop, width, top - bottom)
            if space.put(wall.placement(at, bottom), [cloth], zones=False) is not None:
                return


def hang_lamp(space: RoomSpace, shop: Workshop) -> None:
    """A lamp at the ceiling: over the table where there is one, else near the middle of the room."""
    tables = [item for item in space.items if item.piece.category == "table" and item.piece.box[4] > 0.6]
    cell = space.plan.cells == space.room
    middle = cell.nonzero()
    x, z = (float(axis.mean()) + 0.5 + origin for axis, origin in zip(middle, space.plan.origin, strict=True))
    drop = space.height - 2.1 if space.height > 2.45 and space.kind not in ("bathroom", "hall", "gym") else 0.1
    if tables and space.kind in ("dining_room", "kitchen"):
        box = tables[0].placement.box(tables[0].piece.box)
        x, z, drop = (box[0] + box[3]) / 2, (box[2] + box[5]) / 2, space.height - 1.65
    lamp = decor.ceiling_lamp(shop, drop)
    for dx, dz in ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (-1.0, 0.0), (0.0, -1.0)):
        if space.put(Placement(x=x + dx, y=space.height, z=z + dz), [lamp], zones=False) is not None:
            return


def lay_rug(space: RoomSpace, shop: Workshop, place: Placement, size: tuple[float, float]) -> bool:
    """Lay a rug if it fits in the room and only furniture that is usually put on rugs stands on it."""
    rug = decor.rug(shop, size[0], size[1], int(shop.rng.integers(2)))
    box, bounds = place.box(rug.box), space.bounds
    if box[0] < bounds[0] or box[2] < bounds[2] or box[3] > bounds[3] or box[5] > bounds[5]:
        return False
    items = [item for item in space.items if item.piece.category not in _ON_RUGS]
    item_boxes = [item.placement.box(item.piece.box) for item in items]
    if any(_over(box, obstacle) for obstacle in [*space.fixed, *item_boxes] if obstacle[1] < 0.02):
        return False
    space.add(place, rug, solid=False)
    return True


def lay_rugs(space: RoomSpace, shop: Workshop, sizes: tuple[tuple[float, float], ...]) -> None:
    """Lay a rug of the first of some sizes that fits anywhere, longest side along either axis."""
    for size in sizes:
        for _ in range(10):
            x, z = (float(shop.rng.uniform(space.bounds[i], space.bounds[i + 3])) for i in (0, 2))
            if lay_rug(space, shop, Placement(x=x, z=z, quarter=int(shop.rng.integers(2))), size):
                return


def _over(a: Box, b: Box) -> bool:
    """Whether two boxes lie above each other, give or take a centimetre."""
    return a[0] < b[3] + 0.01 and b[0] < a[3] + 0.01 and a[2] < b[5] + 0.01 and b[2] < a[5] + 0.01
