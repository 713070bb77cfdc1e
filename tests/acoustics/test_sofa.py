import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.special import eval_legendre, spherical_jn, spherical_yn

from harken.acoustics.directivity import FirstOrder, body_frame, sphere_directions
from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.sofa import read_directivity, read_head, write_response_matrix, write_responses
from harken.acoustics.measures import interaural_level_difference
from harken.acoustics.protocol import ImpulseResponse, Listener, Source
from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError

KEMAR = Path("/usr/share/libmysofa/MIT_KEMAR_normal_pinna.sofa")
TO_SOFA = np.array([[0.0, 0, -1], [-1, 0, 0], [0, 1, 0]])
"""From right, up, back to SOFA's ahead, left, up."""
RADIUS, SPEED, RATE, TAPS = 0.0875, 343.2, 48000, 384


@pytest.fixture(scope="module")
def sofar():
    # netCDF4 announces that numpy's binary interface grew, which is harmless.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("sofar")


def spherical(directions: np.ndarray, distance: float = 1.4) -> np.ndarray:
    x, y, z = (directions @ TO_SOFA.T).T
    azimuth, elevation = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arcsin(np.clip(z, -1, 1)))
    return np.stack([azimuth, elevation, np.full(len(x), distance)], -1)


def sphere_spectra(directions: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """Pressure (n, 2, frequencies) at the ears of a rigid sphere, relative to that at its centre without it.

    Duda and Martens 1998, J. Acoust. Soc. Am. 104, 3048, for a far source.
    """
    x = np.maximum(2.0 * np.pi * frequencies * RADIUS / SPEED, 1e-3)[:, None]
    orders = np.arange(48)
    hankel = spherical_jn(orders, x, derivative=True) - 1j * spherical_yn(orders, x, derivative=True)
    terms = (2 * orders + 1) * 1j**orders * (-1j / x**2) / hankel
    cosines = directions[:, :1] * [-1.0, 1.0]
    return eval_legendre(orders, cosines[..., None]) @ terms.T


def sphere_head(directions: np.ndarray) -> np.ndarray:
    """Responses (n, 2, taps) of a rigid sphere, reached after 100 samples, through a microphone that fades out."""
    frequencies = np.fft.rfftfreq(TAPS, 1.0 / RATE)
    low_pass = np.exp(-((frequencies / 15000.0) ** 4) - 2j * np.pi * frequencies * 100.0 / RATE)
    return np.fft.irfft(sphere_spectra(directions, frequencies) * low_pass, TAPS)


def head_file(sofar, path: Path, convention: str = "SimpleFreeFieldHRIR", **changes) -> Path:
    """Write a set of a spherical head, with values changed."""
    directions = sphere_directions(300)
    data = sofar.Sofa(convention)
    data.Data_IR, data.Data_SamplingRate = sphere_head(directions), float(RATE)
    data.Data_Delay, data.SourcePosition = np.zeros((1, 2)), spherical(directions)
    data.ReceiverPosition = np.array([[0.0, 0.09, 0], [0, -0.09, 0]])[..., None]
    if convention == "GeneralFIR":
        data.ReceiverPosition = data.ReceiverPosition[..., 0]
        data.EmitterPosition = np.zeros((1, 3))
    for name, value in changes.items():
        setattr(data, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sofar.write_sofa(str(path), data)
    return path


def same(first: HeadResponse, second: HeadResponse, error: float = 1e-6) -> bool:
    return all(
        np.allclose(getattr(first, name), getattr(second, name), atol=error)
        for name in ("directions", "delays", "filters")
    )


def test_the_measured_kemar_is_the_built_in_head(sofar):
    if not KEMAR.exists():
        pytest.skip("Debian's package libmysofa1 is not installed.")
    read, built_in = read_head(KEMAR, 16000), HeadResponse.kemar(16000)
    frequencies = np.fft.rfftfreq(512, 1 / 16000)
    audible = (frequencies > 200) & (frequencies < 7000)
    errors = []
    for direction in read.directions[:-1]:
        filters, delays = read.lookup(direction)
        expected, expected_delays = built_in.lookup(direction)
        assert delays == pytest.approx(expected_delays, abs=1.2e-5)
        change = np.abs(np.fft.rfft(filters, 512)) / np.abs(np.fft.rfft(expected, 512))
        errors.append(np.sqrt(np.mean((20 * np.log10(change[:, audible])) ** 2)))
    # The built-in head is stored with 16 bits and continued below 160 Hz from slightly other frequencies.
    assert np.median(errors) < 0.2 and np.max(errors) < 2.0
    theirs, ours = (head.diffuse_spectra(512)[:2, frequencies < 6000].real for head in (read, built_in))
    assert theirs == pytest.approx(ours, rel=0.04)


@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_a_rigid_sphere_reads_back_with_its_pressure_at_the_ears(sofar, tmp_path, rate):
    head = read_head(head_file(sofar, tmp_path / "head.sofa"), rate, equalization="none")
    assert head.rate == rate
    frequencies = np.fft.rfftfreq(1024, 1.0 / rate)
    delays = np.exp(-2j * np.pi * frequencies * head.delays[..., None])
    read = np.fft.rfft(head.filters.astype(np.float64), 1024) * delays
    audible = (frequencies > 200.0) & (frequencies < 6000.0)
    expected = sphere_spectra(head.directions, frequencies[audible])
    # Amplitude and phase, relative to the arrival at the centre: 5 % are 0.4 dB or 3 degrees.
    assert np.abs(read[..., audible] - expected).max() < 0.05 * np.abs(expected).max()


def test_equalised_heads_keep_the_differences_between_the_ears(sofar, tmp_path):
    head = read_head(head_file(sofar, tmp_path / "head.sofa"), 16000)
    frequencies = np.fft.rfftfreq(1024, 1.0 / 16000)
    audible = (frequencies > 500.0) & (frequencies < 6000.0)
    spectra = np.fft.rfft(head.filters.astype(np.float64), 1024)[..., audible]
    spectra *= np.exp(-2j * np.pi * frequencies[audible] * head.delays[..., None])
    expected = sphere_spectra(head.directions, frequencies[audible])
    ratio = spectra[:, 0] / spectra[:, 1] / (expected[:, 0] / expected[:, 1])
    assert np.percentile(np.abs(20 * np.log10(np.abs(ratio))), 99) < 0.5
    assert np.percentile(np.abs(np.angle(ratio)), 99) < 0.06


def test_equalised_heads_have_a_flat_diffuse_field(sofar, tmp_path):
    loud = head_file(sofar, tmp_path / "loud.sofa", Data_IR=30.0 * sphere_head(sphere_directions(300)))
    head = read_head(loud, 16000)
    left, right, _ = head.diffuse_spectra(512)
    mean = (left.real + right.real)[:220] / 2
    # What the cut to 2.9 ms leaves; the resampler cuts off above 6.9 kHz.
    assert 10 * np.log10(mean) == pytest.approx(np.zeros(220), abs=0.3)
    plain = read_head(loud, 16000, equalization="none")
    assert plain.diffuse_spectra(512)[0][8].real == pytest.approx(900.0, rel=0.1)


def test_the_same_head_is_read_in_any_coordinates(sofar, tmp_path):
    directions = sphere_directions(300)
    expected = read_head(head_file(sofar, tmp_path / "expected.sofa"))
    cartesian = head_file(
        sofar,
        tmp_path / "cartesian.sofa",
        SourcePosition=1.4 * directions @ TO_SOFA.T,
        SourcePosition_Type="cartesian",
        SourcePosition_Units="metre",
    )
    assert same(read_head(cartesian), expected)
    ears = np.array([[90.0, 0, 0.09], [270, 0, 0.09]])[..., None]
    polar = head_file(
        sofar,
        tmp_path / "polar.sofa",
        ReceiverPosition=ears,
        ReceiverPosition_Type="spherical",
        ReceiverPosition_Units="degree, degree, metre",
    )
    assert same(read_head(polar), expected)
    general = head_file(sofar, tmp_path / "general.sofa", "GeneralFIR")
    assert same(read_head(general), expected)


def test_receivers_are_told_apart_by_their_place_not_their_order(sofar, tmp_path):
    swapped = head_file(
        sofar,
        tmp_path / "swapped.sofa",
        Data_IR=sphere_head(sphere_directions(300))[:, ::-1],
        ReceiverPosition=np.array([[0.0, -0.09, 0], [0, 0.09, 0]])[..., None],
    )
    assert same(read_head(swapped), read_head(head_file(sofar, tmp_path / "usual.sofa")))


def test_a_listener_that_moved_and_turned_still_hears_in_its_own_frame(sofar, tmp_path):
    directions, place, frame = sphere_directions(300), np.array([2.0, 1.0, -3.0]), body_frame(0.8, 0.3)
    turned = head_file(
        sofar,
        tmp_path / "turned.sofa",
        SourcePosition=(place + 1.4 * directions @ frame) @ TO_SOFA.T,
        SourcePosition_Type="cartesian",
        SourcePosition_Units="metre",
        ListenerPosition=(place @ TO_SOFA.T)[None],
        ListenerView=(-frame[2] @ TO_SOFA.T)[None],
        ListenerUp=(frame[1] @ TO_SOFA.T)[None],
    )
    assert same(read_head(turned), read_head(head_file(sofar, tmp_path / "still.sofa")), 1e-5)


def test_a_listener_that_turns_before_one_source_hears_all_directions(sofar, tmp_path):
    directions = sphere_directions(300)
    # Frames whose own `direction` points ahead in the world.
    views, ups = [], []
    for direction in directions:
        right = np.cross(direction, [0.3, 0.5, 0.8])
        right /= np.linalg.norm(right)
        own = np.stack([right, np.cross(right, direction), -direction])
        views.append(own @ [0.0, 0.0, -1.0])
        ups.append(own @ [0.0, 1.0, 0.0])
    turning = head_file(
        sofar,
        tmp_path / "turning.sofa",
        "GeneralFIR",
        SourcePosition=np.array([[0.0, 0.0, 1.4]]),
        ListenerView=np.array(views) @ TO_SOFA.T,
    )
    data = sofar.read_sofa(str(turning), verify=False, verbose=False)
    data.add_variable("ListenerUp", np.array(ups) @ TO_SOFA.T, "double", "MC")
    data.SourcePosition = np.array([[0.0, 0.0, 1.4]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sofar.write_sofa(str(turning), data)
    assert same(read_head(turning), read_head(head_file(sofar, tmp_path / "still.sofa")), 1e-5)


def test_delays_beside_the_responses_count(sofar, tmp_path):
    responses = sphere_head(sphere_directions(300))
    shifted, delays = responses.copy(), np.zeros((300, 2))
    delays[::2], shifted[::2] = 20.0, np.roll(responses[::2], -20, axis=-1)
    moved = head_file(sofar, tmp_path / "moved.sofa", Data_IR=shifted, Data_Delay=delays)
    # Shifting by whole samples changes the upsampled onset by what the resampler's ends do.
    assert same(read_head(moved), read_head(head_file(sofar, tmp_path / "still.sofa")), 2e-3)


def test_the_farthest_of_several_distances_is_kept(sofar, tmp_path):
    directions = sphere_directions(300)
    far = sphere_head(directions)
    both = head_file(
        sofar,
        tmp_path / "both.sofa",
        Data_IR=np.concatenate([3.0 * far[:, ::-1], far]),
        SourcePosition=np.concatenate([spherical(directions, 0.2), spherical(directions, 1.4)]),
    )
    with pytest.warns(HarkenWarning, match=re.escape("0.20 to 1.40 m")):
        head = read_head(both)
    assert same(head, read_head(head_file(sofar, tmp_path / "far.sofa")))


def test_poles_that_were_not_measured_are_continued(sofar, tmp_path):
    directions = sphere_directions(300)
    above = directions[directions[:, 1] > -0.65]
    cut = head_file(sofar, tmp_path / "cut.sofa", Data_IR=sphere_head(above), SourcePosition=spherical(above))
    head = read_head(cut)
    assert head.directions[-1] == pytest.approx([0.0, -1.0, 0.0])
    assert len(head.directions) == len(above) + 1
    filters, delays = head.lookup(np.array([0.0, -1.0, 0.0]))
    assert delays[0] == pytest.approx(delays[1], abs=3e-5)
    assert interaural_level_difference(filters) == pytest.approx(0.0, abs=0.5)


def rings(lowest: float, step: float = 10.0) -> np.ndarray:
    """Source positions (n, 3) of a loudspeaker arc, as the ARI's: azimuth and elevation [deg], distance [m]."""
    return np.array([(a, e, 1.2) for e in np.arange(lowest, 81.0, step) for a in np.arange(0.0, 360.0, 15.0)])


def directions_of(positions: np.ndarray) -> np.ndarray:
    azimuth, elevation = np.radians(positions[:, :2]).T
    level = np.cos(elevation)
    return np.stack([-level * np.sin(azimuth), np.sin(elevation), -level * np.cos(azimuth)], -1)


@pytest.mark.parametrize("kind", ["spherical", "single precision", "metres"])
def test_a_head_measured_down_to_minus_thirty_degrees_is_read(sofar, tmp_path, kind):
    positions = rings(-30.0)
    changes: dict = {"Data_IR": sphere_head(directions_of(positions)), "SourcePosition": positions}
    if kind == "single precision":
        changes["SourcePosition"] = positions.astype(np.float32).astype(np.float64) * (1.0 + 1e-7)
    elif kind == "metres":
        metres = np.round(directions_of(positions) @ TO_SOFA.T * 1.2, 4)
        changes |= {"SourcePosition": metres, "SourcePosition_Type": "cartesian", "SourcePosition_Units": "metre"}
    head = read_head(head_file(sofar, tmp_path / "ari.sofa", **changes))
    assert len(head.directions) == len(positions) + 1  # the pole straight below is continued


def test_which_rings_continue_a_pole_does_not_hang_on_the_last_bit(sofar, tmp_path):
    positions = rings(-30.0, 5.0)
    shaky = positions.copy()
    shaky[:, 1] += np.random.default_rng(0).choice([-1e-6, 0.0, 1e-6], len(shaky))
    responses = sphere_head(directions_of(positions))
    read = [
        read_head(head_file(sofar, tmp_path / f"{i}.sofa", Data_IR=responses, SourcePosition=given))
        for i, given in enumerate((positions, shaky))
    ]
    assert same(*read)


def test_directions_that_differ_in_the_last_bit_only_are_one(sofar, tmp_path):
    directions = sphere_directions(300)
    again = spherical(directions, 1.0)
    again[:, :2] += 1e-9
    twice = {"Data_IR": np.tile(sphere_head(directions), (2, 1, 1))}
    with pytest.warns(HarkenWarning, match="farthest"):
        head = read_head(
            head_file(
                sofar, tmp_path / "a.sofa", **twice, SourcePosition=np.concatenate([spherical(directions), again])
            )
        )
    assert len(head.directions) == 300


def test_a_head_that_contradicts_its_receivers_is_read_with_its_ears_swapped(sofar, tmp_path):
    responses = sphere_head(sphere_directions(300))
    contradicting = head_file(sofar, tmp_path / "swapped.sofa", Data_IR=responses[:, ::-1])
    right = head_file(sofar, tmp_path / "right.sofa", Data_IR=responses)
    assert same(read_head(contradicting, swap_ears=True), read_head(right))
    with pytest.raises(SoundError, match="swap_ears"):
        read_head(right, swap_ears=True)
    with pytest.raises(ConfigurationError, match="swap_ears"):
        read_head(right, swap_ears="yes")  # type: ignore[arg-type]


def test_a_set_larger_than_memory_is_refused_before_it_is_read(sofar, tmp_path):
    import netCDF4

    path = tmp_path / "huge.sofa"
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("M", 2_000_000), ("R", 2), ("N", 1_000)):
            file.createDimension(name, size)
        file.createVariable("Data.IR", "f8", ("M", "R", "N"), zlib=True)
    assert path.stat().st_size < 100_000
    with pytest.raises(SoundError, match=re.escape("declares 4e+09 numbers")):
        read_head(path)


def ring(count: int = 40) -> np.ndarray:
    turn = np.arange(count) * 2 * np.pi / count
    return np.stack([np.sin(turn), 0 * turn, -np.cos(turn)], -1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Data_IR": np.zeros((300, 2, TAPS))}, "silent"),
        ({"Data_IR": sphere_head(sphere_directions(300))[:, ::-1]}, "swap_ears=True"),
        ({"Data_SamplingRate": 44100.5}, "whole number"),
        ({"Data_SamplingRate": 1.0}, "expected a whole number from 8000 to 384000"),
        ({"Data_SamplingRate": 1e9}, "expected a whole number from 8000 to 384000"),
        ({"Data_SamplingRate": np.nan}, "sampling rate of nan Hz"),
        ({"Data_IR": sphere_head(ring()), "SourcePosition": spherical(ring())}, "unmeasured"),
        ({"Data_IR": sphere_head(ring(3)), "SourcePosition": spherical(ring(3))}, "3 source positions"),
        ({"ReceiverPosition": np.zeros((2, 3, 1))}, "on the left"),
        ({"ListenerView": np.array([[0.0, 0.0, 1.0]])}, "parallel"),
        ({"SourcePosition": spherical(sphere_directions(300), 0.0)}, "centre of the head"),
    ],
)
def test_sets_that_are_no_usable_head_are_refused(sofar, tmp_path, changes, message):
    path = head_file(sofar, tmp_path / "bad.sofa", **changes)
    with pytest.raises(SoundError, match=message):
        read_head(path)


def test_four_receivers_are_no_head(sofar, tmp_path):
    responses = sphere_head(sphere_directions(300))
    path = head_file(
        sofar,
        tmp_path / "array.sofa",
        "GeneralFIR",
        Data_IR=np.concatenate([responses, responses], 1),
        ReceiverPosition=np.eye(4, 3),
        Data_Delay=np.zeros((1, 4)),
    )
    with pytest.raises(SoundError, match="two receivers"):
        read_head(path)


def test_files_of_another_kind_are_refused(sofar, tmp_path):
    text = tmp_path / "text.sofa"
    text.write_text("not a SOFA file")
    rooms = tmp_path / "rooms.sofa"
    write_responses(rooms, *scene(1))
    for read in (read_head, read_directivity):
        with pytest.raises(SoundError, match="cannot be read"):
            read(text)
        with pytest.raises(SoundError, match="cannot be read"):
            read(tmp_path / "missing.sofa")
        with pytest.raises(SoundError, match="follows the convention SingleRoomSRIR"):
            read(rooms)
    with pytest.raises(ConfigurationError, match="Equalization"):
        read_head(text, equalization="free")  # type: ignore[arg-type]
    head = head_file(sofar, tmp_path / "head.sofa")
    with pytest.raises(ConfigurationError, match="rate"):
        read_head(head, 100)


def test_without_sofar_the_message_holds_the_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "sofar", None)
    for call in (
        lambda: read_head(tmp_path / "a.sofa"),
        lambda: read_directivity(tmp_path / "a.sofa"),
        lambda: write_responses(tmp_path / "a.sofa", *scene(1)),
    ):
        with pytest.raises(MissingDependencyError, match=re.escape("pip install harken[sofa]")):
            call()


def directivity_file(sofar, path: Path, frequencies: np.ndarray, **changes) -> Path:
    directions = sphere_directions(200)
    data = sofar.Sofa("FreeFieldDirectivityTF", mandatory=True)
    gains = FirstOrder(alpha=0.5).gains(directions)[:, :1] * np.exp(1j * frequencies / 300.0) * 0.02
    data.Data_Real, data.Data_Imag, data.N = gains.real[None], gains.imag[None], frequencies
    data.ReceiverPosition = spherical(directions, 2.0)
    for name, value in changes.items():
        setattr(data, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sofar.write_sofa(str(path), data)
    return path


def test_a_measured_cardioid_reads_as_one(sofar, tmp_path):
    directions = np.random.default_rng(0).standard_normal((100, 3))
    expected = FirstOrder(alpha=0.5).gains(directions)
    plain = read_directivity(directivity_file(sofar, tmp_path / "plain.sofa", np.arange(50.0, 12000.0, 50.0)))
    # Directions are 14° apart.
    assert plain.gains(directions) == pytest.approx(expected, abs=0.015)
    left = {"SourceView": np.array([[0.0, 1.0, 0.0]]), "SourceUp": np.array([[0.0, 0.0, 1.0]])}
    real = FirstOrder(alpha=0.5).gains(sphere_directions(200) @ body_frame(np.pi / 2).T)[:, :1] * np.ones(239)
    turned = directivity_file(
        sofar,
        tmp_path / "turned.sofa",
        np.arange(50.0, 12000.0, 50.0),
        Data_Real=real[None],
        Data_Imag=0 * real[None],
        **left,
    )
    assert read_directivity(turned).gains(directions) == pytest.approx(expected, abs=0.015)


def test_bands_without_a_frequency_are_named(sofar, tmp_path):
    path = directivity_file(sofar, tmp_path / "few.sofa", np.array([250.0, 500, 1000, 2000, 4000]))
    with pytest.warns(HarkenWarning, match="125, 8000 Hz"):
        read = read_directivity(path)
    assert read.gains(np.array([-1.0, 0.0, 0.0])) == pytest.approx(np.full(7, 0.5), abs=0.015)
    with pytest.raises(SoundError, match="no measurement 1"):
        read_directivity(path, measurement=1)


def scene(count: int, channels: int = 2) -> tuple[list[ImpulseResponse], list[Source], list[Listener]]:
    rng = np.random.default_rng(count)
    responses = [
        ImpulseResponse(samples=rng.standard_normal((channels, 50 + 10 * i)).astype(np.float32), rate=16000)
        for i in range(count)
    ]
    sources = [Source(position=rng.standard_normal(3)) for _ in range(count)]
    listeners = [Listener(position=rng.standard_normal(3), heading=0.5 * i) for i in range(count)]
    return responses, sources, listeners


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (1, 2), (5, 2), (3, 4)])
def test_written_responses_read_back_valid(sofar, tmp_path, count, channels):
    responses, sources, listeners = scene(count, channels)
    receivers = None if channels <= 2 else np.eye(4, 3)
    path = tmp_path / "rooms.sofa"
    write_responses(path, responses, sources, listeners, receivers=receivers, title="Two rooms", license_name="CC0")
    data = sofar.read_sofa(str(path), verbose=False)
    assert data.verify(issue_handling="return") is None
    assert data.GLOBAL_SOFAConventions == "SingleRoomSRIR"
    assert (data.GLOBAL_Title, data.GLOBAL_License, data.GLOBAL_ApplicationName) == ("Two rooms", "CC0", "Harken")
    written = np.reshape(data.Data_IR, (count, channels, -1))
    for row, response in zip(written, responses, strict=True):
        length = response.samples.shape[1]
        assert (row[:, :length] == response.samples).all() and (row[:, length:] == 0).all()
    assert float(data.Data_SamplingRate) == 16000.0
    assert np.reshape(data.SourcePosition, (-1, 3)) == pytest.approx(
        np.array([source.position for source in sources]) @ TO_SOFA.T
    )
    assert np.reshape(data.ListenerPosition, (-1, 3)) == pytest.approx(
        np.array([listener.position for listener in listeners]) @ TO_SOFA.T
    )
    # Heading 0 looks along x, and turns counter-clockwise.
    headings = np.array([listener.heading for listener in listeners])
    views = np.stack([np.cos(headings), np.sin(headings), 0 * headings], -1)
    assert np.reshape(data.ListenerView, (-1, 3)) == pytest.approx(views)
    if channels == 2:
        assert np.reshape(data.ReceiverPosition, (2, 3))[0] == pytest.approx([0.0, 0.0875, 0.0])


