"""How other processes ended, in words."""

import signal

__all__ = ["ending"]


def ending(code: int | None) -> str:
    """Return what an exit code says, for a sentence about a process.

    Args:
        code: Exit code as `multiprocessing` and `subprocess` give it: negative numbers are signals.
    """
    if code is None or code >= 0:
        return f"ended with status {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    verb = "crashed" if name in ("SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGABRT") else "was killed"
    return f"{verb} ({name})"
