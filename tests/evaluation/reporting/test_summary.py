from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute
import pytest

from evaluation.config import EvaluateConfig
from evaluation.reporting.report import Report
from evaluation.stored.certificates import SCHEMAS, Certificate, Certificates
from training.attacks import FGSM, PGD

HandMade = Callable[..., Certificates]
Summarised = Callable[[Certificates, EvaluateConfig], Report]

CONFIG = EvaluateConfig(
    checkpoint="model",
    data="dataset",
    output="report",
    attacks=(FGSM(), PGD(steps=2)),
    reference_attack=PGD(steps=2),
    curve_attacks=(),
    curve=(0.0, 1.0, 2.0),
    num_resamples=100,
)
PREDICTIONS = {
    "clean": [0, 1, 2, 0],
    "fgsm": [0, 1, 0, 3],
    "pgd-2": [1, 1, 2, 0],
    "pgd-2 linf(video=0, audio=0)": [0, 1, 2, 0],
    "pgd-2 linf(video=8/255, audio=8/255)": [1, 2, 2, 0],
    "pgd-2 linf(video=1, audio=1)": [1, 2, 3, 0],
    "noise": [0, 1, 3, 0],
}


@pytest.fixture
def report(hand_made: HandMade, summarised: Summarised) -> Report:
    return summarised(hand_made(CONFIG, PREDICTIONS), CONFIG)


def test_the_numbers_of_four_clips_are_exact(report: Report) -> None:
    """Labels 0 1 2 3. Clean: 0 1 2 0, so 3 of 4 are right.

    FGSM: 0 1 0 3. Clips 0 and 1 stay right; clip 3 was wrong before, so it is not robust although it is right now: 2/4.
    Of the 3 clips that were right, 1 was fooled: 1/3. PGD: 1 1 2 0. Clips 1 and 2: 2/4, and 1/3.
    Worst case: only clip 1 withstands both: 1/4.
    """
    assert report.clean_accuracy == 0.75
    assert [attack.name for attack in report.attacks] == ["fgsm", "pgd-2"]
    assert [attack.robust_accuracy for attack in report.attacks] == [0.5, 0.5]
    assert [attack.attack_success_rate for attack in report.attacks] == [1 / 3, 1 / 3]
    assert report.worst_case_robust_accuracy == 0.25
    assert report.withheld is None
    assert report.num_clips == 4


def test_the_curve_names_the_threat_model_of_each_point(report: Report) -> None:
    """Epsilon 0 leaves 3 of 4 right, the threat model 2, twice as much 1."""
    points = [(point.factor, point.threat, point.robust_accuracy) for point in report.curve]
    assert points == [
        (0.0, "linf(video=0, audio=0)", 0.75),
        (1.0, "linf(video=4/255, audio=4/255)", 0.5),
        (2.0, "linf(video=8/255, audio=8/255)", 0.25),
    ]


def test_forward_and_backward_passes_are_counted_apart(hand_made: HandMade, summarised: Summarised) -> None:
    """Two steps are 2 + 2; two starts of two steps and a look at each result 6 + 4. Without a budget there are none."""
    listed = {"attacks": [{"name": "pgd", "steps": 2}, {"name": "pgd", "steps": 2, "restarts": 2}]}
    config = EvaluateConfig.model_validate(CONFIG.model_dump() | listed)
    report = summarised(hand_made(config, PREDICTIONS | {"else": [0, 1, 2, 0]}), config)
    assert [(each.forward_passes, each.backward_passes) for each in report.attacks] == [(2, 2), (6, 4)]
    assert [(point.forward_passes, point.backward_passes) for point in report.curve] == [(0, 0), (2, 2), (2, 2)]
    assert (report.total_cost.forward, report.total_cost.backward) == (8, 6)


