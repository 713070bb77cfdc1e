import json

import numpy as np
import pytest
import trimesh
from scene_files import made_of, replica_like

from harken.errors import SceneError
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
