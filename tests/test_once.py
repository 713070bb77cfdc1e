"""Values that are derived once."""

import threading
import time

import pytest

from harken.once import made_once


class _Slow:
    def __init__(self) -> None:
        self.made = 0

    @made_once
    def value(self) -> int:
        """A number."""
        time.sleep(0.05)
        self.made += 1
        return self.made

    @made_once
    def bad(self) -> int:
        """Never a number."""
        self.made += 1
        raise ValueError("no")


def test_threads_that_ask_at_the_same_time_get_one_value_made_once():
    slow, values = _Slow(), []
    threads = [threading.Thread(target=lambda: values.append(slow.value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert values == [1] * 8
    assert slow.made == 1


def test_one_object_does_not_hold_up_another():
    entered, leave = threading.Event(), threading.Event()

    class Waits:
        def __init__(self, waits: bool) -> None:
            self.waits = waits

        @made_once
        def value(self) -> int:
            """A number."""
            if self.waits:
                entered.set()
                assert leave.wait(10)
            return 7

    thread = threading.Thread(target=lambda: Waits(True).value)
    thread.start()
    assert entered.wait(10)
    assert Waits(False).value == 7
    leave.set()
    thread.join()


def test_what_fails_is_tried_again():
    slow = _Slow()
    for count in (1, 2):
        with pytest.raises(ValueError, match="no"):
            _ = slow.bad
        assert slow.made == count


def test_the_class_shows_the_docstring():
    assert _Slow.value.__doc__ == "A number."
