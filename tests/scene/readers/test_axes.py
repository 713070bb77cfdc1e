import numpy as np
import pytest
from scene_files import box_file

from harken.errors import HarkenWarning
from harken.scene.readers.reading import read_scene


def test_z_up_files_are_turned_and_stay_right_handed(room):
    given = {"odd name_7": "plaster"}
    plain, turned = read_scene(room, materials=given), read_scene(room, materials=given, up="z")
    expected = np.stack([plain.vertices[:, 0], plain.vertices[:, 2], -plain.vertices[:, 1]], axis=1)
    assert turned.vertices == pytest.approx(expected)
    assert turned.faces.tolist() == plain.faces.tolist()


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((800, 250, 1000), "centimetres.*scale=0.01"),
        ((200, 240, 180), "centimetres.*scale=0.01"),
        ((8000, 2500, 10000), "millimetres.*scale=0.001"),
        ((0.08, 0.025, 0.1), "another unit.*scale=100"),
    ],
)
def test_other_units_than_metres_are_suspected(tmp_path, size, message):
    with pytest.warns(HarkenWarning, match=message):
        read_scene(box_file(tmp_path / "box.glb", size))


@pytest.mark.parametrize("size", [(8.4, 5.1, 9.9), (125, 30, 121), (2.0, 2.2, 1.5), (90, 60, 90), (250, 12, 80)])
def test_rooms_and_monasteries_are_not_suspected(tmp_path, size):
    assert len(read_scene(box_file(tmp_path / "box.glb", size)).faces) == 12


def test_a_building_on_its_side_is_suspected_only_where_up_was_not_given(tmp_path):
    path = box_file(tmp_path / "box.glb", (8.0, 9.0, 2.5))
    with pytest.warns(HarkenWarning, match="pass up='z'"):
        read_scene(path)
    read_scene(path, up="z")
    read_scene(path, up="y")
