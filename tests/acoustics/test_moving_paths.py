import numpy as np
import pytest
import trimesh

from harken.acoustics import (
    AcousticSettings,
    Ambisonics,
    FastPropagation,
    Listener,
    SoundPath,
    SoundPaths,
    Source,
    microphone_array,
)
from harken.acoustics.directivity import talker
from harken.acoustics.hearing.microphones import MicrophoneArray
from harken.acoustics.paths.moving import match_paths, retarded_lengths
from harken.acoustics.protocol import MovingPropagation
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene
from harken.sound.delay_lines import add_gliding
from harken.sound.stream import Stream

RATE = 16_000


def path(kind, length, identity, direction=(1.0, 0.0, 0.0)):
    way = np.array([length * np.array(direction), [0.0, 0.0, 0.0]])
    return SoundPath(kind=kind, points=way, length=length, energy=np.ones(len(OCTAVE_BANDS)), identity=identity)


def of(*paths):
    return SoundPaths.of([path(*each) for each in paths])


def partners(before, after, reach=0.3):
    return {tuple(pair) for pair in match_paths(before, after, reach).tolist()}


def test_paths_over_the_same_surfaces_are_the_same_even_where_their_order_has_changed():
    before = of(("direct", 3.0, 1), ("specular", 5.0, 7), ("specular", 5.1, 8))
    after = of(("direct", 3.2, 1), ("specular", 5.2, 8), ("specular", 5.3, 7))
    assert partners(before, after) == {(0, 0), (1, 2), (2, 1)}


def test_what_comes_over_an_edge_where_it_came_straight_before_is_the_same_path():
    assert partners(of(("direct", 3.0, 1)), of(("diffracted", 3.1, 55))) == {(0, 0)}
    assert partners(of(("direct", 3.0, 1)), of(("specular", 3.1, 55))) == {(0, -1), (-1, 0)}
    assert partners(of(("direct", 3.0, 1)), of(("diffracted", 3.5, 55))) == {(0, -1), (-1, 0)}, "nobody moved so far"
    assert partners(of(("direct", 3.0, 1)), of(("diffracted", 3.1, 55, (0.0, 0.0, 1.0)))) == {(0, -1), (-1, 0)}


def test_paths_of_unknown_surfaces_go_on_as_the_nearest_of_their_kind():
    before = of(("specular", 5.0, 0), ("specular", 6.0, 0))
    after = of(("specular", 5.2, 0), ("specular", 5.9, 0), ("specular", 9.0, 0))
    assert partners(before, after) == {(0, 0), (1, 1), (-1, 2)}


def test_no_paths_have_no_partners():
    assert match_paths(of(), of(), 1.0).shape == (0, 2)
    assert partners(of(), of(("direct", 3.0, 1))) == {(-1, 0)}


@pytest.mark.parametrize("speed", [1.0, 30.0, 100.0])
def test_the_way_of_sound_from_a_source_that_comes_nearer_is_solved_exactly(speed):
    # It is at 50 − vt; what arrives at t = 0 has come the way L with L = 50 + v L/c, wherever the search began.
    c, velocity = 343.0, np.array([-speed, 0.0, 0.0])
    exact = 50.0 / (1.0 - speed / c)
    for age in (0.0, 0.1, 0.2):
        paths = of(("direct", 50.0 + speed * age, 1))
        np.testing.assert_allclose(retarded_lengths(paths, velocity, age, c), exact, rtol=1e-12)


def room():
    box = trimesh.creation.box(bounds=[[0, 0, 0], [6, 3, 5]])
    box.invert()
    wall = AcousticMaterial(name="wall", absorption=(0.1, 0.1, 0.15, 0.2, 0.2, 0.3, 0.4), scattering=(0.05,))
    return Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(len(box.faces), int))


@pytest.fixture(scope="module")
def engine():
    return FastPropagation(room(), AcousticSettings(duration=0.4, pair_rays=500, diffraction=False))


def test_the_fast_engine_tells_its_paths_from_the_rest(engine):
    assert isinstance(engine, MovingPropagation)
    source, listener = Source(position=[1.3, 1.6, 1.2]), Listener(position=[4.1, 1.2, 3.7], heading=0.4)
    parts, response = engine.parts(source, listener), engine.impulse_response(source, listener)
    assert parts.samples.tobytes() == response.samples.tobytes()
    assert len(parts.paths) == len(response.paths) > 10
    alone = engine._synthesizer.respond(listener, parts.paths).samples
    np.testing.assert_allclose(parts.samples - parts.tail, alone, atol=1e-6)


def test_paths_keep_their_identity_while_source_and_listener_move_and_no_two_share_one(engine):
    places = np.linspace([1.3, 1.6, 1.2], [1.5, 1.6, 1.4], 3)
    found = [engine.paths(Source(position=p), Listener(position=[4.1, 1.2, 3.7] + p - places[0])) for p in places]
    for paths in found:
        assert len(set(paths.identity.tolist())) == len(paths) and 0 not in paths.identity
    assert set(found[0].identity.tolist()) == set(found[2].identity.tolist())


FORMATS = {
    "mono": "mono",
    "binaural": "binaural",
    "ambisonics": Ambisonics(order=2),
    "array": microphone_array("tetrahedral"),
    "array whose microphones differ by band": MicrophoneArray(
        positions=np.array([[0.1, 0, 0], [-0.1, 0, 0]]), directivities=(talker(),)
    ),
}


@pytest.mark.parametrize("format", FORMATS.values(), ids=FORMATS)
def test_lines_at_rest_sound_like_the_paths_of_a_response(engine, format):
    listener = Listener(position=[4.1, 1.2, 3.7], heading=0.4, format=format)
    parts = engine.parts(Source(position=[1.3, 1.6, 1.2]), listener)
    clip = np.random.default_rng(0).normal(size=8000)
    spectrum = np.fft.rfft(clip) * (np.fft.rfftfreq(8000, 1 / RATE) < 6500)
    clip = np.fft.irfft(spectrum, 8000).astype(np.float32)
    lines, paths = parts.lines(), parts.samples - parts.tail
    heard = np.zeros((len(paths), 4000), np.float32)
    add_gliding(Stream(clip=clip), 8000, lines, lines, np.repeat(np.arange(len(parts.paths))[:, None], 2, 1), heard)
    wrapped = np.stack([np.convolve(np.resize(clip, 16_000), channel)[8000:12_000] for channel in paths])
    assert 20 * np.log10(np.std(heard - wrapped) / np.std(wrapped)) < -45.0
