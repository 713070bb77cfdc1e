import json

import pytest
from scene_files import ROOM, furnished, give_acoustics, made_of, rewrite

from harken.errors import ConfigurationError, HarkenWarning, SceneError, UnknownNameError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, generate_home, inspect_scene
from harken.scene.material_table import material
from harken.scene.readers.reading import read_scene


def test_surfaces_without_a_label_are_default_and_counted_once(room):
    room.write_text(ROOM.replace("o walls", "o thing").replace("o floor", "o other"))
    with pytest.warns(HarkenWarning, match="6 of 16 triangles have no label") as caught:
        scene = read_scene(room)
    assert len(caught) == 1
    assert made_of(scene, 0.0, 0) == {"default"}
    assert made_of(read_scene(room, materials={"default": "marble"}), 0.0, 0) == {"marble"}


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


def test_acoustic_extras_belong_to_their_material_whatever_it_is_called(tmp_path):
    def change(header):
        give_acoustics({"absorption": 0.1})(header)
        for entry in header["materials"]:
            entry.pop("name")

    scene = read_scene(rewrite(furnished(tmp_path), change))
    walls = scene.instance == next(o.instance for o in scene.objects if o.name == "Walls")
    assert {scene.materials[i].absorption for i in scene.material[walls]} == {(0.1,) * 7}
    assert {scene.materials[i].name for i in scene.material[~walls]} == {"wood_furniture"}


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


def test_built_in_materials_are_shared_by_their_labels(tmp_path):
    scene = read_scene(furnished(tmp_path))
    assert set(scene.materials) == {material("brick"), material("upholstery")}


def test_a_name_that_says_nothing_becomes_what_its_object_is_made_of_only_with_a_word(room):
    with pytest.warns(
        HarkenWarning, match=r"1 name\(s\) of materials say nothing \('odd name_7'\).*\(plaster\)"
    ) as caught:
        scene = read_scene(room)
    assert len(caught) == 1
    assert made_of(scene, 0.0, 0) == {"plaster"}


def test_what_became_of_every_label_is_kept_and_printed_with_guesses_marked(room):
    with pytest.warns(HarkenWarning, match="say nothing"):
        scene = read_scene(room, materials={"oak": "marble"})
    found = {(use.label, use.within, use.category, use.material, use.origin): use.area for use in scene.labels}
    assert found == {
        ("odd name", "walls", "wall", "plaster", "guessed"): pytest.approx(15 + 15 + 12),
        ("oak", "floor", "floor", "marble", "given"): pytest.approx(20),
        ("painted_plaster", "ceiling", "ceiling", "plaster", "named"): pytest.approx(20),
        ("brick", "walls", "wall", "brick", "named"): pytest.approx(10),
    }
    lines = [" ".join(line.split()) for line in str(inspect_scene(scene)).splitlines()]
    assert "odd name (in walls) wall plaster 42.0 m² ? guessed: what such things are mostly made of" in lines
    assert "brick (in walls) wall brick 10.0 m²" in lines
    assert "oak (in floor) floor marble 20.0 m² as you gave it" in lines


def test_labels_that_lead_nowhere_are_printed_as_such_and_numbers_do_not_multiply_lines(tmp_path):
    triangle = "v 0 0 0\nv 4 0 0\nv 0 3 0\n"
    faces = "".join(f"o chair_{i}\nf 1 2 3\n" for i in range(40))
    (tmp_path / "a.obj").write_text(f"{triangle}{faces}o Cube.001\nf 1 3 2\n")
    with pytest.warns(HarkenWarning, match="1 of 41 triangles have no label"):
        scene = read_scene(tmp_path / "a.obj")
    assert [(use.label, use.origin, use.area) for use in scene.labels] == [
        ("chair", "guessed", pytest.approx(240)),
        ("Cube", "unknown", pytest.approx(6)),
    ]
    assert "! the label says nothing" in str(inspect_scene(scene))
    assert scene.with_materials(scene.materials, scene.material).labels == ()


def test_homes_have_no_labels_to_explain():
    home = generate_home(0)
    assert home.labels == () and "guessed" not in str(inspect_scene(home))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"oak": "marble", "oak": "brick"}', "'oak' stands twice"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deep|JSON"),
        (b'{"oak": {"absorption": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", "nested too deep|JSON"),
        (b'{"oak": {"absorption": NaN}}', "NaN is no number"),
        (b'{"oak": {"absorption": ' + b"9" * 5000 + b"}}", r"room\.materials\.json"),
        (b'{"oak": {"absorption": 1e999}}', "between 0 and 1"),
        (b'{"o\xff": "marble"}', "utf-8"),
        (b'{"materials": [{"name": ["x"], "labels": ["oak"]}]}', "cannot be read"),
        (
            b'{"materials": [{"name": "x", "labels": "oak", "absorption": [125, 0.1], "scattering": [125, 0.1], '
            b'"transmission": [125, 0.1]}]}',
            "labels is no list",
        ),
    ],
)
def test_hostile_material_files_are_errors_that_name_the_file(room, content, message):
    room.with_name("room.materials.json").write_bytes(content)
    with pytest.raises(SceneError, match=message) as caught:
        read_scene(room)
    assert "room.materials.json" in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("materials", [3, ["oak"], {3: "marble"}, b"file.json"])
def test_materials_of_another_kind_are_refused(room, materials):
    with pytest.raises(ConfigurationError, match="materials"):
        read_scene(room, materials=materials)
