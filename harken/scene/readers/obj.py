"""Reader of Wavefront OBJ files with their MTL files.

Own code, because trimesh keeps the names of materials only where an MTL file exists and cuts concave polygons into
fans: here the names decide the sound, and a notch in a wall is a door.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from harken.errors import SceneError
from harken.scene.readers.parts import MeshPart, open_texture
from harken.scene.readers.polygons import triangulate

__all__ = ["read_obj"]

_NONE = -(2**31)


@dataclass(kw_only=True)
class _Look:
    """An entry of an MTL file."""

    color: tuple[float, float, float] = (0.745, 0.745, 0.725)
    map: str = ""


@dataclass(kw_only=True)
class _Lines:
    """The content of an OBJ file, as read."""

    vertices: list[list[float]] = field(default_factory=list)
    uv: list[list[float]] = field(default_factory=list)
    groups: dict[tuple[str, str, str], dict[int, list[list[int]]]] = field(default_factory=dict)
    """(object, group, material) → corners per face → faces, each as vertex indices and then as many uv indices."""
    libraries: list[str] = field(default_factory=list)


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
    looks: dict[str, _Look] = {}
    for library in lines.libraries:
        file = path.parent / library
        if file.is_file():
            looks.update(_parse_mtl(file))
        else:
            remarks.append(f"its material file {library!r} is missing, so surfaces are grey")
    names = {group: group[0] or group[1] for group in lines.groups}
    distinct = list(dict.fromkeys(name for name in names.values() if name))
    textures: dict[str, np.ndarray | None] = {}
    points = np.array([row[:3] for row in lines.vertices], np.float64).reshape(-1, 3)
    coordinates = np.array(lines.uv, np.float64).reshape(-1, 2)
    parts = []
    for group, faces in lines.groups.items():
        if not faces:
            continue
        material = group[2]
        look = looks.get(material, _Look())
        if look.map and look.map not in textures:
            textures[look.map] = open_texture(path.parent / look.map.replace("\\", "/"))
            if textures[look.map] is None:
                remarks.append(f"texture {look.map!r} is missing or broken, so its surfaces are grey")
        thing = distinct.index(names[group]) + 1 if len(distinct) > 1 and names[group] else 0
        parts.append(_part(path, lines, points, coordinates, faces, group, look, textures.get(look.map), thing))
    return parts, remarks


def _parse(path: Path) -> _Lines:
    lines = _Lines()
    current = ["", "", ""]
    faces: dict[int, list[list[int]]] | None = None
    text = path.read_text("utf-8", errors="replace").replace("\\\r\n", " ").replace("\\\n", " ")
    for number, line in enumerate(text.splitlines(), 1):
        key, _, rest = line.strip().partition(" ")
        try:
            if key == "v":
                row = [float(x) for x in rest.split()]
                if len(row) < 3:
                    raise ValueError("fewer than three coordinates")
                lines.vertices.append(row if len(row) == 6 else row[:3])
            elif key == "vt":
                lines.uv.append(([float(x) for x in rest.split()[:2]] + [0.0])[:2])
            elif key == "f":
                if faces is None:
                    faces = lines.groups.setdefault((current[0], current[1], current[2]), {})
                face = _parse_face(rest, len(lines.vertices), len(lines.uv))
                # Some exporters write edges as faces of two corners; they have no area.
                if len(face) >= 6:
                    faces.setdefault(len(face) // 2, []).append(face)
            elif key in ("o", "g", "usemtl"):
                current[("o", "g", "usemtl").index(key)] = rest.strip()
                faces = None
            elif key == "mtllib":
                lines.libraries.append(rest.strip())
        except (ValueError, IndexError) as error:
            raise SceneError(
                f"{path}: line {number} cannot be read as OBJ ({error}): {line.strip()[:80]!r}. "
                "The file may be cut off or not be an OBJ file; export it again."
            ) from error
    return lines


def _parse_face(rest: str, vertices: int, uvs: int) -> list[int]:
    """Return vertex indices, then texture-coordinate indices, from 0; negative ones count back from the last line."""
    corners = [corner.split("/") for corner in rest.split()]
    places = [int(corner[0]) for corner in corners]
    maps = [int(corner[1]) if len(corner) > 1 and corner[1] else 0 for corner in corners]
    vertex = [i - 1 if i > 0 else vertices + i for i in places]
    uv = [i - 1 if i > 0 else uvs + i if i < 0 else _NONE for i in maps]
    if not all(map(int, places)) or min(vertex) < 0:
        raise ValueError("there is no vertex 0 or before the first")
    return vertex + uv


def _part(
    path: Path,
    lines: _Lines,
    points: np.ndarray,
    coordinates: np.ndarray,
    faces: dict[int, list[list[int]]],
    group: tuple[str, str, str],
    look: _Look,
    texture: np.ndarray | None,
    thing: int,
) -> MeshPart:
    triangles, maps = [], []
    for n, rows in faces.items():
        table = np.array(rows, np.int64)
        if table[:, :n].max() >= len(points):
            raise SceneError(
                f"{path}: a face names vertex {table[:, :n].max() + 1} of {len(points)}. The file may be cut off."
            )
        corners, polygon = triangulate(points, table[:, :n])
        triangles.append(np.take_along_axis(table[polygon, :n], corners, axis=1))
        maps.append(np.take_along_axis(table[polygon, n:], corners, axis=1))
    faces_, maps_ = np.concatenate(triangles), np.concatenate(maps)
    used, local = np.unique(faces_, return_inverse=True)
    known = (maps_ >= 0) & (maps_ < len(coordinates))
    uv = np.zeros((len(faces_), 3, 2))
    uv[known] = coordinates[maps_[known]]
    return MeshPart(
        vertices=points[used],
        faces=local.reshape(-1, 3),
        material=group[2],
        node=group[0] or group[1],
        mesh=group[1],
        thing=thing,
        colors=_colors(lines, faces_, look, texture is not None),
        uv=uv,
        texture=texture,
    )


def _colors(lines: _Lines, faces: np.ndarray, look: _Look, textured: bool) -> np.ndarray:
    """Return ``(F, 3, 3)`` colours: of the vertices where all have one, else of the material."""
    corners = [lines.vertices[i] for i in faces.ravel()] if len(lines.vertices[faces[0, 0]]) == 6 else []
    if corners and all(len(row) == 6 for row in corners):
        colors = np.array([row[3:] for row in corners], np.float64).reshape(-1, 3, 3)
        # Most writers use 0…1, some 0…255.
        return np.clip(colors * (1.0 if colors.max() > 1.0 else 255.0), 0, 255).round().astype(np.uint8)
    color = (1.0, 1.0, 1.0) if textured else look.color
    return np.broadcast_to(np.uint8(np.clip(np.multiply(color, 255), 0, 255).round()), (len(faces), 3, 3))


def _parse_mtl(path: Path) -> dict[str, _Look]:
    """Read diffuse colours and diffuse maps from an MTL file; everything else in it concerns shading."""
    looks: dict[str, _Look] = {}
    look = _Look()
    for line in path.read_text("utf-8", errors="replace").splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "newmtl":
            look = looks.setdefault(rest.strip(), _Look())
        elif key == "Kd":
            values = [float(x) for x in rest.split()[:3] if x.replace(".", "", 1).replace("e-", "", 1).isdigit()]
            if len(values) == 3:
                look.color = (values[0], values[1], values[2])
        elif key == "map_Kd":
            name = rest.strip()
            # Options such as «-s 1 1 1» stand before the file name, which may hold spaces itself.
            look.map = name.split()[-1] if name.startswith("-") else name
    return looks
