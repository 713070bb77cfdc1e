"""Train PPO of Stable-Baselines3 to find a telephone by its sound: a smoke run, which shows how and not that it learns.

An agent that hears its way takes some millions of steps. Needs ``pip install "harken[train]"``; writes
ppo_audiogoal.zip, which ``harken eval audiogoal --agent ppo_audiogoal.zip`` runs.
"""

import sys
from pathlib import Path

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from harken.envs import StableBaselinesObservation
from harken.eval import Evaluation, evaluate, summarise

# An untrained agent soon ends its episodes, and every one begins with a tracing: a quarter of the usual rays.
ARGUMENTS = {"preset": "soundspaces2", "config": {"acoustics": {"rays": 1000}}}


def make_env() -> gym.Env:
    # Depth becomes a uint8 image and the spectrogram a vector, which the default policy takes in.
    env = gym.make("harken/AudioGoal-v1", split="train", sensors=("depth", "spectrogram"), **ARGUMENTS)
    return StableBaselinesObservation(env)


def main(folder: str = ".", steps: str = "1000") -> None:
    envs = make_vec_env(make_env, n_envs=2, seed=0)
    model = PPO("MultiInputPolicy", envs, n_steps=64, batch_size=64, seed=0, device="cpu", verbose=1)
    model.learn(int(steps), log_interval=1)
    path = Path(folder) / "ppo_audiogoal.zip"
    model.save(path)
    envs.close()
    for agent in (path, "random"):
        held_out = Evaluation(agent=agent, arguments={**ARGUMENTS, "split": "val"}, episodes=3, recorded=0)
        print(f"{held_out.shown_name}: {summarise(evaluate(held_out))['reward']} reward in homes of the val split")


if __name__ == "__main__":
    main(*sys.argv[1:])
