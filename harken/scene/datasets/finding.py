"""Finding a scene in the folders of its data set, by the names that episode files use."""

import glob
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harken.checks import checked_path
from harken.errors import SceneError, did_you_mean
from harken.scene.datasets.annotations import annotations_of
from harken.scene.datasets.configs import CONFIG_SUFFIX, SCENE_SUFFIX, SceneDatasetConfig, config_above
from harken.scene.datasets.descriptions import Instance
from harken.scene.datasets.sources import SOURCES, source_of
from harken.scene.readers.content import is_file
from harken.scene.scene import Scene

__all__ = ["FoundScene", "find_scene"]

_PREFIXES = (("data", "scene_datasets"), ("data", "scene_dataset"))
_ENDINGS = (SCENE_SUFFIX, ".basis.glb", ".glb", ".gltf", ".obj", ".ply")
# Where a scene lies below the folder of its data set; {name} is the whole name, {bare} what follows HM3D's number.
_PLACES = (
    *("{name}/habitat/mesh_semantic.ply", "{name}/{name}.glb", "{name}.glb", "{name}.ply"),
    *("{name}/{bare}.glb", "{name}/{bare}.basis.glb", "*/{name}/{bare}.glb", "*/{name}/{bare}.basis.glb"),
    *("*/*-{name}/{name}.glb", "*/*-{name}/{name}.basis.glb", "*-{name}/{name}.glb", "*-{name}/{name}.basis.glb"),
    *("scenes*/{name}.scene_instance.json", "configs/scenes*/{name}.scene_instance.json"),
    *("configs/scenes*/*/{name}.scene_instance.json", "configs/scenes*/*/*/{name}.scene_instance.json"),
)


@dataclass(frozen=True, kw_only=True)
class FoundScene:
    """The files of a scene."""

    mesh: Path
    """What `Scene.load` reads: a mesh, or a scene that is composed of a stage and objects."""
    semantic_mesh: Path | None = None
    """Mesh that tells objects apart by numbers or colours, None where there is none or the scene is composed."""
    description: Path | None = None
    """File that names the objects of a scan, None where there is none or the scene is composed."""
    config: Path | None = None
    """Configuration of the data set, ``*.scene_dataset_config.json``, None where there is none."""

    def load(self, **options: Any) -> Scene:
        """Read the scene; see `harken.scene.read_scene` for options and errors."""
        return Scene.load(self.mesh, **options)

    def instances(self) -> dict[int, Instance]:
        """Return the annotated objects of a scan, by number.

        Raises:
            SceneError: The scene has no description, or it is damaged.
        """
        annotations = annotations_of(self.mesh)
        if annotations is None:
            name = self.mesh.name.partition(".")[0]
            raise SceneError(
                f"No file beside {str(self.mesh)!r} describes its objects; expected {name}.house (Matterport3D), "
                f"{name}.scn (Gibson), {name}.semantic.txt (HM3D) or info_semantic.json (Replica)."
                f"{source_of(str(self.mesh))}"
            )
        return annotations.instances()


