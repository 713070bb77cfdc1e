import numpy as np
import pytest
import soundfile

from harken.errors import ActionError, EpisodeError, NavigationError, UnknownNameError
from harken.sim import BodySettings, WorldSettings
from harken.sim.worlds import load_world, scene_name
from harken.tasks import Episode, NavigationSettings, NavigationTask, read_episodes, write_episodes
from harken.tasks.efficiency import efficiency, progress
from harken.tasks.protocol import enter_scene
from harken.tasks.sounds import Sounds

STOP, AHEAD, LEFT, RIGHT = range(4)


GRID = BodySettings(motion="grid", forward_step=1.0, turn_angle=np.pi / 2)


def task_in(name="home:val:0", **settings):
    task = NavigationTask(NavigationSettings(**settings), "val", sound=None, shows_goal=True)
    enter_scene(task, name)
    return task


def sampled(task, seed=0):
    return task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0")


@pytest.mark.parametrize("motion", ["continuous", "grid"])
def test_sampled_episodes_start_far_enough_from_a_goal_that_can_be_reached(motion):
    task = task_in(body=GRID if motion == "grid" else BodySettings())
    for seed in range(20):
        episode = sampled(task, seed)
        task.begin(episode)
        assert 2.0 <= task.walk.start_distance < np.inf
        assert task.walk.start_distance == pytest.approx(episode.geodesic_distance, rel=1e-6)
        turns = episode.start_heading / task.settings.body.turn_angle
        assert turns == pytest.approx(round(turns), abs=1e-9)


@pytest.mark.parametrize("motion", ["continuous", "grid"])
def test_the_oracle_reaches_every_goal_in_the_actions_it_counted(motion):
    task = task_in(body=GRID if motion == "grid" else BodySettings())
    for seed in range(10):
        task.begin(sampled(task, seed))
        while not task.stopped:
            task.step(task.oracle.action(task.simulator.position, task.simulator.heading))
        measures = task.measures()
        assert measures["success"] == 1.0 and measures["sna"] == 1.0
        assert measures["steps"] == task.oracle_actions
        assert measures["spl"] > 0.9


def test_measures_follow_their_definitions():
    task = task_in()
    task.begin(sampled(task, 3))
    start = task.walk.start_distance
    position = task.simulator.position.copy()
    walked, gained = 0.0, 0.0
    for action in (AHEAD, LEFT, AHEAD, AHEAD, RIGHT, AHEAD):
        outcome = task.step(action)
        walked += np.linalg.norm(task.simulator.position - position)
        position = task.simulator.position.copy()
        gained += outcome.reward
    now = task.simulator.ground.distance(position, task.goal)
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
    task.begin(sampled(task, 1))
    for distance, success in ((0.999, 1.0), (1.0, 0.0)):
        task.stopped, task.walk.distance = True, distance
        assert task.measures()["success"] == success


def test_spl_of_a_detour_is_the_share_of_the_shortest_way():
    task = task_in()
    task.begin(sampled(task, 1))
    task.stopped = True
    task.walk.distance, task.walk.path_length, task.walk.steps = 0.5, 3.0 * task.walk.start_distance, 100
    measures = task.measures()
    assert measures["spl"] == pytest.approx(1 / 3)
    assert measures["sna"] == pytest.approx(min(1.0, task.oracle_actions / 100))


def test_an_action_that_does_not_exist_is_refused():
    task = task_in()
    task.begin(sampled(task))
    for action in (4, -1, 1.5, "stop"):
        with pytest.raises(ActionError, match="0 stop, 1 move forward"):
            task.step(action)


def test_a_world_too_small_for_the_distance_asked_for_is_refused():
    with pytest.raises(EpisodeError, match="lower least_distance"):
        sampled(task_in(least_distance=500.0))


@pytest.mark.parametrize(
    ("name", "error"),
    [("home:tset:1", EpisodeError), ("home:test", EpisodeError), ("home:test:x", EpisodeError)],
)
def test_malformed_names_of_homes_are_refused(name, error):
    with pytest.raises(error, match="home:<split>:<number>"):
        load_world(name, WorldSettings())


def test_worlds_are_shared_and_names_checked():
    one, other = NavigationSettings(), NavigationSettings(success_reward=1.0, step_time=0.5, max_steps=7)
    assert load_world("home:val:0", one.world) is load_world("home:val:0", other.world), "rewards make no other world"
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
        task.begin(episode)


def test_episodes_survive_their_file(tmp_path):
    task = task_in()
    episodes = [sampled(task, seed) for seed in range(3)]
    for name in ("e.jsonl", "e.jsonl.gz"):
        write_episodes(tmp_path / name, episodes)
        assert list(read_episodes(tmp_path / name)) == episodes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "line 1 is not JSON"),
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


