"""Read scenes from files: glTF (GLB), OBJ and PLY."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from harken.errors import ConfigurationError, HarkenWarning, SceneError, did_you_mean
from harken.scene.materials import AcousticMaterial
from harken.scene.readers.assembly import assemble, axes_remark, size_remark
from harken.scene.readers.gltf import read_gltf
from harken.scene.readers.materials import material_from_dict, read_materials
from harken.scene.readers.obj import read_obj
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

    Names of nodes, objects and materials decide what things are (`harken.scene.labels.match_category`) and what they
    are made of, in this order: `materials`; a file ``<stem>.materials.json`` beside the scene; ``extras.acoustics`` of
    a glTF material (``{"bands_hz", "absorption", "scattering", "transmission"}``); the built-in material that the
    label speaks of (`harken.scene.labels.match_material`); "default". Where the file has several nodes, each is an
    object. Textures larger than 1024 pixels are scaled down to that.

    Args:
        path: A ``.glb``, ``.gltf``, ``.obj`` or ``.ply`` file.
        materials: Materials by the name of a material, node, mesh or category (case does not matter), each an
            `AcousticMaterial`, the name of a built-in one, or coefficients as in
            `harken.scene.readers.materials.material_from_dict`; or the path of a JSON file as in
            `harken.scene.readers.materials.read_materials`. The name "default" stands for all that has no label.
        up: Axis of the file that points up. "auto" is what each format's writers mostly do: y for glTF and OBJ, z for
            PLY (scans, Replica). With z up, (x, y, z) becomes (x, z, −y).
        scale: Metres per unit of the file, such as 0.01 for centimetres.
        name: Name of the scene; the file's stem if left out.

    Returns:
        The scene, in metres, y up.

    Raises:
        SceneError: There is no such file, the format is not known, or the content cannot be used (empty, cut off,
            broken, not finite).
        UnknownNameError: `materials` names a built-in material that does not exist.
        ConfigurationError: `up` or `scale` cannot be.
        MissingDependencyError: The file needs a decoder that is not installed.

    Warns:
        HarkenWarning: Something is missing or looks wrong, such as textures, labels, units or axes.
    """
    path = Path(path).expanduser()
    _check_options(path, up, scale)
    parts, remarks = _READERS[path.suffix.lower()](path)
    z_up = up == "z" or (up == "auto" and path.suffix.lower() == ".ply")
    given = _gather_materials(path, materials)
    scene, more = assemble(parts, materials=given, z_up=z_up, scale=scale, name=name or path.stem, source=str(path))
    remarks += more
    remarks += [remark for remark in (size_remark(scene), axes_remark(scene) if up == "auto" else None) if remark]
    for remark in remarks:
        warnings.warn(f"{path}: {remark}.", HarkenWarning, stacklevel=2)
    return scene


def _check_options(path: Path, up: str, scale: float) -> None:
    if up not in ("auto", "y", "z"):
        raise ConfigurationError(f"up is {up!r}; expected 'auto', 'y' or 'z'.")
    if not 0.0 < scale < float("inf"):
        raise ConfigurationError(f"scale is {scale!r}; expected metres per unit of the file, above 0.")
    if path.is_dir():
        files = sorted(file.name for file in path.iterdir() if file.suffix.lower() in _READERS)
        raise SceneError(f"{str(path)!r} is a folder; expected a file. Scenes in it: {', '.join(files[:8]) or 'none'}.")
    if path.suffix.lower() not in _READERS:
        raise SceneError(
            f"{str(path)!r} has the unknown format {path.suffix!r}.{did_you_mean(path.suffix, FORMATS)} "
            f"Known: {', '.join(FORMATS)}. Convert it, for example with Blender or `trimesh.load(…).export(…)`."
        )
    if not path.is_file():
        folder = path.parent
        near = did_you_mean(path.name, (file.name for file in folder.iterdir())) if folder.is_dir() else ""
        missing = "" if folder.is_dir() else f" The folder {str(folder)!r} does not exist either."
        raise SceneError(f"There is no file {str(path)!r}.{near}{missing}")


def _gather_materials(
    path: Path, materials: Mapping[str, AcousticMaterial | str | Mapping[str, Any]] | str | Path | None
) -> dict[str, AcousticMaterial]:
    """Return the materials of the file beside the scene, overridden by those that were passed."""
    beside = path.with_name(f"{path.stem}.materials.json")
    found = read_materials(beside) if beside.is_file() else {}
    if isinstance(materials, str | Path):
        found.update(read_materials(Path(materials).expanduser()))
    elif materials is not None:
        found.update({name: material_from_dict(name, entry, "materials") for name, entry in materials.items()})
    return found
