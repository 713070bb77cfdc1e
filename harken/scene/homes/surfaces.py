"""Acoustic materials of homes, where they differ from the common table of materials.

Interior walls and ceilings of dwellings are mostly gypsum board on studs or joists, which absorbs low frequencies;
carpets in bedrooms mostly lie on a pad. Scattering is higher than that of the bare sheet where small things that are
not in the geometry break up the surface: sockets, switches, mouldings, cables and hooks on walls, jars and boards on
worktops. There is no published table for homes; the values are estimates, as in the common table: between the 0.08 of
bare flat boards at 1 kHz and the 0.3 of objects that stand side by side.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from harken.scene.material_table import mass_law_transmission, material
from harken.scene.materials import AcousticMaterial

__all__ = ["HOME_MATERIALS", "home_material"]

_FITTED = (0.10, 0.10, 0.12, 0.15, 0.20, 0.25, 0.25)
_CLUTTERED = (0.10, 0.15, 0.22, 0.30, 0.40, 0.50, 0.50)

_STUDS = (0.29, 0.10, 0.05, 0.04, 0.07, 0.09, 0.09)
_STUDS_SOURCE = "akustik.ua, Absorption coefficients: plasterboard on 50 mm battens (13 mm on studs in other tables)"
_PAD = (0.08, 0.24, 0.57, 0.69, 0.71, 0.73, 0.73)
_PAD_SOURCE = "E. Sengpiel, Absorption coefficients of building materials and finishes: carpet on foam"


def _passing(absorption: tuple[float, ...], surface_mass: float) -> tuple[float, ...]:
    """Transmission by the mass law, at most the absorption."""
    return tuple(map(min, mass_law_transmission(surface_mass), absorption))


def _fitted(name: str, base: str) -> AcousticMaterial:
    """A wall of the table's material, with the scattering of fittings on walls in homes."""
    source = f"{material(base).source}; scattering judged for a wall with sockets, switches and mouldings"
    return replace(material(base), name=name, scattering=_FITTED, source=source)


_ENTRIES = (
    replace(
        material("gypsum_board"),
        name="stud_wall",
        absorption=_STUDS,
        scattering=_FITTED,
        transmission=_passing(_STUDS, 20.0),
        source=f"{_STUDS_SOURCE}; mass law with 20 kg/m²; scattering judged for a wall with sockets and mouldings",
    ),
    replace(
        material("gypsum_board"),
        name="joist_ceiling",
        absorption=_STUDS,
        transmission=_passing(_STUDS, 45.0),
        source=f"{_STUDS_SOURCE}; mass law with 45 kg/m² (boards, joists, floor above)",
    ),
    _fitted("lined_wall", "gypsum_board"),
    _fitted("plastered_wall", "plaster"),
    _fitted("tiled_wall", "ceramic_tile"),
    replace(
        material("marble"),
        name="worktop",
        scattering=_CLUTTERED,
        source=f"{material('marble').source}; scattering judged for a worktop with kitchen things on it",
    ),
    replace(
        material("carpet"),
        name="carpet_on_pad",
        absorption=_PAD,
        transmission=_passing(_PAD, 300.0),
        source=f"{_PAD_SOURCE}; mass law with 300 kg/m²",
    ),
)

HOME_MATERIALS: Mapping[str, AcousticMaterial] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""The acoustic materials of homes that are not in the common table, by name."""


def home_material(name: str) -> AcousticMaterial:
    """Return an acoustic material of homes.

    Args:
        name: A key of `HOME_MATERIALS` or of the common table.

    Returns:
        The material, with one coefficient per band of `harken.scene.OCTAVE_BANDS`.

    Raises:
        UnknownNameError: There is no such material.
    """
    return HOME_MATERIALS[name] if name in HOME_MATERIALS else material(name)
