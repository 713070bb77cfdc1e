"""Active separation as Gymnasium environments."""

import operator
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode

from harken.configs import choose_settings
from harken.envs.drawing import EpisodeSequence
from harken.envs.sensors import LOUDEST, checked_names, sense, sensor_space
from harken.envs.vector import ThreadVectorEnv
from harken.envs.view import View
from harken.errors import ActionError, ConfigurationError, EpisodeError, SoundError, StateError, UnknownNameError
from harken.metrics.separation import TARGET_RMS
from harken.sim import Mount, Simulator
from harken.sound import ClipLibrary
from harken.sound.synthesis.speech_and_music import KINDS
from harken.tasks.heard import MAGNITUDES, Heard, Verdict
from harken.tasks.separation import SeparationEpisode, SeparationSettings, SeparationTask
from harken.tasks.worlds import SPLITS, load_world

__all__ = ["SEPARATION_SENSORS", "SeparationEnv", "Separator", "separation_vector_env"]

Separator = Callable[[Mapping[str, Any]], np.ndarray]
"""Takes an observation and returns an estimate of the target's magnitudes."""

SEPARATION_SENSORS: tuple[str, ...] = (
    "rgb",
    "depth",
    "semantic",
    "waveform",
    "spectrogram",
    "pose",
    "collision",
    "target",
    "mask",
)
"""Names of all sensors; "mask" is privileged."""

_SHOWN = ("spectrogram", "rgb", "depth", "pose", "target")
_SHARED = ("rgb", "depth", "semantic", "waveform", "pose", "collision")


