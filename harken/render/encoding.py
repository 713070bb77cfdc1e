"""Encoding and decoding the parts of a sample: FLAC and WAV, PNG and JPEG, NumPy arrays, MP4 and JSON.

The same part gives the same bytes in every process: no encoder here writes a date or a name of a file. What readers
that know nothing of Harken make of a part is right: images are of 8 bits, depth is an array in metres, and all FLAC
files of a sample are divided by the same number.
"""

import gzip
import io
import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.errors import DataSetError, UnknownNameError
from harken.files import decompressed, parse_json

__all__ = [
    "CODECS", "Audio", "Depth", "Frames", "Video", "decode_npy", "decode_part", "decode_sample",
    "encode_sample", "read_metadata",
]  # fmt: skip

CODECS: tuple[str, ...] = ("flac", "jpg", "json", "mp4", "npy", "npy.gz", "png", "txt", "wav")
"""Ends of the extensions that can be encoded and decoded; `bytes` may have any extension."""

# Keys of a sample's JSON that the renderer writes, and columns of the index that it fills.
_RESERVED = ("number", "parts", "split", "key", "shard", "offset", "bytes")

_EXTENSION = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_FLAC_CHANNELS, _FLAC_RATE = 8, 655_350
_MILLIMETRES = 1000.0
_LARGEST_PART = 1 << 33
"""Bytes that a part may have when it is decoded."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Audio:
    """Sound to be stored as ``flac`` (lossless at 16 or 24 bits) or ``wav`` (32-bit float, exact)."""

    samples: np.ndarray
    """``(channels, n)`` float32."""
    rate: int
    """Sample rate [Hz]."""
    bits: Literal[16, 24] = 24
    """Bits of a sample in FLAC. Where a FLAC part of the sample goes beyond ±1, all of them are divided by the same
    power of two, the ``scale`` in the JSON: sums and ratios of parts hold for readers that do not know of it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Depth:
    """Depth to be stored as ``npy.gz``, float32 in metres, rounded to whole millimetres so that it packs well.

    A bare array keeps every bit. There are no depth images, because image readers would reduce them to 8 bits.
    """

    metres: np.ndarray
    """``(h, w, 1)`` or ``(n, h, w, 1)`` float32 [m]; 0 where nothing was hit."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frames:
    """Images of one size, exact, to be stored as one ``png`` with each below the one before it.

    Reading it gives them back as ``(n, h, w, channels)``.
    """

    images: np.ndarray
    """``(n, h, w, channels)`` uint8."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Video:
    """Images, and sound if there is any, to be stored as ``mp4`` (H.264 and AAC, both lossy: to be looked at).

    Store the sound for a network in a ``flac`` part beside it.
    """

    frames: Sequence[np.ndarray] | np.ndarray
    """Images ``(h, w, 3)`` uint8 of one size."""
    frame_rate: float
    """Images per second [Hz]."""
    audio: np.ndarray | None = None
    """``(2, n)`` float32, left first."""
    audio_rate: int | None = None
    """Sample rate of `audio` [Hz]."""
    preset: Literal["medium", "veryfast"] = "medium"
    """How long x264 looks for a smaller file."""


def encode_sample(parts: Mapping[str, Any], *, number: int, split: str) -> dict[str, bytes]:
    """Encode a sample.

    Args:
        parts: What `harken.render.Recipe.sample` returned.
        number: Number of the sample.
        split: Its split.

    Returns:
        Bytes by extension, sorted. ``json`` is always there: the recipe's metadata with ``number``, ``split`` and
        ``parts``, which holds rate, channels and scale of sounds, shape and unit of images, frame rate of videos.

    Raises:
        DataSetError: An extension is unknown or does not fit the part; a part holds NaN, is empty or too large for its
            format; metadata that JSON cannot hold. The message says which part.
    """
    encoded: dict[str, bytes] = {}
    descriptions: dict[str, dict[str, Any]] = {}
    scale = _common_scale(parts)
    metadata = dict(parts.get("json", {}))
    for key in _RESERVED:
        if key in metadata:
            raise DataSetError(f"The metadata has a key {key!r}, which belongs to the renderer; choose another.")
    for extension, part in parts.items():
        if extension == "json":
            continue
        if not _EXTENSION.fullmatch(extension):
            raise DataSetError(f"A part is called {extension!r}; expected lower-case words joined by dots.")
        codec = _codec(extension)
        if isinstance(part, bytes):
            encoded[extension] = part
            continue
        if codec not in CODECS:
            raise UnknownNameError("extension", extension, CODECS)
        try:
            if codec == "flac":
                encoded[extension], descriptions[extension] = _encode_flac(part, scale)
            else:
                encoded[extension], descriptions[extension] = _ENCODERS[codec](part)
        except DataSetError as error:
            raise DataSetError(f"Part {extension!r}: {error}") from error
    encoded["json"] = _encode_json({**metadata, "number": number, "split": split, "parts": descriptions})[0]
    return dict(sorted(encoded.items()))


