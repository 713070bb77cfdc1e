"""Files: written whole or not at all, locked against a second run, and read within bounds.

What every part that writes results or reads somebody's files shares. Errors of the operating system become errors that
name the file and say what to do; the caller may choose their class.
"""

import contextlib
import errno
import gzip
import io
import json
import os
import secrets
import shutil
import socket
import stat
import time
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, Any, BinaryIO

from harken.checks import checked_path
from harken.errors import FileError, HarkenError, HarkenWarning

__all__ = [
    "LARGEST_TEXT", "LOCK_NAME", "PARTIAL", "checked_output_file", "checked_output_folder", "decompressed",
    "is_no_space", "locked", "parse_json", "read_bytes", "read_json", "read_text", "remove_partial_files",
    "write_bytes", "write_text", "write_whole",
]  # fmt: skip

LARGEST_TEXT: int = 64_000_000
"""Size beyond which a text or JSON file is not read unless the caller says otherwise [bytes]."""

DEEPEST_JSON: int = 100
"""How deep lists and objects of JSON may be nested."""

LOCK_NAME: str = ".lock"
"""Name of the lock file in a folder."""

PARTIAL: str = ".partial"
"""How the name of a file ends that is not finished; it begins with a dot."""

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_LONGEST_STEM = 40  # characters, of up to four bytes each; names have 255 bytes
_CHUNK = 1 << 20

_MakeError = Callable[[str], HarkenError]


