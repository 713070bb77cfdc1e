"""Reader of PLY files, such as scans of rooms with a colour per vertex and an object per face (Replica)."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import SceneError
from harken.scene.readers.parts import MeshPart, shrink_texture

__all__ = ["read_ply"]

_OBJECT_FIELDS = ("object_id", "objectId", "instance_id", "segment_id")


def read_ply(path: Path) -> tuple[list[MeshPart], list[str]]:
    """Read a PLY file: colours per vertex or face, a texture, and objects per face.

    A whole number per face named ``object_id`` (or ``instance_id``, ``segment_id``) splits the mesh into objects; their
    classes come from Replica's ``info_semantic.json`` beside the file, where there is one.

    Args:
        path: The file, ASCII or binary, of triangles or quads.

    Returns:
        The parts, and remarks about what is missing, for a warning.

    Raises:
        SceneError: The file is not PLY, is cut off or broken, or has faces that are neither triangles nor quads.
    """
    import trimesh

    try:
        mesh = trimesh.load(path, process=False, force=None)
        if not isinstance(mesh, trimesh.Trimesh):
            mesh = mesh.to_mesh() if isinstance(mesh, trimesh.Scene) and mesh.geometry else None
    except Exception as error:
        raise SceneError(
            f"{path} cannot be read as PLY: {error or type(error).__name__}. It may be cut off or broken, or mix "
            "triangles with larger polygons; export it again as triangles."
        ) from error
    if mesh is None or len(mesh.faces) == 0:
        raise SceneError(
            f"{path}: the mesh is empty (no triangles). Point clouds cannot be used; mesh the points first."
        )
    raw = mesh.metadata.get("_ply_raw", {})
    _check_complete(path, raw)
    faces, objects = _faces(mesh, raw.get("face", {}).get("data"))
    colors, uv, texture, remarks = _look(path, mesh, faces)
    if objects is None:
        part = MeshPart(vertices=np.asarray(mesh.vertices), faces=faces, colors=colors, uv=uv, texture=texture)
        return [part], remarks
    classes = _classes(path)
    parts = []
    for thing, number in enumerate(np.unique(objects), 1):
        chosen = objects == number
        used, local = np.unique(faces[chosen], return_inverse=True)
        parts.append(
            MeshPart(
                vertices=np.asarray(mesh.vertices)[used],
                faces=local.reshape(-1, 3),
                node=classes.get(int(number), ""),
                thing=thing if number > 0 else 0,
                colors=None if colors is None else colors[chosen],
                uv=None if uv is None else uv[chosen],
                texture=texture,
            )
        )
    return parts, remarks


def _check_complete(path: Path, raw: dict[str, Any]) -> None:
    for name, element in raw.items():
        data = element.get("data")
        columns = list(data.values()) if isinstance(data, dict) else [data]
        found = min((0 if column is None else len(column) for column in columns), default=0)
        if found < element["length"]:
            raise SceneError(
                f"{path}: the header promises {element['length']} × {name} but {found} are there. "
                "The file is cut off; export or copy it again."
            )
    faces = raw.get("face", {}).get("properties", {})
    with path.open("rb") as file:
        is_ascii = b"format ascii" in file.read(200)
        if not is_ascii or "$LIST" not in next(iter(faces.values()), ""):
            return
        file.seek(0, 2)
        file.seek(max(0, file.tell() - 4096))
        last = file.read().split(b"\n")[-2:]
    words = next((line.split() for line in reversed(last) if line.strip()), [])
    # Trimesh takes what it finds of a line; a list says itself how long it is.
    if list(raw)[-1] == "face" and len(words) < len(faces) + int(words[0]):
        raise SceneError(f"{path}: the last face is not complete. The file is cut off; export or copy it again.")


def _faces(mesh: Any, data: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return triangles ``(F, 3)`` and the object of each, None where the file has none."""
    faces = np.asarray(mesh.faces, np.int64)
    names = list(data) if isinstance(data, dict) else list(getattr(getattr(data, "dtype", None), "names", None) or ())
    field = next((name for name in _OBJECT_FIELDS if name in names), None)
    lists = next((name for name in ("vertex_indices", "vertex_index") if name in names), None)
    if field is None or lists is None or mesh.visual.kind == "texture":
        return faces, None
    polygons = data[lists] if isinstance(data, dict) else data[lists]["f1"]
    polygons = np.asarray(polygons)
    if polygons.ndim != 2 or polygons.shape[1] not in (3, 4):
        return faces, None
    objects = np.asarray(data[field]).ravel().astype(np.int64)
    fans = [polygons[:, [0, i, i + 1]] for i in range(1, polygons.shape[1] - 1)]
    return np.concatenate(fans).astype(np.int64), np.tile(objects, len(fans))


def _look(
    path: Path, mesh: Any, faces: np.ndarray
) -> tuple[np.ndarray | None, np.ndarray | None, np.ndarray | None, list[str]]:
    """Return colours and texture coordinates per corner, the texture, and remarks."""
    kind = mesh.visual.kind
    if kind == "vertex":
        return np.asarray(mesh.visual.vertex_colors)[:, :3][faces], None, None, []
    if kind == "face" and len(mesh.visual.face_colors) == len(faces):
        return np.repeat(np.asarray(mesh.visual.face_colors)[:, None, :3], 3, axis=1), None, None, []
    if kind == "texture":
        image = getattr(mesh.visual.material, "image", None)
        if image is not None and mesh.visual.uv is not None:
            white = np.full((len(faces), 3, 3), 255, np.uint8)
            return white, np.asarray(mesh.visual.uv)[faces], shrink_texture(image), []
        return None, None, None, ["its texture is missing or broken, so its surfaces are grey"]
    return None, None, None, []


def _classes(path: Path) -> dict[int, str]:
    """Return the class of each object from Replica's ``info_semantic.json``, empty where there is no such file."""
    for file in (path.parent / "info_semantic.json", path.parent / "habitat" / "info_semantic.json"):
        if file.is_file():
            try:
                return {int(entry["id"]): str(entry["class_name"]) for entry in json.loads(file.read_text())["objects"]}
            except (ValueError, KeyError, TypeError) as error:
                raise SceneError(
                    f"{file} is not as Replica writes it: expected {{'objects': [{{'id', 'class_name'}}, …]}}. "
                    "Repair it or move it away."
                ) from error
    return {}
