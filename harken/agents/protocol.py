"""The interface between an agent and what runs it."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

__all__ = ["Agent"]


@runtime_checkable
class Agent(Protocol):
    """Anything that acts on what it senses, scripted or learned, in any task."""

    sensors: tuple[str, ...]
    """Names of the sensors that it needs."""

    def reset(self, seed: int) -> None:
        """Forget the last episode; every draw of the next one comes from `seed`."""
        ...

    def act(self, observation: Mapping[str, Any]) -> Any:
        """Return the next action, one of the environment's action space."""
        ...
