"""The reference tier against closed forms (A1 to A12 of the acoustics literature) and against itself."""

from dataclasses import replace

import numpy as np
import pytest
import trimesh
from scipy.stats import norm

from harken.acoustics.bands import energy_weights
from harken.acoustics.engines.reference import ReferencePropagation, ReferenceSettings
from harken.acoustics.measures import decay_time
from harken.acoustics.paths.diffraction.wedge import wedge_energy, wedge_pressure
from harken.acoustics.protocol import Listener, Propagation, Source
from harken.errors import ConfigurationError, SoundError
from harken.scene import OCTAVE_BANDS, AcousticMaterial, Scene


def scene_of(*parts: tuple[trimesh.Trimesh, AcousticMaterial]) -> Scene:
    """Put meshes of one material each together."""
    vertices, faces, material, materials = [], [], [], []
    for i, (mesh, of) in enumerate(parts):
        faces.append(np.asarray(mesh.faces) + sum(len(v) for v in vertices))
        vertices.append(np.asarray(mesh.vertices))
        material += [i] * len(mesh.faces)
        materials.append(of)
    return Scene(
        vertices=np.concatenate(vertices), faces=np.concatenate(faces), materials=tuple(materials),
        material=np.array(material),
    )  # fmt: skip


def made_of(absorption, scattering=1.0, transmission=0.0, name="wall") -> AcousticMaterial:
    shares = (tuple(np.atleast_1d(value)) for value in (absorption, scattering, transmission))
    return AcousticMaterial(name=name, **dict(zip(("absorption", "scattering", "transmission"), shares, strict=True)))


def block(lower, upper) -> trimesh.Trimesh:
    return trimesh.creation.box(bounds=[lower, upper])


def sheet(*corners) -> trimesh.Trimesh:
    return trimesh.Trimesh(corners, [[0, 1, 2], [0, 2, 3]], process=False)


def assert_equal_on_average(difference: np.ndarray, error: np.ndarray, confidence: float = 0.999) -> None:
    """Fail where differences are greater than chance allows in all of them together (Šidák 1967)."""
    level = confidence ** (1.0 / difference.size)
    # Standard errors from 16 batches are themselves uncertain by a fifth; Student's t with 15 degrees of freedom would
    # widen the limit as this factor does.
    limit = 1.35 * norm.ppf(0.5 + 0.5 * level)
    assert np.abs(difference / error).max() < limit


def without_air(propagation: ReferencePropagation, energy: np.ndarray, width: float) -> np.ndarray:
    """Undo what the air took from energies ``(bands, bins)``."""
    times = (np.arange(energy.shape[1]) + 0.5) * width
    attenuation = propagation.air.attenuation(OCTAVE_BANDS)
    return energy * np.exp(attenuation[:, None] * propagation.speed * times)


SPHERE_ABSORPTION = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9)
SPHERE_DECAY = (5.2517, 2.5652, 1.2197, 0.7689, 0.4028, 0.2375, 0.1295)
"""Exact decay times of a sphere of 5 m radius with Lambert walls at 343 m/s (after Carroll and Miles 1978)."""


@pytest.fixture(scope="module")
def sphere():
    """A sphere whose octave bands are seven absorption coefficients, with the source in its middle.

    From there all of the wall is lit alike, without which the first reflection would not be uniform.
    """
    mesh = trimesh.creation.icosphere(subdivisions=4, radius=5.0)
    mesh.apply_scale(5.0 / (3.0 * mesh.volume / mesh.area))
    propagation = ReferencePropagation(
        scene_of((mesh, made_of(SPHERE_ABSORPTION))),
        ReferenceSettings(rays=16_000, duration=4.5, bin=0.002, image_order=0),
    )
    listeners = [Listener(position=(-3.0, 0.0, 0.5)), Listener(position=(0.0, 4.0, 0.0))]
    return propagation, propagation.energies(Source(position=(0.0, 0.0, 0.0)), listeners)


def test_is_a_propagation():
    scene = scene_of((block((0, 0, 0), (4, 3, 5)), made_of(0.3)))
    assert isinstance(ReferencePropagation(scene), Propagation)


