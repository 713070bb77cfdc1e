"""Kernels that run their own copies of the functions that they call, so that they give the same bytes in every process.

Numba copies the functions that a kernel calls into its code, where the optimiser may round in another order, and leaves
them visible to the whole process. Where such a function is compiled in the same process as well, the linker takes that
one instead: a kernel gave other last bits in the process that compiled it than in later ones, which read it from disk.
While kernels are compiled, the copies are made private; what is not called then falls away too.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["own_copies"]

_ours = threading.local()


@contextlib.contextmanager
def own_copies() -> Iterator[None]:
    """Make the copies of called functions private in what this thread compiles meanwhile."""
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
                    function.linkage = "internal"
        optimise(self)

    optimise_private.makes_copies_private = True  # type: ignore[attr-defined]
    library._optimize_final_module = optimise_private
