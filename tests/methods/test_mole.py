"""Learned gates per block: the forward against a plain restatement, balancing, masking."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from lorafusion.errors import BadOption, WrongBase
from lorafusion.executors.gated import gated
from lorafusion.executors.inject import Inject
from lorafusion.gating import BlockGate, LearnedGates, balance
from lorafusion.lora import LoRA, LowRank
from lorafusion.methods.mole import CARD, mole
from lorafusion.pipelines import apply
from lorafusion.plan import Candidate, Plan
from tests import tiny
from tests.conftest import loras_for, shared_pipeline
from tests.methods.given import Given, route

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"


@pytest.fixture
def sd() -> Any:
    """One for all, since whatever is applied to it is undone."""
    return shared_pipeline("sd")


class Small(nn.Module):
    """Two blocks of one linear layer each, with a nonlinearity that tells effects from sums."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.second = nn.Linear(4, 4)

    def forward(self, sample: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(sample))


def parts(count: int) -> list[dict[str, LowRank]]:
    generator = torch.Generator().manual_seed(0)

    def delta() -> LowRank:
        down = torch.randn(2, 4, generator=generator)
        return LowRank(down, torch.randn(4, 2, generator=generator), 1.0)

    return [{"first.0": delta(), "second": delta()} for _ in range(count)]


def learned(names: tuple[str, ...], paths: dict[str, int]) -> LearnedGates:
    generator = torch.Generator().manual_seed(1)
    count = len(names)
    return LearnedGates(
        names,
        {
            path: BlockGate(
                torch.randn(count * width, count, generator=generator), torch.tensor(0.7)
            )
            for path, width in paths.items()
        },
    )


def test_a_block_is_its_plain_self_and_gated_effects() -> None:
    torch.manual_seed(0)
    module, changes = Small(), parts(2)
    gates = learned(("a", "b"), {"first": 4})
    x = torch.randn(3, 5, 4)
    seen: dict[str, torch.Tensor] = {}
    with Inject(module, changes) as executor:
        opened = torch.tensor([1.0, 0.5])
        with gated(module, executor, gates, ["a", "b"], opened, seen.__setitem__), torch.no_grad():
            ours = module(x)
    weight, bias = module.first[0].weight, module.first[0].bias
    plain = torch.tanh(x @ weight.T + bias)
    effects = []
    for change, gate in zip(changes, (1.0, 0.5), strict=True):
        whole = weight + gate * change["first.0"].dense()
        effects.append(torch.tanh(x @ whole.T + bias) - plain)
    logits = gates.logits("first", torch.stack(effects))
    share = torch.softmax(logits, 1)
    hidden = plain + sum(share[:, i, None, None] * effects[i] for i in (0, 1))
    outside = module.second.weight + 0.5 * changes[0]["second"].dense()
    outside = outside + 0.25 * changes[1]["second"].dense()
    torch.testing.assert_close(ours, hidden @ outside.T + module.second.bias)
    torch.testing.assert_close(seen["first"], share)
    torch.testing.assert_close(module(x), module.second(module.first(x)))


def test_logits_are_the_papers_formula() -> None:
    effects = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    gates = learned(("a", "b"), {"x": 4})
    for sample in range(3):
        flat = effects[:, sample].mean(1).flatten()
        normal = (flat - flat.mean()) / (flat.var(unbiased=False) + 1e-5).sqrt()
        expected = normal @ gates.blocks["x"].projection / 0.7
        torch.testing.assert_close(gates.logits("x", effects)[sample], expected)


def test_a_masked_lora_leaves_its_share_to_the_others() -> None:
    effects = torch.randn(3, 2, 5, 4, generator=torch.Generator().manual_seed(0))
    gates = learned(("a", "b", "c"), {"x": 4})
    whole = gates.weights("x", effects, torch.tensor([True, True, True]))
    masked = gates.weights("x", effects, torch.tensor([True, False, True]))
    assert (masked[:, 1] == 0).all()
    expected = whole[:, [0, 2]] / whole[:, [0, 2]].sum(1, keepdim=True)
    torch.testing.assert_close(masked[:, [0, 2]], expected)
    with pytest.raises(BadOption, match="every LoRA .* is closed"):
        gates.weights("x", effects, torch.tensor([False, False, False]))


