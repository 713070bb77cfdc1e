import base64
import io
import json
import re
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harken.errors import EpisodeError
from harken.eval.records import EpisodeRecord
from harken.eval.report.charts import Line, dot_chart, histogram, line_chart, ticks
from harken.eval.report.measures import measure_label, measure_text
from harken.eval.report.media import audio_uri, color_depth, frame_sheet, image_uri
from harken.eval.report.page import write_report
from harken.eval.statistics import summarise

VOID = {"meta", "input", "br", "hr", "img", "link"}
RATE = 16000


class Page(HTMLParser):
    """Reads a page strictly: every element must be closed, in order."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(text for tag, text in self.texts if tag not in ("script", "style"))


def walk(number: int = 0, steps: int = 20, *, media: bool = True, **changes) -> EpisodeRecord:
    """An episode that goes straight to its goal, or turns on the spot where the number is odd."""
    rng = np.random.default_rng(number)
    way = np.linspace(0.0, 5.0, steps + 1) if number % 2 == 0 else np.zeros(steps + 1)
    fields = {
        "episode": f"test-{number}",
        "index": number,
        "agent": "walker",
        "scene": f"home test {number}",
        "sound": "telephone",
        "measures": {"success": float(number % 2 == 0), "spl": 0.75 * (number % 2 == 0), "steps": float(steps)},
        "positions": np.stack([way, np.full(steps + 1, 1.5), np.zeros(steps + 1)], 1),
        "headings": np.linspace(0, 2, steps + 1),
        "actions": np.arange(steps) % 3,
        "rewards": np.full(steps, 0.1),
        "loudness": 60 + rng.normal(size=(steps + 1, 2)),
        "distances": 5.0 - way,
        "goal": np.array([5.0, 1.5, 0.0]),
        "start_distance": 5.0,
        "action_names": ("forward", "turn left", "turn right"),
        "step_time": 0.25,
    }
    if media:
        frames = np.zeros((steps + 1, 96, 128, 3), np.uint8)
        frames[:] = np.linspace(0, 255, steps + 1, dtype=np.uint8)[:, None, None, None]
        fields |= {
            "plan_image": np.full((200, 300, 3), 230, np.uint8),
            "plan_path": np.stack([20 + 40 * way, np.full(steps + 1, 100.0)], 1),
            "plan_goal": np.array([220.0, 100.0]),
            "plan_oracle": np.array([[20.0, 100.0], [220.0, 100.0]]),
            "frames": frames,
            "depth": rng.uniform(0.5, 6.0, (steps + 1, 96, 128, 1)).astype(np.float32),
            "audio": 0.05 * rng.normal(size=(2, int((steps + 1) * 0.25 * RATE))).astype(np.float32),
            "audio_rate": RATE,
        }
    return EpisodeRecord(**{**fields, **changes})


def write(path: Path, records: list[EpisodeRecord], **changes) -> str:
    agents = dict.fromkeys(record.agent for record in records)
    summary = {agent: summarise(r for r in records if r.agent == agent) for agent in agents}
    arguments = {"title": "Report", "records": records, "summary": summary, "settings": {"seed": 7}}
    write_report(path, **{**arguments, **changes})
    return path.read_text(encoding="utf-8")


def test_report_is_one_well_formed_page_with_nothing_from_outside(tmp_path):
    text = write(tmp_path / "new" / "report.html", [walk(0), walk(1), walk(2, media=False)])
    page = Page(text)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["report.html"]
    for _, attributes in page.elements:
        for name in ("src", "href", "poster", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!data:)|@import|https?://", text)
    assert page.all("meta")[-1]["content"].startswith("default-src 'none'")
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    links = {attributes["href"][1:] for attributes in page.all("a")}
    assert links == {"episode-1", "episode-2"} <= set(identifiers)


def test_pictures_controls_and_sounds_have_names_for_those_who_cannot_see_them(tmp_path):
    page = Page(write(tmp_path / "report.html", [walk(0), walk(1, audio=None)]))
    for tag, attributes in page.elements:
        needs_name = tag in ("audio", "input", "nav") or attributes.get("role") == "img"
        if needs_name or (tag == "svg" and attributes.get("aria-hidden") != "true"):
            assert attributes.get("aria-label"), (tag, attributes)
    assert "5.0 m to 0.0 m from the goal" in next(
        a["aria-label"] for a in page.all("svg") if "Plan" in (a.get("aria-label") or "")
    )


def test_measures_intervals_settings_and_command_can_be_read(tmp_path):
    records = [walk(i, media=False) for i in range(10)]

    @dataclass
    class Rules:
        radius: float = 1.0
        sensors: tuple[str, ...] = ("depth", "sound")

    settings = {"rules": Rules(), "rate": np.int64(16000), "folder": Path("out"), "bands": np.arange(2.0), "none": None}
    words = Page(
        write(tmp_path / "report.html", records, settings=settings, command="harken eval --seed 7")
    ).words.replace("\u202f", " ")
    assert "walker reached the goal in 50 % of 10 episodes" in re.sub(r"\s+", " ", words)
    for part in ("0.500", "0.237 – 0.763", "harken eval --seed 7", "radius: 1.0", "sensors: [depth, sound]"):
        assert part in words
    for part in ("rate: 16000", "folder: out", "bands: [0.0, 1.0]", "none: null"):
        assert part in words


def test_no_string_can_break_out_of_the_page(tmp_path):
    evil = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{styles}}"
    record = walk(
        0, episode=evil, agent=evil, scene=evil, sound=evil, action_names=(evil,) * 3, video=f"javascript:{evil}"
    )
    record = replace(record, measures={**record.measures, evil: 0.5})
    clean = Page(write(tmp_path / "clean.html", [walk(0, video="a.mp4")]))
    text = write(tmp_path / "evil.html", [record], title=evil, settings={evil: evil}, command=evil)
    page = Page(text)
    assert len(page.all("script")) == len(clean.all("script"))
    assert page.all("img") == []
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "{{styles}}" in page.words
    assert not any((a.get("href") or "").startswith("javascript:") for a in page.all("a"))


def test_script_data_follow_the_record(tmp_path):
    silent = np.full((21, 2), 50.0)
    silent[3, 0] = -np.inf
    page = Page(write(tmp_path / "report.html", [walk(0, loudness=silent)]))
    data = json.loads(next(text for tag, text in page.texts if tag == "script" and text.startswith("{")))
    assert data["stepTime"] == 0.25
    assert data["actions"][:4] == ["forward", "turn left", "turn right", "forward"]
    assert data["distance"] == pytest.approx(np.linspace(5.0, 0.0, 21), abs=1e-3)
    assert data["loudness"][3] == [None, 50.0]
    assert data["sheets"]["rgb"]["count"] == 21
    # A heading to the left (positive) turns the arrow against SVG's clockwise angle.
    assert data["poses"][-1] == "translate(220.0 100.0) rotate(-114.6)"


def test_the_same_input_gives_the_same_bytes(tmp_path):
    first = write(tmp_path / "a.html", [walk(0), walk(1)])
    assert first == write(tmp_path / "b.html", [walk(0), walk(1)])


def test_five_episodes_of_a_hundred_steps_stay_below_six_megabytes(tmp_path):
    records = []
    for number in range(5):
        # Blurred noise compresses like a furnished room, white noise would be unlike any picture.
        coarse = np.random.default_rng(number).integers(0, 255, (101, 8, 8, 3), np.uint8)
        frames = [np.asarray(Image.fromarray(c).resize((128, 128), Image.Resampling.BICUBIC)) for c in coarse]
        depth = [np.float32(frame[..., :1]) / 40 for frame in frames]
        records.append(walk(number, 100, frames=frames, depth=depth))
    write(tmp_path / "report.html", records)
    assert (tmp_path / "report.html").stat().st_size < 6e6


@pytest.mark.parametrize(
    "changes",
    [
        {"audio": None},
        {"frames": (), "depth": ()},
        {"plan_image": None},
        {"plan_oracle": np.zeros((0, 2))},
        {"loudness": np.full((21, 2), -np.inf)},
        {"distances": np.full(21, np.inf), "start_distance": np.inf},
        {"audio": np.zeros((2, 100), np.float32)},
        {"depth": np.zeros((21, 8, 8, 1), np.float32)},
        {"measures": {}},
    ],
)
def test_what_was_not_recorded_is_left_out(tmp_path, changes):
    page = Page(write(tmp_path / "report.html", [walk(0, **changes)]))
    assert len(page.all("article")) == 1
    assert len(page.all("audio")) == (0 if "audio" in changes and changes["audio"] is None else 1)


def test_an_episode_without_an_action_can_be_shown(tmp_path):
    page = Page(write(tmp_path / "report.html", [walk(0, 0)]))
    assert page.all("input")[0]["max"] == "0"


def test_many_episodes_say_how_many_rows_were_left_out(tmp_path):
    records = [walk(0, 1, media=False)] * 2003
    words = Page(write(tmp_path / "report.html", records)).words
    assert "The results file episodes.csv has 3 more." in words
    assert "2\u202f003 episodes" in words


def test_nothing_to_report_is_an_error(tmp_path):
    with pytest.raises(EpisodeError, match="nothing to report"):
        write_report(tmp_path / "report.html", title="Empty", records=[], summary={}, settings={})
    assert list(tmp_path.iterdir()) == []


def decode(uri: str) -> tuple[str, bytes]:
    kind, content = uri.removeprefix("data:").split(";base64,")
    return kind, base64.b64decode(content)


@pytest.mark.parametrize(("count", "stride"), [(1, 1), (21, 1), (160, 1), (161, 2), (500, 4)])
def test_every_step_finds_its_frame_on_the_sheet(count, stride):
    shades = np.linspace(0, 255, count).astype(np.uint8)
    sheet = frame_sheet(np.broadcast_to(shades[:, None, None, None], (count, 32, 32, 3)))
    image = np.asarray(Image.open(io.BytesIO(decode(sheet.uri)[1])).convert("L"))
    assert sheet.stride == stride
    for step in {0, count // 3, count // 2, count - 1}:
        tile = sheet.tile(step)
        row, column = divmod(tile, sheet.columns)
        shown = image[row * 32 : row * 32 + 32, column * 32 : column * 32 + 32]
        # JPEG at this quality quantises the mean of a flat block to within two shades.
        assert np.abs(shown.astype(int) - int(shades[tile * stride])).max() <= 2
        x, y = (float(share.rstrip("%")) / 100 for share in sheet.position(tile).split())
        assert x * max(1, sheet.columns - 1) == pytest.approx(column, abs=1e-3)
        assert y * max(1, sheet.rows - 1) == pytest.approx(row, abs=1e-3)


def test_large_frames_shrink_and_keep_their_shape():
    sheet = frame_sheet(np.zeros((4, 240, 320, 3), np.uint8))
    assert Image.open(io.BytesIO(decode(sheet.uri)[1])).size == (256, 192)
    assert sheet.aspect == pytest.approx(4 / 3)


def test_depth_is_brighter_near_and_grey_where_nothing_was_hit():
    depth = np.array([[[0.0], [1.0], [4.0], [np.inf]]], np.float32)
    (image,), far = color_depth([depth])
    assert far == pytest.approx(4.0, rel=0.02)
    assert image[0, 0].tolist() == image[0, 3].tolist() == [128, 128, 128]
    assert image[0, 1].sum() > image[0, 2].sum() + 200


def test_plans_are_exact_where_that_is_cheap_and_small_where_not():
    flat = np.full((100, 100, 3), 200, np.uint8)
    kind, content = decode(image_uri(flat))
    assert kind == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(content))) == flat).all()
    noisy = np.random.default_rng(0).integers(150, 200, (100, 100, 3), np.uint8)
    assert decode(image_uri(noisy))[0] == "image/jpeg"


def test_sound_keeps_its_ears_apart_and_says_its_gain():
    import soundfile

    audio = np.zeros((2, RATE), np.float32)
    audio[0] = 0.007 * np.sin(np.arange(RATE) * 0.3)
    uri, gain = audio_uri(audio, RATE)
    kind, content = decode(uri)
    samples, rate = soundfile.read(io.BytesIO(content))
    assert (kind, rate, samples.shape) == ("audio/mpeg", RATE, (RATE, 2))
    assert gain == pytest.approx(40.0, abs=0.01)
    energy = (samples**2).sum(0)
    # LAME scales what it is given by 0.95, both ears alike.
    assert energy[0] / RATE == pytest.approx((0.95 * 0.7) ** 2 / 2, rel=0.03)
    assert energy[1] < 1e-6 * energy[0]
    assert audio_uri(np.zeros((2, 500), np.float32), RATE)[1] == 0.0


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 10.0, [0.0, 5.0, 10.0]),
        (41.0, 59.0, [40.0, 50.0, 60.0]),
        (0.0, 0.9, [0.0, 0.5, 1.0]),
        (-3.0, 2.0, [-4.0, -2.0, 0.0, 2.0]),
    ],
)
def test_ticks_are_round_and_enclose(low, high, expected):
    assert ticks(low, high, 3) == pytest.approx(expected)


@pytest.mark.parametrize("value", [0.0, 55.0, -1e-9, 1e9])
def test_ticks_of_a_single_value_are_still_two(value):
    marks = ticks(value, value, 3)
    assert len(marks) >= 2
    assert marks[0] <= value + 1e-5 * max(1.0, abs(value))
    assert marks[-1] >= value - 1e-5 * max(1.0, abs(value))


def test_lines_rest_on_the_floor_in_silence_and_break_where_there_is_no_way():
    x = np.arange(4.0)
    silent = line_chart("Level", "dB", x, [Line(label="left", style="left", values=np.array([50, -np.inf, 60, 60.0]))])
    path = re.search(r'class="line left" d="([^"]+)"', silent)[1]
    assert path == "M0.0 100.00L333.3 100.00L666.7 0.00L1000.0 0.00"
    lost = line_chart("Way", "m", x, [Line(label="", style="distance", values=np.array([4.0, np.inf, 2.0, 0.0]))])
    assert re.search(r'class="line distance" d="([^"]+)"', lost)[1].count("M") == 2


def test_dots_and_bars_stand_where_their_values_are():
    dots = dot_chart("t", "x", "y", np.array([[5.0, 10.0], [10.0, 0.0]]), [True, False], 10.0)
    assert '<path class="dot" d="M50.00 0.00h0"/>' in dots
    assert '<path class="ring" d="M100.00 100.00h0"/>' in dots
    bars = histogram("Episodes", "SPL", np.array([0.0, 0.05, 1.0, 0.55]))
    heights = [float(h) for h in re.findall(r'height="([\d.]+)"', bars)]
    assert heights == [100.0, 0, 0, 0, 0, 50.0, 0, 0, 0, 50.0]
    assert "2 in 0.0–0.1, 1 in 0.5–0.6, 1 in 0.9–1.0" in bars


def test_measures_have_names_and_values_for_people():
    assert measure_label("soft_spl") == "Soft SPL"
    assert measure_label("time_heard") == "Time heard"
    assert measure_text("success", 1.0) == "yes"
    assert measure_text("spl", 1.0) == "1.00"
    assert measure_text("steps", 12.0) == "12"
    assert measure_text("reward", -0.514) == "−0.51"