def test_free_field_is_one_path_with_air():
    scene = scene_of((block((0, 0, 0), (20, 20, 20)), made_of(1.0)))
    propagation = ReferencePropagation(scene, ReferenceSettings(rays=160, duration=0.1, image_order=0))
    response = propagation.energy(Source(position=(5, 10, 10)), Listener(position=(15, 10, 10)))
    expected = np.exp(-propagation.air.attenuation(OCTAVE_BANDS) * 10.0) / 100.0
    assert response.traced.max() == 0.0 and len(response.paths) == 1
    assert response.arrival == pytest.approx(10.0 / propagation.speed, rel=1e-12)
    np.testing.assert_allclose(response.energy[:, int(response.arrival / response.bin)], expected, rtol=1e-9)
    np.testing.assert_allclose(response.absorbed + response.lost_in_air, 1.0, rtol=1e-9)


def test_rigid_floor_makes_two_paths_and_a_comb():
    floor = scene_of((sheet((-50, 0, -50), (-50, 0, 50), (50, 0, 50), (50, 0, -50)), made_of(0.0, 0.0)))
    propagation = ReferencePropagation(floor, ReferenceSettings(rays=1600, duration=0.3, rate=48_000, image_order=1))
    source, listener = Source(position=(0, 1.5, 0)), Listener(position=(4, 1.2, 0), format="mono")
    response = propagation.energy(source, listener)
    ways = np.sqrt(16 + 0.3**2), np.sqrt(16 + 2.7**2)
    np.testing.assert_allclose(response.delays, np.array(ways) / propagation.speed, rtol=1e-9)
    np.testing.assert_allclose(response.path_energy[:, 0], 1.0 / np.square(ways), rtol=2e-3)
    spectrum = np.abs(np.fft.rfft(propagation.impulse_response(source, listener).samples[0], 48_000))
    notch = propagation.speed / (2 * (ways[1] - ways[0]))
    # The reflection is weaker by the ratio of the ways, so the comb swings between their difference and their sum.
    assert spectrum[round(3 * notch)] == pytest.approx(1 / ways[0] - 1 / ways[1], rel=0.1)
    assert spectrum[round(4 * notch)] == pytest.approx(1 / ways[0] + 1 / ways[1], rel=0.05)


def heard_past_a_screen(heights, **settings) -> list:
    """What is heard behind a screen, 1 m high in the open, at some heights; source 2 m before it, listener 3 m behind.

    All that is not reflected goes astray, so nothing is left but the straight path and those over the screen's edge.
    """
    screen = scene_of((sheet((-60, -60, 0), (60, -60, 0), (60, 1, 0), (-60, 1, 0)), made_of(1.0, 0.5, 0.0)))
    propagation = ReferencePropagation(screen, ReferenceSettings(rays=160, duration=0.1, image_order=0, **settings))
    listeners = [Listener(position=(0.0, height, -3.0)) for height in heights]
    return [propagation, *propagation.energies(Source(position=(0.0, 0.0, 2.0)), listeners)]


def test_sound_bends_over_a_screen_as_over_the_wedge():
    propagation, response = heard_past_a_screen([0.2])
    straight, bent = response.paths
    assert (straight.kind, bent.kind) == ("transmitted", "diffracted") and response.traced.max() == 0.0
    assert response.arrival == pytest.approx(np.hypot(5.0, 0.2) / propagation.speed, rel=1e-12)
    r_s, r_r = np.hypot(2.0, 1.0), np.hypot(3.0, 0.8)
    places = (r_s, np.arctan2(2.0, 1.0)), (r_r, 2 * np.pi - np.arctan2(3.0, 0.8))
    share = wedge_energy(2 * np.pi, *places, speed=propagation.speed)
    length = r_s + r_r
    expected = share * np.exp(-propagation.air.attenuation(OCTAVE_BANDS) * length) / length**2
    assert response.delays[1] == pytest.approx(length / propagation.speed, rel=1e-6)
    # Paths are evaluated at fewer frequencies than the wedge, which costs a quarter of a decibel.
    np.testing.assert_allclose(10 * np.log10(response.path_energy[1] / expected), 0.0, atol=0.25)
    found = response.energy[:, int(response.delays[1] / response.bin)]
    np.testing.assert_allclose(found, response.path_energy[1], rtol=1e-12)


