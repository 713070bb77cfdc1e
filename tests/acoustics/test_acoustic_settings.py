"""Settings of the engines: what they have in common, and what is refused at once."""

import pytest

from harken.acoustics import AcousticSettings, ReferenceSettings
from harken.acoustics.engines.echo import EchoSettings
from harken.acoustics.engines.soundspaces2 import SoundSpaces2Settings
from harken.acoustics.settings import EngineSettings
from harken.errors import ConfigurationError

ENGINES = [AcousticSettings, ReferenceSettings, EchoSettings]
WRONG = [
    {"rate": "16000"}, {"rate": 16_000.5}, {"rate": None}, {"rate": 10**9}, {"duration": "1"},
    {"duration": float("nan")}, {"duration": 1e300},
    {"transmission": "yes"}, {"transmission": 1}, {"rays": 0}, {"rays": 1.5}, {"rays": True},
]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG, ids=str)
@pytest.mark.parametrize("kind", [*ENGINES, SoundSpaces2Settings])
def test_wrong_types_and_ranges_name_the_setting(kind, wrong):
    with pytest.raises(ConfigurationError, match=f"Setting {next(iter(wrong))}"):
        kind(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"seed": -1}, {"seed": 2**70}, {"seed": 1.5}, {"seed": "0"}, {"temperature_celsius": "20"},
        {"temperature_celsius": -300.0}, {"humidity_percent": 0.0}, {"humidity_percent": 101},
        {"pressure_kilopascal": 0},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("kind", ENGINES)
def test_air_and_seed_are_checked_alike(kind, wrong):
    with pytest.raises(ConfigurationError, match=f"Setting {next(iter(wrong))}"):
        kind(**wrong)


@pytest.mark.parametrize("kind", ENGINES)
def test_equal_settings_are_equal_however_they_are_written(kind):
    written = kind(duration=1, temperature_celsius=20)
    assert written == kind(duration=1.0) and hash(written) == hash(kind(duration=1.0))
    assert isinstance(written, EngineSettings) and written.air.speed_of_sound == pytest.approx(343.2)
