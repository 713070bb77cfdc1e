import dataclasses
import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from boxes import PLASTER, build

from harken.errors import ConfigurationError, HarkenWarning, SceneError, UnknownNameError
from harken.raytracing import embree
from harken.scene import Appearance, Room, Scene
from harken.vision import CHANNELS, Camera, Renderer
from harken.vision.surfaces import SKY

PANORAMA = Camera(width=64, height=32, projection="equirectangular")
MIDDLE = (0.0, 1.5, 0.0)


def corner_color(image: np.ndarray) -> np.ndarray:
    return image[:4, :4].reshape(-1, 3).mean(0)


def test_pinhole_depth_runs_along_the_optical_axis(room):
    depth = Renderer(room).observe(Camera(width=64, height=64, field_of_view=0.9), MIDDLE, math.pi)["depth"]
    # The end wall is square to the axis: every pixel has the same depth, whatever the length of its ray.
    np.testing.assert_allclose(depth, 3.0, rtol=1e-6)
    assert depth.shape == (64, 64, 1)
    assert depth.dtype == np.float32


@pytest.mark.parametrize("heading", [0.0, 0.7, 2.0, -1.3])
@pytest.mark.parametrize("pitch", [0.0, 0.4])
def test_panorama_depth_runs_along_the_ray(heading, pitch):
    scene = build([("wall", (-1, -1, -1), (1, 1, 1))], inward=(0,))
    depth = Renderer(scene).observe(PANORAMA, (0, 0, 0), heading, pitch)["depth"]
    # In a cube about the camera the way to the wall is one over the largest component of the direction.
    yaw = heading - (np.arange(64) + 0.5 - 32) / 64 * 2 * math.pi
    elevation = (16 - np.arange(32) - 0.5)[:, None] / 32 * math.pi
    level = np.stack(np.broadcast_arrays(-np.sin(yaw) * np.cos(elevation), np.sin(elevation), -np.cos(yaw)), -1)
    level[..., 2] *= np.cos(elevation)
    ahead, right = (
        np.array([-math.sin(heading), 0, -math.cos(heading)]),
        np.array([math.cos(heading), 0, -math.sin(heading)]),
    )
    a, s, u = level @ ahead, level @ right, level[..., 1]
    tilted = (
        (a * math.cos(pitch) - u * math.sin(pitch))[..., None] * ahead
        + s[..., None] * right
        + (a * math.sin(pitch) + u * math.cos(pitch))[..., None] * [0, 1, 0]
    )
    np.testing.assert_allclose(depth[..., 0], 1 / np.abs(tilted).max(-1), rtol=1e-5)


def test_the_first_row_is_up_and_the_first_column_left(room):
    camera = Camera(width=32, height=32, field_of_view=2.0)
    semantic = Renderer(room).observe(camera, MIDDLE, 0.0, channels=("semantic",))["semantic"][..., 0]
    chair = semantic == room.categories.index("chair")
    rows, columns = np.nonzero(chair)
    assert rows.min() > 15
    assert columns.min() > 15


def test_a_positive_heading_turns_left_and_a_positive_pitch_looks_up(room):
    renderer, camera = Renderer(room), Camera(width=33, height=33, field_of_view=0.5)
    left = renderer.observe(camera, (-1.0, 1.0, 0.0), math.pi / 2)["depth"]
    assert left[16, 16, 0] == pytest.approx(1.0)
    up = renderer.observe(camera, (0.0, 1.0, 0.0), 0.0, math.pi / 2)["depth"]
    assert up[16, 16, 0] == pytest.approx(2.0)


def test_in_a_panorama_the_left_half_is_left_of_the_heading(room):
    depth = Renderer(room).observe(PANORAMA, (-1.0, 1.5, 0.0), 0.0)["depth"][15:17, :, 0].mean(0)
    assert depth[15:17].mean() == pytest.approx(1.0, rel=0.01)
    assert depth[47:49].mean() == pytest.approx(3.0, rel=0.01)
    assert depth[31:33].mean() == pytest.approx(3.0, rel=0.01)


