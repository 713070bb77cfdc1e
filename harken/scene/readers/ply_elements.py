"""The elements of a PLY file, ASCII or binary: columns of numbers and lists of them.

Source: G. Turk, "The PLY polygon file format" (Stanford, 1994).
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

__all__ = ["Element", "Lists", "PlyFault", "read_elements"]

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8", "int64": "i8", "uint64": "u8"},
}
_LONGEST_HEADER = 1_000_000


class PlyFault(Exception):
    """A fault of a PLY file; the reader adds the file's name."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    """A list of numbers per row."""

    counts: np.ndarray
    """``(rows,)`` int64: how many numbers each has."""
    values: np.ndarray
    """All numbers, one row after the other."""

    @property
    def starts(self) -> np.ndarray:
        """``(rows,)``: where each row begins in `values`."""
        return np.cumsum(self.counts) - self.counts

    def rows(self, indices: np.ndarray, length: int) -> np.ndarray:
        """Return the numbers ``(n, length)`` of rows that all have that many."""
        return self.values[self.starts[indices][:, None] + np.arange(length)]


@dataclass(kw_only=True, eq=False)
class Element:
    """An element such as "vertex"."""

    count: int
    """Number of rows."""
    properties: list[tuple[str, np.dtype, np.dtype | None]] = field(default_factory=list)
    """Name, type, and for lists the type of their length."""
    scalars: dict[str, np.ndarray] = field(default_factory=dict)
    """Columns ``(rows,)`` by name."""
    lists: dict[str, Lists] = field(default_factory=dict)
    """Lists by name."""


def read_elements(content: bytes) -> tuple[dict[str, Element], list[str]]:
    """Read all elements of a PLY file.

    Args:
        content: The file.

    Returns:
        The elements by name in the order of the file, and the names of its textures.

    Raises:
        PlyFault: The content is not PLY, or does not match its header.
    """
    order, elements, textures, body = _header(content)
    if order == "":
        try:
            numbers = np.array(body.split(), np.float64)
        except ValueError as error:
            raise PlyFault(f"it holds what is no number ({str(error)[:120]})") from error
        place = 0
        for name, element in elements.items():
            place = _read_numbers(name, element, numbers, place)
        if place < len(numbers):
            raise PlyFault(f"it holds {len(numbers) - place} numbers more than its header promises")
    else:
        place = 0
        for name, element in elements.items():
            place = _read_bytes(name, element, body, place)
    return elements, textures


def _header(content: bytes) -> tuple[str, dict[str, Element], list[str], bytes]:
    """Return the byte order ("" for ASCII), the elements without their rows, textures, and what follows the header."""
    head, end, _ = content[:_LONGEST_HEADER].partition(b"end_header")
    if head.split(None, 1)[:1] != [b"ply"] or not end:
        raise PlyFault("it does not begin with the header of a PLY file")
    lines = head.decode("utf-8", errors="replace").splitlines()
    body = content[len(head) + len(end) :]
    body = body[body.index(b"\n") + 1 :] if b"\n" in body[:2] else body[1:]
    order: str | None = None
    elements: dict[str, Element] = {}
    current: Element | None = None
    textures: list[str] = []
    for line in lines[1:]:
        words = line.split()
        try:
            match words:
                case ["format", kind, "1.0"]:
                    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[kind]
                case ["element", name, count] if name not in elements and 0 <= int(count) < 2**40:
                    current = elements[name] = Element(count=int(count))
                case ["property", "list", length, kind, name] if current is not None:
                    lengths = np.dtype((order or "<") + _TYPES[length])
                    if lengths.kind == "f":
                        raise ValueError
                    current.properties.append((name, np.dtype((order or "<") + _TYPES[kind]), lengths))
                case ["property", kind, name] if current is not None:
                    current.properties.append((name, np.dtype((order or "<") + _TYPES[kind]), None))
                case ["comment", "TextureFile", *_]:
                    textures.append(line.split("TextureFile", 1)[1].strip())
                case ["comment" | "obj_info", *_] | []:
                    pass
                case _:
                    raise ValueError
        except (KeyError, ValueError) as error:
            raise PlyFault(f"its header holds {line.strip()[:60]!r}, which cannot be read") from error
    if order is None:
        raise PlyFault("its header names no format that is known")
    for name, element in elements.items():
        names = [entry[0] for entry in element.properties]
        if len(set(names)) < len(names) or (element.count and not names):
            raise PlyFault(f"its header names properties of {name} twice or none")
    return order, elements, textures, body


def _promised(name: str, element: Element, count: int) -> PlyFault:
    return PlyFault(f"the header promises {element.count} × {name} but {count} are there")


