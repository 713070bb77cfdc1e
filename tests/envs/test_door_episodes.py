"""Episodes with doors that are ajar or closed, and bodies that open them."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from harken.envs import TaskEnv
from harken.errors import EpisodeError, UnknownNameError
from harken.tasks import Action, Episode, read_episodes, write_episodes

FAST = {"acoustics": {"rays": 200, "duration": 0.3}, "body": {"camera": {"width": 16, "height": 16}}}


def an_env(**settings):
    return TaskEnv("audiogoal", split="val", sensors=("depth", "waveform", "oracle"), config={**FAST, **settings})


def play(env, number, steps=400):
    """Follow the oracle through an episode; returns its measures and the actions."""
    observation, _ = env.reset(options={"episode": number})
    actions = []
    for _ in range(steps):
        actions.append(int(observation["oracle"]))
        observation, _, terminated, truncated, info = env.step(observation["oracle"])
        if terminated or truncated:
            break
    return info, actions


def test_doors_stand_open_unless_asked_otherwise():
    env = an_env()
    env.reset(options={"episode": 0})
    assert set(env.simulator.doors.values()) == {"open"}
    assert env.task.episode.doors == () and env.action_space == gym.spaces.Discrete(4)
    env.close()


def test_drawn_doors_never_part_start_and_goal():
    env, seen = an_env(doors="random"), set()
    for number in range(0, 30, 5):
        info, _ = play(env, number)
        states = dict(env.task.episode.doors)
        assert env.simulator.doors == {**dict.fromkeys(env.simulator.doors, "open"), **states}
        seen |= set(states.values())
        assert info["success"] and info["spl"] > 0.85
    assert seen == {"ajar", "closed"}
    env.close()


def test_the_oracle_opens_doors_where_bodies_can():
    env, used = an_env(doors="random", opens_doors=True), 0
    assert env.action_space == gym.spaces.Discrete(5)
    for number in range(0, 30, 5):
        info, actions = play(env, number)
        used += actions.count(Action.USE_DOOR)
        assert info["success"] and info["spl"] > 0.85, number
    assert used > 0
    env.close()


def test_goals_are_never_drawn_where_leaves_stand():
    env = an_env(doors="random", opens_doors=True)
    episode = env.episode(16)
    env.reset(options={"episode": 16})
    for leaf in env.simulator.world.scene.leaves:
        assert not leaf.contains(np.array(episode.goal_position)[None] + [0.0, 1.5, 0.0], wider=0.1).any()
    env.close()


def test_using_no_door_is_a_collision_and_a_door_can_be_shut_again():
    env = an_env(opens_doors=True)
    env.reset(options={"episode": 0})
    simulator = env.simulator
    name = next(iter(simulator.doors))
    door = next(door for door in env.simulator.world.scene.doors if door.name == name)
    across = door.axes()[1]
    place = door.center - 0.7 * across
    place[1] = 0.0
    simulator.place(place, float(np.arctan2(-across[0], -across[2])))
    states = []
    for _ in range(3):
        env.step(np.int64(Action.USE_DOOR))
        states.append(simulator.doors[name])
    assert states == ["closed", "open", "closed"] and env.task.walk.collisions == 0
    simulator.turn(np.pi)
    env.step(np.int64(Action.USE_DOOR))
    assert env.task.walk.collisions == 1 and simulator.doors[name] == "closed"
    env.reset(options={"episode": 0})
    assert simulator.doors[name] == "open"
    env.close()


def test_the_environment_passes_gymnasiums_checker():
    env = an_env(doors="random", opens_doors=True)
    check_env(env, skip_render_check=True)
    env.close()


def test_episodes_repeat_whatever_was_played_before():
    one, other = an_env(doors="random", opens_doors=True), an_env(doors="random", opens_doors=True)
    play(other, 5)
    play(other, 10, steps=7)
    for env in (one, other):
        env.reset(options={"episode": 15})
    for action in (1, 2, 4, 1, 1, 3, 4, 1):
        a, b = (env.step(np.int64(action))[0] for env in (one, other))
        assert all(np.array_equal(a[name], b[name]) for name in a)
    one.close()
    other.close()


def test_doors_of_episodes_are_kept_in_files(tmp_path):
    place = (0.0, 0.0, 0.0)
    episode = Episode(
        episode_id="1", scene="home:val:0", start_position=place, start_heading=0.0, goal_position=place,
        doors=(("door 1", "closed"), ("door 2", "ajar")),
    )  # fmt: skip
    write_episodes(tmp_path / "episodes.jsonl", [episode])
    assert read_episodes(tmp_path / "episodes.jsonl") == (episode,)


@pytest.mark.parametrize("doors", [("door 1",), (("door 1", "wide"),), ((1, "open"),), 7])
def test_states_that_are_none_are_errors(doors):
    place = (0.0, 0.0, 0.0)
    with pytest.raises(EpisodeError, match="doors"):
        Episode(
            episode_id="1", scene="home:val:0", start_position=place, start_heading=0.0, goal_position=place,
            doors=doors,
        )  # fmt: skip


def test_an_episode_with_a_door_that_is_not_there_is_an_error():
    env = an_env()
    episode = env.episode(0)
    env.close()
    env = TaskEnv(
        "audiogoal", split="val", config=FAST, episodes=[Episode(**{**vars(episode), "doors": (("gate", "closed"),)})]
    )
    with pytest.raises(UnknownNameError, match="gate"):
        env.reset()
    env.close()
