"""Errors of estimated depth maps, as the systems that see with echoes are scored.

One image's errors are means over its valid pixels, those with a true depth above 0. A table's errors are means over
images, so that every image weighs the same however many of its pixels are valid, and the RMSE of a table is the mean of
the images' RMSEs. That is what the released code of "Beyond Image to Depth" and of BatVision does; VisualEchoes
published the same measures without code for them. `DepthAccumulator` pools pixels instead on request.

Where the released code would score missing data, an error is raised here: it scores an image without a valid pixel 0
in everything, a perfect RMSE, and counts a negative estimate as correct in δ, whose ratio is then below 1.25.

Sources: Gao, Chen, Al-Halah, Schissler and Grauman (ECCV 2020), "VisualEchoes"; Christensen, Hornauer and Yu (ICRA
2020), "BatVision"; Parida, Srivastava and Sharma (CVPR 2021), "Beyond image to depth: improving depth prediction using
echoes". The measures are those of Eigen, Puhrsch and Fergus (NeurIPS 2014).
"""

from dataclasses import asdict, dataclass, fields
from typing import Literal

import numpy as np

from harken.errors import ConfigurationError

__all__ = ["DepthAccumulator", "DepthMetrics", "DepthRange", "depth_metrics"]


@dataclass(frozen=True, kw_only=True)
class DepthRange:
    """Which depths count. The defaults take every true depth above 0 as it is."""

    maximum: float | None = None
    """Greatest true depth [m]; None sets no limit. Published: 12 m for BatVision V1, 30 m for V2, 14.104 m for Replica
    and 10 m for Matterport3D, the last two only as the scale of the networks' output."""
    beyond: Literal["clip", "ignore"] = "clip"
    """What happens to true depths beyond `maximum`: "clip" sets them to it, as BatVision does, "ignore" leaves the
    pixels out. The estimate is never clipped at the top."""
    minimum: float | None = None
    """Estimates below this [m] are raised to it. None makes an estimate of 0 or less an error: it has no logarithm."""

    def __post_init__(self) -> None:
        """Check every field."""
        for name in ("maximum", "minimum"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float | np.number) and 0 < value < np.inf):
                raise ConfigurationError(f"DepthRange: {name} is {value!r}; expected metres above 0, or None.")
        if self.beyond not in ("clip", "ignore"):
            raise ConfigurationError(f'DepthRange: beyond is {self.beyond!r}; expected "clip" or "ignore".')


@dataclass(frozen=True, kw_only=True)
class DepthMetrics:
    """Errors of one depth map, or of many."""

    rmse: float
    """Root of the mean squared error [m]."""
    relative: float
    """Mean of |d − d̂| / d ("REL", "AbsRel")."""
    log10: float
    """Mean of |log₁₀ d − log₁₀ d̂|."""
    mae: float
    """Mean of |d − d̂| [m]."""
    delta1: float
    """Share of pixels with max(d/d̂, d̂/d) < 1.25."""
    delta2: float
    """Share of pixels with max(d/d̂, d̂/d) < 1.25²."""
    delta3: float
    """Share of pixels with max(d/d̂, d̂/d) < 1.25³."""
    pixels: int
    """Number of valid pixels."""
    images: int = 1
    """Number of images."""

    def to_mapping(self) -> dict[str, float | int]:
        """Return the fields by name in types that JSON can hold."""
        return asdict(self)


_EVERY_DEPTH = DepthRange()
_MEASURES = tuple(field.name for field in fields(DepthMetrics) if field.type is float)


def depth_metrics(estimate: np.ndarray, truth: np.ndarray, *, within: DepthRange = _EVERY_DEPTH) -> DepthMetrics:
    """Compare an estimated depth map with the true one.

    Args:
        estimate: ``(height, width)`` or ``(height, width, 1)`` depth [m], above 0 where the truth is valid.
        truth: Depth [m] of the same shape; 0 where nothing was hit, which leaves the pixel out.
        within: Which depths count.

    Returns:
        The errors over the valid pixels.

    Raises:
        ConfigurationError: The shapes differ or are not supported, the truth is negative, NaN or infinite, no pixel is
            valid, or an estimate at a valid pixel is NaN, infinite, or 0 or less with no minimum set.
    """
    estimate, truth = _valid(estimate, truth, within)
    error = np.abs(truth - estimate)
    ratio = np.maximum(truth / estimate, estimate / truth)
    return DepthMetrics(
        rmse=float(np.sqrt(np.square(error).mean())),
        relative=float((error / truth).mean()),
        log10=float(np.abs(np.log10(truth) - np.log10(estimate)).mean()),
        mae=float(error.mean()),
        delta1=float((ratio < 1.25).mean()),
        delta2=float((ratio < 1.25**2).mean()),
        delta3=float((ratio < 1.25**3).mean()),
        pixels=truth.size,
    )


