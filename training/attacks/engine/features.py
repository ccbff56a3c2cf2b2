"""The gradient of a loss tempered by terms at the features: L_T over time, L_M between the modalities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Literal

import torch
from torch import Tensor, nn

from training.attacks.engine.expectation import Expectation
from training.attacks.engine.gradients import (
    Gradient,
    GradientAt,
    classification_gradient,
    detached_inputs,
    mean_gradient,
    vjp,
)
from training.attacks.engine.losses import LossName, UnsuitedModelError, attack_loss, slope_at_logits
from training.attacks.engine.terms import (
    AgreementName,
    AgreementTerm,
    FeatureScale,
    PerClip,
    TemporalName,
    TemporalTerm,
    agreement_as_printed,
    agreement_of_means,
    agreement_of_predictions,
    agreement_of_segments,
    consecutive_variation,
    normalised,
    variation_over_copies,
)
from training.attacks.engine.transforms import transformed
from training.batch import Batch, Modality, per_clip
from training.models.classifier import Outputs

Combination = Literal["normalised", "weighted"]
Penalty = tuple[PerClip, float]
"""A term per clip, and the weight it is added with."""

NO_FEATURES = (
    "no features: TIA, MMA and TMA need `video_features` and `audio_features`, [batch, segments, features], in its "
    "Outputs; only MMA with agreement='predictions' and combination='weighted' does without"
)
UNUSED_FEATURES = (
    "scores that are not computed from its features, so that the gradient there tells nothing of the loss: set "
    "combination='weighted', or have its Outputs name the tensors that the scores come from as `feature_parts`"
)
NO_UNIMODAL_SCORES = (
    "no unimodal scores: agreement='predictions' needs `video_logits` and `audio_logits`, [batch, classes], in its "
    "Outputs; allowed without: 'means', 'segments', 'literal'"
)


def tempered_gradient(
    temporal: TemporalTerm | None,
    agreement: AgreementTerm | None,
    *,
    combination: Combination,
    loss: LossName,
    generator: torch.Generator,
) -> GradientAt:
    """The gradient of J = loss - lambda_T L_T - lambda_M L_M (arXiv:2502.11858, Eq. 4).

    `weighted` differentiates that sum. `normalised` takes each term's gradient at the features, scales it to length 1
    per clip, adds them with the weights and sends the result through the encoders in one backward pass: on confident
    clips the loss has a vanishing gradient that the plain sum would lose beside L_T. It takes the logits to depend on
    the clip through the features alone, or their parts (`Outputs.feature_parts`).

    Terms with weight 0 are left out, so that both weights 0 is the plain attack bit for bit; so is L_T from segment to
    segment of a single one. `generator` decides the transformed copies of L_T, others every time it is called.
    """
    plain = classification_gradient(loss)
    temporal = temporal if temporal is not None and temporal.temporal_weight else None
    agreement = agreement if agreement is not None and agreement.modality_weight else None
    numbers = count()

    def gradient(model: nn.Module, batch: Batch, modalities: Sequence[Modality]) -> Gradient:
        if isinstance(model, Expectation):  # its logits do not depend on the clip through the features that it gives
            return mean_gradient([gradient(each, batch, modalities) for each in model.passes])
        stands_still = batch.num_segments == 1 and temporal is not None and temporal.temporal == "consecutive"
        varying = None if stands_still else temporal
        if varying is None and agreement is None:
            return plain(model, batch, modalities)
        clips, streams = detached_inputs(batch, modalities)
        passes = [model(clips.video, clips.audio)]
        penalties: list[Penalty] = []
        if varying is not None:
            for copy in _copies(clips, varying, generator, numbers):
                passes.append(model(copy.video, copy.audio))
            penalties.append((variation(varying.temporal, varying.features, passes, model), -varying.temporal_weight))
        if agreement is not None:
            penalties.append((agreement_between(agreement.agreement, passes[0], model), -agreement.modality_weight))
        logits = passes[0].logits
        if combination == "weighted":
            total = attack_loss(logits, batch, loss).sum()
            total = total + torch.stack([weight * values.sum() for values, weight in penalties]).sum()
            found = vjp(total, streams, torch.ones_like(total))
        else:
            # A modality without budget stands still, and so may one that the model does not use.
            moving = [each for outputs in passes for each in parts_of(outputs, model) if each.requires_grad]
            slope, _ = slope_at_logits(logits, batch, loss)
            wanted = [
                (logits, slope, 1.0),
                *((values, torch.ones_like(values), weight) for values, weight in penalties),
            ]
            found = vjp(moving, streams, _unit_gradients(moving, wanted, model))
        return Gradient(dict(zip(modalities, found, strict=True)), torch.zeros_like(logits[:, 0]))

    return gradient


def missing_outputs(
    temporal: TemporalTerm | None, agreement: AgreementTerm | None, combination: Combination, outputs: Outputs
) -> str:
    """The outputs that `tempered_gradient` needs and a model does not give; empty if nothing is missing."""
    varies = temporal is not None and bool(temporal.temporal_weight)
    agrees = agreement is not None and bool(agreement.modality_weight)
    by_predictions = agrees and agreement is not None and agreement.agreement == "predictions"
    needs_features = varies or (agrees and not (by_predictions and combination == "weighted"))
    if needs_features and (outputs.video_features is None or outputs.audio_features is None):
        return f"the model gives {NO_FEATURES}"
    if by_predictions and (outputs.video_logits is None or outputs.audio_logits is None):
        return f"the model gives {NO_UNIMODAL_SCORES}"
    return ""


def variation(name: TemporalName, scale: FeatureScale, passes: Sequence[Outputs], model: nn.Module) -> PerClip:
    """L_T: over time of the clip itself, the first of `passes`, or over all of them."""
    pairs = [features_of(outputs, model) for outputs in passes]
    if scale == "normalised":
        pairs = [(normalised(video), normalised(audio)) for video, audio in pairs]
    if name == "consecutive":
        return consecutive_variation(*pairs[0])
    return variation_over_copies([video for video, _ in pairs], [audio for _, audio in pairs])


def agreement_between(name: AgreementName, outputs: Outputs, model: nn.Module) -> PerClip:
    """L_M of the clips, by the formula of this name."""
    match name:
        case "means":
            return agreement_of_means(*features_of(outputs, model))
        case "segments":
            return agreement_of_segments(*features_of(outputs, model))
        case "predictions":
            return agreement_of_predictions(*unimodal_logits_of(outputs, model))
        case "literal":
            return agreement_as_printed(*features_of(outputs, model))


def features_of(outputs: Outputs, model: nn.Module) -> tuple[Tensor, Tensor]:
    """The features of both modalities.

    Raises:
        ValueError: if the model does not give them.
    """
    if outputs.video_features is None or outputs.audio_features is None:
        raise UnsuitedModelError(f"{type(model).__name__} gives {NO_FEATURES}")
    return outputs.video_features, outputs.audio_features


def parts_of(outputs: Outputs, model: nn.Module) -> tuple[Tensor, ...]:
    """The tensors that the features are made of and the logits are computed from.

    Raises:
        ValueError: if the model does not give them.
    """
    return outputs.feature_parts or features_of(outputs, model)


def unimodal_logits_of(outputs: Outputs, model: nn.Module) -> tuple[Tensor, Tensor]:
    """The scores from each modality alone.

    Raises:
        ValueError: if the model does not give them.
    """
    if outputs.video_logits is None or outputs.audio_logits is None:
        raise UnsuitedModelError(f"{type(model).__name__} gives {NO_UNIMODAL_SCORES}")
    return outputs.video_logits, outputs.audio_logits


def _copies(clips: Batch, term: TemporalTerm, generator: torch.Generator, numbers: Iterator[int]) -> Iterator[Batch]:
    """The next transformed copies of the clips, numbered through all steps of an attack."""
    for _ in range(term.copies_per_step):
        number = next(numbers)
        transform = term.transforms[number % len(term.transforms)]
        yield transformed(clips, transform, generator, f"copy {number}")


def _unit_gradients(
    features: list[Tensor], wanted: Sequence[tuple[Tensor, Tensor, float]], model: nn.Module
) -> list[Tensor]:
    """Sum over (values, their slopes, weight) of weight x the gradient at the features, each of length 1 per clip.

    Raises:
        ValueError: if values follow the clip, but not through the features: they would be lost without a word.
    """
    combined = [torch.zeros_like(stream) for stream in features]
    for values, slopes, weight in wanted:
        if not (features and values.requires_grad):
            continue  # nothing that may move decides it
        paths = torch.autograd.grad(values, features, grad_outputs=slopes, retain_graph=True, allow_unused=True)
        if all(path is None for path in paths):
            raise UnsuitedModelError(f"{type(model).__name__} gives {UNUSED_FEATURES}")
        found = [torch.zeros_like(each) if path is None else path for path, each in zip(paths, features, strict=True)]
        smallest = torch.finfo(values.dtype).tiny
        largest = torch.stack([gradient.flatten(1).abs().amax(1) for gradient in found]).amax(0).clamp_min(smallest)
        scaled = [gradient / per_clip(largest, gradient) for gradient in found]  # so that no square underflows
        length = torch.cat([gradient.flatten(1) for gradient in scaled], dim=1).norm(dim=1).clamp_min(smallest)
        combined = [
            total + per_clip(weight / length, part) * part for total, part in zip(combined, scaled, strict=True)
        ]
    return combined
