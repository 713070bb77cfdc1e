"""Compiled kernels on disk: one file for each kernel and types of arguments, safe for any number of processes.

Numba's own cache shares an index among all types of a kernel, which two processes that write at once can leave pointing
at each other's code. Here a file's name is a digest of everything that its code depends on, files are written
atomically, and the compiling process holds a lock, so that other processes wait and read the result instead of
compiling it again. A file that cannot be read, or that has unexpected content, is compiled anew.
"""

import contextlib
import glob
import hashlib
import inspect
import os
import pickle
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import llvmlite
import numba
import numpy as np
from numba.core.caching import _Cache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from harken.errors import CacheError, HarkenWarning
from harken.raytracing import own_copies, size_errors
from harken.raytracing.fingerprint import fingerprint, type_text

__all__ = ["KernelCache", "cache_folder", "kernel_folder", "locked"]

_LONGEST_WAIT = 300.0
"""How long to wait for another process that compiles a kernel before doing it too: it may have been stopped [s]."""

_FORMAT = b"harken kernel 2\n"


def cache_folder() -> Path:
    """Return the folder for compiled kernels, ``$HARKEN_CACHE`` or the user's cache folder, checked to be writable.

    Raises:
        CacheError: The folder cannot be created or written.
    """
    folder = _chosen_folder()
    if folder is None:
        raise CacheError(
            "There is no home folder to keep compiled kernels in. "
            "Set HARKEN_CACHE to a folder that can be written, for example HARKEN_CACHE=/tmp/harken."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CacheError(
            f"The cache folder {str(folder)!r} cannot be written ({error.strerror or error}). "
            "Set HARKEN_CACHE to a folder that can be, for example HARKEN_CACHE=/tmp/harken."
        ) from error
    return folder


def _chosen_folder() -> Path | None:
    """Return the folder that the environment names, else the user's; None where there is no home."""
    value = os.environ.get("HARKEN_CACHE")
    try:
        if value:
            return Path(value).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "harken"
    except RuntimeError:  # neither HOME nor an entry of the user
        return None


def kernel_folder() -> Path | None:
    """Return the folder of compiled kernels, which may not exist yet; None where there is no home."""
    folder = _chosen_folder()
    return None if folder is None else folder / "kernels"


@cache
def _changes_to_numba() -> str:
    """Return a digest of the code that changes how Numba compiles: kernels compiled with other code do not mix."""
    sources = (inspect.getsource(module).encode() for module in (own_copies, size_errors))
    return hashlib.sha256(b"".join(sources)).hexdigest()


class KernelCache(_Cache):
    """The files of one kernel.

    Args:
        function: The function that is compiled.
        options: The options that it is compiled with.
    """

    def __init__(self, function: Callable, options: dict[str, Any]):
        self._function, self._options = function, options
        self._enabled = True
        self._locks: dict[Path, IO[bytes] | None] = {}

    @property
    def cache_path(self) -> Any:
        """The folder."""
        return str(kernel_folder())

    def enable(self) -> None:
        """Read and write files."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write files."""
        self._enabled = False

    def flush(self) -> None:
        """Do nothing: files of code that has changed are never read again."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code compiled for these types, or None after locking its file for the compilation."""
        if not self._enabled:
            return None
        target_context.refresh()
        path, key = self._entry(sig, target_context.codegen())
        overload = _read(path, key, target_context)
        if overload is None and path is not None:
            self._lock(path)
            overload = _read(path, key, target_context)
            if overload is not None:
                self._unlock(path)
        return overload

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code compiled for these types; if that is impossible, warn once and continue."""
        if not self._enabled or data.library.has_dynamic_globals or any(not part.can_cache for part in data.lifted):
            return
        path, key = self._entry(sig, data.codegen)
        if path is None:
            _say_unsaved("there is no home folder")
            return
        content = dumps((key, data._reduce()))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            for left in path.parent.glob(f"{path.name}.*.tmp"):  # of a process that was killed while writing
                left.unlink(missing_ok=True)
            _write(path, _FORMAT + hashlib.sha256(content).digest() + content)
        except OSError as error:
            _say_unsaved(f"{path.parent} cannot be written: {error.strerror or error}")

    def release(self) -> None:
        """Let others read or compile what this process was compiling."""
        for path in list(self._locks):
            self._unlock(path)

    def _entry(self, sig: Any, codegen: Any) -> tuple[Path | None, str]:
        """Return the file for these types, and everything that its code depends on, as text."""
        configuration: Any = numba.config  # its members are made at run time
        parts = (
            f"{self._function.__module__}.{self._function.__qualname__} {self._fingerprint}",
            type_text(getattr(sig, "args", sig)) + type_text(getattr(sig, "return_type", None)),
            f"numba {numba.__version__} llvmlite {llvmlite.__version__} numpy {np.__version__} python {sys.version}",
            repr(codegen.magic_tuple()),
            repr([getattr(configuration, name, None) for name in ("OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT")]),
            _changes_to_numba(),
        )
        key = "\n".join(parts)
        folder = kernel_folder()
        if folder is None:
            return None, key
        return folder / f"{self._stem}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.kernel", key

    @property
    def _stem(self) -> str:
        """Common prefix of the files of this kernel in its current version."""
        name = re.sub(r"[^\w.]", "", f"{self._function.__module__}.{self._function.__qualname__}")[-100:]
        return f"{name}-{self._fingerprint[:12]}"

    @cached_property
    def _fingerprint(self) -> str:
        return fingerprint(self._function, self._options)

    @property
    def is_cached(self) -> bool:
        """Whether there is a file for some types of arguments."""
        folder = kernel_folder()
        return folder is not None and any(folder.glob(f"{glob.escape(self._stem)}-*.kernel"))

    def _lock(self, path: Path) -> None:
        if path in self._locks:
            return
        self._locks[path] = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.with_suffix(".lock").open("ab")
        except OSError as error:
            if os.environ.get("HARKEN_CACHE"):
                cache_folder()  # raises an error that names the folder and the reason
            _say_unsaved(f"{path.parent} cannot be written: {error.strerror or error}")
            return
        self._locks[path] = file
        _lock_files.add(file)
        deadline = time.monotonic() + _LONGEST_WAIT
        while not _take(file) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _unlock(self, path: Path) -> None:
        file = self._locks.pop(path, None)
        if file is not None and not file.closed:  # closed in a forked child
            _lock_files.discard(file)
            _give(file)
            file.close()


_lock_files: set[IO[bytes]] = set()


def _after_fork() -> None:
    """Close the child's copies of the parent's lock files, which would hold the locks after the parent's end."""
    for file in _lock_files:
        file.close()
    _lock_files.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of a file, or yield False where another process holds it or the file cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError:
        yield False
        return
    with file:
        ours = _take(file)
        try:
            yield ours
        finally:
            if ours:
                _give(file)


def _posix_locks() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl


def _take(file: IO[bytes]) -> bool:
    """Lock an open file, or return False where another process holds it; always succeeds without system locks."""
    locks = _posix_locks()
    try:
        if locks is not None:
            locks.flock(file.fileno(), locks.LOCK_EX | locks.LOCK_NB)
        else:
            msvcrt: Any = __import__("msvcrt")
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass
    return True


def _give(file: IO[bytes]) -> None:
    locks = _posix_locks()
    try:
        if locks is not None:  # by name: a forked child may hold a copy of the file
            locks.flock(file.fileno(), locks.LOCK_UN)
        else:
            msvcrt: Any = __import__("msvcrt")
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    except OSError:
        pass


def _read(path: Path | None, key: str, target_context: Any) -> Any:
    """Return the code of a file, None if there is no file that is complete and belongs to the key."""
    try:
        content = b"" if path is None else path.read_bytes()
    except OSError:
        return None
    start = len(_FORMAT) + hashlib.sha256().digest_size
    if content[: len(_FORMAT)] != _FORMAT or hashlib.sha256(content[start:]).digest() != content[len(_FORMAT) : start]:
        return None
    try:
        stored, parts = pickle.loads(content[start:])
        return CompileResult._rebuild(target_context, *parts) if stored == key else None
    except Exception:  # old and foreign files may raise anything, and are compiled anew
        return None


def _write(path: Path, content: bytes) -> None:
    """Write a file atomically: concurrent readers find the whole file or none."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        beside.write_bytes(content)
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


_reasons: set[str] = set()


def _say_unsaved(reason: str) -> None:
    if not _reasons:
        _reasons.add(reason)
        warnings.warn(
            f"Compiled kernels cannot be kept ({reason}), so they are compiled again in every run, for a minute or "
            "two. Set HARKEN_CACHE to a folder that can be written and has 50 MB of room.",
            HarkenWarning,
            stacklevel=2,
        )
