"""Arguments and settings: what is taken, and what is said of the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from harken import checks
from harken.errors import ConfigurationError, SceneError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class Rules:
    """Settings of every kind."""

    rate: int = 16_000
    length: float = 1.0
    loud: bool = True
    motion: Literal["grid", "continuous"] = "grid"
    rooms: tuple[int, int] = (3, 8)
    names: tuple[str, ...] = ()
    folder: str | None = None
    turn: float = checks.angle(1.0)

    def __post_init__(self) -> None:
        checks.check_settings(self, rate=(8_000, 192_000), length=(0.0, 100.0))


def test_equal_settings_are_equal_however_they_are_written():
    written = Rules(rate=np.int64(8_000), length=2, rooms=[4, 5], loud=np.True_)  # type: ignore[arg-type]
    assert written == Rules(rate=8_000, length=2.0, rooms=(4, 5))
    assert hash(written) == hash(Rules(rate=8_000, length=2.0, rooms=(4, 5)))
    assert type(written.length) is float and type(written.rate) is int and type(written.loud) is bool


@pytest.mark.parametrize(
    "wrong",
    [
        {"rate": "16000"}, {"rate": 1.5}, {"rate": True}, {"rate": 2**70}, {"rate": -1}, {"rate": None},
        {"length": float("nan")}, {"length": float("inf")}, {"length": "1"}, {"length": 10**400}, {"length": 101},
        {"loud": "yes"}, {"loud": 1}, {"motion": "Grid"}, {"motion": 0}, {"rooms": 3}, {"rooms": [1, 2, 3]},
        {"rooms": ["a", "b"]}, {"names": "abc"}, {"names": [1]}, {"folder": 3},
    ],
)  # fmt: skip
def test_wrong_types_and_ranges_name_the_setting_and_the_value(wrong):
    with pytest.raises(ConfigurationError) as caught:
        Rules(**wrong)
    assert next(iter(wrong)) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_choice_that_does_not_exist_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="Did you mean 'continuous'"):
        Rules(motion="continous")  # type: ignore[arg-type]


def test_points_paths_and_seeds():
    assert checks.checked_point("start", (1, 2.5, np.float32(3))).tolist() == [1.0, 2.5, 3.0]
    for wrong in ((1, 2), (1, 2, float("nan")), "abc", None, (1, 2, "3"), (1, 2, 10**400), [[1, 2, 3]], (True,) * 3):
        with pytest.raises(SceneError, match="start is"):
            checks.checked_point("start", wrong, error=SceneError)
    assert checks.checked_path("file", "a/b") == Path("a/b")
    for wrong in (None, b"bytes", 3, "", "a\0b"):
        with pytest.raises(ConfigurationError, match="file is"):
            checks.checked_path("file", wrong)
    assert checks.checked_seed(np.int32(7)) == 7
    for wrong in (-1, 2**70, 1.5, "1", None, True):
        with pytest.raises(ConfigurationError, match="seed is"):
            checks.checked_seed(wrong)


def test_angles_are_marked_and_wrapped():
    fields = {field.name: checks.is_angle(field) for field in Rules.__dataclass_fields__.values()}
    assert fields["turn"] and not fields["length"]
    assert checks.wrapped_angle(np.pi) == pytest.approx(np.pi)
    assert checks.wrapped_angle(-np.pi) == pytest.approx(np.pi)
    assert checks.wrapped_angle(3 * np.pi / 2) == pytest.approx(-np.pi / 2)
