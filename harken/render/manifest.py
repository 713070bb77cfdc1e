"""The manifest of a split: what was rendered, from what, and the checksum of every file."""

import dataclasses
import importlib.metadata
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harken.checks import check_settings
from harken.errors import ConfigurationError, DataSetError, FileError
from harken.files import read_json, write_text
from harken.render.shards import MOST_SAMPLES, Job, ShardRecord, interrupted
from harken.splits import SPLITS

__all__ = ["FORMAT", "FileRecord", "Manifest", "library_versions", "manifest_path", "read_manifest", "read_manifests"]

FORMAT: int = 2
"""Version of the layout of a data set's folder."""

_LARGEST = 1 << 30
"""Size beyond which a manifest is not read [bytes]: some five million shards."""

_LIBRARIES = ("numpy", "scipy", "numba", "soundfile", "pillow", "av", "pyarrow")


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What the manifest says of a file."""

    name: str
    """Name of the file."""
    bytes: int
    """Size."""
    sha256: str
    """Checksum in hexadecimal."""

    def __post_init__(self) -> None:
        """Check the types, for manifests that are read."""
        check_settings(self, bytes=(0, math.inf))


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a split of a data set holds; ``SPLIT.manifest.json`` in its folder."""

    recipe: str
    """Name of the recipe."""
    recipe_version: int
    """Version of the recipe."""
    licence: str
    """What the samples may be used for."""
    settings: dict[str, Any]
    """The resolved settings, as `harken.configs.to_mapping` gives them."""
    split: str
    """The split."""
    seed: int
    """The seed."""
    samples: int
    """Number of samples that were asked for."""
    samples_per_shard: int
    """Number of samples in every shard but the last."""
    harken: str
    """Version of Harken."""
    libraries: dict[str, str]
    """Versions of the packages that the bytes may depend on."""
    shards: tuple[ShardRecord, ...] = ()
    """The finished shards, in order."""
    index: FileRecord | None = None
    """The Parquet index; None until all shards are finished."""
    format: int = FORMAT
    """Version of the layout."""

    def __post_init__(self) -> None:
        """Check the types, for manifests that are read."""
        check_settings(self, samples=(1, MOST_SAMPLES), samples_per_shard=(1, MOST_SAMPLES))
        for name in ("settings", "libraries"):
            if not isinstance(getattr(self, name), dict):
                raise ConfigurationError(f"{name} is {type(getattr(self, name)).__name__}; expected an object.")

    @staticmethod
    def of(job: Job) -> "Manifest":
        """Return the manifest of a data set of which nothing is rendered yet."""
        from harken import __version__
        from harken.configs import to_mapping

        recipe = job.recipe
        return Manifest(
            recipe=recipe.name,
            recipe_version=recipe.version,
            licence=recipe.licence,
            # Through JSON, so that tuples compare with the lists that are read back.
            settings=json.loads(json.dumps(to_mapping(recipe.settings), default=str)),
            split=recipe.split,
            seed=int(recipe.seed),
            samples=job.samples,
            samples_per_shard=job.samples_per_shard,
            harken=__version__,
            libraries=library_versions(),
        )

    @property
    def complete(self) -> bool:
        """Whether every sample was rendered and indexed."""
        return self.index is not None and sum(shard.samples for shard in self.shards) == self.samples

    def differences(self, other: "Manifest", *, other_split: bool = False) -> list[str]:
        """Return what keeps two manifests from describing the same samples.

        Args:
            other: The other manifest.
            other_split: Whether they are of two splits of one data set.

        Returns:
            One phrase for each setting that differs; none where samples of both may lie in one folder.
        """
        names = ["recipe", "recipe_version", "seed", "harken", "format"]
        names += [] if other_split else ["split", "samples_per_shard"]
        mine = {name: getattr(self, name) for name in names} | _flat("settings", self.settings)
        theirs = {name: getattr(other, name) for name in names} | _flat("settings", other.settings)
        missing = "(not there)"
        return [
            f"{name} is {mine.get(name, missing)!r} there and {theirs.get(name, missing)!r} now"
            for name in dict.fromkeys([*mine, *theirs])
            if mine.get(name, missing) != theirs.get(name, missing)
        ]

    def write(self, folder: Path) -> None:
        """Write the manifest into its folder; it appears whole or the old one stays."""
        values = dataclasses.asdict(self)
        # One line a shard: readable, and small in a diff.
        shards = ",\n".join(f"  {json.dumps(shard)}" for shard in values.pop("shards"))
        text = json.dumps(values, indent=1, ensure_ascii=False).removesuffix("\n}")
        whole = f'{text},\n "shards": [\n{shards}\n ]\n}}\n'
        write_text(manifest_path(folder, self.split), whole, error=interrupted)


