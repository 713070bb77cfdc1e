"""Every scripted agent acts in every task of navigation, or is refused with the reason."""

import json

import numpy as np
import pytest

from harken.agents import GoalFollower, agents_for, make_agent
from harken.cli import main
from harken.configs import to_yaml
from harken.envs import TaskEnv
from harken.errors import ConfigurationError
from harken.registration import tasks_of
from harken.tasks import Action, NavigationSettings, NavigationTask

AGENTS = ("oracle", "goal-follower", "follower", "forward", "random")

REFUSED = {
    ("audiogoal", "goal-follower"): "needs to be told where a goal is",
    ("dynamic-audiogoal", "goal-follower"): "needs to be told where a goal is",
    ("semantic-audiogoal", "goal-follower"): "needs to be told where a goal is",
    ("multi-goal", "goal-follower"): "needs to be told where a goal is",
    ("echo-explore", "goal-follower"): "needs to be told where a goal is",
    ("pointgoal", "follower"): "needs the sound of a goal to follow",
    ("echo-explore", "follower"): "needs the sound of a goal to follow",
    ("echo-explore", "forward"): "needs a goal to stop at",
}
"""Why an agent cannot act in a task."""

KNOWN = {
    "audiogoal", "audiopointgoal", "pointgoal", "dynamic-audiogoal", "semantic-audiogoal", "multi-goal", "echo-explore"
}  # fmt: skip
"""Tasks of which `REFUSED` tells everything."""


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("task", tasks_of("navigation"))
def test_eval_runs_every_scripted_agent_in_every_task_or_says_why_not(task, agent, tmp_path, capsys):
    quick = {"max_steps": 6}
    settings = TaskEnv(task).settings
    if hasattr(settings, "acoustics"):
        quick["acoustics"] = {"rays": 200, "duration": 0.3}
    (tmp_path / "quick.yaml").write_text(to_yaml(TaskEnv(task, config=quick).settings))
    words = ["eval", task, "--agent", agent, "--config", tmp_path / "quick.yaml", "--split", "val", "--episodes", "1"]
    words += ["--recorded", "0", "--workers", "1", "--out", tmp_path / "out"]
    can_act = (task, agent) not in REFUSED if task in KNOWN else agent in agents_for(TaskEnv(task).task)
    if not can_act:
        with pytest.raises(SystemExit):
            main([str(word) for word in words])
        said = capsys.readouterr().err
        assert "cannot act in" in said and "Those that can: " in said and REFUSED.get((task, agent), "") in said
        return
    main([str(word) for word in words])
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["episodes"] == 1 and len(metrics["checksum"]) == 16


def seen(ahead, left, depth=5.0):
    return {
        "pointgoal": np.array([ahead, left], np.float32),
        "depth": np.full((128, 128, 1), depth, np.float32),
        "collision": np.zeros(1, np.float32),
    }


@pytest.mark.parametrize(
    ("ahead", "left", "action"),
    [
        (5.0, 0.0, Action.MOVE_FORWARD),
        (0.0, 5.0, Action.TURN_LEFT),
        (0.0, -5.0, Action.TURN_RIGHT),
        (0.7, 0.6, Action.STOP),
        (0.8, 0.7, Action.TURN_LEFT),
    ],
)
def test_the_goal_follower_turns_to_the_goal_walks_and_stops_within_the_success_distance(ahead, left, action):
    agent = GoalFollower(NavigationSettings())
    agent.reset(0)
    assert agent.act(seen(ahead, left)) == action


def test_the_goal_follower_turns_away_from_a_wall_before_it():
    agent = GoalFollower(NavigationSettings())
    agent.reset(0)
    assert agent.act(seen(5.0, 0.0, depth=0.4)) in (Action.TURN_LEFT, Action.TURN_RIGHT)


def test_the_goal_follower_finds_what_lies_straight_ahead():
    env = TaskEnv("pointgoal", split="val", difficulty="easy", sensors=GoalFollower.sensors)
    agent = make_agent("goal-follower", env.task)
    successes = []
    for number in range(4):
        observation, _ = env.reset(options={"episode": number})
        agent.reset(number)
        ended, info = False, {}
        while not ended:
            observation, _, terminated, truncated, info = env.step(agent.act(observation))
            ended = terminated or truncated
        successes.append(info["success"])
    assert sum(successes) >= 3


def test_a_refusal_names_the_agents_that_can_act():
    task = NavigationTask(NavigationSettings(), "val", sound=None)
    with pytest.raises(ConfigurationError, match=r"'follower' cannot act.*no sensor waveform.*random, forward, oracle"):
        make_agent("follower", task)
