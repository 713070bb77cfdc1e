"""Render shards on the machines of a Ray cluster, through Ray Data."""

import contextlib
import logging
import os
import socket
import traceback
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from harken.errors import DataSetError, HarkenError
from harken.files import PARTIAL, write_bytes
from harken.render.dependencies import require
from harken.render.manifest import library_versions
from harken.render.shards import Job, ShardRecord, interrupted, write_shard
from harken.render.workers import Event

__all__ = ["render_on_ray"]

_ATTEMPTS = 3
_KNOCK_SECONDS = 10.0


def render_on_ray(job: Job, shards: Sequence[int], report: Callable[[Event], None], *, address: str) -> None:
    """Render shards on a Ray cluster, one at a time on each of its cores.

    Every machine writes its shards itself, so the data set's folder must be shared by all and have the same path on
    each (NFS, say). What was made by a worker that dies, or by a machine that leaves, is made again elsewhere.

    Args:
        job: The data set; its recipe is pickled to every worker.
        shards: Numbers of the shards to make.
        report: Called with what happens; samples are counted at the end of their shard.
        address: Address of the cluster as `ray.init` takes it: ``auto``, ``host:6379`` or ``ray://host:10001``;
            ``local`` starts one on this machine.

    Raises:
        DataSetError: The cluster cannot be reached, the folder is not shared, a machine has other versions of packages,
            a sample cannot be made, or there is no space left.
        MissingDependencyError: Ray is not installed.
    """
    ray, data = require("ray"), require("ray.data")
    started = _connect(ray, address)
    token = job.folder / f".ray-{uuid.uuid4().hex}{PARTIAL}"
    try:
        write_bytes(token, b"This folder is shared.", error=interrupted)
        # One row a block, so that what is lost with a worker is one shard.
        rows = data.from_items([{"shard": shard} for shard in shards], override_num_blocks=len(shards))
        results = rows.map(
            _ShardMaker,
            fn_constructor_args=(job, token.name, library_versions()),
            # Shards wait for the next free worker, not in the queue of a busy one.
            compute=data.ActorPoolStrategy(min_size=1, max_size=_cores(ray), max_tasks_in_flight_per_actor=1),
            num_cpus=1,
            ray_remote_args_fn=_fault_tolerance,
        )
        with _quiet(data):
            _report_all(ray, results, report)
    finally:
        token.unlink(missing_ok=True)
        if started:
            ray.shutdown()


def _report_all(ray: Any, results: Any, report: Callable[[Event], None]) -> None:
    try:
        for row in results.iter_rows():
            if row["error"]:
                error = DataSetError(row["error"])
                error.add_note(f"In the worker on {row['host']}:\n{row['trace']}")
                raise error
            record = ShardRecord(**{name: row[name] for name in ShardRecord.__dataclass_fields__})
            report(record.samples)
            report(record)
    except ray.exceptions.RayError as error:
        raise DataSetError(
            f"Ray gave up ({type(error).__name__}: {error}). Finished shards stay; run the same command again to go "
            "on. If memory ran out, give Ray fewer cores per machine (`ray start --num-cpus`)."
        ) from error


def _connect(ray: Any, address: str) -> bool:
    """Connect to the cluster, and return whether this call opened the connection."""
    if ray.is_initialized():
        return False
    try:
        _knock(address)
        ray.init(address=address, log_to_driver=False, logging_level="WARNING")
    except (ConnectionError, ValueError, RuntimeError, OSError) as error:
        raise DataSetError(
            f"No Ray cluster at {address!r} ({error}). Start one with `ray start --head` and give its address, or "
            '"local" for one on this machine.'
        ) from error
    return True


def _knock(address: str) -> None:
    """Check that a server answers at ``host:port``; `ray.init` itself tries for many minutes.

    Raises:
        OSError: No server answers.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


def _fault_tolerance() -> dict[str, int]:
    """Return how often a worker is restarted and its unfinished task retried."""
    return {"max_restarts": -1, "max_task_retries": _ATTEMPTS - 1}


@contextlib.contextmanager
def _quiet(data: Any) -> Iterator[None]:
    """Hide Ray Data's own progress bars and plans while ours is shown."""
    context, log = data.DataContext.get_current(), logging.getLogger("ray.data")
    bars, level = context.enable_progress_bars, log.level
    context.enable_progress_bars = False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars = bars
        log.setLevel(level)


def _cores(ray: Any) -> int:
    return max(1, int(ray.cluster_resources().get("CPU", 1)))


class _ShardMaker:
    """What runs in a worker: keeps the recipe, whose large parts are then made once."""

    def __init__(self, job: Job, token: str, libraries: dict[str, str]):
        self.job, self.problem = job, _problem(job.folder, token, libraries)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        shard = int(row["shard"])
        nothing = {"name": "", "first": 0, "samples": 0, "bytes": 0, "sha256": "", "trace": ""}
        answer = {**nothing, "error": self.problem, "host": socket.gethostname()}
        if self.problem:
            return answer
        # Errors are passed as text: Ray would otherwise retry a task that fails every time.
        try:
            return {**answer, **vars(write_shard(self.job, shard))}
        except Exception as error:
            text = str(error) if isinstance(error, HarkenError) else f"{type(error).__name__}: {error}"
            return {**answer, "error": text, "trace": "".join(traceback.format_exception(error))}


def _problem(folder: Path, token: str, libraries: dict[str, str]) -> str:
    """Return why this machine would not render the same bytes into the same folder; empty if it would."""
    host = socket.gethostname()
    if not os.path.exists(folder / token):
        return (
            f"Machine {host} does not see the folder {folder}: it must be shared by all machines of the cluster, under "
            "the same path. Nothing was written there."
        )
    ours = library_versions()
    other = [f"{name} {ours[name]} (here {libraries[name]})" for name in libraries if ours[name] != libraries[name]]
    if other:
        return f"Machine {host} has other versions: {', '.join(other)}. Install the same on all, or bytes would differ."
    return ""
