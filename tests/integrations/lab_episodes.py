"""Play episodes of habitat-lab's own benchmarks in Harken's worlds.

It is run by test_habitat_lab.py, which reads what it prints, in an interpreter that has habitat-lab and no pytest.
"""

import gzip
import json
import math
import sys
from pathlib import Path

import numpy as np

from harken.integrations.habitat_lab import register
from harken.integrations.habitat_lab.stand_ins import install_stand_ins

register(without_habitat_sim=True)
register(without_habitat_sim=True)

import habitat  # noqa: E402
from habitat.config import read_write  # noqa: E402
from habitat.config.default_structured_configs import (  # noqa: E402
    CollisionsMeasurementConfig,
    HabitatSimEquirectangularDepthSensorConfig,
    HabitatSimSemanticSensorConfig,
    HeadingSensorConfig,
    ProximitySensorConfig,
    TopDownMapMeasurementConfig,
)
from habitat.tasks.nav.shortest_path_follower import ShortestPathFollower  # noqa: E402
from habitat.utils.visualizations.maps import calculate_meters_per_pixel  # noqa: E402

from harken.sim import WorldSettings  # noqa: E402
from harken.sim.worlds import load_world  # noqa: E402
from harken.tasks.oracle import PathOracle  # noqa: E402

HOME = "home:val:3"
ROOM = """
v 0 0 0\nv 6 0 0\nv 6 0 4\nv 0 0 4\nv 0 3 0\nv 6 3 0\nv 6 3 4\nv 0 3 4
f 1 4 3 2\nf 5 6 7 8\nf 1 2 6 5\nf 2 3 7 6\nf 3 4 8 7\nf 4 1 5 8
"""


def ends(ground, low=3.0, high=9.0):
    """Return two places with a way between them, its length in a range [m]."""
    rng = np.random.default_rng(5)
    while True:
        start, goal = ground.random_point(rng), ground.random_point(rng)
        if low < ground.distance(start, goal) < high:
            return start, goal


def facing(heading):
    return [0.0, math.sin(heading / 2), 0.0, math.cos(heading / 2)]


def write(path, content):
    with gzip.open(path, "wt") as file:
        json.dump(content, file)
    return str(path)


def episode(scene, start, goals, heading=0.7, **more):
    return {
        "episode_id": "0", "scene_id": scene, "start_position": start.tolist(), "start_rotation": facing(heading),
        "info": {}, "goals": goals, "shortest_paths": None, "start_room": None, **more,
    }  # fmt: skip


def pointnav(folder, scene, start, goal, heading=0.7):
    goals = [{"position": goal.tolist(), "radius": None}]
    return write(folder / "pointnav.json.gz", {"episodes": [episode(scene, start, goals, heading)]})


def configured(name, data, *overrides):
    return habitat.get_config(
        f"benchmark/nav/{name}.yaml",
        ["habitat.simulator.type=Harken-v0", f"habitat.dataset.data_path={data}", "habitat.dataset.split=val",
         *overrides],
    )  # fmt: skip


def play(env, choose):
    """Play the first episode; returns its observations and measures."""
    seen, steps = [env.reset()], 0
    metrics = [env.get_metrics()]
    while not env.episode_over:
        seen.append(env.step(choose(env, steps)))
        metrics.append(env.get_metrics())
        steps += 1
    return seen, metrics


def oracle(goal, radius):
    made = {}

    def choose(env, _):
        body = env.sim.body
        if not made:
            made["oracle"] = PathOracle(env.sim.ground, env.sim.forward_step, env.sim.turn_angle, radius)
            made["oracle"].set_goal(goal)
        return int(made["oracle"].action(body.position, body.heading))

    return choose


def ahead(seen):
    """Return the depth in the middle of the image [m]."""
    return seen["depth"][127:129, 127:129].mean().item()


def plain(value):
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def case_pointnav(folder):
    """The stock test benchmark with one override, solved by Harken's oracle."""
    ground = load_world(HOME, WorldSettings()).ground
    start, goal = ends(ground)
    config = configured("pointnav/pointnav_habitat_test", pointnav(folder, HOME, start, goal))
    with habitat.Env(config) as env:
        spaces = {name: str(space) for name, space in env.observation_space.spaces.items()}
        seen, metrics = play(env, oracle(goal, 0.2))
        contained = all(env.observation_space[name].contains(seen[0][name]) for name in ("rgb", "depth"))
        return {
            "metrics": plain(metrics[-1]), "steps": len(seen) - 1, "spaces": spaces, "contained": contained,
            "pointgoal": seen[0]["pointgoal_with_gps_compass"].tolist(),
            "goal_at": float(np.hypot(*(goal - start)[[0, 2]])),
            "way": env.sim.body.ground.distance(start, goal), "start": metrics[0]["distance_to_goal"],
            "same_again": bool((env.reset()["rgb"] == seen[0]["rgb"]).all()),
        }  # fmt: skip


