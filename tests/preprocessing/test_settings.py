from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from preprocessing.settings import MAX_DIFFERENCES, Settings, describe_differences, flatten

LEAVES = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
TREES = st.dictionaries(
    st.sampled_from("abc"), LEAVES | st.dictionaries(st.sampled_from("de"), LEAVES, min_size=1), min_size=1
)


class Optimizer(Settings):
    learning_rate: float = 0.001
    betas: tuple[float, ...] = (0.9, 0.99)


class Pgd(Settings):
    name: Literal["pgd"] = "pgd"
    steps: int = 10


class Fgsm(Settings):
    name: Literal["fgsm"] = "fgsm"
    random_start: bool = True


class Job(Settings):
    optimizer: Optimizer = Optimizer()
    attacks: tuple[Pgd | Fgsm, ...] = (Pgd(), Fgsm())


def test_a_changed_leaf_is_told_alone() -> None:
    now = Job(optimizer=Optimizer(learning_rate=0.003))
    assert describe_differences(Job(), now) == ["optimizer.learning_rate: 0.001 there, 0.003 now"]


def test_entries_of_lists_are_numbered_and_another_member_is_told_by_its_name() -> None:
    assert describe_differences(Job(), Job(attacks=(Pgd(steps=2), Pgd()))) == [
        "attacks.0.steps: 10 there, 2 now",
        "attacks.1.name: 'fgsm' there, 'pgd' now",
    ]
    assert describe_differences(Job(), Job(attacks=(Pgd(),)), places=("in a", "in b")) == [
        "attacks.1: fgsm in a, nothing in b"
    ]


def test_many_differences_are_counted() -> None:
    lines = describe_differences({str(n): 0 for n in range(100)}, {str(n): 1 for n in range(100)})
    assert len(lines) == MAX_DIFFERENCES + 1
    assert lines[-1] == "... and 80 more"


def test_leaves_have_dotted_keys() -> None:
    assert flatten(Job()) == {
        "optimizer.learning_rate": 0.001,
        "optimizer.betas": [0.9, 0.99],
        "attacks.0.name": "pgd",
        "attacks.0.steps": 10,
        "attacks.1.name": "fgsm",
        "attacks.1.random_start": True,
    }


@given(TREES, TREES)
def test_trees_differ_exactly_when_a_difference_is_told(one: dict[str, object], other: dict[str, object]) -> None:
    assert bool(describe_differences(one, other)) == (one != other)
