"""Evaluating a policy while it is trained."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harken.agents import PolicyAgent
from harken.eval.runner import Evaluation, evaluate

if TYPE_CHECKING:
    from harken.agents.training import EncoderPolicy, TrainSettings

__all__ = ["judge_policy"]


def judge_policy(
    policy: "EncoderPolicy",
    settings: "TrainSettings",
    steps: int = 0,
    *,
    split: str = "val",
    videos: Path | None = None,
) -> dict[str, float]:
    """Return the mean measures of a policy over the first episodes of a split.

    Args:
        policy: The policy.
        settings: The settings of its training.
        steps: After how many steps of training, for the name of the video.
        split: "train", "val" or "test".
        videos: Folder for a video with sound of the first episode, ``STEPS-0.mp4``; None for none.
    """
    import torch

    from harken.agents.training.loop import MEASURES, environment_arguments

    arguments = environment_arguments(settings, split=split)
    del arguments["sensors"]  # the agent's own
    evaluation = Evaluation(
        agent=PolicyAgent(policy, deterministic=settings.deterministic, waypoint_steps=settings.longest_way),
        environment=settings.task,
        arguments=arguments,
        episodes=settings.evaluation_episodes,
        recorded=0 if videos is None else 1,
        name=f"{steps:012d}",
        videos=videos,
    )
    with torch.random.fork_rng():  # an agent that draws seeds torch's generator, from which training draws too
        records = evaluate(evaluation, progress=False)
    names = [*MEASURES, "reward"]
    return {name: float(np.mean([record.measures[name] for record in records])) for name in names}
