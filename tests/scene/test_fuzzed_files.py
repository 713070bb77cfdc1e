import os
import tempfile
from pathlib import Path

import pytest
from fuzz_readers import fuzz, try_case, valid_files

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits of memory are POSIX's")


def test_the_files_that_are_damaged_are_valid(tmp_path):
    from harken.scene.readers.reading import read_scene

    given = {"default": "plaster"}
    for name, files in valid_files(tmp_path):
        with tempfile.TemporaryDirectory() as folder:
            for title, content in files.items():
                (Path(folder) / title).write_bytes(content)
            assert read_scene(Path(folder) / name, materials=given, scale=1.001).source.endswith(name)


def test_a_case_is_the_same_every_time(tmp_path):
    scenes = valid_files(tmp_path)
    outcomes = [[try_case(scenes, tmp_path, 5, number) for number in range(30)] for _ in range(2)]
    assert outcomes[0] == outcomes[1]


def test_damaged_files_of_every_format_give_a_scene_or_a_clear_error():
    """Some thousand files; ``HARKEN_FUZZ_SECONDS`` sets another time, and tests/scene/fuzz_readers.py runs by hand."""
    seconds = float(os.environ.get("HARKEN_FUZZ_SECONDS", "40"))
    result = fuzz(
        seed=int(os.environ.get("HARKEN_FUZZ_SEED", "1")), seconds=seconds, cases=3000 if seconds <= 40 else None
    )
    assert result.cases > 100
    assert not result.faults, "\n".join(result.faults[:5])
    assert result.outcomes["scene"] > 0.1 * result.cases  # Not every change is fatal.
    assert result.outcomes["SceneError"] > 0.1 * result.cases
