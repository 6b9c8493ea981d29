"""The exact forms of a layer give one another's numbers, and only what is open costs anything."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from lorafusion.executors import EXECUTORS, beside, forms
from lorafusion.executors.beside import Beside
from lorafusion.executors.block import Block
from lorafusion.executors.call import Call
from lorafusion.executors.layout import Layout
from lorafusion.executors.mixture import Mixture
from lorafusion.lora import Delta
from tests.executors.test_inject import delta_for


class Net(nn.Module):
    """A layer of each sort that has forms of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 12, 3, padding=1, stride=2)
        self.point = nn.Conv2d(12, 8, 1)
        self.flat = nn.Linear(8, 6)

    def forward(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        hidden = self.point(self.conv(sample)).flatten(2).transpose(1, 2)
        return (self.flat(hidden),)


def parts_for(net: Net, count: int = 4) -> list[dict[str, Delta]]:
    torch.manual_seed(5)
    return [
        {path: delta_for(layer, 1 + i) for path, layer in net.named_children() if (i, path) != (1, "flat")}
        for i in range(count)
    ]  # fmt: skip


GATES = torch.tensor([[0.5, 0.0, -0.3, 0.0], [0.0, 1.0, 0.0, 0.0], [0.2, 0.4, 0.6, 0.8]])


@pytest.fixture
def preferred(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let one form look free."""
    name = request.param
    free = {"side": (0.0, 1e9), "fold": (1e9, 0.0), "whole": (1.0, 1e9)}[name]
    monkeypatch.setattr(beside, "LAUNCH", 0)
    monkeypatch.setattr(forms.Sizes, "side", lambda *_: free[0])
    monkeypatch.setattr(forms.Sizes, "fold", lambda *_: free[1])
    return name


@pytest.mark.parametrize("preferred", ["side", "fold", "whole"], indirect=True)
@pytest.mark.parametrize("branches", [1, 3])
@torch.no_grad()
def test_every_form_is_the_reference(preferred: str, branches: int) -> None:
    net = Net()
    parts = parts_for(net)
    calls = [Call({"sample": torch.randn(2, 4, 10, 10)}, 2) for _ in range(branches)]
    gates = GATES[:branches]
    outs: dict[str, list[Any]] = {}
    for name in ("inject", "reference"):
        with EXECUTORS[name](net, parts) as executor:
            outs[name] = executor.predict(calls, gates)
    for call, ours, right in zip(calls, outs["inject"], outs["reference"], strict=True):
        assert (ours[0] - right[0]).abs().max() <= 1e-5 * right[0].abs().max()
        assert (net(call.arguments["sample"])[0] - right[0]).abs().max() > 1e-2


@pytest.mark.parametrize(("tokens", "folds"), [(64, False), (4096, True)])
def test_many_tokens_fold_and_few_do_not(tokens: int, folds: bool) -> None:
    sizes = forms.Sizes(1280, 1280)
    for rank in (32, 640):
        assert (sizes.fold(rank) < sizes.side(tokens, rank)) == folds


def test_gradients_flow_through_the_side_path() -> None:
    net = Net()
    x = torch.randn(2, 4, 6, 6, requires_grad=True)
    with EXECUTORS["inject"](net, parts_for(net)) as executor:
        executor.set(GATES[2])
        net(x)[0].sum().backward()
    with EXECUTORS["reference"](net, parts_for(net)) as executor:
        executor.set(GATES[2])
        other = x.detach().double().requires_grad_()
        executor._copy(other)[0].sum().backward()
    assert torch.allclose(x.grad.double(), other.grad, rtol=1e-4, atol=1e-5)


def test_only_open_loras_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    seen = []
    original = Beside._opened

    def watched(self: Beside, x: Any, mixture: Any) -> Any:
        found = original(self, x, mixture)
        seen.append(found[0].shape[0])
        return found

    monkeypatch.setattr(Beside, "_opened", watched)
    x = torch.randn(1, 4, 6, 6)
    with torch.no_grad(), EXECUTORS["inject"](net, parts_for(net)) as executor:
        executor.set(torch.tensor([1.0, 0.0, 0.0, 0.5]))  # ranks 1 and 4
        net(x)
        assert set(seen) == {5}
        seen.clear()
        executor.set(torch.tensor([0.0, 1.0, 0.0, 0.0]))  # this one leaves `flat` alone
        net(x)
        assert seen == [2, 2]


def test_new_weights_are_one_copy_into_the_same_memory() -> None:
    layouts = [Layout([(0, 2, 1.0), (1, 3, 0.5)]), Layout([(1, 4, 2.0)])]
    mixture = Mixture(layouts)
    like = torch.empty(1)
    mixture.set(torch.tensor([[0.5, 2.0]]))
    first = mixture.gates(layouts[0], like)
    assert first.tolist() == [[0.5, 0.5, 1.0, 1.0, 1.0]]
    place = first.data_ptr()
    mixture.set(torch.tensor([[1.0, 3.0]]))
    assert mixture.gates(layouts[0], like).data_ptr() == place
    assert first.tolist() == [[1.0, 1.0, 1.5, 1.5, 1.5]]
    assert mixture.gates(layouts[1], like).tolist() == [[6.0] * 4]
    mixture.set(torch.tensor([[0.0, 1.0]]))
    assert mixture.gates(layouts[0], like).tolist() == [[0.5] * 3]
    mixture.set(torch.tensor([[1.0, 0.0]]))
    assert mixture.picked(layouts[1]) is None


def test_a_batch_too_large_for_the_memory_is_halved() -> None:
    net = Net()
    sizes = []
    own = net.forward

    def narrow(sample: torch.Tensor) -> Any:
        sizes.append(len(sample))
        if len(sample) > 4:
            raise torch.OutOfMemoryError
        return own(sample)

    net.forward = narrow
    calls = [Call({"sample": torch.randn(2, 4, 6, 6)}, 2) for _ in range(5)]
    gates = torch.eye(5)[:, :4]
    with torch.no_grad(), EXECUTORS["inject"](net, parts_for(net)) as executor:
        ours = executor.predict(calls, gates)
        assert sizes == [10, 6, 4, 4, 2]
        sizes.clear()
        again = executor.predict(calls, gates)
        assert sizes == [4, 4, 2]
    net.forward = own
    with EXECUTORS["reference"](net, parts_for(net)) as executor:
        right = executor.predict(calls, gates)
    for one, other, exact in zip(ours, again, right, strict=True):
        assert torch.equal(one[0], other[0])
        assert torch.allclose(one[0], exact[0], rtol=1e-4, atol=1e-5)


def test_one_sample_too_large_says_so() -> None:
    net = Net()

    def narrow(sample: torch.Tensor) -> Any:
        raise torch.OutOfMemoryError

    net.forward = narrow
    call = Call({"sample": torch.randn(2, 4, 6, 6)}, 2)
    with (
        EXECUTORS["inject"](net, parts_for(net)) as executor,
        pytest.raises(torch.OutOfMemoryError),
    ):
        executor.predict([call, call], GATES[:2])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_weights_folded_together_are_those_folded_one_by_one(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an accelerator does, on a CPU."""
    net = nn.ModuleDict({str(i): nn.Linear(6, 5) for i in range(3)}).to(dtype)
    before = [layer.weight.detach().clone() for layer in net.values()]
    parts = [{path: delta_for(layer.float(), 2) for path, layer in net.items()} for _ in range(3)]
    net.to(dtype)
    found = {}
    for together in (True, False):
        own = Block.__init__

        def made(self: Block, members: Any, own: Any = own, together: bool = together) -> None:
            own(self, members)
            self._batched = together

        with monkeypatch.context() as patch, torch.no_grad():
            patch.setattr(Block, "__init__", made)
            with EXECUTORS["fold"](net, parts) as executor:
                for gates in GATES[:, :3]:
                    executor.set(gates)
                found[together] = [layer.weight.detach().clone() for layer in net.values()]
    tolerance = 1e-6 if dtype == torch.float32 else 4e-3
    for one, other, old in zip(found[True], found[False], before, strict=True):
        assert torch.allclose(one, other, rtol=tolerance, atol=tolerance)
        assert not torch.equal(one, old)
    assert all(
        torch.equal(layer.weight, old) for layer, old in zip(net.values(), before, strict=True)
    )


def test_fold_never_writes_the_models_own_weights() -> None:
    """So that models which share their weights can have mixtures of their own at the same time."""
    net, twin = Net(), Net()
    twin.load_state_dict(net.state_dict(), assign=True)
    own = {name: weight.data_ptr() for name, weight in net.named_parameters()}
    with (
        EXECUTORS["fold"](net, parts_for(net)) as one,
        EXECUTORS["fold"](twin, parts_for(net)) as two,
    ):
        one.set(GATES[0])
        two.set(GATES[2])
        assert not torch.equal(net.flat.weight, twin.flat.weight)
        one.set(torch.zeros(4))
        assert net.flat.weight.data_ptr() == own["flat.weight"]
    assert {name: weight.data_ptr() for name, weight in net.named_parameters()} == own


def test_a_change_writes_only_the_layers_that_it_concerns(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Net()
    written = []
    original = Block.write

    def watched(self: Block, *args: Any) -> None:
        written.append(self._members[0].path)
        original(self, *args)

    monkeypatch.setattr(Block, "write", watched)
    with EXECUTORS["fold"](net, parts_for(net)) as executor:
        executor.set(torch.tensor([1.0, 0.0, 0.0, 0.0]))
        assert written == ["conv", "point", "flat"]
        written.clear()
        executor.set(torch.tensor([1.0, 0.5, 0.0, 0.0]))  # the second leaves `flat` alone
        assert written == ["conv", "point"]


def test_a_weight_that_was_moved_meanwhile_is_put_right() -> None:
    net = Net()
    before = {name: weight.detach().clone() for name, weight in net.named_parameters()}
    with EXECUTORS["fold"](net, parts_for(net)) as executor:
        executor.set(GATES[0])
        net.double()  # as offloading gives every parameter new memory
        executor.set(GATES[2])
        changed = net.flat.weight.detach().clone()
    assert not torch.equal(changed, net.flat.weight)
    for name, weight in net.named_parameters():
        assert torch.equal(weight, before[name].double())
