"""The container of a glTF file: its JSON, checked as it is read, and its buffers."""

import base64
import binascii
import math
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from harken.errors import SceneError
from harken.scene.readers.content import parse_json, read_content
from harken.scene.readers.parts import short_name

__all__ = ["Document", "Entry", "open_document"]

_HEADER, _CHUNK = struct.Struct("<4sII"), struct.Struct("<II")
_JSON, _BINARY = 0x4E4F534A, 0x004E4942


@dataclass(frozen=True, eq=False)
class Entry:
    """An object of the file's JSON with its location, so that errors can name it."""

    document: "Document"
    """The file."""
    place: str
    """Its location, such as ``meshes[3].primitives[0]``."""
    content: dict[str, Any]
    """Its content."""

    def fault(self, what: str) -> SceneError:
        """Return an error that names the file, the place and what is wrong there."""
        return self.document.fault(f"{self.place}: {what}")

    def _value(self, key: str, kinds: type | tuple[type, ...], kind: str) -> Any:
        value = self.content[key]
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise self.fault(f"{key} is {_excerpt(value)}; expected {kind}")
        return value

    def text(self, key: str, default: str = "") -> str:
        """Return text."""
        return self._value(key, str, "text") if key in self.content else default

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        return self._value(key, bool, "true or false") if key in self.content else default

    def count(self, key: str, default: int | None = None) -> int:
        """Return a whole number of 0 or more; if it is missing, the default, or raise an error without one."""
        if key not in self.content and default is not None:
            return default
        if key not in self.content:
            raise self.fault(f"{key} is missing")
        value = self._value(key, (int, float), "a whole number of 0 or more")
        if not 0 <= value < 2**53 or value != int(value):
            raise self.fault(f"{key} is {_excerpt(value)}; expected a whole number of 0 or more")
        return int(value)

    def number(self, key: str, default: float) -> float:
        """Return a finite number."""
        return default if key not in self.content else self._as_numbers(key, [self.content[key]], 1)[0]

    def numbers(self, key: str, size: int | None, default: tuple[float, ...] = ()) -> tuple[float, ...]:
        """Return finite numbers, `size` of them unless that is None."""
        if key not in self.content:
            return default
        return self._as_numbers(key, self._value(key, list, "a list of numbers"), size)

    def _as_numbers(self, key: str, values: list[Any], size: int | None) -> tuple[float, ...]:
        try:
            numbers = tuple(float(value) for value in values if not isinstance(value, bool | str))
        except (TypeError, OverflowError):
            numbers = ()
        if len(numbers) != len(values) or size not in (None, len(numbers)) or not all(map(math.isfinite, numbers)):
            expectation = "finite numbers" if size is None else f"{size} finite number(s)"
            raise self.fault(f"{key} is {str(values)[:60]}; expected {expectation}")
        return numbers

    def child(self, key: str) -> "Entry | None":
        """Return an object inside, None where there is none."""
        if key not in self.content:
            return None
        return Entry(self.document, f"{self.place}.{key}", self._value(key, dict, "an object"))

    def children(self, key: str) -> "list[Entry]":
        """Return the objects of a list inside."""
        values = self._value(key, list, "a list of objects") if key in self.content else []
        entries = [Entry(self.document, f"{self.place}.{key}[{i}]", value) for i, value in enumerate(values)]
        for entry in entries:
            if not isinstance(entry.content, dict):
                raise entry.fault(f"it is {_excerpt(entry.content)}; expected an object")
        return entries

    def indices(self, key: str) -> list[int]:
        """Return the whole numbers of a list inside."""
        values = self._value(key, list, "a list of whole numbers") if key in self.content else []
        for value in values:
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise self.fault(f"{key} holds {_excerpt(value)}; expected whole numbers of 0 or more")
        return values

    def extension(self, name: str) -> "Entry | None":
        """Return what an extension adds here, None where it adds nothing."""
        extensions = self.child("extensions")
        return None if extensions is None else extensions.child(name)

    def linked(self, key: str, table: str) -> "Entry | None":
        """Return the entry of a table of the file that a number here refers to, None without a number."""
        if key not in self.content:
            return None
        return self.entry_of(table, self.count(key), key)

    def entry_of(self, table: str, number: int, key: str) -> "Entry":
        """Return entry `number` of a table of the file; `key` is the property that refers to it."""
        entries = self.document.table(table)
        if number >= len(entries):
            raise self.fault(f"{key} is {number}, but the file has {len(entries)} {table}")
        return entries[number]


