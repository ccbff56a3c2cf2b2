from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from training.attacks import FGSM, PGD, AttackedClips, attack
from training.attacks.engine.moments import OtherMoments
from training.batch import Batch
from training.models import Classifier, Outputs
from training.models.adapters import Adapter
from training.threat import ThreatModel

THREAT = "linf(video=8/255, audio=8/255)"


def run(model: nn.Module, batch: Batch, threat: ThreatModel | str = THREAT, **changes: Any) -> AttackedClips:
    streams = {name: changes.pop(name, getattr(batch, name)) for name in ("video", "audio", "labels")}
    return attack(model, streams["video"], streams["audio"], streams["labels"], threat, **changes)


def targets_of(batch: Batch) -> Tensor:
    return (batch.labels + 1) % 4


def test_the_result_is_the_attacks_own_and_says_what_became_of_the_clips(model: Classifier, batch: Batch) -> None:
    threat = ThreatModel.model_validate(THREAT)
    found = run(model, batch, threat, method=PGD(steps=3), keys=batch.keys, seed=5)
    expected = PGD(steps=3)(model, batch, threat, torch.Generator().manual_seed(5))
    assert torch.equal(found.video, expected.video)
    assert torch.equal(found.audio, expected.audio)
    with torch.no_grad():
        model.eval()
        assert torch.equal(found.clean_predictions, model(batch.video, batch.audio).logits.argmax(1))
        assert torch.equal(found.predictions, model(found.video, found.audio).logits.argmax(1))
    assert torch.equal(found.is_fooled, found.predictions != batch.labels)
    assert torch.equal(found.distances["audio"], threat.distances(expected, batch)["audio"])


def test_a_method_may_be_an_attack_a_name_or_settings(model: Classifier, batch: Batch) -> None:
    results = [run(model, batch, method=method) for method in (PGD(steps=10), "pgd", {"name": "pgd", "steps": 10})]
    assert torch.equal(results[0].video, results[1].video)
    assert torch.equal(results[0].video, results[2].video)


def test_targets_are_what_clips_shall_be_mistaken_for(model: Classifier, batch: Batch) -> None:
    """With the whole box to move in, a random model can be led to most targets, and each becomes likelier."""
    targets = targets_of(batch)
    found = run(model, batch, "linf(video=1, audio=1)", method={"name": "pgd", "steps": 20}, targets=targets)
    assert torch.equal(found.is_fooled, found.predictions == targets)
    assert found.is_fooled.float().mean() > 0.5
    with torch.no_grad():
        clean, attacked = (
            nn.functional.cross_entropy(model(video, audio).logits, targets, reduction="none")
            for video, audio in ((batch.video, batch.audio), (found.video, found.audio))
        )
    assert (attacked < clean).all()


def test_labels_and_targets_may_be_lists(model: Classifier, batch: Batch) -> None:
    targets = targets_of(batch)
    found = run(model, batch, labels=batch.labels.tolist(), targets=targets.tolist())
    assert torch.equal(found.video, run(model, batch, targets=targets).video)
    with pytest.raises(ValueError, match=r"labels have shape \[2\] and type torch\.int64; allowed: \[7\], integers"):
        run(model, batch, labels=[0, 1])


def test_clips_without_keys_are_named_by_their_positions(model: Classifier, batch: Batch) -> None:
    named = run(model, batch, keys=[str(number) for number in range(7)])
    assert torch.equal(run(model, batch).video, named.video)
    assert not torch.equal(run(model, batch, keys=batch.keys).video, named.video)


def test_the_caller_finds_model_clips_and_random_state_as_before(model: Classifier, batch: Batch) -> None:
    video, state = batch.video.clone(), torch.get_rng_state()
    model.train()
    run(model, batch)
    assert all(module.training for module in model.modules())
    assert torch.equal(batch.video, video)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_without_finite_answers_is_fooled_and_its_gradients_are_told(batch: Batch) -> None:
    class Nowhere(nn.Module):
        def forward(self, video: Tensor, audio: Tensor) -> Outputs:
            return Outputs((video.mean((2, 3, 4)) + audio.mean((2, 3))) * float("nan"))

    found = run(Nowhere(), batch, method=FGSM())
    assert found.predictions.tolist() == found.clean_predictions.tolist() == [-1] * 7
    assert found.is_fooled.all()
    assert found.unusable_gradients == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"video": torch.zeros(7, 3, 4, 16, 16)},
            r"video has shape \[7, 3, 4, 16, 16\]; allowed: \[batch, segments, 3",
        ),
        ({"video": torch.zeros(0, 4, 3, 16, 16)}, r"video has shape \[0, 4, 3, 16, 16\]; allowed"),
        (
            {"audio": torch.zeros(7, 5, 16, 16)},
            r"audio has shape \[7, 5, 16, 16\]; allowed beside this video: \[7, 4, m",
        ),
        ({"audio": torch.zeros(7, 4, 2560)}, r"audio has shape \[7, 4, 2560\]; linf\(.*\) is about the logmel"),
        ({"video": torch.zeros(7, 4, 3, 16, 16, dtype=torch.uint8)}, "video is torch.uint8; allowed: torch.float32 or"),
        ({"audio": torch.zeros(7, 4, 16, 16).double()}, "audio is torch.float64; allowed: .* the same for both"),
        ({"video": torch.full((7, 4, 3, 16, 16), 255.0)}, r"video lies in \[255, 255\]; allowed: \[0, 1\]"),
        (
            {"labels": torch.zeros(6, dtype=torch.long)},
            r"labels have shape \[6\] and type torch.int64; allowed: \[7\], i",
        ),
        ({"labels": torch.zeros(7)}, r"labels have shape \[7\] and type torch.float32; allowed: \[7\], integers"),
        ({"labels": torch.full((7,), 4)}, r"labels lie in \[4, 4\]; allowed: \[0, 3\], the classes of Classifier"),
        ({"targets": torch.full((7,), -1)}, r"targets lie in \[-1, -1\]; allowed: \[0, 3\]"),
        ({"keys": ["a", "b"]}, "there are 2 keys for 7 clips; allowed: one each"),
        ({"threat": "linf(picture=1)"}, r"'linf\(picture=1\)' is not a threat model such as"),
        ({"method": "pdg"}, "Input tag 'pdg'.* does not match any of the expected tags: .*'pgd'"),
        ({"method": {"name": "pgd", "stps": 3}}, "stps"),
    ],
)
def test_what_cannot_be_is_refused_with_what_got_and_allowed(
    changes: dict[str, Any], message: str, model: Classifier, batch: Batch
) -> None:
    with pytest.raises(ValueError, match=message):
        run(model, batch, **changes)


