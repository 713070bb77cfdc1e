"""Standard errors of measures, and the warning where traced sound has not converged."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.acoustics.engines.convergence import BOUND, Convergence
from harken.acoustics.engines.reference import EnergyResponse, ReferencePropagation, ReferenceSettings
from harken.acoustics.measures import clarity, decay_time, strength
from harken.acoustics.protocol import Listener, Source
from harken.errors import HarkenWarning
from harken.scene import AcousticMaterial, Scene

PAIR = Source(position=(1.5, 1.6, 1.2)), Listener(position=(4.5, 1.2, 3.5))
SETTINGS = ReferenceSettings(rays=1_600, duration=0.6, scattering="vector", image_order=0, bands=(500.0, 1000.0))


def room(name: str, absorption: float = 0.3) -> Scene:
    mesh = trimesh.creation.box(bounds=[(0, 0, 0), (6, 3, 5)])
    wall = AcousticMaterial(name="wall", absorption=(absorption,), scattering=(0.4,))
    return Scene(vertices=mesh.vertices, faces=mesh.faces, materials=(wall,), material=np.zeros(12, int), name=name)


def heard(scene: Scene, **changes: object) -> EnergyResponse:
    return ReferencePropagation(scene, replace(SETTINGS, **changes)).energy(*PAIR)


def said_by(scene: Scene, **changes: object) -> list[str]:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        heard(scene, **changes)
    return [str(w.message) for w in said if issubclass(w.category, HarkenWarning)]


def test_errors_of_measures_agree_with_their_spread_over_seeds():
    responses = [heard(room("spread"), seed=seed) for seed in range(24)]
    rate, start = 1.0 / SETTINGS.bin, responses[0].arrival
    measured = {
        "edt": [decay_time(r.energy, rate, levels=(0.0, -10.0), start=start) for r in responses],
        "t20": [decay_time(r.energy, rate, levels=(-5.0, -25.0), start=start) for r in responses],
        "c50": [clarity(r.energy, rate, limit=0.05, start=start) for r in responses],
        "strength": [strength(r.energy) for r in responses],
    }
    for name, values in measured.items():
        spread = np.std(values, axis=0, ddof=1)
        spread /= 0.05 * np.mean(values, axis=0) if name in ("edt", "t20") else {"c50": 1.1, "strength": 1.0}[name]
        stated = np.sqrt(np.mean([r.convergence.noticeable[name] ** 2 for r in responses], axis=0))
        # Of 24 seeds and two bands, the spread itself is known to within a tenth.
        np.testing.assert_allclose(np.sqrt(np.mean(stated**2) / np.mean(spread**2)), 1.0, atol=0.3, err_msg=name)


def test_the_late_level_has_the_error_of_its_energy():
    exact, parts = np.zeros((200, 1)), np.ones((16, 200, 1))
    parts[:, 100:, 0] = 1.0 + np.where(np.arange(16) < 8, 0.1, -0.1)[:, None]
    found = Convergence.of(exact, parts, rate=1000.0, start=0.02, bands=(500.0,), rays=1600)
    # A tenth with sixteen parts is a standard error of 0.1/√15 of the mean; late sound begins at the changed half.
    assert found.late[0] == pytest.approx(10 / np.log(10) * 0.1 / np.sqrt(15), rel=0.01)
    assert found.noticeable["late"][0] == found.late[0] and np.isnan(found.noticeable["t20"][0])


def test_parts_of_the_rays_average_to_the_whole():
    response = heard(room("parts"), error=0.01, max_rays=4_800)
    assert response.rays == 4_800 and response.parts.shape == (16, 600, 2)
    np.testing.assert_allclose(response.parts.mean(0), response.traced[:, :, 0], rtol=1e-9, atol=1e-15)


def test_few_rays_are_warned_about_once_with_the_rays_to_set():
    scene = room("hall of few rays")
    (said,) = said_by(scene, rays=400)
    assert "hall of few rays" in said and "400 rays" in said and "just-noticeable" in said
    assert said_by(scene, rays=400, seed=1) == []
    response = heard(scene, rays=400)
    assert not response.convergence.is_converged
    needed = response.convergence.rays_needed
    error = response.convergence.mean(response.convergence.worst)
    assert needed == pytest.approx(400 * 1.5 * (error / BOUND) ** 2, rel=0.1)
    assert f"rays={needed}" in said
    assert said_by(scene, rays=needed) == []


def test_the_warning_names_the_limit_on_rays_where_it_is_in_the_way():
    (said,) = said_by(room("limited", 0.25), rays=160, max_rays=160)
    assert "max_rays=" in said


def test_where_hardly_anything_is_reflected_nothing_is_said():
    scene = room("dead", absorption=1.0)
    assert said_by(scene, rays=160) == []
    assert heard(scene, rays=160).convergence.mean("t20") == 0.0
