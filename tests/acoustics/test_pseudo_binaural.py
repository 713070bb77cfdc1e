"""The sound of PseudoBinaural: closed forms of its gains, and the built-in head as what it should come to."""

import numpy as np
import pytest

from harken.acoustics.directivity import sphere_directions
from harken.acoustics.hearing.ambisonics import encode
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.pseudo_binaural import (
    DECODERS,
    VirtualLoudspeakers,
    angles_of,
    decoding_matrix,
    direct_filters,
    direction_of,
    harmonics,
    lead_of,
    loudspeaker_ring,
    pixel_angles,
    render_pair,
    stereo_gains,
    unconverted_head,
)
from harken.errors import ConfigurationError, HarkenError

RATE = 16000
LEFT = np.radians([10.0, 20.0, 30.0, 45.0, 60.0])


@pytest.fixture(scope="module")
def head() -> HeadResponse:
    return HeadResponse.kemar(RATE)


def delay(filters: np.ndarray, frequency: int) -> np.ndarray:
    """Return by how much the left ear is earlier at a frequency [s], from the phase."""
    left, right = np.moveaxis(np.fft.rfft(filters, RATE)[..., frequency], -1, 0)
    return np.angle(left * right.conj()) / (2 * np.pi * frequency)


def error_level(filters: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10(np.square(filters - wanted).sum() / np.square(wanted).sum()))


@pytest.mark.parametrize(
    ("x", "y", "azimuth", "elevation"),
    [(320, 180, 0, 0), (0, 180, 60, 0), (640, 180, -60, 0), (160, 90, 30, 22.5), (480, 360, -30, -45)],
)
def test_a_pixel_is_heard_under_the_published_angles(x: float, y: float, azimuth: float, elevation: float) -> None:
    assert np.degrees(pixel_angles(x, y, 640, 360)) == pytest.approx((azimuth, elevation))


def test_positive_azimuth_is_left_and_positive_elevation_is_up() -> None:
    assert direction_of(np.pi / 2) == pytest.approx([-1, 0, 0])
    assert direction_of(0.0, np.pi / 2) == pytest.approx([0, 1, 0])
    assert direction_of(0.0) == pytest.approx([0, 0, -1])
    azimuth, elevation = np.random.default_rng(0).uniform(-1.5, 1.5, (2, 50))
    assert np.array(angles_of(3 * direction_of(azimuth, elevation))) == pytest.approx(np.array([azimuth, elevation]))


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_harmonics_are_those_of_the_ambisonics_module(order: int) -> None:
    directions = sphere_directions(100)
    assert harmonics(directions, order) == pytest.approx(encode(directions, order), abs=1e-12)


def test_harmonics_of_high_order_obey_the_addition_theorem() -> None:
    a, b = sphere_directions(40), sphere_directions(41)[:40]
    products = harmonics(a, 30) * harmonics(b, 30)
    for n in range(31):
        legendre = np.polynomial.legendre.legval(np.einsum("ij,ij->i", a, b), np.eye(31)[n])
        assert products[:, n * n : (n + 1) ** 2].sum(1) == pytest.approx(legendre, abs=1e-10)


def test_the_ring_has_the_published_azimuths() -> None:
    azimuth, elevation = angles_of(loudspeaker_ring())
    assert np.degrees(azimuth)[1:] == pytest.approx([-135, -90, -45, 0, 45, 90, 135])
    assert abs(np.degrees(azimuth)[0]) == pytest.approx(180)
    assert elevation == pytest.approx(0)


@pytest.mark.parametrize("order", [1, 3])
def test_gains_have_their_closed_form(order: int) -> None:
    azimuth = np.radians([-100.0, -7.0, 33.0])
    source = harmonics(direction_of(azimuth), order)
    gamma = azimuth - angles_of(loudspeaker_ring())[0][:, None]
    n = np.arange(1, order + 1)[:, None, None]
    solved = (1 + 2 * np.cos(n * gamma).sum(0)) / 8
    assert decoding_matrix(loudspeaker_ring(), order) @ source.T == pytest.approx(solved, abs=1e-12)
    projected = np.polynomial.legendre.legval(np.cos(gamma), np.ones(order + 1)) / 8
    assert decoding_matrix(loudspeaker_ring(), order, "projection") @ source.T == pytest.approx(projected, abs=1e-12)


def test_least_squares_makes_the_velocity_of_the_source_and_projection_half_of_it() -> None:
    ring, sources = loudspeaker_ring(), direction_of(np.radians([15.0, -80.0]), np.radians([0.0, 30.0]))
    for decoder, share in (("least-squares", 1.0), ("projection", 0.5)):
        gains = decoding_matrix(ring, 1, decoder) @ harmonics(sources, 1).T
        assert gains.sum(0) == pytest.approx(1.0)
        # What is above the horizon cannot be made there; the rest of the vector is.
        assert (ring.T @ gains)[[0, 2]] == pytest.approx(share * sources.T[[0, 2]])


