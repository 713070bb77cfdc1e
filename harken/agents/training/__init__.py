"""Training: recurrent policies, imitation and reinforcement.

The settings are there at once; what needs torch is loaded when it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from harken.agents.training.settings import CurriculumSettings, ImitationSettings, PPOSettings, TrainSettings

if TYPE_CHECKING:
    from harken.agents.training.attacking import train_attacker
    from harken.agents.training.loop import train
    from harken.agents.training.recurrent import EncoderPolicy, SequencePPO

__all__ = [
    "CurriculumSettings",
    "EncoderPolicy",
    "ImitationSettings",
    "PPOSettings",
    "SequencePPO",
    "TrainSettings",
    "train",
    "train_attacker",
]

_LAZY = {
    "EncoderPolicy": "recurrent",
    "SequencePPO": "recurrent",
    "train": "loop",
    "train_attacker": "attacking",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
