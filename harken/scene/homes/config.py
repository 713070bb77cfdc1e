"""Settings of generated homes."""

from dataclasses import dataclass

from harken.checks import check_settings
from harken.errors import ConfigurationError

__all__ = ["HomeConfig"]


@dataclass(frozen=True, kw_only=True)
class HomeConfig:
    """Limits between which `generate_home` draws.

    Raises:
        ConfigurationError: A range is empty or lies outside what the generator can lay out.
    """

    rooms: tuple[int, int] = (3, 8)
    """Least and greatest number of rooms, halls included; 3–8."""
    area: tuple[float, float] = (40.0, 150.0)
    """Least and greatest floor area between the walls [m²]."""
    detail: float = 1.0
    """Multiplies the tessellation of furniture, 0.25–64: at 1 a home has some 10–35 thousand triangles, and the number
    of triangles of furniture grows in proportion; walls, floors and ceilings keep theirs."""
    furnished: bool = True
    """Whether there is furniture; without it a home is walls, floors, ceilings, doors and windows."""
    ceiling: tuple[float, float] = (2.4, 3.0)
    """Least and greatest height of the rooms [m]; 2.3–5."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(self)
        _check_range("rooms", self.rooms, 3, 8, "whole numbers of rooms")
        _check_range("area", self.area, 20, 200, "floor areas [m²]")
        _check_range("ceiling", self.ceiling, 2.3, 5, "heights [m]")
        if not 0.25 <= self.detail <= 64:
            raise ConfigurationError(f"HomeConfig.detail is {self.detail!r}; expected a factor between 0.25 and 64.")


def _check_range(name: str, bounds: tuple[float, float], least: float, greatest: float, what: str) -> None:
    if len(bounds) != 2 or not least <= bounds[0] <= bounds[1] <= greatest:
        raise ConfigurationError(
            f"HomeConfig.{name} is {bounds!r}; expected (least, greatest) {what} with {least:g} ≤ least ≤ greatest "
            f"≤ {greatest:g}."
        )
