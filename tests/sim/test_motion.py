"""What moves is heard to move: pitch, level and direction, against closed forms."""

import threading

import numpy as np
import pytest
import trimesh

from harken.acoustics import (
    AcousticSettings,
    Ambisonics,
    FastPropagation,
    ImpulseResponse,
    Listener,
    SoundPaths,
    Source,
    microphone_array,
)
from harken.acoustics.hearing.receivers import SynthesizedParts
from harken.errors import ConfigurationError
from harken.scene import AcousticMaterial, Scene, generate_home
from harken.sim import Simulator, SoundSource, Trajectory, World, WorldSettings
from harken.sim.streams import FadingStream, MovingStream, stream_of

RATE, STEP = 16_000, 4000
ORIGIN = np.zeros(3)


def scene_of(mesh, absorption):
    wall = AcousticMaterial(name="wall", absorption=(absorption,), scattering=(0.0,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(len(mesh.faces), int))


class ExactPathsAlone:
    """An engine without a tail, of paths of some kinds."""

    def __init__(self, engine, kinds):
        self.engine, self.kinds, self.rate, self.speed = engine, kinds, engine.rate, engine.speed

    def parts(self, source, listener):
        paths = SoundPaths.of([path for path in self.engine.paths(source, listener) if path.kind in self.kinds])
        synthesizer = self.engine._synthesizer
        return SynthesizedParts(synthesizer, listener, paths, lambda: synthesizer.silence(listener))

    def impulse_response(self, source, listener):
        return ImpulseResponse(samples=self.parts(source, listener).samples, rate=self.rate)


class ResponsesAlone:
    """An engine of which no more than the protocol is known."""

    def __init__(self, engine):
        self.rate, self.impulse_response = engine.rate, engine.impulse_response


@pytest.fixture(scope="module")
def free():
    """The free field: a box whose walls are far and absorb everything."""
    box = trimesh.creation.box(extents=[900.0] * 3)
    box.invert()
    return FastPropagation(scene_of(box, 1.0), AcousticSettings(reverberation=False, diffraction=False))


@pytest.fixture(scope="module")
def floor():
    """Reflections from a large hard floor, without direct sound."""
    plane = trimesh.Trimesh([[-200, 0, -200], [200, 0, -200], [200, 0, 200], [-200, 0, 200]], [[0, 2, 1], [0, 3, 2]])
    settings = AcousticSettings(diffraction=False, image_order=1)
    return ExactPathsAlone(FastPropagation(scene_of(plane, 0.0), settings), ("specular",))


def tone(frequency, seconds=10.0):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE).astype(np.float32)


def walk(engine, source, poses, format="mono", step=STEP):
    """Return what a listener hears who goes from pose to pose, one in every step."""
    stream = stream_of(engine, source)
    listeners = [Listener(position=place, heading=heading, format=format) for place, heading in poses]
    return np.concatenate([stream.advance(engine, ears, step, jumped=False) for ears in listeners], 1)


