"""Detection of a file's up axis and of units other than the metre."""

from typing import Literal

import numpy as np

from harken.scene.scene import Scene
from harken.scene.vocabulary import CATEGORIES

__all__ = ["axes_remark", "guess_up", "size_remark"]

_STOREY = 1.8
"""Least height of a building [m]; flatter scenes do not indicate the up axis."""
_FLAT = 0.99
"""Cosine of the angle within which a surface faces along an axis."""
_CLEAR = 1.5
"""Ratio by which the area facing along another axis has to exceed that along the usual one."""
_HORIZONTAL = [CATEGORIES.index("floor"), CATEGORIES.index("ceiling")]


def guess_up(
    corners: np.ndarray, category: np.ndarray, usual: Literal["y", "z"]
) -> tuple[Literal["y", "z"], str | None]:
    """Guess which axis of a file points up.

    Surfaces named floor or ceiling decide. Without any, the shape does: in buildings more area faces up and down than
    along either other axis, and height is the smallest extent. Both have to be clear evidence against the usual axis.

    Args:
        corners: ``(F, 3, 3)`` corners of the triangles in the file's axes [m].
        category: ``(F,)`` index into `CATEGORIES` of each.
        usual: "y" or "z", the usual choice of writers of the format.

    Returns:
        "y" or "z", and if that is not the usual one, the reason for a warning.
    """
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    facing = (np.abs(cross) > _FLAT * area[:, None]) * area[:, None]
    rival: Literal["y", "z"] = "y" if usual == "z" else "z"
    named = np.isin(category, _HORIZONTAL)
    if named.any():
        share, whole = facing[named].sum(axis=0), area[named].sum()
        if max(share[1], share[2]) > 0.5 * whole:
            is_rival = share["xyz".index(rival)] > _CLEAR * share["xyz".index(usual)]
            return (rival, f"most of its floors and ceilings face along {rival}") if is_rival else (usual, None)
    extent = np.ptp(corners.reshape(-1, 3), axis=0)
    if _lies_along("xyz".index(rival), "xyz".index(usual), facing.sum(axis=0), extent):
        return rival, f"most of its level surfaces face along {rival}, and it is flattest along {rival}"
    return usual, None


def _lies_along(axis: int, usual: int, share: np.ndarray, extent: np.ndarray) -> bool:
    rest = [extent[i] for i in range(3) if i != axis]
    return bool(share[axis] > _CLEAR * share[usual] and _STOREY < extent[axis] < 0.8 * min(rest))


def axes_remark(scene: Scene) -> str | None:
    """Return a remark if floors and ceilings seem to face sideways, None otherwise."""
    share = (np.abs(scene.normals) > _FLAT).T @ scene.areas
    extent = scene.bounds[1] - scene.bounds[0]
    if _lies_along(2, 1, share, extent):
        return "its floors seem to face along z as loaded; pass up='z' if +z is up in the file, or up='y' if +y is"
    return None


def size_remark(scene: Scene) -> str | None:
    """Return a remark if the size suggests units other than metres, None otherwise."""
    extent = scene.bounds[1] - scene.bounds[0]
    height, largest = float(extent[1]), float(extent.max())
    if height > 1800.0 or largest > 30_000.0:
        unit = ("millimetres", "scale=0.001")
    elif largest > 300.0 or height > 120.0:
        unit = ("centimetres", "scale=0.01")
    elif largest < 1.0:
        unit = ("another unit", f"scale={10 ** int(np.ceil(np.log10(3.0 / max(largest, 1e-9)))):g}")
    else:
        return None
    size = " × ".join(f"{value:.3g}" for value in extent)
    return f"it is {size} m large (x × y × z), which looks like {unit[0]}; pass {unit[1]} if that is so"
