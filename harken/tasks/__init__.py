"""Tasks: episodes, goals, rewards, success and measures."""

from harken.tasks.difficulty import Difficulty
from harken.tasks.episode_lists import checksum, write_episode_list
from harken.tasks.episodes import Episode, read_episodes, write_episodes
from harken.tasks.habitat_episodes import (
    HabitatEpisode,
    HabitatEpisodes,
    from_episodes,
    read_habitat_episodes,
    to_episodes,
    write_habitat_episodes,
)
from harken.tasks.navigation import NavigationTask
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.protocol import Choice, Numbers, Outcome, Sensor, Task
from harken.tasks.walk import Action, Walk

__all__ = [
    "Action",
    "Choice",
    "Difficulty",
    "Episode",
    "HabitatEpisode",
    "HabitatEpisodes",
    "NavigationSettings",
    "NavigationTask",
    "Numbers",
    "Outcome",
    "Sensor",
    "Task",
    "Walk",
    "checksum",
    "from_episodes",
    "read_episodes",
    "read_habitat_episodes",
    "to_episodes",
    "write_episode_list",
    "write_episodes",
    "write_habitat_episodes",
]
