"""The decorator for compiled code: no GIL, cached on disk, with a message to the user while it compiles."""

import atexit
import contextlib
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core import event, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher

from harken.raytracing.kernel_cache import KernelCache, cache_folder, kernel_folder, locked
from harken.raytracing.own_copies import own_copies
from harken.raytracing.size_errors import plain_size_errors

__all__ = ["Kernel", "announcer", "cache_folder", "kernel", "kernel_name", "kernels", "start_worker"]

_log = logging.getLogger("harken")

_SHORT = 2.0
"""Compilation time below which no message is shown [s]."""


class Kernel(CPUDispatcher):
    """A function compiled when it is first called, for each set of argument types; made by `kernel`."""

    def __init__(self, py_func: Callable, locals: Any = None, targetoptions: Any = None, **more: Any):
        super().__init__(py_func, locals=locals, targetoptions=targetoptions, **more)
        self._cache = KernelCache(py_func, self.targetoptions)

    @property
    def is_cached(self) -> bool:
        """Whether compiled code for it is on disk."""
        return self._cache.is_cached

    def enable_caching(self) -> None:
        """Do nothing: every kernel is cached."""

    def compile(self, sig: Any) -> Any:
        """Compile for a signature, or load the code from the cache; other processes wait for it."""
        with global_compiler_lock:
            try:
                return super().compile(sig)
            finally:
                self._cache.release()

    def get_call_template(self, args: Any, kws: Any) -> Any:
        """Compile one variant for all whole numbers that other kernels pass.

        Numba would make a separate variant for each constant, and for int32 and int64.
        """
        return super().get_call_template(tuple(map(_plain, args)), {name: _plain(arg) for name, arg in kws.items()})


def _plain(kind: Any) -> Any:
    kind = types.unliteral(kind)
    return types.int64 if kind == types.int32 else kind


def kernel(function: Callable | None = None, **options: Any) -> Any:
    """Compile a function with Numba: nopython, without the GIL, cached on disk.

    Args:
        function: The function to compile; leave it out to pass options first.
        options: More options of `numba.njit`, such as ``fastmath=True``.

    Returns:
        The compiled function, callable from Python and from other kernels.
    """
    if function is None:
        return lambda f: kernel(f, **options)
    configuration: Any = numba.config  # its members are made at run time
    if configuration.DISABLE_JIT:
        return function
    dispatcher = Kernel(function, targetoptions={"nopython": True, "nogil": True, "boundscheck": None, **options})
    if options.get("inline") != "always":  # inlined kernels are compiled as parts of others
        _kernels.append(dispatcher)
    return dispatcher


_kernels: list[Kernel] = []


def kernels() -> tuple[Kernel, ...]:
    """Return all kernels of the modules that were imported, without those that are parts of others."""
    return tuple(_kernels)


class _Announcer(event.Listener):
    """Reports compilation that takes long, so that it does not look like a hang, and starts a helper process."""

    def __init__(self) -> None:
        self.count = 0
        self.on_kernel: Callable[[str], None] | None = None
        self._stack: list[bool] = []
        self._spent, self._began = 0.0, 0.0
        self._announced = self._is_quiet = False
        self._turn = contextlib.ExitStack()
        self._bar: Any = None

    def on_start(self, event: Any) -> None:
        """Start the timer, or show the message if it has taken long already."""
        ours = isinstance(event.data.get("dispatcher"), Kernel)
        if not any(self._stack):
            self._began = time.monotonic()
        self._stack.append(ours)
        if self.on_kernel is None and any(self._stack) and self._spent + time.monotonic() - self._began > _SHORT:
            self._speak()

    def on_end(self, event: Any) -> None:
        """Count a kernel."""
        ours = self._stack.pop() if self._stack else False
        if not ours:
            return
        self.count += 1
        if self.on_kernel is not None:
            self.on_kernel(kernel_name(event.data["dispatcher"]))
        if self._bar is not None:
            self._bar.update(self.count - self._bar.n)
        if not any(self._stack):
            self._spent += time.monotonic() - self._began
            if self._bar is not None:
                self._bar.close()
                self._bar = None

    def _speaks(self) -> bool:
        """Whether this process is the one to speak: of worker processes, which compile side by side, only the first."""
        if multiprocessing.parent_process() is None:
            return True
        folder = kernel_folder()
        return folder is None or self._turn.enter_context(locked(folder / "workers.lock"))

    def _speak(self) -> None:
        if not self._announced:
            self._announced = True
            self._is_quiet = not self._speaks()
            if not self._is_quiet:
                _log.warning(
                    "Harken compiles its kernels, once per machine and version: about a minute on two cores. "
                    "`harken doctor --compile` compiles all of them at once."
                )
                _start_helper()
        if self._bar is None and not self._is_quiet:
            from tqdm import tqdm

            # Without a terminal (disable=None) only the line above is shown.
            self._bar = tqdm(desc="Compiling", unit="kernel", initial=self.count, leave=False, disable=None)


def kernel_name(dispatcher: Kernel) -> str:
    """Return the name of a kernel with that of its module."""
    return f"{dispatcher.py_func.__module__}.{dispatcher.py_func.__qualname__}"


class _Trimmer(event.Listener):
    """Compiles kernels, and the functions that they call, with `plain_size_errors` and `own_copies`."""

    def __init__(self) -> None:
        self._stack: list[contextlib.ExitStack] = []

    def on_start(self, event: Any) -> None:
        """Begin with a kernel."""
        self._stack.append(contextlib.ExitStack())
        if isinstance(event.data.get("dispatcher"), Kernel):
            self._stack[-1].enter_context(plain_size_errors())
            self._stack[-1].enter_context(own_copies())

    def on_end(self, event: Any) -> None:
        """End with it."""
        if self._stack:
            self._stack.pop().close()


announcer = _Announcer()
"""Notified of every kernel that is compiled; if `on_kernel` is set, only that function is called."""
event.register("numba:compile", announcer)
event.register("numba:compile", _Trimmer())


def _start_helper() -> None:
    """Start a process that compiles kernels that this one will need later, if a core is free for it.

    Both go through the same kernels from opposite ends, and each waits for kernels that the other is compiling. The
    helper ends with this process. HARKEN_HELPER=0 in the environment keeps it from being started.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    python = sys.executable or ""
    if cores < 2 or os.environ.get("HARKEN_HELPER") == "0" or not Path(python).name.lower().startswith("python"):
        return
    try:
        helper = start_worker(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:  # the helper is optional
        return
    atexit.register(_end, helper, os.getpid())


def start_worker(*parts: str, **streams: Any) -> subprocess.Popen:
    """Start a process that compiles parts of `harken.compiling`, by default a helper's, and that ends with this one."""
    path = os.pathsep.join(folder for folder in sys.path if folder)
    return subprocess.Popen(
        [sys.executable, "-m", "harken.compiling", *parts],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "HARKEN_HELPER": "0"},
        **streams,
    )


def _end(helper: subprocess.Popen, owner: int) -> None:
    if os.getpid() == owner:  # and not a forked child
        helper.terminate()
        helper.wait()