def find_scene(scene_id: str, root: str | Path, dataset_config: str | None = None) -> FoundScene:
    """Find a scene of Replica, Matterport3D, Gibson, HM3D, HSSD, ReplicaCAD, AI2-THOR or ProcTHOR on this machine.

    Args:
        scene_id: Its name in an episode file: a path, such as "data/scene_datasets/mp3d/17DRP5sb8fy/17DRP5sb8fy.glb" or
            "hm3d/val/00800-TEEsavR23oF/TEEsavR23oF.basis.glb", of which the end counts; or a name alone, such as
            "apartment_0", "17DRP5sb8fy", "102344115" or "apt_2".
        root: Folder of the scenes, such as ``data/scene_datasets``, or of one data set.
        dataset_config: Configuration of the data set, as an episode file names it. What does not end in
            ``.scene_dataset_config.json``, as "default", says nothing.

    Returns:
        Its files. Where HM3D's mesh with plain textures (``X.glb``) lies beside ``X.basis.glb``, it is preferred.

    Raises:
        SceneError: There is no such folder or scene; the message says where it comes from.
    """
    folder = checked_path("The folder of scenes", root, error=SceneError)
    if not isinstance(scene_id, str) or not 0 < len(scene_id) <= 1000:
        raise SceneError(f"The scene is {scene_id!r:.80}; expected its name, such as '17DRP5sb8fy'.")
    parts = PurePosixPath(scene_id.replace("\\", "/")).parts
    if ".." in parts:
        raise SceneError(f"Scene {scene_id!r:.120} leads out of its folder; expected a path below it.")
    if not folder.is_dir():
        raise SceneError(f"There is no folder of scenes {str(folder)!r}. Give the one that holds the data sets.")
    if PurePosixPath(scene_id).is_absolute() and is_file(Path(scene_id)):
        return _files_of(Path(scene_id), None)
    parts = next((parts[len(prefix) :] for prefix in _PREFIXES if parts[: len(prefix)] == prefix), parts)
    bases = [folder, *sorted(place for place in folder.iterdir() if place.is_dir())]
    config = _config(dataset_config, bases)
    found = _by_path(parts, bases)
    if found is None:
        found = _by_name(parts[-1], bases, config)
    if found is None:
        raise SceneError(_missing(scene_id, parts, folder, bases))
    return _files_of(found, config)


def _by_path(parts: tuple[str, ...], bases: list[Path]) -> Path | None:
    """Return the mesh of which the end of the path is in one of the folders."""
    if not parts[-1].endswith(_ENDINGS):
        return None
    for start in range(len(parts)):
        for base in bases:
            mesh = base.joinpath(*parts[start:])
            plain = mesh.with_name(mesh.name.replace(".basis.glb", ".glb"))
            for candidate in (plain, mesh, plain.with_suffix(".basis.glb")):
                if is_file(candidate):
                    return candidate
    return None


def _by_name(last: str, bases: list[Path], config: Path | None) -> Path | None:
    """Return the mesh or composed scene of a name without folders."""
    name = next((last.removesuffix(ending) for ending in _ENDINGS if last.endswith(ending)), last)
    if config is not None:
        scene = SceneDatasetConfig(config).scene(name)
        if scene is not None:
            return scene
    number, _, bare = name.partition("-")
    bare = bare if number.isdigit() and bare else name
    for place in _PLACES:
        pattern = place.format(name=glob.escape(name), bare=glob.escape(bare))
        for base in bases:
            found = sorted(file for file in base.glob(pattern) if is_file(file))
            if found:
                return found[0]
    return None


def _config(named: str | None, bases: list[Path]) -> Path | None:
    if named is None or not named.endswith(CONFIG_SUFFIX):
        return None
    parts = PurePosixPath(named.replace("\\", "/")).parts
    if ".." in parts:
        raise SceneError(f"The configuration {named!r:.120} leads out of the folder of scenes.")
    for start in range(len(parts)):
        for base in bases:
            file = base.joinpath(*parts[start:])
            if is_file(file):
                return file
    return None


def _files_of(mesh: Path, config: Path | None) -> FoundScene:
    annotations = annotations_of(mesh)
    config = config_above(mesh) if config is None else config
    if annotations is None:
        return FoundScene(mesh=mesh, config=config)
    surfaces = annotations.mesh if is_file(annotations.mesh) else None
    return FoundScene(mesh=mesh, semantic_mesh=surfaces, description=annotations.description, config=config)


def _missing(scene_id: str, parts: tuple[str, ...], folder: Path, bases: list[Path]) -> str:
    names = {entry for base in bases for entry in os.listdir(base)}
    last = parts[-1] if not parts[-1].endswith(_ENDINGS) or len(parts) == 1 else parts[-2]
    near = did_you_mean(last, sorted(names)[:100_000])
    source = source_of(scene_id) or f" Data sets that are known: {', '.join(SOURCES)}."
    return f"Scene {scene_id!r:.160} is not in {str(folder)!r}.{near}{source}"