def test_semantics_and_instances_are_those_of_the_triangle_that_is_seen(room):
    direction = np.array([1.3, 0.5 - 1.5, -2.25])
    heading = math.atan2(-direction[0], -direction[2])
    pitch = math.atan2(direction[1], math.hypot(direction[0], direction[2]))
    views = Renderer(room).observe(Camera(width=5, height=5, field_of_view=0.1), MIDDLE, heading, pitch, CHANNELS)
    assert views["semantic"].dtype == views["instance"].dtype == np.int32
    assert (views["semantic"] == room.categories.index("chair")).all()
    assert (views["instance"] == 2).all()
    red, green, blue = views["rgb"].reshape(-1, 3).mean(0)
    assert red > 3 * max(green, blue)


def test_where_nothing_is_hit_there_is_sky_and_zero(room):
    views = Renderer(room).observe(Camera(width=6, height=6), (100.0, 0.0, 0.0), -math.pi / 2, channels=CHANNELS)
    assert not views["depth"].any()
    assert not views["semantic"].any()
    assert not views["instance"].any()
    assert (views["rgb"] == SKY).all()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 4), (130, 63)])
def test_images_of_any_size_are_the_same_views(room, size):
    renderer, camera = Renderer(room), Camera(width=size[0], height=size[1], field_of_view=1.2)
    depth = renderer.observe(camera, MIDDLE, 0.3)["depth"][..., 0]
    right, ahead = np.array([math.cos(0.3), 0, -math.sin(0.3)]), np.array([-math.sin(0.3), 0, -math.cos(0.3)])
    x, y = camera.columns[:, 0], camera.rows[:, 1]
    directions = ahead + x[None, :, None] * right + y[:, None, None] * np.array([0, 1, 0])
    expected = room.triangles.closest(np.float32(MIDDLE), directions.reshape(-1, 3))[0].reshape(depth.shape)
    assert depth.shape == size[::-1]
    # A ray along the edge of the chair may fall on either side of it.
    assert (np.abs(depth - expected) > 1e-5 * expected).sum() <= 1 + depth.size // 1000


def test_all_channels_come_from_the_same_rays(room):
    renderer, camera = Renderer(room), Camera(width=40, height=30)
    together = renderer.observe(camera, MIDDLE, 0.4, 0.1, CHANNELS)
    assert list(together) == list(CHANNELS)
    for name in CHANNELS:
        alone = renderer.observe(camera, MIDDLE, 0.4, 0.1, (name,))
        assert list(alone) == [name]
        assert alone[name].tobytes() == together[name].tobytes()


def test_arrays_are_fresh_every_time(room):
    renderer, camera = Renderer(room), Camera(width=8, height=8)
    first = renderer.observe(camera, MIDDLE, 0.0, channels=CHANNELS)
    kept = {name: view.copy() for name, view in first.items()}
    second = renderer.observe(camera, MIDDLE, 1.0, channels=CHANNELS)
    assert all((first[name] == kept[name]).all() for name in CHANNELS)
    assert not any(np.shares_memory(first[name], second[name]) for name in CHANNELS)
    assert all(view.flags.owndata or (view.base is not None and view.flags.writeable) for view in second.values())


def test_views_do_not_depend_on_the_order_the_renderer_or_the_thread(room):
    camera, poses = Camera(width=24, height=24), [(0.1 * i, 1.0 + 0.01 * i) for i in range(12)]

    def view(renderer, pose):
        return renderer.observe(camera, (0, pose[1], 0), pose[0], channels=("rgb",))["rgb"].tobytes()

    forward = [view(Renderer(room), pose) for pose in poses]
    copy = pickle.loads(pickle.dumps(Renderer(room)))
    backward = [view(copy, pose) for pose in reversed(poses)]
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(lambda pose: view(Renderer(room), pose), poses))
    assert forward == backward[::-1] == at_once


def test_back_faces_are_lit_like_front_faces(room):
    flipped = dataclasses.replace(room, faces=room.faces[:, ::-1].copy())
    camera = Camera(width=48, height=48, field_of_view=2.0)
    views = [Renderer(scene).observe(camera, MIDDLE, 0.5, channels=("rgb",))["rgb"] for scene in (room, flipped)]
    # The grid's second and third corner change places, which moves samples by millimetres: a few levels of 255.
    difference = np.abs(views[0].astype(int) - views[1])
    assert difference.mean() < 1.0
    assert np.quantile(difference, 0.99) <= 8


