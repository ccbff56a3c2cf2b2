from __future__ import annotations

from preprocessing.seeds import seed_of, shuffling_key


def test_seeds_are_the_ones_that_results_were_computed_with() -> None:
    """The first eight bytes of SHA-256, little-endian, without the lowest bit."""
    assert seed_of(0, "attacks", 1) == 2_194_161_972_937_015_400
    assert seed_of("0/attacks", 1) == seed_of(0, "attacks", 1)
    assert seed_of(0, "attacks", 2) != seed_of(0, "attacks", 1)
    assert 0 <= seed_of("any") < 2**63


def test_a_random_order_depends_on_seed_and_names_alone() -> None:
    names = [f"clip{number}" for number in range(20)]
    one = sorted(names, key=lambda name: shuffling_key(1, name))
    backwards = names[::-1]
    assert sorted(backwards, key=lambda name: shuffling_key(1, name)) == one
    assert sorted(names, key=lambda name: shuffling_key(2, name)) != one
    assert shuffling_key(1, "clip0").hex().startswith("cef1fdcf888b8d42")
