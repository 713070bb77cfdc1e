from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.acoustics import (
    AcousticSettings,
    Ambisonics,
    FastPropagation,
    HeadResponse,
    Listener,
    MicrophoneArray,
    ReferencePropagation,
    ReferenceSettings,
    Source,
    microphone_array,
)
from harken.acoustics.directivity import FirstOrder, body_frame, talker
from harken.acoustics.hearing.ambisonics import encode, rotate
from harken.errors import ConfigurationError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

RATE = 16_000
DRY = AcousticSettings(duration=0.1, reverberation=False, diffraction=False)
EARS = np.array([0.0, 1.5, 0.0])


def box_of(size, absorption=0.2, scattering=0.5):
    size = np.array(size, float)
    box = trimesh.creation.box(extents=size).apply_translation(size / 2)
    wall = AcousticMaterial(name="wall", absorption=(absorption,), scattering=(scattering,))
    return Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(12, int))


@pytest.fixture(scope="module")
def free_field():
    far = trimesh.creation.box(extents=[1, 1, 1]).apply_translation([900, 0, 900])
    wall = AcousticMaterial(name="wall", absorption=(0.5,))
    scene = Scene(vertices=far.vertices, faces=far.faces, materials=(wall,), material=np.zeros(12, int))
    return FastPropagation(scene, DRY)


def arrival(samples, first=50, last=600):
    """Delay of an impulse from the slope of its phase [samples]."""
    k = np.arange(first, last)
    phase = np.unwrap(np.angle(np.fft.rfft(samples)))[first:last]
    return -np.polyfit(k, phase, 1)[0] * len(samples) / (2 * np.pi)


