"""Lists of episodes keep everything of every task of navigation, and tell when they are not what they were."""

import dataclasses
import gzip
import json

import pytest

from harken.envs import TaskEnv
from harken.errors import EpisodeError
from harken.registration import tasks_of
from harken.tasks import Episode, checksum, from_episodes, write_episode_list, write_habitat_episodes

EPISODE = Episode(
    episode_id="a",
    scene="home:val:0",
    start_position=(0.0, 0.0, 0.0),
    start_heading=5.0,
    goal_position=(3.0, 0.0, 4.0),
    sound="telephone",
    geodesic_distance=5.5,
)


FIRST_TWO = {
    "audiogoal": "836dcea93e8b8d58",
    "audiopointgoal": "836dcea93e8b8d58",
    "pointgoal": "c6b725af1bf325a0",
    "dynamic-audiogoal": "b4eeb975169ddc0a",
    "semantic-audiogoal": "3e26549e22f07222",
    "multi-goal": "f16c43e709cc711b",
    "echo-explore": "8466aa91a5736434",
}
"""Checksums of the first two episodes of the val split: they change with a new version of the environment only."""


def changed(path, change):
    """Change what a file holds."""
    content = json.loads(gzip.decompress(path.read_bytes()))
    change(content)
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


@pytest.mark.parametrize("task", tasks_of("navigation"))
def test_a_list_of_any_task_of_navigation_comes_back_equal_and_has_the_same_bytes_twice(task, tmp_path):
    env = TaskEnv(task, split="val")
    drawn = [env.episode(number) for number in range(2)]
    one, other = tmp_path / "one.json.gz", tmp_path / "other.json.gz"
    total = write_episode_list(one, drawn, {"task": task})
    assert write_episode_list(other, drawn, {"task": task}) == total == checksum(drawn)
    assert FIRST_TWO.get(task, total) == total
    assert one.read_bytes() == other.read_bytes()
    assert TaskEnv(task, split="val", episodes=one).episodes == tuple(drawn)


def test_the_checksum_is_about_what_episodes_are_and_not_about_names_or_last_bits():
    total = checksum([EPISODE])
    same = [{"episode_id": "b"}, {"start_heading": 5.0 + 1e-12}, {"start_position": (-0.0, 0.0, 1e-9)}]
    assert all(checksum([dataclasses.replace(EPISODE, **change)]) == total for change in same)
    others = [{"scene": "home:val:1"}, {"goal_position": (3.0, 0.0, 4.01)}, {"sound": "bell"}, {"onset": 1.0}]
    totals = {checksum([dataclasses.replace(EPISODE, **change)]) for change in others}
    assert len(totals) == len(others) and total not in totals
    later = dataclasses.replace(EPISODE, onset=1.0)
    assert checksum([EPISODE, later]) != checksum([later, EPISODE])


def move_goal(content):
    content["episodes"][0]["goals"][0]["position"][0] += 1.0


def turn_start(content):
    content["episodes"][0]["info"]["harken"]["start_heading"] = 4.0


def add_key(content):
    content["episodes"][0]["info"]["harken"]["more_goals"] = [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (move_goal, r"checksum .*changed or are not all there"),
        (lambda content: content["episodes"].pop(), r"checksum .*changed or are not all there"),
        (turn_start, r"start_rotation and the heading"),
        (add_key, r"Episode has no 'more_goals'.*made for audiogoal"),
        (lambda content: content["harken"].update(format=99), r"expected format 1"),
        (lambda content: content["episodes"][0]["info"].pop("harken"), r"info\['harken'\] is None"),
    ],
)
def test_a_list_that_was_changed_is_refused(change, message, tmp_path):
    path = tmp_path / "val.json.gz"
    write_episode_list(path, [EPISODE, dataclasses.replace(EPISODE, episode_id="b")], {"task": "audiogoal"})
    with pytest.raises(EpisodeError, match=message):
        TaskEnv("audiogoal", split="val", episodes=changed(path, change))


def test_a_task_refuses_lists_and_files_that_lack_what_it_needs(tmp_path):
    path = tmp_path / "val.json.gz"
    write_episode_list(path, [EPISODE], {"task": "audiogoal"})
    with pytest.raises(EpisodeError, match=r"no SemanticEpisode.*made for audiogoal"):
        TaskEnv("semantic-audiogoal", split="val", episodes=path)
    write_habitat_episodes(path, from_episodes([EPISODE]))
    with pytest.raises(EpisodeError, match=r"audionav, which are no MultiGoalEpisode.*harken episodes"):
        TaskEnv("multi-goal", split="val", episodes=path)
    with pytest.raises(EpisodeError, match="at least one, all of one dataclass"):
        write_episode_list(path, [], {})
