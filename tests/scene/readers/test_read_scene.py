import os
import zlib

import numpy as np
import pytest
from scene_files import box_file, furnished

from harken.errors import ConfigurationError, HarkenWarning, SceneError
from harken.scene import Scene
from harken.scene.readers import reading
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


@pytest.mark.parametrize("path", [None, b"box.glb", 3, "", "a\0b.glb", ["box.glb"]])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ConfigurationError, match="path"):
        read_scene(path)


@pytest.mark.parametrize("name", ["x" * 5000 + ".glb", "a/" * 3000 + "a.ply", "x." + "y" * 5000])
def test_paths_longer_than_any_file_name_are_refused_shortly(tmp_path, name):
    with pytest.raises(SceneError) as caught:
        read_scene(tmp_path / name)
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize("suffix", FORMATS)
def test_pipes_are_not_opened(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    with pytest.raises(SceneError, match="no regular file"):
        read_scene(tmp_path / f"pipe{suffix}")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("scale", value) for value in ("1", None, True, 1e400, [1.0], np.array([1.0, 2.0]))),
        *(("up", value) for value in (None, 1, ["y"], b"y")),
        *(("name", value) for value in (1, b"room")),
    ],
)
def test_options_of_another_kind_are_refused(tmp_path, option, value):
    with pytest.raises(ConfigurationError, match=option):
        read_scene(box_file(tmp_path / "box.glb"), **{option: value})


def test_a_building_far_from_the_origin_keeps_its_size_until_it_becomes_a_scene(tmp_path, monkeypatch):
    """Surveyors count from the equator: at 5,000 km float32 has steps of half a metre."""
    handed = {}

    def note(**fields):
        handed.update(fields)
        return Scene(**fields)

    monkeypatch.setattr("harken.scene.readers.assembly.Scene", note)
    corners = [(0, 0), (0.4, 0), (0.4, 2.5), (0, 2.5)]
    lines = [f"v 500000 {y} {5_000_000 + z}" for z, y in corners]
    (tmp_path / "a.obj").write_text("\n".join(["o wall", *lines, "f 1 2 3 4"]))
    read_scene(tmp_path / "a.obj")
    assert handed["vertices"].dtype == np.float64
    assert np.ptp(handed["vertices"], axis=0) == pytest.approx((0, 2.5, 0.4), abs=1e-9)


def test_any_failure_of_a_parser_is_an_error_that_names_the_file(tmp_path, monkeypatch):
    for failure in (
        RecursionError(),
        OverflowError("x"),
        MemoryError(),
        zlib.error("y"),
        UnicodeError("z"),
        KeyError(1),
    ):

        def fail(_, failure=failure):
            raise failure

        monkeypatch.setitem(reading._READERS, ".glb", fail)
        with pytest.raises(SceneError, match=rf"box\.glb.*{type(failure).__name__}"):
            read_scene(box_file(tmp_path / "box.glb"))
