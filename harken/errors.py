"""Errors and warnings of Harken: each says what was given, what was expected and what to do."""

import difflib
from collections.abc import Iterable

__all__ = [
    "ActionError",
    "CacheError",
    "ConfigurationError",
    "DataSetError",
    "EpisodeError",
    "FileError",
    "HarkenError",
    "HarkenWarning",
    "MissingDependencyError",
    "NavigationError",
    "SceneError",
    "SoundError",
    "StateError",
    "UnknownNameError",
    "did_you_mean",
]


class HarkenError(Exception):
    """Base of every error that Harken raises on purpose."""


class SceneError(HarkenError):
    """A scene file or a set of triangles cannot be used."""


class NavigationError(HarkenError):
    """There is no floor to walk on, or no way between two points."""


class SoundError(HarkenError):
    """A recording or a clip library cannot be used."""


class EpisodeError(HarkenError):
    """An episode cannot be sampled, read or started."""


class DataSetError(HarkenError):
    """A data set cannot be rendered, continued, verified or read."""


class ConfigurationError(HarkenError, ValueError):
    """A setting has a value that it cannot have."""


class UnknownNameError(ConfigurationError):
    """A name (preset, split, sensor, key, category…) does not exist; the message suggests the nearest that does."""

    def __init__(self, kind: str, name: object, choices: Iterable[object]):
        names = [str(choice) for choice in choices]
        super().__init__(
            f"Unknown {kind} {str(name)!r}.{did_you_mean(str(name), names)} Known: {', '.join(names) or 'none'}."
        )
        self.kind, self.name, self.choices = kind, str(name), tuple(names)

    def __reduce__(self) -> tuple:
        """Rebuild from the three arguments, so that the error crosses process boundaries."""
        return type(self), (self.kind, self.name, self.choices)


class ActionError(HarkenError, ValueError):
    """An action lies outside the action space."""


class StateError(HarkenError, RuntimeError):
    """A call came at the wrong time: a step before reset, or the use of a closed environment."""


class CacheError(HarkenError, OSError):
    """The cache folder cannot be created or written."""


class FileError(HarkenError, OSError):
    """A file or folder cannot be written, locked or read."""


class MissingDependencyError(HarkenError, ImportError):
    """An optional package is needed; the message holds the command that installs it."""


class HarkenWarning(UserWarning):
    """Something is usable but probably not what was meant."""


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return a suggestion to put into an error message.

    Args:
        name: The name that does not exist.
        choices: The names that exist.

    Returns:
        ``" Did you mean 'name'?"``, or the empty string where nothing is near.
    """
    names = list(choices)
    folded = {choice.lower(): choice for choice in names}
    near = difflib.get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""
