"""Cameras in the dark: less light, photon noise and read-out noise."""

from dataclasses import dataclass

import numpy as np

from harken.checks import check_settings
from harken.errors import ConfigurationError

__all__ = ["LowLight"]

# NumPy draws Poisson numbers up to about 9·10^18.
_MOST_PHOTONS = 1e15


@dataclass(frozen=True, kw_only=True)
class LowLight:
    """How an image is darkened.

    Colours are brought to linear light (IEC 61966-2-1, sRGB), multiplied by a share of light that the seed draws,
    counted as photons (Poisson) with the noise of read-out (normal), multiplied by `gain` and brought back to sRGB in
    8 bits.
    """

    least: float = 0.005
    """Least share of the light."""
    most: float = 0.05
    """Greatest share of the light; the logarithm is uniform in between."""
    photons: float = 2_000.0
    """Photons that white at full light would give each pixel and colour."""
    read_noise: float = 3.0
    """Standard deviation of the read-out, in photons."""
    gain: float = 1.0
    """Gain applied to the dark image; 1 leaves it dark."""

    def __post_init__(self) -> None:
        """Check every field."""
        check_settings(self)
        if not 0.0 < self.least <= self.most <= 1.0:
            raise ConfigurationError(
                f"LowLight: least is {self.least!r} and most {self.most!r}; expected 0 < least ≤ most ≤ 1."
            )
        if not (0.0 < self.photons <= _MOST_PHOTONS and self.read_noise >= 0.0 and self.gain > 0.0):
            raise ConfigurationError(
                f"LowLight: photons is {self.photons!r}, gain {self.gain!r} and read_noise {self.read_noise!r}; "
                f"expected photons above 0 up to {_MOST_PHOTONS:g}, gain above 0, and read_noise of at least 0."
            )

    def draw(self, rng: np.random.Generator) -> float:
        """Return a share of light."""
        return float(np.exp(rng.uniform(np.log(self.least), np.log(self.most))))

    def darken(self, image: np.ndarray, light: float, rng: np.random.Generator) -> np.ndarray:
        """Return an image as a camera sees it in the dark.

        Args:
            image: ``(height, width, 3)`` uint8 (sRGB) at full light.
            light: Share of the light that is left.
            rng: Source of the noise.

        Returns:
            ``(height, width, 3)`` uint8.
        """
        encoded = image.astype(np.float64) / 255.0
        linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
        counted = rng.poisson(linear * light * self.photons) + self.read_noise * rng.standard_normal(image.shape)
        level = np.clip(counted * self.gain / self.photons, 0.0, 1.0)
        back = np.where(level <= 0.0031308, 12.92 * level, 1.055 * level ** (1 / 2.4) - 0.055)
        return np.round(255.0 * back).astype(np.uint8)
