"""Cabinets, drawers and shelves, with their contents."""

from harken.scene.homes.palette import Finish
from harken.scene.homes.pieces import Piece
from harken.scene.homes.shapes import Part
from harken.scene.homes.workshop import Workshop

__all__ = [
    "bathrobe",
    "bookshelf",
    "chest_of_drawers",
    "coat_rack",
    "folded_clothes",
    "laundry_basket",
    "night_stand",
    "open_wardrobe",
    "sideboard",
    "tv_bench",
    "wardrobe",
]


def _doors(
    shop: Workshop, finish: str, count: int, lower: tuple[float, float], upper: tuple[float, float], z: float
) -> list[Part]:
    """Doors side by side on a front at `z`, each with a bar handle."""
    (x0, y0), (x1, y1) = lower, upper
    pitch, parts = (x1 - x0) / count, []
    for index in range(count):
        a, b = x0 + index * pitch + 0.004, x0 + (index + 1) * pitch - 0.004
        parts.append(shop.box(finish, (a, y0, z), (b, y1, z + 0.018)))
        x = b - 0.04 if index % 2 == 0 else a + 0.04
        middle, reach = (y0 + y1) / 2, min(0.12, (y1 - y0) / 4)
        parts.append(shop.box("brass", (x - 0.006, middle - reach, z + 0.018), (x + 0.006, middle + reach, z + 0.04)))
    return parts


def _drawers(
    shop: Workshop, finish: str, rows: int, lower: tuple[float, float], upper: tuple[float, float], z: float
) -> list[Part]:
    """Drawers above each other on a front at `z`, each with a knob or two."""
    (x0, y0), (x1, y1) = lower, upper
    pitch, parts = (y1 - y0) / rows, []
    knobs = (0.0,) if x1 - x0 < 0.6 else (-(x1 - x0) / 4, (x1 - x0) / 4)
    for index in range(rows):
        low, high = y0 + index * pitch + 0.004, y0 + (index + 1) * pitch - 0.004
        parts.append(shop.box(finish, (x0, low, z), (x1, high, z + 0.018)))
        for knob in knobs:
            parts.append(
                shop.ball("brass", ((x0 + x1) / 2 + knob, (low + high) / 2, z + 0.03), (0.014, 0.014, 0.014), 6)
            )
    return parts


def wardrobe(shop: Workshop, width: float) -> Piece:
    """Return a wardrobe of 0.6 m depth with a door per half metre."""
    finish, height = shop.choose("wood", "lacquer", "wood_2"), shop.between(1.95, 2.2)
    parts = [shop.box(finish, (-width / 2, 0.06, 0.0), (width / 2, height, 0.57))]
    parts.append(shop.box(finish, (-width / 2 + 0.03, 0.0, 0.02), (width / 2 - 0.03, 0.06, 0.53)))
    count = max(2, round(width / 0.5))
    parts += _doors(shop, finish, count, (-width / 2 + 0.01, 0.08), (width / 2 - 0.01, height - 0.02), 0.57)
    return Piece("cabinet", tuple(parts))


def sideboard(shop: Workshop, width: float, height: float = 0.8, depth: float = 0.42) -> Piece:
    """Return a cabinet with doors, for living rooms and halls."""
    finish = shop.choose("wood", "lacquer", "wood_2")
    parts = [shop.box(finish, (-width / 2, 0.08, 0.0), (width / 2, height, depth - 0.04))]
    for x in (-width / 2 + 0.05, width / 2 - 0.1):
        for z in (0.04, depth - 0.13):
            parts.append(shop.box("wood_2", (x, 0.0, z), (x + 0.05, 0.08, z + 0.05)))
    count = max(2, round(width / 0.45))
    parts += _doors(shop, finish, count, (-width / 2 + 0.01, 0.1), (width / 2 - 0.01, height - 0.03), depth - 0.04)
    return Piece("cabinet", tuple(parts))


