"""Readers of the files that describe the objects of a scan: Replica, Matterport3D, Gibson and HM3D."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

from harken.errors import SceneError
from harken.scene.labels import match_category
from harken.scene.readers.content import parse_json, read_content
from harken.scene.readers.parts import short_name

__all__ = ["Instance", "read_house", "read_info_semantic", "read_scn", "read_semantic_txt"]


class Instance(NamedTuple):
    """An annotated object of a scan."""

    number: int
    """The number that the semantic mesh gives to its surfaces."""
    name: str
    """Category as the data set calls it, empty where it has none."""
    detail: str = ""
    """A finer name, empty where the data set has none."""
    room: int = -1
    """Number of its room, -1 where the file does not say."""
    color: int = -1
    """HM3D: its colour in the semantic textures, 0xRRGGBB; -1 in other data sets."""

    @property
    def category(self) -> str:
        """Its category in Harken's vocabulary, `harken.scene.CATEGORIES`."""
        category = match_category(self.name)
        return match_category(self.detail) if category == "unknown" else category


def read_house(path: Path) -> dict[int, Instance]:
    """Read the objects of a Matterport3D ``.house`` file (version ASCII 1.1).

    Names are those of mpcat40, details the raw labels.

    Raises:
        SceneError: There is no such file, or it is damaged or of another version.
    """
    lines = _text(path).splitlines()
    if not lines or lines[0].split() != ["ASCII", "1.1"]:
        raise SceneError(f"{path} begins with {lines[0] if lines else ''!r:.40}; expected a .house file, 'ASCII 1.1'.")
    names: dict[int, tuple[str, str]] = {}
    instances: dict[int, Instance] = {}
    for number, line in enumerate(lines[1:], 2):
        tokens = line.split()
        try:
            if tokens and tokens[0] == "C":
                names[int(tokens[1])] = (_name(tokens[5]), _name(tokens[3].replace("#", " ")))
            elif tokens and tokens[0] == "O":
                name, detail = names.get(int(tokens[3]), ("", ""))
                instances[int(tokens[1])] = Instance(int(tokens[1]), name, detail, int(tokens[2]))
        except (ValueError, IndexError) as problem:
            raise _damaged(path, number, line, "C and O lines as in Matterport3D") from problem
    return _filled(path, instances)


def read_semantic_txt(path: Path) -> dict[int, Instance]:
    """Read the objects of an HM3D ``.semantic.txt`` file: number, colour, category and room on each line.

    Raises:
        SceneError: There is no such file, it is damaged, or two objects have one colour.
    """
    lines = _text(path).splitlines()
    if not lines or lines[0].strip() != "HM3D Semantic Annotations":
        raise SceneError(f"{path} begins with {lines[0] if lines else ''!r:.40}; expected 'HM3D Semantic Annotations'.")
    instances: dict[int, Instance] = {}
    colors: set[int] = set()
    for number, line in enumerate(lines[1:], 2):
        row = next(csv.reader([line]), [])
        if not row:
            continue
        try:
            thing, color, name, room = int(row[0]), int(row[1], 16), _name(row[2]), int(row[3])
            if color in colors or len(row[1].strip()) != 6:
                raise ValueError
        except (ValueError, IndexError) as problem:
            raise _damaged(path, number, line, "number, a colour of its own, category, room") from problem
        colors.add(color)
        instances[thing] = Instance(thing, name, "", room, color)
    return _filled(path, instances)


def read_info_semantic(path: Path) -> dict[int, Instance]:
    """Read the objects of Replica's ``info_semantic.json``.

    Raises:
        SceneError: There is no such file, or it is damaged.
    """
    content: Any = parse_json(read_content(path), str(path))
    try:
        objects = [(int(entry["id"]), short_name(str(entry["class_name"]))) for entry in content["objects"]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SceneError(
            f"{path} is not as Replica writes it: expected {{'objects': [{{'id', 'class_name'}}, …]}}. "
            "Repair it or move it away."
        ) from error
    return {number: Instance(number, name) for number, name in objects}


def read_scn(path: Path) -> dict[int, Instance]:
    """Read the objects of a Gibson ``.scn`` file, as Habitat-Sim's tools make it from 3DSceneGraph.

    Raises:
        SceneError: There is no such file, or it is damaged.
    """
    content: Any = parse_json(read_content(path), str(path))
    try:
        objects = [(int(entry["id"]), short_name(str(entry["class_"]))) for entry in content["objects"]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise SceneError(
            f"{path} is not as Habitat-Sim's gen_gibson_semantics.sh writes it: expected {{'objects': [{{'id', "
            "'class_'}, …]}. Make it anew."
        ) from error
    return _filled(path, {number: Instance(number, name) for number, name in objects})


def _text(path: Path) -> str:
    try:
        return read_content(path).decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise SceneError(f"{path} is no text in UTF-8. Fetch it again.") from problem


def _name(text: str) -> str:
    return short_name(text.strip().strip('"'))


def _filled(path: Path, instances: dict[int, Instance]) -> dict[int, Instance]:
    if not instances:
        raise SceneError(f"{path} names no object. It may be cut off; fetch it again.")
    return instances


def _damaged(path: Path, number: int, line: str, expected: str) -> SceneError:
    return SceneError(f"{path}, line {number} is {line!r:.80}; expected {expected}. It may be cut off; fetch it again.")