def _flat(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return nested settings by dotted name."""
    result: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}.{name}"
        result.update(_flat(key, value) if isinstance(value, dict) else {key: value})
    return result


def library_versions() -> dict[str, str]:
    """Return the versions of the packages that the bytes of a data set may depend on."""
    return {name: importlib.metadata.version(name) for name in _LIBRARIES}


def manifest_path(folder: Path, split: str) -> Path:
    """Return the path of a split's manifest."""
    return folder / f"{split}.manifest.json"


def read_manifest(folder: Path, split: str) -> Manifest:
    """Read the manifest of a split.

    Args:
        folder: The data set.
        split: The split.

    Raises:
        DataSetError: There is none, or it is not a manifest.
    """
    path = manifest_path(Path(folder), split)
    if not path.is_file():
        there = [name for name in SPLITS if manifest_path(Path(folder), name).is_file()]
        raise DataSetError(
            f"There is no {path.name} in {str(folder)!r}"
            + (f"; it has the splits {', '.join(there)}." if there else ": no data set was rendered into that folder.")
        )
    try:
        values = read_json(path, largest=_LARGEST)
        if not isinstance(values, dict):
            raise TypeError(f"it is {type(values).__name__} and no object")
        if values.get("format") != FORMAT:
            raise DataSetError(
                f"{str(path)!r} has format {values.get('format')!r}; this version of Harken reads format {FORMAT}. "
                "Render it again, or read it with the version of Harken that its manifest names."
            )
        values["shards"] = tuple(ShardRecord(**shard) for shard in values["shards"])
        values["index"] = FileRecord(**values["index"]) if values["index"] else None
        manifest = Manifest(**values)
        _check_names(manifest, split)
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError, FileError) as error:
        raise DataSetError(
            f"{str(path)!r} is not a manifest ({type(error).__name__}: {error}). If it was damaged, delete it and the "
            "shards of its split, and render into the folder again."
        ) from error


def _check_names(manifest: Manifest, split: str) -> None:
    """Refuse files of other names than the renderer gives: a manifest must not name files outside its folder."""
    if manifest.split != split:
        raise ValueError(f"its split is {manifest.split!r}")
    expected = 0
    for shard in manifest.shards:
        number, rest = divmod(shard.first, manifest.samples_per_shard)
        if rest or number < expected or shard.name != f"{split}-{number:06d}.tar":
            raise ValueError(f"a shard is called {shard.name[:80]!r} and begins with sample {shard.first}")
        expected = number + 1
    if manifest.index is not None and manifest.index.name != f"{split}.parquet":
        raise ValueError(f"its index is called {manifest.index.name[:80]!r}")


def read_manifests(folder: Path) -> list[Manifest]:
    """Read the manifests of all splits in a folder.

    Raises:
        DataSetError: There is none, or one cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataSetError(f"There is no folder {str(folder)!r}.")
    manifests = [read_manifest(folder, split) for split in SPLITS if manifest_path(folder, split).is_file()]
    if not manifests:
        raise DataSetError(f"{str(folder)!r} holds no data set: expected a file such as train.manifest.json in it.")
    return manifests
