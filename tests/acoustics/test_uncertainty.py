"""Standard errors of the fast tier's energies, and numbers of rays that are chosen by them."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.acoustics import AcousticSettings, FastPropagation, Listener, Source
from harken.acoustics.engines.convergence import trace_enough
from harken.acoustics.engines.histogram import EnergyHistogram
from harken.acoustics.fields.field import read_field
from harken.acoustics.fields.joining import crossings, join, join_without
from harken.acoustics.fields.uncertainty import read_without
from harken.errors import ConfigurationError, HarkenWarning
from harken.scene import AcousticMaterial, Scene

SOURCE, PLACES = Source(position=(1.5, 1.6, 1.2)), ((4.5, 1.5, 3.5), (2.5, 1.5, 3.0), (5.0, 1.5, 1.0))
SETTINGS = AcousticSettings(duration=0.6, rays=1_000, pair_rays=200, errors=True)


def room(name: str = "room") -> Scene:
    mesh = trimesh.creation.box(bounds=[(0, 0, 0), (6, 3, 5)])
    wall = AcousticMaterial(name="wall", absorption=(0.2,), scattering=(0.4,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(12, int), name=name)


def floor() -> np.ndarray:
    x, z = np.arange(0.25, 6, 0.25), np.arange(0.25, 5, 0.25)
    return np.stack(np.meshgrid(x, [1.5], z), -1).reshape(-1, 3)


def engine(kind: str, scene: Scene | None = None, **changes: object) -> FastPropagation:
    settings = replace(SETTINGS, **changes)
    return FastPropagation(scene or room(), settings, ears=floor() if kind == "field" else None)


def late_level(heard: EnergyHistogram) -> np.ndarray:
    energy = heard.over_time(0.002)
    return 10.0 * np.log10(energy[:, round((heard.arrival + 0.08) / 0.002) :].sum(1))


@pytest.mark.parametrize("kind", ["field", "pair"])
def test_told_errors_agree_with_the_spread_over_seeds(kind):
    scene, heard = room(), []
    for seed in range(48):  # 24 know the spread to a fifth only
        propagation = engine(kind, scene, seed=1000 * seed)
        heard.append([propagation.energy(SOURCE, Listener(position=place)) for place in PLACES])
    spread = np.std([[late_level(h) for h in row] for row in heard], axis=0, ddof=1)
    told = np.array([[h.convergence.late for h in row] for row in heard])
    # Parts are spread over the sphere less evenly than all rays together: errors are told on the large side.
    assert 0.8 < np.sqrt(np.mean(told**2) / np.mean(spread**2)) < 1.4


def test_sound_is_the_same_with_errors_and_without():
    place = Listener(position=PLACES[0])
    told, silent = (engine("field", errors=errors).energy(SOURCE, place).energy for errors in (True, False))
    assert told.tobytes() == silent.tobytes()
    told, silent = (engine("pair", errors=errors).energy(SOURCE, place).energy for errors in (True, False))
    np.testing.assert_allclose(told, silent, rtol=1e-3, atol=1e-5 * silent.max())


def test_a_field_without_each_part_of_its_rays_is_on_average_the_field():
    propagation = engine("field")
    field = propagation.field(SOURCE)
    for place, rest in zip(PLACES, read_without(propagation.scene, field, np.array(PLACES)), strict=True):
        read = read_field(propagation.scene, field, np.array(place))
        assert read is not None
        np.testing.assert_allclose(rest.mean(0).sum(0), read[:, :, 0].sum(0), rtol=0.02)


def test_a_field_that_one_part_leaves_alone_depends_on_that_part_only():
    propagation = engine("field")
    field = propagation.field(SOURCE)
    alone = np.zeros_like(field.parts)
    alone[3] = field.parts[3]
    rest = read_without(propagation.scene, replace(field, parts=alone), np.array(PLACES[:1]))[0]
    assert rest[3].max() == 0.0 and (rest[[0, 1, 2, 4]].sum((1, 2)) > 0.0).all()


def test_joining_without_a_part_is_joining_the_others():
    regions = engine("pair").regions
    rng, shape = np.random.default_rng(0), (4, *crossings(regions, 0.4, 0).shape)
    source, listener = (rng.random(shape).astype(np.float32) for _ in range(2))
    for end in (source, listener):
        end[..., 10:] = 0.0  # nothing that image sources render
    centres, widths = np.array([0.15, 0.25]), np.array([0.01, 0.01])
    found, expected = np.zeros((4, 2, 7), np.float32), np.zeros((4, 2, 7, 4), np.float32)
    join_without(source, listener, regions, centres, widths, speed=340.0, out=found)
    for j, out in enumerate(expected):
        others = [np.delete(end, j, 0).sum(0) * np.float32(4 / 3) for end in (source, listener)]
        join(*others, regions, centres, widths, speed=340.0, out=out)
    np.testing.assert_allclose(found, expected[..., 0], rtol=1e-4)


def test_errors_of_a_moving_source_are_those_of_the_blended_fields():
    moving = Source(position=SOURCE.position, moving=True)
    found = engine("field", waypoint_rays=400).energy(moving, Listener(position=PLACES[0]))
    assert found.rays > 400 and (found.convergence.late > 0.0).all() and found.convergence.mean("late") < 1.0


def test_energy_without_errors_says_how_to_get_them():
    heard = engine("field", errors=False).energy(SOURCE, Listener(position=PLACES[0]))
    with pytest.raises(ConfigurationError, match=r"AcousticSettings\(errors=True\)"):
        _ = heard.convergence


@pytest.mark.parametrize("kind", ["field", "pair"])
def test_rays_are_doubled_until_the_error_is_small_enough(kind):
    fine_bound = 0.6 if kind == "field" else 0.25
    coarse, fine = (
        engine(kind, errors=False, max_error_jnd=bound).energy(SOURCE, Listener(position=PLACES[0]))
        for bound in (2.0, fine_bound)
    )
    first = 1024 if kind == "field" else 128
    assert first <= coarse.rays < fine.rays and np.log2(fine.rays / first) % 1 == 0.0
    if kind == "pair":
        assert coarse.convergence.mean(coarse.convergence.worst) <= 2.0
        assert fine.convergence.mean(fine.convergence.worst) <= fine_bound


@pytest.mark.parametrize("kind", ["field", "pair"])
def test_chosen_rays_do_not_depend_on_what_was_asked_before(kind):
    scene = room()
    alone, later = (engine(kind, scene, max_error_jnd=1.0) for _ in range(2))
    for place in PLACES[1:]:
        later.energy(SOURCE, Listener(position=place))
    heard = [propagation.energy(SOURCE, Listener(position=PLACES[0])) for propagation in (alone, later)]
    assert heard[0].rays == heard[1].rays and heard[0].energy.tobytes() == heard[1].energy.tobytes()


def test_too_few_rays_for_an_error_are_warned_about_once():
    scene = room("hall of doubt")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for place in PLACES[:2]:
            heard = engine("pair", scene, max_error_jnd=0.05, max_rays=200).energy(SOURCE, Listener(position=place))
            assert heard.rays == 200
    (told,) = [str(w.message) for w in said if issubclass(w.category, HarkenWarning)]
    assert "hall of doubt" in told and "max_rays=200" in told and "max_error_jnd=0.05" in told


def test_rays_grow_fourfold_at_most_at_once():
    asked = []

    def trace(rays: int) -> int:
        asked.append(rays)
        return rays

    assert trace_enough(trace, lambda rays: 40.0 / rays**0.5, first=64, most=5_000, bound=1.0) == (
        2048,
        40.0 / 2048**0.5,
    )
    assert asked == [64, 256, 1024, 2048]
