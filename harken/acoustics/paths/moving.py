"""Paths that move: which paths of two moments are the same, and how far sound from a moving source has come."""

import numpy as np

from harken.acoustics.protocol import PATH_KINDS, SoundPaths
from harken.raytracing import kernel

__all__ = ["match_paths", "retarded_lengths"]

SPECULAR = PATH_KINDS.index("specular")

ALIKE = np.cos(np.radians(30.0))
"""Cosine of the angle between the directions of two paths above which they cannot be the same one a moment later."""

ROUNDING = 1e-3
"""Difference of length that is allowed besides what source and listener have moved [m]."""


def match_paths(before: SoundPaths, after: SoundPaths, reach: float) -> np.ndarray:
    """Return which paths are the same, a moment later.

    Paths over the same facets or edges are. Of the others a path that comes straight or around edges may go on as one
    of these, and a reflection as a reflection: the one whose length is nearest, if the lengths do not differ by more
    than source and listener have moved, and the directions are alike.

    Args:
        before: The paths at one moment.
        after: The paths at another.
        reach: How far source and listener have moved in between, together [m].

    Returns:
        ``(m, 2)`` int64 numbers of each path before and after, -1 where there is none: every path occurs once.
    """
    pairs = np.empty((len(before) + len(after), 2), np.int64)
    ends = ((p.kind, p.length, p.direction, p.identity) for p in (before, after))
    return pairs[: _match(*ends, reach + ROUNDING, pairs)]


@kernel
def _match(before, after, reach, pairs):
    kinds, lengths, directions, identities = before
    later_kinds, later_lengths, later_directions, later_identities = after
    of_later = np.full(len(later_lengths), -1, np.int64)
    count = len(lengths)
    for a in range(count):
        pairs[a, 0], pairs[a, 1] = a, -1
        for b in range(len(later_lengths)):
            if of_later[b] < 0 and identities[a] != 0 and identities[a] == later_identities[b]:
                pairs[a, 1], of_later[b] = b, a
                break
    for a in range(count):
        if pairs[a, 1] >= 0:
            continue
        nearest = reach
        for b in range(len(later_lengths)):
            if of_later[b] >= 0 or (kinds[a] == SPECULAR) != (later_kinds[b] == SPECULAR):
                continue
            along = (directions[a] * later_directions[b]).sum()
            difference = abs(lengths[a] - later_lengths[b])
            if difference <= nearest and along >= ALIKE:
                nearest, pairs[a, 1] = difference, b
        if pairs[a, 1] >= 0:
            of_later[pairs[a, 1]] = a
    for b in range(len(later_lengths)):
        if of_later[b] < 0:
            pairs[count, 0], pairs[count, 1] = -1, b
            count += 1
    return count


def retarded_lengths(paths: SoundPaths, velocity: np.ndarray, age: float, speed: float) -> np.ndarray:
    """Return how long the ways were of what arrives now from a source that moves.

    What arrives along a path of the length L left the source L/c ago, longer ago the longer the path. `paths` begin
    where the source was `age` ago; with its velocity v and the direction u in which a path leaves, a path that began at
    another time is longer by −v·u for every second later, so that L = L₀ − v·u (age − L/c).

    Args:
        paths: The paths from where the source was.
        velocity: ``(3,)`` velocity of the source then, below that of sound [m/s].
        age: How long ago that was [s].
        speed: Speed of sound [m/s].

    Returns:
        ``(n,)`` lengths [m].
    """
    towards = paths.departure @ velocity
    return np.maximum((paths.length - age * towards) / (1.0 - towards / speed), 0.0)
