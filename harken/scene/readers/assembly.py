"""From the parts of a mesh to one scene: axes, units, categories, objects, appearance."""

from collections.abc import Mapping

import numpy as np

from harken.errors import SceneError
from harken.scene.labels import match_category
from harken.scene.materials import AcousticMaterial
from harken.scene.readers.materials import MaterialChooser
from harken.scene.readers.parts import MeshPart
from harken.scene.scene import Appearance, Scene, SceneObject
from harken.scene.vocabulary import CATEGORIES, category_indices

__all__ = ["assemble", "axes_remark", "size_remark"]

_GREY = (190, 190, 185)
_LEAST_AREA = 1e-12
"""Area below which a triangle counts as having none [m²]."""
_STOREY = 1.8
"""Least height of a building [m]; what is flatter says nothing about where up is."""
_TOLERATED_DEGENERATE = 0.01
"""Share of triangles without area that is dropped without a word."""


def assemble(
    parts: list[MeshPart],
    *,
    materials: Mapping[str, AcousticMaterial],
    z_up: bool,
    scale: float,
    name: str,
    source: str,
) -> tuple[Scene, list[str]]:
    """Make one scene of the parts of a mesh.

    Args:
        parts: The parts, in the file's axes and units.
        materials: Materials by name, node, mesh or category.
        z_up: Whether +z is up in the file; (x, y, z) then becomes (x, z, −y).
        scale: Metres per unit of the file.
        name: Name of the scene.
        source: Where the scene came from.

    Returns:
        The scene, and remarks for a warning.

    Raises:
        SceneError: No triangle has an area, or positions are not finite.
    """
    parts = [part for part in parts if len(part.faces)]
    if not parts:
        raise SceneError(f"{source}: the mesh is empty (no triangles). Check the file or the export settings.")
    offsets = np.cumsum([0, *[len(part.vertices) for part in parts]])
    vertices = np.concatenate([part.vertices for part in parts]) * scale
    faces = np.concatenate([part.faces + offset for part, offset in zip(parts, offsets, strict=False)])
    if z_up:
        vertices = np.stack([vertices[:, 0], vertices[:, 2], -vertices[:, 1]], axis=1)
    bad = int((~np.isfinite(vertices)).any(1).sum())
    if bad:
        raise SceneError(
            f"{source}: {bad} of {len(vertices)} vertices are NaN or infinite. Repair the mesh before loading, "
            "or drop the vertices and their faces in the program that wrote it."
        )
    chooser = MaterialChooser(materials)
    categories = [_category(part) for part in parts]
    numbers = [chooser.choose(part, category) for part, category in zip(parts, categories, strict=True)]
    part_of = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    keep = _areas(vertices, faces) > _LEAST_AREA
    if not keep.any():
        raise SceneError(f"{source}: none of the {len(faces)} triangles has an area. Check the export and `scale`.")
    positions, faces = _weld(vertices.astype(np.float32), faces[keep])
    part_of = part_of[keep]
    scene = Scene(
        vertices=positions,
        faces=faces,
        materials=chooser.materials,
        material=np.array(numbers, np.int32)[part_of],
        categories=CATEGORIES,
        category=category_indices(categories)[part_of],
        instance=np.array([part.thing for part in parts], np.int32)[part_of],
        objects=_objects(parts, categories, vertices),
        appearance=_appearance(parts, keep),
        name=name,
        source=source,
    )
    return scene, _remarks(keep, chooser)