def demodulated(heard, frequency, width=513):
    """Return the analytic amplitude of a tone around each sample, and the samples' numbers."""
    n, window = np.arange(len(heard)), np.hanning(width) / np.hanning(width).sum()
    amplitude = 2 * np.convolve(heard * np.exp(-2j * np.pi * frequency * n / RATE), window, "valid")
    return amplitude, n[width // 2 : -(width // 2)]


def mean_frequency(heard, frequency, first, last):
    """Return the mean frequency of a tone between two samples [Hz]."""
    amplitude, n = demodulated(heard, frequency)
    phase = np.unwrap(np.angle(amplitude))
    return frequency + (np.interp(last, n, phase) - np.interp(first, n, phase)) / (2 * np.pi * (last - first) / RATE)


def beside(heard, frequency, width=200.0):
    """Return the loudest that is heard beside a tone in any frame, relative to the tone [dB]."""
    frames = np.lib.stride_tricks.sliding_window_view(heard, 1024)[::128] * np.blackman(1024)
    spectra = np.abs(np.fft.rfft(frames))
    far = np.abs(np.fft.rfftfreq(1024, 1 / RATE) - frequency) > width
    return 20 * np.log10(spectra[:, far].max() / spectra.max())


def standing(count):
    return [(ORIGIN, 0.0)] * count


@pytest.mark.parametrize("speed", [1.0, -1.0, 3.0, -3.0, 30.0, -30.0])
def test_a_source_that_comes_nearer_at_v_sounds_higher_by_c_over_c_minus_v(free, speed):
    far = 40.0 + max(speed, 0.0) * 4
    way = Trajectory(times=[0, 4], positions=[[far, 0, 0], [far - 4 * speed, 0, 0]])
    heard = walk(free, SoundSource.moving(way, tone(1000.0)), standing(16))[0]
    shift = mean_frequency(heard, 1000.0, 1.4 * RATE, 3.8 * RATE) - 1000.0
    assert shift == pytest.approx(1000.0 * speed / (free.speed - speed), rel=1e-3)
    assert beside(heard[int(1.4 * RATE) : int(3.8 * RATE)], 1000.0 + shift) < -60.0


@pytest.mark.parametrize("speed", [1.0, -1.0, 3.0])
def test_a_listener_who_comes_nearer_at_v_hears_it_higher_by_v_over_c(free, speed):
    poses = [([20.0 - 0.25 * speed * k, 0, 0], 0.0) for k in range(16)]
    heard = walk(free, SoundSource(position=ORIGIN, samples=tone(1000.0)), poses)[0]
    shift = mean_frequency(heard, 1000.0, RATE, 3.8 * RATE) - 1000.0
    assert shift == pytest.approx(1000.0 * speed / free.speed, rel=1e-3)


@pytest.mark.parametrize("speed", [1.0, 3.0])
def test_a_reflection_has_the_doppler_shift_of_its_own_way(floor, speed):
    start, ears = np.array([12.0, 2.0, 0.0]), np.array([0.0, 1.5, 0.0])
    way = Trajectory(times=[0, 3], positions=[start, start - [3 * speed, 0, 0]])
    heard = walk(floor, SoundSource.moving(way, tone(1000.0)), [(ears, 0.0)] * 12)[0]

    def length(time):
        """The way from the image below the floor to the ears of what arrives at a time: L = |s(t − L/c) − l|."""
        age = 0.0
        for _ in range(50):
            age = np.linalg.norm(way.position(time - age) * [1, -1, 1] - ears) / floor.speed
        return age * floor.speed

    first, last = 1.0, 2.8
    exact = -1000.0 * (length(last) - length(first)) / (last - first) / floor.speed
    shift = mean_frequency(heard, 1000.0, first * RATE, last * RATE) - 1000.0
    assert shift == pytest.approx(exact, rel=5e-3)


@pytest.mark.parametrize("frequency", [500.0, 1000.0, 2000.0, 2700.0, 4000.0])
@pytest.mark.parametrize("who", ["source", "listener"])
def test_a_tone_keeps_its_level_while_source_or_listener_walk(free, frequency, who):
    if who == "source":
        way = Trajectory(times=[0, 5], positions=[[8, 0, 0], [3, 0, 0]])
        heard = walk(free, SoundSource.moving(way, tone(frequency)), standing(20))[0]
    else:
        poses = [([7.75 - 0.25 * k, 0, 0], 0.0) for k in range(20)]
        heard = walk(free, SoundSource(position=ORIGIN, samples=tone(frequency)), poses)[0]
    amplitude, n = demodulated(heard, frequency * (1.0 + 1.0 / free.speed))
    inside = (n > RATE) & (n < 4.8 * RATE)
    # What comes from a moving source left it farther away.
    distance = (8.0 - n / RATE) / (1.0 - (who == "source") / free.speed)
    levels = 20 * np.log10(np.abs(amplitude) * distance)[inside]
    assert np.ptp(levels) < 0.2 and np.abs(levels).max() < 0.3, "air absorbs 0.2 dB at 4 kHz"
    assert beside(heard[RATE : 4 * RATE], frequency) < -60.0


@pytest.mark.parametrize("frequency", [500.0, 1000.0, 2000.0, 4000.0])
def test_a_head_that_turns_in_place_hears_no_comb(free, frequency):
    turns, place = np.radians(10.0) * np.arange(19), np.array([3.0, 0.0, -1.0])
    source = SoundSource(position=place, samples=tone(frequency))
    heard = walk(free, source, [(ORIGIN, turn) for turn in turns], "binaural")
    for ear in range(2):
        standing_there = []
        for turn in np.radians(2.5) * np.arange(4, 68):
            listener = Listener(position=ORIGIN, heading=turn)
            impulse = free.impulse_response(place, listener).samples[ear]
            standing_there.append(np.abs(impulse @ np.exp(2j * np.pi * frequency * np.arange(len(impulse)) / RATE)))
        amplitude, n = demodulated(heard[ear], frequency, 129)
        moving = np.interp(STEP * (1 + np.arange(4, 68) / 4), n, np.abs(amplitude))
        # At 4 kHz the filters of neighbouring measured directions cancel in part in the deepest shadow of the head.
        most = 3.0 if frequency == 4000.0 else 1.0
        assert np.abs(20 * np.log10(moving / standing_there)).max() < most
        assert beside(heard[ear, STEP:], frequency) < -50.0


@pytest.mark.parametrize("format", ["mono", "binaural", Ambisonics(order=1), microphone_array("tetrahedral")])
def test_walking_turning_and_standing_follow_one_another_without_clicks(free, format):
    place, heading, poses = np.array([6.0, 0.0, 0.0]), 0.2, []
    for action in "..wwttw..tt.wwtw..t":
        place = place - [0.25, 0.0, 0.05] if action == "w" else place
        heading += np.radians(10.0) * (action == "t")
        poses.append((place, heading))
    heard = walk(free, SoundSource(position=ORIGIN, samples=tone(1000.0)), poses, format)
    loudest = np.abs(heard[:, 1000:]).max()
    for channel in heard:
        frames = np.lib.stride_tricks.sliding_window_view(channel[1000:], 1024)[::128] * np.blackman(1024)
        spectra = np.abs(np.fft.rfft(frames))[:, np.abs(np.fft.rfftfreq(1024, 1 / RATE) - 1000.0) > 200.0]
        assert spectra.max() / (loudest * np.blackman(1024).sum() / 2) < 10 ** (-50 / 20)


def test_a_source_that_starts_and_stops_walking_does_not_click(free):
    way = Trajectory(times=[0.6, 1.7, 2.3, 3.1], positions=[[6, 0, 0], [5, 0, 0], [5, 0, 0], [5.0, 0, 2.0]])
    heard = walk(free, SoundSource.moving(way, tone(1000.0)), standing(16))[0]
    assert beside(heard[1000:], 1000.0) < -60.0


def test_a_pulse_arrives_its_way_after_it_was_emitted(free):
    clip = np.zeros(10 * RATE, np.float32)
    emitted = 2.3
    clip[round(emitted * RATE)] = 1.0
    speed = 20.0
    way = Trajectory(times=[0, 5], positions=[[150, 0, 0], [50, 0, 0]])
    heard = walk(free, SoundSource.moving(way, clip), standing(20))[0]
    arrival = emitted + (150 - speed * emitted) / free.speed
    assert np.abs(heard).argmax() / RATE == pytest.approx(arrival, abs=1.5 / RATE)


def test_a_sound_begins_at_its_onset_while_its_source_walks(free):
    way = Trajectory(times=[0, 5], positions=[[20, 0, 0], [15, 0, 0]])
    source = SoundSource.moving(way, tone(1000.0), onset=1.0, duration=1.0)
    heard = np.abs(walk(free, source, standing(12))[0])
    begin, end = (time + (20.0 - time) / free.speed for time in (1.0, 2.0))
    n = np.arange(len(heard)) / RATE
    assert heard[(n < begin - 0.002) | (n > end + 0.011)].max() < 1e-3 * heard.max()
    assert heard[(n > begin + 0.01) & (n < begin + 0.02)].max() > 0.5 * heard.max()


def test_noise_keeps_its_level_while_everything_moves(free):
    noise = np.random.default_rng(0).normal(size=3 * RATE).astype(np.float32)
    way = Trajectory(times=[0, 4], positions=[[8, 0, 0], [8, 0, 4]])
    poses = [([0.25 * k, 0, 0.1 * k], 0.05 * k) for k in range(12)]
    heard = walk(free, SoundSource.moving(way, noise), poses)[0]
    levels, places = [], np.array([place for place, _ in poses])
    for k in range(2, 11):
        time = np.arange(k * STEP, (k + 1) * STEP) / RATE
        ears = np.stack([np.interp(time, np.arange(1, 13) / 4, places[:, axis]) for axis in range(3)], 1)
        distance = np.linalg.norm(np.array([way.position(t) for t in time]) - ears, axis=1)
        levels.append(10 * np.log10(np.mean((heard[k * STEP : (k + 1) * STEP] * distance) ** 2)))
    assert np.ptp(levels) < 0.6, "noise of a quarter of a second varies by a few tenths of a dB"


def test_a_body_that_is_put_elsewhere_is_faded_over_and_does_not_race_there(free):
    stream = MovingStream(SoundSource(position=ORIGIN, samples=tone(1000.0)))
    near, far = Listener(position=[2.0, 0, 0], format="mono"), Listener(position=[40.0, 0, 0], format="mono")
    stream.advance(free, near, STEP, jumped=True)
    heard = stream.advance(free, far, STEP, jumped=True)[0]
    exact = np.convolve(np.resize(tone(1000.0), 2 * STEP), free.impulse_response(ORIGIN, far).samples[0])
    np.testing.assert_allclose(heard[800:], exact[STEP + 800 : 2 * STEP], atol=1e-4)


def test_a_body_that_would_race_is_faded_over_as_well(free):
    near, far = Listener(position=[2.0, 0, 0], format="mono"), Listener(position=[40.0, 0, 0], format="mono")
    heard = []
    for jumped in (True, False):
        stream = MovingStream(SoundSource(position=ORIGIN, samples=tone(1000.0)))
        heard.append([stream.advance(free, ears, STEP, jumped=jumped) for ears in (near, far)][1])
    assert heard[0].tobytes() == heard[1].tobytes(), "38 m in a quarter of a second are 152 m/s"


def test_an_engine_that_gives_responses_only_fades_from_one_to_the_next(free):
    engine = ResponsesAlone(free)
    source = SoundSource(position=ORIGIN, samples=tone(1000.0))
    stream = stream_of(engine, source)
    assert isinstance(stream, FadingStream) and isinstance(stream_of(free, source), MovingStream)
    places = [Listener(position=[x, 0, 0], format="mono") for x in (3.0, 2.75)]
    heard = np.concatenate([stream.advance(engine, ears, STEP, jumped=False) for ears in places], 1)[0]
    responses = [engine.impulse_response(ORIGIN, ears).samples[0] for ears in places]
    old, new = (np.convolve(tone(1000.0), response)[STEP : 2 * STEP] for response in responses)
    share = np.r_[np.arange(1, 801) / 801, np.ones(STEP - 800)]
    np.testing.assert_allclose(heard[STEP:], share * new + (1 - share) * old, atol=1e-5)


@pytest.fixture(scope="module")
def home():
    return World(
        scene=generate_home(1, split="train"), settings=WorldSettings(acoustics=AcousticSettings(duration=0.5))
    )


def through_the_home(home, seed=4, steps=10):
    """Return what a body hears that walks at random, of a source that stands and one that walks."""
    rng = np.random.default_rng(seed)
    simulator = Simulator(home)
    simulator.place(home.floor.random_point(rng), 0.3)
    way = home.floor.distance_field(home.floor.random_point(rng)).path(home.floor.random_point(rng)).points
    noise = rng.normal(size=RATE).astype(np.float32)
    simulator.set_sources(
        [
            SoundSource(position=simulator.position + [0.3, 1.4, 0.2], samples=noise),
            SoundSource.moving(Trajectory.along(way + [0, 1.5, 0], 1.0), noise),
        ]
    )
    heard = []
    for _ in range(steps):
        if rng.random() < 0.6:
            simulator.move_forward(0.25)
        else:
            simulator.turn(np.radians(10.0))
        heard.append(simulator.hear_each(STEP))
    return np.concatenate(heard, 2)


def test_a_walk_through_a_home_sounds_the_same_again_also_beside_other_threads(home):
    first, others = through_the_home(home), {}
    threads = [threading.Thread(target=lambda i=i: others.update({i: through_the_home(home)})) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert np.isfinite(first).all() and np.abs(first).max() > 0.01
    for other in others.values():
        assert other.tobytes() == first.tobytes()


def test_the_tail_keeps_its_level_through_a_walk(home):
    rng = np.random.default_rng(2)
    simulator = Simulator(home, hearing="mono")
    simulator.place(home.floor.random_point(rng), 0.0)
    start = simulator.position
    source = Source(position=home.floor.random_point(rng) + [0, 1.3, 0])
    noise = rng.normal(size=4 * RATE).astype(np.float32)
    simulator.set_sources([SoundSource(position=source.position, samples=noise)])
    levels = []
    for k in range(24):
        simulator.heading = 0.5 * np.pi * k
        simulator.move_forward(0.25)
        before = simulator.ears
        heard = simulator.hear(STEP)
        energy = np.sum(simulator.impulse_response(simulator.sources[0].at(0.0), before).samples ** 2)
        if k > 4:
            levels.append(10 * np.log10(np.mean(heard**2) / energy))
    assert np.linalg.norm(simulator.position - start) < 3.0
    assert np.abs(np.mean(levels)) < 1.0 and np.std(levels) < 1.5, "as loud as standing where each step ends"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Trajectory(times=[0, 1], positions=[[0, 0, 0], [101, 0, 0]]), "101 m/s from place 0 to place 1"),
        (lambda: Trajectory.along(np.array([[0, 0, 0], [1, 0, 0]]), 101.0), "speed is 101"),
        (lambda: Trajectory.along(np.array([[0, 0, 0], [1, 0, 0]]), np.nan), "speed is nan"),
        (lambda: Trajectory(times=[0, np.nan], positions=np.zeros((2, 3))), "finite"),
        (lambda: Trajectory(times=[0, 1], positions=[[0, 0, 0], [np.nan, 0, 0]]), "finite"),
    ],
)
def test_ways_too_fast_or_not_finite_are_refused(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_a_long_step_is_the_same_as_several_short_ones(home):
    rng = np.random.default_rng(3)
    way = home.floor.distance_field(home.floor.random_point(rng)).path(home.floor.random_point(rng)).points
    place, noise = home.floor.random_point(rng), rng.normal(size=RATE).astype(np.float32)
    heard = []
    for step in (STEP, 4 * STEP):
        simulator = Simulator(home)
        simulator.place(place, 0.0)
        simulator.set_sources([SoundSource.moving(Trajectory.along(way + [0, 1.5, 0], 1.0), noise)])
        heard.append(np.concatenate([simulator.hear(step) for _ in range(4 * STEP // step)], 1))
    assert heard[0].tobytes() == heard[1].tobytes()
