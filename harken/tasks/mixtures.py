"""Which sounds are mixed in active separation: clips by class, and the classes that may be targets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from harken.errors import ConfigurationError, SoundError, UnknownNameError
from harken.sound import Clip, ClipLibrary
from harken.sound.synthesis.speech_and_music import KINDS

__all__ = ["MixtureSounds", "MixtureSplit"]

MixtureSplit = Literal["heard", "unheard"]
"""Whether clips are those of split train, or those kept apart for the current split."""


class MixtureSounds:
    """The clips of one environment, by class.

    Args:
        sounds: "heard", clips of split train, or "unheard", those kept apart for `split`.
        split: "train", "val" or "test".
        library: What can sound, or a folder of it; `ClipLibrary.speech_and_music` if None.
        targets: Classes that may be targets; talkers and instruments of the built-in library, all of another one.
        rate: Sampling rate [Hz].
        seconds: Length of the built-in clips [s].

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A class is listed twice, or no class is listed.
        SoundError: The library has another rate, or too few classes.
    """

    def __init__(
        self,
        sounds: MixtureSplit,
        split: str,
        *,
        library: ClipLibrary | str | Path | None,
        targets: Sequence[str] | None,
        rate: int,
        seconds: float,
    ):
        if sounds not in get_args(MixtureSplit):
            raise UnknownNameError("sounds", sounds, get_args(MixtureSplit))
        self.library = _library(library, rate, seconds)
        self.names = _names(self.library, "train" if sounds == "heard" else split)
        self.targets = _targets(targets, self.names, builtin=library is None)

    def clip(self, name: str) -> Clip:
        """Return a clip by name."""
        return self.library.clip(name)

    def check_target(self, target: str, episode: str) -> None:
        """Raise an error if a class cannot be the target.

        Args:
            target: The class.
            episode: Name of the episode, for the message.
        """
        if target not in self.targets:
            raise UnknownNameError(f"target of episode {episode!r}", target, self.targets)


def _library(library: ClipLibrary | str | Path | None, rate: int, seconds: float) -> ClipLibrary:
    if library is None:
        return ClipLibrary.speech_and_music(rate, seconds=seconds)
    if isinstance(library, str | Path):
        return ClipLibrary.folder(library, rate)
    if not isinstance(library, ClipLibrary):
        raise ConfigurationError(f"library is {library!r}; expected a ClipLibrary, the path of a folder, or None.")
    if library.rate != rate:
        raise SoundError(
            f"The library has {library.rate} Hz and the simulator {rate} Hz; expected the same. Make the library with "
            f"rate={rate}, or set config={{'acoustics': {{'rate': {library.rate}}}}}."
        )
    return library


def _names(library: ClipLibrary, split: str) -> dict[str, tuple[str, ...]]:
    """Return the names of clips by class, of one split; of all where there are no splits."""
    clips = tuple(library) if library.splits == ("all",) else library.names(split, shared=True)
    groups: dict[str, list[str]] = {}
    for name in clips:
        groups.setdefault(library.entry(name).category, []).append(name)
    if len(groups) < 2:
        raise SoundError(
            f"The library has clips of one class, {next(iter(groups))!r}; expected two or more, because the target is "
            "distinguished from the others by its class."
        )
    return {category: tuple(names) for category, names in sorted(groups.items())}


def _targets(choice: Sequence[str] | None, names: Mapping[str, Sequence[str]], *, builtin: bool) -> tuple[str, ...]:
    if choice is None:
        return tuple(name for name in names if not builtin or name not in KINDS["background"])
    targets = (choice,) if isinstance(choice, str) else tuple(choice)
    for name in targets:
        if name not in names:
            raise UnknownNameError("target", name, names)
    if not targets or len(set(targets)) != len(targets):
        raise ConfigurationError(f"targets are {targets}; expected at least one class, each once.")
    return targets
