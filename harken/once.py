"""Values that an object derives from itself once, for all threads that share it."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

__all__ = ["kept", "made_once"]

T = TypeVar("T")


class made_once(Generic[T]):
    """A method without arguments as an attribute: computed on first use and kept.

    Threads that ask at the same time wait for one computation; other objects and other attributes of the same object
    are not held up. `functools.cached_property` either computes twice (from Python 3.12 on) or holds up all objects of
    the class (before). The object needs a ``__dict__``; its ``__getstate__`` has to drop the cached values.

    Args:
        make: The method.
    """

    def __init__(self, make: Callable[[Any], T]):
        self._make, self._name, self.__doc__ = make, make.__name__, make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "made_once[T]": ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> "made_once[T] | T":
        """Return the value, computed where it is not there yet."""
        if instance is None:
            return self
        values = instance.__dict__
        # setdefault is atomic, so that all threads get the same lock. Reading the value later does not come here.
        with values.setdefault(f"_making_{self._name}", threading.RLock()):
            if self._name not in values:
                values[self._name] = self._make(instance)
            return values[self._name]


class kept(Generic[T]):
    """A method without arguments as an attribute: computed on first use and kept, for objects of a single thread.

    It is what `functools.cached_property` is from Python 3.12 on. Before, that holds a lock of the whole class while it
    computes, so that threads wait for each other's objects.

    Args:
        make: The method.
    """

    def __init__(self, make: Callable[[Any], T]):
        self._make, self._name, self.__doc__ = make, make.__name__, make.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> "kept[T]": ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> "kept[T] | T":
        """Return the value, computed where it is not there yet."""
        if instance is None:
            return self
        value = instance.__dict__[self._name] = self._make(instance)
        return value
