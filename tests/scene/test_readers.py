import json

import numpy as np
import pytest
import trimesh
from PIL import Image

from harken.errors import ConfigurationError, HarkenWarning, SceneError, UnknownNameError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene
from harken.scene.material_table import material
from harken.scene.readers.reading import FORMATS, read_scene

ROOM = """\
# A room of 4 × 3 × 5 m, walls with a notch for a door at z = 0.
mtllib room.mtl
v 0 0 0
v 4 0 0
v 4 3 0
v 0 3 0
v 0 0 5
v 4 0 5
v 4 3 5
v 0 3 5
v 1 0 0
v 1 2 0
v 2 2 0
v 2 0 0
vt 0 0
vt 1 0
vt 1 1
vt 0 1
o floor
usemtl oak
f 1/1 5/2 6/3 2/4
o ceiling
usemtl painted
f 4 3 7 8
o walls
usemtl brick
f 1 9 10 11 12 2 3 4
usemtl odd name_7
f -12 -9 -5 -8
f 2 6 7 3
f 5 8 7 6
"""
MTL = "newmtl oak\nKd 0.5 0.25 1\nmap_Kd oak.png\nnewmtl painted\nKd 0.2 0.4 0.6\n"


@pytest.fixture
def room(tmp_path):
    (tmp_path / "room.obj").write_text(ROOM)
    (tmp_path / "room.mtl").write_text(MTL)
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(2, 2, 3)).save(tmp_path / "oak.png")
    return tmp_path / "room.obj"


def made_of(scene, point_on, axis):
    """Names of the materials of the triangles in the plane `axis` = `point_on`."""
    flat = np.ptp(scene.vertices[scene.faces][:, :, axis], axis=1) < 1e-6
    chosen = flat & (np.abs(scene.vertices[scene.faces][:, 0, axis] - point_on) < 1e-6)
    return {scene.materials[i].name for i in scene.material[chosen]}


def box_file(path, size=(4.0, 3.0, 5.0), name="wall"):
    mesh = trimesh.creation.box(extents=size)
    world = trimesh.Scene()
    world.add_geometry(mesh, node_name=name, geom_name=name)
    world.export(path)
    return path


# OBJ ------------------------------------------------------------------------------------------------------------------


def test_obj_names_decide_materials_and_categories(room):
    scene = read_scene(room, materials={"brick": "concrete"})
    assert made_of(scene, 0.0, 1) == {"wood_floor"}
    assert made_of(scene, 3.0, 1) == {"plaster"}
    assert made_of(scene, 0.0, 2) == {"concrete"}
    assert made_of(scene, 0.0, 0) == {"plaster"}  # «odd name_7» says nothing, but its object is «walls».
    names = [scene.categories[i] for i in np.unique(scene.category)]
    assert set(names) == {"floor", "ceiling", "wall"}


def test_surfaces_without_a_label_are_default_and_counted_once(room):
    room.write_text(ROOM.replace("o walls", "o thing").replace("o floor", "o other"))
    with pytest.warns(HarkenWarning, match="6 of 16 triangles have no label") as caught:
        scene = read_scene(room)
    assert len(caught) == 1
    assert made_of(scene, 0.0, 0) == {"default"}
    assert made_of(read_scene(room, materials={"default": "marble"}), 0.0, 0) == {"marble"}


def test_objects_of_an_obj_file_are_objects_of_the_scene(room):
    scene = read_scene(room, materials={"odd name_7": "gypsum_board", "painted": "plaster"})
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


# glTF -----------------------------------------------------------------------------------------------------------------


