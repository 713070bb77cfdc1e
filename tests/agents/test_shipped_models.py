"""The models that come with Harken find what they were trained to find, in homes that nobody has seen."""

import numpy as np
import pytest

for package in ("torch", "sb3_contrib", "safetensors"):
    pytest.importorskip(package, reason="needs harken[train]")

from harken.agents import find_model, list_models  # noqa: E402
from harken.eval import Evaluation, evaluate  # noqa: E402

LARGEST = 10_000_000


def played(episodes, agent="av-nav", task="audiogoal", **arguments):
    evaluation = Evaluation(
        agent=agent, environment=task, arguments={"split": "test", **arguments}, episodes=episodes, recorded=0
    )
    return evaluate(evaluation, progress=False)


def test_av_nav_finds_the_telephone_in_homes_of_the_test_split():
    records = played(8)
    assert sum(record.measures["success"] for record in records) >= 6
    assert np.mean([record.measures["spl"] for record in records]) > 0.604  # what the direction follower reaches


def test_av_nav_heard_finds_sounds_that_nobody_has_trained_with():
    records = played(8, agent="av-nav-heard", sound="unheard")
    assert sum(record.measures["success"] for record in records) >= 5
    assert np.mean([record.measures["spl"] for record in records]) > 0.559  # the direction follower, in 500 episodes


@pytest.mark.parametrize("agent", ["av-wan", "look-listen-act"])
def test_agents_that_act_in_way_points_find_the_telephone(agent):
    records = played(8, agent=agent)
    assert sum(record.measures["success"] for record in records) >= 6
    assert np.mean([record.measures["spl"] for record in records]) > 0.604


def test_av_nav_dynamic_catches_a_telephone_that_walks():
    records = played(8, agent="av-nav-dynamic", task="dynamic-audiogoal")
    assert sum(record.measures["success"] for record in records) >= 6
    assert np.mean([record.measures["dspl"] for record in records]) > 0.409  # the direction follower, in 200 episodes


def test_savi_finds_objects_that_sounded_for_a_while():
    records = played(12, agent="savi", task="semantic-audiogoal")
    assert sum(record.measures["success"] for record in records) >= 4  # random finds one in 500


def test_av_nav_attacked_finds_the_telephone_beside_a_decoy():
    records = played(8, agent="av-nav-attacked", task="adversarial-audiogoal", attacker="decoy")
    assert sum(record.measures["success"] for record in records) >= 7  # av-nav-unattacked finds half of 200


def test_av_nav_draws_the_same_actions_again():
    one, other = played(2), played(2)
    assert [record.measures for record in one] == [record.measures for record in other]


def test_every_model_has_a_card_and_is_small():
    assert "av-nav" in [model.name for model in list_models()]
    for model in list_models():
        card = model.card
        assert model.weights.stat().st_size < LARGEST
        assert card.command and card.steps > 0 and card.seconds > 0 and card.curve and card.results
    assert max(spl for _, spl in find_model("av-nav").card.curve) > 0.73