@pytest.mark.parametrize("normalization", ["sn3d", "n3d"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_an_ambisonic_listener_encodes_the_direction_of_a_source(free_field, order, normalization):
    source, heading = np.array([1.0, 0.7, -2.0]), 0.6
    listener = Listener(position=EARS, heading=heading, format=Ambisonics(order=order, normalization=normalization))
    heard = free_field.impulse_response(Source(position=EARS + source), listener).samples
    mono = free_field.impulse_response(Source(position=EARS + source), replace(listener, format="mono")).samples
    expected = encode(body_frame(heading) @ source, order, normalization)
    np.testing.assert_allclose(heard, expected[:, None] * mono, atol=1e-6)


def test_turning_an_ambisonic_listener_is_rotating_its_signal(free_field):
    source, format = Source(position=[1.0, 2.2, -2.0]), Ambisonics(order=3)
    straight = free_field.impulse_response(source, Listener(position=EARS, format=format)).samples
    for heading, pitch in ((0.8, 0.0), (-2.1, 0.4), (0.0, -0.7)):
        turned = free_field.impulse_response(
            source, Listener(position=EARS, heading=heading, pitch=pitch, format=format)
        ).samples
        np.testing.assert_allclose(turned, rotate(straight, body_frame(heading, pitch)), atol=1e-5)


def test_a_listener_who_looks_up_has_what_is_above_ahead(free_field):
    above, ahead = Source(position=EARS + [0, 2, 0]), Source(position=EARS + [0, 0, -2])
    up = free_field.impulse_response(above, Listener(position=EARS, pitch=np.pi / 2)).samples
    level = free_field.impulse_response(ahead, Listener(position=EARS)).samples
    np.testing.assert_allclose(up, level, atol=1e-5)


def test_the_built_in_head_is_what_binaural_means_and_another_is_heard_instead(free_field):
    source, head = Source(position=[2.0, 1.5, 0.0]), HeadResponse.kemar(RATE)
    built_in = free_field.impulse_response(source, Listener(position=EARS)).samples
    same = free_field.impulse_response(source, Listener(position=EARS, format=head)).samples
    assert same.tobytes() == built_in.tobytes()
    deaf = HeadResponse(
        rate=RATE, directions=head.directions, delays=head.delays, filters=head.filters * np.array([1, 0])[:, None]
    )
    heard = free_field.impulse_response(source, Listener(position=EARS, format=deaf)).samples
    assert np.abs(heard[0]).max() > 0 and np.abs(heard[1]).max() == 0


def test_a_head_of_another_rate_is_refused_with_what_to_do(free_field):
    listener = Listener(position=EARS, format=HeadResponse.kemar(44_100))
    with pytest.raises(ConfigurationError, match="rate=16000"):
        free_field.impulse_response(Source(position=[2.0, 1.5, 0.0]), listener)


def test_microphones_hear_a_plane_wave_one_after_the_other_and_through_their_patterns(free_field):
    array = MicrophoneArray(
        positions=np.array([[-0.2, 0, 0], [0.2, 0, 0], [0, 0, -0.1]]),
        directivities=(FirstOrder(), FirstOrder(), FirstOrder(alpha=0.5)),
    )
    direction, heading = np.array([0.6, 0.0, -0.8]), 0.5
    position = EARS + 5.0 * (body_frame(heading).T @ direction)
    heard = free_field.impulse_response(
        Source(position=position), Listener(position=EARS, heading=heading, format=array)
    ).samples
    expected = 5.0 / free_field.speed * RATE + array.delays(direction, free_field.speed) * RATE
    np.testing.assert_allclose([arrival(h) for h in heard], expected, atol=0.02)
    gains = np.abs(np.fft.rfft(heard))[:, 100:500].mean(1) * 5.0
    np.testing.assert_allclose(gains, [1.0, 1.0, 0.5 + 0.5 * 0.8], rtol=0.02)


def test_a_talker_who_turns_away_is_softer_at_high_frequencies(free_field):
    listener = Listener(position=EARS, format="mono")
    levels = []
    for heading in (0.0, np.pi):  # the listener stands towards −z of the talker
        source = Source(position=EARS + [0, 0, 2], directivity=talker(), heading=heading)
        (path,) = free_field.paths(source, listener)
        levels.append(10 * np.log10(path.energy))
    expected = 20 * np.log10(talker().gains(np.array([0.0, 0.0, 1.0])) / talker().gains(np.array([0.0, 0.0, -1.0])))
    np.testing.assert_allclose(levels[1] - levels[0], expected, atol=0.05)
    assert (levels[1] - levels[0])[5] < -8.0


def test_a_source_fills_the_room_with_what_it_radiates_in_all():
    scene = box_of([6, 3, 4], scattering=1.0)
    ears = np.stack(np.meshgrid(np.arange(0.25, 6, 0.5), [1.5], np.arange(0.25, 4, 0.5)), -1).reshape(-1, 3)
    engine = FastPropagation(scene, AcousticSettings(duration=0.6, rays=8000), ears=ears)
    cardioid = FirstOrder(alpha=0.5)
    late = slice(np.searchsorted(engine._bins.edges, 0.1), None)
    omni, directional = (
        engine.field(Source(position=[2, 1.5, 2], directivity=d)).energy[:, late, :, 0].sum((0, 1))
        for d in (None, cardioid)
    )
    np.testing.assert_allclose(directional / omni, cardioid.mean_energy(), rtol=0.05)


def test_both_tiers_give_a_directional_source_the_same_level():
    scene, source = box_of([6, 3, 4]), Source(position=[2, 1.5, 2], directivity=talker(), heading=1.0)
    listener = Listener(position=[4.5, 1.5, 3])
    fast = FastPropagation(scene, AcousticSettings(duration=0.5, pair_rays=20_000)).energy(source, listener)
    slow = ReferencePropagation(scene, ReferenceSettings(duration=0.5, rays=8_000)).energy(source, listener)
    np.testing.assert_allclose(fast.paths.energy.sum(0), slow.path_energy.sum(0), rtol=1e-6)
    difference = 10 * np.log10(fast.energy[:, :, 0].sum(0) / slow.traced[:, :, 0].sum(0))
    np.testing.assert_allclose(difference, 0.0, atol=0.5)


def test_a_batch_has_a_row_per_source_and_a_column_per_listener(free_field):
    sources = [Source(position=EARS + [0, 0, -d]) for d in (1.0, 2.0)]
    listeners = [Listener(position=EARS + [x, 0, 0], format=format) for x, format in ((0, "mono"), (1, "binaural"))]
    batch = free_field.impulse_responses(sources, listeners)
    assert [[r.samples.shape[0] for r in row] for row in batch] == [[1, 2], [1, 2]]
    alone = free_field.impulse_response(sources[1], listeners[0]).samples
    assert batch[1][0].samples.tobytes() == alone.tobytes()


def test_arrays_from_the_library_are_heard_whole(free_field):
    array = microphone_array("em32")
    heard = free_field.impulse_response(Source(position=[2, 1.5, 0]), Listener(position=EARS, format=array)).samples
    assert heard.shape == (32, 1600) and np.isfinite(heard).all()
    assert len(OCTAVE_BANDS) == array.gains(np.array([0.0, 0.0, -1.0])).shape[-1]
