import hashlib
import itertools
import os
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from harken.acoustics import AcousticSettings, FastPropagation, Source
from harken.errors import ConfigurationError, UnknownNameError
from harken.scene import NavigationGraph, Scene, WalkableFloor
from harken.scene.homes import HomeConfig, Plan, generate_home, generate_plan
from harken.scene.homes.outline import clear_area, rectangles
from harken.scene.homes.palette import Finish
from harken.scene.homes.plan import Opening
from harken.scene.homes.shell import Wall, wall_face
from harken.scene.homes.surfaces import HOME_MATERIALS, home_material
from harken.scene.material_table import MATERIALS
from harken.scene.vocabulary import SOUNDING_CATEGORIES

SOUNDING = set(SOUNDING_CATEGORIES)
STRUCTURE = {"wall", "floor", "ceiling", "window", "door"}
HUNG = {"picture", "mirror", "curtain", "towel", "radiator", "clothes", "cabinet", "tv_monitor"}
# What lies in another thing's bounding box because that thing is hollow there: on a seat, on a mattress, in a worktop.
NESTED = {("cushion", "sofa"), ("bed", "cushion"), ("bed", "clothes"), ("counter", "sink")}
KEYS = [(split, seed) for split, count in (("train", 33), ("val", 33), ("test", 34)) for seed in range(count)]
CELL = 0.05
NEEDS = [
    ("bedroom", {"bed"}),
    ("bedroom", {"cabinet", "chest_of_drawers"}),
    ("bathroom", {"toilet"}),
    ("bathroom", {"sink"}),
    ("bathroom", {"shower", "bathtub"}),
    ("kitchen", {"oven"}),
    ("kitchen", {"refrigerator"}),
    ("kitchen", {"sink"}),
    ("living_room", {"sofa"}),
    ("dining_room", {"table"}),
]


@dataclass(frozen=True)
class Home:
    scene: Scene
    plan: Plan
    seconds: float


@pytest.fixture(scope="module")
def homes() -> dict[tuple[str, int], Home]:
    made = {}
    for split, seed in KEYS:
        start = time.perf_counter()
        scene = generate_home(seed, split=split)
        made[split, seed] = Home(scene, generate_plan(seed, split=split), time.perf_counter() - start)
    return made


def boxes(scene: Scene, *, skip: set[str] = frozenset()) -> tuple[list, np.ndarray, np.ndarray]:
    objects = [o for o in scene.objects if o.category not in STRUCTURE | skip]
    return objects, np.array([o.lower for o in objects]), np.array([o.upper for o in objects])


def digest(scene: Scene) -> str:
    looks = scene.appearance
    arrays = [looks.colors, looks.texture, looks.uv, *looks.textures, scene.category, scene.instance, scene.room]
    return scene.fingerprint + hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()


def floor_map(home: Home) -> tuple[np.ndarray, np.ndarray]:
    """Where a disc of 0.2 m can stand, by rays straight down from under the door heads; and the map's origin."""
    low, high = home.plan.outline.min(0), home.plan.outline.max(0)
    shape = np.round((high - low) / CELL).astype(int)
    x, z = np.meshgrid(*(low[i] + (np.arange(shape[i]) + 0.5) * CELL for i in (0, 1)), indexing="ij")
    origins = np.stack([x.ravel(), np.full(x.size, 2.0), z.ravel()], 1).astype(np.float32)
    down = np.broadcast_to(np.float32([0, -1, 0]), origins.shape)
    distance = home.scene.triangles.closest(origins, np.ascontiguousarray(down))[0].reshape(shape)
    open_floor = np.abs(distance - 2.0) < 0.02
    room_to_stand = ndimage.distance_transform_edt(np.pad(open_floor, 1))[1:-1, 1:-1] * CELL
    return room_to_stand >= 0.2 + CELL / 2, low


def at(mask: np.ndarray, low: np.ndarray, point: np.ndarray):
    index = np.floor((np.asarray(point) - low) / CELL).astype(int)
    return mask[index[0], index[1]]


