"""The walkable floor of any mesh: where a body can stand, how it moves, and distances over the floor."""

import hashlib
import logging
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from harken.errors import ConfigurationError, NavigationError
from harken.prepared import prepared_folder
from harken.raytracing import kernel
from harken.scene.floor.geodesic import DistanceField, Path, Point, coordinates, figure_text, point_text, propagate
from harken.scene.floor.grid import (
    COLUMN,
    CORNER,
    EAST,
    SOUTH,
    TOLERANCE,
    FloorGrid,
    locate,
    margin_at,
    move_on_floor,
    moves_on_floor,
    owner_of,
    slide,
    surface_height,
)
from harken.scene.floor.islands import Island, Storey, build_grid, find_islands, find_parts, find_storeys, quad_areas
from harken.scene.floor.lengths import LEVEL, averaged_heights, surface_length
from harken.scene.floor.rooms import BY_FRONTS, find_rooms
from harken.scene.scene import Scene

__all__ = ["Body", "Island", "IslandKind", "Storey", "WalkableFloor"]

_log = logging.getLogger("harken")

_MOST_COLUMNS, _LIMIT_COLUMNS = 2_500_000, 40_000_000
_LEAST_AREA, _LEAST_PIECE = 1.0, 0.5
_FIELD_BYTES = 128 * 2**20
_MOST_FIELDS = 64
_FARTHEST = 1e9

IslandKind = Literal["floor", "top", "outside"]
"""Kind of an island, see `WalkableFloor.kinds`."""

_KINDS: dict[IslandKind, str] = {
    "floor": "",
    "top": "tops of furniture and gaps beside it",
    "outside": "roofs, grounds under the open sky or insides of solids",
}

# Environments in several threads share a floor. Locked during access to the table of fields, not while computing one.
_fields_lock = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Body:
    """The upright cylinder that walks."""

    radius: float = 0.2
    """Radius [m], 0.05–0.5."""
    height: float = 1.5
    """Height [m], 0.2–3."""
    step: float = 0.2
    """Greatest step up or down [m], 0.02–0.5 and less than half the height."""

    def __post_init__(self) -> None:
        """Check the measures."""
        for name, least, most in (("radius", 0.05, 0.5), ("height", 0.2, 3.0), ("step", 0.02, 0.5)):
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigurationError(f"Body.{name} is {value!r} m; expected {least:g} to {most:g} m.")
        if self.step >= 0.5 * self.height:
            raise ConfigurationError(
                f"Body.step is {self.step:g} m with a height of {self.height:g} m; expected less than half the height."
            )


@kernel
def _floor_height(grid, x, y, z):
    """Quad, margin and height under a point; quad -1 off the floor."""
    quad, u, v = locate(grid, x, y, z)
    if quad < 0:
        return -1, -np.inf, y
    return quad, margin_at(grid, quad, u, v), surface_height(grid, quad, u, v)


@kernel
def _nearest(grid, island, target, x, y, z, reach):
    """Walkable node nearest to a point, and its distance: -1 and inf where none is within `reach` of it."""
    # Bounded before the conversion to indices, which is undefined for floats beyond the range of integers, and before
    # squaring, which could overflow.
    most = 1e3 * _FARTHEST
    x, y, z = min(max(x, -most), most), min(max(y, -most), most), min(max(z, -most), most)
    cells = int(min(np.ceil(reach / grid.cell), 2.0 * _FARTHEST))
    i = int(np.floor(min(max((x - grid.x0) / grid.cell, -_FARTHEST), _FARTHEST)))
    j = int(np.floor(min(max((z - grid.z0) / grid.cell, -_FARTHEST), _FARTHEST)))
    best, nearest = np.inf, -1
    for row in range(max(j - cells, 0), min(j + cells + 2, grid.nz)):
        for line in range(max(i - cells, 0), min(i + cells + 2, grid.nx)):
            column = row * grid.nx + line
            for n in range(grid.columns[column], grid.columns[column + 1]):
                if island[n] < 0 or (target >= 0 and island[n] != target):
                    continue
                dx, dz = grid.x0 + line * grid.cell - x, grid.z0 + row * grid.cell - z
                distance = np.sqrt(dx * dx + dz * dz + (grid.y0 + grid.value[n, 1] - y) ** 2)
                if distance < best:
                    best, nearest = distance, n
    return nearest, best


