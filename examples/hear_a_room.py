"""Hear a telephone from three places in a generated home. Writes heard_1.wav to heard_3.wav, for headphones."""

import sys
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile

from harken import Simulator, generate_home
from harken.acoustics import Source
from harken.sound import ClipLibrary


def main(folder: str = ".") -> None:
    sim = Simulator(generate_home(1, split="test"))
    rng = np.random.default_rng(1)
    telephone = Source(position=sim.ground.random_point(rng) + [0.0, 1.0, 0.0])
    clip = ClipLibrary.builtin(sim.rate).clip("telephone")
    for number in (1, 2, 3):
        sim.place(sim.ground.random_point(rng), heading=0.0)
        response = sim.impulse_response(telephone)
        heard = scipy.signal.oaconvolve(clip.samples[None], response.samples, axes=1)
        path = Path(folder) / f"heard_{number}.wav"
        soundfile.write(path, heard.T, response.rate, subtype="FLOAT")
        first = min(response.paths, key=lambda way: way.length)
        print(f"{path}: the first sound is {first.kind}, after {first.length:.1f} m")


if __name__ == "__main__":
    main(*sys.argv[1:])