def door_points(plan: Plan) -> list[tuple[int, tuple[float, float]]]:
    """Half a metre inside each doorway: (room, (x, z)), the positions of agents on a 1 m grid."""
    points = []
    for opening in plan.openings:
        for room, side in zip(opening.sides, (-0.5, 0.5), strict=True):
            if opening.kind != "window" and room >= 0:
                across = opening.line + side
                points.append((room, (opening.center, across) if opening.axis == 0 else (across, opening.center)))
    return points


def test_rooms_and_areas_keep_within_the_limits(homes):
    for key, home in homes.items():
        area = sum(clear_area(room.polygon) for room in home.scene.rooms)
        assert 3 <= len(home.scene.rooms) <= 8, key
        assert 39.9 <= area <= 150.1, (key, area)
        assert all(2.4 <= room.ceiling <= 3.0 for room in home.scene.rooms), key
        for room in home.scene.rooms:
            extent = np.ptp(room.polygon, axis=0)
            assert extent.min() >= 1.89, (key, room.name, extent)


def test_every_home_has_what_a_home_needs(homes):
    for key, home in homes.items():
        kinds = [room.kind for room in home.scene.rooms]
        assert {"living_room", "bedroom", "bathroom"} <= set(kinds), key
        found = {o.category for o in home.scene.objects}
        needed = STRUCTURE | {"bed", "toilet", "sink", "refrigerator", "table", "lamp", "cabinet"}
        assert needed <= found, (key, needed - found)
        for room, things in NEEDS:
            having = {o.room for o in home.scene.objects if o.category in things}
            assert all(kind != room or i in having for i, kind in enumerate(kinds)), (key, room, things)
        windows = {o.room for o in home.scene.objects if o.category == "window"}
        dark = [r.name for i, r in enumerate(home.scene.rooms) if r.kind == "bedroom" and i not in windows]
        assert not dark, (key, dark)


def test_doors_stand_on_the_lattice_and_no_bathroom_is_a_passage(homes):
    for key, home in homes.items():
        plan = home.plan
        reached, frontier = {0}, [0]
        while frontier:
            here = frontier.pop()
            for opening in plan.room_openings(here):
                if opening.kind in ("door", "passage"):
                    frontier += [side for side in opening.sides if side not in reached]
                    reached |= set(opening.sides)
        assert reached == set(range(len(plan.kinds))), key
        for opening in plan.openings:
            if opening.kind in ("door", "entrance"):
                assert opening.center % 1 == 0.5, (key, opening)
                assert opening.span[1] - opening.span[0] == pytest.approx(0.9)
        for room, kind in enumerate(plan.kinds):
            ways = [o for o in plan.room_openings(room) if o.kind != "window"]
            assert kind not in ("bathroom", "laundry_room") or len(ways) == 1, (key, kind)


def test_a_body_of_20_cm_walks_from_every_door_to_every_other(homes):
    for key, home in homes.items():
        mask, low = floor_map(home)
        islands, _ = ndimage.label(mask)
        points = door_points(home.plan)
        labels = {int(at(islands, low, point)) for _, point in points}
        assert len(labels) == 1, (key, labels)
        assert 0 not in labels, key
        main = labels.pop()
        for room, polygon in enumerate(home.plan.polygons):
            walkable = sum(
                (islands[i0:i1, k0:k1] == main).sum()
                for x0, z0, x1, z1 in rectangles(polygon)
                for (i0, k0), (i1, k1) in [np.round((np.array([(x0, z0), (x1, z1)]) - low) / CELL).astype(int).tolist()]
            )
            # Narrow bathrooms have the least; what hangs on a wall, such as a towel, counts as in the way here.
            assert walkable * CELL**2 > clear_area(polygon) / 8, (key, home.plan.kinds[room])


