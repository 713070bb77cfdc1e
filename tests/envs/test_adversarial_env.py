"""AdversarialAudioGoal as environments: of the agent, of the attacker, and of both."""

import pickle
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from harken.agents import make_attacker
from harken.envs import AttackerEnv, TaskEnv
from harken.errors import ActionError, ConfigurationError, MissingDependencyError, StateError, UnknownNameError
from harken.eval import Evaluation, evaluate

ID = "harken/AdversarialAudioGoal-v0"
QUICK = {
    "acoustics": {"rays": 200, "waypoint_rays": 50, "duration": 0.3},
    "body": {"camera": {"width": 36, "height": 36}},
    "max_steps": 60,
}
ARGUMENTS = {"preset": "saavn-continuous", "split": "val", "config": QUICK}


class Turning:
    """Turns left, and stops in the end."""

    sensors = ("collision",)

    def __init__(self, stop=10**9):
        self._stop = stop

    def reset(self, seed):
        self._steps = 0

    def act(self, observation):
        self._steps += 1
        return 0 if self._steps > self._stop else 2


def attacking(**more):
    return AttackerEnv(Turning(), **ARGUMENTS, **more)


def told(env, seed, steps=12):
    """Return the bytes of everything that an environment says in some steps."""
    said, rng = [pickle.dumps(env.reset(seed=seed))], np.random.default_rng(seed)
    for _ in range(steps):
        said.append(pickle.dumps(env.step(rng.integers(env.action_space.nvec))))
    return said


def test_the_silent_attacker_leaves_the_observations_of_audiogoal_as_they_are():
    usual = gym.make("harken/AudioGoal-v2", split="val", config=QUICK)
    silent = gym.make(ID, **ARGUMENTS, attacker="silent")
    for episode in range(2):
        one, _ = usual.reset(options={"episode": episode})
        other, _ = silent.reset(options={"episode": episode})
        for action in (1, 2, 1, 3, 1, 0):
            assert pickle.dumps(one) == pickle.dumps(other)
            one, reward, *ends, info = usual.step(action)
            other, reward_too, *ends_too, more = silent.step(action)
            assert (reward, ends) == (reward_too, ends_too)
            assert all(np.array_equal(more[name], value) for name, value in info.items())


def test_who_attacks_is_a_setting_or_an_argument():
    assert TaskEnv("adversarial-audiogoal").settings.attacker.policy == "random"
    assert gym.make(ID, attacker="decoy").unwrapped.settings.attacker.policy == "decoy"
    config = {"attacker": {"policy": "still", "levels": [-3.0]}}
    settings = gym.make(ID, config=config).unwrapped.settings
    assert settings.attacker.policy == "still" and settings.attacker.levels == (-3.0,)
    with pytest.raises(UnknownNameError, match="Did you mean 'decoy'"):
        TaskEnv("adversarial-audiogoal", attacker="decoi")
    with pytest.raises(UnknownNameError, match="attacker"):
        TaskEnv("audiogoal", attacker="decoy")


def test_environments_made_from_one_have_attackers_of_their_own():
    env = TaskEnv("adversarial-audiogoal", attacker="random", **ARGUMENTS)
    alone = TaskEnv("adversarial-audiogoal", attacker="random", **ARGUMENTS)
    other = env.another()
    for each in (env, alone, other):
        each.reset(seed=1)
    for _ in range(5):
        said = [pickle.dumps(each.step(2)[1:]) for each in (env, alone)]
        other.step(2)
        assert said[0] == said[1]


@pytest.mark.parametrize("attacker", ["random", "still", "decoy"])
def test_an_attack_prepared_ahead_is_the_same(attacker):
    said = []
    for ahead in (False, True):
        env = TaskEnv("adversarial-audiogoal", attacker=attacker, prepare_ahead=ahead, **ARGUMENTS)
        said.append([pickle.dumps(env.reset(seed=4))])
        for action in (1, 2, 0):
            said[-1].append(pickle.dumps(env.step(action)))
        said[-1].append(pickle.dumps(env.reset()))
        env.close()
    assert said[0] == said[1]


def test_the_attackers_side_passes_both_checkers_without_a_warning():
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Responses are cut")
        check_env(attacking(), skip_render_check=True)
        checker.check_env(attacking())


def test_the_attackers_side_is_deterministic_and_pickles():
    one, other = attacking(), attacking(sensors=("pose", "waveform"))
    assert told(one, 5) == told(attacking(), 5) == told(one, 5)
    other.reset(seed=5)
    other.step(np.array([1, 3, 0]))
    copy = pickle.loads(pickle.dumps(other))
    for attack in ([2, 1, 5], [3, 0, 5], [0, 3, 7]):
        assert pickle.dumps(other.step(np.array(attack))) == pickle.dumps(copy.step(np.array(attack)))


