import pickle

import numpy as np
import pytest
from scipy.signal import chirp

from harken.acoustics import Ambisonics, Listener, microphone_array
from harken.acoustics.directivity import talker
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings, sweep
from harken.acoustics.paths.facets import Facets
from harken.acoustics.paths.image_sources import ImageSources
from harken.errors import ConfigurationError, HarkenError, SoundError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Body, Scene, WalkableFloor, generate_home

SPEED = 343.2
ORIGIN = np.zeros(3)


def wall(distance, *, absorption=0.2, scattering=0.0, size=60.0, angle=0.0):
    """A large sheet ahead of the origin, turned by an angle seen from above."""
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * size / 2 - [0, 0, distance]
    c, s = np.cos(angle), np.sin(angle)
    return Scene(
        vertices=corners @ np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]).T,
        faces=np.array([[0, 1, 2], [0, 2, 3]]),
        materials=(AcousticMaterial(name="wall", absorption=(absorption,), scattering=(scattering,)),),
        material=np.zeros(2, int),
    )


def room(*, absorption=0.1, scattering=0.1, size=(5.0, 3.0, 4.0)):
    """A box around the origin."""
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * np.array(size) / 2
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    return Scene(
        vertices=corners,
        faces=np.array([[q[i] for i in t] for q in quads for t in ((0, 2, 1), (0, 3, 2))]),
        materials=(AcousticMaterial(name="wall", absorption=(absorption,), scattering=(scattering,)),),
        material=np.zeros(12, int),
    )


def echoes(scene, **settings):
    return EchoPropagation(scene=scene, settings=EchoSettings(**settings))


MONO = Listener(position=ORIGIN, format="mono")


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("distance", [0.4, 1.0, 2.3, 4.71, 8.0])
def test_a_flat_wall_answers_to_the_sample_and_at_its_level(rate, distance):
    absorption, scattering = 0.3, 0.2
    made = echoes(wall(distance, absorption=absorption, scattering=scattering), rate=rate, rays=50)
    found = made.energy(ORIGIN)
    assert len(found.paths) == 1 and found.delays[0] == pytest.approx(2 * distance / SPEED, rel=1e-6)
    loss = np.exp(-made.settings.air.attenuation(OCTAVE_BANDS) * 2 * distance)
    np.testing.assert_allclose(
        found.paths.energy[0], (1 - absorption) * (1 - scattering) * loss / (2 * distance) ** 2, rtol=1e-6
    )
    specular = echoes(wall(distance, absorption=absorption), rate=rate, rays=1).impulse_response(MONO).samples[0]
    assert np.argmax(np.abs(specular)) == round(2 * distance / SPEED * rate)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_at_a_whole_number_of_samples_the_response_is_one_impulse_of_the_right_height(rate):
    samples = rate // 400
    distance = 0.5 * samples * SPEED / rate
    response = echoes(wall(distance, absorption=0.36), rate=rate, rays=1).impulse_response(MONO).samples[0]
    assert np.argmax(np.abs(response)) == samples
    loss = np.exp(-0.5 * EchoSettings().air.attenuation(OCTAVE_BANDS) * 2 * distance).mean()
    assert response[samples] == pytest.approx(np.sqrt(1 - 0.36) * loss / (2 * distance), rel=1e-4)
    assert np.abs(np.delete(response, samples)).max() < 1e-4 * response[samples]


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("distance", [0.6, 1.37, 3.2])
def test_the_sweep_comes_back_whole_at_the_distance(rate, distance):
    heard = echoes(wall(distance), rate=rate, rays=1).echo(MONO)[0]
    match = np.abs(np.correlate(heard, sweep(rate), "full"))[len(sweep(rate)) - 1 :]
    assert np.argmax(match) == round(2 * distance / SPEED * rate)


def test_a_rough_wall_answers_with_the_energy_of_lamberts_law_over_time():
    # ∫ cosθ/(π r²) dΩ over r = d/cosθ < ct/2 is (1 − (2d/ct)⁴) / (2d²).
    distance, absorption, scattering = 1.5, 0.1, 0.6
    made = echoes(wall(distance, absorption=absorption, scattering=scattering), rays=40_000, bin_width=0.5e-3)
    found = made.energy(ORIGIN)
    total = np.cumsum(found.energy[:, 0, 0], dtype=float)
    reach = np.maximum(found.edges[1:] * SPEED / (2 * distance), 1.0)
    expected = (1 - absorption) * scattering / (2 * distance**2) * (1 - reach**-4.0)
    # Four standard deviations, were the 20,000 rays that meet the wall not spread evenly; they do better.
    np.testing.assert_allclose(total[24:], expected[24:], rtol=4 * np.sqrt(1 / 20_000))
    assert total[: int(2 * distance / SPEED / 0.5e-3)].max(initial=0.0) == 0.0
    ahead = found.energy[:, 0, 1:].sum(0)
    assert ahead[2] < 0 and np.abs(ahead[:2]).max() < 0.02 * -ahead[2], "it comes from the wall"