def furnished(tmp_path, suffix=".glb"):
    """Two instances of one textured chair under a moved, turned and scaled node, and a room around."""
    image = Image.fromarray(np.uint8([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]]))
    look = trimesh.visual.material.PBRMaterial(name="leather", baseColorTexture=image)
    chair = trimesh.creation.box(extents=(1, 1, 1))
    chair.visual = trimesh.visual.TextureVisuals(uv=np.tile([0.25, 0.75], (8, 1)), material=look)
    walls = trimesh.creation.box(extents=(4, 3, 5))
    walls.visual = trimesh.visual.TextureVisuals(
        material=trimesh.visual.material.PBRMaterial(name="Brick_02", baseColorFactor=[255, 0, 128, 255])
    )
    world = trimesh.Scene()
    world.add_geometry(walls, node_name="Walls", geom_name="shell")
    place = trimesh.transformations.translation_matrix((1, -1, 0)) @ np.diag((1, 1, 2, 1))
    turn = trimesh.transformations.rotation_matrix(np.pi / 2, (0, 1, 0))
    world.add_geometry(chair, node_name="chair_a", geom_name="chair", transform=place)
    world.graph.update(frame_to="chair_b", frame_from="world", geometry="chair", matrix=turn @ place)
    path = tmp_path / f"home{suffix}"
    if suffix == ".glb":
        world.export(path)
    else:
        for name, content in world.export(file_type="gltf").items():
            (tmp_path / name).write_bytes(content)
        (tmp_path / "model.gltf").rename(path)
    return path


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


def rewrite(path, change):
    """Change the JSON part of a GLB file."""
    content = path.read_bytes()
    length = int.from_bytes(content[12:16], "little")
    header = json.loads(content[20 : 20 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)
    rest = content[20 + length :]
    total = (20 + len(text) + len(rest)).to_bytes(4, "little")
    path.write_bytes(content[:8] + total + len(text).to_bytes(4, "little") + content[16:20] + text + rest)
    return path


def give_acoustics(entry):
    def change(header):
        next(m for m in header["materials"] if m["name"] == "Brick_02")["extras"] = {"acoustics": entry}

    return change


def test_gltf_extras_give_acoustic_coefficients(tmp_path):
    entry = {"bands_hz": [125, 8000], "absorption": [0.1, 0.7], "scattering": 0.4, "transmission": [0.0, 0.06]}
    scene = read_scene(rewrite(furnished(tmp_path), give_acoustics(entry)))
    found = next(m for m in scene.materials if m.name == "Brick_02")
    assert found.absorption == pytest.approx([0.1 + 0.1 * i for i in range(len(OCTAVE_BANDS))])
    assert found.scattering == (0.4,) * 7
    assert found.transmission == pytest.approx([0.01 * i for i in range(len(OCTAVE_BANDS))])


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ({"absorbtion": [0.1], "absorption": 0.1}, UnknownNameError, "Did you mean 'absorption'"),
        ({"scattering": 0.1}, SceneError, "absorption"),
        ({"absorption": 1.2}, SceneError, "between 0 and 1"),
        ({"absorption": [0.1, 0.2], "bands_hz": [500, 250]}, SceneError, "ascending"),
        ({"absorption": [0.1, 0.2, 0.3]}, SceneError, "expected 1"),
        ({"absorption": "much"}, SceneError, "cannot be read"),
        ({"absorption": 0.1, "transmission": 0.2}, SceneError, "exceeds"),
        ("brik", UnknownNameError, "Did you mean 'brick'"),
        (7, SceneError, "expected the name"),
    ],
)
def test_impossible_acoustic_extras_are_errors(tmp_path, entry, error, message):
    with pytest.raises(error, match=message):
        read_scene(rewrite(furnished(tmp_path), give_acoustics(entry)))


def test_gltf_vertex_colours_are_read(tmp_path):
    mesh = trimesh.creation.box(extents=(4, 3, 5))
    mesh.visual.vertex_colors = np.tile(np.uint8([255, 128, 0, 255]), (8, 1))
    world = trimesh.Scene()
    world.add_geometry(mesh, node_name="wall")
    world.export(tmp_path / "box.glb")
    assert read_scene(tmp_path / "box.glb").appearance.colors[0, 0].tolist() == [255, 188, 0]


def test_a_gltf_texture_that_cannot_be_decoded_is_a_warning(tmp_path):
    def change(header):
        header["images"][0]["mimeType"] = "image/ktx2"

    with pytest.warns(HarkenWarning, match=r"texture of 1 material\(s\) \('leather'\)"):
        scene = read_scene(rewrite(furnished(tmp_path), change))
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


def test_acoustic_extras_need_a_name_to_hang_on(tmp_path):
    def change(header):
        give_acoustics({"absorption": 0.1})(header)
        for entry in header["materials"]:
            entry.pop("name")

    with pytest.raises(SceneError, match="no name"):
        read_scene(rewrite(furnished(tmp_path), change))


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


# PLY ------------------------------------------------------------------------------------------------------------------


