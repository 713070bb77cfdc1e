"""What every simulator does, whoever renders and whoever knows the floor.

The room is 8 × 6 × 3 m; a wall across it leaves a gap of 2 m at one end. Tolerances of places are those of a navigation
mesh with cells of 5 cm and heights in steps of 0.2 m.
"""

import gc
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from harken import Scene
from harken.acoustics import AcousticSettings, Source
from harken.envs import TaskEnv
from harken.errors import HarkenError, MissingDependencyError, NavigationError, SoundError, StateError, UnknownNameError
from harken.scene import AcousticMaterial, Appearance
from harken.sim import Mount, Simulator, SimulatorProtocol, SoundSource, WorldSettings, forward_vector, make_simulator
from harken.vision import Camera

RATE, SPEED = 16_000, 343.2
"""Sampling rate [Hz], and speed of sound in air of 20 °C [m/s]."""

NEAR = 0.1
"""How near places have to be, where a navigation mesh rounds them [m]."""

CAMERA = Camera(width=64, height=48)
SETTINGS = WorldSettings(acoustics=AcousticSettings(rays=1000, duration=0.4))

COLORS = {"-z": (200, 40, 40), "+z": (40, 200, 40), "-x": (40, 40, 200), "+x": (200, 200, 40), "rest": (150, 150, 150)}


def room() -> Scene:
    """x from −4 to 4 m, z from −3 to 3 m; the wall across stands at x = 0 from z = −3 to 1 m, 0.2 m thick.

    The floor is wood, and everything else plaster.
    """
    parts = {
        "floor": ([-4.2, -0.2, -3.2], [4.2, 0.0, 3.2]),
        "ceiling": ([-4.2, 3.0, -3.2], [4.2, 3.2, 3.2]),
        "-x": ([-4.2, 0.0, -3.2], [-4.0, 3.0, 3.2]),
        "+x": ([4.0, 0.0, -3.2], [4.2, 3.0, 3.2]),
        "-z": ([-4.0, 0.0, -3.2], [4.0, 3.0, -3.0]),
        "+z": ([-4.0, 0.0, 3.0], [4.0, 3.0, 3.2]),
        "across": ([-0.1, 0.0, -3.0], [0.1, 3.0, 1.0]),
    }
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    vertices, faces, colors = [], [], []
    for name, (low, high) in parts.items():
        first = 8 * len(colors)
        vertices += [[(low, high)[i >> 2][0], (low, high)[i >> 1 & 1][1], (low, high)[i & 1][2]] for i in range(8)]
        for a, b, c, d in quads:
            faces += [[first + a, first + b, first + c], [first + a, first + c, first + d]]
        colors.append(COLORS.get(name, COLORS["rest"]))
    count = len(faces)
    appearance = Appearance(
        colors=np.repeat(np.array(colors, np.uint8), 12, 0)[:, None].repeat(3, 1),
        texture=np.full(count, -1, np.int32),
        uv=np.zeros((count, 3, 2), np.float32),
    )
    plaster = AcousticMaterial(name="plaster", absorption=(0.3,), scattering=(0.3,), transmission=(0.0,))
    wood = AcousticMaterial(name="wood_floor", absorption=(0.3,), scattering=(0.3,), transmission=(0.0,))
    material = np.array([1] * 12 + [0] * (count - 12))  # the floor is the first part
    return Scene(
        vertices=np.array(vertices), faces=np.array(faces), materials=(plaster, wood), material=material,
        appearance=appearance, name="contract",
    )  # fmt: skip


def make(kind: str, scene, settings=SETTINGS, **options):
    """Make a simulator of a kind, or skip the test and say why."""
    if kind == "harken":
        return make_simulator(scene, settings, **options)
    from harken.integrations.habitat import make_habitat_simulator

    audio = "habitat" if kind == "habitat, its own audio" else "harken"
    try:
        return make_habitat_simulator(scene, settings, audio=audio, **options)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    except SoundError as error:
        if audio == "harken":
            raise
        pytest.skip(str(error))


KINDS = ("harken", "habitat")


@pytest.fixture(scope="module", params=KINDS)
def shared(request):
    return make(request.param, room(), camera=CAMERA, mount=Mount(height=1.0))


@pytest.fixture
def simulator(shared):
    shared.set_sources([])
    shared.place(np.array([-2.0, 0.0, 1.0]), 0.0)
    return shared


@pytest.fixture(scope="module", params=(*KINDS, "habitat, its own audio"))
def hearing(request):
    return make(request.param, room(), camera=CAMERA)


