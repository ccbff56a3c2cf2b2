"""The losses that attacks maximise, per clip, and their slopes at the logits without rounding them away."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from preprocessing.errors import SettingsError
from training.attacks.engine.randomness import clip_generator
from training.batch import Batch

LossName = Literal["cross_entropy", "probability", "margin", "dlr"]
TargetChoice = Literal["least_likely", "runner_up", "random"]

Logits = Float[Tensor, "batch classes"]
PerClip = Float[Tensor, " batch"]
Classes = Int[Tensor, " batch"]


class UnsuitedModelError(SettingsError):
    """A model does not give what an attack needs: features, or enough classes."""


def attack_loss(logits: Logits, batch: Batch, loss: LossName) -> PerClip:
    """The loss `loss` per clip, of the targeted kind where `batch.targets` is set; larger is better for the attacker.

    * `cross_entropy`: -log p_y, targeted log p_t.
    * `probability`: -p_y, targeted p_t, p the softmax.
    * `margin`: max_{i != y} z_i - z_y (Carlini & Wagner 2017, arXiv:1608.04644, Section V, f_6), targeted
      z_t - max_{i != t} z_i. Positive exactly where the attack has succeeded.
    * `dlr`: difference of logits ratio (Croce & Hein 2020, arXiv:2003.01690, Eq. 6 and 7), the margin in units of the
      spread of the largest logits, which neither a shift nor a scaling of the logits changes.

    Raises:
        ValueError: if there are too few classes for `dlr`: three, or four with a target.
    """
    match loss:
        case "cross_entropy" | "probability":
            log_shares = functional.log_softmax(logits.float() if logits.dtype.itemsize < 4 else logits, dim=1)
            found = _pick(log_shares, batch.labels if batch.targets is None else batch.targets)
            found = found.exp() if loss == "probability" else found
            return -found if batch.targets is None else found
        case "margin":
            return margin(logits, batch)
        case "dlr":
            return _logits_ratio(logits, batch)


def exact_loss(logits: Logits, batch: Batch, loss: LossName) -> PerClip:
    """A rising function of `attack_loss` that no confidence rounds away, for attacks that compare values.

    For cross-entropy and probability the log-odds of being wrong, log (1 - p_y) / p_y = logsumexp_{i != y} z_i - z_y,
    where -log p_y itself is 0 in single precision from p_y = 1 - 6e-8 on; with a target the log-odds of being there.
    The margin and the difference of logits ratio lose nothing as they are.
    """
    if loss in ("margin", "dlr"):
        return attack_loss(logits, batch, loss)
    scores = logits.float() if logits.dtype.itemsize < 4 else logits
    wanted = batch.labels if batch.targets is None else batch.targets
    log_odds = scores.masked_fill(_one_hot(wanted, scores), -torch.inf).logsumexp(1) - _pick(scores, wanted)
    return log_odds if batch.targets is None else -log_odds


def margin(logits: Logits, batch: Batch) -> PerClip:
    """The margin of success: best wrong logit minus the right one, or target minus best other."""
    wanted = batch.labels if batch.targets is None else batch.targets
    found = logits.masked_fill(_one_hot(wanted, logits), -torch.inf).amax(1) - _pick(logits, wanted)
    return found if batch.targets is None else -found


def slope_at_logits(logits: Logits, batch: Batch, loss: LossName) -> tuple[Logits, PerClip]:
    """The loss's gradient at the logits as exp(second) x first, whose largest entry is 1 in size.

    Cross-entropy has the gradient p - e_y = (1 - p_y)(q - e_y), q the softmax over the wrong classes alone: q - e_y
    stays exact when the clip is so confident that p_y rounds to 1, where autograd returns zeros, and in half precision
    nothing underflows on the way back through the network. All a step needs of the scale 1 - p_y is returned as its
    logarithm, which matters only where gradients at several points are added. The probability -p_y has the gradient
    p_y (p - e_y): the same direction, and p_y (1 - p_y) for a scale.
    """
    scores = logits.detach()
    scores = scores.float() if scores.dtype.itemsize < 4 else scores
    wanted = batch.labels if batch.targets is None else batch.targets
    sign = 1.0 if batch.targets is None else -1.0
    is_wanted = _one_hot(wanted, scores)
    match loss:
        case "cross_entropy" | "probability":
            others = scores.masked_fill(is_wanted, -torch.inf)
            slope = functional.softmax(others, dim=1) - is_wanted.to(scores.dtype)
            log_scale = others.logsumexp(1) - scores.logsumexp(1)
            if loss == "probability":
                log_scale = log_scale + _pick(scores, wanted) - scores.logsumexp(1)
        case "margin":
            best_other = scores.masked_fill(is_wanted, -torch.inf).argmax(1)
            slope = _one_hot(best_other, scores).to(scores.dtype) - is_wanted.to(scores.dtype)
            log_scale = scores.new_zeros(len(scores))
        case "dlr":
            sign = 1.0
            with torch.enable_grad():
                scores.requires_grad_()
                (slope,) = torch.autograd.grad(_logits_ratio(scores, batch).sum(), scores)
            largest = slope.abs().amax(1, keepdim=True).clamp_min(torch.finfo(slope.dtype).tiny)
            slope, log_scale = slope / largest, largest[:, 0].log()
    return (sign * slope).to(logits.dtype), log_scale


def choose_targets(choice: TargetChoice, logits: Logits, batch: Batch, generator: torch.Generator) -> Classes:
    """The class that each clip shall be mistaken for: never its label."""
    match choice:
        case "least_likely":
            return logits.masked_fill(_one_hot(batch.labels, logits), torch.inf).argmin(1)
        case "runner_up":
            return logits.masked_fill(_one_hot(batch.labels, logits), -torch.inf).argmax(1)
        case "random":
            draws = [
                int(torch.randint(1, logits.shape[1], (), generator=clip_generator(generator, key, "target")))
                for key in batch.keys
            ]
            return (batch.labels + torch.tensor(draws, device=logits.device)) % logits.shape[1]


def likely_wrong_classes(logits: Logits, batch: Batch, num_classes: int) -> Int[Tensor, "batch chosen"]:
    """The wrong classes with the largest scores, the likeliest first: all of them if there are fewer."""
    wrong = logits.masked_fill(_one_hot(batch.labels, logits), -torch.inf)
    ranked = wrong.argsort(dim=1, descending=True, stable=True)
    # Scores may not be finite: the label goes last by its number, not by its score.
    order = (ranked == batch.labels[:, None]).long().argsort(dim=1, stable=True)
    return ranked.gather(1, order)[:, : min(num_classes, logits.shape[1] - 1)]


def too_few_classes(loss: LossName, num_classes: int, *, is_targeted: bool) -> str:
    """The reason why a loss has no meaning for so few classes; empty if it has one."""
    needed = 4 if is_targeted else 3
    if loss != "dlr" or num_classes >= needed:
        return ""
    return f"loss='dlr' needs at least {needed} classes here, the model has {num_classes}: loss='margin' does with two"


def _logits_ratio(logits: Logits, batch: Batch) -> PerClip:
    """DLR, untargeted or towards the targets; what it divides by is at least 1e-12."""
    if reason := too_few_classes("dlr", logits.shape[1], is_targeted=batch.targets is not None):
        raise UnsuitedModelError(reason)
    ranked = logits.sort(dim=1, descending=True).values
    right = _pick(logits, batch.labels)
    if batch.targets is not None:
        spread = ranked[:, 0] - (ranked[:, 2] + ranked[:, 3]) / 2
        return (_pick(logits, batch.targets) - right) / (spread + 1e-12)
    best_wrong = logits.masked_fill(_one_hot(batch.labels, logits), -torch.inf).amax(1)
    return (best_wrong - right) / (ranked[:, 0] - ranked[:, 2] + 1e-12)  # three equal logits have no spread


def _pick(logits: Logits, classes: Classes) -> PerClip:
    return logits.gather(1, classes[:, None])[:, 0]


def _one_hot(classes: Classes, logits: Logits) -> Bool[Tensor, "batch classes"]:
    return functional.one_hot(classes, logits.shape[1]).bool()
