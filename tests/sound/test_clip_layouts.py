import json
import pickle

import numpy as np
import pytest
import soundfile

from harken.errors import ConfigurationError, HarkenWarning, SoundError
from harken.sound import ClipLibrary
from harken.sound.clip_layouts import ClipReading, aaviss, esc50, librispeech, music, voxceleb
from harken.sound.level import active_rms


def tone(rate=16000, seconds=0.25, frequency=440.0, gain=0.5):
    return gain * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def put(path, samples=None, rate=16000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, tone(rate) if samples is None else samples, rate, **options)


def put_m4a(path, seconds=1.0, rate=44100):
    """Write a stereo film sound track: left a tone of 440 Hz, right the same at half the level."""
    import av

    path.parent.mkdir(parents=True, exist_ok=True)
    left = tone(rate, seconds).astype(np.float32)
    with av.open(str(path), "w", format="mp4") as container:
        track = container.add_stream("aac", rate=rate, layout="stereo", bit_rate=192000)
        frame = av.AudioFrame.from_ndarray(np.stack([left, 0.5 * left]), format="fltp", layout="stereo")
        frame.sample_rate = rate
        for packet in [*track.encode(frame), *track.encode(None)]:
            container.mux(packet)


def splits(library):
    return {name: library.entry(name).split for name in library}


# VoxCeleb


@pytest.fixture
def vox1(tmp_path):
    for speaker in ("id10001", "id10002", "id10003", "id10270", "id10309"):
        for video in ("1zcIwhmdeo4", "7gWzIy6yIIk"):
            put(tmp_path / "wav" / speaker / video / "00001.wav")
    return tmp_path


def test_voxceleb_has_a_category_for_each_speaker_and_its_published_test_speakers(vox1):
    library = voxceleb(vox1)
    assert library.categories == ("id10001", "id10002", "id10003", "id10270", "id10309")
    assert "id10001/1zcIwhmdeo4/00001" in library
    held = {split: {library.entry(n).category for n in library.names(split)} for split in ("train", "val", "test")}
    assert held["test"] == {"id10270", "id10309"}
    assert (len(held["train"]), len(held["val"])) == (2, 1)
    assert set.union(*held.values()) == set(library.categories)


def test_voxceleb_speakers_of_val_depend_on_their_names_alone(vox1):
    before = {voxceleb(vox1).entry(name).category for name in voxceleb(vox1).names("val")}
    for speaker in ("id10001", "id10002", "id10003"):
        put(vox1 / "wav" / speaker / "zzz" / "00009.wav")
    assert {voxceleb(vox1).entry(name).category for name in voxceleb(vox1).names("val")} == before
    assert voxceleb(vox1, val_share=0.0).splits == ("train", "test")


def test_voxceleb_tables_decide_over_the_rule(vox1):
    lines = ["VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"]
    lines += [f"{s}\tA.J._B\tm\tCongo, D.R.\t{'test' if s == 'id10002' else 'dev'}" for s in ("id10001", "id10002")]
    (vox1 / "vox1_meta.csv").write_text("\n".join(lines))
    assert {name.split("/")[0] for name in voxceleb(vox1).names("test")} == {"id10002", "id10270", "id10309"}
    (vox1 / "vox1_meta.csv").write_text("VoxCeleb1 ID,Gender\nid10001,m\n")
    with pytest.raises(SoundError, match="has the columns VoxCeleb1 ID, Gender; expected VoxCeleb1 ID, Set"):
        voxceleb(vox1)
    (vox1 / "vox1_meta.csv").write_text("VoxCeleb1 ID,Set\nid10001,train\n")
    with pytest.raises(SoundError, match="in set 'train'; expected dev or test"):
        voxceleb(vox1)


