"""Cut-outs of furniture and views of empty rooms from generated homes: pictures where a user has none."""

from functools import lru_cache

import numpy as np

from harken.render.recipes.object_images import SMALLEST, ObjectImage, object_image
from harken.scene import HomeConfig, Room, Scene, generate_home
from harken.scene.scene import Appearance
from harken.splits import Split
from harken.vision import Camera, Renderer

__all__ = ["furniture_pictures", "room_views"]

_HOMES = 5
_MOST = 4
_SPACING = 14.0
_SIZE = 320
_DISTANCE = 2.4
_ROOM_HOMES = 3
_VIEWS = 4


@lru_cache(maxsize=4)
def furniture_pictures(split: Split, categories: tuple[str, ...]) -> dict[str, tuple[ObjectImage, ...]]:
    """Return pictures of the furniture of generated homes, cut out along its outline.

    Each thing stands alone and is seen from the side of the middle of the room that it was made for. They are made in
    a few seconds when they are first asked for, and kept.

    Args:
        split: Split of the homes.
        categories: What to picture.

    Returns:
        Up to four pictures by category, sorted; a category of which the homes hold nothing is left out.
    """
    chosen: dict[str, list[tuple[Scene, int]]] = {}
    for seed in range(_HOMES):
        home = generate_home(seed, split=split)
        here: dict[str, int] = {}
        for index, thing in enumerate(home.objects):
            views = chosen.setdefault(thing.category, [])
            # At most two of a home: chairs of one table are all alike.
            if thing.room >= 0 and thing.category in categories and len(views) < _MOST:
                here[thing.category] = here.get(thing.category, 0) + 1
                if here[thing.category] <= 2:
                    views.append((home, index))
    picked = [(name, *entry) for name in sorted(chosen) for entry in chosen[name]]
    if not picked:
        return {}
    scene, stands, fronts = _exhibition([(home, index) for _, home, index in picked])
    renderer, rng = Renderer(scene), np.random.default_rng([0x43757473, len(picked)])
    pictures: dict[str, list[ObjectImage]] = {}
    for k, (name, home, index) in enumerate(picked):
        thing = home.objects[index]
        size = thing.upper - thing.lower
        heading = fronts[k] + float(rng.uniform(-0.5, 0.5))
        pixels = _cut_out(renderer, stands[k], size, heading, k + 1)
        if pixels is not None:
            label = f"{thing.name} of {home.name}"
            pictures.setdefault(name, []).append(object_image(label, pixels))
    return {name: tuple(views) for name, views in pictures.items()}


