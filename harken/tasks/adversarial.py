"""Finding a sound while an attacker moves and sounds against it: sound-adversarial audio-visual navigation.

The game is that of "Sound Adversarial Audio-Visual Navigation" (Yu et al., ICLR 2022). Its released code has no
attacker, so the attacker's levels, distances and moves are Harken's.
"""

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harken.checks import check_settings, checked_count, checked_point
from harken.errors import ActionError, ConfigurationError, EpisodeError, UnknownNameError
from harken.sim import SoundSource
from harken.sim.trajectory import FASTEST
from harken.sound.level import active_rms, amplitude
from harken.tasks.attacker_body import AttackerBody, AttackerEars
from harken.tasks.attackers import Attacker, AttackMove, AttackSizes, Scripted, make_scripted
from harken.tasks.episode_lists import listed_task, read_episode_list
from harken.tasks.episodes import Episode, read_episodes
from harken.tasks.habitat_episodes import is_habitat_file, read_habitat_episodes
from harken.tasks.navigation import NavigationTask
from harken.tasks.navigation_rules import NavigationSettings
from harken.tasks.protocol import Choice, Numbers, Outcome, Sensor, sense
from harken.tasks.sensing import FARTHEST, sound_sensors
from harken.tasks.sounds import Sounds
from harken.tasks.walk import ahead_and_left, checked_action, set_doors

__all__ = ["AdversarialEpisode", "AdversarialSettings", "AdversarialTask", "AttackerSettings"]

PLACES_TRIED = 200
"""Places that are drawn for an attacker before there is said to be none."""

DECOY_PLACES = 32
"""Places among which that of a decoy is chosen."""

NEAR = 5.0
"""Longest way from the agent's start to the place of a decoy, if there is such a place [m]."""

HEADINGS: dict[AttackMove, float] = {
    AttackMove.FORWARD: 0.0,
    AttackMove.BACK: np.pi,
    AttackMove.LEFT: 0.5 * np.pi,
    AttackMove.RIGHT: -0.5 * np.pi,
}
"""Where moves lead [rad]."""

SILENCE: tuple[np.ndarray, int, float] = np.zeros(1, np.float32), 0, 0.0
"""What an attacker plays that makes no sound: samples, offset and gain."""

HEARING: tuple[str, ...] = ("waveform", "spectrogram")
"""Sensors of an attacker that hears."""


@dataclass(frozen=True, kw_only=True)
class AttackerSettings:
    """What an attacker may do, and who chooses it."""

    policy: Scripted = "random"
    """Who chooses unless an attacker is given: "silent" stays and makes no sound, "random" draws every choice anew,
    "still" stays and plays as loud as it may, "decoy" goes beyond the agent and plays the goal's category there,
    "mixed" is one of these, drawn for each episode."""
    levels: tuple[float, ...] = (-12.0, -6.0, 0.0)
    """Volumes besides silence: levels relative to the goal's, both over their active parts at 1 m [dB], −100 to 40."""
    categories: tuple[str, ...] = ()
    """Categories that it may play; empty for all of the goal's and of `attacker_sound`."""
    speed: float | None = None
    """How fast it walks [m/s]; None for the speed of the agent. On a grid it goes one node a step."""
    least_agent_distance: float = 1.0
    """Straight distance from the agent below which it does not begin, and not go on its own [m]."""
    least_goal_distance: float = 2.0
    """The same from the goal [m]: by default twice the success distance, so that no stop is at both."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(
            self,
            levels=(-100.0, 40.0),
            speed=(0.0, FASTEST),
            least_agent_distance=(0.0, 1e6),
            least_goal_distance=(0.0, 1e6),
        )
        if not self.levels:
            raise ConfigurationError("Setting attacker.levels is empty; expected at least one level in dB, such as 0.")


@dataclass(frozen=True, kw_only=True)
class AdversarialSettings(NavigationSettings):
    """The rules of navigation under attack: those of AudioGoal, and what the attacker may do."""

    attacker: AttackerSettings = field(default_factory=AttackerSettings)
    """What the attacker may do."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        super().__post_init__()
        if self.body.motion == "grid" and self.attacker.speed is not None:
            raise ConfigurationError(
                f"Setting attacker.speed is {self.attacker.speed:g} m/s and body.motion 'grid'; expected None: on a "
                "grid the attacker goes one node a step."
            )


