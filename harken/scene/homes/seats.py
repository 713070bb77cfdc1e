"""Things to sit and lie on, and things to sit at."""

from harken.scene.homes.palette import Finish
from harken.scene.homes.pieces import Piece
from harken.scene.homes.shapes import Part
from harken.scene.homes.workshop import Workshop

__all__ = [
    "armchair",
    "bed",
    "bench",
    "chair",
    "cushion",
    "desk",
    "desk_chair",
    "low_table",
    "pillow",
    "pouf",
    "sofa",
    "stool",
    "table",
]


def _legs(shop: Workshop, finish: str, width: float, depth: float, height: float, inset: float = 0.04) -> list[Part]:
    """Four round legs under a rectangle with its back at z = 0."""
    return [
        shop.cylinder(finish, (x, 0.0, z), 0.022, height)
        for x in (-width / 2 + inset, width / 2 - inset)
        for z in (inset, depth - inset)
    ]


def chair(shop: Workshop, finish: str = "wood") -> Piece:
    """Return a dining chair, 0.44 m wide, with four legs and a back of slats or upholstery."""
    width, depth, seat = 0.44, 0.48, 0.45
    parts = _legs(shop, finish, width, depth, seat - 0.02, 0.03)
    padded = shop.chance(0.65)
    parts.append(
        shop.soft("fabric_2" if padded else finish, (-0.22, seat - 0.03, 0.02), (0.22, seat + 0.02, depth), 0.02)
    )
    for x in (-0.19, 0.19):
        parts.append(shop.cylinder(finish, (x, seat, 0.03), 0.018, 0.44))
    if padded:
        parts.append(shop.soft("fabric_2", (-0.2, seat + 0.12, 0.01), (0.2, seat + 0.45, 0.055), 0.02))
    else:
        parts += [shop.box(finish, (-0.19, seat + y, 0.02), (0.19, seat + y + 0.06, 0.04)) for y in (0.14, 0.25, 0.36)]
    return Piece("chair", tuple(parts))


def desk_chair(shop: Workshop) -> Piece:
    """Return a swivel chair on five castors."""
    parts = [shop.cylinder("iron", (0.0, 0.08, 0.3), 0.025, 0.34)]
    for x, z in ((0.0, 0.28), (0.266, 0.087), (0.165, -0.227), (-0.165, -0.227), (-0.266, 0.087)):
        parts.append(shop.rod("iron", (0.0, 0.1, 0.3), (x, 0.06, 0.3 + z), 0.018))
        parts.append(shop.ball("rubber", (x, 0.03, 0.3 + z), (0.03, 0.03, 0.03), 6))
    parts.append(shop.soft("fabric_2", (-0.24, 0.42, 0.08), (0.24, 0.5, 0.54), 0.035))
    parts.append(shop.rod("iron", (0.0, 0.42, 0.14), (0.0, 0.62, 0.06), 0.02))
    parts.append(shop.soft("fabric_2", (-0.22, 0.56, 0.03), (0.22, 1.02, 0.1), 0.035))
    return Piece("chair", tuple(parts))


def stool(shop: Workshop, height: float = 0.46) -> Piece:
    """Return a round stool."""
    finish = shop.choose("wood", "wood_2", "iron")
    parts = [shop.cylinder(shop.finish("wood", "fabric"), (0.0, height - 0.04, 0.17), 0.17, 0.04)]
    for x, z in ((-0.1, 0.07), (0.1, 0.07), (0.1, 0.27), (-0.1, 0.27)):
        parts.append(shop.rod(finish, (x * 1.4, 0.004, 0.17 + (z - 0.17) * 1.4), (x, height - 0.04, z), 0.015))
    return Piece("stool", tuple(parts))


