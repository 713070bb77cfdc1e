"""The common vocabulary of categories in semantic images, for generated homes and for files."""

from collections.abc import Iterable

import numpy as np

from harken.errors import UnknownNameError

__all__ = ["CATEGORIES", "SOUNDING_CATEGORIES", "category_indices"]

SOUNDING_CATEGORIES: tuple[str, ...] = (
    *("chair", "table", "picture", "cabinet", "cushion", "sofa", "bed", "chest_of_drawers", "plant", "sink"),
    *("toilet", "stool", "towel", "tv_monitor", "shower", "bathtub", "counter", "fireplace", "gym_equipment"),
    *("seating", "clothes"),
)
"""The 21 categories that sound in semantic AudioGoal (Chen et al., CVPR 2021, §4)."""

CATEGORIES: tuple[str, ...] = (
    "unknown",
    *("wall", "floor", "ceiling", "window", "door", "stairs", "railing"),
    *SOUNDING_CATEGORIES,
    *("desk", "bookshelf", "shelf", "lamp", "rug", "curtain", "mirror", "refrigerator", "oven", "washing_machine"),
    *("radiator", "telephone", "appliance", "piano", "computer", "pipe", "container", "dishes", "person"),
)
"""All categories of generated homes and of labels in files; a category's index is its number.

0 is "unknown", 1–7 are structure, 8–28 the 21 sounding categories of semantic AudioGoal, and the rest are other objects
in homes. Numbers never change: data sets and trained networks depend on them. New categories go to the end.
"""

_NUMBERS = {name: number for number, name in enumerate(CATEGORIES)}


def category_indices(names: Iterable[str]) -> np.ndarray:
    """Return the numbers of categories.

    Args:
        names: Names out of `CATEGORIES`.

    Returns:
        ``(n,)`` int32, index into `CATEGORIES` of each.

    Raises:
        UnknownNameError: A name is not in `CATEGORIES`.
    """
    try:
        return np.array([_NUMBERS[name] for name in names], np.int32)
    except KeyError as error:
        raise UnknownNameError("category", error.args[0], CATEGORIES) from None
