"""What all tests share: where optional real data lies."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def find_data(name: str) -> Path:
    """Return a folder of the optional data, ``$HARKEN_DATA/name`` or ``../shared/data/name``, or skip the test."""
    given = os.environ.get("HARKEN_DATA")
    parents = [Path(given).expanduser()] if given else [REPOSITORY.parent / "shared" / "data"]
    for parent in parents:
        if (parent / name).is_dir():
            return parent / name
    pytest.skip(f"No folder {name!r} in {parents[0]}; set HARKEN_DATA to the folder that holds it.")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def round_robin() -> Path:
    """The measured studio of PTB's third round robin: the meshes, materials and measurements of a real room."""
    return find_data("ptb_round_robin_3")


@pytest.fixture(scope="session")
def bras() -> Path:
    """Two rooms of BRAS, the Benchmark for Room Acoustical Simulation: meshes, materials and measurements."""
    return find_data("bras")
