"""Active separation: hear several sources at once, move, and estimate what the target sounds like.

Rules and rewards are those of Majumder, Al-Halah and Grauman (ICCV 2021), "Move2Hear: active audio-visual source
separation", and of Majumder and Grauman (ECCV 2022), "Active audio-visual separation of dynamic sound sources". Who
separates is not part of the task: it judges an estimate of the target's magnitude spectrogram.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.acoustics import Source
from harken.errors import ActionError, ConfigurationError, EpisodeError, SoundError
from harken.metrics.separation import TARGET_RMS, separation_quality
from harken.sim import BodySettings, SimulatorProtocol, SoundSource, WorldSettings
from harken.sound import spectrogram
from harken.tasks.heard import MAGNITUDES, Heard, Verdict, estimate_measures, judge, scaled_to_target
from harken.tasks.mixtures import MixtureSounds
from harken.tasks.protocol import Actions, Choice, Numbers, Outcome, Sensor, entered, sense
from harken.tasks.sensing import LOUDEST, image_sensors, sound_sensors, walk_sensors
from harken.tasks.separation_rules import Move, PlacedSound, SeparationEpisode, SeparationSettings
from harken.tasks.walk import Action, Walk, checked_action

__all__ = ["SeparationTask", "Separator"]

Separator = Callable[[Mapping[str, Any]], np.ndarray]
"""Takes an observation and returns an estimate of the target's magnitudes."""

ATTEMPTS = 200
"""Draws after which a world counts as too small for an episode."""

KEPT_TARGETS = 64
"""Mono targets of different parts of a clip that are kept: one for a clip as long as a step."""

_WALKS = {
    Move.FORWARD: Action.MOVE_FORWARD,
    Move.LEFT: Action.TURN_LEFT,
    Move.RIGHT: Action.TURN_RIGHT,
}