def test_the_level_is_continuous_from_the_light_into_the_shadow():
    # The line from the source over the edge is 2.5 m high where the listener is.
    propagation, *responses = heard_past_a_screen([2.501, 2.499])
    assert [[path.kind for path in r.paths] for r in responses] == [["direct"], ["transmitted", "diffracted"]]
    levels = [10 * np.log10(r.path_energy.sum(0) * r.paths[-1].length ** 2) for r in responses]
    np.testing.assert_allclose(levels[0], levels[1], atol=0.3)
    places = (
        (np.hypot(2, 1), np.arctan2(2, 1)),
        (np.hypot(3, 1.5), np.pi + np.arctan2(2, 1) + 1e-6),
    )  # just in the shadow
    exact = wedge_pressure(np.array(OCTAVE_BANDS), 2 * np.pi, *places) * np.hypot(5, 2.5)
    air = 10 * np.log10(np.exp(-propagation.air.attenuation(OCTAVE_BANDS) * np.hypot(5, 2.5)))
    np.testing.assert_allclose(levels[0] - air, 20 * np.log10(np.abs(exact)), atol=0.3)
    # The higher the frequency, the less does the screen's face matter, and half of the pressure is left.
    np.testing.assert_allclose((levels[0] - air)[-1], -6.02, atol=0.3)


def test_without_diffraction_light_is_whole_and_shadow_is_silent():
    _, light, shadow = heard_past_a_screen([2.501, 2.499], diffraction=False)
    (path,) = light.paths
    np.testing.assert_allclose(path.energy[0] * path.length**2, 1.0, rtol=1e-3)
    assert len(shadow.paths) == 1 and shadow.energy.max() == 0.0


def test_what_edges_do_is_the_same_from_either_side():
    scene = scene_of(
        (block((0, 0, 0), (6, 3, 5)), made_of(0.3)), (block((2.5, 0, 2.0), (2.8, 2.0, 5)), made_of(0.4, name="board"))
    )
    a, b = (1.2, 1.5, 3.6), (4.8, 1.2, 3.9)
    propagation = ReferencePropagation(scene, ReferenceSettings(transmission=False, image_order=0))
    there, back = (propagation.paths(Source(position=p), Listener(position=q)) for p, q in ((a, b), (b, a)))
    assert [path.kind for path in there] == ["transmitted", *["diffracted"] * (len(there) - 1)] and len(there) > 1
    assert there[0].energy.max() == 0.0
    for one, other in zip(there[1:], back[1:], strict=True):
        assert one.energy.tobytes() == other.energy.tobytes() and one.length == other.length


def test_mirror_reflections_are_counted_once_whether_traced_or_imaged():
    shape, listener = block((0, 0, 0), (6, 3, 5)), Listener(position=(4.5, 1.2, 3.5))
    scene = scene_of((shape, made_of(0.3, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.9))))
    responses = [
        ReferencePropagation(scene, ReferenceSettings(rays=8_000, duration=0.3, image_order=order, seed=order)).energy(
            Source(position=(1.5, 1.6, 1.2)), listener
        )
        for order in (0, 1, 3)
    ]
    assert [len(r.paths) for r in responses] == [1, 7, 63]
    totals, errors = [r.energy.sum(1) for r in responses], [r.total_error for r in responses]
    for i in (1, 2):
        assert_equal_on_average(totals[0] - totals[i], np.hypot(errors[0], errors[i]))
    assert (errors[2] < errors[0]).all()


def test_mean_free_path_is_four_volumes_over_surface():
    shape = l_shaped_room()
    scene = scene_of((shape, made_of(0.001)))
    left = []
    for duration in (0.2, 1.2):
        settings = ReferenceSettings(rays=12_000, duration=duration, bin=0.1, bands=(125.0,), image_order=0)
        propagation = ReferencePropagation(scene, settings)
        response = propagation.energy(Source(position=(1.5, 1.2, 4.0)), Listener(position=(5.0, 1.0, 1.0)))
        air = np.exp(-propagation.air.attenuation((125.0,))[0] * propagation.speed * duration)
        left.append(response.remaining[0] / air)
    # The same rays are followed for both durations. Energy is weighed at the beginning of the last leg, so half a leg
    # of air is missing, in both.
    reflections = np.log(left[0] / left[1]) / -np.log1p(-0.001)
    assert propagation.speed / reflections == pytest.approx(4 * shape.volume / shape.area, rel=0.005)


def l_shaped_room() -> trimesh.Trimesh:
    """7 × 6 m with a corner of 4 × 3 m cut out, 2.5 m high."""
    plan = np.array([(0, 0), (7, 0), (7, 3), (3, 3), (3, 6), (0, 6)], float)
    floor, ceiling = (np.insert(plan, 1, height, axis=1) for height in (0.0, 2.5))
    half = [(0, 1, 2), (0, 2, 3), (0, 3, 5), (3, 4, 5)]
    top = [(a + 6, c + 6, b + 6) for a, b, c in half]
    sides = [face for i in range(6) for j in [(i + 1) % 6] for face in ((i, i + 6, j), (j, i + 6, j + 6))]
    mesh = trimesh.Trimesh(np.concatenate([floor, ceiling]), half + top + sides)
    mesh.fix_normals()
    return mesh


