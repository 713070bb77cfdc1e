import dataclasses
import itertools
import math

import numpy as np
import pytest
from scipy import stats

from harken.acoustics import AcousticSettings, Listener, Source
from harken.acoustics.bands import band_gains
from harken.configs import from_mapping
from harken.errors import ActionError, ConfigurationError, EpisodeError
from harken.scene import OCTAVE_BANDS
from harken.sim import BodySettings, WorldSettings, make_simulator
from harken.tasks import Episode, read_episodes, write_episodes
from harken.tasks.protocol import enter_scene
from harken.tasks.quiet import EAR_HEIGHTS, QuietEpisode, QuietNavTask, QuietSettings
from harken.tasks.quiet_oracle import QuietMove
from harken.tasks.robot_noise import FLOOR_SHAPE, IDLE_SHAPE, MOTOR_SHAPE, RobotNoise

STOP, AHEAD, LEFT, RIGHT, CREEP = range(5)
QUICK = {"acoustics": {"rays": 200, "duration": 0.3}}

A_WEIGHTS = np.array([-16.1, -8.6, -3.2, 0.0, 1.2, 1.0, -1.1])
"""IEC 61672-1:2013, table 3, at the octaves from 125 Hz to 8 kHz [dB]."""


def task_in(name="home:val:0", **settings):
    task = QuietNavTask(from_mapping(QuietSettings, {**QUICK, **settings}), "val")
    enter_scene(task, name)
    return task


def begun(task, seed=0):
    episode = task.sample(np.random.default_rng(seed), episode_id="e", scene="home:val:0")
    task.begin(episode)
    return episode


def played(task, agent):
    """Run an episode by an agent; returns its measures and what it earned."""
    ended, earned = False, 0.0
    while not ended:
        outcome = task.step(agent())
        ended, earned = outcome.terminated or outcome.truncated, earned + outcome.reward
    return task.measures(), earned


def weighted(noise, speed, floor):
    return 10 * np.log10(np.sum(10 ** ((noise.levels(speed, floor) + A_WEIGHTS) / 10)))


def test_the_level_at_one_metre_is_the_sum_of_fans_motors_and_steps():
    noise = RobotNoise(idle_level=30.0, motor_level=40.0, floor_level=50.0)
    # Levels add as powers: 10 lg(10^3 + 10^4 + 10^5) at 1 m/s; at 0.1 m/s motors have 20 dB less and steps 30 dB less.
    # The weights of the standard's table are rounded to 0.1 dB.
    assert weighted(noise, 1.0, "concrete") == pytest.approx(10 * math.log10(1e3 + 1e4 + 1e5), abs=0.06)
    assert weighted(noise, 0.1, "concrete") == pytest.approx(10 * math.log10(1e3 + 1e2 + 1e2), abs=0.06)
    assert weighted(noise, 0.0, "carpet") == pytest.approx(30.0, abs=0.06)
    # One noise alone has the spectrum of its shape.
    for name, shape in (("idle", IDLE_SHAPE), ("motor", MOTOR_SHAPE), ("floor", FLOOR_SHAPE)):
        alone = {**dict.fromkeys(("idle_level", "motor_level", "floor_level"), -50.0), f"{name}_level": 60.0}
        levels = RobotNoise(**alone).levels(1.0, None)
        np.testing.assert_allclose(levels - levels[3], np.array(shape) - shape[3], atol=1e-3)


def test_soft_floors_take_the_high_frequencies_of_steps_and_unknown_ones_count_as_hard():
    noise = RobotNoise(idle_level=-50.0, motor_level=-50.0, floor_level=60.0)
    hard, carpet = (noise.levels(1.0, floor) for floor in ("ceramic_tile", "carpet"))
    expected = [0.0, 0.0, 40 * math.log10(500 / 350), 40 * math.log10(1000 / 350), 25.0, 25.0, 25.0]
    np.testing.assert_allclose(hard - carpet, expected, atol=1e-3)
    for unknown in (None, "", "lava", "default"):
        assert np.array_equal(noise.levels(1.0, unknown), hard)


def test_sound_takes_both_ways_alike_within_the_engine_s_own_error():
    """The ear as source and the robot as listener, as the task has it, against the engine with the robot as source.

    Seeds draw other rays and other tails, so their differences spread by the engine's statistical error.
    Student's t of all pairs is tested at 1 % together. A level just noticeable is 1 dB (ISO 3382-1, table A.1).
    """
    power = RobotNoise().weighted_power(1.0, None)
    differences = []
    for seed in range(4):
        settings = WorldSettings(ear_height=0.3, acoustics=AcousticSettings(seed=seed))
        simulator, rng = make_simulator("home:val:1", settings), np.random.default_rng(5)
        for _ in range(6):
            robot = simulator.ground.random_point(rng) + [0.0, 0.3, 0.0]
            ear = simulator.ground.random_point(rng) + [0.0, EAR_HEIGHTS[0], 0.0]
            levels = []
            for source, listener in ((ear, robot), (robot, ear)):
                heard = simulator.impulse_response(Source(position=source), Listener(position=listener, format="mono"))
                levels.append(10 * math.log10(band_gains(heard.samples[0], heard.rate) @ power))
            differences.append(levels[0] - levels[1])
    by_pair = np.array(differences).reshape(4, 6)
    assert stats.ttest_1samp(by_pair, 0.0).pvalue.min() * 6 > 0.01
    error = by_pair.std(0, ddof=1) / 2
    assert np.abs(by_pair.mean(0)).mean() < 2 * error.mean() and abs(by_pair.mean()) < 0.5


