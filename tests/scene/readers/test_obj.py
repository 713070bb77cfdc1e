import os
import time
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from scene_files import ROOM, made_of

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
    "a huge index": (TRIANGLE + f"f 1 2 {2**40}\n", "line 5"),
    "an index of 21 digits": (TRIANGLE + f"f 1 2 {10**20}\n", "line 5"),
    "an index of 5,000 digits": (TRIANGLE + f"f 1 2 {'9' * 5000}\n", "line 5"),
    "a fractional index": (TRIANGLE + "f 1 2 2.5\n", "line 5"),
    "texture coordinates beyond": (TRIANGLE + "vt 0 0\nf 1/1 2/1 3/2\n", "texture coordinates 2 of 1"),
    "texture coordinates before the first": (TRIANGLE + "vt 0 0\nf 1/1 2/1 3/-2\n", "line 6"),
    "far away": ("o wall\nv 0 0 0\nv 1e300 0 0\nv 0 3 0\nf 1 2 3\n", "from the origin"),
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


def test_tabs_comments_a_byte_order_mark_and_line_ends_of_any_system_are_read(room):
    plain = read_scene(room, materials={"odd name_7": "plaster"})
    lines = [f"\t{line.replace(' ', chr(9), 1)}  # as written" for line in ROOM.splitlines()]
    room.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    table = room.parent / "room.mtl"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b" ", b"\t", 4).replace(b"\n", b" # so\r\n"))
    same = read_scene(room, materials={"odd name_7": "plaster"})
    assert same.fingerprint == plain.fingerprint
    assert same.appearance.colors.tobytes() == plain.appearance.colors.tobytes()
    assert len(same.appearance.textures) == 1


def test_lines_that_end_in_a_backslash_go_on(tmp_path):
    (tmp_path / "a.obj").write_text("o wall\nv 0 0 \\\n0\nv 4 0 0\nv 0 3 0\nf 1 2 \\\n 3\n")
    assert read_scene(tmp_path / "a.obj").areas.sum() == pytest.approx(6.0)


def test_one_line_may_name_several_material_files_or_one_with_spaces(room):
    room.write_text(ROOM.replace("mtllib room.mtl", "mtllib empty.mtl room.mtl"))
    (room.parent / "empty.mtl").write_text("")
    assert len(read_scene(room, materials={"odd name_7": "plaster"}).appearance.textures) == 1
    room.write_text(ROOM.replace("mtllib room.mtl", "mtllib my room.mtl"))
    (room.parent / "room.mtl").rename(room.parent / "my room.mtl")
    assert len(read_scene(room, materials={"odd name_7": "plaster"}).appearance.textures) == 1


@pytest.mark.parametrize(
    ("line", "color"),
    [
        ("Kd 5.000000e-01 2.5E-1 1.000000e+00", [128, 64, 255]),
        ("kd\t+.5 .25 1.", [128, 64, 255]),
        ("Kd 0.5", [128, 128, 128]),
        ("Kd -1 2 0", [0, 255, 0]),
    ],
)
def test_colours_are_numbers_as_any_program_writes_them(tmp_path, line, color):
    (tmp_path / "a.mtl").write_text(f"newmtl plaster\n{line}\n")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl plaster\n" + TRIANGLE + "f 1 2 3\n")
    assert read_scene(tmp_path / "a.obj").appearance.colors[0, 0].tolist() == color


@pytest.mark.parametrize(
    "line", ["Kd ² 1 1", "Kd e-5 0 0", "Kd 1 1", "Kd", "Kd nan 0 0", "Kd 1 1 inf", "map_Kd -x a.png"]
)
def test_lines_of_material_files_that_cannot_be_read_are_errors(tmp_path, line):
    (tmp_path / "a.mtl").write_text(f"newmtl plaster\n{line}\n")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl plaster\n" + TRIANGLE + "f 1 2 3\n")
    with pytest.raises(SceneError, match=r"a\.mtl: line 2"):
        read_scene(tmp_path / "a.obj")