def replica_like(path, *, binary=True):
    """Two quads at z = 0 and z = 2.5, z up, with colours and an object per face."""
    corners = [(0, 0), (4, 0), (4, 6), (0, 6)]
    vertices = [(x, y, z) for z in (0.0, 2.5) for x, y in corners]
    head = (
        f"ply\nformat {'binary_little_endian' if binary else 'ascii'} 1.0\nelement vertex 8\n"
        "property float x\nproperty float y\nproperty float z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        "element face 2\nproperty list uchar int vertex_indices\nproperty int object_id\nend_header\n"
    )
    kinds = np.dtype([("p", "<f4", 3), ("c", "u1", 3)])
    faces = np.dtype([("n", "u1"), ("v", "<i4", 4), ("id", "<i4")])
    rows = np.array([(v, (200, 100, i)) for i, v in enumerate(vertices)], kinds)
    quads = np.array([(4, (0, 1, 2, 3), 7), (4, (4, 7, 6, 5), 9)], faces)
    if binary:
        path.write_bytes(head.encode() + rows.tobytes() + quads.tobytes())
    else:
        text = [" ".join(map(str, (*v, 200, 100, i))) for i, v in enumerate(vertices)]
        text += [" ".join(map(str, (4, *q["v"], q["id"]))) for q in quads]
        path.write_text(head + "\n".join(text) + "\n")
    return path


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


# Round trips, mapping, axes, units ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_box_survives_every_format(tmp_path, suffix):
    path = tmp_path / f"box{suffix}"
    if suffix == ".gltf":
        furnished(tmp_path, suffix).rename(path)
    else:
        box_file(path)
    scene = read_scene(path, up="y", materials={"default": "plaster"})
    assert scene.bounds[0] == pytest.approx((-2, -1.5, -2.5))
    assert scene.bounds[1] == pytest.approx((2, 1.5, 2.5))
    assert len(np.unique(scene.vertices, axis=0)) == len(scene.vertices)  # Welded.


def test_z_up_files_are_turned_and_stay_right_handed(room):
    given = {"odd name_7": "plaster"}
    plain, turned = read_scene(room, materials=given), read_scene(room, materials=given, up="z")
    expected = np.stack([plain.vertices[:, 0], plain.vertices[:, 2], -plain.vertices[:, 1]], axis=1)
    assert turned.vertices == pytest.approx(expected)
    assert turned.faces.tolist() == plain.faces.tolist()


def test_scale_makes_metres(room):
    scene = read_scene(room, scale=0.5, materials={"odd name_7": "plaster"})
    assert scene.bounds[1] == pytest.approx((2, 1.5, 2.5))


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


def test_materials_by_mapping_file_and_sidecar_in_their_order(room, tmp_path):
    beside = room.with_name("room.materials.json")
    beside.write_text(
        json.dumps({"oak": "marble", "odd name_7": {"absorption": [0.3] * 6}, "ceiling": "acoustic_tile"})
    )
    scene = read_scene(room)
    assert made_of(scene, 0.0, 1) == {"marble"}
    assert made_of(scene, 3.0, 1) == {"acoustic_tile"}
    assert made_of(scene, 0.0, 0) == {"odd name_7"}
    own = AcousticMaterial(name="own", absorption=(0.5,))
    scene = read_scene(room, materials={"OAK": own})
    assert made_of(scene, 0.0, 1) == {"own"}
    assert made_of(scene, 3.0, 1) == {"acoustic_tile"}
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"oak": {"absorption": 0.2, "scattering": 0.3, "transmission": 0.1}}))
    scene = read_scene(room, materials=other)
    assert next(m for m in scene.materials if m.name == "oak").transmission == (0.1,) * 7


def test_the_material_file_of_soundspaces_can_be_used(room, tmp_path):
    entry = {
        "name": "Thick Oak",
        "labels": ["oak", "odd name_7"],
        "absorption": [125.0, 0.1, 4000.0, 0.6],
        "scattering": [20.0, 0.5, 20000.0, 0.5],
        "transmission": [125.0, 0.3, 4000.0, 0.1],
        "damping": [20.0, 1e-9],
        "density": 998.0,
        "speed": 1484.0,
    }
    (tmp_path / "config.json").write_text(json.dumps({"materials": [entry]}))
    scene = read_scene(room, materials=tmp_path / "config.json")
    assert made_of(scene, 0.0, 1) == {"Thick Oak"}
    found = next(m for m in scene.materials if m.name == "Thick Oak")
    assert found.absorption == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.6))
    assert found.transmission == pytest.approx((0.1, 0.2, 0.22, 0.18, 0.14, 0.1, 0.1))


