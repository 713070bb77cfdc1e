"""Decoration and equipment: pictures, plants, lamps, curtains, rugs, electronics, sports gear, a fireplace."""

import numpy as np

from harken.scene.homes.palette import Finish
from harken.scene.homes.pieces import Piece
from harken.scene.homes.shapes import Part, sheets, strips
from harken.scene.homes.workshop import Workshop

__all__ = [
    "ceiling_lamp",
    "curtain",
    "dumbbells",
    "fireplace",
    "floor_lamp",
    "gym_ball",
    "mirror",
    "monitor",
    "picture",
    "plant",
    "radiator",
    "rug",
    "table_lamp",
    "telephone",
    "television",
    "treadmill",
    "wall_television",
    "weight_bench",
]


def picture(shop: Workshop, number: int) -> Piece:
    """Return a framed picture; its lower edge is at y = 0. `number` names its texture."""
    width, height = shop.between(0.35, 0.95), shop.between(0.3, 0.75)
    x, rim = width / 2, 0.03
    frame = shop.choose("wood", "wood_2", "iron", "lacquer")
    art = Finish(material="wood_panel", color=(255, 255, 255), texture=f"art_{number}")
    parts = [
        shop.panel(art, (-x + rim, rim), (x - rim, height - rim), 0.016),
        shop.box(frame, (-x, 0.0, 0.0), (x, height, 0.012)),
        shop.box(frame, (-x, 0.0, 0.0), (x, rim, 0.025)),
        shop.box(frame, (-x, height - rim, 0.0), (x, height, 0.025)),
        shop.box(frame, (-x, rim, 0.0), (-x + rim, height - rim, 0.025)),
        shop.box(frame, (x - rim, rim, 0.0), (x, height - rim, 0.025)),
    ]
    return Piece("picture", tuple(parts))


def mirror(shop: Workshop, width: float, height: float) -> Piece:
    """Return a framed mirror; its lower edge is at y = 0."""
    x = width / 2
    parts = [
        shop.box(shop.choose("brass", "wood", "iron"), (-x, 0.0, 0.0), (x, height, 0.02)),
        shop.panel("mirror", (-x + 0.02, 0.02), (x - 0.02, height - 0.02), 0.022),
    ]
    return Piece("mirror", tuple(parts))


def plant(shop: Workshop, height: float) -> Piece:
    """Return a potted plant: a tuft of arching leaves or a small tree."""
    radius = min(0.17, 0.09 + height * 0.08)
    pot_height = radius * 1.7
    center = (0.0, 0.0, radius + 0.12)
    profile = [
        (0, 0),
        (radius * 0.72, 0),
        (radius, pot_height),
        (radius * 0.9, pot_height),
        (radius * 0.88, pot_height - 0.03),
    ]
    parts = [
        shop.lathe("pot", center, profile),
        shop.cylinder("soil", (0, pot_height - 0.05, center[2]), radius * 0.88, 0.02),
    ]
    tree = height > 0.9 and shop.chance(0.5)
    reach = radius + 0.11
    if tree:
        parts.append(shop.cylinder("wood_2", (0.0, pot_height - 0.03, center[2]), 0.02, height * 0.55))
        parts.append(_leaves(shop, (0.0, height * 0.62, center[2]), reach, height * 0.36, 46, 0.16))
    else:
        parts.append(_leaves(shop, (0.0, pot_height - 0.03, center[2]), reach, height - pot_height, 22, 0.0))
    return Piece("plant", tuple(parts))


def _leaves(
    shop: Workshop, base: tuple[float, float, float], reach: float, rise: float, count: int, spread: float
) -> Part:
    """Leaves that rise from around a point and bend outwards, within `reach` of the axis."""
    rng = shop.rng
    rows = max(4, round(5 * shop.detail**0.5))
    count = max(6, round(count * shop.detail**0.5))
    angle = rng.uniform(0, 2 * np.pi, count)
    lean, lift = rng.uniform(0.25, 0.92, count) * reach, rng.uniform(0.55, 1.0, count) * rise
    t = np.linspace(0, 1, rows)
    outward = lean[:, None] * t**1.4
    upward = lift[:, None] * (t - 0.45 * t**3 * (lean / reach)[:, None]) + rng.uniform(-spread, spread, count)[:, None]
    half = rng.uniform(0.012, 0.03, count)[:, None] * np.sin(np.pi * (0.12 + 0.84 * t)) * (1.6 if spread else 1.0)
    direction = np.stack([np.cos(angle), np.zeros(count), np.sin(angle)], -1)
    side = np.stack([-np.sin(angle), np.zeros(count), np.cos(angle)], -1)
    middle = direction[:, None] * outward[..., None] + np.array([0.0, 1.0, 0.0]) * upward[..., None]
    points = np.stack([middle - side[:, None] * half[..., None], middle + side[:, None] * half[..., None]], 2)
    return strips(shop.finish("leaf", "leaf_2"), points + np.array(base))


