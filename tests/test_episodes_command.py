"""`harken episodes` writes what everybody plays; `harken eval` plays it, and says and verifies what it played."""

import json

import pytest

from harken.cli import main
from harken.eval import read_table

QUIET = ("--recorded", "0", "--workers", "1")


def said(capsys, *words):
    main([str(word) for word in words])
    return capsys.readouterr().out


def test_a_file_is_the_same_bytes_twice_and_plays_like_the_split_it_was_drawn_from(tmp_path, capsys):
    words = ("episodes", "pointgoal", "--split", "val", "--count", "3", "--difficulty", "hard", "--out")
    printed = said(capsys, *words, tmp_path / "one.json.gz")
    assert printed.splitlines()[1:] == said(capsys, *words, tmp_path / "one.json.gz").splitlines()[1:]
    said(capsys, *words, tmp_path / "two.json.gz")
    assert (tmp_path / "one.json.gz").read_bytes() == (tmp_path / "two.json.gz").read_bytes()
    total = printed.split("checksum ")[1].split()[0]
    play = ("eval", "pointgoal", "--split", "val", *QUIET, "--checksum", total)
    drawn = said(capsys, *play, "--episodes", "3", "--difficulty", "hard", "--out", tmp_path / "drawn")
    read = said(capsys, *play, "--episodes", tmp_path / "one.json.gz", "--out", tmp_path / "read")
    assert total in drawn and total in read
    tables = [read_table(tmp_path / name / "episodes.csv") for name in ("drawn", "read")]
    rows = [[(row.episode, dict(row.measures)) for row in table] for table in tables]
    assert rows[0] == rows[1] and all(row.measures["success"] == 1.0 for row in tables[0])
    assert json.loads((tmp_path / "read" / "metrics.json").read_text())["checksum"] == total
    assert total in (tmp_path / "read" / "report.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("episodes", "echo-depth"), "Unknown task of navigation 'echo-depth'"),
        (("episodes", "pointgoal", "--count", "0"), "at least 1"),
        (("episodes", "pointgoal", "--out", "list.txt"), ".json.gz"),
        (("episodes", "echo-explore", "--difficulty", "hard", "--out", "x.json"), "has no goal"),
        (("eval", "pointgoal", "--episodes", "2", "--checksum", "00ff", *QUIET), "expected '00ff'"),
        (("eval", "pointgoal", "--episodes", "missing.json.gz", *QUIET), "missing.json.gz"),
    ],
)
def test_bad_requests_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    assert stopped.value.code == 2 and message in capsys.readouterr().err
