"""Harken as a simulator of habitat-lab, so that its benchmarks run without habitat-sim.

Call `register`, then give any PointNav, ObjectNav or ImageNav configuration of habitat-lab 0.3 the override
``habitat.simulator.type=Harken-v0``. habitat-lab finds no plugins, so each process that makes environments has to call
`register` itself; workers of its ``VectorEnv`` do so where the function that makes an environment calls it.
"""

from importlib.util import find_spec

from harken.errors import MissingDependencyError
from harken.integrations.habitat_lab.stand_ins import install_stand_ins

__all__ = ["NAME", "register"]

NAME: str = "Harken-v0"
"""Value of ``habitat.simulator.type`` that chooses Harken."""


def register(*, without_habitat_sim: bool = False) -> None:
    """Make Harken known to habitat-lab as `NAME`. It may be called more than once.

    Args:
        without_habitat_sim: Whether to put stand-ins in the place of habitat-sim, magnum and corrade where they are not
            installed, since habitat-lab cannot be imported without them; see
            `harken.integrations.habitat_lab.stand_ins`.

    Raises:
        MissingDependencyError: habitat-lab cannot be imported.
    """
    if find_spec("habitat") is None:
        raise MissingDependencyError(
            "habitat-lab is not installed. Make an environment of its own for it and see docs/habitat.md: it asks for "
            "one version of NumPy and an old gym, so install it with 'pip install --no-deps habitat-lab'."
        )
    if without_habitat_sim:
        install_stand_ins()
    try:
        from harken.integrations.habitat_lab.simulator import HarkenSimulator
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"habitat-lab cannot be imported: there is no module {error.name!r}. Where habitat-sim is not installed, "
            "call register(without_habitat_sim=True); other packages install with pip."
        ) from error
    from habitat.core.registry import registry

    registry.register_simulator(HarkenSimulator, name=NAME)
