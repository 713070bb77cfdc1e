"""Scene data set configurations of Habitat: stages, objects and scenes by name, their axes and categories.

The format is that of Habitat-Sim's documentation, "Using JSON Files to configure Attributes".
"""

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.errors import SceneError, did_you_mean
from harken.once import made_once
from harken.scene.datasets.sources import source_of
from harken.scene.readers.content import is_file, parse_json, read_content

__all__ = ["CONFIG_SUFFIX", "SCENE_SUFFIX", "SceneDatasetConfig", "Template", "config_above", "frame_of"]

CONFIG_SUFFIX = ".scene_dataset_config.json"
"""How the name of a scene data set's configuration ends."""
SCENE_SUFFIX = ".scene_instance.json"
"""How the name of a scene ends that is composed of a stage and objects."""

_Section = Literal["stages", "objects", "articulated_objects", "scene_instances"]
_SUFFIXES: dict[_Section, str] = {
    "stages": ".stage_config.json",
    "objects": ".object_config.json",
    "articulated_objects": ".ao_config.json",
    "scene_instances": SCENE_SUFFIX,
}
_MESHES = (".glb", ".gltf", ".obj", ".ply")
_LEVELS = 6
"""Folders above a scene in which its configuration is looked for."""
_MOST_FILES = 1_000_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Template:
    """A stage or an object that scenes show."""

    name: str
    """Its name, without folders."""
    asset: Path
    """Its mesh."""
    transform: np.ndarray
    """``(4, 4)`` from the mesh's axes and units to +y up, −z ahead, in metres."""
    center: np.ndarray | None
    """``(3,)`` the centre of mass that the file gives [m], None for the middle of the mesh's box."""
    category: str
    """Category as the data set calls it, empty for none."""


def frame_of(attributes: Mapping[str, Any], where: str, kind: Literal["", "semantic_"] = "") -> np.ndarray | None:
    """Return the rotation ``(3, 3)`` from an asset's axes to +y up, −z ahead; None where the attributes do not say.

    Args:
        attributes: Of a stage or object: "up" and "front".
        where: What has them, for messages.
        kind: ``"semantic_"`` for the axes of the semantic mesh, which are those of the mesh unless they are given.

    Raises:
        SceneError: The directions are not at right angles.
    """
    up, front = (attributes.get(f"{kind}{key}", attributes.get(key)) for key in ("up", "front"))
    if up is None and front is None:
        return None
    above, ahead = _vector(up, (0.0, 1.0, 0.0), where, "up"), _vector(front, (0.0, 0.0, -1.0), where, "front")
    if up is None or front is None:  # the missing one is the usual axis that is free
        free = np.argmin(np.abs(ahead if up is None else above))
        other = np.eye(3)[free]
        above, ahead = (other, ahead) if up is None else (above, other)
    lengths = np.linalg.norm(above), np.linalg.norm(ahead)
    if min(lengths) < 1e-6 or abs(above @ ahead) > 1e-3 * lengths[0] * lengths[1]:
        raise SceneError(f"{where}: up {up} and front {front} are not at right angles. Correct them.")
    above, ahead = above / lengths[0], ahead / lengths[1]
    return np.stack([np.cross(ahead, above), above, -ahead])


def _vector(value: Any, default: tuple[float, ...], where: str, key: str) -> np.ndarray:
    if value is None:
        return np.array(default)
    fits = isinstance(value, list) and len(value) == len(default) and all(type(x) in (int, float) for x in value)
    array = np.array(value, np.float64) if fits else np.full(len(default), np.nan)
    if not np.isfinite(array).all() or np.abs(array).max() > 1e9:
        raise SceneError(f"{where}: {key} is {value!r:.80}; expected {len(default)} finite numbers.")
    return array


def config_above(path: Path) -> Path | None:
    """Return the configuration of the data set that a file belongs to, in the nearest folder above it that has one.

    Of several, one of objects ("annotated") comes first, then by name.
    """
    for folder in list(Path(os.path.abspath(path)).parents)[:_LEVELS]:
        found = sorted(folder.glob(f"*{CONFIG_SUFFIX}"), key=lambda file: ("annotated" not in file.name, file.name))
        if found:
            return found[0]
    return None


