"""Semantic AudioGoal in two bare rooms with two objects, so that everything can be worked out by hand."""

import dataclasses

import numpy as np
import pytest
import trimesh

from harken.errors import ConfigurationError, EpisodeError
from harken.scene import SOUNDING_CATEGORIES, AcousticMaterial, Scene, SceneObject
from harken.sim import BodySettings, Mount, Simulator, World
from harken.tasks import Episode, read_episodes, write_episodes
from harken.tasks.semantic import SemanticEpisode, SemanticSettings, SemanticTask, find_viewpoints, sounding_place

STOP, AHEAD, LEFT, RIGHT = range(4)
GRID = BodySettings(motion="grid", forward_step=1.0, turn_angle=np.pi / 2)

CHAIR = (3.3, 0.0, 2.5, 3.9, 0.8, 3.1)  # it stands against the wall between the rooms
SINK = (7.5, 0.6, 0.0, 8.0, 0.9, 0.5)
ROOMS = [
    (-0.1, -0.1, -0.1, 8.1, 0, 4.1), (-0.1, 2.5, -0.1, 8.1, 2.6, 4.1), (-0.1, 0, -0.1, 0, 2.5, 4.1),
    (8, 0, -0.1, 8.1, 2.5, 4.1), (0, 0, -0.1, 8, 2.5, 0), (0, 0, 4, 8, 2.5, 4.1),
    (3.95, 0, 0, 4.05, 2.5, 1.05), (3.95, 0, 1.95, 4.05, 2.5, 4),
]  # fmt: skip
"""Walls, floor and ceiling of two rooms of 4 × 4 m with a door between them."""


def two_rooms(**things):
    """Return the rooms with objects, boxes by category."""
    boxes = [*ROOMS, *things.values()]
    mesh = trimesh.util.concatenate([trimesh.creation.box(bounds=np.reshape(box, (2, 3))) for box in boxes])
    numbers = [0] * len(ROOMS) + list(range(1, len(things) + 1))
    objects = tuple(
        SceneObject(instance=i, category=kind, name=f"{kind} 1", lower=np.float32(box[:3]), upper=np.float32(box[3:]))
        for i, (kind, box) in enumerate(things.items(), 1)
    )
    return Scene(
        vertices=mesh.vertices,
        faces=mesh.faces,
        materials=(AcousticMaterial(name="felt", absorption=(0.7,)),),
        material=np.zeros(len(mesh.faces), np.int32),
        instance=np.repeat(numbers, 12),
        objects=objects,
        name="two rooms",
    )


SCENE = two_rooms(chair=CHAIR, sink=SINK)


def task_in(scene=SCENE, split="val", sound="unheard", **settings):
    rules = SemanticSettings(**{"acoustics": dataclasses.replace(SemanticSettings().acoustics, rays=200), **settings})
    task = SemanticTask(rules, split, sound=sound)
    task.enter(Simulator(World(scene=scene, settings=task.world), mount=Mount(height=rules.body.eye_height)))
    return task


def sampled(task, seed=0):
    return task.sample(np.random.default_rng(seed), episode_id="e", scene="two rooms")


def episode(**changes):
    """Return an episode in which the body starts at the second viewpoint of the chair and looks at it."""
    given = {
        "episode_id": "by hand",
        "scene": "two rooms",
        "start_position": (2.6, 0.0, 2.8),
        "start_heading": -np.pi / 2,
        "goal_position": (3.6, 0.0, 2.0),
        "sound": "chair_2",
        "object_id": 1,
        "category": "chair",
        "viewpoints": ((3.6, 0.0, 2.0), (2.6, 0.0, 2.8)),
        "source_position": (3.2, 0.6, 2.8),
    }
    return SemanticEpisode(**{**given, **changes})


def away_from(box, places):
    """Return the horizontal distance from a box to places."""
    low, high = np.array(box[:3]), np.array(box[3:])
    return np.hypot(*(places - places.clip(low, high))[:, [0, 2]].T)


