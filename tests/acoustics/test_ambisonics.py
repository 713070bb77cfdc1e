import numpy as np
import pytest
import soundfile
from scipy.special import factorial, lpmv

from harken.acoustics.directivity import body_frame, sphere_directions
from harken.acoustics.hearing.ambisonics import (
    BinauralDecoder,
    channel_orders,
    convert_normalization,
    encode,
    encode_direction,
    energy_map,
    order_of,
    rotate,
    rotation_matrix,
    write_ambix,
)
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.measures import interaural_level_difference, interaural_time_difference
from harken.errors import ConfigurationError, SoundError
from harken.raytracing import kernel

AHEAD, LEFT, UP = np.array([0.0, 0.0, -1.0]), np.array([-1.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
RATE = 16000


def toward(azimuth: float, elevation: float = 0.0) -> np.ndarray:
    """Direction in the head frame; azimuth [degrees] positive to the left."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([-np.sin(a) * np.cos(e), np.sin(e), -np.cos(a) * np.cos(e)])


def impulse(direction: np.ndarray, order: int, samples: int = 1024, at: int = 64) -> np.ndarray:
    signal = np.zeros(((order + 1) ** 2, samples), np.float32)
    signal[:, at] = encode(direction, order)
    return signal


def ears(head: HeadResponse, direction: np.ndarray, size: int = 1024) -> np.ndarray:
    """What the head itself makes of an impulse at sample 64."""
    filters, delays = head.lookup(direction)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1.0 / head.rate) * (delays[:, None] + 64.0 / head.rate))
    return np.fft.irfft(np.fft.rfft(filters, size) * turn, size)


@pytest.fixture(scope="module")
def head() -> HeadResponse:
    return HeadResponse.kemar(RATE)


def test_ahead_is_x_left_is_y_and_above_is_z():
    assert encode(AHEAD, 1) == pytest.approx([1, 0, 0, 1])
    assert encode(LEFT, 1) == pytest.approx([1, 1, 0, 0])
    assert encode(UP, 1) == pytest.approx([1, 0, 1, 0])


def test_harmonics_are_those_of_legendre_functions():
    directions = np.random.default_rng(0).standard_normal((500, 3))
    x, y, z = (directions / np.linalg.norm(directions, axis=-1, keepdims=True)).T
    azimuth, sine = np.arctan2(-x, -z), y
    expected = []
    for n in range(4):
        for m in range(-n, n + 1):
            k = abs(m)
            scale = np.sqrt((1 if m == 0 else 2) * factorial(n - k) / factorial(n + k))
            turning = np.cos(m * azimuth) if m >= 0 else np.sin(k * azimuth)
            expected.append(scale * (-1) ** k * lpmv(k, n, sine) * turning)  # scipy's has the Condon–Shortley phase
    assert encode(directions, 3) == pytest.approx(np.array(expected).T, abs=1e-12)


def test_n3d_is_orthonormal_over_the_sphere_and_each_order_of_sn3d_sums_to_one():
    cosine, weight = np.polynomial.legendre.leggauss(8)
    turn = np.arange(16) * np.pi / 8
    level = np.sqrt(1 - cosine**2)[:, None]
    directions = np.stack([level * np.sin(turn), np.repeat(cosine[:, None], 16, 1), level * np.cos(turn)], -1)
    weights = np.repeat(weight / 32, 16)
    harmonics = encode(directions, 3, "n3d").reshape(-1, 16)
    assert (harmonics * weights[:, None]).T @ harmonics == pytest.approx(np.eye(16), abs=1e-13)
    squares = encode(directions, 3) ** 2
    for n in range(4):
        assert squares[..., n * n : (n + 1) ** 2].sum(-1) == pytest.approx(np.ones((8, 16)))


def test_lower_orders_are_the_first_channels_of_higher_ones():
    direction = np.array([0.2, -0.7, 1.3])
    for order in range(4):
        assert encode(direction, order) == pytest.approx(encode(direction, 3)[: (order + 1) ** 2])
        assert order_of(len(channel_orders(order))) == order


def test_compiled_code_can_encode():
    @kernel
    def both(out):
        encode_direction(0.3, -0.2, 0.9, out[0])
        encode_direction(3.0, -2.0, 9.0, out[1])

    out = np.empty((2, 9))
    both(out)
    assert out[0] == pytest.approx(encode(np.array([0.3, -0.2, 0.9]), 2))
    assert out[1] == pytest.approx(out[0])


def test_normalisations_convert_back_and_forth():
    signal = np.random.default_rng(0).standard_normal((16, 10)).astype(np.float32)
    n3d = convert_normalization(signal, "sn3d", "n3d")
    assert n3d.dtype == np.float32
    assert n3d[[0, 1, 4, 9]] == pytest.approx(signal[[0, 1, 4, 9]] * np.sqrt([[1], [3], [5], [7]]), rel=1e-6)
    assert convert_normalization(n3d, "n3d", "sn3d") == pytest.approx(signal, rel=1e-6)
    direction = np.array([0.4, 0.5, -0.6])
    assert convert_normalization(encode(direction, 3), "sn3d", "n3d") == pytest.approx(encode(direction, 3, "n3d"))
    assert convert_normalization(signal.T, "sn3d", "n3d", axis=1) == pytest.approx(n3d.T)


@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_rotations_are_exact_compose_and_undo(order):
    directions = np.random.default_rng(1).standard_normal((50, 3))
    first, second = body_frame(0.7, -0.4), body_frame(-2.2, 1.1)
    matrix = rotation_matrix(first, order)
    assert encode(directions, order) @ matrix.T == pytest.approx(encode(directions @ first.T, order), abs=1e-13)
    assert rotation_matrix(second @ first, order) == pytest.approx(rotation_matrix(second, order) @ matrix, abs=1e-13)
    assert rotation_matrix(first.T, order) == pytest.approx(matrix.T, abs=1e-13)
    assert matrix @ matrix.T == pytest.approx(np.eye(len(matrix)), abs=1e-13)


def test_turning_the_head_moves_the_field_the_other_way():
    # A listener that turns left by 90° hears on its right what was ahead.
    turned = rotate(impulse(AHEAD, 3), body_frame(np.pi / 2))
    assert turned == pytest.approx(impulse(-LEFT, 3), abs=1e-6)
    assert turned.dtype == np.float32
    raised = rotate(impulse(AHEAD, 2), body_frame(0.0, np.pi / 2))
    assert raised == pytest.approx(impulse(-UP, 2), abs=1e-6)
    # A rotation rounded to float32 still gives an orthogonal matrix.
    rounded = rotation_matrix(body_frame(0.3, 0.2).astype(np.float32), 3)
    assert rounded @ rounded.T == pytest.approx(np.eye(16), abs=1e-12)


@pytest.mark.parametrize("beam", ["max-re", "plane-wave"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_the_energy_map_peaks_at_the_source_with_its_energy(order, beam):
    source = toward(60.0, -20.0)
    grid = sphere_directions(3000)
    found = energy_map(2.0 * impulse(source, order), grid, beam=beam)
    assert found.shape == (3000,)
    # The lattice has a point every 3.7°.
    assert np.degrees(np.arccos(grid[found.argmax()] @ source)) < 3.7
    assert energy_map(2.0 * impulse(source, order), source, beam=beam) == pytest.approx(4.0, rel=1e-6)
    assert 3.9 < found.max() < 4.0 + 1e-6


def test_max_re_beams_have_weaker_side_lobes_than_plane_wave_beams():
    grid = sphere_directions(3000)
    behind = grid @ AHEAD < -0.3
    side_lobes = {b: energy_map(impulse(AHEAD, 3), grid, beam=b)[behind].max() for b in ("max-re", "plane-wave")}
    assert side_lobes["max-re"] < 0.1 * side_lobes["plane-wave"]


@pytest.mark.parametrize(("subtype", "error"), [("FLOAT", 0.0), ("PCM_24", 2.0**-23)])
@pytest.mark.parametrize("channels", [4, 9, 16])
def test_an_ambix_file_reads_back(tmp_path, channels, subtype, error):
    samples = np.random.default_rng(0).uniform(-1, 1, (channels, 400)).astype(np.float32)
    write_ambix(tmp_path / "field.wav", samples, 44100, subtype=subtype)
    read, rate = soundfile.read(tmp_path / "field.wav", dtype="float32")
    assert rate == 44100
    assert read.T.shape == samples.shape
    assert np.abs(read.T - samples).max() <= error
    assert soundfile.info(tmp_path / "field.wav").subtype == subtype


def test_third_order_ears_hear_time_and_level_differences_of_the_head(head):
    decoder = BinauralDecoder.build(head, 3)
    for azimuth in (0.0, 30.0, 60.0, 90.0, 135.0, 180.0, -45.0, -110.0):
        direction = toward(azimuth)
        heard, true = decoder.decode(impulse(direction, 3)), ears(head, direction)
        # One sample is 63 µs. On the shadow's edge at 110° third order misses most of what the head does.
        assert interaural_time_difference(heard, RATE) == pytest.approx(
            interaural_time_difference(true, RATE), abs=2.5e-5
        )
        assert interaural_level_difference(heard) == pytest.approx(interaural_level_difference(true), abs=2.0)
        assert 10 * np.log10((heard**2).sum() / (true**2).sum()) == pytest.approx(0.0, abs=1.0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_sources_on_a_side_are_louder_and_earlier_in_that_ear(head, order):
    decoder = BinauralDecoder.build(head, order)
    for azimuth, sign in ((90.0, 1.0), (30.0, 1.0), (-30.0, -1.0), (-90.0, -1.0)):
        heard = decoder.decode(impulse(toward(azimuth), order))
        assert sign * interaural_level_difference(heard) > 5.0
        assert sign * interaural_time_difference(heard, RATE) > 0.00015


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_diffuse_field_has_the_heads_levels_and_coherence(head, order):
    decoder, size = BinauralDecoder.build(head, order), 1024
    spectra = np.fft.rfft(decoder.filters, size) / np.sqrt(2 * channel_orders(order) + 1)[:, None]
    left, right, cross = head.diffuse_spectra(size)
    heard = (np.abs(spectra) ** 2).sum(1)
    audible = slice(size * 100 // RATE, size * 7000 // RATE)
    levels = 10 * np.log10(heard / np.stack([left.real, right.real]))[:, audible]
    coherence = (spectra[0] * spectra[1].conj()).sum(0) / np.sqrt(heard[0] * heard[1])
    expected = cross / np.sqrt(left.real * right.real)
    # What the cut of the filters leaves.
    assert np.abs(levels).max() < 0.1
    assert np.abs(coherence - expected)[audible].max() < 0.02


def test_an_impulse_keeps_its_instant(head):
    heard = BinauralDecoder.build(head, 3).decode(impulse(AHEAD, 3, at=300))
    onset = np.abs(heard).argmax(-1)
    # The head's filters peak within half a millisecond of the arrival at its centre.
    assert (np.abs(onset - 300) <= 8).all()


def test_turning_the_field_is_as_good_as_moving_the_source(head):
    decoder = BinauralDecoder.build(head, 2)
    moved = decoder.decode(impulse(body_frame(0.9) @ AHEAD, 2))
    turned = decoder.decode(rotate(impulse(AHEAD, 2), body_frame(0.9)))
    assert turned == pytest.approx(moved, abs=1e-6)


def test_decoding_gives_the_same_bytes_twice(head):
    signal = np.random.default_rng(0).standard_normal((9, 500)).astype(np.float32)
    first, second = (BinauralDecoder.build(head, 2).decode(signal) for _ in range(2))
    assert first.shape == (2, 500) and first.dtype == np.float32
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    "call",
    [
        lambda: encode(AHEAD, 4),
        lambda: encode(AHEAD, -1),
        lambda: encode(AHEAD, 1, "fuma"),  # type: ignore[arg-type]
        lambda: encode(np.zeros(3), 1),
        lambda: encode(np.array([np.nan, 0, 0]), 1),
        lambda: encode(np.ones(2), 1),
        lambda: order_of(5),
        lambda: convert_normalization(np.zeros((3, 10)), "sn3d", "n3d"),
        lambda: rotation_matrix(np.diag([1.0, 1.0, -1.0]), 1),
        lambda: rotation_matrix(2.0 * np.eye(3), 1),
        lambda: rotation_matrix(np.eye(4), 1),
        lambda: rotate(np.zeros(4), np.eye(3)),
        lambda: energy_map(np.zeros((4, 3)), AHEAD, beam="in-phase"),  # type: ignore[arg-type]
        lambda: energy_map(np.zeros((5, 3)), AHEAD),
        lambda: BinauralDecoder.build(HeadResponse.kemar(RATE), 0),
        lambda: BinauralDecoder.build(HeadResponse.kemar(RATE), 1).decode(np.zeros((9, 10))),
        lambda: write_ambix("field.wav", np.zeros((1, 10)), 16000),
        lambda: write_ambix("field.wav", np.zeros((2, 10)), 16000),
        lambda: write_ambix("field.flac", np.zeros((4, 10)), 16000),
        lambda: write_ambix("field.wav", np.zeros((4, 10)), 16000, subtype="PCM_16"),  # type: ignore[arg-type]
    ],
)
def test_bad_input_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigurationError):
        call()


@pytest.mark.parametrize(("value", "subtype"), [(np.nan, "FLOAT"), (np.inf, "PCM_24"), (1.5, "PCM_24")])
def test_samples_that_a_file_cannot_hold_are_refused(tmp_path, value, subtype):
    with pytest.raises(SoundError, match="peak"):
        write_ambix(tmp_path / "field.wav", np.full((4, 10), value), 16000, subtype=subtype)
    assert not (tmp_path / "field.wav").exists()
