"""Clip libraries from folders in the layouts in which the field's data sets are published.

`ClipLibrary.folder` reads any folder of recordings, SoundSpaces' ``sounds/1s_all`` and ``sounds/semantic_splits`` among
them. The functions here know the data sets by which active separation and audio-visual learning are measured: who
speaks or what sounds in a file, and which files a published division keeps for training, validation and test.

All of them read lazily: folders and lists at once, headers at once unless asked otherwise, samples when a clip is first
asked for. Any number of channels is mixed to one by its mean, and any rate is brought to the library's by soxr, as by
`load_clip`.
"""

import csv
import functools
import hashlib
import json
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from harken.checks import check_settings, checked_count, checked_number, checked_path
from harken.errors import ConfigurationError, HarkenWarning, SoundError
from harken.sound.clip import Split
from harken.sound.clips import AUDIO_SUFFIXES, ClipEntry, ClipLibrary, clip_folder, load_clip
from harken.sound.level import CLIP_RMS
from harken.sound.recordings import CONTAINER_SUFFIXES, check_recording

__all__ = ["ClipReading", "aaviss", "esc50", "librispeech", "music", "voxceleb"]

_SUFFIXES = (*AUDIO_SUFFIXES, *CONTAINER_SUFFIXES, ".mp3", ".opus")
_SHOWN = 3
_LARGEST_LIST = 2**26


@dataclass(frozen=True, kw_only=True)
class ClipReading:
    """How recordings of a data set become clips, whatever its layout."""

    level: float | None = CLIP_RMS
    """RMS over the active part to which each clip is brought; None keeps the level of the file (full scale is 1). The
    peak of a very impulsive recording may then exceed 1; nothing is cut off."""
    category: str | None = None
    """One category for all clips, such as "music", in place of the data set's speakers, instruments or classes."""
    check: bool = True
    """Whether the headers of all files are read at once, some 10,000 a second. Without, what is wrong with a file is
    found when its clip is first asked for. That samples are silent or NaN is always found then."""
    unusable: Literal["refuse", "leave out"] = "refuse"
    """What happens to files that cannot be opened or are too short, where `check` finds them: an error that names
    them, or a warning that counts them."""

    def __post_init__(self) -> None:
        """Check the settings."""
        check_settings(self, level=(1e-6, 1.0))
        if self.unusable == "leave out" and not self.check:
            raise ConfigurationError("Unusable files can only be left out where check=True finds them.")


_DEFAULT = ClipReading()


class _Recording(NamedTuple):
    file: Path
    name: str
    category: str
    split: Split


def voxceleb(
    path: str | Path, rate: int = 16000, *, val_share: float = 0.1, reading: ClipReading = _DEFAULT
) -> ClipLibrary:
    """Return the utterances of VoxCeleb 1 or 2 (Nagrani et al., Interspeech 2017; Chung et al., Interspeech 2018).

    They lie at ``id10270/<video>/00001.wav`` (or .m4a), below ``wav``, ``dev/aac`` or what else the archives hold.

    - Category: the speaker, ``id10270``. Name: ``id10270/<video>/00001``.
    - Split: speakers are disjoint. Who is in the published test set is read from ``vox1_meta.csv`` or
      ``vox2_meta.csv`` (column Set), else from a folder such as ``test``, ``dev`` or ``vox1_dev_wav``, else, for
      VoxCeleb 1, from the speaker: id10270–id10309 are its test set. A share of the other speakers, chosen by a digest
      of the name, is in split "val", for which the data set has no rule; the rest is in train.

    Args:
        path: A folder above the speakers' folders, at any distance, such as that of ``wav`` or of ``dev`` and ``test``.
        rate: Sample rate to which all clips are brought [Hz].
        val_share: Share of the speakers outside the test set who are in split "val", from 0 to below 1.
        reading: How recordings become clips.

    Raises:
        SoundError: The folder has another layout, a speaker is in two sets, or files cannot be used.
    """
    if checked_number("val_share", val_share, 0.0, 1.0) == 1.0:
        raise ConfigurationError("val_share is 1; expected less, so that speakers are left for training.")
    expected = "id10270/<video>/00001.wav (or .m4a), the published layout of VoxCeleb"
    root, files = _files_below(path, expected)
    spoken = [file for file in files if len(file.parts) >= 3 and re.fullmatch(r"id\d{5}", file.parts[-3])]
    if not spoken:
        raise _wrong_layout(root, files, expected)
    sets = _voxceleb_sets(root)
    tested: dict[str, bool] = {}
    for file in spoken:
        speaker = file.parts[-3]
        test = _voxceleb_test(root, file, sets)
        if tested.setdefault(speaker, test) != test:
            raise SoundError(f"{str(root)!r}: speaker {speaker} is in both the test and the dev folder; expected one.")
    others = sorted((s for s, test in tested.items() if not test), key=_digest)
    validation = set(others[: max(1, round(val_share * len(others))) if val_share and len(others) > 1 else 0])
    recordings = [
        _Recording(
            root / file,
            "/".join(file.with_suffix("").parts[-3:]),
            file.parts[-3],
            "test" if tested[file.parts[-3]] else "val" if file.parts[-3] in validation else "train",
        )
        for file in spoken
    ]
    return _library(root, recordings, rate, reading)


