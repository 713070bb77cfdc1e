"""Render a data set: what is missing is made, what exists and verifies is kept."""

import dataclasses
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harken.checks import checked_count
from harken.errors import DataSetError, HarkenWarning
from harken.files import checked_output_folder, locked, remove_partial_files
from harken.interrupts import ending_with_care
from harken.render.dependencies import require
from harken.render.index import index_name, write_index
from harken.render.manifest import FileRecord, Manifest, manifest_path, read_manifest, read_manifests
from harken.render.recipe import Recipe, check_split_and_seed
from harken.render.shards import Job, ShardRecord, file_digest
from harken.render.workers import Event, render_here, render_in_processes

__all__ = ["render"]

_SAVE_SECONDS = 5.0


def render(
    recipe: Recipe,
    folder: str | Path,
    *,
    samples: int,
    samples_per_shard: int = 100,
    workers: int = 1,
    ray: str | None = None,
    progress: bool = True,
) -> Manifest:
    """Render the first samples of a recipe into a folder.

    The files are a function of the recipe and the numbers alone: one process, several, or a Ray cluster write the same
    bytes, and a run that was killed continues to the same bytes. Shards that exist and have the checksum of the
    manifest are kept, so asking for more samples later adds to the folder. Other splits of the same recipe may lie in
    the same folder.

    It writes ``SPLIT-000000.tar`` and so on, ``SPLIT.manifest.json``, the index ``SPLIT.parquet``, and the data card:
    ``README.md``, ``SPLIT-sheet.png`` and ``SPLIT-sheet.html``. Memory is bounded whatever the number of samples.

    Args:
        recipe: What a sample is; see `harken.render.make_recipe`.
        folder: Where the data set goes; made where it does not exist.
        samples: Number of samples.
        samples_per_shard: Number of samples in every shard but the last. Shards are what workers share out: with fewer
            shards than workers some have nothing to do.
        workers: Processes; 1 renders in this one.
        ray: Address of a Ray cluster that renders in place of processes here; see
            `harken.render.ray_workers.render_on_ray`.
        progress: Whether to show a bar with samples per second and the time left.

    Returns:
        The manifest of the split.

    Raises:
        ConfigurationError: A number is out of range.
        DataSetError: Another run works in the folder; it holds samples of other settings, or more samples; a sample
            cannot be made; there is no space left; a worker died again and again. What was finished stays.
        MissingDependencyError: A package of the extra ``render`` or ``scale`` is missing.
    """
    job = Job(recipe=recipe, folder=Path(folder).absolute(), samples=samples, samples_per_shard=samples_per_shard)
    check_split_and_seed(recipe.split, recipe.seed)
    checked_count("workers", workers)
    # Checked now rather than after hours of rendering.
    for package in ("pyarrow", "threadpoolctl", *(["ray"] if ray is not None else [])):
        require(package)
    checked_output_folder(job.folder, error=DataSetError)
    with locked(job.folder, error=DataSetError), ending_with_care():
        remove_partial_files(job.folder)
        _refuse_folders(job)
        manifest, before = Manifest.of(job), _earlier(job)
        records = {} if before is None else _verified(job, before)
        if before is None or before.samples != samples or len(records) < len(before.shards):
            _forget_index(job)
        with _Progress(job, manifest, records, show=progress) as state:
            missing = [shard for shard in range(job.shards) if shard not in records]
            if missing:
                _execute(job, missing, state.take, workers, ray)
        return _finish(job, state.manifest, before)


def _execute(job: Job, shards: list[int], report: Callable[[Event], None], workers: int, ray: str | None) -> None:
    if ray is not None:
        from harken.render.ray_workers import render_on_ray

        render_on_ray(job, shards, report, address=ray)
    elif workers > 1:
        render_in_processes(job, shards, report, workers=workers)
    else:
        render_here(job, shards, report)


def _earlier(job: Job) -> Manifest | None:
    """Return the manifest that the folder has of this split, after making sure that it describes the same samples."""
    now = Manifest.of(job)
    splits = [path.name for path in job.folder.glob("*.manifest.json")]
    if not splits:
        _refuse_strangers(job)
        return None
    for other in read_manifests(job.folder):
        differences = other.differences(now, other_split=other.split != now.split)
        if differences:
            raise DataSetError(
                f"{job.folder} holds samples of other settings: {'; '.join(differences)}. Nothing was changed. Choose "
                "another folder, use the same settings, or delete the folder if its samples are not needed."
            )
    if not manifest_path(job.folder, now.split).is_file():
        return None
    before = read_manifest(job.folder, now.split)
    if before.samples > now.samples:
        raise DataSetError(
            f"{job.folder} holds {before.samples} samples of split {now.split!r}, and {now.samples} were asked for. "
            "Nothing was changed. Ask for as many or more, or choose another folder."
        )
    _warn_of_libraries(before, now)
    return before


