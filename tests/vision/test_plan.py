import dataclasses
import math

import numpy as np
import pytest
from boxes import build

from harken.errors import ConfigurationError
from harken.vision import draw_plan
from harken.vision.plan import _WALL

# Two rooms of 3 × 4 m behind walls of 0.2 m; a door in the wall between them, a tall cupboard, a low red table.
HOUSE = [
    ("floor", (-0.2, -0.1, -0.2), (6.4, 0, 4.2)),
    ("wall", (-0.2, 0, -0.2), (6.4, 2.6, 0)),
    ("wall", (-0.2, 0, 4), (6.4, 2.6, 4.2)),
    ("wall", (-0.2, 0, -0.2), (0, 2.6, 4.2)),
    ("wall", (6.2, 0, -0.2), (6.4, 2.6, 4.2)),
    ("wall", (3, 0, 0), (3.2, 2.6, 1.5)),
    ("wall", (3, 0, 2.4), (3.2, 2.6, 4)),
    ("cupboard", (4.5, 0, 0.2), (6, 2, 0.9)),
    ("table", (0.5, 0, 0.5), (1.5, 0.7, 1.5)),
    ("ceiling", (-0.2, 2.6, -0.2), (6.4, 2.7, 4.2)),
]
COLORS = [(150, 110, 70), *[(230, 230, 225)] * 6, (60, 90, 160), (220, 40, 40), (240, 240, 240)]


@pytest.fixture(scope="module")
def house():
    return build(HOUSE, colors=COLORS)


def color_at(plan, x, z) -> np.ndarray:
    column, row = plan.to_pixels(np.array([[x, 1.0, z]]))[0]
    return plan.image[int(row), int(column)].astype(int)


def test_cut_walls_are_dark_all_through_and_the_floor_is_not(house):
    plan = draw_plan(house)
    # Ends, middles and the places where walls meet.
    for x, z in [(3.1, 0.7), (3.1, 3.9), (3.1, -0.1), (-0.1, -0.1), (6.3, 4.1), (6.3, 2.0), (1.0, 4.1), (3.1, 4.1)]:
        np.testing.assert_array_equal(color_at(plan, x, z), _WALL)
    for x, z in [(2.0, 2.0), (5.0, 3.0), (3.1, 2.0)]:
        assert np.abs(color_at(plan, x, z) - _WALL).max() > 30


def test_what_is_cut_keeps_its_colour_and_what_is_below_is_seen(house):
    plan = draw_plan(house)
    red, green, blue = color_at(plan, 1.0, 1.0)
    assert red > 2 * max(green, blue)
    red, green, blue = color_at(plan, 5.2, 0.5)
    assert blue > 1.4 * max(red, green)
    assert color_at(plan, 5.2, 0.5).max() < 160


def test_furniture_against_a_wall_is_not_taken_for_wall():
    scene = build(
        [
            ("wall", (0, 0, 0), (5, 2.6, 0.2)),
            ("cupboard", (1, 0, 0.2), (2, 2, 0.5)),
            ("floor", (0, -0.1, 0), (5, 0, 4)),
        ],
        colors=[(230, 230, 225), (60, 90, 160), (150, 110, 70)],
    )
    plan = draw_plan(scene)
    np.testing.assert_array_equal(color_at(plan, 1.5, 0.1), _WALL)
    red, green, blue = color_at(plan, 1.5, 0.35)
    assert blue > 1.4 * max(red, green)


def test_above_the_cut_nothing_is_drawn(house):
    high, low = draw_plan(house, height_above_floor=2.3), draw_plan(house, height_above_floor=0.3)
    # At 0.3 m the table is cut and dark, at 2.3 m the cupboard is seen from above.
    assert color_at(low, 1.0, 1.0).max() < color_at(high, 1.0, 1.0).max()
    assert color_at(high, 5.2, 0.5).max() > color_at(low, 5.2, 0.5).max()


