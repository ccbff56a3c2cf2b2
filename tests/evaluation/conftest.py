"""Clips whose class is a faint pattern in frames and sound, and a tiny classifier really trained on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from evaluation.config import EvaluateConfig
from evaluation.planning.plan import measurements_of, unbounded_threat
from evaluation.reporting.report import Report
from evaluation.reporting.results import Facts
from evaluation.reporting.summary import summarise
from evaluation.stored.certificates import Certificate, Certificates
from evaluation.tasks.measurement import measure_all
from preprocessing.schema import ClipFormat
from preprocessing.storage.provenance import Provenance
from training.attacks import FGSM, PGD
from training.batch import Batch
from training.models import Classifier, ModelConfig
from training.threat import ThreatModel

NUM_CLASSES = 4
FORMAT = ClipFormat(num_segments=3, segment_seconds=0.1, frame_size=16, num_mels=16, n_fft=256, hop_length=100)

Certify = Callable[..., Certificates]
Summarise = Callable[[Certificates, EvaluateConfig], Report]
HandMade = Callable[[EvaluateConfig, Mapping[str, Sequence[int]]], Certificates]


PROVENANCE = Provenance(version="1.2.3", commit="ab" * 20, libraries={"torch": "2.0"}, device="a processor")


def make_clips(num_clips: int, *, seed: int) -> Batch:
    """Noise with a class pattern, weak enough for attacks of a few grey levels to matter."""
    patterns = torch.Generator().manual_seed(99)
    video_patterns = torch.rand(NUM_CLASSES, 1, 3, FORMAT.frame_size, FORMAT.frame_size, generator=patterns) - 0.5
    audio_patterns = torch.rand(NUM_CLASSES, 1, FORMAT.num_mels, FORMAT.steps, generator=patterns) - 0.5
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=random)
    video = 0.5 + 0.25 * video_patterns[labels].expand(-1, FORMAT.num_segments, -1, -1, -1)
    audio = 0.5 + 0.25 * audio_patterns[labels].expand(-1, FORMAT.num_segments, -1, -1)
    return Batch(
        video=(video + 0.25 * torch.randn(video.shape, generator=random)).clamp(0, 1),
        audio=(audio + 0.25 * torch.randn(audio.shape, generator=random)).clamp(0, 1),
        labels=labels,
        keys=tuple(f"clip_{seed}_{number:04d}" for number in range(num_clips)),
    )


def make_tones(num_clips: int, *, seed: int) -> Batch:
    """Grey frames, and a faint tone of the class's pitch in noise as the sound: 3 segments of 1600 samples."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(NUM_CLASSES, (num_clips,), generator=random)
    pitches = torch.tensor([400.0, 1100.0, 2600.0, 5200.0])[labels]
    times = torch.arange(FORMAT.segment_samples) / FORMAT.sample_rate_hz
    tones = 0.01 * torch.sin(2 * torch.pi * pitches[:, None, None] * times)
    noise = 0.02 * torch.randn(num_clips, FORMAT.num_segments, FORMAT.segment_samples, generator=random)
    return Batch(
        video=torch.full((num_clips, FORMAT.num_segments, 3, FORMAT.frame_size, FORMAT.frame_size), 0.5),
        audio=((tones + noise) * 32768).round().clamp(-32768, 32767) / 32768,
        labels=labels,
        keys=tuple(f"tone_{seed}_{number:04d}" for number in range(num_clips)),
    )


def in_batches(clips: Batch, batch_size: int) -> list[Batch]:
    """The same clips in batches."""
    return [
        Batch(
            video=clips.video[start : start + batch_size],
            audio=clips.audio[start : start + batch_size],
            labels=clips.labels[start : start + batch_size],
            keys=clips.keys[start : start + batch_size],
        )
        for start in range(0, len(clips), batch_size)
    ]


def train_briefly(classifier: Classifier, clips: Batch) -> None:
    """Six epochs of plain training; the classifier is in evaluation mode afterwards."""
    optimizer = torch.optim.Adam(classifier.parameters(), lr=5e-3)
    for _ in range(6):
        for batch in in_batches(clips, 32):
            loss = functional.cross_entropy(classifier(batch.video, batch.audio).logits, batch.labels)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
    classifier.eval()


@pytest.fixture(scope="session")
def stored_later(tmp_path_factory: pytest.TempPathFactory, tiny_videos: Path, ray_session: None) -> Path:
    """The clips of `tiny_dataset` half a segment later, their ends filled up."""
    return store_again(tiny_videos, tmp_path_factory.mktemp("stored_later") / "shards", offset=0.5)


def store_again(videos: Path, output: Path, **changes: object) -> Path:
    """The clips of `tiny_dataset` in a format with changes."""
    from preprocessing.config import AcceptanceRules, PreprocessConfig
    from preprocessing.datasets import KineticsSounds
    from preprocessing.run import preprocess
    from tests.tiny_video import TINY_CLASSES

    known = {"num_segments": 4, "segment_seconds": 0.5, "frame_size": 32, "num_mels": 32}
    preprocess(
        PreprocessConfig(
            dataset=KineticsSounds(root=videos, classes=TINY_CLASSES),
            output=str(output),
            format=ClipFormat.model_validate(known | changes),
            rules=AcceptanceRules(missing_tail="pad"),
            shard_size=10,
        )
    )
    return output


@pytest.fixture(scope="session")
def class_names() -> tuple[str, ...]:
    """One of them would be markup if a page did not escape it."""
    return ("blowing nose", "bowling", "playing drums", "playing <violin>")


