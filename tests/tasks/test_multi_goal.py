import itertools

import numpy as np
import pytest

from harken.errors import EpisodeError
from harken.sim import BodySettings
from harken.tasks import read_episodes, write_episodes
from harken.tasks.multi_goal import MultiGoalEpisode, MultiGoalSettings, MultiGoalTask
from harken.tasks.protocol import enter_scene

STOP, AHEAD, LEFT, RIGHT = range(4)
QUICK = {"acoustics": {"rays": 200, "duration": 0.3}}


def task_in(name="home:val:0", sound="heard", **settings):
    from harken.configs import from_mapping

    task = MultiGoalTask(from_mapping(MultiGoalSettings, {**QUICK, **settings}), "val", sound=sound)
    enter_scene(task, name)
    return task


def begun(task, seed=0):
    episode = task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0")
    task.begin(episode)
    return episode


def places(episode):
    return [np.array(place) for place in (episode.goal_position, *episode.more_goals)]


def put_at(task, place):
    task.simulator.place(place, 0.0)
    task.step(LEFT)  # the distance is measured after a step
    task.walk.move_goal(place)
    task.walk._measure_distance()


@pytest.mark.parametrize("order", ["any", "given"])
def test_the_oracle_finds_all_goals_on_the_shortest_way(order):
    task = task_in(order=order)
    for seed in range(3):
        episode = begun(task, seed)
        assert len({episode.sound, *episode.more_sounds}) == 3
        ended, earned = False, 0.0
        while not ended:
            outcome = task.step(task.oracle_action())
            ended, earned = outcome.terminated or outcome.truncated, earned + outcome.reward
        measures = task.measures()
        assert measures["success"] == measures["progress"] == 1.0 and earned > 3 * 10.0
        assert measures["spl"] > 0.97 and measures["sna"] == 1.0 and measures["distance_to_goal"] == 0.0


def test_measures_are_those_of_the_shortest_way_through_all_goals():
    """Worked by trying all orders on pairwise distances, for trajectories of random actions with every goal found."""
    task, rng = task_in(ends_at_mistake=False), np.random.default_rng(0)
    for seed in range(20):
        episode = begun(task, seed)
        start, goals = np.array(episode.start_position), places(episode)
        found = rng.permutation(3)[: int(rng.integers(4))]
        for goal in found:
            for action in rng.integers(1, 4, size=3):
                task.step(action)
            task.simulator.place(goals[goal], 0.0)
            task.walk.move_goal(goals[goal])
            task.walk._measure_distance()
            task.step(STOP)
        distance, walked = task.walk.ground.distance, task.walk.path_length

        def length(order, start=start, goals=goals, distance=distance):
            way = [start, *(goals[i] for i in order)]
            return sum(distance(a, b) for a, b in itertools.pairwise(way))

        whole = min(length(order) for order in itertools.permutations(range(3)))
        part = min(length(order) for order in itertools.permutations(found))
        measures = task.measures()
        assert measures["progress"] == pytest.approx(len(found) / 3)
        assert measures["success"] == float(len(found) == 3)
        assert measures["spl"] == pytest.approx(measures["success"] * min(1.0, whole / max(walked, whole)), abs=1e-6)
        share = 1.0 if walked <= part else part / walked
        assert measures["ppl"] == pytest.approx(len(found) / 3 * share, abs=1e-6)


def test_a_goal_that_is_found_falls_silent_and_the_others_sound_on():
    task = task_in()
    episode = begun(task, 1)
    for place in places(episode)[:2]:
        put_at(task, place)
        assert not task.step(STOP).terminated
    assert task.found == (True, True, False)
    rng = np.random.default_rng(0)
    alone = task.simulator.sources[2]
    for _ in range(4):
        task.step(int(rng.integers(2, 4)))
    mixed = task.waveform
    assert np.abs(mixed).max() > 0
    single = task_in(goals=1, sound="heard")
    single.simulator.place(task.simulator.position, task.simulator.heading)
    assert alone.position == pytest.approx(places(episode)[2] + task.lift)
    put_at(task, places(episode)[2])
    assert task.step(STOP).terminated and task.success
    task.hear()
    assert np.abs(task.waveform).max() == 0.0


def test_a_stop_where_no_goal_is_ends_the_episode_or_costs_a_step():
    task = task_in()
    begun(task)
    outcome = task.step(STOP)
    assert outcome.terminated and outcome.reward == pytest.approx(-0.01) and task.measures()["success"] == 0.0
    task = task_in(ends_at_mistake=False)
    begun(task)
    outcome = task.step(STOP)
    assert not outcome.terminated and outcome.reward == pytest.approx(-0.01) and task.found == (False,) * 3


def test_in_a_given_order_another_goal_does_not_count():
    task = task_in(order="given")
    episode = begun(task, 2)
    second = places(episode)[1]
    task.simulator.place(second, 0.0)
    task.step(LEFT)
    assert task.step(STOP).terminated and task.found == (False,) * 3


def test_episodes_are_written_and_read_and_bad_ones_are_errors(tmp_path):
    task = task_in()
    episode = begun(task)
    write_episodes(tmp_path / "e.jsonl", [episode])
    assert read_episodes(tmp_path / "e.jsonl", MultiGoalEpisode) == (episode,)
    assert task.read_episodes(tmp_path / "e.jsonl") == (episode,)
    plain = {
        f: getattr(episode, f) for f in ("episode_id", "scene", "start_position", "start_heading", "goal_position")
    }
    with pytest.raises(EpisodeError, match="has 1 goals, the settings say 3"):
        task.begin(MultiGoalEpisode(**plain, sound=episode.sound))
    with pytest.raises(EpisodeError, match="a clip's name for each goal"):
        MultiGoalEpisode(**plain, more_goals=((0.0, 0.0, 0.0),))
    with pytest.raises(EpisodeError, match="more_goals"):
        MultiGoalEpisode(**plain, more_goals=((np.nan, 0.0, 0.0),), more_sounds=("telephone",))
    with pytest.raises(EpisodeError, match="no 6 goals lie"):
        begun(task_in(goals=6, apart=50.0))


def test_on_a_grid_the_oracle_counts_as_it_walks():
    grid = BodySettings(motion="grid", forward_step=1.0, turn_angle=np.pi / 2)
    task = MultiGoalTask(MultiGoalSettings(body=grid, step_time=1.0), "val")
    enter_scene(task, "home:val:0")
    begun(task, 3)
    while not task.stopped:
        task.step(task.oracle_action())
    assert task.success and task.measures()["sna"] == 1.0 and task.steps == task.oracle_actions
