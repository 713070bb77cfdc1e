"""Run agents over episodes, aggregate with confidence intervals, and report."""

from harken.eval.intervening import compare, intervened, paired_difference
from harken.eval.judging import judge_policy
from harken.eval.partial import PartialResults
from harken.eval.records import EpisodeRecord, EpisodeResult, read_table, write_table
from harken.eval.report.page import write_report
from harken.eval.results import write_results
from harken.eval.runner import Evaluation, evaluate, open_evaluation, run_episode
from harken.eval.statistics import (
    Interval,
    bootstrap_interval,
    format_table,
    mean_interval,
    summarise,
    wilson_interval,
)

__all__ = [
    "EpisodeRecord",
    "EpisodeResult",
    "Evaluation",
    "Interval",
    "PartialResults",
    "bootstrap_interval",
    "compare",
    "evaluate",
    "format_table",
    "intervened",
    "judge_policy",
    "mean_interval",
    "open_evaluation",
    "paired_difference",
    "read_table",
    "run_episode",
    "summarise",
    "wilson_interval",
    "write_report",
    "write_results",
    "write_table",
]
