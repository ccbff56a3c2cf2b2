from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from preprocessing.errors import SettingsError
from tests.training.gloo_workers import GlooWorkers
from training.models.batch_norm import (
    BatchNorm,
    FrozenBatchNorm,
    SynchronisedBatchNorm,
    average_local_statistics,
    set_batch_norm,
)


@dataclass(frozen=True)
class Case:
    """A layer, and what it is given."""

    layer: type[nn.Module] = nn.BatchNorm2d
    places: tuple[int, ...] = (3, 5)
    """Sizes behind the channels, of which there are 4."""
    counts: tuple[int, ...] = (5, 3)
    """Items of each worker."""
    options: dict[str, Any] = field(default_factory=dict)
    channels_last: bool = False

    def build(self) -> nn.Module:
        """The layer with a weight, bias and statistics that are not those of a new one."""
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layer = self.layer(4, **self.options).double()
            for tensor in layer.state_dict().values():
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 2.0)
        return layer

    def items(self) -> tuple[Tensor, Tensor]:
        """Inputs of all workers, and the gradients that come back."""
        source = torch.Generator().manual_seed(1)
        shape = (sum(self.counts), 4, *self.places)
        scale = torch.tensor([0.1, 1.0, 10.0, 100.0]).double().reshape(1, 4, *([1] * len(self.places)))
        inputs = scale * (3.0 + torch.randn(shape, generator=source, dtype=torch.float64))
        gradients = torch.randn(shape, generator=source, dtype=torch.float64)
        if self.channels_last:
            inputs = inputs.to(memory_format=torch.channels_last)
        return inputs, gradients


CASES = {
    "1d": Case(nn.BatchNorm1d, ()),
    "1d of sequences": Case(nn.BatchNorm1d, (6,)),
    "2d": Case(),
    "2d, channels last": Case(channels_last=True),
    "3d": Case(nn.BatchNorm3d, (2, 3, 2)),
    "three workers, one with one item": Case(counts=(5, 2, 1)),
    "one item each and no places": Case(nn.BatchNorm1d, (), counts=(1, 1, 1)),
    "a worker without items": Case(counts=(4, 0, 2)),
    "cumulative mean": Case(options={"momentum": None}),
    "not affine": Case(options={"affine": False}),
    "without running statistics": Case(options={"track_running_stats": False}),
}


def after_two_passes(layer: nn.Module, inputs: Tensor, gradients: Tensor) -> dict[str, Tensor]:
    """Everything that a second forward and backward pass leaves."""
    layer.train()
    layer(inputs.flip(-1))
    inputs = inputs.detach().requires_grad_()
    output = layer(inputs)
    output.backward(gradients)
    assert inputs.grad is not None
    found = {"output": output.detach(), "gradient": inputs.grad}
    found |= {f"gradient of {name}": each.grad for name, each in layer.named_parameters() if each.grad is not None}
    return found | layer.state_dict()


def portion_of(case: Case, rank: int, world_size: int) -> dict[str, Tensor]:
    layer = nn.Sequential(case.build())
    set_batch_norm(layer, "synchronised", "cpu")
    assert type(layer[0]) is SynchronisedBatchNorm
    inputs, gradients = (torch.split(each, list(case.counts))[rank] for each in case.items())
    found = after_two_passes(layer[0], inputs, gradients)
    if case.channels_last:
        assert found["output"].is_contiguous(memory_format=torch.channels_last)
    return found


def all_portions(rank: int, world_size: int) -> dict[str, dict[str, Tensor]]:
    return {name: portion_of(case, rank, world_size) for name, case in CASES.items() if len(case.counts) == world_size}


@pytest.fixture(scope="module")
def portions(gloo_workers: GlooWorkers) -> dict[str, list[dict[str, Tensor]]]:
    """By case, what each worker found."""
    by_size = {size: gloo_workers.run(size, all_portions) for size in (2, 3)}
    return {name: [each[name] for each in by_size[len(case.counts)]] for name, case in CASES.items()}


@pytest.mark.parametrize("name", CASES)
def test_workers_normalise_as_one_does_with_the_items_of_all(
    name: str, portions: dict[str, list[dict[str, Tensor]]]
) -> None:
    """Outputs, gradients of inputs, weight and bias, and what the running statistics become."""
    case, found = CASES[name], portions[name]
    expected = after_two_passes(case.build(), *case.items())
    for key, value in expected.items():
        parts = [each[key] for each in found]
        if key in ("output", "gradient"):
            joined = torch.cat(parts)
        elif key.startswith("gradient of "):
            joined = torch.stack(parts).sum(0)
        else:
            assert all(torch.equal(part, parts[0]) for part in parts)
            joined = parts[0]
        assert joined.dtype == value.dtype
        torch.testing.assert_close(joined, value, rtol=1e-10, atol=1e-10, msg=key)


def far_from_zero(rank: int, world_size: int) -> Tensor:
    inputs = torch.split(far_inputs(), [700, 324])[rank]
    layer = nn.Sequential(nn.BatchNorm1d(3, eps=0.0, affine=False, momentum=1.0))
    set_batch_norm(layer, "synchronised", "cpu")
    layer(inputs)
    variance = layer[0].running_var
    assert isinstance(variance, Tensor)
    return variance