@contextlib.contextmanager
def write_whole(path: str | Path, *, lasting: bool = True, error: _MakeError = FileError) -> Iterator[BinaryIO]:
    """Open a file under a temporary name in its folder; it takes its final name once it is complete.

    Readers meanwhile find either the old file or the new one. The temporary file is gone when this ends, however it
    ends; what a killed process leaves is found by `remove_partial_files`. Its path is the ``name`` of the file, for
    libraries that write to a path.

    Args:
        path: The final name; its folder is made.
        lasting: Whether the file is synchronised to the disk first, so that a power cut cannot leave an empty one.
            Caches that are checked when they are read do without.
        error: Makes the error from the message.

    Raises:
        FileError: The file cannot be written: no space, no permission, a folder of that name; or what `error` makes.
    """
    path = checked_path("The file to write", path, error=error)
    partial = path.with_name(f".{path.stem[:_LONGEST_STEM]}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
    try:
        _refuse_special(path, error)
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        partial.replace(path)
        if lasting:
            _sync_folder(path.parent)
    except OSError as problem:
        if isinstance(problem, HarkenError) or not _concerns(problem, path, partial):
            raise
        raise error(_cannot_write(path, problem)) from problem
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_bytes(path: str | Path, content: bytes, *, lasting: bool = True, error: _MakeError = FileError) -> None:
    """Write a file whole or not at all; see `write_whole`."""
    with write_whole(path, lasting=lasting, error=error) as file:
        file.write(content)


def write_text(path: str | Path, text: str, *, lasting: bool = True, error: _MakeError = FileError) -> None:
    r"""Write a text in UTF-8, whatever the locale, with ``\n`` at the ends of lines; see `write_whole`.

    What UTF-8 cannot hold, such as the bytes of a file name in another encoding, is written as ``\udc..``.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"), lasting=lasting, error=error)


def is_no_space(problem: BaseException | None) -> bool:
    """Whether an error says that a disk or a quota is full, or that a file may not grow."""
    while problem is not None:
        if isinstance(problem, OSError) and problem.errno in _NO_SPACE:
            return True
        problem = problem.__cause__
    return False


def checked_output_folder(path: str | Path, *, error: _MakeError = FileError) -> Path:
    """Make a folder and write into it, so that hours of work do not end in an error.

    Args:
        path: The folder, which is returned.
        error: Makes the error from the message.

    Raises:
        FileError: It cannot be made or written; or what `error` makes.
    """
    folder = checked_path("The folder", path, error=error)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}"
        try:
            trial.write_bytes(b"\n")
        finally:
            trial.unlink(missing_ok=True)
    except OSError as problem:
        why = "a file has that name, or part of it" if isinstance(problem, FileExistsError) else _reason(problem)
        raise error(
            f"The folder {str(folder)!r} cannot be made or written ({why}). Choose another, or change its permissions."
        ) from problem
    return folder


def checked_output_file(path: str | Path, *, error: _MakeError = FileError) -> Path:
    """Make sure that a file can be written: its folder can, and no folder or device has its name.

    Arguments and errors are those of `checked_output_folder`; the file is returned.
    """
    file = checked_path("The file", path, error=error)
    try:
        _refuse_special(file, error)
    except OSError as problem:
        if isinstance(problem, HarkenError):
            raise
        raise error(_cannot_write(file, problem)) from problem
    checked_output_folder(file.parent, error=error)
    return file


def remove_partial_files(folder: Path, *, older_than: float = 0.0) -> int:
    """Remove what killed processes left unfinished, and return how many files that were.

    Args:
        folder: The folder.
        older_than: Age from which a file counts as left behind [s]; others may be writing where no lock keeps them out.
    """
    latest, count = time.time() - older_than, 0
    for path in folder.glob(f".*{PARTIAL}"):
        with contextlib.suppress(OSError):
            if path.is_file() and (older_than <= 0.0 or path.stat().st_mtime < latest):
                path.unlink()
                count += 1
    return count


def _refuse_special(path: Path, error: _MakeError) -> None:
    """Refuse to put a file in the place of a folder, a device or a pipe."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a device or pipe, no regular file"
        raise error(f"{str(path)!r} cannot be written: it is {what}. Choose another name.")


def _concerns(problem: OSError, path: Path, partial: Path) -> bool:
    """Whether an error comes from the file itself, and not from something else that happened while it was open."""
    ours = {str(place) for place in (path, partial, path.parent, *path.parents)}
    return problem.filename is None or problem.errno in _NO_SPACE or str(problem.filename) in ours


def _cannot_write(path: Path, problem: OSError) -> str:
    if problem.errno not in _NO_SPACE:
        return f"{str(path)!r} cannot be written ({_reason(problem)}). Choose another place, or change the permissions."
    other = f"{problem.filename!r}, for " if problem.filename and str(problem.filename) != str(path) else ""
    free = ""
    with contextlib.suppress(OSError):
        free = f"; {shutil.disk_usage(path.parent).free / 1e6:.1f} MB free there"
    return (
        f"No space left while writing {other}{str(path)!r} ({_reason(problem)}{free}). Nothing unfinished stays. Make "
        "room and try again, or choose another place."
    )


def _reason(problem: OSError) -> str:
    return problem.strerror or str(problem) or type(problem).__name__


def _sync_folder(folder: Path) -> None:
    """Make a renaming durable; Windows neither needs nor supports this."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_bytes(path: str | Path, *, largest: int, error: _MakeError = FileError) -> bytes:
    """Read a regular file whose size is within a bound.

    Args:
        path: The file.
        largest: Greatest size [bytes].
        error: Makes the error from the message.

    Raises:
        FileError: It is missing, cannot be read, is larger, or is a folder, a device or a pipe; or what `error` makes.
    """
    path = checked_path("The file to read", path, error=error)
    try:
        # Opening a pipe would wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise error(f"{str(path)!r} is not a regular file but a folder, a device or a pipe.")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(size + 1) if size <= largest else b""
    except FileNotFoundError as problem:
        raise error(f"There is no file {str(path)!r}.") from problem
    except OSError as problem:
        if isinstance(problem, HarkenError):
            raise
        raise error(f"{str(path)!r} cannot be read ({_reason(problem)}).") from problem
    if size > largest:
        raise error(f"{str(path)!r} has {size:,} bytes; such a file has {largest:,} at most.")
    return content


def read_text(path: str | Path, *, largest: int = LARGEST_TEXT, error: _MakeError = FileError) -> str:
    """Read a text in UTF-8, whatever the locale, without a byte order mark; see `read_bytes` for what is refused."""
    content = read_bytes(path, largest=largest, error=error)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise error(f"{str(path)!r} is not UTF-8 ({problem}). Save it as UTF-8.") from problem


def decompressed(content: bytes, *, largest: int, where: str, error: _MakeError = FileError) -> bytes:
    """Unpack gzip up to a bound, whatever the packed bytes claim.

    Args:
        content: The packed bytes.
        largest: Greatest size of what is unpacked [bytes].
        where: What they are, to begin the message with, such as the name of the file.
        error: Makes the error from the message.

    Raises:
        FileError: They are not gzip, are damaged or cut off, or unpack to more; or what `error` makes.
    """
    parts, size = [], 0
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as file:
            while size <= largest and (part := file.read(_CHUNK)):
                parts.append(part)
                size += len(part)
    except (OSError, EOFError, zlib.error) as problem:
        raise error(f"{where} is not gzip, or is damaged ({problem}).") from problem
    if size > largest:
        raise error(f"{where} unpacks to more than {largest:,} bytes, which no such file does.")
    return b"".join(parts)


def read_json(path: str | Path, *, largest: int = LARGEST_TEXT, error: _MakeError = FileError) -> Any:
    """Read a JSON file; see `read_bytes` and `parse_json` for what is refused."""
    return parse_json(read_text(path, largest=largest, error=error), where=repr(str(path)), error=error)


def parse_json(text: str | bytes, *, where: str, error: _MakeError = FileError) -> Any:
    """Parse JSON, strictly: RFC 8259 without what readers disagree about.

    Args:
        text: The text, or its bytes in UTF-8.
        where: What it is, to begin the message with, such as the name of the file.
        error: Makes the error from the message.

    Returns:
        Objects, lists, texts, finite numbers, booleans and None.

    Raises:
        FileError: It is not JSON; a key occurs twice in one object; a number is NaN, infinite or too long; objects
            and lists are nested more than `DEEPEST_JSON` deep; a text holds half a character. Or what `error`
            makes.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")
        value = _DECODER.decode(text)
        # Most texts have fewer brackets than may be nested, and no escapes of half characters.
        if text.count("[") + text.count("{") > DEEPEST_JSON or "\\u" in text:
            _check_values(value)
    except (ValueError, RecursionError, OverflowError) as problem:
        why = "objects or lists are nested too deep" if isinstance(problem, RecursionError) else str(problem)
        raise error(f"{where} is not JSON that can be used: {why}.") from problem
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice[:80]!r} occurs twice in one object")
    return values