def test_an_agent_on_a_1_m_grid_reaches_every_door(homes):
    for key, home in homes.items():
        mask, low = floor_map(home)
        cells = np.argwhere(home.plan.cells >= 0)
        centers = {tuple(c): c + np.array(home.plan.origin) + 0.5 for c in cells.tolist()}
        start, *others = {
            tuple(np.floor(np.array(p) - home.plan.origin).astype(int).tolist()) for _, p in door_points(home.plan)
        }
        seen, stack = {start}, [start]
        steps = np.linspace(0, 1, 21)[:, None]
        while stack:
            here = stack.pop()
            for dx, dz in ((1, 0), (0, 1), (-1, 0), (0, -1)):
                there = (here[0] + dx, here[1] + dz)
                if there in centers and there not in seen:
                    index = np.floor((centers[here] + steps * [dx, dz] - low) / CELL).astype(int)
                    if mask[index[:, 0], index[:, 1]].all():
                        seen.add(there)
                        stack.append(there)
        assert set(others) <= seen, key
        assert len(seen) >= 0.35 * len(centers), (key, len(seen), len(centers))


def test_doorways_are_clear_over_85_cm(homes):
    across = np.linspace(-0.425, 0.425, 18)
    heights = np.linspace(0.05, 2.0, 14)
    for key, home in homes.items():
        for opening in home.plan.openings:
            if opening.kind != "door":
                continue
            u, y = (a.ravel() for a in np.meshgrid(opening.center + across, heights))
            lines = [np.full(u.size, opening.line + side) for side in (-0.3, 0.3)]
            ends = [np.stack([u, y, line] if opening.axis == 0 else [line, y, u], 1) for line in lines]
            assert not home.scene.triangles.occluded(*ends).any(), (key, opening)


def test_furniture_keeps_clear_of_walls(homes):
    for key, home in homes.items():
        objects, lower, upper = boxes(home.scene)
        for thing, low, high in zip(objects, lower, upper, strict=True):
            polygon = home.plan.polygons[thing.room]
            assert (low[[0, 2]] >= polygon.min(0) - 1e-4).all(), (key, thing)
            assert (high[[0, 2]] <= polygon.max(0) + 1e-4).all(), (key, thing)
            for x0, z0, x1, z1 in rectangles(polygon, outside=True):
                apart = low[0] >= x1 - 1e-3 or high[0] <= x0 + 1e-3 or low[2] >= z1 - 1e-3 or high[2] <= z0 + 1e-3
                assert apart, (key, thing)
            assert low[1] >= -1e-5, (key, thing)
            assert high[1] <= home.plan.height + 1e-4, (key, thing)


def test_furniture_does_not_intersect_other_furniture_or_open_doors(homes):
    for key, home in homes.items():
        objects, lower, upper = boxes(home.scene, skip={"rug"})
        leaves = [o for o in home.scene.objects if o.category == "door" and o.upper[1] < 2.04]
        objects = objects + leaves
        lower = np.concatenate([lower, np.array([o.lower for o in leaves]).reshape(-1, 3)])
        upper = np.concatenate([upper, np.array([o.upper for o in leaves]).reshape(-1, 3)])
        depth = np.minimum(upper[:, None], upper[None]) - np.maximum(lower[:, None], lower[None])
        for a, b in np.argwhere(np.triu((depth > 2e-3).all(-1), 1)):
            pair = tuple(sorted((objects[a].category, objects[b].category)))
            assert pair in NESTED, (key, objects[a], objects[b])


def test_nothing_floats(homes):
    for key, home in homes.items():
        objects, lower, upper = boxes(home.scene)
        for i, thing in enumerate(objects):
            low, high = lower[i], upper[i]
            if low[1] < 0.005 or abs(high[1] - home.plan.height) < 0.005:
                continue
            over = (np.minimum(upper, high) - np.maximum(lower, low))[:, [0, 2]] > 0.01
            rests = (
                over.all(1) & (low[1] <= upper[:, 1] + 0.005) & (low[1] >= lower[:, 1]) & (np.arange(len(objects)) != i)
            )
            near_wall = (
                np.abs(home.plan.polygons[thing.room][None] - np.stack([low, high])[:, None, [0, 2]]).min() < 0.01
            )
            hangs = thing.category in HUNG and near_wall
            assert rests.any() or hangs, (key, thing)


