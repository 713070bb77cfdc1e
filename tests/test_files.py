"""Files: whole or not at all, one run a folder, and nothing read without bound."""

import gzip
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from harken import files
from harken.errors import CacheError, FileError, HarkenWarning


def test_a_file_appears_whole_and_nothing_else_stays(tmp_path):
    path = tmp_path / "new folder" / "a b ü.txt"
    files.write_text(path, "one\ntwo – ü\n")
    assert path.read_bytes() == "one\ntwo – ü\n".encode()
    with pytest.raises(ZeroDivisionError), files.write_whole(path) as file:
        file.write(bytes(1 // len(list(path.parent.glob("none")))))
    assert path.read_bytes() == "one\ntwo – ü\n".encode() and list(path.parent.iterdir()) == [path]


def test_a_writer_that_is_killed_leaves_the_old_file(tmp_path):
    path = tmp_path / "table.csv"
    files.write_text(path, "old")
    code = (
        "import sys, time; from harken.files import write_whole\n"
        f"with write_whole({str(path)!r}) as file:\n"
        "    file.write(b'half'); file.flush(); print('writing', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"writing\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    assert files.remove_partial_files(tmp_path, older_than=60.0) == 0
    assert files.remove_partial_files(tmp_path) == 1 and list(tmp_path.iterdir()) == [path]


def test_a_file_that_may_not_grow_is_no_space_and_is_said_so(tmp_path):
    code = (
        "import resource; from harken.files import write_bytes, is_no_space; from harken.errors import FileError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))\n"
        f"try: write_bytes({str(tmp_path / 'x')!r}, bytes(50_000))\n"
        "except FileError as error: print(is_no_space(error), error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"True No space left while writing {str(tmp_path / 'x')!r}")
    assert list(tmp_path.iterdir()) == []


def make_pipe(path):
    os.mkfifo(path)


UNWRITABLE = {
    "a folder": (lambda path: path.mkdir(), "it is a folder"),
    "a pipe": (make_pipe, "a device or pipe"),
    "a file for a folder": (lambda path: path.parent.touch(), "cannot be"),
    "too long a name": (lambda path: None, "File name too long"),
}


@pytest.mark.parametrize("what", UNWRITABLE)
def test_what_cannot_be_written_is_named_before_and_while_writing(tmp_path, what):
    make, message = UNWRITABLE[what]
    path = tmp_path / {"a file for a folder": "f/x", "too long a name": "x" * 300}.get(what, "x")
    make(path)
    with pytest.raises(CacheError, match=message):
        files.write_text(path, "text", error=CacheError)
    if what != "too long a name":  # found when its folder is asked
        with pytest.raises(FileError, match=message):
            files.checked_output_file(path)
    assert len(list(tmp_path.iterdir())) == (0 if what == "too long a name" else 1)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="only POSIX has such permissions")
def test_a_folder_without_permission_is_refused_before_work(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    code = (
        "import os; from harken import files\n"
        "os.geteuid() == 0 and os.setuid(65534)\n"
        "for call in (files.checked_output_folder, lambda folder: files.write_text(folder + '/x', 'x')):\n"
        "    try: call('closed')\n"
        "    except files.FileError as error: print(error)\n"
        "with files.locked(files.Path('closed')): pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert "cannot be made or written (Permission denied). Choose another" in lines[0]
    assert "cannot be written (Permission denied). Choose another" in lines[1]
    assert "FileError: The lock" in done.stderr and "Permission denied" in done.stderr


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path):
    folder = files.checked_output_folder(tmp_path / "a" / "b c")
    assert list(folder.iterdir()) == []


def test_paths_of_any_bytes_are_written_and_other_locales_say_what_to_do(tmp_path):
    path = tmp_path / os.fsdecode(b"na\xffme.txt")
    files.write_text(path, f"{path.name}\n")
    assert path.read_bytes() == b"na\\udcffme.txt\n"
    code = "from harken.files import write_text\nwrite_text('n\\xe4me.txt', 'x')"
    ascii_only = {**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=ascii_only, capture_output=True, text=True, cwd=tmp_path)
    assert "FileError: The file to write is 'n\\xe4me.txt', which file names of this locale cannot hold" in done.stderr


def test_reading_is_bounded_and_never_waits(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"\xef\xbb\xbfa\xc3\xbc")
    assert files.read_text(path) == "aü" and files.read_bytes(path, largest=6) == path.read_bytes()
    with pytest.raises(FileError, match="has 6 bytes; such a file has 5 at most"):
        files.read_bytes(path, largest=5)
    path.write_bytes(b"a\xff")
    with pytest.raises(FileError, match="is not UTF-8"):
        files.read_text(path)
    make_pipe(tmp_path / "pipe")
    for name, message in (("pipe", "not a regular file"), (".", "not a regular file"), ("none", "There is no file")):
        with pytest.raises(CacheError, match=message):
            files.read_bytes(tmp_path / name, largest=5, error=CacheError)
    with pytest.raises(FileError, match="not a regular file"):
        files.read_bytes("/dev/zero", largest=5)


def test_a_gzip_bomb_is_refused_before_it_unpacks():
    bomb = gzip.compress(bytes(50_000_000))
    assert len(files.decompressed(bomb, largest=50_000_000, where="x")) == 50_000_000
    with pytest.raises(FileError, match=r"episodes\.gz unpacks to more than 1,000 bytes"):
        files.decompressed(bomb, largest=1000, where="episodes.gz")
    for damaged in (bomb[:-9], b"no gzip", bomb[:20] + b"\xff\xff\xff" + bomb[23:]):
        with pytest.raises(FileError, match=r"x is not gzip, or is damaged"):
            files.decompressed(damaged, largest=10**9, where="x")


def nested(depth):
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "Expecting"),
        ('{"a": 1, "b": 2, "a": 3}', "the key 'a' occurs twice"),
        ("[NaN]", "a number is NaN"),
        ("[-Infinity]", "a number is -Infinity"),
        ("[1e999]", "the number 1e999 is too large"),
        ("9" * 5000, "digits"),
        (nested(101), "more than 100 deep"),
        (nested(200_000), "too deep"),
        ('{"a":' * 200_000, "too deep"),
        (r'["\ud800"]', "surrogates not allowed"),
        (r'{"\udfff": 1}', "surrogates not allowed"),
        (b"\xff\xfe{", "codec can't decode"),
    ],
)
def test_json_that_readers_disagree_about_is_refused(text, message):
    with pytest.raises(CacheError, match=rf"^The file is not JSON that can be used: .*{message}"):
        files.parse_json(text, where="The file", error=CacheError)


def test_json_is_parsed_as_it_is_written(tmp_path):
    value = {"a": [1, 2.5, None, True, "ü – \U0001f600"], "b": json.loads(nested(98))}
    text = json.dumps(value)
    assert files.parse_json(text, where="x") == value == files.parse_json(text.encode(), where="x")
    files.write_text(tmp_path / "x.json", json.dumps(value, ensure_ascii=False))
    assert files.read_json(tmp_path / "x.json") == value


def hold(folder, started, done):
    with files.locked(folder):
        started.set()
        done.wait(30)


def test_two_runs_into_one_folder_are_refused_by_name(tmp_path):
    context = multiprocessing.get_context("spawn")
    started, done = context.Event(), context.Event()
    process = context.Process(target=hold, args=(tmp_path, started, done))
    process.start()
    assert started.wait(60)
    with (
        pytest.raises(CacheError, match=f"process {process.pid} on {socket.gethostname()}. Wait for it or end it"),
        files.locked(tmp_path, error=CacheError),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [files.LOCK_NAME]
    done.set()
    process.join()
    with files.locked(tmp_path):
        assert json.loads((tmp_path / files.LOCK_NAME).read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_dead_process_is_taken_over_and_of_another_machine_not(tmp_path):
    lock = tmp_path / files.LOCK_NAME
    lock.write_text(json.dumps({"host": socket.gethostname(), "pid": 2**31}))
    with pytest.warns(HarkenWarning, match="did not end by itself; going on"), files.locked(tmp_path):
        pass
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(FileError, match=r"on another machine, elsewhere. If that run is over, delete"):
        files.locked(tmp_path).__enter__()
    assert json.loads(lock.read_text())["host"] == "elsewhere"


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b"\xff\xff", b'{"host": 3, "pid": 1}', nested(4000).encode(), b"9" * 10**6]
)
def test_a_lock_that_names_nobody_belongs_to_nobody(tmp_path, content):
    (tmp_path / files.LOCK_NAME).write_bytes(content)
    with files.locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_folder_or_pipe_in_the_place_of_the_lock_is_named(tmp_path):
    lock = tmp_path / files.LOCK_NAME
    for make in (lambda path: path.mkdir(), make_pipe):
        make(lock)
        start = time.monotonic()
        with pytest.raises(FileError, match=r"\.lock' is not a regular file, but the lock has to be one. Remove it"):
            files.locked(tmp_path).__enter__()
        assert time.monotonic() - start < 5
        lock.rmdir() if lock.is_dir() else lock.unlink()
