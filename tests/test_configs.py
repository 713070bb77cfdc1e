import dataclasses
import math

import pytest

from harken.configs import from_mapping, load_preset, presets_of, to_mapping, to_yaml
from harken.errors import ConfigurationError, UnknownNameError
from harken.tasks import NavigationSettings
from harken.tasks.echo_depth import EchoDepthSettings
from harken.tasks.separation_rules import SeparationSettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    width: int
    deep: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rows:
    sizes: tuple[Row, ...] = ()


KINDS = (NavigationSettings, EchoDepthSettings, SeparationSettings)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in KINDS for name in presets_of(kind)])
def test_every_preset_survives_being_written_and_read(kind, name, tmp_path):
    settings = load_preset(kind, name)
    (tmp_path / "copy.yaml").write_text(to_yaml(settings), encoding="utf-8")
    assert load_preset(kind, tmp_path / "copy.yaml") == settings


def test_a_preset_of_another_task_is_refused_by_its_name():
    with pytest.raises(UnknownNameError, match=r"preset of NavigationSettings 'near-target'.*Known: soundspaces1"):
        load_preset(NavigationSettings, "near-target")


def test_the_presets_say_what_the_papers_say():
    continuous, grid = (load_preset(NavigationSettings, name) for name in ("soundspaces2", "soundspaces1"))
    assert (continuous.body.forward_step, continuous.step_time, continuous.max_steps) == (0.25, 0.25, 500)
    assert continuous.body.turn_angle == pytest.approx(math.radians(10))
    assert (grid.body.motion, grid.body.forward_step, grid.step_time) == ("grid", 1.0, 1.0)
    assert grid.body.turn_angle == pytest.approx(math.radians(90))
    for settings in (continuous, grid):
        assert (settings.success_distance, settings.success_reward, settings.step_reward) == (1.0, 10.0, -0.01)


def test_angles_are_degrees_in_files_and_radians_in_code():
    settings = from_mapping(
        NavigationSettings, {"body": {"turn_angle_degrees": 30, "camera": {"field_of_view_degrees": 60}}}
    )
    assert settings.body.turn_angle == pytest.approx(math.pi / 6)
    assert settings.body.camera.field_of_view == pytest.approx(math.pi / 3)
    assert to_mapping(settings)["body"]["turn_angle_degrees"] == pytest.approx(30)


def test_a_mapping_changes_only_what_it_names():
    base = load_preset(NavigationSettings, "soundspaces1")
    changed = from_mapping(NavigationSettings, {"acoustics": {"rays": 77}}, base=base)
    assert changed == dataclasses.replace(base, acoustics=dataclasses.replace(base.acoustics, rays=77))


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ({"body": {"forwardstep": 1}}, UnknownNameError, "Did you mean 'body.forward_step'"),
        ({"body": {"turn_angle": 10}}, UnknownNameError, "Did you mean 'body.turn_angle_degrees'"),
        ({"body": {"turn_angle_degrees": "ten"}}, ConfigurationError, "expected degrees"),
        ({"body": {"camera": {"widht": 3}}}, UnknownNameError, "Did you mean 'body.camera.width'"),
        ({"body": {"camera": 5}}, ConfigurationError, "expected keys and values"),
        ({"max_steps": "many"}, ConfigurationError, "max_steps is 'many'; expected a whole number"),
        ({"max_steps": 2.5}, ConfigurationError, "expected a whole number"),
        ({"step_reward": float("nan")}, ConfigurationError, "step_reward is nan"),
        ({"success_reward": float("inf")}, ConfigurationError, "success_reward is inf"),
        ({"observation_time": 100_000}, ConfigurationError, "observation_time is 100000"),
        ({"body": {"forward_step": True}}, ConfigurationError, "forward_step is True"),
        ({"body": {"forward_step": 1e12}}, ConfigurationError, "forward_step is 1000000000000.0"),
        ({"acoustics": {"rays": -1}}, ConfigurationError, "rays"),
        ({"body": {"motion": "gird"}}, UnknownNameError, "Did you mean 'grid'"),
        ({"body": {"motion": "grid"}}, ConfigurationError, "a quarter turn"),
        ({3: 4}, UnknownNameError, "configuration key '3'"),
    ],
)
def test_wrong_keys_and_values_are_refused(data, error, message):
    with pytest.raises(error, match=message):
        from_mapping(NavigationSettings, data)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not YAML"),
        (b"- 1", "keys and values"),
        (b"", "keys and values"),
        (b"max_steps: 1\nmax_steps: 2", "'max_steps' comes twice, the second time in line 2"),
        (b"3: 4", "a key in line 1 is not text"),
        (b"null: 4", "a key in line 1 is not text"),
        (b"[1]: 4", "a key in line 1 is not text"),
        (b"a: &a [1]\nb: [*a, *a]", "an alias"),
        (b"max_steps: !!python/object/apply:os.system [echo]", "is not YAML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"[" * 5_000, "is not YAML"),
        (b"# " + b"x" * 2_000_000, "such a file has 1,048,576 at most"),
    ],
)
def test_files_that_are_not_settings_are_refused(tmp_path, content, message):
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        load_preset(NavigationSettings, tmp_path / "bad.yaml")


def test_a_field_may_hold_several_settings():
    rows = from_mapping(Rows, {"sizes": [{"width": 3}, {"width": 4, "deep": True}]})
    assert rows == Rows(sizes=(Row(width=3), Row(width=4, deep=True)))
    with pytest.raises(ConfigurationError, match=r"sizes\.1 is 4; expected keys and values"):
        from_mapping(Rows, {"sizes": [{"width": 3}, 4]})
    with pytest.raises(UnknownNameError, match=r"sizes\.0\.widht"):
        from_mapping(Rows, {"sizes": [{"widht": 3}]})
