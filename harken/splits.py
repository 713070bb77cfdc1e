"""The splits of homes, sounds, episodes and data sets; what is in one is in no other."""

from typing import Literal, cast, get_args

from harken.errors import UnknownNameError

__all__ = ["SPLITS", "Split", "checked_split"]

Split = Literal["train", "val", "test"]
"""Name of a split."""

SPLITS: tuple[Split, ...] = get_args(Split)
"""The splits, in the order in which they are counted."""


def checked_split(split: str, what: str = "split") -> Split:
    """Return a split once it is one of `SPLITS`.

    Args:
        split: Its name.
        what: What to call it in the message.

    Raises:
        UnknownNameError: There is no such split.
    """
    if split not in SPLITS:
        raise UnknownNameError(what, split, SPLITS)
    return cast(Split, split)