def decode_sample(encoded: Mapping[str, bytes]) -> dict[str, Any]:
    """Decode a sample: the inverse of `encode_sample`, with plain arrays in place of `Audio`, `Depth` and `Video`.

    It also maps what WebDataset gives, ``webdataset.WebDataset(urls).map(decode_sample)``.

    Args:
        encoded: Bytes by extension; keys such as ``__key__`` are left as they are.

    Returns:
        Parts by extension: sounds ``(channels, n)`` float32 with their scale undone, images ``(h, w, channels)``,
        depth ``(h, w, 1)`` float32 [m], videos ``(frames, h, w, 3)`` uint8, ``json`` a dict; bytes as they are.

    Raises:
        DataSetError: A part is damaged, or the JSON is not what `encode_sample` writes.
    """
    metadata = read_metadata(encoded["json"]) if "json" in encoded else {}
    descriptions = metadata.get("parts", {})
    return {
        extension: metadata if extension == "json" else decode_part(extension, content, descriptions.get(extension))
        for extension, content in encoded.items()
    }


def read_metadata(content: bytes) -> dict[str, Any]:
    """Read the JSON of a sample.

    Raises:
        DataSetError: It is not an object with ``parts``, each of them an object.
    """
    metadata = parse_json(content, where="Part 'json'", error=DataSetError)
    if not isinstance(metadata, dict):
        raise DataSetError(f"Part 'json' is {type(metadata).__name__}; expected an object.")
    descriptions = metadata.get("parts", {})
    if not isinstance(descriptions, dict) or not all(
        isinstance(description, dict) for description in descriptions.values()
    ):
        raise DataSetError("Part 'json' has `parts` that are not an object for each part.")
    return metadata


def decode_part(extension: str, content: bytes, description: Mapping[str, Any] | None) -> Any:
    """Decode one part.

    Args:
        extension: Its extension.
        content: Its bytes.
        description: Its entry in ``parts`` of the sample's JSON; without one the bytes are returned.

    Raises:
        DataSetError: The bytes are not of that format.
    """
    if description is None:
        return content
    try:
        return _DECODERS[_codec(extension)](content, description)
    except Exception as error:  # a damaged part may raise anything
        what = "" if isinstance(error, DataSetError) else f"{type(error).__name__}: "
        raise DataSetError(
            f"Part {extension!r} of {len(content)} bytes cannot be decoded ({what}{str(error).rstrip('.')})."
        ) from error


def _codec(extension: str) -> str:
    words = extension.split(".")
    return ".".join(words[-2:] if words[-1] == "gz" else words[-1:])


def _common_scale(parts: Mapping[str, Any]) -> float:
    """Return the power of two by which all FLAC parts of a sample are divided, 1 at least, so that none is clipped."""
    scale = 1.0
    for extension, part in parts.items():
        if _codec(extension) != "flac" or not isinstance(part, Audio) or part.bits not in (16, 24):
            continue
        samples = np.asarray(part.samples)
        if samples.size == 0 or samples.dtype.kind != "f":
            continue
        highest, lowest = float(samples.max()), float(samples.min())
        peak = max(highest, -lowest)
        if not 0.0 < peak < math.inf:  # silence, or what is refused later
            continue
        own = 2.0 ** max(0, math.ceil(math.log2(peak)))
        if round(highest * 2.0 ** (part.bits - 1) / own) >= 2 ** (part.bits - 1):  # +1 itself is one step too many
            own *= 2.0
        scale = max(scale, own)
    return scale


