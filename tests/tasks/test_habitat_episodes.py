import gzip
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from harken.envs import TaskEnv
from harken.errors import EpisodeError
from harken.tasks import Episode, from_episodes, read_habitat_episodes, to_episodes, write_habitat_episodes
from harken.tasks.habitat_episodes import HabitatEpisodes, heading_of

SCENE = "data/scene_datasets/mp3d/17DRP5sb8fy/17DRP5sb8fy.glb"
CATEGORIES = {"chair": 0, "sofa": 5}


def turn(heading):
    return [0, math.sin(heading / 2), 0, math.cos(heading / 2)]


def point(**more):
    return {
        "episode_id": "0",
        "scene_id": SCENE,
        "start_position": [1.5, 0.1, -2],
        "start_rotation": turn(1.0),
        "info": {"geodesic_distance": 3.5, "difficulty": "easy"},
        "goals": [{"position": [4.0, 0.1, -1.0], "radius": None}],
        "start_room": None,
        "shortest_paths": None,
        **more,
    }


def audio(**more):
    info = {"geodesic_distance": 3.5, "num_action": 9, "sound": "telephone"}
    return point(info=info, goals=[{"position": [4.0, 0.1, -1.0], "radius": 1e-05}], **more)


def thing(category="chair", number=7, **more):
    views = [
        {"agent_state": {"position": [1, 0, 2], "rotation": turn(0.5)}, "iou": 0.25},
        {"agent_state": {"position": [1, 0, 3], "rotation": turn(-0.5)}, "iou": 0.5},
    ]
    return {
        "position": [2.0, 0.4, 2.0],
        "radius": None,
        "object_id": number,
        "object_name": f"{category}_{number}",
        "object_name_id": None,
        "object_category": category,
        "room_id": None,
        "room_name": None,
        "view_points": views,
        **more,
    }


def object_split(*episodes, goals_by_category=None, categories=CATEGORIES):
    content = {
        "category_to_task_category_id": categories,
        "category_to_mp3d_category_id": {name: number + 3 for name, number in categories.items()},
        "episodes": list(episodes),
    }
    if goals_by_category is not None:
        content["goals_by_category"] = goals_by_category
    return content


def semantic(**more):
    goal = thing(view_points=[[1.0, 0.0, 2.0], [1.0, 0.0, 3.0]])
    return point(object_category="chair", sound_id="train/chair.wav", offset="3", duration="15", goals=[goal], **more)


