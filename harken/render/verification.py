"""Check that a data set is whole: every checksum, every part, every place in the index."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.errors import DataSetError
from harken.render.dependencies import require
from harken.render.encoding import decode_sample
from harken.render.manifest import Manifest, manifest_path, read_manifest, read_manifests
from harken.render.shards import ShardRecord, file_digest, iterate_shard
from harken.splits import SPLITS

__all__ = ["Verification", "verify"]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What `verify` found."""

    folder: Path
    """The data set."""
    splits: tuple[str, ...]
    """Its splits."""
    shards: int
    """Number of shards that are whole."""
    samples: int
    """Number of samples in them."""
    bytes: int
    """Their size."""
    problems: tuple[str, ...]
    """What is wrong, one sentence each, with the name of the file; empty where nothing is."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        """Describe the data set in a few lines."""
        size = f"{self.samples:,} samples in {self.shards:,} shards, {self.bytes / 1e6:,.1f} MB"
        lines = [f"{str(self.folder)!r}: {', '.join(self.splits) or 'no split'}; {size}"]
        lines += [f"  {problem}" for problem in self.problems]
        lines.append(
            "Everything is whole."
            if self.passed
            else "Run the same rendering again: what is damaged is rendered again."
        )
        return "\n".join(lines)


def verify(folder: str | Path, *, decode: bool = True, progress: bool = False) -> Verification:
    """Check a data set: manifests, the size and checksum of every file, every part of every sample, the index.

    Args:
        folder: The data set.
        decode: Whether every part is also decoded, which takes longer and finds what was already wrong when it was
            written.
        progress: Whether to show a bar.

    Returns:
        What is whole and what is not; damage is reported there and not raised.

    Raises:
        DataSetError: The folder holds no data set.
    """
    from tqdm import tqdm

    folder = Path(folder)
    problems: list[str] = []
    manifests = _manifests(folder, problems)
    whole: list[ShardRecord] = []
    total = sum(len(manifest.shards) for manifest in manifests)
    with tqdm(total=total, unit="shard", desc="verify", disable=not progress) as bar:
        for manifest in manifests:
            index, wrong = _open_index(folder, manifest)
            problems += wrong
            for group, record in enumerate(manifest.shards):
                faults = _check_shard(folder, manifest, record, index, group, decode=decode)
                problems += faults
                whole += [] if faults else [record]
                bar.update()
    names = {record.name for manifest in manifests for record in manifest.shards}
    problems += [f"{p.name} is not in a manifest." for p in sorted(folder.glob("*.tar")) if p.name not in names]
    problems += [f"{p.name} is half-written." for p in sorted(folder.glob(".*.partial"))]
    return Verification(
        folder=folder,
        splits=tuple(manifest.split for manifest in manifests),
        shards=len(whole),
        samples=sum(record.samples for record in whole),
        bytes=sum(record.bytes for record in whole),
        problems=tuple(problems),
    )


def _manifests(folder: Path, problems: list[str]) -> list[Manifest]:
    if not any(manifest_path(folder, split).is_file() for split in SPLITS):
        return read_manifests(folder)  # which says what is wrong with the folder
    manifests = []
    for split in SPLITS:
        if manifest_path(folder, split).is_file():
            try:
                manifests.append(read_manifest(folder, split))
            except DataSetError as error:
                problems.append(str(error))
    for manifest in manifests[1:]:
        problems += [f"Splits differ: {what}." for what in manifests[0].differences(manifest, other_split=True)]
    return manifests


def _check_shard(
    folder: Path, manifest: Manifest, record: ShardRecord, index: Any, group: int, *, decode: bool
) -> list[str]:
    """Return what is wrong with a shard, and with what the index says of it."""
    path = folder / record.name
    if not path.is_file():
        return [f"{record.name} is missing."]
    size = path.stat().st_size
    if size < record.bytes:
        return [f"{record.name} is cut off: {size:,} of {record.bytes:,} bytes{_first_damage(path)}."]
    if file_digest(path) != record.sha256:
        return [f"{record.name} is damaged: its checksum is not that of the manifest{_first_damage(path)}."]
    problems: list[str] = []
    places = []
    expected = [f"{manifest.split}-{number:08d}" for number in range(record.first, record.first + record.samples)]
    try:
        for key, offset, length, parts in iterate_shard(path):
            places.append((key, record.name, offset, length))
            problems += _check_parts(f"{record.name}, sample {key}", parts) if decode else []
    except DataSetError as error:
        return [str(error)]
    if [place[0] for place in places] != expected:
        problems.append(f"{record.name} holds {len(places)} samples; expected {expected[0]} to {expected[-1]}.")
    if index is not None and _rows(index, group) != places:
        problems.append(f"{manifest.split}.parquet says something else of the samples in {record.name}.")
    return problems


def _check_parts(where: str, parts: dict[str, bytes]) -> list[str]:
    try:
        sample = decode_sample(parts)
    except DataSetError as error:
        return [f"{where}: {error}"]
    names = set(sample.get("json", {}).get("parts", {}))
    return [f"{where}: part {name!r} is missing." for name in sorted(names - set(parts))]


def _first_damage(path: Path) -> str:
    """Return where a damaged shard becomes unreadable, if it does."""
    whole = ""
    try:
        for key, _, _, parts in iterate_shard(path):
            decode_sample(parts)
            whole = key
    except DataSetError:
        return f", after sample {whole}" if whole else ", at its beginning"
    return ""


def _open_index(folder: Path, manifest: Manifest) -> tuple[Any, list[str]]:
    """Return the index as `pyarrow.parquet.ParquetFile`, or None and what is wrong with it."""
    there = sum(record.samples for record in manifest.shards)
    if manifest.index is None or there != manifest.samples:
        return None, [f"Split {manifest.split} is not finished: {there:,} of {manifest.samples:,} samples."]
    path = folder / manifest.index.name
    if not path.is_file():
        return None, [f"{path.name} is missing."]
    if path.stat().st_size != manifest.index.bytes or file_digest(path) != manifest.index.sha256:
        return None, [f"{path.name} is damaged: its checksum is not that of the manifest."]
    pa, parquet = require("pyarrow"), require("pyarrow.parquet")
    try:
        index = parquet.ParquetFile(pa.BufferReader(path.read_bytes()))  # Arrow opens only names that are UTF-8
    except Exception as error:  # a damaged table may raise anything
        return None, [f"{path.name} cannot be read ({error})."]
    if (index.metadata.num_row_groups, index.metadata.num_rows) != (len(manifest.shards), manifest.samples):
        return None, [f"{path.name} has {index.metadata.num_rows:,} rows; expected {manifest.samples:,}."]
    return index, []


def _rows(index: Any, group: int) -> list[tuple[Any, ...]]:
    """Return key, shard, offset and size of the samples of a shard, each of which has its row group."""
    try:
        columns = index.read_row_group(group, columns=["key", "shard", "offset", "bytes"])
    except Exception:  # a damaged table may raise anything; nothing then agrees with the shard
        return []
    return list(zip(*(columns.column(name).to_pylist() for name in columns.column_names), strict=True))
