"""From the label of a mesh, node or material to an acoustic material and a category.

Labels come in many styles: "Wall_Plaster.003", "chest_of_drawers", "tvMonitor2", "wood floor". They are cut into
words, and whole words are compared, never parts of words: "floorlamp" does not match floor, nor "carpenter" carpet.
Known phrases count as one word. Of several objects the last counts, as in English ("curtain rod" is a rod), and
structure counts least ("lamp_wall" is a lamp). A named substance ("glass", "metal") decides the material before the
object does.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

__all__ = ["LabelUse", "match_category", "match_material", "names_substance"]

_LONGEST_LABEL = 1000
"""Number of characters of a label that are used."""

# Category, material, and the words and phrases (singular) that mean it.
_OBJECTS: tuple[tuple[str, str, str], ...] = (
    # Structure.
    ("wall", "plaster", "wall, partition, facade, wallpaper, column, pillar, beam, molding, moulding, baseboard"),
    ("wall", "ceramic_tile", "shower wall, bathroom wall, backsplash"),
    ("floor", "wood_floor", "floor, ground, parquet, laminate, floorboard"),
    ("floor", "ceramic_tile", "shower floor, bathroom floor, kitchen floor, toilet floor"),
    ("floor", "carpet", "carpet, carpeting"),
    ("ceiling", "plaster", "ceiling, roof"),
    ("ceiling", "acoustic_tile", "ceiling tile, ceiling panel, drop ceiling, suspended ceiling"),
    ("window", "window_glass", "window, windowpane, window pane, skylight, glazing, curtain wall, window frame"),
    ("door", "door_wood", "door, doorway, door frame, doorframe, door leaf, gate"),
    ("door", "glass", "shower door, sliding door"),
    ("door", "metal", "garage door, elevator door, radiator door"),
    ("stairs", "wood_panel", "stair, staircase, stairway, stairwell, step, banister"),
    ("railing", "metal", "railing, handrail, rail, grille, fence"),
    # The 21 sounding categories of semantic AudioGoal.
    ("chair", "wood_furniture", "chair, dining chair, chaise, rocking chair"),
    ("chair", "upholstery", "armchair, office chair, swivel chair, desk chair, recliner, wheelchair, lounge chair"),
    ("table", "wood_furniture", "table, coffee table, side table, dining table, nightstand, bedside table, end table"),
    ("picture", "wood_panel", "picture, painting, poster, photo, photograph, picture frame, artwork, canvas, frame"),
    ("cabinet", "wood_furniture", "cabinet, cupboard, closet, wardrobe, base cabinet, wall cabinet, kitchen cabinet"),
    ("cabinet", "wood_furniture", "sideboard, vanity, tv stand, cabinetry, credenza, buffet"),
    ("cushion", "upholstery", "cushion, pillow, beanbag"),
    ("sofa", "upholstery", "sofa, couch, settee, loveseat, futon"),
    ("bed", "mattress", "bed, mattress, bunk bed, crib, cot, bedding, comforter, duvet, blanket, bed sheet"),
    ("chest_of_drawers", "wood_furniture", "chest of drawers, dresser, drawer, chest, commode, bureau"),
    ("plant", "plant", "plant, indoor plant, house plant, potted plant, tree, flower, bush, ivy, leaf, foliage"),
    ("sink", "ceramic_tile", "sink, washbasin, basin, bathroom sink, wash basin, lavabo"),
    ("sink", "metal", "kitchen sink"),
    ("toilet", "ceramic_tile", "toilet, bidet, urinal, toilet seat, toilet bowl"),
    ("stool", "wood_furniture", "stool, bar stool, footstool, step stool"),
    ("stool", "upholstery", "ottoman, pouf, footrest"),
    ("towel", "clothes", "towel, bath towel, bathrobe, washcloth"),
    ("tv_monitor", "plastic", "tv monitor, tv, television, monitor, screen, tv screen, computer monitor, display"),
    ("shower", "ceramic_tile", "shower, shower stall, shower cabin, shower tub"),
    ("shower", "glass", "shower screen, shower glass"),
    ("bathtub", "ceramic_tile", "bathtub, bath, tub, jacuzzi, hot tub, bathtub basin"),
    ("counter", "marble", "counter, countertop, kitchen counter, kitchen countertop, worktop, bar, kitchen island"),
    ("fireplace", "brick", "fireplace, chimney, hearth, mantel, mantle"),
    ("gym_equipment", "metal", "gym equipment, treadmill, dumbbell, exercise bike, exercise equipment, barbell, bike"),
    ("gym_equipment", "metal", "exercise machine, weight bench, workout bench, rowing machine, bicycle, elliptical"),
    ("seating", "upholstery", "seating, bench, seat, pew"),
    ("clothes", "clothes", "clothes, clothing, cloth, coat, jacket, shirt, dress, garment, laundry, clothe"),
    # Other objects in homes.
    ("desk", "wood_furniture", "desk, workbench, writing table"),
    ("bookshelf", "paper_books", "bookshelf, bookcase, book shelf, book case, book, magazine, library"),
    ("shelf", "wood_furniture", "shelf, rack, wall shelf, shelving, shelving unit, plant stand"),
    (
        "lamp",
        "metal",
        "lamp, light, lighting, chandelier, floor lamp, table lamp, ceiling lamp, lantern, sconce",
    ),
    ("rug", "rug", "rug, mat, bath mat, doormat"),
    (
        "curtain",
        "curtain",
        "curtain, drape, drapery, blind, window blind, shower curtain, window curtain, studio curtain",
    ),
    ("mirror", "mirror", "mirror, looking glass"),
    ("refrigerator", "metal", "refrigerator, fridge, freezer, refrigerator door, fridge door"),
    ("oven", "metal", "oven, stove, cooker, hob, microwave, range hood, microwave oven, cooktop, stovetop"),
    ("washing_machine", "metal", "washing machine, washer, dryer, dishwasher, tumble dryer, clothes dryer"),
    ("radiator", "metal", "radiator, heater, boiler, air conditioner, furnace"),
    ("telephone", "plastic", "telephone, phone, cell phone, intercom"),
    ("appliance", "metal", "appliance, major appliance, kettle, toaster, coffee machine, vacuum cleaner"),
    ("appliance", "plastic", "wall plug, plug, switch, light switch, socket, outlet, camera, clock, remote control"),
    ("piano", "wood_furniture", "piano, grand piano"),
    ("computer", "plastic", "computer, laptop, keyboard, printer, tablet, speaker, router"),
    ("pipe", "metal", "pipe, duct, vent, faucet, tap, rod, hinge, handle, knob, lock, shower head"),
    (
        "container",
        "plastic",
        "container, bin, trash can, trashcan, garbage can, bucket, box, basket, bag, suitcase, crate, toilet brush, "
        "hamper, laundry hamper, desk organizer",
    ),
    ("dishes", "ceramic_tile", "plate, bowl, cup, mug, vase, pot, dish, jar, urn, sculpture, statue"),
    ("dishes", "glass", "bottle, drinking glass, wine glass, glass jar"),
    # What is named after a thing that it is not.
    ("unknown", "paper_books", "toilet paper, toilet roll, paper towel, tissue paper"),
    ("unknown", "metal", "toilet paper hanger, toilet paper holder, towel holder, towel rail, hanger, coat hanger"),
    ("unknown", "plastic", "hair dryer, hair drier"),
    ("unknown", "clothes", "table runner"),
    ("person", "human", "person, human, people, man, woman, child, mannequin"),
)

_WEAK = frozenset({"wall", "floor", "ceiling"})

# Material, and the words and phrases that name a substance and not an object.
_SUBSTANCES: tuple[tuple[str, str], ...] = (
    ("plaster", "plaster, stucco, plastered"),
    ("gypsum_board", "gypsum, gypsum board, plasterboard, plaster board, drywall, sheetrock"),
    ("brick", "brick, masonry, brickwork"),
    ("concrete", "concrete, cement, asphalt"),
    ("ceramic_tile", "tile, ceramic tile, ceramic, porcelain, tiled, tiling, terracotta"),
    (
        "wood_furniture",
        "wood, wooden, oak, pine, beech, walnut, plywood, timber, mdf, chipboard, veneer, bamboo, hardwood",
    ),
    ("wood_panel", "wood panel, wood paneling, wood panelling, wood lining"),
    ("carpet", "carpet, carpeting, carpeted"),
    ("glass", "glass"),
    ("metal", "metal, steel, iron, aluminium, aluminum, chrome, brass, copper, bronze, metallic, stainless"),
    ("marble", "marble, stone, granite, limestone, rock, slate, terrazzo, travertine"),
    ("acoustic_tile", "acoustic, acoustic tile, acoustic panel, absorber, foam, mineral wool, rockwool"),
    ("plastic", "plastic, vinyl, linoleum, rubber, acrylic, pvc"),
    ("upholstery", "leather, upholstery, upholstered"),
    ("clothes", "fabric, textile, cotton, wool, linen, velvet"),
    ("paper_books", "paper, cardboard"),
)

# The material of a substance in an object: (substance, category) → material.
_IN_PLACE: dict[tuple[str, str], str] = {
    **dict.fromkeys((("wood_furniture", "floor"), ("wood_furniture", "stairs")), "wood_floor"),
    **dict.fromkeys((("wood_furniture", c) for c in ("wall", "ceiling", "picture", "railing")), "wood_panel"),
    ("wood_furniture", "door"): "door_wood",
    ("ceramic_tile", "ceiling"): "acoustic_tile",
    ("glass", "window"): "window_glass",
    ("wood_furniture", "window"): "window_glass",
    **dict.fromkeys((("clothes", c) for c in ("sofa", "chair", "seating", "stool", "cushion")), "upholstery"),
    **dict.fromkeys((("clothes", c) for c in ("curtain", "window")), "curtain"),
    ("clothes", "bed"): "mattress",
    ("clothes", "rug"): "rug",
    ("clothes", "floor"): "carpet",
    ("paper_books", "wall"): "plaster",
    ("paper_books", "lamp"): "clothes",
    ("paper_books", "towel"): "clothes",
    ("acoustic_tile", "bed"): "mattress",
    ("acoustic_tile", "sofa"): "upholstery",
}


@dataclass(frozen=True, kw_only=True)
class LabelUse:
    """How a reader of scene files interpreted a label."""

    label: str
    """Name of the material in the file, or of the node where it has none; numbers at its end are left out."""
    within: str
    """Name of the node that provided what the label leaves open, empty if the label was sufficient."""
    category: str
    """Category of its surfaces."""
    material: str
    """Acoustic material of its surfaces."""
    origin: Literal["given", "file", "named", "guessed", "unknown"]
    """Source of the material: "given" with `materials`, the "file" (``extras.acoustics``), a substance "named" in the
    label, "guessed" as the usual material of such objects, or "unknown" (treated as "default")."""
    area: float
    """Area of its surfaces [m²]."""


_Phrase = tuple[str, ...]
_THINGS: dict[_Phrase, tuple[str, str]] = {
    tuple(phrase.split()): (category, material) for category, material, row in _OBJECTS for phrase in row.split(", ")
}
_STUFF: dict[_Phrase, str] = {
    tuple(phrase.split()): material for material, row in _SUBSTANCES for phrase in row.split(", ")
}
_LONGEST = max(len(phrase) for phrase in (*_THINGS, *_STUFF))
_WORDS = frozenset(phrase[0] for phrase in (*_THINGS, *_STUFF) if len(phrase) == 1)

_BOUNDARY = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\W\d_]+")


def match_material(label: str) -> str | None:
    """Return the built-in acoustic material that a label indicates.

    Args:
        label: Name of a node, object, category or material, in any case and spelling: "Wall_Plaster.003", "tvMonitor".

    Returns:
        A key of `harken.scene.material_table.MATERIALS`, or None if the label matches nothing.
    """
    return _match(label[-_LONGEST_LABEL:])[1]


def names_substance(label: str) -> bool:
    """Whether a label names the material of an object ("glass table"), so that it need not be guessed."""
    return _match(label[-_LONGEST_LABEL:])[2]


def match_category(label: str) -> str:
    """Return the category of the object that a label indicates.

    Args:
        label: Name of a node, object, category or material, in any case and spelling.

    Returns:
        One of `harken.scene.vocabulary.CATEGORIES`; "unknown" if the label matches nothing.
    """
    return _match(label[-_LONGEST_LABEL:])[0]


@lru_cache(maxsize=4096)
def _match(label: str) -> tuple[str, str | None, bool]:
    things, substances = _read(_words(label))
    strong = [thing for thing in things if thing[0] not in _WEAK]
    category, material = (strong or things or [("unknown", None)])[-1]
    if substances:
        material = _IN_PLACE.get((substances[-1], category), substances[-1])
    return category, material, bool(substances)


def _read(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the objects (category, material) and the substances that are named, in order; longest phrases first."""
    things: list[tuple[str, str]] = []
    substances: list[str] = []
    position = 0
    while position < len(words):
        phrases = (tuple(words[position : position + length]) for length in range(_LONGEST, 0, -1))
        phrase = next((phrase for phrase in phrases if phrase in _THINGS or phrase in _STUFF), ())
        if phrase in _THINGS:
            things.append(_THINGS[phrase])
        if phrase in _STUFF:
            substances.append(_STUFF[phrase])
        position += len(phrase) or 1
    return things, substances


def _words(label: str) -> list[str]:
    """Cut a label into known singular words, and split closed compounds such as "floorlamp" into their two words."""
    words: list[str] = []
    for word in _BOUNDARY.split(label):
        if not word:
            continue
        word = _singular(word.lower())
        cuts = [(word[:i], _singular(word[i:])) for i in range(3, len(word) - 2)]
        pairs = [pair for pair in cuts if pair[0] in _WORDS and pair[1] in _WORDS]
        words += pairs[0] if word not in _WORDS and pairs else [word]
    return words


def _singular(word: str) -> str:
    if word in _WORDS:
        return word
    for ending, instead in (("ies", "y"), ("ves", "f"), ("es", ""), ("s", "")):
        if word.endswith(ending) and word[: -len(ending)] + instead in _WORDS:
            return word[: -len(ending)] + instead
    return word
