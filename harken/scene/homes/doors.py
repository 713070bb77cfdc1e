"""The doors between the rooms of a home, which can be opened and closed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harken.scene.doors import Door
from harken.scene.homes.palette import Palette
from harken.scene.homes.pieces import Box, Item
from harken.scene.homes.plan import Opening, Plan

__all__ = ["home_doors"]


def home_doors(plan: Plan, palette: Palette, items: Sequence[Item], leaves: Mapping[Opening, int]) -> tuple[Door, ...]:
    """Return the doors between rooms, as `harken.scene.Scene.doors` has them.

    Args:
        plan: The floor plan.
        palette: Finishes.
        items: The shell's items, from the first.
        leaves: Which of them is the leaf of an opening.
    """
    finish = palette["door"]
    doors = []
    for opening in plan.openings:
        if opening.kind != "door":
            continue
        leaf = items[leaves[opening]] if opening in leaves else None
        beside = -np.inf if leaf is None else np.mean(_along(leaf.placement.box(leaf.piece.box), opening.axis))
        ends = opening.span if beside < opening.center else opening.span[::-1]
        hinge, latch = (_point(opening, at) for at in ends)
        door = Door(
            name=f"door {len(doors) + 1}",
            hinge=hinge,
            latch=latch,
            height=opening.heights[1],
            color=finish.color,
            extent=finish.extent,
            resting=0 if leaf is None else leaves[opening] + 1,
        )
        room = opening.sides[0] if leaf is None else leaf.room
        away = -1.0 if opening.sides[0] == room else 1.0
        opens_there = door.axes()[1][2 if opening.axis == 0 else 0] * away > 0
        doors.append(door if opens_there else replace(door, swings="right"))
    return tuple(doors)


def _along(box: Box, axis: int) -> tuple[float, float]:
    return (box[0], box[3]) if axis == 0 else (box[2], box[5])


def _point(opening: Opening, at: float) -> tuple[float, float, float]:
    return (at, 0.0, float(opening.line)) if opening.axis == 0 else (float(opening.line), 0.0, at)