def test_options_of_maps_are_understood_and_file_names_may_hold_spaces(room):
    table = room.parent / "room.mtl"
    (room.parent / "oak.png").rename(room.parent / "my oak.png")
    options = "-blendu on -s 2 3 1 -o 0.5 -bm 1 -mm 0 1"
    table.write_text(table.read_text().replace("map_Kd oak.png", f"map_Kd {options} my oak.png"))
    look = read_scene(room, materials={"odd name_7": "plaster"}).appearance
    assert {tuple(uv) for uv in look.uv[look.texture == 0].reshape(-1, 2).tolist()} == {
        *((0.5, 0), (2.5, 0), (2.5, 3), (0.5, 3)),
    }


def test_lines_of_an_unknown_kind_are_named_once(tmp_path):
    (tmp_path / "a.mtl").write_text("newmtl plaster\nKd spectral a.rfl\nglow 3\n")
    strange = "curv 0 1 1 2\nvertex 1 2 3\nvertex 1 2 3\nvn 0 0 1\ns off\n"
    (tmp_path / "a.obj").write_text("mtllib a.mtl\nusemtl plaster\n" + TRIANGLE + strange + "f 1 2 3\n")
    with pytest.warns(HarkenWarning) as caught:
        read_scene(tmp_path / "a.obj")
    told = [str(warning.message) for warning in caught]
    assert len(told) == 2
    assert "begin with 'Kd spectral' (line 2), 'glow' (line 3) are not read" in told[0]
    assert "begin with 'curv' (line 7), 'vertex' (line 8) are not read" in told[1]


def test_pipes_and_endless_names_are_missing_files(room):
    (room.parent / "oak.png").unlink()
    os.mkfifo(room.parent / "oak.png")
    with pytest.warns(HarkenWarning, match="texture 'oak.png' is missing"):
        read_scene(room, materials={"odd name_7": "plaster"})
    room.write_text(ROOM.replace("room.mtl", "m" * 5000))
    with pytest.warns(HarkenWarning, match=r"material file 'm{199}…' is missing"):
        read_scene(room, materials={"odd name_7": "plaster"})
    os.mkfifo(room.parent / "pipe.mtl")
    room.write_text(ROOM.replace("room.mtl", "pipe.mtl"))
    with pytest.warns(HarkenWarning, match=r"material file 'pipe.mtl' is missing"):
        read_scene(room, materials={"odd name_7": "plaster"})


def test_a_concave_polygon_of_many_corners_is_cut_at_once(tmp_path):
    teeth = 5000
    x = np.repeat(np.arange(teeth), 2) + np.tile([0.0, 0.4], teeth)
    outline = [*zip(x, np.tile([0.0, 5.0], teeth), strict=True), (teeth, -1.0), (0.0, -1.0)]
    lines = [f"v {a} {b} 0" for a, b in outline]
    (tmp_path / "comb.obj").write_text(
        "\n".join(["o wall", *lines, "f " + " ".join(map(str, range(1, len(lines) + 1)))])
    )
    flat = np.array(outline)
    shoelace = 0.5 * abs((flat[:, 0] * np.roll(flat[:, 1], -1) - flat[:, 1] * np.roll(flat[:, 0], -1)).sum())
    start = time.process_time()
    tracemalloc.start()
    scene = read_scene(tmp_path / "comb.obj", scale=0.01)
    # Ear by ear, each against all others, it takes hours, and a table of corners by triangles 800 MB.
    assert time.process_time() - start < 5.0 and tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()
    assert scene.areas.sum() == pytest.approx(shoelace * 1e-4, rel=1e-5)


def test_a_polygon_that_crosses_itself_is_named(tmp_path):
    corners = [(0, 0), (4, 3), (4, 0), (0, 2)]
    lines = [f"v {x} {y} 0" for x, y in corners]
    (tmp_path / "bow.obj").write_text("\n".join(["o wall", *lines, "f 1 2 3 4"]))
    with pytest.warns(HarkenWarning, match="1 of its faces cross themselves"):
        read_scene(tmp_path / "bow.obj")