def written(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = json.dumps(content).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(tmp_path, content, name="val.json.gz"):
    return read_habitat_episodes(written(tmp_path / name, content))


def test_an_episode_of_point_nav_has_what_its_file_says(tmp_path):
    file = read(tmp_path, {"episodes": [point()]})
    (episode,) = file.episodes
    assert file.task == "pointnav"
    assert (episode.episode_id, episode.scene_id, episode.scene_dataset_config) == ("0", SCENE, "")
    assert episode.start_position == (1.5, 0.1, -2.0)
    assert episode.start_heading == pytest.approx(1.0, abs=1e-12)
    assert episode.geodesic_distance == 3.5 and episode.num_action is None
    assert episode.goals[0].position == (4.0, 0.1, -1.0) and episode.goals[0].radius is None
    assert episode.info == {"difficulty": "easy"} and episode.more == {"start_room": None, "shortest_paths": None}


@pytest.mark.parametrize("heading", [0.0, 1.0, -1.0, math.pi, -3.0, 3.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_both_quaternions_of_a_rotation_have_its_heading(heading, sign):
    quaternion = tuple(sign * value for value in turn(heading))
    assert heading_of(quaternion) == pytest.approx(heading, abs=1e-12)


def test_an_episode_of_audio_nav_names_its_sound(tmp_path):
    file = read(tmp_path, {"episodes": [audio()]}, "val.json")
    assert file.task == "audionav"
    assert file.episodes[0].sound == "telephone" and file.episodes[0].num_action == 9
    assert file.episodes[0].goals[0].radius == 1e-05 and file.episodes[0].info == {}


def test_an_episode_of_semantic_audio_nav_has_times_views_and_a_distractor(tmp_path):
    row = semantic(distractor_sound_id="person.wav", distractor_position_index="12")
    file = read(tmp_path, {"episodes": [row]})
    (episode,) = file.episodes
    assert file.task == "semantic_audionav" and len(file.categories) == 21
    assert (episode.object_category, episode.sound) == ("chair", "train/chair.wav")
    assert (episode.offset, episode.duration) == (3, 15)
    assert (episode.distractor_sound, episode.distractor_position_index) == ("person.wav", 12)
    assert [view.position for view in episode.goals[0].view_points] == [(1.0, 0.0, 2.0), (1.0, 0.0, 3.0)]
    assert episode.goals[0].view_points[0].rotation is None


def test_goals_of_object_nav_stand_in_each_episode_or_by_category_at_the_top(tmp_path):
    key = "17DRP5sb8fy.glb_chair"
    goals = [thing(number=7), thing(number=8)]
    rows = [point(episode_id=str(n), object_category="chair") for n in range(2)]
    shared = read(
        tmp_path, object_split(*[{**row, "goals": []} for row in rows], goals_by_category={key: goals}), "a.json.gz"
    )
    single = read(tmp_path, object_split(*[{**row, "goals": goals} for row in rows]), "b.json.gz")
    assert shared == single
    assert shared.task == "objectnav" and shared.categories == ("chair", "sofa")
    assert shared.scene_categories == {"chair": 3, "sofa": 8}
    assert shared.episodes[0].goals is shared.episodes[1].goals
    assert [goal.object_id for goal in shared.episodes[0].goals] == [7, 8]
    view = shared.episodes[0].goals[0].view_points[0]
    assert view.position == (1.0, 0.0, 2.0) and view.iou == 0.25
    assert heading_of(view.rotation) == pytest.approx(0.5)


def test_a_split_is_read_from_the_files_of_its_scenes(tmp_path):
    written(tmp_path / "val.json.gz", object_split())
    for scene in ("bbb", "aaa"):
        row = point(scene_id=f"hm3d/val/00800-{scene}/{scene}.basis.glb", object_category="sofa", goals=[])
        content = object_split(row, goals_by_category={f"{scene}.basis.glb_sofa": [thing("sofa")]})
        written(tmp_path / "content" / f"{scene}.json.gz", content)
    file = read_habitat_episodes(tmp_path / "val.json.gz")
    assert [episode.scene_id.split("/")[-1] for episode in file.episodes] == ["aaa.basis.glb", "bbb.basis.glb"]
    assert all(episode.episode_id == "0" for episode in file.episodes)


ROUND_TRIPS = {
    "pointnav": {"episodes": [point(), point(episode_id="1", scene_dataset_config="./x.scene_dataset_config.json")]},
    "audionav": {"episodes": [audio(), audio(episode_id="b", start_rotation=turn(-2.5))]},
    "objectnav": object_split(point(object_category="chair", goals=[thing(), thing(number=9)])),
    "semantic_audionav": {"episodes": [semantic(), semantic(episode_id="2", distractor_sound_id="x.wav")]},
}


@pytest.mark.parametrize("task", ROUND_TRIPS)
@pytest.mark.parametrize("name", ["out.json", "out.json.gz"])
@pytest.mark.parametrize("by_scene", [False, True])
def test_what_is_written_reads_as_equal_episodes(tmp_path, task, name, by_scene):
    file = read(tmp_path, ROUND_TRIPS[task])
    assert file.task == task
    write_habitat_episodes(tmp_path / "new" / name, file, by_scene=by_scene)
    again = read_habitat_episodes(tmp_path / "new" / name)
    assert again.episodes == file.episodes
    assert (again.task, again.task_categories, again.scene_categories) == (
        task,
        file.task_categories,
        file.scene_categories,
    )


def test_writing_twice_gives_the_same_bytes(tmp_path):
    file = read(tmp_path, ROUND_TRIPS["objectnav"])
    for name in ("a.json.gz", "b.json.gz"):
        write_habitat_episodes(tmp_path / name, file)
    assert (tmp_path / "a.json.gz").read_bytes() == (tmp_path / "b.json.gz").read_bytes()


EPISODE_KEYS = {
    *("episode_id", "scene_id", "scene_dataset_config", "additional_obj_config_paths", "start_position"),
    *("start_rotation", "info", "goals", "start_room", "shortest_paths"),
}
"""Arguments of habitat-lab's NavigationEpisode; those of other episodes are listed in the test."""
GOAL_KEYS = {
    *("position", "radius", "object_id", "object_name", "object_name_id", "object_category", "room_id", "room_name"),
    "view_points",
}


@pytest.mark.parametrize("task", ROUND_TRIPS)
def test_habitats_readers_find_the_keys_that_they_need_and_no_others(tmp_path, task):
    write_habitat_episodes(tmp_path / "out.json", read(tmp_path, ROUND_TRIPS[task]))
    content = json.loads((tmp_path / "out.json").read_text())
    own = {"pointnav": set(), "audionav": set(), "objectnav": {"object_category"}}.get(
        task,
        {
            *("object_category", "sound_id", "offset", "duration"),
            *("distractor_sound_id", "distractor_position_index"),
        },
    )
    for row in content["episodes"]:
        assert {"episode_id", "scene_id", "start_position", "start_rotation", "goals"} <= row.keys()
        assert row.keys() <= EPISODE_KEYS | own
        assert isinstance(row["episode_id"], str) and len(row["start_rotation"]) == 4
        if task == "audionav":
            assert row["info"]["sound"] == "telephone"
        if task == "objectnav":
            assert row["goals"] == []
            key = f"{row['scene_id'].split('/')[-1]}_{row['object_category']}"
            assert all(goal.keys() <= GOAL_KEYS for goal in content["goals_by_category"][key])
            assert content["category_to_task_category_id"].keys() == (
                content["category_to_scene_annotation_category_id"].keys()
            )
        for goal in row["goals"]:
            assert goal.keys() <= (GOAL_KEYS if task == "semantic_audionav" else {"position", "radius"})


def test_object_nav_with_differing_goals_of_one_category_cannot_be_written(tmp_path):
    rows = [point(episode_id=str(n), object_category="chair", goals=[thing(number=n)]) for n in range(2)]
    file = read(tmp_path, object_split(*rows))
    with pytest.raises(EpisodeError, match=r"'1' has other goals.*17DRP5sb8fy.glb_chair"):
        write_habitat_episodes(tmp_path / "out.json.gz", file)


def bad_point(**more):
    return {"episodes": [point(), point(**{"episode_id": "bad", **more})]}


def without(row, key):
    return {name: value for name, value in row.items() if name != key}


BAD = {
    "no episodes at all": ({"goals": {}}, "holds keys.*'goals'"),
    "a list": ([], "holds list"),
    "no rows, no folder": ({"episodes": []}, "no files of its scenes"),
    "row is text": ({"episodes": [point(), "x"]}, "number 1: it is 'x'"),
    "no pose": (
        {"episodes": [without(point(episode_id="bad"), "start_position")]},
        "'bad'.*'start_position' is missing",
    ),
    "no name": ({"episodes": [without(point(), "episode_id")]}, "number 0.*'episode_id' is missing"),
    "no scene": ({"episodes": [without(point(episode_id="bad"), "scene_id")]}, "'bad'.*'scene_id' is missing"),
    "empty scene": (bad_point(scene_id=""), "'bad': scene_id is ''"),
    "NaN position": (bad_point(start_position=[0, float("nan"), 0]), "'bad': start_position is .*nan"),
    "infinite goal": (bad_point(goals=[{"position": [0, float("inf"), 0]}]), "'bad': a goal's position is .*inf"),
    "two coordinates": (bad_point(start_position=[0, 1]), r"'bad': start_position is \[0, 1\]; expected 3"),
    "position of text": (bad_point(start_position=["0", "1", "2"]), "'bad': start_position"),
    "no position": (bad_point(start_position=None), "'bad': start_position is None"),
    "too large": (bad_point(start_position=[1e9, 0, 0]), "'bad': start_position"),
    "not of length 1": (bad_point(start_rotation=[0, 0.5, 0, 0.5]), "'bad': start_rotation.*length 0.7071"),
    "zero rotation": (bad_point(start_rotation=[0, 0, 0, 0]), "'bad': start_rotation.*length 0;"),
    "about x": (bad_point(start_rotation=[math.sin(0.2), 0, 0, math.cos(0.2)]), "'bad'.*another axis"),
    "w first": (bad_point(start_rotation=[math.cos(0.2), 0, math.sin(0.2), 0]), "'bad'.*order x, y, z, w"),
    "no goal": (bad_point(goals=[]), r"'bad': goals are \[\]"),
    "goals of text": (bad_point(goals="x"), "'bad': goals are 'x'"),
    "goal of text": (bad_point(goals=["x"]), "'bad': it is 'x'"),
    "goal without place": (bad_point(goals=[{"radius": 1}]), "'bad': the key 'position' is missing"),
    "negative radius": (bad_point(goals=[{"position": [0, 0, 0], "radius": -1}]), "'bad': a goal's radius is -1"),
    "unreachable": (bad_point(info={"geodesic_distance": float("inf")}), "'bad'.*cannot be reached"),
    "negative way": (bad_point(info={"geodesic_distance": -1.0}), "'bad'.*cannot be reached"),
    "way of text": (bad_point(info={"geodesic_distance": "far"}), "'bad': geodesic_distance is 'far'"),
    "half an action": (
        {"episodes": [audio(), audio() | {"info": {"sound": "x", "num_action": 1.5}, "episode_id": "bad"}]},
        "'bad': num_action is 1.5",
    ),
    "info of text": (bad_point(info="x"), "'bad': info is 'x'"),
    "twins": ({"episodes": [point(episode_id="bad"), point(episode_id="bad")]}, "two episodes.*'bad'"),
    "half a character": (bad_point(scene_id="\ud800"), "'bad': scene_id"),
    "no sound": ({"episodes": [audio(), audio() | {"info": {}, "episode_id": "bad"}]}, "'bad'.*'sound' is missing"),
    "unknown category": (
        object_split(point(episode_id="bad", object_category="chiar", goals=[thing()])),
        "'bad'.*'chiar'.*Did you mean 'chair'",
    ),
    "unknown sounding category": (
        {"episodes": [semantic(episode_id="bad") | {"object_category": "lamp"}]},
        "'bad'.*'lamp'.*fireplace",
    ),
    "no goals of a category": (
        object_split(
            point(episode_id="bad", object_category="chair", goals=[]),
            goals_by_category={"17DRP5sb8fy.glb_sofa": [thing("sofa")]},
        ),
        "'bad'.*no goals '17DRP5sb8fy.glb_chair'.*Did you mean",
    ),
    "empty goals of a category": (
        object_split(point(object_category="chair", goals=[]), goals_by_category={"17DRP5sb8fy.glb_chair": []}),
        r"17DRP5sb8fy.glb_chair.*goals are \[\]",
    ),
    "view point without place": (
        object_split(point(episode_id="bad", object_category="chair", goals=[thing(view_points=[{"iou": 1}])])),
        "'bad'.*a view point is",
    ),
    "table of categories": ({"category_to_task_category_id": ["chair"], "episodes": [point()]}, "table of categories"),
    "late sound": ({"episodes": [semantic(episode_id="bad") | {"offset": "soon"}]}, "'bad': offset is 'soon'"),
    "place of content": ({"episodes": [], "content_scenes_path": "../../{scene}.json.gz"}, "content_scenes_path"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_an_error_that_names_file_and_episode(tmp_path, case):
    content, message = BAD[case]
    with pytest.raises(EpisodeError, match=message) as caught:
        read(tmp_path, content)
    assert "val.json.gz" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("val.json.gz", gzip.compress(json.dumps({"episodes": [point()]}).encode())[:-20], "not gzip, or is damaged"),
        ("val.json.gz", b"hello", "not gzip, or is damaged"),
        ("val.json", b'{"episodes": [', "not JSON"),
        ("val.json", b"\xff\xfe\x00", "not JSON"),
        ("val.json", b"[" * 100_000, "nested too deep|not JSON"),
    ],
)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(EpisodeError, match=message) as caught:
        read_habitat_episodes(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    written(tmp_path / "val.json.gz", {"episodes": [point()]})
    with pytest.raises(EpisodeError, match=r"no episode file .*vall.json.gz'. Did you mean 'val.json.gz'"):
        read_habitat_episodes(tmp_path / "vall.json.gz")


def room(path):
    """A room of 6 × 3 × 8 m with its floor at height 0."""
    box = trimesh.creation.box(extents=(6.0, 3.0, 8.0))
    box.apply_translation((0.0, 1.5, 0.0))
    box.invert()
    path.parent.mkdir(parents=True, exist_ok=True)
    box.export(path)
    path.with_suffix(".materials.json").write_text('{"default": "plaster"}')
    return path


@pytest.fixture
def data(tmp_path):
    """Folders as in SoundSpaces: a scene, and a split of AudioNav with two episodes in it."""
    room(tmp_path / "data" / "scene_datasets" / "mp3d" / "room" / "room.glb")
    rows = [
        {
            **audio(episode_id=str(number), scene_id="data/scene_datasets/mp3d/room/room.glb"),
            "start_position": [-1.5, 0.0, 2.5],
            "start_rotation": turn(0.0),
            "goals": [{"position": [1.5, 0.0, side], "radius": 1e-05}],
        }
        for number, side in enumerate((-2.5, 0.5))
    ]
    return written(tmp_path / "data/datasets/audionav/mp3d/v1/val/val.json.gz", {"episodes": rows})


def test_episodes_of_audio_nav_become_harkens_own(data):
    file = read_habitat_episodes(data)
    first, second = to_episodes(file, file=data)
    assert (first.episode_id, second.episode_id) == ("0", "1")
    assert first.scene == str(data.parents[5] / "scene_datasets/mp3d/room/room.glb")
    assert first.start_position == (-1.5, 0.0, 2.5) and first.start_heading == 0.0
    assert first.goal_position == (1.5, 0.0, -2.5) and first.geodesic_distance == 3.5
    assert (first.sound, first.sound_offset, first.duration) == ("telephone", 0.0, None)


def test_names_that_occur_in_several_scenes_are_preceded_by_the_scenes(data):
    room(data.parents[5] / "scene_datasets/mp3d/hall/hall.glb")
    file = read_habitat_episodes(data)
    twins = (file.episodes[0], replace(file.episodes[0], scene_id="mp3d/hall/hall.glb"))
    names = [episode.episode_id for episode in to_episodes(replace(file, episodes=twins), file=data)]
    assert names == ["data/scene_datasets/mp3d/room/room.glb/0", "mp3d/hall/hall.glb/0"]


def test_a_missing_scene_is_an_error_that_names_episode_folder_and_source(data):
    file = read_habitat_episodes(data)
    other = replace(file, episodes=(replace(file.episodes[0], scene_id="mp3d/rom/rom.glb"),))
    with pytest.raises(EpisodeError, match=r"val.json.gz.*'0'.*'mp3d/rom/rom.glb'.*niessner.*scenes="):
        to_episodes(other, file=data)
    with pytest.raises(EpisodeError, match="no folder 'scene_datasets'"):
        to_episodes(other)


@pytest.mark.parametrize("own", ["x", {"offset": 1.0}, {"onset": -1.0}])
def test_impossible_values_of_harkens_own_are_an_error(tmp_path, own):
    row = audio(scene_id="home:val:0")
    file = read(tmp_path, {"episodes": [{**row, "info": {**row["info"], "harken": own}}]})
    with pytest.raises(EpisodeError, match=r"'0'"):
        to_episodes(file)


@pytest.mark.parametrize("task", ["objectnav", "semantic_audionav"])
def test_episodes_that_would_lose_their_meaning_are_not_converted(tmp_path, task):
    with pytest.raises(EpisodeError, match=f"{task} search objects by category"):
        to_episodes(read(tmp_path, ROUND_TRIPS[task]))


@pytest.mark.parametrize("scenes", [None, "given"])
def test_an_environment_plays_a_file_of_audio_nav_and_the_oracle_finds_its_goals(data, scenes):
    given = {} if scenes is None else {"scenes": data.parents[5] / "scene_datasets"}
    env = TaskEnv("audiogoal", split="val", episodes=data, sensors=("oracle", "waveform"), **given)
    for number in range(2):
        observation, _ = env.reset(options={"episode": number})
        done, heard, info = False, 0.0, {}
        while not done:
            observation, _, terminated, truncated, info = env.step(observation["oracle"])
            heard, done = heard + float(np.square(observation["waveform"]).sum()), terminated or truncated
        assert info["is_success"] and info["spl"] > 0.9 and heard > 0.0


def test_audio_goal_refuses_episodes_without_sound_and_point_goal_takes_them(data, tmp_path):
    row = point(scene_id="mp3d/room/room.glb")
    file = written(data.with_name("point.json.gz"), {"episodes": [row]})
    with pytest.raises(EpisodeError, match=r"point.json.gz.*PointGoal"):
        TaskEnv("audiogoal", split="val", episodes=file)
    assert TaskEnv("pointgoal", split="val", episodes=file).episodes[0].goal_position == (4.0, 0.1, -1.0)


def test_harkens_own_episodes_come_back_from_a_file_of_audio_nav(tmp_path):
    env = TaskEnv("audiogoal", split="val", sound="unheard")
    own = [env.episode(number) for number in range(3)]
    own.append(replace(own[0], episode_id="late", onset=1.5, duration=4.0, sound_offset=0.0))
    write_habitat_episodes(tmp_path / "val.json.gz", from_episodes(own))
    again = TaskEnv("audiogoal", split="val", sound="unheard", episodes=tmp_path / "val.json.gz").episodes
    for before, after in zip(own, again, strict=True):
        assert after.start_heading == pytest.approx(math.remainder(before.start_heading, math.tau), abs=1e-12)
        assert replace(after, start_heading=0.0) == replace(before, start_heading=0.0)
    assert from_episodes(own, "pointnav").task == "pointnav"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trajectory": ((0.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.0, 0.0))}, "'a' has a goal that moves"),
        ({"doors": (("door 1", "closed"),)}, "'a' has doors"),
        ({"sound": ""}, "'a' has no sound; write it with task='pointnav'"),
    ],
)
def test_what_a_file_cannot_express_is_an_error(change, message):
    episode = Episode(
        episode_id="a", scene="x.glb", start_position=(0, 0, 0), start_heading=0.0, goal_position=(1, 0, 0), sound="b"
    )
    with pytest.raises(EpisodeError, match=message):
        from_episodes([replace(episode, **change)])


def test_a_hundred_thousand_records_are_checked_together(tmp_path):
    rows = [audio(episode_id=str(number)) for number in range(20_000)]
    rows[17_123] = {**rows[17_123], "start_position": [0.0, "x", 0.0]}
    with pytest.raises(EpisodeError, match=r"'17123': start_position is \[0.0, 'x', 0.0\]"):
        read(tmp_path, {"episodes": rows})


def test_records_know_the_categories_that_their_task_searches():
    assert HabitatEpisodes(task="pointnav", episodes=()).categories == ()
    assert "fireplace" in HabitatEpisodes(task="semantic_audionav", episodes=()).categories
