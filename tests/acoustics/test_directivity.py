import numpy as np
import pytest
from scipy.special import eval_legendre, j1, spherical_jn, spherical_yn

from harken.acoustics.directivity import (
    PATTERNS,
    Axisymmetric,
    Directivity,
    FirstOrder,
    MeasuredDirectivity,
    baffled_piston,
    body_frame,
    directivity,
    directivity_index,
    gain_table,
    loudspeaker,
    piston_on_sphere,
    read_gains,
    sphere_directions,
    talker,
    unit_directions,
)
from harken.errors import ConfigurationError, UnknownNameError
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS

AHEAD, LEFT, UP, BEHIND = np.array([0.0, 0, -1]), np.array([-1.0, 0, 0]), np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
SPEED = 343.2


def octave(centre: float) -> np.ndarray:
    """Wave numbers spread over an octave evenly in the logarithm."""
    return 2.0 * np.pi * centre * 2.0 ** ((np.arange(2000) + 0.5) / 2000 - 0.5) / SPEED


def at(degrees: float) -> np.ndarray:
    return np.array([-np.sin(np.radians(degrees)), 0.0, -np.cos(np.radians(degrees))])


@pytest.mark.parametrize("name", [*PATTERNS, "talker", "loudspeaker"])
def test_every_directivity_is_one_ahead_and_follows_the_protocol(name):
    pattern = directivity(name)
    assert isinstance(pattern, Directivity)
    assert pattern.gains(3.0 * AHEAD) == pytest.approx(np.ones(7), abs=1e-12)
    assert pattern.gains(np.ones((4, 5, 3))).shape == (4, 5, 7)
    # The mean over the sphere is what an even lattice of directions gives, and no more than one.
    lattice = (pattern.gains(sphere_directions(20000)) ** 2).mean(0)
    assert pattern.mean_energy() == pytest.approx(lattice, rel=2e-4)
    assert (pattern.mean_energy() <= 1.0 + 1e-9).all()


@pytest.mark.parametrize(
    ("name", "side", "rear", "index"),
    [
        ("omni", 1.0, 1.0, 0.0),
        ("cardioid", 0.5, 0.0, 10 * np.log10(3)),
        ("figure-eight", 0.0, -1.0, 10 * np.log10(3)),
        ("hypercardioid", 0.25, -0.5, 10 * np.log10(4)),
        ("subcardioid", 0.7, 0.4, 10 * np.log10(1 / 0.52)),
    ],
)
def test_first_order_patterns_have_their_textbook_values(name, side, rear, index):
    pattern = directivity(name)
    assert pattern.gains(LEFT) == pytest.approx(np.full(7, side))
    assert pattern.gains(UP) == pytest.approx(np.full(7, side))
    assert pattern.gains(BEHIND) == pytest.approx(np.full(7, rear))
    assert directivity_index(pattern) == pytest.approx(np.full(7, index))


def test_supercardioid_and_hypercardioid_are_the_extremes_that_define_them():
    shares = np.linspace(0.01, 0.99, 981)
    cosines = (np.arange(2000) + 0.5) / 1000 - 1
    energies = (shares[:, None] + (1 - shares[:, None]) * cosines) ** 2
    ratio = energies[:, 1000:].sum(1) / energies[:, :1000].sum(1)
    assert shares[ratio.argmax()] == pytest.approx(PATTERNS["supercardioid"], abs=0.001)
    assert shares[energies.mean(1).argmin()] == pytest.approx(PATTERNS["hypercardioid"], abs=0.001)


@pytest.mark.parametrize("radius", [0.02, 0.065, 0.15])
def test_a_piston_in_a_baffle_has_kinslers_directivity_factor(radius):
    # Kinsler et al., 4th ed., §7.6: D = (ka)²/(1 − J1(2ka)/ka), into the half space only.
    pattern = baffled_piston(radius)
    for band, centre in enumerate(OCTAVE_BANDS):
        ka = octave(centre) * radius
        factor = ka**2 / (1.0 - j1(2.0 * ka) / ka)
        # The 24 frequencies of a band and the table of degrees leave 0.03 %.
        assert pattern.mean_energy()[band] == pytest.approx((1.0 / factor).mean(), rel=5e-4)
    assert (pattern.gains(BEHIND) == 0.0).all()


def test_a_piston_on_a_sphere_radiates_the_energy_of_its_harmonics():
    radius, piston, centre = 0.09, 0.015, 2000.0
    half_angle, orders, energies = np.arcsin(piston / radius), np.arange(40), []
    for ka in octave(centre)[::20] * radius:
        hankel = spherical_jn(orders, ka, derivative=True) + 1j * spherical_yn(orders, ka, derivative=True)
        low = np.where(orders > 0, eval_legendre(np.maximum(orders - 1, 0), np.cos(half_angle)), 1.0)
        terms = (low - eval_legendre(orders + 1, np.cos(half_angle))) / hankel
        energies.append((np.abs(terms) ** 2 / (2 * orders + 1)).sum() / np.abs((terms * (-1j) ** orders).sum()) ** 2)
    assert piston_on_sphere(radius, piston).mean_energy()[4] == pytest.approx(np.mean(energies), rel=1e-3)


def test_on_a_large_sphere_a_piston_radiates_as_in_a_baffle():
    sphere, baffle = piston_on_sphere(1.0, 0.05), baffled_piston(0.05)
    for degrees in (10.0, 20.0, 30.0, 45.0, 60.0):
        # A radius of 1 m is 12 to 23 wave lengths at 4 and 8 kHz; below, sound bends away around the sphere.
        assert sphere.gains(at(degrees))[5:] == pytest.approx(baffle.gains(at(degrees))[5:], abs=0.006)


