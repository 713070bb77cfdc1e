"""Recipes for the tests, in a module of their own so that other processes can import them."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harken.render import Audio, Depth, sample_generator


@dataclass(frozen=True, kw_only=True)
class ScenesSettings:
    size: int = 24
    """Height and width of the images."""
    angles: tuple[float, ...] = (0.0, 1.5)
    """Something that JSON has no type for."""


@dataclass(frozen=True, kw_only=True)
class Scenes:
    """A bright square in noise, with a sound, its depth and a matrix product."""

    name: ClassVar[str] = "scenes"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "Free."

    settings: ScenesSettings = field(default_factory=ScenesSettings)
    split: str = "train"
    seed: int = 0

    def sample(self, number: int) -> dict[str, Any]:
        random, size = sample_generator(self, number), self.settings.size
        image = random.integers(0, 60, (size, size, 3), dtype=np.uint8)
        row, column = (int(place) for place in random.integers(0, size // 2, 2))
        image[row : row + 6, column : column + 6] = (255, 200, 0)
        depth = random.uniform(0.5, 9.0, (size, size, 1)).astype(np.float32)
        sound = random.normal(0, 3.0, (2, 800)).astype(np.float32)
        # Large enough that linear algebra would share it out among threads.
        factors = random.normal(size=(2, 300, 300))
        return {
            "rgb.png": image,
            "depth.npy": depth,
            "depth.npy.gz": Depth(metres=depth),
            "flac": Audio(samples=sound, rate=8000),
            "echo.wav": Audio(samples=sound[:1] * 100, rate=8000),
            "json": {
                "place": [row, column],
                "loudness": float(np.dot(factors[0].ravel(), factors[1].ravel())),
                "product": float((factors[0] @ factors[1])[7, 3]),
                "room": {"kind": "kitchen" if number % 2 else None, "area": 12},
            },
        }


@dataclass(frozen=True, kw_only=True)
class Slow(Scenes):
    """Scenes that take their time, from one on."""

    seconds: float = 0.05
    since: int = 0

    def sample(self, number: int) -> dict[str, Any]:
        time.sleep(self.seconds if number >= self.since else 0.0)
        return super().sample(number)


@dataclass(frozen=True, kw_only=True)
class Deadly(Scenes):
    """Scenes of which one kills its process, as often as the folder has fewer files than `deaths`."""

    marks: Path
    deaths: int = 1
    at: int = 7

    def sample(self, number: int) -> dict[str, Any]:
        if number == self.at and len(list(self.marks.iterdir())) < self.deaths:
            (self.marks / str(os.getpid())).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().sample(number)


@dataclass(frozen=True, kw_only=True)
class Failing(Scenes):
    """Scenes of which two cannot be made; the first shows so later than the second where both are made at once."""

    def sample(self, number: int) -> dict[str, Any]:
        time.sleep(0.5 if number == 5 else 0.0)
        if number == 13:
            raise ZeroDivisionError("the thirteenth has no size")
        sample = super().sample(number)
        return (
            {**sample, "flac": Audio(samples=np.full((1, 9), np.nan, np.float32), rate=8000)} if number == 5 else sample
        )


@dataclass(frozen=True, kw_only=True)
class Blocks(Scenes):
    """A megabyte of noise each."""

    def sample(self, number: int) -> dict[str, Any]:
        return {"npy": sample_generator(self, number).integers(0, 255, 1_000_000, np.uint8)}


@dataclass(frozen=True, kw_only=True)
class Objects(Scenes):
    """Metadata whose types show late, and arrays whose types differ."""

    varying: bool = False

    def sample(self, number: int) -> dict[str, Any]:
        late = number > 9
        thing = {"color": [1, 2, 3] if late else None, "gain": 0.5 if late else 1, "events": []}
        array = np.zeros(3, np.float32 if number % 2 and self.varying else np.uint8)
        return {"npy": array, "json": {"objects": [thing] * (number % 3)}}


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
