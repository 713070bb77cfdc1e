"""The splits: one list of them for homes, sounds, episodes and data sets."""

import pytest

from harken.errors import UnknownNameError
from harken.sound import clip
from harken.splits import SPLITS, checked_split


def test_a_library_of_clips_has_one_more_split():
    assert (*SPLITS, "all") == clip.SPLITS


def test_an_unknown_split_names_those_that_exist():
    assert [checked_split(split) for split in SPLITS] == ["train", "val", "test"]
    with pytest.raises(UnknownNameError, match=r"Unknown split of homes 'tests'\. Did you mean 'test'\?"):
        checked_split("tests", "split of homes")