def test_smooth_walls_answer_in_specular_paths_and_rough_ones_in_scattered_sound():
    smooth, rough = (echoes(wall(2.0, scattering=s), rays=4_000).energy(ORIGIN) for s in (0.0, 1.0))
    assert smooth.paths.energy.sum() > 0 and smooth.energy.sum() == 0.0
    assert rough.paths.energy.sum() == 0.0 and rough.energy[..., 0].sum() > 0


def test_absorbing_rooms_answer_less():
    hard, soft = (np.square(echoes(room(absorption=a)).echo(MONO)).sum() for a in (0.05, 0.6))
    assert hard > 4 * soft


def test_all_mirror_reflections_of_a_box_are_found_up_to_the_order():
    # The images of a box around its centre lie on a lattice; |i| + |j| + |k| reflections (Allen and Berkley 1979).
    size = np.array([5.0, 3.0, 4.0])
    found = echoes(room(), image_order=2).energy(ORIGIN).paths
    cells = np.array([[i, j, k] for i in range(-2, 3) for j in range(-2, 3) for k in range(-2, 3)])
    lattice = cells[(np.abs(cells).sum(1) > 0) & (np.abs(cells).sum(1) <= 2)]
    np.testing.assert_allclose(np.sort(found.length), np.sort(np.linalg.norm(lattice * size, axis=1)), atol=1e-5)


def test_corners_are_found_however_small_they_are_seen():
    home = generate_home(0, split="train")
    made = echoes(home, image_order=2, rays=1)
    facets = Facets.build(home)
    pairs = np.argwhere(~np.eye(len(facets), dtype=bool)).astype(np.int32)
    air = made.settings.air.attenuation(OCTAVE_BANDS)
    rng, floor = np.random.default_rng(0), WalkableFloor.build(home, Body())
    for _ in range(3):
        place = floor.random_point(rng) + [0.0, 1.5, 0.0]
        every = ImageSources(home, facets, place, 2, 1, air=air, also=pairs).paths(place)
        found, heard = made.energy(place).paths, every.length < 0.06 * SPEED
        assert found.energy.sum() > 0.995 * every.energy[heard].sum() and len(found) <= heard.sum()


def test_a_wall_on_the_left_is_louder_and_earlier_in_the_left_ear():
    made = echoes(wall(1.5, angle=np.pi / 2), rate=44_100, rays=400)
    turns = {
        heading: made.impulse_response(Listener(position=ORIGIN, heading=heading)).samples
        for heading in (0.0, np.pi / 2, np.pi)
    }
    left = turns[0.0]
    assert np.square(left[0]).sum() > 2 * np.square(left[1]).sum()
    assert np.argmax(np.abs(left[0])) < np.argmax(np.abs(left[1]))
    right = turns[np.pi]
    assert np.square(right[1]).sum() > 2 * np.square(right[0]).sum()
    ahead = np.square(turns[np.pi / 2]).sum(1)
    assert ahead[0] == pytest.approx(ahead[1], rel=0.3)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize(
    ("kind", "channels"),
    [("binaural", 2), ("mono", 1), (Ambisonics(order=1), 4), (microphone_array("ear-pair"), 2)],
    ids=["binaural", "mono", "ambisonics", "array"],
)
def test_every_format_hears_echoes(rate, kind, channels):
    heard = echoes(room(), rate=rate).echo(Listener(position=ORIGIN + 0.3, heading=0.4, format=kind))
    assert heard.shape == (channels, round(0.06 * rate)) and heard.dtype == np.float32
    assert np.isfinite(heard).all() and (np.abs(heard).max(1) > 0).all()


def test_a_source_that_faces_the_wall_makes_it_answer_louder():
    made = echoes(wall(2.0), rays=100)
    facing, away = (made.energy(ORIGIN, directivity=talker(), heading=h).paths.energy[0, 4] for h in (0.0, np.pi))
    assert facing > 4 * away


def test_before_the_nearest_surface_there_is_silence():
    made = echoes(wall(3.0, absorption=0.1, scattering=1.0), rays=2_000)
    response = made.impulse_response(MONO).samples[0]
    arrives = int(6.0 / SPEED * 44_100)
    assert not response[: arrives - 12].any(), "less one bin of the tracing"
    assert response[arrives:].any()


def test_results_depend_on_the_place_only_and_survive_pickling():
    scene = room()
    made, other = echoes(scene), echoes(scene)
    here, there = (Listener(position=np.array([x, 0.1, 0.2])) for x in (0.3, 0.9))
    first = made.echo(here)
    other.echo(there)
    np.testing.assert_array_equal(other.echo(here), first)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).echo(here), first)
    assert not np.array_equal(echoes(scene, seed=1).echo(here), first)


