"""A checkpoint at work: classes of videos of any length, what breaks them, and the model in other formats."""

from __future__ import annotations

from evaluation.prediction.run import predict

__all__ = ["predict"]
