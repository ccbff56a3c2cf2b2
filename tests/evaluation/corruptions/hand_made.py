"""Predictions and reports written by hand, whose numbers can be worked out."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.corruptions.config import CorruptionsConfig
from evaluation.corruptions.kinds.listing import CorruptionName
from evaluation.corruptions.predictions import Prediction, Predictions
from evaluation.corruptions.report import Facts
from preprocessing.storage.provenance import Provenance

FACTS = Facts(
    class_names=("bowling", "singing", "playing <drums>"),
    model_sha256="ab" * 32,
    dataset_content_sha256="cd" * 32,
    predictions_sha256="ef" * 32,
    recordings_sha256=None,
    seconds=1.5,
    device="CPU",
    objective="standard",
    trained_with=None,
    provenance=Provenance(version="1.2.3", commit=None, libraries={"torch": "2.0"}, device="a processor"),
)


def prediction(**changes: object) -> Prediction:
    """A row of a clip that is always right, with changes."""
    right: dict[str, object] = {
        "key": "clip",
        "label": 1,
        "clean_prediction": 1,
        "corruption": "rain",
        "severity": 1,
        "prediction_both": 1,
        "prediction_video": 1,
        "prediction_audio": 1,
        "psnr_video_db": 20.0,
        "snr_audio_db": 10.0,
        "seed": 0,
        "model_sha256": "ab" * 32,
    }
    return Prediction.model_validate(right | changes)


def measured(errors: dict[tuple[CorruptionName, int], Sequence[int]], *, num_clips: int = 10) -> Predictions:
    """Clips of which those at these positions are wrong with both corrupted, and the first one with the frames alone.

    Nothing is wrong with the sound alone, and the last clip when clean.
    """
    return Predictions.from_rows(
        [
            prediction(
                key=f"clip {number}",
                corruption=name,
                severity=severity,
                clean_prediction=0 if number == num_clips - 1 else 1,
                prediction_both=0 if number in wrong else 1,
                prediction_video=0 if number in wrong[:1] else 1,
                psnr_video_db=None if number == 0 else 10.0 * severity + number,
            )
            for (name, severity), wrong in errors.items()
            for number in range(num_clips)
        ]
    )


def config_of(**changes: object) -> CorruptionsConfig:
    """Rain, gaussian noise and a masking at severities 1 and 5."""
    return CorruptionsConfig.model_validate(
        {
            "checkpoint": "model",
            "data": "dataset",
            "output": "report",
            "corruptions": ("gaussian", "rain", "synchronous_masking"),
            "severities": (1, 5),
            "num_resamples": 200,
            **changes,
        }
    )


ERRORS: dict[tuple[CorruptionName, int], Sequence[int]] = {
    ("gaussian", 1): (),
    ("gaussian", 5): (0, 1),
    ("rain", 1): (0,),
    ("rain", 5): (0, 1, 2, 3, 4),
    ("synchronous_masking", 1): (),
    ("synchronous_masking", 5): (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
}
"""Of ten clips; over both severities gaussian errs in 10 %, rain in 30 % and masking in 50 %."""
