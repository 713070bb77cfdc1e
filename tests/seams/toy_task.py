"""A task of somebody else's: say how many steps away the wall ahead is. One file, and no other is touched."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from harken.sim import BodySettings
from harken.tasks import Choice, Numbers, Outcome, Sensor
from harken.tasks.protocol import entered
from harken.tasks.sensing import image_sensors


@dataclass(frozen=True, kw_only=True)
class WallSettings:
    """The rules."""

    body: BodySettings = BodySettings()
    """What the body is like."""
    largest: int = 4
    """Greatest answer."""


@dataclass(frozen=True, kw_only=True)
class WallEpisode:
    """Where the body stands."""

    episode_id: str
    scene: str
    position: tuple[float, float, float]
    heading: float


class WallTask:
    """How many steps away is the wall ahead?"""

    rules = WallSettings
    stream = (77,)
    goal, distance, waveform, step_time = None, float("nan"), None, 1.0

    def __init__(self, settings: WallSettings, split: str, *, eager: bool = False):
        self.settings, self.eager, self.shown = settings, eager, ("depth",)
        self.episode, self.steps, self.success, self._simulator = None, 0, False, None

    @property
    def body(self):
        return self.settings.body

    @property
    def world(self):
        return self.body.world()

    @property
    def simulator(self):
        return entered(self._simulator)

    @property
    def actions(self):
        return Choice(names=tuple(str(n) for n in range(self.settings.largest + 1)))

    @property
    def sensors(self):
        views = image_sensors(self.body.camera, 10.0)
        found = [
            *views,
            Sensor(name="bias", space=Numbers(shape=(1,), low=0, high=1), read=lambda seen: np.ones(1, "f4")),
        ]
        return {sensor.name: sensor for sensor in found}

    def enter(self, simulator):
        self._simulator = simulator

    def sample(self, rng, *, episode_id, scene):
        place = self.simulator.ground.random_point(rng)
        return WallEpisode(
            episode_id=episode_id, scene=scene, position=tuple(place), heading=float(rng.uniform(-np.pi, np.pi))
        )

    def sources(self, episode):
        return ()

    def begin(self, episode):
        self.simulator.place(np.array(episode.position), episode.heading)
        self.episode, self.steps, self.success = episode, 0, False
        self.truth, position = 0, self.simulator.position
        while self.truth < self.settings.largest:
            position, collided = self.simulator.ground.move(position, self.simulator.heading, self.body.forward_step)
            if collided:
                break
            self.truth += 1

    def step(self, action: Any) -> Outcome:
        self.steps += 1
        self.success = int(action) == self.truth
        return Outcome(reward=float(self.success), terminated=True, truncated=False)

    def measures(self):
        return {"success": float(self.success)}

    def info(self):
        return {"truth": self.truth}

    def read_episodes(self, path):
        return ()

    def picture(self):
        return None


class Counter:
    """An agent of somebody else's that always says the same."""

    sensors = ("bias",)

    def __init__(self, task):
        self.answer = task.settings.largest

    def reset(self, seed):
        pass

    def act(self, observation):
        return np.int64(self.answer)
