"""Depth from echoes as a Gymnasium environment."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np

from harken.configs import choose_settings
from harken.envs.drawing import EpisodeSequence
from harken.envs.sensors import checked_names
from harken.errors import StateError, UnknownNameError
from harken.sim import Simulator
from harken.sound.spectrogram import echo_spectrogram, echo_spectrogram_settings, spectrogram_shape
from harken.tasks.echo_depth import EchoDepthSettings, EchoDepthTask, EchoEpisode, EchoMove, enter_world
from harken.tasks.worlds import SPLITS

__all__ = ["ECHO_SENSORS", "EchoDepthEnv"]

ECHO_SENSORS: tuple[str, ...] = ("waveform", "spectrogram", "rgb", "low_light", "pose", "depth")
"""Names of the sensors."""

LOUDEST = 100.0
"""Bound of the waveform."""

FARTHEST = 10_000.0
"""Bound of positions [m]."""


class EchoDepthEnv(gym.Env[dict[str, Any], dict[str, Any]]):
    """Tell how deep the view is from the echo of a sweep.

    ## Description
    At every place a linear sweep of 3 ms, 20 Hz to 20 kHz, sounds where the body stands, and its ears hear 60 ms of
    what comes back. The agent answers with a depth map of the view and, in the active variant, says where to listen
    next. Homes are generated: a different, never repeated set for each split.

    ## Action Space
    A ``Dict``:

    | key | space | what |
    |---|---|---|
    | depth | Box(0, max_depth, (128, 128, 1), float32) | estimate of the depth along the optical axis [m] of the view
    that was observed last |
    | move | Discrete(4) | 0 stay, 1 move forward, 2 turn left, 3 turn right (active variant only) |

    ## Observation Space
    A ``Dict`` of the sensors asked for:

    | sensor | shape, type | what |
    |---|---|---|
    | waveform | (2, 2646) float32 | echo at the left and right ear, 60 ms at 44.1 kHz; (2, 960) at 16 kHz |
    | spectrogram | (257, 166, 2) float32 | its magnitude spectrogram as published; (257, 121, 2) at 16 kHz |
    | rgb | (128, 128, 3) uint8 | colour image |
    | low_light | (128, 128, 3) uint8 | colour image with 0.5 to 5 % of the light, drawn once per episode, and noise of
    photons and read-out, see `harken.vision.low_light.LowLight` |
    | pose | (4,) float32 | metres ahead and to the left of the start, angle turned [rad], moves made |
    | depth | (128, 128, 1) float32 | privileged: the true depth [m], 0 where it does not count |

    ## Rewards
    By how many metres the root mean squared error fell from the estimate before; the first estimate is compared with a
    flat map of 2.5 m. The rewards of an episode sum to the error of the flat map less that of the last estimate.

    ## Starting State
    A random place and heading where at least half of the view has a depth that counts.
    ``reset(options={"episode": i})`` starts episode ``i`` of the split, the same for everybody.

    ## Episode End
    Terminated after the last estimate: the first in the passive variant, the twentieth in the active one.

    ## Information
    ``rmse``, ``relative``, ``log10``, ``mae``, ``delta1``–``delta3`` and ``pixels`` of the estimate
    (`harken.metrics.depth`; of the flat map after a reset), NaN where no pixel of the view counts; ``light``,
    the share of light of "low_light"; ``collision``, whether the move ran into something.

    Depth beyond `max_depth` (10 m) is taken for 10 m, or left out with ``beyond="ignore"``; pixels that hit nothing
    are left out.

    ## Arguments
    variant, split, sensors, scene, up, scale, config, render_mode.

    ## Version History
    v0: first version.

    Args:
        variant: "active" or "passive"; by default as `config` says, and it says "active" by default.
        split: "train", "val" or "test": which homes.
        sensors: Names of sensors; the echo as a waveform and as a spectrogram by default.
        scene: Path of a mesh to use in place of generated homes.
        up: Axis that points up in that file.
        scale: Metres per unit of that file.
        config: Settings in place of the defaults, a mapping of those that differ, or the path of a YAML file.
        render_mode: "rgb_array" or None.

    Raises:
        UnknownNameError: A name does not exist.
        ConfigurationError: A setting has an impossible value.
        HarkenError: The scene cannot be used.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012 - the type that Gymnasium declares

    def __init__(
        self,
        *,
        variant: Literal["active", "passive"] | None = None,
        split: str = "train",
        sensors: Sequence[str] = ("waveform", "spectrogram"),
        scene: str | Path | None = None,
        up: Literal["auto", "y", "z"] = "auto",
        scale: float = 1.0,
        config: EchoDepthSettings | Mapping[str, Any] | str | Path | None = None,
        render_mode: str | None = None,
    ):
        if split not in SPLITS:
            raise UnknownNameError("split", split, SPLITS)
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UnknownNameError("render mode", render_mode, self.metadata["render_modes"])
        self.split, self.render_mode = split, render_mode
        preset, config = (config, None) if isinstance(config, str | Path) else (None, config)
        self.settings = choose_settings(EchoDepthSettings, preset, config)
        if variant is not None:
            self.settings = dataclasses.replace(self.settings, variant=variant)
        self.sensors = checked_names(sensors, ECHO_SENSORS)
        self.scene = None if scene is None else str(scene)
        self._options: dict[str, Any] = {} if scene is None else {"up": up, "scale": scale}
        self._sequence = EpisodeSequence[EchoEpisode](split, scene=self.scene, task=(3,))
        self.observation_space = gym.spaces.Dict({name: _sensor_space(name, self.settings) for name in self.sensors})
        camera = self.settings.camera
        shape = camera.height, camera.width, 1
        actions: dict[str, gym.Space] = {"depth": gym.spaces.Box(0.0, self.settings.max_depth, shape, np.float32)}
        if self.settings.variant == "active":
            actions["move"] = gym.spaces.Discrete(len(EchoMove))
        self.action_space = gym.spaces.Dict(actions)
        self._task: EchoDepthTask | None = None
        self._closed, self._done = False, True
        self._estimate: np.ndarray | None = None
        if self.scene is not None:
            enter_world(self.scene, self.settings, **self._options)  # a bad file is reported here

    @property
    def task(self) -> EchoDepthTask:
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

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Start an episode.

        Args:
            seed: Starts a new sequence of episodes.
            options: ``{"episode": number}`` chooses an episode of the split.
        """
        self._check_open()
        super().reset(seed=seed)
        episode = self._sequence.choose(self._draw, options, restart=seed is not None, random=self.np_random)
        self._begin(episode)
        return self._observe(), self._info(self.task.measure(self.task.prior()))

    def _begin(self, episode: EchoEpisode) -> None:
        """Start a given episode without observing."""
        self._enter(self.scene or episode.scene).begin(episode)
        self._done, self._estimate = False, None

    def episode(self, number: int) -> EchoEpisode:
        """Return an episode of the split by its number, the same for everybody.

        Raises:
            EpisodeError: The number is no whole number from 0.
        """
        return self._sequence.numbered(self._draw, number)

    def _draw(self, rng: np.random.Generator, scene: str, name: str) -> EchoEpisode:
        return self._enter(scene).sample(rng, episode_id=name, scene=scene)

    def _enter(self, scene: str) -> EchoDepthTask:
        world = enter_world(scene, self.settings, **self._options)
        if self._task is None or self._task.simulator.world is not world:
            self._task = EchoDepthTask(world, self.settings)
        return self._task

    def step(self, action: dict[str, Any]) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Take an estimate of the view that was observed last, move, and listen.

        Raises:
            ActionError: The estimate has the wrong shape, is NaN or out of range, or the move does not exist.
            StateError: The episode is over, has not begun, or the environment is closed.
        """
        self._check_open()
        if self._done:
            raise StateError("The episode is over or has not begun: call reset() before step().")
        reward, errors = self.task.act(action)
        self._estimate = np.array(action["depth"], np.float32)
        self._done = self.task.over
        return self._observe(), reward, self._done, False, self._info(errors)

    def _observe(self) -> dict[str, Any]:
        task, settings, result = self.task, self.settings, {}
        if "waveform" in self.sensors or "spectrogram" in self.sensors:
            result["waveform"] = task.sense_echo()
            if "spectrogram" in self.sensors:
                result["spectrogram"] = echo_spectrogram(result["waveform"], settings.echo.rate, duration=None)
        if "rgb" in self.sensors:
            result["rgb"] = task.simulator.see(("rgb",))["rgb"]
        if "low_light" in self.sensors:
            result["low_light"] = task.sense_dark()
        if "pose" in self.sensors:
            result["pose"] = _relative_pose(task)
        if "depth" in self.sensors:
            result["depth"] = task.truth.copy()
        return {name: result[name] for name in self.sensors}

    def _info(self, errors: Mapping[str, float]) -> dict[str, Any]:
        return {**errors, "light": self.task.light, "collision": self.task.collided}

    def render(self) -> np.ndarray | None:
        """Return what a person looks at: image, true depth and the last estimate, side by side.

        Returns:
            ``(height, 3·width, 3)`` uint8, near is light and far is dark; None without ``render_mode="rgb_array"``.
        """
        self._check_open()
        if self.render_mode is None:
            return None
        task = self.task
        estimate = task.prior() if self._estimate is None else self._estimate
        maps = [_depth_picture(depth, self.settings.max_depth) for depth in (task.truth, estimate)]
        return np.concatenate([task.simulator.see(("rgb",))["rgb"], *maps], axis=1)

    def close(self) -> None:
        """Close the environment; it cannot be used after."""
        self._closed, self._task = True, None

    def _check_open(self) -> None:
        if self._closed:
            raise StateError("The environment is closed: make a new one with gym.make().")


