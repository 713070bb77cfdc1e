"""Means over episodes with the interval in which the true mean may lie."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from harken.errors import ConfigurationError, EpisodeError, UnknownNameError
from harken.eval.records import EpisodeResult

__all__ = [
    "SHARES",
    "Interval",
    "bootstrap_interval",
    "decimals_for",
    "format_table",
    "mean_interval",
    "summarise",
    "wilson_interval",
]

SHARES = frozenset(
    {
        "success", "spl", "soft_spl", "sna", "sws", "dsr", "dspl", "dsna", "progress", "ppl", "coverage", "gain",
        "quiet_success", "noise_above", "delta1", "delta2", "delta3",
    }
)  # fmt: skip
"""Measures that lie between 0 and 1 by their definition."""

_DRAWS_AT_ONCE = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean and its confidence interval."""

    mean: float
    """Mean of the values."""
    low: float
    """Lower end of the interval; NaN where a single value leaves it unknown."""
    high: float
    """Upper end of the interval; NaN where a single value leaves it unknown."""
    count: int
    """Number of values."""
    confidence: float = 0.95
    """Share of such intervals that hold the true mean."""

    def to_mapping(self) -> dict[str, float | int | None]:
        """Return the fields by name in types that JSON can hold; an unknown end is None."""
        ends = {"mean": self.mean, "low": self.low, "high": self.high}
        finite = {name: value if math.isfinite(value) else None for name, value in ends.items()}
        return {**finite, "count": self.count, "confidence": self.confidence}

    @staticmethod
    def from_mapping(values: Mapping[str, Any]) -> "Interval":
        """Return what `to_mapping` was made of."""
        known: dict[str, Any] = {name: math.nan if value is None else value for name, value in values.items()}
        return Interval(**known)

    def __str__(self) -> str:
        """Return ``mean [low, high]`` with three decimals."""
        return _format(self, 3)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean of `values` with its bias-corrected and accelerated (BCa) bootstrap interval.

    Resampling happens in batches of about 16 MB (beyond a million values, of one resample). Equal values leave nothing
    to resample, and the interval is that one point; outcomes that are only 0 or 1 belong to `wilson_interval`.

    Args:
        values: ``(n,)`` finite values, one per independent episode.
        confidence: Share of such intervals that hold the true mean, in (0, 1).
        resamples: Number of bootstrap samples, at least 100.
        seed: Seed of the resampling; the same values and seed give the same interval.

    Returns:
        The interval; its ends are NaN for a single value.

    Raises:
        ConfigurationError: There are no values, one is not finite, or a setting is out of range.

    Source:
        Efron & Tibshirani, An Introduction to the Bootstrap (1993), equations 14.10, 14.14 and 14.15; the jackknife
        that gives the acceleration has a closed form for the mean.
    """
    data = _checked(values, confidence)
    if resamples < 100:
        raise ConfigurationError(f"resamples is {resamples}; expected at least 100 for the tails of the distribution.")
    mean, count = _mean(data), len(data)
    if count == 1:
        return Interval(mean=mean, low=math.nan, high=math.nan, count=1, confidence=confidence)
    if data.min() == data.max():
        return Interval(mean=mean, low=mean, high=mean, count=count, confidence=confidence)
    means = _resampled_means(data, resamples, np.random.default_rng(seed))
    # Ties count half: with few distinct values many resamples hit the mean itself.
    below = (np.count_nonzero(means < mean) + 0.5 * np.count_nonzero(means == mean)) / resamples
    bias = float(ndtri(np.clip(below, 0.5 / resamples, 1.0 - 0.5 / resamples)))
    deviation = data - mean
    # The n jackknife means deviate from their mean by -deviation / (n - 1); the factors of n - 1 cancel.
    acceleration = float((deviation**3).sum() / (6.0 * ((deviation**2).sum()) ** 1.5))
    tails = bias + ndtri(np.array([0.5 - confidence / 2, 0.5 + confidence / 2]))
    stretched = tails / np.maximum(1.0 - acceleration * tails, 1e-9)
    low, high = np.quantile(means, ndtr(bias + stretched))
    return Interval(mean=mean, low=float(low), high=float(high), count=count, confidence=confidence)


def wilson_interval(successes: int, count: int, *, confidence: float = 0.95) -> Interval:
    """Return a success rate with its Wilson score interval, which is valid even for no or only successes.

    Args:
        successes: Number of successes.
        count: Number of trials.
        confidence: Share of such intervals that hold the true rate, in (0, 1).

    Returns:
        The rate, and the ends of its interval in 0–1.

    Raises:
        ConfigurationError: A count is negative, or there are more successes than trials.

    Source:
        Wilson, J. Am. Stat. Assoc. 22 (1927) 209–212.
    """
    if not 0 <= successes <= count or count == 0:
        raise ConfigurationError(
            f"{successes} successes in {count} trials; expected 0 ≤ successes ≤ trials, and trials."
        )
    z = _two_sided_quantile(confidence)
    rate, shrink = successes / count, 1.0 / (1.0 + z * z / count)
    centre = shrink * (rate + z * z / (2 * count))
    half = shrink * z * math.sqrt(rate * (1.0 - rate) / count + z * z / (4 * count * count))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == count else min(1.0, centre + half)
    return Interval(mean=rate, low=low, high=high, count=count, confidence=confidence)


def mean_interval(
    values: Sequence[float] | np.ndarray,
    *,
    share: bool = True,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the mean of `values` with the interval that suits them.

    Args:
        values: ``(n,)`` finite values, one per independent episode.
        share: Whether no value can lie outside 0–1, as of a success. A count of collisions may be 0 in all episodes
            and still is not a share.
        confidence: Share of such intervals that hold the true mean, in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        `wilson_interval` where the values are shares and all 0 or 1, else `bootstrap_interval`.

    Raises:
        ConfigurationError: There are no values, one is not finite, or a setting is out of range.
    """
    data = _checked(values, confidence)
    if share and np.isin(data, (0.0, 1.0)).all():
        return wilson_interval(int(data.sum()), len(data), confidence=confidence)
    return bootstrap_interval(data, confidence=confidence, resamples=resamples, seed=seed)


