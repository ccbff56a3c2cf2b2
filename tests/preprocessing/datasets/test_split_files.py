"""The split files of the two public protocols. The lines are real ones of both."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.datasets import KineticsSounds, Listing
from preprocessing.datasets.class_lists import all_classes, load_class_list
from preprocessing.datasets.entries import Entry
from preprocessing.datasets.split_files import read_split_files

# Videos that both protocols list: in the test list of Tian and Xu, and in the training list of CRMT.
BOTH = {
    "-JkLDzQPtYI": ("playing_bass_guitar", "-JkLDzQPtYI_000053_000063 9"),
    "-bdoDGMmaAw": ("playing_saxophone", "-bdoDGMmaAw_000000_000010 17"),
    "-K3W2m46ezw": ("shoveling_snow", "-K3W2m46ezw_000001_000011 23"),
    "-tuKSaADF3c": ("ripping_paper", "-tuKSaADF3c_000022_000032 22"),
    "-uWc-xNt-1I": ("shoveling_snow", "-uWc-xNt-1I_000004_000014 23"),
    "0fTclAz3oj4": ("tap_dancing", "0fTclAz3oj4_000097_000107 27"),
}
TIAN_TRAIN = (
    "/singing/PTCyxWbuGPk.wav,/singing/PTCyxWbuGPk.mp4,82\n/laughing/-8WbpENsRrg.wav,/laughing/-8WbpENsRrg.mp4,51\n"
)
TIAN_TEST = "".join(f"/{name}/{key}.wav,/{name}/{key}.mp4,82\n" for key, (name, _) in BOTH.items())
CRMT_TRAIN = "".join(f"{line}\n" for _, line in BOTH.values())
CRMT_TEST = "--7VUM9MKg4 17\n--PwWfN1Ae4 20\n-_pn5NxJmok 27\n-1RpglW_MLA 1\n"


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """A folder with lists of both protocols."""
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "train_kinetics.csv").write_text(TIAN_TRAIN)
    (folder / "val_kinetics.csv").write_text("/tickling/QdHToKjOIlw.wav,/tickling/QdHToKjOIlw.mp4,82\n")
    (folder / "test_kinetics.csv").write_text(TIAN_TEST)
    (folder / "ks_train_overlap.txt").write_text(CRMT_TRAIN)
    (folder / "ks_test_overlap.txt").write_text(CRMT_TEST)
    return folder


def read(*paths: Path) -> list[Entry]:
    known = all_classes(KineticsSounds.class_lists)
    return read_split_files(paths, known=known, numbered=load_class_list("ks31"))


def videos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def listing(root: Path, *split_files: Path, **changes: object) -> Listing:
    return KineticsSounds.model_validate({"root": root, "split_files": split_files} | changes).listing()


def told(found: Listing) -> dict[str, tuple[str, int, str]]:
    return {video.key: (video.split, video.label, video.class_name) for video in found.videos}


def test_lists_of_tian_and_xu_name_classes_and_ids(lists: Path) -> None:
    entries = read(lists / "train_kinetics.csv", lists / "val_kinetics.csv")
    assert entries == [
        Entry("PTCyxWbuGPk", None, "singing", "train", "'train_kinetics.csv' line 1"),
        Entry("-8WbpENsRrg", None, "laughing", "train", "'train_kinetics.csv' line 2"),
        Entry("QdHToKjOIlw", None, "tickling", "validation", "'val_kinetics.csv' line 1"),
    ]


def test_lists_of_crmt_number_classes_in_the_order_of_ks31(lists: Path) -> None:
    assert read(lists / "ks_train_overlap.txt")[0] == Entry(
        "-JkLDzQPtYI", (53, 63), "playing bass guitar", "train", "'ks_train_overlap.txt' line 1"
    )
    assert [(each.key, each.class_name, each.split) for each in read(lists / "ks_test_overlap.txt")] == [
        ("--7VUM9MKg4", "playing saxophone", "test"),
        ("--PwWfN1Ae4", "playing violin", "test"),
        ("-_pn5NxJmok", "tap dancing", "test"),
        ("-1RpglW_MLA", "blowing out candles", "test"),
    ]


def test_both_protocols_give_a_video_the_same_class(lists: Path) -> None:
    """One names it, the other numbers it: this checks the order of ks31 on real lines."""
    tian, crmt = (read(lists / name) for name in ("test_kinetics.csv", "ks_train_overlap.txt"))
    assert [(each.youtube_id, each.class_name) for each in tian] == [
        (each.youtube_id, each.class_name) for each in crmt
    ]


def test_a_format_is_told_by_its_content_not_its_name(lists: Path) -> None:
    other = (lists / "ks_test_overlap.txt").rename(lists / "test.csv")
    assert len(read(other)) == 4
    (lists / "my_train.list").write_bytes(b"\xef\xbb\xbf" + TIAN_TRAIN.replace("\n", "\r\n").encode())
    assert len(read(lists / "my_train.list")) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abcdefghijk;3\n", r"'.*train\.txt': expected lines '/class_name/.*' or '<id>_.*', got 'abcdefghijk;3'"),
        ("", r"'.*train\.txt': expected lines .*, got ''"),
        (CRMT_TEST + "--RVKBMp_2M\n", r"'train\.txt' line 5: expected '<id>_.*, got '--RVKBMp_2M'"),
        (CRMT_TEST + TIAN_TRAIN, r"'train\.txt' line 5: expected '<id>_.*, got '/singing/.*\n  .*line 6: expected"),
        (TIAN_TRAIN + CRMT_TEST, r"'train\.txt' line 3: expected '/class_name/.*, got '--7VUM9MKg4 17'"),
        (TIAN_TRAIN + "/singing/abcdefghijk.wav,/singing/abcdefghijk.mp4\n", r"line 3: expected '/class_name"),
        ("/singing/abcdefghijk.wav,/laughing/abcdefghijk.mp4,8\n", "line 1: sound and video are of different clips"),
        ("/singing/abcdefghijk.wav,/singing/Abcdefghijk.mp4,8\n", "line 1: sound and video are of different clips"),
        ("/signing/abcdefghijk.wav,/signing/abcdefghijk.mp4,8\n", "line 1: unknown class 'signing', .* is 'singing';"),
        ("abcdefghijk 31\n", "line 1: label 31; allowed: 0 to 30"),
        ("abcdefghijk_000020_000010 3\n", "line 1: expected '<id>_"),
        ("too_short 3\n", "line 1: expected '<id>_.*, got 'too_short 3'"),
        (CRMT_TEST + "--PwWfN1Ae4 20\n", "line 5: '--PwWfN1Ae4' is listed again, first in line 2"),
    ],
)
def test_a_broken_line_is_named_with_its_number(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(text)
    with pytest.raises(ValueError, match=f"dataset.split_files cannot be used:\n  .*{message}"):
        read(tmp_path / "train.txt")


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(CRMT_TEST + "wrong\n" * 20)
    (tmp_path / "val.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "all.txt").write_text(CRMT_TEST)
    with pytest.raises(ValueError, match="cannot be used") as error:
        read(*(tmp_path / name for name in ("all.txt", "val.txt", "test.txt", "train.txt")))
    lines = str(error.value).splitlines()[1:]
    assert lines[0].endswith("all.txt': its name must tell one split: train, val or test")
    assert "val.txt' begins like a text in UTF-16, and is none" in lines[1]
    assert lines[2].endswith("test.txt' does not exist")
    assert len(lines) == 11
    assert lines[-1] == "  ... and 13 more"


def test_lists_decide_clips_classes_and_splits(lists: Path, tmp_path: Path) -> None:
    """Folders and annotations say another split, and hold a clip that no list names: it is counted, not used."""
    root = videos(
        tmp_path / "videos",
        "val/singing/PTCyxWbuGPk_000001_000011.mp4",
        "laughing/-8WbpENsRrg.mkv",
        "tickling/QdHToKjOIlw_000002_000012.mp4",
        "train/singing/unlisted____000000_000010.mp4",
    )
    found = listing(root, lists / "train_kinetics.csv", lists / "val_kinetics.csv", classes="ks27")
    assert told(found) == {
        "PTCyxWbuGPk_000001_000011": ("train", 2, "singing"),
        "-8WbpENsRrg": ("train", 0, "laughing"),
        "QdHToKjOIlw_000002_000012": ("validation", 12, "tickling"),
    }
    assert (found.accounting.num_left_out("not_chosen"), found.rejected) == (1, ())


def test_listed_clips_without_a_file_stay_in_the_listing(lists: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "videos", "-JkLDzQPtYI_000053_000063.mp4", "--PwWfN1Ae4_000004_000014.mp4")
    found = listing(root, lists / "ks_train_overlap.txt", lists / "ks_test_overlap.txt", validation_share=0)
    assert len(found.videos) == 10
    sources = {video.key: video.source.as_posix() for video in found.videos}
    assert sources["-JkLDzQPtYI_000053_000063"] == "-JkLDzQPtYI_000053_000063.mp4"
    assert sources["--PwWfN1Ae4_000004_000014"] == "--PwWfN1Ae4_000004_000014.mp4"
    assert sources["-tuKSaADF3c_000022_000032"] == "train/-tuKSaADF3c_000022_000032.mp4"
    assert sources["-1RpglW_MLA"] == "test/-1RpglW_MLA.mp4"


def test_without_a_validation_list_a_stable_share_of_the_training_list_is_taken(tmp_path: Path) -> None:
    """The test list stays whole, and a longer training list moves no clip."""
    ids = [f"{index:04d}-------" for index in range(400)]
    (tmp_path / "train.txt").write_text("".join(f"{each}_000000_000010 25\n" for each in ids[:300]))
    (tmp_path / "test.txt").write_text("".join(f"{each} 25\n" for each in ids[300:]))
    root = videos(tmp_path / "videos", *(f"{each}_000000_000010.mp4" for each in ids))
    found = listing(root, tmp_path / "train.txt", tmp_path / "test.txt")
    splits = {key: split for key, (split, _, _) in told(found).items()}
    chosen = {key for key, split in splits.items() if split == "validation"}
    assert 15 <= len(chosen) <= 50
    assert {key[:11] for key, split in splits.items() if split == "test"} == set(ids[300:])
    (tmp_path / "train.txt").write_text("".join(f"{each}_000000_000010 25\n" for each in ids[:200]))
    shorter = told(listing(root, tmp_path / "train.txt", tmp_path / "test.txt"))
    assert {key for key, (split, _, _) in shorter.items() if split == "validation"} == chosen & shorter.keys()


def test_one_protocols_test_list_with_the_others_training_list_is_a_leak(lists: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "videos", "-JkLDzQPtYI_000053_000063.mp4")
    with pytest.raises(
        ValueError, match=r"6 YouTube videos lie in several splits.* give those of one protocol"
    ) as error:
        listing(root, lists / "ks_train_overlap.txt", lists / "test_kinetics.csv")
    assert "'-JkLDzQPtYI': train ('ks_train_overlap.txt' line 1), test ('test_kinetics.csv' line 1)" in str(error.value)


def test_a_video_in_two_lists_of_one_protocol_is_a_leak(lists: Path, tmp_path: Path) -> None:
    (lists / "val_kinetics.csv").write_text(TIAN_TRAIN)
    root = videos(tmp_path / "videos", "PTCyxWbuGPk.mp4")
    with pytest.raises(ValueError, match="2 YouTube videos lie in several splits"):
        listing(root, lists / "train_kinetics.csv", lists / "val_kinetics.csv")


def test_lists_of_both_protocols_without_a_leak_are_merged(lists: Path, tmp_path: Path) -> None:
    """A clip that both train on counts once."""
    train = (lists / "test_kinetics.csv").rename(lists / "more_train.csv")
    root = videos(tmp_path / "videos", *(f"{line.split()[0]}.mp4" for _, line in BOTH.values()))
    found = listing(root, train, lists / "ks_train_overlap.txt", lists / "ks_test_overlap.txt", validation_share=0)
    assert sorted(told(found).values())[-6:] == [("train", *each) for each in sorted(map(labelled, BOTH.values()))]
    assert len(found.videos) == 10
    lists_in_another_order = (lists / "ks_test_overlap.txt", lists / "ks_train_overlap.txt", train)
    assert listing(root, *lists_in_another_order, validation_share=0) == found


def labelled(listed: tuple[str, str]) -> tuple[int, str]:
    """Label and class of a video in `BOTH`."""
    class_name, line = listed
    return int(line.split()[1]), class_name.replace("_", " ")


@pytest.mark.parametrize("layout", ["folders", "annotations"])
def test_a_class_that_disagrees_with_folder_or_annotation_is_an_error(layout: str, lists: Path, tmp_path: Path) -> None:
    """As it would with numbers in another order than that of ks31."""
    stem = "-JkLDzQPtYI_000053_000063"
    root = videos(tmp_path / "videos", f"laughing/{stem}.mp4" if layout == "folders" else f"{stem}.mp4")
    if layout == "annotations":
        (root / "all.csv").write_text("label,youtube_id,time_start,time_end\nlaughing,-JkLDzQPtYI,53,63\n")
    place = {"folders": rf"'laughing/{stem}\.mp4'", "annotations": r"'all\.csv' line 2"}[layout]
    message = (
        r"1 clips have another class there .* order of 'ks31'.*"
        rf"'{stem}': 'playing bass guitar' \('ks_train_overlap\.txt' line 1\), 'laughing' \({place}\)"
    )
    with pytest.raises(ValueError, match=f"(?s){message}"):
        listing(root, lists / "ks_train_overlap.txt")


def test_listed_clips_of_other_classes_are_left_out(lists: Path, tmp_path: Path) -> None:
    root = videos(tmp_path / "videos", *(f"{line.split()[0]}.mp4" for _, line in BOTH.values()))
    found = listing(root, lists / "ks_train_overlap.txt", classes=["tap dancing", "shoveling snow"], validation_share=0)
    assert sorted(told(found).values()) == [
        ("train", 0, "tap dancing"),
        ("train", 1, "shoveling snow"),
        ("train", 1, "shoveling snow"),
    ]
    assert found.accounting.num_left_out("not_chosen") == 3
