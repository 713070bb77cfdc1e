"""Read a data set: one sample after the other, or any sample by its place."""

import dataclasses
import io
import operator
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harken.errors import ConfigurationError, DataSetError
from harken.render.encoding import decode_sample
from harken.render.index import read_index
from harken.render.manifest import Manifest, read_manifest
from harken.render.shards import ShardRecord, iterate_shard, member_name

__all__ = ["RenderedSamples", "read_samples", "read_shard"]


def read_samples(
    folder: str | Path, split: str = "train", *, decode: bool = True, incomplete: bool = False
) -> Iterator[dict[str, Any]]:
    """Read the samples of a split in the order of their numbers, holding one at a time.

    Args:
        folder: The data set.
        split: The split.
        decode: Whether parts are decoded; else they are the bytes of the files.
        incomplete: Whether to read what there is of a data set whose rendering is not finished.

    Yields:
        Parts by extension, and the sample's name under ``__key__``, as WebDataset has it. Sounds are
        ``(channels, n)`` float32 with their scale undone, images ``(h, w, channels)``, depth ``(h, w, 1)`` float32 [m],
        videos ``(frames, h, w, 3)`` uint8 and ``json`` a dict, whose ``parts`` hold sample rates and frame rates.

    Raises:
        DataSetError: There is no such split, it is not finished, or a shard is missing, cut off or damaged.
    """
    manifest = finished_manifest(folder, split, incomplete=incomplete)
    for record in manifest.shards:
        yield from read_shard(folder, record, decode=decode)


def finished_manifest(folder: str | Path, split: str, *, incomplete: bool = False) -> Manifest:
    """Return the manifest of a split that can be read.

    Raises:
        DataSetError: There is none; or the rendering is not finished, and `incomplete` is not set.
    """
    manifest = read_manifest(Path(folder), split)
    if not manifest.complete and not incomplete:
        there = sum(record.samples for record in manifest.shards)
        raise DataSetError(
            f"Split {split!r} of {str(folder)!r} is not finished: {there} of {manifest.samples} samples are there. Run "
            "the same rendering again, or pass incomplete=True to read these."
        )
    return manifest


def read_shard(
    folder: str | Path, record: ShardRecord, *, decode: bool = True, skip: int = 0
) -> Iterator[dict[str, Any]]:
    """Read the samples of one shard; see `read_samples`.

    Args:
        folder: The data set.
        record: The shard's entry in the manifest.
        decode: Whether parts are decoded.
        skip: How many samples at its beginning are left out.

    Raises:
        DataSetError: The shard is missing, cut off or damaged.
    """
    path, count = Path(folder) / record.name, 0
    # The size reveals a cut-off shard before its first sample is used; checksums are for `verify`.
    size = path.stat().st_size if path.is_file() else None
    if size != record.bytes:
        what = "is missing" if size is None else f"has {size} bytes; its manifest says {record.bytes}"
        raise DataSetError(f"{str(path)!r} {what}. Run the same rendering again: what is damaged is rendered again.")
    for key, _, _, parts in iterate_shard(path):
        count += 1
        if count > skip:
            yield {"__key__": key, **_decoded(path, key, parts, decode=decode)}
    if count != record.samples:
        raise DataSetError(f"{str(path)!r} holds {count} samples; its manifest says {record.samples}.")


def _decoded(path: Path, key: str, parts: dict[str, bytes], *, decode: bool) -> dict[str, Any]:
    if not decode:
        return dict(parts)
    try:
        return decode_sample(parts)
    except DataSetError as error:
        raise DataSetError(f"{str(path)!r}, sample {key}: {error}") from error


_PLACES = {"key": "string", "shard": "string", "offset": "int64", "bytes": "int64"}


def _check_places(index: Any, manifest: Manifest) -> None:
    """Make sure that an index leads to places inside the shards of the manifest, and nowhere else.

    Raises:
        DataSetError: It does not.
    """
    types = {field.name: str(field.type) for field in index.schema}
    whole = all(types.get(name) == kind for name, kind in _PLACES.items()) and index.num_rows == manifest.samples
    if whole:
        sizes = {record.name: record.bytes for record in manifest.shards}
        shards = index["shard"].combine_chunks().dictionary_encode()
        limits = np.array([sizes.get(name, -1) for name in shards.dictionary.to_pylist()], np.int64)
        offsets, lengths = index["offset"].to_numpy(), index["bytes"].to_numpy()
        ends = limits[shards.indices.to_numpy()]
        whole = bool((offsets >= 0).all() and (lengths > 0).all() and (lengths <= ends - offsets).all())
    if not whole:
        raise DataSetError(
            f"The index of split {manifest.split!r} does not fit its shards. Delete {manifest.split}.parquet and run "
            "the same rendering again, which writes it again."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class RenderedSamples:
    """The samples of a split by their place, for random access through the index.

    It has what `torch.utils.data.DataLoader` asks of a map-style data set, so that ``shuffle``, samplers and workers of
    it apply. For a large data set on slow disks `harken.render.torch_stream.SampleStream` reads in order instead.
    """

    folder: Path
    """The data set."""
    split: str = "train"
    """The split."""
    decode: bool = True
    """Whether parts are decoded; see `read_samples`."""
    extensions: tuple[str, ...] | None = None
    """The parts that are wanted, such as ``("flac", "depth.npy.gz")``; None for all."""
    _index: Any = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the index."""
        manifest = finished_manifest(self.folder, self.split)
        index = read_index(self.folder, self.split)
        _check_places(index, manifest)
        # Arrow's own memory: a list of Python objects would be copied into every worker that touches it.
        object.__setattr__(self, "_index", index.select(list(_PLACES)).combine_chunks())

    def __len__(self) -> int:
        return self._index.num_rows

    def __getitem__(self, place: int) -> dict[str, Any]:
        try:
            number = operator.index(place)
        except TypeError:
            raise ConfigurationError(
                f"The place of a sample is {place!r}; expected a whole number. Ask for one after the other."
            ) from None
        if not -len(self) <= number < len(self):
            raise IndexError(f"There is no sample {number}: split {self.split!r} has {len(self)}.")
        row = number % len(self)
        key, shard, offset, size = (column[row].as_py() for column in self._index.columns)
        path = Path(self.folder) / shard
        try:
            with path.open("rb") as file:
                file.seek(offset)
                content = file.read(size)
            with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
                members = [(*member_name(info), tar.extractfile(info)) for info in tar]
                parts = {name: file.read() for owner, name, file in members if file is not None and owner == key}
        except Exception as error:  # a damaged tar may raise anything
            raise DataSetError(
                f"{str(path)!r}, sample {key}: {error}. `harken render verify` lists what is damaged."
            ) from error
        selection = parts if self.extensions is None else self._selection(parts, key)
        return {"__key__": key, **_decoded(path, key, selection, decode=self.decode)}

    def _selection(self, parts: dict[str, bytes], key: str) -> dict[str, bytes]:
        missing = [name for name in (*(self.extensions or ()), "json") if name not in parts]
        if missing:
            raise DataSetError(f"Sample {key} has no part {missing[0]!r}; it has {', '.join(parts)}.")
        # The JSON says how the others are to be decoded.
        return {name: parts[name] for name in dict.fromkeys((*(self.extensions or ()), "json"))}
