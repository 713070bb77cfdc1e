"""Sources and listeners on their way into an engine, and paths on their way out.

Engines work in the coordinates of `Scene.local`, in which single precision is fine enough wherever the scene lies.
"""

import dataclasses
from typing import TypeVar

import numpy as np

from harken.acoustics.protocol import Listener, SoundPath, SoundPaths, Source
from harken.errors import SoundError
from harken.scene import Scene

__all__ = ["FARTHEST", "paths_from_engine", "place_for_engine", "points_from_engine"]

FARTHEST = 10_000.0
"""Greatest distance outside a scene's box at which there can be sources and listeners [m]."""

Place = TypeVar("Place", bound=Source | Listener)
Paths = TypeVar("Paths", bound=SoundPaths | SoundPath)


def place_for_engine(scene: Scene, place: Place) -> Place:
    """Return a source or listener in the coordinates of ``scene.local``.

    Raises:
        SoundError: It is farther than `FARTHEST` from the scene's box.
    """
    (x0, y0, z0), (x1, y1, z1) = (corner.tolist() for corner in scene.bounds)
    x, y, z = place.position.tolist()
    if not (
        x0 - FARTHEST <= x <= x1 + FARTHEST
        and y0 - FARTHEST <= y <= y1 + FARTHEST
        and z0 - FARTHEST <= z <= z1 + FARTHEST
    ):
        raise SoundError(
            f"The {type(place).__name__.lower()} at ({x:g}, {y:g}, {z:g}) is not near {scene.name}, which spans "
            f"x {x0:.1f}…{x1:.1f}, y {y0:.1f}…{y1:.1f}, z {z0:.1f}…{z1:.1f} m. Move it into the scene."
        )
    return dataclasses.replace(place, position=place.position - scene.origin) if scene.is_far else place


def paths_from_engine(scene: Scene, paths: Paths) -> Paths:
    """Return paths that were found in the coordinates of ``scene.local`` in those of the scene."""
    return dataclasses.replace(paths, points=points_from_engine(scene, paths.points)) if scene.is_far else paths


def points_from_engine(scene: Scene, points: np.ndarray) -> np.ndarray:
    """Return points ``(..., 3)`` in the coordinates of the scene [m]."""
    return points + scene.origin
