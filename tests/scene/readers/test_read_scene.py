import numpy as np
import pytest
from scene_files import box_file, furnished

from harken.errors import ConfigurationError, HarkenWarning, SceneError
from harken.scene import Scene
from harken.scene.readers.reading import FORMATS, read_scene


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


def test_scale_makes_metres(room):
    scene = read_scene(room, scale=0.5, materials={"odd name_7": "plaster"})
    assert scene.bounds[1] == pytest.approx((2, 1.5, 2.5))


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


def test_loading_twice_gives_the_same_bytes(tmp_path):
    path = furnished(tmp_path)
    first, second = Scene.load(path), Scene.load(path)
    assert first.fingerprint == second.fingerprint
    assert [o.name for o in first.objects] == [o.name for o in second.objects]
    for field in ("colors", "texture", "uv"):
        assert getattr(first.appearance, field).tobytes() == getattr(second.appearance, field).tobytes()
    assert first.category.tobytes() == second.category.tobytes()
