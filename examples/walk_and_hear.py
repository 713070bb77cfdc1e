"""Walk at random through a home in which a telephone rings. Writes walk-0.mp4, a video with sound."""

import sys

import gymnasium as gym
import numpy as np

import harken  # noqa: F401  Registers the environments.
from harken.envs import RecordVideo


def main(folder: str = ".", steps: str = "40") -> None:
    env = gym.make(
        "harken/AudioGoal-v2", preset="soundspaces2", sensors=("depth", "spectrogram"), render_mode="rgb_array"
    )
    env = RecordVideo(env, folder, name="walk")
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    for step in range(1, int(steps) + 1):
        action = int(rng.integers(1, 4))  # anything but stop
        _, _, terminated, truncated, info = env.step(action)
        left, right = info["loudness"]
        print(f"{step:3d}: {info['distance_to_goal']:5.2f} m to go, {left:5.1f} dB left, {right:5.1f} dB right")
        if terminated or truncated:
            break
    env.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
