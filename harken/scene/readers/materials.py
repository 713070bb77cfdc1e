"""The acoustic material of each part of a mesh: from the user, from the file, or from the labels."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.errors import SceneError, UnknownNameError
from harken.scene.labels import match_material, names_substance
from harken.scene.material_table import MATERIALS
from harken.scene.materials import OCTAVE_BANDS, AcousticMaterial
from harken.scene.readers.content import is_file, parse_json
from harken.scene.readers.parts import MeshPart, short_name

__all__ = ["MaterialChooser", "Origin", "material_from_dict", "read_materials"]

Origin = Literal["given", "file", "named", "guessed", "unknown"]
"""As in `harken.scene.labels.LabelUse`."""

_COEFFICIENTS = ("absorption", "scattering", "transmission")
_FIELDS = (*_COEFFICIENTS, "bands_hz", "source")


def material_from_dict(name: str, entry: Any, origin: str) -> AcousticMaterial:
    """Make a material from an entry of a JSON file or a glTF file's ``extras.acoustics``.

    Args:
        name: Name of the new material.
        entry: The name of a built-in material, or a mapping with ``absorption`` and, if wanted, ``scattering``,
            ``transmission`` (1, 6 or 7 shares of energy, or one per band of ``bands_hz``), ``bands_hz`` [Hz] and
            ``source``.
        origin: Where the entry comes from, for messages.

    Returns:
        The material. Where ``bands_hz`` are other bands than `OCTAVE_BANDS`, coefficients are interpolated over the
        logarithm of frequency.

    Raises:
        SceneError: The entry is neither, or a coefficient is out of range.
        UnknownNameError: A built-in material or a key is not known.
    """
    if isinstance(entry, AcousticMaterial):
        return entry
    if isinstance(entry, str):
        if entry not in MATERIALS:
            raise UnknownNameError(f"acoustic material of {name!r} in {origin}", short_name(entry), MATERIALS)
        return MATERIALS[entry]
    if not isinstance(entry, Mapping) or "absorption" not in entry:
        raise SceneError(
            f"{origin}: material {name!r} is {entry!r:.80}; expected the name of a built-in material or an object with "
            '"absorption" and, if wanted, "scattering" and "transmission", each a list of shares of energy.'
        )
    for key in entry:
        if key not in _FIELDS:
            raise UnknownNameError(f"key of material {name!r} in {origin}", short_name(str(key)), _FIELDS)
    try:
        coefficients = {key: _resample(entry[key], entry.get("bands_hz")) for key in _COEFFICIENTS if key in entry}
    except (TypeError, ValueError, OverflowError) as error:
        raise SceneError(
            f"{origin}: the coefficients of material {name!r} cannot be read: {str(error)[:200]}."
        ) from error
    try:
        return AcousticMaterial(name=name, source=short_name(str(entry.get("source", origin))), **coefficients)
    except SceneError as error:
        raise SceneError(f"{origin}: {error}") from error


def _resample(values: Any, bands: Any) -> tuple[float, ...]:
    values = np.atleast_1d(np.asarray(values, np.float64))
    if bands is None or len(values) == 1:
        return tuple(values)
    bands = np.asarray(bands, np.float64)
    if bands.shape != values.shape or not (np.diff(bands) > 0).all() or not (bands > 0).all():
        raise ValueError(f"{len(values)} values for bands_hz {bands.tolist()}; expected one each, bands ascending")
    return tuple(np.interp(np.log(OCTAVE_BANDS), np.log(bands), values))


def read_materials(path: Path) -> dict[str, AcousticMaterial]:
    """Read a table of materials from a JSON file.

    Two forms are known: ``{name: entry}`` with entries as in `material_from_dict`, and the material file of SoundSpaces
    2.0 (``{"materials": [{"name", "labels", "absorption": [Hz, share, …], …}]}``). That file gives transmission
    separately from absorption; if it exceeds the absorption, it is reduced to it.

    Args:
        path: The file.

    Returns:
        Materials by the name or label that they are for.

    Raises:
        SceneError: There is no such file, or it cannot be read.
        UnknownNameError: A built-in material or a key is not known.
    """
    try:
        raw = path.read_bytes() if is_file(path) else None
    except OSError as error:
        raise SceneError(f"The material file {str(path)!r} cannot be read: {error.strerror or error}.") from error
    if raw is None:
        raise SceneError(f"The material file {str(path)[:200]!r} cannot be read: there is no such regular file.")
    content = parse_json(raw, f"The material file {str(path)!r}")
    if not isinstance(content, dict):
        raise SceneError(
            f'The material file {str(path)!r} holds no object; expected {{"name": {{"absorption": …}}, …}}.'
        )
    if isinstance(content.get("materials"), list):
        return _from_soundspaces(content["materials"], str(path))
    return {name: material_from_dict(name, entry, str(path)) for name, entry in content.items()}


def _from_soundspaces(entries: list[Any], origin: str) -> dict[str, AcousticMaterial]:
    materials: dict[str, AcousticMaterial] = {}
    for entry in entries:
        try:
            pairs = {key: np.asarray(entry[key], np.float64).reshape(-1, 2) for key in _COEFFICIENTS}
            coefficients = {key: np.array(_resample(table[:, 1], table[:, 0])) for key, table in pairs.items()}
            coefficients["transmission"] = np.minimum(coefficients["transmission"], coefficients["absorption"])
            material = AcousticMaterial(
                name=_text(entry["name"]), source=origin, **{key: tuple(values) for key, values in coefficients.items()}
            )
            labels = entry["labels"]
            if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
                raise ValueError("labels is no list of names")
            materials.update(dict.fromkeys(labels, material))
        except (TypeError, ValueError, KeyError, OverflowError) as error:
            raise SceneError(f"{origin}: an entry of 'materials' cannot be read ({error!r:.200}).") from error
    return materials


def _text(name: Any) -> str:
    if not isinstance(name, str):
        raise ValueError("name is no text")
    return short_name(name)


class MaterialChooser:
    """Choose the material of each part, and number the materials that occur.

    Args:
        custom: Materials by the name of a material, node, mesh or category; "default" is for what has no label.
        source: The scene's file, for messages.

    Attributes:
        matches: Names in `custom` (case folded) that applied to a part.
        guessed: Names of materials that match nothing, and the materials found from their nodes instead.
        unlabelled: Number of triangles for which only the built-in "default" was left.
    """

    def __init__(self, custom: Mapping[str, AcousticMaterial], source: str):
        self.source = source
        self.custom = {name.casefold(): material for name, material in custom.items()}
        self.matches: set[str] = set()
        self.guessed: dict[str, str] = {}
        self.unlabelled = 0
        self._materials: list[AcousticMaterial] = []

    @property
    def materials(self) -> tuple[AcousticMaterial, ...]:
        """The materials that were chosen, with unique names."""
        return tuple(self._materials)

    def choose(self, part: MeshPart, category: str) -> tuple[int, Origin]:
        """Return the index into `materials` for `part`, of a `category`, and the origin of the choice."""
        for label in (*part.labels, category):
            if label.casefold() in self.custom:
                self.matches.add(label.casefold())
                return self._number(self.custom[label.casefold()]), "given"
        if part.acoustics is not None:
            name = part.material or "material of the file"
            return self._number(material_from_dict(name, part.acoustics, f"extras.acoustics of {self.source}")), "file"
        label = " / ".join(reversed(part.labels))
        name = match_material(label)
        if name is not None:
            if part.material and match_material(part.material) is None:
                self.guessed.setdefault(part.material, name)
            return self._number(MATERIALS[name]), "named" if names_substance(label) else "guessed"
        if "default" in self.custom:
            self.matches.add("default")
            return self._number(self.custom["default"]), "given"
        self.unlabelled += len(part.faces)
        return self._number(MATERIALS["default"]), "unknown"

    def _number(self, material: AcousticMaterial) -> int:
        if material in self._materials:
            return self._materials.index(material)
        names = {entry.name for entry in self._materials}
        name, count = material.name, 1
        while name in names:
            count += 1
            name = f"{material.name} ({count})"
        unique = material if name == material.name else replace(material, name=name)
        if unique not in self._materials:
            self._materials.append(unique)
        return self._materials.index(unique)