def test_the_room_is_lit_and_the_floor_below_a_table_is_darker():
    polygon = np.float32([[-3, -3], [3, -3], [3, 3], [-3, 3]])
    scene = build(
        [("wall", (-3, 0, -3), (3, 3, 3)), ("table", (-0.8, 0.7, -0.8), (0.8, 0.75, 0.8))],
        inward=(0,),
        rooms=(Room(name="a", kind="hall", polygon=polygon, floor=0.0, ceiling=3.0),),
    )
    down = Camera(width=16, height=16, field_of_view=0.3)
    renderer = Renderer(scene)
    below = renderer.observe(down, (0.0, 0.6, 0.0), 0.0, -math.pi / 2, ("rgb",))["rgb"].mean()
    beside = renderer.observe(down, (2.0, 0.6, 2.0), 0.0, -math.pi / 2, ("rgb",))["rgb"].mean()
    assert below < 0.75 * beside
    assert 120 < beside < 250


def test_without_rooms_the_scene_is_lit_too(room):
    bare = dataclasses.replace(room, rooms=())
    image = Renderer(bare).observe(Camera(width=32, height=32), MIDDLE, 0.2, channels=("rgb",))["rgb"]
    assert 90 < image.mean() < 220
    assert image.std() > 2


def textured(texture: np.ndarray, uv: list) -> Scene:
    """A wall of 2 × 2 m at z = −1, its texture's coordinates given at its corners."""
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    return Scene(
        vertices=np.float32([[-1, -1, -1], [1, -1, -1], [1, 1, -1], [-1, 1, -1]]),
        faces=faces,
        materials=(PLASTER,),
        material=np.zeros(2, np.int32),
        appearance=Appearance(
            colors=np.full((2, 3, 3), 255, np.uint8),
            texture=np.zeros(2, np.int32),
            uv=np.float32(uv)[faces],
            textures=(np.uint8(texture),),
        ),
    )


QUARTERS = np.kron(
    np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]), np.ones((16, 16, 1), np.uint8)
)


def dominant(color: np.ndarray) -> str:
    channels = color.astype(float) / max(color.max(), 1)
    return "white" if channels.min() > 0.7 else "rgb"[int(np.argmax(channels))]


def test_texture_coordinates_start_at_the_bottom_left():
    scene = textured(QUARTERS, [[0, 0], [1, 0], [1, 1], [0, 1]])
    image = Renderer(scene).observe(Camera(width=32, height=32), (0, 0, 0), 0.0, channels=("rgb",))["rgb"]
    found = [dominant(image[y, x]) for y in (8, 24) for x in (8, 24)]
    assert found == ["r", "g", "b", "white"]


def test_textures_wrap():
    scene = textured(QUARTERS, [[-3, 5], [-1, 5], [-1, 7], [-3, 7]])
    image = Renderer(scene).observe(Camera(width=64, height=64), (0, 0, 0), 0.0, channels=("rgb",))["rgb"]
    for y in (0, 32):
        found = [dominant(image[y + b, x + a]) for x in (0, 32) for b in (8, 24) for a in (8, 24)]
        assert found == ["r", "g", "b", "white"] * 2


def test_fine_textures_are_averaged_from_afar():
    checks = np.uint8(255 * (np.indices((256, 256)).sum(0) % 2))[..., None].repeat(3, 2)
    scene = textured(checks, [[0, 0], [8, 0], [8, 8], [0, 8]])
    image = Renderer(scene).observe(Camera(width=24, height=24), (0, 0, 0), 0.0, channels=("rgb",))["rgb"]
    # 85 checks per pixel: an even grey, where single texels would be black and white noise.
    assert image[4:20, 4:20].std() < 6


