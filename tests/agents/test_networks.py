"""Networks: published sizes, what they make of every sensor, and what does not fit."""

import gymnasium as gym
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs harken[train]")

import harken  # noqa: E402, F401
from harken.agents.networks import (  # noqa: E402
    AvNavEncoder,
    AvNavSize,
    AvWanEncoder,
    AvWanSize,
    DavNavEncoder,
    DavNavSize,
    sensor_input,
    sensor_size,
)
from harken.envs import TaskEnv  # noqa: E402
from harken.errors import ConfigurationError  # noqa: E402

DEPTH = gym.spaces.Box(0.0, 10.0, (128, 128, 1), np.float32)
COLOUR = gym.spaces.Box(0, 255, (128, 128, 3), np.uint8)
SOUND = gym.spaces.Box(0.0, np.inf, (65, 26, 2), np.float32)
GEOMETRY = gym.spaces.Box(0, 255, (200, 200, 2), np.uint8)
ACOUSTICS = gym.spaces.Box(0.0, 1e4, (20, 20, 1), np.float32)
GOAL = gym.spaces.Box(-100.0, 100.0, (2,), np.float32)


def test_the_published_network_has_the_published_layers():
    encoder = AvNavEncoder(gym.spaces.Dict({"depth": DEPTH, "spectrogram": SOUND, "pointgoal": GOAL}))
    assert encoder.width == 2 + 512 + 512
    assert [tuple(p.shape) for p in encoder.image.parameters() if p.ndim > 1] == [
        (32, 1, 8, 8), (64, 32, 4, 4), (64, 64, 3, 3), (512, 6 * 6 * 64),
    ]  # fmt: skip
    shapes = [tuple(p.shape) for p in encoder.spectrogram.parameters() if p.ndim > 1]
    assert shapes == [(32, 2, 5, 5), (64, 32, 3, 3), (64, 64, 3, 3), (512, 2496)]


def test_av_wan_has_the_published_layers_and_depth_is_optional():
    space = gym.spaces.Dict({"spectrogram": SOUND, "geometric_map": GEOMETRY, "acoustic_map": ACOUSTICS})
    encoder = AvWanEncoder(space)
    assert encoder.width == 3 * 512
    shapes = {
        name: [tuple(p.shape) for p in layers.parameters() if p.ndim > 1] for name, layers in encoder.maps.items()
    }
    assert shapes == {
        "geometric_map": [(32, 2, 8, 8), (64, 32, 4, 4), (32, 64, 3, 3), (512, 21 * 21 * 32)],
        "acoustic_map": [(32, 1, 5, 5), (64, 32, 3, 3), (32, 64, 3, 3), (512, 4 * 4 * 32)],
    }
    sample = {name: torch.as_tensor(part.sample())[None] for name, part in space.spaces.items()}
    sample["spectrogram"] = sample["spectrogram"].clamp(max=1.0)
    assert encoder(sample).shape == (1, 1536)
    seeing = AvWanEncoder(gym.spaces.Dict({**space.spaces, "depth": DEPTH}))
    assert seeing.width == 4 * 512
    few = gym.spaces.Dict({**space.spaces, "geometric_map": gym.spaces.Box(0, 255, (64, 64, 2), np.uint8)})
    small = AvWanEncoder(few, AvWanSize.small())
    assert small.width == 3 * 128 and sum(p.numel() for p in small.parameters()) < 400_000
    with pytest.raises(ConfigurationError, match="needs a map"):
        AvWanEncoder(gym.spaces.Dict({"spectrogram": SOUND}))


