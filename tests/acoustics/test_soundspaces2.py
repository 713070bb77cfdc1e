import pickle
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import trimesh
from scipy.signal import butter, sosfiltfilt

from harken.acoustics import Listener, Propagation, Source
from harken.acoustics.engines import SoundSpaces2Propagation, SoundSpaces2Settings, soundspaces2
from harken.acoustics.measures import interaural_level_difference, interaural_time_difference
from harken.errors import ConfigurationError, HarkenWarning, MissingDependencyError, SoundError
from harken.scene import AcousticMaterial, Scene

pytest.importorskip("rlr_audio_propagation", reason="pip install harken[soundspaces]")

EARS = np.array([0.0, 1.5, 0.0])
ROOM = np.array([8.0, 3.0, 6.0])


@pytest.fixture(autouse=True)
def _licence_was_told(monkeypatch):
    monkeypatch.setattr(soundspaces2, "_licence_shown", True)


def scene_of(lower, upper, *, inwards=False, absorption=0.1, scattering=0.5, transmission=0.0):
    """A box, seen from outside or from inside."""
    lower, upper = np.array(lower, float), np.array(upper, float)
    box = trimesh.creation.box(extents=upper - lower).apply_translation((lower + upper) / 2)
    wall = AcousticMaterial(
        name="wall", absorption=(absorption,), scattering=(scattering,), transmission=(transmission,)
    )
    faces = box.faces[:, ::-1] if inwards else box.faces
    return Scene(vertices=box.vertices, faces=faces, materials=(wall,), material=np.zeros(len(faces), int))


def sheet_of(z, *, transmission):
    wall = AcousticMaterial(name="sheet", absorption=(0.5,), transmission=(transmission,))
    corners = [[-5, 0, z], [5, 0, z], [5, 3, z], [-5, 3, z]]
    return Scene(vertices=corners, faces=[[0, 1, 2], [0, 2, 3]], materials=(wall,), material=[0, 0])


def free_field(**settings):
    """Nothing but a far-away block."""
    scene = scene_of([900, 0, 900], [901, 1, 901])
    return SoundSpaces2Propagation(scene, SoundSpaces2Settings(rays=1, **{"duration": 0.1, **settings}))


def room(absorption=0.3, **settings):
    scene = scene_of([0, 0, 0], ROOM, inwards=True, absorption=absorption)
    return SoundSpaces2Propagation(scene, SoundSpaces2Settings(**{"rays": 500, **settings}))


def hear(propagation, source, ears=EARS, *, heading=0.0, format="binaural"):
    listener = Listener(position=ears, heading=heading, format=format)
    return propagation.impulse_response(Source(position=source), listener).samples


def spread_directions(count):
    k = np.arange(count) + 0.5
    y = 1 - 2 * k / count
    turn, flat = np.pi * (3 - np.sqrt(5)) * k, np.sqrt(1 - y * y)
    return np.stack([flat * np.cos(turn), y, flat * np.sin(turn)], 1)


def octave_energies(samples, rate):
    spectrum = np.abs(np.fft.rfft(samples, 8192)) ** 2
    frequencies = np.fft.rfftfreq(8192, 1 / rate)
    inside = [(frequencies > f / 2**0.5) & (frequencies < f * 2**0.5) for f in (125, 250, 500, 1000, 2000, 4000)]
    return np.stack([spectrum[:, chosen].mean(1) for chosen in inside], 1)