def test_the_shell_is_closed(homes):
    rng = np.random.default_rng(5)
    for key, home in homes.items():
        scene = home.scene
        areas = np.concatenate([rectangles(polygon) for polygon in home.plan.polygons])
        chosen = areas[rng.integers(len(areas), size=3000)]
        spot = chosen[:, :2] + rng.random((3000, 2)) * (chosen[:, 2:] - chosen[:, :2])
        origins = np.float32(np.stack([spot[:, 0], rng.uniform(0.01, home.plan.height - 0.01, 3000), spot[:, 1]], 1))
        directions = rng.normal(size=(3000, 3)).astype(np.float32)
        distance, triangle = scene.triangles.closest(origins, directions)[:2]
        assert np.isfinite(distance).all(), key
        # The outer shell belongs to no room: whatever reached it has passed a wall.
        assert (scene.room[triangle] >= 0).all(), key


def test_all_sounding_categories_occur_in_a_dozen_homes(homes):
    found = {o.category for seed in range(12) for o in homes["test", seed].scene.objects}
    assert found >= SOUNDING, SOUNDING - found
    assert {"telephone", "refrigerator", "oven", "washing_machine", "bookshelf", "desk", "curtain"} <= found


def test_labels_agree_with_each_other(homes):
    for key, home in homes.items():
        scene = home.scene
        assert scene.categories[:6] == ("unknown", "wall", "floor", "ceiling", "window", "door"), key
        assert np.array_equal(np.unique(scene.instance), np.arange(1, len(scene.objects) + 1)), key
        assert len({o.name for o in scene.objects}) == len(scene.objects), key
        assert len({r.name for r in scene.rooms}) == len(scene.rooms), key
        first = np.searchsorted(scene.instance, np.arange(1, len(scene.objects) + 1))
        for thing, triangle in zip(scene.objects, first.tolist(), strict=True):
            assert scene.categories[scene.category[triangle]] == thing.category
            assert scene.room[triangle] == thing.room
            corners = scene.vertices[scene.faces[scene.instance == thing.instance]]
            assert np.array_equal(corners.min((0, 1)), thing.lower), (key, thing)
            assert np.array_equal(corners.max((0, 1)), thing.upper), (key, thing)


def test_closed_furniture_faces_outwards(homes):
    solid = {
        "chair",
        "bed",
        "sofa",
        "table",
        "cabinet",
        "counter",
        "desk",
        "cushion",
        "toilet",
        "refrigerator",
        "towel",
    }
    for key, home in itertools.islice(homes.items(), 12):
        corners = home.scene.vertices[home.scene.faces].astype(np.float64)
        for thing in home.scene.objects:
            if thing.category in solid:
                own = corners[home.scene.instance == thing.instance] - thing.lower
                volume = np.einsum("ij,ij->i", own[:, 0], np.cross(own[:, 1], own[:, 2])).sum() / 6
                assert 0 < volume < np.prod(thing.upper - thing.lower) * 1.5, (key, thing, volume)


def test_room_surfaces_face_into_the_room(homes):
    for key, home in itertools.islice(homes.items(), 12):
        scene = home.scene
        for name, expected in (("floor", 1.0), ("ceiling", -1.0)):
            chosen = scene.category == scene.categories.index(name)
            assert np.allclose(scene.normals[chosen, 1], expected), (key, name)


def test_materials_differ_by_room_and_object(homes):
    floors = set()
    for home in homes.values():
        scene = home.scene
        chosen = scene.category == scene.categories.index("floor")
        floors |= {scene.materials[m].name for m in np.unique(scene.material[chosen])}
        assert len(scene.materials) >= 10
        assert len({m.name for m in scene.materials}) == len(scene.materials)
    assert floors >= {"wood_floor", "carpet", "ceramic_tile", "marble", "concrete"}


def reverberation_time(propagation: FastPropagation, source: np.ndarray, inside: np.ndarray) -> float:
    """T20 [s] at 500–1000 Hz, Schroeder's integral from −5 to −25 dB, of the energy in some cells (ISO 3382-2)."""
    field = propagation.field(Source(position=source))
    energy = field.energy[inside, :, 2:4, 0].sum((0, 2))
    level = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-12)
    part = (level < -5) & (level > -25)
    return float(-60 / np.polyfit(field.bins.edges[:-1][part], level[part], 1)[0])