class SceneDatasetConfig:
    """The configuration of a scene data set.

    Args:
        path: A file ``*.scene_dataset_config.json``.

    Raises:
        SceneError: There is no such file, or it is no such configuration.
    """

    def __init__(self, path: Path):
        self.path, self.root = path, Path(os.path.abspath(path)).parent
        self.content = _object(path)

    def __repr__(self) -> str:
        return f"SceneDatasetConfig({str(self.path)!r})"

    def attributes(self, section: _Section, file: Path | None) -> dict[str, Any]:
        """Return the default attributes of a section, overridden by those of a file of it."""
        default = self._section(section).get("default_attributes", {})
        if not isinstance(default, dict):
            raise SceneError(f"{self.path}: default_attributes of {section} is {default!r:.60}; expected an object.")
        return {**default, **(_object(file) if file is not None else {})}

    def scene(self, name: str) -> Path | None:
        """Return the file of a composed scene by its name, None where there is none."""
        return self._find("scene_instances", name)

    def scene_names(self) -> list[str]:
        """Return the names of the composed scenes."""
        return sorted(self._files("scene_instances"))

    def template(self, section: Literal["stages", "objects"], name: str) -> Template:
        """Return a stage or an object by the name that a scene gives it, such as "objects/frl_apartment_bin_01".

        Raises:
            SceneError: There is none of that name, its mesh is missing or outside the data set, or an attribute is
                impossible.
        """
        inline = self._inline(section, name)
        file = self._find(section, name) if inline is None else inline[0]
        if file is None and inline is None:
            raise self._unknown(section, name)
        where = str(file if file is not None else self.path)
        is_mesh = file is not None and file.suffix.lower() in _MESHES
        attributes = self.attributes(section, None if is_mesh else file) | ({} if inline is None else inline[1])
        asset = file if is_mesh else self._asset(attributes.get("render_asset"), file or self.path)
        assert asset is not None
        frame = frame_of(attributes, where)
        transform = np.eye(4)
        unit = _vector([attributes.get("units_to_meters", 1.0)], (1.0,), where, "units_to_meters")
        scale = _vector(attributes.get("scale"), (1.0, 1.0, 1.0), where, "scale") * unit
        transform[:3, :3] = (np.eye(3) if frame is None else frame) * scale
        if section == "stages":
            transform[:3, 3] = _vector(attributes.get("origin"), (0.0, 0.0, 0.0), where, "origin")
        center = attributes.get("COM")
        return Template(
            name=name.rpartition("/")[2],
            asset=asset,
            transform=transform,
            center=None if center is None else _vector(center, (0.0, 0.0, 0.0), where, "COM"),
            category=self._category(name.rpartition("/")[2], attributes.get("semantic_id")),
        )

    def jointed(self, name: str) -> tuple[Path, str]:
        """Return the URDF file of an object with joints, and its category, empty for none.

        Raises:
            SceneError: There is none of that name.
        """
        file, number = self._find("articulated_objects", name), None
        if file is not None and file.suffix != ".urdf":
            attributes = self.attributes("articulated_objects", file)
            number = attributes.get("semantic_id")
            file = self._asset(attributes.get("urdf_filepath"), file)
        if file is None:
            raise self._unknown("articulated_objects", name)
        return file, self._category(name.rpartition("/")[2], number)

    def _unknown(self, section: _Section, name: str) -> SceneError:
        near = did_you_mean(name.rpartition("/")[2], self._files(section))
        kind = section[:-1].replace("_", " ")
        return SceneError(
            f"{self.path} has no {kind} {name!r:.120}.{near} A file of the data set is missing."
            f"{source_of(str(self.path))}"
        )

    def _section(self, section: str) -> dict[str, Any]:
        content = self.content.get(section, {})
        if not isinstance(content, dict):
            raise SceneError(f"{self.path}: {section} is {content!r:.60}; expected an object.")
        return content

    def _inline(self, section: _Section, name: str) -> tuple[Path | None, dict[str, Any]] | None:
        """Return the file and the attributes that the configuration itself gives a template of that name."""
        entries = self._section(section).get("configs", [])
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict) and entry.get("template_handle") == name:
                original, attributes = entry.get("original_file"), entry.get("attributes", {})
                file = self._inside(str(original), self.path) if original is not None else None
                return file, attributes if isinstance(attributes, dict) else {}
        return None

    def _find(self, section: _Section, name: str) -> Path | None:
        """Return the file of a template; of several with one name, that whose folders the name has."""
        parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
        if not parts:
            return None
        for suffix in (_SUFFIXES[section], *_MESHES):
            parts[-1] = parts[-1].removesuffix(suffix)
        found = self._files(section).get(parts[-1], [])

        def shared(file: Path) -> int:
            folders = file.parts[:-1]
            return sum(1 for n in range(1, len(parts)) if folders[-n:] == tuple(parts[-n - 1 : -1]))

        return max(found, key=lambda file: (shared(file), str(file)), default=None)

    def _files(self, section: _Section) -> dict[str, list[Path]]:
        return self._tables[section]

    @made_once
    def _tables(self) -> dict[str, dict[str, list[Path]]]:
        return {section: self._listed(section) for section in _SUFFIXES}

    def _listed(self, section: _Section) -> dict[str, list[Path]]:
        """Return the files of a section by their names without folders and endings."""
        table: dict[str, list[Path]] = {}
        paths = self._section(section).get("paths", {})
        for extension, patterns in sorted(paths.items()) if isinstance(paths, dict) else ():
            suffix = _SUFFIXES[section] if extension == ".json" else extension
            for pattern in patterns if isinstance(patterns, list) else ():
                for count, file in enumerate(self._matching(str(pattern), suffix)):
                    if count > _MOST_FILES:
                        raise SceneError(f"{self.path}: {pattern!r:.80} matches more than {_MOST_FILES:,} files.")
                    known = table.setdefault(file.name[: -len(suffix)], [])
                    if file not in known:
                        known.append(file)
        return table

    def _matching(self, pattern: str, suffix: str) -> Iterator[Path]:
        """Yield the files below a folder, or in the folders or of the names, that a pattern means."""
        pattern = pattern.strip("/")
        if not pattern or Path(pattern).is_absolute() or ".." in Path(pattern).parts:
            raise SceneError(f"{self.path}: the path {pattern!r:.80} leads out of the data set.")
        for place in sorted(self.root.glob(pattern)):
            if place.is_dir():
                with os.scandir(place) as entries:
                    yield from sorted(Path(entry.path) for entry in entries if entry.name.endswith(suffix))
            elif place.name.endswith(suffix):
                yield place

    def _asset(self, name: Any, file: Path) -> Path:
        if not isinstance(name, str) or not name:
            raise SceneError(f"{file} names no mesh: render_asset is {name!r:.60}.{source_of(str(file))}")
        asset = self._inside(name, file)
        if not is_file(asset):
            raise SceneError(f"The mesh {str(asset)!r} is missing, which {file} names.{source_of(str(file))}")
        return asset

    def _inside(self, name: str, file: Path) -> Path:
        """Return the path that a file of the data set names, once it lies in the data set."""
        path = Path(os.path.normpath(Path(os.path.abspath(file)).parent / name))
        if not path.is_relative_to(self.root):
            raise SceneError(f"{file} names {name!r:.120}, which lies outside the data set, {str(self.root)!r}.")
        return path

    def _category(self, name: str, number: Any) -> str:
        """Return the data set's category of an object, by its number or else its name; empty where none says."""
        if type(number) is int and number in self.lexicon:
            return self.lexicon[number]
        stem = name.partition("_part_")[0]
        return self._object_names.get(name, self._object_names.get(stem, ""))

    @made_once
    def lexicon(self) -> dict[int, str]:
        """Names of categories by the number that objects have as semantic_id."""
        for file in self._lexicon_files():
            content = _object(file)
            try:
                if "classes" in content:
                    return {int(entry["id"]): str(entry["name"]) for entry in content["classes"]}
                return {int(number): str(name) for name, number in content.items()}
            except (ValueError, KeyError, TypeError) as problem:
                raise SceneError(
                    f"{file} is no list of categories; expected {{'classes': [{{'id', 'name'}}, …]}} or numbers by "
                    "name."
                ) from problem
        return {}

    def _lexicon_files(self) -> Iterator[Path]:
        """Yield the files that may list the categories: those that the configuration names, then the usual ones."""
        section = self._section("semantic_scene_descriptor_instances")
        for key, value in section.items():
            if isinstance(value, str) and key not in ("default_attributes", "paths"):
                named = self._inside(value, self.path)
                if is_file(named):
                    yield named
        for pattern in ("semantics/*lexicon.json", "configs/ssd/*lexicon*.json", "configs/ssd/*.json"):
            yield from sorted(self.root.glob(pattern))
        for name in ("object_semantic_id_mapping.json", "configs/object_semantic_id_mapping.json"):
            if is_file(self.root / name):
                yield self.root / name

    @made_once
    def _object_names(self) -> dict[str, str]:
        """Categories by the names of objects, from HSSD's ``semantics/objects.csv``; empty where there is none."""
        file = self.root / "semantics" / "objects.csv"
        if not is_file(file):
            return {}
        try:
            rows = list(csv.DictReader(read_content(file).decode("utf-8-sig").splitlines()))
            return {row["id"]: row.get("main_category") or row.get("name") or "" for row in rows}
        except (UnicodeDecodeError, KeyError, csv.Error) as problem:
            raise SceneError(f"{file} is not as HSSD writes it: expected columns id, name, main_category.") from problem


def _object(path: Path) -> dict[str, Any]:
    content = parse_json(read_content(path), str(path))
    if not isinstance(content, dict):
        raise SceneError(f"{path} holds {type(content).__name__}; expected an object of keys and values.")
    return content
