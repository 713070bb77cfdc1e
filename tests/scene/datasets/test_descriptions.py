import pytest
from data_set_files import COLORS, HOUSE, LAMP, SEMANTIC_TXT, written

from harken.errors import SceneError
from harken.scene import CATEGORIES, SOUNDING_CATEGORIES, match_category
from harken.scene.datasets.descriptions import read_house, read_info_semantic, read_scn, read_semantic_txt


def test_a_house_of_matterport_names_its_objects(tmp_path):
    objects = read_house(written(tmp_path / "x.house", HOUSE))
    assert [(thing.name, thing.detail, thing.room) for thing in objects.values()] == [
        ("floor", "floor", 0),
        ("table", "coffee table", 0),
        ("objects", "ceiling lamp", 1),
        ("", "", -1),
    ]
    assert [thing.category for thing in objects.values()] == ["floor", "table", "lamp", "unknown"]


def test_annotations_of_hm3d_have_names_colours_and_rooms(tmp_path):
    objects = read_semantic_txt(written(tmp_path / "x.semantic.txt", SEMANTIC_TXT))
    assert [(thing.name, thing.room) for thing in objects.values()] == [
        ("floor", 0),
        ("coffee table, round", 0),
        ("ceiling lamp", 1),
    ]
    assert objects[LAMP].color == int(COLORS[LAMP], 16) and objects[LAMP].category == "lamp"


def test_annotations_of_replica_and_gibson_name_their_classes(tmp_path):
    info = {"objects": [{"id": 3, "class_name": "tv-screen"}]}
    assert read_info_semantic(written(tmp_path / "info_semantic.json", info))[3].category == "tv_monitor"
    scn = {"objects": [{"id": 4, "class_": "potted plant"}]}
    assert read_scn(written(tmp_path / "x.scn", scn))[4].category == "plant"


BAD = {
    "another version": (read_house, "ASCII 1.0\n", "begins with 'ASCII 1.0'; expected .*'ASCII 1.1'"),
    "empty house": (read_house, "", "begins with ''"),
    "no objects": (read_house, "ASCII 1.1\nC 0 2 floor 2 floor 0\n", "names no object"),
    "cut line": (read_house, "ASCII 1.1\nO 0\n", "line 2 is 'O 0'"),
    "text for a number": (read_house, "ASCII 1.1\nO a 0 0\n", "line 2"),
    "no header": (read_semantic_txt, '1,FFFFFF,"wall",0\n', "expected 'HM3D Semantic Annotations'"),
    "short colour": (read_semantic_txt, 'HM3D Semantic Annotations\n1,FFF,"wall",0\n', "line 2"),
    "colour twice": (read_semantic_txt, 'HM3D Semantic Annotations\n1,FFFFFF,"wall",0\n2,FFFFFF,"x",0\n', "line 3"),
    "no room": (read_semantic_txt, 'HM3D Semantic Annotations\n1,FFFFFF,"wall"\n', "line 2"),
    "no JSON": (read_scn, "{", "no usable JSON"),
    "no class": (read_scn, '{"objects": [{"id": 1}]}', "gen_gibson_semantics.sh"),
    "no objects in JSON": (read_info_semantic, "{}", "not as Replica writes it"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_damaged_description_is_an_error_that_names_the_place(tmp_path, case):
    read, content, message = BAD[case]
    with pytest.raises(SceneError, match=message) as caught:
        read(written(tmp_path / "file.txt", content))
    assert "file.txt" in str(caught.value)


MPCAT40 = (
    *("void", "wall", "floor", "chair", "door", "table", "picture", "cabinet", "cushion", "window", "sofa", "bed"),
    *("curtain", "chest_of_drawers", "plant", "sink", "stairs", "ceiling", "toilet", "stool", "towel", "mirror"),
    *("tv_monitor", "shower", "column", "bathtub", "counter", "fireplace", "lighting", "beam", "railing", "shelving"),
    *("blinds", "gym_equipment", "seating", "board_panel", "furniture", "appliances", "clothes", "objects", "misc"),
)
"""The categories of Matterport3D, of which SoundSpaces took the sounding ones."""


def test_of_matterports_categories_those_that_sound_and_no_others_are_sounding_ones():
    assert [name for name in MPCAT40 if match_category(name) in SOUNDING_CATEGORIES] == sorted(
        SOUNDING_CATEGORIES, key=MPCAT40.index
    )
    assert all(match_category(name) == name for name in MPCAT40 if name in SOUNDING_CATEGORIES)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        *(("void", "unknown"), ("column", "wall"), ("lighting", "lamp"), ("shelving", "shelf"), ("blinds", "curtain")),
        *(("tv-screen", "tv_monitor"), ("base-cabinet", "cabinet"), ("indoor-plant", "plant"), ("stair", "stairs")),
        *(("wall-plug", "appliance"), ("shower-stall", "shower"), ("undefined", "unknown"), ("vent", "pipe")),
        *(("couch", "sofa"), ("potted plant", "plant"), ("dining table", "table"), ("tv", "tv_monitor")),
        *(
            ("toilet_paper", "unknown"),
            ("hair-dryer", "unknown"),
            ("plant-stand", "shelf"),
            ("table-runner", "unknown"),
        ),
        *(("washer_dryer", "washing_machine"), ("art_frame", "picture"), ("workout_bench", "gym_equipment")),
        *(("GarbageCan", "container"), ("BathtubBasin", "bathtub"), ("ToiletPaperHanger", "unknown")),
        *(("TVStand", "cabinet"), ("CounterTop", "counter"), ("HousePlant", "plant"), ("Television", "tv_monitor")),
    ],
)
def test_names_of_the_data_sets_have_their_category(name, category):
    assert match_category(name) == category and category in CATEGORIES
