import numpy as np
import pytest
from data_set_files import NAME, gibson, hm3d, mp3d, scan, semantic_ply, surfaces, written

from harken.errors import HarkenWarning, SceneError
from harken.scene import Scene

pytestmark = pytest.mark.filterwarnings("ignore::harken.errors.HarkenWarning")


def categories_of(scene):
    """The category of every triangle, in the order of the surfaces of the file."""
    return np.array(scene.categories)[scene.category]


@pytest.mark.parametrize("write", [mp3d, gibson, hm3d])
def test_triangles_of_a_scan_have_the_objects_of_its_semantic_mesh(tmp_path, write):
    scene = Scene.load(write(tmp_path))
    floor, table, lamp = (surface.area for surface in surfaces())
    areas = {name: scene.areas[categories_of(scene) == name].sum() for name in ("floor", "table", "lamp")}
    assert areas == pytest.approx({"floor": floor, "table": table, "lamp": lamp}, rel=1e-3)
    assert {thing.category for thing in scene.objects} == {"floor", "table", "lamp"}
    table = next(thing for thing in scene.objects if thing.category == "table")
    np.testing.assert_allclose([table.lower, table.upper], [(0.5, 0.1, 1.5), (1.5, 0.8, 2.5)], atol=1e-5)
    assert table.instance == 2 and (scene.instance[categories_of(scene) == "table"] == 2).all()


@pytest.mark.parametrize("write", [mp3d, gibson, hm3d])
def test_a_scan_stands_upright_and_keeps_its_colours(tmp_path, write):
    scene = Scene.load(write(tmp_path))
    np.testing.assert_allclose(scene.bounds, [(-3, -0.05, -4), (3, 2.15, 4)], atol=1e-5)
    assert (scene.appearance.colors == [255, 0, 0]).all()


def test_materials_follow_the_categories(tmp_path):
    scene = Scene.load(mp3d(tmp_path), materials={"table": "glass"})
    names = np.array([material.name for material in scene.materials])[scene.material]
    assert set(names[categories_of(scene) == "table"]) == {"glass"}
    assert set(names[categories_of(scene) == "floor"]) == {"wood_floor"}


def test_a_missing_semantic_mesh_is_an_error_that_says_where_it_comes_from(tmp_path):
    mesh = mp3d(tmp_path, semantic=False)
    with pytest.raises(SceneError, match=rf"{NAME}_semantic.ply', is missing.*download_mp.py"):
        Scene.load(mesh)
    mesh.with_suffix(".house").unlink()
    assert not Scene.load(mesh, up="z").objects


def test_a_semantic_mesh_of_another_scan_is_an_error(tmp_path):
    mesh = mp3d(tmp_path)
    semantic_ply(mesh.with_name(f"{NAME}_semantic.ply"))
    text = mesh.with_name(f"{NAME}_semantic.ply").read_text().replace("-3.0", "-9.0").replace("-2.99", "-9.0")
    written(mesh.with_name(f"{NAME}_semantic.ply"), text)
    with pytest.raises(SceneError, match=r"_semantic\.ply has another box"):
        Scene.load(mesh)


def test_a_semantic_mesh_without_numbers_is_an_error(tmp_path):
    mesh = mp3d(tmp_path)
    ply = mesh.with_name(f"{NAME}_semantic.ply")
    written(ply, ply.read_text().replace("object_id", "quality"))
    with pytest.raises(SceneError, match="have no number of their object"):
        Scene.load(mesh)


def test_surfaces_far_from_the_semantic_mesh_have_no_category(tmp_path):
    mesh = mp3d(tmp_path)
    ply = mesh.with_name(f"{NAME}_semantic.ply")
    rows = ply.read_text().split("\n")
    written(
        ply,
        "\n".join(row for row in rows if not (row.startswith("3 ") and row.endswith(" 1"))).replace(
            f"element face {sum(row.startswith('3 ') for row in rows)}",
            f"element face {sum(row.startswith('3 ') and not row.endswith(' 1') for row in rows)}",
        ),
    )
    scene = Scene.load(mesh)
    assert scene.areas[categories_of(scene) == "unknown"].sum() == pytest.approx(
        surfaces()[1].area - 1.0, rel=1e-3
    )  # all but its bottom, which is near the floor
    assert "table" not in categories_of(scene)


def test_the_configuration_of_the_data_set_says_which_way_is_up(tmp_path):
    mesh = scan(tmp_path / "data" / "plain" / "x.glb", up="z")
    config = {"stages": {"default_attributes": {"up": [0, 0, 1], "front": [0, 1, 0]}}}
    written(tmp_path / "data" / "x.scene_dataset_config.json", config)
    np.testing.assert_allclose(Scene.load(mesh).bounds, [(-3, -0.05, -4), (3, 2.15, 4)], atol=1e-5)
    np.testing.assert_allclose(Scene.load(mesh, up="y").bounds, [(-3, -4, -0.05), (3, 4, 2.15)], atol=1e-5)


def test_a_mesh_with_textures_that_cannot_be_read_names_the_files_that_can(tmp_path):
    mesh = hm3d(tmp_path)
    content = bytearray(mesh.with_name("TEEsavR23oF.semantic.glb").read_bytes())
    start = content.index(b"\x89PNG")
    content[start : start + 12] = b"\xabKTX 20\xbb\r\n\x1a\n"
    mesh.write_bytes(content)
    with pytest.warns(HarkenWarning, match="such as KTX2"), pytest.warns(HarkenWarning, match="hm3d_val_full"):
        scene = Scene.load(mesh)
    assert {thing.category for thing in scene.objects} == {"floor", "table", "lamp"}
