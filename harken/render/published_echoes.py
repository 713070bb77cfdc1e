"""Read the published data sets of echoes and depth: VisualEchoes and BatVision, as users have them on disk.

- VisualEchoes (Gao, Chen, Al-Halah, Schissler and Grauman, ECCV 2020; CC BY 4.0): echoes of a 3 ms sweep in Replica, as
  ``echoes_navigable/<scene>/<sweep>/<angle>/<location>.wav``, and images in one pickle per resolution,
  ``scene_observations_<size>.pkl``: ``{scene: {(location, angle): {"rgb": …, "depth": …}}}``, depth in metres. The
  pickle is read without executing what it names.
- BatVision (Brunetto, Hornauer, Yu and Moutarde, IROS 2023; CC BY-SA 4.0): recordings of a robot. V1 has
  ``train.csv``, ``val.csv`` and ``test.csv`` at its root, an array per ear and depth images up to 12 m; V2 has these
  files in a folder per place, stereo recordings and depth up to 30 m. Paths in the tables are relative to the root,
  depth is in millimetres, and NaN, infinite and negative depth is not known.

The released loaders clamp depth to the largest one and keep what is not known as 0, which a loss then takes for a
wall at the lens. Here unknown depth is 0 as well, and `EchoSample.known` says where it is.
"""

import csv
import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import ConfigurationError, DataSetError, UnknownNameError
from harken.files import read_bytes, read_text
from harken.pickles import check_pickle
from harken.render.encoding import decode_npy
from harken.sound.spectrogram import echo_spectrogram
from harken.splits import Split, checked_split

__all__ = ["VISUAL_ECHOES_TEST", "EchoSample", "echo_spectrogram", "read_batvision", "read_visual_echoes"]

VISUAL_ECHOES_TEST: tuple[str, ...] = ("apartment_2", "frl_apartment_5", "office_4")
"""Scenes that the paper tests on; it trains on the other fifteen."""

_LARGEST_ARRAY = 256_000_000
_BATVISION_RATE = 44100
_BATVISION_DEPTH = {1: 12.0, 2: 30.0}
_V1 = ("depth path", "audio path left", "audio path right")
_V2 = ("depth path", "depth file name", "audio path", "audio file name")


@dataclass(frozen=True, kw_only=True, eq=False)
class EchoSample:
    """An echo and the view that belongs to it."""

    name: str
    """Unique name, such as "office_0/3ms_sweep/90/17"."""
    scene: str
    """Scene or place; empty where the data set names none."""
    echo: np.ndarray
    """``(2, n)`` float32, left ear first; full scale is 1 where the file holds integers."""
    rate: int
    """Sample rate [Hz]."""
    depth: np.ndarray
    """``(height, width, 1)`` float32 [m]; 0 where it is not known."""
    known: np.ndarray
    """``(height, width, 1)`` bool: where depth is known and at most the largest."""
    rgb: np.ndarray | None
    """``(height, width, 3)`` uint8; None where the data set has no image."""
    orientation: int | None = None
    """Angle of the folder [degrees], as the data set writes it: it does not say which way it turns."""


def read_visual_echoes(
    path: str | Path,
    *,
    scenes: Sequence[str] | None = None,
    observations: str = "scene_observations_128.pkl",
    echoes: str = "echoes_navigable",
    sweep: str = "3ms_sweep",
) -> Iterator[EchoSample]:
    """Read VisualEchoes.

    Args:
        path: Folder that holds the pickle and the folder of echoes.
        scenes: Names of the scenes to read; all of the pickle where None. See `VISUAL_ECHOES_TEST`.
        observations: Name of the pickle; it is read whole, 0.9 GB for 128 pixels.
        echoes: Name of the folder of echoes.
        sweep: Name of the signal's folder.

    Returns:
        An iterator over the samples, by scene, location and angle.

    Raises:
        DataSetError: A file is missing or cannot be read, the pickle names code to run, an echo is not stereo, or an
            image has another shape; before the first sample where it concerns the folder.
        UnknownNameError: There is no such scene.
    """
    root = _folder(path, "VisualEchoes")
    file, sounds = root / observations, root / echoes
    for needed, kind in ((file, "pickle of images"), (sounds, "folder of echoes")):
        if not needed.exists():
            raise DataSetError(
                f"No {kind} {needed.name!r} in {str(root)!r}. VisualEchoes comes as scene_observations_128.pkl and "
                "echoes_navigable.tar.gz, which has to be unpacked beside it."
            )
    content = _read_observations(file)
    for name in scenes or ():
        if name not in content:
            raise UnknownNameError("scene", name, sorted(content))
    names = sorted(content) if scenes is None else list(scenes)
    return _visual_echoes(content, sounds, names, sweep)


