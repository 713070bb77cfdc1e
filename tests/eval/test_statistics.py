import json
import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest, bootstrap

from harken.errors import ConfigurationError, EpisodeError, UnknownNameError
from harken.eval.records import EpisodeResult
from harken.eval.statistics import (
    Interval,
    bootstrap_interval,
    decimals_for,
    format_table,
    mean_interval,
    summarise,
    wilson_interval,
)


def result(name: str, **measures: float) -> EpisodeResult:
    return EpisodeResult(episode=name, index=0, agent="walker", scene="home", sound="bell", measures=measures)


@pytest.mark.parametrize("count", [8, 40, 300])
def test_bootstrap_agrees_with_scipy(count):
    values = np.random.default_rng(count).exponential(size=count)
    ours = bootstrap_interval(values, resamples=20_000)
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="BCa", random_state=1).confidence_interval
    # Two runs of 20,000 resamples place a 2.5 % quantile to about 1.5 % of the interval's width each.
    tolerance = 0.05 * (theirs.high - theirs.low)
    assert ours.mean == pytest.approx(values.mean())
    assert ours.low == pytest.approx(theirs.low, abs=tolerance)
    assert ours.high == pytest.approx(theirs.high, abs=tolerance)


def test_bootstrap_covers_the_true_mean_of_skewed_values_as_often_as_it_says():
    trials, rng = 400, np.random.default_rng(5)
    samples = rng.exponential(size=(trials, 60))
    intervals = [bootstrap_interval(sample, resamples=1000, seed=i) for i, sample in enumerate(samples)]
    covered = sum(i.low <= 1.0 <= i.high for i in intervals)
    # BCa covers 93–95 % at n = 60 for an exponential; the bounds leave out one in 10,000 on either side of that.
    assert binom.ppf(1e-4, trials, 0.93) <= covered <= binom.ppf(1 - 1e-4, trials, 0.95)


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).normal(size=50)
    assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)
    assert bootstrap_interval(values, seed=3) != bootstrap_interval(values, seed=4)


def test_global_random_state_is_neither_read_nor_changed():
    values = np.arange(20.0)
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = bootstrap_interval(values)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert bootstrap_interval(values) == first


def test_more_confidence_widens_and_more_values_narrow_the_interval():
    values = np.random.default_rng(2).gamma(2.0, size=400)
    width = {c: (lambda i: i.high - i.low)(bootstrap_interval(values, confidence=c)) for c in (0.8, 0.95, 0.99)}
    assert width[0.8] < width[0.95] < width[0.99]
    few = bootstrap_interval(values[:25])
    assert few.high - few.low > width[0.95]


def test_many_values_need_little_memory():
    import tracemalloc

    values = np.random.default_rng(0).normal(size=20_000)
    tracemalloc.start()
    bootstrap_interval(values, resamples=500)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # All 500 × 20,000 indices at once would be 80 MB, the values that they pick as much again.
    assert peak < 24e6


def test_extreme_confidence_and_skew_stay_within_the_values():
    values = np.array([0.0] * 99 + [1000.0])
    interval = bootstrap_interval(values, confidence=1 - 1e-12)
    assert 0.0 <= interval.low <= interval.mean <= interval.high <= 1000.0