def test_sizes_of_changes_are_largest_of_linf_and_means_of_l2_and_of_decibels(
    hand_made: HandMade, summarised: Summarised
) -> None:
    """Frames: l2 1, 2, 3, 6 have the mean 3. Sound: 0, 0, 0, 2 have 0.5. A clip without a change has no decibels."""
    sizes: dict[str, list[float | None]] = {
        "l2_video": [1.0, 2.0, 3.0, 6.0],
        "l2_audio": [0.0, 0.0, 0.0, 2.0],
        "linf_video": [0.01, 0.04, 0.02, 0.01],
        "linf_audio": [0.0, 0.0, 0.0, 0.5],
        "psnr_video_db": [10.0, 20.0, 30.0, 60.0],
        "snr_audio_db": [None, None, 10.0, 30.0],
        "unusable_gradients": [0.0, 0.0, 0.5, 1.0],
    }
    rows = hand_made(CONFIG, PREDICTIONS).table.to_pylist()
    for row in rows:
        clip = int(str(row["key"]).removeprefix("clip_"))
        row.update({name: values[clip] for name, values in sizes.items()})
    measured = Certificates.from_rows([Certificate.model_validate(row) for row in rows])
    fgsm = summarised(measured, CONFIG).attacks[0]
    found = {name: getattr(fgsm, name) for name in sizes}
    assert found == {
        "l2_video": 3.0,
        "l2_audio": 0.5,
        "linf_video": 0.04,
        "linf_audio": 0.5,
        "psnr_video_db": 30.0,
        "snr_audio_db": 20.0,
        "unusable_gradients": 0.375,
    }


def test_every_interval_covers_its_number(report: Report) -> None:
    for attack in (*report.attacks, *report.curve, *report.modalities, report.unbounded):
        low, high = attack.robust_accuracy_interval
        assert low <= attack.robust_accuracy <= high
    assert report.unbounded.robust_accuracy_interval[1] > 0


def test_an_attack_from_another_model_is_named_and_part_of_the_worst_case(
    hand_made: HandMade, summarised: Summarised
) -> None:
    """Of the clips 0, 1 and 2 only clip 1 withstands the list, and the attack from the surrogate turns it wrong."""
    changed = {
        "surrogates": ("runs/other/checkpoint",),
        "transfer_attacks": [{"name": "mifgsm"}],
        "eot_samples": 3,
    }
    config = EvaluateConfig.model_validate(CONFIG.model_dump() | changed)
    report = summarised(hand_made(config, PREDICTIONS | {"mifgsm-10 from surrogate": [0, 0, 2, 0]}), config)
    assert [attack.name for attack in report.attacks] == ["fgsm", "pgd-2", "mifgsm-10 from surrogate"]
    assert report.attacks[-1].robust_accuracy == 0.5
    assert report.worst_case_robust_accuracy == 0.0
    assert [attack.backward_passes for attack in report.attacks] == [3, 6, 30]
    deterministic = next(check for check in report.checks if check.name == "forward_is_deterministic")
    assert deterministic.finding.endswith("; attacks followed the mean of 3 passes")


@pytest.mark.parametrize(("version", "num_checks"), [(3, 6), (4, 12), (5, 14)])
def test_certificates_of_an_earlier_version_are_asked_what_they_can_answer(
    version: int, num_checks: int, hand_made: HandMade, summarised: Summarised
) -> None:
    table = hand_made(CONFIG, PREDICTIONS).table.select(SCHEMAS[version].names)
    found = Certificates(table if version > 3 else table.filter(pa.compute.not_equal(table["attack"], "noise")))
    checks = [check.name for check in summarised(found, CONFIG).checks]
    assert len(checks) == num_checks
    assert checks[:6] == [
        "video_gradients_are_usable",
        "audio_gradients_are_usable",
        "forward_is_deterministic",
        "many_steps_beat_one",
        "accuracy_falls_with_epsilon",
        "unbounded_attack_succeeds",
    ]


WITH_MORE = EvaluateConfig.model_validate(
    CONFIG.model_dump() | {"curve_attacks": [{"name": "pgd", "steps": 3}], "curve": [0.5, 1.0, 2.0]}
)