def test_sphere_with_lambert_walls_has_the_exact_decay_times(sphere):
    propagation, responses = sphere
    for response in responses:
        energy = without_air(propagation, response.traced[:, :, 0].T, response.bin)
        for b, exact in enumerate(SPHERE_DECAY):
            # With α = 0.9 every reflection takes 10 dB, and the exponential decay begins after some of them.
            levels = (-35, -65) if exact < 0.5 else (-5, -35)
            decay = decay_time(energy[b], 1 / response.bin, levels=levels, start=0.03)
            assert decay * propagation.speed / 343.0 == pytest.approx(exact, rel=0.01), SPHERE_ABSORPTION[b]


def test_sphere_with_lambert_walls_is_uniform_in_steady_state(sphere):
    propagation, responses = sphere
    absorption = np.array(SPHERE_ABSORPTION)
    expected = 16 * np.pi * (1 - absorption) / (absorption * propagation.scene.areas.sum())
    for response in responses:
        energy = without_air(propagation, response.traced[:, :, 0].T, response.bin).sum(1)
        correction = energy / response.traced[:, :, 0].sum(0)
        # Of the band that absorbs least, what comes after the end is missing.
        assert_equal_on_average((energy - expected)[1:], (response.total_error * correction)[1:])


def test_energy_is_conserved(sphere):
    for response in sphere[1]:
        total = response.absorbed + response.lost_in_air + response.escaped + response.remaining
        np.testing.assert_allclose(total, 1.0, atol=1e-3)
        np.testing.assert_allclose(total + response.by_chance, 1.0, atol=1e-9)
        assert response.escaped.max() < 1e-6


@pytest.mark.parametrize("scattering", ["on-off", "vector"])
def test_faint_rays_that_end_by_chance_change_nothing_on_average(scattering, monkeypatch):
    # An absorbing floor makes the energies of rays very different; next door, behind a wall, they are all faint.
    scene = scene_of(
        (block((0, 0, 0), (9, 3, 5)), made_of(0.1, (0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6))),
        (sheet((0, 0.01, 0), (0, 0.01, 5), (9, 0.01, 5), (9, 0.01, 0)), made_of(0.8, 0.3, name="carpet")),
        (sheet((6, 0, 0), (6, 3, 0), (6, 3, 5), (6, 0, 5)), made_of(0.3, 0.5, 0.005, "partition")),
    )
    settings = ReferenceSettings(
        rays=8_000, duration=0.5, bin=0.1, image_order=0, scattering=scattering, bands=(125.0, 1000.0, 4000.0)
    )
    source, places = Source(position=(1.5, 1.6, 1.2)), [(4.5, 1.2, 3.5), (7.5, 1.2, 3.0)]

    def heard(seed: int) -> tuple:
        propagation = ReferencePropagation(scene, replace(settings, seed=seed))
        return propagation.energies(source, [Listener(position=place) for place in places])

    ended = heard(1)
    monkeypatch.setattr(
        ReferencePropagation, "_mean_energy", lambda self, source: np.zeros((50, len(self.settings.bands)))
    )
    for one, all_followed in zip(ended, heard(2), strict=True):
        difference = one.traced[:, :, 0] - all_followed.traced[:, :, 0]
        error = np.hypot(one.standard_error, all_followed.standard_error)
        assert_equal_on_average(difference[:4], error[:4])
        total = one.absorbed + one.lost_in_air + one.escaped + one.remaining
        np.testing.assert_allclose(total + one.by_chance, 1.0, atol=1e-9)
        np.testing.assert_allclose(total, 1.0, atol=0.01)


def test_error_falls_with_the_root_of_the_number_of_rays():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, 0.5)))
    errors = [
        ReferencePropagation(scene, ReferenceSettings(rays=rays, duration=0.4, image_order=2))
        .energy(Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5)))
        .error
        for rays in (1_000, 16_000)
    ]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.25)


