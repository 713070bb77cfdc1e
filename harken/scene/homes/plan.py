"""Floor plans: which cells of the 1 m lattice belong to which room, and where the doors and windows are."""

from dataclasses import dataclass

import numpy as np

from harken.errors import ConfigurationError
from harken.scene.homes.config import HomeConfig
from harken.scene.homes.layout import draw_cells, draw_kinds
from harken.scene.homes.outline import clear_area, inset, trace

__all__ = ["DOOR_HEIGHT", "DOOR_WIDTH", "INTERIOR_WALL", "Opening", "Plan", "draw_plan"]

INTERIOR_WALL = 0.10
"""Thickness of the walls between rooms [m]."""
DOOR_WIDTH = 0.9
"""Clear width of a door opening [m]."""
DOOR_HEIGHT = 2.05
"""Clear height of a door opening [m]."""

_HABITABLE = ("living_room", "kitchen", "dining_room", "bedroom", "office", "gym")
_OPEN_PLAN = {"living_room", "kitchen", "dining_room"}


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A rectangular hole in a wall."""

    kind: str
    """One of "door", "passage" (wide, without a door), "window" and "entrance" (a closed door to the outside)."""
    axis: int
    """Axis along which the wall runs: 0 for x, 1 for z."""
    line: int
    """Coordinate of the wall's line on the other axis [m]."""
    span: tuple[float, float]
    """Start and end along the wall [m]."""
    heights: tuple[float, float]
    """Lower and upper edge [m]."""
    sides: tuple[int, int]
    """Rooms on the side of lesser and greater coordinates; -1 is outside."""

    @property
    def center(self) -> float:
        """Middle along the wall [m]."""
        return round(0.5 * (self.span[0] + self.span[1]), 3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Plan:
    """The floor plan of a home."""

    cells: np.ndarray
    """``(nx, nz)`` int8: room of each cell of the lattice, -1 outside."""
    origin: tuple[int, int]
    """World x and z of the least corner of cell (0, 0) [m]."""
    kinds: tuple[str, ...]
    """Kind of each room."""
    polygons: tuple[np.ndarray, ...]
    """``(n, 2)`` clear outline of each room between its walls in x and z [m], the inside on the left of each edge."""
    outline: np.ndarray
    """``(n, 2)`` outline of the whole home on the lattice [m]."""
    openings: tuple[Opening, ...]
    """Doors, passages and windows."""
    height: float
    """Height of the rooms [m]."""
    exterior_wall: float
    """Thickness of the outer walls [m]; their inner face lies where that of an interior wall would."""

    def room_openings(self, room: int) -> list[Opening]:
        """Return the openings in a room's walls."""
        return [opening for opening in self.openings if room in opening.sides]


Edge = tuple[int, int, int, int, int]
"""One metre of wall: axis, line, position along it, and the rooms on the lesser and greater side (cell coordinates)."""


def draw_plan(rng: np.random.Generator, config: HomeConfig) -> Plan:
    """Draw a floor plan.

    Args:
        rng: Source of randomness.
        config: Limits.

    Returns:
        A plan whose rooms are all reachable from each other through doors.

    Raises:
        ConfigurationError: No plan within the limits was found.
    """
    for _ in range(600):
        count = int(rng.integers(config.rooms[0], config.rooms[1] + 1))
        kinds = draw_kinds(rng, count)
        cells = draw_cells(rng, kinds)
        if cells is None:
            continue
        plan = _complete(rng, config, kinds, cells)
        if plan is not None:
            return plan
    raise ConfigurationError(
        f"No home with {config.rooms[0]}–{config.rooms[1]} rooms and {config.area[0]:g}–{config.area[1]:g} m² was "
        "found. Expected 9–20 m² per room on average: widen HomeConfig.area or change HomeConfig.rooms."
    )


def _complete(rng: np.random.Generator, config: HomeConfig, kinds: list[str], cells: np.ndarray) -> Plan | None:
    """Add outlines, doors and windows to a division into rooms; None if it breaks a limit."""
    origin = (-(cells.shape[0] // 2), -(cells.shape[1] // 2))
    outlines = [trace(cells == room) for room in range(len(kinds))]
    outline = trace(cells >= 0)
    if outline is None or any(polygon is None for polygon in outlines):
        return None
    polygons = [inset(polygon + np.array(origin), INTERIOR_WALL / 2) for polygon in outlines if polygon is not None]
    if not config.area[0] <= sum(map(clear_area, polygons)) <= config.area[1]:
        return None
    edges = _wall_edges(cells)
    doors = _draw_doors(rng, kinds, edges)
    entrance = _draw_entrance(rng, kinds, edges)
    if doors is None or entrance is None:
        return None
    height = round(float(rng.uniform(*config.ceiling)), 2)
    openings = [*doors, entrance]
    openings += _draw_windows(rng, kinds, edges, entrance, height)
    return Plan(
        cells=cells,
        origin=origin,
        kinds=tuple(kinds),
        polygons=tuple(polygons),
        outline=outline + np.array(origin),
        openings=tuple(_moved(opening, origin) for opening in openings),
        height=height,
        exterior_wall=round(float(rng.uniform(0.2, 0.3)), 2),
    )


def _moved(opening: Opening, origin: tuple[int, int]) -> Opening:
    """Return an opening in world coordinates."""
    along, across = origin[opening.axis], origin[1 - opening.axis]
    return Opening(
        kind=opening.kind,
        axis=opening.axis,
        line=opening.line + across,
        span=(round(opening.span[0] + along, 3), round(opening.span[1] + along, 3)),
        heights=opening.heights,
        sides=opening.sides,
    )


def _wall_edges(cells: np.ndarray) -> list[Edge]:
    """Every metre of wall between two rooms or a room and the outside."""
    padded = np.pad(cells, 1, constant_values=-1)
    edges: list[Edge] = []
    for axis, grid in ((0, padded), (1, padded.T)):
        low, high = grid[:, :-1], grid[:, 1:]
        for i, k in np.argwhere(low != high).tolist():
            edges.append((axis, k, i - 1, int(low[i, k]), int(high[i, k])))
    return edges


def _runs(edges: list[Edge], a: int, b: int) -> list[list[Edge]]:
    """Straight stretches of the wall between two rooms."""
    shared = sorted(edge for edge in edges if {edge[3], edge[4]} == {a, b})
    runs: list[list[Edge]] = []
    for edge in shared:
        last = runs[-1][-1] if runs else None
        if last is not None and last[:2] == edge[:2] and last[2] + 1 == edge[2] and last[3:] == edge[3:]:
            runs[-1].append(edge)
        else:
            runs.append([edge])
    return runs


def _draw_doors(rng: np.random.Generator, kinds: list[str], edges: list[Edge]) -> list[Opening] | None:
    """Connect every room to the hub (the hall, or else the living room), and open some walls between day rooms."""
    hub = 0
    doors: list[Opening] = []
    for room in range(1, len(kinds)):
        host = _bedroom_of(rng, kinds, edges, room) if kinds[room] == "bathroom" else hub
        wide = kinds[room] in _OPEN_PLAN and rng.random() < 0.45
        door = _door(rng, _runs(edges, host, room), wide)
        if door is None:
            return None
        doors.append(door)
    for a in range(1, len(kinds)):
        for b in range(a + 1, len(kinds)):
            if {kinds[a], kinds[b]} <= _OPEN_PLAN and rng.random() < 0.7:
                door = _door(rng, _runs(edges, a, b), bool(rng.random() < 0.7))
                doors += [door] if door is not None else []
    return doors


def _bedroom_of(rng: np.random.Generator, kinds: list[str], edges: list[Edge], room: int) -> int:
    """The bedroom that a second bathroom opens to, or the hub."""
    if kinds.index("bathroom") == room or rng.random() < 0.4:
        return 0
    near = [bedroom for bedroom, kind in enumerate(kinds) if kind == "bedroom" and _runs(edges, bedroom, room)]
    return near[0] if near else 0


def _door(rng: np.random.Generator, runs: list[list[Edge]], wide: bool) -> Opening | None:
    """A door, or a wide passage, somewhere in the wall between two rooms."""
    if not runs:
        return None
    run = max(runs, key=len)
    axis, line, first, low, high = run[0]
    if wide and len(run) >= 3:
        width = min(len(run) - 1, 3)
        start = first + (len(run) - width) / 2
        if (start + width / 2) % 1 == 0:
            width -= 1
        return Opening(
            kind="passage", axis=axis, line=line, span=(start, start + width), heights=(0.0, 2.2), sides=(low, high)
        )
    ends = [run[0], run[-1]]
    edge = ends[rng.integers(2)] if rng.random() < 0.75 else run[rng.integers(len(run))]
    start = edge[2] + 0.5 - DOOR_WIDTH / 2
    span = (start, start + DOOR_WIDTH)
    return Opening(kind="door", axis=axis, line=line, span=span, heights=(0.0, DOOR_HEIGHT), sides=(low, high))


def _draw_entrance(rng: np.random.Generator, kinds: list[str], edges: list[Edge]) -> Opening | None:
    """The closed door to the outside, in the hub where it has an outer wall, else in another day room."""
    for room in [0, *(i for i, kind in enumerate(kinds) if kind in _OPEN_PLAN)]:
        runs = _runs(edges, room, -1)
        if runs:
            run = min(runs, key=len) if kinds[room] == "hall" else runs[rng.integers(len(runs))]
            edge = run[rng.integers(len(run))]
            start = edge[2] + 0.5 - DOOR_WIDTH / 2
            return Opening(
                kind="entrance",
                axis=edge[0],
                line=edge[1],
                span=(start, start + DOOR_WIDTH),
                heights=(0.0, DOOR_HEIGHT),
                sides=(edge[3], edge[4]),
            )
    return None


def _draw_windows(
    rng: np.random.Generator, kinds: list[str], edges: list[Edge], entrance: Opening, height: float
) -> list[Opening]:
    """Windows in the outer walls; a habitable room gets at least one."""
    windows: list[Opening] = []
    for room, kind in enumerate(kinds):
        runs = sorted(_runs(edges, room, -1), key=len, reverse=True)
        for index, run in enumerate(runs):
            chance = 1.0 if index == 0 and kind in _HABITABLE else {"hall": 0.2, "laundry_room": 0.4}.get(kind, 0.6)
            window = _window(rng, kind, run, height)
            if rng.random() < chance and not _collide(window, entrance):
                windows.append(window)
    return windows


def _window(rng: np.random.Generator, kind: str, run: list[Edge], height: float) -> Opening:
    axis, line, first, low, high = run[0]
    small = kind in ("bathroom", "laundry_room", "hall") or len(run) < 2
    width = min(float(rng.choice([0.6, 0.7]) if small else rng.choice([1.0, 1.2, 1.4, 1.8, 2.2])), len(run) - 0.4)
    middle = first + len(run) / 2
    bottom = 1.35 if small else 1.05 if kind == "kitchen" else float(rng.choice([0.9, 0.9, 0.95, 0.35]))
    top = min(height - 0.2, 2.15)
    return Opening(
        kind="window",
        axis=axis,
        line=line,
        span=(middle - width / 2, middle + width / 2),
        heights=(bottom, top),
        sides=(low, high),
    )


def _collide(a: Opening, b: Opening) -> bool:
    """Whether two openings would share a piece of wall."""
    same_wall = (a.axis, a.line) == (b.axis, b.line)
    return same_wall and a.span[0] < b.span[1] + 0.2 and b.span[0] < a.span[1] + 0.2
