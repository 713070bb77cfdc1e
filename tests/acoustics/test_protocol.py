"""Sources, listeners and responses: what is taken for one, and what a response gives out."""

import numpy as np
import pytest
import soundfile

from harken.acoustics import (
    AcousticSettings,
    FastPropagation,
    ImpulseResponse,
    Listener,
    MicrophoneArray,
    ReferencePropagation,
    ReferenceSettings,
    Source,
)
from harken.acoustics.engines.echo import EchoPropagation, EchoSettings
from harken.acoustics.hearing.receivers import Synthesizer
from harken.errors import ConfigurationError, SoundError
from harken.scene import AcousticMaterial, Scene

RATE = 16_000
PLACES = [
    None, "here", b"here", 3.0, True, [1.0, 2.0], [1.0, 2.0, 3.0, 4.0], [1.0, np.nan, 2.0], [0.0, 0.0, 1e300],
    [0.0, -1e8, 0.0], ["1", "2", "3"], [None, 1.0, 2.0], [[1.0], [2.0], [3.0]], {"x": 1.0},
]  # fmt: skip


@pytest.fixture(scope="module")
def floor():
    return Scene(
        vertices=np.array([[-9.0, 0, -9], [9, 0, -9], [9, 0, 9], [-9, 0, 9]]),
        faces=np.array([[0, 2, 1], [0, 3, 2]]),
        materials=[AcousticMaterial(name="floor", absorption=(0.3,), scattering=(0.1,), transmission=(0.0,))],
        material=np.zeros(2, int),
    )


@pytest.fixture(scope="module")
def engine(floor):
    return FastPropagation(floor, AcousticSettings(duration=0.1, reverberation=False, diffraction=False))


def decaying(seconds=1.0, channels=2, decay=0.6):
    times = np.arange(round(seconds * RATE)) / RATE
    noise = np.random.default_rng(0).standard_normal((channels, len(times)))
    return ImpulseResponse(samples=(noise * 10.0 ** (-3.0 * times / decay)).astype(np.float32), rate=RATE)


@pytest.mark.parametrize("place", PLACES, ids=repr)
@pytest.mark.parametrize("kind", [Source, Listener])
def test_what_is_no_place_is_refused(kind, place):
    with pytest.raises(ConfigurationError, match=f"{kind.__name__} position"):
        kind(position=place)