def test_voxceleb_2_comes_as_m4a_in_folders_of_its_sets(tmp_path):
    put_m4a(tmp_path / "dev" / "aac" / "id00012" / "21Uxsk56VDQ" / "00001.m4a")
    put_m4a(tmp_path / "vox2_test_aac" / "id00017" / "5MkXgwdrmJw" / "00001.m4a")
    library = voxceleb(tmp_path, reading=ClipReading(level=None))
    assert splits(library) == {"id00012/21Uxsk56VDQ/00001": "train", "id00017/5MkXgwdrmJw/00001": "test"}
    clip = library.clip("id00012/21Uxsk56VDQ/00001")
    assert clip.rate == 16000
    assert clip.duration == pytest.approx(1.0, abs=0.1)  # AAC pads to whole frames
    middle = clip.samples[4000:12000]
    # The mean of the two channels, 0.75 of the louder; AAC at 192 kbit/s keeps a tone within a percent or so.
    assert np.sqrt(2 * np.mean(np.square(middle))) == pytest.approx(0.5 * 0.75, rel=0.02)
    assert np.abs(np.fft.rfft(middle)).argmax() * 2 == 440


def test_voxceleb_2_without_sets_is_refused(tmp_path):
    put(tmp_path / "wav" / "id00012" / "21Uxsk56VDQ" / "00001.wav")
    with pytest.raises(SoundError, match=r"nothing says which set speaker id00012.*expected vox2_meta.csv"):
        voxceleb(tmp_path)


def test_a_voxceleb_speaker_in_both_sets_is_refused(tmp_path):
    put(tmp_path / "dev" / "id00012" / "a" / "00001.wav")
    put(tmp_path / "test" / "id00012" / "b" / "00001.wav")
    with pytest.raises(SoundError, match="id00012 is in both the test and the dev folder"):
        voxceleb(tmp_path)


# MUSIC


@pytest.fixture
def performances(tmp_path):
    videos = {"flute": ["f1", "f2", "f3", "f4"], "acoustic_guitar": ["g1", "g2", "g3"]}
    (tmp_path / "MUSIC_solo_videos.json").write_text(json.dumps({"version": 1.0, "videos": videos}))
    (tmp_path / "MUSIC_duet_videos.json").write_text(json.dumps({"videos": {"flute violin": ["d1", "d2", "d3"]}}))
    for instrument, names in videos.items():
        for name in names:
            put(tmp_path / "audio" / instrument / f"{name}.wav")
    for name in ("d1", "d2", "d3"):
        put(tmp_path / "audio" / "flute violin" / f"{name}.wav")
    put(tmp_path / "audio" / "flute" / "unlisted.wav")
    return tmp_path


def test_music_holds_out_the_first_videos_of_each_list(performances):
    library = music(performances)
    assert splits(library) == {
        "flute/f1": "val",
        "flute/f2": "test",
        "flute/f3": "train",
        "flute/f4": "train",
        "acoustic_guitar/g1": "val",
        "acoustic_guitar/g2": "test",
        "acoustic_guitar/g3": "train",
    }
    assert library.categories == ("acoustic_guitar", "flute")
    assert music(performances, held_out=0).splits == ("train",)
    assert music(performances, duets=True).names(category="flute violin") == tuple(f"flute violin/d{k}" for k in "123")


def test_music_counts_the_videos_that_are_gone(performances):
    (performances / "audio" / "flute" / "f1.wav").unlink()
    with pytest.warns(HarkenWarning, match="1 of 7 listed videos are not there; the library has the other 6"):
        library = music(performances)
    assert library.names("val", "flute") == ("flute/f2",)


def test_music_reads_the_sound_of_films_and_lists_that_lie_elsewhere(tmp_path):
    put_m4a(tmp_path / "videos" / "tuba" / "-LXQIDdK.mp4")
    (tmp_path / "my_list.json").write_text(json.dumps({"videos": {"tuba": ["-LXQIDdK"]}}))
    library = music(tmp_path / "videos", lists=[tmp_path / "my_list.json"])
    assert library.clip("tuba/-LXQIDdK").duration == pytest.approx(1.0, abs=0.1)