@pytest.mark.parametrize("body", [BodySettings(), GRID], ids=["floor", "grid"])
def test_viewpoints_lie_around_the_object_on_its_side_of_the_wall(body):
    task = task_in(body=body)
    ground = task.simulator.ground
    chair, sink = task.simulator.objects
    found = find_viewpoints(task.simulator, ground, chair, 1.5)
    assert all(ground.is_free(place) for place in found)
    assert (away_from(CHAIR, found) <= 1.0 + 1e-6).all()
    in_the_doorway = (found[:, 2] > 1.05) & (found[:, 2] < 1.95)
    assert ((found[:, 0] < 3.95) | in_the_doorway).all()
    middle = np.hypot(*(found - [3.6, 0.0, 2.8])[:, [0, 2]].T)
    assert (np.diff(middle) >= -1e-6).all(), "the nearest comes first"
    assert np.array_equal(found, find_viewpoints(task.simulator, ground, chair, 1.5))
    if body is GRID:
        nodes = ground.graph.nodes
        near = nodes[(away_from(CHAIR, nodes) <= 1.0 + 1e-6) & (nodes[:, 0] < 3.95)]
        assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, near.tolist()))
    else:
        assert len(found) > 8
        below = find_viewpoints(task.simulator, ground, sink, 1.5)
        assert len(below) > 3 and (below[:, 1] == 0.0).all(), "an object that hangs is seen from the floor"


def test_an_object_sounds_a_little_before_where_one_looks_at_it():
    task = task_in()
    place = sounding_place(task.simulator, task.simulator.objects[0], np.array([[2.0, 0.0, 2.8]]), 1.5)
    # From the eye at (2, 1.5, 2.8) to the middle (3.6, 0.4, 2.8) the box begins at x = 3.3, at 1.3/1.6 of 1.94 m.
    share = 1.3 / 1.6 - 0.1 / np.hypot(1.6, 1.1)
    assert place == pytest.approx([2.0 + 1.6 * share, 1.5 - 1.1 * share, 2.8])
    assert sounding_place(task.simulator, task.simulator.objects[0], np.array([[3.6, -1.0, 2.8]]), 1.5) is None


def test_an_object_is_seen_from_its_room_and_not_through_the_wall():
    chair, sink = SCENE.objects
    eyes = np.array([[2.0, 1.5, 3.8], [6.0, 1.5, 3.5], [2.0, 1.5, 1.5]])
    assert SCENE.shows(chair, eyes).tolist() == [True, False, True]
    assert SCENE.shows(sink, eyes).tolist() == [False, True, True], "the last looks through the doorway"
    assert SCENE.shows(chair, np.empty((0, 3))).shape == (0,)
    with pytest.raises(ConfigurationError, match=r"expected \(N, 3\)"):
        SCENE.shows(chair, eyes[0])


def test_what_nobody_sees_or_what_has_no_clips_is_not_looked_for():
    hidden = two_rooms(chair=(1.4, 0.3, 1.4, 1.6, 0.5, 1.6), cabinet=(1.0, 0.0, 1.0, 2.0, 1.0, 2.0), oven=SINK)
    task = task_in(hidden)
    assert {sampled(task, seed).category for seed in range(8)} == {"cabinet"}
    alone = task_in(two_rooms(oven=SINK))
    with pytest.raises(EpisodeError, match="none of its 1 objects sounds and can be gone to"):
        sampled(alone)
    with pytest.raises(EpisodeError, match="lower least_distance"):
        sampled(task_in(least_distance=50.0))


