"""The index of a split: a Parquet table with one row per sample."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from harken.errors import DataSetError
from harken.files import write_whole
from harken.render.dependencies import require
from harken.render.encoding import read_metadata
from harken.render.hugging_face import TypesOfSamples
from harken.render.manifest import FileRecord
from harken.render.shards import Job, ShardRecord, file_digest, interrupted, iterate_shard

__all__ = ["PLACE_COLUMNS", "index_metadata", "index_name", "read_index", "write_index"]

PLACE_COLUMNS: tuple[str, ...] = ("key", "number", "shard", "offset", "bytes")
"""First columns of every index: the sample's key and number, its shard's file, and where in it the sample lies."""


def index_name(split: str) -> str:
    """Return the name of a split's index."""
    return f"{split}.parquet"


def write_index(job: Job, shards: Sequence[ShardRecord]) -> FileRecord:
    """Write the index of finished shards, one of them in memory at a time.

    Metadata becomes columns: numbers, texts, booleans and lists of them, nested ones under dotted names; None where a
    sample has no such key. Lists of mappings and the renderer's own ``parts`` stay in the shards.

    Args:
        job: The data set.
        shards: Its shards, in order.

    Raises:
        DataSetError: A key holds a number in one sample and a text in another; or there is no space left.
        MissingDependencyError: pyarrow is not installed.
    """
    pa, parquet = require("pyarrow"), require("pyarrow.parquet")
    schema, types = None, TypesOfSamples(pa)
    for record in shards:
        samples = list(_samples(job.folder / record.name))
        types.add([(extensions, metadata) for _, extensions, metadata in samples])
        shard_schema = _table(pa, [_row(place, metadata) for place, _, metadata in samples]).schema
        schema = shard_schema if schema is None else _merged(pa, schema, shard_schema, record.name)
    assert schema is not None
    order = sorted(set(schema.names) - set(PLACE_COLUMNS))
    schema = pa.schema([schema.field(name) for name in (*PLACE_COLUMNS, *order)])
    # A column without a single value has no type; Parquet wants one.
    schema = pa.schema([pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in schema])
    schema = schema.with_metadata(types.metadata())
    path = job.folder / index_name(job.recipe.split)
    with (
        write_whole(path, error=interrupted) as file,
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for record in shards:
            rows = [_row(place, metadata) for place, _, metadata in _samples(job.folder / record.name)]
            filled = [{name: row.get(name) for name in schema.names} for row in rows]
            writer.write_table(pa.Table.from_pylist(filled, schema=schema))
    return FileRecord(name=path.name, bytes=path.stat().st_size, sha256=file_digest(path))


def read_index(folder: str | Path, split: str) -> Any:
    """Read the index of a split.

    Args:
        folder: The data set.
        split: The split.

    Returns:
        ``pyarrow.Table``; ``.to_pandas()`` makes a data frame of it where pandas is installed.

    Raises:
        DataSetError: There is no index, or it cannot be read.
        MissingDependencyError: pyarrow is not installed.
    """
    parquet = require("pyarrow.parquet")
    path = Path(folder) / index_name(split)
    if not path.is_file():
        raise DataSetError(f"There is no index {str(path)!r}: the split {split!r} is not there, or not finished.")
    try:
        # As a file: Arrow takes only names that are UTF-8.
        with path.open("rb") as file:
            # In this thread: a process that ends soon after may be aborted by Arrow's own threads.
            return parquet.read_table(file, use_threads=False, pre_buffer=False)
    except Exception as error:  # a damaged table may raise anything
        raise DataSetError(
            f"{str(path)!r} cannot be read ({error}). Delete it and run the same rendering again, "
            "which writes it again."
        ) from error


def index_metadata(folder: Path, split: str) -> dict[bytes, bytes]:
    """Return what the index of a finished split says of the types of its samples."""
    with (folder / index_name(split)).open("rb") as file:
        return require("pyarrow.parquet").read_schema(file).metadata or {}


def _samples(path: Path) -> Iterator[tuple[dict[str, Any], tuple[str, ...], dict[str, Any]]]:
    """Yield place, extensions and JSON of the samples of a shard."""
    for key, offset, size, parts in iterate_shard(path):
        metadata = read_metadata(parts.get("json", b"null"))
        if "number" not in metadata or "parts" not in metadata:
            raise DataSetError(f"{str(path)!r}, sample {key}: its JSON has no `number` or no `parts`.")
        place = {"key": key, "number": metadata["number"], "shard": path.name, "offset": offset, "bytes": size}
        yield place, tuple(parts), metadata


def _row(place: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    return {**_columns({key: value for key, value in metadata.items() if key not in ("parts", "number")}), **place}


def _columns(metadata: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in metadata.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            result.update(_columns(value, f"{name}."))
        elif not isinstance(value, list) or not _holds_mappings(value):
            result[name] = value
    return result


def _holds_mappings(values: list[Any]) -> bool:
    return any(isinstance(value, dict) or (isinstance(value, list) and _holds_mappings(value)) for value in values)


def _table(pa: Any, rows: list[dict[str, Any]]) -> Any:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowException, TypeError) as error:
            raise DataSetError(
                f"Metadata {name!r} of samples {rows[0]['key']} to {rows[-1]['key']} has no one type ({error}). Let "
                "the recipe give the same type in every sample, None where there is no value."
            ) from error
    return pa.table(columns)


def _merged(pa: Any, schema: Any, shard_schema: Any, shard: str) -> Any:
    try:
        return pa.unify_schemas([schema, shard_schema], promote_options="permissive")
    except pa.ArrowException as error:
        raise DataSetError(
            f"Metadata of {shard} has another type than in the shards before ({error}). Let the recipe give the same "
            "type in every sample."
        ) from error
