"""Navigation as Gymnasium environments."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from harken.acoustics import Propagation
from harken.configs import choose_settings
from harken.envs.drawing import EpisodeSequence
from harken.envs.sensors import check_sensors, sense, sensor_space
from harken.envs.view import View
from harken.errors import ActionError, EpisodeError, StateError, UnknownNameError
from harken.sim import Mount, Simulator, World
from harken.tasks import Action, Episode, NavigationSettings, NavigationTask, read_episodes
from harken.tasks.sounds import Sounds
from harken.tasks.worlds import SPLITS, load_world

__all__ = ["TASKS", "NavigationEnv"]

TASKS: dict[str, tuple[str, ...]] = {
    "audiogoal": ("depth", "spectrogram"),
    "audiopointgoal": ("depth", "spectrogram", "pointgoal"),
    "pointgoal": ("depth", "pointgoal"),
}
"""The navigation tasks, and the sensors that each shows unless others are asked for."""


class NavigationEnv(gym.Env[dict[str, Any], np.int64]):
    """Find a goal in a home you have never been in.

    ## Description
    In AudioGoal the goal sounds and is found by ear and eye; in PointGoal its place relative to the body is given and
    nothing sounds; AudioPointGoal gives both. Rules, reward and measures are those of SoundSpaces. Homes are
    generated: a different, never repeated set for each split.

    ## Action Space
    ``Discrete(4)``: 0 stop, 1 move forward, 2 turn left, 3 turn right.

    ## Observation Space
    A ``Dict`` of the sensors asked for:

    | sensor | shape, type | what |
    |---|---|---|
    | rgb | (128, 128, 3) uint8 | colour image |
    | depth | (128, 128, 1) float32 | distance along the optical axis [m], at most `max_depth`, 0 where nothing is hit |
    | semantic | (128, 128, 1) int32 | category index, see ``env.unwrapped.categories`` |
    | waveform | (2, 16000) float32 | sound of the step at the left and right ear, then zeros |
    | spectrogram | (65, 26, 2) float32 | log-magnitude spectrogram of the waveform, as SoundSpaces' sensor |
    | pose | (4,) float32 | metres ahead and to the left of the start, angle turned [rad], time [s] |
    | collision | (1,) float32 | 1 if the last action ran into something |
    | pointgoal | (2,) float32 | metres ahead and to the left to the goal (not in AudioGoal) |
    | oracle | Discrete(4) | privileged: the action of the shortest way |

    ## Rewards
    −0.01 a step, plus the metres by which the geodesic distance to the goal fell, plus 10 for a stop at the goal.

    ## Starting State
    A random place and heading, at least 2 m from the goal by the shortest way. ``reset(options={"episode": i})`` starts
    episode ``i`` of the split (or of the given episodes), the same for everybody.

    ## Episode End
    Terminated by stop; truncated after 500 steps. ``info`` holds the measures of `NavigationTask.measures` at every
    step and ``is_success`` at the end.

    ## Arguments
    task, preset, split, sensors, scene, up, scale, sound, episodes, propagation, config, render_mode.

    ## Version History
    v0: first version.

    Args:
        task: "audiogoal", "audiopointgoal" or "pointgoal"; chosen by the environment's id.
        preset: "soundspaces2" (continuous), "soundspaces1" (grid), or the path of a YAML file.
        split: "train", "val" or "test": which homes, and which sounds.
        sensors: Names of sensors; by default depth with what the task is about.
        scene: Path of a mesh to use in place of generated homes.
        up: Axis that points up in that file.
        scale: Metres per unit of that file.
        sound: "telephone", another clip or category, "heard", "unheard", or the path of a recording or folder.
        episodes: Episodes, or the path of a file of them, to use in place of sampled ones.
        propagation: Engine that propagates sound, in place of the preset's: "harken" or "soundspaces2".
        config: Settings in place of the preset's, or a mapping of those that differ from it.
        render_mode: "rgb_array" or None.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A setting has an impossible value.
        HarkenError: The scene, the recording or the episodes cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - the type that Gymnasium declares

    def __init__(
        self,
        *,
        task: str = "audiogoal",
        preset: str = "soundspaces2",
        split: str = "train",
        sensors: Sequence[str] | None = None,
        scene: str | Path | None = None,
        up: Literal["auto", "y", "z"] = "auto",
        scale: float = 1.0,
        sound: str = "telephone",
        episodes: str | Path | Sequence[Episode] | None = None,
        propagation: Literal["harken", "soundspaces2"] | None = None,
        config: NavigationSettings | Mapping[str, Any] | None = None,
        render_mode: str | None = None,
    ):
        if task not in TASKS:
            raise UnknownNameError("task", task, TASKS)
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UnknownNameError("render mode", render_mode, self.metadata["render_modes"])
        self.task_name, self.split, self.render_mode = task, split, render_mode
        self.settings = choose_settings(NavigationSettings, preset, config)
        if propagation is not None:
            self.settings = dataclasses.replace(self.settings, propagation=propagation)
        self.sensors = check_sensors(TASKS[task] if sensors is None else sensors, task=task)
        self.sounds = None if task == "pointgoal" else Sounds(sound, split, self.settings.acoustics.rate)
        self.scene = None if scene is None else str(scene)
        self._options: dict[str, Any] = {} if scene is None else {"up": up, "scale": scale}
        self.episodes = _episodes(episodes)
        self._sequence = EpisodeSequence[Episode](split, scene=self.scene, given=self.episodes)
        self.metadata = {**self.metadata, "render_fps": 1.0 / self.settings.step_time}
        self.observation_space = gym.spaces.Dict({name: sensor_space(name, self.settings) for name in self.sensors})
        self.action_space = gym.spaces.Discrete(len(Action))
        self._task: NavigationTask | None = None
        self._closed, self._done = False, True
        self._view: View | None = None
        self.waveform: np.ndarray | None = None
        if self.scene is not None:
            load_world(
                self.scene, self.settings, **self._options
            )  # a bad file is reported here and not at the first reset

    @property
    def task(self) -> NavigationTask:
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
    def categories(self) -> tuple[str, ...]:
        """Names of the categories that "semantic" counts: `harken.scene.CATEGORIES` for generated homes and files."""
        return self.simulator.world.scene.categories

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
        self._hear()
        return self._observe(collided=False), self._info()

    def episode(self, number: int) -> Episode:
        """Return an episode of the split by its number, the same for everybody.

        Raises:
            EpisodeError: The number is no whole number from 0, or episodes were given, and there are not so many.
        """
        return self._sequence.numbered(self._draw, number)

    def _draw(self, rng: np.random.Generator, scene: str, name: str) -> Episode:
        sound, seconds = "", 0.0
        if self.sounds is not None:
            sound = self.sounds.names[int(rng.integers(len(self.sounds.names)))]
            seconds = self.sounds.clip(sound).duration
        task = self._enter(scene)
        return task.sample(rng, episode_id=name, scene=scene, sound=sound, seconds=seconds)

    def _enter(self, scene: str) -> NavigationTask:
        """Return the task in a scene, made anew where the scene changes."""
        world = load_world(scene, self.settings, **self._options)
        if self._task is None or self._task.simulator.world is not world:
            simulator = Simulator(
                world,
                camera=self.settings.camera,
                mount=Mount(height=self.settings.eye_height),
                propagation=_other_engine(world, self.settings),
            )
            self._task, self._view = NavigationTask(simulator, self.settings), None
        return self._task

    def _begin(self, episode: Episode) -> None:
        task = self._enter(self.scene or episode.scene)
        clip = None
        if self.sounds is not None:
            clip = self.sounds.clip(episode.sound).samples
        task.begin(episode, clip)

    def step(self, action: np.int64) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Do an action, let time pass, and sense.

        Raises:
            ActionError: The action is none of the four.
            StateError: The episode is over, has not begun, or the environment is closed.
        """
        self._check_open()
        if self._done:
            raise StateError("The episode is over or has not begun: call reset() before step().")
        if isinstance(action, np.ndarray) and action.size == 1:
            action = action.reshape(-1)[0]
        if not self.action_space.contains(action):
            raise ActionError(
                f"Action {action!r} does not exist; expected an integer: "
                + ", ".join(f"{a.value} {a.name.lower().replace('_', ' ')}" for a in Action)
                + "."
            )
        outcome = self.task.act(int(action))
        self._done = outcome.terminated or outcome.truncated
        self._hear()
        info = self._info()
        if self._done:
            info["is_success"] = self.task.success
        return self._observe(outcome.collided), outcome.reward, outcome.terminated, outcome.truncated, info

    def _hear(self) -> None:
        """Let the time of a step pass; the sound is kept for observations, loudness and recordings."""
        if self.sounds is not None:
            self.waveform = self.simulator.hear(round(self.settings.step_time * self.simulator.rate))

    def _observe(self, collided: bool) -> dict[str, Any]:
        return sense(self.sensors, self.task, self.waveform, collided)

    def _info(self) -> dict[str, Any]:
        return {**self.task.measures(), "loudness": self.loudness}

    @property
    def loudness(self) -> np.ndarray:
        """``(2,)`` level of the step's sound at the left and right ear [dB re 1], −120 for silence."""
        if self.waveform is None:
            return np.full(2, -120.0)
        power = np.einsum("cn,cn->c", self.waveform, self.waveform) / self.waveform.shape[1]
        return np.array([max(20.0 * math.log10(math.sqrt(ear) + 1e-9), -120.0) for ear in power.tolist()])

    def render(self) -> np.ndarray | None:
        """Return what a person looks at: the camera's image beside the plan with body, goal and trail.

        Returns:
            ``(height, width, 3)`` uint8, or None without ``render_mode="rgb_array"``.
        """
        self._check_open()
        if self.render_mode is None:
            return None
        if self._view is None:
            self._view = View(self.simulator.world)
        return self._view.draw(self.task, self.loudness)

    def close(self) -> None:
        """Close the environment; it cannot be used after."""
        self._closed, self._task, self._view = True, None, None

    def _check_open(self) -> None:
        if self._closed:
            raise StateError("The environment is closed: make a new one with gym.make().")


def _other_engine(world: World, settings: NavigationSettings) -> Propagation | None:
    """Return the engine that the settings ask for, None for the world's own."""
    if settings.propagation == "harken":
        return None
    from harken.acoustics.engines import SoundSpaces2Propagation, SoundSpaces2Settings

    chosen = settings.acoustics
    navigation = SoundSpaces2Settings.navigation(
        rate=chosen.rate, duration=chosen.duration, transmission=chosen.transmission
    )
    return SoundSpaces2Propagation(world.scene, navigation)


def _episodes(given: str | Path | Sequence[Episode] | None) -> tuple[Episode, ...] | None:
    if given is None:
        return None
    episodes = tuple(read_episodes(given) if isinstance(given, (str, Path)) else given)
    if not episodes:
        raise EpisodeError("No episodes were given; expected at least one.")
    return episodes