def music(
    path: str | Path,
    rate: int = 16000,
    *,
    lists: Iterable[str | Path] | None = None,
    duets: bool = False,
    held_out: int = 1,
    reading: ClipReading = _DEFAULT,
) -> ClipLibrary:
    """Return the performances of MUSIC (Zhao et al., ECCV 2018): ``<instrument>/<video>.*`` and lists of videos.

    - Category: the instrument, ``acoustic_guitar``; of a duet both, ``flute violin``. Name: ``flute/<video>``.
    - Split: in the order of the lists the first `held_out` videos of each category that are there are in split "val",
      the next in test, the others in train, as Gao and Grauman (ICCV 2019) divide it.

    Videos that have disappeared from YouTube are counted in a warning.

    Args:
        path: The folder of the instruments' folders, or one above it. The sound may be in its own file or in a film.
        rate: Sample rate to which all clips are brought [Hz].
        lists: The published lists, ``{"videos": {"flute": [video, …]}}``; found in `path`, or beside it, by the names
            ``MUSIC*solo*.json`` and ``MUSIC*duet*.json`` where none are given.
        duets: Also the duets, in which two instruments are heard.
        held_out: Videos of each category for val and as many for test.
        reading: How recordings become clips.

    Raises:
        SoundError: The folder has another layout, there is no list, a list is not of this form, none of its videos is
            there, or files cannot be used.
    """
    held_out = checked_count("held_out", held_out, 0, unit="videos")
    expected = "<instrument>/<video>.wav (or another sound or film file), the published layout of MUSIC"
    root, files = _files_below(path, expected)
    placed = {(file.parts[-2], file.stem): file for file in files if len(file.parts) >= 2}
    listed = _music_lists(root, lists, duets)
    recordings, missing = [], 0
    for category, videos in listed.items():
        spellings = (category, category.replace(" ", "_"), category.replace("_", " "))
        there = [
            next(placed[spelling, video] for spelling in spellings if (spelling, video) in placed)
            for video in dict.fromkeys(videos)
            if any((spelling, video) in placed for spelling in spellings)
        ]
        missing += len(set(videos)) - len(there)
        for k, file in enumerate(there):
            split: Split = "val" if k < held_out else "test" if k < 2 * held_out else "train"
            recordings.append(_Recording(root / file, f"{category}/{file.stem}", category, split))
    if not recordings:
        raise _wrong_layout(root, files, f"{expected}, with the videos of its lists ({', '.join(sorted(listed))})")
    if missing:
        total = missing + len(recordings)
        warnings.warn(
            f"{str(root)!r}: {missing} of {total} listed videos are not there; the library has the other "
            f"{len(recordings)}.",
            HarkenWarning,
            stacklevel=2,
        )
    return _library(root, recordings, rate, reading)


