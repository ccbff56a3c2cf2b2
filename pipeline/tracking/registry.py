"""The registry of models: a version for each training that names it, and the alias of the best one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.tracking import MlflowClient

BEST = "best"
"""The alias of the version with the highest score."""
SCORE_TAG = "score"
MEASURE_TAG = "score_measures"


@dataclass(frozen=True)
class Registration:
    """The name that a model is registered by, and the number that decides which version is the best."""

    name: str
    measure: str
    """Name of the number, such as `validation/robust_accuracy`."""
    score: float


def register(client: MlflowClient, run_id: str, registration: Registration) -> str:
    """Make the model of a run a version of `registration.name`, once; returns the version.

    It gets the alias `best` unless a version has it whose score by the same measure is higher.
    """
    version = _version_of(client, run_id, registration) or _new_version(client, run_id, registration)
    best = _best(client, registration.name)
    is_higher = (
        best is not None
        and best.tags.get(MEASURE_TAG) == registration.measure
        and float(best.tags.get(SCORE_TAG, "-inf")) > registration.score
    )
    if not is_higher:
        client.set_registered_model_alias(registration.name, BEST, version)
    return version


def _version_of(client: MlflowClient, run_id: str, registration: Registration) -> str | None:
    found = client.search_model_versions(f"name = '{registration.name}' and run_id = '{run_id}'")
    return str(found[0].version) if found else None


def _new_version(client: MlflowClient, run_id: str, registration: Registration) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(registration.name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    created = client.create_model_version(
        registration.name,
        source=f"{client.get_run(run_id).info.artifact_uri}/model",
        run_id=run_id,
        tags={MEASURE_TAG: registration.measure, SCORE_TAG: repr(registration.score)},
    )
    return str(created.version)


def _best(client: MlflowClient, name: str) -> ModelVersion | None:
    """The version that has the alias; None if none has."""
    version = client.get_registered_model(name).aliases.get(BEST)
    return client.get_model_version(name, version) if version else None
