"""How loud a robot is: its fans, its motors, and its steps or wheels on the floor.

The model adds three independent noises at 1 m in the free field:

- The computer's fans, always the same.
- Motors and gears, whose level rises by `RobotNoise.motor_growth` for a tenfold speed. 20 dB, pressure in proportion to
  speed, is a common rule for gears; it is an estimate for robots.
- Steps or wheels on the floor, `RobotNoise.floor_growth` for a tenfold speed. 30 dB: the pressure of one impact is
  proportional to its speed (20 dB), and so is the number of impacts in a second (10 dB).

Published figures give the order of the levels, not each of them: loud robot vacuums reach 70 dB, and wheeled and legged
robots lie apart in how quiet they can be (Jain, Veerapaneni, Bisk: ANAVI, CoRL 2024, arXiv 2410.18932); the gait alone
changes a legged robot by 8 dB(A) (Cao et al. 2025, arXiv 2506.23114). The defaults and the shapes of the spectra are
estimates of a quiet robot. Measure your own robot at 1 m and set the levels.

A soft floor covering keeps the high frequencies of an impact away: above the resonance f₀ of what strikes on the
covering, by 40 lg(f/f₀) dB (Cremer, Heckl, Petersson, Structure-Borne Sound, 3rd ed. 2005, on soft coverings), here at
most `MOST_REDUCTION`. f₀ of each floor in `RESONANCES` is an estimate.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from harken.checks import check_settings
from harken.scene import OCTAVE_BANDS
from harken.sound.level import a_weighting

__all__ = ["FLOOR_SHAPE", "IDLE_SHAPE", "MOST_REDUCTION", "MOTOR_SHAPE", "RESONANCES", "RobotNoise", "floor_reduction"]

IDLE_SHAPE: tuple[float, ...] = (-2.0, 0.0, -1.0, -4.0, -8.0, -13.0, -19.0)
"""Octave-band levels of the fans relative to each other [dB]: broad and low, an estimate."""

MOTOR_SHAPE: tuple[float, ...] = (-15.0, -9.0, -3.0, 0.0, -1.0, -5.0, -11.0)
"""Octave-band levels of motors and gears relative to each other [dB]: a whine around 1 and 2 kHz, an estimate."""

FLOOR_SHAPE: tuple[float, ...] = (-8.0, -4.0, -1.0, 0.0, -2.0, -6.0, -12.0)
"""Octave-band levels of steps or wheels on a hard floor relative to each other [dB], an estimate."""

RESONANCES: Mapping[str, float] = MappingProxyType(
    {"carpet": 350.0, "carpet_on_pad": 250.0, "rug": 300.0, "wood_floor": 2000.0, "wood_panel": 1000.0}
)
"""Resonance f₀ of what strikes on a floor covering [Hz] by the name of its material. Every other material, and a floor
of which nothing is known, counts as hard: the loudest that it could be."""

MOST_REDUCTION: float = 25.0
"""Most by which a floor covering quietens a band [dB]."""

_FREQUENCIES = np.array(OCTAVE_BANDS)
_A_WEIGHTS = 10.0 ** (a_weighting(_FREQUENCIES) / 10.0)


@dataclass(frozen=True, kw_only=True)
class RobotNoise:
    """The noise of a robot. Levels are A-weighted, at 1 m in the free field [dB(A) re 20 µPa]."""

    idle_level: float = 27.0
    """Level at rest."""
    motor_level: float = 42.0
    """Level of the motors at 1 m/s."""
    floor_level: float = 52.0
    """Level of steps or wheels on a hard floor at 1 m/s."""
    motor_growth: float = 20.0
    """Rise of the motors' level for a tenfold speed [dB]."""
    floor_growth: float = 30.0
    """Rise of the level of steps or wheels for a tenfold speed [dB]."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        levels = dict.fromkeys(("idle_level", "motor_level", "floor_level"), (-50.0, 120.0))
        check_settings(self, **levels, motor_growth=(0.0, 100.0), floor_growth=(0.0, 100.0))

    def levels(self, speed: float, floor: str | None) -> np.ndarray:
        """Return the octave-band levels at 1 m in the free field, without weighting.

        Args:
            speed: How fast the robot moves [m/s], 0 at rest.
            floor: Name of the floor's material; None where it is not known, which counts as hard.

        Returns:
            ``(bands,)`` float64 [dB re 20 µPa], one level per band of `OCTAVE_BANDS`.
        """
        return 10.0 * np.log10(_power(self, float(speed), floor))

    def weighted_power(self, speed: float, floor: str | None) -> np.ndarray:
        """Return the A-weighted squared pressure ``(bands,)`` at 1 m in the free field, in (20 µPa)²; see `levels`."""
        return _power(self, float(speed), floor) * _A_WEIGHTS


@functools.lru_cache(maxsize=1024)
def _power(noise: RobotNoise, speed: float, floor: str | None) -> np.ndarray:
    """Return the squared pressure ``(bands,)`` at 1 m [(20 µPa)²]."""
    power = _spectrum(IDLE_SHAPE, noise.idle_level)
    if speed > 0.0:
        tenfold = np.log10(speed)
        power = power + _spectrum(MOTOR_SHAPE, noise.motor_level + noise.motor_growth * tenfold)
        loud = noise.floor_level + noise.floor_growth * tenfold - floor_reduction(floor)
        power = power + _spectrum(FLOOR_SHAPE, loud)
    power.flags.writeable = False  # it is shared
    return power


def floor_reduction(floor: str | None) -> np.ndarray:
    """Return by how much a floor quietens steps compared with a hard one, ``(bands,)`` [dB]; see the module.

    Args:
        floor: Name of its material, one of `RESONANCES`; any other counts as hard.
    """
    if floor not in RESONANCES:
        return np.zeros(len(OCTAVE_BANDS))
    return np.clip(40.0 * np.log10(_FREQUENCIES / RESONANCES[floor]), 0.0, MOST_REDUCTION)


def _spectrum(shape: tuple[float, ...], level: float | np.ndarray) -> np.ndarray:
    """Return the squared pressure ``(bands,)`` of a spectrum whose A-weighted level is given [(20 µPa)²].

    The level may differ by band: then it is that of the same spectrum with a gain per band.
    """
    relative = 10.0 ** (np.array(shape) / 10.0)
    return relative / (relative @ _A_WEIGHTS) * 10.0 ** (np.asarray(level) / 10.0)
