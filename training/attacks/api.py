"""One call for people who have a model and clips of their own: `attack(model, video, audio, labels, threat)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from pydantic import TypeAdapter
from torch import Tensor, nn

from training.attacks.any_attack import AnyAttack
from training.attacks.base import Attack, TargetableAttack, frozen
from training.attacks.engine.gradients import count_unusable_gradients
from training.attacks.engine.moments import OtherMoments
from training.batch import Batch, Modality
from training.models.classifier import predicted_classes
from training.threat import ThreatModel


@dataclass(frozen=True)
class AttackedClips:
    """Perturbed clips and what has become of the model's answers."""

    video: Float[Tensor, "batch segments 3 height width"]
    """Perturbed frames."""
    audio: Float[Tensor, "batch segments *patch"]
    """Perturbed audio."""
    clean_predictions: Int[Tensor, " batch"]
    """Classes before the attack; -1 where the logits are not finite."""
    predictions: Int[Tensor, " batch"]
    """Classes after it."""
    is_fooled: Bool[Tensor, " batch"]
    """True where the attack has succeeded: not the label, or with `targets` the target. A clip that was wrong before
    counts, too: see `clean_predictions`."""
    distances: dict[Modality, Float[Tensor, " batch"]]
    """Length of each clip's perturbation in the threat's norm, `video` and `audio`."""
    unusable_gradients: float
    """Fraction of gradients that were zero or not finite, which noise stood in for: near 1 nothing was attacked."""


def attack(
    model: nn.Module,
    video: Tensor,
    audio: Tensor,
    labels: Tensor | Sequence[int],
    threat: ThreatModel | str,
    *,
    method: Attack | Mapping[str, Any] | str = "pgd",
    targets: Tensor | Sequence[int] | None = None,
    keys: Sequence[str] | None = None,
    seed: int = 0,
    moments: OtherMoments | None = None,
) -> AttackedClips:
    """Perturb clips within `threat` so that `model` gets them wrong.

    Args:
        model: called as `model(video, audio)`, returns `Outputs(logits)` or more; `training.models.adapters` turn any
            other into one. It is attacked in evaluation mode and left as it was.
        video: frames `[batch, segments, 3, height, width]` in [0, 1], float32 or float64.
        audio: log-mel patches `[batch, segments, mels, steps]` in [0, 1], or where the threat is about the waveform
            `[batch, segments, samples]` in [-1, 1]; dtype and device as the frames.
        labels: right classes `[batch]`, a tensor or a list.
        threat: the rules, or their text such as `linf(video=4/255, audio=4/255)`.
        method: an attack, its name, or its settings such as `{"name": "pgd", "steps": 50}`.
        targets: classes `[batch]`, a tensor or a list, to be mistaken for; unset = any but the label.
        keys: names of the clips, which decide their randomness; unset = their positions.
        seed: decides all randomness, with the keys.
        moments: for a threat with `moments=other`, the same clips as the model samples them: the attack is made on
            `video` and `audio`, and everything that is returned is about these.

    Raises:
        ValueError: if anything has the wrong shape, type or range; it says what, got and allowed.
    """
    threat = ThreatModel.model_validate(threat)
    chosen = _method(method, is_targeted=targets is not None)
    wanted = None if targets is None else _on_device_of(video, targets)
    batch = _batch(video, audio, _on_device_of(video, labels), wanted, keys)
    threat.check(batch)
    judged = batch if moments is None else _untouched(moments, batch, threat)
    if moments is None and threat.moments == "other":
        raise ValueError(
            f"{threat} hides the model's moments, so what the model samples is needed: moments=OtherMoments(...), or a "
            "threat without moments=other"
        )
    with frozen(model):
        clean_predictions = _predictions(model, judged)
    with count_unusable_gradients() as found:
        perturbed = chosen(model, batch, threat, torch.Generator().manual_seed(seed))
    if moments is not None:
        perturbed = moments.carried(perturbed, batch, threat)
    with frozen(model):
        predictions = _predictions(model, perturbed)
    return AttackedClips(
        video=perturbed.video,
        audio=perturbed.audio,
        clean_predictions=clean_predictions,
        predictions=predictions,
        is_fooled=predictions != batch.labels if batch.targets is None else predictions == batch.targets,
        distances=threat.distances(perturbed, judged),
        unusable_gradients=found.share,
    )


def _on_device_of(video: Tensor, classes: Tensor | Sequence[int]) -> Tensor:
    """Classes as a tensor; one that is a tensor already stays where it is."""
    return classes if isinstance(classes, Tensor) else torch.as_tensor(classes, device=video.device)


def _method(method: Attack | Mapping[str, Any] | str, *, is_targeted: bool) -> Attack:
    """The attack; where the caller has targets, one that goes for them."""
    if not isinstance(method, Attack):
        settings = {"name": method} if isinstance(method, str) else method
        method = TypeAdapter[Attack](AnyAttack).validate_python(settings)
    if not is_targeted:
        return method
    if not isinstance(method, TargetableAttack):
        raise ValueError(f"targets were given, but {method.name} cannot be targeted; leave them out")
    if method.target not in ("none", "given"):
        raise ValueError(f"targets were given, but target='{method.target}' chooses others; leave one of them out")
    return type(method).model_validate(method.model_dump() | {"target": "given"})