def _constant(name: str) -> float:
    raise ValueError(f"a number is {name}, which JSON does not have")


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"the number {digits[:80]} is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)


def _check_values(value: Any) -> None:
    """Refuse nesting that is too deep, and texts that cannot be encoded."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > DEEPEST_JSON and any(isinstance(element, dict | list) for element in level):
            raise ValueError(f"objects or lists are nested more than {DEEPEST_JSON} deep")
        below: list[Any] = []
        for element in level:
            if isinstance(element, str):
                element.encode()
            elif isinstance(element, dict):
                below += element.keys()
                below += element.values()
            elif isinstance(element, list):
                below += element
        level = below


@contextlib.contextmanager
def locked(folder: Path, *, error: _MakeError = FileError) -> Iterator[None]:
    """Keep other runs out of a folder.

    The operating system releases the lock when its process ends, however it ends; the file also names host and process,
    for people and for file systems that do not carry locks from one machine to another.

    Args:
        folder: The folder.
        error: Makes the error from the message.

    Raises:
        FileError: Another run works in the folder, or one of another machine may; or the lock cannot be made. Or what
            `error` makes.
    """
    path = folder / LOCK_NAME
    file = _open_locked(path, error)
    with file:
        owner = _owner(file)
        if owner is not None:
            _check_owner(path, owner, error)
        try:
            try:
                file.seek(0)
                file.truncate()
                file.write(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}))
                file.flush()
            except OSError as problem:
                raise error(_cannot_write(path, problem)) from problem
            yield
        finally:
            # Removed while it is locked, so that the lock of another process is not removed.
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _open_locked(path: Path, error: _MakeError) -> IO[str]:
    while True:
        try:
            if path.exists() and not path.is_file():  # opening a pipe would wait for its other end
                raise error(f"{str(path)!r} is not a regular file, but the lock has to be one. Remove it.")
            file = path.open("a+", encoding="utf-8", errors="replace")
        except OSError as problem:
            if isinstance(problem, HarkenError):
                raise
            raise error(
                f"The lock {str(path)!r} cannot be made ({_reason(problem)}). Choose another folder, or change its "
                "permissions."
            ) from problem
        if not _take(file):
            owner = _owner(file) or {}
            file.close()
            raise error(
                f"Another run is writing into {str(path.parent)!r}: process {owner.get('pid', '?')} on "
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
    except OSError as problem:
        warnings.warn(
            f"This file system has no locks ({_reason(problem)}): see to it yourself that only one run writes into "
            f"{str(Path(file.name).parent)!r}.",
            HarkenWarning,
            stacklevel=5,
        )
    return True


def _posix_locks() -> ModuleType | None:
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl


def _owner(file: IO[str]) -> dict[str, Any] | None:
    """Return host and process that a lock file names, None where it names neither."""
    file.seek(0)
    try:
        owner = parse_json(file.read(4096), where="The lock")
    except HarkenError:
        return None
    if not isinstance(owner, dict) or not isinstance(owner.get("host"), str) or not isinstance(owner.get("pid"), int):
        return None
    return {"host": owner["host"][:255], "pid": owner["pid"]}


def _check_owner(path: Path, owner: dict[str, Any], error: _MakeError) -> None:
    """Take over what a dead process of this machine left, and nothing else."""
    folder = str(path.parent)
    if owner["host"] != socket.gethostname():
        raise error(
            f"{folder!r} is locked by process {owner['pid']} on another machine, {owner['host']}. If that run is over, "
            f"delete {str(path)!r} and try again."
        )
    if _posix_locks() is None and _alive(owner["pid"]):
        raise error(
            f"Another run is writing into {folder!r}: process {owner['pid']}. Wait for it or end it, or choose another "
            f"folder. If no such run exists, delete {str(path)!r}."
        )
    warnings.warn(
        f"The run that wrote into {folder!r} before (process {owner['pid']}) did not end by itself; going on from what "
        "it finished.",
        HarkenWarning,
        stacklevel=4,
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
