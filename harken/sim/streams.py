"""What a body hears of one source as time passes, while both may move.

With an engine that tells exact paths from the rest of a response (`MovingPropagation`), every path is a delay line that
goes with source and listener, and the rest fades. With any other engine one response fades into the next.
"""

import math
from typing import Any, Protocol

import numpy as np

from harken.acoustics import Listener, Propagation, Source
from harken.acoustics.paths.moving import match_paths, retarded_lengths
from harken.acoustics.protocol import MovingPropagation, ResponseParts
from harken.checks import wrapped_angle
from harken.sim.sources import SoundSource
from harken.sim.trajectory import FASTEST
from harken.sound.convolution import AHEAD, StreamingConvolver
from harken.sound.delay_lines import DelayLines, add_gliding

__all__ = ["FadingStream", "HeardStream", "MovingStream", "stream_of"]

CROSSFADE = 0.05
"""Time over which the sound changes from one response to another where nothing leads from one to the other [s]."""

MOVING_BLOCK = 0.0625
"""Most time for which a moving source is taken to be at one place by an engine that only gives responses [s]."""

TAIL_BLOCK = 0.25
"""Most time in which the reverberation of a moving source fades from that of one place to that of another [s]."""

STRIDE = 0.25
"""Most that a source or a listener moves until its paths are found anew [m]; in between they go steadily."""

SWING = np.radians(5.0)
"""Most that a listener turns until directions are found anew [rad]: heads are measured that far apart. Halfway between
directions that are farther apart the filters of an ear in the shadow of the head can cancel."""

SPARE = 0.1
"""Share of a stride or swing that may be exceeded, so that a step of just that length is not cut in two."""

EMISSION_ROUNDS = 12
"""Times that the moment of emission is improved at most; each brings it nearer by the source's Mach number."""


class HeardStream(Protocol):
    """What is heard of one source as time passes."""

    def advance(self, propagation: Any, ears: Listener, samples: int, *, jumped: bool) -> np.ndarray:
        """Let time pass.

        Args:
            propagation: The engine, always one that gives the same; it is not kept, so that a stream can be pickled.
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
        return MovingStream(source)
    return FadingStream(source)


def _has_begun(source: SoundSource) -> bool:
    """Whether anything of a source was written yet; what is not live has begun."""
    return not source.live or bool(source.samples.any())


def _convolver(source: SoundSource, rate: int, block: int, time: int) -> StreamingConvolver:
    onset = round(source.onset * rate)
    return StreamingConvolver(
        source.samples,
        block,
        offset=source.offset,
        fade=round(CROSSFADE * rate),
        sounding=(onset, onset + source.duration * rate),
        start=time,
        ahead=1 if source.live else AHEAD,
    )


class FadingStream:
    """One response fades into the next.

    Args:
        source: The source.
    """

    def __init__(self, source: SoundSource):
        self._source = source
        self._convolver: StreamingConvolver | None = None
        self._response: tuple[tuple, np.ndarray] | None = None
        self._time = 0
        self._engine: Propagation | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine."""
        return {**vars(self), "_engine": None}

    def advance(self, propagation: Propagation, ears: Listener, samples: int, *, jumped: bool) -> np.ndarray:
        """Let time pass; see `HeardStream`."""
        rate, moves = propagation.rate, self._source.trajectory is not None
        block = _divided(samples, round(MOVING_BLOCK * rate)) if moves else samples
        if self._convolver is None:
            if not _has_begun(self._source):
                self._time += samples
                return np.zeros((ears.channels, samples), np.float32)
            self._convolver = _convolver(self._source, rate, block, self._time)
        out = np.empty((ears.channels, samples), np.float32)
        for start in range(0, samples, block):
            out[:, start : start + block] = self._convolver.advance(self._response_at(propagation, ears, start + block))
        self._time += samples
        return out

    def _response_at(self, propagation: Propagation, ears: Listener, ahead: int) -> np.ndarray:
        """Return the response some samples ahead; that of a source at rest is computed once per pose."""
        if self._source.trajectory is not None:
            moved = self._source.at((self._time + ahead) / propagation.rate)
            return propagation.impulse_response(moved, ears).samples
        pose = ears.position.tobytes(), ears.heading
        if self._engine is not propagation and self._engine is not None:
            self._response = None  # the world has changed
        self._engine = propagation
        if self._response is None or self._response[0] != pose:
            self._response = pose, propagation.impulse_response(self._source.at(0.0), ears).samples
        return self._response[1]


