import math
import pickle

import numpy as np
import pytest

from harken.errors import ConfigurationError, UnknownNameError
from harken.vision import Camera


@pytest.mark.parametrize(
    "field",
    [
        {"width": 0},
        {"height": -3},
        {"width": 12.5},
        {"height": "128"},
        {"width": True},
        {"width": 100_000},
        {"width": 10**6, "height": 10**6},
        {"width": 16384, "height": 16384},
        {"height": None},
        {"height": 2**70},
        {"field_of_view": None},
        {"field_of_view": -1},
        {"projection": None},
        {"field_of_view": 0.0},
        {"field_of_view": math.pi},
        {"field_of_view": 90.0},
        {"field_of_view": math.nan},
        {"field_of_view": "wide"},
    ],
)
def test_impossible_cameras_are_refused_by_the_name_of_the_field(field):
    with pytest.raises(ConfigurationError, match=next(iter(field))):
        Camera(**field)


def test_unknown_projections_are_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="Did you mean 'equirectangular'"):
        Camera(projection="equirectangle")


def test_a_pinhole_camera_spans_its_field_of_view_with_square_pixels():
    camera = Camera(width=8, height=4, field_of_view=math.pi / 2)
    pixel = 2.0 / 8
    np.testing.assert_allclose(camera.columns[:, 0], -1 + pixel * (np.arange(8) + 0.5))
    np.testing.assert_allclose(camera.rows[:, 1], pixel * (2 - np.arange(4) - 0.5))
    assert (camera.columns[:, 1] == 1).all()
    assert (camera.rows[:, 0] == 1).all()


def test_a_panorama_spans_the_sphere_with_unit_rays():
    camera = Camera(width=16, height=8, projection="equirectangular")
    directions = camera.rows[:, :1] * camera.columns.T.reshape(2, 1, 16)
    lengths = np.sqrt((directions**2).sum(0) + camera.rows[:, 1:] ** 2)
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-6)
    # Half a pixel above and below the horizon, and half a pixel left and right of the heading.
    assert camera.rows[3, 1] == pytest.approx(math.sin(math.pi / 16))
    assert camera.columns[7, 0] == pytest.approx(-math.sin(math.pi / 16))


def test_cameras_are_equal_by_value_and_can_be_pickled():
    camera = Camera(width=64)
    assert camera.columns.shape == (64, 2)
    assert pickle.loads(pickle.dumps(camera)) == Camera(width=64)
    assert hash(camera) == hash(Camera(width=64))
