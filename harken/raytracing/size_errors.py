"""A shorter error where an array is assigned to a slice of another size, which makes kernels a quarter as long.

Numba 0.61 and later put both shapes into this message. The text is made in compiled code, for which Numba links most of
its string library into every kernel that assigns one array to a part of another: four times the code and ten times the
time to compile it. While kernels are compiled, the message that Numba has for other targets, without the shapes, takes
its place. Code of others that Numba compiles keeps the long one.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from numba.core.registry import cpu_target
from numba.np import arrayobj

__all__ = ["plain_size_errors"]

_ours: tuple[dict[Any, Any], dict[Any, Any]] = ({}, {})


@contextlib.contextmanager
def plain_size_errors() -> Iterator[None]:
    """Leave the sizes out of messages in what is compiled meanwhile, where this version of Numba is built that way."""
    template = _template()
    if template is None or template._overload_func is arrayobj.ol_raise_with_shape_context_generic:
        yield
        return
    theirs = template._overload_func, template._impl_cache, template._compiled_overloads
    template._overload_func = staticmethod(arrayobj.ol_raise_with_shape_context_generic)
    template._impl_cache, template._compiled_overloads = _ours
    try:
        yield
    finally:
        template._overload_func = staticmethod(theirs[0])
        template._impl_cache, template._compiled_overloads = theirs[1:]


_found: list[Any] = []


def _template() -> Any:
    """Return what makes the long message, None where there is no such thing."""
    if not _found:
        _found.append(None)
        names = "raise_with_shape_context", "ol_raise_with_shape_context_cpu", "ol_raise_with_shape_context_generic"
        if all(hasattr(arrayobj, name) for name in names):
            cpu_target.target_context.refresh()
            cpu_target.typing_context.refresh()
            long = arrayobj.ol_raise_with_shape_context_cpu
            kind: Any = cpu_target.typing_context.resolve_value_type(arrayobj.raise_with_shape_context)
            attributes = "_overload_func", "_impl_cache", "_compiled_overloads"
            for template in getattr(kind, "templates", ()):
                if getattr(template, "_overload_func", None) is long and all(hasattr(template, a) for a in attributes):
                    _found[0] = template
    return _found[0]