def test_levels_are_those_of_the_engine_s_response_with_the_ear_as_source():
    """Worked from the power spectrum of the response, in rectangular bands of the same power."""
    task = task_in(acoustics={"rays": 2000})
    episode = begun(task)
    place = task.simulator.position
    for ear, level in zip(episode.ears, task.levels_at(place, QuietMove.MOVE_FORWARD), strict=True):
        heard = task.simulator.impulse_response(
            Source(position=ear), Listener(position=place + [0.0, 0.3, 0.0], format="mono")
        )
        spectrum = np.abs(np.fft.rfft(heard.samples[0].astype(float))) ** 2
        frequencies = np.fft.rfftfreq(heard.samples.shape[1], 1 / heard.rate)
        bands = [spectrum[(frequencies >= f / 2**0.5) & (frequencies < f * 2**0.5)].mean() for f in OCTAVE_BANDS]
        levels = task.settings.noise.levels(1.0, task.simulator.floor_material(place)) + A_WEIGHTS
        # Smooth bands take up some of their neighbours: less than a decibel together.
        assert level == pytest.approx(10 * math.log10(10 ** (levels / 10) @ bands), abs=1.0)


def test_measures_and_rewards_are_those_of_the_levels_at_the_ears():
    """Worked from the levels of each step alone, over trajectories of random actions and of the oracle's."""
    task, rng = task_in(), np.random.default_rng(0)
    settings, arrived = task.settings, 0
    for seed in range(20):
        begun(task, seed)
        at_rest, loudest, ended, before = task.noise, [], False, task.distance
        measures = task.measures()
        assert measures["noise_mean"] == measures["noise_max"] == at_rest and measures["noise_above"] == 0.0
        for _ in range(12 if seed < 16 else 200):
            action = int(rng.integers(1, 5)) if seed < 16 else task.oracle_action()
            outcome = task.step(action)
            level = max(task.levels_at(task.simulator.position, QuietMove(action)))
            loudest.append(level)
            expected = -0.01 + (before - task.distance) - 0.05 * max(0.0, level - 45.0) + 10.0 * task.success
            assert outcome.reward == pytest.approx(expected, abs=1e-6)
            ended, before = outcome.terminated, task.distance
            if ended:
                arrived += task.success
                break
        measures = task.measures()
        mean = 10 * math.log10(sum(10 ** (level / 10) for level in loudest) / len(loudest))
        above = [level > settings.threshold for level in loudest]
        assert measures["noise_mean"] == pytest.approx(mean, abs=1e-6)
        assert measures["noise_max"] == pytest.approx(max(loudest), abs=1e-6)
        assert measures["noise_above"] == pytest.approx(sum(above) / len(above), abs=1e-6)
        assert measures["quiet_success"] == float(task.success and not any(above))
        assert task.sensors["noise"].read({})[0] == pytest.approx(loudest[-1], abs=1e-4)
    assert arrived == 4


def test_creeping_is_slower_and_quieter_and_turning_quieter_still():
    task = task_in()
    begun(task)
    here = task.simulator.position
    level = {move: task.levels_at(here, move).max() for move in QuietMove}
    assert level[STOP] < level[LEFT] == level[RIGHT] < level[CREEP] < level[AHEAD]
    for action, length in ((AHEAD, 0.25), (CREEP, 0.1)):
        begun(task)
        task.step(action)
        assert task.walk.path_length == pytest.approx(length, abs=1e-3) or task.walk.collided


def test_people_are_apart_and_clear_of_start_and_goal_and_not_in_solids():
    task = task_in(people=3)
    heights = set()
    for seed in range(5):
        episode = begun(task, seed)
        people, ends = np.array(episode.people), np.array([episode.start_position, episode.goal_position])
        assert all(math.dist(one, other) >= 2.0 for one, other in itertools.combinations(people, 2))
        assert np.linalg.norm(people[:, None] - ends, axis=2).min() >= 1.0
        assert all(task.simulator.ground.is_free(place) for place in people)
        assert not any(task.simulator.is_inside_solid(ear) for ear in episode.ears)
        heights |= set(episode.ear_heights)
    assert heights == set(EAR_HEIGHTS)