def _batch(video: Tensor, audio: Tensor, labels: Tensor, targets: Tensor | None, keys: Sequence[str] | None) -> Batch:
    """The clips as one checked batch."""
    if video.dim() != 5 or video.shape[2] != 3 or 0 in video.shape:
        raise ValueError(f"video has shape {list(video.shape)}; allowed: [batch, segments, 3, height, width]")
    if audio.dim() not in (3, 4) or audio.shape[:2] != video.shape[:2] or 0 in audio.shape:
        clips = f"{video.shape[0]}, {video.shape[1]}"
        raise ValueError(
            f"audio has shape {list(audio.shape)}; allowed beside this video: [{clips}, mels, steps] or "
            f"[{clips}, samples]"
        )
    for name, stream in (("video", video), ("audio", audio)):
        if stream.dtype not in (torch.float32, torch.float64) or stream.dtype != video.dtype:
            raise ValueError(
                f"{name} is {stream.dtype}; allowed: torch.float32 or torch.float64, the same for both (for half "
                "precision call it inside torch.autocast)"
            )
    for name, classes in (("labels", labels), ("targets", targets)):
        if classes is not None:
            _check_classes(name, classes, num_clips=len(video))
    for name, tensor in (("audio", audio), ("labels", labels), ("targets", targets)):
        if tensor is not None and tensor.device != video.device:
            raise ValueError(f"{name} is on {tensor.device}; allowed: {video.device}, where the video is")
    if targets is not None and bool((same := targets == labels).any()):
        raise ValueError(f"targets of clips {same.nonzero()[:, 0].tolist()} are their labels; allowed: other classes")
    names = tuple(keys) if keys is not None else tuple(map(str, range(len(video))))
    if len(names) != len(video):
        raise ValueError(f"there are {len(names)} keys for {len(video)} clips; allowed: one each")
    return Batch(video, audio, labels.long(), names, None if targets is None else targets.long())


def _untouched(moments: OtherMoments, batch: Batch, threat: ThreatModel) -> Batch:
    """The clips that the attack is judged on, checked against those that it is made on."""
    if threat.moments == "known":
        raise ValueError(f"moments are given, but {threat} is about known ones; allowed: a threat with moments=other")
    for name, there, here in (("video", moments.video, batch.video), ("audio", moments.audio, batch.audio)):
        time = {3: 2, 4: 3}.get(here.dim(), 1)  # of samples, of columns, and of frames
        wanted = [size if axis not in (1, time) else -1 for axis, size in enumerate(here.shape)]
        got = [size if axis not in (1, time) else -1 for axis, size in enumerate(there.shape)]
        per_segment = 1 if time == 1 else here.shape[time] * moments.segment_length
        fits = wanted == got and (time == 1 or abs(there.shape[time] - per_segment) < 1e-6)
        if not fits or (there.dtype, there.device) != (here.dtype, here.device):
            raise ValueError(
                f"moments.{name} is {there.dtype} of shape {list(there.shape)} on {there.device}, {name} is "
                f"{here.dtype} of shape {list(here.shape)} on {here.device}; allowed to differ: the number of segments "
                f"and, by the factor segment_length={moments.segment_length:g}, the values of sound in each"
            )
    if moments.delay.shape != batch.labels.shape:
        raise ValueError(f"moments.delay has shape {list(moments.delay.shape)}; allowed: [{len(batch)}], one per clip")
    judged = moments.untouched(batch)
    threat.where_judged().check(judged)
    return judged


def _check_classes(name: str, classes: Tensor, *, num_clips: int) -> None:
    is_integer = not (classes.is_floating_point() or classes.is_complex() or classes.dtype == torch.bool)
    if list(classes.shape) != [num_clips] or not is_integer:
        raise ValueError(
            f"{name} have shape {list(classes.shape)} and type {classes.dtype}; allowed: [{num_clips}], integers"
        )


@torch.no_grad()
def _predictions(model: nn.Module, batch: Batch) -> Int[Tensor, " batch"]:
    """The classes that the model names.

    Raises:
        ValueError: if it returns something else, or has fewer classes than the labels say.
    """
    outputs = model(batch.video, batch.audio)
    logits = getattr(outputs, "logits", None)
    if not (isinstance(logits, Tensor) and logits.dim() == 2 and len(logits) == len(batch)):
        got = f"logits of shape {list(logits.shape)}" if isinstance(logits, Tensor) else f"a {type(outputs).__name__}"
        raise ValueError(
            f"{type(model).__name__} returned {got}; allowed: Outputs(logits), [{len(batch)}, classes]. "
            "training.models.adapters turn other models into such ones: Adapter(model) if it returns plain logits"
        )
    for name, classes in (("labels", batch.labels), ("targets", batch.targets)):
        if classes is not None and not (int(classes.min()) >= 0 and int(classes.max()) < logits.shape[1]):
            raise ValueError(
                f"{name} lie in [{int(classes.min())}, {int(classes.max())}]; allowed: [0, {logits.shape[1] - 1}], "
                f"the classes of {type(model).__name__}"
            )
    return predicted_classes(logits)