def _category(part: MeshPart) -> str:
    """The node says what a thing is; the mesh, the node above and the material speak where it does not."""
    for label in (part.node, part.mesh, part.group, part.material):
        category = match_category(label)
        if category != "unknown":
            return category
    return "unknown"


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _weld(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join vertices at exactly the same place, since colours and textures are kept per corner, and drop unused ones."""
    used, local = np.unique(faces, return_inverse=True)
    points = np.ascontiguousarray(vertices[used]) + np.float32(0.0)  # −0 and 0 are one place.
    _, first, place = np.unique(points.view([("", np.float32)] * 3).ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return points[first[order]], np.int32(rank[place.ravel()[local.ravel()]]).reshape(-1, 3)


def _objects(parts: list[MeshPart], categories: list[str], vertices: np.ndarray) -> tuple[SceneObject, ...]:
    starts = np.cumsum([0, *[len(part.vertices) for part in parts]])
    members: dict[int, list[int]] = {}
    for index, part in enumerate(parts):
        if part.thing:
            members.setdefault(part.thing, []).append(index)
    objects, taken = [], set()
    for thing in sorted(members):
        indices = members[thing]
        largest = sorted(indices, key=lambda i: -len(parts[i].faces))
        category = next((categories[i] for i in largest if categories[i] != "unknown"), "unknown")
        base = parts[indices[0]].group or parts[indices[0]].node or f"object {thing}"
        label = base if base not in taken else f"{base} {thing}"
        taken.add(label)
        corners = np.concatenate(
            [vertices[starts[i] : starts[i + 1]][np.unique(parts[i].faces)] for i in indices]
        ).astype(np.float32)
        objects.append(
            SceneObject(
                instance=thing, category=category, name=label, lower=corners.min(axis=0), upper=corners.max(axis=0)
            )
        )
    return tuple(objects)


def _appearance(parts: list[MeshPart], keep: np.ndarray) -> Appearance:
    textures: dict[int, np.ndarray] = {}
    colors, index, uv = [], [], []
    for part in parts:
        count = len(part.faces)
        grey = np.broadcast_to(np.array(_GREY, np.uint8), (count, 3, 3))
        colors.append(grey if part.colors is None else part.colors)
        uv.append(np.zeros((count, 3, 2), np.float32) if part.uv is None else part.uv.astype(np.float32))
        if part.texture is not None:
            textures.setdefault(id(part.texture), part.texture)
        number = -1 if part.texture is None or part.uv is None else list(textures).index(id(part.texture))
        index.append(np.full(count, number, np.int32))
    return Appearance(
        colors=np.concatenate(colors)[keep],
        texture=np.concatenate(index)[keep],
        uv=np.nan_to_num(np.concatenate(uv)[keep]),
        textures=tuple(textures.values()),
    )


def _remarks(keep: np.ndarray, chooser: MaterialChooser) -> list[str]:
    remarks: list[str] = []
    dropped = int((~keep).sum())
    if dropped > _TOLERATED_DEGENERATE * len(keep):
        remarks.append(f"{dropped} of {len(keep)} triangles have no area and were dropped; check the export")
    if chooser.unlabelled:
        remarks.append(
            f"{chooser.unlabelled} of {len(keep)} triangles have no label that names a material and are treated as "
            "'default'; pass materials={'<name>': '<material>'} or a .materials.json file"
        )
    if chooser.given.keys() - {"default"} and not chooser.used & set(chooser.given):
        remarks.append(
            f"none of the given materials ({', '.join(sorted(chooser.given)[:6])}) is the name of a material, node or "
            "category in the file"
        )
    return remarks


def axes_remark(scene: Scene) -> str | None:
    """Return a remark where floors and ceilings seem to face sideways, None where nothing is suspicious.

    In buildings more area faces up and down than along either other axis, and height is the smallest extent; both have
    to speak clearly against y before anything is said.
    """
    share = (np.abs(scene.normals) > 0.99).T @ scene.areas
    extent = scene.bounds[1] - scene.bounds[0]
    if share[2] > 1.5 * share[1] and _STOREY < extent[2] < 0.8 * min(extent[0], extent[1]):
        return "its floors seem to face along z as loaded; pass up='z' if +z is up in the file, or up='y' if +y is"
    return None


def size_remark(scene: Scene) -> str | None:
    """Return a remark where the size speaks for other units than metres, None where nothing is suspicious."""
    extent = scene.bounds[1] - scene.bounds[0]
    height, largest = float(extent[1]), float(extent.max())
    if height > 1800.0 or largest > 30_000.0:
        unit = ("millimetres", "scale=0.001")
    elif largest > 300.0 or height > 120.0:
        unit = ("centimetres", "scale=0.01")
    elif largest < 1.0:
        unit = ("another unit", f"scale={10 ** int(np.ceil(np.log10(3.0 / max(largest, 1e-9)))):g}")
    else:
        return None
    size = " × ".join(f"{value:.3g}" for value in extent)
    return f"it is {size} m large (x × y × z), which looks like {unit[0]}; pass {unit[1]} if that is so"