def decay_time(samples, rate):
    """Time in which 60 dB decay, from −5 to −25 dB, in the octave of 1 kHz."""
    filtered = sosfiltfilt(butter(4, [707, 1414], "band", fs=rate, output="sos"), samples)
    left = np.cumsum((filtered.astype(float) ** 2)[::-1])[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    inside = np.flatnonzero((level < -5) & (level > -25))
    return -60 / np.polyfit(inside / rate, level[inside], 1)[0]


def test_the_engine_keeps_the_seam():
    assert isinstance(free_field(), Propagation)


@pytest.mark.parametrize("heading", [0.0, 0.5, np.pi / 2, 2.5, -2.0])
def test_a_source_at_the_left_is_louder_and_earlier_in_the_left_ear(heading):
    engine = free_field()
    left = np.array([-np.cos(heading), 0.0, np.sin(heading)])
    ahead = np.array([-np.sin(heading), 0.0, -np.cos(heading)])
    for side in (1.0, -1.0):
        samples = hear(engine, EARS + side * 2.0 * left, heading=heading)
        assert side * interaural_level_difference(samples) > 6.0
        assert side * interaural_time_difference(samples, engine.rate) > 0.4e-3
    samples = hear(engine, EARS + 2.0 * ahead, heading=heading)
    # The head is mirrored at its middle, but a rotated direction is interpolated anew.
    assert abs(interaural_level_difference(samples)) < 0.1
    assert abs(interaural_time_difference(samples, engine.rate)) < 0.02e-3


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("format", ["mono", "binaural"])
@pytest.mark.parametrize("radius", [0.1, 0.01])
def test_sound_from_ahead_arrives_after_distance_over_speed(rate, format, radius):
    engine = free_field(rate=rate, listener_radius=radius)
    for distance in (0.5, 1.0, 3.3, 17.2):
        samples = hear(engine, EARS - [0, 0, distance], format=format)
        late = np.abs(samples).argmax(1) - distance / 344.0 * rate
        # The engine rounds its delay to a sample, and undoing the head's delay rounds again.
        assert np.abs(late).max() < 1.2


@pytest.mark.parametrize("distance", [1.0, 2.0, 4.0, 8.0])
def test_direct_sound_has_the_level_of_the_protocol(distance):
    energy = octave_energies(hear(free_field(), EARS - [0, 0, distance], format="mono"), 16_000)
    # 0.4 dB too much at 1 m is the engine's near field, the rest is air, up to 0.3 dB at 4 kHz and 8 m.
    np.testing.assert_allclose(10 * np.log10(energy * distance**2), 0.0, atol=0.45)


@pytest.mark.parametrize("rate", [16_000, 44_100, 48_000])
def test_both_ears_hear_on_average_what_a_microphone_does_at_every_sampling_rate(rate):
    engine = free_field(rate=rate)
    ears = np.zeros(2)
    for direction in spread_directions(40):
        ears += octave_energies(hear(engine, EARS + 2 * direction), rate).mean(1) / 40
    mono = octave_energies(hear(engine, EARS - [0, 0, 2.0], format="mono"), rate).mean()
    np.testing.assert_allclose(10 * np.log10(ears / mono), 0.0, atol=0.3)


@pytest.mark.parametrize("absorption", [0.1, 0.3])
def test_absorption_is_a_share_of_energy(absorption):
    samples = hear(room(absorption, rays=2000, duration=2.0), [1, 1, 1], [6, 1.5, 4], format="mono")[0]
    surface = 2 * (ROOM[0] * ROOM[1] + ROOM[1] * ROOM[2] + ROOM[2] * ROOM[0])

    def eyring(share):
        return 0.161 * ROOM.prod() / (-surface * np.log(1 - share))

    # A flat room with partly specular walls decays slower than Eyring's, by 5 to 16 %.
    assert 1.0 < decay_time(samples, 16_000) / eyring(absorption) < 1.25
    assert eyring(1 - (1 - absorption) ** 2) < 0.55 * decay_time(samples, 16_000), "the reading as pressure is far off"


def test_reverberation_has_the_level_of_the_protocol():
    samples = hear(room(0.1, rays=2000, duration=2.0), [1, 1, 1], [6, 1.5, 4], format="mono")[0]
    surface = 2 * (ROOM[0] * ROOM[1] + ROOM[1] * ROOM[2] + ROOM[2] * ROOM[0])
    # Steady state of a diffuse field without the direct sound, Kuttruff, Room Acoustics (2009), eq. 5.37 and 5.41.
    expected = 16 * np.pi * 0.9 / (surface * -np.log(0.9)) + 1 / 5.85**2
    # A point in a diffuse field deviates by some tenths of a decibel, as does the tracing.
    assert 10 * np.log10(np.sum(samples**2) / expected) == pytest.approx(0.0, abs=1.0)


def test_without_materials_all_surfaces_have_the_engine_s_own():
    dead = hear(room(0.9), [1, 1, 1], [6, 1.5, 4], format="mono")[0]
    plain = hear(room(0.9, materials=False, duration=2.0), [1, 1, 1], [6, 1.5, 4], format="mono")[0]
    assert decay_time(dead, 16_000) < 0.2
    assert decay_time(plain, 16_000) == pytest.approx(1.3, rel=0.1), "as absorption 0.1"


def around_the_direct_sound(scene, source, ears, **settings):
    """Loudest pressure within a millisecond of where sound from two metres away arrives, mono."""
    engine = SoundSpaces2Propagation(scene, SoundSpaces2Settings(rays=1, diffraction_order=0, duration=0.1, **settings))
    middle = round(2.0 / 344.0 * engine.rate)
    return np.abs(hear(engine, source, ears, format="mono"))[0, middle - 8 : middle + 9].max()


@pytest.mark.parametrize("transmission", [0.01, 0.1])
def test_a_solid_wall_takes_its_transmission_once_and_a_sheet_too(transmission):
    solid = scene_of([-5, 0, -1.1], [5, 3, -1.0], absorption=0.5, transmission=transmission)
    ends = (EARS - [0, 0, 2.0], EARS)
    free = around_the_direct_sound(free_field().scene, *ends)
    for scene in (solid, sheet_of(-1.0, transmission=transmission)):
        for source, ears in (ends, ends[::-1]):
            passed = around_the_direct_sound(scene, source, ears)
            assert 20 * np.log10(passed / free) == pytest.approx(10 * np.log10(transmission), abs=0.2)


def test_nothing_passes_where_transmission_is_off():
    solid = scene_of([-5, 0, -1.1], [5, 3, -1.0], absorption=0.5, transmission=0.1)
    assert around_the_direct_sound(solid, EARS - [0, 0, 2.0], EARS, transmission=False) < 1e-6


def test_silence_is_an_answer_where_everything_is_closed():
    scene = scene_of([-1, -1, -1], [1, 1, 1], inwards=True)
    engine = SoundSpaces2Propagation(scene, SoundSpaces2Settings(rays=50, duration=0.1))
    assert np.abs(hear(engine, [0, 0, 0], [3, 0, 0])).max() < 1e-3


@pytest.mark.parametrize("duration", [0.05, 0.5, 3.0])
@pytest.mark.parametrize("format", ["mono", "binaural"])
def test_the_response_has_the_length_that_was_asked_for(duration, format):
    samples = hear(room(duration=duration, rays=50), [1, 1, 1], [6, 1.5, 4], format=format)
    assert samples.shape == (1 if format == "mono" else 2, round(duration * 16_000)) and samples.dtype == np.float32
    assert samples.any()


def test_responses_depend_on_nothing_that_was_asked_before():
    first, second = room(), room()
    for x in (2.0, 3.0, 7.0):
        hear(second, [1, 1, 1], [x, 1.5, 2])
    there = ([1, 1, 1], [6, 1.5, 4])
    assert hear(first, *there).tobytes() == hear(second, *there).tobytes() == hear(second, *there).tobytes()


def test_with_temporal_coherence_the_same_walk_gives_the_same_bytes_and_another_walk_does_not():
    walk = [[6.0 - 0.25 * k, 1.5, 4.0] for k in range(5)]

    def at_the_end(places):
        engine = room(temporal_coherence=True)
        return [hear(engine, [1, 1, 1], place) for place in places][-1].tobytes()

    assert at_the_end(walk) == at_the_end(walk)
    assert at_the_end(walk) != at_the_end(walk[-1:])


def test_a_jump_ends_temporal_coherence():
    # After standing at the source, the loudest there is, nothing of it is left two rooms' widths away.
    engine = room(0.3, temporal_coherence=True, duration=2.0)
    for _ in range(10):
        hear(engine, [1, 1, 1], [1.5, 1.2, 1], format="mono")
    after = np.sum(hear(engine, [1, 1, 1], [7, 1.5, 5], format="mono") ** 2)
    alone = np.sum(hear(room(0.3, rays=5000, duration=2.0), [1, 1, 1], [7, 1.5, 5], format="mono") ** 2)
    # Single responses of 500 rays scatter by about a decibel.
    assert 10 * np.log10(after / alone) == pytest.approx(0.0, abs=2.0)


def test_pickling_keeps_what_is_heard():
    engine = room(rays=50)
    copy = pickle.loads(pickle.dumps(engine))
    assert hear(copy, [1, 1, 1], [6, 1.5, 4]).tobytes() == hear(engine, [1, 1, 1], [6, 1.5, 4]).tobytes()


def test_the_engine_s_prints_do_not_reach_the_terminal(capfd):
    hear(room(rays=50), [1, 1, 1], [6, 1.5, 4])
    hear(room(rays=50, materials=False), [1, 1, 1], [6, 1.5, 4])
    print("still heard")
    assert capfd.readouterr() == ("still heard\n", "")


def test_the_licence_is_told_once(monkeypatch):
    monkeypatch.setattr(soundspaces2, "_licence_shown", False)
    with pytest.warns(HarkenWarning, match="no commercial use"):
        free_field()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        free_field()


def test_a_missing_engine_is_an_error_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "rlr_audio_propagation", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'harken\[soundspaces\]'"):
        free_field()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (np.zeros((2, 100)), "silence although nothing stands between"),
        (np.full((2, 100), np.nan), "not finite"),
        (np.zeros((2, 0)), "no response"),
        (np.zeros(0), "no response"),
        (np.ones((1, 100)), "no response"),
        (RuntimeError("error 2005"), "failed .error 2005."),
    ],
)
def test_a_failure_of_the_engine_never_becomes_silence(monkeypatch, raw, message):
    def answer(*_):
        if isinstance(raw, Exception):
            raise raw
        return raw

    def nothing(*_):
        return None

    stub = SimpleNamespace(
        set_source_position=nothing,
        set_listener_position=nothing,
        set_listener_orientation_quaternion=nothing,
        simulate=nothing,
        get_listener_source_audio=answer,
    )
    engine = free_field()
    monkeypatch.setattr(engine, "_context", lambda *_: SimpleNamespace(engine=stub))
    with pytest.raises(SoundError, match=message):
        hear(engine, EARS - [0, 0, 2.0])


def test_a_material_file_that_the_engine_refuses_is_an_error_that_quotes_it(monkeypatch):
    monkeypatch.setattr(soundspaces2.json, "dump", lambda _content, file: file.write("{"))
    with pytest.raises(SoundError, match="Error parsing audio material data"):
        hear(room(), [1, 1, 1], [6, 1.5, 4])


def test_navigation_settings_are_the_published_ones():
    settings = SoundSpaces2Settings.navigation(rate=44_100)
    assert (settings.rays, settings.temporal_coherence, settings.materials) == (500, True, False)
    assert settings.rate == 44_100 and settings.transmission
    assert SoundSpaces2Settings().rays == 5000


@pytest.mark.parametrize(
    "setting",
    [
        {"rate": 96_000},
        {"rate": 4_000},
        {"duration": 0.0},
        {"duration": np.nan},
        {"rays": 0},
        {"bands": 0},
        {"diffraction_order": 11},
        {"listener_radius": -0.1},
    ],
)
def test_impossible_settings_are_refused(setting):
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        SoundSpaces2Settings(**setting)
