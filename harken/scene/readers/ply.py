"""Reader of PLY files, such as scans of rooms with a colour per vertex and an object per face (Replica).

Own code, because trimesh closes the notch of a concave face, reads an index of 1.5 as 1, and loses the objects of faces
where triangles and quads are mixed.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harken.errors import SceneError
from harken.scene.datasets.descriptions import read_info_semantic
from harken.scene.readers.content import is_file, open_texture, read_content
from harken.scene.readers.parts import MeshPart, members_of, short_name
from harken.scene.readers.ply_elements import Element, PlyFault, read_elements
from harken.scene.readers.polygons import triangulate

__all__ = ["read_ply", "read_ply_objects"]

_OBJECT_FIELDS = ("object_id", "objectId", "instance_id", "segment_id")
_UV_FIELDS = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_COLOR_FIELDS = (("red", "green", "blue"), ("r", "g", "b"), ("diffuse_red", "diffuse_green", "diffuse_blue"))


def read_ply(path: Path) -> tuple[list[MeshPart], list[str]]:
    """Read a PLY file: polygons, colours per vertex or face, textures, and objects per face.

    A whole number per face named ``object_id`` (or ``instance_id``, ``segment_id``) splits the mesh into objects; their
    classes come from Replica's ``info_semantic.json`` beside the file, where there is one.

    Args:
        path: The file, ASCII or binary.

    Returns:
        The parts, and remarks about what is missing, for a warning.

    Raises:
        SceneError: The file is not PLY, is truncated or damaged, has no faces, or a face refers to a missing vertex.
    """
    try:
        elements, textures = read_elements(read_content(path))
        return _parts(path, elements, textures)
    except PlyFault as error:
        raise SceneError(
            f"{path} cannot be read as PLY: {error}. It may be cut off or broken; export or copy it again."
        ) from error


def read_ply_objects(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read a PLY file as surfaces of numbered objects, such as a semantic mesh of Matterport3D or Gibson.

    Args:
        path: The file, ASCII or binary.

    Returns:
        Vertices ``(V, 3)`` float64 in the file's axes and units, triangles ``(F, 3)``, and the object ``(F,)`` int64
        that each triangle belongs to, of the whole number per face named ``object_id``.

    Raises:
        SceneError: The file is not PLY, is truncated or damaged, or its faces have no such number.
    """
    try:
        elements, _ = read_elements(read_content(path))
        vertex, face = elements.get("vertex"), elements.get("face")
        if vertex is None or face is None or not all(axis in vertex.scalars for axis in "xyz"):
            raise PlyFault("it has no faces between vertices x, y, z")
        objects = next((face.scalars[name] for name in _OBJECT_FIELDS if name in face.scalars), None)
        if objects is None:
            raise PlyFault(f"its faces have no number of their object, such as {_OBJECT_FIELDS[0]}")
        vertices = np.stack([vertex.scalars[axis].astype(np.float64) for axis in "xyz"], axis=1)
        triangles, _ = _cut(vertices, face)
    except PlyFault as error:
        raise SceneError(
            f"{path} cannot be read as a semantic mesh: {error}. It may be cut off or broken; fetch it again."
        ) from error
    return vertices, triangles.faces, objects.astype(np.int64)[triangles.face]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Triangles:
    """Triangles, and the face and corners that each comes from."""

    faces: np.ndarray
    """``(F, 3)`` vertices."""
    face: np.ndarray
    """``(F,)`` which face of the file it was cut from."""
    corner: np.ndarray
    """``(F, 3)`` which corner of that face each of its corners was."""


def _parts(path: Path, elements: dict[str, Element], textures: list[str]) -> tuple[list[MeshPart], list[str]]:
    vertex, face = elements.get("vertex"), elements.get("face")
    if "tristrips" in elements:
        raise PlyFault("it holds strips of triangles, which are not read; write faces")
    if vertex is None or not vertex.count:
        raise PlyFault("the mesh is empty (no vertices)")
    if face is None or not face.count:
        raise SceneError(
            f"{path}: the mesh is empty (no triangles). Point clouds cannot be used; mesh the points first."
        )
    if not all(axis in vertex.scalars for axis in "xyz"):
        raise PlyFault("its vertices have no x, y and z")
    vertices = np.stack([vertex.scalars[axis].astype(np.float64) for axis in "xyz"], axis=1)
    triangles, remarks = _cut(vertices, face)
    images: list[np.ndarray | None] = [
        None if name in textures[:i] else open_texture(path.parent / name.replace("\\", "/"))
        for i, name in enumerate(textures)
    ]
    missing = [name for name, image in zip(textures, images, strict=True) if image is None]
    if missing:
        remarks.append(
            f"its texture {short_name(missing[0])!r} is missing, damaged or in a format that cannot be read, so its "
            "surfaces are grey"
        )
    colors, uv = _colors(vertex, face, triangles), _uv(vertex, face, triangles)
    objects = next((face.scalars[name] for name in _OBJECT_FIELDS if name in face.scalars), np.full(face.count, -1))
    image = face.scalars.get("texnumber", np.zeros(face.count, np.int64))
    things, object_of = np.unique(objects.astype(np.int64), return_inverse=True)
    numbers, image_of = np.unique(image.astype(np.int64), return_inverse=True)
    group = (object_of * len(numbers) + image_of)[triangles.face]
    classes = {} if things[-1] < 0 else _classes(path)
    parts = []
    for rows in members_of(group):
        which, what = divmod(int(group[rows[0]]), len(numbers))
        thing, number = int(things[which]), int(numbers[what])
        texture = images[number] if uv is not None and 0 <= number < len(images) else None
        faces, corners = triangles.faces[rows], slice(None)
        if len(rows) < len(triangles.faces):  # An object keeps only its own vertices.
            corners, local = np.unique(faces, return_inverse=True)
            faces = local.reshape(-1, 3)
        part_colors = None if colors is None else colors[rows]
        if texture is not None:  # The texture provides the colours.
            part_colors = np.full((len(rows), 3, 3), 255, np.uint8)
        parts.append(
            MeshPart(
                vertices=vertices[corners],
                faces=faces,
                node=classes.get(thing, ""),
                thing=which + 1 if thing > 0 else 0,
                colors=part_colors,
                uv=None if uv is None or texture is None else uv[rows],
                texture=texture,
            )
        )
    return parts, remarks


