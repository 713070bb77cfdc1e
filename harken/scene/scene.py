"""A scene: triangles with materials, categories, objects and appearance."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harken.checks import checked_number, checked_point
from harken.errors import ConfigurationError, SceneError
from harken.once import made_once
from harken.raytracing import Triangles
from harken.raytracing.triangles import ShiftedTriangles
from harken.scene.doors import Door, DoorState, Leaf, check_doors, checked_states, move_leaves
from harken.scene.labels import LabelUse
from harken.scene.materials import AcousticMaterial

__all__ = ["Appearance", "Room", "Scene", "SceneObject"]

_FAR, _FAR_FOR_ITS_SIZE, _MOST = 64.0, 4.0, 1e12
_SEEN = (0.1, 0.5, 0.9)


@dataclass(frozen=True, kw_only=True, eq=False)
class Appearance:
    """Appearance of the triangles: a colour per corner, multiplied by a texture where there is one."""

    colors: np.ndarray
    """``(F, 3, 3)`` uint8: red, green and blue (sRGB) at each corner of each triangle."""
    texture: np.ndarray
    """``(F,)`` int32: index into `textures`, -1 for none."""
    uv: np.ndarray
    """``(F, 3, 2)`` float32: texture coordinates at each corner; (0, 0) is the image's bottom left, and they wrap."""
    textures: tuple[np.ndarray, ...] = ()
    """Images ``(height, width, 3)`` uint8 (sRGB), first row on top."""

    @staticmethod
    def plain(faces: int, color: tuple[int, int, int] = (190, 190, 185)) -> "Appearance":
        """Return an untextured appearance of one colour for `faces` triangles."""
        return Appearance(
            colors=np.tile(np.array(color, np.uint8), (faces, 3, 1)),
            texture=np.full(faces, -1, np.int32),
            uv=np.zeros((faces, 3, 2), np.float32),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Room:
    """A room of a home."""

    name: str
    """Unique name, such as "bedroom 2"."""
    kind: str
    """Kind of room, such as "bedroom"."""
    polygon: np.ndarray
    """``(n, 2)`` float32 outline in x and z [m]."""
    floor: float
    """Height of the floor [m]."""
    ceiling: float
    """Height of the ceiling [m]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SceneObject:
    """A thing in the scene."""

    instance: int
    """The number that `Scene.instance` holds on its triangles."""
    category: str
    """What it is, such as "chair"."""
    name: str
    """Unique name, such as "chair 3"."""
    lower: np.ndarray
    """``(3,)`` float32 least corner of its box [m]."""
    upper: np.ndarray
    """``(3,)`` float32 greatest corner of its box [m]."""
    room: int = -1
    """Index into `Scene.rooms`, -1 for none."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A static world of triangles, in metres, y up, −z forward (as glTF).

    Single precision resolves a tenth of a millimetre up to a kilometre from the origin, and half a metre at 5,000 km,
    where surveyors' coordinates lie. Vertices of a scene that is far from the origin for its size are therefore stored
    relative to its middle (see `origin`); pass them in float64. Everything else, such as floors, cameras, sources and
    listeners, stays in the original coordinates.
    """

    vertices: np.ndarray
    """``(V, 3)`` float32 positions relative to `origin` [m]. May be passed in float64 to keep full precision."""
    faces: np.ndarray
    """``(F, 3)`` int32 indices into `vertices`."""
    materials: tuple[AcousticMaterial, ...]
    """The acoustic materials that occur."""
    material: np.ndarray
    """``(F,)`` int32: index into `materials` per triangle."""
    categories: tuple[str, ...] = ("unknown",)
    """Names of the categories that `category` counts, the first "unknown": for homes and files the vocabulary's."""
    category: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """``(F,)`` int32: index into `categories` per triangle; 0 is unknown."""
    instance: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """``(F,)`` int32: number of the object that the triangle belongs to, 0 for none."""
    room: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int32))
    """``(F,)`` int32: index into `rooms`, -1 for none."""
    objects: tuple[SceneObject, ...] = ()
    """The objects whose numbers `instance` holds."""
    rooms: tuple[Room, ...] = ()
    """The rooms, if known; empty for other meshes."""
    labels: tuple[LabelUse, ...] = ()
    """Interpretation of the labels of a file, largest area first; empty for a scene that is not from a file."""
    appearance: Appearance | None = None
    """Colours and textures; plain grey where none are given."""
    name: str = "scene"
    """Human-readable name: a file's stem or "home train 17"."""
    source: str = ""
    """Where the scene came from: a path, or the call that generated it."""
    doors: tuple[Door, ...] = ()
    """The doors; `with_doors` puts some into openings, and generated homes have theirs."""
    door_states: tuple[DoorState, ...] = ()
    """How each of `doors` stands."""
    bare: "Scene | None" = None
    """The scene without the leaves that `with_door_states` has put into it, None where it has put none."""
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    """``(3,)`` float64 origin of `vertices`, in whole metres [m]. Zero where the farthest vertex is nearer
    than 64 m or than four times the greatest half side of the scene's box; else chosen near its middle."""

    def __post_init__(self) -> None:
        """Check shapes and fill what was left out."""
        vertices, triangles = _numbers(self.vertices, np.float64), _numbers(self.faces, np.int64)
        if vertices is None or triangles is None:
            raise SceneError(
                f"{self.name}: vertices or faces are no arrays of numbers; expected (V, 3) metres and (F, 3) indices."
            )
        faces = len(triangles)
        if vertices.ndim != 2 or vertices.shape[1:] != (3,) or triangles.ndim != 2 or triangles.shape[1:] != (3,):
            raise SceneError(
                f"{self.name}: vertices have shape {vertices.shape} and faces {triangles.shape}; "
                "expected (V, 3) and (F, 3)."
            )
        if faces == 0:
            raise SceneError(f"{self.name}: the mesh is empty (no triangles). Check the file or the export settings.")
        if np.abs(vertices, where=np.isfinite(vertices), out=np.zeros_like(vertices)).max(initial=0.0) > _MOST:
            raise SceneError(f"{self.name}: vertices lie beyond {_MOST:g} m from the origin. Check the scale.")
        if not np.isfinite(vertices).all():
            bad = int((~np.isfinite(vertices).all(1)).sum())
            raise SceneError(
                f"{self.name}: {bad} of {len(vertices)} vertices are NaN or infinite. Repair the mesh before loading."
            )
        if triangles.min() < 0 or triangles.max() >= len(vertices):
            raise SceneError(f"{self.name}: faces name vertices outside 0…{len(vertices) - 1}.")
        origin = checked_point("Scene.origin", self.origin, error=SceneError)
        shift = _middle_if_far(vertices[triangles.ravel()])
        object.__setattr__(self, "origin", origin + shift)
        object.__setattr__(self, "vertices", np.ascontiguousarray(vertices - shift, np.float32))
        object.__setattr__(self, "faces", np.ascontiguousarray(triangles, np.int32))
        for name, default in (("category", 0), ("instance", 0), ("room", -1)):
            if len(getattr(self, name)) == 0:
                object.__setattr__(self, name, np.full(faces, default, np.int32))
        for name in ("material", "category", "instance", "room"):
            value = np.ascontiguousarray(getattr(self, name), np.int32)
            if value.shape != (faces,):
                raise SceneError(f"{self.name}: {name} has shape {value.shape}; expected one per triangle, ({faces},).")
            object.__setattr__(self, name, value)
        if self.material.min() < 0 or self.material.max() >= len(self.materials):
            raise SceneError(f"{self.name}: material indices lie outside 0…{len(self.materials) - 1}.")
        if self.appearance is None:
            object.__setattr__(self, "appearance", Appearance.plain(faces))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out derived data: it is computed again when needed."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the fields of a frozen dataclass."""
        for name, value in state.items():
            object.__setattr__(self, name, value)

    @staticmethod
    def load(path: str | Path, **options: Any) -> "Scene":
        """Read a scene from a file; see `harken.scene.read_scene` for the formats, options and errors."""
        from harken.scene.readers.reading import read_scene

        if "scale" in options:
            unit = "metres per unit of the file"
            options["scale"] = checked_number("scale", options["scale"], 0.0, above=True, unit=unit)
        return read_scene(path, **options)

    @property
    def is_far(self) -> bool:
        """Whether `vertices` are relative to another point than the origin."""
        return bool(self.origin.any())

    @property
    def local(self) -> "Scene":
        """The same scene moved so that `origin` is zero, for code that works in single precision.

        It is the scene itself if its origin is zero already.
        """
        return self._moved if self.is_far else self  # not stored: a scene that references itself is freed late

    @made_once
    def _moved(self) -> "Scene":
        moved = copy.copy(self)
        object.__setattr__(moved, "origin", np.zeros(3))
        object.__setattr__(moved, "doors", tuple(door.moved(-self.origin) for door in self.doors))
        if self.bare is not None:
            object.__setattr__(moved, "bare", self.bare.local)
        return moved

    @made_once
    def triangles(self) -> Triangles:
        """The triangles for casting rays; the tree is built on first use."""
        if self.is_far:
            return ShiftedTriangles(self.local.triangles, self.origin)
        return Triangles(self.vertices, self.faces)

    @made_once
    def normals(self) -> np.ndarray:
        """``(F, 3)`` float32 unit normals, zero for triangles without area."""
        corners = self.vertices[self.faces].astype(np.float64)
        cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(cross, axis=1, keepdims=True)
        return (cross / np.where(length > 0, length, 1.0)).astype(np.float32)

    @made_once
    def areas(self) -> np.ndarray:
        """``(F,)`` float64 areas [m²]."""
        corners = self.vertices[self.faces].astype(np.float64)
        return 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)

    @made_once
    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Least and greatest corner ``(3,)`` of the triangles' box [m]: float32, float64 far from the origin."""
        corners = self.vertices[self.faces.ravel()]
        lower, upper = corners.min(0), corners.max(0)
        return (lower + self.origin, upper + self.origin) if self.is_far else (lower, upper)

    @made_once
    def coefficients(self) -> np.ndarray:
        """``(3, materials, bands)`` float32: absorption, scattering and transmission of `materials`."""
        rows = [[getattr(m, name) for m in self.materials] for name in ("absorption", "scattering", "transmission")]
        return np.array(rows, np.float32)

    @made_once
    def fingerprint(self) -> str:
        """Hexadecimal digest of geometry and materials, which determine the sound."""
        digest = hashlib.sha256()
        for array in (self.vertices, self.faces, self.material, self.coefficients):
            digest.update(str(array.shape).encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def is_inside_solid(self, point: np.ndarray) -> bool:
        """Whether a point ``(3,)`` lies inside a wall or a piece of furniture, see `are_inside_solid`."""
        return bool(self.are_inside_solid(checked_point("The point", point)[None])[0])

    def are_inside_solid(self, points: np.ndarray) -> np.ndarray:
        """Return which points lie inside a wall or a piece of furniture.

        A point is inside a solid if most rays from it first meet the back of a triangle, and the solid is less than 0.6
        m thick along some axis; a room modelled as a box of triangles facing outwards is larger. Not all rays have to
        agree: where faces of touching solids coincide, either may be hit.

        Args:
            points: ``(N, 3)`` points [m].

        Returns:
            ``(N,)`` bool.

        Raises:
            ConfigurationError: The points are not an array ``(N, 3)`` of numbers.
        """
        places = self._checked_places(points)
        if self.is_far:
            return self.local.are_inside_solid(places - self.origin)
        axes = np.concatenate([np.eye(3), -np.eye(3)])
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / np.sqrt(3)
        directions = np.concatenate([axes, corners]).astype(np.float32)
        count = len(places)
        origins = np.repeat(places.astype(np.float32), len(directions), 0)
        aimed = np.tile(directions, (count, 1))
        distance, triangle, _ = self.triangles.closest(origins, aimed)
        back = (triangle >= 0) & (np.einsum("ij,ij->i", self.normals[triangle], aimed) > 0)
        distance, back = distance.reshape(count, -1), back.reshape(count, -1)
        thin = back[:, :3] & back[:, 3:6] & (distance[:, :3] + distance[:, 3:6] < 0.6)
        return thin.any(1) & (back.mean(1) > 0.6)

    def material_below(self, point: np.ndarray) -> AcousticMaterial | None:
        """Return the material of what lies straight below a point ``(3,)`` [m], None where nothing does."""
        place = checked_point("The point", point)
        if self.is_far:
            return self.local.material_below(place - self.origin)
        _, triangle, _ = self.triangles.closest(place.astype(np.float32)[None], np.array([[0, -1, 0]], np.float32))
        return None if triangle[0] < 0 else self.materials[self.material[triangle[0]]]

    def shows(self, thing: SceneObject, eyes: np.ndarray) -> np.ndarray:
        """Return from which points ``(N, 3)`` [m] some of an object is seen.

        Rays go to 27 points of its box, and one of them has to meet the object first.

        Args:
            thing: One of `objects`.
            eyes: ``(N, 3)`` points [m].

        Returns:
            ``(N,)`` bool.

        Raises:
            ConfigurationError: The points are not an array ``(N, 3)`` of numbers.
        """
        places = self._checked_places(eyes)
        shares = np.stack(np.meshgrid(*[_SEEN] * 3), -1).reshape(-1, 3)
        targets = thing.lower + shares * (thing.upper.astype(np.float64) - thing.lower)
        origins = np.repeat(places, len(targets), 0)
        _, triangle, _ = self.triangles.closest(origins, np.tile(targets, (len(places), 1)) - origins)
        met = (triangle >= 0) & (self.instance[triangle] == thing.instance)
        return met.reshape(len(places), len(targets)).any(1)

    @staticmethod
    def _checked_places(points: np.ndarray) -> np.ndarray:
        places = _numbers(points, np.float64)
        if places is None or places.ndim != 2 or places.shape[1] != 3:
            raise ConfigurationError(f"points are {points!r:.80}; expected (N, 3) numbers, x, y and z of each [m].")
        return places.clip(-_MOST, _MOST)

    def __repr__(self) -> str:
        """Describe name and size."""
        size = " × ".join(f"{side:.2f}" for side in self.bounds[1] - self.bounds[0])
        return (
            f"<Scene {self.name!r}: {len(self.faces):,} triangles, {size} m (x × y × z), "
            f"{len(self.materials)} materials, {len(self.objects)} objects, {len(self.rooms)} rooms>"
        )

    @made_once
    def leaves(self) -> tuple[Leaf, ...]:
        """The leaves that `with_door_states` has put into the scene."""
        if self.bare is None:
            return ()
        pairs = zip(self.doors, self.door_states, strict=True)
        return tuple(leaf for door, state in pairs if (leaf := door.leaf(state)) is not None)

    @made_once
    def _leaf_boxes(self) -> np.ndarray:
        """``(leaves, 2, 3)`` least and greatest corners of boxes around leaves [m]."""
        corners = [leaf.corners() for leaf in self.leaves]
        return np.array([(c.min(0), c.max(0)) for c in corners]).reshape(-1, 2, 3)

    def leaf_at(self, point: np.ndarray) -> Leaf | None:
        """Return the leaf that `with_door_states` has put over a point ``(3,)`` [m], None where there is none."""
        if not self.leaves:
            return None
        low, high = self._leaf_boxes[:, 0], self._leaf_boxes[:, 1]
        near = np.flatnonzero(((low <= point) & (point <= high)).all(1))
        return next((self.leaves[i] for i in near if self.leaves[i].contains(point[None])[0]), None)

    def with_doors(self, doors: Sequence[Door], states: Mapping[str, DoorState] | None = None) -> "Scene":
        """Return the scene with doors in openings of its walls.

        Args:
            doors: The doors.
            states: How they stand, by name; open where it does not say.

        Raises:
            SceneError: The scene has doors already, or these do not fit; see `harken.scene.doors.check_doors`.
            UnknownNameError: There is no such door, or no such state.
        """
        if self.doors:
            raise SceneError(f"{self.name} has doors already: {', '.join(door.name for door in self.doors)}.")
        check_doors(self, doors)
        checked_states(doors, states or {})
        return replace(self, doors=tuple(doors)).with_door_states(states or {})

    def with_door_states(self, states: Mapping[str, DoorState]) -> "Scene":
        """Return the scene with its doors as they shall stand, which is fast; the result depends on nothing else.

        Args:
            states: How doors stand, by name: "open", "ajar" or "closed"; open where it does not say.

        Raises:
            UnknownNameError: There is no such door, or no such state.
        """
        bare = self if self.bare is None else self.bare
        chosen = checked_states(bare.doors, states)
        leaves = [door.leaf(state) for door, state in zip(bare.doors, chosen, strict=True)]
        return bare if not any(leaves) else replace(move_leaves(bare, chosen), bare=bare)

    def with_materials(self, materials: tuple[AcousticMaterial, ...], material: np.ndarray) -> "Scene":
        """Return the same scene with other materials.

        Raises:
            SceneError: Leaves of doors stand in the scene.
        """
        if self.bare is not None:
            raise SceneError(
                f"{self.name}: leaves of doors stand in the scene; choose materials with its doors open, such as "
                "scene.bare.with_materials(…), then move the doors."
            )
        return replace(self, materials=materials, material=material, labels=())


def _numbers(values: Any, kind: type) -> np.ndarray | None:
    """Return an array of numbers of one type, None where the values are something else."""
    try:
        array = np.asarray(values)
    except (TypeError, ValueError, OverflowError):
        return None
    whole = kind is np.int64
    return array.astype(kind) if array.dtype.kind in ("iu" if whole else "iuf") or not array.size else None


def _middle_if_far(places: np.ndarray) -> np.ndarray:
    """Return a point ``(3,)`` near the middle of places ``(n, 3)``, in whole metres; zero unless they are far away."""
    lower, upper = places.min(0), places.max(0)
    farthest = max(float(np.abs(lower).max()), float(np.abs(upper).max()))
    if farthest <= max(_FAR, _FAR_FOR_ITS_SIZE * 0.5 * float((upper - lower).max())):
        return np.zeros(3)
    return np.round(0.5 * (lower + upper))
