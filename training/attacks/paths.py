"""Straight paths between a clip and a baseline: where an attack looks that averages gradients along them."""

from __future__ import annotations

import torch

from training.attacks.gradients import Streams
from training.batch import MODALITIES, Batch
from training.threat import ThreatModel


def replaced_where_allowed(batch: Batch, values: Streams, threat: ThreatModel) -> Batch:
    """The clips with `values` wherever the threat allows a change; everything else stays, so no path moves it.

    Values broadcast over the clips.
    """
    streams: Streams = {name: batch.stream(name) for name in MODALITIES}
    for name in threat.modalities:
        stream = streams[name]
        streams[name] = torch.where(threat.support(stream), values[name].to(stream), stream)
    return batch.with_streams(**streams)


def between(baseline: Batch, batch: Batch, share: float) -> Batch:
    """The point baseline + share (batch - baseline) of each clip's path; at 0 and 1 its ends, bit for bit."""
    streams: Streams = {name: torch.lerp(baseline.stream(name), batch.stream(name), share) for name in MODALITIES}
    return batch.with_streams(**streams)
