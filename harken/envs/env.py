"""Any task as a Gymnasium environment: everything that environments share is here."""

import copy
import importlib
import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import gymnasium as gym
import numpy as np

from harken.configs import choose_settings
from harken.envs.ahead import EpisodeAhead
from harken.envs.drawing import EpisodeSequence, HomePool
from harken.envs.view import View
from harken.errors import ConfigurationError, EpisodeError, StateError, UnknownNameError
from harken.registration import SIMULATORS, TASKS
from harken.sim import SimulatorProtocol
from harken.sim.settings import Engine
from harken.sim.worlds import UpAxis
from harken.splits import SPLITS
from harken.tasks.difficulty import Difficulty
from harken.tasks.protocol import Actions, Choice, Numbers, Sensor, Task, enter_scene, sense

__all__ = ["TaskEnv", "find_task", "space_of"]

SILENCE = -120.0
"""Level of silence [dB re 1]."""


class TaskEnv(gym.Env[dict[str, Any], Any]):
    """A task, played in one home after the other.

    What is done, observed and rewarded is described with the tasks: `harken.tasks.navigation.NavigationTask`,
    `harken.tasks.dynamic.DynamicTask`, `harken.tasks.semantic.SemanticTask`, `harken.tasks.echo_depth.EchoDepthTask`,
    `harken.tasks.separation.SeparationTask`.

    ``reset(seed=s)`` starts a sequence of episodes, the same for everybody who gives that seed; five episodes in a row
    take place in one home. ``reset(options={"episode": i})`` starts episode ``i`` of the split, the same for everybody.
    ``info`` of every step has ``is_success``, in tasks that define success, and ``loudness``, the level of the step's
    sound at both ears [dB].

    Args:
        task: Name of a task, one of `harken.registration.TASKS`; a class like those above, or an object of one.
        preset: Settings by name, or the path of a YAML file; the task's own by default.
        split: "train", "val" or "test": which homes, and which sounds.
        sensors: Names of sensors; those that the task is about by default.
        scene: Path of a mesh to use in place of generated homes.
        up: Axis that points up in that file.
        scale: Metres per unit of that file.
        episodes: Episodes, or the path of a file of them, to use in place of sampled ones.
        propagation: Engine that propagates sound, in place of the settings' own: "harken" or "soundspaces2".
        difficulty: How much longer than the straight line the ways of drawn episodes are, in tasks with a goal, in
            place of the settings' own: "easy", "medium", "hard" or "any"; see `harken.tasks.difficulty`.
        config: Settings in place of the preset's, or a mapping of those that differ from it.
        simulator: "harken", "habitat" (Habitat's cameras and navigation mesh, see `harken.integrations.habitat`), or a
            function that makes the simulator of a scene, as `harken.sim.make_simulator` does.
        render_mode: "rgb_array" or None.
        prepare_ahead: Whether a thread prepares the next episode, its home and sound field, while the current one runs:
            where a core is free, resets are then short. The results are the same, byte for byte.
        pool: Homes that the sequence of episodes returns to, for training; by default every five episodes have a home
            of their own. The simulators of so many homes are kept as are drawn from together.
        options: Further arguments of the task, such as ``sound="unheard"``.

    Attributes:
        task: The rules and the state of the episode.
        sensors: Names of the sensors that are shown.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A setting has an impossible value.
        HarkenError: The scene, the recordings or the episodes cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - the type that Gymnasium declares

    def __init__(
        self,
        task: str | type | Task[Any] = "audiogoal",
        *,
        preset: str | Path | None = None,
        split: str = "train",
        sensors: Sequence[str] | str | None = None,
        scene: str | Path | None = None,
        up: UpAxis = "auto",
        scale: float = 1.0,
        episodes: str | Path | Sequence[Any] | None = None,
        propagation: Engine | None = None,
        difficulty: Difficulty | None = None,
        config: Any | Mapping[str, Any] | None = None,
        simulator: Literal["harken", "habitat"] | Callable[..., SimulatorProtocol] = "harken",
        render_mode: str | None = None,
        prepare_ahead: bool = False,
        pool: HomePool | None = None,
        **options: Any,
    ):
        for kind, name, choices in (
            ("split", split, SPLITS),
            ("render mode", render_mode, (None, *self.metadata["render_modes"])),
        ):
            if name not in choices:
                raise UnknownNameError(kind, name, choices)
        self.task: Task[Any] = _make_task(
            task, preset, split, {"propagation": propagation, "difficulty": difficulty}, config, options
        )
        self.split, self.render_mode = split, render_mode
        self.scene = None if scene is None else str(scene)
        self._arguments = {
            "split": split, "sensors": sensors, "scene": scene, "up": up, "scale": scale, "episodes": episodes,
            "simulator": simulator, "render_mode": render_mode, "prepare_ahead": prepare_ahead, "pool": pool,
        }  # fmt: skip
        self._file: dict[str, Any] = {} if scene is None else {"up": up, "scale": scale}
        self._make_simulator = _find_simulator(simulator)
        # Worlds live as long as a simulator in them: one for each home of the pool keeps them, and one that is coming.
        self._kept: dict[str, SimulatorProtocol] = {}
        self._most_kept = 0 if pool is None else pool.together + 1
        self._entered: str | None = None
        sensing = self.task.sensors
        self.sensors = _checked_sensors(self.task.shown if sensors is None else sensors, sensing)
        self.task.shown = self.sensors
        self._sensing: list[Sensor] | None = None
        self.observation_space = gym.spaces.Dict({name: space_of(sensing[name].space) for name in self.sensors})
        self.action_space = _action_space(self.task.actions)
        self.episodes = _checked_episodes(episodes, self.task)
        self._sequence = EpisodeSequence[Any](
            split, scene=self.scene, episodes=self.episodes, task=self.task.stream, pool=pool
        )
        self.metadata = {**self.metadata, "render_fps": 1.0 / self.task.step_time}
        channels = dict.fromkeys(view for name in self.sensors for view in sensing[name].views)
        self._ahead = EpisodeAhead(self._lead, tuple(channels)) if prepare_ahead else None
        self._view: View | None = None
        self.last_action: Any = None
        self._closed, self._done = False, True
        if self.scene is not None:
            self._enter(self.scene)  # a bad file is reported here and not at the first reset

    @property
    def settings(self) -> Any:
        """The rules, resolved."""
        return self.task.settings

    @property
    def simulator(self) -> SimulatorProtocol:
        """The world and the body of the episode.

        Raises:
            StateError: There is no episode yet.
        """
        return self.task.simulator

    @property
    def categories(self) -> tuple[str, ...]:
        """Names of the categories that "semantic" counts."""
        return self.simulator.categories

    @property
    def waveform(self) -> np.ndarray | None:
        """``(2, n)`` float32 what the ears heard in the last step, None where nothing listens."""
        return self.task.waveform

    @property
    def sound_rate(self) -> int:
        """Sampling rate of `waveform` [Hz]."""
        waveform = self.waveform
        return self.simulator.rate if waveform is None else round(waveform.shape[1] / self.task.step_time)

    def another(self) -> "TaskEnv":
        """Return an environment with the same arguments; both share their recordings."""
        task = copy.copy(self.task)
        return TaskEnv(task, **self._arguments)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Starts a new sequence of episodes.
            options: ``{"episode": number}`` chooses an episode of the split, or of the episodes that were given;
                ``{"sequence": place}``, with what `place` was before, goes on from there.
        """
        self._check_open()
        super().reset(seed=seed)
        self._done = True  # until the reset has succeeded
        episode = self._sequence.choose(self._draw, options, restart=seed is not None, random=self.np_random)
        self._enter(self.scene or episode.scene)
        self.task.begin(episode)
        self._done = False
        upcoming = None if self._ahead is None else self._sequence.upcoming()
        if self._ahead is not None and upcoming is not None:
            self._ahead.start(self.task, *upcoming)
        return self._observe(), self._info()

    @property
    def place(self) -> tuple[int, int]:
        """Which sequence of episodes this is, and how many of them have begun: what a reset can go on from."""
        return self._sequence.place

    def episode(self, number: int) -> Any:
        """Return an episode of the split by its number, the same for everybody with the same settings and sounds.

        Raises:
            EpisodeError: The number is not a whole number from 0, or episodes were given, and there are not so many.
        """
        return self._sequence.numbered(self._draw, number)

    def _draw(self, rng: np.random.Generator, scene: str, name: str) -> Any:
        ready = None if self._ahead is None else self._ahead.take(scene, name)
        if ready is not None:
            episode, simulator = ready
            self.task.enter(simulator)
            self._entered, self._view = scene, None
            return episode
        self._enter(scene)
        return self.task.sample(rng, episode_id=name, scene=scene)

    def _enter(self, scene: str) -> None:
        """Move the task to a scene, unless it is there already."""
        if scene == self._entered:
            return
        self._lead(self.task, scene)
        self._entered, self._view = scene, None

    def _lead(self, task: Task[Any], scene: str) -> None:
        """Let a task continue in a scene."""
        enter_scene(task, scene, make=self._make_simulator, **self._file)
        if self._most_kept:
            self._kept.pop(scene, None)
            self._kept[scene] = task.simulator
            for other in list(self._kept)[: -self._most_kept]:
                self._kept.pop(other, None)

    def step(self, action: Any) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an action, let time pass, and sense.

        Raises:
            ActionError: There is no such action.
            StateError: The episode is over, has not begun, or the environment is closed.
        """
        self._check_open()
        if self._done:
            raise StateError("The episode is over or has not begun: call reset() before step().")
        outcome = self.task.step(action)
        self.last_action = action
        self._done = outcome.terminated or outcome.truncated
        return self._observe(), outcome.reward, outcome.terminated, outcome.truncated, self._info()

    def _observe(self) -> dict[str, Any]:
        if self._sensing is None:
            sensing = self.task.sensors
            self._sensing = [sensing[name] for name in self.sensors]
        return sense(self.task.simulator, self._sensing)

    def _info(self) -> dict[str, Any]:
        info = {**self.task.info(), "loudness": self.loudness}
        if self.task.success is not None:
            info["is_success"] = self.task.success
        return info

    @property
    def loudness(self) -> np.ndarray:
        """``(2,)`` level of the step's sound at the left and right ear [dB re 1], −120 for silence."""
        waveform = self.waveform
        if waveform is None:
            return np.full(2, SILENCE)
        power = np.einsum("cn,cn->c", waveform, waveform) / waveform.shape[1]
        return np.array([max(20.0 * math.log10(math.sqrt(ear) + 1e-9), SILENCE) for ear in power.tolist()])

    def render(self) -> np.ndarray | None:
        """Return a picture for people: the camera's image beside the plan with body, goal and trail.

        Returns:
            ``(height, width, 3)`` uint8, or None without ``render_mode="rgb_array"``.
        """
        self._check_open()
        if self.render_mode is None:
            return None
        picture = self.task.picture()
        if picture is not None:
            return picture
        if self._view is None:
            self._view = View(self.simulator)
        return self._view.draw(self.task, self.loudness)

    def close(self) -> None:
        """Close the environment; it cannot be used after."""
        if self._ahead is not None:
            self._ahead.close()
        self._closed, self._view, self._sensing = True, None, None
        self._entered = None

    def _check_open(self) -> None:
        if self._closed:
            raise StateError("The environment is closed: make a new one with gym.make().")

    def __getstate__(self) -> dict[str, Any]:
        """Drop the sensors and the homes that are kept when pickled: they are made again when needed."""
        return {**self.__dict__, "_sensing": None, "_kept": {}}


