"""From the command line: train, go on, evaluate what was trained, intervene, list models."""

import json
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs harken[train]")
for package in ("sb3_contrib", "safetensors", "tensorboard"):
    pytest.importorskip(package, reason="needs harken[train]")

from harken.agents import PolicyAgent, find_model, list_models, make_agent  # noqa: E402
from harken.agents.training import ImitationSettings, TrainSettings  # noqa: E402
from harken.agents.training.checkpoint import read_card  # noqa: E402
from harken.cli import main  # noqa: E402
from harken.configs import load_preset  # noqa: E402
from harken.envs import TaskEnv  # noqa: E402
from harken.errors import ConfigurationError, UnknownNameError  # noqa: E402
from harken.eval import read_table  # noqa: E402
from harken.tasks import NavigationSettings  # noqa: E402

QUICK = (
    "--environments", "2", "--workers", "1", "--network-threads", "1", "--device", "cpu", "--pool.homes", "1",
    "--pool.together", "1", "--imitation.rollout", "8", "--imitation.batch", "16", "--reinforcement.rollout", "8",
    "--reinforcement.batch", "16",
)  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a training of AudioGoal that was not evaluated."""
    out = tmp_path_factory.mktemp("trained") / "listener"
    main(["train", "audiogoal", "--agent", "av-nav", "--steps", "64", "--evaluate-every", "0", *QUICK,
          "--curriculum.steps", "1000000", "--out", str(out)])  # fmt: skip
    return out


def curve(folder):
    return [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]


def test_a_training_leaves_weights_settings_card_and_curve(trained):
    settings = load_preset(TrainSettings, trained / "config.yaml")
    assert (settings.imitation.steps, settings.reinforcement.steps) == (45, 19)
    assert load_preset(NavigationSettings, trained / "task.yaml").body.camera.width == 64
    assert {"best.safetensors", "last.safetensors", "card.yaml"} <= set(os.listdir(trained))
    lines = curve(trained)
    assert [line["stage"] for line in lines] == [*["imitation"] * 3, "reinforcement"]
    assert lines[-1]["steps"] == 64
    for line in lines:
        shares = [line[f"time/{phase}"] for phase in ("environments", "actions", "learning")]
        assert sum(shares) == pytest.approx(1.0) and min(shares) > 0.0
    expected = {"body": {"camera": {"width": 64, "height": 64}}, "observation_time": 0.25}
    assert read_card(trained / "best.safetensors")["config"] == expected


def test_another_teacher_is_imitated_where_the_task_has_one(tmp_path, capsys):
    arguments = ["train", "quietnav", "--no-reinforcement", "--imitation.steps", "16", "--evaluate-every", "0", *QUICK]
    main([*arguments, "--imitation.teacher", "quiet_oracle", "--preset", "quietnav", "--out", str(tmp_path / "quiet")])
    [line] = curve(tmp_path / "quiet")
    assert line["stage"] == "imitation" and 0.0 < line["train/agreement"] < 1.0
    assert read_card(tmp_path / "quiet" / "best.safetensors")["preset"] == "quietnav"
    assert "quiet_oracle" not in PolicyAgent.load(tmp_path / "quiet").sensors
    with pytest.raises(SystemExit):
        main([*arguments, "--imitation.teacher", "loud_oracle", "--out", str(tmp_path / "other")])
    assert "loud_oracle" in capsys.readouterr().err
    with pytest.raises(ConfigurationError, match="acts in way points, which only 'oracle' chooses"):
        TrainSettings(agent="av-wan", imitation=ImitationSettings(teacher="quiet_oracle"))


def test_tensorboard_gets_what_the_curve_has(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    written = {}
    for path in sorted((trained / "log").glob("events*")):
        events = EventAccumulator(str(path))
        events.Reload()
        for tag in events.Tags()["scalars"]:
            written.setdefault(tag, []).extend((event.step, event.value) for event in events.Scalars(tag))
    lines = curve(trained)
    assert {"rate", "time/learning", "train/value_loss", "episode/success", "episode/spl"} <= set(written)
    assert written["rate"] == [(line["steps"], pytest.approx(line["rate"])) for line in lines]


def test_the_same_command_and_resume_find_the_training_done(trained, capsys):
    before = (trained / "last.safetensors").read_bytes()
    main(["train", "--resume", "--out", str(trained)])
    assert (trained / "last.safetensors").read_bytes() == before
    assert "harken eval audiogoal --agent" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["train", "--resume", "--seed", "3", "--out", str(trained)])
    assert "other settings: seed" in capsys.readouterr().err


def test_options_change_a_file_of_settings(trained, tmp_path, capsys):
    """The training itself is refused, because its folder holds another; the message names what differs."""
    shutil.copy(trained / "config.yaml", tmp_path / "mine.yaml")
    with pytest.raises(SystemExit):
        main(["train", "--config", str(tmp_path / "mine.yaml"), "--pool.homes", "7", "--out", str(trained)])
    assert "other settings: pool (config.yaml)" in capsys.readouterr().err
    main(["train", "--config", str(tmp_path / "mine.yaml"), "--out", str(trained)])


def test_a_switched_off_stage_leaves_its_steps_to_the_other(tmp_path):
    main(["train", "pointgoal", "--no-imitation", "--steps", "16", *QUICK, "--evaluation-episodes", "1", "--videos",
          "--out", str(tmp_path)])  # fmt: skip
    assert {line["stage"] for line in curve(tmp_path)} == {"reinforcement"}
    assert "val/spl" in curve(tmp_path)[-1]
    [video] = (tmp_path / "videos").glob("*.mp4")
    assert video.stem == "000000000016-0" and video.stat().st_size > 10_000


def test_the_curriculum_bounds_the_distance_and_then_does_not():
    from harken.agents.training import CurriculumSettings
    from harken.agents.training.resuming import Resumable

    rules = CurriculumSettings(steps=100, begin=3.0, end=13.0)
    assert [rules.most_distance(steps) for steps in (0, 50, 99, 100)] == [3.0, 8.0, pytest.approx(12.9), None]
    env = Resumable(TaskEnv("pointgoal", sensors=("pose",), split="val"))
    env.reset(seed=0)
    env.limit_distance(3.0)
    near = []
    for _ in range(8):
        env.reset()
        near.append(env.unwrapped.task.episode.geodesic_distance)
    assert max(near) <= 3.0
    snapshot = env.snapshot()
    env.limit_distance(None)
    env.reset()
    env.restore(snapshot)
    assert env.unwrapped.task.episode.geodesic_distance == near[-1]
    env.limit_distance(None)
    env.reset(seed=0)
    unbounded = TaskEnv("pointgoal", sensors=("pose",), split="val")
    unbounded.reset(seed=0)
    assert env.unwrapped.task.episode == unbounded.task.episode
    with pytest.raises(ConfigurationError, match="ends at 2 m"):
        CurriculumSettings(begin=3.0, end=2.0)


def evaluated(agent, out, *more):
    main(["eval", "audiogoal", "--agent", str(agent), "--split", "val", "--episodes", "2", "--recorded", "0",
          "--workers", "1", "--out", str(out), *more])  # fmt: skip
    return read_table(out / "episodes.csv")


def test_a_training_is_evaluated_by_its_folder_its_file_and_its_name_in_a_source(trained, tmp_path, capsys):
    source = tmp_path / "source"
    source.mkdir()
    shutil.copy(trained / "best.safetensors", source / "ears.safetensors")
    shutil.copy(trained / "card.yaml", source / "ears.yaml")
    by_folder = evaluated(trained, tmp_path / "1")
    by_name = evaluated("ears", tmp_path / "2", "--models", str(source))
    assert [row.agent for row in by_folder + by_name] == ["listener"] * 2 + ["ears"] * 2
    assert [row.measures for row in by_folder] == [row.measures for row in by_name]
    capsys.readouterr()
    main(["models", str(source)])
    said = capsys.readouterr().out
    assert "ears: AV-Nav, small" in said and "64 steps" in said and "1 generated homes" in said
    (source / "ears.yaml").unlink()
    with pytest.raises(ConfigurationError, match="has no card"):
        list_models(source)


def test_interventions_are_compared_episode_by_episode(trained, tmp_path, capsys):
    rows = evaluated(trained, tmp_path, "--intervene", "mute", "swap-ears")
    assert [row.agent for row in rows[::2]] == ["listener", "listener, mute", "listener, swap-ears"]
    metrics = json.loads((tmp_path / "metrics.json").read_text())["interventions"]
    for name, first in (("listener, mute", 2), ("listener, swap-ears", 4)):
        for measure in ("success", "spl"):
            change = np.mean([rows[first + i].measures[measure] - rows[i].measures[measure] for i in (0, 1)])
            assert metrics[name][f"{measure}_change"]["mean"] == pytest.approx(change)
    assert "spl_change" in capsys.readouterr().out
    report = (tmp_path / "report.html").read_text()
    assert "What it needs to sense" in report and "Change of SPL" in report


def test_a_policy_for_other_sensors_is_an_error_that_names_both(trained):
    task = TaskEnv("pointgoal").task
    with pytest.raises(
        ConfigurationError, match=r"trained with the sensors .*spectrogram.*; the task has no .*pointgoal"
    ):
        make_agent(trained, task)


def test_no_weights_are_shipped_under_a_name_that_is_not_listed():
    names = [model.name for model in list_models()]
    for name in names:
        assert isinstance(make_agent(name, TaskEnv(find_model(name).card.task).task), PolicyAgent)
    with pytest.raises(UnknownNameError, match="Unknown model 'nothing'"):
        find_model("nothing")


def test_models_say_how_to_train_where_none_are(tmp_path, capsys):
    main(["models", str(tmp_path)])
    assert "harken train audiogoal" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "summary: x\n", "task: 3\nnothing: 1\n", "- a\n"])
def test_a_damaged_card_is_an_error(trained, tmp_path, text):
    shutil.copy(trained / "best.safetensors", tmp_path / "model.safetensors")
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"model\.yaml|configuration key"):
        list_models(tmp_path)
