"""Train PPO of Stable-Baselines3 to find a telephone by its sound: a thousand steps, to show how, not to arrive.

Needs ``pip install "harken[train]"``; writes ppo_audiogoal.zip.
"""

import sys
from pathlib import Path

import gymnasium as gym
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from harken.envs import StableBaselinesObservation

# Every episode begins with a tracing, and an untrained agent soon ends its episodes: a quarter of the usual rays.
SETTINGS = {"preset": "soundspaces2", "sensors": ("depth", "spectrogram"), "config": {"acoustics": {"rays": 1000}}}


def main(folder: str = ".", steps: str = "1000") -> None:
    # Depth becomes a uint8 image and the spectrogram a vector, which the default policy takes in.
    env = StableBaselinesObservation(gym.make("harken/AudioGoal-v1", split="train", **SETTINGS))
    model = PPO("MultiInputPolicy", env, n_steps=125, batch_size=125, seed=0, device="cpu")
    model.learn(int(steps))
    path = Path(folder) / "ppo_audiogoal.zip"
    model.save(path)
    env.close()

    held_out = gym.make("harken/AudioGoal-v1", split="val", max_episode_steps=50, **SETTINGS)
    held_out = Monitor(StableBaselinesObservation(held_out))
    reward, deviation = evaluate_policy(model, held_out, n_eval_episodes=2)
    held_out.close()
    print(f"{path}: reward {reward:.2f} ± {deviation:.2f} in homes that it has not heard")


if __name__ == "__main__":
    main(*sys.argv[1:])
