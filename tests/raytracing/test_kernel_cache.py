import os
import pickle
import resource
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from harken.errors import CacheError
from harken.raytracing import cache_folder
from harken.raytracing.kernel_cache import locked

SUMS = """
    import numpy as np
    from harken.raytracing import kernel
    from places import OFFSET, unused

    FACTOR = 3.0

    @kernel
    def scaled(x):
        return x * FACTOR + OFFSET

    @kernel
    def total(values):
        result = 0.0
        for value in values:
            result += scaled(value)
        return result

    @kernel
    def count(values):
        return len(values)
"""
PLACES = """
    OFFSET = 1.0

    def unused():
        return 0
"""
RUN = """
    import sys
    import numpy as np
    import sums
    from harken.raytracing.jit import announcer
    compiled = []
    announcer.on_kernel = lambda name: compiled.append(name.partition(".")[2])
    for kind in sys.argv[1:]:
        print(sums.total(np.arange(4).astype(kind)))
    print("compiled", *sorted(set(compiled)))
"""


@pytest.fixture
def program(tmp_path):
    """A small program with kernels in a module of its own, and its cache folder."""
    for name, text in (("sums", SUMS), ("places", PLACES), ("run", RUN)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    return tmp_path


def start(folder, *kinds, **environment):
    path = os.pathsep.join([str(folder), *sys.path])
    settings = {"HARKEN_CACHE": str(folder / "cache"), "HARKEN_HELPER": "0", **environment, "PYTHONPATH": path}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    words = [sys.executable, str(folder / "run.py"), *kinds]
    return subprocess.Popen(words, env={**os.environ, **settings}, **pipes)


def result(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = out.split("\n")
    return [float(line) for line in lines[:-2]], lines[-2].split()[1:], err


def run(folder, *kinds, **environment):
    return result(start(folder, *kinds, **environment))


def test_a_kernel_is_compiled_once_for_each_set_of_types(program):
    assert run(program, "f8", "i8")[:2] == ([22.0, 22.0], ["scaled", "total"])
    assert run(program, "f8", "i8")[:2] == ([22.0, 22.0], [])
    assert run(program, "f4")[:2] == ([22.0], ["scaled", "total"])


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new", "total", "compiled"),
    [
        ("sums", "FACTOR = 3.0", "FACTOR = 5.0", 34.0, ["scaled", "total"]),
        ("sums", "x * FACTOR", "x * FACTOR * 2", 40.0, ["scaled", "total"]),
        ("places", "OFFSET = 1.0", "OFFSET = 2.0", 26.0, ["scaled", "total"]),
        ("sums", "result = 0.0", "result = 1.0", 23.0, ["total"]),
        ("sums", "return len(values)", "return len(values) + 1", 22.0, []),
        ("places", "return 0", "return 1", 22.0, []),
        ("sums", "FACTOR = 3.0", "# A comment.\n\n\nFACTOR = 3.0", 22.0, []),
    ],
)
def test_an_edit_compiles_what_depends_on_it_and_nothing_else(program, file, old, new, total, compiled):
    run(program, "f8")
    edit(program / f"{file}.py", old, new)
    assert run(program, "f8")[:2] == ([total], compiled)


def test_four_processes_that_compile_at_once_are_right_and_compile_everything_once(program):
    for i in range(10):
        folder = str(program / f"cache{i}")
        kinds = ["f8", "i8"], ["i8", "f8"], ["f8"], ["i8"]
        results = [result(process) for process in [start(program, *kind, HARKEN_CACHE=folder) for kind in kinds]]
        assert all(value == 22.0 for values, _, _ in results for value in values)
        assert sum(len(compiled) for _, compiled, _ in results) <= 4, "total and scaled for both types"
        assert run(program, "f8", "i8", HARKEN_CACHE=folder)[:2] == ([22.0, 22.0], [])


def files(program, ending=".kernel"):
    return sorted((program / "cache" / "kernels").glob(f"*{ending}"))


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "text", "another kernel", "another type"])
def test_a_file_that_is_damaged_or_belongs_to_something_else_is_made_anew(program, damage):
    run(program, "f8", "i8")
    one, other = (path for path in files(program) if "total" in path.name)
    scaled = next(path for path in files(program) if "scaled" in path.name)
    whole = one.read_bytes()
    content = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "flipped": whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:],
        "text": b"harken kernel 1\n" + pickle.dumps("text"),
        "another kernel": scaled.read_bytes(),
        "another type": other.read_bytes(),
    }[damage]
    one.write_bytes(content)
    assert run(program, "f8", "i8")[:2] == ([22.0, 22.0], ["total"])
    assert run(program, "f8", "i8")[:2] == ([22.0, 22.0], [])


