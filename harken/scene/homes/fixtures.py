"""Fixtures of kitchens, bathrooms and laundries."""

import numpy as np

from harken.scene.homes.pieces import Piece
from harken.scene.homes.shapes import Part, sheets
from harken.scene.homes.workshop import Workshop

__all__ = [
    "bathtub",
    "counter",
    "hung_towel",
    "kitchen_sink",
    "low_refrigerator",
    "oven",
    "refrigerator",
    "shower",
    "toilet",
    "towel_shelf",
    "upper_cabinet",
    "washbasin",
    "washing_machine",
]


def counter(shop: Workshop, width: float, hole: bool = False) -> Piece:
    """Return a stretch of kitchen counter, 0.62 m deep and 0.9 m high.

    Args:
        shop: The workshop.
        width: Width [m].
        hole: Whether the worktop has the cut-out that `kitchen_sink` hangs in.
    """
    x = width / 2
    parts = [
        shop.box("front", (-x, 0.1, 0.0), (x, 0.68 if hole else 0.86, 0.56)),
        shop.box("iron", (-x, 0.0, 0.0), (x, 0.1, 0.52)),
    ]
    if hole:
        parts += [
            shop.box("front", (-x, 0.68, 0.54), (x, 0.86, 0.56)),
            shop.box("counter", (-x, 0.86, 0.0), (x, 0.9, 0.1)),
            shop.box("counter", (-x, 0.86, 0.52), (x, 0.9, 0.62)),
            shop.box("counter", (-x, 0.86, 0.1), (-0.26, 0.9, 0.52)),
            shop.box("counter", (0.26, 0.86, 0.1), (x, 0.9, 0.52)),
        ]
    else:
        parts.append(shop.box("counter", (-x, 0.86, 0.0), (x, 0.9, 0.62)))
    count = max(1, round(width / 0.5))
    pitch = width / count
    drawers = shop.chance(0.4) and not hole
    for index in range(count):
        a, b = -x + index * pitch + 0.004, -x + (index + 1) * pitch - 0.004
        for low, high in ((0.11, 0.36), (0.37, 0.6), (0.61, 0.84)) if drawers else ((0.11, 0.84),):
            parts.append(shop.box("front", (a, low, 0.56), (b, high, 0.58)))
            y = high - 0.06
            parts.append(shop.box("brass", ((a + b) / 2 - 0.08, y, 0.58), ((a + b) / 2 + 0.08, y + 0.012, 0.605)))
    return Piece("counter", tuple(parts))


def kitchen_sink(shop: Workshop) -> Piece:
    """Return a steel sink with tap that hangs in a counter's cut-out; in the counter's frame."""
    steel = "steel"
    parts = [
        shop.box(steel, (-0.26, 0.7, 0.1), (0.26, 0.705, 0.52)),
        shop.box(steel, (-0.26, 0.7, 0.1), (-0.25, 0.905, 0.52)),
        shop.box(steel, (0.25, 0.7, 0.1), (0.26, 0.905, 0.52)),
        shop.box(steel, (-0.25, 0.7, 0.1), (0.25, 0.905, 0.11)),
        shop.box(steel, (-0.25, 0.7, 0.51), (0.25, 0.905, 0.52)),
    ]
    parts += _tap(shop, 0.9, 0.06, 0.26)
    return Piece("sink", tuple(parts))


def _tap(shop: Workshop, y: float, z: float, height: float) -> list[Part]:
    """A tap that stands at (0, y, z) and reaches forward."""
    return [
        shop.cylinder("steel", (0.0, y, z), 0.018, height),
        shop.rod("steel", (0.0, y + height - 0.012, z), (0.0, y + height - 0.03, z + 0.17), 0.012),
        shop.rod("steel", (0.0, y + height - 0.03, z + 0.16), (0.0, y + height - 0.07, z + 0.165), 0.01),
        shop.rod("steel", (0.02, y + height * 0.4, z), (0.07, y + height * 0.5, z), 0.008),
    ]


