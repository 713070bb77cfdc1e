"""Reader of Wavefront OBJ files with their MTL files.

Own code, because trimesh keeps the names of materials only if an MTL file exists, and cuts concave polygons into fans:
here names determine the acoustic materials, and a notch in a wall is a door.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harken.errors import SceneError
from harken.scene.readers.content import is_file, open_texture, read_content
from harken.scene.readers.mtl import Look, read_mtl, split_lines
from harken.scene.readers.parts import MeshPart, short_name
from harken.scene.readers.polygons import triangulate

__all__ = ["read_obj"]

_NONE = -(2**31)
_LARGEST_INDEX = 2**31
_IGNORED = frozenset({"vn", "vp", "s", "l", "p", "cstype", "deg", "lod", "bevel", "c_interp", "d_interp", "shadow_obj"})
"""Keywords that do not concern surfaces, or only together with those that a remark names."""


@dataclass(kw_only=True)
class _Lines:
    """The content of an OBJ file, as read."""

    vertices: list[list[float]] = field(default_factory=list)
    uv: list[list[float]] = field(default_factory=list)
    groups: dict[tuple[str, str, str], dict[int, list[list[int]]]] = field(default_factory=dict)
    """(object, group, material) → corners per face → faces, each as vertex indices and then as many uv indices."""
    libraries: list[str] = field(default_factory=list)
    """The argument of each ``mtllib``."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Keywords that are not read, with the first line of each."""


def read_obj(path: Path) -> tuple[list[MeshPart], list[str]]:
    """Read an OBJ file: ``o``, ``g``, ``usemtl`` with or without an MTL file, polygons, vertex colours, ``map_Kd``.

    Args:
        path: The file.

    Returns:
        The parts, and remarks about what is missing, for a warning.

    Raises:
        SceneError: A line cannot be read, or a face names a vertex that does not exist.
    """
    lines = _parse(path)
    remarks: list[str] = []
    looks: dict[str, Look] = {}
    for name in _libraries(path, lines):
        file = path.parent / name
        if is_file(file):
            file_looks, more = read_mtl(file)
            looks.update(file_looks)
            remarks += more
        else:
            remarks.append(f"its material file {short_name(name)!r} is missing, so surfaces are grey")
    if lines.unknown:
        named = ", ".join(f"{short_name(key)!r} (line {line})" for key, line in list(lines.unknown.items())[:5])
        remarks.append(f"lines that begin with {named} are not read")
    names = {group: group[0] or group[1] for group in lines.groups}
    distinct = list(dict.fromkeys(name for name in names.values() if name))
    textures: dict[str, np.ndarray | None] = {}
    points = np.array([row[:3] for row in lines.vertices], np.float64).reshape(-1, 3)
    coordinates = np.array(lines.uv, np.float64).reshape(-1, 2)
    parts: list[MeshPart] = []
    crossing = 0
    for group, faces in lines.groups.items():
        if not faces:
            continue
        material = group[2]
        look = looks.get(material, Look())
        if look.map and look.map not in textures:
            textures[look.map] = open_texture(path.parent / look.map.replace("\\", "/"))
            if textures[look.map] is None:
                remarks.append(f"texture {short_name(look.map)!r} is missing or broken, so its surfaces are grey")
        thing = distinct.index(names[group]) + 1 if len(distinct) > 1 and names[group] else 0
        texture = textures.get(look.map)
        part, tangled = _part(path, lines, points, coordinates, faces, group, look, texture, thing)
        parts.append(part)
        crossing += tangled
    if crossing:
        remarks.append(f"{crossing} of its faces cross themselves, so that their surfaces may be wrong")
    return parts, remarks


def _libraries(path: Path, lines: _Lines) -> list[str]:
    """Return the names of material files: a single name with spaces if such a file exists, several otherwise."""
    names: list[str] = []
    for rest in lines.libraries:
        whole = rest.replace("\\", "/")
        names += [whole] if is_file(path.parent / whole) else whole.split()
    return list(dict.fromkeys(names))