def test_a_process_that_is_killed_while_it_compiles_or_writes_leaves_nothing_behind(program):
    slow = "import time, harken.raytracing.kernel_cache as c\nplain = c.os.replace\n"
    slow += "c.os.replace = lambda *names: (print('writing', flush=True), time.sleep(60), plain(*names))\n"
    (program / "killed.py").write_text(slow + (program / "run.py").read_text())
    edit(program / "killed.py", "import sys", "import sys  # the same, slow to write")
    process = start(program, "f8")
    process.kill()
    process.communicate()
    words = [sys.executable, str(program / "killed.py"), "f8"]
    settings = {"HARKEN_CACHE": str(program / "cache"), "HARKEN_HELPER": "0"}
    path = os.pathsep.join([str(program), *sys.path])
    process = subprocess.Popen(words, env={**os.environ, **settings, "PYTHONPATH": path}, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"writing\n"
    assert len(files(program, ".tmp")) == 1
    waiting = start(program, "f8")  # it waits for the lock of a process that will never finish
    time.sleep(0.5)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert result(waiting)[:2] == ([22.0], ["scaled", "total"])
    assert files(program, ".tmp") == []
    assert run(program, "f8")[:2] == ([22.0], [])


def test_with_a_full_disk_kernels_run_and_one_warning_says_what_to_do(program):
    limited = textwrap.dedent(RUN).replace("import sys", "import sys, resource, signal", 1)
    limited = limited.replace(
        "import sums",
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\nimport sums",
        1,
    )
    (program / "run.py").write_text(limited)
    values, compiled, said = run(program, "f8", "i8")
    assert values == [22.0, 22.0] and compiled == ["scaled", "total"]
    assert said.count("HARKEN_CACHE") == 1 and "File too large" in said
    assert files(program) == [] and files(program, ".tmp") == []
    assert resource.RLIMIT_FSIZE  # the module exists here too


def test_a_folder_that_was_asked_for_and_cannot_be_written_is_an_error(program):
    (program / "file").write_text("not a folder")
    process = start(program, "f8", HARKEN_CACHE=str(program / "file" / "cache"))
    said = process.communicate(timeout=60)[1]
    assert process.returncode != 0 and "CacheError" in said and "Set HARKEN_CACHE" in said


@pytest.mark.parametrize("home", ["a file", "none"])
def test_without_a_home_that_can_be_written_kernels_run_and_one_warning_says_what_to_do(program, home):
    (program / "file").write_text("not a folder")
    environment = {"HARKEN_CACHE": "", "XDG_CACHE_HOME": "", "HOME": str(program / "file")}
    if home == "none":  # and no entry in the list of users
        edit(program / "run.py", "import sums", "import pathlib\npathlib.Path.home = classmethod(no_home)\nimport sums")
        edit(program / "run.py", "import sys", "def no_home(kind):\n    raise RuntimeError('no home')\nimport sys")
    values, compiled, said = run(program, "f8", **environment)
    assert values == [22.0] and compiled == ["scaled", "total"]
    assert said.count("Set HARKEN_CACHE") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_can_only_be_read_is_read(program):
    run(program, "f8")
    (program / "cache" / "kernels").chmod(0o500)
    assert run(program, "f8")[:2] == ([22.0], [])


def test_the_folder_is_checked_where_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HARKEN_CACHE", str(tmp_path / "new"))
    assert cache_folder() == tmp_path / "new"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARKEN_CACHE", str(tmp_path / "file" / "new"))
    with pytest.raises(CacheError, match="Set HARKEN_CACHE"):
        cache_folder()


def test_a_lock_is_held_by_one(tmp_path):
    with locked(tmp_path / "lock") as ours, locked(tmp_path / "lock") as again:
        assert ours and not again
    with locked(tmp_path / "lock") as ours:
        assert ours
