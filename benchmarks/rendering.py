"""Samples per second of rendered data sets, with one worker and two, and what of that the renderer itself costs.

The recipe "clips" costs next to nothing to make, so that its rate is that of the renderer; with a recipe that works for
some milliseconds a second worker has something to do.
"""

import argparse
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from harken.render import Audio, Recipe, make_recipe, read_samples, render, sample_generator, verify
from harken.render.encoding import encode_sample

SHARD = 50


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """There is nothing to set."""


@dataclass(frozen=True, kw_only=True)
class Working:
    """One second of filtered noise with an image and its depth: some 10 ms of work, as a simulated sample has."""

    name: ClassVar[str] = "working"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "Free."
    settings: NoSettings = field(default_factory=NoSettings)
    split: str = "train"
    seed: int = 0

    def sample(self, number: int) -> dict[str, Any]:
        """Make a sample."""
        random = sample_generator(self, number)
        spectrum = np.fft.rfft(random.normal(size=(40, 16000)))
        sound = np.fft.irfft(spectrum * np.linspace(1, 0, spectrum.shape[1])).mean(axis=0).astype(np.float32)
        ramp = np.linspace(0, 255, 128)[:, None, None] * np.ones((1, 128, 3))
        return {
            "flac": Audio(samples=np.stack([sound, sound]), rate=16000),
            "png": (ramp + random.integers(0, 4, ramp.shape)).clip(0, 255).astype(np.uint8),
            "depth.npy": random.uniform(1, 5, (128, 128, 1)).astype(np.float32),
        }


def seconds_of(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def cost_of_making(recipe: Recipe, samples: int) -> tuple[float, float]:
    """Return how long a sample takes to make, and to make and encode, without a folder [s]."""
    for number in range(samples):  # what is made once, such as clips, has been made by then
        recipe.sample(number)
    making = seconds_of(lambda: [recipe.sample(number) for number in range(samples)])
    both = seconds_of(
        lambda: [encode_sample(recipe.sample(number), number=number, split="train") for number in range(samples)]
    )
    return making / samples, both / samples


def shard_rate(folder: Path, recipe: Recipe, samples: int, workers: int) -> float:
    """Return samples per second between the first finished shards and the last, start of the processes left out."""
    render(recipe, folder, samples=samples, samples_per_shard=SHARD, workers=workers, progress=False)
    times = sorted(path.stat().st_mtime for path in folder.glob("*.tar"))
    return (len(times) - workers) * SHARD / (times[-1] - times[workers - 1])


def main(samples: int) -> None:
    """Print the table.

    Args:
        samples: Number of samples of each data set.
    """
    samples = max(samples // SHARD, 6) * SHARD
    print(f"{'recipe':10s}{'made':>10s}{'+ encoded':>10s}{'1 worker':>14s}{'2 workers':>14s}{'ratio':>8s}{'read':>12s}")
    for recipe in (make_recipe("clips"), Working()):
        folder = Path(tempfile.mkdtemp(prefix="harken-rendering-"))
        try:
            making, encoded = cost_of_making(recipe, min(samples, 200))
            single = shard_rate(folder / "one", recipe, samples, 1)
            two = shard_rate(folder / "two", recipe, samples, 2)
            read = samples / seconds_of(lambda folder=folder: list(map(len, read_samples(folder / "one"))))
            assert verify(folder / "two").passed
            names = [path.name for path in (folder / "one").iterdir()]
            same = all((folder / "one" / n).read_bytes() == (folder / "two" / n).read_bytes() for n in names)
            print(
                f"{recipe.name:10s}{making * 1e3:7.2f} ms{encoded * 1e3:7.2f} ms{single:10,.0f} /s {two:10,.0f} /s "
                f"{two / single:8.2f}{read:8,.0f} /s {'' if same else '  BYTES DIFFER'}"
            )
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2000, help="samples of each data set")
    parser.add_argument("--quick", action="store_true", help="a smoke run")
    arguments = parser.parse_args()
    main(300 if arguments.quick else arguments.samples)
