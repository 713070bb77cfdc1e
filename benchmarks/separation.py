"""Processor time of a step of active separation beside AudioGoal's, and mixtures a second; the agents' table if asked.

Both environments hear in the same homes with depth alike: AudioGoal one source and SoundSpaces' spectrogram,
active separation two sources, the published 512 × 32 spectrograms of mixture and target, and the reward. On the same
grid both step 1 s of sound; the continuous AudioGoal steps 0.25 s. Times are processor time of this process.

    python benchmarks/separation.py [--quick]
    python benchmarks/separation.py --table 500 --preset near-target --sounds heard
"""

import argparse
import os
import time

import numpy as np

from harken.agents.separation import MOVERS
from harken.envs import TaskEnv
from harken.eval import Evaluation, evaluate, format_table, summarise
from harken.render.encoding import encode_sample
from harken.render.recipes.mixtures import MixturesRecipe, MixturesSettings

SENSORS = ("depth", "waveform", "spectrogram")
COLUMNS = ("si_sdr", "si_sdr_improvement", "mean_si_sdr", "stft_distance", "stft_improvement", "si_sdr_gained")


def step_time(env, actions, steps: int) -> float:
    """Return seconds of a step, resets not counted."""
    env.reset(seed=0)
    spent = 0.0
    for k in range(steps + 5):
        action = actions(env)
        start = time.process_time()
        _, _, terminated, truncated, _ = env.step(action)
        spent += (time.process_time() - start) * (k >= 5)
        if terminated or truncated:
            env.reset(seed=0)
    return spent / steps


def compare_steps(steps: int, rays: int) -> None:
    """Print the steps' times and their ratios."""
    rng = np.random.default_rng(0)
    config = {"acoustics": {"rays": rays}}
    goals = {
        name: step_time(
            TaskEnv(
                "audiogoal", preset=preset, split="val", config=config, sensors=("depth", "waveform", "spectrogram")
            ),
            lambda env: np.int64(rng.choice([1, 1, 1, 2, 3])),
            steps,
        )
        for name, preset in (("AudioGoal, 1 s on the grid", "soundspaces1"), ("AudioGoal, 0.25 s", "soundspaces2"))
    }

    def separated(env: TaskEnv) -> dict:
        return {"move": np.int64(rng.choice([0, 0, 0, 1, 2])), "estimate": env.task.heard.mono}

    sensors = ("depth", "waveform", "spectrogram", "target")
    ours = step_time(TaskEnv("active-separation", split="val", config=config, sensors=sensors), separated, steps)
    print(f"{'step':34s}{'ms':>8s}{'per second':>12s}{'ratio':>8s}")
    for name, spent in goals.items():
        print(f"{name:34s}{1e3 * spent:8.2f}{1 / spent:12.0f}{spent / ours:8.2f}")
    print(f"{'separation, two sources, 1 s':34s}{1e3 * ours:8.2f}{1 / ours:12.0f}")


def mixtures(count: int, rays: int) -> None:
    """Print how many mixtures a second are made, and made and encoded, once the home is there."""
    from dataclasses import replace

    settings = MixturesSettings()
    settings = replace(settings, acoustics=replace(settings.acoustics, rays=rays))
    recipe = MixturesRecipe(settings=settings)
    start = time.process_time()
    recipe.places(0)
    home = time.process_time() - start
    for number in range(count):  # clips are made once
        recipe.sample(number)
    making, encoded = 0.0, {"flac": 0.0, "wav": 0.0}
    for number in range(count):
        start = time.process_time()
        sample = recipe.sample(number)
        making += (time.process_time() - start) / count
        for codec in encoded:
            renamed = {name.replace("flac", codec): part for name, part in sample.items()}
            start = time.process_time()
            encode_sample(renamed, number=number, split="train")
            encoded[codec] += (time.process_time() - start) / count
    shared = home / settings.mixtures_per_home
    print(f"\nmixtures of {settings.sources} sources, {settings.duration:g} s, picture, masks")
    print(f"{'home, places and responses':34s}{1e3 * home:8.0f} ms, {1e3 * shared:.2f} ms for each of its mixtures")
    print(f"{'made':34s}{1e3 * making:8.2f} ms, {1 / (making + shared):.0f} a second with the home's share")
    for codec, spent in encoded.items():
        print(f"{f'encoded as {codec}':34s}{1e3 * spent:8.2f} ms, {1 / (making + shared + spent):.0f} a second in all")


def table(episodes: int, preset: str, sounds: str, estimate: str, rays: int) -> None:
    """Print the table of the scripted agents."""
    agents = [f"{mover}+{separator}" for separator in ("oracle", "spatial") for mover in MOVERS]
    config = {"may_stand": True, "estimate": estimate, "acoustics": {"rays": rays}}
    config["body"] = {"camera": {"width": 32, "height": 32}}
    arguments = {"preset": preset, "split": "test", "sounds": sounds, "config": config}
    summary = {
        agent: summarise(
            evaluate(
                Evaluation(
                    agent=agent,
                    environment="active-separation",
                    arguments=arguments,
                    episodes=episodes,
                    recorded=0,
                    workers=os.cpu_count() or 1,
                )
            )
        )
        for agent in (*agents, "stand+unprocessed")
    }
    print(f"{preset}, {sounds}, {estimate}, {episodes} episodes of split test: mean [95 % interval]")
    print(format_table(summary, COLUMNS, markdown=True))


def main() -> None:
    """Print the figures or the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    parser.add_argument("--table", type=int, metavar="EPISODES", help="run the scripted agents and print their table")
    parser.add_argument("--preset", default="near-target", help="near-target, far-target or dynamic")
    parser.add_argument("--sounds", default="heard", help="heard or unheard")
    parser.add_argument("--estimate", default="binaural", help="binaural or mono")
    parser.add_argument("--rays", type=int, default=6000, help="rays traced per source")
    options = parser.parse_args()
    if options.table:
        table(options.table, options.preset, options.sounds, options.estimate, options.rays)
        return
    rays = 300 if options.quick else options.rays
    compare_steps(15 if options.quick else 200, rays)
    mixtures(20 if options.quick else 300, rays)


if __name__ == "__main__":
    main()
