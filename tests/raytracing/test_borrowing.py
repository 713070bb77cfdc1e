"""Arrays that kernels borrow."""

import sys

import numpy as np

from harken.raytracing import aligned_buffer, borrowed, kernel


@kernel
def _add(pair, out):
    (first, second), factor = pair
    out[0] = factor * (first[0] + second[1, 1])


@kernel
def _add_borrowed(pair, out):
    pair = borrowed(pair)
    _add(pair, out)


def test_borrowed_tuples_hold_the_same_arrays_and_leave_their_references_alone():
    first, second, out = np.arange(3.0), np.arange(4.0).reshape(2, 2) + 1, np.zeros(1)
    before = sys.getrefcount(first), sys.getrefcount(second)
    for _ in range(10):
        _add_borrowed(((first, second), 2.0), out)
    assert out[0] == 2.0 * (0.0 + 4.0)
    assert (sys.getrefcount(first), sys.getrefcount(second)) == before


def test_buffers_begin_on_the_boundary_that_embree_needs():
    for _ in range(5):
        assert aligned_buffer().ctypes.data % 64 == 0
