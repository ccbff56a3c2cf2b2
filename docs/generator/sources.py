"""The modules in which the generator finds what it describes: the one place to change when something moves."""

from __future__ import annotations

import importlib
from typing import Any

SOURCES = {
    "ATTACK_LISTS": "evaluation.attack_lists",
    "ENCODERS": "training.models.encoders",
    "AttackPerceptibility": "evaluation.perceptibility.report",
    "Accounting": "preprocessing.schema",
    "AnyAttack": "training.attacks",
    "AnyDataset": "preprocessing.datasets",
    "AnyDistribution": "pipeline.search.space",
    "AnyInputTransform": "training.attacks.engine.input_transforms",
    "AnyObjective": "training.objectives",
    "AnySchedule": "training.curriculum.schedules",
    "AttackResult": "evaluation.reporting.results",
    "Cell": "evaluation.transfer.report",
    "Certificate": "evaluation.stored.certificates",
    "Check": "evaluation.masking.check",
    "CheckpointInfo": "training.checkpoint",
    "ClassResult": "evaluation.reporting.results",
    "ClipFormat": "preprocessing.schema",
    "ClipRecord": "preprocessing.schema",
    "CORRUPTIONS": "evaluation.corruptions.kinds.listing",
    "CONFIG_CLASSES": "pipeline.settings.help",
    "ComparedAttack": "evaluation.comparison.result",
    "ComparedMethod": "evaluation.comparison.result",
    "Confusion": "evaluation.reporting.results",
    "CorruptionReport": "evaluation.corruptions.report",
    "CorruptionResult": "evaluation.corruptions.report",
    "CraftingFacts": "evaluation.transfer.report",
    "DatasetIndex": "preprocessing.schema",
    "Distribution": "evaluation.perceptibility.report",
    "Difference": "evaluation.comparison.result",
    "Doubt": "evaluation.comparison.result",
    "ENVIRONMENT": "pipeline.environment",
    "FilesSeen": "preprocessing.schema",
    "FolderRead": "preprocessing.schema",
    "IterativeAttack": "training.attacks",
    "LOCAL_ENVIRONMENT": "pipeline.environment",
    "Mean": "evaluation.transfer.report",
    "LeftOut": "preprocessing.schema",
    "ListRead": "preprocessing.schema",
    "ModelConfig": "training.models",
    "NORMS": "training.norms",
    "Outcome": "evaluation.transfer.outcomes",
    "PerceptibilityReport": "evaluation.perceptibility.report",
    "PointResult": "evaluation.reporting.results",
    "Prediction": "evaluation.corruptions.predictions",
    "Rejection": "preprocessing.schema",
    "Report": "evaluation.reporting.report",
    "Row": "evaluation.perceptibility.rows",
    "Score": "evaluation.corruptions.report",
    "ShardRecord": "preprocessing.schema",
    "ShardSummary": "preprocessing.schema",
    "StoredKey": "preprocessing.schema",
    "Survival": "evaluation.perceptibility.report",
    "TargetableAttack": "training.attacks.base",
    "ThreatModel": "training.threat",
    "Tracks": "preprocessing.schema",
    "Training": "evaluation.comparison.result",
    "TransferReport": "evaluation.transfer.report",
    "Withheld": "evaluation.reporting.results",
    "app": "pipeline.commands",
    "attack_label": "evaluation.attack_lists",
    "keys": "pipeline.settings.tree",
    "field_slot": "pipeline.settings.tree",
    "run_checks": "evaluation.masking.checks",
    "slot": "pipeline.settings.tree",
}
"""Name -> module."""


def source(name: str) -> Any:
    """The object of this name, from the module that the table says."""
    return getattr(importlib.import_module(SOURCES[name]), name)


def configs() -> dict[str, type[Any]]:
    """The settings class of each command that has one."""
    classes: dict[str, tuple[str, str]] = source("CONFIG_CLASSES")
    return {command: getattr(importlib.import_module(module), name) for command, (module, name) in classes.items()}
