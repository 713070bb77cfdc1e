"""Does an agent need what it senses? The same episodes again, with one cause changed, and what that costs.

The simulator is deterministic, so an episode with an intervention differs from the one without in nothing else, and the
differences are taken episode by episode.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from harken.envs.interventions import Intervention, InterventionName
from harken.errors import EpisodeError, UnknownNameError
from harken.eval.records import EpisodeResult
from harken.eval.runner import Evaluation
from harken.eval.statistics import Interval, bootstrap_interval

__all__ = ["COMPARED", "compare", "intervened", "paired_difference"]

COMPARED: tuple[str, ...] = ("success", "spl")
"""Measures whose change is reported, where a task has them."""


def intervened(evaluation: Evaluation, name: InterventionName) -> Evaluation:
    """Return an evaluation of the same agent over the same episodes with one intervention.

    Args:
        evaluation: The evaluation without it.
        name: What is changed; see `harken.envs.interventions.Intervention`.
    """
    change = functools.partial(Intervention, name=name)
    return dataclasses.replace(
        evaluation,
        wrappers=(change, *evaluation.wrappers),
        name=f"{evaluation.shown_name}, {name}",
        recorded=0,
        videos=None,
    )


def paired_difference(
    before: Sequence[EpisodeResult],
    after: Sequence[EpisodeResult],
    measure: str,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the mean change of a measure from one evaluation to another of the same episodes.

    The bootstrap draws episodes, so what makes an episode hard or easy falls out of the difference.

    Args:
        before: Episodes of the one.
        after: The same episodes of the other.
        measure: Name of the measure.
        confidence: Share of such intervals that hold the true change, in (0, 1).
        resamples: Number of bootstrap samples.
        seed: Seed of the resampling.

    Returns:
        Mean and interval of ``after - before``; see `harken.eval.bootstrap_interval`.

    Raises:
        EpisodeError: These are not the same episodes.
        UnknownNameError: An episode lacks the measure.
    """
    places = [[(row.index, row.episode) for row in rows] for rows in (before, after)]
    if places[0] != places[1]:
        raise EpisodeError(
            f"{len(before)} episodes were compared with {len(after)}, not the same ones in the same order; evaluate "
            "both over the same episodes."
        )
    for row in (*before, *after):
        if measure not in row.measures:
            raise UnknownNameError("measure", measure, row.measures)
    changes = [b.measures[measure] - a.measures[measure] for a, b in zip(before, after, strict=True)]
    return bootstrap_interval(changes, confidence=confidence, resamples=resamples, seed=seed)


def compare(
    before: Sequence[EpisodeResult], interventions: Mapping[str, Sequence[EpisodeResult]]
) -> dict[str, dict[str, Interval]]:
    """Return what each intervention changes.

    Args:
        before: Episodes without an intervention.
        interventions: The same episodes by the name of the intervention.

    Returns:
        By intervention the change of each measure of `COMPARED` that the task has, as ``success_change``.
    """
    measures = [name for name in COMPARED if name in before[0].measures]
    return {
        name: {f"{measure}_change": paired_difference(before, after, measure) for measure in measures}
        for name, after in interventions.items()
    }
