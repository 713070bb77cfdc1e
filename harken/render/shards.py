"""Shards: tar files of samples as WebDataset reads them, with nothing in them that depends on when or where.

A shard appears whole under its final name or not at all.
"""

import hashlib
import math
import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.checks import check_settings, checked_count
from harken.errors import DataSetError, HarkenError
from harken.files import is_no_space, write_whole
from harken.render.encoding import encode_sample
from harken.render.recipe import Recipe

__all__ = [
    "MOST_SAMPLES",
    "Job",
    "ShardRecord",
    "file_digest",
    "interrupted",
    "iterate_shard",
    "member_name",
    "single_threaded",
    "write_shard",
]

MOST_SAMPLES: int = 10**8
"""Most samples of a split."""

_BLOCK = tarfile.BLOCKSIZE
_MEMBER = re.compile(r"([^./\\]+)\.([^/\\]+)")


@dataclass(frozen=True, kw_only=True)
class Job:
    """A data set to be rendered: the first samples of a recipe, in shards."""

    recipe: Recipe
    """What a sample is."""
    folder: Path
    """Where the shards go."""
    samples: int
    """Number of samples, 1 to 10⁸."""
    samples_per_shard: int = 100
    """Number of samples in every shard but the last."""

    def __post_init__(self) -> None:
        """Check the numbers."""
        for name in ("samples", "samples_per_shard"):
            object.__setattr__(self, name, checked_count(name, getattr(self, name), 1, MOST_SAMPLES))

    @property
    def shards(self) -> int:
        """Number of shards."""
        return -(-self.samples // self.samples_per_shard)

    def shard_name(self, shard: int) -> str:
        """Return the name of a shard's file, such as ``train-000012.tar``."""
        return f"{self.recipe.split}-{shard:06d}.tar"

    def numbers(self, shard: int) -> range:
        """Return the numbers of a shard's samples."""
        return range(shard * self.samples_per_shard, min(self.samples, (shard + 1) * self.samples_per_shard))

    def key(self, number: int) -> str:
        """Return the name of a sample, such as ``train-00001234``."""
        return f"{self.recipe.split}-{number:08d}"


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """What the manifest says of a shard."""

    name: str
    """Name of the file."""
    first: int
    """Number of the first sample."""
    samples: int
    """Number of samples."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Checksum of the file, in hexadecimal."""

    def __post_init__(self) -> None:
        """Check the types, for records that are read."""
        check_settings(self, first=(0, MOST_SAMPLES), samples=(1, MOST_SAMPLES), bytes=(0, math.inf))


def write_shard(job: Job, shard: int, *, tick: Callable[[], None] = lambda: None) -> ShardRecord:
    """Make the samples of a shard and write it, holding one sample in memory at a time.

    Args:
        job: The data set.
        shard: Number of the shard.
        tick: Called after every sample.

    Returns:
        The shard's entry in the manifest.

    Raises:
        DataSetError: A sample cannot be made or encoded, with its number; or there is no space left.
    """
    digest, size, numbers = hashlib.sha256(), 0, job.numbers(shard)
    with write_whole(job.folder / job.shard_name(shard), error=interrupted) as file, single_threaded():
        for number in numbers:
            for extension, content in _encoded(job, number).items():
                for block in _member(f"{job.key(number)}.{extension}", content):
                    file.write(block)
                    digest.update(block)
                    size += len(block)
            tick()
        end = bytes(2 * _BLOCK)
        file.write(end)
        digest.update(end)
    return ShardRecord(
        name=job.shard_name(shard),
        first=numbers.start,
        samples=len(numbers),
        bytes=size + len(end),
        sha256=digest.hexdigest(),
    )


def _encoded(job: Job, number: int) -> dict[str, bytes]:
    try:
        return encode_sample(job.recipe.sample(number), number=number, split=job.recipe.split)
    except Exception as error:
        if is_no_space(error):
            if isinstance(error, HarkenError):
                raise interrupted(str(error)) from error
            raise
        kind = "" if isinstance(error, HarkenError) else f"{type(error).__name__}: "
        raise DataSetError(
            f"Sample {number} of split {job.recipe.split!r} of recipe {job.recipe.name!r} cannot be made. "
            f"{kind}{error} Nothing of its shard was kept; finished shards stay."
        ) from error


def _member(name: str, content: bytes) -> Iterator[bytes]:
    """Yield header, content and padding of a file in a tar; see POSIX.1-1988, ustar."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), 0o644
    yield info.tobuf(tarfile.USTAR_FORMAT)
    yield content
    yield bytes(-len(content) % _BLOCK)


def iterate_shard(path: Path) -> Iterator[tuple[str, int, int, dict[str, bytes]]]:
    """Read a shard from its beginning to its end.

    Args:
        path: The tar file.

    Yields:
        Of every sample: key, offset of its first byte in the file, number of bytes, and its parts' bytes by extension.

    Raises:
        DataSetError: The file is missing, cut off, or not such a tar.
    """
    key, start, end, parts = None, 0, 0, {}
    try:
        size = path.stat().st_size if path.is_file() else -1
        if size < 0:
            raise DataSetError(f"{str(path)!r} is not a regular file.")
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[missing-attribute]  # tarfile keeps all that it has seen
                member_key, extension = member_name(info)
                content = tar.extractfile(info)
                if content is None or info.offset_data + info.size > size:
                    raise tarfile.ReadError(f"member {info.name} is cut off")
                if member_key != key:
                    if key is not None:
                        yield key, start, end - start, parts
                    key, start, parts = member_key, info.offset, {}
                parts[extension] = content.read()
                if len(parts[extension]) != info.size:
                    raise tarfile.ReadError(f"member {info.name} is cut off")
                end = info.offset_data + -(-info.size // _BLOCK) * _BLOCK
            if size < end + 2 * _BLOCK:
                raise tarfile.ReadError("the end of the archive is missing")
    except DataSetError:
        raise
    except Exception as error:  # a damaged tar may raise anything
        where = f"after sample {key!r}" if key is not None else "at its beginning"
        raise DataSetError(f"{str(path)!r} cannot be read {where} ({error}).") from error
    if key is not None:
        yield key, start, end - start, parts


def member_name(info: tarfile.TarInfo) -> tuple[str, str]:
    """Return the key and the extension of a member of a shard.

    Raises:
        DataSetError: It is not a plain file, or its name is not that of a part, for example because it holds a path.
    """
    match = _MEMBER.fullmatch(info.name)
    if match is None or not info.isreg() or info.issparse():
        raise DataSetError(f"Member {info.name[:200]!r} is not part of a sample.")
    return match[1], match[2]


def interrupted(message: str) -> DataSetError:
    """Return the error for a rendering that cannot go on but can be continued."""
    return DataSetError(f"{message} Finished shards stay; run the same command again: it continues where it stopped.")


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def single_threaded() -> Any:
    """Return a context in which linear algebra runs on one thread.

    Sums are taken in another order with another number of threads, so that the bytes of a data set would depend on the
    number of a machine's cores; and workers that each use all cores hinder each other.

    Raises:
        MissingDependencyError: threadpoolctl is not installed.
    """
    import scipy.linalg  # noqa: F401  Only libraries that are loaded by then can be limited.

    from harken.render.dependencies import require

    return require("threadpoolctl").threadpool_limits(limits=1)
