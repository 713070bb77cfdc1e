"""Memory that long runs through many worlds would otherwise keep."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache

__all__ = ["release_memory"]


def release_memory() -> None:
    """Return to the system what was freed.

    The C library of Linux keeps the pieces that a dropped world leaves, and the next world's arrays do not fit into
    them: by the hundredth home of a run they were gigabytes. Elsewhere this does nothing.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    return getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
