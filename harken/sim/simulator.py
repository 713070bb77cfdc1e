"""The embedded simulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.acoustics import ImpulseResponse, Listener, Propagation, Source
from harken.acoustics.protocol import ListenerFormat
from harken.errors import ConfigurationError, NavigationError, StateError
from harken.scene import Scene
from harken.sim.protocol import SoundSource
from harken.sim.world import World
from harken.sound.convolution import StreamingConvolver
from harken.vision import Camera

__all__ = ["Mount", "Simulator", "forward_vector"]

CROSSFADE = 0.05
"""Time over which the sound changes from one response to the next [s]."""

MOVING_BLOCK = 0.0625
"""Most time for which a moving source is taken to be at one place [s]."""


@dataclass(frozen=True, kw_only=True)
class Mount:
    """Where on the body a camera sits and which way it looks, relative to the body's feet and heading."""

    height: float = 1.5
    """Height above the floor [m]."""
    ahead: float = 0.0
    """Distance ahead of the body's axis [m]."""
    left: float = 0.0
    """Distance to the left of the body's axis [m]."""
    yaw: float = 0.0
    """Angle to the left of the heading [rad]."""
    pitch: float = 0.0
    """Angle upwards [rad]."""


def forward_vector(heading: float) -> np.ndarray:
    """Return the unit vector ``(3,)`` of a heading [rad]: 0 is −z, positive is counter-clockwise seen from above."""
    return np.array([-np.sin(heading), 0.0, -np.cos(heading)])


