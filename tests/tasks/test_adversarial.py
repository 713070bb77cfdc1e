import dataclasses
import math

import numpy as np
import pytest

from harken.configs import from_mapping, load_preset
from harken.errors import ActionError, ConfigurationError, EpisodeError, UnknownNameError
from harken.sound.level import active_rms
from harken.tasks import Episode, NavigationSettings, NavigationTask, write_episodes
from harken.tasks.adversarial import AdversarialEpisode, AdversarialSettings, AdversarialTask
from harken.tasks.attackers import MixedAttacker
from harken.tasks.protocol import enter_scene

STOP, AHEAD, LEFT, RIGHT = range(4)
STAY, FORWARD, BACK, WEST, EAST = range(5)
HOME = "home:val:0"
QUICK = {"acoustics": {"rays": 200, "duration": 0.3}, "max_steps": 200}


def task_in(split="val", *, who=None, **settings):
    rules = from_mapping(AdversarialSettings, {**QUICK, **settings})
    task = AdversarialTask(rules, split, attacker=who)
    enter_scene(task, HOME)
    return task


def drawn(task, seed=0):
    return task.sample(np.random.default_rng(seed), episode_id="e", scene=HOME)


def begun(task, seed=0):
    episode = drawn(task, seed)
    task.begin(episode)
    return episode


def test_an_episode_is_that_of_audiogoal_with_an_attacker_besides():
    usual = NavigationTask(from_mapping(NavigationSettings, QUICK), "val")
    enter_scene(usual, HOME)
    task = task_in()
    for seed in range(5):
        attacked, plain = drawn(task, seed), drawn(usual, seed)
        assert all(getattr(attacked, f.name) == getattr(plain, f.name) for f in dataclasses.fields(Episode))


def test_a_silent_attacker_leaves_sound_rewards_and_measures_as_they_are_in_audiogoal():
    usual = NavigationTask(from_mapping(NavigationSettings, QUICK), "val")
    enter_scene(usual, HOME)
    task = task_in(who="silent")
    usual.begin(begun(task, 3))
    assert task.waveform.tobytes() == usual.waveform.tobytes()
    while not usual.stopped:
        action = usual.oracle_action()
        assert task.oracle_action() == action and task.step(action) == usual.step(action)
        assert task.waveform.tobytes() == usual.waveform.tobytes()
    measures = task.measures()
    assert {name: measures[name] for name in usual.measures()} == usual.measures()
    assert set(measures) - set(usual.measures()) == {"mean_reward", "attacker_distance", "attacker_share"}
    assert measures["attacker_share"] == 0.0


def test_measures_of_the_attack_are_means_over_the_steps():
    task = task_in()
    begun(task)
    assert task.measures()["attacker_distance"] == pytest.approx(
        math.dist(task.attacker.place, task.simulator.position)
    )
    rewards, distances = [], []
    for number, (move, volume) in enumerate([(FORWARD, 0), (EAST, 3), (BACK, 1), (STAY, 0), (STAY, 2)]):
        rewards.append(task.play(AHEAD if number % 2 else LEFT, (move, volume, 0)).reward)
        distances.append(math.dist(task.attacker.place, task.simulator.position))
    measures = task.measures()
    assert measures["mean_reward"] == pytest.approx(np.mean(rewards))
    assert measures["attacker_distance"] == pytest.approx(np.mean(distances))
    assert measures["attacker_share"] == pytest.approx(3 / 5)


def test_volumes_are_levels_relative_to_each_other():
    played = {}
    for volume in range(4):
        task = task_in()
        begun(task)
        for _ in range(4):
            task.play(LEFT, (STAY, volume, 5))
        played[volume] = task.attacker.source.samples[4500:20_000]
    assert not played[0].any() and played[3].any()
    for volume, level in ((1, -12.0), (2, -6.0), (3, 0.0)):
        np.testing.assert_allclose(played[volume], 10 ** (level / 20) * played[3], rtol=1e-5)