def read_batvision(
    path: str | Path,
    split: Split,
    *,
    max_depth: float | None = None,
    places: Sequence[str] | None = None,
) -> Iterator[EchoSample]:
    """Read BatVision V1 or V2, whichever the folder holds.

    Args:
        path: Folder with ``train.csv``, ``val.csv`` and ``test.csv`` (V1), or with a folder of these per place (V2).
        split: Which of the tables.
        max_depth: Largest depth that counts as known [m]; 12 for V1 and 30 for V2 where None, as published.
        places: Folders to read of V2; all that have the table where None.

    Returns:
        An iterator over the samples in the order of the tables, places sorted.

    Raises:
        UnknownNameError: There is no such split or place.
        DataSetError: The folder holds neither, a table lacks a column or a row, or a file is missing, cannot be read
            or has another shape; before the first sample where it concerns the tables.
        ConfigurationError: `max_depth` is not positive, or places are asked for of V1.
    """
    checked_split(split)
    if max_depth is not None and not max_depth > 0:
        raise ConfigurationError(f"max_depth is {max_depth!r} m; expected more than 0, or None.")
    root = _folder(path, "BatVision")
    if (root / f"{split}.csv").is_file():
        if places is not None:
            raise ConfigurationError("BatVision V1 is not divided into places; leave `places` out.")
        rows = [("", row) for row in _table(root / f"{split}.csv", _V1)]
        return _batvision(root, rows, 1, max_depth or _BATVISION_DEPTH[1])
    folders = sorted(folder.name for folder in root.iterdir() if (folder / f"{split}.csv").is_file())
    if not folders:
        raise DataSetError(
            f"No {split}.csv in {str(root)!r} (BatVision V1) nor in a folder in it (V2). Give the folder that holds "
            "the tables."
        )
    for place in places or ():
        if place not in folders:
            raise UnknownNameError("place", place, folders)
    rows = [
        (place, row)
        for place in (folders if places is None else places)
        for row in _table(root / place / f"{split}.csv", _V2)
    ]
    return _batvision(root, rows, 2, max_depth or _BATVISION_DEPTH[2])


def _visual_echoes(content: dict[str, Any], sounds: Path, scenes: Sequence[str], sweep: str) -> Iterator[EchoSample]:
    for scene in scenes:
        for location, angle in sorted(content[scene]):
            name = f"{scene}/{sweep}/{angle}/{location}"
            echo, rate = _stereo(sounds / scene / sweep / str(angle) / f"{location}.wav")
            views = content[scene][location, angle]
            depth, valid = _depth(views["depth"], name, 1.0, None)
            rgb = _color(views["rgb"], name)
            yield EchoSample(
                name=name, scene=scene, echo=echo, rate=rate, depth=depth, known=valid, rgb=rgb, orientation=int(angle)
            )


def _batvision(
    root: Path, rows: list[tuple[str, dict[str, str]]], version: int, max_depth: float
) -> Iterator[EchoSample]:
    for place, row in rows:
        if version == 1:
            depth_file, image = root / row["depth path"], row.get("camera path left")
            ears = [_array(root / row[f"audio path {side}"]) for side in ("left", "right")]
            if ears[0].ndim != 1 or ears[0].shape != ears[1].shape or len(ears[0]) == 0:
                raise DataSetError(f"{row['audio path left']!r} and its right ear: {ears[0].shape}, {ears[1].shape}.")
            echo, rate = _finite(np.stack(ears).astype(np.float32), row["audio path left"]), _BATVISION_RATE
        else:
            depth_file = root / row["depth path"] / row["depth file name"]
            named = "camera path" in row and "camera file name" in row
            image = str(Path(row["camera path"]) / row["camera file name"]) if named else None
            echo, rate = _stereo(root / row["audio path"] / row["audio file name"])
        name = depth_file.relative_to(root).with_suffix("").as_posix()
        depth, valid = _depth(_array(depth_file), name, 0.001, max_depth)
        rgb = _picture(root / image) if image else None
        yield EchoSample(name=name, scene=place, echo=echo, rate=rate, depth=depth, known=valid, rgb=rgb)


def _folder(path: str | Path, what: str) -> Path:
    root = Path(path).expanduser()
    if not root.is_dir():
        raise DataSetError(f"No folder of {what} at {str(root)!r}: it is {'a file' if root.exists() else 'not there'}.")
    return root


