import numpy as np
import pytest
from PIL import Image
from scene_files import made_of

from harken.errors import HarkenWarning, SceneError
from harken.scene.readers.reading import read_scene


def test_obj_names_decide_materials_and_categories(room):
    with pytest.warns(HarkenWarning, match="say nothing"):
        scene = read_scene(room, materials={"brick": "concrete"})
    assert made_of(scene, 0.0, 1) == {"wood_floor"}
    assert made_of(scene, 3.0, 1) == {"plaster"}
    assert made_of(scene, 0.0, 2) == {"concrete"}
    assert made_of(scene, 0.0, 0) == {"plaster"}  # «odd name_7» says nothing, but its object is «walls».
    names = [scene.categories[i] for i in np.unique(scene.category)]
    assert set(names) == {"floor", "ceiling", "wall"}


def test_objects_of_an_obj_file_are_objects_of_the_scene(room):
    scene = read_scene(room, materials={"odd name_7": "gypsum_board", "painted_plaster": "plaster"})
    assert [(o.name, o.category) for o in scene.objects] == [
        ("floor", "floor"),
        ("ceiling", "ceiling"),
        ("walls", "wall"),
    ]
    assert scene.objects[1].lower == pytest.approx((0, 3, 0))
    assert scene.objects[1].upper == pytest.approx((4, 3, 5))
    assert set(scene.instance) == {1, 2, 3}
    assert scene.name == "room"
    assert scene.source == str(room)


def test_concave_walls_keep_their_doors(room):
    scene = read_scene(room, materials={"odd name_7": "plaster"})
    assert scene.areas.sum() == pytest.approx(2 * (20 + 15 + 12) - 2.0, rel=1e-6)
    distance, triangle, _ = scene.triangles.closest(np.array([[1.5, 1.0, 2.0], [3, 1, 2]]), np.array([0.0, 0.0, -1.0]))
    assert triangle[0] == -1
    assert distance[1] == pytest.approx(2.0)


@pytest.mark.parametrize("turn", range(8))
@pytest.mark.parametrize("flip", [False, True])
def test_concave_polygons_are_cut_right_wherever_they_begin_and_turn(tmp_path, turn, flip):
    outline = np.roll([(0, 0), (1, 0), (1, 2), (2, 2), (2, 0), (4, 0), (4, 3), (0, 3)], turn, axis=0)[
        :: -1 if flip else 1
    ]
    lines = [f"v {x} {y} {0.3 * x}" for x, y in outline]
    (tmp_path / "wall.obj").write_text("\n".join(["o wall", *lines, "f 1 2 3 4 5 6 7 8"]))
    scene = read_scene(tmp_path / "wall.obj")
    assert scene.areas.sum() == pytest.approx(10.0 * np.hypot(1, 0.3), rel=1e-6)


def test_obj_textures_and_colours_arrive_at_the_corners(room):
    scene = read_scene(room, materials={"odd name_7": "plaster"})
    look = scene.appearance
    floor = scene.category == scene.categories.index("floor")
    assert len(look.textures) == 1
    assert look.textures[0][0, 0].tolist() == [0, 1, 2]
    assert (look.texture[floor] == 0).all()
    assert (look.texture[~floor] == -1).all()
    corners = {
        (*scene.vertices[v][[0, 2]], *uv)
        for v, uv in zip(scene.faces[floor].ravel(), look.uv[floor].reshape(-1, 2), strict=True)
    }
    assert corners == {(0, 0, 0, 0), (0, 5, 1, 0), (4, 5, 1, 1), (4, 0, 0, 1)}
    ceiling = scene.category == scene.categories.index("ceiling")
    assert look.colors[ceiling].reshape(-1, 3).tolist() == [[51, 102, 153]] * 6


def test_obj_vertex_colours_are_read(tmp_path):
    (tmp_path / "wall.obj").write_text("o wall\nv 0 0 0 1 0 0\nv 4 0 0 0 1 0\nv 0 3 0 0 0 0.5\nf 1 2 3\n")
    scene = read_scene(tmp_path / "wall.obj")
    assert scene.appearance.colors[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 128]]


def test_a_missing_texture_is_a_warning_and_grey(room):
    (room.parent / "oak.png").unlink()
    with pytest.warns(HarkenWarning, match=r"texture 'oak.png' is missing"):
        scene = read_scene(room, materials={"odd name_7": "plaster"})
    assert (scene.appearance.texture == -1).all()


def test_a_missing_material_file_is_a_warning_and_names_still_count(room):
    (room.parent / "room.mtl").unlink()
    with pytest.warns(HarkenWarning, match=r"material file 'room.mtl' is missing"):
        scene = read_scene(room, materials={"odd name_7": "plaster"})
    assert made_of(scene, 0.0, 1) == {"wood_floor"}


def test_textures_are_scaled_down_to_1024_pixels(room):
    Image.new("RGB", (3000, 1500), (10, 200, 30)).save(room.parent / "oak.png")
    scene = read_scene(room, materials={"odd name_7": "plaster"})
    assert scene.appearance.textures[0].shape == (512, 1024, 3)
    assert scene.appearance.textures[0][100, 100].tolist() == [10, 200, 30]


TRIANGLE = "o wall\nv 0 0 0\nv 4 0 0\nv 0 3 0\n"


BAD_OBJ = {
    "empty": ("", "empty"),
    "points only": ("v 0 0 0\nv 1 0 0\n", "empty"),
    "edges only": (TRIANGLE + "f 1 2\n", "empty"),
    "nan": ("o wall\nv 0 0 0\nv 4 nan 0\nv 0 3 0\nf 1 2 3\n", "1 of 3 vertices are NaN"),
    "infinite": ("o wall\nv 0 0 0\nv 4 inf 0\nv 0 3 0\nf 1 2 3\n", "NaN or infinite"),
    "index too large": (TRIANGLE + "f 1 2 4\n", "vertex 4 of 3"),
    "index zero": (TRIANGLE + "f 0 1 2\n", "line 5"),
    "index before the first": (TRIANGLE + "f -4 1 2\n", "line 5"),
    "cut off in a vertex": ("v 0 0 0\nv 4 0", "line 2"),
    "no numbers": (TRIANGLE + "f a b c\n", "line 5"),
    "no area": (TRIANGLE + "f 1 2 2\n", "none of the 1 triangles"),
    "binary": (bytes(range(256)).decode("latin-1") * 4, "empty|cannot be read"),
}


@pytest.mark.parametrize("case", BAD_OBJ)
def test_bad_obj_files_say_what_is_wrong(tmp_path, case):
    content, message = BAD_OBJ[case]
    (tmp_path / "bad.obj").write_text(content)
    with pytest.raises(SceneError, match=message) as caught:
        read_scene(tmp_path / "bad.obj")
    assert "bad.obj" in str(caught.value)
