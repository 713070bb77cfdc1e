"""Tasks: episodes, goals, rewards, success and measures."""

from harken.tasks.episodes import Episode, read_episodes, write_episodes
from harken.tasks.navigation import Action, NavigationSettings, NavigationTask, Outcome
from harken.tasks.protocol import Task

__all__ = [
    "Action",
    "Episode",
    "NavigationSettings",
    "NavigationTask",
    "Outcome",
    "Task",
    "read_episodes",
    "write_episodes",
]
