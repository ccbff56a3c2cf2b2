from __future__ import annotations

from training.passes import Passes


def test_passes_add_up_and_read_in_forward_and_backward_ones() -> None:
    total = Passes(1.25, 1) + Passes(1, 0.5) * 2
    assert total == Passes(3.25, 2.0)
    assert str(total) == "3.25 F + 2 B"
