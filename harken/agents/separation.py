"""Scripted agents for active separation: how to move, and how to separate.

An agent is a mover and a separator. The movers are the baselines of Move2Hear (Majumder et al., ICCV 2021), section 5:
stand in place, rotate in place, random, direction of arrival, proximity prior and novelty. The separators need no
learning: one knows the truth, one uses the differences between the ears, one does nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import scipy.fft

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.agents.direction_follower import DirectionFollower
from harken.errors import ConfigurationError, UnknownNameError
from harken.sound.stft import istft, stft
from harken.tasks import Action
from harken.tasks.heard import MAGNITUDES, scaled_to_target
from harken.tasks.separation_rules import Move, SeparationSettings

__all__ = [
    "MOVERS",
    "SEPARATORS",
    "DirectionMover",
    "MaskSeparator",
    "Mover",
    "NoveltyMover",
    "OracleMask",
    "ProximityMover",
    "RandomMover",
    "RotateMover",
    "SeparationAgent",
    "SpatialMask",
    "StandMover",
    "Unprocessed",
    "make_separation_agent",
]

CONCENTRATION = 2.0
"""Of the interaural phase about that of the direct sound, von Mises; low, because rooms scatter it."""

LEVEL_SPREAD = 6.0
"""Standard deviation of the interaural level about that of the direct sound [dB]."""

_TRANSFORM = {"n_fft": MAGNITUDES.n_fft, "hop": MAGNITUDES.hop, "window": MAGNITUDES.window}


class MaskSeparator(Protocol):
    """Tells how much of each bin of the mixture belongs to the target."""

    sensors: tuple[str, ...]
    """Names of the sensors that it needs."""

    def mask(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return ``(frequencies, frames, 2)`` float32 in 0–1."""
        ...


class Mover(Protocol):
    """Chooses moves."""

    sensors: tuple[str, ...]
    """Names of the sensors that it needs."""

    listens: bool
    """Whether its moves depend on the mask."""

    def reset(self, seed: int) -> None:
        """Forget the last episode; every draw of the next one comes from `seed`."""
        ...

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return the next move, a `harken.tasks.separation.Move`.

        Args:
            observation: What is sensed.
            mask: What the separator made of it.
        """
        ...


class SeparationAgent:
    """Moves by one rule and separates by another.

    Args:
        mover: Chooses moves.
        separator: Makes masks.
        settings: The rules, of which it takes what is to be estimated, and from when on.
    """

    def __init__(self, mover: Mover, separator: MaskSeparator, settings: SeparationSettings):
        self.mover, self.separator, self.settings = mover, separator, settings
        self._steps = 0
        self.sensors: tuple[str, ...] = tuple(dict.fromkeys(("spectrogram", *mover.sensors, *separator.sensors)))

    def reset(self, seed: int) -> None:
        """Forget the last episode."""
        self.mover.reset(seed)
        self._steps = 0

    def act(self, observation: Mapping[str, Any]) -> dict[str, Any]:
        """Return the action: ``move``, and the ``estimate`` of what was observed.

        In search steps, whose estimates do not count, that is the mixture unless the mover needs a mask.
        """
        searching = self._steps < self.settings.search_steps
        self._steps += 1
        separator = Unprocessed() if searching and not self.mover.listens else self.separator
        mask = separator.mask(observation)
        return {
            "move": np.int64(self.mover.move(observation, mask)),
            "estimate": self._estimate(observation, mask),
        }

    def estimate(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return the estimate alone, for environments made with ``separator=agent.estimate``."""
        return self._estimate(observation, self.separator.mask(observation))

    def _estimate(self, observation: Mapping[str, Any], mask: np.ndarray) -> np.ndarray:
        """Apply a mask; for a mono estimate take the mean of the ears, scaled as mono targets are."""
        magnitudes = mask * np.expm1(observation["spectrogram"])
        if self.settings.estimate == "binaural":
            return magnitudes
        return scaled_to_target(magnitudes.mean(-1, keepdims=True))


