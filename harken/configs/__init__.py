"""Named presets, one per published benchmark, each a YAML file that can be copied, edited and passed back.

Angles are in degrees in the files, and only there: a key ``turn_angle_degrees`` sets the field ``turn_angle`` in
radians.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml

from harken.errors import ConfigurationError, UnknownNameError

__all__ = [
    "PRESETS",
    "SEPARATION_PRESETS",
    "choose_settings",
    "from_mapping",
    "load_preset",
    "to_mapping",
    "to_yaml",
]

PRESETS: tuple[str, ...] = ("soundspaces1", "soundspaces2")
"""Names of the presets: SoundSpaces 1.0's grid and SoundSpaces 2.0's continuous space."""

SEPARATION_PRESETS: tuple[str, ...] = ("near-target", "far-target", "dynamic")
"""Names of the presets of active separation: Move2Hear's two tasks, and its sequel's with sounds that change."""

ANGLES = {"turn_angle", "field_of_view"}
"""Fields that hold radians and are written in degrees."""

T = TypeVar("T")


def load_preset(kind: type[T], name: str | Path) -> T:
    """Read a preset by its name, or a YAML file by its path.

    Args:
        kind: The settings' dataclass, such as `harken.tasks.NavigationSettings`.
        name: One of `PRESETS` or `SEPARATION_PRESETS`, or the path of a file that ends in ``.yaml`` or ``.yml``.

    Raises:
        UnknownNameError: There is no such preset, or a key is unknown; the message suggests the nearest.
        ConfigurationError: The file is missing, is not YAML, or a value has the wrong type.
    """
    known = (*PRESETS, *SEPARATION_PRESETS)
    if str(name) in known:
        text = (files("harken.configs") / f"{name}.yaml").read_text()
    elif str(name).endswith((".yaml", ".yml")):
        path = Path(name)
        if not path.is_file():
            raise ConfigurationError(f"There is no configuration file {str(path)!r}. Presets: {', '.join(known)}.")
        text = path.read_text()
    else:
        raise UnknownNameError("preset", name, known)
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{name} is not YAML: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{name} holds {type(data).__name__}; expected keys and values.")
    return from_mapping(kind, data)


def choose_settings(kind: type[T], preset: str | Path | None, config: T | Mapping[str, Any] | None) -> T:
    """Return the settings that somebody asked for by a preset and by what differs from it.

    Args:
        kind: The settings' dataclass.
        preset: As for `load_preset`; None for the dataclass's defaults.
        config: Settings, which are then taken as they are, or a mapping of those that differ from the preset.

    Raises:
        UnknownNameError: There is no such preset, or a key is unknown.
        ConfigurationError: A value has the wrong type.
    """
    if isinstance(config, kind):
        return config
    if config is not None and not isinstance(config, Mapping):
        raise ConfigurationError(f"config is {config!r}; expected {kind.__name__} or a mapping of settings.")
    base = kind() if preset is None else load_preset(kind, preset)
    return base if config is None else from_mapping(kind, dict(config), base=base)


def from_mapping(kind: type[T], data: dict[str, Any], *, base: T | None = None, where: str = "") -> T:
    """Make settings from keys and values, as YAML holds them.

    Args:
        kind: The settings' dataclass.
        data: Values by key; nested dataclasses are mappings themselves.
        base: Settings whose values stay where `data` has none; the dataclass's defaults otherwise.
        where: What to put before a key in messages.

    Raises:
        UnknownNameError: A key is unknown.
        ConfigurationError: A value has the wrong type.
    """
    hints = typing.get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    known = [f"{name}_degrees" if name in ANGLES else name for name in names]
    values: dict[str, Any] = {}
    for key, value in data.items():
        name = key.removesuffix("_degrees") if key.removesuffix("_degrees") in ANGLES else key
        if name not in names or key not in known:
            raise UnknownNameError("configuration key", f"{where}{key}", [f"{where}{k}" for k in known])
        if dataclasses.is_dataclass(hints[name]):
            if not isinstance(value, dict):
                raise ConfigurationError(f"{where}{key} is {value!r}; expected keys and values.")
            inner = getattr(base, name) if base is not None else None
            values[name] = from_mapping(hints[name], value, base=inner, where=f"{where}{key}.")
        else:
            values[name] = _checked(f"{where}{key}", value, hints[name], degrees=name in ANGLES)
    return dataclasses.replace(base, **values) if base is not None else kind(**values)  # type: ignore[type-var]


def _checked(key: str, value: Any, hint: Any, *, degrees: bool) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if typing.get_origin(hint) is typing.Literal:
        if value not in typing.get_args(hint):
            raise UnknownNameError(f"value of {key}", value, typing.get_args(hint))
        return value
    if isinstance(value, bool) and bool not in options:
        raise ConfigurationError(f"{key} is {value!r}; expected {getattr(hint, '__name__', hint)}.")
    if float in options and isinstance(value, int | float):
        return math.radians(value) if degrees else float(value)
    if not isinstance(value, tuple(o for o in options if isinstance(o, type)) or (object,)):
        raise ConfigurationError(
            f"{key} is {value!r} ({type(value).__name__}); expected {getattr(hint, '__name__', hint)}."
        )
    return value


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return settings as the keys and values that `from_mapping` reads."""
    result: dict[str, Any] = {}
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if dataclasses.is_dataclass(value):
            result[f.name] = to_mapping(value)
        elif f.name in ANGLES:
            result[f"{f.name}_degrees"] = round(math.degrees(value), 9)
        else:
            result[f.name] = value
    return result


def to_yaml(settings: Any) -> str:
    """Return settings as YAML that `load_preset` reads."""
    return yaml.safe_dump(to_mapping(settings), sort_keys=False)