def summarise(
    records: Iterable[EpisodeResult], *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> dict[str, Interval]:
    """Return the mean and interval of every measure over the episodes of one agent.

    Args:
        records: The episodes, at least one, all with the same measures.
        confidence: Share of such intervals that hold the true mean, in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        Interval by measure, in the order of the first episode's measures.

    Raises:
        EpisodeError: There are no episodes, a measure is missing, or it is not finite; the message names the episode.
    """
    episodes = list(records)
    if not episodes:
        raise EpisodeError("There are no episodes to summarise; run at least one.")
    columns = {name: np.empty(len(episodes)) for name in episodes[0].measures}
    for row, episode in enumerate(episodes):
        if episode.measures.keys() != columns.keys():
            odd = sorted(episode.measures.keys() ^ columns.keys())
            raise EpisodeError(
                f"Episode {episode.episode!r} of agent {episode.agent!r} differs from episode {episodes[0].episode!r} "
                f"in the measures {', '.join(odd)}; only episodes of the same task can be summarised together."
            )
        for name, value in episode.measures.items():
            if not math.isfinite(value):
                raise EpisodeError(
                    f"Episode {episode.episode!r} of agent {episode.agent!r} has {name} = {value}; a mean needs finite "
                    "values. Find out why the measure failed there instead of leaving the episode out."
                )
            columns[name][row] = value
    settings: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    return {name: mean_interval(values, share=name in SHARES, **settings) for name, values in columns.items()}


def format_table(
    rows: Mapping[str, Mapping[str, Interval]], measures: Sequence[str] | None = None, *, markdown: bool = False
) -> str:
    """Return a table of agents against measures, its columns aligned.

    Args:
        rows: Summary by agent, as `summarise` returns them.
        measures: The columns in order; all measures of the first agent where None.
        markdown: Whether to draw it as a Markdown table.

    Returns:
        Lines joined by newlines, without one at the end. A cell is ``mean [low, high]``.

    Raises:
        ConfigurationError: There are no rows.
        UnknownNameError: An agent lacks a measure.
    """
    if not rows:
        raise ConfigurationError("There is no summary to put into a table; give one per agent.")
    names = list(next(iter(rows.values()))) if measures is None else list(measures)
    for summary in rows.values():
        for name in names:
            if name not in summary:
                raise UnknownNameError("measure", name, summary)
    decimals = {name: decimals_for([summary[name] for summary in rows.values()]) for name in names}
    cells = [["agent", *names, "episodes"]]
    for agent, summary in rows.items():
        label = agent.replace("|", "\\|") if markdown else agent
        count = max((summary[name].count for name in names), default=0)
        cells.append([label, *(_format(summary[name], decimals[name]) for name in names), str(count)])
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = [
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))] for row in cells
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" if markdown else "-" * width for width in widths[1:])]
    lines.insert(1, rule)
    return "\n".join("| " + " | ".join(line) + " |" if markdown else "  ".join(line) for line in lines)


def decimals_for(intervals: Iterable[Interval]) -> int:
    """Return how many decimals a column of `intervals` needs: 3 for rates and small values, 1 from ten on.

    Args:
        intervals: The cells of the column.

    Returns:
        3 or 1.
    """
    largest = max((abs(v) for i in intervals for v in (i.mean, i.low, i.high) if math.isfinite(v)), default=0.0)
    return 3 if largest < 10 else 1


def _format(interval: Interval, decimals: int) -> str:
    ends = (f"{v:.{decimals}f}" if math.isfinite(v) else "?" for v in (interval.low, interval.high))
    return f"{interval.mean:.{decimals}f} [{', '.join(ends)}]"


def _checked(values: Sequence[float] | np.ndarray, confidence: float) -> np.ndarray:
    data = np.asarray(values, np.float64)
    if data.ndim != 1 or len(data) == 0:
        raise ConfigurationError(f"The values have shape {data.shape}; expected (n,) with at least one.")
    if not np.isfinite(data).all():
        raise ConfigurationError(
            f"Value {int(np.argmin(np.isfinite(data)))} of {len(data)} is NaN or infinite; a mean needs finite values."
        )
    _two_sided_quantile(confidence)
    return data


def _mean(data: np.ndarray) -> float:
    # A mean of equal values must be that value, and rounding must not push a mean out of its interval.
    return float(np.clip(data.mean(), data.min(), data.max()))


def _two_sided_quantile(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ConfigurationError(f"confidence is {confidence!r}; expected a share between 0 and 1, such as 0.95.")
    return float(ndtri(0.5 + confidence / 2))


def _resampled_means(data: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    means = np.empty(resamples)
    batch = max(1, _DRAWS_AT_ONCE // len(data))
    for start in range(0, resamples, batch):
        size = min(batch, resamples - start)
        means[start : start + size] = data[rng.integers(0, len(data), (size, len(data)))].mean(axis=1)
    return means
