"""How many echoes a second, alone and with image and depth, at both published rates, on one core.

    python benchmarks/echoes.py [--quick]

One pair is one place in a home that was not heard before: the echo of the sweep (60 ms, binaural) and a 128 × 128 view
of colour and depth; "stored" is the recipe "echo-depth" with semantic and material map and the encoding into FLAC, PNG
and JSON. Processor time of the process, which other processes on the machine disturb less than the clock. What belongs
to a home (walls, light, floor) is made before and printed as "start". The peer is SoundSpaces 2.0's engine, where it is
installed, in its setting for navigation: source and listener at one place, one impulse response.

The noise of what is traced is the relative standard deviation, over seeds, of the energy in 1 ms at 1 kHz.
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from harken.acoustics import Listener, Source
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings
from harken.errors import HarkenError, HarkenWarning
from harken.render.encoding import encode_sample
from harken.render.recipes.echo_depth import EchoDepthRecipe, EchoDepthRenderSettings
from harken.scene import generate_home
from harken.sim import World
from harken.vision import Camera

WANTED = {16_000: 100.0, 44_100: 40.0}


def places(world: World, count: int) -> list[np.ndarray]:
    """Return places of heads."""
    rng, positions = np.random.default_rng(0), []
    while len(positions) < count:
        place = world.floor.random_point(rng) + [0.0, world.settings.ear_height, 0.0]
        if not world.scene.is_inside_solid(place):
            positions.append(place)
    return positions


def per_call(work: Callable[[np.ndarray], object], where: Sequence[np.ndarray]) -> float:
    """Return milliseconds of processor time per call; the first place warms up."""
    work(where[0])
    before = time.process_time()
    for place in where[1:]:
        work(place)
    return 1e3 * (time.process_time() - before) / (len(where) - 1)


def stored_time(settings: EchoSettings, count: int) -> float:
    """Return milliseconds of processor time per sample of the recipe, made and encoded."""
    recipe = EchoDepthRecipe(settings=EchoDepthRenderSettings(echo=settings, samples_per_home=1_000))
    encode_sample(recipe.sample(0), number=0, split="train")
    begun = time.process_time()
    for number in range(1, count):
        encode_sample(recipe.sample(number), number=number, split="train")
    return 1e3 * (time.process_time() - begun) / (count - 1)


def noise(world: World, settings: EchoSettings, where: Sequence[np.ndarray], seeds: int) -> float:
    """Return the mean relative standard deviation of the energy in a millisecond, of those that hold most of it."""
    deviations = []
    for place in where:
        runs = np.stack(
            [
                EchoPropagation(scene=world.scene, settings=replace(settings, seed=s)).energy(place).energy[:, 3, 0]
                for s in range(seeds)
            ]
        )
        width = round(1e-3 / settings.bin_width)
        energy = runs[:, : runs.shape[1] // width * width].reshape(seeds, -1, width).sum(2)
        mean = energy.mean(0)
        loud = mean > 0.1 * mean.max()
        deviations.append(float((energy.std(0, ddof=1)[loud] / mean[loud]).mean()))
    return float(np.mean(deviations))


def peer(world: World, where: Sequence[np.ndarray], rate: int) -> float | None:
    """Return milliseconds per response of SoundSpaces 2.0's engine, None where it is not installed."""
    if importlib.util.find_spec("rlr_audio_propagation") is None:
        return None
    from harken.acoustics.engines import SoundSpaces2Propagation, SoundSpaces2Settings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)  # of the engine's licence
        engine = SoundSpaces2Propagation(world.scene, SoundSpaces2Settings.navigation(rate=rate))
        return per_call(lambda p: engine.impulse_response(Source(position=p), Listener(position=p)), where)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run that only shows that it works")
    quick = parser.parse_args().quick
    before = time.process_time()
    world, camera = World(scene=generate_home(0, split="train")), Camera()
    where = places(world, 11 if quick else 101)
    world.renderer.observe(camera, where[0], 0.0, channels=("rgb", "depth"))
    print(f"start {time.process_time() - before:.1f} s: a home of {len(world.scene.faces):,} triangles\n")
    print(f"{'[ms]':<10}{'echo':>8}{'view':>8}{'pair':>8}{'pairs/s':>10}{'stored/s':>10}{'noise':>8}")
    view = per_call(lambda p: world.renderer.observe(camera, p, 0.3, channels=("rgb", "depth")), where)
    for rate, target in WANTED.items():
        settings = EchoSettings(rate=rate)
        echoes = EchoPropagation(scene=world.scene, settings=settings)
        echo = per_call(lambda p, echoes=echoes: echoes.echo(Listener(position=p, heading=0.3)), where)
        stored = 1e3 / stored_time(settings, len(where))
        spread = noise(world, settings, where[:2] if quick else where[:8], 4 if quick else 12)
        pairs = 1e3 / (echo + view)
        print(
            f"{rate:<10}{echo:>8.2f}{view:>8.2f}{echo + view:>8.2f}{pairs:>10.0f}{stored:>10.0f}{spread:>8.0%}   "
            f"{'' if pairs >= target else f'below {target:g} pairs/s'}"
        )
    for rate in WANTED:  # last, because its threads go on taking processor time after it has answered
        try:
            duration = peer(world, where[:6], rate)
        except HarkenError as error:
            print(f"SoundSpaces 2.0's engine, {rate} Hz: {error}")
            continue
        print(
            f"SoundSpaces 2.0's engine, {rate} Hz: "
            + (
                "not installed (pip install harken[soundspaces])"
                if duration is None
                else f"{duration:.1f} ms per response"
            )
        )


if __name__ == "__main__":
    main()
