"""The space of a room while it is being furnished: occupied space, clearances, and walkways."""

from collections.abc import Iterator, Sequence

import numpy as np

from harken.scene.homes.outline import rectangles
from harken.scene.homes.pieces import Box, Item, Piece, Placement, overlap
from harken.scene.homes.plan import Plan
from harken.scene.homes.shell import Wall, door_zone, room_walls

__all__ = ["RoomSpace"]

_WAY = 0.35
_SKIRTING = 0.015
_DOOR_ZONE = 1.0
_WINDOW_ZONE = 0.3


class RoomSpace:
    """A room that furniture is put into.

    Furniture never touches other furniture or walls, stays out of the zones before doors, and leaves a way 0.7 m wide
    from every door to every other along the middles of the lattice's cells, where agents on a 1 m grid walk.

    Args:
        plan: The floor plan.
        room: Index of the room.
        solids: Boxes that are already there, such as leaves of doors.
        rng: Source of randomness.
    """

    def __init__(self, plan: Plan, room: int, solids: Sequence[Box], rng: np.random.Generator):
        self.plan, self.room, self.rng = plan, room, rng
        self.kind, self.height = plan.kinds[room], plan.height
        self.walls = room_walls(plan, room)
        polygon = plan.polygons[room]
        (x0, z0), (x1, z1) = polygon.min(0).tolist(), polygon.max(0).tolist()
        self.bounds: Box = (x0, -1.0, z0, x1, self.height, z1)
        self.items: list[Item] = []
        self.fixed = [*solids, *((a, -1.0, b, c, 9.0, d) for a, b, c, d in rectangles(polygon, outside=True).tolist())]
        self.solids = list(self.fixed)
        self.doors: list[Box] = []
        self.zones: list[Box] = []
        self.windows: list[tuple[Wall, float, float]] = []
        for wall in self.walls:
            for start, end, opening in wall.openings:
                if opening.kind == "window":
                    low, high = opening.heights
                    zone = ((start - end) / 2, low, 0.0, (end - start) / 2, high, _WINDOW_ZONE)
                    self.zones.append(wall.placement((start + end) / 2).box(zone))
                    self.windows.append((wall, start, end))
                else:
                    self.doors.append(door_zone(wall, start, end, _DOOR_ZONE))
        self._walk = _Walk(plan, room)

    @property
    def area(self) -> float:
        """Number of lattice cells, about the floor area [m²]."""
        return float((self.plan.cells == self.room).sum())

    @property
    def share(self) -> float:
        """Share of the floor that furniture stands on, 0–1."""
        boxes = [item.placement.box(item.piece.box) for item in self.items if item.solid]
        return sum((b[3] - b[0]) * (b[5] - b[2]) for b in boxes if b[1] < 0.02) / self.area

    def fits(self, placement: Placement, pieces: Sequence[Piece], *, front: float = 0.0, zones: bool = True) -> bool:
        """Whether a group of pieces fits at a placement.

        Args:
            placement: Where the group's frame would be.
            pieces: The group.
            front: Depth of the floor before the group that must be and stay free [m].
            zones: Whether the zones before windows and other furniture must be respected; those of doors always are.
        """
        boxes = [placement.box(piece.box) for piece in pieces]
        space = [placement.box(_front(pieces, front))] if front else []
        lower, upper = self.bounds[:3], self.bounds[3:]
        for box in boxes + space:
            if any(box[i] < lower[i] - 1e-6 or box[i + 3] > upper[i] + 1e-6 for i in range(3)):
                return False
        if any(overlap(box, solid) for box in boxes + space for solid in self.solids):
            return False
        clearances = self.doors + self.zones if zones else self.doors
        if any(overlap(box, zone) for box in boxes for zone in clearances):
            return False
        return self._walk.allows(boxes)

    def put(
        self, placement: Placement, pieces: Sequence[Piece], *, front: float = 0.0, zones: bool = True
    ) -> Placement | None:
        """Put a group of pieces somewhere if it fits (arguments as `fits`); return where, or None."""
        if not self.fits(placement, pieces, front=front, zones=zones):
            return None
        for piece in pieces:
            self.add(placement, piece)
        if front:
            self.zones.append(placement.box(_front(pieces, front)))
        return placement

    def add(self, placement: Placement, piece: Piece, *, solid: bool = True) -> None:
        """Add a piece without testing for collisions: on a sofa, in a worktop, on the floor as a rug."""
        self.items.append(Item(piece=piece, placement=placement, room=self.room, solid=solid))
        if solid:
            box = placement.box(piece.box)
            self.solids.append(box)
            self._walk.block(box)

    def against_wall(
        self,
        pieces: Sequence[Piece],
        *,
        where: str = "any",
        front: float = 0.0,
        y: float = 0.0,
        facing: int | None = None,
        tries: int = 16,
        needed: bool = False,
    ) -> Placement | None:
        """Put a group with its back to a wall.

        Args:
            pieces: The group; its back is at z = 0.
            where: "corner", "middle" or "any" place along the wall; "left" for corners on the group's left only.
            front: Depth of the floor before it that must stay free [m].
            y: Height of the group's origin [m]; pieces that hang on the wall touch it, standing pieces keep clear of
                the skirting.
            facing: Quarter turns that the group must have, if it matters.
            tries: How many random places to try.
            needed: Whether to look along all walls, every 0.1 m, if those tries fail.

        Returns:
            Where the group is, or None if no place was found.
        """
        left, right = min(piece.box[0] for piece in pieces), max(piece.box[3] for piece in pieces)
        hangs = y + min(piece.box[1] for piece in pieces) > 0.02
        gap = 0.0 if hangs else _SKIRTING
        room = right - left + 2 * _SKIRTING
        walls = [w for w in self.walls if w.length >= room and (facing is None or w.quarter == facing)]
        for wall, share in self._places(walls, where, tries, needed):
            low, high = _SKIRTING - left, wall.length - _SKIRTING - right
            placed = self.put(wall.placement(low + share * (high - low), y, gap), pieces, front=front)
            if placed is not None:
                return placed
        return None

    def _places(self, walls: list[Wall], where: str, tries: int, needed: bool) -> Iterator[tuple[Wall, float]]:
        """Walls and shares 0–1 of the way along them where a group might go."""
        for _ in range(tries if walls else 0):
            wall = walls[int(self.rng.integers(len(walls)))]
            share = float(self.rng.random())
            if where == "corner":
                share = float(share < 0.5)
            elif where == "left":
                share = 0.0
            elif where == "middle":
                share = 0.5 + 0.3 * (share - 0.5)
            yield wall, share
        for wall in walls if needed else ():
            for share in (0.0,) if where == "left" else np.linspace(0, 1, int(wall.length * 10)).tolist():
                yield wall, share

    def in_the_open(self, pieces: Sequence[Piece], *, tries: int = 16) -> Placement | None:
        """Put a group somewhere off the walls, turned at random."""
        for _ in range(tries):
            x, z = (float(self.rng.uniform(self.bounds[i] + 0.5, self.bounds[i + 3] - 0.5)) for i in (0, 2))
            placed = self.put(Placement(x=x, z=z, quarter=int(self.rng.integers(4))), pieces)
            if placed is not None:
                return placed
        return None

    def on_top(self, host: Piece, placement: Placement, piece: Piece, *, tries: int = 3) -> Placement | None:
        """Put a piece on top of another, somewhere along its width."""
        x0, _, z0, x1, top, z1 = host.box
        left, _, near, right, _, far = piece.box
        low, high = x0 - left + 0.03, x1 - right - 0.03
        z = (z0 + z1) / 2 - (near + far) / 2
        for _ in range(tries if high > low else 0):
            at = placement.moved(low + float(self.rng.random()) * (high - low), top, z)
            if self.put(at, [piece], zones=False) is not None:
                return at
        return None


