import numpy as np
import pytest

from harken.configs import from_mapping, load_preset
from harken.errors import ConfigurationError, EpisodeError
from harken.tasks import read_episodes, write_episodes
from harken.tasks.dynamic import DynamicEpisode, DynamicSettings, DynamicTask, masked
from harken.tasks.protocol import enter_scene

STOP, AHEAD, LEFT, RIGHT = range(4)
QUICK = {"acoustics": {"rays": 200, "duration": 0.3}, "max_steps": 200}


def task_in(split="val", sound="telephone", **settings):
    task = DynamicTask(from_mapping(DynamicSettings, {**QUICK, **settings}), split, sound=sound)
    enter_scene(task, "home:val:0")
    return task


def begun(task, seed=0):
    episode = task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0")
    task.begin(episode)
    return episode


def test_a_goal_walks_in_three_seconds_of_ten_along_the_floor():
    task = task_in(max_steps=2000)
    moved = []
    for seed in range(4):
        way = begun(task, seed).goal_way()
        places = np.array([way.position(second) for second in range(500)])
        steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
        moved += (steps > 1e-6).tolist()
        assert steps.max() <= 1.0 + 1e-6  # it goes round corners within a second
        assert all(task.walk.ground.distance(task.walk.ground.snap(place), place) < 0.1 for place in places[::50])
    assert np.mean(moved) == pytest.approx(0.3, abs=4 * np.sqrt(0.3 * 0.7 / len(moved)))


def test_in_training_half_of_the_goals_stand_still_and_elsewhere_none():
    training, testing = task_in("train"), task_in("val")
    stands = [not begun(training, seed).trajectory for seed in range(60)]
    assert np.mean(stands) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(60))
    assert all(begun(testing, seed).trajectory for seed in range(10))


def test_a_stop_counts_where_the_goal_is_now():
    task = task_in(move_probability=1.0)
    episode = begun(task)
    first = np.array(episode.goal_position)
    while task.walk.ground.distance(first, task.goal) < 1.5:
        task.step(LEFT)
    now = task.simulator.ground.snap(episode.goal_way().position(task.steps * 0.25))
    assert np.array_equal(task.goal, now)
    task.simulator.place(first, 0.0)
    task.walk._measure_distance()
    assert not task.success
    task.simulator.place(now, 0.0)
    task.walk._measure_distance()
    task.step(STOP)
    assert task.success


def brute_force(task, episode):
    """Return the first step at which the oracle can be where the goal is, without any bound."""
    way, ground = episode.goal_way(), task.simulator.ground
    for step in range(1, task.settings.max_steps + 1):
        place = ground.snap(way.position((step - 1) * task.settings.step_time))  # where it is before the stop
        task.oracle.set_goal(place)
        if task.oracle.count_actions(np.array(episode.start_position), episode.start_heading) <= step:
            return step, ground.distance(np.array(episode.start_position), place)
    return task.settings.max_steps, np.nan


def test_dynamic_measures_are_those_of_the_earliest_meeting():
    """Against a search over all steps, for twenty walks that catch the goal late."""
    task, rng = task_in(move_probability=0.6, most_distance=4.0), np.random.default_rng(0)
    for seed in range(20):
        episode = begun(task, seed)
        steps, distance = brute_force(task, episode)
        task.begin(episode)
        for action in rng.integers(1, 4, size=int(rng.integers(30))):
            task.step(action)
        task.simulator.place(task.goal, 0.0)
        task.walk._measure_distance()
        task.step(STOP)
        measures = task.measures()
        walked = task.walk.path_length
        assert measures["success"] == 1.0
        assert measures["dsna"] == pytest.approx(steps / max(steps, task.steps), abs=1e-6)
        assert measures["dspl"] == pytest.approx(min(1.0, distance / max(walked, 1e-9)), abs=1e-6)


def test_the_oracle_meets_the_goal_at_the_earliest_step():
    task = task_in(move_probability=0.6)
    for seed in range(5):
        begun(task, seed)
        while not task.stopped:
            task.step(task.oracle_action())
        measures = task.measures()
        assert measures["success"] == 1.0 and measures["dsna"] == 1.0 and measures["dspl"] > 0.9


