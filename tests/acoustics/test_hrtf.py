import pickle
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial import ConvexHull
from scipy.special import spherical_jn, spherical_yn

from harken.acoustics.hearing.hrtf import HeadResponse, interpolate_head
from harken.acoustics.measures import (
    band_energies,
    interaural_level_difference,
    interaural_time_difference,
)
from harken.errors import ConfigurationError
from harken.raytracing import kernel
from harken.scene import OCTAVE_BANDS

RATES = (16000, 44100, 48000)
RADIUS, SPEED = 0.0875, 343.2


def toward(azimuth: float, elevation: float = 0.0) -> np.ndarray:
    """Direction in the head frame; azimuth [degrees] positive to the left."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([-np.sin(a) * np.cos(e), np.sin(e), -np.cos(a) * np.cos(e)])


def ears(head: HeadResponse, direction: np.ndarray, size: int = 1024) -> np.ndarray:
    """Both ears' impulse responses with their delays, 4 ms late so that nothing comes before the start."""
    filters, delays = head.lookup(direction)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1.0 / head.rate) * (delays[:, None] + 0.004))
    return np.fft.irfft(np.fft.rfft(filters, size) * turn, size)


def random_directions(count: int, seed: int = 0) -> np.ndarray:
    directions = np.random.default_rng(seed).standard_normal((count, 3))
    return directions / np.linalg.norm(directions, axis=-1, keepdims=True)


@pytest.mark.parametrize("rate", RATES)
def test_a_source_on_the_left_is_louder_and_earlier_in_the_left_ear(rate):
    head = HeadResponse.kemar(rate)
    for azimuth, sign in ((90.0, 1.0), (30.0, 1.0), (-30.0, -1.0), (-90.0, -1.0)):
        response = ears(head, toward(azimuth))
        assert sign * interaural_level_difference(response) > 4.0
        assert sign * interaural_time_difference(response, rate) > 0.0002
        _, delays = head.lookup(toward(azimuth))
        assert sign * (delays[1] - delays[0]) > 0.0002
    assert interaural_level_difference(ears(head, toward(0.0))) == pytest.approx(0.0, abs=1e-6)
    assert interaural_time_difference(ears(head, toward(0.0)), rate) == 0.0


@pytest.mark.parametrize("rate", RATES)
def test_time_differences_lie_between_the_spherical_head_models_for_high_and_low_frequencies(rate):
    head = HeadResponse.kemar(rate)
    for azimuth in (15.0, 30.0, 45.0, 60.0, 75.0, 90.0):
        angle = np.radians(azimuth)
        woodworth = RADIUS / SPEED * (angle + np.sin(angle))  # Woodworth 1938: above 2 kHz
        kuhn = 3.0 * RADIUS / SPEED * np.sin(angle)  # Kuhn 1977: below 500 Hz
        measured = interaural_time_difference(ears(head, toward(azimuth)), rate)
        # A mannequin with torso and ears is larger than the sphere by up to a tenth.
        assert woodworth <= measured <= 1.1 * kuhn
    assert 0.0006 < interaural_time_difference(ears(head, toward(90.0)), rate) < 0.0008


def test_level_difference_at_4_khz_grows_with_azimuth_and_stays_large_on_the_side():
    head = HeadResponse.kemar(44100)
    azimuths = (0.0, 15.0, 30.0, 45.0, 60.0, 75.0, 90.0)
    energies = [band_energies(ears(head, toward(a)), 44100, (4000.0,))[0].sum(-1) for a in azimuths]
    differences = [10.0 * np.log10(left / right) for left, right in energies]
    assert differences[0] == pytest.approx(0.0, abs=1e-6)
    assert (np.diff(differences[:4]) > 3.0).all()
    # Towards 90° sound bends around the head from all sides and meets at the far ear: the difference falls a little.
    assert all(8.0 < difference < 20.0 for difference in differences[3:])


def test_the_head_is_symmetric_in_measured_directions_and_nearly_so_between():
    head = HeadResponse.kemar(16000)
    for direction in head.directions[::7]:
        filters, delays = head.lookup(direction)
        mirrored, mirrored_delays = head.lookup(direction * [-1.0, 1.0, 1.0])
        assert np.allclose(filters, mirrored[::-1], atol=1e-6)
        assert np.allclose(delays, mirrored_delays[::-1], atol=1e-8)
    # In between, the diagonal of a measured quadrangle may run the other way on the other side.
    differences = []
    for direction in random_directions(300):
        filters, _ = head.lookup(direction)
        mirrored, _ = head.lookup(direction * [-1.0, 1.0, 1.0])
        differences.append(((filters - mirrored[::-1]) ** 2).sum() / (filters**2).sum())
    assert np.median(differences) < 10.0 ** (-20.0 / 10.0)


