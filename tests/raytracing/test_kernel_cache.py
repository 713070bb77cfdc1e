import importlib
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from harken.errors import CacheError
from harken.raytracing import cache_folder
from harken.raytracing.jit import announcer
from harken.raytracing.kernel_cache import locked

SUMS = """
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


@pytest.fixture
def program(tmp_path, monkeypatch):
    """The folder of a small program with kernels in a module of its own, and of its cache."""
    for name, text in (("sums", SUMS), ("places", PLACES)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.setenv("HARKEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in ("sums", "places"):
        sys.modules.pop(name, None)


def run(*kinds):
    """Import the program anew and sum 0 to 3 of each type; returns the sums and what was compiled."""
    for name in ("sums", "places"):
        sys.modules.pop(name, None)
    importlib.invalidate_caches()
    sums: list[str] = []
    announcer.on_kernel = lambda name: sums.append(name.partition(".")[2])
    try:
        module = importlib.import_module("sums")
        return [module.total(np.arange(4).astype(kind)) for kind in kinds], sorted(set(sums))
    finally:
        announcer.on_kernel = None


def files(program, ending=".kernel"):
    return sorted((program / "cache" / "kernels").glob(f"*{ending}"))


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_kernel_is_compiled_once_for_each_set_of_types(program):
    assert run("f8", "i8") == ([22.0, 22.0], ["scaled", "total"])
    assert run("f8", "i8") == ([22.0, 22.0], [])
    assert run("f4") == ([22.0], ["scaled", "total"])


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
    run("f8")
    edit(program / f"{file}.py", old, new)
    assert run("f8") == ([total], compiled)


@pytest.mark.parametrize("damage", ["empty", "half", "flipped", "text", "another kernel", "another type"])
def test_a_file_that_is_damaged_or_belongs_to_something_else_is_made_anew(program, damage):
    run("f8", "i8")
    one, other = (path for path in files(program) if "total" in path.name)
    scaled = next(path for path in files(program) if "scaled" in path.name)
    whole = one.read_bytes()
    content = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "flipped": whole[:-100] + bytes([whole[-100] ^ 1]) + whole[-99:],
        "text": b"harken kernel 2\n" + pickle.dumps("text"),
        "another kernel": scaled.read_bytes(),
        "another type": other.read_bytes(),
    }[damage]
    one.write_bytes(content)
    assert run("f8", "i8") == ([22.0, 22.0], ["total"])
    assert run("f8", "i8") == ([22.0, 22.0], [])


def start(program, text):
    path = os.pathsep.join([str(program), *sys.path])
    settings = {**os.environ, "PYTHONPATH": path, "HARKEN_HELPER": "0"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)], env=settings, **pipes)


def result(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split(), err


RACING = """
    import importlib, os, pathlib, sys, time
    import numpy as np
    import sums
    from harken.raytracing.jit import announcer
    me, kinds = {me!r}, {kinds!r}
    compiled = []
    announcer.on_kernel = compiled.append
    folder = pathlib.Path(os.environ["HARKEN_CACHE"])
    folder.mkdir(exist_ok=True)
    for round in range(10):
        os.environ["HARKEN_CACHE"] = str(folder / str(round))
        importlib.reload(sums)  # kernels that know nothing yet
        (folder / f"{{round}} ready {{me}}").touch()
        end = time.monotonic() + 60
        while len(list(folder.glob(f"{{round}} ready *"))) < 4 and time.monotonic() < end:
            time.sleep(0.001)
        assert all(sums.total(np.arange(4).astype(kind)) == 22.0 for kind in kinds)
    print(len(compiled))
"""


def test_four_processes_that_compile_at_once_are_right_and_compile_everything_once(program, monkeypatch):
    orders = ["f8", "i8"], ["i8", "f8"], ["f8"], ["i8"]
    processes = [start(program, RACING.format(me=i, kinds=kinds)) for i, kinds in enumerate(orders)]
    assert sum(int(result(process)[0][0]) for process in processes) == 10 * 4, "total and scaled for both types"
    for i in range(10):
        monkeypatch.setenv("HARKEN_CACHE", str(program / "cache" / str(i)))
        assert run("f8", "i8") == ([22.0, 22.0], [])


SLOW_TO_WRITE = """
    import time
    import numpy as np
    import sums
    from harken.raytracing import kernel_cache
    kernel_cache.os.replace = lambda *names: (print("writing", flush=True), time.sleep(60))
    sums.total(np.arange(4.0))
"""


def test_a_process_that_is_killed_while_it_writes_leaves_nothing_behind(program):
    process = start(program, SLOW_TO_WRITE)
    assert process.stdout.readline() == "writing\n"
    assert len(files(program, ".tmp")) == 1
    waiting = start(program, "import numpy as np, sums; print(sums.total(np.arange(4.0)))")
    time.sleep(2.0)  # it waits for the lock of a process that will never finish
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert result(waiting)[0] == ["22.0"]
    assert files(program, ".tmp") == []
    assert run("f8") == ([22.0], [])


FULL = """
    import resource, signal
    import numpy as np
    import sums
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
    print(sums.total(np.arange(4.0)), sums.total(np.arange(4)))
"""


def test_with_a_full_disk_kernels_run_and_one_warning_says_what_to_do(program):
    values, said = result(start(program, FULL))
    assert values == ["22.0", "22.0"]
    assert said.count("Set HARKEN_CACHE") == 1 and "File too large" in said
    assert files(program) == [] and files(program, ".tmp") == []


def test_a_folder_that_was_asked_for_and_cannot_be_written_is_an_error(program, monkeypatch):
    (program / "file").write_text("not a folder")
    monkeypatch.setenv("HARKEN_CACHE", str(program / "file" / "cache"))
    with pytest.raises(CacheError, match="Set HARKEN_CACHE"):
        run("f8")
    with pytest.raises(CacheError, match="Set HARKEN_CACHE"):
        cache_folder()


@pytest.mark.parametrize("home", ["a file", "none"])
def test_without_a_home_that_can_be_written_kernels_run_and_one_warning_says_so(program, monkeypatch, home):
    (program / "file").write_text("not a folder")
    for name, value in (("HARKEN_CACHE", ""), ("XDG_CACHE_HOME", ""), ("HOME", str(program / "file"))):
        monkeypatch.setenv(name, value)
    text = "import numpy as np, sums; print(sums.total(np.arange(4.0)), sums.total(np.arange(4)))"
    if home == "none":  # nor an entry in the list of users
        text = f"import pathlib, this_user; pathlib.Path.home = this_user.home\n{text}"
        (program / "this_user.py").write_text("def home():\n    raise RuntimeError('no home')\n")
    values, said = result(start(program, text))
    assert values == ["22.0", "22.0"]
    assert said.count("Set HARKEN_CACHE") == 1


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_can_only_be_read_is_read(program):
    run("f8")
    (program / "cache" / "kernels").chmod(0o500)
    assert run("f8") == ([22.0], [])


def test_a_cache_folder_is_made_where_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HARKEN_CACHE", str(tmp_path / "new"))
    assert cache_folder() == tmp_path / "new" and (tmp_path / "new").is_dir()


def test_a_lock_is_held_by_one(tmp_path):
    with locked(tmp_path / "lock") as ours, locked(tmp_path / "lock") as again:
        assert ours and not again
    with locked(tmp_path / "lock") as ours:
        assert ours
