"""Dialects of annotation files: each gives the same clips and says how it was read, or an error that names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from preprocessing.datasets import KineticsSounds, Listing
from preprocessing.datasets.tables import bare, named, read_text

HEADER = "label,youtube_id,time_start,time_end,split"
ONE, TWO = "playing piano,aaaaaaaaaaa,1,11,train", "singing,bbbbbbbbbbb,20,30,test"
PLAIN = f"{HEADER}\n{ONE}\n{TWO}\n"
EXPECTED = {
    ("aaaaaaaaaaa_000001_000011", "playing piano", "train"),
    ("bbbbbbbbbbb_000020_000030", "singing", "test"),
}


def semicolons(text: str) -> str:
    return text.replace(",", ";")


def reordered(line: str) -> str:
    label, youtube_id, start, end, split = line.split(",")
    return ",".join([split, end, start, "x", youtube_id, label])


READ: dict[str, tuple[str | bytes, str]] = {
    "plain": (PLAIN, "CSV with ',', UTF-8"),
    "semicolon": (semicolons(PLAIN), "CSV with ';', UTF-8"),
    "tab": (PLAIN.replace(",", "\t"), "TSV, UTF-8"),
    "bar": (PLAIN.replace(",", "|"), "CSV with '|', UTF-8"),
    "space after commas": (PLAIN.replace(",", ", "), "CSV with ',', UTF-8"),
    "space around commas": (PLAIN.replace(",", " , "), "CSV with ',', UTF-8"),
    "spaces before lines": (PLAIN.replace("\n", "\n  "), "CSV with ',', UTF-8"),
    "header in capitals": (PLAIN.replace(HEADER, HEADER.upper()), "CSV with ',', UTF-8"),
    "header in words": (PLAIN.replace(HEADER, "Label,YouTube ID,Time Start,Time End,Split"), "CSV with ',', UTF-8"),
    "id": (PLAIN.replace("youtube_id", "id"), "CSV with ',', UTF-8"),
    "video_id": (PLAIN.replace("youtube_id", "video_id"), "CSV with ',', UTF-8"),
    "public names with dashes": (
        PLAIN.replace(HEADER, "label-name,video-id,start-time,end-time,split"),
        "CSV with ',', UTF-8",
    ),
    "start and end": (PLAIN.replace("time_start", "start").replace("time_end", "end"), "CSV with ',', UTF-8"),
    "seconds": (PLAIN.replace("time_start", "start_seconds").replace("time_end", "end_seconds"), "CSV with ',', UTF-8"),
    "class, subset": (PLAIN.replace("label", "class", 1).replace("split", "subset"), "CSV with ',', UTF-8"),
    "other order and columns": (
        "split,time_end,time_start,is_cc,youtube_id,label\n" + reordered(ONE) + "\n" + reordered(TWO) + "\n",
        "CSV with ',', UTF-8",
    ),
    "no header": (f"{ONE}\n{TWO}\n", "CSV with ',', UTF-8, no header"),
    "no header, semicolon": (semicolons(f"{ONE}\n{TWO}\n"), "CSV with ';', UTF-8, no header"),
    "no header, tab": (f"{ONE}\n{TWO}\n".replace(",", "\t"), "TSV, UTF-8, no header"),
    "comment first": (f"# made by hand\n{PLAIN}", "CSV with ',', UTF-8"),
    "comments of quotes": (PLAIN.replace("\n", '\n# "well\n', 1), "CSV with ',', UTF-8"),
    "header in a comment": (f"# {PLAIN}", "CSV with ',', UTF-8"),
    "empty lines": (PLAIN.replace("\n", "\n\n"), "CSV with ',', UTF-8"),
    "empty lines first": (f"\n\n{PLAIN}", "CSV with ',', UTF-8"),
    "Excel's separator line": (f"sep=;\n{semicolons(PLAIN)}", "CSV with ';', UTF-8"),
    "UTF-8 with a mark": (PLAIN.encode("utf-8-sig"), "CSV with ',', UTF-8"),
    "UTF-16": (PLAIN.encode("utf-16"), "CSV with ',', UTF-16"),
    "UTF-16, big end first": (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "CSV with ',', UTF-16"),
    "UTF-16 without a mark": (PLAIN.encode("utf-16-le"), "CSV with ',', UTF-16"),
    "UTF-16, big end first, without a mark": (PLAIN.encode("utf-16-be"), "CSV with ',', UTF-16"),
    "UTF-32": (PLAIN.encode("utf-32"), "CSV with ',', UTF-32"),
    "Latin-1": (f"{PLAIN}caf\u00e9,ccccccccccc,0,10,train\n".encode("latin-1"), "CSV with ',', Latin-1"),
    "lines of Windows": (PLAIN.replace("\n", "\r\n"), "CSV with ',', UTF-8"),
    "lines of old Macs": (PLAIN.replace("\n", "\r"), "CSV with ',', UTF-8"),
    "no last line end": (PLAIN.rstrip(), "CSV with ',', UTF-8"),
    "everything quoted": ('"' + PLAIN.rstrip().replace(",", '","').replace("\n", '"\n"') + '"', "CSV with ',', UTF-8"),
    "single quotes": ("'" + PLAIN.rstrip().replace(",", "','").replace("\n", "'\n'") + "'", "CSV with ',', UTF-8"),
    "commas at the ends": (PLAIN.replace("\n", ",,\n"), "CSV with ',', UTF-8"),
    "decimals": (PLAIN.replace("1,11", "1.0,11.0"), "CSV with ',', UTF-8"),
    "decimal commas": (semicolons(PLAIN).replace("1;11", "1,0;11,0"), "CSV with ';', UTF-8"),
    "labels in other spellings": (PLAIN.replace("playing piano", "Playing_Piano"), "CSV with ',', UTF-8"),
    "splits in other spellings": (PLAIN.replace("test", "TESTING"), "CSV with ',', UTF-8"),
}
REFUSED: dict[str, tuple[str | bytes, str]] = {
    "unclosed quote": (
        PLAIN.replace("playing", '"playing'),
        r"train\.csv' line 2: a quote that is opened .* not closed",
    ),
    "unclosed quote in the last line": (PLAIN.replace("singing", '"singing').rstrip(), r"line 3: .*(quote|expected 5)"),
    "too few cells": (
        PLAIN.replace(",20,30,test", ""),
        r"line 3: expected 5 cells separated by ',' .*got 2: 'singing,bb",
    ),
    "a comma in a label": (PLAIN.replace("playing piano", "playing piano, grand"), r"line 2: expected 5 cells .*got 6"),
    "times in words": (PLAIN.replace("20,30", "soon,late"), r"line 3: times must be numbers of seconds, got"),
    "times without end": (PLAIN.replace("20,30", "20,inf"), r"line 3: times must be numbers of seconds"),
    "end before start": (PLAIN.replace("20,30", "30,20"), r"line 3: a clip must start at 0 s or later and end after"),
    "no YouTube id": (PLAIN.replace("bbbbbbbbbbb", "bbb"), r"line 3: 'bbb' is no YouTube id"),
    "unknown split": (PLAIN.replace(",test\n", ",held-out\n"), r"line 3: split 'held-out'; allowed: train, val, test"),
    "columns missing": (
        "label,youtube_id\nsinging,bbbbbbbbbbb\n",
        r"line 1: expected a header with the columns label, ",
    ),
    "a table of something else": ("who,what\nme,this\n", r"train\.csv' line 1: expected a header .*; got 'who,what'"),
    "spaces for separators": (PLAIN.replace(",", " "), r"line 1: expected a header .*; got 'label youtube_id"),
}


def listing(root: Path, data: str | bytes, name: str) -> Listing:
    for key, _, _ in EXPECTED:
        (root / f"{key}.mp4").touch()
    (root / name).write_bytes(data.encode() if isinstance(data, str) else data)
    return KineticsSounds(root=root, validation_share=0).listing()


@pytest.mark.parametrize("name", READ)
def test_a_dialect_gives_the_same_clips_and_is_told(name: str, tmp_path: Path) -> None:
    data, read_as = READ[name]
    found = listing(tmp_path, data, "all.csv")
    assert {(video.key, video.class_name, video.split) for video in found.videos} == EXPECTED
    (read,) = found.accounting.lists
    assert (read.read_as, read.num_used) == (read_as, 2)
    assert read.num_rows == 2 + (name == "Latin-1")
    assert ("caf\u00e9" in read.reason) == (name == "Latin-1")


@pytest.mark.parametrize("name", REFUSED)
def test_a_dialect_that_cannot_be_read_is_refused_with_file_and_line(name: str, tmp_path: Path) -> None:
    data, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        listing(tmp_path, data, "train.csv")


@pytest.mark.parametrize("name", ["all.CSV", "all.Tsv", "annotations/all.csv"])
def test_a_list_is_found_in_any_case_and_in_its_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    assert len(listing(tmp_path, PLAIN, name).videos) == 2


def test_a_good_list_beside_one_in_another_dialect_loses_no_split(tmp_path: Path) -> None:
    (tmp_path / "test.csv").write_text(
        semicolons(f"label,youtube_id,time_start,time_end\n{TWO.removesuffix(',test')}\n")
    )
    found = listing(tmp_path, f"label,youtube_id,time_start,time_end\n{ONE.removesuffix(',train')}\n", "train.csv")
    assert {(video.key, video.class_name, video.split) for video in found.videos} == EXPECTED


def test_other_files_beside_the_videos_are_passed_over_and_told(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("who,what\nme,this\n")
    (tmp_path / "empty.csv").touch()
    (tmp_path / "train_kinetics.csv").write_text("/singing/bbbbbbbbbbb.wav,/singing/bbbbbbbbbbb.mp4,82\n")
    lists = listing(tmp_path, PLAIN, "all.csv").accounting.lists
    assert {(Path(each.file).name, each.reason) for each in lists} == {
        ("all.csv", ""),
        ("notes.csv", "another table"),
        ("empty.csv", "empty"),
        ("train_kinetics.csv", "a split file: dataset.split_files=[...] would use it"),
    }


def test_a_table_that_is_named_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes.csv").write_text("who,what\nme,this\n")
    with pytest.raises(ValueError, match=r"dataset\.annotations: '.*notes\.csv' line 1: expected a header"):
        KineticsSounds(root=tmp_path, annotations=(tmp_path / "notes.csv",)).listing()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"none\.csv' does not exist"):
        read_text(tmp_path / "none.csv")
    with pytest.raises(ValueError, match=r"is a folder, a pipe or a device"):
        read_text(tmp_path)


def test_names_of_columns_differ_in_nothing_that_spellings_differ_in() -> None:
    assert {named(each) for each in ("Start Time", "start-time", " START_TIME ", '"start time"')} == {"start_time"}
    assert bare(" 'a \"b\" c' ") == 'a "b" c'
