import json

import numpy as np
import pytest
from data_set_files import hssd, model, procthor, replica_cad, written

from harken.errors import HarkenWarning, SceneError
from harken.scene import Scene
from harken.scene.datasets.configs import frame_of

pytestmark = pytest.mark.filterwarnings("ignore::harken.errors.HarkenWarning")


def boxes(scene):
    return {
        thing.name: (thing.category, thing.lower.round(4).tolist(), thing.upper.round(4).tolist())
        for thing in scene.objects
    }


def test_a_scene_of_hssd_is_composed_of_its_stage_and_objects(tmp_path):
    scene = Scene.load(hssd(tmp_path))
    assert scene.name == "102344115"
    assert boxes(scene) == {
        # 1 × 0.8 × 4 m after scaling, then turned by 90°: long along x.
        "couch": ("sofa", [-1.0, 0.0, 1.5], [3.0, 0.8, 2.5]),
        "potted_plant": ("plant", [-2.25, 0.0, -1.25], [-1.75, 1.0, -0.75]),
        "potted_plant 3": ("plant", [-2.5, 0.0, 0.5], [-1.5, 2.0, 1.5]),
    }
    np.testing.assert_allclose(scene.bounds, [(-3, -0.1, -4.05), (3, 2.5, 4)], atol=1e-5)
    assert {"floor", "wall", "sofa", "plant"} <= {scene.categories[n] for n in set(scene.category.tolist())}


def test_places_of_replica_cad_are_those_of_the_centre_of_mass(tmp_path):
    assert boxes(Scene.load(replica_cad(tmp_path)))["sofa"] == ("sofa", [0.0, 0.0, 0.5], [2.0, 1.0, 1.5])


def test_objects_with_joints_stand_as_the_scene_says(tmp_path):
    path = replica_cad(tmp_path)
    with pytest.warns(HarkenWarning, match=r"1 surface\(s\) of fridge.urdf are boxes or cylinders"):
        scene = Scene.load(path)
    # The door hangs at x = −0.5, z = 0.55, and is opened by 90° to the left: 1 m along −z.
    assert boxes(scene)["fridge"] == ("refrigerator", [-2.55, 0.0, -0.5], [-1.5, 1.0, 0.55])
    content = json.loads(path.read_text())
    del content["articulated_object_instances"][0]["initial_joint_pose"]
    written(path, content)
    # Closed it is in front of the body, from x = −0.5 to 0.5.
    assert boxes(Scene.load(path))["fridge"][1:] == ([-2.5, 0.0, -0.5], [-1.5, 1.0, 0.6])


URDF = {
    "not XML": ("<robot>", "no XML that can be used"),
    "document type": ('<!DOCTYPE x [<!ENTITY a "b">]><robot/>', "document type"),
    "ring": (
        '<robot><link name="a"/><link name="b"/><joint name="j"><parent link="a"/><child link="b"/></joint>'
        '<joint name="k"><parent link="b"/><child link="a"/></joint></robot>',
        "form no tree",
    ),
    "two above": (
        '<robot><link name="a"/><joint name="j"><parent link="b"/><child link="a"/></joint>'
        '<joint name="k"><parent link="c"/><child link="a"/></joint></robot>',
        "joint 'k' does not join",
    ),
    "origin": (
        '<robot><link name="a"><visual><origin xyz="1 x 0"/><geometry><mesh filename="body.glb"/></geometry></visual>'
        "</link></robot>",
        "xyz is '1 x 0'",
    ),
    "mesh": (
        '<robot><link name="a"><visual><geometry><mesh filename="bady.glb"/></geometry></visual></link></robot>',
        r"bady\.glb' is missing, which .*fridge\.urdf names",
    ),
    "outside": (
        '<robot><link name="a"><visual><geometry><mesh filename="../../../x.glb"/></geometry></visual></link></robot>',
        "outside the data set",
    ),
}


@pytest.mark.parametrize("case", URDF)
def test_a_damaged_object_with_joints_is_an_error(tmp_path, case):
    content, message = URDF[case]
    path = replica_cad(tmp_path)
    written(path.parents[2] / "urdf" / "fridge" / "fridge.urdf", content)
    with pytest.raises(SceneError, match=message):
        Scene.load(path)


def test_categories_of_procthor_are_numbers_by_name(tmp_path):
    scene = Scene.load(procthor(tmp_path))
    assert boxes(scene) == {"Television": ("tv_monitor", [-0.5, 0.7, -3.05], [0.5, 1.3, -2.95])}


def test_objects_of_hssd_have_their_category_by_name_where_they_have_no_number(tmp_path):
    path = hssd(tmp_path)
    data = path.parents[1]
    written(data / "objects/a/a1.object_config.json", {"render_asset": "a1.glb"})
    written(data / "semantics/objects.csv", "id,name,main_category\na1,Big table,dining_table\n")
    assert Scene.load(path).objects[0].category == "table"


