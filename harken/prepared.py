"""Prepared data on disk: what is derived from a scene or a source, kept for later runs and for other processes.

Generating a home, finding its floor and its edges and tracing a source takes a second or less, but an agent that ends
an episode after four steps waits for little else. What is read from disk has the same bytes as what is computed, so
results never depend on what is there.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import io
import os
import pickle
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from harken.errors import CacheError
from harken.files import remove_partial_files, write_whole

__all__ = ["NOWHERE", "PreparedFolder", "prepared_folder"]

T = TypeVar("T")

_FORMAT = b"harken prepared 1\n"

_ABANDONED = 3600.0
"""Age from which an unfinished file counts as abandoned [s]."""

_TOUCHED = 60.0
"""Age from which a file that is read is marked as used again [s]."""

_PAUSE = 60.0
"""Time between two looks at the size of a folder [s]."""

_SOURCES = "raytracing", "scene", "acoustics"
"""Folders of the package whose code makes what is kept."""

_LIBRARIES = "numpy", "scipy", "numba", "llvmlite", "embreex"


def prepared_folder() -> "PreparedFolder":
    """Return the folder that ``HARKEN_PREPARED`` names in the environment; one that keeps nothing if it is not set."""
    value = os.environ.get("HARKEN_PREPARED")
    return PreparedFolder(Path(value).expanduser() if value else None)


@dataclass(frozen=True)
class PreparedFolder:
    """A folder with one file for each thing that was prepared, named by a digest of all that it depends on.

    The digest covers Harken's code, the versions of the libraries and the processor too, so files are never mistaken
    for what another version would make. Any number of processes may share a folder. A damaged file is made again.
    """

    path: Path | None
    """The folder, which is made when something is first kept; None keeps nothing."""
    megabytes: float = 10_000.0
    """Size of all files beyond which those that were not used for longest are removed [MB]."""

    def get(self, kind: str, key: Iterable[Any], make: Callable[[], T], *, classes: Iterable[type] = ()) -> T:
        """Return what was kept under a key, or make it and keep it.

        Args:
            kind: What it is, for the name of the file.
            key: All that it depends on: arrays, and values whose ``repr`` tells them apart.
            make: Makes it.
            classes: Harken's classes that it consists of, besides arrays and Python's own types. A file that names
                anything else is not read, so nothing in it can run code.

        Raises:
            CacheError: The folder cannot be written.
        """
        if self.path is None:
            return make()
        file = self.path / f"{kind}-{_digest(key)}.prepared"
        content = _read(file)
        if content is not None:
            with contextlib.suppress(Exception):  # foreign files raise anything, and are made again
                return _Unpickler(content, classes).load()
        value = make()
        content = pickle.dumps(value, protocol=5)
        _make_room(self.path, self.megabytes * 1e6 - len(content))
        with write_whole(file, lasting=False, error=_unwritten) as stream:
            stream.write(_FORMAT + _checksum(content))
            stream.write(content)
        return value


NOWHERE = PreparedFolder(None)
"""Keeps nothing."""

_tidied: dict[Path, float] = {}


def _make_room(folder: Path, most: float) -> None:
    """Remove what killed processes left, and what was not used for longest; once a minute in each process."""
    if time.monotonic() < _tidied.get(folder, -np.inf) + _PAUSE:
        return
    _tidied[folder] = time.monotonic()
    remove_partial_files(folder, older_than=_ABANDONED)
    files: list[tuple[float, int, Path]] = []
    for file in folder.glob("*.prepared"):
        with contextlib.suppress(OSError):  # another process removed it
            state = file.stat()
            files.append((state.st_mtime, state.st_size, file))
    excess = sum(size for _, size, _ in files) - most
    for _, size, file in sorted(files):
        if excess <= 0:
            break
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)
        excess -= size


def _digest(key: Iterable[Any]) -> str:
    digest = hashlib.sha256(_origin().encode())
    for part in key:
        if isinstance(part, np.ndarray):
            digest.update(f"{part.dtype}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).tobytes())
        else:
            digest.update(f"{part!r};".encode())
    return digest.hexdigest()[:32]


@functools.cache
def _origin() -> str:
    """Return what the bytes of all results depend on: code, libraries and processor."""
    from numba.core.registry import cpu_target

    package, code = Path(__file__).parent, hashlib.sha256()
    for source in sorted(path for folder in _SOURCES for path in (package / folder).rglob("*.py")):
        code.update(source.read_bytes())
    versions = [importlib.metadata.version(name) for name in (*_LIBRARIES, "harken")]
    processor: Any = cpu_target.target_context
    return f"{_FORMAT!r} {code.hexdigest()} {versions} {processor.codegen().magic_tuple()}"


def _read(file: Path) -> io.BytesIO | None:
    """Return the content of a whole file, None where there is none."""
    try:
        whole = file.read_bytes()
        if time.time() - file.stat().st_mtime > _TOUCHED:
            os.utime(file)
    except OSError:
        return None
    start = len(_FORMAT) + len(_checksum(b""))
    content = memoryview(whole)[start:]
    return io.BytesIO(content) if whole[:start] == _FORMAT + _checksum(content) else None


def _checksum(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(4, "big")


class _Unpickler(pickle.Unpickler):
    """Reads arrays, Python's own types and the classes that the caller expects; any other name is refused."""

    def __init__(self, content: io.BytesIO, classes: Iterable[type]):
        super().__init__(content)
        self._names = {(kind.__module__, kind.__qualname__): kind for kind in classes} | _ARRAYS

    def find_class(self, module: str, name: str) -> Any:
        """Return an expected class."""
        found = self._names.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"{module}.{name} is not expected")
        return found


def _arrays() -> dict[tuple[str, str], Any]:
    """Return what pickled arrays refer to, by the names of the installed numpy."""
    functions: Any = np.zeros(1).__reduce_ex__(5)[0], np.zeros(1).__reduce__()[0], np.float64(0).__reduce__()[0]
    names: dict[tuple[str, str], Any] = {(part.__module__, part.__name__): part for part in functions}
    return names | {
        ("numpy", "dtype"): np.dtype,
        ("numpy", "ndarray"): np.ndarray,
        ("collections", "OrderedDict"): OrderedDict,
    }


_ARRAYS = _arrays()


def _unwritten(message: str) -> CacheError:
    return CacheError(f"Prepared data cannot be kept: {message} Or unset HARKEN_PREPARED.")
