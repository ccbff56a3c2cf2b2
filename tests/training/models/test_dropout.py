from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from training.models.dropout import ClipDropout, drawing_by_clip

KEYS = ("a", "b", "c")


@pytest.fixture
def dropout() -> Iterator[ClipDropout]:
    """A layer in training mode that drops a quarter."""
    with torch.random.fork_rng():
        yield ClipDropout(0.25).train()


def dropped(
    dropout: ClipDropout, keys: tuple[str, ...], *, seed: int = 0, purpose: str = "dropout", stream: str = "video"
) -> Tensor:
    with drawing_by_clip(dropout, keys, torch.Generator().manual_seed(seed), purpose):
        found: Tensor = dropout(torch.ones(len(keys), 4, 50), stream)
        return found


def test_a_clip_loses_the_same_units_in_any_batch(dropout: ClipDropout) -> None:
    whole = dropped(dropout, KEYS)
    torch.rand(3)  # the global random state has no part in it
    assert torch.equal(dropped(dropout, KEYS[1:]), whole[1:])
    assert torch.equal(dropped(dropout, KEYS[::-1]), whole.flip(0))


def test_seed_purpose_stream_clip_and_run_each_draw_other_units(dropout: ClipDropout) -> None:
    with drawing_by_clip(dropout, KEYS, torch.Generator().manual_seed(0)):
        first, second = dropout(torch.ones(6, 4, 50), "video").chunk(2)
    assert torch.equal(first, dropped(dropout, KEYS))
    others = [second, dropped(dropout, KEYS, seed=1), dropped(dropout, KEYS, purpose="replay")]
    others += [dropped(dropout, KEYS, stream="audio"), first.roll(1, 0)]
    assert not any(torch.equal(first, other) for other in others)


def test_the_share_is_dropped_and_the_rest_makes_up_for_it(dropout: ClipDropout) -> None:
    """Of 1000 x 200 units a quarter is zero, the others are 4/3."""
    found = dropped(dropout, tuple(map(str, range(1000))))
    assert sorted(set(found.flatten().tolist())) == pytest.approx([0.0, 4 / 3])
    assert float((found == 0).float().mean()) == pytest.approx(0.25, abs=0.005)


def test_gradients_pass_where_units_do(dropout: ClipDropout) -> None:
    features = torch.ones(3, 4, 50, requires_grad=True)
    with drawing_by_clip(dropout, KEYS, torch.Generator().manual_seed(0)):
        found = dropout(features, "video")
    found.sum().backward()
    assert features.grad is not None
    assert torch.equal(features.grad, found.detach())


def test_half_precision_stays(dropout: ClipDropout) -> None:
    with drawing_by_clip(dropout, KEYS, torch.Generator()):
        assert dropout(torch.ones(3, 4, 50, dtype=torch.bfloat16), "video").dtype == torch.bfloat16


def test_nothing_is_dropped_in_evaluation_mode_or_at_ratio_zero(dropout: ClipDropout) -> None:
    features = torch.ones(3, 4, 50)
    assert dropout.eval()(features, "video") is features
    assert ClipDropout()(features, "video") is features


def test_elsewhere_the_global_random_state_decides(dropout: ClipDropout) -> None:
    dropped(dropout, KEYS)
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(dropout(torch.ones(3, 4, 50), "video"))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_other_rows_than_the_clips_are_refused(dropout: ClipDropout) -> None:
    with (
        drawing_by_clip(dropout, KEYS, torch.Generator()),
        pytest.raises(AssertionError, match="got 4 rows of features, which is no multiple of 3 clips"),
    ):
        dropout(torch.ones(4, 4, 50), "video")