@pytest.mark.parametrize("body", [BodySettings(), GRID], ids=["floor", "grid"])
def test_sampled_episodes_hold_together(body):
    task = task_in(body=body, latest_onset=5.0)
    ground, episodes = task.simulator.ground, [sampled(task, seed) for seed in range(40)]
    for drawn in episodes:
        assert drawn.category == {1: "chair", 2: "sink"}[drawn.object_id] and drawn.sound == f"{drawn.category}_2"
        lengths = [ground.distance(drawn.start_position, viewpoint) for viewpoint in drawn.viewpoints]
        assert min(lengths) >= 2.0 and drawn.geodesic_distance == pytest.approx(min(lengths))
        assert drawn.goal_position == drawn.viewpoints[0]
        assert 5.0 <= drawn.duration <= 500.0 and 0.0 <= drawn.onset <= 5.0
        for time in (drawn.duration, drawn.onset):
            assert time / 0.25 == pytest.approx(round(time / 0.25))
        box = CHAIR if drawn.object_id == 1 else SINK
        source = np.array(drawn.source_position)
        assert 0.0 < np.linalg.norm(source - source.clip(box[:3], box[3:])) <= 0.1 + 1e-6
    kinds = [drawn.category for drawn in episodes]
    assert 10 <= kinds.count("chair") <= 30, "categories are equally likely"
    assert 11.0 < np.mean([drawn.duration for drawn in episodes]) < 20.0
    assert len({drawn.onset for drawn in episodes}) > 5
    assert sampled(task, 3) == episodes[3]


def test_clips_are_those_of_the_split_and_of_the_category(tmp_path):
    assert sampled(task_in(split="train")).sound.endswith("_1")
    assert sampled(task_in(sound="heard")).sound.endswith("_1")
    with pytest.raises(ConfigurationError, match="No clip of sound 'telephone' belongs to an object"):
        SemanticTask(SemanticSettings(), "val", sound="telephone")
    with pytest.raises(ConfigurationError, match="another sound than the goal's is needed"):
        SemanticTask(SemanticSettings(distractor=True), "val", sound="chair")
    assert {sampled(task_in(sound="sink", split="val"), seed).category for seed in range(4)} == {"sink"}


@pytest.mark.parametrize("body", [BodySettings(), GRID], ids=["floor", "grid"])
def test_the_oracle_takes_the_shortest_way_to_the_nearest_viewpoint(body):
    task = task_in(body=body)
    for seed in range(6):
        task.begin(sampled(task, seed))
        while not task.stopped:
            task.step(task.oracle_action())
        measures = task.measures()
        assert measures["success"] == measures["sna"] == 1.0 and measures["spl"] > 0.95
        assert measures["steps"] == task.oracle_actions


def test_a_stop_counts_near_any_viewpoint_and_the_distance_is_that_to_the_nearest():
    task = task_in()
    task.begin(episode(viewpoints=((3.6, 0.0, 1.0), (1.0, 0.0, 2.8))))
    ground = task.simulator.ground
    assert task.distance == pytest.approx(1.6)  # to (1, 2.8); to the other it is 2.06 m
    rewards = []
    for action in (LEFT,) * 18 + (AHEAD,) * 3:
        rewards.append(task.step(action).reward)
        nearest = min(ground.distance(task.simulator.position, goal) for goal in task.episode.viewpoints)
        assert task.distance == pytest.approx(nearest)
    assert task.simulator.position == pytest.approx([1.85, 0.0, 2.8], abs=1e-6)
    assert rewards == pytest.approx([-0.01] * 18 + [0.24] * 3)
    assert task.step(STOP).reward == pytest.approx(9.99)
    measures = task.measures()
    assert measures["success"] == 1.0 and measures["distance_to_goal"] == pytest.approx(0.85)
    assert measures["path_length"] == pytest.approx(0.75) and measures["steps"] == 22.0
    assert measures["soft_spl"] == pytest.approx(0.75 / 1.6)
    assert measures["spl"] == 1.0, "the shortest way is longer than what it walked"
    assert "dsr" not in measures


@pytest.mark.parametrize(("turns", "expected"), [(3, 0.0), (4, 1.0)])
def test_success_when_silent_needs_more_steps_than_the_sound_lasts(turns, expected):
    task = task_in()
    task.begin(episode(onset=0.5, duration=0.5))  # it ends with the fourth step
    for _ in range(turns):
        task.step(LEFT)
    task.step(STOP)
    assert task.measures()["success"] == 1.0 and task.measures()["sws"] == expected


