"""SAVi: published sizes, steps and sequences, what it knows of the goal, and what it learns from."""

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs harken[train]")
for package in ("sb3_contrib", "safetensors"):
    pytest.importorskip(package, reason="needs harken[train]")

from sb3_contrib.common.recurrent.type_aliases import RNNStates  # noqa: E402

from harken.agents.networks.savi import (  # noqa: E402
    CATEGORIES,
    SaviEncoder,
    SaviSize,
    SceneMemory,
    carried_descriptors,
    seen_from,
    seen_from_start,
)
from harken.agents.training.loop import environment_arguments, make_environments  # noqa: E402
from harken.agents.training.savi import SaviPolicy  # noqa: E402
from harken.agents.training.settings import TrainSettings  # noqa: E402
from harken.envs import TaskEnv  # noqa: E402
from harken.errors import ConfigurationError  # noqa: E402

SPACES = {
    "depth": gym.spaces.Box(0.0, 10.0, (64, 64, 1), np.float32),
    "spectrogram": gym.spaces.Box(0.0, 9.0, (65, 7, 2), np.float32),
    "pose": gym.spaces.Box(-1e4, 1e4, (4,), np.float32),
    "last_action": gym.spaces.Discrete(6),
}
LABELS = {
    "goal_category": gym.spaces.Discrete(CATEGORIES),
    "goal_location": gym.spaces.Box(-1e4, 1e4, (2,), np.float32),
    "oracle": gym.spaces.Discrete(4),
}
CUES = gym.spaces.Box(-200.0, 200.0, (135,), np.float32)
SMALL = replace(SaviSize.small(), memory=6, model=16, heads=2, feedforward=16, filters=(4, 8), sound=16, predictor=16)
SETTINGS = TrainSettings(agent="savi", task="semantic-audiogoal", sound="heard", environments=1, workers=1)


def observations(count, steps, generator, spaces=SPACES):
    """Return random observations ``(count, steps, …)``, in half of which nothing is heard, on a random walk."""

    def drawn(name, space):
        if isinstance(space, gym.spaces.Discrete):
            return torch.randint(int(space.n), (count, steps), generator=generator)
        values = torch.rand(count, steps, *space.shape, generator=generator)
        if name == "spectrogram":
            return values * (torch.rand(count, steps, 1, 1, 1, generator=generator) < 0.5)
        return values.cumsum(1) if name == "pose" else values

    return {name: drawn(name, space) for name, space in spaces.items()}


def policy_of(size=SMALL, **more):
    torch.manual_seed(0)
    return SaviPolicy(gym.spaces.Dict(SPACES | more), gym.spaces.Discrete(4), lambda _: 1e-3, size=size)


def test_the_published_network_has_the_published_features():
    spaces = {
        "rgb": gym.spaces.Box(0, 255, (128, 128, 3), np.uint8),
        "depth": gym.spaces.Box(0.0, 10.0, (128, 128, 1), np.float32),
        "spectrogram": gym.spaces.Box(0.0, 9.0, (65, 26, 2), np.float32),
    }
    encoder = SaviEncoder(gym.spaces.Dict(SPACES | spaces))
    assert encoder.features == 64 + 64 + 128 + 16 + 4
    assert tuple(next(encoder.images["depth"].parameters()).shape) == (16, 1, 3, 3)
    convolutions = [m for m in encoder.images["rgb"].modules() if isinstance(m, torch.nn.Conv2d) and m.padding[0]]
    assert len(convolutions) == 1 + 4 * 2 * 2, "eighteen layers with the last one"
    memory = SceneMemory(encoder, SaviSize())
    assert memory.hidden_size == 150 * (276 + 4 + 1) + 21 + 2 + 1
    heads = [m for m in memory.modules() if isinstance(m, torch.nn.MultiheadAttention)]
    assert [(m.embed_dim, m.num_heads) for m in heads] == [(256, 8)] * 3, "one encoder and one decoder layer"


