"""Keep the steps of an episode, and what it looked and sounded like."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from harken.envs import TaskEnv
from harken.tasks.protocol import Choice

__all__ = ["Recorder"]

PLAN_WIDTH = 720
"""Width of the plan in a report [pixels]."""


class Recorder:
    """Keeps an episode of an environment, from its reset on.

    Args:
        env: The environment itself, without wrappers, its episode begun.
        media: Whether to keep pictures and sound.
        video: Whether to keep what `render` shows, too.
    """

    def __init__(self, env: TaskEnv, *, media: bool, video: bool):
        self.env, self.media, self.video = env, media, video
        self.views: list[np.ndarray] = []
        self._sound: list[np.ndarray] = []
        self._actions: list[int] = []
        self._rewards: list[float] = []
        self._frames: list[dict[str, np.ndarray]] = []
        self._states: list[tuple[np.ndarray, float, np.ndarray, float]] = []
        self._start_distance = env.task.distance
        self._sense()

    def keep(self, reward: float) -> None:
        """Keep a step."""
        self._actions.append(chosen(self.env))
        self._rewards.append(reward)
        self._sense()

    def _sense(self) -> None:
        env = self.env
        simulator = env.simulator
        self._states.append((simulator.position.copy(), simulator.heading, env.loudness, env.task.distance))
        if not self.media:
            return
        self._frames.append(simulator.see(("rgb", "depth")))
        if env.waveform is not None:
            self._sound.append(env.waveform)
        if self.video:
            frame = env.render()
            assert frame is not None
            self.views.append(frame)

    @property
    def audio(self) -> np.ndarray | None:
        """``(2, n)`` what was heard."""
        return np.concatenate(self._sound, axis=1) if self._sound else None

    def series(self) -> dict[str, Any]:
        """Return the fields of an `harken.eval.records.EpisodeRecord` that belong to its steps."""
        task = self.env.task
        positions = np.array([state[0] for state in self._states])
        distances = np.array([state[3] for state in self._states])
        return {
            "positions": positions,
            "headings": np.array([state[1] for state in self._states]),
            "actions": np.array(self._actions, np.int64),
            "rewards": np.array(self._rewards),
            "loudness": np.array([state[2] for state in self._states]),
            "distances": np.where(np.isnan(distances), np.inf, distances),
            "goal": task.goal,
            "start_distance": float("inf") if np.isnan(self._start_distance) else self._start_distance,
            "action_names": action_names(self.env),
            "step_time": task.step_time,
            **(self._media(positions) if self.media else {}),
        }

    def _media(self, positions: np.ndarray) -> dict[str, Any]:
        simulator, goal = self.env.simulator, self.env.task.goal
        plan = simulator.plan(width=PLAN_WIDTH, level=float(positions[0, 1]))
        goal_drawn: dict[str, Any] = {}
        if goal is not None:
            goal_drawn["plan_goal"] = plan.to_pixels(goal[None])[0]
            if np.isfinite(simulator.ground.distance(positions[0], goal)):
                goal_drawn["plan_oracle"] = plan.to_pixels(simulator.ground.shortest_path(positions[0], goal))
        return {
            "plan_image": plan.image,
            "plan_path": plan.to_pixels(positions),
            **goal_drawn,
            "frames": [frame["rgb"] for frame in self._frames],
            "depth": [frame["depth"] for frame in self._frames],
            "audio": self.audio,
            "audio_rate": self.env.sound_rate,
        }


def _choice(env: TaskEnv) -> tuple[str | None, Choice | None]:
    """Return the key and the choices of how the body moves, the first choice among an action's parts."""
    actions = env.task.actions
    if isinstance(actions, Mapping):
        return next(((name, part) for name, part in actions.items() if isinstance(part, Choice)), (None, None))
    return None, actions if isinstance(actions, Choice) else None


def chosen(env: TaskEnv) -> int:
    """Return which of `action_names` the last action was."""
    name, choice = _choice(env)
    if choice is None:
        return 0
    return int(np.asarray(env.last_action if name is None else env.last_action[name]).reshape(()))


def action_names(env: TaskEnv) -> tuple[str, ...]:
    """Return what a body can do in a step; "act" where nothing is chosen."""
    _, choice = _choice(env)
    return ("act",) if choice is None else choice.names