def test_music_without_lists_or_with_others_is_refused(performances):
    (performances / "MUSIC_solo_videos.json").write_text('["flute"]')
    with pytest.raises(SoundError, match="is not a list of MUSIC"):
        music(performances)
    (performances / "MUSIC_solo_videos.json").write_text('{"videos": {"erhu": ["e1"]}}')
    with pytest.raises(SoundError, match=r"holds 11 recordings \(11 .wav\).*expected <instrument>/<video>.*erhu"):
        music(performances)
    (performances / "MUSIC_solo_videos.json").unlink()
    with pytest.raises(SoundError, match=r"No MUSIC_solo_videos.json"):
        music(performances)


# ESC-50


@pytest.fixture
def environment(tmp_path):
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for fold in range(1, 6):
        for target, category in ((0, "dog"), (10, "rain")):
            rows.append(f"{fold}-100-A-{target}.wav,{fold},{target},{category},True,100,A")
            put(tmp_path / "ESC-50-master" / "audio" / f"{fold}-100-A-{target}.wav", rate=44100)
    (tmp_path / "ESC-50-master" / "meta").mkdir()
    (tmp_path / "ESC-50-master" / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_esc50_is_divided_by_its_folds(environment):
    library = esc50(environment)
    assert splits(library)["4-100-A-0"] == "val"
    assert library.names("test") == ("5-100-A-0", "5-100-A-10")
    assert library.names("train", "dog") == ("1-100-A-0", "2-100-A-0", "3-100-A-0")
    assert esc50(environment / "ESC-50-master", val_fold=None, test_fold=1).names("test") == ("1-100-A-0", "1-100-A-10")


def test_esc50_with_a_wrong_table_is_refused(environment):
    table = environment / "ESC-50-master" / "meta" / "esc50.csv"
    good = table.read_text()
    for text, message in (
        (good.replace("fold", "part"), "columns filename, part, .*expected filename, fold, category"),
        (good.replace("1-100-A-0.wav,1", "1-100-A-0.wav,6"), "is in fold '6'"),
        (good + "9-9-A-9.wav,1,9,dog,True,9,A\n", r"1 of 11 files of meta/esc50.csv are not in audio/ \(9-9-A-9.wav\)"),
        (good + "9-9-A-9.wav,1\n", r"a line of 2 cells \(9-9-A-9.wav, 1\); expected 7"),
    ):
        table.write_text(text)
        with pytest.raises(SoundError, match=message):
            esc50(environment)


# LibriSpeech


@pytest.fixture
def books(tmp_path):
    for subset, speaker in (("train-clean-100", 103), ("train-other-500", 20), ("dev-clean", 84), ("test-other", 367)):
        put(tmp_path / "LibriSpeech" / subset / str(speaker) / "1240" / f"{speaker}-1240-0000.flac")
    (tmp_path / "LibriSpeech" / "SPEAKERS.TXT").write_text(
        "; Some of the speakers\n;ID  |SEX| SUBSET           |MINUTES| NAME\n"
        "103  | F | train-clean-100  | 20.13 | Karen Savage\n20   | F | train-other-500  | 30.07 | A B\n"
        "84   | F | dev-clean        |  8.02 | Christie Nowak\n367  | F | test-other       |  8.0  | C D\n"
    )
    return tmp_path


def test_librispeech_is_divided_by_its_subsets(books):
    library = librispeech(books)
    assert splits(library) == {
        "103-1240-0000": "train",
        "20-1240-0000": "train",
        "84-1240-0000": "val",
        "367-1240-0000": "test",
    }
    assert library.categories == ("103", "20", "367", "84")
    assert list(librispeech(books / "LibriSpeech")) == list(library)


def test_librispeech_speakers_have_to_be_where_the_table_says(books):
    table = books / "LibriSpeech" / "SPEAKERS.TXT"
    good = table.read_text()
    table.write_text(good.replace("dev-clean  ", "test-clean "))
    with pytest.raises(SoundError, match=r"speaker 84 is in dev-clean, but SPEAKERS.TXT has test-clean"):
        librispeech(books)
    table.write_text("; nothing\n")
    with pytest.raises(SoundError, match="names no speaker"):
        librispeech(books)
    table.unlink()
    put(books / "LibriSpeech" / "test-clean" / "84" / "1" / "84-1-0000.flac")
    with pytest.raises(SoundError, match="speaker 84 is in dev-clean and in test-clean; expected disjoint"):
        librispeech(books)


# Move2Hear


def test_sounds_of_move2hear_are_read_by_class_and_folder(tmp_path):
    for folder in ("train_preprocessed", "val_preprocessed", "testUnheard_preprocessed"):
        for name in ("id10393_a_1", "music_flute_3", "esc_rain"):
            put(tmp_path / folder / f"{name}.wav")
    library = aaviss(tmp_path)
    assert library.categories == ("esc", "id10393", "music")
    assert library.names("test", "music") == ("testUnheard_preprocessed/music_flute_3",)
    assert len(library.names("train")) == len(library.names("val")) == 3
    put(tmp_path / "notes" / "a_b.wav")
    with pytest.raises(SoundError, match=r"such as notes/a_b.wav.*expected train_preprocessed/<class>"):
        aaviss(tmp_path)


# What all have in common


@pytest.mark.parametrize("read", [voxceleb, music, esc50, librispeech, aaviss])
def test_other_folders_are_refused_with_what_was_found_and_expected(tmp_path, read):
    with pytest.raises(SoundError, match="not there"):
        read(tmp_path / "nowhere")
    with pytest.raises(SoundError, match=r"holds no recording.*nothing; expected.*ClipLibrary.folder"):
        read(tmp_path)
    (tmp_path / "MUSIC_solo_videos.json").write_text('{"videos": {"flute": ["f1"]}}')
    put(tmp_path / "some" / "sound.wav")
    with pytest.raises(SoundError, match=r"holds 1 recordings \(1 .wav\), such as some/sound.wav; expected"):
        read(tmp_path)
    with pytest.raises(SoundError, match="it is a file"):
        read(tmp_path / "some" / "sound.wav")


def test_clips_come_at_the_rate_and_level_asked_for(environment):
    clip = esc50(environment, 8000).clip("1-100-A-0")
    assert (clip.rate, len(clip.samples)) == (8000, 2000)
    assert active_rms(clip.samples, 8000) == pytest.approx(0.1, rel=1e-5)
    kept = esc50(environment, reading=ClipReading(level=None)).clip("1-100-A-0")
    assert np.abs(kept.samples).max() == pytest.approx(0.5, abs=0.01)


def test_libraries_of_several_data_sets_become_one(vox1, environment, books):
    voices, noises = librispeech(books), esc50(environment, reading=ClipReading(category="background"))
    library = ClipLibrary.joined(voices, noises, ClipLibrary.speech_and_music())
    assert {"103", "background", "violin"} < set(library.categories)
    assert library.clip("5-100-A-0").category == "background"
    assert len(library) == len(voices) + len(noises) + len(ClipLibrary.speech_and_music())
    with pytest.raises(SoundError, match="same sample rate, got 8000 Hz, 16000 Hz"):
        ClipLibrary.joined(voices, voxceleb(vox1, 8000))
    with pytest.raises(SoundError, match="got no library"):
        ClipLibrary.joined()
    with pytest.raises(SoundError, match="more than one is called"):
        ClipLibrary.joined(voices, voices)


def test_a_library_of_a_data_set_can_be_sent_to_another_process(books):
    library = librispeech(books)
    copy = pickle.loads(pickle.dumps(library))
    assert copy.clip("84-1240-0000").samples.tobytes() == library.clip("84-1240-0000").samples.tobytes()


def test_linked_folders_are_followed_and_links_that_lead_back_are_not(books, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "train-clean-100").symlink_to(books / "LibriSpeech" / "train-clean-100")
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "elsewhere")
    assert list(librispeech(tmp_path / "elsewhere")) == ["103-1240-0000"]


