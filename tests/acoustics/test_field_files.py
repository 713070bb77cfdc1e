import os
import resource
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import trimesh

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.fields.files import load_field
from harken.acoustics.recent import RecentlyUsed
from harken.errors import CacheError
from harken.scene import AcousticMaterial, Scene

EARS = np.stack(np.meshgrid(np.arange(0.25, 6, 0.5), [1.5], np.arange(0.25, 4, 0.5)), -1).reshape(-1, 3)
SOURCE, LISTENER = Source(position=[2, 1.5, 2]), Listener(position=[4.1, 1.5, 3], heading=0.3)


def engine(folder, **settings):
    box = trimesh.creation.box(extents=[6, 3, 4]).apply_translation([3, 1.5, 2])
    wall = AcousticMaterial(name="wall", absorption=(0.2,), scattering=(0.5,))
    scene = Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(12, int))
    choice = AcousticSettings(duration=0.2, rays=100, field_folder=None if folder is None else str(folder), **settings)
    return FastPropagation(scene, choice, ears=EARS)


def test_a_field_from_disk_is_the_field_that_was_traced(tmp_path):
    traced = engine(None).impulse_response(SOURCE, LISTENER).samples
    written = engine(tmp_path).impulse_response(SOURCE, LISTENER).samples
    (file,) = tmp_path.iterdir()
    time = file.stat().st_mtime_ns
    read = engine(tmp_path).impulse_response(SOURCE, LISTENER).samples
    assert traced.tobytes() == written.tobytes() == read.tobytes()
    assert file.stat().st_mtime_ns == time, "read, not traced and written again"


@pytest.mark.parametrize("change", [{"seed": 1}, {"transmission": False}, {"humidity_percent": 20.0}, {"cell": 1.0}])
def test_a_field_of_other_settings_is_another_file(tmp_path, change):
    engine(tmp_path).field(SOURCE)
    engine(tmp_path, **change).field(SOURCE)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_file_is_traced_again(tmp_path):
    fresh = engine(tmp_path).field(SOURCE).energy
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    for damaged in (content[:100], b"", b"no archive", content[:2000] + bytes(500) + content[2500:]):
        file.write_bytes(damaged)
        assert engine(tmp_path).field(SOURCE).energy.tobytes() == fresh.tobytes()
        assert file.read_bytes() == content


def test_a_full_disk_is_said_so_and_leaves_nothing_unfinished(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(CacheError, match=r"No space left while writing .*field_folder None"):
            engine(tmp_path).field(SOURCE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_unfinished_is_removed_when_nobody_can_be_writing_it(tmp_path):
    old, new = tmp_path / ".field-a.1-2.partial", tmp_path / ".field-b.1-2.partial"
    for path in (old, new):
        path.touch()
    os.utime(old, (0, 0))
    engine(tmp_path).field(SOURCE)
    assert not old.exists() and new.exists()


def test_no_damaged_byte_of_a_file_gives_another_field(tmp_path):
    fresh = engine(tmp_path).field(SOURCE).energy
    (file,) = tmp_path.iterdir()
    whole, loaded = file.read_bytes(), engine(tmp_path)
    grid, bins = loaded._grid, loaded._bins
    places = [
        *range(0, 300, 7),
        *range(300, len(whole) - 400, len(whole) // 40),
        *range(len(whole) - 400, len(whole), 11),
    ]
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 0x55
        file.write_bytes(damaged)
        field = load_field(file, grid, bins)
        assert field is None or field.energy.tobytes() == fresh.tobytes()
    for length in (0, 1, 22, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert load_field(file, grid, bins) is None


def test_a_file_that_promises_more_than_memory_is_not_read(tmp_path):
    loaded = engine(tmp_path)
    loaded.field(SOURCE)
    (file,) = tmp_path.iterdir()
    header = b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,), }"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("energy.npy", header.ljust(128) + bytes(200_000_000))
        archive.writestr("escaped.npy", header)
    assert load_field(file, loaded._grid, loaded._bins) is None


def test_writing_that_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(CacheError, match="No space left"):
        engine(tmp_path).field(SOURCE)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(CacheError, match="field_folder"):
        engine(blocked / "fields").field(SOURCE)


def test_fields_beyond_the_limit_are_dropped_the_oldest_first():
    small = engine(None, cached_megabytes=0.1)
    for x in (1, 2, 3):
        small.field(Source(position=[x, 1.5, 2]))
    assert len(small._fields) == 1


def test_the_least_recently_used_is_dropped_and_nothing_is_computed_twice():
    made = []
    kept = RecentlyUsed[int](limit=10, weigh=lambda value: value)

    def ask(value):
        return kept.get(value, lambda: made.append(value) or value)

    assert [ask(v) for v in (4, 5, 4, 3, 4)] == [4, 5, 4, 3, 4]
    assert made == [4, 5, 3], "5 was dropped for 3"
    ask(5)
    assert made == [4, 5, 3, 5]
    ask(99)
    assert len(kept) == 1, "one that is too heavy alone is kept, alone"


def test_threads_share_what_one_of_them_computes_and_do_not_wait_for_others():
    kept, begun, release = RecentlyUsed[int](limit=10), threading.Event(), threading.Event()
    made = []

    def slow():
        begun.set()
        release.wait(5.0)
        made.append("slow")
        return 1

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(kept.get, "a", slow)
        assert begun.wait(5.0)
        assert kept.get("b", lambda: 2) == 2, "another key is served while the first is computed"
        second = pool.submit(kept.get, "a", lambda: made.append("again") or 3)
        release.set()
        assert first.result(5.0) == second.result(5.0) == 1 and made == ["slow"]
