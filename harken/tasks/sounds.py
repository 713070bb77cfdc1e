"""Which sounds an environment plays: a clip, a category, the heard or unheard ones, or recordings from a folder."""

from pathlib import Path

from harken.errors import UnknownNameError
from harken.sound import ClipLibrary, load_clip
from harken.sound.clip import Clip

__all__ = ["Sounds"]


class Sounds:
    """The clips of one environment.

    Args:
        sound: "telephone" or another clip or category of the built-in library; "heard" for those of split train,
            "unheard" for those kept apart for `split`; or the path of a recording or of a folder of recordings, such as
            "./telephone" where it is called like a built-in sound.
        split: Split of the environment.
        rate: Sampling rate [Hz].

    Raises:
        UnknownNameError: There is no such clip, category or file.
        SoundError: A recording cannot be used.
    """

    def __init__(self, sound: str, split: str, rate: int):
        self._single: Clip | None = None
        self._library = ClipLibrary.builtin(rate)
        self.names: tuple[str, ...] = self._named(sound, split)
        path = Path(sound).expanduser()
        # A folder of results that is called "heard" does not change what is heard.
        if self.names:
            return
        if path.is_file():
            self._single = load_clip(path, rate)
            self.names = (self._single.name,)
        elif path.is_dir():
            self._library = ClipLibrary.folder(path, rate)
            # A folder with splits of its own has them respected; one without plays everything everywhere.
            splits = self._library.splits
            self.names = self._library.names(split, shared=True) if split in splits else tuple(self._library)
        else:
            known = ("heard", "unheard", *self._library.categories, *self._library)
            raise UnknownNameError("sound", sound, [*known, "or the path of a file"])

    def _named(self, sound: str, split: str) -> tuple[str, ...]:
        """Return the built-in clips that a name stands for; none if it is no such name."""
        if sound == "heard":
            return self._library.names("train")
        if sound == "unheard":
            return self._library.names(split)
        if sound in self._library:
            return (sound,)
        return self._library.names(category=sound) if sound in self._library.categories else ()

    def of(self, category: str) -> tuple[str, ...]:
        """Return the names of those clips that belong to a category; none if there are none."""
        return tuple(name for name in self.names if self.category(name) == category)

    def category(self, name: str) -> str:
        """Return the category of a clip."""
        return self._single.category if self._single is not None else self._library.entry(name).category

    def clip(self, name: str) -> Clip:
        """Return a clip by name."""
        return self._single if self._single is not None else self._library.clip(name)
