"""The table of built-in acoustic materials, used for homes and for labels of meshes.

Absorption comes from published tables; `AcousticMaterial.source` names the row. "Vorländer" is M. Vorländer,
*Auralization* (Springer 2008), appendix, as listed in pyroomacoustics' ``materials.json`` (MIT), where the row's name
is given; "Round Robin III" are the materials of the room measured by PTB (Bork 2005). Few published rows give values
for an object's own surface; where a row is derived from figures per floor area or estimated, the source says how.

Scattering is of the surface alone, since furniture and niches are in the geometry. There is no published table for
homes: the value of curtains is published (Round Robin III), the others are estimates: 0.02–0.05 for smooth surfaces,
0.1–0.2 for joints and relief, 0.3 for filled shelves at mid frequencies, more above and less below.

Transmission is that of the whole partition, crossed once, for sound that arrives from all sides. It follows from the
surface mass m′ by the mass law for field incidence, TL = 20 log₁₀(f m′) − 47 dB, and never exceeds the absorption.
Real partitions lose some decibels to coincidence, leaks and flanking, so no loss above 60 dB is assumed.
"""

from collections.abc import Mapping
from types import MappingProxyType

from harken.errors import UnknownNameError
from harken.scene.materials import OCTAVE_BANDS, AcousticMaterial

__all__ = ["MATERIALS", "mass_law_transmission", "material"]

_SMOOTH = (0.02, 0.02, 0.03, 0.03, 0.04, 0.05, 0.05)
_FLAT = (0.05, 0.05, 0.06, 0.08, 0.10, 0.10, 0.10)
_JOINTED = (0.05, 0.06, 0.08, 0.12, 0.16, 0.20, 0.20)
_BUILT = (0.10, 0.12, 0.16, 0.20, 0.25, 0.30, 0.30)
_SOFT = (0.10, 0.15, 0.20, 0.30, 0.40, 0.50, 0.50)
_DRAPED = (0.21, 0.255, 0.32, 0.39, 0.47, 0.565, 0.565)  # Round Robin III, curtain closed
_SHELVED = (0.15, 0.20, 0.30, 0.40, 0.45, 0.50, 0.50)
_LEAFY = (0.10, 0.20, 0.40, 0.60, 0.70, 0.80, 0.80)

_LEAST_TRANSMISSION = 1e-6


def mass_law_transmission(surface_mass: float) -> tuple[float, ...]:
    """Return the share of energy that a limp sheet lets through, by the mass law for field incidence.

    Source: TL = 20 log₁₀(f m′) − 47 dB (e.g. Bies, Hansen & Howard, *Engineering Noise Control*), kept below 60 dB.

    Args:
        surface_mass: Mass per area m′ [kg/m²], above 0.

    Returns:
        One share 10⁻⁶–1 per band of `OCTAVE_BANDS`.
    """
    return tuple(
        min(1.0, max(_LEAST_TRANSMISSION, 10**4.7 / (frequency * surface_mass) ** 2)) for frequency in OCTAVE_BANDS
    )


def _entry(
    name: str,
    absorption: tuple[float, ...],
    scattering: tuple[float, ...],
    surface_mass: float,
    source: str,
    *,
    passing: float = 1.0,
) -> AcousticMaterial:
    """Make a material whose transmission follows the mass law, at most the share `passing` of its absorption."""
    solid = AcousticMaterial(name=name, absorption=absorption, scattering=scattering)
    limits = zip(mass_law_transmission(surface_mass), solid.absorption, strict=True)
    return AcousticMaterial(
        name=name,
        absorption=solid.absorption,
        scattering=solid.scattering,
        transmission=tuple(min(share, passing * limit) for share, limit in limits),
        source=f"{source}; mass law with {surface_mass:g} kg/m²",
    )


# Cloth, foliage and cushions are porous: half of the energy that they do not reflect passes, half is dissipated. With a
# larger share, a curtain in front of a wall would return energy that was measured as absorbed.
_POROUS = 0.5

