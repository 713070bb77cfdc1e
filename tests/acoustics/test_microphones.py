import numpy as np
import pytest

from harken.acoustics.directivity import Axisymmetric, FirstOrder, sphere_directions, talker
from harken.acoustics.hearing.ambisonics import encode
from harken.acoustics.hearing.microphones import MicrophoneArray, microphone_array
from harken.errors import ConfigurationError, UnknownNameError
from harken.scene import OCTAVE_BANDS

SPEED = 343.2
FREQUENCIES = np.array([0.0, 100.0, 700.0, 2000.0, 7000.0])


def sampled_covariance(array: MicrophoneArray, frequencies: np.ndarray) -> np.ndarray:
    """Covariance of many independent plane waves from everywhere."""
    steering = array.steering_vectors(sphere_directions(20000), frequencies)
    return np.einsum("dfi,dfj->fij", steering, steering.conj(), optimize=True) / 20000


def test_a_wave_reaches_the_nearer_microphone_first():
    pair = microphone_array("ear-pair")
    left = np.array([-5.0, 0.0, 0.0])
    assert pair.delays(left) == pytest.approx([-0.09 / SPEED, 0.09 / SPEED])
    assert pair.delays(np.array([0.0, 0.0, -1.0])) == pytest.approx([0.0, 0.0])
    assert pair.delays(left, speed=2 * SPEED) == pytest.approx([-0.045 / SPEED, 0.045 / SPEED])
    assert microphone_array("em32").delays(np.ones((3, 4, 3))).shape == (3, 4, 32)


def test_steering_vectors_hold_the_delays_and_the_gains():
    array = microphone_array("tetrahedral")
    direction, frequency = np.array([0.3, 0.5, -0.8]), np.array([1500.0])
    steering = array.steering_vectors(direction, frequency)[0]
    assert np.abs(steering) == pytest.approx(np.abs(array.gains(direction)[:, 3]))
    expected = np.exp(-2j * np.pi * 1500.0 * array.delays(direction)) * array.gains(direction)[:, 3]
    assert steering == pytest.approx(expected)


@pytest.mark.parametrize("name", ["tetrahedral", "circular"])
def test_microphones_of_radial_arrays_look_outwards(name):
    array = microphone_array(name, directivity=FirstOrder(alpha=0.5))
    for index, position in enumerate(array.positions):
        gains = array.gains(position)[:, 0]
        assert gains[index] == pytest.approx(1.0)
        assert gains.argmax() == index


def test_omnidirectional_microphones_have_the_sinc_coherence_of_cook():
    # Cook et al. 1955, J. Acoust. Soc. Am. 27, 1072: sin(kd)/(kd), which numpy's sinc takes as 2fd/c.
    array = microphone_array("linear", count=5, size=0.07)
    distances = np.abs(np.arange(5)[:, None] - np.arange(5)) * 0.07
    expected = np.sinc(2.0 * FREQUENCIES[:, None, None] * distances / SPEED)
    assert array.diffuse_coherence(FREQUENCIES) == pytest.approx(expected, abs=1e-12)
    assert array.diffuse_covariance(FREQUENCIES) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 0.8])
def test_first_order_coherence_is_that_of_many_plane_waves(alpha):
    rng = np.random.default_rng(3)
    array = MicrophoneArray(
        positions=0.1 * rng.standard_normal((4, 3)),
        orientations=rng.uniform(-1.5, 1.5, (4, 2)),
        directivities=(FirstOrder(alpha=alpha), FirstOrder(alpha=alpha), FirstOrder(), FirstOrder(alpha=0.5)),
    )
    # The lattice of 20,000 directions integrates to a few millionths, at 7 kHz and 30 cm to less.
    assert array.diffuse_covariance(FREQUENCIES) == pytest.approx(sampled_covariance(array, FREQUENCIES), abs=2e-5)


