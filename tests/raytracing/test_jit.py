import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import numba
import numpy as np
import pytest

from harken.raytracing import jit, kernel
from harken.raytracing.jit import kernels, start_worker


@pytest.fixture(autouse=True)
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HARKEN_CACHE", str(tmp_path))
    monkeypatch.setenv("HARKEN_HELPER", "0")


def assign(target, source):
    target[:] = source
    return target.sum()


def test_kernels_are_compiled_without_the_text_of_shapes_and_code_of_others_with_it():
    ours, theirs = kernel(assign), numba.njit(assign)
    for compiled in (ours, theirs):
        assert compiled(np.zeros(3), np.ones(3)) == 3.0
        with pytest.raises(ValueError, match="cannot assign slice"):
            compiled(np.zeros(3), np.ones(4))
    lengths = [len(next(iter(compiled.inspect_llvm().values()))) for compiled in (ours, theirs)]
    assert lengths[0] <= lengths[1]
    if tuple(map(int, numba.__version__.split(".")[:2])) >= (0, 68):
        assert lengths[0] < 0.6 * lengths[1], "this version of Numba builds the message another way"


@kernel
def _half(x):
    return 0.5 * x


@kernel
def _whole(numbers):
    return _half(numbers[0]) + _half(1) + _half(np.int64(2)) + _half(x=3)


def test_one_variant_serves_all_whole_numbers_that_kernels_pass():
    assert _whole(np.array([4], np.int32)) == 5.0
    assert _half.signatures == [(numba.int64,)]


def test_kernels_are_known_but_for_those_that_are_parts_of_others():
    part = kernel(inline="always")(lambda x: x + 1)
    assert _half in kernels() and part not in kernels()


class Compiling:
    """What Numba says of a kernel that is being compiled."""

    data = {"dispatcher": _half}  # noqa: RUF012


def test_compiling_for_long_is_said_once(monkeypatch, caplog):
    announcer = jit._Announcer()
    announcer.on_start(Compiling)
    announcer.on_end(Compiling)
    assert caplog.messages == []
    monkeypatch.setattr(jit, "_SHORT", -1.0)
    for _ in range(3):
        announcer.on_start(Compiling)
        announcer.on_end(Compiling)
    assert [message for message in caplog.messages if "harken doctor --compile" in message] == caplog.messages[:1]
    assert len(caplog.messages) == 1 and announcer.count == 4


def _speaks(barrier) -> bool:
    announcer = jit._Announcer()
    speaks = announcer._speaks()
    barrier.wait(60)
    return speaks


def test_of_worker_processes_that_compile_side_by_side_one_speaks():
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(2, mp_context=context) as pool:
        barrier = manager.Barrier(2)
        assert sorted(pool.map(_speaks, [barrier] * 2)) == [False, True]


def test_a_process_that_compiles_ends_with_its_parent():
    worker = start_worker("paths")
    assert worker.stdin is not None
    worker.stdin.close()
    assert worker.wait(timeout=120) != 0