def far_inputs() -> Tensor:
    """Values around 10,000 with a deviation of 1, in single precision: squares have no digit left for the deviation."""
    return 1e4 + torch.randn(1024, 3, generator=torch.Generator().manual_seed(0))


def test_a_mean_far_from_zero_costs_no_digits(gloo_workers: GlooWorkers) -> None:
    expected = far_inputs().double().var(0)
    for found in gloo_workers.run(2, far_from_zero):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=0)
    naive = far_inputs().square().mean(0) - far_inputs().mean(0).square()
    assert float((naive.double() / expected - 1).abs().max()) > 0.1


def in_half_precision(rank: int, world_size: int) -> tuple[Tensor, Tensor]:
    inputs = torch.split(Case(counts=(5, 3)).items()[0].float(), [5, 3])[rank]
    return passed_in_half_precision(inputs, synchronised=True)


def passed_in_half_precision(inputs: Tensor, *, synchronised: bool) -> tuple[Tensor, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)).to(memory_format=torch.channels_last)
    if synchronised:
        set_batch_norm(network, "synchronised", "cpu")
    inputs = inputs.to(memory_format=torch.channels_last).detach().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        output = network(inputs)
    output.float().square().sum().backward()
    assert inputs.grad is not None
    return output.detach(), inputs.grad


def test_half_precision_and_channels_last_are_as_with_torch_s_own_layer(gloo_workers: GlooWorkers) -> None:
    whole = passed_in_half_precision(Case(counts=(5, 3)).items()[0].float(), synchronised=False)
    found = gloo_workers.run(2, in_half_precision)
    for mine, expected in zip(zip(*found, strict=True), whole, strict=True):
        joined = torch.cat(list(mine))
        assert joined.dtype == expected.dtype
        torch.testing.assert_close(joined, expected, rtol=0.02, atol=0.02 * float(expected.float().abs().max()))


def wrapped(rank: int, world_size: int) -> nn.Module:
    """A network after a pass in a distributed wrapper."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()
    set_batch_norm(network, "synchronised", "cpu")
    DistributedDataParallel(network)(torch.rand(2 + rank, 3, dtype=torch.float64)).sum().backward()
    return network


def test_where_the_workers_have_gone_it_is_torch_s_own_layer(gloo_workers: GlooWorkers) -> None:
    """In a process without a group; both were pickled on their way."""
    network, other = gloo_workers.run(2, wrapped)
    plain = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).double()
    plain.load_state_dict(network.state_dict())
    inputs = torch.rand(5, 3, dtype=torch.float64)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())
    for mode in (True, False):
        assert torch.equal(network.train(mode)(inputs), plain.train(mode)(inputs))
    assert all(torch.equal(value, plain.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kind", ["synchronised", "frozen", "local"])
def test_every_kind_keeps_names_and_values_and_is_torch_s_layer_in_evaluation(kind: BatchNorm) -> None:
    """Also where one layer has two places; a layer of another class stays."""

    class Other(nn.BatchNorm2d):
        pass

    shared = Case().build()
    network = nn.Sequential(shared, nn.ReLU(), shared, Other(4)).double().eval()
    plain = copy.deepcopy(network)
    set_batch_norm(network, kind, "cpu")
    assert network[0] is network[2]
    assert type(network[3]) is Other
    assert list(network.state_dict()) == list(plain.state_dict())
    inputs, _ = Case().items()
    assert torch.equal(network(inputs), plain(inputs))
    assert (type(network[0]) is nn.BatchNorm2d) == (kind == "local")


def test_frozen_statistics_stay_while_weights_learn() -> None:
    layer = nn.Sequential(Case().build())
    expected = copy.deepcopy(layer).eval()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    set_batch_norm(layer, "frozen", "cpu")
    assert type(layer[0]) is FrozenBatchNorm
    inputs, _ = Case().items()
    output = layer.train()(inputs)
    output.sum().backward()
    assert torch.equal(output, expected(inputs))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert all(bool(weight.grad is not None and weight.grad.any()) for weight in layer.parameters())


def test_what_stores_no_statistics_cannot_be_frozen() -> None:
    network = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(SettingsError, match="batch_norm=frozen: '1' stores no statistics to normalise by"):
        set_batch_norm(network, "frozen", "cpu")


def averaged(rank: int, world_size: int) -> list[list[float]]:
    """The statistics of a layer of each kind, which were the rank before."""
    found = []
    for kind in ("local", "synchronised", "frozen"):
        network = nn.Sequential(nn.BatchNorm1d(2))
        set_batch_norm(network, kind, "cpu")
        network.get_buffer("0.running_mean").fill_(float(rank))
        average_local_statistics(network)
        found.append(network.get_buffer("0.running_mean").tolist())
    return found


def test_only_statistics_of_its_own_are_averaged(gloo_workers: GlooWorkers) -> None:
    first, second = gloo_workers.run(2, averaged)
    assert first == [[0.5, 0.5], [0.0, 0.0], [0.0, 0.0]]
    assert second == [[0.5, 0.5], [1.0, 1.0], [1.0, 1.0]]


def test_on_gpus_it_is_torch_s_own_synchronised_layer() -> None:
    network = nn.Sequential(nn.BatchNorm2d(4))
    set_batch_norm(network, "synchronised", "cuda")
    assert type(network[0]) is nn.SyncBatchNorm
