"""Read a data set in order with PyTorch, shards shared out to workers; importing this module imports torch."""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch.distributed
import torch.utils.data

from harken.errors import ConfigurationError
from harken.render.reading import finished_manifest, read_shard

__all__ = ["SampleStream"]


class SampleStream(torch.utils.data.IterableDataset):
    """The samples of a split as an iterable data set, read shard by shard.

    Shards are shared out to the processes of `torch.distributed` and to the workers of a `DataLoader`, each sample to
    one of them; where there are fewer shards than readers, samples are dealt out one by one instead. With `shuffle` the
    order of shards and, within a buffer, of samples is a function of `seed` and the epoch.

    Args:
        folder: The data set.
        split: The split.
        shuffle: Whether to shuffle.
        seed: Seed of the order.
        buffer: Number of samples that are held to be shuffled among each other.
        decode: Whether parts are decoded; see `harken.render.read_samples`.
        transform: Applied to each sample, in the worker.

    Raises:
        DataSetError: There is no such split, or it is not finished.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        shuffle: bool = False,
        seed: int = 0,
        buffer: int = 500,
        decode: bool = True,
        transform: Callable[[dict[str, Any]], Any] | None = None,
    ):
        if buffer < 1:
            raise ConfigurationError(f"buffer is {buffer!r}; expected at least 1 sample.")
        self.folder, self.split = Path(folder), split
        self.shuffle, self.seed, self.buffer = shuffle, seed, buffer
        self.decode, self.transform = decode, transform
        self.epoch = 0
        self.manifest = finished_manifest(folder, split)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, which gives another order; call it before each, as with `DistributedSampler`."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Return the number of samples of the split, over all readers."""
        return self.manifest.samples

    def __iter__(self) -> Iterator[Any]:
        samples = self._samples()
        if self.shuffle:
            samples = _shuffled(samples, self.buffer, random.Random(f"{self.seed}/{self.epoch}/samples"))
        return map(self.transform, samples) if self.transform is not None else samples

    def _samples(self) -> Iterator[dict[str, Any]]:
        shards = list(self.manifest.shards)
        if self.shuffle:
            random.Random(f"{self.seed}/{self.epoch}/shards").shuffle(shards)
        reader, readers = _share()
        if len(shards) >= readers:
            for record in shards[reader::readers]:
                yield from read_shard(self.folder, record, decode=self.decode)
            return
        every = itertools.chain.from_iterable(read_shard(self.folder, record, decode=self.decode) for record in shards)
        yield from itertools.islice(every, reader, None, readers)


def _share() -> tuple[int, int]:
    """Return the number of this reader, and of how many."""
    reader, readers = 0, 1
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        reader, readers = torch.distributed.get_rank(), torch.distributed.get_world_size()
    worker = torch.utils.data.get_worker_info()
    if worker is not None:
        reader, readers = reader * worker.num_workers + worker.id, readers * worker.num_workers
    return reader, readers


def _shuffled(samples: Iterator[Any], buffer: int, order: random.Random) -> Iterator[Any]:
    held: list[Any] = []
    for sample in samples:
        if len(held) < buffer:
            held.append(sample)
            continue
        place = order.randrange(buffer)
        yield held[place]
        held[place] = sample
    order.shuffle(held)
    yield from held
