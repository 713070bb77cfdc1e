"""What a body hears of one source as time passes, while both may move.

With an engine that tells exact paths from the rest of a response (`MovingPropagation`), every path is a delay line that
goes with source and listener, and the rest fades. With any other engine one response fades into the next.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from harken.acoustics import Listener, Propagation, Source
from harken.acoustics.paths.moving import match_paths, retarded_lengths
from harken.acoustics.protocol import MovingPropagation, ResponseParts
from harken.checks import wrapped_angle
from harken.sim.sources import SoundSource
from harken.sim.trajectory import FASTEST
from harken.sound.convolution import StreamingConvolver
from harken.sound.delay_lines import DelayLines, add_gliding

__all__ = ["FadingStream", "HeardStream", "MovingStream", "stream_of"]

CROSSFADE = 0.05
"""Time over which the sound changes from one response to another where nothing leads from one to the other [s]."""

MOVING_BLOCK = 0.0625
"""Most time for which a moving source is taken to be at one place by an engine that only gives responses [s]."""

STRIDE = 0.25
"""Most that a source or a listener moves until its paths are found anew [m]; in between they go steadily."""

SWING = np.radians(5.0)
"""Most that a listener turns until directions are found anew [rad]: heads are measured that far apart. Halfway between
directions that are farther apart the filters of an ear in the shadow of the head can cancel."""

EMISSION_ROUNDS = 12
"""Times that the moment of emission is improved at most; each brings it nearer by the source's Mach number."""


class HeardStream(Protocol):
    """What is heard of one source as time passes."""

    def advance(self, ears: Listener, samples: int, *, jumped: bool) -> np.ndarray:
        """Let time pass.

        Args:
            ears: The listener when it has passed.
            samples: How many samples pass; always the same.
            jumped: Whether the listener was put where it is, and did not go there.

        Returns:
            ``(channels, samples)`` float32.
        """
        ...


def stream_of(propagation: Propagation, source: SoundSource) -> HeardStream:
    """Return what is heard of a source through an engine."""
    if isinstance(propagation, MovingPropagation):
        return MovingStream(propagation, source)
    return FadingStream(propagation, source)


def _convolver(source: SoundSource, rate: int, block: int) -> StreamingConvolver:
    onset = round(source.onset * rate)
    return StreamingConvolver(
        source.samples,
        block,
        offset=source.offset,
        fade=round(CROSSFADE * rate),
        sounding=(onset, onset + source.duration * rate),
    )


class FadingStream:
    """One response fades into the next.

    Args:
        propagation: Gives the responses.
        source: The source.
    """

    def __init__(self, propagation: Propagation, source: SoundSource):
        self._propagation, self._source = propagation, source
        self._convolver: StreamingConvolver | None = None
        self._response: tuple[tuple, np.ndarray] | None = None
        self._time = 0

    def advance(self, ears: Listener, samples: int, *, jumped: bool) -> np.ndarray:
        """Let time pass; see `HeardStream`."""
        rate, moves = self._propagation.rate, self._source.trajectory is not None
        block = _divided(samples, round(MOVING_BLOCK * rate)) if moves else samples
        if self._convolver is None:
            self._convolver = _convolver(self._source, rate, block)
        out = np.empty((ears.channels, samples), np.float32)
        for start in range(0, samples, block):
            out[:, start : start + block] = self._convolver.advance(self._response_at(ears, start + block))
        self._time += samples
        return out

    def _response_at(self, ears: Listener, ahead: int) -> np.ndarray:
        """Return the response some samples ahead; that of a source at rest is computed once per pose."""
        if self._source.trajectory is not None:
            moved = self._source.at((self._time + ahead) / self._propagation.rate)
            return self._propagation.impulse_response(moved, ears).samples
        pose = ears.position.tobytes(), ears.heading
        if self._response is None or self._response[0] != pose:
            self._response = pose, self._propagation.impulse_response(self._source.at(0.0), ears).samples
        return self._response[1]


