"""Damaged and hostile glTF files end in an error that names the file and the place, quickly and in little memory."""

import json
import os
import tracemalloc

import numpy as np
import pytest
from scene_files import SQUARE, GltfWriter

from harken.errors import HarkenWarning, SceneError
from harken.scene.readers.reading import read_scene


@pytest.fixture
def writer():
    writer = GltfWriter()
    writer.mesh()
    return writer


def refused(path, message):
    with pytest.raises(SceneError, match=message) as caught:
        read_scene(path)
    assert path.name in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "children",
    [{0: [0]}, {0: [1], 1: [2], 2: [0]}, {0: [1, 1]}, {0: [1, 2], 1: [3], 2: [3]}],
    ids=["own child", "ring of three", "child twice", "two parents"],
)
def test_nodes_that_form_no_tree_are_refused(tmp_path, writer, children):
    writer.header["nodes"] = [{"mesh": 0, "children": children.get(i, [])} for i in range(4)]
    refused(writer.write(tmp_path / "a.gltf"), r"nodes\[\d\] is below itself or below two nodes")


@pytest.mark.parametrize(
    ("width", "value"),
    [("uint8", 4), ("uint8", 255), ("uint16", 4), ("uint16", 65535), ("uint32", 4), ("uint32", 2**32 - 1)],
)
def test_indices_beyond_the_vertices_are_refused_in_every_width(tmp_path, writer, width, value):
    writer.header["meshes"].clear()
    writer.mesh(SQUARE, (0, 1, value), width)
    refused(writer.write(tmp_path / "a.gltf"), rf"meshes\[0\].primitives\[0\]: a face names vertex {value}")


@pytest.mark.parametrize("width", ["int8", "int16", "float32"])
def test_indices_of_types_that_are_none_are_refused(tmp_path, writer, width):
    writer.header["meshes"].clear()
    writer.mesh(SQUARE, (0, 1, 2), width)
    refused(writer.write(tmp_path / "a.gltf"), "componentType is none of an index")


@pytest.mark.parametrize("count", [5, 10**6, 2**31, 2**52, 2**70])
@pytest.mark.parametrize("base", [True, False])
def test_counts_beyond_the_file_are_refused_before_memory_is_taken(tmp_path, writer, count, base):
    writer.header["accessors"][0]["count"] = count
    if not base:
        writer.header["accessors"][0].pop("bufferView")
    path = writer.write(tmp_path / "a.gltf")
    tracemalloc.start()
    try:
        refused(path, r"accessors\[0\]" if base or count > 10**6 else "has an area")
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_instances_beyond_what_a_scene_may_hold_are_refused(tmp_path, writer):
    copies = 300
    writer.header["meshes"].clear()
    writer.mesh(SQUARE, np.tile([0, 1, 2], 100_000), "uint32")
    writer.header["nodes"] = [{"children": list(range(1, copies))}, *[{"mesh": 0}] * (copies - 1)]
    refused(writer.write(tmp_path / "a.gltf"), "more than 20,000,000 triangles")


