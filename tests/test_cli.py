import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
import trimesh

from harken.cli import main
from harken.errors import HarkenWarning


def harken(*words, status=0, **environment):
    """Run the command line in a process of its own and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "harken.cli", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=300,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def hall(tmp_path_factory):
    """A hall as a user's mesh."""
    box = trimesh.creation.box(extents=[8, 3, 6])
    box.apply_translation([0, 1.5, 0])
    path = tmp_path_factory.mktemp("mesh") / "hall.glb"
    box.export(path)
    return path


def test_eval_writes_metrics_table_settings_and_report(tmp_path, capsys):
    main(["eval", "audiogoal", "--agent", "oracle", "--split", "val", "--episodes", "2", "--workers", "1",
          "--recorded", "1", "--videos", "--out", str(tmp_path / "out")])  # fmt: skip
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["success"]["mean"] == 1.0
    assert {"episodes.csv", "config.yaml", "report.html", "oracle-0.mp4"} <= set(os.listdir(tmp_path / "out"))
    assert "success" in capsys.readouterr().out


def test_eval_runs_on_a_users_mesh_and_recording(tmp_path, hall):
    import soundfile

    rate = 22_050
    hum = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    soundfile.write(tmp_path / "hum.wav", np.stack([hum, hum], 1), rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)
        main(["eval", "audiogoal", "--agent", "oracle", "--scene", str(hall), "--sound", str(tmp_path / "hum.wav"),
              "--episodes", "2", "--workers", "1", "--recorded", "0", "--out", str(tmp_path / "out")])  # fmt: skip
    assert json.loads((tmp_path / "out" / "metrics.json").read_text())["success"]["mean"] == 1.0


