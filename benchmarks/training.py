"""How fast training is: the learner alone, its environments alone, and both together.

    python benchmarks/training.py [--quick] [--steps N]

The learner alone has environments that cost nothing; its peers, which take turns with it, are Stable-Baselines3's PPO
with the same network, whose memory is emptied at every step or left out, and sb3-contrib's recurrent PPO. The
environments alone get uniformly random actions, stop included, in the pool of homes of a training. Both together is
`harken train` with its defaults: images of 64 × 64 and the small network. For comparison, a user of SoundSpaces reports
25 steps/s with ten processes and a GPU (https://github.com/facebookresearch/sound-spaces/issues/86).
"""

import argparse
import functools
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from harken.agents.networks import AvNavSize
from harken.agents.training import TrainSettings, train
from harken.agents.training.loop import make_environments
from harken.agents.training.recurrent import EncoderFeatures, EncoderPolicy, SequencePPO
from harken.envs.drawing import HomePool

ENVIRONMENTS = 8

SAME = "PPO, same network, forgetful"
"""The peer of which others are shares."""


class Nothing(gym.Env):
    """Shows the sensors of AudioGoal, at no cost; episodes last thirty steps."""

    action_space = gym.spaces.Discrete(4)

    def __init__(self, side: int):
        self.observation_space = gym.spaces.Dict(
            {
                "depth": gym.spaces.Box(0.0, 10.0, (side, side, 1), np.float32),
                "spectrogram": gym.spaces.Box(0.0, 20.0, (65, 26, 2), np.float32),
            }
        )
        self.shown = self.observation_space.sample()

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode."""
        super().reset(seed=seed)
        self.left = int(self.np_random.integers(1, 60))
        return self.shown, {}

    def step(self, action: Any) -> Any:
        """Let time pass."""
        self.left -= 1
        return self.shown, 0.0, self.left == 0, False, {}


class Forgetful(EncoderFeatures):
    """The encoder and the recurrent layer, which starts from nothing at every step."""

    def __init__(self, observation_space: gym.spaces.Dict, size: AvNavSize):
        super().__init__(observation_space, size)
        self.memory = torch.nn.GRU(self.encoder.width, size.memory)
        self._features_dim = size.memory

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return ``(n, memory)``."""
        return self.memory(super().forward(observations)[None])[0][0]


def learners(steps: int, side: int, size: AvNavSize) -> None:
    encoder = {"features_extractor_class": EncoderFeatures, "features_extractor_kwargs": {"size": size}}
    common = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "seed": 0, "device": "cpu"}

    def plain(features: type[EncoderFeatures]) -> Callable[[DummyVecEnv], Any]:
        fixed = {**encoder, "features_extractor_class": features, "net_arch": [], "normalize_images": False}
        return lambda envs: PPO("MultiInputPolicy", envs, policy_kwargs=fixed, **common)

    kinds: dict[str, Callable[[DummyVecEnv], Any]] = {
        SAME: plain(Forgetful),
        "PPO, encoder only": plain(EncoderFeatures),
        "recurrent, here": lambda envs: SequencePPO(EncoderPolicy, envs, policy_kwargs={"size": size}, **common),
        "recurrent, sb3-contrib": lambda envs: RecurrentPPO(
            "MultiInputLstmPolicy",
            envs,
            policy_kwargs={
                **encoder, "net_arch": [], "normalize_images": False, "lstm_hidden_size": size.memory,
                "shared_lstm": True, "enable_critic_lstm": False,
            },
            **common,
        ),
    }  # fmt: skip
    models = {}
    for name, make in kinds.items():
        models[name] = make(DummyVecEnv([functools.partial(Nothing, side)] * ENVIRONMENTS))
        models[name].learn(128 * ENVIRONMENTS)
    best: dict[str, float] = {}
    for _ in range(max(1, steps // (128 * ENVIRONMENTS))):
        for name, model in models.items():
            start = time.perf_counter()
            model.learn(128 * ENVIRONMENTS, reset_num_timesteps=False)
            rate = 128 * ENVIRONMENTS / (time.perf_counter() - start)
            best[name] = max(best.get(name, 0.0), rate)
    for name, rate in best.items():
        print(f"  {name:28s} {rate:7.0f} steps/s   {rate / best[SAME]:.2f}")


def environments(steps: int, workers: int, count: int) -> float:
    """Return steps a second of environments of a training with uniformly random actions, resets included."""
    # So many environments go on to the next home as often as eight do.
    pool = HomePool(episodes=25 * 8 // count)
    envs = make_environments(TrainSettings(environments=count, workers=workers, pool=pool), teacher=False)
    envs.reset()
    rng = np.random.default_rng(0)

    def walk(wanted: int) -> float:
        start = time.perf_counter()
        for _ in range(wanted // count):
            envs.step(rng.integers(4, size=count))
        return wanted / (time.perf_counter() - start)

    walk(steps)
    rate = walk(steps)
    envs.close()
    return rate


def whole(steps: int) -> None:
    """Train, and print the steps a second from the second update on and where the time goes."""
    settings = TrainSettings(evaluate_every=0, checkpoint_every=10**9).with_steps(steps)
    with tempfile.TemporaryDirectory() as folder:
        train(settings, folder, progress=False)
        lines = [json.loads(line) for line in (Path(folder) / "curve.jsonl").read_text().splitlines()]
    for stage in ("imitation", "reinforcement"):
        of_stage = [line for line in lines if line["stage"] == stage and "rate" in line]
        of_stage = of_stage[1:] or of_stage
        if of_stage:
            shares = [100 * np.mean([line[f"time/{part}"] for line in of_stage]) for part in PARTS]
            rate = 1 / np.mean([1 / line["rate"] for line in of_stage])
            print(f"  {stage:24s} {rate:7.0f} steps/s   " + ", ".join(map("{1:.0f} % {0}".format, PARTS, shares)))


PARTS = ("environments", "actions", "learning")
"""What a training spends its time on."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3072)
    parser.add_argument("--quick", action="store_true", help="one round of the small network only")
    arguments = parser.parse_args()
    sizes = (("64 x 64, small", 64, AvNavSize.small()), ("128 x 128, published", 128, AvNavSize()))
    print(f"threads of torch: {torch.get_num_threads()}")
    for name, side, size in sizes[:1] if arguments.quick else sizes:
        print(f"The learner alone, {name}, {ENVIRONMENTS} environments, 4 epochs, batch 256")
        learners(1024 if arguments.quick else arguments.steps, side, size)
    steps = 64 if arguments.quick else 4_000
    print("The environments alone, 64 x 64 depth and spectrogram, uniformly random actions with resets")
    for count, workers in ((2, 2),) if arguments.quick else ((1, 1), (8, 1), (8, 2)):
        rate = environments(steps, workers, count)
        print(f"  {count} in {workers} process{'es' if workers > 1 else ''}: {rate:20.0f} steps/s")
    print(f"Both together, {TrainSettings().environments} environments, as many processes as cores")
    whole(1_024 if arguments.quick else 24_000)


if __name__ == "__main__":
    main()
