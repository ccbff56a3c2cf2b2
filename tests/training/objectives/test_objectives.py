"""What holds for every objective."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from training.attacks import MIFGSM, PGD, TMA
from training.batch import Batch
from training.crafting import Crafting
from training.curriculum.curriculum import Curriculum, SharedAttack
from training.curriculum.schedules import Constant, Linear
from training.models import Classifier, Outputs
from training.objectives import (
    AWP,
    CRMTAT,
    MART,
    NFGSM,
    PGDAT,
    TMAAT,
    TRADES,
    AnyObjective,
    FastAT,
    FreeAT,
    MinSim,
    Mixup,
    Objective,
    Standard,
    TMACurriculum,
)
from training.objectives.awp import Wrapped
from training.objectives.base import Classifying, SingleUpdate
from training.objectives.crmt_at import JointPGD
from training.objectives.trades import DivergencePGD
from training.passes import Passes
from training.threat import ThreatModel

GROWING = Curriculum(
    attack_steps=Linear(start=1, end=3),
    sampling_ratio=Linear(start=0.25, end=1.0),
    mask_ratio=Linear(start=0.0, end=0.5),
    dropout_ratio=Linear(start=0.0, end=0.3),
    epsilon_factor=Linear(start=0.5, end=1.0),
)
MIXED = Curriculum(
    attack_steps=Constant(value=2),
    sampling_ratio=Constant(value=0.5),
    mask_ratio=Constant(value=0.25),
    mask_layout="contiguous",
    masking="asynchronous",
    other_attacks=(
        SharedAttack(attack=PGD(), share=Constant(value=0.3)),
        SharedAttack(attack=MIFGSM(), share=Linear(start=0.0, end=0.5)),
    ),
)
QUARTER = Crafting(sampling_ratio=0.25)
SHARED = Crafting(sampling_ratio=0.5, sharing="gradient")
OBJECTIVES: list[tuple[Objective, Passes, Passes]] = [
    # with the passes per clip of four segments at progress 0 and 1: crafting + loss
    (Standard(), Passes(1, 1), Passes(1, 1)),
    (Mixup(), Passes(1, 1), Passes(1, 1)),
    (MinSim(), Passes(1, 1), Passes(1, 1)),
    (PGDAT(attack=PGD(steps=2)), Passes(2 + 1, 2 + 1), Passes(2 + 1, 2 + 1)),
    (FastAT(), Passes(1 + 1, 1 + 1), Passes(1 + 1, 1 + 1)),
    (NFGSM(), Passes(1 + 1, 1 + 1), Passes(1 + 1, 1 + 1)),
    (FreeAT(replays=3), Passes(3, 3), Passes(3, 3)),
    (TRADES(attack=DivergencePGD(steps=2)), Passes(3 + 2, 2 + 2), Passes(3 + 2, 2 + 2)),
    (MART(attack=PGD(steps=2)), Passes(2 + 2, 2 + 2), Passes(2 + 2, 2 + 2)),
    (CRMTAT(attack=JointPGD(steps=2)), Passes(2 + 1, 2 + 1), Passes(2 + 1, 2 + 1)),
    (
        TMAAT(attack=TMA(steps=2, random_start=True)),
        Passes(2 / 4 + 1, 2 / 4 + 1),
        Passes(2 / 4 + 1, 2 / 4 + 1),
    ),
    # ... and with a sample of the segments: r K passes of crafting
    (
        PGDAT(attack=PGD(steps=2), crafting=QUARTER),
        Passes(2 / 4 + 1, 2 / 4 + 1),
        Passes(2 / 4 + 1, 2 / 4 + 1),
    ),
    (FastAT(crafting=QUARTER), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(1 / 4 + 1, 1 / 4 + 1)),
    (
        FastAT(crafting=Crafting(sampling_ratio=0.5, sharing="none")),
        Passes(1 / 2 + 1, 1 / 2 + 1),
        Passes(1 / 2 + 1, 1 / 2 + 1),
    ),
    (NFGSM(crafting=SHARED), Passes(1 / 2 + 1, 1 / 2 + 1), Passes(1 / 2 + 1, 1 / 2 + 1)),
    (
        TRADES(attack=DivergencePGD(steps=2), crafting=QUARTER),
        Passes(3 / 4 + 2, 2 / 4 + 2),
        Passes(3 / 4 + 2, 2 / 4 + 2),
    ),
    (MART(attack=PGD(steps=2), crafting=SHARED), Passes(2 / 2 + 2, 2 / 2 + 2), Passes(2 / 2 + 2, 2 / 2 + 2)),
    (CRMTAT(attack=JointPGD(steps=2), crafting=SHARED), Passes(2 / 2 + 1, 2 / 2 + 1), Passes(2 / 2 + 1, 2 / 2 + 1)),
    (
        TMACurriculum(curriculum=GROWING, crafting=Crafting(sharing="gradient")),
        Passes(1 / 4 + 1, 1 / 4 + 1),
        Passes(3 + 1, 3 + 1),
    ),
    (TMACurriculum(curriculum=GROWING), Passes(1 / 4 + 1, 1 / 4 + 1), Passes(3 + 1, 3 + 1)),
    (TMACurriculum(curriculum=MIXED), Passes(2 / 2 + 1, 2 / 2 + 1), Passes(2 / 2 + 1, 2 / 2 + 1)),
    (AWP(objective=PGDAT(attack=PGD(steps=2))), Passes(2 + 1 + 1, 2 + 1 + 1), Passes(2 + 1 + 1, 2 + 1 + 1)),
    (
        AWP(objective=TRADES(attack=DivergencePGD(steps=1)), gamma=0.005),
        Passes(2 + 2 + 2, 1 + 2 + 2),
        Passes(2 + 2 + 2, 1 + 2 + 2),
    ),
]


def named(objective: Objective) -> str:
    inner = f"-{objective.objective.name}" if isinstance(objective, AWP) else ""
    mixed = "-mixed" if isinstance(objective, TMACurriculum) and objective.curriculum.other_attacks else ""
    crafting = objective.crafting_at(0.0)
    sampling = "-sampled" if crafting and crafting.sampling_ratio < 1 else ""
    sharing = f"-{crafting.sharing}" if crafting and crafting.sharing != "perturbation" else ""
    return objective.name + inner + mixed + sampling + sharing


ROWS = [objective for objective, _, _ in OBJECTIVES]
every_objective = pytest.mark.parametrize("objective", ROWS, ids=named)
every_single_update = pytest.mark.parametrize(
    "objective", [row for row in ROWS if isinstance(row, SingleUpdate)], ids=named
)


@dataclass
class Seen:
    """What a model was asked while something ran."""

    frames: int = 0
    """Frames that went forward through the video encoder."""
    frames_back: int = 0
    """Frames whose features had a gradient sent back."""


def watch(model: Classifier) -> Seen:
    seen = Seen()

    def vjp(gradient: Tensor) -> None:
        seen.frames_back += len(gradient)

    def forward(module: nn.Module, arguments: tuple[Tensor], features: Tensor) -> None:
        seen.frames += len(arguments[0])
        if features.requires_grad:
            features.register_hook(vjp)  # type: ignore[no-untyped-call]

    model.video_encoder.register_forward_hook(forward)
    return seen


def run(objective: Objective, model: nn.Module, batch: Batch, *, progress: float = 0.0, seed: int = 3) -> list[Tensor]:
    """All losses of a batch, each with its backward pass; the weights stay and the gradients add up."""
    generator = torch.Generator().manual_seed(seed)
    totals = []
    for loss in objective.losses(model, batch, progress=progress, generator=generator):
        torch.autograd.backward(loss.total)
        totals.append(loss.total.detach())
    return totals


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}


def double(batch: Batch) -> Batch:
    return batch.with_streams(batch.video.double(), batch.audio.double())


def with_threat(objective: Objective, threat: ThreatModel) -> Objective:
    changes: dict[str, Any] = {"threat": threat}
    if isinstance(objective, AWP):
        changes = {"objective": objective.objective.model_dump() | changes}
    return type(objective).model_validate(objective.model_dump() | changes)


def threat_of(objective: Objective) -> ThreatModel | None:
    return getattr(objective, "threat", None)


def normalise_by_batch(model: Classifier) -> nn.BatchNorm2d:
    """Give the model dropout, and batch normalisation, whose statistics move in training mode."""
    statistics = nn.BatchNorm2d(32)
    model.video_encoder.set_submodule("layers.1", statistics)
    model.set_dropout(0.5)
    return statistics


def test_the_table_holds_every_objective() -> None:
    assert {type(objective) for objective in ROWS} == set(get_args(get_args(AnyObjective)[0]))


def test_weights_can_be_perturbed_around_every_objective_of_one_update() -> None:
    single = {type(row) for row in ROWS if isinstance(row, SingleUpdate)}
    assert set(get_args(get_args(Wrapped)[0])) == single - {AWP}


@every_objective
def test_an_objective_is_its_settings(objective: Objective) -> None:
    assert TypeAdapter(AnyObjective).validate_python(objective.model_dump()) == objective


@pytest.mark.parametrize(("objective", "first", "last"), OBJECTIVES, ids=[named(row) for row in ROWS])
def test_it_costs_what_it_says(
    objective: Objective, first: Passes, last: Passes, model: Classifier, batch: Batch
) -> None:
    """Counted at the video encoder, one pass being all 7 x 4 frames."""
    model.train()
    seen = watch(model)
    for progress, expected in ((0.0, first), (1.0, last)):
        seen.frames = seen.frames_back = 0
        run(objective, model, batch, progress=progress)
        said = objective.cost(progress=progress, num_segments=4)
        assert (said.forward, said.backward) == pytest.approx((expected.forward, expected.backward))
        assert (seen.frames / 28, seen.frames_back / 28) == pytest.approx((expected.forward, expected.backward))


@every_objective
def test_every_loss_is_a_finite_scalar_that_reaches_every_weight(
    objective: Objective, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    model.train()
    video, audio = batch.video.clone(), batch.audio.clone()
    names = set()
    num_losses = 0
    for loss in objective.losses(model, batch, progress=1.0, generator=generator):
        model.zero_grad()
        assert loss.total.shape == ()
        assert all(not part.requires_grad and part.shape == () and part.isfinite() for part in loss.parts.values())
        torch.autograd.backward(loss.total)
        assert all(bool(gradient.any()) and gradient.isfinite().all() for gradient in gradients(model).values())
        assert len(gradients(model)) == len(list(model.parameters()))
        names.add(tuple(loss.parts))
        num_losses += 1
    assert num_losses == objective.updates
    assert len(names) == 1
    assert "accuracy" in names.pop()
    assert torch.equal(batch.video, video)
    assert torch.equal(batch.audio, audio)


@every_single_update
def test_crafting_leaves_the_model_and_the_random_state_as_they_were(
    objective: SingleUpdate, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """One frozen layer is in evaluation mode while the rest trains."""
    normalise_by_batch(model)
    model.train()
    model.audio_encoder.eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random_state = torch.get_rng_state()
    seed_state = generator.get_state()
    objective.prepare(model, batch, progress=0.5, generator=generator)
    assert [module.training for module in model.modules()] == modes
    for name, value in model.state_dict().items():
        assert torch.equal(value, state[name]), name
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert torch.equal(torch.get_rng_state(), random_state)
    assert torch.equal(generator.get_state(), seed_state)


@every_objective
def test_only_the_losses_move_batch_statistics(objective: Objective, model: Classifier, batch: Batch) -> None:
    statistics = normalise_by_batch(model)
    model.train()
    run(objective, model, batch)
    assert statistics.num_batches_tracked is not None
    assert int(statistics.num_batches_tracked) == objective.updates


@every_objective
def test_the_generator_s_seed_decides_the_losses(objective: Objective, model: Classifier, batch: Batch) -> None:
    model.train()
    with torch.random.fork_rng():
        losses = []
        for _ in range(2):
            torch.manual_seed(0)  # dropout alone draws from the global state
            losses.append(torch.stack(run(objective, model, batch, progress=0.5)))
    assert torch.equal(*losses)


@pytest.mark.parametrize(
    "objective", [row for row in ROWS if not isinstance(row, Standard | MinSim | CRMTAT)], ids=named
)
def test_another_seed_is_another_training(objective: Objective, model: Classifier, batch: Batch) -> None:
    last = [run(objective, model, batch, seed=seed)[-1] for seed in (1, 2)]
    assert not torch.equal(*last)


@every_objective
def test_the_order_of_the_clips_does_not_matter(objective: Objective, model: Classifier, batch: Batch) -> None:
    model.double()
    order = torch.tensor([3, 0, 6, 1, 5, 2, 4])
    totals = [torch.stack(run(objective, model, each)) for each in (double(batch), double(batch).select(order))]
    torch.testing.assert_close(*totals)


@pytest.mark.parametrize("objective", [row for row in ROWS if not isinstance(row, AWP | Mixup)], ids=named)
def test_two_halves_of_a_batch_teach_what_the_whole_does(objective: Objective, model: Classifier, batch: Batch) -> None:
    """The mean of the gradients of two workers is the gradient of one.

    AWP needs the workers' exchange for it, which `test_two_workers.py` has; Mixup takes partners from its own share.
    """
    model.double().train()
    found = []
    for parts in ([range(6)], [range(3), range(3, 6)]):
        model.zero_grad()
        for rows in parts:
            run(objective, model, double(batch).select(torch.tensor(rows)))
        found.append({name: gradient / len(parts) for name, gradient in gradients(model).items()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], rtol=1e-6, atol=1e-9)


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    """A group of one process: everything of distributed training but a second worker."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@every_objective
def test_a_distributed_wrapper_runs_once_per_loss_and_changes_nothing(
    objective: Objective, model: Classifier, batch: Batch, process_group: None
) -> None:
    model.train()
    run(objective, model, batch)
    expected = {name: gradient.clone() for name, gradient in gradients(model).items()}
    model.zero_grad()
    wrapped = DistributedDataParallel(model)
    calls: Counter[str] = Counter()
    wrapped.register_forward_hook(lambda *_: calls.update(["forward"]))

    def exchange(bucket: Any) -> torch.futures.Future[Tensor]:
        calls.update(["exchange"])
        done: torch.futures.Future[Tensor] = torch.futures.Future()
        done.set_result(bucket.buffer())
        return done

    wrapped.register_comm_hook(None, lambda _, bucket: exchange(bucket))
    run(objective, wrapped, batch)
    assert calls["forward"] == objective.updates
    assert objective.updates <= calls["exchange"] <= 2 * objective.updates  # the first backward may have other buckets
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected[name])