def test_templates_may_stand_in_the_configuration_and_be_scaled_and_turned(tmp_path):
    path = hssd(tmp_path)
    file = path.parents[1] / "hssd-hab.scene_dataset_config.json"
    config = json.loads(file.read_text())
    model(path.parents[1] / "objects" / "cabinet.glb", (1.0, 2.0, 4.0))
    attributes = {"render_asset": "objects/cabinet.glb", "up": [0, 0, 1], "front": [0, 1, 0], "scale": [1, 1, 0.5]}
    config["objects"]["configs"] = [{"template_handle": "tall cabinet", "attributes": attributes}]
    written(file, config)
    content = json.loads(path.read_text())
    content["object_instances"] = [{"template_name": "tall cabinet", "translation": [0, 1, 0]}]
    written(path, content)
    # z is up: 1 m wide, 4 × 0.5 m high and 2 m deep.
    assert boxes(Scene.load(path)) == {"tall cabinet": ("cabinet", [-0.5, 0.0, -1.0], [0.5, 2.0, 1.0])}


def test_mirrored_objects_keep_their_outside(tmp_path):
    path = hssd(tmp_path)
    content = json.loads(path.read_text())
    content["object_instances"] = [{"template_name": "b2", "translation": [0, 0, 0], "non_uniform_scale": [-1, 1, 1]}]
    written(path, content)
    scene = Scene.load(path)
    chosen = scene.instance == 1
    middle = scene.vertices[scene.faces[chosen]].mean(axis=(0, 1))
    outward = np.einsum("ij,ij->i", scene.normals[chosen], scene.vertices[scene.faces[chosen]].mean(axis=1) - middle)
    assert (outward > 0).all()


@pytest.mark.parametrize(
    ("up", "front", "rows"),
    [
        ([0, 1, 0], [0, 0, -1], np.eye(3)),
        ([0, 0, 1], [0, 1, 0], [(1, 0, 0), (0, 0, 1), (0, -1, 0)]),
        ([0, 1, 0], [1, 0, 0], [(0, 0, 1), (0, 1, 0), (-1, 0, 0)]),
    ],
)
def test_the_frame_of_an_asset_brings_up_to_y_and_front_to_minus_z(up, front, rows):
    frame = frame_of({"up": up, "front": front}, "here")
    np.testing.assert_allclose(frame, rows, atol=1e-12)
    np.testing.assert_allclose(frame @ up, [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(frame @ front, [0, 0, -1], atol=1e-12)
    assert np.linalg.det(frame) == pytest.approx(1.0)


def change(path, **more):
    written(path, {**json.loads(path.read_text()), **more})


BAD = {
    "no configuration": (
        lambda path: (path.parents[1] / "hssd-hab.scene_dataset_config.json").unlink(),
        "no .*scene_dataset_config.json lies in a folder above.*hssd/hssd-hab",
    ),
    "no stage": (lambda path: change(path, stage_instance=None), "has no stage_instance"),
    "unknown object": (
        lambda path: change(path, object_instances=[{"template_name": "a11"}]),
        "has no object 'a11'. Did you mean 'a1'.*huggingface.co",
    ),
    "unknown stage": (
        lambda path: change(path, stage_instance={"template_name": "stages/7"}),
        "has no stage 'stages/7'",
    ),
    "no name": (lambda path: change(path, object_instances=[{}]), r"object_instances\[0\] has the template_name None"),
    "rotation": (
        lambda path: change(path, object_instances=[{"template_name": "a1", "rotation": [0, 0, 0, 0]}]),
        r"object_instances\[0\] has the rotation .*unit quaternion w, x, y, z",
    ),
    "place": (
        lambda path: change(path, object_instances=[{"template_name": "a1", "translation": [0, "x", 0]}]),
        r"\[0\] has the translation",
    ),
    "scale": (
        lambda path: change(path, object_instances=[{"template_name": "a1", "non_uniform_scale": [0, 1, 1]}]),
        r"\[0\] has the scale",
    ),
    "objects of text": (lambda path: change(path, object_instances="x"), "object_instances is 'x'"),
    "mesh is missing": (
        lambda path: (path.parents[1] / "objects/a/a1.glb").unlink(),
        "a1.glb' is missing, which .*a1.object_config.json names.*hssd-hab",
    ),
    "mesh outside": (
        lambda path: written(path.parents[1] / "objects/a/a1.object_config.json", {"render_asset": "../../../x.glb"}),
        "lies outside the data set",
    ),
    "no mesh": (lambda path: written(path.parents[1] / "objects/a/a1.object_config.json", {}), "names no mesh"),
    "axes": (
        lambda path: written(
            path.parents[1] / "objects/a/a1.object_config.json",
            {"render_asset": "a1.glb", "up": [0, 1, 0], "front": [0, 1, 0]},
        ),
        "not at right angles",
    ),
    "lexicon": (
        lambda path: written(path.parents[1] / "semantics/hssd-hab_semantic_lexicon.json", {"classes": [{"id": 1}]}),
        "lexicon.json is no list of categories",
    ),
    "paths": (
        lambda path: written(
            path.parents[1] / "hssd-hab.scene_dataset_config.json", {"stages": {"paths": {".json": ["../stages"]}}}
        ),
        "leads out of the data set",
    ),
    "not JSON": (lambda path: path.write_text("{"), "no usable JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_scene_that_cannot_be_composed_is_an_error_that_names_the_file(tmp_path, case):
    spoil, message = BAD[case]
    path = hssd(tmp_path)
    spoil(path)
    with pytest.raises(SceneError, match=message):
        Scene.load(path)


def test_other_json_files_are_no_scenes(tmp_path):
    with pytest.raises(SceneError, match=r"unknown format '.json'.*scene_instance.json"):
        Scene.load(written(tmp_path / "x.json", {}))
