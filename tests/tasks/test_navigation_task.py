import numpy as np
import pytest

from harken.errors import ActionError, EpisodeError, NavigationError, UnknownNameError
from harken.sim import Simulator
from harken.tasks import Episode, NavigationSettings, NavigationTask, read_episodes, write_episodes
from harken.tasks.sounds import Sounds
from harken.tasks.worlds import load_world, scene_name

STOP, AHEAD, LEFT, RIGHT = range(4)


def task_in(name="home:val:0", **settings):
    rules = NavigationSettings(**settings)
    world = load_world(name, rules)
    return NavigationTask(Simulator(world), rules)


def sampled(task, seed=0):
    return task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0", sound="", seconds=0.0)


@pytest.mark.parametrize("motion", ["continuous", "grid"])
def test_sampled_episodes_start_far_enough_from_a_goal_that_can_be_reached(motion):
    grid = {"forward_step": 1.0, "turn_angle": np.pi / 2} if motion == "grid" else {}
    task = task_in(motion=motion, **grid)
    for seed in range(20):
        episode = sampled(task, seed)
        task.begin(episode, None)
        assert 2.0 <= task.start_distance < np.inf
        assert task.start_distance == pytest.approx(episode.geodesic_distance, rel=1e-6)
        turns = episode.start_heading / task.settings.turn_angle
        assert turns == pytest.approx(round(turns), abs=1e-9)


@pytest.mark.parametrize("motion", ["continuous", "grid"])
def test_the_oracle_reaches_every_goal_in_the_actions_it_counted(motion):
    grid = {"forward_step": 1.0, "turn_angle": np.pi / 2} if motion == "grid" else {}
    task = task_in(motion=motion, **grid)
    for seed in range(10):
        task.begin(sampled(task, seed), None)
        while not task.stopped:
            task.act(task.oracle.action(task.simulator.position, task.simulator.heading))
        measures = task.measures()
        assert measures["success"] == 1.0 and measures["sna"] == 1.0
        assert measures["steps"] == task.oracle_actions
        assert measures["spl"] > 0.9


def test_measures_follow_their_definitions():
    task = task_in()
    task.begin(sampled(task, 3), None)
    start = task.start_distance
    position = task.simulator.position.copy()
    walked, gained = 0.0, 0.0
    for action in (AHEAD, LEFT, AHEAD, AHEAD, RIGHT, AHEAD):
        outcome = task.act(action)
        walked += np.linalg.norm(task.simulator.position - position)
        position = task.simulator.position.copy()
        gained += outcome.reward
    now = task.simulator.geodesic_distance(position, task.goal)
    measures = task.measures()
    assert measures["path_length"] == pytest.approx(walked)
    assert measures["distance_to_goal"] == pytest.approx(now)
    assert measures["normalized_distance_to_goal"] == pytest.approx(now / start)
    assert measures["success"] == measures["spl"] == measures["sna"] == 0.0
    expected = max(0.0, 1 - now / start) * start / max(walked, start)
    assert measures["soft_spl"] == pytest.approx(expected)
    assert gained == pytest.approx(-0.06 + start - now), "the rewards of the way add up to the distance gained"


def test_a_stop_within_a_metre_is_a_success_and_at_a_metre_is_not():
    task = task_in()
    task.begin(sampled(task, 1), None)
    for distance, success in ((0.999, 1.0), (1.0, 0.0)):
        task.stopped, task.distance = True, distance
        assert task.measures()["success"] == success


def test_spl_of_a_detour_is_the_share_of_the_shortest_way():
    task = task_in()
    task.begin(sampled(task, 1), None)
    task.stopped, task.distance, task.path_length, task.steps = True, 0.5, 3.0 * task.start_distance, 100
    measures = task.measures()
    assert measures["spl"] == pytest.approx(1 / 3)
    assert measures["sna"] == pytest.approx(min(1.0, task.oracle_actions / 100))


def test_an_action_that_does_not_exist_is_refused():
    task = task_in()
    task.begin(sampled(task), None)
    for action in (4, -1, 1.5, "stop"):
        with pytest.raises(ActionError, match="0 stop, 1 move_forward"):
            task.act(action)


def test_a_world_too_small_for_the_distance_asked_for_is_refused():
    with pytest.raises(EpisodeError, match="lower least_distance"):
        sampled(task_in(least_distance=500.0))


@pytest.mark.parametrize(
    ("name", "error"),
    [("home:tset:1", EpisodeError), ("home:test", EpisodeError), ("home:test:x", EpisodeError)],
)
def test_malformed_names_of_homes_are_refused(name, error):
    with pytest.raises(error, match="home:<split>:<number>"):
        load_world(name, NavigationSettings())


def test_worlds_are_shared_and_names_checked():
    settings = NavigationSettings()
    assert load_world("home:val:0", settings) is load_world("home:val:0", NavigationSettings())
    assert scene_name("test", 3) == "home:test:3"
    with pytest.raises(UnknownNameError, match="Did you mean 'test'"):
        scene_name("tets", 3)


def test_a_goal_off_the_floor_is_refused():
    task = task_in()
    start = sampled(task).start_position
    episode = Episode(
        episode_id="x", scene="", start_position=start, start_heading=0.0, goal_position=(900.0, 0.0, 900.0)
    )
    with pytest.raises((NavigationError, EpisodeError)):
        task.begin(episode, None)


def test_episodes_survive_their_file(tmp_path):
    task = task_in()
    episodes = [sampled(task, seed) for seed in range(3)]
    for name in ("e.jsonl", "e.jsonl.gz"):
        write_episodes(tmp_path / name, episodes)
        assert list(read_episodes(tmp_path / name)) == episodes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "line 1 is not an episode"),
        (b"[1]", "line 1 is not an episode"),
        (b'{"episode": 3}', "unknown keys"),
        (b'{"episode_id": "a"}', "line 1 is not an episode"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_files_that_hold_no_episodes_are_refused(tmp_path, content, message):
    (tmp_path / "bad.jsonl").write_bytes(content)
    with pytest.raises(EpisodeError, match=message):
        list(read_episodes(tmp_path / "bad.jsonl"))


def test_a_pose_that_is_not_finite_is_refused():
    with pytest.raises(EpisodeError, match="three finite numbers"):
        Episode(
            episode_id="x", scene="", start_position=(0, np.nan, 0), start_heading=0.0, goal_position=(0.0, 0.0, 0.0)
        )


def test_heard_and_unheard_sounds_are_apart():
    heard = Sounds("heard", "test", 16_000)
    unheard = Sounds("unheard", "test", 16_000)
    assert not set(heard.names) & set(unheard.names)
    assert Sounds("telephone", "test", 16_000).names == ("telephone",)
    assert all(name.startswith("chair") for name in Sounds("chair", "test", 16_000).names)