def _find_simulator(simulator: str | Callable[..., SimulatorProtocol]) -> Callable[..., SimulatorProtocol]:
    if not isinstance(simulator, str):
        return simulator
    if simulator not in SIMULATORS:
        raise UnknownNameError("simulator", simulator, SIMULATORS)
    module, _, function = SIMULATORS[simulator].partition(":")
    return getattr(importlib.import_module(module), function)


def find_task(name: str) -> type:
    """Return the class of a task by its name, one of `harken.registration.TASKS`.

    Raises:
        UnknownNameError: There is no such task.
    """
    if name not in TASKS:
        raise UnknownNameError("task", name, TASKS)
    module, _, kind = TASKS[name].task.partition(":")
    return getattr(importlib.import_module(module), kind)


def _make_task(
    task: str | type | Task[Any],
    preset: str | Path | None,
    split: str,
    replaced: Mapping[str, Any],
    config: Any,
    options: Mapping[str, Any],
) -> Task[Any]:
    if not isinstance(task, str | type):
        if preset is not None or config is not None or any(replaced.values()) or options:
            raise ConfigurationError(
                "A task that is made already was given together with settings or options; expected them where it is "
                "made, or its class here."
            )
        return task
    fixed: Mapping[str, Any] = {}
    kind = task
    if isinstance(task, str):
        kind = find_task(task)
        entry = TASKS[task]
        preset, fixed = entry.preset if preset is None else preset, entry.options
    assert isinstance(kind, type)
    settings = choose_settings(kind.rules, preset, config)  # type: ignore[attr-defined]
    keywords = {
        name
        for name, parameter in inspect.signature(kind).parameters.items()
        if parameter.kind == inspect.Parameter.KEYWORD_ONLY and name not in fixed
    }
    for name, value in replaced.items():
        if value is None:
            continue
        if not hasattr(settings, name):
            if name == "difficulty":
                whose = task if isinstance(task, str) else kind.__name__
                raise ConfigurationError(
                    f"difficulty={value!r} was given, but {whose} has no goal to find a way to, and so no difficulty. "
                    "Leave it out."
                )
            raise UnknownNameError("argument of the environment", name, sorted(keywords))
        choices = get_args({"propagation": Engine, "difficulty": Difficulty}[name])
        if value not in choices:
            raise UnknownNameError(name, value, choices)
        settings = replace(settings, **{name: value})
    for name in options:
        if name not in keywords:
            own = sorted(inspect.signature(TaskEnv).parameters.keys() - {"task", "options"})
            raise UnknownNameError(
                f"argument of {task if isinstance(task, str) else kind.__name__}", name, [*sorted(keywords), *own]
            )
    return kind(settings, split, **fixed, **options)