THREATS = ["linf(video=4/255, audio=0)", "l2(video=0.3, waveform=0.2, segments=0-1+3)"]


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        pytest.param(row, text, id=f"{named(row)}-{text}")
        for row in ROWS
        for text in THREATS
        if threat_of(row) is not None and not (isinstance(row, CRMTAT) and text.startswith("linf"))
    ],
)
def test_the_weights_learn_from_clips_inside_the_threat(
    objective: Objective, text: str, model: Classifier, batch: Batch
) -> None:
    """What the model is shown in training mode; N-FGSM goes 2 + 1 times as far, the curriculum blanks segments."""
    threat = ThreatModel.model_validate(text)
    if threat.audio_domain == "waveform":
        sound = torch.rand(7, 4, 2560, generator=torch.Generator().manual_seed(5)) * 2 - 1
        batch = replace(batch, audio=sound)
    if isinstance(objective, TMACurriculum):
        calm = Curriculum.model_validate(objective.curriculum.model_dump() | {"mask_ratio": 0, "epsilon_factor": 1})
        objective = TMACurriculum(curriculum=calm, crafting=objective.crafting)
    shown: list[Batch] = []
    model.train()

    def look(module: nn.Module, arguments: tuple[Tensor, Tensor]) -> None:
        if module.training:
            shown.append(batch.with_streams(*(stream.detach()[-7:].clone() for stream in arguments)))

    model.register_forward_pre_hook(look)
    run(with_threat(objective, threat), model, batch)
    reach = threat.scaled(3.0) if isinstance(objective, NFGSM) else threat
    assert len(shown) == objective.updates * (2 if isinstance(objective, AWP) else 1)
    for clips in shown:
        for name, distances in reach.distances(clips, batch).items():
            assert (distances <= reach.epsilon(name) * (1 + 1e-5)).all()
            low, high = threat.box(name)
            assert clips.stream(name).min() >= low
            assert clips.stream(name).max() <= high
            untouched = (~threat.support(clips.stream(name))).flatten()
            assert torch.equal(clips.stream(name)[:, untouched], batch.stream(name)[:, untouched])
            if threat.epsilon(name) > 0:
                assert (distances > 0).all()
            else:
                assert torch.equal(clips.stream(name), batch.stream(name))


