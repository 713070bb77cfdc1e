"""Read scenes from files: glTF (GLB), OBJ and PLY, scans with their annotations, and composed scenes of Habitat."""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.checks import checked_number, checked_path
from harken.errors import (
    ConfigurationError,
    HarkenError,
    HarkenWarning,
    SceneError,
    UnknownNameError,
    did_you_mean,
)
from harken.scene.datasets.annotations import annotations_of
from harken.scene.datasets.configs import SCENE_SUFFIX
from harken.scene.datasets.instances import read_scene_instance
from harken.scene.datasets.labelling import read_annotated, scan_frame
from harken.scene.materials import AcousticMaterial
from harken.scene.readers.assembly import assemble
from harken.scene.readers.axes import size_remark
from harken.scene.readers.content import is_file
from harken.scene.readers.gltf.reading import read_gltf
from harken.scene.readers.materials import material_from_dict, read_materials
from harken.scene.readers.obj import read_obj
from harken.scene.readers.parts import MeshPart, short_name
from harken.scene.readers.ply import read_ply
from harken.scene.scene import Scene

__all__ = ["FORMATS", "read_scene"]

_READERS = {".glb": read_gltf, ".gltf": read_gltf, ".obj": read_obj, ".ply": read_ply}

FORMATS: tuple[str, ...] = tuple(_READERS)
"""File name extensions that `read_scene` knows."""


def read_scene(
    path: str | Path,
    *,
    materials: Mapping[str, AcousticMaterial | str | Mapping[str, Any]] | str | Path | None = None,
    up: Literal["auto", "y", "z"] = "auto",
    scale: float = 1.0,
    name: str | None = None,
) -> Scene:
    """Read a scene from a file.

    Names of nodes, objects and materials determine the categories (`harken.scene.labels.match_category`). Acoustic
    materials come from these sources, in this order: `materials`; a file ``<stem>.materials.json`` beside the scene;
    ``extras.acoustics`` of a glTF material (``{"bands_hz", "absorption", "scattering", "transmission"}``); the built-in
    material that the label indicates (`harken.scene.labels.match_material`); "default". Where the file has several
    nodes, each is an object. Textures larger than 1024 pixels are scaled down to that.

    Files of the field's data sets are read with what lies beside them. A scan (``.glb``) of Matterport3D, Gibson or
    HM3D with a ``.house``, ``.scn`` or ``.semantic.txt`` file gets its objects from the semantic mesh; a ``.ply`` of
    Replica from ``info_semantic.json``; a ``.scene_instance.json`` (HSSD, ReplicaCAD, AI2-THOR, ProcTHOR) is composed
    of its stage and objects. See `harken.scene.datasets.find_scene`.

    Args:
        path: A ``.glb``, ``.gltf``, ``.obj``, ``.ply`` or ``.scene_instance.json`` file.
        materials: Materials by the name of a material, node, mesh or category (case does not matter), each an
            `AcousticMaterial`, the name of a built-in one, or coefficients as in
            `harken.scene.readers.materials.material_from_dict`; or the path of a JSON file as in
            `harken.scene.readers.materials.read_materials`. The name "default" stands for all that has no label.
        up: Axis of the file that points up. "auto" is the usual axis of the format, y for glTF and OBJ and z for PLY
            (scans, Replica), unless surfaces named floor or ceiling, or else the shape, clearly indicate the other one;
            a warning then says so. A ``*.scene_dataset_config.json`` in a folder above decides before that. With z up,
            (x, y, z) becomes (x, z, −y).
        scale: Metres per unit of the file, such as 0.01 for centimetres.
        name: Name of the scene; the file's stem if left out.

    Returns:
        The scene, in metres, y up.

    Raises:
        SceneError: There is no such file, the format is unknown, or the content cannot be used (empty, truncated,
            damaged, not finite).
        UnknownNameError: `materials` names a built-in material that does not exist.
        ConfigurationError: `path`, `up`, `scale`, `name` or `materials` has the wrong type or value.
        MissingDependencyError: The file needs a decoder that is not installed.

    Warns:
        HarkenWarning: Something is missing or looks wrong, such as textures, labels, units or axes.
    """
    path, scale = checked_path("path", path), checked_number("scale", scale, 0.0, above=True, unit="metres per unit")
    _check_options(path, up, name)
    usual_up: Literal["y", "z"] = "z" if path.suffix.lower() == ".ply" else "y"
    try:
        # Numbers that overflow become infinite, which a later check refuses with a clear message.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            custom = _gather_materials(path, materials)
            parts, remarks, turned = _read_parts(path, up)
            scene, more = assemble(
                parts,
                materials=custom,
                up="y" if turned else up,
                usual_up=usual_up,
                scale=scale,
                name=name or path.name.removesuffix(SCENE_SUFFIX).removesuffix(path.suffix),
                source=str(path),
            )
    except SceneError as error:
        if path.name in str(error):
            raise
        raise SceneError(f"{path}: {error}") from error
    except HarkenError:
        raise
    except Exception as error:
        raise SceneError(
            f"{path} cannot be read ({type(error).__name__}: {str(error)[:200]}). It may be cut off, broken or too "
            "large; export it again."
        ) from error
    remarks += [*more, *(remark for remark in (size_remark(scene),) if remark)]
    for remark in remarks:
        warnings.warn(f"{path}: {remark}.", HarkenWarning, stacklevel=2)
    return scene


