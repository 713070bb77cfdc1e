"""Worlds that threads share and prepare ahead."""

import threading
import weakref

import numpy as np

from harken.acoustics import Listener, Source
from harken.scene import HomeConfig, generate_home
from harken.sim import World, WorldSettings
from harken.sim.worlds import WORLDS_KEPT, load_world


def _world() -> World:
    return World(scene=generate_home(2, split="val", config=HomeConfig(rooms=(3, 3))))


def _places(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    goal = world.floor.random_point(rng)
    return goal, goal + [0.0, 1.5, 0.0], world.floor.random_point(rng) + [0.0, 1.5, 0.0]


def test_a_world_prepared_by_another_thread_gives_the_same_bytes():
    plain, ahead = _world(), _world()
    goal, source, ear = _places(plain)
    thread = threading.Thread(target=lambda: ahead.prepare([Source(position=source)], goal=goal, channels=("depth",)))
    thread.start()
    thread.join()
    heard = [
        world.propagation.impulse_response(Source(position=source), Listener(position=ear)).samples
        for world in (plain, ahead)
    ]
    assert heard[0].tobytes() == heard[1].tobytes()
    ways = [world.floor.distance_field(goal).distance(ear - [0.0, 1.5, 0.0]) for world in (plain, ahead)]
    assert ways[0] == ways[1]


def test_preparing_leaves_nothing_of_the_source_to_do():
    world = _world()
    _, source, _ = _places(world)
    world.prepare([Source(position=source)])
    before = world.propagation.field(Source(position=source))
    world.prepare([Source(position=source)])
    assert world.propagation.field(Source(position=source)) is before


def test_threads_that_prepare_one_world_share_what_they_make():
    world = _world()
    made: list[object] = []
    threads = [
        threading.Thread(target=lambda: made.append((world.floor, world.propagation, world.propagation.exact)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made[0] == made[1] == made[2]


def test_worlds_in_use_are_shared_and_only_the_last_others_kept():
    names = [f"home:val:{number}" for number in range(WORLDS_KEPT + 2)]
    used, freed = load_world(names[0], WorldSettings()), weakref.ref(load_world(names[1], WorldSettings()))
    for name in names[2:]:
        load_world(name, WorldSettings())
    assert load_world(names[0], WorldSettings()) is used
    assert freed() is None