def _encode_flac(part: Any, scale: float) -> tuple[bytes, dict[str, Any]]:
    samples = _sound(part)
    if len(samples) > _FLAC_CHANNELS or part.rate > _FLAC_RATE:
        raise DataSetError(
            f"{len(samples)} channels at {part.rate} Hz; FLAC holds at most {_FLAC_CHANNELS} at {_FLAC_RATE}. "
            "Store them as wav."
        )
    if part.bits not in (16, 24):
        raise DataSetError(f"FLAC of {part.bits!r} bits; expected 16 or 24.")
    description = {**_describe_sound(samples, part.rate), "bits": part.bits, "scale": scale}
    if not samples.any():
        return _silent_flac(samples.shape, int(part.rate), part.bits), description
    steps = 2.0 ** (part.bits - 1)
    # Steps and scale are powers of two and fewer than 2**24 steps are whole: single precision rounds nothing else.
    whole = np.rint(samples * np.float32(steps / scale))
    # libsndfile takes the upper bits of 32.
    words = whole.astype(np.int32) << (32 - part.bits)
    return _flac(words, part.rate, part.bits), description


@lru_cache(maxsize=16)
def _silent_flac(shape: tuple[int, int], rate: int, bits: int) -> bytes:
    """Return a file of silence; objects that are not there have one each."""
    return _flac(np.zeros(shape, np.int32), rate, bits)


def _flac(words: np.ndarray, rate: int, bits: int) -> bytes:
    import soundfile

    file = io.BytesIO()
    # Level 3 of 8 takes two thirds of the time of the default and 1 % more space.
    how = {"format": "FLAC", "subtype": f"PCM_{bits}", "compression_level": 3 / 8}
    soundfile.write(file, words.T, rate, **how)
    return file.getvalue()


def _encode_wav(part: Any) -> tuple[bytes, dict[str, Any]]:
    # Not soundfile, which writes the time of day into float files (the PEAK chunk).
    from scipy.io import wavfile

    samples = _sound(part)
    file = io.BytesIO()
    wavfile.write(file, part.rate, np.ascontiguousarray(samples.T))
    return file.getvalue(), _describe_sound(samples, part.rate)


def _describe_sound(samples: np.ndarray, rate: int) -> dict[str, Any]:
    return {"kind": "audio", "rate": int(rate), "channels": len(samples), "samples": samples.shape[1]}


def _sound(part: Any) -> np.ndarray:
    if not isinstance(part, Audio):
        raise DataSetError(f"it is {type(part).__name__}; expected Audio(samples=…, rate=…), or npy for a bare array.")
    samples = np.asarray(part.samples)
    if samples.ndim != 2 or 0 in samples.shape or samples.dtype.kind != "f":
        raise DataSetError(f"the sound is {samples.dtype} {samples.shape}; expected float32 (channels, samples).")
    if isinstance(part.rate, bool) or not isinstance(part.rate, int | np.integer) or part.rate < 1:
        raise DataSetError(f"the sample rate is {part.rate!r}; expected a whole number of hertz.")
    with np.errstate(over="ignore"):
        samples = samples.astype(np.float32)
    if not np.isfinite(samples).all():
        bad = np.argwhere(~np.isfinite(samples))[0]
        raise DataSetError(f"the sound is NaN or infinite, first at channel {bad[0]}, sample {bad[1]}.")
    return samples


def _decode_sound(content: bytes, description: Mapping[str, Any]) -> np.ndarray:
    import soundfile

    with soundfile.SoundFile(io.BytesIO(content)) as file:
        header = {"rate": file.samplerate, "channels": file.channels, "samples": file.frames}
        for name, value in header.items():
            if value != description[name]:
                raise DataSetError(f"a sound has {name} {value}; its metadata says {description[name]}")
        _check_size(4 * file.frames * file.channels)
        samples = file.read(dtype="float32", always_2d=True)
    if len(samples) != description["samples"]:
        raise DataSetError(f"a sound is cut off: {len(samples)} of {description['samples']} samples")
    return np.ascontiguousarray(samples.T) * np.float32(description.get("scale", 1.0))


