"""Harken: an embodied audio-visual simulator. Agents that see and hear, on a laptop's CPU.

Importing it registers the environments with Gymnasium and loads nothing heavy; `Scene`, `Simulator` and `World` are
loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

from harken.errors import HarkenError, HarkenWarning
from harken.registration import register_environments

if TYPE_CHECKING:
    from harken.scene import Scene, generate_home
    from harken.sim import Simulator, World

__version__ = "0.1.0"

__all__ = ["HarkenError", "HarkenWarning", "Scene", "Simulator", "World", "generate_home"]

_LAZY = {"Scene": "harken.scene", "generate_home": "harken.scene", "Simulator": "harken.sim", "World": "harken.sim"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'harken' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)


register_environments()
