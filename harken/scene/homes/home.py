"""Generation of homes: plan, shell, furniture and appearance, assembled into a scene."""

import zlib
from dataclasses import replace
from typing import Any

import numpy as np

from harken.errors import ConfigurationError
from harken.scene.doors import Door
from harken.scene.homes.config import HomeConfig
from harken.scene.homes.doors import home_doors
from harken.scene.homes.furnish import furnish, has_its_needs
from harken.scene.homes.palette import draw_palette
from harken.scene.homes.pieces import Item
from harken.scene.homes.plan import Plan, draw_plan
from harken.scene.homes.shell import build_shell
from harken.scene.homes.space import RoomSpace
from harken.scene.homes.surfaces import home_material
from harken.scene.homes.textures import draw_texture
from harken.scene.homes.workshop import Workshop
from harken.scene.scene import Appearance, Room, Scene, SceneObject
from harken.scene.vocabulary import CATEGORIES, category_indices
from harken.splits import SPLITS, Split, checked_split

__all__ = ["generate_home", "generate_plan"]

_PURPOSE = 0x486F6D65
_ATTEMPTS = 10


def generate_home(seed: int, *, split: Split = "train", config: HomeConfig | None = None) -> Scene:
    """Generate a furnished apartment.

    The same arguments give the same bytes; the homes of different splits come from different streams of random numbers
    and never coincide. Walls lie on whole metres of the world's x and z, the floor at y = 0, and doors are centred on
    half metres along their walls, so that an agent on half-metre positions 1 m apart walks through them.

    Args:
        seed: Which home, 0 or more.
        split: "train", "val" or "test".
        config: Limits; the defaults where left out.

    Returns:
        A scene with rooms, objects, materials and textures.

    Raises:
        ConfigurationError: The seed is negative or no integer, or no home within the limits was found.
        UnknownNameError: There is no such split.
    """
    config = config or HomeConfig()
    stream = _stream(seed, split)
    plan = generate_plan(seed, split=split, config=config)
    palette = draw_palette(np.random.default_rng([*stream, 1]))
    items, leaves_of = build_shell(plan, palette, np.random.default_rng([*stream, 2]))
    doors = home_doors(plan, palette, items, leaves_of)
    if config.furnished:
        leaves = [item.placement.box(item.piece.box) for item in items if item.solid]
        for room in range(len(plan.kinds)):
            shop = Workshop(palette=palette, rng=np.random.default_rng([*stream, 3, room]), detail=config.detail)
            items += _furnished(plan, room, leaves, shop)
    limits = "" if config == HomeConfig() else f", config={config}"
    home = _assemble(items, plan, stream, f"home {split} {seed}", f"generate_home({seed}, split={split!r}{limits})")
    return replace(home, doors=_textured(doors, home), door_states=("open",) * len(doors))


def _furnished(plan: Plan, room: int, leaves: list[Any], shop: Workshop) -> list[Any]:
    """Return the furniture of a room: the first of several attempts with everything essential, else the last."""
    for attempt in range(_ATTEMPTS):
        space = RoomSpace(plan, room, leaves, shop.rng)
        furnish(space, shop, plan.kinds)
        if has_its_needs(space, plan.kinds) or attempt == _ATTEMPTS - 1:
            return space.items
    raise AssertionError("no attempt was made")


def generate_plan(seed: int, *, split: Split = "train", config: HomeConfig | None = None) -> Plan:
    """Return the floor plan of the home that `generate_home` makes of the same arguments.

    Args:
        seed: Which home, 0 or more.
        split: "train", "val" or "test".
        config: Limits; the defaults where left out.

    Raises:
        ConfigurationError: The seed is negative or no integer, or no plan within the limits was found.
        UnknownNameError: There is no such split.
    """
    return draw_plan(np.random.default_rng([*_stream(seed, split), 0]), config or HomeConfig())


def _textured(doors: tuple[Door, ...], home: Scene) -> tuple[Door, ...]:
    """Return doors with the texture of those leaves that rest in the home."""
    resting = np.isin(home.instance, [door.resting for door in doors if door.resting])
    assert home.appearance is not None
    texture = int(home.appearance.texture[resting].max(initial=-1))
    return tuple(replace(door, texture=texture) for door in doors)


