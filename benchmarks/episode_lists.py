"""Episodes drawn in a second, for each task of navigation and each of its presets. One core, homes prepared.

    python benchmarks/episode_lists.py [--homes N] [--quick]

``fields`` is the share of the time that a list of as many distance fields takes, one for the goal of each episode: less
cannot be had, because an episode tells the length of its shortest way. On a grid it is nothing.
"""

import argparse
import time

import numpy as np

from harken.configs import presets_of
from harken.envs import TaskEnv
from harken.registration import tasks_of
from harken.scene.ground import FloorGround

EACH = 5
"""Episodes in a home."""


def measured(task: str, preset: str, homes: int) -> tuple[float, float]:
    """Return the time to draw an episode, and to compute one distance field in the same homes [s]."""
    env = TaskEnv(task, split="test", preset=preset)
    drawing = fields = 0.0
    for home in range(homes):
        env.reset(seed=0, options={"episode": EACH * home})  # prepares the home
        scene, ground = env.simulator.name, env.simulator.ground
        for number in range(EACH):
            rng = np.random.default_rng([home, number])
            start = time.process_time()
            env.task.sample(rng, episode_id="", scene=scene)
            drawing += time.process_time() - start
            if isinstance(ground, FloorGround):
                goal = ground.random_point(rng)
                start = time.process_time()
                ground.distance(goal, goal)
                fields += time.process_time() - start
    env.close()
    return drawing / (homes * EACH), fields / (homes * EACH)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--homes", type=int, default=20, help="number of homes, five episodes in each")
    parser.add_argument("--quick", action="store_true", help="one home")
    arguments = parser.parse_args()
    homes = 1 if arguments.quick else arguments.homes
    print("| task | preset | episodes/s | fields |\n|---|---|---|---|")
    for task in tasks_of("navigation"):
        for preset in presets_of(TaskEnv(task).task.rules)[: 1 if arguments.quick else None]:
            drawing, fields = measured(task, preset, homes)
            print(f"| {task} | {preset} | {1 / drawing:.0f} | {min(fields / drawing, 1.0):.0%} |", flush=True)


if __name__ == "__main__":
    main()