def _whole(name: str, values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return numbers of an ASCII file in the type that the header declares."""
    if dtype.kind == "f":
        return values
    limits = np.iinfo(dtype)
    bad = ~((values >= limits.min) & (values <= limits.max) & (values == np.floor(values)))
    if bad.any():
        raise PlyFault(f"{name} holds {values[bad][0]:g}; expected whole numbers from {limits.min} to {limits.max}")
    return values.astype(dtype)


def _read_numbers(name: str, element: Element, numbers: np.ndarray, place: int) -> int:
    """Read the rows of an element of an ASCII file from `place` on; return where the next one begins."""
    width = len(element.properties)
    if element.count * width > len(numbers) - place:
        raise _promised(name, element, (len(numbers) - place) // max(width, 1))
    lists = [length is not None for _, _, length in element.properties]
    counts: dict[int, np.ndarray] = {i: np.zeros(element.count, np.int64) for i in range(width) if lists[i]}
    starts = {i: np.zeros(element.count, np.int64) for i in range(width)}
    if not counts:
        table = numbers[place : place + element.count * width].reshape(-1, width)
        for column, (title, dtype, _) in enumerate(element.properties):
            element.scalars[title] = _whole(title, table[:, column], dtype)
        return place + element.count * width
    for row in range(element.count):
        for column in range(width):
            if place >= len(numbers):
                raise _promised(name, element, row)
            starts[column][row] = place
            if lists[column]:
                length = numbers[place]
                if not 0 <= length <= len(numbers) - place - 1 or length != int(length):
                    raise _promised(name, element, row)
                counts[column][row] = length
                place += int(length)
            place += 1
    for column, (title, dtype, length) in enumerate(element.properties):
        if length is None:
            element.scalars[title] = _whole(title, numbers[starts[column]], dtype)
        else:
            values = numbers[_spread(starts[column] + 1, counts[column])]
            element.lists[title] = Lists(counts=counts[column], values=_whole(title, values, dtype))
    return place


def _spread(starts: np.ndarray, counts: np.ndarray, step: int = 1) -> np.ndarray:
    """Return the places start, start + step, … of all numbers of every row, one row after the other."""
    offsets = np.cumsum(counts) - counts
    return step * np.arange(int(counts.sum())) + np.repeat(starts - step * offsets, counts)


def _read_bytes(name: str, element: Element, body: bytes, place: int) -> int:
    """Read the rows of an element of a binary file from byte `place` on; return where the next one begins."""
    least = sum((dtype if length is None else length).itemsize for _, dtype, length in element.properties)
    if element.count * least > len(body) - place:
        raise _promised(name, element, (len(body) - place) // max(least, 1))
    if not element.count:
        for title, dtype, length in element.properties:
            if length is None:
                element.scalars[title] = np.zeros(0, dtype)
            else:
                element.lists[title] = Lists(counts=np.zeros(0, np.int64), values=np.zeros(0, dtype))
        return place
    places, place = _locate(name, element, body, place)
    raw = np.frombuffer(body, np.uint8)
    for title, dtype, length in element.properties:
        starts, counts = places[title]
        if length is None:
            element.scalars[title] = _gather(raw, starts, dtype)
        else:
            items = _spread(starts, counts, dtype.itemsize)
            element.lists[title] = Lists(counts=counts, values=_gather(raw, items, dtype))
    return place


def _gather(raw: np.ndarray, starts: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the numbers that begin at the given bytes, in the machine's byte order."""
    size = dtype.itemsize
    step = int(starts[1] - starts[0]) if len(starts) > 1 else size
    if len(starts) and (len(starts) < 2 or (np.diff(starts) == step).all()) and step > 0:
        first = int(starts[0])
        rows = np.ndarray((len(starts),), dtype, raw.data, first, (step,))
    else:
        rows = raw[starts[:, None] + np.arange(size)].reshape(-1).view(dtype)
    return rows.astype(dtype.newbyteorder("="))


_Places = dict[str, tuple[np.ndarray, np.ndarray]]


def _locate(name: str, element: Element, body: bytes, place: int) -> tuple[_Places, int]:
    """Return the first byte and the length of every property of every row, and where the element ends."""
    uniform = _locate_uniform(element, body, place)
    if uniform is not None:
        return uniform
    # Rows of different lengths have to be visited one by one.
    lists = [(dtype.itemsize, length) for _, dtype, length in element.properties]
    rows: list[int] = []
    for row in range(element.count):
        for size, length in lists:
            if length is None:
                rows += (place, 1)
                place += size
                continue
            order: Literal["big", "little"] = "big" if length.str.startswith(">") else "little"
            count = int.from_bytes(body[place : place + length.itemsize], order, signed=length.kind == "i")
            place += length.itemsize
            rows += (place, count)
            if count < 0:
                raise PlyFault(f"a list of {name} has the length {count}")
            place += size * count
        if place > len(body):
            raise _promised(name, element, row)
    table = np.array(rows, np.int64).reshape(element.count, len(lists), 2)
    titles = [title for title, _, _ in element.properties]
    return {title: (table[:, i, 0], table[:, i, 1]) for i, title in enumerate(titles)}, place


def _locate_uniform(element: Element, body: bytes, place: int) -> tuple[_Places, int] | None:
    """Return the same if all rows are as long as the first, as in meshes of triangles; None otherwise."""
    offset, layout = place, []
    for title, dtype, length in element.properties:
        count = 1
        if length is not None:
            if offset + length.itemsize > len(body):
                return None
            count = int(np.frombuffer(body, length, 1, offset)[0])
            layout.append((title, offset - place, count, length))
            offset += length.itemsize
        if length is None:
            layout.append((title, offset - place, 1, None))
        if count < 0:
            return None
        offset += dtype.itemsize * count
    width = offset - place
    if place + width * element.count > len(body):
        return None
    rows = place + width * np.arange(element.count)
    places: _Places = {}
    for title, start, count, length in layout:
        begin = rows + start
        if length is not None:
            lengths = np.ndarray((element.count,), length, body, place + start, (width,))
            if not (lengths == count).all():
                return None
            begin = begin + length.itemsize
        places[title] = (begin, np.full(element.count, count, np.int64))
    return places, place + width * element.count
