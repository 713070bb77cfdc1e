"""Episode files of Habitat and SoundSpaces: read, written, and turned into episodes that Harken plays."""

from harken.tasks.habitat_episodes.playing import from_episodes, to_episodes
from harken.tasks.habitat_episodes.reading import is_habitat_file, read_habitat_episodes
from harken.tasks.habitat_episodes.records import (
    HabitatEpisode,
    HabitatEpisodes,
    HabitatGoal,
    HabitatTask,
    ViewPoint,
    heading_of,
)
from harken.tasks.habitat_episodes.writing import write_habitat_episodes

__all__ = [
    "HabitatEpisode",
    "HabitatEpisodes",
    "HabitatGoal",
    "HabitatTask",
    "ViewPoint",
    "from_episodes",
    "heading_of",
    "is_habitat_file",
    "read_habitat_episodes",
    "to_episodes",
    "write_habitat_episodes",
]
