import pytest

from harken.scene.labels import match_category, match_material
from harken.scene.material_table import MATERIALS
from harken.scene.vocabulary import CATEGORIES

TABLE = [
    # label, category, material
    ("Wall_Plaster.003", "wall", "plaster"),
    ("window", "window", "window_glass"),
    ("chest_of_drawers", "chest_of_drawers", "wood_furniture"),
    ("tv_monitor", "tv_monitor", "plastic"),
    ("tvMonitor2", "tv_monitor", "plastic"),
    ("TVMonitor", "tv_monitor", "plastic"),
    ("wood floor", "floor", "wood_floor"),
    ("Floor_Oak_01", "floor", "wood_floor"),
    ("Carpet", "floor", "carpet"),
    ("Floor_Carpet", "floor", "carpet"),
    ("concrete_floor", "floor", "concrete"),
    ("stone_floor", "floor", "marble"),
    ("bathroom floor", "floor", "ceramic_tile"),
    ("studio_wall", "wall", "plaster"),
    ("brickWall", "wall", "brick"),
    ("drywall", "unknown", "gypsum_board"),
    ("wood wall", "wall", "wood_panel"),
    ("shower wall", "wall", "ceramic_tile"),
    ("curtain wall", "window", "window_glass"),
    ("shower curtain", "curtain", "curtain"),
    ("curtain rod", "pipe", "metal"),
    ("curtain_open", "curtain", "curtain"),
    ("blinds", "curtain", "curtain"),
    ("kitchen counter", "counter", "marble"),
    ("countertop", "counter", "marble"),
    ("floorlamp", "lamp", "metal"),
    ("floor lamp", "lamp", "metal"),
    ("lamp_wall", "lamp", "metal"),
    ("ceiling", "ceiling", "plaster"),
    ("CeilingTiles", "ceiling", "acoustic_tile"),
    ("wooden ceiling", "ceiling", "wood_panel"),
    ("door", "door", "door_wood"),
    ("GlassDoor01", "door", "glass"),
    ("door steel", "door", "metal"),
    ("glass table", "table", "glass"),
    ("SM_Chair_01", "chair", "wood_furniture"),
    ("office chair", "chair", "upholstery"),
    ("leather sofa", "sofa", "upholstery"),
    ("Fabric-Couch", "sofa", "upholstery"),
    ("ottoman", "stool", "upholstery"),
    ("bar stool", "stool", "wood_furniture"),
    ("bed", "bed", "mattress"),
    ("comforter", "bed", "mattress"),
    ("pillow", "cushion", "upholstery"),
    ("base-cabinet", "cabinet", "wood_furniture"),
    ("wardrobe", "cabinet", "wood_furniture"),
    ("nightstand", "table", "wood_furniture"),
    ("indoor-plant", "plant", "plant"),
    ("leaves", "plant", "plant"),
    ("kitchen sink", "sink", "metal"),
    ("sink", "sink", "ceramic_tile"),
    ("toilet", "toilet", "ceramic_tile"),
    ("toilet paper", "unknown", "paper_books"),
    ("bathtub", "bathtub", "ceramic_tile"),
    ("shower", "shower", "ceramic_tile"),
    ("fireplace", "fireplace", "brick"),
    ("gym_equipment", "gym_equipment", "metal"),
    ("treadmill", "gym_equipment", "metal"),
    ("seating", "seating", "upholstery"),
    ("clothes", "clothes", "clothes"),
    ("towels", "towel", "clothes"),
    ("picture", "picture", "wood_panel"),
    ("bookshelves", "bookshelf", "paper_books"),
    ("shelves", "shelf", "wood_furniture"),
    ("mirror", "mirror", "mirror"),
    ("bathMat", "rug", "rug"),
    ("washing machine", "washing_machine", "metal"),
    ("stairs", "stairs", "wood_panel"),
    ("handrail", "railing", "metal"),
    ("telephone", "telephone", "plastic"),
    ("wood_absorber", "unknown", "acoustic_tile"),
    ("PaperLantern", "lamp", "clothes"),
]


@pytest.mark.parametrize(("label", "category", "name"), TABLE, ids=[row[0] for row in TABLE])
def test_labels_lead_to_a_category_and_a_material(label, category, name):
    assert (match_category(label), match_material(label)) == (category, name)


# SoundSpaces' table of materials writes 'piperefrigerator' (a comma is missing), so neither word matches there.
@pytest.mark.parametrize("label", ["pipe", "refrigerator", "pipes", "fridge", "piperefrigerator"])
def test_pipe_and_refrigerator_are_metal_although_soundspaces_glues_them_together(label):
    assert match_material(label) == "metal"


# The same table makes every floor a carpet.
@pytest.mark.parametrize("label", ["floor", "Floor.001", "floor_parquet", "tiled floor", "marble floor"])
def test_a_floor_is_a_carpet_only_if_the_label_says_so(label):
    assert match_category(label) == "floor"
    assert match_material(label) not in (None, "carpet", "rug")


@pytest.mark.parametrize(
    "label",
    ["", "Material.001", "default", "void", "unlabeled", "misc", "objects", "wilhelmi", "bedroom_2", "Carpenter"]
    + ["wallet", "floored", "Node_12", "bedstead123x", "Scene", "décor", "墙"],
)
def test_labels_that_say_nothing_match_nothing(label):
    assert match_material(label) is None
    assert match_category(label) == "unknown"


@pytest.mark.parametrize("name", [name for name in MATERIALS if name != "default"])
def test_names_of_built_in_materials_mean_themselves(name):
    assert match_material(name) == name
    assert match_material(name.replace("_", " ").title() + ".001") == name


@pytest.mark.parametrize("category", [category for category in CATEGORIES if category != "unknown"])
def test_names_of_categories_mean_themselves(category):
    assert match_category(category) == category


def test_every_answer_is_a_built_in_material():
    assert {match_material(row[0]) for row in TABLE} <= set(MATERIALS)
