"""Packages that only rendering needs."""

import importlib
from typing import Any

from harken.errors import MissingDependencyError

__all__ = ["require"]

_EXTRAS = {"pyarrow": "render", "threadpoolctl": "render", "ray": "scale"}


def require(package: str) -> Any:
    """Import a package of the extras ``render`` or ``scale``.

    Args:
        package: A module of it.

    Returns:
        The module.

    Raises:
        MissingDependencyError: It is not installed; the message holds the command that does it.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        extra = _EXTRAS[package.partition(".")[0]]
        raise MissingDependencyError(
            f"Rendering data sets needs {package.partition('.')[0]} ({error}). "
            f'Install it with `pip install "harken[{extra}]"`.'
        ) from error