def test_all_categories_have_the_level_of_the_goal():
    task = task_in()
    begun(task)
    for number in range(0, len(task.attacker_categories), 7):
        samples, offset, gain = task._clip(number)
        assert 0 <= offset < len(samples)
        assert gain * active_rms(samples, 16_000) == pytest.approx(0.1, rel=1e-3)


def test_agent_and_attacker_are_heard_together():
    one, other = task_in(), task_in()
    begun(one)
    begun(other)
    for _ in range(4):
        one.play(LEFT, (STAY, 3, 0))
        other.play(LEFT, (STAY, 0, 0))
    assert not np.array_equal(one.waveform, other.waveform)
    attacker = one.simulator.sources[1]
    assert np.allclose(attacker.position, one.attacker.start + [0.0, 1.5, 0.0])


def test_a_sound_is_heard_to_come_from_where_the_attacker_is():
    """Its level falls with its distance: the goal is out of the way, and the attacker alone is listened to."""
    task = task_in(
        attacker={"least_agent_distance": 0.0, "least_goal_distance": 0.0}, acoustics={"reverberation": False}
    )
    episode = begun(task)
    start, levels = np.array(episode.start_position), []
    ways = task.simulator.ground.moves(start, [0.0, np.pi / 2, np.pi, -np.pi / 2], 3.0)
    far = ways[int(np.argmax(np.linalg.norm(ways - start, axis=1)))]
    for share in (0.3, 1.0):
        place = task.simulator.ground.snap(start + share * (far - start))
        task.begin(dataclasses.replace(episode, attacker_position=tuple(place.tolist())))
        for _ in range(4):
            task.play(LEFT, (STAY, 3, task.attacker_categories.index("telephone")))
        each = task.simulator.hear_each(4000)
        levels.append(10 * np.log10(np.square(each[1]).mean()))
    assert levels[0] - levels[1] > 5.0  # 10.5 dB in the free field


def test_moves_go_along_the_axes_at_the_speed_of_the_agent():
    limits = {"least_agent_distance": 0.0, "least_goal_distance": 0.0}
    task = task_in(attacker=limits)
    for seed in range(20):
        begun(task, seed)
        ends = task.simulator.ground.moves(task.attacker.place, [0.0, np.pi, np.pi / 2, -np.pi / 2], 0.5)
        if np.linalg.norm(ends - task.attacker.place, axis=1).min() > 0.49:
            break
    start = task.attacker.place
    task.play(LEFT, (STAY, 0, 0))
    assert np.array_equal(task.attacker.place, start)
    for move, way in ((FORWARD, (0, -0.25)), (BACK, (0, 0.25)), (WEST, (-0.25, 0)), (EAST, (0.25, 0))):
        before = task.attacker.place
        task.play(LEFT, (move, 0, 0))
        assert (task.attacker.place - before)[[0, 2]] == pytest.approx(way, abs=1e-6) and not task.attacker.collided
    swift = task_in(attacker={**limits, "speed": 2.0})
    begun(swift, seed)
    swift.play(LEFT, (EAST, 0, 0))
    assert (swift.attacker.place - start)[0] == pytest.approx(0.5, abs=1e-6)


