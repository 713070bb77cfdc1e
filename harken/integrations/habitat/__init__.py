"""Habitat-Sim behind Harken's interfaces: its cameras and its navigation mesh, with Harken's sound.

It is written for habitat-sim 0.3.0 to 0.3.4, from its sources and from what earlier runs of 0.3.4 showed. This code
itself has not been run with habitat-sim yet, which has no wheel on PyPI; tests/sim/test_contract.py checks it where
habitat-sim is installed.
"""

from harken.integrations.habitat.simulator import Audio, HabitatSimulator, make_habitat_simulator

__all__ = ["Audio", "HabitatSimulator", "make_habitat_simulator"]