def tv_bench(shop: Workshop, width: float) -> Piece:
    """Return a low cabinet for a television."""
    finish = shop.choose("wood", "lacquer", "wood_2")
    parts = [shop.box(finish, (-width / 2, 0.06, 0.0), (width / 2, 0.45, 0.4))]
    parts.append(shop.box("wood_2", (-width / 2 + 0.04, 0.0, 0.03), (width / 2 - 0.04, 0.06, 0.36)))
    third = width / 3
    for index in range(3):
        x = -width / 2 + index * third
        parts += _drawers(shop, finish, 1 + index % 2, (x + 0.01, 0.09), (x + third - 0.01, 0.43), 0.4)
    return Piece("cabinet", tuple(parts))


def chest_of_drawers(shop: Workshop, width: float) -> Piece:
    """Return a chest of three to five rows of drawers."""
    finish, rows = shop.choose("wood", "lacquer", "wood_2"), int(shop.rng.integers(3, 6))
    height = 0.1 + rows * 0.19
    parts = [
        shop.box(finish, (-width / 2, 0.06, 0.0), (width / 2, height - 0.025, 0.44)),
        shop.soft(finish, (-width / 2 - 0.01, height - 0.025, 0.0), (width / 2 + 0.01, height, 0.47), 0.008),
        shop.box(finish, (-width / 2 + 0.02, 0.0, 0.02), (width / 2 - 0.02, 0.06, 0.41)),
    ]
    parts += _drawers(shop, finish, rows, (-width / 2 + 0.01, 0.08), (width / 2 - 0.01, height - 0.035), 0.44)
    return Piece("chest_of_drawers", tuple(parts))


def night_stand(shop: Workshop) -> Piece:
    """Return a small cabinet to stand beside a bed."""
    parts = [shop.box("wood", (-0.21, 0.1, 0.0), (0.21, 0.5, 0.36))]
    for x in (-0.19, 0.15):
        for z in (0.02, 0.3):
            parts.append(shop.box("wood_2", (x, 0.0, z), (x + 0.04, 0.1, z + 0.04)))
    return Piece("cabinet", tuple(parts + _drawers(shop, "wood", 2, (-0.2, 0.12), (0.2, 0.49), 0.36)))


def bookshelf(shop: Workshop, width: float) -> Piece:
    """Return an open shelf filled with books."""
    finish = shop.choose("wood", "lacquer", "wood_2")
    height, depth, x = shop.between(1.5, 2.1), 0.3, width / 2
    parts = [
        shop.box(finish, (-x, 0.0, 0.0), (-x + 0.025, height, depth)),
        shop.box(finish, (x - 0.025, 0.0, 0.0), (x, height, depth)),
        shop.box(finish, (-x + 0.025, 0.0, 0.0), (x - 0.025, height, 0.012)),
    ]
    rows = round(height / 0.36)
    pitch = (height - 0.025) / rows
    for row in range(rows + 1):
        parts.append(shop.box(finish, (-x + 0.025, row * pitch, 0.012), (x - 0.025, row * pitch + 0.025, depth)))
    books = shop.palette["paper"]
    for row in range(rows):
        low = row * pitch + 0.025
        at, end = -x + 0.03, x - 0.03
        while at < end - 0.12:
            length = min(shop.between(0.12, 0.34), end - at)
            top = low + shop.between(0.2, min(0.29, pitch - 0.05))
            front = shop.between(0.2, 0.26)
            parts.append(
                shop.box(
                    Finish(material=books.material, color=(120, 110, 100)), (at, low, 0.02), (at + length, top, front)
                )
            )
            parts.append(_spines(shop, books, (at, low), (at + length, top), front + 0.001))
            at += length + shop.between(0.01, 0.16)
    return Piece("bookshelf", tuple(parts))


def _spines(shop: Workshop, finish: Finish, lower: tuple[float, float], upper: tuple[float, float], z: float) -> Part:
    """A row of book spines, a random stretch of the texture as long as the row."""
    flat = shop.panel(finish, lower, upper, z)
    assert flat.uv is not None
    uv = flat.uv * [(upper[0] - lower[0]) / 0.75, 1.0] + [shop.between(0, 1), 0.0]
    return Part(vertices=flat.vertices, faces=flat.faces, finish=finish, uv=uv)


