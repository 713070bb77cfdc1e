"""Pieces: objects with a category, and their placement."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harken.scene.homes.shapes import Part

__all__ = ["Box", "Item", "Piece", "Placement", "overlap"]

Box = tuple[float, float, float, float, float, float]
"""Least x, y, z and greatest x, y, z [m]."""

_TURNS = ((1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0))


def overlap(a: Box, b: Box, tolerance: float = 1e-4) -> bool:
    """Whether two boxes share more than a skin of `tolerance` metres."""
    return (
        a[0] < b[3] - tolerance
        and b[0] < a[3] - tolerance
        and a[2] < b[5] - tolerance
        and b[2] < a[5] - tolerance
        and a[1] < b[4] - tolerance
        and b[1] < a[4] - tolerance
    )


@dataclass(frozen=True, eq=False)
class Piece:
    """One thing, in its own frame: x to the right, y up, z forward from its back at 0."""

    category: str
    """What it is, such as "chair"."""
    parts: tuple[Part, ...]
    """Its surfaces."""

    @cached_property
    def box(self) -> Box:
        """Its bounding box [m]."""
        lower = np.min([part.vertices.min(0) for part in self.parts], 0).tolist()
        upper = np.max([part.vertices.max(0) for part in self.parts], 0).tolist()
        return (lower[0], lower[1], lower[2], upper[0], upper[1], upper[2])

    def at(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: int = 0) -> "Piece":
        """Return the piece shifted and turned by quarters, to build groups in one frame."""
        placement = Placement(x=x, y=y, z=z, quarter=turn % 4)
        return Piece(self.category, tuple(placement.part(part) for part in self.parts))


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a frame of furniture lies in the world."""

    x: float = 0.0
    """World x of the origin [m]."""
    y: float = 0.0
    """World y of the origin [m]."""
    z: float = 0.0
    """World z of the origin [m]."""
    quarter: int = 0
    """Quarter turns about the vertical, counter-clockwise seen from above, 0–3; 0 leaves forward at +z."""

    def point(self, x: float, z: float) -> tuple[float, float]:
        """World x and z of a point of the frame [m]."""
        xx, xz, zx, zz = _TURNS[self.quarter]
        return self.x + xx * x + xz * z, self.z + zx * x + zz * z

    def box(self, box: Box) -> Box:
        """Return a box of the frame in the world."""
        x0, z0 = self.point(box[0], box[2])
        x1, z1 = self.point(box[3], box[5])
        return (min(x0, x1), box[1] + self.y, min(z0, z1), max(x0, x1), box[4] + self.y, max(z0, z1))

    def vertices(self, vertices: np.ndarray) -> np.ndarray:
        """Return ``(v, 3)`` positions of the frame in the world."""
        xx, xz, zx, zz = _TURNS[self.quarter]
        turn = np.array([(xx, 0, zx), (0, 1, 0), (xz, 0, zz)], np.float64)
        return vertices @ turn + np.array([self.x, self.y, self.z])

    def part(self, part: Part) -> Part:
        """Return a part of the frame in the world; its texture stays where it is."""
        return Part(vertices=self.vertices(part.vertices), faces=part.faces, finish=part.finish, uv=part.uv)

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0, turn: int = 0) -> "Placement":
        """Return a placement shifted and turned in its own frame."""
        world = self.point(x, z)
        return Placement(x=world[0], y=self.y + y, z=world[1], quarter=(self.quarter + turn) % 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Item:
    """A piece at its place."""

    piece: Piece
    """What it is."""
    placement: Placement
    """Where it is."""
    room: int
    """Index of its room, -1 for none."""
    solid: bool = True
    """Whether other things must keep out of its box."""
