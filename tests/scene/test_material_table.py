import numpy as np
import pytest

from harken.errors import SceneError, UnknownNameError
from harken.scene import OCTAVE_BANDS, AcousticMaterial
from harken.scene.material_table import MATERIALS, mass_law_transmission, material

NAMES = [
    "plaster",
    "gypsum_board",
    "brick",
    "concrete",
    "ceramic_tile",
    "wood_floor",
    "wood_panel",
    "wood_furniture",
    "carpet",
    "rug",
    "glass",
    "window_glass",
    "curtain",
    "upholstery",
    "mattress",
    "clothes",
    "metal",
    "marble",
    "acoustic_tile",
    "plant",
    "door_wood",
    "mirror",
    "plastic",
    "paper_books",
    "human",
    "default",
]


def test_every_material_that_homes_use_is_there():
    assert set(NAMES) == set(MATERIALS)


@pytest.mark.parametrize("name", NAMES)
def test_coefficients_are_shares_of_energy_in_seven_bands_with_a_source(name):
    found = material(name)
    assert isinstance(found, AcousticMaterial)
    assert found.name == name
    assert found.source
    for values in (found.absorption, found.scattering, found.transmission):
        assert len(values) == len(OCTAVE_BANDS) == 7
        assert all(0.0 < value <= 1.0 for value in values)
    assert all(t <= a for t, a in zip(found.transmission, found.absorption, strict=True))


def test_figures_are_those_of_the_named_rows():
    assert material("marble").absorption == (0.01, 0.01, 0.01, 0.02, 0.02, 0.02, 0.02)
    assert material("wood_floor").absorption[:6] == (0.04, 0.04, 0.07, 0.06, 0.06, 0.07)
    assert material("curtain").scattering[:6] == (0.21, 0.255, 0.32, 0.39, 0.47, 0.565)


def test_mass_law_loses_six_decibels_per_octave_and_per_doubling_of_mass():
    loss = -10 * np.log10(mass_law_transmission(7.5))
    assert np.diff(loss) == pytest.approx(20 * np.log10(2), abs=1e-9)
    # 20 log10(1000 Hz × 7.5 kg/m²) − 47 dB.
    assert loss[3] == pytest.approx(30.501, abs=1e-3)
    assert -10 * np.log10(mass_law_transmission(15.0)) - loss == pytest.approx(20 * np.log10(2), abs=1e-9)


def test_mass_law_stays_between_one_and_sixty_decibels_of_loss():
    assert mass_law_transmission(0.01)[0] == 1.0
    assert mass_law_transmission(1000.0)[-1] == 1e-6


def test_heavy_partitions_let_less_through_than_light_ones():
    order = ["curtain", "glass", "wood_furniture", "door_wood", "gypsum_board", "brick"]
    through = [material(name).transmission[3] for name in order]
    assert through == sorted(through, reverse=True)


def test_soft_things_absorb_more_than_hard_ones_at_mid_frequencies():
    hard, soft = (
        ("plaster", "marble", "glass", "metal"),
        ("carpet", "curtain", "mattress", "upholstery", "acoustic_tile"),
    )
    assert max(material(name).absorption[4] for name in hard) < min(material(name).absorption[4] for name in soft)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match=r"acoustic material 'plastr'.*Did you mean 'plaster'"):
        material("plastr")


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        MATERIALS["plaster"] = MATERIALS["brick"]  # type: ignore[index]


@pytest.mark.parametrize("shares", [None, "much", [[0.1]], [0.1, [0.2]], {}, float("nan"), 10**400, (0.1, 0.2), -0.1])
def test_what_is_no_list_of_shares_is_refused_by_the_materials_name(shares):
    with pytest.raises(SceneError, match="Material 'own': absorption"):
        AcousticMaterial(name="own", absorption=shares)
