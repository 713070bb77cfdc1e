import numpy as np
import pytest

from harken.errors import ConfigurationError
from harken.eval import Evaluation, evaluate

pytest.importorskip("stable_baselines3")

from harken.agents import ForwardAgent, PolicyAgent
from harken.agents.training import PPOSettings, train_attacker

QUICK = {"acoustics": {"rays": 200, "waypoint_rays": 50, "duration": 0.3}, "max_steps": 12}
ARGUMENTS = {"preset": "saavn-continuous", "config": QUICK}
SHORT = PPOSettings(steps=32, rollout=16, batch=16, epochs=1)


def trained(folder, name="attacker.zip", **options):
    return train_attacker(ForwardAgent, folder / name, settings=SHORT, environments=2, **ARGUMENTS, **options)


def test_an_attacker_is_trained_and_attacks_and_the_same_seed_gives_the_same_weights(tmp_path):
    path, again, other = trained(tmp_path), trained(tmp_path, "again.zip"), trained(tmp_path, "other.zip", seed=1)
    one, two, three = (PolicyAgent.load(file, trust=True).model.policy.state_dict() for file in (path, again, other))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], three[name]) for name in one)
    arguments = {**ARGUMENTS, "split": "val", "attacker": path}
    what = Evaluation(
        agent="forward", environment="adversarial-audiogoal", arguments=arguments, episodes=1, recorded=0, trust=True
    )
    assert evaluate(what, progress=False)[0].measures["attacker_distance"] > 0.5


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("attacker.bin", {}, r"expected a name in \.zip"),
        ("a.zip", {"settings": PPOSettings(rollout=4, batch=64)}, "Lower it"),
        ("a.zip", {"environments": 0}, "environments"),
        ("a.zip", {"seed": -1}, "seed"),
    ],
)
def test_wrong_arguments_are_errors(tmp_path, name, options, message):
    with pytest.raises(ConfigurationError, match=message):
        train_attacker(ForwardAgent, tmp_path / name, **options)