def esc50(
    path: str | Path,
    rate: int = 16000,
    *,
    val_fold: int | None = 4,
    test_fold: int | None = 5,
    reading: ClipReading = _DEFAULT,
) -> ClipLibrary:
    """Return the environmental sounds of ESC-50 (Piczak, ACM MM 2015): ``audio/*.wav`` and ``meta/esc50.csv``.

    - Category: one of 50 classes, ``dog``. Name: that of the file, ``1-100032-A-0``.
    - Split: by the published folds, which keep excerpts of one recording together.

    Args:
        path: The folder with ``audio`` and ``meta``, or that above it.
        rate: Sample rate to which all clips are brought [Hz].
        val_fold: Fold in split "val", 1–5; None for none.
        test_fold: Fold in split "test", 1–5; None for none.
        reading: How recordings become clips.

    Raises:
        SoundError: The folder has another layout, the table lacks a column or names files that are not there, or files
            cannot be used.
    """
    for name, fold in (("val_fold", val_fold), ("test_fold", test_fold)):
        if fold not in (None, 1, 2, 3, 4, 5) or isinstance(fold, bool):
            raise ConfigurationError(f"{name} is {fold!r}; expected a fold from 1 to 5, or None.")
    if val_fold is not None and val_fold == test_fold:
        raise ConfigurationError(f"Fold {val_fold} cannot be both val_fold and test_fold.")
    expected = "audio/1-100032-A-0.wav and meta/esc50.csv, the published layout of ESC-50"
    root = clip_folder(path)
    table = next((t for t in (root, *sorted(root.iterdir())) if (t / "meta" / "esc50.csv").is_file()), None)
    if table is None:
        raise _wrong_layout(root, _recordings_below(root), expected)
    rows = _rows(table / "meta" / "esc50.csv", ("filename", "fold", "category"))
    absent = [row["filename"] for row in rows if not (table / "audio" / row["filename"]).is_file()]
    if absent:
        raise SoundError(
            f"{str(table)!r}: {len(absent)} of {len(rows)} files of meta/esc50.csv are not in audio/ "
            f"({_some(absent)}). Fetch the data set again."
        )
    recordings = []
    for row in rows:
        if row["fold"] not in "12345" or len(row["fold"]) != 1:
            raise SoundError(
                f"{str(table)!r}: {row['filename']} is in fold {row['fold']!r} of esc50.csv; expected 1 to 5."
            )
        fold = int(row["fold"])
        split: Split = "val" if fold == val_fold else "test" if fold == test_fold else "train"
        recordings.append(
            _Recording(table / "audio" / row["filename"], Path(row["filename"]).stem, row["category"], split)
        )
    return _library(table, recordings, rate, reading)


def librispeech(path: str | Path, rate: int = 16000, *, reading: ClipReading = _DEFAULT) -> ClipLibrary:
    """Return the utterances of LibriSpeech (Panayotov et al., ICASSP 2015): ``train-clean-100/103/1240/*.flac``.

    - Category: the speaker, ``103``. Name: that of the file, ``103-1240-0000``.
    - Split: that of the subset: train-… in train, dev-… in val, test-… in test; speakers are disjoint. Where
      ``SPEAKERS.TXT`` is there, folders have to agree with it.

    Args:
        path: The folder of the subsets (``LibriSpeech``), of which not all need be there, or that above it.
        rate: Sample rate to which all clips are brought [Hz].
        reading: How recordings become clips.

    Raises:
        SoundError: The folder has another layout or disagrees with SPEAKERS.TXT, a speaker is in two splits, or files
            cannot be used.
    """
    expected = (
        "train-clean-100/<speaker>/<chapter>/<speaker>-<chapter>-<number>.flac, the published layout of LibriSpeech"
    )
    root, files = _files_below(path, expected)
    splits: dict[str, Split] = {"train": "train", "dev": "val", "test": "test"}
    recordings, subsets = [], {}
    for file in files:
        matched = (
            re.fullmatch(r"(train|dev|test)-(clean|other)(-\d+)?", file.parts[-4]) if len(file.parts) > 3 else None
        )
        if matched is None:
            continue
        speaker, subset, split = file.parts[-3], matched[0], splits[matched[1]]
        if splits[subsets.setdefault(speaker, subset).split("-")[0]] != split:
            raise SoundError(
                f"{str(root)!r}: speaker {speaker} is in {subsets[speaker]} and in {subset}; "
                "expected disjoint speakers."
            )
        recordings.append(_Recording(root / file, file.stem, speaker, split))
    if not recordings:
        raise _wrong_layout(root, files, expected)
    table = next((t for t in (*root.glob("SPEAKERS.TXT"), *root.glob("*/SPEAKERS.TXT"))), None)
    if table is not None:
        table_subsets = _librispeech_speakers(table)
        for speaker, subset in subsets.items():
            if table_subsets.get(speaker) != subset:
                raise SoundError(
                    f"{str(root)!r}: speaker {speaker} is in {subset}, but SPEAKERS.TXT has "
                    f"{table_subsets.get(speaker, 'no such speaker')}. Extract the data set again."
                )
    return _library(root, recordings, rate, reading)