def test_coupled_rooms_decay_as_their_coupling_matrix_says():
    absorption, gap = 0.15, 0.8
    walls = made_of(absorption)
    # Two rooms side by side, 5 × 3 × 5 and 4 × 3 × 5 m, and a wall between them that ends 0.8 m before the far wall's
    # corner: an opening of 0.8 × 3 m.
    scene = scene_of(
        (block((0, 0, 0), (9, 3, 5)), walls),
        (sheet((5, 0, 0), (5, 3, 0), (5, 3, 5 - gap), (5, 0, 5 - gap)), walls),
    )
    propagation = ReferencePropagation(scene, ReferenceSettings(rays=8_000, duration=1.2, bin=0.01, image_order=0))
    response = propagation.energy(Source(position=(2, 1.5, 2)), Listener(position=(7.5, 1.2, 2)))
    energy = without_air(propagation, response.energy, response.bin)[3]
    opening, volumes = 3 * gap, np.array([75.0, 60.0])
    surfaces = np.array([2 * (15 + 25 + 15), 2 * (12 + 20 + 15)]) - opening
    taken = -np.log1p(-absorption) * surfaces
    matrix = propagation.speed / 4 * (np.diag(taken + opening) - opening * (1 - np.eye(2))) / volumes[None, :]
    slow = np.linalg.eigvals(matrix).min()
    late = slice(40, 100)
    slope = -np.polyfit(np.arange(len(energy))[late] * response.bin, np.log(energy[late]), 1)[0]
    # The matrix takes each room for perfectly diffuse; an opening of a fortieth of the walls disturbs that little.
    assert slope == pytest.approx(slow, rel=0.05)


def test_level_difference_through_a_wall_follows_from_its_transmission():
    absorption, transmission = 0.2, 0.02
    scene = scene_of(
        (block((0, 0, 0), (9, 3, 5)), made_of(absorption)),
        (sheet((5, 0, 0), (5, 3, 0), (5, 3, 5), (5, 0, 5)), made_of(absorption, 1.0, transmission)),
    )
    settings = ReferenceSettings(rays=16_000, duration=0.8, bin=0.01, image_order=0, bands=(125.0,))
    propagation = ReferencePropagation(scene, settings)
    places = [(3.5, 1.0, 3.5), (4.0, 2.2, 1.5), (6.5, 1.2, 2.0), (7.5, 2.0, 3.8)]
    heard = propagation.energies(Source(position=(1, 1.5, 2)), [Listener(position=p) for p in places])
    levels = [10 * np.log10(r.traced[:, 0, 0].sum()) for r in heard]
    receiving = 2 * (12 + 20 + 15) * absorption
    expected = -10 * np.log10(transmission) + 10 * np.log10(receiving / 15.0)
    # The formula takes both rooms for diffuse; with α = 0.2 levels within a room differ by some tenths of a decibel.
    assert np.mean(levels[:2]) - np.mean(levels[2:]) == pytest.approx(expected, abs=0.7)


def test_source_and_listener_are_interchangeable():
    scene = scene_of(
        (block((0, 0, 0), (6, 3, 5)), made_of(0.2, (0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6))),
        (block((2.5, 0, 2.0), (2.8, 2.0, 3.5)), made_of(0.4, 0.3, 0.2, "cupboard")),
    )
    a, b = np.array((1.2, 1.5, 2.6)), np.array((4.8, 1.2, 2.9))
    there, back = (
        ReferencePropagation(scene, ReferenceSettings(rays=4_000, duration=0.3, bin=0.02, seed=seed)).energy(
            Source(position=p), Listener(position=q)
        )
        for p, q, seed in ((a, b, 1), (b, a, 2))
    )
    assert len(there.paths) == len(back.paths) > 5
    np.testing.assert_allclose(there.path_energy.sum(0), back.path_energy.sum(0), rtol=1e-6)
    difference = (there.energy - back.energy).T
    error = np.hypot(there.standard_error, back.standard_error)
    assert_equal_on_average(difference[1:], np.maximum(error[1:], 1e-12))


def test_vector_scattering_agrees_with_on_off_where_everything_scatters():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, 1.0)))
    pair = Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5))
    settings = ReferenceSettings(rays=16_000, duration=0.3, image_order=0, bands=(500.0,))
    on_off, vector = (
        ReferencePropagation(scene, replace(settings, scattering=kind)).energy(*pair) for kind in ("on-off", "vector")
    )
    difference = on_off.traced[:, :, 0].sum(0) - vector.traced[:, :, 0].sum(0)
    assert_equal_on_average(difference, np.hypot(on_off.total_error, vector.total_error))


