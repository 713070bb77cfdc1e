"""Look, Listen, and Act: the ways it plans, the place it keeps, and that it trains."""

import json
import math
from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs harken[train]")
for package in ("sb3_contrib", "safetensors"):
    pytest.importorskip(package, reason="needs harken[train]")

from sb3_contrib.common.recurrent.type_aliases import RNNStates  # noqa: E402

from harken.agents import PolicyAgent  # noqa: E402
from harken.agents.networks.look_listen_act import (  # noqa: E402
    GoalMemory,
    ListeningEncoder,
    LookListenActSize,
    gathered_information,
    information,
    place_of,
    waypoint_ways,
    ways_to,
)
from harken.agents.training import ImitationSettings, TrainSettings, train  # noqa: E402
from harken.agents.training.look_listen_act import PlannerPolicy, spread_loss  # noqa: E402
from harken.agents.training.loop import environment_arguments, network_size  # noqa: E402
from harken.envs import TaskEnv  # noqa: E402
from harken.envs.drawing import HomePool  # noqa: E402
from harken.errors import ConfigurationError  # noqa: E402
from harken.eval import Evaluation, evaluate, judge_policy  # noqa: E402

SPACES = {
    "interaural": gym.spaces.Box(-200.0, 200.0, (135,), np.float32),
    "geometric_map": gym.spaces.Box(0, 255, (64, 64, 2), np.uint8),
    "pose": gym.spaces.Box(-1e4, 1e4, (4,), np.float32),
    "collision": gym.spaces.Box(0.0, 1.0, (1,), np.float32),
    "action_mask": gym.spaces.Box(0, 1, (81,), np.int8),
    "way_location": gym.spaces.Box(-1e4, 1e4, (2,), np.float32),
}
SIZE = LookListenActSize.small()
CENTER = 40


def policy_of(spaces=SPACES):
    torch.manual_seed(0)
    return PlannerPolicy(gym.spaces.Dict(spaces), gym.spaces.Discrete(81), lambda _: 1e-3, size=SIZE)


def observations(count):
    """Return random observations ``(count, …)``, in about half of which nothing is heard."""
    generator = torch.Generator().manual_seed(1)
    interaural = 2.0 * torch.rand(count, 5, 27, generator=generator) - 1.0
    interaural[..., -1] = torch.where(torch.rand(count, 1, generator=generator) < 0.5, -30.0, -200.0)
    return {
        "interaural": interaural.flatten(1),
        "geometric_map": 255 * (torch.rand(count, 64, 64, 2, generator=generator) < 0.02).to(torch.uint8),
        "pose": torch.rand(count, 4, generator=generator).cumsum(0),
        "collision": torch.zeros(count, 1),
        "action_mask": torch.ones(count, 81),
        "way_location": torch.rand(count, 2, generator=generator),
    }


def test_ways_over_a_free_map_are_straight_to_within_a_diagonal_step():
    ways = ways_to(torch.zeros(2, 32, 32, dtype=torch.bool), torch.tensor([[1.1, 0.0], [40.0, 0.0]]), 0.2)
    middles = (15.5 - torch.arange(32)) * 0.2
    for way, ahead in zip(ways, (1.1, 40.0), strict=True):
        straight = torch.hypot(ahead - middles[:, None], middles)
        assert (way >= straight - 0.3).all(), "no way is shorter than the straight line, but for the size of a cell"
        assert (way <= 1.09 * straight + 0.3).all(), "a way in steps to eight sides is longer by 8 % at most"
    assert ways[0].argmin() // 32 == 10, "the place is 1.1 m ahead, five and a half rows above the middle"


