"""The seam between a task and whatever runs it."""

from typing import Any, Protocol, runtime_checkable

import numpy as np

__all__ = ["Task"]


@runtime_checkable
class Task(Protocol):
    """Samples or takes an episode, rewards a step, ends the episode, measures it."""

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str, sound: str, seconds: float) -> Any:
        """Draw an episode in the simulator's world."""
        ...

    def begin(self, episode: Any, clip: np.ndarray | None) -> None:
        """Start an episode."""
        ...

    def act(self, action: int) -> Any:
        """Do one action; returns its reward and whether the episode ended."""
        ...

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far."""
        ...
