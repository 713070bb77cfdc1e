"""The threads that step many environments of one process."""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

from harken.checks import checked_count

__all__ = ["EnvThreads", "checked_threads"]


class EnvThreads:
    """A few threads, the calling one among them, that share out work on numbered environments.

    Args:
        environments: How many environments there are.
        threads: How many threads; the number of cores by default, and never more than environments.

    Attributes:
        count: How many threads there are.

    Raises:
        ConfigurationError: The number of threads is not positive.
    """

    def __init__(self, environments: int, threads: int | None = None):
        self._environments = environments
        self.count = min(checked_threads(threads), environments)
        self._pool: ThreadPoolExecutor | None = None
        self._owner = 0

    def run(self, job: Callable[[int], Any]) -> list[Any]:
        """Return ``job(number)`` of every environment; a thread that has finished takes the next.

        An error is raised once all have ended, with a note that gives the number of the environment.
        """
        results: list[Any] = [None] * self._environments
        errors: dict[int, Exception] = {}
        waiting = deque(range(self._environments))

        def work() -> None:
            while True:
                try:
                    number = waiting.popleft()
                except IndexError:
                    return
                try:
                    results[number] = job(number)
                except Exception as error:
                    errors[number] = error

        if self.count == 1:
            work()
        else:
            if self._pool is None or self._owner != os.getpid():  # threads stay behind when a process forks
                self._owner = os.getpid()
                self._pool = ThreadPoolExecutor(self.count - 1, thread_name_prefix="harken-env")
            helpers = [self._pool.submit(work) for _ in range(self.count - 1)]
            try:
                work()
            finally:
                waiting.clear()  # an interrupt here stops the other threads after their current environment
                wait(helpers)
        if errors:
            raise _noted(errors, self._environments)
        return results

    def close(self) -> None:
        """End the threads; they start again when needed."""
        if self._pool is not None and self._owner == os.getpid():
            self._pool.shutdown()
        self._pool = None

    def __getstate__(self) -> dict[str, Any]:
        """Drop the threads when pickled: they start again when needed."""
        return {**self.__dict__, "_pool": None}


def _noted(errors: dict[int, Exception], count: int) -> Exception:
    """Return the error of the first environment that failed, with a note of its number and of the others."""
    first, *others = sorted(errors)
    error = errors[first]
    error.add_note(f"This happened in environment {first} of {count}, counted from 0.")
    if others:
        error.add_note(f"Environments {others} failed too, the next with {errors[others[0]]!r}.")
    return error


def checked_threads(threads: int | None) -> int:
    """Return a number of threads; by default that of the cores that this process may use.

    Raises:
        ConfigurationError: The number is not positive.
    """
    if threads is not None:
        return checked_count("threads", threads)
    # Where the system reports them: a container has fewer than the machine.
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
