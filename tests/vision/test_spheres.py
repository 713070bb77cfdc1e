"""Balls in a view lie where their middle is projected, and cover the pixels whose rays meet them."""

import math

import numpy as np
import pytest

from harken.errors import ConfigurationError
from harken.vision import Camera
from harken.vision.casting import pose_frame
from harken.vision.spheres import project, view_sphere, viewing_ray

CAMERAS = (
    Camera(width=90, height=40, field_of_view=math.radians(110)),
    Camera(width=33, height=57, field_of_view=math.radians(60)),
    Camera(width=96, height=48, projection="equirectangular"),
)
EYE, HEADING, PITCH = np.array([1.0, 1.5, -2.0]), 0.7, 0.2


def every_ray(camera: Camera) -> np.ndarray:
    rays = [
        [viewing_ray(camera, HEADING, row, column, pitch=PITCH) for column in range(camera.width)]
        for row in range(camera.height)
    ]
    return np.array(rays)


@pytest.mark.parametrize("camera", CAMERAS, ids=str)
def test_a_ball_covers_exactly_the_pixels_whose_rays_meet_it(camera: Camera):
    rays, rng = every_ray(camera), np.random.default_rng(0)
    unit = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    for _ in range(60):
        direction = rng.standard_normal(3)
        centre = EYE + direction / np.linalg.norm(direction) * rng.uniform(0.35, 4.0)
        radius = float(rng.uniform(0.05, 0.34))
        along = unit @ (centre - EYE)
        distance = np.linalg.norm(EYE + along[..., None] * unit - centre, axis=-1)
        meets = (along > 0) & (distance < radius)
        ball = view_sphere(camera, EYE, HEADING, centre, radius, pitch=PITCH)
        covered = np.zeros(meets.shape, bool)
        covered[ball.rows, ball.columns] = True
        # Rays along the outline may fall to either side in float32.
        differ = covered != meets
        assert np.abs(distance[differ] - radius).max(initial=0.0) < 1e-5
        surface = EYE + ball.depth[:, None] * rays[ball.rows, ball.columns] - centre
        assert np.allclose(np.linalg.norm(surface, axis=1), radius, atol=1e-4)
        assert (ball.depth * np.linalg.norm(rays[ball.rows, ball.columns], axis=1) < np.linalg.norm(centre - EYE)).all()


@pytest.mark.parametrize("camera", CAMERAS, ids=str)
def test_projection_inverts_the_rays_of_the_camera(camera: Camera):
    rays = every_ray(camera)
    pixels, inside = project(camera, EYE, HEADING, (EYE + 2.5 * rays).reshape(-1, 3), pitch=PITCH)
    rows, columns = np.divmod(np.arange(camera.width * camera.height), camera.width)
    assert inside.all()
    assert np.allclose(pixels, np.stack([columns, rows], 1) + 0.5, atol=1e-3)


def test_what_is_behind_a_pinhole_camera_has_no_place_in_the_image():
    behind = EYE - pose_frame(HEADING, PITCH)[2]
    pixels, inside = project(CAMERAS[0], EYE, HEADING, behind[None], pitch=PITCH)
    assert not inside[0] and (pixels == -1).all()
    assert len(view_sphere(CAMERAS[0], EYE, HEADING, behind, 0.2, pitch=PITCH).rows) == 0


def test_a_ball_around_the_camera_is_not_seen():
    assert len(view_sphere(CAMERAS[0], EYE, HEADING, EYE + 0.1, 0.5).rows) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius": 0.0}, "radius is 0.0"),
        ({"radius": math.nan}, "radius is nan"),
        ({"centre": (0.0, math.nan, 0.0)}, "centre is"),
        ({"position": "here"}, "position is 'here'"),
        ({"heading": math.nan}, "heading is nan"),
        ({"pitch": None}, "pitch is None"),
    ],
)
def test_balls_without_place_or_size_are_refused(arguments, message):
    given = {"camera": Camera(), "position": (0, 0, 0), "heading": 0.0, "centre": (0, 0, -2), "radius": 0.5} | arguments
    with pytest.raises(ConfigurationError, match=message):
        view_sphere(**given)


@pytest.mark.parametrize("points", [np.zeros(3), np.zeros((2, 2)), [[0, 0, math.inf]], [["a", "b", "c"]]])
def test_points_that_are_nowhere_are_not_projected(points):
    with pytest.raises(ConfigurationError, match="points are"):
        project(Camera(), np.zeros(3), 0.0, points)


@pytest.mark.parametrize("pixel", [{"row": -1}, {"row": 128}, {"column": 1.5}, {"column": 4096}])
def test_pixels_outside_the_image_have_no_ray(pixel):
    with pytest.raises(ConfigurationError, match=next(iter(pixel))):
        viewing_ray(Camera(), 0.0, **({"row": 0, "column": 0} | pixel))