def television(shop: Workshop, width: float) -> Piece:
    """Return a television on its foot."""
    x, height = width / 2, width * 0.57
    parts = [
        shop.box("rubber", (-x, 0.06, 0.1), (x, 0.06 + height, 0.14)),
        shop.box("screen", (-x + 0.012, 0.075, 0.14), (x - 0.012, 0.05 + height, 0.143)),
        shop.box("rubber", (-0.03, 0.01, 0.1), (0.03, 0.08, 0.13)),
        shop.box("rubber", (-x * 0.5, 0.0, 0.03), (x * 0.5, 0.012, 0.23)),
    ]
    return Piece("tv_monitor", tuple(parts))


def wall_television(shop: Workshop, width: float) -> Piece:
    """Return a flat television to hang on a wall; its lower edge is at y = 0."""
    x, height = width / 2, width * 0.57
    parts = [
        shop.box("rubber", (-x, 0.0, 0.03), (x, height, 0.06)),
        shop.box("screen", (-x + 0.012, 0.015, 0.06), (x - 0.012, height - 0.012, 0.063)),
        shop.box("steel", (-0.15, height / 2 - 0.1, 0.0), (0.15, height / 2 + 0.1, 0.03)),
    ]
    return Piece("tv_monitor", tuple(parts))


def monitor(shop: Workshop) -> Piece:
    """Return a computer monitor with a keyboard before it."""
    parts = [
        shop.box("rubber", (-0.28, 0.12, 0.09), (0.28, 0.46, 0.12)),
        shop.box("screen", (-0.27, 0.135, 0.12), (0.27, 0.45, 0.122)),
        shop.box("steel", (-0.03, 0.01, 0.07), (0.03, 0.3, 0.09)),
        shop.box("steel", (-0.11, 0.0, 0.02), (0.11, 0.012, 0.18)),
        shop.box("rubber", (-0.21, 0.0, 0.26), (0.21, 0.02, 0.4)),
    ]
    return Piece("tv_monitor", tuple(parts))


def telephone(shop: Workshop) -> Piece:
    """Return a desk telephone with its receiver."""
    parts = [
        shop.soft("plastic_2", (-0.09, 0.0, 0.0), (0.09, 0.05, 0.17), 0.015),
        shop.soft("plastic_2", (-0.085, 0.06, 0.03), (0.085, 0.085, 0.07), 0.012),
        shop.box("plastic_2", (-0.08, 0.045, 0.035), (-0.04, 0.065, 0.065)),
        shop.box("plastic_2", (0.04, 0.045, 0.035), (0.08, 0.065, 0.065)),
        shop.cylinder("plastic", (0.0, 0.05, 0.12), 0.035, 0.006),
    ]
    return Piece("telephone", tuple(parts))


def floor_lamp(shop: Workshop) -> Piece:
    """Return a lamp that stands on the floor."""
    height = shop.between(1.4, 1.65)
    shade = [(0.12, 0), (0.18, 0), (0.13, 0.25), (0.12, 0.25), (0.17, 0.005), (0.12, 0.0)]
    parts = [
        shop.lathe("iron", (0.0, 0.0, 0.2), [(0, 0), (0.13, 0), (0.13, 0.02), (0.02, 0.04), (0, 0.04)]),
        shop.cylinder("iron", (0.0, 0.03, 0.2), 0.012, height - 0.1),
        shop.lathe("shade", (0.0, height - 0.25, 0.2), shade[1:4] + [(0.012, 0.25)]),
        shop.ball("shade", (0.0, height - 0.13, 0.2), (0.04, 0.05, 0.04)),
    ]
    return Piece("lamp", tuple(parts))


def table_lamp(shop: Workshop) -> Piece:
    """Return a small lamp with a shade."""
    foot = [(0, 0), (0.07, 0), (0.075, 0.02), (0.02, 0.05), (0.05, 0.12), (0.015, 0.2), (0, 0.2)]
    parts = [
        shop.lathe("pot", (0.0, 0.0, 0.12), foot),
        shop.lathe("shade", (0.0, 0.19, 0.12), [(0.02, 0.0), (0.115, 0.0), (0.075, 0.16), (0.02, 0.16)]),
    ]
    return Piece("lamp", tuple(parts))