def _parse(path: Path) -> _Lines:
    lines = _Lines()
    current = ["", "", ""]
    faces: dict[int, list[list[int]]] | None = None
    for number, line in split_lines(read_content(path)):
        key, rest = (*line.split(None, 1), "")[:2]
        try:
            if key == "v":
                row = [float(x) for x in rest.split()]
                if len(row) < 3:
                    raise ValueError("fewer than three coordinates")
                lines.vertices.append(row if len(row) == 6 else row[:3])
            elif key == "vt":
                first, second = (*rest.split(), "0")[:2]  # The second may be left out.
                lines.uv.append([float(first), float(second)])
            elif key in ("f", "fo"):
                if faces is None:
                    faces = lines.groups.setdefault((current[0], current[1], current[2]), {})
                face = _parse_face(rest, len(lines.vertices), len(lines.uv))
                # Some exporters write edges as faces of two corners; they have no area.
                if len(face) >= 6:
                    faces.setdefault(len(face) // 2, []).append(face)
            elif key in ("o", "g", "usemtl"):
                current[("o", "g", "usemtl").index(key)] = short_name(rest)
                faces = None
            elif key == "mtllib":
                lines.libraries.append(rest)
            elif key not in _IGNORED:
                lines.unknown.setdefault(key, number)
        except (ValueError, IndexError) as error:
            raise SceneError(
                f"{path}: line {number} cannot be read as OBJ ({error}): {line[:80]!r}. "
                "The file may be cut off or not be an OBJ file; export it again."
            ) from error
    return lines


def _parse_face(rest: str, vertices: int, uvs: int) -> list[int]:
    """Return vertex indices, then texture-coordinate indices, from 0; negative ones count back from the last line."""
    if "/" in rest:
        corners = [corner.split("/") for corner in rest.split()]
        places = [int(corner[0]) for corner in corners]
        maps = [int(corner[1]) if len(corner) > 1 and corner[1] else 0 for corner in corners]
        uv = [i - 1 if i > 0 else uvs + i if i < 0 else _NONE for i in maps]
        if any(i < 0 and i != _NONE for i in uv):
            raise ValueError("there are no texture coordinates before the first")
    else:
        places = [int(corner) for corner in rest.split()]
        uv = [_NONE] * len(places)
    vertex = [i - 1 if i > 0 else vertices + i for i in places]
    if not all(places) or min(vertex) < 0:
        raise ValueError("there is no vertex 0 or before the first")
    if max(max(vertex), max(uv)) >= _LARGEST_INDEX:
        raise ValueError("there are not so many vertices")
    return vertex + uv


def _part(
    path: Path,
    lines: _Lines,
    points: np.ndarray,
    coordinates: np.ndarray,
    faces: dict[int, list[list[int]]],
    group: tuple[str, str, str],
    look: Look,
    texture: np.ndarray | None,
    thing: int,
) -> tuple[MeshPart, int]:
    triangles, maps, crossing = [], [], 0
    for n, rows in faces.items():
        table = np.array(rows, np.int64)
        if table[:, :n].max() >= len(points):
            raise SceneError(
                f"{path}: a face names vertex {table[:, :n].max() + 1} of {len(points)}. The file may be cut off."
            )
        if len(table) and table[:, n:].max() >= len(coordinates):
            raise SceneError(
                f"{path}: a face names texture coordinates {table[:, n:].max() + 1} of {len(coordinates)}. The "
                "file may be cut off."
            )
        corners, polygon, tangled = triangulate(points, table[:, :n])
        crossing += tangled
        triangles.append(table[polygon[:, None], corners])
        maps.append(table[polygon[:, None], n + corners])
    faces_, maps_ = np.concatenate(triangles), np.concatenate(maps)
    place_indices, local = np.unique(faces_, return_inverse=True)
    has_uv = maps_ >= 0
    uv = np.zeros((len(faces_), 3, 2))
    uv[has_uv] = coordinates[maps_[has_uv]] * look.scale + look.shift
    part = MeshPart(
        vertices=points[place_indices],
        faces=local.reshape(-1, 3),
        material=group[2],
        node=group[0] or group[1],
        mesh=group[1],
        thing=thing,
        colors=_colors(lines, faces_, look, texture is not None),
        uv=uv,
        texture=texture,
    )
    return part, crossing


def _colors(lines: _Lines, faces: np.ndarray, look: Look, textured: bool) -> np.ndarray:
    """Return ``(F, 3, 3)`` colours: of the vertices where all have one, else of the material."""
    corners = [lines.vertices[i] for i in faces.ravel()] if len(faces) and len(lines.vertices[faces[0, 0]]) == 6 else []
    if corners and all(len(row) == 6 for row in corners):
        colors = np.array([row[3:] for row in corners], np.float64).reshape(-1, 3, 3)
        # Most writers use 0…1, some 0…255.
        return np.clip(colors * (1.0 if colors.max() > 1.0 else 255.0), 0, 255).round().astype(np.uint8)
    color = (1.0, 1.0, 1.0) if textured else look.color
    return np.broadcast_to(np.uint8(np.clip(np.multiply(color, 255), 0, 255).round()), (len(faces), 3, 3))
