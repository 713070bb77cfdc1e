"""Clips, the sounds that sources emit, and libraries of them."""

import functools
import hashlib
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harken.checks import checked_path
from harken.errors import ConfigurationError, HarkenWarning, SoundError, UnknownNameError
from harken.sound.clip import SPLITS, Clip, Split, checked_rate
from harken.sound.level import CLIP_RMS
from harken.sound.recordings import MOST_SAMPLES, check_recording, read_recording

__all__ = ["AUDIO_SUFFIXES", "ClipEntry", "ClipLibrary", "clip_folder", "load_clip"]

AUDIO_SUFFIXES: tuple[str, ...] = (".wav", ".flac", ".ogg", ".oga", ".aiff", ".aif")
"""Endings of the files that `ClipLibrary.folder` reads."""

# Names under which data sets keep their splits.
_SPLIT_FOLDERS: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}

# Clips that a library keeps: a third of an hour at 48 kHz.
_KEPT_BYTES = 2**28


@dataclass(frozen=True, kw_only=True)
class ClipEntry:
    """A clip that a library can make when it is asked to."""

    name: str
    """Name, unique in the library."""
    category: str
    """What makes the sound."""
    split: Split
    """One of `SPLITS`."""
    make: Callable[[], Clip]
    """Returns the clip; picklable, so that the library is."""