@pytest.mark.parametrize(
    "told",
    [{}, {"interaural": CUES}, {"category": gym.spaces.Discrete(CATEGORIES)},
     {"category": gym.spaces.Discrete(CATEGORIES), "interaural": CUES}],
    ids=["heard", "with cues", "told", "told, with cues"],
)  # fmt: skip
def test_steps_one_by_one_give_what_a_sequence_gives(told):
    """In episodes shorter and longer than the memory."""
    generator, policy = torch.Generator().manual_seed(1), policy_of(**told)
    count, steps = 8, 25  # several groups of `TOGETHER`
    sensed = observations(count, steps, generator, SPACES | told)
    starts = torch.zeros(count, steps)
    starts[0, [0, 4, 5, 9]] = starts[1, 2] = 1.0
    state = 0.1 * torch.randn(1, count, policy.lstm_actor.hidden_size, generator=generator)
    before = (state, torch.zeros_like(state))
    policy.set_training_mode(True)
    whole, after = policy._process_sequence(
        policy.extract_features({name: values.flatten(0, 1) for name, values in sensed.items()}),
        before, starts.flatten(), policy.lstm_actor,
    )  # fmt: skip
    policy.set_training_mode(False)
    now, answers = before, []
    for step in range(steps):
        with torch.no_grad():
            features = policy.extract_features({name: values[:, step] for name, values in sensed.items()})
            answer, now = policy._process_sequence(features, now, starts[:, step], policy.lstm_actor)
        answers.append(answer)
    torch.testing.assert_close(whole.unflatten(0, (count, steps)), torch.stack(answers, 1), atol=1e-5, rtol=0.0)
    torch.testing.assert_close(after[0], now[0], atol=1e-5, rtol=0.0)


def test_nothing_is_remembered_where_an_episode_begins():
    generator, policy = torch.Generator().manual_seed(2), policy_of()
    sensed = {name: values[:, 0] for name, values in observations(2, 1, generator).items()}
    state = torch.randn(1, 2, policy.lstm_actor.hidden_size, generator=generator)
    starts = torch.ones(2)
    with torch.no_grad():
        features = policy.extract_features(sensed)
        one, _ = policy._process_sequence(features, (state, state), starts, policy.lstm_actor)
        other, _ = policy._process_sequence(features, (0.0 * state, state), starts, policy.lstm_actor)
    torch.testing.assert_close(one, other, atol=0.0, rtol=0.0)


def test_what_was_seen_longer_ago_than_the_memory_reaches_is_forgotten():
    generator, policy = torch.Generator().manual_seed(3), policy_of()
    sensed = observations(1, 12, generator)
    features = policy.extract_features({name: values.flatten(0, 1) for name, values in sensed.items()}).detach()
    features.requires_grad_()
    state = torch.zeros(1, 1, policy.lstm_actor.hidden_size)
    answers, _ = policy._process_sequence(features, (state, state), torch.zeros(12), policy.lstm_actor)
    answers[-1, 0].backward()  # their sum is always the same: they are normalised
    remembered = features.grad[:, : policy.lstm_actor.features].abs().sum(1) > 0.0
    assert remembered.tolist() == [False] * 6 + [True] * 6


def test_gradients_reach_every_parameter():
    generator, policy = torch.Generator().manual_seed(4), policy_of(**LABELS)
    sensed = observations(2, 10, generator, SPACES | LABELS)
    flat = {name: values.flatten(0, 1) for name, values in sensed.items()}
    state = torch.zeros(1, 2, policy.lstm_actor.hidden_size)
    values, logarithms, _ = policy.evaluate_actions(
        flat, flat["oracle"], RNNStates((state, state), ()), torch.zeros(20)
    )
    auxiliary, figures = policy.auxiliary_loss(flat)
    (values.mean() - logarithms.mean() + auxiliary).backward()
    without = [name for name, p in policy.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0.0]
    assert without == []
    assert figures["location_error"] > 0.0 and 0.0 <= figures["category_right"] <= 1.0


