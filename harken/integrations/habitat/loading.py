"""Import of habitat-sim, after a trial in a process of its own."""

import functools
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

from harken.errors import MissingDependencyError

__all__ = ["check_habitat_sim", "import_habitat_sim"]

TRIAL = "import llvmlite.binding, habitat_sim; print(habitat_sim.__version__)"
"""What is tried: Numba's compiler first, as here."""

LONGEST = 120.0
"""Most time that the trial may take [s]."""


@functools.cache
def check_habitat_sim() -> str:
    """Return the version of habitat-sim once a child process has imported it beside Numba's compiler.

    A habitat-sim that was built with its audio sensor exports symbols of libstdc++ that clash with those of llvmlite,
    and may abort the process that imports both (habitat-sim issue #1813).

    Raises:
        MissingDependencyError: It is not installed, is older than 0.3, or cannot be imported beside Numba.
    """
    if find_spec("habitat_sim") is None or find_spec("magnum") is None:
        raise MissingDependencyError(
            "habitat-sim is not installed. It has no wheel on PyPI: install it with 'conda install habitat-sim "
            "-c conda-forge -c aihabitat', or build it from source, beside Harken; docs/habitat.md says more."
        )
    try:
        trial = subprocess.run(
            [sys.executable, "-c", TRIAL], capture_output=True, text=True, check=False, timeout=LONGEST
        )
    except subprocess.TimeoutExpired as error:
        raise MissingDependencyError(
            f"Importing habitat-sim takes more than {LONGEST:g} s; try it by itself."
        ) from error
    if trial.returncode != 0:
        last = (trial.stderr.strip().splitlines() or ["no message"])[-1]
        raise MissingDependencyError(
            f"habitat-sim cannot be imported beside Numba: a trial ended with {trial.returncode} ({last}). "
            "Where it was built with audio, its symbols of libstdc++ clash with those of llvmlite (habitat-sim issue "
            "#1813): start Python with LD_PRELOAD set to the path of the system's libstdc++.so.6."
        )
    version = trial.stdout.strip().splitlines()[-1]
    if tuple(int(part) for part in version.split(".")[:2] if part.isdigit()) < (0, 3):
        raise MissingDependencyError(f"habitat-sim is {version}; expected 0.3 or later.")
    return version


def import_habitat_sim() -> tuple[Any, Any]:
    """Return the modules habitat_sim and magnum.

    Raises:
        MissingDependencyError: See `check_habitat_sim`.
    """
    check_habitat_sim()
    import habitat_sim
    import magnum

    return habitat_sim, magnum
