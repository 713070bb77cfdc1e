"""The simulator: one world, one body, its senses, and what sounds around it."""

from harken.sim.protocol import SimulatorProtocol, SoundSource
from harken.sim.simulator import Mount, Simulator, forward_vector
from harken.sim.trajectory import Trajectory
from harken.sim.world import World

__all__ = ["Mount", "Simulator", "SimulatorProtocol", "SoundSource", "Trajectory", "World", "forward_vector"]
