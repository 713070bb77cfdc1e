"""How much faster than real time the recipes "binaural-video" and "localization" make clips of 10 s, on one core.

    python benchmarks/video.py [--quick] [--sheet FOLDER]

Images of 224 × 448 at 10 a second. Processor time of the process, which other processes on the machine disturb less
than the clock. "Home" is what a new home costs once: its plan, floor, light and facets; a hundred clips in a row share
it by default. "Place" draws camera and objects, "see" makes images and masks, "hear" the sound, "store" encodes all
parts. --sheet draws the first clips of each recipe with the levels of both ears over time.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harken.render.card import contact_sheet
from harken.render.encoding import decode_sample, encode_sample
from harken.render.recipes.binaural_video import BinauralVideoRecipe, BinauralVideoSettings
from harken.render.recipes.footage import film, record
from harken.render.recipes.localization import LocalizationRecipe, LocalizationSettings
from harken.render.scenes import SceneSettings, sample_scene

WANTED = 10.0


class Stopwatch:
    """Processor time by name."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Do some work and add its time to a name."""
        start = time.process_time()
        result = work()
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - start
        return result


def measure(title: str, settings: SceneSettings, clips: int) -> None:
    """Print a line: times real time, and where the time goes."""
    watch, recipe = Stopwatch(), BinauralVideoRecipe(settings=BinauralVideoSettings(scenes=settings))
    first = watch.run("start", lambda: recipe.sample(0))
    encode_sample(first, number=0, split="train")
    for number in range(1, clips + 1):
        scene = watch.run("place", lambda number=number: sample_scene(settings, "train", 0, number))
        watch.run("see", lambda scene=scene: film(scene))
        watch.run("hear", lambda scene=scene: record(scene))
        parts = recipe.sample(number)
        watch.run("store", lambda parts=parts, number=number: encode_sample(parts, number=number, split="train"))
    seconds = clips * settings.duration
    spent = {name: watch.spent[name] / clips for name in ("place", "see", "hear", "store")}
    rate = seconds / sum(watch.spent[name] for name in ("place", "see", "hear"))
    stored = seconds / sum(watch.spent[name] for name in ("place", "see", "hear", "store"))
    parts_of_it = "  ".join(f"{name} {1e3 * each:.0f} ms" for name, each in spent.items())
    print(
        f"{title:<34}{rate:>7.1f}{stored:>8.1f}   {parts_of_it}  home {watch.spent['start']:.1f} s"
        f"{'' if rate >= WANTED else f'  below {WANTED:g}'}"
    )


def speed(clips: int, quick: bool) -> None:
    """Print the table."""
    base = SceneSettings(sources=(0.0, 1.0), moving=1.0, furniture=0.0, duration=2.0 if quick else 10.0)
    print(f"{'clips of ' + format(base.duration, 'g') + ' s':<34}{'made':>7}{'stored':>8}   (times real time)")
    measure("two moving sources", base, clips)
    measure("two sources at rest", replace(base, moving=0.0), clips)
    if not quick:
        measure("one to four, half of them moving", SceneSettings(), clips)
        measure("360°, two moving sources", replace(base, view="panorama"), clips)


def sheets(folder: Path) -> None:
    """Draw the first clips of both recipes, and the spectrograms of both ears."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for recipe in (
        BinauralVideoRecipe(),
        LocalizationRecipe(),
        BinauralVideoRecipe(settings=BinauralVideoSettings(scenes=SceneSettings(view="panorama"))),
        LocalizationRecipe(
            settings=LocalizationSettings(scenes=SceneSettings(activity="events", width=224, height=112))
        ),
    ):
        shown = []
        for number in range(4):
            encoded = encode_sample(recipe.sample(number), number=number, split="train")
            shown.append({"__key__": f"{recipe.name} {number}", **decode_sample(encoded)})
        name = f"{recipe.name}-{recipe.settings.scenes.view}-{recipe.settings.scenes.width}.png"
        Image.fromarray(contact_sheet(shown)).save(folder / name)
        for sample in shown:
            sides(sample)


def sides(sample: dict[str, Any]) -> None:
    """Print on which side a clip's objects are seen, and how much louder the left is."""
    sound = sample.get("binaural.flac", sample.get("ambisonics.flac"))
    azimuths = [f"{np.degrees(directions[0, 0]):+.0f}°" for directions in sample["directions.npy"]]
    if len(sound) == 2:
        level = 10 * np.log10(np.square(sound[0]).sum() / np.square(sound[1]).sum())
        print(f"{sample['__key__']}: azimuths {', '.join(azimuths)}; left louder by {level:+.1f} dB")
    else:
        vector = sound[0] @ sound[[3, 1, 2]].T
        towards = np.degrees(np.arctan2(vector[1], vector[0]))
        print(f"{sample['__key__']}: azimuths {', '.join(azimuths)}; intensity {towards:+.0f}°")


def main() -> None:
    """Print the table and draw the sheets."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    parser.add_argument("--sheet", type=Path, help="folder for contact sheets")
    options = parser.parse_args()
    speed(2 if options.quick else 30, options.quick)
    if options.sheet is not None:
        sheets(options.sheet)


if __name__ == "__main__":
    main()
