import dataclasses
import math

import pytest

from harken.configs import PRESETS, from_mapping, load_preset, to_mapping, to_yaml
from harken.errors import ConfigurationError, UnknownNameError
from harken.tasks import NavigationSettings


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_survives_being_written_and_read(name, tmp_path):
    settings = load_preset(NavigationSettings, name)
    (tmp_path / "copy.yaml").write_text(to_yaml(settings))
    assert load_preset(NavigationSettings, tmp_path / "copy.yaml") == settings


def test_the_presets_say_what_the_papers_say():
    continuous, grid = (load_preset(NavigationSettings, name) for name in ("soundspaces2", "soundspaces1"))
    assert (continuous.forward_step, continuous.step_time, continuous.max_steps) == (0.25, 0.25, 500)
    assert continuous.turn_angle == pytest.approx(math.radians(10))
    assert (grid.motion, grid.forward_step, grid.step_time) == ("grid", 1.0, 1.0)
    assert grid.turn_angle == pytest.approx(math.radians(90))
    for settings in (continuous, grid):
        assert (settings.success_distance, settings.success_reward, settings.step_reward) == (1.0, 10.0, -0.01)


def test_angles_are_degrees_in_files_and_radians_in_code():
    settings = from_mapping(NavigationSettings, {"turn_angle_degrees": 30, "camera": {"field_of_view_degrees": 60}})
    assert settings.turn_angle == pytest.approx(math.pi / 6)
    assert settings.camera.field_of_view == pytest.approx(math.pi / 3)
    assert to_mapping(settings)["turn_angle_degrees"] == pytest.approx(30)


def test_a_mapping_changes_only_what_it_names():
    base = load_preset(NavigationSettings, "soundspaces1")
    changed = from_mapping(NavigationSettings, {"acoustics": {"rays": 77}}, base=base)
    assert changed == dataclasses.replace(base, acoustics=dataclasses.replace(base.acoustics, rays=77))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"forwardstep": 1}, UnknownNameError, "Did you mean 'forward_step'"),
        ({"turn_angle": 10}, UnknownNameError, "Did you mean 'turn_angle_degrees'"),
        ({"camera": {"widht": 3}}, UnknownNameError, "Did you mean 'camera.width'"),
        ({"camera": 5}, ConfigurationError, "expected keys and values"),
        ({"max_steps": "many"}, ConfigurationError, "expected int"),
        ({"max_steps": 2.5}, ConfigurationError, "expected int"),
        ({"forward_step": True}, ConfigurationError, "expected float"),
        ({"acoustics": {"transmission": "yes"}}, ConfigurationError, "expected bool"),
        ({"acoustics": {"rays": -1}}, ConfigurationError, "rays"),
        ({"motion": "gird"}, UnknownNameError, "Did you mean 'grid'"),
    ],
)
def test_wrong_keys_and_values_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        from_mapping(NavigationSettings, data)


@pytest.mark.parametrize(
    ("content", "message"), [("a: [", "is not YAML"), ("- 1", "keys and values"), ("", "keys and values")]
)
def test_files_that_are_not_settings_are_refused(tmp_path, content, message):
    (tmp_path / "bad.yaml").write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        load_preset(NavigationSettings, tmp_path / "bad.yaml")