def _divided(samples: int, most: int) -> int:
    """Return the length of the fewest equal pieces of `samples` that are at most `most` long.

    If no reasonable number of equal pieces exists, the whole is one piece.
    """
    fewest = -(-samples // most)
    return next((samples // n for n in range(fewest, 8 * fewest + 1) if samples % n == 0), samples)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moment:
    """Source and listener at a moment, and what the one hears of the other."""

    propagation: MovingPropagation
    ears: Listener
    source: Source
    """Where the direct sound that arrives now comes from."""
    velocity: np.ndarray | None
    """``(3,)`` velocity of the source there [m/s], None at rest."""
    age: float
    """How long ago the source was there [s]."""

    @property
    def pose(self) -> tuple:
        """What distinguishes moments between which nothing moves."""
        source, ears = self.source, self.ears
        return source.position.tobytes(), source.heading, ears.position.tobytes(), ears.heading

    @cached_property
    def parts(self) -> ResponseParts:
        """The response in parts."""
        return self.propagation.parts(self.source, self.ears)

    @cached_property
    def lines(self) -> DelayLines:
        """The paths as delay lines."""
        if self.velocity is None:
            return self.parts.lines()
        return self.parts.lines(
            retarded_lengths(self.parts.paths, self.velocity, self.age, float(self.propagation.speed))
        )


class MovingStream:
    """Paths glide, and the rest fades.

    Args:
        propagation: Gives responses in parts.
        source: The source.
    """

    def __init__(self, propagation: MovingPropagation, source: SoundSource):
        self._propagation, self._source = propagation, source
        self._standing = source.at(0.0)
        self._convolver: StreamingConvolver | None = None
        self._last: _Moment | None = None
        self._time = 0

    def advance(self, ears: Listener, samples: int, *, jumped: bool) -> np.ndarray:
        """Let time pass; see `HeardStream`."""
        if self._convolver is None:
            self._convolver = _convolver(self._source, self._propagation.rate, samples)
        start, end = self._time, self._time + samples
        before = self._moment(ears, start) if self._last is None else self._last
        jumped = jumped and self._last is not None
        after = self._moment(ears, end)
        if after.pose == before.pose and after.velocity is None:
            after = before
        if after is before:
            response = after.parts.samples
            out = self._convolver.advance(response, before=response)
        elif jumped or self._leaps(before, after, start, end):
            out = self._convolver.advance(after.parts.samples, before=before.parts.samples)
        else:
            out = self._glide(before, after, start, end)
        self._last, self._time = after, end
        return out

    def _moment(self, ears: Listener, sample: int) -> _Moment:
        """Return what is heard at a moment."""
        way, time = self._source.trajectory, sample / self._propagation.rate
        if way is None:
            return _Moment(propagation=self._propagation, ears=ears, source=self._standing, velocity=None, age=0.0)
        age = 0.0
        for _ in range(EMISSION_ROUNDS):
            last = age
            age = math.dist(way.position(time - age), ears.position) / float(self._propagation.speed)
            if abs(age - last) < 1e-9:
                break
        source, velocity = self._source.at(time - age), way.velocity(time - age)
        return _Moment(
            propagation=self._propagation,
            ears=ears,
            source=source,
            velocity=velocity if velocity.any() else None,
            age=age,
        )

    def _leaps(self, before: _Moment, after: _Moment, start: int, end: int) -> bool:
        """Whether source or listener change place too fast to have moved there, or the listener hears otherwise."""
        walked = math.dist(after.ears.position, before.ears.position)
        moved = math.dist(after.source.position, before.source.position)
        seconds = (end - start) / self._propagation.rate
        if after.ears.format != before.ears.format or walked > FASTEST * seconds:
            return True
        return moved > self._travelled(before, after, start, end) + 1e-6

    def _travelled(self, before: _Moment, after: _Moment, start: int, end: int) -> float:
        """Return how far the source has moved between two moments [m]."""
        way, rate = self._source.trajectory, self._propagation.rate
        return 0.0 if way is None else way.distance(end / rate - after.age) - way.distance(start / rate - before.age)

    def _glide(self, before: _Moment, after: _Moment, start: int, end: int) -> np.ndarray:
        assert self._convolver is not None
        out = self._convolver.advance(after.parts.tail, before=before.parts.tail, gradually=True)
        walked = math.dist(after.ears.position, before.ears.position)
        travelled = self._travelled(before, after, start, end)
        turned = wrapped_angle(after.ears.heading - before.ears.heading)
        count = math.ceil(max(walked / STRIDE, travelled / STRIDE, abs(turned) / SWING) - 1e-3)
        count = min(max(count, 1), end - start)
        in_place = walked == 0.0 and travelled == 0.0 and after.velocity is None
        reach, paths, lines, begun = (walked + travelled) / count, before.parts.paths, before.lines, start
        for i in range(1, count + 1):
            until = start + (end - start) * i // count
            if in_place and i < count:
                heading = before.ears.heading + turned * i / count
                later_paths, later = after.parts.paths, after.parts.lines(heading=heading)
            else:
                moment = after if i == count else self._moment(_between(before.ears, after.ears, i / count), until)
                later_paths, later = moment.parts.paths, moment.lines
            pairs = match_paths(paths, later_paths, reach)
            at = {"first": begun - start, "block": until - begun}
            add_gliding(self._convolver.stream, begun, lines, later, pairs, out, **at)
            paths, lines, begun = later_paths, later, until
        return out


def _between(one: Listener, other: Listener, share: float) -> Listener:
    """Return a listener on the way from one pose to another."""
    return Listener(
        position=one.position + share * (other.position - one.position),
        heading=one.heading + share * wrapped_angle(other.heading - one.heading),
        pitch=one.pitch + share * (other.pitch - one.pitch),
        format=other.format,
    )
