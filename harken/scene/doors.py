"""Doors: leaves in openings of walls that stand open, ajar or closed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from harken.checks import checked_number, checked_point
from harken.errors import SceneError, UnknownNameError
from harken.scene.materials import AcousticMaterial

if TYPE_CHECKING:
    from harken.scene.scene import Scene

__all__ = [
    "DOOR_STATES",
    "Door",
    "DoorState",
    "Leaf",
    "check_doors",
    "checked_states",
    "leaf_mesh",
    "move_leaves",
    "moved_objects",
    "vacated",
]

DoorState = Literal["open", "ajar", "closed"]
"""How a door stands."""

DOOR_STATES: tuple[DoorState, ...] = get_args(DoorState)
"""All of them."""

ANGLES: Mapping[DoorState, float] = {"open": math.pi / 2, "ajar": math.radians(20.0), "closed": 0.0}
"""Angle between leaf and opening [rad]."""

SEALED = 0.01
"""How far a closed leaf reaches into the frame beside and above it [m]."""

GAP = 0.004
"""Gap around a leaf that is not closed [m]."""

REACH = 0.06
"""How far from the opening its frame may begin [m]."""


HOLLOW_DOOR = AcousticMaterial(
    name="hollow_door",
    absorption=(0.14, 0.10, 0.06, 0.08, 0.10, 0.10, 0.10),
    scattering=(0.02, 0.03, 0.05, 0.08, 0.12, 0.20, 0.20),
    transmission=tuple(10 ** (-loss / 10) for loss in (14.0, 19.0, 23.0, 18.0, 17.0, 21.0, 21.0)),
    source="absorption: Vorländer, wooden_door; transmission: Springer Handbook of Acoustics (2007), Table 11.4, "
    "hollow wooden door of 1 3/4 inches; scattering judged for a flat leaf",
)
"""A light door between rooms, with a sound transmission class of 19."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """A rectangular opening in a wall and the leaf in it, which turns about a vertical axis at one side."""

    name: str
    """Name, unique in a scene."""
    hinge: tuple[float, float, float]
    """Lower corner of the opening at the leaf's axis, in the middle of the wall's thickness [m]."""
    latch: tuple[float, float, float]
    """Lower corner at the other side [m], at the same height."""
    height: float
    """Height of the opening [m], 1–5."""
    thickness: float = 0.04
    """Thickness of the leaf [m], 0.01–0.2."""
    swings: Literal["left", "right"] = "left"
    """Side to which it opens for somebody who looks from the hinge to the latch."""
    material: AcousticMaterial = HOLLOW_DOOR
    """What the leaf is made of; its transmission is that of the whole leaf."""
    color: tuple[int, int, int] = (152, 116, 84)
    """Colour of the leaf (sRGB)."""
    texture: int = -1
    """Number of its texture among those of `Scene.appearance`, -1 for none."""
    extent: tuple[float, float] = (1.0, 1.0)
    """Width and height of one repetition of the texture [m]."""
    resting: int | None = None
    """Number of the object that is the leaf while the door is open, 0 if nothing is seen of it then; None for a leaf
    that stands at a right angle to its opening."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("hinge", "latch"):
            point = checked_point(f"Door {self.name!r}: {name}", getattr(self, name), error=SceneError)
            object.__setattr__(self, name, tuple(point.tolist()))
        for name, low, high in (("height", 1.0, 5.0), ("thickness", 0.01, 0.2)):
            value = checked_number(f"Door {self.name!r}: {name}", getattr(self, name), low, high, error=SceneError)
            object.__setattr__(self, name, value)
        if self.swings not in ("left", "right"):
            raise SceneError(f"Door {self.name!r} swings {self.swings!r}; expected 'left' or 'right'.")
        if abs(self.hinge[1] - self.latch[1]) > 0.01:
            raise SceneError(
                f"Door {self.name!r} is not rectangular: its lower corners are at {self.hinge[1]:g} and "
                f"{self.latch[1]:g} m; expected the same height."
            )
        if not 0.4 <= self.width <= 3.0:
            raise SceneError(f"Door {self.name!r} is {self.width:.3g} m wide; expected 0.4 to 3 m.")

    @staticmethod
    def between(name: str, corners: Any, **more: Any) -> "Door":
        """Return the door of an opening that is given by its corners.

        Args:
            name: Its name.
            corners: ``(4, 3)`` corners of the opening in the middle of the wall, in turn, beginning with the lower one
                at the hinge and the lower one at the latch [m].
            more: Further fields.

        Raises:
            SceneError: The corners are no upright rectangle.
        """
        try:
            points = np.asarray(corners, np.float64)
        except (TypeError, ValueError) as error:
            raise SceneError(f"Door {name!r}: corners are {corners!r:.80}; expected (4, 3) numbers [m].") from error
        if points.shape != (4, 3) or not np.isfinite(points).all():
            raise SceneError(f"Door {name!r}: corners are {corners!r:.120}; expected (4, 3) finite numbers [m].")
        hinge, latch, above_latch, above_hinge = points
        sides = above_hinge - hinge, above_latch - latch
        upright = all(np.hypot(side[0], side[2]) < 0.01 and side[1] > 0 for side in sides)
        if not upright or np.abs(sides[0] - sides[1]).max() > 0.01 or abs(hinge[1] - latch[1]) > 0.01:
            raise SceneError(
                f"Door {name!r} is not rectangular: its corners are {points.round(3).tolist()}; expected an upright "
                "rectangle, first the lower corner at the hinge, then that at the latch, then those above."
            )
        lower = {"hinge": tuple(hinge.tolist()), "latch": tuple(latch.tolist())}
        return Door(name=name, **lower, height=float(sides[0][1]), **more)

    @property
    def width(self) -> float:
        """Width of the opening [m]."""
        return math.hypot(self.latch[0] - self.hinge[0], self.latch[2] - self.hinge[2])

    @property
    def center(self) -> np.ndarray:
        """``(3,)`` middle of the opening [m]."""
        middle = 0.5 * (np.array(self.hinge) + np.array(self.latch))
        middle[1] += 0.5 * self.height
        return middle

    def moved(self, by: np.ndarray) -> "Door":
        """Return the door moved by ``(3,)`` [m]."""
        hinge, latch = (tuple((np.array(point) + by).tolist()) for point in (self.hinge, self.latch))
        return replace(self, hinge=hinge, latch=latch)

    def axes(self, angle: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
        """Return the unit vectors ``(3,)`` along a leaf that is turned by an angle, and square to it.

        The second points to the side to which the door opens.
        """
        along = (np.array(self.latch) - np.array(self.hinge)) * [1.0, 0.0, 1.0] / self.width
        side = np.array([along[2], 0.0, -along[0]]) * (1.0 if self.swings == "left" else -1.0)
        cosine, sine = math.cos(angle), math.sin(angle)
        return cosine * along + sine * side, cosine * side - sine * along

    def leaf(self, state: DoorState) -> "Leaf | None":
        """Return the leaf in a state, None where the scene has it, or nothing is seen of it."""
        if state == "open" and self.resting is not None:
            return None
        angle = ANGLES[state]
        reach = (-SEALED, self.width + SEALED) if state == "closed" else (GAP, self.width - GAP)
        rise = (0.0, self.height + SEALED) if state == "closed" else (GAP, self.height - GAP)
        return Leaf(door=self, angle=angle, reach=reach, rise=rise)


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A leaf at its place: a box."""

    door: Door
    """The door that it belongs to."""
    angle: float
    """Angle between leaf and opening [rad]."""
    reach: tuple[float, float]
    """Where it begins and ends along itself, from the hinge [m]."""
    rise: tuple[float, float]
    """Where it begins and ends above the foot of the opening [m]."""

    def corners(self, *, wider: float = 0.0) -> np.ndarray:
        """Return ``(8, 3)`` the corners [m], of a box that is larger by some metres on all sides if asked for."""
        along, across = self.door.axes(self.angle)
        half = 0.5 * self.door.thickness + wider
        (a, b), (low, high) = self.reach, self.rise
        return np.array([
            np.array(self.door.hinge) + u * along + v * across + [0.0, y, 0.0]
            for y in (low - wider, high + wider)
            for u, v in ((a - wider, -half), (b + wider, -half), (b + wider, half), (a - wider, half))
        ])  # fmt: skip

    def contains(self, points: np.ndarray, *, wider: float = 0.0) -> np.ndarray:
        """Return which points ``(n, 3)`` lie in the leaf, or within some metres of it."""
        along, across = self.door.axes(self.angle)
        away = np.asarray(points, np.float64) - np.array(self.door.hinge)
        u, v, y = away @ along, away @ across, away[:, 1]
        half = 0.5 * self.door.thickness + wider
        return (
            (u >= self.reach[0] - wider)
            & (u <= self.reach[1] + wider)
            & (np.abs(v) <= half)
            & (y >= self.rise[0] - wider)
            & (y <= self.rise[1] + wider)
        )


_FACES = np.array([
    (0, 2, 1), (0, 3, 2), (4, 5, 6), (4, 6, 7),
    (0, 1, 5), (0, 5, 4), (1, 2, 6), (1, 6, 5), (2, 3, 7), (2, 7, 6), (3, 0, 4), (3, 4, 7),
], np.int32)  # fmt: skip
"""Triangles of a box of eight corners, wound outwards where the corners turn counter-clockwise seen from above."""


def leaf_mesh(leaf: Leaf) -> tuple[np.ndarray, np.ndarray]:
    """Return vertices ``(8, 3)`` and faces ``(12, 3)`` of a leaf, wound outwards."""
    corners = leaf.corners()
    along, across = leaf.door.axes(leaf.angle)
    turns_left = float(np.cross(along, across)[1]) < 0.0  # seen from above, with x to the right and z towards us
    return corners, _FACES[:, ::-1] if turns_left else _FACES


def checked_states(doors: Sequence[Door], states: Mapping[str, DoorState]) -> tuple[DoorState, ...]:
    """Return the state of every door; doors that are not named are open.

    Raises:
        UnknownNameError: There is no such door, or no such state.
    """
    names = [door.name for door in doors]
    for name, state in states.items():
        if name not in names:
            raise UnknownNameError("door", name, names)
        if state not in DOOR_STATES:
            raise UnknownNameError(f"state of {name}", state, DOOR_STATES)
    return tuple(states.get(name, "open") for name in names)


def check_doors(scene: "Scene", doors: Sequence[Door]) -> None:
    """Check that doors fit the openings of a scene.

    Raises:
        SceneError: A name comes twice, doors overlap, or an opening is blocked, larger than its wall, or leads outside.
    """
    names = [door.name for door in doors]
    for name in names:
        if names.count(name) > 1:
            raise SceneError(f"{scene.name}: two doors are called {name!r}; expected names that are unique.")
    leaves = [_closed(door) for door in doors]
    for i, leaf in enumerate(leaves):
        for other in leaves[:i]:
            if leaf.contains(_filled(other)).any() or other.contains(_filled(leaf)).any():
                raise SceneError(
                    f"{scene.name}: {leaf.door.name!r} and {other.door.name!r} overlap when they are closed."
                )
    for door in doors:
        _check_opening(scene, door)


def _closed(door: Door) -> Leaf:
    leaf = door.leaf("closed")
    assert leaf is not None
    return leaf


def _filled(leaf: Leaf) -> np.ndarray:
    """Return points ``(n, 3)`` all over the middle plane of a leaf."""
    along, _ = leaf.door.axes(leaf.angle)
    u, y = np.meshgrid(np.linspace(*leaf.reach, 9), np.linspace(*leaf.rise, 17))
    return np.array(leaf.door.hinge) + u.reshape(-1, 1) * along + y.reshape(-1, 1) * [0.0, 1.0, 0.0]


def _check_opening(scene: "Scene", door: Door) -> None:
    along, across = door.axes()
    share = np.array([0.15, 0.5, 0.85])
    foot = np.array(door.hinge)
    up = np.array([0.0, 1.0, 0.0])
    places = [foot + u * door.width * along + y * door.height * up for u in share for y in share]
    ways = np.concatenate([np.tile(0.15 * across, (9, 1)), np.tile(-0.15 * across, (9, 1))])
    if scene.triangles.occluded(np.concatenate([places, places]), np.concatenate([places, places]) + ways).any():
        raise SceneError(
            f"{scene.name}: the opening of {door.name!r}, {door.width:.2f} x {door.height:.2f} m with lower corners at "
            f"{np.round(door.hinge, 3).tolist()} and {np.round(door.latch, 3).tolist()}, is not free: expected a hole "
            "in the wall."
        )
    for what, side, half in (
        ("latch", along, 0.5 * door.width), ("hinge", -along, 0.5 * door.width), ("top", up, 0.5 * door.height),
        ("foot", -up, 0.5 * door.height),
    ):  # fmt: skip
        ends = door.center + (half + REACH) * side
        if not scene.triangles.occluded(door.center[None], ends[None]).all():
            raise SceneError(
                f"{scene.name}: the opening of {door.name!r} is larger than its wall: there is no frame within "
                f"{REACH:g} m of its {what}. Check its corners; they are those of the hole in the wall."
            )
    for side in (across, -across):
        beside = door.center + 0.5 * side
        if not scene.triangles.occluded(beside[None], beside[None] - (0.5 * door.height + 0.5) * up[None]).all():
            raise SceneError(
                f"{scene.name}: {door.name!r} leads outside: there is no floor beside it at "
                f"{(beside - 0.5 * door.height * up).round(2).tolist()}. Doors join two rooms."
            )


def moved_objects(doors: Sequence[Door], states: Sequence[DoorState]) -> set[int]:
    """Return the numbers of the objects that are leaves of doors while these are open, and are not where they were."""
    return {door.resting for door, state in zip(doors, states, strict=True) if state != "open" and door.resting}


def vacated(scene: "Scene") -> np.ndarray:
    """Return the boxes in which leaves of open doors rest that stand elsewhere now.

    Args:
        scene: A scene of which `Scene.bare` has those doors open.

    Returns:
        ``(k, 2, 3)`` float64 least and greatest corners, a centimetre wider than the leaves, relative to the scene's
        origin [m].
    """
    assert scene.bare is not None
    boxes = []
    for number in sorted(moved_objects(scene.doors, scene.door_states)):
        corners = scene.bare.vertices[scene.bare.faces[scene.bare.instance == number]].reshape(-1, 3)
        boxes.append((corners.min(0) - 0.01, corners.max(0) + 0.01))
    return np.array(boxes, np.float64).reshape(-1, 2, 3)


def move_leaves(scene: "Scene", states: Sequence[DoorState]) -> "Scene":
    """Return a scene whose doors, all without leaves except those that rest, stand otherwise.

    Args:
        scene: The scene with its doors open.
        states: A state for each of its doors.

    Returns:
        The scene; triangles that stay come first, in their order, then those of leaves.
    """
    from harken.scene.scene import Appearance, SceneObject

    leaves = [leaf for door, state in zip(scene.doors, states, strict=True) if (leaf := door.leaf(state))]
    moved = moved_objects(scene.doors, states)
    stays = ~np.isin(scene.instance, list(moved))
    materials, objects = list(scene.materials), [o for o in scene.objects if o.instance not in moved]
    category = scene.categories.index("door") if "door" in scene.categories else 0
    look = scene.appearance
    assert look is not None
    vertices, faces, rows = [scene.vertices.astype(np.float64)], [scene.faces[stays]], []
    coordinates = [look.uv[stays]]
    highest = max((o.instance for o in scene.objects), default=int(scene.instance.max(initial=0)))
    for number, leaf in enumerate(leaves):
        corners, triangles = leaf_mesh(leaf)
        if leaf.door.material not in materials:
            materials.append(leaf.door.material)
        instance = leaf.door.resting or highest + 1 + number
        faces.append(triangles + sum(map(len, vertices)))
        vertices.append(corners - scene.origin)
        rows.append((len(triangles), materials.index(leaf.door.material), instance, leaf.door.color, leaf.door.texture))
        coordinates.append(_texture_coordinates(leaf)[triangles])
        objects.append(
            SceneObject(
                instance=instance,
                category="door",
                name=f"leaf of {leaf.door.name}",
                lower=corners.min(0).astype(np.float32),
                upper=corners.max(0).astype(np.float32),
            )
        )
    count = sum(row[0] for row in rows)
    plain = np.concatenate([np.tile(np.array(row[3], np.uint8), (row[0], 3, 1)) for row in rows] or [look.colors[:0]])
    return replace(
        scene,
        vertices=np.concatenate(vertices) + scene.origin,
        faces=np.concatenate(faces),
        materials=tuple(materials),
        material=np.concatenate([scene.material[stays], _repeated(rows, 1)]),
        category=np.concatenate([scene.category[stays], np.full(count, category)]),
        instance=np.concatenate([scene.instance[stays], _repeated(rows, 2)]),
        room=np.concatenate([scene.room[stays], np.full(count, -1)]),
        objects=tuple(objects),
        appearance=Appearance(
            colors=np.concatenate([look.colors[stays], plain]),
            texture=np.concatenate([look.texture[stays], _repeated(rows, 4)]),
            uv=np.concatenate(coordinates),
            textures=look.textures,
        ),
        origin=np.zeros(3),
        door_states=tuple(states),
    )


def _repeated(rows: Sequence[tuple], column: int) -> np.ndarray:
    """Return a column of rows, each as often as it has triangles."""
    return np.repeat(np.array([row[column] for row in rows], np.int32), [row[0] for row in rows])


def _texture_coordinates(leaf: Leaf) -> np.ndarray:
    """Return ``(8, 2)`` float32 texture coordinates of a leaf's corners: along it and upwards."""
    along, _ = leaf.door.axes(leaf.angle)
    away = leaf.corners() - np.array(leaf.door.hinge)
    return (np.stack([away @ along, away[:, 1]], 1) / leaf.door.extent).astype(np.float32)
