"""How fast a learner alone is, on environments that cost nothing: recurrent PPO on whole sequences beside its peers.

    python benchmarks/training.py [--quick] [--steps N]

The peers, which take turns with it, are Stable-Baselines3's PPO with the same encoder, which remembers nothing, and
sb3-contrib's recurrent PPO.
"""

import argparse
import functools
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

from harken.agents.networks import AvNavSize
from harken.agents.training.recurrent import AvNavPolicy, EncoderFeatures, SequencePPO

ENVIRONMENTS = 8


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


def learners(steps: int, side: int, size: AvNavSize) -> None:
    encoder = {"features_extractor_class": EncoderFeatures, "features_extractor_kwargs": {"size": size}}
    common = {"n_steps": 128, "batch_size": 256, "n_epochs": 4, "seed": 0, "device": "cpu"}
    kinds: dict[str, Callable[[DummyVecEnv], Any]] = {
        "PPO, no memory": lambda envs: PPO(
            "MultiInputPolicy", envs, policy_kwargs={**encoder, "net_arch": [], "normalize_images": False}, **common
        ),
        "recurrent, here": lambda envs: SequencePPO(AvNavPolicy, envs, policy_kwargs={"size": size}, **common),
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
        print(f"  {name:24s} {rate:7.0f} steps/s   {rate / best['PPO, no memory']:.2f} of PPO")


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


if __name__ == "__main__":
    main()
