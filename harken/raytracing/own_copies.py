"""Private copies of the functions that a kernel calls, so that it gives the same bytes in every process.

Numba copies the functions that a kernel calls into its code, where the optimiser may change the order of rounding, and
leaves them visible to the whole process. If such a function is also compiled in the same process, the linker uses that
one instead, so a kernel's last bits differed between the process that compiled it and later ones that read it from
disk. While kernels are compiled, the copies are therefore made private, which also removes functions that are not
called.

Their names must vanish too ("private" linkage, not "internal"): LLVM's linker at run time finds internal functions of
other kernels by name, and of those the optimiser has removed arguments, so that a user's compiled code that calls the
same function would crash.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["own_copies"]

_ours = threading.local()


@contextlib.contextmanager
def own_copies() -> Iterator[None]:
    """Make the copies of called functions private in code that this thread compiles in this context."""
    _watch()
    before, _ours.active = getattr(_ours, "active", False), True
    try:
        yield
    finally:
        _ours.active = before


def _watch() -> None:
    """Put a step before Numba's optimisation of a module, once in a process; it acts on Harken's kernels alone."""
    from llvmlite.binding import Linkage
    from numba.core.codegen import CPUCodeLibrary

    library: Any = CPUCodeLibrary
    optimise = library._optimize_final_module
    if getattr(optimise, "makes_copies_private", False):
        return

    def optimise_private(self: Any) -> None:
        if getattr(_ours, "active", False):
            for function in self._final_module.functions:
                if not function.is_declaration and function.linkage == Linkage.linkonce_odr:
                    function.linkage = "private"
        optimise(self)

    optimise_private.makes_copies_private = True  # type: ignore[attr-defined]
    library._optimize_final_module = optimise_private
