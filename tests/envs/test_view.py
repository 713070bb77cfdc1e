from types import SimpleNamespace

import numpy as np
import pytest
import trimesh

from harken.envs.view import HEIGHT, View
from harken.scene import AcousticMaterial, Scene
from harken.sim import SoundSource
from harken.vision import draw_plan


class Stander:
    """A body that stands somewhere and sees black."""

    def __init__(self, position: tuple[float, float, float], heading: float):
        self.position, self.heading = np.array(position), heading
        self.sources, self.time = (), 0.0

    def see(self, channels, camera):
        return {"rgb": np.zeros((camera.height, camera.width, 3), np.uint8)}


@pytest.fixture(scope="module", params=[(10.0, 3.0, 8.0), (6.0, 3.0, 18.0)], ids=["wide", "tall"])
def world(request) -> SimpleNamespace:
    room = trimesh.creation.box(extents=request.param).apply_translation((0, 1.5, 0))
    material = AcousticMaterial(name="plaster", absorption=(0.1,))
    scene = Scene(
        vertices=room.vertices,
        faces=room.faces[:, ::-1],
        materials=(material,),
        material=np.zeros(len(room.faces), np.int32),
    )
    return SimpleNamespace(scene=scene, plan=lambda width: draw_plan(scene, width=width))


def is_blue(plan: np.ndarray, place: np.ndarray) -> bool:
    column, row = np.floor(place).astype(int)
    return bool(plan[row, column, 2] - plan[row, column, 0] > 100)


@pytest.mark.parametrize("heading", [0.0, 0.9, np.pi / 2, 2.5, -2.0])
def test_the_plan_shows_where_the_body_looks(world, heading):
    task = SimpleNamespace(simulator=Stander((1.0, 0.0, 2.0), heading), steps=0, goal=np.array([-2.0, 0.0, -2.0]))
    picture = View(world).draw(task, np.array([-30.0, -40.0]))
    assert picture.shape[0] == HEIGHT
    plan = picture[:, HEIGHT + 24 :].astype(int)
    # The plan shows 0.3 m around the room.
    lower, upper = world.scene.bounds
    size = np.array([plan.shape[1], plan.shape[0]])
    body = (np.array([1.0, 2.0]) - lower[[0, 2]] + 0.3) / (upper - lower + 0.6)[[0, 2]] * size
    ahead = np.array([-np.sin(heading), -np.cos(heading)])
    assert is_blue(plan, body + 4 * ahead)
    assert not is_blue(plan, body - 8 * ahead)


def test_the_plan_shows_other_sources_than_the_goal_in_another_colour(world):
    task = SimpleNamespace(simulator=Stander((1.0, 0.0, 2.0), 0.0), steps=0, goal=np.array([-2.0, 0.0, -2.0]))
    sounding = [(-2.0, 1.0, -2.0), (-1.0, 1.2, 3.0), (2.0, 1.2, -3.0)]
    quiet = View(world).draw(task, np.array([-30.0, -40.0]))
    task.simulator.sources = [SoundSource(position=np.array(place), samples=np.ones(4)) for place in sounding]
    changed = np.argwhere((View(world).draw(task, np.array([-30.0, -40.0])) != quiet).any(2))
    lower, upper = world.scene.bounds
    plan = np.array([quiet.shape[1] - HEIGHT - 24, quiet.shape[0]])
    pixels = [
        (np.array([x, z]) - lower[[0, 2]] + 0.3) / (upper - lower + 0.6)[[0, 2]] * plan + (HEIGHT + 24, 0)
        for x, _, z in sounding
    ]
    near = np.array([[np.hypot(*(pixel - (column, row))) < 10 for pixel in pixels] for row, column in changed])
    assert near.any(1).all() and not near[:, 0].any() and near[:, 1].any() and near[:, 2].any()
