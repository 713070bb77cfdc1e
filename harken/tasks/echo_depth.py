"""Depth from echoes: estimate the depth of the view from the echo of a sweep of a few milliseconds.

VisualEchoes (Gao et al., ECCV 2020), BatVision (Christensen et al., ICRA 2020) and Parida et al. (CVPR 2021) estimate
the depth map of a view from its echo, with or without an image. Here the body may also choose where to listen next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np

from harken.acoustics import Source
from harken.acoustics.engines.echo import EchoSettings
from harken.checks import check_settings, checked_number, checked_point, checked_seed
from harken.errors import ActionError, ConfigurationError, EpisodeError
from harken.metrics.depth import DepthRange, depth_metrics
from harken.sim import BodySettings, SimulatorProtocol, WorldSettings
from harken.tasks.protocol import Actions, Choice, Numbers, Outcome, Sensor, entered
from harken.tasks.sensing import FARTHEST, echo_sensors
from harken.tasks.walk import checked_action, relative_pose
from harken.vision.low_light import LowLight

__all__ = ["EchoDepthSettings", "EchoDepthTask", "EchoEpisode", "EchoMove"]

LEAST_VALID = 0.5
"""Least share of a view's pixels that have a depth that counts, for an episode to begin with it."""

LEAST_ESTIMATE = 0.01
"""Estimates below this are raised to it before they are measured [m], since 0 has no logarithm."""


class EchoMove(IntEnum):
    """Where to listen next."""

    STAY = 0
    MOVE_FORWARD = 1
    TURN_LEFT = 2
    TURN_RIGHT = 3


