"""Reader of scenes that are composed of a stage and objects: ReplicaCAD, HSSD, AI2-THOR and ProcTHOR for Habitat."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import SceneError
from harken.scene.datasets.configs import CONFIG_SUFFIX, SceneDatasetConfig, Template, config_above
from harken.scene.datasets.sources import source_of
from harken.scene.datasets.urdf import read_urdf
from harken.scene.readers.content import parse_json, read_content
from harken.scene.readers.gltf.reading import read_gltf
from harken.scene.readers.obj import read_obj
from harken.scene.readers.parts import MOST_TRIANGLES, MeshPart, short_name
from harken.scene.readers.ply import read_ply

__all__ = ["read_scene_instance"]

_READERS = {".glb": read_gltf, ".gltf": read_gltf, ".obj": read_obj, ".ply": read_ply}


def read_scene_instance(path: Path) -> tuple[list[MeshPart], list[str]]:
    """Read a scene instance of Habitat: its stage, and its objects at their places.

    Stage and objects are looked up in the data set's configuration, ``*.scene_dataset_config.json`` in a folder above,
    which also tells their axes and categories. Objects with joints, in URDF, stand as the scene says, else at rest.

    Args:
        path: A file ``*.scene_instance.json``.

    Returns:
        The parts, in metres, +y up, one object each, and remarks for a warning.

    Raises:
        SceneError: There is no configuration above, the file is damaged, or a stage, an object or a mesh is missing.
    """
    file = config_above(path)
    if file is None:
        raise SceneError(
            f"{path} is composed of a stage and objects, but no *{CONFIG_SUFFIX} lies in a folder above it to find "
            f"them. Keep it within its data set.{source_of(str(path))}"
        )
    config = SceneDatasetConfig(file)
    content = parse_json(read_content(path), str(path))
    if not isinstance(content, dict) or not isinstance(content.get("stage_instance"), dict):
        raise SceneError(f"{path} has no stage_instance; expected a scene instance of Habitat. Fetch it again.")
    assets = _Assets()
    where = f"{path}: the stage"
    stage = config.template("stages", _name(content["stage_instance"], where))
    placed = _placed(content["stage_instance"], where, stage.transform)
    parts = [replace(part, thing=0).moved(placed) for part in assets.read(stage.asset)]
    objects = content.get("object_instances", [])
    if not isinstance(objects, list):
        raise SceneError(f"{path}: object_instances is {objects!r:.60}; expected a list.")
    total = sum(len(part.faces) for part in parts)
    templates: dict[str, Template] = {}
    for number, instance in enumerate(objects):
        where = f"{path}: object_instances[{number}]"
        name = _name(instance, where)
        if name not in templates:
            templates[name] = config.template("objects", name)
        shown = _object(templates[name], instance, number + 1, content.get("translation_origin"), assets, where)
        total += sum(len(part.faces) for part in shown)
        if total > MOST_TRIANGLES:
            raise SceneError(f"{path}: with all its objects it has more than {MOST_TRIANGLES:,} triangles.")
        parts += shown
    parts += _jointed(config, content, len(objects), assets, path)
    return parts, list(dict.fromkeys(assets.remarks))


class _Assets:
    """Meshes, each read once."""

    def __init__(self) -> None:
        self.remarks: list[str] = []
        self._parts: dict[Path, list[MeshPart]] = {}

    def read(self, asset: Path) -> list[MeshPart]:
        if asset not in self._parts:
            reader = _READERS.get(asset.suffix.lower())
            if reader is None:
                raise SceneError(f"{asset} has a format that is not read; known: {', '.join(_READERS)}.")
            self._parts[asset], remarks = reader(asset)
            self.remarks += [f"{asset.name}: {remark}" for remark in remarks]
        return self._parts[asset]


def _object(
    template: Template, instance: Mapping[str, Any], thing: int, origin: Any, assets: _Assets, where: str
) -> list[MeshPart]:
    """Return the parts of an object at its place, named after its category."""
    parts = [part for part in assets.read(template.asset) if len(part.faces)]
    before = template.transform
    if str(instance.get("translation_origin", origin)).lower() != "asset_local":  # the place is the centre of mass's
        before = before.copy()
        before[:3, 3] -= _center(template, parts)
    placed = _placed(instance, where, before)
    name = short_name(template.category) or short_name(template.name)
    return [replace(part, node=name, mesh=part.node, group="", thing=thing).moved(placed) for part in parts]


def _center(template: Template, parts: list[MeshPart]) -> np.ndarray:
    if template.center is not None:
        return template.center
    corners = np.concatenate([part.moved(template.transform).vertices for part in parts] or [np.zeros((1, 3))])
    return 0.5 * (corners.min(axis=0) + corners.max(axis=0))


def _name(instance: Any, where: str) -> str:
    name = instance.get("template_name") if isinstance(instance, dict) else None
    if not isinstance(name, str) or not name:
        raise SceneError(f"{where} has the template_name {name!r:.60}; expected the name of a stage or object.")
    return name


def _placed(instance: Mapping[str, Any], where: str, before: np.ndarray) -> np.ndarray:
    """Return the transform ``(4, 4)`` of an instance, after the one of its template."""
    move = _numbers(instance, "translation", (0.0, 0.0, 0.0), where)
    turn = _numbers(instance, "rotation", (1.0, 0.0, 0.0, 0.0), where)
    scale = _numbers(instance, "non_uniform_scale", (1.0, 1.0, 1.0), where)
    scale = scale * _numbers({"uniform_scale": [instance.get("uniform_scale", 1.0)]}, "uniform_scale", (1.0,), where)
    if abs(np.linalg.norm(turn) - 1.0) > 1e-2:
        raise SceneError(f"{where} has the rotation {turn.tolist()}; expected a unit quaternion w, x, y, z.")
    if not scale.all():
        raise SceneError(f"{where} has the scale {scale.tolist()}; expected other numbers than 0.")
    w, x, y, z = turn / np.linalg.norm(turn)
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    placed = np.eye(4)
    placed[:3, :3], placed[:3, 3] = rotation * scale, move
    return placed @ before


def _numbers(instance: Mapping[str, Any], key: str, default: tuple[float, ...], where: str) -> np.ndarray:
    value = instance.get(key, list(default))
    fits = isinstance(value, list) and len(value) == len(default) and all(type(x) in (int, float) for x in value)
    array = np.array(value, np.float64) if fits else np.full(len(default), np.nan)
    if not np.isfinite(array).all() or np.abs(array).max() > 1e9:
        raise SceneError(f"{where} has the {key} {value!r:.80}; expected {len(default)} finite numbers.")
    return array


def _jointed(
    config: SceneDatasetConfig, content: Mapping[str, Any], count: int, assets: _Assets, path: Path
) -> list[MeshPart]:
    """Return the parts of the objects with joints, which are numbered after the `count` others."""
    instances = content.get("articulated_object_instances", [])
    if not isinstance(instances, list):
        raise SceneError(f"{path}: articulated_object_instances is {instances!r:.60}; expected a list.")
    parts: list[MeshPart] = []
    for number, instance in enumerate(instances):
        where = f"{path}: articulated_object_instances[{number}]"
        name = _name(instance, where)
        file, category = config.jointed(name)
        placed = _placed(instance, where, np.eye(4))
        visuals, shapes = read_urdf(file, _joints(instance), config.root)
        label = short_name(category) or short_name(name.rpartition("/")[2])
        for visual in visuals:
            parts += [
                replace(part, node=label, mesh=short_name(visual.link), group="", thing=count + number + 1).moved(
                    placed @ visual.transform
                )
                for part in assets.read(visual.asset)
                if len(part.faces)
            ]
        if shapes:
            assets.remarks.append(f"{shapes} surface(s) of {file.name} are boxes or cylinders and are left out")
    return parts


def _joints(instance: Mapping[str, Any]) -> dict[str, float]:
    pose = instance.get("initial_joint_pose")
    if not isinstance(pose, dict):
        return {}
    return {name: float(value) for name, value in pose.items() if type(value) in (int, float) and abs(value) < 1e3}
