import warnings

import pytest
from data_set_files import HM3D, NAME, gibson, hm3d, hssd, mp3d, procthor, replica, replica_cad, scan

from harken.errors import HarkenWarning, SceneError
from harken.scene import find_scene

WRITTEN = {
    "replica": (replica, ("data/scene_datasets/replica/apartment_0/habitat/mesh_semantic.ply", "apartment_0")),
    "mp3d": (mp3d, (f"data/scene_datasets/mp3d/{NAME}/{NAME}.glb", f"mp3d/{NAME}/{NAME}.glb", NAME)),
    "gibson": (gibson, ("data/scene_datasets/gibson/Adrian.glb", "gibson/Adrian.glb", "Adrian")),
    "hm3d": (
        hm3d,
        (f"hm3d/val/{HM3D}/TEEsavR23oF.basis.glb", f"hm3d_v0.2/val/{HM3D}/TEEsavR23oF.basis.glb", HM3D, "TEEsavR23oF"),
    ),
    "hssd": (hssd, ("102344115", "data/scene_datasets/hssd-hab/scenes/102344115.scene_instance.json")),
    "replica_cad": (replica_cad, ("apt_0", "replica_cad/configs/scenes/apt_0.scene_instance.json")),
    "procthor": (procthor, ("ai2thor-hab/ai2thor-hab/configs/scenes/ProcTHOR/1/ProcTHOR-Train-1.scene_instance.json",)),
}


@pytest.mark.parametrize(("layout", "scene_id"), [(name, each) for name, (_, ids) in WRITTEN.items() for each in ids])
def test_a_scene_is_found_by_its_path_in_episode_files_and_by_its_name(tmp_path, layout, scene_id):
    for name, (write, _) in WRITTEN.items():
        path = write(tmp_path)
        if name == layout:
            mesh = path
    assert find_scene(scene_id, tmp_path).mesh == mesh


@pytest.mark.parametrize("layout", ["replica", "mp3d", "gibson", "hm3d"])
def test_the_folder_of_one_data_set_will_do(tmp_path, layout):
    write, ids = WRITTEN[layout]
    mesh = write(tmp_path)
    for scene_id in ids:
        assert find_scene(scene_id, tmp_path / layout).mesh == mesh


def test_the_files_of_scans_are_named(tmp_path):
    mesh = mp3d(tmp_path)
    found = find_scene(NAME, tmp_path)
    assert found.semantic_mesh == mesh.with_name(f"{NAME}_semantic.ply")
    assert found.description == mesh.with_suffix(".house") and found.config is None
    assert found.instances()[1].category == "table"
    mesh = hm3d(tmp_path)
    found = find_scene(HM3D, tmp_path)
    assert found.semantic_mesh == mesh.with_name("TEEsavR23oF.semantic.glb")
    assert found.description == mesh.with_name("TEEsavR23oF.semantic.txt")
    assert found.config == tmp_path / "hm3d" / "hm3d_annotated_basis.scene_dataset_config.json"
    mesh = replica(tmp_path)
    found = find_scene("apartment_0", tmp_path)
    assert (found.mesh, found.semantic_mesh) == (mesh, mesh)
    assert found.description == mesh.with_name("info_semantic.json")


def test_a_mesh_of_hm3d_with_plain_textures_is_preferred(tmp_path):
    basis = hm3d(tmp_path)
    plain = scan(basis.with_name("TEEsavR23oF.glb"))
    assert find_scene(f"hm3d/val/{HM3D}/TEEsavR23oF.basis.glb", tmp_path).mesh == plain
    basis.unlink()
    assert find_scene(f"hm3d/val/{HM3D}/TEEsavR23oF.basis.glb", tmp_path).mesh == plain


def test_a_scene_is_found_by_its_name_through_the_configuration_of_its_episode(tmp_path):
    procthor(tmp_path)
    scene = find_scene(
        "ProcTHOR-Train-1",
        tmp_path,
        "./data/scene_datasets/ai2thor-hab/ai2thor-hab/ai2thor-hab.scene_dataset_config.json",
    )
    assert scene.mesh.name == "ProcTHOR-Train-1.scene_instance.json"
    assert scene.config.name == "ai2thor-hab.scene_dataset_config.json"


@pytest.mark.parametrize("config", [None, "default", "mp3d"])
def test_configurations_that_are_no_file_say_nothing(tmp_path, config):
    mesh = mp3d(tmp_path)
    assert find_scene(NAME, tmp_path, config).mesh == mesh


BAD = {
    "another name": ("17DRP5sb8fz", "is not in .*Did you mean '17DRP5sb8fy'"),
    "another path": ("mp3d/17DRP5sb8fz/17DRP5sb8fz.glb", "Did you mean '17DRP5sb8fy'.*download_mp.py"),
    "hm3d": ("hm3d/val/00001-x/x.basis.glb", "is not in .*habitat-matterport-3dresearch"),
    "replica": ("replica/office_9/habitat/mesh_semantic.ply", "facebookresearch/Replica-Dataset"),
    "gibson": ("gibson/Nobody.glb", "StanfordVL/GibsonEnv"),
    "unknown data set": ("x/y.glb", "Data sets that are known: replica, mp3d"),
    "leads out": ("../../etc/passwd.glb", "leads out of its folder"),
    "empty": ("", "expected its name"),
    "number": (3, "expected its name"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_scene_that_is_not_there_is_an_error_that_says_where_it_comes_from(tmp_path, case):
    mp3d(tmp_path)
    scene_id, message = BAD[case]
    with pytest.raises(SceneError, match=message):
        find_scene(scene_id, tmp_path)


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SceneError, match="no folder of scenes"):
        find_scene(NAME, tmp_path / "nowhere")


def test_a_scan_without_a_description_has_no_instances(tmp_path):
    scan(tmp_path / "mp3d" / "x" / "x.glb")
    with pytest.raises(SceneError, match=r"x.house \(Matterport3D\).*download_mp.py"):
        find_scene("x", tmp_path).instances()


def test_a_found_scene_loads(tmp_path):
    mp3d(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)
        scene = find_scene(NAME, tmp_path).load(name="house")
    assert scene.name == "house" and len(scene.objects) == 3