def _front(pieces: Sequence[Piece], depth: float) -> Box:
    """The free floor before a group."""
    left, right = min(piece.box[0] for piece in pieces), max(piece.box[3] for piece in pieces)
    edge = max(piece.box[5] for piece in pieces)
    return (left, 0.02, edge, right, 1.2, edge + depth)


class _Walk:
    """The ways along the middles of a room's cells, and which of them furniture has blocked."""

    def __init__(self, plan: Plan, room: int):
        cells = np.argwhere(plan.cells == room)
        index = {cell: i for i, cell in enumerate(map(tuple, cells.tolist()))}
        self._centers = cells + np.array(plan.origin) + 0.5
        pairs = [
            (i, index[x + dx, z + dz])
            for (x, z), i in index.items()
            for dx, dz in ((1, 0), (0, 1))
            if (x + dx, z + dz) in index
        ]
        self._pairs = np.array(pairs).reshape(-1, 2)
        ends = self._centers[self._pairs]
        self._low, self._high = ends.min(1), ends.max(1)
        self._free_nodes = np.ones(len(cells), bool)
        self._free_pairs = np.ones(len(pairs), bool)
        self._doors = []
        for opening in plan.room_openings(room):
            if opening.kind != "window":
                side = -0.5 if opening.sides[0] == room else 0.5
                point = (
                    (opening.center, opening.line + side)
                    if opening.axis == 0
                    else (opening.line + side, opening.center)
                )
                self._doors.append(int(np.abs(self._centers - np.array(point)).sum(1).argmin()))
        self._least = max(1, int(0.34 * len(cells)))

    def allows(self, boxes: Sequence[Box]) -> bool:
        """Whether all doors stay connected, and enough of the room, if these boxes are put in."""
        nodes, pairs = self._free_nodes.copy(), self._free_pairs.copy()
        touched = False
        for box in boxes:
            touched |= self._remove(box, nodes, pairs)
        return not touched or self._connected(nodes, pairs)

    def block(self, box: Box) -> None:
        """Remove the nodes and links that a box blocks."""
        self._remove(box, self._free_nodes, self._free_pairs)

    def _remove(self, box: Box, nodes: np.ndarray, pairs: np.ndarray) -> bool:
        if box[1] > 1.6 or box[4] < 0.05:
            return False
        low, high = np.array([box[0], box[2]]) - _WAY, np.array([box[3], box[5]]) + _WAY
        hit_nodes = ((self._centers > low) & (self._centers < high)).all(1)
        hit_pairs = ((self._high > low) & (self._low < high)).all(1)
        nodes &= ~hit_nodes
        pairs &= ~hit_pairs
        return bool(hit_nodes.any() or hit_pairs.any())

    def _connected(self, nodes: np.ndarray, pairs: np.ndarray) -> bool:
        neighbours: dict[int, list[int]] = {}
        for a, b in self._pairs[pairs].tolist():
            neighbours.setdefault(a, []).append(b)
            neighbours.setdefault(b, []).append(a)
        start = self._doors[0] if self._doors else int(nodes.argmax())
        component, stack = {start}, [start]
        while stack:
            for neighbour in neighbours.get(stack.pop(), ()):
                if neighbour not in component:
                    component.add(neighbour)
                    stack.append(neighbour)
        return bool(nodes[start]) and len(component) >= self._least and all(door in component for door in self._doors)
