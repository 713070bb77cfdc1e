"""How hard it is to find the way of an episode: how much longer it is than the straight line to its goal.

The ratio of geodesic to Euclidean distance is what Habitat's generator of PointNav filters by (Savva et al. 2019;
``habitat/datasets/pointnav/pointnav_generator.py``): it keeps a pair whose ratio r is below 1.1 with a probability of
20 (r − 0.98)² only, 0.008 for a straight way and 0.29 just below 1.1, because an agent without any idea of walls
reaches such goals. Here that threshold is where "easy" ends, and nothing is filtered unless a difficulty is asked for.
In generated homes about half of all ways of two metres and more are easy, a third are medium and a sixth is hard.
"""

import math
from typing import Literal

import numpy as np

__all__ = ["DIFFICULTIES", "Difficulty", "detour", "difficulty_of", "has_difficulty"]

Difficulty = Literal["any", "easy", "medium", "hard"]
"""What is asked of the ways of episodes."""

DIFFICULTIES: dict[str, tuple[float, float]] = {
    "easy": (0.0, 1.1),
    "medium": (1.1, 1.5),
    "hard": (1.5, math.inf),
}
"""Least ratio of geodesic to Euclidean distance, and the one that is too great."""


def detour(geodesic: float, start: np.ndarray, goals: np.ndarray) -> float:
    """Return the ratio of geodesic to Euclidean distance, 1 where both are 0.

    Args:
        geodesic: Length of the shortest way [m].
        start: ``(3,)`` [m].
        goals: ``(3,)``, or ``(n, 3)`` where the nearest of several will do [m]; the nearest in a straight line counts.
    """
    straight = float(np.linalg.norm(np.atleast_2d(goals) - start, axis=1).min())
    return geodesic / straight if straight > 0.0 else (1.0 if geodesic <= 0.0 else math.inf)


def has_difficulty(ratio: float, difficulty: Difficulty) -> bool:
    """Tell whether a way with a ratio of geodesic to Euclidean distance has a difficulty."""
    low, high = DIFFICULTIES.get(difficulty, (0.0, math.inf))
    return low <= ratio < high


def difficulty_of(ratio: float) -> str:
    """Return the difficulty of a way with a ratio of geodesic to Euclidean distance: "easy", "medium" or "hard"."""
    return next(name for name, (_, high) in DIFFICULTIES.items() if ratio < high or math.isinf(high))