def oven(shop: Workshop) -> Piece:
    """Return an oven with a hob, as high as the counter."""
    parts = [
        shop.box("enamel", (-0.3, 0.0, 0.0), (0.3, 0.88, 0.58)),
        shop.box("screen", (-0.3, 0.88, 0.0), (0.3, 0.9, 0.6)),
        shop.box("screen", (-0.25, 0.24, 0.58), (0.25, 0.66, 0.595)),
        shop.rod("steel", (-0.24, 0.71, 0.62), (0.24, 0.71, 0.62), 0.01),
        shop.box("steel", (-0.2, 0.7, 0.58), (-0.18, 0.72, 0.62)),
        shop.box("steel", (0.18, 0.7, 0.58), (0.2, 0.72, 0.62)),
    ]
    for x in (-0.21, -0.07, 0.07, 0.21):
        parts.append(shop.rod("steel", (x, 0.81, 0.58), (x, 0.81, 0.61), 0.02))
    for x, z, radius in ((-0.14, 0.17, 0.08), (0.14, 0.17, 0.1), (-0.14, 0.42, 0.1), (0.14, 0.42, 0.08)):
        parts.append(shop.cylinder("iron", (x, 0.9, z), radius, 0.006))
    return Piece("oven", tuple(parts))


def low_refrigerator(shop: Workshop) -> Piece:
    """Return a refrigerator as high as a counter, which fits under a window."""
    parts = [
        shop.box("enamel", (-0.3, 0.03, 0.0), (0.3, 0.85, 0.54)),
        shop.box("iron", (-0.28, 0.0, 0.02), (0.28, 0.03, 0.5)),
        shop.soft("enamel", (-0.298, 0.05, 0.545), (0.298, 0.845, 0.6), 0.012),
        shop.box("steel", (-0.27, 0.5, 0.6), (-0.25, 0.75, 0.63)),
    ]
    return Piece("refrigerator", tuple(parts))


def refrigerator(shop: Workshop) -> Piece:
    """Return a refrigerator with a freezer below."""
    height = shop.between(1.7, 1.95)
    parts = [
        shop.box("enamel", (-0.3, 0.03, 0.0), (0.3, height, 0.58)),
        shop.box("iron", (-0.28, 0.0, 0.02), (0.28, 0.03, 0.54)),
        shop.soft("enamel", (-0.298, 0.05, 0.585), (0.298, 0.65, 0.64), 0.012),
        shop.soft("enamel", (-0.298, 0.665, 0.585), (0.298, height - 0.005, 0.64), 0.012),
        shop.box("steel", (-0.27, 0.5, 0.64), (-0.25, 0.62, 0.67)),
        shop.box("steel", (-0.27, 0.7, 0.64), (-0.25, 1.1, 0.67)),
    ]
    return Piece("refrigerator", tuple(parts))


def upper_cabinet(shop: Workshop, width: float) -> Piece:
    """Return a wall cabinet; its lower edge is at y = 0."""
    parts = [shop.box("front", (-width / 2, 0.0, 0.0), (width / 2, 0.68, 0.33))]
    count = max(1, round(width / 0.45))
    pitch = width / count
    for index in range(count):
        a, b = -width / 2 + index * pitch + 0.004, -width / 2 + (index + 1) * pitch - 0.004
        parts.append(shop.box("front", (a, 0.004, 0.33), (b, 0.676, 0.348)))
        parts.append(shop.box("brass", (b - 0.05, 0.05, 0.348), (b - 0.038, 0.2, 0.37)))
    return Piece("cabinet", tuple(parts))


