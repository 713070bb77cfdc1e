"""Reader of annotated scans: the mesh with its colours, and on each triangle the object of the semantic mesh there."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from harken.errors import SceneError
from harken.raytracing import Triangles
from harken.scene.datasets.annotations import Annotations, annotations_of
from harken.scene.datasets.configs import SceneDatasetConfig, config_above, frame_of
from harken.scene.datasets.descriptions import Instance
from harken.scene.datasets.sources import SOURCES
from harken.scene.readers.content import is_file
from harken.scene.readers.gltf.reading import read_gltf
from harken.scene.readers.parts import MeshPart, members_of
from harken.scene.readers.ply import read_ply_objects

__all__ = ["Z_UP", "read_annotated", "scan_frame"]

Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotation from axes with +z up and +y ahead to +y up, −z ahead."""

_REACH = 0.1
"""Greatest distance between a triangle and the surface of the semantic mesh that names it [m]."""
_AROUND = np.array([(x, y, z) for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1) if x or y or z], np.float64)
_AROUND /= np.linalg.norm(_AROUND, axis=1, keepdims=True)
_SAME_BOX = 0.5
"""Greatest difference between the corners of the boxes of both meshes of a scan [m]."""
_FULL_TEXTURE = 2**15
"""Textures that hold the numbers of objects are not scaled down: a mean of two colours is a third object's."""


def scan_frame(mesh: Path, kind: Literal["", "semantic_"] = "") -> np.ndarray | None:
    """Return the rotation ``(3, 3)`` from a stage's axes to +y up, −z ahead, as its data set says; None if it does not.

    Args:
        mesh: The mesh of a stage or scan.
        kind: ``"semantic_"`` for the axes of its semantic mesh.

    Raises:
        SceneError: The data set's configuration is damaged.
    """
    file = config_above(mesh)
    if file is None:
        return None
    own = mesh.with_name(f"{mesh.stem}.stage_config.json")
    attributes = SceneDatasetConfig(file).attributes("stages", own if is_file(own) else None)
    return frame_of(attributes, str(file), kind)


def read_annotated(mesh: Path, up: Literal["auto", "y", "z"] = "auto") -> tuple[list[MeshPart], list[str]]:
    """Read a scan of Matterport3D, Gibson or HM3D with its objects.

    Triangles have the object of the semantic mesh's surface that is nearest to their middle along their normal, within
    0.1 m, or else along an axis or a diagonal.

    Args:
        mesh: Its mesh, with annotations beside it; see `annotations_of`.
        up: Axis that points up in the file. "auto" is what the data set's configuration says, else z.

    Returns:
        The parts, in metres, +y up, named after their categories, and remarks for a warning.

    Raises:
        SceneError: A file is missing or damaged, or the semantic mesh lies elsewhere than the mesh.
        MissingDependencyError: A mesh needs a decoder that is not installed.
    """
    annotations = annotations_of(mesh)
    assert annotations is not None
    surfaces = annotations.checked_mesh()
    instances = annotations.instances()
    frame = scan_frame(mesh) if up == "auto" else (Z_UP if up == "z" else np.eye(3))
    frame = Z_UP if frame is None else frame
    parts, remarks = read_gltf(mesh)
    parts = [part.moved(_as_transform(frame)) for part in parts if len(part.faces)]
    if not parts:
        raise SceneError(f"{mesh}: the mesh is empty (no triangles). Fetch it again.")
    if annotations.layout == "hm3d":
        vertices, faces, objects = _textured_objects(surfaces, instances)
    else:
        vertices, faces, objects = read_ply_objects(surfaces)
    turned = scan_frame(mesh, "semantic_")
    candidates = [frame if turned is None else turned, Z_UP, np.eye(3)]
    vertices = _brought_together(parts, vertices, candidates, surfaces)
    label = _labeller(vertices, faces, objects)
    labelled: list[MeshPart] = []
    for part in parts:
        numbers = label(part)
        for rows in members_of(numbers):
            instance = instances.get(int(numbers[rows[0]]))
            if instance is None:
                labelled.append(part.only(rows, node="", mesh="", group="", thing=0))
            else:
                labelled.append(
                    part.only(rows, node=instance.name, mesh=instance.detail, group="", thing=instance.number + 1)
                )
    return labelled, remarks + _remarks(mesh, annotations, labelled, remarks)


def _as_transform(frame: np.ndarray) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3] = frame
    return transform