SPOILT = {
    "empty": (lambda path: path.write_bytes(b""), r"empty \(0 bytes\)"),
    "no sound": (lambda path: path.write_bytes(b"not a sound " * 50), "cannot be read as audio"),
    "too short": (lambda path: put(path, tone(seconds=0.04)), "lasts 40 ms"),
}
SPOILT_INSIDE = {
    "silent": (lambda path: put(path, np.zeros(8000)), "silent"),
    "NaN": (lambda path: put(path, np.full(8000, np.nan), subtype="FLOAT"), "8000 of 8000 samples are NaN"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_what_cannot_be_opened_is_found_at_once_or_left_out_on_request(vox1, case):
    make, message = SPOILT[case]
    make(vox1 / "wav" / "id10001" / "1zcIwhmdeo4" / "00001.wav")
    with pytest.raises(SoundError, match=rf"1 of 10 recordings cannot be used.*{message}"):
        voxceleb(vox1)
    with pytest.warns(HarkenWarning, match=rf"1 of 10 recordings cannot be used and are left out.*{message}"):
        assert len(voxceleb(vox1, reading=ClipReading(unusable="leave out"))) == 9
    library = voxceleb(vox1, reading=ClipReading(check=False))
    with pytest.raises(SoundError, match=message):
        library.clip("id10001/1zcIwhmdeo4/00001")


@pytest.mark.parametrize("case", SPOILT_INSIDE)
def test_samples_are_checked_when_a_clip_is_asked_for(vox1, case):
    make, message = SPOILT_INSIDE[case]
    make(vox1 / "wav" / "id10001" / "1zcIwhmdeo4" / "00001.wav")
    with pytest.raises(SoundError, match=message):
        voxceleb(vox1).clip("id10001/1zcIwhmdeo4/00001")


def test_nothing_usable_is_an_error_even_where_it_may_be_left_out(tmp_path):
    (tmp_path / "id10001" / "a").mkdir(parents=True)
    (tmp_path / "id10001" / "a" / "1.wav").write_bytes(b"")
    with pytest.raises(SoundError, match="1 of 1 recordings cannot be used"):
        voxceleb(tmp_path, reading=ClipReading(unusable="leave out"))


@pytest.mark.parametrize(
    ("damage", "message"), [("cut off", "cannot be read|corrupt|cut off"), ("no track", "no sound track")]
)
def test_damaged_films_are_refused(tmp_path, damage, message):
    import av

    path = tmp_path / "id10001" / "a" / "1.m4a"
    put_m4a(path)
    if damage == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    else:
        with av.open(str(path), "w", format="mp4") as container:
            track = container.add_stream("mpeg4", rate=10)
            track.width = track.height = 32
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
            for packet in [*track.encode(frame), *track.encode(None)]:
                container.mux(packet)
    with pytest.raises(SoundError, match=message):
        voxceleb(tmp_path)


@pytest.mark.parametrize(
    "call",
    [
        lambda: ClipReading(level=0.0),
        lambda: ClipReading(level=float("nan")),
        lambda: ClipReading(unusable="ignore"),
        lambda: ClipReading(check=False, unusable="leave out"),
        lambda: voxceleb(".", val_share=1.0),
        lambda: music(".", held_out=-1),
        lambda: esc50(".", test_fold=6),
        lambda: esc50(".", val_fold=5),
    ],
)
def test_settings_out_of_range_are_refused(call):
    with pytest.raises(ConfigurationError, match=r"expected|cannot be both|only be left out|Known: refuse, leave out"):
        call()
