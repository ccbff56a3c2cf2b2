from __future__ import annotations

from pathlib import Path

from pipeline.search.records import TrialNote, note_trial, reported, search_records
from pipeline.search.report import METRIC, SearchResult, TrialResult
from preprocessing.storage.atomic_file import write_text
from training.run_folder import RunFolder


def test_a_running_search_records_what_its_trials_have_stored(tmp_path: Path) -> None:
    note_trial(tmp_path / "trials" / "a", TrialNote({"seed": 1}, "FINISHED"))
    note_trial(tmp_path / "trials" / "b", TrialNote({"seed": 2}, "RUNNING"))
    RunFolder(tmp_path / "trials" / "a").note([{"epoch": 1.0, "train/loss": 0.5}])
    search, first, second = search_records("RUNNING", output=str(tmp_path), settings={"trials": 2})
    assert (search.key, search.status, search.settings) == (f"tune {tmp_path}", "RUNNING", {"trials": 2})
    assert (search.points, search.files) == ({}, {})
    assert (first.key, first.name, first.parent) == (f"trial {tmp_path} a", "trial a", search.key)
    assert (first.settings, first.points) == ({"seed": 1}, {1: {"epoch": 1.0, "train/loss": 0.5}})
    assert (first.status, second.status, second.points) == ("FINISHED", "RUNNING", {})


def test_a_finished_search_records_its_result_and_the_end_of_every_trial(tmp_path: Path) -> None:
    note_trial(tmp_path / "trials" / "a", TrialNote({}, "RUNNING"))
    note_trial(tmp_path / "trials" / "b", TrialNote({}, "FAILED"))
    trial = TrialResult(
        trial_id="a", settings={}, epochs=(1,), robust_accuracies=(0.25,), clean_accuracies=(0.5,), status="finished"
    )
    result = SearchResult(metric=METRIC, threat="linf", trials=(trial,))
    write_text(tmp_path / "search.json", result.model_dump_json())
    search, first, second = search_records("FINISHED", output=str(tmp_path), settings={})
    assert search.points == {0: {METRIC: 0.25}}
    assert [each.name for each in search.files] == ["best.yaml", "search.json", "search.png"]
    assert (first.status, second.status) == ("FINISHED", "FAILED")
    assert [each.status for each in search_records("KILLED", output=str(tmp_path), settings={})] == [
        "KILLED",
        "KILLED",
        "FAILED",
    ]


def test_an_epoch_that_a_killed_trial_has_not_stored_is_recorded_all_the_same(tmp_path: Path) -> None:
    """Tune has heard of epoch 2, after which it killed the trial; what the trial has stored itself counts more."""
    folder = tmp_path / "trials" / "a"
    note_trial(folder, TrialNote({}, "RUNNING"))
    for epoch in (1, 2):
        heard: dict[str, object] = {
            "epoch": epoch,
            "train/loss": 0.5 / epoch,
            "node_ip": "10.0.0.1",
            "time_total_s": 3.0,
            "config": {},
        }
        note_trial(folder, TrialNote({}, "RUNNING", reported(heard)))
    note_trial(folder, TrialNote({}, "FINISHED"))
    RunFolder(folder).note([{"epoch": 1.0, "train/loss": 0.5, "seconds": 2.0}])
    [_, trial] = search_records("RUNNING", output=str(tmp_path), settings={})
    assert trial.status == "FINISHED"
    assert trial.points == {
        1: {"epoch": 1.0, "train/loss": 0.5, "seconds": 2.0},
        2: {"epoch": 2.0, "train/loss": 0.25},
    }
