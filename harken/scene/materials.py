"""Acoustic materials: absorption, scattering and transmission per octave band."""

from dataclasses import dataclass

import numpy as np

from harken.errors import SceneError

__all__ = ["OCTAVE_BANDS", "AcousticMaterial"]

OCTAVE_BANDS: tuple[float, ...] = (125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0)
"""Centre frequencies of the octave bands [Hz] in which materials and energies are given."""


@dataclass(frozen=True, kw_only=True)
class AcousticMaterial:
    """Acoustic properties of a surface. All coefficients are shares of *energy*, 0–1, one per band of `OCTAVE_BANDS`.

    Six values (125–4000 Hz) are accepted, and the last is then used for 8 kHz too; one value stands for all bands.
    """

    name: str
    """Name of the material, unique in a scene."""
    absorption: tuple[float, ...]
    """Share of the incident energy that is not reflected (ISO 354), transmitted energy included."""
    scattering: tuple[float, ...] = (0.1,)
    """Share of the reflected energy that is scattered and not reflected specularly (ISO 17497-1)."""
    transmission: tuple[float, ...] = (0.0,)
    """Share of the incident energy that passes through; at most the absorption."""
    source: str = ""
    """Source of the figures."""

    def __post_init__(self) -> None:
        """Check the coefficients and expand them to one per band."""
        for field in ("absorption", "scattering", "transmission"):
            try:
                shares = np.atleast_1d(np.asarray(getattr(self, field), np.float64))
            except (TypeError, ValueError, OverflowError):
                shares = np.zeros((0, 0))
            values = tuple(float(share) for share in shares) if shares.ndim == 1 else ()
            if len(values) == 1:
                values *= len(OCTAVE_BANDS)
            if len(values) == len(OCTAVE_BANDS) - 1:
                values += values[-1:]
            if len(values) != len(OCTAVE_BANDS) or not all(0.0 <= v <= 1.0 for v in values):
                raise SceneError(
                    f"Material {self.name!r}: {field} is {getattr(self, field)!r:.120}; expected 1, "
                    f"{len(OCTAVE_BANDS) - 1} or {len(OCTAVE_BANDS)} shares of energy between 0 and 1 "
                    f"(bands {', '.join(f'{band:g}' for band in OCTAVE_BANDS)} Hz)."
                )
            object.__setattr__(self, field, values)
        if any(t > a + 1e-9 for t, a in zip(self.transmission, self.absorption, strict=True)):
            raise SceneError(
                f"Material {self.name!r}: transmission {self.transmission} exceeds absorption {self.absorption} in "
                "some band. What passes is part of what is not reflected: raise absorption or lower transmission."
            )