@pytest.mark.parametrize("scattering", ["on-off", "vector"])
def test_same_seed_gives_the_same_bytes_with_any_number_of_threads(scattering):
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, (0.1, 0.2, 0.3, 0.3, 0.5, 0.6, 0.7), 0.05)))
    pair = Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5))

    def traced(threads: int, seed: int = 0) -> bytes:
        settings = ReferenceSettings(
            rays=1_000, duration=0.2, scattering=scattering, image_order=0, threads=threads, seed=seed
        )
        response = ReferencePropagation(scene, settings).energy(*pair)
        return response.traced.tobytes() + response.standard_error.tobytes()

    assert traced(1) == traced(2) == traced(8)
    assert traced(1) != traced(1, seed=1)


def test_tracing_stops_at_the_error_asked_for():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.4, 0.6)))
    pair = Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5))
    settings = ReferenceSettings(rays=1_600, duration=0.3, error=0.06)
    response = ReferencePropagation(scene, settings).energy(*pair)
    assert response.error <= 0.06 and response.rays > 1_600
    limited = ReferenceSettings(rays=1_600, max_rays=3_300, duration=0.3, error=0.001)
    assert ReferencePropagation(scene, limited).energy(*pair).rays == 3_200


def test_directions_of_arrival_add_up():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, 0.4)))
    response = ReferencePropagation(scene, ReferenceSettings(rays=1_600, duration=0.2)).energy(
        Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5))
    )
    three = sum(response.received(axis) for axis in np.eye(3))
    np.testing.assert_allclose(three, response.energy, rtol=1e-9, atol=1e-15)
    assert (np.linalg.norm(response.moments[:, :, 1:4], axis=2) <= response.moments[:, :, 0] * (1 + 1e-9)).all()


def test_impulse_response_has_the_traced_energy():
    scene = scene_of((block((0, 0, 0), (6, 3, 5)), made_of(0.3, 0.4)))
    propagation = ReferencePropagation(scene, ReferenceSettings(rays=3_200, duration=0.6, rate=48_000))
    source = Source(position=(1.5, 1.6, 1.2))
    heard = propagation.impulse_response(source, Listener(position=(4.5, 1.2, 3.5), format="mono"))
    again = propagation.impulse_response(source, Listener(position=(4.5, 1.2, 3.5), format="mono"))
    assert heard.samples.shape == (1, 28_800) and heard.samples.tobytes() == again.samples.tobytes()
    assert [path.length for path in heard.paths] == sorted(path.length for path in heard.paths)
    energy = propagation.energy(source, Listener(position=(4.5, 1.2, 3.5)))
    late = slice(round(0.1 * 48_000), None)
    widths = (energy_weights(np.linspace(0, 24_000, 4801)) ** 2).mean(1)
    expected = (energy.energy[:, 100:].sum(1) * widths).sum()
    assert 10 * np.log10(np.square(heard.samples[0, late]).sum() / expected) == pytest.approx(0.0, abs=0.7)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rays": 1}, "rays"),
        ({"duration": 0.0}, "duration"),
        ({"bin": 1.0}, "bin"),
        ({"max_rays": 10}, "max_rays"),
        ({"image_order": 9}, "image_order"),
        ({"threads": 0}, "threads"),
        ({"error": 0.0}, "error"),
        ({"error": float("nan")}, "error"),
        ({"scattering": "diffuse"}, "scattering"),
        ({"scattering": "vector", "image_order": 2}, "image_order"),
        ({"bands": (125.0, 300.0)}, "bands"),
        ({"bands": ()}, "bands"),
        ({"detector_radius": float("nan")}, "detector_radius"),
    ],
)
def test_settings_out_of_range_are_refused(given, said):
    with pytest.raises(ConfigurationError, match=said):
        ReferenceSettings(**given)


def test_places_without_sound_are_refused():
    scene = scene_of(
        (block((0, 0, 0), (6, 3, 5)), made_of(0.3)), (block((2, 0, 2), (2.4, 2, 3)), made_of(0.3, name="wood"))
    )
    propagation = ReferencePropagation(scene, ReferenceSettings(rays=160, duration=0.1))
    inside, outside = (2.2, 1.0, 2.5), (1.0, 1.0, 1.0)
    with pytest.raises(SoundError, match="source"):
        propagation.energy(Source(position=inside), Listener(position=outside))
    with pytest.raises(SoundError, match="listener"):
        propagation.energy(Source(position=outside), Listener(position=inside))
    with pytest.raises(SoundError, match="same place"):
        propagation.energy(Source(position=outside), Listener(position=outside))
    with pytest.raises(ConfigurationError, match="bands"):
        ReferencePropagation(scene, ReferenceSettings(bands=(500.0,))).impulse_response(
            Source(position=outside), Listener(position=(4.0, 1.0, 4.0))
        )