def _divided(samples: int, most: int) -> int:
    """Return the length of the fewest equal pieces of `samples` that are at most `most` long.

    If no reasonable number of equal pieces exists, the whole is one piece.
    """
    fewest = -(-samples // most)
    return next((samples // n for n in range(fewest, 8 * fewest + 1) if samples % n == 0), samples)


class _Moment:
    """Source and listener at a moment, and what the one hears of the other.

    Args:
        ears: The listener.
        source: Where the direct sound that arrives now comes from.
        velocity: ``(3,)`` velocity of the source there [m/s], None at rest.
        age: How long ago the source was there [s].
    """

    def __init__(self, ears: Listener, source: Source, velocity: np.ndarray | None = None, age: float = 0.0):
        self.ears, self.source, self.velocity, self.age = ears, source, velocity, age
        self._parts: ResponseParts | None = None
        self._lines: DelayLines | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the engine computes: it computes the same again."""
        return {**vars(self), "_parts": None, "_lines": None}

    @property
    def pose(self) -> tuple:
        """What distinguishes moments between which nothing moves."""
        source, ears = self.source, self.ears
        return source.position.tobytes(), source.heading, ears.position.tobytes(), ears.heading, ears.format

    def parts(self, propagation: MovingPropagation) -> ResponseParts:
        """Return the response in parts."""
        if self._parts is None:
            self._parts = propagation.parts(self.source, self.ears)
        return self._parts

    def lines(self, propagation: MovingPropagation) -> DelayLines:
        """Return the paths as delay lines."""
        if self._lines is None:
            parts, lengths = self.parts(propagation), None
            if self.velocity is not None:
                lengths = retarded_lengths(parts.paths, self.velocity, self.age, float(propagation.speed))
            self._lines = parts.lines(lengths)
        return self._lines


class MovingStream:
    """Paths glide, and the rest fades.

    Args:
        source: The source.
    """

    def __init__(self, source: SoundSource):
        self._source, self._standing = source, source.at(0.0)
        self._convolver: StreamingConvolver | None = None
        self._last: _Moment | None = None
        self._time = 0
        self._engine: MovingPropagation | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the engine."""
        return {**vars(self), "_engine": None}

    def advance(self, propagation: MovingPropagation, ears: Listener, samples: int, *, jumped: bool) -> np.ndarray:
        """Let time pass; see `HeardStream`."""
        if self._convolver is None and not _has_begun(self._source):
            self._time += samples
            return np.zeros((ears.channels, samples), np.float32)
        moves, begin = self._source.trajectory is not None, ears
        block = _divided(samples, round(TAIL_BLOCK * propagation.rate)) if moves else samples
        changed = self._engine is not None and self._engine is not propagation
        if changed and self._last is not None and self._engine is not None:
            self._last.parts(self._engine)  # what was heard so far, in the world as it was
        self._engine, jumped = propagation, jumped or changed
        if self._last is not None and not jumped and self._last.ears.format == ears.format:
            begin = self._last.ears
        out = np.empty((ears.channels, samples), np.float32)
        for start in range(0, samples, block):
            until = start + block
            there = ears if until == samples else _between(begin, ears, until / samples)
            out[:, start:until] = self._advance(
                propagation, there, block, jumped and start == 0, changed and start == 0
            )
        return out

    def _advance(
        self, propagation: MovingPropagation, ears: Listener, samples: int, jumped: bool, changed: bool
    ) -> np.ndarray:
        """Let the time of one block pass."""
        if self._convolver is None:
            self._convolver = _convolver(self._source, propagation.rate, samples, self._time)
        start, end = self._time / propagation.rate, (self._time + samples) / propagation.rate
        before = self._moment(propagation, ears, start) if self._last is None else self._last
        jumped = jumped and self._last is not None
        after = self._moment(propagation, ears, end)
        if after.pose == before.pose and after.velocity is None and not changed:
            after = before
        if after is before:
            response = after.parts(propagation).samples
            out = self._convolver.advance(response, before=response)
        elif jumped or self._leaps(before, after, start, end):
            old, new = (moment.parts(propagation).samples for moment in (before, after))
            out = self._convolver.advance(new, before=old)
        else:
            old, new = (moment.parts(propagation).tail for moment in (before, after))
            out = self._convolver.advance(new, before=old, gradually=True)
            self._glide(propagation, before, after, start, end, out)
        self._last, self._time = after, self._time + samples
        return out

    def _moment(self, propagation: MovingPropagation, ears: Listener, time: float) -> _Moment:
        """Return what is heard at a time [s]."""
        way = self._source.trajectory
        if way is None:
            return _Moment(ears, self._standing)
        age = 0.0
        for _ in range(EMISSION_ROUNDS):
            last = age
            age = math.dist(way.position(time - age), ears.position) / float(propagation.speed)
            if abs(age - last) < 1e-9:
                break
        velocity = way.velocity(time - age)
        return _Moment(ears, self._source.at(time - age), velocity if velocity.any() else None, age)

    def _leaps(self, before: _Moment, after: _Moment, start: float, end: float) -> bool:
        """Whether source or listener change place too fast to have moved there, or the listener hears otherwise."""
        walked, moved = _apart(after.ears, before.ears), _apart(after.source, before.source)
        if after.ears.format != before.ears.format or walked > FASTEST * (end - start):
            return True
        return moved > self._travelled(before, after, start, end) + 1e-6

    def _travelled(self, before: _Moment, after: _Moment, start: float, end: float) -> float:
        """Return how far the source has moved between two moments [m]."""
        way = self._source.trajectory
        return 0.0 if way is None else way.distance(end - after.age) - way.distance(start - before.age)

    def _glide(
        self, propagation: MovingPropagation, before: _Moment, after: _Moment, start: float, end: float,
        out: np.ndarray,
    ) -> None:  # fmt: skip
        """Add the paths to `out`, from moment to moment between two times [s]."""
        assert self._convolver is not None
        walked, samples = _apart(after.ears, before.ears), out.shape[1]
        travelled = self._travelled(before, after, start, end)
        turned = wrapped_angle(after.ears.heading - before.ears.heading)
        count = math.ceil(max(walked / STRIDE, travelled / STRIDE, abs(turned) / SWING) - SPARE)
        count = min(max(count, 1), samples)
        in_place = walked == 0.0 and travelled == 0.0 and after.velocity is None
        paths, lines, begun = before.parts(propagation).paths, before.lines(propagation), 0
        for i in range(1, count + 1):
            share, until = i / count, samples * i // count
            if in_place and i < count:
                parts = after.parts(propagation)
                later_paths, later = parts.paths, parts.lines(heading=before.ears.heading + turned * share)
            else:
                moment = after
                if i < count:
                    ears = _between(before.ears, after.ears, share)
                    moment = self._moment(propagation, ears, start + (end - start) * share)
                later_paths, later = moment.parts(propagation).paths, moment.lines(propagation)
            pairs = match_paths(paths, later_paths, (walked + travelled) / count)
            stream, now = self._convolver.stream, self._time + begun
            add_gliding(stream, now, lines, later, pairs, out, first=begun, block=until - begun)
            paths, lines, begun = later_paths, later, until


def _apart(one: Listener | Source, other: Listener | Source) -> float:
    """Return the distance between two places [m]."""
    return math.dist(one.position.tolist(), other.position.tolist())  # several times faster than with arrays


def _between(one: Listener, other: Listener, share: float) -> Listener:
    """Return a listener on the way from one pose to another."""
    return Listener(
        position=one.position + share * (other.position - one.position),
        heading=one.heading + share * wrapped_angle(other.heading - one.heading),
        pitch=one.pitch + share * (other.pitch - one.pitch),
        format=other.format,
    )
