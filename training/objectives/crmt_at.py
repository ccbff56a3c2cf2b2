"""CRMT-AT: one budget for both modalities, and a margin in each of them."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional

from preprocessing.errors import SettingsError
from training.attacks.base import Attack
from training.attacks.engine.gradients import Gradient, Streams, classification_gradient, direction, normalised_or_noise
from training.batch import MODALITIES, Batch, per_clip
from training.objectives.base import (
    Classifying,
    Forward,
    Logits,
    Loss,
    accuracy,
)
from training.objectives.crafting_objective import IterativeObjective
from training.passes import Passes
from training.threat import ThreatModel


class JointPGD(Attack):
    """Projected ascent inside one L2 ball over both modalities: sum over m of (||delta_m|| / epsilon_m)^2 <= 1.

    With equal budgets this is the ball of the concatenated streams. It lies inside the threat's, where each modality
    may use its whole budget whatever the other does.
    """

    name: Literal["joint_pgd"] = "joint_pgd"
    steps: PositiveInt = 5
    """Gradient steps; each costs one forward and one backward pass."""
    step_size: PositiveFloat | None = None
    """Step in units of the ball's radius; unset = 1 / steps."""

    @property
    def cost(self) -> Passes:
        """One pass per step."""
        return Passes(self.steps, self.steps)

    def perturb(self, model: nn.Module, batch: Batch, threat: ThreatModel, generator: torch.Generator) -> Batch:
        """Climb the cross-entropy in coordinates in which the ball is round and of radius 1, from the clean clips."""
        gradient_at, moved = classification_gradient(), batch
        for step in range(self.steps):
            found = gradient_at(model, moved, threat.modalities)
            slope = _packed({name: threat.epsilon(name) * stream for name, stream in found.streams.items()})
            # As one stream, so that a modality the model does not look at takes no part, and noise comes only where
            # the whole gradient is lost.
            joint = normalised_or_noise(
                Gradient({"video": slope}, found.log_scale), batch, threat, generator, f"gradient {step}"
            )
            change = _packed({name: self._change(name, moved, batch, threat) for name in threat.modalities})
            change = change + (self.step_size or 1.0 / self.steps) * direction(joint.streams["video"], threat)
            moved = _unpacked(_into_ball(change), batch, threat)
        return moved

    @staticmethod
    def _change(name: Literal["video", "audio"], moved: Batch, batch: Batch, threat: ThreatModel) -> Tensor:
        return (moved.stream(name) - batch.stream(name)) / threat.epsilon(name)


class CRMTAT(Classifying, IterativeObjective):
    """Adversarial training in a joint L2 ball with a margin for each modality alone (Yang et al. 2024).

    CE(x', y) + rho log(1 + sum over m and k != y of exp(s_mk - s_my)), s_m the scores from modality m alone
    (arXiv:2402.06244). With K = `attack.steps` it costs K + 1 forward and K + 1 backward passes per batch.

    What differs from Certified Robust Multi-modal Training, of which this is the first of two stages: the classifier
    keeps its own fusion, where theirs has orthonormal class vectors per modality and a weight for each class and
    modality, so s_m are the fusion's scores with the other modality's features at zero; as nothing bounds their scale
    here, the 1 bounds the logarithm from below and lets the term fade once all margins are wide. The second stage,
    which tunes those weights towards a larger certified radius, is left out and with it the certificate. The attack
    runs in evaluation mode and inside the box.

    Raises:
        ValueError: if the classifier gives no scores of single modalities.
    """

    name: Literal["crmt_at"] = "crmt_at"
    margin_weight: NonNegativeFloat = 2.0
    """rho, what the margins count."""
    attack: JointPGD = JointPGD()
    """The inner maximisation."""
    threat: ThreatModel = ThreatModel(norm="l2", video=0.5, audio=0.5)
    """The budgets of the joint ball; `l2`. (The paper's 0.1 is in normalised units.)"""

    @model_validator(mode="after")
    def _joint_ball_is_l2(self) -> CRMTAT:
        if self.threat.norm != "l2":
            raise ValueError(f"threat={self.threat}: crmt_at has one L2 ball; write threat=l2(video=..., audio=...)")
        return self

    def loss(self, forward: Forward, *, clean: Batch, perturbed: Batch) -> Loss:
        """Cross-entropy and margins of the perturbed clips."""
        outputs = forward(perturbed.video, perturbed.audio)
        if outputs.video_logits is None or outputs.audio_logits is None:
            raise SettingsError(
                "crmt_at widens the margins of each modality, but the classifier gives no scores of them"
            )
        cross_entropy = self.cross_entropies(outputs.logits, perturbed.labels).mean()
        shortfall = margin_shortfalls(outputs.video_logits, outputs.audio_logits, perturbed.labels).mean()
        parts = {
            "cross_entropy": cross_entropy.detach(),
            "margin_shortfall": shortfall.detach(),
            "accuracy": accuracy(outputs.logits, perturbed.labels),
        }
        return Loss(cross_entropy + self.margin_weight * shortfall, parts)


def margin_shortfalls(video: Logits, audio: Logits, labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """log(1 + sum over modalities and wrong classes of exp(score - label's score)) per clip."""
    excess = torch.cat([scores - scores.gather(1, labels[:, None]) for scores in (video, audio)], dim=1)
    # Each modality's label has excess 0 and so counts 1: one of the two is the 1 of the formula.
    is_label = functional.one_hot(labels, video.shape[1]).bool()
    is_second = torch.cat([torch.zeros_like(is_label), is_label], dim=1)
    return excess.masked_fill(is_second, -torch.inf).logsumexp(1)


def _into_ball(change: Float[Tensor, "batch segments values"]) -> Float[Tensor, "batch segments values"]:
    """The nearest change of length 1 or less."""
    return change / per_clip(change.flatten(1).norm(dim=1).clamp_min(1.0), change)


def _packed(streams: Streams) -> Float[Tensor, "batch segments values"]:
    return torch.cat([stream.flatten(2) for stream in streams.values()], dim=2)


def _unpacked(change: Float[Tensor, "batch segments values"], batch: Batch, threat: ThreatModel) -> Batch:
    """The clips changed by this much in units of the budgets, cut off at the box."""
    moved: Streams = {name: batch.stream(name) for name in MODALITIES}
    sizes = [batch.stream(name).flatten(2).shape[2] for name in threat.modalities]
    for name, part in zip(threat.modalities, torch.split(change, sizes, dim=2), strict=True):
        clean = batch.stream(name)
        moved[name] = (clean + threat.epsilon(name) * part.reshape(clean.shape)).clamp(*threat.box(name))
    return batch.with_streams(**moved)
