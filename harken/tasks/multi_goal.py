"""Finding several sounds one after the other."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.acoustics import Source
from harken.checks import check_settings, checked_point
from harken.errors import EpisodeError
from harken.sim import SoundSource
from harken.tasks.efficiency import efficiency
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.navigation import NavigationTask
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.protocol import Numbers, Outcome, Sensor
from harken.tasks.sounds import Sounds
from harken.tasks.walk import Action, checked_action

__all__ = ["MultiGoalEpisode", "MultiGoalSettings", "MultiGoalTask"]

ATTEMPTS = 200
"""Draws of a further goal after which the world counts as too small."""


@dataclass(frozen=True, kw_only=True)
class MultiGoalSettings(NavigationSettings):
    """The rules of finding several sounds."""

    goals: int = 3
    """How many sound at once, 1 to 6."""
    order: Literal["any", "given"] = "any"
    """Whether they may be found in any order, or in that of the episode alone."""
    apart: float = 2.0
    """Least geodesic distance between two goals [m]."""
    ends_at_mistake: bool = True
    """Whether a stop where no goal is ends the episode, as in MultiON (Wani et al. 2020); else it costs a step."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        check_settings(self, goals=(1, 6), apart=(0.0, 1000.0))


@dataclass(frozen=True, kw_only=True)
class MultiGoalEpisode(Episode):
    """An episode with several goals, of which `Episode` holds the first.

    Raises:
        EpisodeError: A field is not valid, or places and sounds differ in number.
    """

    more_goals: tuple[tuple[float, float, float], ...] = ()
    """Where the others are, on the floor [m]."""
    more_sounds: tuple[str, ...] = ()
    """What they play."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        where = f"Episode {self.episode_id!r}:"
        sounds = tuple(self.more_sounds)
        if len(self.more_goals) != len(sounds) or not all(isinstance(sound, str) for sound in sounds):
            raise EpisodeError(
                f"{where} {len(self.more_goals)} more_goals and more_sounds {sounds!r:.80}; expected a clip's name for "
                "each goal."
            )
        places = (checked_point(f"{where} more_goals", goal, error=EpisodeError) for goal in self.more_goals)
        object.__setattr__(self, "more_goals", tuple(tuple(place.tolist()) for place in places))
        object.__setattr__(self, "more_sounds", sounds)


class MultiGoalTask(NavigationTask):
    """Find several sounds in a home you have never been in, one after the other.

    ## Description
    Several goals sound at once, each another clip. A stop near one of them finds it, and it falls silent. The episode
    succeeds when all are found, in any order or in a given one. The rules are those of MultiON (Wani et al. 2020) with
    sounds in place of objects.

    ## Action Space
    As in AudioGoal; the stop says "here is a goal".

    ## Observation Space
    As in AudioGoal, and ``found``, (goals,) float32: 1 for each goal that is found, in the order of the episode. The
    sensor "oracle" leads through the goals in the best order.

    ## Rewards
    −0.01 a step, plus the metres by which the geodesic distance to the next goal fell (the nearest one in any order),
    plus 10 for each goal that is found.

    ## Starting State
    As in AudioGoal; goals are at least 2 m apart.

    ## Episode End
    Terminated when all goals are found, and by a stop where no goal is; truncated after 500 steps. ``info`` has
    ``success``, ``progress``, ``spl``, ``ppl`` and more, see `measures`.

    ## Arguments
    preset "multi-goal", sound (several clips: "heard", "unheard", a category or a folder), and those of every
    environment.

    ## Version History
    v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test": which sounds.
        sound: As in AudioGoal.

    Raises:
        UnknownNameError: There is no such sound.
        SoundError: A recording cannot be used.
    """

    rules = MultiGoalSettings
    stream: tuple[int, ...] = (5,)
    settings: MultiGoalSettings  # type: ignore[bad-override]

    def __init__(self, settings: MultiGoalSettings, split: str, *, sound: str = "heard"):
        super().__init__(settings, split, sound=sound)
        self.shown = (*self.shown, "found")
        self.found: tuple[bool, ...] = ()
        self._goals: list[np.ndarray] = []
        self._order: tuple[int, ...] = ()
        self._following: int | None = None
        self._loud = np.ones(0, np.float32)

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        found = Sensor(
            name="found",
            space=Numbers(shape=(self.settings.goals,), low=0.0, high=1.0),
            read=lambda views: np.array(self.found, np.float32),
        )
        return {**super().sensors, "found": found}

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> MultiGoalEpisode:
        """Draw an episode in the world; see `NavigationTask.sample`.

        Raises:
            EpisodeError: The world has not so many places far enough apart.
        """
        usual = super().sample(rng, episode_id=episode_id, scene=scene)
        assert self.sounds is not None
        # With a difficulty each leg of the episode's order has it, and so has the whole way.
        names = [name for name in self.sounds.names if name != usual.sound] or list(self.sounds.names)
        places, sounds = [np.array(usual.goal_position)], []
        for _ in range(self.settings.goals - 1):
            places.append(self._further_goal(rng, places, np.array(usual.start_position)))
            sounds.append(names[int(rng.integers(len(names)))])
            names = [name for name in names if name != sounds[-1]] or list(self.sounds.names)
        more: dict[str, Any] = {
            "more_goals": tuple(tuple(place.tolist()) for place in places[1:]),
            "more_sounds": tuple(sounds),
        }
        return MultiGoalEpisode(**more | {f.name: getattr(usual, f.name) for f in dataclasses.fields(usual)})

    def _further_goal(self, rng: np.random.Generator, places: list[np.ndarray], start: np.ndarray) -> np.ndarray:
        ground, settings = self.walk.ground, self.settings
        for _ in range(ATTEMPTS):
            place = ground.random_point(rng)
            if self.simulator.is_inside_solid(place + self.lift):
                continue
            if not (self._is_reached(place, places[0]) and self._lies_apart(place, places, settings.apart)):
                continue
            if not self._lies_apart(place, [start], settings.least_distance):
                continue
            if settings.difficulty == "any" or self._is_asked_for(
                float(ground.distance(places[-1], place)), places[-1], place
            ):
                return place
        asked = "" if settings.difficulty == "any" else f" with {settings.difficulty} ways between them"
        raise EpisodeError(
            f"{self.simulator.name}: no {settings.goals} goals{asked} lie {settings.apart:g} m apart and "
            f"{settings.least_distance:g} m from the start; {ATTEMPTS} places were tried. Use fewer goals, lower apart "
            "or least_distance, or use a larger scene."
        )

    def _is_reached(self, place: np.ndarray, first: np.ndarray) -> bool:
        """Whether a way leads from a place to the first goal, and so to all that were chosen."""
        return bool(self.walk.ground.distance(place, first) < np.inf)

    def _lies_apart(self, place: np.ndarray, others: list[np.ndarray], least: float) -> bool:
        """Whether the ways from a place to others, to which some way leads, have at least a length [m]."""
        # No way is shorter than the straight line, which costs nothing.
        near = [other for other in others if np.linalg.norm(other - place) < least + 1e-6]
        return all(self.walk.ground.distance(other, place) >= least for other in near)

    def read_episodes(self, path: str | Path) -> Sequence[MultiGoalEpisode]:
        """Read episodes from a file that `harken episodes` wrote, or from JSON lines."""
        return read_episodes(path, MultiGoalEpisode)

    def sources(self, episode: Episode) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode."""
        return [Source(position=place + self.lift) for place in _places(episode)]

    def sounding(self, episode: Episode, sounds: Sounds) -> list[SoundSource]:
        """Return all that sounds in an episode."""
        others = zip(_places(episode)[1:], getattr(episode, "more_sounds", ()), strict=True)
        return [
            *super().sounding(episode, sounds),
            *(SoundSource(position=place + self.lift, samples=sounds.clip(name).samples) for place, name in others),
        ]

    def begin(self, episode: Episode) -> None:
        """Start an episode; see `NavigationTask.begin`.

        Raises:
            EpisodeError: The episode has another number of goals than the settings, or one cannot be reached.
        """
        self._goals = _places(episode)
        count = len(self._goals)
        if count != self.settings.goals:
            raise EpisodeError(
                f"Episode {episode.episode_id!r} has {count} goals, the settings say {self.settings.goals}; set goals "
                f"to {count}."
            )
        self.found, self._loud, self._following = (False,) * count, np.ones(count, np.float32), None
        super().begin(episode)
        start = self.beginning[0]
        self._legs = self._distances([start, *self._goals], self._goals)
        if not np.isfinite(self._legs).all():
            raise EpisodeError(
                f"Episode {episode.episode_id!r}: goal {int(np.isinf(self._legs).any(0).argmax())} cannot be reached "
                "from the start or from another goal: they are on different islands of the floor. Move it."
            )
        self._order = min(self._orders(range(count)), key=self._length)
        self._aim()
        self.walk.start_distance = self.walk.distance

    def _distances(self, starts: Sequence[np.ndarray], goals: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([self.walk.ground.distances(np.array(starts), goal) for goal in goals], axis=1)

    def _orders(self, goals: Sequence[int]) -> Iterator[tuple[int, ...]]:
        """Yield the orders in which some goals may be found."""
        return iter([tuple(goals)]) if self.settings.order == "given" else itertools.permutations(goals)

    def _length(self, order: Sequence[int]) -> float:
        """Return the length of the way from the start through goals [m]; row 0 of the legs is the start."""
        return float(sum(self._legs[0 if i == 0 else order[i - 1] + 1, goal] for i, goal in enumerate(order)))

    def _aim(self) -> None:
        """Measure the distance to the next goal: the first that is left, or in any order the nearest."""
        left = [number for number, found in enumerate(self.found) if not found]
        if self.settings.order == "given" or len(left) < 2:
            left = left[:1]
        here = self.simulator.position
        if left:
            goals = (self._goals[number] for number in left)
            self.walk.move_goal(min(goals, key=lambda goal: self.walk.ground.distance(here, goal)))

    def hear(self) -> None:
        """Let the time of a step pass; what was found falls silent within the next step."""
        each = self.simulator.hear_each(round(self.settings.step_time * self.simulator.rate))
        loud = 1.0 - np.array(self.found, np.float32)
        if loud.all() and self._loud.all():
            self.waveform = each.sum(0)
        else:
            ramp = np.linspace(self._loud, loud, each.shape[2], dtype=np.float32).T
            self.waveform = (each * ramp[:, None]).sum(0)
        self._loud = loud

    def step(self, action: Any) -> Outcome:
        """Take one action, let the time of a step pass, and reward it.

        Raises:
            ActionError: The action does not exist.
            EpisodeError: No path leads from the body to a goal.
        """
        move = Action(checked_action(action, self.choices))
        settings, before = self.settings, self.walk.distance
        self.walk.act(move)
        reward, mistaken = settings.step_reward, False
        if move == Action.STOP:
            mistaken = not self._find()
            reward += 0.0 if mistaken else settings.success_reward
            self._aim()
        else:
            self._aim()
            reward += settings.distance_reward * (before - self.walk.distance)
        self.hear()
        self.stopped = all(self.found) or (mistaken and settings.ends_at_mistake)
        return Outcome(
            reward=float(reward),
            terminated=self.stopped,
            truncated=not self.stopped and self.steps >= settings.max_steps,
        )

    def _find(self) -> bool:
        """Find the goal that the body is at, and return whether there is one."""
        if self.walk.distance >= self.settings.success_distance:
            return False
        number = next(
            i for i, goal in enumerate(self._goals) if np.array_equal(goal, self.walk.goal) and not self.found[i]
        )
        self.found = (*self.found[:number], True, *self.found[number + 1 :])
        return True

    @property
    def success(self) -> bool:
        """Whether all goals are found."""
        return bool(self.found) and all(self.found)

    @property
    def _next(self) -> int:
        """Number of the goal that comes next in the best order from the start."""
        return next((number for number in self._order if not self.found[number]), self._order[-1])

    def ways_left(self, places: np.ndarray) -> np.ndarray:
        """Return the lengths ``(n,)`` of the shortest ways from places to where the oracle goes [m]."""
        return self.walk.ground.distances(places, self._goals[self._next])

    def oracle_action(self) -> int:
        """Return the next action of the way through the goals that are left, in the best order from the start."""
        following = self._next
        if following != self._following:
            self._following = following
            self.oracle.set_goal(self._goals[following])
        return super().oracle_action()

    @property
    def oracle_actions(self) -> int:
        """Actions that the oracle takes through all goals in the best order, stops included."""
        if self._oracle_actions is None:
            position, heading, _ = self.beginning
            total = 0
            for number in self._order:
                self.oracle.set_goal(self._goals[number])
                position, heading, count = self.oracle.follow(position, heading)
                total += count
            self._oracle_actions, self._following = total, None
        return self._oracle_actions

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            Those of `NavigationTask.measures`, some of them in another sense: ``success`` when all goals are found;
            ``progress``, the share that is; ``spl`` = S·l/max(p, l) with the shortest way l through all goals;
            ``ppl`` = progress·l'/max(p, l') with the shortest way l' through those that are found (Wani et al. 2020);
            ``soft_spl`` is ``ppl``; ``distance_to_goal`` is 0 when all are found.
        """
        found = super().measures()
        walked, numbers = self.walk.path_length, [i for i, is_found in enumerate(self.found) if is_found]
        progress = len(numbers) / len(self.found)
        least = min(map(self._length, self._orders(numbers)))
        found["progress"] = progress
        found["spl"] = found["success"] * efficiency(self._length(self._order), walked)
        found["ppl"] = found["soft_spl"] = progress * efficiency(least, walked)
        if self.success:
            found["distance_to_goal"] = found["normalized_distance_to_goal"] = 0.0
        return found


def _places(episode: Episode) -> list[np.ndarray]:
    """Return where the goals of an episode are, on the floor ``(3,)`` each [m]."""
    return [np.array(place) for place in (episode.goal_position, *getattr(episode, "more_goals", ()))]