def test_lookup_is_exact_in_given_directions_for_any_length_of_the_vector():
    head = HeadResponse.kemar(16000)
    for index in range(0, len(head.directions), 13):
        filters, delays = head.lookup(3.7 * head.directions[index])
        assert np.allclose(filters, head.filters[index], atol=1e-6)
        assert np.allclose(delays, head.delays[index], atol=1e-9)


def test_lookup_mixes_the_corners_of_the_triangle_around_the_direction():
    head = HeadResponse.kemar(16000)
    corners = head.directions[ConvexHull(head.directions).simplices]
    # Filters replaced by positions: on the triangle, the interpolated position is the point asked for.
    probe = HeadResponse(
        rate=16000,
        directions=head.directions,
        delays=head.delays,
        filters=np.repeat(head.directions[:, None], 2, axis=1),
    )
    extremes = [
        toward(a, e) for a in (0.0, 90.0, 180.0, -180.0, 359.999) for e in (-90.0, -89.9, -40.0, 0.0, 89.99, 90.0)
    ]
    for direction in [*random_directions(3000), *extremes]:
        point = probe.lookup(direction)[0][0].astype(np.float64)
        assert np.allclose(point / np.linalg.norm(point), direction, atol=2e-6)  # float32
    # No chord is longer than the gap that is closed below the lowest measured ring, 50 degrees.
    assert np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1).max() < 2.0 * np.sin(np.radians(25.1))


def test_interpolation_is_continuous():
    head = HeadResponse.kemar(16000)
    path = [toward(a, 20.0 * np.sin(np.radians(3.0 * a))) for a in np.arange(0.0, 360.0, 0.05)]
    looked_up = [head.lookup(direction) for direction in path]
    steps = [np.abs(b[0] - a[0]).max() for a, b in pairwise(looked_up)]
    # Filters of neighbours (5° and more apart) differ by less than 1; 0.05° to 0.2° of it are a fiftieth.
    assert max(steps) < 0.05
    assert max(np.abs(b[1] - a[1]).max() for a, b in pairwise(looked_up)) < 5e-6


def test_interpolated_filters_keep_the_energy_of_the_measured_ones():
    head = HeadResponse.kemar(44100)
    filters = np.stack([head.lookup(direction)[0] for direction in random_directions(3000)])
    power = (np.abs(np.fft.rfft(filters, 512)) ** 2).mean((0, 1))
    frequencies = np.fft.rfftfreq(512, 1.0 / 44100)
    level = 10.0 * np.log10(power[(frequencies > 100.0) & (frequencies < 12000.0)])
    assert np.abs(level).max() < 0.6
    assert abs(level.mean()) < 0.3


@kernel
def _sum_from_compiled_code(tables, direction, filters, delays):
    interpolate_head(tables, direction[0], direction[1], direction[2], filters, delays)
    return filters.sum()


def test_the_kernel_can_be_called_from_compiled_code_and_flags_what_is_not_finite():
    head = HeadResponse.kemar(16000)
    filters, delays = np.empty((2, head.taps), np.float32), np.empty(2, np.float32)
    expected = head.lookup(toward(40.0))
    assert _sum_from_compiled_code(head.tables, toward(40.0), filters, delays) == pytest.approx(expected[0].sum())
    assert np.array_equal(filters, expected[0])
    assert np.array_equal(delays, expected[1])
    _sum_from_compiled_code(head.tables, np.array([np.nan, 0.0, 1.0]), filters, delays)
    assert np.isnan(filters).all()
    assert np.isnan(delays).all()


def test_no_direction_means_straight_ahead():
    head = HeadResponse.kemar(16000)
    assert np.array_equal(head.lookup(np.zeros(3))[0], head.lookup(toward(0.0))[0])


@pytest.mark.parametrize("rate", RATES)
def test_averaged_over_the_sphere_an_ear_receives_the_energy_of_a_microphone(rate):
    frequencies = np.fft.rfftfreq(4096, 1.0 / rate)
    power = HeadResponse.kemar(rate).diffuse_spectra(4096)[:2].real
    for centre in OCTAVE_BANDS:
        inside = (frequencies >= centre / np.sqrt(2.0)) & (frequencies < min(centre * np.sqrt(2.0), 0.45 * rate))
        # Equalised to the diffuse field before the filters were cut and resampled: 0.2 dB, and 0.25 dB in the band that
        # the Nyquist frequency of 16 kHz cuts.
        assert (np.abs(10.0 * np.log10(power[:, inside].mean(1))) < 0.25).all()


