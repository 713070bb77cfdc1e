"""Reading of untrusted files: only regular files, JSON without duplicate keys, and undamaged images."""

import io
import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import SceneError
from harken.scene.readers.parts import LARGEST_TEXTURE, shrink_texture

__all__ = ["decode_texture", "is_file", "open_texture", "parse_json", "read_content"]

# Others are rare in scenes, and some of Pillow's formats run programs (EPS) or read further files.
_IMAGES = ("PNG", "JPEG", "WEBP", "BMP", "TGA", "TIFF", "GIF", "DDS", "PPM")
_PNG = b"\x89PNG\r\n\x1a\n"


def is_file(path: Path) -> bool:
    """Whether the path is a regular file and not a folder, pipe or device."""
    return os.path.isfile(path)


def read_content(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        SceneError: There is none, or it cannot be read.
    """
    if not is_file(path):
        raise SceneError(f"There is no regular file {_path_text(path)}; put it where the scene names it.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise SceneError(f"{_path_text(path)} cannot be read: {error.strerror or error}.") from error


def parse_json(content: bytes, origin: str) -> Any:
    """Return the content of JSON text.

    Args:
        content: The text in UTF-8.
        origin: Where the text comes from, for messages.

    Raises:
        SceneError: The text is not JSON, contains NaN or a duplicate key, or is nested too deeply.
    """
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise SceneError(f"{origin} is no usable JSON: it is nested too deep.") from error
    except ValueError as error:  # includes UnicodeError and JSONDecodeError
        raise SceneError(f"{origin} is no usable JSON: {error}. The file may be cut off or broken.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:60]!r} stands twice in one object")
    return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def decode_texture(content: bytes, largest: int = LARGEST_TEXTURE) -> np.ndarray | None:
    """Decode an image file to ``(height, width, 3)`` uint8, scaled down to sides of at most `largest` pixels.

    Returns None where it is damaged, cut off or no known format.
    """
    from PIL import Image

    try:
        if content.startswith(_PNG):
            _check_png(content)
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow's warnings indicate damage.
            with Image.open(io.BytesIO(content), formats=_IMAGES) as image:
                return shrink_texture(image, largest)
    except Exception:  # Pillow's decoders raise many kinds of errors for damaged files.
        return None


def _check_png(content: bytes) -> None:
    """Raise if a chunk of a PNG is damaged: Pillow does not verify the checksums of the image data."""
    place, kind = len(_PNG), b""
    while kind != b"IEND":
        length = int.from_bytes(content[place : place + 4], "big")
        kind, end = content[place + 4 : place + 8], place + 8 + length
        if len(content) < end + 4 or zlib.crc32(content[place + 4 : end]) != int.from_bytes(
            content[end : end + 4], "big"
        ):
            raise ValueError("a chunk is damaged")
        place = end + 4


def open_texture(path: Path) -> np.ndarray | None:
    """Read an image file as `decode_texture` does; None where it is missing, no regular file, or broken."""
    if not is_file(path):
        return None
    try:
        return decode_texture(path.read_bytes())
    except OSError:
        return None


def _path_text(path: Path) -> str:
    text = str(path)
    return repr(text if len(text) <= 200 else f"{text[:197]}...")
