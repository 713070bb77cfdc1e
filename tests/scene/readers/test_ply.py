import json
import os
import tracemalloc

import numpy as np
import pytest
import trimesh
from PIL import Image
from scene_files import made_of, replica_like

from harken.errors import HarkenWarning, SceneError
from harken.scene.readers.reading import read_scene


@pytest.mark.parametrize("binary", [True, False])
def test_ply_scans_are_z_up_with_objects_and_colours(tmp_path, binary):
    path = replica_like(tmp_path / "mesh_semantic.ply", binary=binary)
    classes = {"objects": [{"id": 7, "class_name": "floor"}, {"id": 9, "class_name": "ceiling"}]}
    (tmp_path / "info_semantic.json").write_text(json.dumps(classes))
    scene = read_scene(path)
    assert scene.bounds[0] == pytest.approx((0, 0, -6))
    assert scene.bounds[1] == pytest.approx((4, 2.5, 0))
    assert made_of(scene, 0.0, 1) == {"wood_floor"}
    assert made_of(scene, 2.5, 1) == {"plaster"}
    assert [(o.name, o.category) for o in scene.objects] == [("floor", "floor"), ("ceiling", "ceiling")]
    assert scene.areas.sum() == pytest.approx(48.0)
    # Blue is the number of the vertex, so positions show whether corners kept their colours.
    blue = scene.appearance.colors[:, :, 2].astype(int)
    expected = np.array([(x, z, -y) for z in (0.0, 2.5) for x, y in ((0, 0), (4, 0), (4, 6), (0, 6))])
    assert scene.vertices[scene.faces] == pytest.approx(expected[blue])
    # The floor faced up in the file and still does.
    assert scene.normals[scene.category == scene.categories.index("floor")] == pytest.approx(np.array([[0, 1, 0]] * 2))


def test_a_broken_list_of_classes_is_an_error(tmp_path):
    path = replica_like(tmp_path / "mesh_semantic.ply")
    (tmp_path / "info_semantic.json").write_text("{}")
    with pytest.raises(SceneError, match="info_semantic"):
        read_scene(path)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("missing", [1, 20, 60, 250, 400])
def test_ply_files_cut_off_anywhere_are_errors(tmp_path, binary, missing):
    path = replica_like(tmp_path / "scan.ply", binary=binary)
    content = path.read_bytes()
    kept = content[:-missing] if binary or missing > 1 else content[:-6]
    path.write_bytes(kept)
    with pytest.raises(SceneError, match=r"scan\.ply"):
        read_scene(path)


def test_point_clouds_are_refused(tmp_path):
    trimesh.PointCloud(np.eye(3)).export(tmp_path / "points.ply")
    with pytest.raises(SceneError, match=r"[Pp]oint clouds"):
        read_scene(tmp_path / "points.ply")


def ascii_ply(path, faces, *, vertices=((0, 0, 0), (4, 0, 0), (4, 3, 0), (0, 3, 0)), extra="", fields=""):
    """Write an ASCII file of the given lines of faces."""
    head = [
        *("ply", "format ascii 1.0", *filter(None, [extra]), f"element vertex {len(vertices)}"),
        *(f"property float {axis}" for axis in "xyz"),
        *(
            f"element face {len(faces)}",
            "property list uchar int vertex_indices",
            *filter(None, [fields]),
            "end_header",
        ),
    ]
    path.write_text("\n".join([*head, *(" ".join(map(str, v)) for v in vertices), *faces]) + "\n")
    return path


GIVEN = {"default": "plaster"}


def test_concave_faces_keep_their_doors(tmp_path):
    outline = [(0, 0), (1, 0), (1, 2), (2, 2), (2, 0), (4, 0), (4, 3), (0, 3)]
    path = ascii_ply(tmp_path / "a.ply", ["8 0 1 2 3 4 5 6 7"], vertices=[(x, 0, y) for x, y in outline])
    assert read_scene(path, materials=GIVEN).areas.sum() == pytest.approx(10.0)


@pytest.mark.parametrize("binary", [True, False])
def test_triangles_and_quads_may_be_mixed_and_keep_their_objects(tmp_path, binary):
    path = ascii_ply(tmp_path / "a.ply", ["4 0 1 2 3 7", "3 0 1 2 9", "3 0 2 3 9"], fields="property int object_id")
    if binary:
        text = path.read_text().replace("ascii", "binary_little_endian")
        head = text[: text.index("end_header") + 11].encode()
        rows = np.array([(0, 0, 0), (4, 0, 0), (4, 3, 0), (0, 3, 0)], "<f4").tobytes()
        for corners, thing in (((0, 1, 2, 3), 7), ((0, 1, 2), 9), ((0, 2, 3), 9)):
            rows += bytes([len(corners)]) + np.array([*corners, thing], "<i4").tobytes()
        path.write_bytes(head + rows)
    scene = read_scene(path, materials=GIVEN)
    assert [o.instance for o in scene.objects] == [1, 2]
    assert [scene.areas[scene.instance == i].sum() for i in (1, 2)] == pytest.approx([12.0, 12.0])


def test_big_endian_files_are_read(tmp_path):
    path = replica_like(tmp_path / "a.ply")
    content = path.read_bytes()
    start = content.index(b"end_header\n") + 11
    kinds = np.dtype([("p", "<f4", 3), ("c", "u1", 3)])
    faces = np.dtype([("n", "u1"), ("v", "<i4", 4), ("id", "<i4")])
    rows = np.frombuffer(content, kinds, 8, start).astype(kinds.newbyteorder(">"))
    quads = np.frombuffer(content, faces, 2, start + rows.nbytes).astype(faces.newbyteorder(">"))
    other = tmp_path / "b.ply"
    other.write_bytes(content[:start].replace(b"little", b"big") + rows.tobytes() + quads.tobytes())
    given = {"default": "plaster"}
    assert read_scene(path, materials=given).fingerprint == read_scene(other, materials=given).fingerprint