def test_coherence_in_a_diffuse_field_is_that_of_a_rigid_sphere_of_the_heads_size():
    head = HeadResponse.kemar(44100)
    left, right, cross = head.diffuse_spectra(4096)
    coherence = cross / np.sqrt(left.real * right.real)
    frequencies = np.fft.rfftfreq(4096, 1.0 / 44100)
    # Symmetric head: the coherence is real.
    assert np.abs(coherence.imag).max() < 1e-6

    def sphere(frequency: float, radius: float) -> float:
        # Opposite points on a rigid sphere: Σ (2n+1)(−1)^n |b_n|² / Σ (2n+1)|b_n|² with b_n = 1/h_n'(ka).
        ka, n = 2.0 * np.pi * frequency * radius / SPEED, np.arange(12)
        weights = (2 * n + 1) / (spherical_jn(n, ka, True) ** 2 + spherical_yn(n, ka, True) ** 2)
        return float((weights * (-1.0) ** n).sum() / weights.sum())

    for frequency in (100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0):
        measured = coherence.real[np.searchsorted(frequencies, frequency)]
        # KEMAR's head is wider at the ears' height than the usual sphere, and a torso adds to it.
        assert sphere(frequency, 0.115) - 0.05 < measured < sphere(frequency, 0.0875) + 0.05
    above = (frequencies > 2000.0) & (frequencies < 15000.0)
    assert np.abs(coherence[above]).max() < 0.25


def test_heads_are_shared_per_rate_and_read_only():
    head = HeadResponse.kemar(16000)
    assert HeadResponse.kemar(16000) is head
    assert HeadResponse.kemar(np.int64(16000)) is head
    for values in (head.directions, head.delays, head.filters):
        with pytest.raises(ValueError, match="read-only"):
            values[...] = 0.0


def test_resampling_keeps_the_response():
    coarse, fine = HeadResponse.kemar(16000), HeadResponse.kemar(44100)
    f = np.array([125.0, 500.0, 1000.0, 3000.0, 6000.0])

    def response(head, index):
        turns = np.exp(-2j * np.pi * f[:, None] * np.arange(head.taps) / head.rate)
        return head.filters[index] @ turns.T

    for index in (0, 100, 350, 600):
        # The low-pass cuts off what rings ahead of the first tap: −40 dB of the peak.
        assert np.abs(response(coarse, index) - response(fine, index)).max() < 0.03


def test_a_head_survives_pickling():
    head = HeadResponse.kemar(16000)
    copy = pickle.loads(pickle.dumps(head))
    assert np.array_equal(copy.lookup(toward(33.0, 12.0))[0], head.lookup(toward(33.0, 12.0))[0])


OCTAHEDRON = np.array([[1.0, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]])


def made_up(directions=OCTAHEDRON, rate=16000, **changed):
    count = len(directions)
    arrays = {"delays": np.zeros((count, 2)), "filters": np.ones((count, 2, 4)), **changed}
    return HeadResponse(rate=rate, directions=directions, **arrays)


def test_any_set_of_directions_around_the_head_makes_a_head():
    head = made_up()
    assert head.solid_angles == pytest.approx(np.full(6, 1.0 / 6.0))
    filters, delays = head.lookup(np.array([1.0, 1.0, 1.0]))
    assert np.allclose(filters, 1.0)
    assert np.allclose(delays, 0.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: HeadResponse.kemar(44100.5), "whole number"),
        (lambda: HeadResponse.kemar(0), "whole number"),
        (lambda: HeadResponse.kemar(True), "whole number"),
        (lambda: HeadResponse.kemar("16000"), "whole number"),
        (lambda: made_up(rate=1), "whole number"),
        (lambda: made_up(delays=np.zeros((6, 1))), "fit together"),
        (lambda: made_up(filters=np.zeros((5, 2, 4))), "fit together"),
        (lambda: made_up(filters=np.full((6, 2, 4), np.nan)), "finite"),
        (lambda: made_up(OCTAHEDRON * 0.0), "zero"),
        (lambda: made_up(OCTAHEDRON[:3]), "four or more"),
        (lambda: made_up(OCTAHEDRON[:4]), "one plane"),
        (lambda: made_up(OCTAHEDRON[:5]), "half of the sphere"),
        (lambda: made_up(np.vstack([OCTAHEDRON, OCTAHEDRON[:1]])), "more than once"),
        (lambda: made_up().lookup(np.array([1.0, 2.0])), "three finite numbers"),
        (lambda: made_up().lookup(np.array([1.0, 2.0, np.inf])), "three finite numbers"),
        (lambda: made_up().diffuse_spectra(3), "at least the 4 taps"),
    ],
)
def test_bad_input_is_explained(call, message):
    with pytest.raises(ConfigurationError, match=message):
        call()