CHANGES = {
    "required extensions are text": (lambda h: h.update(extensionsRequired="KHR_mesh_quantization"), "no list of"),
    "required extensions are numbers": (lambda h: h.update(extensionsRequired=[1, None]), "no list of names"),
    "nodes are an object": (lambda h: h.update(nodes={}), "nodes is"),
    "a node is text": (lambda h: h.update(nodes=["wall"]), r"nodes\[0\]"),
    "a mesh that is not there": (lambda h: h["nodes"][0].update(mesh=7), "mesh is 7, but the file has 1 meshes"),
    "a mesh of text": (lambda h: h["nodes"][0].update(mesh="0"), "mesh is '0'"),
    "a mesh of -1": (lambda h: h["nodes"][0].update(mesh=-1), "mesh is -1"),
    "a mesh of 0.5": (lambda h: h["nodes"][0].update(mesh=0.5), "mesh is 0.5"),
    "true for a mesh": (lambda h: h["nodes"][0].update(mesh=True), "mesh is True"),
    "children of text": (lambda h: h["nodes"][0].update(children=["a"]), "children holds 'a'"),
    "a child that is not there": (lambda h: h["nodes"][0].update(children=[9]), "node 9 of 1"),
    "a huge child": (lambda h: h["nodes"][0].update(children=[10**30]), "node 1"),
    "a matrix of 15": (lambda h: h["nodes"][0].update(matrix=[1] * 15), "matrix is"),
    "a matrix of text": (lambda h: h["nodes"][0].update(matrix=["1"] * 16), "matrix is"),
    "a rotation of nothing": (lambda h: h["nodes"][0].update(rotation=[0, 0, 0, 0]), "rotation is 0"),
    "a huge scale": (lambda h: h["nodes"][0].update(scale=[1e308, 1e308, 1]), "from the origin|infinite"),
    "far away": (lambda h: h["nodes"][0].update(translation=[1e300, 0, 0]), "from the origin"),
    "no positions": (lambda h: h["meshes"][0]["primitives"][0]["attributes"].pop("POSITION"), "empty"),
    "positions of text": (lambda h: h["meshes"][0]["primitives"][0]["attributes"].update(POSITION="0"), "POSITION"),
    "positions that are indices": (lambda h: h["meshes"][0]["primitives"][0]["attributes"].update(POSITION=1), "type"),
    "an unknown component": (lambda h: h["accessors"][0].update(componentType=5124), "componentType is 5124"),
    "an offset beyond": (lambda h: h["accessors"][0].update(byteOffset=10**9), "it needs 1"),
    "a view beyond": (lambda h: h["bufferViews"][0].update(byteLength=10**9), "ends at byte 1000000000"),
    "a view of another buffer": (lambda h: h["bufferViews"][0].update(buffer=3), "buffer is 3"),
    "a tiny stride": (lambda h: h["bufferViews"][0].update(byteStride=4), "byteStride is 4"),
    "version 1": (lambda h: h.update(asset={"version": "1.0"}), "version is '1.0'"),
    "a name of numbers": (lambda h: h["nodes"][0].update(name=7), "name is 7"),
    "a scene that is not there": (lambda h: h.update(scene=5), "scene is 5"),
    "a skin that is not there": (lambda h: h["nodes"][0].update(skin=5), "skin is 5"),
    "two corners": (lambda h: h["accessors"][1].update(count=2), "no whole number of triangles"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_what_is_not_as_gltf_has_it_is_refused_at_its_place(tmp_path, writer, case):
    change, message = CHANGES[case]
    change(writer.header)
    refused(writer.write(tmp_path / "a.gltf"), message)


@pytest.mark.parametrize("sparse", [{"count": 9}, {"count": 1}, {"count": 1, "indices": 4}, []])
def test_broken_sparse_accessors_are_refused(tmp_path, writer, sparse):
    writer.header["accessors"][0]["sparse"] = sparse
    refused(writer.write(tmp_path / "a.gltf"), r"accessors\[0\]")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"nodes": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested too deep|JSON"),
        ('{"nodes": [], "nodes": []}', "'nodes' stands twice"),
        ('{"nodes": [{"scale": [NaN, 1, 1]}]}', "NaN is no number"),
        ('{"nodes": [{"mesh": ' + "9" * 5000 + "}]}", "JSON"),
        ('{"asset": 3}', "asset is 3"),
    ],
    ids=["nested", "doubled", "nan", "digits", "asset"],
)
def test_json_that_is_not_what_it_seems_is_refused(tmp_path, text, message):
    path = tmp_path / "a.gltf"
    path.write_text(text)
    refused(path, message)


@pytest.mark.parametrize(
    "uri",
    ["pipe", "folder", "http://example.org/a.bin", "a\0b", "x" * 5000, "data:,abc", "data:;base64,%%"],
    ids=["pipe", "folder", "http", "null", "long", "plain data", "broken data"],
)
def test_only_regular_files_beside_the_scene_are_opened(tmp_path, writer, uri):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    path = writer.write(tmp_path / "a.gltf")
    header = json.loads(path.read_text())
    header["buffers"][0]["uri"] = uri
    path.write_text(json.dumps(header))
    refused(path, r"buffers\[0\]")


def test_a_pipe_as_image_is_a_missing_texture(tmp_path, writer):
    os.mkfifo(tmp_path / "pipe")
    writer.header["meshes"].clear()
    entry = writer.mesh(material=0)
    entry["attributes"]["TEXCOORD_0"] = writer.add(SQUARE[:, :2])
    writer.header |= {
        "images": [{"uri": "pipe"}],
        "textures": [{"source": 0}],
        "materials": [{"name": "brick", "pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}],
    }
    with pytest.warns(HarkenWarning, match=r"texture of 1 material\(s\) \('brick'\) is missing"):
        read_scene(writer.write(tmp_path / "a.gltf"))


def test_names_of_millions_of_characters_are_cut(tmp_path, writer):
    writer.header["nodes"] = [{"mesh": 0, "name": "wall " + "a" * 10_000_000}, {"mesh": 0, "name": "chair" * 1000}]
    writer.header["scenes"][0]["nodes"] = [0, 1]
    path = writer.write(tmp_path / "a.gltf")
    tracemalloc.start()
    try:
        scene = read_scene(path, materials={"default": "plaster"})
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert [len(o.name) for o in scene.objects] == [200, 200]


def test_values_that_are_not_finite_are_refused(tmp_path, writer):
    writer.header["meshes"].clear()
    writer.mesh(np.where(SQUARE == 2, np.float32(np.nan), SQUARE))
    refused(writer.write(tmp_path / "a.gltf"), "NaN or infinite")
