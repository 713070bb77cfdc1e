"""The one decorator for compiled code: no GIL, cached on disk, and a word to the user while it compiles."""

import functools
import hashlib
import logging
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event

__all__ = ["cache_folder", "kernel"]

from harken.errors import CacheError

_log = logging.getLogger("harken")

_IMPORT = re.compile(rb"^[ ]*from (harken[\w.]*) import ", re.MULTILINE)


def cache_folder() -> Path:
    """Return the folder for compiled kernels, ``$HARKEN_CACHE`` or the user's cache folder, checked to be writable.

    Raises:
        CacheError: The folder cannot be created or written.
    """
    given = os.environ.get("HARKEN_CACHE")
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "harken"
    folder = Path(given).expanduser() if given else default
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


class _Announcer(event.Listener):
    """Say once per process that kernels are being compiled, so that a silent first call is not taken for a hang."""

    said = False

    def on_start(self, event: Any) -> None:
        dispatcher = event.data.get("dispatcher")
        module = getattr(getattr(dispatcher, "py_func", None), "__module__", "") or ""
        if not self.said and module.startswith("harken."):
            type(self).said = True
            _log.warning("Harken compiles its kernels: once per machine and version, about a minute at most.")

    def on_end(self, event: Any) -> None:
        """Nothing to say at the end."""


event.register("numba:compile", _Announcer())


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile a function with Numba: nopython, without the GIL, cached on disk.

    Args:
        function: The function to compile; leave it out to pass options first.
        options: More options of `numba.njit`, such as ``fastmath=True``.

    Returns:
        The compiled function, callable from Python and from other kernels.
    """
    if function is None:
        return lambda f: kernel(f, **options)
    configuration: Any = numba.config  # its members are made at run time
    before = configuration.CACHE_DIR
    configuration.CACHE_DIR = str(_kernel_folder(function.__module__))
    try:
        return numba.njit(nogil=True, cache=True, **options)(function)
    finally:
        configuration.CACHE_DIR = before


@functools.cache
def _kernel_folder(module: str) -> Path:
    """Return the folder of a module's kernels as they are written today.

    Numba looks for changes in a kernel's own file only, and would go on running an old copy of a kernel or a constant
    that another file defines. The folder's name therefore depends on all files of the package that the module imports,
    and on theirs; an edit recompiles what depends on it and nothing else.
    """
    digest = hashlib.sha256(numba.__version__.encode())
    seen, waiting = {module}, [module]
    for name in waiting:
        source, imported = _source_and_imports(name)
        digest.update(source)
        waiting += sorted(imported - seen)
        seen |= imported
    return cache_folder() / f"kernels-{digest.hexdigest()[:12]}"


@functools.cache
def _source_and_imports(module: str) -> tuple[bytes, frozenset[str]]:
    """Return the text of a module, and the modules of the package that it imports."""
    stem = Path(__file__).parent.parent.joinpath(*module.split(".")[1:])
    path = stem / "__init__.py" if stem.is_dir() else stem.with_suffix(".py")
    if module.partition(".")[0] != "harken":  # a user's own kernel
        path = Path(getattr(sys.modules.get(module), "__file__", None) or "unknown")
    source = path.read_bytes() if path.is_file() else b""
    return source, frozenset(name.decode() for name in _IMPORT.findall(source))