def test_a_wall_is_walked_around_where_it_is_open():
    occupied = torch.zeros(1, 32, 32, dtype=torch.bool)
    occupied[0, 10, 4:] = True  # ahead of the body, open at the left end
    body = ways_to(occupied, torch.tensor([[3.0, 0.0]]), 0.2)[0, 15, 15]
    assert body == pytest.approx(6.5, abs=0.4), "fifteen steps to the middle of the opening, seventeen back"
    place = torch.tensor([[3.0, 0.0]])
    shown = torch.zeros(1, 64, 64, dtype=torch.bool)
    shown[0, 20:22, 8:] = True
    ways = waypoint_ways(shown, place, 9, SIZE)[0]
    ways[CENTER] = torch.inf
    row, column = divmod(int(ways[27:].argmin()) + 27, 9)
    assert column < 4, "of the way points on this side of the wall, one towards its open end is nearest"
    assert row <= 4


def test_a_place_in_a_wall_is_gone_to_all_the_same():
    occupied = torch.zeros(1, 32, 32, dtype=torch.bool)
    occupied[0, :8] = True
    ways = ways_to(occupied, torch.tensor([[2.5, 0.0]]), 0.2)
    assert torch.isfinite(ways).all()
    assert ways[0, 8, 15] < ways[0, 15, 15] < ways[0, 31, 15]


def test_the_body_goes_towards_the_place_on_a_free_map():
    for place, chosen in (([9.0, 0.0], (0, 4)), ([0.0, 9.0], (4, 0)), ([0.0, -9.0], (4, 8)), ([-9.0, 0.0], (8, 4))):
        ways = waypoint_ways(torch.zeros(1, 64, 64, dtype=torch.bool), torch.tensor([place]), 9, SIZE)[0]
        assert divmod(int(ways.argmin()), 9) == chosen


def told(pose, place, spread):
    """Return what sounds tell of places, as rows of one sequence."""
    parts = (torch.tensor(part, dtype=torch.float32) for part in (pose, place, spread))
    return information(*parts)[None]


def known_after(told, kept=1.0):
    starts = torch.zeros(told.shape[:2], dtype=torch.bool)
    return place_of(gathered_information(torch.zeros(1, 5), told, starts, kept))[0].numpy()


def test_directions_from_two_places_tell_the_distance():
    # From the start the goal is heard ahead, and from 3 m farther to the left at the right and ahead: both are sure of
    # the direction and wrong in the distance. The lines cross 3 m ahead.
    rows = told([[0.0, 0.0, 0.0], [0.0, 3.0, 0.0]], [[6.0, 0.0], [1.0, -1.0]], [[10.0, 0.1], [10.0, 0.1]])
    assert known_after(rows)[0] == pytest.approx([6.0, 0.0], abs=1e-3)
    assert known_after(rows)[1] == pytest.approx([3.0, 0.0], abs=0.02)


def test_directions_turn_with_the_body():
    # A quarter to the left from the start: what is ahead of it lies to the left of the start.
    rows = told([[1.0, 2.0, math.pi / 2]], [[4.0, 0.0]], [[0.1, 5.0]])
    assert known_after(rows)[0] == pytest.approx([1.0, 6.0], abs=1e-3)
    _, _, ahead, left, beside = rows[0, 0].tolist()
    assert left == pytest.approx(100.0, rel=1e-3) and ahead == pytest.approx(0.04, rel=1e-3), "sure along the line"
    assert beside == pytest.approx(0.0, abs=1e-3)


