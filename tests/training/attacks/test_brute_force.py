"""On a network so small that every corner of the ball can be tried, attacks must find (nearly) the worst one."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from evaluation.attack_lists import attack_label
from training.attacks import APGD, PGD, Attack
from training.attacks.engine.losses import margin
from training.batch import Batch
from training.models import Outputs
from training.threat import ThreatModel

THREAT = ThreatModel(video=0.1, audio=0.2)
ATTACKS: list[Attack] = [PGD(steps=100, restarts=4), APGD(steps=100, restarts=4, loss="margin")]
NUM_NETWORKS = 5


class TinyReLU(nn.Module):
    """Two layers on 3 x 2 x 1 pixel values and 2 x 2 log-mel values: ten inputs, 1,024 corners, three classes."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        source = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(10, 12, generator=source, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(12, 3, generator=source, dtype=torch.float64))

    def forward(self, video: Tensor, audio: Tensor) -> Outputs:
        values = torch.cat([video.flatten(1), audio.flatten(1)], dim=1)
        return Outputs((values @ self.first).relu() @ self.second)


def clips_of(network: TinyReLU) -> Batch:
    """Eight clips inside the box, labelled as the network sees them."""
    source = torch.Generator().manual_seed(1)
    video = 0.3 + 0.4 * torch.rand(8, 1, 3, 2, 1, generator=source, dtype=torch.float64)
    audio = 0.3 + 0.4 * torch.rand(8, 1, 2, 2, generator=source, dtype=torch.float64)
    return Batch(video, audio, network(video, audio).logits.argmax(1), tuple("abcdefgh"))


def worst_corner(network: TinyReLU, clips: Batch) -> Tensor:
    """Largest margin of a wrong class over all corners of each clip's ball; positive where one fools the network."""
    signs = torch.tensor(list(product((-1.0, 1.0), repeat=10)), dtype=torch.float64)
    margins = []
    for row in range(len(clips)):
        video = clips.video[row] + THREAT.video * signs[:, :6].reshape(-1, 1, 3, 2, 1)
        audio = clips.audio[row] + THREAT.audio * signs[:, 6:].reshape(-1, 1, 2, 2)
        corners = Batch(video, audio, clips.labels[row].expand(len(signs)), clips.keys[:1] * len(signs))
        margins.append(margin(network(video, audio).logits, corners).amax())
    return torch.stack(margins)


@pytest.mark.parametrize("attack", ATTACKS, ids=attack_label)
def test_the_worst_corner_is_found(attack: Attack) -> None:
    """Over 40 clips of five networks: all that any corner fools are fooled, the others come 99 % of the way."""
    ways = []
    with torch.no_grad():
        for seed in range(NUM_NETWORKS):
            network = TinyReLU(seed)
            clips = clips_of(network)
            perturbed = attack(network, clips, THREAT, torch.Generator().manual_seed(0))
            worst = worst_corner(network, clips)
            clean, found = (margin(network(each.video, each.audio).logits, clips) for each in (clips, perturbed))
            assert (found > 0)[worst > 0].all()
            ways += ((found - clean) / (worst - clean))[worst <= 0].tolist()
    assert 5 < len(ways) < 35
    assert sum(ways) / len(ways) >= 0.99
