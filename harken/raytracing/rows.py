"""Rows of memory in kernels: asked for before they are needed, and added to with the processor's vectors.

Numba unrolls loops of constant length before LLVM could turn them into vectors, so such sums are written here.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["prefetch", "row_adder"]

_WRITE, _NEAREST, _DATA = 1, 3, 1  # arguments of llvm.prefetch: to be written, into the first cache, no instruction


def _place(context: Any, builder: Any, kind: Any, array: Any, row: Any, column: Any) -> Any:
    """Return the address of one number of an array ``(rows, columns)``."""
    data = context.make_array(kind)(context, builder, array)
    return cgutils.get_item_pointer(context, builder, kind, data, [row, column])


def _prefetch(typing: Any, array: Any, row: Any, column: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _place(context, builder, signature.args[0], *arguments)
        byte, number = cgutils.voidptr_t, cgutils.int32_t
        kinds = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kinds, "llvm.prefetch.p0i8")
        options = [number(_WRITE), number(_NEAREST), number(_DATA)]
        builder.call(function, [builder.bitcast(place, byte), *options])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), generate


prefetch: Any = intrinsic(_prefetch)
"""``prefetch(array, row, column)``, inside a kernel, brings one place of an array ``(rows, columns)`` into the cache.

It expects that the place will be written to, changes no result, and returns at once."""


def row_adder(length: int) -> Any:
    """Return ``add(target, row, weight, source, other)`` for kernels, which adds a multiple of a row to another.

    Both are rows ``target[row]`` and ``source[other]`` of C-contiguous float32 arrays ``(rows, columns)`` of at least
    `length` columns, of which the first `length` count; `weight` is a float32.
    """

    def add(typing: Any, target: Any, row: Any, weight: Any, source: Any, other: Any) -> Any:
        for kind in (target, source):
            if not isinstance(kind, types.Array) or kind.dtype != types.float32 or kind.ndim != 2 or kind.layout != "C":
                return None

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            to, row_to, factor, source, row_from = arguments
            vector = ir.VectorType(ir.FloatType(), length)
            single = ir.VectorType(ir.FloatType(), 1)
            index = ir.VectorType(ir.IntType(32), length)
            zero = cgutils.intp_t(0)
            into = builder.bitcast(_place(context, builder, target, to, row_to, zero), vector.as_pointer())
            start = _place(context, builder, signature.args[3], source, row_from, zero)
            added = builder.load(builder.bitcast(start, vector.as_pointer()), align=4)
            one = builder.insert_element(ir.Constant(single, ir.Undefined), factor, cgutils.int32_t(0))
            factors = builder.shuffle_vector(one, ir.Constant(single, ir.Undefined), ir.Constant(index, [0] * length))
            product = builder.fmul(added, factors, flags=["contract"])
            builder.store(builder.fadd(builder.load(into, align=4), product, flags=["contract"]), into, align=4)
            return context.get_dummy_value()

        return types.void(target, types.intp, types.float32, source, types.intp), generate

    return intrinsic(add)