def test_labels_teach_the_predictors_alone_and_where_something_is_heard():
    generator, policy = torch.Generator().manual_seed(5), policy_of(**LABELS)
    flat = {n: v.flatten(0, 1) for n, v in observations(2, 10, generator, SPACES | LABELS).items()}
    policy.auxiliary_loss(flat)[0].backward()
    taught = {name.split(".")[2] for name, p in policy.named_parameters() if p.grad is not None}
    assert taught == {"category", "location"}
    heard = policy.features_extractor.encoder.hears(flat) > 0.5
    far = flat | {"goal_location": torch.where(heard[:, None], flat["goal_location"], 1e3)}
    torch.testing.assert_close(policy.auxiliary_loss(far)[0], policy.auxiliary_loss(flat)[0])
    silent = flat | {"spectrogram": torch.zeros_like(flat["spectrogram"])}
    assert policy.auxiliary_loss(silent) == (0.0, {})


def test_what_labels_say_does_not_change_what_the_policy_does():
    generator, policy = torch.Generator().manual_seed(6), policy_of(**LABELS)
    flat = {n: v.flatten(0, 1) for n, v in observations(2, 10, generator, SPACES | LABELS).items()}
    other = flat | {name: values.flip(0) for name, values in flat.items() if name in LABELS}
    torch.testing.assert_close(policy.extract_features(flat), policy.extract_features(other), atol=0.0, rtol=0.0)


def test_a_place_that_was_heard_stays_where_it_is_while_the_body_turns_and_moves():
    """At the start the goal is 3 m ahead and 2 m to the left; the poses and what follows were worked out by hand."""
    quarter = np.pi / 2
    poses = torch.tensor(
        [[0, 0, 0], [0, 0, quarter], [0, 1, quarter], [0, 1, 0], [1, 1, 0], [1, 1, -quarter], [1, 0, -quarter]],
        dtype=torch.float64,
    )[None]
    expected = torch.tensor([[3, 2], [2, -3], [1, -3], [3, 1], [2, 1], [-1, 2], [-2, 2]], dtype=torch.float64)[None]
    told = seen_from_start(poses, torch.tensor([3.0, 2.0], dtype=torch.float64).expand(1, 7, 2))
    heard = torch.tensor([[True] + [False] * 6])
    known = carried_descriptors(torch.zeros(1, 3, dtype=torch.float64), told, heard, torch.zeros(1, 7, dtype=bool))
    assert (known[..., 2] == 1.0).all()
    torch.testing.assert_close(seen_from(poses, known[..., :2]), expected, atol=1e-6, rtol=0.0)
    # Heard again at the third step, 5 m ahead of the body, which is 6 m to the left of the start: half of each counts.
    told[0, 2] = seen_from_start(poses[0, 2], torch.tensor([5.0, 0.0], dtype=torch.float64))
    heard[0, 2] = True
    known = carried_descriptors(torch.zeros(1, 3, dtype=torch.float64), told, heard, torch.zeros(1, 7, dtype=bool))
    torch.testing.assert_close(known[0, 2:, :2], torch.tensor([[1.5, 4.0]] * 5, dtype=torch.float64))


def test_odometry_of_the_environment_carries_a_place_as_the_environment_knows_it():
    env = TaskEnv(
        "semantic-audiogoal", preset="savn-ce", split="val", sensors=("pose", "goal_location"),
        config={"acoustics": {"rays": 200, "duration": 0.3}},
    )  # fmt: skip
    seen, _ = env.reset(seed=3)
    place = seen_from_start(torch.as_tensor(seen["pose"]), torch.as_tensor(seen["goal_location"]))
    for action in (2, 2, 1, 1, 3, 1, 1, 3, 3, 1, 1, 2, 1):
        seen, *_ = env.step(action)
        now = seen_from(torch.as_tensor(seen["pose"]), place)
        assert now.numpy() == pytest.approx(seen["goal_location"], abs=1e-5)
    env.close()


