"""What sounds in scenes for spatial sound: which clips, when, and the colour of each category."""

import colorsys
from functools import lru_cache
from typing import Literal

import numpy as np

from harken.sound import ClipLibrary
from harken.sound.synthesis.speech_and_music import KINDS

__all__ = ["Kind", "category_color", "clips_by_category", "clips_of", "draw_events", "event_gain"]

Kind = Literal["furniture", "ball"]
"""What is seen of something that sounds."""

_FADE = 0.01


def draw_events(
    duration: float, event: tuple[float, float], pause: tuple[float, float], random: np.random.Generator
) -> tuple[tuple[float, float], ...]:
    """Draw events and pauses in turn, in whole milliseconds; the first pause may be cut, so that one begins early.

    Args:
        duration: Length of the clip [s].
        event: Least and greatest length of an event [s].
        pause: Least and greatest pause [s].
        random: Generator of every random draw.

    Returns:
        Onset and length of each event [s].
    """
    time = float(random.uniform(0.0, min(pause[1], 0.5 * duration)))
    events: list[tuple[float, float]] = []
    while time < duration - 0.05:
        length = min(float(random.uniform(*event)), duration - time)
        events.append((round(time, 3), round(length, 3)))
        time += length + float(random.uniform(*pause)) + 2 * _FADE
    return tuple(events)


def event_gain(events: tuple[tuple[float, float], ...], count: int, rate: int) -> np.ndarray:
    """Return a gain ``(count,)`` float32 that is 1 during events, with ramps of 10 ms within them.

    Args:
        events: Onset and length of each [s].
        count: Number of samples.
        rate: Sample rate [Hz].
    """
    gate, ramp = np.zeros(count, np.float32), round(_FADE * rate)
    for onset, length in events:
        first, last = round(onset * rate), min(round((onset + length) * rate), count)
        inside = np.arange(first, last)
        edge = np.minimum(inside - first + 1, last - inside) / (ramp + 1)
        gate[first:last] = np.minimum(edge, 1.0)
    return gate


def category_color(category: str, categories: tuple[str, ...]) -> tuple[int, int, int]:
    """Return a strong colour that belongs to a category alone: hues are spread evenly, neighbours differ in value."""
    place = categories.index(category)
    values = colorsys.hsv_to_rgb(place / len(categories), 0.85, (1.0, 0.6, 0.8)[place % 3])
    red, green, blue = (round(255 * value) for value in values)
    return red, green, blue


@lru_cache(maxsize=16)
def clips_by_category(folder: str | None, rate: int, kind: Kind, split: str) -> dict[str, tuple[str, ...]]:
    """Return the names of clips for a kind of object and a split, by category; "" has those of all."""
    library = clips_of(folder, rate, kind)
    names = tuple(library) if library.splits == ("all",) else library.names(split)
    by_category: dict[str, list[str]] = {}
    for name in names:
        by_category.setdefault(library.entry(name).category, []).append(name)
    return {category: tuple(clips) for category, clips in by_category.items()} | {"": names}


@lru_cache(maxsize=4)
def clips_of(folder: str | None, rate: int, kind: Kind) -> ClipLibrary:
    """Return the clips of a kind of object."""
    if folder is not None:
        return ClipLibrary.folder(folder, rate)
    if kind == "furniture":
        return ClipLibrary.builtin(rate)
    library = ClipLibrary.speech_and_music(rate)
    loud = (*KINDS["voice"], *KINDS["instrument"])
    return ClipLibrary([library.entry(name) for name in library if library.entry(name).category in loud], rate)