def test_corner_colours_blend():
    scene = Scene(
        vertices=np.float32([[-4, -4, -1], [4, -4, -1], [0, 4, -1]]),
        faces=np.array([[0, 1, 2]]),
        materials=(PLASTER,),
        material=np.zeros(1, np.int32),
        appearance=Appearance(
            colors=np.uint8([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]]),
            texture=np.full(1, -1, np.int32),
            uv=np.zeros((1, 3, 2), np.float32),
        ),
    )
    camera = Camera(width=9, height=9, field_of_view=2.0)
    image = Renderer(scene).observe(camera, (0, 0, 0), 0.0, channels=("rgb",))["rgb"]
    assert dominant(image[8, 0]) == "r"
    assert dominant(image[8, 8]) == "g"
    assert dominant(image[0, 4]) == "b"


@pytest.mark.skipif(not embree.AVAILABLE, reason="Compares with Embree, which is not here.")
def test_the_built_in_tree_shows_the_same_pictures(room, monkeypatch):
    camera = Camera(width=64, height=64)
    expected = Renderer(room).observe(camera, MIDDLE, 0.3, channels=CHANNELS)
    monkeypatch.setattr(embree, "AVAILABLE", False)
    copy = dataclasses.replace(room)
    with pytest.warns(HarkenWarning, match="built-in tree"):
        views = Renderer(copy).observe(camera, MIDDLE, 0.3, channels=CHANNELS)
    edge = views["instance"] != expected["instance"]
    assert edge.mean() < 0.002
    np.testing.assert_allclose(views["depth"][~edge], expected["depth"][~edge], rtol=1e-5)
    difference = np.abs(views["rgb"].astype(int) - expected["rgb"])[~edge[..., 0]]
    assert (difference > 3).mean() < 0.01


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"channels": ("depht",)}, UnknownNameError, "Did you mean 'depth'"),
        ({"channels": "depth"}, ConfigurationError, "tuple of names"),
        ({"channels": ()}, ConfigurationError, "tuple of names"),
        ({"position": (0.0, 1.0)}, ConfigurationError, "three finite numbers"),
        ({"position": (0.0, math.nan, 0.0)}, ConfigurationError, "three finite numbers"),
        ({"channels": None}, ConfigurationError, "tuple of names"),
        ({"channels": ("depth", None)}, UnknownNameError, "Unknown channel"),
        ({"position": "here"}, ConfigurationError, "three finite numbers"),
        ({"position": None}, ConfigurationError, "three finite numbers"),
        ({"position": (1e300, 0.0, 0.0)}, ConfigurationError, "coordinates within"),
        ({"position": (0.0, 0.0, -1e30)}, ConfigurationError, "coordinates within"),
        ({"heading": math.inf}, ConfigurationError, "heading is inf"),
        ({"heading": "north"}, ConfigurationError, "heading is 'north'"),
        ({"heading": None}, ConfigurationError, "heading is None"),
        ({"pitch": math.nan}, ConfigurationError, "pitch is nan"),
        ({"camera": None}, ConfigurationError, "expected a harken"),
    ],
)
def test_bad_input_is_refused(room, arguments, error, message):
    given = {"camera": Camera(width=4, height=4), "position": MIDDLE, "heading": 0.0} | arguments
    with pytest.raises(error, match=message):
        Renderer(room).observe(**given)


def test_far_from_everything_there_is_sky(room):
    views = Renderer(room).observe(Camera(width=8, height=8), (1e17, 0.0, -1e17), 0.3, channels=("depth", "rgb"))
    assert (views["depth"] == 0).all()
    assert (views["rgb"] == SKY).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colors": np.zeros((3, 3, 3), np.uint8)}, "colors has shape"),
        ({"uv": np.zeros((24, 2), np.float32)}, "uv has shape"),
        ({"texture": np.zeros(24, np.int32)}, "texture indices"),
        ({"textures": (np.zeros((4, 4, 4), np.uint8),)}, "expected uint8"),
        ({"textures": (np.zeros((4, 4, 3), np.float32),)}, "expected uint8"),
    ],
)
def test_appearances_that_do_not_fit_are_refused(room, change, message):
    broken = dataclasses.replace(room, appearance=dataclasses.replace(room.appearance, **change))
    with pytest.raises(SceneError, match=message):
        Renderer(broken).observe(Camera(width=4, height=4), MIDDLE, 0.0, channels=("rgb",))
