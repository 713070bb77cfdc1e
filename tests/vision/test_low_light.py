import math

import pytest

from harken.errors import ConfigurationError
from harken.vision.low_light import LowLight


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("least", 0.0),
        ("least", 0.5),  # more than `most`
        ("most", 1.5),
        ("most", "dark"),
        ("photons", 0.0),
        ("photons", 1e30),
        ("photons", math.inf),
        ("read_noise", -1.0),
        ("read_noise", math.nan),
        ("gain", 0.0),
        ("gain", None),
    ],
)
def test_impossible_light_is_refused_by_the_name_of_the_field(field, value):
    with pytest.raises(ConfigurationError, match=field):
        LowLight(**{field: value})
