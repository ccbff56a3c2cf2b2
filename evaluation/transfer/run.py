"""The start of a measurement of transfer: divide the clips among tasks, collect outcomes, write a report."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluation.attack_lists import attack_label
from evaluation.planning.clips import measured_clips, open_data
from evaluation.stored.certificates import file_sha256
from evaluation.stored.kept_tables import KeptTables, Position
from evaluation.tasks.portions import device_in_words, portions_on_ray, require_resources
from evaluation.transfer import tables
from evaluation.transfer.budget import passes_of
from evaluation.transfer.config import MACHINE_SETTINGS, TransferConfig
from evaluation.transfer.measurement import TransferPiece, measure_portion
from evaluation.transfer.models import LoadedModels, answers_of, load_models
from evaluation.transfer.outcomes import OUTCOMES_NAME, Outcomes
from evaluation.transfer.page import PAGE_NAME, charts_of, transfer_page
from evaluation.transfer.plan import Crafting, craftings_of
from evaluation.transfer.progress import TransferProgress
from evaluation.transfer.report import TRANSFER_NAME, CraftingFacts, Facts, TransferReport
from evaluation.transfer.summary import summarise
from evaluation.transfer.verification import verify
from evaluation.victim import sampled_index
from preprocessing.cluster.shared_places import SharedPlace, require_shared
from preprocessing.errors import DataError, PlaceError, SettingsError
from preprocessing.schema import INDEX_NAME, DatasetIndex
from preprocessing.storage.atomic_file import write_text
from preprocessing.storage.output_lock import held
from preprocessing.storage.places import require_writable
from preprocessing.storage.provenance import Provenance, project_version
from training.data import portion_of

__all__ = ["FILES", "check", "measure", "verify"]

logger = logging.getLogger(__name__)

PIECE = ".outcomes.parquet"
"""End of the name of a piece's file."""
TEXTS = {
    "transfer.md": tables.markdown,
    "transfer.tex": tables.latex,
    "cells.csv": tables.cells_csv,
}
"""The tables, by file."""
FILES = (TRANSFER_NAME, PAGE_NAME, OUTCOMES_NAME, *TEXTS)
"""The files of a measurement."""


