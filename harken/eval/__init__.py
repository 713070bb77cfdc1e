"""Run agents over episodes, aggregate with confidence intervals, and report."""

from harken.eval.intervening import compare, intervened, paired_difference
from harken.eval.judging import judge_policy
from harken.eval.partial import PartialResults
from harken.eval.records import EpisodeRecord, EpisodeResult, list_checksum, read_table, write_table
from harken.eval.report.page import write_report
from harken.eval.report.suite import write_suite_report
from harken.eval.results import write_results
from harken.eval.runner import Evaluation, check_list, evaluate, evaluation_key, open_evaluation, run_episode
from harken.eval.statistics import (
    Interval,
    bootstrap_interval,
    format_table,
    mean_interval,
    summarise,
    wilson_interval,
)
from harken.eval.suite import SuiteRow, row_folder, run_suite, suite_columns, suite_table

__all__ = [
    "EpisodeRecord",
    "EpisodeResult",
    "Evaluation",
    "Interval",
    "PartialResults",
    "SuiteRow",
    "bootstrap_interval",
    "check_list",
    "compare",
    "evaluate",
    "evaluation_key",
    "format_table",
    "intervened",
    "judge_policy",
    "list_checksum",
    "mean_interval",
    "open_evaluation",
    "paired_difference",
    "read_table",
    "row_folder",
    "run_episode",
    "run_suite",
    "suite_columns",
    "suite_table",
    "summarise",
    "wilson_interval",
    "write_report",
    "write_results",
    "write_suite_report",
    "write_table",
]
