"""Plot how the two ears differ over azimuth for the built-in head.

python docs/plots/interaural_cues.py docs/images/interaural_cues.png
"""

import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from harken.acoustics.hearing.hrtf import HeadResponse
from harken.acoustics.measures import band_energies, interaural_time_difference

RATE, RADIUS, SPEED = 44100, 0.0875, 343.2


def ears(head: HeadResponse, azimuth: float, size: int = 1024) -> np.ndarray:
    """Impulse responses of both ears, 4 ms late so that nothing comes before the start."""
    filters, delays = head.lookup(np.array([-np.sin(azimuth), 0.0, -np.cos(azimuth)]))
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size, 1.0 / head.rate) * (delays[:, None] + 0.004))
    return np.fft.irfft(np.fft.rfft(filters, size) * turn, size)


def main(target: str) -> None:
    head = HeadResponse.kemar(RATE)
    azimuths = np.radians(np.arange(-180.0, 180.1, 2.5))
    responses = [ears(head, azimuth) for azimuth in azimuths]
    figure, (time, level) = plt.subplots(2, 1, figsize=(8, 7), sharex=True, layout="constrained")
    for band, name in (((100.0, 1500.0), "below 1.5 kHz"), ((1500.0, 6000.0), "1.5–6 kHz")):
        difference = [interaural_time_difference(response, RATE, band=band) for response in responses]
        time.plot(np.degrees(azimuths), 1e6 * np.array(difference), label=f"KEMAR, {name}")
    lateral = np.arcsin(np.sin(azimuths))
    for angle, name in ((3.0 * np.sin(lateral), "low, Kuhn"), (lateral + np.sin(lateral), "high, Woodworth")):
        time.plot(np.degrees(azimuths), 1e6 * RADIUS / SPEED * angle, "--", lw=1, label=f"sphere of 8.75 cm, {name}")
    time.set(ylabel="interaural time difference [µs]")
    bands = (500.0, 1000.0, 2000.0, 4000.0, 8000.0)
    energies = np.array([band_energies(response, RATE, bands).sum(-1) for response in responses])
    for b, band in enumerate(bands):
        level.plot(np.degrees(azimuths), 10.0 * np.log10(energies[:, b, 0] / energies[:, b, 1]), label=f"{band:g} Hz")
    level.set(xlabel="azimuth [°], positive to the left", ylabel="interaural level difference [dB]")
    for axes in (time, level):
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    level.set_xticks(np.arange(-180, 181, 45))
    figure.savefig(target, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
