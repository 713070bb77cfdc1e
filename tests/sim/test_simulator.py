import gc
import pickle
import weakref

import numpy as np
import pytest
import trimesh

from harken import Scene, Simulator, World
from harken.acoustics import AcousticSettings, Listener, Source
from harken.acoustics.measures import interaural_level_difference, interaural_time_difference
from harken.errors import (
    ConfigurationError,
    HarkenError,
    HarkenWarning,
    NavigationError,
    SoundError,
    StateError,
)
from harken.scene import AcousticMaterial, Body
from harken.sim import Mount, SimulatorProtocol, SoundSource, WorldSettings, forward_vector
from harken.vision import Camera

RATE = 16_000


def two_rooms(door=(2.5, 3.5)):
    """Two rooms of 5 × 6 m side by side along x, with a door in the wall between them at z from door[0] to door[1]."""

    def box(lower, upper):
        lower, upper = np.array(lower, float), np.array(upper, float)
        return trimesh.creation.box(extents=upper - lower).apply_translation((lower + upper) / 2)

    parts = [
        box([-0.2, -0.2, -0.2], [10.2, 0, 6.2]),
        box([-0.2, 2.6, -0.2], [10.2, 2.8, 6.2]),
        box([-0.2, 0, -0.2], [0, 2.6, 6.2]),
        box([10, 0, -0.2], [10.2, 2.6, 6.2]),
        box([0, 0, -0.2], [10, 2.6, 0]),
        box([0, 0, 6], [10, 2.6, 6.2]),
        box([4.95, 0, 0], [5.05, 2.6, door[0]]),
        box([4.95, 0, door[1]], [5.05, 2.6, 6]),
        box([4.95, 2.1, door[0]], [5.05, 2.6, door[1]]),
    ]
    mesh = trimesh.util.concatenate(parts)
    plaster = AcousticMaterial(name="plaster", absorption=(0.2,), scattering=(0.3,), transmission=(1e-4,))
    return Scene(
        vertices=mesh.vertices, faces=mesh.faces, materials=(plaster,), material=np.zeros(len(mesh.faces), int)
    )


@pytest.fixture(scope="module")
def world():
    return World(scene=two_rooms(), settings=WorldSettings(acoustics=AcousticSettings(rays=2000, duration=0.6)))


@pytest.fixture
def simulator(world):
    made = Simulator(world)
    made.place(np.array([2.0, 0.0, 3.0]), 0.0)
    return made


def clip(seconds=1.0, seed=0):
    return np.float32(0.1 * np.random.default_rng(seed).normal(size=int(seconds * RATE)))


def test_the_simulator_keeps_the_seam(simulator):
    assert isinstance(simulator, SimulatorProtocol)


@pytest.mark.parametrize("door", [(0.8, 1.8), (4.2, 5.2)])
def test_a_sound_in_the_next_room_comes_from_the_door(door):
    world = World(scene=two_rooms(door), settings=WorldSettings(acoustics=AcousticSettings(rays=6000, duration=0.6)))
    simulator = Simulator(world)
    middle = np.mean(door)
    # Facing the wall (+x); the door is to one side, and the source straight behind the wall.
    simulator.place(np.array([3.0, 0.0, 3.0]), -np.pi / 2)
    simulator.set_sources([SoundSource(position=[7.0, 1.5, 3.0], samples=clip())])
    response = simulator.impulse_response()
    assert response.paths[0].kind == "transmitted"
    towards = next(path for path in response.paths if path.kind == "diffracted").direction
    to_door = np.array([5.0, 1.5, middle]) - simulator.ears.position
    assert np.dot(towards, to_door) / np.linalg.norm(to_door) > np.cos(np.radians(10)), (
        "the first arrival is the door's"
    )
    # +z is right of a body that faces +x.
    right = 1.0 if middle > 3.0 else -1.0
    heard = simulator.hear(RATE)
    assert right * interaural_level_difference(heard) < -1.0
    assert right * interaural_time_difference(response.samples, RATE) < -1e-4