def test_materials_with_the_same_name_and_other_figures_are_told_apart(room):
    one, two = (AcousticMaterial(name="own", absorption=(a,)) for a in (0.1, 0.2))
    scene = read_scene(room, materials={"oak": one, "brick": two, "odd name_7": one})
    assert [m.name for m in scene.materials if m.name.startswith("own")] == ["own", "own (2)"]
    assert made_of(scene, 0.0, 2) == {"own (2)"}
    assert made_of(scene, 0.0, 0) == {"own"}


@pytest.mark.parametrize(
    ("materials", "error", "message"),
    [
        ({"oak": "woodfloor"}, UnknownNameError, "Did you mean 'wood_floor'"),
        ({"oak": 3}, SceneError, "expected the name"),
        ("missing.json", SceneError, "cannot be read"),
    ],
)
def test_unknown_materials_are_errors(room, materials, error, message):
    with pytest.raises(error, match=message):
        read_scene(room, materials=materials)


@pytest.mark.parametrize("content", ["{", "[]", '{"materials": [{"name": "x"}]}'])
def test_broken_material_files_are_errors(room, content):
    room.with_name("room.materials.json").write_text(content)
    with pytest.raises(SceneError, match=r"room\.materials\.json"):
        read_scene(room)


def test_a_mapping_that_fits_nothing_is_a_warning(room):
    with pytest.warns(HarkenWarning) as caught:
        read_scene(room, materials={"oaken": "brick"})
    assert any("none of the given materials (oaken)" in str(w.message) for w in caught)


# Bad files ------------------------------------------------------------------------------------------------------------

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


def test_missing_files_unknown_formats_and_folders_are_named(tmp_path):
    box_file(tmp_path / "kitchen.glb")
    with pytest.raises(SceneError, match=r"no file.*Did you mean 'kitchen.glb'"):
        read_scene(tmp_path / "kichen.glb")
    with pytest.raises(SceneError, match=r"folder .* does not exist"):
        read_scene(tmp_path / "nowhere" / "a.glb")
    with pytest.raises(SceneError, match=r"unknown format '.gbl'. Did you mean '.glb'"):
        read_scene(tmp_path / "kitchen.gbl")
    with pytest.raises(SceneError, match=r"is a folder.*kitchen.glb"):
        read_scene(tmp_path)


@pytest.mark.parametrize("options", [{"up": "x"}, {"scale": 0}, {"scale": -1.0}, {"scale": float("nan")}])
def test_impossible_options_are_errors(tmp_path, options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        read_scene(box_file(tmp_path / "box.glb"), **options)


def test_triangles_without_area_are_dropped_and_many_of_them_announced(tmp_path):
    good = "o wall\nv 0 0 0\nv 4 0 0\nv 0 3 0\n" + "f 1 2 3\n" * 200
    (tmp_path / "few.obj").write_text(good + "f 1 2 2\n")
    assert len(read_scene(tmp_path / "few.obj").faces) == 200
    (tmp_path / "many.obj").write_text(good + "f 1 2 2\n" * 10)
    with pytest.warns(HarkenWarning, match="10 of 210 triangles have no area"):
        read_scene(tmp_path / "many.obj")


# Whole ----------------------------------------------------------------------------------------------------------------


def test_loading_twice_gives_the_same_bytes(tmp_path):
    path = furnished(tmp_path)
    first, second = Scene.load(path), Scene.load(path)
    assert first.fingerprint == second.fingerprint
    assert [o.name for o in first.objects] == [o.name for o in second.objects]
    for field in ("colors", "texture", "uv"):
        assert getattr(first.appearance, field).tobytes() == getattr(second.appearance, field).tobytes()
    assert first.category.tobytes() == second.category.tobytes()


def test_built_in_materials_are_shared_by_their_labels(tmp_path):
    scene = read_scene(furnished(tmp_path))
    assert set(scene.materials) == {material("brick"), material("upholstery")}