def case_objectnav(folder):
    """The stock ObjectNav benchmark, its cameras, its body that does not slide; habitat-lab's own follower."""
    world = load_world(HOME, WorldSettings())
    start, _ = ends(world.ground)
    chair = next(thing for thing in world.scene.objects if thing.category == "chair")
    view = world.floor.snap(0.5 * (chair.lower + chair.upper) * [1, 0, 1])
    goal = {
        "position": (0.5 * (chair.lower + chair.upper)).tolist(), "radius": None, "object_id": chair.instance,
        "object_name": chair.name, "object_category": "chair",
        "view_points": [{"agent_state": {"position": view.tolist(), "rotation": facing(0.0)}, "iou": 0.0}],
    }  # fmt: skip
    ids = {"chair": 0}
    data = {
        "category_to_task_category_id": ids, "category_to_scene_annotation_category_id": ids,
        "episodes": [episode(HOME, start, [], object_category="chair")], "goals_by_category": {f"{HOME}_chair": [goal]},
    }  # fmt: skip
    small = [f"habitat.simulator.agents.main_agent.sim_sensors.{k}_sensor.{n}=64" for k in ("rgb", "depth")
             for n in ("width", "height")]  # fmt: skip
    config = configured("objectnav/objectnav_hm3d", write(folder / "objectnav.json.gz", data), *small)
    with read_write(config):
        sensors = config.habitat.simulator.agents.main_agent.sim_sensors
        sensors.semantic_sensor = HabitatSimSemanticSensorConfig(width=64, height=64, position=[0, 0.88, 0], hfov=79)
        config.habitat.task.measurements.top_down_map = TopDownMapMeasurementConfig(map_resolution=256)
    with habitat.Env(config) as env:
        first = env.reset()
        up, down = env.step("look_up")["depth"], env.step("look_down")["depth"]
        follower = ShortestPathFollower(env.sim, 0.1, return_one_hot=False)
        seen, metrics = play(env, lambda env, _: follower.get_next_action(view))
        maps = metrics[-1].pop("top_down_map")
        pixel = float(calculate_meters_per_pixel(256, sim=env.sim))
        scene = env.sim.semantic_annotations()
        present = np.unique(seen[-1]["semantic"])
        names = {scene.objects[k].category.name() for k in present}
        tilted = not np.array_equal(first["depth"], up)
        return {
            "metrics": plain(metrics[-1]), "steps": len(seen) - 1, "objectgoal": seen[0]["objectgoal"].tolist(),
            "tilted": tilted, "level_again": bool(np.array_equal(first["depth"], down)), "names": sorted(names),
            "mapped": int((maps["map"] != 0).sum()) * pixel**2,
            "area": env.sim.body.world.floor.area, "seen": int(maps["fog_of_war_mask"].sum()) * pixel**2,
        }  # fmt: skip