def test_scene_reports_on_a_mesh_and_draws_its_plan(tmp_path, hall, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", HarkenWarning)
        main(["scene", str(hall), "--out", str(tmp_path / "plan.png")])
    printed = capsys.readouterr().out
    assert "12" in printed and "m² in one piece" in printed and "storeys at" in printed
    assert (tmp_path / "plan.png").stat().st_size > 1000


def test_doctor_finds_this_machine_healthy(capsys):
    main(["doctor"])
    printed = capsys.readouterr().out
    assert "FAIL" not in printed and "habitat-sim" in printed


def test_demo_writes_a_report_and_videos(tmp_path, capsys):
    main(["demo", "--out", str(tmp_path / "demo"), "--episodes", "1", "--agent", "oracle"])
    assert {"report.html", "metrics.json", "oracle-0.mp4"} <= set(os.listdir(tmp_path / "demo"))
    assert "report.html" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eval", "audiogoal", "--agent", "oracel"), "Did you mean 'oracle'"),
        (("eval", "audiogoal", "--split", "tset"), "Did you mean 'test'"),
        (("eval", "audiogoal", "--preset", "soundspaces"), "Did you mean 'soundspaces"),
        (("eval", "audiogoal", "--episodes", "0"), "at least 1"),
        (("eval", "audiogoal", "--scene", "missing.glb"), "missing.glb"),
        (("eval", "audiogoal", "--sound", "missing.wav"), "missing.wav"),
        (("scene", "missing.obj"), "missing.obj"),
        (("bench", "nothing"), "Unknown benchmark"),
    ],
)
def test_errors_are_one_line_and_end_with_status_2(words, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([*words, "--workers", "1"] if words[0] == "eval" else list(words))
    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert message in said and said.startswith("harken: ") and "Traceback" not in said


def test_an_unknown_option_is_refused():
    assert "agent" in harken("eval", "audiogoal", "--agnet", "oracle", status=2)


def test_a_cache_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    said = harken("doctor", status=1, HARKEN_CACHE=str(blocked / "cache"))
    assert "HARKEN_CACHE" in said and "cannot be written" in said


def test_the_version_is_told(capsys):
    import harken as package

    main(["--version"])
    assert capsys.readouterr().out == f"harken {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evall", "audiogoal"), "Unknown command 'evall'. Did you mean 'eval'?"),
        (("render", "clipz"), "Unknown recipe 'clipz'. Did you mean 'clips'?"),
        (("eval", "audiogaol"), "Did you mean 'audiogoal'"),
        (("eval", "audiogoal", "--sound", "no/such.wav"), "--sound: there is no file or folder 'no/such.wav'"),
        (("eval", "audiogoal", "--preset", "soundspaces1", "--config", "x.yaml"), "expected one of them"),
        (("eval", "audiogoal", "--preset", "near-target"), "preset of NavigationSettings"),
        (("eval", "pointgoal", "--sound", "telephone"), "Unknown argument of pointgoal 'sound'"),
        (("eval", "audiogoal", "--wrapper", "nowhere:Nothing"), "There is no wrapper"),
        (("eval", "audiogoal", "--agent", "missing.zip"), "There is no model 'missing.zip'"),
        (("eval", "audiogoal", "--attacker", "decoy"), "nothing attacks in the task of NavigationSettings"),
        (("eval", "adversarial-audiogoal", "--attacker", "decoi"), "Did you mean 'decoy'"),
        (("eval", "audiogoal", "--agent", "av-nvm"), "Unknown agent for NavigationSettings 'av-nvm'"),
        (("eval", "audiogoal", "--agent", "none.safetensors"), "none.safetensors"),
        (("eval", "audiogoal", "--agent", "av-nav", "--models", "nowhere"), "no folder of models 'nowhere'"),
        (("eval", "audiogoal", "--agent", "."), "no folder of a training"),
        (("eval", "pointgoal", "--agent", "oracle", "--intervene", "mute"), "changes waveform, spectrogram"),
        (("models", "nowhere"), "no folder of models 'nowhere'"),
        (("train", "audiogoal", "--no-imitation", "--no-reinforcement", "--out", "x"), "expected one of them"),
        (("train", "audiogoal", "--config", "missing.yaml"), "no configuration file 'missing.yaml'"),
        (("train", "audiogoal", "--resume", "--out", "missing"), "holds no training"),
        (("train", "audiogoal", "--steps", "0", "--out", "x"), "steps is 0"),
        (("train", "audiogoal", "--environments", "0", "--out", "x"), "environments is 0"),
    ],
)
def test_what_was_meant_is_suggested(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_outputs_that_cannot_be_made_are_refused_before_any_work(tmp_path, hall, capsys):
    (tmp_path / "file").write_text("")
    for words in (
        ["demo", "--out", str(tmp_path / "file")],
        ["eval", "audiogoal", "--out", str(tmp_path / "file" / "deeper")],
        ["scene", str(hall), "--out", str(tmp_path / "plan.xyz")],
        ["scene", str(hall), "--out", str(tmp_path / "file" / "plan.png")],
    ):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert stopped.value.code == 2
        assert "Traceback" not in capsys.readouterr().err


def test_a_terminal_that_knows_only_ascii_is_no_reason_to_fail(hall, tmp_path):
    said = harken("scene", hall, "--out", tmp_path / "plan.png", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert "m?" in said and "Traceback" not in said


def test_an_evaluation_that_was_killed_continues_to_the_same_table(tmp_path):
    import signal
    import time

    words = ["eval", "audiogoal", "--agent", "random", "--split", "val", "--episodes", "30", "--recorded", "0",
             "--workers", "1", "--out"]  # fmt: skip
    command = [sys.executable, "-m", "harken.cli", *words, str(tmp_path / "killed")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not any((tmp_path / "killed").glob(".*.partial.jsonl")):
        time.sleep(0.05)
    running.send_signal(signal.SIGKILL)
    running.wait()
    [partial] = (tmp_path / "killed").glob(".*.partial.jsonl")
    with partial.open("a") as file:
        file.write('{"episode": "cut')  # as a process leaves it that is killed while it writes
    kept = len(partial.read_text().splitlines()) - 1
    assert 0 < kept < 30
    harken(*words, tmp_path / "killed")
    harken(*words, tmp_path / "whole")
    assert not list((tmp_path / "killed").glob(".*"))
    tables = [(tmp_path / name / "episodes.csv").read_bytes() for name in ("killed", "whole")]
    assert tables[0] == tables[1]


def test_what_is_odd_about_a_mesh_is_said_once(tmp_path):
    box = trimesh.creation.box(extents=[0.4, 0.3, 0.5])
    box.export(tmp_path / "small.ply")
    said = harken("scene", tmp_path / "small.ply", "--out", tmp_path / "plan.png")
    assert said.count("looks like another unit") == 1
