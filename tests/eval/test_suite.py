import json
import math

import pytest

from harken.agents import find_model
from harken.cli import main
from harken.commands import suite_agents
from harken.errors import ConfigurationError
from harken.eval import Evaluation, Interval, SuiteRow, run_suite, suite_table
from harken.registration import tasks_of

QUICK = {"acoustics": {"rays": 200, "duration": 0.3}, "max_steps": 30}


def evaluations(agents=("random", "goal-follower"), tasks=("audiogoal", "pointgoal"), **changes):
    arguments = {"split": "val", "config": {**QUICK, **changes}}
    return [
        Evaluation(agent=agent, environment=task, arguments=arguments, episodes=2, recorded=0)
        for task in tasks
        for agent in agents
    ]


def test_rows_are_run_once_and_again_when_a_setting_changes(tmp_path):
    rows = run_suite(evaluations(), tmp_path, progress=False)
    assert [(row.task, row.agent, row.episodes) for row in rows] == [
        ("audiogoal", "random", 2), ("audiogoal", "goal-follower", 0), ("pointgoal", "random", 2),
        ("pointgoal", "goal-follower", 2),
    ]  # fmt: skip
    assert "needs to be told where a goal is" in rows[1].refusal
    metrics = tmp_path / "audiogoal" / "random" / "metrics.json"
    first, written = metrics.read_bytes(), metrics.stat().st_mtime_ns
    again = run_suite(evaluations(), tmp_path, progress=False)
    assert metrics.stat().st_mtime_ns == written and suite_table(again) == suite_table(rows)
    run_suite(evaluations(agents=("random",), tasks=("audiogoal",), step_reward=-0.02), tmp_path, progress=False)
    assert metrics.read_bytes() != first
    metrics.write_text("{")
    assert suite_table(run_suite(evaluations(), tmp_path, progress=False)) == suite_table(rows)


def test_a_suite_in_which_no_agent_can_act_is_an_error_with_the_reason(tmp_path):
    with pytest.raises(ConfigurationError, match="Did you mean 'oracle'"):
        run_suite(evaluations(agents=("oracel",)), tmp_path, progress=False)


def test_the_table_has_common_measures_in_columns_and_those_of_a_task_beside_them():
    half = Interval(mean=0.5, low=0.25, high=math.nan, count=4)
    rows = [
        SuiteRow(task="a", agent="x", summary={"success": half, "spl": half, "steps": half, "dspl": half},
                 checksum="00ff"),
        SuiteRow(task="b", agent="x|y", summary={}, refusal="it cannot"),
    ]  # fmt: skip
    lines = suite_table(rows).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]] == [
        "Task", "Agent", "Success", "SPL", "Soft SPL", "SNA", "Measures of the task", "Episodes",
    ]  # fmt: skip
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == [
        "a", "x", "0.50 [0.25, ?]", "0.50 [0.25, ?]", "–", "–", "DSPL 0.50 [0.25, ?]", "4",
    ]  # fmt: skip
    assert "- a, 4 episodes: `00ff`" in lines and lines[-1] == "- b, x|y: it cannot"


def test_the_command_runs_all_tasks_of_navigation_into_one_table(tmp_path, capsys):
    words = ["eval", "--suite", "navigation", "--agent", "random", "--split", "val", "--episodes", "1", "--sound",
             "heard", "--recorded", "0", "--workers", "1", "--out", str(tmp_path)]  # fmt: skip
    main(words)
    printed = capsys.readouterr().out
    table = (tmp_path / "suite.md").read_text()
    assert table.strip() in printed
    for task in tasks_of("navigation"):
        assert f"| {task} " in table
        metrics = json.loads((tmp_path / task / "random" / "metrics.json").read_text())
        assert metrics["checksum"] in table
    report = (tmp_path / "report.html").read_text()
    assert "audiogoal/random/report.html" in report and "Success" in report and "{{" not in report
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("metrics.json")}
    main(words)
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("metrics.json")}


def test_a_suite_has_the_models_that_were_trained_for_a_task(tmp_path):
    agents = suite_agents("audiogoal")
    assert agents[:4] == ("oracle", "goal-follower", "follower", "random") and {"av-nav", "av-wan"} <= {*agents[4:]}
    assert "av-nav-dynamic" in suite_agents("dynamic-audiogoal") and "av-nav" not in suite_agents("dynamic-audiogoal")
    model = find_model("av-nav")
    (tmp_path / "mine.safetensors").write_bytes(model.weights.read_bytes())
    (tmp_path / "mine.yaml").write_text(
        model.weights.with_suffix(".yaml").read_text().replace("task: audiogoal", "task: quietnav")
    )
    assert suite_agents("quietnav", str(tmp_path))[4:] == ("mine",)
    assert "mine" not in suite_agents("quietnav")
    for file in sorted(tmp_path.iterdir()):
        file.rename(file.with_stem("av-nav"))
    assert "av-nav" in suite_agents("quietnav", str(tmp_path)), "a model of one's own takes the name"
    assert "av-nav" not in suite_agents("audiogoal", str(tmp_path))


@pytest.mark.parametrize("words", [("--preset", "soundspaces1"), ("--checksum", "00"), ("--episodes", "list.json.gz")])
def test_what_means_something_for_one_task_only_is_refused_for_a_suite(words, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["eval", "--suite", "navigation", *words, "--out", str(tmp_path)])
    assert words[0] in capsys.readouterr().err
