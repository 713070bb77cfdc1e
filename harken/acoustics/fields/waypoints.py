"""Reverberation of a moving source, blended from fields at nearby places that are traced once each.

The places lie on a lattice that belongs to the world, not to the source's path, so that the result depends on where the
source is and not on how it got there, and fields are reused when a source returns.
"""

from collections.abc import Callable

import numpy as np

from harken.acoustics.paths.exact import ExactSource
from harken.scene import Scene

__all__ = ["SPACINGS", "blend_waypoints"]

SPACINGS = (1.5, 0.75, 0.375)
"""Distances between the places [m]; the first lattice with a place that the source sees is used."""

_AROUND = np.array([[x, 0, z] for x in (-1, 0, 1) for z in (-1, 0, 1)])

LEVELS = 0.5
"""Vertical distance between the places [m]."""

REACH = 1.25
"""Distance at which the weight of a place reaches zero, in spacings."""


def blend_waypoints(
    scene: Scene, position: np.ndarray, waypoint: Callable[[np.ndarray], ExactSource | None]
) -> list[tuple[ExactSource, float]]:
    """Return the places in view around a moving source, and their weights, heaviest first.

    Args:
        scene: The scene.
        position: ``(3,)`` where the source is [m].
        waypoint: Returns the prepared source at a place, None where no source can be.

    Returns:
        Places nearer than `REACH` spacings with weights (1 − d/reach)² over the sum; empty where the source sees none.
    """
    for spacing in SPACINGS:
        lattice = np.array([spacing, LEVELS, spacing])
        places = (np.round(position / lattice) + _AROUND) * lattice
        flat = (places - position)[:, [0, 2]]
        weights = np.maximum(1.0 - np.sqrt((flat**2).sum(1)) / (REACH * spacing), 0.0) ** 2
        near = weights > 0
        places, weights = places[near], weights[near]
        visible = ~scene.triangles.occluded(position, places)
        entries = [(waypoint(place), weight) for place, weight in zip(places[visible], weights[visible], strict=True)]
        points = [(point, float(weight)) for point, weight in entries if point is not None]
        total = sum(weight for _, weight in points)
        if total > 0:
            return sorted(((point, weight / total) for point, weight in points), key=lambda pair: -pair[1])
    return []