@kernel
def _approach(grid, node, x, z):
    """Walk from a node straight towards a point as far as the floor allows."""
    column = grid.node[node, COLUMN]
    u, v = float(column % grid.nx), float(column // grid.nx)
    du, dv = (x - grid.x0) / grid.cell - u, (z - grid.z0) / grid.cell - v
    quad, u, v = slide(grid, node, u, v, du, dv)
    return grid.x0 + u * grid.cell, surface_height(grid, quad, u, v), grid.z0 + v * grid.cell


def _default_cell(scene: Scene, radius: float) -> float:
    """A quarter of the radius, larger for scenes that would need too much memory."""
    lower, upper = scene.bounds
    usual = float(np.clip(radius / 4.0, 0.02, 0.1))
    bounded = float(np.sqrt((upper[0] - lower[0]) * (upper[2] - lower[2]) / _MOST_COLUMNS))
    cell = min(max(usual, bounded), radius / 2.0)
    if cell > usual:
        _log.warning(
            "%s is %.0f × %.0f m: its floor is sampled every %.3f m and not every %.3f m. "
            "Pass `cell` to WalkableFloor.build for another spacing.",
            scene.name, upper[0] - lower[0], upper[2] - lower[2], cell, usual,
        )  # fmt: skip
    return cell


def _extent(scene: Scene) -> str:
    """The box of a scene in words."""
    lower, upper = scene.bounds
    return ", ".join(f"{axis} {a:.1f}…{b:.1f} m" for axis, a, b in zip("xyz", lower, upper, strict=True))


def _check_extent(scene: Scene, cell: float) -> None:
    lower, upper = scene.bounds
    columns = float(upper[0] - lower[0]) * float(upper[2] - lower[2]) / cell**2
    if columns > _LIMIT_COLUMNS:
        raise NavigationError(
            f"{scene.name} spans {_extent(scene)}: sampled every {cell:g} m that is {columns / 1e6:.0f} million "
            f"columns; expected {_LIMIT_COLUMNS / 1e6:.0f} million at most. Check that its unit is the metre, or cut "
            "it into parts."
        )


class WalkableFloor:
    """Where a body can stand in a scene; made by `WalkableFloor.build`.

    A point of the floor is the middle of the body at floor height. Points given to the methods may lie up to half a
    metre above or below it. Along straight walls the floor ends within 2 mm of the radius, at the edge of a drop
    within half a cell of it; an inner corner is cut off by a third of a cell, and a passage less than
    a cell wider than the body may be taken for closed.
    """

    def __init__(
        self,
        *,
        grid: FloorGrid,
        islands: tuple[Island, ...],
        node_island: np.ndarray,
        areas: np.ndarray,
        body: Body,
        name: str,
        remark: str = BY_FRONTS,
    ):
        self.grid, self.body, self.name, self.remark = grid, body, name, remark
        self.islands, self.node_island, self._areas = islands, node_island, areas
        self._fields: OrderedDict[bytes, DistanceField] = OrderedDict()

    islands: tuple[Island, ...]
    """The connected parts of the floor, sorted by covered area and then by other area, so that roofs, the ground
    outside and the inside of solids come after rooms."""
    node_island: np.ndarray
    """``(N,)`` int32: island of each node of `grid`, -1 for nodes where the body does not fit."""
    remark: str
    """Description of how rooms were distinguished from the inside of solids."""

    @staticmethod
    def build(scene: Scene, body: Body | None = None, *, cell: float | None = None) -> "WalkableFloor":
        """Find the floor of a scene from its triangles alone.

        Floor is what slopes by 45° at most, has room for the body above it and keeps the body's radius from obstacles
        and edges. The winding of triangles and doubled surfaces do not matter.

        Args:
            scene: The world.
            body: Who walks; by default `Body()`.
            cell: Spacing of the samples [m], at most half the body's radius. By default a quarter of it, and larger
                (with a line in the log) where the scene would need more than 2.5 million columns.

        Raises:
            NavigationError: There is no floor, or less than 1 m², or the scene is too large to sample at this spacing.
            ConfigurationError: `cell` is out of range.
        """
        body = Body() if body is None else body
        if cell is None:
            cell = _default_cell(scene, body.radius)
        elif not 0.005 <= cell <= body.radius / 2.0:
            raise ConfigurationError(
                f"cell is {cell!r} m; expected 0.005 m to half the body's radius, {body.radius / 2.0:g} m."
            )
        _check_extent(scene, cell)
        local = scene.local
        triangles = local.vertices[local.faces].astype(np.float64)
        grid, facing = build_grid(triangles, cell=cell, radius=body.radius, room=body.height, step=body.step)
        areas, parts = quad_areas(grid), find_parts(grid)
        covered, remark = find_rooms(local, grid, parts, facing, areas, body.height)
        islands, node_island = find_islands(grid, parts, covered, areas)
        if scene.is_far:
            x, y, z = scene.origin.tolist()
            grid = grid._replace(x0=grid.x0 + x, y0=y, z0=grid.z0 + z)
            islands = tuple(replace(island, lower=island.lower + y, upper=island.upper + y) for island in islands)
        floor = WalkableFloor(
            grid=grid, islands=islands, node_island=node_island, areas=areas, body=body, name=scene.name, remark=remark
        )
        if not floor.islands or floor.islands[0].area < _LEAST_AREA:
            extent = f"only {floor.islands[0].area:.2f} m² of" if floor.islands else "no"
            raise NavigationError(
                f"{scene.name}: {extent} floor for a body {body.height:g} m high with a radius of {body.radius:g} m; "
                f"expected at least {_LEAST_AREA:g} m² in one piece. The scene spans {_extent(scene)}: "
                "check that its unit is the metre and that y points up, or make the body smaller."
            )
        return floor

    def __repr__(self) -> str:
        """Describe scene, area and islands."""
        return (
            f"<WalkableFloor of {self.name!r}: {self.area:.1f} m² for a body {self.body.height:g} m high with a radius "
            f"of {self.body.radius:g} m, {len(self.islands)} islands, sampled every {self.cell:g} m>"
        )

    def __getstate__(self) -> dict[str, Any]:
        """Leave out distance fields: they are computed again when needed."""
        return {
            **{name: value for name, value in self.__dict__.items() if name != "_averaged_heights"},
            "_fields": OrderedDict(),
        }

    @property
    def _is_far(self) -> bool:
        """Whether single precision is too coarse for the floor's coordinates."""
        return max(abs(self.grid.x0), abs(self.grid.y0), abs(self.grid.z0)) > 1024.0

    @property
    def cell(self) -> float:
        """Spacing of the samples [m]."""
        return self.grid.cell

    @property
    def area(self) -> float:
        """Area of the first island, on which `random_point` draws [m²]."""
        return self.islands[0].area

    @cached_property
    def storeys(self) -> tuple[Storey, ...]:
        """Levels of the floor from the lowest to the highest, without what lies under the open sky above others."""
        usable = np.array([k == 0 or island.covered > 0.5 for k, island in enumerate(self.islands)])
        nodes = np.flatnonzero(self.node_island >= 0)
        nodes = nodes[usable[self.node_island[nodes]]]
        levels = find_storeys(self.grid.value[nodes, 1], self._areas[nodes], self.body.height)
        return tuple(replace(storey, height=storey.height + self.grid.y0) for storey in levels)

    @cached_property
    def kinds(self) -> tuple[IslandKind, ...]:
        """The kind of each of `islands`, from the point of view of bodies on the main storeys.

        "floor" lies at the height of a main storey (one with a tenth of the largest one's area or more), within a step;
        "top" is the top of furniture or a gap of less than half a square metre, which no body can reach; "outside" is a
        roof or ground under the open sky, or the inside of a solid. The first island is always floor.
        """
        most = max((storey.area for storey in self.storeys), default=0.0)
        main = [storey.height for storey in self.storeys if storey.area >= 0.1 * most]

        def kind(k: int, island: Island) -> IslandKind:
            if k and island.covered <= 0.5:
                return "outside"
            low, high = island.lower - self.body.step, island.upper + self.body.step
            is_level = island.area >= _LEAST_PIECE and any(low <= height <= high for height in main)
            return "floor" if k == 0 or is_level else "top"

        return tuple(kind(k, island) for k, island in enumerate(self.islands))

    def describe(self) -> str:
        """Return a summary of the floor, storey by storey, as lines of text.

        Tops of furniture, roofs and the insides of solids are listed separately, since no body can reach them.
        """
        apart = {kind: [i for i, k in zip(self.islands, self.kinds, strict=True) if k == kind] for kind in _KINDS}
        floors = apart["floor"]
        lines = [f"{self.area:.1f} m² in one piece, {sum(i.area for i in floors):.1f} m² in {len(floors)} pieces:"]
        lines += [f"  {i.area:8.1f} m² at {i.lower:.2f} to {i.upper:.2f} m" for i in floors[:5]]
        if len(floors) > 5:
            lines.append(f"  and {len(floors) - 5} smaller ones")
        lines += [
            f"not counted: {len(apart[kind])} {words} ({sum(i.area for i in apart[kind]):.1f} m²)"
            for kind, words in _KINDS.items()
            if words and apart[kind]
        ]
        levels = ", ".join(f"{storey.height:.2f} m ({storey.area:.0f} m²)" for storey in self.storeys)
        return "\n".join([*lines, f"storeys at {levels}" if levels else "no storeys", self.remark])

    @cached_property
    def cells(self) -> np.ndarray:
        """``(N, 3)`` points of the first island, one for each square of side `cell`, such as plans need [m].

        They are float32, and float64 in scenes that are far from the origin.
        """
        return self._positions(np.flatnonzero(self.node_island == 0))

    def _positions(self, nodes: np.ndarray) -> np.ndarray:
        column = self.grid.node[nodes, COLUMN]
        x = self.grid.x0 + column % self.grid.nx * self.cell
        z = self.grid.z0 + column // self.grid.nx * self.cell
        places = np.stack([x, self.grid.y0 + self.grid.value[nodes, 1], z], 1)
        return places if self._is_far else places.astype(np.float32)

    def is_walkable(self, point: Point) -> bool:
        """Tell whether the body can stand at a point ``(3,)``, to within a millimetre; NaN is nowhere."""
        x, y, z = coordinates(point)
        return bool(_floor_height(self.grid, x, y, z)[1] >= -TOLERANCE)

    def _quad(self, point: Point) -> int:
        x, y, z = coordinates(point)
        quad, margin, _ = _floor_height(self.grid, x, y, z)
        if margin >= -TOLERANCE:
            return int(quad)
        if not np.isfinite([x, y, z]).all():
            raise NavigationError(
                f"The point {point_text(point)} is not a place: expected three finite coordinates [m]."
            )
        raise NavigationError(
            f"The point {point_text(point)} is not on the floor of {self.name}; the nearest that is lies "
            f"{figure_text(self._distance_to_floor(x, y, z))} m away. Use WalkableFloor.snap to go there."
        )

    def _distance_to_floor(self, x: float, y: float, z: float, island: int = -1) -> float:
        reach = 2.0
        node, away = _nearest(self.grid, self.node_island, island, x, y, z, reach)
        while away > reach and reach < 4.0 * _FARTHEST:  # not the whole floor at once: tasks ask for many places
            reach *= 4.0
            node, away = _nearest(self.grid, self.node_island, island, x, y, z, reach)
        return math.dist(self._positions(np.array([node]))[0], (x, y, z))

    def snap(self, point: Point, *, reach: float = 1.0, island: int | None = None) -> np.ndarray:
        """Return the walkable point nearest to a point.

        Args:
            point: ``(3,)`` [m].
            reach: Greatest distance [m], height included.
            island: Index into `islands` to stay on; by default any island, including the top of a large table.

        Returns:
            ``(3,)`` float64 at floor height.

        Raises:
            NavigationError: Nothing is within reach, or the point is not finite. The message holds the distance.
        """
        x, y, z = coordinates(point)
        if not np.isfinite([x, y, z]).all():
            raise NavigationError(
                f"The point {point_text(point)} is not a place: expected three finite coordinates [m]."
            )
        target = -1 if island is None else self._island_index(island)
        quad, margin, height = _floor_height(self.grid, x, y, z)
        if margin >= 0.0 and abs(height - y) <= reach and target in (-1, self._owner(quad)):
            return np.array([x, height, z])
        # Nodes lie up to a cell inside the edge: look that much further, then walk back towards the point.
        node, _ = _nearest(self.grid, self.node_island, target, x, y, z, reach + 1.5 * self.cell)
        place = np.array(_approach(self.grid, node, x, z)) if node >= 0 else np.full(3, np.inf)
        if not math.dist(place, (x, y, z)) <= reach:
            raise NavigationError(
                f"No floor within {reach:g} m of the point {point_text(point)} in {self.name}; the nearest is "
                f"{figure_text(self._distance_to_floor(x, y, z, target))} m away. Choose another point or a larger "
                "reach."
            )
        return place

    def _owner(self, quad: int) -> int:
        """Island of a quad that has walkable points."""
        return int(owner_of(self.grid, self.node_island, quad))

    def _island_index(self, island: int) -> int:
        if not 0 <= island < len(self.islands):
            raise NavigationError(f"Island {island} does not exist; {self.name} has islands 0…{len(self.islands) - 1}.")
        return int(island)

    def island(self, point: Point) -> int:
        """Return the index into `islands` of the part of the floor that a point ``(3,)`` is on.

        Raises:
            NavigationError: The point is not on the floor.
        """
        return self._owner(self._quad(point))

    def random_point(self, rng: np.random.Generator, *, island: int | None = None) -> np.ndarray:
        """Draw a point ``(3,)`` float64 of an island, uniformly over its area; by default of the first.

        Raises:
            NavigationError: There is no such island.
        """
        quads, shares = self._drawable(self._island_index(0 if island is None else island))
        quad = quads[np.searchsorted(shares, rng.random() * shares[-1], side="right")]
        column = int(self.grid.node[quad, COLUMN])
        while True:
            u, v = rng.random(2) + (column % self.grid.nx, column // self.grid.nx)
            if margin_at(self.grid, quad, u, v) >= 0.0:
                height = surface_height(self.grid, quad, u, v)
                return np.array([self.grid.x0 + u * self.cell, height, self.grid.z0 + v * self.cell])

    def _drawable(self, island: int) -> tuple[np.ndarray, np.ndarray]:
        """Quads of an island that have area, and the running sum of their areas."""
        drawable = self.__dict__.setdefault("_drawables", {})
        if island not in drawable:
            node, nodes = self.grid.node, np.flatnonzero(self._areas > 0)
            corners = np.stack([nodes, node[nodes, EAST], node[nodes, SOUTH], node[nodes, CORNER]], 1)
            quads = nodes[self.node_island[corners].max(1) == island]
            drawable[island] = (quads, np.cumsum(self._areas[quads], dtype=np.float64))
        return drawable[island]

    def move(self, start: Point, displacement: Point) -> tuple[np.ndarray, bool]:
        """Move the body, sliding along what is in the way; it stays on the floor and follows its height.

        Args:
            start: ``(3,)`` on the floor [m].
            displacement: ``(3,)`` [m]; its y does not matter. A walk ends after twice the width and depth of the floor.

        Returns:
            The end ``(3,)`` float64, and whether something was in the way (the body ends more than a millimetre from
            where it was to go).

        Raises:
            NavigationError: The start is not on the floor, or the displacement is not finite.
        """
        dx, _, dz = coordinates(displacement)
        farthest = max(abs(dx), abs(dz))
        if _FARTHEST < farthest < math.inf:  # its square could overflow
            dx, dz = dx * (_FARTHEST / farthest), dz * (_FARTHEST / farthest)
        quad, x, y, z, collided = move_on_floor(self.grid, self.node_island, *coordinates(start), dx, dz)
        if quad < 0:
            self._quad(start)
            raise NavigationError(f"The displacement {point_text(displacement)} is not finite: expected metres.")
        return np.array([x, y, z]), collided

    def moves(self, start: Point, displacements: Sequence[Point] | np.ndarray) -> np.ndarray:
        """Return where the body ends ``(n, 3)`` that starts at one point with different displacements; see `move`."""
        begin, ends = coordinates(start), np.empty((len(displacements), 3))
        is_array = isinstance(displacements, np.ndarray) and displacements.shape[1:] == (3,)
        ways = np.array(displacements if is_array else list(map(coordinates, displacements)), np.float64).reshape(-1, 3)
        farthest = np.abs(ways).max(1, keepdims=True, initial=0.0)
        ways *= np.where((farthest > _FARTHEST) & np.isfinite(farthest), _FARTHEST / np.maximum(farthest, 1.0), 1.0)
        failed = moves_on_floor(self.grid, self.node_island, *begin, ways, ends)
        if failed >= 0:
            self._quad(start)
            raise NavigationError(
                f"The displacement {point_text(displacements[failed])} is not finite: expected metres."
            )
        return ends

    def _climbs(self, island: int) -> bool:
        return self.islands[island].upper - self.islands[island].lower > LEVEL

    @cached_property
    def _is_level(self) -> bool:
        return not any(self._climbs(k) for k in range(len(self.islands)))

    @cached_property
    def _digest(self) -> str:
        """Hexadecimal digest of the grid, which determines all distances."""
        parts = [part.tobytes() if isinstance(part, np.ndarray) else repr(part).encode() for part in self.grid]
        return hashlib.sha256(b";".join(parts)).hexdigest()

    @cached_property
    def _averaged_heights(self) -> np.ndarray:
        return averaged_heights(self.grid)

    def length(self, start: Point, end: Point) -> float:
        """Return the length of a straight way between two points ``(3,)`` of the floor [m].

        It is measured like distances, so that the steps along a shortest way add up to its length: on an island whose
        heights differ by no more than half a metre it is the straight distance, on one that climbs it is the length
        along the surface, stairs taken as the slope over their edges.

        Raises:
            NavigationError: A point is not three finite numbers, or the start is not on the floor.
        """
        a, b = coordinates(start), coordinates(end)
        if self._is_level or not self._climbs(self._owner(self._quad(start))):
            return math.dist(a, b)
        quad, u, v = locate(self.grid, *a)
        to_u, to_v = (b[0] - self.grid.x0) / self.grid.cell, (b[2] - self.grid.z0) / self.grid.cell
        return float(surface_length(self.grid, self._averaged_heights, quad, u, v, to_u, to_v))

    def clearance(self, point: Point) -> float:
        """Return the distance from a point of the floor to the nearest obstacle or edge [m], at least the radius.

        Raises:
            NavigationError: The point is not on the floor.
        """
        self._quad(point)
        return float(_floor_height(self.grid, *coordinates(point))[1]) + self.body.radius

    def distance_field(self, goal: Point) -> DistanceField:
        """Return the distances over the floor to a goal, or to the nearest of several.

        Recent fields are kept (at most 64, and 128 MB), so that asking again for the same goal is fast.

        Args:
            goal: ``(3,)`` or ``(n, 3)`` on the floor [m].

        Raises:
            NavigationError: A goal is not on the floor.
        """
        goals = np.atleast_2d(np.asarray(goal, np.float64))
        if goals.ndim != 2 or goals.shape[1] != 3 or len(goals) == 0:
            raise NavigationError(f"The goal has shape {np.shape(goal)}; expected (3,) or (n, 3).")
        key = goals.tobytes()
        with _fields_lock:
            if key in self._fields:
                self._fields.move_to_end(key)
                return self._fields[key]
        quads = [self._quad(point) for point in goals]
        settled = prepared_folder().get("distances", (self._digest, goals), lambda: propagate(self.grid, goals, -1))
        field = DistanceField(self.grid, goals, self._heights_at(quads), settled=settled)
        with _fields_lock:
            self._fields[key] = field
            while len(self._fields) > max(min(_MOST_FIELDS, _FIELD_BYTES // field.size), 1):
                self._fields.popitem(last=False)
        return field

    def shortest_path(self, start: Point, goal: Point) -> Path:
        """Return the shortest way over the floor between two points ``(3,)``.

        Raises:
            NavigationError: One of them is not on the floor, or they are on different islands.
        """
        start_island, goal_island = self.island(start), self.island(goal)
        if start_island != goal_island:
            raise NavigationError(
                f"No way leads from {point_text(start)} to {point_text(goal)} in {self.name}: they are on islands "
                f"{start_island} ({self.islands[start_island].area:.1f} m²) and "
                f"{goal_island} ({self.islands[goal_island].area:.1f} m²) of {len(self.islands)}. "
                f"Take both points from one island: WalkableFloor.snap(point, island={start_island})."
            )
        with _fields_lock:
            known = np.asarray(goal, np.float64)[None].tobytes() in self._fields
        if known:
            return self.distance_field(goal).path(start)
        goals = np.array([coordinates(goal)])
        # Who asks for the way from one place seldom asks for that from another: half of the floor is enough.
        settled = propagate(self.grid, goals, self._quad(start))
        return DistanceField(self.grid, goals, self._heights_at([self._quad(goal)]), settled=settled).path(start)

    def _heights_at(self, quads: Sequence[int]) -> np.ndarray | None:
        """Averaged heights if one of some quads is part of an island that climbs, else None."""
        return self._averaged_heights if any(self._climbs(self._owner(quad)) for quad in quads) else None
