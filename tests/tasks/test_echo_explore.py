import numpy as np
import pytest

from harken.errors import ActionError, ConfigurationError, EpisodeError
from harken.sim import BodySettings
from harken.tasks.echo_depth import EchoEpisode
from harken.tasks.echo_explore import EchoExploreSettings, EchoExploreTask, ExploreMove
from harken.tasks.protocol import enter_scene


def task_in(name="home:val:0", **settings):
    task = EchoExploreTask(EchoExploreSettings(**settings), "val")
    enter_scene(task, name)
    return task


def begun(task, seed=0):
    episode = task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0")
    task.begin(episode)
    return episode


def covered_by_sampling(task, track):
    """Return which places lie within reach of a track along lines that stay on the floor, sampled every centimetre."""
    ground, found = task.simulator.ground, []
    for place in task._places:
        near = [p for p in track if np.linalg.norm((place - p)[[0, 2]]) <= task.settings.reach]
        found.append(any(all(ground.is_free(ground.snap(p + t * (place - p))) and _is_on(ground, p + t * (place - p))
                             for t in np.linspace(0, 1, 101)) for p in near))  # fmt: skip
    return np.array(found)


def _is_on(ground, point):
    return np.linalg.norm((ground.snap(point) - point)[[0, 2]]) < 0.02


def test_the_floor_within_reach_is_covered_and_what_is_behind_a_wall_is_not():
    task = task_in(places=300)
    begun(task)
    track, rng = [task.simulator.position.copy()], np.random.default_rng(0)
    for _ in range(60):
        task.step(task.oracle_action() if rng.random() < 0.8 else int(rng.integers(3)))
        track.append(task.simulator.position.copy())
    expected = covered_by_sampling(task, track)
    assert 0.1 < task.coverage < 0.9
    assert (task.covered == expected).mean() > 0.97  # lines along a wall are a matter of millimetres


def test_each_step_earns_what_it_covers():
    task = task_in()
    begun(task)
    start, earned = task.coverage, 0.0
    for _ in range(60):
        earned += task.step(task.oracle_action()).reward
    measures = task.measures()
    assert earned == pytest.approx(10.0 * (task.coverage - start) - 0.01 * 60)
    assert measures["gain"] == pytest.approx(task.coverage - start)
    assert measures["area"] == pytest.approx(task.coverage * task.simulator.ground.area)


def test_the_oracle_covers_the_whole_floor():
    task = task_in(places=200, enough=1.0)
    begun(task, 2)
    ended = False
    while not ended:
        outcome = task.step(task.oracle_action())
        ended = outcome.terminated or outcome.truncated
    assert task.success and task.coverage == 1.0


def test_an_echo_comes_back_of_the_body_s_own_click_alone():
    task = task_in()
    begun(task)
    first = task.sensors["waveform"].read({})
    assert first.shape == (2, 2646) and np.abs(first).max() > 0 and task.simulator.sources == ()
    assert np.array_equal(first, task.sensors["waveform"].read({}))
    task.step(ExploreMove.TURN_LEFT)
    assert not np.array_equal(first, task.sensors["waveform"].read({}))


def test_what_is_wrong_is_an_error(tmp_path):
    task = task_in()
    begun(task)
    with pytest.raises(ActionError, match="0 move forward, 1 turn left, 2 turn right"):
        task.step(3)
    with pytest.raises(EpisodeError, match="no episode file"):
        task.read_episodes(tmp_path / "e.jsonl")
    with pytest.raises(ConfigurationError, match="grid"):
        EchoExploreSettings(body=BodySettings(motion="grid", forward_step=1.0, turn_angle=np.pi / 2))
    with pytest.raises(EpisodeError, match="position"):
        task.begin(EchoEpisode(episode_id="e", scene="home:val:0", position=(np.nan, 0.0, 0.0), heading=0.0))
