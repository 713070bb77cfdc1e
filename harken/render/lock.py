"""One run at a time in a folder."""

import contextlib
import json
import os
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from harken.errors import DataSetError, HarkenWarning

__all__ = ["LOCK_NAME", "locked"]

LOCK_NAME: str = ".lock"
"""Name of the lock file in a data set's folder."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder.

    The operating system releases the lock when its process ends, however it ends; the file also names host and process,
    for people and for file systems that do not carry locks from one machine to another.

    Args:
        folder: The folder.

    Raises:
        DataSetError: Another run works in the folder, or one of another machine may.
    """
    path = folder / LOCK_NAME
    file = _open_locked(path)
    try:
        with file:
            owner = _owner(file)
            if owner is not None:
                _check_owner(path, owner)
            file.seek(0)
            file.truncate()
            file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
            file.flush()
            yield
            # Removed while it is locked, so that nobody else's is.
            path.unlink(missing_ok=True)
    except BaseException as error:
        if not isinstance(error, _Foreign):
            path.unlink(missing_ok=True)
        raise


class _Foreign(DataSetError):
    """The lock belongs to somebody else and stays."""


def _open_locked(path: Path) -> IO[str]:
    while True:
        file = path.open("a+", encoding="utf-8")
        if not _take(file):
            owner = _owner(file) or {}
            file.close()
            raise _Foreign(
                f"Another run is rendering into {path.parent}: process {owner.get('pid', '?')} on "
                f"{owner.get('host', '?')}. Wait for it or end it, or choose another folder."
            )
        # It may have been removed by its owner between opening and locking: then it locks nothing.
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()


def _take(file: IO[str]) -> bool:
    """Lock an open file for this process, or return False."""
    locks = _posix_locks()
    if locks is None:
        return True
    try:
        locks.flock(file.fileno(), locks.LOCK_EX | locks.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        warnings.warn(
            f"This file system has no locks ({error}): see to it yourself that only one run renders into "
            f"{Path(file.name).parent}.",
            HarkenWarning,
            stacklevel=4,
        )
    return True


def _posix_locks() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl


def _owner(file: IO[str]) -> dict[str, Any] | None:
    file.seek(0)
    try:
        found = json.loads(file.read())
        return {"host": str(found["host"]), "pid": int(found["pid"])}
    except (ValueError, KeyError, TypeError):
        return None


def _check_owner(path: Path, owner: dict[str, Any]) -> None:
    """Take over what a dead process of this machine left, and nothing else."""
    if owner["host"] != socket.gethostname():
        raise _Foreign(
            f"{path.parent} is locked by process {owner['pid']} on another machine, {owner['host']}. If that run is "
            f"over, delete {path} and try again."
        )
    if _posix_locks() is None and _alive(owner["pid"]):
        raise _Foreign(
            f"Another run is rendering into {path.parent}: process {owner['pid']}. Wait for it or end it, or choose "
            f"another folder. If no such run exists, delete {path}."
        )
    warnings.warn(
        f"The run that rendered into {path.parent} before (process {owner['pid']}) did not end by itself; going on "
        "from what it finished.",
        HarkenWarning,
        stacklevel=4,
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
