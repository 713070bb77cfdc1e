"""Stand-ins for habitat-sim, magnum and corrade, with which habitat-lab can be imported where they are not installed.

habitat-lab 0.3 imports the three packages with its first line, derives classes from theirs and names their types in
annotations, though its navigation tasks call nothing of them when another simulator is chosen. habitat-sim has no wheel
on PyPI: it is built from source or comes from conda. A stand-in module has every name; behind each is a class, which
may be derived from, compared with and instantiated. Whatever else is done with an instance raises
`MissingDependencyError`, so that a task that does need habitat-sim says so and does not compute something wrong.

The exception is the rotation of a camera: habitat-lab's actions that look up and down describe it as a
``magnum.Quaternion``, so that class is a working one.
"""

import importlib.abc
import importlib.machinery
import math
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from harken.errors import MissingDependencyError

__all__ = ["PACKAGES", "Quaternion", "install_stand_ins"]

PACKAGES: tuple[str, ...] = ("habitat_sim", "magnum", "corrade")
"""The packages that habitat-lab imports and PyPI does not have."""


def install_stand_ins() -> tuple[str, ...]:
    """Let imports of those of `PACKAGES` that are not installed give stand-ins, in this process.

    Returns:
        The packages that have stand-ins now, by this call or an earlier one.
    """
    present = next((finder for finder in sys.meta_path if isinstance(finder, _Finder)), None)
    absent = tuple(name for name in PACKAGES if present is None and find_spec(name) is None)
    if absent:
        present = _Finder(absent)
        sys.meta_path.append(present)
    return () if present is None else present.packages


class Quaternion:
    """A rotation, with as much of ``magnum.Quaternion`` as turning a camera takes."""

    def __init__(self, vector: Sequence[float], scalar: float):
        self.vector, self.scalar = tuple(vector), float(scalar)

    @staticmethod
    def rotation(angle: float, axis: Sequence[float]) -> "Quaternion":
        """Return the rotation by an angle [rad] about a unit vector ``(3,)``."""
        return Quaternion([math.sin(angle / 2) * part for part in axis], math.cos(angle / 2))


_WORKING: dict[str, Any] = {
    "magnum.Quaternion": Quaternion,
    "magnum.Deg": math.radians,
    "magnum.Rad": float,
    "magnum.Vector3.x_axis": lambda: (1.0, 0.0, 0.0),
}


class _AnyName(type):
    """A class whose attributes exist, whatever their names."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _stand_in(f"{cls.__module__}.{cls.__qualname__}.{name}")

    def __or__(cls, other: Any) -> Any:
        return Any

    __ror__ = __or__

    def __getitem__(cls, key: Any) -> Any:
        return cls


class _StandIn(metaclass=_AnyName):
    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        kind = type(self)
        package = kind.__module__.partition(".")[0]
        raise MissingDependencyError(
            f"{kind.__module__}.{kind.__qualname__} was asked for {name!r}, but {package} is not installed: a stand-in "
            "takes its place. Use a task that runs on Harken alone (PointNav, ObjectNav, ImageNav), or install it."
        )


def _stand_in(name: str) -> Any:
    if name in _WORKING:
        return _WORKING[name]
    module, _, own = name.rpartition(".")
    if own.endswith("Error"):  # so that it can stand in an except clause
        return type(own, (Exception,), {"__module__": module})
    return _AnyName(own, (_StandIn,), {"__module__": module})


class _Module(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _stand_in(f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the stand-ins; it is asked last, so that a real package is found before."""

    def __init__(self, packages: tuple[str, ...]):
        self.packages = packages

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] in self.packages:
            return importlib.machinery.ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to execute."""
