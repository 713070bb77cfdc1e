"""Who chooses what a sound attacker does: scripted attackers, and the interface of others."""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from harken.errors import UnknownNameError

__all__ = [
    "SCRIPTED", "AttackMove", "AttackSizes", "Attacker", "DecoyAttacker", "GivenAttacks", "MixedAttacker",
    "RandomAttacker", "Scripted", "SilentAttacker", "StillAttacker", "make_scripted",
]  # fmt: skip

Scripted = Literal["silent", "random", "still", "decoy", "mixed"]
"""The attackers that come with the task."""

SCRIPTED: tuple[Scripted, ...] = get_args(Scripted)
"""Their names."""

AttackSizes = tuple[int, int, int]
"""How many moves, volumes and categories there are to choose from."""


class AttackMove(IntEnum):
    """Where an attacker goes in a step. It does not turn: forward is −z, and left −x, always."""

    STAY = 0
    FORWARD = 1
    BACK = 2
    LEFT = 3
    RIGHT = 4


@runtime_checkable
class Attacker(Protocol):
    """Anything that chooses what an attacker does; an `harken.agents.Agent` is one."""

    sensors: tuple[str, ...]
    """Names of the attacker's sensors that it needs."""

    def reset(self, seed: int) -> None:
        """Forget the last episode; every draw of the next one comes from `seed`."""
        ...

    def act(self, observation: Mapping[str, Any]) -> Any:
        """Return the next action: three whole numbers, a move, a volume (0 is silence) and a category."""
        ...


class SilentAttacker:
    """Stays and makes no sound: the task is then AudioGoal."""

    sensors: tuple[str, ...] = ()

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return that nothing is done."""
        return np.zeros(3, np.int64)


class RandomAttacker:
    """Draws move, volume and category anew in each step, as the attackers in the paper's evaluation.

    Args:
        sizes: How many there are of each.
    """

    sensors: tuple[str, ...] = ()

    def __init__(self, sizes: AttackSizes):
        self._sizes = sizes

    def reset(self, seed: int) -> None:
        """Start the episode's own sequence of draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return a random action."""
        return self._rng.integers(self._sizes)


class StillAttacker:
    """Stays where it is and plays one category, drawn for the episode, as loud as it may.

    Args:
        sizes: How many moves, volumes and categories there are.
        loudest: Number of the loudest volume.
    """

    sensors: tuple[str, ...] = ()

    def __init__(self, sizes: AttackSizes, loudest: int):
        self._sizes, self._loudest = sizes, loudest

    def reset(self, seed: int) -> None:
        """Draw the category."""
        self._category = int(np.random.default_rng(seed).integers(self._sizes[2]))

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return that it goes on playing."""
        return np.array([AttackMove.STAY, self._loudest, self._category])


class DecoyAttacker:
    """Goes to a place beyond the agent, away from the goal, and plays the goal's category as loud as it may.

    Args:
        loudest: Number of the loudest volume.
    """

    sensors: tuple[str, ...] = ("away", "goal_category")

    def __init__(self, loudest: int):
        self._loudest = loudest

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return the next move of the way, and the goal's category; the first where it may not play that."""
        return np.array([observation["away"], self._loudest, max(int(observation["goal_category"]) - 1, 0)])


class MixedAttacker:
    """Is in each episode another one of the scripted attackers, drawn for it, to train against.

    Args:
        sizes: How many moves, volumes and categories there are.
        loudest: Number of the loudest volume.
    """

    sensors = DecoyAttacker.sensors

    def __init__(self, sizes: AttackSizes, loudest: int):
        self._all = [make_scripted(name, sizes, loudest) for name in SCRIPTED if name != "mixed"]

    def reset(self, seed: int) -> None:
        """Draw which one."""
        self._chosen = self._all[int(np.random.default_rng([seed, 1]).integers(len(self._all)))]
        self._chosen.reset(seed)

    def act(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return what that one does."""
        return self._chosen.act(observation)


class GivenAttacks:
    """Does what it is told before each step: an attacker whose actions come from outside of the environment.

    Args:
        sensors: Names of the attacker's sensors that are shown outside.

    Attributes:
        action: What it does next.
    """

    def __init__(self, sensors: tuple[str, ...]):
        self.sensors = sensors
        self.action: Any = None

    def reset(self, seed: int) -> None:
        """Forget what it was told."""
        self.action = None

    def act(self, observation: Mapping[str, Any]) -> Any:
        """Return what it was told."""
        return self.action


def make_scripted(name: str, sizes: AttackSizes, loudest: int) -> Attacker:
    """Return a scripted attacker.

    Args:
        name: One of `SCRIPTED`.
        sizes: How many moves, volumes and categories there are.
        loudest: Number of the loudest volume.

    Raises:
        UnknownNameError: There is no such attacker.
    """
    if name not in SCRIPTED:
        raise UnknownNameError("attacker", name, SCRIPTED)
    if name == "silent":
        return SilentAttacker()
    if name == "random":
        return RandomAttacker(sizes)
    if name == "mixed":
        return MixedAttacker(sizes, loudest)
    return StillAttacker(sizes, loudest) if name == "still" else DecoyAttacker(loudest)