@pytest.fixture(scope="session")
def clip_format() -> ClipFormat:
    """Three segments of 0.1 s: 16 px frames and 16 x 16 log-mel patches."""
    return FORMAT


@pytest.fixture(scope="session")
def clips() -> Batch:
    """Clips that the model has not seen."""
    return make_clips(48, seed=1)


@pytest.fixture(scope="session")
def few_clips(clips: Batch) -> Batch:
    """The first 15 of them."""
    return in_batches(clips, 15)[0]


@pytest.fixture(scope="session")
def training_clips() -> Batch:
    """Clips that models are trained on."""
    return make_clips(256, seed=0)


@pytest.fixture(scope="session")
def model(training_clips: Batch) -> Classifier:
    """A tiny classifier trained for about a second."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16).build(
            FORMAT, NUM_CLASSES
        )
    train_briefly(classifier, training_clips)
    return classifier


@pytest.fixture(scope="session")
def tones() -> Batch:
    """Waveforms that the model below has not heard."""
    return make_tones(24, seed=1)


@pytest.fixture(scope="session")
def listening_model() -> Classifier:
    """A tiny classifier trained on waveforms for about a second."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = ModelConfig(video_encoder="tiny", audio_encoder="tiny", fusion="concat", feature_size=16).build(
            FORMAT, NUM_CLASSES
        )
    train_briefly(classifier, make_tones(256, seed=0))
    return classifier


@pytest.fixture(scope="session")
def config() -> EvaluateConfig:
    """Few steps at a budget that fools some clips and not others."""
    return EvaluateConfig(
        checkpoint="model",
        data="dataset",
        output="report",
        threat=ThreatModel(video=7 / 255, audio=7 / 255),
        attacks=(FGSM(), PGD(steps=5), PGD(steps=5, loss="margin")),
        reference_attack=PGD(steps=5),
        curve_attacks=(PGD(steps=5, loss="margin"),),
        curve=(0.0, 1.0, 4.0),
        num_resamples=200,
    )


@pytest.fixture(scope="session")
def certify() -> Certify:
    """Run all measurements of a config on clips, in this process."""

    def run(model: nn.Module, clips: Batch, config: EvaluateConfig, *, batch_size: int = 16) -> Certificates:
        measurements = measurements_of(config, FORMAT)
        found = measure_all(
            model, in_batches(clips, batch_size), measurements, seed=config.seed, model_sha256="ab" * 32
        )
        return Certificates.joined([piece.certificates for piece in sorted(found, key=lambda piece: piece.position)])

    return run


@pytest.fixture(scope="session")
def certificates(certify: Certify, model: Classifier, clips: Batch, config: EvaluateConfig) -> Certificates:
    """What the attacks of `config` did to `clips`."""
    return certify(model, clips, config)


@pytest.fixture(scope="session")
def summarised(class_names: tuple[str, ...]) -> Summarise:
    """The report of certificates."""

    def run(certificates: Certificates, config: EvaluateConfig) -> Report:
        facts = Facts(
            class_names=class_names,
            unbounded_threat=str(unbounded_threat(config.threat, FORMAT)),
            model_sha256="ab" * 32,
            dataset_content_sha256="cd" * 32,
            certificates_sha256="ef" * 32,
            seconds=1.5,
            device="CPU",
            objective="tma_curriculum",
            provenance=PROVENANCE,
        )
        return summarise(certificates, config=config, facts=facts)

    return run


@pytest.fixture(scope="session")
def hand_made() -> HandMade:
    """Certificates with given predictions: `{"clean": ..., "fgsm": ...}`, the fallback "else" for what is not named.

    Clip number n has the label n modulo 4; a measurement is named by its attack, or by attack and threat.
    """

    def make(config: EvaluateConfig, predictions: Mapping[str, Sequence[int]]) -> Certificates:
        rows = []
        for measurement in measurements_of(config, FORMAT):
            threat = str(measurement.threat)
            chosen = predictions.get(f"{measurement.label} {threat}", predictions.get(measurement.label))
            for clip, clean in enumerate(predictions["clean"]):
                rows.append(
                    certificate(
                        key=f"clip_{clip}",
                        label=clip % NUM_CLASSES,
                        clean_prediction=clean,
                        attack=measurement.label,
                        threat=threat,
                        perturbed_prediction=(predictions["else"] if chosen is None else chosen)[clip],
                        epsilon_video=measurement.threat.video,
                        epsilon_audio=measurement.threat.audio,
                    )
                )
        return Certificates.from_rows(rows)

    return make


def certificate(**changes: object) -> Certificate:
    """A certificate of an untouched clip, with changes."""
    untouched: dict[str, object] = {
        "video_gradient": 1.0,
        "audio_gradient": 1.0,
        "uses_video": True,
        "uses_audio": True,
        "forward_difference": 0.0,
        "companion_difference": 0.0,
        "video_alignment": (1.0,) * 4,
        "audio_alignment": (1.0,) * 4,
        "video_rise": 0.1,
        "audio_rise": 0.1,
        "video_smoothed_rise": 0.1,
        "audio_smoothed_rise": 0.1,
        "video_path_gradient": (1.0,) * 3,
        "audio_path_gradient": (1.0,) * 3,
        "distance_video": 0.0,
        "distance_audio": 0.0,
        "linf_video": 0.0,
        "linf_audio": 0.0,
        "linf_outside": 0.0,
        "l2_video": 0.0,
        "l2_audio": 0.0,
        "psnr_video_db": None,
        "snr_audio_db": None,
        "unusable_gradients": 0.0,
        "seed": 0,
        "model_sha256": "ab" * 32,
    }
    return Certificate.model_validate(untouched | changes)