class DepthAccumulator:
    """The errors of many images, one after the other."""

    def __init__(self, *, within: DepthRange = _EVERY_DEPTH, weighting: Literal["image", "pixel"] = "image"):
        """Start without an image.

        Args:
            within: Which depths count.
            weighting: "image" weighs every image alike, as the released code does. "pixel" weighs every valid pixel
                alike and takes the root of the mean square over all of them.

        Raises:
            ConfigurationError: The weighting does not exist.
        """
        if weighting not in ("image", "pixel"):
            raise ConfigurationError(f'Weighting of depth errors is {weighting!r}; expected "image" or "pixel".')
        self.within, self.weighting = within, weighting
        self._sums = np.zeros(len(_MEASURES))
        self._weight = self._pixels = self._images = 0

    def add(self, estimate: np.ndarray, truth: np.ndarray) -> DepthMetrics:
        """Add an image and return its own errors; arguments and errors are those of `depth_metrics`.

        An image that raises an error is not added.
        """
        errors = depth_metrics(estimate, truth, within=self.within)
        values = np.array([getattr(errors, name) for name in _MEASURES])
        weight = 1
        if self.weighting == "pixel":
            values[_MEASURES.index("rmse")] **= 2
            weight = errors.pixels
        self._sums += weight * values
        self._weight += weight
        self._pixels += errors.pixels
        self._images += 1
        return errors

    def result(self) -> DepthMetrics:
        """Return the errors over all images so far.

        Raises:
            ConfigurationError: There is no image yet.
        """
        if not self._images:
            raise ConfigurationError("No image was added, so there are no depth errors; call add() first.")
        values = dict(zip(_MEASURES, (float(value) for value in self._sums / self._weight), strict=True))
        if self.weighting == "pixel":
            values["rmse"] = float(np.sqrt(values["rmse"]))
        return DepthMetrics(**values, pixels=self._pixels, images=self._images)


def _valid(estimate: np.ndarray, truth: np.ndarray, within: DepthRange) -> tuple[np.ndarray, np.ndarray]:
    """Return estimate and truth at the valid pixels, ``(pixels,)`` float64 each."""
    estimate, truth = np.asarray(estimate), np.asarray(truth)
    if estimate.shape != truth.shape or not (truth.ndim == 2 or (truth.ndim == 3 and truth.shape[2] == 1)):
        raise ConfigurationError(
            f"The estimated depth has shape {estimate.shape}, the true one {truth.shape}; expected (height, width) or "
            "(height, width, 1) for both."
        )
    estimate, truth = estimate.astype(np.float64), truth.astype(np.float64)
    if not np.isfinite(truth).all() or (truth < 0).any():
        raise ConfigurationError("The true depth holds negative, NaN or infinite values; set what was not hit to 0.")
    valid = truth > 0
    if within.maximum is not None:
        if within.beyond == "ignore":
            valid &= truth <= within.maximum
        truth = np.minimum(truth, within.maximum)
    if not valid.any():
        raise ConfigurationError(
            f"None of {truth.size} pixels has a true depth that counts: nothing to compare with. Leave the image out."
        )
    estimate, truth = estimate[valid], truth[valid]
    if not np.isfinite(estimate).all():
        bad = int((~np.isfinite(estimate)).sum())
        raise ConfigurationError(f"The estimated depth is NaN or infinite at {bad} of {estimate.size} valid pixels.")
    if within.minimum is not None:
        estimate = np.maximum(estimate, within.minimum)
    elif (estimate <= 0).any():
        raise ConfigurationError(
            f"The estimated depth is 0 or less at {int((estimate <= 0).sum())} of {estimate.size} valid pixels, "
            "which has no logarithm; let the network give depths above 0, or set minimum= in DepthRange, such as "
            "0.01 m."
        )
    return estimate, truth
