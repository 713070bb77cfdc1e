"""Stopping long work from outside: by Ctrl-C, or by the signal with which systems and schedulers end processes."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["ending_with_care"]


@contextlib.contextmanager
def ending_with_care() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, with `KeyboardInterrupt`, so that what is finished is kept.

    Where the program handles the signal itself, or outside the main thread, nothing changes.
    """
    default = threading.current_thread() is threading.main_thread() and (
        signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if default:
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        if default:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(f"ended by {signal.Signals(number).name}")