def test_a_failure_when_silent_is_none_and_a_sound_without_end_never_falls_silent():
    for changes in ({"viewpoints": ((0.5, 0.0, 0.5),), "duration": 0.25}, {"duration": None}):
        task = task_in()
        task.begin(episode(**changes))
        for _ in range(5):
            task.step(LEFT)
        task.step(STOP)
        assert task.measures()["sws"] == 0.0
        assert task.measures()["success"] == float(changes["duration"] is None)


def test_the_object_begins_to_sound_late_and_falls_silent():
    task = task_in(acoustics=dataclasses.replace(SemanticSettings().acoustics, rays=200, duration=0.3))
    task.begin(episode(onset=0.5, duration=0.5))
    levels = [np.abs(task.waveform).max()]
    for _ in range(7):
        task.step(LEFT)
        levels.append(np.abs(task.waveform).max())
    assert levels[:2] == [0.0, 0.0] and levels[2] > 1e-3 and levels[3] > 1e-3
    assert levels[6:] == [0.0, 0.0], "0.5 s after the end its reverberation of 0.3 s is over, too"


@pytest.mark.parametrize(("heading", "louder"), [(0.0, 1), (np.pi, 0)])
def test_the_sound_comes_from_the_side_of_the_object(heading, louder):
    task = task_in()
    drawn = next(e for e in (sampled(task, seed) for seed in range(20)) if e.category == "chair")
    # At the other end of its room the chair lies along +x: to the right of a body that faces −z.
    task.begin(dataclasses.replace(drawn, start_position=(1.0, 0.0, 2.8), start_heading=heading, onset=0.0))
    power = sum(np.square(task.simulator.hear(4000)).sum(1) for _ in range(4))
    assert power[louder] > 2.0 * power[1 - louder]


def test_what_is_known_of_the_goal_is_its_place_before_the_body_and_its_category():
    task = task_in()
    task.begin(episode(source_position=(3.2, 0.6, 2.5)))
    sensors = task.sensors
    assert sensors["goal_location"].privileged and sensors["goal_category"].privileged
    assert sensors["goal_location"].read({}) == pytest.approx([0.6, 0.3], abs=1e-6), (
        "ahead, and to the left of +x is −z"
    )
    task.step(LEFT)
    turned = np.array(
        [0.6 * np.cos(np.pi / 18) + 0.3 * np.sin(np.pi / 18), 0.3 * np.cos(np.pi / 18) - 0.6 * np.sin(np.pi / 18)]
    )
    assert sensors["goal_location"].read({}) == pytest.approx(turned, abs=1e-6)
    for name in ("category", "goal_category"):
        assert sensors[name].space.names == SOUNDING_CATEGORIES
        assert sensors[name].read({}) == SOUNDING_CATEGORIES.index("chair")


def test_the_category_is_shown_where_something_distracts():
    assert task_in().shown == ("rgb", "depth", "spectrogram", "pose")
    assert task_in(distractor=True).shown == ("rgb", "depth", "spectrogram", "pose", "category")


def test_a_distractor_of_another_kind_repeats_a_second_elsewhere_for_as_long():
    task = task_in(distractor=True, latest_onset=2.0)
    ground = task.simulator.ground
    for seed in range(6):
        drawn = sampled(task, seed)
        assert drawn.distractor.endswith("_2") and not drawn.distractor.startswith(f"{drawn.category}_")
        assert min(ground.distance(drawn.distractor_position, goal) for goal in drawn.viewpoints) >= 2.0
        task.begin(drawn)
        goal, other = task.simulator.sources
        assert other.position == pytest.approx(np.array(drawn.distractor_position) + [0.0, 1.5, 0.0])
        assert (other.onset, other.duration) == (goal.onset, goal.duration) == (drawn.onset, drawn.duration)
        assert len(other.samples) == 16000 and not np.array_equal(other.samples, goal.samples)
        assert [source.position.tolist() for source in task.sources(drawn)] == [
            goal.position.tolist(),
            other.position.tolist(),
        ]
    clip = task.sounds.clip(drawn.distractor).samples
    assert other.samples[80:-80] == pytest.approx(np.resize(clip, 16000)[80:-80])
    assert other.samples[0] == other.samples[-1] == 0.0