def ceiling_lamp(shop: Workshop, drop: float) -> Piece:
    """Return a lamp below a ceiling at y = 0 that reaches `drop` metres down; shallow ones are domes."""
    if drop < 0.2:
        dome = [(0, -drop), (0.08, -drop * 0.97), (0.17, -drop * 0.6), (0.2, -0.01), (0.2, 0), (0, 0)]
        return Piece("lamp", (shop.lathe("shade", (0.0, 0.0, 0.0), dome),))
    bell = [(0.19, -drop), (0.2, -drop), (0.14, -drop + 0.12), (0.03, -drop + 0.19), (0, -drop + 0.19)]
    parts = [
        shop.lathe(shop.choose("shade", "iron", "brass"), (0.0, 0.0, 0.0), bell),
        shop.cylinder("iron", (0.0, -drop + 0.18, 0.0), 0.005, drop - 0.18),
        shop.cylinder("plastic", (0.0, -0.03, 0.0), 0.05, 0.03),
        shop.ball("shade", (0.0, -drop + 0.07, 0.0), (0.05, 0.06, 0.05)),
    ]
    return Piece("lamp", tuple(parts))


def curtain(shop: Workshop, width: float, height: float) -> Piece:
    """Return one gathered curtain on its rail; its lower edge is at y = 0."""
    nu, nv = max(8, round(14 * shop.detail**0.5)), max(2, round(3 * shop.detail**0.5))
    u, v = np.meshgrid(np.linspace(-width / 2, width / 2, nu), np.linspace(0.0, height, nv), indexing="ij")
    folds = 0.06 + 0.035 * np.sin(np.linspace(0, 2 * np.pi * round(width / 0.09), nu))[:, None] * (
        1.0 - 0.3 * v / height
    )
    cloth = sheets(shop.palette["curtain"], np.stack([u, v, folds], -1), 0.006)
    rail = shop.rod("brass", (-width / 2 - 0.01, height, 0.055), (width / 2 + 0.01, height, 0.055), 0.01)
    bracket = shop.box("brass", (-0.01, height - 0.012, 0.0), (0.01, height + 0.008, 0.055))
    return Piece("curtain", (cloth, rail, bracket))


def rug(shop: Workshop, width: float, depth: float, number: int) -> Piece:
    """Return a rug, 8 mm thick, centred on the origin."""
    x, z, name = width / 2, depth / 2, "rug" if number % 2 == 0 else "rug_2"
    flat = shop.box(name, (-x, 0.0, -z), (x, 0.008, z))
    uv = np.stack([flat.vertices[:, 0] / width + 0.5, 0.5 - flat.vertices[:, 2] / depth], 1)
    uv = uv if width >= depth else uv[:, ::-1]
    return Piece(
        "rug", (Part(vertices=flat.vertices, faces=flat.faces, finish=flat.finish, uv=np.clip(uv, 0.003, 0.997)),)
    )


def radiator(shop: Workshop, width: float) -> Piece:
    """Return a ribbed radiator that hangs under a window, 0.12 to 0.67 m high."""
    x = width / 2
    parts = [shop.box("plastic", (-x, 0.12, 0.03), (x, 0.67, 0.075))]
    count = max(3, int(width / 0.09))
    for index in range(count):
        at = -x + (index + 0.5) * width / count
        parts.append(shop.box("plastic", (at - 0.025, 0.14, 0.075), (at + 0.025, 0.65, 0.09)))
    for at in (-x + 0.1, x - 0.1):
        parts.append(shop.box("plastic", (at - 0.015, 0.3, 0.0), (at + 0.015, 0.5, 0.03)))
    parts.append(shop.cylinder("steel", (x - 0.06, 0.0, 0.05), 0.009, 0.12))
    return Piece("radiator", tuple(parts))