def sofa(shop: Workshop, width: float) -> Piece:
    """Return a sofa with arms, one seat per 0.7 m or so."""
    depth, arm, seat = 0.9, 0.18, 0.43
    seats = max(2, round((width - 2 * arm) / 0.7))
    parts = [
        shop.soft("fabric", (-width / 2, 0.08, 0.0), (width / 2, 0.28, depth - 0.02), 0.03),
        shop.soft("fabric", (-width / 2, 0.1, 0.0), (width / 2, 0.82, 0.2), 0.06),
    ]
    for x in (-width / 2, width / 2 - arm):
        parts.append(shop.soft("fabric", (x, 0.09, 0.0), (x + arm, 0.62, depth - 0.01), 0.06))
    pitch = (width - 2 * arm) / seats
    for index in range(seats):
        x = -width / 2 + arm + index * pitch
        parts.append(shop.soft("fabric", (x + 0.005, 0.26, 0.18), (x + pitch - 0.005, seat, depth), 0.05))
        parts.append(shop.soft("fabric", (x + 0.01, seat - 0.02, 0.16), (x + pitch - 0.01, 0.86, 0.34), 0.07))
    parts += _legs(shop, "wood_2", width, depth - 0.02, 0.1, 0.08)
    return Piece("sofa", tuple(parts))


def armchair(shop: Workshop) -> Piece:
    """Return an upholstered chair with arms."""
    width, depth = 0.78, 0.8
    parts = [
        shop.soft("fabric_2", (-width / 2, 0.12, 0.0), (width / 2, 0.3, depth - 0.03), 0.04),
        shop.soft("fabric_2", (-width / 2, 0.14, 0.0), (width / 2, 0.88, 0.18), 0.07),
        shop.soft("fabric_2", (-width / 2, 0.14, 0.05), (-width / 2 + 0.15, 0.6, depth - 0.02), 0.06),
        shop.soft("fabric_2", (width / 2 - 0.15, 0.14, 0.05), (width / 2, 0.6, depth - 0.02), 0.06),
        shop.soft("fabric_2", (-width / 2 + 0.155, 0.28, 0.16), (width / 2 - 0.155, 0.44, depth), 0.05),
    ]
    return Piece("seating", tuple(parts + _legs(shop, "wood_2", width, depth - 0.03, 0.14, 0.08)))


def bench(shop: Workshop, width: float = 1.1) -> Piece:
    """Return a low bench with an upholstered top."""
    parts = [shop.soft("fabric_2", (-width / 2, 0.38, 0.0), (width / 2, 0.46, 0.38), 0.03)]
    parts.append(shop.box("wood", (-width / 2 + 0.02, 0.34, 0.02), (width / 2 - 0.02, 0.385, 0.36)))
    return Piece("seating", tuple(parts + _legs(shop, "wood", width, 0.38, 0.35, 0.05)))


def pouf(shop: Workshop) -> Piece:
    """Return an upholstered footstool without legs."""
    size = shop.between(0.42, 0.6) / 2
    return Piece("seating", (shop.soft("fabric_2", (-size, 0.0, 0.0), (size, 0.4, 2 * size), 0.07),))


def bed(shop: Workshop, width: float) -> Piece:
    """Return a bed of 2.08 m with headboard, mattress and blanket; its head is at z = 0."""
    length, half = 2.08, width / 2
    frame = shop.choose("wood", "wood_2", "fabric_2")
    parts = [
        shop.soft(frame, (-half - 0.03, 0.0, 0.0), (half + 0.03, shop.between(0.9, 1.15), 0.06), 0.02),
        shop.box(frame, (-half - 0.03, 0.1, 0.06), (half + 0.03, 0.3, length)),
        shop.soft("linen", (-half, 0.28, 0.07), (half, 0.5, length - 0.03), 0.06),
        shop.soft("blanket", (-half - 0.02, 0.3, 0.75), (half + 0.02, 0.535, length - 0.01), 0.06),
    ]
    for x in (-half + 0.03, half - 0.1):
        for z in (0.12, length - 0.14):
            parts.append(shop.box("wood_2", (x, 0.0, z), (x + 0.07, 0.1, z + 0.07)))
    return Piece("bed", tuple(parts))


