"""Checks of arguments and settings: their types, their ranges, and messages that say what is wrong.

Angles are radians in code and degrees in files and on the command line; a field that holds one is made by `angle`, so
that readers and writers of settings know which fields to convert.
"""

import dataclasses
import math
import operator
import os
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.errors import ConfigurationError, HarkenError, UnknownNameError

__all__ = [
    "angle",
    "check_settings",
    "checked_count",
    "checked_number",
    "checked_path",
    "checked_point",
    "checked_seed",
    "is_angle",
    "wrapped_angle",
]

_ANGLE = {"unit": "radians", "written_in": "degrees"}


def angle(default: float) -> Any:
    """Return a dataclass field that holds an angle [rad], written in degrees in files as ``<name>_degrees``."""
    return dataclasses.field(default=default, metadata=_ANGLE)


def is_angle(field: dataclasses.Field) -> bool:
    """Whether a field was made by `angle`."""
    return field.metadata.get("written_in") == "degrees"


def wrapped_angle(value: float) -> float:
    """Bring an angle [rad] into (−π, π]."""
    return float(-((-value + math.pi) % (2 * math.pi) - math.pi))


def checked_number(
    name: str,
    value: Any,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
    unit: str = "",
    error: Callable[[str], HarkenError] = ConfigurationError,
) -> float:
    """Return a finite number as float once it lies in its range.

    Args:
        name: What to call it in the message.
        value: What was given; booleans and text do not count as numbers.
        low: Least value.
        high: Greatest value.
        above: Whether the least value itself is refused.
        unit: Its unit, for the message.
        error: Makes the error from the message.

    Raises:
        ConfigurationError: It is not a finite number, or outside its range; or what `error` makes.
    """
    numeric = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if numeric:
        try:
            number = float(value)
        except OverflowError:  # an integer beyond 1e308
            number = math.inf
        if math.isfinite(number) and low <= number <= high and not (above and number <= low):
            return number
    raise error(f"{name} is {_shown(value)}; expected {_range(low, high, above, 'a finite number', unit)}.")


def checked_count(
    name: str,
    value: Any,
    low: int = 1,
    high: int | None = None,
    *,
    unit: str = "",
    error: Callable[[str], HarkenError] = ConfigurationError,
) -> int:
    """Return a whole number as int once it lies in its range.

    Args:
        name: What to call it in the message.
        value: What was given; integers of NumPy count, booleans and 3.0 do not.
        low: Least value.
        high: Greatest value, None for no bound.
        unit: Its unit, for the message.
        error: Makes the error from the message.

    Raises:
        ConfigurationError: It is not a whole number, or outside its range; or what `error` makes.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        number = operator.index(value)
        if low <= number and (high is None or number <= high):
            return number
    raise error(
        f"{name} is {_shown(value)}; expected "
        f"{_range(low, math.inf if high is None else high, False, 'a whole number', unit)}."
    )


def checked_seed(value: Any, name: str = "seed") -> int:
    """Return a seed: a whole number from 0 to 2⁶³ − 1.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= value < 2**63:
        return operator.index(value)
    raise ConfigurationError(f"{name} is {_shown(value)}; expected a whole number from 0 to 2**63 - 1.")


def checked_point(name: str, value: Any, *, error: Callable[[str], HarkenError] = ConfigurationError) -> np.ndarray:
    """Return a place as ``(3,)`` float64, a fresh array.

    Args:
        name: What to call it in the message.
        value: Three finite numbers, x, y and z [m].
        error: Makes the error from the message.

    Raises:
        ConfigurationError: It is something else; or what `error` makes.
    """
    try:
        array = np.asarray(value)
        if array.shape == (3,) and array.dtype.kind in "iuf":
            x, y, z = array.tolist()  # comes at every step: numbers of Python are compared faster than three of NumPy's
            if math.isfinite(x) and math.isfinite(y) and math.isfinite(z):
                return array.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        pass
    raise error(f"{name} is {_shown(value)}; expected three finite numbers, x, y and z in metres.")


def checked_path(name: str, value: Any, *, error: Callable[[str], HarkenError] = ConfigurationError) -> Path:
    """Return a path.

    Raises:
        ConfigurationError: It is neither text nor a path; or what `error` makes.
    """
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str) and path and "\0" not in path:
            try:
                os.fsencode(path)
            except UnicodeEncodeError:
                raise error(
                    f"{name} is {_shown(value)}, which file names of this locale cannot hold (their encoding is "
                    f"{sys.getfilesystemencoding()}). Set a UTF-8 locale, such as LC_ALL=C.UTF-8."
                ) from None
            return Path(path).expanduser()
    raise error(f"{name} is {_shown(value)}; expected the path of a file or folder, as text or pathlib.Path.")


