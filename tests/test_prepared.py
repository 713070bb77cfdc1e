import os
import pickle
import resource
import subprocess
import sys
import threading

import numpy as np
import pytest
import trimesh

from harken import prepared
from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.errors import CacheError
from harken.prepared import PreparedFolder
from harken.scene import AcousticMaterial, Scene

EARS = np.stack(np.meshgrid(np.arange(0.25, 6, 0.5), [1.5], np.arange(0.25, 4, 0.5)), -1).reshape(-1, 3)
SOURCE, LISTENER = Source(position=[2, 1.5, 2]), Listener(position=[4.1, 1.5, 3], heading=0.3)

RUN = """
import hashlib, sys
import numpy as np
from harken.envs import TaskEnv

digest = hashlib.sha256()
env = TaskEnv("audiogoal", split="val", config={"acoustics": {"rays": 300, "duration": 0.3}})
for episode in (0, 1, 5):
    observation, _ = env.reset(seed=0, options={"episode": episode})
    for action in (1, 2, 1):
        digest.update(b"".join(np.ascontiguousarray(value).tobytes() for value in observation.values()))
        observation, reward, *_ = env.step(np.int64(action))
        digest.update(repr(reward).encode())
print(digest.hexdigest())
"""


@pytest.fixture(autouse=True)
def untidied(monkeypatch):
    monkeypatch.setattr(prepared, "_tidied", {})


def engine(folder, **settings):
    box = trimesh.creation.box(extents=[6, 3, 4]).apply_translation([3, 1.5, 2])
    wall = AcousticMaterial(name="wall", absorption=(0.2,), scattering=(0.5,))
    scene = Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(12, int))
    choice = AcousticSettings(duration=0.2, rays=100, **settings)
    return FastPropagation(scene, choice, ears=EARS, prepared=PreparedFolder(folder))


def start(folder):
    path = os.pathsep.join(part for part in sys.path if part)
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("HARKEN_PREPARED", None)
    if folder is not None:
        environment["HARKEN_PREPARED"] = str(folder)
    return subprocess.Popen([sys.executable, "-c", RUN], env=environment, stdout=subprocess.PIPE, text=True)


def finished(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return output


def test_an_environment_gives_the_same_bytes_with_and_without_a_folder_and_beside_another_process(tmp_path):
    without = finished(start(None))
    both = [start(tmp_path), start(tmp_path)]
    assert [finished(process) for process in both] == [without] * 2
    times = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.prepared")}
    kinds = {file.name.partition("-")[0] for file in times}
    assert kinds == {"cells", "distances", "edges", "facets", "field", "floor", "home", "source"}
    assert finished(start(tmp_path)) == without
    assert {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.prepared")} == times, "read, and not made again"
    assert not list(tmp_path.glob(".*.partial"))


def test_a_response_from_disk_is_the_one_that_was_computed(tmp_path):
    computed = engine(None).impulse_response(SOURCE, LISTENER).samples
    written = engine(tmp_path).impulse_response(SOURCE, LISTENER).samples
    read = engine(tmp_path).impulse_response(SOURCE, LISTENER).samples
    assert computed.tobytes() == written.tobytes() == read.tobytes()


@pytest.mark.parametrize("change", [{"seed": 1}, {"transmission": False}, {"humidity_percent": 20.0}, {"cell": 1.0}])
def test_a_field_of_other_settings_is_another_file(tmp_path, change):
    engine(tmp_path).field(SOURCE)
    engine(tmp_path, **change).field(SOURCE)
    assert len(list(tmp_path.glob("field-*"))) == 2


def test_another_version_of_the_code_does_not_read_the_files(tmp_path, monkeypatch):
    folder = PreparedFolder(tmp_path)
    assert folder.get("number", [1], lambda: 1) == folder.get("number", [1], lambda: 2) == 1
    monkeypatch.setattr(prepared, "_origin", lambda: "another version")
    assert folder.get("number", [1], lambda: 3) == 3


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "text"])
def test_a_damaged_file_is_made_again(tmp_path, damage):
    fresh = engine(tmp_path).field(SOURCE).energy
    (file,) = tmp_path.glob("field-*")
    whole = file.read_bytes()
    content = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "flipped": whole[:-999] + bytes([whole[-999] ^ 1]) + whole[-998:],
        "text": b"no such file",
    }
    file.write_bytes(content[damage])
    assert engine(tmp_path).field(SOURCE).energy.tobytes() == fresh.tobytes()
    assert file.read_bytes() == whole


class Hostile:
    def __reduce__(self):
        return os.system, ("touch here",)


def test_nothing_in_a_file_can_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = PreparedFolder(tmp_path)
    folder.get("number", [1], lambda: 1)
    (file,) = tmp_path.glob("number-*")
    content = pickle.dumps(Hostile())
    file.write_bytes(prepared._FORMAT + prepared._checksum(content) + content)
    assert folder.get("number", [1], lambda: 2) == 2
    assert not (tmp_path / "here").exists()


def test_a_full_disk_is_an_error_and_leaves_nothing_unfinished(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CacheError, match=r"No space left while writing .*unset HARKEN_PREPARED"):
            engine(tmp_path).field(SOURCE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.glob(".*")) == []


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(CacheError, match="unset HARKEN_PREPARED"):
        engine(blocked / "fields").field(SOURCE)


def test_what_a_killed_process_left_unfinished_is_removed_when_nobody_can_be_writing_it(tmp_path):
    old, new = tmp_path / ".field-a.1-2.partial", tmp_path / ".field-b.1-2.partial"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    engine(tmp_path).field(SOURCE)
    assert not old.exists() and new.exists()


def test_beyond_the_limit_what_was_not_used_for_longest_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared, "_PAUSE", 0.0)
    folder = PreparedFolder(tmp_path, megabytes=0.35)
    for number in (1, 2, 3):
        folder.get("zeros", [number], lambda: np.zeros(100_000, np.uint8))
        for file in tmp_path.glob("*.prepared"):
            os.utime(file, (file.stat().st_mtime - 100,) * 2)
    made: list[int] = []
    assert len(folder.get("zeros", [1], lambda: made.append(1) or np.zeros(1, np.uint8))) == 100_000
    folder.get("zeros", [4], lambda: np.zeros(100_000, np.uint8))
    for number in (1, 3, 4, 2):
        folder.get("zeros", [number], lambda number=number: made.append(number) or np.zeros(1, np.uint8))
    assert made == [2], "1 was read in the meantime, so 2 was the one to go"


def test_threads_may_share_a_folder(tmp_path):
    folder, results = PreparedFolder(tmp_path), []
    threads = [
        threading.Thread(target=lambda: results.append(folder.get("one", [0], lambda: np.arange(5)))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and all((result == np.arange(5)).all() for result in results)
