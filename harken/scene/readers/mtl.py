"""Reader of MTL files, the materials of Wavefront OBJ: diffuse colours and diffuse maps."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harken.errors import SceneError
from harken.scene.readers.content import read_content
from harken.scene.readers.parts import short_name

__all__ = ["Look", "read_mtl", "split_lines"]

_COMMENT = re.compile(r"(?:^|\s)#.*")
_SHADING = frozenset(
    {"ka", "ks", "ke", "ns", "ni", "d", "tr", "tf", "illum", "sharpness", "km", "pr", "pm", "ps", "pc", "pcr", "aniso"}
    | {"anisor", "bump", "disp", "decal", "refl", "norm", "halo", "kr", "kt", "it", "rl"}
)
"""Keywords, in lower case, that do not concern the diffuse colour."""
_OPTIONS = {
    **dict.fromkeys(("-blendu", "-blendv", "-boost", "-texres", "-clamp", "-bm", "-imfchan", "-type", "-cc"), 1),
    **{"-colorspace": 1, "-mm": 2},
}
"""Options before the file of a map, and how many values each has."""


@dataclass(kw_only=True)
class Look:
    """An entry of an MTL file."""

    color: tuple[float, float, float] = (0.745, 0.745, 0.725)
    """Diffuse colour, 0–1."""
    map: str = ""
    """File of the diffuse map, empty for none."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Scale of texture coordinates."""
    shift: tuple[float, float] = (0.0, 0.0)
    """Offset, added after scaling."""


def split_lines(content: bytes) -> Iterator[tuple[int, str]]:
    """Yield the non-empty lines of an OBJ or MTL file, with their numbers from 1.

    A byte order mark, comments and surrounding space are removed; a backslash at the end joins a line with the next.
    """
    text = content.decode("utf-8-sig", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    beginning, first = "", 0
    for number, line in enumerate(text.split("\n"), 1):
        first = first or number
        if line.endswith("\\"):
            beginning += line[:-1] + " "
            continue
        line, beginning = beginning + line, ""
        line = (_COMMENT.sub("", line) if "#" in line else line).strip()
        if line:
            yield first, line
        first = 0
    if beginning.strip():
        yield first, _COMMENT.sub("", beginning).strip()


def read_mtl(path: Path) -> tuple[dict[str, Look], list[str]]:
    """Read an MTL file.

    Args:
        path: The file.

    Returns:
        The materials by name, and remarks about what is not read, for a warning.

    Raises:
        SceneError: A number cannot be read.
    """
    looks: dict[str, Look] = {}
    look = Look()
    unknown: dict[str, int] = {}
    for number, line in split_lines(read_content(path)):
        key, rest = (*line.split(None, 1), "")[:2]
        kind = key.lower()
        try:
            if kind == "newmtl":
                look = looks.setdefault(short_name(rest), Look())
            elif kind == "kd" and rest.split()[:1] not in (["spectral"], ["xyz"]):
                look.color = _color(rest)
            elif kind == "map_kd":
                _set_map(look, rest)
            elif kind not in _SHADING and not kind.startswith("map_"):
                unknown.setdefault(f"Kd {rest.split()[0]}" if kind == "kd" else key, number)
        except (ValueError, IndexError) as error:
            raise SceneError(
                f"{path}: line {number} cannot be read as MTL ({error}): {line[:80]!r}. Export the file again."
            ) from error
    named = ", ".join(f"{short_name(key)!r} (line {line})" for key, line in list(unknown.items())[:5])
    return looks, [f"lines of {path.name} that begin with {named} are not read"] if unknown else []


def _color(rest: str) -> tuple[float, float, float]:
    values = _numbers(rest.split()[:3])
    if len(values) == 1:  # One value stands for all three.
        values *= 3
    if len(values) != 3:
        raise ValueError("expected three numbers")
    return values[0], values[1], values[2]


def _numbers(words: list[str]) -> list[float]:
    values = [float(word) for word in words]
    if not all(map(math.isfinite, values)):
        raise ValueError("a number is not finite")
    return values


def _set_map(look: Look, rest: str) -> None:
    """Parse the file of a map, whose name may contain spaces, and its options for texture coordinates."""
    while rest.startswith("-"):
        option, rest = (*rest.split(None, 1), "")[:2]
        if option in ("-s", "-o", "-t"):
            values: list[float] = []
            while len(values) < 3 and rest:
                word, after = (*rest.split(None, 1), "")[:2]
                try:
                    values += _numbers([word])
                except ValueError:
                    break
                rest = after
            default = 1.0 if option == "-s" else 0.0
            pair = (*values, default, default)[:2]
            if option == "-s":
                look.scale = (pair[0], pair[1])
            elif option == "-o":
                look.shift = (pair[0], pair[1])
        elif option in _OPTIONS:
            rest = (*rest.split(None, _OPTIONS[option]), "")[_OPTIONS[option]]
        else:
            raise ValueError(f"the option {option[:20]!r} is not known")
    look.map = rest.strip()