def _refuse_folders(job: Job) -> None:
    """Refuse folders, pipes and the like in the place of a file, before a sample is made."""
    ours = (".tar", ".manifest.json", ".parquet", "README.md", "-sheet.png", "-sheet.html")
    for entry in job.folder.iterdir():
        if entry.name.endswith(ours) and not entry.is_file():
            raise DataSetError(
                f"{str(entry)!r} is not a regular file, but a file of that name belongs there. Remove it."
            )


def _refuse_strangers(job: Job) -> None:
    """Refuse tar files of unknown origin; they would be overwritten."""
    names = sorted(path.name for path in job.folder.glob("*.tar"))
    if names:
        raise DataSetError(
            f"{job.folder} holds {names[0]} and no manifest: its origin is unknown and it is not overwritten. Choose "
            "another folder, or delete these files if they are not needed."
        )


def _warn_of_libraries(before: Manifest, now: Manifest) -> None:
    other = [
        f"{name} {before.libraries.get(name)} → {version}"
        for name, version in now.libraries.items()
        if before.libraries.get(name) != version
    ]
    if other:
        warnings.warn(
            f"The folder was begun with other versions ({', '.join(other)}): new shards may differ in their bytes from "
            "what those would have given. Install the same versions to get the same bytes.",
            HarkenWarning,
            stacklevel=4,
        )


def _verified(job: Job, before: Manifest) -> dict[int, ShardRecord]:
    """Return the shards of an earlier run that are there, unharmed, and as long as they are to be now."""
    records: dict[int, ShardRecord] = {}
    for record in before.shards:
        shard, path = record.first // job.samples_per_shard, job.folder / record.name
        if record.samples != len(job.numbers(shard)):
            continue  # The last one, which is to become longer.
        if path.is_file() and path.stat().st_size == record.bytes and file_digest(path) == record.sha256:
            records[shard] = record
            continue
        problem = "is damaged" if path.is_file() else "is missing"
        warnings.warn(f"{path} {problem}; it is made again.", HarkenWarning, stacklevel=4)
    return records


def _forget_index(job: Job) -> None:
    """Remove an index that will no longer be true."""
    (job.folder / index_name(job.recipe.split)).unlink(missing_ok=True)


class _Progress:
    """Keeps the manifest up to date while shards arrive, and shows how far it is."""

    def __init__(self, job: Job, manifest: Manifest, records: dict[int, ShardRecord], *, show: bool):
        from tqdm import tqdm

        self.job, self.done, self._manifest = job, dict(records), manifest
        self._saved, self._pause = time.monotonic(), _SAVE_SECONDS
        self._bar = tqdm(
            total=job.samples,
            initial=sum(record.samples for record in records.values()),
            desc=f"{job.recipe.name} {job.recipe.split}",
            unit="sample",
            disable=not show,
            smoothing=0.05,
        )

    @property
    def manifest(self) -> Manifest:
        """The manifest with the shards that are finished."""
        return dataclasses.replace(self._manifest, shards=tuple(self.done[shard] for shard in sorted(self.done)))

    def take(self, event: Event) -> None:
        """Take note of what an executor reported."""
        if isinstance(event, int):
            self._bar.update(event)
            return
        self.done[event.first // self.job.samples_per_shard] = event
        if time.monotonic() - self._saved >= self._pause:
            self._save()

    def _save(self) -> None:
        start = time.monotonic()
        self.manifest.write(self.job.folder)
        self._saved = time.monotonic()
        # A manifest of many shards takes long to write: keep that a twentieth of the work.
        self._pause = max(_SAVE_SECONDS, 20.0 * (self._saved - start))

    def __enter__(self) -> "_Progress":
        self._save()
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._bar.close()
        try:
            self._save()
        except (OSError, DataSetError):
            if error is None:
                raise
            # The disk is full, which `error` says; shards since the last saving are made again next time.
        remove_partial_files(self.job.folder)


def _finish(job: Job, manifest: Manifest, before: Manifest | None) -> Manifest:
    """Write the index and the card of a data set whose shards are all there."""
    from harken.render.card import card_names, write_card  # Not at the top: workers write no reports.

    index = _kept_index(job, manifest, before)
    manifest = dataclasses.replace(manifest, index=index or write_index(job, manifest.shards))
    manifest.write(job.folder)
    if index and all((job.folder / name).is_file() for name in card_names(manifest.split)):
        return manifest  # Users may have edited the card: it is not overwritten.
    write_card(job.folder, description=type(job.recipe).__doc__ or "")
    return manifest


def _kept_index(job: Job, manifest: Manifest, before: Manifest | None) -> FileRecord | None:
    if before is None or before.index is None or before.shards != manifest.shards:
        return None
    path = job.folder / before.index.name
    return before.index if path.is_file() and file_digest(path) == before.index.sha256 else None
