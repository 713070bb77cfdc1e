"""Seeing with echoes: how deep is the view, from a sweep of milliseconds and what comes back of it.

VisualEchoes (Gao et al., ECCV 2020), BatVision (Christensen et al., ICRA 2020) and Parida et al. (CVPR 2021) estimate
the depth map of a view from its echo, with or without an image. Here the body may also choose where to listen next.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np

from harken.acoustics import Listener
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings
from harken.errors import ActionError, ConfigurationError, EpisodeError, UnknownNameError
from harken.metrics.depth import DepthRange, depth_metrics
from harken.scene import Body
from harken.sim import Mount, Simulator, World
from harken.tasks.navigation import NavigationSettings
from harken.tasks.worlds import load_world
from harken.vision import Camera
from harken.vision.low_light import LowLight

__all__ = ["EchoDepthSettings", "EchoDepthTask", "EchoEpisode", "EchoMove", "enter_world"]

LEAST_VALID = 0.5
"""Least share of a view's pixels that have a depth that counts, for an episode to begin with it."""

LEAST_ESTIMATE = 0.01
"""Estimates below this are raised to it where they are measured [m]: 0 has no logarithm."""


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
    forward_step: float = 0.25
    """Length of a step ahead [m]."""
    turn_angle: float = np.pi / 6
    """Angle of a turn [rad]; `turn_angle_degrees` in files."""
    max_depth: float = 10.0
    """Greatest depth [m] of estimates and of the truth."""
    beyond: Literal["clip", "ignore"] = "clip"
    """True depth beyond `max_depth` is set to it ("clip") or does not count ("ignore"). Pixels that hit nothing never
    count."""
    prior_depth: float = 2.5
    """Depth of the flat map that the first estimate is compared with [m]."""
    height: float = 1.5
    """Height of camera, mouth and ears above the floor [m]."""
    body: Body = Body()
    """Size of the body."""
    camera: Camera = Camera()
    """What the body sees with; its size is that of the depth map."""
    echo: EchoSettings = field(default_factory=EchoSettings)
    """How echoes are simulated."""
    low_light: LowLight = field(default_factory=LowLight)
    """How dark the sensor "low_light" is."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, known in (("variant", ("active", "passive")), ("target", ("current", "start"))):
            if getattr(self, name) not in known:
                raise UnknownNameError(name, getattr(self, name), known)
        DepthRange(maximum=self.max_depth, beyond=self.beyond)
        for name in ("forward_step", "turn_angle", "max_steps", "prior_depth"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise ConfigurationError(f"Setting {name} is {value!r}; expected a positive number.")
        if self.prior_depth > self.max_depth:
            raise ConfigurationError(
                f"Setting prior_depth is {self.prior_depth:g} m, beyond max_depth, {self.max_depth:g} m. Lower it."
            )
        if not 0.1 <= self.height <= 3.0:
            raise ConfigurationError(f"Setting height is {self.height!r} m; expected 0.1 to 3.")
        if self.camera.projection != "pinhole":
            raise ConfigurationError("Depth from echoes is asked of a pinhole camera; the camera is a panorama.")

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


def enter_world(scene: str, settings: EchoDepthSettings, **options: Any) -> World:
    """Return the world of a scene, shared within the process.

    Args:
        scene: "home:<split>:<number>", or the path of a scene file.
        settings: The rules.
        options: ``up`` and ``scale`` of a file.
    """
    shared = NavigationSettings(
        body=settings.body, ear_height=settings.height, eye_height=settings.height, forward_step=settings.forward_step
    )
    return load_world(scene, shared, **options)


@functools.lru_cache(maxsize=8)
def _echoes_in(world: World, settings: EchoSettings) -> EchoPropagation:
    return EchoPropagation(scene=world.scene, settings=settings)


class EchoDepthTask:
    """The rules of one episode after another in one world.

    Args:
        world: The world.
        settings: The rules.
    """

    def __init__(self, world: World, settings: EchoDepthSettings):
        self.settings = settings
        self.simulator = Simulator(world, camera=settings.camera, mount=Mount(height=settings.height))
        self.echoes = _echoes_in(world, settings.echo)
        self.episode: EchoEpisode | None = None

    def sample(self, rng: np.random.Generator, *, episode_id: str, scene: str) -> EchoEpisode:
        """Draw an episode: a place on the floor and any heading, of which most of the view has a depth that counts.

        Args:
            rng: Source of every draw.
            episode_id: Name of the episode.
            scene: Name of the scene.

        Raises:
            EpisodeError: No view of a hundred can be used.
        """
        simulator = self.simulator
        for _ in range(100):
            place, heading = simulator.random_point(rng), float(rng.uniform(-np.pi, np.pi))
            if simulator.world.scene.is_inside_solid(place + [0.0, self.settings.height, 0.0]):
                continue
            simulator.place(place, heading)
            if self._valid(simulator.see(("depth",))["depth"]).mean() >= LEAST_VALID:
                x, y, z = (float(v) for v in simulator.position)
                seed = int(rng.integers(2**31))
                return EchoEpisode(
                    episode_id=episode_id, scene=scene, position=(x, y, z), heading=simulator.heading, seed=seed
                )
        raise EpisodeError(
            f"{simulator.world.scene.name}: of 100 views none has a depth up to {self.settings.max_depth:g} m at "
            f"{LEAST_VALID:.0%} of its pixels. Use a closed scene, or raise max_depth."
        )

    def begin(self, episode: EchoEpisode) -> None:
        """Start an episode.

        Raises:
            NavigationError: There is no floor at its place.
        """
        self.simulator.place(np.array(episode.position), episode.heading)
        self.episode, self.steps, self.collided = episode, 0, False
        rng = np.random.default_rng([episode.seed, 0])
        self.light = self.settings.low_light.draw(rng)
        self.truth = self._look()
        self.start_error = self.error = self.measure(self.prior())["rmse"]

    def prior(self) -> np.ndarray:
        """Return the flat map that the first estimate is compared with, ``(height, width, 1)`` float32 [m]."""
        camera = self.settings.camera
        return np.full((camera.height, camera.width, 1), self.settings.prior_depth, np.float32)

    def _valid(self, depth: np.ndarray) -> np.ndarray:
        valid = depth > 0
        return valid if self.settings.beyond == "clip" else valid & (depth <= self.settings.max_depth)

    def _look(self) -> np.ndarray:
        """Return the true depth of the view, clipped, 0 where it does not count."""
        depth = self.simulator.see(("depth",))["depth"]
        return np.where(self._valid(depth), np.minimum(depth, np.float32(self.settings.max_depth)), np.float32(0.0))

    def sense_echo(self) -> np.ndarray:
        """Return the echo ``(2, n)`` float32 at the body's place.

        Raises:
            SoundError: The body's head is inside a piece of furniture.
        """
        place = self.simulator.position + [0.0, self.settings.height, 0.0]
        return self.echoes.echo(Listener(position=place, heading=self.simulator.heading))

    def sense_dark(self) -> np.ndarray:
        """Return the image in low light, ``(height, width, 3)`` uint8."""
        assert self.episode is not None
        image = self.simulator.see(("rgb",))["rgb"]
        rng = np.random.default_rng([self.episode.seed, 1, self.steps])
        return self.settings.low_light.darken(image, self.light, rng)

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
        """Return an estimate as ``(height, width, 1)`` float32 if it is one.

        Raises:
            ActionError: The shape is another, a value is NaN or infinite, or outside 0–`max_depth`.
        """
        camera, largest = self.settings.camera, self.settings.max_depth
        depth, shape = np.asarray(estimate), (camera.height, camera.width, 1)
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

    def act(self, action: Mapping[str, Any]) -> tuple[float, dict[str, float]]:
        """Take an estimate, reward it, and move.

        Args:
            action: "depth", the estimate, and in the active variant "move", one of `EchoMove`.

        Returns:
            The reward, by how many metres the RMSE fell, and the errors of the estimate. Where no pixel of the view
            counts, the reward is 0 and the errors are NaN.

        Raises:
            ActionError: A part is missing or is none that exists.
        """
        wanted = {"depth"} if self.settings.variant == "passive" else {"depth", "move"}
        if not isinstance(action, Mapping) or set(action) != wanted:
            given = sorted(action) if isinstance(action, Mapping) else type(action).__name__
            raise ActionError(f"The action is {given}; expected a dict with {', '.join(sorted(wanted))}.")
        move = _checked_move(action["move"]) if "move" in wanted else EchoMove.STAY
        errors = self.measure(self.check(action["depth"]))
        reward = 0.0
        if errors["pixels"]:
            reward, self.error = self.error - errors["rmse"], errors["rmse"]
        self.steps += 1
        self._move(move)
        if move != EchoMove.STAY and self.settings.target == "current":
            self.truth = self._look()
        return float(reward), errors

    def _move(self, move: EchoMove) -> None:
        self.collided = False
        if move == EchoMove.MOVE_FORWARD:
            before = self.simulator.position.copy()
            self.collided = self.simulator.move_forward(self.settings.forward_step)
            eyes = self.simulator.position + [0.0, self.settings.height, 0.0]
            if self.simulator.world.scene.is_inside_solid(eyes):  # under a cupboard there is floor, but no air
                self.simulator.position, self.collided = before, True
        elif move == EchoMove.TURN_LEFT:
            self.simulator.turn(self.settings.turn_angle)
        elif move == EchoMove.TURN_RIGHT:
            self.simulator.turn(-self.settings.turn_angle)

    @property
    def over(self) -> bool:
        """Whether all estimates were made."""
        return self.steps >= self.settings.steps


def _checked_move(move: Any) -> EchoMove:
    if isinstance(move, np.ndarray) and move.size == 1:
        move = move.reshape(-1)[0]
    if not isinstance(move, int | np.integer) or isinstance(move, bool) or not 0 <= int(move) < len(EchoMove):
        raise ActionError(
            f"Move {move!r} does not exist; expected an integer: "
            + ", ".join(f"{m.value} {m.name.lower().replace('_', ' ')}" for m in EchoMove)
            + "."
        )
    return EchoMove(int(move))