def case_sensors(folder):
    """A room of 6 × 4 m from a file: every sensor against what it has to be."""
    path = folder / "room.obj"
    path.write_text(ROOM, encoding="utf-8")
    start, goal = np.array([2.0, 0.0, 2.0]), np.array([4.0, 0.0, 3.0])
    data = pointnav(folder, str(path), start, goal, heading=math.pi / 2)  # facing −x
    config = configured("pointnav/pointnav_habitat_test", data, "habitat.dataset.scenes_dir=/")
    with read_write(config):
        task = config.habitat.task
        task.lab_sensors.heading_sensor = HeadingSensorConfig()
        task.lab_sensors.proximity_sensor = ProximitySensorConfig(max_detection_radius=9.0)
        task.measurements.collisions = CollisionsMeasurementConfig()
        sensors = config.habitat.simulator.agents.main_agent.sim_sensors
        sensors.depth_sensor.normalize_depth = False
    with habitat.Env(config) as env:
        seen = env.reset()
        agent, sim = env.sim.get_agent_state(), env.sim
        result = {
            "depth": ahead(seen), "pointgoal": seen["pointgoal_with_gps_compass"].tolist(),
            "heading": seen["heading"].tolist(), "proximity": seen["proximity"].tolist(),
            "rotation": [agent.rotation.w, agent.rotation.x, agent.rotation.y, agent.rotation.z],
            "to_several": sim.geodesic_distance(agent.position, [[5.0, 0.0, 2.0], [2.0, 0.0, 3.0]]),
            "to_nowhere": sim.geodesic_distance(agent.position, [50.0, 0.0, 2.0]),
            "navigable": [sim.is_navigable([2.0, 0.0, 2.0]), sim.is_navigable([9.0, 0.0, 2.0])],
            "placed_outside": sim.set_agent_state([90.0, 0.0, 0.0], [0, 0, 0, 1]),
            "random": sim.sample_navigable_point(),
        }  # fmt: skip
        result["behind"] = ahead(sim.get_observations_at([2.0, 0.0, 2.0], facing(-math.pi / 2)))
        result["stays"] = bool(np.array_equal(sim.get_agent_state().position, agent.position))
        left = env.step("turn_left")
        result["compass"] = float(np.degrees(math.pi / 2 - left["heading"].item()))
        env.step("turn_right")
        walked = [env.step("move_forward") for _ in range(9)]
        result["collisions"] = env.get_metrics()["collisions"]
        result["position"] = sim.get_agent_state().position.tolist()
        result["wall"] = ahead(walked[-1])
    with read_write(config):
        panorama = HabitatSimEquirectangularDepthSensorConfig(width=64, height=32, normalize_depth=False)
        config.habitat.simulator.agents.main_agent.sim_sensors.depth_sensor = panorama
    with habitat.Env(config) as env:
        around = env.reset()["depth"]
        result["around"] = [around[15:17, k - 1 : k + 1].mean().item() for k in (16, 32, 48)]
    return result


def case_imagenav(folder):
    """The goal of ImageNav is what is seen from the goal."""
    ground = load_world(HOME, WorldSettings()).ground
    start, goal = ends(ground)
    config = configured("imagenav/imagenav_test", pointnav(folder, HOME, start, goal))
    with habitat.Env(config) as env:
        seen, metrics = play(env, oracle(goal, config.habitat.task.measurements.success.success_distance))
        shown = seen[0]["imagegoal"]
        return {
            "success": metrics[-1]["success"], "spl": metrics[-1]["spl"], "shape": list(shown.shape),
            "same": bool((shown == seen[-1]["imagegoal"]).all()),
            "differs": bool((shown != seen[0]["rgb"]).any()), "stands": bool(shown.std() > 5.0),
        }  # fmt: skip


def case_errors(folder):
    """What Harken does not have is refused with a sentence that says so."""
    ground = load_world(HOME, WorldSettings()).ground
    data = pointnav(folder, HOME, *ends(ground))
    messages = {"habitat_sim": "habitat_sim" not in install_stand_ins()}
    agent = "habitat.simulator.agents.main_agent"
    for what, override in {
        "subtype": f"{agent}.sim_sensors.rgb_sensor.sensor_subtype=ORTHOGRAPHIC",
        "roll": f"{agent}.sim_sensors.rgb_sensor.orientation=[0,0,0.5]",
        "noise": f"{agent}.sim_sensors.rgb_sensor.noise_model=GaussianNoiseModel",
        "type": f"{agent}.sim_sensors.rgb_sensor.type=HabitatSimFisheyeRGBSensor",
    }.items():
        try:
            habitat.Env(configured("pointnav/pointnav_habitat_test", data, override))
        except Exception as error:
            messages[what] = f"{type(error).__name__}: {error}"
    try:
        habitat.Env(configured("pointnav/pointnav_habitat_test", data, "habitat.simulator.type=Sim-v0"))
    except Exception as error:
        messages["Sim-v0"] = f"{type(error).__name__}: {error}"
    with habitat.Env(configured("pointnav/pointnav_habitat_test", data)) as env:
        try:
            env.sim.step(7)
        except Exception as error:
            messages["action"] = f"{type(error).__name__}: {error}"
    return messages


if __name__ == "__main__":
    print("RESULT" + json.dumps(globals()[f"case_{sys.argv[1]}"](Path(sys.argv[2]))))
