"""Arrays without reference counts, for the innermost loops of kernels.

Numba counts a reference to every array that it passes to another kernel, with two atomic operations per array and call:
half of the time of tracing a ray. Arrays that a Python caller holds need no counting.
"""

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from harken.raytracing.kernels import ray_buffer

__all__ = ["aligned_buffer", "borrowed"]


def _without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """Return a value whose arrays, at any depth of tuples, have no reference count."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        parts: Any = kind
        for i, part in enumerate(parts):
            changed = _without_owner(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, changed, i)
    return value


def _borrow(typing: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _without_owner(context, builder, signature.args[0], arguments[0])

    return value(value), generate


borrowed: Any = intrinsic(_borrow)
"""``borrowed(value)`` returns, inside a kernel, the same arrays (one, or tuples of them) without reference counts.

Only for arguments: the caller, in Python or another kernel, holds them until the kernel returns. An array made inside
the kernel would be freed after its last use under its own name, and nothing borrowed may be returned."""


def aligned_buffer(words: int = 32) -> np.ndarray:
    """Return what `ray_buffer` returns inside kernels: scratch for one ray, for a kernel that borrows it."""
    return ray_buffer.py_func(words)
