"""The workshop: finishes, detail and random numbers for the functions that make furniture."""

from dataclasses import dataclass

import numpy as np

from harken.scene.homes.palette import Finish, Palette
from harken.scene.homes.shapes import Part, Point, ball, box, cylinder, lathe, panel, rod, soft_box

__all__ = ["Workshop"]


@dataclass(frozen=True, kw_only=True)
class Workshop:
    """Makes furniture from the home's finishes, the level of detail, and a source of randomness."""

    palette: Palette
    """Finishes."""
    rng: np.random.Generator
    """Source of randomness."""
    detail: float = 1.0
    """Factor on the number of triangles."""

    def chance(self, probability: float) -> bool:
        """Return True with a probability."""
        return bool(self.rng.random() < probability)

    def between(self, low: float, high: float) -> float:
        """Return a uniform random number between two, rounded to two decimals (centimetres for lengths)."""
        return round(float(self.rng.uniform(low, high)), 2)

    def choose(self, *names: str) -> str:
        """Return a random one of some names."""
        return names[int(self.rng.integers(len(names)))]

    def finish(self, *names: str) -> Finish:
        """Return the finish of a random one of some names."""
        return self.palette[self.choose(*names)]

    def box(self, finish: str | Finish, lower: Point, upper: Point) -> Part:
        """Return a box; see `shapes.box`."""
        return box(self._of(finish), lower, upper, self.detail)

    def soft(self, finish: str | Finish, lower: Point, upper: Point, radius: float = 0.05, puff: float = 0.0) -> Part:
        """Return a box with round edges; see `shapes.soft_box`."""
        return soft_box(self._of(finish), lower, upper, radius, self.detail, puff)

    def cylinder(self, finish: str | Finish, base: Point, radius: float, height: float) -> Part:
        """Return an upright cylinder; see `shapes.cylinder`."""
        return cylinder(self._of(finish), base, radius, height, self.detail)

    def rod(self, finish: str | Finish, start: Point, end: Point, radius: float) -> Part:
        """Return a rod between two points; see `shapes.rod`."""
        return rod(self._of(finish), start, end, radius, self.detail)

    def lathe(self, finish: str | Finish, base: Point, profile: list[tuple[float, float]], sides: int = 12) -> Part:
        """Return a body of revolution; see `shapes.lathe`."""
        return lathe(self._of(finish), base, profile, self.detail, sides)

    def ball(self, finish: str | Finish, center: Point, radii: Point, sides: int = 10) -> Part:
        """Return an ellipsoid; see `shapes.ball`."""
        return ball(self._of(finish), center, radii, self.detail, sides)

    def panel(self, finish: str | Finish, lower: tuple[float, float], upper: tuple[float, float], z: float) -> Part:
        """Return an upright rectangle that shows a texture once; see `shapes.panel`."""
        return panel(self._of(finish), lower, upper, z)

    def _of(self, finish: str | Finish) -> Finish:
        return self.palette[finish] if isinstance(finish, str) else finish
