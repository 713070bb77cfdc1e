"""The seam between an agent and whatever runs it."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

__all__ = ["Agent"]


@runtime_checkable
class Agent(Protocol):
    """Anything that acts on what it senses, scripted or learned."""

    sensors: tuple[str, ...]
    """Names of the sensors that it needs."""

    def reset(self, seed: int) -> None:
        """Forget the last episode; every draw of the next one comes from `seed`."""
        ...

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the next action: 0 stop, 1 move forward, 2 turn left, 3 turn right."""
        ...