def _read_parts(path: Path, up: Literal["auto", "y", "z"]) -> tuple[list[MeshPart], list[str], bool]:
    """Return the parts of a file, remarks, and whether the parts stand upright already."""
    if path.name.endswith(SCENE_SUFFIX):
        return *read_scene_instance(path), True
    annotations = annotations_of(path) if path.suffix.lower() in (".glb", ".gltf") else None
    if annotations is not None:
        return *read_annotated(path, up), True
    parts, remarks = _READERS[path.suffix.lower()](path)
    frame = scan_frame(path) if up == "auto" else None
    if frame is None:
        return parts, remarks, False
    transform = np.eye(4)
    transform[:3, :3] = frame
    return [part.moved(transform) for part in parts], remarks, True


def _check_options(path: Path, up: str, name: str | None) -> None:
    if not isinstance(up, str) or up not in ("auto", "y", "z"):
        raise UnknownNameError("axis up", up, ("auto", "y", "z"))
    if name is not None and not isinstance(name, str):
        raise ConfigurationError(f"name is {name!r:.80}; expected text.")
    if os.path.isdir(path):
        files = sorted(file.name for file in path.iterdir() if file.suffix.lower() in _READERS)
        raise SceneError(f"{str(path)!r} is a folder; expected a file. Scenes in it: {', '.join(files[:8]) or 'none'}.")
    text = repr(short_name(str(path)))
    if path.suffix.lower() not in _READERS and not path.name.endswith(SCENE_SUFFIX):
        raise SceneError(
            f"{text} has the unknown format {short_name(path.suffix)!r}.{did_you_mean(path.suffix, FORMATS)} "
            f"Known: {', '.join(FORMATS)}, {SCENE_SUFFIX}. Convert it, for example with Blender or "
            "`trimesh.load(…).export(…)`."
        )
    if not is_file(path):
        if os.path.exists(path):
            raise SceneError(f"{text} is no regular file (a pipe or a device); expected a file.")
        folder = path.parent
        is_folder = os.path.isdir(folder)
        near = did_you_mean(path.name, (file.name for file in folder.iterdir())) if is_folder else ""
        missing = "" if is_folder else f" The folder {short_name(str(folder))!r} does not exist either."
        raise SceneError(f"There is no file {text}.{near}{missing}")


def _gather_materials(
    path: Path, materials: Mapping[str, AcousticMaterial | str | Mapping[str, Any]] | str | Path | None
) -> dict[str, AcousticMaterial]:
    """Return the materials of the file beside the scene, overridden by those that were passed."""
    beside = path.with_name(f"{path.stem}.materials.json")
    table = read_materials(beside) if is_file(beside) else {}
    if isinstance(materials, str | Path):
        table.update(read_materials(checked_path("materials", materials)))
    elif materials is not None:
        if not isinstance(materials, Mapping) or not all(isinstance(name, str) for name in materials):
            raise ConfigurationError(
                f"materials is {materials!r:.80}; expected a mapping from names to materials or a file's path."
            )
        table.update({name: material_from_dict(name, entry, "materials") for name, entry in materials.items()})
    return table
