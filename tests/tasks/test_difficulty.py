import itertools

import numpy as np
import pytest
import trimesh

from harken.envs import TaskEnv
from harken.errors import ConfigurationError, EpisodeError, UnknownNameError
from harken.tasks.difficulty import detour, difficulty_of


@pytest.mark.parametrize(
    ("geodesic", "goals", "ratio", "difficulty"),
    [
        (5.0, [3.0, 0.0, 4.0], 1.0, "easy"),
        (5.5, [3.0, 0.0, 4.0], 1.1, "medium"),
        (7.5, [3.0, 0.0, 4.0], 1.5, "hard"),
        (6.0, [[30.0, 0.0, 40.0], [3.0, 0.0, 4.0]], 1.2, "medium"),
        (0.0, [0.0, 0.0, 0.0], 1.0, "easy"),
        (1.0, [0.0, 0.0, 0.0], np.inf, "hard"),
    ],
)
def test_the_difficulty_is_the_ratio_of_geodesic_to_euclidean_distance(geodesic, goals, ratio, difficulty):
    found = detour(geodesic, np.zeros(3), np.array(goals))
    assert found == pytest.approx(ratio) and difficulty_of(ratio) == difficulty


@pytest.mark.parametrize(("difficulty", "low", "high"), [("easy", 1.0, 1.1), ("medium", 1.1, 1.5), ("hard", 1.5, 99)])
@pytest.mark.parametrize("task", ["pointgoal", "semantic-audiogoal"])
def test_drawn_episodes_have_the_difficulty_that_was_asked_for(task, difficulty, low, high):
    env = TaskEnv(task, split="val", difficulty=difficulty)
    for number in range(3):
        episode = env.episode(number)
        goals = np.array(getattr(episode, "viewpoints", [episode.goal_position]))
        # On a grid a straight way is counted in steps, and nodes differ in height by millimetres.
        assert low - 1e-5 <= detour(episode.geodesic_distance, np.array(episode.start_position), goals) < high


def test_every_leg_of_an_episode_with_several_goals_has_the_difficulty():
    env = TaskEnv("multi-goal", split="val", difficulty="medium")
    env.reset(options={"episode": 0})
    episode, ground = env.task.episode, env.simulator.ground
    places = [np.array(place) for place in (episode.start_position, episode.goal_position, *episode.more_goals)]
    for start, goal in itertools.pairwise(places):
        assert 1.1 <= ground.distance(start, goal) / np.linalg.norm(goal - start) < 1.5


@pytest.mark.filterwarnings("ignore:.*have no label")
def test_a_scene_without_such_a_pair_and_a_task_without_goals_say_so(tmp_path):
    box = trimesh.creation.box(extents=[8, 3, 6])
    box.apply_translation([0, 1.5, 0])
    box.export(tmp_path / "hall.glb")
    hall = TaskEnv("pointgoal", scene=tmp_path / "hall.glb", difficulty="hard")
    with pytest.raises(EpisodeError, match=r"none is 2 m apart and hard, with a way at least 1.5 times"):
        hall.reset(seed=0)
    assert TaskEnv("pointgoal", scene=tmp_path / "hall.glb", difficulty="easy").episode(0).geodesic_distance >= 2.0
    with pytest.raises(ConfigurationError, match="echo-explore has no goal"):
        TaskEnv("echo-explore", difficulty="hard")
    with pytest.raises(UnknownNameError, match="Did you mean 'hard'"):
        TaskEnv("pointgoal", difficulty="hrad")