def test_it_implements_the_protocol(simulator):
    assert isinstance(simulator, SimulatorProtocol)
    assert simulator.rate == RATE and simulator.ear_height == 1.5 and simulator.name
    assert dict(simulator.doors) == {} and simulator.door_ahead() is None
    simulator.set_doors({})
    with pytest.raises(UnknownNameError):
        simulator.set_doors({"door 1": "open"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_stands_nowhere_senses_nothing(kind):
    made = make(kind, room(), camera=CAMERA)
    acts = (lambda: made.see(("depth",)), lambda: made.hear(100), lambda: made.move_forward(1.0), made.floor_material)
    for act in acts:
        with pytest.raises(StateError, match="place"):
            act()


def test_a_body_stands_where_it_is_placed_on_the_floor(simulator):
    simulator.place(np.array([1.3, 0.4, -0.7]), 5 * np.pi / 2)
    assert simulator.position[[0, 2]] == pytest.approx([1.3, -0.7], abs=1e-3)
    assert simulator.position[1] == pytest.approx(0.0, abs=0.21)
    assert simulator.heading == pytest.approx(np.pi / 2)
    for place in ([30.0, 0.0, 0.0], [np.nan, 0.0, 0.0]):
        with pytest.raises(NavigationError):
            simulator.place(np.array(place), 0.0)
    assert simulator.position[0] == pytest.approx(1.3, abs=1e-3), "a refused place changes nothing"


@pytest.mark.parametrize(
    ("heading", "way"), [(0.0, (0, -1)), (np.pi / 2, (-1, 0)), (np.pi, (0, 1)), (-np.pi / 2, (1, 0))]
)
def test_a_step_goes_where_the_body_faces(simulator, heading, way):
    simulator.place(np.array([-2.0, 0.0, 0.0]), heading)
    collided = simulator.move_forward(0.25)
    assert not collided
    assert simulator.position[[0, 2]] == pytest.approx(np.array([-2.0, 0.0]) + 0.25 * np.array(way), abs=1e-3)
    assert simulator.heading == pytest.approx(heading)


def test_turns_are_positive_to_the_left_and_wrap(simulator):
    for _ in range(3):
        simulator.turn(np.pi / 4)
    assert simulator.heading == pytest.approx(3 * np.pi / 4)
    simulator.turn(np.pi / 2)
    assert simulator.heading == pytest.approx(-3 * np.pi / 4)
    simulator.turn(-np.pi / 2)
    assert simulator.heading == pytest.approx(3 * np.pi / 4)
    assert simulator.position[[0, 2]] == pytest.approx([-2.0, 1.0], abs=1e-3)


def test_a_wall_stops_the_body_a_radius_away(simulator):
    simulator.place(np.array([-2.0, 0.0, -2.0]), -np.pi / 2)  # towards the wall across
    steps = [simulator.move_forward(0.25) for _ in range(12)]
    assert steps[:6] == [False] * 6 and all(steps[7:])
    assert simulator.position[[0, 2]] == pytest.approx([-0.1 - SETTINGS.size.radius, -2.0], abs=NEAR)


def test_a_body_slides_along_a_wall(simulator):
    simulator.place(np.array([-3.5, 0.0, 0.0]), np.pi / 4)  # to −x and −z
    collided = [simulator.move_forward(0.5) for _ in range(3)]
    assert collided[-1]
    assert simulator.position[[0, 2]] == pytest.approx([-4.0 + SETTINGS.size.radius, -1.5 * math.sqrt(0.5)], abs=NEAR)


def test_places_are_snapped_to_the_nearest_floor(simulator):
    ground, radius = simulator.ground, SETTINGS.size.radius
    inside = ground.snap([-3.95, 0.0, 0.5])
    assert inside[[0, 2]] == pytest.approx([-4.0 + radius, 0.5], abs=NEAR)
    assert ground.is_free(inside) and ground.snap(inside) == pytest.approx(inside, abs=1e-4)
    assert not ground.is_free([-3.95, 0.0, 0.5]) and not ground.is_free([0.0, 0.0, 0.0])
    assert not ground.is_free([np.nan, 0.0, 0.0]) and not ground.is_free([20.0, 0.0, 0.0])
    for place in ([20.0, 0.0, 0.0], [np.inf, 0.0, 0.0]):
        with pytest.raises(NavigationError):
            ground.snap(place)


def test_distances_are_geodesic(simulator):
    ground = simulator.ground
    left, right, near = (ground.snap(place) for place in ([-2.0, 0, -2.0], [2.0, 0, -2.0], [-2.0, 0, 2.0]))
    assert ground.distance(left, near) == pytest.approx(4.0, rel=0.01)
    assert ground.distance(left, left) == pytest.approx(0.0, abs=1e-3)
    # Around the end of the wall: at least the string around the wall itself, at most one around a square corner a
    # radius and a cell away from it.
    around, margin = ground.distance(left, right), SETTINGS.size.radius + NEAR
    shortest = 2 * math.hypot(1.9, 3.0) + 0.2
    widest = 2 * math.hypot(1.9 - margin, 3.0 + margin) + 0.2 + 2 * margin
    assert shortest < around < widest
    assert ground.distance(right, left) == pytest.approx(around, rel=1e-3)
    path = ground.shortest_path(left, right)
    assert path[0] == pytest.approx(left, abs=1e-3) and path[-1] == pytest.approx(right, abs=1e-3)
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(around, rel=0.01)
    assert all(ground.is_free(ground.snap(point)) and point[2] < 1.0 + 2 * margin for point in path)
    several = ground.distances(np.array([left, near, [0.0, 0.0, 0.0]]), right)
    assert several[:2] == pytest.approx([around, ground.distance(near, right)], rel=1e-3) and np.isnan(several[2])
    with pytest.raises(NavigationError):
        ground.distance([0.0, 0.0, 0.0], left)
    with pytest.raises(NavigationError):
        ground.distance(left, [20.0, 0.0, 0.0])


def test_steps_add_up_to_the_distance(simulator):
    ground = simulator.ground
    start, goal = ground.snap([-3.0, 0.0, 2.0]), ground.snap([3.0, 0.0, 2.0])
    place, walked = start, 0.0
    for _ in range(10):
        onward, collided = ground.move(place, -np.pi / 2, 0.25)
        walked += ground.length(place, onward)
        assert not collided
        assert ground.distance(onward, goal) == pytest.approx(ground.distance(place, goal) - 0.25, abs=0.01)
        place = onward
    assert walked == pytest.approx(2.5, abs=0.01)
    several = ground.moves(start, [0.0, 1.0, -np.pi / 2], 0.25)
    each = [ground.move(start, heading, 0.25)[0] for heading in (0.0, 1.0, -np.pi / 2)]
    assert several == pytest.approx(np.array(each), abs=1e-9)


def test_random_places_are_uniform_over_the_room_and_follow_the_seed(simulator):
    ground = simulator.ground
    places = np.array([ground.random_point(rng) for rng in [np.random.default_rng(3)] for _ in range(400)])
    again = np.array([ground.random_point(rng) for rng in [np.random.default_rng(3)] for _ in range(5)])
    assert again == pytest.approx(places[:5], abs=0.0)
    assert all(ground.is_free(place) for place in places[:50])
    assert np.abs(places[:, 0]).max() < 4.0 and np.abs(places[:, 2]).max() < 3.0 and np.abs(places[:, 1]).max() < 0.3
    # Both halves are alike: 400 draws are within 0.5 ± 0.1 but for one time in 16,000.
    assert 0.4 < (places[:, 0] < 0.0).mean() < 0.6
    radius = SETTINGS.size.radius
    free = (8 - 2 * radius) * (6 - 2 * radius) - (0.2 + 2 * radius) * 4.0
    assert ground.area == pytest.approx(free, rel=0.06) and ground.level == pytest.approx(0.0, abs=0.21)


def test_the_floor_s_material_is_that_under_the_body_or_a_place(simulator):
    assert simulator.floor_material() == "wood_floor"
    assert simulator.floor_material(simulator.ground.snap([2.0, 0.0, 1.0])) == "wood_floor"
    assert simulator.floor_material(np.array([0.0, 3.0, 2.0])) == "plaster"  # on the ceiling, above the slab
    assert simulator.floor_material(np.array([40.0, 0.0, 0.0])) is None


def middle(image):
    rows, columns = image.shape[0] // 2, image.shape[1] // 2
    return image[rows - 1 : rows + 1, columns - 1 : columns + 1].astype(float).mean((0, 1))


def test_depth_is_measured_along_the_optical_axis(simulator):
    simulator.place(np.array([-2.0, 0.0, 1.0]), 0.0)
    depth = simulator.see(("depth",))["depth"]
    assert depth.shape == (48, 64, 1) and depth.dtype == np.float32
    assert middle(depth) == pytest.approx([4.0], abs=0.01)
    # All pixels of the wall ahead are as far along the axis: 1.9 m of it to either side, half an image is 4 m wide.
    assert depth[24, 20:44, 0] == pytest.approx(np.full(24, 4.0), abs=0.01)


def test_left_and_up_are_where_they_should_be_in_images(simulator):
    simulator.place(np.array([-3.0, 0.0, 1.0]), 0.0)  # the wall at the left is 1 m away
    depth = simulator.see(("depth",))["depth"][..., 0]
    assert depth[24, 0] == pytest.approx(1.0 / math.tan(math.pi / 4) * 64 / 63, abs=0.05) and depth[24, 63] > 2.0
    # The camera is 1 m above the floor and 2 m below the ceiling; 45° down it is as far to the floor as it is high.
    top, bottom = depth[0, 40], depth[47, 40]
    half = math.tan(math.pi / 4) * 48 / 64 * 47 / 48
    height = 1.0 + simulator.position[1]
    assert bottom == pytest.approx(height / half, abs=0.05) and top == pytest.approx((3 - height) / half, abs=0.05)


def test_cameras_are_where_their_mounts_put_them(simulator):
    simulator.place(np.array([-2.0, 0.0, 2.0]), 0.0)

    def ahead(**mount):
        return float(middle(simulator.see(("depth",), mount=Mount(**{"height": 1.0, **mount}))["depth"])[0])

    up = math.radians(40)
    height = 1.0 + simulator.position[1]
    assert ahead() == pytest.approx(5.0, abs=0.02)
    assert ahead(ahead=0.5) == pytest.approx(4.5, abs=0.02)
    assert ahead(left=0.5, yaw=math.pi / 2) == pytest.approx(1.5, abs=0.02)
    assert ahead(yaw=-math.pi / 2) == pytest.approx(6.0, abs=0.02)  # through the gap to the far wall
    assert ahead(pitch=up) == pytest.approx((3.0 - height) / math.sin(up), abs=0.05)
    assert ahead(pitch=-up) == pytest.approx(height / math.sin(up), abs=0.05)


@pytest.mark.parametrize("wall", ["-z", "+z", "-x", "+x"])
def test_colours_are_those_of_what_is_seen(simulator, wall):
    heading = {"-z": 0.0, "+z": np.pi, "-x": np.pi / 2, "+x": -np.pi / 2}[wall]
    simulator.place(np.array([-1.0 if wall != "+x" else 1.0, 0.0, 2.0]), heading)
    image = simulator.see(("rgb",))["rgb"]
    assert image.shape == (48, 64, 3) and image.dtype == np.uint8
    seen, painted = middle(image), np.array(COLORS[wall], float)
    assert np.corrcoef(seen, painted)[0, 1] > 0.95
    if type(simulator) is not Simulator:  # Habitat draws without light and shade
        assert seen == pytest.approx(painted, abs=2.0)


def test_a_panorama_measures_along_its_rays(simulator):
    simulator.place(np.array([-2.0, 0.0, 1.0]), 0.0)
    around = Camera(width=128, height=64, projection="equirectangular")
    depth = simulator.see(("depth",), camera=around)["depth"][31:33, :, 0].mean(0)
    assert depth[63:65].mean() == pytest.approx(4.0, abs=0.03)
    assert depth[31:33].mean() == pytest.approx(2.0, abs=0.03)  # a quarter of the width to the left
    assert depth[0] == pytest.approx(2.0, abs=0.03)  # behind
    assert depth[47:49].mean() == pytest.approx(2.0 * math.sqrt(2), abs=0.05)  # 45° to the left


def test_images_are_fresh_arrays_and_names_are_checked(simulator):
    first = simulator.see(("rgb", "depth", "semantic", "instance"))
    assert tuple(first) == ("rgb", "depth", "semantic", "instance")
    before = {name: image.copy() for name, image in first.items()}
    simulator.turn(1.0)
    second = simulator.see(("rgb", "depth", "semantic", "instance"))
    for name, image in first.items():
        assert not np.shares_memory(image, second[name]) and (image == before[name]).all()
    assert first["semantic"].dtype == np.int32 and first["semantic"].max() < len(simulator.categories)
    with pytest.raises(UnknownNameError):
        simulator.see(("colour",))


def test_plans_and_solids_are_known(simulator):
    plan = simulator.plan(width=120)
    assert plan.image.shape[1] == 120 and plan.image.dtype == np.uint8
    assert simulator.is_inside_solid(np.array([0.0, 1.0, 0.0])) and not simulator.is_inside_solid(np.array([2.0, 1, 0]))


def click(position):
    samples = np.zeros(RATE, np.float32)
    samples[0] = 1.0
    return SoundSource(position=position, samples=samples)


def first_arrival(response):
    loud = np.abs(response).max(0)
    return int(np.flatnonzero(loud > 0.1 * loud.max())[0]) / RATE


def direct_energy(response, distance):
    """Return the energy of what arrives on the straight way, before anything that is reflected."""
    at = distance / SPEED
    return (response[:, round((at - 1e-3) * RATE) : round((at + 2e-3) * RATE)].astype(float) ** 2).sum()


@pytest.mark.parametrize(("heading", "side"), [(0.0, "left"), (np.pi, "right")])
def test_sound_arrives_in_time_and_from_its_side(hearing, heading, side):
    hearing.place(np.array([-1.5, 0.0, 0.0]), heading)
    ears = hearing.position + [0.0, hearing.ear_height, 0.0]
    source = ears + 2.0 * forward_vector(np.pi / 2)  # at −x
    hearing.set_sources([click(source)])
    response = hearing.impulse_response(Source(position=source)).samples
    # The near ear is up to the radius of a head nearer than its middle.
    assert first_arrival(response) == pytest.approx(2.0 / SPEED, abs=6e-4)
    left, right = (response.astype(float) ** 2).sum(1)
    heard = (hearing.hear(4000).astype(float) ** 2).sum(1)
    if side == "right":
        left, right, heard = right, left, heard[::-1]
    assert left > 1.5 * right and heard[0] > 1.5 * heard[1]


def test_farther_sources_are_later_and_softer(hearing, request):
    hearing.place(np.array([-2.0, 0.0, 2.5]), 0.0)
    ears = hearing.position + [0.0, hearing.ear_height, 0.0]
    near, far = (hearing.impulse_response(Source(position=ears + r * forward_vector(0.0))).samples for r in (1.0, 4.0))
    assert first_arrival(far) - first_arrival(near) == pytest.approx(3.0 / SPEED, abs=3e-4)
    energy = [(response.astype(float) ** 2).sum() for response in (near, far)]
    # Habitat's own engine does not know what the walls are made of, and they reflect more.
    own = request.node.callspec.params["hearing"] == "habitat, its own audio"
    assert energy[0] > (1.3 if own else 2.0) * energy[1]
    assert direct_energy(near, 1.0) / direct_energy(far, 4.0) == pytest.approx(16.0, rel=0.2)


def test_sound_from_ahead_a_metre_away_has_its_own_level(hearing):
    hearing.place(np.array([-2.0, 0.0, 2.0]), 0.7)
    ears = hearing.position + [0.0, hearing.ear_height, 0.0]
    response = hearing.impulse_response(Source(position=ears + forward_vector(0.7))).samples
    # Of an impulse of 1 both ears get 1 at a metre on average over all directions; heads differ in where they are loud.
    assert 10.0 * math.log10(direct_energy(response, 1.0) / 2.0) == pytest.approx(0.0, abs=2.0)


def test_time_passes_with_the_samples_that_are_heard(hearing):
    hearing.place(np.array([-2.0, 0.0, 2.0]), 0.0)
    ears = hearing.position + [0.0, hearing.ear_height, 0.0]
    noise = np.float32(np.random.default_rng(0).normal(size=RATE))
    later = SoundSource(position=[2.0, 1.5, 2.0], samples=noise, onset=0.1)
    hearing.set_sources([click(ears + 3.0 * forward_vector(0.0)), later])
    assert hearing.time == 0.0 and len(hearing.sources) == 2
    each = hearing.hear_each(800)
    assert each.shape == (2, 2, 800) and each.dtype == np.float32
    assert hearing.time == pytest.approx(0.05)
    arrival = round((3.0 / SPEED - 2e-3) * RATE)  # pulses are limited in bandwidth, and begin before their peak
    assert np.abs(each[0][:, :arrival]).max() < 1e-3 * np.abs(each[0]).max()
    silent = 1e-6 * np.abs(each[0]).max()  # to within the rounding of Fourier transforms
    assert np.abs(each[1]).max() < silent, "what sounds later is silent until then"
    rest = hearing.hear_each(800)
    assert hearing.time == pytest.approx(0.1) and np.abs(rest[1]).max() < silent
    assert np.abs(hearing.hear_each(800)[1]).max() > 1e3 * silent
    hearing.set_sources([])
    assert hearing.time == 0.0 and hearing.hear(100).shape == (2, 100) and not hearing.hear(100).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_walk_gives_the_same_bytes(kind):
    def walk():
        made = make(kind, room(), camera=CAMERA)
        noise = np.float32(np.random.default_rng(1).normal(size=RATE))
        made.place(np.array([-2.0, 0.0, 2.0]), 0.3)
        made.set_sources([SoundSource(position=[2.0, 1.5, -1.0], samples=noise)])
        for turn in (0.0, 0.4, -0.2):
            made.turn(turn)
            made.move_forward(0.25)
            views = made.see(("rgb", "depth"))
            yield made.position.tobytes(), made.hear(2000).tobytes(), *(view.tobytes() for view in views.values())

    assert list(walk()) == list(walk())


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_grid_a_body_goes_from_node_to_node(kind):
    made = make(kind, room(), replace(SETTINGS, motion="grid", grid_spacing=1.0), camera=CAMERA)
    graph = made.ground.graph
    # Nodes keep a radius from the walls: at most 8 × 6 of them, without the two that the wall across takes at least.
    assert 36 <= len(graph.nodes) <= 48
    assert np.abs(graph.nodes[:, 0]).max() < 4.0 - SETTINGS.size.radius + NEAR
    for node, around in enumerate(graph.neighbours):
        for quarter, other in enumerate(around):
            if other >= 0:
                assert graph.neighbours[other, (quarter + 2) % 4] == node, "ways lead both ways"
                step = forward_vector(quarter * np.pi / 2)
                assert graph.nodes[other] - graph.nodes[node] == pytest.approx(step, abs=1e-3)
    left, right = made.ground.snap([-2.0, 0.0, -2.0]), made.ground.snap([2.0, 0.0, -2.0])
    straight = abs(right - left)[[0, 2]].sum()
    assert made.ground.distance(left, right) >= straight + 5.0, "the way leads around the wall"
    made.place(left, 0.3)
    assert made.heading == 0.0
    made.turn(np.pi)
    assert not made.move_forward(1.0)
    assert made.position == pytest.approx(left + [0.0, 0.0, 1.0], abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_simulators_are_closed_in_any_order_and_others_go_on(kind):
    first, second, third = (make(kind, room(), camera=CAMERA) for _ in range(3))
    for made in (first, second, third):
        made.place(np.array([-2.0, 0.0, 1.0]), 0.0)
    before = second.see(("depth",))["depth"]
    getattr(first, "close", lambda: None)()
    assert np.array_equal(second.see(("depth",))["depth"], before)
    del first, third
    gc.collect()
    assert np.array_equal(second.see(("depth",))["depth"], before)


@pytest.mark.parametrize("kind", KINDS)
def test_another_thread_gets_images_or_an_error_that_says_what_to_do(kind):
    made = make(kind, room(), camera=CAMERA)
    made.place(np.array([-2.0, 0.0, 1.0]), 0.0)
    with ThreadPoolExecutor(1) as pool:
        look = pool.submit(made.see, ("depth",))
        if kind == "harken":
            assert np.array_equal(look.result()["depth"], made.see(("depth",))["depth"])
        else:
            with pytest.raises(StateError, match="processes of their own"):
                look.result()


def test_another_device_than_the_first_is_refused():
    make("habitat", room(), camera=CAMERA)
    with pytest.raises(StateError, match="draws on -1"):
        make("habitat", room(), camera=CAMERA, gpu=3)


TASKS_WITH_ORACLE = (
    "audiogoal", "pointgoal", "dynamic-audiogoal", "semantic-audiogoal", "multi-goal", "adversarial-audiogoal",
    "echo-explore", "quietnav",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task", TASKS_WITH_ORACLE)
def test_environments_take_it_by_name_and_the_oracle_finds_the_goal(kind, task):
    try:
        env = TaskEnv(task, split="val", simulator=kind, sensors=("oracle",))
        observation, info = env.reset(seed=1)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    terminated = truncated = False
    while not terminated and not truncated:
        observation, _, terminated, truncated, info = env.step(observation["oracle"])
    assert info["is_success"] is True
    assert info.get("dspl", info.get("spl", 1.0)) == pytest.approx(1.0, abs=0.02)


def test_unknown_simulators_are_named():
    with pytest.raises(UnknownNameError, match="Did you mean 'habitat'"):
        TaskEnv("pointgoal", simulator="habitt")
    assert issubclass(UnknownNameError, HarkenError)