def washbasin(shop: Workshop, width: float) -> tuple[Piece, Piece]:
    """Return a vanity cabinet of 0.4–0.6 m and the washbasin with its tap on top."""
    half, depth = width / 2, 0.47 * min(1.0, 0.4 + width)
    bowl = min(0.2, depth / 2 - 0.04)
    front = depth - 0.03
    cabinet = [
        shop.box("front", (-half, 0.05, 0.0), (half, 0.78, front)),
        shop.box("iron", (-half + 0.03, 0.0, 0.02), (half - 0.03, 0.05, front - 0.04)),
    ]
    for side in (-1, 1):
        a, b = sorted((side * 0.003, side * (half - 0.005)))
        cabinet.append(shop.box("front", (a, 0.07, front), (b, 0.76, front + 0.015)))
        x = side * 0.03
        cabinet.append(shop.box("brass", (x - 0.006, 0.4, front + 0.015), (x + 0.006, 0.55, front + 0.03)))
    rim = [(0, 0), (bowl * 0.9, 0), (bowl, 0.1), (bowl - 0.015, 0.1), (bowl * 0.75, 0.03), (0, 0.02)]
    basin = [
        shop.box("ceramic", (-half, 0.78, 0.0), (half, 0.81, depth)),
        shop.lathe("ceramic", (0.0, 0.81, depth - bowl - 0.01), rim, 18),
        *_tap(shop, 0.81, 0.03, 0.22),
    ]
    return Piece("cabinet", tuple(cabinet)), Piece("sink", tuple(basin))


def toilet(shop: Workshop) -> Piece:
    """Return a toilet with its cistern at the wall."""
    bowl = [(0, 0), (0.13, 0), (0.12, 0.12), (0.17, 0.32), (0.19, 0.4), (0.13, 0.4), (0.1, 0.25), (0, 0.2)]
    body = shop.lathe("ceramic", (0, 0, 0), bowl, 18)
    points = body.vertices * [1.0, 1.0, 1.25] + [0.0, 0.0, 0.42]
    seat = shop.lathe("plastic", (0, 0, 0), [(0.12, 0), (0.195, 0), (0.195, 0.025), (0.12, 0.025), (0.12, 0)], 18)
    parts = [
        Part(vertices=points, faces=body.faces, finish=body.finish),
        Part(vertices=seat.vertices * [1.0, 1.0, 1.25] + [0.0, 0.4, 0.42], faces=seat.faces, finish=seat.finish),
        shop.box("ceramic", (-0.1, 0.0, 0.0), (0.1, 0.38, 0.3)),
        shop.soft("ceramic", (-0.19, 0.38, 0.0), (0.19, 0.78, 0.17), 0.03),
        shop.box("steel", (-0.03, 0.78, 0.07), (0.03, 0.79, 0.11)),
        shop.soft("plastic", (-0.18, 0.43, 0.17), (0.18, 0.78, 0.195), 0.012),
    ]
    return Piece("toilet", tuple(parts))


def shower(shop: Workshop, width: float = 0.9, depth: float = 0.9) -> Piece:
    """Return a corner shower: tray, glass on one side, pipe and head at the wall."""
    x = width / 2
    parts = [
        shop.soft("ceramic", (-x, 0.0, 0.0), (x, 0.07, depth), 0.02),
        _curtain(shop, x, depth)
        if shop.chance(0.5)
        else shop.box("glass", (x - 0.008, 0.07, 0.02), (x, 1.98, depth - 0.01)),
        shop.box("steel", (x - 0.012, 1.98, 0.0), (x, 2.0, depth)),
        shop.box("steel", (x - 0.014, 0.07, 0.0), (x, 1.98, 0.02)),
        shop.rod("steel", (0.0, 0.95, 0.04), (0.0, 2.06, 0.04), 0.011),
        shop.rod("steel", (0.0, 2.05, 0.04), (0.0, 2.07, 0.36), 0.011),
        shop.cylinder("steel", (0.0, 2.03, 0.36), 0.1, 0.02),
        shop.box("steel", (-0.13, 1.0, 0.01), (0.13, 1.05, 0.07)),
        shop.cylinder("iron", (0.0, 0.07, depth / 2), 0.045, 0.004),
    ]
    return Piece("shower", tuple(parts))


def _curtain(shop: Workshop, x: float, depth: float) -> Part:
    """A shower's curtain, drawn along its open side at `x`."""
    nu, nv = max(9, round(17 * shop.detail**0.5)), max(2, round(3 * shop.detail**0.5))
    u, v = np.meshgrid(np.linspace(0.03, depth - 0.02, nu), np.linspace(0.1, 1.97, nv), indexing="ij")
    folds = x - 0.03 + 0.02 * np.cos(np.pi * np.arange(nu))[:, None] * np.ones(nv)
    cloth = sheets(shop.palette["curtain"], np.stack([-u, v, folds], -1), 0.005)
    return Part(vertices=cloth.vertices[:, [2, 1, 0]] * [1.0, 1.0, -1.0], faces=cloth.faces, finish=cloth.finish)