def test_an_attacker_stays_on_the_floor_and_slides_along_its_edge():
    task = task_in(attacker={"least_agent_distance": 0.0, "least_goal_distance": 0.0})
    begun(task)
    ground, collided = task.simulator.ground, 0
    for step in range(120):
        place = task.attacker.place
        move = (FORWARD, EAST, BACK, WEST)[step // 30]
        expected, blocked = ground.move(
            place, {FORWARD: 0.0, EAST: -np.pi / 2, BACK: np.pi, WEST: np.pi / 2}[move], 0.25
        )
        task.play(LEFT, (move, 0, 0))
        assert ground.is_free(task.attacker.place) and np.array_equal(task.attacker.place, expected)
        assert task.attacker.collided == blocked
        collided += blocked
    assert collided > 10


def test_an_attacker_keeps_its_distance_from_agent_and_goal():
    task = task_in(attacker={"least_agent_distance": 1.5, "least_goal_distance": 2.5})
    rng = np.random.default_rng(0)
    for seed in range(4):
        episode = begun(task, seed)
        assert math.dist(episode.attacker_position, episode.start_position) >= 1.5
        assert math.dist(episode.attacker_position, episode.goal_position) >= 2.5
        for _ in range(50):
            goal, before = task.goal, task.attacker.place
            task.play(int(rng.integers(1, 4)), (int(rng.integers(1, 5)), 0, 0))
            here, agent = task.attacker.place, task.simulator.position
            assert math.dist(here, goal) >= 2.5
            # The agent may come nearer; the attacker then does not go nearer on its own.
            assert math.dist(here, agent) >= min(1.5, math.dist(before, agent)) - 1e-9


def test_an_attacker_off_the_floor_or_too_near_is_an_error():
    task = task_in()
    episode = drawn(task)
    for place, message in (
        ((100.0, 0.0, 100.0), "off the floor"),
        (episode.goal_position, "from the goal; expected at least 2 m"),
        (episode.start_position, "from the agent; expected at least 1 m"),
    ):
        with pytest.raises(EpisodeError, match=message):
            task.begin(dataclasses.replace(episode, attacker_position=place))
    with pytest.raises(EpisodeError, match="least_agent_distance"):
        drawn(task_in(attacker={"least_agent_distance": 500.0}))


@pytest.mark.parametrize(
    "attack", [None, 3, (0, 0), (0, 0, 0.5), (5, 0, 0), (0, 4, 0), (0, 0, 10_000), (-1, 0, 0), "abc", ((0,), (0, 0), 1)]
)
def test_a_wrong_attack_is_an_error(attack):
    task = task_in()
    begun(task)
    with pytest.raises(ActionError, match="attacker's action"):
        task.play(LEFT, attack)
    assert task.steps == 0


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"attacker": {"levels": []}}, ConfigurationError, "at least one level"),
        ({"attacker": {"levels": [200.0]}}, ConfigurationError, "levels"),
        ({"attacker": {"speed": -1.0}}, ConfigurationError, "speed"),
        ({"attacker": {"policy": "decoi"}}, UnknownNameError, "decoy"),
        ({"attacker": {"categories": ["telephon"]}}, UnknownNameError, "telephone"),
        ({"attacker": {"speeed": 1.0}}, UnknownNameError, "attacker.speed"),
        (
            {"body": {"motion": "grid", "forward_step": 1.0, "turn_angle_degrees": 90}, "attacker": {"speed": 1.0}},
            ConfigurationError,
            "one node a step",
        ),
    ],
)
def test_wrong_settings_are_errors(settings, error, message):
    with pytest.raises(error, match=message):
        task_in(**settings)


class Listening:
    """Attacks as it is told by what it hears."""

    sensors = ("waveform", "spectrogram", "pose", "agent", "goal", "goal_category", "collision")

    def reset(self, seed):
        self.seen = []

    def act(self, observation):
        self.seen.append(observation)
        return (FORWARD, 1, 0)


def test_an_attacker_that_is_given_sees_where_all_are_and_hears_the_goal():
    given = Listening()
    task = task_in(who=given)
    episode = begun(task, 2)
    start = task.attacker.place
    task.step(LEFT)
    first = given.seen[0]
    away = np.array(episode.goal_position) - start
    assert first["goal"] == pytest.approx([-away[2], -away[0]], abs=1e-5)
    away = np.array(episode.start_position) - start
    assert first["agent"][:2] == pytest.approx([-away[2], -away[0]], abs=1e-5)
    assert task.attacker_categories[first["goal_category"] - 1] == "telephone"
    assert not first["pose"].any()
    task.step(LEFT)
    assert given.seen[1]["pose"][2] == pytest.approx(0.25)
    for _ in range(6):
        task.step(LEFT)
    assert np.abs(given.seen[-1]["waveform"]).max() > 1e-4 and given.seen[-1]["spectrogram"].shape == (65, 26, 2)