def test_dav_nav_sees_the_sound_as_two_channels_of_its_map():
    space = gym.spaces.Dict({"depth": DEPTH, "spectrogram": SOUND, "geometric_map": GEOMETRY})
    encoder = DavNavEncoder(space)
    assert encoder.width == 3 * 512, "the published width of what its memory takes"
    assert next(encoder.fused.parameters()).shape == (32, 4, 8, 8)
    sample = {name: torch.as_tensor(part.sample())[None] for name, part in space.spaces.items()}
    sample["spectrogram"] = sample["spectrogram"].clamp(max=1.0)
    assert encoder.spread(encoder.sound({"spectrogram": sample["spectrogram"]})).shape == (1, 2, 200, 200)
    assert encoder(sample).shape == (1, 1536)
    cues = gym.spaces.Box(-200.0, 200.0, (135,), np.float32)
    few = {"interaural": cues, "geometric_map": gym.spaces.Box(0, 255, (64, 64, 2), np.uint8)}
    small = DavNavEncoder(gym.spaces.Dict(few), DavNavSize.small())
    assert small.width == 2 * 128
    observation = {name: torch.as_tensor(part.sample())[None] for name, part in few.items()}
    small(observation).sum().backward()
    assert all(parameter.grad is not None for parameter in small.parameters())
    with pytest.raises(ConfigurationError, match="needs geometric_map and spectrogram or interaural besides"):
        DavNavEncoder(gym.spaces.Dict({"depth": DEPTH}))


@pytest.mark.parametrize("first", [True, False])
def test_every_sensor_becomes_numbers_of_the_order_of_one(first):
    env = TaskEnv("audiopointgoal", sensors=None)
    names = tuple(env.task.sensors)
    env.close()
    env = TaskEnv("audiopointgoal", sensors=names)
    observation, _ = env.reset(seed=0)
    for name in names:
        space, value = env.observation_space[name], torch.as_tensor(np.asarray(observation[name]))[None]
        if first and name == "rgb":  # as Stable-Baselines3 gives it
            space = gym.spaces.Box(0, 255, (3, *space.shape[:2]), np.uint8)
            value = value.movedim(-1, 1)
        made = sensor_input(name, space, value)
        assert tuple(made.shape[1:]) == sensor_size(name, space), name
        assert made.dtype == torch.float32 and made.abs().max() <= 64.0, name
    env.close()


def test_the_pose_keeps_its_heading_at_a_full_turn():
    space = gym.spaces.Box(-1e3, 1e3, (4,), np.float32)
    poses = torch.tensor([[1.0, 2.0, np.pi, 5.0], [1.0, 2.0, -np.pi, 5.0]])
    one, other = sensor_input("pose", space, poses)
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0.0)


def test_what_a_teacher_knows_is_not_seen():
    teachers = {"oracle": gym.spaces.Discrete(4), "quiet_oracle": gym.spaces.Discrete(5)}
    assert AvNavEncoder(gym.spaces.Dict({"pointgoal": GOAL, **teachers})).width == 2


def test_people_and_noise_are_of_the_order_of_one():
    people = gym.spaces.Box(-100.0, 100.0, (6,), np.float32)
    seen = sensor_input("people", people, torch.tensor([[1.0, 5.0, -3.0, 0.0, 0.0, 0.0]]))
    torch.testing.assert_close(seen, torch.tensor([[1.0, 0.5, -0.3, 0.0, 0.0, 0.0]]))
    noise = gym.spaces.Box(0.0, 160.0, (1,), np.float32)
    assert sensor_input("noise", noise, torch.tensor([[45.0]])).item() == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"oracle": gym.spaces.Discrete(4)}, "at least one sensor"),
        ({"depth": DEPTH, "rgb": gym.spaces.Box(0, 255, (64, 64, 3), np.uint8)}, "same height and width"),
        ({"depth": gym.spaces.Box(0.0, 10.0, (16, 16, 1), np.float32)}, "too small"),
        ({"text": gym.spaces.Text(8)}, "Box or a Discrete"),
    ],
)
def test_what_does_not_fit_is_an_error(space, message):
    with pytest.raises(ConfigurationError, match=message):
        AvNavEncoder(gym.spaces.Dict(space))


def test_small_sizes_fit_images_of_64_by_64():
    depth = gym.spaces.Box(0.0, 10.0, (64, 64, 1), np.float32)
    encoder = AvNavEncoder(gym.spaces.Dict({"depth": depth, "spectrogram": SOUND}), AvNavSize.small())
    weights = sum(p.numel() for p in encoder.parameters())
    assert encoder.width == 256 and weights < 400_000