def test_an_agent_that_fails_earns_no_dynamic_measure():
    task = task_in()
    begun(task)
    task.step(STOP)
    measures = task.measures()
    assert measures["success"] == measures["dspl"] == measures["dsna"] == 0.0


def test_a_second_sound_comes_from_the_goal_and_a_distractor_from_elsewhere():
    task = task_in(sound="heard", second_share=1.0, distractor_share=1.0)
    episode = begun(task, 1)
    goal, second, distractor = task.simulator.sources
    assert len({episode.sound, episode.second_sound}) == 2 and episode.distractor != episode.sound
    assert np.array_equal(goal.position, second.position) and second.trajectory is not None
    assert np.linalg.norm(distractor.position - goal.position) > 0.1
    length = round(0.25 * task.simulator.rate)
    steps = np.abs(distractor.samples).reshape(-1, length).max(1) > 0.0
    assert 0.2 < steps.mean() < 0.9  # it sounds in about half of the steps, and fades at their edges
    plain = task_in(sound="heard")
    begun(plain, 1)
    assert len(plain.simulator.sources) == 1


def test_masks_hide_a_band_some_frames_both_or_nothing():
    heard = np.random.default_rng(0).random((65, 69, 2)).astype(np.float32)
    settings, kinds = DynamicSettings(masking=True), []
    for seed in range(400):
        shown = masked(heard, np.random.default_rng(seed), settings)
        hidden = (shown != heard).any(2)
        assert (shown[hidden] == heard.mean()).all()
        bands, frames = hidden.all(1), hidden.all(0)
        assert (hidden == (bands[:, None] | frames[None, :])).all()
        assert bands.sum() <= 12 and frames.sum() <= 32
        kinds.append((bands.any(), frames.any()))
    shares = [kinds.count(kind) / 400 for kind in ((False, False), (True, False), (False, True), (True, True))]
    # A quarter each, but that a width of nothing hides nothing.
    assert shares == pytest.approx([0.27, 0.24, 0.25, 0.24], abs=0.08)


def test_what_is_masked_depends_on_the_episode_and_the_step_alone():
    task, other = (task_in(masking=True) for _ in range(2))
    begun(task, 3)
    begun(other, 3)
    for _ in range(3):
        one, two = (t.sensors["spectrogram"].read({}) for t in (task, other))
        assert np.array_equal(one, two) and np.array_equal(one, task.sensors["spectrogram"].read({}))
        task.step(LEFT)
        other.step(LEFT)


def test_episodes_are_written_and_read_and_bad_ones_are_errors(tmp_path):
    task = task_in(sound="heard", second_share=1.0, distractor_share=1.0)
    episode = begun(task)
    write_episodes(tmp_path / "e.jsonl", [episode])
    assert task.read_episodes(tmp_path / "e.jsonl") == (episode,)
    with pytest.raises(EpisodeError, match="unknown keys"):
        read_episodes(tmp_path / "e.jsonl")
    plain = {f: getattr(episode, f) for f in ("scene", "start_position", "start_heading", "goal_position", "sound")}
    for wrong, message in (
        ({"second_sound": 3}, "name of a clip"),
        ({"distractor_position": (0.0, np.inf, 0.0)}, "distractor_position"),
        ({"seed": -1}, "seed"),
    ):
        with pytest.raises(EpisodeError, match=message):
            DynamicEpisode(episode_id="e", **plain, **wrong)


def test_the_presets_are_the_published_grid_and_continuous_space():
    grid, free = load_preset(DynamicSettings, "dav-nav"), load_preset(DynamicSettings, "dav-nav-continuous")
    assert grid.body.motion == "grid" and grid.step_time == 1.0 and grid.distance_reward == 0.25
    assert free.body.motion == "continuous" and free.step_time == 0.25 and free.move_probability == 0.3
    with pytest.raises(ConfigurationError):
        DynamicSettings(move_probability=1.5)
