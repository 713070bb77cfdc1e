import pytest

from harken.compiling import PARTS, compile_all
from harken.errors import UnknownNameError


def test_two_processes_compile_a_part_once_and_then_find_nothing_left(tmp_path, monkeypatch):
    monkeypatch.setenv("HARKEN_CACHE", str(tmp_path))
    first = compile_all(["sounds"], progress=False)
    assert any(name.endswith("spectrogram._reduce") for name in first.kernels)
    assert str(len(first.kernels)) in str(first)
    assert compile_all(["sounds"], progress=False).kernels == ()
    assert list((tmp_path / "kernels").glob("*.tmp")) == []


def test_a_part_that_does_not_exist_is_an_error():
    with pytest.raises(UnknownNameError, match="sounds"):
        compile_all(["sound"])
    assert "sounds" in PARTS
