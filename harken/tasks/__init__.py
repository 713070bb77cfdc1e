"""Tasks: episodes, goals, rewards, success and measures."""

from harken.tasks.episodes import Episode, read_episodes, write_episodes
from harken.tasks.navigation import NavigationSettings, NavigationTask
from harken.tasks.protocol import Choice, Numbers, Outcome, Sensor, Task
from harken.tasks.walk import Action, Walk

__all__ = [
    "Action",
    "Choice",
    "Episode",
    "NavigationSettings",
    "NavigationTask",
    "Numbers",
    "Outcome",
    "Sensor",
    "Task",
    "Walk",
    "read_episodes",
    "write_episodes",
]
