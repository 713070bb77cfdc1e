"""From the parts of a mesh to one scene: axes, units, categories, objects, appearance."""

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np

from harken.errors import SceneError
from harken.scene.labels import LabelUse, match_category, match_material
from harken.scene.materials import AcousticMaterial
from harken.scene.readers.axes import guess_up
from harken.scene.readers.materials import MaterialChooser, Origin
from harken.scene.readers.parts import MeshPart
from harken.scene.scene import Appearance, Scene, SceneObject
from harken.scene.vocabulary import CATEGORIES, category_indices

__all__ = ["assemble"]

_GREY = (190, 190, 185)
_LEAST_AREA = 1e-12
"""Area below which a triangle counts as having none [m²]."""
_FARTHEST = 1e9
"""Largest coordinate [m]; larger values are certainly errors, and float64 loses the necessary precision there."""
_WELD_GRID = 1000.0
"""The middle of a scene is rounded to this before vertices are joined [m]."""
_TOLERATED_DEGENERATE = 0.01
"""Share of triangles without area up to which they are dropped without a warning."""


def assemble(
    parts: list[MeshPart],
    *,
    materials: Mapping[str, AcousticMaterial],
    up: Literal["auto", "y", "z"],
    usual_up: Literal["y", "z"],
    scale: float,
    name: str,
    source: str,
) -> tuple[Scene, list[str]]:
    """Make one scene of the parts of a mesh.

    Args:
        parts: The parts, in the file's axes and units.
        materials: Materials by name, node, mesh or category.
        up: Axis of the file that points up; with z, (x, y, z) becomes (x, z, −y). "auto" guesses.
        usual_up: Axis that mostly does in files of this format.
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
    bad = int((~np.isfinite(vertices)).any(1).sum())
    if bad:
        raise SceneError(
            f"{source}: {bad} of {len(vertices)} vertices are NaN or infinite. Repair the mesh before loading, "
            "or drop the vertices and their faces in the program that wrote it."
        )
    if np.abs(vertices).max() > _FARTHEST:
        raise SceneError(
            f"{source}: vertices lie up to {np.abs(vertices).max():.3g} m from the origin; expected at most "
            f"{_FARTHEST:g} m. Check the file and `scale`."
        )
    chooser = MaterialChooser(materials, source)
    categories = [_category(part) for part in parts]
    choices = [chooser.choose(part, category) for part, category in zip(parts, categories, strict=True)]
    part_of = np.repeat(np.arange(len(parts)), [len(part.faces) for part in parts])
    areas = _areas(vertices, faces)
    keep = areas > _LEAST_AREA
    if not keep.any():
        raise SceneError(f"{source}: none of the {len(faces)} triangles has an area. Check the export and `scale`.")
    category = category_indices(categories)[part_of]
    remarks = _remarks(keep, chooser)
    if up == "auto":
        up, reason = guess_up(vertices[faces[keep]], category[keep], usual_up)
        if reason is not None:
            instead = f"pass up={usual_up!r} (--up {usual_up}) if {usual_up} is"
            remarks.append(f"{up} was taken for up, because {reason}; {instead}")
    if up == "z":
        vertices = np.stack([vertices[:, 0], vertices[:, 2], -vertices[:, 1]], axis=1)
    part_areas = np.bincount(part_of, weights=areas, minlength=len(parts))
    labels = _labels(parts, categories, [(chooser.materials[n].name, origin) for n, origin in choices], part_areas)
    positions, faces = _weld(vertices, faces[keep])
    part_of = part_of[keep]
    scene = Scene(
        vertices=positions,
        faces=faces,
        materials=chooser.materials,
        material=np.array([number for number, _ in choices], np.int32)[part_of],
        categories=CATEGORIES,
        category=category[keep],
        instance=np.array([part.thing for part in parts], np.int32)[part_of],
        objects=_objects(parts, categories, vertices),
        appearance=_appearance(parts, keep),
        labels=labels,
        name=name,
        source=source,
    )
    return scene, remarks


def _category(part: MeshPart) -> str:
    """The name of the node decides; if it matches nothing, those of the mesh, the parent node and the material."""
    for label in (part.node, part.mesh, part.group, part.material):
        category = match_category(label)
        if category != "unknown":
            return category
    return "unknown"


def _areas(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


def _weld(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Join vertices at the same place, since colours and textures are stored per corner, and drop unused ones.

    Vertices are at the same place if they are equal in float32 relative to the scene's middle, as scenes are traced.
    """
    corners, local = np.unique(faces, return_inverse=True)
    points = np.ascontiguousarray(vertices[corners]) + 0.0  # −0 and 0 are the same place.
    # Rounded, so that scenes around the origin are welded in their own coordinates.
    middle = np.round(0.5 * (points.min(axis=0) + points.max(axis=0)) / _WELD_GRID) * _WELD_GRID
    near = np.ascontiguousarray((points - middle).astype(np.float32)) + np.float32(0.0)
    _, first, place = np.unique(near.view([("", np.float32)] * 3).ravel(), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return points[first[order]], np.int32(rank[place.ravel()[local.ravel()]]).reshape(-1, 3)


def _labels(
    parts: list[MeshPart], categories: list[str], materials: list[tuple[str, Origin]], areas: np.ndarray
) -> tuple[LabelUse, ...]:
    """Return the interpretation of each label, largest area first; labels that differ in a final number are merged."""
    totals: dict[tuple[str, str, str, str, Origin], float] = {}
    for part, category, (material, origin), area in zip(parts, categories, materials, areas.tolist(), strict=True):
        label, *rest = (_unnumbered(name) for name in (*part.labels, ""))
        meanings = (match_category(part.material) != "unknown", match_material(part.material) is not None)
        within = "" if all(meanings) or origin == "unknown" else next((name for name in rest if name != label), "")
        key = (label, within, category, material, origin)
        totals[key] = totals.get(key, 0.0) + area
    uses = [
        LabelUse(label=label, within=within, category=category, material=material, origin=origin, area=area)
        for (label, within, category, material, origin), area in totals.items()
    ]
    return tuple(sorted(uses, key=lambda use: (-use.area, use.label)))


def _unnumbered(label: str) -> str:
    return re.sub(r"[\W\d_]+$", "", label) or label


def _objects(parts: list[MeshPart], categories: list[str], vertices: np.ndarray) -> tuple[SceneObject, ...]:
    starts = np.cumsum([0, *[len(part.vertices) for part in parts]])
    members: dict[int, list[int]] = {}
    for index, part in enumerate(parts):
        if part.thing:
            members.setdefault(part.thing, []).append(index)
    objects, names = [], set()
    for thing in sorted(members):
        indices = members[thing]
        largest = sorted(indices, key=lambda i: -len(parts[i].faces))
        category = next((categories[i] for i in largest if categories[i] != "unknown"), "unknown")
        base = parts[indices[0]].group or parts[indices[0]].node or f"object {thing}"
        label = base if base not in names else f"{base} {thing}"
        names.add(label)
        corners = np.concatenate([vertices[starts[i] : starts[i + 1]][np.unique(parts[i].faces)] for i in indices])
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
    if chooser.guessed:
        names = ", ".join(repr(name) for name in list(chooser.guessed)[:4]) + (" …" if len(chooser.guessed) > 4 else "")
        remarks.append(
            f"{len(chooser.guessed)} name(s) of materials say nothing ({names}); their surfaces are taken for what "
            f"such things are mostly made of ({', '.join(sorted(set(chooser.guessed.values()))[:6])}); look at "
            "`harken scene FILE`, and pass materials={'<name>': '<material>'} where that is wrong"
        )
    if chooser.custom.keys() - {"default"} and not chooser.matches & set(chooser.custom):
        remarks.append(
            f"none of the given materials ({', '.join(sorted(chooser.custom)[:6])}) is the name of a material, node or "
            "category in the file"
        )
    return remarks
