"""The making of a model, as far as its checkpoint still says: it may have been moved or replaced since."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.reporting.report import Report
from preprocessing.errors import DataError
from training.checkpoint import CheckpointInfo, load_info, model_sha256, stored_settings


@dataclass(frozen=True)
class Origin:
    """A checkpoint's record of itself and the settings of its training as plain data."""

    info: CheckpointInfo
    settings: dict[str, Any]

    @property
    def has_additional_data(self) -> bool:
        """True if an encoder began with weights from elsewhere, which were learnt from other data."""
        model = self.info.model
        return any(source != "none" for source in (model.video_weights, model.audio_weights, model.weights))


def origin_of(report: Report) -> Origin | None:
    """The origin of the model that a report measured; None if its checkpoint is gone, another, or none of ours."""
    if report.config.checkpoint is None:
        return None
    folder = Path(report.config.checkpoint)
    try:
        if model_sha256(folder) != report.model_sha256:
            return None
        return Origin(load_info(folder), stored_settings(folder))
    except DataError:
        return None
