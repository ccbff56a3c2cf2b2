"""The re-check of whatever a folder holds: a data set, a report, or another measurement of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from preprocessing.checks.config import VerifyConfig
from preprocessing.errors import PlaceError, SettingsError

REPORT, CORRUPTIONS, TRANSFER = "report.json", "corruptions.json", "transfer.json"
PERCEPTIBILITY = "perceptibility.json"
REPORTS = (REPORT, CORRUPTIONS, TRANSFER, PERCEPTIBILITY)


def problems_of(place: str, config: VerifyConfig) -> Sequence[str]:
    """The problems of what lies at a place, one sentence each; only what is needed for it is imported.

    Raises:
        UserError: if it is none of them, or a setting is about another of them.
    """
    found = [name for name in REPORTS if "://" not in place and (Path(place) / name).exists()]
    if not found:
        return _of_a_data_set(place, config)
    if config.videos:
        raise SettingsError(f"videos is for data sets, and '{place}' is a report: leave it out")
    if found[0] != REPORT and (config.checkpoint or config.data or config.model):
        raise SettingsError(
            f"checkpoint, data and model are for {REPORT}, and '{place}' has {found[0]}: leave them out"
        )
    if found[0] == CORRUPTIONS:
        from evaluation.corruptions.run import verify as verify_corruptions

        return verify_corruptions(place)
    if found[0] == TRANSFER:
        from evaluation.transfer.run import verify as verify_transfer

        return verify_transfer(place)
    if found[0] == PERCEPTIBILITY:
        from evaluation.perceptibility.run import verify as verify_perceptibility

        return verify_perceptibility(place)
    from evaluation.run import verify as verify_report

    return verify_report(place, checkpoint=config.checkpoint, data=config.data, model=config.model)


def _of_a_data_set(place: str, config: VerifyConfig) -> Sequence[str]:
    from preprocessing.schema import INDEX_NAME, PLAN_NAME
    from preprocessing.storage.store import Store

    if config.checkpoint or config.data or config.model:
        raise SettingsError(f"checkpoint, data and model are for reports, and '{place}' holds none: leave them out")
    store = Store(place)
    if all(store.size(name) is None for name in (PLAN_NAME, INDEX_NAME)):
        reports = ", ".join(REPORTS)
        raise PlaceError(f"'{place}' is neither a data set ({INDEX_NAME}) nor a report ({reports})")
    from pipeline.cluster import connect
    from preprocessing.run import verify as verify_dataset

    with connect():
        return verify_dataset(place, config)
