"""Finishes of surfaces, material and appearance, drawn for each home."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Color", "Finish", "Palette", "draw_palette"]

Color = tuple[int, int, int]
"""Red, green and blue (sRGB), 0–255."""


@dataclass(frozen=True, kw_only=True)
class Finish:
    """Material and appearance of a surface."""

    material: str
    """Name of its acoustic material; see `surfaces.home_material`."""
    color: Color
    """Colour (sRGB) that the texture is multiplied by."""
    texture: str = ""
    """Name of the texture; none where empty."""
    extent: tuple[float, float] = (1.0, 1.0)
    """Width and height that one image of the texture covers [m]."""


@dataclass(frozen=True, kw_only=True)
class Palette:
    """The finishes of one home."""

    finishes: dict[str, Finish]
    """Finishes by role, such as "wood" or "fabric"."""
    floors: dict[str, Finish]
    """Floor by kind of room; "" for all others."""
    walls: dict[str, tuple[Finish, ...]]
    """Choices for the walls by kind of room; "" for all others."""
    ceilings: dict[str, Finish]
    """Ceiling by kind of room; "" for all others."""

    def __getitem__(self, name: str) -> Finish:
        """Return a finish by its role."""
        return self.finishes[name]


_WOODS: tuple[Color, ...] = (
    (222, 190, 150),
    (190, 145, 100),
    (140, 98, 66),
    (104, 72, 50),
    (236, 214, 184),
    (170, 120, 84),
)
_FABRICS: tuple[Color, ...] = (
    (120, 132, 140), (176, 168, 152), (70, 92, 112), (150, 92, 76), (96, 116, 92), (198, 176, 140),
    (84, 84, 92), (164, 60, 60), (58, 104, 110), (210, 168, 72), (188, 140, 148), (226, 220, 208),
)  # fmt: skip
_CARPETS: tuple[Color, ...] = (
    (176, 164, 146),
    (150, 150, 148),
    (122, 132, 140),
    (196, 184, 164),
    (138, 122, 108),
    (112, 122, 112),
)
_WALLS: tuple[Color, ...] = (
    (244, 241, 234), (236, 230, 218), (226, 232, 234), (228, 234, 222), (240, 226, 214), (220, 226, 236),
    (234, 222, 204), (212, 220, 214), (196, 206, 212), (222, 206, 198),
)  # fmt: skip
_FRONTS: tuple[Color, ...] = (
    (244, 243, 240),
    (206, 214, 208),
    (108, 128, 132),
    (64, 76, 88),
    (226, 214, 192),
    (150, 164, 148),
)
_CLOTHES: tuple[Color, ...] = (
    (54, 66, 98),
    (150, 60, 58),
    (224, 220, 210),
    (92, 104, 80),
    (60, 58, 60),
    (200, 160, 90),
)
_TOWELS: tuple[Color, ...] = ((244, 244, 240), (120, 160, 176), (206, 150, 134), (128, 150, 120), (230, 206, 150))


def _pick(rng: np.random.Generator, colors: tuple[Color, ...], jitter: int = 6) -> Color:
    base = np.array(colors[int(rng.integers(len(colors)))]) + rng.integers(-jitter, jitter + 1, 3)
    red, green, blue = np.clip(base, 0, 255).tolist()
    return red, green, blue


def draw_palette(rng: np.random.Generator) -> Palette:
    """Draw the finishes of a home.

    Args:
        rng: Source of randomness.

    Returns:
        Finishes that go together; textures are named, not drawn.
    """
    wood, dark = _pick(rng, _WOODS), _pick(rng, _WOODS)
    return Palette(
        finishes={**_woods(rng, wood, dark), **_fabrics(rng), **_fixed(rng)},
        floors=_floors(rng, wood),
        walls=_walls(rng),
        ceilings=_ceilings(rng),
    )


def _woods(rng: np.random.Generator, wood: Color, dark: Color) -> dict[str, Finish]:
    trim = Finish(material="wood_panel", color=(246, 244, 238) if rng.random() < 0.7 else wood)
    grain = {"texture": "grain", "extent": (1.2, 0.6)}
    door = Finish(material="door_wood", color=trim.color) if rng.random() < 0.5 else None
    return {
        "wood": Finish(material="wood_furniture", color=wood, texture="grain", extent=(1.2, 0.6)),
        "wood_2": Finish(material="wood_furniture", color=dark, texture="grain", extent=(1.2, 0.6)),
        "lacquer": Finish(
            material="wood_furniture", color=_pick(rng, ((240, 240, 238), (228, 224, 214), (70, 74, 80)))
        ),
        "front": Finish(material="wood_furniture", color=_pick(rng, _FRONTS)),
        "trim": trim,
        "door": door or Finish(material="door_wood", color=wood, texture=grain["texture"], extent=(1.2, 0.6)),
        "entrance": Finish(material="door_wood", color=_pick(rng, ((94, 60, 44), (50, 66, 62), (122, 84, 56)))),
    }


def _fabrics(rng: np.random.Generator) -> dict[str, Finish]:
    finishes = {}
    for name, material, colors in (
        ("fabric", "upholstery", _FABRICS),
        ("fabric_2", "upholstery", _FABRICS),
        ("cushion", "upholstery", _FABRICS),
        ("cushion_2", "upholstery", _FABRICS),
        ("curtain", "curtain", _FABRICS[1:2] + _FABRICS[5:6] + _FABRICS[10:] + _WALLS),
        ("linen", "mattress", ((244, 242, 238), (226, 230, 236), (238, 230, 216))),
        ("blanket", "mattress", _FABRICS),
        ("towel", "clothes", _TOWELS),
        ("clothes", "clothes", _CLOTHES),
        ("clothes_2", "clothes", _CLOTHES),
        ("clothes_3", "clothes", _CLOTHES),
    ):
        finishes[name] = Finish(material=material, color=_pick(rng, colors, 10), texture="weave", extent=(0.32, 0.32))
    for name in ("rug", "rug_2"):
        finishes[name] = Finish(material="rug", color=(255, 255, 255), texture=name)
    return finishes


def _fixed(rng: np.random.Generator) -> dict[str, Finish]:
    """Finishes that are much the same in every home."""
    marble = rng.random() < 0.5
    stone = ("marble", (1.2, 1.2)) if marble else ("stone", (0.5, 0.5))
    return {
        "ceramic": Finish(material="ceramic_tile", color=(246, 247, 248)),
        "steel": Finish(material="metal", color=(176, 180, 184)),
        "brass": Finish(material="metal", color=_pick(rng, ((190, 158, 96), (60, 60, 62), (178, 180, 184)))),
        "enamel": Finish(material="metal", color=_pick(rng, ((240, 241, 242), (190, 194, 198), (66, 70, 74)))),
        "iron": Finish(material="metal", color=(52, 54, 58)),
        "rubber": Finish(material="plastic", color=(44, 46, 50)),
        "screen": Finish(material="plastic", color=(24, 28, 36)),
        "plastic": Finish(material="plastic", color=(232, 232, 230)),
        "plastic_2": Finish(material="plastic", color=_pick(rng, ((52, 80, 104), (150, 60, 54), (70, 70, 74)))),
        "glass": Finish(material="glass", color=(206, 226, 228)),
        "pane": Finish(material="window_glass", color=(255, 255, 255), texture="sky"),
        "mirror": Finish(material="mirror", color=(206, 216, 222), texture="sheen"),
        "counter": Finish(material="worktop", color=(236, 234, 230), texture=stone[0], extent=stone[1]),
        "stone": Finish(material="marble", color=(240, 236, 230), texture="marble", extent=(1.2, 1.2)),
        "brick": Finish(material="brick", color=(255, 255, 255), texture="brick", extent=(0.96, 0.6)),
        "soot": Finish(material="brick", color=(40, 36, 34)),
        "facade": Finish(material="brick", color=(228, 222, 212), texture="plaster", extent=(1.6, 1.6)),
        "slab": Finish(material="concrete", color=(168, 166, 162), texture="stone", extent=(0.5, 0.5)),
        "leaf": Finish(material="plant", color=_pick(rng, ((74, 122, 62), (58, 104, 66), (104, 140, 72)))),
        "leaf_2": Finish(material="plant", color=_pick(rng, ((96, 146, 76), (122, 150, 88)))),
        "soil": Finish(material="plant", color=(74, 56, 44)),
        "pot": Finish(material="ceramic_tile", color=_pick(rng, ((196, 120, 84), (232, 230, 224), (84, 96, 104)))),
        "shade": Finish(material="plastic", color=(250, 238, 208)),
        "water": Finish(material="ceramic_tile", color=(226, 234, 238)),
        "paper": Finish(material="paper_books", color=(255, 255, 255), texture="books"),
    }


def _floors(rng: np.random.Generator, wood: Color) -> dict[str, Finish]:
    planks = Finish(material="wood_floor", color=wood, texture="planks", extent=(2.4, 1.2))
    pile = "carpet_on_pad" if rng.random() < 0.6 else "carpet"
    carpet = Finish(material=pile, color=_pick(rng, _CARPETS), texture="carpet", extent=(0.6, 0.6))
    tiles = Finish(
        material="ceramic_tile",
        color=_pick(rng, ((230, 228, 222), (186, 184, 180), (212, 198, 180), (150, 156, 160))),
        texture="floor_tiles",
        extent=(1.2, 1.2),
    )
    marble = Finish(material="marble", color=(244, 240, 234), texture="marble_tiles", extent=(1.2, 1.2))
    concrete = Finish(material="concrete", color=(188, 186, 182), texture="stone", extent=(0.8, 0.8))
    wet = marble if rng.random() < 0.2 else tiles
    main = planks if rng.random() < 0.62 else carpet if rng.random() < 0.75 else tiles
    return {
        "": main,
        "bedroom": carpet if rng.random() < 0.65 else planks,
        "office": carpet if rng.random() < 0.5 else planks,
        "bathroom": wet,
        "laundry_room": tiles,
        "kitchen": tiles if rng.random() < 0.5 else planks,
        "hall": marble if rng.random() < 0.1 else tiles if rng.random() < 0.25 else main,
        "gym": concrete if rng.random() < 0.5 else planks,
    }


def _draw_name(rng: np.random.Generator, shares: dict[str, float]) -> str:
    """Draw a name by its share."""
    return str(rng.choice(list(shares), p=list(shares.values())))


def _walls(rng: np.random.Generator) -> dict[str, tuple[Finish, ...]]:
    lining = _draw_name(rng, {"stud_wall": 0.65, "lined_wall": 0.2, "plastered_wall": 0.15})
    painted = tuple(
        Finish(material=lining, color=_pick(rng, _WALLS), texture="plaster", extent=(1.6, 1.6)) for _ in range(4)
    )
    papered = Finish(material=lining, color=_pick(rng, _WALLS), texture="wallpaper", extent=(0.8, 0.8))
    brick = Finish(material="brick", color=(250, 236, 226), texture="brick", extent=(0.96, 0.6))
    tiles = Finish(
        material="tiled_wall",
        color=_pick(rng, ((242, 244, 244), (206, 222, 226), (222, 228, 214), (232, 220, 206))),
        texture="wall_tiles",
        extent=(0.8, 0.6),
    )
    panelled = Finish(
        material="wood_panel", color=_pick(rng, _WOODS[:2] + _WOODS[4:5]), texture="grain", extent=(1.2, 0.6)
    )
    return {
        "": painted[:2],
        "bedroom": (painted[2], papered, painted[0]),
        "living_room": (painted[0], painted[3], brick if rng.random() < 0.12 else painted[1]),
        "office": (painted[1], panelled if rng.random() < 0.4 else painted[3]),
        "bathroom": (tiles,),
        "laundry_room": (tiles if rng.random() < 0.4 else painted[0],),
        "gym": (painted[0], painted[1], brick),
    }


def _ceilings(rng: np.random.Generator) -> dict[str, Finish]:
    lining = _draw_name(rng, {"joist_ceiling": 0.75, "gypsum_board": 0.15, "plaster": 0.1})
    white = Finish(material=lining, color=(250, 249, 246), texture="plaster", extent=(1.6, 1.6))
    acoustic = Finish(material="acoustic_tile", color=(244, 244, 240), texture="acoustic", extent=(1.2, 1.2))
    return {
        "": white,
        "office": acoustic if rng.random() < 0.35 else white,
        "gym": acoustic if rng.random() < 0.5 else white,
    }
