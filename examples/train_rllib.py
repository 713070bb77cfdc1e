"""Train the network of AV-Nav on RLlib: a short run, which shows how, and learns little.

Install ``harken[rllib]`` first. The script writes a folder; evaluate it with ``harken eval audiogoal --agent FOLDER``.
On the command line: ``harken train audiogoal --engine rllib --workers 2 --no-imitation --steps 1000 --out FOLDER``.
"""

import sys

from harken.agents.training import ImitationSettings, PPOSettings, TrainSettings
from harken.agents.training.cluster import train_on_cluster
from harken.envs.drawing import HomePool
from harken.eval import judge_policy


def main(folder: str = "training", steps: str = "1000", workers: str = "2") -> None:
    settings = TrainSettings(
        task="audiogoal",
        environments=4,
        pool=HomePool(homes=4, together=2),
        imitation=ImitationSettings(steps=0),  # reinforcement alone
        reinforcement=PPOSettings(steps=int(steps), rollout=16, batch=64),
        evaluate_every=0,  # as many steps as lie between evaluations in homes of the val split
    )
    best = train_on_cluster(settings, folder, workers=int(workers), judge=judge_policy)
    print(f"{best} holds the weights")


if __name__ == "__main__":
    main(*sys.argv[1:])