def aaviss(path: str | Path, rate: int = 16000, *, reading: ClipReading = _DEFAULT) -> ClipLibrary:
    """Return the sounds of active audio-visual separation (Majumder et al., ICCV 2021 and ECCV 2022).

    The folder ``VoxCelebV1TenClasses_MITMusic_ESC50`` or ``libriSpeech100Classes_MITMusic_ESC50/min20s_clips`` of
    its data holds ``train_preprocessed``, ``val_preprocessed``, ``testUnheard_preprocessed`` and so on, with files
    ``<class>_<…>.wav``.

    - Category: the class, a speaker, ``music`` or ``esc``. Name: ``train_preprocessed/<class>_<…>``.
    - Split: that with which the folder's name begins. Classes are the same in all splits: what is unheard is the clip.

    Args:
        path: That folder.
        rate: Sample rate to which all clips are brought [Hz].
        reading: How recordings become clips.

    Raises:
        SoundError: The folder has another layout, or files cannot be used.
    """
    expected = "train_preprocessed/<class>_<…>.wav, the layout of the sounds of Move2Hear"
    root, files = _files_below(path, expected)
    splits: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}
    recordings = []
    for file in files:
        matched = re.match(r"(train|val|test)", file.parts[0]) if len(file.parts) == 2 else None
        kind, _, rest = file.stem.partition("_")
        if matched is None or not rest:
            raise _wrong_layout(root, [file, *(f for f in files if f != file)], expected)
        recordings.append(_Recording(root / file, file.with_suffix("").as_posix(), kind, splits[matched[1]]))
    return _library(root, recordings, rate, reading)


def _library(root: Path, recordings: list[_Recording], rate: int, reading: ClipReading) -> ClipLibrary:
    """Return the library of recordings whose headers are good."""
    wrong: dict[Path, str] = {}
    for recording in recordings if reading.check else ():
        try:
            check_recording(recording.file)
        except SoundError as error:
            wrong[recording.file] = str(error)
    if wrong and (reading.unusable == "refuse" or len(wrong) == len(recordings)):
        raise SoundError(
            f"{str(root)!r}: {len(wrong)} of {len(recordings)} recordings cannot be used. "
            f"{' '.join(list(wrong.values())[:_SHOWN])} Remove them, fetch them again, or read the folder with "
            "ClipReading(unusable='leave out')."
        )
    if wrong:
        warnings.warn(
            f"{str(root)!r}: {len(wrong)} of {len(recordings)} recordings cannot be used and are left out: "
            f"{' '.join(list(wrong.values())[:_SHOWN])}",
            HarkenWarning,
            stacklevel=3,
        )
    entries = []
    for recording in recordings:
        if recording.file not in wrong:
            entry = recording if reading.category is None else recording._replace(category=reading.category)
            make = functools.partial(
                load_clip, entry.file, rate, name=entry.name, category=entry.category, split=entry.split,
                level=reading.level,
            )  # fmt: skip
            entries.append(ClipEntry(name=entry.name, category=entry.category, split=entry.split, make=make))
    return ClipLibrary(entries, rate)


def _recordings_below(root: Path) -> list[Path]:
    """Return the files of sound in a folder, relative to it and sorted; hidden ones are passed over."""
    files, visited = [], set()
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        real, below = os.path.realpath(folder), Path(folder).relative_to(root)
        if real in visited:  # a link that leads back
            folders.clear()
            continue
        visited.add(real)
        files += [
            below / name
            for name in sorted(names)
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in _SUFFIXES
        ]
    return sorted(files)


def _files_below(path: str | Path, expected: str) -> tuple[Path, list[Path]]:
    """Return a folder and the files of sound in it."""
    root = clip_folder(path)
    files = _recordings_below(root)
    if not files:
        raise _wrong_layout(root, files, expected)
    return root, files


def _some(names: Iterable[object]) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:_SHOWN]) + (", …" if len(texts) > _SHOWN else "")


def _wrong_layout(root: Path, files: list[Path], expected: str) -> SoundError:
    """Return the error that says what a folder holds and what it should."""
    if files:
        endings = ", ".join(
            f"{count} {suffix}" for suffix, count in Counter(f.suffix for f in files).most_common(_SHOWN)
        )
        content = f"{len(files)} recordings ({endings}), such as {_some(f.as_posix() for f in files)}"
    else:
        content = f"no recording; in the folder itself: {_some(sorted(p.name for p in root.iterdir())) or 'nothing'}"
    return SoundError(
        f"{str(root)!r} holds {content}; expected {expected}. Give the folder of that data set, or read any "
        "other folder with ClipLibrary.folder."
    )


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def _text(file: Path, errors: str = "strict") -> str:
    """Return what a list or table of a data set holds.

    Raises:
        SoundError: It is not a regular file of up to `_LARGEST_LIST` bytes, or not UTF-8.
    """
    try:
        if not file.is_file():
            raise SoundError(f"{str(file)!r} is not a file. Extract the data set again.")
        if file.stat().st_size > _LARGEST_LIST:
            raise SoundError(
                f"{str(file)!r} has {file.stat().st_size} bytes; expected a list of at most {_LARGEST_LIST} bytes."
            )
        return file.read_text(encoding="utf-8-sig", errors=errors)
    except (OSError, ValueError) as error:  # ValueError covers text that is not UTF-8
        raise SoundError(f"{str(file)!r} cannot be read ({error}). Fetch it again.") from error