class SeparationTask:
    """Move so that one of several sounds can be separated from the others.

    ## Description
    Two or more sources sound at once in a home, and the class of the target is given. The agent moves and estimates
    the magnitude spectrogram of the target's sound: as it was emitted (mono) or as it is at the ears (binaural). The
    separator is the agent's own: its estimate comes with the action, or from a function that the environment calls.
    After Move2Hear (Majumder et al., ICCV 2021) and its sequel with sounds that change (ECCV 2022).

    ## Action Space
    ``Dict(move=Discrete(3), estimate=Box(0, greatest, shape))``, the estimate being of the *last observation*: linear
    magnitudes ``(512, 32, 1)`` mono, of an RMS of 1.2 over everything, or ``(512, 32, 2)`` binaural, in the mixture's
    scale. With ``separator=``, ``Discrete(3)``. Moves: 0 forward, 1 left, 2 right; with ``may_stand`` 3 stand still.

    ## Observation Space
    A ``Dict`` of the sensors asked for, by default spectrogram, rgb, depth, pose and target:

    | sensor | shape, type | what |
    |---|---|---|
    | spectrogram | (512, 32, 2) float32 | log(1 + magnitude) of the mixture at both ears, of the step's sound |
    | waveform | (2, 16000) float32 | the mixture itself |
    | target | Discrete(24) | class of the target, an index into ``env.unwrapped.task.sounds.targets`` |
    | rgb, depth, semantic, pose, collision, last_action | | as in AudioGoal; pose includes the time |
    | mask | (512, 32, 2) float32 | privileged: the mask in 0–1 that brings the mixture nearest to the target |

    ## Rewards
    With quality q = −mean((M̂ − M)²)/mean(M²): the rise of q since the last step, the first over that of the mixture,
    and 10·q with the last step ("rise"); or q itself ("quality", the default of ActiveDynamicSeparation: the rise over
    the mixture would reward going where the mixture is bad). In the search steps of "far-target": the metres by which
    the geodesic distance to the target fell. A step at which the target is silent earns 0.

    ## Starting State
    "near-target": at the target's place; "far-target": at least 2 m from it; "dynamic": anywhere. ``reset(options=
    {"episode": i})`` starts episode ``i`` of the split (or of the given episodes), the same for everybody.

    ## Episode End
    Truncated after 20 steps (100 in "far-target"). Nothing else ends it.

    ## Info
    Of the sound just observed: ``target_mono`` ``(512, 32, 1)`` and ``target_binaural`` ``(512, 32, 2)`` magnitudes,
    ``target_mono_waveform`` ``(1, n)`` and ``target_binaural_waveform`` ``(2, n)``, ``target_silent``. Of the estimate
    that was rewarded, where one was: the measures of `harken.tasks.heard.Verdict.to_mapping`. Besides
    ``distance_to_target`` [m], ``searching``.

    ## Arguments
    preset ("near-target", "far-target" or "dynamic"), sounds, library, targets, separator, and those of every
    environment.

    ## Version History
    v2: reverberation that belongs to places. v1: the categories of "semantic" are the same in all homes. v0: first
    version.

    Args:
        settings: The rules.
        split: "train", "val" or "test": which sounds, where they are "unheard".
        sounds: "heard", clips of split train, or "unheard", those kept apart for `split`.
        library: What can sound, in place of `ClipLibrary.speech_and_music`: a library, such as those of
            `harken.sound.clip_layouts`, or a folder for `ClipLibrary.folder`.
        targets: Classes that may be targets; talkers and instruments of the built-in library, all of another one.
        separator: Returns the estimate for an observation; without, the action holds it.

    Raises:
        UnknownNameError: A name does not exist.
        SoundError: The library has another rate than the simulator, or too few classes.
    """

    rules = SeparationSettings
    shown: tuple[str, ...] = ("spectrogram", "rgb", "depth", "pose", "target")
    stream: tuple[int, ...] = ()
    success: bool | None = None

    def __init__(
        self,
        settings: SeparationSettings,
        split: str,
        *,
        sounds: Literal["heard", "unheard"] = "heard",
        library: Any = None,
        targets: Sequence[str] | None = None,
        separator: Separator | None = None,
    ):
        self.settings = settings
        self.sounds = MixtureSounds(
            sounds, split, library=library, targets=targets, rate=settings.acoustics.rate, seconds=settings.clip_seconds
        )
        if separator is not None and not callable(separator):
            raise ConfigurationError(f"separator is {separator!r}; expected a function of an observation, or None.")
        self.separator = separator
        self.episode: SeparationEpisode | None = None
        self._simulator: SimulatorProtocol | None = None
        self._judged: list[tuple[np.ndarray, Heard, Verdict]] = []
        self._verdict: Verdict | None = None

    @property
    def body(self) -> BodySettings:
        """What the body is like."""
        return self.settings.body

    @property
    def world(self) -> WorldSettings:
        """The worlds that it is played in."""
        return self.settings.world

    @property
    def step_time(self) -> float:
        """Time that passes in a step [s]."""
        return self.settings.step_time

    @property
    def simulator(self) -> SimulatorProtocol:
        """The world that was entered last."""
        return entered(self._simulator)

    @property
    def moves(self) -> tuple[Move, ...]:
        """The moves that exist."""
        return tuple(move for move in Move if move != Move.STAND or self.settings.may_stand)

    @property
    def actions(self) -> Actions:
        """What can be done in a step: a move, with an estimate unless a separator makes it."""
        moves = Choice(names=tuple(move.name.lower() for move in self.moves))
        if self.separator is not None:
            return moves
        return {
            "move": moves,
            "estimate": Numbers(shape=self.settings.estimate_shape, low=0.0, high=_greatest(self.settings)),
        }

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        settings, shape = self.settings, self.settings.magnitude_shape(2)
        loudest = float(np.float32(np.log1p(LOUDEST * MAGNITUDES.n_fft)))
        waveform, _ = sound_sensors(lambda: self.heard.mixture, settings.step_samples)
        sensors = [
            *image_sensors(settings.body.camera, settings.max_depth),
            *walk_sensors(lambda: self.walk, settings.step_time),
            waveform,
            Sensor(
                name="spectrogram",
                space=Numbers(shape=shape, low=0.0, high=loudest),
                read=lambda views: self.heard.mixture_spectrogram,
            ),
            Sensor(name="target", space=Choice(names=self.sounds.targets), read=lambda views: self._target),
            Sensor(
                name="mask",
                space=Numbers(shape=shape, low=0.0, high=1.0),
                privileged=True,
                read=lambda views: self.heard.mask,
            ),
        ]
        return {sensor.name: sensor for sensor in sensors}

    @property
    def _target(self) -> np.int64:
        assert self.episode is not None
        return np.int64(self.sounds.targets.index(self.episode.target))

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        self._simulator = simulator
        self.walk = Walk(simulator, self.settings.body)

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> SeparationEpisode:
        """Draw an episode in the world. Clips start at their beginning.

        Args:
            rng: Generator of every random draw.
            episode_id: Name of the episode.
            scene: Name of the scene.

        Raises:
            EpisodeError: The world is too small.
        """
        count, names, targets = self.settings.sources, self.sounds.names, self.sounds.targets
        target = targets[int(rng.integers(len(targets)))]
        others = [category for category in names if category != target]
        categories = [target, *(others[i] for i in rng.choice(len(others), count - 1, replace=len(others) < count - 1))]
        sounds = [names[category][int(rng.integers(len(names[category])))] for category in categories]
        start, places = self._sample_places(rng, count)
        placed = tuple(
            PlacedSound(position=tuple(place.tolist()), sound=sound, category=category)
            for place, sound, category in zip(places, sounds, categories, strict=True)
        )
        body = self.settings.body
        return SeparationEpisode(
            episode_id=episode_id,
            scene=scene,
            start_position=tuple(start.tolist()),
            start_heading=float(rng.integers(body.turns) * body.turn_angle),
            target=target,
            sources=placed,
        )

    def _sample_places(self, rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return where the body starts, and where the target and the other sources are."""
        simulator, settings, ground = self.simulator, self.settings, self.simulator.ground
        for _ in range(ATTEMPTS):
            target = ground.random_point(rng)
            start = target if settings.most_distance == 0.0 else ground.random_point(rng)
            if not settings.least_distance <= ground.distance(start, target) <= settings.most_distance:
                continue
            places = [target]
            for _ in range(10 * count):
                place = ground.random_point(rng)
                apart = min(float(np.linalg.norm(place - other)) for other in places)
                # Sources may not coincide, whatever the least distance is.
                if apart >= max(settings.source_distance, 1e-3):
                    places.append(place)
                if len(places) == count:
                    break
            if len(places) == count and not any(simulator.is_inside_solid(self._lifted(place)) for place in places):
                return start, places
        raise EpisodeError(
            f"{simulator.name}: {ATTEMPTS} draws found no place for {count} sources "
            f"{settings.source_distance:g} m apart with a start {settings.least_distance:g} to "
            f"{settings.most_distance:g} m from the target. Use a larger scene or lower source_distance."
        )

    def _lifted(self, place: Sequence[float] | np.ndarray) -> np.ndarray:
        return np.asarray(place, np.float64) + [0.0, self.settings.source_height, 0.0]

    def read_episodes(self, path: str | Path) -> Sequence[SeparationEpisode]:
        """Refuse: episodes of this task are drawn, or given as objects.

        Raises:
            EpisodeError: Always.
        """
        raise EpisodeError(f"{path}: there are no files of this task's episodes. Give a list of SeparationEpisode.")

    def sources(self, episode: SeparationEpisode) -> Sequence[Source]:
        """Return what sounds at the beginning of an episode."""
        return tuple(Source(position=self._lifted(source.position)) for source in episode.sources)

    def begin(self, episode: SeparationEpisode) -> None:
        """Start an episode: put the body at its start and let the sources sound.

        One step of sound passes unheard, so that rooms ring as they will and a static target stays the same.

        Raises:
            UnknownNameError: The target does not belong to the environment, or there is no such clip.
            SoundError: A clip has another rate than the simulator.
            EpisodeError: There is no path from start to target.
        """
        self.sounds.check_target(episode.target, episode.episode_id)
        rate, count = self.simulator.rate, self.settings.step_samples
        clips = [self.sounds.clip(source.sound) for source in episode.sources]
        for clip in clips:
            if clip.rate != rate:
                raise SoundError(
                    f"Clip {clip.name!r} has {clip.rate} Hz and the simulator {rate} Hz; expected the same. Make the "
                    f"library with rate={rate}, or set acoustics.rate."
                )
        target = episode.target_index
        self.walk.begin(
            episode.start_position,
            episode.start_heading,
            np.array(episode.sources[target].position),
            episode=episode.episode_id,
        )
        offsets = [
            round(source.offset * rate) % len(clip.samples) for source, clip in zip(episode.sources, clips, strict=True)
        ]
        self.simulator.set_sources(
            [
                SoundSource(
                    position=self._lifted(source.position),
                    samples=clip.samples,
                    offset=(offset - count) % len(clip.samples),
                )
                for source, clip, offset in zip(episode.sources, clips, offsets, strict=True)
            ]
        )
        self.simulator.hear_each(count)
        self.episode, self._clip = episode, clips[target]
        self._next, self._mono = offsets[target], {}
        self._last_quality: float | None = None
        self._judged, self._verdict = [], None
        self.heard = self._hear()
        self._baseline = self.heard

    def _hear(self) -> Heard:
        assert self.episode is not None
        count = self.settings.step_samples
        start = self._next % len(self._clip.samples)
        if start not in self._mono:
            if len(self._mono) >= KEPT_TARGETS:
                self._mono.pop(next(iter(self._mono)))
            dry = self._clip.looped(start, count)
            self._mono[start] = dry, scaled_to_target(spectrogram(dry[None], MAGNITUDES))
        self._next += count
        dry, mono = self._mono[start]
        stems = self.simulator.hear_each(count)
        return Heard(stems=stems, dry=dry, mono=mono, target=self.episode.target_index)

    @property
    def waveform(self) -> np.ndarray | None:
        """``(2, n)`` float32 what the ears heard in the last step."""
        return None if self.episode is None else self.heard.mixture

    @property
    def steps(self) -> int:
        """Steps that the episode has taken."""
        return self.walk.steps

    @property
    def goal(self) -> np.ndarray:
        """``(3,)`` where the target is, on the floor [m]."""
        return self.walk.goal

    @property
    def distance(self) -> float:
        """Geodesic distance to the target [m]."""
        return self.walk.distance

    @property
    def searching(self) -> bool:
        """Whether the next step is one in which coming nearer is rewarded."""
        return self.steps < self.settings.search_steps

    def step(self, action: Any) -> Outcome:
        """Take an action, let the time of a step pass, listen, and reward.

        Args:
            action: ``{"move": m, "estimate": array}``, or ``m`` where a separator was given.

        Raises:
            ActionError: The move does not exist, or the estimate has a wrong shape, NaN or negative values.
        """
        move, estimate = self._split_action(action)
        searching, before, way = self.searching, self.heard, self.walk.distance
        if searching or self.steps == self.settings.search_steps:
            self._baseline = before
        self.walk.act(_WALKS.get(move))
        self.heard, self._verdict = self._hear(), None
        last = self.steps >= self.settings.max_steps
        if searching:
            return Outcome(reward=float(way - self.walk.distance), terminated=False, truncated=last)
        if self.separator is not None:
            estimate, before = (
                self.check_estimate(self.separator(sense(self.simulator, [self.sensors[name] for name in self.shown]))),
                self.heard,
            )
        assert estimate is not None
        self._verdict = judge(estimate, before, self.settings.estimate)
        if self._verdict is not None:
            self._judged.append((estimate, before, self._verdict))
        return Outcome(reward=self._reward(self._verdict, last=last), terminated=False, truncated=last)

    def _split_action(self, action: Any) -> tuple[Move, np.ndarray | None]:
        """Return the move and the estimate, checked; nothing has moved where they are refused."""
        estimate = None
        if self.separator is None:
            if not isinstance(action, Mapping) or set(action) != {"move", "estimate"}:
                raise ActionError(
                    f"Action is {type(action).__name__}; expected a mapping with 'move' and 'estimate'. To give moves "
                    "alone, make the environment with separator=."
                )
            estimate = self.check_estimate(action["estimate"])
            action = action["move"]
        return Move(checked_action(action, self.moves)), estimate

    def check_estimate(self, estimate: object) -> np.ndarray:
        """Check an estimate and return it as float32.

        Raises:
            ActionError: It has another shape, is not real, or holds negative, NaN or infinite values.
        """
        shape, kind = self.settings.estimate_shape, self.settings.estimate
        try:
            array = np.asarray(estimate)
            numeric = array.dtype.kind in "fiu"
        except ValueError:
            raise ActionError(f"The estimate is not an array; expected float32 of shape {shape}.") from None
        if array.shape != shape or not numeric:
            raise ActionError(
                f"The estimate has shape {array.shape} and type {array.dtype}; expected real magnitudes of shape "
                f"{shape}, (frequencies, frames, channels), of the {kind} target."
            )
        with np.errstate(over="ignore"):
            values = array.astype(np.float32)
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise ActionError(f"The estimate holds {bad} NaN or infinite values; expected finite magnitudes.")
        if (values < 0).any():
            raise ActionError(
                f"The estimate's least value is {values.min():g}; expected magnitudes of 0 or more, linear: neither a "
                "waveform nor decibels."
            )
        return values

    def _reward(self, verdict: Verdict | None, *, last: bool) -> float:
        """Return the reward of an estimate; a silent target, of which there is no verdict, earns nothing."""
        settings, baseline = self.settings, self._baseline
        if self._last_quality is None and not baseline.is_silent:
            kind = settings.estimate
            self._last_quality = separation_quality(baseline.unprocessed(kind), baseline.truth(kind))
        if verdict is None:
            return 0.0
        before = verdict.mixture_quality if self._last_quality is None else self._last_quality
        self._last_quality = verdict.quality
        earned = verdict.quality - before if settings.reward == "rise" else verdict.quality
        return float(earned + (settings.final_weight * verdict.quality if last else 0.0))

    def measures(self) -> dict[str, float]:
        """Return the measures of the episode so far, `harken.tasks.heard.estimate_measures` and the distance.

        Where the target was silent at all steps, there is the distance alone.
        """
        values = estimate_measures(self._judged, self.settings.estimate) if self._judged else {}
        return {**values, "distance_to_target": float(self.walk.distance)}

    def info(self) -> dict[str, Any]:
        """Return the truth of the sound just observed, and how good the last estimate was."""
        heard = self.heard
        return {
            "target_mono": heard.mono.copy(),
            "target_binaural": heard.binaural.copy(),
            "target_mono_waveform": heard.dry[None].copy(),
            "target_binaural_waveform": heard.stems[heard.target].copy(),
            "target_silent": heard.is_silent,
            "distance_to_target": float(self.walk.distance),
            "searching": self.searching,
            **({} if self._verdict is None else self._verdict.to_mapping()),
        }

    def picture(self) -> None:
        """Return nothing: people look at the view beside a plan."""


def _greatest(settings: SeparationSettings) -> float:
    """Return the greatest magnitude that a target can have: a mono one that has all its energy in a single bin."""
    if settings.estimate == "binaural":
        return LOUDEST * MAGNITUDES.n_fft
    return TARGET_RMS * float(np.sqrt(np.prod(settings.estimate_shape)))
