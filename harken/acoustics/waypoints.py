"""Reverberation of a source on its way: blended from fields of places nearby that are traced once each.

The places lie on a lattice that belongs to the world, not to the source's path, so that what is heard depends on where
the source is and not on how it came there, and a source that comes back finds them traced.
"""

from collections.abc import Callable

import numpy as np

from harken.acoustics.exact import ExactSource
from harken.scene import Scene

__all__ = ["SPACING", "blend_waypoints"]

SPACING = 1.5
"""Distance between the places [m]."""

LEVELS = 0.5
"""Vertical distance between the places [m]."""

REACH = 1.25 * SPACING
"""Distance at which a place has no more weight [m]: it fades in and out."""


def blend_waypoints(
    scene: Scene, position: np.ndarray, waypoint: Callable[[np.ndarray], ExactSource | None]
) -> list[tuple[ExactSource, float]]:
    """Return the places around a moving source that it sees, and their weights, heaviest first.

    Args:
        scene: The scene.
        position: ``(3,)`` where the source is [m].
        waypoint: Returns what is known of a place, None where a source cannot be.

    Returns:
        Places within `REACH` with weights (1 − d/REACH)² over the sum; empty where the source sees none.
    """
    lattice = np.array([SPACING, LEVELS, SPACING])
    middle = np.round(position / lattice)
    steps = np.array([[x, 0, z] for x in (-1, 0, 1) for z in (-1, 0, 1)])
    places = (middle + steps) * lattice
    flat = (places - position)[:, [0, 2]]
    weights = np.maximum(1.0 - np.linalg.norm(flat, axis=1) / REACH, 0.0) ** 2
    places, weights = places[weights > 0], weights[weights > 0]
    starts = np.repeat(position[None], len(places), 0)
    seen = ~scene.triangles.occluded(starts, places)
    found = [(waypoint(place), weight) for place, weight in zip(places[seen], weights[seen], strict=True)]
    known = [(point, float(weight)) for point, weight in found if point is not None]
    total = sum(weight for _, weight in known)
    return sorted(((point, weight / total) for point, weight in known), key=lambda pair: -pair[1])