def _check_size(count: int) -> None:
    if count > _LARGEST_PART:
        raise DataSetError(f"it would take {count:,} bytes; a part has {_LARGEST_PART:,} at most")


def _encode_png(part: Any) -> tuple[bytes, dict[str, Any]]:
    from PIL import Image

    if isinstance(part, Frames):
        content, description = _encode_png(_stacked(part))
        return content, {**description, "kind": "frames", "shape": list(np.shape(part.images))}
    if isinstance(part, Depth):
        raise DataSetError("it is Depth, which image readers would reduce to 8 bits; store it as npy.gz.")
    image = np.asarray(part)
    _check_image(image, (1, 3, 4))
    file = io.BytesIO()
    # Level 3 takes a third of the time of the default and some 5 % more space.
    Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image)).save(
        file, "PNG", compress_level=3
    )
    return file.getvalue(), _describe_array(image, "image")


def _stacked(part: Frames) -> np.ndarray:
    images = np.asarray(part.images)
    if images.ndim != 4 or 0 in images.shape:
        raise DataSetError(f"the images are {images.dtype} {images.shape}; expected (n, height, width, channels).")
    return images.reshape(-1, *images.shape[2:])


def _millimetres(part: Depth) -> np.ndarray:
    """Return depth [m] in whole millimetres."""
    depth = np.asarray(part.metres)
    if depth.ndim not in (3, 4) or depth.shape[-1] != 1 or 0 in depth.shape or depth.dtype.kind != "f":
        raise DataSetError(f"the depth is {depth.dtype} {depth.shape}; expected float32 (height, width, 1).")
    if not (depth.min() >= 0 and depth.max() < math.inf):  # NaN fails it too
        raise DataSetError(f"depth from {depth.min():g} to {depth.max():g} m; expected finite numbers from 0.")
    return (np.rint(depth * np.float32(_MILLIMETRES)) / np.float32(_MILLIMETRES)).astype(np.float32)


def _encode_jpg(part: Any) -> tuple[bytes, dict[str, Any]]:
    from PIL import Image

    image = np.asarray(part)
    _check_image(image, (1, 3))
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image))
    picture.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue(), _describe_array(image, "image")


def _check_image(image: np.ndarray, channels: tuple[int, ...]) -> None:
    if image.ndim != 3 or 0 in image.shape or image.dtype != np.uint8 or image.shape[2] not in channels:
        raise DataSetError(
            f"the image is {image.dtype} {image.shape}; expected uint8 (height, width, channels) with "
            f"{', '.join(map(str, channels))} channels. Store depth as Depth(metres=…) or npy, other arrays as npy."
        )


def _decode_image(content: bytes, description: Mapping[str, Any]) -> np.ndarray:
    from PIL import Image

    shape = [int(size) for size in description["shape"]]
    with Image.open(io.BytesIO(content)) as file:
        if file.width * file.height * shape[-1] != math.prod(shape):
            raise DataSetError(f"an image has {file.width} × {file.height} pixels; its metadata says {shape}")
        _check_size(math.prod(shape))
        return np.array(file).astype(np.uint8, copy=False).reshape(shape)


def _encode_npy(part: Any) -> tuple[bytes, dict[str, Any]]:
    array = np.asarray(part)
    if array.dtype.kind not in "biufc":
        raise DataSetError(f"it is {type(part).__name__} of {array.dtype}; expected an array of numbers.")
    if array.dtype.kind in "fc" and np.isnan(array).any():
        raise DataSetError(f"the array is NaN, first at {tuple(int(i) for i in np.argwhere(np.isnan(array))[0])}.")
    file = io.BytesIO()
    array = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    np.lib.format.write_array(file, array, allow_pickle=False)
    return file.getvalue(), _describe_array(array, "array")


def _encode_packed(part: Any) -> tuple[bytes, dict[str, Any]]:
    unit = {"unit": "m"} if isinstance(part, Depth) else {}
    content, description = _encode_npy(_millimetres(part) if isinstance(part, Depth) else part)
    # Level 1 packs depth four times as fast as PNG does, to twice its size.
    packed = gzip.compress(content, compresslevel=1, mtime=0)
    # The tenth byte names the operating system in some versions of Python.
    return packed[:9] + b"\xff" + packed[10:], {**description, **unit}