class Simulator:
    """One world, one body, its camera and ears, and its sound sources, stepping through time.

    Args:
        world: A scene, or a world that is shared with others.
        camera: What the body sees with.
        mount: Where on the body the camera sits; ahead at the height of the ears by default.
        propagation: What carries sound to this body; the world's own by default. An engine that remembers what it was
            asked before belongs to one simulator.
        hearing: What the body hears with; two ears by default.
        options: Settings of `World`, where a scene is given.
    """

    def __init__(
        self,
        world: Scene | World,
        *,
        camera: Camera | None = None,
        mount: Mount | None = None,
        propagation: Propagation | None = None,
        hearing: ListenerFormat = "binaural",
        **options: Any,
    ):
        if isinstance(world, World) and options:
            raise ConfigurationError(
                f"Settings {sorted(options)} belong to the world; give them to World(...) or pass a scene."
            )
        self.world = world if isinstance(world, World) else World(scene=world, **options)
        self.camera = camera or Camera()
        self.mount = mount or Mount(height=self.world.ear_height)
        self._propagation = propagation
        self.hearing: ListenerFormat = hearing
        self.position = np.zeros(3)
        self.heading = 0.0
        self.node = -1
        self._placed = False
        self._sources: list[SoundSource] = []
        self._convolvers: list[StreamingConvolver | None] = []
        self._responses: dict[int, tuple[tuple, np.ndarray]] = {}
        self._samples_heard = 0

    @property
    def propagation(self) -> Propagation:
        """What carries sound."""
        return self.world.propagation if self._propagation is None else self._propagation

    @property
    def rate(self) -> int:
        """Sampling rate of what is heard [Hz]."""
        return self.propagation.rate

    @property
    def sources(self) -> tuple[SoundSource, ...]:
        """What sounds."""
        return tuple(self._sources)

    def place(self, position: np.ndarray, heading: float) -> None:
        """Put the body on the floor near a position.

        Args:
            position: ``(3,)`` [m]; the nearest walkable point is taken, or the nearest node on a grid.
            heading: [rad]; the nearest of four on a grid.

        Raises:
            NavigationError: There is no floor within reach.
        """
        if not np.isfinite(heading) or not np.isfinite(position).all():
            raise NavigationError(
                f"Pose ({position}, {heading}) is not finite; expected x, y, z in metres and radians."
            )
        if self.world.motion == "grid":
            self.node = self.world.graph.nearest(position)
            self.position = np.array(self.world.graph.nodes[self.node], np.float64)
            heading = round(heading / (np.pi / 2)) * (np.pi / 2)
        else:
            self.position = np.array(self.world.floor.snap(position), np.float64)
        self.heading = _wrap(heading)
        self._placed = True

    def set_sources(self, sources: Sequence[SoundSource]) -> None:
        """Replace what sounds, and start time anew."""
        self._sources = list(sources)
        self._convolvers = [None] * len(self._sources)
        self._samples_heard = 0
        self._responses = {}

    def move_forward(self, distance: float) -> bool:
        """Walk ahead, sliding along what is in the way; on a grid go to the next node if there is one.

        Args:
            distance: [m]; the spacing of the nodes on a grid.

        Returns:
            Whether something was in the way.
        """
        self._check_placed()
        if self.world.motion == "grid":
            onward = int(self.world.graph.neighbours[self.node, self.quarter])
            if onward < 0:
                return True
            self.node = onward
            self.position = np.array(self.world.graph.nodes[onward], np.float64)
            return False
        end, collided = self.world.floor.move(self.position, distance * forward_vector(self.heading))
        self.position = np.array(end, np.float64)
        return bool(collided)

    @property
    def quarter(self) -> int:
        """Heading in quarter turns to the left, 0–3."""
        return round(self.heading / (np.pi / 2)) % 4

    def turn(self, angle: float) -> None:
        """Turn by an angle [rad], positive to the left."""
        self._check_placed()
        self.heading = _wrap(self.heading + angle)

    @property
    def ears(self) -> Listener:
        """The body's ears, as a listener."""
        place = self.position + [0.0, self.world.ear_height, 0.0]
        return Listener(position=place, heading=self.heading, format=self.hearing)

    def hear(self, samples: int) -> np.ndarray:
        """Let time pass and return what the ears heard.

        Args:
            samples: How many samples of time pass; the same at every call between two `set_sources`.

        Returns:
            ``(channels, samples)`` float32 pressure; for two ears the left is first.
        """
        return self.hear_each(samples).sum(0)

    def hear_each(self, samples: int) -> np.ndarray:
        """Let time pass and return what the ears heard of each source; `hear` is the sum over the sources.

        Args:
            samples: How many samples of time pass; the same at every call between two `set_sources`.

        Returns:
            ``(sources, channels, samples)`` float32 pressure, in the order of `sources`.
        """
        self._check_placed()
        ears = self.ears
        each = np.zeros((len(self._sources), ears.channels, samples), np.float32)
        for i, source in enumerate(self._sources):
            block = samples if source.trajectory is None else _divided(samples, round(MOVING_BLOCK * self.rate))
            convolver = self._convolvers[i]
            if convolver is None:
                convolver = self._convolvers[i] = self._convolver(source, block)
            for start in range(0, samples, block):
                each[i, :, start : start + block] = convolver.advance(self._heard(i, ears, start + block))
        self._samples_heard += samples
        return each

    def _convolver(self, source: SoundSource, block: int) -> StreamingConvolver:
        onset = round(source.onset * self.rate)
        return StreamingConvolver(
            source.samples,
            block,
            offset=source.offset,
            fade=round(CROSSFADE * self.rate),
            sounding=(onset, onset + source.duration * self.rate),
        )

    def _heard(self, i: int, ears: Listener, ahead: int) -> np.ndarray:
        """Return the response of a source some samples ahead; that of one at rest is computed once per pose."""
        source = self._sources[i]
        if source.trajectory is not None:
            moved = source.at((self._samples_heard + ahead) / self.rate)
            return self.propagation.impulse_response(moved, ears).samples
        pose = self.position.tobytes(), self.heading
        known = self._responses.get(i)
        if known is None or known[0] != pose:
            known = self._responses[i] = pose, self.propagation.impulse_response(source.at(0.0), ears).samples
        return known[1]

    @property
    def time(self) -> float:
        """Time since the sources were set [s]."""
        return self._samples_heard / self.rate

    def see(
        self, channels: Sequence[str], *, camera: Camera | None = None, mount: Mount | None = None
    ) -> dict[str, np.ndarray]:
        """Return images by name, as `harken.vision.Renderer.observe` does: "rgb", "depth", "semantic", "instance".

        Args:
            channels: Names of the images.
            camera: Another camera than the body's.
            mount: Another place for it than that of the body's.
        """
        self._check_placed()
        camera, mount = camera or self.camera, mount or self.mount
        ahead, left = forward_vector(self.heading), forward_vector(self.heading + np.pi / 2)
        eye = self.position + mount.ahead * ahead + mount.left * left + [0.0, mount.height, 0.0]
        return self.world.renderer.observe(camera, eye, self.heading + mount.yaw, mount.pitch, channels=tuple(channels))

    def impulse_response(self, source: Source | None = None, listener: Listener | None = None) -> ImpulseResponse:
        """Return what a listener hears of an impulse at a source.

        Args:
            source: The first of the simulator's sources by default, where it is now.
            listener: The body's ears by default.

        Raises:
            StateError: Nothing sounds, or the body stands nowhere.
        """
        if source is None:
            if not self._sources:
                raise StateError("There is no source: pass one, or set some with set_sources().")
            source = self._sources[0].at(self.time)
        if listener is None:
            self._check_placed()
            listener = self.ears
        return self.propagation.impulse_response(source, listener)

    def geodesic_distance(self, start: np.ndarray, goal: np.ndarray) -> float:
        """Return the length of the shortest way over the floor [m], inf where there is none."""
        if self.world.motion == "grid":
            graph = self.world.graph
            return float(graph.distance_field(graph.nearest(goal))[graph.nearest(start)])
        return float(self.world.floor.distance_field(goal).distance(start))

    def random_point(self, rng: np.random.Generator) -> np.ndarray:
        """Return a random place ``(3,)`` where the body can stand [m]: any on the floor, or a node on a grid."""
        if self.world.motion == "grid":
            nodes = self.world.graph.nodes
            return np.array(nodes[int(rng.integers(len(nodes)))], np.float64)
        return np.array(self.world.floor.random_point(rng), np.float64)

    def _check_placed(self) -> None:
        if not self._placed:
            raise StateError("The body stands nowhere yet: call place(position, heading) first.")


def _divided(samples: int, most: int) -> int:
    """Return the length of the fewest equal pieces of `samples` that are at most `most` long.

    Where none of a reasonable number of pieces fits, there is one.
    """
    fewest = -(-samples // most)
    return next((samples // n for n in range(fewest, 8 * fewest + 1) if samples % n == 0), samples)


def _wrap(angle: float) -> float:
    """Bring an angle into (−π, π]."""
    return float(-((-angle + np.pi) % (2 * np.pi) - np.pi))
