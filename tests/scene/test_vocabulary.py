import numpy as np
import pytest

from harken.errors import UnknownNameError
from harken.scene import CATEGORIES, SOUNDING_CATEGORIES, Scene, generate_home
from harken.scene.labels import match_category
from harken.scene.vocabulary import category_indices


def test_the_numbers_of_categories_never_change():
    # Trained networks and data sets hold these numbers: append, never insert, and lengthen the list here.
    assert (
        *("unknown", "wall", "floor", "ceiling", "window", "door", "stairs", "railing"),
        *("chair", "table", "picture", "cabinet", "cushion", "sofa", "bed", "chest_of_drawers", "plant", "sink"),
        *("toilet", "stool", "towel", "tv_monitor", "shower", "bathtub", "counter", "fireplace", "gym_equipment"),
        *("seating", "clothes", "desk", "bookshelf", "shelf", "lamp", "rug", "curtain", "mirror", "refrigerator"),
        *("oven", "washing_machine", "radiator", "telephone", "appliance", "piano", "computer", "pipe"),
        *("container", "dishes", "person"),
    ) == CATEGORIES


def test_the_sounding_categories_of_semantic_audiogoal_are_in_it():
    assert len(SOUNDING_CATEGORIES) == len(set(SOUNDING_CATEGORIES)) == 21
    assert set(SOUNDING_CATEGORIES) <= set(CATEGORIES)
    assert len(set(CATEGORIES)) == len(CATEGORIES)


def test_homes_and_files_count_categories_alike(tmp_path):
    (tmp_path / "a.obj").write_text("o chair\nv 0 0 0\nv 4 0 0\nv 0 3 0\nf 1 2 3\n")
    (tmp_path / "b.obj").write_text("o wall\nv 0 0 0\nv 4 0 0\nv 0 3 0\nf 1 2 3\no chair\nf 1 3 2\n")
    scenes = [generate_home(0), generate_home(1, split="val"), Scene.load(tmp_path / "a.obj")]
    scenes.append(Scene.load(tmp_path / "b.obj"))
    assert {scene.categories for scene in scenes} == {CATEGORIES}
    chair = CATEGORIES.index("chair")
    assert all((scene.category == chair).any() for scene in scenes)
    assert scenes[2].category.tolist() == [chair] and scenes[3].category.tolist() == [1, chair]


def test_what_every_object_is_stands_in_its_triangles():
    home = generate_home(3)
    for thing in home.objects:
        assert set(home.category[home.instance == thing.instance]) == {CATEGORIES.index(thing.category)}


def test_labels_lead_into_the_vocabulary():
    for label in ("Wall_Plaster.003", "tvMonitor2", "grand piano", "chaise", "nothing of it", "mannequin"):
        assert match_category(label) in CATEGORIES


def test_numbers_of_unknown_names_are_refused():
    assert category_indices(["unknown", "chair"]).tolist() == [0, 8]
    assert category_indices([]).dtype == np.int32
    with pytest.raises(UnknownNameError, match="Did you mean 'chair'"):
        category_indices(["chiar"])