def _checked_sensors(choice: Sequence[str] | str, sensors: Mapping[str, Sensor]) -> tuple[str, ...]:
    names = (choice,) if isinstance(choice, str) else tuple(choice)
    for name in names:
        if name not in sensors:
            raise UnknownNameError("sensor", name, sensors)
    if not names or len(set(names)) != len(names):
        raise ConfigurationError(f"Sensors are {names}; expected at least one, each once.")
    return names


def space_of(space: Choice | Numbers) -> gym.Space:
    """Return Gymnasium's space of what a task describes."""
    if isinstance(space, Choice):
        return gym.spaces.Discrete(len(space.names))
    return gym.spaces.Box(space.dtype(space.low), space.dtype(space.high), space.shape, space.dtype)


def _action_space(actions: Actions) -> gym.Space:
    if isinstance(actions, Mapping):
        return gym.spaces.Dict({name: space_of(part) for name, part in actions.items()})
    return space_of(actions)


def _checked_episodes(source: str | Path | Sequence[Any] | None, task: Task[Any]) -> tuple[Any, ...] | None:
    if source is None:
        return None
    episodes = tuple(task.read_episodes(source) if isinstance(source, str | Path) else source)
    if not episodes:
        raise EpisodeError("No episodes were given; expected at least one.")
    for number, episode in enumerate(episodes):
        if not hasattr(episode, "episode_id") or not hasattr(episode, "scene"):
            raise EpisodeError(
                f"Episode {number} is {str(episode)[:80]!r}; expected one of the task, such as harken.tasks.Episode."
            )
    return episodes
