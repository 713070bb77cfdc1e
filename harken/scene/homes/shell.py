"""The shell of a home: walls, floors, ceilings, skirtings, doors and windows.

The faces of a room's walls, its floor and its ceiling share the corners of one outline, and every opening is lined, so
that the inside is closed; a pane or a leaf closes what leads outside. Around it lies the outer shell with its own
closed surface.
"""

from dataclasses import dataclass

import numpy as np

from harken.scene.homes.outline import inset, rectangles
from harken.scene.homes.palette import Finish, Palette
from harken.scene.homes.pieces import Box, Item, Piece, Placement, overlap
from harken.scene.homes.plan import DOOR_HEIGHT, INTERIOR_WALL, Opening, Plan
from harken.scene.homes.shapes import Part, box, facing_quad

__all__ = ["Wall", "build_shell", "door_zone", "room_walls", "wall_face"]

_SLAB = 0.2
_UP = np.array([0.0, 1.0, 0.0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Wall:
    """One straight face of a wall, seen from its room."""

    start: tuple[float, float]
    """World x and z of its start [m]; the room lies on the left of the direction from start to end."""
    end: tuple[float, float]
    """World x and z of its other end [m]."""
    openings: tuple[tuple[float, float, Opening], ...]
    """Openings with their least and greatest distance from the start [m]."""

    @property
    def length(self) -> float:
        """Length [m]."""
        return abs(self.end[0] - self.start[0]) + abs(self.end[1] - self.start[1])

    @property
    def along(self) -> tuple[float, float]:
        """Direction from start to end in x and z."""
        return (self.end[0] - self.start[0]) / self.length, (self.end[1] - self.start[1]) / self.length

    @property
    def quarter(self) -> int:
        """Quarter turns that point a piece's +z from the wall into the room."""
        x, z = self.along
        return {(0, 1): 0, (1, 0): 1, (0, -1): 2, (-1, 0): 3}[round(-z), round(x)]

    def placement(self, distance: float, y: float = 0.0, gap: float = 0.0) -> Placement:
        """Return the frame of a piece with its back to the wall at a distance from the start [m]."""
        x, z = self.along
        return Placement(
            x=self.start[0] + x * distance - z * gap,
            y=y,
            z=self.start[1] + z * distance + x * gap,
            quarter=self.quarter,
        )


def room_walls(plan: Plan, room: int) -> list[Wall]:
    """Return the faces of a room's walls with their openings."""
    return _faces(plan.polygons[room], plan.room_openings(room), room)


def _faces(polygon: np.ndarray, openings: list[Opening], room: int) -> list[Wall]:
    walls = []
    for start, end in zip(polygon.tolist(), np.roll(polygon, -1, 0).tolist(), strict=True):
        axis = 0 if start[1] == end[1] else 1
        low, high = sorted((start[axis], end[axis]))
        spans = []
        for opening in openings:
            side = 0 if start[1 - axis] < opening.line else 1
            on_line = opening.axis == axis and abs(start[1 - axis] - opening.line) < 0.4
            if on_line and opening.sides[side] == room and low < opening.center < high:
                a, b = (abs(value - start[axis]) for value in opening.span)
                spans.append((min(a, b), max(a, b), opening))
        walls.append(Wall(start=tuple(start), end=tuple(end), openings=tuple(sorted(spans, key=lambda o: o[0]))))
    return walls


def build_shell(plan: Plan, palette: Palette, rng: np.random.Generator) -> tuple[list[Item], dict[Opening, int]]:
    """Build everything that is not furniture.

    Args:
        plan: The floor plan.
        palette: Finishes.
        rng: Source of randomness.

    Returns:
        Items in world coordinates; those that are solid are leaves of open doors, which furniture keeps clear of. And
        which item is the leaf of an opening.
    """
    items, leaves = [], {}
    for room, kind in enumerate(plan.kinds):
        choices = palette.walls.get(kind, palette.walls[""])
        finish = choices[int(rng.integers(len(choices)))]
        walls = room_walls(plan, room)
        tiled = kind == "bathroom" and rng.random() < 0.75
        split = float(rng.choice([1.2, 1.5, 2.1])) if tiled else plan.height
        parts = [part for wall in walls for part in wall_face(finish, wall, 0.0, split)]
        if tiled:
            upper = palette.walls[""][0]
            parts += [part for wall in walls for part in wall_face(upper, wall, split, plan.height)]
        if kind not in ("bathroom", "laundry_room"):
            parts += [part for wall in walls for part in _skirting(palette["trim"], wall)]
        items.append(_structure("wall", parts, room))
        floor = palette.floors.get(kind, palette.floors[""])
        ceiling = palette.ceilings.get(kind, palette.ceilings[""])
        items.append(_structure("floor", [_slab(floor, plan.polygons[room], 0.0, 1)], room))
        items.append(_structure("ceiling", [_slab(ceiling, plan.polygons[room], plan.height, -1)], room))
    items.append(_structure("wall", _outer_shell(plan, palette), -1))
    for opening in plan.openings:
        items.append(_fill_opening(plan, palette, opening))
    for opening in plan.openings:
        if opening.kind == "door" and rng.random() < 0.8:
            leaf = _open_leaf(plan, opening, palette, rng, [item for item in items if item.solid])
            if leaf is not None:
                leaves[opening] = len(items)
                items.append(leaf)
    return items, leaves


def door_zone(wall: Wall, start: float, end: float, depth: float) -> Box:
    """Return the space before an opening that must stay free, in the world."""
    return wall.placement((start + end) / 2).box(((start - end) / 2, 0.0, 0.0, (end - start) / 2, DOOR_HEIGHT, depth))


def _structure(category: str, parts: list[Part], room: int, *, solid: bool = False) -> Item:
    return Item(piece=Piece(category, tuple(parts)), placement=Placement(), room=room, solid=solid)


def wall_face(finish: Finish, wall: Wall, bottom: float, top: float) -> list[Part]:
    """Return the face of a wall from one height to another [m], with holes for openings; none where all is a door."""
    pieces, at = [], 0.0
    for start, end, opening in wall.openings:
        low, high = (min(max(height, bottom), top) for height in opening.heights)
        pieces += [(at, start, bottom, top), (start, end, bottom, low), (start, end, high, top)]
        at = end
    pieces.append((at, wall.length, bottom, top))
    spans = np.array([p for p in pieces if p[1] - p[0] > 1e-9 and p[3] - p[2] > 1e-9])
    if len(spans) == 0:
        return []
    x, z = wall.along
    along = np.array([x, 0.0, z])
    start = np.array([wall.start[0], 0.0, wall.start[1]])
    corners = spans[:, [0, 1, 1, 0], None] * along + spans[:, [2, 2, 3, 3], None] * _UP + start
    return [facing_quad(finish, corners, np.array([-z, 0.0, x]))]


def _slab(finish: Finish, polygon: np.ndarray, height: float, facing: int) -> Part:
    """A floor (facing 1) or a ceiling (facing -1)."""
    areas = rectangles(polygon)
    corners = np.stack([areas[:, [0, 2, 2, 0]], np.full((len(areas), 4), height), areas[:, [1, 1, 3, 3]]], -1)
    return facing_quad(finish, corners, facing * _UP)


def _skirting(finish: Finish, wall: Wall) -> list[Part]:
    """Boards along the foot of a wall, except at doors."""
    at, boards = 0.0, []
    for start, end, opening in wall.openings:
        if opening.heights[0] == 0.0:
            boards.append((at, start - 0.06))
            at = end + 0.06
    boards.append((at, wall.length))
    parts = []
    for start, end in boards:
        if end - start > 0.02:
            part = box(finish, (-(end - start) / 2, 0.0, 0.0), ((end - start) / 2, 0.08, 0.012))
            parts.append(wall.placement((start + end) / 2).part(part))
    return parts


def _outer_shell(plan: Plan, palette: Palette) -> list[Part]:
    """The outside of the home: façade, roof and underside."""
    outside = inset(plan.outline, INTERIOR_WALL / 2 - plan.exterior_wall)
    openings = [opening for opening in plan.openings if -1 in opening.sides]
    top = plan.height + _SLAB
    parts = []
    for wall in _faces(outside[::-1], openings, -1):
        parts += wall_face(palette["facade"], wall, -_SLAB, top)
    parts.append(_slab(palette["slab"], outside, -_SLAB, -1))
    parts.append(_slab(palette["slab"], outside, top, 1))
    return parts


def _fill_opening(plan: Plan, palette: Palette, opening: Opening) -> Item:
    """Line an opening and put in its frame, and a pane or leaf if it leads outside."""
    room = max(opening.sides)
    depth = _depth(plan, opening)
    window = opening.kind == "window"
    lining = palette["trim"] if opening.kind in ("door", "entrance") else palette.walls[""][0]
    category = "window" if window else "door" if opening.kind != "passage" else "wall"
    threshold = palette.floors.get(plan.kinds[room], palette.floors[""])
    parts = _lining(opening, depth, lining, palette["trim"] if window else threshold)
    if window:
        return _structure(category, parts + _window(opening, depth, palette), room)
    if opening.kind == "passage":
        return _structure(category, parts, room)
    parts += [part for side in opening.sides if side >= 0 for part in _architrave(plan, opening, side, palette)]
    if opening.kind == "entrance":
        parts += _closed_leaf(opening, depth, palette)
    return _structure(category, parts, room)


def _depth(plan: Plan, opening: Opening) -> tuple[float, float]:
    """The two coordinates between which the wall around an opening lies, across it [m]."""
    low = plan.exterior_wall - INTERIOR_WALL / 2 if opening.sides[0] < 0 else INTERIOR_WALL / 2
    high = plan.exterior_wall - INTERIOR_WALL / 2 if opening.sides[1] < 0 else INTERIOR_WALL / 2
    return opening.line - low, opening.line + high


def _point(opening: Opening, along: float, y: float, across: float) -> tuple[float, float, float]:
    return (along, y, across) if opening.axis == 0 else (across, y, along)


def _lining(opening: Opening, depth: tuple[float, float], finish: Finish, bottom: Finish) -> list[Part]:
    """The four surfaces through the wall around an opening, facing into it."""
    (a, b), (low, high), (c, d) = opening.span, opening.heights, depth

    def quad(
        part_finish: Finish, corners: list[tuple[float, float, float]], facing: tuple[float, float, float]
    ) -> Part:
        points = np.array([_point(opening, *corner) for corner in corners])
        return facing_quad(part_finish, points, np.array(_point(opening, *facing)))

    return [
        quad(bottom, [(a, low, c), (b, low, c), (b, low, d), (a, low, d)], (0, 1, 0)),
        quad(finish, [(a, high, c), (b, high, c), (b, high, d), (a, high, d)], (0, -1, 0)),
        quad(finish, [(a, low, c), (a, high, c), (a, high, d), (a, low, d)], (1, 0, 0)),
        quad(finish, [(b, low, c), (b, high, c), (b, high, d), (b, low, d)], (-1, 0, 0)),
    ]


def _bar(opening: Opening, finish: Finish, low: tuple[float, float, float], high: tuple[float, float, float]) -> Part:
    """A box given along the wall, upwards and across it."""
    a, b = np.array(_point(opening, *low)), np.array(_point(opening, *high))
    return box(finish, tuple(np.minimum(a, b).tolist()), tuple(np.maximum(a, b).tolist()))


def _window(opening: Opening, depth: tuple[float, float], palette: Palette) -> list[Part]:
    """Panes that close the opening, a frame, a mullion, and a sill on the side of the room."""
    (a, b), (low, high), (c, d) = opening.span, opening.heights, depth
    middle, frame, rim = (c + d) / 2, palette["trim"], 0.055
    pane = _bar(
        opening, palette["pane"], (a - 0.01, low - 0.01, middle - 0.006), (b + 0.01, high + 0.01, middle + 0.006)
    )
    along = pane.vertices[:, opening.axis]
    uv = np.stack([(along - a) / (b - a), (pane.vertices[:, 1] - low) / (high - low)], 1)
    parts = [Part(vertices=pane.vertices, faces=pane.faces, finish=pane.finish, uv=np.clip(uv, 0.004, 0.996))]
    front, back = middle - 0.03, middle + 0.03
    bars = [(a, a + rim, low, high), (b - rim, b, low, high), (a, b, low, low + rim), (a, b, high - rim, high)]
    if b - a > 1.1:
        bars.append(((a + b) / 2 - rim / 2, (a + b) / 2 + rim / 2, low, high))
    parts += [_bar(opening, frame, (p, s, front), (q, t, back)) for p, q, s, t in bars]
    inner, away = (d, 1) if opening.sides[1] >= 0 else (c, -1)
    parts.append(_bar(opening, frame, (a - 0.03, low - 0.03, inner), (b + 0.03, low, inner + away * 0.04)))
    return parts


def _architrave(plan: Plan, opening: Opening, side: int, palette: Palette) -> list[Part]:
    """The frame around a door on one face of the wall."""
    (a, b), high, width, thickness = opening.span, opening.heights[1], 0.06, 0.012
    away = -1 if opening.sides[0] == side else 1
    face = opening.line + away * INTERIOR_WALL / 2
    bars = [(a - width, a, 0.0, high), (b, b + width, 0.0, high), (a - width, b + width, high, high + width)]
    return [_bar(opening, palette["trim"], (p, s, face), (q, t, face + away * thickness)) for p, q, s, t in bars]


def _closed_leaf(opening: Opening, depth: tuple[float, float], palette: Palette) -> list[Part]:
    (a, b), high, middle = opening.span, opening.heights[1], (depth[0] + depth[1]) / 2
    leaf = _bar(opening, palette["entrance"], (a - 0.01, 0.0, middle - 0.025), (b + 0.01, high + 0.01, middle + 0.025))
    handles = [
        _bar(opening, palette["brass"], (b - 0.16, 1.0, middle + s * 0.025), (b - 0.04, 1.03, middle + s * 0.065))
        for s in (-1, 1)
    ]
    return [leaf, *handles]


def _open_leaf(
    plan: Plan, opening: Opening, palette: Palette, rng: np.random.Generator, leaves: list[Item]
) -> Item | None:
    """The leaf of an open door, turned flat against the wall beside it; None if there is no space."""
    choices = []
    for room in opening.sides:
        for wall in room_walls(plan, room):
            for start, end, candidate in wall.openings:
                if candidate is opening:
                    choices += [(room, wall, start - 0.48), (room, wall, end + 0.48)]
    obstacles = [leaf.placement.box(leaf.piece.box) for leaf in leaves]
    fits = [(room, wall, at) for room, wall, at in choices if _leaf_fits(wall, at, room_walls(plan, room), obstacles)]
    if not fits:
        return None
    room, wall, at = fits[int(rng.integers(len(fits)))]
    placement = wall.placement(at, gap=0.05)
    hinge_left = any(abs(end - (at - 0.48)) < 1e-6 for _, end, _ in wall.openings)
    knob = 0.36 if hinge_left else -0.36
    parts = [
        box(palette["door"], (-0.42, 0.008, 0.0), (0.42, 2.03, 0.04)),
        box(palette["brass"], (knob - 0.05, 1.0, 0.04), (knob + 0.05, 1.025, 0.08)),
        box(palette["brass"], (knob - 0.05, 1.0, -0.03), (knob + 0.05, 1.025, 0.0)),
    ]
    return Item(piece=Piece("door", tuple(parts)), placement=placement, room=room)


def _leaf_fits(wall: Wall, at: float, walls: list[Wall], obstacles: list[Box]) -> bool:
    """Whether a stretch of wall has no corners or openings, and no other leaf or doorway needs the space before it."""
    low, high = at - 0.45, at + 0.45
    clear = all(end <= low + 1e-6 or start >= high - 1e-6 for start, end, _ in wall.openings)
    leaf = wall.placement(at).box((-0.43, 0.0, 0.0, 0.43, 2.03, 0.13))
    doors = (door_zone(w, a, b, 1.0) for w in walls for a, b, o in w.openings if o.kind != "window")
    free = not any(overlap(leaf, box) for box in (*obstacles, *doors))
    return low > 0.02 and high < wall.length - 0.02 and clear and free
