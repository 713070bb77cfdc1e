import re
import warnings

import numpy as np
import pytest
import trimesh
from scene_files import box_file

from harken.errors import HarkenWarning
from harken.scene import inspect_scene
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


def test_a_building_on_its_side_is_set_upright_with_one_word_unless_up_was_given(tmp_path):
    path = box_file(tmp_path / "box.glb", (8.0, 9.0, 2.5))
    with pytest.warns(HarkenWarning, match="z was taken for up.*flattest along z; pass up='y'") as caught:
        scene = read_scene(path)
    assert len(caught) == 1
    assert scene.bounds[1] - scene.bounds[0] == pytest.approx((8.0, 2.5, 9.0))
    assert not [problem for problem in inspect_scene(scene).problems if "up=" in problem]
    assert np.ptp(read_scene(path, up="z").vertices, axis=0) == pytest.approx((8.0, 2.5, 9.0))
    assert np.ptp(read_scene(path, up="y").vertices, axis=0) == pytest.approx((8.0, 9.0, 2.5))


def room_with_names(path, up, names=True):
    """A room of 4 × 4 m and 5 m height, whose shape says nothing about where up is, in a format that mostly does."""
    mesh = trimesh.creation.box(extents=(4, 4, 5) if up == "z" else (4, 5, 4))
    axis = "xyz".index(up)
    lines = [f"v {x} {y} {z}" for x, y, z in mesh.vertices]
    for face, normal in zip(mesh.faces, mesh.face_normals, strict=True):
        name = "floor" if normal[axis] < -0.5 else "ceiling" if normal[axis] > 0.5 else "wall"
        lines += [f"o {name if names else 'wall'}", f"f {face[0] + 1} {face[1] + 1} {face[2] + 1}"]
    path.write_text("\n".join(lines))
    return path


def test_what_is_named_floor_and_ceiling_tells_where_up_is(tmp_path):
    assert np.ptp(read_scene(room_with_names(tmp_path / "y.obj", "y")).vertices, axis=0) == pytest.approx((4, 5, 4))
    with pytest.warns(HarkenWarning, match="z was taken for up, because most of its floors and ceilings"):
        scene = read_scene(room_with_names(tmp_path / "z.obj", "z"))
    assert np.ptp(scene.vertices, axis=0) == pytest.approx((4, 5, 4))
    floor = scene.category == scene.categories.index("floor")
    assert scene.vertices[scene.faces[floor]][..., 1] == pytest.approx(np.full((2, 3), -2.5))


def test_nothing_is_turned_where_nothing_speaks_clearly(tmp_path):
    scene = read_scene(room_with_names(tmp_path / "z.obj", "z", names=False))
    assert np.ptp(scene.vertices, axis=0) == pytest.approx((4, 4, 5))


@pytest.mark.parametrize(("up", "word"), [("y", "y was taken for up.*pass up='z'"), ("z", None)])
def test_scans_lie_as_their_shape_says(tmp_path, up, word):
    mesh = trimesh.creation.box(extents=(8.0, 2.5, 9.0) if up == "y" else (8.0, 9.0, 2.5))
    mesh.export(tmp_path / "scan.ply")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scene = read_scene(tmp_path / "scan.ply", materials={"default": "plaster"})
    assert scene.bounds[1] - scene.bounds[0] == pytest.approx((8.0, 2.5, 9.0))
    assert len(caught) == (word is not None)
    assert word is None or re.search(word, str(caught[0].message))