def test_a_goal_is_unknown_until_it_is_heard():
    generator, policy = torch.Generator().manual_seed(7), policy_of()
    memory = policy.lstm_actor
    sensed = observations(1, 4, generator)
    sensed["spectrogram"][:, :2] = 0.0
    sensed["spectrogram"][:, 2] = 1.0
    sensed["spectrogram"][:, 3] = 0.0
    inputs = policy.extract_features({name: values.flatten(0, 1) for name, values in sensed.items()})[None]
    known, descriptor = memory.describe(inputs, torch.zeros(1, CATEGORIES + 3), torch.zeros(1, 4, dtype=bool))
    assert known[0, :, -1].tolist() == [0.0, 0.0, 1.0, 1.0]
    torch.testing.assert_close(descriptor[0, :2, :CATEGORIES], torch.full((2, CATEGORIES), 1.0 / CATEGORIES))
    assert (descriptor[0, :2, CATEGORIES:] == 1.0).all(), "ten metres ahead and ten to the left"
    scores, place = policy.features_extractor.encoder.predict({n: v[:, 2] for n, v in sensed.items()})
    torch.testing.assert_close(descriptor[0, 2], torch.cat([scores.softmax(1), place / 10.0], 1)[0])
    torch.testing.assert_close(descriptor[0, 3, :CATEGORIES], descriptor[0, 2, :CATEGORIES])


def test_a_category_that_is_told_is_no_prediction():
    policy = policy_of(category=gym.spaces.Discrete(CATEGORIES))
    encoder = policy.features_extractor.encoder
    assert encoder.category is None
    spaces = SPACES | {"category": gym.spaces.Discrete(CATEGORIES)}
    sensed = {n: v[:, 0] for n, v in observations(1, 1, torch.Generator().manual_seed(8), spaces).items()}
    inputs = policy.extract_features(sensed | {"category": torch.tensor([4])})[None]
    _, descriptor = policy.lstm_actor.describe(inputs, torch.zeros(1, CATEGORIES + 3), torch.ones(1, 1, dtype=bool))
    assert descriptor[0, 0, :CATEGORIES].tolist() == [float(number == 4) for number in range(CATEGORIES)]


def test_the_small_network_does_without_colour_and_sees_no_labels():
    assert environment_arguments(SETTINGS)["sensors"] == (
        "depth", "spectrogram", "pose", "collision", "last_action", "interaural",
    )  # fmt: skip
    published = environment_arguments(replace(SETTINGS, size="published", preset="savn-ce-distractor"))
    assert published["sensors"][:5] == ("rgb", "depth", "spectrogram", "pose", "category")
    assert published["preset"] == "savn-ce-distractor"
    with pytest.raises(ConfigurationError, match=r"goal_location .*no network sees"):
        environment_arguments(replace(SETTINGS, sensors=("depth", "spectrogram", "pose", "goal_location")))
    with pytest.raises(ConfigurationError, match="learns to predict goal_category, which"):
        environment_arguments(replace(SETTINGS, task="audiogoal"))
    envs = make_environments(SETTINGS, teacher=True)
    assert set(LABELS) < set(envs.observation_space.spaces)
    envs.close()


@pytest.mark.parametrize("missing", ["spectrogram", "pose"])
def test_a_sensor_that_is_missing_is_an_error(missing):
    spaces = {name: space for name, space in SPACES.items() if name != missing}
    with pytest.raises(ConfigurationError, match=f"SAVi needs {missing}"):
        SaviEncoder(gym.spaces.Dict(spaces))


def test_sizes_that_do_not_fit_are_errors():
    with pytest.raises(ConfigurationError, match="expected a divisor"):
        SaviSize(model=100)
    with pytest.raises(ConfigurationError, match="too small"):
        SaviEncoder(gym.spaces.Dict(SPACES), replace(SaviSize.small(), picture=1))