@pytest.mark.parametrize(
    "change",
    [
        {"heading": "north"},
        {"heading": None},
        {"heading": np.nan},
        {"pitch": np.inf},
        {"pitch": [0.0]},
        {"heading": True},
    ],
)
@pytest.mark.parametrize("kind", [Source, Listener])
def test_what_is_no_angle_is_refused(kind, change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        kind(position=[0, 0, 0], **change)


@pytest.mark.parametrize("change", [{"moving": "yes"}, {"moving": 1}, {"directivity": 3}])
def test_what_a_source_cannot_be_is_refused(change):
    with pytest.raises(ConfigurationError, match=next(iter(change))):
        Source(position=[0, 0, 0], **change)


@pytest.mark.parametrize("format", [None, 3, np.zeros(2), ("binaural",), {"mono": 1}])
def test_what_is_no_format_is_refused(format):
    with pytest.raises(ConfigurationError, match="'binaural', 'mono'"):
        Listener(position=[0, 0, 0], format=format)


def test_a_position_is_taken_for_a_source(engine):
    listener = Listener(position=[1, 1, 1])
    expected = engine.impulse_response(Source(position=[3.0, 1.5, 2.0]), listener)
    for place in ([3.0, 1.5, 2.0], (3.0, 1.5, 2.0), np.array([3.0, 1.5, 2.0])):
        assert engine.impulse_response(place, listener).samples.tobytes() == expected.samples.tobytes()
        assert len(engine.paths(place, listener)) == len(expected.paths)


@pytest.mark.parametrize("tier", ["fast", "reference", "echo"])
def test_engines_say_what_they_expect(floor, engine, tier):
    engines = {
        "fast": engine,
        "reference": ReferencePropagation(floor, ReferenceSettings(rays=16, duration=0.1)),
        "echo": EchoPropagation(scene=floor, settings=EchoSettings(rays=1)),
    }
    respond = engines[tier].impulse_response
    if tier != "echo":
        for wrong in (None, "here", 1.0, {"position": [1, 1, 1]}, Listener(position=[0, 1, 0])):
            with pytest.raises(ConfigurationError, match="expected a Source or its position"):
                respond(wrong, Listener(position=[1, 1, 1]))
    for wrong in (None, "ears", {"position": [1, 1, 1]}, [1.0, 1.0, 1.0], Source(position=[0, 1, 0])):
        with pytest.raises(ConfigurationError, match="expected a Listener"):
            respond(*([wrong] if tier == "echo" else [Source(position=[0, 1, 0]), wrong]))


@pytest.fixture(scope="module")
def engines(floor, engine):
    ears = np.array([[0.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    return [
        engine,
        FastPropagation(floor, AcousticSettings(duration=0.1, rays=10, pair_rays=10), ears=ears),
        ReferencePropagation(floor, ReferenceSettings(rays=16, duration=0.1)),
    ]


@pytest.mark.parametrize("far", [[0.0, 500.0, 0.0], [0.0, 10_000.0, 0.0], [9000.0, 1.0, -9000.0]])
def test_far_away_nothing_is_heard_in_time(engines, far):
    for one in engines:
        assert not one.impulse_response(far, Listener(position=[0, 1, 0])).samples.any()
        assert not one.impulse_response([0, 1, 0], Listener(position=far)).samples.any()


@pytest.mark.parametrize("far", [[0.0, 10_001.0, 0.0], [1e7, 0.0, 0.0], [0.0, -1e7, 1e7]])
def test_places_far_outside_the_scene_are_refused(engines, far):
    for one in engines:
        with pytest.raises(SoundError, match=r"source at .* is not near scene, which spans x -9\.0…9\.0"):
            one.impulse_response(far, Listener(position=[0, 1, 0]))
        with pytest.raises(SoundError, match=r"listener at .* is not near"):
            one.impulse_response([0, 1, 0], Listener(position=far))


@pytest.mark.parametrize(
    "ears", [[], [[0.0, 1.0]], [[0.0, np.nan, 0.0]], [[0.0, 1.0, 1e9]], [["a", "b", "c"]], [[0, 1, 0], [1]]]
)
def test_places_for_ears_are_checked(floor, ears):
    with pytest.raises(ConfigurationError, match="ears"):
        FastPropagation(floor, ears=ears)


def test_ears_far_apart_need_no_more_memory_than_a_field_may(floor):
    engine = FastPropagation(floor, ears=np.array([[0.0, 1.0, 0.0], [9e6, 1.0, 9e6]]))
    assert engine._grid.index.nbytes < 2**29


def test_a_response_prints_in_one_short_line():
    assert repr(decaying()) == "ImpulseResponse(2 channels, 1 s at 16000 Hz, 0 exact paths)"
    assert "1 channel," in repr(decaying(channels=1))


@pytest.mark.parametrize("channels", [1, 2, 16])
def test_a_response_is_saved_with_its_level(tmp_path, channels):
    response = decaying(0.1, channels)
    path = response.save(tmp_path / "a.wav")
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == RATE and samples.T.tobytes() == response.samples.tobytes()
    assert [file.name for file in tmp_path.iterdir()] == ["a.wav"]


def test_a_response_that_cannot_be_saved_says_why(tmp_path):
    with pytest.raises(ConfigurationError, match=r"ends in \.wav"):
        decaying().save(tmp_path / "a.mp3")
    with pytest.raises(ConfigurationError, match="path of a response"):
        decaying().save(None)
    with pytest.raises(SoundError, match="cannot be written"):
        decaying().save(tmp_path / "missing" / "a.wav")
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(SoundError, match="cannot be written"):
        decaying().save(tmp_path / "folder.wav")
    assert [file.name for file in tmp_path.iterdir()] == ["folder.wav"]


def test_a_response_measures_itself():
    measures = decaying(1.5, decay=0.6).measures(bands=[500.0, 1000.0])
    assert measures.t30.shape == (2, 2)
    assert measures.t30 == pytest.approx(np.full((2, 2), 0.6), rel=0.1)


def test_a_response_plots_itself(tmp_path):
    decaying().plot().savefig(tmp_path / "response.png")
    assert (tmp_path / "response.png").stat().st_size > 10_000


def test_a_response_larger_than_memory_is_refused_before_it_is_made():
    many = MicrophoneArray(positions=np.arange(192.0).reshape(64, 3) / 1e3)
    with pytest.raises(ConfigurationError, match="64 channels of 20 s at 192000 Hz have"):
        Synthesizer(192_000, 20 * 192_000, 0, 343.0).receiver(many)
