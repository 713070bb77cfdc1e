import numpy as np
import pytest
import trimesh
from scene_files import box_file, furnished, rewrite

from harken.errors import HarkenWarning, SceneError
from harken.scene.readers.reading import read_scene


@pytest.mark.parametrize("suffix", [".glb", ".gltf"])
def test_gltf_instances_transforms_and_names_survive(tmp_path, suffix):
    scene = read_scene(furnished(tmp_path, suffix))
    found = {o.name: o for o in scene.objects}
    assert {name: o.category for name, o in found.items()} == {"Walls": "wall", "chair_a": "chair", "chair_b": "chair"}
    assert found["chair_a"].lower == pytest.approx((0.5, -1.5, -1.0))
    assert found["chair_a"].upper == pytest.approx((1.5, -0.5, 1.0))
    # A quarter turn about +y takes x to −z and z to x.
    assert found["chair_b"].lower == pytest.approx((-1.0, -1.5, -1.5))
    assert found["chair_b"].upper == pytest.approx((1.0, -0.5, -0.5))
    for name, expected in (("Walls", "brick"), ("chair_a", "upholstery"), ("chair_b", "upholstery")):
        mine = scene.instance == found[name].instance
        assert mine.sum() == 12
        assert {scene.materials[i].name for i in scene.material[mine]} == {expected}


def test_gltf_textures_and_base_colours_arrive_as_srgb(tmp_path):
    scene = read_scene(furnished(tmp_path))
    look = scene.appearance
    chairs = scene.category == scene.categories.index("chair")
    assert len(look.textures) == 1  # Both instances share it.
    assert (look.texture[chairs] == 0).all()
    # (0, 0) is the bottom left, so (0.25, 0.75) is the top left pixel.
    assert look.uv[chairs].reshape(-1, 2) == pytest.approx(np.tile([0.25, 0.75], (72, 1)))
    assert look.textures[0][0, 0].tolist() == [255, 0, 0]
    # 128/255 in linear light is 188 in sRGB (IEC 61966-2-1).
    assert look.colors[~chairs].reshape(-1, 3).tolist() == [[255, 0, 188]] * 36


def test_mirrored_nodes_keep_their_front_outside(tmp_path):
    world = trimesh.Scene()
    world.add_geometry(trimesh.creation.box(extents=(4, 3, 5)), node_name="wall", transform=np.diag((-1.0, 1, 1, 1)))
    world.export(tmp_path / "mirror.glb")
    scene = read_scene(tmp_path / "mirror.glb")
    middles = scene.vertices[scene.faces].mean(axis=1)
    assert (np.einsum("ni,ni->n", middles, scene.normals) > 0).all()


def test_gltf_vertex_colours_are_read(tmp_path):
    mesh = trimesh.creation.box(extents=(4, 3, 5))
    mesh.visual.vertex_colors = np.tile(np.uint8([255, 128, 0, 255]), (8, 1))
    world = trimesh.Scene()
    world.add_geometry(mesh, node_name="wall")
    world.export(tmp_path / "box.glb")
    assert read_scene(tmp_path / "box.glb").appearance.colors[0, 0].tolist() == [255, 188, 0]


def damaged(path, change):
    """Change the bytes of the first image of a GLB file."""
    content = bytearray(path.read_bytes())
    start = content.index(b"\x89PNG")
    end = content.index(b"IEND", start) + 8
    content[start:end] = change(bytes(content[start:end])).ljust(end - start, b"\0")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda png: b"\xabKTX 20\xbb\r\n\x1a\n",
        lambda png: png[: len(png) // 2],
        lambda png: png.replace(b"IDAT", b"IDAT\x01", 1)[: len(png)],
        lambda png: bytes([*png[:45], png[45] ^ 1, *png[46:]]),  # One bit of the image data.
    ],
    ids=["another format", "cut off", "shifted", "one bit"],
)
def test_a_texture_in_the_file_that_is_damaged_is_a_warning_and_one_colour(tmp_path, change):
    with pytest.warns(HarkenWarning, match=r"texture of 1 material\(s\) \('leather'\) is missing, damaged"):
        scene = read_scene(damaged(furnished(tmp_path), change))
    assert (scene.appearance.texture == -1).all()


