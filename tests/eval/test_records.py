import errno
import json
import math
from dataclasses import replace

import numpy as np
import pytest

from harken.errors import EpisodeError, FileError
from harken.eval.records import EpisodeRecord, EpisodeResult, read_table, table_row, write_table


def record(steps: int = 3, **changes) -> EpisodeRecord:
    fields = {
        "episode": "val-1",
        "index": 1,
        "agent": "walker",
        "scene": "home val 1",
        "sound": "bell",
        "measures": {"success": 1, "spl": np.float32(0.5)},
        "positions": np.zeros((steps + 1, 3)),
        "headings": np.zeros(steps + 1),
        "actions": np.zeros(steps, np.int64),
        "rewards": np.zeros(steps),
        "loudness": np.full((steps + 1, 2), 60.0),
        "distances": np.linspace(4.0, 0.0, steps + 1),
        "goal": np.zeros(3),
        "start_distance": 4.0,
        "action_names": ("stop", "forward"),
        "step_time": 0.25,
    }
    return EpisodeRecord(**{**fields, **changes})


def plan(steps: int = 3, **changes) -> dict:
    fields = {
        "plan_image": np.zeros((40, 50, 3), np.uint8),
        "plan_path": np.zeros((steps + 1, 2)),
        "plan_goal": np.zeros(2),
        "plan_oracle": np.zeros((5, 2)),
    }
    return {**fields, **changes}


def test_series_become_arrays_and_measures_floats():
    made = record(headings=[0.0, 1.0, 2.0, 3.0], actions=[0, 1, 1])
    assert made.headings.shape == (4,)
    assert made.actions.dtype == np.int64
    assert made.measures == {"success": 1.0, "spl": 0.5}
    assert all(type(value) is float for value in made.measures.values())


def test_media_are_optional_and_known_of():
    assert not record().has_media
    assert record(audio=np.zeros((2, 9), np.float32), audio_rate=16000).has_media
    assert record(**plan()).has_media
    assert record(frames=np.zeros((4, 8, 8, 3), np.uint8)).has_media
    assert record(depth=[np.zeros((8, 8, 1), np.float32)] * 4).has_media


def test_silence_and_unreachable_goals_are_allowed():
    made = record(loudness=np.full((4, 2), -np.inf), distances=np.full(4, np.inf))
    assert np.isneginf(made.loudness).all()


def test_an_episode_may_end_before_its_first_action():
    made = record(0)
    assert len(made.actions) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"positions": np.zeros((3, 3))}, r"positions has shape \(3, 3\); expected \(4, 3\)"),
        ({"headings": np.zeros(3)}, "headings"),
        ({"rewards": np.zeros(4)}, "rewards"),
        ({"loudness": np.zeros((4, 1))}, "loudness"),
        ({"loudness": np.full((4, 2), np.nan)}, "loudness holds NaN"),
        ({"distances": np.array([1.0, np.nan, 1.0, 1.0])}, "distances holds NaN"),
        ({"goal": np.zeros(2)}, "goal"),
        ({"actions": np.zeros(3)}, "actions are float64"),
        ({"actions": np.array([0, 1, 2])}, "2 actions are named"),
        ({"actions": np.array([0, -1, 1])}, "-1"),
        ({"step_time": 0.0}, "step_time is 0.0"),
        ({"step_time": math.nan}, "step_time"),
        ({"measures": {"spl": "high"}}, "measures must be numbers"),
        ({"measures": {"agent": 1.0}}, "no measure can be called 'agent'"),
        (plan(plan_image=np.zeros((40, 50, 3))), "plan_image is float64"),
        (plan(plan_image=np.zeros((40, 50), np.uint8)), "plan_image"),
        (plan(plan_path=np.zeros((2, 2))), "plan_path"),
        (plan(plan_goal=np.zeros(3)), "plan_goal"),
        (plan(plan_oracle=np.zeros((5, 3))), "plan_oracle"),
        ({"frames": [np.zeros((8, 8, 3), np.uint8)] * 3}, "3 frames images were kept"),
        ({"frames": [np.zeros((8, 8, 3), np.float32)] * 4}, "frames images are"),
        ({"frames": [np.zeros((8 + i, 8, 3), np.uint8) for i in range(4)]}, "one shape"),
        ({"depth": [np.zeros((8, 8), np.float32)] * 4}, "depth images are"),
        ({"audio": np.zeros(9), "audio_rate": 16000}, "audio has shape"),
        ({"audio": np.zeros((2, 9))}, "0 Hz"),
        ({"audio": np.full((2, 9), np.nan), "audio_rate": 16000}, "audio holds NaN"),
    ],
)
def test_parts_that_do_not_fit_are_refused_by_name(changes, words):
    with pytest.raises(EpisodeError, match=words) as caught:
        record(**changes)
    assert "'val-1'" in str(caught.value)


def test_table_is_read_back_without_loss(tmp_path):
    results = [
        record(episode='a, "b"\nc', measures={"spl": 1 / 3, "reward": -1e-17}),
        record(episode="", index=2, scene="Küche, groß", measures={"spl": math.inf, "steps": 500.0}),
        record(index=3, measures={"reward": math.nan}),
    ]
    path = tmp_path / "deep" / "table.csv"
    write_table(results, path)
    back = read_table(path)
    assert [(r.episode, r.index, r.agent, r.scene, r.sound) for r in back] == [
        (r.episode, r.index, r.agent, r.scene, r.sound) for r in results
    ]
    assert [dict(r.measures) for r in back[:2]] == [dict(r.measures) for r in results[:2]]
    assert list(back[2].measures) == ["reward"]
    assert math.isnan(back[2].measures["reward"])


def test_the_same_results_give_the_same_bytes_and_leave_nothing_else(tmp_path):
    for name in ("one.csv", "two.csv"):
        write_table([record(), record(index=2)], tmp_path / name)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.csv", "two.csv"]


def test_a_failing_write_keeps_the_old_table(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "table.csv"
    write_table([record()], path)
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="No space left"):
        write_table([record(episode="other")], path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_an_empty_table_is_a_header(tmp_path):
    write_table([], tmp_path / "table.csv")
    assert read_table(tmp_path / "table.csv") == []


def test_rows_are_strict_json():
    row = table_row(record(measures={"spl": 0.5, "distance_to_goal": math.inf}))
    assert json.loads(json.dumps(row, allow_nan=False)) == {
        "episode": "val-1",
        "index": 1,
        "agent": "walker",
        "scene": "home val 1",
        "sound": "bell",
        "spl": 0.5,
        "distance_to_goal": None,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a results table"),
        ("name,score\na,1\n", "not a results table"),
        ("episode,index,agent,scene,sound,spl\na,1,b,c,d\n", "row 2: 5 cells; expected 6"),
        ("episode,index,agent,scene,sound,spl\na,one,b,c,d,1\n", "row 2"),
        ("episode,index,agent,scene,sound,spl\na,1,b,c,d,0.5\na,1,b,c,d,half\n", "row 3"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, text, words):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(EpisodeError, match=words):
        read_table(path)


def test_a_missing_table_says_what_makes_one(tmp_path):
    with pytest.raises(EpisodeError, match="write_table"):
        read_table(tmp_path / "none.csv")


def test_records_are_results_and_can_be_changed_by_copy():
    made = record()
    assert isinstance(made, EpisodeResult)
    assert replace(made, agent="other").agent == "other"