def check_settings(settings: Any, **bounds: tuple[float, float]) -> None:
    """Check every field of a frozen settings dataclass against its annotation, and some against ranges.

    Whole numbers are taken for floats, lists for tuples, and stored as such, so that equal settings are equal however
    they were written. Nested dataclasses check themselves.

    Args:
        settings: The instance, in its ``__post_init__``.
        bounds: Least and greatest value by the name of a field; infinite bounds mean no bound.

    Raises:
        ConfigurationError: A value has another type, is not finite, or lies outside its range.
        UnknownNameError: A value is not one of a field's choices.
    """
    hints = _hints(type(settings))
    for field in dataclasses.fields(settings):
        low, high = bounds.get(field.name, (-math.inf, math.inf))
        where = f"Setting {field.name}"
        value = _of_type(where, field.name, getattr(settings, field.name), hints[field.name], low, high)
        object.__setattr__(settings, field.name, value)


_HINTS: dict[type, dict[str, Any]] = {}


def _hints(kind: type) -> dict[str, Any]:
    if kind not in _HINTS:
        _HINTS[kind] = typing.get_type_hints(kind)
    return _HINTS[kind]


def _of_type(where: str, name: str, value: Any, hint: Any, low: float, high: float) -> Any:
    """Return a value as the type that an annotation names."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        rest = [option for option in options if option is not type(None)]
        for option in rest:
            try:
                return _of_type(where, name, value, option, low, high)
            except ConfigurationError:
                if len(rest) == 1:
                    raise
        names = " or ".join(getattr(option, "__name__", str(option)) for option in rest)
        raise ConfigurationError(f"{where} is {_shown(value)}; expected {names}.")
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        # 1 == True and 0 == False: a choice has its type too.
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise UnknownNameError(f"value of {name}", value, choices)
        return value
    if origin is tuple:
        return _of_tuple(where, name, value, typing.get_args(hint), low, high)
    if hint is bool:
        if not isinstance(value, bool | np.bool_):
            raise ConfigurationError(f"{where} is {_shown(value)}; expected true or false.")
        return bool(value)
    if hint is int:
        return checked_count(
            where, value, -(2**63) if math.isinf(low) else int(low), None if math.isinf(high) else int(high)
        )
    if hint is float:
        return checked_number(where, value, low, high)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise ConfigurationError(f"{where} is {_shown(value)}; expected {hint.__name__}.")
    return value


def _of_tuple(where: str, name: str, value: Any, parts: tuple[Any, ...], low: float, high: float) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, tuple | list):
        raise ConfigurationError(f"{where} is {_shown(value)}; expected several values, such as a list.")
    if len(parts) == 2 and parts[1] is Ellipsis:
        parts = (parts[0],) * len(value)
    if len(parts) != len(value):
        raise ConfigurationError(f"{where} has {len(value)} values, {_shown(value)}; expected {len(parts)}.")
    return tuple(_of_type(where, name, element, part, low, high) for element, part in zip(value, parts, strict=True))


def _shown(value: Any) -> str:
    """Return a value as text that fits into a message."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**20:
        return f"a whole number of {value.bit_length()} bits"  # thousands of digits cannot even be printed
    try:
        text = repr(value)
    except Exception as error:  # an object of a user's class
        text = f"{type(value).__name__} (its repr fails: {type(error).__name__})"
    return text if len(text) <= 120 else f"{text[:117]}..."


def _range(low: float, high: float, above: bool, kind: str, unit: str) -> str:
    of = f" {unit}" if unit else ""
    low, high = (-math.inf if low <= -(2**63) else low), (math.inf if high >= 2**63 else high)
    if math.isinf(low) and math.isinf(high):
        return kind + (f" of{of}" if unit else "")
    if math.isinf(high):
        return f"{kind} above {low:g}{of}" if above else f"{kind} of at least {low:g}{of}"
    if math.isinf(low):
        return f"{kind} of at most {high:g}{of}"
    return f"{kind} {'above' if above else 'from'} {low:g} {'up to' if above else 'to'} {high:g}{of}"