def test_balance_is_least_where_all_share_alike() -> None:
    even = torch.full((4, 2, 3), 1 / 3)
    assert float(balance(even)) == pytest.approx(3 * math.log(3))
    greedy = torch.tensor([0.98, 0.01, 0.01]).expand(4, 2, 3)
    assert balance(greedy) > balance(even)
    logits = torch.tensor([3.0, 0.0, 0.0], requires_grad=True)
    for _ in range(200):
        loss = balance(torch.softmax(logits, 0).expand(1, 1, 3))
        (grad,) = torch.autograd.grad(loss, logits)
        logits = (logits - 0.5 * grad).detach().requires_grad_()
    assert torch.softmax(logits, 0).max() < 0.34


def test_gates_learn_through_the_blocks() -> None:
    """Gradients reach the projection: gates trained to prefer one LoRA do."""
    torch.manual_seed(0)
    module, changes = Small().requires_grad_(False), parts(2)
    projection = torch.zeros(8, 2, requires_grad=True)
    gates = LearnedGates(("a", "b"), {"first": BlockGate(projection, torch.ones(()))})
    x, opened = torch.randn(6, 5, 4), torch.ones(2)
    with Inject(module, changes) as executor:
        executor.set(torch.tensor([1.0, 0.0]))
        wanted = module.first(x)
        optimiser = torch.optim.Adam([projection], lr=0.1)
        found: dict[str, torch.Tensor] = {}
        with gated(module, executor, gates, ["a", "b"], opened, found.__setitem__):
            for _ in range(30):
                loss = (module.first(x) - wanted).square().mean()
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
    assert found["first"][:, 0].mean() > 0.9


def candidates(loras: tuple[LoRA, ...]) -> list[Candidate]:
    return [Candidate(Given(one), 1.0, 1.0) for one in loras]


def test_mole_on_a_pipeline_masks_and_leaves_no_trace(sd: Any) -> None:
    loras = loras_for(sd, 3, text=False)
    width = sd.unet.get_submodule(BLOCK).norm1.normalized_shape[0]
    gates = learned(tuple(lora.name for lora in loras), {BLOCK: width})
    before, base = tiny.weights(sd), tiny.call(sd)
    plan = mole(candidates(loras), loras, tiny.STEPS, gates=gates)
    with apply(sd, plan) as choice:
        all_three = tiny.call(sd)
    assert choice.name == "inject"
    with apply(sd, mole(candidates(loras[:2]), loras[:2], tiny.STEPS, gates=gates)):
        two = tiny.call(sd)
    assert tiny.relative_error(two, all_three) > 1e-3
    assert torch.equal(tiny.call(sd), base)
    assert tiny.weights(sd) == before
    assert CARD.calls.of(3) == 1


def test_one_lora_alone_is_merged_inside_and_outside_of_blocks(sd: Any) -> None:
    lora = loras_for(sd, 1, text=False)
    width = sd.unet.get_submodule(BLOCK).norm1.normalized_shape[0]
    plan = mole(candidates(lora), lora, 4, gates=learned((lora[0].name,), {BLOCK: width}))
    with apply(sd, plan):
        ours = tiny.call(sd)
    with apply(sd, Plan.of(lora, torch.ones(4, 1, 1))):
        merged = tiny.call(sd)
    assert tiny.relative_error(ours, merged) <= 1e-4


def test_mole_says_what_it_lacks() -> None:
    two = route([1.0, 1.0]).chosen
    loras = tuple(one.source.load() for one in two)
    assert mole((), (), 3).gates.shape == (3, 1, 0)
    with pytest.raises(
        BadOption, match="gates is None; make them with lorafusion train gates lora-0 lora-1"
    ):
        mole(two, loras, 3)
    with pytest.raises(BadOption, match="trained for lora-0, other, not for lora-1"):
        mole(two, loras, 3, gates=LearnedGates.even(("lora-0", "other"), {"x": 4}))
    with pytest.raises(BadOption, match="learned gates per block are for one branch"):
        Plan.of(loras, torch.eye(2).expand(3, 2, 2)).with_learned(LearnedGates.even((), {}))


def test_gates_for_another_model_are_refused() -> None:
    module = Small()
    with (
        Inject(module, parts(1)) as executor,
        pytest.raises(WrongBase, match="block 'third', which this Small has not"),
        gated(module, executor, LearnedGates.even(("a",), {"third": 4}), ["a"], torch.ones(1)),
    ):
        pass