_ENTRIES = (
    _entry(
        "default",
        (0.10,) * 7,
        (0.30,) * 7,
        20.0,
        "judged: mean of a furnished room, where nothing is known",
    ),
    _entry(
        "plaster",
        (0.02, 0.02, 0.03, 0.03, 0.04, 0.05, 0.05),
        _FLAT,
        200.0,
        "Vorländer: hard_surface (plaster on masonry)",
    ),
    _entry(
        "gypsum_board",
        (0.15, 0.10, 0.06, 0.04, 0.04, 0.05, 0.05),
        _FLAT,
        40.0,
        "Vorländer: plasterboard (2 × 13 mm on steel frame, mineral wool)",
    ),
    _entry(
        "brick",
        (0.03, 0.03, 0.03, 0.04, 0.05, 0.07, 0.07),
        _JOINTED,
        220.0,
        "R. F. Barron, Industrial Noise Control and Acoustics (2003), app. D: brick, unglazed",
    ),
    _entry(
        "concrete",
        (0.01, 0.01, 0.02, 0.02, 0.02, 0.05, 0.05),
        _SMOOTH,
        345.0,
        "Vorländer: unpainted_concrete (smooth)",
    ),
    _entry(
        "ceramic_tile",
        (0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02),
        _SMOOTH,
        250.0,
        "Vorländer: ceramic_tiles (smooth, on masonry)",
    ),
    _entry(
        "marble",
        (0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02),
        _SMOOTH,
        300.0,
        "Vorländer: marble_floor",
    ),
    _entry(
        "wood_floor",
        (0.04, 0.04, 0.07, 0.06, 0.06, 0.07, 0.07),
        _FLAT,
        300.0,
        "Round Robin III: parquet (on a massive floor)",
    ),
    _entry(
        "wood_panel",
        (0.27, 0.23, 0.22, 0.15, 0.10, 0.07, 0.06),
        _FLAT,
        8.0,
        "Vorländer: wooden_lining (12 mm on frame)",
    ),
    _entry(
        "wood_furniture",
        (0.18, 0.12, 0.10, 0.09, 0.08, 0.07, 0.07),
        _BUILT,
        11.0,
        "Vorländer: wood_16mm (16 mm boards on studs)",
    ),
    _entry(
        "door_wood",
        (0.14, 0.10, 0.06, 0.08, 0.10, 0.10, 0.10),
        _FLAT,
        25.0,
        "Vorländer: wooden_door (solid)",
    ),
    _entry(
        "carpet",
        (0.02, 0.06, 0.14, 0.37, 0.60, 0.65, 0.65),
        _SOFT,
        300.0,
        "E. Sengpiel, Absorption coefficients of building materials and finishes: carpet on concrete",
    ),
    _entry(
        "rug",
        (0.11, 0.14, 0.37, 0.43, 0.27, 0.25, 0.25),
        _SOFT,
        300.0,
        "Vorländer: carpet_hairy (on 3 mm felt)",
    ),
    _entry(
        "glass",
        (0.08, 0.04, 0.03, 0.03, 0.02, 0.02, 0.02),
        _SMOOTH,
        7.5,
        "Vorländer: glass_3mm (single pane)",
    ),
    _entry(
        "window_glass",
        (0.15, 0.05, 0.03, 0.03, 0.02, 0.02, 0.02),
        _SMOOTH,
        15.0,
        "Vorländer: double_glazing_30mm (2 × 3 mm)",
    ),
    _entry(
        "mirror",
        (0.08, 0.04, 0.03, 0.03, 0.02, 0.02, 0.02),
        _SMOOTH,
        10.0,
        "Vorländer: glass_3mm (4 mm here, before a wall)",
    ),
    _entry(
        "curtain",
        (0.30, 0.45, 0.65, 0.56, 0.59, 0.71, 0.71),
        _DRAPED,
        0.5,
        "Vorländer: curtains_cotton_0.5 (130 mm before a wall); half of the absorption taken to pass",
        passing=_POROUS,
    ),
    _entry(
        "clothes",
        (0.03, 0.12, 0.15, 0.27, 0.37, 0.42, 0.42),
        _DRAPED,
        0.66,
        "Vorländer: curtains_cotton_0.33 (folded cotton cloth), two layers; half of the absorption taken to pass",
        passing=_POROUS,
    ),
    _entry(
        "upholstery",
        (0.22, 0.30, 0.385, 0.445, 0.41, 0.35, 0.35),
        _SOFT,
        15.0,
        "Vorländer: chairs_upholstered_cloth, given per floor area, halved since a seat shows twice its floor area",
        passing=_POROUS,
    ),
    _entry(
        "mattress",
        (0.47, 0.51, 0.54, 0.56, 0.56, 0.54, 0.54),
        _SOFT,
        12.0,
        "Vorländer: chairs_heavy_upholstered, given per floor area, by 1.5 since a bed shows 1.5 times its floor area",
        passing=_POROUS,
    ),
    _entry(
        "metal",
        (0.05, 0.03, 0.02, 0.02, 0.02, 0.02, 0.02),
        _SMOOTH,
        8.0,
        "judged: as rigid as tile, with the panel resonance of 1 mm sheet steel at low frequencies",
    ),
    _entry(
        "plastic",
        (0.04, 0.04, 0.04, 0.04, 0.04, 0.04, 0.04),
        _SMOOTH,
        4.0,
        "judged: a smooth closed skin, 4 mm thick, between tile and thin boards",
    ),
    _entry(
        "acoustic_tile",
        (0.49, 0.53, 0.53, 0.75, 0.92, 0.99, 0.99),
        _FLAT,
        5.0,
        "Vorländer: ceiling_fissured_tile",
    ),
    _entry(
        "plant",
        (0.03, 0.06, 0.11, 0.17, 0.27, 0.31, 0.31),
        _LEAFY,
        0.3,
        "judged: foliage without soil; half of the absorption taken to pass",
        passing=_POROUS,
    ),
    _entry(
        "paper_books",
        (0.22, 0.28, 0.30, 0.30, 0.28, 0.25, 0.25),
        _SHELVED,
        100.0,
        "judged: filled shelves, between thin boards and heavy cloth",
    ),
    _entry(
        "human",
        (0.08, 0.15, 0.29, 0.42, 0.48, 0.47, 0.47),
        _SOFT,
        100.0,
        "Vorländer: audience_1_m2 (one person per m²), divided by the 1.9 m² of a body's skin",
    ),
)

MATERIALS: Mapping[str, AcousticMaterial] = MappingProxyType({entry.name: entry for entry in _ENTRIES})
"""The built-in acoustic materials by name."""


def material(name: str) -> AcousticMaterial:
    """Return a built-in acoustic material.

    Args:
        name: A key of `MATERIALS`, such as "plaster".

    Returns:
        The material, with one coefficient per band of `OCTAVE_BANDS`.

    Raises:
        UnknownNameError: There is no such material.
    """
    if name not in MATERIALS:
        raise UnknownNameError("acoustic material", name, MATERIALS)
    return MATERIALS[name]
