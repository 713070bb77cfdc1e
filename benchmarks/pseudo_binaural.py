"""How much faster than real time the recipe "pseudo-binaural" makes 10 s of sound and an image, on one core.

    python benchmarks/pseudo_binaural.py [--quick]

"Made" is the recipe alone; "stored" adds the encoding into FLAC, PNG and JSON. Processor time of the process, which
other processes on the machine disturb less than the clock; the wall clock's ratio stands beside it. Pictures and clips
of the built-in library are made when they are first needed and counted under "start". The table of angles shows how
far each decoder's interaural delay and level difference lie from those of the head itself.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.hearing.pseudo_binaural import VirtualLoudspeakers, direct_filters, direction_of, unconverted_head
from harken.render.encoding import encode_sample
from harken.render.recipes.pseudo_binaural import PseudoBinauralRecipe, PseudoBinauralSettings

WANTED = 200.0


def ratio(work: Callable[[int], object], samples: int, duration: float) -> tuple[float, float]:
    """Return seconds of sound per second of processor time and of the clock."""
    clock, processor = time.perf_counter(), time.process_time()
    for number in range(samples):
        work(number)
    spent = time.process_time() - processor, time.perf_counter() - clock
    return samples * duration / spent[0], samples * duration / spent[1]


def speed(samples: int) -> None:
    """Print the ratios to real time."""
    base = PseudoBinauralRecipe()
    start = time.process_time()
    base.sample(0)
    print(f"start {time.process_time() - start:.1f} s of processor time, once per process\n")
    print(f"{'':<34}{'made':>8}{'stored':>9}{'made, clock':>14}   (times real time)")
    for title, changes in (
        ("published, 16 kHz", {}),
        ("three sources", {"sources": (0.0, 0.0, 1.0)}),
        ("direct", {"rendering": "direct"}),
        ("order 3", {"order": 3}),
        ("projection, unconverted", {"decoder": "projection", "hrir_rate": "unconverted"}),
        ("44.1 kHz", {"rate": 44100}),
    ):
        recipe = replace(base, settings=replace(base.settings, **changes))
        for number in range(samples):  # clips and filters that the first samples need
            recipe.sample(number)
        duration = recipe.settings.duration
        speed, clock = ratio(recipe.sample, samples, duration)
        stored, _ = ratio(
            lambda number, recipe=recipe: encode_sample(recipe.sample(number), number=number, split="train"),
            samples,
            duration,
        )
        print(
            f"{title:<34}{speed:>8.0f}{stored:>9.0f}{clock:>14.0f}   {'' if stored >= WANTED else f'below {WANTED:g}'}"
        )


def cues() -> None:
    """Print delays at 500 Hz and level differences from 1.5 to 6 kHz for some azimuths."""
    rate, azimuths = 16000, (15, 30, 45, 60)
    head, sources = HeadResponse.kemar(rate), direction_of(np.radians(azimuths))
    stretched = unconverted_head(HeadResponse.kemar(44100), rate)
    rows = {"the head itself": direct_filters(head, sources)}
    for order in (1, 3):
        rows[f"least squares, order {order}"] = VirtualLoudspeakers(head=head, order=order).filters(sources)
    projection = VirtualLoudspeakers(head=head, decoder="projection")
    rows["projection, order 1"] = projection.filters(sources)
    released = VirtualLoudspeakers(head=stretched, decoder="projection", swap_rear=True)
    rows["as released (unconverted, swapped)"] = released.filters(sources)
    head_line = "".join(f"{azimuth:>7}°" for azimuth in azimuths)
    print(f"\n{'':<34}{'delay at 500 Hz [µs]':^32}  {'level 1.5–6 kHz [dB]':^32}\n{'':<34}{head_line}  {head_line}")
    for title, filters in rows.items():
        left, right = np.moveaxis(np.fft.rfft(filters, rate), 1, 0)
        delays = np.angle(left[:, 500] * right[:, 500].conj()) / (2 * np.pi * 500) * 1e6
        band = slice(1500, 6000)
        levels = 10 * np.log10((np.abs(left[:, band]) ** 2).sum(1) / (np.abs(right[:, band]) ** 2).sum(1))
        print(f"{title:<34}" + "".join(f"{d:>8.0f}" for d in delays) + "  " + "".join(f"{v:>8.1f}" for v in levels))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    quick = parser.parse_args().quick
    print(f"samples of {PseudoBinauralSettings().duration:g} s, image 640 × 360")
    speed(8 if quick else 100)
    cues()


if __name__ == "__main__":
    main()
