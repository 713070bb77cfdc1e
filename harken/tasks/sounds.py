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
        "unheard"
            for those kept apart for `split`; or the path of a recording or of a folder of recordings.
        split: Split of the environment.
        rate: Sampling rate [Hz].

    Raises:
        UnknownNameError: There is no such clip, category or file.
        SoundError: A recording cannot be used.
    """

    def __init__(self, sound: str, split: str, rate: int):
        self._single: Clip | None = None
        path = Path(sound).expanduser()
        if path.is_file():
            self._single = load_clip(path, rate)
            self.names: tuple[str, ...] = (self._single.name,)
            return
        is_folder = path.is_dir()
        self._library = ClipLibrary.folder(path, rate) if is_folder else ClipLibrary.builtin(rate)
        if is_folder:
            # A folder with splits of its own has them respected; one without plays everything everywhere.
            splits = self._library.splits
            self.names = self._library.names(split, shared=True) if split in splits else tuple(self._library)
        elif sound == "heard":
            self.names = self._library.names("train")
        elif sound == "unheard":
            self.names = self._library.names(split)
        elif sound in self._library:
            self.names = (sound,)
        elif sound in self._library.categories:
            self.names = self._library.names(category=sound)
        else:
            raise UnknownNameError(
                "sound", sound, ["heard", "unheard", *self._library.categories, *self._library, "or the path of a file"]
            )

    def of(self, category: str) -> tuple[str, ...]:
        """Return the names of those clips that belong to a category; none if there are none."""
        return tuple(name for name in self.names if self.category(name) == category)

    def category(self, name: str) -> str:
        """Return the category of a clip."""
        return self._single.category if self._single is not None else self._library.entry(name).category

    def clip(self, name: str) -> Clip:
        """Return a clip by name."""
        return self._single if self._single is not None else self._library.clip(name)
