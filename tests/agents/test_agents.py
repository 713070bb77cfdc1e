import numpy as np
import pytest

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.agents import Agent, DirectionFollower, ForwardAgent, RandomAgent, agents_for, make_agent
from harken.agents.steering import ObstacleMemory
from harken.envs import TaskEnv
from harken.errors import UnknownNameError
from harken.tasks import Action, NavigationSettings, NavigationTask

SETTINGS = NavigationSettings()
TASK = NavigationTask(SETTINGS, "val")
AGENTS = agents_for(TASK)
FAST = {"acoustics": {"rays": 300, "duration": 0.5}}


def clicks_from(azimuth, rate=16_000, seed=0):
    """What the head hears in a step of clicks in the free field from an azimuth [rad]."""
    filters, delays = HeadResponse.kemar(rate).lookup(np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]))
    clicks = np.zeros(4000)
    clicks[[300, 1700, 3100]] = 1.0
    spectrum = np.fft.rfft(clicks) * np.fft.rfft(filters, 4000)
    spectrum *= np.exp(-2j * np.pi * np.fft.rfftfreq(4000, 1 / rate) * np.asarray(delays)[:, None])
    heard = np.fft.irfft(spectrum, 4000) + 1e-5 * np.random.default_rng(seed).normal(size=(2, 4000))
    return np.float32(0.02 * heard)


def observation(waveform, depth=5.0, collided=False):
    padded = np.zeros((2, 16_000), np.float32)
    padded[:, :4000] = waveform
    wall = np.full((128, 128, 1), depth, np.float32)
    return {"waveform": padded, "depth": wall, "collision": np.array([collided], np.float32)}


@pytest.mark.parametrize("name", AGENTS)
def test_every_agent_keeps_the_seam_and_its_actions_exist(name):
    agent = make_agent(name, TASK)
    assert isinstance(agent, Agent)
    env = TaskEnv(split="val", sensors=agent.sensors, config=FAST)
    given, _ = env.reset(seed=0)
    agent.reset(0)
    for _ in range(30):
        action = agent.act(given)
        assert isinstance(action, int | np.integer) and 0 <= action < 4
        given, _, terminated, truncated, _ = env.step(np.int64(action))
        if terminated or truncated:
            break


@pytest.mark.parametrize("name", AGENTS)
def test_the_same_seed_gives_the_same_actions(name):
    def actions():
        agent = make_agent(name, TASK)
        env = TaskEnv(split="val", sensors=agent.sensors, config=FAST)
        given, _ = env.reset(seed=4)
        agent.reset(4)
        taken = []
        for _ in range(40):
            taken.append(agent.act(given))
            given, _, terminated, truncated, _ = env.step(np.int64(taken[-1]))
            if terminated or truncated:
                break
        return taken

    assert actions() == actions()


def test_an_unknown_agent_is_refused_with_a_suggestion():
    with pytest.raises(UnknownNameError, match="Did you mean 'follower'"):
        make_agent("folower", TASK)


def test_the_random_agent_takes_all_actions_alike():
    agent = RandomAgent(TASK)
    agent.reset(0)
    counts = np.bincount([agent.act({}) for _ in range(4000)], minlength=4)
    # Multinomial with p = 1/4: standard deviation 27.
    assert np.abs(counts - 1000).max() < 4 * 27.4


def test_the_forward_agent_turns_where_it_runs_into_something():
    agent = ForwardAgent()
    agent.reset(0)
    assert agent.act({"collision": np.array([0.0])}) == Action.MOVE_FORWARD
    assert agent.act({"collision": np.array([1.0])}) == Action.TURN_RIGHT


@pytest.mark.parametrize("azimuth", [-80, -40, -10, 10, 40, 80])
def test_the_follower_finds_the_side_of_a_sound(azimuth):
    agent = DirectionFollower(SETTINGS)
    agent.reset(0)
    agent.act(observation(clicks_from(np.radians(azimuth))))
    # One step cannot tell front from back, so only the lateral angle is compared. The bins are 5° wide.
    turned = agent.azimuth + SETTINGS.body.turn_angle  # its first action is a turn to the left
    assert np.degrees(np.arcsin(np.sin(turned))) == pytest.approx(azimuth, abs=8)


@pytest.mark.parametrize("azimuth", [0, 60, 120, 180, -60, -120])
def test_the_follower_tells_front_from_back_by_turning(azimuth):
    agent = DirectionFollower(SETTINGS)
    agent.reset(0)
    heading = 0.0
    for step in range(12):
        action = agent.act(observation(clicks_from(np.radians(azimuth) - heading, seed=step)))
        heading += SETTINGS.body.turn_angle * ((action == Action.TURN_LEFT) - (action == Action.TURN_RIGHT))
    away = (agent.azimuth + heading - np.radians(azimuth) + np.pi) % (2 * np.pi) - np.pi
    assert abs(np.degrees(away)) < 15


def test_the_follower_walks_to_a_sound_ahead_and_stops_where_it_is_very_loud():
    agent = DirectionFollower(SETTINGS)
    agent.reset(0)
    heading = 0.0
    for step in range(15):
        action = agent.act(observation(clicks_from(-heading, seed=step)))
        heading += SETTINGS.body.turn_angle * ((action == Action.TURN_LEFT) - (action == Action.TURN_RIGHT))
    assert action in (Action.MOVE_FORWARD, Action.TURN_RIGHT)
    while action != Action.MOVE_FORWARD:
        action = agent.act(observation(clicks_from(-heading, seed=99)))
        heading += SETTINGS.body.turn_angle * ((action == Action.TURN_LEFT) - (action == Action.TURN_RIGHT))
    assert agent.act(observation(np.full((2, 4000), 0.5, np.float32))) == Action.STOP


def test_obstacles_are_remembered_where_they_are_while_the_body_moves():
    memory = ObstacleMemory(SETTINGS)
    depth = np.full((128, 128), 9.0, np.float32)
    depth[:, 60:68] = 2.0  # a pillar 2 m ahead
    memory.see(depth)
    assert memory.free(0.0) == pytest.approx(1.8, abs=0.1)
    memory.move(Action.MOVE_FORWARD, False)
    assert memory.free(0.0) == pytest.approx(1.55, abs=0.1)
    for _ in range(9):
        memory.move(Action.TURN_LEFT, False)
    assert memory.free(-np.pi / 2) == pytest.approx(1.55, abs=0.1), (
        "after a quarter turn to the left it is at the right"
    )
    assert memory.free(0.0) > 5.0


def test_a_bump_is_remembered():
    memory = ObstacleMemory(SETTINGS)
    memory.move(Action.MOVE_FORWARD, True)
    assert memory.free(0.0) < SETTINGS.body.forward_step