def fireplace(shop: Workshop) -> Piece:
    """Return an open fireplace with a mantel, 1.3 m wide."""
    body = shop.choose("brick", "stone")
    parts = [
        shop.box(body, (-0.6, 0.0, 0.0), (-0.34, 1.02, 0.32)),
        shop.box(body, (0.34, 0.0, 0.0), (0.6, 1.02, 0.32)),
        shop.box(body, (-0.34, 0.7, 0.0), (0.34, 1.02, 0.32)),
        shop.box("soot", (-0.34, 0.0, 0.0), (0.34, 0.7, 0.03)),
        shop.box("stone", (-0.65, 0.0, 0.0), (0.65, 0.04, 0.42)),
        shop.soft("wood_2", (-0.66, 1.02, 0.0), (0.66, 1.08, 0.37), 0.012),
        shop.box("iron", (-0.24, 0.04, 0.26), (0.24, 0.1, 0.28)),
    ]
    for x, y in ((-0.1, 0.09), (0.1, 0.09), (0.0, 0.18)):
        parts.append(shop.rod("wood_2", (x - 0.02, y, 0.08), (x + 0.03, y, 0.26), 0.05))
    return Piece("fireplace", tuple(parts))


def treadmill(shop: Workshop) -> Piece:
    """Return a treadmill, 1.6 m long, its console at the wall."""
    parts = [
        shop.soft("iron", (-0.36, 0.02, 0.0), (0.36, 0.2, 1.6), 0.04),
        shop.box("rubber", (-0.25, 0.2, 0.3), (0.25, 0.21, 1.55)),
        shop.soft("plastic_2", (-0.34, 0.18, 0.0), (0.34, 0.34, 0.3), 0.05),
        shop.soft("rubber", (-0.35, 1.2, 0.06), (0.35, 1.36, 0.2), 0.03),
        shop.box("screen", (-0.16, 1.24, 0.2), (0.16, 1.34, 0.205)),
        shop.box("rubber", (-0.3, 0.0, 0.1), (0.3, 0.03, 0.2)),
        shop.box("rubber", (-0.3, 0.0, 1.4), (0.3, 0.03, 1.5)),
    ]
    for x in (-0.31, 0.31):
        parts.append(shop.rod("steel", (x, 0.2, 0.25), (x, 1.25, 0.12), 0.03))
        parts.append(shop.rod("rubber", (x, 1.08, 0.14), (x, 1.02, 0.65), 0.02))
    return Piece("gym_equipment", tuple(parts))


def weight_bench(shop: Workshop) -> Piece:
    """Return a bench with a barbell on its rack."""
    parts = [
        shop.soft("rubber", (-0.15, 0.38, 0.1), (0.15, 0.46, 1.25), 0.025),
        shop.box("iron", (-0.03, 0.32, 0.15), (0.03, 0.38, 1.2)),
        shop.box("iron", (-0.2, 0.0, 1.08), (0.2, 0.05, 1.14)),
        shop.box("iron", (-0.03, 0.03, 1.08), (0.03, 0.34, 1.14)),
        shop.rod("steel", (-0.62, 1.0, 0.2), (0.62, 1.0, 0.2), 0.014),
    ]
    for x in (-0.32, 0.32):
        parts.append(shop.box("iron", (x - 0.03, 0.0, 0.17), (x + 0.03, 0.99, 0.23)))
        parts.append(shop.box("iron", (x - 0.03, 0.0, 0.03), (x + 0.03, 0.05, 0.4)))
    for x in (-0.6, -0.54, 0.5, 0.56):
        parts.append(shop.rod("rubber", (x, 1.0, 0.2), (x + 0.04, 1.0, 0.2), 0.19))
    parts.append(shop.box("iron", (-0.32, 0.34, 0.18), (0.32, 0.38, 0.22)))
    return Piece("gym_equipment", tuple(parts))


def dumbbells(shop: Workshop) -> Piece:
    """Return a rack of dumbbells."""
    parts = [shop.box("iron", (x - 0.02, 0.0, 0.0), (x + 0.02, 0.75, 0.4)) for x in (-0.45, 0.45)]
    for y in (0.25, 0.6):
        parts.append(shop.box("iron", (-0.43, y, 0.04), (0.43, y + 0.03, 0.38)))
        for x in (-0.3, 0.0, 0.3):
            parts.append(shop.rod("steel", (x, y + 0.09, 0.1), (x, y + 0.09, 0.32), 0.015))
            for z in (0.06, 0.28):
                parts.append(shop.rod("rubber", (x, y + 0.09, z), (x, y + 0.09, z + 0.08), 0.06))
    return Piece("gym_equipment", tuple(parts))


def gym_ball(shop: Workshop) -> Piece:
    """Return a gymnastics ball."""
    return Piece("gym_equipment", (shop.ball("plastic_2", (0.0, 0.32, 0.32), (0.32, 0.32, 0.32)),))
