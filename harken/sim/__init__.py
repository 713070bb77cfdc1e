"""The simulator: one world, one body, its senses, and the sound sources around it."""

from harken.scene.ground import forward_vector
from harken.sim.mount import Mount
from harken.sim.protocol import SimulatorProtocol
from harken.sim.settings import BodySettings, WorldSettings
from harken.sim.simulator import Simulator
from harken.sim.sources import SoundSource
from harken.sim.trajectory import Course, Trajectory
from harken.sim.world import World
from harken.sim.worlds import make_simulator

__all__ = [
    "BodySettings",
    "Course",
    "Mount",
    "Simulator",
    "SimulatorProtocol",
    "SoundSource",
    "Trajectory",
    "World",
    "WorldSettings",
    "forward_vector",
    "make_simulator",
]
