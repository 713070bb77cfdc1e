"""Pictures of objects and of places behind them: from a user's folders, or out of generated homes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harken.errors import DataSetError

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["IMAGE_SUFFIXES", "SMALLEST", "ObjectImage", "image_groups", "load_background", "load_object"]

IMAGE_SUFFIXES: tuple[str, ...] = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
"""Endings of the files that are read as images."""

SMALLEST = 8
"""Least width and height of an image, and of what is not transparent in it [pixel]."""

_SPLIT_FOLDERS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True, eq=False)
class ObjectImage:
    """The picture of one object, without what is transparent around it."""

    name: str
    """What it shows and where it came from."""
    pixels: np.ndarray
    """``(height, width, 4)`` uint8: red, green, blue (sRGB) and opacity; read-only."""
    height: int
    """Rows before the picture was reduced to save memory."""
    width: int
    """Columns before that."""


def image_groups(path: str | Path, split: str) -> dict[str, tuple[str, ...]]:
    """List the images of a folder by what they show.

    A group is named by the folder that holds the images, or for files in none by the file's name without a number at
    its end: ``dog/a17.png`` and ``dog_2.png`` are dogs. Folders named train, val (valid, validation) or test keep
    splits apart; where there are none, every split has all images.

    Args:
        path: The folder. Hidden files and files that do not end in one of `IMAGE_SUFFIXES` are passed over.
        split: "train", "val" or "test".

    Returns:
        Paths by group, both sorted; numbers in names count as numbers, so that frames are in order.

    Raises:
        DataSetError: There is no such folder, or no image for the split in it; an image cannot be read, or is smaller
            than `SMALLEST` pixels in either direction. Headers are read; the rest is when an image is asked for.
    """
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataSetError(f"No folder of images at {str(root)!r}: it is {'a file' if root.exists() else 'not there'}.")
    files = [file.relative_to(root) for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES]
    files = [f for f in files if not any(part.startswith(".") for part in f.parts) and (root / f).is_file()]
    files.sort(key=_natural)
    if not files:
        raise DataSetError(
            f"No image in {str(root)!r}: expected files that end in {', '.join(IMAGE_SUFFIXES)}, in the folder itself "
            "or in folders in it."
        )
    of_split = [_split(file) for file in files]
    if any(of_split):
        files = [file for file, label in zip(files, of_split, strict=True) if label == split]
        if not files:
            splits = ", ".join(sorted({label for label in of_split if label}))
            raise DataSetError(f"{str(root)!r} has images for {splits}, but none for {split}. Add a folder {split!r}.")
    groups: dict[str, list[str]] = {}
    for file in files:
        _check_size(root / file)
        folders = [part for part in file.parts[:-1] if part.lower() not in _SPLIT_FOLDERS]
        group = folders[-1] if folders else re.sub(r"[\s_-]*\d+$", "", file.stem) or file.stem
        groups.setdefault(group, []).append(str(root / file))
    return {name: tuple(groups[name]) for name in sorted(groups)}


@lru_cache(maxsize=256)
def load_object(path: str, largest: tuple[int, int]) -> ObjectImage:
    """Read the picture of an object and cut off what is transparent around it.

    Greyscale, palette, 16-bit and CMYK images become red, green and blue; a photograph is turned upright by its EXIF
    orientation; of an animation the first picture is taken. The last 256 results are kept.

    Args:
        path: The file.
        largest: Height and width to which a larger picture is reduced [pixel].

    Raises:
        DataSetError: The file cannot be read, nothing in it is opaque, or what is is smaller than `SMALLEST` pixels.
    """
    from PIL import Image

    image = _upright(path).convert("RGBA")
    box = image.getchannel("A").getbbox()
    if box is None:
        raise DataSetError(f"{path!r} is wholly transparent; expected the picture of an object. Leave it out.")
    image = image.crop(box)
    width, height = image.size
    if min(width, height) < SMALLEST:
        raise DataSetError(
            f"Only {width}×{height} pixels of {path!r} are not transparent; expected {SMALLEST}×{SMALLEST} at least."
        )
    ratio = min(largest[0] / height, largest[1] / width)
    if ratio < 1.0:
        image = image.resize((max(1, round(width * ratio)), max(1, round(height * ratio))), Image.Resampling.LANCZOS)
    return object_image(Path(path).name, np.array(image), height, width)


@lru_cache(maxsize=64)
def load_background(path: str, height: int, width: int) -> np.ndarray:
    """Read an image and scale it so that it just covers a size; what is transparent becomes grey.

    Args:
        path: The file.
        height: Rows to cover.
        width: Columns to cover.

    Returns:
        ``(rows, columns, 3)`` uint8, read-only, with rows ≥ `height` and columns ≥ `width`, one of them equal. The last
        64 results are kept.

    Raises:
        DataSetError: The file cannot be read.
    """
    from PIL import Image

    image = _upright(path).convert("RGBA")
    ground = Image.new("RGBA", image.size, (128, 128, 128, 255))
    image = Image.alpha_composite(ground, image).convert("RGB")
    ratio = max(width / image.width, height / image.height)
    size = max(width, round(image.width * ratio)), max(height, round(image.height * ratio))
    pixels = np.array(image.resize(size, Image.Resampling.LANCZOS))
    pixels.flags.writeable = False
    return pixels


def object_image(name: str, pixels: np.ndarray, height: int | None = None, width: int | None = None) -> ObjectImage:
    """Return pixels ``(h, w, 4)`` uint8, made read-only, as a picture; the size before is theirs if left out."""
    pixels.flags.writeable = False
    return ObjectImage(name=name, pixels=pixels, height=height or pixels.shape[0], width=width or pixels.shape[1])


def blend(canvas: np.ndarray, picture: np.ndarray, left: int, top: int) -> None:
    """Lay a picture ``(h, w, 4)`` on a canvas ``(H, W, 3)`` uint8, in place; it has to lie within."""
    height, width = picture.shape[:2]
    window = canvas[top : top + height, left : left + width]
    opacity = picture[..., 3:].astype(np.uint16)
    mixed = picture[..., :3] * opacity + window * (255 - opacity)
    # Rounded division by 255 in whole numbers (Blinn 1995, "Three wrongs make a right").
    mixed += 128
    window[:] = (mixed + (mixed >> 8)) >> 8


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a picture ``(h, w, 4)`` uint8 in another size; colours of transparent pixels do not bleed into others."""
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def _upright(path: str) -> "Image.Image":
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):
                # Pillow would cut 16 bits off at 255.
                image = Image.fromarray((np.asarray(image).astype(np.float64) / 257.0).clip(0, 255).astype(np.uint8))
            return ImageOps.exif_transpose(image).copy()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataSetError(f"{path!r} cannot be read as an image ({error}). Fetch it again or leave it out.") from error


def _check_size(file: Path) -> None:
    from PIL import Image

    try:
        with Image.open(file) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataSetError(
            f"{str(file)!r} cannot be read as an image ({error}). Fetch it again or leave it out."
        ) from error
    if min(width, height) < SMALLEST:
        raise DataSetError(
            f"{str(file)!r} has {width}×{height} pixels; expected {SMALLEST}×{SMALLEST} at least. Leave it out."
        )


def _natural(file: Path) -> list[tuple[int, int, str]]:
    """Key by which frame_2 comes before frame_10."""
    return [(0, int(t), "") if t.isdecimal() else (1, 0, t) for t in re.split(r"(\d+)", file.as_posix()) if t]


def _split(file: Path) -> str | None:
    folders: Sequence[str] = [part.lower() for part in file.parts[:-1] if part.lower() in _SPLIT_FOLDERS]
    return _SPLIT_FOLDERS[folders[0]] if folders else None