class SeparationEnv(gym.Env[dict[str, Any], Any]):
    """Move so that one of several sounds can be told from the others.

    ## Description
    Two or more sources sound at once in a home, and the class of the wanted one is given. The agent moves and estimates
    the magnitude spectrogram of the target's sound: as it was emitted (mono) or as it is at the ears (binaural). The
    separator is the agent's own: its estimate comes with the action, or from a function that the environment calls.
    After Move2Hear (Majumder et al., ICCV 2021) and its sequel with sounds that change (ECCV 2022).

    ## Action Space
    ``Dict(move=Discrete(3), estimate=Box(0, greatest, shape))``, the estimate being of the *last observation*: linear
    magnitudes ``(512, 32, 1)`` mono, of an RMS of 1.2 over everything, or ``(512, 32, 2)`` binaural, in the mixture's
    scale. With ``separator=``, ``Discrete(3)``. Moves: 0 forward, 1 left, 2 right; with ``may_stand`` 3 stand still.

    ## Observation Space
    A ``Dict`` of the sensors asked for:

    | sensor | shape, type | what |
    |---|---|---|
    | spectrogram | (512, 32, 2) float32 | log(1 + magnitude) of the mixture at both ears, of the step's sound |
    | waveform | (2, 16000) float32 | the mixture itself |
    | target | Discrete(24) | class of the wanted source, an index into ``env.unwrapped.targets`` |
    | rgb, depth, semantic, pose, collision | | as in AudioGoal; pose includes the time |
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

    ## Version History
    v0: first version.

    Args:
        preset: "near-target", "far-target", "dynamic", or the path of a YAML file.
        split: "train", "val" or "test": which homes.
        sounds: "heard", clips of split train, or "unheard", those kept apart for `split`.
        library: What can sound, in place of `ClipLibrary.speech_and_music`: a library, such as those of
            `harken.sound.clip_layouts`, or a folder for `ClipLibrary.folder`.
        targets: Classes that may be wanted; talkers and instruments of the built-in library, all of another one.
        sensors: Names of sensors.
        separator: Returns the estimate for an observation; without, the action holds it.
        scene: Path of a mesh to use in place of generated homes.
        up: Axis that points up in that file.
        scale: Metres per unit of that file.
        episodes: Episodes to use in place of sampled ones.
        config: Settings in place of the preset's, or a mapping of those that differ from it.
        render_mode: "rgb_array" or None.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A setting has an impossible value.
        SoundError: The library has another rate than the simulator, or too few classes.
        HarkenError: The scene, the recordings or the episodes cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 1}  # noqa: RUF012 - the type that Gymnasium declares

    def __init__(
        self,
        *,
        preset: str = "near-target",
        split: str = "train",
        sounds: Literal["heard", "unheard"] = "heard",
        library: ClipLibrary | str | Path | None = None,
        targets: Sequence[str] | None = None,
        sensors: Sequence[str] = _SHOWN,
        separator: Separator | None = None,
        scene: str | Path | None = None,
        up: Literal["auto", "y", "z"] = "auto",
        scale: float = 1.0,
        episodes: Sequence[SeparationEpisode] | None = None,
        config: SeparationSettings | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ):
        for kind, name, known in (
            ("split", split, SPLITS),
            ("sounds", sounds, ("heard", "unheard")),
            ("render mode", render_mode, (None, *self.metadata["render_modes"])),
        ):
            if name not in known:
                raise UnknownNameError(kind, name, known)
        self.split, self.render_mode = split, render_mode
        self.settings = choose_settings(SeparationSettings, preset, config)
        self.library = _library(library, self.settings)
        self._names = _names(self.library, sounds, split)
        self.targets = _targets(targets, self._names, builtin=library is None)
        if separator is not None and not callable(separator):
            raise ConfigurationError(f"separator is {separator!r}; expected a function of an observation, or None.")
        self.separator = separator
        self.sensors = checked_names(sensors, SEPARATION_SENSORS)
        self.scene = None if scene is None else str(scene)
        self._options: dict[str, Any] = {} if scene is None else {"up": up, "scale": scale}
        self.episodes = _episodes(episodes)
        self._sequence = EpisodeSequence[SeparationEpisode](split, scene=self.scene, given=self.episodes)
        self.metadata = {**self.metadata, "render_fps": 1.0 / self.settings.step_time}
        self.observation_space = gym.spaces.Dict({name: self._sensor_space(name) for name in self.sensors})
        moves = gym.spaces.Discrete(4 if self.settings.may_stand else 3)
        estimates = gym.spaces.Box(0.0, _greatest(self.settings), self.settings.estimate_shape, np.float32)
        self.action_space: gym.Space = (
            moves if separator is not None else gym.spaces.Dict({"move": moves, "estimate": estimates})
        )
        self._task: SeparationTask | None = None
        self._closed, self._done = False, True
        self._view: View | None = None
        if self.scene is not None:
            load_world(self.scene, self.settings, **self._options)  # a bad file is reported here

    def _sensor_space(self, name: str) -> gym.Space:
        if name in _SHARED:
            return sensor_space(name, self.settings)
        if name == "target":
            return gym.spaces.Discrete(len(self.targets))
        most = 1.0 if name == "mask" else np.float32(np.log1p(LOUDEST * MAGNITUDES.n_fft))
        return gym.spaces.Box(0.0, most, self.settings.magnitude_shape(2), np.float32)

    @property
    def task(self) -> SeparationTask:
        """The rules and the state of the episode.

        Raises:
            StateError: There is no episode yet.
        """
        if self._task is None:
            raise StateError("There is no episode yet: call reset() first.")
        return self._task

    @property
    def simulator(self) -> Simulator:
        """The world and the body of the episode."""
        return self.task.simulator

    @property
    def heard(self) -> Heard:
        """The sound of the last observation with all that is true of it."""
        return self.task.heard

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Starts a new sequence of episodes.
            options: ``{"episode": number}`` chooses an episode of the split, or of the episodes that were given.
        """
        self._check_open()
        super().reset(seed=seed)
        episode = self._sequence.choose(self._draw, options, restart=seed is not None, random=self.np_random)
        self._begin(episode)
        self._done = False
        self._baseline = self.heard
        return self._observe(collided=False), self._info(None)

    def episode(self, number: int) -> SeparationEpisode:
        """Return an episode of the split by its number, the same for everybody with the same sounds.

        Raises:
            EpisodeError: The number is no whole number from 0, or episodes were given, and there are not so many.
        """
        return self._sequence.numbered(self._draw, number)

    def _draw(self, rng: np.random.Generator, scene: str, name: str) -> SeparationEpisode:
        task = self._enter(scene)
        return task.sample(rng, episode_id=name, scene=scene, names=self._names, targets=self.targets)

    def _enter(self, scene: str) -> SeparationTask:
        """Return the task in a scene, made anew where the scene changes."""
        world = load_world(scene, self.settings, **self._options)
        if self._task is None or self._task.simulator.world is not world:
            mount = Mount(height=self.settings.eye_height)
            self._task = SeparationTask(Simulator(world, camera=self.settings.camera, mount=mount), self.settings)
            self._view = None
        return self._task

    def _begin(self, episode: SeparationEpisode) -> None:
        if episode.target not in self.targets:
            raise UnknownNameError(f"target of episode {episode.episode_id!r}", episode.target, self.targets)
        clips = [self.library.clip(source.sound) for source in episode.sources]
        self._enter(self.scene or episode.scene).begin(episode, clips)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Do an action, let time pass, and sense.

        Args:
            action: ``{"move": m, "estimate": array}``, or ``m`` where a separator was given.

        Raises:
            ActionError: The move does not exist, or the estimate has a wrong shape, NaN or negative values.
            StateError: The episode is over, has not begun, or the environment is closed.
        """
        self._check_open()
        if self._done:
            raise StateError("The episode is over or has not begun: call reset() before step().")
        task = self.task
        move, given = self._split_action(action)
        searching, before = task.searching, task.heard
        if searching or task.steps == self.settings.search_steps:
            self._baseline = before
        outcome = task.move(move)
        self._done = outcome.truncated
        observation = self._observe(outcome.collided)
        reward, verdict = outcome.reward, None
        if not searching:
            if self.separator is not None:
                given, before = task.check_estimate(self.separator(observation)), task.heard
            assert given is not None
            verdict = task.judge(given, before)
            reward = task.reward(verdict, self._baseline, last=outcome.truncated)
        return observation, reward, False, outcome.truncated, self._info(verdict)

    def _split_action(self, action: Any) -> tuple[int, np.ndarray | None]:
        """Return the move and the estimate, checked; nothing has moved where they are refused."""
        estimate = None
        if self.separator is None:
            if not isinstance(action, Mapping) or set(action) != {"move", "estimate"}:
                raise ActionError(
                    f"Action is {type(action).__name__}; expected a mapping with 'move' and 'estimate'. To give moves "
                    "alone, make the environment with separator=."
                )
            estimate = self.task.check_estimate(action["estimate"])
            action = action["move"]
        if isinstance(action, np.ndarray) and action.size == 1:
            action = action.reshape(-1)[0]
        return action, estimate

    def _observe(self, collided: bool) -> dict[str, Any]:
        heard, task = self.heard, self.task
        shared = [name for name in self.sensors if name in _SHARED]
        found = dict(sense(shared, task.navigation, heard.mixture, collided))
        if "spectrogram" in self.sensors:
            found["spectrogram"] = heard.mixture_spectrogram
        if "target" in self.sensors:
            assert task.episode is not None
            found["target"] = np.int64(self.targets.index(task.episode.target))
        if "mask" in self.sensors:
            found["mask"] = heard.mask
        return {name: found[name] for name in self.sensors}

    def _info(self, verdict: Verdict | None) -> dict[str, Any]:
        heard, task = self.heard, self.task
        return {
            "target_mono": heard.mono.copy(),
            "target_binaural": heard.binaural.copy(),
            "target_mono_waveform": heard.dry[None].copy(),
            "target_binaural_waveform": heard.stems[heard.target].copy(),
            "target_silent": heard.is_silent,
            "distance_to_target": float(task.navigation.distance),
            "searching": task.searching,
            **({} if verdict is None else verdict.to_mapping()),
        }

    def render(self) -> np.ndarray | None:
        """Return what a person looks at: the camera's image beside the plan with body, target and trail.

        Returns:
            ``(height, width, 3)`` uint8, or None without ``render_mode="rgb_array"``.
        """
        self._check_open()
        if self.render_mode is None:
            return None
        if self._view is None:
            self._view = View(self.simulator.world)
        power = np.einsum("cn,cn->c", self.heard.mixture, self.heard.mixture) / self.heard.mixture.shape[1]
        return self._view.draw(self.task.navigation, 10.0 * np.log10(power + 1e-12))

    def close(self) -> None:
        """Close the environment; it cannot be used after."""
        self._closed, self._task, self._view = True, None, None

    def _check_open(self) -> None:
        if self._closed:
            raise StateError("The environment is closed: make a new one with gym.make().")


def separation_vector_env(
    num_envs: int = 1,
    *,
    threads: int | None = None,
    autoreset_mode: str | AutoresetMode = AutoresetMode.NEXT_STEP,
    **arguments: Any,
) -> ThreadVectorEnv:
    """Return separation environments that the threads of this process step; `gymnasium.make_vec` calls this.

    Args:
        num_envs: How many.
        threads: As for `ThreadVectorEnv`.
        autoreset_mode: As for `ThreadVectorEnv`.
        arguments: Those of `SeparationEnv`, the same for all; a separator is then called from several threads.

    Raises:
        ConfigurationError: A number is not positive, or an argument of the environments is impossible.
    """
    if isinstance(num_envs, bool) or not hasattr(num_envs, "__index__") or operator.index(num_envs) < 1:
        raise ConfigurationError(f"num_envs is {num_envs!r}; expected a whole number of at least 1.")
    envs = [SeparationEnv(**arguments) for _ in range(operator.index(num_envs))]
    for env in envs[1:]:
        env.library = envs[0].library
    return ThreadVectorEnv([lambda env=env: env for env in envs], threads=threads, autoreset_mode=autoreset_mode)


def _greatest(settings: SeparationSettings) -> float:
    """Return the greatest magnitude that a target can have: a mono one that has all its energy in a single bin."""
    if settings.estimate == "binaural":
        return LOUDEST * MAGNITUDES.n_fft
    return TARGET_RMS * float(np.sqrt(np.prod(settings.estimate_shape)))


def _library(library: ClipLibrary | str | Path | None, settings: SeparationSettings) -> ClipLibrary:
    rate = settings.acoustics.rate
    if library is None:
        return ClipLibrary.speech_and_music(rate, seconds=settings.clip_seconds)
    if isinstance(library, (str, Path)):
        return ClipLibrary.folder(library, rate)
    if not isinstance(library, ClipLibrary):
        raise ConfigurationError(f"library is {library!r}; expected a ClipLibrary, the path of a folder, or None.")
    if library.rate != rate:
        raise SoundError(
            f"The library has {library.rate} Hz and the simulator {rate} Hz; expected the same. Make the library with "
            f"rate={rate}, or set config={{'acoustics': {{'rate': {library.rate}}}}}."
        )
    return library


def _names(library: ClipLibrary, sounds: str, split: str) -> dict[str, tuple[str, ...]]:
    """Return the names of clips by class, of the split that the sounds are from; of all where there are no splits."""
    wanted = "train" if sounds == "heard" else split
    chosen = tuple(library) if library.splits == ("all",) else library.names(wanted, shared=True)
    found: dict[str, list[str]] = {}
    for name in chosen:
        found.setdefault(library.entry(name).category, []).append(name)
    if len(found) < 2:
        raise SoundError(
            f"The library has clips of one class, {next(iter(found))!r}; expected two or more, because the target is "
            "told from the others by its class."
        )
    return {category: tuple(names) for category, names in sorted(found.items())}


def _targets(given: Sequence[str] | None, names: Mapping[str, Sequence[str]], *, builtin: bool) -> tuple[str, ...]:
    if given is None:
        return tuple(name for name in names if not builtin or name not in KINDS["background"])
    targets = (given,) if isinstance(given, str) else tuple(given)
    for name in targets:
        if name not in names:
            raise UnknownNameError("target", name, names)
    if not targets or len(set(targets)) != len(targets):
        raise ConfigurationError(f"targets are {targets}; expected at least one class, each once.")
    return targets


def _episodes(given: Sequence[SeparationEpisode] | None) -> tuple[SeparationEpisode, ...] | None:
    if given is None:
        return None
    episodes = tuple(given)
    if not episodes or not all(isinstance(episode, SeparationEpisode) for episode in episodes):
        raise EpisodeError("episodes holds no episodes; expected at least one SeparationEpisode.")
    return episodes