def test_a_sound_in_the_same_room_is_louder_than_behind_a_wall(simulator):
    levels = []
    for x in (3.5, 6.5):
        response = simulator.impulse_response(Source(position=[x, 1.5, 1.0]))
        levels.append(10 * np.log10(np.mean(response.samples**2)))
    assert levels[0] > levels[1] + 6.0


def test_loudness_changes_smoothly_on_a_walk_through_the_door(simulator):
    source = Source(position=[2.0, 1.5, 3.0])
    levels = []
    for x in np.arange(3.5, 7.0, 0.1):
        samples = simulator.impulse_response(source, Listener(position=[x, 1.5, 3.0], heading=0.0)).samples
        levels.append(10 * np.log10(np.sum(samples**2)))
    assert np.abs(np.diff(levels)).max() < 2.0, "a step of 10 cm changes little"
    assert levels[0] > levels[-1]


def test_walking_ahead_follows_the_heading_and_reports_walls(simulator):
    for heading in (0.0, np.pi / 2, -np.pi / 2, np.pi):
        simulator.place(np.array([2.5, 0.0, 3.0]), heading)
        assert not simulator.move_forward(0.25)
        np.testing.assert_allclose(simulator.position, [2.5, 0, 3.0] + 0.25 * forward_vector(heading), atol=1e-3)
    simulator.place(np.array([2.5, 0.0, 3.0]), 0.0)
    collided = [simulator.move_forward(0.25) for _ in range(16)]
    assert collided[0] is False and collided[-1] is True
    assert 0.15 < simulator.position[2] < 0.3, "it stands a body's radius from the wall"


def test_turning_left_is_counter_clockwise_seen_from_above():
    np.testing.assert_allclose(forward_vector(0.0), [0, 0, -1], atol=1e-12)
    np.testing.assert_allclose(forward_vector(np.pi / 2), [-1, 0, 0], atol=1e-12)


def test_time_passes_as_samples_are_heard(simulator):
    simulator.set_sources([SoundSource(position=[3.0, 1.5, 2.0], samples=clip())])
    for _ in range(3):
        simulator.hear(4000)
    assert simulator.time == pytest.approx(0.75)