@dataclass(frozen=True)
class Prepared:
    """A measurement that can be done: everything that could be known before was looked at."""

    config: TransferConfig
    index: DatasetIndex
    models: LoadedModels
    craftings: tuple[Crafting, ...]
    left_out: tuple[str, ...]
    """Attacks that cannot be run on a surrogate, each with its reason."""
    moments_sha256: str | None = None
    """Names the content of the clips that attacks are tried on, where these are others than they are made on."""

    @property
    def num_clips(self) -> int:
        """The number of clips that are measured."""
        return measured_clips(self.index, self.config.split, self.config.limit)

    @property
    def num_batches(self) -> int:
        """The number of batches that they make."""
        return -(-self.num_clips // self.config.batch_size)

    @property
    def fingerprint(self) -> dict[str, object]:
        """Everything that decides the outcomes."""
        moments = {"moments_sha256": self.moments_sha256} if self.moments_sha256 else {}
        return (
            self.config.fingerprint()
            | moments
            | {
                "models_sha256": self.models.for_tasks.sha256,
                "dataset_sha256": self.index.content_sha256,
                "version": project_version(),
            }
        )


def measure(config: TransferConfig, *, prepared: Prepared | None = None) -> TransferReport:
    """Measure transfer and write the report, its outcomes, its page and its tables.

    Ray is initialised by the caller. Running it again goes on where an interrupted call stood, also with another number
    of workers; a finished measurement is not done again. transfer.json is written last: its presence means that all is
    complete. `prepared` is what `check` has returned for these settings, if it was called.

    Raises:
        UserError: as `check` says.
    """
    started = time.monotonic()
    prepared = prepared or check(config)
    for reason in prepared.left_out:
        logger.warning("left out: %s", reason)
    if finished := finished_report(prepared):
        logger.info("'%s' holds this measurement, finished", config.output)
        return finished
    with held(config.output, command="transfer"):
        return _measure(prepared, started=started)


def _measure(prepared: Prepared, *, started: float) -> TransferReport:
    config = prepared.config
    folder = Path(config.output)
    pieces = KeptTables(folder, prepared.fingerprint)
    outcomes, devices = collect(prepared, pieces)
    (folder / TRANSFER_NAME).unlink(missing_ok=True)
    outcomes.write(folder / OUTCOMES_NAME)
    facts = Facts(
        models=prepared.models.facts,
        craftings=tuple(map(crafting_facts, prepared.craftings)),
        left_out=prepared.left_out,
        class_names=prepared.index.classes,
        dataset_content_sha256=prepared.index.content_sha256,
        moments_content_sha256=prepared.moments_sha256,
        outcomes_sha256=file_sha256(folder / OUTCOMES_NAME),
        seconds=time.monotonic() - started,
        device=device_in_words(config),
        provenance=Provenance.on(", ".join(sorted(devices))),
    )
    report = summarise(outcomes, config=config, facts=facts)
    write_text(folder / PAGE_NAME, transfer_page(report, charts_of(report)))
    for name, text in TEXTS.items():
        write_text(folder / name, text(report))
    report.write(folder)
    pieces.remove()
    logger.info("%s: %s", folder, report.headline)
    return report


def check(config: TransferConfig) -> Prepared:
    """Refuse what cannot be measured before anything is written.

    Raises:
        UserError: if data, models, Ray or `output` do not suit the settings, or no attack can be run on any surrogate.
    """
    if "://" in config.output:
        raise PlaceError(f"output='{config.output}' is a URL; it must be a folder")
    require_writable(config.output)
    index = open_data(config.data, config.split, config.threat)
    models = load_models(config, index)
    answers = answers_of(config.surrogates, models.for_tasks, index, config)
    craftings, left_out = craftings_of(config, answers)
    if not craftings:
        raise SettingsError(f"no attack of the list can be run on any surrogate: {'; '.join(left_out)}")
    moments = sampled_index(config, *(each.model for each in models.victims.values()))
    require_resources(config)
    require_shared(*shared_places(config))
    return Prepared(config, index, models, craftings, left_out, moments.content_sha256 if moments else None)


def collect(prepared: Prepared, pieces: KeptTables) -> tuple[Outcomes, set[str]]:
    """The outcomes of all tasks, and the names of the processors or GPUs that made them.

    The rows are in the order of craftings, then of batches, whichever worker was faster; pieces are kept as they come.
    """
    config, craftings = prepared.config, prepared.craftings
    found = pieces.read(PIECE, _piece)
    progress = TransferProgress(craftings, prepared.num_clips)
    counts = prepared.num_clips, len(craftings), device_in_words(config)
    total = sum(passes_of(each.measurement.attack, num_models=len(each.surrogate.members)) for each in craftings)
    logger.info("%d clips, %d attacks crafted, on %s: at most %g passes per clip", *counts, total)
    if found:
        logger.info("%d of %d pieces are there already", len(found), prepared.num_batches * len(craftings))
    for piece in found.values():
        progress.keep(piece)
    for piece in measured_on_ray(prepared, found):
        pieces.add(piece.position, PIECE, piece.outcomes.table, device=piece.device)
        found[piece.position] = piece
        progress.add(piece)
    ordered = [found[position] for position in sorted(found)]
    return Outcomes.joined([piece.outcomes for piece in ordered]), {piece.device for piece in ordered}


def measured_on_ray(prepared: Prepared, found: dict[Position, TransferPiece]) -> Iterator[TransferPiece]:
    """Pieces as tasks finish them, in no certain order, without those that were `found`, each once."""
    config, craftings = prepared.config, prepared.craftings

    def arguments(rank: int) -> tuple[object, ...] | None:
        portion = portion_of(prepared.num_batches, rank=rank, world_size=config.workers)
        there = frozenset(position for position in found if position[1] in portion)
        is_done = len(there) == len(portion) * len(craftings)
        return None if is_done else (config, craftings, rank, portion.start, there)

    models, places = prepared.models.for_tasks, shared_places(config)
    for _, piece in portions_on_ray(config, measure_portion, models, arguments, places=places):
        if piece.position not in found:
            yield piece


def finished_report(prepared: Prepared) -> TransferReport | None:
    """The report in `output`, if it is that of this very measurement and sound; None if not, or if there is none."""
    config, folder = prepared.config, Path(prepared.config.output)
    try:
        report = TransferReport.read(folder)
    except (DataError, PlaceError):
        return None
    wanted = set(TransferConfig.model_fields) - MACHINE_SETTINGS
    is_same = (
        report.config.model_dump(include=wanted) == config.model_dump(include=wanted)
        and {each.name: each.sha256 for each in report.facts.models} == prepared.models.for_tasks.sha256
        and report.facts.dataset_content_sha256 == prepared.index.content_sha256
        and report.facts.moments_content_sha256 == prepared.moments_sha256
        and report.facts.provenance.version == project_version()
    )
    return report if is_same and not verify(folder) else None


def crafting_facts(crafting: Crafting) -> CraftingFacts:
    """The report's words on one attack on one surrogate."""
    attack, num_models = crafting.measurement.attack, len(crafting.surrogate.members)
    return CraftingFacts(
        attack=crafting.attack,
        surrogate=crafting.surrogate.name,
        settings=attack_label(attack),
        forward_passes=crafting.cost.forward,
        backward_passes=crafting.cost.backward,
        passes=passes_of(attack, num_models=num_models),
    )


def shared_places(config: TransferConfig) -> tuple[SharedPlace, ...]:
    """The folders that every node must see."""
    places = {"data": config.data} | ({"moments": config.moments} if config.moments else {})
    return tuple(SharedPlace(name, place, INDEX_NAME) for name, place in places.items())


def _piece(path: Path, facts: dict[str, Any]) -> TransferPiece:
    return TransferPiece(facts["measurement"], facts["batch"], Outcomes.read(path), facts["device"])