def coat_rack(shop: Workshop) -> Piece:
    """Return coats on a board with hooks, to hang on a wall; the board's lower edge is at y = 0.95."""
    parts = [shop.box("wood", (-0.45, 0.95, 0.0), (0.45, 1.05, 0.025))]
    for index in range(4):
        x = -0.33 + 0.22 * index
        parts.append(shop.rod("brass", (x, 1.0, 0.025), (x, 1.02, 0.09), 0.008))
        if shop.chance(0.75):
            length, finish = shop.between(0.65, 0.95), shop.choose("clothes", "clothes_2", "clothes_3")
            parts.append(shop.soft(finish, (x - 0.1, 1.0 - length, 0.02), (x + 0.1, 1.0, 0.17), 0.06))
    return Piece("clothes", tuple(parts))


def bathrobe(shop: Workshop) -> Piece:
    """Return a bathrobe on a hook, to hang on a wall; its lower edge is at y = 0."""
    parts = [
        shop.rod("brass", (0.0, 1.12, 0.0), (0.0, 1.14, 0.08), 0.009),
        shop.soft("towel", (-0.19, 0.0, 0.02), (0.19, 1.1, 0.15), 0.06),
    ]
    return Piece("clothes", tuple(parts))


def laundry_basket(shop: Workshop) -> Piece:
    """Return a basket heaped with laundry."""
    radius, height = shop.between(0.19, 0.23), shop.between(0.4, 0.55)
    wall = [(0, 0), (radius * 0.85, 0), (radius, height), (radius - 0.02, height), (radius - 0.02, height - 0.08)]
    heap = shop.ball(
        shop.choose("clothes", "clothes_2", "towel"), (0, height - 0.05, radius), (radius - 0.025, 0.12, radius - 0.025)
    )
    return Piece("clothes", (shop.lathe("wood", (0.0, 0.0, radius), wall), heap))


def open_wardrobe(shop: Workshop, width: float) -> Piece:
    """Return a wardrobe without doors: clothes on a rail, folded ones on the shelf and the floor."""
    finish, height, depth, x = shop.choose("wood", "lacquer", "wood_2"), shop.between(1.8, 2.1), 0.5, width / 2
    parts = [
        shop.box(finish, (-x, 0.0, 0.0), (-x + 0.02, height, depth)),
        shop.box(finish, (x - 0.02, 0.0, 0.0), (x, height, depth)),
        shop.box(finish, (-x + 0.02, 0.0, 0.0), (x - 0.02, height, 0.01)),
        shop.box(finish, (-x + 0.02, 0.06, 0.01), (x - 0.02, 0.08, depth)),
        shop.box(finish, (-x + 0.02, height - 0.3, 0.01), (x - 0.02, height - 0.28, depth)),
        shop.rod("steel", (-x + 0.02, height - 0.36, 0.25), (x - 0.02, height - 0.36, 0.25), 0.012),
    ]
    at = -x + 0.04
    while at < x - 0.12:
        thick, length = shop.between(0.05, 0.09), shop.between(0.6, height - 0.75)
        top, finish = height - 0.39, shop.choose("clothes", "clothes_2", "clothes_3")
        parts.append(shop.soft(finish, (at, top - length, 0.05), (at + thick, top, 0.47), 0.025))
        at += thick + shop.between(0.01, 0.04)
    for base in (0.08, height - 0.28):
        for middle in (-x / 2, x / 2):
            for part in folded_clothes(shop).parts if shop.chance(0.7) else ():
                moved = part.vertices * [1.0, 1.0 if base > 1 else 0.8, 1.0] + [middle, base, 0.06]
                parts.append(Part(vertices=moved, faces=part.faces, finish=part.finish))
    return Piece("cabinet", tuple(parts))


def folded_clothes(shop: Workshop) -> Piece:
    """Return a pile of folded clothes."""
    y, parts = 0.0, []
    for _ in range(int(shop.rng.integers(2, 5))):
        thickness, half = shop.between(0.03, 0.06), shop.between(0.13, 0.16)
        finish = shop.choose("clothes", "clothes_2", "clothes_3")
        parts.append(shop.soft(finish, (-half, y, 0.02), (half, y + thickness - 0.002, 0.02 + half * 1.6), 0.02))
        y += thickness
    return Piece("clothes", tuple(parts))
