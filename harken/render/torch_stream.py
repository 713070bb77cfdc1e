"""Read a data set in order with PyTorch, shared out to ranks and workers; importing this module imports torch."""

import itertools
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed
import torch.utils.data

from harken.checks import checked_count, checked_seed
from harken.errors import DataSetError
from harken.render.reading import finished_manifest, read_shard
from harken.render.shards import ShardRecord

__all__ = ["SampleStream"]


class SampleStream(torch.utils.data.IterableDataset):
    """The samples of a split as an iterable data set, read shard by shard.

    The samples of an epoch are laid out in one order, and each process of `torch.distributed`, and each worker of its
    `DataLoader`, reads a stretch of it. All processes get equally many samples, as with `DistributedSampler`, so that
    none waits for batches that others do not have: where the number of samples is not a multiple of the number of
    processes, some are read twice, or left out with `drop_last`. In one process each sample is read once.

    With `shuffle` the order of shards and, within a buffer, of samples is a function of `seed` and the epoch. Call
    `set_epoch` before each epoch; it reaches the workers of a `DataLoader` with ``persistent_workers`` too.

    Args:
        folder: The data set.
        split: The split.
        shuffle: Whether to shuffle.
        seed: Seed of the order.
        buffer: Number of samples that are held to be shuffled among each other.
        drop_last: Whether samples are left out, not read twice, so that all processes get equally many.
        decode: Whether parts are decoded; see `harken.render.read_samples`.
        transform: Applied to each sample, in the worker.

    Raises:
        DataSetError: There is no such split, or it is not finished.
        ConfigurationError: `buffer` or `seed` is out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        *,
        shuffle: bool = False,
        seed: int = 0,
        buffer: int = 500,
        drop_last: bool = False,
        decode: bool = True,
        transform: Callable[[dict[str, Any]], Any] | None = None,
    ):
        self.folder, self.split = Path(folder), split
        self.shuffle, self.seed, self.buffer = shuffle, checked_seed(seed), checked_count("buffer", buffer)
        self.drop_last, self.decode, self.transform = drop_last, decode, transform
        self.manifest = finished_manifest(folder, split)
        # In memory that workers share: those that persist keep their copy of everything else.
        self._epoch = torch.zeros(1, dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The epoch that is read next."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, which gives another order; call it before each, as with `DistributedSampler`.

        Raises:
            ConfigurationError: The epoch is not a whole number from 0.
        """
        self._epoch.fill_(checked_count("epoch", epoch, 0, 2**62))

    def __len__(self) -> int:
        """Return the number of samples that this process gets, over all its workers."""
        return self._share()[1]

    def __iter__(self) -> Iterator[Any]:
        samples = self._samples()
        if self.shuffle:
            samples = _shuffled(samples, self.buffer, random.Random(f"{self.seed}/{self.epoch}/samples"))
        return map(self.transform, samples) if self.transform is not None else samples

    def _share(self) -> tuple[int, int]:
        """Return where in the order of the epoch this process begins, and how many samples it gets."""
        rank, ranks = 0, 1
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            rank, ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
        total = self.manifest.samples
        count = total // ranks if self.drop_last else -(-total // ranks)
        if count == 0:
            raise DataSetError(
                f"Split {self.split!r} has {total} samples for {ranks} processes, and drop_last leaves none. Use fewer "
                "processes, or read some samples twice (drop_last=False)."
            )
        return rank * count, count

    def _samples(self) -> Iterator[dict[str, Any]]:
        shards = list(self.manifest.shards)
        if self.shuffle:
            random.Random(f"{self.seed}/{self.epoch}/shards").shuffle(shards)
        start, count = self._share()
        worker = torch.utils.data.get_worker_info()
        if worker is not None:
            first, last = (count * k // worker.num_workers for k in (worker.id, worker.id + 1))
            start, count = start + first, last - first
        # Behind the last sample comes the first again.
        start %= self.manifest.samples
        return itertools.islice(itertools.chain(self._from(shards, start), self._from(shards, 0)), count)

    def _from(self, shards: list[ShardRecord], start: int) -> Iterator[dict[str, Any]]:
        """Yield samples in the order of some shards, from the one numbered `start` on."""
        for record in shards:
            if start < record.samples:
                yield from read_shard(self.folder, record, decode=self.decode, skip=start)
            start = max(0, start - record.samples)


def _shuffled(samples: Iterator[Any], buffer: int, order: random.Random) -> Iterator[Any]:
    pool: list[Any] = []
    for sample in samples:
        if len(pool) < buffer:
            pool.append(sample)
            continue
        place = order.randrange(buffer)
        yield pool[place]
        pool[place] = sample
    order.shuffle(pool)
    yield from pool