def test_other_patterns_are_integrated_over_the_sphere():
    angles = np.linspace(0.0, np.pi, 721)
    cardioid = np.tile(0.5 + 0.5 * np.cos(angles)[:, None], 7)
    shape = {"positions": np.array([[0.0, 0, 0], [0.1, 0.05, 0]]), "orientations": np.array([[0.3, 0.1], [-1.0, 0.0]])}
    tabulated = MicrophoneArray(**shape, directivities=(Axisymmetric(angles=angles, table=cardioid),))
    exact = MicrophoneArray(**shape, directivities=(FirstOrder(alpha=0.5),))
    assert tabulated.diffuse_covariance(FREQUENCIES) == pytest.approx(exact.diffuse_covariance(FREQUENCIES), abs=1e-4)
    covariance = MicrophoneArray(positions=np.zeros((1, 3)), directivities=(talker(),)).diffuse_covariance(
        np.array(OCTAVE_BANDS)
    )
    assert covariance[:, 0, 0].real == pytest.approx(talker().mean_energy(), rel=1e-3)


def test_em32_positions_sample_harmonics_evenly():
    array = microphone_array("em32")
    assert np.linalg.norm(array.positions, axis=-1) == pytest.approx(np.full(32, 0.042))
    # The capsules sit on a pentakis dodecahedron, rounded to degrees: 0.03 is what that rounding leaves.
    harmonics = encode(array.positions, 3, "n3d")
    assert harmonics.T @ harmonics / 32 == pytest.approx(np.eye(16), abs=0.03)
    # Number 1 is ahead and up, number 5 above it, number 18 behind on the right.
    x, y, z = array.positions[[0, 4, 17]].T
    assert (z[:2] < 0).all() and z[2] > 0 and 0 < y[0] < y[1] and x[2] > 0


def test_named_arrays_lie_where_they_are_said_to():
    assert microphone_array("ear-pair").positions[0, 0] < 0 < microphone_array("ear-pair").positions[1, 0]
    left_front_up = microphone_array("tetrahedral").positions[0]
    assert left_front_up[0] < 0 and left_front_up[1] > 0 and left_front_up[2] < 0
    line = microphone_array("linear", count=3, size=0.05)
    assert line.positions == pytest.approx(np.array([[-0.05, 0, 0], [0, 0, 0], [0.05, 0, 0]]))
    circle = microphone_array("circular", count=4, size=0.1)
    assert circle.positions[:2] == pytest.approx(np.array([[0, 0, -0.1], [-0.1, 0, 0]]), abs=1e-12)
    assert len(microphone_array("respeaker-4")) == 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: MicrophoneArray(positions=np.zeros((0, 3))),
        lambda: MicrophoneArray(positions=np.zeros((2, 2))),
        lambda: MicrophoneArray(positions=np.float64(1.0)),
        lambda: MicrophoneArray(positions=np.full((2, 3), np.nan)),
        lambda: MicrophoneArray(positions=np.zeros((2, 3)), orientations=np.zeros((3, 2))),
        lambda: MicrophoneArray(positions=np.zeros((3, 3)), directivities=(FirstOrder(), FirstOrder())),
        lambda: MicrophoneArray(positions=np.zeros((2, 3)), directivities=(FirstOrder(), FirstOrder(bands=3))),
        lambda: microphone_array("linear", count=0),
        lambda: microphone_array("circular", size=-0.1),
        lambda: microphone_array("em32").delays(np.zeros(3)),
        lambda: microphone_array("em32").diffuse_covariance(np.array([-1.0])),
        lambda: microphone_array("em32").diffuse_covariance(np.float64(100.0)),
        lambda: microphone_array("em32").steering_vectors(np.ones(3), FREQUENCIES, bands=(500.0, 1000.0)),
    ],
)
def test_bad_input_is_refused(make):
    with pytest.raises(ConfigurationError):
        make()


def test_an_unknown_array_suggests_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'em32'"):
        microphone_array("em23")
