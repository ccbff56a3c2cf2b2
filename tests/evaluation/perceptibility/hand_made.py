"""Rows with given numbers, and the facts of a report about them."""

from __future__ import annotations

from typing import Any

from evaluation.perceptibility.config import PerceptibilityConfig
from evaluation.perceptibility.report import ExportedClip, Facts, PerceptibilityReport
from evaluation.perceptibility.rows import Row, Rows
from evaluation.perceptibility.summary import summarise
from preprocessing.storage.provenance import Provenance

PROVENANCE = Provenance(version="1.2.3", commit="ab" * 20, libraries={"torch": "2.0"}, device="a processor")
CONFIG = PerceptibilityConfig(evaluation="<evaluation>", output="out", num_resamples=400)
EXPORTED = ExportedClip(
    key="clip_0",
    attack="pgd",
    class_name="playing <violin>",
    clean_class="playing <violin>",
    mistaken_for="singing",
    files={"clips/1/original_lossless.mp4": "12" * 32, "clips/1/adversarial.flac": "34" * 32},
)
FACTS = Facts(
    class_names=("playing <violin>", "singing"),
    threat="linf(video=4/255, waveform=0.01)",
    audio_domain="waveform",
    storage_titles={"jpeg_75": "JPEG 75", "aac_64": "AAC 64 kbit/s"},
    not_applicable=(),
    enlarged=7,
    exports=(EXPORTED,),
    model_sha256="ab" * 32,
    dataset_content_sha256="cd" * 32,
    evaluation_sha256="ef" * 32,
    rows_sha256="01" * 32,
    seconds=2.5,
    device="the processor, without a GPU",
    objective="pgd_at",
    trained_with=PROVENANCE,
    provenance=PROVENANCE,
)


def row(clip: int, attack: str = "pgd", *, wrong: str = "", **changes: Any) -> Row:
    """Clip number `clip` of class 0, right but where `wrong` says: some of `clean perturbed jpeg aac clean_jpeg`."""
    is_wrong = {name: int(name in wrong.split()) for name in ("clean", "perturbed", "jpeg", "aac", "clean_jpeg")}
    untouched = {
        "key": f"clip_{clip}",
        "label": 0,
        "attack": attack,
        "threat": FACTS.threat,
        "clean_prediction": is_wrong["clean"],
        "perturbed_prediction": is_wrong["perturbed"],
        "ssim_video": 0.9,
        "psnr_video_db": 30.0,
        "snr_audio_db": 20.0,
        "lsd_audio_db": 1.0,
        "stored_predictions": {"jpeg_75": is_wrong["jpeg"], "aac_64": is_wrong["aac"]},
        "clean_stored_predictions": {"jpeg_75": is_wrong["clean_jpeg"], "aac_64": is_wrong["clean"]},
        "model_sha256": FACTS.model_sha256,
    }
    return Row.model_validate(untouched | changes)


ROWS = Rows.from_rows(
    [
        row(0, wrong="perturbed jpeg aac clean_jpeg", ssim_video=0.5, lsd_audio_db=4.0),
        row(1, wrong="perturbed aac", ssim_video=0.7, lsd_audio_db=3.0),
        row(2, wrong="perturbed aac", ssim_video=0.6, lsd_audio_db=2.0),
        row(3, wrong="clean perturbed jpeg aac", ssim_video=0.8),
        row(4, ssim_video=None, psnr_video_db=None),
        row(0, "fgsm", wrong="perturbed clean_jpeg"),
        row(2, "fgsm", wrong="", snr_audio_db=None, lsd_audio_db=None),
    ]
)
"""Five clips: pgd fools 0, 1 and 2, clip 3 is wrong untouched; fgsm has rows of two and fools one."""


def report_of(rows: Rows = ROWS, **facts: Any) -> PerceptibilityReport:
    return summarise(rows, config=CONFIG, facts=FACTS.model_copy(update=facts))