@every_objective
def test_a_broken_model_has_a_loss_that_is_not_finite_and_no_exception(
    objective: Objective, model: Classifier, batch: Batch
) -> None:
    with torch.no_grad():
        next(model.fusion.parameters()).fill_(torch.nan)
    assert not any(total.isfinite() for total in run(objective, model, batch))


def test_adversarial_losses_are_higher_than_the_clean_one(model: Classifier, batch: Batch) -> None:
    model.eval()
    threat = ThreatModel()
    attacking = [PGDAT(), FastAT(), NFGSM(), TRADES(), MART(), TMAAT(), TMACurriculum(), AWP()]
    clean, *attacked = (run(objective, model, batch, progress=1.0)[0] for objective in (Standard(), *attacking))
    assert all(total > clean for total in attacked)
    assert all(threat_of(objective) == threat for objective in attacking)


def test_passes_read_as_the_attacks_costs_do() -> None:
    assert str(Passes(1.25, 1) + Passes(1, 0.5) * 2) == "3.25 F + 2 B"


def test_the_curriculum_sets_steps_budget_and_dropout(
    model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    objective = TMACurriculum(curriculum=GROWING)
    objective.prepare(model, batch, progress=1.0, generator=generator)
    assert model.dropout.p == pytest.approx(0.3)
    assert objective.settings_at(0.5)["attack_steps"] == 2
    (attack,) = objective.attacks_with(steps=2)
    assert isinstance(attack, TMA)
    assert (attack.steps, attack.random_start) == (2, True)


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_adaptive_curriculum_goes_on_with_the_history_and_costs_what_its_level_does(wrapped: bool) -> None:
    """A level of 1 or 4 steps on every segment, and the loss; awp looks once more."""
    steps = {"name": "adaptive", "levels": [1, 4], "patience": 1}
    inner = TMACurriculum.model_validate({"curriculum": {"attack_steps": steps, "sampling_ratio": 1}})
    objective: Objective = AWP(objective=inner) if wrapped else inner
    for history, expected in (([], 1), ([0.5], 1), ([0.5, 0.5], 4)):
        now = objective.for_next_epoch(history)
        assert now.settings_at(0.5)["attack_steps"] == expected
        assert now.cost(progress=0.5, num_segments=4).forward == expected + 1 + wrapped


def test_the_curriculum_crafts_by_settings_that_defaults_of_attacks_do_not_move() -> None:
    """What transfers best to other models and what trains best are chosen apart."""
    named = TMACurriculum().attack.model_dump()
    expected = {
        "temporal_weight": 0.1,
        "modality_weight": 0.3,
        "temporal": "consecutive",
        "features": "normalised",
        "agreement": "means",
        "combination": "normalised",
        "loss": "cross_entropy",
        "momentum": 0.0,
        "random_start": True,
        "sharing": {"segments": 1, "of": "gradient"},
    }
    assert {name: named[name] for name in expected} == expected
    assert set(expected) <= TMACurriculum().attack.model_fields_set


@pytest.mark.parametrize("objective", [row for row in ROWS if isinstance(row, Classifying)], ids=named)
def test_smoothed_labels_change_the_loss_and_not_the_clips(
    objective: Classifying, model: Classifier, batch: Batch
) -> None:
    """On the same clips the loss is (1 - s) CE + s mean over classes of -log p: it moves as far from 0 to 0.2 as on."""
    model.eval()
    plain, little, much = (
        run(type(objective).model_validate(objective.model_dump() | {"label_smoothing": share}), model, batch)[0]
        for share in (0.0, 0.2, 0.4)
    )
    assert float(little - plain) == pytest.approx(float(much - little), rel=1e-3)
    assert abs(float(little - plain)) > 1e-4


@pytest.mark.parametrize(
    ("objective", "others"),
    [
        (Standard(label_smoothing=0.4), 0.0),
        (Mixup(label_smoothing=0.4), 0.0),
        (MinSim(label_smoothing=0.4, similarity_weight=2.0), 2.0),
        (TRADES(label_smoothing=0.4, beta=2.0), 0.5 * math.log(2)),
        (CRMTAT(label_smoothing=0.4, margin_weight=2.0), 2.0 * math.log(7)),
    ],
    ids=lambda value: value.name if isinstance(value, Objective) else "",
)
def test_labels_are_smoothed_in_the_cross_entropy_alone(
    objective: SingleUpdate, others: float, model: Classifier, batch: Batch, generator: torch.Generator
) -> None:
    """Label 0 becomes (0.7, 0.1, 0.1, 0.1), which costs (0.7 + 0.2 + 0.3 + 0.3) ln 2 at p = (1/2, 1/4, 1/8, 1/8).

    The other terms: equal features have the cosine 1; KL(p || (1/4, 1/2, 1/8, 1/8)) is (1/2 - 1/4) ln 2; scores of 0
    in each modality fall short by ln(1 + 6).
    """
    clean, perturbed = torch.tensor([[0.5, 0.25, 0.125, 0.125], [0.25, 0.5, 0.125, 0.125]]).log()

    def answers(video: Tensor, audio: Tensor) -> Outputs:
        logits = torch.cat([clean.expand(7, 4), perturbed.expand(7, 4)])[: len(video)]
        features, scores = torch.ones(len(video), 4, 2), torch.zeros(len(video), 4)
        return Outputs(logits, features, features, scores, scores)

    first = replace(batch, labels=torch.zeros_like(batch.labels))
    loss = objective.prepare(model, first, progress=0.0, generator=generator)(answers)
    assert float(loss.total) == pytest.approx(1.5 * math.log(2) + others)
    assert float(loss.parts["cross_entropy"]) == pytest.approx(1.5 * math.log(2))


def test_restarts_are_refused_where_every_clip_must_be_looked_at() -> None:
    restarted = PGD(restarts=2)
    for mistaken in (
        lambda: PGDAT(attack=restarted, crafting=SHARED),
        lambda: MART(attack=restarted, crafting=SHARED),
        lambda: TMACurriculum(
            crafting=Crafting(sharing="gradient"),
            curriculum=Curriculum(other_attacks=(SharedAttack(attack=restarted, share=Constant(value=0.5)),)),
        ),
    ):
        with pytest.raises(ValidationError, match=r"pgd with restarts=2 leaves out clips.*set restarts=1, or sha"):
            mistaken()
    assert PGDAT(attack=restarted, crafting=Crafting(sampling_ratio=0.5)).attack.restarts == 2


def test_the_ratio_of_a_curriculum_is_set_in_one_place() -> None:
    with pytest.raises(ValidationError, match=r"crafting.sampling_ratio=0.5: the curriculum decides it"):
        TMACurriculum(crafting=Crafting(sampling_ratio=0.5))