@pytest.mark.parametrize(
    ("where", "expected"), [((2.6, 0.0, 2.8), (1.0, 0.0)), ((1.0, 0.0, 1.0), (0.0, 1.0)), ((6.0, 0.0, 3.0), (0.0, 0.0))]
)
def test_a_stop_at_the_distractor_is_counted(where, expected):
    task = task_in(distractor=True)
    task.begin(episode(start_position=where, distractor="sink_2", distractor_position=(1.0, 0.0, 0.5), duration=5.0))
    assert task.measures()["dsr"] == 0.0, "it has not stopped"
    task.step(STOP)
    measures = task.measures()
    assert (measures["success"], measures["dsr"]) == expected


def test_episodes_can_be_written_and_read(tmp_path):
    task = task_in(distractor=True)
    episodes = tuple(sampled(task, seed) for seed in range(3))
    write_episodes(tmp_path / "three.jsonl.gz", episodes)
    assert task.read_episodes(tmp_path / "three.jsonl.gz") == episodes
    assert read_episodes(tmp_path / "three.jsonl.gz", SemanticEpisode) == episodes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category": "chiar"}, "sounding category 'chiar'.*Did you mean 'chair'"),
        ({"category": 3}, "sounding category"),
        ({"object_id": 0}, "object_id"),
        ({"object_id": "chair 1"}, "object_id"),
        ({"viewpoints": ()}, "viewpoints are .*; expected 1 to"),
        ({"viewpoints": None}, "viewpoints are None; expected 1 to"),
        ({"viewpoints": ((1.0, 2.0),)}, "viewpoint 0"),
        ({"viewpoints": ((1.0, 0.0, float("nan")),)}, "viewpoint 0"),
        ({"source_position": "there"}, "source_position"),
        ({"distractor": 3}, "distractor is 3; expected the name"),
        ({"distractor_position": (1.0,)}, "distractor_position"),
        ({"trajectory": ((0.0, 1.0, 0.0, 1.0), (1.0, 2.0, 0.0, 1.0))}, "objects stay where they are"),
    ],
)
def test_an_episode_that_cannot_be_is_refused(changes, message):
    with pytest.raises(EpisodeError, match=f"(?s)'by hand'.*{message}"):
        episode(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"object_id": 7}, "object 7 of two rooms is not there; expected a chair"),
        ({"object_id": 2}, "object 2 of two rooms is a sink; expected a chair"),
        ({"viewpoints": ((3.6, 0.0, 2.8),)}, r"cannot stand at viewpoint \[3.6, 0.0, 2.8\]"),
        ({"viewpoints": ((500.0, 0.0, 2.8),)}, "cannot stand at viewpoint"),
        ({"viewpoints": ((6.0, 0.0, 2.0),)}, "no way from start"),
    ],
)
def test_an_episode_that_does_not_belong_to_the_world_is_refused(changes, message):
    sealed = two_rooms(chair=CHAIR, sink=SINK, cabinet=(3.95, 0.0, 1.05, 4.05, 2.5, 1.95))  # in the doorway
    task = task_in(sealed)
    with pytest.raises(EpisodeError, match=message):
        task.begin(episode(**changes))


def test_an_episode_of_another_task_is_refused():
    task, own = task_in(), episode()
    plain = Episode(**{f.name: getattr(own, f.name) for f in dataclasses.fields(Episode)})
    for call in (task.begin, task.sources):
        with pytest.raises(EpisodeError, match="expected a SemanticEpisode"):
            call(plain)


@pytest.mark.parametrize(
    "settings", [{"least_duration": 9.0, "most_duration": 8.0}, {"mean_duration": -1.0}, {"latest_onset": float("nan")}]
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        SemanticSettings(**settings)
