"""What the adapter to Habitat-Sim does without habitat-sim; with it, see tests/sim/test_contract.py."""

import importlib.util
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from harken import Scene, generate_home
from harken.acoustics import AcousticSettings, FastPropagation
from harken.errors import ConfigurationError, MissingDependencyError, SceneError, SoundError
from harken.integrations.habitat import make_habitat_simulator
from harken.integrations.habitat.audio import HabitatPropagation, check_audio
from harken.integrations.habitat.stage import write_stage

ROOM = """
v 0 0 0\nv 6 0 0\nv 6 0 4\nv 0 0 4\nv 0 3 0\nv 6 3 0\nv 6 3 4\nv 0 3 4
f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8
"""


@pytest.mark.skipif(importlib.util.find_spec("habitat_sim") is not None, reason="habitat-sim is installed")
def test_without_habitat_sim_the_error_says_how_to_install_it():
    with pytest.raises(MissingDependencyError, match="conda install habitat-sim"):
        make_habitat_simulator("home:val:0")


def test_units_other_than_the_metre_are_refused():
    with pytest.raises(ConfigurationError, match="takes the unit of a file for the metre"):
        make_habitat_simulator("flat.glb", scale=0.01)


@pytest.mark.filterwarnings("ignore:.*no label that names a material")
def test_a_home_written_for_habitat_is_the_same_home(tmp_path):
    home = generate_home(2, split="val")
    config = write_stage(home, tmp_path)
    content = json.loads(config.read_text(encoding="utf-8"))
    assert config.name.endswith(".stage_config.json") and content["up"] == [0, 1, 0] and content["front"] == [0, 0, -1]
    read = Scene.load(content["render_asset"], up="y")
    assert len(read.faces) == len(home.faces)
    assert np.allclose(read.bounds, home.bounds, atol=1e-5)
    assert read.areas.sum() == pytest.approx(home.areas.sum(), rel=1e-5)
    untextured = home.appearance.texture < 0
    # Habitat shows the colours of vertices as they are; glTF has them linear, and readers make sRGB of them.
    linear = home.appearance.colors[untextured] / 255.0
    shown = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
    assert np.abs(read.appearance.colors[untextured] - 255.0 * shown).max() <= 1.0
    written = config.stat().st_mtime_ns
    assert write_stage(home, tmp_path) == config and config.stat().st_mtime_ns == written


class Misplacing:
    """An engine that hears sources at (y, z, 0), as habitat-sim 0.3.1 to 0.3.4 does."""

    def __init__(self, engine):
        self.engine, self.rate = engine, engine.rate

    def impulse_response(self, source, listener):
        _, y, z = source.position
        return self.engine.impulse_response(replace(source, position=np.array([y, z, 0.0])), listener)


@pytest.mark.filterwarnings("ignore:.*no label that names a material")
def test_the_audio_self_test_tells_misplaced_sources(tmp_path):
    (tmp_path / "room.obj").write_text(ROOM, encoding="utf-8")
    scene = Scene.load(tmp_path / "room.obj", up="y")
    engine = FastPropagation(scene, AcousticSettings(rays=1000, duration=0.4), ears=np.array([[4.0, 1.5, 2.0]]))
    check_audio(engine, np.array([4.0, 1.5, 2.0]), 0.0, 1.5)
    with pytest.raises(SoundError, match="issue #2632"):
        check_audio(Misplacing(engine), np.array([4.0, 1.5, 2.0]), 0.0, 1.5)


def test_a_habitat_sim_without_audio_is_told_from_one_with_it(tmp_path):
    built_without = SimpleNamespace(audio_enabled=False)
    with pytest.raises(MissingDependencyError, match=r"built without audio\. Build it with HABITAT_WITH_AUDIO=ON"):
        HabitatPropagation(None, None, built_without, rate=16_000, duration=0.4, name="room")


@pytest.mark.skipif(importlib.util.find_spec("habitat_sim") is None, reason="habitat-sim is not installed")
@pytest.mark.filterwarnings("ignore:.*no label that names a material")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("v 0 0 0\nv 6 0 0\nv 6 3 0\nv 0 3 0\nv 0 0 0.1\nf 1 2 3 4\nf 1 2 5\n", "finds no floor to make one"),
        ("not a mesh", "wall.obj"),
    ],
)
def test_scenes_on_which_nobody_can_walk_are_refused(tmp_path, text, expected):
    (tmp_path / "wall.obj").write_text(text, encoding="utf-8")
    with pytest.raises(SceneError, match=expected):
        make_habitat_simulator(tmp_path / "wall.obj", up="y")
