"""Training: recurrent policies, imitation and reinforcement; importing this package imports torch."""

from harken.agents.training.recurrent import AvNavPolicy, SequencePPO
from harken.agents.training.settings import ImitationSettings, PPOSettings, TrainSettings
from harken.agents.training.train import train

__all__ = ["AvNavPolicy", "ImitationSettings", "PPOSettings", "SequencePPO", "TrainSettings", "train"]
