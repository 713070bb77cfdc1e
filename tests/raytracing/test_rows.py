"""Rows of memory in kernels."""

import numpy as np
import pytest

from harken.raytracing import kernel
from harken.raytracing.rows import prefetch, row_adder

add = row_adder(28)


@kernel
def add_rows(target, rows, weights, source, others):
    for n in range(len(rows)):
        prefetch(target, rows[n], 0)
        add(target, rows[n], weights[n], source, others[n])


@pytest.mark.parametrize("columns", [28, 31])
def test_multiples_of_rows_are_added_and_nothing_beside_them_changes(columns):
    rng = np.random.default_rng(0)
    target = rng.random((9, columns), np.float32)
    source, weights = rng.random((4, 30), np.float32), rng.random(20, np.float32)
    rows, others = rng.integers(9, size=20), rng.integers(4, size=20)
    expected = target.astype(np.float64)
    for row, weight, other in zip(rows, weights, others, strict=True):
        expected[row, :28] += np.float64(weight) * source[other, :28]
    add_rows(target, rows, weights, source, others)
    np.testing.assert_allclose(target, expected, rtol=1e-5)
    np.testing.assert_array_equal(target[:, 28:], expected[:, 28:])