class ClipLibrary:
    """Clips by name, made or read when they are first asked for and then kept.

    Up to 256 MB of samples are kept; beyond, what was not asked for the longest is made or read again.
    Iteration and all listings are sorted by name.
    """

    def __init__(self, entries: Iterable[ClipEntry], rate: int):
        """Make a library.

        Args:
            entries: The clips.
            rate: Sample rate of all clips [Hz].

        Raises:
            SoundError: There is no entry, or two have the same name.
        """
        self.rate: int = checked_rate(rate)
        listed = sorted(entries, key=lambda entry: entry.name)
        self._entries = {entry.name: entry for entry in listed}
        self._clips: dict[str, Clip] = {}
        if not listed:
            raise SoundError("A clip library needs at least one clip, got none.")
        if len(self._entries) < len(listed):
            names = [entry.name for entry in listed]
            twice = sorted({name for name in names if names.count(name) > 1})
            raise SoundError(f"Clips of a library need different names; more than one is called {', '.join(twice)}.")

    @staticmethod
    def builtin(rate: int = 16000) -> "ClipLibrary":
        """Return the synthesised clips that come with Harken: no download, no licence.

        They cover the 21 sounding categories of semantic AudioGoal (Chen et al., CVPR 2021) and sounds of a household,
        three variants of each, ``chair_1`` in split train, ``chair_2`` in val and ``chair_3`` in test; ``telephone``,
        the one sound of the same-sound task of AudioGoal (Chen et al., ECCV 2020), is in split "all". Each lasts 1–4 s,
        repeats without a seam, and has RMS 0.1 over its active part and a peak of at most 1.

        Args:
            rate: Sample rate [Hz].
        """
        from harken.sound.synthesis.catalogue import CLIPS, clip_split, synthesise

        entries = [
            ClipEntry(
                name=name, category=category, split=clip_split(name), make=functools.partial(synthesise, name, rate)
            )
            for name, category in CLIPS.items()
        ]
        return ClipLibrary(entries, rate)

    @staticmethod
    def speech_and_music(rate: int = 16000, *, seconds: float = 5.0) -> "ClipLibrary":
        """Return synthesised clips to separate: 12 talkers, 12 instruments and 13 backgrounds, 30 clips of each.

        Categories are the talkers (``woman_1``), instruments (``violin``) and backgrounds (``rain``); which is which
        tells `harken.sound.synthesis.speech_and_music.KINDS`. Every category has 20 clips in split train, 5 in val and
        5 in test: the same talker with other words, another violin with another tune. As those of `builtin` they repeat
        without a seam, have RMS 0.1 over their active part and a peak below 1; pauses last less than a second.

        Args:
            rate: Sample rate [Hz].
            seconds: Length of the clips [s], 1–120: 1 as in Move2Hear (Majumder et al., ICCV 2021), 20 and more as in
                its sequel with sounds that change (ECCV 2022).

        Raises:
            ConfigurationError: The rate or the length is out of range.
        """
        from harken.sound.synthesis.speech_and_music import CLIPS, checked_seconds, clip_split, synthesise

        length = checked_seconds(seconds)
        entries = [
            ClipEntry(
                name=name,
                category=category,
                split=clip_split(name),
                make=functools.partial(synthesise, name, rate, length),
            )
            for name, category in CLIPS.items()
        ]
        return ClipLibrary(entries, rate)

    @staticmethod
    def joined(*libraries: "ClipLibrary") -> "ClipLibrary":
        """Return one library with the clips of several, such as of talkers, instruments and backgrounds.

        Raises:
            SoundError: There is none, they differ in their sample rate, or two have a clip of the same name.
        """
        rates = sorted({library.rate for library in libraries})
        if len(rates) != 1:
            text = ", ".join(f"{rate} Hz" for rate in rates) or "no library"
            raise SoundError(f"Libraries to be joined need the same sample rate, got {text}.")
        return ClipLibrary([library.entry(name) for library in libraries for name in library], rates[0])

    @staticmethod
    def folder(
        path: str | Path,
        rate: int = 16000,
        *,
        shares: tuple[int, int, int] | None = (73, 11, 18),
        level: float | None = CLIP_RMS,
    ) -> "ClipLibrary":
        """Return the recordings in a folder and in the folders in it, read and resampled when they are asked for.

        - Name: the path inside the folder without its ending, such as ``train/chair``.
        - Split: a folder named train, val (valid, validation) or test says it, as in SoundSpaces'
          ``sounds/semantic_splits``; what lies beside such folders is in split "all". Where there are none, as in
          ``sounds/1s_all``, the clips are dealt out by `shares`, except a telephone, which is in split "all".
        - Category: the nearest folder that does not name a split, or for a file in none the file's name without a
          number at its end: ``train/chair.wav``, ``chair/a17.wav`` and ``chair_2.wav`` are chairs.

        Every recording is brought to the level of the built-in clips, as by `load_clip`, so that a loud one does not
        seem near. The headers of all files are read at once, so that what cannot be opened is found before anything
        runs.

        Args:
            path: The folder. Hidden files and files that do not end in one of `AUDIO_SUFFIXES` are passed over.
            rate: Sample rate to which all clips are brought [Hz].
            shares: How clips without split folders are dealt out to train, val and test, in proportion; the default is
                SoundSpaces' division of its 102 sounds. It depends only on the names. None, or fewer than three clips:
                all are in split "all".
            level: RMS over the active part to which each clip is brought; None keeps the levels of the files.

        Raises:
            SoundError: There is no such folder, it holds no recording, or a recording cannot be opened, is empty or
                shorter than 50 ms. Samples are checked when a clip is first asked for: see `load_clip`.
        """
        root = clip_folder(path)
        files = [file.relative_to(root) for file in sorted(root.rglob("*")) if file.suffix.lower() in AUDIO_SUFFIXES]
        files = [
            file for file in files if not any(part.startswith(".") for part in file.parts) and (root / file).is_file()
        ]
        if not files:
            raise SoundError(
                f"No recording in {str(root)!r}: expected files that end in {', '.join(AUDIO_SUFFIXES)}, "
                "in the folder itself or in folders in it."
            )
        splits = _splits(files, shares)
        entries = []
        for file in files:
            check_recording(root / file)
            name, category, split = file.with_suffix("").as_posix(), _category(file), splits[file]
            make = functools.partial(
                load_clip, root / file, rate, name=name, category=category, split=split, level=level
            )
            entries.append(ClipEntry(name=name, category=category, split=split, make=make))
        return ClipLibrary(entries, rate)

    def names(self, split: str | None = None, category: str | None = None, *, shared: bool = False) -> tuple[str, ...]:
        """Return the names of clips, sorted.

        Args:
            split: Only the clips kept apart for this split; None for those of every split.
            category: Only the clips of this category.
            shared: Add the clips of split "all", which a task with unheard sounds has to leave out.

        Raises:
            UnknownNameError: The library has no such split or category, or none of its clips has both.
        """
        if category is not None and category not in self.categories:
            raise UnknownNameError("category", category, self.categories)
        splits = (split, "all") if shared else (split,)
        names = tuple(
            entry.name
            for entry in self._entries.values()
            if (split is None or entry.split in splits) and category in (None, entry.category)
        )
        if not names:
            raise UnknownNameError(
                "split" if category is None else f"split of category {category!r}",
                split,
                sorted({entry.split for entry in self._entries.values() if category in (None, entry.category)}),
            )
        return names

    def clip(self, name: str) -> Clip:
        """Return a clip, the same object each time as long as it is kept.

        Raises:
            UnknownNameError: There is no such clip.
            SoundError: It is a recording that cannot be used; see `load_clip`.
        """
        clip = self._clips.pop(name, None) or self.entry(name).make()
        self._clips[name] = clip
        size = sum(cached.samples.nbytes for cached in list(self._clips.values()))
        while size > _KEPT_BYTES and len(self._clips) > 1:
            oldest = self._clips.pop(next(iter(self._clips)), None)
            size -= 0 if oldest is None else oldest.samples.nbytes
        return clip

    def entry(self, name: str) -> ClipEntry:
        """Return what is known of a clip without making it.

        Raises:
            UnknownNameError: There is no such clip.
        """
        if name not in self._entries:
            raise UnknownNameError("clip", name, self._entries)
        return self._entries[name]

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that occur, sorted."""
        return tuple(sorted({entry.category for entry in self._entries.values()}))

    @property
    def splits(self) -> tuple[Split, ...]:
        """The splits that occur, in the order of `SPLITS`."""
        splits = {entry.split for entry in self._entries.values()}
        return tuple(split for split in SPLITS if split in splits)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __repr__(self) -> str:
        return f"ClipLibrary({len(self)} clips, {len(self.categories)} categories, {self.rate} Hz)"

    def __getstate__(self) -> dict[str, Any]:
        """Drop the clips when pickled: they are made again when needed."""
        return {**self.__dict__, "_clips": {}}


def clip_folder(path: str | Path) -> Path:
    """Return the path of a folder that is there.

    Raises:
        SoundError: There is no such folder.
        ConfigurationError: It is not a path.
    """
    root = checked_path("The folder of clips", path)
    try:
        if root.is_dir():
            return root
        kind = "a file; for a single recording use load_clip" if root.exists() else "not there"
    except OSError as error:  # a name that is too long, a folder that may not be read
        kind = f"out of reach ({error.strerror or error})"
    raise SoundError(f"No folder of clips at {str(root)!r}: it is {kind}.")


def load_clip(
    path: str | Path,
    rate: int = 16000,
    *,
    name: str | None = None,
    category: str | None = None,
    split: Split = "all",
    level: float | None = CLIP_RMS,
) -> Clip:
    """Read a recording: wav, flac, ogg, mp3, aiff and what else libsndfile reads, or the sound of an m4a or mp4 file.

    It may have any rate and number of channels; channels are mixed to one by their mean. The rate is changed by soxr in
    its high quality.

    The recording is brought to the level of the built-in clips, RMS 0.1 over its active part (`Clip.normalised`): how
    loud a file is says how it was recorded, not how loud its source is, and agents take level for nearness. The peak
    of a very impulsive recording may then exceed 1; nothing is cut off.

    Args:
        path: The file.
        rate: Sample rate to which the recording is brought [Hz].
        name: Name of the clip; the file's name without its ending where none is given.
        category: Category of the clip; that name without a number at its end where none is given.
        split: Split of the clip.
        level: RMS over the active part to which the clip is brought; None keeps the level of the file (full scale is
            1).

    Raises:
        SoundError: There is no such file, it is empty or corrupt, has no sample rate, lasts less than 50 ms, is
            silent, holds NaN or infinite samples, or is longer than `harken.sound.recordings.MOST_SAMPLES`.
        ConfigurationError: The rate or the level is out of range.
        HarkenWarning: The channels cancel in the mean.
    """
    import soxr

    file = checked_path("The path of a recording", path)
    rate = checked_rate(rate)
    channels, found_rate = read_recording(file)
    mono = channels.mean(axis=1)
    power, mixed = float(np.mean(np.square(channels))), float(np.mean(np.square(mono)))
    if channels.shape[1] > 1 and mixed < 0.01 * power:
        warnings.warn(
            f"{str(file)!r}: the {channels.shape[1]} channels cancel; their mean is "
            f"{10 * np.log10(power / max(mixed, 1e-20)):.0f} dB below them. Mix it to mono before loading.",
            HarkenWarning,
            stacklevel=2,
        )
    title = file.stem if name is None else name
    kind = _unnumbered(file.stem) if category is None else category
    clip = Clip(samples=mono, rate=found_rate, name=title, category=kind, split=split)
    if found_rate != rate:
        if len(mono) * rate > MOST_SAMPLES * found_rate:
            raise SoundError(
                f"{str(file)!r} would have {len(mono) * rate // found_rate} samples at {rate} Hz; expected at most "
                f"{MOST_SAMPLES}. Divide it, or choose a lower rate."
            )
        resampled = soxr.resample(clip.samples, found_rate, rate, quality="HQ")
        clip = Clip(samples=resampled, rate=rate, name=title, category=kind, split=split)
    return clip if level is None else clip.normalised(level)


def _unnumbered(stem: str) -> str:
    """Return a name without the number at its end."""
    return re.sub(r"[\s_-]*\d+$", "", stem) or stem


def _category(file: Path) -> str:
    folders = [part for part in file.parts[:-1] if part.lower() not in _SPLIT_FOLDERS]
    return folders[-1] if folders else _unnumbered(file.stem)


def _splits(files: list[Path], shares: tuple[int, int, int] | None) -> dict[Path, Split]:
    """Return the split of each file, from its folders or dealt out by `shares`."""
    named = {
        file: _SPLIT_FOLDERS[part.lower()]
        for file in files
        for part in file.parts[:-1]
        if part.lower() in _SPLIT_FOLDERS
    }
    dealt = [file for file in files if _category(file) != "telephone"]
    if named or shares is None or len(dealt) < 3:
        return {file: named.get(file, "all") for file in files}
    if len(shares) != 3 or min(shares) < 0 or sum(shares) <= 0:
        raise ConfigurationError(
            f"shares is {shares!r}; expected three numbers for train, val and test, such as (73, 11, 18)."
        )
    # A digest, because the order of names says something about sounds ("person_1", "person_2") and a digest does not.
    dealt.sort(key=lambda file: hashlib.sha256(file.as_posix().encode()).digest())
    val, test = (max(1, round(len(dealt) * share / sum(shares))) if share else 0 for share in shares[1:])
    splits: dict[Path, Split] = {file: "all" for file in files if file not in dealt}
    for k, file in enumerate(dealt):
        splits[file] = "val" if k < val else "test" if k < val + test else "train"
    return splits