@dataclass(frozen=True, kw_only=True)
class EchoDepthSettings:
    """The rules of depth from echoes."""

    variant: Literal["active", "passive"] = "active"
    """"active": an estimate and a move at each of `max_steps` steps. "passive": one view, one estimate, no moves."""
    target: Literal["current", "start"] = "current"
    """Which view's depth is asked for: the one from where the body is, or the one from where it began, so that moves
    only gather evidence."""
    max_steps: int = 20
    """Estimates in an episode of the active variant; the passive one ends after the first."""
    max_depth: float = 10.0
    """Greatest depth [m] of estimates and of the truth."""
    beyond: Literal["clip", "ignore"] = "clip"
    """True depth beyond `max_depth` is set to it ("clip") or does not count ("ignore"). Pixels that hit nothing never
    count."""
    prior_depth: float = 2.5
    """Depth of the flat map that the first estimate is compared with [m]."""
    body: BodySettings = BodySettings(turn_angle=np.pi / 6)
    """What the body is like; its mouth is where its ears are. The camera's size is that of the depth map."""
    echo: EchoSettings = field(default_factory=EchoSettings)
    """How echoes are simulated."""
    low_light: LowLight = field(default_factory=LowLight)
    """How dark the sensor "low_light" is."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_settings(self, max_steps=(1, 10**9), max_depth=(1e-3, 10_000.0), prior_depth=(1e-3, 10_000.0))
        DepthRange(maximum=self.max_depth, beyond=self.beyond)
        if self.prior_depth > self.max_depth:
            raise ConfigurationError(
                f"Setting prior_depth is {self.prior_depth:g} m, beyond max_depth, {self.max_depth:g} m. Lower it."
            )
        if self.body.camera.projection != "pinhole":
            raise ConfigurationError("Depth from echoes is asked of a pinhole camera; the camera is a panorama.")
        if self.body.motion != "continuous":
            raise ConfigurationError("Setting body.motion is 'grid'; depth from echoes has continuous motion only.")

    @property
    def steps(self) -> int:
        """Estimates in an episode."""
        return 1 if self.variant == "passive" else self.max_steps

    @property
    def depth_range(self) -> DepthRange:
        """Which depths count."""
        return DepthRange(maximum=self.max_depth, beyond=self.beyond, minimum=LEAST_ESTIMATE)


@dataclass(frozen=True, kw_only=True)
class EchoEpisode:
    """Where an episode begins."""

    episode_id: str
    """Unique name within its split."""
    scene: str
    """"home:<split>:<number>" for a generated home, or the path of a scene file."""
    position: tuple[float, float, float]
    """Where the body stands, on the floor [m]."""
    heading: float
    """Where it faces [rad]."""
    seed: int = 0
    """Decides how dark it is, and the camera's noise."""

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            EpisodeError: The pose or the seed is not valid.
        """
        where = f"Episode {str(self.episode_id)[:80]!r}:"
        point = checked_point(f"{where} position", self.position, error=EpisodeError)
        object.__setattr__(self, "position", tuple(point.tolist()))
        heading = checked_number(f"{where} heading", self.heading, -1e6, 1e6, error=EpisodeError)
        object.__setattr__(self, "heading", heading)
        checked_seed(self.seed, f"{where} seed")


class EchoDepthTask:
    """Estimate the depth of the view from the echo of a sweep.

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
    A ``Dict`` of the sensors asked for, waveform and spectrogram by default:

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

    Depth beyond `max_depth` (10 m) counts as 10 m, or left out with ``beyond="ignore"``; pixels that hit nothing
    are left out.

    ## Arguments
    variant, and those of every environment.

    ## Version History
    v2: reverberation that belongs to places. v1: ``loudness`` in the information. v0: first version.

    Args:
        settings: The rules.
        split: Unused: every split sounds alike.
        variant: "active" or "passive" in place of the settings' variant.
    """

    rules = EchoDepthSettings
    shown: tuple[str, ...] = ("waveform", "spectrogram")
    stream: tuple[int, ...] = (3,)
    goal: np.ndarray | None = None
    distance = float("nan")
    success: bool | None = None

    def __init__(self, settings: EchoDepthSettings, split: str, *, variant: Literal["active", "passive"] | None = None):
        self.settings = settings if variant is None else replace(settings, variant=variant)
        self.episode: EchoEpisode | None = None
        self.waveform: np.ndarray | None = None
        self.estimate: np.ndarray | None = None
        self.steps, self.collided = 0, False
        self._errors: list[dict[str, float]] = []
        self._simulator: SimulatorProtocol | None = None

    @property
    def body(self) -> BodySettings:
        """What the body is like."""
        return self.settings.body

    @property
    def world(self) -> WorldSettings:
        """The worlds that it is played in."""
        return self.settings.body.world()

    @property
    def step_time(self) -> float:
        """Time for which an echo is listened to [s]."""
        return self.settings.echo.samples / self.settings.echo.rate

    @property
    def simulator(self) -> SimulatorProtocol:
        """The world that was entered last."""
        return entered(self._simulator)

    @property
    def actions(self) -> Actions:
        """What can be done in a step: give an estimate, and move in the active variant."""
        actions: dict[str, Choice | Numbers] = {"depth": self._depth_space}
        if self.settings.variant == "active":
            actions["move"] = Choice(names=tuple(move.name.lower().replace("_", " ") for move in EchoMove))
        return actions

    @property
    def _depth_space(self) -> Numbers:
        camera = self.settings.body.camera
        return Numbers(shape=(camera.height, camera.width, 1), low=0.0, high=self.settings.max_depth)

    @property
    def sensors(self) -> Mapping[str, Sensor]:
        """What may be sensed."""
        echo, camera = self.settings.echo, self.settings.body.camera
        image = Numbers(shape=(camera.height, camera.width, 3), low=0, high=255, dtype=np.uint8)
        sensors = [
            *echo_sensors(self._echo, echo),
            Sensor(name="rgb", space=image, views=("rgb",), read=lambda views: views["rgb"]),
            Sensor(name="low_light", space=image, views=("rgb",), read=lambda views: self._darken(views["rgb"])),
            Sensor(
                name="pose",
                space=Numbers(shape=(4,), low=-FARTHEST, high=FARTHEST),
                read=lambda views: self._relative_pose(),
            ),
            Sensor(name="depth", space=self._depth_space, privileged=True, read=lambda views: self.truth.copy()),
        ]
        return {sensor.name: sensor for sensor in sensors}

    def enter(self, simulator: SimulatorProtocol) -> None:
        """Continue in another world."""
        self._simulator = simulator

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> EchoEpisode:
        """Draw an episode: a place on the floor and any heading, of which most of the view has a depth that counts.

        Args:
            rng: Generator of every random draw.
            episode_id: Name of the episode.
            scene: Name of the scene.

        Raises:
            EpisodeError: No view of a hundred can be used.
        """
        simulator = self.simulator
        for _ in range(100):
            place, heading = simulator.ground.random_point(rng), float(rng.uniform(-np.pi, np.pi))
            if simulator.is_inside_solid(place + self._lift):
                continue
            simulator.place(place, heading)
            if self._valid(simulator.see(("depth",))["depth"]).mean() >= LEAST_VALID:
                x, y, z = (float(v) for v in simulator.position)
                seed = int(rng.integers(2**31))
                return EchoEpisode(
                    episode_id=episode_id, scene=scene, position=(x, y, z), heading=simulator.heading, seed=seed
                )
        raise EpisodeError(
            f"{simulator.name}: of 100 views none has a depth up to {self.settings.max_depth:g} m at "
            f"{LEAST_VALID:.0%} of its pixels. Use a closed scene, or raise max_depth."
        )

    @property
    def _lift(self) -> np.ndarray:
        return np.array([0.0, self.settings.body.ear_height, 0.0])

    def read_episodes(self, path: str | Path) -> Sequence[EchoEpisode]:
        """Refuse: episodes of this task are drawn, or given as objects.

        Raises:
            EpisodeError: Always.
        """
        raise EpisodeError(f"{path}: there are no files of this task's episodes. Give a list of EchoEpisode.")

    def sources(self, episode: EchoEpisode) -> Sequence[Source]:
        """Return nothing: only the body sounds."""
        return ()

    def begin(self, episode: EchoEpisode) -> None:
        """Start an episode.

        Raises:
            NavigationError: There is no floor at its place.
        """
        self.simulator.place(np.array(episode.position), episode.heading)
        self.episode, self.steps, self.collided = episode, 0, False
        self.waveform = self.estimate = None
        rng = np.random.default_rng([episode.seed, 0])
        self.light = self.settings.low_light.draw(rng)
        self.truth = self._look()
        self.errors = self.measure(self.prior())
        self.start_error = self.error = self.errors["rmse"]
        self._errors = []

    def prior(self) -> np.ndarray:
        """Return the flat map that the first estimate is compared with, ``(height, width, 1)`` float32 [m]."""
        return np.full(self._depth_space.shape, self.settings.prior_depth, np.float32)

    def _valid(self, depth: np.ndarray) -> np.ndarray:
        valid = depth > 0
        return valid if self.settings.beyond == "clip" else valid & (depth <= self.settings.max_depth)

    def _look(self) -> np.ndarray:
        """Return the true depth of the view, clipped, 0 where it does not count."""
        depth = self.simulator.see(("depth",))["depth"]
        return np.where(self._valid(depth), np.minimum(depth, np.float32(self.settings.max_depth)), np.float32(0.0))

    def _echo(self) -> np.ndarray:
        """Return the echo ``(2, n)`` float32 at the body's place, computed once for each step."""
        if self.waveform is None:
            self.waveform = self.simulator.echo(self.settings.echo)
        return self.waveform

    def _darken(self, image: np.ndarray) -> np.ndarray:
        """Return an image in low light, ``(height, width, 3)`` uint8."""
        assert self.episode is not None
        rng = np.random.default_rng([self.episode.seed, 1, self.steps])
        return self.settings.low_light.darken(image, self.light, rng)

    def _relative_pose(self) -> np.ndarray:
        assert self.episode is not None
        return relative_pose(
            self.simulator, np.array(self.episode.position), self.episode.heading, last=float(self.steps)
        )

    def measure(self, estimate: np.ndarray) -> dict[str, float]:
        """Return the errors of an estimate of the current truth by name, NaN where no pixel counts.

        Args:
            estimate: ``(height, width, 1)`` depth [m].
        """
        if not (self.truth > 0).any():
            names = ("rmse", "relative", "log10", "mae", "delta1", "delta2", "delta3")
            return {**dict.fromkeys(names, float("nan")), "pixels": 0}
        errors = depth_metrics(estimate, self.truth, within=self.settings.depth_range).to_mapping()
        errors.pop("images")
        return errors

    def check(self, estimate: Any) -> np.ndarray:
        """Check an estimate and return it as ``(height, width, 1)`` float32.

        Raises:
            ActionError: The shape is wrong, a value is NaN or infinite, or outside 0–`max_depth`.
        """
        largest, shape = self.settings.max_depth, self._depth_space.shape
        depth = np.asarray(estimate)
        if depth.shape != shape or depth.dtype.kind not in "fiu":
            raise ActionError(f"The depth map is {depth.dtype} {depth.shape}; expected float32 {shape} in metres.")
        if not np.isfinite(depth).all():
            bad = int((~np.isfinite(depth)).sum())
            raise ActionError(f"The depth map is NaN or infinite at {bad} of {depth.size} pixels.")
        if depth.min() < 0.0 or depth.max() > np.float32(largest):
            raise ActionError(
                f"The depth map reaches from {depth.min():g} to {depth.max():g} m; expected 0 to max_depth, "
                f"{largest:g} m: clip the estimate, or raise max_depth."
            )
        return depth.astype(np.float32, copy=False)

    def step(self, action: Any) -> Outcome:
        """Take an estimate of the view that was observed last, reward it, and move.

        The reward is by how many metres the RMSE fell. Where no pixel of the view counts it is 0.

        Args:
            action: "depth", the estimate, and in the active variant "move", one of `EchoMove`.

        Raises:
            ActionError: A part is missing or does not exist.
        """
        parts = set(self.actions) if isinstance(self.actions, Mapping) else set()
        if not isinstance(action, Mapping) or set(action) != parts:
            content = sorted(map(str, action)) if isinstance(action, Mapping) else type(action).__name__
            raise ActionError(f"The action is {content}; expected a dict with {', '.join(sorted(parts))}.")
        move = EchoMove(checked_action(action["move"], EchoMove, "Move")) if "move" in parts else EchoMove.STAY
        self.estimate = np.array(self.check(action["depth"]))
        self.errors, reward = self.measure(self.estimate), 0.0
        if self.errors["pixels"]:
            reward, self.error = self.error - self.errors["rmse"], self.errors["rmse"]
            self._errors.append(self.errors)
        self.steps += 1
        self._move(move)
        self.waveform = None
        if move != EchoMove.STAY and self.settings.target == "current":
            self.truth = self._look()
        return Outcome(reward=float(reward), terminated=self.steps >= self.settings.steps, truncated=False)

    def _move(self, move: EchoMove) -> None:
        self.collided = False
        if move == EchoMove.MOVE_FORWARD:
            before = self.simulator.position.copy()
            self.collided = self.simulator.move_forward(self.settings.body.forward_step)
            if self.simulator.is_inside_solid(self.simulator.position + self._lift):
                # The floor may lie under a cupboard, where there is no air.
                self.simulator.place(before, self.simulator.heading)
                self.collided = True
        elif move == EchoMove.TURN_LEFT:
            self.simulator.turn(self.settings.body.turn_angle)
        elif move == EchoMove.TURN_RIGHT:
            self.simulator.turn(-self.settings.body.turn_angle)

    def measures(self) -> dict[str, float]:
        """Return the errors of the episode's estimates, their means over the steps with pixels that count."""
        if not self._errors:
            return {name: value for name, value in self.errors.items() if name != "pixels"}
        return {
            name: sum(row[name] for row in self._errors) / len(self._errors)
            for name in self._errors[0]
            if name != "pixels"
        }

    def info(self) -> dict[str, Any]:
        """Return the errors of the last estimate, the share of light and whether the move ran into something."""
        return {**self.errors, "light": self.light, "collision": self.collided}

    def picture(self) -> np.ndarray:
        """Return image, true depth and last estimate side by side, ``(height, 3 * width, 3)`` uint8."""
        estimate = self.prior() if self.estimate is None else self.estimate
        maps = [_depth_picture(depth, self.settings.max_depth) for depth in (self.truth, estimate)]
        return np.concatenate([self.simulator.see(("rgb",))["rgb"], *maps], axis=1)


def _depth_picture(depth: np.ndarray, largest: float) -> np.ndarray:
    """Colour a depth map, light where it is near; black where it does not count."""
    share = np.clip(depth[:, :, 0] / largest, 0.0, 1.0)
    stops, colors = (0.0, 0.25, 0.5, 1.0), ((253, 231, 37), (53, 183, 121), (49, 104, 142), (68, 1, 84))
    picture = np.stack([np.interp(share, stops, [color[i] for color in colors]) for i in range(3)], -1)
    return np.where(depth > 0, picture, 0.0).round().astype(np.uint8)
