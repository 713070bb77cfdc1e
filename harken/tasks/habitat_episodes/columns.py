"""Checks of one value over all episodes of a file at once: a hundred thousand take a fraction of a second.

Each function takes the values of one key, one an episode or goal. Where one of them is bad, a second, slow look finds
the first, and the message names the file and the episode.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from harken.errors import EpisodeError

__all__ = ["Rows", "numbers", "optional_numbers", "rotations", "texts"]

LONGEST_TEXT = 1_000
"""Greatest length of a name in an episode [characters]."""

FARTHEST = 1e6
"""Greatest coordinate, length or time [m, s]."""

_UNIT = 1e-2  # files keep four or more digits of a quaternion
_TILT = 2e-3  # 0.2°


class Rows:
    """The rows of a file and their names in messages.

    Args:
        rows: The objects of the file.
        where: What they are part of, to begin a message with.
        name: Returns what to call a row, by its number.
    """

    def __init__(self, rows: Sequence[dict[str, Any]], where: str, name: Callable[[int], str]):
        self.rows, self.where, self.name = rows, where, name

    def fault(self, row: int, what: str) -> EpisodeError:
        """Return the error that a row causes."""
        return EpisodeError(f"{self.where}, {self.name(row)}: {what}")

    def required(self, key: str, expected: str) -> list[Any]:
        """Return the values of a key that every row has to have.

        Raises:
            EpisodeError: A row is no object or has no such key.
        """
        try:
            return [row[key] for row in self.rows]
        except (KeyError, TypeError, IndexError):
            for number, row in enumerate(self.rows):
                if not isinstance(row, dict):
                    raise self.fault(number, f"it is {row!r:.60}; expected an object of keys and values.") from None
                if key not in row:
                    raise self.fault(number, f"the key {key!r} is missing; expected {expected}.") from None
            raise

    def optional(self, key: str) -> list[Any]:
        """Return the values of a key, None where a row has none."""
        return [row.get(key) for row in self.rows]


def texts(rows: Rows, key: str, values: list[Any], *, empty: bool = False) -> list[str]:
    """Return the values as text; whole numbers are written out, None becomes empty where that is allowed.

    Raises:
        EpisodeError: A value is something else, is empty, too long, or cannot be encoded.
    """
    if empty:
        values = ["" if value is None else value for value in values]
    if set(map(type, values)) == {str}:
        names: list[str] = values
    else:
        wrong = next((n for n, value in enumerate(values) if type(value) not in (str, int)), None)
        if wrong is not None:
            raise rows.fault(wrong, f"{key} is {values[wrong]!r:.60}; expected text.")
        names = [str(value) for value in values]
    distinct = set(names)
    for name in distinct:
        if len(name) > LONGEST_TEXT or not (name or empty) or not name.isprintable():
            raise rows.fault(
                names.index(name),
                f"{key} is {name!r:.60}; expected {'up' if empty else 'one'} to {LONGEST_TEXT} printable characters.",
            )
    return names


def numbers(rows: Rows, key: str, values: list[Any], width: int) -> np.ndarray:
    """Return ``(n, width)`` float64 of lists of finite numbers.

    Raises:
        EpisodeError: A value is no such list, or a number is NaN, infinite or out of range.
    """
    if not values:
        return np.zeros((0, width))
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        array = np.zeros(0)
    if array.shape == (len(values), width) and array.dtype.kind in "iuf" and (np.abs(array) <= FARTHEST).all():
        return array.astype(np.float64)
    for number, value in enumerate(values):
        fits = isinstance(value, list) and len(value) == width and all(type(x) in (int, float) for x in value)
        if not fits or not all(abs(x) <= FARTHEST for x in value):
            raise rows.fault(
                number,
                f"{key} is {value!r:.80}; expected {width} finite numbers. Repair the file or leave the episode out.",
            )
    raise rows.fault(0, f"{key} cannot be read as numbers.")


def optional_numbers(
    rows: Rows, key: str, values: list[Any], *, whole: bool = False, low: float = 0.0, remedy: str = ""
) -> list[Any]:
    """Return the values as they are, once each is None or a finite number from `low` on.

    Args:
        rows: The rows, for messages.
        key: The key, for messages.
        values: The values.
        whole: Whether they have to be whole numbers; what is whole becomes int, else float.
        low: Least value.
        remedy: What a value out of range means and what to do, for the message.

    Raises:
        EpisodeError: A value is something else.
    """
    kinds = set(map(type, values))
    if kinds <= {type(None)}:
        return values
    if kinds <= {int, float, type(None)}:
        given = np.array([value for value in values if value is not None], np.float64)
        if ((given >= low) & (given <= FARTHEST)).all() and not (whole and (given % 1).any()):
            as_number: Callable[[Any], Any] = int if whole else float
            return [None if value is None else as_number(value) for value in values]
    for number, value in enumerate(values):
        fits = value is None or (type(value) in (int, float) and low <= value <= FARTHEST)
        if not fits or (whole and value is not None and value % 1):
            kind = "a whole number" if whole else "a finite number"
            raise rows.fault(number, f"{key} is {value!r:.60}; expected {kind} from {low:g} on. {remedy}".rstrip())
    raise rows.fault(0, f"{key} cannot be read as numbers.")


def rotations(rows: Rows, key: str, values: list[Any]) -> np.ndarray:
    """Return ``(n, 4)`` float64 unit quaternions x, y, z, w about the vertical axis.

    Raises:
        EpisodeError: A value is no quaternion, is not of length 1, or turns about another axis.
    """
    quaternions = numbers(rows, key, values, 4)
    length = np.linalg.norm(quaternions, axis=1)
    bad = np.abs(length - 1.0) > _UNIT
    if bad.any():
        number = int(np.argmax(bad))
        raise rows.fault(
            number,
            f"{key} {values[number]} has length {length[number]:.4g}; expected a unit quaternion x, y, z, w. Normalise "
            "it or leave the episode out.",
        )
    tilted = (np.abs(quaternions[:, [0, 2]]) > _TILT).any(axis=1)
    if tilted.any():
        number = int(np.argmax(tilted))
        raise rows.fault(
            number,
            f"{key} {values[number]} turns about another axis than the vertical one; expected x and z to be 0, in the "
            "order x, y, z, w. A body stands upright: keep its heading alone.",
        )
    return quaternions
