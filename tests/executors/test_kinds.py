"""Every kind of change in the executors: fold is the reference, inject says what it cannot take."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lorafusion.errors import BadOption, WrongBase
from lorafusion.executors import EXECUTORS, choose
from lorafusion.executors.call import Call
from lorafusion.lora import Delta, Dense, DoRA, LoHa, LoKr, LoRA, LowRank, dense_on, tucker
from lorafusion.plan import Plan


class Net(nn.Module):
    """One layer of each sort that a LoRA may change; named as a denoiser's arguments are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(4, 8, 3, padding=1)
        self.norm = nn.GroupNorm(2, 8)
        self.proj = nn.Linear(8, 6)

    def forward(self, sample: torch.Tensor) -> tuple[torch.Tensor]:
        hidden = self.norm(self.conv(sample)).flatten(2).transpose(1, 2)
        return (self.proj(hidden),)


def low(out: int, *rest: int) -> LowRank:
    tail = (1,) * (len(rest) - 1)
    return LowRank(torch.randn(2, *rest), torch.randn(out, 2, *tail), 0.5)


def parts() -> list[dict[str, Delta]]:
    torch.manual_seed(1)
    loha = LoHa(
        torch.randn(8, 2), torch.randn(2, 36), torch.randn(8, 2), torch.randn(2, 36), 0.2, (8, 36)
    )
    lokr = LoKr(torch.randn(2, 2), torch.randn(3, 4), 0.3, (6, 8))
    return [
        {"conv": low(8, 4, 3, 3), "proj": lokr, "norm": Dense(torch.randn(8))},
        {"conv": loha, "proj": DoRA(low(6, 8), torch.rand(6, 1) + 0.5)},
        {"conv": DoRA(low(8, 4, 3, 3), torch.rand(1, 4) + 0.5), "conv.bias": Dense(torch.randn(8))},
        {"conv": LowRank(tucker(torch.randn(2, 2, 3, 3), torch.randn(2, 4, 1, 1)),
                         torch.randn(8, 2, 1, 1), 1.0),
         "norm.bias": Dense(torch.randn(8)), "proj": Dense(torch.randn(6, 8, 1, 1))},
    ]  # fmt: skip


GATES = torch.tensor([[0.7, -0.4, 0.5, 1.2], [0.0, 1.0, 0.3, 0.0], [1.0, 1.0, 1.0, 1.0]])


def outputs(name: str, net: Net, x: torch.Tensor) -> list[torch.Tensor]:
    call = Call({"sample": x}, len(x))
    with EXECUTORS[name](net, parts()) as executor:
        return [out[0] for out in executor.predict([call] * len(GATES), GATES)]


def test_fold_is_the_reference_for_every_kind() -> None:
    net, x = Net(), torch.randn(3, 4, 5, 5)
    base = net(x)[0]
    for ours, right in zip(outputs("fold", net, x), outputs("reference", net, x), strict=True):
        assert (ours - right).norm() / right.norm() <= 1e-5
        assert (base - right).norm() / right.norm() > 1e-2


def test_the_reference_is_the_sum_of_changes_formed_by_hand() -> None:
    net, x = Net().double(), torch.randn(3, 4, 5, 5, dtype=torch.float64)
    for gates, right in zip(GATES, outputs("reference", net, x), strict=True):
        other = Net().double()
        other.load_state_dict(net.state_dict())
        for gate, part in zip(gates, parts(), strict=True):
            for path, delta in part.items():
                name = path if path.endswith(".bias") else f"{path}.weight"
                weight = net.get_parameter(name).detach()
                change = dense_on(delta.fitted(tuple(weight.shape)), weight, torch.float64)
                other.get_parameter(name).data += float(gate) * change
        torch.testing.assert_close(right, other(x)[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_everything_is_put_back_bit_for_bit(dtype: torch.dtype) -> None:
    net = Net().to(dtype)
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    with pytest.raises(ZeroDivisionError), EXECUTORS["fold"](net, parts()) as executor:
        executor.set(GATES[0])
        assert not torch.equal(net.norm.bias, before["norm.bias"])
        raise ZeroDivisionError
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())


def test_dora_at_a_gate_is_on_the_line_from_base_to_trained() -> None:
    net = Net()
    base = net.proj.weight.detach().clone()
    (part,) = [part for part in parts() if isinstance(part.get("proj"), DoRA)]
    with EXECUTORS["fold"](net, [{"proj": part["proj"]}]) as executor:
        executor.set(torch.ones(1))
        trained = net.proj.weight.detach().clone()
        assert torch.allclose(trained.norm(dim=1), part["proj"].magnitude[:, 0], rtol=1e-5)
        executor.set(torch.tensor([0.25]))
        torch.testing.assert_close(net.proj.weight.detach(), base + 0.25 * (trained - base))


def test_inject_says_what_it_cannot_take_and_fold_is_chosen() -> None:
    with pytest.raises(BadOption, match=r"^executor 'inject' .* proj: LoKr; use executor='fold'$"):
        EXECUTORS["inject"](Net(), parts()[:1])
    loras = tuple(
        LoRA(f"l{i}", {f"unet.{path}": delta for path, delta in part.items()})
        for i, part in enumerate(parts())
    )
    turns = torch.eye(4).unsqueeze(0)  # four branches, for which inject is chosen otherwise
    choice = choose(Plan.of(loras, turns))
    assert choice.name == "fold"
    assert "'l0' has a LoKr at unet.proj" in choice.why


@pytest.mark.parametrize(("path", "delta", "why"), [
    ("norm", low(8, 8), "is a GroupNorm, not a linear layer"),
    ("norm", Dense(torch.ones(7)), "weight is [8], the LoRA's change is [7]"),
    ("proj.bias", Dense(torch.ones(7)), "bias is [6]"),
    ("nothing.bias", Dense(torch.ones(7)), "no such module"),
    ("proj", DoRA(low(6, 8), torch.ones(1, 6)), "weight is [6, 8]"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(path: str, delta: Delta, why: str) -> None:
    with pytest.raises(WrongBase) as caught:
        EXECUTORS["fold"](Net(), [{path: delta}])
    assert why in str(caught.value)