def _textured_objects(path: Path, instances: dict[int, Instance]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, triangles and the object of each, by the colour of HM3D's semantic texture in its middle."""
    numbers = {instance.color: number for number, instance in instances.items()}
    colors = np.array(sorted(numbers), np.int64)
    of_color = np.array([numbers[color] for color in colors.tolist()], np.int64)
    parts = [part for part in read_gltf(path, _FULL_TEXTURE)[0] if len(part.faces)]
    objects = []
    for part in parts:
        if part.texture is None or part.uv is None:
            raise SceneError(
                f"{path}: a surface has no texture to tell its object by. Get the file of HM3D-Semantics v0.2 from "
                f"{SOURCES['hm3d']}."
            )
        height, width = part.texture.shape[:2]
        middle = np.nan_to_num(part.uv.mean(axis=1))
        column = np.floor(middle[:, 0] * width).astype(np.int64) % width
        row = np.floor((1.0 - middle[:, 1]) * height).astype(np.int64) % height
        pixel = part.texture[row, column].astype(np.int64)
        code = (pixel[:, 0] << 16) | (pixel[:, 1] << 8) | pixel[:, 2]
        place = np.minimum(np.searchsorted(colors, code), len(colors) - 1)
        objects.append(np.where(colors[place] == code, of_color[place], -1))
    if not parts:
        raise SceneError(f"{path}: the mesh is empty (no triangles). Fetch it again.")
    starts = np.cumsum([0, *[len(part.vertices) for part in parts]])
    faces = [part.faces + start for part, start in zip(parts, starts, strict=False)]
    return np.concatenate([part.vertices for part in parts]), np.concatenate(faces), np.concatenate(objects)


def _brought_together(parts: list[MeshPart], vertices: np.ndarray, frames: list[np.ndarray], path: Path) -> np.ndarray:
    """Return the semantic mesh's vertices in the first of some frames in which its box is that of the mesh."""
    corners = np.array([(part.vertices.min(axis=0), part.vertices.max(axis=0)) for part in parts])
    lower, upper = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    for frame in frames:
        turned = vertices @ frame.T
        if np.abs([turned.min(axis=0) - lower, turned.max(axis=0) - upper]).max() < _SAME_BOX:
            return turned
    raise SceneError(
        f"{path} has another box than the mesh that it describes, from {np.round(lower, 2)} to {np.round(upper, 2)} m. "
        "Check that both are files of one scan."
    )


def _labeller(vertices: np.ndarray, faces: np.ndarray, objects: np.ndarray) -> Callable[[MeshPart], np.ndarray]:
    """Return a function that gives each triangle of a part the object ``(F,)`` at its middle, -1 for none."""
    origin = vertices.min(axis=0)  # rays are cast in single precision
    triangles = Triangles(vertices - origin, faces)

    def label(part: MeshPart) -> np.ndarray:
        corners = part.vertices[part.faces] - origin
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        length = np.linalg.norm(normal, axis=1, keepdims=True)
        normal = np.where(length > 0, normal / np.maximum(length, 1e-300), [0.0, 1.0, 0.0])
        found, nearest = np.full(len(corners), -1), np.full(len(corners), np.inf)
        for side in (1.0, -1.0):
            start = corners.mean(axis=1) + side * _REACH * normal
            distance, hit, _ = triangles.closest(start, -side * normal, far=2.0 * _REACH)
            away = np.where(hit >= 0, np.abs(distance - _REACH), np.inf)
            nearer = away < nearest
            found[nearer], nearest[nearer] = objects[hit[nearer]], away[nearer]
        # At the edge of an object its surface in the semantic mesh may end a little earlier: look around.
        missed = np.flatnonzero(~np.isfinite(nearest))
        for direction in _AROUND if len(missed) else ():
            distance, hit, _ = triangles.closest(corners[missed].mean(axis=1), direction, far=_REACH)
            nearer = (hit >= 0) & (distance < nearest[missed])
            found[missed[nearer]], nearest[missed[nearer]] = objects[hit[nearer]], distance[nearer]
        return found

    return label


def _remarks(mesh: Path, annotations: Annotations, parts: list[MeshPart], others: list[str]) -> list[str]:
    remarks = []
    if mesh.name.endswith(".basis.glb") and any("KTX2" in remark for remark in others):
        remarks.append(f"meshes with textures that can be read are among the full files of {SOURCES['hm3d']}")
    counts = np.array([(len(part.faces), part.thing > 0) for part in parts])
    bare = 1.0 - counts[counts[:, 1] == 1, 0].sum() / counts[:, 0].sum()
    if bare > 0.5:
        remarks.append(
            f"{bare:.0%} of its triangles lie on no object of {annotations.mesh.name}; check that both belong to one "
            "scan"
        )
    return remarks
