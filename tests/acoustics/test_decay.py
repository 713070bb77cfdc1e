"""Responses that end long before the sound has decayed."""

import warnings

import numpy as np
import pytest

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.fields import decay
from harken.acoustics.fields.decay import CutDecay, estimated_decay_time
from harken.acoustics.tracing import TimeBins
from harken.errors import HarkenWarning
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

SOURCE, LISTENER = Source(position=[1, 1.5, 1]), Listener(position=[6, 1.2, 4], format="mono")


@pytest.fixture(autouse=True)
def untold(monkeypatch):
    monkeypatch.setattr(decay, "_TOLD", set())


def exponential(time: float, duration: float) -> tuple[np.ndarray, np.ndarray]:
    bins = TimeBins.build(duration)
    field = np.zeros((len(bins.widths), len(OCTAVE_BANDS), 4), np.float32)
    field[:, :, 0] = (10.0 ** (-6.0 * bins.centres / time) * bins.widths)[:, None]
    return field, bins.edges


def room(absorption: float) -> Scene:
    corners = np.array([[x, y, z] for x in (0.0, 8.0) for y in (0.0, 3.0) for z in (0.0, 6.0)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = np.array([(a, c, b) for a, b, c, d in quads] + [(a, d, c) for a, b, c, d in quads])
    walls = AcousticMaterial(name="wall", absorption=(absorption,), scattering=(0.5,), transmission=(0.0,))
    return Scene(vertices=corners, faces=faces, materials=[walls], material=np.zeros(len(faces), int))


@pytest.mark.parametrize("duration", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("time", [0.3, 1.0, 3.0])
def test_the_decay_time_is_told_from_any_part_of_the_decay(time, duration):
    assert estimated_decay_time(*exponential(time, duration)) == pytest.approx(time, rel=0.02)


def test_what_does_not_decay_has_no_decay_time():
    field, edges = exponential(1.0, 0.5)
    assert estimated_decay_time(np.zeros_like(field), edges) is None
    assert estimated_decay_time(field[::-1], edges) is None


def test_a_response_cut_far_below_the_decay_time_is_told_once_with_the_value_to_set():
    field, edges = exponential(1.66, 0.5)
    with pytest.warns(HarkenWarning, match=r"cut at 0\.5 s.*about 1\.7 s.*AcousticSettings\(duration=1\.7\)"):
        CutDecay(0.5).tell(field, edges)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CutDecay(0.5).tell(field, edges)
        CutDecay(0.9).tell(*exponential(1.66, 0.9))


def test_a_reverberant_room_is_told_and_a_furnished_one_is_not():
    engine = FastPropagation(room(0.05), AcousticSettings(duration=0.5))
    with pytest.warns(HarkenWarning, match=r"Set AcousticSettings\(duration=") as told:
        engine.impulse_response(SOURCE, LISTENER)
    assert len(told) == 1
    wanted = float(str(told[0].message).split("duration=")[1].split(")")[0])
    # Sabine: 0.161 V / (S α) is 2.6 s.
    assert 2.0 < wanted < 3.2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.impulse_response([1, 1.5, 2], LISTENER)
        FastPropagation(room(0.05), AcousticSettings(duration=wanted)).impulse_response(SOURCE, LISTENER)
        FastPropagation(room(0.4), AcousticSettings(duration=0.5)).impulse_response(SOURCE, LISTENER)