def test_different_places_hear_different_noise():
    made = echoes(room(scattering=1.0), rays=4_000)
    one, other = (made.echo(Listener(position=np.array([x, 0.0, 0.0]), format="mono"))[0] for x in (0.0, 1e-3))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


def test_the_noise_falls_with_the_root_of_the_rays():
    def spread(rays):
        totals = [
            echoes(room(scattering=0.5), rays=rays, seed=seed).energy(ORIGIN).energy[:, 3, 0].sum()
            for seed in range(24)
        ]
        return np.std(totals) / np.mean(totals)

    # The ratio of two standard deviations of 24 draws is within a factor of 2 in 99 of 100 cases.
    assert 2.0 < spread(100) / spread(1_600) < 8.0


def test_the_sweep_is_scipys_chirp_where_nothing_is_above_nyquist():
    rate = 96_000
    time = np.arange(288) / rate
    expected = chirp(time, 20.0, 3e-3, 20_000.0, phi=-90)
    np.testing.assert_allclose(sweep(rate), expected, atol=1e-6)


def test_the_sweep_at_16_khz_does_not_alias():
    # What passes 8 kHz would come back below it: the wanted energies are those of the sweep at a high rate.
    low, high = sweep(16_000), sweep(160_000)
    assert len(low) == 48 and np.abs(low[24:]).max() < 0.1
    wanted = np.square(np.abs(np.fft.rfft(high, 16_000)))[:701] / 100
    got = np.square(np.abs(np.fft.rfft(low, 1_600)))[:701]
    for band in (slice(50, 200), slice(200, 400), slice(400, 600), slice(600, 700)):
        assert got[band].sum() == pytest.approx(wanted[band].sum(), rel=0.06)


def test_a_users_own_signal_is_heard():
    made, click = echoes(room()), np.zeros(64, np.float32)
    click[10] = 0.5
    response = made.impulse_response(MONO).samples
    np.testing.assert_allclose(made.echo(MONO, click)[:, 10:], 0.5 * response[:, :-10], atol=1e-6)


def test_nobody_hears_inside_a_solid():
    made = echoes(room_with_block())
    with pytest.raises(SoundError, match="inside a wall or a piece of furniture"):
        made.echo(Listener(position=np.array([1.5, -1.2, 0.0])))


def room_with_block():
    """The room with a solid block of 0.4 m at (1.5, −1.2, 0)."""
    around, inner = room(), room(size=(0.4, 0.4, 0.4))
    return Scene(
        vertices=np.concatenate([around.vertices, inner.vertices + np.float32([1.5, -1.2, 0.0])]),
        faces=np.concatenate([around.faces, inner.faces[:, ::-1] + 8]),
        materials=around.materials,
        material=np.zeros(24, int),
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.echo(MONO, np.ones(961, np.float32)), SoundError, r"961 samples long, 60\.06 ms .* 60 ms are"),
        (lambda e: e.echo(MONO, np.zeros(10)), SoundError, "silence has no echo"),
        (lambda e: e.echo(MONO, np.zeros(0)), SoundError, "n > 0"),
        (lambda e: e.echo(MONO, np.ones((2, 10))), SoundError, "one channel"),
        (lambda e: e.echo(MONO, np.array([1.0, np.nan])), SoundError, "NaN or infinite"),
        (lambda e: e.energy(np.array([0.0, np.nan, 0.0])), ConfigurationError, "three finite numbers"),
        (lambda e: e.energy(np.zeros(2)), ConfigurationError, "three finite numbers"),
        (lambda e: Listener(position=ORIGIN, heading=np.nan), ConfigurationError, "finite number of radians"),
        (lambda e: EchoSettings(rate=4_000), ConfigurationError, "rate is 4000"),
        (lambda e: EchoSettings(rate=16_000.5), ConfigurationError, "whole number"),
        (lambda e: EchoSettings(duration=0.0), ConfigurationError, "duration is 0.0"),
        (lambda e: EchoSettings(duration=float("nan")), ConfigurationError, "duration is nan"),
        (lambda e: EchoSettings(rays=0), ConfigurationError, "rays is 0"),
        (lambda e: EchoSettings(image_order=5), ConfigurationError, "image_order is 5"),
        (lambda e: EchoSettings(bin_width=0.0), ConfigurationError, "bin_width is 0.0"),
        (lambda e: EchoSettings(temperature_celsius=200.0), ConfigurationError, "temperature_celsius"),
        (lambda e: sweep(16_000, duration=0.0), ConfigurationError, "duration is 0.0"),
        (lambda e: sweep(16_000, end=np.inf), ConfigurationError, "end is inf"),
        (lambda e: sweep(8_000, duration=1e-4), ConfigurationError, "at least 2"),
    ],
)
def test_what_makes_no_sense_is_refused(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call(echoes(room(), rate=16_000))
    assert isinstance(caught.value, HarkenError)
