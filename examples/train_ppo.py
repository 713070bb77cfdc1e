"""Train PPO of Stable-Baselines3 to find a telephone by its sound: a short run, which shows how, and learns little.

An agent that finds sounds needs some millions of steps. Install ``harken[train]`` first. The script writes
ppo_audiogoal.zip; evaluate it with ``harken eval audiogoal --agent ppo_audiogoal.zip --trust``.
"""

import sys
from pathlib import Path

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env

from harken.envs import StableBaselinesObservation
from harken.eval import Evaluation, evaluate, summarise

# An untrained agent soon ends its episodes, and each begins with tracing rays: a quarter of them saves time.
ARGUMENTS = {"preset": "soundspaces2", "config": {"acoustics": {"rays": 1000}}}


def make_env() -> gym.Env:
    # Depth becomes a uint8 image and the spectrogram a vector, which the default policy accepts.
    env = gym.make("harken/AudioGoal-v2", split="train", sensors=("depth", "spectrogram"), **ARGUMENTS)
    return StableBaselinesObservation(env)


def main(folder: str = ".", steps: str = "1000") -> None:
    envs = make_vec_env(make_env, n_envs=2, seed=0)
    model = PPO("MultiInputPolicy", envs, n_steps=64, batch_size=64, seed=0, device="cpu", verbose=1)
    model.learn(int(steps), log_interval=1)
    path = Path(folder) / "ppo_audiogoal.zip"
    model.save(path)
    envs.close()
    for agent in (path, "random"):
        held_out = Evaluation(agent=agent, arguments={**ARGUMENTS, "split": "val"}, episodes=3, recorded=0, trust=True)
        print(f"{held_out.shown_name}: {summarise(evaluate(held_out))['reward']} reward in homes of the val split")


if __name__ == "__main__":
    main(*sys.argv[1:])
