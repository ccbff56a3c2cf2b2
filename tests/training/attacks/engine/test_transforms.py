from __future__ import annotations

from typing import get_args

import pytest
import torch

from tests.training.conftest import random_batch
from training.attacks.engine.transforms import TransformName, blur, mask, mixup, scale, transformed
from training.batch import Batch

every_transform = pytest.mark.parametrize("transform", get_args(TransformName))


def with_waveforms(num_clips: int) -> Batch:
    batch = random_batch(num_clips)
    return batch.with_streams(batch.video, 2.0 * batch.audio.flatten(2) - 1.0)


@every_transform
@pytest.mark.parametrize("clips", [random_batch(3), with_waveforms(3)], ids=["logmel", "waveform"])
def test_a_copy_stays_in_its_box_and_differs(
    transform: TransformName, clips: Batch, generator: torch.Generator
) -> None:
    copy = transformed(clips, transform, generator, "copy 0")
    for one, other in ((copy.video, clips.video), (copy.audio, clips.audio)):
        assert one.shape == other.shape
        assert other.min() <= one.min()
        assert one.max() <= other.max()
        assert ((one - other).flatten(1).abs().amax(1) > 0).all()


@every_transform
def test_a_copy_depends_on_key_seed_and_purpose_alone(transform: TransformName, generator: torch.Generator) -> None:
    clips = random_batch(3)
    together = transformed(clips, transform, generator, "copy 0")
    alone = transformed(clips.select(torch.tensor([2])), transform, generator, "copy 0")
    assert torch.equal(together.video[2], alone.video[0])
    assert torch.equal(together.audio[2], alone.audio[0])
    another = transformed(clips, transform, generator, "copy 1")
    assert torch.equal(together.audio, another.audio) == (transform == "blur")


@every_transform
@pytest.mark.parametrize("shape", [(2, 3, 3, 4, 4), (2, 3, 4, 4), (2, 3, 6)], ids=["frames", "logmel", "waveform"])
def test_a_copy_has_the_slope_that_finite_differences_find(
    transform: TransformName, shape: tuple[int, ...], generator: torch.Generator
) -> None:
    stream = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).requires_grad_()
    other = torch.rand(2, 3, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def copy(values: torch.Tensor) -> torch.Tensor:
        video, audio = (values, other[:, :, 0]) if values.dim() == 5 else (other, values)
        clips = transformed(
            Batch(video, audio, torch.zeros(2, dtype=torch.int64), ("a", "b")), transform, generator, "copy 0"
        )
        return clips.video if values.dim() == 5 else clips.audio

    assert torch.autograd.gradcheck(copy, [stream])


def test_scaling_is_by_one_factor_from_one_to_a_half() -> None:
    """Draws 0, 1/2 and 1 are the factors 1, 3/4 and 1/2."""
    draws = torch.tensor([[0.0], [0.5], [1.0]])
    assert scale(torch.ones(3, 2, 5), draws)[:, 1, 4].tolist() == [1.0, 0.75, 0.5]


def test_masking_takes_a_quarter_of_each_segment_in_the_same_place() -> None:
    """Half of 8 rows times half of 8 columns of 64 values; 4 of 16 samples, the last ones for a draw just below 1."""
    draws = torch.tensor([[0.0, 0.99]])
    frames = mask(torch.ones(1, 2, 3, 8, 8), draws)
    assert (frames == 0).sum().item() == 2 * 3 * 16
    assert frames[0, 1, 2, :4, 4:].abs().max() == 0
    assert mask(torch.ones(1, 1, 16), torch.tensor([[0.99]]))[0, 0].tolist() == [1.0] * 12 + [0.0] * 4


def test_blurring_averages_neighbours_and_keeps_what_is_even() -> None:
    """A spike of 9 spreads to 1 on its 3 x 3 neighbours; of 3 samples, 3 spreads to 1 each; the border is averaged
    over what there is."""
    spike = torch.zeros(1, 1, 5, 5)
    spike[0, 0, 2, 2] = 9.0
    assert blur(spike)[0, 0, 1:4, 1:4].tolist() == [[1.0] * 3] * 3
    assert blur(torch.tensor([[[0.0, 0.0, 3.0, 0.0, 0.0]]])).tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0]]]
    assert torch.allclose(blur(torch.ones(1, 1, 3, 4, 4)), torch.ones(1, 1, 3, 4, 4))


def test_mixing_takes_another_moment_of_the_same_clip() -> None:
    """Draw 0 is the next segment, share 0.5 x 0.5: (3/4) 0 + (1/4) 4 = 1, (3/4) 4 + (1/4) 8 = 5, (3/4) 8 + 0 = 6."""
    stream = torch.tensor([[[0.0], [4.0], [8.0]]])
    assert mixup(stream, torch.tensor([[0.0, 0.5]]))[0, :, 0].tolist() == [1.0, 5.0, 6.0]
    assert torch.equal(mixup(stream[:, :1], torch.tensor([[0.0, 0.5]])), stream[:, :1])