def _stream(seed: int, split: str) -> list[int]:
    """Seed of all random numbers of a home."""
    checked_split(split, "split of generated homes")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ConfigurationError(f"The seed of a home is {seed!r}; expected an integer of 0 or more.")
    return [_PURPOSE, SPLITS.index(split), int(seed)]


def _assemble(items: list[Item], plan: Plan, stream: list[int], name: str, source: str) -> Scene:
    """Join the items into one mesh with materials, categories, objects, rooms and appearance."""
    parts = [part for item in items for part in item.piece.parts]
    counts = np.array([len(part.faces) for part in parts])
    item_counts = np.array([sum(len(part.faces) for part in item.piece.parts) for item in items])
    offsets = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    local = np.concatenate([part.vertices for part in parts])
    placed = [item.placement.vertices(np.concatenate([p.vertices for p in item.piece.parts])) for item in items]
    vertices = np.concatenate(placed).astype(np.float32)
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets.tolist(), strict=True)])
    materials = sorted({part.finish.material for part in parts})
    return Scene(
        vertices=vertices,
        faces=faces,
        materials=tuple(home_material(key) for key in materials),
        material=np.repeat([materials.index(part.finish.material) for part in parts], counts),
        categories=CATEGORIES,
        category=np.repeat(category_indices(item.piece.category for item in items), item_counts),
        instance=np.repeat(np.arange(1, len(items) + 1), item_counts),
        room=np.repeat([item.room for item in items], item_counts),
        objects=_objects(items, placed),
        rooms=_rooms(plan),
        appearance=_appearance(parts, counts, local, faces, stream),
        name=name,
        source=source,
    )


def _objects(items: list[Item], placed: list[np.ndarray]) -> tuple[SceneObject, ...]:
    numbers: dict[str, int] = {}
    objects = []
    for index, (item, points) in enumerate(zip(items, placed, strict=True)):
        category = item.piece.category
        numbers[category] = numbers.get(category, 0) + 1
        objects.append(
            SceneObject(
                instance=index + 1,
                category=category,
                name=f"{category} {numbers[category]}",
                lower=points.min(0).astype(np.float32),
                upper=points.max(0).astype(np.float32),
                room=item.room,
            )
        )
    return tuple(objects)


def _rooms(plan: Plan) -> tuple[Room, ...]:
    numbers: dict[str, int] = {}
    rooms = []
    for kind, polygon in zip(plan.kinds, plan.polygons, strict=True):
        numbers[kind] = numbers.get(kind, 0) + 1
        name = kind.replace("_", " ") + (f" {numbers[kind]}" if plan.kinds.count(kind) > 1 else "")
        rooms.append(Room(name=name, kind=kind, polygon=polygon.astype(np.float32), floor=0.0, ceiling=plan.height))
    return tuple(rooms)


def _appearance(parts: list, counts: np.ndarray, local: np.ndarray, faces: np.ndarray, stream: list[int]) -> Appearance:
    """Colours, and textures laid on in metres along the two axes that a triangle faces least."""
    names = sorted({part.finish.texture for part in parts} - {""})
    index = {"": -1} | {name: number for number, name in enumerate(names)}
    corners = local[faces]
    normal = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    axes = np.array([(2, 1), (0, 2), (0, 1)])[normal.argmax(1)]
    extent = np.repeat([part.finish.extent for part in parts], counts, axis=0)
    uv = np.take_along_axis(corners, axes[:, None, :].repeat(3, 1), 2) / extent[:, None]
    ends = np.cumsum(counts)
    for part, end, count in zip(parts, ends.tolist(), counts.tolist(), strict=True):
        if part.uv is not None:
            uv[end - count : end] = part.uv[part.faces]
    colors = np.repeat(np.array([part.finish.color for part in parts], np.uint8), counts, axis=0)
    return Appearance(
        colors=np.repeat(colors[:, None], 3, axis=1),
        texture=np.repeat(np.array([index[part.finish.texture] for part in parts], np.int32), counts),
        uv=uv.astype(np.float32),
        textures=tuple(
            draw_texture(name, np.random.default_rng([*stream, 4, zlib.crc32(name.encode())])) for name in names
        ),
    )
