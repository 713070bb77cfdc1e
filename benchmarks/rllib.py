"""Train on RLlib with two workers of this machine for a few hundred steps: does it run, and how fast is it?

    python benchmarks/rllib.py [--quick] [--workers N] [--steps N]

The default engine trains as long beside it, with the same environments and the same network.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harken.agents import PolicyAgent
from harken.agents.training import ImitationSettings, PPOSettings, TrainSettings, train
from harken.envs.drawing import HomePool

SETTINGS = TrainSettings(
    environments=4,
    pool=HomePool(homes=2, together=2),
    imitation=ImitationSettings(steps=0),
    reinforcement=PPOSettings(steps=256, rollout=32, batch=64, epochs=2),
    evaluate_every=0,
    device="cpu",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--steps", type=int, default=2048)
    parser.add_argument("--quick", action="store_true", help="256 steps")
    arguments = parser.parse_args()
    try:
        from harken.agents.training.cluster import train_on_cluster
    except ImportError as error:
        print(f"RLlib is not installed ({error}): pip install 'harken[rllib]'")
        return
    steps = 256 if arguments.quick else arguments.steps
    settings = replace(SETTINGS, reinforcement=replace(SETTINGS.reinforcement, steps=steps))
    engines: dict[str, Callable[[Path], Path]] = {
        "default engine": lambda out: train(settings, out, progress=False),
        f"RLlib, {arguments.workers} workers": lambda out: train_on_cluster(
            settings, out, workers=arguments.workers, progress=False
        ),
    }
    for name, engine in engines.items():
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            best = engine(Path(folder))
            seconds = time.perf_counter() - begin
            sensors = ", ".join(PolicyAgent.load(best).sensors)
        print(f"{name:20s} {steps / seconds:7.1f} steps/s, starting included; the policy senses {sensors}")


if __name__ == "__main__":
    main()
