"""The energy that a listener receives over time in the fast tier, and how certain it is."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harken.acoustics.engines.convergence import Convergence
from harken.acoustics.protocol import SoundPaths
from harken.errors import ConfigurationError
from harken.scene import OCTAVE_BANDS

__all__ = ["EnergyHistogram"]

ERROR_WIDTH = 0.002
"""Width of the time bins from which errors are estimated [s]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EnergyHistogram:
    """The energy that a listener receives over time: exact paths, and the rest in time bins."""

    paths: SoundPaths
    """The exact paths, not part of `energy`."""
    energy: np.ndarray
    """``(bins, bands, 4)`` float32 energy and vector (x, y, z) to where it comes from, in the world's frame."""
    edges: np.ndarray
    """``(bins + 1,)`` edges of the time bins [s]."""
    delays: np.ndarray
    """``(paths,)`` delays of the exact paths [s]."""
    arrival: float = 0.0
    """When the straight path arrives, or would [s]: the start of the measures of ISO 3382-1."""
    rays: int = 0
    """Rays that were traced; for pairs, from each end."""
    without: Callable[[], np.ndarray] | None = None
    """Returns the energy ``(n, bins, bands)`` that the rays of all parts but one give; None without errors."""

    @functools.cached_property
    def convergence(self) -> Convergence:
        """The standard errors of decay times, clarity, the late level and other measures, which the rays' chance makes.

        They are those of what is heard: late energy that is averaged over cells and joined between regions has smaller
        errors than a single cell. What such averages are off, with any number of rays, is not part of them.

        Raises:
            ConfigurationError: The engine does not keep what it takes.
        """
        if self.without is None:
            raise ConfigurationError(
                "This energy comes without standard errors. Set AcousticSettings(errors=True), or max_error_jnd."
            )
        still = replace(self, energy=np.zeros_like(self.energy)).over_time(ERROR_WIDTH)
        rest = np.stack([_spread(energy, self.edges, ERROR_WIDTH) for energy in self.without()])
        return Convergence.without_parts(
            (still + rest).transpose(0, 2, 1),
            rate=1.0 / ERROR_WIDTH,
            start=self.arrival,
            bands=OCTAVE_BANDS,
            rays=self.rays,
        )

    def over_time(self, width: float) -> np.ndarray:
        """Return everything in bins of one width, as `harken.acoustics.measures` takes at the rate 1/width.

        Args:
            width: Width of the bins [s].

        Returns:
            ``(bands, n)`` float64; the energy of a bin of the field is spread evenly over it.
        """
        total = _spread(self.energy[:, :, 0], self.edges, width)
        at = (self.delays / width).astype(int)
        inside = at < total.shape[1]
        np.add.at(total.T, at[inside], self.paths.energy[inside])
        return total


def _spread(energy: np.ndarray, edges: np.ndarray, width: float) -> np.ndarray:
    """Return energy ``(bins, bands)`` in bins of one width ``(bands, n)``."""
    grid = np.arange(int(np.ceil(edges[-1] / width - 1e-9)) + 1) * width
    summed = np.concatenate([np.zeros((1, energy.shape[1])), np.cumsum(energy, 0, np.float64)])
    return np.diff(np.stack([np.interp(grid, edges, column) for column in summed.T]), axis=1)
