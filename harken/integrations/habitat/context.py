"""What Habitat draws in: one OpenGL context for all its simulators of a process.

A simulator of Habitat's makes a context unless one is there already, which it then uses; and it takes the one that it
made along when it is closed. Whatever simulator is closed or drawn in after that ends the process. So a first one,
without a scene, is kept until the process ends, and closed after all others.
"""

import atexit
import threading
import weakref
from typing import Any

from harken.errors import StateError

__all__ = ["SharedContext", "shared_context"]


class SharedContext:
    """Habitat's OpenGL context of a process.

    Args:
        habitat_sim: The module habitat_sim.
        gpu: Number of the CUDA device that renders, -1 for none.

    Attributes:
        gpu: That number.
    """

    def __init__(self, habitat_sim: Any, gpu: int):
        backend = habitat_sim.SimulatorConfiguration()
        backend.scene_id, backend.gpu_device_id, backend.enable_physics = "NONE", gpu, False
        agent, camera = habitat_sim.agent.AgentConfiguration(), habitat_sim.CameraSensorSpec()
        camera.uuid, camera.resolution = "none", [2, 2]
        agent.sensor_specifications = [camera]
        self.gpu, self._thread = gpu, threading.get_ident()
        self._first = habitat_sim.Simulator(habitat_sim.Configuration(backend, [agent]))
        self._others: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()  # they have no hash
        atexit.register(self._close)

    def enter(self, simulator: Any) -> None:
        """Note a simulator that draws in it."""
        self._others[id(simulator)] = simulator

    def check_thread(self) -> None:
        """Check that this is the thread in which the context was made.

        Raises:
            StateError: It is another one.
        """
        if threading.get_ident() != self._thread:
            raise StateError(
                "Habitat draws only in the thread that made its first simulator, and this is another one. Step the "
                "environments one after the other, or in processes of their own, as Gymnasium's AsyncVectorEnv does."
            )

    def _close(self) -> None:
        for simulator in list(self._others.values()):
            simulator.close(destroy=True)
        self._first.close(destroy=True)


_contexts: list[SharedContext] = []


def shared_context(habitat_sim: Any, gpu: int) -> SharedContext:
    """Return this process's context, which is made when it is first asked for.

    Args:
        habitat_sim: The module habitat_sim.
        gpu: Number of the CUDA device that renders, -1 for none.

    Raises:
        StateError: It was made in another thread, or on another device.
    """
    if not _contexts:
        _contexts.append(SharedContext(habitat_sim, gpu))
    [context] = _contexts
    context.check_thread()
    if context.gpu != gpu:
        raise StateError(
            f"gpu is {gpu}; the first simulator of this process in Habitat draws on {context.gpu}, and all others draw "
            "where it does. Ask for the same, or begin another process."
        )
    return context