def bathtub(shop: Workshop, width: float = 1.7) -> Piece:
    """Return a bathtub with its long side at the wall, 0.74 m deep."""
    x, depth, height = width / 2, 0.74, 0.56
    parts = [
        shop.box("ceramic", (-x, 0.0, 0.0), (x, height, 0.07)),
        shop.box("ceramic", (-x, 0.0, depth - 0.07), (x, height, depth)),
        shop.box("ceramic", (-x, 0.0, 0.07), (-x + 0.09, height, depth - 0.07)),
        shop.box("ceramic", (x - 0.14, 0.0, 0.07), (x, height, depth - 0.07)),
        shop.box("water", (-x + 0.09, 0.0, 0.07), (x - 0.14, 0.14, depth - 0.07)),
        shop.soft("ceramic", (-x, height - 0.03, depth - 0.08), (x, height, depth), 0.012),
        shop.rod("steel", (-x + 0.03, height, 0.3), (-x + 0.03, height + 0.12, 0.3), 0.014),
        shop.rod("steel", (-x + 0.03, height + 0.11, 0.3), (-x + 0.16, height + 0.1, 0.3), 0.014),
    ]
    return Piece("bathtub", tuple(parts))


def hung_towel(shop: Workshop, width: float = 0.46) -> Piece:
    """Return a towel over a rail, to hang on a wall; its lower edge is at y = 0."""
    nu, nv = max(4, round(7 * shop.detail**0.5)), max(3, round(5 * shop.detail**0.5))
    x = width / 2
    u, v = np.meshgrid(np.linspace(-x, x, nu), np.linspace(0.0, 0.7, nv), indexing="ij")
    folds = 0.085 + 0.008 * np.sin(u * 40) * (1 - v / 0.9)
    cloth = sheets(shop.palette["towel"], np.stack([u, v, folds], -1), 0.02)
    parts = [cloth, shop.rod("steel", (-x - 0.07, 0.69, 0.075), (x + 0.07, 0.69, 0.075), 0.009)]
    for end in (-x - 0.06, x + 0.06):
        parts.append(shop.rod("steel", (end, 0.69, 0.0), (end, 0.69, 0.08), 0.009))
    return Piece("towel", tuple(parts))


def towel_shelf(shop: Workshop) -> Piece:
    """Return a shelf with piles of folded towels, to hang on a wall; its lower edge is at y = 0."""
    half = shop.between(0.28, 0.42)
    parts = [shop.box("wood", (-half, 0.03, 0.0), (half, 0.05, 0.26))]
    parts += [shop.box("iron", (x - 0.01, 0.0, 0.0), (x + 0.01, 0.03, 0.24)) for x in (-half + 0.06, half - 0.06)]
    count = int(half / 0.14)
    for index in range(count):
        x, y = (index - (count - 1) / 2) * 0.28, 0.05
        for _ in range(int(shop.rng.integers(2, 5))):
            thickness = shop.between(0.06, 0.08)
            parts.append(shop.soft("towel", (x - 0.13, y, 0.02), (x + 0.13, y + thickness - 0.002, 0.25), 0.03))
            y += thickness
    return Piece("towel", tuple(parts))


def washing_machine(shop: Workshop) -> Piece:
    """Return a washing machine with its round door."""
    parts = [shop.box("enamel", (-0.3, 0.0, 0.0), (0.3, 0.85, 0.56))]
    parts.append(shop.rod("steel", (0.0, 0.45, 0.56), (0.0, 0.45, 0.59), 0.19))
    parts.append(shop.rod("screen", (0.0, 0.45, 0.59), (0.0, 0.45, 0.6), 0.145))
    parts.append(shop.box("plastic", (-0.28, 0.73, 0.56), (0.28, 0.83, 0.57)))
    parts.append(shop.rod("steel", (0.15, 0.78, 0.57), (0.15, 0.78, 0.6), 0.03))
    return Piece("washing_machine", tuple(parts))