class OracleMask:
    """The best mask that there is, read from a privileged sensor."""

    sensors: tuple[str, ...] = ("mask",)

    def mask(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return the mask."""
        return observation["mask"]


class Unprocessed:
    """Takes the mixture for the target."""

    sensors: tuple[str, ...] = ("spectrogram",)

    def mask(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return ones."""
        return np.ones(observation["spectrogram"].shape, np.float32)


class SpatialMask:
    """Takes the sound from the direction of the strongest source as the target, by differences between the ears.

    The mixture is taken for sounds from lateral angles of the head, each with a weight. Weights are found by
    expectation maximisation over all bins, which count by their energy; the likelihood of a bin at an angle is that of
    its interaural phase (von Mises) and level (normal) about the head's own. The mask is the posterior of the angles
    around the strongest. It knows nothing of classes: where the target is not the strongest, it is wrong; and it knows
    nothing of reverberation, which comes from everywhere.

    Source:
        After Mandel, Weiss and Ellis (2010), "Model-based expectation-maximization source separation and localization",
        IEEE Trans. Audio Speech Lang. Process. 18, 382, equations 8 to 12, with fixed spreads and the head's responses
        in place of learnt ones.

    Args:
        settings: The rules, of which it takes the rate.
        angles: Number of lateral angles from right to left.
        reach: Angles this far from the strongest belong to it [rad].
        iterations: Iterations of expectation maximisation.
    """

    sensors: tuple[str, ...] = ("waveform",)

    def __init__(
        self, settings: SeparationSettings, *, angles: int = 25, reach: float = np.pi / 4, iterations: int = 8
    ):
        if angles < 3 or not 0 < reach < np.pi or iterations < 1:
            raise ConfigurationError(
                f"Spatial mask of {angles!r} angles, {reach!r} rad and {iterations!r} iterations; expected 3 or more, "
                "0–π, and 1 or more."
            )
        self._angles, self._reach, self._iterations = np.linspace(-np.pi / 2, np.pi / 2, angles), reach, iterations
        self._level, self._phase = _interaural(settings.acoustics.rate, self._angles)

    def mask(self, observation: Mapping[str, Any]) -> np.ndarray:
        """Return the mask, the same for both ears."""
        left, right = stft(observation["waveform"], **_TRANSFORM).astype(np.complex64)
        energy = np.abs(left) ** 2 + np.abs(right) ** 2
        if not energy.any():
            return np.ones((*energy.shape, 2), np.float32)
        likelihood = self._likelihood(left, right, 1e-12 * float(energy.max())).reshape(len(self._angles), -1)
        share = (energy / energy.sum()).reshape(-1)
        # All in single precision, or every product would convert the likelihoods first.
        weights = np.full(len(self._angles), 1.0 / len(self._angles), np.float32)
        for _ in range(self._iterations):
            weights *= likelihood @ (share / (weights @ likelihood))
            weights /= weights.sum()
        apart = np.abs(self._angles[:, None] - self._angles)
        strongest = int(((apart < self._reach / 2) @ weights).argmax())
        own = weights * (apart[strongest] < self._reach)
        mask = np.clip((own @ likelihood) / (weights @ likelihood), 0.0, 1.0).reshape(energy.shape)
        return np.repeat(mask[:, :, None], 2, axis=2)

    def _likelihood(self, left: np.ndarray, right: np.ndarray, floor: float) -> np.ndarray:
        """Return the likelihood ``(angles, frequencies, frames)`` of every bin, up to a factor, and at least e⁻¹²."""
        cross = left * right.conj()
        unit = cross / (np.abs(cross) + floor)
        level = 10.0 * np.log10((np.abs(left) ** 2 + floor) / (np.abs(right) ** 2 + floor))
        result = np.empty((len(self._angles), *level.shape), np.float32)
        for k, (expected, phase) in enumerate(zip(self._level, self._phase, strict=True)):
            agreement = CONCENTRATION * ((unit * phase[:, None]).real - 1.0)
            agreement -= 0.5 * ((level - expected[:, None]) / LEVEL_SPREAD) ** 2
            result[k] = np.exp(np.maximum(agreement, -12.0))
        return result


def _interaural(rate: int, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the head's level differences [dB] and conjugate phase differences, ``(angles, frequencies)`` each.

    Lateral angles, positive to the left; the mean of front and back, which cannot be told apart at once.
    """
    head = HeadResponse.kemar(rate)
    frequencies = scipy.fft.rfftfreq(MAGNITUDES.n_fft, 1.0 / rate)
    level = np.zeros((len(angles), len(frequencies)))
    phase = np.zeros(level.shape, np.complex128)
    for i, angle in enumerate(angles):
        for front in (1.0, -1.0):
            filters, delays = head.lookup(np.array([-np.sin(angle), 0.0, -front * np.cos(angle)]))
            left, right = scipy.fft.rfft(filters, MAGNITUDES.n_fft)
            level[i] += 10.0 * np.log10(np.abs(left) / np.maximum(np.abs(right), 1e-9))
            turned = left * right.conj() * np.exp(2j * np.pi * frequencies * float(delays[1] - delays[0]))
            phase[i] += turned / np.maximum(np.abs(turned), 1e-12)
    return level, (phase / np.maximum(np.abs(phase), 1e-12)).conj()


class StandMover:
    """Stays in place and keeps its heading; needs ``may_stand``."""

    sensors: tuple[str, ...] = ()
    listens = False

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return to stand."""
        return Move.STAND


class RotateMover:
    """Turns left all the time."""

    sensors: tuple[str, ...] = ()
    listens = False

    def reset(self, seed: int) -> None:
        """Nothing to forget."""

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return to turn left."""
        return Move.LEFT


class RandomMover:
    """Moves ahead, left and right with the same probability."""

    sensors: tuple[str, ...] = ()
    listens = False

    def reset(self, seed: int) -> None:
        """Start the episode's own sequence of draws."""
        self._rng = np.random.default_rng(seed)

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return a random move."""
        return int(self._rng.integers(3))


class DirectionMover:
    """Follows the direction of arrival of what the separator leaves: `DirectionFollower` on the separated sound.

    Where that would stop, at the source, it turns left.

    Args:
        settings: The rules.
    """

    sensors: tuple[str, ...] = ("waveform", "depth", "collision")
    listens = True

    def __init__(self, settings: SeparationSettings):
        self._follower = DirectionFollower(settings)

    def reset(self, seed: int) -> None:
        """Forget what was heard and seen."""
        self._follower.reset(seed)

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return the next move."""
        mixture = observation["waveform"]
        spectrum = stft(mixture, **_TRANSFORM) * np.moveaxis(mask, -1, 0)
        separated = istft(spectrum, mixture.shape[1], **_TRANSFORM).astype(np.float32)
        action = self._follower.act({**observation, "waveform": separated})
        moves = {Action.MOVE_FORWARD: Move.FORWARD, Action.TURN_RIGHT: Move.RIGHT}
        return moves.get(Action(action), Move.LEFT)


class ProximityMover:
    """Walks at random within a distance of where the target was the loudest, by what the separator leaves.

    Near the target that is where it starts. A step that leads out of the circle is replaced by a turn.

    Args:
        settings: The rules, of which it takes the lengths of steps and turns.
        radius: The distance [m].
    """

    sensors: tuple[str, ...] = ("pose", "spectrogram")
    listens = True

    def __init__(self, settings: SeparationSettings, *, radius: float = 1.0):
        self._step, self._radius = settings.body.forward_step, radius

    def reset(self, seed: int) -> None:
        """Forget where it was loud, and start the episode's own sequence of draws."""
        self._rng = np.random.default_rng(seed)
        self._loudest, self._place = -1.0, np.zeros(2)

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return the next move."""
        here, heading = _place_and_heading(observation["pose"])
        level = float(np.square(mask * np.expm1(observation["spectrogram"])).sum())
        if level > self._loudest:
            self._loudest, self._place = level, here
        move = int(self._rng.integers(3))
        ahead = here + self._step * np.array([np.cos(heading), np.sin(heading)])
        before, after = (float(np.linalg.norm(point - self._place)) for point in (here, ahead))
        if move == Move.FORWARD and after > max(self._radius, before) + 1e-3:
            return int(self._rng.choice([Move.LEFT, Move.RIGHT]))
        return move


class NoveltyMover:
    """Goes where it has been least: of the four next cells, the one with the fewest visits, the nearest heading first.

    Args:
        settings: The rules, of which it takes the lengths of steps and turns.
    """

    sensors: tuple[str, ...] = ("pose", "collision")
    listens = False

    def __init__(self, settings: SeparationSettings):
        self._step, self._turn = settings.body.forward_step, settings.body.turn_angle

    def reset(self, seed: int) -> None:
        """Forget where it was."""
        self._visits: dict[tuple[int, int], int] = {}
        self._way: list[int] = []

    def move(self, observation: Mapping[str, Any], mask: np.ndarray) -> int:
        """Return the next move."""
        here, heading = _place_and_heading(observation["pose"])
        if observation["collision"][0] > 0:  # what is ahead cannot be visited
            ahead = self._cell(here, heading)
            self._visits[ahead] = self._visits.get(ahead, 0) + 1000
            self._way = []
        if not self._way:
            cell = self._cell(here, None)
            self._visits[cell] = self._visits.get(cell, 0) + 1
            half = round(np.pi / self._turn)
            turns = sorted(range(-half + 1, half + 1), key=abs)
            best = min(turns, key=lambda k: self._visits.get(self._cell(here, heading + k * self._turn), 0))
            self._way = [*[int(Move.LEFT if best > 0 else Move.RIGHT)] * abs(best), int(Move.FORWARD)]
        return self._way.pop(0)

    def _cell(self, here: np.ndarray, heading: float | None) -> tuple[int, int]:
        """Return the cell that a step in a direction leads to, or that of `here` itself."""
        step = np.zeros(2) if heading is None else self._step * np.array([np.cos(heading), np.sin(heading)])
        x, y = np.round((here + step) / self._step).astype(int).tolist()
        return x, y


def make_separation_agent(mover: str, separator: str, settings: SeparationSettings) -> SeparationAgent:
    """Make an agent from the names of its mover, one of `MOVERS`, and its separator, one of `SEPARATORS`.

    Raises:
        UnknownNameError: There is no such mover or separator.
        ConfigurationError: The mover stands still, and the settings do not allow it.
    """
    if mover not in MOVERS:
        raise UnknownNameError("mover", mover, MOVERS)
    if separator not in SEPARATORS:
        raise UnknownNameError("separator", separator, SEPARATORS)
    if mover == "stand" and not settings.may_stand:
        raise ConfigurationError("The mover 'stand' needs the fourth action: set config={'may_stand': True}.")
    return SeparationAgent(MOVERS[mover](settings), SEPARATORS[separator](settings), settings)


def _place_and_heading(pose: np.ndarray) -> tuple[np.ndarray, float]:
    """Return metres ahead and to the left of the start ``(2,)``, and the angle turned since [rad]."""
    return np.asarray(pose[:2], np.float64), float(pose[2])


MOVERS: dict[str, Callable[[SeparationSettings], Mover]] = {
    "stand": lambda settings: StandMover(),
    "rotate": lambda settings: RotateMover(),
    "random": lambda settings: RandomMover(),
    "direction": DirectionMover,
    "proximity": ProximityMover,
    "novelty": NoveltyMover,
}
"""What chooses moves, by name."""

SEPARATORS: dict[str, Callable[[SeparationSettings], MaskSeparator]] = {
    "oracle": lambda settings: OracleMask(),
    "spatial": SpatialMask,
    "unprocessed": lambda settings: Unprocessed(),
}
"""What makes masks, by name."""
