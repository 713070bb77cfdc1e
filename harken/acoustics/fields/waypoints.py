"""Reverberation of a source on its way: blended from fields of places nearby that are traced once each.

The places lie on a lattice that belongs to the world, not to the source's path, so that what is heard depends on where
the source is and not on how it came there, and a source that comes back finds them traced.
"""

from collections.abc import Callable

import numpy as np

from harken.acoustics.paths.exact import ExactSource
from harken.scene import Scene

__all__ = ["SPACINGS", "blend_waypoints"]

SPACINGS = (1.5, 0.75, 0.375)
"""Distances between the places [m]: the first lattice of which the source sees any place serves."""

_AROUND = np.array([[x, 0, z] for x in (-1, 0, 1) for z in (-1, 0, 1)])

LEVELS = 0.5
"""Vertical distance between the places [m]."""

REACH = 1.25
"""Distance at which a place has no more weight, in spacings: it fades in and out."""


def blend_waypoints(
    scene: Scene, position: np.ndarray, waypoint: Callable[[np.ndarray], ExactSource | None]
) -> list[tuple[ExactSource, float]]:
    """Return the places around a moving source that it sees, and their weights, heaviest first.

    Args:
        scene: The scene.
        position: ``(3,)`` where the source is [m].
        waypoint: Returns what is known of a place, None where a source cannot be.

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