def test_targets_that_are_labels_are_refused(model: Classifier, batch: Batch) -> None:
    targets = targets_of(batch)
    targets[[1, 4]] = batch.labels[[1, 4]]
    with pytest.raises(ValueError, match=r"targets of clips \[1, 4\] are their labels; allowed: other classes"):
        run(model, batch, targets=targets)


def test_two_choices_of_targets_are_refused(model: Classifier, batch: Batch) -> None:
    with pytest.raises(ValueError, match="targets were given, but target='runner_up' chooses others"):
        run(model, batch, method=PGD(target="runner_up"), targets=targets_of(batch))


def test_a_model_that_returns_plain_logits_is_told_of_the_adapter(batch: Batch) -> None:
    class Plain(nn.Module):
        def forward(self, video: Tensor, audio: Tensor) -> Tensor:
            return video.mean((2, 3, 4)) + audio.mean((2, 3))

    with pytest.raises(
        ValueError, match=r"Plain returned a Tensor; allowed: Outputs\(logits\), \[7, classes\].*Adapter\(m"
    ):
        run(Plain(), batch)
    assert (run(Adapter(Plain()), batch).distances["video"] > 0).all()


OTHER = "linf(video=8/255, audio=8/255, moments=other)"


def later(batch: Batch, segments: float, **changes: Any) -> OtherMoments:
    delays = torch.full((len(batch),), segments, dtype=torch.float64)
    return OtherMoments(**{"video": batch.video, "audio": batch.audio, "delay": delays} | changes)


def test_at_other_moments_all_that_is_told_is_about_what_the_model_samples(model: Classifier, batch: Batch) -> None:
    there = batch.with_streams(batch.video.flip(0), batch.audio.flip(0))
    found = run(model, batch, OTHER, method=PGD(steps=3), moments=later(there, 0.5))
    with torch.no_grad():
        model.eval()
        assert torch.equal(found.clean_predictions, model(there.video, there.audio).logits.argmax(1))
        assert torch.equal(found.predictions, model(found.video, found.audio).logits.argmax(1))
    known = run(model, batch, method=PGD(steps=3))
    moved = later(there, 0.5).carried(
        batch.with_streams(known.video, known.audio), batch, ThreatModel.model_validate(OTHER)
    )
    assert torch.equal(found.video, moved.video)
    assert bool((found.distances["video"] <= 8 / 255 + 1e-6).all())


def test_at_the_same_moments_it_is_the_attack_under_known_ones(model: Classifier, batch: Batch) -> None:
    other = run(model, batch, OTHER, method=PGD(steps=3), moments=later(batch, 0.0))
    known = run(model, batch, method=PGD(steps=3))
    assert torch.equal(other.video, known.video)
    assert torch.equal(other.is_fooled, known.is_fooled)


@pytest.mark.parametrize(
    ("threat", "changes", "message"),
    [
        (THREAT, {}, r"moments are given, but .* is about known ones; allowed: a threat with moments=other"),
        (OTHER, {"video": torch.zeros(7, 4, 3, 8, 8)}, r"moments.video is .*allowed to differ: the number of segments"),
        (OTHER, {"audio": torch.zeros(7, 4, 16, 8)}, r"moments.audio is .* by the factor segment_length=1"),
        (OTHER, {"audio": torch.zeros(7, 4, 16, 16).double()}, r"moments.audio is torch.float64"),
        (OTHER, {"delay": torch.zeros(3, dtype=torch.float64)}, r"moments.delay has shape \[3\]; allowed: \[7\]"),
        (OTHER, {"audio": torch.full((7, 4, 16, 16), 2.0)}, r"audio lies in \[2, 2\]"),
    ],
)
def test_moments_that_do_not_go_with_the_clips_are_refused(
    threat: str, changes: dict[str, Any], message: str, model: Classifier, batch: Batch
) -> None:
    with pytest.raises(ValueError, match=message):
        run(model, batch, threat, moments=later(batch, 0.5, **changes))


def test_hidden_moments_need_the_clips_that_the_model_samples(model: Classifier, batch: Batch) -> None:
    with pytest.raises(ValueError, match=r"hides the model's moments, .*moments=OtherMoments"):
        run(model, batch, OTHER)