def _describe_array(array: np.ndarray, kind: str) -> dict[str, Any]:
    return {"kind": kind, "dtype": array.dtype.name, "shape": list(array.shape)}


def decode_npy(content: bytes) -> np.ndarray:
    """Return the array of an ``npy`` file; nothing in it is executed, and it takes no more memory than the file.

    Raises:
        DataSetError: It holds objects, or claims more or less than it holds.
        Exception: It is not such a file.
    """
    file = io.BytesIO(content)
    reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, _, kind = reader[np.lib.format.read_magic(file)](file)
    # Memory for the whole array is set aside before its first number is read.
    if kind.hasobject or math.prod(shape) * kind.itemsize != len(content) - file.tell():
        raise DataSetError(f"an array of {kind} {shape} has {len(content) - file.tell()} bytes")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def _decode_packed(content: bytes, description: Mapping[str, Any]) -> np.ndarray:
    size = math.prod(int(n) for n in description["shape"]) * np.dtype(description["dtype"]).itemsize
    _check_size(size)
    # The header of an array has some hundred bytes.
    whole = decompressed(content, largest=size + 65_536, where="it", error=DataSetError)
    return decode_npy(whole)


def _encode_mp4(part: Any) -> tuple[bytes, dict[str, Any]]:
    from harken.envs.video import write_video

    if not isinstance(part, Video):
        raise DataSetError(f"it is {type(part).__name__}; expected Video(frames=…, frame_rate=…).")
    with tempfile.TemporaryDirectory(prefix="harken-") as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, part.frames, part.frame_rate, part.audio, part.audio_rate, preset=part.preset)
        content = path.read_bytes()
    height, width = np.shape(part.frames[0])[:2]
    shape = [len(part.frames), height, width, 3]
    return content, {"kind": "video", "dtype": "uint8", "shape": shape, "frame_rate": float(part.frame_rate)}


def _decode_mp4(content: bytes, description: Mapping[str, Any]) -> np.ndarray:
    import av

    count, height, width, _ = description["shape"]
    _check_size(math.prod(int(n) for n in description["shape"]))
    frames: list[np.ndarray] = []
    with av.open(io.BytesIO(content), "r") as container:
        for frame in container.decode(video=0):
            if len(frames) == count or frame.width > width + 1 or frame.height > height + 1:
                raise DataSetError(f"a video has more or larger frames than the {count} that its metadata says")
            frames.append(frame.to_ndarray(format="rgb24")[:height, :width])
    if len(frames) != count:
        raise DataSetError(f"a video has {len(frames)} frames; its metadata says {count}")
    return np.stack(frames)


def _encode_json(part: Any) -> tuple[bytes, dict[str, Any]]:
    try:
        text = json.dumps(part, sort_keys=True, ensure_ascii=False, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise DataSetError(f"The metadata cannot be written as JSON ({error}); given {part!r}.") from error
    return f"{text}\n".encode(), {"kind": "json"}


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not a number, text, list or mapping")


def _encode_txt(part: Any) -> tuple[bytes, dict[str, Any]]:
    if not isinstance(part, str):
        raise DataSetError(f"it is {type(part).__name__}; expected text.")
    return part.encode(), {"kind": "text"}


_ENCODERS = {
    "jpg": _encode_jpg,
    "json": _encode_json,
    "mp4": _encode_mp4,
    "npy": _encode_npy,
    "npy.gz": _encode_packed,
    "png": _encode_png,
    "txt": _encode_txt,
    "wav": _encode_wav,
}

_DECODERS = {
    "flac": _decode_sound,
    "jpg": _decode_image,
    "json": lambda content, description: parse_json(content, where="it", error=DataSetError),
    "mp4": _decode_mp4,
    "npy": lambda content, description: decode_npy(content),
    "npy.gz": _decode_packed,
    "png": _decode_image,
    "txt": lambda content, description: content.decode(),
    "wav": _decode_sound,
}
