"""Agents that act in way points: they obey masks, train, go on, are evaluated, and refuse what they cannot do."""

import json

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs harken[train]")
for package in ("sb3_contrib", "safetensors"):
    pytest.importorskip(package, reason="needs harken[train]")

from dataclasses import replace  # noqa: E402

from harken.agents import PolicyAgent  # noqa: E402
from harken.agents.networks import AvWanSize  # noqa: E402
from harken.agents.training import EncoderPolicy, ImitationSettings, PPOSettings, TrainSettings, train  # noqa: E402
from harken.agents.training.checkpoint import load_policy  # noqa: E402
from harken.agents.training.loop import environment_arguments  # noqa: E402
from harken.envs import TaskEnv  # noqa: E402
from harken.envs.drawing import HomePool  # noqa: E402
from harken.errors import ConfigurationError, UnknownNameError  # noqa: E402
from harken.eval import Evaluation, evaluate, judge_policy  # noqa: E402

SETTINGS = TrainSettings(
    agent="av-wan",
    environments=2,
    workers=1,
    pool=HomePool(homes=1, together=1, episodes=100),
    goals_per_home=2,
    imitation=ImitationSettings(steps=16, teacher_steps=16, rollout=8, batch=16),
    reinforcement=PPOSettings(steps=16, rollout=8, batch=16, epochs=1),
    evaluate_every=0,
    evaluation_episodes=1,
    checkpoint_every=16,
    device="cpu",
)
SPACE = gym.spaces.Dict(
    {
        "geometric_map": gym.spaces.Box(0, 255, (64, 64, 2), np.uint8),
        "collision": gym.spaces.Box(0.0, 1.0, (1,), np.float32),
        "action_mask": gym.spaces.Box(0, 1, (81,), np.int8),
    }
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a short training."""
    folder = tmp_path_factory.mktemp("waypoints")
    train(SETTINGS, folder, progress=False)
    return folder


def test_masked_cells_are_never_chosen():
    torch.manual_seed(0)
    policy = EncoderPolicy(SPACE, gym.spaces.Discrete(81), lambda _: 0.0, size=AvWanSize.small())
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = np.zeros(81, np.int8)
        mask[rng.choice(81, 3, replace=False)] = 1
        observation = {"geometric_map": np.zeros((64, 64, 2), np.uint8), "collision": np.zeros(1, np.float32)}
        for deterministic in (True, False):
            action, _ = policy.predict({**observation, "action_mask": mask}, deterministic=deterministic)
            assert mask[int(action)] == 1
    masks = torch.zeros(1, 81)
    masks[0, :2] = 1
    states = (torch.zeros(1, 1, 256),) * 2
    seen = {"geometric_map": torch.zeros(1, 64, 64, 2), "collision": torch.zeros(1, 1), "action_mask": masks}
    distribution, _ = policy.get_distribution(seen, states, torch.zeros(1))
    assert distribution.entropy().item() == pytest.approx(np.log(2.0), abs=1e-3)


def test_a_training_by_way_points_leaves_an_agent_that_is_evaluated(trained):
    lines = [json.loads(line) for line in (trained / "curve.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == ["imitation", "reinforcement"]
    agent = PolicyAgent.load(trained)
    assert set(agent.sensors) == {"spectrogram", "geometric_map", "acoustic_map", "collision"}
    assert agent.config["map"] == {"size": 64}
    env = TaskEnv("audiogoal", split="val", sound="telephone", config=agent.config, sensors=agent.sensors)
    assert agent.waypoint_steps == 3 and agent.fitted(env).longest == 3
    assert replace(SETTINGS, size="published").longest_way == 10
    for run in (Evaluation(agent=trained, arguments={"split": "val"}, episodes=1, recorded=0),):
        [record] = evaluate(run, progress=False)
        assert record.measures["steps"] >= len(record.actions), "measures count the body's steps"
    assert set(judge_policy(load_policy(trained / "best.safetensors"), SETTINGS)) >= {"spl", "reward"}
    assert "AV-WaN, small" in (trained / "card.yaml").read_text()


def test_a_training_by_way_points_goes_on_as_if_it_had_not_stopped(trained, tmp_path):
    train(replace(SETTINGS, reinforcement=replace(SETTINGS.reinforcement, steps=0)), tmp_path, progress=False)
    (tmp_path / "config.yaml").write_bytes((trained / "config.yaml").read_bytes())
    train(SETTINGS, tmp_path, progress=False)
    one, other = (load_policy(folder / "last.safetensors").state_dict() for folder in (trained, tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_teacher_of_way_points_stops_where_one_leads():
    assert environment_arguments(SETTINGS)["config"]["oracle_distance"] == 0.75
    assert environment_arguments(replace(SETTINGS, agent="av-nav"))["config"]["oracle_distance"] == 0.4


def test_what_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(UnknownNameError, match="av-wan"):
        TrainSettings(agent="av-van")
    pytest.importorskip("ray.rllib", reason="needs harken[rllib]", exc_type=ImportError)
    from harken.agents.training.cluster import train_on_cluster

    with pytest.raises(ConfigurationError, match="way points"):
        train_on_cluster(SETTINGS, tmp_path)
