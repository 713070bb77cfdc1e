"""habitat-lab's stock benchmarks run on Harken with one override.

habitat-lab asks for one version of NumPy and an old gym, so it mostly has an environment of its own: HARKEN_HABITAT_LAB
is a Python that has it and Harken's dependencies; docs/habitat.md says how to make one.
"""

import functools
import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

import harken
from harken.errors import MissingDependencyError
from harken.integrations.habitat_lab import register

EPISODES = Path(__file__).parent / "lab_episodes.py"


@functools.cache
def habitat_lab() -> str:
    """Return a Python that has habitat-lab, or skip the test."""
    python = os.environ.get("HARKEN_HABITAT_LAB")
    if python is None:
        if importlib.util.find_spec("habitat") is None:
            pytest.skip("habitat-lab is not installed; set HARKEN_HABITAT_LAB to the path of a Python that has it.")
        return sys.executable
    found = subprocess.run(
        [python, "-c", "import importlib.util as u; print(u.find_spec('habitat') is not None)"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.stdout.strip() == "True", f"HARKEN_HABITAT_LAB={python} has no habitat-lab: {found.stderr}"
    return python


def play(case: str, folder: Path) -> dict:
    """Run a case of lab_episodes.py and return what it found."""
    environment = {**os.environ, "PYTHONPATH": str(Path(harken.__file__).parent.parent)}
    command = [habitat_lab(), str(EPISODES), case, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))[6:])


def test_stock_pointnav_is_solved_along_the_shortest_way(tmp_path):
    found = play("pointnav", tmp_path)
    assert found["metrics"]["success"] == 1.0 and found["metrics"]["spl"] == 1.0
    assert found["metrics"]["distance_to_goal"] < 0.2 and found["steps"] > found["way"] / 0.25 - 1
    assert found["start"] == pytest.approx(found["way"], abs=1e-6)
    assert found["pointgoal"][0] == pytest.approx(found["goal_at"], abs=1e-4)
    assert found["contained"] and found["same_again"]
    assert found["spaces"]["rgb"] == "Box(0, 255, (256, 256, 3), uint8)"
    assert found["spaces"]["depth"] == "Box(0.0, 1.0, (256, 256, 1), float32)"


def test_stock_objectnav_is_solved_by_its_own_follower_and_looks_up_and_down(tmp_path):
    found = play("objectnav", tmp_path)
    # Turns of 30 degrees, and no sliding: the way of straight steps is a little longer than the shortest.
    assert found["metrics"]["success"] == 1.0 and 0.95 < found["metrics"]["spl"] <= 1.0
    assert found["metrics"]["distance_to_goal"] < 0.1 and found["objectgoal"] == [0]
    assert found["tilted"] and found["level_again"]
    assert "chair" in found["names"]
    # The border of the floor falls into pixels of 4 cm, on which the map draws start, goal and way besides.
    assert found["mapped"] == pytest.approx(found["area"], rel=0.03)
    assert 0.05 * found["area"] < found["seen"] <= found["mapped"]


def test_sensors_of_habitat_lab_measure_a_room_of_known_size(tmp_path):
    found = play("sensors", tmp_path)
    # At (2, 0, 2) in a room of 6 × 4 m, facing −x; the goal is 2 m behind and 1 m to the left, at +z.
    assert found["depth"] == pytest.approx(2.0, abs=1e-3) and found["behind"] == pytest.approx(4.0, abs=1e-3)
    assert found["around"] == pytest.approx([2.0, 2.0, 2.0], abs=0.01)
    assert found["pointgoal"] == pytest.approx([math.hypot(2, 1), math.pi - math.atan2(1, 2)], abs=1e-4)
    assert found["heading"] == pytest.approx([math.pi / 2], abs=1e-5)
    assert found["rotation"] == pytest.approx([math.sqrt(0.5), 0, math.sqrt(0.5), 0], abs=1e-6)
    assert found["compass"] == pytest.approx(-10.0, abs=1e-3)  # a turn to the left is positive
    assert found["proximity"] == pytest.approx([1.9], abs=0.0126)  # to within half a sample of the floor
    assert found["to_several"] == pytest.approx(1.0, abs=1e-6) and found["to_nowhere"] == math.inf
    assert found["navigable"] == [True, False] and found["placed_outside"] is False and found["stays"]
    assert 0.1 <= found["random"][0] <= 5.9 and 0.1 <= found["random"][2] <= 3.9
    # Seven steps of 0.25 m are free, the next two meet the wall; the body's radius is 0.1 m.
    assert found["collisions"] == {"count": 2, "is_collision": True}
    assert found["position"] == pytest.approx([0.1, 0.0, 2.0], abs=2e-3)
    assert found["wall"] == pytest.approx(found["position"][0], abs=1e-3)


def test_the_goal_of_imagenav_is_what_is_seen_from_there(tmp_path):
    found = play("imagenav", tmp_path)
    assert found["success"] == 1.0 and found["spl"] == 1.0
    assert found["shape"] == [256, 256, 3] and found["same"] and found["differs"] and found["stands"]


def test_what_harken_does_not_have_is_refused(tmp_path):
    messages = play("errors", tmp_path)
    for what, words in {
        "subtype": "Sensor subtype is 'ORTHOGRAPHIC'",
        "roll": "do not tilt sideways",
        "noise": "Noise model is 'GaussianNoiseModel'",
        "type": "Unknown sensor for Harken 'HabitatSimFisheyeRGBSensor'",
        "action": "ActionError: Action 7 does not exist",
    }.items():
        assert words in messages[what]
    if messages["habitat_sim"] is False:
        assert "habitat_sim is not installed: a stand-in takes its place" in messages["Sim-v0"]


@pytest.mark.skipif(importlib.util.find_spec("habitat") is not None, reason="habitat-lab is installed")
def test_without_habitat_lab_the_error_says_how_to_install_it():
    with pytest.raises(MissingDependencyError, match="pip install --no-deps habitat-lab"):
        register()
