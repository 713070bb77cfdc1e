"""An agent that knows where the goal is, and no way to it: it walks straight there and round what it runs into."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harken.agents.steering import Steering
from harken.tasks import Action, NavigationSettings

__all__ = ["GoalFollower"]


class GoalFollower:
    """Turns to where the goal lies, walks, goes around obstacles, and stops near the goal.

    It is the goal follower among the simple agents of Habitat and SoundSpaces, which knows the vector to the goal, but
    it also turns away from what its depth camera sees in its way; theirs pushes against it.

    Args:
        settings: The rules, of which it knows the body, its camera and from where a stop counts.
    """

    sensors: tuple[str, ...] = ("pointgoal", "depth", "collision")

    def __init__(self, settings: NavigationSettings):
        self._steering, self._near = Steering(settings), settings.success_distance

    def reset(self, seed: int) -> None:
        """Forget what was seen."""
        self._last: int = Action.STOP
        self._steering.reset(seed)

    def act(self, observation: Mapping[str, Any]) -> int:
        """Return the next action."""
        collided = bool(observation["collision"][0] > 0)
        self._steering.see(observation["depth"][..., 0], self._last, collided)
        ahead, left = map(float, observation["pointgoal"])
        if np.hypot(ahead, left) < self._near:
            self._last = int(Action.STOP)
        else:
            self._last = int(self._steering.action(float(np.arctan2(left, ahead)), collided))
        return self._last