@dataclass(frozen=True, kw_only=True)
class AdversarialEpisode(Episode):
    """An episode of AudioGoal with the start of an attacker.

    Raises:
        EpisodeError: A field is not valid.
    """

    attacker_position: tuple[float, float, float]
    """Where it starts, on the floor [m]; it sounds at the height of ears."""
    seed: int = 0
    """Seed of what is drawn while the episode runs: the clips of the categories, and a scripted attacker's choices."""

    def __post_init__(self) -> None:
        """Check every field."""
        super().__post_init__()
        where = f"Episode {self.episode_id!r}:"
        point = checked_point(f"{where} attacker_position", self.attacker_position, error=EpisodeError)
        object.__setattr__(self, "attacker_position", tuple(point.tolist()))
        object.__setattr__(self, "seed", checked_count(f"{where} seed", self.seed, 0, 2**62, error=EpisodeError))


class AdversarialTask(NavigationTask):
    """Find a sound while an attacker moves and sounds against you.

    ## Description
    AudioGoal with one sound attacker in a zero-sum game (Yu et al., ICLR 2022). In each step the attacker chooses
    where it goes, how loud it is and which category it plays; the agent hears goal and attacker together. The
    attacker's reward is the negative of the agent's. Episode ``i`` of a split is that of AudioGoal with an attacker
    besides, and with the attacker "silent" it is AudioGoal's.

    Here the agent acts against an attacker that is scripted or given. `harken.envs.AttackerEnv` lets the attacker act
    against an agent, and `harken.envs.parallel.AdversarialParallelEnv` is the game of both.

    ## Action Space
    As in AudioGoal. The attacker's is ``MultiDiscrete([5, volumes, categories])``: stay, forward (−z), back, left (−x)
    or right; silence or one of the levels; a category.

    ## Observation Space
    As in AudioGoal. The attacker's sensors:

    | sensor | shape, type | what |
    |---|---|---|
    | pose | (3,) float32 | metres ahead and to the left of its start, time [s] |
    | agent | (3,) float32 | metres ahead and to the left to the agent, the agent's heading [rad] |
    | goal | (2,) float32 | metres ahead and to the left to the goal |
    | goal_category | Discrete | 1 + the number of the goal's category, 0 where it may not play that |
    | collision | (1,) float32 | 1 if the last move ran into something or was not allowed |
    | waveform, spectrogram | as the agent's | what it hears of the goal where it is, on request |
    | away | Discrete(5) | privileged: the next move of the way to a place beyond the agent, away from the goal |

    ## Rewards
    As in AudioGoal.

    ## Starting State
    As in AudioGoal; the attacker starts at a random place that its limits allow.

    ## Episode End
    Terminated by stop; truncated after 500 steps. ``info`` has the measures of AudioGoal, ``mean_reward``,
    ``attacker_distance`` and ``attacker_share``, see `measures`.

    ## Arguments
    preset ("saavn", a grid, or "saavn-continuous"), sound, attacker, attacker_sound, and those of every environment.

    ## Version History
    v0: first version.

    Args:
        settings: The rules.
        split: "train", "val" or "test": which sounds.
        sound: As in AudioGoal.
        attacker: Name of a scripted attacker, in place of that of the settings, or an `Attacker`, which may be an
            `harken.agents.Agent`. Environments that are made from this one get a copy of it.
        attacker_sound: What it plays besides the goal's sounds, as `sound`.

    Raises:
        UnknownNameError: There is no such sound, category or attacker, or no such sensor that the attacker needs.
        SoundError: A recording cannot be used.
        ConfigurationError: The attacker has not the methods of an `Attacker`.
    """

    rules = AdversarialSettings
    settings: AdversarialSettings  # type: ignore[bad-override]

    def __init__(
        self,
        settings: AdversarialSettings,
        split: str,
        *,
        sound: str = "telephone",
        attacker: str | Attacker | None = None,
        attacker_sound: str = "heard",
    ):
        if isinstance(attacker, str):
            limits = dataclasses.replace(settings.attacker, policy=attacker)  # type: ignore[bad-argument-type]
            settings, attacker = dataclasses.replace(settings, attacker=limits), None
        super().__init__(settings, split, sound=sound)
        self._clips = self._find_clips(attacker_sound, split)
        self.attacker_categories = tuple(self._clips)
        limits = settings.attacker
        self._opponent = attacker or make_scripted(limits.policy, self.attack_sizes, int(np.argmax(limits.levels)) + 1)
        self._check_opponent()
        self.attacker: AttackerBody | None = None
        self._attack = np.zeros(3, np.int64)
        self._ears: AttackerEars | None = None
        self._decoy: np.ndarray | None = None
        self._reward = 0.0
        self._played: dict[int, tuple[np.ndarray, int, float]] = {}

    def __copy__(self) -> "AdversarialTask":
        """Return a copy with an attacker of its own, which remembers nothing of this one's episode."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._opponent = copy.deepcopy(self._opponent)
        return other

    def _find_clips(self, attacker_sound: str, split: str) -> dict[str, tuple[Sounds, tuple[str, ...]]]:
        """Return where the clips of each category are that the attacker may play, and their names."""
        assert self.sounds is not None
        own = Sounds(attacker_sound, split, self.settings.acoustics.rate)
        found: dict[str, tuple[Sounds, tuple[str, ...]]] = {}
        for sounds in (own, self.sounds):
            for category in sorted({sounds.category(name) for name in sounds.names}):
                found.setdefault(category, (sounds, sounds.of(category)))
        chosen = self.settings.attacker.categories or tuple(sorted(found))
        for category in chosen:
            if category not in found:
                raise UnknownNameError("category of an attacker", category, found)
        return {category: found[category] for category in chosen}

    def _check_opponent(self) -> None:
        opponent = self._opponent
        if isinstance(opponent, type) or not isinstance(opponent, Attacker):
            raise ConfigurationError(
                f"attacker is {opponent!r:.120}; expected the name of a scripted one, or an object with `sensors`, "
                "`reset(seed)` and `act(observation)`."
            )
        for name in opponent.sensors:
            if name not in self.attacker_sensors:
                raise UnknownNameError("sensor of an attacker", name, self.attacker_sensors)

    @property
    def attack_sizes(self) -> AttackSizes:
        """How many moves, volumes and categories the attacker chooses from."""
        return len(AttackMove), 1 + len(self.settings.attacker.levels), len(self.attacker_categories)

    @property
    def attacker_shown(self) -> tuple[str, ...]:
        """Names of the sensors that an attacker is shown unless it asks for others."""
        return "pose", "agent", "goal", "goal_category", "collision"

    @property
    def attacker_sensors(self) -> Mapping[str, Sensor]:
        """What the attacker may sense. It does not turn: ahead is −z, and left −x."""
        samples = round(self.settings.observation_time * self.settings.acoustics.rate)
        moves = Choice(names=tuple(move.name.lower() for move in AttackMove))
        sensors = [
            Sensor(name="pose", space=_places(3), read=lambda views: self._body.pose(self.steps * self.step_time)),
            Sensor(name="agent", space=_places(3), read=lambda views: self._agent()),
            Sensor(name="goal", space=_places(2), read=lambda views: self._towards(self.goal)),
            Sensor(
                name="goal_category",
                space=Choice(names=("another", *self.attacker_categories)),
                read=lambda views: self._goal_category(),
            ),
            Sensor(
                name="collision",
                space=Numbers(shape=(1,), low=0.0, high=1.0),
                read=lambda views: np.array([self._body.collided], np.float32),
            ),
            Sensor(name="away", space=moves, privileged=True, read=lambda views: np.int64(self._away())),
            *sound_sensors(self._attacker_heard, samples),
        ]
        return {sensor.name: sensor for sensor in sensors}

    def attacker_observation(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what the attacker senses now.

        Args:
            names: Some of `attacker_sensors`; "waveform" and "spectrogram" only where the attacker asked for one of
                them when the episode began.
        """
        sensors = self.attacker_sensors
        return sense(self.simulator, [sensors[name] for name in names])

    @property
    def _body(self) -> AttackerBody:
        assert self.attacker is not None
        return self.attacker

    def _towards(self, place: np.ndarray) -> np.ndarray:
        return ahead_and_left(place - self._body.place, 0.0)

    def _agent(self) -> np.ndarray:
        return np.array([*self._towards(self.simulator.position), self.simulator.heading], np.float32)

    def _goal_category(self) -> np.int64:
        assert self.sounds is not None and self.episode is not None
        category = self.sounds.category(self.episode.sound)
        known = category in self.attacker_categories
        return np.int64(1 + self.attacker_categories.index(category) if known else 0)

    def _attacker_heard(self) -> np.ndarray:
        assert self._ears is not None
        return self._ears.heard

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> AdversarialEpisode:
        """Draw an episode of AudioGoal, and then an attacker; see `NavigationTask.sample`."""
        return self._with_attacker(super().sample(rng, episode_id=episode_id, scene=scene), rng)

    def _with_attacker(self, episode: Episode, rng: np.random.Generator) -> AdversarialEpisode:
        simulator = self.simulator
        places = np.array(episode.start_position), np.array(episode.goal_position)
        for _ in range(PLACES_TRIED):
            place = self.walk.ground.random_point(rng)
            if simulator.ground.is_free(place) and not self._breaches(place, *places) and self._is_airy(place):
                more = {"attacker_position": tuple(place.tolist()), "seed": int(rng.integers(2**32))}
                return AdversarialEpisode(
                    **{f.name: getattr(episode, f.name) for f in dataclasses.fields(Episode)}, **more
                )
        limits = self.settings.attacker
        raise EpisodeError(
            f"{simulator.name}: none of {PLACES_TRIED} places is {limits.least_agent_distance:g} m away from the agent "
            f"and {limits.least_goal_distance:g} m from the goal, for an attacker to start. Use a larger scene, or "
            "lower attacker.least_agent_distance or attacker.least_goal_distance."
        )

    def _breaches(self, place: np.ndarray, agent: np.ndarray, goal: np.ndarray) -> list[tuple[str, float, float]]:
        """Return to whom a place is nearer than allowed, with its distance and the least one [m]."""
        limits = self.settings.attacker
        pairs = ("agent", agent, limits.least_agent_distance), ("goal", goal, limits.least_goal_distance)
        return [(name, away, least) for name, other, least in pairs if (away := math.dist(place, other)) < least]

    def _is_airy(self, place: np.ndarray) -> bool:
        """Whether the attacker would not sound inside of something solid."""
        return not self.simulator.is_inside_solid(place + self.lift)

    def read_episodes(self, path: str | Path) -> Sequence[Episode]:
        """Read episodes of this task or of AudioGoal from a file, see `NavigationTask.read_episodes`.

        To those of AudioGoal an attacker is drawn when they begin, always the same one.
        """
        if not is_habitat_file(path):
            return read_episodes(path, AdversarialEpisode)
        source = read_habitat_episodes(path)
        if listed_task(source) == "adversarial-audiogoal":
            return read_episode_list(source, AdversarialEpisode, where=repr(str(path)))
        return super().read_episodes(path)

    def begin(self, episode: Episode) -> None:
        """Start an episode; see `NavigationTask.begin`. The attacker is silent until the first action.

        Raises:
            EpisodeError: Also where the attacker is not on the floor, or nearer to agent or goal than its limits allow.
        """
        set_doors(self.simulator, episode.doors)
        if not isinstance(episode, AdversarialEpisode):
            episode = self._with_attacker(episode, np.random.default_rng([*episode.episode_id.encode(), 1]))
        self._check_start(episode)
        self._attack, self._decoy, self._reward, self._played = np.zeros(3, np.int64), None, 0.0, {}
        super().begin(episode)
        self._opponent.reset(episode.seed)

    def _check_start(self, episode: AdversarialEpisode) -> None:
        place = np.array(episode.attacker_position)
        where = f"Episode {episode.episode_id!r}: the attacker starts at {place.round(3).tolist()}"
        if not self.simulator.ground.is_free(place):
            raise EpisodeError(f"{where}, off the floor of {self.simulator.name}; expected a place on it, or a node.")
        if not self._is_airy(place):
            raise EpisodeError(f"{where}, where it would sound inside of something solid. Move it.")
        for name, away, least in self._breaches(
            place, np.array(episode.start_position), np.array(episode.goal_position)
        ):
            raise EpisodeError(
                f"{where}, {away:.2f} m from the {name}; expected at least {least:g} m. Move it, or lower "
                f"attacker.least_{name}_distance."
            )

    def sounding(self, episode: Episode, sounds: Sounds) -> list[SoundSource]:
        """Return all that sounds in an episode: the goal and the attacker."""
        assert isinstance(episode, AdversarialEpisode)
        found, simulator = super().sounding(episode, sounds), self.simulator
        samples = round(self.settings.step_time * simulator.rate)
        self.attacker = AttackerBody(
            np.array(episode.attacker_position), self.lift, simulator.rate, samples, self.settings.acoustics.duration
        )
        self._ears = AttackerEars(found[0], samples) if set(HEARING) & set(self._opponent.sensors) else None
        return [*found, self.attacker.source]

    def hear(self) -> None:
        """Let the time of a step pass, in which the attacker does what it chose."""
        body = self._body
        move, volume, category = self._attack.tolist()
        place, body.collided = self._moved(AttackMove(move))
        clip, offset, gain = self._clip(category) if volume else SILENCE
        level = float(amplitude(self.settings.attacker.levels[volume - 1]))
        body.act(place, clip, gain=gain * level, offset=offset)
        super().hear()
        if self._ears is not None:
            self._ears.hear(self.simulator, body.place + self.lift)

    def _moved(self, move: AttackMove) -> tuple[np.ndarray, bool]:
        """Return where a move leads, and whether something was in the way or it is not allowed."""
        ground, place = self.simulator.ground, self._body.place
        if not ground.is_free(place):  # the leaf of a door swung there
            place = ground.snap(place)
        if move == AttackMove.STAY:
            return place, False
        end, blocked = ground.move(place, HEADINGS[move], self._stride)
        return (end, blocked) if self._may_go(place, end) else (place, True)

    @property
    def _stride(self) -> float:
        """How far the attacker goes in a step [m]."""
        speed = self.settings.attacker.speed
        return self.settings.body.forward_step if speed is None else speed * self.settings.step_time

    def _may_go(self, place: np.ndarray, end: np.ndarray) -> bool:
        """Whether the attacker may go from one place to another: into nothing solid, and not nearer than allowed."""
        others = {"agent": self.simulator.position, "goal": self.walk.goal}
        near = self._breaches(end, others["agent"], others["goal"])
        return self._is_airy(end) and all(away >= math.dist(place, others[name]) for name, away, _ in near)

    def _clip(self, number: int) -> tuple[np.ndarray, int, float]:
        """Return what the attacker plays of a category in this episode: samples, offset, gain to the goal's level."""
        if number in self._played:
            return self._played[number]
        episode = self.episode
        assert isinstance(episode, AdversarialEpisode) and self.sounds is not None
        sounds, names = self._clips[self.attacker_categories[number]]
        rng = np.random.default_rng([episode.seed, 1, number])
        clip = sounds.clip(names[int(rng.integers(len(names)))])
        goal = self.sounds.clip(episode.sound)
        gain = active_rms(goal.samples, goal.rate) / active_rms(clip.samples, clip.rate)
        self._played[number] = clip.samples, int(rng.integers(len(clip.samples))), gain
        return self._played[number]

    def _away(self) -> AttackMove:
        """Return the move that brings the attacker nearest to the place of a decoy."""
        ground, body = self.simulator.ground, self._body
        if self._decoy is None:
            self._decoy = self._decoy_place()
        ends = {AttackMove.STAY: body.place}
        ends |= {move: self._moved(move)[0] for move in HEADINGS}
        distances = np.nan_to_num(ground.distances(np.array(list(ends.values())), self._decoy), nan=np.inf)
        best = int(np.argmin(distances))
        return list(ends)[best] if distances[best] < distances[0] - 1e-6 else AttackMove.STAY

    def _decoy_place(self) -> np.ndarray:
        """Return the place, of some that are near to where the agent starts, that is farthest from the goal."""
        episode, ground = self.episode, self.simulator.ground
        assert isinstance(episode, AdversarialEpisode)
        rng, (start, _, goal) = np.random.default_rng([episode.seed, 2]), self.beginning
        drawn = [self._body.start, *(ground.random_point(rng) for _ in range(DECOY_PLACES))]
        places = np.array([place for place in drawn if not self._breaches(place, start, goal) and self._is_airy(place)])
        near = np.nan_to_num(ground.distances(places, start), nan=np.inf)
        within = near <= max(NEAR, float(near.min()))
        return places[within][int(np.argmax(ground.distances(places[within], goal)))]

    def step(self, action: Any) -> Outcome:
        """Take one action, while the attacker takes its own; see `play`."""
        checked_action(action, self.choices)
        return self.play(action, self._opponent.act(self.attacker_observation(self._opponent.sensors)))

    def play(self, action: Any, attack: Any) -> Outcome:
        """Take an action of the agent and one of the attacker, let the time of a step pass, and reward the agent.

        Both act at once; where they would come too near to each other, the agent has gone first. An attacker that
        would leave the floor slides along its edge as the agent does; a move into something solid, or nearer to agent
        or goal than its limits allow, leaves it where it is.

        Args:
            action: The agent's, one of `Action`.
            attack: The attacker's, ``(3,)`` whole numbers: move, volume and category.

        Raises:
            ActionError: One of them does not exist.
            EpisodeError: No path leads from the body to the goal.
        """
        checked_action(action, self.choices)
        self._attack = self._checked_attack(attack)
        outcome = super().step(action)
        self._body.count(self.simulator.position, sounds=bool(self._attack[1]))
        self._reward += outcome.reward
        return outcome

    def _checked_attack(self, attack: Any) -> np.ndarray:
        sizes = self.attack_sizes
        try:
            chosen = np.asarray(attack)
        except (ValueError, TypeError) as error:
            raise ActionError(f"The attacker's action {attack!r:.80} is no array: {error}.") from error
        if chosen.shape != (3,) or chosen.dtype.kind not in "iu" or not ((chosen >= 0) & (chosen < sizes)).all():
            raise ActionError(
                f"The attacker's action is {attack!r:.80}; expected three whole numbers, a move, a volume and a "
                f"category, from 0 and below {sizes}."
            )
        return chosen.astype(np.int64)

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far.

        Returns:
            Those of `NavigationTask.measures`; ``mean_reward``, the agent's reward per step; ``attacker_distance``, the
            mean straight distance from the attacker to the agent after each step [m]; ``attacker_share``, the share of
            steps in which the attacker chose to sound. Before the first step they are 0, the distance now, and 0.
        """
        found = super().measures()
        found["mean_reward"] = self._reward / max(self.steps, 1)
        return found | self._body.measures(self.simulator.position)


def _places(count: int) -> Numbers:
    return Numbers(shape=(count,), low=-FARTHEST, high=FARTHEST)
