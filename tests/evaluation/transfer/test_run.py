"""The whole way on real clips: trained checkpoints, Ray tasks, the files, interruptions, and what `verify` says."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path

import pyarrow as pa
import pytest

from evaluation.stored.kept_tables import FOLDER_NAME, KeptTables, Position
from evaluation.transfer.config import TransferConfig
from evaluation.transfer.outcomes import OUTCOMES_NAME, Outcomes
from evaluation.transfer.report import TRANSFER_NAME, TransferReport
from evaluation.transfer.run import FILES, check, finished_report, measure, verify
from pipeline.settings.load import override
from preprocessing.errors import PlaceError, SettingsError


@pytest.fixture(scope="module")
def config(checkpoints: tuple[str, ...], tiny_dataset: Path) -> TransferConfig:
    """24 clips in 4 batches of up to 7; two attacks on three models and four ensembles of them.

    A stranger's model has no features, so tma is left out on it and on the two ensembles with it: 11 of 14 craftings
    and 44 pieces.
    """
    return TransferConfig.model_validate(
        {
            "checkpoint": checkpoints[:2],
            "models": {"theirs": {"model": "tests.evaluation.transfer.test_models:Bands"}},
            "data": str(tiny_dataset),
            "output": "out",
            "threat": "linf(video=0.25, audio=0.25)",
            "attacks": ["mifgsm", "tma"],
            "ensembles": ["leave_one_out", ["one", "two"]],
            "budget": 6,
            "split": "train",
            "batch_size": 7,
            "num_resamples": 100,
        }
    )


@pytest.fixture(scope="module")
def measured(config: TransferConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TransferReport]:
    output = tmp_path_factory.mktemp("transfer")
    return output, measure(override(config, {"output": str(output)}))


def test_a_measurement_leaves_its_files_and_verifies(measured: tuple[Path, TransferReport]) -> None:
    output, report = measured
    assert {path.name for path in output.iterdir()} == set(FILES)
    assert TransferReport.read(output) == report
    assert verify(output) == []
    assert report.num_clips == 24
    diagonal = [each for each in report.cells if each.is_white_box and each.surrogate in ("one", "two")]
    assert max(each.success_rate or 0.0 for each in diagonal) > 0.5


def test_every_crafting_spends_the_budget(measured: tuple[Path, TransferReport]) -> None:
    """Six passes: six steps on one model, three on two."""
    crafted = measured[1].facts.craftings
    assert {each.passes for each in crafted} == {6}
    steps = {each.surrogate: each.settings for each in crafted if each.attack == "mifgsm"}
    assert steps == {
        "one": "mifgsm-6",
        "two": "mifgsm-6",
        "theirs": "mifgsm-6",
        "all but one": "mifgsm-3",
        "all but two": "mifgsm-3",
        "all but theirs": "mifgsm-3",
        "one+two": "mifgsm-3",
    }


def test_attacks_that_a_surrogate_has_no_features_for_are_left_out_there(measured: tuple[Path, TransferReport]) -> None:
    left_out = [reason.partition(":")[0] for reason in measured[1].facts.left_out]
    assert left_out == ["tma on theirs", "tma on all but one", "tma on all but two"]
    assert {each.surrogate for each in measured[1].cells_of("tma")} == {"one", "two", "all but theirs", "one+two"}


def test_the_ensemble_of_all_others_is_the_one_of_their_names(measured: tuple[Path, TransferReport]) -> None:
    """Without `theirs` there are `one` and `two`: the same attack, the same outcomes."""
    cells = {(each.attack, each.surrogate, each.victim): each for each in measured[1].cells}
    for attack in ("mifgsm", "tma"):
        named, other = cells[attack, "one+two", "theirs"], cells[attack, "all but theirs", "theirs"]
        assert named.model_dump(exclude={"surrogate"}) == other.model_dump(exclude={"surrogate"})


@pytest.mark.slow
def test_a_killed_measurement_goes_on_where_it_stood(
    measured: tuple[Path, TransferReport],
    config: TransferConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Broken off after five pieces, taken up by another number of workers: the same bytes in the end."""
    count, add = itertools.count(), KeptTables.add

    def interrupted(kept: KeptTables, position: Position, suffix: str, table: pa.Table, **facts: object) -> None:
        if next(count) == 5:
            raise KeyboardInterrupt
        add(kept, position, suffix, table, **facts)

    broken_off = override(config, {"output": str(tmp_path)})
    with monkeypatch.context() as patch:
        patch.setattr(KeptTables, "add", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measure(broken_off)
    assert not (tmp_path / TRANSFER_NAME).exists()
    assert len(list((tmp_path / FOLDER_NAME).rglob("*.parquet"))) == 5
    with caplog.at_level(logging.INFO, logger="evaluation"):
        report = measure(override(broken_off, {"workers": 1}))
    assert "5 of 44 pieces are there already" in caplog.text
    mine, undisturbed = (Outcomes.read(folder / OUTCOMES_NAME) for folder in (tmp_path, measured[0]))
    assert mine.table.equals(undisturbed.table)
    assert (tmp_path / OUTCOMES_NAME).read_bytes() == (measured[0] / OUTCOMES_NAME).read_bytes()
    assert report.cells == measured[1].cells
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_a_finished_measurement_is_recognised(
    measured: tuple[Path, TransferReport], caplog: pytest.LogCaptureFixture
) -> None:
    config = measured[1].config
    with caplog.at_level(logging.INFO, logger="evaluation"):
        assert measure(override(config, {"workers": 3})) == measured[1]
    assert "holds this measurement, finished" in caplog.text
    assert finished_report(check(override(config, {"seed": 1}))) is None
    assert finished_report(check(override(config, {"baseline": "tma"}))) is None


def test_what_does_not_suit_is_refused_before_anything_is_written(config: TransferConfig, tmp_path: Path) -> None:
    output = tmp_path / "report"
    theirs = config.models["theirs"].model_dump()
    refused: list[tuple[dict[str, object], type[Exception], str]] = [
        ({"data": str(tmp_path)}, PlaceError, "is not a finished data set"),
        ({"output": "s3://bucket/report"}, PlaceError, "is a URL; it must be a folder"),
        ({"threat": "linf(video=4/255, segments=9)"}, SettingsError, "names segment 9, but the clips"),
        (
            {"crafted_on": ["theirs"], "attacks": ["tma"], "ensembles": []},
            SettingsError,
            "no attack of the list can be",
        ),
        ({"models": {"theirs": theirs | {"model": "no.such:Model"}}}, SettingsError, "cannot be imported"),
    ]
    for changes, error, message in refused:
        with pytest.raises(ValueError, match=message) as caught:
            measure(override(config, {"output": str(output), **changes}))
        assert isinstance(caught.value, error), changes
    assert not output.exists()


def test_at_other_moments_clips_are_tried_as_the_victims_sample_them(
    config: TransferConfig, stored_later: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    """Stored at the same moments it is what it is under known ones; half a segment later it is another measurement."""
    small = {"models": {}, "ensembles": [], "attacks": ["mifgsm"], "limit": 14}
    other = small | {"threat": "linf(video=0.25, audio=0.25, moments=other)"}
    known, same, later = (
        override(config, changes | {"output": str(tmp_path / name)})
        for name, changes in (
            ("known", small),
            ("same", other | {"moments": str(tiny_dataset)}),
            ("later", other | {"moments": str(stored_later)}),
        )
    )
    tables = []
    for each in (known, same, later):
        measure(each)
        assert verify(each.output) == []
        tables.append(Outcomes.read(Path(each.output) / OUTCOMES_NAME).table)
    assert tables[0].equals(tables[1])
    assert not tables[0].equals(tables[2])
    assert finished_report(check(later)) is not None
    assert check(later).fingerprint != check(same).fingerprint