def _table(file: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        reader = csv.DictReader(io.StringIO(read_text(file, error=DataSetError), newline=""), strict=True)
        names, rows = list(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise DataSetError(f"{str(file)!r} is not a table ({error}).") from error
    missing = [column for column in columns if column not in names]
    if missing:
        raise DataSetError(
            f"{str(file)!r} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, names))}."
        )
    for number, row in enumerate(rows, 2):
        if any(not row[column] for column in columns):
            raise DataSetError(f"{str(file)!r} is incomplete in line {number}: {row}. Fetch it again.")
    if not rows:
        raise DataSetError(f"{str(file)!r} lists no sample.")
    return rows


def _stereo(file: Path) -> tuple[np.ndarray, int]:
    import soundfile

    try:
        samples, rate = soundfile.read(file, dtype="float32", always_2d=True)
    except Exception as error:  # a damaged file may raise anything
        raise DataSetError(f"The echo {str(file)!r} is missing or cannot be read ({error}).") from error
    if samples.shape[1] != 2 or len(samples) == 0:
        raise DataSetError(
            f"The echo {str(file)!r} has {samples.shape[1]} channels of {len(samples)} samples; expected two ears."
        )
    return _finite(np.ascontiguousarray(samples.T), str(file)), int(rate)


def _finite(echo: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(echo).all():
        raise DataSetError(f"The echo {name!r} holds NaN or infinite samples. Leave it out of the table.")
    return echo


def _array(file: Path) -> np.ndarray:
    try:
        return decode_npy(read_bytes(file, largest=_LARGEST_ARRAY, error=DataSetError))
    except Exception as error:  # a damaged file may raise anything
        raise DataSetError(f"The array {str(file)!r} is missing or cannot be read ({error}).") from error


def _depth(values: Any, name: str, unit: float, largest: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return depth [m], 0 where it is not known, and where it is."""
    array = np.asarray(values)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise DataSetError(f"The depth of {name!r} is {array.dtype} {array.shape}; expected numbers (height, width).")
    depth = array.astype(np.float32) * np.float32(unit)
    valid = np.isfinite(depth) & (depth > 0)
    depth = np.where(valid, depth, np.float32(0))
    if largest is not None:
        valid &= depth <= largest
    return depth[..., None], valid[..., None]


def _color(values: Any, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape or array.dtype != np.uint8:
        raise DataSetError(
            f"The image of {name!r} is {array.dtype} {array.shape}; expected uint8 (height, width, 3 or 4)."
        )
    return np.ascontiguousarray(array[..., :3])


def _picture(file: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(file) as image:
            return np.array(image.convert("RGB"))
    except Exception as error:  # a damaged file may raise anything
        raise DataSetError(f"The image {str(file)!r} is missing or cannot be read ({error}).") from error


def _read_observations(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            check_pickle(stream)
            content = _ObservationsUnpickler(stream).load()
    except Exception as error:  # a damaged pickle may raise anything
        raise DataSetError(f"{str(file)!r} is not a pickle of VisualEchoes ({error}).") from error
    scenes = content if isinstance(content, dict) else {}
    for scene, views in scenes.items():
        keys = isinstance(views, dict) and all(isinstance(key, tuple) and len(key) == 2 for key in views)
        whole = keys and all(isinstance(view, Mapping) and {"rgb", "depth"} <= set(view) for view in views.values())
        if not whole:
            raise DataSetError(f"{str(file)!r}: scene {scene!r} is not {{(location, angle): {{'rgb', 'depth'}}}}.")
    if not scenes:
        raise DataSetError(f"{str(file)!r} holds no scenes.")
    return scenes


class _ObservationsUnpickler(pickle.Unpickler):
    """Read dictionaries of arrays; a pickle can run code, so anything else that it names is refused."""

    def __init__(self, file: io.BufferedReader):
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        """Return one of the few names that arrays need, or refuse it."""
        key = (module.replace("numpy._core", "numpy.core"), name)
        if key not in _ARRAYS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no array needs; it was not opened")
        return _ARRAYS[key]


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Undo what old protocols do to bytes; other encodings, of which some unpack data, are refused."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"text encoded as {encoding!r} is not expected")
    return text.encode("latin1")


# Taken from what numpy itself names, because numpy 2 moved these functions and warns where they were.
_ARRAYS: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.zeros(1).__reduce__()[0],
    ("numpy.core.multiarray", "scalar"): np.float64(0).__reduce__()[0],
    ("numpy.core.numeric", "_frombuffer"): np.zeros(1).__reduce_ex__(5)[0],
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): OrderedDict,
}
