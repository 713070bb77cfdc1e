"""Images and sounds as data URIs, small enough to travel inside a report."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harken.envs.video import encode_audio

__all__ = ["FrameSheet", "audio_uri", "color_depth", "color_ramp", "frame_sheet", "image_uri"]

_TILE = 128
_TILES_AT_MOST = 160


@dataclass(frozen=True, kw_only=True)
class FrameSheet:
    """The frames of an episode side by side in one JPEG image: one decode, and no flicker when frames are swapped."""

    uri: str
    """The image as a data URI."""
    columns: int
    """Number of tiles in a row."""
    rows: int
    """Number of rows."""
    stride: int
    """Steps from one tile to the next; 1 unless the episode is long."""
    count: int
    """Number of tiles."""
    aspect: float
    """Width of a tile divided by its height."""

    def tile(self, step: int) -> int:
        """Return the tile that shows `step`: the last one at or before it."""
        return min(step // self.stride, self.count - 1)

    def position(self, tile: int) -> str:
        """Return the CSS background position of a tile."""
        column, row = tile % self.columns, tile // self.columns
        return f"{_share(column, self.columns)}% {_share(row, self.rows)}%"


def frame_sheet(frames: Sequence[np.ndarray] | np.ndarray, *, quality: int = 78) -> FrameSheet:
    """Lay frames out as a sheet of tiles of at most 128 pixels, every frame where there are at most 160.

    Args:
        frames: Images ``(h, w, 3)`` uint8 of one size, at least one.
        quality: JPEG quality, 1–95.

    Returns:
        The sheet.
    """
    from PIL import Image

    stride = math.ceil(len(frames) / _TILES_AT_MOST)
    selection = [frames[i] for i in range(0, len(frames), stride)]
    height, width = selection[0].shape[:2]
    scale = min(1.0, _TILE / max(height, width))
    # JPEG codes colour in blocks of 16 pixels; tiles of whole blocks do not bleed into each other.
    size = (max(16, 16 * round(width * scale / 16)), max(16, 16 * round(height * scale / 16)))
    columns = math.ceil(math.sqrt(len(selection)))
    rows = math.ceil(len(selection) / columns)
    sheet = Image.new("RGB", (columns * size[0], rows * size[1]))
    for tile, frame in enumerate(selection):
        image = Image.fromarray(np.ascontiguousarray(frame)).resize(size, Image.Resampling.LANCZOS)
        sheet.paste(image, ((tile % columns) * size[0], (tile // columns) * size[1]))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=quality, optimize=True)
    uri = _uri("image/jpeg", file.getvalue())
    return FrameSheet(uri=uri, columns=columns, rows=rows, stride=stride, count=len(selection), aspect=width / height)


def color_depth(depth: Sequence[np.ndarray] | np.ndarray) -> tuple[list[np.ndarray], float]:
    """Colour depth images: near is bright, far is dark, and grey is where nothing was hit.

    Args:
        depth: Images ``(h, w, 1)`` float32 [m], 0 where nothing was hit, at least one.

    Returns:
        Images ``(h, w, 3)`` uint8, and the depth at which the scale ends [m].
    """
    stack = np.stack([np.asarray(image)[..., 0] for image in depth])
    hit = np.isfinite(stack) & (stack > 0)
    far = float(np.percentile(stack[hit], 99)) if hit.any() else 1.0
    ramp = color_ramp("magma", 256)
    index = np.uint8(np.clip(1.0 - np.where(hit, stack, far) / far, 0.0, 1.0) * 255)
    return list(np.where(hit[..., None], ramp[index], np.uint8(128))), far


def color_ramp(name: str, count: int, *, low: float = 0.0, high: float = 1.0) -> np.ndarray:
    """Return colours of one of matplotlib's ramps.

    Args:
        name: Name of the ramp.
        count: Number of colours.
        low: Where in the ramp to begin, 0–1.
        high: Where in the ramp to end, 0–1.

    Returns:
        ``(count, 3)`` uint8.
    """
    from matplotlib import colormaps

    return np.round(255 * colormaps[name](np.linspace(low, high, count))[:, :3]).astype(np.uint8)


def image_uri(image: np.ndarray) -> str:
    """Return an image as a data URI: PNG, or JPEG where that takes less than half.

    Args:
        image: ``(h, w, 3)`` uint8.

    Returns:
        The data URI.
    """
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(image))
    quick, near = io.BytesIO(), io.BytesIO()
    picture.save(near, "JPEG", quality=88, subsampling=0, optimize=True)
    picture.save(quick, "PNG", compress_level=1)
    # The smallest PNG takes a second for a plan; it is made only where it may win over the JPEG.
    if near.tell() < quick.tell() / 4:
        return _uri("image/jpeg", near.getvalue())
    exact = io.BytesIO()
    picture.save(exact, "PNG", optimize=True)
    if near.tell() < exact.tell() / 2:
        return _uri("image/jpeg", near.getvalue())
    return _uri("image/png", exact.getvalue())


def audio_uri(audio: np.ndarray, rate: int) -> tuple[str, float]:
    """Return binaural sound as a data URI that every browser plays, its loudest sample brought to 0.7.

    Args:
        audio: ``(2, n)`` float32, left first.
        rate: Sampling rate [Hz].

    Returns:
        The data URI (MP3), and the gain that was applied [dB]; 0 dB for silence.
    """
    peak = float(np.abs(audio).max())
    gain = 0.7 / peak if peak > 0 else 1.0
    return _uri("audio/mpeg", encode_audio(audio.astype(np.float64) * gain, rate)), 20.0 * math.log10(gain)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _share(index: int, count: int) -> str:
    return f"{100 * index / max(1, count - 1):.5g}"
