"""Values that are derived once."""

import threading
import time

import pytest

from harken.once import kept, made_once


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


class _Kept:
    def __init__(self, wait):
        self.wait, self.made = wait, 0

    @kept
    def value(self) -> int:
        """A number."""
        self.wait()
        self.made += 1
        return self.made


def test_what_is_kept_is_made_once_for_each_object():
    one, other = _Kept(lambda: None), _Kept(lambda: None)
    assert [one.value, one.value, other.value] == [1, 1, 1]
    assert _Kept.value.__doc__ == "A number."


def test_threads_do_not_wait_for_values_of_other_objects():
    meet = threading.Barrier(2, timeout=10.0)
    objects = [_Kept(meet.wait), _Kept(meet.wait)]
    threads = [threading.Thread(target=lambda kept=kept: kept.value) for kept in objects]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kept.made for kept in objects] == [1, 1]
