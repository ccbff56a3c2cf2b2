from __future__ import annotations

import pytest
from pydantic import ValidationError

from training.attacks import MIFGSM, PGD
from training.curriculum.curriculum import AttackShare, FullCurriculum
from training.curriculum.schedules import Adaptive, Constant, Cosine, Linear, Piecewise, Step


def test_every_setting_may_be_a_plain_number() -> None:
    curriculum = FullCurriculum.model_validate(
        {"attack_steps": 5, "sampling_ratio": 0.5, "epsilon_factor": 2, "mask_ratio": 0.25, "dropout_ratio": 0.1}
    )
    assert curriculum.at(0.3) == {
        "attack_steps": 5.0,
        "sampling_ratio": 0.5,
        "epsilon_factor": 2.0,
        "mask_ratio": 0.25,
        "dropout_ratio": 0.1,
    }


def test_values_out_of_range_are_all_named() -> None:
    with pytest.raises(ValidationError, match=r"sampling_ratio: 0 is outside.*mask_ratio: 1.5 is outside"):
        FullCurriculum(sampling_ratio=Linear(start=0, end=1), mask_ratio=Constant(value=1.5))


def test_attack_steps_are_whole() -> None:
    curriculum = FullCurriculum(attack_steps=Linear(start=1, end=4))
    assert [curriculum.at(progress)["attack_steps"] for progress in (0.0, 0.2, 0.5, 1.0)] == [1.0, 2.0, 2.0, 4.0]


def test_every_schedule_of_a_curriculum_depends_on_progress_alone() -> None:
    """A training that is resumed builds the curriculum anew from its settings and asks for the rest, in any order."""
    curriculum = FullCurriculum(
        attack_steps=Step(levels=(1, 3, 7), starts=(0, 0.3, 0.6)),
        sampling_ratio=Piecewise(points=((0, 0.25), (0.5, 1), (1, 0.5))),
        epsilon_factor=Cosine(start=0.1, end=1),
        mask_ratio=Linear(start=0, end=0.5),
        dropout_ratio=Cosine(start=0.4, end=0, until=0.7),
        other_attacks=(AttackShare(attack=PGD(), share=Linear(start=1, end=0)),),
    )
    moments = [epoch / 7 for epoch in range(8)]
    whole = [curriculum.at(progress) for progress in moments]
    resumed = FullCurriculum.model_validate_json(curriculum.model_dump_json())
    assert [resumed.at(progress) for progress in reversed(moments)] == whole[::-1]
    assert len({tuple(values.values()) for values in whole}) == 8


def test_shares_are_logged_by_the_attacks_they_belong_to() -> None:
    shared = {"attack": {"name": "pgd", "loss": "margin"}, "share": {"name": "linear", "start": 0.5, "end": 0.0}}
    curriculum = FullCurriculum.model_validate(
        {"other_attacks": [shared, {"attack": {"name": "mifgsm"}, "share": 0.25}]}
    )
    assert curriculum.share_names == ("share_1_pgd", "share_2_mifgsm")
    values = curriculum.at(0.5)
    assert [values[name] for name in curriculum.share_names] == [0.25, 0.25]


def test_shares_leave_no_less_than_nothing() -> None:
    """0.8 (1 - p) + 0.8 p is 0.8 throughout; 0.8 (1 - p) + 1.0 p exceeds 1 only beyond the end, 0.8 + 0.4 p at 0.51."""
    falling = AttackShare(attack=PGD(), share=Linear(start=0.8, end=0))

    def rising(start: float, end: float) -> AttackShare:
        return AttackShare(attack=MIFGSM(), share=Linear(start=start, end=end))

    for others in ((falling, rising(0, 0.8)), (falling, rising(0, 1.0))):
        assert FullCurriculum(other_attacks=others).other_attacks == others
    constant = AttackShare(attack=PGD(), share=Constant(value=0.8))
    with pytest.raises(ValidationError, match=r"the shares add up to 1.004 at progress 0.51; allowed: at most 1"):
        FullCurriculum(other_attacks=(constant, rising(0, 0.4)))


def test_a_share_is_a_share() -> None:
    with pytest.raises(ValidationError, match=r"other_attacks.0.share: -0.5 is outside \[0, 1\]"):
        FullCurriculum(other_attacks=(AttackShare(attack=PGD(), share=Constant(value=-0.5)),))


def test_adaptive_schedules_stand_at_the_level_that_the_history_calls_for() -> None:
    """Each by its own patience; every other schedule goes on with progress."""
    curriculum = FullCurriculum(
        attack_steps=Adaptive(levels=(1, 4), patience=1),
        epsilon_factor=Adaptive(levels=(0.5, 1), patience=2),
        mask_ratio=Linear(start=0, end=0.5),
        other_attacks=(AttackShare(attack=PGD(), share=Adaptive(levels=(0.75, 0.25), patience=2)),),
    )
    found = [curriculum.for_next_epoch([0.5] * epochs).at(epochs / 4) for epochs in range(4)]
    names = ("attack_steps", "epsilon_factor", "mask_ratio", "share_1_pgd")
    assert [tuple(values[name] for name in names) for values in found] == [
        (1.0, 0.5, 0.0, 0.75),
        (1.0, 0.5, 0.125, 0.75),
        (4.0, 0.5, 0.25, 0.75),
        (4.0, 1.0, 0.375, 0.25),
    ]


def test_levels_out_of_range_are_named_and_shares_that_might_meet_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"mask_ratio: 1\.5 is outside"):
        FullCurriculum(mask_ratio=Adaptive(levels=(0.5, 1.5)))
    shares = [Adaptive(levels=(0.1, 0.75)), Adaptive(levels=(0.5, 0.1))]
    with pytest.raises(ValidationError, match=r"the shares add up to 1\.25 at progress 0"):
        FullCurriculum(other_attacks=tuple(AttackShare(attack=PGD(), share=share) for share in shares))