def test_equal_values_give_a_point_and_a_single_value_an_unknown_interval():
    assert bootstrap_interval([0.1] * 7) == Interval(mean=0.1, low=0.1, high=0.1, count=7)
    alone = bootstrap_interval([4.5])
    assert alone.mean == 4.5
    assert math.isnan(alone.low)
    assert math.isnan(alone.high)
    assert json.loads(json.dumps(alone.to_mapping(), allow_nan=False))["low"] is None


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (10, 10), (3, 50), (1, 1), (0, 1), (499, 1000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_wilson_agrees_with_scipy(successes, count, confidence):
    ours = wilson_interval(successes, count, confidence=confidence)
    theirs = binomtest(successes, count).proportion_ci(confidence, method="wilson")
    assert ours.mean == successes / count
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_outcomes_of_zero_and_one_get_wilson_and_others_the_bootstrap():
    assert mean_interval([0, 0, 0, 0]) == wilson_interval(0, 4)
    assert mean_interval([1.0, 0.0, 1.0]) == wilson_interval(2, 3)
    assert mean_interval([1.0, 0.0, 0.5]) == bootstrap_interval([1.0, 0.0, 0.5])
    assert mean_interval([0, 0, 0, 0]).high > 0.3, "no success in four is no proof that there never is one"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bootstrap_interval([]), "at least one"),
        (lambda: bootstrap_interval([[1.0, 2.0]]), r"\(1, 2\)"),
        (lambda: bootstrap_interval([1.0, math.nan]), "Value 1 of 2 is NaN"),
        (lambda: bootstrap_interval([1.0, math.inf]), "infinite"),
        (lambda: bootstrap_interval([1.0, 2.0], confidence=95), "95"),
        (lambda: bootstrap_interval([1.0, 2.0], confidence=0.0), "confidence"),
        (lambda: bootstrap_interval([1.0, 2.0], resamples=10), "resamples is 10"),
        (lambda: mean_interval([]), "at least one"),
        (lambda: wilson_interval(3, 2), "3 successes in 2"),
        (lambda: wilson_interval(0, 0), "0 successes in 0"),
        (lambda: wilson_interval(-1, 5), "-1 successes"),
        (lambda: wilson_interval(1, 5, confidence=1.0), "confidence"),
        (lambda: format_table({}), "no summary"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(ConfigurationError, match=words):
        call()


def test_summary_keeps_the_order_of_measures_and_counts_episodes():
    episodes = [result(str(i), success=float(i % 2), steps=10.0 + i) for i in range(8)]
    summary = summarise(iter(episodes))
    assert list(summary) == ["success", "steps"]
    assert summary["success"] == wilson_interval(4, 8)
    assert summary["steps"].mean == 13.5
    assert {interval.count for interval in summary.values()} == {8}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_measure_that_is_not_finite_names_its_episode(value):
    with pytest.raises(EpisodeError, match=r"'kitchen-7' of agent 'walker' has spl"):
        summarise([result("hall-1", spl=0.5), result("kitchen-7", spl=value)])


def test_episodes_with_other_measures_or_none_are_refused():
    with pytest.raises(EpisodeError, match=r"'b'.*'a'.*sna"):
        summarise([result("a", spl=0.5), result("b", spl=0.5, sna=0.1)])
    with pytest.raises(EpisodeError, match="no episodes"):
        summarise([])


def test_table_columns_align_and_choose_their_decimals():
    rows = {
        "random": {"success": wilson_interval(3, 50), "steps": bootstrap_interval([100.0, 220.0, 340.0])},
        "oracle": {"success": wilson_interval(50, 50), "steps": bootstrap_interval([20.0])},
    }
    lines = format_table(rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[0].split() == ["agent", "success", "steps", "episodes"]
    assert "0.060 [0.021, 0.162]" in lines[2]
    assert "20.0 [?, ?]" in lines[3]


def test_markdown_table_escapes_bars_and_has_a_rule():
    summary = {"success": wilson_interval(1, 2), "spl": wilson_interval(0, 2)}
    lines = format_table({"a|b": summary}, ["success"], markdown=True).splitlines()
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    assert set(lines[1]) <= set("|-: ")
    assert "a\\|b" in lines[2]
    assert "spl" not in lines[0]


def test_unknown_measure_suggests_a_known_one():
    with pytest.raises(UnknownNameError, match="Did you mean 'success'"):
        format_table({"random": {"success": wilson_interval(1, 2)}}, ["sucess"])


def test_decimals_follow_the_largest_value():
    assert decimals_for([wilson_interval(1, 2)]) == 3
    assert decimals_for([bootstrap_interval([5.0, 50.0])]) == 1
    assert decimals_for([]) == 3