@pytest.mark.parametrize("source", [talker(), loudspeaker()], ids=["talker", "loudspeaker"])
def test_sources_are_even_at_low_and_directed_at_high_frequencies(source):
    index = directivity_index(source)
    assert index[0] < 0.2
    assert index[-1] > 5.0
    assert (source.gains(BEHIND)[[0, -1]] < [1.0, 0.35]).all()
    assert source.gains(at(40.0)) == pytest.approx(source.gains(at(-40.0)))
    # No bright spot behind, which heads and boxes do not have; what it holds of the energy is little.
    behind = np.array([source.gains(at(degrees)) for degrees in range(90, 181)])
    assert (np.diff(behind, axis=0) <= 1e-12).all()


def test_a_talker_becomes_more_directed_with_frequency():
    index = directivity_index(talker())
    assert (np.diff(index) > 0).all()
    # To the side and to the rear the head shades more the shorter the waves are against it.
    levels = 20.0 * np.log10(talker().gains(np.array([LEFT, at(150.0)])))
    assert (levels[:, 0] > -1.0).all() and (levels[:, 3] < -2.5).all() and (levels[:, -1] < -9.0).all()


def test_the_body_frame_follows_headings_and_pitches():
    for heading, pitch in [(0.0, 0.0), (0.7, 0.0), (-2.0, 0.4), (3.0, -1.2)]:
        frame = body_frame(heading, pitch)
        assert frame @ frame.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(frame) == pytest.approx(1.0)
        forward = [-np.sin(heading) * np.cos(pitch), np.sin(pitch), -np.cos(heading) * np.cos(pitch)]
        assert frame @ forward == pytest.approx(AHEAD, abs=1e-12)
        assert frame @ [np.cos(heading), 0.0, -np.sin(heading)] == pytest.approx([1.0, 0.0, 0.0], abs=1e-12)


def test_a_measured_directivity_is_exact_where_measured_and_close_between():
    directions = sphere_directions(500)
    pattern = FirstOrder(alpha=0.5)
    measured = MeasuredDirectivity(directions=2.0 * directions, values=7.0 * pattern.gains(directions))
    assert measured.gains(AHEAD) == pytest.approx(np.ones(7))
    # Neighbours are 9° apart; linear interpolation of a cosine over h is off by h²/8 = 0.003 at most.
    others = np.random.default_rng(0).standard_normal((300, 3))
    assert measured.gains(directions) == pytest.approx(pattern.gains(directions), abs=0.004)
    assert measured.gains(others) == pytest.approx(pattern.gains(others), abs=0.006)
    assert measured.mean_energy() == pytest.approx(np.full(7, 1 / 3), rel=0.01)


def test_a_gain_table_read_from_compiled_code_is_the_directivity():
    @kernel
    def read(table, directions, out):
        for i in range(len(directions)):
            read_gains(table, directions[i, 0], directions[i, 1], directions[i, 2], out[i])

    directions = np.concatenate([np.random.default_rng(1).standard_normal((2000, 3)), [UP, -UP, AHEAD, BEHIND, LEFT]])
    for pattern, error in ((directivity("cardioid"), 2e-4), (talker(), 0.01)):
        out = np.empty((len(directions), 7))
        read(gain_table(pattern), directions, out)
        assert out == pytest.approx(pattern.gains(directions), abs=error)


def test_sphere_directions_are_even():
    directions = sphere_directions(1000)
    assert np.linalg.norm(directions, axis=-1) == pytest.approx(np.ones(1000))
    assert directions.mean(0) == pytest.approx(np.zeros(3), abs=1e-3)
    assert directions.T @ directions / 1000 == pytest.approx(np.eye(3) / 3, abs=1e-3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: FirstOrder(alpha=1.5),
        lambda: FirstOrder(alpha=float("nan")),
        lambda: FirstOrder(bands=0),
        lambda: FirstOrder().gains(np.zeros(3)),
        lambda: FirstOrder().gains(np.array([np.nan, 0, 1])),
        lambda: FirstOrder().gains(np.ones(4)),
        lambda: unit_directions(np.float64(1.0)),
        lambda: Axisymmetric(angles=np.array([0.0, 1.0]), table=np.ones((2, 7))),
        lambda: Axisymmetric(angles=np.array([0.0, np.pi]), table=np.zeros((2, 7))),
        lambda: Axisymmetric(angles=np.array([0.0, np.pi]), table=np.ones((3, 7))),
        lambda: MeasuredDirectivity(directions=sphere_directions(50)[:20], values=np.ones((20, 7))),
        lambda: MeasuredDirectivity(directions=np.eye(3), values=np.ones((3, 7))),
        lambda: MeasuredDirectivity(directions=sphere_directions(50), values=np.ones((20, 7))),
        lambda: MeasuredDirectivity(directions=sphere_directions(50), values=np.zeros((50, 7))),
        lambda: piston_on_sphere(0.05, 0.1),
        lambda: piston_on_sphere(0.0, 0.0),
        lambda: baffled_piston(-1.0),
        lambda: gain_table(FirstOrder(), rows=1),
        lambda: sphere_directions(0),
    ],
)
def test_bad_input_is_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'cardioid'"):
        directivity("cardiod")
