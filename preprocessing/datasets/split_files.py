"""The split files of the public protocols: which clips are trained on, validated on and tested on.

Two formats, told apart by the first line; the name tells the split (`train_kinetics.csv`, `ks_test_overlap.txt`):

* Tian and Xu (CVPR 2021): `/class_name/ID.wav,/class_name/ID.mp4,num_frames`, ids without times. Their lists of MUSIC
  have the same format. https://github.com/YapengTian/AV-Robustness-CVPR21
* CRMT (ICLR 2024): `ID_ssssss_eeeeee label` for training, `ID label` for testing; labels are numbers in the order of
  the class list `ks31`. https://github.com/GeWu-Lab/Certifiable-Robust-Multi-modal-Training
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from preprocessing.datasets.class_lists import ClassList
from preprocessing.datasets.entries import Entry, named_clip, split_of_file
from preprocessing.datasets.tables import read_text
from preprocessing.errors import DataError, UserError
from preprocessing.schema import Split

MAX_PROBLEMS = 10

BY_CLASS_NAME = re.compile(
    r"/(?P<class>[^/,]+)/(?P<id>[A-Za-z0-9_-]{11})\.wav,/(?P<class2>[^/,]+)/(?P<id2>[A-Za-z0-9_-]{11})\.mp4,\d+"
)
BY_NUMBER = re.compile(r"(?P<stem>[A-Za-z0-9_-]+) (?P<label>\d+)")
FORMATS = {
    BY_CLASS_NAME: "/class_name/<id>.wav,/class_name/<id>.mp4,<number of frames>",
    BY_NUMBER: "<id>_<start:06d>_<end:06d> <label> or <id> <label>",
}


def read_split_files(paths: Sequence[Path], *, known: ClassList, numbered: ClassList | None) -> list[Entry]:
    """The clips that split files list, in their order; `numbered` gives the classes of labels that are numbers.

    Raises:
        ValueError: if a file is missing, does not tell its split, or holds a line that is not of its format, names no
            known class, or lists a clip again; the message lists the problems with their lines.
    """
    problems: list[str] = []
    entries = [entry for path in paths for entry in _read(path, known, numbered, problems)]
    if problems:
        shown = problems[:MAX_PROBLEMS]
        if len(problems) > MAX_PROBLEMS:
            shown.append(f"... and {len(problems) - MAX_PROBLEMS:,} more")
        raise DataError("dataset.split_files cannot be used:\n  " + "\n  ".join(shown))
    return entries


def is_split_line(line: str) -> bool:
    """True for a line of one of the two formats."""
    return any(each.fullmatch(line.strip()) for each in FORMATS)


def _read(path: Path, known: ClassList, numbered: ClassList | None, problems: list[str]) -> list[Entry]:
    split = split_of_file(path)
    if split is None:
        problems.append(f"'{path}': its name must tell one split: train, val or test")
        return []
    try:
        lines = [line.rstrip() for line in read_text(path).text.splitlines()]
    except UserError as error:
        problems.append(str(error))
        return []
    first = next((line for line in lines if line), "")
    line_format = next((each for each in FORMATS if each.fullmatch(first)), None)
    if line_format is None:
        expected = "' or '".join(FORMATS.values())
        problems.append(f"'{path}': expected lines '{expected}', got {first!r}")
        return []
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        where = f"'{path.name}' line {number}"
        if not line:
            continue
        try:
            entry = _parse(line, line_format, known, numbered, split, where)
            if seen.setdefault(entry.key, number) != number:
                raise DataError(f"'{entry.key}' is listed again, first in line {seen[entry.key]}")
        except ValueError as error:
            problems.append(f"{where}: {error}")
            continue
        entries.append(entry)
    return entries


def _parse(
    line: str, line_format: re.Pattern[str], known: ClassList, numbered: ClassList | None, split: Split, where: str
) -> Entry:
    match = line_format.fullmatch(line)
    if match is None:
        raise DataError(f"expected '{FORMATS[line_format]}', got {line!r}")
    if line_format is BY_NUMBER:
        return _numbered_entry(match, numbered, split, where)
    return _named_entry(match, known, split, where)


def _named_entry(match: re.Match[str], known: ClassList, split: Split, where: str) -> Entry:
    if (match["class"], match["id"]) != (match["class2"], match["id2"]):
        raise DataError(f"sound and video are of different clips: {match[0]!r}")
    class_name = known.find(match["class"])
    if class_name is None:
        raise DataError(known.unknown(match["class"]))
    return Entry(match["id"], None, class_name, split, where)


def _numbered_entry(match: re.Match[str], numbered: ClassList | None, split: Split, where: str) -> Entry:
    if numbered is None:
        raise DataError(f"label {match['label']}: no list of this data set has numbered labels; name the class")
    clip = named_clip(match["stem"])
    if clip is None:
        raise DataError(f"expected '{FORMATS[BY_NUMBER]}', got {match[0]!r}")
    label = int(match["label"])
    if label >= len(numbered.names):
        raise DataError(f"label {label}; allowed: 0 to {len(numbered.names) - 1}")
    times = None if clip["start"] is None else (int(clip["start"]), int(clip["end"]))
    return Entry(clip["id"], times, numbered.names[label], split, where)
