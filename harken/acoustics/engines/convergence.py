"""Whether a traced energy response has converged: the standard errors of what one measures from it.

They are found with the jackknife (Efron and Stein 1981, "The jackknife estimate of variance", Ann. Statist. 9, 586).
The rays are divided into n equal parts. A quantity measured without part i is θ_i, and its standard error is the root
of

    σ² = (n − 1)/n · Σ (θ_i − θ̄)².
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from harken.acoustics.measures import JUST_NOTICEABLE_DIFFERENCES, centre_time, clarity, decay_time, strength
from harken.errors import HarkenWarning, SoundError

__all__ = ["BOUND", "Convergence", "tell", "tell_excess", "trace_enough"]

T = TypeVar("T")

BOUND = 1.0
"""Standard error of T20, EDT, C50 or the late level [just-noticeable differences], root mean square over bands, above
which a warning is given. Homes that are traced with the default settings stay below it."""

MARGIN = 1.5
"""Factor on the rays that are suggested, because sixteen parts give an error to within a fifth."""

LATE = 0.08
"""When late sound begins after the straight path [s] (ISO 3382-1, C80)."""

INAUDIBLE = 1e-3
"""Share of all energy below which late sound is not measured: 30 dB down."""

MOST_DOUBLINGS = 2
"""Times that a number of rays is doubled at once."""

IMPORTANT = {"t20": "T20", "edt": "EDT", "c50": "C50", "late": "the late level"}
"""Quantities that the warning is about, and what it calls them."""

_NOTICEABLE = {**JUST_NOTICEABLE_DIFFERENCES, "late": JUST_NOTICEABLE_DIFFERENCES["strength"]}
_TOLD: set[tuple] = set()


@dataclass(frozen=True, kw_only=True, eq=False)
class Convergence:
    """Standard errors of the quantities measured from an energy response."""

    bands: tuple[float, ...]
    """Centre frequencies of the octave bands [Hz]."""
    rays: int
    """Rays traced."""
    late: np.ndarray
    """``(bands,)`` standard error of the level of all energy later than 80 ms after the straight path [dB]; NaN where
    that is less than a thousandth of all energy."""
    noticeable: Mapping[str, np.ndarray]
    """``(bands,)`` standard errors of "edt", "t20", "t30", "c50", "c80", "centre_time", "strength" and "late", in
    just-noticeable differences (`JUST_NOTICEABLE_DIFFERENCES`; 1 dB for "late"); NaN where a quantity has no value,
    such as a decay time where hardly anything is reflected."""

    def mean(self, quantity: str) -> float:
        """Return the standard error of a quantity in just-noticeable differences, root mean square over bands.

        Args:
            quantity: A key of `noticeable`.

        Returns:
            The error, 0 where the quantity has no value in any band.
        """
        errors = self.noticeable[quantity]
        known = errors[np.isfinite(errors)]
        return float(np.sqrt(np.mean(known**2))) if len(known) else 0.0

    @property
    def worst(self) -> str:
        """The quantity among T20, EDT, C50 and the late level whose `mean` error is greatest."""
        return max(IMPORTANT, key=self.mean)

    @property
    def is_converged(self) -> bool:
        """Whether none of these errors exceeds one just-noticeable difference (`BOUND`)."""
        return self.mean(self.worst) <= BOUND

    @property
    def rays_needed(self) -> int:
        """Rays with which it would be converged: errors fall with their root. Rounded up to two digits."""
        rays = self.rays if self.is_converged else self.rays * MARGIN * (self.mean(self.worst) / BOUND) ** 2
        digit = 10 ** max(0, int(np.log10(rays)) - 1)
        return int(np.ceil(rays / digit)) * digit

    @staticmethod
    def of(
        exact: np.ndarray, parts: np.ndarray, *, rate: float, start: float, bands: Sequence[float], rays: int
    ) -> "Convergence":
        """Estimate the errors.

        Args:
            exact: ``(bins, bands)`` energy that is known exactly.
            parts: ``(n, bins, bands)`` independent estimates of the other energy; their mean is the response.
            rate: Bins per second [Hz].
            start: Arrival of the straight path [s].
            bands: Centre frequencies of the bands [Hz].
            rays: Rays traced for all parts.
        """
        without = exact + (parts.sum(0) - parts) / (len(parts) - 1)
        return Convergence.without_parts(without, rate=rate, start=start, bands=bands, rays=rays)

    @staticmethod
    def without_parts(
        without: np.ndarray, *, rate: float, start: float, bands: Sequence[float], rays: int
    ) -> "Convergence":
        """Estimate the errors from responses without each part of the rays.

        Args:
            without: ``(n, bins, bands)`` all energy, estimated by the rays of all parts but one.
            rate: As `of` takes, and so the others.
            start: Arrival of the straight path [s].
            bands: Centre frequencies of the bands [Hz].
            rays: Rays traced for all parts.
        """
        n = len(without)
        without = np.ascontiguousarray(without.transpose(2, 0, 1))
        quantities = _quantities(rate, start)
        errors = {name: np.full(len(bands), np.nan) for name in quantities}
        for b, energy in enumerate(without):
            for name, measure in quantities.items():
                try:
                    values = measure(energy)
                except SoundError:  # it has no value here
                    continue
                error = np.sqrt((n - 1) * values.var())
                errors[name][b] = error / _NOTICEABLE[name] / (values.mean() if name in ("edt", "t20", "t30") else 1.0)
        late = errors["late"] * _NOTICEABLE["late"]
        return Convergence(bands=tuple(bands), rays=rays, late=late, noticeable=errors)


def _quantities(rate: float, start: float) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Return functions that measure energies ``(..., bins)``."""

    def decay(upper: float, lower: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda energy: decay_time(energy, rate, levels=(upper, lower), start=start)

    def late(energy: np.ndarray) -> np.ndarray:
        rest = energy[..., round((start + LATE) * rate) :].sum(-1)
        if not (rest > INAUDIBLE * energy.sum(-1)).all():
            raise SoundError("Hardly anything arrives late.")
        return 10.0 * np.log10(rest)

    return {
        "edt": decay(0.0, -10.0),
        "t20": decay(-5.0, -25.0),
        "t30": decay(-5.0, -35.0),
        "c50": lambda energy: clarity(energy, rate, limit=0.05, start=start),
        "c80": lambda energy: clarity(energy, rate, limit=0.08, start=start),
        "centre_time": lambda energy: centre_time(energy, rate, start=start),
        "strength": strength,
        "late": late,
    }


def tell(convergences: Sequence[Convergence], scene: str, situation: tuple, most: int) -> None:
    """Warn if the response of a listener has not converged, once for each situation.

    Args:
        convergences: Those of all listeners that were traced together.
        scene: What the warning calls the scene.
        situation: What makes a warning a new one.
        most: Greatest number of rays that the settings allow at present.
    """
    if situation in _TOLD:
        return
    worst = max(convergences, key=lambda c: c.mean(c.worst))
    if worst.is_converged:
        return
    _TOLD.add(situation)
    needed = worst.rays_needed
    more = f", max_rays={needed}" if needed > most else ""
    warnings.warn(
        f"Traced sound has not converged in {scene}: with {worst.rays} rays, the standard error of "
        f"{IMPORTANT[worst.worst]} is {worst.mean(worst.worst):.1f} just-noticeable differences; expected at most "
        f"{BOUND:g}. Set ReferenceSettings(rays={needed}{more}), or see `EnergyResponse.convergence`.",
        HarkenWarning,
        stacklevel=3,
    )


def trace_enough(
    trace: Callable[[int], T], error: Callable[[T], float], *, first: int, most: int, bound: float
) -> tuple[T, float]:
    """Trace with more and more rays until the error is small enough.

    The number is doubled as often as the error of the rays so far says, since errors fall with the root of it, but at
    most `MOST_DOUBLINGS` times at once: errors of too few rays fall faster.

    Args:
        trace: Traces a number of rays.
        error: Returns the error of what was traced.
        first: Rays at first.
        most: Rays that are not exceeded.
        bound: Greatest error.

    Returns:
        What was traced last, and its error, greater than `bound` where `most` rays are not enough.
    """
    rays = min(first, most)
    while True:
        traced = trace(rays)
        found = error(traced)
        if found <= bound or rays >= most:
            return traced, found
        doublings = min(max(1, int(np.ceil(2.0 * np.log2(found / bound)))), MOST_DOUBLINGS)
        rays = min(rays * 2**doublings, most)


def tell_excess(error: float, bound: float, rays: int, scene: str) -> None:
    """Warn that the greatest number of rays was not enough for an error, once for each scene.

    Args:
        error: The error [just-noticeable differences].
        bound: What was asked for.
        rays: The greatest number of rays.
        scene: What the warning calls the scene.
    """
    if (scene, bound, rays) in _TOLD:
        return
    _TOLD.add((scene, bound, rays))
    warnings.warn(
        f"Traced sound is less certain than it should be in {scene}: with max_rays={rays}, its standard error is "
        f"{error:.2g} just-noticeable differences; expected at most max_error_jnd={bound:g}. Raise max_rays to about "
        f"{rays * max(2, int(np.ceil((error / bound) ** 2)))}, or max_error_jnd.",
        HarkenWarning,
        stacklevel=3,
    )