@pytest.mark.parametrize(
    ("face", "message"),
    [
        ("3 0 1 4", "a face names vertex 4, but there are 4"),
        ("3 0 1 -1", "a face names vertex -1"),
        ("3 0 1 1.5", "holds 1.5; expected whole numbers"),
        ("3 0 1 nan", "holds nan; expected whole numbers"),
        (f"3 0 1 {10**20}", r"holds 1e\+20"),
        (f"3 0 1 {2**40}", r"holds 1.09951e\+12"),
        ("3 0 1 two", "no number"),
        ("-3 0 1 2", "promises 1 × face but 0"),
        ("3.5 0 1 2", "promises 1 × face but 0"),
        ("1000000000 0 1 2", "promises 1 × face but 0"),
        ("3 0 1", "promises 1 × face but 0"),
        ("3 0 1 2 2", "1 numbers more"),
        ("2 0 1", "empty"),
    ],
)
def test_faces_that_cannot_be_are_refused(tmp_path, face, message):
    with pytest.raises(SceneError, match=message) as caught:
        read_scene(ascii_ply(tmp_path / "bad.ply", [face]))
    assert "bad.ply" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("element face 2", f"element face {10**9}"),
        ("element face 2", f"element face {10**30}"),
        ("element face 2", "element face -1"),
        ("element face 2", "element face 2.5"),
        ("element face 2", "element face"),
        ("element vertex 8", f"element vertex {2**35}"),
        ("element vertex 8", "element vertex 7"),
        ("element vertex 8", "element vertex 0"),
        ("property int object_id", "property long object_id"),
        ("property int object_id", "property list float int object_id"),
        ("property int object_id", "property float x y"),
        ("property float y", "property float x"),
        ("property float y", "property float w"),
        ("property list uchar int vertex_indices", "property list uchar int corners"),
        ("property list uchar int vertex_indices", "property list char int vertex_indices\nproperty list int int more"),
        ("format binary_little_endian 1.0", "format binary_middle_endian 1.0"),
        ("format binary_little_endian 1.0", "format binary_little_endian 2.0"),
        ("ply", "plyx"),
        ("end_header", "end"),
        ("element face 2", "element face 2\nelement face 2"),
        ("element face 2", "element tristrips 2"),
    ],
)
def test_headers_that_cannot_be_are_refused_without_taking_memory(tmp_path, line, instead):
    path = replica_like(tmp_path / "bad.ply")
    content = path.read_bytes()
    assert f"{line}\n".encode() in content
    path.write_bytes(content.replace(f"{line}\n".encode(), f"{instead}\n".encode(), 1))
    tracemalloc.start()
    try:
        with pytest.raises(SceneError, match=r"bad\.ply"):
            read_scene(path)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("corner", [8, 255, 65535, -1, 2**31 - 1])
def test_indices_beyond_the_vertices_are_refused_in_binary_files(tmp_path, corner):
    path = replica_like(tmp_path / "bad.ply")
    content = path.read_bytes()
    path.write_bytes(content[:-8] + int(corner).to_bytes(4, "little", signed=True) + content[-4:])
    with pytest.raises(SceneError, match=rf"bad\.ply.*a face names vertex {corner}, but there are 8"):
        read_scene(path)


def test_textures_lie_where_corners_or_vertices_say(tmp_path):
    Image.new("RGB", (4, 4), (9, 99, 199)).save(tmp_path / "wall.png")
    pairs = "8 0 0 1 0 1 1 0 1"
    path = ascii_ply(
        tmp_path / "a.ply",
        [f"4 0 1 2 3 {pairs}"],
        extra="comment TextureFile wall.png",
        fields="property list uchar float texcoord",
    )
    scene = read_scene(path, materials=GIVEN, up="y")
    assert scene.appearance.textures[0][0, 0].tolist() == [9, 99, 199]
    assert (scene.appearance.texture == 0).all()
    expected = scene.vertices[scene.faces][..., :2] / (4, 3)
    assert scene.appearance.uv == pytest.approx(expected)


@pytest.mark.parametrize("what", ["missing", "pipe", "cut off", "no image"])
def test_a_texture_that_is_missing_or_damaged_is_a_warning_and_grey(tmp_path, what):
    Image.effect_noise((64, 64), 90).save(tmp_path / "wall.png")
    content = (tmp_path / "wall.png").read_bytes()
    (tmp_path / "wall.png").unlink()
    if what == "pipe":
        os.mkfifo(tmp_path / "wall.png")
    elif what != "missing":
        (tmp_path / "wall.png").write_bytes(content[:-900] if what == "cut off" else b"%!PS-Adobe-3.0 EPSF-3.0\n")
    fields = "property list uchar float texcoord"
    path = ascii_ply(tmp_path / "a.ply", ["3 0 1 2 6 0 0 1 0 1 1"], extra="comment TextureFile wall.png", fields=fields)
    with pytest.warns(HarkenWarning, match="its texture 'wall.png' is missing, damaged"):
        scene = read_scene(path, materials=GIVEN)
    assert (scene.appearance.texture == -1).all()


def test_classes_with_a_key_twice_are_refused(tmp_path):
    path = replica_like(tmp_path / "mesh_semantic.ply")
    (tmp_path / "info_semantic.json").write_text('{"objects": [{"id": 7, "id": 9, "class_name": "floor"}]}')
    with pytest.raises(SceneError, match=r"info_semantic.*'id' stands twice"):
        read_scene(path)