def test_rooms_reverberate_like_furnished_dwellings(homes):
    # ISO 16283-1 takes 0.5 s as the reverberation time of furnished rooms; tiled bathrooms and halls have up to 1 s.
    rng = np.random.default_rng(3)
    lived_in, others = [], []
    for key, home in itertools.islice(homes.items(), 12):
        ears = WalkableFloor.build(home.scene).cells + [0.0, 1.5, 0.0]
        propagation = FastPropagation(home.scene, AcousticSettings(rays=1000, cell=0.7), ears=ears)
        anchors = propagation.field(Source(position=ears[0])).grid.anchors[:, [0, 2]]
        for room, polygon in zip(home.scene.rooms, home.plan.polygons, strict=True):
            inside = np.zeros(len(anchors), bool)
            for x0, z0, x1, z1 in rectangles(polygon):
                inside |= ((anchors > (x0, z0)) & (anchors < (x1, z1))).all(1)
            x, z = anchors[inside][rng.integers(inside.sum())]
            time_20 = reverberation_time(propagation, np.array([x, 1.5, z]), inside)
            assert 0.2 < time_20 < 1.2, (key, room.name, time_20)
            (lived_in if room.kind in ("bedroom", "living_room") else others).append(time_20)
    print(f"\nT20: living rooms and bedrooms {np.median(lived_in):.2f} s, others {np.median(others):.2f} s (medians)")
    assert 0.3 < np.median(lived_in) < 0.7
    assert np.median(lived_in) < np.median(others) < 0.9


def test_materials_of_homes_are_documented_and_named_apart_from_the_common_table():
    assert not set(HOME_MATERIALS) & set(MATERIALS)
    for name, made in HOME_MATERIALS.items():
        assert home_material(name) is made
        assert made.name == name
        assert made.source
    assert home_material("brick") is MATERIALS["brick"]
    with pytest.raises(UnknownNameError, match="acoustic material"):
        home_material("brik")