def test_north_is_up_and_points_fall_on_what_they_name(house):
    plan = draw_plan(house, width=300)
    pixels = plan.to_pixels(np.array([[0.0, 0.0, 0.0], [1.0, 5.0, 0.0], [0.0, 0.0, -1.0]]))
    assert pixels[1, 0] - pixels[0, 0] == pytest.approx(1.0 / plan.metres_per_pixel)
    assert pixels[0, 1] - pixels[2, 1] == pytest.approx(1.0 / plan.metres_per_pixel)
    # The red table's edges, found in the picture, lie at 0.5 and 1.5 m.
    red = (plan.image[..., 0] > 1.8 * plan.image[..., 1].astype(int)) & (plan.image[..., 2] < 90)
    rows, columns = np.nonzero(red & (plan.image[..., 0] > 1.8 * plan.image[..., 2].astype(int)))
    edges = plan.to_pixels(np.array([[0.5, 0, 0.5], [1.5, 0, 1.5]]))
    np.testing.assert_allclose([columns.min(), columns.max() + 1], edges[:, 0], atol=1.0)
    np.testing.assert_allclose([rows.min(), rows.max() + 1], edges[:, 1], atol=1.0)


def test_the_image_has_the_scene_s_shape(house):
    plan = draw_plan(house, width=200)
    assert plan.image.dtype == np.uint8
    assert plan.image.shape[1:] == (200, 3)
    # 0.3 m of paper around 6.6 × 4.4 m.
    assert plan.metres_per_pixel == pytest.approx(7.2 / 200)
    assert plan.image.shape[0] == math.ceil(5.0 / (7.2 / 200))
    assert (plan.image[[0, -1]] == plan.image[0, 0]).all()


def test_a_long_narrow_scene_is_drawn_whole():
    corridor = build([("floor", (0, -0.1, 0), (0.5, 0, 99.4)), ("wall", (0, 0, 99.2), (0.5, 2.6, 99.4))])
    plan = draw_plan(corridor, width=32)
    assert plan.image.shape == (16 * 32, 32, 3)
    assert (color_at(plan, 0.25, 99.3) == _WALL).all()


def test_walls_without_thickness_are_outlined():
    shell = build([("wall", (0, 0, 0), (4, 3, 3))], inward=(0,))
    plan = draw_plan(shell, width=200)
    for x, z in [(0, 1.5), (4, 1.5), (2, 0), (2, 3)]:
        column, row = plan.to_pixels(np.array([[x, 0, z]]))[0].astype(int)
        assert plan.image[row - 1 : row + 2, column - 1 : column + 2].min() < 130
    assert color_at(plan, 2, 1.5).max() > 130


def test_scanned_rooms_that_show_their_inside_have_solid_walls_between_them():
    scan = build([("wall", (0, 0, 0), (3, 3, 3)), ("wall", (3.2, 0, 0), (6, 3, 3))], inward=(0, 1))
    plan = draw_plan(scan)
    np.testing.assert_array_equal(color_at(plan, 3.1, 1.5), _WALL)
    assert np.abs(color_at(plan, 1.5, 1.5) - _WALL).max() > 30


def test_another_storey_is_cut_at_its_own_floor(house):
    lifted = dataclasses.replace(house, vertices=house.vertices + np.float32([0, 7.3, 0]))
    difference = np.abs(draw_plan(lifted, floor=7.3).image.astype(int) - draw_plan(house).image)
    assert (difference > 8).mean() < 0.01


def test_the_same_plan_twice_has_the_same_bytes(house):
    again = dataclasses.replace(house)
    assert draw_plan(house).image.tobytes() == draw_plan(again).image.tobytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width"),
        ({"width": 99.5}, "width"),
        ({"height_above_floor": math.nan}, "height_above_floor"),
        ({"floor": math.inf}, "floor"),
        ({"floor": "ground"}, "floor"),
        ({"height_above_floor": None}, "height_above_floor"),
        ({"width": 10**6}, "width"),
        ({"width": 8192}, "16,777,216. Choose a smaller width"),
    ],
)
def test_bad_input_is_refused(house, arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        draw_plan(house, **arguments)


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((4, 2))])
def test_points_of_the_wrong_shape_are_refused(house, points):
    with pytest.raises(ConfigurationError, match=r"expected \(N, 3\)"):
        draw_plan(house, width=32).to_pixels(points)