def test_a_written_matrix_reads_back_valid(sofar, tmp_path):
    rng = np.random.default_rng(0)
    sources = [Source(position=rng.standard_normal(3)) for _ in range(3)]
    listeners = [Listener(position=rng.standard_normal(3), heading=h) for h in (0.0, 1.0)]
    rows = [
        [ImpulseResponse(samples=rng.standard_normal((2, 60)).astype(np.float32), rate=48000) for _ in sources]
        for _ in listeners
    ]
    write_response_matrix(tmp_path / "matrix.sofa", rows, sources, listeners)
    data = sofar.read_sofa(str(tmp_path / "matrix.sofa"), verbose=False)
    assert data.verify(issue_handling="return") is None
    assert data.GLOBAL_SOFAConventions == "SingleRoomMIMOSRIR"
    assert data.Data_IR.shape == (2, 2, 60, 3)
    for m, row in enumerate(rows):
        for e, response in enumerate(row):
            assert (data.Data_IR[m, :, :, e] == response.samples).all()
    assert data.EmitterPosition[..., 0] == pytest.approx(np.array([s.position for s in sources]) @ TO_SOFA.T)


def other_rate(responses: list[ImpulseResponse]) -> list[ImpulseResponse]:
    return [*responses[:-1], ImpulseResponse(samples=responses[-1].samples, rate=8000)]


@pytest.mark.parametrize(
    "call",
    [
        lambda path, r, s, q: write_responses(path, [], [], []),
        lambda path, r, s, q: write_responses(path, r, s[:1], q),
        lambda path, r, s, q: write_responses(path, other_rate(r), s, q),
        lambda path, r, s, q: write_responses(path, [r[0], *scene(1, 1)[0]], s, q),
        lambda path, r, s, q: write_responses(path.with_suffix(".wav"), r, s, q),
        lambda path, r, s, q: write_responses(path, r, s, q, receivers=np.zeros((3, 3))),
        lambda path, r, s, q: write_responses(path, *scene(2, 4)),
        lambda path, r, s, q: write_response_matrix(path, [r], s, q),
        lambda path, r, s, q: write_response_matrix(path, [], [], []),
    ],
)
def test_sets_that_do_not_fit_together_are_refused(sofar, tmp_path, call):
    with pytest.raises(ConfigurationError):
        call(tmp_path / "rooms.sofa", *scene(2))
    assert not list(tmp_path.iterdir())