def test_a_folder_that_is_called_like_a_sound_does_not_change_what_is_heard(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("heard", "telephone"):
        (tmp_path / name).mkdir()
    soundfile.write(tmp_path / "telephone" / "tone.wav", np.full(16_000, 0.1, np.float32), 16_000)
    assert len(Sounds("heard", "test", 16_000).names) > 1
    assert Sounds("telephone", "test", 16_000).names == ("telephone",)
    assert Sounds("./telephone", "test", 16_000).names == ("tone",)


def test_who_starts_on_the_goal_and_stops_at_once_has_done_all_that_there_is_to_do():
    task = task_in()
    place = sampled(task).start_position
    episode = Episode(episode_id="x", scene="", start_position=place, start_heading=0.0, goal_position=place)
    task.begin(episode)
    outcome = task.step(STOP)
    measures = task.measures()
    assert outcome.terminated and outcome.reward == pytest.approx(10.0 - 0.01)
    for name in ("success", "spl", "soft_spl", "sna"):
        assert measures[name] == 1.0, name
    assert measures["normalized_distance_to_goal"] == measures["distance_to_goal"] == 0.0


@pytest.mark.parametrize(
    ("shortest", "walked", "share"), [(0, 0, 1), (0, 2, 0), (2, 0, 1), (2, 2, 1), (2, 4, 0.5), (2, 1.9, 1)]
)
def test_efficiency_at_its_limits(shortest, walked, share):
    assert efficiency(shortest, walked) == share


@pytest.mark.parametrize(
    ("start", "now", "share"), [(0, 0, 1), (0, 1, 0), (4, 4, 0), (4, 1, 0.75), (4, 9, 0), (4, 0, 1)]
)
def test_progress_at_its_limits(start, now, share):
    assert progress(start, now) == share


def test_a_goal_on_its_way_is_where_it_is_now_and_stays_the_goal_when_it_is_silent():
    task = NavigationTask(NavigationSettings(least_distance=0.0), "val")
    enter_scene(task, "home:val:0")
    ground, rng = task.simulator.ground, np.random.default_rng(1)
    start, goal = ground.random_point(rng), ground.random_point(rng)
    way = ground.shortest_path(goal, start)
    times = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1))])
    episode = Episode(
        episode_id="walks",
        scene="home:val:0",
        start_position=tuple(start),
        start_heading=0.0,
        goal_position=tuple(goal),
        sound="telephone",
        onset=0.5,
        duration=0.5,
        trajectory=tuple((t, *p) for t, p in zip(times, way, strict=True)),
    )
    task.begin(episode)
    levels, distances = [np.abs(task.waveform).max()], [task.distance]
    for _ in range(11):
        outcome = task.step(LEFT)
        assert outcome.reward == pytest.approx(-0.01 + distances[-1] - task.distance)
        levels.append(np.abs(task.waveform).max())
        distances.append(task.distance)
    # It comes at 1 m/s along the way to the body, which stands.
    np.testing.assert_allclose(np.diff(distances), -0.25, atol=0.03)
    np.testing.assert_allclose(task.goal, ground.snap(episode.goal_way().position(11 * 0.25)), atol=1e-9)
    assert max(levels[:2]) < 1e-6 < levels[2] and task.success is False
    assert levels[-1] < 1e-3 * max(levels), "it fell silent at 1 s, and its reverberation has died away"


@pytest.mark.parametrize(
    "changes",
    [
        {"start_position": (1e400, 0, 0)}, {"start_position": [[1, 2, 3]]}, {"start_position": "abc"},
        {"goal_position": (0.0, 0.0)}, {"scene": 3}, {"episode_id": "x" * 5000}, {"sound_offset": 1e308},
        {"sound_offset": -1.0}, {"start_heading": None}, {"onset": float("nan")}, {"duration": "long"},
        {"trajectory": [[0, 0, 0]]}, {"trajectory": [[1, 0, 0, 0], [0, 0, 0, 0]]}, {"trajectory": [["a"] * 4]},
    ],
)  # fmt: skip
def test_an_episode_that_cannot_be_is_refused(changes):
    given = {
        "episode_id": "x",
        "scene": "s",
        "start_position": (0, 0, 0),
        "start_heading": 0,
        "goal_position": (1, 0, 0),
    }
    with pytest.raises(EpisodeError) as caught:
        Episode(**{**given, **changes})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "line",
    [
        "[" * 100_000, '{"episode_id": "a", "episode_id": "b"}', "1" * 5000, "NaN", '{"a": 1e999}',
        '{"episode_id": "a", "scene": "b", "start_position": [[1], 2], "start_heading": 0, "goal_position": [1, 2, 3]}',
    ],
)  # fmt: skip
def test_hostile_lines_are_refused_by_their_number(tmp_path, line):
    (tmp_path / "bad.jsonl").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(EpisodeError, match="line 1"):
        read_episodes(tmp_path / "bad.jsonl")


def test_files_that_are_damaged_or_unpack_without_end_are_refused(tmp_path, monkeypatch):
    import gzip

    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"{}" * 1000)[:-9])
    (tmp_path / "flipped.jsonl.gz").write_bytes(gzip.compress(bytes(range(256)) * 40)[:30] + b"\xff" * 60)
    monkeypatch.setattr("harken.tasks.episodes.LARGEST_FILE", 10_000)
    (tmp_path / "bomb.jsonl.gz").write_bytes(gzip.compress(b" " * 1_000_000))
    for name in ("cut", "flipped", "bomb"):
        with pytest.raises(EpisodeError, match=f"{name}.jsonl.gz"):
            read_episodes(tmp_path / f"{name}.jsonl.gz")
    for path in (None, b"bytes", 3):
        with pytest.raises(EpisodeError, match="path of a file"):
            read_episodes(path)
