"""Walking in a direction past obstacles that the depth camera has seen: what agents that do not learn share."""

import numpy as np

from harken.checks import wrapped_angle
from harken.tasks import Action, NavigationSettings
from harken.tasks.separation_rules import SeparationSettings

__all__ = ["ObstacleMemory", "Steering"]

MARGIN = 0.15
"""Free distance that it requires ahead of it beyond a step [m]."""

DETOUR = 1.0
"""How far it goes around an obstacle before it turns to the sound again [m]."""

MEMORY = 40
"""Steps after which it checks whether it has moved on."""

POINTS = 1500
"""Obstacle points that it remembers."""


class Steering:
    """Chooses actions that lead in a direction, around what is in the way.

    Args:
        settings: The rules, of which it knows the body and its camera.
    """

    def __init__(self, settings: NavigationSettings | SeparationSettings):
        self.turn, self.step = settings.body.turn_angle, settings.body.forward_step
        self.obstacles = ObstacleMemory(settings)
        self.plan: list[int] = []

    def reset(self, seed: int, plan: list[int] | None = None) -> None:
        """Forget what was seen, and start with some planned actions."""
        self._rng = np.random.default_rng(seed)
        self.plan = [] if plan is None else plan
        self.obstacles.clear()

    def see(self, depth: np.ndarray, last: int, collided: bool) -> None:
        """Take in what the last action led to, and what is seen now in a depth image ``(height, width)`` [m]."""
        self.obstacles.move(last, collided)
        self.obstacles.see(depth)

    def action(self, azimuth: float, collided: bool) -> int:
        """Return the next action on the way in a direction, `azimuth` to the left of ahead [rad]."""
        if collided or self.obstacles.is_stuck:
            self.plan = self._detour(around=collided)
        if self.plan:
            action = self.plan.pop(0)
            if action != Action.MOVE_FORWARD or self.obstacles.free(0.0) > self.step:
                return action
            self.plan = []
        return self._towards(azimuth)

    def _towards(self, azimuth: float) -> int:
        """Turn to the free heading that is nearest to a direction, or walk where that is ahead."""
        half = round(np.pi / self.turn)
        turns = sorted(range(-half + 1, half + 1), key=lambda k: abs(wrapped_angle(azimuth - k * self.turn)))
        # One step must be free ahead, and the body must not turn straight back to the obstacle.
        best = next((k for k in turns if self.obstacles.free(k * self.turn) > self.step + MARGIN), turns[0])
        if best == 0:
            return Action.MOVE_FORWARD
        if best != turns[0]:
            self.plan = [*self._turns(best)[1:], *[Action.MOVE_FORWARD] * max(1, round(DETOUR / self.step))]
        return self._turns(best)[0]

    def _turns(self, count: int) -> list[int]:
        return [Action.TURN_LEFT if count > 0 else Action.TURN_RIGHT] * abs(count)

    def _detour(self, *, around: bool) -> list[int]:
        """Plan a detour: a random free heading, and a few steps."""
        half = round(np.pi / self.turn)
        choices = [k for k in range(-half + 1, half + 1) if self.obstacles.free(k * self.turn) > self.step + MARGIN]
        if around:  # a short detour around the obstacle
            choices = sorted(choices, key=abs)[: max(2, len(choices) // 4)]
        pick = int(self._rng.choice(choices)) if choices else half
        length = DETOUR if around else 3 * DETOUR
        return [*self._turns(pick), *[int(Action.MOVE_FORWARD)] * max(1, round(length / self.step))]


class ObstacleMemory:
    """Remembers what the depth camera saw lately, as points on the floor around the body.

    Args:
        settings: The rules, of which it takes the camera, the sizes of the body and of its steps.
    """

    def __init__(self, settings: NavigationSettings | SeparationSettings):
        self._settings = settings
        camera = settings.body.camera
        half = np.tan(camera.field_of_view / 2)
        self._across = ((np.arange(camera.width) + 0.5) / camera.width * 2 - 1) * half
        self._down = ((np.arange(camera.height) + 0.5) / camera.height * 2 - 1) * half * camera.height / camera.width
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._points = np.zeros((0, 2))
        self._trail = [np.zeros(2)]

    def move(self, action: int, collided: bool) -> None:
        """Move everything by what the body did; a step into something counts as none, and leaves a point there."""
        settings = self._settings
        if action == Action.MOVE_FORWARD:
            ahead = np.array([0.0 if collided else settings.body.forward_step, 0.0])
            self._points -= ahead
            self._trail = [point - ahead for point in self._trail]
            if collided:
                reach = settings.body.size.radius + 0.5 * settings.body.forward_step
                bump = np.stack([np.full(5, reach), np.linspace(-0.15, 0.15, 5)], 1)
                self._points = np.concatenate([self._points, bump])
        elif action in (Action.TURN_LEFT, Action.TURN_RIGHT):
            angle = settings.body.turn_angle if action == Action.TURN_LEFT else -settings.body.turn_angle
            c, s = np.cos(angle), np.sin(angle)
            # Turning left moves everything to the right.
            turn = np.array([[c, -s], [s, c]])
            self._points = self._points @ turn
            self._trail = [point @ turn for point in self._trail]
        self._trail = [*self._trail, np.zeros(2)][-MEMORY:]

    def see(self, depth: np.ndarray) -> None:
        """Add the nearest obstacle of every second column of a depth image ``(height, width)`` [m]."""
        below = self._down[:, None] * depth
        standing = (depth > 0) & (depth < self._settings.max_depth) & (below < self._settings.body.eye_height - 0.2)
        standing &= below > self._settings.body.eye_height - self._settings.body.size.height - 0.05
        nearest = np.where(standing, depth, np.inf).min(0)[::2]
        seen = np.isfinite(nearest) & (nearest < 4.0)
        points = np.stack([nearest, -nearest * self._across[::2]], 1)[seen]
        self._points = np.concatenate([self._points, points])[-POINTS:]

    def free(self, angle: float) -> float:
        """Return how far the body can walk in a direction [m], `angle` to the left of ahead [rad]."""
        c, s = np.cos(angle), np.sin(angle)
        along = self._points @ np.array([c, s])
        beside = np.abs(self._points @ np.array([-s, c]))
        ahead = along[(beside < self._settings.body.size.radius) & (along > 0.0)]
        return float(ahead.min() - self._settings.body.size.radius) if len(ahead) else 10.0

    @property
    def is_stuck(self) -> bool:
        """Whether the body has not moved on for a while; after a True it starts counting again."""
        if len(self._trail) < MEMORY or np.ptp(np.array(self._trail), axis=0).max() > 1.0:
            return False
        self._trail = [np.zeros(2)]
        return True