def test_no_triangle_is_without_area_or_doubled(homes):
    for key, home in homes.items():
        scene = home.scene
        assert scene.areas.min() > 1e-9, key
        places = np.unique(np.round(scene.vertices / 1e-3).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
        corners = np.sort(places[scene.faces], axis=1)
        solid = (np.diff(corners, axis=1) > 0).all(1)
        assert len(np.unique(corners[solid], axis=0)) == solid.sum(), key


def test_the_grid_of_nodes_reaches_every_room(homes):
    for key, home in itertools.islice(homes.items(), 4):
        nodes = NavigationGraph.build(WalkableFloor.build(home.scene)).nodes[:, [0, 2]]
        for polygon, kind in zip(home.plan.polygons, home.plan.kinds, strict=True):
            inside = [((nodes > (x0, z0)) & (nodes < (x1, z1))).all(1).any() for x0, z0, x1, z1 in rectangles(polygon)]
            assert any(inside), (key, kind)


def test_textures_are_small_and_in_use(homes):
    for key, home in homes.items():
        looks = home.scene.appearance
        assert set(np.unique(looks.texture)) == {-1, *range(len(looks.textures))}, key
        assert np.isfinite(looks.uv).all(), key
        for image in looks.textures:
            assert image.dtype == np.uint8
            assert image.ndim == 3
            assert 64 <= max(image.shape[:2]) <= 256, key


def test_the_same_arguments_give_the_same_bytes(homes):
    for key in (("train", 0), ("val", 7), ("test", 21)):
        again = generate_home(key[1], split=key[0])
        assert digest(again) == digest(homes[key].scene), key


def test_another_process_gives_the_same_bytes(homes):
    code = "from harken.scene.homes import generate_home as g; print(g(3, split='val').fingerprint)"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == homes["val", 3].scene.fingerprint


def test_no_home_occurs_twice_within_or_between_splits(homes):
    assert len({home.scene.fingerprint for home in homes.values()}) == len(homes)
    plans = {(home.plan.cells.shape, home.plan.cells.tobytes()) for home in homes.values()}
    assert len(plans) > 0.95 * len(homes)


def test_homes_are_quick_and_of_modest_size(homes):
    seconds = np.array([home.seconds for home in homes.values()])
    triangles = np.array([len(home.scene.faces) for home in homes.values()])
    print(f"\nhome: median {np.median(seconds):.3f} s, slowest {seconds.max():.3f} s; ", end="")
    print(f"triangles {triangles.min()}–{triangles.max()}, median {np.median(triangles):.0f}")
    assert np.median(seconds) < 1.0
    assert triangles.min() > 5_000
    assert 8_000 < np.median(triangles) < 25_000
    assert triangles.max() < 40_000


def test_detail_multiplies_the_triangles_of_furniture():
    def furniture(scene: Scene) -> int:
        return int((~np.isin(scene.category, [scene.categories.index(c) for c in STRUCTURE])).sum())

    plain = furniture(generate_home(4))
    fine = furniture(generate_home(4, config=HomeConfig(detail=9.0)))
    assert 6 < fine / plain < 12
    assert furniture(generate_home(4, config=HomeConfig(detail=0.5))) < plain


def test_an_unfurnished_home_is_the_same_shell():
    full, empty = generate_home(11), generate_home(11, config=HomeConfig(furnished=False))
    assert not {o.category for o in empty.objects} ^ STRUCTURE
    shell = np.isin(full.category, [full.categories.index(c) for c in STRUCTURE])
    assert np.array_equal(full.vertices[full.faces[shell]], empty.vertices[empty.faces])


@pytest.mark.parametrize("rooms", [3, 5, 8])
def test_the_number_of_rooms_and_the_height_can_be_set(rooms):
    home = generate_home(2, config=HomeConfig(rooms=(rooms, rooms), ceiling=(2.7, 2.7), furnished=False))
    assert len(home.rooms) == rooms
    assert {room.ceiling for room in home.rooms} == {2.7}


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: generate_home(0, split="tset"), UnknownNameError, "Did you mean 'test'"),
        (lambda: generate_home(-1), ConfigurationError, "0 or more"),
        (lambda: generate_home(1.5), ConfigurationError, "integer"),
        (lambda: generate_home(True), ConfigurationError, "integer"),
        (lambda: HomeConfig(rooms=(5, 4)), ConfigurationError, "rooms"),
        (lambda: HomeConfig(rooms=(1, 4)), ConfigurationError, "rooms"),
        (lambda: HomeConfig(rooms=(3.5, 4)), ConfigurationError, "rooms is 3.5; expected a whole number"),
        (lambda: HomeConfig(area=(150, 40)), ConfigurationError, "area"),
        (lambda: HomeConfig(area=(float("nan"), 40)), ConfigurationError, "area"),
        (lambda: HomeConfig(detail=0), ConfigurationError, "detail"),
        (lambda: HomeConfig(detail=float("nan")), ConfigurationError, "detail"),
        (lambda: HomeConfig(ceiling=(1.0, 2.0)), ConfigurationError, "ceiling"),
        (lambda: generate_home(0, config=HomeConfig(rooms=(8, 8), area=(40, 45))), ConfigurationError, "No home"),
    ],
)
def test_bad_input_is_refused_with_words_that_help(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_wall_that_is_all_door_has_a_face_above_the_door_alone():
    door = Opening(kind="door", axis=1, line=-1, span=(5.05, 5.95), heights=(0.0, 2.05), sides=(0, 1))
    wall = Wall(start=(-0.95, 5.95), end=(-0.95, 5.05), openings=((0.0, 0.9, door),))
    assert wall_face(Finish(material="tiled_wall", color=(205, 218, 229)), wall, 0.0, 1.5) == []
    (above,) = wall_face(Finish(material="tiled_wall", color=(205, 218, 229)), wall, 1.5, 2.5)
    assert above.vertices[:, 1].min() == pytest.approx(2.05) and above.vertices[:, 1].max() == pytest.approx(2.5)
