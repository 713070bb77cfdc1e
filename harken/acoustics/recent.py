"""A bounded memory of what was computed: the least recently used is dropped first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["RecentlyUsed"]

V = TypeVar("V")


class RecentlyUsed(Generic[V]):
    """Values by key, as many as a limit allows. Threads may share it: a value is computed once.

    Args:
        limit: Most weight of all values together; the latest one is kept even if it weighs more alone.
        weigh: Returns the weight of a value; every one weighs 1 by default.
    """

    def __init__(self, limit: float, weigh: Callable[[V], float] = lambda value: 1.0):
        self.limit, self._weigh = limit, weigh
        self._values: OrderedDict[Hashable, tuple[V, float]] = OrderedDict()
        self._total = 0.0
        self._lock = threading.Lock()
        self._making: dict[Hashable, threading.Lock] = {}

    def __len__(self) -> int:
        """Number of values."""
        return len(self._values)

    def get(self, key: Hashable, make: Callable[[], V]) -> V:
        """Return the value of a key, computed by `make` where it is not known; others are served meanwhile."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key][0]
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key][0]
            value = make()
            self._keep(key, value)
            return value

    def _keep(self, key: Hashable, value: V) -> None:
        weight = self._weigh(value)
        with self._lock:
            self._making.pop(key, None)
            self._values[key] = value, weight
            self._total += weight
            while self._total > self.limit and len(self._values) > 1:
                _, (_, dropped) = self._values.popitem(last=False)
                self._total -= dropped