@lru_cache(maxsize=3)
def room_views(split: Split, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Return views of empty rooms of generated homes, half as large again as a canvas, to be cropped.

    Args:
        split: Split of the homes.
        height: Rows of the canvas.
        width: Columns of the canvas.

    Returns:
        Twelve views, four from each of three homes, ``(1.5·height, 1.5·width, 3)`` uint8, read-only; kept per split and
        size.
    """
    camera = Camera(width=width * 3 // 2, height=height * 3 // 2, field_of_view=1.6)
    rng, views = np.random.default_rng([0x526F6F6D, height, width]), []
    for seed in range(_ROOM_HOMES):
        home = generate_home(seed, split=split, config=HomeConfig(rooms=(3, 3), furnished=False))
        renderer = Renderer(home)
        for k in range(_VIEWS):
            # The middle of the largest triangle of the floor: unlike a polygon's centroid it always lies in the room.
            of_room = home.room == k % len(home.rooms)
            floor = (of_room & (home.category == home.categories.index("floor"))).nonzero()[0]
            middle = home.vertices[home.faces[floor[home.areas[floor].argmax()]]].mean(0)
            place, heading = middle + np.array([0.0, 1.4, 0.0], np.float32), float(rng.uniform(-np.pi, np.pi))
            view = renderer.observe(camera, place, heading, -0.1, ("rgb",))["rgb"]
            view.flags.writeable = False
            views.append(view)
    return tuple(views)


def _exhibition(things: list[tuple[Scene, int]]) -> tuple[Scene, np.ndarray, list[float]]:
    """Put things far apart into one scene, so that they are lit together: places of their middles, and headings."""
    vertices, faces, colors, texture, uv, instance = [], [], [], [], [], []
    textures: list[np.ndarray] = []
    first: dict[int, int] = {}
    stands, fronts, rooms, count = np.empty((len(things), 3), np.float32), [], [], 0
    for k, (home, index) in enumerate(things):
        thing, look = home.objects[index], home.appearance or Appearance.plain(len(home.faces))
        if id(home) not in first:
            first[id(home)] = len(textures)
            textures += look.textures
        mine = home.instance == thing.instance
        middle = (thing.lower + thing.upper) / 2
        stand = np.array([_SPACING * (k % 10), 1.5, _SPACING * (k // 10)], np.float32)
        corners = home.vertices[home.faces[mine]] - middle + stand
        vertices.append(corners.reshape(-1, 3))
        faces.append(np.arange(3 * len(corners)).reshape(-1, 3) + count)
        count += 3 * len(corners)
        colors.append(look.colors[mine])
        texture.append(np.where(look.texture[mine] >= 0, look.texture[mine] + first[id(home)], -1))
        uv.append(look.uv[mine])
        instance.append(np.full(len(corners), k + 1))
        stands[k] = stand
        toward = home.rooms[thing.room].polygon.mean(0) - middle[[0, 2]]
        # The camera stands towards the middle of the room and looks back: heading h looks along (−sin h, −cos h).
        fronts.append(float(np.arctan2(toward[0], toward[1])))
        square = np.array([[-3, -3], [3, -3], [3, 3], [-3, 3]], np.float32) + stand[[0, 2]]
        rooms.append(Room(name=f"stand {k}", kind="room", polygon=square, floor=0.0, ceiling=4.0))
    total = sum(len(each) for each in faces)
    source = things[0][0]
    scene = Scene(
        vertices=np.concatenate(vertices),
        faces=np.concatenate(faces),
        materials=source.materials[:1],
        material=np.zeros(total, np.int32),
        instance=np.concatenate(instance),
        rooms=tuple(rooms),
        appearance=Appearance(
            colors=np.concatenate(colors),
            texture=np.concatenate(texture).astype(np.int32),
            uv=np.concatenate(uv),
            textures=tuple(textures),
        ),
        name="exhibition",
    )
    return scene, stands, fronts


def _cut_out(
    renderer: Renderer, middle: np.ndarray, size: np.ndarray, heading: float, instance: int
) -> np.ndarray | None:
    """Return the picture ``(h, w, 4)`` of one thing, or None where too little of it is seen."""
    radius = float(np.linalg.norm(size)) / 2
    distance = _DISTANCE * radius + 0.3
    pitch = -0.2
    back = np.array([np.sin(heading) * np.cos(pitch), -np.sin(pitch), np.cos(heading) * np.cos(pitch)])
    # At twice the resolution, then averaged, so that outlines are smooth.
    camera = Camera(width=2 * _SIZE, height=2 * _SIZE, field_of_view=2.1 * float(np.arcsin(radius / distance)))
    seen = renderer.observe(camera, middle + distance * back, heading, pitch, ("rgb", "instance"))
    mask = seen["instance"] == instance
    share, color = np.zeros((_SIZE, _SIZE, 1), np.uint16), np.zeros((_SIZE, _SIZE, 3), np.uint16)
    for corner in ((slice(i, None, 2), slice(j, None, 2)) for i in (0, 1) for j in (0, 1)):
        share += mask[corner]
        color += seen["rgb"][corner] * mask[corner].astype(np.uint16)
    opaque = np.maximum(share, 1)
    picture = np.concatenate([(color + opaque // 2) // opaque, share * 255 // 4], -1).astype(np.uint8)
    seen_at = share[..., 0] > 0
    rows, columns = np.flatnonzero(seen_at.any(axis=1)), np.flatnonzero(seen_at.any(axis=0))
    if len(rows) < SMALLEST or len(columns) < SMALLEST or share.sum() < 16 * SMALLEST**2:
        return None
    return np.ascontiguousarray(picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
