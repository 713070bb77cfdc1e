"""The body of a sound attacker in one episode: where it goes, what it plays, and what it hears."""

import math

import numpy as np

from harken.acoustics import Listener
from harken.sim import Course, SimulatorProtocol, SoundSource
from harken.sound.convolution import StreamingConvolver
from harken.sound.live import AHEAD, LiveSound
from harken.tasks.walk import ahead_and_left

__all__ = ["AttackerBody", "AttackerEars"]

FADE = 0.01
"""Time in which an attacker changes its sound [s]."""

SPARE = 2.0
"""How much more than a response of the past of an attacker's sound is kept [s]."""


class AttackerBody:
    """A source that walks and sounds as it is told, step by step.

    Args:
        place: ``(3,)`` where it starts, on the floor [m].
        lift: ``(3,)`` from the floor to where it sounds [m].
        rate: Sampling rate [Hz].
        samples: Samples of a step.
        duration: Length of responses [s].

    Attributes:
        start: Where it started.
        place: Where it is.
        collided: Whether its last move ran into something, or was not allowed.
        source: What is heard of it.
    """

    def __init__(self, place: np.ndarray, lift: np.ndarray, rate: int, samples: int, duration: float):
        self.start, self.place, self.collided = place, place, False
        self._lift, self._rate, self._samples = lift, rate, samples
        self._sound = LiveSound(
            round((duration + SPARE) * rate) + 4 * samples + AHEAD, fade=min(round(FADE * rate), samples)
        )
        self._course = Course(place + lift)
        self.source = SoundSource(position=place + lift, samples=self._sound.ring, trajectory=self._course, live=True)
        self._acts = self._steps = self._sounded = 0
        self._distances = 0.0

    def act(self, place: np.ndarray, clip: np.ndarray, *, gain: float, offset: int) -> None:
        """Decide the next step of time.

        Args:
            place: ``(3,)`` where it is at its end [m].
            clip: ``(n,)`` what it plays, from an offset on [samples].
            gain: Factor of the clip, 0 for silence.
            offset: Sample of the clip at the beginning of the episode.
        """
        self._acts += 1
        self._course.go(place + self._lift, self._acts * self._samples / self._rate)
        self._sound.play(clip, self._samples, gain=gain, offset=offset)
        self.place = place

    def count(self, agent: np.ndarray, *, sounds: bool) -> None:
        """Count a step, with the agent at a place ``(3,)`` [m]."""
        self._steps += 1
        self._sounded += sounds
        self._distances += math.dist(self.place, agent)

    def pose(self, time: float) -> np.ndarray:
        """Return metres ahead and to the left of its start, and the time [s], ``(3,)`` float32."""
        return np.array([*ahead_and_left(self.place - self.start, 0.0), time], np.float32)

    def measures(self, agent: np.ndarray) -> dict[str, float]:
        """Return the mean distance to the agent, now at a place ``(3,)``, and the share of steps in which it sounds."""
        steps = self._steps
        return {
            "attacker_distance": self._distances / steps if steps else math.dist(self.place, agent),
            "attacker_share": self._sounded / max(steps, 1),
        }


class AttackerEars:
    """What an attacker hears of the goal where it is; not itself.

    Args:
        goal: The goal as a source.
        samples: Samples of a step.

    Attributes:
        heard: ``(2, samples)`` float32 the sound of the last step.
    """

    def __init__(self, goal: SoundSource, samples: int):
        self._goal, self._samples = goal, samples
        self.heard = np.zeros((2, samples), np.float32)
        self._convolver: StreamingConvolver | None = None
        self._response: tuple[tuple, np.ndarray] | None = None

    def hear(self, simulator: SimulatorProtocol, place: np.ndarray) -> None:
        """Let the time of a step pass, with the ears at a place ``(3,)`` [m], facing −z."""
        goal = self._goal
        if self._convolver is None:
            onset = round(goal.onset * simulator.rate)
            sounding = onset, onset + goal.duration * simulator.rate
            self._convolver = StreamingConvolver(goal.samples, self._samples, offset=goal.offset, sounding=sounding)
        source = goal.at(simulator.time)
        known = place.tobytes(), source.position.tobytes(), tuple(simulator.doors.values())
        if self._response is None or self._response[0] != known:
            response = simulator.impulse_response(source, Listener(position=place, format="binaural"))
            self._response = known, np.ascontiguousarray(response.samples, np.float32)
        self.heard = self._convolver.advance(self._response[1])