def test_the_attackers_reward_is_the_negative_of_the_agents():
    env = AttackerEnv(Turning(stop=3), **ARGUMENTS)
    env.reset(options={"episode": 2})
    agent = TaskEnv("adversarial-audiogoal", attacker="silent", **ARGUMENTS)
    agent.reset(options={"episode": 2})
    ended = False
    while not ended:
        _, reward, ended, _, info = env.step(np.array([1, 3, 0]))
        assert reward == -agent.step(0 if info["steps"] == 4 else 2)[1]
    with pytest.raises(StateError, match="over"):
        env.step(np.array([0, 0, 0]))


def test_wrong_arguments_of_the_attackers_side_are_errors():
    with pytest.raises(UnknownNameError, match="Did you mean 'goal'"):
        attacking(sensors=("goall",))
    with pytest.raises(ConfigurationError, match="at least one sensor"):
        attacking(sensors=())
    with pytest.raises(ConfigurationError, match="Leave it out"):
        attacking(attacker="silent")
    env = attacking()
    env.reset(seed=0)
    with pytest.raises(ActionError, match="three whole numbers"):
        env.step(np.array([9, 0, 0]))


def both(**more):
    pytest.importorskip("pettingzoo")
    from harken.envs.parallel import AdversarialParallelEnv

    return AdversarialParallelEnv(**ARGUMENTS, **more)


def test_the_game_of_both_passes_the_tests_of_pettingzoo():
    from pettingzoo.test import parallel_api_test, parallel_seed_test

    parallel_api_test(both(), num_cycles=40)
    parallel_seed_test(both, num_cycles=20)


def test_rewards_of_the_game_sum_to_zero_and_it_ends_for_both_at_once():
    env = both()
    observations, infos = env.reset(seed=1, options={"episode": 1})
    assert set(observations) == set(infos) == {"agent", "attacker"}
    for player in env.agents:
        assert observations[player] in env.observation_space(player)
    for agent in (1, 2, 1, 0):
        place = env.state()[4:7]
        observations, rewards, terminated, truncated, infos = env.step({"agent": agent, "attacker": [1, 1, 0]})
        assert rewards["agent"] == -rewards["attacker"] != 0
        assert observations["attacker"] in env.observation_space("attacker")
    assert terminated == {"agent": True, "attacker": True} and not any(truncated.values()) and env.agents == []
    assert not np.array_equal(env.state()[4:7], place) and env.state()[10] == 1.0
    with pytest.raises(StateError, match=r"reset\(\)"):
        env.step({"agent": 1, "attacker": [0, 0, 0]})
    env.reset()
    with pytest.raises(ActionError, match="No action of attacker"):
        env.step({"agent": 1})


def test_the_game_of_both_is_the_agents_environment_with_these_attacks():
    env, agent = both(), TaskEnv("adversarial-audiogoal", attacker="still", **ARGUMENTS)
    one, _ = env.reset(options={"episode": 3})
    other, _ = agent.reset(options={"episode": 3})
    for _ in range(4):
        assert pickle.dumps(one["agent"]) == pickle.dumps(other)
        attack = agent.task._opponent.act({})
        one, *_ = env.step({"agent": 1, "attacker": attack})
        other, *_ = agent.step(1)


def test_without_pettingzoo_the_error_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pettingzoo", None)
    monkeypatch.delitem(sys.modules, "harken.envs.parallel", raising=False)
    with pytest.raises(MissingDependencyError, match=r"harken\[multi\]"):
        import harken.envs.parallel  # noqa: F401


class Loud:
    """An attacker of somebody's own."""

    sensors = ("goal_category",)

    def __init__(self, task):
        self.sizes = task.attack_sizes

    def reset(self, seed):
        pass

    def act(self, observation):
        return np.array([0, self.sizes[1] - 1, 0])


def evaluated(attacker):
    arguments = {**ARGUMENTS, "attacker": attacker}
    what = Evaluation(agent="forward", environment="adversarial-audiogoal", arguments=arguments, episodes=1, recorded=0)
    return evaluate(what, progress=False)[0].measures


def test_agents_are_evaluated_against_attackers_by_name_and_of_ones_own():
    assert evaluated("silent")["attacker_share"] == 0.0
    assert evaluated(f"{__name__}:Loud")["attacker_share"] == 1.0
    with pytest.raises(UnknownNameError, match="Did you mean 'still'"):
        evaluated("stil")
    with pytest.raises(ConfigurationError, match="There is no model"):
        evaluated("missing.zip")
    usual = TaskEnv("audiogoal", split="val").task
    with pytest.raises(ConfigurationError, match="nothing attacks"):
        make_attacker("silent", usual)