@dataclass(frozen=True, eq=False)
class Document:
    """A glTF file."""

    path: Path
    """The file."""
    header: dict[str, Any]
    """Its JSON."""
    chunk: bytes | None
    """The binary chunk of a GLB file."""
    _tables: dict[str, list[Entry]] = field(default_factory=dict)
    _buffers: dict[int, bytes] = field(default_factory=dict)

    def fault(self, what: str) -> SceneError:
        """Return an error that names the file and what is wrong."""
        return SceneError(
            f"{self.path} cannot be read as glTF: {what}. It may be cut off, broken, or refer to a file that is "
            "missing beside it; export it again."
        )

    @cached_property
    def root(self) -> Entry:
        """The outermost object."""
        return Entry(self, "the file", self.header)

    def table(self, name: str) -> list[Entry]:
        """Return the entries of a table such as ``meshes``."""
        if name not in self._tables:
            entries = self.root.children(name)
            self._tables[name] = [Entry(self, f"{name}[{i}]", entry.content) for i, entry in enumerate(entries)]
        return self._tables[name]

    def view(self, view: Entry) -> tuple[memoryview, int]:
        """Return the bytes of a buffer view, and its stride (0 for none)."""
        stride = view.count("byteStride", 0)
        buffer = view.linked("buffer", "buffers")
        if buffer is None:
            raise view.fault("buffer is missing")
        if "EXT_meshopt_compression" in view.content.get("extensions", {}):
            raise view.fault("it is compressed with meshopt, which cannot be read")
        content = self._buffer(buffer)
        start, length = view.count("byteOffset", 0), view.count("byteLength")
        if start + length > len(content):
            raise view.fault(f"it ends at byte {start + length} of a buffer of {len(content)}")
        return memoryview(content)[start : start + length], stride

    def _buffer(self, buffer: Entry) -> bytes:
        key = id(buffer)
        if key not in self._buffers:
            uri = buffer.text("uri")
            if uri:
                content = self.resource(buffer, uri)
            elif self.chunk is not None and buffer is self.table("buffers")[0]:
                content = self.chunk
            else:
                raise buffer.fault("it has neither a uri nor a binary chunk in the file")
            promised = buffer.count("byteLength")
            if promised > len(content):
                raise buffer.fault(f"byteLength promises {promised} bytes, but {len(content)} are there")
            self._buffers[key] = content[:promised]
        return self._buffers[key]

    def resource(self, entry: Entry, uri: str) -> bytes:
        """Return the bytes that a URI contains (``data:``) or that it refers to beside the file.

        Raises:
            SceneError: The URI is neither, or there is no such regular file.
        """
        if uri.startswith("data:"):
            head, comma, data = uri.partition(",")
            try:
                if not comma or not head.endswith(";base64"):
                    raise ValueError("it is not in base64")
                return base64.b64decode(unquote(data) if "%" in data else data, validate=True)
            except (ValueError, binascii.Error) as error:
                raise entry.fault(f"its data: URI cannot be read ({error})") from error
        scheme = uri.partition("://")[0]
        if scheme != uri or "\0" in uri:
            raise entry.fault(f"its uri {_excerpt(uri)} is no file beside this one; download it and name it there")
        try:
            return read_content(self.path.parent / unquote(uri))
        except SceneError as error:
            raise entry.fault(f"its uri {_excerpt(uri)} cannot be read ({error})") from error


def open_document(path: Path) -> Document:
    """Open a glTF file.

    Args:
        path: A ``.glb`` or ``.gltf`` file.

    Raises:
        SceneError: The file is not glTF 2.0, or it is truncated or damaged.
    """
    content = read_content(path)
    chunk = None
    if path.suffix.lower() == ".glb":
        content, chunk = _split(path, content)
    header = parse_json(content, str(path))
    if not isinstance(header, dict):
        raise SceneError(f"{path} cannot be read as glTF: its JSON is no object. Export it again.")
    document = Document(path, header, chunk)
    asset = document.root.child("asset")
    version = "2.0" if asset is None else asset.text("version", "2.0")
    if not version.startswith("2."):
        raise document.fault(f"its version is {_excerpt(version)}; expected 2.0")
    return document


def _split(path: Path, content: bytes) -> tuple[bytes, bytes | None]:
    """Return the JSON and the binary chunk of a GLB file."""

    def cut_off(what: str) -> SceneError:
        return SceneError(f"{path} cannot be read as glTF: {what}. It may be cut off or broken; export it again.")

    if len(content) < _HEADER.size:
        raise cut_off(f"it has {len(content)} bytes, less than the header of a GLB file")
    magic, version, length = _HEADER.unpack_from(content)
    if magic != b"glTF" or version != 2:
        raise cut_off("it does not begin as a GLB file of version 2")
    if length > len(content):
        raise cut_off(f"its header promises {length} bytes, but {len(content)} are there")
    text = chunk = None
    place = _HEADER.size
    while place + _CHUNK.size <= length:
        size, kind = _CHUNK.unpack_from(content, place)
        place += _CHUNK.size
        if place + size > length:
            raise cut_off(f"a chunk promises {size} bytes, but {length - place} are there")
        if kind == _JSON and text is None:
            text = content[place : place + size]
        elif kind == _BINARY and chunk is None:
            chunk = content[place : place + size]
        place += size
    if text is None:
        raise cut_off("it has no JSON chunk")
    return text, chunk


def _excerpt(value: Any) -> str:
    """Return a value of the file as short text."""
    if isinstance(value, str):
        return repr(short_name(value))
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge whole number"
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    return repr(value)
