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
    assert "12" in printed and "Walkable floor" in printed and "Storeys" in printed
    assert (tmp_path / "plan.png").stat().st_size > 1000


def test_doctor_finds_this_machine_healthy(capsys):
    main(["doctor"])
    assert "FAIL" not in capsys.readouterr().out


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