def _rows(table: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    """Return the rows of a table whose first line names its columns, between tabs or else commas."""
    text = _text(table)
    separator = "\t" if "\t" in text.partition("\n")[0] else ","
    try:
        lines = [[cell.strip() for cell in line] for line in csv.reader(text.splitlines(), delimiter=separator)]
    except csv.Error as error:  # a cell of more than 128 kB
        raise SoundError(f"{str(table)!r} is not a text table ({error}). Fetch it again.") from error
    lines = [line for line in lines if any(line)]
    header = lines[0] if lines else []
    if any(column not in header for column in columns):
        raise SoundError(
            f"{str(table)!r} has the columns {', '.join(header) or 'none'}; expected {', '.join(columns)} among them."
        )
    short = next((line for line in lines if len(line) < len(header)), None)
    if short is not None:
        raise SoundError(
            f"{str(table)!r} has a line of {len(short)} cells ({', '.join(short)}); expected {len(header)}."
        )
    return [dict(zip(header, line, strict=False)) for line in lines[1:]]


def _voxceleb_sets(root: Path) -> dict[str, bool]:
    """Return whether each speaker of vox1_meta.csv and vox2_meta.csv is in the test set."""
    sets = {}
    for folder in (root, root.parent):
        for table in sorted(folder.glob("vox[12]_meta.csv")):
            speaker = f"VoxCeleb{table.name[3]} ID"
            for row in _rows(table, (speaker, "Set")):
                if row["Set"] not in ("dev", "test"):
                    raise SoundError(f"{str(table)!r} has {row[speaker]} in set {row['Set']!r}; expected dev or test.")
                sets[row[speaker]] = row["Set"] == "test"
        if sets:
            return sets
    return sets


def _voxceleb_test(root: Path, file: Path, sets: dict[str, bool]) -> bool:
    """Tell whether an utterance belongs to the test set."""
    speaker = file.parts[-3]
    if speaker in sets:
        return sets[speaker]
    parts = [re.fullmatch(r"(?:vox[12]_)?(dev|test)(?:_\w+)?", part) for part in file.parts[:-3]]
    named = {part[1] for part in (*parts, re.fullmatch(r"(?:vox[12]_)?(dev|test)", root.name)) if part}
    if len(named) == 1:
        return named == {"test"}
    if speaker.startswith("id1"):
        return "id10270" <= speaker <= "id10309"
    raise SoundError(
        f"{str(root)!r}: nothing says which set speaker {speaker} of VoxCeleb 2 is in; expected vox2_meta.csv in it, "
        "or folders called dev and test above the speakers."
    )


def _music_lists(root: Path, lists: Iterable[str | Path] | None, duets: bool) -> dict[str, list[str]]:
    """Return the videos of each category in the published order."""
    if lists is None:
        kinds = ("solo", "duet") if duets else ("solo",)
        paths = [
            next(
                (p for p in (*sorted(root.glob(f"MUSIC*{w}*.json")), *sorted(root.parent.glob(f"MUSIC*{w}*.json")))),
                None,
            )
            for w in kinds
        ]
        if None in paths:
            raise SoundError(
                f"No MUSIC_{kinds[paths.index(None)]}_videos.json in {str(root)!r} or beside it; "
                "expected the published list of videos. Put it there, or give it as lists=[…]."
            )
        files = [path for path in paths if path is not None]
    else:
        files = [checked_path("A list of MUSIC", path) for path in lists]
    categories: dict[str, list[str]] = {}
    for file in files:
        try:
            videos = json.loads(_text(file))["videos"]
            for category, names in videos.items():
                if " " not in category.strip() or duets:
                    categories.setdefault(category, []).extend(str(name) for name in list(names))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, MemoryError) as error:
            raise SoundError(
                f"{str(file)!r} is not a list of MUSIC ({type(error).__name__}: {error}); "
                'expected {"videos": {"flute": [video, …], …}}.'
            ) from error
    return categories


def _librispeech_speakers(table: Path) -> dict[str, str]:
    """Return the subset of each speaker in SPEAKERS.TXT: ``14 | F | train-clean-360 | 25.03 | …``."""
    subsets = {}
    for line in _text(table, errors="replace").splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if not line.lstrip().startswith(";") and len(cells) >= 3:
            subsets[cells[0]] = cells[2]
    if not subsets:
        raise SoundError(
            f"{str(table)!r} names no speaker; expected lines such as '14 | F | train-clean-360 | 25.03 | …'."
        )
    return subsets
