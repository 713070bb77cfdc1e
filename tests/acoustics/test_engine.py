from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.acoustics import (
    AcousticSettings,
    Ambisonics,
    FastPropagation,
    Listener,
    MicrophoneArray,
    Propagation,
    Source,
    microphone_array,
)
from harken.acoustics.hearing.ambisonics import channel_orders
from harken.acoustics.measures import interaural_level_difference, interaural_time_difference
from harken.acoustics.paths.diffraction.bent import DiffractionPaths
from harken.acoustics.paths.diffraction.edges import Edges
from harken.acoustics.paths.straight import knife_edge_energy, straight_path
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene

RATE = 16_000
DRY = AcousticSettings(duration=0.2, reverberation=False)


def scene_of(*boxes, transmission=0.0, absorption=0.5):
    """A scene of solid boxes (lower corner, upper corner)."""
    parts = []
    for lower, upper in boxes:
        lower, upper = np.array(lower, float), np.array(upper, float)
        part = trimesh.creation.box(extents=upper - lower)
        parts.append(part.apply_translation((lower + upper) / 2))
    mesh = trimesh.util.concatenate(parts)
    wall = AcousticMaterial(name="wall", absorption=(absorption,), transmission=(transmission,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(len(mesh.faces), int))


@pytest.fixture(scope="module")
def free_field():
    """Nothing but a far-away block."""
    return FastPropagation(scene_of(([900, 0, 900], [901, 1, 901])), DRY)


def test_the_engine_keeps_the_seam(free_field):
    assert isinstance(free_field, Propagation)


def test_the_level_falls_six_decibels_per_doubling_of_distance(free_field):
    levels = []
    for distance in (1.0, 2.0, 4.0, 8.0):
        listener = Listener(position=[0, 1.5, 0], format="mono")
        samples = free_field.impulse_response(Source(position=[0, 1.5, -distance]), listener).samples
        spectrum = np.abs(np.fft.rfft(samples[0])) ** 2
        # Above, the filter that delays by fractions of a sample rolls off, and air takes its share.
        levels.append(10 * np.log10(spectrum[: len(spectrum) // 2].mean()))
    assert levels[0] == pytest.approx(0.0, abs=0.05)
    np.testing.assert_allclose(np.diff(levels), -6.02, atol=0.1)


@pytest.mark.parametrize("distance", [0.7, 1.0, 3.3, 17.15])
def test_sound_arrives_after_distance_over_speed(free_field, distance):
    listener = Listener(position=[0, 1.5, 0], format="mono")
    samples = free_field.impulse_response(Source(position=[distance, 1.5, 0]), listener).samples[0]
    spectrum = np.fft.rfft(samples)
    # The slope of the phase is the delay, to a fraction of a sample.
    k = np.arange(50, 600)
    delay = -np.polyfit(k, np.unwrap(np.angle(spectrum))[50:600], 1)[0] * len(samples) / (2 * np.pi)
    assert delay == pytest.approx(distance / free_field.speed * RATE, abs=0.02)


@pytest.mark.parametrize("heading", [0.0, 0.5, np.pi / 2, 2.5, -2.0])
def test_a_source_at_the_left_is_louder_and_earlier_in_the_left_ear(free_field, heading):
    left = np.array([-np.cos(heading), 0.0, np.sin(heading)])
    listener = Listener(position=[0, 1.5, 0], heading=heading)
    for side in (1.0, -1.0):
        source = Source(position=np.array([0, 1.5, 0]) + side * 2.0 * left)
        samples = free_field.impulse_response(source, listener).samples
        assert side * interaural_level_difference(samples) > 6.0
        # Positive: the left ear leads.
        assert side * interaural_time_difference(samples, RATE) > 0.5e-3


def test_turning_the_head_and_turning_the_world_are_the_same(free_field):
    source = Source(position=[1.0, 1.5, -2.0])
    turned = free_field.impulse_response(source, Listener(position=[0, 1.5, 0], heading=0.7)).samples
    c, s = np.cos(-0.7), np.sin(-0.7)
    x, z = source.position[0], source.position[2]
    moved = Source(position=[c * x + s * z, 1.5, -s * x + c * z])
    straight = free_field.impulse_response(moved, Listener(position=[0, 1.5, 0])).samples
    np.testing.assert_allclose(turned, straight, atol=1e-4)


def test_a_solid_wall_takes_its_transmission_once_and_a_sheet_too():
    air = np.zeros(len(OCTAVE_BANDS))
    solid = scene_of(([-5, 0, -1.1], [5, 3, -1.0]), transmission=0.01)
    ends = np.array([0, 1.5, 0]), np.array([0, 1.5, -2])
    path = straight_path(solid, *ends, air)
    assert path.kind == "transmitted"
    np.testing.assert_allclose(path.energy, 0.01 / 4, rtol=1e-6)
    sheet = Scene(
        vertices=[[-5, 0, -1], [5, 0, -1], [5, 3, -1], [-5, 3, -1]],
        faces=[[0, 1, 2], [0, 2, 3]],
        materials=solid.materials,
        material=[0, 0],
    )
    for a, b in (ends, ends[::-1]):
        np.testing.assert_allclose(straight_path(sheet, a, b, air).energy, 0.01 / 4, rtol=1e-6)


def test_two_walls_take_twice():
    scene = scene_of(([-5, 0, -1.1], [5, 3, -1.0]), ([-5, 0, -2.1], [5, 3, -2.0]), transmission=0.1)
    path = straight_path(scene, np.array([0, 1.5, 0]), np.array([0, 1.5, -4]), np.zeros(7))
    np.testing.assert_allclose(path.energy, 0.1**2 / 16, rtol=1e-6)


def test_sound_around_a_corner_comes_from_the_corner_and_not_through_the_wall():
    # A high wall along x with a gap for x > 2; source behind it, listener in front.
    scene = scene_of(([-16, -20, -1.1], [2, 20, -1.0]), transmission=1e-4)
    source, ears = np.array([-1, 1.5, -2.5]), np.array([-1, 1.5, 1.0])
    engine = FastPropagation(scene, DRY)
    paths = engine.paths(Source(position=source), Listener(position=ears))
    assert paths[0].kind == "transmitted" and {path.kind for path in paths[1:]} == {"diffracted"}
    around = max(paths[1:], key=lambda path: path.energy[3])
    assert around.length == pytest.approx(np.hypot(3.0, 1.4) + 0.1 + np.hypot(3.0, 2.0), abs=1e-3)
    assert around.energy[3] > 3 * paths[0].energy[3]
    heard = engine.impulse_response(Source(position=source), Listener(position=ears)).samples
    assert interaural_level_difference(heard) < -3.0, "the gap is at the right (+x) of a listener who faces −z"


def test_a_proposed_route_leads_the_sound_where_no_edges_are_known():
    scene = scene_of(([-6, 0, -1.1], [2, 3, -1.0]))
    source, ears = np.array([-1, 1.5, -2.5]), np.array([-1, 1.5, 1.0])
    detour = np.array([source, [2.3, 1.5, -1.6], [2.3, 1.5, -0.5], ears])
    engine = FastPropagation(scene, DRY, route=lambda s, r: detour.copy())
    engine.exact.edges = DiffractionPaths(scene, Edges.build(scene, shortest=100.0))
    paths = engine.paths(Source(position=source), Listener(position=ears))
    assert [path.kind for path in paths] == ["diffracted"]
    assert paths[0].length == pytest.approx(np.hypot(3.0, 1.5) + 0.1 + np.hypot(3.0, 2.0), abs=0.03), "pulled taut"


def box_of(size, absorption=0.2, scattering=0.5):
    size = np.array(size, float)
    box = trimesh.creation.box(extents=size).apply_translation(size / 2)
    wall = AcousticMaterial(name="wall", absorption=(absorption,), scattering=tuple(np.atleast_1d(scattering)))
    return Scene(vertices=box.vertices, faces=box.faces, materials=(wall,), material=np.zeros(12, int))


@pytest.mark.parametrize("format", ["mono", "binaural", Ambisonics(order=2), microphone_array("tetrahedral")])
def test_the_tail_holds_the_energy_of_the_field(format):
    scene, source, listener = box_of([6, 3, 4]), Source(position=[1, 1.5, 1]), Listener(position=[4, 1.5, 3])
    listener = replace(listener, format=format)
    energies, expected = [], []
    for seed in range(6):
        engine = FastPropagation(scene, AcousticSettings(duration=1.0, seed=seed))
        paths = engine.paths(source, listener)
        heard = engine.impulse_response(source, listener).samples - engine._synthesizer.respond(listener, paths).samples
        spectrum = np.abs(np.fft.rfft(heard)) ** 2
        k = np.arange(500, 1400)  # 500 to 1400 Hz, where the field's bands are alike
        energies.append(spectrum[:, k].mean(1))
        expected.append(engine.energy(source, listener).energy[:, 3, 0].sum())
    level = 10 * np.log10(np.mean(energies, 0) / np.mean(expected))
    if isinstance(format, Ambisonics):
        level += 10 * np.log10(2 * channel_orders(2) + 1)  # SN3D of a diffuse field
    elif isinstance(format, MicrophoneArray):
        level -= 10 * np.log10(0.5**2 + 0.5**2 / 3)  # cardioids
    # Six independent noises of some thousand degrees of freedom: a few per cent; a room's field is not quite diffuse.
    assert np.mean(level) == pytest.approx(0.0, abs=0.5)
    np.testing.assert_allclose(level, 0.0, atol=1.2)


def test_a_listener_who_sees_no_cell_still_hears_the_room():
    # A screen stands between the listener and the only place where listeners were expected, in the same cell.
    scene = scene_of(([-3, -0.1, -3], [3, 0, 3]), ([-3, 0, -3.1], [3, 3, -3]), ([0.2, 0, -0.5], [0.22, 3, 0.5]))
    settings = AcousticSettings(duration=0.2)
    source, listener = Source(position=[2, 1.5, -1]), Listener(position=[0.4, 1.5, 0.1])
    engine = FastPropagation(scene, settings, ears=np.array([[0.1, 1.5, 0.1]]))
    heard = engine.energy(source, listener)
    alone = FastPropagation(scene, settings).energy(source, listener)
    assert heard.energy.tobytes() == alone.energy.tobytes()
    assert heard.energy[:, :, 0].sum() > 1e-3, "the floor and the wall reflect"


def test_a_tracing_for_a_pair_and_a_field_tell_the_same():
    scene, source = box_of([6, 3, 4], scattering=(0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)), Source(position=[1, 1.5, 1])
    ears = np.stack(np.meshgrid(np.arange(0.25, 6, 0.25), [1.5], np.arange(0.25, 4, 0.25)), -1).reshape(-1, 3)
    settings = AcousticSettings(duration=0.8, rays=30_000, pair_rays=10_000)
    engine, alone = FastPropagation(scene, settings, ears=ears), FastPropagation(scene, settings)
    for place in ([4.0, 1.5, 3.0], [2.25, 1.5, 0.75], [5.0, 1.5, 1.0]):
        listener = Listener(position=place)
        field, pair = (e.energy(source, listener).energy[:, :, 0] for e in (engine, alone))
        np.testing.assert_allclose(10 * np.log10(field.sum(0) / pair.sum(0)), 0.0, atol=0.4)
        late = slice(np.searchsorted(engine._bins.edges, 0.1), None)
        np.testing.assert_allclose(10 * np.log10(field[late].sum(0) / pair[late].sum(0)), 0.0, atol=0.8)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_no_energy_counts_twice_between_images_and_the_field(order):
    scattering = (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
    scene, source, listener = box_of([6, 3, 4], 0.3, scattering), Source(position=[1, 1.5, 1]), [4, 1.2, 3]
    totals = []
    for chosen in (0, order):
        engine = FastPropagation(scene, AcousticSettings(duration=0.5, pair_rays=30_000, image_order=chosen))
        totals.append(engine.energy(source, Listener(position=listener)).over_time(0.01).sum(1))
    # A ray may weigh several times another where scattering differs between bands: a per cent is what is left.
    np.testing.assert_allclose(totals[1] / totals[0], 1.0, atol=0.03)


@pytest.mark.parametrize(
    ("source", "listener", "who"), [([0, 1, 0], [2, 1, 0], "source"), ([2, 1, 0], [0, 1, 0], "listener")]
)
def test_nobody_sounds_or_hears_inside_a_solid(source, listener, who):
    scene = scene_of(([-0.2, 0, -2], [0.2, 3, 2]), ([-5, -0.2, -5], [5, 0, 5]))
    engine = FastPropagation(scene, AcousticSettings(duration=0.1))
    with pytest.raises(SoundError, match=f"The {who} at .* inside a wall"):
        engine.impulse_response(Source(position=source), Listener(position=listener))


def test_zero_area_and_duplicate_triangles_change_nothing_but_the_rays():
    scene, source, listener = box_of([6, 3, 4]), Source(position=[1, 1.5, 1]), Listener(position=[4, 1.2, 3])
    faces = np.concatenate([scene.faces, scene.faces[:4], [[0, 0, 1], [2, 2, 2]]])
    doubled = Scene(vertices=scene.vertices, faces=faces, materials=scene.materials, material=np.zeros(len(faces), int))
    clean, dirty = (
        FastPropagation(s, AcousticSettings(duration=0.2)).energy(source, listener) for s in (scene, doubled)
    )
    np.testing.assert_allclose(dirty.paths.energy, clean.paths.energy)
    np.testing.assert_allclose(dirty.energy.sum((0, 2)), clean.energy.sum((0, 2)), rtol=0.2)


def test_energy_that_leaves_through_an_opening_is_told():
    closed = box_of([6, 3, 4], absorption=0.0, scattering=1.0)
    ears = np.array([[4, 1.5, 3]])
    scene = Scene(
        vertices=closed.vertices, faces=closed.faces[2:], materials=closed.materials, material=np.zeros(10, int)
    )
    whole, opened = (
        FastPropagation(s, AcousticSettings(duration=1.0), ears=ears).field(Source(position=[2, 1.5, 2])).escaped
        for s in (closed, scene)
    )
    assert whole == 0.0 and 0.5 < opened < 1.0, "little is left after a second with a wall missing"


def test_low_frequencies_bend_more_than_high_ones():
    energy = knife_edge_energy(0.5, 343.0 / np.array(OCTAVE_BANDS))
    assert (np.diff(energy) < 0).all()
    # Kurze and Anderson: 5 dB at the shadow boundary, 13 dB at a Fresnel number of 1.
    assert -10 * np.log10(knife_edge_energy(0.0, np.array([0.343])))[0] == pytest.approx(5.0, abs=0.01)
    assert -10 * np.log10(knife_edge_energy(0.1715, np.array([0.343])))[0] == pytest.approx(13.0, abs=0.1)


@pytest.mark.parametrize("duration", [0.05, 0.5, 1.0])
def test_the_response_has_the_length_that_was_asked_for(duration):
    scene = scene_of(([-5, -1, -5], [5, 0, 5]))
    engine = FastPropagation(scene, AcousticSettings(duration=duration, rays=10))
    response = engine.impulse_response(Source(position=[0, 1, 0]), Listener(position=[1, 1, 0]))
    assert response.samples.shape == (2, round(duration * RATE)) and response.samples.dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Source(position=[0, np.nan, 0]), "Source position"),
        (lambda: Source(position=[0, 1]), "three finite numbers"),
        (lambda: Listener(position=[0, 0, np.inf]), "Listener position"),
        (lambda: Listener(position=[0, 0, 0], heading=np.nan), "heading"),
        (lambda: Listener(position=[0, 0, 0], format="stereo"), "'binaural', 'mono'"),
        (lambda: AcousticSettings(duration=0.0), "duration"),
        (lambda: AcousticSettings(rays=0), "rays"),
        (lambda: AcousticSettings(rate=100), "rate"),
        (lambda: AcousticSettings(image_order=5), "image_order"),
        (lambda: Listener(position=[0, 0, 0], pitch=np.inf), "pitch"),
        (lambda: Source(position=[0, 0, 0], directivity="cardioid"), "directivity"),
    ],
)
def test_impossible_values_are_refused_with_what_was_expected(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
