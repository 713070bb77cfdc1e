"""Render shards in this process, or in several processes of this machine."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from harken.errors import DataSetError, HarkenError, HarkenWarning
from harken.processes import ending
from harken.render.shards import Job, ShardRecord, write_shard

__all__ = ["Event", "render_here", "render_in_processes"]

Event = ShardRecord | int
"""What an executor reports: a finished shard, or by how many the number of samples made has changed."""

_ATTEMPTS = 3
_TICK_SECONDS = 0.25


def render_here(job: Job, shards: Sequence[int], report: Callable[[Event], None]) -> None:
    """Render shards one after the other in this process.

    Args:
        job: The data set.
        shards: Numbers of the shards to make.
        report: Called with what happens.

    Raises:
        DataSetError: A sample cannot be made, or there is no space left.
    """
    for shard in shards:
        report(write_shard(job, shard, tick=lambda: report(1)))


def render_in_processes(job: Job, shards: Sequence[int], report: Callable[[Event], None], *, workers: int) -> None:
    """Render shards in processes of their own, each one shard at a time.

    A process that dies, killed by the system for want of memory, say, is noticed at once; another takes its place and
    does its shard again. Where samples cannot be made, the failure of the lowest shard is reported, whichever process
    fails first: shards before it are finished, those after it are dropped.

    Args:
        job: The data set; its recipe is pickled to every process.
        shards: Numbers of the shards to make.
        report: Called with what happens; the number of samples falls when a process dies in the middle of a shard.
        workers: Number of processes.

    Raises:
        DataSetError: A sample cannot be made, there is no space left, or a shard's process died three times.
    """
    waiting = list(reversed(shards))
    attempts: dict[int, int] = {}
    busy: dict[Connection, _Worker] = {}
    failed: _Failure | None = None
    try:
        for _ in range(min(workers, len(shards))):
            worker = _start(job)
            busy[worker.connection] = worker
            worker.give(waiting.pop())
        while busy:
            for connection in multiprocessing.connection.wait(list(busy)):
                worker = busy.get(connection)  # type: ignore[arg-type]
                if worker is None:
                    continue
                message = worker.receive()
                if isinstance(message, int):
                    worker.samples += message
                    report(message)
                elif isinstance(message, ShardRecord):
                    report(message.samples - worker.samples)
                    report(message)
                    if waiting:
                        worker.give(waiting.pop())
                    else:
                        del busy[worker.connection]
                        worker.dismiss()
                elif isinstance(message, _Failure):
                    # Shards are given out in their order, so every shard before this one is finished or under way.
                    waiting.clear()
                    failed = message
                    for later in [candidate for candidate in busy.values() if candidate.shard >= worker.shard]:
                        del busy[later.connection]
                        later.end()
                else:
                    del busy[worker.connection]
                    report(-worker.samples)
                    attempts[worker.shard] = attempts.get(worker.shard, 0) + 1
                    _report_death(job, worker, attempts[worker.shard])
                    again = _start(job)
                    busy[again.connection] = again
                    again.give(worker.shard)
        if failed is not None:
            raise failed.error()
    finally:
        for worker in busy.values():
            worker.end()


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """An error that crossed a process boundary as text: not every exception can be pickled."""

    message: str
    trace: str

    def error(self) -> DataSetError:
        error = DataSetError(self.message)
        error.add_note(f"In the worker process:\n{self.trace}")
        return error


@dataclass(kw_only=True)
class _Worker:
    """A process, the pipe to it, and its current work."""

    process: BaseProcess
    connection: Connection
    shard: int = -1
    samples: int = field(default=0)

    def give(self, shard: int) -> None:
        self.shard, self.samples = shard, 0
        with contextlib.suppress(ConnectionError):  # It died; the next receive says so.
            self.connection.send(shard)

    def receive(self) -> Any:
        """Return a message, or None where the process died."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            self.connection.close()
            return None

    def dismiss(self) -> None:
        """Let a process without work end."""
        self.connection.close()
        self.process.join()

    def end(self) -> None:
        """End a process in the middle of its work."""
        self.process.terminate()
        self.process.join(5.0)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def _start(job: Job) -> _Worker:
    # Spawned, not forked: threads of numba, BLAS and PyAV do not survive a fork.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(job, theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process=process, connection=ours)


def _work(job: Job, connection: Connection, parent: int) -> None:
    """Render the shards that come through the pipe until it closes; runs in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The parent decides, and ends this process by SIGTERM.
    samples, last = 0, time.monotonic()

    def tick() -> None:
        nonlocal samples, last
        samples += 1
        if time.monotonic() - last >= _TICK_SECONDS:
            connection.send(samples)
            samples, last = 0, time.monotonic()
        if os.getppid() != parent:
            raise SystemExit("The run that this process worked for is gone.")

    while True:
        try:
            shard = connection.recv()
        except EOFError:
            return
        samples = 0
        try:
            connection.send(write_shard(job, shard, tick=tick))
        except Exception as error:
            connection.send(_failure(job, shard, error))


def _failure(job: Job, shard: int, error: Exception) -> _Failure:
    message = str(error)
    if not isinstance(error, HarkenError):
        message = f"Shard {job.shard_name(shard)} cannot be written. {type(error).__name__}: {error}"
    return _Failure(message=message, trace="".join(traceback.format_exception(error)))


def _report_death(job: Job, worker: _Worker, attempt: int) -> None:
    numbers = job.numbers(worker.shard)
    what = (
        f"Process {worker.process.pid} {ending(worker.process.exitcode)} while it made {job.shard_name(worker.shard)} "
        f"(samples {numbers.start}–{numbers.stop - 1})"
    )
    if attempt >= _ATTEMPTS:
        raise DataSetError(
            f"{what}, as {attempt - 1} did before it. Finished shards stay. If memory ran out, use fewer workers; to "
            "find the sample, render with one worker. A script that renders with several must do so under "
            '`if __name__ == "__main__":`.'
        )
    warnings.warn(f"{what}. Another does it again; nothing is lost.", HarkenWarning, stacklevel=3)
