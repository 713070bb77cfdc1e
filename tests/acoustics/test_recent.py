import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import trimesh

from harken.acoustics import AcousticSettings, FastPropagation, Source
from harken.acoustics.recent import RecentlyUsed
from harken.scene import AcousticMaterial, Scene


def engine(**settings):
    box = trimesh.creation.box(extents=[6, 3, 4]).apply_translation([3, 1.5, 2])
    wall = AcousticMaterial(name="wall", absorption=(0.2,), scattering=(0.5,))
    scene = Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(12, int))
    ears = np.stack(np.meshgrid(np.arange(0.25, 6, 0.5), [1.5], np.arange(0.25, 4, 0.5)), -1).reshape(-1, 3)
    return FastPropagation(scene, AcousticSettings(duration=0.2, rays=100, **settings), ears=ears)


def test_fields_beyond_the_limit_are_dropped_the_oldest_first():
    small = engine(cached_megabytes=0.1)
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
