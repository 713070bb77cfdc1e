"""A bounded cache: the least recently used value is dropped first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["RecentlyUsed"]

V = TypeVar("V")


class RecentlyUsed(Generic[V]):
    """Values by key, as many as a limit allows. Threads may share it: a value is computed once.

    Args:
        limit: Greatest total weight of all values; the latest value is kept even if it exceeds the limit alone.
        weigh: Returns the weight of a value; 1 by default.
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
        """Return the value of a key, computed by `make` if it is missing; other keys can be read meanwhile."""
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