def pillow(shop: Workshop) -> Piece:
    """Return a pillow that lies flat, 0.6 × 0.4 m."""
    return Piece("cushion", (shop.soft("linen", (-0.3, 0.0, 0.0), (0.3, 0.14, 0.4), 0.07, 0.45),))


def cushion(shop: Workshop, size: float = 0.42) -> Piece:
    """Return a cushion that stands, leaning on nothing, 0.14 m thick."""
    flat = shop.soft(
        shop.choose("cushion", "cushion_2"), (-size / 2, -0.07, -size / 2), (size / 2, 0.07, size / 2), 0.07, 0.5
    )
    upright = flat.vertices[:, [0, 2, 1]] * [1.0, 1.0, -1.0] + [0.0, size / 2, 0.07]
    return Piece("cushion", (Part(vertices=upright, faces=flat.faces, finish=flat.finish),))


def table(shop: Workshop, width: float, depth: float, finish: str = "wood") -> Piece:
    """Return a table of 0.75 m, on four legs or on a column where it is round."""
    height = 0.75
    if width == depth and shop.chance(0.6):
        parts = [
            shop.lathe(
                finish, (0.0, height - 0.035, depth / 2), [(0, 0), (width / 2, 0), (width / 2, 0.035), (0, 0.035)], 24
            ),
            shop.cylinder(finish, (0.0, 0.03, depth / 2), 0.05, height - 0.06),
            shop.lathe(finish, (0.0, 0.0, depth / 2), [(0, 0), (0.28, 0), (0.26, 0.03), (0.05, 0.06), (0, 0.06)], 18),
        ]
        return Piece("table", tuple(parts))
    parts = [shop.soft(finish, (-width / 2, height - 0.035, 0.0), (width / 2, height, depth), 0.01)]
    parts.append(
        shop.box(finish, (-width / 2 + 0.06, height - 0.12, 0.06), (width / 2 - 0.06, height - 0.035, depth - 0.06))
    )
    for x in (-width / 2 + 0.03, width / 2 - 0.1):
        for z in (0.03, depth - 0.1):
            parts.append(shop.box(finish, (x, 0.0, z), (x + 0.07, height - 0.03, z + 0.07)))
    return Piece("table", tuple(parts))


def low_table(shop: Workshop) -> Piece:
    """Return a coffee table."""
    width, depth, height = shop.between(0.9, 1.15), 0.5, 0.42
    top: Finish = shop.finish("wood", "wood_2", "glass", "stone")
    parts = [shop.soft(top, (-width / 2, height - 0.03, 0.0), (width / 2, height, depth), 0.012)]
    parts.append(shop.box("wood", (-width / 2 + 0.06, 0.12, 0.06), (width / 2 - 0.06, 0.14, depth - 0.06)))
    return Piece("table", tuple(parts + _legs(shop, "wood", width, depth, height - 0.02, 0.05)))


def desk(shop: Workshop, width: float) -> Piece:
    """Return a desk with a drawer unit on one side."""
    height, depth = 0.74, 0.65
    x = width / 2
    parts = [
        shop.soft("wood", (-x, height - 0.03, 0.0), (x, height, depth), 0.008),
        shop.box("wood", (-x + 0.02, 0.0, 0.02), (-x + 0.05, height - 0.03, depth - 0.03)),
        shop.box("lacquer", (x - 0.42, 0.04, 0.02), (x - 0.02, height - 0.03, depth - 0.04)),
        shop.box("wood", (x - 0.4, 0.0, 0.05), (x - 0.04, 0.04, depth - 0.08)),
    ]
    for y in (0.1, 0.31, 0.52):
        parts.append(shop.box("lacquer", (x - 0.41, y, depth - 0.04), (x - 0.03, y + 0.16, depth - 0.025)))
        parts.append(shop.box("brass", (x - 0.28, y + 0.1, depth - 0.025), (x - 0.16, y + 0.115, depth - 0.012)))
    return Piece("desk", tuple(parts))