def _sensor_space(name: str, settings: EchoDepthSettings) -> gym.Space:
    height, width, samples = settings.camera.height, settings.camera.width, settings.echo.samples
    transform = echo_spectrogram_settings(settings.echo.rate)
    if name == "waveform":
        return gym.spaces.Box(-LOUDEST, LOUDEST, (2, samples), np.float32)
    if name == "spectrogram":
        shape = spectrogram_shape(samples, settings=transform)
        return gym.spaces.Box(0.0, LOUDEST * transform.window, shape, np.float32)
    if name == "pose":
        return gym.spaces.Box(-FARTHEST, FARTHEST, (4,), np.float32)
    if name == "depth":
        return gym.spaces.Box(0.0, settings.max_depth, (height, width, 1), np.float32)
    return gym.spaces.Box(0, 255, (height, width, 3), np.uint8)


def _relative_pose(task: EchoDepthTask) -> np.ndarray:
    assert task.episode is not None
    heading = task.episode.heading
    x, _, z = task.simulator.position - np.array(task.episode.position)
    c, s = np.cos(heading), np.sin(heading)
    turned = (task.simulator.heading - heading + np.pi) % (2 * np.pi) - np.pi
    return np.array([-s * x - c * z, -c * x + s * z, turned, task.steps], np.float32)


def _depth_picture(depth: np.ndarray, largest: float) -> np.ndarray:
    """Colour a depth map, light where it is near; black where it does not count."""
    share = np.clip(depth[:, :, 0] / largest, 0.0, 1.0)
    stops, colors = (0.0, 0.25, 0.5, 1.0), ((253, 231, 37), (53, 183, 121), (49, 104, 142), (68, 1, 84))
    picture = np.stack([np.interp(share, stops, [color[i] for color in colors]) for i in range(3)], -1)
    return np.where(depth > 0, picture, 0.0).round().astype(np.uint8)
