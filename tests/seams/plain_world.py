"""A simulator that has nothing to do with Harken's: an empty square of floor in the free field.

It implements `harken.sim.SimulatorProtocol` and `harken.scene.ground.Ground` and nothing else.
"""

from typing import ClassVar

import numpy as np

from harken.acoustics import ImpulseResponse
from harken.checks import wrapped_angle
from harken.errors import NavigationError, UnknownNameError
from harken.scene import SceneObject
from harken.vision import Plan

SIDE = 10.0
SPEED = 343.0


def ahead_of(heading):
    return np.array([-np.sin(heading), 0.0, -np.cos(heading)])


class Square:
    """A floor of 10 × 10 m, around the origin."""

    area, level = SIDE**2, 0.0

    def snap(self, position):
        place = np.array(position, float)
        if np.abs(place[[0, 2]]).max() > SIDE / 2 + 1:
            raise NavigationError("off the square")
        return np.array([*np.clip(place[[0]], -SIDE / 2, SIDE / 2), 0.0, *np.clip(place[[2]], -SIDE / 2, SIDE / 2)])

    def turned(self, heading):
        return heading

    def move(self, position, heading, distance):
        wanted = position + distance * ahead_of(heading)
        end = self.snap(np.clip(wanted, -SIDE / 2, SIDE / 2))
        return end, bool(np.abs(end - wanted).max() > 1e-9)

    def moves(self, position, headings, distance):
        return np.array([self.move(position, heading, distance)[0] for heading in headings])

    def distance(self, start, goal):
        return float(np.linalg.norm(np.subtract(goal, start), axis=-1).min())

    def length(self, start, end):
        return self.distance(start, end)

    def distances(self, starts, goal):
        return np.linalg.norm(np.atleast_2d(goal) - np.asarray(starts)[:, None], axis=2).min(1)

    def shortest_path(self, start, goal):
        return np.array([start, goal], float)

    def random_point(self, rng):
        x, z = rng.uniform(-SIDE / 2, SIDE / 2, 2)
        return np.array([x, 0.0, z])

    def is_free(self, position):
        return bool(np.abs(np.asarray(position)[[0, 2]]).max() <= SIDE / 2)


class PlainSimulator:
    """Walls stand around the square; sound goes straight from sources to two ears 0.2 m apart."""

    def __init__(self, scene, settings, *, camera=None, mount=None, **file):
        self.name, self.camera, self.mount, self.settings = f"plain {scene}", camera, mount, settings
        self.categories = ("unknown", "wall")
        self.ground, self.rate = Square(), settings.acoustics.rate
        self.ear_height = settings.ear_height
        self.position, self.heading, self.sources, self._samples = np.zeros(3), 0.0, (), 0

    @property
    def time(self):
        return self._samples / self.rate

    doors: ClassVar[dict[str, str]] = {}
    objects = tuple(
        SceneObject(instance=i, category=kind, name=f"{kind} 1", lower=np.array(low), upper=np.array(high))
        for i, (kind, low, high) in enumerate(
            [("sofa", (-4.9, 0.0, -1.0), (-4.0, 0.8, 1.0)), ("chair", (3.0, 0.0, 3.0), (3.5, 0.9, 3.5))], 1
        )
    )

    def set_doors(self, states, *, anyway=False):
        raise UnknownNameError("door", next(iter(states)), [])

    def door_ahead(self, heading=None):
        return None

    def place(self, position, heading):
        self.position, self.heading = self.ground.snap(position), wrapped_angle(self.ground.turned(heading))

    def move_forward(self, distance):
        self.position, collided = self.ground.move(self.position, self.heading, distance)
        return collided

    def turn(self, angle):
        self.heading = wrapped_angle(self.heading + angle)

    def set_sources(self, sources):
        self.sources, self._samples = tuple(sources), 0

    def prepare(self, sources, channels=()):
        pass

    def _ears(self):
        left = ahead_of(self.heading + np.pi / 2)
        return [self.position + [0.0, self.ear_height, 0.0] + side * 0.1 * left for side in (1, -1)]

    def hear_each(self, samples):
        times = (self._samples + np.arange(samples)) / self.rate
        each = np.zeros((len(self.sources), 2, samples), np.float32)
        for i, source in enumerate(self.sources):
            position = source.at(self.time).position
            for channel, ear in enumerate(self._ears()):
                way = max(float(np.linalg.norm(position - ear)), 0.1)
                at = times - way / SPEED - source.onset
                index = (source.offset + np.floor(at * self.rate).astype(int)) % len(source.samples)
                each[i, channel] = np.where((at >= 0) & (at < source.duration), source.samples[index], 0.0) / way
        self._samples += samples
        return each

    def hear(self, samples):
        return self.hear_each(samples).sum(0)

    def echo(self, settings):
        return np.zeros((2, settings.samples), np.float32)

    def see(self, channels, *, camera=None, mount=None):
        camera = camera or self.camera
        shape = camera.height, camera.width
        walls = [(SIDE / 2 - s * self.position[axis]) for axis in (0, 2) for s in (1, -1)]
        images = {
            "depth": np.full((*shape, 1), min(walls) + 0.5, np.float32),
            "rgb": np.full((*shape, 3), 128, np.uint8),
            "semantic": np.ones((*shape, 1), np.int32),
        }
        return {name: images[name].copy() for name in channels}

    def plan(self, *, width, level=None):
        image = np.full((width, width, 3), 250, np.uint8)
        return Plan(image=image, origin=(-SIDE / 2, -SIDE / 2), metres_per_pixel=SIDE / width)

    def shows(self, thing, eyes):
        return np.ones(len(eyes), bool)

    def is_inside_solid(self, point):
        return False

    def floor_material(self, place=None):
        return "carpet"

    def impulse_response(self, source=None, listener=None):
        samples = np.zeros((1 if listener is not None and listener.format == "mono" else 2, 800), np.float32)
        if source is not None and listener is not None:
            way = max(float(np.linalg.norm(source.position - listener.position)), 0.1)
            samples[:, round(way / SPEED * self.rate)] = 1.0 / way
        return ImpulseResponse(samples=samples, rate=self.rate)