@pytest.mark.parametrize("wrong", [Listening, object(), type("Odd", (Listening,), {"sensors": ("smell",)})()])
def test_what_is_no_attacker_is_an_error(wrong):
    with pytest.raises(ConfigurationError, match=r"attacker"):
        AdversarialTask(AdversarialSettings(), "val", attacker=wrong)


def test_a_decoy_goes_beyond_the_agent_and_plays_the_goals_category():
    task = task_in(who="decoy")
    ground = task.simulator.ground
    nearer = 0
    for seed in range(4):
        episode = begun(task, seed)
        start, goal = np.array(episode.start_position), np.array(episode.goal_position)
        for _ in range(80):
            task.step(LEFT)
        assert task.attacker_categories[task._attack[2]] == "telephone" and task._attack[1] == 3
        place, before = task.attacker.place, np.array(episode.attacker_position)
        assert ground.distance(place, task._decoy) < 0.5 or math.dist(place, task.simulator.position) < 1.3
        assert ground.distance(place, goal) > 2.0
        nearer += ground.distance(place, start) < ground.distance(before, start)
    assert nearer >= 2


def test_scripted_attackers_do_what_their_names_say():
    still, random = task_in(who="still"), task_in(who="random")
    begun(still)
    begun(random)
    attacks = []
    for _ in range(30):
        still.step(LEFT)
        random.step(LEFT)
        attacks.append(random._attack.tolist())
        assert still._attack[0] == STAY and still._attack[1] == 3
    assert np.array_equal(still.attacker.place, still.attacker.start)
    assert all(len(set(column)) > 3 for column in zip(*attacks, strict=True))


def test_a_mixed_attacker_is_one_of_the_others_for_an_episode():
    mixed = MixedAttacker((5, 4, 3), 3)
    seen = {"away": 1, "goal_category": 2}
    kinds = set()
    for seed in range(40):
        acts = []
        for _ in range(2):
            mixed.reset(seed)
            acts.append([mixed.act(seen).tolist() for _ in range(12)])
        assert acts[0] == acts[1], "the same episode has the same attacker"
        kinds.add(type(mixed._chosen).__name__)
    assert kinds == {"SilentAttacker", "RandomAttacker", "StillAttacker", "DecoyAttacker"}
    task = task_in(who="mixed")
    begun(task)
    task.step(LEFT)


def test_episodes_are_written_and_read_and_those_of_audiogoal_get_an_attacker(tmp_path):
    task = task_in()
    episode = begun(task)
    write_episodes(tmp_path / "e.jsonl", [episode])
    assert task.read_episodes(tmp_path / "e.jsonl") == (episode,)
    plain = Episode(**{f.name: getattr(episode, f.name) for f in dataclasses.fields(Episode)})
    starts = []
    for _ in range(2):
        task.begin(plain)
        starts.append(task.attacker.start.tolist())
        assert isinstance(task.episode, AdversarialEpisode)
    assert starts[0] == starts[1]
    with pytest.raises(EpisodeError, match="attacker_position"):
        AdversarialEpisode(**vars(plain), attacker_position=(0.0, np.nan, 0.0))
    with pytest.raises(EpisodeError, match="seed"):
        AdversarialEpisode(**vars(plain), attacker_position=(0.0, 0.0, 0.0), seed=-1)


def test_the_presets_are_the_grid_and_continuous_space():
    grid, free = load_preset(AdversarialSettings, "saavn"), load_preset(AdversarialSettings, "saavn-continuous")
    assert grid.body.motion == "grid" and grid.step_time == 1.0 and grid.attacker.policy == "random"
    usual = load_preset(NavigationSettings, "soundspaces2")
    assert all(getattr(free, f.name) == getattr(usual, f.name) for f in dataclasses.fields(NavigationSettings))
