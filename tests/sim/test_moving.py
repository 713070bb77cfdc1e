import numpy as np
import pytest

from harken.acoustics import AcousticSettings, Ambisonics, Listener, Source
from harken.errors import ConfigurationError
from harken.scene import generate_home
from harken.sim import Simulator, SoundSource, Trajectory, World, WorldSettings

RATE = 16_000


@pytest.fixture(scope="module")
def world():
    return World(
        scene=generate_home(1, split="train"), settings=WorldSettings(acoustics=AcousticSettings(duration=0.5))
    )


@pytest.fixture(scope="module")
def walk(world):
    """A way of some metres through the home, at the height of a head, and a place to listen from."""
    rng = np.random.default_rng(4)
    floor = world.floor
    start, goal = floor.random_point(rng), floor.random_point(rng)
    while not 4.0 < floor.distance_field(goal).distance(start) < 12.0:
        start, goal = floor.random_point(rng), floor.random_point(rng)
    way = floor.distance_field(goal).path(start).points
    return Trajectory.along(way + [0.0, 1.5, 0.0], 1.0), np.array(goal)


def tone(frequency=500.0):
    return np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)


def listen(world, source, seconds, hearing="binaural"):
    simulator = Simulator(world, hearing=hearing)
    simulator.place(source[1], 0.3)
    simulator.set_sources([source[0]])
    return np.concatenate([simulator.hear(RATE // 4) for _ in range(int(4 * seconds))], 1)


def test_a_source_walks_past_without_clicks(world, walk):
    trajectory, place = walk
    heard = listen(world, (SoundSource.moving(trajectory, tone()), place), 6)[:, RATE // 2 :]
    frames = np.lib.stride_tricks.sliding_window_view(heard[0], 1024)[::256] * np.hanning(1024)
    spectra = np.abs(np.fft.rfft(frames)) ** 2
    inside, above = spectra[:, 20:50].sum(1), spectra[:, 130:].sum(1)  # around 500 Hz, and above 2 kHz
    assert 10 * np.log10(above.max() / inside.max()) < -55.0, "a jump would be heard at all frequencies"


def test_the_level_of_a_passing_source_changes_smoothly(world, walk):
    trajectory, place = walk
    ears = Listener(position=place + [0, 1.5, 0], format="mono")
    engine = world.propagation
    levels = []
    for time in np.arange(0.0, trajectory.times[-1], 0.05):
        source = Source(position=trajectory.position(time), moving=True)
        levels.append(10 * np.log10(engine.energy(source, ears).energy[:, 2:5, 0].sum()))
    assert np.abs(np.diff(levels)).max() < 2.0, "reverberation, 5 cm apart, also through a door"


def test_what_a_moving_source_sounds_like_depends_on_where_it_is_alone(world, walk):
    trajectory, place = walk
    ears = Listener(position=place + [0, 1.5, 0])
    sources = [Source(position=trajectory.position(t), moving=True) for t in (0.0, 1.3, 2.6, 3.9)]
    fresh = [World(scene=world.scene, settings=world.settings).propagation.impulse_response(s, ears) for s in sources]
    used = World(scene=world.scene, settings=world.settings).propagation
    for order in ([3, 1, 0, 2], [0, 1, 2, 3]):
        for i in order:
            assert used.impulse_response(sources[i], ears).samples.tobytes() == fresh[i].samples.tobytes()


def test_a_moving_source_at_rest_reverberates_like_one_that_stands(world, walk):
    trajectory, place = walk
    ears, engine = Listener(position=place + [0, 1.5, 0]), world.propagation
    differences = []
    for time in np.arange(0.0, trajectory.times[-1], 0.5):
        energies = [
            engine.energy(Source(position=trajectory.position(time), moving=moving), ears).energy[:, 3, 0].sum()
            for moving in (True, False)
        ]
        differences.append(10 * np.log10(energies[0] / energies[1]))
    assert np.abs(np.median(differences)) < 1.5 and np.abs(differences).max() < 6.0


@pytest.mark.parametrize(("hearing", "channels"), [("mono", 1), (Ambisonics(order=1), 4)])
def test_a_body_hears_with_what_it_is_given(world, walk, hearing, channels):
    trajectory, place = walk
    heard = listen(world, (SoundSource.moving(trajectory, tone()), place), 0.5, hearing)
    assert heard.shape == (channels, RATE // 2) and np.abs(heard).max() > 0


def test_a_way_leads_from_place_to_place_and_back_to_the_start():
    way = Trajectory.along(np.array([[0, 0, 0], [0, 0, -2], [0, 0, -2], [3, 0, -2]]), 0.5, repeats=True)
    np.testing.assert_allclose(way.times, [0, 4, 10])
    np.testing.assert_allclose(way.position(2.0), [0, 0, -1])
    np.testing.assert_allclose(way.position(7.0), [1.5, 0, -2])
    np.testing.assert_allclose(way.position(12.0), [0, 0, -1])
    assert way.heading(1.0) == pytest.approx(0.0) and way.heading(5.0) == pytest.approx(-np.pi / 2)
    once = Trajectory(times=way.times, positions=way.positions)
    np.testing.assert_allclose(once.position(99.0), [3, 0, -2])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trajectory(times=[0, 0], positions=np.zeros((2, 3))), "rise"),
        (lambda: Trajectory(times=[0], positions=np.zeros((2, 3))), "expected"),
        (lambda: Trajectory(times=[0, 1], positions=[[0, 0, 0], [0, np.nan, 0]]), "finite"),
        (lambda: Trajectory.along(np.zeros((2, 3)), 0.0), "speed"),
        (lambda: Trajectory.along(np.zeros(3), 1.0), "points"),
    ],
)
def test_impossible_ways_are_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