def test_a_point_is_the_worst_case_of_all_that_lies_inside_it(hand_made: HandMade, summarised: Summarised) -> None:
    """8 clips of labels 0 1 2 3 0 1 2 3, all right untouched; each attack below fools those that it names.

    FGSM, which the list alone has, fools clip 0. Half the budget: pgd-3 fools clip 1. Frames alone: pgd-2 fools clip 2.
    Under the threat model all three fall, in the headline as well: 5/8. Twice as much: pgd-2 fools clip 3 alone, and
    would rise to 7/8 by itself; 4/8 are left of all.
    """
    right = [number % 4 for number in range(8)]

    def fooled(clip: int) -> list[int]:
        return [(label + 1) % 4 if number == clip else label for number, label in enumerate(right)]

    predictions = {
        "clean": right,
        "else": right,
        "fgsm": fooled(0),
        "pgd-3 linf(video=2/255, audio=2/255)": fooled(1),
        "pgd-2 linf(video=4/255, audio=0)": fooled(2),
        "pgd-2 linf(video=8/255, audio=8/255)": fooled(3),
    }
    report = summarised(hand_made(WITH_MORE, predictions), WITH_MORE)
    worst = [point.worst_case_robust_accuracy for point in (*report.curve, *report.modalities)]
    assert worst == [7 / 8, 5 / 8, 4 / 8, 7 / 8, 1.0, 5 / 8]
    alone = [point.robust_accuracy for point in report.curve]
    assert alone == [1.0, 1.0, 7 / 8]
    assert report.withheld is not None  # no attack without a limit succeeds here
    assert report.withheld.worst_case_robust_accuracy == 5 / 8
    assert report.curve[0].worst_case_of == ("pgd-2", "pgd-3")
    assert report.curve[1].worst_case_of == ("fgsm", "pgd-2", "pgd-3")


def test_the_check_of_the_curve_looks_at_the_reference_attack_alone(
    hand_made: HandMade, summarised: Summarised
) -> None:
    """It fools all of 40 clips at half the budget and none at more: the worst case cannot show it, the check does."""
    right = [number % 4 for number in range(40)]
    wrong = [(label + 1) % 4 for label in right]
    predictions = {"clean": right, "else": right, "pgd-2 linf(video=2/255, audio=2/255)": wrong}
    report = summarised(hand_made(WITH_MORE, predictions), WITH_MORE)
    assert [point.worst_case_robust_accuracy for point in report.curve] == [0.0, 0.0, 0.0]
    (check,) = (check for check in report.checks if check.name == "accuracy_falls_with_epsilon")
    assert check.outcome == "fired"
    assert "0.0% under linf(video=2/255, audio=2/255), 100.0% under" in check.finding


def test_classes_are_counted_apart(report: Report) -> None:
    assert [
        (row.name, row.num_clips, row.clean_accuracy, row.worst_case_robust_accuracy) for row in report.classes
    ] == [
        ("blowing nose", 1, 1.0, 0.0),
        ("bowling", 1, 1.0, 1.0),
        ("playing drums", 1, 1.0, 0.0),
        ("playing <violin>", 1, 0.0, 0.0),
    ]


def test_each_modality_is_measured_apart(report: Report) -> None:
    assert [(result.perturbed, result.threat) for result in report.modalities] == [
        ("video", "linf(video=4/255, audio=0)"),
        ("audio", "linf(video=0, audio=4/255)"),
        ("both", "linf(video=4/255, audio=4/255)"),
    ]


def test_without_a_right_clip_there_is_no_success_rate(hand_made: HandMade, summarised: Summarised) -> None:
    wrong = {"clean": [3, 3, 3, 0], "else": [3, 3, 3, 0]}
    report = summarised(hand_made(CONFIG, wrong), CONFIG)
    assert report.attacks[0].attack_success_rate is None
    assert report.attacks[0].attack_success_rate_interval is None
    assert report.worst_case_robust_accuracy == 0.0


def test_a_fired_check_withholds_the_headline(hand_made: HandMade, summarised: Summarised) -> None:
    """40 clips that no attack fools, not even without a limit: chance is 1/4."""
    right = [number % 4 for number in range(40)]
    report = summarised(hand_made(CONFIG, {"clean": right, "else": right}), CONFIG)
    assert report.worst_case_robust_accuracy is None
    assert report.worst_case_robust_accuracy_interval is None
    assert report.withheld is not None
    assert report.withheld.worst_case_robust_accuracy == 1.0
    assert len(report.withheld.reasons) == 1
    assert report.withheld.reasons[0].startswith("unbounded_attack_succeeds: 40 of 40 clips are still right")
    assert "withheld" in report.headline


def test_missing_certificates_are_named(hand_made: HandMade, summarised: Summarised) -> None:
    other = EvaluateConfig.model_validate(CONFIG.model_dump() | {"attacks": [{"name": "mifgsm"}, {"name": "fgsm"}]})
    with pytest.raises(ValueError, match="no certificates of attack 'mifgsm-10'"):
        summarised(hand_made(CONFIG, PREDICTIONS), other)
