"""Pickles from elsewhere: what to check before one is unpickled."""

import pickle
import pickletools
from typing import BinaryIO

__all__ = ["check_pickle"]

_STORES = ("PUT", "BINPUT", "LONG_BINPUT")


def check_pickle(file: BinaryIO) -> None:
    """Refuse a pickle that would take far more memory than it has bytes, without executing any of it.

    Python's unpickler keeps a table as long as the highest number under which something is to be remembered, and sets
    memory aside for as many bytes as a length claims: ten bytes can ask for gigabytes. What a pickle may *name* is up
    to the unpickler's ``find_class``.

    Args:
        file: The pickle; it is read to its end, and then stands at its beginning again.

    Raises:
        pickle.UnpicklingError: Something is to be remembered under a number beyond the pickle's own length; or the
            pickle is cut off, or not a pickle.
    """
    try:
        for opcode, argument, place in pickletools.genops(file):
            # The shortest instruction that stores has two bytes, and picklers count from 0 or 1.
            if opcode.name in _STORES and not 0 <= int(argument or 0) <= (place or 0):
                raise pickle.UnpicklingError(f"it stores something under the number {argument} after {place} bytes")
    except (ValueError, OverflowError, UnicodeError) as error:
        raise pickle.UnpicklingError(str(error)) from error
    file.seek(0)