def test_at_low_frequencies_the_delay_is_the_heads_or_half_of_it(head: HeadResponse) -> None:
    sources = direction_of(LEFT)
    true = delay(direct_filters(head, sources), 100)
    assert (true > 1e-4).all()
    assert delay(VirtualLoudspeakers(head=head).filters(sources), 100) == pytest.approx(true, rel=0.01)
    halved = VirtualLoudspeakers(head=head, decoder="projection").filters(sources)
    assert delay(halved, 100) == pytest.approx(true / 2, rel=0.02)


def test_unconverted_responses_stretch_the_head(head: HeadResponse) -> None:
    sources = direction_of(LEFT)
    stretched = direct_filters(unconverted_head(HeadResponse.kemar(44100), RATE), sources)
    # What KEMAR does at 275.6 Hz now happens at 100 Hz, and takes 2.76 times as long.
    at_measured = direct_filters(HeadResponse.kemar(44100), sources)
    left, right = np.moveaxis(np.fft.rfft(at_measured, 160 * 441)[..., 441], -1, 0)
    expected = np.angle(left * right.conj()) / (2 * np.pi * 100)
    assert delay(stretched, 100) == pytest.approx(expected, rel=1e-3)
    assert expected / delay(direct_filters(head, sources), 276) == pytest.approx(2.756, rel=0.01)


def test_swapped_ears_behind_weaken_the_level_difference(head: HeadResponse) -> None:
    source = direction_of(np.radians([60.0]))
    levels = []
    for swap in (False, True):
        left, right = VirtualLoudspeakers(head=head, decoder="projection", swap_rear=swap).filters(source)[0]
        levels.append(10 * np.log10(np.square(left).sum() / np.square(right).sum()))
    assert levels[0] - levels[1] > 1.0
    ahead = direction_of([0.0])
    same = [VirtualLoudspeakers(head=head, swap_rear=swap).filters(ahead) for swap in (False, True)]
    assert same[0] == pytest.approx(same[1], abs=1e-6)


def test_direct_filters_are_the_heads_with_its_delays(head: HeadResponse) -> None:
    source = direction_of(np.radians(40.0), 0.2)
    filters, delays = head.lookup(source)
    turns = 2j * np.pi * np.fft.rfftfreq(1024)
    wanted = np.fft.rfft(filters, 1024) * np.exp(-turns * (lead_of(head) + delays[:, None] * RATE))
    found = np.fft.rfft(direct_filters(head, source[None])[0], 1024)
    below = slice(0, 486)  # up to 7.6 kHz, where they begin to fade out
    assert np.abs(found - wanted)[:, below].max() < 0.005 * np.abs(wanted).max()


def test_with_high_order_the_loudspeakers_become_the_direct_rendering(head: HeadResponse) -> None:
    sources = direction_of(np.radians(np.arange(-60.0, 61.0, 7.5)))
    wanted = direct_filters(head, sources)

    def level(order: int, decoder: str) -> float:
        ring = VirtualLoudspeakers(head=head, order=order, count=2 * order + 2, decoder=decoder)
        return error_level(ring.filters(sources), wanted)

    # A head of 9 cm is resolved up to f by the order 2π·f·9 cm/c: 8 kHz by 13.
    assert level(8, "least-squares") < -12
    assert level(13, "least-squares") < -26
    assert level(20, "least-squares") < -40
    # Projection sharpens with 1/ln N only.
    projected = [level(order, "projection") for order in (2, 5, 12, 20, 30)]
    assert (np.diff(projected) < 0).all()
    assert projected[-1] > -10


def test_left_and_right_mirror_each_other(head: HeadResponse) -> None:
    for decoder in DECODERS:
        ring = VirtualLoudspeakers(head=head, decoder=decoder)
        left, right = ring.filters(direction_of(np.radians([35.0, -35.0]), 0.3))
        assert left == pytest.approx(right[::-1], abs=1e-6)
    gains = stereo_gains(direction_of(np.radians([90.0, 0.0, -90.0])))
    assert gains == pytest.approx(np.array([[1, 0], [0.5, 0.5], [0, 1]]))


def test_render_pair_is_the_sum_of_convolutions() -> None:
    rng = np.random.default_rng(1)
    for samples in (300, 4096, 9001):
        signals, filters = rng.standard_normal((3, samples)), rng.standard_normal((3, 2, 129))
        wanted = [sum(np.convolve(signals[n], filters[n, ear], "valid") for n in range(3)) for ear in range(2)]
        found = render_pair(signals, filters)
        assert found.dtype == np.float32
        assert found == pytest.approx(np.array(wanted), abs=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loudspeaker_ring(2), "3 or more"),
        (lambda: harmonics([[0, 0, -1]], 31), "0 to 30"),
        (lambda: harmonics([[0, 0, 0]], 1), "zero"),
        (lambda: harmonics([[0, np.nan, 1]], 1), "finite"),
        (lambda: decoding_matrix(loudspeaker_ring(), 1, "projekt"), "Did you mean 'projection'"),
        (lambda: VirtualLoudspeakers(head=HeadResponse.kemar(), decoder="max-re"), "Known: least-squares"),
        (lambda: render_pair(np.zeros((1, 10)), np.zeros((1, 2, 20))), "fewer than"),
        (lambda: render_pair(np.zeros((2, 10)), np.zeros((1, 2, 5))), "expected"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(HarkenError, match=message) as caught:
        call()
    assert isinstance(caught.value, ConfigurationError)
