import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from render_recipes import Scenes, contents

from harken.errors import DataSetError, MissingDependencyError
from harken.render import render

SAMPLES, PER_SHARD = 20, 4
HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")
def test_a_cluster_of_two_nodes_writes_the_bytes_of_one_process_though_a_worker_is_killed(tmp_path):
    script = Path(__file__).with_name("on_ray.py")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "RAY_USAGE_STATS_ENABLED": "0"}
    words = [sys.executable, str(script), str(tmp_path), str(SAMPLES), str(PER_SHARD)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["nodes"], found["deaths"]) == (2, 1)
    assert found["killed"] == "" and found["continued"] == ""
    assert "cannot be made" in found["failing"] and "Sample" in found["failing"]

    render(Scenes(), tmp_path / "here", samples=SAMPLES, samples_per_shard=PER_SHARD, progress=False)
    here = contents(tmp_path / "here")
    assert contents(tmp_path / "failing") == here
    killed = contents(tmp_path / "killed")
    assert [name for name in here if killed[name] != here[name]] == ["README.md"]  # another recipe's description


@pytest.mark.skipif(not HAS_RAY, reason="ray is not installed")
def test_a_cluster_that_is_not_there_is_reported(tmp_path):
    with pytest.raises(DataSetError, match=r"No Ray cluster at '127.0.0.1:1'"):
        render(Scenes(), tmp_path, samples=4, ray="127.0.0.1:1", progress=False)


def test_without_ray_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "harken\[scale\]"'):
        render(Scenes(), tmp_path / "set", samples=4, ray="auto", progress=False)
    assert not (tmp_path / "set").exists()
