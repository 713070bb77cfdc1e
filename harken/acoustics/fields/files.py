"""Energy fields on disk, named by everything that they depend on, so that a file is never mistaken for another one."""

import functools
import hashlib
import math
import zipfile
from pathlib import Path

import numpy as np

from harken.acoustics.fields.cells import CellGrid
from harken.acoustics.fields.field import EnergyField
from harken.acoustics.settings import AcousticSettings
from harken.acoustics.tracing import TimeBins
from harken.errors import CacheError
from harken.files import remove_partial_files, write_whole
from harken.scene import OCTAVE_BANDS, Scene

__all__ = ["field_path", "load_field", "save_field"]

_LARGEST_HEADERS = 4096

FORMAT = 1
"""Number of the format; raised whenever fields are traced differently."""

_ABANDONED = 3600.0
"""Age [s] from which an unfinished file counts as abandoned."""

DEPENDS = (
    "duration", "image_order", "transmission", "temperature_celsius", "humidity_percent", "pressure_kilopascal", "seed",
)  # fmt: skip
"""Settings that a field depends on, besides its rays."""


def field_path(
    scene: Scene, settings: AcousticSettings, position: np.ndarray, gains: np.ndarray, frame: np.ndarray,
    grid: CellGrid, rays: int,
) -> Path | None:  # fmt: skip
    """Return the file of a field, None where `AcousticSettings.field_folder` is not set.

    Args:
        scene: The scene.
        settings: How sound is propagated.
        position: ``(3,)`` position of the source [m].
        gains: Table of its directivity.
        frame: ``(3, 3)`` rotation from the world into its frame.
        grid: The cells.
        rays: Rays traced.
    """
    if settings.field_folder is None:
        return None
    digest = hashlib.sha256(f"{FORMAT} {scene.fingerprint} {rays}".encode())
    digest.update(repr([getattr(settings, name) for name in DEPENDS]).encode())
    for array in (position, gains, frame if gains.size else np.eye(3), grid.origin, grid.anchors, np.array(grid.size)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return Path(settings.field_folder).expanduser() / f"field-{digest.hexdigest()[:32]}.npz"


def load_field(path: Path, grid: CellGrid, bins: TimeBins) -> EnergyField | None:
    """Return the field of a file, None if there is no readable file."""
    shape = len(grid.anchors), len(bins.widths), len(OCTAVE_BANDS), 4
    try:
        with path.open("rb") as file:
            # A header may promise more than memory holds.
            with zipfile.ZipFile(file) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > 4 * math.prod(shape) + _LARGEST_HEADERS:
                    return None
            file.seek(0)
            with np.load(file) as stored:
                energy, escaped = stored["energy"], float(stored["escaped"])
    except Exception:  # damaged files raise anything from zlib.error to tokenize.TokenError
        return None
    if energy.shape != shape or energy.dtype != np.float32 or not np.isfinite(energy).all():
        return None
    return EnergyField(grid=grid, bins=bins, energy=energy, escaped=escaped)


def save_field(path: Path, field: EnergyField) -> None:
    """Write a field atomically: concurrent readers find the whole file or none.

    Raises:
        CacheError: The folder cannot be written.
    """
    _tidy(path.parent)
    with write_whole(path, lasting=False, error=_unwritten) as file:
        np.savez(file, energy=field.energy, escaped=field.escaped)


def _unwritten(message: str) -> CacheError:
    return CacheError(f"The field of a source is lost: {message} Or leave AcousticSettings.field_folder None.")


@functools.cache
def _tidy(folder: Path) -> None:
    """Remove, once per process, old unfinished files of killed processes; newer ones may still be being written."""
    remove_partial_files(folder, older_than=_ABANDONED)
