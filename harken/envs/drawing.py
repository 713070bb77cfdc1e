"""Which episode an environment plays next: an endless sequence drawn from a split, or given ones in turn."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from harken.checks import check_settings, checked_count
from harken.errors import EpisodeError, UnknownNameError
from harken.sim.worlds import scene_name
from harken.splits import SPLITS

__all__ = ["EPISODES_PER_HOME", "Draw", "EpisodeSequence", "HomePool"]

EPISODES_PER_HOME = 5
"""Episodes in a row that take place in one home, so that a home is prepared once for several."""

E = TypeVar("E")

Draw = Callable[[np.random.Generator, str, str], E]
"""Makes an episode from a generator, the name of the scene and the name of the episode."""


@dataclass(frozen=True, kw_only=True)
class HomePool:
    """Homes that training returns to, so that what was prepared for one serves many episodes.

    An episode takes place in one of `together` homes that follow each other in the split. After every `episodes`
    episodes of an environment the first of these makes way for the next home, and after the last home of the pool
    comes the first one again. Environments that have played equally many episodes play in the same homes.
    """

    homes: int = 200
    """How many homes of the split there are."""
    together: int = 8
    """Among how many of them the home of an episode is drawn."""
    episodes: int = 25
    """Episodes of an environment after which these move on by one home."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(self, homes=(1, 2**31), together=(1, 1_000), episodes=(1, 10**9))

    def home(self, count: int, draw: np.random.Generator) -> int:
        """Return the number of the home in which the episode after `count` others takes place."""
        return (count // self.episodes + int(draw.integers(self.together))) % self.homes


class EpisodeSequence(Generic[E]):
    """Chooses episodes: after a seed the same ones in the same order, by number the same ones for everybody.

    Args:
        split: "train", "val" or "test".
        scene: Scene of every episode, in place of generated homes.
        episodes: Episodes to choose from, in place of drawn ones.
        task: Numbers that keep the draws of one kind of task apart from those of another.
        pool: Homes of the sequence; by default it never returns to a home.
    """

    def __init__(
        self,
        split: str,
        *,
        scene: str | None = None,
        episodes: Sequence[E] | None = None,
        task: tuple[int, ...] = (),
        pool: HomePool | None = None,
    ):
        self._split, self._scene, self._episodes, self._task, self._pool = split, scene, episodes, task, pool
        self._stream, self._count = 0, 0

    @property
    def place(self) -> tuple[int, int]:
        """Which sequence this is, and how many of its episodes have begun: ``options={"sequence": place}`` goes on."""
        return self._stream, self._count

    def choose(
        self, draw: Draw[E], options: Mapping[str, Any] | None, *, restart: bool, random: np.random.Generator
    ) -> E:
        """Return the episode of a reset: the next of the sequence, or the one that the options name.

        Args:
            draw: Makes an episode where none are given.
            options: ``{"episode": number}``, ``{"sequence": place}`` with an earlier `place`, or nothing.
            restart: Whether a new sequence begins, as it does with the first reset of all.
            random: Draws which sequence.

        Raises:
            UnknownNameError: There is no such option.
            EpisodeError: The number is not a whole number from 0, there are not so many episodes, or the place is not
                two such numbers.
        """
        unknown = sorted(set(options or {}) - {"episode", "sequence"})
        if unknown:
            raise UnknownNameError("reset option", unknown[0], ["episode", "sequence"])
        if restart or self._count == 0:
            self._stream, self._count = int(random.integers(2**31)), 0
        if "sequence" in (options or {}):
            self._stream, self._count = _checked_place((options or {})["sequence"])
        number = (options or {}).get("episode")
        episode = self._next(draw) if number is None else self.numbered(draw, number)
        self._count += 1
        return episode

    def numbered(self, draw: Draw[E], number: int) -> E:
        """Return an episode by its number.

        Args:
            draw: Makes an episode where none are given.
            number: The number, from 0.

        Raises:
            EpisodeError: The number is not a whole number from 0, or there are not so many given episodes.
        """
        number = checked_count("Episode number", number, 0, error=EpisodeError)
        if self._episodes is None:
            return self._draw(draw, (1, number), number // EPISODES_PER_HOME, f"{self._split}-{number}")
        if number >= len(self._episodes):
            raise EpisodeError(f"There is no episode {number}: {len(self._episodes)} were given, counted from 0.")
        return self._episodes[number]

    def upcoming(self) -> tuple[np.random.Generator, str, str] | None:
        """Return generator, scene and name of the next episode; None where episodes were given."""
        return None if self._episodes is not None else self._source(*self._next_draw())

    def _next(self, draw: Draw[E]) -> E:
        if self._episodes is not None:
            return self._episodes[(self._stream + self._count) % len(self._episodes)]
        return self._draw(draw, *self._next_draw())

    def _next_draw(self) -> tuple[tuple[int, int], int, str]:
        stream, count = self._stream, self._count
        if self._pool is None:
            home = (stream + count // EPISODES_PER_HOME) % 2**31
        else:
            home = self._pool.home(count, np.random.default_rng([SPLITS.index(self._split), 3, stream, count]))
        return (stream, count), home, f"{self._split}-{stream}-{count}"

    def _draw(self, draw: Draw[E], key: tuple[int, int], home: int, name: str) -> E:
        return draw(*self._source(key, home, name))

    def _source(self, key: tuple[int, int], home: int, name: str) -> tuple[np.random.Generator, str, str]:
        rng = np.random.default_rng([SPLITS.index(self._split), *self._task, *key])
        return rng, self._scene or scene_name(self._split, home), name


def _checked_place(place: Any) -> tuple[int, int]:
    try:
        stream, count = place
    except (TypeError, ValueError) as error:
        raise EpisodeError(
            f"reset(options={{'sequence': {place!r}}}): expected the two numbers of an environment's `place`."
        ) from error
    return tuple(checked_count("Number of the sequence", n, 0, error=EpisodeError) for n in (stream, count))  # type: ignore[return-value]
