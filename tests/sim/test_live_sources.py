"""A source whose way and sound are decided while time passes is heard as one that was decided before."""

import pickle

import numpy as np
import pytest

from harken.acoustics import AcousticSettings
from harken.errors import ConfigurationError
from harken.scene import generate_home
from harken.sim import Course, Simulator, SoundSource, Trajectory, World, WorldSettings
from harken.sound.live import AHEAD, LiveSound

RATE, STEP, STEPS = 16_000, 4_000, 16
LIFT = np.array([0.0, 1.5, 0.0])


class Responses:
    """An engine that gives nothing but responses."""

    def __init__(self, engine):
        self.rate, self.impulse_response = engine.rate, engine.impulse_response


@pytest.fixture(scope="module")
def world():
    acoustics = AcousticSettings(duration=0.5, rays=500, waypoint_rays=100)
    return World(scene=generate_home(1, split="train"), settings=WorldSettings(acoustics=acoustics))


@pytest.fixture(scope="module")
def places(world):
    """Where a source is after each step, 0.25 m apart, and a place to listen from."""
    rng = np.random.default_rng(4)
    ground = world.ground
    start, goal = ground.random_point(rng), ground.random_point(rng)
    while not 4.5 < ground.distance(start, goal) < 12.0:
        start, goal = ground.random_point(rng), ground.random_point(rng)
    way = Trajectory.along(ground.shortest_path(start, goal) + LIFT, 1.0)
    return [way.position(0.25 * step) for step in range(STEPS + 1)], goal


def clip():
    rng = np.random.default_rng(3)
    return np.convolve(rng.normal(size=RATE), np.ones(8) / 8, "same").astype(np.float32)


def simulator_in(world, place, source, engine=None):
    simulator = Simulator(world, **({} if engine is None else {"propagation": engine}))
    simulator.place(place, 0.3)
    simulator.set_sources([source])
    return simulator


def heard_live(world, places, *, sounds=lambda step: True, engine=None, pickles=False, length=40 * STEP):
    way, listens = places
    course, sound = Course(way[0]), LiveSound(length, fade=160)
    source = SoundSource(position=way[0], samples=sound.ring, trajectory=course, live=True)
    simulator, heard = simulator_in(world, listens, source, engine), []
    for step in range(STEPS):
        course.go(way[step + 1], (step + 1) * STEP / RATE)
        sound.play(clip(), STEP, gain=float(sounds(step)))
        heard.append(simulator.hear(STEP))
        if pickles:
            simulator, course, sound = pickle.loads(pickle.dumps((simulator, course, sound)))
    return np.concatenate(heard, 1)


def heard_known(world, places, *, sounds=lambda step: True, engine=None):
    way, listens = places
    sound = LiveSound((STEPS + 1) * STEP, fade=160)
    for step in range(STEPS):
        sound.play(clip(), STEP, gain=float(sounds(step)))
    trajectory = Trajectory(times=np.arange(STEPS + 1) * STEP / RATE, positions=np.array(way))
    source = SoundSource.moving(trajectory, sound.ring)
    simulator = simulator_in(world, listens, source, engine)
    return np.concatenate([simulator.hear(STEP) for _ in range(STEPS)], 1)


@pytest.mark.parametrize("sounds", [lambda step: True, lambda step: step % 3 > 0, lambda step: step > 6])
@pytest.mark.parametrize("plain", [False, True])
def test_it_is_heard_as_one_that_was_known_before(world, places, sounds, plain):
    engine = Responses(world.propagation) if plain else None
    live, known = (heard(world, places, sounds=sounds, engine=engine) for heard in (heard_live, heard_known))
    # With responses alone, what begins to sound does not fade from the response of a moment before: it has none.
    begun = next(step for step in range(STEPS) if sounds(step)) * STEP + (1000 if plain else 0)
    assert np.abs(known).max() > 0.01
    # The transforms of one block and of four together differ in their last bits.
    assert np.abs(live - known)[:, begun:].max() < 1e-5 * np.abs(known).max()


def test_a_short_ring_is_enough(world, places):
    short, long = (heard_live(world, places, length=length) for length in (2 * RATE, 40 * STEP))
    assert short.tobytes() == long.tobytes()


def test_it_goes_on_after_pickling(world, places):
    assert heard_live(world, places, pickles=True).tobytes() == heard_live(world, places).tobytes()


def test_nothing_is_heard_or_computed_of_one_that_has_not_begun(world, places):
    class Never:
        rate = RATE

        def impulse_response(self, source, listener):
            raise AssertionError("a response was computed")

    assert not heard_live(world, places, sounds=lambda step: False, engine=Never()).any()
    heard = heard_live(world, places, sounds=lambda step: step > 6)
    assert not heard[:, : 7 * STEP].any() and heard[:, 7 * STEP + AHEAD :].any()


def test_a_course_goes_where_it_is_told_and_waits_at_its_end():
    course = Course(np.zeros(3))
    course.go(np.array([1.0, 0.0, 0.0]), 1.0)
    course.go(np.array([1.0, 0.0, 2.0]), 2.0)
    assert course.position(0.5).tolist() == [0.5, 0.0, 0.0] and course.position(9.0).tolist() == [1.0, 0.0, 2.0]
    assert course.velocity(1.5).tolist() == [0.0, 0.0, 2.0] and not course.velocity(2.0).any()
    assert course.distance(2.0) == pytest.approx(3.0)
    for time in range(3, 40):
        course.go(np.array([1.0, 0.0, 2.0]), float(time))
    assert len(course.times) < 15 and course.position(100.0).tolist() == [1.0, 0.0, 2.0]
    with pytest.raises(ConfigurationError, match="m/s"):
        course.go(np.array([1e3, 0.0, 0.0]), 39.1)
    with pytest.raises(ConfigurationError, match="rise"):
        course.go(np.zeros(3), 39.0)
