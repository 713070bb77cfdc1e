"""Digest of all that a kernel depends on: its own code, the kernels that it calls, and the constants that it reads.

Compiled code on disk is named by this digest. An edit recompiles only the kernels that it changes and those that call
them; comments, moved lines and other functions of the module do not matter.
"""

import enum
import hashlib
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numba.core import types as numba_types

__all__ = ["fingerprint", "type_text"]

_LIBRARIES = ("numpy", "numba", "llvmlite", "math", "cmath", "builtins", "operator")
"""Modules identified by their version, which is part of every digest."""


def fingerprint(function: Callable, options: dict[str, Any]) -> str:
    """Return the digest of a kernel's code and of everything that the code refers to.

    Args:
        function: The function that is compiled.
        options: The options that it is compiled with.

    Returns:
        A SHA-256 digest, hexadecimal. It is the same in every process with the same sources and version of Python.
    """
    parts: dict[int, tuple[str, str]] = {}
    waiting: list[Any] = [(function, options)]
    while waiting:
        item = waiting.pop()
        number = id(item if isinstance(item, types.ModuleType) else item[0])
        if number not in parts:
            name, content, referred = _part(item)
            parts[number] = name, content
            waiting += referred
    digest = hashlib.sha256()
    for name, content in sorted(parts.values()):
        digest.update(f"{len(name)} {name} {len(content)} {content}".encode())
    return digest.hexdigest()


_parts: dict[Any, tuple[str, str, list[Any]]] = {}


def _part(item: Any) -> tuple[str, str, list[Any]]:
    """Return the name and the own content of a kernel's function or of a module, and what it refers to."""
    text: list[str] = []
    if isinstance(item, types.ModuleType):
        if item not in _parts:
            referred = list(_describe_module(item, text))
            _parts[item] = item.__name__, "\n".join(text), referred
        return _parts[item]
    function, options = item
    if function not in _parts:
        referred = list(_describe(function, options, text))
        _parts[function] = _function_name(function), "\n".join(text), referred
    return _parts[function]


def type_text(kind: Any) -> str:
    """Return a Numba type as text with everything that compiled code depends on, including the fields of tuples.

    Args:
        kind: A type of Numba, or several in a tuple.
    """
    if isinstance(kind, tuple):
        return f"({', '.join(map(type_text, kind))})"
    parts = getattr(kind, "types", ())
    if isinstance(kind, numba_types.BaseNamedTuple):
        tuple_type: Any = kind
        return f"{tuple_type.instance_class.__qualname__}{tuple_type.fields!r}{type_text(tuple(parts))}"
    if isinstance(kind, numba_types.BaseTuple):
        return f"tuple{type_text(tuple(parts))}"
    if isinstance(kind, numba_types.Dispatcher):  # a kernel given as an argument
        return f"kernel {fingerprint(kind.dispatcher.py_func, kind.dispatcher.targetoptions)}"
    return str(kind)


def _function_name(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _describe(function: Any, options: dict[str, Any], text: list[str]) -> Iterator[Any]:
    """Write down a function's own part, and yield the kernels and modules that it refers to."""
    text += [f"{key}={_sorted(options[key])!r}" for key in sorted(options)]
    referred: dict[str, Any] = {}
    for code in _codes(function.__code__):
        text.append(_code_text(code))
        for name in code.co_names:
            if name in function.__globals__:
                referred[name] = function.__globals__[name]
    closure = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    referred |= {name: cell.cell_contents for name, cell in closure.items()}
    referred["defaults"] = function.__defaults__ or ()
    referred["keyword defaults"] = tuple(sorted((function.__kwdefaults__ or {}).items()))
    for name, value in sorted(referred.items()):
        for part in _attributes(name, value, function.__code__):
            yield from _describe_value(*part, sys.modules.get(function.__module__), text)


def _attributes(name: str, value: Any, code: types.CodeType) -> Iterator[tuple[str, Any]]:
    """Yield a value; of a module, what the code may read from it."""
    if not isinstance(value, types.ModuleType):
        yield name, value
    elif value.__name__.partition(".")[0] not in _LIBRARIES:
        names = {attribute for part in _codes(code) for attribute in part.co_names}
        for attribute in sorted(names & vars(value).keys()):
            yield from _attributes(f"{name}.{attribute}", getattr(value, attribute), code)


def _describe_value(name: str, value: Any, home: types.ModuleType | None, text: list[str]) -> Iterator[Any]:
    module = str(getattr(value, "__module__", "") or type(value).__module__)
    if hasattr(value, "py_func"):
        text.append(f"{name}: kernel {_function_name(value.py_func)}")
        yield value.py_func, value.targetoptions
    elif isinstance(value, enum.Enum):
        text.append(f"{name}: {type(value).__qualname__} {value.value!r}")
    elif value is None or isinstance(value, bool | int | float | complex | str | bytes | np.generic):
        text.append(f"{name}: {type(value).__name__} {value!r}")
    elif isinstance(value, np.ndarray):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        text.append(f"{name}: array {value.dtype} {value.shape} {value.flags.writeable} {content}")
    elif isinstance(value, tuple | list | set | frozenset):
        text.append(f"{name}: {type(value).__name__} of {len(value)}")
        for i, part in enumerate(_sorted(value)):
            yield from _describe_value(f"{name}[{i}]", part, home, text)
    elif isinstance(value, numba_types.ExternalFunction):
        text.append(f"{name}: {value.symbol} {value.sig}")
    elif isinstance(value, type):
        members = [(member.name, member.value) for member in value] if issubclass(value, enum.Enum) else ()
        text.append(f"{name}: {module}.{value.__qualname__} {getattr(value, '_fields', ())!r} {members!r}")
    elif module.partition(".")[0] in _LIBRARIES:
        text.append(f"{name}: {module}.{getattr(value, '__qualname__', type(value).__qualname__)}")
    elif isinstance(value, types.FunctionType):
        # A plain function that a kernel calls stands for implementations that its module registers with Numba.
        text.append(f"{name}: {module}.{value.__qualname__}")
        yield from filter(None, [sys.modules.get(module)])
    else:  # not used by Harken's kernels; the source of the module that defines it is the closest substitute
        text.append(f"{name}: {module}.{type(value).__qualname__}")
        yield from filter(None, [home])


def _describe_module(module: types.ModuleType, text: list[str]) -> Iterator[Any]:
    """Write down a module's source, and yield the kernels and the modules of functions that it refers to."""
    try:
        text.append(inspect.getsource(module))
    except (OSError, TypeError):  # a module without a file
        text.append(module.__name__)
    for _, value in sorted(vars(module).items()):
        if hasattr(value, "py_func") and hasattr(value, "targetoptions"):
            yield value.py_func, value.targetoptions


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code object and those of the functions and comprehensions in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _code_text(code: types.CodeType) -> str:
    """Return the content of a code object, without its location in the source."""
    constants = [_sorted(constant) for constant in code.co_consts if not isinstance(constant, types.CodeType)]
    if code.co_consts and isinstance(code.co_consts[0], str) and code.co_flags & inspect.CO_NESTED == 0:
        constants = constants[1:]  # the docstring
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    counts = code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags
    return f"{code.co_code.hex()} {constants!r} {names!r} {counts!r}"


def _sorted(value: Any) -> Any:
    """Return sets as sorted lists: their order differs from process to process."""
    return sorted(value, key=repr) if isinstance(value, set | frozenset) else value