def test_parts_belong_to_the_node_above_that_says_what_they_are(tmp_path):
    world = trimesh.Scene()
    world.add_geometry(trimesh.creation.box(extents=(8, 3, 8)), node_name="wall")
    world.graph.update(frame_to="floor_1", frame_from="world")
    world.graph.update(
        frame_to="Sofa_3", frame_from="floor_1", matrix=trimesh.transformations.translation_matrix((1, 0, 0))
    )
    for i in range(2):
        part = trimesh.creation.box(extents=(1, 1, 1 + i))
        world.add_geometry(part, node_name=f"Cube.{i}", geom_name=f"Cube.{i}", parent_node_name="Sofa_3")
    world.export(tmp_path / "home.glb")
    scene = read_scene(tmp_path / "home.glb")
    found = {o.name: o for o in scene.objects}
    assert {name: o.category for name, o in found.items()} == {"wall": "wall", "Sofa_3": "sofa"}
    assert found["Sofa_3"].lower == pytest.approx((0.5, -0.5, -1.0))
    assert {m.name for m in scene.materials} == {"plaster", "upholstery"}


def test_meshes_of_several_materials_shown_by_several_nodes_keep_both_and_their_order(tmp_path):
    world = trimesh.Scene()
    for name, height in (("oak", 1.0), ("steel", 2.0)):
        look = trimesh.visual.material.PBRMaterial(name=name)
        mesh = trimesh.creation.box(extents=(1, height, 1))
        mesh.visual = trimesh.visual.TextureVisuals(material=look)
        world.add_geometry(mesh, node_name=f"table_{name}", geom_name=name)
    world.export(tmp_path / "tables.glb")

    def change(header):
        header["meshes"][0]["primitives"] += header["meshes"].pop()["primitives"]
        for number, node in enumerate(node for node in header["nodes"] if "mesh" in node):
            node["mesh"], node["translation"] = 0, [3.0 * number, 0, 0]

    path = rewrite(tmp_path / "tables.glb", change)
    scenes = [read_scene(path) for _ in range(2)]
    assert scenes[0].fingerprint == scenes[1].fingerprint
    assert scenes[0].instance.tobytes() == scenes[1].instance.tobytes()
    assert [o.name for o in scenes[0].objects] == ["table_oak", "table_steel"]
    for thing in scenes[0].objects:
        mine = scenes[0].instance == thing.instance
        assert np.bincount(scenes[0].material[mine]).tolist() == [12, 12]
        assert thing.upper - thing.lower == pytest.approx((1, 2, 1))


@pytest.mark.parametrize(
    ("extension", "message"),
    [("KHR_draco_mesh_compression", "pip install DracoPy"), ("EXT_meshopt_compression", "meshopt")],
)
def test_compressed_gltf_is_refused_with_what_to_do(tmp_path, extension, message):
    def change(header):
        header["extensionsUsed"] = header["extensionsRequired"] = [extension]

    with pytest.raises((SceneError, ImportError), match=message):
        read_scene(rewrite(furnished(tmp_path), change))


def test_a_file_of_one_node_is_the_scene_and_not_an_object(tmp_path):
    scene = read_scene(box_file(tmp_path / "box.glb"))
    assert scene.objects == ()
    assert (scene.instance == 0).all()


@pytest.mark.parametrize("keep", [0, 10, 19, 60, 400, 900])
def test_glb_files_cut_off_anywhere_are_errors(tmp_path, keep):
    path = box_file(tmp_path / "box.glb")
    content = path.read_bytes()
    assert len(content) > keep
    path.write_bytes(content[:keep])
    with pytest.raises(SceneError, match="cut off"):
        read_scene(path)


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"{", b'{"asset": {"version": "2.0"}, "buffers": [{"uri": "no.bin"}]}']
)
def test_gltf_files_without_content_are_errors(tmp_path, content):
    (tmp_path / "bad.gltf").write_bytes(content)
    with pytest.raises(SceneError, match=r"bad\.gltf"):
        read_scene(tmp_path / "bad.gltf")
