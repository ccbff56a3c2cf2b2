"""The class lists of the literature, and how they are chosen."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from preprocessing.datasets import KineticsSounds, Music
from preprocessing.datasets.class_lists import FOLDER, all_classes, load_class_list

LISTS = {path.stem: path for path in FOLDER.glob("*.csv")}


def classes_of(chosen: object) -> tuple[str, ...]:
    """The checked value of `classes`."""
    found = KineticsSounds.model_validate({"root": "/videos", "classes": chosen}).classes
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize(
    ("name", "num_classes", "some_labels"),
    [
        ("ks31", 31, {0: "blowing nose", 9: "playing bass guitar", 26: "stomping grapes", 30: "tickling"}),
        ("ks27", 27, {0: "laughing", 1: "playing clarinet", 13: "playing trumpet", 26: "chopping wood"}),
        ("ks34", 34, {0: "blowing nose", 7: "typing", 8: "blowing out candles", 33: "playing xylophone"}),
        ("music11", 11, {0: "accordion", 1: "acoustic_guitar", 10: "xylophone"}),
        ("music21", 21, {0: "accordion", 9: "electric_bass", 20: "xylophone"}),
        ("music_duets", 9, {0: "acoustic_guitar violin", 8: "xylophone flute"}),
    ],
)
def test_a_list_has_its_classes_in_its_label_order(name: str, num_classes: int, some_labels: dict[int, str]) -> None:
    names = load_class_list(name).names
    assert len(set(names)) == len(names) == num_classes
    assert {label: names[label] for label in some_labels} == some_labels


def test_every_list_is_offered_by_a_data_set() -> None:
    assert {*KineticsSounds.class_lists, *Music.class_lists} == set(LISTS)


@pytest.mark.parametrize("name", sorted(LISTS))
def test_every_file_names_its_source(name: str) -> None:
    comments = [line for line in LISTS[name].read_text().splitlines() if line.startswith("#")]
    assert any("Source" in line for line in comments)
    assert any("https://" in line for line in comments)


def test_the_lists_of_kinetics_sounds_contain_each_other() -> None:
    """27 + 4 = 31, and 31 + 3 without a label in the released Kinetics-400 = 34."""
    ks27, ks31, ks34 = (set(load_class_list(name).names) for name in ("ks27", "ks31", "ks34"))
    assert ks31 - ks27 == {"blowing out candles", "dribbling basketball", "mowing lawn", "stomping grapes"}
    assert ks34 - ks31 == {"typing", "fingerpicking", "patting"}
    assert ks27 < ks31 < ks34
    assert set(load_class_list("music11").names) < set(load_class_list("music21").names)


def test_the_original_papers_names_lead_to_the_released_labels() -> None:
    ks34 = load_class_list("ks34")
    papers = ("blowing out", "dribbling ball", "mowing the lawn by pushing lawnmower", "stomping")
    released = ["blowing out candles", "dribbling basketball", "mowing lawn", "stomping grapes"]
    assert [ks34.find(name) for name in papers] == released == [ks34.find(name) for name in released]


def test_spellings_differ_in_case_and_underscores() -> None:
    known = all_classes(KineticsSounds.class_lists)
    assert {known.find(each) for each in ("Playing_Piano", "playing piano", "PLAYING PIANO")} == {"playing piano"}
    assert known.find("piano") is None


def test_chosen_classes_get_their_proper_names_in_the_chosen_order() -> None:
    assert classes_of(["tickling", "Playing_Piano", "stomping"]) == ("tickling", "playing piano", "stomping grapes")
    assert classes_of("ks27") == ("ks27",)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("ks30", r"unknown class list 'ks30', the nearest is 'ks3[14]'; allowed: 'ks27', 'ks31', 'ks34', or names in"),
        ("singing", r"unknown class list 'singing'; allowed: 'ks27', 'ks31', 'ks34', or names in \[brackets\]"),
        (7, r"unknown class list '7'; allowed: "),
        (["singing", 7], r"unknown class list '\['singing', 7\]'; allowed: "),
        ([], "no class is named"),
        (
            ["playing pianno"],
            r"unknown class 'playing pianno', the nearest is 'playing piano'; allowed: 'blowing nose', ",
        ),
        (["abseiling", "xyz"], r"class 'abseiling', the nearest is 'bowling'; unknown class 'xyz'; allowed: "),
        (["singing", "tickling", "Singing"], "named twice: 'singing'"),
    ],
)
def test_an_unknown_choice_is_refused_with_what_is_allowed(chosen: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message) as error:
        classes_of(chosen)
    assert error.value.error_count() == 1
