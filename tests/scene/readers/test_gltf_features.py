"""Every feature of glTF that changes what stands in a room is read, or refused by name."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from scene_files import SQUARE, GltfWriter

from harken.errors import HarkenWarning, SceneError
from harken.scene.readers.reading import read_scene


@pytest.fixture
def writer():
    return GltfWriter()


def area(scene):
    return scene.areas.sum()


def test_sparse_accessors_move_the_vertices_that_they_name(tmp_path, writer):
    writer.mesh()
    writer.header["accessors"][0]["sparse"] = {
        "count": 2,
        "indices": {"bufferView": writer.view(np.array([1, 2], np.uint8).tobytes()), "componentType": 5121},
        "values": {"bufferView": writer.view(np.array([(5, 0, 0), (5, 2, 0)], np.float32).tobytes())},
    }
    assert area(read_scene(writer.write(tmp_path / "a.gltf"))) == pytest.approx(10.0)


def test_sparse_accessors_without_a_base_begin_at_zero(tmp_path, writer):
    writer.mesh()
    writer.header["accessors"][0].pop("bufferView")
    writer.header["accessors"][0]["sparse"] = {
        "count": 4,
        "indices": {"bufferView": writer.view(np.arange(4, dtype=np.uint16).tobytes()), "componentType": 5123},
        "values": {"bufferView": writer.view(SQUARE.tobytes())},
    }
    assert area(read_scene(writer.write(tmp_path / "a.gltf"))) == pytest.approx(4.0)


@pytest.mark.parametrize(("dtype", "full"), [("int16", 32767), ("uint16", 65535), ("uint8", 255), ("int8", 127)])
def test_quantised_positions_are_brought_back_to_metres(tmp_path, writer, dtype, full):
    positions = np.zeros((4, 4), dtype)  # A fourth column pads to four bytes; accessors have three.
    positions[:, :3] = SQUARE / 2 * full
    entry = writer.mesh()
    number = writer.add(positions, type="VEC3", normalized=True)
    writer.header["bufferViews"][-1]["byteStride"] = positions.itemsize * 4
    entry["attributes"]["POSITION"] = number
    writer.header["nodes"][0]["scale"] = [2, 2, 2]
    writer.header["extensionsRequired"] = ["KHR_mesh_quantization"]
    scene = read_scene(writer.write(tmp_path / "a.gltf"))
    assert scene.bounds[1] - scene.bounds[0] == pytest.approx((2, 2, 0), rel=1e-6)


def test_instances_stand_where_their_attributes_say_and_are_objects(tmp_path, writer):
    writer.mesh()
    attributes = {
        "TRANSLATION": writer.add(np.array([(0, 0, 0), (10, 0, 0), (20, 0, 0)], np.float32)),
        "SCALE": writer.add(np.array([(1, 1, 1), (1, 1, 1), (2, 1, 1)], np.float32)),
        "ROTATION": writer.add(np.array([(0, 0, 0, 1), (0, 0.7071068, 0, 0.7071068), (0, 0, 0, 1)], np.float32)),
    }
    writer.header["nodes"][0] |= {
        "name": "chair",
        "extensions": {"EXT_mesh_gpu_instancing": {"attributes": attributes}},
    }
    writer.header["extensionsUsed"] = ["EXT_mesh_gpu_instancing"]
    scene = read_scene(writer.write(tmp_path / "a.gltf"))
    assert area(scene) == pytest.approx(4 + 4 + 8)
    # A quarter turn about +y takes x to −z.
    expected = np.array([(0, 0, 0), (10, 0, -2), (20, 0, 0)])
    assert np.stack([o.lower for o in scene.objects]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("mode", "indices"), [(5, (0, 1, 3, 2)), (6, (0, 1, 2, 3)), (4, (0, 1, 2, 0, 2, 3))])
@pytest.mark.parametrize("indexed", [True, False])
def test_lists_strips_and_fans_of_triangles_face_the_same_way(tmp_path, writer, mode, indices, indexed):
    writer.mesh(SQUARE if indexed else SQUARE[list(indices)], indices if indexed else None, mode=mode)
    scene = read_scene(writer.write(tmp_path / "a.gltf"))
    assert area(scene) == pytest.approx(4.0)
    assert scene.normals == pytest.approx(np.array([(0, 0, 1)] * 2))


def test_points_and_lines_beside_triangles_are_left_out(tmp_path, writer):
    entry = writer.mesh()
    writer.header["meshes"][0]["primitives"] += [{**entry, "mode": mode} for mode in (0, 1, 2, 3)]
    assert len(read_scene(writer.write(tmp_path / "a.gltf")).faces) == 2


def test_morph_targets_stand_as_their_weights_at_rest(tmp_path, writer):
    entry = writer.mesh()
    entry["targets"] = [{"POSITION": writer.add(SQUARE)}, {"POSITION": writer.add(SQUARE * 100)}]
    writer.header["meshes"][0]["weights"] = [0.5, 0.0]
    assert area(read_scene(writer.write(tmp_path / "a.gltf"))) == pytest.approx(9.0)
    writer.header["nodes"][0]["weights"] = [1.0, 0.0]
    assert area(read_scene(writer.write(tmp_path / "b.gltf"))) == pytest.approx(16.0)


def test_skins_stand_where_their_joints_are(tmp_path, writer):
    entry = writer.mesh()
    entry["attributes"]["JOINTS_0"] = writer.add(np.array([(0, 1, 0, 0)] * 4, np.uint8))
    entry["attributes"]["WEIGHTS_0"] = writer.add(np.array([(0.25, 0.75, 0, 0)] * 4, np.float32))
    inverse = np.stack([np.eye(4), np.eye(4)]).astype(np.float32)
    inverse[1, 3, 0] = -8.0  # By columns: it moves by −8 along x.
    writer.header["nodes"] = [
        {"name": "wall", "mesh": 0, "skin": 0, "translation": [1000, 0, 0]},  # What a skin moves, its node does not.
        {"translation": [0, 4, 0], "children": [2]},
        {"translation": [12, 0, 0]},
    ]
    writer.header["scenes"][0]["nodes"] = [0, 1]
    writer.header["skins"] = [{"joints": [1, 2], "inverseBindMatrices": writer.add(inverse.reshape(2, 16))}]
    scene = read_scene(writer.write(tmp_path / "a.gltf"))
    assert scene.bounds[0] == pytest.approx((0.75 * 4, 4, 0))
    assert area(scene) == pytest.approx(4.0)


def test_textures_are_turned_and_moved_as_the_file_says(tmp_path, writer):
    buffer = io.BytesIO()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(buffer, "PNG")
    entry = writer.mesh(material=0)
    entry["attributes"]["TEXCOORD_1"] = writer.add(SQUARE[:, :2] / 2)
    transform = {"offset": [0.25, 0.5], "rotation": np.pi / 2, "scale": [2, 3], "texCoord": 1}
    base = {"index": 0, "extensions": {"KHR_texture_transform": transform}}
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    writer.header |= {
        "images": [{"uri": uri}],
        "textures": [{"source": 0}],
        "materials": [{"name": "plaster", "pbrMetallicRoughness": {"baseColorTexture": base}}],
    }
    scene = read_scene(writer.write(tmp_path / "a.gltf"))
    corner = scene.vertices[scene.faces].reshape(-1, 3)
    uv = scene.appearance.uv.reshape(-1, 2)[(corner == (2, 0, 0)).all(axis=1)]
    # (1, 0) is scaled to (2, 0), turned by 90° to (0, −2), moved to (0.25, −1.5), and counted from below: 2.5.
    assert uv[0] == pytest.approx((0.25, 2.5), abs=1e-6)


def test_hidden_nodes_are_not_there(tmp_path, writer):
    writer.mesh()
    writer.header["nodes"] += [{"name": "wall", "mesh": 0, "extensions": {"KHR_node_visibility": {"visible": False}}}]
    writer.header["scenes"][0]["nodes"] = [0, 1]
    assert len(read_scene(writer.write(tmp_path / "a.gltf")).faces) == 2


def test_a_file_without_scenes_shows_all_its_nodes(tmp_path, writer):
    writer.mesh()
    writer.header["nodes"] = [{"name": "wall", "children": [1]}, {"mesh": 0}, {"name": "wall", "mesh": 0}]
    writer.header.pop("scenes")
    with pytest.warns(HarkenWarning, match="2 of 4 triangles have no label"):
        scene = read_scene(writer.write(tmp_path / "a.gltf"))
    assert len(scene.faces) == 4


def test_thousands_of_nested_nodes_are_read(tmp_path, writer):
    writer.mesh()
    count = 3000
    writer.header["nodes"] = [{"translation": [0.001, 0, 0], "children": [i + 1]} for i in range(count)]
    writer.header["nodes"].append({"name": "wall", "mesh": 0})
    assert read_scene(writer.write(tmp_path / "a.gltf")).bounds[0][0] == pytest.approx(3.0)


def test_required_extensions_that_are_not_read_are_refused_by_name(tmp_path, writer):
    writer.mesh()
    writer.header["extensionsRequired"] = ["KHR_materials_unlit", "ACME_strange_shapes"]
    with pytest.raises(SceneError, match="'ACME_strange_shapes'"):
        read_scene(writer.write(tmp_path / "a.gltf"))


def test_used_extensions_that_are_not_read_are_named(tmp_path, writer):
    writer.mesh()
    writer.header["extensionsUsed"] = ["KHR_materials_unlit", "ACME_strange_shapes"]
    with pytest.warns(HarkenWarning, match="it uses ACME_strange_shapes, which is not read"):
        read_scene(writer.write(tmp_path / "a.gltf"))


def test_meshes_compressed_with_draco_are_read(tmp_path, writer):
    draco = pytest.importorskip("DracoPy")
    entry = writer.mesh()
    encoded = draco.encode(SQUARE, np.array([(0, 1, 2), (0, 2, 3)], np.uint32), preserve_order=True)
    entry["extensions"] = {
        "KHR_draco_mesh_compression": {"bufferView": writer.view(encoded), "attributes": {"POSITION": 0}}
    }
    for accessor in writer.header["accessors"]:
        accessor.pop("bufferView")
    writer.header["extensionsRequired"] = ["KHR_draco_mesh_compression"]
    scene = read_scene(writer.write(tmp_path / "a.gltf"))
    assert area(scene) == pytest.approx(4.0, rel=1e-3)
