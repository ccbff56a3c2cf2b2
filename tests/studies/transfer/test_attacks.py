from __future__ import annotations

from studies.transfer.attacks import BASELINE, PRESET, STEPS, by_size, contenders
from training.attacks import MIFGSM


def test_all_attacks_have_the_same_budget_of_backward_passes() -> None:
    for name, each in (contenders() | by_size()).items():
        assert each.attack.cost.backward == STEPS, name


def test_only_the_baseline_has_the_published_step() -> None:
    steps = {name: each.attack for name, each in contenders().items() if isinstance(each.attack, MIFGSM)}
    assert [name for name, attack in steps.items() if attack.step_size is None] == [BASELINE]
    assert not contenders()[PRESET].is_peer