def test_what_is_surer_counts_more_and_what_is_older_less():
    rows = told([[0.0, 0.0, 0.0]] * 2, [[2.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [0.5, 0.5]])
    assert known_after(rows)[1] == pytest.approx([(1 * 2.0 + 4 * 4.0) / 5, 0.0], abs=1e-4)
    assert known_after(rows, kept=0.5)[1] == pytest.approx([(0.5 * 2.0 + 4 * 4.0) / 4.5, 0.0], abs=1e-4)
    assert known_after(rows, kept=0.0)[1] == pytest.approx([4.0, 0.0], abs=1e-4)


def test_places_far_off_are_less_likely_where_the_prediction_is_sure():
    place, right = torch.tensor([[3.0, 0.0]]), torch.tensor([[3.0, 1.0]])
    # |1 m| / spread + log(spread) across the line, the logarithm alone along it; the mean of both.
    assert spread_loss(place, torch.tensor([[0.5, 2.0]]), right).item() == pytest.approx(
        0.5 * (math.log(0.5) + 0.5 + math.log(2.0))
    )
    assert spread_loss(place, torch.tensor([[0.5, 0.2]]), right).item() == pytest.approx(
        0.5 * (math.log(0.5) + 5.0 + math.log(0.2))
    )


def test_the_place_stays_where_it_is_while_the_body_moves_on_in_silence():
    spaces = {name: space for name, space in SPACES.items() if name not in ("action_mask", "way_location")}
    encoder = ListeningEncoder(gym.spaces.Dict(spaces), SIZE)
    memory = GoalMemory(encoder, SIZE)
    features = torch.zeros(1, 3, encoder.features)
    pose = torch.tensor([[[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0], [1.0, 0.0, torch.pi / 2, 2.0]]])
    heard = torch.tensor([[[3.0, 1.0, 0.5, 0.5, 1.0], [0.0, 0.0, 9.0, 9.0, 0.0], [5.0, 0.0, 9.0, 9.0, 0.0]]])
    inputs = torch.cat([features, pose, heard], -1)
    answer, state = memory(inputs, torch.zeros(1, 5), torch.zeros(1, 3, dtype=torch.bool))
    where = 10.0 * answer[0, :, -2:]
    assert where.detach().numpy() == pytest.approx(np.array([[3.0, 1.0], [2.0, 1.0], [1.0, -2.0]]), abs=1e-5)
    assert place_of(state).numpy() == pytest.approx(np.array([[3.0, 1.0]]), abs=1e-6)
    answer, _ = memory(inputs[:, 1:], torch.zeros(1, 5), torch.zeros(1, 2, dtype=torch.bool))
    assert (answer[..., -3:] == 0).all(), "before anything is heard the place is unknown"


def test_a_sequence_gives_what_its_steps_give():
    policy, seen = policy_of(), observations(12)
    starts = torch.zeros(12)
    starts[[0, 7]] = 1.0
    actions = torch.arange(12) * 3
    values, logarithms, _ = policy.evaluate_actions(seen, actions, RNNStates((torch.zeros(1, 1, 5),) * 2, ()), starts)
    states = (torch.zeros(1, 1, 5),) * 2
    for step in range(12):
        one = {name: part[step : step + 1] for name, part in seen.items()}
        distribution, states = policy.get_distribution(one, states, starts[step : step + 1])
        assert distribution.log_prob(actions[step]).item() == pytest.approx(logarithms[step].item(), abs=1e-3)
    assert values.shape == (12, 1)


def test_masked_way_points_are_never_chosen_and_the_stop_is_learnt():
    policy, seen = policy_of(), observations(6)
    seen["action_mask"][:] = 0.0
    seen["action_mask"][:, [3, CENTER]] = 1.0
    states = (torch.zeros(1, 6, 5),) * 2
    distribution, _ = policy.get_distribution(seen, states, torch.ones(6))
    probability = distribution.distribution.probs
    assert torch.allclose(probability[:, 3] + probability[:, CENTER], torch.ones(6))
    loss = -distribution.log_prob(torch.full((6,), CENTER)).mean()
    loss.backward()
    assert policy.action_net.weight.grad[CENTER].abs().sum() > 0
    assert all(parameter.grad is None for parameter in policy.features_extractor.encoder.location.parameters())


def test_what_it_hears_learns_from_the_labels():
    policy, seen = policy_of(), observations(32)
    optimizer = torch.optim.Adam(policy.parameters(), 1e-2)
    found = []
    for _ in range(60):
        loss, figures = policy.auxiliary_loss(seen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(figures["location_error"])
    assert found[-1] < 0.2 * found[0]
    _, spread = policy._encoder.predict({name: part[:4] for name, part in seen.items()})
    assert (spread < 1.0).all(), "and it knows that it is sure"
    seen["interaural"].unflatten(1, (5, 27))[..., -1] = -200.0
    assert policy.auxiliary_loss(seen) == (0.0, {}), "in silence there is nothing to learn from"


def test_it_trains_and_is_evaluated(tmp_path):
    settings = TrainSettings(
        agent="look-listen-act",
        environments=2,
        workers=1,
        pool=HomePool(homes=1, together=1, episodes=100),
        goals_per_home=2,
        imitation=ImitationSettings(steps=16, teacher_steps=16, rollout=8, batch=16),
        evaluate_every=16,
        evaluation_episodes=1,
        checkpoint_every=16,
        device="cpu",
    )
    settings = replace(settings, reinforcement=replace(settings.reinforcement, steps=0))
    train(settings, tmp_path, judge=judge_policy, progress=False)
    lines = [json.loads(line) for line in (tmp_path / "curve.jsonl").read_text().splitlines()]
    assert lines[0]["stage"] == "imitation" and any("val/spl" in line for line in lines)
    agent = PolicyAgent.load(tmp_path)
    assert set(agent.sensors) == {"interaural", "geometric_map", "pose", "collision"}
    [record] = evaluate(Evaluation(agent=tmp_path, arguments={"split": "val"}, episodes=1, recorded=0), progress=False)
    assert record.measures["steps"] >= 1
    assert "Look, Listen, and Act, small" in (tmp_path / "card.yaml").read_text()


def test_it_plans_in_the_cells_of_its_task():
    free = TrainSettings(agent="look-listen-act")
    assert (network_size(free).map_cell, network_size(free).waypoint_cell) == (0.1, 0.5)
    grid = replace(free, task="dynamic-audiogoal", preset="dav-nav")
    assert network_size(grid).waypoint_cell == 1.0, "way points are nodes of the grid"


def test_it_trains_against_an_attacker_that_is_named():
    attacked = TrainSettings(agent="look-listen-act", task="adversarial-audiogoal", attacker="mixed")
    with TaskEnv(attacked.task, **environment_arguments(attacked)) as env:
        assert env.settings.attacker.policy == "mixed"


def test_the_label_is_where_the_goal_is():
    with TaskEnv("audiopointgoal", split="val", sensors=("goal_location", "pointgoal")) as env:
        seen, _ = env.reset(seed=0)
        for action in (1, 2, 1):
            assert seen["goal_location"].tolist() == seen["pointgoal"].tolist()
            seen, *_ = env.step(action)


def test_the_other_label_is_where_the_way_first_turns():
    with TaskEnv("audiogoal", split="val", sensors=("goal_location", "way_location", "oracle")) as env:
        for seed in range(4):
            seen, _ = env.reset(seed=seed)
            ended = False
            while not ended:
                walk = env.unwrapped.task.walk
                path = walk.ground.shortest_path(walk.simulator.position, walk.goal)
                corner, length = np.hypot(*seen["way_location"]), np.linalg.norm(np.diff(path, axis=0), axis=1).sum()
                assert corner <= length + 1e-3
                if length - np.hypot(*seen["goal_location"]) < 0.2:  # in view, as good as
                    assert seen["way_location"] == pytest.approx(seen["goal_location"], abs=1e-5)
                # What is between the body and the corner is free: going there is going the shortest way.
                left = walk.ground.distance(walk.first_corner(), walk.goal)
                assert corner + left == pytest.approx(length, abs=0.27)
                seen, _, terminated, truncated, _ = env.step(seen["oracle"])
                ended = terminated or truncated


def test_missing_sensors_are_named():
    spaces = {name: SPACES[name] for name in ("pose", "collision")}
    with pytest.raises(ConfigurationError, match="needs geometric_map and spectrogram or interaural besides"):
        ListeningEncoder(gym.spaces.Dict(spaces), SIZE)
