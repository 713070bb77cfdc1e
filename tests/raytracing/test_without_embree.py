import importlib.machinery
import importlib.util
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from harken.errors import HarkenWarning
from harken.raytracing import Triangles, embree

# Wheels carry the library beside the package: auditwheel, delocate and delvewheel each have their own way.
LAYOUTS = [
    ("embreex.libs/libembree4-4aef3270.so.4", "embreex.libs/libtbb-dcf63f8c.so.12"),
    ("embreex/.dylibs/libembree4.4.dylib", "embreex/.dylibs/libtbb.12.dylib"),
    ("embreex.libs/embree4-0123abcd.dll", "embreex.libs/tbb12-0123abcd.dll"),
    ("embreex/embree4.dll", "embreex/tbb12.dll"),
]


@pytest.fixture
def site_packages(tmp_path, monkeypatch):
    (tmp_path / "embreex").mkdir()
    origin = tmp_path / "embreex" / "__init__.py"
    origin.touch()
    spec = importlib.machinery.ModuleSpec("embreex", None, origin=str(origin))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    return tmp_path


@pytest.mark.parametrize("files", LAYOUTS)
def test_the_library_is_found_in_the_wheels_of_every_system(site_packages, files):
    for name in files:
        (site_packages / name).parent.mkdir(exist_ok=True)
        (site_packages / name).touch()
    assert embree._library_path() == site_packages / files[0]


def test_a_wheel_without_library_is_no_embree(site_packages):
    assert embree._library_path() is None
    assert embree._load() is None


def test_a_library_that_does_not_load_is_no_embree(site_packages):
    (site_packages / "embreex.libs").mkdir()
    (site_packages / "embreex.libs" / "libembree4.so.4").write_bytes(b"not a library")
    assert embree._load() is None


def test_no_package_is_no_embree(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert embree._library_path() is None


def test_triangles_warn_and_fall_back_to_the_tree(monkeypatch):
    monkeypatch.setattr(embree, "AVAILABLE", False)
    mesh = trimesh.creation.box(extents=(4, 2, 6))
    triangles = Triangles(mesh.vertices, mesh.faces)
    with pytest.warns(HarkenWarning, match=r"pip install embreex"):
        distance, _, _ = triangles.closest([0.0, 0.0, 0.0], [[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    np.testing.assert_allclose(distance, [2.0, 1.0])
    assert triangles.occluded([0.0, 0.0, 0.0], [3.0, 0.0, 0.0]).all()


def test_a_machine_without_the_package_renders_all_the_same():
    # A name that is None among the loaded modules is a package that cannot be found.
    program = """if True:
        import sys, warnings
        sys.modules["embreex"] = None
        import numpy as np
        from harken.raytracing import Triangles, embree
        assert not embree.AVAILABLE
        vertices = np.float32([[-1, -1, -3], [1, -1, -3], [0, 1, -3]])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            distance = Triangles(vertices, np.array([[0, 1, 2]])).closest(np.zeros(3), np.array([0.0, 0.0, -1.0]))[0]
        print(distance[0], [w.category.__name__ for w in caught])
    """
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, check=True)
    assert result.stdout.split(maxsplit=1) == ["3.0", "['HarkenWarning']\n"]
