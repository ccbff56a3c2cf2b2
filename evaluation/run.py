"""The start of an evaluation: divide the clips among Ray tasks, collect certificates, write the report."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from evaluation.attack_lists import attack_label
from evaluation.config import MACHINE_SETTINGS, EvaluateConfig
from evaluation.planning.clips import measured_clips, open_data
from evaluation.planning.estimate import Estimate
from evaluation.planning.plan import Measurement, listed, measurements_of, total_cost, unbounded_threat
from evaluation.planning.progress import EvaluationProgress
from evaluation.reporting.page import PAGE_NAME, pictures_of, report_page
from evaluation.reporting.pictures import clip_pictures
from evaluation.reporting.report import REPORT_NAME, Report
from evaluation.reporting.results import ExampleFacts, Facts
from evaluation.reporting.summary import summarise
from evaluation.stored.certificates import CERTIFICATES_NAME, Certificates, file_sha256
from evaluation.stored.perturbations import PERTURBATIONS_NAME, write_perturbations
from evaluation.stored.pieces import KeptPieces
from evaluation.tasks.measurement import Example
from evaluation.tasks.portions import Models, device_in_words, require_resources
from evaluation.tasks.workers import measure_on_ray, measure_speed_on_ray, shared_places, show_on_ray
from evaluation.verification.files import verify, verify_files
from evaluation.victim import Victim, answer_to_a_clip, load_surrogates, load_victim, sampled_index
from preprocessing.cluster.shared_places import require_shared
from preprocessing.errors import DataError, PlaceError, SettingsError
from preprocessing.schema import DatasetIndex
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.output_lock import held
from preprocessing.storage.places import require_writable
from preprocessing.storage.provenance import Provenance, project_version
from training.models.classifier import Outputs

__all__ = ["estimate", "evaluate", "verify"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """An evaluation that can be done: everything that could be known before was looked at."""

    config: EvaluateConfig
    """The settings, without the attacks that cannot be run on this model."""
    index: DatasetIndex
    victim: Victim
    surrogates: Mapping[str, Victim]
    """The models that transferred attacks are crafted on, by name."""
    left_out: tuple[str, ...] = ()
    """Attacks of the list that are not run, each with its reason."""
    moments: DatasetIndex | None = None
    """Of the clips that attacks are judged on, where these are others than those that they are made on."""

    @property
    def moments_sha256(self) -> str | None:
        """Names the content of that data set."""
        return self.moments.content_sha256 if self.moments else None

    @property
    def num_clips(self) -> int:
        """The number of clips that are measured."""
        return measured_clips(self.index, self.config.split, self.config.limit)

    @property
    def num_batches(self) -> int:
        """The number of batches that they make."""
        return -(-self.num_clips // self.config.batch_size)

    @property
    def models(self) -> Models:
        """All models, as tasks get them."""
        return Models(self.victim.model, self.victim.sha256, {name: one.model for name, one in self.surrogates.items()})

    @property
    def fingerprint(self) -> dict[str, object]:
        """Everything that decides the certificates."""
        moments = {"moments_sha256": self.moments_sha256} if self.moments else {}
        return (
            self.config.fingerprint()
            | moments
            | {
                "model_sha256": self.victim.sha256,
                "surrogates_sha256": [each.sha256 for each in self.surrogates.values()],
                "dataset_sha256": self.index.content_sha256,
                "version": project_version(),
            }
        )


def evaluate(config: EvaluateConfig, *, model: nn.Module | None = None, prepared: Prepared | None = None) -> Report:
    """Measure a model and write report.json, report.html and the two tables behind them into `config.output`.

    Ray is initialised by the caller. Running it again goes on where an interrupted call stood, also with another number
    of workers; a finished evaluation is not done again. report.json is written last: its presence means that the
    evaluation is complete. `model` is measured in place of the one that the config names. `prepared` is what `check`
    has returned for these settings, if it was called.

    Raises:
        UserError: before anything is written, if data, checkpoint, Ray or `output` do not suit the settings.
    """
    started = time.monotonic()
    prepared = prepared or check(config, model)
    for reason in prepared.left_out:
        logger.warning("left out: %s", reason)
    if finished := finished_report(prepared):
        logger.info("'%s' holds this evaluation, finished", config.output)
        return finished
    with held(config.output, command="evaluate"):
        return _evaluate(prepared, started=started)


def _evaluate(prepared: Prepared, *, started: float) -> Report:
    config, index, folder = prepared.config, prepared.index, Path(prepared.config.output)
    measurements = measurements_of(config, index.format)
    pieces = KeptPieces(folder, prepared.fingerprint)
    certificates, devices = certify(prepared, measurements, pieces)
    example = find_example(prepared, certificates)
    shown, picture = (None, {}) if example is None else picture_of(example)
    (folder / REPORT_NAME).unlink(missing_ok=True)
    certificates.write(folder / CERTIFICATES_NAME)
    facts = Facts(
        class_names=index.classes,
        unbounded_threat=str(unbounded_threat(config.threat, index.format)),
        model_sha256=prepared.victim.sha256,
        surrogates_sha256=tuple(each.sha256 for each in prepared.surrogates.values()),
        dataset_content_sha256=index.content_sha256,
        moments_content_sha256=prepared.moments_sha256,
        certificates_sha256=file_sha256(folder / CERTIFICATES_NAME),
        seconds=time.monotonic() - started,
        device=device_in_words(config),
        objective=prepared.victim.objective,
        trained_with=prepared.victim.provenance,
        provenance=Provenance.on(", ".join(sorted(devices))),
        left_out=prepared.left_out,
        example=shown,
    )
    report = summarise(certificates, config=config, facts=facts)
    write_text(folder / PAGE_NAME, report_page(report, pictures_of(report) | picture))
    report.write(folder)
    pieces.remove()
    for warning in report.warnings:
        logger.warning("%s", warning)
    logger.info("%s: clean accuracy %.3f, %s", folder, report.clean_accuracy, report.headline)
    return report


def estimate(config: EvaluateConfig) -> Estimate:
    """The cost of an evaluation, from a batch that is really measured; nothing is attacked and nothing is written.

    Raises:
        UserError: as `evaluate`.
    """
    prepared = check(config)
    return Estimate(
        measurements=measurements_of(prepared.config, prepared.index.format),
        num_clips=prepared.num_clips,
        num_tasks=min(prepared.config.workers, prepared.num_batches),
        speed=measure_speed_on_ray(prepared.config, prepared.models),
        left_out=prepared.left_out,
    )


def check(config: EvaluateConfig, model: nn.Module | None = None) -> Prepared:
    """Refuse what cannot be measured before anything is written.

    Raises:
        UserError: if data, checkpoint, Ray or `output` do not suit the settings.
    """
    if "://" in config.output:
        raise PlaceError(f"output='{config.output}' is a URL; it must be a folder")
    require_writable(config.output)
    index = open_data(config.data, config.split, config.threat)
    victim = load_victim(config, index, model)
    surrogates = load_surrogates(config, index)
    moments = sampled_index(config, victim.model)
    config, left_out = suited_to(config, victim.model, index)
    require_resources(config)
    require_shared(*shared_places(config))
    return Prepared(config, index, victim, surrogates, left_out, moments)


def suited_to(config: EvaluateConfig, model: nn.Module, index: DatasetIndex) -> tuple[EvaluateConfig, tuple[str, ...]]:
    """The settings without the attacks that cannot be run on this model, and why each is left out.

    Raises:
        SettingsError: if none is left, or the reference attack is one of them.
    """
    outputs = answer_to_a_clip(model, index.format, audio_domain=config.threat.audio_domain)
    assert isinstance(outputs, Outputs), f"a victim returned {type(outputs)}"
    if reason := config.reference_attack.obstacle(outputs):
        raise SettingsError(f"reference_attack={attack_label(config.reference_attack)} cannot be run: {reason}")
    obstacles = {attack: attack.obstacle(outputs) for attack in (*config.attacks, *config.curve_attacks)}
    left_out = tuple(f"{attack_label(attack)}: {reason}" for attack, reason in obstacles.items() if reason)
    kept, kept_on_curve = (
        tuple(attack for attack in attacks if not obstacles[attack])
        for attacks in (config.attacks, config.curve_attacks)
    )
    if not kept:
        raise SettingsError(f"no attack of the list can be run on this model: {'; '.join(left_out)}")
    return config.model_copy(update={"attacks": kept, "curve_attacks": kept_on_curve}), left_out


def finished_report(prepared: Prepared) -> Report | None:
    """The report in `output`, if it is that of this very evaluation and sound; None if not, or if there is none."""
    folder = Path(prepared.config.output)
    try:
        report = Report.read(folder)
    except (DataError, PlaceError):
        return None
    wanted = set(EvaluateConfig.model_fields) - MACHINE_SETTINGS
    is_same = (
        report.config.model_dump(include=wanted) == prepared.config.model_dump(include=wanted)
        and report.model_sha256 == prepared.victim.sha256
        and report.surrogates_sha256 == tuple(each.sha256 for each in prepared.surrogates.values())
        and report.dataset_content_sha256 == prepared.index.content_sha256
        and report.moments_content_sha256 == prepared.moments_sha256
        and report.provenance is not None
        and report.provenance.version == project_version()
    )
    return report if is_same and not verify_files(folder) else None


def certify(
    prepared: Prepared, measurements: tuple[Measurement, ...], pieces: KeptPieces
) -> tuple[Certificates, set[str]]:
    """Attack all clips; returns the rows and the names of the processors or GPUs that did it.

    The rows are in the order of measurements, then of clips, whichever worker was faster. Each piece is kept as it
    comes, and the perturbations of a sample of clips are written to `config.output`.
    """
    config, found = prepared.config, pieces.read()
    cost, device = total_cost(measurements), device_in_words(config)
    counts = prepared.num_clips, len(measurements)
    logger.info("%d clips, %d measurements, on %s: at most %s passes per clip", *counts, device, cost)
    if found:
        logger.info("%d of %d pieces are there already", len(found), prepared.num_batches * len(measurements))
    progress = EvaluationProgress(measurements, prepared.num_clips)
    for piece in found.values():
        progress.keep(piece)
    for piece in measure_on_ray(
        config,
        prepared.models,
        measurements,
        num_batches=prepared.num_batches,
        kept=dict(found),
    ):
        progress.add(piece)
        found[piece.position] = pieces.add(piece)
    ordered = [found[position] for position in sorted(found)]
    write_perturbations(Path(config.output) / PERTURBATIONS_NAME, pieces.perturbations(sorted(found)))
    return Certificates.joined([piece.certificates for piece in ordered]), {piece.device for piece in ordered}


def find_example(prepared: Prepared, certificates: Certificates) -> Example | None:
    """The clip that most attacks of the list fooled, under the first iterative one that did; None if none was."""
    config = prepared.config
    attacks = listed(config)
    rows = [certificates.select(one.label, str(one.threat)) for one in attacks]
    fooled = np.stack([~one.is_robust & ~one.is_left_out for one in rows])
    fooled &= rows[0].is_right_when_clean
    if not fooled.any():
        return None
    position = int(fooled.sum(0).argmax())
    candidates = [one for one, has_fooled in zip(attacks, fooled[:, position], strict=True) if has_fooled]
    shown = next((one for one in candidates if one.cost.backward > 1), candidates[0])
    return show_on_ray(config, prepared.models, shown, position=position, class_names=prepared.index.classes)


def picture_of(example: Example) -> tuple[ExampleFacts, dict[str, str]]:
    """The words and the picture of a clip before and after an attack."""
    picture, video_gain, audio_gain = clip_pictures(example)
    facts = ExampleFacts(
        key=example.key,
        attack=example.attack,
        threat=example.threat,
        class_name=example.class_name,
        mistaken_for=example.mistaken_for,
        video_gain=video_gain,
        audio_gain=audio_gain,
    )
    return facts, {"clip": picture}
