import numpy as np
import pytest

from harken.acoustics.air import Air
from harken.errors import ConfigurationError

# ISO 9613-2:1996, Table 2: attenuation [dB/km] in octave bands from 63 Hz to 8 kHz.
TABLE = [
    (10.0, 70.0, (0.1, 0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117.0)),
    (20.0, 70.0, (0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6)),
    (15.0, 50.0, (0.1, 0.5, 1.2, 2.2, 4.2, 10.8, 36.2, 129.0)),
]


@pytest.mark.parametrize(("temperature", "humidity", "published"), TABLE)
def test_attenuation_is_that_of_iso_9613_2_to_the_last_printed_digit(temperature, humidity, published):
    centres = 1000.0 * 10.0 ** (0.3 * np.arange(-4, 4))  # exact centres of the octave bands (IEC 61260)
    m = Air(temperature_celsius=temperature, humidity_percent=humidity).attenuation(centres)
    computed = 1000.0 * m * 10.0 / np.log(10.0)
    half_digit = np.where(np.array(published) >= 100.0, 0.5, 0.05)
    assert (np.abs(computed - published) <= half_digit + 1e-9).all()


def test_speed_of_sound_is_343_2_at_20_degrees_and_grows_with_the_root_of_temperature():
    assert Air().speed_of_sound == pytest.approx(343.2, abs=1e-9)
    assert Air(temperature_celsius=0.0).speed_of_sound == pytest.approx(331.3, abs=0.05)


def test_attenuation_keeps_the_shape_is_zero_at_0_hz_and_rises_with_frequency():
    m = Air().attenuation(np.linspace(0.0, 20000.0, 50).reshape(5, 10))
    assert m.shape == (5, 10)
    assert m[0, 0] == 0.0
    assert (np.diff(m.ravel()) > 0).all()


def test_dry_air_absorbs_high_frequencies_more_than_humid_air():
    dry, humid = (Air(humidity_percent=h).attenuation((8000.0,))[0] for h in (20.0, 80.0))
    assert dry > 2.0 * humid


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature_celsius": 293.15},  # kelvin
        {"temperature_celsius": float("nan")},
        {"humidity_percent": 0.0},
        {"humidity_percent": 120.0},
        {"pressure_kilopascal": 101325.0},  # pascal
        {"pressure_kilopascal": float("inf")},
    ],
)
def test_air_that_cannot_be_says_which_value_and_range(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        Air(**settings)


@pytest.mark.parametrize("frequencies", [(-1.0,), (float("nan"),), (float("inf"),)])
def test_frequencies_that_cannot_be_are_errors(frequencies):
    with pytest.raises(ConfigurationError, match="hertz"):
        Air().attenuation(frequencies)
