"""Air: how fast sound travels in it, and how much of it is absorbed on the way."""

from dataclasses import dataclass

import numpy as np

from harken.checks import check_settings
from harken.errors import ConfigurationError

__all__ = ["Air"]

_REFERENCE_PRESSURE = 101.325  # kPa
_REFERENCE_TEMPERATURE = 293.15  # K
_TRIPLE_POINT = 273.16  # K, of water


@dataclass(frozen=True, kw_only=True)
class Air:
    """The air that fills a scene, as ISO 9613-1:1993 describes it.

    Raises:
        ConfigurationError: A value lies outside the range in which the standard's formulas hold.
    """

    temperature_celsius: float = 20.0
    """Temperature [°C], -20 to 50."""
    humidity_percent: float = 50.0
    """Relative humidity [%], above 0 and at most 100."""
    pressure_kilopascal: float = 101.325
    """Static pressure [kPa], 50 to 200."""

    def __post_init__(self) -> None:
        """Check that the values are ones that air on earth can have."""
        check_settings(
            self, temperature_celsius=(-20.0, 50.0), humidity_percent=(0.0, 100.0), pressure_kilopascal=(50.0, 200.0)
        )
        if self.humidity_percent == 0.0:
            raise ConfigurationError(
                "Setting humidity_percent is 0; expected a number above 0 up to 100: the formulas do not hold without "
                "any vapour."
            )

    @property
    def speed_of_sound(self) -> float:
        """Speed of sound [m/s]: 343.2·√(T/293.15 K) (ISO 9613-1, Annex A), 343.2 at 20 °C."""
        return 343.2 * float(np.sqrt((self.temperature_celsius + 273.15) / _REFERENCE_TEMPERATURE))

    def attenuation(self, frequencies: np.ndarray | tuple[float, ...]) -> np.ndarray:
        """Return how fast air absorbs the energy of a pure tone (ISO 9613-1:1993, equations 3 to 5 and B.1 to B.3).

        Energy falls as exp(−m·distance), amplitude as exp(−m/2·distance); in decibel per metre it is 4.343·m.

        Args:
            frequencies: Frequencies [Hz] of any shape, 0 or more. For a band pass its centre: the standard's
                accuracy is 10 % from 50 Hz to 10 kHz.

        Returns:
            The energy attenuation constant m [1/m], float64, in the shape of `frequencies`.

        Raises:
            ConfigurationError: A frequency is negative or not finite.
        """
        f = np.asarray(frequencies, np.float64)
        if not np.isfinite(f).all() or (f < 0).any():
            raise ConfigurationError(f"Air.attenuation: frequencies are {frequencies!r}; expected hertz, 0 or more.")
        oxygen, nitrogen = self._relaxation_frequencies()
        kelvin = self.temperature_celsius + 273.15
        warmth = kelvin / _REFERENCE_TEMPERATURE
        pressure = self.pressure_kilopascal / _REFERENCE_PRESSURE
        classical = 1.84e-11 / pressure * np.sqrt(warmth)
        by_oxygen = 0.01275 * np.exp(-2239.1 / kelvin) * oxygen / (oxygen**2 + f**2)
        by_nitrogen = 0.1068 * np.exp(-3352.0 / kelvin) * nitrogen / (nitrogen**2 + f**2)
        # The standard's factor 8.686 dB/Np is left out; energy falls by 2 Np where amplitude falls by 1.
        return 2.0 * f**2 * (classical + warmth**-2.5 * (by_oxygen + by_nitrogen))

    def _relaxation_frequencies(self) -> tuple[float, float]:
        """Return the relaxation frequencies of oxygen and nitrogen [Hz]."""
        kelvin = self.temperature_celsius + 273.15
        warmth = kelvin / _REFERENCE_TEMPERATURE
        pressure = self.pressure_kilopascal / _REFERENCE_PRESSURE
        saturation = 10.0 ** (-6.8346 * (_TRIPLE_POINT / kelvin) ** 1.261 + 4.6151)
        vapour = self.humidity_percent * saturation / pressure  # molar concentration, percent
        oxygen = pressure * (24.0 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour))
        nitrogen = pressure / np.sqrt(warmth) * (9.0 + 280.0 * vapour * np.exp(-4.170 * (warmth ** (-1.0 / 3.0) - 1.0)))
        return float(oxygen), float(nitrogen)
