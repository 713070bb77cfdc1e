"""How much of a way was needed: what the measures of navigation are made of."""

__all__ = ["efficiency", "progress"]


def efficiency(shortest: float, walked: float) -> float:
    """Return l/max(p, l), 1 where both are 0: with no distance to go, staying is the shortest path.

    Args:
        shortest: Length of the shortest path l [m].
        walked: Length of the path that was walked p [m].
    """
    return 1.0 if walked <= shortest else shortest / walked


def progress(start: float, now: float) -> float:
    """Return the relative fall of a distance, 0 where it rose, 1 where it was 0 and still is.

    Args:
        start: Distance at the start [m].
        now: Distance now [m].
    """
    if start <= 0.0:
        return 1.0 if now <= 0.0 else 0.0
    return max(0.0, 1.0 - now / start)