def _cut(vertices: np.ndarray, face: Element) -> tuple[_Triangles, list[str]]:
    """Cut the faces into triangles, in the order of the file within each number of corners."""
    name = next((name for name in ("vertex_indices", "vertex_index") if name in face.lists), None)
    if name is None:
        raise PlyFault("its faces have no list vertex_indices")
    corners = face.lists[name]
    if len(corners.values):
        low, high = float(corners.values.min()), float(corners.values.max())
        if low < 0 or high >= len(vertices):
            raise PlyFault(
                f"a face names vertex {low if low < 0 else high:.0f}, but there are {len(vertices)}, from 0 on"
            )
    batches: list[_Triangles] = []
    tangled = 0
    for n in np.unique(corners.counts).tolist():
        if n < 3:
            continue
        rows = np.flatnonzero(corners.counts == n)
        polygons = corners.rows(rows, n).astype(np.int64)
        local, polygon, crossing = triangulate(vertices, polygons)
        tangled += crossing
        faces = polygons[polygon[:, None], local]
        batches.append(_Triangles(faces=faces, face=rows[polygon], corner=local))
    if not batches:
        raise PlyFault("the mesh is empty (no triangles)")
    remarks = [f"{tangled} of its faces cross themselves, so that their surfaces may be wrong"] if tangled else []
    joined = {key: np.concatenate([getattr(batch, key) for batch in batches]) for key in ("faces", "face", "corner")}
    return _Triangles(**joined), remarks


def _colors(vertex: Element, face: Element, triangles: _Triangles) -> np.ndarray | None:
    """Return ``(F, 3, 3)`` uint8 colours per corner, of the vertices or else of the faces, None for none."""
    for element, index in ((vertex, triangles.faces), (face, np.repeat(triangles.face[:, None], 3, axis=1))):
        names = next((names for names in _COLOR_FIELDS if all(name in element.scalars for name in names)), None)
        if names is not None:
            columns = np.stack([element.scalars[name] for name in names], axis=1)
            if columns.dtype == np.uint8:
                return columns[index]
            values = columns.astype(np.float64)
            if not np.isfinite(values).all():
                raise PlyFault("its colours are not all finite")
            # Real numbers are shares of full scale, integers are relative to the maximum of their type.
            full = 255.0 if columns.dtype.kind == "f" else 255.0 / np.iinfo(columns.dtype).max
            return np.clip(values * full, 0, 255).round().astype(np.uint8)[index]
    return None


def _uv(vertex: Element, face: Element, triangles: _Triangles) -> np.ndarray | None:
    """Return ``(F, 3, 2)`` texture coordinates, of corners of faces or else of vertices, None for none."""
    if "texcoord" in face.lists:
        pairs = face.lists["texcoord"]
        corners = face.lists["vertex_indices" if "vertex_indices" in face.lists else "vertex_index"]
        if not (np.isin(pairs.counts, [0]) | (pairs.counts == 2 * corners.counts)).all():
            raise PlyFault("texcoord has another length than two numbers per corner of a face")
        if (pairs.counts[triangles.face] > 0).all():
            start = pairs.starts[triangles.face][:, None] + 2 * triangles.corner
            return np.stack([pairs.values[start], pairs.values[start + 1]], axis=-1).astype(np.float64)
    for names in _UV_FIELDS:
        if all(name in vertex.scalars for name in names):
            return np.stack([vertex.scalars[name].astype(np.float64) for name in names], axis=1)[triangles.faces]
    return None


def _classes(path: Path) -> dict[int, str]:
    """Return the class of each object from Replica's ``info_semantic.json``, empty where there is no such file."""
    for file in (path.parent / "info_semantic.json", path.parent / "habitat" / "info_semantic.json"):
        if is_file(file):
            return {number: instance.name for number, instance in read_info_semantic(file).items()}
    return {}
