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

from harken.checks import is_angle
from harken.errors import ConfigurationError, UnknownNameError
from harken.files import read_text

__all__ = ["PRESETS", "choose_settings", "from_mapping", "load_preset", "presets_of", "to_mapping", "to_yaml"]

PRESETS: dict[str, tuple[str, ...]] = {
    "NavigationSettings": ("soundspaces1", "soundspaces2"),
    "MultiGoalSettings": ("multi-goal",),
    "DynamicSettings": ("dav-nav", "dav-nav-continuous"),
    "AdversarialSettings": ("saavn", "saavn-continuous"),
    "SemanticSettings": ("savi", "savi-distractor", "savn-ce", "savn-ce-distractor"),
    "SeparationSettings": ("near-target", "far-target", "dynamic"),
    "EchoDepthSettings": ("echo-depth",),
    "EchoExploreSettings": ("echo-explore",),
    "QuietSettings": ("quietnav",),
}
"""Names of the presets of each kind of settings: SoundSpaces 1.0's grid and 2.0's continuous space; goals that walk as
in Dav-Nav; an attacker as in SAAVN; objects that sound as in SAVi on a grid and in SAVN-CE in continuous space, each
with and without another sound; Move2Hear's two tasks and its sequel's, with sounds that change; depth from echoes as in
VisualEchoes; a robot that stays quiet, after ANAVI."""

LARGEST_FILE = 2**20
"""Largest size of a settings file [bytes]."""

T = TypeVar("T")


def presets_of(kind: type) -> tuple[str, ...]:
    """Return the names of the presets that are settings of a kind."""
    return tuple(name for parent in kind.__mro__ for name in PRESETS.get(parent.__name__, ()))


def load_preset(kind: type[T], name: str | Path) -> T:
    """Read a preset by its name, or a YAML file by its path.

    Args:
        kind: The settings' dataclass, such as `harken.tasks.NavigationSettings`.
        name: One of the kind's `PRESETS`, or the path of a file that ends in ``.yaml`` or ``.yml``.

    Raises:
        UnknownNameError: There is no such preset of this kind, or a key is unknown; the message suggests the nearest.
        ConfigurationError: The file is missing, is not YAML, or a value has the wrong type.
    """
    presets = presets_of(kind)
    if str(name) in presets:
        text = (files("harken.configs") / f"{name}.yaml").read_text(encoding="utf-8")
    elif str(name).endswith((".yaml", ".yml")):
        text = _read_file(Path(name), presets)
    else:
        raise UnknownNameError(f"preset of {kind.__name__}", name, presets)
    try:
        data = yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} is not YAML that settings can be read from: {error}.") from error
    if not isinstance(data, dict):
        raise ConfigurationError(f"{name} holds {type(data).__name__}; expected keys and values.")
    return from_mapping(kind, data)


def _read_file(path: Path, presets: tuple[str, ...]) -> str:
    if not path.is_file():
        raise ConfigurationError(f"There is no configuration file {str(path)!r}. Presets: {', '.join(presets)}.")
    return read_text(path, largest=LARGEST_FILE, error=ConfigurationError)


class _PlainLoader(yaml.SafeLoader):
    """Reads values and nothing else: no tags, no anchors that expand without end, no key twice."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.get_event()
            raise yaml.YAMLError(f"an alias (*{event.anchor}) in line {event.start_mark.line + 1}; write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.YAMLError(f"a key in line {key.start_mark.line + 1} is not text")
            if key.value in keys:
                raise yaml.YAMLError(
                    f"key {key.value!r} comes twice, the second time in line {key.start_mark.line + 1}"
                )
            keys.add(key.value)
        return super().construct_mapping(node, deep)


def choose_settings(kind: type[T], preset: str | Path | None, config: T | Mapping[str, Any] | None) -> T:
    """Return settings from a preset and the values that differ from it.

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
    return base if config is None else from_mapping(kind, config, base=base)


def from_mapping(kind: type[T], data: Mapping[str, Any], *, base: T | None = None, where: str = "") -> T:
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
    fields = {f.name: f for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    fields_by_key = {f"{name}_degrees" if is_angle(f) else name: f for name, f in fields.items()}
    values: dict[str, Any] = {}
    for key, value in data.items():
        if key not in fields_by_key:
            raise UnknownNameError("configuration key", f"{where}{key}", [f"{where}{k}" for k in fields_by_key])
        name = fields_by_key[key].name
        if dataclasses.is_dataclass(hints[name]):
            if isinstance(value, typing.cast(type, hints[name])):
                values[name] = value
                continue
            if not isinstance(value, Mapping):
                raise ConfigurationError(f"{where}{key} is {value!r}; expected keys and values.")
            inner = getattr(base, name) if base is not None else _default(fields_by_key[key])
            values[name] = from_mapping(hints[name], value, base=inner, where=f"{where}{key}.")
        else:
            values[name] = _converted(f"{where}{key}", value, hints[name], degrees=is_angle(fields_by_key[key]))
    return dataclasses.replace(base, **values) if base is not None else kind(**values)  # type: ignore[type-var]


def _default(field: dataclasses.Field) -> Any:
    """Return a field's default, so that a part of it can be changed; None if it has none."""
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not dataclasses.MISSING else None


def _converted(key: str, value: Any, hint: Any, *, degrees: bool) -> Any:
    """Return a value as its field holds it; the dataclass itself checks types and ranges."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if degrees:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigurationError(f"{key} is {value!r} ({type(value).__name__}); expected degrees.")
        return math.radians(value)
    if isinstance(value, int) and not isinstance(value, bool) and float in options and abs(value) < 2**53:
        return float(value)
    if isinstance(value, list):
        inner = typing.get_args(hint)[:1] if typing.get_origin(hint) is tuple else ()
        if inner and dataclasses.is_dataclass(inner[0]):
            return tuple(_element(f"{key}.{number}", element, inner[0]) for number, element in enumerate(value))
        return tuple(_converted(key, element, None, degrees=False) for element in value)
    return value


def _element(key: str, value: Any, kind: Any) -> Any:
    """Return one of several settings that a field holds."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{key} is {value!r}; expected keys and values.")
    return from_mapping(kind, value, where=f"{key}.")


def to_mapping(settings: Any) -> dict[str, Any]:
    """Return settings as the keys and values that `from_mapping` reads."""
    result: dict[str, Any] = {}
    for f in dataclasses.fields(settings):
        value = getattr(settings, f.name)
        if dataclasses.is_dataclass(value):
            result[f.name] = to_mapping(value)
        elif is_angle(f):
            result[f"{f.name}_degrees"] = round(math.degrees(value), 9)
        else:
            result[f.name] = list(value) if isinstance(value, tuple) else value
    return result


def to_yaml(settings: Any) -> str:
    """Return settings as YAML that `load_preset` reads."""
    return yaml.safe_dump(to_mapping(settings), sort_keys=False)
