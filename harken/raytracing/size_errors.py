"""A shorter error where an array is assigned to a slice of another size, which makes kernels a quarter as long.

Numba 0.61 and later put both shapes into this message. The text is made in compiled code, for which Numba links most of
its string library into every kernel that assigns one array to a part of another: four times the code and ten times the
time to compile it. While kernels are compiled, the message that Numba has for other targets, without the shapes, takes
its place. Other code that Numba compiles keeps the long message.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

__all__ = ["plain_size_errors"]

_ours: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})


@contextlib.contextmanager
def plain_size_errors() -> Iterator[None]:
    """Leave the sizes out of messages in code compiled in this context, if this version of Numba adds them."""
    template, short = _template()
    if template is None or template._overload_func is short:
        yield
        return
    theirs = template._overload_func, template._impl_cache, template._compiled_overloads
    template._overload_func = staticmethod(short)
    template._impl_cache, template._compiled_overloads = _ours
    try:
        yield
    finally:
        template._overload_func = staticmethod(theirs[0])
        template._impl_cache, template._compiled_overloads = theirs[1:]


@functools.cache
def _template() -> tuple[Any, Any]:
    """Return the generators of the long and of the short message; None if this version of Numba has none."""
    from numba.core.registry import cpu_target
    from numba.np import arrayobj

    stub = getattr(arrayobj, "raise_with_shape_context", None)
    long = getattr(arrayobj, "ol_raise_with_shape_context_cpu", None)
    short = getattr(arrayobj, "ol_raise_with_shape_context_generic", None)
    if stub is None or long is None or short is None:
        return None, None
    target: Any = cpu_target
    target.typing_context.refresh()
    for template in getattr(target.typing_context.resolve_value_type(stub), "templates", ()):
        attributes = "_overload_func", "_impl_cache", "_compiled_overloads"
        if all(hasattr(template, name) for name in attributes) and template._overload_func is long:
            return template, short
    return None, None