def test_what_is_heard_does_not_depend_on_the_length_of_the_steps(world):
    heard = []
    for block in (1000, 4000):
        simulator = Simulator(world)
        simulator.place(np.array([2.0, 0.0, 3.0]), 0.3)
        simulator.set_sources([SoundSource(position=[3.0, 1.5, 2.0], samples=clip(), offset=123)])
        heard.append(np.concatenate([simulator.hear(block) for _ in range(16_000 // block)], axis=1))
    np.testing.assert_allclose(heard[0], heard[1], atol=1e-4)


def test_two_sources_are_heard_as_the_sum_of_each(world):
    sources = [
        SoundSource(position=[3.0, 1.5, 2.0], samples=clip(seed=1)),
        SoundSource(position=[7.0, 1.5, 4.0], samples=clip(seed=2)),
    ]
    heard = []
    for chosen in (sources, sources[:1], sources[1:]):
        simulator = Simulator(world)
        simulator.place(np.array([2.0, 0.0, 3.0]), 0.0)
        simulator.set_sources(chosen)
        heard.append(simulator.hear(8000))
    np.testing.assert_allclose(heard[0], heard[1] + heard[2], atol=1e-5)


def test_a_source_with_onset_and_duration_sounds_between_them(simulator):
    simulator.set_sources([SoundSource(position=[3.0, 1.5, 2.0], samples=clip(), onset=0.5, duration=0.25)])
    levels = [np.abs(simulator.hear(4000)).max() for _ in range(8)]
    assert max(levels[:2]) < 1e-6 and levels[2] > 1e-3 and levels[7] < 1e-6


def test_simulators_share_a_world_and_do_not_disturb_each_other(world):
    one, other = Simulator(world), Simulator(world)
    one.place(np.array([2.0, 0.0, 3.0]), 0.0)
    other.place(np.array([7.0, 0.0, 3.0]), 1.0)
    one.set_sources([SoundSource(position=[3.0, 1.5, 2.0], samples=clip())])
    other.set_sources([SoundSource(position=[6.0, 1.5, 2.0], samples=clip(seed=5))])
    alternating = [(one.hear(4000), other.hear(4000)) for _ in range(3)]
    alone = Simulator(world)
    alone.place(np.array([2.0, 0.0, 3.0]), 0.0)
    alone.set_sources([SoundSource(position=[3.0, 1.5, 2.0], samples=clip())])
    for pair in alternating:
        assert alone.hear(4000).tobytes() == pair[0].tobytes()


def test_a_world_survives_pickling(world):
    copy = pickle.loads(pickle.dumps(world))
    source, listener = Source(position=[3, 1.5, 2]), Listener(position=[2, 1.5, 3])
    one, other = (w.propagation.impulse_response(source, listener).samples for w in (world, copy))
    assert one.tobytes() == other.tobytes()


def test_a_world_that_nobody_uses_is_gone_at_once():
    world = World(scene=two_rooms(), settings=WorldSettings(acoustics=AcousticSettings(rays=50, duration=0.2)))
    simulator = Simulator(world)
    simulator.place((2.0, 0.0, 3.0), 0.0)
    simulator.set_sources([SoundSource(position=[8.0, 1.5, 3.0], samples=clip())])
    simulator.hear(1000), simulator.see(("rgb", "depth"))
    scene = weakref.ref(world.scene)
    gc.disable()  # which would find it in a cycle, but only in a while: long runs through many homes filled the memory
    try:
        del world, simulator
        assert scene() is None
    finally:
        gc.enable()


def test_images_of_the_body_show_the_wall_ahead(simulator):
    simulator.place(np.array([2.5, 0.0, 3.0]), 0.0)
    depth = simulator.see(("depth",))["depth"]
    assert depth[64, 64, 0] == pytest.approx(3.0, abs=0.02)


def test_a_camera_is_mounted_on_the_body_and_turns_with_it(simulator):
    simulator.place(np.array([2.5, 0.0, 3.0]), np.pi / 2)
    camera = Camera(width=16, height=8, field_of_view=0.5)

    def ahead(**mount):
        return simulator.see(("depth",), camera=camera, mount=Mount(**mount))["depth"][4, 8, 0]

    assert ahead() == pytest.approx(2.5, abs=0.02), "the wall at x = 0"
    assert ahead(ahead=0.5) == pytest.approx(2.0, abs=0.02)
    assert ahead(yaw=np.pi / 2) == pytest.approx(3.0, abs=0.02), "to the left of −x is +z"
    assert ahead(left=1.0, yaw=np.pi / 2) == pytest.approx(2.0, abs=0.02)
    assert ahead(height=0.5, pitch=-np.pi / 2 + 1e-3) == pytest.approx(0.5, abs=0.02)


def test_geodesic_distance_goes_through_the_door(simulator):
    distance = simulator.ground.distance(np.array([4.0, 0, 0.5]), np.array([6.0, 0, 0.5]))
    assert distance == pytest.approx(2 * np.hypot(0.75, 2.2) + 0.5, rel=0.06)


def test_bad_calls_say_what_to_do(world):
    simulator = Simulator(world)
    with pytest.raises(StateError, match="place"):
        simulator.hear(100)
    with pytest.raises(NavigationError):
        simulator.place(np.array([50.0, 0, 50.0]), 0.0)
    with pytest.raises(NavigationError, match="three finite numbers"):
        simulator.place(np.array([np.nan, 0, 0]), 0.0)
    with pytest.raises(StateError, match="set_sources"):
        simulator.impulse_response()
    with pytest.raises(ConfigurationError, match="belong to the world"):
        Simulator(world, size=Body())
    with pytest.raises(ConfigurationError, match="continuous"):
        WorldSettings(motion="flying")
    for samples in (np.zeros(0), np.full(10, np.nan), np.zeros((2, 10))):
        with pytest.raises(SoundError, match="source"):
            SoundSource(position=[0, 1, 0], samples=samples)


def test_a_source_inside_a_wall_is_refused(simulator):
    simulator.place(np.array([2.0, 0.0, 3.0]), 0.0)
    with pytest.raises(SoundError, match="inside"):
        simulator.impulse_response(Source(position=[5.0, 1.5, 1.0]))


@pytest.mark.parametrize("far", [1e9, 1e15, 1e19, 1e30, 1e300, -1e19, -1e300])
def test_places_far_away_are_refused_and_do_not_crash_the_interpreter(simulator, far):
    for position in ([far, 0.0, 3.0], [2.0, far, 3.0], [2.0, 0.0, far]):
        with pytest.raises(NavigationError):
            simulator.place(position, 0.0)
        with pytest.raises(HarkenError):
            simulator.impulse_response(Source(position=position))
    with pytest.raises(NavigationError, match="distance to walk"):
        simulator.move_forward(abs(far))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda sim: sim.place("here", 0.0), "three finite numbers"),
        (lambda sim: sim.place(None, 0.0), "three finite numbers"),
        (lambda sim: sim.place([2, 0, 3], "north"), "heading of the body"),
        (lambda sim: sim.turn(float("nan")), "angle to turn by"),
        (lambda sim: sim.turn("left"), "angle to turn by"),
        (lambda sim: sim.move_forward(-1.0), "distance to walk"),
        (lambda sim: sim.hear(-5), "number of samples"),
        (lambda sim: sim.hear(0), "number of samples"),
        (lambda sim: sim.hear(1.5), "number of samples"),
        (lambda sim: sim.hear(10**9), "number of samples"),
        (lambda sim: sim.set_sources(["telephone"]), "expected a SoundSource"),
        (lambda sim: sim.impulse_response({"position": [1, 1, 1]}), "a Source or its position"),
        (lambda sim: sim.impulse_response([1, 1.5, 1], {"position": 3}), "expected a Listener"),
        (lambda sim: SoundSource(position=[0, 1], samples=clip()), "position of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples="hello"), "sound of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples=np.full(9, 1e38)), "sound of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples=clip(), offset=0.5), "offset of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples=clip(), onset=float("nan")), "onset of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples=clip(), duration=float("nan")), "duration of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples=clip(), directivity="talker"), "directivity of a source"),
        (lambda sim: SoundSource(position=[0, 1, 0], samples=clip(), trajectory=[[0, 0, 0]]), "trajectory of a source"),
        (lambda sim: Simulator("flat.glb"), "expected a Scene"),
        (lambda sim: Simulator(sim.world.scene, ear_hight=1.0), "Did you mean 'ear_height'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_words(simulator, call, message):
    with pytest.raises(HarkenError, match=message):
        call(simulator)


def test_integer_samples_sound_at_their_full_scale():
    wave = np.round(0.25 * 32767 * np.sin(np.arange(100))).astype(np.int16)
    source = SoundSource(position=[0, 1, 0], samples=wave)
    np.testing.assert_allclose(source.samples, 0.25 * np.sin(np.arange(100)), atol=1e-4)


def test_a_body_that_is_put_aside_and_a_source_outside_are_told(simulator):
    with pytest.warns(HarkenWarning, match=r"put 0\.\d\d m aside"):
        simulator.place([4.95, 0.0, 1.5], 0.0)
    with pytest.warns(HarkenWarning, match="outside the scene"):
        simulator.set_sources([SoundSource(position=[2.0, 1.5, 30.0], samples=clip())])
    assert len(repr(simulator)) < 120 and "SoundSource" not in repr(simulator)