def test_the_sensor_says_where_people_are_and_pads_with_zeros():
    task = task_in(people=3)
    episode = begun(task)
    task.begin(dataclasses.replace(episode, people=episode.people[:2], ear_heights=episode.ear_heights[:2]))
    task.step(LEFT)
    seen = task.sensors["people"].read({})
    x, _, z = (np.array(episode.people[1]) - task.simulator.position).tolist()
    sine, cosine = math.sin(task.simulator.heading), math.cos(task.simulator.heading)
    assert seen.shape == (9,) and seen.dtype == np.float32
    assert seen[3:6] == pytest.approx([1.0, -sine * x - cosine * z, -cosine * x + sine * z], abs=1e-5)
    assert seen[0] == 1.0 and not seen[6:].any()
    assert int(task.sensors["last_action"].read({})) == 1 + LEFT


def test_where_nobody_is_nothing_is_heard():
    task = task_in()
    episode = begun(task)
    task.begin(dataclasses.replace(episode, people=(), ear_heights=()))
    task.step(AHEAD)
    measures = task.measures()
    assert task.noise == measures["noise_max"] == measures["noise_above"] == 0.0


def test_the_quiet_oracle_arrives_and_is_quieter_than_the_shortest_path():
    task = task_in()
    noisy, quiet = [], []
    for seed in range(4):
        for agent, found in ((task.oracle_action, noisy), (task.quiet_action, quiet)):
            begun(task, seed)
            measures, earned = played(task, agent)
            found.append([measures["noise_mean"], measures["noise_max"], measures["noise_above"], earned])
            assert measures["success"] == 1.0
    noisy, quiet = np.array(noisy), np.array(quiet)
    # Over 30 episodes of the test split the mean level falls by 8 dB and the greatest by 9 dB. The reward, which it
    # optimises, falls by no more than turns cost, which the plan does not count.
    assert (quiet[:, :3] <= noisy[:, :3]).all() and (quiet[:, 3] >= noisy[:, 3] - 0.1).all()
    assert (noisy - quiet)[:, :2].mean() > 4.0


def test_the_plan_is_the_same_whatever_was_asked_before():
    one, other = task_in(), task_in()
    begun(one, 1), begun(other, 1)
    for _ in range(15):
        asked = one.quiet_action()
        one.step(asked), other.step(asked)
    assert one.quiet_action() == other.quiet_action()


def test_episodes_are_written_and_read(tmp_path):
    task = task_in()
    episodes = [task.sample(np.random.default_rng(s), episode_id=str(s), scene="home:val:0") for s in range(3)]
    write_episodes(tmp_path / "e.jsonl.gz", episodes)
    assert read_episodes(tmp_path / "e.jsonl.gz", QuietEpisode) == tuple(episodes)
    assert task.read_episodes(tmp_path / "e.jsonl.gz") == tuple(episodes)


EPISODE = {"episode_id": "e", "scene": "home:val:0", "start_position": (0, 0, 0), "start_heading": 0.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"people": ((0, 0, 0),)}, "as many places"),
        ({"people": 3, "ear_heights": ()}, "as many places"),
        ({"people": ((0, 0),), "ear_heights": (1.2,)}, "people"),
        ({"people": ((0, np.nan, 0),), "ear_heights": (1.2,)}, "people"),
        ({"people": ((0, 0, 0),), "ear_heights": (-1.0,)}, "ear_heights"),
    ],
)
def test_impossible_people_are_refused(fields, message):
    with pytest.raises(EpisodeError, match=message):
        QuietEpisode(**EPISODE, goal_position=(1, 0, 0), **fields)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"people": -1}, "people"),
        ({"people": 0}, "people"),
        ({"creep_step": 0.25}, "shorter"),
        ({"noise_reward": 0.1}, "noise_reward"),
        ({"threshold": -5.0}, "threshold"),
        ({"noise": {"floor_level": 500.0}}, "floor_level"),
        ({"opens_doors": True}, "opens_doors"),
        ({"people_apart": np.nan}, "people_apart"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        from_mapping(QuietSettings, settings)


def test_what_does_not_fit_is_an_error():
    with pytest.raises(ConfigurationError, match="grid"):
        QuietSettings(body=BodySettings(motion="grid", forward_step=1.0, turn_angle=np.pi / 2))
    crowded = task_in(people=20, people_apart=6.0)
    with pytest.raises(EpisodeError, match="20 people do not fit in, 6 m apart"):
        begun(crowded)
    task = task_in()
    episode = begun(task)
    with pytest.raises(ActionError, match="4 creep"):
        task.step(5)
    more = dataclasses.replace(episode, people=episode.people * 2, ear_heights=episode.ear_heights * 2)
    with pytest.raises(EpisodeError, match="set people to 4"):
        task.begin(more)
    plain = {f.name: getattr(episode, f.name) for f in dataclasses.fields(Episode)}
    task.begin(Episode(**plain))
    assert task.noise == 0.0
